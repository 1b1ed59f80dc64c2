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
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// pressure is memory pressure as long as anything runs on the machine.
	pressure = "evictionHard: {memory.available: \"99%\"}\nevictionPressureTransitionPeriod: 1s\n"
	// measuring makes the kubelet measure volumes every two seconds and not every minute.
	measuring = "volumeStatsAggPeriod: 2s\n"
)

// exitingZero lets the drain exit 0 without a receipt when it gets SIGTERM, as many programs do.
func exitingZero(p *drainv1alpha1.DrainPolicy) { drainArgs("--exit-0-on-sigterm")(p) }

// filling lets the drain write 4 MiB to a volume that it has for nothing else.
func filling(p *drainv1alpha1.DrainPolicy) {
	spec := &p.Spec.Template.Spec
	spec.Volumes = append(spec.Volumes, emptyDir("scratch"))
	container := &spec.Containers[0]
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "scratch", MountPath: "/scratch"})
	container.Args = append(container.Args, "--fill=/scratch/fill")
}

func notFilling(p *drainv1alpha1.DrainPolicy) {
	for _, containers := range [][]corev1.Container{p.Spec.Template.Spec.InitContainers, p.Spec.Template.Spec.Containers} {
		for i := range containers {
			containers[i].Args = slices.DeleteFunc(containers[i].Args,
				func(arg string) bool { return strings.HasPrefix(arg, "--fill=") })
		}
	}
}

func limitingVolume(p *drainv1alpha1.DrainPolicy) {
	filling(p)
	p.Spec.Template.Spec.Volumes[0].EmptyDir.SizeLimit = new(resource.MustParse("1Mi"))
}

func limitingStorage(p *drainv1alpha1.DrainPolicy) {
	filling(p)
	p.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{
		corev1.ResourceEphemeralStorage: resource.MustParse("1Mi"),
	}
}

// probed has a probe that fails from five seconds on, which is when the drain is half-way.
func probed(p *drainv1alpha1.DrainPolicy) {
	p.Spec.Template.Spec.Containers[0].LivenessProbe = &corev1.Probe{
		ProbeHandler:        corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1)}},
		InitialDelaySeconds: 5, PeriodSeconds: 1, FailureThreshold: 1,
	}
}

func notRestarted(p *drainv1alpha1.DrainPolicy) {
	p.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
}

func requesting(name corev1.ResourceName, amount string) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{name: resource.MustParse(amount)}
	}
}

// expectDrainEnd waits until the first drain Pod has ended, and says how.
func (w *world) expectDrainEnd(ctx SpecContext) *corev1.Pod {
	GinkgoHelper()
	var ended *corev1.Pod
	Eventually(ctx, func(g Gomega) {
		ends := w.recorder.ends()
		g.Expect(ends).NotTo(BeEmpty())
		ended = ends[0]
	}).WithTimeout(2*time.Minute).Should(Succeed(), "the drain Pod must end")
	var how []string
	for _, s := range slices.Concat(ended.Status.InitContainerStatuses, ended.Status.ContainerStatuses) {
		if t := s.State.Terminated; t != nil {
			how = append(how,
				fmt.Sprintf("%s exited %d after %d restarts: %q", s.Name, t.ExitCode, s.RestartCount, strings.TrimSpace(t.Message)))
		} else {
			how = append(how, s.Name+" never ended")
		}
	}
	seen("the drain Pod ended as %s %s, DisruptionTarget %t, deletion timestamp %t; %s",
		ended.Status.Phase, ended.Status.Reason, isDisrupted(ended), ended.DeletionTimestamp != nil, strings.Join(how, "; "))
	return ended
}

// expectNoTrace holds that nothing in the API tells that the Pod was told to end: it is what these tests are about.
func expectNoTrace(pod *corev1.Pod) {
	GinkgoHelper()
	Expect(pod.Status.Phase).To(Equal(corev1.PodSucceeded))
	Expect(isDisrupted(pod)).To(BeFalse(), "DisruptionTarget")
	Expect(pod.DeletionTimestamp).To(BeNil())
}

// expectOnlyCondition holds that the condition DisruptionTarget alone tells that the Pod was told to end.
func expectOnlyCondition(pod *corev1.Pod) {
	GinkgoHelper()
	Expect(pod.Status.Phase).To(Equal(corev1.PodSucceeded))
	Expect(isDisrupted(pod)).To(BeTrue(), "DisruptionTarget")
	Expect(pod.DeletionTimestamp).To(BeNil())
}

