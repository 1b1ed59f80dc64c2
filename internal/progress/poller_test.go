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

package progress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// kubelet has the logs of containers by "pod/container".
type kubelet struct {
	logs  map[string]string
	err   error
	asked []string
}

func (k *kubelet) Stream(_ context.Context, pod types.NamespacedName, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	key := pod.Name + "/" + options.Container
	k.asked = append(k.asked, key)
	return io.NopCloser(strings.NewReader(k.logs[key])), k.err
}

// says has a container write a line.
func (k *kubelet) says(key string, at time.Time, line string) {
	k.logs[key] += at.Format(time.RFC3339Nano) + " " + line + "\n"
}

type scene struct {
	*testing.T
	*kubelet
	client client.Client
	clock  *testingclock.FakeClock
	poller *Poller
	policy *drainv1alpha1.DrainPolicy
}

func newScene(t *testing.T, deadline int32) *scene {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), drainv1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	s := &scene{T: t, kubelet: &kubelet{logs: map[string]string{}}, clock: testingclock.NewFakeClock(noon)}
	s.client = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&corev1.Pod{}).Build()
	s.poller = NewPoller(s.client, s.kubelet, s.clock)
	s.policy = &drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "policy"},
		Spec:       drainv1alpha1.DrainPolicySpec{ProgressDeadlineSeconds: ptr.To(deadline)},
	}
	if err := s.client.Create(t.Context(), s.policy); err != nil {
		t.Fatal(err)
	}
	return s
}

// pod creates a drain pod whose container of that name runs, beside a sidecar.
func (s *scene) pod(name, container string) *corev1.Pod {
	s.Helper()
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(s.clock.Now())}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: types.UID(name),
			Labels: map[string]string{drainv1alpha1.PolicyUIDLabel: "policy", drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain},
		},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "proxy", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}, {Name: "upload"}},
			Containers:     []corev1.Container{{Name: "verify"}},
		},
		Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: "proxy", State: running}, {Name: "upload"}}},
	}
	status := corev1.ContainerStatus{Name: container, State: running}
	if container == "upload" {
		pod.Status.InitContainerStatuses[1] = status
	} else {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{status}
	}
	if err := s.client.Create(s.Context(), pod); err != nil {
		s.Fatal(err)
	}
	return pod
}

// look has the Poller look if that is due, and returns when it wants to look again and whether it reported a change.
func (s *scene) look() (after time.Duration, told bool) {
	s.Helper()
	result, err := s.poller.Reconcile(s.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(s.policy)})
	if err != nil {
		s.Fatal(err)
	}
	select {
	case changed := <-s.poller.Changed():
		if changed.Object.Name != s.policy.Name {
			s.Errorf("reported policy %q", changed.Object.Name)
		}
		return result.RequeueAfter, true
	default:
		return result.RequeueAfter, false
	}
}

func (s *scene) known(pod *corev1.Pod) plan.Progress { return s.poller.Of([]corev1.Pod{*pod})[pod.UID] }

func TestTheLatestReportIsKnown(t *testing.T) {
	for _, container := range []string{"upload", "verify"} {
		t.Run(container, func(t *testing.T) {
			s := newScene(t, 600)
			pod := s.pod("web-2-drain", container)
			key := "web-2-drain/" + container
			s.says(key, noon, "starting")
			s.says(key, noon.Add(time.Second), "drain-progress: 10% one")
			s.says(key, noon.Add(2*time.Second), "drain-progress: 20% two")
			s.says(key, noon.Add(3*time.Second), "working")
			s.says("web-2-drain/proxy", noon.Add(time.Hour), "drain-progress: 99% of a sidecar")
			if after, told := s.look(); after != 10*time.Second || !told {
				t.Errorf("looks again after %v, told: %t", after, told)
			}
			got := s.known(pod)
			if got.Reported == nil || *got.Reported.Percent != 20 || got.Reported.Message != "two" || !got.Read.Equal(noon) || got.Unread != "" {
				t.Errorf("known: %+v", got)
			}
			s.clock.Step(10 * time.Second)
			if _, told := s.look(); told {
				t.Error("reported again what was known")
			}
			if got := s.known(pod); !got.Read.Equal(noon.Add(10 * time.Second)) {
				t.Errorf("read at %v", got.Read)
			}
		})
	}
}

