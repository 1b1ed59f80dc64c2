// Package scenario has what the benchmark measures: each scenario starts a cluster of its own, creates a workload, and counts
// what the operator and the bare client do with it.
package scenario
