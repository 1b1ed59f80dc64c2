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

package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/binaries"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
)

const (
	// Name of this provider.
	Name = "kind"
	// cluster is the name kind knows it by, network the Docker network that kind's nodes are in.
	cluster = "drain-operator"
	network = "kind"
)

// Provider runs the cluster through kind.
type Provider struct {
	// State is the cluster's folder.
	State  string
	Report func(format string, args ...any)

	// run runs a command line, with content on its standard input, and returns its output.
	run func(ctx context.Context, input string, args ...string) (string, error)
}

// New returns the provider.
func New(state string, report func(format string, args ...any)) *Provider {
	return &Provider{State: state, Report: report, run: run}
}

// Available reports whether kind is installed and a Docker daemon answers.
func Available(ctx context.Context) bool {
	if _, err := exec.LookPath("kind"); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := run(ctx, "", "docker", "info")
	return err == nil
}

// Up starts the cluster unless it runs.
func (p *Provider) Up(ctx context.Context, nodes int, kubernetes binaries.Kubernetes) error {
	l := layout.Layout{State: p.State}
	running, known, err := binaries.Saved(l.Kubernetes())
	if err != nil {
		return err
	}
	clusters, err := p.run(ctx, "", "kind", "get", "clusters")
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(clusters), cluster) {
		if kubernetes.KindImage != "" && (!known || !running.Is(kubernetes)) {
			what := "another Kubernetes"
			if known {
				what = "Kubernetes " + running.String()
			}
			return fmt.Errorf("the cluster runs %s: take it down first (make cluster-down) to have %s", what, kubernetes)
		}
		if _, err := p.run(ctx, "", "kubectl", "--kubeconfig="+l.Kubeconfig(), "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=30s"); err == nil {
			p.Report("cluster is up already: export KUBECONFIG=%s", l.Kubeconfig())
			return nil
		}
		p.Report("a cluster is there that runs only in part; starting it again")
		if err := p.Down(ctx); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(p.State, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(l.Provider(), []byte(Name+"\n"), 0o644); err != nil {
		return err
	}
	create := []string{"kind", "create", "cluster", "--name=" + cluster, "--kubeconfig=" + l.Kubeconfig(), "--config=-", "--wait=3m"}
	if kubernetes.KindImage == "" {
		p.Report("kind creates the cluster, with its own choice of Kubernetes")
	} else {
		p.Report("kind creates the cluster with Kubernetes %s", kubernetes)
		create = append(create, "--image="+kubernetes.KindImage)
		if err := kubernetes.Save(l.Kubernetes()); err != nil {
			return err
		}
	}
	start := time.Now()
	if _, err := p.run(ctx, config(nodes, kubernetes.Gates), create...); err != nil {
		return err
	}
	p.Report("cluster is up (%.0f s): export KUBECONFIG=%s", time.Since(start).Seconds(), l.Kubeconfig())
	return nil
}

// config is kind's: the control plane and the nodes, with the times of the local cluster.
func config(nodes int, gates string) string {
	var content strings.Builder
	content.WriteString(`kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
kubeadmConfigPatches:
- |
  kind: ClusterConfiguration
  controllerManager:
    extraArgs:
      node-monitor-grace-period: 12s
      node-monitor-period: 2s
- |
  kind: KubeletConfiguration
  nodeStatusUpdateFrequency: 4s
  nodeLeaseDurationSeconds: 8
nodes:
- role: control-plane
`)
	for range nodes {
		content.WriteString("- role: worker\n")
	}
	if gates != "" {
		content.WriteString("featureGates:\n")
		for gate := range strings.SplitSeq(gates, ",") {
			content.WriteString("  " + strings.Replace(gate, "=", ": ", 1) + "\n")
		}
	}
	return content.String()
}

// Down stops the cluster and removes its folder.
func (p *Provider) Down(ctx context.Context) error {
	if _, err := p.run(ctx, "", "kind", "delete", "cluster", "--name="+cluster); err != nil {
		return err
	}
	return os.RemoveAll(p.State)
}

// Load loads image archives onto every node.
func (p *Provider) Load(ctx context.Context, archives []string) error {
	for _, archive := range archives {
		if _, err := p.run(ctx, "", "kind", "load", "image-archive", "--name="+cluster, archive); err != nil {
			return err
		}
		p.Report("loaded %s", filepath.Base(archive))
	}
	return nil
}

// Node injects a fault into a node, or heals it. Node 1 is the first worker.
func (p *Provider) Node(ctx context.Context, number int, action string) error {
	name := containerName(number)
	var commands [][]string
	switch action {
	case "crash":
		commands = [][]string{{"docker", "kill", name}}
	case "partition":
		commands = [][]string{{"docker", "network", "disconnect", "--force", network, name}}
	case "heal":
		kubeconfig := layout.Layout{State: p.State}.Kubeconfig()
		commands = [][]string{
			{"docker", "start", name},
			{"kubectl", "--kubeconfig=" + kubeconfig, "wait", "--for=condition=Ready", "node/" + name, "--timeout=2m"},
		}
		networks, err := p.run(ctx, "", "docker", "inspect", "--format={{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", name)
		if err != nil {
			return err
		}
		if !slices.Contains(strings.Fields(networks), network) {
			commands = append([][]string{{"docker", "network", "connect", network, name}}, commands...)
		}
	default:
		return fmt.Errorf("no fault is called %q", action)
	}
	for _, args := range commands {
		if _, err := p.run(ctx, "", args...); err != nil {
			return err
		}
	}
	p.Report("%s: %s", name, action)
	return nil
}

// ControlPlane kills etcd and the API server, which the control plane's kubelet starts again, or waits until they are ready.
func (p *Provider) ControlPlane(ctx context.Context, action string) error {
	command := []string{"docker", "exec", cluster + "-control-plane", "pkill", "-KILL", "-x", "etcd|kube-apiserver"}
	if action == "heal" {
		ready := "until kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw=/readyz; do sleep 1; done"
		command = []string{"docker", "exec", cluster + "-control-plane", "timeout", "120", "sh", "-c", ready}
	}
	if _, err := p.run(ctx, "", command...); err != nil {
		return err
	}
	p.Report("control plane: %s", action)
	return nil
}

// containerName is kind's: the first worker has no number.
func containerName(number int) string {
	if number == 1 {
		return cluster + "-worker"
	}
	return fmt.Sprintf("%s-worker%d", cluster, number)
}

// Status prints the nodes and their containers.
func (p *Provider) Status(ctx context.Context) error {
	for _, args := range [][]string{
		{"docker", "ps", "--all", "--filter=label=io.x-k8s.kind.cluster=" + cluster, "--format=table {{.Names}}\t{{.Status}}"},
		{"kubectl", "--kubeconfig=" + layout.Layout{State: p.State}.Kubeconfig(), "get", "nodes", "--output=wide"},
	} {
		output, err := p.run(ctx, "", args...)
		if err != nil {
			return err
		}
		p.Report("%s", strings.TrimSpace(output))
	}
	return nil
}

// Chosen reports whether the cluster in a state folder is kind's.
func Chosen(state string) (provider string, err error) {
	content, err := os.ReadFile(layout.Layout{State: state}.Provider())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(content)), err
}

func run(ctx context.Context, input string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stdin = strings.NewReader(input)
	var stderr strings.Builder
	command.Stderr = io.MultiWriter(&stderr)
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(output), nil
}
