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

// WhenScaled says what a scale-down of the StatefulSet asks for.
//
// +kubebuilder:validation:Enum=Drain;Retain
type WhenScaled string

const (
	// WhenScaledDrain runs a drain for every ordinal that a scale-down leaves behind.
	WhenScaledDrain WhenScaled = "Drain"
	// WhenScaledRetain starts nothing: the claims are kept as they are, and are only reported.
	WhenScaledRetain WhenScaled = "Retain"
)

// WhenDeleted says what deleting the StatefulSet asks for.
//
// +kubebuilder:validation:Enum=Drain;Retain
type WhenDeleted string

const (
	// WhenDeletedDrain runs a drain for every ordinal of a StatefulSet that is gone.
	WhenDeletedDrain WhenDeleted = "Drain"
	// WhenDeletedRetain starts nothing: the claims are kept as they are.
	WhenDeletedRetain WhenDeleted = "Retain"
)

// Identity says which identity a drain pod has on the network.
//
// +kubebuilder:validation:Enum=Job;StatefulSetPod
type Identity string

const (
	// IdentityJob gives a drain pod the host name that its Job gives it.
	IdentityJob Identity = "Job"
	// IdentityStatefulSetPod gives a drain pod the hostname and subdomain of the pod that it stands in for.
	IdentityStatefulSetPod Identity = "StatefulSetPod"
)

// Proof is the evidence that a drain must leave before the operator believes that it succeeded.
//
// +kubebuilder:validation:Enum=Receipt;ExitCode
type Proof string

const (
	// ProofReceipt requires that every container of the drain ends its termination message with the value of
	// the environment variable DRAIN_RECEIPT. Containers that were told to end before they were done don't.
	ProofReceipt Proof = "Receipt"
	// ProofExitCode believes an exit code of 0. The kubelet can end a container without a trace in the
	// API, and many programs exit with 0 when they are told to end.
	ProofExitCode Proof = "ExitCode"
)

// WhenDrained says what becomes of the claims of a drained ordinal.
//
// +kubebuilder:validation:Enum=Retain;Delete
type WhenDrained string

const (
	// WhenDrainedRetain keeps the claims, marked as drained.
	WhenDrainedRetain WhenDrained = "Retain"
	// WhenDrainedDelete deletes exactly the claims that the drain mounted.
	WhenDrainedDelete WhenDrained = "Delete"
)

// WhenScaledUp says what happens when an ordinal is wanted back while its drain runs.
//
// +kubebuilder:validation:Enum=Wait;Cancel
type WhenScaledUp string

const (
	// WhenScaledUpWait lets the running drain end; the StatefulSet's pod starts after it.
	WhenScaledUpWait WhenScaledUp = "Wait"
	// WhenScaledUpCancel stops the running drain; the StatefulSet's pod starts once the
	// drain pod is gone, on the half-drained claims.
	WhenScaledUpCancel WhenScaledUp = "Cancel"
)

