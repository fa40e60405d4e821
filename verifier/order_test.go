// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// attempt is a request in the making, which faults can spoil one after the other.
type attempt struct {
	header, claims object
	key            any
	tail           string
	src            *source
	reqs           []verifier.Requirement
}

// fault makes an attempt fail at one step of EO-01 with this class.
type fault struct {
	step  string
	class error
	spoil func(*attempt)
}

func headerIs(name string, v any) func(*attempt) {
	return func(a *attempt) { a.header = a.header.edit(object{name: v}) }
}

func claimIs(name string, v any) func(*attempt) {
	return func(a *attempt) { a.claims = a.claims.edit(object{name: v}) }
}

func requiring(class error) func(*attempt) {
	return func(a *attempt) { a.reqs = append(a.reqs, refusing(class)) }
}

// inOrder is EO-01 as far as the verifier goes.
var inOrder = []fault{
	{"4_structure", verifier.ErrMalformedToken, func(a *attempt) { a.tail = "=" }},
	{"4_issuer", verifier.ErrIssuer, claimIs("iss", "https://x.example")},
	{"4_alg", verifier.ErrAlgorithm, headerIs("alg", "HS256")},
	{"4_typ", verifier.ErrTokenType, headerIs("typ", "JWT")},
	{"5_keys", verifier.ErrKeysUnavailable, func(a *attempt) { a.src.err = verifier.ErrKeysUnavailable }},
	{"5_key", verifier.ErrUnknownKey, headerIs("kid", "two")},
	{"5_signature", verifier.ErrSignature, func(a *attempt) { a.key = rsaTwo() }},
	{"6_aud", verifier.ErrAudience, claimIs("aud", "https://x.example")},
	{"6_exp", verifier.ErrExpired, claimIs("exp", 1)},
	{"6_nbf", verifier.ErrNotYetValid, claimIs("nbf", noon.Add(time.Hour).Unix())},
	{"6_claims", verifier.ErrMissingClaim, claimIs("jti", nil)},
	{"8_binding", verifier.ErrBinding, claimIs("cnf", object{"jkt": b64(strings.Repeat("k", 32))})},
	{"9_step_up", verifier.ErrStepUp, requiring(verifier.ErrStepUp)},
	{"10_scope", verifier.ErrInsufficientScope, requiring(verifier.ErrInsufficientScope)},
	{"11_details", verifier.ErrInsufficientDetails, requiring(verifier.ErrInsufficientDetails)},
	{"11_hook", verifier.ErrForbidden, requiring(errors.New("no"))},
}

// run verifies an attempt with these faults.
func run(t *testing.T, faults ...fault) {
	t.Helper()
	a := &attempt{header: goodHeader(), claims: goodClaims(), key: rsaOne(), src: keysOne()}
	for _, f := range faults {
		f.spoil(a)
	}
	v := newVerifier(t, withSource(a.src))
	tok, err := verifyTwice(t, v, sign(a.key, "RS256", a.header.String(), a.claims.String())+a.tail, a.reqs...)
	if len(faults) == 0 {
		wantAccepted(t, tok, err)
		return
	}
	wantClass(t, tok, err, faults[0].class)
}

func TestEvaluationOrder(t *testing.T) {
	t.Run("EO-01/no_fault", func(t *testing.T) { run(t) })
	for i, first := range inOrder {
		t.Run("EO-01/"+first.step, func(t *testing.T) {
			run(t, first)
			for _, second := range inOrder[i+1:] {
				t.Run(second.step, func(t *testing.T) { run(t, first, second) })
			}
		})
	}
	t.Run("EO-01/all_faults_at_once", func(t *testing.T) {
		for i := range inOrder {
			run(t, inOrder[i:]...)
		}
	})
}

