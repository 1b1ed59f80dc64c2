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
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/view"
)

const drainGroup = "drain.statefulset.dev"

func TestStatusShowsAPolicyDownToItsClaims(t *testing.T) {
	w := newWorld(t)
	job, pod := w.draining()
	output, problems, code := w.kubectl("status", "store")
	w.Expect(code).To(BeZero())
	w.Expect(problems).To(BeEmpty())
	for _, part := range []string{
		"DrainPolicy " + w.namespace + "/store (StatefulSet store: 2 replicas, 2 ready)", "Ready    True   Accepted",
		"ordinal 2", "Draining", "JobRunning", "├─ lock store-2", "├─ job " + job.Name, "├─ pod " + pod.Name, `on node "somewhere"`,
		"└─ claim data-store-2", "1Gi", "1 undrained, 1 draining",
	} {
		w.Expect(output).To(ContainSubstring(part))
	}
	w.Expect(output).NotTo(ContainSubstring("\x1b["), "no colors outside a terminal")
	w.Expect(w.answers(0, "status", "--color=always")).To(ContainSubstring("\x1b["))
	w.Expect(w.answers(0, "status", "-o", "name")).To(Equal("drainpolicy.drain.statefulset.dev/store\n"))

	var policy view.Policy
	w.Expect(json.Unmarshal([]byte(w.answers(0, "status", "store", "-o", "json")), &policy)).To(Succeed())
	w.Expect(policy.Ordinals).To(HaveLen(1))
	o := policy.Ordinals[0]
	w.Expect(o.Lock.Name).To(Equal("store-2"))
	w.Expect(o.Job.Name).To(Equal(job.Name))
	w.Expect(o.Pods[0].Name).To(Equal(pod.Name))
	w.Expect(o.Claims[0].Size).To(Equal("1Gi"))
	w.Expect(o.Attempt).To(BeEquivalentTo(1))
	w.Expect(w.answers(0, "status", "-A", "-o", "yaml")).To(ContainSubstring("namespace: " + w.namespace))
}

func TestStatusLeavesOutWhatTheUserMayNotRead(t *testing.T) {
	w := newWorld(t)
	w.draining()
	jane := w.user(may(drainGroup, "drainpolicies", "get", "list", "watch"), may("", "persistentvolumeclaims", "list", "watch"))
	output, problems, code := w.kubectl("status", "store", jane)
	w.Expect(code).To(BeZero())
	w.Expect(output).To(And(ContainSubstring("ordinal 2"), ContainSubstring("claim data-store-2"), Not(ContainSubstring("lock store-2"))))
	w.Expect(problems).To(And(ContainSubstring("no locks and pods are shown"), ContainSubstring("no Jobs are shown"), ContainSubstring("no StatefulSets are shown")))
}

func TestStatusWatchWritesALineForEachChange(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(3)
	w.policy()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, done := &lockedBuffer{}, make(chan int, 1)
	go func() { done <- w.watchInto(ctx, out, "status", "store", "-w") }()
	w.Eventually(out.String).Should(ContainSubstring("Drained=True NoOrphans"))
	w.scale(2)
	w.start(w.job(2))
	w.Eventually(out.String).Should(MatchRegexp(`(?m)^\S+Z ` + w.namespace + `/store ordinal 2 Draining JobRunning \(attempt 1\): `))
	w.Expect(k8s.Delete(t.Context(), w.get())).To(Succeed())
	w.Eventually(out.String).Should(ContainSubstring("StoppingJob"))
	stop()
	w.Eventually(done).Should(Receive(BeZero()), "an interrupt ends it")
}

func TestWatchFollowsWhatTheUserMayRead(t *testing.T) {
	w := newWorld(t)
	w.draining()
	jane := w.user(may(drainGroup, "drainpolicies", "get", "list", "watch"))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &lockedBuffer{}
	go w.watchInto(ctx, out, "status", "-w", jane)
	w.Eventually(out.String).Should(And(ContainSubstring("no claims are shown"), ContainSubstring("ordinal 2 Draining")))
}

// watchInto runs the plugin with both streams in one buffer that can be read meanwhile.
func (w *world) watchInto(ctx context.Context, out *lockedBuffer, args ...string) int {
	root := New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: out}, clock.RealClock{}, "v0")
	root.SetArgs(append([]string{"--kubeconfig=" + kubeconfig, "--namespace=" + w.namespace}, args...))
	return ExitCode(root.ExecuteContext(ctx))
}

func TestErrorsSayWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(1)
	w.policy()
	rightless := w.user()
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"a name that is nearly right": {[]string{"status", "stroe"}, []string{`no DrainPolicy "stroe" in namespace "` + w.namespace + `"; did you mean store?`}},
		"a name that is like no other": {
			[]string{"check", "completely-different"}, []string{`no DrainPolicy "completely-different"`, "kubectl get drainpolicies lists those that exist"},
		},
		"a StatefulSet that does not exist":   {[]string{"init", "sts/stores"}, []string{`no StatefulSet "stores"`, "did you mean store?"}},
		"an ordinal that is none":             {[]string{"skip", "store", "two"}, []string{`"two" is not an ordinal`}},
		"no right to policies":                {[]string{"status", rightless}, []string{`cannot list resource "drainpolicies"`, "Ask for the right"}},
		"no right to claims":                  {[]string{"orphans", rightless}, []string{`cannot list resource`, "Ask for the right"}},
		"neither a name nor a file to check":  {[]string{"check"}, []string{"give a NAME, or -f FILE"}},
		"a file that has no policy":           {[]string{"check", "-f", kubeconfig}, []string{"has no DrainPolicy"}},
		"a name in all namespaces":            {[]string{"status", "store", "-A"}, []string{"exclude each other"}},
		"a watch for programs":                {[]string{"status", "-w", "-o", "json"}, []string{"can't be combined"}},
		"an unknown command":                  {[]string{"statsu"}, []string{"Did you mean this?", "status"}},
		"an unknown color":                    {[]string{"status", "--color=blue"}, []string{"must be auto, always or never"}},
		"an unknown format":                   {[]string{"orphans", "-o", "xml"}, []string{"json, yaml, name"}},
		"a cluster that does not answer":      {[]string{"status", "--server=https://127.0.0.1:1"}, []string{"can't reach the cluster https://127.0.0.1:1", "connection refused", "--context"}},
		"a kubeconfig that does not exist":    {[]string{"status", "--kubeconfig=/nonexistent/kubeconfig"}, []string{"/nonexistent/kubeconfig", "KUBECONFIG"}},
		"a certificate that is not the right": {[]string{"status", "--certificate-authority=" + otherAuthority(t)}, []string{"is not trusted"}},
		"credentials that are not accepted":   {[]string{"status", "--token=wrong", "--kubeconfig=" + withoutUser(t)}, []string{"does not accept your credentials"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{WithT: NewWithT(t), t: t, namespace: w.namespace}
			output := w.answers(exitError, test.args...)
			for _, part := range test.want {
				w.Expect(output).To(ContainSubstring(part))
			}
		})
	}
}

func TestAPolicyOfAnotherNamespaceIsSuggested(t *testing.T) {
	there, here := newWorld(t), newWorld(t)
	there.statefulSet(1)
	there.create(there.newPolicy(func(policy *drainv1alpha1.DrainPolicy) { policy.Name = "elsewhere-" + there.namespace }))
	here.Expect(here.answers(exitError, "status", "elsewhere-"+there.namespace)).To(ContainSubstring("add -n " + there.namespace))
	there.Expect(there.answers(exitError, "status", "store")).To(ContainSubstring(`the DrainPolicy of StatefulSet "store" is "elsewhere-` + there.namespace))
}

// TestAClusterWithoutTheOperator has an API server of its own, since the CRD is of all of a cluster.
func TestAClusterWithoutTheOperator(t *testing.T) {
	bare := &envtest.Environment{ControlPlaneStartTimeout: 2 * time.Minute}
	config, err := bare.Start()
	g := NewWithT(t)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(bare.Stop()).To(Succeed()) }()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	g.Expect(os.WriteFile(file, bare.KubeConfig, 0o600)).To(Succeed())
	admin, err := client.New(config, client.Options{Scheme: Scheme()})
	g.Expect(err).NotTo(HaveOccurred())
	defer func(before client.Client) { k8s = before }(k8s)
	k8s = admin

	w := newWorld(t)
	w.statefulSet(2)
	w.claim(5)
	there := "--kubeconfig=" + file
	for _, args := range [][]string{{"status"}, {"status", "store"}, {"status", "-w"}, {"check", "store"}, {"wait", "store"}, {"undo", "store", "1"}, {"report"}} {
		w.Expect(w.answers(exitError, append(args, there)...)).To(And(ContainSubstring("has no DrainPolicies"), ContainSubstring("Install drain-operator")))
	}
	w.Expect(w.answers(0, "orphans", there)).To(And(ContainSubstring("data-store-5"), ContainSubstring("1 claims, 1Gi"), Not(ContainSubstring("data-store-1 "))))
	w.Expect(w.answers(0, "init", "sts/store", there)).To(ContainSubstring("kind: DrainPolicy"))
}

