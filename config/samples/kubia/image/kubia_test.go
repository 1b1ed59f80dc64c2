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
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/cli"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
)

var quiet = slog.New(slog.DiscardHandler)

// den is a pet that runs, with a volume of its own.
type den struct {
	peer
	volume *volume
}

// dens starts pets that know each other.
func dens(t *testing.T, names ...string) []den {
	t.Helper()
	var all []den
	var peers []peer
	find := func(context.Context) ([]peer, error) { return peers, nil }
	for _, name := range names {
		v := newVolume(t, name)
		server := httptest.NewServer(newServer(v, find, quiet))
		t.Cleanup(server.Close)
		all = append(all, den{peer: peer{name: name, url: server.URL}, volume: v})
		peers = append(peers, all[len(all)-1].peer)
	}
	return all
}

func newVolume(t *testing.T, pet string) *volume {
	t.Helper()
	v, err := openVolume(t.TempDir(), pet)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (d den) post(t *testing.T, text string) {
	t.Helper()
	answer, err := d.do(t.Context(), http.MethodPost, "/", []byte(text))
	if err != nil || string(answer) != "Data stored on pod "+d.name+"\n" {
		t.Fatalf("POST / on %s = %q, %v", d.name, answer, err)
	}
}

func (d den) get(t *testing.T, path string) string {
	t.Helper()
	answer, err := d.do(t.Context(), http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// kept is what is on a volume, as "pet", or "pet adopted", and its text.
func kept(t *testing.T, v *volume) map[string][]string {
	t.Helper()
	all, err := v.list()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, k := range all {
		name := k.Pet
		if k.Adopted {
			name += " adopted"
		}
		got[name] = append(got[name], string(k.Data))
	}
	return got
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func newDrain(v *volume, among ...den) *drain {
	peers := make([]peer, 0, len(among))
	for _, d := range among {
		peers = append(peers, d.peer)
	}
	return &drain{volume: v, lookup: func(context.Context) ([]peer, error) { return peers, nil }, every: time.Millisecond, log: quiet}
}

func keep(t *testing.T, v *volume, all ...keepsake) {
	t.Helper()
	for _, k := range all {
		if err := v.keep(k); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPetsAnswer(t *testing.T) {
	pets := dens(t, "kubia-0", "kubia-1")
	expect(t, "before the first POST", pets[0].get(t, "/data"), "You've hit kubia-0\nData stored on this pod: No data posted yet\n")
	pets[0].post(t, "Hey there! This greeting was submitted to kubia-0.")
	pets[1].post(t, "first")
	pets[1].post(t, "second")
	expect(t, "one pet", pets[1].get(t, "/data"), "You've hit kubia-1\nData stored on this pod: second\n")
	expect(t, "all of them", pets[1].get(t, "/"), "You've hit kubia-1\nData stored on this pod: second\nData stored in the cluster:\n"+
		"- kubia-0: Hey there! This greeting was submitted to kubia-0.\n- kubia-1: second\n")
	content, err := os.ReadFile(filepath.Join(pets[1].volume.dir, "kubia.txt"))
	if err != nil || string(content) != "second" {
		t.Errorf("kubia.txt = %q, %v", content, err)
	}
}

func TestAdoptionOverwritesNothing(t *testing.T) {
	pets := dens(t, "kubia-0")
	pets[0].post(t, "mine")
	for _, text := range []string{"left once", "left twice", "left twice"} {
		if err := pets[0].adopt(t.Context(), newKeepsake("kubia-1", true, []byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	pets[0].post(t, "mine, newer")
	got := kept(t, pets[0].volume)
	expect(t, "own", got["kubia-0"], []string{"mine, newer"})
	if len(got["kubia-1 adopted"]) != 2 {
		t.Errorf("adopted = %q, want both that were left", got)
	}
	if !strings.Contains(pets[0].get(t, "/"), "- kubia-1, adopted by kubia-0: left once\n") {
		t.Errorf("GET / = %q", pets[0].get(t, "/"))
	}
}

func TestAdoptionIsRefused(t *testing.T) {
	pets := dens(t, "kubia-0")
	good := newKeepsake("kubia-1", true, []byte("data"))
	for name, k := range map[string]keepsake{
		"damaged on the way":   {Pet: "kubia-1", SHA256: good.SHA256, Data: []byte("dat")},
		"no name of a Pod":     {Pet: "..%2f..%2fkubia-1", SHA256: good.SHA256, Data: good.Data},
		"larger than a volume": newKeepsake("kubia-1", true, make([]byte, maxData+1)),
	} {
		if err := pets[0].adopt(t.Context(), k); err == nil {
			t.Errorf("%s: adopted", name)
		}
	}
	expect(t, "kept", kept(t, pets[0].volume), map[string][]string{})
}

func TestDrainHandsEverythingToOneThatLives(t *testing.T) {
	pets := dens(t, "kubia-0", "kubia-1")
	pets[0].post(t, "zero")
	leaver := newVolume(t, "kubia-2")
	keep(t, leaver, newKeepsake("kubia-2", false, []byte("two")), newKeepsake("kubia-3", true, []byte("three")),
		newKeepsake("kubia-2", true, []byte("two, of an earlier life")))

	summary, err := newDrain(leaver, pets...).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(summary, "kubia-2 adopted by kubia-1, ") {
		t.Errorf("summary = %q, want the pet with the fewest first", summary)
	}
	expect(t, "left on the volume", kept(t, leaver), map[string][]string{})
	expect(t, "own data", kept(t, pets[0].volume)["kubia-0"], []string{"zero"})
	found := map[string]bool{}
	for _, p := range pets {
		for name, texts := range kept(t, p.volume) {
			for _, text := range texts {
				found[name+": "+text] = true
			}
		}
	}
	expect(t, "in the cluster", found, map[string]bool{
		"kubia-0: zero": true, "kubia-2 adopted: two": true, "kubia-2 adopted: two, of an earlier life": true, "kubia-3 adopted: three": true,
	})
}

func TestDrainRunsAgain(t *testing.T) {
	pets := dens(t, "kubia-0", "kubia-1")
	// The run before was killed after kubia-0, which has the most by now, had taken it.
	pets[0].post(t, "zero")
	leaver := newVolume(t, "kubia-2")
	keep(t, leaver, newKeepsake("kubia-2", false, []byte("two")))
	keep(t, pets[0].volume, newKeepsake("kubia-2", true, []byte("two")))

	summary, err := newDrain(leaver, pets...).run(t.Context())
	if err != nil || summary != "kubia-2 adopted by kubia-0" {
		t.Fatalf("run = %q, %v", summary, err)
	}
	expect(t, "kubia-1", kept(t, pets[1].volume), map[string][]string{})

	summary, err = newDrain(leaver, pets...).run(t.Context())
	if err != nil || summary != "nothing to hand over: the pet never kept anything" {
		t.Fatalf("another run = %q, %v", summary, err)
	}
}

// liar answers well and keeps nothing.
func liar(t *testing.T) den {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, "[]")
		}
	}))
	t.Cleanup(server.Close)
	return den{peer: peer{name: "kubia-0", url: server.URL}}
}

func TestDrainKeepsWhatNobodyHas(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, test := range map[string]struct {
		among []den
		want  string
	}{
		"no pet":                        {nil, "none of 0 pets that stay answers"},
		"none answers":                  {[]den{{peer: peer{name: "kubia-0", url: gone.URL}}}, "none of 1 pets that stay answers"},
		"one that doesn't give it back": {[]den{liar(t)}, "doesn't give it back"},
	} {
		leaver := newVolume(t, "kubia-2")
		keep(t, leaver, newKeepsake("kubia-2", false, []byte("two")))
		_, err := newDrain(leaver, test.among...).run(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: err = %v, want %q in it", name, err, test.want)
		}
		expect(t, name, kept(t, leaver), map[string][]string{"kubia-2": {"two"}})
	}
}

func TestDrainStopsWhenTold(t *testing.T) {
	leaver := newVolume(t, "kubia-2")
	keep(t, leaver, newKeepsake("kubia-2", false, []byte("two")))
	d := newDrain(leaver)
	d.patience, d.every = time.Hour, time.Hour
	ctx, cancel := context.WithCancelCause(t.Context())
	told := errors.New("told to stop")
	cancel(told)
	if _, err := d.run(ctx); !errors.Is(err, told) {
		t.Errorf("err = %v", err)
	}
	expect(t, "left on the volume", kept(t, leaver), map[string][]string{"kubia-2": {"two"}})
}

func TestDrainAsksOnlyThoseThatStay(t *testing.T) {
	all := func(context.Context) ([]peer, error) {
		return []peer{{name: "kubia-3"}, {name: "kubia-4"}, {name: "kubia-5"}, {name: "kubia-10"}, {name: "10-1-2-3"}}, nil
	}
	got, err := staying(all, "kubia", 3, 5)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(got))
	for _, p := range got {
		names = append(names, p.name)
	}
	expect(t, "pets", names, []string{"kubia-3", "kubia-4"})
}

func TestVolumeIsNotTrustedBlindly(t *testing.T) {
	v := newVolume(t, "kubia-2")
	k := newKeepsake("kubia-3", true, []byte("three"))
	keep(t, v, k)
	if err := os.WriteFile(filepath.Join(v.dir, k.path()), []byte("thre"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newDrain(v, dens(t, "kubia-0")...).run(t.Context()); err == nil || !strings.Contains(err.Error(), "has changed since it was adopted") {
		t.Errorf("err = %v", err)
	}
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	for range 2 { // The second time there is something to throw away.
		if err := run(t.Context(), []string{"disk", disk}, io.Discard); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(disk); err != nil || len(left) > 0 {
			t.Errorf("on a new disk: %v, %v", left, err)
		}
		if err := os.Mkdir(filepath.Join(disk, "adopted"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(t.Context(), []string{"disk", "--remove", disk}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(disk); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a removed disk: %v", err)
	}
	t.Setenv("DRAIN_START_ORDINAL", "0")
	t.Setenv("DRAIN_REPLICAS", "2")
	t.Setenv("DRAIN_POD_NAME", "kubia-2")
	for _, args := range [][]string{nil, {"bark"}, {"disk"}, {"drain", "--data=" + dir}} {
		if err := run(t.Context(), args, io.Discard); !errors.Is(err, cli.ErrUsage) {
			t.Errorf("kubia %q: err = %v, want wrong usage", args, err)
		}
	}
	message := filepath.Join(dir, "termination-log")
	if err := os.WriteFile(message, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DRAIN_SERVICE", "kubia")
	t.Setenv("DRAIN_RECEIPT", "receipt-1")
	drain := func(want string) error {
		t.Helper()
		err := run(t.Context(), []string{"drain", "--data=" + dir, "--termination-log=" + message}, io.Discard)
		if said, readErr := os.ReadFile(message); readErr != nil || string(said) != want {
			t.Errorf("termination message = %q, %v, want %q", said, readErr, want)
		}
		return err
	}
	if err := drain("not the volume of this Pod: there is no " + filepath.Join(dir, drains.Marker) + ", so kubia-2 has never started on it, or it is the wrong one; " +
		"if it has never started, delete the claim"); !errors.Is(err, drains.ErrNotOwned) {
		t.Errorf("a drain of a volume on which no pet has ever started: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, adoptedDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the drain has changed a volume that isn't its own: %v", err)
	}
	v, err := openVolume(dir, "kubia-2")
	if err != nil {
		t.Fatal(err)
	}
	if err := v.own(); err != nil {
		t.Fatal(err)
	}
	if err := drain("nothing to hand over: the pet never kept anything\nreceipt-1\n"); err != nil {
		t.Error(err)
	}
}

func TestPetRefusesTheDataOfAnother(t *testing.T) {
	v := newVolume(t, "kubia-2")
	for range 2 {
		if err := v.own(); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, v, newKeepsake("kubia-2", false, []byte("two")))
	other := &volume{dir: v.dir, pet: "kubia-1"}
	if err := other.own(); !errors.Is(err, drains.ErrNotOwned) {
		t.Errorf("err = %v", err)
	}
	if err := v.drop(newKeepsake("kubia-2", false, []byte("two"))); err != nil {
		t.Fatal(err)
	}
	if err := other.own(); err != nil {
		t.Errorf("an empty volume, given back by hand: %v", err)
	}
}
