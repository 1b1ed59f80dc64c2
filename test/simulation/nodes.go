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
	"cmp"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

type nodeState int

const (
	nodeUp nodeState = iota
	// nodeOff has lost power: nothing runs on it, and nobody says so.
	nodeOff
	// nodeCut runs on, and can't reach the API server.
	nodeCut
)

type role int

const (
	roleSet role = iota
	roleDrain
	roleDebug
)

// container is what runs of a pod on a node, which isn't the same as what the API server knows.
type container struct {
	pod     string
	uid     types.UID
	node    string
	role    role
	ordinal int32
	lock    types.UID
	claims  []types.UID
	// created is the version of the store at which the pod was made.
	created int64
	live    bool
	exit    int
	// told is how often it was told to end.
	told int
	// ghost says that its pod was deleted by force while it ran: Kubernetes has forgotten it.
	ghost bool
}

// record is one piece of data that a pod has written.
type record struct {
	id int
	by *container
}

// volume is what a claim, by its UID, holds. A drain takes records off it one by one.
type volume struct {
	records []record
	// drained says that a drain has once left the volume empty and ended well, and users are the
	// containers that have used it since then.
	drained bool
	users   []*container
	// observed are the pods whose use of the claim Kubernetes has seen when it set the
	// claim's Unused condition.
	observed map[types.UID]bool
	// tolerated are the pods of strangers that used the claim so soon after its drain that the
	// operator couldn't tell them from the drain.
	tolerated map[types.UID]bool
	// restored says that a user has brought it back from a backup.
	restored bool
}

func newVolume() *volume {
	return &volume{observed: map[types.UID]bool{}, tolerated: map[types.UID]bool{}}
}

// running returns the containers that run, in the order of their pods' creation.
func (w *world) running() []*container {
	var live []*container
	for _, c := range w.containers {
		if c.live {
			live = append(live, c)
		}
	}
	slices.SortFunc(live, func(a, b *container) int { return cmp.Compare(a.created, b.created) })
	return live
}

// claimsOf returns the UIDs of the claims that a pod would mount now.
func (w *world) claimsOf(spec *corev1.PodSpec) []types.UID {
	var uids []types.UID
	for _, name := range claimNames(spec) {
		if claim := get[*corev1.PersistentVolumeClaim](w.store, name); claim != nil {
			uids = append(uids, claim.UID)
		}
	}
	return uids
}

