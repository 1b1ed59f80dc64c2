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
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// What a container does is known by its image.
const (
	imageStore = "store"
	imageShell = "shell"
	// imageDrain and imageOther move the data and write the receipt as their last act, if they get that far.
	imageDrain = "drain-1"
	imageOther = "drain-2"
	// imageMute moves the data too, and knows nothing of receipts.
	imageMute = "mute-1"
	// imageReceipt does nothing but write the receipt. It runs after a tool that is an init container.
	imageReceipt = "receipt"
	// imageEndless is what webhooks put beside other containers: it never ends by itself.
	imageEndless = "endless"
	// imageFake moves nothing and says that it did, receipt and all.
	imageFake = "fake"
)

type role int

const (
	roleSet role = iota
	roleDrain
	roleDebug
	roleLeave
)

// roleOf says what the first container of a pod is there for. Labels can be forged.
func roleOf(spec *corev1.PodSpec) role {
	switch image := spec.Containers[0].Image; {
	case image == imageStore:
		return roleSet
	case image == imageReceipt, strings.HasPrefix(image, "drain-"), strings.HasPrefix(image, "mute-"):
		return roleDrain
	case strings.HasPrefix(image, "leave-"):
		return roleLeave
	}
	return roleDebug
}

// eviction says that the kubelet ends a pod that no client has deleted.
type eviction int

const (
	notEvicted eviction = iota
	// evictedWithTrace is an eviction under node pressure (synchronize in
	// kubernetes/pkg/kubelet/eviction/eviction_manager.go), a preemption by a critical pod (evictPodsToFreeRequests in
	// preemption/preemption.go) or a graceful node shutdown: DisruptionTarget comes with the final phase.
	evictedWithTrace
	// evictedWithoutTrace is an eviction by emptyDir.sizeLimit or an ephemeral-storage limit (localStorageEviction in
	// eviction_manager.go), or any other one after which the kubelet restarts before it has told the API server.
	evictedWithoutTrace
)

// container is what runs of a pod on a node, which isn't the same as what the API server knows. A tool that is an init
// container runs before its main container, and an injected one beside it.
type container struct {
	pod     string
	uid     types.UID
	node    string
	role    role
	ordinal int32
	lock    types.UID
	// claims are those that its pod refers to, and used those that the containers see that work on them.
	claims, used []types.UID
	// created is the version of the store at which the pod was made.
	created int64
	live    bool
	// exit is the code of the tool or of the main container, once it has ended, and said its termination message.
	ended bool
	exit  int
	said  string
	// told is how often it was told to end.
	told int
	// ghost says that its pod was deleted by force while it ran: Kubernetes has forgotten it.
	ghost bool

	// tool says that there is a tool, and toolEnded that the main container's turn has come.
	tool, toolEnded bool
	// receipt is what the program writes at its end, and mute says that it writes nothing.
	receipt string
	mute    bool
	// beside says that an injected container runs beside the main one, and besideExit is its exit code.
	beside     bool
	besideExit int
	restarts   int32
	// unmounting is for how many turns the kubelet has unmounted its volumes.
	unmounting int
	// shown says that the API server knows of the present containers.
	shown   bool
	evicted eviction
	// sandboxLost says that the containers are gone with their sandbox.
	sandboxLost bool
	// trusting says that an exit code of 0 is all that the policy asked for when the Job was made.
	trusting bool
	// action is what it does with the member of its ordinal.
	action string
}

// end has the container's processes end, those that have not yet with this exit code.
func (c *container) end(exit int) {
	c.live, c.shown = false, false
	if !c.ended {
		c.ended, c.exit = true, exit
	}
	if c.beside {
		c.besideExit = exit
	}
}

