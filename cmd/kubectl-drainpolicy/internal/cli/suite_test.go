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
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/controller"
)

// What the tests of commands share: an API server with the CRD, and the operator itself, so that each status is one that it wrote.
var (
	k8s        client.Client
	restConfig *rest.Config
	kubeconfig string
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		fmt.Fprintln(os.Stderr, "KUBEBUILDER_ASSETS is not set: run these tests with `make test`, which finds or builds kube-apiserver and etcd")
		return 1
	}
	environment := &envtest.Environment{
		Scheme: Scheme(), ErrorIfCRDPathMissing: true,
		ControlPlaneStartTimeout: 2 * time.Minute, ControlPlaneStopTimeout: 2 * time.Minute,
		CRDDirectoryPaths: []string{filepath.Join("..", "..", "..", "..", "config", "crd", "bases")},
	}
	config, err := environment.Start()
	must(err)
	defer func() { must(environment.Stop()) }()
	restConfig = config
	k8s, err = client.New(config, client.Options{Scheme: Scheme()})
	must(err)
	folder, err := os.MkdirTemp("", "")
	must(err)
	defer os.RemoveAll(folder)
	kubeconfig = filepath.Join(folder, "kubeconfig")
	must(os.WriteFile(kubeconfig, environment.KubeConfig, 0o600))
	ctx, stop := context.WithCancel(context.Background())
	installAdmission(ctx)
	stopped := startOperator(ctx, config)
	// The API server waits a minute for open watches before it ends.
	defer func() { stop(); <-stopped }()
	return m.Run()
}

// installAdmission creates the admission policies that config/default has. The operator of these tests is a member of system:masters, so they
// are for other users.
func installAdmission(ctx context.Context) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "config", "admission", "*.yaml"))
	must(err)
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(file)
		must(err)
		for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
			var object unstructured.Unstructured
			err := decoder.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			must(err)
			must(k8s.Create(ctx, &object))
		}
	}
}

// startOperator runs the operator, and plays two controllers that it relies on: the garbage collector, for Jobs that are deleted in the
// foreground, and claim protection, which lets a claim go once no pod refers to it. The channel is closed when it has stopped.
func startOperator(ctx context.Context, config *rest.Config) <-chan struct{} {
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: Scheme(), Cache: controller.CacheOptions(), Metrics: metricsserver.Options{BindAddress: "0"}, Logger: logr.Discard(),
	})
	must(err)
	reconciler := &controller.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("drain-operator"), Clock: clock.RealClock{},
	}
	must(reconciler.SetupWithManager(ctx, mgr, 4))
	must(ctrl.NewControllerManagedBy(mgr).Named("garbage-collector").For(&batchv1.Job{}).Complete(reconcile.Func(collectJob)))
	must(ctrl.NewControllerManagedBy(mgr).Named("claim-protection").For(&corev1.PersistentVolumeClaim{}).Complete(reconcile.Func(protectClaim)))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		must(mgr.Start(ctx))
	}()
	return stopped
}

func collectJob(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var job batchv1.Job
	if err := k8s.Get(ctx, request.NamespacedName, &job); err != nil || job.DeletionTimestamp == nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var pods corev1.PodList
	if err := k8s.List(ctx, &pods, client.InNamespace(job.Namespace)); err != nil {
		return ctrl.Result{}, err
	}
	for i := range pods.Items {
		if metav1.IsControlledBy(&pods.Items[i], &job) {
			if err := k8s.Delete(ctx, &pods.Items[i], client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
				return ctrl.Result{}, err
			}
		}
	}
	before := job.DeepCopy()
	job.Finalizers = slices.DeleteFunc(job.Finalizers, func(f string) bool { return f == metav1.FinalizerDeleteDependents })
	return ctrl.Result{}, client.IgnoreNotFound(k8s.Patch(ctx, &job, client.MergeFrom(before)))
}

func protectClaim(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var claim corev1.PersistentVolumeClaim
	if err := k8s.Get(ctx, request.NamespacedName, &claim); err != nil || claim.DeletionTimestamp == nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var pods corev1.PodList
	if err := k8s.List(ctx, &pods, client.InNamespace(claim.Namespace)); err != nil {
		return ctrl.Result{}, err
	}
	for i := range pods.Items {
		for _, volume := range pods.Items[i].Spec.Volumes {
			if source := volume.PersistentVolumeClaim; source != nil && source.ClaimName == claim.Name {
				return ctrl.Result{RequeueAfter: 100 * time.Millisecond}, nil
			}
		}
	}
	before := claim.DeepCopy()
	claim.Finalizers = nil
	return ctrl.Result{}, client.IgnoreNotFound(k8s.Patch(ctx, &claim, client.MergeFrom(before)))
}

