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
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/client"
	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/store"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/cli"
)

const defaultURL = "http://localhost:8080"

// connect parses a client command's flags and gives its client and operands.
func connect(name string, args []string) (*client.Client, []string, error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	url := flags.String("url", urlFromEnv(), "the replica's address (default $DATASTORE_URL, else "+defaultURL+")")
	operands, err := parse(flags, args)
	if err != nil {
		return nil, nil, err
	}
	return client.New(*url), operands, nil
}

func urlFromEnv() string {
	if url := os.Getenv("DATASTORE_URL"); url != "" {
		return url
	}
	return defaultURL
}

func put(ctx context.Context, args []string, in io.Reader, _ io.Writer) error {
	c, operands, err := connect("put", args)
	if err != nil {
		return err
	}
	if len(operands) == 0 || len(operands)%2 != 0 {
		return fmt.Errorf("%w: put takes pairs of KEY and VALUE", cli.ErrUsage)
	}
	for i := 0; i < len(operands); i += 2 {
		body := []byte(operands[i+1])
		if operands[i+1] == "-" {
			if body, err = io.ReadAll(io.LimitReader(in, store.MaxBodyBytes+1)); err != nil {
				return err
			}
		}
		if err := c.Put(ctx, operands[i], body); err != nil {
			return err
		}
	}
	return nil
}

func get(ctx context.Context, args []string, _ io.Reader, out io.Writer) error {
	c, operands, err := connect("get", args)
	if err != nil {
		return err
	}
	if len(operands) != 1 {
		return fmt.Errorf("%w: get takes one KEY", cli.ErrUsage)
	}
	body, err := c.Get(ctx, operands[0])
	if err != nil {
		return err
	}
	_, err = out.Write(body)
	return err
}

func remove(ctx context.Context, args []string, _ io.Reader, _ io.Writer) error {
	c, operands, err := connect("delete", args)
	if err != nil {
		return err
	}
	if len(operands) == 0 {
		return fmt.Errorf("%w: delete takes KEYs", cli.ErrUsage)
	}
	for _, key := range operands {
		if err := c.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func list(ctx context.Context, args []string, _ io.Reader, out io.Writer) error {
	c, operands, err := connect("list", args)
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		return fmt.Errorf("%w: list takes no operands", cli.ErrUsage)
	}
	records, err := c.List(ctx)
	if err != nil {
		return err
	}
	return printRecords(out, records)
}

func stats(ctx context.Context, args []string, _ io.Reader, out io.Writer) error {
	c, operands, err := connect("stats", args)
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		return fmt.Errorf("%w: stats takes no operands", cli.ErrUsage)
	}
	answer, err := c.Stats(ctx)
	if err != nil {
		return err
	}
	return printJSON(out, answer)
}

func inspect(_ context.Context, args []string, _ io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("inspect", flag.ContinueOnError)
	var dirs listFlag
	flags.Var(&dirs, "data", "folder of a volume; repeat it for several volumes (default "+defaultData+")")
	if err := parseOnly(flags, args); err != nil {
		return err
	}
	if len(dirs) == 0 {
		dirs = listFlag{defaultData}
	}
	all := make([]store.Inspection, 0, len(dirs))
	for _, dir := range dirs {
		seen, err := store.Inspect(dir)
		if err != nil {
			return err
		}
		all = append(all, seen)
	}
	return printJSON(out, all)
}

// printRecords prints keys as they are written in URLs, which is as they are for most.
func printRecords(out io.Writer, records []store.Record) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, r := range records {
		if _, err := fmt.Fprintf(table, "%s\t%d\t%s\n", r.Name, r.Bytes, r.SHA256); err != nil {
			return err
		}
	}
	return table.Flush()
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
