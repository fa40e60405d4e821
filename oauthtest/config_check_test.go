// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/oauthtest"
)

// faultOf is what is wrong with a configuration, "" if nothing is.
func faultOf(edit func(*oauthtest.Config)) string {
	return failureOf(func(t testing.TB) {
		oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = "ES256"; edit(c) })
	})
}

func client(edit func(*oauthtest.Client)) func(*oauthtest.Config) {
	return func(c *oauthtest.Config) {
		cl := oauthtest.Client{ID: "app"}
		edit(&cl)
		c.Clients = []oauthtest.Client{cl}
	}
}

func redirects(uris ...string) func(*oauthtest.Config) {
	return client(func(c *oauthtest.Client) { c.RedirectURIs = uris })
}

func users(list ...oauthtest.User) func(*oauthtest.Config) {
	return func(c *oauthtest.Config) { c.Users = list }
}

func TestGrantConfigFaults(t *testing.T) {
	key := newClientKey(t, nil)
	private, err := jose.PrivateJWK(key.Signer, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := func(set string) func(*oauthtest.Config) {
		return client(func(c *oauthtest.Client) { c.Keys = []byte(set) })
	}
	for _, tc := range []struct {
		name string
		edit func(*oauthtest.Config)
		want string // words of the error; "" if it is good
	}{
		{"TA-07/code_lifetime_60s", func(c *oauthtest.Config) { c.CodeLifetime = time.Minute }, ""},
		{"TA-07/code_lifetime_longer", func(c *oauthtest.Config) { c.CodeLifetime = time.Minute + 1 }, "CodeLifetime"},
		{"TA-07/code_lifetime_negative", func(c *oauthtest.Config) { c.CodeLifetime = -1 }, "CodeLifetime"},
		{"refresh_lifetime_negative", func(c *oauthtest.Config) { c.RefreshLifetime = -1 }, "RefreshLifetime"},
		{"device_interval_1s", func(c *oauthtest.Config) { c.DeviceInterval = time.Second }, ""},
		{"device_interval_fraction", func(c *oauthtest.Config) { c.DeviceInterval = 1500 * time.Millisecond }, "DeviceInterval"},
		{"device_interval_short", func(c *oauthtest.Config) { c.DeviceInterval = time.Millisecond }, "DeviceInterval"},
		{"device_interval_negative", func(c *oauthtest.Config) { c.DeviceInterval = -time.Second }, "DeviceInterval"},
		{"redirect_https", redirects("https://client.test/cb?x=y"), ""},
		{"redirect_private_scheme", redirects("com.example.app:/cb"), ""},
		{"redirect_fragment", redirects("https://client.test/cb#"), "RedirectURIs"},
		{"redirect_relative", redirects("https://client.test/cb", "/cb"), "RedirectURIs"},
		{"redirect_empty", redirects(""), "RedirectURIs"},
		{"keys", keys(string(key.set)), ""},
		{"keys_and_secret", client(func(c *oauthtest.Client) { c.Secret, c.Keys = "s", key.set }), "Keys"},
		{"keys_private", keys(`{"keys":[` + string(private) + `]}`), "private"},
		{"keys_none", keys(`{"keys":[]}`), "Keys"},
		{"keys_single_jwk", keys(string(private)), "Keys"},
		{"keys_secret", keys(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`), "Keys"},
		{"keys_empty", keys(""), "Keys"},
		{"keys_beside_an_unknown_type", keys(strings.Replace(string(key.set), "[", `[{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"},`, 1)), ""},
		{"keys_of_unknown_type", keys(`{"keys":[{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}]}`), "RSA, EC and OKP"},
		{"keys_beside_a_secret", keys(strings.Replace(string(key.set), "[", `[{"kty":"oct","k":"c2VjcmV0"},`, 1)), "Keys"},
		{"keys_beside_one_without_type", keys(strings.Replace(string(key.set), "[", `[{"x":"y"},`, 1)), "kty"},
		{"keys_beside_no_object", keys(strings.Replace(string(key.set), "[", `[1,`, 1)), "Keys"},
		{"openid", client(func(c *oauthtest.Client) { c.Scopes = []string{"a", "openid"} }), ""},
		{"openid_with_HMAC", func(c *oauthtest.Config) {
			c.Algorithm, c.Clients = "HS256", []oauthtest.Client{{ID: "app", Scopes: []string{"a", "openid"}}}
		}, "field Scopes holds openid"},
		{"nil_edit_of_client", client(func(c *oauthtest.Client) { c.TokenEdits = []oauthtest.Edit{oauthtest.Scope("a"), nil} }), `"app": edit 2 is nil`},
		{"nil_edit", func(c *oauthtest.Config) { c.TokenEdits = []oauthtest.Edit{nil} }, "TokenEdits: edit 1 is nil"},
		{"users_none", users([]oauthtest.User{}...), ""},
		{"user_without_subject", users(oauthtest.User{Name: "A"}), "Subject"},
		{"user_twice", users(oauthtest.User{Subject: "a"}, oauthtest.User{Subject: "a"}), "Subject"},
		{"user_named_like_a_client", func(c *oauthtest.Config) {
			c.Clients, c.Users = []oauthtest.Client{{ID: "a"}, {ID: "b"}}, []oauthtest.User{{Subject: "b"}}
		}, "Subject"},
		{"user_named_nearly_like_a_client", func(c *oauthtest.Config) {
			c.Clients, c.Users = []oauthtest.Client{{ID: "b"}}, []oauthtest.User{{Subject: "B"}}
		}, ""},
		{"user_claims_that_JSON_cannot_write", users(oauthtest.User{Subject: "a", Claims: jsonObject{"f": func() {}}}), "Claims"},
		{"user_claims_nested", users(oauthtest.User{Subject: "a", Claims: jsonObject{"address": jsonObject{"country": "NZ"}}}), ""},
		{"user_claims_sub", users(oauthtest.User{Subject: "a", Claims: jsonObject{"sub": "b"}}), "sub"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := faultOf(tc.edit); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("fault %q", got)
			}
			if private := faultOf(tc.edit); strings.Contains(private, secretOf(t, key)) {
				t.Error("the error quotes the key")
			}
		})
	}
}

// secretOf is the private member of the JWK.
func secretOf(t *testing.T, key clientKey) string {
	t.Helper()
	jwk, err := jose.PrivateJWK(key.Signer, nil)
	if err != nil {
		t.Fatal(err)
	}
	var members struct {
		D string `json:"d"`
	}
	if err := json.Unmarshal(jwk, &members); err != nil || members.D == "" {
		t.Fatal(err)
	}
	return members.D
}

func TestEveryFaultAtOnce(t *testing.T) {
	got := faultOf(func(c *oauthtest.Config) {
		c.CodeLifetime, c.RefreshLifetime, c.TokenLifetime, c.DeviceInterval = -1, -1, -1, -1
		c.Clients = []oauthtest.Client{{ID: "a", Scopes: []string{"a b"}}, {ID: "b", RedirectURIs: []string{"x"}}}
		c.Users = []oauthtest.User{{}}
	})
	for _, field := range []string{"CodeLifetime", "RefreshLifetime", "TokenLifetime", "DeviceInterval", "Scopes", "RedirectURIs", "Users"} {
		if !strings.Contains(got, field) {
			t.Errorf("%s is not in the one error: %s", field, got)
		}
	}
}
