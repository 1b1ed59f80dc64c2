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
	"fmt"
	"os"
	"path/filepath"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// warnings collects what the API server warns of.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.said...)
}

// guarded installs a component of the scaling guard, as an overlay would, until the end of the spec.
func (w *world) guarded(component string) {
	GinkgoHelper()
	// kustomize takes bases by relative path only.
	dist := filepath.Join("..", "..", "dist")
	Expect(os.MkdirAll(dist, 0o755)).To(Succeed())
	folder, err := os.MkdirTemp(dist, "test-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(os.RemoveAll(folder)).To(Succeed()) })
	overlay := fmt.Sprintf("resources: [../../config/default]\ncomponents: [../../config/components/%s]\n", component)
	Expect(os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(overlay), 0o600)).To(Succeed())
	installed := 0
	for _, object := range kustomization("dist/" + filepath.Base(folder)) {
		if object.GetName() == "drain-operator-scaling-guard" {
			installed++
			Expect(k8s.Create(w.ctx, &object)).To(Succeed())
			DeferCleanup(func() { Expect(k8s.Delete(w.ctx, &object)).To(Succeed()) })
		}
	}
	Expect(installed).To(Equal(2), "a policy and its binding")
}

// reasonOf returns the reason of a condition of a policy in hand, or "".
func reasonOf(policy *drainv1alpha1.DrainPolicy, kind string) string {
	if condition := meta.FindStatusCondition(policy.Status.Conditions, kind); condition != nil {
		return condition.Reason
	}
	return ""
}

var _ = Describe("The author of a scale", func() {
	It("must be allowed to scale the StatefulSet where spec.replicas is unset or 0", func() {
		w := newWorld()
		w.statefulSet(3)
		w.policy()
		scales := func(user client.Client, replicas int32) func() error {
			return func() error {
				return user.SubResource("scale").Patch(w.ctx, w.get(), client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)))
			}
		}
		scaler := w.user(may(change, "drainpolicies", "drainpolicies/scale"))
		refuses(scales(scaler, 0), "may not update statefulsets/scale")
		refuses(scales(scaler, 3), "may not update statefulsets/scale")
		Expect(w.get().Spec.Replicas).To(BeNil())

		accepts(scales(w.user(may(change, "drainpolicies", "drainpolicies/scale"), may([]string{"update"}, "statefulsets/scale")), 3))
		Expect(w.get().Spec.Replicas).To(HaveValue(BeEquivalentTo(3)), "the scale sets what was unset")
		accepts(scales(scaler, 2))
		accepts(scales(scaler, 0))
		refuses(scales(scaler, 1), "may not update statefulsets/scale")
	})
})