func claimNames(spec *corev1.PodSpec) []string {
	var names []string
	for _, volume := range spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

// mountable says whether all claims of a pod exist and none is being deleted, without which
// neither the scheduler nor the kubelet goes on.
func (w *world) mountable(spec *corev1.PodSpec) bool {
	for _, name := range claimNames(spec) {
		claim := get[*corev1.PersistentVolumeClaim](w.store, name)
		if claim == nil || claim.DeletionTimestamp != nil {
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
		for _, name := range claimNames(&pod.Spec) {
			update(w.store, name, func(claim *corev1.PersistentVolumeClaim) {
				if claim.Spec.VolumeName == "" {
					claim.Spec.VolumeName = "pv-" + string(claim.UID)
					claim.Status.Phase = corev1.ClaimBound
					w.volumes[claim.UID] = newVolume()
				}
			})
		}
		node := []string{"n1", "n2"}[c.pick(2)]
		if w.nodes[node] != nodeUp {
			node = map[string]string{"n1": "n2", "n2": "n1"}[node]
		}
		w.note("scheduler: pod %s goes to node %s", pod.Name, node)
		update(w.store, pod.Name, func(pod *corev1.Pod) { pod.Spec.NodeName = node })
	}
}

// stepKubelets lets every pod, or one of them, get one step further.
func (w *world) stepKubelets() {
	all := list[*corev1.Pod](w.store)
	if one := w.choices.pick(len(all) * 2); one > len(all) {
		all = all[one-len(all) : one-len(all)+1]
	}
	for _, pod := range all {
		if pod.Spec.NodeName != "" {
			w.runPod(pod)
		}
	}
	for _, c := range w.running() {
		pod := get[*corev1.Pod](w.store, c.pod)
		if (pod == nil || pod.UID != c.uid) && w.nodes[c.node] == nodeUp && !w.choices.chance(60) {
			w.note("kubelet %s: ends pod %s, which is no more", c.node, c.pod)
			c.live = false
		}
	}
}

// runPod lets the node of a pod take one step with it.
func (w *world) runPod(pod *corev1.Pod) {
	c := w.containers[pod.UID]
	switch w.nodes[pod.Spec.NodeName] {
	case nodeOff:
		return
	case nodeCut:
		if c != nil && c.live {
			w.work(c)
		}
		return
	}
	leaving := pod.DeletionTimestamp != nil
	switch {
	case terminal(pod):
		if leaving {
			w.endPod(pod)
		}
	case c == nil && leaving:
		w.setPhase(pod, corev1.PodFailed, false)
	case c == nil:
		w.startPod(pod)
	case c.live && pod.Status.Phase != corev1.PodRunning:
		w.setPhase(pod, corev1.PodRunning, true)
	case c.live && leaving && c.told < w.patience:
		c.told++
		w.work(c)
	case c.live && leaving && !w.choices.chance(40):
		w.note("kubelet %s: the container of pod %s ends", c.node, c.pod)
		c.live, c.exit = false, 143
		if c.role == roleDrain && (w.docile || w.choices.chance(30)) {
			w.note("kubelet %s: and exits 0, as many a program does when it is told to end", c.node)
			c.exit = 0
		}
	case c.live:
		w.work(c)
	case leaving || pod.Spec.RestartPolicy == corev1.RestartPolicyNever || (c.exit == 0 && pod.Spec.RestartPolicy != corev1.RestartPolicyAlways):
		phase := corev1.PodFailed
		if c.exit == 0 {
			phase = corev1.PodSucceeded
		}
		w.setPhase(pod, phase, false)
	default: // Its volumes are mounted already, whatever has become of the claims (kubelet, volumemanager, podPreviouslyProcessed).
		w.note("kubelet %s: restarts pod %s", c.node, c.pod)
		w.startContainer(c)
		update(w.store, pod.Name, func(pod *corev1.Pod) {
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: restarts(pod) + 1}}
		})
	}
}

func restarts(pod *corev1.Pod) int32 {
	if len(pod.Status.ContainerStatuses) == 0 {
		return 0
	}
	return pod.Status.ContainerStatuses[0].RestartCount
}

func (w *world) startPod(pod *corev1.Pod) {
	if !w.mountable(&pod.Spec) {
		return
	}
	c := &container{
		pod: pod.Name, uid: pod.UID, node: pod.Spec.NodeName, created: w.store.born[pod.UID],
		claims: w.claimsOf(&pod.Spec), role: roleDebug,
	}
	switch {
	case pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleDrain:
		ordinal, _ := strconv.ParseInt(pod.Labels[drainv1alpha1.OrdinalLabel], 10, 32)
		c.role, c.ordinal, c.lock = roleDrain, int32(ordinal), types.UID(pod.Annotations[drainv1alpha1.LockAnnotation])
	case pod.Labels["app"] == "web":
		c.role = roleSet
	}
	w.containers[pod.UID] = c
	w.note("kubelet %s: pod %s starts", c.node, pod.Name)
	w.startContainer(c)
}

func (w *world) startContainer(c *container) {
	w.hurry()
	c.live, c.exit = true, 0
	if c.role == roleDrain {
		return
	}
	for _, uid := range c.claims {
		if v := w.volumes[uid]; v != nil && !slices.Contains(v.users, c) {
			v.users = append(v.users, c)
		}
	}
}

// work lets a container do what it is there for.
func (w *world) work(c *container) {
	if c.role != roleDrain {
		for _, uid := range c.claims {
			if v := w.volumes[uid]; v != nil && len(v.records) < w.most && !w.choices.chance(30) {
				w.records++
				v.records = append(v.records, record{id: w.records, by: c})
				w.note("pod %s writes record %d", c.pod, w.records)
			}
		}
		return
	}
	w.progress++
	if w.choices.chance(6) {
		w.note("the drain of pod %s fails", c.pod)
		c.live, c.exit = false, 1
		return
	}
	for _, uid := range c.claims {
		if v := w.volumes[uid]; v != nil && len(v.records) > 0 {
			w.note("drain pod %s brings record %d to safety", c.pod, v.records[0].id)
			v.records = v.records[1:]
			return
		}
	}
	w.note("drain pod %s finds nothing left, and ends", c.pod)
	c.live = false
	for _, uid := range c.claims {
		v := w.volumes[uid]
		if v == nil {
			continue
		}
		v.drained = true
		v.users = slices.DeleteFunc(v.users, func(user *container) bool { return !user.live })
	}
}

