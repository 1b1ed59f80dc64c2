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

package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/host"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/process"
)

// MountPoints are the folders, on this machine, that a node has its own of.
var MountPoints = []string{"/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni", "/var/log/pods", "/var/log/containers"}

// ready is the descriptor that Init tells its parent on that the node can be used.
const ready = 3

// Faults that a node can be given.
const (
	// Crash powers the node off.
	Crash = "crash"
	// Partition pulls its cable.
	Partition = "partition"
	// Shutdown tells the kubelet that the node is about to shut down, and waits until it has ended the pods.
	Shutdown = "shutdown"
	// Halt is what a shutdown does without the kubelet: it kills the kubelet and sends SIGTERM to every process of a pod.
	Halt = "halt"
)

// RestartKubelet is no fault: the kubelet is killed and started again, with its drop-in files as they are then.
const RestartKubelet = "restart-kubelet"

// grace is how long Halt waits for the pods' processes.
const grace = 10 * time.Second

// Node is one node of the cluster.
type Node struct {
	layout.Node
	// Programs is the folder of the programs, Nodes how many nodes the cluster has.
	Programs string
	Nodes    int
	// ResolvConf is what names outside the cluster are resolved by.
	ResolvConf string
	Cgroups    host.Hierarchies
}

// programs that run on a node, in the order they are started.
var programs = []string{"containerd", "kubelet", "kube-proxy"}

// PowerOn starts the node's namespaces, its network and containerd. It needs no API server.
func (n Node) PowerOn(ctx context.Context) error {
	if err := writeConfig(n.Node, n.ResolvConf, n.Cgroups.V2); err != nil {
		return err
	}
	if err := n.Cgroups.Create(n.Cgroup()); err != nil {
		return err
	}
	if err := n.startInit(ctx); err != nil {
		return err
	}
	first, running := n.first()
	if !running {
		return fmt.Errorf("%s ended at once%s", n.NodeName(), process.LogTail(n.log("init")))
	}
	if err := host.Plug(ctx, n.Node, first.PID, n.Nodes); err != nil {
		return err
	}
	if err := n.start("containerd", registryEnv(), "--config", filepath.Join(n.NodeConfig(), "containerd.toml")); err != nil {
		return err
	}
	return n.waitContainerd(ctx)
}

// Join starts kubelet and kube-proxy, which need the API server.
func (n Node) Join() error {
	if err := n.startKubelet(); err != nil {
		return err
	}
	return n.start("kube-proxy", nil, "--config="+filepath.Join(n.NodeConfig(), "kube-proxy.yaml"))
}

func (n Node) startKubelet() error {
	return n.start("kubelet", nil,
		"--config="+filepath.Join(n.NodeConfig(), "kubelet.yaml"),
		"--config-dir="+n.KubeletDropIns(),
		"--kubeconfig="+filepath.Join(n.PKI(), n.NodeName()+".kubeconfig"),
		"--hostname-override="+n.NodeName(),
		"--node-ip="+n.IP(),
	)
}

// RestartKubelet kills the kubelet and starts it again. What it was doing, it doesn't remember.
func (n Node) RestartKubelet(ctx context.Context) error {
	if err := n.killKubelet(ctx); err != nil {
		return err
	}
	return n.startKubelet()
}

// killKubelet kills the kubelet, which is the child of the program that entered the node.
func (n Node) killKubelet(ctx context.Context) error {
	record, running := process.Read(n.Processes(), n.ProcessName("kubelet"))
	if !running {
		return nil
	}
	children, err := record.Children()
	if err != nil {
		return err
	}
	if len(children) == 0 {
		return fmt.Errorf("process %d has no kubelet of %s", record.PID, n.NodeName())
	}
	return process.Kill(ctx, append(children, record))
}

// Load imports an image archive.
func (n Node) Load(ctx context.Context, archive string) error {
	if _, running := n.first(); !running {
		return fmt.Errorf("%s is not running", n.NodeName())
	}
	args := append(n.enter(), filepath.Join(n.Programs, "ctr"), "--address=/run/containerd/containerd.sock", "--namespace=k8s.io", "images", "import", "--snapshotter="+snapshotter(n.Disk()), archive)
	if err := host.Run(ctx, args...); err != nil {
		return fmt.Errorf("load %s onto %s: %w", archive, n.NodeName(), err)
	}
	return nil
}

// Inject gives the node a fault.
func (n Node) Inject(ctx context.Context, fault string) error {
	if _, running := n.first(); !running {
		return fmt.Errorf("%s is down already", n.NodeName())
	}
	if err := os.WriteFile(n.Fault(), []byte(fault+"\n"), 0o644); err != nil {
		return err
	}
	switch fault {
	case Shutdown:
		return n.shutDown(ctx)
	case Halt:
		return n.halt(ctx)
	}
	// The cable first: a dying program's last words must not leave the node.
	if err := host.SetLink(ctx, n.Node, "down"); err != nil {
		return err
	}
	if fault == Partition {
		return nil
	}
	return n.PowerOff(ctx)
}

