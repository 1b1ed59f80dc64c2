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

package simulation

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// mutation is what a webhook, or the LimitRanger, does to a drain's Job or pod when it is created.
type mutation int

const (
	// setTTL has the TTL controller delete the Job soon after it has finished.
	setTTL mutation = iota
	// setManagedBy gives the Job to a controller that doesn't exist, as a queueing system would if it did.
	setManagedBy
	// setReplacement has the Job controller make the next pod while the last one is still terminating.
	setReplacement
	// suspend has the Job wait for a queueing system, which lets it go when it sees fit.
	suspend
	// injectEndless puts a container into the pod that never ends by itself.
	injectEndless
	// injectProbe puts a liveness probe on the main container.
	injectProbe
	// injectSizeLimit adds a volume that the pod can outgrow.
	injectSizeLimit
	// limitStorage is what a LimitRange with a default limit of ephemeral storage does (mergePodResourceRequirements in
	// kubernetes/plugin/pkg/admission/limitranger). It looks at pods only.
	limitStorage
	// stripMount takes the mount of a claim off all containers.
	stripMount
	// setGraceless has the pod's object disappear as soon as the pod is deleted.
	setGraceless
	// stripGate lets the pod run at once.
	stripGate
	// unfinalizeLock and unlabelLock take off a lock what keeps it, or the label that says of which ordinal it is.
	unfinalizeLock
	unlabelLock
	mutations
)

// fromTheStart are the mutations that the operator can learn of in a dry run only: a pod without a gate runs before
// anything can look at it.
var fromTheStart = []mutation{stripGate}

var mutationNames = [mutations]string{
	"sets ttlSecondsAfterFinished", "sets managedBy", "sets podReplacementPolicy", "sets suspend", "injects a container that never ends",
	"injects a liveness probe", "injects a volume with a size limit", "limits ephemeral storage", "strips a mount", "sets a grace period of 0", "strips the gate",
	"strips the finalizers of locks", "strips the ordinal off locks",
}

// webhook does something to drains. Some leave dry runs alone, as those with side effects must, and some do the same for
// nothing else, because they have been changed since.
type webhook struct {
	does      mutation
	dry, real bool
}

// admit is the admission of the API server. It returns the object as it is then.
func (w *world) admit(object client.Object, dry bool) (client.Object, error) {
	object = copyOf(object)
	if object.GetLabels()[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleDrain {
		for _, hook := range w.webhooks {
			if (dry && hook.dry) || (!dry && hook.real) {
				hook.does.to(object)
			}
		}
	}
	var spec *corev1.PodSpec
	switch object := object.(type) {
	case *corev1.Pod:
		if object.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLock {
			w.admitLock(object)
		}
		spec = &object.Spec
	case *batchv1.Job:
		spec = &object.Spec.Template.Spec
	default:
		return object, nil
	}
	if spec.Containers[0].Image == refusedImage && !slices.ContainsFunc(spec.SchedulingGates, func(gate corev1.PodSchedulingGate) bool { return gate.Name == lockGate }) {
		return nil, apierrors.NewInvalid(kindOf(object).groupKind(), object.GetName(), nil)
	}
	return object, nil
}

// admitLock is the admission of a lock, which no dry run asks about.
func (w *world) admitLock(lock *corev1.Pod) {
	for _, hook := range w.webhooks {
		switch {
		case hook.does == unfinalizeLock && hook.real:
			lock.Finalizers = nil
		case hook.does == unlabelLock && hook.real:
			delete(lock.Labels, drainv1alpha1.OrdinalLabel)
		}
	}
}

// to does it to a Job, or to a pod.
func (m mutation) to(object client.Object) {
	switch object := object.(type) {
	case *batchv1.Job:
		switch m {
		case setTTL:
			object.Spec.TTLSecondsAfterFinished = ptr.To[int32](0)
		case setManagedBy:
			object.Spec.ManagedBy = ptr.To("queue.example.com/controller")
		case setReplacement:
			object.Spec.PodReplacementPolicy = ptr.To(batchv1.TerminatingOrFailed)
		case suspend:
			object.Spec.Suspend = ptr.To(true)
		case stripGate:
			object.Spec.Template.Spec.SchedulingGates = nil
		}
	case *corev1.Pod:
		m.toPod(&object.Spec)
	}
}

func (m mutation) toPod(spec *corev1.PodSpec) {
	main := &spec.Containers[0]
	switch m {
	case injectEndless:
		spec.Containers = append(spec.Containers, corev1.Container{Name: "injected", Image: imageEndless})
	case injectProbe:
		main.LivenessProbe = &corev1.Probe{}
	case injectSizeLimit:
		spec.Volumes = append(spec.Volumes, scratch())
	case limitStorage:
		limit(main)
	case stripMount:
		for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
			for i := range containers {
				if mounts := containers[i].VolumeMounts; len(mounts) > 0 {
					containers[i].VolumeMounts = mounts[:len(mounts)-1]
				}
			}
		}
	case setGraceless:
		spec.TerminationGracePeriodSeconds = ptr.To[int64](0)
	}
}

func scratch() corev1.Volume {
	return corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(resource.MustParse("1Gi"))}}}
}

func limit(c *corev1.Container) {
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
}

// installWebhook installs a webhook, or removes one.
func (w *world) installWebhook(early bool) {
	c := w.choices
	if len(w.webhooks) > 0 && !early && c.chance(40) {
		at := c.pick(len(w.webhooks))
		if slices.Contains(fromTheStart, w.webhooks[at].does) {
			return
		}
		w.note("user: removes the webhook that %s", mutationNames[w.webhooks[at].does])
		w.webhooks = slices.Delete(w.webhooks, at, at+1)
		return
	}
	does := mutation(c.pick(int(mutations)))
	if len(w.hooks) > 0 {
		does = w.hooks[c.pick(len(w.hooks))]
	}
	if !early && slices.Contains(fromTheStart, does) {
		return
	}
	hook := webhook{does: does, dry: true, real: true}
	if !slices.Contains(fromTheStart, does) {
		hook.dry, hook.real = c.pick(3) != 1, c.pick(5) != 1
		if len(w.hooks) > 0 { // The operator asks again whenever the StatefulSet changes.
			hook.dry, hook.real = c.pick(4) == 1, true
		}
	}
	w.note("user: installs a webhook that %s (in dry runs: %t, for real: %t)", mutationNames[does], hook.dry, hook.real)
	w.webhooks = append(w.webhooks, hook)
}
