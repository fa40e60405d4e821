// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

func TestIntrospection(t *testing.T) {
	as := newGrants(t, func(c *oauthtest.Config) {
		c.TokenEdits = []oauthtest.Edit{oauthtest.Claim("cnf", jsonObject{"jkt": "x"}), oauthtest.Claim("acr", "high")}
	})
	for _, tc := range []struct{ name, client, form string }{
		{"TA-18/jwt", "page", "&client_id=page"},
		{"TA-18/opaque", "opaque", "&client_id=opaque&client_secret=secret3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := textOf(t, signIn(t, as, tc.form+"&scope=a+b", noAuth), "access_token")
			about, active := introspect(t, as, raw)
			wanted := jsonObject{
				"scope": "a b", "client_id": tc.client, "sub": "alice", "aud": api, "iss": as.Issuer(),
				"token_type": "Bearer", "acr": "high", "cnf": jsonObject{"jkt": "x"},
			}
			for name, want := range wanted {
				if fmt.Sprint(about[name]) != fmt.Sprint(want) {
					t.Errorf("%s %v, want %v", name, about[name], want)
				}
			}
			for _, name := range []string{"exp", "iat", "auth_time"} {
				if n, ok := about[name].(float64); !ok || n < 1e9 {
					t.Errorf("%s %v", name, about[name])
				}
			}
			if id, _ := about["jti"].(string); !active || id == "" {
				t.Errorf("answer %v", about)
			}
		})
	}
	t.Run("TA-16/opaque_token_says_nothing", func(t *testing.T) {
		raw := textOf(t, tokenRequest(t, as, byClientCredentials, basic("opaque", "secret3")), "access_token")
		if strings.Contains(raw, ".") || len(raw) < 22 {
			t.Errorf("token of %d characters", len(raw))
		}
	})
}

// TestIntrospectionOfTokens: what Token makes is told from what only looks like it.
func TestIntrospectionOfTokens(t *testing.T) {
	as, stranger := newGrants(t), newGrants(t)
	raw := as.Token()
	opaque := textOf(t, tokenRequest(t, as, byClientCredentials, basic("opaque", "secret3")), "access_token")
	issued := textOf(t, tokenRequest(t, as, byClientCredentials, basic("app", "secret")), "access_token")
	signedPart := func(raw string) string { return raw[:strings.LastIndex(raw, ".")] }
	for _, tc := range []struct {
		name, raw string
		want      bool
	}{
		{"made_by_Token", raw, true},
		{"media_type_written_out", as.Token(oauthtest.Type("application/at+jwt")), true},
		{"expired", as.Token(oauthtest.ExpiresIn(-time.Second)), false},
		{"not_yet_valid", as.Token(oauthtest.Claim("nbf", time.Now().Add(time.Hour).Unix())), false},
		{"without_exp", as.Token(oauthtest.NoClaim("exp")), false},
		{"forged", as.Token(oauthtest.Forged()), false},
		{"foreign", stranger.Token(), false},
		{"other_issuer", as.Token(oauthtest.Claim("iss", "https://evil.test")), false},
		{"id_token_type", as.Token(oauthtest.Type("JWT")), false},
		{"no_type", as.Token(oauthtest.Type("")), false},
		{"other_alg", as.Token(oauthtest.Header("alg", "none")), false},
		{"crit", as.Token(oauthtest.Header("crit", []string{"exp"})), false},
		{"text_behind", raw + "x", false},
		{"without_signature", signedPart(raw) + ".", false},
		{"without_kid", as.Token(oauthtest.NoHeader("kid")), false},
		{"kid_of_no_key", as.Token(oauthtest.Header("kid", "x")), false},
		{"kid_that_is_no_text", as.Token(oauthtest.Header("kid", 1)), false},
		{"issued", issued, true},
		{"issued_signed_part", signedPart(issued), false},
		{"issued_with_the_signature_of_another", signedPart(issued) + raw[strings.LastIndex(raw, "."):], false},
		{"opaque", opaque, true},
		{"opaque_text_behind", opaque + "x", false},
		{"opaque_space", opaque + " ", false},
		{"unknown", "x", false},
	} {
		t.Run("TA-18/"+tc.name, func(t *testing.T) { wantActive(t, as, tc.name, tc.raw, tc.want) })
	}
	t.Run("TA-18/withdrawn_key", func(t *testing.T) {
		for range 3 {
			as.Rotate()
		}
		wantActive(t, as, "token of a withdrawn key", raw, true)
	})
}

