// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
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

// pass is the output of all benchmarks, each of which ran once or several times.
type pass struct {
	header map[string]string // goos, cpu, date and so on
	order  []point           // as they ran first
	runs   map[point][]values
}

// values are those of one run, by unit.
type values map[string]float64

// sameHeader are the lines that have to be there and to agree: what ran elsewhere, or with
// other versions, is another measurement.
var sameHeader = []string{"goos", "goarch", "cpu", "cpus", "go", "benchtime", "httptime", "runs", "passes", "commit", "versions"}

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
		if err == nil {
			err = p.complete()
		}
		for i := 0; err == nil && i < len(list); i++ {
			err = comparable(list[i], p)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there is no pass-N.txt", dir)
	}
	if n := list[0].header["passes"]; n != fmt.Sprint(len(list)) {
		return nil, fmt.Errorf("%s: %d passes of %s are there: measure all of them anew", dir, len(list), n)
	}
	return list, nil
}

// complete tells what p does not say of how it was measured.
func (p *pass) complete() error {
	for _, key := range append([]string{"date"}, sameHeader...) {
		if p.header[key] == "" {
			return fmt.Errorf("there is no line that begins with %q: measure all passes anew", key+": ")
		}
	}
	return nil
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
		if p.runs[at] == nil {
			return fmt.Errorf("lacks %s on %d core(s), which another pass has", at.name, at.procs)
		}
		if !slices.EqualFunc(p.runs[at], first.runs[at], sameUnits) {
			return fmt.Errorf("%s on %d core(s) has other units, or another number of runs, than in another pass", at.name, at.procs)
		}
	}
	for _, at := range p.order {
		if first.runs[at] == nil {
			return fmt.Errorf("has %s on %d core(s), which another pass lacks", at.name, at.procs)
		}
	}
	if first.text() == p.text() {
		return errors.New("is a copy of another pass")
	}
	return nil
}

func sameUnits(a, b values) bool {
	return slices.Equal(slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
}

// parsePass reads the output of a test binary. A failure in it spoils the whole pass:
// what else it says may have been measured beside a fault.
func parsePass(text string) (*pass, error) {
	p := &pass{header: map[string]string{}, runs: map[point][]values{}}
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

// add reads the fields of one line: name, iterations, then values and their units. Where
// [pass.text] wrote the line, it has several runs, and each value is a list of as many.
func (p *pass) add(fields []string) error {
	if len(fields) < 4 || len(fields)%2 != 0 {
		return fmt.Errorf("%s has no result: something else was printed into its line", fields[0])
	}
	if n, err := strconv.Atoi(fields[1]); err != nil || n < 1 {
		return fmt.Errorf("%s: %q is no number of iterations", fields[0], fields[1])
	}
	runs := make([]values, strings.Count(fields[2], ",")+1)
	for i := range runs {
		runs[i] = values{}
	}
	for i := 2; i < len(fields); i += 2 {
		list := strings.Split(fields[i], ",")
		if len(list) != len(runs) {
			return fmt.Errorf("%s has %d values in %s of %d runs", fields[0], len(list), fields[i+1], len(runs))
		}
		for n, text := range list {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
				return fmt.Errorf("%s: %q is no number", fields[0], text)
			}
			runs[n][fields[i+1]] = value
		}
	}
	at, again := pointOf(fields[0])
	if p.runs[at] != nil && !again {
		return fmt.Errorf("%s is there twice", fields[0])
	}
	if p.runs[at] == nil {
		p.order = append(p.order, at)
	}
	for _, run := range runs {
		if !(run["ns/op"] > 0) {
			return fmt.Errorf("%s took no time", fields[0])
		}
		if len(p.runs[at]) > 0 && !sameUnits(run, p.runs[at][0]) {
			return fmt.Errorf("%s has other units than its first run", fields[0])
		}
		p.runs[at] = append(p.runs[at], run)
	}
	return nil
}

// most is how often the benchmark ran that ran most often.
func (p *pass) most() (n int) {
	for _, runs := range p.runs {
		n = max(n, len(runs))
	}
	return n
}

// text is p with one line for all runs of a benchmark. Reading it makes the same pass.
func (p *pass) text() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p.header)) {
		fmt.Fprintf(&b, "%s: %s\n", key, p.header[key])
	}
	for _, at := range p.order {
		fmt.Fprintf(&b, "Benchmark%s %d", at, len(p.runs[at]))
		for _, unit := range slices.Sorted(maps.Keys(p.runs[at][0])) {
			var list []string
			for _, run := range p.runs[at] {
				list = append(list, strconv.FormatFloat(run[unit], 'f', -1, 64))
			}
			fmt.Fprintf(&b, " %s %s", strings.Join(list, ","), unit)
		}
		b.WriteString("\n")
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
