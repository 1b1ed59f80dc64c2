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
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// peerTimeout is short: a pet that has just left is still in the answers of DNS for some seconds.
	peerTimeout = time.Second
	// maxAnswer bounds what is read of a peer's answer.
	maxAnswer = 64 << 20
)

// peer is another pet.
type peer struct {
	name string
	url  string
}

// lookup finds the pets that are ready.
type lookup func(ctx context.Context) ([]peer, error)

// srvLookup finds them by the SRV records of their headless Service: one a ready Pod, with its name and port.
func srvLookup(service string) lookup {
	return func(ctx context.Context) ([]peer, error) {
		_, records, err := net.DefaultResolver.LookupSRV(ctx, "http", "tcp", service)
		var notFound *net.DNSError
		if errors.As(err, &notFound) && notFound.IsNotFound {
			return nil, nil // A Service without a ready Pod has no record.
		}
		if err != nil {
			return nil, err
		}
		peers := make([]peer, 0, len(records))
		for _, r := range records {
			host := strings.TrimSuffix(r.Target, ".")
			name, _, _ := strings.Cut(host, ".")
			peers = append(peers, peer{name: name, url: "http://" + net.JoinHostPort(host, strconv.Itoa(int(r.Port)))})
		}
		slices.SortFunc(peers, func(a, b peer) int { return cmp.Compare(a.name, b.name) })
		return peers, nil
	}
}

// staying leaves out the pets outside the range: DNS may still know one that is leaving, too.
func staying(all lookup, set string, start, end int) lookup {
	return func(ctx context.Context) ([]peer, error) {
		peers, err := all(ctx)
		return slices.DeleteFunc(peers, func(p peer) bool {
			ordinal, err := strconv.Atoi(strings.TrimPrefix(p.name, set+"-"))
			return err != nil || ordinal < start || ordinal >= end
		}), err
	}
}

// No proxy: pets are neighbours, whatever the environment says.
var client = &http.Client{Transport: &http.Transport{}, Timeout: peerTimeout}

// keepsakes asks a peer for all it has.
func (p peer) keepsakes(ctx context.Context) ([]keepsake, error) {
	answer, err := p.do(ctx, http.MethodGet, "/pets", nil)
	if err != nil {
		return nil, err
	}
	var all []keepsake
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return all, nil
}

// adopt asks a peer to keep the data of a pet that left.
func (p peer) adopt(ctx context.Context, k keepsake) error {
	_, err := p.do(ctx, http.MethodPut, "/pets/"+k.Pet+"/"+k.SHA256, k.Data)
	return err
}

func (p peer) do(ctx context.Context, method, path string, body []byte) (_ []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("%s %s%s: status %d: %s", method, p.url, path, response.StatusCode, bytes.TrimSpace(answer))
	}
	return answer, nil
}
