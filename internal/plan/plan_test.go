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
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

func TestReadyTellsWhetherAScaleDownWouldBeDrained(t *testing.T) {
	keepsClaims := func(policy appsv1.PersistentVolumeClaimRetentionPolicyType) func(*world) {
		return func(w *world) {
			w.StatefulSet.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenScaled: policy, WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
			}
		}
	}
	ownsClaims := func(w *world) {
		w.StatefulSet.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
			WhenScaled:  appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
		}
	}
	refused := func(w *world) { w.Preflight.Refusal = "pods \"web\" is forbidden" }
	ambiguous := func(w *world) {
		w.templates("data-x")
		w.Others = []claims.Identity{{Name: "x-web", Templates: []string{"data"}, MatchLabels: map[string]string{"app": "web"}}}
		w.claim("data-x", 1)
		w.claim("data-x", 0)
	}
	hides := func(w *world) {
		w.Policy.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "scratch"}, {Name: "data"}}
	}
	mounts := func(claim string) func(*world) {
		return func(w *world) {
			w.Policy.Spec.Template.Spec.Volumes = []corev1.Volume{{
				Name: "x",
				VolumeSource: corev1.VolumeSource{
					PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
				},
			}}
		}
	}
	tests := map[string]struct {
		given       func(*world)
		wantStatus  metav1.ConditionStatus
		wantReason  string
		wantSays    string
		wantStalled bool
		// wantRetryAfter is when to look again; 0 if an event will come.
		wantRetryAfter time.Duration
	}{
		"a policy is accepted": {wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted, wantSays: "will be drained"},
		"a policy with whenScaled: Retain is accepted": {
			given:      retain,
			wantStatus: "True", wantReason: drainv1alpha1.ReasonRetainsClaims, wantSays: "whenScaled",
		},
		"a StatefulSet that retains claims on scale-down is accepted": {
			given:      keepsClaims(appsv1.RetainPersistentVolumeClaimRetentionPolicyType),
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
		},
		"a policy that is being deleted is not ready": {
			given:      all(deleted, rival),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonPolicyDeleted,
		},
		"a policy beside an older one stalls": {
			given:      all(rival, refused),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonPolicyConflict, wantSays: `"older"`,
			wantStalled: true,
		},
		"a policy without a StatefulSet is not ready": {
			given:      func(w *world) { w.StatefulSet = nil },
			wantStatus: "False", wantReason: drainv1alpha1.ReasonStatefulSetNotFound,
			wantSays: `"web" does not exist in namespace "shop"`,
		},
		"a policy of a StatefulSet that is being deleted is not ready": {
			given:      setDeleted,
			wantStatus: "False", wantReason: drainv1alpha1.ReasonStatefulSetNotFound, wantSays: "being deleted",
		},
		"a StatefulSet without claim templates stalls": {
			given:      func(w *world) { w.templates() },
			wantStatus: "False", wantReason: drainv1alpha1.ReasonNoClaimTemplates, wantStalled: true,
		},
		"a StatefulSet that deletes claims on scale-down stalls": {
			given:      keepsClaims(appsv1.DeletePersistentVolumeClaimRetentionPolicyType),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonClaimsDeletedOnScaleDown,
			wantSays: "persistentVolumeClaimRetentionPolicy", wantStalled: true,
		},
		"a StatefulSet that deletes its claims with itself stalls with whenDeleted: Drain": {
			given:      all(ownsClaims, whenDeleted),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonClaimsDeletedWithStatefulSet,
			wantSays: "persistentVolumeClaimRetentionPolicy.whenDeleted", wantStalled: true,
		},
		"a StatefulSet that deletes its claims with itself is accepted with whenDeleted: Retain": {
			given:      ownsClaims,
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
		},
		"a policy with whenDeleted: Drain is accepted": {
			given:      whenDeleted,
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
		},
		"a StatefulSet that retains all claims is accepted with whenDeleted: Drain": {given: all(func(w *world) {
			keepsClaims(appsv1.RetainPersistentVolumeClaimRetentionPolicyType)(w)
			retention := w.StatefulSet.Spec.PersistentVolumeClaimRetentionPolicy
			retention.WhenDeleted = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
		}, whenDeleted), wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted},
		"a policy without a StatefulSet counts the claims named like its own": {
			given:      func(w *world) { w.claim("data", 0); w.claim("logs", 0); w.StatefulSet = nil },
			wantStatus: "False", wantReason: drainv1alpha1.ReasonStatefulSetNotFound,
			wantSays: "2 claims named like its own are there",
		},
		"a StatefulSet without matchLabels stalls": {
			given:      expressionsOnly,
			wantStatus: "False", wantReason: drainv1alpha1.ReasonNoMatchLabels,
			wantSays: "spec.selector.matchLabels", wantStalled: true,
		},
		"a StatefulSet whose pods have no grace period stalls": {
			given:      noGrace,
			wantStatus: "False", wantReason: drainv1alpha1.ReasonGracePeriodZero,
			wantSays: "terminationGracePeriodSeconds: 0", wantStalled: true,
		},
		"a StatefulSet with 100 claim templates is accepted": {
			given:      func(w *world) { w.templates(names(100)...) },
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
		},
		"a StatefulSet with 101 claim templates stalls": {
			given:      func(w *world) { w.templates(names(101)...) },
			wantStatus: "False", wantReason: drainv1alpha1.ReasonTooManyClaimTemplates,
			wantSays: "has 101 volumeClaimTemplates; a policy can drain at most 100", wantStalled: true,
		},
		"a policy with proof: ExitCode warns": {
			given:      exitCode,
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
			wantSays: "counts as a success if it exits with 0",
		},
		"a policy with proof: ExitCode that deletes claims warns of it": {
			given:      all(exitCode, deleteClaims),
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
			wantSays: "its claims are deleted with what it left on them",
		},
		"a template that was too large to keep stalls": {given: func(w *world) {
			w.Policy.Spec.Template = corev1.PodTemplateSpec{}
			metav1.SetMetaDataAnnotation(&w.Policy.ObjectMeta,
				drainv1alpha1.TemplateTooLargeAnnotation, "the template is larger than most")
		}, wantStatus: "False", wantReason: drainv1alpha1.ReasonInvalidTemplate,
			wantSays: "spec.template is refused: the template is larger than most; move", wantStalled: true},
		"a template without containers stalls": {
			given:      func(w *world) { w.Policy.Spec.Template.Spec.Containers = nil },
			wantStatus: "False", wantReason: drainv1alpha1.ReasonInvalidTemplate, wantSays: "containers is empty",
			wantStalled: true,
		},
		"a template whose volume hides a claim stalls": {
			given:      hides,
			wantStatus: "False", wantReason: drainv1alpha1.ReasonInvalidTemplate, wantSays: "volumes[1]",
			wantStalled: true,
		},
		"a template that mounts an ordinal's claim stalls": {
			given:      mounts("data-web-0"),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonInvalidTemplate,
			wantSays: `volumes[0] mounts claim "data-web-0"`, wantStalled: true,
		},
		"a template that mounts another claim is accepted": {
			given:      mounts("backup"),
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
		},
		"a template that mounts another StatefulSet's claim is accepted": {
			given:      mounts("data-api-0"),
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
		},
		"a template that the API server refuses stalls": {
			given:      all(refused, suspended),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonInvalidTemplate, wantSays: "is forbidden",
			wantStalled: true, wantRetryAfter: 30 * time.Second,
		},
		"a policy is Unknown when the API server gives no answer": {
			given:      func(w *world) { w.Preflight.Unanswered = "timeout" },
			wantStatus: "Unknown", wantReason: drainv1alpha1.ReasonPreflightFailed, wantSays: "timeout",
			wantRetryAfter: 30 * time.Second,
		},
		"a policy is Unknown before a preflight of the present template": {
			given:      all(changedSince, suspended),
			wantStatus: "Unknown", wantReason: drainv1alpha1.ReasonPreflightFailed, wantSays: "has not been asked yet",
		},
		"claims that may be another StatefulSet's stall": {
			given:      all(ambiguous, suspended),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonAmbiguousClaims,
			wantSays: `"data-x-web-0" belongs to (2 such claims)`, wantStalled: true,
		},
		"a suspended policy is accepted": {given: suspended, wantStatus: "True", wantReason: drainv1alpha1.ReasonSuspended},
		"a policy with suspend: false is accepted": {
			given:      func(w *world) { w.Policy.Spec.Suspend = ptr.To(false) },
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
		},
		"an annotation that can't be read stalls": {
			given:      unreadable,
			wantStatus: "False", wantReason: drainv1alpha1.ReasonInvalidTemplate,
			wantSays: "The template can't be read: line 1", wantStalled: true,
		},
		"an annotation whose volume hides a claim stalls": {
			given:      all(fromAnnotation, hides),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonInvalidTemplate,
			wantSays:    "spec.volumes[1] in annotation statefulsets.kubernetes.io/scaledown-pod-template is named",
			wantStalled: true,
		},
		"an annotation that the API server refuses stalls": {
			given:      all(fromAnnotation, refused),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonInvalidTemplate,
			wantSays: "annotation statefulsets.kubernetes.io/scaledown-pod-template is refused", wantStalled: true,
			wantRetryAfter: 30 * time.Second,
		},
		"a policy with a template names the annotations that it ignores": {
			given:      annotated,
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
			wantSays: "its annotations statefulsets.kubernetes.io/scaledown-pod-template and statefulsets.kubernetes.io/" +
				`drainer-pod-template are ignored, because DrainPolicy "web" has a template of its own`,
		},
		"a policy with an annotation names the other one that it ignores": {
			given:      all(fromAnnotation, annotated),
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAccepted,
			wantSays: "its annotation statefulsets.kubernetes.io/drainer-pod-template is ignored, " +
				"because statefulsets.kubernetes.io/scaledown-pod-template counts",
		},
		"a managed policy yields to an older one": {
			given:      all(rival, func(w *world) { w.Managed = true }),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonManagedPolicyYielding,
			wantSays: `gives way to DrainPolicy "older"`,
		},
		"a managed policy beside an older managed one stalls": {
			given:      all(rival, func(w *world) { w.Managed, w.RivalManaged = true, true }),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonPolicyConflict, wantStalled: true,
		},
		"an older managed policy yields": {
			given:      all(rival, func(w *world) { w.RivalManaged = true }),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonManagedPolicyYielding, wantSays: `"older"`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			plan := Make(given(tc.given).snapshot(), now)
			if plan.Ready.Status != tc.wantStatus || plan.Ready.Reason != tc.wantReason ||
				!strings.Contains(plan.Ready.Message, tc.wantSays) || plan.Ready.Message == "" {
				t.Errorf("Ready = %+v, want %s/%s with %q", plan.Ready, tc.wantStatus, tc.wantReason, tc.wantSays)
			}
			stalled := Condition{Status: "False", Reason: drainv1alpha1.ReasonProgressing, Message: plan.Stalled.Message}
			if tc.wantStalled {
				stalled = Condition{Status: "True", Reason: tc.wantReason, Message: plan.Ready.Message}
			}
			if diff := cmp.Diff(stalled, plan.Stalled); diff != "" {
				t.Errorf("Stalled (-want +got):\n%s", diff)
			}
			if got := plan.RetryAfter(); got != tc.wantRetryAfter {
				t.Errorf("RetryAfter = %v, want %v", got, tc.wantRetryAfter)
			}
		})
	}
}

