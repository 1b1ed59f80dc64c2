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

package integration

import (
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/test/conditions"
)

// world is a namespace of one test's own, with a StatefulSet named "store" in it.
type world struct {
	ctx       context.Context
	namespace string
	set       *appsv1.StatefulSet
	users     int
}

func newWorld() *world {
	GinkgoHelper()
	ctx := context.Background()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "drain-"}}
	Expect(k8s.Create(ctx, namespace)).To(Succeed())
	// Pods are created by ServiceAccount "default", which no controller creates here.
	Expect(k8s.Create(ctx,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: namespace.Name}})).To(Succeed())
	return &world{ctx: ctx, namespace: namespace.Name}
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: w.namespace}
}

func (w *world) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: w.namespace, Name: name}
}

// statefulSet creates the StatefulSet and the claims of every ordinal in its range, as its
// controller would, and reports all replicas as ready.
func (w *world) statefulSet(replicas int32, mutate ...func(*appsv1.StatefulSet)) {
	GinkgoHelper()
	labels := map[string]string{"app": "store"}
	set := &appsv1.StatefulSet{
		ObjectMeta: w.meta("store"),
		Spec: appsv1.StatefulSetSpec{
			Replicas:    &replicas,
			ServiceName: "store",
			Selector:    &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					SecurityContext: &corev1.PodSecurityContext{FSGroup: ptr.To[int64](2000)},
					Containers:      []corev1.Container{{Name: "store", Image: "store"}},
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{claimTemplate("data")},
		},
	}
	for _, m := range mutate {
		m(set)
	}
	Expect(k8s.Create(w.ctx, set)).To(Succeed())
	w.set = set
	w.report()
	start := int32(0)
	if set.Spec.Ordinals != nil {
		start = set.Spec.Ordinals.Start
	}
	for ordinal := start; ordinal < start+replicas; ordinal++ {
		w.createClaims(ordinal)
	}
}

func claimTemplate(name string) corev1.PersistentVolumeClaim {
	return corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
}

func claimTemplates(names ...string) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) {
		set.Spec.VolumeClaimTemplates = nil
		for _, name := range names {
			set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, claimTemplate(name))
		}
	}
}

// createClaims creates the claims of one ordinal, with labels and bound.
func (w *world) createClaims(ordinal int32) {
	GinkgoHelper()
	for _, template := range w.set.Spec.VolumeClaimTemplates {
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: w.meta(claims.Name(template.Name, w.set.Name, ordinal)), Spec: template.Spec,
		}
		claim.Labels = w.set.Spec.Selector.MatchLabels
		claim.Spec.VolumeName = "volume-of-" + claim.Name
		Expect(k8s.Create(w.ctx, claim)).To(Succeed())
		claim.Status.Phase = corev1.ClaimBound
		claim.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
		Expect(k8s.Status().Update(w.ctx, claim)).To(Succeed())
	}
}

// scale changes the number of replicas and reports the new number as ready.
func (w *world) scale(replicas int32) {
	GinkgoHelper()
	w.change(func(set *appsv1.StatefulSet) { set.Spec.Replicas = &replicas })
	w.report()
}

// change edits the StatefulSet's spec.
func (w *world) change(edit func(*appsv1.StatefulSet)) {
	GinkgoHelper()
	Eventually(func() error {
		Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(w.set), w.set)).To(Succeed())
		edit(w.set)
		return k8s.Update(w.ctx, w.set)
	}).Should(Succeed(), "editing the StatefulSet")
}

// report says in the StatefulSet's status that all replicas in its range are ready.
func (w *world) report() {
	GinkgoHelper()
	w.set.Status = appsv1.StatefulSetStatus{
		Replicas: *w.set.Spec.Replicas, ReadyReplicas: *w.set.Spec.Replicas, ObservedGeneration: w.set.Generation,
	}
	Expect(k8s.Status().Update(w.ctx, w.set)).To(Succeed())
}

