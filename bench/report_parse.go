// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// point is one benchmark on so many cores: "Seen/alg=RS256/impl=stdlib", 2.
type point struct {
	name  string
	procs int
}

// pass is the output of one run of all benchmarks.
type pass struct {
	header map[string]string // goos, cpu, date and so on
	order  []point           // as they ran
	values map[point]map[string]float64
	lines  map[point]string // what values were read from
	runs   map[point]int
}

// sameHeader are the lines that have to agree: what ran elsewhere, or with other
// versions, is another measurement.
var sameHeader = []string{"goos", "goarch", "cpu", "cpus", "go", "benchtime", "httptime", "runs", "versions"}

// loadPasses reads every pass-N.txt of a directory. They must hold the same
// benchmarks, run on the same machine.
func loadPasses(dir string) ([]*pass, error) {
	names, err := passFiles(dir)
	if err != nil {
		return nil, err
	}
	var list []*pass
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		p, err := parsePass(string(text))
		if err == nil && len(list) > 0 {
			err = comparable(list[0], p)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there is no pass-N.txt", dir)
	}
	return list, nil
}

// passFiles are the stored passes in the order of their numbers.
func passFiles(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "pass-*.txt"))
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return names, err
}

// comparable tells why two passes must not be reported together.
func comparable(first, p *pass) error {
	for _, key := range sameHeader {
		if first.header[key] != p.header[key] {
			return fmt.Errorf("%s is %q, but %q in the first pass: measure all passes anew", key, p.header[key], first.header[key])
		}
	}
	for _, at := range first.order {
		if p.values[at] == nil {
			return fmt.Errorf("lacks %s on %d core(s), which the first pass has", at.name, at.procs)
		}
	}
	for _, at := range p.order {
		if first.values[at] == nil {
			return fmt.Errorf("has %s on %d core(s), which the first pass lacks", at.name, at.procs)
		}
	}
	return nil
}

// parsePass reads the output of a test binary. A failure in it spoils the whole pass:
// what else it says may have been measured beside a fault.
func parsePass(text string) (*pass, error) {
	p := &pass{header: map[string]string{}, values: map[point]map[string]float64{}, lines: map[point]string{}, runs: map[point]int{}}
	passed := false
	for i, line := range strings.Split(text, "\n") {
		var err error
		switch word, rest, _ := strings.Cut(line, ":"); {
		case failed(line):
			err = fmt.Errorf("the pass failed: %s", line)
		case line == "PASS":
			passed = true
		case strings.HasPrefix(line, "Benchmark"):
			err = p.add(strings.Fields(line))
		case headerKey(word) && strings.HasPrefix(rest, " "):
			p.header[word] = strings.TrimSpace(rest)
			passed = passed && word != "goos" // with which another process begins
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if !passed {
		return nil, errors.New("the pass did not end: there is no line PASS")
	}
	if len(p.order) == 0 {
		return nil, errors.New("the pass has no benchmark")
	}
	return p, nil
}

func failed(line string) bool {
	for _, prefix := range []string{"--- FAIL", "FAIL", "panic:", "fatal error:", "WARNING: DATA RACE"} {
		if strings.HasPrefix(strings.TrimLeft(line, " "), prefix) {
			return true
		}
	}
	return false
}

func headerKey(word string) bool {
	return word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == ""
}

// add reads the fields of one result: name, iterations, then values and their units. Of
// several runs, the fastest stands for all: what else a machine does only slows them down.
func (p *pass) add(fields []string) error {
	if len(fields) < 4 || len(fields)%2 != 0 {
		return fmt.Errorf("%s has no result: something else was printed into its line", fields[0])
	}
	if n, err := strconv.Atoi(fields[1]); err != nil || n < 1 {
		return fmt.Errorf("%s: %q is no number of iterations", fields[0], fields[1])
	}
	at, again := pointOf(fields[0])
	found := map[string]float64{}
	for i := 2; i < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return fmt.Errorf("%s: %q is no number", fields[0], fields[i])
		}
		found[fields[i+1]] = value
	}
	p.runs[at]++
	switch kept := p.values[at]; {
	case kept == nil:
		p.order = append(p.order, at)
	case !again:
		return fmt.Errorf("%s is there twice", fields[0])
	case kept["ns/op"] <= found["ns/op"]:
		return nil
	}
	p.values[at], p.lines[at] = found, strings.Join(fields[1:], " ")
	return nil
}

// most is how often the benchmark ran that ran most often.
func (p *pass) most() (n int) {
	for _, runs := range p.runs {
		n = max(n, runs)
	}
	return n
}

// text is p without the runs that do not count. Reading it makes the same pass.
func (p *pass) text() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p.header)) {
		fmt.Fprintf(&b, "%s: %s\n", key, p.header[key])
	}
	for _, at := range p.order {
		fmt.Fprintf(&b, "Benchmark%s %s\n", at, p.lines[at])
	}
	return b.String() + "PASS\n"
}

// String is the name as the testing package prints it.
func (at point) String() string {
	if at.procs == 1 {
		return at.name
	}
	return fmt.Sprintf("%s-%d", at.name, at.procs)
}

// pointOf takes the number of cores off a name; without one it is 1. again tells whether
// the name says that it is not that of the first run.
func pointOf(name string) (at point, again bool) {
	at = point{strings.TrimPrefix(name, "Benchmark"), 1}
	if rest, procs, found := cutNumber(at.name, '-'); found {
		at = point{rest, procs}
	}
	rest, _, again := cutNumber(at.name, '#')
	at.name = rest
	return at, again
}

// cutNumber takes a positive number and the sign before it off the end of name.
func cutNumber(name string, sign byte) (rest string, n int, found bool) {
	i := strings.LastIndexByte(name, sign)
	if i < 1 {
		return name, 0, false
	}
	n, err := strconv.Atoi(name[i+1:])
	if err != nil || n < 1 {
		return name, 0, false
	}
	return name[:i], n, true
}