// What the kubelet and the nodes do to a drain that exits 0 when it gets SIGTERM. Records are counted before and after; the
// policies say Delete, so that what is lost would be lost for good.
var _ = Describe("Fault of the kubelet", Label("faults"), Serial, func() {
	var l *lab

	BeforeEach(func(ctx SpecContext) { l = newLab(ctx) }, NodeTimeout(4*time.Minute))

	// rejected brings up a policy that can't be believed, scales down, and expects that the policy is refused and nothing
	// touched. Then it fixes the policy, and expects the drain of the claims.
	rejected := func(
		ctx SpecContext, path string, fix func(*drainv1alpha1.DrainPolicy),
		set *appsv1.StatefulSet, policy *drainv1alpha1.DrainPolicy,
	) {
		GinkgoHelper()
		w.create(ctx, service(), set, policy)
		w.expectReplicas(ctx, 2)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionReady, "False "+drainv1alpha1.ReasonInvalidTemplate)
		said := describeCondition(w.policy(ctx, storeName), drainv1alpha1.ConditionReady)
		Expect(said).To(ContainSubstring(path))
		seen("%s", said)
		records := w.fillAll(ctx, 2, each)
		w.expectRecords(ctx, records, 0, 1)
		w.scale(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonInvalidTemplate)
		w.expectUntouched()
		w.changePolicy(ctx, storeName, fix)
		for i := range set.Spec.VolumeClaimTemplates {
			w.expectNoClaim(ctx, claim(set.Spec.VolumeClaimTemplates[i].Name, 1))
		}
		w.expectDrained(ctx, records, 0)
	}
	refused := func(
		ctx SpecContext, path string, fix func(*drainv1alpha1.DrainPolicy), mutate ...func(*drainv1alpha1.DrainPolicy),
	) {
		GinkgoHelper()
		mutate = append(mutate, exitingZero, whenDrained(drainv1alpha1.WhenDrainedDelete))
		rejected(ctx, path, fix, statefulSet(2), drainPolicy(mutate...))
	}
	// again waits for the records after the first drain Pod was told to end: another one must have drained them.
	again := func(ctx SpecContext, records map[string]string) {
		GinkgoHelper()
		w.finish(ctx, records)
		Expect(len(w.recorder.drainPods())).To(BeNumerically(">=", 2), "drain Pods: what the first one left is no evidence")
		seen("drain Pods in all: %d, Jobs: %d", len(w.recorder.drainPods()), len(w.recorder.drainJobs()))
	}
	// fixed expects that the first drain Pod was told to end and left no trace of it, fixes the policy, and waits for the
	// drain.
	fixed := func(ctx SpecContext, records map[string]string, fix func(*drainv1alpha1.DrainPolicy)) {
		GinkgoHelper()
		expectNoTrace(w.expectDrainEnd(ctx))
		w.changePolicy(ctx, storeName, fix)
		again(ctx, records)
	}
	// expectLoss holds that the first drain Pod was told to end and is believed, so that half of the records are lost: the
	// risk that remains.
	expectLoss := func(ctx SpecContext, records map[string]string, why string) {
		GinkgoHelper()
		expectNoTrace(w.expectDrainEnd(ctx))
		w.release(ctx)
		w.expectNoClaim(ctx, claim("data", 1))
		got, err := w.recordsOf(ctx, 0)
		Expect(err).NotTo(HaveOccurred())
		seen("records lost: %d of %d", len(records)-len(got), len(records))
		Expect(got).To(HaveLen(len(records)-each/2), why+"; if this fails, the documentation is wrong")
	}
	exitCode, receipt := provedBy(drainv1alpha1.ProofExitCode), provedBy(drainv1alpha1.ProofReceipt)

	Describe("eviction by emptyDir.sizeLimit", func() {
		unlimited := func(p *drainv1alpha1.DrainPolicy) {
			notFilling(p)
			p.Spec.Template.Spec.Volumes[0].EmptyDir.SizeLimit = nil
		}
		It("with a receipt: it is drained again", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			l.configureKubelet(ctx, l.shaky, measuring)
			records := l.startHeld(ctx, l.shaky, exitingZero, receipt, limitingVolume, retriedSoon)
			fixed(ctx, records, unlimited)
		})
		It("with exit codes: the template is refused", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			refused(ctx, "sizeLimit", unlimited, exitCode, limitingVolume)
		})
		It("of a tool that runs as init container, before the container that writes the receipt: that one never starts",
			SpecTimeout(faultTimeout), func(ctx SpecContext) {
				l.configureKubelet(ctx, l.shaky, measuring)
				records := l.startHeld(ctx, l.shaky, exitingZero, receipt, limitingVolume, asInitContainer(), retriedSoon)
				ended := w.expectDrainEnd(ctx)
				Expect(ended.Status.Phase).To(Equal(corev1.PodFailed))
				Expect(ended.Status.InitContainerStatuses).To(HaveExactElements(HaveField("State.Terminated.ExitCode", BeZero())))
				Expect(ended.Status.ContainerStatuses).
					To(HaveExactElements(HaveField("State.Waiting", Not(BeNil()))), "the container that writes the receipt")
				w.changePolicy(ctx, storeName, unlimited)
				again(ctx, records)
			})
	})

	Describe("eviction by a limit of ephemeral storage", func() {
		unlimited := func(p *drainv1alpha1.DrainPolicy) {
			notFilling(p)
			p.Spec.Template.Spec.Containers[0].Resources.Limits = nil
		}
		It("with a receipt: it is drained again", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			l.configureKubelet(ctx, l.shaky, measuring)
			records := l.startHeld(ctx, l.shaky, exitingZero, receipt, limitingStorage, retriedSoon)
			fixed(ctx, records, unlimited)
		})
		It("with exit codes: the template is refused", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			refused(ctx, "ephemeral-storage", unlimited, exitCode, limitingStorage)
		})
	})

	DescribeTable("eviction under node pressure", func(ctx SpecContext, proof func(*drainv1alpha1.DrainPolicy)) {
		// A kubelet that starts under memory pressure refuses what has no requests, also when it runs already.
		records := l.startHeld(ctx, l.shaky, exitingZero, proof, requesting(corev1.ResourceMemory, "1Mi"), retriedSoon)
		restore := l.configureKubelet(ctx, l.shaky, pressure)
		expectOnlyCondition(w.expectDrainEnd(ctx))
		restore(ctx)
		again(ctx, records)
	},
		Entry("with a receipt", SpecTimeout(faultTimeout), receipt),
		Entry("with exit codes", SpecTimeout(faultTimeout), exitCode),
	)

	DescribeTable("preemption by a critical static pod", func(ctx SpecContext, proof func(*drainv1alpha1.DrainPolicy)) {
		var node corev1.Node
		Expect(cluster.Get(ctx, client.ObjectKey{Name: l.shaky}, &node)).To(Succeed())
		// Each fits the node, both don't.
		most := resource.NewMilliQuantity(node.Status.Allocatable.Cpu().MilliValue()*6/10, resource.DecimalSI).String()
		records := l.startHeld(ctx, l.shaky, exitingZero, proof, requesting(corev1.ResourceCPU, most), retriedSoon)
		remove := l.runStaticPod(ctx, l.shaky, most)
		expectOnlyCondition(w.expectDrainEnd(ctx))
		remove()
		again(ctx, records)
	},
		Entry("with a receipt", SpecTimeout(faultTimeout), receipt),
		Entry("with exit codes", SpecTimeout(faultTimeout), exitCode),
	)

	DescribeTable("graceful shutdown of the node, through an inhibitor lock",
		func(ctx SpecContext, proof func(*drainv1alpha1.DrainPolicy)) {
			records := l.startHeld(ctx, l.shaky, exitingZero, proof, retriedSoon)
			l.shutDown(ctx, l.shaky)
			expectOnlyCondition(w.expectDrainEnd(ctx))
			l.powerOff(ctx, l.shaky)
			again(ctx, records)
		},
		Entry("with a receipt", SpecTimeout(faultTimeout), receipt),
		Entry("with exit codes", SpecTimeout(faultTimeout), exitCode),
	)

	Describe("a liveness probe that fails half-way", func() {
		unprobed := func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Containers[0].LivenessProbe = nil }
		It("with a receipt, under Never: it is drained again", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			records := l.startHeld(ctx, l.shaky, exitingZero, receipt, probed, notRestarted, retriedSoon)
			fixed(ctx, records, unprobed)
		})
		It("with a receipt, under OnFailure: the restart waits for its turn, and then exit 0 was the end; "+
			"it is drained again", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			records := l.startHeld(ctx, l.shaky, exitingZero, receipt, probed, retriedSoon)
			ended := w.expectDrainEnd(ctx)
			expectNoTrace(ended)
			Expect(ended.Status.ContainerStatuses[0].RestartCount).To(BeNumerically(">=", 1), "restarts in the Pod")
			w.changePolicy(ctx, storeName, unprobed)
			again(ctx, records)
		})
		It("with exit codes: the template is refused", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			refused(ctx, "livenessProbe", unprobed, exitCode, probed)
		})
	})

	Describe("reboot: SIGTERM to every process, power off, and on again", func() {
		reboot := func(ctx SpecContext) {
			GinkgoHelper()
			l.halt(ctx, l.shaky)
			l.powerOff(ctx, l.shaky)
			l.heal(ctx, l.shaky)
		}
		DescribeTable("with a receipt: it is drained again",
			func(ctx SpecContext, mutate ...func(*drainv1alpha1.DrainPolicy)) {
				records := l.startHeld(ctx, l.shaky, append(mutate, exitingZero, receipt, retriedSoon)...)
				reboot(ctx)
				expectNoTrace(w.expectDrainEnd(ctx))
				again(ctx, records)
			},
			Entry("under OnFailure", SpecTimeout(faultTimeout)),
			Entry("under Never", SpecTimeout(faultTimeout), notRestarted),
		)
		It("with exit codes: this is the risk that remains, and docs/faults.md says so",
			SpecTimeout(faultTimeout), func(ctx SpecContext) {
				records := l.startHeld(ctx, l.shaky, exitingZero, exitCode, retriedSoon)
				reboot(ctx)
				expectLoss(ctx, records, "nothing in the API tells this exit code 0 from one of a drain that was done")
			})
		It("of a tool that runs as init container, before the container that writes the receipt: it runs again",
			SpecTimeout(faultTimeout), func(ctx SpecContext) {
				records := l.startHeld(ctx, l.shaky, exitingZero, receipt, asInitContainer(), retriedSoon)
				reboot(ctx)
				// The API goes on to show that the tool has exited 0: the kubelet may not report that a container which has ended
				// well runs again.
				Eventually(ctx, func() any { return findProcess(w.onlyDrainPod(), "/datastore") }).
					ShouldNot(BeNil(), "the tool must run again, in a new sandbox of the same Pod")
				pod := w.onlyDrainPod()
				seen("the tool runs again, and the API shows of it: %+v", pod.Status.InitContainerStatuses[0].State)
				Expect(pod.Status.ContainerStatuses).
					To(HaveExactElements(HaveField("State.Waiting", Not(BeNil()))), "the container that writes the receipt")
				w.finish(ctx, records)
			})
	})

	It("a signal that doesn't come through the kubelet, to a tool that runs as init container: "+
		"this is the risk that remains, and docs/faults.md says so", SpecTimeout(faultTimeout), func(ctx SpecContext) {
		records := l.startHeld(ctx, l.shaky, exitingZero, receipt, asInitContainer(), retriedSoon)
		signal(processIn(w.onlyDrainPod(), "/datastore"), syscall.SIGTERM)
		expectLoss(ctx, records, "the kubelet takes the tool for done and starts the container that writes the receipt")
	})

	DescribeTable("deletion of the Node object", func(ctx SpecContext, proof func(*drainv1alpha1.DrainPolicy)) {
		records := l.startHeld(ctx, l.shaky, exitingZero, proof, retriedSoon)
		var node corev1.Node
		Expect(cluster.Get(ctx, client.ObjectKey{Name: l.shaky}, &node)).To(Succeed())
		By("kubectl delete node " + l.shaky)
		// The kubelet makes its Node object when it starts, and kube-proxy ends with it.
		l.broken[l.shaky] = true
		DeferCleanup(func(ctx SpecContext) { l.heal(ctx, l.shaky) }, NodeTimeout(3*time.Minute))
		Expect(cluster.Delete(ctx, &node)).To(Succeed())
		Eventually(ctx, func(g Gomega) {
			pods := w.recorder.drainPods()
			g.Expect(pods).To(HaveLen(2))
			g.Expect(pods[1].Spec.NodeName).To(Equal(l.steady))
			g.Expect(pods[1].Status.Phase).To(Equal(corev1.PodRunning))
		}).WithTimeout(3*time.Minute).
			Should(Succeed(), "the garbage collector of Pods must delete the first drain Pod, and a second one go on")
		ended := w.expectDrainEnd(ctx)
		Expect(isDisrupted(ended)).To(BeTrue(), "DisruptionTarget")
		again(ctx, records)
		l.heal(ctx, l.shaky)
	},
		Entry("with a receipt", SpecTimeout(faultTimeout), receipt),
		Entry("with exit codes", SpecTimeout(faultTimeout), exitCode),
	)

	Describe("a Job that a TTL deletes when it has ended", func() {
		withTTL := func(ctx SpecContext) *batchv1.Job {
			GinkgoHelper()
			job := w.recorder.drainJobs()[0]
			By("setting ttlSecondsAfterFinished of Job " + job.Name)
			Expect(cluster.Patch(ctx, job,
				client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"ttlSecondsAfterFinished":0}}`)))).To(Succeed())
			return job
		}
		expectGone := func(ctx SpecContext, job *batchv1.Job) {
			GinkgoHelper()
			Eventually(ctx, func() types.UID {
				var now batchv1.Job
				Expect(client.IgnoreNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(job), &now))).To(Succeed())
				return now.UID
			}).ShouldNot(Equal(job.UID), "the Job must be gone")
		}
		// A Job that is gone was an attempt: the next one is another one, with another receipt.
		expectAttempts := func() {
			GinkgoHelper()
			var names []string
			for _, job := range w.recorder.drainJobs() {
				Expect(names).NotTo(ContainElement(job.Name), "names of Jobs that have been used")
				names = append(names, job.Name)
			}
			seen("drain Jobs: %s", strings.Join(names, ", "))
		}
		It("with a receipt, after a drain that was told to end: it is drained again",
			SpecTimeout(faultTimeout), func(ctx SpecContext) {
				records := l.startHeld(ctx, l.shaky, exitingZero, receipt, retriedSoon)
				job := withTTL(ctx)
				signal(processIn(w.onlyDrainPod(), "/datastore"), syscall.SIGTERM)
				w.expectDrainEnd(ctx)
				expectGone(ctx, job)
				again(ctx, records)
				expectAttempts()
			})
		It("with exit codes, after a drain that was done", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			records := l.startHeld(ctx, l.shaky, exitingZero, exitCode, retriedSoon)
			job := withTTL(ctx)
			w.release(ctx)
			w.expectDrainEnd(ctx)
			expectGone(ctx, job)
			w.expectNoClaim(ctx, claim("data", 1))
			w.expectDrained(ctx, records, 0)
			expectAttempts()
		})
	})

	It("a claim template that no container mounts: the policy is refused, and no claim touched",
		SpecTimeout(faultTimeout), func(ctx SpecContext) {
			rejected(ctx, "wal", draining("data", "wal"), statefulSet(2, withClaimTemplates("data", "wal")),
				drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
		})
})

// runStaticPod lets the kubelet of a node run a Pod from a file, which is critical and has room made for it.
func (l *lab) runStaticPod(_ SpecContext, node, cpu string) (remove func()) {
	GinkgoHelper()
	file := filepath.Join(top, ".cluster", "nodes", node, "config", "static-pods", "critical.yaml")
	manifest := fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: critical, namespace: kube-system}
spec:
  priorityClassName: system-node-critical
  terminationGracePeriodSeconds: 1
  containers:
  - name: critical
    image: %s
    args: [serve, --data=/tmp]
    resources: {requests: {cpu: %s}}
`, storeImage, cpu)
	By("a critical static pod on " + node)
	remove = func() {
		GinkgoHelper()
		Expect(os.RemoveAll(file)).To(Succeed())
		mirror := client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: "critical-" + node}
		Eventually(func() bool { return apierrors.IsNotFound(cluster.Get(context.Background(), mirror, &corev1.Pod{})) }).
			WithTimeout(patience).Should(BeTrue(), "the static pod must be gone")
	}
	DeferCleanup(remove)
	Expect(os.WriteFile(file, []byte(manifest), 0o600)).To(Succeed())
	return remove
}
