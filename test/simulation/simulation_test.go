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

package simulation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

var (
	seedCount   = flag.Int("sim.seeds", 300, "the number of histories with fixed seeds, from sim.first on")
	firstSeed   = flag.Uint64("sim.first", 0, "the first of the fixed seeds, to go on with a long run")
	freshSeed   = flag.Int("sim.fresh", 0, "the number of histories with seeds that were never seen before")
	oneSeed     = flag.Int64("sim.seed", -1, "simulate this seed only")
	shrinking   = flag.Bool("sim.shrink", true, "make a failing history shorter before it is printed")
	safetyOnly  = flag.Bool("sim.safety", false, "assert nothing about what must come of a history in the end")
	onlyProfile = flag.String("sim.profile", "", "simulate only histories of the profile with this name")
	drop        = flag.String("sim.drop", "", "take the rules of the protocol with these names away, which commas separate")
	coverage    = flag.Bool("sim.coverage", true, "assert that every rule of the protocol has applied, if there are enough histories")
	showTrace   = flag.Bool("sim.trace", false, "with -sim.seed, print the trace of the whole history, also if nothing breaks")
)

func TestMain(m *testing.M) {
	flag.Parse()
	for i := range profiles {
		if *onlyProfile != "" {
			profiles[i].often = 0
			if profiles[i].name == *onlyProfile {
				profiles[i].often = 1
			}
		}
	}
	if *onlyProfile != "" && !slices.ContainsFunc(profiles, func(p profile) bool { return p.often > 0 }) {
		panic("there is no profile " + *onlyProfile)
	}
	if *drop != "" {
		for name := range strings.SplitSeq(*drop, ",") {
			if !slices.Contains(rules.Names(), name) && !slices.Contains(scalingRules.Names(), name) {
				panic("there is no rule " + name)
			}
			rules, scalingRules = rules.Without(name), scalingRules.Without(name)
		}
	}
	log.SetLogger(klog.New(log.NullLogSink{}))
	debug.SetGCPercent(1600)
	m.Run()
}

// progressEvery is the number of histories after which a long run tells how far it is.
const progressEvery = 10_000

// TestPromisesHold simulates histories and expects every invariant to hold at every step.
func TestPromisesHold(t *testing.T) {
	cache, err := newManagerCache()
	if err != nil {
		t.Fatal(err)
	}
	if *oneSeed >= 0 {
		simulateSeed(t, cache, uint64(*oneSeed), *showTrace)
		return
	}
	base := rand.Uint64() >> 12
	t.Logf("%d fixed seeds from %d on, and %d fresh ones from %d on", *seedCount, *firstSeed, *freshSeed, base)
	start := time.Now()
	var next atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for !t.Failed() {
				n := next.Add(1) - 1
				if n > 0 && n%progressEvery == 0 {
					t.Logf("%d histories in %.0f s, and none breaks an invariant", n, time.Since(start).Seconds())
				}
				switch {
				case n < int64(*seedCount):
					simulateSeed(t, cache, *firstSeed+uint64(n), false)
				case n < int64(*seedCount+*freshSeed):
					simulateSeed(t, cache, base+uint64(n), false)
				default:
					return
				}
			}
		})
	}
	group.Wait()
	if missing := neverApplied(); len(missing) > 0 {
		t.Logf("rules that applied in none: %s", strings.Join(missing, ", "))
		if next.Load() > coverageSeeds && *coverage && *onlyProfile == "" && *drop == "" {
			t.Errorf("%d rules applied in none of %d histories", len(missing), next.Load())
		}
	}
	done := min(next.Load(), int64(*seedCount+*freshSeed))
	t.Logf("%d histories in %.1f s", done, time.Since(start).Seconds())
}

// simulateSeed simulates one history; if an invariant breaks, it prints the shortest trace found
// that breaks it too.
func simulateSeed(t *testing.T, cache *managerCache, seed uint64, show bool) {
	var trace *strings.Builder
	if show {
		trace = &strings.Builder{}
	}
	w, history := simulate(cache, nil, drawFrom(seed), trace)
	if show {
		t.Log("\n" + trace.String())
	}
	if w.broken == nil || (*safetyOnly && w.broken.invariant == invariantLiveness) {
		return
	}
	if !*shrinking {
		t.Errorf("seed %d: %s", seed, w.broken)
		return
	}
	deadline := time.Now().Add(shrinkTime)
	small := shrink(cache, history, w.broken.invariant, func() bool { return time.Now().After(deadline) })
	trace = &strings.Builder{}
	again, _ := simulate(cache, small, nil, trace)
	if again.broken == nil {
		t.Errorf("seed %d: %s (and the replay of it is another history)", seed, w.broken)
		return
	}
	t.Errorf("seed %d: %s\nthe same after %d instead of %d steps:\n%s\nrun it again with -sim.seed=%d -sim.trace",
		seed, w.broken, len(small), len(history), trace, seed)
}

// drawFrom returns the choices of a new history.
func drawFrom(seed uint64) func(step int) *choices {
	return func(step int) *choices {
		return &choices{random: rand.New(rand.NewPCG(seed, uint64(step)))}
	}
}

// TestSameSeedIsTheSameHistory holds the simulation itself to what shrinking rests on.
func TestSameSeedIsTheSameHistory(t *testing.T) {
	cache, err := newManagerCache()
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(4) {
		var first, second, replayed strings.Builder
		_, history := simulate(cache, nil, drawFrom(seed), &first)
		simulate(cache, nil, drawFrom(seed), &second)
		simulate(cache, history, nil, &replayed)
		if first.String() != second.String() {
			t.Fatalf("seed %d makes two histories", seed)
		}
		if first.String() != replayed.String() {
			t.Fatalf("the replay of seed %d is another history:\n%s", seed, firstDifference(first.String(), replayed.String()))
		}
	}
}

func firstDifference(a, b string) string {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(left), len(right)) {
		if left[i] != right[i] {
			return fmt.Sprintf("%s\n%s", left[i], right[i])
		}
	}
	return "one is longer"
}
