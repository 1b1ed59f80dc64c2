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
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return objects
		} else {
			Expect(err).NotTo(HaveOccurred())
		}
		objects = append(objects, object)
	}
}

// install installs what config/default does, but for the CRD, which is there, and the Deployment, in whose place the tests' operator
// runs. So every test shows that the operator gets along with the rights that it has, and with the admission policies around it.
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
	Expect(policies).To(Equal(6))
	// The API server takes a moment to follow new policies, each by itself. The fence is the last one in the file.
	operator := clientAs(as(operatorUser, serviceAccountGroups("drain-operator-system")...))
	Eventually(func() error {
		return operator.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "x-", Namespace: "kube-system"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}},
		}, client.DryRunAll)
	}).Should(MatchError(ContainSubstring("drain-operator drains nothing in namespace kube-system")))
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
	return rbacv1.PolicyRule{APIGroups: []string{"", "apps", "batch", "drain.statefulset.dev"}, Resources: resources, Verbs: verbs}
}

func onlyNamed(name string, rule rbacv1.PolicyRule) rbacv1.PolicyRule {
	rule.ResourceNames = []string{name}
	return rule
}

// user returns a client for a user with these rights, and no others, in the world's namespace.
func (w *world) user(rules ...rbacv1.PolicyRule) client.Client {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "user-", Namespace: w.namespace}, Rules: rules}
	Expect(k8s.Create(w.ctx, role)).To(Succeed())
	return w.bound(rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name})
}

// editor returns a client for a user with the rights that Kubernetes' ClusterRole "edit" gives in a namespace. Nothing aggregates ClusterRoles here.
func (w *world) editor() client.Client {
	GinkgoHelper()
	return w.bound(
		rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:aggregate-to-edit"},
		rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:aggregate-to-view"},
		rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "drain-operator-drainpolicy-editor-role"},
	)
}

func (w *world) bound(roles ...rbacv1.RoleRef) client.Client {
	GinkgoHelper()
	w.users++
	name := fmt.Sprintf("user-%d-of-%s", w.users, w.namespace)
	for i, role := range roles {
		Expect(k8s.Create(w.ctx, &rbacv1.RoleBinding{
			ObjectMeta: w.meta(fmt.Sprintf("%s-%d", name, i)), RoleRef: role,
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
		})).To(Succeed())
	}
	return clientAs(as(name))
}