// finish has the main process end by itself, or the tool.
func (c *container) finish(exit int, said string) {
	c.ended, c.exit, c.said, c.shown = true, exit, said, false
	c.live = c.beside && (!c.tool || c.toolEnded)
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
	// observed are the pods that Kubernetes has reported as users of the claim.
	observed map[types.UID]bool
	// tolerated are strangers that used the claim so soon after its drain that the
	// operator couldn't tell them from the drain.
	tolerated map[types.UID]bool
	// restored says that a user has brought it back from a backup.
	restored bool
	// marked is the store's version at which the operator last wrote a mark on the claim, and markedBy the reconcile that did.
	marked   int64
	markedBy int
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
		switch {
		case (pod != nil && pod.UID == c.uid) || w.nodes[c.node] != nodeUp || w.choices.chance(60):
		case c.told < w.patience: // Its grace period is the kubelet's to keep, if it has none.
			c.told++
			w.work(c)
		default:
			w.note("kubelet %s: ends pod %s, which is gone", c.node, c.pod)
			c.live = false
		}
	}
}

// runPod lets the node of a pod take one step with it. Once a pod is told to end, none of its containers is started any
// more (podWorkerLoop in kubernetes/pkg/kubelet/pod_workers.go).
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
	ending := pod.DeletionTimestamp != nil || (c != nil && c.evicted != notEvicted)
	switch {
	case terminal(pod):
		if pod.DeletionTimestamp != nil {
			if c != nil {
				c.end(137)
				c.unmounting++
				if c.unmounting <= w.unmounts {
					return
				}
			}
			w.endPod(pod)
		}
	case c == nil && ending:
		w.setPhase(pod, corev1.PodFailed)
	case c == nil:
		w.startPod(pod)
	case c.live && !c.shown:
		w.setPhase(pod, w.phaseOf(pod, c, false))
	case c.live && ending && c.told < w.patience:
		c.told++
		w.work(c)
	case c.live && ending && !w.choices.chance(40):
		w.note("kubelet %s: the containers of pod %s end", c.node, c.pod)
		w.tell(c)
	case c.live && c.ended && c.exit != 0 && pod.Spec.RestartPolicy != corev1.RestartPolicyNever && !ending:
		w.restart(pod, c)
	case c.live && !ending && c.role == roleDrain && w.cruel > 0 && w.choices.chance(w.cruel):
		w.disturb(pod, c)
	case c.live:
		w.work(c)
	case ending:
		w.setPhase(pod, w.phaseOf(pod, c, true))
	case c.sandboxLost:
		w.startAnew(pod, c)
	case c.tool && !c.toolEnded && c.exit == 0:
		w.note("kubelet %s: the tool of pod %s has ended; its main container starts", c.node, c.pod)
		c.toolEnded = true
		w.startContainer(c)
	case pod.Spec.RestartPolicy == corev1.RestartPolicyNever || (c.exit == 0 && pod.Spec.RestartPolicy != corev1.RestartPolicyAlways):
		w.setPhase(pod, w.phaseOf(pod, c, false))
	case !c.shown && w.cruel > 0 && w.choices.chance(40):
		w.setPhase(pod, corev1.PodRunning) // CrashLoopBackOff
	default: // Its volumes are mounted already, whatever has become of the claims (kubelet, volumemanager, podPreviouslyProcessed).
		w.restart(pod, c)
	}
}

// phaseOf is getPhase in kubernetes/pkg/kubelet/kubelet_pods.go; of a pod that was told to end the status manager fails
// what has no final phase by that (TerminatePod in status/status_manager.go).
func (w *world) phaseOf(pod *corev1.Pod, c *container, ending bool) corev1.PodPhase {
	never := pod.Spec.RestartPolicy == corev1.RestartPolicyNever
	switch {
	case c.tool && !c.toolEnded && (ending || (c.ended && c.exit != 0 && never)):
		return corev1.PodFailed
	case c.tool && !c.toolEnded:
		return corev1.PodPending
	case c.live:
		return corev1.PodRunning
	case c.exit == 0 && (!c.beside || c.besideExit == 0) && (ending || pod.Spec.RestartPolicy != corev1.RestartPolicyAlways):
		return corev1.PodSucceeded
	case ending || never:
		return corev1.PodFailed
	}
	return corev1.PodRunning
}

