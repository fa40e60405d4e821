// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// fullEnv makes the benchmarks include those that take much memory and time.
const fullEnv = "BEARERGUARD_BENCH_FULL"

// measure builds the benchmarks once and runs them in passes, each in a process of its
// own. Stored passes of earlier runs are taken away first: the report never mixes.
func (o options) measure(ctx context.Context, results string) error {
	if o.passes < 1 {
		return errors.New("-passes: at least one is needed")
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	fmt.Fprintln(os.Stderr, "building the benchmarks")
	if _, err := goTool(ctx, "test", "-c", "-o", binary, "."); err != nil {
		return err
	}
	measured, err := o.measured(ctx)
	if err != nil {
		return err
	}
	if err := clearResults(results); err != nil {
		return err
	}
	for n := 1; n <= o.passes; n++ {
		if err := o.onePass(ctx, binary, measured, results, n); err != nil {
			return fmt.Errorf("pass %d: %w", n, err)
		}
	}
	if o.only != "" {
		return nil
	}
	return keepProfiles(ctx, binary, results)
}

func clearResults(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	names, err := passFiles(dir)
	if err != nil {
		return err
	}
	for _, p := range profiled {
		if name := filepath.Join(dir, p.name); fileExists(name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// onePass stores what the benchmarks print below a few lines about where they ran. Of a
// pass that failed, all is stored.
func (o options) onePass(ctx context.Context, binary, measured, results string, n int) error {
	var out bytes.Buffer
	err := o.runPass(ctx, binary, measured, n, &out)
	text := out.String()
	if err == nil {
		var p *pass
		if p, err = parsePass(text); err == nil {
			p.header["runs"] = fmt.Sprint(p.most())
			text = p.text()
		}
	}
	name := filepath.Join(results, fmt.Sprintf("pass-%d.txt", n))
	if werr := os.WriteFile(name, []byte(text), 0o644); werr != nil {
		return errors.Join(err, werr)
	}
	if err != nil {
		return fmt.Errorf("%w; its output is in %s", err, name)
	}
	return nil
}

func (o options) runPass(ctx context.Context, binary, measured string, n int, out io.Writer) error {
	fmt.Fprintf(out, "date: %s\n%s", time.Now().UTC().Format(time.DateOnly), measured)
	show := &progress{to: os.Stderr, pass: n, passes: o.passes, begun: time.Now()}
	processes, err := o.processes(ctx, binary)
	if err != nil {
		return err
	}
	for _, args := range processes {
		cmd := exec.CommandContext(ctx, binary, append(args, "-test.run", "^$", "-test.count", "1", "-test.timeout", "0")...)
		cmd.Env = os.Environ()
		if !o.quick {
			cmd.Env = append(cmd.Env, fullEnv+"=1")
		}
		cmd.Stdout, cmd.Stderr = io.MultiWriter(out, show), os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	show.end()
	return nil
}

// processes are the arguments of the processes of a pass, one for each function, so that
// what one leaves in memory slows no other.
func (o options) processes(ctx context.Context, binary string) (list [][]string, err error) {
	if o.only != "" {
		return [][]string{o.process(o.only)}, nil
	}
	names, err := exec.CommandContext(ctx, binary, "-test.list", "^Benchmark").Output()
	if err != nil {
		return nil, err
	}
	for _, name := range strings.Fields(string(names)) {
		list = append(list, o.process("^"+name+"$"))
	}
	return list, nil
}

// process runs what matches pattern. A server has one core and its clients another, so
// that more cores are of no use there; and its scheduler, that of the system and the
// network need more time to even out.
func (o options) process(pattern string) []string {
	switch pattern {
	case "^BenchmarkHTTP$", "^BenchmarkFlood$":
		return []string{"-test.bench", pattern, "-test.benchtime", o.httptime, "-test.cpu", "1"}
	}
	return []string{"-test.bench", pattern, "-test.benchtime", o.benchtime, "-test.cpu", cores()}
}

// cores are one and two: what scales to two scales further or is limited by memory.
func cores() string {
	if runtime.NumCPU() == 1 {
		return "1"
	}
	return "1,2"
}

// measured are the lines about what runs, and how.
func (o options) measured(ctx context.Context) (string, error) {
	versions, err := measuredVersions(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("go: %s\ncpus: %d\nbenchtime: %s\nhttptime: %s\npasses: %d\ncommit: %s\nversions: %s\n",
		runtime.Version(), runtime.NumCPU(), o.benchtime, o.httptime, o.passes, measuredCommit(ctx), versions), nil
}

// measuredCommit is that of the checkout. Of code that was changed since, it says so; of
// code outside a repository it knows nothing.
func measuredCommit(ctx context.Context) string {
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", ":/*.go", ":/*go.mod").Output()
	if err != nil || len(changed) > 0 {
		return strings.TrimSpace(string(commit)) + ", with changes"
	}
	return strings.TrimSpace(string(commit))
}

// measuredVersions are the modules that go.mod names, without those that they need.
func measuredVersions(ctx context.Context) (string, error) {
	out, err := goTool(ctx, "list", "-m", "-f", "{{if not (or .Main .Indirect .Replace)}}{{.Path}}@{{.Version}}{{end}}", "all")
	return strings.Join(strings.Fields(out), " "), err
}

func goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, &fault)
	}
	return out.String(), nil
}

// progress shows which benchmark a pass has come to.
type progress struct {
	to           io.Writer
	pass, passes int
	begun        time.Time
	line         bytes.Buffer
	last         string
	results      int
}

func (s *progress) Write(p []byte) (int, error) {
	s.line.Write(p)
	for {
		line, rest, whole := bytes.Cut(s.line.Bytes(), []byte("\n"))
		if !whole {
			return len(p), nil
		}
		s.show(string(line))
		s.line = *bytes.NewBuffer(bytes.Clone(rest))
	}
}

func (s *progress) show(line string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(line, "Benchmark"), "/")
	if !strings.HasPrefix(line, "Benchmark") {
		return
	}
	s.results++
	if name != s.last {
		s.last = name
		fmt.Fprintf(s.to, "pass %d of %d: %s (%v)\n", s.pass, s.passes, name, time.Since(s.begun).Round(time.Second))
	}
}

func (s *progress) end() {
	fmt.Fprintf(s.to, "pass %d of %d: %d results in %v\n", s.pass, s.passes, s.results, time.Since(s.begun).Round(time.Second))
}
