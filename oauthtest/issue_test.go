// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// grantOf is a way to get a token for a scope and a resource.
type grantOf struct {
	row string
	get func(t *testing.T, as *oauthtest.Server, scope, resource string) answer
}

// byCode gets tokens for alice as the client "page"; edits change the authorization
// request.
func byCode(t *testing.T, as *oauthtest.Server, edits ...func(url.Values)) answer {
	t.Helper()
	edits = append([]func(url.Values){param("client_id", "page"), param("redirect_uri", "https://client.test/callback")}, edits...)
	form := codeForm(approved(t, as, edits...), edits[:2]...)
	return tokenRequest(t, as, form)
}

func everyGrant() []grantOf {
	return []grantOf{
		{"TA-05/authorization_code", func(t *testing.T, as *oauthtest.Server, scope, resource string) answer {
			return byCode(t, as, param("scope", scope), param("resource", resource))
		}},
		{"TA-05/client_credentials", func(t *testing.T, as *oauthtest.Server, scope, resource string) answer {
			return tokenRequest(t, as, byClientCredentials+"&scope="+scope+"&resource="+resource, basic("app", "secret"))
		}},
		{"TA-05/refresh_token", func(t *testing.T, as *oauthtest.Server, scope, resource string) answer {
			first := signIn(t, as, "&client_id=page&scope=x+"+scope+"&resource="+resource, noAuth)
			return refresh(t, as, textOf(t, first, "refresh_token"), "&client_id=page&scope="+scope, noAuth)
		}},
		{"TA-06/password", func(t *testing.T, as *oauthtest.Server, scope, resource string) answer {
			return signIn(t, as, "&client_id=page&scope="+scope+"&resource="+resource, noAuth)
		}},
		{"TA-20/device_code", func(t *testing.T, as *oauthtest.Server, scope, resource string) answer {
			device, user := startDevice(t, as, "&scope="+scope+"&resource="+resource)
			if err := as.ApproveDevice(user); err != nil {
				t.Fatal(err)
			}
			return wantPoll(t, as, device, "")
		}},
		{"TA-21/token_exchange", func(t *testing.T, as *oauthtest.Server, scope, resource string) answer {
			subject := as.Token(oauthtest.Scope("x", scope))
			return exchangeToken(t, as, subjectIs+subject+"&scope="+scope+"&resource="+resource)
		}},
	}
}

// orders is an API that needs the scope orders:read.
func orders(t *testing.T, as *oauthtest.Server) http.Handler {
	g, err := middleware.New(middleware.Config{Verifier: newVerifier(t, as.VerifierConfig(api))})
	if err != nil {
		t.Fatal(err)
	}
	return nethttp.Require(g, scopes.All("orders:read"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tok, _ := middleware.TokenFrom(r.Context())
		fmt.Fprint(w, "orders of "+tok.Subject)
	}))
}

// TestEveryGrant: obtain a token, call a protected route with it, and be refused where
// the scope or the audience is another.
func TestEveryGrant(t *testing.T) {
	as := newGrants(t)
	route := orders(t, as)
	for _, g := range everyGrant() {
		for _, tc := range []struct {
			name, scope, resource string
			status                int
		}{
			{"opens_the_route", "orders:read", api, http.StatusOK},
			{"with_another_scope", "orders:write", api, http.StatusForbidden},
			{"for_another_api", "orders:read", secondAPI, http.StatusUnauthorized},
		} {
			t.Run(g.row+"_"+tc.name, func(t *testing.T) {
				a := g.get(t, as, tc.scope, tc.resource)
				wantAnswer(t, a, want200, "")
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders", nil)
				r.Header.Set("Authorization", "Bearer "+textOf(t, a, "access_token"))
				w := httptest.NewRecorder()
				route.ServeHTTP(w, r)
				if w.Code != tc.status {
					t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
				}
			})
		}
	}
}

