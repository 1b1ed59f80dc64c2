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

package controller

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// slowLister takes a second for each list of pods, and gives each another pod.
type slowLister struct {
	client.Reader
	mu    sync.Mutex
	began []time.Time
	err   error
}

// start notes that a list begins, and returns how many have.
func (l *slowLister) start() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began = append(l.began, time.Now())
	return len(l.began)
}

// startOf returns when a list began; the first is 1.
func (l *slowLister) startOf(n int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.began[n-1]
}

func (l *slowLister) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	n := l.start()
	pods, ok := list.(*corev1.PodList)
	if !ok {
		return errors.New("not a list of pods")
	}
	pods.Items = make([]corev1.Pod, n)
	<-time.After(time.Second)
	return l.err
}

func TestPodListsAreSharedAndBeginAfterTheLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lister, lists := &slowLister{}, &podLists{}
		look := func(after time.Duration, wantList int) {
			<-time.After(after)
			asked := time.Now()
			pods, err := lists.list(t.Context(), lister, "ns")
			if err != nil || len(pods) != wantList {
				t.Errorf("the look after %s has list %d and error %v, want list %d", after, len(pods), err, wantList)
			}
			if began := lister.startOf(wantList); began.Before(asked) {
				t.Errorf("the look after %s has a list that began %s before it", after, asked.Sub(began))
			}
		}
		go look(0, 1)
		// While the first list is under way, all others wait for one that begins when it ends.
		go look(100*time.Millisecond, 2)
		go look(500*time.Millisecond, 2)
		go look(900*time.Millisecond, 2)
		go look(1500*time.Millisecond, 3)
		<-time.After(time.Minute)
		synctest.Wait()
		if len(lister.began) != 3 {
			t.Errorf("there were %d lists, want 3", len(lister.began))
		}
	})
}

func TestPodListsOfAnErrorAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lister, lists := &slowLister{err: errors.New("no connection")}, &podLists{}
		if _, err := lists.list(t.Context(), lister, "ns"); err == nil {
			t.Error("the error of the list is lost")
		}
		lister.err = nil
		if _, err := lists.list(t.Context(), lister, "ns"); err != nil {
			t.Errorf("the next list fails too: %v", err)
		}
		// One who gives up does not end the list that others wait for.
		ctx, giveUp := context.WithCancel(t.Context())
		go giveUp()
		if pods, err := lists.list(ctx, lister, "ns"); err != nil || len(pods) == 0 {
			t.Errorf("a list ended with the look that began it: %v", err)
		}
	})
}

func TestEachBoundsWhatRunsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			reconciler *Reconciler
			want       time.Duration
		}{
			{&Reconciler{}, 2 * time.Second},
			{&Reconciler{Order: inOrder}, (sideBySide + 1) * time.Second},
		} {
			start := time.Now()
			done := make([]bool, sideBySide+1)
			err := tc.reconciler.each(len(done), func(i int) error {
				<-time.After(time.Second)
				done[i] = true
				return nil
			})
			if took := time.Since(start); err != nil || took != tc.want || slices.Contains(done, false) {
				t.Errorf("one at a time %t: %v, %v after %s, want all after %s", tc.reconciler.Order != nil, done, err, took, tc.want)
			}
		}
	})
}

// panickingLister panics at its second list.
type panickingLister struct{ slowLister }

func (l *panickingLister) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := l.slowLister.List(ctx, list, options...); err != nil || len(list.(*corev1.PodList).Items) == 1 {
		return err
	}
	panic("the list panics")
}

func TestAPodListThatPanicsIsNoEmptyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lister, lists := &panickingLister{}, &podLists{}
		look := func(after time.Duration, wantErr bool) {
			<-time.After(after)
			defer func() { _ = recover() }() // As controller-runtime does for a reconcile.
			pods, err := lists.list(t.Context(), lister, "ns")
			if (err != nil) != wantErr {
				t.Errorf("the look after %s has %d pods and error %v", after, len(pods), err)
			}
		}
		go look(0, false)
		go look(100*time.Millisecond, true)
		go look(200*time.Millisecond, true)
		<-time.After(time.Minute)
		synctest.Wait()
	})
}

// pagedLister has pages of pods. A page that is nil can't be had.
type pagedLister struct {
	client.Reader
	pages [][]corev1.Pod
	limit int64
}

