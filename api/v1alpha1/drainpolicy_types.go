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

package v1alpha1

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WhenScaled is what the operator does for the ordinals that a scale-down of the StatefulSet orphans.
//
// +kubebuilder:validation:Enum=Drain;Retain
type WhenScaled string

const (
	// WhenScaledDrain drains every orphaned ordinal.
	WhenScaledDrain WhenScaled = "Drain"
	// WhenScaledRetain keeps the claims of orphaned ordinals undrained, and only reports them.
	WhenScaledRetain WhenScaled = "Retain"
)

// WhenDeleted is what the operator does for the ordinals of a StatefulSet that was deleted.
//
// +kubebuilder:validation:Enum=Drain;Retain
type WhenDeleted string

const (
	// WhenDeletedDrain drains every ordinal of the deleted StatefulSet that has claims.
	WhenDeletedDrain WhenDeleted = "Drain"
	// WhenDeletedRetain keeps the claims of the deleted StatefulSet undrained.
	WhenDeletedRetain WhenDeleted = "Retain"
)

// Identity is the network identity of a drain pod.
//
// +kubebuilder:validation:Enum=Job;StatefulSetPod
type Identity string

const (
	// IdentityJob gives a drain pod the hostname that its Job gives it.
	IdentityJob Identity = "Job"
	// IdentityStatefulSetPod gives a drain pod the hostname and the subdomain of the StatefulSet's pod of its ordinal.
	IdentityStatefulSetPod Identity = "StatefulSetPod"
)

// Proof is the evidence that the operator requires before it treats a drain as successful.
//
// +kubebuilder:validation:Enum=Receipt;ExitCode
type Proof string

const (
	// ProofReceipt requires that every container of the drain ends its termination message with its receipt, which is the
	// value of the environment variable DRAIN_RECEIPT. A container that was stopped before it finished writes no receipt.
	ProofReceipt Proof = "Receipt"
	// ProofExitCode requires an exit code of 0 only. It can lose data: the kubelet can stop a container without a trace in
	// the API, and many programs exit with 0 when they are stopped.
	ProofExitCode Proof = "ExitCode"
)

// WhenDrained is what the operator does with the claims of a drained ordinal.
//
// +kubebuilder:validation:Enum=Retain;Delete
type WhenDrained string

const (
	// WhenDrainedRetain keeps the claims and marks them as drained.
	WhenDrainedRetain WhenDrained = "Retain"
	// WhenDrainedDelete deletes exactly the claims that the drain mounted.
	WhenDrainedDelete WhenDrained = "Delete"
)

// WhenScaledUp is what the operator does when an ordinal is back in range while its drain runs.
//
// +kubebuilder:validation:Enum=Wait;Cancel
type WhenScaledUp string

const (
	// WhenScaledUpWait lets the running drain finish. The StatefulSet's pod starts afterwards.
	WhenScaledUpWait WhenScaledUp = "Wait"
	// WhenScaledUpCancel stops the running drain. The StatefulSet's pod starts when the drain pod has terminated, and
	// mounts the partly drained claims.
	WhenScaledUpCancel WhenScaledUp = "Cancel"
)

