// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	secondAPI = "https://second.example.com"
	oddSecret = "s%c r:+t/é" // what form encoding inside Basic must carry
)

func newTokenEndpoint(t *testing.T) *oauthtest.Server {
	return oauthtest.NewServer(t, func(c *oauthtest.Config) {
		c.Algorithm = "ES256"
		// The last two are known, but no resource identifiers (RFC 8707 §2).
		c.Audience = []string{api, secondAPI, "/orders", api + "#a"}
		c.Clients = []oauthtest.Client{
			{ID: "app", Secret: "secret"},
			{ID: "odd:client", Secret: oddSecret, Scopes: []string{"orders:read", "orders:write"}},
			{ID: "public"},
		}
	})
}

const want200, want400, want401 = http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized

// wantAnswer checks what every answer of the token endpoint has in common.
func wantAnswer(t *testing.T, a answer, status int, code string) {
	t.Helper()
	got, _ := a.json["error"].(string)
	if a.status != status || got != code {
		t.Errorf("%d %s, want %d %q", a.status, a.body, status, code)
	}
	if description, _ := a.json["error_description"].(string); got != "" {
		wantDescription(t, description)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("cacheable: %v", a.header)
	}
	if challenge := a.header.Get("WWW-Authenticate"); (challenge == `Basic realm="oauthtest"`) != (status == want401) {
		t.Errorf("status %d with challenge %q", a.status, challenge)
	}
}

func TestClientAuthentication(t *testing.T) {
	as := newTokenEndpoint(t)
	const grant = "grant_type=client_credentials"
	header := func(lines ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Authorization"] = lines }
	}
	for _, tc := range []struct {
		name, form string
		edit       func(*http.Request)
		status     int
		code       string
	}{
		{"TA-13/client_secret_basic", grant, basic("app", "secret"), want200, ""},
		{"TA-13/client_secret_basic_encoded", grant, basic("odd:client", oddSecret), want200, ""},
		{"TA-13/client_secret_post", grant + "&client_id=app&client_secret=secret", nil, want200, ""},
		{"TA-13/basic_with_equal_client_id", grant + "&client_id=app", basic("app", "secret"), want200, ""},
		{"TA-13/wrong_secret", grant, basic("app", "Secret"), want401, "invalid_client"},
		{"TA-13/wrong_secret_post", grant + "&client_id=app&client_secret=x", nil, want401, "invalid_client"},
		{"TA-13/secret_of_another_client", grant, basic("odd:client", "secret"), want401, "invalid_client"},
		{"TA-13/unknown_client", grant, basic("nobody", "secret"), want401, "invalid_client"},
		{"TA-13/no_authentication", grant, nil, want401, "invalid_client"},
		{"TA-13/public_client_refused", grant + "&client_id=public", nil, want401, "invalid_client"},
		{"TA-13/public_client_with_empty_secret", grant, basic("public", ""), want401, "invalid_client"},
		{"TA-13/other_scheme", grant, header("Bearer x"), want401, "invalid_client"},
		{"TA-13/bad_encoding", grant, func(r *http.Request) { r.SetBasicAuth("app", "%zz") }, want401, "invalid_client"},
		{"two_methods", grant + "&client_secret=secret", basic("app", "secret"), want400, "invalid_request"},
		{"two_headers", grant, header("Basic YXBwOnNlY3JldA==", "Basic YXBwOnNlY3JldA=="), want400, "invalid_request"},
		{"other_client_id", grant + "&client_id=public", basic("app", "secret"), want400, "invalid_request"},
		{"secret_in_url", grant, func(r *http.Request) { r.URL.RawQuery = "client_id=app&client_secret=secret" }, want401, "invalid_client"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			edit := tc.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			wantAnswer(t, tokenRequest(t, as, tc.form, edit), tc.status, tc.code)
		})
	}
}