// policy creates a DrainPolicy named "store".
func (w *world) policy(mutate ...func(*drainv1alpha1.DrainPolicy)) *drainv1alpha1.DrainPolicy {
	GinkgoHelper()
	policy := w.newPolicy("store", mutate...)
	Expect(k8s.Create(w.ctx, policy)).To(Succeed())
	return policy
}

func (w *world) newPolicy(name string, mutate ...func(*drainv1alpha1.DrainPolicy)) *drainv1alpha1.DrainPolicy {
	policy := &drainv1alpha1.DrainPolicy{
		ObjectMeta: w.meta(name),
		Spec: drainv1alpha1.DrainPolicySpec{
			StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "store"},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "drain", Image: "drain", VolumeMounts: w.mounts(),
			}}}},
		},
	}
	for _, m := range mutate {
		m(policy)
	}
	return policy
}

// mounts mounts every claim, at /<template>.
func (w *world) mounts() []corev1.VolumeMount {
	if w.set == nil {
		return []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	}
	var mounts []corev1.VolumeMount
	for i := range w.set.Spec.VolumeClaimTemplates {
		name := w.set.Spec.VolumeClaimTemplates[i].Name
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: "/" + name})
	}
	return mounts
}

func whenDrained(what drainv1alpha1.WhenDrained) func(*drainv1alpha1.DrainPolicy) {
	return func(policy *drainv1alpha1.DrainPolicy) { policy.Spec.WhenDrained = what }
}

// retriedAtOnce is for tests that are about what happens after a failed attempt.
func retriedAtOnce(policy *drainv1alpha1.DrainPolicy) {
	policy.Spec.Retry = drainv1alpha1.RetryOptions{
		InitialDelaySeconds: ptr.To[int32](1), MaxDelaySeconds: ptr.To[int32](1),
	}
}

// edit changes the policy's spec.
func (w *world) edit(change func(*drainv1alpha1.DrainPolicy)) {
	GinkgoHelper()
	policy := w.get()
	before := policy.DeepCopy()
	change(policy)
	Expect(k8s.Patch(w.ctx, policy, client.MergeFrom(before))).To(Succeed())
}

func (w *world) get() *drainv1alpha1.DrainPolicy {
	GinkgoHelper()
	policy := &drainv1alpha1.DrainPolicy{}
	Expect(k8s.Get(w.ctx, w.key("store"), policy)).To(Succeed())
	expectSoundStatus(policy)
	return policy
}

// condition returns "Status/Reason" of a condition of policy "store".
func (w *world) condition(conditionType string) func() string {
	return w.conditionOf("store", conditionType)
}

func (w *world) conditionOf(name, conditionType string) func() string {
	return func() string {
		policy := &drainv1alpha1.DrainPolicy{}
		if err := k8s.Get(w.ctx, w.key(name), policy); err != nil {
			return err.Error()
		}
		expectSoundStatus(policy)
		c := meta.FindStatusCondition(policy.Status.Conditions, conditionType)
		if c == nil || c.ObservedGeneration != policy.Generation {
			return ""
		}
		return string(c.Status) + "/" + c.Reason
	}
}

// lastSeen holds each policy as it was seen last, by UID.
var lastSeen sync.Map

// expectSoundStatus holds at every moment, whatever the test is about.
func expectSoundStatus(policy *drainv1alpha1.DrainPolicy) {
	GinkgoHelper()
	var before *drainv1alpha1.DrainPolicy
	if seen, ok := lastSeen.Swap(policy.UID, policy.DeepCopy()); ok {
		before = seen.(*drainv1alpha1.DrainPolicy)
	}
	Expect(conditions.Check(before, policy)).To(Succeed())
	if status := policy.Status; meta.IsStatusConditionTrue(status.Conditions, drainv1alpha1.ConditionDrained) {
		Expect(status.Draining).To(HaveValue(BeZero()), "no drain is under way when Drained is True")
		Expect(status.Undrained).To(HaveValue(BeZero()), "no orphaned ordinal holds undrained data when Drained is True")
		Expect(status.StrandedClaims).To(BeEmpty(), "no claim is stranded when Drained is True")
	}
}