// tell tells a pod's containers to end. Many a program exits 0 then.
func (w *world) tell(c *container) {
	exit := 143
	if (c.role == roleDrain || c.role == roleLeave) && (w.docile || w.choices.chance(30)) {
		w.note("kubelet %s: pod %s exits 0, as many a program does on SIGTERM", c.node, c.pod)
		exit = 0
	}
	c.end(exit)
}

// loseSandbox ends a pod's containers with their sandbox, which no status says. That a program exits 0 then is the risk of
// an author who asks for no more than that.
func (w *world) loseSandbox(c *container) {
	if c.trusting {
		c.end(137)
	} else {
		w.tell(c)
	}
	c.sandboxLost = true
}

// disturbSome does that to one of the drain pods that run.
func (w *world) disturbSome() {
	pod, ok := some(w, func(pod *corev1.Pod) bool {
		c := w.containers[pod.UID]
		return isDrain(pod) && c != nil && c.live && c.evicted == notEvicted && pod.DeletionTimestamp == nil && w.nodes[c.node] == nodeUp
	})
	if ok {
		w.disturb(pod, w.containers[pod.UID])
	}
}

// disturb is what the kubelet does to a pod that was not deleted, as far as its spec asks for it.
func (w *world) disturb(pod *corev1.Pod, c *container) {
	main := &pod.Spec.Containers[0]
	_, limited := main.Resources.Limits[corev1.ResourceEphemeralStorage]
	limited = limited || slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil })
	probed := main.LivenessProbe != nil && (!c.tool || c.toolEnded)
	what := []func(){
		func() {
			w.note("kubelet %s: evicts pod %s under node pressure", c.node, c.pod)
			c.evicted = evictedWithTrace
			if !c.trusting && (!c.tool || c.toolEnded) && w.choices.chance(20) {
				w.note("kubelet %s: restarts, and remembers nothing of that", c.node)
				c.evicted = evictedWithoutTrace
			}
		},
		func() {
			w.note("kubelet %s: the sandbox of pod %s is gone", c.node, c.pod)
			w.loseSandbox(c)
		},
	}
	if limited {
		exceed := func() {
			w.note("kubelet %s: evicts pod %s, which exceeds a limit of local storage", c.node, c.pod)
			c.evicted = evictedWithoutTrace
		}
		what = append(what, exceed, exceed)
	}
	if probed {
		what = append(what, func() {
			w.note("kubelet %s: pod %s fails its liveness probe", c.node, c.pod)
			w.tell(c)
			if pod.Spec.RestartPolicy != corev1.RestartPolicyNever && w.choices.pick(2) == 0 {
				w.restart(pod, c) // At once, whatever the exit code, unless it backs off (computePodActions and doBackOff).
			}
		})
	}
	what[w.choices.pick(len(what))]()
}

// startAnew is what the kubelet does with a pod whose sandbox is gone: with Never nothing more is started, with OnFailure
// not what has succeeded, and init containers run again (computePodActions in
// kubernetes/pkg/kubelet/kuberuntime/kuberuntime_manager.go).
func (w *world) startAnew(pod *corev1.Pod, c *container) {
	inTool := c.tool && !c.toolEnded
	switch {
	case stays(pod, c):
		if !c.shown {
			w.setPhase(pod, corev1.PodPending)
		}
	case pod.Spec.RestartPolicy == corev1.RestartPolicyNever, c.exit == 0 && !inTool && pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure:
		w.setPhase(pod, w.phaseOf(pod, c, true))
	default:
		c.toolEnded = false
		w.restart(pod, c)
	}
}

// stays reports whether a pod stays pending until a person deletes it: nothing of it is started any more, and its tool has
// not failed.
func stays(pod *corev1.Pod, c *container) bool {
	return c.sandboxLost && c.tool && !c.toolEnded && c.exit == 0 && pod.Spec.RestartPolicy == corev1.RestartPolicyNever && !terminal(pod)
}

