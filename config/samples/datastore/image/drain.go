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
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/drain"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/cli"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
)

const (
	// maxTerminationMessage is what the kubelet reads of the file.
	maxTerminationMessage = 4096
	// maxSummary bounds what stands before the receipt: the kubelet shares 12 KiB among all containers of a pod and cuts each message at its
	// end, where the receipt is.
	maxSummary = 512
)

func drainVolumes(ctx context.Context, args []string, _ io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("drain", flag.ContinueOnError)
	var dirs listFlag
	flags.Var(&dirs, "data", "folder of an orphaned volume; repeat it for several volumes (default "+defaultData+")")
	peers := flags.String("peers", os.Getenv("DRAIN_PEERS"), "host names of the remaining replicas, comma-separated (default $DRAIN_PEERS)")
	port := flags.Int("peer-port", 8080, "port of the remaining replicas")
	delay := flags.Duration("delay", 0, "time to wait between two records")
	peerTimeout := flags.Duration("peer-timeout", time.Minute, "how long to wait for replicas to answer")
	retryInterval := flags.Duration("retry-interval", time.Second, "time between two tries of a request")
	keep := flags.Bool("keep", false, "leave the records on the volume, too")
	hold := flags.String("hold", "", "wait half-way for as long as a replica has a record of this key")
	failRuns := flags.Int("fail-attempts", 0, "let this many runs on a volume fail half-way, to see what happens then")
	receipt := flags.String("receipt", os.Getenv("DRAIN_RECEIPT"), "proof of this attempt, written as the last act of a drain that moved everything (default $DRAIN_RECEIPT)")
	owner := flags.String("check-owner", "", "name of the Pod that the volumes must belong to, as serve --mark-owner has left it on them")
	zeroOnSignal := flags.Bool("exit-0-on-sigterm", false, "exit 0 without a receipt when told to end, as many programs do, to see what happens then")
	fill := flags.String("fill", "", "write --fill-bytes to this file first, to see what happens to a drain that needs too much space")
	fillBytes := flags.Int64("fill-bytes", 4<<20, "size of the file of --fill")
	message := flags.String("termination-log", "/dev/termination-log", "file for the last word, written if it is there")
	if err := parseOnly(flags, args); err != nil {
		return err
	}
	if len(dirs) == 0 {
		dirs = listFlag{defaultData}
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	if attempt := os.Getenv("DRAIN_ATTEMPT"); attempt != "" {
		log = log.With("attempt", attempt)
	}

	if *fill != "" {
		if err := os.WriteFile(*fill, make([]byte, *fillBytes), 0o600); err != nil {
			return errors.Join(err, lastWord(*message, err.Error()))
		}
	}
	for _, dir := range dirs {
		if *owner == "" {
			break
		}
		if err := drains.CheckOwner(dir, *owner); err != nil {
			return errors.Join(err, lastWord(*message, err.Error()))
		}
	}
	result, err := drain.Run(ctx, drain.Options{
		Dirs:          dirs,
		Peers:         splitList(*peers),
		Port:          *port,
		Holder:        holder("drain"),
		Delay:         *delay,
		PeerTimeout:   *peerTimeout,
		RetryInterval: *retryInterval,
		Keep:          *keep,
		Hold:          *hold,
		FailRuns:      *failRuns,
		Log:           log,
	})
	if err != nil && ctx.Err() != nil && *zeroOnSignal {
		log.Warn("Exiting 0 on request, with records left", "err", err)
		return lastWord(*message, err.Error())
	}
	if err != nil {
		return errors.Join(err, lastWord(*message, err.Error()))
	}
	summary := result.String()
	log.Info("Drained", "summary", summary)
	if *receipt != "" {
		summary = summary[:min(len(summary), maxSummary)] + "\n" + *receipt + "\n"
	}
	return lastWord(*message, summary)
}

// writeReceipt is for the container that follows a tool that knows nothing of receipts: the kubelet starts it only when the tool has exited 0.
func writeReceipt(_ context.Context, args []string, _ io.Reader, _ io.Writer) error {
	flags := flag.NewFlagSet("receipt", flag.ContinueOnError)
	receipt := flags.String("receipt", os.Getenv("DRAIN_RECEIPT"), "proof of this attempt (default $DRAIN_RECEIPT)")
	message := flags.String("termination-log", "/dev/termination-log", "file for the receipt")
	if err := parseOnly(flags, args); err != nil {
		return err
	}
	if *receipt == "" {
		return fmt.Errorf("%w: there is no receipt: DRAIN_RECEIPT is not set", cli.ErrUsage)
	}
	return lastWord(*message, *receipt+"\n")
}

// lastWord leaves the termination message where the kubelet looks for it; outside a Pod there is no such file.
func lastWord(path, message string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing the termination message: %w", err)
	}
	_, err = file.WriteString(message[:min(len(message), maxTerminationMessage)])
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the termination message: %w", err)
	}
	return nil
}

func splitList(list string) []string {
	var items []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
