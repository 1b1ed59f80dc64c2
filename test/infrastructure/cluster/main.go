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

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/binaries"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/kind"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/local"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/node"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/internal/repo"
)

const usage = `cluster runs a real Kubernetes cluster on this machine.

  up [--nodes 2] [--kubernetes 1.37] [--feature-gates A=true,B=false] [--provider auto|kind|local]
                                                start it; says so when it runs already
  down                                          stop it and leave nothing of it
  load IMAGE.tar...                             put image archives onto every node
  node N crash|partition|heal                   power node N off, cut it off, or put it right again
  node N shutdown|halt                          shut node N down with its kubelet, or behind its back; crash powers it off then
  node N restart-kubelet                        kill its kubelet and start it again
  controlplane crash|heal                       kill etcd and the API server, or start them again
  status                                        nodes and processes
  binaries [--kubernetes 1.37] NAME...          make sure that programs are there, print the folder that holds them
  releases [1.37]                               the minor releases of Kubernetes that there are, or the patch release of one

Without --kubernetes it is what runs here, else the newest.
`

// provider is what both kinds of cluster can do.
type provider interface {
	Up(ctx context.Context, nodes int, kubernetes binaries.Kubernetes) error
	Down(ctx context.Context) error
	Load(ctx context.Context, archives []string) error
	Node(ctx context.Context, number int, action string) error
	ControlPlane(ctx context.Context, action string) error
	Status(ctx context.Context) error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command given\n\n%s", usage)
	}
	command, args := args[0], args[1:]
	switch command {
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	case "node-init": // the first process of a node
		if len(args) != 3 {
			return errors.New("node-init is for the cluster's own use")
		}
		return node.Init(args[0], args[1], args[2])
	case "node-logind": // run on a node that is about to shut down
		if len(args) != 0 {
			return errors.New("node-logind is for the cluster's own use")
		}
		return node.Logind(ctx, os.Stdout)
	case "lookup": // run on a node, to see whether it reaches the cluster's DNS
		if len(args) != 2 {
			return errors.New("lookup is for the cluster's own use")
		}
		return lookup(ctx, args[0], args[1])
	}

	top, err := repo.Top()
	if err != nil {
		return err
	}
	modules := filepath.Join(top, "test", "infrastructure", "cluster", "binaries")
	if command == "releases" {
		return printReleases(args)
	}

	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	nodes, choice, minor, gates := 2, "auto", "", ""
	if command == "up" {
		flags.IntVar(&nodes, "nodes", nodes, "how many nodes, besides the control plane")
		flags.StringVar(&gates, "feature-gates", gates, "feature gates of the control plane")
	}
	if command == "up" || command == "binaries" {
		flags.StringVar(&minor, "kubernetes", minor, "which minor release of Kubernetes: "+strings.Join(binaries.Minors(), ", "))
	}
	flags.StringVar(&choice, "provider", choice, "what makes the cluster: kind, local, or auto for kind where Docker and kind are there")
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	state := filepath.Join(top, ".cluster")
	var kubernetes binaries.Kubernetes
	if command == "up" || command == "binaries" {
		if kubernetes, err = chooseKubernetes(state, minor, gates); err != nil {
			return err
		}
	}
	if command == "binaries" {
		return printBinaries(ctx, modules, kubernetes, args)
	}
	cluster, err := choose(ctx, state, modules, choice)
	if err != nil {
		return err
	}

	return dispatch(ctx, cluster, top, command, nodes, kubernetes, args)
}

// chooseKubernetes returns the release that is asked for. With nothing asked for it is what runs, else the newest.
func chooseKubernetes(state, minor, gates string) (binaries.Kubernetes, error) {
	if minor != "" {
		kubernetes, err := binaries.FindKubernetes(minor)
		kubernetes.Gates = gates
		return kubernetes, err
	}
	running, found, err := binaries.Saved(layout.Layout{State: state}.Kubernetes())
	if err != nil {
		return running, err
	}
	if !found {
		running = binaries.Newest()
		running.KindImage = "" // kind has a choice of its own, which its release was tested with
	}
	if gates != "" {
		running.Gates = gates
	}
	return running, nil
}