// drain returns "State/Reason" of an ordinal, or "" if the status doesn't name it.
func (w *world) drain(ordinal int32) func() string {
	return func() string {
		for _, d := range w.get().Status.Drains {
			if *d.Ordinal == ordinal {
				return string(d.State) + "/" + d.Reason
			}
		}
		return ""
	}
}

// lock returns the lock of an ordinal, or nil.
func (w *world) lock(ordinal int32) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{}
	err := k8s.Get(w.ctx, w.key(fmt.Sprintf("store-%d", ordinal)), pod)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	if pod.Labels[drainv1alpha1.RoleLabel] != drainv1alpha1.RoleLock {
		return nil
	}
	return pod
}

// expectNoLock waits until an ordinal has no lock.
func (w *world) expectNoLock(ordinal int32) {
	GinkgoHelper()
	Eventually(func() *corev1.Pod { return w.lock(ordinal) }).Should(BeNil(), "the lock of ordinal %d", ordinal)
}

// jobs returns the Jobs of the namespace that aren't being deleted.
func (w *world) jobs() []batchv1.Job {
	GinkgoHelper()
	var list batchv1.JobList
	Expect(k8s.List(w.ctx, &list, client.InNamespace(w.namespace))).To(Succeed())
	var jobs []batchv1.Job
	for _, job := range list.Items {
		if job.DeletionTimestamp == nil {
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// runningJob waits for the one unfinished Job of an ordinal.
func (w *world) runningJob(ordinal int32) *batchv1.Job {
	GinkgoHelper()
	var found *batchv1.Job
	Eventually(func() *batchv1.Job {
		found = nil
		for _, job := range w.jobs() {
			if job.Labels[drainv1alpha1.OrdinalLabel] == fmt.Sprint(ordinal) && len(job.Status.Conditions) == 0 {
				found = &job
			}
		}
		return found
	}).ShouldNot(BeNil(), func() string {
		return fmt.Sprintf("a Job for ordinal %d; the policy says %s", ordinal, w.condition(drainv1alpha1.ConditionDrained)())
	})
	return found
}

// draining scales a StatefulSet of two replicas, which a policy drains, down by one. It returns the Job of ordinal 1.
func (w *world) draining(mutate ...func(*drainv1alpha1.DrainPolicy)) *batchv1.Job {
	GinkgoHelper()
	w.statefulSet(2)
	w.policy(mutate...)
	w.scale(1)
	return w.runningJob(1)
}

// finish runs the pod of a Job, and ends both well.
func (w *world) finish(job *batchv1.Job, message string) {
	GinkgoHelper()
	w.succeed(job, w.startPod(job), message)
}

// startPod creates the pod of a Job, as the Job controller would, waits until the operator
// lets it, and has it run.
func (w *world) startPod(job *batchv1.Job) *corev1.Pod {
	GinkgoHelper()
	pod := w.createPod(job)
	Expect(pod.Spec.SchedulingGates).NotTo(BeEmpty(), "a drain pod runs only once its lock was seen to stand")
	Eventually(w.gates(pod)).Should(BeEmpty(), "the operator lets the pod run")
	Expect(k8s.SubResource("binding").
		Create(w.ctx, pod, &corev1.Binding{
			ObjectMeta: w.meta(pod.Name), Target: corev1.ObjectReference{Kind: "Node", Name: "somewhere"},
		})).To(Succeed())
	Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
	w.podStatus(pod, corev1.PodRunning,
		corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}})
	return pod
}

// createPod creates the pod of a Job, as the Job controller would.
func (w *world) createPod(job *batchv1.Job) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{ObjectMeta: *job.Spec.Template.ObjectMeta.DeepCopy(), Spec: *job.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.GenerateName = job.Namespace, job.Name+"-"
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job,
		batchv1.SchemeGroupVersion.WithKind("Job"))}
	Expect(k8s.Create(w.ctx, pod)).To(Succeed())
	return pod
}