func noGrace(w *world) {
	w.StatefulSet.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0)
}

func exitCode(w *world) { w.Policy.Spec.Proof = drainv1alpha1.ProofExitCode }

// names returns as many names of claim templates.
func names(count int) []string {
	list := make([]string, count)
	for i := range list {
		list[i] = fmt.Sprintf("data%d", i)
	}
	return list
}

func TestAStatefulSetWithTooManyClaimTemplatesFitsTheStatus(t *testing.T) {
	w := given(func(w *world) {
		w.templates(names(101)...)
		for i := range 101 {
			w.claim(fmt.Sprintf("data%d", i), 2)
		}
	})
	status := new(Make(w.snapshot(), now)).Status(w.Policy, metav1.NewTime(now))
	if len(status.StatefulSet.ClaimTemplates) != 0 {
		t.Errorf("the status remembers %d claim templates, want none rather than some",
			len(status.StatefulSet.ClaimTemplates))
	}
	if len(status.Drains) != 1 || len(status.Drains[0].Claims) != 100 ||
		status.Drains[0].Reason != drainv1alpha1.ReasonTooManyClaimTemplates {
		t.Errorf("the drains are %+v, want one that waits, with as many claims as the schema takes", status.Drains)
	}
}

func TestAClaimThatTheStatefulSetDidNotMakeIsLeftAlone(t *testing.T) {
	// A Deployment's, for example.
	w := given(deleteClaims, func(w *world) { w.claim("data", 15, unlabeled) })
	plan := Make(w.snapshot(), now)
	if len(plan.Drains) != 0 || len(plan.Stranded) != 1 {
		t.Errorf("the drains are %+v and the stranded claims %+v, want one of the latter", plan.Drains, plan.Stranded)
	}
	w.observedBefore()
	w.StatefulSet = nil
	w.Policy.Spec.WhenDeleted, w.Policy.Spec.MinReadyReplicas = drainv1alpha1.WhenDeletedDrain, ptr.To[int32](0)
	if plan := Make(w.snapshot(), now); len(plan.Drains) != 0 || len(plan.Stranded) != 1 {
		t.Errorf("without the StatefulSet, the drains are %+v, want none", plan.Drains)
	}
}

