// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"context"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

// passing is the least that a wrapper does.
type passing struct{ *verifier.Verifier }

func (p passing) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	return p.Verifier.VerifyBound(ctx, raw, confirm, reqs...)
}

func TestTokenVerifierOfTheModule(t *testing.T) {
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
	for name, make := range map[string]func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier{
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
		t.Run(name, func(t *testing.T) { oauthtest.TestTokenVerifier(t, make) })
	}
}
