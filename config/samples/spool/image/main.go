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

// Spool is a small real write-ahead spool, as log and metric shippers have one: lines are safe on the replica's volume when they are
// acknowledged, and are shipped to a store from there by a program of its own, rclone here.
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
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/cli"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
)

const usage = `spool keeps lines on its volume until they are shipped.

  spool serve                take lines over HTTP: POST /lines
  spool seal                 look whose an orphaned volume is, close what is open on it, and list all segments with their checksums in SHA256SUMS
  spool ship PROGRAM ARGS... run a program again and again, and once more when told to end
  spool run PROGRAM ARGS...  run a program once, keep its log in a file, too, and leave its last lines and the receipt as the termination message

"spool COMMAND --help" shows a command's flags.
`

const defaultData = "/var/spool"

// version is set when the image is built.
var version = "dev"

func main() {
	os.Exit(cli.Run("spool", usage, func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout) }))
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no command", cli.ErrUsage)
	}
	switch args[0] {
	case "serve":
		return runServe(ctx, args[1:], out)
	case "seal":
		return runSeal(args[1:], out)
	case "ship":
		return runShip(ctx, args[1:], out)
	case "run":
		return runOnce(ctx, args[1:], out)
	default:
		return fmt.Errorf("%w: there is no command %q", cli.ErrUsage, args[0])
	}
}

func runServe(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	data := flags.String("data", defaultData, "folder of the volume")
	listen := flags.String("listen", ":8080", "address to listen on")
	size := flags.Int64("segment-bytes", 64<<10, "size at which a segment is closed, so that it can be shipped")
	age := flags.Duration("segment-age", 10*time.Second, "age at which a segment is closed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	s, err := openSpool(*data, name, *size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newServer(s, name, log), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Info("Serving", "pod", name, "address", listener.Addr().String(), "version", version)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	ticker := time.NewTicker(*age)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			if err := s.rotate(); err != nil {
				return err
			}
		case <-ctx.Done():
		}
	}
	log.Info("Stopping")
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return server.Shutdown(bounded)
}

func newServer(s *spool, pod string, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("POST /lines", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		case len(body) == 0 || body[len(body)-1] != '\n':
			http.Error(w, "the body must be whole lines, each with its newline", http.StatusBadRequest)
			return
		}
		if err := s.write(body); err != nil {
			log.Error("Lines refused", "bytes", len(body), "err", err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		// Now they would survive a power cut.
		if _, err := fmt.Fprintln(w, pod); err != nil {
			log.Warn("The client left", "err", err)
		}
	})
	return mux
}

func runSeal(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("seal", flag.ContinueOnError)
	data := flags.String("data", defaultData, "folder of the orphaned volume")
	pod := flags.String("pod", os.Getenv("DRAIN_POD_NAME"), "name of the Pod that the volume belongs to (default $DRAIN_POD_NAME)")
	message := flags.String("termination-log", drains.MessageFile, "file for the last word, written if it is there")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *pod == "" {
		return fmt.Errorf("%w: whose volume is it? DRAIN_POD_NAME is not set", cli.ErrUsage)
	}
	segments, bytes, err := seal(*data, *pod)
	if err != nil {
		return errors.Join(err, drains.LeaveWords(*message, err.Error(), ""))
	}
	_, err = fmt.Fprintf(out, "%d segments, %d bytes\n", segments, bytes)
	return err
}
