// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

const oauthDocument, openIDDocument = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"

func document(t *testing.T, as *oauthtest.Server) answer {
	t.Helper()
	a := get(t, as.HTTPClient(), as.Issuer()+openIDDocument)
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return a
}

func listOf(a answer, name string) []string {
	var list []string
	values, _ := a.json[name].([]any)
	for _, v := range values {
		list = append(list, fmt.Sprint(v))
	}
	return list
}

func TestMetadataMembers(t *testing.T) {
	as := newGrants(t, func(c *oauthtest.Config) {
		c.LegacyGrants = false
		c.Clients[0].Scopes = []string{"orders:read", "openid"}
	})
	a := document(t, as)
	const exchange, device = "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:device_code"
	for name, want := range map[string][]string{
		"grant_types_supported":                         {"authorization_code", "client_credentials", "refresh_token", device, exchange},
		"response_types_supported":                      {"code"},
		"response_modes_supported":                      {"query"},
		"scopes_supported":                              {"openid", "orders:read"},
		"code_challenge_methods_supported":              {"S256"},
		"subject_types_supported":                       {"public"},
		"id_token_signing_alg_values_supported":         {"ES256"},
		"token_endpoint_auth_methods_supported":         {"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		"revocation_endpoint_auth_methods_supported":    {"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		"introspection_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post", "private_key_jwt"},
	} {
		t.Run("TA-04/"+name, func(t *testing.T) {
			if got := listOf(a, name); !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
	for _, endpoint := range []string{"token", "introspection", "revocation"} {
		t.Run("TA-04/"+endpoint+"_signing_algorithms", func(t *testing.T) {
			got := listOf(a, endpoint+"_endpoint_auth_signing_alg_values_supported")
			if !slices.Contains(got, "ES256") || !slices.Contains(got, "RS256") || slices.Contains(got, "none") || slices.Contains(got, "HS256") {
				t.Errorf("%v", got)
			}
		})
	}
	t.Run("TA-11/iss_is_advertised", func(t *testing.T) {
		if a.json["authorization_response_iss_parameter_supported"] != true {
			t.Error(a.body)
		}
	})
	t.Run("TA-04/no_request_uri", func(t *testing.T) { // absence would mean true
		if a.json["request_uri_parameter_supported"] != false {
			t.Error(a.body)
		}
	})
	t.Run("TA-04/both_documents", func(t *testing.T) {
		if other := get(t, as.HTTPClient(), as.Issuer()+oauthDocument); other.body != a.body {
			t.Errorf("%s differs from %s", other.body, a.body)
		}
	})
}

// TestMetadataEndpoints asks every endpoint that the document names.
func TestMetadataEndpoints(t *testing.T) {
	for _, issuer := range []string{"https://issuer.test", "https://issuer.test/", "https://issuer.test/t1"} {
		as := newGrants(t, func(c *oauthtest.Config) { c.Issuer = issuer })
		a := get(t, as.HTTPClient(), strings.TrimSuffix(issuer, "/")+openIDDocument)
		for _, name := range []string{
			"jwks_uri", "authorization_endpoint", "token_endpoint", "introspection_endpoint",
			"revocation_endpoint", "userinfo_endpoint", "device_authorization_endpoint",
		} {
			t.Run("TA-04/"+name+"_of_"+issuer, func(t *testing.T) {
				if got := get(t, as.HTTPClient(), textOf(t, a, name)); got.status == http.StatusNotFound {
					t.Errorf("%v is not there", a.json[name])
				}
			})
		}
	}
}

func TestMetadataFollowsConfig(t *testing.T) {
	t.Run("TA-06/legacy", func(t *testing.T) {
		a := document(t, newGrants(t))
		for name, want := range map[string][]string{
			"grant_types_supported":    {"password", "implicit"},
			"response_types_supported": {"token"},
			"response_modes_supported": {"fragment"},
		} {
			for _, value := range want {
				if !slices.Contains(listOf(a, name), value) {
					t.Errorf("no %s among %v", value, listOf(a, name))
				}
			}
		}
	})
	t.Run("TA-04/symmetric_has_no_key_set", func(t *testing.T) {
		a := document(t, newGrants(t, func(c *oauthtest.Config) { c.Algorithm = "HS256" }))
		if _, ok := a.json["jwks_uri"]; ok {
			t.Error(a.body)
		}
	})
}

// TestCrossOrigin: what carries no cookie and no page may be read from other sites.
func TestCrossOrigin(t *testing.T) {
	as := newGrants(t)
	for path, method := range map[string]string{
		oauthDocument: http.MethodGet, openIDDocument: http.MethodGet, "/jwks": http.MethodGet,
		"/token": http.MethodPost, "/revoke": http.MethodPost,
	} {
		t.Run("TA-26/open"+path, func(t *testing.T) {
			if got := crossOrigin(t, as, method, path); got != "*" {
				t.Errorf("Access-Control-Allow-Origin %q", got)
			}
		})
	}
	for path, method := range map[string]string{
		"/authorize": http.MethodGet, "/introspect": http.MethodPost, "/device_authorization": http.MethodPost,
		"/device": http.MethodGet,
	} {
		t.Run("TA-26/closed"+path, func(t *testing.T) {
			if got := crossOrigin(t, as, method, path); got != "" {
				t.Errorf("Access-Control-Allow-Origin %q", got)
			}
		})
	}
}

func crossOrigin(t *testing.T, as *oauthtest.Server, method, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, as.Issuer()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://page.test")
	return do(t, as.HTTPClient(), req).header.Get("Access-Control-Allow-Origin")
}

// TestFormEndpoints: what all endpoints that take a form refuse alike.
func TestFormEndpoints(t *testing.T) {
	as := newGrants(t)
	app := basic("app", "secret")
	for _, path := range []string{"/token", "/introspect", "/revoke", "/device_authorization"} {
		t.Run("TA-14/get"+path, func(t *testing.T) {
			a := get(t, as.HTTPClient(), as.Issuer()+path+"?token=x")
			wantAnswer(t, a, http.StatusMethodNotAllowed, "invalid_request")
			if a.header.Get("Allow") != http.MethodPost {
				t.Errorf("Allow %q", a.header.Get("Allow"))
			}
		})
		for name, form := range map[string]string{
			"repeated": "scope=a&scope=b", "malformed": "scope=%zz", "oversize": "scope=" + strings.Repeat("x", 64<<10),
		} {
			t.Run("TA-14/"+name+path, func(t *testing.T) {
				wantAnswer(t, postForm(t, as, path, form, app), want400, "invalid_request")
			})
		}
		t.Run("TA-14/json"+path, func(t *testing.T) {
			json := func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }
			wantAnswer(t, postForm(t, as, path, "{}", app, json), want400, "invalid_request")
		})
	}
	t.Run("TA-14/repeated_resource_and_audience", func(t *testing.T) {
		wantAnswer(t, tokenRequest(t, as, byClientCredentials+"&resource="+api+"&resource="+secondAPI+"&audience=a&audience=b", app), want200, "")
	})
	t.Run("TA-15/resource_said_twice", func(t *testing.T) {
		a := tokenRequest(t, as, byClientCredentials+"&resource="+api+"&resource="+api, app)
		if _, claims := parts(t, textOf(t, a, "access_token")); claims["aud"] != api {
			t.Errorf("aud %v", claims["aud"])
		}
	})
}