func TestAClaimThatOnlyItsNameTellsIsNotDrained(t *testing.T) {
	w := given(deleteClaims, expressionsOnly, func(w *world) { w.claim("data", 15, withLabel("reports")) })
	if d := new(Make(w.snapshot(), now)).Drain(15); d == nil || d.Next != nil || d.Reason != drainv1alpha1.ReasonNoMatchLabels {
		t.Errorf("the drain is %+v, want one that waits", d)
	}
}

func TestALockWithoutItsOrdinalIsDiscardedAlsoWithoutClaims(t *testing.T) {
	plan := Make(given(func(w *world) {
		w.lock(2, func(lock *corev1.Pod) { delete(lock.Labels, drainv1alpha1.OrdinalLabel) })
	}).snapshot(), now)
	if d := plan.Drain(2); d == nil || d.Rule != "discard-lock" || StepName(d.Next) != "DeleteLock" || !plan.Finalizer || plan.Policy.Next != nil {
		t.Errorf("the drain is %+v and the policy's step %+v, want the lock deleted while the policy stays", d, plan.Policy.Next)
	}
}

func TestStrandedClaimsAreNamedAndLeftAlone(t *testing.T) {
	w := given(stranded, deleteClaims, func(w *world) {
		w.claim("data", 2, withLabel("web"))
		w.claim("data", 0, withLabel("another")) // Its pod may well use it.
		w.claim("logs", 2, unlabeled)            // Nothing but the name says that it was the StatefulSet's.
		w.claim("old", 2, withLabel("web"))
	})
	plan := Make(w.snapshot(), now)
	var names []string
	for i := range plan.Stranded {
		names = append(names, plan.Stranded[i].Name)
	}
	if diff := cmp.Diff([]string{"data-web-0", "old-web-0", "old-web-2"}, names); diff != "" {
		t.Errorf("stranded claims (-want +got):\n%s", diff)
	}
	if len(plan.Drains) != 1 || plan.Drains[0].Ordinal != 2 || len(plan.Drains[0].Claims) != 1 {
		t.Errorf("the plan is about %+v, want nothing but data-web-2", plan.Drains)
	}
	if StepName(plan.Drains[0].Next) != "TakeLock" {
		t.Errorf("the next step is %q, want none to wait for the stranded", StepName(plan.Drains[0].Next))
	}
	status := plan.Status(w.Policy, metav1.NewTime(now))
	if len(status.StrandedClaims) != 3 ||
		status.StrandedClaims[0] != (drainv1alpha1.ClaimReference{Name: "data-web-0", UID: "uid-of-data-web-0"}) {
		t.Errorf("status.strandedClaims = %v, want all three with their UIDs", status.StrandedClaims)
	}
	if *status.Undrained != 1 || status.OrphanedCapacity.String() != "1Gi" {
		t.Errorf("%d orphans of %s, want the stranded claims left out", *status.Undrained, status.OrphanedCapacity)
	}
}

