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

package scaling

import (
	"encoding/json"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Note is what a policy remembers of a member that has begun to leave and is not known to be back. It is written before a pod of a
// Job runs, so the member is not forgotten if the Job is deleted.
type Note struct {
	// Job is the number of the last Job of the ordinal whose pod the operator has let run, or was about to.
	Job int32 `json:"job"`
	// Action is ActionLeave or ActionRejoin.
	Action string `json:"action"`
	// Failures is how many Jobs with this action had failed before, in a row, and Template a hash of what the Job was made from.
	Failures int32  `json:"failures,omitempty"`
	Template string `json:"template"`
	// Time is when the note was written.
	Time metav1.Time `json:"time"`
}

// Notes are those of a policy, by ordinal.
type Notes map[int32]Note

// NotesOf reads the annotation of a policy.
func NotesOf(policy *drainv1alpha1.DrainPolicy) (Notes, error) {
	text := policy.Annotations[drainv1alpha1.MembersAnnotation]
	if text == "" {
		return nil, nil
	}
	var read Notes
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		return nil, fmt.Errorf("reading annotation %s: %w", drainv1alpha1.MembersAnnotation, err)
	}
	for ordinal, note := range read {
		if ordinal < 0 || note.Job < 0 || note.Job > maxNumber || note.Failures < 0 || note.Failures > maxNumber {
			return nil, fmt.Errorf("reading annotation %s: the entry of ordinal %d has an impossible number", drainv1alpha1.MembersAnnotation, ordinal)
		}
	}
	return read, nil
}

// Set gives a policy in hand the note of an ordinal, or takes it away if it is nil. What is noted of others stays.
func (n *Note) Set(policy *drainv1alpha1.DrainPolicy, ordinal int32) error {
	// Entries are taken over as they are: a later version may know more about them.
	entries := map[string]json.RawMessage{}
	if text := policy.Annotations[drainv1alpha1.MembersAnnotation]; text != "" {
		if err := json.Unmarshal([]byte(text), &entries); err != nil {
			return fmt.Errorf("reading annotation %s: %w", drainv1alpha1.MembersAnnotation, err)
		}
	}
	key := strconv.Itoa(int(ordinal))
	delete(entries, key)
	if n != nil {
		text, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("encoding what is noted of ordinal %d: %w", ordinal, err)
		}
		entries[key] = text
	}
	if len(entries) == 0 {
		delete(policy.Annotations, drainv1alpha1.MembersAnnotation)
		return nil
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return fmt.Errorf("encoding annotation %s: %w", drainv1alpha1.MembersAnnotation, err)
	}
	metav1.SetMetaDataAnnotation(&policy.ObjectMeta, drainv1alpha1.MembersAnnotation, string(text))
	return nil
}
