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
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/server"
	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/store"
)

// peer is a replica that remains; wrap may spoil it.
type peer struct {
	store   *store.Store
	address string
}

func startPeer(t *testing.T, wrap func(http.Handler) http.Handler) peer {
	t.Helper()
	return startPeerWithin(t, 0, wrap)
}

// startPeerWithin is a peer with a quota.
func startPeerWithin(t *testing.T, quota int64, wrap func(http.Handler) http.Handler) peer {
	t.Helper()
	s, err := store.Open([]string{t.TempDir()}, "peer")
	if err != nil {
		t.Fatal(err)
	}
	handler := server.New(s, quota, slog.New(slog.DiscardHandler))
	if wrap != nil {
		handler = wrap(handler)
	}
	web := httptest.NewServer(handler)
	t.Cleanup(func() {
		web.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return peer{store: s, address: strings.TrimPrefix(web.URL, "http://")}
}

// fill writes n records to a new volume, and gives it back as a killed server would: unlocked.
func fill(t *testing.T, n int) (dir string, bodies map[string]string) {
	t.Helper()
	dir, bodies = t.TempDir(), map[string]string{}
	s, err := store.Open([]string{dir}, "filler")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		key := fmt.Sprintf("key/%03d", i)
		bodies[key] = strings.Repeat(key, i)
		if _, err := s.Put(key, []byte(bodies[key])); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, bodies
}

func contents(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	records, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, r := range records {
		key, err := store.DecodeKey(r.Name)
		if err != nil {
			t.Fatal(err)
		}
		body, err := s.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		all[key] = string(body)
	}
	return all
}

func left(t *testing.T, dir string) []store.Record {
	t.Helper()
	seen, err := store.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	return seen.Records
}

// merged is what the peers have between them; a record on two of them is an error.
func merged(t *testing.T, peers ...peer) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, p := range peers {
		for key, body := range contents(t, p.store) {
			if _, twice := all[key]; twice {
				t.Errorf("%q is on two peers", key)
			}
			all[key] = body
		}
	}
	return all
}

func options(dir string, peers ...peer) Options {
	o := Options{
		Dirs: []string{dir}, Port: 8080, Holder: "drain test", PeerTimeout: 5 * time.Second, RetryInterval: time.Millisecond,
		Log: slog.New(slog.DiscardHandler),
	}
	for _, p := range peers {
		o.Peers = append(o.Peers, p.address)
	}
	return o
}

func TestRunMovesEveryRecord(t *testing.T) {
	dir, bodies := fill(t, 40)
	second, more := t.TempDir(), map[string]string{"other volume": "other record"}
	s, err := store.Open([]string{second}, "filler")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put("other volume", []byte("other record")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	maps.Copy(bodies, more)
	a, b := startPeer(t, nil), startPeer(t, nil)
	if _, err := a.store.Put("its own", []byte("stays")); err != nil {
		t.Fatal(err)
	}
	o := options(dir, a, b)
	o.Dirs = append(o.Dirs, second)

	var log []string
	o.Log = slog.New(slog.NewTextHandler(writerFunc(func(line []byte) { log = append(log, string(line)) }), nil))
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	progress := slices.DeleteFunc(log, func(line string) bool { return !strings.Contains(line, `msg="drain-progress: `) })
	if n := len(progress); n < 2 || n > 10 || !strings.Contains(progress[0], `drain-progress: 2% handled 1 of 41 records"`) ||
		!strings.Contains(progress[n-1], `drain-progress: 100% handled 41 of 41 records"`) {
		t.Errorf("the log tells of progress by %q, want a few lines from the first record to the last", progress)
	}
	if want := fmt.Sprintf("moved 41 records, %s, to ", size(result.Bytes)); !strings.HasPrefix(result.String(), want) || len(result.Peers) != 2 {
		t.Errorf("the summary is %q, want %q and two peers", result, want)
	}
	bodies["its own"] = "stays"
	if got := merged(t, a, b); !maps.Equal(got, bodies) {
		t.Errorf("the peers have %d records, want the same %d", len(got), len(bodies))
	}
	for name, p := range map[string]peer{"a": a, "b": b} {
		if n := len(contents(t, p.store)); n < 10 {
			t.Errorf("peer %s has %d of %d records, which is no spread", name, n, len(bodies))
		}
	}
	if n := len(left(t, dir)) + len(left(t, second)); n != 0 {
		t.Errorf("%d records stay", n)
	}
	again, err := Run(t.Context(), o)
	if err != nil || again.String() != "nothing to move: the volumes hold no records" {
		t.Errorf("running again: %q, %v", again, err)
	}
}

func TestRunGoesOnHalfDrained(t *testing.T) {
	dir, bodies := fill(t, 20)
	a, b := startPeer(t, nil), startPeer(t, nil)
	o := options(dir, a, b)
	o.FailRuns = 2
	for run := 1; run <= 2; run++ {
		before := len(left(t, dir))
		result, err := Run(t.Context(), o)
		if !errors.Is(err, ErrOnRequest) || !strings.Contains(err.Error(), fmt.Sprintf("run %d of the 2", run)) {
			t.Fatalf("run %d: %v, want ErrOnRequest", run, err)
		}
		if after := len(left(t, dir)); after != before-before/2 || result.Records != before/2 {
			t.Errorf("run %d moved %d of %d and left %d, want half", run, result.Records, before, after)
		}
	}
	// As if it was killed between the copy and the deletion.
	s, err := store.Open([]string{dir}, "test")
	if err != nil {
		t.Fatal(err)
	}
	body, err := s.Get("key/019")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	last := preference("key/019", o.Peers)[1]
	for _, p := range []peer{a, b} {
		if p.address == last {
			if _, err := p.store.Put("key/019", body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got := merged(t, a, b); !maps.Equal(got, bodies) {
		t.Errorf("the peers have %d records, want the same %d", len(got), len(bodies))
	}
	if n := len(left(t, dir)); n != 0 {
		t.Errorf("%d records stay", n)
	}
	if _, err := os.Stat(filepath.Join(dir, runsFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the count of runs stays on the drained volume: %v", err)
	}
}

func TestRunStopsWhenAsked(t *testing.T) {
	dir, bodies := fill(t, 10)
	a := startPeer(t, nil)
	o := options(dir, a)
	o.Delay = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	o.Log = slog.New(slog.NewTextHandler(writerFunc(func(line []byte) {
		if strings.Contains(string(line), "msg=Moved") {
			cancel()
		}
	}), nil))
	result, err := Run(ctx, o)
	if !errors.Is(err, context.Canceled) || result.Records != 1 {
		t.Fatalf("Run = %+v, %v, want one record and a cancellation", result, err)
	}
	if n := len(left(t, dir)); n != 9 {
		t.Errorf("%d records stay, want 9", n)
	}
	// Its lock is free again.
	if _, err := Run(t.Context(), options(dir, a)); err != nil {
		t.Fatal(err)
	}
	if got := merged(t, a); !maps.Equal(got, bodies) {
		t.Errorf("the peer has %d records, want the same %d", len(got), len(bodies))
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

func TestRunLeavesOutSilentPeers(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T) peer{
		"from the start": func(t *testing.T) peer { return peer{address: freeAddress(t)} },
		"half-way": func(t *testing.T) peer {
			var n atomic.Int32
			return startPeer(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if n.Add(1) > 8 {
						http.Error(w, "no more", http.StatusInsufficientStorage)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, bodies := fill(t, 20)
			bad, good := spoil(t), startPeer(t, nil)
			o := options(dir, bad, good)
			o.PeerTimeout = 50 * time.Millisecond
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			got := contents(t, good.store)
			if bad.store != nil {
				for key, body := range contents(t, bad.store) {
					if old, ok := got[key]; ok && old != body {
						t.Errorf("%q differs", key)
					}
					got[key] = body
				}
			}
			if !maps.Equal(got, bodies) || len(left(t, dir)) != 0 {
				t.Errorf("the peers have %d records and %d stay, want the same %d", len(got), len(left(t, dir)), len(bodies))
			}
		})
	}
}

func TestRunKeepsWhenAsked(t *testing.T) {
	dir, bodies := fill(t, 5)
	a := startPeer(t, nil)
	o := options(dir, a)
	o.Keep = true
	for range 2 { // Running again finds its own copies.
		result, err := Run(t.Context(), o)
		if err != nil || !strings.HasPrefix(result.String(), "copied 5 records, ") {
			t.Fatalf("Run = %q, %v", result, err)
		}
		if n := len(left(t, dir)); n != len(bodies) {
			t.Errorf("%d records stay, want all %d", n, len(bodies))
		}
		if got := merged(t, a); !maps.Equal(got, bodies) {
			t.Errorf("the peer has %d records, want %d", len(got), len(bodies))
		}
	}
}

func TestRunHoldsHalfWay(t *testing.T) {
	dir, _ := fill(t, 6)
	a, b := startPeer(t, nil), startPeer(t, nil)
	if _, err := b.store.Put("hold", nil); err != nil {
		t.Fatal(err)
	}
	o := options(dir, a, b)
	o.Hold = "hold"
	seen := 0
	o.Log = slog.New(slog.NewTextHandler(writerFunc(func(line []byte) {
		if !strings.Contains(string(line), "Held half-way") {
			return
		}
		if n := len(left(t, dir)); n != 3 {
			t.Errorf("%d records stay, want half", n)
		}
		seen++
		if seen == 3 {
			if err := b.store.Delete("hold"); err != nil {
				t.Error(err)
			}
		}
	}), nil))
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if n := len(left(t, dir)); n != 0 || seen != 3 {
		t.Errorf("%d records stay after %d looks, want none after 3", n, seen)
	}
}

func TestRunWaitsForPeers(t *testing.T) {
	dir, bodies := fill(t, 5)
	var asked atomic.Int32
	late := startPeer(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) < 10 {
				http.Error(w, "starting", http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	if _, err := Run(t.Context(), options(dir, late)); err != nil {
		t.Fatal(err)
	}
	if got := merged(t, late); !maps.Equal(got, bodies) {
		t.Errorf("the peer has %d records, want %d", len(got), len(bodies))
	}
}

func TestRunNeedsPeers(t *testing.T) {
	for name, peers := range map[string][]string{"none": nil, "down": {freeAddress(t), freeAddress(t)}} {
		t.Run(name, func(t *testing.T) {
			dir, bodies := fill(t, 3)
			o := options(dir)
			o.Peers = peers
			o.PeerTimeout = 20 * time.Millisecond
			_, err := Run(t.Context(), o)
			if !errors.Is(err, ErrNoPeers) || !strings.Contains(err.Error(), "3 records stay") {
				t.Errorf("Run = %v, want ErrNoPeers with the count", err)
			}
			if n := len(left(t, dir)); n != len(bodies) {
				t.Errorf("%d records stay, want all %d", n, len(bodies))
			}
		})
	}
	t.Run("nothing to move needs none", func(t *testing.T) {
		if _, err := Run(t.Context(), options(t.TempDir())); err != nil {
			t.Error(err)
		}
	})
}

func TestRunKeepsConflictsApart(t *testing.T) {
	dir, bodies := fill(t, 12)
	a, b := startPeer(t, nil), startPeer(t, nil)
	// Wherever the key would go, the other content is found.
	if _, err := a.store.Put("key/003", []byte("newer?")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Put("key/007", []byte("newer?")); err != nil {
		t.Fatal(err)
	}
	o := options(dir, a, b)
	for range 2 { // It fails again until a person decides.
		_, err := Run(t.Context(), o)
		if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), `"key/003"`) || !strings.Contains(err.Error(), `"key/007"`) {
			t.Fatalf("Run = %v, want ErrConflict naming both", err)
		}
		names := []string{}
		for _, r := range left(t, dir) {
			names = append(names, r.Name)
		}
		if want := []string{"key%2F003", "key%2F007"}; !slices.Equal(names, want) {
			t.Errorf("%q stay, want %q", names, want)
		}
		got := merged(t, a, b)
		if got["key/003"] != "newer?" || got["key/007"] != "newer?" || len(got) != len(bodies) {
			t.Errorf("the peers' own content changed, or not all others were moved: %d records", len(got))
		}
	}
	for _, p := range []peer{a, b} {
		for _, key := range []string{"key/003", "key/007"} {
			if err := p.store.Delete(key); err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got := merged(t, a, b); !maps.Equal(got, bodies) {
		t.Errorf("the peers have %d records, want the same %d", len(got), len(bodies))
	}
}

func TestRunVerifiesWhatItWrote(t *testing.T) {
	dir, bodies := fill(t, 4)
	liar := startPeer(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/records/") {
				_, _ = io.WriteString(w, "something else")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := Run(t.Context(), options(dir, liar))
	if !errors.Is(err, ErrChecksum) {
		t.Errorf("Run = %v, want ErrChecksum", err)
	}
	if n := len(left(t, dir)); n != len(bodies) {
		t.Errorf("%d records stay, want all %d", n, len(bodies))
	}
}

func TestRunRefusesBesideAServer(t *testing.T) {
	dir, bodies := fill(t, 4)
	a := startPeer(t, nil)
	live, err := store.Open([]string{dir}, "server datastore-2")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), options(dir, a))
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "server datastore-2") {
		t.Errorf("Run = %v, want ErrLocked naming the server", err)
	}
	if err := live.Close(); err != nil {
		t.Fatal(err)
	}
	// Later it is free, and still not to be trusted.
	if _, err = Run(t.Context(), options(dir, a)); !errors.Is(err, ErrViolated) {
		t.Errorf("Run = %v, want ErrViolated", err)
	}
	if n := len(left(t, dir)); n != len(bodies) {
		t.Errorf("%d records stay, want all %d", n, len(bodies))
	}
	if err := os.Remove(filepath.Join(dir, "VIOLATION")); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), options(dir, a)); err != nil {
		t.Error(err)
	}
}

func TestRunFailsWhenAServerCame(t *testing.T) {
	dir, _ := fill(t, 2)
	var once atomic.Bool
	a := startPeer(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && once.CompareAndSwap(false, true) {
				if _, err := store.OpenVolume(dir, "server datastore-2"); !errors.Is(err, store.ErrLocked) {
					t.Errorf("the server was let in: %v", err)
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	if _, err := Run(t.Context(), options(dir, a)); !errors.Is(err, ErrViolated) {
		t.Errorf("Run = %v, want ErrViolated", err)
	}
}

func TestPreference(t *testing.T) {
	peers := []string{"datastore-0.datastore", "datastore-1.datastore", "datastore-2.datastore"}
	firsts := map[string]int{}
	for i := range 300 {
		key := fmt.Sprintf("record-%d", i)
		order := preference(key, peers)
		firsts[order[0]]++
		// Without its first choice, a key goes to its second; all others stay where they are.
		rest := slices.DeleteFunc(slices.Clone(peers), func(p string) bool { return p == order[0] })
		if got := preference(key, rest); !slices.Equal(got, order[1:]) {
			t.Fatalf("preference(%q) without %s = %v, want %v", key, order[0], got, order[1:])
		}
	}
	for peer, n := range firsts {
		if n < 60 || n > 140 {
			t.Errorf("%s is first for %d of 300 keys, want about 100", peer, n)
		}
	}
}

func TestResultString(t *testing.T) {
	for _, tc := range []struct {
		result Result
		want   string
	}{
		{Result{}, "nothing to move: the volumes hold no records"},
		{Result{Records: 1, Bytes: 5, Peers: []string{"a"}}, "moved 1 record, 5 B, to a"},
		{Result{Records: 17, Bytes: 4096, Peers: []string{"datastore-0", "datastore-1"}}, "moved 17 records, 4.0 KiB, to datastore-0, datastore-1"},
		{Result{Records: 2, Kept: true, Peers: []string{"a"}}, "copied 2 records, 0 B, to a"},
		{Result{Records: 2, Bytes: 3 << 19, Peers: []string{"a"}}, "moved 2 records, 1.5 MiB, to a"},
	} {
		if got := tc.result.String(); got != tc.want {
			t.Errorf("%+v is %q, want %q", tc.result, got, tc.want)
		}
	}
}

func TestShortName(t *testing.T) {
	for peer, want := range map[string]string{
		"datastore-0": "datastore-0", "datastore-0.datastore.shop.svc": "datastore-0", "datastore-0.datastore:8080": "datastore-0",
		"10.0.0.1": "10.0.0.1", "10.0.0.1:8080": "10.0.0.1:8080", "fd00::1": "fd00::1",
	} {
		if got := shortName(peer); got != want {
			t.Errorf("shortName(%q) = %q, want %q", peer, got, want)
		}
	}
}

// freeAddress is one where no server answers.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestFullPeer(t *testing.T) {
	dir, bodies := fill(t, 8)
	full := startPeerWithin(t, 1, nil)
	if _, err := Run(t.Context(), options(dir, full)); !errors.Is(err, store.ErrFull) {
		t.Errorf("with no replica that has room: %v, want ErrFull", err)
	}
	if n := len(left(t, dir)) + len(contents(t, full.store)); n != len(bodies) {
		t.Errorf("%d records are there, want all %d", n, len(bodies))
	}
	roomy := startPeer(t, nil)
	if _, err := Run(t.Context(), options(dir, full, roomy)); err != nil {
		t.Errorf("with one who has room: %v", err)
	}
	if got := merged(t, full, roomy); !maps.Equal(got, bodies) {
		t.Errorf("got %d records, want %d", len(got), len(bodies))
	}
}
