//go:build e2e

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

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	top = "../.."
	// leaseName is that of the managers' lease.
	leaseName = "manager.drain.statefulset.dev"
)

// lab is the local cluster as a thing to break. What it breaks, it heals when the test ends.
type lab struct {
	// numbers are the nodes' numbers for the local cluster.
	numbers map[string]int
	// steady is the node that stays well and has the operator, shaky the one that things happen to.
	steady, shaky string
	broken        map[string]bool

	watching   sync.WaitGroup
	mu         sync.Mutex
	violations []string
}

func newLab(ctx context.Context) *lab {
	GinkgoHelper()
	local, err := clientcmd.BuildConfigFromFlags("", filepath.Join(top, ".cluster", "kubeconfig"))
	Expect(err).NotTo(HaveOccurred())
	Expect(serverAddress).To(Equal(local.Host), "faults are for this checkout's local cluster, and for no other")
	output, err := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(top, "test", "infrastructure"), "-o", "../../bin/cluster", "./cluster").CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))

	l := &lab{numbers: map[string]int{}, broken: map[string]bool{}}
	var names []string
	Eventually(ctx, func(g Gomega) {
		names = nil
		var nodes corev1.NodeList
		g.Expect(cluster.List(ctx, &nodes)).To(Succeed())
		for i := range nodes.Items {
			node := &nodes.Items[i]
			if _, control := node.Labels["node-role.kubernetes.io/control-plane"]; control {
				continue
			}
			names = append(names, node.Name)
			g.Expect(nodeIsReady(node)).To(BeTrue(), "node %s must be ready", node.Name)
			g.Expect(node.Spec.Taints).To(BeEmpty(), "taints of node %s", node.Name)
		}
		var dns appsv1.Deployment
		g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: "kube-system", Name: "coredns"}, &dns)).To(Succeed())
		g.Expect(dns.Status.ReadyReplicas).To(Equal(*dns.Spec.Replicas), "DNS servers")
	}).Should(Succeed(), "the cluster must be well before it is broken")
	slices.Sort(names)
	Expect(len(names)).To(BeNumerically(">=", 2), "faults need two nodes")
	for i, name := range names {
		l.numbers[name] = i + 1
	}
	l.steady, l.shaky = names[0], names[1]

	for _, pod := range operatorPods(ctx) {
		if pod.Spec.NodeName != l.steady {
			l.placing(ctx, l.steady, func() { restartOperator(ctx) })
			break
		}
	}
	Eventually(ctx, operatorIsReady(ctx)).Should(Succeed())
	l.watchVolumes()
	return l
}

// run runs a command of the local cluster.
func (l *lab) run(ctx context.Context, args ...string) {
	GinkgoHelper()
	By("cluster " + strings.Join(args, " "))
	program, err := filepath.Abs(filepath.Join(top, "bin", "cluster"))
	Expect(err).NotTo(HaveOccurred())
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = top
	output, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
}

// powerOff kills everything on a node at once; partition only cuts it off. They return when Kubernetes has noticed.
func (l *lab) powerOff(ctx context.Context, node string)  { l.breakNode(ctx, node, "crash") }
func (l *lab) partition(ctx context.Context, node string) { l.breakNode(ctx, node, "partition") }

func (l *lab) breakNode(ctx context.Context, node, how string) {
	GinkgoHelper()
	l.broken[node] = true
	DeferCleanup(func(ctx SpecContext) { l.heal(ctx, node) }, NodeTimeout(3*time.Minute))
	l.run(ctx, "node", strconv.Itoa(l.numbers[node]), how)
	Eventually(ctx, func(g Gomega) {
		var n corev1.Node
		g.Expect(cluster.Get(ctx, client.ObjectKey{Name: node}, &n)).To(Succeed())
		g.Expect(nodeIsReady(&n)).To(BeFalse())
	}).Should(Succeed(), "Kubernetes must notice that node %s doesn't answer", node)
}

func (l *lab) heal(ctx context.Context, node string) {
	GinkgoHelper()
	if !l.broken[node] {
		return
	}
	l.run(ctx, "node", strconv.Itoa(l.numbers[node]), "heal")
	l.broken[node] = false
}

func nodeIsReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// changeNode edits a node.
func changeNode(ctx context.Context, name string, change func(*corev1.Node)) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		var node corev1.Node
		g.Expect(cluster.Get(ctx, client.ObjectKey{Name: name}, &node)).To(Succeed())
		change(&node)
		g.Expect(cluster.Update(ctx, &node)).To(Succeed())
	}).Should(Succeed(), "editing node %s", name)
}

// outOfService says that a node is down for good, as `kubectl taint node NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute` does.
func (l *lab) outOfService(ctx context.Context, node string) {
	GinkgoHelper()
	By(fmt.Sprintf("kubectl taint node %s %s=nodeshutdown:NoExecute", node, corev1.TaintNodeOutOfService))
	DeferCleanup(func(ctx SpecContext) { l.inService(ctx, node) }, NodeTimeout(time.Minute))
	changeNode(ctx, node, func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "nodeshutdown", Effect: corev1.TaintEffectNoExecute})
	})
}

func (l *lab) inService(ctx context.Context, node string) {
	GinkgoHelper()
	changeNode(ctx, node, func(n *corev1.Node) {
		n.Spec.Taints = slices.DeleteFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
	})
}

// placing lets Pods that are scheduled while do runs go to one node only.
func (l *lab) placing(ctx context.Context, node string, do func()) {
	GinkgoHelper()
	uncordon := func(ctx context.Context) {
		for other := range l.numbers {
			changeNode(ctx, other, func(n *corev1.Node) { n.Spec.Unschedulable = false })
		}
	}
	DeferCleanup(func(ctx SpecContext) { uncordon(ctx) }, NodeTimeout(time.Minute))
	for other := range l.numbers {
		changeNode(ctx, other, func(n *corev1.Node) { n.Spec.Unschedulable = other != node })
	}
	do()
	uncordon(ctx)
}

// start brings two replicas up on the steady node, with records, and counts them.
func (l *lab) start(ctx context.Context, set *appsv1.StatefulSet, policy *drainv1alpha1.DrainPolicy) map[string]string {
	GinkgoHelper()
	l.placing(ctx, l.steady, func() { w.startStore(ctx, set, policy) })
	records := w.fillAll(ctx, *set.Spec.Replicas, each)
	w.expectRecords(ctx, records, 0, 1)
	return records
}

// startHeld does that and scales down, so that the drain is half-way then, on the given node, and stays so.
func (l *lab) startHeld(ctx context.Context, node string, mutate ...func(*drainv1alpha1.DrainPolicy)) map[string]string {
	GinkgoHelper()
	records := l.start(ctx, statefulSet(2), drainPolicy(append([]func(*drainv1alpha1.DrainPolicy){
		held(), whenDrained(drainv1alpha1.WhenDrainedDelete),
	}, mutate...)...))
	w.hold(ctx)
	l.placing(ctx, node, func() {
		w.scale(ctx, 1)
		w.expectHalfWay(ctx, 1, each, 0)
	})
	Expect(w.onlyDrainPod().Spec.NodeName).To(Equal(node))
	return records
}

// finish lets the drain go on, to its end.
func (w *world) finish(ctx context.Context, records map[string]string) {
	GinkgoHelper()
	w.release(ctx)
	w.expectNoClaim(ctx, claim("data", 1))
	w.expectDrained(ctx, records, 0)
}

// configureKubelet restarts a node's kubelet with other settings, which last until the test ends or restore is called.
func (l *lab) configureKubelet(ctx context.Context, node, settings string) (restore func(context.Context)) {
	GinkgoHelper()
	file := filepath.Join(top, ".cluster", "nodes", node, "config", "kubelet.conf.d", "50-test.conf")
	Expect(os.WriteFile(file, []byte("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"+settings), 0o600)).To(Succeed())
	restore = func(ctx context.Context) {
		GinkgoHelper()
		if err := os.Remove(file); os.IsNotExist(err) {
			return // It was called before, or the node was healed.
		}
		l.restartKubelet(ctx, node)
	}
	DeferCleanup(func(ctx SpecContext) { restore(ctx) }, NodeTimeout(3*time.Minute))
	l.restartKubelet(ctx, node)
	return restore
}

