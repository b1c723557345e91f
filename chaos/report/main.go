// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Report writes the page that shows what stored chaos runs have come to.
//
//	go run ./chaos/report                              from the root: writes docs/reliability.md
//	go run ./chaos/report -results DIR -page FILE      from other results, to another file; - is standard output
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/quorate/quorate/chaos/results"
)

func main() {
	if err := report(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func report(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("report", flag.ExitOnError)
	from := flags.String("results", "chaos/testdata/results", "folder of the stored results")
	to := flags.String("page", "docs/reliability.md", "file to write, or - for standard output")
	_ = flags.Parse(args)
	if flags.NArg() > 0 {
		return fmt.Errorf("argument %q: there are only flags, see -h", flags.Arg(0))
	}
	all, err := results.Load(*from)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := results.Page(&page, all); err != nil {
		return err
	}
	if *to == "-" {
		_, err = stdout.Write(page.Bytes())
		return err
	}
	return os.WriteFile(*to, page.Bytes(), 0o644)
}
