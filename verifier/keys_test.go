// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// expect verifies raw, twice, and fails unless the outcome is class; nil is acceptance.
func expect(t testing.TB, v *verifier.Verifier, raw string, class error) *verifier.Token {
	t.Helper()
	tok, err := verifyTwice(t, v, raw)
	return judged(t, tok, err, class)
}

// expectOnce is expect for tests that count what one sending causes.
func expectOnce(t testing.TB, v *verifier.Verifier, raw string, class error) *verifier.Token {
	t.Helper()
	tok, err := verifyOnce(t, v, raw)
	return judged(t, tok, err, class)
}

func judged(t testing.TB, tok *verifier.Token, err, class error) *verifier.Token {
	t.Helper()
	if class == nil {
		wantAccepted(t, tok, err)
		return tok
	}
	wantClass(t, tok, err, class)
	return nil
}

func withKeys(set *verifier.KeySet) func(*verifier.Config) {
	return func(cfg *verifier.Config) { cfg.Keys = &source{current: set} }
}

func withSource(src verifier.KeySource) func(*verifier.Config) {
	return func(cfg *verifier.Config) { cfg.Keys = src }
}

// ed is the n-th of many cheap keys.
func ed(n int) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(n)}, ed25519.SeedSize))
}

// edJWKs are the keys from to below to, all with the same members.
func edJWKs(from, to int, members object) (keys []raw) {
	for n := from; n < to; n++ {
		keys = append(keys, jwk(ed(n), members))
	}
	return keys
}

// edToken is a good token signed by the n-th key; kid nil means none.
func edToken(n int, kid any) string {
	return sign(ed(n), "EdDSA", goodHeader().edit(object{"alg": "EdDSA", "kid": kid}).String(), goodClaims().String())
}

func TestSelectionWithKid(t *testing.T) {
	t.Run("KS-20/E13_same_kid_other_type", func(t *testing.T) {
		for _, order := range [][]raw{
			{jwk(ec256(), object{"kid": "one"}), jwk(rsaOne(), object{"kid": "one"})},
			{jwk(rsaOne(), object{"kid": "one"}), jwk(ec256(), object{"kid": "one"})},
		} {
			v := newVerifier(t, withKeys(jwks(order...)))
			expect(t, v, token(nil, nil), nil)
			expect(t, v, algToken("ES256", ec256()), nil)
		}
	})
	t.Run("KS-20/E14_same_kid_same_type", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(jwk(rsaTwo(), object{"kid": "one"}), jwk(rsaOne(), object{"kid": "one"}))))
		expect(t, v, token(nil, nil), nil)
	})
	t.Run("KS-20/eight_are_tried", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(edJWKs(1, 9, object{"kid": "one"})...)))
		for n := 1; n < 9; n++ {
			expect(t, v, edToken(n, "one"), nil)
		}
	})
	t.Run("KS-20/the_ninth_is_not", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(edJWKs(1, 10, object{"kid": "one"})...)))
		expect(t, v, edToken(8, "one"), nil)
		expect(t, v, edToken(9, "one"), verifier.ErrSignature)
	})
	t.Run("KS-20/only_fitting_keys_count", func(t *testing.T) {
		misfits := slices.Concat(
			edJWKs(1, 9, object{"kid": "one", "use": "enc"}), edJWKs(1, 9, object{"kid": "one", "alg": "ES256"}),
			edJWKs(1, 9, object{"kid": "other"}), []raw{jwk(rsaOne(), object{"kid": "one"}), jwk(ec256(), object{"kid": "one"})},
		)
		v := newVerifier(t, withKeys(jwks(append(misfits, jwk(ed(9), object{"kid": "one"}))...)))
		expect(t, v, edToken(9, "one"), nil)
	})
	t.Run("KS-20/replaced_under_one_kid", func(t *testing.T) {
		old, next := jwks(jwk(rsaTwo(), object{"kid": "one"})), jwks(jwk(rsaOne(), object{"kid": "one"}))
		src := &source{current: old, refreshed: next}
		expect(t, newVerifier(t, withSource(src)), token(nil, nil), nil)
		wantMisses(t, src, verifier.Miss{Set: old, KeyID: "one"})
	})
	t.Run("KS-20/refetch_fails", func(t *testing.T) {
		src := &source{current: jwks(jwk(rsaTwo(), object{"kid": "one"})), missErr: verifier.ErrKeysUnavailable}
		expectOnce(t, newVerifier(t, withSource(src)), token(nil, nil), verifier.ErrSignature)
		if len(src.misses) != 1 {
			t.Errorf("%d misses, want 1", len(src.misses))
		}
	})
	t.Run("KS-20/refetch_brings_nothing_new", func(t *testing.T) {
		src := &source{current: jwks(jwk(rsaTwo(), object{"kid": "one"}))}
		expect(t, newVerifier(t, withSource(src)), token(nil, nil), verifier.ErrSignature)
	})
}

