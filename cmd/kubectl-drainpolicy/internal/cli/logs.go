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

package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/view"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// mostLogs is the number of containers whose logs are read at once, as in kubectl.
const mostLogs = 5

func logsCommand(s *session) *cobra.Command {
	follow, tail := false, int64(-1)
	command := &cobra.Command{
		Use: "logs NAME [ORDINAL]", Short: "Show what drains say",
		Long: `Shows the logs of the latest drain pod of the ordinal, or of each ordinal that has one. A pod by which a member leaves or joins again counts, too. When the pod
is gone, it shows the record of the latest attempt, or what the drain said at its end, if the policy or a claim remembers that.`,
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: s.completePolicies,
		RunE: s.run(func(ctx context.Context, args []string) error {
			policy, err := s.policy(ctx, args[0])
			if err != nil {
				return err
			}
			var only *int32
			if len(args) == 2 {
				number, err := ordinal(args[1])
				if err != nil {
					return err
				}
				only = &number
			}
			return s.logs(ctx, policy, only, &corev1.PodLogOptions{Follow: follow, TailLines: tailLines(tail)})
		}),
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "Continue until the drain pods end")
	command.Flags().Int64Var(&tail, "tail", tail, "Number of lines to show from the end of each log; -1 is all")
	return command
}

func tailLines(tail int64) *int64 {
	if tail < 0 {
		return nil
	}
	return &tail
}

// source is one container's log.
type source struct {
	ordinal        int32
	pod, container string
}

func (s *session) logs(ctx context.Context, policy *drainv1alpha1.DrainPolicy, only *int32, options *corev1.PodLogOptions) error {
	var pods corev1.PodList
	if err := s.client.List(ctx, &pods, client.InNamespace(policy.Namespace), client.MatchingLabels{drainv1alpha1.PolicyUIDLabel: string(policy.UID)}); err != nil {
		return err
	}
	sources := sources(policy, pods.Items, only)
	switch {
	case len(sources) == 0:
		return s.lastWords(ctx, policy, only)
	case len(sources) > mostLogs && only == nil:
		return fmt.Errorf("the drains of DrainPolicy %q have %d containers, and %d logs can be shown at once: name an ordinal", policy.Name, len(sources), mostLogs)
	}
	pipes, err := kubernetes.NewForConfig(s.config)
	if err != nil {
		return err
	}
	var mutex sync.Mutex
	var group sync.WaitGroup
	errs := make([]error, len(sources))
	for i, from := range sources {
		prefix := ""
		if len(sources) > 1 {
			prefix = fmt.Sprintf("[%d %s] ", from.ordinal, from.container)
		}
		read := func() {
			errs[i] = s.copyLog(ctx, pipes, policy.Namespace, from, options, func(line string) {
				mutex.Lock()
				defer mutex.Unlock()
				fmt.Fprint(s.Out, prefix+line)
			})
		}
		if !options.Follow {
			// One after the other is easier to read.
			read()
			continue
		}
		group.Go(read)
	}
	group.Wait()
	return errors.Join(errs...)
}

// sources returns the containers of the latest drain pod of each ordinal, by ordinal. A pod by which a member leaves or joins again is one,
// too, and in the same second it comes before a drain.
func sources(policy *drainv1alpha1.DrainPolicy, pods []corev1.Pod, only *int32) []source {
	role := func(pod *corev1.Pod) string { return pod.Labels[drainv1alpha1.RoleLabel] }
	pods = slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return role(&pod) == drainv1alpha1.RoleLock })
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(role(&a), role(&b)))
	})
	var found []source
	seen := map[int32]bool{}
	for i := range pods {
		number, ok := view.OrdinalOf(policy, &pods[i])
		if !ok || seen[number] || only != nil && *only != number {
			continue
		}
		seen[number] = true
		for _, container := range slices.Concat(pods[i].Spec.InitContainers, pods[i].Spec.Containers) {
			found = append(found, source{number, pods[i].Name, container.Name})
		}
	}
	slices.SortStableFunc(found, func(a, b source) int { return cmp.Compare(b.ordinal, a.ordinal) })
	return found
}

// copyLog gives the lines of one log to write. A container that has not started has no log yet, which a follower waits for.
func (s *session) copyLog(ctx context.Context, pipes kubernetes.Interface, namespace string, from source, options *corev1.PodLogOptions, write func(string)) error {
	options = options.DeepCopy()
	options.Container = from.container
	for {
		stream, err := pipes.CoreV1().Pods(namespace).GetLogs(from.pod, options).Stream(ctx)
		if err == nil {
			err = lines(stream, write)
			stream.Close()
			return err
		}
		switch {
		case !apierrors.IsBadRequest(err):
			return err
		case !options.Follow:
			fmt.Fprintf(s.ErrOut, "note: ordinal %d has no log yet: %v\n", from.ordinal, err)
			return nil
		}
		timer := s.clock.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C():
		}
	}
}

