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

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/statefulset-dev/drain-operator/hack/cluster/layout"
)

// Run runs one of the machine's programs and returns an error with what it said.
func Run(ctx context.Context, args ...string) error {
	_, err := Output(ctx, args...)
	return err
}

// Output is Run that returns what the program printed.
func Output(ctx context.Context, args ...string) (string, error) {
	program := args[0]
	if found, err := lookPath(program); err == nil {
		program = found
	}
	output, err := exec.CommandContext(ctx, program, args[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(output)))
	}
	return string(output), nil
}

// LinkExists reports whether this machine has a network device.
func LinkExists(name string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", name))
	return err == nil
}

// ConnectNetwork makes the bridge that joins the nodes and the pods' way out of the machine.
func ConnectNetwork(ctx context.Context, l layout.Layout) error {
	for _, args := range [][]string{
		{"ip", "link", "add", l.Bridge(), "type", "bridge"},
		{"ip", "address", "add", l.HostIP() + "/24", "dev", l.Bridge()},
		{"ip", "link", "set", l.Bridge(), "up"},
		{"nft", "add", "table", "ip", l.Name()},
		{"nft", "add", "chain", "ip", l.Name(), "postrouting", "{ type nat hook postrouting priority srcnat; }"},
		{"nft", "add", "rule", "ip", l.Name(), "postrouting", "ip", "saddr", l.Network(), "ip", "daddr", "!=", l.Network(), "masquerade"},
	} {
		if err := Run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// DisconnectNetwork removes the bridge, the nodes' cables and the rules, whatever there is of them.
func DisconnectNetwork(ctx context.Context, l layout.Layout) error {
	var errs []error
	for n := 1; n <= layout.MaxNodes; n++ {
		errs = append(errs, Unplug(ctx, l.Node(n)))
	}
	if LinkExists(l.Bridge()) {
		errs = append(errs, Run(ctx, "ip", "link", "delete", l.Bridge()))
	}
	if tables, err := Output(ctx, "nft", "list", "tables", "ip"); err != nil {
		errs = append(errs, err)
	} else if strings.Contains(tables+"\n", "table ip "+l.Name()+"\n") {
		errs = append(errs, Run(ctx, "nft", "delete", "table", "ip", l.Name()))
	}
	return errors.Join(errs...)
}

// Plug lays a cable from the bridge to the network namespace of a process and gives the node its addresses and routes.
func Plug(ctx context.Context, node layout.Node, pid, nodes int) error {
	if err := Unplug(ctx, node); err != nil {
		return err
	}
	namespace := fmt.Sprintf("--net=/proc/%d/ns/net", pid)
	commands := [][]string{
		{"ip", "link", "add", node.Link(), "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(pid)},
		{"ip", "link", "set", node.Link(), "master", node.Bridge(), "up"},
		{"nsenter", namespace, "ip", "link", "set", "lo", "up"},
		{"nsenter", namespace, "ip", "address", "add", node.IP() + "/24", "dev", "eth0"},
		{"nsenter", namespace, "ip", "link", "set", "eth0", "up"},
		{"nsenter", namespace, "ip", "route", "add", "default", "via", node.HostIP()},
		// This machine reaches the node's pods, and the API server therefore their webhooks.
		{"ip", "route", "replace", node.PodCIDR(), "via", node.IP(), "dev", node.Bridge()},
	}
	for n := 1; n <= nodes; n++ {
		if peer := node.Layout.Node(n); n != node.Number {
			commands = append(commands, []string{"nsenter", namespace, "ip", "route", "add", peer.PodCIDR(), "via", peer.IP()})
		}
	}
	for _, args := range commands {
		if err := Run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// Unplug removes a node's cable.
func Unplug(ctx context.Context, node layout.Node) error {
	if !LinkExists(node.Link()) {
		return nil
	}
	if err := Run(ctx, "ip", "link", "delete", node.Link()); err != nil && LinkExists(node.Link()) {
		return err
	}
	return nil
}

// SetLink takes a node's cable up or down.
func SetLink(ctx context.Context, node layout.Node, state string) error {
	return Run(ctx, "ip", "link", "set", node.Link(), state)
}
