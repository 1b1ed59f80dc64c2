package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statefulset-dev/drain-operator/test/bench/audit"
	"github.com/statefulset-dev/drain-operator/test/bench/cluster"
	"github.com/statefulset-dev/drain-operator/test/bench/report"
	"github.com/statefulset-dev/drain-operator/test/bench/track"
)

// One drains one ordinal on a quiet cluster, and lists what happened step by step.
func (b *Bench) One(ctx context.Context, shape report.Shape) (m report.Measurement, err error) {
	m.Shape = shape
	s, err := b.session(ctx)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	sets := makeSets("operator", shape)
	if err := s.create(ctx, "operator", sets, 0, true); err != nil {
		return m, err
	}
	if err := s.startOperator(ctx); err != nil {
		return m, err
	}
	run, tracker, start, err := s.operatorBurst(ctx, name(shape), sets, true)
	if err != nil {
		return m, err
	}
	m.Operator = run
	requests, err := audit.Window(s.cluster.AuditLog(), start, time.Now())
	if err != nil {
		return m, err
	}
	m.Timeline = timeline(start, requests, tracker.Sights())
	b.Report("%s: operator %.2f s", name(shape), run.Seconds)
	if err := s.stopOperator(ctx); err != nil || !b.WithBare {
		return m, err
	}
	sets = makeSets("bare", shape)
	if err := s.create(ctx, "bare", sets, 0, false); err != nil {
		return m, err
	}
	m.Bare, err = s.bareBurst(ctx, sets)
	return m, err
}

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