// world is a namespace of one test's own, with a StatefulSet and a policy named "store" in it.
type world struct {
	*WithT
	t         *testing.T
	namespace string
	set       *appsv1.StatefulSet
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{WithT: NewWithT(t), t: t}
	w.SetDefaultEventuallyTimeout(15 * time.Second)
	w.SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "plugin-"}}
	w.create(namespace)
	w.namespace = namespace.Name
	// Pods are created by ServiceAccount "default", which no controller creates here.
	w.create(&corev1.ServiceAccount{ObjectMeta: w.meta("default")})
	return w
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: w.namespace}
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		w.Expect(k8s.Create(w.t.Context(), object)).To(Succeed())
	}
}

// kubectl runs the plugin as a member of system:masters, or as a user with --as.
func (w *world) kubectl(args ...string) (output, problems string, code int) {
	return w.run(w.t.Context(), args...)
}

func (w *world) run(ctx context.Context, args ...string) (output, problems string, code int) {
	var out, errOut bytes.Buffer
	code = w.into(ctx, &out, &errOut, args...)
	return out.String(), errOut.String(), code
}

func (w *world) into(ctx context.Context, out, errOut *bytes.Buffer, args ...string) (code int) {
	root := New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: errOut}, clock.RealClock{}, "v0")
	flags := []string{"--kubeconfig=" + kubeconfig, "--namespace=" + w.namespace}
	if args[0] == "__complete" {
		root.SetArgs(slices.Concat(args[:1], flags, args[1:]))
	} else {
		root.SetArgs(append(flags, args...))
	}
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(errOut, "error: "+err.Error())
	}
	w.t.Logf("$ kubectl drainpolicy %s\n%s%s(exit code %d)", strings.Join(args, " "), out, errOut, ExitCode(err))
	return ExitCode(err)
}

// answers runs the plugin, expects the exit code, and returns all that it wrote.
func (w *world) answers(code int, args ...string) string {
	w.t.Helper()
	output, problems, got := w.kubectl(args...)
	w.Expect(got).To(Equal(code), "the exit code of %v, which wrote:\n%s%s", args, output, problems)
	return output + problems
}

// user lets a user do something, and returns the flag that makes the plugin one of theirs.
func (w *world) user(rules ...rbacv1.PolicyRule) string {
	w.t.Helper()
	name := "jane-of-" + w.namespace
	w.create(
		&rbacv1.Role{ObjectMeta: w.meta("jane"), Rules: rules},
		&rbacv1.RoleBinding{
			ObjectMeta: w.meta("jane"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "jane"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
		})
	return "--as=" + name
}

func may(group, resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
}

// statefulSet creates a StatefulSet with the claims and ready pods of its range, as its controller would.
func (w *world) statefulSet(replicas int32) {
	w.t.Helper()
	labels := map[string]string{"app": "store"}
	w.set = &appsv1.StatefulSet{ObjectMeta: w.meta("store"), Spec: appsv1.StatefulSetSpec{
		Replicas: &replicas, ServiceName: "store", Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "store", Image: "store", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/var/lib/store"}},
		}}}},
		VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}}},
	}}
	w.create(w.set)
	for ordinal := range replicas {
		w.claim(ordinal)
		w.pod(ordinal)
	}
	w.report()
}

// claim creates the bound claim of an ordinal.
func (w *world) claim(ordinal int32) {
	w.t.Helper()
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: w.meta(claims.Name("data", "store", ordinal)), Spec: *w.set.Spec.VolumeClaimTemplates[0].Spec.DeepCopy()}
	claim.Labels, claim.Spec.VolumeName = w.set.Spec.Selector.MatchLabels, "volume-of-"+claim.Name
	w.create(claim)
	claim.Status.Phase = corev1.ClaimBound
	claim.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	w.Expect(k8s.Status().Update(w.t.Context(), claim)).To(Succeed())
}

