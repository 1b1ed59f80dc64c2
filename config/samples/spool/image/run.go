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
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/cli"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
)

const (
	// lastWords is how much of a program's output becomes the termination message, whole lines of it. There is room for how it ended.
	lastWords = 700
	// grace is the time that a program has to end after a signal.
	grace = 5 * time.Second
)

// program is a command that ends soon after its context does.
func program(ctx context.Context, args []string, out io.Writer) *exec.Cmd {
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = grace
	command.Stdout, command.Stderr = out, out
	return command
}

// runOnce runs a program that is not made for drains as one: its log is kept in a file as well, for a sidecar to ship, its last lines are left as
// the termination message, and it has not succeeded if it was told to end, whatever its exit code.
func runOnce(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	path := flags.String("log", "", "file that the output is added to")
	message := flags.String("termination-log", drains.MessageFile, "file for the last lines, written if it is there")
	receipt := flags.String("receipt", os.Getenv(drains.ReceiptVariable), "proof of this attempt, written as the last act if the program has succeeded (default $DRAIN_RECEIPT)")
	limit := flags.Duration("timeout", 0, "how long the program may run; without a limit when 0")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("%w: run takes a program", cli.ErrUsage)
	}
	if *limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, *limit, fmt.Errorf("not done within %s", *limit))
		defer cancel()
	}
	var said tail
	writers := []io.Writer{&reporter{out: out}, &said}
	if *path != "" {
		file, err := os.OpenFile(*path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		writers = append(writers, file)
	}
	// Run fails with the context's error if the program takes SIGTERM for a good end.
	err = program(ctx, flags.Args(), io.MultiWriter(writers...)).Run()
	// A machine that shuts down tells both, and the program may have ended before Run looked.
	if cause := context.Cause(ctx); cause != nil {
		err = errors.Join(err, cause)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", flags.Arg(0), err)
		return errors.Join(err, drains.LeaveWords(*message, strings.TrimPrefix(said.lines()+"\n"+err.Error(), "\n"), ""))
	}
	return drains.LeaveWords(*message, said.lines(), *receipt)
}

// runShip runs a program until it gets a signal, and then once more: what came last is shipped, too.
func runShip(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("ship", flag.ContinueOnError)
	every := flags.Duration("every", 2*time.Second, "time between two runs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("%w: ship takes a program", cli.ErrUsage)
	}
	ticker := time.NewTicker(*every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		// What fails now is tried again, so it is no reason to end.
		if err := program(ctx, flags.Args(), out).Run(); err != nil && ctx.Err() == nil {
			fmt.Fprintf(out, "spool: %s: %v; trying again in %s\n", flags.Arg(0), err, *every)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return program(bounded, flags.Args(), out).Run()
}

// stats is what rclone says of a transfer with --stats-one-line: what is done, what there is, the percentage, the speed and the time left.
var stats = regexp.MustCompile(`(\S+ \S+) / (\S+ \S+), (\d{1,3})%, (.+)$`)

// idle is the same before there is anything to transfer.
var idle = regexp.MustCompile(`\S+ \S+ / \S+ \S+, -, .+$`)

// reporter passes on what is written to it, and adds a line for the operator when the program has said how far it is.
type reporter struct {
	out  io.Writer
	line []byte
}

func (r *reporter) Write(p []byte) (int, error) {
	n, err := r.out.Write(p)
	if err != nil {
		return n, err
	}
	r.line = append(r.line, p...)
	report := ""
	for {
		line, rest, whole := bytes.Cut(r.line, []byte("\n"))
		if !whole {
			break
		}
		r.line = rest
		if found := stats.FindSubmatch(line); found != nil {
			percent, _ := strconv.ParseInt(string(found[3]), 10, 64) // Digits, by the expression.
			report = drains.Progress(percent, 100, fmt.Sprintf("%s of %s, %s", found[1], found[2], found[4]))
		}
	}
	if over := len(r.line) - lastWords; over > 0 {
		r.line = r.line[over:]
	}
	if report != "" && len(r.line) == 0 {
		_, err = fmt.Fprintln(r.out, report)
	}
	return n, err
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - lastWords; over > 0 {
		t.kept = t.kept[over:]
		// The line that was cut is worth nothing.
		if i := bytes.IndexByte(t.kept, '\n'); i >= 0 {
			t.kept = t.kept[i+1:]
		}
	}
	return len(p), nil
}

// lines returns what was kept, without what was said of progress: it is over.
func (t *tail) lines() string {
	var kept []byte
	for line := range bytes.Lines(t.kept) {
		if line := bytes.TrimSpace(line); !stats.Match(line) && !idle.Match(line) {
			kept = append(append(kept, line...), '\n')
		}
	}
	return string(bytes.TrimSpace(kept))
}