func TestCompletionAsksTheCluster(t *testing.T) {
	w := newWorld(t)
	w.draining()
	w.Expect(w.answers(0, "__complete", "status", "")).To(HavePrefix("store\n"))
	w.Expect(w.answers(0, "__complete", "undo", "store", "")).To(HavePrefix("2\tDraining"))
	w.Expect(w.answers(0, "__complete", "init", "")).To(HavePrefix("sts/store\n"))
	w.Expect(w.answers(0, "__complete", "status", "--color", "")).To(HavePrefix("auto\nalways\nnever\n"))
	w.Expect(w.answers(0, "__complete", "-n", w.namespace[:9])).To(ContainSubstring(w.namespace))
	w.Expect(w.answers(0, "completion", "bash")).To(ContainSubstring("bash completion"))
}

func TestWaitReturnsWhenTheScaleDownIsDrained(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(3)
	w.policy()
	w.Eventually(func() bool {
		return meta.IsStatusConditionTrue(w.get().Status.Conditions, drainv1alpha1.ConditionDrained)
	}).Should(BeTrue())
	w.scale(2)
	done := make(chan int, 1)
	var out, errOut bytes.Buffer
	go func() { done <- w.into(t.Context(), &out, &errOut, "wait", "store") }()
	job := w.job(2)
	pod := w.start(job)
	w.Consistently(done, 1500*time.Millisecond).ShouldNot(Receive(), "the drain runs")
	w.succeed(job, pod, "moved 7 records")
	w.Eventually(done).Should(Receive(BeZero()))
	w.Expect(out.String()).To(ContainSubstring("drainpolicy/store drained: The claims of 1 ordinals are drained and kept"))
	w.Expect(errOut.String()).To(ContainSubstring("Ordinal 2"))
}

func TestWaitExitsWithTheReason(t *testing.T) {
	w := newWorld(t)
	w.draining(func(policy *drainv1alpha1.DrainPolicy) { policy.Spec.Retry.MaxAttempts = ptr.To[int32](1) })
	w.Expect(w.answers(exitTimeout, "wait", "store", "--timeout=2s")).To(ContainSubstring("not drained after 2s: JobRunning: Ordinal 2"))
	w.Expect(w.answers(exitTimeout, "wait", "store", "--replicas=1", "--timeout=2s")).To(ContainSubstring(`waiting for StatefulSet "store" to be scaled from 2 to 1 replicas`))
	var pods corev1.PodList
	w.Expect(k8s.List(t.Context(), &pods, client.InNamespace(w.namespace), client.MatchingLabels{drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain})).To(Succeed())
	w.fail(w.job(2), &pods.Items[0], "the disk is broken")
	w.Expect(w.answers(exitStalled, "wait", "store", "--timeout=15s")).To(And(ContainSubstring("AttemptsExhausted"), ContainSubstring("the disk is broken")))

	w.answers(0, "skip", "store", "2")
	w.Eventually(w.drain(2)).Should(Equal("Retained/Skipped"))
	w.Expect(w.answers(exitStalled, "wait", "store")).To(ContainSubstring("kept undrained: Retained"))
	w.Expect(k8s.Delete(t.Context(), w.set)).To(Succeed())
	w.Expect(w.answers(exitGone, "wait", "store")).To(ContainSubstring(`StatefulSet "store" does not exist`))
}

func TestLogsShowWhatIsLeftOfADrain(t *testing.T) {
	w := newWorld(t)
	job, pod := w.draining()
	// The API server asks the kubelet, of which there is none: that it does shows which pod and container are read.
	w.Expect(w.answers(exitError, "logs", "store", "2")).To(ContainSubstring("somewhere"))
	w.succeed(job, pod, "moved 7 records")
	w.Eventually(w.drain(2)).Should(Equal("Drained/ClaimsKept"))
	w.Expect(k8s.Delete(t.Context(), pod, client.GracePeriodSeconds(0))).To(Succeed())
	for _, args := range [][]string{{"logs", "store"}, {"logs", "store", "2"}} {
		w.Expect(w.answers(0, args...)).To(And(ContainSubstring("has no drain pod"), ContainSubstring("moved 7 records")))
	}
	w.Expect(w.answers(exitNo, "logs", "store", "1")).To(ContainSubstring("reports no drain of ordinal 1; it reports: 2"))

	record := func(name string, attempt int32, log, missing string) {
		policy := w.get()
		w.Expect(k8s.Create(t.Context(), &drainv1alpha1.DrainRecord{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: map[string]string{drainv1alpha1.PolicyUIDLabel: string(policy.UID)}},
			PolicyName: policy.Name, Ordinal: ptr.To[int32](2), Attempt: attempt, JobName: job.Name, JobUID: string(job.UID),
			Result: drainv1alpha1.DrainResultSucceeded, Containers: []drainv1alpha1.ContainerRecord{{
				Name: "drain", PodName: pod.Name, RestartCount: ptr.To[int32](0), ExitCode: ptr.To[int32](0), FinishedTime: ptr.To(metav1.Now()),
				Message: "moved 7", Log: log, LogMissing: missing,
			}},
		})).To(Succeed())
	}
	record("first", 1, "the log of the first attempt", "")
	record("second", 2, "one\ntwo\n", "")
	w.Expect(w.answers(0, "logs", "store", "2")).To(And(
		ContainSubstring(`this is DrainRecord "second" of attempt 2, which has the result Succeeded`),
		ContainSubstring("[2 drain] one\n[2 drain] two\n"), Not(ContainSubstring("first"))))
	record("third", 3, "", "the kubelet did not answer")
	w.Expect(w.answers(0, "logs", "store")).To(And(
		ContainSubstring("[2 drain] moved 7"), ContainSubstring(`the log of container "drain" is missing: the kubelet did not answer`)))
}

func TestAMemberThatLeavesIsShownAndWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(3)
	w.policy(func(policy *drainv1alpha1.DrainPolicy) {
		policy.Spec.Replicas = ptr.To[int32](3)
		policy.Spec.Leave = &drainv1alpha1.LeaveOptions{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "drain", Image: "leave"}}}}}
		policy.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](2), MaxDelaySeconds: ptr.To[int32](2)}
	})
	w.Expect(k8s.Patch(t.Context(), w.get(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":2}}`)))).To(Succeed())
	done := make(chan int, 1)
	var out, errOut bytes.Buffer
	go func() { done <- w.into(t.Context(), &out, &errOut, "wait", "store", "--timeout=1m") }()
	first := w.job(2)
	pod := w.startPod(first)
	w.Expect(w.answers(0, "status", "store")).To(And(MatchRegexp(`\nmember 2 +Leaving +\S+ +1\n├─ job `+first.Name+` `), Not(ContainSubstring("ordinal 2"))))
	w.Expect(w.answers(exitError, "logs", "store", "2")).To(ContainSubstring("somewhere"), "the API server asks the kubelet of that pod")

	w.Expect(k8s.Create(t.Context(), &drainv1alpha1.DrainRecord{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "first", Labels: map[string]string{
			drainv1alpha1.PolicyUIDLabel: string(w.get().UID), drainv1alpha1.OrdinalLabel: "2", drainv1alpha1.AttemptLabel: "1",
		}},
		PolicyName: "store", Ordinal: ptr.To[int32](2), Action: drainv1alpha1.RecordedLeave, Attempt: 1, JobName: first.Name, JobUID: string(first.UID),
		Result: drainv1alpha1.DrainResultFailed, Message: "no quorum",
	})).To(Succeed())
	w.fail(first, pod, "no quorum")
	second := w.job(2)
	w.Expect(second.Name).NotTo(Equal(first.Name))
	w.Expect(w.answers(0, "status", "store")).To(MatchRegexp(`\nmember 2 +Leaving +\S+ +2 +attempt 1: Failed: no quorum\n`))
	w.Eventually(func() error { return k8s.Get(t.Context(), client.ObjectKeyFromObject(pod), pod) }).Should(Satisfy(apierrors.IsNotFound), "the first Job is deleted with its pod")
	w.Expect(w.answers(0, "logs", "store", "2")).To(ContainSubstring(`this is DrainRecord "first" of attempt 1 to leave`))
	w.Consistently(done, 1500*time.Millisecond).ShouldNot(Receive(), "nothing is orphaned yet, and the member leaves")

	w.succeed(second, w.startPod(second), "")
	w.Eventually(func() int32 { w.refresh(); return *w.set.Spec.Replicas }).Should(BeEquivalentTo(2))
	w.scale(2)
	w.Expect(k8s.Delete(t.Context(), &corev1.Pod{ObjectMeta: w.meta("store-2")}, client.GracePeriodSeconds(0))).To(Succeed())
	var drain *batchv1.Job
	w.Eventually(func() string {
		drain = w.job(2)
		return drain.Labels[drainv1alpha1.RoleLabel]
	}).Should(Equal(drainv1alpha1.RoleDrain))
	w.Eventually(func() string { return w.answers(0, "status", "store") }).Should(And(ContainSubstring("ordinal 2"), Not(ContainSubstring("member 2"))), "it has left")
	w.succeed(drain, w.start(drain), "moved 7 records")
	w.Eventually(done).Should(Receive(BeZero()))
	w.Expect(out.String()).To(ContainSubstring(`drainpolicy/store drained: StatefulSet "store" has 2 replicas; `))
	w.Expect(errOut.String()).To(ContainSubstring(`the member of pod "store-2" leaves`))
}
