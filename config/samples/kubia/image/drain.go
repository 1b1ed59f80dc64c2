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
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// drain hands everything on an orphaned volume to pets that live: its pet's own data, and what it had adopted itself.
type drain struct {
	volume   *volume
	lookup   lookup
	patience time.Duration
	every    time.Duration
	log      *slog.Logger
}

// run goes on where an earlier run was interrupted: what is still on the volume is what is still to do.
func (d *drain) run(ctx context.Context) (string, error) {
	all, err := d.volume.list()
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "nothing to hand over: the pet never kept anything", nil
	}
	deadline := time.Now().Add(d.patience)
	var told []string
	for _, k := range all {
		home, err := d.place(ctx, k, deadline)
		if err == nil {
			err = d.volume.drop(k)
		}
		if err != nil {
			return "", fmt.Errorf("the data of %s stays on the volume, with %d of %d handed over: %w", k.Pet, len(told), len(all), err)
		}
		told = append(told, fmt.Sprintf("%s adopted by %s", k.Pet, home))
		d.log.Info("Handed over", "pet", k.Pet, "bytes", len(k.Data), "sha256", k.SHA256, "to", home)
	}
	return strings.Join(told, ", "), nil
}

// place tries until one pet has it or the time is up.
func (d *drain) place(ctx context.Context, k keepsake, deadline time.Time) (string, error) {
	timer := time.NewTicker(d.every)
	defer timer.Stop()
	for {
		home, err := d.try(ctx, k)
		if err == nil {
			return home, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no pet took it within %s: %w", d.patience, err)
		}
		d.log.Info("Waiting for a pet to take it", "pet", k.Pet, "err", err)
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// try gives it to the pet that has it already, from a run that was interrupted, else to the one with the fewest, and looks whether it is there.
func (d *drain) try(ctx context.Context, k keepsake) (string, error) {
	peers, err := d.lookup(ctx)
	if err != nil {
		return "", err
	}
	var home peer
	fewest := -1
	var silent []error
	for _, p := range peers {
		theirs, err := p.keepsakes(ctx)
		if err != nil {
			silent = append(silent, err)
			continue
		}
		if has(theirs, k) {
			return p.name, nil
		}
		if fewest < 0 || len(theirs) < fewest {
			home, fewest = p, len(theirs)
		}
	}
	if fewest < 0 {
		return "", errors.Join(append([]error{fmt.Errorf("none of %d pets that stay answers", len(peers))}, silent...)...)
	}
	if err := home.adopt(ctx, k); err != nil {
		return "", err
	}
	theirs, err := home.keepsakes(ctx)
	if err != nil {
		return "", err
	}
	if !has(theirs, k) {
		return "", fmt.Errorf("%s took the data of %s, but doesn't give it back", home.name, k.Pet)
	}
	return home.name, nil
}

func has(theirs []keepsake, k keepsake) bool {
	return slices.ContainsFunc(theirs, func(t keepsake) bool { return t.Adopted && t.Pet == k.Pet && bytes.Equal(t.Data, k.Data) })
}
