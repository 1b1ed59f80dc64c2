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

package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/pki"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/process"
)

// Names of the processes, in the order they are started.
var Names = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "volume-provisioner"}

// auditPolicy notes who asked for what, without the bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// ControlPlane is one cluster's.
type ControlPlane struct {
	layout.Layout
	// Programs is the folder of the programs.
	Programs string
	// Gates are the feature gates, as --feature-gates takes them.
	Gates string
}

// Prepare makes the certificates and configuration files.
func (c ControlPlane) Prepare(nodes int) error {
	authority, err := pki.NewAuthority(c.PKI(), "ca")
	if err != nil {
		return err
	}
	// etcd knows no users: who has a certificate of its authority may do everything. So it has one of its own.
	etcd, err := pki.NewAuthority(c.PKI(), "etcd-ca")
	if err != nil {
		return err
	}
	if _, err := etcd.Issue(pki.Subject{File: "etcd", User: "etcd", Names: []string{c.HostIP()}}); err != nil {
		return err
	}
	if _, err := etcd.Issue(pki.Subject{File: "etcd-client", User: "kube-apiserver"}); err != nil {
		return err
	}

	// An extension API server would know the API server by it.
	frontProxy, err := pki.NewAuthority(c.PKI(), "front-proxy-ca")
	if err != nil {
		return err
	}
	if _, err := frontProxy.Issue(pki.Subject{File: "front-proxy-client", User: "front-proxy-client"}); err != nil {
		return err
	}

	subjects := []pki.Subject{
		{File: "kube-apiserver", User: "kube-apiserver", Names: []string{
			c.HostIP(), c.KubernetesIP(), "127.0.0.1", "localhost",
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + layout.ClusterDomain,
		}},
		{File: "kubelet-client", User: "kube-apiserver-kubelet-client", Groups: []string{"drain-operator:kubelet-api-admins"}},
	}
	clients := []pki.Subject{
		{File: "kube-controller-manager", User: "system:kube-controller-manager"},
		{File: "kube-scheduler", User: "system:kube-scheduler"},
		{File: "kube-proxy", User: "system:kube-proxy"},
		{File: "volume-provisioner", User: "drain-operator:volume-provisioner"},
	}
	for n := 1; n <= nodes; n++ {
		node := c.Node(n)
		subjects = append(subjects, pki.Subject{File: node.NodeName() + "-server", User: node.NodeName(), Names: []string{node.IP(), node.NodeName()}})
		clients = append(clients, pki.Subject{File: node.NodeName(), User: "system:node:" + node.NodeName(), Groups: []string{"system:nodes"}})
	}
	for _, subject := range subjects {
		if _, err := authority.Issue(subject); err != nil {
			return err
		}
	}
	for _, subject := range clients {
		if err := authority.Kubeconfig(c.kubeconfig(subject.File), "drain-operator", c.Server(), subject); err != nil {
			return err
		}
	}
	admin := pki.Subject{File: "admin", User: "admin", Groups: []string{"system:masters"}}
	if err := authority.Kubeconfig(c.Kubeconfig(), "drain-operator", c.Server(), admin); err != nil {
		return err
	}
	if _, _, err := pki.ServiceAccountKeys(c.PKI(), "service-account"); err != nil {
		return err
	}

	for _, folder := range []string{c.Config(), c.Volumes()} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(c.Config(), "audit-policy.yaml"), []byte(auditPolicy), 0o644)
}