func TestStrandedClaimsAreBounded(t *testing.T) {
	w := given(func(w *world) {
		w.selector("web")
		for n := range int32(150) {
			w.claim("old", n, withLabel("web"))
		}
	})
	plan := Make(w.snapshot(), now)
	if got := len(plan.Status(w.Policy, metav1.NewTime(now)).StrandedClaims); got != shownStranded {
		t.Errorf("the status names %d claims, want %d", got, shownStranded)
	}
	if !strings.Contains(plan.Drained.Message, "150 claims") {
		t.Errorf("Drained says %q, want the number of all", plan.Drained.Message)
	}
}

func TestRetryAfterIsTheSoonestOfAll(t *testing.T) {
	plan := Plan{
		Ready:  Condition{Reason: drainv1alpha1.ReasonInvalidTemplate},
		Drains: []Drain{{RetryAfter: time.Minute}, {}, {RetryAfter: 5 * time.Second}, {RetryAfter: 10 * time.Second}},
	}
	if got := plan.RetryAfter(); got != 5*time.Second {
		t.Errorf("RetryAfter = %v, want 5s", got)
	}
	plan.Ready.Reason, plan.Drains = drainv1alpha1.ReasonAccepted, plan.Drains[:2]
	if got := plan.RetryAfter(); got != time.Minute {
		t.Errorf("RetryAfter = %v, want 1m", got)
	}
	plan.Drains = plan.Drains[1:]
	if got := plan.RetryAfter(); got != 0 {
		t.Errorf("RetryAfter = %v, want none: a steady cluster isn't polled", got)
	}
}

