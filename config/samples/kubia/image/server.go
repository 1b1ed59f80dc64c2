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
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// maxData is the most that a pet keeps: its volume is small.
const maxData = 256 << 10

// newServer answers for a pet.
func newServer(v *volume, peers lookup, log *slog.Logger) http.Handler {
	s := &server{volume: v, peers: peers, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.cluster)
	mux.HandleFunc("POST /{$}", s.post)
	mux.HandleFunc("GET /data", s.data)
	mux.HandleFunc("GET /pets", s.list)
	mux.HandleFunc("PUT /pets/{pet}/{sha256}", s.adopt)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return mux
}

type server struct {
	volume *volume
	peers  lookup
	log    *slog.Logger
}

// post overwrites what this pet kept, as in the book. What it has adopted is not its own, and stays.
func (s *server) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxData))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if err := s.volume.keep(newKeepsake(s.volume.pet, false, body)); err != nil {
		s.fail(w, r, err)
		return
	}
	s.log.Info("New data has been received and stored", "bytes", len(body))
	s.answer(w, r, fmt.Sprintf("Data stored on pod %s\n", s.volume.pet))
}

// data is this pet alone.
func (s *server) data(w http.ResponseWriter, r *http.Request) {
	own, err := s.own()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, r, own)
}

func (s *server) own() (string, error) {
	all, err := s.volume.list()
	if err != nil {
		return "", err
	}
	text := "No data posted yet"
	if len(all) > 0 && !all[0].Adopted {
		text = string(all[0].Data)
	}
	return fmt.Sprintf("You've hit %s\nData stored on this pod: %s\n", s.volume.pet, text), nil
}

// cluster is this pet, and all that it and its peers keep.
func (s *server) cluster(w http.ResponseWriter, r *http.Request) {
	text, err := s.own()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	ctx := r.Context()
	peers, err := s.peers(ctx)
	if err != nil {
		s.fail(w, r, fmt.Errorf("looking for peers: %w", err))
		return
	}
	lines := make([][]string, len(peers))
	var all sync.WaitGroup
	for i, p := range peers {
		all.Go(func() { lines[i] = tell(ctx, p) })
	}
	all.Wait()
	s.answer(w, r, text+"Data stored in the cluster:\n"+strings.Join(slices.Concat(lines...), ""))
}

// tell is what a peer keeps, in lines.
func tell(ctx context.Context, p peer) []string {
	all, err := p.keepsakes(ctx)
	if err != nil {
		return []string{fmt.Sprintf("- %s does not answer\n", p.name)}
	}
	var lines []string
	for _, k := range all {
		name := k.Pet
		if k.Adopted {
			name = fmt.Sprintf("%s, adopted by %s", k.Pet, p.name)
		}
		lines = append(lines, fmt.Sprintf("- %s: %s\n", name, k.Data))
	}
	return lines
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	all, err := s.volume.list()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(append([]keepsake{}, all...)); err != nil {
		s.log.Warn("The reader left", "err", err)
	}
}

// adopt keeps the data of a pet that left. The answer comes when it is safe on the volume.
func (s *server) adopt(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxData))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	k := newKeepsake(r.PathValue("pet"), true, body)
	if !petName.MatchString(k.Pet) || k.SHA256 != r.PathValue("sha256") {
		http.Error(w, fmt.Sprintf("%d bytes with the checksum %s came for %q with the checksum %q", len(body), k.SHA256, k.Pet, r.PathValue("sha256")), http.StatusBadRequest)
		return
	}
	if err := s.volume.keep(k); err != nil {
		s.fail(w, r, err)
		return
	}
	s.log.Info("Adopted", "pet", k.Pet, "bytes", len(body), "sha256", k.SHA256)
	w.WriteHeader(http.StatusCreated)
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := io.WriteString(w, text); err != nil {
		s.log.Warn("The reader left", "path", r.URL.Path, "err", err)
	}
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.log.Error("Request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	http.Error(w, err.Error(), http.StatusInternalServerError)
}
