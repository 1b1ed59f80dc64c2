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

package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// maxOutcome bounds Mark.Outcome, in bytes.
const maxOutcome = 512

// Mark is what the annotation drain.statefulset.dev/drained holds: the evidence that a
// drain of this very claim has succeeded, and how far that is known to hold.
type Mark struct {
	// ClaimUID is the claim that was drained. A mark that a backup tool has copied to
	// another claim names the old one and is worth nothing.
	ClaimUID types.UID `json:"claimUID"`
	// LockUID is the lock that the drain ran under. While that lock stands, no pod of the
	// StatefulSet can have used the claim since.
	LockUID types.UID `json:"lockUID"`
	// ReleasedUID is the last lock under which the claim was kept. A lock is released only after
	// it stands here, so that a deletion which was decided under that lock, and hung, fails.
	ReleasedUID types.UID `json:"releasedUID,omitempty"`
	// JobUID is the Job that drained the claim.
	JobUID types.UID `json:"jobUID,omitempty"`
	// StatefulSetUID and Generation name the last spec of the StatefulSet that is known
	// to have left the ordinal out of its range without a break since the drain. A
	// generation of 0 never holds once the lock is gone.
	StatefulSetUID types.UID `json:"statefulSetUID,omitempty"`
	Generation     int64     `json:"generation,omitempty"`
	// Absent says that no StatefulSet of the name existed when the mark was written;
	// StatefulSetUID is then that of the last one seen.
	Absent bool `json:"absent,omitempty"`
	// UnusedSince is the transition time of the claim's Unused condition (Kubernetes 1.37)
	// when the mark was written; nil where the cluster reports none. Another time means
	// that some pod has used the claim since.
	UnusedSince *metav1.Time `json:"unusedSince,omitempty"`

	// Attempts is the number of the attempt. A mark of one that the lock remembers as failed is worth nothing.
	Attempts int32 `json:"attempts,omitempty"`
	// Repeats counts the drains of the claim, one after the other, whose marks were void because Kubernetes reported a use of the
	// claim when the lock had been released already: the drain's own, where the report is late. Each of them gives the report
	// more time.
	Repeats int32 `json:"repeats,omitempty"`

	// Job is the name of that Job. Like Outcome, it is for people; nothing is decided by it.
	Job string `json:"job"`
	// Time is when the mark was written, to the second, by the clock of the manager that wrote it; or when the drain ended, if that was long
	// before. A claim is deleted only soon after that, and an ordinal whose mark became void is not drained again at once.
	Time metav1.Time `json:"time"`
	// Outcome is what the drain said at its end, at most 512 bytes of it.
	Outcome string `json:"outcome,omitempty"`
}

// ReadMark returns the mark on a claim, or nil if there is none, if it can't be understood,
// if it names another claim, or if a pod has used the claim since.
func ReadMark(claim *corev1.PersistentVolumeClaim) *Mark {
	mark := ParseMark(claim)
	if mark == nil || !mark.untouched(claim) {
		return nil
	}
	return mark
}

// ParseMark returns the mark on a claim like ReadMark, also if a pod has used it since.
func ParseMark(claim *corev1.PersistentVolumeClaim) *Mark {
	mark, ok := decode(claim.Annotations[drainv1alpha1.DrainedAnnotation])
	if !ok || mark.ClaimUID != claim.UID {
		return nil
	}
	return mark
}

// Unreadable reports whether the annotation of a mark is there and can't be understood. Another version of the operator may have
// written it, to say that the claim was drained or that a drain of it proves nothing. So it is no evidence, and no absence of any.
func Unreadable(claim *corev1.PersistentVolumeClaim) bool {
	text, ok := claim.Annotations[drainv1alpha1.DrainedAnnotation]
	if !ok {
		return false
	}
	_, readable := decode(text)
	return !readable
}

// decode reads a mark. A field that is not known may limit what the others mean.
func decode(text string) (mark *Mark, ok bool) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	mark = &Mark{}
	if err := decoder.Decode(mark); err != nil || mark.ClaimUID == "" {
		return nil, false
	}
	_, err := decoder.Token()
	return mark, errors.Is(err, io.EOF)
}

// Release returns the mark as it is after the lock with this UID: no lock holds it any more.
func (m Mark) Release(lock types.UID) Mark {
	m.LockUID, m.ReleasedUID = "", lock
	return m
}

// Void returns the mark with all that makes it hold taken out. The Job stays named, so that it
// isn't taken for evidence again.
func (m *Mark) Void() Mark {
	return Mark{ClaimUID: m.ClaimUID, JobUID: m.JobUID, Job: m.Job, Attempts: m.Attempts, Time: m.Time, Outcome: m.Outcome}
}

// IsVoid reports whether nothing can make the mark hold.
func (m *Mark) IsVoid() bool { return m.LockUID == "" && m.StatefulSetUID == "" && !m.Absent }

// String returns the annotation's value.
func (m Mark) String() string {
	m.Time = metav1.NewTime(m.Time.UTC().Truncate(time.Second))
	if len(m.Outcome) > maxOutcome {
		m.Outcome = strings.ToValidUTF8(m.Outcome[:maxOutcome], "")
	}
	text, err := json.Marshal(m)
	if err != nil {
		// Strings, an int64 and times of this century can always be encoded.
		panic(fmt.Sprintf("encoding a mark: %v", err))
	}
	return string(text)
}

// HoldsUnder reports whether the mark was made under the lock that stands now.
func (m *Mark) HoldsUnder(lock types.UID) bool {
	return m != nil && lock != "" && m.LockUID == lock
}

// HoldsAt reports whether the mark holds without a lock, for an ordinal that is outside the
// range of the StatefulSet with this UID and generation.
//
// Every change of a StatefulSet's spec raises its generation by one. So if the ordinal was
// out of range at the generation of the mark and is at the one right after, there was no
// time in between at which its pod could exist. A larger step proves nothing.
func (m *Mark) HoldsAt(set types.UID, generation int64) bool {
	if m == nil || m.Absent || m.Generation == 0 || set == "" || m.StatefulSetUID != set {
		return false
	}
	return generation == m.Generation || generation == m.Generation+1
}

// HoldsAbsent reports whether the mark was written while there was no StatefulSet of the name, and the one seen last before
// is the one that was seen last then.
func (m *Mark) HoldsAbsent(last types.UID) bool {
	return m != nil && m.Absent && m.StatefulSetUID == last
}

// UnusedSince returns the transition time of the claim's Unused condition. known is false
// while the condition says that a pod uses the claim; a cluster without the condition
// gives nil and true.
func UnusedSince(claim *corev1.PersistentVolumeClaim) (since *metav1.Time, known bool) {
	for i := range claim.Status.Conditions {
		condition := &claim.Status.Conditions[i]
		if condition.Type != corev1.PersistentVolumeClaimUnused {
			continue
		}
		if condition.Status != corev1.ConditionTrue {
			return nil, false
		}
		return &condition.LastTransitionTime, true
	}
	return nil, true
}

// untouched reports whether the claim's Unused condition is the one that the mark was
// written under.
func (m *Mark) untouched(claim *corev1.PersistentVolumeClaim) bool {
	since, known := UnusedSince(claim)
	if !known {
		return false
	}
	return m.UnusedSince.Equal(since)
}
