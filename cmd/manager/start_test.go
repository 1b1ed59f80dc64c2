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

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	ok       = http.StatusOK
	notReady = http.StatusServiceUnavailable
)

func newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{Scheme: scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// expectWork creates a policy and waits until the operator has reported on it.
func expectWork(t *testing.T, c client.Client, namespace, name string) {
	t.Helper()
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: drainv1alpha1.DrainPolicySpec{
		StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: name},
		Template:       corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "drain", Image: "drain"}}}},
	}}
	if err := c.Create(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	await(t, fmt.Sprintf("the operator reports on policy %s/%s", namespace, name), func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(policy), policy); err != nil {
			return false, err
		}
		return meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionReady) != nil, nil
	})
}

func createAll(t *testing.T, c client.Client, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// crdWithout writes the CRD without a field of the spec, as an older release may have it, and returns its folder.
func crdWithout(t *testing.T, field string) string {
	t.Helper()
	const name = "drain.statefulset.dev_drainpolicies.yaml"
	data, err := os.ReadFile(filepath.Join(crds()[0], name))
	if err != nil {
		t.Fatal(err)
	}
	// From the field to the next one, ten columns in.
	older := regexp.MustCompile(`(?m)^ {14}`+field+`:\n(?: {15,}.*\n)+`).ReplaceAll(data, nil)
	if len(older) == len(data) {
		t.Fatalf("the CRD has no field %s", field)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), older, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestTheManagerWaitsForItsCRD starts without one, then with an older one, and takes it away later.
func TestTheManagerWaitsForItsCRD(t *testing.T) {
	environment, err := startAPIServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stopping kube-apiserver and etcd: %v", err)
		}
	})
	c := newClient(t, environment.Config)
	f := newFront(t, environment.Config)
	manager := launch(t, f)
	manager.awaitLog("Waiting for the CustomResourceDefinition", "doesn't serve DrainPolicy", "apply the CustomResourceDefinition "+crdName)
	manager.awaitProbe("/readyz/server", ok)
	manager.expectProbe("/healthz", ok)
	manager.expectProbe("/readyz", notReady)
	manager.expectProbe("/readyz/crd", notReady)

	install := func(folder string) {
		t.Helper()
		if _, err := envtest.InstallCRDs(environment.Config, envtest.CRDInstallOptions{Paths: []string{folder}}); err != nil {
			t.Fatal(err)
		}
	}
	install(crdWithout(t, "minOrphanedSeconds"))
	manager.awaitLog("lacks 1 of the fields", "(spec.minOrphanedSeconds)", crdName)
	manager.expectProbe("/readyz/crd", notReady)
	asked := f.count(" /apis/drain.statefulset.dev/v1alpha1$")
	if lines := len(manager.lines("doesn't serve DrainPolicy")); asked > 5 && lines > 1 {
		t.Errorf("the manager said %d times that there is no CRD, and asked %d times", lines, asked)
	}

	install(crds()[0])
	manager.awaitProbe("/readyz", ok)
	expectWork(t, c, "default", "first")

	if err := envtest.UninstallCRDs(environment.Config, envtest.CRDInstallOptions{Paths: crds()}); err != nil {
		t.Fatal(err)
	}
	release(t, c, "first")
	manager.awaitProbe("/readyz/caches", notReady)
	manager.awaitLog("Waiting until the API server serves DrainPolicy", crdName)
	manager.expectProbe("/healthz", ok)
	// The API server takes the CRD away when the last policy is gone.
	await(t, "the CRD can be installed again", func(context.Context) (bool, error) {
		_, err := envtest.InstallCRDs(environment.Config, envtest.CRDInstallOptions{Paths: crds()})
		return err == nil, nil
	})
	manager.awaitProbe("/readyz", ok)
	await(t, "the API server serves policies again", func(ctx context.Context) (bool, error) {
		return c.List(ctx, &drainv1alpha1.DrainPolicyList{}) == nil, nil
	})
	expectWork(t, c, "default", "second")
	manager.stop()
}

// release removes the finalizers of a policy whose CRD is being deleted, if it still exists.
func release(t *testing.T, c client.Client, name string) {
	t.Helper()
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	err := c.Patch(t.Context(), policy, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsMethodNotSupported(err) {
		t.Fatal(err)
	}
}

// TestAnAPIServerThatIsTooOldIsRefused has a server in place of the API server that tells only its version.
func TestAnAPIServerThatIsTooOldIsRefused(t *testing.T) {
	f := serveFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, `{"major": "1", "minor": "32+", "gitVersion": "v1.32.4-gke.100"}`)
	}))
	manager := launch(t, f)
	manager.awaitEnd(exitFailed)
	if lines := manager.lines("the Kubernetes API server is too old: it is 1.32, and drain-operator requires 1.33 or newer"); len(lines) != 1 {
		t.Errorf("the log says %d times that the API server is too old, want once", len(lines))
	}
	if n := f.count("^(POST|PUT|PATCH|DELETE) "); n > 0 {
		t.Errorf("the manager sent %d writes to an API server that is too old", n)
	}
}

