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
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const claimProtection = "kubernetes.io/pvc-protection"

// startStandIns plays two controllers of the kube-controller-manager that the operator relies
// on: the garbage collector, which lets a Job that is deleted in the foreground go once its
// pods are gone, and claim protection, which lets a claim go once no pod refers to it.
func startStandIns(ctx context.Context, config *rest.Config) {
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	Expect(err).NotTo(HaveOccurred())
	Expect(ctrl.NewControllerManagedBy(mgr).Named("garbage-collector").
		For(&batchv1.Job{}).Complete(reconcile.Func(collectJob))).To(Succeed())
	Expect(ctrl.NewControllerManagedBy(mgr).Named("claim-protection").
		For(&corev1.PersistentVolumeClaim{}).Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(claimsOfPod)).
		Complete(reconcile.Func(protectClaim))).To(Succeed())
	managers.Go(func() {
		defer GinkgoRecover()
		Expect(mgr.Start(ctx)).To(Succeed())
	})
}

func collectJob(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var job batchv1.Job
	if err := k8s.Get(ctx, request.NamespacedName, &job); err != nil || job.DeletionTimestamp == nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var pods corev1.PodList
	if err := k8s.List(ctx, &pods, client.InNamespace(job.Namespace)); err != nil {
		return ctrl.Result{}, err
	}
	for i := range pods.Items {
		if metav1.IsControlledBy(&pods.Items[i], &job) {
			if err := k8s.Delete(ctx, &pods.Items[i], client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
				return ctrl.Result{}, err
			}
		}
	}
	before := job.DeepCopy()
	controllerutil.RemoveFinalizer(&job, metav1.FinalizerDeleteDependents)
	return ctrl.Result{}, client.IgnoreNotFound(k8s.Patch(ctx, &job, client.MergeFrom(before)))
}

// claimsOfPod returns the claims that a pod refers to, which may go when it does.
func claimsOfPod(_ context.Context, pod client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, volume := range pod.(*corev1.Pod).Spec.Volumes {
		if source := volume.PersistentVolumeClaim; source != nil {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: pod.GetNamespace(), Name: source.ClaimName}})
		}
	}
	return requests
}

func protectClaim(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var claim corev1.PersistentVolumeClaim
	if err := k8s.Get(ctx, request.NamespacedName, &claim); err != nil || claim.DeletionTimestamp == nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var pods corev1.PodList
	if err := k8s.List(ctx, &pods, client.InNamespace(claim.Namespace)); err != nil {
		return ctrl.Result{}, err
	}
	for i := range pods.Items {
		if slices.ContainsFunc(pods.Items[i].Spec.Volumes, func(v corev1.Volume) bool {
			return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim.Name
		}) {
			return ctrl.Result{}, nil
		}
	}
	before := claim.DeepCopy()
	controllerutil.RemoveFinalizer(&claim, claimProtection)
	return ctrl.Result{}, client.IgnoreNotFound(k8s.Patch(ctx, &claim, client.MergeFrom(before)))
}
