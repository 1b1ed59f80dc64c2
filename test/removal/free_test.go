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

package removal

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

var (
	k8s         client.Client
	environment *envtest.Environment
	// kubeconfig is the administrator's, and reader's that of a user who may not list Jobs.
	kubeconfig, reader string
	namespace          string
)

func TestRemoval(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(15 * time.Second)
	RunSpecs(t, "Removal")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		Fail("KUBEBUILDER_ASSETS is not set: run these tests with `make test`, which finds or builds kube-apiserver, etcd and kubectl")
	}
	Expect(os.Setenv("PATH", assets+string(os.PathListSeparator)+os.Getenv("PATH"))).To(Succeed())
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(drainv1alpha1.AddToScheme(scheme)).To(Succeed())
	environment = &envtest.Environment{
		Scheme: scheme, CRDDirectoryPaths: []string{filepath.Join("..", "..", "config", "crd", "bases")}, ErrorIfCRDPathMissing: true,
	}
	config, err := environment.Start()
	Expect(err).NotTo(HaveOccurred(), "starting kube-apiserver and etcd")
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed()) })
	k8s, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	write := func(name string, content []byte) string {
		path := filepath.Join(GinkgoT().TempDir(), name)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		return path
	}
	kubeconfig = write("admin", environment.KubeConfig)
	user, err := environment.AddUser(envtest.User{Name: "reader", Groups: []string{"readers"}}, nil)
	Expect(err).NotTo(HaveOccurred())
	content, err := user.KubeConfig()
	Expect(err).NotTo(HaveOccurred())
	reader = write("reader", content)
	everything := []string{"*"}
	Expect(k8s.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "no-jobs"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"", "coordination.k8s.io", "drain.statefulset.dev", "apiextensions.k8s.io"}, Resources: everything, Verbs: everything},
	}})).To(Succeed())
	Expect(k8s.Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "no-jobs"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "no-jobs"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "readers"}},
	})).To(Succeed())
}, NodeTimeout(2*time.Minute))

var _ = BeforeEach(func(ctx SpecContext) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "removal-"}}
	Expect(k8s.Create(ctx, ns)).To(Succeed())
	namespace = ns.Name
}, NodeTimeout(time.Minute))

// free runs the script for the test's namespace.
func free(ctx context.Context, config string, args ...string) (said string, err error) {
	GinkgoHelper()
	command := exec.CommandContext(ctx, filepath.Join("..", "..", "hack", "free.sh"), append([]string{"--kubeconfig", config, "--namespace", namespace}, args...)...)
	command.Env = append(os.Environ(), "FREE_TIMEOUT=1")
	output, err := command.CombinedOutput()
	return string(output), err
}

// create creates objects with their status.
func create(ctx context.Context, list ...client.Object) {
	GinkgoHelper()
	for _, object := range list {
		object.SetNamespace(namespace)
		status := object.DeepCopyObject().(client.Object) //nolint:forcetypeassert // A copy of an object is one.
		Expect(k8s.Create(ctx, object)).To(Succeed())
		status.SetResourceVersion(object.GetResourceVersion())
		status.SetUID(object.GetUID())
		Expect(client.IgnoreNotFound(k8s.Status().Update(ctx, status))).To(Succeed())
	}
}

func gone(ctx context.Context, object client.Object) bool {
	GinkgoHelper()
	err := k8s.Get(ctx, client.ObjectKeyFromObject(object), object)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return apierrors.IsNotFound(err)
}

// left is what an operator has left of one drain of ordinal 2, all of it made as the operator makes it.
type left struct {
	policy *drainv1alpha1.DrainPolicy
	claim  *corev1.PersistentVolumeClaim
	lock   *corev1.Pod
	job    *batchv1.Job
}

func leave(ctx context.Context) *left {
	GinkgoHelper()
	l := &left{policy: &drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Finalizers: []string{drainv1alpha1.PolicyFinalizer}},
		Spec: drainv1alpha1.DrainPolicySpec{
			StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "web"},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "drain", Image: "drain"}},
			}},
		},
	}}
	create(ctx, l.policy)
	l.claim = &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data-web-2", Finalizers: []string{"kubernetes.io/pvc-protection"}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
	create(ctx, l.claim)
	target := statefulset.Target{Name: "web", Namespace: namespace, ClaimTemplates: []string{"data"}, Replicas: 2}
	l.lock = objects.Lock(l.policy, &l.policy.Spec.Template, target, 2)
	create(ctx, l.lock)
	l.job = objects.Job(l.policy, &l.policy.Spec.Template, target, objects.Attempt{Job: "web-2-drain-0123456789abcdef", Ordinal: 2, Number: 1, LockUID: l.lock.UID})
	create(ctx, l.job)
	return l
}