// pod creates the ready pod of an ordinal.
func (w *world) pod(ordinal int32) {
	w.t.Helper()
	pod := &corev1.Pod{ObjectMeta: w.meta(fmt.Sprintf("store-%d", ordinal)), Spec: *w.set.Spec.Template.Spec.DeepCopy()}
	pod.Labels = w.set.Spec.Selector.MatchLabels
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(w.set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))}
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claims.Name("data", "store", ordinal)},
	}}}
	w.create(pod)
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	w.Expect(k8s.Status().Update(w.t.Context(), pod)).To(Succeed())
}

// scale changes the number of replicas, deletes the pods that are out of range, and reports the others as ready.
func (w *world) scale(replicas int32) {
	w.t.Helper()
	w.refresh()
	before := ptr.Deref(w.set.Spec.Replicas, 0)
	w.set.Spec.Replicas = &replicas
	w.Expect(k8s.Update(w.t.Context(), w.set)).To(Succeed())
	for ordinal := replicas; ordinal < before; ordinal++ {
		pod := &corev1.Pod{ObjectMeta: w.meta(fmt.Sprintf("store-%d", ordinal))}
		w.Expect(client.IgnoreNotFound(k8s.Delete(w.t.Context(), pod, client.GracePeriodSeconds(0)))).To(Succeed())
	}
	w.report()
}

// report says in the StatefulSet's status that its controller has observed it, and that all replicas are ready.
func (w *world) report() {
	w.t.Helper()
	w.refresh()
	w.set.Status = appsv1.StatefulSetStatus{Replicas: *w.set.Spec.Replicas, ReadyReplicas: *w.set.Spec.Replicas, ObservedGeneration: w.set.Generation}
	w.Expect(k8s.Status().Update(w.t.Context(), w.set)).To(Succeed())
}

func (w *world) refresh() {
	w.t.Helper()
	w.Expect(k8s.Get(w.t.Context(), client.ObjectKeyFromObject(w.set), w.set)).To(Succeed())
}

// newPolicy returns a policy named "store".
func (w *world) newPolicy(mutate ...func(*drainv1alpha1.DrainPolicy)) *drainv1alpha1.DrainPolicy {
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: w.meta("store"), Spec: drainv1alpha1.DrainPolicySpec{
		StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "store"},
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "drain", Image: "drain", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
		}}}},
	}}
	for _, m := range mutate {
		m(policy)
	}
	return policy
}

// policy creates a policy named "store", and waits until the operator has observed it.
func (w *world) policy(mutate ...func(*drainv1alpha1.DrainPolicy)) {
	w.t.Helper()
	w.create(w.newPolicy(mutate...))
	w.Eventually(func() int64 { return w.get().Status.ObservedGeneration }).Should(BeNumerically(">", 0), "the operator observes the policy")
}

func deletes(policy *drainv1alpha1.DrainPolicy) {
	policy.Spec.WhenDrained = drainv1alpha1.WhenDrainedDelete
}

func (w *world) get() *drainv1alpha1.DrainPolicy {
	w.t.Helper()
	policy := &drainv1alpha1.DrainPolicy{}
	w.Expect(k8s.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "store"}, policy)).To(Succeed())
	return policy
}

// drain returns "State/Reason" of an ordinal.
func (w *world) drain(ordinal int32) func() string {
	return func() string {
		if d := drainOf(w.get(), ordinal); d != nil {
			return string(d.State) + "/" + d.Reason
		}
		return ""
	}
}

// job waits for the unfinished Job of an ordinal.
func (w *world) job(ordinal int32) *batchv1.Job {
	w.t.Helper()
	var found *batchv1.Job
	w.Eventually(func() *batchv1.Job {
		var list batchv1.JobList
		w.Expect(k8s.List(w.t.Context(), &list, client.InNamespace(w.namespace), client.MatchingLabels{drainv1alpha1.OrdinalLabel: fmt.Sprint(ordinal)})).To(Succeed())
		found = nil
		for i := range list.Items {
			if len(list.Items[i].Status.Conditions) == 0 && list.Items[i].DeletionTimestamp == nil {
				found = &list.Items[i]
			}
		}
		return found
	}).ShouldNot(BeNil(), "the Job of ordinal %d", ordinal)
	return found
}

// draining scales a StatefulSet of three replicas down by one, and returns the running drain pod of ordinal 2 with its Job.
func (w *world) draining(mutate ...func(*drainv1alpha1.DrainPolicy)) (*batchv1.Job, *corev1.Pod) {
	w.t.Helper()
	w.statefulSet(3)
	w.policy(mutate...)
	w.scale(2)
	job := w.job(2)
	return job, w.start(job)
}

