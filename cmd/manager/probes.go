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

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/statefulset-dev/drain-operator/internal/compatibility"
)

// The readiness checks. /readyz/<name> answers for one of them.
const (
	serverCheck     = "server"     // The API server answers, and is new enough.
	crdCheck        = "crd"        // It serves DrainPolicy with every field of this build.
	namespacesCheck = "namespaces" // At least one of --namespaces can be read.
	leaseCheck      = "lease"      // The Lease can be read and written.
	cachesCheck     = "caches"     // All objects have been read, and the operator may still watch them.
)

const (
	// repeatAfter is how often a message about the same problem is logged.
	repeatAfter = 5 * time.Minute
	// requestTimeout ends a request of a check that hangs.
	requestTimeout = 15 * time.Second
)

// retryDelay is the time between two looks for something that the cluster lacks: longer each time, at most 10 seconds.
var retryDelay = wait.Backoff{Duration: time.Second, Factor: 1.5, Jitter: 0.1, Steps: 10, Cap: 10 * time.Second}

// readiness is what /readyz answers. A replica that stands by for the Lease is ready, or a rollout of two replicas would never finish.
// A replica that was ready stays ready when the API server is down: the operator goes on when it is back, and metrics are read
// through a Service, which has only ready Pods behind it.
type readiness struct {
	mu     sync.Mutex
	checks map[string]func() error
}

func newReadiness() *readiness {
	r := &readiness{checks: map[string]func() error{}}
	for _, name := range []string{serverCheck, crdCheck, namespacesCheck, leaseCheck, cachesCheck} {
		r.set(name, errors.New("not checked yet"))
	}
	return r
}

func (r *readiness) set(name string, err error) {
	r.follow(name, func() error { return err })
}

// follow makes the check ask a function, which must not send requests.
func (r *readiness) follow(name string, check func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks[name] = check
}

// ServeHTTP answers for all checks, or for the one that the path names. Errors can name users and namespaces, and probes have no
// authentication, so only the log has them.
func (r *readiness) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	checks := maps.Clone(r.checks)
	r.mu.Unlock()
	if name := strings.Trim(request.URL.Path, "/"); name != "" {
		check, known := checks[name]
		if !known {
			http.NotFound(w, request)
			return
		}
		checks = map[string]func() error{name: check}
	}
	status, answer := http.StatusOK, ""
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		if err := checks[name](); err != nil {
			status = http.StatusServiceUnavailable
			answer += "[-]" + name + " failed, see the log\n"
		} else {
			answer += "[+]" + name + " ok\n"
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, answer)
}

// requirement is something that the cluster must have before the controllers can start.
type requirement struct {
	check string
	// what it is, after "Waiting for".
	what string
	// met returns why the requirement isn't met.
	met func(context.Context) error
}

// await returns when all requirements are met, or with an error if waiting is of no use. It logs what it waits for.
func (r *readiness) await(ctx context.Context, requirements []requirement) error {
	for _, requirement := range requirements {
		var log repeater
		delay := retryDelay
		err := delay.DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			err := requirement.met(ctx)
			r.set(requirement.check, err)
			if errors.Is(err, compatibility.ErrTooOld) {
				return false, err
			}
			if err != nil && log.due(err.Error()) {
				ctrl.Log.Info("Waiting for "+requirement.what, "why", err.Error())
			}
			return err == nil, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// repeater keeps what is logged again and again at a calm pace.
type repeater struct {
	text string
	at   time.Time
}

// due reports whether a message is new, or was last logged long ago.
func (l *repeater) due(text string) bool {
	now := time.Now()
	if text == l.text && now.Sub(l.at) < repeatAfter {
		return false
	}
	l.text, l.at = text, now
	return true
}

// listenForProbes returns the server of /healthz and /readyz. Its liveness doesn't depend on the cluster: a restart wouldn't help.
func listenForProbes(ctx context.Context, address string, ready *readiness) (*manager.Server, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serving the probes: %w", err)
	}
	mux := http.NewServeMux()
	for path, handler := range map[string]http.Handler{
		"/healthz": &healthz.Handler{Checks: map[string]healthz.Checker{"ping": healthz.Ping}},
		"/readyz":  ready,
	} {
		mux.Handle(path, http.StripPrefix(path, handler))
		mux.Handle(path+"/", http.StripPrefix(path, handler))
	}
	timeout := time.Second
	return &manager.Server{
		Name:            "health probe",
		Server:          &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
		Listener:        listener,
		ShutdownTimeout: &timeout,
	}, nil
}
