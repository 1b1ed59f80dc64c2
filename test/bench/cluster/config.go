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

// schedulerConfig raises the scheduler's client-side limit, as that of the controllers.
const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
clientConnection:
  kubeconfig: %s
  qps: 1000
  burst: 2000
`

// kwokConfig says how the fake nodes behave.
//
//go:embed kwok.yaml
var kwokConfig string
