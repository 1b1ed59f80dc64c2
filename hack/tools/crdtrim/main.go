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
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	path := flag.String("path", "spec.template", "the field below which descriptions are dropped")
	levels := flag.Int("levels", 2, "how many levels of fields below it keep theirs")
	limit := flag.Int("limit", 200_000, "the most bytes a CRD may have as JSON")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "Usage: crdtrim [flags] CRD.yaml…\n\nDrops the descriptions far below one field of CRDs and makes paragraphs of the others, in place.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, file := range flag.Args() {
		size, err := trimFile(file, strings.Split(*path, "."), *levels, *limit)
		if err != nil {
			fmt.Fprintf(os.Stderr, "crdtrim: %s: %v\n", file, err)
			os.Exit(1)
		}
		fmt.Printf("crdtrim: %s: %d bytes as JSON, at most %d\n", file, size, *limit)
	}
}

// trimFile trims the CRD in file in place and returns its size as JSON.
func trimFile(file string, path []string, levels, limit int) (int, error) {
	before, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	after, size, err := trim(before, path, levels)
	if err != nil {
		return 0, err
	}
	if size > limit {
		return 0, fmt.Errorf("has %d bytes as JSON, more than the %d allowed: kubectl apply would soon refuse it; shorten descriptions or "+
			"embed less", size, limit)
	}
	return size, os.WriteFile(file, after, 0o644)
}
