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
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/server"
	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/store"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
)

const defaultData = "/var/lib/datastore"

func serve(ctx context.Context, args []string, _ io.Reader, out io.Writer) (err error) {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	var dirs listFlag
	flags.Var(&dirs, "data", "folder of a volume; repeat it for several volumes (default "+defaultData+")")
	listen := flags.String("listen", ":8080", "address to listen on")
	grace := flags.Duration("grace", 5*time.Second, "time for open requests after SIGTERM")
	quota := flags.Int64("quota", 0, "bytes of records that this server takes at most, as a volume of that size would; 0 for no limit")
	owner := flags.String("mark-owner", "", "name of the Pod, which is left on the volumes; a volume with the records of another one is refused")
	if err := parseOnly(flags, args); err != nil {
		return err
	}
	if len(dirs) == 0 {
		dirs = listFlag{defaultData}
	}
	log := slog.New(slog.NewTextHandler(out, nil))

	s, err := store.Open(dirs, holder("server"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, v := range s.Volumes() {
		if err := markOwner(v, *owner); err != nil {
			return err
		}
		if v.Previous() != "" {
			log.Warn("The volume's last holder was killed", "volume", v.Dir(), "holder", v.Previous())
		}
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	httpServer := &http.Server{
		Handler:           server.New(s, *quota, log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	log.Info("Serving", "address", listener.Addr().String(), "volumes", []string(dirs), "version", version)

	done := make(chan error, 1)
	go func() { done <- httpServer.Serve(listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	log.Info("Stopping")
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), *grace)
	defer cancel()
	if err := httpServer.Shutdown(bounded); err != nil {
		// Who still waits for an answer has none; every record is whole all the same.
		log.Warn("Cutting off open requests", "err", err)
		return httpServer.Close()
	}
	return nil
}

func markOwner(v *store.Volume, pod string) error {
	if pod == "" {
		return nil
	}
	records, err := v.List()
	if err != nil {
		return err
	}
	return drains.Own(v.Dir(), pod, len(records) == 0)
}
