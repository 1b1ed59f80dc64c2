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

package bare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

// workers is the number of orphans that are worked on at once.
const workers = 64

// Client drains orphans with the fewest writes.
type Client struct {
	client   kubernetes.Interface
	template corev1.PodTemplateSpec
	owners   map[string]metav1.OwnerReference
	drains   map[string]*drain
	queue    workqueue.TypedRateLimitingInterface[string]
	factory  informers.SharedInformerFactory
	stores   struct{ pods, jobs, claims cache.Store }

	mu  sync.Mutex
	err error
}

// step says how far a drain has come.
type step int

const (
	awaitsPod step = iota
	awaitsJob
	awaitsDrain
	awaitsJobGone
	awaitsClaimGone
	over
)

type drain struct {
	orphan workload.Orphan
	step   step
	lock   *corev1.Pod
	job    *batchv1.Job
}

// Start fills the client's caches. It drains the orphans as soon as their pods are gone, until the context is canceled.
func Start(ctx context.Context, config *rest.Config, orphans []workload.Orphan) (*Client, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "bare-client"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	template, err := workload.DrainTemplate()
	if err != nil {
		return nil, err
	}
	c := &Client{
		client: client, template: template, owners: map[string]metav1.OwnerReference{}, drains: map[string]*drain{},
		queue:   workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemFastSlowRateLimiter[string](20*time.Millisecond, time.Second, 50)),
		factory: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(stripManagedFields)),
	}
	for _, orphan := range orphans {
		c.drains[orphan.Namespace+"/"+orphan.Pod()] = &drain{orphan: orphan}
		if err := c.own(ctx, orphan.Namespace); err != nil {
			return nil, err
		}
	}
	err = c.watch(ctx)
	return c, err
}

// Err returns the first error that a repetition could not help.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// own creates the object that owns the locks and Jobs of a namespace, as a policy does the operator's.
func (c *Client) own(ctx context.Context, namespace string) error {
	if _, has := c.owners[namespace]; has {
		return nil
	}
	owner, err := c.client.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "bare-"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	c.owners[namespace] = *metav1.NewControllerRef(owner, corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	return nil
}

func (c *Client) watch(ctx context.Context) error {
	pods, jobs, claims := c.factory.Core().V1().Pods().Informer(), c.factory.Batch().V1().Jobs().Informer(), c.factory.Core().V1().PersistentVolumeClaims().Informer()
	c.stores.pods, c.stores.jobs, c.stores.claims = pods.GetStore(), jobs.GetStore(), claims.GetStore()
	byPod := map[string]string{} // The keys of the orphans by those of other objects of theirs.
	for k, d := range c.drains {
		byPod[k] = k
		byPod[d.orphan.Namespace+"/"+d.orphan.Claim()] = k
		byPod[d.orphan.Namespace+"/"+d.orphan.Pod()+"-drain"] = k
	}
	for _, informer := range []cache.SharedIndexInformer{pods, jobs, claims} {
		enqueue := func(object any) {
			if k, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil && byPod[k] != "" {
				c.queue.Add(byPod[k])
			}
		}
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: enqueue, UpdateFunc: func(_, object any) { enqueue(object) }, DeleteFunc: enqueue,
		}); err != nil {
			return err
		}
	}
	c.factory.Start(ctx.Done())
	for kind, ok := range c.factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return fmt.Errorf("the cache of %v was not filled", kind)
		}
	}
	for range workers {
		go c.work(ctx)
	}
	go func() {
		<-ctx.Done()
		c.queue.ShutDown()
	}()
	return nil
}

func (c *Client) work(ctx context.Context) {
	for {
		k, shutdown := c.queue.Get()
		if shutdown {
			return
		}
		switch err := c.advance(ctx, c.drains[k]); {
		case err == nil:
			c.queue.Forget(k)
		case apierrors.IsAlreadyExists(err), apierrors.IsConflict(err), apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err):
			c.queue.AddRateLimited(k)
		case ctx.Err() == nil:
			c.mu.Lock()
			c.err = errors.Join(c.err, fmt.Errorf("draining %s: %w", k, err))
			c.mu.Unlock()
		}
		c.queue.Done(k)
	}
}

// advance takes the steps of a drain whose time has come.
func (c *Client) advance(ctx context.Context, d *drain) error {
	o := d.orphan
	pods, jobs, claims := c.client.CoreV1().Pods(o.Namespace), c.client.BatchV1().Jobs(o.Namespace), c.client.CoreV1().PersistentVolumeClaims(o.Namespace)
	owner := c.owners[o.Namespace]
	var err error
	switch d.step {
	case awaitsPod:
		if has(c.stores.pods, o.Namespace, o.Pod()) {
			return nil
		}
		if d.lock, err = pods.Create(ctx, lock(o, owner), metav1.CreateOptions{}); err != nil {
			return err
		}
		d.step = awaitsJob
		fallthrough
	case awaitsJob:
		if d.job, err = jobs.Create(ctx, job(o, &c.template, owner, d.lock), metav1.CreateOptions{}); err != nil {
			return err
		}
		d.step = awaitsDrain
	case awaitsDrain:
		if !c.complete(d) {
			return nil
		}
		if err := c.mark(ctx, d); err != nil {
			return err
		}
		if err := jobs.Delete(ctx, d.job.Name, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)}); err != nil {
			return err
		}
		d.step = awaitsJobGone
	case awaitsJobGone:
		if has(c.stores.jobs, o.Namespace, d.job.Name) {
			return nil
		}
		if err := claims.Delete(ctx, o.Claim(), metav1.DeleteOptions{}); err != nil {
			return err
		}
		d.step = awaitsClaimGone
	case awaitsClaimGone:
		if has(c.stores.claims, o.Namespace, o.Claim()) {
			return nil
		}
		// A repetition after a conflict may find that the lock is gone.
		err := pods.Delete(ctx, o.Pod(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &d.lock.UID}})
		if err == nil {
			_, err = pods.Patch(ctx, o.Pod(), types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/finalizers/0"}]`), metav1.PatchOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		d.step = over
	case over:
	}
	return nil
}

func (c *Client) complete(d *drain) bool {
	object, exists, err := c.stores.jobs.GetByKey(d.job.Namespace + "/" + d.job.Name)
	if err != nil || !exists {
		return false
	}
	seen, ok := object.(*batchv1.Job)
	if !ok {
		return false
	}
	for _, condition := range seen.Status.Conditions {
		if condition.Type == batchv1.JobComplete && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func (c *Client) mark(ctx context.Context, d *drain) error {
	object, exists, err := c.stores.claims.GetByKey(d.orphan.Namespace + "/" + d.orphan.Claim())
	if err != nil || !exists {
		return fmt.Errorf("claim %s is not in the cache", d.orphan.Claim())
	}
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !ok {
		return fmt.Errorf("%T is not a claim", object)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{drainv1alpha1.DrainedAnnotation: mark(claim, d.lock, d.job)},
	}})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

func has(store cache.Store, namespace, name string) bool {
	_, exists, err := store.GetByKey(namespace + "/" + name)
	return err == nil && exists
}

// stripManagedFields keeps of an object what a controller keeps.
func stripManagedFields(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}
