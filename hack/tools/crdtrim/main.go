package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	path := flag.String("path", "spec.template", "the field below which descriptions are dropped")
	limit := flag.Int("limit", 200_000, "the most bytes a CRD may have as JSON")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "Usage: crdtrim [flags] CRD.yaml…\n\nDrops the descriptions below one field of CRDs, in place.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, file := range flag.Args() {
		size, err := trimFile(file, strings.Split(*path, "."), *limit)
		if err != nil {
			fmt.Fprintf(os.Stderr, "crdtrim: %s: %v\n", file, err)
			os.Exit(1)
		}
		fmt.Printf("crdtrim: %s: %d bytes as JSON, at most %d\n", file, size, *limit)
	}
}

// trimFile trims the CRD in file in place and returns its size as JSON.
func trimFile(file string, path []string, limit int) (int, error) {
	before, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	after, size, err := trim(before, path)
	if err != nil {
		return 0, err
	}
	if size > limit {
		return 0, fmt.Errorf("has %d bytes as JSON, more than the %d allowed: kubectl apply would soon refuse it; shorten descriptions or "+
			"embed less", size, limit)
	}
	return size, os.WriteFile(file, after, 0o644)
}