// DrainPolicySpec says which StatefulSet is watched over, how an ordinal that it
// leaves behind is drained, and what becomes of the claims after that.
//
// +kubebuilder:validation:ExactlyOneOf=template;templateFrom
// +kubebuilder:validation:XValidation:rule="!has(self.templateFrom) || !has(self.whenDeleted) || self.whenDeleted == 'Retain'",message="whenDeleted must be Retain with templateFrom: the annotation is gone when the StatefulSet is",fieldPath=".whenDeleted",reason=FieldValueInvalid
type DrainPolicySpec struct {
	// statefulSetRef names the StatefulSet, in the policy's own namespace, whose
	// orphaned claims are drained. It can't be changed: create another policy instead.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="statefulSetRef is immutable; create another DrainPolicy for another StatefulSet"
	StatefulSetRef StatefulSetReference `json:"statefulSetRef,omitzero"`

	// template is the pod that drains one ordinal. The operator adds what the template
	// leaves out: a volume for every volumeClaimTemplate of the StatefulSet, under that
	// template's name; the environment variables DRAIN_STATEFULSET, DRAIN_NAMESPACE,
	// DRAIN_ORDINAL, DRAIN_POD_NAME, DRAIN_SERVICE, DRAIN_REPLICAS, DRAIN_START_ORDINAL,
	// DRAIN_PEERS, DRAIN_ATTEMPT and DRAIN_RECEIPT; and the StatefulSet's pod-level securityContext,
	// tolerations, nodeSelector, imagePullSecrets, priorityClassName, schedulerName and
	// runtimeClassName. Its labels and annotations reach the Job and its pods. The pod
	// must exit 0 only when the data is safe elsewhere, and must be able to run again on
	// half-drained claims. A policy has either this or templateFrom.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.restartPolicy) || self.spec.restartPolicy != 'Always'",message="spec.restartPolicy must be OnFailure or Never: a drain has an end",fieldPath=".spec.restartPolicy",reason=FieldValueInvalid
	// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.nodeName)",message="spec.nodeName may not be set: a drain must be able to run on any node; use nodeSelector or affinity",fieldPath=".spec",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.activeDeadlineSeconds)",message="spec.activeDeadlineSeconds may not be set: use spec.job.activeDeadlineSeconds",fieldPath=".spec",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="has(self.spec) && self.spec.containers.size() > 0",message="spec.containers must have at least one container",fieldPath=".spec",reason=FieldValueRequired
	Template corev1.PodTemplateSpec `json:"template,omitzero"`

	// templateFrom names where the template is read from instead, whenever it is needed.
	// What is said of template holds for what is read.
	// +optional
	TemplateFrom TemplateSource `json:"templateFrom,omitzero"`

	// whenScaled says what a scale-down asks for: Drain (the default) runs a drain for
	// every ordinal left behind; Retain keeps the claims as they are and only reports them.
	// +optional
	// +kubebuilder:default=Drain
	WhenScaled WhenScaled `json:"whenScaled,omitempty"`

	// whenDeleted says what deleting the StatefulSet asks for: Retain (the default) keeps
	// the claims as they are; Drain runs a drain for every ordinal that has claims, once its
	// pod is gone, also for those that whenScaled: Retain had kept. No replicas remain then,
	// so such a drain has no peers, and minReadyReplicas must be 0.
	// +optional
	// +kubebuilder:default=Retain
	WhenDeleted WhenDeleted `json:"whenDeleted,omitempty"`

	// whenDrained says what becomes of the claims of a drained ordinal: Retain (the
	// default) keeps them, marked as drained; Delete deletes exactly the claims that the
	// drain mounted.
	// +optional
	// +kubebuilder:default=Retain
	WhenDrained WhenDrained `json:"whenDrained,omitempty"`

	// proof is the evidence that a drain must leave before its claims count as drained. With
	// Receipt, every container except init containers and sidecars must end its termination
	// message with the value of DRAIN_RECEIPT, as its last act; an exit code of 0 without it is
	// a failed attempt. With ExitCode, an exit code of 0 is enough. The kubelet can end a
	// container without a trace in the API, and many programs exit with 0 when they are told to
	// end, so ExitCode can lose data. Defaults to Receipt.
	// +optional
	// +kubebuilder:default=Receipt
	Proof Proof `json:"proof,omitempty"`

	// whenScaledUp says what happens when an ordinal is wanted back while its drain runs:
	// Wait (the default) lets the drain end before the StatefulSet's pod starts; Cancel
	// stops the drain and gives the pod the half-drained claims.
	// +optional
	// +kubebuilder:default=Wait
	WhenScaledUp WhenScaledUp `json:"whenScaledUp,omitempty"`

	// identity says which identity a drain pod has on the network: Job (the default) is one
	// of its own; StatefulSetPod is the hostname and subdomain of the pod that it stands in
	// for. For its DNS name to resolve, the pod must also have the labels that the
	// StatefulSet's Service selects, which are the template's to give.
	// +optional
	// +kubebuilder:default=Job
	Identity Identity `json:"identity,omitempty"`

	// maxConcurrentDrains bounds how many ordinals are drained at the same time. The
	// highest ordinal goes first.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxConcurrentDrains *int32 `json:"maxConcurrentDrains,omitempty"`

	// minReadyReplicas is the number of ready replicas that must remain before a drain
	// starts, so that somebody is there to take the data. Set it to 0 for drains that
	// carry the data out of the StatefulSet, an upload for example; they then work when
	// scaling to zero too.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MinReadyReplicas *int32 `json:"minReadyReplicas,omitempty"`

	// minOrphanedSeconds is how long an ordinal must have been out of the StatefulSet's range
	// before its drain starts: the time to undo a mistaken scale-down. The time is kept in
	// status.drains; for ordinals beyond the 100 shown there it starts when they are.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	MinOrphanedSeconds *int32 `json:"minOrphanedSeconds,omitempty"`

	// suspend lets, when true, no new drain start and no further attempt begin. Running
	// drains go on; orphans are still reported.
	// +optional
	// +kubebuilder:default=false
	Suspend *bool `json:"suspend,omitempty"`

	// job holds what is passed on to the drain's Job.
	// +optional
	// +kubebuilder:default={backoffLimit: 6}
	Job JobOptions `json:"job,omitzero"`

	// retry says when a drain whose Job failed is attempted again.
	// +optional
	// +kubebuilder:default={initialDelaySeconds: 30, maxDelaySeconds: 1800}
	Retry RetryOptions `json:"retry,omitzero"`
}

