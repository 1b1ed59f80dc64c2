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

package server_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/client"
	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/server"
	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/store"
)

func start(t *testing.T, quota int64) (*client.Client, string) {
	t.Helper()
	s, err := store.Open([]string{t.TempDir()}, "test")
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server.New(s, quota, slog.New(slog.DiscardHandler)))
	c := client.New(web.URL)
	t.Cleanup(func() {
		c.Close()
		web.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, web.URL
}

func TestRoundTripAnyKeyAndBody(t *testing.T) {
	c, _ := start(t, 0)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	bodies := map[string][]byte{
		"plain": []byte("text"), "a/b/../c": nil, "..": all, ".": []byte("."), "?q=1#f": []byte("q"), "50%": []byte("%"), "\xff\x00": all,
		"big": bytes.Repeat([]byte("x"), store.MaxBodyBytes), "💾": []byte("disk"),
	}
	for key, body := range bodies {
		if err := c.Put(t.Context(), key, body); err != nil {
			t.Errorf("Put(%q): %v", key, err)
		}
	}
	for key, body := range bodies {
		if got, err := c.Get(t.Context(), key); err != nil || !bytes.Equal(got, body) {
			t.Errorf("Get(%q) = %d bytes, %v, want %d bytes", key, len(got), err, len(body))
		}
		if sum, err := c.Checksum(t.Context(), key); err != nil || sum != store.Checksum(body) {
			t.Errorf("Checksum(%q) = %s, %v, want %s", key, sum, err, store.Checksum(body))
		}
	}
	records, err := c.List(t.Context())
	if err != nil || len(records) != len(bodies) {
		t.Fatalf("List() = %d records, %v, want %d", len(records), err, len(bodies))
	}
	for _, r := range records {
		key, err := store.DecodeKey(r.Name)
		if err != nil || r.SHA256 != store.Checksum(bodies[key]) || r.Bytes != int64(len(bodies[key])) {
			t.Errorf("record %+v is not %q, %v", r, key, err)
		}
		if err := c.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete(%q): %v", key, err)
		}
	}
	if stats, err := c.Stats(t.Context()); err != nil || stats.Records != 0 || len(stats.Volumes) != 1 {
		t.Errorf("Stats() = %+v, %v, want no records on one volume", stats, err)
	}
	if err := c.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	c, _ := start(t, 0)
	if _, err := c.Get(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get: %v, want ErrNotFound", err)
	}
	if _, err := c.Checksum(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Checksum: %v, want ErrNotFound", err)
	}
	if err := c.Delete(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Delete: %v, want ErrNotFound", err)
	}
	if err := c.Put(t.Context(), "big", make([]byte, store.MaxBodyBytes+1)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Put of too much: %v, want ErrTooLarge", err)
	}
	for range 2 {
		if err := c.Create(t.Context(), "key", []byte("first")); err != nil {
			t.Errorf("Create with the same content: %v", err)
		}
	}
	if err := c.Create(t.Context(), "key", []byte("second")); !errors.Is(err, store.ErrExists) {
		t.Errorf("Create with other content: %v, want ErrExists", err)
	}
	if got, err := c.Get(t.Context(), "key"); err != nil || string(got) != "first" {
		t.Errorf("Get = %q, %v, want the first content", got, err)
	}
}

func TestStatusCodes(t *testing.T) {
	_, url := start(t, 0)
	for _, tc := range []struct {
		method, path, body string
		want               []int
	}{
		{http.MethodPut, "/records/k", "1", []int{http.StatusCreated}},
		{http.MethodPut, "/records/k", "2", []int{http.StatusNoContent}},
		{http.MethodGet, "/records/k", "", []int{http.StatusOK}},
		{http.MethodHead, "/records/k", "", []int{http.StatusOK}},
		{http.MethodPut, "/records/" + strings.Repeat("k", store.MaxKeyBytes+1), "", []int{http.StatusBadRequest}},
		{http.MethodPut, "/records/", "", []int{http.StatusNotFound, http.StatusBadRequest}},
		{http.MethodPost, "/records/k", "", []int{http.StatusMethodNotAllowed}},
		{http.MethodDelete, "/records/k", "", []int{http.StatusNoContent}},
		{http.MethodDelete, "/records/k", "", []int{http.StatusNotFound}},
		{http.MethodGet, "/healthz", "", []int{http.StatusOK}},
		{http.MethodGet, "/", "", []int{http.StatusNotFound}},
	} {
		request, err := http.NewRequestWithContext(t.Context(), tc.method, url+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Error(err)
		}
		response.Body.Close()
		if !slices.Contains(tc.want, response.StatusCode) {
			t.Errorf("%s %s = %d, want %v", tc.method, tc.path, response.StatusCode, tc.want)
		}
	}
}

func TestQuota(t *testing.T) {
	c, _ := start(t, 10)
	if err := c.Put(t.Context(), "first", []byte("12345678")); err != nil {
		t.Fatal(err)
	}
	if err := c.Put(t.Context(), "second", []byte("123")); !errors.Is(err, store.ErrFull) {
		t.Errorf("Put beyond the quota: %v, want ErrFull", err)
	}
	if err := c.Delete(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if err := c.Put(t.Context(), "second", []byte("123")); err != nil {
		t.Errorf("Put after space was made: %v", err)
	}
}
