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

package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"syscall"

	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/store"
)

// New is the handler for a store that takes at most so many bytes of records; 0 means no limit of its own.
func New(s *store.Store, quota int64, log *slog.Logger) http.Handler {
	h := &handler{store: s, quota: quota, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /stats", h.stats)
	mux.HandleFunc("GET /records", h.list)
	mux.HandleFunc("GET /records/{key}", h.get)
	mux.HandleFunc("PUT /records/{key}", h.put)
	mux.HandleFunc("DELETE /records/{key}", h.remove)
	return mux
}

type handler struct {
	store *store.Store
	quota int64
	log   *slog.Logger
}

func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	records, err := h.store.List()
	h.json(w, r, records, err)
}

func (h *handler) stats(w http.ResponseWriter, r *http.Request) {
	stats, err := h.store.Stats()
	h.json(w, r, stats, err)
}

func (h *handler) get(w http.ResponseWriter, r *http.Request) {
	body, err := h.store.Get(r.PathValue("key"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("ETag", strconv.Quote(store.Checksum(body)))
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		h.log.Warn("the reader left", "key", r.PathValue("key"), "err", err)
	}
}

func (h *handler) put(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, store.MaxBodyBytes))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if err := h.room(int64(len(body))); err != nil {
		h.fail(w, r, err)
		return
	}
	write := h.store.Put
	if r.Header.Get("If-None-Match") == "*" {
		write = h.store.Create
	}
	created, err := write(r.PathValue("key"), body)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", strconv.Quote(store.Checksum(body)))
	if created {
		w.WriteHeader(http.StatusCreated)
	} else {
		w.WriteHeader(http.StatusNoContent)
	}
}

// room refuses what goes beyond the quota with the error of a full volume. Two writers at once may go a little beyond it.
func (h *handler) room(size int64) error {
	if h.quota == 0 {
		return nil
	}
	stats, err := h.store.Stats()
	if err != nil {
		return err
	}
	if stats.Bytes+size > h.quota {
		return fmt.Errorf("%d bytes of %d are taken, %d don't fit in: %w", stats.Bytes, h.quota, size, syscall.ENOSPC)
	}
	return nil
}

func (h *handler) remove(w http.ResponseWriter, r *http.Request) {
	if err := h.store.Delete(r.PathValue("key")); err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) json(w http.ResponseWriter, r *http.Request, answer any, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		h.log.Warn("the reader left", "path", r.URL.Path, "err", err)
	}
}

func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := statusOf(err)
	if code >= http.StatusInternalServerError {
		h.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	http.Error(w, err.Error(), code)
}

func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrInvalidKey):
		return http.StatusBadRequest
	case errors.Is(err, store.ErrExists):
		return http.StatusPreconditionFailed
	case errors.Is(err, store.ErrTooLarge), errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		return http.StatusBadRequest
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return http.StatusInsufficientStorage
	default:
		return http.StatusInternalServerError
	}
}
