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

package drain

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/client"
	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/store"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
)

const (
	// triesPerPeer is how often a replica may fail on one record before it is left out.
	triesPerPeer = 3
	// maxNamed bounds how many records an error names: the message goes into a Pod's status.
	maxNamed = 5
	// runsFile counts the runs of a drain that is to fail on request.
	runsFile = "drain-runs"
)

var (
	// ErrNoPeers is returned when there are records and no replica to take them.
	ErrNoPeers = errors.New("no replica takes the records")
	// ErrConflict is returned when a replica has a record's key with other content.
	ErrConflict = errors.New("other content under the same key")
	// ErrChecksum is returned when a replica gives back something else than it was given.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrViolated is returned for a volume that has seen a second writer.
	ErrViolated = errors.New("the volume has seen a second writer")
	// ErrLeft is returned when the volumes hold records after all of them were moved.
	ErrLeft = errors.New("records are left on the volumes")
	// ErrOnRequest is the failure of a run that was asked to fail.
	ErrOnRequest = errors.New("failing on request")
)

// Options say what to drain, and where to.
type Options struct {
	// Dirs are the folders of the orphaned volumes.
	Dirs []string
	// Peers are the host names of the remaining replicas, with or without a port.
	Peers []string
	// Port is the port of the peers that name none.
	Port int
	// Holder is this drain's name in the volumes' locks.
	Holder string
	// Delay is the time between two records.
	Delay time.Duration
	// PeerTimeout bounds the wait for replicas to answer.
	PeerTimeout time.Duration
	// RetryInterval is the time between two tries.
	RetryInterval time.Duration
	// Keep leaves the records on the volume: they are copied instead of moved.
	Keep bool
	// FailRuns lets that many runs on this volume fail half-way.
	FailRuns int
	// Hold is the key of a record that stops the drain half-way for as long as a replica has it, so that a test can look at a drain under way
	// for as long as it needs, and not longer.
	Hold string

	Log *slog.Logger
}

// Result is what a drain has done.
type Result struct {
	Records int
	Bytes   int64
	// Peers are those that have the records now.
	Peers []string
	// Kept says that the records are still on the volume, too.
	Kept bool
}

// String is the line for the termination message.
func (r Result) String() string {
	if r.Records == 0 {
		return "nothing to move: the volumes hold no records"
	}
	noun := "records"
	if r.Records == 1 {
		noun = "record"
	}
	verb := "moved"
	if r.Kept {
		verb = "copied"
	}
	return fmt.Sprintf("%s %d %s, %s, to %s", verb, r.Records, noun, size(r.Bytes), strings.Join(r.Peers, ", "))
}

func size(bytes int64) string {
	switch {
	case bytes < 1<<10:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
}

// Run drains until no record is left or it can't go on. The result is what was done, also beside an error.
func Run(ctx context.Context, o Options) (_ Result, err error) {
	s, err := store.Open(o.Dirs, o.Holder)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	d := &drain{Options: o, stopAfter: -1, clients: map[string]*client.Client{}, took: map[string]bool{}, result: Result{Kept: o.Keep}}
	defer d.close()
	if err := errors.Join(refuseViolated(s), d.planFailure(s)); err != nil {
		return Result{}, err
	}
	err = d.volumes(ctx, s)
	for peer := range d.took {
		d.result.Peers = append(d.result.Peers, shortName(peer))
	}
	sort.Strings(d.result.Peers)
	if err == nil {
		// A second writer may have come while this drain held the volume: it was refused, but what happened here is not to be trusted.
		err = errors.Join(refuseViolated(s), d.forgetRuns())
	}
	return d.result, err
}

type drain struct {
	Options
	clients map[string]*client.Client
	// answering are the peers that have not been left out.
	answering []string
	conflicts []string
	took      map[string]bool
	// stopAfter is the number of records after which to fail on request; negative for never.
	stopAfter int
	// reported is when the log last said how far the drain is.
	reported time.Time
	run      int
	result   Result
}

func (d *drain) close() {
	for _, c := range d.clients {
		c.Close()
	}
}

func refuseViolated(s *store.Store) error {
	var errs []error
	for _, v := range s.Volumes() {
		violations, err := v.Violations()
		if err != nil {
			errs = append(errs, err)
		} else if len(violations) > 0 {
			errs = append(errs, fmt.Errorf("%w: %s/VIOLATION says: %s; compare its records with the replicas' and remove that file to go on",
				ErrViolated, v.Dir(), violations[0]))
		}
	}
	return errors.Join(errs...)
}

func (d *drain) volumes(ctx context.Context, s *store.Store) error {
	all, err := s.List()
	if err != nil {
		return err
	}
	d.Log.Info("Draining", "records", len(all), "volumes", d.Dirs, "peers", d.Peers)
	if len(all) == 0 {
		if d.stopAfter >= 0 {
			return d.failOnRequest(0)
		}
		return nil
	}
	if err := d.waitForPeers(ctx); err != nil {
		return fmt.Errorf("%w; %d records stay on the volume", err, len(all))
	}
	done := 0
	for _, v := range s.Volumes() {
		records, err := v.List()
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := d.pause(ctx, done, len(all)); err != nil {
				return fmt.Errorf("stopped after %d of %d records, the rest stays on the volume: %w", d.result.Records, len(all), err)
			}
			if d.stopAfter >= 0 && d.result.Records >= d.stopAfter {
				return d.failOnRequest(len(all))
			}
			if err := d.move(ctx, v, r); err != nil {
				return fmt.Errorf("after %d of %d records: %w", d.result.Records, len(all), err)
			}
			done++
			d.report(done, len(all))
		}
	}
	if n := len(d.conflicts); n > 0 {
		named := d.conflicts[:min(n, maxNamed)]
		return fmt.Errorf("%w: %d of %d records stay on the volume: %s; delete or rename one of each two to go on",
			ErrConflict, n, len(all), strings.Join(named, ", "))
	}
	return d.verify(s, len(all))
}

