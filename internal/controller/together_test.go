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
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
