// Package bare is the least that a drain costs: a client with the caches of an operator, without a client-side rate limit and
// without any check. For each orphan it makes seven writes: it creates the lock and the Job, marks the claim, deletes the Job in
// the foreground, deletes the claim and the lock, and removes the lock's finalizer. It is a measure, and not safe.
package bare
