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
	"slices"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// faultTimeout bounds one fault as a whole: Kubernetes takes its time to believe that a node is gone.
	faultTimeout = 8 * time.Minute
	// each is the number of records of a replica.
	each = 8
)

// evictedSoon lets drain Pods be evicted as soon as their node is thought to be gone, and not five minutes later.
func evictedSoon(p *drainv1alpha1.DrainPolicy) {
	for _, taint := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		p.Spec.Template.Spec.Tolerations = append(p.Spec.Template.Spec.Tolerations, corev1.Toleration{
			Key: taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(1)),
		})
	}
}

// retriedSoon makes the next attempt a second after one has failed.
func retriedSoon(p *drainv1alpha1.DrainPolicy) { p.Spec.Retry.InitialDelaySeconds = new(int32(1)) }

var _ = Describe("Fault", Label("faults"), Serial, func() {
	var l *lab

	BeforeEach(func(ctx SpecContext) { l = newLab(ctx) }, NodeTimeout(4*time.Minute))

	Describe("of a node", func() {
		It("power-off under a StatefulSet's Pod that is terminating: nothing starts until Kubernetes knows that it is gone", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			l.placing(ctx, l.steady, func() {
				w.startStore(ctx, statefulSet(1), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
			})
			l.placing(ctx, l.shaky, func() {
				w.scale(ctx, 2)
				w.expectReplicas(ctx, 2)
			})
			records := w.fillAll(ctx, 2, each)
			w.expectRecords(ctx, records, 0, 1)

			l.powerOff(ctx, l.shaky)
			w.scale(ctx, 1)
			w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists)
			said := w.expectMessage(ctx, 1, `"`+l.shaky+`"`, "kubectl taint node "+l.shaky+" node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
			var pod corev1.Pod
			Expect(cluster.Get(ctx, w.key(replica(1)), &pod)).To(Succeed(), "the Pod must still be there, on its dead node")
			late := time.Since(pod.DeletionTimestamp.Time)
			Expect(late).To(BeNumerically(">=", 30*time.Second), "a Pod may take its time")
			Expect(late).To(BeNumerically("<", time.Minute), "and then the policy must report it")
			w.expectNothingStarted()
			seen("%.0f s after the grace period: %s", late.Seconds(), said)

			l.outOfService(ctx, l.shaky)
			w.expectNoClaim(ctx, claim("data", 1))
			w.expectDrained(ctx, records, 0)
			l.heal(ctx, l.shaky)
			l.inService(ctx, l.shaky)
		})

		It("power-off under a drain Pod: no second one beside it, and it goes on elsewhere once Kubernetes knows that it is gone", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			records := l.startHeld(ctx, l.shaky, evictedSoon)
			uid := w.claimUID(ctx, claim("data", 1))

			l.powerOff(ctx, l.shaky)
			Eventually(ctx, func() bool { return w.onlyDrainPod().DeletionTimestamp != nil }).Should(BeTrue(), "Kubernetes must evict the Pod, as far as it can")
			said := w.expectMessage(ctx, 1, `"`+l.shaky+`"`, "kubectl taint node "+l.shaky+" node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
			w.onlyDrainPod()
			Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(uid))
			seen("%s", said)

			l.outOfService(ctx, l.shaky)
			Eventually(ctx, func(g Gomega) {
				pods := w.recorder.drainPods()
				g.Expect(pods).To(HaveLen(2))
				g.Expect(pods[1].Spec.NodeName).To(Equal(l.steady))
				g.Expect(pods[1].Status.Phase).To(Equal(corev1.PodRunning))
			}).Should(Succeed(), "the drain must go on on the other node")
			w.finish(ctx, records)
			l.heal(ctx, l.shaky)
			l.inService(ctx, l.shaky)
		})

		It("partition under a drain Pod, healed before it is evicted: the same Pod goes on", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			records := l.startHeld(ctx, l.shaky)
			uid := w.claimUID(ctx, claim("data", 1))

			l.partition(ctx, l.shaky)
			w.release(ctx)
			// It can't reach the replica now. A minute is more than the time in which the operator acted above.
			Consistently(ctx, func(g Gomega) {
				g.Expect(w.recorder.drainPods()).To(HaveLen(1))
				g.Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(uid))
			}).WithTimeout(20 * time.Second).Should(Succeed())
			l.heal(ctx, l.shaky)
			w.expectNoClaim(ctx, claim("data", 1))
			w.expectDrained(ctx, records, 0)
			w.onlyDrainPod()
		})

		It("partition under a drain Pod that is to be canceled: the replica waits until it has really ended", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			records := l.startHeld(ctx, l.shaky, evictedSoon, whenScaledUp(drainv1alpha1.WhenScaledUpCancel))
			uid := w.claimUID(ctx, claim("data", 1))

			l.partition(ctx, l.shaky)
			l.placing(ctx, l.steady, func() {
				w.scale(ctx, 2)
				w.expectDrain(ctx, 1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob)
				// The drain's process still runs, unseen, and has the volume: a replica beside it would be the second writer.
				said := w.expectMessage(ctx, 1, `"`+l.shaky+`"`, "out-of-service")
				seen("%s", said)
				w.onlyDrainPod()
				var lock corev1.Pod
				Expect(cluster.Get(ctx, w.key(replica(1)), &lock)).To(Succeed())
				Expect(isLock(&lock)).To(BeTrue(), "the lock must stand")
				l.heal(ctx, l.shaky)
				w.expectReplicas(ctx, 2)
			})
			Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(uid), "the half-drained claim must come back")
			w.expectRecords(ctx, records, 0, 1)
			w.release(ctx)
			w.scale(ctx, 1)
			w.expectNoClaim(ctx, claim("data", 1))
			w.expectDrained(ctx, records, 0)
		})
	})

	Describe("of the manager", func() {
		ofDrain := func(c change) bool {
			pod, ok := c.object.(*corev1.Pod)
			return ok && isDrainPod(pod)
		}
		// Each is killed with SIGKILL as soon as the recorder hears of the stage.
		DescribeTable("kill -9 when", func(ctx SpecContext, stage func(change) bool) {
			// The container of a Pod is restarted later and later; a new Pod's at once.
			l.placing(ctx, l.steady, func() { restartOperator(ctx) })
			records := l.start(ctx, statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
			manager := leader(ctx)
			process := processOf(manager)

			told := w.recorder.next(stage)
			w.scale(ctx, 1)
			await(ctx, told, CurrentSpecReport().LeafNodeText)
			signal(process, syscall.SIGKILL)
			expectRestarted(ctx, manager)

			w.expectNoClaim(ctx, claim("data", 1))
			w.expectDrained(ctx, records, 0)
			Expect(w.recorder.drainJobs()).To(HaveLen(1), "the Job must be found again, not started again")
			w.onlyDrainPod()
		},
			Entry("the lock appears", SpecTimeout(faultTimeout), func(c change) bool {
				pod, ok := c.object.(*corev1.Pod)
				return ok && isLock(pod)
			}),
			Entry("the Job appears", SpecTimeout(faultTimeout), func(c change) bool {
				_, ok := c.object.(*batchv1.Job)
				return ok
			}),
			Entry("its Pod appears, gated", SpecTimeout(faultTimeout), func(c change) bool { return ofDrain(c) && !isAlive(c.object.(*corev1.Pod)) }),
			Entry("its Pod is let run", SpecTimeout(faultTimeout), func(c change) bool { return ofDrain(c) && isAlive(c.object.(*corev1.Pod)) }),
			Entry("its Pod has succeeded", SpecTimeout(faultTimeout), func(c change) bool {
				return ofDrain(c) && c.object.(*corev1.Pod).Status.Phase == corev1.PodSucceeded
			}),
			Entry("the Job is complete", SpecTimeout(faultTimeout), jobIsComplete),
			Entry("the claim is marked", SpecTimeout(faultTimeout), func(c change) bool {
				pvc, ok := c.object.(*corev1.PersistentVolumeClaim)
				return ok && pvc.Annotations[drainv1alpha1.DrainedAnnotation] != ""
			}),
			Entry("the Job is being deleted", SpecTimeout(faultTimeout), func(c change) bool {
				job, ok := c.object.(*batchv1.Job)
				return ok && job.DeletionTimestamp != nil
			}),
			Entry("the claim is being deleted", SpecTimeout(faultTimeout), func(c change) bool {
				pvc, ok := c.object.(*corev1.PersistentVolumeClaim)
				return ok && pvc.DeletionTimestamp != nil
			}),
			Entry("the claim is gone", SpecTimeout(faultTimeout), func(c change) bool {
				_, ok := c.object.(*corev1.PersistentVolumeClaim)
				return ok && c.kind == watch.Deleted
			}),
		)

		It("kill -9 of the one of two that leads: the other one goes on", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			scaleOperator(ctx, 2)
			DeferCleanup(func(ctx SpecContext) { scaleOperator(ctx, 1) }, NodeTimeout(2*time.Minute))
			records := l.startHeld(ctx, l.steady)
			old := leader(ctx)
			signal(processOf(old), syscall.SIGKILL)
			killed := time.Now()
			Eventually(ctx, func() string { return leader(ctx).Name }).ShouldNot(Equal(old.Name), "the other manager must take the lease")
			seen("the other manager has the lease %.0f s after the kill", time.Since(killed).Seconds())
			w.finish(ctx, records)
			expectRestarted(ctx, old)
			Expect(w.recorder.drainJobs()).To(HaveLen(1))
			w.onlyDrainPod()
		})

		It("freeze of the one of two that leads, which wakes up when the other one has finished", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			scaleOperator(ctx, 2)
			DeferCleanup(func(ctx SpecContext) { scaleOperator(ctx, 1) }, NodeTimeout(2*time.Minute))
			records := l.start(ctx, statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
			old := leader(ctx)
			process := processOf(old)

			told := w.recorder.next(func(c change) bool {
				_, ok := c.object.(*batchv1.Job)
				return ok
			})
			w.scale(ctx, 1)
			await(ctx, told, "the Job appears")
			signal(process, syscall.SIGSTOP)
			DeferCleanup(func() { _ = process.Signal(syscall.SIGCONT) }) // It may have ended by then.
			Eventually(ctx, func() string { return leader(ctx).Name }).ShouldNot(Equal(old.Name), "the other manager must take the lease")
			w.expectNoClaim(ctx, claim("data", 1))
			w.expectDrained(ctx, records, 0)
			signal(process, syscall.SIGCONT)
			expectRestarted(ctx, old)
			w.expectRecords(ctx, records, 0)
			Expect(w.recorder.drainJobs()).To(HaveLen(1))
		})
	})

	Describe("of the control plane", func() {
		It("kill -9 of API server and etcd while a drain is half-way", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			w.outage = true
			records := l.startHeld(ctx, l.steady)
			uid := w.claimUID(ctx, claim("data", 1))
			l.run(ctx, "controlplane", "crash")
			DeferCleanup(func(ctx SpecContext) { l.run(ctx, "controlplane", "heal") }, NodeTimeout(2*time.Minute))
			// Long enough for the manager to lose its lease.
			Consistently(ctx, func() error {
				_, err := clientset.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
				return err
			}).WithTimeout(20*time.Second).Should(HaveOccurred(), "no server must answer")
			l.run(ctx, "controlplane", "heal")
			Eventually(ctx, operatorIsReady(ctx)).Should(Succeed())
			Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(uid))
			Eventually(ctx, func() error {
				_, err := w.recordsOf(ctx, 0)
				return err
			}).Should(Succeed())
			w.finish(ctx, records)
			Expect(w.recorder.drainJobs()).To(HaveLen(1))
			w.onlyDrainPod()
			seen("20 s without API server; gaps in the record: %d", len(w.recorder.gaps))
		})

		It("kill -9 of API server and etcd when the Job is complete", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			w.outage = true
			records := l.start(ctx, statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
			told := w.recorder.next(jobIsComplete)
			w.scale(ctx, 1)
			DeferCleanup(func(ctx SpecContext) { l.run(ctx, "controlplane", "heal") }, NodeTimeout(2*time.Minute))
			await(ctx, told, "the Job is complete")
			l.run(ctx, "controlplane", "crash")
			l.run(ctx, "controlplane", "heal")
			w.expectNoClaim(ctx, claim("data", 1))
			w.expectDrained(ctx, records, 0)
			Expect(w.recorder.drainJobs()).To(HaveLen(1))
		})
	})

	Describe("of an object", func() {
		force := &client.DeleteOptions{GracePeriodSeconds: new(int64(0))}

		It("kubectl delete pod --force of the lock while a drain is half-way", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			records := l.startHeld(ctx, l.shaky)
			var lock corev1.Pod
			Expect(cluster.Get(ctx, w.key(replica(1)), &lock)).To(Succeed())
			Expect(isLock(&lock)).To(BeTrue())
			By("kubectl delete pod --force --grace-period=0 " + lock.Name)
			Expect(cluster.Delete(ctx, &lock, force)).To(Succeed())
			Expect(cluster.Get(ctx, w.key(replica(1)), &lock)).To(Succeed(), "its finalizer must keep it")
			w.finish(ctx, records)
			seen("Jobs in all: %d", len(w.recorder.drainJobs()))
		})

		DescribeTable("kubectl delete job while a drain is half-way, with --cascade", func(ctx SpecContext, how metav1.DeletionPropagation) {
			records := l.startHeld(ctx, l.shaky, retriedSoon)
			job := w.recorder.drainJobs()[0]
			first := w.onlyDrainPod()
			By("kubectl delete job --cascade=" + strings.ToLower(string(how)) + " " + job.Name)
			Expect(cluster.Delete(ctx, job, &client.DeleteOptions{PropagationPolicy: &how})).To(Succeed())
			if how == metav1.DeletePropagationOrphan {
				Eventually(ctx, func() bool {
					return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(job), &batchv1.Job{}))
				}).Should(BeTrue(), "the Job must be gone")
				// The status need not show that: it lasts less than a second.
				Eventually(ctx, func() bool {
					return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(first), &corev1.Pod{}))
				}).Should(BeTrue(), "the operator must end a Pod that has no Job")
			}
			w.finish(ctx, records)
			seen("Jobs in all: %d, drain Pods: %d", len(w.recorder.drainJobs()), len(w.recorder.drainPods()))
		},
			Entry("orphan", SpecTimeout(faultTimeout), metav1.DeletePropagationOrphan),
			Entry("background", SpecTimeout(faultTimeout), metav1.DeletePropagationBackground),
		)

		evict := func(ctx SpecContext, pod *corev1.Pod) {
			GinkgoHelper()
			By("evicting " + pod.Name)
			Expect(clientset.PolicyV1().Evictions(w.namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: w.namespace}})).To(Succeed())
		}
		DescribeTable("a drain that has exited 0, its Pod", func(ctx SpecContext, remove func(SpecContext, *corev1.Pod)) {
			// Another container keeps the Pod from ending when the drain has.
			lingering := func(p *drainv1alpha1.DrainPolicy) {
				spec := &p.Spec.Template.Spec
				spec.Volumes = append(spec.Volumes, emptyDir("scratch"))
				spec.Containers = append(spec.Containers, corev1.Container{
					Name: "lingering", Image: storeImage, SecurityContext: restricted(), VolumeMounts: mounts([]string{"scratch"}),
					Args: append([]string{"serve", "--listen=:8081"}, dataArgs([]string{"scratch"})...),
				})
			}
			records := l.start(ctx, statefulSet(2), drainPolicy(lingering, provedBy(drainv1alpha1.ProofExitCode), retriedSoon, whenDrained(drainv1alpha1.WhenDrainedDelete)))
			told := w.recorder.next(func(c change) bool {
				pod, ok := c.object.(*corev1.Pod)
				return ok && isDrainPod(pod) && slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
					return s.Name == "drain" && s.State.Terminated != nil && s.State.Terminated.ExitCode == 0
				})
			})
			w.scale(ctx, 1)
			pod := await(ctx, told, "the drain has exited 0").object.(*corev1.Pod) //nolint:forcetypeassert // It was asked for.
			Expect(pod.Status.Phase).To(Equal(corev1.PodRunning))
			By("taking the lingering container out of the template, for the drains to come")
			w.changePolicy(ctx, storeName, func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.Template.Spec.Containers = p.Spec.Template.Spec.Containers[:1]
			})
			remove(ctx, pod)
			// Its last container exits 0 when it gets SIGTERM, so its node may report it as succeeded. That isn't believed.
			w.expectNoClaim(ctx, claim("data", 1))
			w.expectDrained(ctx, records, 0)
			pods := w.recorder.drainPods()
			Expect(len(pods)).To(BeNumerically(">=", 2), "drain Pods: a success of one that was told to end is no evidence")
			seen("its last phase: %s; drain Pods in all: %d", pods[0].Status.Phase, len(pods))
		},
			Entry("deleted by force", SpecTimeout(faultTimeout), func(ctx SpecContext, pod *corev1.Pod) {
				By("kubectl delete pod --force --grace-period=0 " + pod.Name)
				Expect(cluster.Delete(ctx, pod, force)).To(Succeed())
			}),
			Entry("evicted", SpecTimeout(faultTimeout), evict),
		)

		It("eviction of a drain Pod half-way", SpecTimeout(faultTimeout), func(ctx SpecContext) {
			records := l.startHeld(ctx, l.shaky, retriedSoon)
			evict(ctx, w.onlyDrainPod())
			Eventually(ctx, w.recorder.drainPods).Should(HaveLen(2))
			w.finish(ctx, records)
		})
	})

	It("a full volume: the drain fails and says so, nothing is deleted, and it ends when there is room", SpecTimeout(faultTimeout), func(ctx SpecContext) {
		const filler = "filler"
		full := func(set *appsv1.StatefulSet) {
			container := &set.Spec.Template.Spec.Containers[0]
			container.Args = append(container.Args, "--quota=4096")
		}
		brief := func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Spec.Job.BackoffLimit = new(int32(0))
			p.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: new(int32(2)), MaxDelaySeconds: new(int32(2))}
		}
		records := l.start(ctx, statefulSet(2, full), drainPolicy(brief, whenDrained(drainv1alpha1.WhenDrainedDelete)))
		uid := w.claimUID(ctx, claim("data", 1))
		w.putRecord(ctx, 0, filler, strings.Repeat("x", 3200))

		w.scale(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed)
		seen("%s", w.expectMessage(ctx, 1, "the replica is full"))
		Eventually(ctx, w.recorder.drainJobs).Should(HaveLen(3), "it must be tried again")
		Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(uid), "a failed drain must leave the claim alone")

		By("making room")
		_, err := w.proxied(ctx, "DELETE", 0, []string{"records", filler}, nil)
		Expect(err).NotTo(HaveOccurred())
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectDrained(ctx, records, 0)
	})
})

func jobIsComplete(c change) bool {
	job, ok := c.object.(*batchv1.Job)
	if !ok {
		return false
	}
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobComplete && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