func TestRulesRunLast(t *testing.T) {
	t.Run("EO-06/spy", func(t *testing.T) {
		for name, c := range refusals(nil, nil) {
			calls := 0
			spy := rule(func(*verifier.Token) error { calls++; return nil })
			v := c.verifier(t)
			for range 2 {
				tok, err := verifyTwice(t, v, c.raw, spy, spy)
				wantClass(t, tok, err, c.want)
			}
			if calls != 0 {
				t.Errorf("%s: a rule ran %d times", name, calls)
			}
		}
	})
	t.Run("EO-06/spy_is_called_for_a_good_token", func(t *testing.T) {
		calls := 0
		v := newVerifier(t)
		for range 2 {
			tok, err := v.Verify(t.Context(), token(nil, nil), rule(func(*verifier.Token) error { calls++; return nil }))
			wantAccepted(t, tok, err)
		}
		if calls != 2 {
			t.Errorf("%d calls, want 2", calls)
		}
	})
	t.Run("EO-06/confirm_is_not_called_either", func(t *testing.T) {
		for name, c := range refusals(nil, nil) {
			if c.want == verifier.ErrBinding {
				continue
			}
			_, err := verifyBoundTwice(t, c.verifier(t), c.raw, func(context.Context, *verifier.Token) error {
				t.Errorf("%s: confirm ran", name)
				return nil
			})
			wantClass(t, nil, err, c.want)
		}
	})
	t.Run("EO-06/not_after_a_failed_confirm", func(t *testing.T) {
		_, err := verifyBoundTwice(t, newVerifier(t), token(nil, nil),
			func(context.Context, *verifier.Token) error { return verifier.ErrBinding },
			rule(func(*verifier.Token) error { t.Error("a rule ran"); return nil }))
		wantClass(t, nil, err, verifier.ErrBinding)
	})
}

func TestOutage(t *testing.T) {
	down := func() *source { return &source{err: verifier.ErrKeysUnavailable} }
	for step, f := range map[string]fault{
		"EO-04/structure": inOrder[0], "EO-04/issuer": inOrder[1], "EO-04/alg": inOrder[2], "EO-04/typ": inOrder[3],
	} {
		t.Run(step, func(t *testing.T) {
			a := &attempt{header: goodHeader(), claims: goodClaims(), key: rsaOne(), src: down()}
			f.spoil(a)
			expect(t, newVerifier(t, withSource(a.src)), sign(a.key, "RS256", a.header.String(), a.claims.String())+a.tail, f.class)
			if a.src.calls != 0 {
				t.Errorf("%d key look-ups, want none", a.src.calls)
			}
		})
	}
	t.Run("EO-04/reached", func(t *testing.T) {
		for _, edits := range []object{nil, {"exp": 1}, {"aud": "x"}, {"jti": nil}} {
			expect(t, newVerifier(t, withSource(down())), token(nil, edits), verifier.ErrKeysUnavailable)
		}
	})
	t.Run("EO-04/seen_before", func(t *testing.T) {
		src := keysOne()
		v := newVerifier(t, withSource(src))
		expect(t, v, token(nil, nil), nil)
		src.err = verifier.ErrKeysUnavailable
		expect(t, v, token(nil, nil), verifier.ErrKeysUnavailable)
	})
}

// waiting is a source that answers only when the request is given up.
func waiting(ctx context.Context, _ *verifier.Miss) (*verifier.KeySet, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("waiting for keys: %w", context.Cause(ctx))
}

func TestCancellation(t *testing.T) {
	set := jwks(jwk(rsaOne(), object{"kid": "one"}))
	onMiss := func(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
		if miss == nil {
			return set, nil
		}
		return waiting(ctx, miss)
	}
	good, unknown := token(nil, nil), token(object{"kid": "two"}, nil)
	for _, tt := range []struct {
		name string
		raw  string
		src  keysFunc
	}{{"GO-18/cold", good, waiting}, {"GO-18/miss", unknown, onMiss}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVerifier(t, withSource(tt.src))
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				tok, err := v.Verify(ctx, tt.raw, rule(func(*verifier.Token) error { t.Error("a rule ran"); return nil }))
				wantClass(t, tok, err, verifier.ErrKeysUnavailable)
				if waited := time.Since(start); waited != 3*time.Second {
					t.Errorf("waited %v", waited)
				}
				ctx, cancel = context.WithCancel(t.Context())
				cancel()
				tok, err = v.Verify(ctx, tt.raw)
				wantClass(t, tok, err, verifier.ErrKeysUnavailable)
			})
		})
	}
}

