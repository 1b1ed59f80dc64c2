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
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// front stands between a manager and an API server. It writes down the requests, and can be cut.
type front struct {
	t      *testing.T
	server *httptest.Server

	mu   sync.Mutex
	away bool
	// requests are the method and the path of each, after "cut" for those without an answer.
	requests []string
}

// newFront returns a front of the API server of a configuration, whose user all requests are of.
func newFront(t *testing.T, config *rest.Config) *front {
	t.Helper()
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	return serveFront(t, &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // Watches.
		// A cut ends the watches that go through.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})
}

// serveFront serves a handler in place of an API server.
func serveFront(t *testing.T, handler http.Handler) *front {
	t.Helper()
	f := &front{t: t}
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		away, request := f.away, r.Method+" "+r.URL.Path
		if away {
			request = "cut " + request
		}
		f.requests = append(f.requests, request)
		f.mu.Unlock()
		if away {
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		f.cut() // Closing waits for requests that are under way, such as watches.
		f.server.Close()
	})
	return f
}

// cut ends all connections, and until the front is healed, every further request without an answer.
func (f *front) cut() {
	f.setAway(true)
	f.server.CloseClientConnections()
}

func (f *front) heal() { f.setAway(false) }

func (f *front) setAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

// awaitCut waits until several requests were cut.
func (f *front) awaitCut() {
	f.t.Helper()
	before := f.count("^cut ")
	await(f.t, "the manager notices that the API server is away", func(context.Context) (bool, error) {
		return f.count("^cut ") >= before+5, nil
	})
}

// last returns the last requests so far.
func (f *front) last(n int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests[max(0, len(f.requests)-n):])
}

// count returns the number of requests so far that match a regular expression.
func (f *front) count(pattern string) int {
	matching, _ := f.split(pattern)
	return matching
}

// split returns the numbers of requests so far that match a regular expression, and that don't, at one moment.
func (f *front) split(pattern string) (matching, others int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, request := range f.requests {
		if regexp.MustCompile(pattern).MatchString(request) {
			matching++
		}
	}
	return matching, len(f.requests) - matching
}

// kubeconfig returns the path of a kubeconfig that leads to the front.
func (f *front) kubeconfig() string {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: front
contexts: [{name: front, context: {cluster: front}}]
clusters: [{name: front, cluster: {server: "%s"}}]
`, f.server.URL), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// freeAddress returns an address that no server listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// process is a manager that runs, with its probes.
type process struct {
	t      *testing.T
	probes string
	cmd    *exec.Cmd
	ended  chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// launch starts the manager as a process that goes through the front.
func launch(t *testing.T, f *front, arguments ...string) *process {
	t.Helper()
	p := &process{t: t, probes: freeAddress(t), ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0],
		append([]string{"--health-probe-bind-address=" + p.probes, "--kubeconfig=" + f.kubeconfig()}, arguments...)...)
	p.cmd.Env = append(os.Environ(), asManager+"=1")
	output := io.MultiWriter(t.Output(), p)
	p.cmd.Stdout, p.cmd.Stderr = output, output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // The exit code is in ProcessState.
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// Write implements io.Writer for the process's log.
func (p *process) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(data)
}

// lines returns the lines of the log that contain a text.
func (p *process) lines(text string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// awaitLog waits until a line of the log has all words.
func (p *process) awaitLog(words ...string) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("the log has a line with %q", words), func(context.Context) (bool, error) {
		for _, line := range p.lines(words[0]) {
			missing := false
			for _, word := range words {
				missing = missing || !strings.Contains(line, word)
			}
			if !missing {
				return true, nil
			}
		}
		return false, nil
	})
}

// awaitProbe waits until a probe answers with a status.
func (p *process) awaitProbe(path string, want int) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("%s answers %d", path, want), func(context.Context) (bool, error) {
		code, err := p.probe(path)
		return err == nil && code == want, nil
	})
}

func (p *process) probe(path string) (int, error) {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.probes+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return response.StatusCode, nil
}

// expectProbe checks that a probe answers with a status now.
func (p *process) expectProbe(path string, want int) {
	p.t.Helper()
	if code, err := p.probe(path); err != nil || code != want {
		p.t.Errorf("%s answers %d (%v), want %d", path, code, err, want)
	}
}

// awaitEnd waits until the process has ended by itself, and checks its exit code.
func (p *process) awaitEnd(code int) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.t.Fatal("the manager didn't end within a minute")
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("the manager ended with %d, want %d", got, code)
	}
}

// stop ends the process as the kubelet does, and checks that it ends well before the kubelet would kill it.
func (p *process) stop() {
	p.t.Helper()
	before := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("stopping the manager: %v", err)
	}
	p.awaitEnd(0)
	if took := time.Since(before); took > 8*time.Second {
		p.t.Errorf("the manager took %s to stop; the kubelet kills it after 10 s", took)
	}
}

func await(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, condition); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// crds are the folders with the CRD.
func crds() []string { return []string{filepath.Join("..", "..", "config", "crd", "bases")} }

// startAPIServer starts an API server, with the CRDs in some folders. The caller stops it.
func startAPIServer(folders ...string) (*envtest.Environment, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS is not set: run this test with `make test`, which finds or builds kube-apiserver and etcd")
	}
	environment := &envtest.Environment{CRDDirectoryPaths: folders, ErrorIfCRDPathMissing: true}
	if _, err := environment.Start(); err != nil {
		return nil, fmt.Errorf("starting kube-apiserver and etcd: %w", err)
	}
	return environment, nil
}

// startShared starts the API server with the CRD that most tests share, each with objects of its own. TestMain stops it.
var startShared = sync.OnceValues(func() (*envtest.Environment, error) { return startAPIServer(crds()...) })

func sharedAPIServer(t *testing.T) *envtest.Environment {
	t.Helper()
	environment, err := startShared()
	if err != nil {
		t.Fatal(err)
	}
	sharedStarted = true
	return environment
}

// sharedStarted is whether there is something to stop.
var sharedStarted bool
