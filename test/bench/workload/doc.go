// Package workload creates what the benchmark measures on: StatefulSets with claims and policies, pods of others, and the
// scale-down that starts the drains.
package workload
