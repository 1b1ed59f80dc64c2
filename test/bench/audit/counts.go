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

package audit

import (
	"cmp"
	"slices"
)

// Kind is what requests of a kind have in common.
type Kind struct {
	Verb        string `json:"verb"`
	Resource    string `json:"resource"`
	Subresource string `json:"subresource,omitempty"`
	// Selector is how a list is selected; empty for other verbs.
	Selector string `json:"selector,omitempty"`
	DryRun   bool   `json:"dryRun,omitempty"`
	Code     int    `json:"code"`
}

// Count is the number of requests of a kind.
type Count struct {
	Kind
	Requests int `json:"requests"`
}

// Counts sums up the requests of one agent.
type Counts struct {
	// Requests is the number of all requests.
	Requests int `json:"requests"`
	// Writes are the writes without events, leases and dry runs, and StatusWrites those of them that report a status.
	Writes       int `json:"writes"`
	StatusWrites int `json:"statusWrites"`
	Events       int `json:"events"`
	DryRuns      int `json:"dryRuns"`
	Conflicts    int `json:"conflicts"`
	// LiveLooks are the lists of pods that no cache answers.
	LiveLooks int `json:"liveLooks"`
	Lists     int `json:"lists"`
	Gets      int `json:"gets"`
	// Throttled are the requests that the API server refused because it had too many.
	Throttled int     `json:"throttled"`
	Kinds     []Count `json:"kinds"`
}

// Sum returns the counts of a user's requests.
func Sum(requests []Request, user string) Counts {
	var c Counts
	kinds := map[Kind]int{}
	for i := range requests {
		r := &requests[i]
		if r.User != user {
			continue
		}
		c.Requests++
		kind := Kind{Verb: r.Verb, Resource: r.Resource, Subresource: r.Subresource, DryRun: r.DryRun(), Code: r.Code}
		if r.Verb == "list" {
			kind.Selector = r.Selector()
			c.Lists++
		}
		kinds[kind]++
		for _, counted := range []struct {
			number *int
			is     bool
		}{
			{&c.Writes, r.Write()},
			{&c.StatusWrites, r.Status()},
			{&c.Events, r.Event()},
			{&c.DryRuns, r.DryRun()},
			{&c.Conflicts, r.Code == 409},
			{&c.LiveLooks, r.LiveLook()},
			{&c.Gets, r.Verb == "get"},
			{&c.Throttled, r.Code == 429},
		} {
			if counted.is {
				*counted.number++
			}
		}
	}
	for kind, n := range kinds {
		c.Kinds = append(c.Kinds, Count{kind, n})
	}
	slices.SortFunc(c.Kinds, func(a, b Count) int {
		return cmp.Or(-cmp.Compare(a.Requests, b.Requests), cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Resource, b.Resource),
			cmp.Compare(a.Subresource, b.Subresource), cmp.Compare(a.Selector, b.Selector), cmp.Compare(a.Code, b.Code))
	})
	return c
}
