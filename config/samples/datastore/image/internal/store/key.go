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
	"fmt"
	"net/url"
	"strings"
)

// MaxKeyBytes bounds a key: percent-encoded it is at most three times as long and still fits the 255 bytes of a file name.
const MaxKeyBytes = 80

// ErrInvalidKey is returned for keys that can't be stored.
var ErrInvalidKey = errors.New("invalid key")

const upperHex = "0123456789ABCDEF"

// EncodeKey turns any key into its name: what the record's file is called, and how the key is written in a URL path. Two keys never share a
// name, and a name never begins with a dot, so that it can be neither hidden, nor temporary, nor "..".
func EncodeKey(key string) (string, error) {
	if key == "" {
		return "", fmt.Errorf("%w: it is empty", ErrInvalidKey)
	}
	if len(key) > MaxKeyBytes {
		return "", fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrInvalidKey, len(key), MaxKeyBytes)
	}
	var name strings.Builder
	for i := range len(key) {
		if c := key[i]; isPlain(c) && (c != '.' || i > 0) {
			name.WriteByte(c)
		} else {
			name.WriteByte('%')
			name.WriteByte(upperHex[c>>4])
			name.WriteByte(upperHex[c&15])
		}
	}
	return name.String(), nil
}

// DecodeKey is the inverse of EncodeKey; names that EncodeKey would not have made are refused.
func DecodeKey(name string) (string, error) {
	key, err := url.PathUnescape(name)
	if err != nil {
		return "", fmt.Errorf("%w: name %q: %w", ErrInvalidKey, name, err)
	}
	canonical, err := EncodeKey(key)
	if err != nil {
		return "", err
	}
	if canonical != name {
		return "", fmt.Errorf("%w: name %q should be %q", ErrInvalidKey, name, canonical)
	}
	return key, nil
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}