// DrainPolicySpec describes which StatefulSet the operator drains, how it drains an orphaned ordinal, and what it does with
// the drained claims. An orphaned ordinal is one outside the StatefulSet's range that still has claims.
//
// +kubebuilder:validation:ExactlyOneOf=template;templateFrom
// +kubebuilder:validation:XValidation:rule="!has(self.templateFrom) || !has(self.whenDeleted) || self.whenDeleted == 'Retain'",message="whenDeleted must be Retain with templateFrom: the annotation is deleted with the StatefulSet",fieldPath=".whenDeleted",reason=FieldValueInvalid
// +kubebuilder:validation:XValidation:rule="!has(self.whenDeleted) || self.whenDeleted != 'Drain' || has(self.minReadyReplicas) && self.minReadyReplicas == 0",message="minReadyReplicas must be 0 when whenDeleted is Drain: a deleted StatefulSet has no replicas that could become ready",fieldPath=".minReadyReplicas",reason=FieldValueInvalid
// +kubebuilder:validation:XValidation:rule="!has(self.job) || !has(self.job.podFailurePolicy) || !has(self.template) || !has(self.template.spec) || !has(self.template.spec.restartPolicy) || self.template.spec.restartPolicy == 'Never'",message="template.spec.restartPolicy must be Never or unset with job.podFailurePolicy",fieldPath=".template.spec.restartPolicy",reason=FieldValueInvalid
// +kubebuilder:validation:XValidation:rule="!has(self.job) || !has(self.job.podFailurePolicy) || !has(self.proof) || self.proof != 'ExitCode'",message="job.podFailurePolicy can't be combined with proof ExitCode: it requires restartPolicy Never, under which a reboot can look like a success",fieldPath=".job.podFailurePolicy",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.leave) || has(self.replicas)",message="leave requires replicas: a member leaves only when the operator lowers the replicas",fieldPath=".leave",reason=FieldValueInvalid
// +kubebuilder:validation:XValidation:rule="!has(self.leave) || !has(self.leave.job) || !has(self.leave.job.podFailurePolicy) || !has(self.proof) || self.proof != 'ExitCode'",message="leave.job.podFailurePolicy can't be combined with proof ExitCode: it requires restartPolicy Never, under which a reboot can look like a success",fieldPath=".leave",reason=FieldValueForbidden
type DrainPolicySpec struct {
	// statefulSetRef identifies the StatefulSet whose orphaned claims the operator drains. The StatefulSet must be in the
	// policy's namespace. This field is immutable; create another DrainPolicy for another StatefulSet.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="statefulSetRef is immutable; create another DrainPolicy for another StatefulSet"
	StatefulSetRef StatefulSetReference `json:"statefulSetRef,omitzero"`

	// template is the pod template that drains one ordinal. Exactly one of template and templateFrom must be set.
	//
	// The operator adds a volume for every volumeClaimTemplate of the StatefulSet, named like that template. Where the
	// template leaves them unset, it adds the environment variables DRAIN_STATEFULSET, DRAIN_NAMESPACE, DRAIN_ORDINAL,
	// DRAIN_POD_NAME, DRAIN_SERVICE, DRAIN_REPLICAS, DRAIN_START_ORDINAL, DRAIN_PEERS, DRAIN_ATTEMPT and DRAIN_RECEIPT. It
	// also copies the pod-level securityContext, tolerations, nodeSelector, imagePullSecrets, priorityClassName,
	// schedulerName and runtimeClassName of the StatefulSet's pods. The Job and its pods get the labels and annotations of
	// the template.
	//
	// The pod must exit with 0 only when the data is safe elsewhere, and it must be able to run again on partly drained
	// claims. spec.restartPolicy must be OnFailure, Never or unset. spec.nodeName and spec.activeDeadlineSeconds can't be
	// set. As JSON, the template must not be larger than 64 KiB or have more than 1024 objects.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.restartPolicy) || self.spec.restartPolicy != 'Always'",message="spec.restartPolicy must be OnFailure or Never: a drain has an end",fieldPath=".spec.restartPolicy",reason=FieldValueInvalid
	// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.nodeName)",message="spec.nodeName may not be set: a drain must be able to run on any node; use nodeSelector or affinity",fieldPath=".spec",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.activeDeadlineSeconds)",message="spec.activeDeadlineSeconds may not be set: use spec.job.activeDeadlineSeconds",fieldPath=".spec",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="has(self.spec) && self.spec.containers.size() > 0",message="spec.containers must have at least one container",fieldPath=".spec",reason=FieldValueRequired
	Template corev1.PodTemplateSpec `json:"template,omitzero"`

	// templateFrom is the source that the operator reads the template from. It reads the source again for each attempt.
	// Exactly one of template and templateFrom must be set. The rules for template apply to what the operator reads.
	// templateFrom can't be combined with whenDeleted Drain.
	// +optional
	TemplateFrom TemplateSource `json:"templateFrom,omitzero"`

	// whenScaled is what the operator does after a scale-down. Drain drains every orphaned ordinal. Retain keeps the
	// claims undrained and only reports them. Defaults to Drain.
	// +optional
	// +kubebuilder:default=Drain
	WhenScaled WhenScaled `json:"whenScaled,omitempty"`

	// whenDeleted is what the operator does after the StatefulSet was deleted. Retain keeps the claims undrained. Drain
	// drains every ordinal that has claims when its pod has terminated, including ordinals whose claims whenScaled Retain
	// had kept. Such a drain has no peers. Drain requires that minReadyReplicas is 0, and can't be combined with
	// templateFrom. Defaults to Retain.
	// +optional
	// +kubebuilder:default=Retain
	WhenDeleted WhenDeleted `json:"whenDeleted,omitempty"`

	// whenDrained is what the operator does with the claims of a drained ordinal. Retain keeps them and marks them as
	// drained. Delete deletes exactly the claims that the drain mounted. Defaults to Retain.
	// +optional
	// +kubebuilder:default=Retain
	WhenDrained WhenDrained `json:"whenDrained,omitempty"`

	// proof is the evidence that the operator requires before it treats a drain as successful. With Receipt, every
	// container except init containers and sidecars must end its termination message with the value of DRAIN_RECEIPT, as
	// its last act. An exit code of 0 without a receipt is a failed attempt. With ExitCode, an exit code of 0 is enough.
	// ExitCode can lose data: the kubelet can stop a container without a trace in the API, and many programs exit with 0
	// when they are stopped. ExitCode can't be combined with job.podFailurePolicy. Defaults to Receipt.
	// +optional
	// +kubebuilder:default=Receipt
	Proof Proof `json:"proof,omitempty"`

	// whenScaledUp is what the operator does when an ordinal is back in range while its drain runs. Wait lets the drain
	// finish before the StatefulSet's pod starts. Cancel stops the drain, and the pod mounts the partly drained claims. A
	// drain whose pod has not started is stopped in both cases. Defaults to Wait.
	// +optional
	// +kubebuilder:default=Wait
	WhenScaledUp WhenScaledUp `json:"whenScaledUp,omitempty"`

	// identity is the network identity of a drain pod. With Job, the pod has a hostname of its own. With StatefulSetPod, it
	// has the hostname and the subdomain of the StatefulSet's pod of its ordinal, where the template leaves them unset. Its
	// DNS name resolves only if the template has the labels that the StatefulSet's Service selects. Defaults to Job.
	// +optional
	// +kubebuilder:default=Job
	Identity Identity `json:"identity,omitempty"`

	// maxConcurrentDrains is the maximum number of ordinals that the operator drains at the same time. It starts with the
	// highest ordinal. A drain whose latest attempt failed counts, too. Must be between 1 and 1000. Defaults to 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxConcurrentDrains *int32 `json:"maxConcurrentDrains,omitempty"`

	// minReadyReplicas is the minimum number of ready replicas that must remain before a drain starts, so that they can
	// take the data. Set it to 0 for drains that move the data out of the StatefulSet, such as an upload. Such drains also
	// work when scaling to zero. Must be 0 when whenDeleted is Drain, and otherwise between 0 and 1000000. Defaults to 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MinReadyReplicas *int32 `json:"minReadyReplicas,omitempty"`

	// minOrphanedSeconds is the minimum time in seconds that an ordinal must be outside the StatefulSet's range before its
	// drain starts. Use it to have time to undo a scale-down. The operator keeps the time in the status: that of each ordinal
	// in status.drains, and for ordinals beyond the 100 entries there that of the last scale-down. Must be between 0 and
	// 31536000 (one year). Defaults to 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	MinOrphanedSeconds *int32 `json:"minOrphanedSeconds,omitempty"`

	// progressDeadlineSeconds is the maximum time in seconds that a running drain may report no progress. After that, the policy
	// is stalled, and the drain continues. A drain reports progress by lines in its log, such as "drain-progress: 40% moved 12 of
	// 30 files", and the operator shows the latest one in status.drains. When unset, the operator does not read the logs of
	// running drains. Must be between 60 and 31536000 (one year).
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31536000
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"`

	// suspend prevents new drains and further attempts from starting when set to true. Running drains continue, and the
	// status still reports orphaned ordinals. With replicas, the operator also does not scale the StatefulSet, neither down
	// nor up, and no member starts to leave or to join again. Defaults to false.
	// +optional
	// +kubebuilder:default=false
	Suspend *bool `json:"suspend,omitempty"`

	// replicas is the number of replicas that the operator gives the StatefulSet, so that "kubectl scale" and autoscalers can
	// scale the policy. The operator scales the StatefulSet up at once. It scales it down by one ordinal at a time: the next
	// one only when the drain of the last one is over, and all remaining replicas are ready. When unset, the operator never
	// changes the replicas of the StatefulSet. It needs the right to update statefulsets/scale, which the default
	// installation does not give. Must be between 0 and 1000000.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Replicas *int32 `json:"replicas,omitempty"`

	// leave is a Job that takes a member out of the application while its pod runs, before the operator lowers the replicas.
	// It requires replicas. When unset, the operator lowers the replicas without one.
	// +optional
	Leave *LeaveOptions `json:"leave,omitempty"`

	// job is the part of the drain's Job that the policy can set. When unset, only backoffLimit has a value, its default.
	// +optional
	// +kubebuilder:default={backoffLimit: 6}
	Job JobOptions `json:"job,omitzero"`

	// retry is when the operator starts another attempt after one has failed. When unset, all fields have their defaults.
	// +optional
	// +kubebuilder:default={initialDelaySeconds: 30, maxDelaySeconds: 1800}
	Retry RetryOptions `json:"retry,omitzero"`
}