func (l *lab) restartKubelet(ctx context.Context, node string) {
	GinkgoHelper()
	l.run(ctx, "node", strconv.Itoa(l.numbers[node]), "restart-kubelet")
}

// shutDown and halt end the pods of a node as the shutdown of a machine does, with its kubelet and behind its back. They don't power it off.
func (l *lab) shutDown(ctx context.Context, node string) { l.end(ctx, node, "shutdown") }
func (l *lab) halt(ctx context.Context, node string)     { l.end(ctx, node, "halt") }

func (l *lab) end(ctx context.Context, node, how string) {
	GinkgoHelper()
	l.broken[node] = true
	DeferCleanup(func(ctx SpecContext) { l.heal(ctx, node) }, NodeTimeout(3*time.Minute))
	l.run(ctx, "node", strconv.Itoa(l.numbers[node]), how)
}

// watchVolumes collects the traces of second writers from all volumes for as long as the test runs: a volume is removed with its claim, and
// its trace with it. Where the volumes are elsewhere, there are still those that the drains and the replicas report of themselves.
func (l *lab) watchVolumes() {
	stop := make(chan struct{})
	pattern, err := filepath.Abs(filepath.Join(top, ".cluster", "volumes", "*", "VIOLATION"))
	Expect(err).NotTo(HaveOccurred())
	look := func() {
		files, _ := filepath.Glob(pattern) // The pattern is a good one.
		for _, file := range files {
			content, err := os.ReadFile(file)
			line := fmt.Sprintf("%s: %s", filepath.Base(filepath.Dir(file)), bytes.TrimSpace(content))
			l.mu.Lock()
			if err == nil && !slices.Contains(l.violations, line) {
				l.violations = append(l.violations, line)
			}
			l.mu.Unlock()
		}
	}
	l.watching.Go(func() {
		ticker := time.NewTicker(pollStep)
		defer ticker.Stop()
		for {
			look()
			select {
			case <-stop:
				look()
				return
			case <-ticker.C:
			}
		}
	})
	DeferCleanup(func() {
		close(stop)
		l.watching.Wait()
		Expect(l.violations).To(BeEmpty(), "volumes that have seen a second writer")
	})
}

// operatorPods are the managers' Pods that are not going.
func operatorPods(ctx context.Context) []corev1.Pod {
	GinkgoHelper()
	var deployment appsv1.Deployment
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &deployment)).To(Succeed())
	var pods corev1.PodList
	Expect(cluster.List(ctx, &pods, client.InNamespace(operatorNamespace), client.MatchingLabels(deployment.Spec.Selector.MatchLabels))).To(Succeed())
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}

// scaleOperator sets the number of managers.
func scaleOperator(ctx context.Context, replicas int32) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		var deployment appsv1.Deployment
		g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &deployment)).To(Succeed())
		deployment.Spec.Replicas = &replicas
		g.Expect(cluster.Update(ctx, &deployment)).To(Succeed())
	}).Should(Succeed())
	Eventually(ctx, func(g Gomega) {
		g.Expect(operatorPods(ctx)).To(HaveLen(int(replicas)))
		if replicas == 0 {
			var pods corev1.PodList
			g.Expect(cluster.List(ctx, &pods, client.InNamespace(operatorNamespace))).To(Succeed())
			g.Expect(pods.Items).To(BeEmpty(), "one that terminates still acts")
			return
		}
		operatorIsReady(ctx)(g)
	}).Should(Succeed(), "%d managers must be ready", replicas)
}

// leader is the manager that has the lease.
func leader(ctx context.Context) *corev1.Pod {
	GinkgoHelper()
	var found *corev1.Pod
	Eventually(ctx, func(g Gomega) {
		var lease coordinationv1.Lease
		g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: leaseName}, &lease)).To(Succeed())
		g.Expect(lease.Spec.HolderIdentity).NotTo(BeNil())
		holder, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
		found = &corev1.Pod{}
		g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: holder}, found)).To(Succeed())
	}).Should(Succeed(), "a manager must have the lease")
	return found
}

