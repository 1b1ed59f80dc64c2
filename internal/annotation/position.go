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

package annotation

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// position returns where an offset is in a text, for people.
func position(text string, offset int) string {
	before := text[:offset]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return fmt.Sprintf("line %d, column %d", line, column)
}

// place is a value in a JSON text: an object, an array or less.
type place struct {
	// path as Kubernetes writes it: spec.containers[0].image.
	path string
	// start of the value, and field of the key that it has in an object.
	start, field int
	// prefix is the text up to here, with what is open closed: the document that has this
	// value and those before it.
	prefix string
}

// frame is an object or an array that is open.
type frame struct {
	object, wantKey bool
	key             string
	keyStart, index int
}

// walk goes through the values of a JSON text, which must be valid, in their order, until one is
// wanted. Wanted is given the number of the value and how deep it is nested.
func walk(text string, wanted func(number, depth int, path func() string) bool) (found place, ok bool) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var open []frame
	for number := 0; ; {
		start := int(decoder.InputOffset())
		start += len(text[start:]) - len(strings.TrimLeft(text[start:], " \t\r\n,:"))
		token, err := decoder.Token()
		if err != nil {
			return place{}, false
		}
		delim, _ := token.(json.Delim)
		if delim == '}' || delim == ']' {
			open = open[:len(open)-1]
			continue
		}
		field := start
		if len(open) > 0 {
			switch innermost := &open[len(open)-1]; {
			case !innermost.object:
				innermost.index++
			case innermost.wantKey:
				innermost.key, _ = token.(string)
				innermost.keyStart, innermost.wantKey = start, false
				continue
			default:
				innermost.wantKey, field = true, innermost.keyStart
			}
		}
		path := func() string { return pathOf(open) }
		if wanted(number, len(open), path) {
			found = place{path: path(), start: start, field: field, prefix: text[:decoder.InputOffset()]}
			if delim != 0 {
				open = append(open, frame{object: delim == '{'})
			}
			for _, f := range slices.Backward(open) {
				found.prefix += map[bool]string{true: "}", false: "]"}[f.object]
			}
			return found, true
		}
		number++
		if delim != 0 {
			open = append(open, frame{object: delim == '{', wantKey: true, index: -1})
		}
	}
}

func pathOf(open []frame) string {
	var path strings.Builder
	for _, f := range open {
		switch {
		case !f.object:
			path.WriteString("[" + strconv.Itoa(f.index) + "]")
		case path.Len() > 0:
			path.WriteString("." + f.key)
		default:
			path.WriteString(f.key)
		}
	}
	return path.String()
}

// find returns where the value with a path begins, or the nearest one that it would be in.
func find(text, path string) int {
	for path != "" {
		depth := strings.Count(path, ".") + 1
		if found, ok := walk(text, func(_, d int, p func() string) bool { return d == depth && p() == path }); ok {
			return found.start
		}
		path = path[:max(0, strings.LastIndexByte(path, '.'))]
	}
	return 0
}

// locate returns the first error in a JSON text that isn't a Pod, and where it is. The decoder says
// where for some errors only: a quantity that is none, for example, comes without. But the first value
// with which the document can't be decoded any more is the one that is wrong.
func locate(text string) error {
	count := 0
	walk(text, func(int, int, func() string) bool { count++; return false })
	upTo := func(n int) place {
		found, _ := walk(text, func(number, _ int, _ func() string) bool { return number == n })
		return found
	}
	at := upTo(sort.Search(count-1, func(n int) bool {
		_, err := decode(upTo(n).prefix)
		return err != nil
	}))
	_, err := decode(at.prefix)
	var mismatch *json.UnmarshalTypeError
	var field interface{ FieldPath() string }
	switch {
	case errors.As(err, &field):
		return fmt.Errorf("%s: %w", position(text, at.field), err)
	case errors.As(err, &mismatch):
		err = fmt.Errorf("got %s, want %s", jsonType(mismatch.Value), goType(mismatch.Type))
	}
	if at.path == "" {
		return fmt.Errorf("%s: %w", position(text, at.start), err)
	}
	return fmt.Errorf("%s: %s: %w", position(text, at.start), at.path, err)
}

// jsonType returns what the decoder found, in words: "string", or "number 1.5".
func jsonType(found string) string {
	switch found {
	case "array", "object":
		return "an " + found
	case "bool":
		return "a boolean"
	case "string", "number":
		return "a " + found
	}
	return found
}

// goType returns what the decoder wanted, as JSON has it.
func goType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice:
		return "an array"
	case reflect.Int32, reflect.Int64:
		return "a whole number"
	}
	return "an object"
}
