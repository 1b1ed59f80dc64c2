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

package layout

import (
	"net/netip"
	"testing"
)

// Every address of a cluster is in its network, and no two clusters or nodes share one.
func TestAddresses(t *testing.T) {
	var networks []netip.Prefix
	for slot := range Slots {
		l := Layout{State: "/checkout/.cluster", Slot: slot}
		network := netip.MustParsePrefix(l.Network())
		for _, other := range networks {
			if other.Overlaps(network) {
				t.Errorf("slot %d: %s overlaps %s", slot, network, other)
			}
		}
		networks = append(networks, network)

		services, pods := netip.MustParsePrefix(l.ServiceCIDR()), netip.MustParsePrefix(l.PodCIDR())
		if services.Overlaps(pods) || !network.Contains(services.Addr()) || !network.Contains(pods.Addr()) {
			t.Errorf("slot %d: services %s and pods %s must be apart and in %s", slot, services, pods, network)
		}
		for _, ip := range []string{l.KubernetesIP(), l.DNSIP()} {
			if !services.Contains(netip.MustParseAddr(ip)) {
				t.Errorf("slot %d: %s is not in %s", slot, ip, services)
			}
		}

		machines := netip.MustParsePrefix(l.HostIP() + "/24").Masked()
		taken := map[string]bool{l.HostIP(): true}
		var ranges []netip.Prefix
		for n := 1; n <= MaxNodes; n++ {
			node := l.Node(n)
			if taken[node.IP()] || !machines.Contains(netip.MustParseAddr(node.IP())) {
				t.Errorf("slot %d: %s has the address %s", slot, node.NodeName(), node.IP())
			}
			taken[node.IP()] = true
			own := netip.MustParsePrefix(node.PodCIDR())
			if !pods.Contains(own.Addr()) || own.Overlaps(machines) || own.Overlaps(services) {
				t.Errorf("slot %d: %s has the pods %s", slot, node.NodeName(), own)
			}
			for _, other := range ranges {
				if other.Overlaps(own) {
					t.Errorf("slot %d: %s overlaps %s", slot, own, other)
				}
			}
			ranges = append(ranges, own)
			if len(node.Link()) > 15 {
				t.Errorf("%s is too long for a network device", node.Link())
			}
		}
	}
}