func TestTokenRequestForm(t *testing.T) {
	as := newTokenEndpoint(t)
	auth := basic("app", "secret")
	mediaType := func(v string) func(*http.Request) {
		return func(r *http.Request) { auth(r); r.Header.Set("Content-Type", v) }
	}
	for _, tc := range []struct {
		name, form string
		edit       func(*http.Request)
		status     int
		code       string
	}{
		{"TA-14/success", "grant_type=client_credentials", auth, want200, ""},
		{"TA-14/error", "grant_type=client_credentials&scope=%22", auth, want400, "invalid_scope"},
		{"TA-14/repeated_grant_type", "grant_type=client_credentials&grant_type=client_credentials", auth, want400, "invalid_request"},
		{"TA-14/repeated_scope", "grant_type=client_credentials&scope=a&scope=b", auth, want400, "invalid_request"},
		{"TA-14/repeated_empty", "grant_type=client_credentials&scope=&scope=b", auth, want400, "invalid_request"},
		{"TA-14/repeated_unknown", "grant_type=client_credentials&x=1&x=1", auth, want400, "invalid_request"},
		{"TA-14/repeated_client_secret", "grant_type=client_credentials&client_id=app&client_secret=secret&client_secret=x", func(*http.Request) {}, want400, "invalid_request"},
		{"empty_counts_as_omitted", "grant_type=client_credentials&scope=&x=", auth, want200, ""},
		{"no_grant_type", "scope=a", auth, want400, "invalid_request"},
		{"empty_grant_type", "grant_type=", auth, want400, "invalid_request"},
		{"TA-05/password_grant", "grant_type=password&username=a&password=b", auth, want400, "unsupported_grant_type"},
		{"unknown_grant", "grant_type=x", auth, want400, "unsupported_grant_type"},
		{"malformed_form", "grant_type=%zz", auth, want400, "invalid_request"},
		{"oversize", "grant_type=client_credentials&x=" + strings.Repeat("x", 64<<10), auth, want400, "invalid_request"},
		{"media_type_parameter", "grant_type=client_credentials", mediaType("application/x-www-form-urlencoded; charset=UTF-8"), want200, ""},
		{"json", `{"grant_type":"client_credentials"}`, mediaType("application/json"), want400, "invalid_request"},
		{"no_media_type", "grant_type=client_credentials", mediaType(""), want400, "invalid_request"},
		{"grant_in_url", "", func(r *http.Request) { auth(r); r.URL.RawQuery = "grant_type=client_credentials" }, want400, "invalid_request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantAnswer(t, tokenRequest(t, as, tc.form, tc.edit), tc.status, tc.code)
		})
	}
	for _, tc := range []struct{ name, form, says string }{
		{"TA-14/says_what_is_repeated", "scope=a&grant_type=x&scope=b", "the parameter scope is repeated"},
		{"TA-14/says_the_first_in_the_alphabet", "x=1&x=2&scope=a&scope=b", "the parameter scope is repeated"},
		{"TA-14/longest_name_that_is_said", strings.Repeat("n", 40) + "&" + strings.Repeat("n", 40), "the parameter " + strings.Repeat("n", 40) + " is repeated"},
		{"TA-14/longer_name", strings.Repeat("n", 41) + "&" + strings.Repeat("n", 41), "a parameter is repeated"},
		{"TA-14/name_of_other_characters", "a%22b&a%22b", "a parameter is repeated"},
		{"TA-14/no_name", "=1&=2", "a parameter is repeated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := tokenRequest(t, as, tc.form, auth)
			if wantAnswer(t, a, want400, "invalid_request"); a.json["error_description"] != tc.says {
				t.Errorf("%s", a.body)
			}
		})
	}
	t.Run("get", func(t *testing.T) {
		a := get(t, as.HTTPClient(), as.Issuer()+"/token?grant_type=client_credentials")
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != http.MethodPost || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", a.status, a.header)
		}
	})
}

func TestGrantedScope(t *testing.T) {
	as := newTokenEndpoint(t)
	v := newVerifier(t, as.VerifierConfig(api))
	for _, tc := range []struct {
		name   string
		auth   func(*http.Request)
		scope  string
		want   any // the scope of the answer and the token; nil: none
		status int
	}{
		{"any", basic("app", "secret"), "a b", "a b", want200},
		{"none", basic("app", "secret"), "", nil, want200},
		{"default", basic("odd:client", oddSecret), "", "orders:read orders:write", want200},
		{"allowed", basic("odd:client", oddSecret), "orders:write", "orders:write", want200},
		{"not_allowed", basic("odd:client", oddSecret), "orders:read admin", nil, want400},
		{"two_spaces", basic("app", "secret"), "a  b", nil, want400},
		{"control_character", basic("app", "secret"), "a%09b", nil, want400},
		{"backslash", basic("app", "secret"), "%5C", nil, want400},
		{"not_ascii", basic("app", "secret"), "%C3%A9", nil, want400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := tokenRequest(t, as, "grant_type=client_credentials&scope="+strings.ReplaceAll(tc.scope, " ", "+"), tc.auth)
			if tc.status != want200 {
				wantAnswer(t, a, tc.status, "invalid_scope")
				return
			}
			wantAnswer(t, a, want200, "")
			raw, _ := a.json["access_token"].(string)
			if _, claims := parts(t, raw); claims["scope"] != tc.want || a.json["scope"] != tc.want {
				t.Errorf("claims %v, answer %v", claims["scope"], a.json["scope"])
			}
			wantVerdict(t, v, raw, nil)
		})
	}
	t.Run("rule_sees_it", func(t *testing.T) {
		a := tokenRequest(t, as, "grant_type=client_credentials&scope=a", basic("app", "secret"))
		raw, _ := a.json["access_token"].(string)
		if got := verdict(v, raw, scopes.All("a")); got != nil {
			t.Errorf("verdict %v", got)
		}
		if got := verdict(v, raw, scopes.All("b")); got != verifier.ErrInsufficientScope {
			t.Errorf("verdict %v", got)
		}
	})
}