var errExpired = errors.New("the continue token has expired")

func (l *pagedLister) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var asked client.ListOptions
	asked.ApplyOptions(options)
	l.limit = asked.Limit
	at, _ := strconv.Atoi(asked.Continue)
	if l.pages[at] == nil {
		return errExpired
	}
	pods := list.(*corev1.PodList)
	pods.Items = l.pages[at]
	if at+1 < len(l.pages) {
		pods.Continue = strconv.Itoa(at + 1)
	}
	return nil
}

func TestPodListsHaveAllPagesOrNone(t *testing.T) {
	named := func(name string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}}}
	}
	lister := &pagedLister{pages: [][]corev1.Pod{{named("a"), named("b")}, {}, {named("c")}}}
	pods, err := (&podLists{}).list(t.Context(), lister, "ns")
	if err != nil || len(pods) != 3 || pods[2].Name != "c" || pods[2].ManagedFields != nil {
		t.Errorf("the list is %v, error %v; want a, b and c without managed fields", pods, err)
	}
	if lister.limit != podsPerPage {
		t.Errorf("pages have up to %d pods, want %d", lister.limit, podsPerPage)
	}
	lister.pages[1] = nil
	if pods, err := (&podLists{}).list(t.Context(), lister, "ns"); !errors.Is(err, errExpired) || pods != nil {
		t.Errorf("a list whose second page can't be had is %v, error %v; want nothing and the error", pods, err)
	}
}

func TestPodsThatDecideNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		pod  string
		edit func(*corev1.Pod)
		want bool
	}{
		"a Deployment's": {want: true},
		"a DaemonSet's":  {edit: func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" }, want: true},
		"one with a ConfigMap": {want: true, edit: func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}}
		}},
		"one with a claim": {edit: func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-web-1"}}}}
		}},
		"one with an ephemeral claim": {edit: func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
		}},
		"one with a label of the operator": {edit: func(p *corev1.Pod) { p.Labels = map[string]string{drainv1alpha1.RoleLabel: drainv1alpha1.RoleLeave} }},
		"one named like an ordinal":        {pod: "web-24567"},
		"one named like a number":          {pod: "24567"},
		"a Job's":                          {edit: func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion, p.OwnerReferences[0].Kind = "batch/v1", "Job" }},
		"a StatefulSet's":                  {edit: func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "StatefulSet" }},
		"a ReplicaSet's of another group":  {edit: func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "example.org/v1" }},
		"one whose owner is no controller": {edit: func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil }},
		"one without an owner":             {edit: func(p *corev1.Pod) { p.OwnerReferences = nil }},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name:            cmp.Or(tc.pod, "front-7d4b9-x2x4z"),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "front-7d4b9", Controller: ptr.To(true)}},
		}}
		if tc.edit != nil {
			tc.edit(pod)
		}
		if decidesNothing(pod) != tc.want {
			t.Errorf("%s: decides nothing: %t, want %t", name, !tc.want, tc.want)
		}
	}
}

func TestPodsAreTrimmed(t *testing.T) {
	whole := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-2", ManagedFields: []metav1.ManagedFieldsEntry{{}}},
		Spec: corev1.PodSpec{
			Volumes:         []corev1.Volume{{Name: "data"}},
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "example.org/queue"}},
			InitContainers:  []corev1.Container{{Name: "init"}}, Containers: []corev1.Container{{Name: "main"}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "main"}}},
	}
	other := trimmed(whole.DeepCopy())
	if len(other.ManagedFields)+len(other.Spec.InitContainers)+len(other.Spec.Containers)+len(other.Status.ContainerStatuses) > 0 {
		t.Errorf("a pod without the operator's labels keeps what no rule reads: %+v", other)
	}
	if len(other.Spec.Volumes) != 1 || len(other.Spec.SchedulingGates) != 1 || other.Status.Phase != corev1.PodRunning {
		t.Errorf("a pod without the operator's labels lost what rules read: %+v", other)
	}
	whole.Labels = map[string]string{drainv1alpha1.PolicyUIDLabel: "uid"}
	if own := trimmed(whole.DeepCopy()); len(own.Spec.InitContainers) != 1 || len(own.Spec.Containers) != 1 || len(own.Status.ContainerStatuses) != 1 {
		t.Errorf("a pod with a label of the operator's lost its containers: %+v", own)
	}
}
