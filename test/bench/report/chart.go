/*
Copyright 2026 The drain-operator Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The chart's size and the frame of its axes.
const (
	width, height         = 760, 440
	frameLeft, frameRight = 70, 560
	frameTop, frameBottom = 30, 380
	// legendPitch is the distance of two lines of the legend.
	legendPitch = 22
)

// series is a line of the chart.
type series struct {
	name, color string
	dashed      bool
	points      []point
}

type point struct{ x, y float64 }

// colors are readable on a light and on a dark background.
var colors = []string{"#d9730d", "#2f81f7", "#2da44e", "#a371f7"}

// Chart returns an SVG chart of the time of bursts against their size, with logarithmic axes.
func Chart(all []*Results) string {
	lines := chartLines(all)
	xs, ys := axisOf(lines, func(p point) float64 { return p.x }), axisOf(lines, func(p point) float64 { return p.y })
	x := func(value float64) float64 { return xs.place(value, frameLeft, frameRight) }
	y := func(value float64) float64 { return ys.place(value, frameBottom, frameTop) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Time until all drains are over, against the number of orphans">
<style>
text { font: 13px sans-serif; fill: #57606a }
.grid { stroke: #8c959f; stroke-width: 1; opacity: .35 }
@media (prefers-color-scheme: dark) { text { fill: #9198a1 } }
</style>
`, width, height)
	for _, tick := range xs.ticks() {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x(tick), frameTop, x(tick), frameBottom, x(tick), frameBottom+20, number(tick))
	}
	for _, tick := range ys.ticks() {
		fmt.Fprintf(&b, `<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			frameLeft, y(tick), frameRight, y(tick), frameLeft-8, y(tick)+4, number(tick))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">orphaned ordinals at once</text>`+"\n", (frameLeft+frameRight)/2, frameBottom+42)
	fmt.Fprintf(&b, `<text x="%d" y="%d">seconds until all drains are over</text>`+"\n", frameLeft, frameTop-12)
	for i, line := range lines {
		dash := ""
		if line.dashed {
			dash = ` stroke-dasharray="6 5"`
		}
		var path []string
		for _, p := range line.points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(p.x), y(p.y)))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x(p.x), y(p.y), line.color)
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", strings.Join(path, " "), line.color, dash)
		at := frameTop + 10 + legendPitch*i
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="2"%s/><text x="%d" y="%d">%s</text>`+"\n",
			frameRight+20, at, frameRight+50, at, line.color, dash, frameRight+58, at+4, line.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// chartLines returns two lines for each run: the operator's, and the bare client's.
func chartLines(all []*Results) []series {
	var lines []series
	for i, r := range all {
		operator := series{name: "operator, " + escape(r.Label), color: colors[i%len(colors)]}
		bare := series{name: "bare client, " + escape(r.Label), color: operator.color, dashed: true}
		for _, row := range gather([]*Results{r}, "burst") {
			size := float64(row.m.Orphans())
			operator.points = append(operator.points, point{size, row.m.Operator.Seconds})
			if row.m.Bare != nil {
				bare.points = append(bare.points, point{size, row.m.Bare.Seconds})
			}
		}
		lines = append(lines, operator, bare)
	}
	return slices.DeleteFunc(lines, func(line series) bool { return len(line.points) == 0 })
}

// axis is a logarithmic axis between two values.
type axis struct{ low, high float64 }

// steps are the ticks of each decade.
var steps = []float64{1, 2, 5}

// axisOf returns an axis that begins and ends at a tick and holds all points.
func axisOf(lines []series, value func(point) float64) axis {
	low, high := math.Inf(1), math.Inf(-1)
	for _, line := range lines {
		for _, p := range line.points {
			low, high = min(low, value(p)), max(high, value(p))
		}
	}
	if low > high {
		return axis{1, 10}
	}
	a := axis{tickBelow(low), 0}
	for a.high = a.low; a.high < high || a.high == a.low; {
		a.high = tickAbove(a.high)
	}
	return a
}

// ticks returns the values that the axis names.
func (a axis) ticks() []float64 {
	var ticks []float64
	for tick := a.low; tick < a.high*1.001; tick = tickAbove(tick) {
		ticks = append(ticks, tick)
	}
	return ticks
}

// place returns where a value is between the two ends of the axis.
func (a axis) place(value float64, from, to int) float64 {
	share := math.Log(value/a.low) / math.Log(a.high/a.low)
	return float64(from) + share*float64(to-from)
}

func tickBelow(value float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(value)))
	for _, step := range slices.Backward(steps) {
		if step*decade <= value*1.001 {
			return step * decade
		}
	}
	return decade
}

func tickAbove(value float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(value*1.001)))
	for _, step := range steps {
		if step*decade > value*1.001 {
			return step * decade
		}
	}
	return 10 * decade
}

// number shows a tick without an exponent.
func number(value float64) string { return fmt.Sprintf("%g", math.Round(value*1000)/1000) }

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