// gates returns what keeps a pod from being scheduled now.
func (w *world) gates(pod *corev1.Pod) func() []corev1.PodSchedulingGate {
	return func() []corev1.PodSchedulingGate {
		Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		return pod.Spec.SchedulingGates
	}
}

func (w *world) podStatus(pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) {
	GinkgoHelper()
	pod.Status.Phase = phase
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image, State: state,
	}}
	Expect(k8s.Status().Update(w.ctx, pod)).To(Succeed())
}

// succeed ends a pod and its Job well, with the receipt as the pod's last words.
func (w *world) succeed(job *batchv1.Job, pod *corev1.Pod, message string) {
	GinkgoHelper()
	w.exit(pod, message+"\n"+receipt(pod))
	w.complete(job)
}

// exit ends a pod with exit code 0.
func (w *world) exit(pod *corev1.Pod, message string) {
	GinkgoHelper()
	w.podStatus(pod, corev1.PodSucceeded,
		corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: message, FinishedAt: metav1.Now()}})
}

// receipt returns what a drain pod is to write as its last act.
func receipt(pod *corev1.Pod) string {
	GinkgoHelper()
	for _, variable := range pod.Spec.Containers[0].Env {
		if variable.Name == "DRAIN_RECEIPT" {
			return variable.Value
		}
	}
	Fail("the drain pod has no receipt to write")
	return ""
}

// complete reports a Job as complete, as the Job controller would.
func (w *world) complete(job *batchv1.Job) {
	GinkgoHelper()
	now := metav1.Now()
	status := batchv1.JobStatus{
		StartTime: ptr.To(metav1.NewTime(now.Add(-1e9))), CompletionTime: &now, Succeeded: 1,
		Conditions: []batchv1.JobCondition{
			{
				Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, Reason: "CompletionsReached",
				LastTransitionTime: now,
			},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, Reason: "CompletionsReached", LastTransitionTime: now},
		},
	}
	Eventually(func() error {
		Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(job), job)).To(Succeed())
		job.Status = status
		return k8s.Status().Update(w.ctx, job)
	}).Should(Succeed(), "completing Job %s", job.Name)
}

// fail reports a Job as failed.
func (w *world) fail(job *batchv1.Job) {
	GinkgoHelper()
	now := metav1.Now()
	job.Status = batchv1.JobStatus{
		StartTime: &now, Failed: 1,
		Conditions: []batchv1.JobCondition{
			{
				Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded",
				LastTransitionTime: now,
			},
			{
				Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded",
				Message: "Job has reached the specified backoff limit", LastTransitionTime: now,
			},
		},
	}
	Expect(k8s.Status().Update(w.ctx, job)).To(Succeed())
}

// claim returns a claim, or nil.
func (w *world) claim(name string) *corev1.PersistentVolumeClaim {
	GinkgoHelper()
	claim := &corev1.PersistentVolumeClaim{}
	err := k8s.Get(w.ctx, w.key(name), claim)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return claim
}

// expectNoClaim waits until a claim is gone.
func (w *world) expectNoClaim(name string) {
	GinkgoHelper()
	Eventually(func() *corev1.PersistentVolumeClaim { return w.claim(name) }).Should(BeNil(), "claim %s", name)
}

// marked reports whether a claim carries a mark.
func (w *world) marked(name string) bool {
	GinkgoHelper()
	claim := w.claim(name)
	return claim != nil && claims.ReadMark(claim) != nil
}

// events returns how many events the operator recorded for a reason on an object of this kind.
func (w *world) events(kind, reason string) func() int {
	return func() int {
		var list eventsv1.EventList
		Expect(k8s.List(w.ctx, &list, client.InNamespace(w.namespace))).To(Succeed())
		count := 0
		for _, e := range list.Items {
			if e.Regarding.Kind == kind && e.Reason == reason {
				count++
				if e.Series != nil {
					count += int(e.Series.Count) - 1
				}
			}
		}
		return count
	}
}