// StatefulSetReference names a StatefulSet of the same namespace.
type StatefulSetReference struct {
	// name of the StatefulSet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`
}

// TemplateSource is where a template is read from.
//
// +kubebuilder:validation:MinProperties=1
type TemplateSource struct {
	// statefulSetAnnotation is the key of an annotation on the StatefulSet, whose value is the
	// JSON of a Pod: its labels, annotations and spec are the template.
	// +optional
	StatefulSetAnnotation TemplateAnnotation `json:"statefulSetAnnotation,omitempty"`
}

// TemplateAnnotation is the key of an annotation that holds the JSON of a Pod.
//
// +kubebuilder:validation:Enum=statefulsets.kubernetes.io/scaledown-pod-template;statefulsets.kubernetes.io/drainer-pod-template
type TemplateAnnotation string

const (
	// ScaledownPodTemplateAnnotation is the key that statefulset-scaledown-controller read last.
	ScaledownPodTemplateAnnotation TemplateAnnotation = "statefulsets.kubernetes.io/scaledown-pod-template"
	// DrainerPodTemplateAnnotation is the key that it read when it was named statefulset-drain-controller.
	DrainerPodTemplateAnnotation TemplateAnnotation = "statefulsets.kubernetes.io/drainer-pod-template"
)

// TemplateAnnotations are the keys of annotations that may hold a template. Where several are
// there, the first counts.
func TemplateAnnotations() []TemplateAnnotation {
	return []TemplateAnnotation{ScaledownPodTemplateAnnotation, DrainerPodTemplateAnnotation}
}

// JobOptions are the fields of a batch/v1 Job that a policy may set.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.podFailurePolicy) || self.podFailurePolicy.rules.size() <= 20",message="podFailurePolicy must have at most 20 rules"
type JobOptions struct {
	// backoffLimit is the number of failures within one Job before the Job, and with it
	// this attempt of the drain, counts as failed.
	// +optional
	// +kubebuilder:default=6
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// activeDeadlineSeconds ends an attempt that takes longer, as failed. Unset, an
	// attempt may take as long as it needs.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"`

	// podFailurePolicy is the Job's podFailurePolicy. With it, a template that names no
	// restartPolicy gets Never, as Jobs require.
	// +optional
	PodFailurePolicy *batchv1.PodFailurePolicy `json:"podFailurePolicy,omitempty"`
}

// RetryOptions is an exponential backoff between the attempts of a drain: the delay
// doubles with every failed Job, from initialDelaySeconds up to maxDelaySeconds.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="self.initialDelaySeconds <= self.maxDelaySeconds",message="initialDelaySeconds must not be greater than maxDelaySeconds"
type RetryOptions struct {
	// initialDelaySeconds is the time between the first failed attempt and the second.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	InitialDelaySeconds *int32 `json:"initialDelaySeconds,omitempty"`

	// maxDelaySeconds is the longest time between two attempts.
	// +optional
	// +kubebuilder:default=1800
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	MaxDelaySeconds *int32 `json:"maxDelaySeconds,omitempty"`

	// maxAttempts is the number of attempts after which the drain waits for a person,
	// with the claims untouched. Unset, it is attempted for ever.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxAttempts *int32 `json:"maxAttempts,omitempty"`
}