func (w *world) restart(pod *corev1.Pod, c *container) {
	w.note("kubelet %s: restarts pod %s", c.node, c.pod)
	c.restarts++
	w.startContainer(c)
	w.setPhase(pod, w.phaseOf(pod, c, false))
}

// restarts are those that count towards a Job's backoffLimit (pastBackoffLimitOnFailure in
// kubernetes/pkg/controller/job/job_controller.go).
func restarts(pod *corev1.Pod) int32 {
	if terminal(pod) {
		return 0
	}
	var total int32
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			total += statuses[i].RestartCount
		}
	}
	return total
}

func (w *world) startPod(pod *corev1.Pod) {
	if !w.mountable(&pod.Spec) {
		return
	}
	spec := &pod.Spec
	c := &container{
		pod: pod.Name, uid: pod.UID, node: spec.NodeName, created: w.store.born[pod.UID], role: roleOf(spec),
		claims: w.claimsOf(claimNames(spec)), used: w.claimsOf(usedNames(spec)),
		tool:   slices.ContainsFunc(spec.InitContainers, func(c corev1.Container) bool { return !isSidecar(&c) }),
		beside: slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return c.Image == imageEndless }),
		mute:   strings.HasPrefix(spec.Containers[0].Image, "mute-"),
	}
	for _, variable := range spec.Containers[0].Env {
		if variable.Name == "DRAIN_RECEIPT" {
			c.receipt = variable.Value
		}
	}
	if c.role == roleDrain {
		ordinal, _ := strconv.ParseInt(pod.Labels[drainv1alpha1.OrdinalLabel], 10, 32)
		c.ordinal, c.lock = int32(ordinal), types.UID(pod.Annotations[drainv1alpha1.LockAnnotation])
		job := owner(w.store, pod)
		if last := w.attempts[c.lock]; last != nil && job != nil && last.job == job.Name {
			last.ran = true
			if !last.late.IsZero() {
				last.made, last.late = last.late, time.Time{}
			}
		}
		c.trusting = job != nil && job.Annotations[drainv1alpha1.ProofAnnotation] == string(drainv1alpha1.ProofExitCode)
	}
	if c.role == roleLeave {
		c.ordinal, c.action = ordinalLabel(pod), pod.Annotations[drainv1alpha1.ActionAnnotation]
	}
	w.containers[pod.UID] = c
	w.note("kubelet %s: pod %s starts", c.node, pod.Name)
	w.startContainer(c)
}

func (w *world) startContainer(c *container) {
	w.hurry()
	c.live, c.ended, c.exit, c.said, c.shown, c.sandboxLost = true, false, 0, "", false, false
	if c.role == roleLeave {
		w.startLeave(c)
	}
	if c.role == roleDrain {
		return
	}
	for _, uid := range c.used {
		if v := w.volumes[uid]; v != nil && !slices.Contains(v.users, c) {
			v.users = append(v.users, c)
		}
	}
}

// work lets a container do what it is there for.
func (w *world) work(c *container) {
	switch {
	case c.ended:
	case c.role == roleDrain:
		w.drain(c)
	case c.role == roleLeave:
		w.leave(c)
	case c.receipt != "": // A forged drain does nothing and says that it did.
		w.note("pod %s does nothing, and ends as if it had", c.pod)
		c.finish(0, c.receipt)
	default:
		for _, uid := range c.used {
			if v := w.volumes[uid]; v != nil && len(v.records) < w.most && !w.choices.chance(30) {
				w.records++
				v.records = append(v.records, record{id: w.records, by: c})
				w.note("pod %s writes record %d", c.pod, w.records)
			}
		}
	}
}