// printReleases prints every minor release of Kubernetes, or the patch release of one.
func printReleases(args []string) error {
	switch len(args) {
	case 0:
		fmt.Println(strings.Join(binaries.Minors(), "\n"))
		return nil
	case 1:
		kubernetes, err := binaries.FindKubernetes(args[0])
		if err == nil {
			fmt.Println(kubernetes.Version)
		}
		return err
	}
	return errors.New("releases takes one minor release of Kubernetes at most")
}

// dispatch runs a command on the cluster.
func dispatch(ctx context.Context, cluster provider, top, command string, nodes int, kubernetes binaries.Kubernetes, args []string) error {
	switch command {
	case "up":
		if nodes < 1 || nodes > layout.MaxNodes {
			return fmt.Errorf("--nodes must be 1 to %d", layout.MaxNodes)
		}
		if err := noMore(args); err != nil {
			return err
		}
		return cluster.Up(ctx, nodes, kubernetes)
	case "down":
		if err := noMore(args); err != nil {
			return err
		}
		return cluster.Down(ctx)
	case "status":
		if err := noMore(args); err != nil {
			return err
		}
		return cluster.Status(ctx)
	case "load":
		return load(ctx, cluster, top, args)
	case "node":
		return injectFault(ctx, cluster, args)
	case "controlplane":
		if len(args) != 1 || (args[0] != node.Crash && args[0] != "heal") {
			return errors.New("controlplane needs one of crash, heal")
		}
		return cluster.ControlPlane(ctx, args[0])
	}
	return fmt.Errorf("no command is called %q\n\n%s", command, usage)
}

// choose returns the provider of the cluster that is there or, when there is none, the one asked for.
func choose(ctx context.Context, state, modules, choice string) (provider, error) {
	running, err := kind.Chosen(state)
	if err != nil {
		return nil, err
	}
	if running != "" && choice != "auto" && choice != running {
		return nil, fmt.Errorf("the cluster that is there was made by the provider %s: take it down first to use %s", running, choice)
	}
	if running != "" {
		choice = running
	}
	if choice == "auto" {
		choice = local.Name
		if kind.Available(ctx) {
			choice = kind.Name
		}
	}
	switch choice {
	case kind.Name:
		return kind.New(state, report), nil
	case local.Name:
		return local.New(state, modules, report), nil
	}
	return nil, fmt.Errorf("no provider is called %q: there are auto, kind and local", choice)
}

func load(ctx context.Context, cluster provider, top string, archives []string) error {
	if len(archives) == 0 {
		return errors.New("load needs image archives, as test/infrastructure/image or docker save make them")
	}
	var paths []string
	for _, archive := range archives {
		path := repo.Path(top, archive)
		if _, err := os.Stat(path); err != nil {
			return err
		}
		paths = append(paths, path)
	}
	return cluster.Load(ctx, paths)
}

func injectFault(ctx context.Context, cluster provider, args []string) error {
	if len(args) != 2 {
		return errors.New("node needs a number and one of crash, partition, shutdown, halt, restart-kubelet, heal")
	}
	number, err := strconv.Atoi(strings.TrimPrefix(args[0], "node-"))
	if err != nil {
		return fmt.Errorf("%q is not the number of a node", args[0])
	}
	switch args[1] {
	case node.Crash, node.Partition, node.Shutdown, node.Halt, node.RestartKubelet, "heal":
		return cluster.Node(ctx, number, args[1])
	}
	return fmt.Errorf("a node can be given crash, partition, shutdown, halt, restart-kubelet or heal, not %q", args[1])
}

func printBinaries(ctx context.Context, modules string, kubernetes binaries.Kubernetes, names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("binaries needs the names of programs: %s", strings.Join(binaries.Names(), ", "))
	}
	store, err := binaries.NewStore(modules, kubernetes, func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, format+"\n", args...) // the folder alone goes to standard output
	})
	if err != nil {
		return err
	}
	folder, err := store.Ensure(ctx, names...)
	if err != nil {
		return err
	}
	fmt.Println(folder)
	return nil
}

// lookup resolves a name by one server.
func lookup(ctx context.Context, server, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server)
	}}
	addresses, err := resolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(addresses, " "))
	return nil
}

func noMore(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

func report(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
}
