// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary a server where httpServerEnv asks for one.
func TestMain(m *testing.M) {
	setup := os.Getenv(httpServerEnv)
	if setup == "" {
		os.Exit(m.Run())
	}
	if err := httpServe(setup); err != nil {
		fmt.Fprintln(os.Stderr, "server process:", err)
		os.Exit(1)
	}
}

// httpProcess is a server in a process of its own that uses one core.
type httpProcess struct {
	addr    string
	cmd     *exec.Cmd
	asks    io.Writer
	replies *bufio.Reader
	end     context.CancelFunc
}

// httpStart starts a server. Call stop when done.
func httpStart(setup httpSetup) (*httpProcess, error) {
	text, err := json.Marshal(setup)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	p := &httpProcess{cmd: exec.CommandContext(ctx, self), end: end}
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1", httpServerEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if err := p.launch(); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s with %s: %w", setup.Framework, setup.Impl, err)
	}
	return p, nil
}

func (p *httpProcess) launch() error {
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	// The end of its input ends the server; if it does not, it is killed.
	p.cmd.Cancel = in.Close
	p.cmd.WaitDelay = 5 * time.Second
	p.asks, p.replies = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	line, err := p.replies.ReadString('\n')
	if err != nil {
		return fmt.Errorf("no address: %w", err)
	}
	p.addr = strings.TrimSpace(line)
	return nil
}

// stop ends the server and waits for that.
func (p *httpProcess) stop() {
	p.end()
	p.cmd.Wait() // its error says no more than that it was asked to end
}

// usage asks the server what it has used: of "cpu" or of "memory".
func (p *httpProcess) usage(tb testing.TB, of string) httpUsage {
	tb.Helper()
	if _, err := io.WriteString(p.asks, of+"\n"); err != nil {
		tb.Fatal(err)
	}
	line, err := p.replies.ReadBytes('\n')
	if err != nil {
		tb.Fatal(err)
	}
	var u httpUsage
	if err := json.Unmarshal(line, &u); err != nil {
		tb.Fatal(err)
	}
	return u
}

// httpMeter measures what a server uses while a benchmark is timed.
type httpMeter struct {
	process *httpProcess
	start   httpUsage
}

// begin also resets the timer of b.
func (p *httpProcess) begin(b *testing.B) httpMeter {
	b.Helper()
	m := httpMeter{p, p.usage(b, "memory")}
	m.start.CPU = p.usage(b, "cpu").CPU
	b.ResetTimer()
	return m
}

// report adds the server's use since begin, per each of n requests, to the results of
// b. The CPU time goes by the name of cpu. The allocations replace those of this
// process.
func (m httpMeter) report(b *testing.B, n float64, cpu string) {
	b.Helper()
	end := m.process.usage(b, "cpu")
	memory := m.process.usage(b, "memory")
	b.ReportMetric(float64(end.CPU-m.start.CPU)/n, cpu)
	b.ReportAllocs()
	b.ReportMetric(float64(memory.Mallocs-m.start.Mallocs)/n, "allocs/op")
	b.ReportMetric(float64(memory.Bytes-m.start.Bytes)/n, "B/op")
}
