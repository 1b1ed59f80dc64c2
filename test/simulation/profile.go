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

// taking is one kind of step of a history.
type taking int

const (
	takeTime taking = iota
	takeManager
	takeEvents
	takeSets
	takeJobs
	takeScheduler
	takeGarbage
	takeProtection
	takeKubelets
	takeLeader
	takeHanging
	takeNodes
	takeUnused
	takeUser
	takeKubernetes
	takeOperator
	takeWhile
	takeLate
	takeBlind
	takeOutage
	takeDrain
	takeStuck
	takings
)

// action is one kind of thing that users do.
type action int

const (
	doScale action = iota
	doScaleTwice
	doSetStart
	doEditSet
	doDeleteSet
	doCreateSet
	doDeletePolicy
	doCreatePolicy
	doWhenDrained
	doWhenScaledUp
	doTemplate
	doSuspend
	doDeletePod
	doDeleteJob
	doDebug
	doDeleteClaim
	doRestoreClaim
	doStripLock
	doTamper
	doSkip
	doStripPolicy
	doWhenDeleted
	doLimits
	doVisit
	doEndDrain
	doReplaceSet
	doComeAndGo
	doWebhook
	doForge
	doSuspendJob
	doUnused
	doProof
	doWhenScaled
	doOrphanPods
	doTakeClaim
	doLoseVolume
	doOtherSet
	doPreempt
	doScalePolicy
	doFlap
	doLeave
	doEndLeave
	doMemberDies
	actions
)

// profile is what a history is about. A history of everything meets each of the protocol's narrow places
// once in a long while; a short one about one of them, all the time. (Groce and others call this swarm
// testing.)
type profile struct {
	name  string
	often int
	steps int
	// takes and users are how often each step is taken and each thing done; what isn't named is not
	// done at all.
	takes [takings]int
	users [actions]int
	// late are the writes that come late, and then those that may come late in the meantime.
	late, then []string
	// unused is how often of 10 times claims have the Unused condition, twoTemplates how often there is
	// more than one claim an ordinal, retain how often the policy keeps the claims and wait how often a
	// scale-up waits.
	unused, twoTemplates, retain, wait int
	// prompt leaves out the options that only keep drains from starting.
	prompt bool
	// most is how many records the pods of the StatefulSet keep on a claim.
	most int
	// stubborn says that all containers need several signals to end, and that no user deletes pods by
	// force.
	stubborn bool
	// turn is what a user does at once when a write comes late, instead of undoing the last scaling.
	turn []action
	// fickle is in how many of 100 moments before a late write a user undoes the last scaling.
	fickle int
	// sloth is in how many of 100 cases the controller of the Unused condition overlooks a claim.
	sloth int
	// cruel is in how many of 100 steps of a drain pod the kubelet does something to it that no one asked for, and reboots
	// how often nodes are rebooted, shut down, or lose their objects.
	cruel, reboots int
	// tools is how often of 10 times the drain is an init container and its receipt written by another one, odd how often a
	// template is not what it should be, exitCode how often the policy believes exit codes, limited how often it bounds
	// the attempts, graceless how often the StatefulSet's pods have no grace period, annotated how often the
	// StatefulSet has its drain in an annotation, and hooked how often there is a webhook from the start.
	tools, odd, exitCode, limited, graceless, annotated, hooked int
	// overlap is how often the names of claims fit another StatefulSet too, slowRetry how often a minute passes between two
	// attempts, and orphaning in how many of 100 cases a policy is deleted without what it owns.
	overlap, slowRetry, orphaning int
	// hasty is how often of 10 times the template has no grace period.
	hasty int
	// hooks are what webhooks do; none means anything.
	hooks []mutation
	// tardy is how often of 10 times the reports of Unused are a minute and more behind.
	tardy int
	// lags is how often of 10 times nothing becomes prompt at the end of the history either.
	lags int
	// slow has the StatefulSet controller see one change of the StatefulSet at a time.
	slow bool
	// scaled is how often of 10 times the policy has spec.replicas, and leaves how often it has spec.leave then.
	scaled, leaves int
	// nosy is in how many of 100 cases a claim that is marked is looked at by a user at once, and hurried says that one is that a drain has
	// just emptied, too.
	nosy    int
	hurried bool
	// impatient is in how many of 100 cases a user deletes the claim of a drain pod that has not started on its node yet.
	impatient int
}

