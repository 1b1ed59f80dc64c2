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

package store

import (
	"errors"
	"hash/fnv"
	"sort"
)

// Stats sums up a store.
type Stats struct {
	Records    int      `json:"records"`
	Bytes      int64    `json:"bytes"`
	Volumes    []string `json:"volumes"`
	Violations []string `json:"violations"`
}

// Store is several volumes seen as one. A key's hash chooses the volume of a new record, so a StatefulSet with several claim templates has
// records on every one of them.
type Store struct {
	volumes []*Volume
}

// Open takes the locks of all the folders, or of none.
func Open(dirs []string, holder string) (*Store, error) {
	if len(dirs) == 0 {
		return nil, errors.New("a store needs at least one data folder")
	}
	s := &Store{}
	for _, dir := range dirs {
		v, err := OpenVolume(dir, holder)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.volumes = append(s.volumes, v)
	}
	return s, nil
}

// Close gives all the volumes back.
func (s *Store) Close() error {
	errs := make([]error, 0, len(s.volumes))
	for _, v := range s.volumes {
		errs = append(errs, v.Close())
	}
	return errors.Join(errs...)
}

// Volumes are the volumes one by one, in the order they were given.
func (s *Store) Volumes() []*Volume { return s.volumes }

// Put stores a record, replacing what was there; it reports whether the record is new.
func (s *Store) Put(key string, body []byte) (created bool, err error) {
	v, err := s.volumeFor(key)
	if err != nil {
		return false, err
	}
	return v.Put(key, body)
}

// Create stores a record unless its key is taken, see Volume.Create.
func (s *Store) Create(key string, body []byte) (created bool, err error) {
	v, err := s.volumeFor(key)
	if err != nil {
		return false, err
	}
	return v.Create(key, body)
}

// Get reads a record.
func (s *Store) Get(key string) ([]byte, error) {
	v, err := s.volumeFor(key)
	if err != nil {
		return nil, err
	}
	return v.Get(key)
}

// Delete removes a record for good.
func (s *Store) Delete(key string) error {
	v, err := s.volumeFor(key)
	if err != nil {
		return err
	}
	return v.Delete(key)
}

// List describes every record, in the order of their names.
func (s *Store) List() ([]Record, error) {
	all := []Record{}
	for _, v := range s.volumes {
		records, err := v.List()
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all, nil
}

// Stats counts what is there.
func (s *Store) Stats() (Stats, error) {
	stats := Stats{Violations: []string{}}
	for _, v := range s.volumes {
		records, err := v.List()
		if err != nil {
			return stats, err
		}
		for _, r := range records {
			stats.Records++
			stats.Bytes += r.Bytes
		}
		violations, err := v.Violations()
		if err != nil {
			return stats, err
		}
		stats.Violations = append(stats.Violations, violations...)
		stats.Volumes = append(stats.Volumes, v.Dir())
	}
	return stats, nil
}

// volumeFor is the volume that has the key or, for a new one, the volume its hash chooses. A record stays where it was found: the number of
// volumes may have changed since it was written.
func (s *Store) volumeFor(key string) (*Volume, error) {
	if _, err := EncodeKey(key); err != nil {
		return nil, err
	}
	for _, v := range s.volumes {
		if _, err := v.Get(key); err == nil {
			return v, nil
		} else if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // It never fails, hash.Hash says so.
	return s.volumes[int(h.Sum32()%uint32(len(s.volumes)))], nil
}
