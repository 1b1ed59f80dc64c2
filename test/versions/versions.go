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

package versions

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Oldest and Newest are the minor releases that are supported, 1.<Oldest> to 1.<Newest>.
const (
	Oldest = 33
	Newest = 37
)

// Stage is how far a feature is in a minor release.
type Stage string

const (
	// Absent means that the release doesn't know the feature.
	Absent Stage = "absent"
	// Alpha means that it is off unless someone switches it on.
	Alpha Stage = "alpha, off"
	// Beta means that it is on unless someone switches it off.
	Beta Stage = "beta, on"
	// GA means that it can't be switched off.
	GA Stage = "GA"
)

// Feature is a feature of Kubernetes that the operator uses, or has to know of.
type Feature struct {
	// Name says what Kubernetes does, Without what the operator does where Kubernetes doesn't.
	Name, Without string
	// Gate is the feature gate.
	Gate string
	// Alpha, Beta and GA are the first minor releases of each stage, 0 where there is none. Beta is the first one that has it on by default.
	Alpha, Beta, GA int
}

// Unused is the condition of claims that says since when no pod has referred to them.
var Unused = Feature{
	Name: "The claim's condition `Unused` says since when no pod has referred to it", Gate: "PersistentVolumeClaimUnusedSinceTime", Alpha: 36, Beta: 37,
	Without: "It sees other pods on a claim only when it looks. It never deletes a claim that it has not drained under the lock that still stands",
}

// JobPodReplacement lets a Job create a pod only when the last one has terminated.
var JobPodReplacement = Feature{
	Name: "A Job creates a pod only when the last one has terminated (`podReplacementPolicy: Failed`)", Gate: "JobPodReplacementPolicy",
	Alpha: 28, Beta: 29, GA: 34,
	Without: "It drains nothing: the API server drops the field, and the preflight sees that (`InvalidTemplate`)",
}

// Features lists what the promises rest on. The stages are those of pkg/features and apiserver/pkg/features in Kubernetes' source.
var Features = []Feature{
	Unused,
	JobPodReplacement,
	{
		Name: "A Job is complete only when all of its pods have terminated (with this gate or with the one above, from 1.31 on)", Gate: "JobManagedBy",
		Alpha: 30, Beta: 32, GA: 35,
		Without: "It drains nothing if the gate above is off as well, and needs no other if that one is on",
	},
	{
		Name: "A pod with a scheduling gate is on no node", Gate: "PodSchedulingReadiness", Alpha: 26, Beta: 27, GA: 30,
		Without: "It drains nothing: the gate is missing from the API server's answer to the preflight (`InvalidTemplate`)",
	},
	{
		Name: "A pod that Kubernetes disrupts has the condition `DisruptionTarget`", Gate: "PodDisruptionConditions", Alpha: 25, Beta: 26, GA: 31,
		Without: "It relies on the receipt alone",
	},
	{
		Name: "Admission policies in CEL (`ValidatingAdmissionPolicy`)", Gate: "ValidatingAdmissionPolicy", Alpha: 26, GA: 30,
		Without: "It can't be installed with `config/default`",
	},
	{
		Name: "A container can have a restart policy and rules of its own", Gate: "ContainerRestartRules", Alpha: 34, Beta: 35,
		Without: "Nothing changes: it refuses templates that use them, because a drain has an end",
	},
	{
		Name: "`spec.ordinals.start` of a StatefulSet", Gate: "StatefulSetStartOrdinal", Alpha: 26, Beta: 27, GA: 31,
		Without: "The first ordinal is 0",
	},
	{
		Name: "Lists are answered from the API server's cache, as current as from etcd", Gate: "ConsistentListFromCache", Alpha: 28, Beta: 31, GA: 34,
		Without: "Nothing changes: lists come from etcd",
	},
}

// In returns the stage of the feature in Kubernetes 1.<minor>.
func (f Feature) In(minor int) Stage {
	for _, stage := range []struct {
		stage Stage
		since int
	}{{GA, f.GA}, {Beta, f.Beta}, {Alpha, f.Alpha}} {
		if stage.since != 0 && minor >= stage.since {
			return stage.stage
		}
	}
	return Absent
}

// On reports whether the feature is on in Kubernetes 1.<minor>, unless someone sets its gate.
func (f Feature) On(minor int) bool {
	stage := f.In(minor)
	return stage == Beta || stage == GA
}

// Minor returns the minor number of an API server, from what it says of itself, such as "35" or "35+".
func Minor(said string) (int, error) {
	return strconv.Atoi(strings.TrimSuffix(said, "+"))
}

var gate = regexp.MustCompile(`(?m)^kubernetes_feature_enabled\{name="([A-Za-z0-9]+)",stage="[A-Z]*"\} ([01])$`)

// Gates reads the metrics of an API server, and returns the feature gates that it knows and whether each is on.
func Gates(metrics string) (map[string]bool, error) {
	gates := map[string]bool{}
	for _, match := range gate.FindAllStringSubmatch(metrics, -1) {
		gates[match[1]] = match[2] == "1"
	}
	if len(gates) < 20 {
		return nil, fmt.Errorf("the metrics name %d feature gates, which can't be all", len(gates))
	}
	return gates, nil
}
