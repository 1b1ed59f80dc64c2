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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DrainResult is how an attempt went.
//
// +kubebuilder:validation:Enum=Running;Succeeded;Failed;NotProven;Stopped
type DrainResult string

const (
	// DrainResultRunning means that the attempt goes on. Containers of it have ended and are tried again.
	DrainResultRunning DrainResult = "Running"
	// DrainResultSucceeded means that the Job is complete, and that its pod proved that it finished.
	DrainResultSucceeded DrainResult = "Succeeded"
	// DrainResultFailed means that the Job has failed.
	DrainResultFailed DrainResult = "Failed"
	// DrainResultNotProven means that the Job is complete, and that its pod did not prove that it finished.
	DrainResultNotProven DrainResult = "NotProven"
	// DrainResultStopped means that the Job was deleted before the operator saw how it ended.
	DrainResultStopped DrainResult = "Stopped"
)

// RecordedAction is what an attempt does.
//
// +kubebuilder:validation:Enum=Drain;Leave;Rejoin
type RecordedAction string

const (
	// RecordedDrain means that the attempt drains the claims of the ordinal.
	RecordedDrain RecordedAction = "Drain"
	// RecordedLeave means that the member of the ordinal leaves by the attempt.
	RecordedLeave RecordedAction = "Leave"
	// RecordedRejoin means that the member of the ordinal joins again by the attempt.
	RecordedRejoin RecordedAction = "Rejoin"
)

// Bounds of a DrainRecord. The schema has them too.
const (
	// MaxRecordedContainers is the maximum number of containers in a record.
	MaxRecordedContainers = 8
	// MaxRecordedLog is the maximum size of the log of one container, and MaxRecordedLogs that of all containers of a record,
	// in bytes.
	MaxRecordedLog  = 8 * 1024
	MaxRecordedLogs = 16 * 1024
	// MaxRecordedMessage is the maximum size of a termination message, in bytes. The kubelet keeps no more of it.
	MaxRecordedMessage = 4096
	// MaxRecordedClaims is the maximum number of names of claims.
	MaxRecordedClaims = 100
)

// DrainRecord records one attempt to drain an ordinal, or to let its member leave or join again, so that its result and the end
// of its log can be read when its Job and its pods are gone. The operator creates it when the first container of the attempt has
// ended, and updates it until the Job has ended. It keeps the latest records of each policy, and deletes older ones. A record is
// for people: the operator decides nothing by it, and it may be missing. The log can hold whatever the attempt prints.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=drec
// +kubebuilder:selectablefield:JSONPath=`.policyName`
// +kubebuilder:selectablefield:JSONPath=`.result`
// +kubebuilder:selectablefield:JSONPath=`.action`
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.policyName`,description="Name of the DrainPolicy"
// +kubebuilder:printcolumn:name="Ordinal",type=integer,JSONPath=`.ordinal`,description="Ordinal that the attempt is about"
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.action`,description="What the attempt does"
// +kubebuilder:printcolumn:name="Attempt",type=integer,JSONPath=`.attempt`,description="Number of the attempt"
// +kubebuilder:printcolumn:name="Result",type=string,JSONPath=`.result`,description="How the attempt went"
// +kubebuilder:printcolumn:name="Started",type=date,JSONPath=`.startTime`,description="Time since the attempt started"
// +kubebuilder:printcolumn:name="Ended",type=date,JSONPath=`.completionTime`,description="Time since the attempt ended"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.message`,description="How the attempt went, in words",priority=1
// +kubebuilder:validation:XValidation:rule="self.policyName == oldSelf.policyName && self.ordinal == oldSelf.ordinal && self.attempt == oldSelf.attempt && self.jobName == oldSelf.jobName && self.jobUID == oldSelf.jobUID && self.action == oldSelf.action",message="policyName, ordinal, action, attempt, jobName and jobUID are immutable: a record is about one attempt"
type DrainRecord struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// policyName is the name of the DrainPolicy, which is the controller of the record.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PolicyName string `json:"policyName,omitempty"`

	// ordinal is the ordinal that the attempt drains, or whose member leaves or joins again by it.
	// +required
	// +kubebuilder:validation:Minimum=0
	Ordinal *int32 `json:"ordinal,omitempty"`

	// action is what the attempt does: Drain, Leave or Rejoin. Leave and Rejoin are attempts by spec.leave of the policy.
	// Defaults to Drain.
	// +optional
	// +kubebuilder:default=Drain
	Action RecordedAction `json:"action,omitempty"`

	// attempt is the number of the attempt, starting from 1. Attempts with Leave and Rejoin are counted since the last one that
	// did not fail.
	// +required
	// +kubebuilder:validation:Minimum=1
	Attempt int32 `json:"attempt,omitempty"`

	// jobName is the name of the attempt's Job.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	JobName string `json:"jobName,omitempty"`

	// jobUID is the UID of the attempt's Job.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	JobUID string `json:"jobUID,omitempty"`

	// claimNames are the names of the claims that the attempt mounts. At most 100 are listed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	ClaimNames []string `json:"claimNames,omitempty"`

	// result is how the attempt went: Running, Succeeded, Failed, NotProven or Stopped. Succeeded does not mean that the claims
	// are drained: the policy's status says that.
	// +required
	Result DrainResult `json:"result,omitempty"`

	// message is how the attempt went, in words. At most 1024 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// startTime is the time when the attempt started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is the time when the attempt ended. Unset while it goes on, and when the operator did not see its end.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// containers are the containers of the attempt that have ended, each as it ended last. At most 8 are listed.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Containers []ContainerRecord `json:"containers,omitempty"`
}

// ContainerRecord records how a container ended.
type ContainerRecord struct {
	// name is the name of the container.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// podName is the name of its pod.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PodName string `json:"podName,omitempty"`

	// nodeName is the name of the node that the pod ran on.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	NodeName string `json:"nodeName,omitempty"`

	// restartCount is how often the kubelet had started the container again before it ended.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RestartCount *int32 `json:"restartCount,omitempty"`

	// exitCode is the exit code of the container.
	// +required
	ExitCode *int32 `json:"exitCode,omitempty"`

	// reason is the kubelet's word for how the container ended, such as Completed, Error or OOMKilled.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`

	// message is the termination message of the container. At most 4096 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`

	// finishedTime is the time when the container ended.
	// +optional
	FinishedTime *metav1.Time `json:"finishedTime,omitempty"`

	// log is the end of the container's log, without control characters. At most 8 KiB, and 16 KiB for all containers together.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	Log string `json:"log,omitempty"`

	// logMissing is why the record does not have the log. At most 512 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	LogMissing string `json:"logMissing,omitempty"`
}

// DrainRecordList is a list of DrainRecords.
//
// +kubebuilder:object:root=true
type DrainRecordList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DrainRecord `json:"items"`
}
