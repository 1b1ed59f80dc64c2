//go:build cluster

package main

import (
	"os"
	"testing"
	"time"
)

// waitFor waits until a file is there.
func waitFor(t *testing.T, file string) {
	t.Helper()
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(file); err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s doesn't appear", file)
		case <-ticker.C:
		}
	}
}
