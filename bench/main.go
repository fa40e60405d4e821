// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

// options is what the command line says.
type options struct {
	passes    int
	benchtime string
	httptime  string
	only      string
	quick     bool
	from      string
}

// main measures this library beside others and writes docs/performance.md with its
// pictures. It runs in the directory of its module:
//
//	GOWORK=off go run .                 # stores the passes in results/
//	GOWORK=off go run . -quick          # one short pass, all in a temporary directory
//	GOWORK=off go run . -from results   # the documents anew, from stored passes
func main() {
	var o options
	flag.IntVar(&o.passes, "passes", 5, "how many times all benchmarks run")
	flag.StringVar(&o.benchtime, "benchtime", "30ms", "how long each run takes, as for go test -bench")
	flag.StringVar(&o.httptime, "httptime", "300ms", "the same for servers in a process of their own")
	flag.StringVar(&o.only, "only", "", "run the benchmarks that match this pattern, as go test -bench; the report goes to a temporary directory")
	flag.BoolVar(&o.quick, "quick", false, "one pass of short runs, without the largest cache; the report goes to a temporary directory")
	flag.StringVar(&o.from, "from", "", "run nothing and report the passes stored in this directory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures, unless there is nothing to measure, and writes the report.
func (o options) run(ctx context.Context) error {
	results, docs := "results", "../docs"
	if o.from != "" {
		return writeReport(o.from, docs)
	}
	if o.quick {
		o.passes, o.benchtime, o.httptime = 1, "1ms", "20ms"
	}
	if o.quick || o.only != "" {
		dir, err := os.MkdirTemp("", "bench-report-")
		if err != nil {
			return err
		}
		results, docs = dir, dir
	}
	if err := o.measure(ctx, results); err != nil {
		return err
	}
	return writeReport(results, docs)
}

func writeReport(results, docs string) error {
	passes, err := loadPasses(results)
	if err != nil {
		return err
	}
	r := &report{passes: passes, profiles: profiles(results)}
	if err := r.write(docs); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d of %d targets met; the report is in %s/%s\n", r.Met(), r.Measured(), docs, documentName)
	return nil
}