// StartServer starts etcd and the API server, which waits for etcd by itself.
func (c ControlPlane) StartServer() error {
	if err := os.MkdirAll(c.Etcd(), 0o700); err != nil {
		return err
	}
	client, peer := c.etcdURL(), "https://"+c.HostIP()+":2380"
	if err := c.start("etcd",
		"--name=default",
		"--data-dir="+c.Etcd(),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer,
		"--cert-file="+c.file("etcd.crt"), "--key-file="+c.file("etcd.key"),
		"--client-cert-auth", "--trusted-ca-file="+c.file("etcd-ca.crt"),
		"--peer-cert-file="+c.file("etcd.crt"), "--peer-key-file="+c.file("etcd.key"),
		"--peer-client-cert-auth", "--peer-trusted-ca-file="+c.file("etcd-ca.crt"),
		"--log-level=warn",
		// The data lives as long as the cluster; waiting for the disk at each write only costs time.
		"--unsafe-no-fsync",
	); err != nil {
		return err
	}
	return c.start("kube-apiserver",
		"--advertise-address="+c.HostIP(), "--bind-address="+c.HostIP(), "--secure-port=6443",
		"--etcd-servers="+client, "--etcd-cafile="+c.file("etcd-ca.crt"),
		"--etcd-certfile="+c.file("etcd-client.crt"), "--etcd-keyfile="+c.file("etcd-client.key"),
		"--service-cluster-ip-range="+c.ServiceCIDR(),
		"--service-account-issuer=https://kubernetes.default.svc."+layout.ClusterDomain,
		"--service-account-key-file="+c.file("service-account.pub"),
		"--service-account-signing-key-file="+c.file("service-account.key"),
		"--client-ca-file="+c.file("ca.crt"),
		"--tls-cert-file="+c.file("kube-apiserver.crt"), "--tls-private-key-file="+c.file("kube-apiserver.key"),
		"--kubelet-certificate-authority="+c.file("ca.crt"),
		"--kubelet-client-certificate="+c.file("kubelet-client.crt"), "--kubelet-client-key="+c.file("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		// Webhooks are called at their pods: no kube-proxy runs here that would know a service's address.
		"--enable-aggregator-routing=true",
		"--proxy-client-cert-file="+c.file("front-proxy-client.crt"), "--proxy-client-key-file="+c.file("front-proxy-client.key"),
		"--requestheader-client-ca-file="+c.file("front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--audit-policy-file="+filepath.Join(c.Config(), "audit-policy.yaml"),
		"--audit-log-path="+c.AuditLog(), "--audit-log-maxsize=2048", "--audit-log-maxbackup=1",
	)
}

// StartControllers starts what works through the API server. The controller manager ends for good when that isn't ready.
func (c ControlPlane) StartControllers() error {
	kubeconfigs := func(name string) []string {
		file := c.kubeconfig(name)
		return []string{
			"--kubeconfig=" + file, "--authentication-kubeconfig=" + file, "--authorization-kubeconfig=" + file,
			"--bind-address=" + c.HostIP(), "--leader-elect=false",
		}
	}
	if err := c.start("kube-controller-manager", append(kubeconfigs("kube-controller-manager"),
		"--root-ca-file="+c.file("ca.crt"),
		"--service-account-private-key-file="+c.file("service-account.key"),
		"--cluster-signing-cert-file="+c.file("ca.crt"), "--cluster-signing-key-file="+c.file("ca.key"),
		"--use-service-account-credentials=true",
		"--allocate-node-cidrs=false",
		// Its own limit makes it start in 5 s rather than 1.
		"--kube-api-qps=200", "--kube-api-burst=400",
		// A dead node is NotReady after 14 s rather than 55 s.
		"--node-monitor-grace-period=12s", "--node-monitor-period=2s",
	)...); err != nil {
		return err
	}
	return c.start("kube-scheduler", kubeconfigs("kube-scheduler")...)
}

// StartProvisioner starts what makes volumes. It needs its permissions.
func (c ControlPlane) StartProvisioner() error {
	return c.start("volume-provisioner",
		"--name="+layout.Provisioner, "--folder="+c.Volumes(), "--kubeconfig="+c.kubeconfig("volume-provisioner"))
}

// KillServer kills etcd and the API server with SIGKILL and forgets them, so that no check takes their end for an accident.
func (c ControlPlane) KillServer(ctx context.Context) error {
	for _, name := range []string{"kube-apiserver", "etcd"} {
		if record, running := process.Read(c.Processes(), name); running {
			if err := process.Kill(ctx, []process.Record{record}); err != nil {
				return err
			}
		}
		if err := process.Forget(c.Processes(), name); err != nil {
			return err
		}
	}
	return nil
}

// Check returns an error with the end of its log for the first process that was started and ended.
func (c ControlPlane) Check() error {
	for _, name := range Names {
		if _, err := os.Stat(filepath.Join(c.Processes(), name+".json")); err != nil {
			continue
		}
		if _, running := process.Read(c.Processes(), name); !running {
			return fmt.Errorf("%s ended%s", name, process.LogTail(c.log(name)))
		}
	}
	return nil
}

// Healthy reports whether all processes run.
func (c ControlPlane) Healthy() bool {
	for _, name := range Names {
		if _, running := process.Read(c.Processes(), name); !running {
			return false
		}
	}
	return true
}

func (c ControlPlane) start(name string, args ...string) error {
	if c.Gates != "" && strings.HasPrefix(name, "kube-") {
		args = append(args, "--feature-gates="+c.Gates)
	}
	_, err := process.Start(process.Spec{
		Name: name, State: c.State, Records: c.Processes(), Log: c.log(name),
		Args: append([]string{filepath.Join(c.Programs, name)}, args...),
	})
	return err
}

func (c ControlPlane) etcdURL() string         { return "https://" + c.HostIP() + ":2379" }
func (c ControlPlane) file(name string) string { return filepath.Join(c.PKI(), name) }
func (c ControlPlane) kubeconfig(name string) string {
	return filepath.Join(c.PKI(), name+".kubeconfig")
}
func (c ControlPlane) log(name string) string { return filepath.Join(c.Logs(), name+".log") }