// reportInterval is the time between two lines about progress. The operator reads them every ten seconds.
const reportInterval = 2 * time.Second

// report says in the log how far the drain is, now and then, and at its end.
func (d *drain) report(done, all int) {
	if time.Since(d.reported) < reportInterval && done < all {
		return
	}
	d.reported = time.Now()
	d.Log.Info(drains.Progress(int64(done), int64(all), fmt.Sprintf("handled %d of %d records", done, all)))
}

// verify looks at the volumes again: what this drain believes to have done is no evidence of what is there.
func (d *drain) verify(s *store.Store, all int) error {
	left, err := s.List()
	if err != nil {
		return err
	}
	want := 0
	if d.Keep {
		want = all
	}
	if len(left) != want || d.result.Records != all {
		return fmt.Errorf("%w: %d of %d, after %d were handled", ErrLeft, len(left), all, d.result.Records)
	}
	return nil
}

// pause is the time between two records.
func (d *drain) pause(ctx context.Context, done, all int) error {
	if done > 0 {
		if err := wait(ctx, d.Delay); err != nil {
			return err
		}
	}
	if d.Hold == "" || done != all/2 {
		return context.Cause(ctx)
	}
	for {
		held := false
		for _, peer := range d.answering {
			_, err := d.client(peer).Checksum(ctx, d.Hold)
			held = held || err == nil
		}
		if !held {
			return context.Cause(ctx)
		}
		d.Log.Info("Held half-way", "record", d.Hold)
		if err := wait(ctx, d.RetryInterval); err != nil {
			return err
		}
	}
}

// move brings one record to one peer. Peers that don't answer are left out until one does the whole of it or none is left.
func (d *drain) move(ctx context.Context, v *store.Volume, r store.Record) error {
	key, err := store.DecodeKey(r.Name)
	if err != nil {
		return err
	}
	body, err := v.Get(key)
	if err != nil {
		return fmt.Errorf("record %s: %w", r.Name, err)
	}
	for {
		peer, err := d.place(ctx, key, body)
		var silent *peerError
		switch {
		case errors.Is(err, ErrConflict):
			d.Log.Error("Conflict; the record stays", "record", r.Name, "err", err)
			d.conflicts = append(d.conflicts, err.Error())
			return nil
		case errors.As(err, &silent):
			d.Log.Warn("Leaving out a replica that does not answer", "peer", silent.peer, "err", silent.err)
			d.answering = slices.DeleteFunc(d.answering, func(p string) bool { return p == silent.peer })
			if len(d.answering) > 0 {
				continue
			}
			if err := d.waitForPeers(ctx); err != nil {
				return fmt.Errorf("record %s: %w", r.Name, err)
			}
			continue
		case err != nil:
			return fmt.Errorf("record %s: %w", r.Name, err)
		}
		if !d.Keep {
			if err := v.Delete(key); err != nil {
				return fmt.Errorf("record %s is on %s, but can't be deleted here: %w", r.Name, peer, err)
			}
		}
		d.result.Records++
		d.result.Bytes += int64(len(body))
		d.took[peer] = true
		d.Log.Info("Moved", "record", r.Name, "bytes", len(body), "peer", shortName(peer))
		return nil
	}
}

// place makes sure that one peer has the record, by its own word and by what it gives back.
func (d *drain) place(ctx context.Context, key string, body []byte) (string, error) {
	order := preference(key, d.answering)
	home := ""
	want := store.Checksum(body)
	for _, peer := range order {
		var sum string
		err := d.try(ctx, peer, func(c *client.Client) (err error) {
			sum, err = c.Checksum(ctx, key)
			return err
		})
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return "", err
		case sum != want:
			return "", fmt.Errorf("%w: %q has checksum %.12s here and %.12s on %s", ErrConflict, key, want, sum, shortName(peer))
		case home == "":
			home = peer
		}
	}
	if home == "" {
		var err error
		for _, home = range order {
			err = d.try(ctx, home, func(c *client.Client) error { return c.Create(ctx, key, body) })
			if !errors.Is(err, store.ErrFull) {
				break
			}
			d.Log.Warn("A replica is full", "peer", shortName(home), "err", err)
		}
		if errors.Is(err, store.ErrExists) {
			return "", fmt.Errorf("%w: %q was written on %s meanwhile", ErrConflict, key, shortName(home))
		}
		if err != nil {
			return "", err
		}
	}
	var back []byte
	err := d.try(ctx, home, func(c *client.Client) (err error) {
		back, err = c.Get(ctx, key)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading it back: %w", err)
	}
	if got := store.Checksum(back); got != want {
		return "", fmt.Errorf("%w: sent %.12s to %s, which gives back %.12s", ErrChecksum, want, shortName(home), got)
	}
	return home, nil
}