func TestFinalizerStandsWhileALockDoes(t *testing.T) {
	tests := map[string]struct {
		given func(*world)
		want  bool
	}{
		"no orphaned ordinal":            {want: false},
		"an orphaned ordinal that waits": {given: all(orphan, suspended), want: false},
		"a drained ordinal": {
			given: func(w *world) { w.claim("data", 2, markedAt(4)) },
			want:  false,
		},
		"an ordinal that gets its lock":                            {given: orphan, want: true},
		"an ordinal with a lock":                                   {given: lockedOrphan, want: true},
		"a lock without claims":                                    {given: func(w *world) { w.lock(2) }, want: true},
		"an ordinal with a lock of a policy that is being deleted": {given: all(lockedOrphan, deleted), want: true},
		"a Job without its lock":                                   {given: func(w *world) { w.job(2, 1) }, want: true},
		"a finished Job": {
			given: func(w *world) { w.job(2, 1, complete) },
			want:  false,
		},
		"an orphaned ordinal of a policy that is being deleted": {given: all(orphan, deleted), want: false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if plan := Make(given(tc.given).snapshot(), now); plan.Finalizer != tc.want {
				t.Errorf("Finalizer = %t, want %t", plan.Finalizer, tc.want)
			}
		})
	}
}

func TestDrainsAreListedFromTheHighestOrdinal(t *testing.T) {
	w := given(func(w *world) {
		w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](2)
		for _, ordinal := range []int32{3, 11, 2, 7} {
			w.claim("data", ordinal)
		}
	})
	plan := Make(w.snapshot(), now)
	var got []string
	for i := range plan.Drains {
		got = append(got, fmt.Sprintf("%d %s", plan.Drains[i].Ordinal, StepName(plan.Drains[i].Next)))
	}
	if diff := cmp.Diff([]string{"11 TakeLock", "7 TakeLock", "3 ", "2 "}, got); diff != "" {
		t.Errorf("drains (-want +got):\n%s", diff)
	}
	if plan.Drain(4) != nil {
		t.Error("there is an entry for an ordinal that nothing is known of")
	}
}

