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
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

func TestJobNameIsMadeOfAllThatMakesTheJobEvidence(t *testing.T) {
	name := func(set string, policy types.UID, ordinal int32, lock types.UID, attempt int32, uids ...types.UID) string {
		return JobName(set, policy, ordinal, lock, uids, attempt)
	}
	one := name("web", "p", 2, "l", 1, "a", "b")
	if again := name("web", "p", 2, "l", 1, "b", "a"); again != one {
		t.Errorf("the order of claims makes another name: %q and %q", one, again)
	}
	uids := []types.UID{"b", "a"}
	JobName("web", "p", 2, "l", uids, 1)
	if uids[0] != "b" {
		t.Error("JobName has sorted its caller's claims")
	}
	for what, other := range map[string]string{
		"policy":      name("web", "q", 2, "l", 1, "a", "b"),
		"ordinal":     name("web", "p", 3, "l", 1, "a", "b"),
		"lock":        name("web", "p", 2, "m", 1, "a", "b"),
		"attempt":     name("web", "p", 2, "l", 2, "a", "b"),
		"claim":       name("web", "p", 2, "l", 1, "a", "c"),
		"lost claim":  name("web", "p", 2, "l", 1, "a"),
		"third claim": name("web", "p", 2, "l", 1, "a", "b", "c"),
	} {
		// Compare what comes of the hash: the ordinal stands in the name besides.
		if suffix := func(s string) string { return s[strings.LastIndexByte(s, '-'):] }; suffix(other) == suffix(one) {
			t.Errorf("another %s makes the same name: %q", what, other)
		}
	}
}

func TestJobNameIsValid(t *testing.T) {
	for _, set := range []string{"w", "web", strings.Repeat("a", 253), "a." + strings.Repeat("b", 100),
		strings.Repeat("a", 31) + strings.Repeat("-", 30) + "b", strings.Repeat("a", 20) + "." + strings.Repeat("b", 30)} {
		for _, ordinal := range []int32{0, 12, 1<<31 - 1} {
			got := JobName(set, "p", ordinal, "l", []types.UID{"a"}, 1)
			if len(got) > maxJobNameLength {
				t.Errorf("%q has %d characters, want at most %d", got, len(got), maxJobNameLength)
			}
			if faults := validation.IsDNS1123Subdomain(got); len(faults) > 0 {
				t.Errorf("%q is no name: %v", got, faults)
			}
			if !strings.Contains(got, fmt.Sprintf("-%d-drain-", ordinal)) {
				t.Errorf("%q doesn't tell the ordinal %d", got, ordinal)
			}
		}
	}
}

func TestLabelsAreReadWithCare(t *testing.T) {
	for text, want := range map[string]int32{
		"0": 0, "7": 7, "2147483647": 1<<31 - 1, "": -1, "-1": -1, "x": -1, "2147483648": -1,
	} {
		got, ok := ordinalOf(map[string]string{drainv1alpha1.OrdinalLabel: text})
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("ordinal %q is read as %d, %t, want %d", text, got, ok, want)
		}
	}
	for text, want := range map[string]int32{"1": 1, "12": 12, "": 0, "0": 0, "-1": 0, "x": 0, "2147483648": 0} {
		job := &batchv1.Job{}
		job.Labels = map[string]string{drainv1alpha1.AttemptLabel: text}
		if got := attemptOf(job); got != want {
			t.Errorf("attempt %q is read as %d, want %d", text, got, want)
		}
	}
}

func TestTrouble(t *testing.T) {
	for reason, want := range map[string]string{
		"ErrImagePull": drainv1alpha1.ReasonImagePullFailed, "ImagePullBackOff": drainv1alpha1.ReasonImagePullFailed,
		"InvalidImageName":           drainv1alpha1.ReasonImagePullFailed,
		"ErrImageNeverPull":          drainv1alpha1.ReasonImagePullFailed,
		"RegistryUnavailable":        drainv1alpha1.ReasonImagePullFailed,
		"SignatureValidationFailed":  drainv1alpha1.ReasonImagePullFailed,
		"CreateContainerConfigError": drainv1alpha1.ReasonContainerConfigError,
		"CreateContainerError":       drainv1alpha1.ReasonContainerConfigError,
		"RunContainerError":          drainv1alpha1.ReasonContainerConfigError,
		"ContainerCreating":          "", "PodInitializing": "", "CrashLoopBackOff": "",
	} {
		pod := &corev1.Pod{}
		waiting(reason)(pod)
		if got, message := trouble(pod); got != want || (message == "") != (want == "") {
			t.Errorf("%s: %q (%s), want %q", reason, got, message, want)
		}
		pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses = pod.Status.ContainerStatuses, nil
		if got, _ := trouble(pod); got != want {
			t.Errorf("%s of an init container: %q, want %q", reason, got, want)
		}
	}
	pod := &corev1.Pod{}
	running(pod)
	if got, _ := trouble(pod); got != "" {
		t.Errorf("a running container is in trouble: %s", got)
	}
}

