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

package annotation

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// broken are annotations of a size, each with a mistake that comes last.
func broken(size int) map[string]string {
	fill := func(head, item, tail string) string {
		room := size - len(head) - len(tail)
		var middle strings.Builder
		for number := 0; ; number++ {
			next := item
			if strings.Contains(item, "%d") {
				next = fmt.Sprintf(item, number)
			}
			if middle.Len()+len(next) > room {
				return head + middle.String() + tail
			}
			middle.WriteString(next)
		}
	}
	return map[string]string{
		"labels":     fill(`{"metadata":{"labels":{`, `"k%d":"",`, `"z":1}},"spec":{"containers":[{"name":"a"}]}}`),
		"arguments":  fill(`{"spec":{"containers":[{"name":"a","args":[`, `"",`, `1]}]}}`),
		"containers": fill(`{"spec":{"containers":[`, `{"name":"`+strings.Repeat("a", size/1024)+`"},`, `{"name":1}]}}`),
		"quantity": fill(`{"spec":{"containers":[`,
			`{"name":"`+strings.Repeat("a", size/1024)+`"},`, `{"resources":{"limits":{"cpu":"x"}}}]}}`),
		"no objects": fill(`{"spec":{"containers":[`, `{},`, `{"name":1}]}}`),
		"unknown":    fill(`{"spec":{"containers":[{"name":"a"}],"x":[`, `[],`, `[]]}}`),
		"syntax":     fill(`{"spec":{"containers":[`, `{},`, `]}}`),
		"one string": fill(`{"spec":{"containers":[{"name":"`, `a`, `"}],"nodeName":"n"}}`),
	}
}

func BenchmarkParseBroken(b *testing.B) {
	for name, text := range broken(drainv1alpha1.MaxTemplateBytes) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(text); err == nil {
					b.Fatal("it is accepted")
				}
			}
		})
	}
}

// TestParseBrokenCostsLittle holds that to find a mistake costs not many times what decoding the text costs, since each
// look at the policy pays for it. Allocations are counted because they are the same on every machine.
func TestParseBrokenCostsLittle(t *testing.T) {
	for name, text := range broken(drainv1alpha1.MaxTemplateBytes) {
		t.Run(name, func(t *testing.T) {
			decoded := allocated(func() { _, _ = decode(text) })
			parsed := allocated(func() { _, _ = Parse(text) })
			t.Logf("decoding: %d bytes, with the mistake's place: %d", decoded, parsed)
			if limit := 4*decoded + 4<<20; parsed > limit {
				t.Errorf("finding the mistake allocates %d bytes, want at most %d; decoding allocates %d", parsed, limit, decoded)
			}
		})
	}
	// The largest annotations that the API server takes, 256 KiB, aren't even decoded.
	for name, text := range broken(256 * 1024) {
		if bytes := allocated(func() { _, _ = Parse(text) }); bytes > 16384 {
			t.Errorf("%s: refusing an annotation of 256 KiB allocates %d bytes, want at most 16384", name, bytes)
		}
	}
}

// allocated returns how many bytes a function allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
