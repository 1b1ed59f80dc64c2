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
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// installation is what installs the operator: all objects of a kustomization, in the order in which they are applied.
type installation []unstructured.Unstructured

// render renders a folder as `make apply` does, with the image that the operator has now.
func render(ctx context.Context, folder string) installation {
	GinkgoHelper()
	var deployment appsv1.Deployment
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &deployment)).To(Succeed())
	command := exec.CommandContext(ctx, "hack/render.sh", folder, deployment.Spec.Template.Spec.Containers[0].Image)
	command.Dir = top
	var problems bytes.Buffer
	command.Stderr = &problems
	manifests, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), problems.String())
	var all installation
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		Expect(err).NotTo(HaveOccurred())
		all = append(all, object)
	}
	Expect(len(all)).To(BeNumerically(">", 20), "objects of %s", folder)
	return all
}

func describeObject(o *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s", o.GroupVersionKind().GroupKind(), o.GetNamespace(), o.GetName())
}

// without returns the objects that the other installation does not have.
func (i installation) without(other installation) installation {
	has := map[string]bool{}
	for j := range other {
		has[describeObject(&other[j])] = true
	}
	var rest installation
	for j := range i {
		if !has[describeObject(&i[j])] {
			rest = append(rest, i[j])
		}
	}
	return rest
}

// find returns the only object of a kind and a name.
func (i installation) find(kind, name string) *unstructured.Unstructured {
	GinkgoHelper()
	var found *unstructured.Unstructured
	for j := range i {
		if i[j].GetKind() == kind && i[j].GetName() == name {
			Expect(found).To(BeNil(), "two objects %s %s", kind, name)
			found = &i[j]
		}
	}
	Expect(found).NotTo(BeNil(), "%s %s must be in the installation", kind, name)
	return found
}

// kubectl gives the objects to kubectl, as `kubectl … -f -`.
func (i installation) kubectl(ctx context.Context, args ...string) {
	GinkgoHelper()
	if len(i) == 0 {
		return // kubectl calls that an error.
	}
	var manifests bytes.Buffer
	for j := range i {
		text, err := json.Marshal(i[j].Object)
		Expect(err).NotTo(HaveOccurred())
		manifests.Write(append(text, "\n---\n"...))
	}
	command := exec.CommandContext(ctx, "kubectl", append(args, "--filename=-")...)
	command.Stdin = &manifests
	output, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "kubectl %q: %s", args, output)
}

// replaceWith applies another installation, deletes what it does not have, and waits until its managers, and no others, run.
func (i installation) replaceWith(ctx context.Context, other installation) {
	GinkgoHelper()
	other.kubectl(ctx, "apply", "--validate=strict")
	i.without(other).kubectl(ctx, "delete", "--ignore-not-found", "--timeout=60s")
	other.awaitManagers(ctx)
}

// awaitManagers waits until the managers of the installation, and no others, run.
func (i installation) awaitManagers(ctx context.Context) {
	GinkgoHelper()
	replicas, _, err := unstructured.NestedInt64(i.find("Deployment", operatorDeployment).Object, "spec", "replicas")
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, func(g Gomega) {
		operatorIsReady(ctx)(g)
		var deployment appsv1.Deployment
		g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &deployment)).To(Succeed())
		g.Expect(deployment.Status.UpdatedReplicas).To(BeEquivalentTo(replicas), "updated replicas")
		var pods corev1.PodList
		g.Expect(cluster.List(ctx, &pods, client.InNamespace(operatorNamespace), client.MatchingLabels(deployment.Spec.Selector.MatchLabels))).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(int(replicas)), "managers, those that terminate included")
	}).Should(Succeed(), "the new managers must run, and no old ones")
}

// drainUnder scales a store of two down, waits until the claim is gone, and counts the records. If half is not nil, the policy must hold the drain,
// and half is called half-way.
func (w *world) drainUnder(ctx context.Context, half func(), mutate ...func(*drainv1alpha1.DrainPolicy)) {
	GinkgoHelper()
	policy := drainPolicy(append(mutate, whenDrained(drainv1alpha1.WhenDrainedDelete))...)
	w.startStore(ctx, statefulSet(2), policy)
	records := w.fillAll(ctx, 2, each)
	if half != nil {
		w.hold(ctx)
	}
	w.scale(ctx, 1)
	if half != nil {
		w.expectHalfWay(ctx, 1, each, 0)
		half()
		w.release(ctx)
	}
	w.expectNoClaim(ctx, claim("data", 1))
	w.expectDrained(ctx, records, 0)
	Expect(w.recorder.drainJobs()).To(HaveLen(1))
}

