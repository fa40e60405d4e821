// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

func cache(t testing.TB, as *oauthtest.Server) *jwkscache.Cache {
	t.Helper()
	c, err := jwkscache.New(jwkscache.Config{Issuer: as.Issuer(), HTTPClient: as.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKeySourceOfTheModule(t *testing.T) {
	t.Parallel()
	t.Run("Cache", func(t *testing.T) {
		oauthtest.TestKeySource(t, func(t testing.TB, as *oauthtest.Server) verifier.KeySource { return cache(t, as) })
	})
	t.Run("Cache_of_a_URL", func(t *testing.T) {
		oauthtest.TestKeySource(t, func(t testing.TB, as *oauthtest.Server) verifier.KeySource {
			c, err := jwkscache.New(jwkscache.Config{URL: as.Issuer() + "/jwks", HTTPClient: as.HTTPClient()})
			if err != nil {
				t.Fatal(err)
			}
			return c
		})
	})
	t.Run("Joined", func(t *testing.T) {
		oauthtest.TestKeySource(t, func(t testing.TB, as *oauthtest.Server) verifier.KeySource {
			j, err := jwkscache.Join(cache(t, as), cache(t, as))
			if err != nil {
				t.Fatal(err)
			}
			return j
		})
	})
	t.Run("Static", func(t *testing.T) {
		oauthtest.TestKeySource(t, func(t testing.TB, as *oauthtest.Server) verifier.KeySource {
			s, err := jwkscache.NewStatic(as.KeySet())
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
}