func TestStarted(t *testing.T) {
	restarted := func(p *corev1.Pod) { waiting("CrashLoopBackOff")(p); p.Status.ContainerStatuses[0].RestartCount = 1 }
	endedBefore := func(p *corev1.Pod) {
		waiting("ContainerCreating")(p)
		p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{}
	}
	initRuns := func(p *corev1.Pod) {
		running(p)
		p.Status.InitContainerStatuses, p.Status.ContainerStatuses = p.Status.ContainerStatuses, nil
	}
	initEnded := func(p *corev1.Pod) { ended(0, "")(p); p.Status.Phase = corev1.PodPending }
	tests := map[string]struct {
		pod  func(*corev1.Pod)
		want bool
	}{
		"a pending pod without container statuses has not started": {pod: podPhase(corev1.PodPending)},
		"a running phase without container statuses is no start":   {pod: podPhase(corev1.PodRunning)},
		"a pod whose container waits has not started":              {pod: waiting("ContainerCreating")},
		"a pod whose container has no state has not started":       {pod: container(corev1.ContainerState{})},
		"a pod whose container runs has started":                   {pod: running, want: true},
		"a pod whose init container runs has started":              {pod: initRuns, want: true},
		"a pending pod with an ended container has started":        {pod: initEnded, want: true},
		"a pod whose container waits for its restart has started":  {pod: restarted, want: true},
		"a pod whose container ended before has started":           {pod: endedBefore, want: true},
		"a failed pod has started":                                 {pod: podPhase(corev1.PodFailed), want: true},
		"a succeeded pod has started":                              {pod: podPhase(corev1.PodSucceeded), want: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{}
			tc.pod(pod)
			if got := started(pod); got != tc.want {
				t.Errorf("started = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestOutcome(t *testing.T) {
	terminated := func(code int32, message string) *corev1.ContainerStateTerminated {
		return &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", Message: message}
	}
	status := func(name string, now, last *corev1.ContainerStateTerminated) corev1.ContainerStatus {
		return corev1.ContainerStatus{
			Name: name, State: corev1.ContainerState{Terminated: now},
			LastTerminationState: corev1.ContainerState{Terminated: last},
		}
	}
	tests := map[string]struct {
		init, main []corev1.ContainerStatus
		status     corev1.PodStatus
		want       string
	}{
		"a container that runs has no outcome": {main: []corev1.ContainerStatus{status("a", nil, nil)}},
		"a container that left only white space has no outcome": {
			main: []corev1.ContainerStatus{status("a", terminated(0, " \n"), nil)},
		},
		"a success reports its message": {
			main: []corev1.ContainerStatus{status("a", terminated(0, "moved all\n"), nil)}, want: "moved all",
		},
		"the last of several messages counts": {
			main: []corev1.ContainerStatus{status("a", terminated(0, "one"), nil),
				status("b", terminated(0, "two"), nil), status("c", terminated(0, ""), nil)},
			want: "two",
		},
		"a failure reports its message": {
			main: []corev1.ContainerStatus{status("a", terminated(1, "disk"), nil)}, want: "disk",
		},
		"a failure comes before a success": {
			main: []corev1.ContainerStatus{status("a", terminated(0, "fine"), nil),
				status("b", terminated(1, "disk"), nil), status("c", terminated(0, "fine too"), nil)},
			want: "disk",
		},
		"a failure without a message reports its exit code": {
			main: []corev1.ContainerStatus{status("a", terminated(137, ""), nil)},
			want: "container a exited with code 137 (Error)",
		},
		"a restarted container reports its last end": {
			main: []corev1.ContainerStatus{status("a", nil, terminated(1, "disk"))}, want: "disk",
		},
		"the present end comes before the last": {
			main: []corev1.ContainerStatus{status("a", terminated(0, "fine now"), terminated(1, "disk"))},
			want: "fine now",
		},
		"a restarted container that ends without a word reports what it said before": {
			main: []corev1.ContainerStatus{status("a", terminated(143, ""), terminated(1, "no quorum"))},
			want: "container a exited with code 143 (Error); its run before that ended with: no quorum",
		},
		"a restarted container that never said a word reports its last exit code": {
			main: []corev1.ContainerStatus{status("a", terminated(143, ""), terminated(1, ""))},
			want: "container a exited with code 143 (Error)",
		},
		"a failed init container reports its message": {
			init: []corev1.ContainerStatus{status("i", terminated(1, "no volume"), nil)}, want: "no volume",
		},
		"a killed sidecar does not count": {
			init: []corev1.ContainerStatus{status("sidecar", terminated(137, ""), nil)},
			main: []corev1.ContainerStatus{status("a", terminated(0, "moved all"), nil)}, want: "moved all",
		},
		"an evicted pod reports its status": {
			status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "disk pressure"},
			want:   "Evicted: disk pressure",
		},
		"a running pod with a status message has no outcome": {
			status: corev1.PodStatus{Phase: corev1.PodRunning, Reason: "R", Message: "M"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Status: tc.status}
			pod.Spec.InitContainers = []corev1.Container{{Name: "i"},
				{Name: "sidecar", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}}
			pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses = tc.init, tc.main
			if got := outcome(pod); got != tc.want {
				t.Errorf("outcome = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTheNewestPodWithWordsSpeaksForTheDrain(t *testing.T) {
	w := given(lockedOrphan, func(w *world) {
		w.job(2, 1)
		for i, words := range []string{"older", "newest", "old", ""} {
			w.drainPod(2, ended(1, words), func(p *corev1.Pod) {
				p.CreationTimestamp = noon
				p.CreationTimestamp.Time = noon.AddDate(0, 0, []int{1, 3, 2, 4}[i])
				if words == "" {
					p.Status.ContainerStatuses = nil
				}
			})
		}
	})
	plan := Make(w.snapshot(), now)
	if got := plan.Drain(2).Outcome; got != "newest" {
		t.Errorf("the outcome is %q, want %q", got, "newest")
	}
}

func TestAPolicyStaysForAsLongAsItIsNeeded(t *testing.T) {
	relabel := func(w *world) { w.Pods[0].Labels[drainv1alpha1.RoleLabel] = drainv1alpha1.RoleDrain }
	tests := map[string]struct {
		given func(*world)
		want  bool
	}{
		"nothing is left": {},
		"a lock is left":  {given: func(w *world) { w.lock(2) }, want: true},
		"only another policy's lock is left": {
			given: func(w *world) { w.lock(2, func(p *corev1.Pod) { p.OwnerReferences[0].UID = "x" }) },
		},
		"a running Job is left":           {given: func(w *world) { w.job(2, 1) }, want: true},
		"only a finished Job is left":     {given: func(w *world) { w.job(2, 1, failed) }},
		"a running drain pod is left":     {given: func(w *world) { w.drainPod(2) }, want: true},
		"only an ended drain pod is left": {given: func(w *world) { w.drainPod(2, ended(0, "")) }},
		"a lock with the label of a drain is left": {
			given: all(func(w *world) { w.lock(2, func(p *corev1.Pod) { p.OwnerReferences = nil }) }, relabel),
			want:  true,
		},
		"only a foreign pod is left": {given: func(w *world) { w.pod("debug", "data-web-2") }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			plan := Make(given(tc.given).snapshot(), now)
			if stays := plan.Policy.Rule == "policy-needed"; stays != tc.want || (plan.Policy.Next == nil) != tc.want {
				t.Errorf("rule %s, step %q, want the policy to stay: %t", plan.Policy.Rule, StepName(plan.Policy.Next), tc.want)
			}
		})
	}
}

// TestALockWhosePolicyIsGoneIsReleased asks what is done about the lock of ordinal 2, of a policy that is gone.
func TestALockWhosePolicyIsGoneIsReleased(t *testing.T) {
	lock := func(w *world) { w.lock(2) }
	going := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now} }
	for name, tc := range map[string]struct {
		given              func(*world)
		wantRule, wantStep string
	}{
		"a lock alone is deleted": {given: lock, wantRule: "abandoned", wantStep: "DeleteLock"},
		"a lock that is being deleted loses its finalizer": {
			given:    func(w *world) { w.lock(2, podTerminating) },
			wantRule: "abandoned", wantStep: "RemoveLockFinalizer",
		},
		"the mark of a claim is released first": {
			given:    all(func(w *world) { w.claim("data", 2, markedUnder(2)) }, lock),
			wantRule: "abandoned", wantStep: "ReleaseMark",
		},
		"a mark that can't be read is replaced first": {
			given:    all(func(w *world) { w.claim("data", 2, markedByAnother) }, lock),
			wantRule: "abandoned", wantStep: "ReleaseMark",
		},
		"a claim without a mark does not matter": {given: lockedOrphan, wantRule: "abandoned", wantStep: "DeleteLock"},
		"the mark of a claim that is being deleted does not matter": {
			given:    all(func(w *world) { w.claim("data", 2, markedUnder(2), claimTerminating) }, lock),
			wantRule: "abandoned", wantStep: "DeleteLock",
		},
		"the mark of another ordinal's claim does not matter": {
			given:    all(func(w *world) { w.claim("data", 3, markedUnder(3)) }, lock),
			wantRule: "abandoned", wantStep: "DeleteLock",
		},
		"a running Job is awaited": {given: all(lock, func(w *world) { w.job(2, 1) }), wantRule: "abandoned-busy"},
		"a Job of another ordinal does not matter": {
			given:    all(lock, func(w *world) { w.job(3, 1) }),
			wantRule: "abandoned", wantStep: "DeleteLock",
		},
		"a Job of another policy does not matter": {
			given:    all(lock, func(w *world) { w.job(2, 1, forged) }),
			wantRule: "abandoned", wantStep: "DeleteLock",
		},
		"a finished Job does not matter": {
			given:    all(lock, func(w *world) { w.job(2, 1, complete) }),
			wantRule: "abandoned", wantStep: "DeleteLock",
		},
		"a Job without a controller is deleted first": {
			given:    all(lock, func(w *world) { w.job(2, 1, ownerless) }),
			wantRule: "abandoned-job", wantStep: "DeleteJob",
		},
		"a Job without a controller that is being deleted is awaited": {
			given:    all(lock, func(w *world) { w.job(2, 1, ownerless, jobTerminating) }),
			wantRule: "abandoned-busy",
		},
		"a gated pod without a Job is deleted first": {
			given:    all(lock, func(w *world) { w.drainPod(2, gated) }),
			wantRule: "abandoned-pod", wantStep: "DeletePod",
		},
		"a running pod without a Job is deleted first": {
			given:    all(lock, func(w *world) { w.drainPod(2, running) }),
			wantRule: "abandoned-pod", wantStep: "DeletePod",
		},
		"an ended pod does not matter": {
			given:    all(lock, func(w *world) { w.drainPod(2, ended(0, "")) }),
			wantRule: "abandoned", wantStep: "DeleteLock",
		},
		"a pod that is being deleted is awaited": {
			given:    all(lock, func(w *world) { w.drainPod(2, gated, going) }),
			wantRule: "abandoned-busy",
		},
		"a pod of another ordinal does not matter": {
			given:    all(lock, func(w *world) { w.drainPod(3, gated) }),
			wantRule: "abandoned", wantStep: "DeleteLock",
		},
		"a pod of a Job is awaited": {
			given:    all(lock, func(w *world) { w.job(2, 1, complete); w.drainPod(2, gated) }),
			wantRule: "abandoned-busy",
		},
		"a foreign pod does not matter": {
			given:    all(lock, func(w *world) { w.pod("debug", "data-web-2") }),
			wantRule: "abandoned", wantStep: "DeleteLock",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(tc.given)
			i := slices.IndexFunc(w.Pods, func(p corev1.Pod) bool { return p.UID == lockUID(2) })
			got := Abandoned(&w.Pods[i], policyUID, w.snapshot(), now)
			if got.Rule != tc.wantRule || StepName(got.Next) != tc.wantStep {
				t.Errorf("rule %s, step %q, want %s, %q", got.Rule, StepName(got.Next), tc.wantRule, tc.wantStep)
			}
			if mark, ok := got.Next.(WriteMark); ok &&
				(mark.Mark.LockUID != "" || mark.Mark.ReleasedUID != lockUID(2) || mark.Mark.Generation != 0) {
				t.Errorf("the mark is %s, want one that is void", mark.Mark)
			}
		})
	}
}

func TestIsLock(t *testing.T) {
	w := given(func(w *world) { w.lock(2) })
	lock := &w.Pods[0]
	if !IsLock(lock, policyUID) || IsLock(lock, "another") {
		t.Error("a lock is its own policy's only")
	}
	for name, change := range map[string]func(*corev1.Pod){
		"a drain pod": func(p *corev1.Pod) {
			p.Labels[drainv1alpha1.RoleLabel] = drainv1alpha1.RoleDrain
		},
		"a pod without an owner and a finalizer": func(p *corev1.Pod) { p.OwnerReferences, p.Finalizers = nil, nil },
		"a pod without a controller and a gate": func(p *corev1.Pod) {
			p.OwnerReferences[0].Controller, p.Spec.SchedulingGates = ptr.To(false), nil
		},
	} {
		pod := lock.DeepCopy()
		change(pod)
		if IsLock(pod, policyUID) {
			t.Errorf("%s is taken for a lock", name)
		}
	}
}
