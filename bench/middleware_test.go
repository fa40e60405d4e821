// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
)

// BenchmarkMiddleware: whole requests, without a network, by RS256 tokens of 900 bytes
// that are always the same one, the same thousand, or new.
func BenchmarkMiddleware(b *testing.B) {
	for _, tokens := range []int{1, 1000} {
		inTurn(b, fmt.Sprint(tokens), func(b *testing.B, name string, s server) { benchmarkRequests(b, name, s, tokens) })
	}
	inTurn(b, "new", benchmarkNewRequests)
}

func inTurn(b *testing.B, tokens string, run func(b *testing.B, name string, s server)) {
	for range rounds {
		for _, s := range servers {
			name := fmt.Sprintf("framework=%s/tokens=%s/impl=%s", s.framework, tokens, s.name)
			b.Run(name, func(b *testing.B) { run(b, name, s) })
		}
	}
}

// headersOf are the Authorization headers for the tokens of the ring.
func headersOf(tb testing.TB) []string {
	tb.Helper()
	ring := ringOf(tb, rs256, sizes[0])
	return once(tb, "headers", func() ([]string, error) {
		var lines []string
		for _, tok := range ring {
			lines = append(lines, "Bearer "+tok.raw)
		}
		return lines, nil
	})
}

func serverOf(tb testing.TB, name string, s server, entries int) http.Handler {
	tb.Helper()
	told := setupOf(tb, rs256)
	return once(tb, "server/"+name, func() (http.Handler, error) { return s.make(told, entries) })
}

func benchmarkRequests(b *testing.B, name string, s server, tokens int) {
	h, lines := serverOf(b, name, s, 0), headersOf(b)[:tokens]
	warm := newClient(h)
	for _, line := range lines {
		if !warm.ok(line) {
			b.Fatalf("status %d", warm.answer.status)
		}
	}
	var started atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := newClient(h)
		i := apart(started.Add(1), len(lines))
		for pb.Next() {
			if !c.ok(lines[i]) {
				b.Errorf("status %d", c.answer.status)
				return
			}
			if i++; i == len(lines) {
				i = 0
			}
		}
	})
}

func benchmarkNewRequests(b *testing.B, name string, s server) {
	h, lines := serverOf(b, name, s, firstSightEntries), headersOf(b)
	r := once(b, "reader/"+name, func() (*reader, error) { return &reader{size: len(lines)}, nil })
	if c := newClient(h); !c.ok(lines[r.index()]) {
		b.Fatalf("status %d", c.answer.status)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := newClient(h)
		for pb.Next() {
			if !c.ok(lines[r.index()]) {
				b.Errorf("status %d", c.answer.status)
				return
			}
		}
	})
}