func TestNothingTrustedBeforeTheSignature(t *testing.T) {
	t.Run("JV-13/no_side_effect_of_claims", func(t *testing.T) {
		var heard recorder
		src := keysOne()
		v := newVerifier(t, withSource(src), heardBy(&heard))
		var first verifier.Event
		for i, claims := range []object{
			nil, {"aud": "x"}, {"exp": 1}, {"exp": "x"}, {"jti": nil}, {"sub": 1}, {"scope": []int{1}}, {"cnf": "x"}, {"act": 1},
			{"nonce": "x", "events": object{}}, {"jku": "https://evil.example"}, {"nbf": 1e18}, {"exp": raw("1e400")},
		} {
			forged := sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().edit(claims).String())
			calls := src.calls
			expectOnce(t, v, forged, verifier.ErrSignature)
			events := heard.take()
			if i == 0 {
				first = events[0]
			}
			if len(events) != 1 || events[0].Class != first.Class || events[0].Cause.Error() != first.Cause.Error() {
				t.Errorf("%v: events %v, want %v", claims, events, first)
			}
			if looked := src.calls - calls; looked != 2 {
				t.Errorf("%v: %d key look-ups, want the same two for each", claims, looked)
			}
		}
	})
	t.Run("JV-13/legacy_marks_wait_for_the_signature", func(t *testing.T) {
		forged := sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().edit(object{"nonce": "x"}).String())
		expect(t, newVerifier(t, legacy), forged, verifier.ErrSignature)
	})
}

// allocatedBy is the memory that one call of f takes, as bytes.
func allocatedBy(f func()) uint64 {
	const rounds = 20
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / rounds
}

// junk is 64 KiB of each kind of rubbish that gets as far as possible.
func junk() map[string]string {
	const size = 65_536
	fill := func(head, part, tail string) string {
		n := (size - len(head) - len(tail)) / len(part)
		return head + strings.Repeat(part, n) + tail
	}
	asToken := func(header, payload string) string {
		raw := b64(header) + "." + b64(payload) + ".AAAA"
		return raw[:min(len(raw), size)]
	}
	const room = size/4*3 - 1000
	names := func() string {
		var b strings.Builder
		b.WriteString(`{"iss":"x"`)
		for i := 0; b.Len() < room; i++ {
			fmt.Fprintf(&b, `,"%d":0`, i)
		}
		return b.String() + "}"
	}()
	return map[string]string{
		"letters":       fill("", "a", ""),
		"dots":          fill("", ".", ""),
		"letter dots":   fill("", "a.", ""),
		"long header":   fill("", "a", ".a.a"),
		"long payload":  fill("e30.", "a", ".a"),
		"long sig":      fill("e30.e30.", "a", ""),
		"brackets":      asToken(goodHeader().String(), strings.Repeat("[", room)),
		"nested":        asToken(goodHeader().String(), strings.Repeat(`{"a":`, room/5)),
		"names":         asToken(goodHeader().String(), names),
		"header names":  asToken(names, goodClaims().String()),
		"one number":    asToken(goodHeader().String(), `{"iss":`+strings.Repeat("9", room)+`}`),
		"one string":    asToken(goodHeader().String(), `{"iss":"`+strings.Repeat("x", room)+`"}`),
		"escapes":       asToken(goodHeader().String(), `{"iss":"`+strings.Repeat(`\u00e9`, room/6)+`"}`),
		"long kid":      asToken(goodHeader().edit(object{"kid": strings.Repeat("k", room-1000)}).String(), goodClaims().String()),
		"array":         asToken(goodHeader().String(), `{"iss":[`+strings.Repeat("0,", room/2)+`0]}`),
		"equal names":   asToken(goodHeader().String(), `{`+strings.Repeat(`"a":0,`, room/6)+`"b":0}`),
		"spaces":        asToken(goodHeader().String(), strings.Repeat(" ", room)),
		"binary":        asToken("\x00\xff", strings.Repeat("\xff", room)),
		"over the size": fill("", "a", "") + "a",
	}
}

