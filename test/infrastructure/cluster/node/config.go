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
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/host"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
)

// PauseImage holds each pod's namespaces.
const PauseImage = "localhost/pause:cluster"

// writeConfig writes the configuration files of the node's programs.
func writeConfig(n layout.Node, resolvConf string, cgroupV2 bool) error {
	for _, folder := range []string{n.NodeConfig(), filepath.Join(n.NodeConfig(), "cni"), n.KubeletDropIns(), n.StaticPods(), n.Disk()} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"containerd.toml":  containerdConfig(n),
		"kubelet.yaml":     kubeletConfig(n, resolvConf, cgroupV2),
		"kube-proxy.yaml":  kubeProxyConfig(n),
		"bus.conf":         busConfig,
		"cni/pod.conflist": cniConfig(n),
	} {
		if err := os.WriteFile(filepath.Join(n.NodeConfig(), name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func containerdConfig(n layout.Node) string {
	return fmt.Sprintf(`version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "%[1]s"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "%[2]s"

[plugins."io.containerd.cri.v1.runtime"]
# Without CAP_SYS_RESOURCE no process may lower its score below its parent's, and every sandbox would fail.
restrict_oom_score_adj = true
disable_apparmor = true
tolerate_missing_hugetlb_controller = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["%[3]s"]
conf_dir = "%[4]s"
use_internal_loopback = true

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
`, snapshotter(n.Disk()), PauseImage, strings.Join(host.CNIFolders, `", "`), filepath.Join(n.NodeConfig(), "cni"))
}

// cniConfig connects each pod by a cable of its own and routes everything. A bridge would hand packets between two pods of
// a node around the rules that turn a service's answers back.
func cniConfig(n layout.Node) string {
	return fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam",
        "ranges": [[{"subnet": "%s"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    }
  ]
}
`, n.PodCIDR())
}

func kubeletConfig(n layout.Node, resolvConf string, cgroupV2 bool) string {
	config := fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[2]s}
authorization: {mode: Webhook}
tlsCertFile: %[3]s
tlsPrivateKeyFile: %[4]s
rotateCertificates: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDNS: [%[5]s]
clusterDomain: %[6]s
resolvConf: %[7]s
cgroupDriver: cgroupfs
cgroupRoot: /%[8]s
failSwapOn: false
volumePluginDir: /var/lib/kubelet/volume-plugins
staticPodPath: %[9]s
oomScoreAdj: 0
# A dead node is NotReady 12 s after its last sign of life, so these must come often.
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 8
# Images that were loaded from archives can't be pulled again, and a full disk of the machine is its owner's affair.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: 20Mi
  nodefs.available: 1Mi
  nodefs.inodesFree: "100"
  imagefs.available: 1Mi
  imagefs.inodesFree: "100"
`, n.IP(),
		filepath.Join(n.PKI(), "ca.crt"), filepath.Join(n.PKI(), n.NodeName()+"-server.crt"), filepath.Join(n.PKI(), n.NodeName()+"-server.key"),
		n.DNSIP(), layout.ClusterDomain, resolvConf, n.Cgroup(), n.StaticPods())
	if !cgroupV2 {
		config += "failCgroupV1: false\n"
	}
	return config
}

// busConfig lets every program of the node own every name on its message bus: there is only the stand-in for logind.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=` + busSocket + `</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
`

func kubeProxyConfig(n layout.Node) string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: %[1]s}
hostnameOverride: %[2]s
clusterCIDR: %[3]s
bindAddress: %[4]s
oomScoreAdj: 0
# The size of the connection table is the machine's.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`, filepath.Join(n.PKI(), "kube-proxy.kubeconfig"), n.NodeName(), n.Layout.PodCIDR(), n.IP())
}
