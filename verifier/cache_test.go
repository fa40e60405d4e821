// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"math/big"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// movable is a clock; its zero value shows noon.
type movable struct{ shift time.Duration }

func (c *movable) now() time.Time { return noon.Add(c.shift) }

func withClock(c *movable) func(*verifier.Config) {
	return func(cfg *verifier.Config) { cfg.Now = c.now }
}

// onlyCached makes the source serve a set in which the signing key bears another
// kid. Who remembers the token still accepts it, since kid does not count (JV-35);
// who verifies it anew finds no key. So acceptance proves that it was remembered.
func onlyCached(src *source) { src.set(jwks(jwk(rsaOne(), object{"kid": "renamed"}))) }

func TestTokenCacheRemembers(t *testing.T) {
	t.Run("JV-35/on_by_default", func(t *testing.T) {
		src := keysOne()
		v := newVerifier(t, withSource(src))
		expect(t, v, token(nil, nil), nil)
		onlyCached(src)
		expect(t, v, token(nil, nil), nil)
		expect(t, v, token(nil, object{"jti": "other"}), verifier.ErrUnknownKey)
	})
	t.Run("JV-35/negative_turns_it_off", func(t *testing.T) {
		src := keysOne()
		v := newVerifier(t, withSource(src), func(c *verifier.Config) { c.CacheEntries = -1 })
		expect(t, v, token(nil, nil), nil)
		onlyCached(src)
		expect(t, v, token(nil, nil), verifier.ErrUnknownKey)
	})
	t.Run("JV-35/L7_bounded", func(t *testing.T) {
		src := keysOne()
		v := newVerifier(t, withSource(src), func(c *verifier.Config) { c.CacheEntries = 2 })
		raws := []string{token(nil, object{"jti": "a"}), token(nil, object{"jti": "b"}), token(nil, object{"jti": "c"})}
		for _, raw := range raws {
			expect(t, v, raw, nil)
		}
		onlyCached(src)
		expect(t, v, raws[0], verifier.ErrUnknownKey)
		expect(t, v, raws[1], nil)
		expect(t, v, raws[2], nil)
	})
	t.Run("JV-35/L7_bad_tokens_do_not_evict", func(t *testing.T) {
		src := keysOne()
		v := newVerifier(t, withSource(src), func(c *verifier.Config) { c.CacheEntries = 1 })
		good := token(nil, nil)
		expect(t, v, good, nil)
		for name, c := range refusals(nil, nil) {
			if c.edits == nil && c.want != verifier.ErrBinding {
				tok, err := verifyTwice(t, v, c.raw)
				if tok != nil || err == nil {
					t.Errorf("%s was accepted", name)
				}
			}
		}
		onlyCached(src)
		expect(t, v, good, nil)
	})
	t.Run("JV-35/refresh_that_adds_a_key", func(t *testing.T) {
		src := keysOne()
		v := newVerifier(t, withSource(src))
		raw := token(nil, nil)
		expect(t, v, raw, nil)
		src.set(jwks(jwk(ed(1), object{"kid": "new"}), jwk(rsaOne(), object{"kid": "renamed"})))
		for range 3 {
			expect(t, v, raw, nil)
		}
		if len(src.misses) != 0 {
			t.Errorf("verified again: misses %v", src.misses)
		}
	})
}