// LeaveOptions describes the Job by which a member leaves the application while its pod runs.
//
// +kubebuilder:validation:XValidation:rule="!has(self.job) || !has(self.job.podFailurePolicy) || !has(self.template.spec) || !has(self.template.spec.restartPolicy) || self.template.spec.restartPolicy == 'Never'",message="template.spec.restartPolicy must be Never or unset with job.podFailurePolicy",fieldPath=".template.spec.restartPolicy",reason=FieldValueInvalid
type LeaveOptions struct {
	// template is the pod template by which the member of the highest ordinal leaves, or joins again. It gets the environment
	// variables of a drain, and DRAIN_ACTION, which is leave, or rejoin when the StatefulSet keeps an ordinal whose member has
	// begun to leave. It gets no claims, and it must not mount a claim of the StatefulSet.
	//
	// The pod must exit with 0 only when the member has left, or is back, and it must prove that as proof says. It must be able
	// to run again at any time: after a failure, when the pod of the member was replaced, and when its Job was deleted.
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.restartPolicy) || self.spec.restartPolicy != 'Always'",message="spec.restartPolicy must be OnFailure or Never: leaving has an end",fieldPath=".spec.restartPolicy",reason=FieldValueInvalid
	// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.activeDeadlineSeconds)",message="spec.activeDeadlineSeconds may not be set: use spec.leave.job.activeDeadlineSeconds",fieldPath=".spec",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="has(self.spec) && self.spec.containers.size() > 0",message="spec.containers must have at least one container",fieldPath=".spec",reason=FieldValueRequired
	Template corev1.PodTemplateSpec `json:"template,omitzero"` //nolint:kubeapilinter // The rule about containers refuses an empty one.

	// job is the part of the Job that the policy can set. When unset, only backoffLimit has a value, its default.
	// +optional
	// +kubebuilder:default={backoffLimit: 6}
	Job JobOptions `json:"job,omitzero"`

	// deadAfterSeconds is the time in seconds for which the pod of the highest ordinal must not have been ready before the
	// operator takes the member for dead. A dead member does not leave: the operator lowers the replicas, and the drain of its
	// claims must do. A pod that is not ready because its member is leaving counts, too, so set a longer time than leaving
	// takes. When unset, a member never counts as dead. Must be between 10 and 31536000 (one year).
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=31536000
	DeadAfterSeconds *int32 `json:"deadAfterSeconds,omitempty"`
}