func TestGrantedToken(t *testing.T) {
	as := newTokenEndpoint(t)
	v := newVerifier(t, as.VerifierConfig(api))
	a := tokenRequest(t, as, "grant_type=client_credentials", basic("odd:client", oddSecret))
	if a.json["token_type"] != "Bearer" || a.json["expires_in"] != float64(600) {
		t.Errorf("answer %v", a.json)
	}
	raw, _ := a.json["access_token"].(string)
	tok, err := v.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("TA-16/client_is_the_subject", func(t *testing.T) {
		if tok.Subject != "odd:client" || tok.ClientID != "odd:client" || tok.ID == "" || tok.IssuedAt.IsZero() {
			t.Errorf("token %+v", tok)
		}
	})
}

func TestResource(t *testing.T) {
	as := newTokenEndpoint(t)
	for _, tc := range []struct {
		name, resources, code string
		aud                   any
	}{
		{"TA-15/default", "", "", api},
		{"TA-15/first", "&resource=" + api, "", api},
		{"TA-15/second", "&resource=" + secondAPI, "", secondAPI},
		{"TA-15/both", "&resource=" + secondAPI + "&resource=" + api, "", []any{secondAPI, api}},
		{"TA-15/unknown", "&resource=https://other.example.com", "invalid_target", nil},
		{"TA-15/one_unknown", "&resource=" + api + "&resource=https://other.example.com", "invalid_target", nil},
		{"TA-15/slash_added", "&resource=" + api + "/", "invalid_target", nil},
		{"TA-15/relative", "&resource=/orders", "invalid_target", nil},
		{"TA-15/fragment", "&resource=" + api + "%23a", "invalid_target", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := tokenRequest(t, as, "grant_type=client_credentials"+tc.resources, basic("app", "secret"))
			if tc.code != "" {
				wantAnswer(t, a, want400, tc.code)
				return
			}
			wantAnswer(t, a, want200, "")
			raw, _ := a.json["access_token"].(string)
			if _, claims := parts(t, raw); fmt.Sprint(claims["aud"]) != fmt.Sprint(tc.aud) {
				t.Errorf("aud %v", claims["aud"])
			}
		})
	}
	t.Run("TA-15/no_resource_known", func(t *testing.T) {
		as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = "ES256" })
		auth := basic("test-client", "test-secret")
		wantAnswer(t, tokenRequest(t, as, "grant_type=client_credentials", auth), want400, "invalid_target")
		as.VerifierConfig(api)
		wantAnswer(t, tokenRequest(t, as, "grant_type=client_credentials", auth), want200, "")
	})
}

// A server that knows no API says what to do about it, and not that a resource is wrong.
func TestGrantWithoutAudience(t *testing.T) {
	as := oauthtest.NewServer(t, es256)
	for name, tc := range map[string]struct {
		form  string
		words []string
	}{
		"none":    {"", []string{"Config.Audience", "parameter resource"}},
		"unknown": {"&resource=" + api, []string{"unknown"}},
	} {
		t.Run("TA-15/no_audience_resource_"+name, func(t *testing.T) {
			a := tokenRequest(t, as, byClientCredentials+tc.form, basic("test-client", "test-secret"))
			wantAnswer(t, a, want400, "invalid_target")
			for _, word := range tc.words {
				if !strings.Contains(a.body, word) {
					t.Errorf("no %q in %s", word, a.body)
				}
			}
		})
	}
	t.Run("TA-15/audience_of_VerifierConfig", func(t *testing.T) {
		as.VerifierConfig(api)
		wantAnswer(t, tokenRequest(t, as, byClientCredentials, basic("test-client", "test-secret")), want200, "")
	})
}
