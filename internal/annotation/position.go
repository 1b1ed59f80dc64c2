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

// child is a value in an object or array of a JSON text.
type child struct {
	// field is where its key begins, in an object; else where it begins itself.
	field int
	// start and end of the value.
	start, end int
}

// skipSpace returns where the next character is that isn't white space.
func skipSpace(text string, at int) int {
	for at < len(text) && strings.IndexByte(" \t\r\n", text[at]) >= 0 {
		at++
	}
	return at
}

// skipString returns the end of the string that begins at an offset.
func skipString(text string, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// skipValue returns the end of the value that begins at an offset.
func skipValue(text string, at int) int {
	depth := 0
	for at < len(text) {
		switch text[at] {
		case '"':
			at = skipString(text, at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		case ',', ':', ' ', '\t', '\r', '\n':
			at++
			continue
		default: // A number, true, false or null.
			for at < len(text) && strings.IndexByte(",:]} \t\r\n", text[at]) < 0 {
				at++
			}
		}
		if depth == 0 {
			return at
		}
	}
	return at
}

// shallow returns a value without what is in it.
func shallow(text string, c child) string {
	switch text[c.start] {
	case '{':
		return "{}"
	case '[':
		return "[]"
	}
	return text[c.start:c.end]
}

// childrenOf returns what is in the object or array that begins at an offset of a valid JSON text.
func childrenOf(text string, at int) []child {
	object := text[at] == '{'
	var children []child
	for at = skipSpace(text, at+1); text[at] != '}' && text[at] != ']'; at = skipSpace(text, at) {
		if text[at] == ',' {
			at++
			continue
		}
		c := child{field: at}
		if object {
			at = skipSpace(text, skipString(text, at)) + 1 // The colon.
			at = skipSpace(text, at)
		}
		c.start = at
		at = skipValue(text, at)
		c.end = at
		children = append(children, c)
	}
	return children
}

// keyOf returns the key of a child of an object.
func keyOf(text string, c child) string {
	raw := text[c.field:skipString(text, c.field)]
	if plain := raw[1 : len(raw)-1]; strings.IndexByte(plain, '\\') < 0 && utf8.ValidString(plain) {
		return plain
	}
	var key string
	if err := json.Unmarshal([]byte(raw), &key); err != nil {
		return raw
	}
	return key
}

// find returns where the value with a path begins, or the nearest one that it would be in.
func find(text, path string) int {
	at, found := skipSpace(text, 0), 0
	for key := range strings.SplitSeq(path, ".") {
		if text[at] != '{' {
			break
		}
		children := childrenOf(text, at)
		i := slices.IndexFunc(children, func(c child) bool { return keyOf(text, c) == key })
		if i < 0 {
			break
		}
		at, found = children[i].start, children[i].start
	}
	return found
}

// spot is a value in a JSON text, and the document that holds this value only.
type spot struct {
	child
	// path as Kubernetes writes it: spec.containers[0].image.
	path string
	// head and tail are what the document has before and after the value.
	head, tail string
}

// inside returns a child of an object or array, which has a number in it.
func (s spot) inside(text string, c child, number int) spot {
	if text[s.start] == '[' {
		return spot{child: c, path: fmt.Sprintf("%s[%d]", s.path, number), head: s.head + "[", tail: "]" + s.tail}
	}
	path := keyOf(text, c)
	if s.path != "" {
		path = s.path + "." + path
	}
	return spot{child: c, path: path, head: s.head + "{" + text[c.field:c.start], tail: "}" + s.tail}
}

// holding returns the document in which an object or array has these children only.
func (s spot) holding(text string, children ...string) string {
	closing := map[byte]string{'{': "}", '[': "]"}[text[s.start]]
	return s.head + text[s.start:s.start+1] + strings.Join(children, ",") + closing + s.tail
}

// locate returns the first error in a JSON text that isn't a Pod, and where it is. The decoder says
// where for some errors only: a quantity that is none, for example, comes without. So it looks for the
// first value that can't be decoded, with nothing around it but what it is in. What it decodes
// is halved each time, so all of it together costs about as much as decoding the text again for each level.
func locate(text string) error {
	start := skipSpace(text, 0)
	at := spot{child: child{field: start, start: start, end: len(text)}}
	for {
		if _, err := decode(at.head + shallow(text, at.child) + at.tail); err != nil {
			return describe(text, at, err)
		}
		var children []child
		if text[at.start] == '{' || text[at.start] == '[' {
			children = childrenOf(text, at.start)
		}
		if len(children) == 0 {
			// Never: something in it can't be decoded.
			_, err := decode(text)
			return describe(text, at, err)
		}
		fails := func(from, to int) bool {
			_, err := decode(at.holding(text, text[children[from].field:children[to-1].end]))
			return err != nil
		}
		first, again := duplicate(text, at, children)
		if again > 0 {
			one, other := children[first], children[again]
			if _, err := decode(at.holding(text, text[one.field:one.end], text[other.field:other.start]+shallow(text, other))); err != nil && !fails(0, again) {
				return describe(text, at.inside(text, other, again), err)
			} else if err != nil {
				children = children[:again]
			}
		}
		from, to := 0, len(children)
		for to-from > 1 {
			if middle := from + (to-from)/2; fails(from, middle) {
				to = middle
			} else {
				from = middle
			}
		}
		at = at.inside(text, children[from], from)
	}
}

// duplicate returns the first child of an object whose key an earlier one has, and that one; or twice 0.
func duplicate(text string, at spot, children []child) (first, again int) {
	if text[at.start] != '{' {
		return 0, 0
	}
	seen := make(map[string]int, len(children))
	for i, c := range children {
		key := keyOf(text, c)
		if j, has := seen[key]; has {
			return j, i
		}
		seen[key] = i
	}
	return 0, 0
}

// describe says what is wrong with a value, and where.
func describe(text string, at spot, err error) error {
	var mismatch *json.UnmarshalTypeError
	var field interface {
		error
		FieldPath() string
	}
	switch {
	case errors.As(err, &field):
		// The indexes in its path are those of a document with less in it.
		return fmt.Errorf("%s: %s", position(text, at.field), strings.Replace(field.Error(), strconv.Quote(field.FieldPath()), strconv.Quote(at.path), 1))
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
