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

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/addons"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/binaries"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/controlplane"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/host"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/kubeapi"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/node"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/process"
)

// Name of this provider.
const Name = "local"

// programs that a cluster is made of.
var programs = []string{
	"containerd", "containerd-shim-runc-v2", "coredns", "ctr", "etcd", "kube-apiserver", "kube-controller-manager",
	"kube-proxy", "kube-scheduler", "kubectl", "kubelet", "pause", "volume-provisioner",
}

// Provider runs the cluster of one checkout.
type Provider struct {
	// State is the cluster's folder, Modules that of the programs' Go modules.
	State, Modules string
	// Report tells the user what happens.
	Report func(format string, args ...any)

	machine *host.Machine
}

// New returns the provider.
func New(state, modules string, report func(format string, args ...any)) *Provider {
	return &Provider{State: state, Modules: modules, Report: report, machine: host.NewMachine()}
}

// Up starts the cluster unless it runs.
func (p *Provider) Up(ctx context.Context, nodes int, kubernetes binaries.Kubernetes) error {
	if err := host.Preflight(ctx, p.Report); err != nil {
		return err
	}
	// Before another release is built, which takes minutes. Resume looks again, under the lock.
	if running, err := p.open(); err == nil {
		if err := running.refuse(kubernetes); err != nil {
			return err
		}
	}
	// Before the lock is taken: a first build takes minutes, and other checkouts' clusters must
	// not wait for it.
	store, err := binaries.NewStore(p.Modules, kubernetes, p.Report)
	if err != nil {
		return err
	}
	folder, err := store.Ensure(ctx, programs...)
	if err != nil {
		return err
	}
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := p.removeOrphans(ctx); err != nil {
		return err
	}
	if done, err := p.resume(ctx, nodes, kubernetes); done || err != nil {
		return err
	}
	cache, err := binaries.CacheFolder()
	if err != nil {
		return err
	}
	for _, path := range []string{p.State, cache} {
		if path == "/run" || strings.HasPrefix(path, "/run/") {
			return fmt.Errorf("%s lies under /run, which each node has its own of: use a checkout and a cache folder (XDG_CACHE_HOME) elsewhere", path)
		}
	}
	images, err := addons.Images(filepath.Join(cache, "images"), folder)
	if err != nil {
		return err
	}
	slot, err := p.machine.Claim(p.State)
	if err != nil {
		return err
	}
	c := &cluster{Layout: layout.Layout{State: p.State, Slot: slot}, programs: folder, kubernetes: kubernetes, size: nodes}
	if err := p.start(ctx, c, images); err != nil {
		p.Report("what was started is left for you to look at, with its logs in %s; up starts it again, down removes it", c.Logs())
		return err
	}
	return nil
}

// cluster is the parts of a running cluster.
type cluster struct {
	layout.Layout
	programs   string
	kubernetes binaries.Kubernetes
	size       int
	cgroups    host.Hierarchies
}

func (c *cluster) controlPlane() controlplane.ControlPlane {
	return controlplane.ControlPlane{Layout: c.Layout, Programs: c.programs, Gates: c.kubernetes.Gates}
}

func (c *cluster) node(n int) node.Node {
	return node.Node{
		Node: c.Layout.Node(n), Programs: c.programs, Nodes: c.size,
		ResolvConf: filepath.Join(c.Config(), "resolv.conf"), Cgroups: c.cgroups,
	}
}

func (c *cluster) nodes() []node.Node {
	var nodes []node.Node
	for n := 1; n <= c.size; n++ {
		nodes = append(nodes, c.node(n))
	}
	return nodes
}

func (c *cluster) client() (*kubeapi.Client, error) {
	return kubeapi.New(c.Server(), filepath.Join(c.PKI(), "ca.crt"), filepath.Join(c.PKI(), "admin.crt"), filepath.Join(c.PKI(), "admin.key"))
}