// TestTheAPIServerGoesAway cuts managers off from it.
func TestTheAPIServerGoesAway(t *testing.T) {
	environment := sharedAPIServer(t)
	c := newClient(t, environment.Config)
	f := newFront(t, environment.Config)

	t.Run("at the start: the manager waits, alive and not ready", func(t *testing.T) {
		f.cut()
		manager := launch(t, f)
		manager.awaitLog("Waiting for the API server", "asking for its version", "EOF")
		manager.expectProbe("/healthz", ok)
		manager.expectProbe("/readyz/server", notReady)
		manager.stop()

		manager = launch(t, f)
		manager.awaitLog("Waiting for the API server", "asking for its version", "EOF")
		f.heal()
		manager.awaitProbe("/readyz", ok)
		expectWork(t, c, "default", "at-the-start")
		manager.stop()
	})
	t.Run("later: the manager stays alive and ready, and goes on", func(t *testing.T) {
		manager := launch(t, f)
		manager.awaitProbe("/readyz", ok)
		f.cut()
		t.Cleanup(f.heal)
		f.awaitCut()
		manager.expectProbe("/healthz", ok)
		manager.expectProbe("/readyz", ok)
		f.heal()
		expectWork(t, c, "default", "later")
		manager.stop()
	})
	t.Run("later, with a lease: the manager ends once, and the next one waits", func(t *testing.T) {
		elect := []string{"--leader-elect", "--leader-elect-resource-namespace=default"}
		manager := launch(t, f, elect...)
		manager.awaitLog("Successfully acquired lease")
		f.cut()
		f.awaitCut()
		manager.expectProbe("/healthz", ok)
		manager.awaitEnd(exitFailed)
		if len(manager.lines("leader election lost")) == 0 {
			t.Error("the log doesn't say that the lease was lost")
		}
		manager = launch(t, f, elect...)
		manager.awaitLog("Waiting for the API server", "asking for its version", "EOF")
		manager.expectProbe("/healthz", ok)
		f.heal()
		manager.awaitProbe("/readyz", ok)
		manager.stop()
	})
}

// TestStandingBy runs three managers at once: one that holds the lease, one that waits for it, and one that doesn't take part.
func TestStandingBy(t *testing.T) {
	environment := sharedAPIServer(t)
	c := newClient(t, environment.Config)
	f := newFront(t, environment.Config)
	elect := []string{"--leader-elect", "--leader-elect-resource-namespace=default"}
	leader := launch(t, f, elect...)
	leader.awaitLog("Successfully acquired lease")
	leader.awaitProbe("/readyz", ok)

	standby := launch(t, f, elect...)
	standby.awaitLog("Another manager holds the Lease. Standing by", "holder")
	standby.awaitProbe("/readyz", ok)
	if len(standby.lines("Successfully acquired lease")) > 0 {
		t.Error("the manager that stands by has the lease")
	}

	// At rest nothing is asked for but the lease, however often the probes ask.
	rest := func() int {
		_, others := f.split(" /apis/coordination.k8s.io/v1/namespaces/default/leases")
		return others
	}
	expectWork(t, c, "default", "work")
	await(t, "the events are written", func(context.Context) (bool, error) { return f.count("POST .*/events$") > 0, nil })
	before, leases := rest(), f.count("leases")
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		leader.expectProbe("/readyz", ok)
		standby.expectProbe("/readyz", ok)
	}
	if after := rest(); after != before {
		t.Errorf("at rest, the managers sent requests: %q", f.last(20))
	}
	if f.count("leases") == leases {
		t.Error("nothing was written down about the lease, so the requests at rest say nothing")
	}

	third := launch(t, f, "--leader-elect-resource-namespace=default")
	third.awaitLog("Another manager holds the Lease, and this one works without it. This is safe", "holder")
	third.awaitProbe("/readyz", ok)
	third.stop()

	leader.stop()
	standby.awaitLog("Successfully acquired lease")
	expectWork(t, c, "default", "taken-over")
	standby.stop()
}

// managerRules are those of config/rbac/role.yaml, but for a resource.
func managerRules(t *testing.T, without string) []rbacv1.PolicyRule {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.Unmarshal(data, &role); err != nil {
		t.Fatal(err)
	}
	var rules []rbacv1.PolicyRule
	for _, rule := range role.Rules {
		if rule.Resources[0] != without {
			rules = append(rules, rule)
		}
	}
	return rules
}

