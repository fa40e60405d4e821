// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// userinfo asks with these Authorization lines.
func userinfo(t *testing.T, as *oauthtest.Server, lines ...string) answer {
	t.Helper()
	return userinfoBy(t, as, func(r *http.Request) {
		if len(lines) > 0 {
			r.Header["Authorization"] = lines
		}
	})
}

func userinfoBy(t *testing.T, as *oauthtest.Server, edit func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, as.Issuer()+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	edit(req)
	return do(t, as.HTTPClient(), req)
}

func TestUserinfo(t *testing.T) {
	as := newConsent(t)
	raw, _ := exchange(t, as, approved(t, as)).json["access_token"].(string)
	ada := map[string]any{"sub": "user-1", "email": "ada@example.com", "iss": "forged"}
	for _, tc := range []struct {
		name string
		edit func(*http.Request)
	}{
		{"get", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+raw) }},
		{"post", func(r *http.Request) { r.Method = http.MethodPost; r.Header.Set("Authorization", "Bearer "+raw) }},
		{"scheme_in_lower_case", func(r *http.Request) { r.Header.Set("Authorization", "bearer "+raw) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := userinfoBy(t, as, tc.edit)
			if a.status != want200 || !maps.Equal(a.json, ada) || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v %s", a.status, a.header, a.body)
			}
		})
	}
	t.Run("user_without_claims", func(t *testing.T) {
		location, _ := as.Approve(consentURL(as), "user-2")
		raw, _ := exchange(t, as, sentTo(t, as, location, webCallback).Get("code")).json["access_token"].(string)
		if a := userinfo(t, as, "Bearer "+raw); !maps.Equal(a.json, map[string]any{"sub": "user-2"}) {
			t.Errorf("%s", a.body)
		}
	})
	t.Run("token_made_by_a_test", func(t *testing.T) {
		if a := userinfo(t, as, "Bearer "+as.Token(oauthtest.Scope("orders:read", "openid"))); !maps.Equal(a.json, ada) {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
	})
}

// TestUserinfoOfClients: a token that a client got for itself opens nobody's data,
// whatever an edit makes its sub.
func TestUserinfoOfClients(t *testing.T) {
	as := newConsent(t, func(c *oauthtest.Config) { c.TokenEdits = []oauthtest.Edit{oauthtest.Subject("user-1")} })
	own := textOf(t, tokenRequest(t, as, byClientCredentials+"&scope=openid", webClient), "access_token")
	t.Run("client_credentials", func(t *testing.T) {
		if a := userinfo(t, as, "Bearer "+own); a.status != want401 || !strings.Contains(a.header.Get("WWW-Authenticate"), "no user") {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
	})
	users := textOf(t, exchange(t, as, approved(t, as)), "access_token")
	for _, tc := range []struct {
		name, subject string
		status        int
	}{{"exchanged_for_that_of_a_client", own, want401}, {"exchanged_for_that_of_a_user", users, want200}} {
		t.Run(tc.name, func(t *testing.T) {
			raw := textOf(t, tokenRequest(t, as, byExchange+subjectIs+tc.subject, webClient), "access_token")
			if a := userinfo(t, as, "Bearer "+raw); a.status != tc.status {
				t.Errorf("%d %v %s", a.status, a.header, a.body)
			}
		})
	}
}

func TestUserinfoRefuses(t *testing.T) {
	as := newConsent(t)
	openid := oauthtest.Scope("openid")
	good := "Bearer " + as.Token(openid)
	const stale = `Bearer realm="oauthtest", error="invalid_token", error_description="the token is unknown, expired or revoked"`
	const request = `Bearer realm="oauthtest", error="invalid_request", error_description="exactly one access token must come, in the Authorization header"`
	const narrow = `Bearer realm="oauthtest", error="insufficient_scope", error_description="the token lacks the scope openid", scope="openid"`
	const nobody = `Bearer realm="oauthtest", error="invalid_token", error_description="the subject of the token is no user of this server"`
	const bound = `Bearer realm="oauthtest", error="invalid_token", error_description="the token is bound to a key, which this endpoint cannot check"`
	_, idToken := signedIn(t, as)
	for _, tc := range []struct {
		name      string
		lines     []string
		status    int
		challenge string
	}{
		{"no_token", nil, want401, `Bearer realm="oauthtest"`},
		{"other_scheme", []string{"Basic eDp5"}, want401, `Bearer realm="oauthtest"`},
		{"two_tokens", []string{good, good}, want400, request},
		{"empty", []string{"Bearer "}, want401, stale},
		{"garbage", []string{"Bearer x.y.z"}, want401, stale},
		{"expired", []string{"Bearer " + as.Token(openid, oauthtest.ExpiresIn(-time.Minute))}, want401, stale},
		{"forged", []string{"Bearer " + as.Token(openid, oauthtest.Forged())}, want401, stale},
		{"id_token", []string{"Bearer " + idToken}, want401, stale},
		{"no_scope", []string{"Bearer " + as.Token()}, http.StatusForbidden, narrow},
		{"like_the_scope", []string{"Bearer " + as.Token(oauthtest.Scope("openid2", "OpenID"))}, http.StatusForbidden, narrow},
		{"other_subject", []string{"Bearer " + as.Token(openid, oauthtest.Subject("user-3"))}, want401, nobody},
		{"subject_in_other_case", []string{"Bearer " + as.Token(openid, oauthtest.Subject("USER-1"))}, want401, nobody},
		{"bound", []string{"Bearer " + as.Token(openid, oauthtest.Claim("cnf", map[string]any{"jkt": "x"}))}, want401, bound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := userinfo(t, as, tc.lines...)
			if got := a.header.Values("WWW-Authenticate"); a.status != tc.status || len(got) != 1 || got[0] != tc.challenge || a.body != "" {
				t.Errorf("%d %q %s", a.status, got, a.body)
			}
		})
	}
	t.Run("token_in_url", func(t *testing.T) {
		a := userinfoBy(t, as, func(r *http.Request) { r.URL.RawQuery = "access_token=" + strings.TrimPrefix(good, "Bearer ") })
		if a.status != want400 || a.header.Get("WWW-Authenticate") != request {
			t.Errorf("%d %v", a.status, a.header)
		}
	})
	t.Run("put", func(t *testing.T) {
		a := userinfoBy(t, as, func(r *http.Request) { r.Method = http.MethodPut; r.Header.Set("Authorization", good) })
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, POST, OPTIONS" {
			t.Errorf("%d %v", a.status, a.header)
		}
	})
}

func TestUserinfoFromScripts(t *testing.T) {
	as := newConsent(t)
	t.Run("TA-26/preflight", func(t *testing.T) {
		a := userinfoBy(t, as, func(r *http.Request) { r.Method = http.MethodOptions })
		h := a.header
		if a.status != http.StatusNoContent || h.Get("Access-Control-Allow-Methods") != "GET, POST" || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%d %v", a.status, h)
		}
	})
	for name, lines := range map[string][]string{"TA-26/answer": {"Bearer " + as.Token(oauthtest.Scope("openid"))}, "TA-26/refusal": nil} {
		t.Run(name, func(t *testing.T) {
			h := userinfo(t, as, lines...).header
			if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Access-Control-Expose-Headers") != "WWW-Authenticate" {
				t.Errorf("%v", h)
			}
		})
	}
}