// StatefulSetReference identifies a StatefulSet in the namespace of the policy.
type StatefulSetReference struct {
	// name is the name of the StatefulSet. It must be a DNS subdomain name of at most 253 characters. The StatefulSet need
	// not exist yet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`
}

// TemplateSource is the source that the operator reads a template from.
//
// +kubebuilder:validation:MinProperties=1
type TemplateSource struct {
	// statefulSetAnnotation is the key of an annotation on the StatefulSet. Its value is the JSON of a Pod, whose labels,
	// annotations and spec are the template. It is the only source, so it must be set.
	// +optional
	StatefulSetAnnotation TemplateAnnotation `json:"statefulSetAnnotation,omitempty"`
}

// TemplateAnnotation is the key of an annotation whose value is the JSON of a Pod.
//
// +kubebuilder:validation:Enum=statefulsets.kubernetes.io/scaledown-pod-template;statefulsets.kubernetes.io/drainer-pod-template
type TemplateAnnotation string

const (
	// ScaledownPodTemplateAnnotation is the annotation that statefulset-scaledown-controller reads.
	ScaledownPodTemplateAnnotation TemplateAnnotation = "statefulsets.kubernetes.io/scaledown-pod-template"
	// DrainerPodTemplateAnnotation is the annotation that the same controller read under its former name,
	// statefulset-drain-controller.
	DrainerPodTemplateAnnotation TemplateAnnotation = "statefulsets.kubernetes.io/drainer-pod-template"
)