// pageFiles returns the files that a page of docs/ shows: its blocks of YAML that start with a comment that is a path.
func pageFiles(page string) map[string]string {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(top, "docs", page))
	Expect(err).NotTo(HaveOccurred())
	files := map[string]string{}
	for _, block := range regexp.MustCompile("(?m)^```yaml\n# (\\S+)\n((?:.*\n)*?)```$").FindAllStringSubmatch(string(text), -1) {
		files[block[1]] = block[2]
	}
	return files
}

// installTimeout bounds a test that changes how the operator is installed.
const installTimeout = 5 * time.Minute

// The local cluster does not enforce network policies, and it has no Prometheus operator: the specs say what they look at instead.
var _ = Describe("The operator installed with", Label("overlays"), Serial, Ordered, ContinueOnFailure, func() {
	// The installation that the tests found, and the one that is there now. Each test replaces that of the last one, to save a rollout.
	var base, current installation

	change := func(ctx context.Context, to installation) {
		GinkgoHelper()
		from := current
		current = to // Even if this fails: what is there then has to be replaced, too.
		from.replaceWith(ctx, to)
	}
	installed := func(ctx context.Context, folder string) installation {
		GinkgoHelper()
		By("installing " + folder)
		change(ctx, render(ctx, folder))
		return current
	}

	// monitored installs the overlay with its certificate, and what it needs of the Prometheus operator.
	monitored := func(ctx context.Context) installation {
		GinkgoHelper()
		crd := []string{"--filename=" + filepath.Join("testdata", "prometheus-operator.yaml")}
		DeferCleanup(func(ctx SpecContext) { w.kubectl(ctx, append([]string{"delete", "--ignore-not-found"}, crd...)...) }, NodeTimeout(time.Minute))
		w.kubectl(ctx, append([]string{"apply"}, crd...)...)
		Eventually(ctx, func() error {
			// It fails at once on a CRD that has no status yet.
			return exec.CommandContext(ctx, "kubectl", "wait", "--for=condition=Established", "--timeout=30s",
				"crd/servicemonitors.monitoring.coreos.com", "crd/prometheusrules.monitoring.coreos.com").Run()
		}).Should(Succeed(), "the API server must serve the kinds of the Prometheus operator")
		secret := metricsCertificate()
		Expect(cluster.Create(ctx, secret)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(cluster.Delete(ctx, secret)).To(Succeed()) }, NodeTimeout(time.Minute))

		// The ServiceMonitor can't be deleted when its CRD is gone.
		DeferCleanup(func(ctx SpecContext) { change(ctx, base) }, NodeTimeout(2*time.Minute))
		return installed(ctx, "config/overlays/monitoring")
	}

	BeforeAll(func(ctx SpecContext) {
		base = render(ctx, "config/default")
		current = base
	}, NodeTimeout(time.Minute))

	AfterAll(func(ctx SpecContext) { change(ctx, base) }, NodeTimeout(2*time.Minute))

	It("config/overlays/critical drains with the priority of the cluster's components", Label("slow"), SpecTimeout(installTimeout), func(ctx SpecContext) {
		installed(ctx, "config/overlays/critical")
		Expect(operatorPods(ctx)).To(HaveEach(HaveField("Spec.Priority", HaveValue(BeEquivalentTo(2000000000)))))
		w.drainUnder(ctx, nil)
	})

	It("config/overlays/ignore-annotations drains for policies, and not for annotations", Label("slow"), SpecTimeout(installTimeout), func(ctx SpecContext) {
		installed(ctx, "config/overlays/ignore-annotations")
		other := newWorld(ctx)
		other.create(ctx, service(), statefulSet(1, annotated(podTemplate())))
		w.drainUnder(ctx, nil)
		var policies drainv1alpha1.DrainPolicyList
		Expect(cluster.List(ctx, &policies, client.InNamespace(other.namespace))).To(Succeed())
		Expect(policies.Items).To(BeEmpty(), "the annotation is older than the whole drain")
	})

	It("config/overlays/without-logs drains, and records what the termination message tells", Label("slow"), SpecTimeout(installTimeout), func(ctx SpecContext) {
		installed(ctx, "config/overlays/without-logs")
		w.drainUnder(ctx, nil)
		var records drainv1alpha1.DrainRecordList
		Eventually(ctx, func(g Gomega) {
			g.Expect(cluster.List(ctx, &records, client.InNamespace(w.namespace))).To(Succeed())
			g.Expect(records.Items).To(HaveLen(1))
			g.Expect(records.Items[0].Result).To(Equal(drainv1alpha1.DrainResultSucceeded))
		}).Should(Succeed())
		Expect(records.Items[0].Containers).To(HaveExactElements(And(HaveField("Message", Not(BeEmpty())), HaveField("Log", BeEmpty()))))
	})

	It("config/overlays/ha drains on when the leader is killed half-way, and keeps one manager in a disruption", SpecTimeout(installTimeout), func(ctx SpecContext) {
		installed(ctx, "config/overlays/ha")
		managers := operatorPods(ctx)
		Expect(managers).To(HaveLen(2))
		Expect(managers[0].Spec.NodeName).NotTo(Equal(managers[1].Spec.NodeName), "the managers' nodes")

		w.drainUnder(ctx, func() {
			old := leader(ctx)
			killed := time.Now()
			// The kill leaves the lease as it is, and the deletion keeps the same Pod from taking it again.
			signal(processOf(old), syscall.SIGKILL)
			Expect(cluster.Delete(ctx, old, client.GracePeriodSeconds(0))).To(Succeed())
			Eventually(ctx, func() types.UID { return leader(ctx).UID }).ShouldNot(Equal(old.UID), "the other manager must take over")
			seen("another manager leads %.0f s after the leader was killed", time.Since(killed).Seconds())
		}, held())

		By("evicting both managers")
		var budget policyv1.PodDisruptionBudget
		Eventually(ctx, func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &budget)).To(Succeed())
			g.Expect(budget.Status.CurrentHealthy).To(BeEquivalentTo(2))
			g.Expect(budget.Status.DisruptionsAllowed).To(BeEquivalentTo(1))
		}).Should(Succeed(), "both managers must be healthy")
		managers = operatorPods(ctx)
		evict := func(pod *corev1.Pod) error {
			return cluster.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{})
		}
		Expect(evict(&managers[0])).To(Succeed())
		Expect(evict(&managers[1])).To(MatchError(apierrors.IsTooManyRequests, "too many requests"))
	})

	It("config/overlays/monitoring drains, and serves metrics with the certificate that its ServiceMonitor trusts", SpecTimeout(installTimeout), func(ctx SpecContext) {
		overlay := monitored(ctx)
		w.drainUnder(ctx, nil)
		metrics := w.scrape(ctx, overlay.find("ServiceMonitor", "drain-operator-controller-manager-metrics"))
		Expect(metrics).To(ContainSubstring(`controller_runtime_reconcile_total{controller="drainpolicy",result="success"}`))
		Expect(metrics).To(ContainSubstring(fmt.Sprintf(`drain_operator_claims_deleted_total{namespace=%q,policy=%q} 1`, w.namespace, storeName)))
	})

	It("config/overlays/monitoring has alerts that fire in a real Prometheus, and a dashboard whose panels all show something", Label("slow", "monitoring"), SpecTimeout(10*time.Minute), func(ctx SpecContext) {
		w.watchDrains(ctx, monitored(ctx))
	})

	// The local cluster's network does not enforce the policies.
	It("config/overlays/restricted drains, has network policies that allow what the manager uses, and refuses other Pods", Label("slow"), SpecTimeout(installTimeout), func(ctx SpecContext) {
		installed(ctx, "config/overlays/restricted")
		w.drainUnder(ctx, nil)

		var policy networkingv1.NetworkPolicy
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &policy)).To(Succeed())
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		Expect(err).NotTo(HaveOccurred())
		for _, pod := range operatorPods(ctx) {
			Expect(selector.Matches(labels.Set(pod.Labels))).To(BeTrue(), "the policy must select Pod %s", pod.Name)
		}
		var allowed []int
		for _, rule := range policy.Spec.Egress {
			for _, port := range rule.Ports {
				allowed = append(allowed, port.Port.IntValue())
			}
		}
		slices, err := clientset.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=kubernetes"})
		Expect(err).NotTo(HaveOccurred())
		Expect(slices.Items).NotTo(BeEmpty())
		for _, slice := range slices.Items {
			for _, port := range slice.Ports {
				Expect(allowed).To(ContainElement(BeEquivalentTo(*port.Port)), "the API server's port")
			}
		}

		privileged := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "privileged", Namespace: operatorNamespace},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "main", Image: storeImage, SecurityContext: &corev1.SecurityContext{Privileged: new(true)},
			}}},
		}
		Expect(cluster.Create(ctx, privileged, client.DryRunAll)).To(MatchError(ContainSubstring(`violates PodSecurity "restricted`)))
	})

	It("the kustomization for two namespaces in docs/install.md drains in both, and has no rights in a third", SpecTimeout(installTimeout), func(ctx SpecContext) {
		second, third := newWorld(ctx), newWorld(ctx)
		names := strings.NewReplacer("team-a", w.namespace, "team-b", second.namespace, "../config/", "../../config/")
		installed(ctx, writeOverlay("my-operator", names))

		By("changing what the operator must not see")
		third.create(ctx, service(), statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
		third.expectReplicas(ctx, 2)
		third.scale(ctx, 1)
		w.drainUnder(ctx, nil)
		second.drainUnder(ctx, nil)
		Expect(third.policy(ctx, storeName).Status).To(Equal(drainv1alpha1.DrainPolicyStatus{ObservedGeneration: -1}), "nothing has written it")
		third.expectUntouched()
		second.checkHistory(ctx)
		for namespace, want := range map[string]bool{w.namespace: true, second.namespace: true, third.namespace: false, operatorNamespace: false} {
			for _, what := range []authorizationv1.ResourceAttributes{
				{Verb: "create", Resource: "pods"}, {Verb: "list", Resource: "pods"},
				{Verb: "delete", Resource: "persistentvolumeclaims"}, {Verb: "patch", Group: drainv1alpha1.GroupVersion.Group, Resource: "drainpolicies", Subresource: "status"},
			} {
				what.Namespace = namespace
				review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
					User: "system:serviceaccount:" + operatorNamespace + ":" + operatorDeployment, ResourceAttributes: &what,
				}}
				Expect(cluster.Create(ctx, review)).To(Succeed())
				Expect(review.Status.Allowed).To(Equal(want), "%s %s in namespace %s", what.Verb, what.Resource, namespace)
			}
		}

		By("comparing it with config/overlays/namespaced, which is the same for one namespace")
		one := strings.NewReplacer("team-a,team-b", "default", "- team-b\n", "", "team-a", "default", "team-b", "default", "../config/", "../../config/")
		Expect(render(ctx, writeOverlay("my-operator", one))).To(Equal(render(ctx, "config/overlays/namespaced")))
	})
})

