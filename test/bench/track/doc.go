// Package track watches the drains of a benchmark: when the StatefulSet's own pod of each orphaned ordinal was gone, when its
// Job was created, and when nothing of the drain was left.
package track