// halt sends SIGTERM to the processes of all pods, when the kubelet is gone and containerd is still there. That is the worst order for what
// relies on exit codes: containerd keeps them, and no kubelet ever told a pod to end.
func (n Node) halt(ctx context.Context) error {
	if err := n.killKubelet(ctx); err != nil {
		return err
	}
	pids, err := n.Cgroups.Processes(n.Cgroup())
	if err != nil {
		return err
	}
	var told []process.Record
	for _, pid := range pids {
		record, err := process.Of("a pod's process", pid)
		if err != nil {
			continue // it ended meanwhile
		}
		if err := syscall.Kill(pid, syscall.SIGTERM); err == nil {
			told = append(told, record)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for slices.ContainsFunc(told, process.Record.Running) {
		select {
		case <-ctx.Done():
			return nil // what ignores the signal is killed when the power goes
		case <-ticker.C:
		}
	}
	return nil
}

// PowerOff kills everything on the node at once.
func (n Node) PowerOff(ctx context.Context) error {
	first, running := n.first()
	if running {
		if err := process.Kill(ctx, []process.Record{first}); err != nil {
			return err
		}
	}
	// The programs that entered the node from outside end with what they started.
	for _, program := range append([]string{"init", "bus"}, programs...) {
		name := n.ProcessName(program)
		if record, running := process.Read(n.Processes(), name); running {
			if err := process.Kill(ctx, []process.Record{record}); err != nil {
				return err
			}
		}
		if err := process.Forget(n.Processes(), name); err != nil {
			return err
		}
	}
	if err := host.Unplug(ctx, n.Node); err != nil {
		return err
	}
	return n.Cgroups.Remove(ctx, n.Cgroup())
}

// Heal ends the node's fault, whichever it is.
func (n Node) Heal(ctx context.Context) error {
	if fault := n.CurrentFault(); n.Healthy() && fault != Shutdown {
		if err := host.SetLink(ctx, n.Node, "up"); err != nil {
			return err
		}
		return n.clearFault()
	}
	if err := n.PowerOff(ctx); err != nil { // what may be left of it
		return err
	}
	for _, folder := range []string{n.KubeletDropIns(), n.StaticPods()} {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	if err := n.PowerOn(ctx); err != nil {
		return err
	}
	if err := n.Join(); err != nil {
		return err
	}
	return n.clearFault()
}

func (n Node) clearFault() error {
	if err := os.Remove(n.Fault()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// CurrentFault is the fault that the node was given, or empty.
func (n Node) CurrentFault() string {
	content, err := os.ReadFile(n.Fault())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// Healthy reports whether all of the node's programs run.
func (n Node) Healthy() bool {
	if _, running := n.first(); !running {
		return false
	}
	for _, program := range programs {
		if _, running := process.Read(n.Processes(), n.ProcessName(program)); !running {
			return false
		}
	}
	return true
}

// Check returns an error with the end of its log for the first of the node's programs that was started and ended.
func (n Node) Check() error {
	for _, program := range programs {
		name := n.ProcessName(program)
		if _, err := os.Stat(filepath.Join(n.Processes(), name+".json")); err != nil {
			continue
		}
		if _, running := process.Read(n.Processes(), name); !running {
			return fmt.Errorf("%s of %s ended%s", program, n.NodeName(), process.LogTail(n.log(program)))
		}
	}
	return nil
}

// Enter is the start of a command line that runs a program on the node.
func (n Node) enter() []string {
	first, _ := n.first()
	return []string{"nsenter", "--target=" + strconv.Itoa(first.PID), "--mount", "--uts", "--ipc", "--net", "--pid"}
}

// Exec runs a program of this machine on the node.
func (n Node) Exec(ctx context.Context, args ...string) (string, error) {
	if _, running := n.first(); !running {
		return "", fmt.Errorf("%s is not running", n.NodeName())
	}
	return host.Output(ctx, append(n.enter(), args...)...)
}

func (n Node) first() (process.Record, bool) {
	return process.Read(n.Processes(), n.ProcessName("init"))
}

func (n Node) log(program string) string {
	return filepath.Join(n.Logs(), n.ProcessName(program)+".log")
}

func (n Node) startInit(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	_, err = process.Start(process.Spec{
		Name: n.ProcessName("init"), State: n.State, Records: n.Processes(), Log: n.log("init"),
		Args:  []string{self, "node-init", n.NodeName(), n.Disk(), n.ResolvConf},
		Extra: []*os.File{writer},
		Attr:  isolated(),
	})
	writer.Close()
	if err != nil {
		return err
	}
	if deadline, set := ctx.Deadline(); set {
		if err := reader.SetReadDeadline(deadline); err != nil {
			return err
		}
	}
	if line, err := bufio.NewReader(reader).ReadString('\n'); err != nil || line != "ready\n" {
		return fmt.Errorf("%s doesn't start%s", n.NodeName(), process.LogTail(n.log("init")))
	}
	return nil
}

// registryEnv is how this machine reaches registries, for containerd alone: the others must not ask a proxy for what is in
// the cluster.
func registryEnv() []string {
	var env []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (n Node) start(program string, env []string, args ...string) error {
	command := append(n.enter(), filepath.Join(n.Programs, program))
	_, err := process.Start(process.Spec{
		Name: n.ProcessName(program), State: n.State, Records: n.Processes(), Log: n.log(program),
		Path: n.Programs, Env: env, Args: append(command, args...),
	})
	return err
}

// waitContainerd waits until containerd answers.
func (n Node) waitContainerd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	first, _ := n.first()
	socket := fmt.Sprintf("/proc/%d/root/run/containerd/containerd.sock", first.PID)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		connection, err := net.Dial("unix", socket)
		if err == nil {
			return connection.Close()
		}
		if err := n.Check(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("containerd of %s doesn't answer: %w%s", n.NodeName(), err, process.LogTail(n.log("containerd")))
		case <-ticker.C:
		}
	}
}
