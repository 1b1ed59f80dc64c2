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

// Command cast writes what it reads as a recording of a terminal, in version 2 of asciicast (docs.asciinema.org/manual/asciicast/v2), with the
// time at which each line came. hack/demo/record.sh makes the README's picture with it.
//
//	hack/demo/demo.sh | cast -from 'A store of three' -to 'Go on playing' >demo.cast
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

// recording is what of the input is shown, and how.
type recording struct {
	// from is the first line that is shown, and to the first one after it that is not. Nil shows everything.
	from, to *regexp.Regexp
	// idle is the longest pause between two lines.
	idle time.Duration
	// width and height are those of the terminal, in characters.
	width, height int
}

func main() {
	from := flag.String("from", "", "regular expression of the first line to show")
	to := flag.String("to", "", "regular expression of the first line not to show any more")
	r := recording{}
	flag.DurationVar(&r.idle, "idle", 1500*time.Millisecond, "longest pause between two lines")
	flag.IntVar(&r.width, "width", 110, "columns of the terminal")
	flag.IntVar(&r.height, "height", 36, "lines of the terminal")
	flag.Parse()
	var err error
	if r.from, err = expression(*from); err == nil {
		r.to, err = expression(*to)
	}
	if err == nil {
		err = r.write(os.Stdout, os.Stdin, time.Now)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cast:", err)
		os.Exit(1)
	}
}

func expression(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	return regexp.Compile(text)
}

// write copies the input to the end, so that its writer isn't stopped half-way, and writes the part that is shown.
func (r *recording) write(output io.Writer, input io.Reader, now func() time.Time) error {
	encoder := json.NewEncoder(output)
	if err := encoder.Encode(map[string]int{"version": 2, "width": r.width, "height": r.height}); err != nil {
		return err
	}
	var at time.Duration
	var last time.Time
	shown, over := r.from == nil, false
	for lines := bufio.NewScanner(input); ; {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return err
			}
			break
		}
		came := now()
		shown = shown || r.from.Match(lines.Bytes())
		over = over || shown && r.to != nil && r.to.Match(lines.Bytes())
		if !shown || over {
			continue
		}
		if !last.IsZero() {
			at += min(came.Sub(last), r.idle)
		}
		last = came
		if err := encoder.Encode([]any{at.Seconds(), "o", lines.Text() + "\r\n"}); err != nil {
			return err
		}
	}
	if last.IsZero() {
		return fmt.Errorf("no line fits %s", r.from)
	}
	return nil
}
