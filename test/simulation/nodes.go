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
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type nodeState int

const (
	nodeUp nodeState = iota
	// nodeOff has lost power: nothing runs on it, and nothing reports that.
	nodeOff
	// nodeCut runs on, and can't reach the API server.
	nodeCut
)

var nodeNames = []string{"n1", "n2"}

// quarantine is how long a Node object must be gone before the pods of the node are collected (quarantineTime
// in kubernetes/pkg/controller/podgc/gc_controller.go).
const quarantine = 40 * time.Second

// claimsOf returns the UIDs of the claims that a pod would mount now.
func (w *world) claimsOf(names []string) []types.UID {
	var uids []types.UID
	for _, name := range names {
		if claim := get[*corev1.PersistentVolumeClaim](w.store, name); claim != nil {
			uids = append(uids, claim.UID)
		}
	}
	return uids
}

// claimNames are the claims that a pod refers to. The kubelet mounts all of them.
func claimNames(spec *corev1.PodSpec) []string {
	var names []string
	for _, volume := range spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

// usedNames are those of them that its containers see. A native sidecar is there to help, and drains nothing.
func usedNames(spec *corev1.PodSpec) []string {
	var names []string
	for _, volume := range spec.Volumes {
		mounts := func(c corev1.Container) bool {
			return !isSidecar(&c) && slices.ContainsFunc(c.VolumeMounts, func(mount corev1.VolumeMount) bool { return mount.Name == volume.Name })
		}
		if volume.PersistentVolumeClaim != nil && (slices.ContainsFunc(spec.InitContainers, mounts) || slices.ContainsFunc(spec.Containers, mounts)) {
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// mountable reports whether all claims of a pod exist, and none is being deleted or has lost its volume, without which
// neither the scheduler nor the kubelet goes on.
func (w *world) mountable(spec *corev1.PodSpec) bool {
	for _, name := range claimNames(spec) {
		claim := get[*corev1.PersistentVolumeClaim](w.store, name)
		if claim == nil || claim.DeletionTimestamp != nil || isLost(claim) {
			return false
		}
	}
	return true
}

// stepScheduler finds nodes for pods that await none of their gates, and binds their claims.
func (w *world) stepScheduler() {
	c := w.choices
	for _, pod := range list[*corev1.Pod](w.store) {
		if pod.Spec.NodeName != "" || len(pod.Spec.SchedulingGates) > 0 || pod.DeletionTimestamp != nil || !w.mountable(&pod.Spec) || c.chance(20) {
			continue
		}
		at := c.pick(2)
		if !w.takesPods(nodeNames[at]) {
			at = 1 - at
		}
		if node := nodeNames[at]; w.registered(node) {
			w.bind(pod, node)
		}
	}
}

func (w *world) takesPods(node string) bool { return w.nodes[node] == nodeUp && w.registered(node) }

// registered reports whether there is a Node object.
func (w *world) registered(node string) bool { return w.unregistered[node].IsZero() }

func (w *world) bind(pod *corev1.Pod, node string) {
	for _, name := range claimNames(&pod.Spec) {
		update(w.store, name, func(claim *corev1.PersistentVolumeClaim) {
			if claim.Spec.VolumeName == "" {
				claim.Spec.VolumeName = "pv-" + string(claim.UID)
				claim.Status.Phase = corev1.ClaimBound
				w.volumes[claim.UID] = newVolume()
			}
		})
	}
	w.note("scheduler: pod %s goes to node %s", pod.Name, node)
	update(w.store, pod.Name, func(pod *corev1.Pod) { pod.Spec.NodeName = node })
}

// stepNodes has a node fail, come back, be rebooted, be declared out of service, or lose its Node object.
func (w *world) stepNodes() {
	c := w.choices
	node := nodeNames[c.pick(2)]
	switch {
	case w.nodes[node] == nodeUp && w.registered(node):
		if !c.chance(50) {
			return
		}
		switch c.weighted(2, 2, w.reboots, w.reboots, w.reboots) {
		case 0:
			w.powerOff(node)
		case 1:
			w.nodes[node] = nodeCut
			w.note("node %s is cut off", node)
		case 2:
			w.reboot(node)
		case 3:
			w.shutDown(node)
		case 4:
			w.deleteNode(node)
		}
	case c.chance(15) && w.reboots > 0 && w.registered(node):
		w.deleteNode(node)
	default:
		switch c.pick(4) {
		case 0, 1:
			w.note("node %s is back", node)
			w.nodes[node] = nodeUp
			delete(w.unregistered, node)
		case 2:
			w.note("the node controller evicts the pods of node %s", node)
			for _, pod := range list[*corev1.Pod](w.store) {
				if pod.Spec.NodeName == node {
					update(w.store, pod.Name, func(pod *corev1.Pod) { w.setReady(pod, false) })
					_ = w.store.delete(pods, pod.Name, deletion{uid: pod.UID})
				}
			}
		case 3:
			w.outOfService(node)
		}
	}
}

func (w *world) powerOff(node string) {
	w.nodes[node] = nodeOff
	w.note("node %s loses its power", node)
	for _, running := range w.running() {
		if running.node == node {
			running.end(137)
			running.sandboxLost = true
		}
	}
}

// reboot tells every process of a node to end before its power goes. The kubelet is told first, and sees nothing of
// that until the node is back.
func (w *world) reboot(node string) {
	w.note("node %s is rebooted", node)
	for _, c := range w.running() {
		if c.node == node {
			w.loseSandbox(c)
		}
	}
	w.nodes[node] = nodeOff
}

// shutDown is a graceful node shutdown: the kubelet ends all pods first (killPods in
// kubernetes/pkg/kubelet/nodeshutdown/nodeshutdown_manager.go).
func (w *world) shutDown(node string) {
	w.note("the kubelet of node %s ends all pods, because the node is about to shut down", node)
	for _, c := range w.running() {
		if c.node == node {
			c.evicted = evictedWithTrace
		}
	}
}

// deleteNode deletes the Node object. The kubelet doesn't mind: it goes on watching its pods, and registers again only
// when it restarts.
func (w *world) deleteNode(node string) {
	w.note("user: deletes Node %s", node)
	w.unregistered[node] = w.clock.now
}

// outOfService is what an administrator does who made sure that a node is off: pod garbage
// collection fails its pods and removes them.
func (w *world) outOfService(node string) {
	w.powerOff(node)
	w.note("node %s is declared out of service", node)
	for _, pod := range list[*corev1.Pod](w.store) {
		if pod.Spec.NodeName == node {
			w.collectPod(pod, false)
		}
	}
}

// collectPod fails a pod and removes it by force (markFailedAndDeletePodWithCondition in
// kubernetes/pkg/controller/podgc/gc_controller.go).
func (w *world) collectPod(pod *corev1.Pod, disrupted bool) {
	if !terminal(pod) {
		update(w.store, pod.Name, func(pod *corev1.Pod) {
			pod.Status.Phase = corev1.PodFailed
			w.setReady(pod, false)
			if disrupted {
				setDisrupted(pod, "DeletionByPodGC")
			}
		})
	}
	_ = w.store.delete(pods, pod.Name, deletion{uid: pod.UID, now: true})
}

// collectOrphans collects the pods of nodes whose Node objects are gone (gcOrphaned in
// kubernetes/pkg/controller/podgc/gc_controller.go). Who deletes the Node object of a node that runs says by that, as
// by force on each of its pods, that nothing does.
func (w *world) collectOrphans() {
	for _, node := range nodeNames {
		if w.registered(node) || w.clock.now.Before(w.unregistered[node].Add(quarantine)) {
			continue
		}
		for _, pod := range list[*corev1.Pod](w.store) {
			if pod.Spec.NodeName != node || (pod.DeletionTimestamp != nil && zero(pod.DeletionGracePeriodSeconds)) {
				continue
			}
			w.note("pod garbage collector: removes pod %s, whose node %s is gone", pod.Name, node)
			if c := w.containers[pod.UID]; c != nil && c.live {
				c.ghost = true
			}
			w.collectPod(pod, true)
		}
	}
}

// removed hears of what is gone from the store.
func (w *world) removed(k kind, object client.Object) {
	switch k {
	case claims:
		delete(w.volumes, object.GetUID())
		w.backups[object.GetName()] = object.(*corev1.PersistentVolumeClaim)
	case pods:
		if c := w.containers[object.GetUID()]; c != nil && c.live {
			w.note("pod %s runs on, and no object shows it", c.pod)
		}
		if w.eager {
			w.landLocks()
		}
	}
}

// landLocks lets the creation of locks that hung take effect, before another client takes their names.
func (w *world) landLocks() {
	for _, c := range slices.Clone(w.hanging) {
		if at := slices.Index(w.hanging, c); c.key == "create pods" && at >= 0 {
			w.hanging = slices.Delete(w.hanging, at, at+1)
			w.land(c)
		}
	}
}