func TestTokenCacheForgets(t *testing.T) {
	for _, tt := range []struct {
		name string
		keys []raw
		want error
	}{
		{"JV-35/L3_key_withdrawn", []raw{jwk(ed(1), object{"kid": "two"})}, verifier.ErrUnknownKey},
		{"JV-35/L3_key_replaced_under_its_kid", []raw{jwk(rsaTwo(), object{"kid": "one"})}, verifier.ErrSignature},
		{"JV-35/key_now_for_encryption", []raw{jwk(rsaOne(), object{"kid": "one", "use": "enc"})}, verifier.ErrUnknownKey},
		{"JV-35/key_now_for_another_alg", []raw{jwk(rsaOne(), object{"kid": "one", "alg": "RS512"})}, verifier.ErrUnknownKey},
		{"JV-35/key_now_without_verify", []raw{jwk(rsaOne(), object{"kid": "one", "key_ops": []string{"sign"}})}, verifier.ErrUnknownKey},
		{"JV-35/set_now_empty", nil, verifier.ErrUnknownKey},
		{"JV-35/same_key_with_use_added", []raw{jwk(rsaOne(), object{"kid": "one", "use": "sig"})}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := keysOne()
			v, raw := newVerifier(t, withSource(src)), token(nil, nil)
			expect(t, v, raw, nil)
			src.set(jwks(tt.keys...))
			expect(t, v, raw, tt.want)
			expect(t, v, raw, tt.want)
			src.set(jwks(jwk(rsaOne(), object{"kid": "one"})))
			expect(t, v, raw, nil)
		})
	}
	t.Run("JV-35/set_may_no_longer_be_served", func(t *testing.T) {
		src := keysOne()
		v, raw := newVerifier(t, withSource(src)), token(nil, nil)
		expect(t, v, raw, nil)
		src.err = verifier.ErrKeysUnavailable
		expect(t, v, raw, verifier.ErrKeysUnavailable)
		src.err = nil
		expect(t, v, raw, nil)
	})
	t.Run("JV-35/L8_outage_is_not_remembered", func(t *testing.T) {
		src := &source{current: jwks(jwk(rsaOne(), object{"kid": "one"})), err: verifier.ErrKeysUnavailable}
		v, raw := newVerifier(t, withSource(src)), token(nil, nil)
		expect(t, v, raw, verifier.ErrKeysUnavailable)
		src.err = nil
		expect(t, v, raw, nil)
	})
	t.Run("JV-35/failure_is_not_remembered", func(t *testing.T) {
		var at movable
		src := &source{current: jwks(jwk(rsaTwo(), object{"kid": "one"}))}
		v, raw := newVerifier(t, withSource(src), withClock(&at)), token(nil, nil)
		expect(t, v, raw, verifier.ErrSignature)
		src.set(jwks(jwk(rsaOne(), object{"kid": "one"})))
		at.shift = -time.Hour
		expect(t, v, raw, verifier.ErrNotYetValid)
		at.shift = 0
		expect(t, v, raw, nil)
	})
	t.Run("JV-35/L10_configuration_changes", func(t *testing.T) {
		raw := token(nil, nil)
		src := keysOne()
		expect(t, newVerifier(t, withSource(src)), raw, nil)
		expect(t, newVerifier(t, withSource(src), func(c *verifier.Config) { c.Audience = []string{"x"} }), raw, verifier.ErrAudience)
		onlyCached(src)
		expect(t, newVerifier(t, withSource(src)), raw, verifier.ErrUnknownKey)
	})
}

func TestTokenCacheTimes(t *testing.T) {
	var at movable
	v := newVerifier(t, withClock(&at))
	raw := token(nil, object{"nbf": noon.Unix(), "iat": noon.Unix(), "exp": noon.Add(10 * time.Minute).Unix()})
	for _, step := range []struct {
		name  string
		shift time.Duration
		want  error
	}{
		{"JV-35/first_sight", 0, nil},
		{"JV-35/L2_last_moment", 10*time.Minute + 30*time.Second - 1, nil},
		{"JV-35/L2_past_exp", 10*time.Minute + 30*time.Second, verifier.ErrExpired},
		{"JV-35/L2_long_past", 1000 * time.Hour, verifier.ErrExpired},
		{"JV-35/L9_back_in_time", time.Minute, nil},
		{"JV-35/L9_at_nbf_less_leeway", -30 * time.Second, nil},
		{"JV-35/L9_before_nbf", -30*time.Second - 1, verifier.ErrNotYetValid},
		{"JV-35/L9_and_forward", 0, nil},
	} {
		t.Run(step.name, func(t *testing.T) {
			at.shift = step.shift
			expect(t, v, raw, step.want)
		})
	}
	t.Run("JV-35/iat_on_a_hit", func(t *testing.T) {
		var at movable
		v := newVerifier(t, withClock(&at))
		expect(t, v, token(nil, nil), nil)
		at.shift = -time.Minute - 30*time.Second - 1
		expect(t, v, token(nil, nil), verifier.ErrNotYetValid)
	})
}