// peerError is a peer's failure to answer at all, or to answer sensibly.
type peerError struct {
	peer string
	err  error
}

func (e *peerError) Error() string { return e.peer + ": " + e.err.Error() }

func (e *peerError) Unwrap() error { return e.err }

// try asks a peer some times. Its answers about the record itself are answers, not failures.
func (d *drain) try(ctx context.Context, peer string, ask func(*client.Client) error) error {
	for n := 1; ; n++ {
		err := ask(d.client(peer))
		if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrFull) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n == triesPerPeer {
			return &peerError{peer: peer, err: err}
		}
		if err := wait(ctx, d.RetryInterval); err != nil {
			return err
		}
	}
}

// waitForPeers asks all peers until every one answers or the time is up; then those that do answer will have to do.
func (d *drain) waitForPeers(ctx context.Context) error {
	if len(d.Peers) == 0 {
		return fmt.Errorf("%w: DRAIN_PEERS names none", ErrNoPeers)
	}
	deadline := time.Now().Add(d.PeerTimeout)
	for {
		d.answering = nil
		var silent []error
		for _, peer := range d.Peers {
			if err := d.client(peer).Healthy(ctx); err != nil {
				silent = append(silent, fmt.Errorf("%s: %w", peer, err))
			} else {
				d.answering = append(d.answering, peer)
			}
		}
		if len(silent) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			if len(d.answering) > 0 {
				d.Log.Warn("Going on without some replicas", "answering", d.answering, "err", errors.Join(silent...))
				return nil
			}
			return fmt.Errorf("%w: none answered within %s: %w", ErrNoPeers, d.PeerTimeout, silent[0])
		}
		d.Log.Info("Waiting for replicas", "err", errors.Join(silent...))
		if err := wait(ctx, d.RetryInterval); err != nil {
			return err
		}
	}
}

func (d *drain) client(peer string) *client.Client {
	if d.clients[peer] == nil {
		host := peer
		if _, _, err := net.SplitHostPort(peer); err != nil {
			host = net.JoinHostPort(peer, strconv.Itoa(d.Port))
		}
		d.clients[peer] = client.New("http://" + host)
	}
	return d.clients[peer]
}

// preference orders the peers for a key by the highest hash of both, so that keys spread evenly and keep their place when another peer comes
// or goes.
func preference(key string, peers []string) []string {
	order := slices.Clone(peers)
	weight := func(peer string) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(peer + "\x00" + key)) // It never fails, hash.Hash says so.
		return mix(h.Sum64())
	}
	slices.SortFunc(order, func(a, b string) int {
		if wa, wb := weight(a), weight(b); wa > wb {
			return -1
		} else if wa < wb {
			return 1
		}
		return strings.Compare(a, b)
	})
	return order
}

// mix spreads FNV's result, whose high bits change little when only the last bytes of a key do, over all its bits (the finalizer of
// MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// shortName is datastore-0 for datastore-0.datastore.shop.svc, and an address as it is.
func shortName(peer string) string {
	if host, _, err := net.SplitHostPort(peer); err == nil && net.ParseIP(host) == nil {
		peer = host
	} else if err == nil || net.ParseIP(peer) != nil {
		return peer
	}
	name, _, _ := strings.Cut(peer, ".")
	return name
}

// planFailure decides whether and when this run is to fail on request. The runs are counted on the first volume, since restarts of a container
// within one Job have nothing else to count them by.
func (d *drain) planFailure(s *store.Store) error {
	if d.FailRuns <= 0 {
		return nil
	}
	path := filepath.Join(d.Dirs[0], runsFile)
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	before := 0
	if len(content) > 0 {
		if before, err = strconv.Atoi(string(content)); err != nil {
			return fmt.Errorf("%s does not hold a number: %w", path, err)
		}
	}
	d.run = before + 1
	if err := os.WriteFile(path, []byte(strconv.Itoa(d.run)), 0o660); err != nil {
		return err
	}
	if d.run > d.FailRuns {
		return nil
	}
	records, err := s.List()
	d.stopAfter = len(records) / 2
	return err
}

func (d *drain) failOnRequest(records int) error {
	return fmt.Errorf("%w: run %d of the %d that are to fail, after %d of %d records", ErrOnRequest, d.run, d.FailRuns, d.result.Records, records)
}

// forgetRuns lets the next drain of a volume that is used again count from the start again.
func (d *drain) forgetRuns() error {
	if d.FailRuns <= 0 {
		return nil
	}
	return os.Remove(filepath.Join(d.Dirs[0], runsFile))
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
