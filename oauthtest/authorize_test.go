// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// The pair of RFC 7636 Appendix B.
const (
	codeVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	webCallback   = "https://client.test/callback"
)

func newConsent(t testing.TB, edits ...func(*oauthtest.Config)) *oauthtest.Server {
	base := func(c *oauthtest.Config) {
		c.Algorithm = "ES256"
		c.Audience = []string{api, secondAPI}
		c.Clients = []oauthtest.Client{
			{ID: "web", Secret: "web-secret", RedirectURIs: []string{webCallback}},
			{ID: "native", RedirectURIs: []string{
				"http://127.0.0.1/cb", "http://[::1]:80/cb?a=b", "http://localhost/cb", "https://client.test/cb?x=1", "com.example.app:/cb", "http://192.0.2.1/cb",
			}},
			{ID: "narrow", Secret: "narrow-secret", Scopes: []string{"orders:read"}, RedirectURIs: []string{webCallback}},
			{ID: "service", Secret: "service-secret"},
		}
		c.Users = []oauthtest.User{
			{Subject: "user-1", Name: "Ada", Claims: map[string]any{"email": "ada@example.com", "iss": "forged"}},
			{Subject: "user-2"},
		}
	}
	return oauthtest.NewServer(t, append([]func(*oauthtest.Config){base}, edits...)...)
}

func legacy(c *oauthtest.Config) { c.LegacyGrants = true }

// param changes one parameter of a request; without a value it is left out.
func param(name string, values ...string) func(url.Values) {
	return func(v url.Values) { v[name] = values }
}

// consentURL is a good authorization request of the client "web", as edited.
func consentURL(as *oauthtest.Server, edits ...func(url.Values)) string {
	params := url.Values{
		"client_id": {"web"}, "redirect_uri": {webCallback}, "response_type": {"code"}, "scope": {"openid orders:read"},
		"state": {"s/1&?"}, "code_challenge": {codeChallenge}, "code_challenge_method": {"S256"},
	}
	for _, edit := range edits {
		edit(params)
	}
	return as.Issuer() + "/authorize?" + params.Encode()
}

