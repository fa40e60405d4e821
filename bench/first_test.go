// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkFirstSight: every token is new to the implementation.
func BenchmarkFirstSight(b *testing.B) {
	for _, alg := range algorithms {
		for _, size := range sizes {
			for range rounds {
				firstRound(b, alg, size)
			}
			forget()
		}
	}
}

func firstRound(b *testing.B, alg string, size int) {
	for _, c := range firstSight {
		if !c.can(alg) {
			continue
		}
		name := fmt.Sprintf("alg=%s/size=%d/impl=%s", alg, size, c.name)
		b.Run(name, func(b *testing.B) { benchmarkFirst(b, name, alg, size, c) })
	}
}

// newcomer is a contender and what it saw of a ring.
type newcomer struct {
	check func(*token) error
	ring  []*token
	reader
}

func (n *newcomer) step() error { return n.check(n.ring[n.index()]) }

// newcomerOf is the same for all runs of one benchmark, so that the next run goes on
// behind the last token that this contender saw.
func newcomerOf(tb testing.TB, name, alg string, size int, c contender) *newcomer {
	tb.Helper()
	ring, told := ringOf(tb, alg, size), setupOf(tb, alg)
	return once(tb, "first/"+name, func() (*newcomer, error) {
		check, err := c.make(told)
		return &newcomer{check: check, ring: ring, reader: reader{size: len(ring)}}, err
	})
}

func benchmarkFirst(b *testing.B, name, alg string, size int, c contender) {
	n := newcomerOf(b, name, alg, size, c)
	if err := n.step(); err != nil { // now it has its keys
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := n.step(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// TestNewAndSeen: a token that comes again has left the small cache of the benchmark
// of first sight, and is still in that of the other. What a look-up does not
// allocate tells them apart.
func TestNewAndSeen(t *testing.T) {
	for _, size := range sizes {
		ring := ringOf(t, eddsa, size)
		twice := func(entries int) (first, again uint64) {
			check, err := cached(entries)(setupOf(t, eddsa))
			if err != nil {
				t.Fatal(err)
			}
			return allocated(t, check, ring), allocated(t, check, ring)
		}
		if first, again := twice(firstSightEntries); 100*again < 95*first {
			t.Errorf("%d bytes: %d allocations for a ring that comes again, %d at first: some tokens were not new", size, again, first)
		}
		if _, again := twice(0); 100*again > 105*ringSize {
			t.Errorf("%d bytes: %d allocations for %d tokens that were seen: some were new", size, again, ringSize)
		}
	}
}

// allocated counts the allocations of checking each token once.
func allocated(t *testing.T, check func(*token) error, ring []*token) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, tok := range ring {
		if err := check(tok); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}