// allAtOnce is what its name says.
var allAtOnce = profile{
	name: "everything", often: 6, steps: 400,
	takes: [takings]int{
		takeTime: 10, takeManager: 100, takeEvents: 15, takeSets: 50, takeJobs: 40, takeScheduler: 40, takeGarbage: 35, takeProtection: 20,
		takeKubelets: 60, takeLeader: 4, takeHanging: 15, takeNodes: 4, takeUnused: 15, takeUser: 30, takeKubernetes: 160, takeOperator: 80,
		takeWhile: 20, takeLate: 6, takeBlind: 4, takeOutage: 1, takeStuck: 1,
	},
	users: [actions]int{
		doScale: 60, doScaleTwice: 12, doSetStart: 8, doEditSet: 4, doDeleteSet: 4, doCreateSet: 4, doDeletePolicy: 4, doCreatePolicy: 6,
		doWhenDrained: 6, doWhenScaledUp: 6, doTemplate: 4, doSuspend: 4, doDeletePod: 5, doDeleteJob: 5, doDebug: 10, doDeleteClaim: 4,
		doRestoreClaim: 2, doStripLock: 2, doTamper: 3, doSkip: 1, doStripPolicy: 2, doWhenDeleted: 4, doLimits: 5,
		doWebhook: 2, doForge: 3, doSuspendJob: 3, doUnused: 1, doProof: 2,
		doWhenScaled: 3, doOrphanPods: 2, doTakeClaim: 2, doLoseVolume: 1, doPreempt: 2,
		doScalePolicy: 8, doLeave: 1,
	},
	late:   []string{"delete pods", "delete persistentvolumeclaims", "create jobs", "patch pods", "patch persistentvolumeclaims", "delete jobs"},
	unused: 7, twoTemplates: 3, retain: 5, wait: 5, most: 2, fickle: 5, sloth: 30,
	cruel: 4, reboots: 1, tools: 2, odd: 1, exitCode: 2, limited: 1, graceless: 1, annotated: 1, hooked: 1, tardy: 1, lags: 1,
	slowRetry: 3, orphaning: 10, scaled: 2, leaves: 5,
}

// brisk is how a short history goes: Kubernetes and the operator do what they should most of
// the time, and what the profile is about comes in between.
var brisk = [takings]int{
	takeTime: 2, takeManager: 10, takeSets: 3, takeJobs: 3, takeGarbage: 2, takeKubelets: 4, takeUnused: 3, takeHanging: 4,
	takeLeader: 1, takeEvents: 2, takeUser: 14, takeKubernetes: 6, takeOperator: 6, takeWhile: 24, takeLate: 4,
}