// check returns an error when a process of the cluster ended.
func (c *cluster) check() error {
	if err := c.controlPlane().Check(); err != nil {
		return err
	}
	for _, n := range c.nodes() {
		if fault := n.CurrentFault(); fault == node.Crash || fault == node.Halt {
			continue
		}
		if err := n.Check(); err != nil {
			return err
		}
	}
	return nil
}

// refuse returns an error when the cluster runs, and with another Kubernetes.
func (c *cluster) refuse(asked binaries.Kubernetes) error {
	if c.kubernetes.Is(asked) || !c.controlPlane().Healthy() {
		return nil
	}
	return fmt.Errorf("the cluster runs Kubernetes %s: take it down first (make cluster-down) to have %s", c.kubernetes, asked)
}

// start starts everything; the slot is taken already.
func (p *Provider) start(ctx context.Context, c *cluster, images []string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	var err error
	if c.cgroups, err = host.Cgroups(); err != nil {
		return err
	}
	if err := p.prepare(ctx, c); err != nil {
		return err
	}
	watch := newStopwatch(p.Report)
	control := c.controlPlane()
	if err := control.StartServer(); err != nil {
		return err
	}

	// The nodes take about as long as the API server does, and need it only to join.
	powered := make(chan error, c.size)
	for _, n := range c.nodes() {
		go func() {
			err := n.PowerOn(ctx)
			for _, image := range images {
				if err == nil {
					err = n.Load(ctx, image)
				}
			}
			powered <- err
		}()
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := p.wait(ctx, c, "the API server doesn't become ready", func(ctx context.Context) (bool, error) {
		return true, client.Ready(ctx)
	}); err != nil {
		return err
	}
	watch.lap("API server ready")
	if err := control.StartControllers(); err != nil {
		return err
	}
	if err := p.apply(ctx, c); err != nil {
		return err
	}
	if err := control.StartProvisioner(); err != nil {
		return err
	}
	for range c.size {
		if err := <-powered; err != nil {
			return err
		}
	}
	for _, n := range c.nodes() {
		if err := n.Join(); err != nil {
			return err
		}
	}
	if err := p.waitNodes(ctx, c, client); err != nil {
		return err
	}
	watch.lap("%d nodes ready", c.size)
	if err := p.wait(ctx, c, "the cluster's DNS doesn't answer", func(ctx context.Context) (bool, error) {
		if ready, err := client.DeploymentReady(ctx, "kube-system", "coredns"); !ready || err != nil {
			return false, err
		}
		return true, p.lookup(ctx, c)
	}); err != nil {
		return err
	}
	if err := p.wait(ctx, c, "the ServiceAccount default doesn't appear", func(ctx context.Context) (bool, error) {
		return client.ServiceAccountExists(ctx, "default", "default")
	}); err != nil {
		return err
	}
	watch.lap("DNS answers, storage class \"standard\" in place")
	p.Report("cluster is up with Kubernetes %s: export KUBECONFIG=%s", c.kubernetes.Version, c.Kubeconfig())
	return nil
}

// prepare lays the ground: files, kernel settings and the network.
func (p *Provider) prepare(ctx context.Context, c *cluster) error {
	if err := os.MkdirAll(c.State, 0o755); err != nil {
		return err
	}
	for file, content := range map[string]string{
		c.Provider():                          Name + "\n",
		filepath.Join(c.State, "nodes.count"): fmt.Sprintln(c.size),
		filepath.Join(c.State, "programs"):    c.programs + "\n",
	} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := c.kubernetes.Save(c.Kubernetes()); err != nil {
		return err
	}
	if err := c.controlPlane().Prepare(c.size); err != nil {
		return err
	}
	resolvConf := addons.ResolvConf()
	if err := os.WriteFile(filepath.Join(c.Config(), "resolv.conf"), []byte(resolvConf), 0o644); err != nil {
		return err
	}
	manifests, err := addons.Manifests(c.Layout, c.size, resolvConf != "")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Config(), "addons.yaml"), []byte(manifests), 0o644); err != nil {
		return err
	}
	if err := p.machine.SaveSettings(); err != nil {
		return err
	}
	if err := p.machine.Forward(); err != nil {
		return err
	}
	if err := p.machine.MountPoints(node.MountPoints); err != nil {
		return err
	}
	return host.ConnectNetwork(ctx, c.Layout)
}