func TestTokenCacheIsExact(t *testing.T) {
	src := keysOne()
	v, raw := newVerifier(t, withSource(src)), token(nil, nil)
	expect(t, v, raw, nil)
	t.Run("JV-35/L1_no_collisions", func(t *testing.T) {
		for _, other := range []string{raw[:len(raw)-1], raw + "A", "A" + raw, strings.ToLower(raw), raw + "\x00", raw + " ", raw + "=", "." + raw} {
			tok, err := verifyTwice(t, v, other)
			if tok != nil || err == nil {
				t.Errorf("a variant of a remembered token was accepted")
			}
		}
		parts := strings.Split(raw, ".")
		expect(t, v, parts[0]+"."+parts[1]+"."+b64(strings.Repeat("x", 256)), verifier.ErrSignature)
		expect(t, v, parts[0]+"."+b64(goodClaims().edit(object{"sub": "evil"}).String())+"."+parts[2], verifier.ErrSignature)
	})
	t.Run("JV-35/L6_last_bits", func(t *testing.T) {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, raw[len(raw)-1])
		for bit := range 4 { // 256 bytes leave four unused bits in the last letter
			expect(t, v, raw[:len(raw)-1]+string(alphabet[last^(1<<bit)]), verifier.ErrMalformedToken)
		}
	})
	t.Run("JV-35/L6_second_form_of_s", func(t *testing.T) {
		src := &source{current: jwks(jwk(ec256(), object{"kid": "one"}))}
		v, raw := newVerifier(t, withSource(src)), algToken("ES256", ec256())
		expect(t, v, raw, nil)
		src.set(jwks(jwk(ec256(), object{"kid": "renamed"})))
		expect(t, v, raw, nil)
		expect(t, v, otherForm(raw), verifier.ErrUnknownKey)
		src.set(jwks(jwk(ec256(), object{"kid": "one"})))
		expect(t, v, otherForm(raw), nil)
	})
	t.Run("JV-35/L4_other_verifier", func(t *testing.T) {
		expect(t, newVerifier(t, issuedBy(otherIssuer)), raw, verifier.ErrIssuer)
		expect(t, newVerifier(t, func(c *verifier.Config) { c.Audience = []string{"https://x.example"} }), raw, verifier.ErrAudience)
		expect(t, newVerifier(t, algorithms("PS256")), raw, verifier.ErrAlgorithm)
	})
	t.Run("JV-35/L4_requirements_on_each_use", func(t *testing.T) {
		for range 2 {
			tok, err := verifyTwice(t, v, raw, refusing(verifier.ErrInsufficientScope))
			wantClass(t, tok, err, verifier.ErrInsufficientScope)
			tok, err = verifyTwice(t, v, raw, refusing(nil))
			wantAccepted(t, tok, err)
		}
	})
	t.Run("JV-35/L4_under_another_issuer_of_a_joined_verifier", func(t *testing.T) {
		b := newVerifier(t, issuedBy(otherIssuer), withKeys(jwks(jwk(rsaTwo(), object{"kid": "one"}))))
		both := join(t, newVerifier(t), b)
		expect(t, both, raw, nil)
		expect(t, both, raw, nil)
		expect(t, b, raw, verifier.ErrIssuer)
	})
}