// start runs the pod of a drain of ordinal 2.
func (w *world) start(job *batchv1.Job) *corev1.Pod {
	w.t.Helper()
	pod := w.startPod(job)
	w.Eventually(w.drain(2)).Should(Equal("Draining/JobRunning"))
	return pod
}

// startPod creates the pod of a Job, waits until the operator ungates it, and has it run.
func (w *world) startPod(job *batchv1.Job) *corev1.Pod {
	w.t.Helper()
	pod := &corev1.Pod{ObjectMeta: *job.Spec.Template.ObjectMeta.DeepCopy(), Spec: *job.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.GenerateName = job.Namespace, job.Name+"-"
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))}
	w.create(pod)
	w.Eventually(func() []corev1.PodSchedulingGate {
		w.Expect(k8s.Get(w.t.Context(), client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		return pod.Spec.SchedulingGates
	}).Should(BeEmpty(), "the operator ungates the drain pod")
	w.Expect(k8s.SubResource("binding").Create(w.t.Context(), pod, &corev1.Binding{
		ObjectMeta: w.meta(pod.Name), Target: corev1.ObjectReference{Kind: "Node", Name: "somewhere"},
	})).To(Succeed())
	w.podStatus(pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}})
	return pod
}

func (w *world) podStatus(pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) {
	w.t.Helper()
	w.Expect(k8s.Get(w.t.Context(), client.ObjectKeyFromObject(pod), pod)).To(Succeed())
	pod.Status.Phase = phase
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "drain", Image: "drain", State: state}}
	w.Expect(k8s.Status().Update(w.t.Context(), pod)).To(Succeed())
}

// succeed ends a drain well, with these last words before the receipt.
func (w *world) succeed(job *batchv1.Job, pod *corev1.Pod, message string) {
	w.t.Helper()
	receipt := ""
	for _, variable := range pod.Spec.Containers[0].Env {
		if variable.Name == "DRAIN_RECEIPT" {
			receipt = variable.Value
		}
	}
	w.podStatus(pod, corev1.PodSucceeded, corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{Message: message + "\n" + receipt, FinishedAt: metav1.Now()},
	})
	now := metav1.Now()
	w.jobStatus(job, batchv1.JobStatus{StartTime: &now, CompletionTime: &now, Succeeded: 1}, batchv1.JobSuccessCriteriaMet, batchv1.JobComplete)
}

// fail ends a drain badly.
func (w *world) fail(job *batchv1.Job, pod *corev1.Pod, message string) {
	w.t.Helper()
	w.podStatus(pod, corev1.PodFailed, corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: message, FinishedAt: metav1.Now()},
	})
	now := metav1.Now()
	w.jobStatus(job, batchv1.JobStatus{StartTime: &now, Failed: 1}, batchv1.JobFailureTarget, batchv1.JobFailed)
}

func (w *world) jobStatus(job *batchv1.Job, status batchv1.JobStatus, conditions ...batchv1.JobConditionType) {
	w.t.Helper()
	for _, kind := range conditions {
		status.Conditions = append(status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: "Test", Message: "as the test has it", LastTransitionTime: metav1.Now(),
		})
	}
	w.Expect(k8s.Get(w.t.Context(), client.ObjectKeyFromObject(job), job)).To(Succeed())
	job.Status = status
	w.Expect(k8s.Status().Update(w.t.Context(), job)).To(Succeed())
}

// lockedBuffer can be read while a command writes to it.
type lockedBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}

// otherAuthority returns a file with a certificate authority that the API server's certificate is not of.
func otherAuthority(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "another"}, key)
	g.Expect(err).NotTo(HaveOccurred())
	text, err := cert.EncodeCertificates(certificate)
	g.Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(t.TempDir(), "ca.crt")
	g.Expect(os.WriteFile(file, text, 0o600)).To(Succeed())
	return file
}

// withoutUser returns a kubeconfig for the API server that has no credentials.
func withoutUser(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	config, err := clientcmd.LoadFromFile(kubeconfig)
	g.Expect(err).NotTo(HaveOccurred())
	config.AuthInfos = map[string]*clientcmdapi.AuthInfo{}
	for _, at := range config.Contexts {
		at.AuthInfo = ""
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	g.Expect(clientcmd.WriteToFile(*config, file)).To(Succeed())
	return file
}
