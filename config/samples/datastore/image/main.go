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

// Datastore is a small real store for the samples and the end-to-end tests of drain-operator: a server that keeps records as files on its
// volumes, a drain that moves the records of orphaned volumes to the replicas that remain, and a client.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/cli"
)

// version is set when the image is built.
var version = "dev"

const usage = `datastore keeps records as files on its volumes.

  datastore serve     answer over HTTP for the records under --data
  datastore drain     move the records under --data to the replicas in DRAIN_PEERS
  datastore receipt   write DRAIN_RECEIPT, in a container that follows a drain without receipts
  datastore inspect   show what is under --data, also beside a server or a drain

  datastore put KEY VALUE [KEY VALUE]...    store records; the value - is read from standard input
  datastore get KEY                         print a record
  datastore delete KEY...                   delete records
  datastore list                            key, size and checksum of every record
  datastore stats                           counts, volumes, violations

"datastore COMMAND --help" shows a command's flags.
`

type command func(ctx context.Context, args []string, in io.Reader, out io.Writer) error

func commands() map[string]command {
	return map[string]command{
		"serve": serve, "drain": drainVolumes, "receipt": writeReceipt, "inspect": inspect,
		"put": put, "get": get, "delete": remove, "list": list, "stats": stats,
		"version": func(_ context.Context, _ []string, _ io.Reader, out io.Writer) error {
			_, err := fmt.Fprintln(out, version)
			return err
		},
		"help": func(_ context.Context, _ []string, _ io.Reader, out io.Writer) error {
			_, err := io.WriteString(out, usage)
			return err
		},
	}
}

func main() {
	os.Exit(cli.Run("datastore", usage, func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdin, os.Stdout) }))
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no command", cli.ErrUsage)
	}
	c, ok := commands()[strings.TrimLeft(args[0], "-")]
	if !ok {
		return fmt.Errorf("%w: there is no command %q", cli.ErrUsage, args[0])
	}
	return c(ctx, args[1:], in, out)
}

// listFlag is a flag that may be given several times.
type listFlag []string

func (l *listFlag) String() string { return strings.Join(*l, ",") }

func (l *listFlag) Set(value string) error {
	if value == "" {
		return errors.New("it is empty")
	}
	*l = append(*l, value)
	return nil
}

// parse lets flags stand behind the operands too: "put KEY VALUE --url URL". What follows "--" is never a flag.
func parse(flags *flag.FlagSet, args []string) ([]string, error) {
	var operands []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if len(rest) == 0 {
			return operands, nil
		}
		if at := len(args) - len(rest); at > 0 && args[at-1] == "--" {
			return append(operands, rest...), nil
		}
		operands = append(operands, rest[0])
		args = rest[1:]
	}
}

// parseOnly is for commands without operands.
func parseOnly(flags *flag.FlagSet, args []string) error {
	operands, err := parse(flags, args)
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		return fmt.Errorf("%w: %s takes no operands, but got %q", cli.ErrUsage, flags.Name(), operands)
	}
	return nil
}

// holder is how this process is named in the locks it holds.
func holder(role string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s %s (pid %d)", role, host, os.Getpid())
}