// apply makes the cluster's own objects.
func (p *Provider) apply(ctx context.Context, c *cluster) error {
	command := exec.CommandContext(ctx, filepath.Join(c.programs, "kubectl"), "--kubeconfig="+c.Kubeconfig(),
		"apply", "--server-side", "--validate=false", "--filename="+filepath.Join(c.Config(), "addons.yaml"))
	command.Env = append(os.Environ(), "NO_PROXY=*", "no_proxy=*")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("apply the cluster's own objects: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}

// lookup asks the cluster's DNS for a name, from a node and through the Service.
func (p *Provider) lookup(ctx context.Context, c *cluster) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, n := range c.nodes() {
		if _, err := n.Exec(ctx, self, "lookup", c.DNSIP()+":53", "kubernetes.default.svc."+layout.ClusterDomain+"."); err != nil {
			return err
		}
	}
	return nil
}

func (p *Provider) waitNodes(ctx context.Context, c *cluster, client *kubeapi.Client) error {
	return p.wait(ctx, c, "the nodes don't become ready", func(ctx context.Context) (bool, error) {
		ready, err := client.Nodes(ctx)
		if err != nil {
			return false, err
		}
		for _, n := range c.nodes() {
			if !ready[n.NodeName()] {
				return false, nil
			}
		}
		return true, nil
	})
}

// wait polls until done says true. A process that ended makes it fail at once; an error of done counts as not yet.
func (p *Provider) wait(ctx context.Context, c *cluster, what string, done func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := done(ctx)
		if ok && err == nil {
			return nil
		}
		if err := c.check(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return fmt.Errorf("%s: %w; logs are in %s", what, err, c.Logs())
		case <-ticker.C:
		}
	}
}