// user returns the configuration of a user without rights, and a front for them.
func user(t *testing.T, environment *envtest.Environment, name string) *front {
	t.Helper()
	user, err := environment.AddUser(envtest.User{Name: name, Groups: []string{"system:authenticated"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return newFront(t, user.Config())
}

func subjects(name string) []rbacv1.Subject {
	return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}}
}

func TestTheManagerWaitsForItsRights(t *testing.T) {
	environment := sharedAPIServer(t)
	c := newClient(t, environment.Config)
	f := user(t, environment, "operator")
	createAll(t, c, namespace("lease"))
	elect := []string{"--leader-elect", "--leader-elect-resource-namespace=lease"}
	manager := launch(t, f, elect...)
	manager.awaitLog("Waiting for the Lease to be usable", `cannot get resource \"leases\"`, "leader-election-role")
	manager.expectProbe("/healthz", ok)
	manager.expectProbe("/readyz/lease", notReady)

	lease := func(verbs ...string) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "lease", Name: "operator"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: verbs},
		}}
	}
	createAll(t, c, lease("get"), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "lease", Name: "operator"},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "operator"}, Subjects: subjects("operator")})
	manager.awaitLog("Waiting for the Lease to be usable", `cannot create resource \"leases\"`)
	if err := c.Update(t.Context(), lease("get", "create", "update")); err != nil {
		t.Fatal(err)
	}

	const pods = "Waiting for the right to read Pod"
	manager.awaitLog(pods, `cannot list resource \"pods\"`, "config/rbac")
	manager.expectProbe("/healthz", ok)
	manager.expectProbe("/readyz/caches", notReady)
	manager.awaitProbe("/readyz/lease", ok)

	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "operator"}, Rules: managerRules(t, "pods")}
	createAll(t, c, role, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "operator"},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "operator"}, Subjects: subjects("operator")})
	// All kinds but one are read. Meanwhile the API server is asked at a calm pace, and the log says it once.
	await(t, "the API server was asked for pods again and again", func(context.Context) (bool, error) {
		return f.count(" /api/v1/pods$") >= 6, nil
	})
	if lines := manager.lines(pods); len(lines) != 1 {
		t.Errorf("the log says %d times that pods can't be read: %s", len(lines), lines)
	}
	manager.expectProbe("/readyz/caches", notReady)
	manager.stop() // While the caches fill.

	manager = launch(t, f, elect...)
	manager.awaitLog(pods)
	role.Rules = managerRules(t, "")
	if err := c.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	manager.awaitProbe("/readyz", ok)
	manager.awaitLog("Reading Pod again")
	expectWork(t, c, "default", "granted")
	manager.stop()
}

func TestNamespacesThatDoNotExist(t *testing.T) {
	environment := sharedAPIServer(t)
	c := newClient(t, environment.Config)

	t.Run("with rights in all namespaces: the manager says so, and watches them when they are created", func(t *testing.T) {
		manager := launch(t, newFront(t, environment.Config), "--namespaces=default,later")
		manager.awaitLog("A namespace of --namespaces doesn't exist", `"later"`)
		manager.awaitProbe("/readyz", ok)
		expectWork(t, c, "default", "first")
		createAll(t, c, namespace("later"))
		expectWork(t, c, "later", "first")
		if lines := manager.lines("doesn't exist"); len(lines) != 1 || strings.Contains(lines[0], `"default"`) {
			t.Errorf("the log says about namespaces that don't exist: %q", lines)
		}
		manager.stop()
	})
	t.Run("with a Role in each namespace: the manager watches the others, and ends when there is one more", func(t *testing.T) {
		role := func(namespace string) []client.Object {
			return []client.Object{
				&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "operator"}, Rules: managerRules(t, "")},
				&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "operator"},
					RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "operator"}, Subjects: subjects("tenant")},
			}
		}
		f := user(t, environment, "tenant")
		manager := launch(t, f, "--namespaces=default,tenant")
		manager.awaitLog("Waiting for a namespace to watch", "can't read any namespace of --namespaces=default,tenant", "config/overlays/namespaced")
		manager.expectProbe("/healthz", ok)
		manager.expectProbe("/readyz/namespaces", notReady)
		createAll(t, c, role("default")...)
		manager.awaitLog("Cannot read some namespaces of --namespaces. Watching the others", `["tenant"]`)
		manager.awaitProbe("/readyz", ok)
		expectWork(t, c, "default", "second")

		createAll(t, c, namespace("tenant"))
		createAll(t, c, role("tenant")...)
		manager.awaitEnd(exitFailed)
		if len(manager.lines(`namespace \"tenant\" can be read now: start again to watch it`)) == 0 {
			t.Error("the log doesn't say why the manager has ended")
		}
		manager = launch(t, f, "--namespaces=default,tenant")
		manager.awaitProbe("/readyz", ok)
		expectWork(t, c, "tenant", "second")
		manager.stop()
	})
}
