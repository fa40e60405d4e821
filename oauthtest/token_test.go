// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

// noon is the time of tests that look at time claims.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 500, time.UTC)

func atNoon(c *oauthtest.Config) {
	c.Now = func() time.Time { return noon }
	c.Algorithm = "ES256"
}

func TestDefaultToken(t *testing.T) {
	as := oauthtest.NewServer(t, atNoon)
	v := newVerifier(t, as.VerifierConfig(api, "https://second.example.com"))
	raw := as.Token()
	header, claims := parts(t, raw)
	id, _ := claims["jti"].(string)
	t.Run("TA-16/required_claims", func(t *testing.T) {
		delete(claims, "jti")
		want := map[string]any{
			"iss": "https://issuer.test", "aud": api, "sub": "user-1", "client_id": "test-client",
			"iat": float64(noon.Unix()), "exp": float64(noon.Add(10 * time.Minute).Unix()),
		}
		if !reflect.DeepEqual(claims, want) || id == "" {
			t.Errorf("claims %v, jti %q", claims, id)
		}
		if _, again := parts(t, as.Token()); again["jti"] == id {
			t.Error("two tokens with one jti")
		}
	})
	t.Run("TA-16/header", func(t *testing.T) {
		kid, _ := header["kid"].(string)
		if want := map[string]any{"typ": "at+jwt", "alg": "ES256", "kid": kid}; kid == "" || !reflect.DeepEqual(header, want) {
			t.Errorf("header %v", header)
		}
	})
	wantVerdict(t, v, raw, nil)
}

func TestClockAndLifetime(t *testing.T) {
	now := noon
	as := oauthtest.NewServer(t, atNoon, func(c *oauthtest.Config) {
		c.Now = func() time.Time { return now }
		c.TokenLifetime = time.Minute
	})
	v := newVerifier(t, as.VerifierConfig(api))
	raw := as.Token()
	t.Run("TA-03/clock_and_lifetime", func(t *testing.T) {
		wantVerdict(t, v, raw, nil)
		now = noon.Add(89 * time.Second) // one minute, and the leeway of 30 s
		wantVerdict(t, v, raw, nil)
		now = noon.Add(90 * time.Second)
		wantVerdict(t, v, raw, verifier.ErrExpired)
		wantVerdict(t, v, as.Token(), nil)
	})
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"} {
		t.Run(alg, func(t *testing.T) {
			as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = alg })
			v := newVerifier(t, as.VerifierConfig(api))
			raw := as.Token()
			if header, _ := parts(t, raw); header["alg"] != alg {
				t.Errorf("header %v", header)
			}
			wantVerdict(t, v, raw, nil)
			wantVerdict(t, v, as.Token(oauthtest.Forged()), verifier.ErrSignature)
		})
	}
}

// Each edit changes what it says and nothing else, and the verifier sees it.
func TestEdits(t *testing.T) {
	as := oauthtest.NewServer(t, atNoon)
	v := newVerifier(t, as.VerifierConfig(api))
	baseHeader, baseClaims := parts(t, as.Token())
	at := func(d time.Duration) float64 { return float64(noon.Add(d).Unix()) }
	for _, tc := range []struct {
		name           string
		edit           oauthtest.Edit
		header, claims map[string]any // nil: absent
		want           error
	}{
		{"scope", oauthtest.Scope("a", "b"), nil, map[string]any{"scope": "a b"}, nil},
		{"no_scope", oauthtest.Scope(), nil, nil, nil},
		{"audience", oauthtest.Audience("https://other"), nil, map[string]any{"aud": "https://other"}, verifier.ErrAudience},
		{"audiences", oauthtest.Audience("https://other", api), nil, map[string]any{"aud": []any{"https://other", api}}, nil},
		{"subject", oauthtest.Subject("u2"), nil, map[string]any{"sub": "u2"}, nil},
		{"client", oauthtest.ClientID("c2"), nil, map[string]any{"client_id": "c2"}, nil},
		{"expires_later", oauthtest.ExpiresIn(time.Hour), nil, map[string]any{"exp": at(time.Hour)}, nil},
		{"expires_soon", oauthtest.ExpiresIn(time.Second), nil, map[string]any{"exp": at(time.Second)}, nil},
		{"within_leeway", oauthtest.ExpiresIn(-29 * time.Second), nil, map[string]any{"exp": at(-29 * time.Second), "iat": at(-629 * time.Second)}, nil},
		{"expired", oauthtest.ExpiresIn(-31 * time.Second), nil, map[string]any{"exp": at(-31 * time.Second), "iat": at(-631 * time.Second)}, verifier.ErrExpired},
		{"claim", oauthtest.Claim("nbf", noon.Add(time.Hour).Unix()), nil, map[string]any{"nbf": at(time.Hour)}, verifier.ErrNotYetValid},
		{"no_claim", oauthtest.NoClaim("jti"), nil, map[string]any{"jti": nil}, verifier.ErrMissingClaim},
		{"issuer", oauthtest.Claim("iss", "https://evil.test"), nil, map[string]any{"iss": "https://evil.test"}, verifier.ErrIssuer},
		{"header", oauthtest.Header("kid", "unknown"), map[string]any{"kid": "unknown"}, nil, verifier.ErrUnknownKey},
		{"no_header", oauthtest.NoHeader("kid"), map[string]any{"kid": nil}, nil, nil},
		{"algorithm", oauthtest.Header("alg", "none"), map[string]any{"alg": "none"}, nil, verifier.ErrAlgorithm},
		{"type", oauthtest.Type("JWT"), map[string]any{"typ": "JWT"}, nil, verifier.ErrTokenType},
		{"no_type", oauthtest.Type(""), map[string]any{"typ": nil}, nil, verifier.ErrTokenType},
		{"forged", oauthtest.Forged(), nil, nil, verifier.ErrSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := as.Token(tc.edit)
			header, claims := parts(t, raw)
			wantOnly(t, "header", header, baseHeader, tc.header)
			claims["jti"], baseClaims["jti"] = claims["jti"] != nil, true
			if jti, edited := tc.claims["jti"]; edited && jti == nil && claims["jti"] == false {
				delete(claims, "jti")
			}
			wantOnly(t, "claims", claims, baseClaims, tc.claims)
			wantVerdict(t, v, raw, tc.want)
		})
	}
}