func wantMisses(t *testing.T, src *source, want ...verifier.Miss) {
	t.Helper()
	if !slices.Equal(src.misses, want) {
		t.Errorf("misses %v, want %v", src.misses, want)
	}
}

func TestUnknownKid(t *testing.T) {
	set, next := jwks(jwk(rsaOne(), object{"kid": "one"})), jwks(jwk(rsaOne(), object{"kid": "two"}))
	two := token(object{"kid": "two"}, nil)
	t.Run("KS-11/C29_refetch_failed", func(t *testing.T) {
		src := &source{current: set, missErr: verifier.ErrKeysUnavailable}
		v := newVerifier(t, withSource(src))
		expect(t, v, two, verifier.ErrKeysUnavailable)
		expect(t, v, token(nil, nil), nil)
	})
	t.Run("KS-11/rotated", func(t *testing.T) {
		src := &source{current: set, refreshed: next}
		expect(t, newVerifier(t, withSource(src)), two, nil)
		wantMisses(t, src, verifier.Miss{Set: set, KeyID: "two"})
	})
	t.Run("KS-11/source_says_no_refresh", func(t *testing.T) {
		src := &source{current: set}
		expectOnce(t, newVerifier(t, withSource(src)), two, verifier.ErrUnknownKey)
		wantMisses(t, src, verifier.Miss{Set: set, KeyID: "two"})
	})
	t.Run("KS-11/newer_set_without_it", func(t *testing.T) {
		src := &source{current: set, refreshed: jwks(jwk(rsaOne(), object{"kid": "three"}))}
		expectOnce(t, newVerifier(t, withSource(src)), two, verifier.ErrUnknownKey)
		if len(src.misses) != 1 {
			t.Errorf("%d misses, want 1", len(src.misses))
		}
	})
	t.Run("KS-11/newer_set_with_another_key_of_that_kid", func(t *testing.T) {
		src := &source{current: set, refreshed: jwks(jwk(rsaTwo(), object{"kid": "two"}))}
		expect(t, newVerifier(t, withSource(src)), two, verifier.ErrSignature)
	})
	t.Run("KS-22/fetched_set_never_falls_back", func(t *testing.T) {
		for _, members := range []object{{"kid": "one"}, {"kid": "TWO"}, {"kid": "tw"}, {"kid": "two "}, {"kid": ""}, nil} {
			expect(t, newVerifier(t, withKeys(jwks(jwk(rsaOne(), members)))), two, verifier.ErrUnknownKey)
		}
		noKid := newVerifier(t, withKeys(jwks(jwk(rsaOne(), nil))))
		expect(t, noKid, token(object{"kid": ""}, nil), verifier.ErrUnknownKey)
	})
	t.Run("KS-22/local_key_without_kid_fits_any", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(jwk(rsaOne(), nil)).Local()))
		for _, kid := range []any{"two", "", nil} {
			expect(t, v, token(object{"kid": kid}, nil), nil)
		}
		bad := sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().String())
		expect(t, v, bad, verifier.ErrSignature)
	})
	t.Run("KS-22/local_key_with_another_kid_does_not", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(jwk(rsaOne(), object{"kid": "one"})).Local()))
		expect(t, v, two, verifier.ErrUnknownKey)
	})
}

func TestSelectionWithoutKid(t *testing.T) {
	t.Run("KS-21/C26_single_key", func(t *testing.T) {
		for _, members := range []object{nil, {"kid": "one"}} {
			v := newVerifier(t, withKeys(jwks(jwk(ec256(), nil), jwk(rsaOne(), members))))
			expect(t, v, token(object{"kid": nil}, nil), nil)
		}
	})
	t.Run("KS-21/C27_eight_keys", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(edJWKs(1, 9, nil)...)))
		expect(t, v, edToken(1, nil), nil)
		expect(t, v, edToken(8, nil), nil)
		expect(t, v, edToken(99, nil), verifier.ErrSignature)
	})
	t.Run("KS-21/C27_nine_keys", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(edJWKs(1, 10, nil)...)))
		expect(t, v, edToken(9, nil), verifier.ErrUnknownKey)
	})
	t.Run("KS-21/miss_refetches_once", func(t *testing.T) {
		old := jwks(edJWKs(1, 2, nil)...)
		src := &source{current: old, refreshed: jwks(edJWKs(2, 3, nil)...)}
		expect(t, newVerifier(t, withSource(src)), edToken(2, nil), nil)
		wantMisses(t, src, verifier.Miss{Set: old})
	})
	t.Run("KS-21/no_fitting_key", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(jwk(ec256(), nil))))
		expect(t, v, token(object{"kid": nil}, nil), verifier.ErrUnknownKey)
	})
}

