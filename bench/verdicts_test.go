// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// TestVerdicts: what is compared does the same work. All contenders accept the good
// token and refuse each faulty one, but for those that judge signatures only: these
// accept what the issuer's key signed, whatever it says.
func TestVerdicts(t *testing.T) {
	contenders := slices.Concat(firstSight, []contender{{name: "bearerguard-default", make: cached(0)}})
	for _, c := range contenders {
		for _, alg := range algorithms {
			if !c.can(alg) {
				continue
			}
			t.Run(c.name+"/"+alg, func(t *testing.T) {
				check, err := c.make(setupOf(t, alg))
				if err != nil {
					t.Fatal(err)
				}
				for _, size := range sizes {
					for _, v := range variantsOf(t, alg, size) {
						judge(t, c, check, v, alg, size)
					}
				}
			})
		}
	}
}

// judge asks twice, since there are caches.
func judge(t *testing.T, c contender, check func(*token) error, v variant, alg string, size int) {
	t.Helper()
	want := v.class == nil || c.signatureOnly && v.sound
	tok, err := split(alg, v.raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, sight := range []string{"first", "second"} {
		if err := check(tok); (err == nil) != want {
			t.Errorf("%s of %d bytes, %s sight: accepted %t, want %t (%v)", v.name, size, sight, err == nil, want, err)
		}
	}
}

// TestVariants: each faulty token has the fault that its name says, and no other that
// would be seen before.
func TestVariants(t *testing.T) {
	for _, alg := range algorithms {
		check, err := checkBearerguard(setupOf(t, alg), -1)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range sizes {
			for _, v := range variantsOf(t, alg, size) {
				if got := verifier.ClassOf(check(v.raw)); got != v.class {
					t.Errorf("%s, %d bytes, %s: %v, want %v", alg, size, v.name, got, v.class)
				}
			}
		}
	}
}

// TestTokens: tokens of a ring differ, and have the length that the benchmark names.
func TestTokens(t *testing.T) {
	for _, alg := range []string{es256, es384, eddsa, hs256} { // RSA keys take seconds for so many
		for _, size := range sizes {
			seen := map[string]bool{}
			for _, tok := range ringOf(t, alg, size) {
				seen[tok.raw] = true
			}
			if len(seen) != ringSize {
				t.Errorf("%s, %d bytes: %d different tokens, want %d", alg, size, len(seen), ringSize)
			}
		}
	}
	for _, size := range sizes {
		for _, alg := range algorithms {
			if raw := variantsOf(t, alg, size)[0].raw; 100*len(raw) < 97*size || 100*len(raw) > 103*size {
				t.Errorf("%s: %d bytes, want %d", alg, len(raw), size)
			}
		}
	}
}

// TestHandlers: all protections let the same requests pass.
func TestHandlers(t *testing.T) {
	is := issuerOf(t, rs256)
	claims := goodClaims(0, is.now)
	claims.Scope = "openid orders:write"
	narrow, err := is.mint(claims)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		t.Run(s.framework+"/"+s.name, func(t *testing.T) {
			h, err := s.make(setupOf(t, rs256), 0)
			if err != nil {
				t.Fatal(err)
			}
			want := func(status int) int {
				if s.name == "unprotected" {
					return http.StatusOK
				}
				return status
			}
			expect(t, h, "none", "", want(http.StatusUnauthorized))
			expect(t, h, "other scope", "Bearer "+narrow, want(http.StatusForbidden))
			for _, v := range variantsOf(t, rs256, sizes[0]) {
				status := http.StatusOK
				if v.class != nil {
					status = want(http.StatusUnauthorized)
				}
				expect(t, h, v.name, "Bearer "+v.raw, status)
			}
		})
	}
}

func expect(t *testing.T, h http.Handler, name, authorization string, status int) {
	t.Helper()
	c := newClient(h)
	if authorization == "" {
		c.without()
	}
	for range 2 {
		if got := c.ask(authorization); got != status {
			t.Errorf("%s: %d, want %d", name, got, status)
		}
		if ok := c.ok(authorization); ok != (status == http.StatusOK) {
			t.Errorf("%s: answered by the handler: %t", name, ok)
		}
	}
}

// TestNames: results are found by the names of benchmarks.
func TestNames(t *testing.T) {
	for _, list := range [][]contender{firstSight, seenBefore} {
		seen := map[string]bool{}
		for _, c := range list {
			if seen[c.name] || strings.ContainsAny(c.name, "/= ") {
				t.Errorf("%s: a name cannot be used, or not twice", c.name)
			}
			seen[c.name] = true
		}
	}
	seen := map[string]bool{}
	for _, s := range servers {
		name := s.framework + "/" + s.name
		if seen[name] || strings.ContainsAny(s.framework+s.name, "/= ") {
			t.Errorf("%s: a name cannot be used, or not twice", name)
		}
		seen[name] = true
	}
}
