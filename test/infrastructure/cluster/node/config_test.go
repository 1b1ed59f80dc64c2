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
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
)

func TestWriteConfig(t *testing.T) {
	n := layout.Layout{State: t.TempDir(), Slot: 3}.Node(2)
	if err := writeConfig(n, "/some/resolv.conf", false); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(n.NodeConfig(), name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "%!") {
			t.Errorf("%s is not filled in:\n%s", name, content)
		}
		return string(content)
	}

	var cni struct {
		Plugins []struct {
			Type string
			IPAM struct {
				DataDir string
				Ranges  [][]struct{ Subnet string }
			}
		}
	}
	if err := json.Unmarshal([]byte(read("cni/pod.conflist")), &cni); err != nil {
		t.Fatal(err)
	}
	if got := cni.Plugins[0].IPAM; got.Ranges[0][0].Subnet != n.PodCIDR() || !strings.HasPrefix(got.DataDir, "/run/") {
		t.Errorf("got %+v: addresses in use must be forgotten with a power cut", got)
	}
	kubelet := read("kubelet.yaml")
	for _, want := range []string{
		"address: 10.103.0.12\n", "cgroupRoot: /drain3/node-2\n", "clusterDNS: [10.103.64.10]\n", "resolvConf: /some/resolv.conf\n",
		"failCgroupV1: false\n", "staticPodPath: " + n.StaticPods() + "\n", filepath.Join(n.PKI(), "node-2-server.crt"),
	} {
		if !strings.Contains(kubelet, want) {
			t.Errorf("no %q in\n%s", want, kubelet)
		}
	}
	if strings.Contains(kubeletConfig(n, "", true), "failCgroupV1") {
		t.Error("the configuration for cgroup version 2 tolerates version 1")
	}
	// kube-proxy must know all pods of the cluster, not only the node's.
	if proxy := read("kube-proxy.yaml"); !strings.Contains(proxy, "clusterCIDR: 10.103.128.0/17\n") {
		t.Errorf("got\n%s", proxy)
	}
	if containerd := read("containerd.toml"); !strings.Contains(containerd, `sandbox = "`+PauseImage+`"`) {
		t.Errorf("got\n%s", containerd)
	}
}

func TestInitRefusesToRunElsewhere(t *testing.T) {
	if err := Init("node-1", t.TempDir(), ""); err == nil {
		t.Error("it took this machine for a node")
	}
}
