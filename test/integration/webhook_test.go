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
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mutatedLabel is on what a webhook of these tests has seen.
const mutatedLabel = "mutated"

// patchOperation is one of a JSON patch.
type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func add(path string, value any) patchOperation {
	return patchOperation{Op: "add", Path: path, Value: value}
}

func remove(path string) patchOperation { return patchOperation{Op: "remove", Path: path} }

// mutate has a webhook change every object of a kind that is created in the namespace and that has the labels, and waits until it does. A
// MutatingAdmissionPolicy would be less work, and is only there from Kubernetes 1.36 on.
func (w *world) mutate(rule admissionregistrationv1.Rule, patch patchOperation, labels map[string]string) {
	GinkgoHelper()
	server := httptest.NewTLSServer(webhook(patch, labels))
	DeferCleanup(server.Close)
	name := w.namespace + "-" + rule.Resources[0]
	configuration := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: name + ".example.com", AdmissionReviewVersions: []string{"v1"},
			SideEffects:       ptr.To(admissionregistrationv1.SideEffectClassNone),
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.namespace}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create}, Rule: rule,
			}},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      ptr.To(server.URL),
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
		}},
	}
	Expect(k8s.Create(w.ctx, configuration)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(k8s.Delete(w.ctx, configuration))).To(Succeed()) })
	Eventually(func() map[string]string {
		sample := w.sample(rule)
		Expect(k8s.Create(w.ctx, sample, client.DryRunAll)).To(Succeed())
		return sample.GetLabels()
	}).Should(HaveKeyWithValue(mutatedLabel, "yes"), "the API server has heard of the webhook")
}

// webhook answers admission reviews with a patch for objects that have the labels, and labels all others too.
func webhook(patch patchOperation, labels map[string]string) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		defer GinkgoRecover()
		var review admissionv1.AdmissionReview
		Expect(json.NewDecoder(request.Body).Decode(&review)).To(Succeed())
		var object metav1.PartialObjectMetadata
		Expect(json.Unmarshal(review.Request.Object.Raw, &object)).To(Succeed())

		var patches []patchOperation
		if len(object.Labels) == 0 {
			patches = append(patches, add("/metadata/labels", map[string]string{}))
		}
		patches = append(patches, add("/metadata/labels/"+mutatedLabel, "yes"))
		if hasLabels(object.Labels, labels) {
			patches = append(patches, patch)
		}
		raw, err := json.Marshal(patches)
		Expect(err).NotTo(HaveOccurred())
		review.Response = &admissionv1.AdmissionResponse{
			UID: review.Request.UID, Allowed: true, PatchType: ptr.To(admissionv1.PatchTypeJSONPatch), Patch: raw,
		}
		review.Request = nil
		Expect(json.NewEncoder(response).Encode(review)).To(Succeed())
	}
}

func hasLabels(object, wanted map[string]string) bool {
	for key, value := range wanted {
		if object[key] != value {
			return false
		}
	}
	return true
}