// stay is a client that follows no redirect.
func stay(as *oauthtest.Server) *http.Client {
	c := as.HTTPClient()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

func post(t *testing.T, c *http.Client, to string, form url.Values, edits ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, edit := range edits {
		edit(req)
	}
	return do(t, c, req)
}

// sentTo checks a redirect to the callback, and returns its parameters.
func sentTo(t *testing.T, as *oauthtest.Server, location, callback string) url.Values {
	t.Helper()
	rest, ok := strings.CutPrefix(location, callback)
	if !ok || rest == "" {
		t.Fatalf("sent to %q", location)
	}
	params, err := url.ParseQuery(rest[1:])
	if err != nil {
		t.Fatal(err)
	}
	if params.Get("iss") != as.Issuer() {
		t.Errorf("iss %q", params.Get("iss"))
	}
	if params.Has("error") {
		wantDescription(t, params.Get("error_description"))
	}
	return params
}

func wantErrorPage(t *testing.T, a answer, status int, text string) {
	t.Helper()
	if a.status != status || a.header.Get("Location") != "" || !strings.Contains(a.body, text) || strings.Contains(a.body, "<form") {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestAuthorizationErrorPage(t *testing.T) {
	as := newConsent(t)
	redirect := func(client, uri string) []func(url.Values) {
		return []func(url.Values){param("client_id", client), param("redirect_uri", uri)}
	}
	for _, tc := range []struct {
		name, text string
		edits      []func(url.Values)
	}{
		{"no_client", "client_id names no client", []func(url.Values){param("client_id")}},
		{"unknown_client", "client_id names no client", []func(url.Values){param("client_id", "Web")}},
		{"two_clients", "is repeated", []func(url.Values){param("client_id", "web", "web")}},
		{"two_redirects", "is repeated", []func(url.Values){param("redirect_uri", webCallback, "https://evil.example")}},
		{"no_redirect_of_several", "redirect_uri is missing", redirect("native", "")},
		{"client_without_redirect", "redirect_uri is not registered", redirect("service", webCallback)},
		{"client_without_any", "redirect_uri is missing", redirect("service", "")},
		{"TA-10/other_host", "not registered", redirect("web", "https://evil.example/callback")},
		{"TA-10/extra_path", "not registered", redirect("web", webCallback+"/x")},
		{"TA-10/trailing_slash", "not registered", redirect("web", webCallback+"/")},
		{"TA-10/extra_query", "not registered", redirect("web", webCallback+"?x=1")},
		{"TA-10/empty_query", "not registered", redirect("web", webCallback+"?")},
		{"TA-10/fragment", "not registered", redirect("web", webCallback+"#x")},
		{"TA-10/dot_segment", "not registered", redirect("web", "https://client.test/x/../callback")},
		{"TA-10/upper_case_host", "not registered", redirect("web", "https://CLIENT.test/callback")},
		{"TA-10/default_port", "not registered", redirect("web", "https://client.test:443/callback")},
		{"TA-10/userinfo", "not registered", redirect("web", "https://client.test@evil.example/callback")},
		{"TA-10/other_scheme", "not registered", redirect("web", "http://client.test/callback")},
		{"TA-10/of_another_client", "not registered", redirect("web", "com.example.app:/cb")},
		{"TA-10/port_of_localhost", "not registered", redirect("native", "http://localhost:5000/cb")},
		{"TA-10/port_of_another_address", "not registered", redirect("native", "http://192.0.2.1:5000/cb")},
		{"TA-10/loopback_by_https", "not registered", redirect("native", "https://127.0.0.1:5000/cb")},
		{"TA-10/other_loopback_address", "not registered", redirect("native", "http://127.0.0.2:5000/cb")},
		{"TA-10/other_loopback_path", "not registered", redirect("native", "http://127.0.0.1:5000/cb/x")},
		{"TA-10/other_loopback_query", "not registered", redirect("native", "http://[::1]:5000/cb?a=c")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantErrorPage(t, get(t, stay(as), consentURL(as, tc.edits...)), want400, tc.text)
			if location, err := as.Approve(consentURL(as, tc.edits...)); location != "" || err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("Approve: %q %v", location, err)
			}
		})
	}
}

func TestAuthorizationErrorRedirect(t *testing.T) {
	as, old := newConsent(t), newConsent(t, legacy, func(c *oauthtest.Config) { c.Issuer = "https://old.test" })
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for _, tc := range []struct {
		name string
		as   *oauthtest.Server
		edit func(url.Values)
		code string
	}{
		{"no_response_type", as, param("response_type"), "invalid_request"},
		{"unknown_response_type", as, param("response_type", "codes"), "unsupported_response_type"},
		{"two_response_types", as, param("response_type", "code", "code"), "invalid_request"},
		{"hybrid", old, param("response_type", "code token"), "unsupported_response_type"},
		{"id_token", old, param("response_type", "id_token"), "unsupported_response_type"},
		{"TA-05/implicit", as, param("response_type", "token"), "unsupported_response_type"},
		{"TA-08/no_challenge", as, param("code_challenge"), "invalid_request"},
		{"TA-08/neither_challenge_nor_method", as, func(v url.Values) { v.Del("code_challenge"); v.Del("code_challenge_method") }, "invalid_request"},
		{"TA-08/plain", as, param("code_challenge_method", "plain"), "invalid_request"},
		{"TA-08/plain_by_default", as, param("code_challenge_method"), "invalid_request"},
		{"TA-08/lower_case_method", as, param("code_challenge_method", "s256"), "invalid_request"},
		{"TA-08/plain_under_legacy", old, param("code_challenge_method", "plain"), "invalid_request"},
		{"TA-08/method_alone_under_legacy", old, param("code_challenge"), "invalid_request"},
		{"TA-08/challenge_42", as, param("code_challenge", codeChallenge[:42]), "invalid_request"},
		{"TA-08/challenge_44", as, param("code_challenge", codeChallenge+"A"), "invalid_request"},
		{"TA-08/challenge_padded", as, param("code_challenge", codeChallenge+"="), "invalid_request"},
		{"TA-08/challenge_base64", as, param("code_challenge", strings.Replace(codeChallenge, "-", "+", 1)), "invalid_request"},
		{"TA-08/challenge_spare_bits", as, param("code_challenge", codeChallenge[:42]+"N"), "invalid_request"},
		{"TA-08/challenge_line_break", as, param("code_challenge", codeChallenge[:42]+"\n"), "invalid_request"},
		{"malformed_scope", as, param("scope", `a"b`), "invalid_scope"},
		{"TA-15/unknown_resource", as, param("resource", "https://other.example.com"), "invalid_target"},
		{"TA-15/one_unknown_resource", as, param("resource", api, "https://other.example.com"), "invalid_target"},
		{"TA-15/relative_resource", as, param("resource", "/orders"), "invalid_target"},
		{"TA-15/resource_with_fragment", as, param("resource", api+"#x"), "invalid_target"},
		{"details_no_json", as, param("authorization_details", "[{"), "invalid_authorization_details"},
		{"details_object", as, param("authorization_details", `{"type":"a"}`), "invalid_authorization_details"},
		{"details_empty", as, param("authorization_details", `[]`), "invalid_authorization_details"},
		{"details_of_strings", as, param("authorization_details", `["a"]`), "invalid_authorization_details"},
		{"details_without_type", as, param("authorization_details", `[{"type":"a"},{"kind":"b"}]`), "invalid_authorization_details"},
		{"details_empty_type", as, param("authorization_details", `[{"type":""}]`), "invalid_authorization_details"},
		{"details_duplicate", as, param("authorization_details", `[{"type":"a","type":"b"}]`), "invalid_authorization_details"},
		{"details_second_member", as, param("authorization_details", `[{"type":"a"}],"x":1`), "invalid_authorization_details"},
		{"details_deep", as, param("authorization_details", `[{"type":"a","x":`+deep+`}]`), "invalid_authorization_details"},
		{"prompt_none", as, param("prompt", "none"), "login_required"},
		{"prompt_none_and_more", as, param("prompt", "none login"), "invalid_request"},
		{"prompt_unknown", as, param("prompt", "shout"), "invalid_request"},
		{"max_age_no_number", as, param("max_age", "-1"), "invalid_request"},
		{"request_object", as, param("request", "e30.e30."), "request_not_supported"},
		{"request_uri", as, param("request_uri", "urn:x"), "request_uri_not_supported"},
		{"registration", as, param("registration", "{}"), "registration_not_supported"},
		{"response_mode_fragment", as, param("response_mode", "fragment"), "invalid_request"},
		{"response_mode_form_post", as, param("response_mode", "form_post"), "invalid_request"},
		{"response_mode_query_for_a_token", old, func(v url.Values) { v.Set("response_type", "token"); v.Set("response_mode", "query") }, "invalid_request"},
		{"repeated_scope", as, param("scope", "a", "b"), "invalid_request"},
		{"repeated_unknown", as, param("x", "1", "1"), "invalid_request"},
		{"repeated_empty", as, param("nonce", "", "1"), "invalid_request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := get(t, stay(tc.as), consentURL(tc.as, tc.edit))
			if a.status != http.StatusSeeOther || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v", a.status, a.header)
			}
			params := sentTo(t, tc.as, a.header.Get("Location"), webCallback)
			if params.Get("error") != tc.code || params.Get("state") != "s/1&?" || len(params) != 4 {
				t.Errorf("%v", params)
			}
			wantDescription(t, params.Get("error_description"))
			if location, err := tc.as.Approve(consentURL(tc.as, tc.edit)); location != a.header.Get("Location") || err != nil {
				t.Errorf("Approve: %q %v", location, err)
			}
		})
	}
}

