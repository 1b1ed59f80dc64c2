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

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/binaries"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/pki"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/process"
)

// programs are what the control plane and the fake nodes consist of.
var programs = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}

// KubernetesVersion is the version of the control plane.
const KubernetesVersion = binaries.KubernetesVersion

// The agents whose requests the API server's audit log counts. They are in the groups of ServiceAccounts, because the API
// server's fair queuing treats those differently from other users.
const (
	Operator = "system:serviceaccount:drain-operator-system:drain-operator-controller-manager"
	Bare     = "system:serviceaccount:drain-operator-system:bare-client"
	// Tenant is the user who floods. The API server queues its requests, as those of any user.
	Tenant = "system:serviceaccount:noisy-0:tenant"
)

// Options are the settings of a cluster.
type Options struct {
	// Source is the folder of the package test/infrastructure/cluster/binaries, whose store has the programs.
	Source string
	// Nodes is the number of fake nodes.
	Nodes int
	// DefaultLimits leaves the controllers of Kubernetes their own client-side limits.
	DefaultLimits bool
	// Report receives messages about what takes long.
	Report func(format string, args ...any)
}

// Cluster is a running control plane.
type Cluster struct {
	// Folder holds everything that the cluster writes.
	Folder string
	// Config is the administrator's, without a client-side rate limit.
	Config *rest.Config
	// Client is the administrator's.
	Client kubernetes.Interface
	// Observer is an administrator's too, and has a connection of its own: what it watches does not queue behind other requests.
	Observer kubernetes.Interface

	// managerArgs start the controller manager.
	managerArgs []string

	programs  string
	authority *pki.Authority
	server    string
	etcd      string
	started   []process.Record
	// stopReaping ends what the benchmark does for the fake nodes.
	stopReaping context.CancelFunc
}

// Start starts a cluster and waits until its nodes are registered. A cluster that does not start is stopped.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	store, err := binaries.NewStore(options.Source, binaries.Newest(), options.Report)
	if err != nil {
		return nil, err
	}
	folder, err := store.Ensure(ctx, programs...)
	if err != nil {
		return nil, err
	}
	state, err := os.MkdirTemp(stateParent(), "drain-bench-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Folder: state, programs: folder}
	if err := c.start(ctx, options); err != nil {
		return nil, errors.Join(err, c.Stop(ctx))
	}
	return c, nil
}

// stateParent returns the folder in memory where Linux has one: the benchmark is about the API server, not about a disk.
func stateParent() string {
	const memory = "/dev/shm"
	var stat syscall.Statfs_t
	if err := syscall.Statfs(memory, &stat); err == nil && stat.Bavail*uint64(stat.Bsize) > 4<<30 {
		return memory
	}
	return os.TempDir()
}

// Stop ends all processes of the cluster and removes its folder, also if the context is over because the user wants the
// benchmark to end.
func (c *Cluster) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if c.stopReaping != nil {
		c.stopReaping()
	}
	slices.Reverse(c.started)
	err := process.Kill(ctx, c.started)
	return errors.Join(err, os.RemoveAll(c.Folder))
}

// AuditLog is the file that has the requests of the two agents.
func (c *Cluster) AuditLog() string { return c.file("audit.log") }

// Log is the file that has the output of a process.
func (c *Cluster) Log(name string) string { return c.file("logs", name+".log") }

// Check returns an error with the end of its log if a process has ended.
func (c *Cluster) Check() error {
	for _, record := range c.started {
		if !record.Running() {
			return fmt.Errorf("%s ended%s", record.Name, process.LogTail(c.Log(record.Name)))
		}
	}
	return nil
}

// Run starts a process beside the cluster's own, with the kubeconfig of a user in its environment. The process has to be ended
// by End, and is killed with the cluster otherwise.
func (c *Cluster) Run(name, kubeconfig string, env []string, args ...string) (process.Record, error) {
	record, err := process.Start(process.Spec{
		Name: name, State: c.Folder, Records: c.file("processes"), Log: c.Log(name), Args: args,
		Env:  append([]string{"KUBECONFIG=" + kubeconfig}, env...),
		Attr: endsWithParent(),
	})
	if err == nil {
		c.started = append(c.started, record)
	}
	return record, err
}