// TestTokensOfAClosedServer: the next server has the same key, under another kid.
func TestTokensOfAClosedServer(t *testing.T) {
	var made, issued, revoked, key string
	keyOf := func(as *oauthtest.Server) string {
		x, _, _ := strings.Cut(get(t, as.HTTPClient(), as.Issuer()+"/jwks").body, `"y"`)
		_, x, _ = strings.Cut(x, `"x"`)
		return x
	}
	t.Run("before", func(t *testing.T) {
		as := newGrants(t)
		key, made = keyOf(as), as.Token(oauthtest.Scope("openid"), oauthtest.Subject("alice"))
		issued = textOf(t, signIn(t, as, "&client_id=page&scope=openid", noAuth), "access_token")
		revoked = textOf(t, signIn(t, as, "&scope=openid", basic("app", "secret")), "access_token")
		wantAnswer(t, revoke(t, as, revoked, "", basic("app", "secret")), want200, "")
		wantActive(t, as, "made", made, true)
		wantActive(t, as, "issued", issued, true)
	})
	as := newGrants(t)
	if key == "" || keyOf(as) != key {
		t.Fatal("this server has another key, so that the test shows nothing")
	}
	for name, raw := range map[string]string{"made": made, "issued": issued, "revoked": revoked} {
		t.Run("TA-18/"+name+"_at_a_closed_server", func(t *testing.T) { wantActive(t, as, name, raw, false) })
		t.Run("TA-21/subject_"+name+"_at_a_closed_server", func(t *testing.T) {
			wantAnswer(t, exchangeToken(t, as, subjectIs+raw), want400, "invalid_request")
		})
		t.Run("userinfo_for_one_"+name+"_at_a_closed_server", func(t *testing.T) {
			if a := userinfo(t, as, "Bearer "+raw); a.status != want401 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
		t.Run("TA-19/revoked_later_"+name, func(t *testing.T) {
			wantAnswer(t, revoke(t, as, raw, "", basic("other", "secret2")), want200, "") // else it is another client's
		})
	}
}

// TestIssuedWithoutKid: edits of issued tokens may break them, but the server knows
// what it issued.
func TestIssuedWithoutKid(t *testing.T) {
	as := newGrants(t, func(c *oauthtest.Config) { c.TokenEdits = []oauthtest.Edit{oauthtest.NoHeader("kid")} })
	t.Run("TA-18/issued_without_kid", func(t *testing.T) {
		wantActive(t, as, "issued", textOf(t, signIn(t, as, "&client_id=page", noAuth), "access_token"), true)
	})
}

func TestIntrospectionOfHMAC(t *testing.T) {
	symmetric := func(c *oauthtest.Config) { c.Algorithm = "HS256" }
	as, stranger := newGrants(t, symmetric), newGrants(t, symmetric)
	t.Run("TA-18/symmetric", func(t *testing.T) {
		wantActive(t, as, "own", as.Token(), true)
		wantActive(t, as, "foreign", stranger.Token(), false)
		wantActive(t, as, "issued", textOf(t, signIn(t, as, "&client_id=page", noAuth), "access_token"), true)
	})
}

func TestIntrospectionOfRefreshTokens(t *testing.T) {
	as := newGrants(t)
	ask := func(raw string, auth func(*http.Request)) answer {
		return postForm(t, as, "/introspect", "token_type_hint=refresh_token&token="+raw, auth)
	}
	first := textOf(t, signIn(t, as, "&scope=a", basic("app", "secret")), "refresh_token")
	t.Run("TA-18/refresh_token_of_its_client", func(t *testing.T) {
		a := ask(first, basic("app", "secret"))
		if a.json["active"] != true || a.json["scope"] != "a" || a.json["client_id"] != "app" || a.json["sub"] != "alice" {
			t.Errorf("answer %s", a.body)
		}
		for _, name := range []string{"token_type", "aud"} { // an API could take it for an access token
			if _, ok := a.json[name]; ok {
				t.Errorf("%s in %s", name, a.body)
			}
		}
	})
	t.Run("TA-18/refresh_token_of_another_client", func(t *testing.T) {
		if a := ask(first, basic("other", "secret2")); a.body != `{"active":false}`+"\n" {
			t.Errorf("answer %s", a.body)
		}
	})
	t.Run("TA-18/used_refresh_token", func(t *testing.T) {
		second := textOf(t, refresh(t, as, first, "", basic("app", "secret")), "refresh_token")
		wantActive(t, as, "used", first, false)
		wantActive(t, as, "new", second, true)
	})
}

func TestIntrospectionForm(t *testing.T) {
	as := newGrants(t)
	auth := basic("app", "secret")
	for _, tc := range []struct {
		name, form string
		edit       func(*http.Request)
		status     int
		code       string
	}{
		{"TA-18/token_missing", "", auth, want400, "invalid_request"},
		{"TA-18/token_in_url", "", func(r *http.Request) { auth(r); r.URL.RawQuery = "token=x" }, want400, "invalid_request"},
		{"TA-14/repeated_token", "token=x&token=x", auth, want400, "invalid_request"},
		{"TA-18/unknown_hint", "token=x&token_type_hint=y", auth, want200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantAnswer(t, postForm(t, as, "/introspect", tc.form, tc.edit), tc.status, tc.code)
		})
	}
}

func TestIntrospectionTime(t *testing.T) {
	t.Run("TA-18/until_exp", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := newGrants(t)
			a := signIn(t, as, "&client_id=opaque&client_secret=secret3", noAuth)
			raw := textOf(t, a, "access_token")
			if a.json["expires_in"] != float64(600) {
				t.Errorf("answer %s", a.body)
			}
			time.Sleep(10*time.Minute - time.Nanosecond)
			wantActive(t, as, "before exp", raw, true)
			time.Sleep(time.Nanosecond)
			wantActive(t, as, "at exp", raw, false)
		})
	})
}
