// SPDX-License-Identifier: Apache-2.0

// The race detector makes pools forget at random, so that counts mean nothing there.
//go:build !race

package verifier_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// usual is a token as issuers make them, of about 900 bytes under RS256.
func usual(edits object) string {
	return token(nil, object{
		"aud":   []string{audience, issuerURL + "/userinfo"},
		"scope": "openid profile email orders:read orders:write", "nbf": noon.Add(-minutes).Unix(),
		"auth_time": noon.Add(-2 * minutes).Unix(), "acr": "urn:example:loa:2", "amr": []string{"pwd", "otp"},
		"roles": []string{"auditor", "clerk"}, "jti": "dbe39bf3a3ba4238a513f51d6e1691c4", "tenant": "north",
	}.edit(edits))
}

const minutes = 60_000_000_000

// perRun is the whole number of allocations of one call; of so many runs, those of the
// runtime itself do not count.
func perRun(f func()) float64 { return testing.AllocsPerRun(500, f) }

func accepts(t *testing.T, v *verifier.Verifier, raw string) func() {
	return func() {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
}

// bareRS256 is how many allocations the standard library needs to check the signature.
func bareRS256(t *testing.T) float64 {
	sum := sha256.Sum256([]byte("x"))
	sig := ok(rsa.SignPKCS1v15(nil, rsaOne(), crypto.SHA256, sum[:]))
	return perRun(func() {
		if err := rsa.VerifyPKCS1v15(&rsaOne().PublicKey, crypto.SHA256, sum[:], sig); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAllocations(t *testing.T) {
	off := func(cfg *verifier.Config) { cfg.CacheEntries = -1 }
	bare := bareRS256(t)
	for _, tt := range []struct {
		name string
		raw  string
		more float64
	}{
		{"first_sight", usual(nil), 3}, // payload, Token, hash
		{"first_sight_with_an_actor", usual(object{"act": object{"sub": "x"}}), 4},
		{"first_sight_of_many_scopes", usual(object{"scope": manyScopes(600)}), 5}, // the list, and a table for duplicates
		{"first_sight_of_3_KiB", usual(object{"x": strings.Repeat("x", 3<<10)}), 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, off)
			if n := perRun(accepts(t, v, tt.raw)); n > bare+tt.more {
				t.Errorf("%v allocations, want at most %v beside the %v of the signature check", n, tt.more, bare)
			}
		})
	}
	t.Run("first_sight_into_the_cache", func(t *testing.T) {
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.CacheEntries = 1 })
		two := [2]string{usual(nil), usual(object{"jti": "other"})}
		n := perRun(func() {
			accepts(t, v, two[0])()
			accepts(t, v, two[1])()
		})
		if n > 2*18 {
			t.Errorf("%v allocations for two first sights, want at most 36", n)
		}
	})
}

func TestAllocationsOfHits(t *testing.T) {
	act := object{"sub": "x", "client_id": "y"}
	for name, claims := range map[string]object{
		"usual": nil, "no_lists": {"scope": nil, "amr": nil, "roles": nil, "aud": audience}, "actor": {"act": act},
		"600_scopes": {"scope": manyScopes(2400)}, "everything": {"groups": []string{"a"}, "entitlements": []string{"b"}, "act": act},
	} {
		t.Run("hit_"+name, func(t *testing.T) {
			v, raw := newVerifier(t), usual(claims)
			if n := perRun(accepts(t, v, raw)); n > 1 {
				t.Errorf("%v allocations, want at most 1", n)
			}
		})
	}
	for n := 0; n <= 14; n++ {
		for _, scopes := range []int{1 << n, 1<<n + 1} {
			t.Run(fmt.Sprintf("hit_%d_scopes", scopes), func(t *testing.T) {
				raw := token(nil, object{"roles": raw(`[""` + strings.Repeat(`,""`, scopes-1) + `]`)})
				if len(raw) > 65_536 {
					t.Skip("no token holds so many strings")
				}
				v := newVerifier(t, func(cfg *verifier.Config) { cfg.MaxTokenBytes, cfg.CacheBytes = 65_536, 64<<20 })
				if n := testing.AllocsPerRun(100, accepts(t, v, raw)); n > 1 {
					t.Errorf("%v allocations, want at most 1", n)
				}
			})
		}
	}
	t.Run("hit_with_requirements", func(t *testing.T) {
		v, raw := newVerifier(t), usual(nil)
		n := perRun(func() {
			if _, err := v.Verify(t.Context(), raw, anyToken{}, anyToken{}); err != nil {
				t.Fatal(err)
			}
		})
		if n > 1 {
			t.Errorf("%v allocations, want at most 1", n)
		}
	})
	t.Run("JV-35/hit_with_mapped_claims", func(t *testing.T) {
		v := newVerifier(t, func(cfg *verifier.Config) {
			cfg.Mapping = verifier.Mapping{Scopes: path{"x", "scp"}, ClientID: path{"x", "app"}, Roles: path{"x", "roles"}}
			cfg.RequiredClaims = []verifier.RequiredClaim{{Path: path{"x", "use"}, Values: []string{"access"}}}
		})
		raw := token(nil, object{"x": object{"scp": []string{"a"}, "app": "c", "roles": []string{"r"}, "use": "access"}})
		if n := perRun(accepts(t, v, raw)); n > 1 {
			t.Errorf("%v allocations, want at most 1", n)
		}
	})
	t.Run("JV-35/expired_hit_makes_no_Token", func(t *testing.T) {
		at := &movable{}
		v, raw := newVerifier(t, withClock(at)), usual(object{"scope": manyScopes(2400)})
		accepts(t, v, raw)()
		at.shift = time.Hour
		spent := allocated(func() {
			if _, err := v.Verify(t.Context(), raw); verifier.ClassOf(err) != verifier.ErrExpired {
				t.Fatal(err)
			}
		})
		if spent > 1_024 {
			t.Errorf("%d bytes allocated for a refusal", spent)
		}
	})
	t.Run("hit_in_a_set_of_issuers", func(t *testing.T) {
		other := func(cfg *verifier.Config) { cfg.Issuer, cfg.Keys = "https://other.example", hidden{cfg.Keys} }
		v := ok(verifier.Join(newVerifier(t), newVerifier(t, other)))
		if n := perRun(accepts(t, v, usual(nil))); n > 1 {
			t.Errorf("%v allocations, want at most 1", n)
		}
	})
}

type anyToken struct{}

func (anyToken) Check(*verifier.Token) error { return nil }

// hidden does not say whose keys they are.
type hidden struct{ verifier.KeySource }

func (h hidden) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	return h.KeySource.Keys(ctx, miss)
}
