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

package plan

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files of the stories")

// tale is one story: what it shows, and the script that plays it.
type tale struct {
	// file is the name of its golden file, and shows says what it is about, with the promise.
	file, shows string
	play        func() *story
}

// TestStories plays every story, and compares its lines with the golden file.
func TestStories(t *testing.T) {
	files, states, played := []string{"README.md", "states.txt"}, map[string]bool{}, 0
	for _, tale := range tales {
		t.Run(tale.file, func(t *testing.T) {
			s := tale.play()
			for _, broken := range s.broken {
				t.Error(broken)
			}
			compareWithGolden(t, tale.file+".txt", wrapped(tale.shows)+"\n"+s.text.String())
			maps.Copy(states, s.states)
			played++
		})
		files = append(files, tale.file+".txt")
	}
	if played == len(tales) {
		compareWithGolden(t, "states.txt", "# The states of policies in the stories, for test/health. Written like the stories.\n"+
			strings.Join(slices.Sorted(maps.Keys(states)), "\n")+"\n")
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(files, entry.Name()) {
			t.Errorf("testdata/%s is of no story; delete it", entry.Name())
		}
	}
}

func compareWithGolden(t *testing.T, file, got string) {
	t.Helper()
	golden := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the story is not the one in %s; to accept it, "+
			"run go test ./internal/plan -run TestStories -update (-want +got):\n%s", golden, diff)
	}
}

// wrapped returns a text in lines of at most 120 characters.
func wrapped(text string) string {
	var lines strings.Builder
	width := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case width > 0 && width+1+len(word) > 120:
			lines.WriteString("\n")
			width = 0
		case width > 0:
			lines.WriteString(" ")
			width++
		}
		lines.WriteString(word)
		width += len(word)
	}
	lines.WriteString("\n")
	return lines.String()
}

// TestABrokenPromiseIsReported breaks each promise in a story on purpose, and wants the story to say so.
func TestABrokenPromiseIsReported(t *testing.T) {
	drainRuns := func(change func(*world)) *story {
		s := orphanedOrdinals(change, 2)
		s.until("starts the pod")
		return s
	}
	condition := func(s *story, kind string) *metav1.Condition {
		return meta.FindStatusCondition(s.policies[0].Status.Conditions, kind)
	}
	for want, breaks := range map[string]func() *story{
		"claim data-web-2 is deleted, and a pod may have used it since its drain": func() *story {
			s := orphanedOrdinals(deleteClaims, 2)
			s.protocol = s.protocol.Without("void-used").Without("doubt-used")
			s.until("mark: MarkClaim")
			s.debug("data-web-2")
			s.goOn()
			return s
		},
		"claim data-web-2 is marked, and a pod may have used it since its drain": func() *story {
			s := drainRuns(nil)
			s.drainEnds("ends, and a debugger leaves the receipt", ended(0, ""))
			s.goOn()
			return s
		},
		"two writers: a drain pod of ordinal 2 runs beside pod web-2": func() *story {
			s := drainRuns(nil)
			s.stripLock(2)
			s.scale(3)
			s.setController()
			s.setController()
			return s
		},
		"a drain pod of ordinal 2 runs without its lock": func() *story {
			s := drainRuns(nil)
			s.stripLock(2)
			clear(s.forced)
			s.check()
			return s
		},
		"two drain pods of ordinal 2 run": func() *story {
			s := drainRuns(nil)
			s.createDrainPod(s.jobs[0])
			s.pods[len(s.pods)-1].Spec.SchedulingGates = nil
			s.check()
			return s
		},
		"lock web-2 stands, and its policy has no finalizer": func() *story {
			s := drainRuns(nil)
			s.policies[0].Finalizers = nil
			s.check()
			return s
		},
		"condition Ready lacks status, reason or message": func() *story {
			s := drainRuns(nil)
			meta.RemoveStatusCondition(&s.policies[0].Status.Conditions, drainv1alpha1.ConditionReady)
			s.check()
			return s
		},
		"condition Stalled lacks status, reason or message": func() *story {
			s := drainRuns(nil)
			condition(s, drainv1alpha1.ConditionStalled).Message = ""
			s.check()
			return s
		},
		"condition Drained is of generation 6, and the policy's is 7": func() *story {
			s := drainRuns(nil)
			condition(s, drainv1alpha1.ConditionDrained).ObservedGeneration--
			s.check()
			return s
		},
		"the status is of generation 9, and the policy's is 7": func() *story {
			s := drainRuns(nil)
			status := s.policies[0].Status.DeepCopy()
			status.ObservedGeneration = 9
			s.checkStatus(*status, 7)
			return s
		},
		"Drained is True, and ordinal 2 is Draining": func() *story {
			s := drainRuns(nil)
			condition(s, drainv1alpha1.ConditionDrained).Status = metav1.ConditionTrue
			s.check()
			return s
		},
		"Stalled is True for InvalidTemplate, and Ready is True": func() *story {
			s := drainRuns(nil)
			stalled := condition(s, drainv1alpha1.ConditionStalled)
			stalled.Status, stalled.Reason = metav1.ConditionTrue, drainv1alpha1.ReasonInvalidTemplate
			s.check()
			return s
		},
		"it does not come to rest": func() *story {
			s := orphanedOrdinals(nil, 2)
			s.protocol = append(Protocol{rule{
				id: "restless", in: anywhere, when: always, state: drainv1alpha1.DrainDraining,
				reason: drainv1alpha1.ReasonLocked, say: says("restless"), then: changeNothing,
			}}, s.protocol...)
			s.goOn()
			return s
		},
		"it never comes to": func() *story {
			s := orphanedOrdinals(nil, 2)
			s.until("no line has this")
			return s
		},
		"a column is too narrow": func() *story {
			s := orphanedOrdinals(nil, 2)
			s.userDoes("%s", strings.Repeat("x", widest))
			return s
		},
	} {
		t.Run(want, func(t *testing.T) {
			if s := breaks(); !strings.Contains(strings.Join(s.broken, "\n"), want) {
				t.Errorf("the broken promises are %q, want %q among them", s.broken, want)
			}
		})
	}
}

// changeNothing is a step that is taken again and again.
var changeNothing = &action{"DeleteJob", func(*evidence) Step { return DeleteJob{Job: &batchv1.Job{}} }}