func TestTheStatusRemembersTheLastScaleDown(t *testing.T) {
	before := metav1.NewTime(noon.Add(-time.Hour))
	for name, tc := range map[string]struct {
		given func(*world)
		want  metav1.Time
	}{
		"a StatefulSet seen for the first time": {func(w *world) { w.Policy.Status.StatefulSet = nil }, metav1.NewTime(now)},
		"a StatefulSet that did not change":     {nil, before},
		"a StatefulSet that was scaled up":      {func(w *world) { w.StatefulSet.Spec.Replicas = ptr.To[int32](5) }, before},
		"a StatefulSet that was scaled down": {func(w *world) { w.StatefulSet.Spec.Replicas = ptr.To[int32](1) },
			metav1.NewTime(now)},
		"a StatefulSet whose first ordinal rose": {func(w *world) { w.StatefulSet.Spec.Ordinals = ordinals(1) },
			metav1.NewTime(now)},
		"a StatefulSet of which a generation was missed": {func(w *world) { w.StatefulSet.Generation = 9 },
			metav1.NewTime(now)},
		"another StatefulSet of the same name": {func(w *world) { w.StatefulSet.UID = "another" }, metav1.NewTime(now)},
		"a StatefulSet that is gone":           {func(w *world) { w.StatefulSet = nil }, metav1.NewTime(now)},
		"a StatefulSet that was gone before": {func(w *world) {
			w.StatefulSet = nil
			w.Policy.Status.StatefulSet.Replicas = ptr.To[int32](0)
		}, before},
		"a StatefulSet that had no ordinals before": {func(w *world) {
			w.Policy.Status.StatefulSet.Replicas = ptr.To[int32](0)
		}, before},
	} {
		w := given(func(w *world) {
			w.observedBefore()
			w.Policy.Status.StatefulSet.LastScaleDownTime = &before
			if tc.given != nil {
				tc.given(w)
			}
		})
		if got := Make(w.snapshot(), now).Observed.LastScaleDownTime; !got.Equal(&tc.want) {
			t.Errorf("%s: the last scale-down was at %v, want %v", name, got, tc.want)
		}
	}
}

func TestClaimsOfAStatefulSetThatIsGoneAreRemembered(t *testing.T) {
	w := given(func(w *world) {
		w.templates("data", "logs")
		w.claim("data", 0)
		w.claim("logs", 0)
		w.claim("other", 0)
	}, setGone)
	plan := Make(w.snapshot(), now)
	if drain := plan.Drain(0); drain == nil || claimNames(drain.Claims) != "data-web-0, logs-web-0" {
		t.Errorf("the entry is %+v, want one with the two claims", drain)
	}
	want := w.Policy.Status.StatefulSet.DeepCopy()
	want.Replicas = ptr.To[int32](0)
	if diff := cmp.Diff(want, plan.Observed); diff != "" {
		t.Errorf("Observed (-want +got):\n%s", diff)
	}
	w.Policy.Status.StatefulSet = nil
	if plan := Make(w.snapshot(), now); len(plan.Drains) > 0 || plan.Observed != nil {
		t.Errorf("a StatefulSet that never was has %+v, observed %+v", plan.Drains, plan.Observed)
	}
}

