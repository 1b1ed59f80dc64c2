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

package objects

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/proof"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// recordTexts is a folder of testdata to write the texts of today into; docs/upgrade.md has the rest.
var recordTexts = flag.String("record-texts", "", "version whose texts.json is written into testdata")

// formats returns the versions of formats that are recorded, the oldest first.
func formats(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	number := func(version string) (n [3]int) {
		if _, err := fmt.Sscanf(version, "v%d.%d.%d", &n[0], &n[1], &n[2]); err != nil {
			t.Fatalf("testdata/%s is no version: %v", version, err)
		}
		return n
	}
	var versions []string
	for _, entry := range entries {
		versions = append(versions, entry.Name())
	}
	slices.SortFunc(versions, func(a, b string) int {
		x, y := number(a), number(b)
		return slices.Compare(x[:], y[:])
	})
	if len(versions) == 0 {
		t.Fatal("no format is recorded")
	}
	return versions
}

func readRecorded(t *testing.T, version, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", version, name+".json"))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// recorded is what an operator of a version has in a cluster, with a drain in each phase.
type recorded struct {
	plan.Snapshot
	set *appsv1.StatefulSet
	// at is when it was recorded, to the second.
	at time.Time
}

func readSnapshot(t *testing.T, version string) recorded {
	t.Helper()
	var policies drainv1alpha1.DrainPolicyList
	var sets appsv1.StatefulSetList
	var pods corev1.PodList
	var jobs batchv1.JobList
	var list corev1.PersistentVolumeClaimList
	for name, into := range map[string]any{"policies": &policies, "statefulsets": &sets, "pods": &pods, "jobs": &jobs, "claims": &list} {
		readRecorded(t, version, name, into)
	}
	r := recorded{set: &sets.Items[0]}
	policy := &policies.Items[0]
	r.Snapshot = plan.Snapshot{
		Policy: policy, Template: policy.Spec.Template, Target: statefulset.Of(r.set),
		Claims: list.Items, Pods: pods.Items, Jobs: jobs.Items,
	}
	r.TemplateHash = TemplateHash(policy, &r.Template, r.Target)
	r.Preflight.About = r.Subject()
	for i := range policy.Status.Drains {
		if moved := policy.Status.Drains[i].LastTransitionTime; moved.After(r.at) {
			r.at = moved.Time
		}
	}
	return r
}

func (r *recorded) lock(t *testing.T, ordinal int32) *corev1.Pod {
	t.Helper()
	for i := range r.Pods {
		if r.Pods[i].Name == r.Target.PodName(ordinal) {
			return &r.Pods[i]
		}
	}
	t.Fatalf("no lock of ordinal %d is recorded", ordinal)
	return nil
}

func (r *recorded) claim(t *testing.T, ordinal int32) *corev1.PersistentVolumeClaim {
	t.Helper()
	for i := range r.Claims {
		if r.Claims[i].Name == r.Target.ClaimName("data", ordinal) {
			return &r.Claims[i]
		}
	}
	t.Fatalf("no claim of ordinal %d is recorded", ordinal)
	return nil
}

func (r *recorded) jobName(t *testing.T, ordinal int32) string {
	t.Helper()
	return plan.JobName(r.Target.Name, r.Policy.UID, ordinal, r.lock(t, ordinal).UID, []types.UID{r.claim(t, ordinal).UID}, 1)
}

// TestRecordedFormats reads what operators of each recorded version have left in a real cluster, a drain in each phase. Today's operator
// must see the same phases, and go on from there.
func TestRecordedFormats(t *testing.T) {
	for _, version := range formats(t) {
		t.Run(version, func(t *testing.T) {
			r := readSnapshot(t, version)
			made := plan.Make(r.Snapshot, r.at)
			for ordinal, want := range map[int32]struct{ rule, step string }{
				7: {"claims-gone", "RemoveLockFinalizer"},
				6: {"await-deletion", ""},
				5: {"mark", "MarkClaim"},
				4: {"job-runs", ""},
				3: {"start", "StartJob"},
				2: {"wait-for-slot", ""},
			} {
				d := made.Drain(ordinal)
				if d == nil || d.Rule != want.rule || plan.StepName(d.Next) != want.step {
					t.Errorf("ordinal %d: the decision is %+v, want rule %s, step %q", ordinal, d, want.rule, want.step)
				}
			}
			for ordinal := int32(3); ordinal <= 7; ordinal++ {
				if !plan.IsLock(r.lock(t, ordinal), r.Policy.UID) {
					t.Errorf("ordinal %d: the lock is not one of the policy", ordinal)
				}
			}
			for _, ordinal := range []int32{4, 5} {
				if d := made.Drain(ordinal); d != nil && (d.Job == nil || d.Attempts != 1) {
					t.Errorf("ordinal %d: the Job is %v, attempt %d, want that of attempt 1", ordinal, d.Job, d.Attempts)
				}
			}
			if mark := claims.ReadMark(r.claim(t, 6)); !mark.HoldsUnder(r.lock(t, 6).UID) || !mark.HoldsAt(r.set.UID, 3) {
				t.Errorf("the mark under the lock is %v, want one that holds, at generation 3", mark)
			}
		})
	}
}

// identity is what makes an object the operator's own.
type identity struct {
	Name                string
	Labels, Annotations map[string]string
	Finalizers          []string
	Owners              []metav1.OwnerReference
	Gates               []corev1.PodSchedulingGate
	Environment         map[string]string
}

func identityOf(object metav1.Object, pod *corev1.PodSpec) identity {
	id := identity{
		Name: object.GetName(), Labels: object.GetLabels(), Annotations: object.GetAnnotations(),
		Finalizers: object.GetFinalizers(), Owners: object.GetOwnerReferences(), Gates: pod.SchedulingGates, Environment: map[string]string{},
	}
	for _, variable := range pod.Containers[0].Env {
		value := variable.Value
		if slices.Contains([]string{"DRAIN_REPLICAS", "DRAIN_PEERS"}, variable.Name) {
			value = "" // They have changed since the Job was created.
		}
		id.Environment[variable.Name] = value
	}
	return id
}

// TestTodaysFormatIsRecorded holds that today's operator writes what the latest recorded version does. If that fails, the format has
// changed: docs/upgrade.md has the rule for that.
func TestTodaysFormatIsRecorded(t *testing.T) {
	versions := formats(t)
	r := readSnapshot(t, versions[len(versions)-1])
	same := func(what string, want, got any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s has changed (-recorded +today):\n%s", what, diff)
		}
	}
	recordedLock := r.lock(t, 3)
	lock := Lock(r.Policy, &r.Template, r.Target, 3)
	same("the lock", identityOf(recordedLock, &recordedLock.Spec), identityOf(lock, &lock.Spec))

	index := slices.IndexFunc(r.Jobs, func(j batchv1.Job) bool { return j.Labels[drainv1alpha1.OrdinalLabel] == "4" })
	recordedJob := &r.Jobs[index]
	job := Job(r.Policy, &r.Template, r.Target, Attempt{Job: r.jobName(t, 4), Ordinal: 4, Number: 1, LockUID: r.lock(t, 4).UID})
	same("the Job", identityOf(recordedJob, &recordedJob.Spec.Template.Spec), identityOf(job, &job.Spec.Template.Spec))
	pod := slices.IndexFunc(r.Pods, func(p corev1.Pod) bool { return p.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleDrain })
	same("the hash of the images", r.Pods[pod].Annotations[drainv1alpha1.ImagesAnnotation], proof.Images(&r.Pods[pod].Spec))

	text := r.claim(t, 6).Annotations[drainv1alpha1.DrainedAnnotation]
	same("the mark", text, claims.ParseMark(r.claim(t, 6)).String())
	annotations := r.lock(t, 6).Annotations
	var attempt plan.Attempt
	if err := json.Unmarshal([]byte(annotations[drainv1alpha1.AttemptAnnotation]), &attempt); err != nil {
		t.Fatal(err)
	}
	same("the note of an attempt", annotations[drainv1alpha1.AttemptAnnotation], attempt.String())
	name, resourceVersion, _ := strings.Cut(annotations[drainv1alpha1.DeletingAnnotation], "=")
	same("the note of deletions", annotations[drainv1alpha1.DeletingAnnotation], plan.DeletionNote{name: resourceVersion}.String())

	var want map[string]string
	if *recordTexts != "" {
		content, err := json.MarshalIndent(texts(), "", "  ")
		if err == nil {
			err = os.WriteFile(filepath.Join("testdata", *recordTexts, "texts.json"), append(content, '\n'), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	readRecorded(t, versions[len(versions)-1], "texts", &want)
	same("a text", want, texts())
}

// texts are those kinds of marks and notes that are rarer than what a cluster shows, and the names of all fields: a field that is
// added is a change of the format, too, because older versions don't understand what has a field that they don't know.
func texts() map[string]string {
	noon := metav1.NewTime(time.Date(2026, time.August, 1, 12, 0, 0, 0, time.UTC))
	mark := claims.Mark{
		ClaimUID: "claim", LockUID: "lock", JobUID: "job-uid", StatefulSetUID: "set", Generation: 3, UnusedSince: &noon,
		Attempts: 2, Job: "job", Time: noon, Outcome: "moved 12 records",
	}
	absent := mark
	absent.Absent, absent.Generation = true, 0
	fields := func(of any) string {
		var names []string
		for field := range reflect.TypeOf(of).Fields() {
			names = append(names, field.Tag.Get("json"))
		}
		return strings.Join(names, " ")
	}
	return map[string]string{
		"mark":                   mark.String(),
		"mark, void":             mark.Void().String(),
		"mark, released":         mark.Release("lock").String(),
		"mark, void, released":   mark.Void().Release("lock").String(),
		"mark, no StatefulSet":   absent.String(),
		"attempt, open":          plan.Attempt{Number: 1, Asked: noon, TemplateHash: "hash"}.String(),
		"attempt, failed":        plan.Attempt{Number: 2, Asked: noon, TemplateHash: "hash", Failed: &noon, Late: 1, Reason: "NotProven", Why: "why"}.String(),
		"attempt, seen unused":   plan.Attempt{Number: 1, Asked: noon, TemplateHash: "hash", UnusedFrom: &noon, SeenUnused: &noon, Looks: 3}.String(),
		"deletions":              plan.DeletionNote{"data-web-2": "7", "logs-web-2": "8"}.String(),
		"name of a Job":          plan.JobName("web", "policy", 2, "lock", []types.UID{"b", "a"}, 3),
		"name of a Job, cut":     plan.JobName(strings.Repeat("web", 20), "policy", 2, "lock", []types.UID{"a"}, 1),
		"name of a Job, leave":   LeaveName("web", "policy", Leave{Ordinal: 2, Number: 3, Action: drainv1alpha1.ActionLeave, PodUID: "pod"}),
		"receipt":                plan.Receipt("job"),
		"fields of a mark":       fields(claims.Mark{}),
		"fields of an attempt":   fields(plan.Attempt{}),
		"finalizer of a policy":  drainv1alpha1.PolicyFinalizer,
		"annotations of a claim": drainv1alpha1.DrainedAnnotation + " " + drainv1alpha1.SkipAnnotation,
	}
}

// TestRecordedTextsAreRead holds that today's operator understands the marks and notes of every recorded version.
func TestRecordedTextsAreRead(t *testing.T) {
	for _, version := range formats(t) {
		t.Run(version, func(t *testing.T) {
			var recorded map[string]string
			readRecorded(t, version, "texts", &recorded)
			read := func(name string) *claims.Mark {
				t.Helper()
				claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
					UID: "claim", Annotations: map[string]string{drainv1alpha1.DrainedAnnotation: recorded[name]},
				}}
				mark := claims.ParseMark(claim)
				if mark == nil {
					t.Fatalf("the %s can't be read: %s", name, recorded[name])
				}
				return mark
			}
			for name, want := range map[string]struct {
				under, at, absent bool
				released          types.UID
			}{
				"mark":                 {under: true, at: true},
				"mark, void":           {},
				"mark, released":       {at: true, released: "lock"},
				"mark, void, released": {released: "lock"},
				"mark, no StatefulSet": {under: true, absent: true},
			} {
				mark := read(name)
				if mark.HoldsUnder("lock") != want.under || mark.HoldsAt("set", 3) != want.at || mark.HoldsAbsent("set") != want.absent ||
					mark.ReleasedUID != want.released || mark.JobUID != "job-uid" || mark.Attempts != 2 {
					t.Errorf("the %s is read as %s, want %+v", name, mark, want)
				}
			}
			r := readSnapshot(t, version)
			lock := r.lock(t, 3)
			lock.Annotations[drainv1alpha1.AttemptAnnotation] = recorded["attempt, failed"]
			r.Policy.Spec.Retry.MaxAttempts = ptr.To[int32](2)
			made := plan.Make(r.Snapshot, r.at)
			if d := made.Drain(3); d == nil || d.Attempts != 2 || d.Reason != drainv1alpha1.ReasonNotProven && d.Reason != drainv1alpha1.ReasonAttemptsExhausted {
				t.Errorf("with the note of a failed attempt, the decision is %+v, want attempt 2 failed", d)
			}
		})
	}
}