func TestWorkIsBounded(t *testing.T) {
	src := keysOne()
	v := newVerifier(t, withSource(src), func(c *verifier.Config) { c.MaxTokenBytes = 65_536 })
	for name, raw := range junk() {
		t.Run("SE-07/junk_"+name, func(t *testing.T) {
			// Members and elements take more room decoded than as text, so the factor is
			// not 1; what matters is that nothing grows faster than the token.
			const factor = 12
			got := allocatedBy(func() {
				if _, err := v.Verify(t.Context(), raw); !errors.Is(err, verifier.ErrInvalidToken) {
					t.Errorf("got %v", err)
				}
			})
			if got > factor*65_536 {
				t.Errorf("%d bytes allocated for a token of %d", got, len(raw))
			}
			if src.calls != 0 {
				t.Errorf("%d key look-ups, want none", src.calls)
			}
		})
	}
	t.Run("SE-07/over_the_limit_costs_nothing", func(t *testing.T) {
		v, raw := newVerifier(t), strings.Repeat("a", 65_536)
		if got := allocatedBy(func() { _, _ = v.Verify(t.Context(), raw) }); got > 1024 {
			t.Errorf("%d bytes allocated for a token over the limit", got)
		}
	})
	t.Run("SE-07/eight_attempts_in_each_of_two_sets", func(t *testing.T) {
		// The token is signed by the ninth key of either set: were a ninth attempt made
		// in one of them, it would be accepted.
		nine := func(first int) *verifier.KeySet {
			return jwks(append(edJWKs(first, first+8, object{"kid": "one"}), jwk(ed(200), object{"kid": "one"}))...)
		}
		src := &source{current: nine(1), refreshed: nine(20)}
		expectOnce(t, newVerifier(t, withSource(src)), edToken(200, "one"), verifier.ErrSignature)
		if src.calls != 2 {
			t.Errorf("%d key look-ups, want 2", src.calls)
		}
		eighth := jwks(append(edJWKs(20, 27, object{"kid": "one"}), jwk(ed(200), object{"kid": "one"}))...)
		expectOnce(t, newVerifier(t, withSource(&source{current: nine(1), refreshed: eighth})), edToken(200, "one"), nil)
	})
	t.Run("SE-07/never_a_third_set", func(t *testing.T) {
		calls := 0
		src := keysFunc(func(context.Context, *verifier.Miss) (*verifier.KeySet, error) {
			calls++
			return jwks(jwk(ed(calls), object{"kid": "one"})), nil
		})
		expectOnce(t, newVerifier(t, withSource(src)), edToken(3, "one"), verifier.ErrSignature)
		if calls != 2 {
			t.Errorf("%d key look-ups, want 2", calls)
		}
	})
	t.Run("SE-07/M3_one_attempt_for_a_unique_kid", func(t *testing.T) {
		// Every key but the named one would verify: none of them may be tried.
		keys := append(edJWKs(1, 5, object{"kid": "other"}), jwk(ed(9), object{"kid": "one"}))
		keys = append(keys, edJWKs(1, 5, nil)...)
		expect(t, newVerifier(t, withKeys(jwks(keys...))), edToken(1, "one"), verifier.ErrSignature)
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Run("GO-03/K24_many_tokens_at_once", func(t *testing.T) {
		src := keysOne()
		v := newVerifier(t, withSource(src), func(c *verifier.Config) { c.CacheEntries = 64 })
		raws := make([]string, 200)
		for i := range raws {
			raws[i] = token(nil, object{"sub": fmt.Sprint("user-", i), "scope": fmt.Sprint("s", i)})
		}
		done := make(chan struct{})
		go func() { // the set changes while tokens are verified
			defer close(done)
			for range 100 {
				src.set(jwks(jwk(rsaOne(), object{"kid": "one"}), jwk(ed(1), nil)))
				runtime.Gosched()
			}
		}()
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for n := range 125 {
					i := (n*7 + worker*31) % len(raws)
					tok, err := verifyTwice(t, v, raws[i])
					if err != nil || tok.Subject != fmt.Sprint("user-", i) || !tok.HasScope(fmt.Sprint("s", i)) || len(tok.Scopes) != 1 {
						t.Errorf("token %d: %+v, %v", i, tok, err)
						return
					}
					spoil(tok)
				}
			})
		}
		wg.Wait()
		<-done
	})
	t.Run("SE-10/different_policies_side_by_side", func(t *testing.T) {
		var wg sync.WaitGroup
		raw := token(nil, nil)
		for i := range 8 {
			want := []error{nil, verifier.ErrAudience, verifier.ErrExpired, verifier.ErrAlgorithm}[i%4]
			v := newVerifier(t, func(c *verifier.Config) {
				switch i % 4 {
				case 1:
					c.Audience = []string{"https://x.example"}
				case 2:
					c.Now = func() time.Time { return noon.Add(time.Hour) }
				case 3:
					c.Algorithms = []string{"PS256"}
				}
			})
			wg.Go(func() {
				for range 50 {
					if _, err := verifyTwice(t, v, raw); verifier.ClassOf(err) != want {
						t.Errorf("verifier %d: %v, want %v", i, err, want)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}
