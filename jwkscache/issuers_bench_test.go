// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/leaktest"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

func numbered(n int) string { return fmt.Sprintf("https://t%d.example", n) }

// manyIssuers is one verifier for n issuers, each with a source that keys makes.
func manyIssuers(tb testing.TB, n int, keys func(issuer string) verifier.KeySource) *verifier.Verifier {
	tb.Helper()
	members := make([]*verifier.Verifier, n)
	for i := range members {
		v, err := verifier.New(verifier.Config{
			Issuer: numbered(i), Audience: []string{audience}, Keys: keys(numbered(i)),
		})
		if err != nil {
			tb.Fatal(err)
		}
		members[i] = v
	}
	joined, err := verifier.Join(members...)
	if err != nil {
		tb.Fatal(err)
	}
	return joined
}

// lazily is a source that fetches when it is asked for the first time.
func lazily(tb testing.TB) func(string) verifier.KeySource {
	return func(issuer string) verifier.KeySource {
		keys, err := jwkscache.New(jwkscache.Config{Issuer: issuer})
		if err != nil {
			tb.Fatal(err)
		}
		return keys
	}
}

// fixed is the same set for all: what is measured is the way to it.
func fixed(tb testing.TB) func(string) verifier.KeySource {
	keys, err := jwkscache.NewStatic([]byte(kids("one")))
	if err != nil {
		tb.Fatal(err)
	}
	return func(string) verifier.KeySource { return keys }
}

// ofIssuer is a good token of the n-th issuer.
func ofIssuer(n int) string {
	now := time.Now()
	return signed("one", map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "one"}, map[string]any{
		"iss": numbered(n), "aud": audience, "sub": "s", "client_id": "c", "jti": "j",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
}

// spread are tokens of as many different issuers of n.
func spread(n, tokens int) []string {
	list := make([]string, tokens)
	for i := range list {
		list[i] = ofIssuer(i * n / tokens)
	}
	return list
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// heapOf is what f leaves behind, or less if something else went away meanwhile.
func heapOf(f func() any) int64 {
	before := heapInUse()
	kept := f()
	after := heapInUse()
	runtime.KeepAlive(kept)
	return int64(after) - int64(before)
}

func BenchmarkIssuers(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("%d/construct", n), func(b *testing.B) {
			for b.Loop() {
				_ = manyIssuers(b, n, lazily(b)).Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/issuer")
			b.ReportMetric(float64(heapOf(func() any { return manyIssuers(b, n, lazily(b)) }))/float64(n), "heap-B/issuer")
		})
		b.Run(fmt.Sprintf("%d/lookup", n), func(b *testing.B) {
			v := manyIssuers(b, n, fixed(b))
			tokens := spread(n, 100)
			for _, raw := range tokens {
				accept(b, v, raw)
			}
			random := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), tokens[random.IntN(len(tokens))]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func accept(tb testing.TB, v *verifier.Verifier, raw string) {
	tb.Helper()
	if _, err := v.Verify(tb.Context(), raw); err != nil {
		tb.Fatal(err)
	}
}

// minHeapPerIssuer and maxHeapPerIssuer are what an issuer that no token named yet may
// take, with its source. Less than the former was not measured rightly.
const minHeapPerIssuer, maxHeapPerIssuer = 1 << 10, 4 << 10

// TestManyIssuers holds what docs/issuers.md promises for thousands of issuers.
func TestManyIssuers(t *testing.T) {
	const few, many = 100, 5_000
	t.Run("GO-19/memory_per_issuer", func(t *testing.T) {
		for _, n := range []int{few, many} {
			each := heapOf(func() any { return manyIssuers(t, n, lazily(t)) }) / int64(n)
			if each < minHeapPerIssuer || each > maxHeapPerIssuer {
				t.Errorf("%d issuers: %d bytes each, want %d to %d", n, each, minHeapPerIssuer, maxHeapPerIssuer)
			}
		}
	})
	t.Run("GO-19/look_up_does_not_depend_on_the_number", func(t *testing.T) {
		var allocs [2]float64
		for i, n := range []int{few, many} {
			v := manyIssuers(t, n, fixed(t))
			raw := ofIssuer(n / 2)
			accept(t, v, raw)
			allocs[i] = testing.AllocsPerRun(100, func() { accept(t, v, raw) })
		}
		if allocs[0] != allocs[1] {
			t.Errorf("%v allocations with %d issuers, %v with %d", allocs[0], few, allocs[1], many)
		}
	})
	t.Run("GO-19/no_goroutine_per_issuer", func(t *testing.T) {
		before := leaktest.Count()
		v := manyIssuers(t, few, lazily(t))
		if after := leaktest.Count(); after > before { // earlier ones may just be ending
			t.Errorf("%d goroutines more", after-before)
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
}
