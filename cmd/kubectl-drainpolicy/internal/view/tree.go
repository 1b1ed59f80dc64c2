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

package view

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fatih/color"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Shown is the number of ordinals that a tree has unless all are asked for.
const Shown = 20

// Style is how a tree is written.
type Style struct {
	Now   time.Time
	Color bool
	// All shows every ordinal, not only the most urgent ones.
	All bool
}

// urgency orders the states by how much they matter to a person.
var urgency = []drainv1alpha1.DrainState{
	drainv1alpha1.DrainFailed, drainv1alpha1.DrainBlocked, drainv1alpha1.DrainDraining, drainv1alpha1.DrainWaiting,
	drainv1alpha1.DrainRetained, drainv1alpha1.DrainDrained,
}

var colors = map[string]color.Attribute{
	string(drainv1alpha1.DrainFailed): color.FgRed, string(drainv1alpha1.DrainBlocked): color.FgRed,
	string(drainv1alpha1.DrainDraining): color.FgCyan, string(drainv1alpha1.DrainWaiting): color.FgYellow,
	string(drainv1alpha1.DrainDrained): color.FgGreen,
}

var memberColors = map[MemberState]color.Attribute{
	MemberLeaving: color.FgCyan, MemberRejoining: color.FgCyan, MemberLeft: color.FgGreen, MemberBack: color.FgGreen,
	MemberLeaveFailed: color.FgRed, MemberRejoinFailed: color.FgRed, MemberNotBack: color.FgYellow,
}

// Write writes a policy as a tree.
func (p *Policy) Write(out io.Writer, style Style) {
	set := "StatefulSet " + p.StatefulSet.Name
	if p.StatefulSet.Replicas != nil {
		set += fmt.Sprintf(": %d replicas, %d ready", *p.StatefulSet.Replicas, *p.StatefulSet.Ready)
	}
	fmt.Fprintf(out, "%s (%s)\n", style.paint("DrainPolicy "+p.Namespace+"/"+p.Name, color.Bold), set)
	if !p.Observed {
		fmt.Fprintln(out, "  The operator has not observed the present spec of this policy; what follows is older. If this lasts, the operator is not running.")
	}
	conditions := NewTable(style)
	for i := range p.Conditions {
		c := &p.Conditions[i]
		conditions.Row(style.condition(c), "  "+c.Type, string(c.Status), c.Reason, c.Message)
	}
	conditions.Write(out)
	fmt.Fprintf(out, "  %d undrained, %d draining, %d failed, %d drained and kept", p.Undrained, p.Draining, p.Failed, p.Kept)
	if p.Capacity != "" {
		fmt.Fprintf(out, ", %s in claims of orphaned ordinals", p.Capacity)
	}
	fmt.Fprintln(out)
	if len(p.Stranded) > 0 {
		fmt.Fprintf(out, "  %d stranded claims, which the operator does not drain: %s\n", len(p.Stranded), few(p.Stranded))
	}
	if len(p.Ordinals)+len(p.Members) == 0 {
		return
	}
	shown, rest := p.pick(style.All)
	table := NewTable(style, "NAME", "STATE", "REASON", "SINCE", "ATTEMPT", "MESSAGE")
	for i := range p.Members {
		p.Members[i].rows(table)
	}
	for i := range shown {
		shown[i].rows(table)
	}
	table.Write(out)
	if len(rest) > 0 {
		fmt.Fprintf(out, "%d more ordinals: %s; --all shows them\n", len(rest), count(rest))
	}
	if p.Unlisted > 0 {
		fmt.Fprintf(out, "%d more undrained ordinals, for which the status has no room\n", p.Unlisted)
	}
}

// pick returns the ordinals to show, and the others. It keeps the most urgent ones, and their order.
func (p *Policy) pick(all bool) (shown, rest []Ordinal) {
	if all || len(p.Ordinals) <= Shown {
		return p.Ordinals, nil
	}
	byUrgency := slices.Clone(p.Ordinals)
	slices.SortStableFunc(byUrgency, func(a, b Ordinal) int {
		return cmp.Compare(slices.Index(urgency, a.State), slices.Index(urgency, b.State))
	})
	shown, rest = byUrgency[:Shown], byUrgency[Shown:]
	slices.SortFunc(shown, func(a, b Ordinal) int { return cmp.Compare(b.Ordinal, a.Ordinal) })
	return shown, rest
}

// count says how many ordinals there are of each state and reason.
func count(ordinals []Ordinal) string {
	numbers := map[string]int{}
	var order []string
	for i := range ordinals {
		key := fmt.Sprintf("%s (%s)", ordinals[i].State, ordinals[i].Reason)
		if numbers[key] == 0 {
			order = append(order, key)
		}
		numbers[key]++
	}
	for i, key := range order {
		order[i] = fmt.Sprintf("%d %s", numbers[key], key)
	}
	return strings.Join(order, ", ")
}

