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
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/compatibility"
)

const (
	crdName   = "drainpolicies.drain.statefulset.dev"
	crdAdvice = "apply the CustomResourceDefinition " + crdName + " of this version (config/crd, which install.yaml includes)"

	// namespaceFile tells a container the namespace of its Pod.
	namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

// namespaceDelay is the time between two looks for namespaces that can't be read.
var namespaceDelay = time.Minute

// cluster asks the API server, before the controllers start, for what they need. Nothing of it is asked again later, but for
// namespaces that can't be read.
type cluster struct {
	options *options
	client  client.Client
	paths   rest.Interface

	// namespaces are those of --namespaces that can be read, and unreadable the others. Both are set by the requirement.
	namespaces, unreadable []string
}

func newCluster(config *rest.Config, o *options) (*cluster, error) {
	if o.electionNamespace == "" {
		data, err := os.ReadFile(namespaceFile)
		if err != nil && o.leaderElect {
			return nil, fmt.Errorf("--leader-elect without --leader-elect-resource-namespace works only in a Pod: %w", err)
		}
		o.electionNamespace = strings.TrimSpace(string(data))
	}
	discovery, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("setting up the client: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme()})
	if err != nil {
		return nil, fmt.Errorf("setting up the client: %w", err)
	}
	return &cluster{options: o, client: c, paths: discovery.RESTClient()}, nil
}

// requirements returns what must be met before the controllers can start, in the order to ask in.
func (c *cluster) requirements() []requirement {
	return []requirement{
		{check: serverCheck, what: "the API server", met: c.server},
		{check: crdCheck, what: "the CustomResourceDefinition", met: c.crd},
		{check: namespacesCheck, what: "a namespace to watch", met: c.watchable},
		{check: leaseCheck, what: "the Lease to be usable", met: c.lease},
	}
}

// get returns a request that is sent once: what it is for is repeated, and reported first.
func (c *cluster) get(path string) *rest.Request {
	return c.paths.Get().AbsPath(path).MaxRetries(0)
}

func (c *cluster) server(ctx context.Context) error {
	body, err := c.get("/version").Do(ctx).Raw()
	if err != nil {
		return fmt.Errorf("asking for its version: %w", err)
	}
	var info apiversion.Info
	if err := json.Unmarshal(body, &info); err != nil {
		return fmt.Errorf("reading its version: %w", err)
	}
	switch err := compatibility.CheckServer(&info); {
	case errors.Is(err, compatibility.ErrTooOld):
		return err
	case err != nil:
		ctrl.Log.Info("Cannot tell whether the API server is new enough. Continuing", "why", err.Error(), "oldest", compatibility.MinimumVersion)
	default:
		ctrl.Log.Info("Found the API server", "version", info.GitVersion)
	}
	return nil
}

func (c *cluster) crd(ctx context.Context) error {
	var served metav1.APIResourceList
	err := c.get("/apis/" + drainv1alpha1.GroupVersion.String()).Do(ctx).Into(&served)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("asking for the resources of %s: %w", drainv1alpha1.GroupVersion, err)
	}
	if !slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Kind == "DrainPolicy" }) {
		return fmt.Errorf("the API server doesn't serve DrainPolicy in %s: %s", drainv1alpha1.GroupVersion, crdAdvice)
	}
	// The API server publishes this a moment after it serves the CRD.
	openapi, err := c.get(compatibility.OpenAPIPath()).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return fmt.Errorf("asking for the schema of DrainPolicy: %w", err)
	}
	missing, err := compatibility.MissingFields(openapi)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		shown := strings.Join(missing[:min(len(missing), 5)], ", ")
		return fmt.Errorf("the CustomResourceDefinition lacks %d of the fields that this version needs (%s): %s", len(missing), shown, crdAdvice)
	}
	return nil
}

