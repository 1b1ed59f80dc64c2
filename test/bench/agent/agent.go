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

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/statefulset-dev/drain-operator/test/bench/cluster"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/process"
)

// Binary is what runs under test.
type Binary struct {
	File string
	Args []string
	// Env are NAME=value pairs.
	Env []string
	// Profiles is the folder that CPU and heap profiles are written to; empty means none.
	Profiles string
}

// Agent is a running operator.
type Agent struct {
	binary  Binary
	cluster *cluster.Cluster
	record  process.Record
}

// Start starts the operator as the user Operator.
func Start(c *cluster.Cluster, binary Binary) (*Agent, error) {
	kubeconfig, err := c.Kubeconfig("operator", cluster.Operator)
	if err != nil {
		return nil, err
	}
	file, err := filepath.Abs(binary.File)
	if err != nil {
		return nil, err
	}
	record, err := c.Run("operator", kubeconfig, binary.Env, append([]string{file}, binary.Args...)...)
	if err != nil {
		return nil, err
	}
	return &Agent{binary: binary, cluster: c, record: record}, nil
}

// Stop ends the operator.
func (a *Agent) Stop(ctx context.Context) error { return a.cluster.End(ctx, a.record) }

// Check returns an error if the operator has ended.
func (a *Agent) Check() error {
	if !a.record.Running() {
		return fmt.Errorf("the operator ended%s", process.LogTail(a.cluster.Log("operator")))
	}
	return nil
}

// CPU returns the processor time that the operator has used so far.
func (a *Agent) CPU() (time.Duration, error) {
	used, err := a.cluster.Processors()
	return used[a.record.Name], err
}

// ResetPeak makes PeakMemory start from the present use.
func (a *Agent) ResetPeak() error { return os.WriteFile(a.proc("clear_refs"), []byte("5"), 0o600) }

// Memory returns the resident memory of the operator now, and its peak, in MiB.
func (a *Agent) Memory() (now, peak float64, err error) {
	content, err := os.ReadFile(a.proc("status"))
	if err != nil {
		return 0, 0, err
	}
	if now, err = kibibytes(string(content), "VmRSS"); err != nil {
		return 0, 0, err
	}
	peak, err = kibibytes(string(content), "VmHWM")
	return now, peak, err
}

// kibibytes returns a field of /proc/<pid>/status in MiB.
func kibibytes(status, field string) (float64, error) {
	found := regexp.MustCompile(`(?m)^` + field + `:\s+(\d+) kB$`).FindStringSubmatch(status)
	if found == nil {
		return 0, fmt.Errorf("/proc/<pid>/status has no field %s", field)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	return n / 1024, err
}

func (a *Agent) proc(file string) string { return fmt.Sprintf("/proc/%d/%s", a.record.PID, file) }

// profileSeconds is the length of each CPU profile. One that is cut short is lost, so a burst gets several of them, which
// `go tool pprof` adds up.
const profileSeconds = 10

// Profile records CPU profiles until the returned function is called, which writes heap and allocation profiles too. It does
// nothing unless profiles were asked for.
func (a *Agent) Profile(ctx context.Context, name string) (finish func() error, err error) {
	if a.binary.Profiles == "" {
		return func() error { return nil }, nil
	}
	address, err := profileAddress(a.binary.Args)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(a.binary.Profiles, 0o755); err != nil {
		return nil, err
	}
	fetch := func(what, query, suffix string) error {
		return download(ctx, "http://"+address+"/debug/pprof/"+what+query, filepath.Join(a.binary.Profiles, name+"."+what+suffix+".pprof"))
	}
	var recorded error
	var group sync.WaitGroup
	over := make(chan struct{})
	group.Go(func() {
		for n := 0; recorded == nil; n++ {
			select {
			case <-over:
				return
			default:
				recorded = fetch("profile", fmt.Sprintf("?seconds=%d", profileSeconds), fmt.Sprintf("-%d", n))
			}
		}
	})
	return func() error {
		close(over)
		err := errors.Join(fetch("heap", "", ""), fetch("allocs", "", ""))
		group.Wait()
		return errors.Join(recorded, err)
	}, nil
}

// profileAddress finds the address of the profiles among the operator's arguments.
func profileAddress(args []string) (string, error) {
	for _, arg := range args {
		if found := pprofAddress.FindStringSubmatch(arg); found != nil {
			if strings.HasPrefix(found[1], ":") {
				return "127.0.0.1" + found[1], nil
			}
			return found[1], nil
		}
	}
	return "", fmt.Errorf("profiles need --pprof-bind-address=HOST:PORT among the operator's arguments %q", args)
}

var pprofAddress = regexp.MustCompile(`^--?pprof-bind-address=(.+)$`)

func download(ctx context.Context, address, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, response.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, response.Body)
	return err
}