// TemplateAnnotations returns the keys of the annotations that can hold a template. The first that a StatefulSet has takes
// precedence.
func TemplateAnnotations() []TemplateAnnotation {
	return []TemplateAnnotation{ScaledownPodTemplateAnnotation, DrainerPodTemplateAnnotation}
}

// JobOptions are the fields of a batch/v1 Job that a policy can set.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.podFailurePolicy) || self.podFailurePolicy.rules.size() <= 20",message="podFailurePolicy must have at most 20 rules",fieldPath=".podFailurePolicy.rules",reason=FieldValueInvalid
type JobOptions struct {
	// backoffLimit is the number of retries within one Job. When they have failed too, the attempt has failed. Must be
	// between 0 and 100000. Defaults to 6.
	// +optional
	// +kubebuilder:default=6
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// activeDeadlineSeconds is the maximum time in seconds that an attempt can take. An attempt that takes longer fails.
	// When unset, the time is not limited. Must be between 1 and 31536000 (one year).
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"`

	// podFailurePolicy is the podFailurePolicy of the Job. It requires the restartPolicy Never, which a template gets if it
	// leaves restartPolicy unset. It can't be combined with proof ExitCode. When unset, every failure of a pod counts
	// towards backoffLimit. It can have at most 20 rules.
	// +optional
	PodFailurePolicy *batchv1.PodFailurePolicy `json:"podFailurePolicy,omitempty"`
}

// RetryOptions is an exponential backoff between the attempts of a drain. The delay starts at initialDelaySeconds and doubles
// with every failed attempt, up to maxDelaySeconds.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="self.initialDelaySeconds <= self.maxDelaySeconds",message="initialDelaySeconds must not be greater than maxDelaySeconds",fieldPath=".initialDelaySeconds",reason=FieldValueInvalid
type RetryOptions struct {
	// initialDelaySeconds is the time in seconds between the first failed attempt and the second attempt. Must be between 1
	// and 86400 (one day), and not greater than maxDelaySeconds. Defaults to 30.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	InitialDelaySeconds *int32 `json:"initialDelaySeconds,omitempty"`

	// maxDelaySeconds is the maximum time in seconds between two attempts. Must be between 1 and 86400 (one day). Defaults
	// to 1800.
	// +optional
	// +kubebuilder:default=1800
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	MaxDelaySeconds *int32 `json:"maxDelaySeconds,omitempty"`

	// maxAttempts is the maximum number of attempts. After that, the operator keeps the claims undrained, and the policy is
	// stalled until the template changes or maxAttempts is raised. When unset, the number is not limited. Must be between 1
	// and 1000000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxAttempts *int32 `json:"maxAttempts,omitempty"`
}