// otherForm turns the ES256 signature (R, S) into (R, n-S), which is as valid.
func otherForm(raw string) string {
	cut := strings.LastIndexByte(raw, '.') + 1
	sig := ok(base64.RawURLEncoding.DecodeString(raw[cut:]))
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(ec256().Curve.Params().N, s).FillBytes(sig[32:])
	return raw[:cut] + b64(string(sig))
}

func TestTokenCacheHandsOutCopies(t *testing.T) {
	t.Run("JV-35/changes_stay_in_one_request", func(t *testing.T) {
		v := newVerifier(t)
		raw := token(nil, object{
			"amr": []string{"pwd"}, "roles": []string{"a"}, "groups": []string{"b"}, "entitlements": []string{"c"}, "act": object{"sub": "d"},
		})
		for range 3 {
			tok := expect(t, v, raw, nil)
			wantUnspoiled(t, tok)
			spoil(tok)
		}
		_, err := verifyTwice(t, v, raw, rule(func(tok *verifier.Token) error { spoil(tok); return nil }))
		if err != nil {
			t.Fatal(err)
		}
		wantUnspoiled(t, expect(t, v, raw, nil))
	})
	t.Run("JV-35/decoded_claims_stay_the_same", func(t *testing.T) {
		v, raw := newVerifier(t), token(nil, object{"plan": "gold"})
		for range 3 {
			var claims map[string]any
			if err := expect(t, v, raw, nil).Decode(&claims); err != nil || claims["plan"] != "gold" {
				t.Fatalf("%v, %v", claims, err)
			}
			claims["plan"] = "evil"
		}
	})
	t.Run("JV-35/L5_bound_token_on_a_hit", func(t *testing.T) {
		v, raw := newVerifier(t), token(nil, keyBound)
		confirm := func(_ context.Context, tok *verifier.Token) error {
			tok.Binding = verifier.Binding{Kind: "dpop", Thumbprint: tok.Confirmation.JWKThumbprint}
			return nil
		}
		for range 2 {
			tok, err := verifyBoundTwice(t, v, raw, confirm)
			wantAccepted(t, tok, err)
			expect(t, v, raw, verifier.ErrBinding)
		}
	})
}

// TestMemoryHoldsNoToken looks for a token in a dump of the whole heap. What the
// cache keeps must not be enough to put the token together again: without its
// signature it is worth nothing.
func TestMemoryHoldsNoToken(t *testing.T) {
	t.Run("SE-12/no_token_at_rest", func(t *testing.T) {
		v := newVerifier(t)
		parts := verifyAndForget(t, v)
		dump := heapDump(t)
		runtime.KeepAlive(v)
		for _, p := range parts {
			if found := bytes.Contains(dump, backwards(p.reversed)); found != p.kept {
				t.Errorf("%s in memory: %v", p.name, found)
			}
		}
	})
}

// part is a part of a token, kept backwards so that this test itself does not
// bring it into memory.
type part struct {
	name     string
	reversed []byte
	kept     bool // a claim stays, since the token is remembered
}

//go:noinline
func verifyAndForget(t *testing.T, v *verifier.Verifier) []part {
	note := rand.Text()
	raw := token(nil, object{"note": note})
	expect(t, v, raw, nil)
	cut := strings.LastIndexByte(raw, '.')
	signature := ok(base64.RawURLEncoding.DecodeString(raw[cut+1:]))
	return []part{
		{"a claim", backwards([]byte(note)), true},
		{"the signature", backwards(signature), false},
		{"the signature as text", backwards([]byte(raw[cut+1:])), false},
		{"what was signed", backwards([]byte(raw[:cut])), false},
	}
}

func heapDump(t *testing.T) []byte {
	t.Helper()
	name := t.TempDir() + "/heap"
	f := ok(os.Create(name))
	for range 3 {
		runtime.GC()
	}
	debug.WriteHeapDump(f.Fd())
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return ok(os.ReadFile(name))
}

func backwards(b []byte) []byte {
	out := bytes.Clone(b)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}
