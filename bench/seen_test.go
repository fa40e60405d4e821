// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// seenAlgorithms: one of each kind is enough where nothing is to be verified.
var seenAlgorithms = []string{rs256, es256, eddsa}

// BenchmarkSeen: the same tokens again and again, all of them seen before.
func BenchmarkSeen(b *testing.B) {
	for _, alg := range seenAlgorithms {
		for _, size := range sizes {
			for _, tokens := range []int{1, 1000} {
				for _, c := range seenBefore {
					name := fmt.Sprintf("alg=%s/size=%d/tokens=%d/impl=%s", alg, size, tokens, c.name)
					b.Run(name, func(b *testing.B) { benchmarkSeen(b, alg, ringOf(b, alg, size)[:tokens], c) })
				}
			}
		}
	}
}

func benchmarkSeen(b *testing.B, alg string, tokens []*token, c contender) {
	told := setupOf(b, alg)
	check := once(b, "seen/"+alg+"/"+c.name, func() (func(*token) error, error) { return c.make(told) })
	for _, tok := range tokens {
		if err := check(tok); err != nil {
			b.Fatal(err)
		}
	}
	var started atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		i := apart(started.Add(1), len(tokens))
		for pb.Next() {
			if err := check(tokens[i]); err != nil {
				b.Error(err)
				return
			}
			if i++; i == len(tokens) {
				i = 0
			}
		}
	})
}

// apart is where the n-th goroutine begins among so many tokens, so that no two ask
// for the same ones in step.
func apart(n int64, tokens int) int { return int(n) * 619 % tokens }
