package report

import (
	"fmt"
	"strings"
)

// Markdown returns the tables of results.
func Markdown(all []*Results) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| run | scenario | N (orphans) | operator s | bare s | ratio | writes a drain (bare) | live looks a drain | operator CPU s | peak RSS MiB | Job delay p99 s |")
	for _, r := range all {
		for i := range r.Measurements {
			m := &r.Measurements[i]
			if m.Operator == nil {
				fmt.Fprintf(&b, "| %s | %s | %d (%d) | %s\n", r.Label, m.Scenario, m.Sets, m.Orphans(), m.Note)
				continue
			}
			n := float64(m.Orphans())
			bare, writes := 0.0, 0.0
			if m.Bare != nil {
				bare, writes = m.Bare.Seconds, float64(m.Bare.Requests.Writes)/n
			}
			o := m.Operator
			fmt.Fprintf(&b, "| %s | %s | %d (%d) | %.1f | %.1f | %.1f | %.1f (%.1f) | %.1f | %.1f | %.0f | %.1f | %s\n", r.Label, m.Scenario, m.Sets, m.Orphans(),
				o.Seconds, bare, m.Ratio(), float64(o.Requests.Writes)/n, writes, float64(o.Requests.LiveLooks)/n, o.CPUSeconds, o.PeakMiB, o.JobDelay.P99, m.Note)
		}
	}
	return b.String()
}

// Render is to come.
func Render(files []string, document, chart string) error { return nil }