// TestADrainIsLookedAtOnceInTenSeconds has a drain that reports every second, and events of its pod as often.
func TestADrainIsLookedAtOnceInTenSeconds(t *testing.T) {
	s := newScene(t, 600)
	s.pod("web-2-drain", "verify")
	told := 0
	for second := range 60 {
		s.says("web-2-drain/verify", s.clock.Now(), fmt.Sprintf("drain-progress: %d%%", second))
		for range 3 {
			if _, now := s.look(); now {
				told++
			}
		}
		s.clock.Step(time.Second)
	}
	if len(s.asked) != 6 || told != 6 {
		t.Errorf("in a minute, the log was read %d times and the status was to be written %d times, want 6 and 6", len(s.asked), told)
	}
}

func TestManyDrainsAreLookedAtLessOften(t *testing.T) {
	s := newScene(t, 600)
	for i := range 100 {
		s.pod(fmt.Sprintf("web-%d-drain", i), "verify")
	}
	if after, _ := s.look(); after != 50*time.Second || len(s.asked) != 100 {
		t.Errorf("100 drains are looked at again after %v, and %d logs were read", after, len(s.asked))
	}
}

func TestSilenceIsToldOnce(t *testing.T) {
	s := newScene(t, 60)
	pod := s.pod("web-2-drain", "verify")
	var told []time.Duration
	for range 12 {
		if _, now := s.look(); now {
			told = append(told, s.clock.Since(noon))
		}
		s.clock.Step(10 * time.Second)
	}
	s.says("web-2-drain/verify", s.clock.Now(), "drain-progress: 1%")
	if _, now := s.look(); now {
		told = append(told, s.clock.Since(noon))
	}
	// The first read, the silence, and its end.
	if fmt.Sprint(told) != "[0s 1m0s 2m0s]" {
		t.Errorf("told after %v", told)
	}
	if got := s.known(pod); got.Reported == nil {
		t.Errorf("known: %+v", got)
	}
}

func TestALogThatCannotBeReadIsToldOnce(t *testing.T) {
	s := newScene(t, 60)
	pod := s.pod("web-2-drain", "verify")
	s.err = apierrors.NewForbidden(schema.GroupResource{Resource: "pods/log"}, "web-2-drain", errors.New("no"))
	told := 0
	for range 12 {
		if _, now := s.look(); now {
			told++
		}
		s.clock.Step(10 * time.Second)
	}
	if got := s.known(pod); !got.Read.IsZero() || !strings.Contains(got.Unread, "lacks the right") || told != 1 {
		t.Errorf("known: %+v, told %d times", got, told)
	}
}

func TestWhatDoesNotAskOrRunIsNotRead(t *testing.T) {
	s := newScene(t, 60)
	pod := s.pod("web-2-drain", "verify")
	s.look()
	if len(s.asked) != 1 {
		t.Fatalf("read %v", s.asked)
	}
	s.clock.Step(time.Minute)
	s.policy.Spec.ProgressDeadlineSeconds = nil
	if err := s.client.Update(t.Context(), s.policy); err != nil {
		t.Fatal(err)
	}
	if after, _ := s.look(); after != 0 || len(s.asked) != 1 || !s.known(pod).Read.IsZero() {
		t.Errorf("of a policy that no longer asks, read %v, again after %v, known: %+v", s.asked, after, s.known(pod))
	}
	s = newScene(t, 60)
	pod = s.pod("web-2-drain", "verify")
	s.look()
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	if err := s.client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	s.clock.Step(time.Minute)
	if after, _ := s.look(); after != 0 || len(s.asked) != 1 || !s.known(pod).Read.IsZero() {
		t.Errorf("of a pod that has ended, read %v, again after %v, known: %+v", s.asked, after, s.known(pod))
	}
	if err := s.client.Delete(t.Context(), s.policy); err != nil {
		t.Fatal(err)
	}
	s.look()
	if len(s.poller.looked)+len(s.poller.readings)+len(s.poller.policies) != 0 {
		t.Error("something is kept of a policy that is gone")
	}
}

func TestWithoutLogsTheStatusSaysWhyThereIsNoProgress(t *testing.T) {
	var none *Poller
	known := none.Of([]corev1.Pod{{ObjectMeta: metav1.ObjectMeta{UID: "one"}}})
	if got, want := known["one"], (plan.Progress{Unread: "the operator runs with --drain-logs=false"}); got != want {
		t.Errorf("known of the pod: %+v, want %+v", got, want)
	}
}