// wantDescription: RFC 6749 §4.1.2.1 allows these characters and no others.
func wantDescription(t *testing.T, text string) {
	t.Helper()
	odd := func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
	if text == "" || strings.ContainsFunc(text, odd) {
		t.Errorf("error_description %q", text)
	}
}

func TestAuthorizationErrorDetails(t *testing.T) {
	as := newConsent(t)
	t.Run("scope_of_another_client", func(t *testing.T) {
		location, err := as.Approve(consentURL(as, param("client_id", "narrow"), param("scope", "orders:write")))
		if params := sentTo(t, as, location, webCallback); err != nil || params.Get("error") != "invalid_scope" {
			t.Errorf("%v %v", params, err)
		}
	})
	t.Run("TA-11/repeated_state_is_not_sent_back", func(t *testing.T) {
		location, _ := as.Approve(consentURL(as, param("state", "a", "b")))
		if params := sentTo(t, as, location, webCallback); params.Has("state") || params.Get("error") != "invalid_request" {
			t.Errorf("%v", params)
		}
	})
	t.Run("TA-05/implicit_is_refused_in_the_fragment", func(t *testing.T) {
		location, _ := as.Approve(consentURL(as, param("response_type", "token")))
		if !strings.HasPrefix(location, webCallback+"#") {
			t.Errorf("%q", location)
		}
	})
	t.Run("TA-11/metadata_says_so", func(t *testing.T) {
		a := get(t, as.HTTPClient(), as.Issuer()+"/.well-known/oauth-authorization-server")
		if a.json["authorization_response_iss_parameter_supported"] != true {
			t.Errorf("%s", a.body)
		}
	})
	t.Run("TA-15/no_resource_known", func(t *testing.T) {
		as := newConsent(t, func(c *oauthtest.Config) { c.Audience = nil })
		location, _ := as.Approve(consentURL(as))
		if params := sentTo(t, as, location, webCallback); params.Get("error") != "invalid_target" {
			t.Errorf("%v", params)
		}
	})
	t.Run("the_first_fault_counts", func(t *testing.T) { // none must not hide what is wrong
		location, _ := as.Approve(consentURL(as, param("prompt", "none"), param("scope", `"`)))
		if params := sentTo(t, as, location, webCallback); params.Get("error") != "invalid_scope" {
			t.Errorf("%v", params)
		}
	})
}

