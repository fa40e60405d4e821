// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// passing is the least that a wrapper does.
type passing struct{ *verifier.Verifier }

func (p passing) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	return p.Verifier.VerifyBound(ctx, raw, confirm, reqs...)
}

type maker = func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier

// shortLived refuses tokens that were made to live too long.
type shortLived struct {
	*verifier.Verifier
	life time.Duration
}

func (s shortLived) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	tok, err := s.Verifier.VerifyBound(ctx, raw, confirm, append([]verifier.Requirement{s}, reqs...)...)
	return tok, err
}

func (s shortLived) Check(tok *verifier.Token) error {
	if tok.ExpiresAt.Sub(tok.IssuedAt) > s.life {
		return &verifier.Error{Class: verifier.ErrInvalidClaim}
	}
	return nil
}

// demanding has a rule of its own for every token.
type demanding struct {
	*verifier.Verifier
	rule verifier.Requirement
}

func (d demanding) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	return d.Verifier.VerifyBound(ctx, raw, confirm, append([]verifier.Requirement{d.rule}, reqs...)...)
}

func TestTokenVerifierOfTheModule(t *testing.T) {
	t.Parallel()
	one := func(t testing.TB, cfg verifier.Config, edits ...configEdit) *verifier.Verifier {
		t.Helper()
		for _, edit := range edits {
			edit(&cfg)
		}
		v, err := verifier.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	configured := func(edit configEdit) maker {
		return func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
			return one(t, as.VerifierConfig(audience), edit)
		}
	}
	limited := func(life time.Duration) maker {
		return func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
			return shortLived{one(t, as.VerifierConfig(audience)), life}
		}
	}
	scoped := func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
		return demanding{one(t, as.VerifierConfig(audience)), scopes.All("a", "b")}
	}
	tenant := verifier.RequiredClaim{Path: verifier.ClaimPath{"tenant", "id"}, Values: []string{"t1"}}
	for name, tc := range map[string]struct {
		make  maker
		edits []oauthtest.Edit
	}{
		"required_claim":    {configured(func(c *verifier.Config) { c.RequiredClaims = []verifier.RequiredClaim{tenant} }), []oauthtest.Edit{oauthtest.Claim("tenant", map[string]any{"id": "t1"})}},
		"mapped_scopes":     {configured(func(c *verifier.Config) { c.Mapping.Scopes = verifier.ClaimPath{"scp"} }), []oauthtest.Edit{oauthtest.Claim("scp", []string{"a", "b"})}},
		"mapped_client":     {configured(func(c *verifier.Config) { c.Mapping.ClientID = verifier.ClaimPath{"ext", "cid"} }), []oauthtest.Edit{oauthtest.Claim("ext", map[string]any{"cid": "web"})}},
		"optional_client":   {configured(func(c *verifier.Config) { c.OptionalClaims = []string{"client_id"} }), []oauthtest.Edit{oauthtest.NoClaim("client_id")}},
		"RS256_only":        {configured(func(c *verifier.Config) { c.Algorithms = []string{"RS256"} }), []oauthtest.Edit{oauthtest.Header("alg", "RS256")}},
		"EdDSA_only":        {configured(func(c *verifier.Config) { c.Algorithms = []string{"EdDSA"} }), []oauthtest.Edit{oauthtest.Header("alg", "EdDSA")}},
		"scopes_a_and_b":    {scoped, nil},
		"a_day_at_most":     {limited(24 * time.Hour), nil},
		"5_minutes_at_most": {limited(5 * time.Minute), []oauthtest.Edit{oauthtest.ExpiresIn(5 * time.Minute)}},
	} {
		t.Run(name, func(t *testing.T) {
			oauthtest.OneOfMany(t, name == "mapped_scopes")
			oauthtest.TestTokenVerifier(t, tc.make, tc.edits...)
		})
	}
	warm := func(begin func(warm func())) maker {
		return func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
			keys := cache(t, as)
			begin(func() { _ = keys.Warm(context.Background()) })
			return one(t, as.VerifierConfig(audience), func(c *verifier.Config) { c.Keys = keys })
		}
	}
	for name, make := range map[string]maker{
		"warm_in_make":       warm(func(warm func()) { warm() }),
		"warm_in_background": warm(func(warm func()) { go warm() }),
		"Verifier": func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
			return one(t, as.VerifierConfig(audience))
		},
		"without_cache": func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
			return one(t, as.VerifierConfig(audience), func(c *verifier.Config) { c.CacheEntries = -1 })
		},
		"ProfileJWT": func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
			return one(t, as.VerifierConfig(audience), func(c *verifier.Config) { c.Profile = verifier.ProfileJWT })
		},
		"wrapped": func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
			return passing{one(t, as.VerifierConfig(audience))}
		},
		"Join": func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
			other := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Issuer, c.Algorithm = "https://other.test", "ES256" })
			v, err := verifier.Join(one(t, other.VerifierConfig(audience)), one(t, as.VerifierConfig(audience)))
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
	} {
		t.Run(name, func(t *testing.T) {
			oauthtest.OneOfMany(t, name == "Verifier" || name == "without_cache" || name == "warm_in_background")
			oauthtest.TestTokenVerifier(t, make)
		})
	}
}
