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

package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/store"
)

const (
	requestTimeout = 10 * time.Second
	// maxAnswerBytes bounds what is read of an answer that is not a record, such as a list.
	maxAnswerBytes = 64 << 20
)

// Client talks to one replica.
type Client struct {
	base string
	http *http.Client
}

// New is a client for the replica at a URL such as http://datastore-0.datastore:8080.
func New(base string) *Client {
	transport := &http.Transport{ // No proxy: replicas are neighbours, whatever the environment says.
		ResponseHeaderTimeout: requestTimeout,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       30 * time.Second,
	}
	return &Client{base: strings.TrimSuffix(base, "/"), http: &http.Client{Transport: transport, Timeout: requestTimeout}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Healthy asks whether the replica serves.
func (c *Client) Healthy(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodGet, "/healthz", nil, nil)
	return err
}

// Put stores a record, replacing what was there.
func (c *Client) Put(ctx context.Context, key string, body []byte) error {
	return c.put(ctx, key, body, nil)
}

// Create stores a record unless its key has other content already: then it is store.ErrExists.
func (c *Client) Create(ctx context.Context, key string, body []byte) error {
	return c.put(ctx, key, body, http.Header{"If-None-Match": {"*"}})
}

func (c *Client) put(ctx context.Context, key string, body []byte, header http.Header) error {
	path, err := recordPath(key)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPut, path, header, body)
	return err
}

// Get reads a record.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	path, err := recordPath(key)
	if err != nil {
		return nil, err
	}
	answer, err := c.do(ctx, http.MethodGet, path, nil, nil)
	return answer.body, err
}

// Checksum is the replica's own word about a record.
func (c *Client) Checksum(ctx context.Context, key string) (string, error) {
	path, err := recordPath(key)
	if err != nil {
		return "", err
	}
	answer, err := c.do(ctx, http.MethodHead, path, nil, nil)
	if err != nil {
		return "", err
	}
	sum, err := strconv.Unquote(answer.header.Get("ETag"))
	if err != nil {
		return "", fmt.Errorf("%s answered for %s without a checksum", c.base, path)
	}
	return sum, nil
}

// Delete removes a record.
func (c *Client) Delete(ctx context.Context, key string) error {
	path, err := recordPath(key)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodDelete, path, nil, nil)
	return err
}

// List describes every record of the replica.
func (c *Client) List(ctx context.Context) ([]store.Record, error) {
	var records []store.Record
	err := c.json(ctx, "/records", &records)
	return records, err
}

// Stats sums up the replica.
func (c *Client) Stats(ctx context.Context) (store.Stats, error) {
	var stats store.Stats
	err := c.json(ctx, "/stats", &stats)
	return stats, err
}

func recordPath(key string) (string, error) {
	name, err := store.EncodeKey(key)
	if err != nil {
		return "", err
	}
	return "/records/" + name, nil
}

func (c *Client) json(ctx context.Context, path string, into any) error {
	answer, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer.body, into); err != nil {
		return fmt.Errorf("%s%s: %w", c.base, path, err)
	}
	return nil
}

type answer struct {
	header http.Header
	body   []byte
}

func (c *Client) do(ctx context.Context, method, path string, header http.Header, body []byte) (_ answer, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	maps.Copy(request.Header, header)
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	got, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s%s: %w", method, c.base, path, err)
	}
	if response.StatusCode < 300 {
		return answer{header: response.Header, body: got}, nil
	}
	return answer{}, fmt.Errorf("%s %s%s: %w", method, c.base, path, errorOf(method, response.StatusCode, got))
}

func errorOf(method string, code int, body []byte) error {
	switch {
	case code == http.StatusNotFound:
		return store.ErrNotFound
	case code == http.StatusPreconditionFailed:
		return store.ErrExists
	case code == http.StatusRequestEntityTooLarge:
		return store.ErrTooLarge
	case code == http.StatusInsufficientStorage && method == http.MethodPut:
		return fmt.Errorf("%w: %s", store.ErrFull, strings.TrimSpace(string(body)))
	default:
		return fmt.Errorf("status %d: %s", code, strings.TrimSpace(string(body)))
	}
}
