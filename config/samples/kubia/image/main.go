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

// Kubia is the pet of the book: a server that keeps what was last posted to it in one file on its volume, and finds its peers by an SRV lookup of
// their headless Service. Here it also drains: the data of a pet that is scaled away moves to one that lives, which adopts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/cli"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
)

const usage = `kubia keeps what was last posted to it.

  kubia serve        answer over HTTP: POST / stores, GET / shows this pet's data and that of its peers
  kubia drain        hand all data of an orphaned volume to a pet that lives
  kubia disk DIR...  make empty folders for volumes by hand, or remove them

"kubia COMMAND --help" shows a command's flags.
`

const defaultData = "/var/data"

// version is set when the image is built.
var version = "dev"

func main() {
	os.Exit(cli.Run("kubia", usage, func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout) }))
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no command", cli.ErrUsage)
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	switch args[0] {
	case "serve":
		return runServe(ctx, args[1:], log)
	case "drain":
		return runDrain(ctx, args[1:], log)
	case "disk":
		return runDisk(args[1:], log)
	default:
		return fmt.Errorf("%w: there is no command %q", cli.ErrUsage, args[0])
	}
}

func runServe(ctx context.Context, args []string, log *slog.Logger) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	data := flags.String("data", defaultData, "folder of the volume")
	listen := flags.String("listen", ":8080", "address to listen on")
	service := flags.String("service", "kubia", "headless Service that names all pets")
	if err := flags.Parse(args); err != nil {
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	pets, err := openVolume(*data, name)
	if err != nil {
		return err
	}
	if err := pets.own(); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           newServer(pets, srvLookup(*service), log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
	}
	log.Info("Serving", "pet", name, "address", listener.Addr().String(), "version", version)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	log.Info("Stopping")
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(bounded)
}

func runDrain(ctx context.Context, args []string, log *slog.Logger) error {
	flags := flag.NewFlagSet("drain", flag.ContinueOnError)
	data := flags.String("data", defaultData, "folder of the orphaned volume")
	patience := flags.Duration("patience", time.Minute, "how long to look for a pet that lives")
	message := flags.String("termination-log", drains.MessageFile, "file for the last word, written if it is there")
	receipt := flags.String("receipt", os.Getenv(drains.ReceiptVariable), "proof of this attempt, written as the last act of a drain that has handed over everything (default $DRAIN_RECEIPT)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	// All of it is in a drain pod's environment.
	start, err := ordinal("DRAIN_START_ORDINAL")
	if err != nil {
		return err
	}
	replicas, err := ordinal("DRAIN_REPLICAS")
	if err != nil {
		return err
	}
	leaver, service := os.Getenv("DRAIN_POD_NAME"), os.Getenv("DRAIN_SERVICE")
	if leaver == "" || service == "" {
		return fmt.Errorf("%w: DRAIN_POD_NAME is %q and DRAIN_SERVICE %q, both must be given", cli.ErrUsage, leaver, service)
	}
	// Nothing is changed on a volume before it is clear whose it is.
	if err := drains.CheckOwner(*data, leaver); err != nil {
		return errors.Join(err, drains.LeaveWords(*message, err.Error(), ""))
	}
	volume, err := openVolume(*data, leaver)
	if err != nil {
		return err
	}
	set := os.Getenv("DRAIN_STATEFULSET")
	d := &drain{
		volume: volume, patience: *patience, every: time.Second, log: log,
		lookup: staying(srvLookup(service), set, start, start+replicas),
	}
	summary, err := d.run(ctx)
	if err != nil {
		return errors.Join(err, drains.LeaveWords(*message, err.Error(), ""))
	}
	log.Info("Drained", "summary", summary)
	return drains.LeaveWords(*message, summary, *receipt)
}

func ordinal(variable string) (int, error) {
	n, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		return 0, fmt.Errorf("%w: %s must be a number: %w", cli.ErrUsage, variable, err)
	}
	return n, nil
}

// runDisk is the administrator's part where volumes are made by hand.
func runDisk(args []string, log *slog.Logger) error {
	flags := flag.NewFlagSet("disk", flag.ContinueOnError)
	only := flags.Bool("remove", false, "remove the folders")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("%w: disk takes folders", cli.ErrUsage)
	}
	for _, dir := range flags.Args() {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if *only {
			continue
		}
		if err := os.Mkdir(dir, 0o770); err != nil {
			return err
		}
	}
	log.Info("Disks", "folders", flags.Args(), "removed", *only)
	return nil
}
