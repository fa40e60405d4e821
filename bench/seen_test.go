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
				for range rounds {
					seenRound(b, alg, size, tokens)
				}
			}
			forget()
		}
	}
}

func seenRound(b *testing.B, alg string, size, tokens int) {
	for _, c := range seenBefore {
		name := fmt.Sprintf("alg=%s/size=%d/tokens=%d/impl=%s", alg, size, tokens, c.name)
		b.Run(name, func(b *testing.B) { benchmarkSeen(b, name, alg, ringOf(b, alg, size)[:tokens], c) })
	}
}

func benchmarkSeen(b *testing.B, name, alg string, tokens []*token, c contender) {
	told := setupOf(b, alg)
	check := once(b, "seen/"+name, func() (func(*token) error, error) {
		check, err := c.make(told)
		if err != nil {
			return nil, err
		}
		for _, tok := range tokens {
			if err := check(tok); err != nil {
				return nil, err
			}
		}
		return check, nil
	})
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
