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
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// operatorUser is the account that config/default gives the operator.
const operatorUser = "system:serviceaccount:drain-operator-system:drain-operator-controller-manager"

// kustomization returns the manifests that a kustomization of config/ makes.
func kustomization(path string) []unstructured.Unstructured {
	GinkgoHelper()
	command := exec.Command("go", "tool", "-modfile=hack/tools/go.mod", "kustomize", "build", path)
	command.Dir = filepath.Join("..", "..")
	var problems bytes.Buffer
	command.Stderr = &problems
	manifests, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), problems.String())
	var objects []unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		Expect(err).NotTo(HaveOccurred())
		objects = append(objects, object)
	}
}

// install installs what config/default does, but for the CRD, which is there, and the Deployment, in whose place the
// tests' operator runs. So every test shows that the operator works with its rights and under its admission policies.
func install(ctx context.Context) {
	GinkgoHelper()
	policies := 0
	for _, object := range kustomization("config/default") {
		switch object.GetKind() {
		case "CustomResourceDefinition", "Deployment":
			continue
		case "ValidatingAdmissionPolicy":
			policies++
		}
		Expect(k8s.Create(ctx, &object)).To(Succeed(), "%s %s", object.GetKind(), object.GetName())
	}
	Expect(policies).To(Equal(7))
	// The API server takes a moment to follow new policies. When it follows one that comes last, it follows all.
	last := metav1.ObjectMeta{Name: "last"}
	Expect(k8s.Create(ctx,
		&admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: last,
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionregistrationv1.MatchResources{
					ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
						ResourceNames: []string{"last"},
						RuleWithOperations: admissionregistrationv1.RuleWithOperations{
							Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
							Rule: admissionregistrationv1.Rule{
								APIGroups: []string{""}, APIVersions: []string{"v1"},
								Resources: []string{"configmaps"},
							},
						},
					}},
				},
				Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: "the last policy is followed"}},
			},
		})).To(Succeed())
	Expect(k8s.Create(ctx,
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: last,
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: "last", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			},
		})).To(Succeed())
	Eventually(func() error {
		return k8s.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "last", Namespace: "default"}},
			client.DryRunAll)
	}).Should(MatchError(ContainSubstring("the last policy is followed")))
}

// as returns a configuration for a user.
func as(user string, groups ...string) *rest.Config {
	config := rest.CopyConfig(restConfig)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	return config
}

func serviceAccountGroups(namespace string) []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace}
}

func clientAs(config *rest.Config) client.Client {
	GinkgoHelper()
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// may is a rule of a Role: verbs on resources, which are of the group that has them.
func may(verbs []string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{"", "apps", "batch", "drain.statefulset.dev"}, Resources: resources, Verbs: verbs,
	}
}

func onlyNamed(name string, rule rbacv1.PolicyRule) rbacv1.PolicyRule {
	rule.ResourceNames = []string{name}
	return rule
}

// user returns a client for a user with these rights, and no others, in the world's namespace.
func (w *world) user(rules ...rbacv1.PolicyRule) client.Client {
	GinkgoHelper()
	w.users++
	name := fmt.Sprintf("user-%d-of-%s", w.users, w.namespace)
	w.grant(name, rules...)
	return clientAs(as(name))
}

// grant gives a user rights in the world's namespace.
func (w *world) grant(name string, rules ...rbacv1.PolicyRule) {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "user-", Namespace: w.namespace}, Rules: rules}
	Expect(k8s.Create(w.ctx, role)).To(Succeed())
	w.bind(name, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name})
}

// editor returns a client for a user with the rights that Kubernetes' ClusterRole "edit" gives in a namespace. Nothing
// aggregates ClusterRoles here.
func (w *world) editor() client.Client {
	GinkgoHelper()
	w.users++
	name := fmt.Sprintf("editor-%d-of-%s", w.users, w.namespace)
	for _, role := range []string{"system:aggregate-to-edit",
		"system:aggregate-to-view", "drain-operator-drainpolicy-editor-role"} {
		w.bind(name, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role})
	}
	return clientAs(as(name))
}

func (w *world) bind(user string, role rbacv1.RoleRef) {
	GinkgoHelper()
	Expect(k8s.Create(w.ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "user-", Namespace: w.namespace}, RoleRef: role,
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
}