func (w *world) setPhase(pod *corev1.Pod, phase corev1.PodPhase, ready bool) {
	w.note("kubelet %s: pod %s is %s", pod.Spec.NodeName, pod.Name, phase)
	update(w.store, pod.Name, func(pod *corev1.Pod) {
		pod.Status.Phase = phase
		status := corev1.ContainerStatus{Name: "main", RestartCount: restarts(pod), Ready: ready}
		if ready {
			status.State.Running = &corev1.ContainerStateRunning{StartedAt: w.store.timestamp()}
		} else if c := w.containers[pod.UID]; c != nil {
			status.State.Terminated = &corev1.ContainerStateTerminated{ExitCode: int32(c.exit), FinishedAt: w.store.timestamp()}
		}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{status}
		setReady(pod, ready)
	})
}

func setReady(pod *corev1.Pod, ready bool) {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
}

func isReady(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && len(pod.Status.Conditions) > 0 && pod.Status.Conditions[0].Status == corev1.ConditionTrue
}

// endPod tells the API server that a pod that is being deleted has ended.
func (w *world) endPod(pod *corev1.Pod) {
	w.note("kubelet %s: pod %s is gone", pod.Spec.NodeName, pod.Name)
	_ = w.store.delete(pods, pod.Name, deletion{uid: pod.UID, now: true})
}

// stepNodes has a node fail, come back, or be declared out of service.
func (w *world) stepNodes() {
	c := w.choices
	node := []string{"n1", "n2"}[c.pick(2)]
	switch w.nodes[node] {
	case nodeUp:
		if !c.chance(50) {
			return
		}
		if c.pick(2) == 0 {
			w.powerOff(node)
		} else {
			w.nodes[node] = nodeCut
			w.note("node %s is cut off", node)
		}
	default:
		switch c.pick(4) {
		case 0, 1:
			w.note("node %s is back", node)
			w.nodes[node] = nodeUp
		case 2:
			w.note("the node controller evicts the pods of node %s", node)
			for _, pod := range list[*corev1.Pod](w.store) {
				if pod.Spec.NodeName == node {
					update(w.store, pod.Name, func(pod *corev1.Pod) { setReady(pod, false) })
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
			running.live, running.exit = false, 137
		}
	}
}

// outOfService is what an administrator does who made sure that a node is off: pod garbage
// collection fails its pods and removes them.
func (w *world) outOfService(node string) {
	w.powerOff(node)
	w.note("node %s is declared out of service", node)
	for _, pod := range list[*corev1.Pod](w.store) {
		if pod.Spec.NodeName != node {
			continue
		}
		if !terminal(pod) {
			update(w.store, pod.Name, func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed; setReady(pod, false) })
		}
		_ = w.store.delete(pods, pod.Name, deletion{uid: pod.UID, now: true})
	}
}

// removed is told of what is gone from the store.
func (w *world) removed(k kind, object client.Object) {
	switch k {
	case claims:
		delete(w.volumes, object.GetUID())
		w.backups[object.GetName()] = object.(*corev1.PersistentVolumeClaim)
	case pods:
		if c := w.containers[object.GetUID()]; c != nil && c.live {
			c.ghost = true
			w.note("pod %s runs on, and nobody knows", c.pod)
		}
		if w.eager {
			w.landLocks()
		}
	}
}

// landLocks lets the creation of locks that hung take effect, before anybody else takes their names.
func (w *world) landLocks() {
	for _, c := range slices.Clone(w.hanging) {
		if at := slices.Index(w.hanging, c); c.key == "create pods" && at >= 0 {
			w.hanging = slices.Delete(w.hanging, at, at+1)
			w.land(c)
		}
	}
}

func lockName(ordinal int32) string { return fmt.Sprintf("%s-%d", setName, ordinal) }