// End kills a process that Run has started.
func (c *Cluster) End(ctx context.Context, record process.Record) error {
	c.started = slices.DeleteFunc(c.started, func(r process.Record) bool { return r.PID == record.PID })
	return process.Kill(ctx, []process.Record{record})
}

// StopBinding restarts the controller manager without the controller that binds claims to volumes, one after another. Then a
// claim without a volume stays as it was created.
func (c *Cluster) StopBinding(ctx context.Context) error {
	for _, record := range c.started {
		if record.Name == "kube-controller-manager" {
			if err := c.End(ctx, record); err != nil {
				return err
			}
			_, err := c.Run(record.Name, "", nil, append(c.managerArgs, "--controllers=*,-persistentvolume-binder-controller")...)
			return err
		}
	}
	return errors.New("the controller manager does not run")
}

// Kubeconfig returns a new kubeconfig file of an agent.
func (c *Cluster) Kubeconfig(name, user string) (string, error) {
	file := c.file(name + ".kubeconfig")
	return file, c.authority.Kubeconfig(file, "bench", c.server, pki.Subject{
		File: name, User: user, Groups: []string{"system:serviceaccounts", "system:authenticated"},
	})
}

// ClientConfig returns the configuration in a kubeconfig, without a client-side rate limit.
func ClientConfig(file string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.ContentType = "application/vnd.kubernetes.protobuf"
	return config, nil
}