func TestAuthorizationAccepted(t *testing.T) {
	as, old := newConsent(t), newConsent(t, legacy, func(c *oauthtest.Config) { c.Issuer = "https://old.test" })
	native := func(uri string) func(url.Values) {
		return func(v url.Values) { v.Set("client_id", "native"); v.Set("redirect_uri", uri) }
	}
	for _, tc := range []struct {
		name     string
		as       *oauthtest.Server
		edit     func(url.Values)
		callback string
	}{
		{"TA-08/challenge", as, param("x"), webCallback + "?"},
		{"redirect_left_out", as, param("redirect_uri"), webCallback + "?"},
		{"empty_counts_as_omitted", as, func(v url.Values) { v.Set("nonce", ""); v.Set("redirect_uri", ""); v.Set("resource", "") }, webCallback + "?"},
		{"unknown_parameter", as, param("x", "1"), webCallback + "?"},
		{"response_mode", as, param("response_mode", "query"), webCallback + "?"},
		{"prompt", as, param("prompt", "login consent"), webCallback + "?"},
		{"max_age", as, param("max_age", "0"), webCallback + "?"},
		{"details", as, param("authorization_details", ` [{"type":"a"} ,{"type":"b","x":[1]}]`), webCallback + "?"},
		{"TA-06/no_challenge", old, func(v url.Values) { v.Del("code_challenge"); v.Del("code_challenge_method") }, webCallback + "?"},
		{"TA-06/implicit", old, func(v url.Values) { v.Set("response_type", "token"); v.Del("code_challenge") }, webCallback + "#"},
		{"TA-10/loopback_as_registered", as, native("http://127.0.0.1/cb"), "http://127.0.0.1/cb?"},
		{"TA-10/loopback_port", as, native("http://127.0.0.1:51004/cb"), "http://127.0.0.1:51004/cb?"},
		{"TA-10/loopback_highest_port", as, native("http://127.0.0.1:65535/cb"), "http://127.0.0.1:65535/cb?"},
		{"TA-10/loopback_ipv6_port", as, native("http://[::1]:51004/cb?a=b"), "http://[::1]:51004/cb?a=b&"},
		{"TA-10/loopback_ipv6_no_port", as, native("http://[::1]/cb?a=b"), "http://[::1]/cb?a=b&"},
		{"TA-10/private_scheme", as, native("com.example.app:/cb"), "com.example.app:/cb?"},
		{"query_is_kept", as, native("https://client.test/cb?x=1"), "https://client.test/cb?x=1&"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			page := get(t, stay(tc.as), consentURL(tc.as, tc.edit))
			if page.status != want200 || !strings.Contains(page.body, "<form") {
				t.Fatalf("%d %v %s", page.status, page.header, page.body)
			}
			a := decide(t, tc.as, page, "allow")
			if a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), tc.callback) {
				t.Fatalf("%d %v", a.status, a.header)
			}
			params := sentTo(t, tc.as, a.header.Get("Location"), tc.callback[:len(tc.callback)-1])
			if params.Get("state") != "s/1&?" || params.Has("error") || params.Get("code") == "" && params.Get("access_token") == "" {
				t.Errorf("%v", params)
			}
		})
	}
}

func TestAuthorizationRequestByPost(t *testing.T) {
	as := newConsent(t)
	u, _ := url.Parse(consentURL(as))
	endpoint := as.Issuer() + "/authorize"
	t.Run("accepted", func(t *testing.T) {
		if a := post(t, stay(as), endpoint, u.Query()); a.status != want200 || !strings.Contains(a.body, "<form") {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("unknown_parameter_named_like_a_field_of_the_form", func(t *testing.T) {
		form := u.Query()
		form.Set("ticket", "x")
		if a := post(t, stay(as), endpoint, form); a.status != want200 || !strings.Contains(a.body, "<form") {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	for _, tc := range []struct {
		name   string
		url    string
		form   url.Values
		edit   func(*http.Request)
		status int
	}{
		{"parameters_in_url", consentURL(as), nil, func(*http.Request) {}, want400},
		{"json", endpoint, u.Query(), mediaType("application/json"), want400},
		{"no_media_type", endpoint, u.Query(), mediaType(""), want400},
		{"oversize", endpoint, url.Values{"x": {strings.Repeat("x", 64<<10)}}, func(*http.Request) {}, want400},
		{"put", endpoint, u.Query(), func(r *http.Request) { r.Method = http.MethodPut }, http.StatusMethodNotAllowed},
		{"oversize_get", endpoint + "?x=" + strings.Repeat("x", 64<<10), nil, func(r *http.Request) { r.Method = http.MethodGet }, want400},
		{"malformed_query", endpoint + "?x=%zz", nil, func(r *http.Request) { r.Method = http.MethodGet }, want400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantErrorPage(t, post(t, stay(as), tc.url, tc.form, tc.edit), tc.status, "<h1>")
		})
	}
}

func mediaType(v string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Content-Type", v) }
}