func lines(from io.Reader, write func(string)) error {
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			write(strings.TrimSuffix(line, "\n") + "\n")
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// lastWords shows what remains of drains without a pod: the records of their latest attempts, their entries in the status, and the
// marks on claims that are kept.
func (s *session) lastWords(ctx context.Context, policy *drainv1alpha1.DrainPolicy, only *int32) error {
	if recorded := s.records(ctx, policy, only); len(recorded) > 0 {
		for i := range recorded {
			s.showRecord(&recorded[i])
		}
		return nil
	}
	if only != nil {
		if _, err := needDrain(policy, *only); err != nil {
			return err
		}
	}
	shown := 0
	for i := range policy.Status.Drains {
		d := &policy.Status.Drains[i]
		if only != nil && *d.Ordinal != *only {
			continue
		}
		if only == nil && d.JobName == "" {
			continue
		}
		shown++
		fmt.Fprintf(s.ErrOut, "note: ordinal %d has no drain pod; this is what the operator remembers\n", *d.Ordinal)
		fmt.Fprintf(s.Out, "ordinal %d: %s %s: %s\n", *d.Ordinal, d.State, d.Reason, d.Message)
		if said := s.outcome(ctx, policy.Namespace, d); said != "" && !strings.Contains(d.Message, said) {
			fmt.Fprintf(s.Out, "ordinal %d said at its end: %s\n", *d.Ordinal, said)
		}
	}
	if shown == 0 {
		return no("DrainPolicy %q has no drain pod, and remembers no drain", policy.Name)
	}
	return nil
}

// records returns the record of the latest attempt of each ordinal, the highest ordinal first; none if they can't be read.
func (s *session) records(ctx context.Context, policy *drainv1alpha1.DrainPolicy, only *int32) []drainv1alpha1.DrainRecord {
	var list drainv1alpha1.DrainRecordList
	if s.client.List(ctx, &list, client.InNamespace(policy.Namespace), client.MatchingLabels{drainv1alpha1.PolicyUIDLabel: string(policy.UID)}) != nil {
		return nil // An operator without records, or a person without the right: the status remembers less, but something.
	}
	records := slices.DeleteFunc(list.Items, func(r drainv1alpha1.DrainRecord) bool { return only != nil && *r.Ordinal != *only })
	slices.SortFunc(records, func(a, b drainv1alpha1.DrainRecord) int {
		return cmp.Or(cmp.Compare(*b.Ordinal, *a.Ordinal), b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(b.Attempt, a.Attempt))
	})
	return slices.CompactFunc(records, func(a, b drainv1alpha1.DrainRecord) bool { return *a.Ordinal == *b.Ordinal })
}

// showRecord prints the end of the log that a record has, or what it has instead.
func (s *session) showRecord(record *drainv1alpha1.DrainRecord) {
	what := ""
	switch record.Action {
	case drainv1alpha1.RecordedLeave:
		what = " to leave"
	case drainv1alpha1.RecordedRejoin:
		what = " to join again"
	case drainv1alpha1.RecordedDrain:
	}
	fmt.Fprintf(s.ErrOut, "note: ordinal %d has no drain pod; this is DrainRecord %q of attempt %d%s, which has the result %s\n", *record.Ordinal, record.Name, record.Attempt, what, record.Result)
	for i := range record.Containers {
		container := &record.Containers[i]
		prefix := fmt.Sprintf("[%d %s] ", *record.Ordinal, container.Name)
		text := cmp.Or(container.Log, container.Message)
		for line := range strings.Lines(text) {
			fmt.Fprintln(s.Out, prefix+strings.TrimSuffix(line, "\n"))
		}
		if container.Log == "" && container.LogMissing != "" {
			fmt.Fprintf(s.ErrOut, "note: the log of container %q is missing: %s\n", container.Name, container.LogMissing)
		}
	}
	if len(record.Containers) == 0 && record.Message != "" {
		fmt.Fprintf(s.Out, "ordinal %d: %s\n", *record.Ordinal, record.Message)
	}
}

// outcome returns what the mark on a claim remembers. The claim may be gone, or not be the user's to read.
func (s *session) outcome(ctx context.Context, namespace string, d *drainv1alpha1.DrainStatus) string {
	for i := range d.Claims {
		claim := &corev1.PersistentVolumeClaim{}
		if s.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: d.Claims[i].Name}, claim) != nil {
			continue
		}
		if mark := claims.ParseMark(claim); mark != nil && mark.Outcome != "" {
			return mark.Outcome
		}
	}
	return ""
}