func (c *Cluster) start(ctx context.Context, options Options) error {
	ports, err := freePorts(5)
	if err != nil {
		return err
	}
	if err := c.certificates(ports[1]); err != nil {
		return err
	}
	if err := c.startServer(ports[0], ports[2], ports[1]); err != nil {
		return err
	}
	c.Config, err = ClientConfig(c.file("admin.kubeconfig"))
	if err != nil {
		return err
	}
	if c.Client, err = kubernetes.NewForConfig(c.Config); err != nil {
		return err
	}
	observer, err := ClientConfig(c.file("observer.kubeconfig"))
	if err != nil {
		return err
	}
	if c.Observer, err = kubernetes.NewForConfig(observer); err != nil {
		return err
	}
	if err := c.await(ctx, func(ctx context.Context) error {
		return c.Client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}); err != nil {
		return err
	}
	limits := raisedLimits
	if options.DefaultLimits {
		limits = defaultLimits
	}
	if err := c.startControllers(ports[3], ports[4], limits); err != nil {
		return err
	}
	kubelets, err := ClientConfig(c.file("kubelets.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(kubelets)
	if err != nil {
		return err
	}
	ctx, c.stopReaping = context.WithCancel(ctx)
	reap(ctx, client)
	for n := range options.Nodes {
		if err := c.await(ctx, func(ctx context.Context) error { return createNode(ctx, c.Client, n) }); err != nil {
			return err
		}
	}
	return c.await(ctx, func(ctx context.Context) error { return nodesReady(ctx, c.Client, options.Nodes) })
}

// certificates makes the keys, certificates and kubeconfigs of all components.
func (c *Cluster) certificates(port int) error {
	c.server = fmt.Sprintf("https://127.0.0.1:%d", port)
	var err error
	if c.authority, err = pki.NewAuthority(c.file("pki"), "ca"); err != nil {
		return err
	}
	if _, err := c.authority.Issue(pki.Subject{File: "kube-apiserver", User: "kube-apiserver", Names: []string{"127.0.0.1", "localhost"}}); err != nil {
		return err
	}
	for name, subject := range map[string]pki.Subject{
		"admin":                   {User: "admin", Groups: []string{"system:masters"}},
		"observer":                {User: "observer", Groups: []string{"system:masters"}},
		"kubelets":                {User: "kubelets", Groups: []string{"system:masters"}},
		"kwok":                    {User: "kwok", Groups: []string{"system:masters"}},
		"kube-controller-manager": {User: "system:kube-controller-manager"},
		"kube-scheduler":          {User: "system:kube-scheduler"},
	} {
		subject.File = name
		if err := c.authority.Kubeconfig(c.file(name+".kubeconfig"), "bench", c.server, subject); err != nil {
			return err
		}
	}
	_, _, err = pki.ServiceAccountKeys(c.file("pki"), "service-account")
	return err
}

// startServer starts etcd and the API server, which waits for etcd by itself.
func (c *Cluster) startServer(etcd, peer, port int) error {
	client := fmt.Sprintf("http://127.0.0.1:%d", etcd)
	c.etcd = client
	peers := fmt.Sprintf("http://127.0.0.1:%d", peer)
	if _, err := c.Run("etcd", "", nil, c.program("etcd"),
		"--name=default", "--data-dir="+c.file("etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers,
		"--log-level=warn", "--unsafe-no-fsync", "--quota-backend-bytes=8589934592",
	); err != nil {
		return err
	}
	policy := c.file("audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	_, err := c.Run("kube-apiserver", "", nil, c.program("kube-apiserver"),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--endpoint-reconciler-type=none",
		"--etcd-servers="+client,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.file("pki", "service-account.pub"),
		"--service-account-signing-key-file="+c.file("pki", "service-account.key"),
		"--client-ca-file="+c.file("pki", "ca.crt"),
		"--tls-cert-file="+c.file("pki", "kube-apiserver.crt"), "--tls-private-key-file="+c.file("pki", "kube-apiserver.key"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--audit-policy-file="+policy, "--audit-log-path="+c.AuditLog(), "--audit-log-maxsize=4096",
	)
	return err
}

// startControllers starts what works through the API server.
func (c *Cluster) startControllers(managerPort, schedulerPort int, limits limits) error {
	flags := func(name string, port int) []string {
		file := c.file(name + ".kubeconfig")
		return []string{
			c.program(name), "--authentication-kubeconfig=" + file, "--authorization-kubeconfig=" + file,
			"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		}
	}
	name := "kube-controller-manager"
	c.managerArgs = append(flags(name, managerPort),
		"--kubeconfig="+c.file(name+".kubeconfig"), "--leader-elect=false",
		"--root-ca-file="+c.file("pki", "ca.crt"),
		"--service-account-private-key-file="+c.file("pki", "service-account.key"),
		"--use-service-account-credentials=true",
		"--allocate-node-cidrs=false",
		fmt.Sprintf("--kube-api-qps=%d", limits.manager), fmt.Sprintf("--kube-api-burst=%d", limits.managerBurst),
	)
	if _, err := c.Run(name, "", nil, c.managerArgs...); err != nil {
		return err
	}
	name = "kube-scheduler"
	config := c.file("kube-scheduler.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, schedulerConfig, c.file(name+".kubeconfig"), limits.scheduler, limits.schedulerBurst), 0o600); err != nil {
		return err
	}
	if _, err := c.Run(name, "", nil, append(flags(name, schedulerPort), "--config="+config)...); err != nil {
		return err
	}
	stages := c.file("kwok.yaml")
	if err := os.WriteFile(stages, []byte(kwokConfig), 0o600); err != nil {
		return err
	}
	_, err := c.Run("kwok", "", nil, c.program("kwok"), "--kubeconfig="+c.file("kwok.kubeconfig"), "--config="+stages,
		"--manage-all-nodes=true", "--node-lease-duration-seconds=40")
	return err
}

// await repeats an attempt until it succeeds, for a minute at most, or until a process of the cluster has ended.
func (c *Cluster) await(ctx context.Context, attempt func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		if err := c.Check(); err != nil {
			return false, err
		}
		last = attempt(ctx)
		return last == nil || apierrors.IsAlreadyExists(last), nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

func (c *Cluster) program(name string) string { return filepath.Join(c.programs, name) }
func (c *Cluster) file(path ...string) string {
	return filepath.Join(append([]string{c.Folder}, path...)...)
}

// freePorts returns ports of 127.0.0.1 that nothing listens on.
func freePorts(n int) ([]int, error) {
	if n == 0 {
		return nil, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	// It stays open until the others are found, so that they differ.
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("%s is not a TCP address", listener.Addr())
	}
	others, err := freePorts(n - 1)
	return append(others, address.Port), err
}