// watchable sorts --namespaces by whether they can be read. One that can't would keep the caches of the others from filling.
func (c *cluster) watchable(ctx context.Context) error {
	c.namespaces, c.unreadable = nil, nil
	for _, namespace := range c.options.namespaces {
		switch err := c.read(ctx, namespace); {
		case apierrors.IsForbidden(err):
			c.unreadable = append(c.unreadable, namespace)
			ctrl.Log.V(1).Info("Cannot read a namespace", "namespace", namespace, "why", err.Error())
		case err != nil:
			return fmt.Errorf("reading namespace %q: %w", namespace, err)
		default:
			c.namespaces = append(c.namespaces, namespace)
		}
	}
	const advice = "create what doesn't exist, and give the operator a Role and a RoleBinding in each (config/overlays/namespaced)"
	if len(c.options.namespaces) > 0 && len(c.namespaces) == 0 {
		return fmt.Errorf("the operator can't read any namespace of --namespaces=%s: %s", c.options.namespaceList, advice)
	}
	if len(c.unreadable) > 0 {
		ctrl.Log.Info("Cannot read some namespaces of --namespaces. Watching the others", "namespaces", c.unreadable, "fix", advice)
	}
	for _, namespace := range c.namespaces {
		if c.absent(ctx, namespace) {
			ctrl.Log.Info("A namespace of --namespaces doesn't exist. It is watched as soon as it is created", "namespace", namespace)
		}
	}
	return nil
}

// read returns an error unless the operator can list in the namespace all that it watches.
func (c *cluster) read(ctx context.Context, namespace string) error {
	for _, list := range watched() {
		if err := c.client.List(ctx, list, client.InNamespace(namespace), client.Limit(1)); err != nil {
			return err
		}
	}
	return nil
}

// absent reports whether the API server says that a namespace doesn't exist. The operator has no right to read namespaces, and a list in
// one that doesn't exist is empty. But an object can't be created there, and that is found out before whether the object is valid: this
// one isn't, and is never created.
func (c *cluster) absent(ctx context.Context, namespace string) bool {
	err := c.client.Create(ctx, &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "namespace-check"}},
		client.DryRunAll)
	return apierrors.IsNotFound(err)
}

// awaitNamespaces ends the manager with an error when a namespace can be read that it doesn't watch, because caches can't get a further
// namespace while they run. The kubelet starts the manager again.
func (c *cluster) awaitNamespaces(ctx context.Context) error {
	if len(c.unreadable) == 0 {
		return nil
	}
	ticker := time.NewTicker(namespaceDelay)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, namespace := range c.unreadable {
			if err := c.read(ctx, namespace); err == nil {
				return fmt.Errorf("namespace %q can be read now: start again to watch it", namespace)
			}
		}
	}
}

// lease returns an error if the Lease of the leader can't be read or written. The election itself would try every two seconds.
func (c *cluster) lease(ctx context.Context) error {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: c.options.electionNamespace, Name: leaseName}}
	if lease.Namespace == "" {
		return nil // Nothing to look for: the manager isn't in a cluster, and takes no part in the election.
	}
	err := c.client.Get(ctx, client.ObjectKeyFromObject(lease), lease)
	if err == nil && held(lease) {
		message := "Another manager holds the Lease. Standing by"
		if !c.options.leaderElect {
			message = "Another manager holds the Lease, and this one works without it. This is safe, and needs more requests"
		}
		ctrl.Log.Info(message, "holder", *lease.Spec.HolderIdentity)
	}
	if !c.options.leaderElect {
		return nil
	}
	switch {
	case apierrors.IsNotFound(err):
		err = c.client.Create(ctx, lease, client.DryRunAll)
	case err == nil:
		err = c.client.Update(ctx, lease, client.DryRunAll)
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		switch status.Status().Code {
		case http.StatusForbidden:
			return fmt.Errorf("%w: grant the right with the Role leader-election-role of this version (config/rbac), or set --leader-elect=false", err)
		case http.StatusNotFound:
			return fmt.Errorf("%w: create the namespace, or set --leader-elect-resource-namespace", err)
		case http.StatusConflict:
			return nil // Another manager has just written it.
		}
	}
	return err
}

// held reports whether a manager holds the lease.
func held(lease *coordinationv1.Lease) bool {
	if ptr.Deref(lease.Spec.HolderIdentity, "") == "" || lease.Spec.RenewTime == nil {
		return false
	}
	ends := lease.Spec.RenewTime.Add(time.Duration(ptr.Deref(lease.Spec.LeaseDurationSeconds, 0)) * time.Second)
	return time.Now().Before(ends)
}