// resume reports true when the cluster runs already, after healing the nodes that were given a fault. It clears away a
// cluster that runs only in part.
func (p *Provider) resume(ctx context.Context, nodes int, kubernetes binaries.Kubernetes) (bool, error) {
	c, err := p.open()
	if errors.Is(err, errNotRunning) {
		if _, err := os.Stat(p.State); err == nil {
			return false, p.remove(ctx)
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := c.refuse(kubernetes); err != nil {
		return false, err
	}
	if c.kubernetes.Is(kubernetes) && c.size == nodes && p.healthy(ctx, c) {
		p.Report("cluster is up already with Kubernetes %s: export KUBECONFIG=%s", c.kubernetes.Version, c.Kubeconfig())
		return true, nil
	}
	if c.size != nodes && c.controlPlane().Healthy() {
		return false, fmt.Errorf("the cluster runs with %d nodes: take it down first to have %d", c.size, nodes)
	}
	p.Report("a cluster is there that runs only in part; starting it again")
	return false, p.remove(ctx)
}

func (p *Provider) healthy(ctx context.Context, c *cluster) bool {
	if !c.controlPlane().Healthy() {
		return false
	}
	client, err := c.client()
	if err != nil || client.Ready(ctx) != nil {
		return false
	}
	for _, n := range c.nodes() {
		if fault := n.CurrentFault(); fault != "" {
			p.Report("healing %s (%s)", n.NodeName(), fault)
			if n.Heal(ctx) != nil {
				return false
			}
		}
		if !n.Healthy() {
			return false
		}
	}
	return p.waitNodes(ctx, c, client) == nil
}

var errNotRunning = errors.New("no cluster runs here: start one with cluster-up")

// open finds the cluster of this checkout.
func (p *Provider) open() (*cluster, error) {
	slot, found, err := p.machine.SlotOf(p.State)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errNotRunning
	}
	c := &cluster{Layout: layout.Layout{State: p.State, Slot: slot}}
	count, err := os.ReadFile(filepath.Join(p.State, "nodes.count"))
	if err != nil {
		return nil, errNotRunning
	}
	if _, err := fmt.Sscan(string(count), &c.size); err != nil {
		return nil, errNotRunning
	}
	folder, err := os.ReadFile(filepath.Join(p.State, "programs"))
	if err != nil {
		return nil, errNotRunning
	}
	c.programs = strings.TrimSpace(string(folder))
	if c.kubernetes, found, err = binaries.Saved(c.Kubernetes()); !found || err != nil {
		return nil, errNotRunning
	}
	c.cgroups, err = host.Cgroups()
	return c, err
}

// Down stops the cluster and leaves nothing of it.
func (p *Provider) Down(ctx context.Context) error {
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return p.remove(ctx)
}

func (p *Provider) lock(ctx context.Context) (func(), error) {
	return p.machine.Lock(ctx, func() { p.Report("waiting for another cluster command to end") })
}

// remove removes whatever there is of this checkout's cluster. Nothing in it depends on how far up came.
func (p *Provider) remove(ctx context.Context) error {
	slot, found, err := p.machine.SlotOf(p.State)
	if err != nil {
		return err
	}
	if found {
		return p.removeSlot(ctx, layout.Layout{State: p.State, Slot: slot})
	}
	return removeFiles(ctx, p.State)
}

// removeSlot removes a cluster and gives its slot back.
func (p *Provider) removeSlot(ctx context.Context, l layout.Layout) error {
	if err := killAll(ctx, l.State); err != nil {
		return err
	}
	if err := p.clear(ctx, l); err != nil {
		return err
	}
	if err := removeFiles(ctx, l.State); err != nil {
		return err
	}
	return p.machine.Release(l.Slot)
}

// removeFiles removes a cluster's folder, after everything that could still be in use there.
func removeFiles(ctx context.Context, state string) error {
	if err := killAll(ctx, state); err != nil {
		return err
	}
	if err := host.Unmount(state); err != nil {
		return err
	}
	return os.RemoveAll(state)
}

// removeOrphans removes clusters whose checkout is gone, or as much of it as could be removed while they ran.
func (p *Provider) removeOrphans(ctx context.Context) error {
	owners, err := p.machine.Owners()
	if err != nil {
		return err
	}
	for slot, state := range owners {
		l := layout.Layout{State: state, Slot: slot}
		if _, err := os.Stat(l.Provider()); !errors.Is(err, fs.ErrNotExist) || state == p.State {
			continue
		}
		p.Report("removing the rest of a cluster whose folder %s was removed", state)
		if err := p.removeSlot(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// clear removes a cluster's traces on the machine, outside its folder.
func (p *Provider) clear(ctx context.Context, l layout.Layout) error {
	if err := host.DisconnectNetwork(ctx, l); err != nil {
		return err
	}
	cgroups, err := host.Cgroups()
	if err != nil {
		return err
	}
	return cgroups.Remove(ctx, l.CgroupRoot())
}

// killAll kills every process of a cluster, also those whose record is lost.
func killAll(ctx context.Context, state string) error {
	records, err := process.Records(layout.Layout{State: state}.Processes())
	if err != nil {
		return err
	}
	if err := process.Kill(ctx, records); err != nil {
		return err
	}
	// What was started between two looks is found by the next one.
	for range 5 {
		marked, err := process.Marked(state)
		if err != nil || len(marked) == 0 {
			return err
		}
		if err := process.Kill(ctx, marked); err != nil {
			return err
		}
	}
	return nil
}

// Load imports image archives onto every node that runs.
func (p *Provider) Load(ctx context.Context, archives []string) error {
	c, err := p.open()
	if err != nil {
		return err
	}
	for _, n := range c.nodes() {
		if n.CurrentFault() == node.Crash {
			p.Report("skipping %s, which is powered off; load again when it is healed", n.NodeName())
			continue
		}
		for _, archive := range archives {
			start := time.Now()
			if err := n.Load(ctx, archive); err != nil {
				return err
			}
			p.Report("loaded %s onto %s (%.1f s)", filepath.Base(archive), n.NodeName(), time.Since(start).Seconds())
		}
	}
	return nil
}

// Node injects a fault into a node, or heals it.
func (p *Provider) Node(ctx context.Context, number int, action string) error {
	c, err := p.open()
	if err != nil {
		return err
	}
	if number < 1 || number > c.size {
		return fmt.Errorf("there is no node %d: the cluster has nodes 1 to %d", number, c.size)
	}
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	n := c.node(number)
	start := time.Now()
	switch action {
	case node.RestartKubelet:
		if err := n.RestartKubelet(ctx); err != nil {
			return err
		}
	case "heal":
		if err := n.Heal(ctx); err != nil {
			return err
		}
	default:
		if err := n.Inject(ctx, action); err != nil {
			return err
		}
		p.Report("%s: %s; Kubernetes notices within 14 s", n.NodeName(), action)
		return nil
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := p.wait(ctx, c, n.NodeName()+" doesn't become ready", func(ctx context.Context) (bool, error) {
		ready, err := client.Nodes(ctx)
		return ready[n.NodeName()], err
	}); err != nil {
		return err
	}
	p.Report("%s is ready (%.1f s)", n.NodeName(), time.Since(start).Seconds())
	return nil
}

// ControlPlane kills etcd and the API server, or starts them again on the data that etcd has on disk.
func (p *Provider) ControlPlane(ctx context.Context, action string) error {
	c, err := p.open()
	if err != nil {
		return err
	}
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	control := c.controlPlane()
	if action != "heal" {
		if err := control.KillServer(ctx); err != nil {
			return err
		}
		p.Report("etcd and kube-apiserver are killed; what runs on the nodes goes on")
		return nil
	}
	start := time.Now()
	if !control.Healthy() {
		if err := control.KillServer(ctx); err != nil { // one of the two may still run
			return err
		}
		if err := control.StartServer(); err != nil {
			return err
		}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := p.wait(ctx, c, "the API server doesn't become ready", func(ctx context.Context) (bool, error) {
		return true, client.Ready(ctx)
	}); err != nil {
		return err
	}
	p.Report("the API server is ready (%.1f s)", time.Since(start).Seconds())
	return nil
}

// Status prints the nodes and the processes.
func (p *Provider) Status(ctx context.Context) error {
	c, err := p.open()
	if err != nil {
		return err
	}
	p.Report("Kubernetes %s, kubeconfig %s, API server %s", c.kubernetes.Version, c.Kubeconfig(), c.Server())
	client, err := c.client()
	if err != nil {
		return err
	}
	ready, apiError := client.Nodes(ctx)
	for _, n := range c.nodes() {
		state := "NotReady"
		if ready[n.NodeName()] {
			state = "Ready"
		}
		if fault := n.CurrentFault(); fault != "" {
			state += " (" + fault + ")"
		}
		p.Report("%-8s %s  %s", n.NodeName(), n.IP(), state)
	}
	records, err := process.Records(c.Processes())
	if err != nil {
		return err
	}
	slices.SortFunc(records, func(a, b process.Record) int { return strings.Compare(a.Name, b.Name) })
	for _, record := range records {
		state := "running"
		if !record.Running() {
			state = "ended"
		}
		p.Report("%-26s %-8s process %d", record.Name, state, record.PID)
	}
	if apiError != nil {
		return fmt.Errorf("the API server doesn't answer: %w", apiError)
	}
	return nil
}

// stopwatch reports how far it has come, with seconds.
type stopwatch struct {
	start  time.Time
	report func(format string, args ...any)
}

func newStopwatch(report func(format string, args ...any)) stopwatch {
	return stopwatch{start: time.Now(), report: report}
}

func (s stopwatch) lap(format string, args ...any) {
	s.report("%5.1f s  %s", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
}