func (w *world) drain(c *container) {
	w.progress++
	if w.choices.chance(6) {
		w.note("the drain of pod %s fails", c.pod)
		c.finish(1, "")
		return
	}
	said := "done\n"
	if !c.mute {
		said += c.receipt + "\n"
	}
	if c.tool && c.toolEnded {
		w.note("pod %s writes the receipt of its tool", c.pod)
		c.finish(0, said)
		return
	}
	for _, uid := range c.used {
		if v := w.volumes[uid]; v != nil && len(v.records) > 0 {
			w.note("drain pod %s brings record %d to safety", c.pod, v.records[0].id)
			v.records = v.records[1:]
			return
		}
	}
	w.note("drain pod %s finds nothing left, and ends", c.pod)
	c.finish(0, said)
	for _, uid := range c.used {
		v := w.volumes[uid]
		if v == nil {
			continue
		}
		v.drained = true
		v.users = slices.DeleteFunc(v.users, func(user *container) bool { return !user.live })
	}
	if pod := get[*corev1.Pod](w.store, c.pod); w.hurried && pod != nil {
		w.marked = claimNames(&pod.Spec)[0]
	}
}

func (w *world) setPhase(pod *corev1.Pod, phase corev1.PodPhase) {
	if pod.Status.Phase != phase {
		w.note("kubelet %s: pod %s is %s", pod.Spec.NodeName, pod.Name, phase)
	}
	c := w.containers[pod.UID]
	update(w.store, pod.Name, func(pod *corev1.Pod) {
		pod.Status.Phase = phase
		w.setReady(pod, phase == corev1.PodRunning && c.live)
		if c == nil {
			return
		}
		if c.evicted == evictedWithTrace && terminal(pod) { // Not before (mergePodStatus in kubelet/status/status_manager.go).
			setDisrupted(pod, corev1.PodReasonTerminationByKubelet)
		}
		w.showContainers(pod, c)
	})
	if c != nil {
		c.shown = true
	}
}

// showContainers writes what the kubelet knows of a pod's containers.
func (w *world) showContainers(pod *corev1.Pod, c *container) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: w.store.timestamp()}}
	ended := func(exit int, said string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: int32(exit), Message: said, FinishedAt: w.store.timestamp()}}
	}
	first := corev1.ContainerStatus{RestartCount: c.restarts, Ready: c.live && !c.ended}
	switch {
	case !c.ended:
		first.State = running
	case !terminal(pod) && c.exit != 0 && !c.live:
		first.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
		first.LastTerminationState = ended(c.exit, c.said)
	default:
		first.State = ended(c.exit, c.said)
	}
	main := first
	pod.Status.InitContainerStatuses = nil
	if c.tool {
		tool := first
		if c.toolEnded {
			tool.State, tool.LastTerminationState = ended(0, ""), corev1.ContainerState{}
		} else {
			main = corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}
		}
		tool.Name = pod.Spec.InitContainers[0].Name
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{tool}
	}
	main.Name = pod.Spec.Containers[0].Name
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{main}
	if c.beside {
		beside := corev1.ContainerStatus{Name: "injected", State: running, Ready: c.live}
		if !c.live {
			beside.State = ended(c.besideExit, "")
		}
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, beside)
	}
}

func (w *world) setReady(pod *corev1.Pod, ready bool) {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	since := w.store.timestamp()
	for _, before := range pod.Status.Conditions {
		if before.Type == corev1.PodReady && before.Status == status {
			since = before.LastTransitionTime
		}
	}
	setCondition(pod, corev1.PodCondition{Type: corev1.PodReady, Status: status, LastTransitionTime: since})
}

func setDisrupted(pod *corev1.Pod, reason string) {
	setCondition(pod, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason})
}

func setCondition(pod *corev1.Pod, condition corev1.PodCondition) {
	pod.Status.Conditions = slices.DeleteFunc(slices.Clone(pod.Status.Conditions), func(c corev1.PodCondition) bool { return c.Type == condition.Type })
	pod.Status.Conditions = append(pod.Status.Conditions, condition)
}

func isReady(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// endPod tells the API server that a pod that is being deleted has ended.
func (w *world) endPod(pod *corev1.Pod) {
	w.note("kubelet %s: pod %s is gone", pod.Spec.NodeName, pod.Name)
	_ = w.store.delete(pods, pod.Name, deletion{uid: pod.UID, now: true})
}

func lockName(ordinal int32) string { return fmt.Sprintf("%s-%d", setName, ordinal) }