// DrainState is where one ordinal's drain stands.
//
// +kubebuilder:validation:Enum=Waiting;Draining;Failed;Blocked;Retained;Drained
type DrainState string

const (
	// DrainWaiting means that nothing runs yet; the reason says what it waits for.
	DrainWaiting DrainState = "Waiting"
	// DrainDraining means that the drain is under way, from its lock to the disposal of its claims.
	DrainDraining DrainState = "Draining"
	// DrainFailed means that the latest attempt failed; the message says when the next one starts.
	DrainFailed DrainState = "Failed"
	// DrainBlocked means that the ordinal can't be drained until a person changes something.
	DrainBlocked DrainState = "Blocked"
	// DrainRetained means that nobody asked for a drain and the claims are kept undrained.
	DrainRetained DrainState = "Retained"
	// DrainDrained means that a drain of these very claims has succeeded since a pod last used them.
	DrainDrained DrainState = "Drained"
)

// DrainPolicyStatus is what the operator last saw and did.
type DrainPolicyStatus struct {
	// observedGeneration is the policy's generation that this status was made from.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// statefulSet is the StatefulSet as it was last seen. It stays after the StatefulSet
	// is gone, because it is what its claims are recognised by.
	// +optional
	StatefulSet *ObservedStatefulSet `json:"statefulSet,omitzero"`

	// templateHash is a hash of all that a drain pod would be made from now. The template is
	// tried again when it changes.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	TemplateHash string `json:"templateHash,omitempty"`

	// undrained is the number of ordinals outside the StatefulSet's range whose claims still
	// hold undrained data, those being drained included.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Undrained *int32 `json:"undrained,omitempty"`

	// draining is the number of ordinals whose drain is under way, failed attempts that
	// are to be repeated included.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Draining *int32 `json:"draining,omitempty"`

	// kept is the number of ordinals outside the StatefulSet's range whose claims are
	// kept after a successful drain.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Kept *int32 `json:"kept,omitempty"`

	// failed is the number of ordinals whose latest attempt failed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Failed *int32 `json:"failed,omitempty"`

	// orphanedCapacity is the sum of the capacities of all claims outside the
	// StatefulSet's range, drained ones included.
	// +optional
	OrphanedCapacity *resource.Quantity `json:"orphanedCapacity,omitempty"`

	// drains has an entry for each ordinal, the highest first: the ones in flight, failed
	// and blocked, then those next in turn, and the ten that ended last. At most 100 are
	// shown; the counts above are of all.
	// +optional
	// +listType=map
	// +listMapKey=ordinal
	// +kubebuilder:validation:MaxItems=100
	Drains []DrainStatus `json:"drains,omitempty"`

	// strandedClaims are named like claims of the StatefulSet and are not drained: none of
	// its volumeClaimTemplates makes them, or they lack the labels of its selector. A StatefulSet
	// that is created again with other templates leaves such claims, for example, and claims that
	// people made have no labels. They are never
	// marked or deleted. At most 100 are named.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	StrandedClaims []ClaimReference `json:"strandedClaims,omitempty"`

	// conditions are Ready (armed: a scale-down now would be drained), Drained (no orphan
	// awaits a drain) and Stalled (True only when a person must act).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ObservedStatefulSet is what a StatefulSet's claims are recognised by.
type ObservedStatefulSet struct {
	// uid of the StatefulSet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`

	// generation of the StatefulSet.
	// +required
	// +kubebuilder:validation:Minimum=0
	Generation *int64 `json:"generation,omitempty"`

	// startOrdinal is the first ordinal of its range.
	// +required
	// +kubebuilder:validation:Minimum=0
	StartOrdinal *int32 `json:"startOrdinal,omitempty"`

	// replicas is the number of ordinals in its range.
	// +required
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// claimTemplates are the names of its volumeClaimTemplates.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	ClaimTemplates []string `json:"claimTemplates,omitempty"`

	// matchLabels are those of its selector, which its controller gives to the claims that it makes.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	MatchLabels map[string]string `json:"matchLabels,omitempty"`

	// serviceName is the name of its governing Service.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServiceName string `json:"serviceName,omitempty"`

	// ignoredAnnotations are those of its annotations that hold a template too, and that this
	// policy doesn't read.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	IgnoredAnnotations []TemplateAnnotation `json:"ignoredAnnotations,omitempty"`

	// terminationGracePeriodSeconds of its Pod template.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`

	// podDefaults is what drain pods take over from its Pod template, also those that start
	// after the StatefulSet is gone.
	// +optional
	PodDefaults *PodDefaults `json:"podDefaults,omitempty"`
}

// PodDefaults are the fields of a StatefulSet's Pod template that its drain pods take over
// where the policy's template leaves them unset.
type PodDefaults struct {
	// securityContext of the pod.
	// +optional
	SecurityContext *corev1.PodSecurityContext `json:"securityContext,omitempty"`

	// tolerations of the pod.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// nodeSelector of the pod.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// imagePullSecrets of the pod.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// priorityClassName of the pod.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// schedulerName of the pod.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SchedulerName string `json:"schedulerName,omitempty"`

	// runtimeClassName of the pod.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	RuntimeClassName *string `json:"runtimeClassName,omitempty"`
}

// DrainStatus is where one ordinal's drain stands.
type DrainStatus struct {
	// ordinal that the StatefulSet left behind.
	// +required
	// +kubebuilder:validation:Minimum=0
	Ordinal *int32 `json:"ordinal,omitempty"`

	// state of the drain.
	// +required
	State DrainState `json:"state,omitempty"`

	// reason is the machine-readable cause of the state, in CamelCase.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message says what is going on, on which object and what it waits for; after the
	// drain ended it is the drain's own termination message.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// claims of the ordinal.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Claims []ClaimReference `json:"claims,omitempty"`

	// jobName is the Job of the latest attempt.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	JobName string `json:"jobName,omitempty"`

	// attempts is the number of attempts that this drain has had.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Attempts int32 `json:"attempts,omitempty"`

	// lastTransitionTime is when the state or the reason last changed.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`

	// orphanedTime is since when the ordinal is known to be out of the StatefulSet's range.
	// +optional
	OrphanedTime *metav1.Time `json:"orphanedTime,omitempty"`

	// startTime is when the latest attempt started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when the drain succeeded.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
}

// ClaimReference names one PersistentVolumeClaim, for good: a claim of the same name
// that is created later has another UID.
type ClaimReference struct {
	// name of the claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// uid of the claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// DrainPolicy drains the PersistentVolumeClaims that a StatefulSet leaves behind when it
// is scaled down: for every orphaned ordinal it runs a pod on the orphaned claims until
// that pod succeeds, and then keeps or deletes the claims. No claim is deleted unless a
// drain of that very claim has succeeded since a pod last used it, and a drain pod and the
// StatefulSet's own pod of the same ordinal never exist at the same time.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=dpol
// +kubebuilder:subresource:status
// +kubebuilder:selectablefield:JSONPath=`.spec.statefulSetRef.name`
// +kubebuilder:printcolumn:name="StatefulSet",type=string,JSONPath=`.spec.statefulSetRef.name`,description="The StatefulSet that is watched over"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Would a scale-down now be drained?"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is ready, or not",priority=1
// +kubebuilder:printcolumn:name="Undrained",type=integer,JSONPath=`.status.undrained`,description="Number of orphaned ordinals whose claims hold undrained data"
// +kubebuilder:printcolumn:name="Draining",type=integer,JSONPath=`.status.draining`,description="Ordinals whose drain is under way"
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.failed`,description="Ordinals whose latest attempt failed",priority=1
// +kubebuilder:printcolumn:name="Kept",type=integer,JSONPath=`.status.kept`,description="Number of drained ordinals whose claims are kept",priority=1
// +kubebuilder:printcolumn:name="Drained",type=string,JSONPath=`.status.conditions[?(@.type=="Drained")].status`,description="Does no orphan await a drain?"
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Drained")].reason`,description="What it is doing or waiting for"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Drained")].message`,description="What it is doing or waiting for, in words",priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DrainPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the user asks for.
	// +required
	Spec DrainPolicySpec `json:"spec,omitzero"`

	// status is what the operator last saw and did.
	// +optional
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