// wantOnly checks that got is base with the given changes.
func wantOnly(t *testing.T, what string, got, base, changes map[string]any) {
	t.Helper()
	want := map[string]any{}
	for name, v := range base {
		want[name] = v
	}
	for name, v := range changes {
		if want[name] = v; v == nil {
			delete(want, name)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %v\nwant %v", what, got, want)
	}
}

func TestEditsApplyInOrder(t *testing.T) {
	as := oauthtest.NewServer(t, atNoon)
	_, claims := parts(t, as.Token(oauthtest.Audience("a"), oauthtest.NoClaim("aud"), oauthtest.Audience("b")))
	if claims["aud"] != "b" {
		t.Errorf("claims %v", claims)
	}
}

func TestDefaultAudience(t *testing.T) {
	t.Run("first_ever_given", func(t *testing.T) {
		as := oauthtest.NewServer(t, atNoon)
		as.VerifierConfig()
		as.VerifierConfig("https://one", "https://two")
		as.VerifierConfig("https://three")
		if _, claims := parts(t, as.Token()); claims["aud"] != "https://one" {
			t.Errorf("aud %v", claims["aud"])
		}
	})
	t.Run("of_the_config", func(t *testing.T) {
		as := oauthtest.NewServer(t, atNoon, func(c *oauthtest.Config) { c.Audience = []string{"https://zero"} })
		as.VerifierConfig("https://one")
		if _, claims := parts(t, as.Token()); claims["aud"] != "https://zero" {
			t.Errorf("aud %v", claims["aud"])
		}
	})
	t.Run("none_fails_the_test", func(t *testing.T) {
		got := failureOf(func(t testing.TB) { oauthtest.NewServer(t, atNoon).Token() })
		if !strings.Contains(got, "VerifierConfig") {
			t.Errorf("failure %q", got)
		}
	})
	t.Run("none_panics_without_a_test", func(t *testing.T) {
		as := listen(t, oauthtest.Config{Algorithm: "ES256"})
		defer func() {
			if got, _ := recover().(string); !strings.Contains(got, "VerifierConfig") {
				t.Errorf("panic %q", got)
			}
		}()
		as.Token()
	})
	t.Run("none_needed", func(t *testing.T) {
		as := oauthtest.NewServer(t, atNoon)
		if _, claims := parts(t, as.Token(oauthtest.Audience("x"))); claims["aud"] != "x" {
			t.Errorf("claims %v", claims)
		}
		if _, claims := parts(t, as.Token(oauthtest.NoClaim("aud"))); claims["aud"] != nil {
			t.Errorf("claims %v", claims)
		}
	})
}

func TestUnwritableValues(t *testing.T) {
	for name, edit := range map[string]oauthtest.Edit{
		"claims": oauthtest.Claim("x", math.NaN()),
		"header": oauthtest.Header("x", math.NaN()),
	} {
		got := failureOf(func(t testing.TB) {
			oauthtest.NewServer(t, atNoon).Token(oauthtest.Audience("x"), edit)
		})
		if !strings.Contains(got, name) {
			t.Errorf("%s: failure %q", name, got)
		}
	}
}