// few names the first ones of a list.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// rows adds an ordinal and its objects.
func (o *Ordinal) rows(table *Table) {
	table.Row(colors[string(o.State)], fmt.Sprintf("ordinal %d", o.Ordinal), string(o.State), o.Reason, table.style.age(o.Since), attempt(o.Attempt), o.Message)
	var children []child
	if o.Lock != nil {
		children = append(children, child{"lock " + o.Lock.Name, o.Lock.State, table.style.age(&o.Lock.Since), ""})
	}
	if o.Job != nil {
		children = append(children, table.style.job(o.Job))
	}
	for i := range o.Pods {
		children = append(children, table.style.pod(&o.Pods[i]))
	}
	for i := range o.Claims {
		claim := &o.Claims[i]
		more := strings.Join(slices.DeleteFunc([]string{claim.Size, claim.Class}, func(s string) bool { return s == "" }), ", ")
		children = append(children, child{"claim " + claim.Name, claim.State, table.style.age(&claim.Since), more})
	}
	table.branches(children)
}

// child is a row about an object, below that of what it belongs to.
type child struct{ name, state, since, more string }

func (s Style) job(job *Object) child {
	return child{"job " + job.Name, job.State, s.age(&job.Since), ""}
}

func (s Style) pod(pod *Object) child {
	more := ""
	if pod.Node != "" {
		more = fmt.Sprintf("on node %q", pod.Node)
	}
	return child{"pod " + pod.Name, pod.State, s.age(&pod.Since), more}
}

func attempt(number int32) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprint(number)
}

// Lines returns one line for each condition of the policy, each member and each ordinal, by a key that stays the same while they change.
func (p *Policy) Lines() (keys []string, lines map[string]string) {
	lines = map[string]string{}
	add := func(key, line string) {
		keys = append(keys, key)
		lines[key] = line
	}
	name := p.Namespace + "/" + p.Name
	for i := range p.Conditions {
		c := &p.Conditions[i]
		add(name+" "+c.Type, fmt.Sprintf("%s %s=%s %s: %s", name, c.Type, c.Status, c.Reason, c.Message))
	}
	for i := range p.Members {
		m := &p.Members[i]
		key := fmt.Sprintf("%s member %d", name, m.Ordinal)
		line := fmt.Sprintf("%s %s (attempt %d)", key, m.State, m.Attempt)
		if m.Message != "" {
			line += ": " + m.Message
		}
		add(key, line)
	}
	for i := range p.Ordinals {
		o := &p.Ordinals[i]
		if o.State == "" {
			// Its objects exist, and the operator has said nothing of it yet.
			continue
		}
		key := fmt.Sprintf("%s ordinal %d", name, o.Ordinal)
		line := fmt.Sprintf("%s %s %s", key, o.State, o.Reason)
		if o.Attempt > 0 {
			line += fmt.Sprintf(" (attempt %d)", o.Attempt)
		}
		add(key, line+": "+o.Message)
	}
	return keys, lines
}

// condition returns the color of a condition that wants attention.
func (s Style) condition(c *metav1.Condition) color.Attribute {
	good := metav1.ConditionTrue
	if c.Type == drainv1alpha1.ConditionStalled {
		good = metav1.ConditionFalse
	}
	switch {
	case c.Status == good:
		return color.FgGreen
	case c.Type == drainv1alpha1.ConditionDrained, c.Type == drainv1alpha1.ConditionScaled:
		return color.FgYellow
	}
	return color.FgRed
}

// age returns how long ago a time was, as kubectl writes it.
func (s Style) age(since *metav1.Time) string {
	if since == nil || since.IsZero() {
		return ""
	}
	return duration.HumanDuration(max(0, s.Now.Sub(since.Time)))
}

func (s Style) paint(text string, with color.Attribute) string {
	if !s.Color || with == 0 || text == "" {
		return text
	}
	c := color.New(with)
	c.EnableColor()
	return c.Sprint(text)
}

// Table aligns columns. Unlike a tabwriter, it doesn't count the escape sequences of colors.
type Table struct {
	style   Style
	heading []string
	rows    [][]string
	paint   []color.Attribute
}

// NewTable returns an empty table.
func NewTable(style Style, heading ...string) *Table { return &Table{style: style, heading: heading} }

// Row adds a row, whose second cell has the color.
func (t *Table) Row(paint color.Attribute, cells ...string) {
	t.rows, t.paint = append(t.rows, cells), append(t.paint, paint)
}

// branches adds the rows of objects.
func (t *Table) branches(children []child) {
	for i, c := range children {
		branch := "├─ "
		if i == len(children)-1 {
			branch = "└─ "
		}
		t.Row(0, branch+c.name, c.state, "", c.since, "", c.more)
	}
}

// Write writes the heading and the rows. Columns without any text below the heading are left out.
func (t *Table) Write(out io.Writer) {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for i := range widths {
		if i < len(t.heading) && widths[i] > 0 {
			widths[i] = max(widths[i], utf8.RuneCountInString(t.heading[i]))
		}
	}
	line := func(cells []string, paint func(column int, cell string) string) {
		var line strings.Builder
		for i, cell := range cells {
			if i < len(widths) && widths[i] > 0 {
				line.WriteString(paint(i, cell) + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
	if len(t.heading) > 0 && len(t.rows) > 0 {
		line(t.heading, func(_ int, cell string) string { return t.style.paint(cell, color.Bold) })
	}
	for n, row := range t.rows {
		line(row, func(column int, cell string) string {
			if column != 1 {
				return cell
			}
			return t.style.paint(cell, t.paint[n])
		})
	}
}
