// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"context"
	"slices"
	"testing"

	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/verifier"
)

// kinds says what of RFC 9068 each function insists on, and what an ID token of the
// provider looks like that has our own audience: the worst case.
type kinds struct {
	provider
	client   string   // the claim of the client
	optional []string // of sub, client, iat and jti
	types    []string // of JWT and "" for none
	idToken  edit
	class    error // of its refusal
}

func at(name string) provider {
	return table[slices.IndexFunc(table, func(p provider) bool { return p.name == name })]
}

// tenantsOf is EntraTenants as the configuration of one tenant.
func tenantsOf(o options) (verifier.Config, error) {
	cfg, err := providers.EntraTenants(func(string) bool { return true }, o)
	if err != nil {
		return verifier.Config{}, err
	}
	return cfg.Resolve(context.Background(), issuerOf(tenant))
}

// listed is the function with a list of clients, which is ProfileJWT.
func listed(name, client string) provider {
	return provider{name: name, config: at(name).config, options: clients(client)}
}

func kindsTable() map[string]kinds {
	lax, either := []string{"sub", "iat", "jti"}, []string{"JWT", ""}
	jwt, none, jti := []string{"JWT"}, []string{""}, []string{"jti"}
	missing, typed, invalid := verifier.ErrMissingClaim, verifier.ErrTokenType, verifier.ErrInvalidClaim
	ofKeycloak := claim("typ", "ID")
	ofHydra := both(without("client_id", "scp"), claim("sid", "s"), claim("rat", 1))
	ofEntra := without("azp", "scp", "roles")
	return map[string]kinds{
		"auth0":            {at("auth0"), "azp", jti, jwt, both(without("azp", "scope"), claim("sid", "s")), missing},
		"okta":             {at("okta"), "cid", nil, none, both(without("cid", "scp", "uid"), claim("idp", "i")), missing},
		"cognito":          {at("cognito"), "client_id", lax, either, both(without("client_id", "scope"), claim("token_use", "id")), typed},
		"keycloak":         {at("keycloak"), "azp", nil, jwt, ofKeycloak, typed},
		"keycloak_clients": {listed("keycloak", "web-shop"), "azp", lax, either, ofKeycloak, typed},
		"zitadel":          {at("zitadel"), "client_id", nil, either, both(without("jti", "nbf", "scope"), claim("azp", "300000000000000002")), missing},
		"hydra":            {at("hydra"), "client_id", nil, jwt, ofHydra, missing},
		"hydra_clients":    {listed("hydra", "00000000-0000-4000-8000-0000000000c1"), "client_id", lax, either, ofHydra, missing},
		"firebase":         {at("firebase"), "client_id", []string{"client_id", "jti"}, jwt, claim("iss", "https://accounts.google.com"), verifier.ErrIssuer},
		"google":           {at("google"), "azp", jti, jwt, both(claim("email", "jane@example.com"), claim("azp", "1-web.apps.googleusercontent.com")), invalid},
		"github_actions":   {at("github_actions"), "client_id", []string{"client_id"}, jwt, both(without("repository_owner", "jti"), claim("azp", "c")), missing},
		"kubernetes":       {at("kubernetes"), "client_id", []string{"client_id", "jti"}, none, func(h, _ object) { h["typ"] = "JWT" }, typed},
		"entra":            {at("entra"), "azp", jti, jwt, ofEntra, missing},
		"entra_v1":         {at("entra_v1"), "appid", jti, jwt, without("appid", "scp", "roles"), missing},
		"entra_tenants":    {provider{name: "entra_tenants", config: tenantsOf, options: audience(entraAPI)}, "azp", jti, jwt, ofEntra, missing},
	}
}

// TestKinds: a claim that is required is often all that tells an access token from an
// ID token of the same issuer.
func TestKinds(t *testing.T) {
	for name, k := range kindsTable() {
		w := newWorld(t, k.name)
		v := w.verifier(k.config, k.options)
		accept(t, v, w.token())
		for _, c := range []string{"sub", k.client, "iat", "jti"} {
			raw := w.token(without(c))
			if slices.Contains(k.optional, c) {
				t.Run("AP-04/"+name+"_without_"+c, func(t *testing.T) { accept(t, v, raw) })
			} else {
				t.Run("AP-03/"+name+"_without_"+c, func(t *testing.T) { refuse(t, v, raw, verifier.ErrMissingClaim) })
			}
		}
		for typ, e := range map[string]edit{
			"JWT": func(h, _ object) { h["typ"] = "JWT" },
			"":    func(h, _ object) { delete(h, "typ") },
		} {
			raw := w.token(e)
			if slices.Contains(k.types, typ) {
				t.Run("AP-02/"+name+"_with_typ_"+typ, func(t *testing.T) { accept(t, v, raw) })
			} else {
				t.Run("AP-01/"+name+"_with_typ_"+typ, func(t *testing.T) { refuse(t, v, raw, verifier.ErrTokenType) })
			}
		}
		t.Run("D30/ID_token_"+name, func(t *testing.T) { refuse(t, v, w.token(k.idToken), k.class) })
	}
}
