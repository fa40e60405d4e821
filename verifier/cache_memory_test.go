// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// tokenOf is a good token of the n-th subject, with so many bytes more.
func tokenOf(n, pad int) string {
	claims := goodClaims().edit(object{"sub": fmt.Sprintf("user-%d", n), "jti": fmt.Sprintf("id-%d", n), "pad": strings.Repeat("p", pad)})
	return sign(ed(1), "EdDSA", goodHeader().edit(object{"alg": "EdDSA"}).String(), claims.String())
}

func edSource() *source { return &source{current: jwks(edJWK(1, "one"))} }

// remembered counts the tokens that v accepts although no key of theirs can be found
// any more by its kid (see onlyCached).
func remembered(t *testing.T, v *verifier.Verifier, src *source, raws []string) (n int, last bool) {
	t.Helper()
	src.set(jwks(edJWK(1, "renamed")))
	for _, raw := range raws {
		_, err := v.Verify(t.Context(), raw)
		if last = err == nil; last {
			n++
		} else if verifier.ClassOf(err) != verifier.ErrUnknownKey {
			t.Fatal(err)
		}
	}
	return n, last
}

func TestManySubjects(t *testing.T) {
	for _, bound := range []int{1, 7, 64, 200} {
		for where, arranged := range arrangements {
			t.Run(fmt.Sprintf("JV-35/L7_%d_entries_%s", bound, where), func(t *testing.T) {
				src := edSource()
				v := arranged(t, newVerifier(t, withSource(src), func(c *verifier.Config) { c.CacheEntries = bound }))
				var raws []string
				many := 2*bound + 50
				for i := range many {
					raws = append(raws, tokenOf(i, 0))
					if _, err := v.Verify(t.Context(), raws[i]); err != nil {
						t.Fatal(err)
					}
				}
				n, last := remembered(t, v, src, raws)
				if n > bound || n == 0 || !last {
					t.Errorf("%d tokens of %d are remembered, want from 1 to %d; the last of them: %v", n, many, bound, last)
				}
			})
		}
	}
}

func TestMemoryOfManyTokens(t *testing.T) {
	const size = 6000
	grown := func(use func()) int64 {
		before := heap()
		use()
		return int64(heap()) - int64(before)
	}
	t.Run("JV-35/L7_valid_tokens_take_bounded_memory", func(t *testing.T) {
		const bound, many = 32, 600
		v := newVerifier(t, withSource(edSource()), func(c *verifier.Config) { c.CacheEntries = bound })
		got := grown(func() {
			for i := range many {
				if _, err := v.Verify(t.Context(), tokenOf(i, size)); err != nil {
					t.Fatal(err)
				}
			}
		})
		if got > 8*bound*size {
			t.Errorf("%d bytes are kept of %d tokens, of which %d may be", got, many, bound)
		}
		expect(t, v, tokenOf(0, size), nil)
	})
	t.Run("JV-35/L7_refused_tokens_take_none", func(t *testing.T) {
		const many = 600
		v := newVerifier(t, withSource(edSource()), func(c *verifier.Config) { c.CacheEntries = 1_000_000 })
		got := grown(func() {
			for i := range many {
				key, aud := 2, audience // signed, but by another key
				if i%2 == 0 {
					key, aud = 1, "x" // by the right one, for another API
				}
				claims := goodClaims().edit(object{"jti": fmt.Sprint(i), "aud": aud, "pad": strings.Repeat("p", size)})
				raw := sign(ed(key), "EdDSA", goodHeader().edit(object{"alg": "EdDSA"}).String(), claims.String())
				if _, err := v.Verify(t.Context(), raw); !errors.Is(err, verifier.ErrInvalidToken) {
					t.Fatal(err)
				}
			}
		})
		if got > many*size/20 {
			t.Errorf("%d bytes are kept of %d refused tokens", got, many)
		}
		expect(t, v, tokenOf(0, size), nil)
	})
}

// TestRefusedTokensPushNothingOut sends refused tokens by the hundred.
func TestRefusedTokensPushNothingOut(t *testing.T) {
	for where, arranged := range arrangements {
		t.Run("JV-35/L7_flood_of_refused_tokens_"+where, func(t *testing.T) {
			src := edSource()
			v := arranged(t, newVerifier(t, withSource(src), func(c *verifier.Config) { c.CacheEntries = 4 }))
			good := []string{tokenOf(1, 0), tokenOf(2, 0), tokenOf(3, 0), tokenOf(4, 0)}
			for _, raw := range good {
				expect(t, v, raw, nil)
			}
			for i := range 300 {
				raw := tokenOf(1000+i, 0)
				cut := strings.LastIndexByte(raw, '.')
				for _, bad := range []string{
					raw[:cut] + tokenOf(2000+i, 0)[cut:], raw + "A", raw[1:], raw + ".a.b",
					sign(ed(1), "EdDSA", goodHeader().edit(object{"alg": "EdDSA"}).String(), goodClaims().edit(object{"jti": fmt.Sprint(i), "exp": 1 + i}).String()),
					sign(ed(1), "EdDSA", goodHeader().edit(object{"alg": "EdDSA", "kid": fmt.Sprint(i)}).String(), goodClaims().String()),
				} {
					if tok, err := v.Verify(t.Context(), bad); tok != nil || !errors.Is(err, verifier.ErrInvalidToken) {
						t.Fatalf("%v, %v", tok, err)
					}
				}
			}
			if n, _ := remembered(t, v, src, good); n != len(good) {
				t.Errorf("%d of %d good tokens are remembered", n, len(good))
			}
		})
	}
}