// processOf is the process of a manager's container. Nodes share the kernel of the machine that the tests run on, so it can be had there, by
// the Pod's UID in its cgroup.
func processOf(pod *corev1.Pod) *os.Process {
	GinkgoHelper()
	return processIn(pod, "/manager")
}

// processIn is the process of a Pod that runs a program.
func processIn(pod *corev1.Pod, program string) *os.Process {
	GinkgoHelper()
	process := findProcess(pod, program)
	Expect(process).NotTo(BeNil(), "a process of this machine must be %s of Pod %s", program, pod.Name)
	return process
}

// findProcess is that process, or nil.
func findProcess(pod *corev1.Pod, program string) *os.Process {
	GinkgoHelper()
	entries, err := os.ReadDir("/proc")
	Expect(err).NotTo(HaveOccurred())
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		groups, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cgroup"))
		if err != nil || !strings.Contains(strings.ReplaceAll(string(groups), "_", "-"), "pod"+string(pod.UID)) {
			continue
		}
		args, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil || !bytes.HasPrefix(args, []byte(program+"\x00")) {
			continue
		}
		process, err := os.FindProcess(pid)
		Expect(err).NotTo(HaveOccurred())
		return process
	}
	return nil
}

func signal(process *os.Process, what syscall.Signal) {
	GinkgoHelper()
	By(fmt.Sprintf("kill -%d %d", what, process.Pid))
	Expect(process.Signal(what)).To(Succeed())
}

// expectRestarted waits until the container of a manager has been started again.
func expectRestarted(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		var now corev1.Pod
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(pod), &now)).To(Succeed())
		g.Expect(now.Status.ContainerStatuses).To(HaveExactElements(HaveField("RestartCount", BeNumerically(">", pod.Status.ContainerStatuses[0].RestartCount))))
	}).Should(Succeed(), "the kill must have hit the manager of Pod %s", pod.Name)
}

// await waits for what the recorder was asked to tell.
func await(ctx context.Context, told <-chan change, what string) change {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case c := <-told:
		return c
	case <-ctx.Done():
		Fail("the recorder has not seen in time: " + what)
		return change{}
	}
}

// onlyDrainPod is the one drain Pod that ever was.
func (w *world) onlyDrainPod() *corev1.Pod {
	GinkgoHelper()
	pods := w.recorder.drainPods()
	Expect(pods).To(HaveLen(1), "drain Pods that ever were")
	return pods[0]
}

// expectNothingStarted holds that no lock was taken, no Job created and no claim touched, in all the test's time.
func (w *world) expectNothingStarted() {
	GinkgoHelper()
	w.expectUntouched()
	for _, pod := range objectsOf[*corev1.Pod](w.recorder) {
		Expect(isLock(pod)).To(BeFalse(), "no lock must have been taken, but %s was", pod.Name)
	}
}

// expectMessage waits until the entry of an ordinal says all the words, and gives the message back. What the operator can't watch, it looks
// at again after ten seconds at first, and the longer it waits the later, up to a minute.
func (w *world) expectMessage(ctx context.Context, ordinal int32, words ...string) string {
	GinkgoHelper()
	var said string
	Eventually(ctx, func(g Gomega) {
		var p drainv1alpha1.DrainPolicy
		g.Expect(cluster.Get(ctx, w.key(w.set), &p)).To(Succeed())
		entry := drainOf(&p, ordinal)
		g.Expect(entry).NotTo(BeNil())
		said = entry.Message
		for _, word := range words {
			g.Expect(said).To(ContainSubstring(word))
		}
	}).WithTimeout(2*patience).Should(Succeed(), "what the policy says of ordinal %d", ordinal)
	return said
}

// expectDrained waits until nothing is orphaned any more, and counts the records.
func (w *world) expectDrained(ctx context.Context, records map[string]string, ordinals ...int32) {
	GinkgoHelper()
	w.expectCondition(ctx, w.set, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
	w.expectNoLocks(ctx)
	w.expectRecords(ctx, records, ordinals...)
}

// seen notes for the reader of the run what was seen.
func seen(format string, args ...any) {
	AddReportEntry("seen", fmt.Sprintf(format, args...))
}
