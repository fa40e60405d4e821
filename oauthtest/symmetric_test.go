// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

func TestSymmetric(t *testing.T) {
	for alg, size := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		t.Run(alg, func(t *testing.T) {
			as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = alg })
			cfg, secret := as.SymmetricConfig(api)
			v, err := verifier.NewSymmetric(as.SymmetricConfig(api))
			if err != nil {
				t.Fatal(err)
			}
			t.Run("AL-04/accepted", func(t *testing.T) {
				raw := as.Token()
				if header, claims := parts(t, raw); header["alg"] != alg || claims["aud"] != api {
					t.Errorf("header %v, claims %v", header, claims)
				}
				wantVerdict(t, v, raw, nil)
			})
			t.Run("AL-04/forged", func(t *testing.T) {
				wantVerdict(t, v, as.Token(oauthtest.Forged()), verifier.ErrSignature)
			})
			t.Run("AL-04/secret_is_random", func(t *testing.T) {
				other := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = alg })
				_, theirs := other.SymmetricConfig(api)
				if len(secret.Value) != size || string(theirs.Value) == string(secret.Value) || theirs.KeyID == secret.KeyID {
					t.Errorf("%d bytes, kids %s and %s", len(secret.Value), secret.KeyID, theirs.KeyID)
				}
			})
			t.Run("AL-04/secret_is_a_copy", func(t *testing.T) {
				clear(secret.Value)
				if _, again := as.SymmetricConfig(); string(again.Value) == string(secret.Value) {
					t.Error("changed from outside")
				}
			})
			if cfg.Issuer != as.Issuer() || len(cfg.Audience) != 1 || cfg.Keys != nil {
				t.Errorf("config %+v", cfg)
			}
		})
	}
}

func TestSymmetricRotation(t *testing.T) {
	as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = "HS256" })
	v, err := verifier.NewSymmetric(as.SymmetricConfig(api))
	if err != nil {
		t.Fatal(err)
	}
	cfg, old := as.SymmetricConfig(api)
	before := as.Token()
	as.Rotate()
	t.Run("TA-22/secret_is_not_followed", func(t *testing.T) {
		wantVerdict(t, v, before, nil)
		wantVerdict(t, v, as.Token(), verifier.ErrUnknownKey)
	})
	t.Run("TA-22/both_secrets", func(t *testing.T) {
		_, secret := as.SymmetricConfig(api)
		v, err := verifier.NewSymmetric(cfg, old, secret)
		if err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, v, before, nil)
		wantVerdict(t, v, as.Token(), nil)
	})
}

// A shared secret is never published, and the two kinds of server are not confused.
func TestSymmetricHasNoKeySet(t *testing.T) {
	hmac := func(c *oauthtest.Config) { c.Algorithm = "HS256" }
	as := oauthtest.NewServer(t, hmac)
	as.Publish() // has nothing to publish
	if a := get(t, as.HTTPClient(), as.Issuer()+"/jwks"); a.status != http.StatusNotFound || as.KeySet() != nil {
		t.Errorf("%d %s, key set %s", a.status, a.body, as.KeySet())
	}
	jwk := as.PrivateJWK()
	if _, secret := as.SymmetricConfig(api); jwk["kty"] != "oct" || jwk["k"] != base64.RawURLEncoding.EncodeToString(secret.Value) || jwk["kid"] != secret.KeyID {
		t.Errorf("JWK %v", jwk)
	}
	for name, tc := range map[string]struct {
		word string
		do   func(*oauthtest.Server)
		edit func(*oauthtest.Config)
	}{
		"AL-04/VerifierConfig":   {"SymmetricConfig", func(as *oauthtest.Server) { as.VerifierConfig(api) }, hmac},
		"AL-04/SymmetricConfig":  {"VerifierConfig", func(as *oauthtest.Server) { as.SymmetricConfig(api) }, es256},
		"AL-04/EditKeySet":       {"key set", func(as *oauthtest.Server) { as.EditKeySet(nil) }, hmac},
		"AL-04/fault_of_key_set": {"key set", func(as *oauthtest.Server) { as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{}) }, hmac},
	} {
		t.Run(name, func(t *testing.T) {
			got := failureOf(func(t testing.TB) { tc.do(oauthtest.NewServer(t, tc.edit)) })
			if !strings.Contains(got, tc.word) {
				t.Errorf("failure %q", got)
			}
		})
	}
}