// TestIssuedClaims inspects the token itself.
func TestIssuedClaims(t *testing.T) {
	as := newGrants(t)
	const details = `[{"type":"payment","amount":12345678901234567890}]`
	a := byCode(t, as, param("scope", "a b"), param("acr_values", "high"), param("authorization_details", details))
	wantAnswer(t, a, want200, "")
	header, claims := parts(t, textOf(t, a, "access_token"))
	t.Run("TA-16/required_claims", func(t *testing.T) {
		for _, name := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} { // RFC 9068 §2.2
			if claims[name] == nil {
				t.Errorf("no %s", name)
			}
		}
		if header["typ"] != "at+jwt" || claims["sub"] != "alice" || claims["client_id"] != "page" || claims["scope"] != "a b" {
			t.Errorf("header %v, claims %v", header, claims)
		}
	})
	t.Run("TA-16/acr", func(t *testing.T) {
		if claims["acr"] != "high" {
			t.Errorf("acr %v", claims["acr"])
		}
	})
	t.Run("TA-16/auth_time", func(t *testing.T) {
		at, _ := claims["auth_time"].(float64)
		if now := float64(time.Now().Unix()); at > now || at < now-60 {
			t.Errorf("auth_time %v", claims["auth_time"])
		}
	})
	t.Run("TA-16/authorization_details", func(t *testing.T) {
		for _, where := range []any{claims["authorization_details"], a.json["authorization_details"]} {
			if b, err := json.Marshal(where); err != nil || string(b) != `[{"amount":12345678901234567000,"type":"payment"}]` {
				t.Errorf("%s %v", b, err)
			}
		}
	})
	t.Run("TA-16/details_digit_for_digit", func(t *testing.T) {
		tok, err := newVerifier(t, as.VerifierConfig(api)).Verify(t.Context(), textOf(t, a, "access_token"))
		if err != nil {
			t.Fatal(err)
		}
		var mine struct {
			Details json.RawMessage `json:"authorization_details"`
		}
		if err := tok.Decode(&mine); err != nil || string(mine.Details) != details {
			t.Errorf("%s %v", mine.Details, err)
		}
	})
	t.Run("TA-16/none_of_these_unasked", func(t *testing.T) {
		a := tokenRequest(t, as, byClientCredentials, basic("app", "secret"))
		_, claims := parts(t, textOf(t, a, "access_token"))
		for _, name := range []string{"acr", "auth_time", "authorization_details", "act", "cnf"} {
			if claims[name] != nil {
				t.Errorf("%s %v", name, claims[name])
			}
		}
	})
}

// The lifetime that is told is the token's own, however long it took to sign it.
func TestIssuedLifetime(t *testing.T) {
	var read atomic.Int64
	start := time.Now()
	as := newGrants(t, func(c *oauthtest.Config) {
		c.Now = func() time.Time { return start.Add(time.Duration(read.Add(1)) * time.Second) }
	})
	t.Run("TA-03/clock_moves_with_each_reading", func(t *testing.T) {
		a := tokenRequest(t, as, byClientCredentials, basic("app", "secret"))
		if _, claims := parts(t, textOf(t, a, "access_token")); a.json["expires_in"] != float64(600) {
			t.Errorf("answer %v, iat %v, exp %v", a.json["expires_in"], claims["iat"], claims["exp"])
		}
	})
}

// TestIssuedEdits: those of the server come after those of the client, and an answer
// tells the truth about what they made.
func TestIssuedEdits(t *testing.T) {
	as := newGrants(t, func(c *oauthtest.Config) {
		c.Clients[0].TokenEdits = []oauthtest.Edit{oauthtest.Claim("plan", "client"), oauthtest.Claim("tier", "gold")}
		c.TokenEdits = []oauthtest.Edit{
			oauthtest.Claim("plan", "server"), oauthtest.Claim("cnf", jsonObject{"jkt": "x"}),
			oauthtest.ExpiresIn(time.Minute), oauthtest.Scope("edited"), oauthtest.Claim("status", jsonObject{"status_list": jsonObject{"idx": 1}}),
		}
	})
	a := tokenRequest(t, as, byClientCredentials+"&scope=asked", basic("app", "secret"))
	_, claims := parts(t, textOf(t, a, "access_token"))
	t.Run("TA-16/edits_in_order", func(t *testing.T) {
		if claims["plan"] != "server" || claims["tier"] != "gold" {
			t.Errorf("claims %v", claims)
		}
	})
	t.Run("TA-16/cnf_and_status", func(t *testing.T) {
		if fmt.Sprint(claims["cnf"]) != "map[jkt:x]" || fmt.Sprint(claims["status"]) != "map[status_list:map[idx:1]]" {
			t.Errorf("claims %v", claims)
		}
		raw := textOf(t, a, "access_token")
		wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), raw, verifier.ErrBinding)
	})
	t.Run("TA-03/answer_follows_the_edits", func(t *testing.T) {
		if a.json["scope"] != "edited" || a.json["expires_in"] != float64(60) {
			t.Errorf("answer %s", a.body)
		}
	})
	t.Run("other_clients_have_not_those_of_one", func(t *testing.T) {
		a := tokenRequest(t, as, byClientCredentials, basic("other", "secret2"))
		if _, claims := parts(t, textOf(t, a, "access_token")); claims["tier"] != nil || claims["plan"] != "server" {
			t.Errorf("claims %v", claims)
		}
	})
	t.Run("Token_has_none", func(t *testing.T) {
		if _, claims := parts(t, as.Token()); claims["plan"] != nil || claims["cnf"] != nil {
			t.Errorf("claims %v", claims)
		}
	})
	t.Run("TA-14/edit_that_cannot_be_written", func(t *testing.T) {
		for _, bad := range []any{func() {}, json.RawMessage(`{"a""b"}`), json.RawMessage(`"a`), json.RawMessage("\"\x01\""), json.RawMessage("é")} {
			as := newGrants(t, func(c *oauthtest.Config) {
				c.TokenEdits = []oauthtest.Edit{oauthtest.Claim("bad", bad)}
			})
			a := tokenRequest(t, as, byClientCredentials, basic("app", "secret"))
			wantAnswer(t, a, http.StatusInternalServerError, "server_error")
		}
	})
}