// writeOverlay writes the kustomization that docs/install.md shows under that name into a folder of dist/, and returns the folder's path from the
// top of the repository. kustomize takes bases by relative path only.
func writeOverlay(name string, change *strings.Replacer) string {
	GinkgoHelper()
	dist := filepath.Join(top, "dist")
	Expect(os.MkdirAll(dist, 0o755)).To(Succeed())
	folder, err := os.MkdirTemp(dist, "test-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(os.RemoveAll(folder)).To(Succeed()) })
	written := 0
	for path, content := range pageFiles("install.md") {
		if path, ok := strings.CutPrefix(path, name+"/"); ok {
			path = filepath.Join(folder, change.Replace(path))
			Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
			Expect(os.WriteFile(path, []byte(change.Replace(content)), 0o600)).To(Succeed())
			written++
		}
	}
	Expect(written).To(Equal(3), "files of %s in docs/install.md", name)
	return filepath.Join("dist", filepath.Base(folder))
}

// metricsCertificate is a Secret with a certificate for the Service of the metrics, and the CA that signed it.
func metricsCertificate() *corev1.Secret {
	GinkgoHelper()
	sign := func(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		Expect(err).NotTo(HaveOccurred())
		if parent == nil {
			parent, parentKey = template, key
		}
		template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
		Expect(err).NotTo(HaveOccurred())
		signed, err := x509.ParseCertificate(der)
		Expect(err).NotTo(HaveOccurred())
		return signed, key
	}
	ca, caKey := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	server, key := sign(&x509.Certificate{DNSNames: []string{"drain-operator-controller-manager-metrics.drain-operator-system.svc"}}, ca, caKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	Expect(err).NotTo(HaveOccurred())
	block := func(kind string, content []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "drain-operator-metrics-certificate"},
		Type:       corev1.SecretTypeTLS,
		Data: map[string][]byte{
			"ca.crt": block("CERTIFICATE", ca.Raw), corev1.TLSCertKey: block("CERTIFICATE", server.Raw), corev1.TLSPrivateKeyKey: block("PRIVATE KEY", keyDER),
		},
	}
}

// serviceMonitor is what a scrape needs of a ServiceMonitor.
type serviceMonitor struct {
	Spec struct {
		Selector  metav1.LabelSelector
		Endpoints []struct {
			Port, Path, Scheme string
			TLSConfig          struct {
				ServerName         string
				InsecureSkipVerify bool
				CA                 struct{ Secret corev1.SecretKeySelector }
			}
		}
	}
}

// target is how a Prometheus that the Prometheus operator configures reaches the metrics: with the token of an account that is bound to the
// role metrics-reader, and with the TLS settings of the ServiceMonitor.
type target struct {
	namespace, service, port, scheme, path, serverName, token string
	// ca is what signed the certificate.
	ca []byte
}

// target returns the target that a ServiceMonitor describes.
func (w *world) target(ctx context.Context, monitor *unstructured.Unstructured) target {
	GinkgoHelper()
	var m serviceMonitor
	text, err := monitor.MarshalJSON()
	Expect(err).NotTo(HaveOccurred())
	Expect(json.Unmarshal(text, &m)).To(Succeed())
	Expect(m.Spec.Endpoints).To(HaveLen(1))
	endpoint := m.Spec.Endpoints[0]
	Expect(endpoint.TLSConfig.InsecureSkipVerify).To(BeFalse())
	selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
	Expect(err).NotTo(HaveOccurred())
	var services corev1.ServiceList
	Expect(cluster.List(ctx, &services, client.InNamespace(monitor.GetNamespace()), client.MatchingLabelsSelector{Selector: selector})).To(Succeed())
	Expect(services.Items).To(HaveLen(1), "Services that the ServiceMonitor selects")
	Expect(services.Items[0].Spec.Ports).To(ContainElement(HaveField("Name", endpoint.Port)))

	var secret corev1.Secret
	ca := endpoint.TLSConfig.CA.Secret
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: monitor.GetNamespace(), Name: ca.Name}, &secret)).To(Succeed())

	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "drain-operator-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.namespace, Name: "default"}},
	}
	Expect(cluster.Create(ctx, binding)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(cluster.Delete(ctx, binding)).To(Succeed()) }, NodeTimeout(time.Minute))
	token, err := clientset.CoreV1().ServiceAccounts(w.namespace).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	return target{
		namespace: monitor.GetNamespace(), service: services.Items[0].Name, port: endpoint.Port, scheme: endpoint.Scheme, path: endpoint.Path,
		serverName: endpoint.TLSConfig.ServerName, token: token.Status.Token, ca: secret.Data[ca.Key],
	}
}