// drainPod is a pod of the Job, as the Job controller makes it, on a node if running.
func (l *left) drainPod(running bool) *corev1.Pod {
	pod := objects.Pod(l.job)
	pod.GenerateName, pod.Name = "", l.job.Name+"-x"
	if running {
		pod.Spec.SchedulingGates, pod.Spec.NodeName = nil, "node"
		pod.Status.Phase = corev1.PodRunning
	}
	return pod
}

// collect does what the garbage collector does for a Job that is deleted in the foreground and has no pod any more.
func (l *left) collect(ctx context.Context) {
	GinkgoHelper()
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(l.job), l.job)).To(Succeed())
	Expect(l.job.Finalizers).To(ContainElement(metav1.FinalizerDeleteDependents), "the Job must be deleted in the foreground")
	l.job.Finalizers = nil
	Expect(k8s.Update(ctx, l.job)).To(Succeed())
}

var _ = Describe("free.sh", func() {
	It("says what it would do, and changes nothing", func(ctx SpecContext) {
		l := leave(ctx)
		Expect(k8s.Delete(ctx, l.policy)).To(Succeed())
		versions := func() (versions []string) {
			for _, object := range []client.Object{l.policy, l.claim, l.lock, l.job} {
				Expect(gone(ctx, object)).To(BeFalse())
				versions = append(versions, object.GetResourceVersion())
			}
			return versions
		}
		before := versions()
		said, err := free(ctx, kubeconfig)
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(said).To(Equal(strings.ReplaceAll(`Nothing is changed. With --yes, this would be done:
delete Job NS/web-2-drain-0123456789abcdef (unfinished)
release lock NS/web-2: the StatefulSet's Pod of that name can be created again
remove the finalizer of DrainPolicy NS/web, which is being deleted
`, "NS", namespace)))
		Expect(versions()).To(Equal(before))
	}, SpecTimeout(time.Minute))

	It("releases the lock only when the Job is gone, and lets the policy go after that", func(ctx SpecContext) {
		l := leave(ctx)
		Expect(k8s.Delete(ctx, l.policy)).To(Succeed())
		said, err := free(ctx, kubeconfig, "--yes")
		Expect(err).To(HaveOccurred())
		Expect(said).To(ContainSubstring("lock " + namespace + "/web-2 stays: Job " + l.job.Name + " may still write"))
		Expect(said).To(ContainSubstring("DrainPolicy " + namespace + "/web stays, because its lock web-2 does"))
		Expect(gone(ctx, l.lock)).To(BeFalse())
		Expect(l.lock.DeletionTimestamp).To(BeNil())
		Expect(gone(ctx, l.policy)).To(BeFalse())

		l.collect(ctx)
		said, err = free(ctx, kubeconfig, "--yes")
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(gone(ctx, l.lock)).To(BeTrue())
		Expect(gone(ctx, l.policy)).To(BeTrue())
		Expect(gone(ctx, l.claim)).To(BeFalse())
		Expect(l.claim.DeletionTimestamp).To(BeNil())
	}, SpecTimeout(time.Minute))

	DescribeTable("keeps the lock beside a drain Pod without a Job that has not ended", func(ctx SpecContext, running bool) {
		l := leave(ctx)
		Expect(k8s.Delete(ctx, l.job, client.PropagationPolicy(metav1.DeletePropagationOrphan))).To(Succeed())
		Eventually(func() error { // The garbage collector takes the finalizer "orphan" off.
			if gone(ctx, l.job) {
				return nil
			}
			l.job.Finalizers = nil
			return k8s.Update(ctx, l.job)
		}).Should(Succeed())
		pod := l.drainPod(running)
		create(ctx, pod)
		said, err := free(ctx, kubeconfig, "--yes")
		Expect(said).To(ContainSubstring("delete Pod " + namespace + "/" + pod.Name))
		if running { // Nothing here ends it.
			Expect(err).To(HaveOccurred())
			Expect(said).To(ContainSubstring("lock " + namespace + "/web-2 stays: Pod " + pod.Name))
			Expect(gone(ctx, l.lock)).To(BeFalse())
			Expect(gone(ctx, pod)).To(BeFalse())
			Expect(pod.DeletionTimestamp).NotTo(BeNil())
			Expect(k8s.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
			said, err = free(ctx, kubeconfig, "--yes")
		}
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(gone(ctx, pod)).To(BeTrue())
		Expect(gone(ctx, l.lock)).To(BeTrue())
	},
		Entry("gated", SpecTimeout(time.Minute), false),
		Entry("running", SpecTimeout(time.Minute), true),
	)

	It("lets go of a policy that was not deleted, which stays", func(ctx SpecContext) {
		l := leave(ctx)
		Expect(k8s.Delete(ctx, l.job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		said, err := free(ctx, kubeconfig, "--yes")
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(said).To(ContainSubstring("remove the finalizer of DrainPolicy " + namespace + "/web, which stays"))
		Expect(gone(ctx, l.policy)).To(BeFalse())
		Expect(l.policy.Finalizers).To(BeEmpty())
		Expect(l.policy.DeletionTimestamp).To(BeNil())
		Expect(gone(ctx, l.lock)).To(BeTrue())
	}, SpecTimeout(time.Minute))

	DescribeTable("whose claim is being deleted", func(ctx SpecContext, mark func(*left) string, wantFreed bool) {
		l := leave(ctx)
		if mark != nil {
			before := l.claim.DeepCopy()
			l.claim.Annotations = map[string]string{drainv1alpha1.DrainedAnnotation: mark(l)}
			Expect(k8s.Patch(ctx, l.claim, client.MergeFrom(before))).To(Succeed())
		}
		Expect(k8s.Delete(ctx, l.claim)).To(Succeed())
		said, _ := free(ctx, kubeconfig, "--yes")
		Expect(gone(ctx, l.job)).To(BeFalse())
		Expect(l.job.DeletionTimestamp != nil).To(Equal(wantFreed), "Job being deleted: %s", said)
		if !wantFreed {
			Expect(said).To(ContainSubstring("claim data-web-2 is being deleted and not marked as drained"))
			Expect(gone(ctx, l.lock)).To(BeFalse())
			Expect(l.lock.DeletionTimestamp).To(BeNil())
		}
	},
		Entry("undrained stays as it is: the claim would go with its last Pod", SpecTimeout(time.Minute), nil, false),
		Entry("with a void mark stays as it is", SpecTimeout(time.Minute),
			func(l *left) string { return (&claims.Mark{ClaimUID: l.claim.UID, JobUID: "x"}).Void().String() }, false),
		Entry("drained under the lock is freed", SpecTimeout(time.Minute),
			func(l *left) string { return claims.Mark{ClaimUID: l.claim.UID, LockUID: l.lock.UID}.String() }, true),
	)

	It("does nothing when it can't read all", func(ctx SpecContext) {
		l := leave(ctx)
		said, err := free(ctx, reader, "--yes")
		Expect(err).To(HaveOccurred())
		Expect(said).To(ContainSubstring("jobs.batch is forbidden"))
		Expect(gone(ctx, l.lock)).To(BeFalse())
		Expect(l.lock.DeletionTimestamp).To(BeNil())
	}, SpecTimeout(time.Minute))

	It("refuses while a Pod of an operator is there, in any namespace", func(ctx SpecContext) {
		l := leave(ctx)
		manager := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "manager", Namespace: "default", Labels: map[string]string{
				"app.kubernetes.io/name": "drain-operator", "control-plane": "controller-manager",
			}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "manager"}}},
		}
		Expect(k8s.Create(ctx, manager)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(k8s.Delete(ctx, manager)).To(Succeed()) }, NodeTimeout(time.Minute))
		said, err := free(ctx, kubeconfig, "--yes")
		Expect(err).To(HaveOccurred())
		Expect(said).To(ContainSubstring("an operator runs: Pod default/manager."))
		Expect(gone(ctx, l.job)).To(BeFalse())
		Expect(l.job.DeletionTimestamp).To(BeNil())
	}, SpecTimeout(time.Minute))

	DescribeTable("refuses while a lease is renewed", func(ctx SpecContext, renewed bool) {
		l := leave(ctx)
		lease := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "manager.drain.statefulset.dev"},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: ptr.To("somewhere"), LeaseDurationSeconds: ptr.To[int32](1), RenewTime: ptr.To(metav1.NowMicro()),
			},
		}
		Expect(k8s.Create(ctx, lease)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(k8s.Delete(ctx, lease)).To(Succeed()) }, NodeTimeout(time.Minute))
		renewing, stop := context.WithCancel(ctx)
		defer stop()
		if renewed {
			go func() {
				ticker := time.NewTicker(200 * time.Millisecond)
				defer ticker.Stop()
				for {
					select {
					case <-renewing.Done():
						return
					case <-ticker.C:
						patch := fmt.Sprintf(`{"spec":{"renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro))
						_ = k8s.Patch(renewing, lease.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch)))
					}
				}
			}()
		}
		said, err := free(ctx, kubeconfig)
		Expect(err != nil).To(Equal(renewed), said)
		Expect(strings.Contains(said, "somewhere renews the lease")).To(Equal(renewed), said)
		Expect(gone(ctx, l.lock)).To(BeFalse())
	},
		Entry("as a manager outside the cluster does", SpecTimeout(time.Minute), true),
		Entry("and not while one is only there, of a manager that was killed", SpecTimeout(time.Minute), false),
	)
})
