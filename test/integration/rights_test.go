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
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// auditPolicy has the API server record who asks for what. The user is known only after a request was received.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, Panic]
rules:
- level: Metadata
`

// unseen are rights that no request shows. An admission plugin of some clusters asks for them when an object is owned
// with blockOwnerDeletion (OwnerReferencesPermissionEnforcement). The metrics aren't served here.
var unseen = []string{
	"update apps/statefulsets/finalizers", "update drain.statefulset.dev/drainpolicies/finalizers",
	"create authentication.k8s.io/tokenreviews", "create authorization.k8s.io/subjectaccessreviews",
	// The election tells of itself by events, which are written in the background, and are patched when they repeat.
	"create /events", "patch /events", "patch events.k8s.io/events",
}

// audit lets an API server that is about to start write down every request, and returns the file that it writes to.
func audit(environment *envtest.Environment, folder string) string {
	GinkgoHelper()
	policy := filepath.Join(GinkgoT().TempDir(), "policy.yaml")
	log := filepath.Join(folder, fmt.Sprintf("audit-%d.log", GinkgoParallelProcess()))
	Expect(os.WriteFile(policy, []byte(auditPolicy), 0o600)).To(Succeed())
	environment.ControlPlane.GetAPIServer().Configure().
		Set("audit-policy-file", policy).Set("audit-log-path", log).Set("audit-log-maxsize", "2000")
	return log
}

// expectRightsUsed compares what the operator may do with what it did in all tests together.
func expectRightsUsed(logs []string) {
	GinkgoHelper()
	if suite, _ := GinkgoConfiguration(); len(suite.FocusStrings)+len(suite.SkipStrings)+len(suite.FocusFiles) > 0 ||
		suite.LabelFilter != "" {
		return // Not all tests ran.
	}
	used := usedRights(logs)
	var unused []string
	for _, object := range kustomization("config/default") {
		if !strings.HasSuffix(object.GetName(), "-manager-role") &&
			!strings.HasSuffix(object.GetName(), "-leader-election-role") &&
			!strings.HasSuffix(object.GetName(), "-metrics-auth-role") {
			continue
		}
		var role rbacv1.Role
		Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role)).To(Succeed())
		Expect(role.Rules).NotTo(BeEmpty(), object.GetName())
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						right := fmt.Sprintf("%s %s/%s", verb, group, resource)
						if !used[right] && !slices.Contains(unseen, right) {
							unused = append(unused, right)
						}
					}
				}
			}
		}
	}
	Expect(unused).To(BeEmpty(), "rights of the operator that it never used")
}

// usedRights returns what the operator asked for, in the form of expectRightsUsed.
func usedRights(logs []string) map[string]bool {
	GinkgoHelper()
	used := map[string]bool{}
	for _, log := range logs {
		for _, request := range operatorRequests(log) {
			used[fmt.Sprintf("%s %s/%s", request.Verb, request.ObjectRef.APIGroup, request.resource())] = true
		}
	}
	Expect(used).NotTo(BeEmpty())
	return used
}

// request is one that the API server wrote down.
type request struct {
	Verb, RequestURI string
	ImpersonatedUser struct{ Username string }
	ObjectRef        struct{ APIGroup, Resource, Subresource, Namespace string }
}

func (r *request) resource() string {
	if r.ObjectRef.Subresource != "" {
		return r.ObjectRef.Resource + "/" + r.ObjectRef.Subresource
	}
	return r.ObjectRef.Resource
}

// operatorRequests returns the requests of the operator, in their order.
func operatorRequests(log string) []request {
	GinkgoHelper()
	file, err := os.Open(log)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = file.Close() }()
	var requests []request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), operatorUser) {
			continue
		}
		var event request
		Expect(json.Unmarshal(lines.Bytes(), &event)).To(Succeed())
		if event.ImpersonatedUser.Username == operatorUser {
			requests = append(requests, event)
		}
	}
	Expect(lines.Err()).NotTo(HaveOccurred())
	return requests
}