// scrape reads the metrics as a Prometheus would.
func (w *world) scrape(ctx context.Context, monitor *unstructured.Unstructured) string {
	GinkgoHelper()
	from := w.target(ctx, monitor)
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM(from.ca)).To(BeTrue())
	address := forward(ctx, from.namespace, "service/"+from.service, from.port)
	scraper := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: from.serverName, MinVersion: tls.VersionTLS12}}}
	get := func(token string) (int, string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.scheme+"://"+address+from.path, nil)
		if err != nil {
			return 0, "", err
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := scraper.Do(request)
		if err != nil {
			return 0, "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return response.StatusCode, string(body), err
	}
	var metrics string
	Eventually(ctx, func(g Gomega) {
		code, body, err := get(from.token)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(code).To(Equal(http.StatusOK), body)
		metrics = body
	}).Should(Succeed(), "the API server needs a moment to know of the binding")
	code, _, err := get("")
	Expect(err).NotTo(HaveOccurred())
	Expect(code).To(Equal(http.StatusUnauthorized))
	return metrics
}

// forward forwards a port until the test ends, and returns its address on this machine.
func forward(ctx context.Context, namespace, target, port string) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, "kubectl", "--namespace="+namespace, "port-forward", target, ":"+port)
	output, err := command.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		_ = command.Process.Kill() // It may have ended with the test's context.
		_ = command.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	Expect(err).NotTo(HaveOccurred())
	found := regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+) ->`).FindStringSubmatch(line)
	Expect(found).To(HaveLen(2), line)
	return found[1]
}