// DrainState is the state of the drain of one ordinal.
//
// +kubebuilder:validation:Enum=Waiting;Draining;Failed;Blocked;Retained;Drained
type DrainState string

const (
	// DrainWaiting means that the drain has not started. The reason is what it waits for.
	DrainWaiting DrainState = "Waiting"
	// DrainDraining means that the ordinal is locked: its drain starts, runs, or its claims are being marked or deleted.
	DrainDraining DrainState = "Draining"
	// DrainFailed means that the latest attempt has failed. The message has the time of the next attempt.
	DrainFailed DrainState = "Failed"
	// DrainBlocked means that a person must change something before the ordinal can be drained.
	DrainBlocked DrainState = "Blocked"
	// DrainRetained means that the claims are kept undrained, because no drain is requested.
	DrainRetained DrainState = "Retained"
	// DrainDrained means that a drain of these very claims has succeeded since a pod last used them.
	DrainDrained DrainState = "Drained"
)

// DrainPolicyStatus is the state of the StatefulSet's ordinals and claims that the operator last observed.
type DrainPolicyStatus struct {
	// observedGeneration is the generation of the policy that this status describes. It is -1 until the operator has observed
	// the policy, so that tools do not read a new policy as accepted.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// statefulSet is the StatefulSet as the operator last observed it. It remains after the StatefulSet is deleted, because
	// the operator recognizes the claims by it. Unset until the StatefulSet exists.
	// +optional
	StatefulSet *ObservedStatefulSet `json:"statefulSet,omitzero"`

	// replicas is the number of pods of the StatefulSet. Unset when the StatefulSet does not exist.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// selector is the label selector of the StatefulSet's pods, as a string. Autoscalers find the pods by it. Unset when the
	// StatefulSet does not exist. At most 65536 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Selector string `json:"selector,omitempty"`

	// templateHash is a hash of everything that a drain pod is made from. The operator validates the template again when the
	// hash changes. At most 64 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	TemplateHash string `json:"templateHash,omitempty"`

	// undrained is the number of orphaned ordinals whose claims hold undrained data, including those that are being
	// drained, retained or skipped. Claims that never had a volume hold no data.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Undrained *int32 `json:"undrained,omitempty"`

	// draining is the number of ordinals that are locked for a drain, including those whose failed attempt is to be
	// retried.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Draining *int32 `json:"draining,omitempty"`

	// kept is the number of orphaned ordinals whose claims are drained and kept.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Kept *int32 `json:"kept,omitempty"`

	// failed is the number of ordinals whose latest attempt has failed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Failed *int32 `json:"failed,omitempty"`

	// oldestPendingTime is the time since when the oldest drain is pending that is waiting, under way, failed or blocked.
	// Unset when no drain is pending.
	// +optional
	OldestPendingTime *metav1.Time `json:"oldestPendingTime,omitempty"`

	// orphanedCapacity is the total capacity of all claims of orphaned ordinals, including drained claims.
	// +optional
	OrphanedCapacity *resource.Quantity `json:"orphanedCapacity,omitempty"`

	// drains are the drains of the ordinals, sorted from the highest ordinal to the lowest. When there are more than 100,
	// drains that are under way, failed or blocked take precedence over those that wait. Of the drains that have ended, the
	// latest ten remain. The counters above include all ordinals.
	// +optional
	// +listType=map
	// +listMapKey=ordinal
	// +kubebuilder:validation:MaxItems=100
	Drains []DrainStatus `json:"drains,omitempty"`

	// strandedClaims are claims that are named like claims of the StatefulSet, and that the operator does not drain. Either
	// none of the volumeClaimTemplates creates such claims, or they lack the labels of the StatefulSet's selector. For
	// example, a StatefulSet that was created again with other templates leaves such claims. The operator never marks or
	// deletes them. At most 100 are listed.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	StrandedClaims []ClaimReference `json:"strandedClaims,omitempty"`

	// conditions are the conditions of the policy. Ready is True when the policy is accepted. Drained is True when no
	// orphaned ordinal holds undrained data. Stalled is True when a person must act. Scaled is True when the StatefulSet has
	// spec.replicas, and is absent while spec.replicas is unset.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ObservedStatefulSet is what the operator recognizes the claims of a StatefulSet by, and what it makes drain pods from after
// the StatefulSet was deleted.
type ObservedStatefulSet struct {
	// uid is the UID of the StatefulSet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`

	// generation is the generation of the StatefulSet that this status describes. Compare it with metadata.generation of the
	// StatefulSet to see whether the status includes its latest change.
	// +required
	// +kubebuilder:validation:Minimum=0
	Generation *int64 `json:"generation,omitempty"`

	// startOrdinal is the first ordinal in the range of the StatefulSet.
	// +required
	// +kubebuilder:validation:Minimum=0
	StartOrdinal *int32 `json:"startOrdinal,omitempty"`

	// replicas is the number of ordinals in the range of the StatefulSet. It is 0 when the StatefulSet is gone.
	// +required
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// lastScaleDownTime is the time when the operator last saw an ordinal leave the range of the StatefulSet.
	// spec.minOrphanedSeconds counts from it for ordinals that status.drains has no room for.
	// +optional
	LastScaleDownTime *metav1.Time `json:"lastScaleDownTime,omitempty"`

	// claimTemplates are the names of the StatefulSet's volumeClaimTemplates. Unset when it has more than 100, because such
	// a StatefulSet can't be drained.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	ClaimTemplates []string `json:"claimTemplates,omitempty"`

	// matchLabels are the labels of the StatefulSet's selector. The StatefulSet controller adds them to every claim that it
	// creates.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=10000
	MatchLabels map[string]string `json:"matchLabels,omitempty"`

	// serviceName is the name of the StatefulSet's governing Service.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServiceName string `json:"serviceName,omitempty"`

	// ignoredAnnotations are the annotations of the StatefulSet that hold a template and that this policy does not use.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	IgnoredAnnotations []TemplateAnnotation `json:"ignoredAnnotations,omitempty"`

	// terminationGracePeriodSeconds is the grace period in the StatefulSet's pod template. With 0, pods can disappear while
	// their containers run, and the operator does not drain the StatefulSet.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`

	// podDefaults are the fields of the StatefulSet's pod template that drain pods get where the policy's template leaves
	// them unset.
	// +optional
	PodDefaults *PodDefaults `json:"podDefaults,omitempty"`
}

// PodDefaults are the fields of a StatefulSet's pod template that its drain pods get where the policy's template leaves them
// unset.
type PodDefaults struct {
	// securityContext is the pod-level security context.
	// +optional
	SecurityContext *corev1.PodSecurityContext `json:"securityContext,omitempty"`

	// tolerations are the tolerations of the pod.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// nodeSelector is the node selector of the pod.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=10000
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// imagePullSecrets are the references to the Secrets that the kubelet pulls images with.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// priorityClassName is the name of the pod's PriorityClass.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// schedulerName is the name of the scheduler that assigns the pod to a node.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SchedulerName string `json:"schedulerName,omitempty"`

	// runtimeClassName is the name of the pod's RuntimeClass.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	RuntimeClassName *string `json:"runtimeClassName,omitempty"`
}

// DrainStatus is the state of the drain of one ordinal.
type DrainStatus struct {
	// ordinal is the ordinal that is drained.
	// +required
	// +kubebuilder:validation:Minimum=0
	Ordinal *int32 `json:"ordinal,omitempty"`

	// state is the state of the drain: Waiting, Draining, Failed, Blocked, Retained or Drained.
	// +required
	State DrainState `json:"state,omitempty"`

	// reason is the cause of the state as one word in CamelCase, for programs. At most 64 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message is the cause of the state in words. When an attempt has ended, it includes the termination message of the
	// drain. At most 1024 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// claims are the claims of the ordinal. At most 100 are listed, and fewer where that would be more than 1000 in all entries.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Claims []ClaimReference `json:"claims,omitempty"`

	// jobName is the name of the Job of the latest attempt. Unset until there is an attempt.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	JobName string `json:"jobName,omitempty"`

	// attempts is the number of attempts of this drain, including the running one.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Attempts int32 `json:"attempts,omitempty"`

	// lastTransitionTime is the time when the state or the reason last changed.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`

	// orphanedTime is the time since when the ordinal is known to be outside the StatefulSet's range.
	// spec.minOrphanedSeconds counts from it.
	// +optional
	OrphanedTime *metav1.Time `json:"orphanedTime,omitempty"`

	// startTime is the time when the latest attempt started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is the time when the drain succeeded.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// progress is what the running drain last reported in its log. Unset when it has reported nothing, or when
	// spec.progressDeadlineSeconds is unset.
	// +optional
	Progress *DrainProgress `json:"progress,omitzero"`
}

// MaxProgressMessage is the maximum length of the message of a DrainProgress. The schema has it too.
const MaxProgressMessage = 256

// DrainProgress is how far a drain is, as it says itself.
type DrainProgress struct {
	// time is the time when the drain reported it.
	// +required
	Time *metav1.Time `json:"time,omitempty"`

	// percent is how much of the drain is done. Unset when the drain does not say.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *int32 `json:"percent,omitempty"`

	// message is how far the drain is, in words. At most 256 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// ClaimReference identifies one PersistentVolumeClaim. A claim that is created later with the same name has another UID.
type ClaimReference struct {
	// name is the name of the claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// uid is the UID of the claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// DrainPolicy drains the PersistentVolumeClaims that a StatefulSet leaves behind when it is scaled down. For every orphaned
// ordinal, the operator runs a pod with the orphaned claims until the pod succeeds, and then keeps or deletes the claims. An
// orphaned ordinal is one outside the StatefulSet's range that still has claims.
//
// The operator deletes a claim only if a drain of that very claim has succeeded since a pod last used it. A drain pod and the
// StatefulSet's own pod of the same ordinal never run at the same time.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=dpol
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:selectablefield:JSONPath=`.spec.statefulSetRef.name`
// +kubebuilder:printcolumn:name="StatefulSet",type=string,JSONPath=`.spec.statefulSetRef.name`,description="Name of the StatefulSet"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the policy is accepted"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Reason of the Ready condition",priority=1
// +kubebuilder:printcolumn:name="Undrained",type=integer,JSONPath=`.status.undrained`,description="Number of orphaned ordinals that hold undrained data"
// +kubebuilder:printcolumn:name="Draining",type=integer,JSONPath=`.status.draining`,description="Number of ordinals that are locked for a drain"
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.failed`,description="Number of ordinals whose latest attempt has failed"
// +kubebuilder:printcolumn:name="Kept",type=integer,JSONPath=`.status.kept`,description="Number of orphaned ordinals whose claims are drained and kept",priority=1
// +kubebuilder:printcolumn:name="Drained",type=string,JSONPath=`.status.conditions[?(@.type=="Drained")].status`,description="Whether no orphaned ordinal holds undrained data"
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Drained")].reason`,description="Reason of the Drained condition"
// +kubebuilder:printcolumn:name="Oldest",type=date,JSONPath=`.status.oldestPendingTime`,description="Time since when the oldest pending drain is pending"
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.spec.replicas`,description="Number of replicas that the operator gives the StatefulSet",priority=1
// +kubebuilder:printcolumn:name="Scaled",type=string,JSONPath=`.status.conditions[?(@.type=="Scaled")].reason`,description="Reason of the Scaled condition",priority=1
// +kubebuilder:printcolumn:name="Progress",type=integer,JSONPath=`.status.drains[?(@.progress)].progress.percent`,description="Progress in percent that the highest ordinal reports",priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Drained")].message`,description="Message of the Drained condition",priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DrainPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired behavior of the policy.
	// +required
	Spec DrainPolicySpec `json:"spec,omitzero"`

	// status is the state that the operator last observed. Only the operator writes it.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status DrainPolicyStatus `json:"status,omitzero"`
}

// DrainPolicyList is a list of DrainPolicies.
//
// +kubebuilder:object:root=true
type DrainPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DrainPolicy `json:"items"`
}