// refusedOnce is a refusal whose cause can be mended.
type refusedOnce struct {
	name  string
	want  error
	spoil func(src *source, at *movable) // sets the cause
	mend  func(src *source, at *movable)
}

var mendable = []refusedOnce{
	{"unknown_key", verifier.ErrUnknownKey,
		func(src *source, _ *movable) { src.set(jwks(edJWK(2, "two"))) },
		func(src *source, _ *movable) { src.set(jwks(edJWK(2, "two"), edJWK(1, "one"))) }},
	{"bad_signature", verifier.ErrSignature,
		func(src *source, _ *movable) { src.set(jwks(edJWK(2, "one"))) },
		func(src *source, _ *movable) { src.set(jwks(edJWK(1, "one"))) }},
	{"empty_set", verifier.ErrUnknownKey,
		func(src *source, _ *movable) { src.set(&verifier.KeySet{}) },
		func(src *source, _ *movable) { src.set(jwks(edJWK(1, "one"))) }},
	{"key_for_encryption", verifier.ErrUnknownKey,
		func(src *source, _ *movable) { src.set(jwks(jwk(ed(1), object{"kid": "one", "use": "enc"}))) },
		func(src *source, _ *movable) { src.set(jwks(jwk(ed(1), object{"kid": "one", "use": "sig"}))) }},
	{"outage", verifier.ErrKeysUnavailable,
		func(src *source, _ *movable) { src.err = verifier.ErrKeysUnavailable },
		func(src *source, _ *movable) { src.err = nil }},
	{"broken_source", verifier.ErrInternal,
		func(src *source, _ *movable) { src.err = errors.New("broken") },
		func(src *source, _ *movable) { src.err = nil }},
	{"not_yet_valid", verifier.ErrNotYetValid,
		func(_ *source, at *movable) { at.shift = -time.Hour },
		func(_ *source, at *movable) { at.shift = 0 }},
	{"expired", verifier.ErrExpired,
		func(_ *source, at *movable) { at.shift = time.Hour },
		func(_ *source, at *movable) { at.shift = 0 }},
}

// TestRefusalIsNotRemembered sends a token that is refused again and again: each time
// as much is asked of the source, and once the cause is mended the token passes. A
// token that has passed before is refused just so when the cause comes back.
func TestRefusalIsNotRemembered(t *testing.T) {
	for _, c := range mendable {
		for where, arranged := range arrangements {
			t.Run("JV-35/mended_"+c.name+"_"+where, func(t *testing.T) {
				src, at := edSource(), &movable{}
				v := arranged(t, newVerifier(t, withSource(src), withClock(at)))
				raw := tokenOf(1, 0)
				for round := range 3 {
					c.spoil(src, at)
					c.wantSameWork(t, v, src, raw, round)
					c.mend(src, at)
					for range 2 {
						expect(t, v, raw, nil)
					}
				}
			})
		}
	}
}

func (c refusedOnce) wantSameWork(t *testing.T, v *verifier.Verifier, src *source, raw string, round int) {
	t.Helper()
	var work []int
	for range 5 {
		before := src.calls
		expectOnce(t, v, raw, c.want)
		work = append(work, src.calls-before)
	}
	for _, n := range work[1:] { // the first may find an entry that has become void
		if n != work[1] || n == 0 {
			t.Errorf("round %d: the source was asked %v times, want the same number each time", round, work)
		}
	}
}

// TestRefusedThenRotated: what a refresh brings counts for tokens that were refused.
func TestRefusedThenRotated(t *testing.T) {
	t.Run("JV-35/KS-11_key_comes_with_a_refresh", func(t *testing.T) {
		src := &source{current: jwks(edJWK(2, "two")), missErr: verifier.ErrKeysUnavailable}
		v, raw := newVerifier(t, withSource(src)), tokenOf(1, 0)
		for range 3 {
			expect(t, v, raw, verifier.ErrKeysUnavailable)
		}
		src.missErr, src.refreshed = nil, jwks(edJWK(2, "two"), edJWK(1, "one"))
		expect(t, v, raw, nil)
	})
	t.Run("JV-35/refused_by_a_rule_then_taken", func(t *testing.T) {
		v, raw := newVerifier(t, withSource(edSource())), tokenOf(1, 0)
		for range 2 {
			tok, err := verifyTwice(t, v, raw, refusing(verifier.ErrInsufficientScope))
			wantClass(t, tok, err, verifier.ErrInsufficientScope)
		}
		expect(t, v, raw, nil)
	})
	t.Run("JV-35/L1_refused_neighbours_of_a_good_token", func(t *testing.T) {
		src := edSource()
		v, raw := newVerifier(t, withSource(src)), tokenOf(1, 0)
		near := []string{raw[:len(raw)-2], raw + "AA", raw[:40] + "A" + raw[41:], strings.Replace(raw, ".", ".A", 1), strings.ToUpper(raw), raw + raw, raw[:len(raw)/2]}
		for i := range raw { // each character matters
			other := "A"
			if raw[i] == 'A' {
				other = "Q"
			}
			near = append(near, raw[:i]+other+raw[i+1:])
		}
		for range 2 {
			for _, other := range near {
				if tok, err := v.Verify(t.Context(), other); tok != nil || err == nil {
					t.Error("a neighbour was accepted")
				}
			}
			expect(t, v, raw, nil)
		}
	})
}
