// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// growthWorld is a verifier and the tokens that it is asked about in turn.
type growthWorld struct {
	v      *verifier.Verifier
	tokens []string
	rules  []verifier.Requirement
	heap   float64 // bytes for each cached token, 0 where that is not measured
}

// growthCase makes worlds of growing size.
type growthCase struct {
	by    string
	paths []string
	sizes []int
	world func(tb testing.TB, n int, seen bool) *growthWorld
}

var (
	growthPaths = []string{"first", "seen"}
	growthCases = []growthCase{
		{"bytes", growthPaths, []int{1024, 2048, 4096, 8192, 16384}, growthByBytes},
		{"keys", growthPaths, []int{1, 2, 5, 10, 20, 50, 100}, growthByKeys},
		{"issuers", growthPaths, []int{1, 10, 100, 1_000, 10_000}, growthByIssuers},
		{"scopes", growthPaths, []int{1, 10, 50, 100, 200}, growthByScopes},
		{"cached", []string{"seen"}, growthCached(), growthByCached},
	}
)

// growthCached ends with what takes a gigabyte only where the command asks for it.
func growthCached() []int {
	sizes := []int{1, 10, 100, 1_000, 10_000, 100_000}
	if os.Getenv(fullEnv) != "" {
		sizes = append(sizes, 1_000_000)
	}
	return sizes
}

// BenchmarkGrowth shows how the time of a verification depends on the size of things.
func BenchmarkGrowth(b *testing.B) {
	for _, c := range growthCases {
		for _, path := range c.paths {
			for _, n := range c.sizes {
				var w *growthWorld // made once, for the benchmark that is run alone, too
				b.Run(fmt.Sprintf("by=%s/path=%s/n=%d", c.by, path, n), func(b *testing.B) {
					if w == nil {
						w = c.world(b, n, path == "seen")
						w.warm(b, path == "seen")
					}
					w.run(b)
				})
			}
		}
	}
}

// growthHit is more than the mean of allocations where all tokens come from the cache,
// which takes one, and less than any first sight takes. Among a thousand issuers, each
// fifth token has lost its hint to another and has its issuer read anew.
const growthHit = 1.3

// warm verifies all tokens once, and makes sure that they then are what the path says.
func (w *growthWorld) warm(tb testing.TB, seen bool) {
	tb.Helper()
	for _, raw := range w.tokens {
		w.verify(tb, raw)
	}
	if again := w.mallocs(tb); seen != (again < growthHit) {
		tb.Fatalf("seen before: %v, but %.2f allocations each", seen, again)
	}
}

// mallocs is how many allocations the verification of a token takes. Some thousand
// verifications make the mean one that nothing else in the process moves.
func (w *growthWorld) mallocs(tb testing.TB) float64 {
	rounds := 1 + 1_000/len(w.tokens)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		for _, raw := range w.tokens {
			w.verify(tb, raw)
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(rounds*len(w.tokens))
}

func (w *growthWorld) verify(tb testing.TB, raw string) {
	if _, err := w.v.Verify(tb.Context(), raw, w.rules...); err != nil {
		tb.Fatal(err)
	}
}

// run asks about the tokens in turn, beginning elsewhere on each core.
func (w *growthWorld) run(b *testing.B) {
	ctx := b.Context()
	var begun atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := int(begun.Add(1)) * len(w.tokens) / 2; pb.Next(); i++ {
			if _, err := w.v.Verify(ctx, w.tokens[i%len(w.tokens)], w.rules...); err != nil {
				b.Error(err)
				return
			}
		}
	})
	if w.heap > 0 {
		b.ReportMetric(w.heap, "heap-B/token")
	}
}

// growthRing is how many tokens are asked about where their number does not matter.
const growthRing = 64

func growthByBytes(tb testing.TB, n int, seen bool) *growthWorld {
	keys := growthKeys(1)
	w := &growthWorld{v: growthVerifier(tb, growthConfig(growthSource(tb, keys), seen))}
	for i := range growthRing {
		w.tokens = append(w.tokens, growthSized(tb, keys, i, n))
	}
	return w
}

