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

package cluster

import (
	_ "embed" // For the configuration of kwok.
)

// auditPolicy records the requests of the two agents, without bodies. Nothing is recorded of the others, so that the log
// costs the API server little.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["` + Operator + `", "` + Bare + `"]
- level: None
`

// limits are client-side limits in requests a second.
type limits struct{ manager, managerBurst, scheduler, schedulerBurst int }

// raisedLimits are so high that the API server is what limits a burst, and defaultLimits those of Kubernetes
// (SetDefaults_KubeControllerManagerConfiguration and SetDefaults_KubeSchedulerConfiguration).
var (
	raisedLimits  = limits{500, 1000, 1000, 2000}
	defaultLimits = limits{20, 30, 50, 100}
)

// schedulerConfig sets the scheduler's client-side limit.
const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
clientConnection:
  kubeconfig: %s
  qps: %d
  burst: %d
`

// kwokConfig says how the fake nodes behave.
//
//go:embed kwok.yaml
var kwokConfig string