var _ = Describe("The scaling guard", func() {
	const scalesDown = `DrainPolicy "store" scales StatefulSet "store" down, one ordinal at a time: run kubectl scale drainpolicy/store --replicas=`
	var w *world
	BeforeEach(func() {
		w = newWorld()
		w.statefulSet(5)
	})

	// Each is a way in which people and tools lower the replicas.
	scale := func(user client.Client, replicas int32) func() error {
		return func() error {
			return user.SubResource("scale").Update(w.ctx, w.set.DeepCopy(),
				client.WithSubResourceBody(&autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}, ObjectMeta: w.meta("store")}))
		}
	}
	scalePatch := func(user client.Client, replicas int32) func() error {
		return func() error {
			return user.SubResource("scale").Patch(w.ctx, w.set.DeepCopy(),
				client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)))
		}
	}
	helm := func(user client.Client, replicas int32) func() error {
		return w.merge(user, w.set, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
	}
	argoCD := func(user client.Client, replicas int32) func() error {
		return func() error {
			manifest := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": map[string]any{"name": "store", "namespace": w.namespace},
				"spec": map[string]any{"replicas": int64(replicas)},
			}}
			return user.Apply(w.ctx, client.ApplyConfigurationFromUnstructured(manifest), client.FieldOwner("argocd-controller"), client.ForceOwnership)
		}
	}
	update := func(user client.Client, replicas int32) func() error {
		return func() error {
			set := &appsv1.StatefulSet{}
			if err := k8s.Get(w.ctx, w.key("store"), set); err != nil {
				return err
			}
			set.Spec.Replicas = &replicas
			return user.Update(w.ctx, set)
		}
	}
	scaled := func(policy *drainv1alpha1.DrainPolicy) { policy.Spec.Replicas = ptr.To[int32](5) }
	replicas := func() int32 {
		GinkgoHelper()
		set := &appsv1.StatefulSet{}
		Expect(k8s.Get(w.ctx, w.key("store"), set)).To(Succeed())
		return *set.Spec.Replicas
	}
	// inForce waits until the guard is: the API server takes a moment to follow it.
	inForce := func() {
		GinkgoHelper()
		Eventually(func() error {
			return k8s.Patch(w.ctx, w.set.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":0}}`)), client.DryRunAll)
		}).Should(MatchError(ContainSubstring(scalesDown+"0")), "the guard must be in force")
	}

	It("refuses a user who lowers the replicas past the operator, in whatever way", func() {
		w.policy(scaled)
		w.guarded("scaling-guard")
		inForce()
		admin, editor := k8s, w.editor()
		for name, lower := range map[string]func(client.Client, int32) func() error{
			"kubectl scale": scalePatch, "an autoscaler": scale, "helm": helm, "Argo CD": argoCD, "kubectl replace": update,
		} {
			By(name)
			refuses(lower(admin, 3), scalesDown+"3, and leave spec.replicas out of the manifest")
			refuses(lower(editor, 0), scalesDown+"0")
		}
		Expect(replicas()).To(BeEquivalentTo(5))

		By("what does not lower them is let through")
		accepts(scalePatch(editor, 6))
		accepts(argoCD(editor, 6))
		accepts(w.merge(editor, w.set, `{"spec":{"template":{"metadata":{"annotations":{"restarted":"today"}}}}}`))
	})

	It("lets the operator lower them", func() {
		w.policy(scaled)
		w.guarded("scaling-guard")
		inForce()
		w.grant(operatorUser, rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"statefulsets/scale"}, Verbs: []string{"update"}})
		accepts(scale(clientAs(as(operatorUser, serviceAccountGroups("drain-operator-system")...)), 4))
	})

	It("ends while the policy is suspended, which is the way out without the operator", func() {
		w.policy(scaled)
		w.guarded("scaling-guard")
		inForce()
		editor := w.editor()
		refuses(scalePatch(editor, 4), scalesDown+"4")
		accepts(w.merge(editor, w.get(), `{"spec":{"suspend":true}}`))
		accepts(scalePatch(editor, 4))
		accepts(w.merge(editor, w.get(), `{"spec":{"suspend":false}}`))
		// The API server evaluates it on a cache of the policies.
		inForce()
		refuses(scalePatch(editor, 3), scalesDown+"3")
	})

	It("counts no policy that is in conflict with an older one", func() {
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		younger := w.newPolicy("younger", scaled)
		Expect(k8s.Create(w.ctx, younger)).To(Succeed())
		w.guarded("scaling-guard")
		Eventually(func() string {
			Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(younger), younger)).To(Succeed())
			return reasonOf(younger, drainv1alpha1.ConditionReady)
		}).Should(Equal(drainv1alpha1.ReasonPolicyConflict))
		accepts(scalePatch(w.editor(), 4))
	})

	It("ends with spec.replicas", func() {
		w.policy(scaled)
		w.guarded("scaling-guard")
		inForce()
		editor := w.editor()
		refuses(scalePatch(editor, 4), scalesDown+"4")
		accepts(w.merge(editor, w.get(), `{"spec":{"replicas":null}}`))
		accepts(scalePatch(editor, 4))
	})

	It("holds for the StatefulSet of the policy only, and not for a policy that is going", func() {
		w.policy(scaled)
		w.guarded("scaling-guard")
		inForce()
		other := w.set.DeepCopy()
		other.ObjectMeta = w.meta("other")
		Expect(k8s.Create(w.ctx, other)).To(Succeed())
		editor := w.editor()
		accepts(w.merge(editor, other, `{"spec":{"replicas":1}}`))

		policy := w.get()
		Expect(k8s.Patch(w.ctx, policy, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/hold"]}}`)))).To(Succeed())
		DeferCleanup(func() {
			Expect(client.IgnoreNotFound(k8s.Patch(w.ctx, policy, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
		})
		Expect(k8s.Delete(w.ctx, policy)).To(Succeed())
		accepts(scalePatch(editor, 4))
	})

	It("can warn instead", func() {
		w.policy(scaled)
		w.guarded("scaling-guard-warn")
		heard := &warnings{}
		config := rest.CopyConfig(restConfig)
		config.WarningHandler = heard
		user := clientAs(config)
		Eventually(func(g Gomega) {
			g.Expect(user.Patch(w.ctx, w.set.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":4}}`)), client.DryRunAll)).
				To(Succeed(), "another spec's guard may be in force still")
			g.Expect(heard.all()).To(ContainElement(ContainSubstring(scalesDown + "4")))
		}).Should(Succeed(), "the guard must be in force")
		Expect(scalePatch(user, 3)()).To(Succeed())
		Expect(heard.all()).To(ContainElement(ContainSubstring(scalesDown + "3")))
	})
})
