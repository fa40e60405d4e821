// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"slices"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// issuers are the forms of an issuer that discovery must cope with.
var issuers = []struct {
	name string
	edit func(*oauthtest.Config)
}{
	{"plain", func(*oauthtest.Config) {}},
	{"with_path", func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/tenants/one" }},
	{"with_slash", func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/" }},
}

func TestDiscovery(t *testing.T) {
	for _, i := range issuers {
		t.Run("TA-04/go_oidc_"+i.name, func(t *testing.T) {
			w := newWorld(t, inMemory, i.edit)
			provider, err := oidc.NewProvider(w.context(), w.as.Issuer())
			if err != nil {
				t.Fatal(err)
			}
			keys := provider.Verifier(&oidc.Config{ClientID: ordersAPI})
			tok, err := keys.Verify(w.context(), w.as.Token(oauthtest.Scope("orders:read")))
			if err != nil || tok.Issuer != w.as.Issuer() || tok.Subject != "user-1" || !slices.Equal(tok.Audience, []string{ordersAPI}) {
				t.Errorf("access token: %+v, %v", tok, err)
			}
			w.as.Rotate()
			if _, err := keys.Verify(w.context(), w.as.Token()); err != nil {
				t.Errorf("after a rotation: %v", err)
			}
			if _, err := keys.Verify(w.context(), w.as.Token(oauthtest.Forged())); err == nil {
				t.Error("a key that was never published is accepted")
			}
		})
	}
	for _, p := range places[1:] {
		t.Run("TA-04/go_oidc_"+p.name, func(t *testing.T) {
			w := newWorld(t, p)
			for _, as := range []*oauthtest.Server{w.as, w.as.Tenant("/one"), w.as.Tenant("/two/deep")} {
				provider, err := oidc.NewProvider(w.context(), as.Issuer())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := provider.Verifier(&oidc.Config{ClientID: ordersAPI}).Verify(w.context(), as.Token()); err != nil {
					t.Errorf("%s: %v", as.Issuer(), err)
				}
			}
		})
	}
}

// TestAlgorithms: go-oidc knows EdDSA by its older name only.
func TestAlgorithms(t *testing.T) {
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		t.Run("TA-03/go_oidc_"+alg, func(t *testing.T) {
			w := newWorld(t, inMemory, func(c *oauthtest.Config) { c.Algorithm = alg })
			provider, err := oidc.NewProvider(w.context(), w.as.Issuer())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := provider.Verifier(&oidc.Config{ClientID: ordersAPI}).Verify(w.context(), w.as.Token()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestIDToken(t *testing.T) {
	for _, p := range places {
		t.Run("id_token_"+p.name, func(t *testing.T) {
			w := newWorld(t, p, users)
			client := w.webApp(t, oidc.ScopeOpenID, "orders:read")
			provider, err := oidc.NewProvider(w.context(), w.as.Issuer())
			if err != nil {
				t.Fatal(err)
			}
			verifier := oauth2.GenerateVerifier()
			page := open(t, w.http, client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(verifier), oidc.Nonce("n0nce")))
			for name := range page.radios {
				page.fields.Set(name, "ada")
			}
			tok, err := client.Exchange(w.context(), code(t, w, page.redirected(t, "Allow"), callback), oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			w.wantAccess(t, tok, "ada")
			w.wantIdentity(t, provider, tok)
		})
	}
}

// wantIdentity checks what OpenID Connect Core 1.0 §2 and §5.3 promise about ada.
func (w *world) wantIdentity(t *testing.T, provider *oidc.Provider, tok *oauth2.Token) {
	t.Helper()
	raw, _ := tok.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: "web app"}).Verify(w.context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if id.Subject != "ada" || id.Nonce != "n0nce" {
		t.Errorf("the ID token is of %q with nonce %q", id.Subject, id.Nonce)
	}
	if err := id.VerifyAccessToken(tok.AccessToken); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	var claims struct {
		Email    string `json:"email"`
		AuthTime int64  `json:"auth_time"`
	}
	if err := id.Claims(&claims); err != nil || claims.Email != "ada@example.com" || claims.AuthTime == 0 {
		t.Errorf("the ID token says %+v (%v)", claims, err)
	}
	info, err := provider.UserInfo(w.context(), oauth2.StaticTokenSource(tok))
	if err != nil || info.Subject != "ada" || info.Email != "ada@example.com" {
		t.Errorf("userinfo says %+v (%v)", info, err)
	}
	// An ID token must not open an API (RFC 9068 §5, §6).
	if status := w.status(t, &oauth2.Token{AccessToken: raw}); status != 401 {
		t.Errorf("the API answers %d to an ID token", status)
	}
}

// status is the answer of /orders.
func (w *world) status(t *testing.T, tok *oauth2.Token) int {
	t.Helper()
	resp, err := oauth2.NewClient(w.context(), oauth2.StaticTokenSource(tok)).Get(base + "/orders")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
