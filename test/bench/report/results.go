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
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/statefulset-dev/drain-operator/test/bench/audit"
)

// Results are those of one run of the benchmark.
type Results struct {
	// Label is the name of the run in tables and in the chart, for example "before".
	Label string `json:"label"`
	// Revision is the revision of the operator.
	Revision string    `json:"revision"`
	Time     time.Time `json:"time"`
	Machine  Machine   `json:"machine"`
	// Kubernetes is the version of the control plane.
	Kubernetes string   `json:"kubernetes"`
	Args       []string `json:"args"`
	Env        []string `json:"env,omitempty"`

	Measurements []Measurement `json:"measurements"`
}

// Machine is what the benchmark ran on.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	// Load is the load average when the run began: other work on the machine makes it slower.
	Load string `json:"load"`
}

// Shape is what a measurement is about.
type Shape struct {
	// Scenario is the name of the flag's value.
	Scenario string `json:"scenario"`
	// Sets shrink from From replicas to To, in a number of namespaces.
	Sets       int   `json:"sets,omitempty"`
	Namespaces int   `json:"namespaces,omitempty"`
	From       int32 `json:"from,omitempty"`
	To         int32 `json:"to,omitempty"`
	// Concurrency is spec.maxConcurrentDrains.
	Concurrency int `json:"concurrency,omitempty"`
	// Foreign is the number of pods of others.
	Foreign int `json:"foreign,omitempty"`
	// Idle are the sets that do not shrink, Claims all claims, and Policies all policies, where these are what is measured.
	Idle     int `json:"idle,omitempty"`
	Claims   int `json:"claims,omitempty"`
	Policies int `json:"policies,omitempty"`
	// DefaultLimits says that the controllers of Kubernetes have their own client-side limits.
	DefaultLimits bool `json:"defaultLimits,omitempty"`
	// Flood is the number of writes a second of another tenant.
	Flood int `json:"flood,omitempty"`
}

// Orphans is the number of ordinals that are drained.
func (s Shape) Orphans() int { return s.Sets * int(s.From-s.To) }

// Measurement is one scenario of one size.
type Measurement struct {
	Shape
	Operator *Run `json:"operator,omitempty"`
	Bare     *Run `json:"bare,omitempty"`
	// Timeline is what happened in a drain, step by step.
	Timeline []Moment `json:"timeline,omitempty"`
	// Note says what went wrong, or what a reader has to know.
	Note string `json:"note,omitempty"`
}

// Run is what one agent did.
type Run struct {
	// Seconds is the time from the moment before the first StatefulSet was scaled until the last trace of the last drain was gone.
	Seconds float64 `json:"seconds"`
	// Requests are counted over the same time, and two seconds more, in which the last status is written.
	Requests audit.Counts `json:"requests"`
	// JobDelay is the time from the end of the StatefulSet's own pod until the creation of the Job.
	JobDelay Quantiles `json:"jobDelay"`
	// CPUSeconds, PeakMiB and RestMiB are what the process took of the machine.
	CPUSeconds float64 `json:"cpuSeconds,omitempty"`
	PeakMiB    float64 `json:"peakMiB,omitempty"`
	RestMiB    float64 `json:"restMiB,omitempty"`
	// Processors are the seconds of processor time that each process took in a burst, by its name.
	Processors map[string]float64 `json:"processors,omitempty"`
}

// Moment is a line of a timeline.
type Moment struct {
	// Millis are milliseconds since the StatefulSet was scaled.
	Millis float64 `json:"millis"`
	// Who is "operator", or "cluster" for what others did.
	Who  string `json:"who"`
	What string `json:"what"`
}

// Quantiles sum up a number of times, in seconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// QuantilesOf returns the quantiles of times by the nearest rank: each is a time that was measured.
func QuantilesOf(times []time.Duration) Quantiles {
	if len(times) == 0 {
		return Quantiles{}
	}
	sorted := slices.Sorted(slices.Values(times))
	rank := func(percent int) float64 {
		return sorted[max(0, (len(sorted)*percent+99)/100-1)].Seconds()
	}
	return Quantiles{P50: rank(50), P99: rank(99), Max: rank(100)}
}

// Ratio returns how much longer the operator took than the bare client; 0 if one of them was not measured.
func (m *Measurement) Ratio() float64 {
	if m.Operator == nil || m.Bare == nil || m.Bare.Seconds == 0 {
		return 0
	}
	return m.Operator.Seconds / m.Bare.Seconds
}

// Best returns the measurements with only the fastest of each shape left. What slows a run down on a shared machine is seldom
// the operator.
func Best(all []Measurement) []Measurement {
	var best []Measurement
	for _, m := range all {
		i := slices.IndexFunc(best, func(b Measurement) bool { return b.Shape == m.Shape })
		switch {
		case i < 0:
			best = append(best, m)
		case best[i].Note != "" && m.Note == "", m.Operator != nil && best[i].Operator != nil && m.Operator.Seconds < best[i].Operator.Seconds:
			best[i] = m
		}
	}
	return best
}

// Load reads a file of results.
func Load(file string) (*Results, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	results := &Results{}
	if err := json.Unmarshal(content, results); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return results, nil
}

// Save writes a file of results.
func (r *Results) Save(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}