func growthByKeys(tb testing.TB, n int, seen bool) *growthWorld {
	keys := growthKeys(n)
	w := &growthWorld{v: growthVerifier(tb, growthConfig(growthSource(tb, keys), seen))}
	for i := range growthRing {
		w.tokens = append(w.tokens, growthToken(tb, keys, i*n/growthRing, growthClaims(i, nil)))
	}
	return w
}

func growthByScopes(tb testing.TB, n int, seen bool) *growthWorld {
	var granted []string
	for i := range n {
		granted = append(granted, fmt.Sprintf("orders:%03d", i))
	}
	keys := growthKeys(1)
	w := &growthWorld{
		v:     growthVerifier(tb, growthConfig(growthSource(tb, keys), seen)),
		rules: []verifier.Requirement{scopes.All(granted[n-1])},
	}
	for i := range growthRing {
		claims := growthClaims(i, map[string]any{"scope": strings.Join(granted, " ")})
		w.tokens = append(w.tokens, growthToken(tb, keys, 0, claims))
	}
	return w
}

// growthByIssuers asks about at most a thousand of the issuers. They have the same
// keys: what is measured is the way to the issuer.
func growthByIssuers(tb testing.TB, n int, seen bool) *growthWorld {
	keys := growthKeys(1)
	source := growthSource(tb, keys)
	var members []*verifier.Verifier
	for i := range n {
		cfg := growthConfig(source, seen)
		cfg.Issuer = fmt.Sprintf("https://t%d.example.com", i)
		members = append(members, growthVerifier(tb, cfg))
	}
	joined, err := verifier.Join(members...)
	if err != nil {
		tb.Fatal(err)
	}
	w := &growthWorld{v: joined}
	ring := min(max(n, growthRing), 1_000)
	for i := range ring {
		claims := growthClaims(i, map[string]any{"iss": fmt.Sprintf("https://t%d.example.com", i*n/ring)})
		w.tokens = append(w.tokens, growthToken(tb, keys, 0, claims))
	}
	return w
}

// growthAsked is how many of the cached tokens are asked about, at most: all of a
// million would need the memory of two.
const growthAsked = 50_000

// growthByCached fills the cache with n tokens, of which it keeps some in random order.
// The cache has room for twice as many, up to its limit: chance fills one of its shards
// before the others, and tokens that come in turn push each other out of a full one.
func growthByCached(tb testing.TB, n int, _ bool) *growthWorld {
	const limit = 1_000_000
	cfg := verifier.Config{Issuer: growthIssuer, Audience: []string{growthAudience}, CacheEntries: min(2*n, limit)}
	v, err := verifier.NewSymmetric(cfg, verifier.Secret{KeyID: "secret", Algorithm: "HS256", Value: growthSecret})
	if err != nil {
		tb.Fatal(err)
	}
	w := &growthWorld{v: v}
	asked := map[int]string{}
	for _, id := range rand.New(rand.NewPCG(1, 2)).Perm(n)[:min(n, growthAsked)] {
		asked[id] = growthHMAC(tb, growthClaims(id, nil))
		w.tokens = append(w.tokens, asked[id])
	}
	w.heap = w.fill(tb, n, asked)
	return w
}

// fill verifies n tokens once and returns what the cache then takes for each. No token
// that the cache may hold on to is one of asked.
func (w *growthWorld) fill(tb testing.TB, n int, asked map[int]string) (heap float64) {
	before := growthHeap()
	for id := range n {
		raw, ok := asked[id]
		if !ok {
			raw = growthHMAC(tb, growthClaims(id, nil))
		}
		w.verify(tb, strings.Clone(raw))
	}
	const enough = 1_000 // for the cache itself not to count
	if n >= enough {
		heap = (growthHeap() - before) / float64(n)
	}
	runtime.KeepAlive(asked)
	return heap
}

func growthVerifier(tb testing.TB, cfg verifier.Config) *verifier.Verifier {
	tb.Helper()
	v, err := verifier.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