func TestObservedIsTheStatefulSetAsItIs(t *testing.T) {
	w := given(func(w *world) { w.templates("data", "logs"); w.StatefulSet.Spec.Ordinals = ordinals(3) })
	want := &drainv1alpha1.ObservedStatefulSet{
		UID: "set", Generation: ptr.To[int64](4), StartOrdinal: ptr.To[int32](3),
		Replicas: ptr.To[int32](2), ClaimTemplates: []string{"data", "logs"}, MatchLabels: map[string]string{"app": "web"},
		PodDefaults: &drainv1alpha1.PodDefaults{}, LastScaleDownTime: ptr.To(metav1.NewTime(now)),
	}
	if diff := cmp.Diff(want, Make(w.snapshot(), now).Observed); diff != "" {
		t.Errorf("Observed (-want +got):\n%s", diff)
	}
}

func TestSurplusJobsAreTheOldestFinishedOnes(t *testing.T) {
	w := given(func(w *world) {
		w.claim("data", 2)
		w.lock(2)
		w.job(2, 1, complete)
		for i := range 13 {
			w.job(20, 1, failed, named(fmt.Sprintf("past-%02d", i)), func(j *batchv1.Job) {
				// Two of each age: then the name decides.
				j.CreationTimestamp = metav1.NewTime(noon.Add(time.Duration(i/2) * time.Minute))
			})
		}
		w.job(21, 1, failed, named("going"), jobTerminating, func(j *batchv1.Job) { j.CreationTimestamp = metav1.Time{} })
		w.job(22, 1, named("running"), func(j *batchv1.Job) { j.CreationTimestamp = metav1.Time{} })
	})
	var got []string
	for plan := Make(w.snapshot(), now); plan.History.Next != nil; plan = Make(w.snapshot(), now) {
		job := as[DeleteJob](plan.History.Next).Job
		got = append(got, job.Name)
		w.Jobs = slices.DeleteFunc(w.Jobs, func(j batchv1.Job) bool { return j.Name == job.Name })
	}
	if diff := cmp.Diff([]string{"past-03", "past-00", "past-01"}, got); diff != "" {
		t.Errorf("surplus Jobs (-want +got):\n%s", diff)
	}
	if left := len(w.Jobs); left != 13 {
		t.Errorf("%d Jobs are left, want the ten newest of the past, the lock's, and those that are going or running", left)
	}
}

func TestMakeLeavesTheSnapshotAlone(t *testing.T) {
	build := func() *world {
		return given(deleteClaims, func(w *world) {
			w.templates("logs", "data")
			w.claim("logs", 2, markedAt(3))
			w.claim("data", 2, markedAt(3))
			w.claim("data", 3)
			w.lock(3)
			w.job(3, 2, failed)
			w.job(3, 1, failed)
		})
	}
	snapshot := build().snapshot()
	plan := Make(snapshot, now)
	plan.Status(snapshot.Policy, noon)
	if diff := cmp.Diff(build().snapshot(), snapshot); diff != "" {
		t.Errorf("the snapshot changed (-before +after):\n%s", diff)
	}
}

func TestEveryDocumentedReasonOfAConditionIsReached(t *testing.T) {
	reached := map[string]bool{}
	for _, build := range []func(*world){
		nil, orphan, all(orphan, retain), func(w *world) { w.claim("data", 2, markedAt(4)) }, stranded,
	} {
		reached[Make(given(build).snapshot(), now).Drained.Reason] = true
	}
	for _, want := range []string{drainv1alpha1.ReasonNoOrphans, drainv1alpha1.ReasonAllDrained,
		drainv1alpha1.ReasonRetained, drainv1alpha1.ReasonClaimsStranded, drainv1alpha1.ReasonStarting} {
		if !reached[want] {
			t.Errorf("Drained never has reason %s, only %v", want, slices.Sorted(maps.Keys(reached)))
		}
	}
}