// foreignKey returns headers that name or carry an attacker's key.
func foreignKey(key *ecdsa.PrivateKey) map[string]object {
	const evil = "https://evil.example/keys"
	return map[string]object{
		"C40_jku":          {"jku": evil, "kid": "evil"},
		"C40_jku_userinfo": {"jku": issuerURL + "@evil.example", "kid": "evil"},
		"C40_jku_file":     {"jku": "file:///dev/null", "kid": "evil"},
		"C40_jku_metadata": {"jku": "http://169.254.169.254/", "kid": "evil"},
		"C41_x5u":          {"x5u": evil, "kid": "evil"},
		"C42_jwk":          {"jwk": jwk(key, object{"kid": "evil"}), "kid": "evil"},
		"C42_jwk_no_kid":   {"jwk": jwk(key, nil), "kid": nil},
		"C44_x5c":          {"x5c": []string{"MIIB"}, "x5t": "AA", "x5t#S256": "AA", "kid": "evil"},
		"C30_kid_path":     {"kid": "../../../../dev/null"},
		"C31_kid_SQL":      {"kid": "x' UNION SELECT 'k'--"},
		"C33_kid_URL":      {"kid": evil},
		"C36_kid_control":  {"kid": "\r\n\x1b[31m\u202e"},
	}
}

func TestForeignKeys(t *testing.T) {
	src := &source{current: jwks(jwk(ec256(), object{"kid": "one"}))}
	v := newVerifier(t, withSource(src))
	evil := ok(ecdsa.GenerateKey(ec256().Curve, rand.Reader))
	for name, header := range foreignKey(evil) {
		t.Run("JV-11/"+name, func(t *testing.T) {
			raw := sign(evil, "ES256", goodHeader().edit(object{"alg": "ES256"}).edit(header).String(), goodClaims().String())
			want := verifier.ErrUnknownKey
			if header["kid"] == nil {
				want = verifier.ErrSignature
			}
			expect(t, v, raw, want)
		})
		t.Run("JV-11/C43_kid_of_the_real_key_"+name, func(t *testing.T) {
			header := header.edit(object{"alg": "ES256", "kid": "one"})
			expect(t, v, sign(evil, "ES256", goodHeader().edit(header).String(), goodClaims().String()), verifier.ErrSignature)
			expect(t, v, sign(ec256(), "ES256", goodHeader().edit(header).String(), goodClaims().String()), nil)
		})
	}
}

// TestRefreshFails: a key that may be in a set nobody can fetch is not the client's
// fault.
func TestRefreshFails(t *testing.T) {
	one := jwk(ed(1), object{"kid": "one"})
	for name, c := range map[string]struct {
		set  *verifier.KeySet
		raw  string
		want error
	}{
		"KS-20/the_named_key_is_there":               {jwks(one), edToken(2, "one"), verifier.ErrSignature},
		"KS-11/another_kid":                          {jwks(one), edToken(2, "two"), verifier.ErrKeysUnavailable},
		"KS-21/token_without_kid":                    {jwks(one), edToken(2, nil), verifier.ErrKeysUnavailable},
		"KS-11/local_key_without_kid_is_not_the_one": {jwks(jwk(ed(1), nil)).Local(), edToken(2, "two"), verifier.ErrKeysUnavailable},
		"KS-11/named_key_of_another_type": {
			verifier.MergeKeySets(jwks(jwk(ec256(), object{"kid": "two"})), jwks(jwk(ed(1), nil)).Local()), edToken(2, "two"), verifier.ErrKeysUnavailable,
		},
		"KS-20/named_key_beside_a_local_one": {
			verifier.MergeKeySets(jwks(jwk(ed(3), object{"kid": "two"})), jwks(jwk(ed(1), nil)).Local()), edToken(2, "two"), verifier.ErrSignature,
		},
	} {
		t.Run(name, func(t *testing.T) {
			src := &source{current: c.set, missErr: verifier.ErrKeysUnavailable}
			expect(t, newVerifier(t, withSource(src)), c.raw, c.want)
		})
	}
}