// profiles are what histories are about.
var profiles = []profile{
	allAtOnce,
	{
		name: "releases that come late", often: 3, steps: 50,
		takes:  but(brisk, takeLate, 20),
		users:  [actions]int{doScale: 60, doScaleTwice: 8, doWhenScaledUp: 3, doDeletePod: 2, doWhenDrained: 6, doDeleteJob: 3, doTemplate: 3},
		late:   []string{"delete pods", "delete pods", "create jobs", "delete jobs"},
		then:   []string{"finalize pods", "delete pods"},
		unused: 5, twoTemplates: 1, retain: 6, wait: 5, prompt: true, most: 1, fickle: 25, sloth: 30,
	},
	{
		name: "releases that come late while the policy is edited", often: 4, steps: 50,
		takes:  but(brisk, takeLate, 20),
		users:  [actions]int{doScale: 40, doWhenDrained: 50},
		late:   []string{"finalize pods", "delete pods"},
		then:   []string{"delete persistentvolumeclaims"},
		unused: 2, twoTemplates: 1, retain: 8, wait: 10, prompt: true, most: 1, fickle: 15, sloth: 50,
	},
	{
		name: "deletions that come late", often: 3, steps: 50,
		takes:  but(brisk, takeLate, 20),
		users:  [actions]int{doScale: 50, doWhenDrained: 25, doSkip: 6, doDeletePolicy: 3, doCreatePolicy: 4, doStripPolicy: 2, doDeletePod: 4, doEditSet: 3},
		late:   []string{"delete persistentvolumeclaims", "delete persistentvolumeclaims", "patch persistentvolumeclaims"},
		then:   []string{"delete pods", "patch pods"},
		unused: 3, twoTemplates: 3, retain: 3, wait: 7, prompt: true, most: 1, fickle: 5, sloth: 50,
	},
	{
		name: "marks that are kept", often: 3, steps: 60,
		takes:  but(brisk, takeLate, 12),
		users:  [actions]int{doScale: 40, doWhenDrained: 30, doDeletePod: 25, doEditSet: 8},
		late:   []string{"create pods", "create pods", "patch persistentvolumeclaims"},
		unused: 1, twoTemplates: 1, retain: 9, wait: 5, prompt: true, most: 1, fickle: 5, sloth: 50,
	},
	{
		name: "looks that stall", often: 3, steps: 60,
		takes:  but(brisk, takeLate, 14, takeUser, 18),
		users:  [actions]int{doScale: 60, doDeletePod: 10, doEditSet: 4, doWhenDrained: 4},
		late:   []string{"get statefulsets", "get persistentvolumeclaims", "get pods", "list pods", "list jobs"},
		unused: 1, twoTemplates: 1, retain: 8, wait: 8, prompt: true, most: 1, fickle: 20, sloth: 50,
	},
	{
		name: "strangers", often: 3, steps: 60,
		takes:  but(brisk, takeLate, 8, takeOutage, 3, takeUnused, 8, takeUser, 22),
		users:  [actions]int{doDebug: 60, doScale: 25, doWhenDrained: 16, doEditSet: 4, doDeleteJob: 3, doTamper: 1},
		late:   []string{"patch persistentvolumeclaims", "patch persistentvolumeclaims", "delete persistentvolumeclaims", "delete jobs"},
		unused: 6, twoTemplates: 7, retain: 5, wait: 5, prompt: true, most: 1, fickle: 5, sloth: 60,
	},
	{
		name: "strangers while drains are called off", often: 2, steps: 40,
		takes:  but(brisk, takeUser, 24, takeLate, 8),
		users:  [actions]int{doScale: 40, doDebug: 50, doWhenDrained: 30, doSuspend: 20, doSkip: 8},
		late:   []string{"create jobs", "create pods", "patch pods"},
		unused: 2, twoTemplates: 1, retain: 7, wait: 5, prompt: true, most: 1, fickle: 10, sloth: 60,
	},
	{
		name: "StatefulSets that come again", often: 2, steps: 60,
		takes:  but(brisk, takeUser, 18),
		users:  [actions]int{doScale: 40, doDeleteSet: 15, doCreateSet: 12, doEditSet: 12, doSetStart: 10, doWhenDeleted: 6, doWhenDrained: 8},
		late:   []string{"patch persistentvolumeclaims", "create pods", "delete pods"},
		unused: 2, twoTemplates: 2, retain: 6, wait: 5, prompt: true, most: 1, fickle: 5, sloth: 40,
	},
	{
		name: "a StatefulSet controller that is behind", often: 2, steps: 60,
		takes:  but(brisk, takeBlind, 8, takeSets, 15, takeUser, 20, takeTime, 1),
		users:  [actions]int{doScale: 60, doScaleTwice: 25, doEditSet: 3, doWhenDrained: 8, doDeletePod: 8},
		late:   []string{"create pods", "patch persistentvolumeclaims"},
		unused: 2, twoTemplates: 1, retain: 7, wait: 8, prompt: true, most: 1, fickle: 5, sloth: 40,
	},
	{
		name: "changes that the StatefulSet controller sees late, one after the other", often: 2, steps: 30,
		takes:  but(brisk, takeBlind, 16, takeUser, 8),
		users:  [actions]int{doScale: 30, doWhenDrained: 8, doEditSet: 4},
		late:   []string{"patch persistentvolumeclaims", "delete pods"},
		unused: 1, twoTemplates: 1, retain: 8, wait: 8, prompt: true, most: 1, fickle: 0, sloth: 40, slow: true,
	},
	{
		name: "StatefulSets that are gone, and others that come", often: 5, steps: 40,
		takes:  but(brisk, takeUser, 20),
		users:  [actions]int{doScale: 20, doReplaceSet: 36, doComeAndGo: 40, doWhenDrained: 16, doWhenDeleted: 3},
		late:   []string{"patch persistentvolumeclaims", "delete pods"},
		unused: 0, twoTemplates: 1, retain: 7, wait: 5, prompt: true, most: 1, fickle: 5, sloth: 30,
	},
	{
		name: "drains that are told to end", often: 2, steps: 40,
		takes:  but(brisk, takeUser, 24, takeKubelets, 20, takeJobs, 20, takeOperator, 20, takeDrain, 16, takeWhile, 12, takeKubernetes, 3),
		users:  [actions]int{doScale: 40, doEndDrain: 60, doDeleteJob: 4},
		late:   []string{"patch pods", "patch persistentvolumeclaims"},
		unused: 2, twoTemplates: 3, retain: 5, wait: 7, prompt: true, most: 3, fickle: 5, sloth: 30, exitCode: 7,
	},
	{
		name: "looks at what is kept", often: 5, steps: 40,
		takes:  but(brisk, takeUser, 16),
		users:  [actions]int{doScale: 60, doDebug: 4, doWhenDrained: 8, doForge: 24},
		late:   []string{"delete pods", "patch persistentvolumeclaims"},
		unused: 0, twoTemplates: 1, retain: 9, wait: 5, prompt: true, most: 1, fickle: 5, sloth: 50, nosy: 80,
	},
	{
		name: "pods, Jobs and nodes that are taken away", often: 2, steps: 60,
		takes:  but(brisk, takeNodes, 5, takeJobs, 14, takeKubelets, 10, takeGarbage, 6, takeUser, 20, takeLate, 4),
		users:  [actions]int{doScale: 30, doDeletePod: 30, doDeleteJob: 20, doDeleteClaim: 5, doTemplate: 4},
		late:   []string{"create jobs", "delete jobs", "patch pods"},
		unused: 6, twoTemplates: 3, retain: 5, wait: 6, prompt: true, most: 1, fickle: 5, sloth: 30, slowRetry: 5, impatient: 10,
	},
	{
		name: "releases that come late and deletions in the meantime", often: 7, steps: 20,
		takes:  but(brisk, takeLate, 60, takeManager, 2, takeLeader, 0),
		users:  [actions]int{doScale: 70, doWhenDrained: 20},
		late:   []string{"delete pods", "delete pods", "finalize pods"},
		then:   []string{"delete persistentvolumeclaims"},
		turn:   []action{doWhenDrained},
		unused: 1, twoTemplates: 0, retain: 10, wait: 10, prompt: true, most: 1, fickle: 10, sloth: 50,
	},
	{
		name: "policies that go", often: 3, steps: 70,
		takes:  but(brisk, takeUser, 20, takeManager, 25, takeLeader, 6, takeEvents, 10),
		users:  [actions]int{doScale: 40, doDeletePolicy: 12, doCreatePolicy: 16, doStripPolicy: 14, doWhenScaledUp: 3, doDeleteJob: 3},
		late:   []string{"create pods", "create jobs", "delete pods", "delete persistentvolumeclaims", "patch drainpolicies"},
		then:   []string{"delete pods", "create pods"},
		unused: 4, twoTemplates: 2, retain: 5, wait: 5, prompt: true, most: 1, fickle: 5, sloth: 30,
	},
	{
		name: "policies that go while claims are deleted", often: 1, steps: 40,
		takes:  but(brisk, takeLate, 25),
		users:  [actions]int{doScale: 40, doCreatePolicy: 16, doStripPolicy: 14},
		late:   []string{"delete persistentvolumeclaims"},
		turn:   []action{doStripPolicy},
		unused: 2, twoTemplates: 1, retain: 1, wait: 5, prompt: true, most: 1, fickle: 5, sloth: 50,
	},
	{
		name: "drains that take long", often: 3, steps: 40,
		takes:  but(brisk, takeDrain, 40),
		users:  [actions]int{doScale: 20, doDeletePod: 40, doDeleteJob: 30},
		late:   []string{"create jobs", "delete jobs", "patch pods"},
		unused: 2, twoTemplates: 2, retain: 5, wait: 8, prompt: true, most: 6, fickle: 5, sloth: 30, stubborn: true,
	},
	{
		name: "strangers who come and go", often: 3, steps: 60,
		takes:  but(brisk, takeUnused, 1, takeUser, 50),
		users:  [actions]int{doVisit: 40, doScale: 20, doWhenDrained: 40},
		late:   []string{"patch persistentvolumeclaims", "delete persistentvolumeclaims"},
		unused: 10, twoTemplates: 2, retain: 7, wait: 5, prompt: true, most: 1, fickle: 5, sloth: 80,
	},
	{
		name: "drains that the kubelet ends", often: 5, steps: 40,
		takes:  but(brisk, takeUser, 16, takeKubelets, 10, takeNodes, 4),
		users:  [actions]int{doScale: 50, doEndDrain: 6, doTemplate: 4, doProof: 3, doDeleteJob: 2, doSuspend: 10},
		late:   []string{"patch pods", "patch persistentvolumeclaims"},
		unused: 5, twoTemplates: 3, retain: 5, wait: 7, prompt: true, most: 3, fickle: 5, sloth: 30,
		cruel: 12, reboots: 2, tools: 2, odd: 1, exitCode: 4, limited: 2,
	},
	{
		name: "templates that are not what they should be", often: 5, steps: 40,
		takes:  but(brisk, takeUser, 16, takeKubelets, 8),
		users:  [actions]int{doScale: 50, doTemplate: 30, doProof: 10, doDeleteJob: 2},
		late:   []string{"patch pods", "patch persistentvolumeclaims"},
		unused: 5, twoTemplates: 5, retain: 5, wait: 7, prompt: true, most: 2, fickle: 5, sloth: 30,
		cruel: 12, reboots: 1, tools: 2, odd: 6, exitCode: 5, limited: 2,
	},
	{
		name: "webhooks", often: 4, steps: 40,
		takes:  but(brisk, takeUser, 16, takeKubelets, 8),
		users:  [actions]int{doScale: 50, doWebhook: 30, doTemplate: 10, doDeleteJob: 2, doEndDrain: 5},
		late:   []string{"patch pods", "create jobs"},
		unused: 5, twoTemplates: 3, retain: 5, wait: 7, prompt: true, most: 2, fickle: 5, sloth: 30,
		cruel: 12, tools: 2, exitCode: 5, limited: 2, hooked: 4,
	},
	{
		name: "pods without a grace period", often: 4, steps: 40,
		takes:  but(brisk, takeUser, 20, takeKubelets, 3),
		users:  [actions]int{doScale: 50, doEditSet: 6, doEndDrain: 6, doDeleteSet: 6, doCreateSet: 6, doDeleteJob: 6},
		late:   []string{"create pods", "patch persistentvolumeclaims"},
		unused: 5, twoTemplates: 2, retain: 5, wait: 4, prompt: true, most: 2, fickle: 5, sloth: 30, stubborn: true,
		graceless: 6, hasty: 4,
	},
	{
		name: "drain pods that lose their grace period", often: 3, steps: 30,
		takes:  but(brisk, takeDrain, 30, takeUser, 10, takeKubelets, 2),
		users:  [actions]int{doScale: 50, doWebhook: 16, doDeleteJob: 10},
		late:   []string{"create pods", "patch pods"},
		unused: 5, twoTemplates: 1, retain: 5, wait: 1, prompt: true, most: 5, fickle: 5, sloth: 30, stubborn: true,
		hooks: []mutation{setGraceless},
	},
	{
		name: "forged labels and Jobs", often: 6, steps: 40,
		takes:  but(brisk, takeUser, 24, takeKubelets, 8),
		users:  [actions]int{doScale: 40, doForge: 50, doWhenDrained: 8},
		late:   []string{"create jobs", "patch persistentvolumeclaims"},
		unused: 5, twoTemplates: 2, retain: 5, wait: 7, prompt: true, most: 2, fickle: 5, sloth: 30,
	},
	{
		name: "Jobs that are taken away and suspended", often: 3, steps: 40,
		takes:  but(brisk, takeUser, 20, takeJobs, 4, takeNodes, 3, takeStuck, 5, takeDrain, 8),
		users:  [actions]int{doScale: 40, doSuspendJob: 30, doDeleteJob: 20, doEndDrain: 6, doTemplate: 4, doPreempt: 40},
		late:   []string{"create jobs", "delete jobs", "patch pods"},
		unused: 5, twoTemplates: 2, retain: 5, wait: 6, prompt: true, most: 3, fickle: 5, sloth: 30,
		cruel: 10, reboots: 2, limited: 4, lags: 3, slowRetry: 4,
	},
	{
		name: "queueing systems", often: 3, steps: 16,
		takes:  but(brisk, takeUser, 16, takeDrain, 30),
		users:  [actions]int{doScale: 40, doPreempt: 60},
		late:   []string{"delete jobs", "patch pods"},
		unused: 5, twoTemplates: 1, retain: 5, wait: 10, prompt: true, most: 3, fickle: 5, sloth: 30,
	},
	{
		name: "what drains leave behind", often: 4, steps: 30,
		takes:  but(brisk, takeUser, 14, takeKubelets, 8, takeDrain, 16),
		users:  [actions]int{doScale: 30, doOrphanPods: 20, doTakeClaim: 40, doWhenDrained: 6},
		late:   []string{"create jobs", "delete jobs", "patch persistentvolumeclaims"},
		unused: 5, twoTemplates: 3, retain: 4, wait: 7, prompt: true, most: 3, fickle: 5, sloth: 30,
		cruel: 16,
	},
	{
		name: "policies that leave orphans", often: 5, steps: 40,
		takes:  but(brisk, takeUser, 16, takeGarbage, 5, takeDrain, 20),
		users:  [actions]int{doScale: 40, doStripPolicy: 24, doCreatePolicy: 16, doDeletePolicy: 8, doOrphanPods: 20},
		late:   []string{"create jobs", "patch pods", "delete persistentvolumeclaims"},
		unused: 5, twoTemplates: 2, retain: 4, wait: 6, prompt: true, most: 3, fickle: 5, sloth: 30,
		orphaning: 60,
	},
	{
		name: "locks that a webhook changes", often: 2, steps: 30,
		takes:  but(brisk, takeUser, 18),
		users:  [actions]int{doScale: 50, doWebhook: 24, doDeletePolicy: 3, doCreatePolicy: 5, doDeletePod: 4},
		late:   []string{"create pods", "delete pods"},
		unused: 5, twoTemplates: 1, retain: 5, wait: 6, prompt: true, most: 1, fickle: 5, sloth: 30,
		hooks: []mutation{unfinalizeLock, unlabelLock}, hooked: 5,
	},
	{
		name: "claims that are not what they were", often: 4, steps: 40,
		takes:  but(brisk, takeUser, 18),
		users:  [actions]int{doScale: 50, doOtherSet: 16, doLoseVolume: 10, doWhenScaled: 12, doWhenDrained: 10, doDeleteSet: 3, doCreateSet: 4},
		late:   []string{"delete persistentvolumeclaims", "patch persistentvolumeclaims", "delete pods"},
		then:   []string{"delete pods"},
		unused: 5, twoTemplates: 6, retain: 4, wait: 6, prompt: true, most: 1, fickle: 5, sloth: 30,
		overlap: 7,
	},
	{
		name: "reports of use that come late or not at all", often: 3, steps: 40,
		takes:  but(brisk, takeUser, 18, takeUnused, 6),
		users:  [actions]int{doScale: 50, doUnused: 10, doDebug: 14, doVisit: 8, doWhenDrained: 10, doDeleteSet: 3, doCreateSet: 3},
		late:   []string{"patch persistentvolumeclaims", "delete persistentvolumeclaims"},
		unused: 10, twoTemplates: 2, retain: 5, wait: 6, prompt: true, most: 5, fickle: 5, sloth: 30,
		tardy: 6, lags: 3,
	},
	{
		name: "policies that are scaled", often: 4, steps: 60,
		takes: but(brisk, takeUser, 20, takeLate, 12, takeNodes, 2),
		users: [actions]int{
			doScalePolicy: 50, doFlap: 8, doScale: 12, doDeletePod: 8, doDeleteJob: 3, doWhenDrained: 4, doSuspend: 4, doDeletePolicy: 2, doCreatePolicy: 3,
			doSetStart: 2, doEditSet: 3, doWhenScaledUp: 2, doSkip: 1,
		},
		late:   []string{"scale statefulsets", "scale statefulsets", "create jobs", "patch persistentvolumeclaims", "delete pods"},
		turn:   []action{doScalePolicy, doScalePolicy, doScale},
		unused: 3, twoTemplates: 1, retain: 5, wait: 6, prompt: true, most: 1, fickle: 25, sloth: 40, scaled: 10,
	},
	{
		name: "members that leave", often: 5, steps: 60,
		takes: but(brisk, takeUser, 20, takeLate, 12, takeNodes, 3, takeKubelets, 8),
		users: [actions]int{
			doScalePolicy: 60, doFlap: 8, doScale: 8, doDeletePod: 14, doDeleteJob: 3, doSuspend: 4, doDeletePolicy: 1, doCreatePolicy: 2, doSetStart: 1, doEditSet: 3,
			doLeave: 6, doEndLeave: 10, doMemberDies: 8, doOrphanPods: 6,
		},
		late:   []string{"scale statefulsets", "scale statefulsets", "create jobs", "create jobs", "patch pods", "delete jobs"},
		turn:   []action{doScalePolicy, doScalePolicy, doDeletePod},
		unused: 3, twoTemplates: 1, retain: 7, wait: 6, prompt: true, most: 1, fickle: 25, sloth: 40, scaled: 10, leaves: 9, cruel: 3, limited: 2, stubborn: true,
	},
	{
		name: "strangers on what is to be deleted", often: 3, steps: 40,
		takes:  but(brisk, takeUser, 20, takeLate, 8),
		users:  [actions]int{doScale: 50, doDebug: 30, doVisit: 10, doWhenDrained: 16},
		late:   []string{"patch pods", "patch pods", "patch persistentvolumeclaims"},
		unused: 0, twoTemplates: 1, retain: 5, wait: 8, prompt: true, most: 1, fickle: 5, sloth: 50, nosy: 70, hurried: true,
	},
	{
		name: "policies that go while strangers look", often: 2, steps: 40,
		takes:  but(brisk, takeUser, 20, takeLate, 16),
		users:  [actions]int{doScale: 40, doStripPolicy: 12, doCreatePolicy: 24, doDebug: 30},
		late:   []string{"patch persistentvolumeclaims", "delete pods"},
		turn:   []action{doStripPolicy},
		unused: 0, twoTemplates: 3, retain: 9, wait: 8, prompt: true, most: 1, fickle: 5, sloth: 50, nosy: 50,
	},
	{
		name: "gates that a webhook strips", often: 2, steps: 40,
		takes:  but(brisk, takeUser, 20, takeLate, 10, takeKubelets, 8, takeDrain, 8),
		users:  [actions]int{doScale: 50, doDebug: 20, doDeleteJob: 8, doDeletePod: 4},
		late:   []string{"create jobs", "create jobs", "delete jobs"},
		unused: 5, twoTemplates: 2, retain: 5, wait: 5, prompt: true, most: 2, fickle: 10, sloth: 30,
		hooks: []mutation{stripGate}, hooked: 5,
	},
	{
		name: "Jobs that are gone before they run", often: 2, steps: 60,
		takes:  but(brisk, takeTime, 8, takeUser, 14, takeLate, 14),
		users:  [actions]int{doScale: 30, doDeleteJob: 30, doTemplate: 5},
		late:   []string{"patch pods"},
		turn:   []action{doDeleteJob},
		unused: 1, twoTemplates: 1, retain: 4, wait: 8, prompt: true, most: 2, fickle: 2, sloth: 30, nosy: 90, hurried: true,
		odd: 3, cruel: 8,
	},
	{
		name: "annotations", often: 3, steps: 50,
		takes:  but(brisk, takeUser, 18),
		users:  [actions]int{doScale: 50, doTemplate: 14, doCreatePolicy: 4, doDeletePolicy: 5, doWhenDrained: 6, doDeleteSet: 4, doCreateSet: 4, doSuspend: 2, doEditSet: 2},
		late:   []string{"create pods", "patch persistentvolumeclaims", "delete persistentvolumeclaims", "delete drainpolicies"},
		then:   []string{"delete pods"},
		unused: 5, twoTemplates: 2, retain: 3, wait: 7, prompt: true, most: 2, fickle: 5, sloth: 30,
		annotated: 10, tools: 2, odd: 1, cruel: 3, lags: 2,
	},
	{
		name: "tampering", often: 3, steps: 60,
		takes:  but(brisk, takeUser, 20),
		users:  [actions]int{doScale: 40, doTamper: 35, doSkip: 5, doDeleteClaim: 14, doRestoreClaim: 16, doDeletePod: 10, doStripLock: 6, doDeleteJob: 4, doEditSet: 3},
		late:   []string{"patch persistentvolumeclaims", "delete persistentvolumeclaims"},
		unused: 4, twoTemplates: 4, retain: 5, wait: 5, prompt: true, most: 1, fickle: 5, sloth: 30,
	},
}

// but returns how often each step is taken, with some of it changed.
func but(most [takings]int, changes ...any) [takings]int {
	for i := 0; i < len(changes); i += 2 {
		most[changes[i].(taking)] = changes[i+1].(int)
	}
	return most
}
