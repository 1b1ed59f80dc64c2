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

package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/statefulset-dev/drain-operator/test/bench/audit"
	"github.com/statefulset-dev/drain-operator/test/bench/cluster"
	"github.com/statefulset-dev/drain-operator/test/bench/report"
	"github.com/statefulset-dev/drain-operator/test/bench/track"
)

// timeline merges the requests of the operator with what the watches saw. Reads are summed up in the next write.
func timeline(start time.Time, requests []audit.Request, sights []track.Sight) []report.Moment {
	var moments []report.Moment
	add := func(at time.Time, who, what string) {
		moments = append(moments, report.Moment{Millis: float64(at.Sub(start).Microseconds()) / 1000, Who: who, What: what})
	}
	requests = slices.DeleteFunc(slices.Clone(requests), func(r audit.Request) bool {
		return r.User != cluster.Operator || r.Verb == "watch" || r.Resource == "leases" || r.Resource == ""
	})
	slices.SortFunc(requests, func(a, b audit.Request) int { return a.Done.Compare(b.Done) })
	reads, looks := 0, 0
	for i := range requests {
		r := &requests[i]
		switch r.Verb {
		case "get", "list":
			reads++
			if r.LiveLook() {
				looks++
			}
			continue
		}
		what := fmt.Sprintf("%s %s", r.Verb, r.Resource)
		if r.Subresource != "" {
			what += "/" + r.Subresource
		}
		if r.Name != "" {
			what += " " + r.Name
		}
		if r.DryRun() {
			what += " (dry run)"
		}
		what += fmt.Sprintf(": %d in %.1f ms", r.Code, float64(r.Done.Sub(r.Received).Microseconds())/1000)
		if reads > 0 {
			what += fmt.Sprintf(", after %d reads, %d of them lists of pods", reads, looks)
		}
		reads, looks = 0, 0
		add(r.Done, "operator", what)
	}
	for _, sight := range sights {
		add(sight.Time, "cluster", sight.Text)
	}
	slices.SortStableFunc(moments, func(a, b report.Moment) int { return cmp.Compare(a.Millis, b.Millis) })
	return moments
}
