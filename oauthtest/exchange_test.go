// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

const (
	tokenTypes   = "urn:ietf:params:oauth:token-type:"
	byExchange   = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
	subjectIs    = "&subject_token_type=" + tokenTypes + "access_token&subject_token="
	actorIs      = "&actor_token_type=" + tokenTypes + "access_token&actor_token="
	subjectIsJWT = "&subject_token_type=" + tokenTypes + "jwt&subject_token="
)

// exchangeToken asks as the client "app".
func exchangeToken(t *testing.T, as *oauthtest.Server, form string) answer {
	t.Helper()
	return tokenRequest(t, as, byExchange+form, basic("app", "secret"))
}

func exchanged(t *testing.T, as *oauthtest.Server, form string) (a answer, claims jsonObject) {
	t.Helper()
	a = exchangeToken(t, as, form)
	wantAnswer(t, a, want200, "")
	_, claims = parts(t, textOf(t, a, "access_token"))
	return a, claims
}

func TestExchange(t *testing.T) {
	as := newGrants(t)
	subject := as.Token(oauthtest.Subject("alice"), oauthtest.ClientID("page"), oauthtest.Scope("a", "b"),
		oauthtest.Claim("acr", "high"), oauthtest.Claim("auth_time", 1_700_000_000))
	t.Run("TA-21/answer", func(t *testing.T) {
		a, claims := exchanged(t, as, subjectIs+subject+"&resource="+secondAPI+"&scope=b")
		if a.json["issued_token_type"] != tokenTypes+"access_token" || a.json["token_type"] != "Bearer" || a.json["refresh_token"] != nil {
			t.Errorf("answer %s", a.body)
		}
		wanted := jsonObject{"sub": "alice", "client_id": "app", "aud": secondAPI, "scope": "b", "acr": "high", "auth_time": 1_700_000_000.0, "act": nil}
		for name, want := range wanted {
			if claims[name] != want {
				t.Errorf("%s %v, want %v", name, claims[name], want)
			}
		}
		wantActive(t, as, "exchanged", textOf(t, a, "access_token"), true)
		wantActive(t, as, "subject", subject, true)
	})
	t.Run("TA-21/nothing_asked_for", func(t *testing.T) {
		_, claims := exchanged(t, as, subjectIs+subject)
		if claims["aud"] != api || claims["scope"] != "a b" {
			t.Errorf("claims %v", claims)
		}
	})
	t.Run("TA-21/audience_and_resource", func(t *testing.T) {
		_, claims := exchanged(t, as, subjectIs+subject+"&resource="+secondAPI+"&audience=orders-service&audience="+secondAPI)
		if fmt.Sprint(claims["aud"]) != fmt.Sprint([]string{secondAPI, "orders-service"}) {
			t.Errorf("aud %v", claims["aud"])
		}
	})
	t.Run("TA-21/requested_jwt", func(t *testing.T) {
		a, _ := exchanged(t, as, subjectIsJWT+subject+"&requested_token_type="+tokenTypes+"jwt")
		if a.json["issued_token_type"] != tokenTypes+"jwt" {
			t.Errorf("answer %s", a.body)
		}
	})
	t.Run("TA-21/subject_is_a_client", func(t *testing.T) {
		raw := textOf(t, tokenRequest(t, as, byClientCredentials, basic("other", "secret2")), "access_token")
		if _, claims := exchanged(t, as, subjectIs+raw); claims["sub"] != "other" || claims["client_id"] != "app" {
			t.Errorf("claims %v", claims)
		}
	})
	t.Run("TA-21/opaque_subject", func(t *testing.T) {
		raw := textOf(t, signIn(t, as, "&scope=a", basic("opaque", "secret3")), "access_token")
		if _, claims := exchanged(t, as, subjectIs+raw); claims["sub"] != "alice" || claims["scope"] != "a" {
			t.Errorf("claims %v", claims)
		}
		wantAnswer(t, exchangeToken(t, as, subjectIsJWT+raw), want400, "invalid_request")
	})
	t.Run("TA-21/opaque_answer", func(t *testing.T) {
		a := tokenRequest(t, as, byExchange+subjectIs+subject, basic("opaque", "secret3"))
		about, active := introspect(t, as, textOf(t, a, "access_token"))
		if !active || about["sub"] != "alice" || about["client_id"] != "opaque" {
			t.Errorf("answer %s, about %v", a.body, about)
		}
	})
}

func TestExchangeActor(t *testing.T) {
	as := newGrants(t)
	subject := as.Token(oauthtest.Subject("alice"))
	actor := func(sub string) string { return as.Token(oauthtest.Subject(sub), oauthtest.ClientID(sub)) }
	a, claims := exchanged(t, as, subjectIs+subject+actorIs+actor("service-1"))
	t.Run("TA-21/act", func(t *testing.T) {
		if fmt.Sprint(claims["act"]) != "map[client_id:service-1 sub:service-1]" || claims["sub"] != "alice" {
			t.Errorf("claims %v", claims)
		}
	})
	once := textOf(t, a, "access_token")
	t.Run("TA-21/act_nests", func(t *testing.T) {
		_, claims := exchanged(t, as, subjectIs+once+actorIs+actor("service-2"))
		if fmt.Sprint(claims["act"]) != "map[act:map[client_id:service-1 sub:service-1] client_id:service-2 sub:service-2]" {
			t.Errorf("act %v", claims["act"])
		}
	})
	t.Run("TA-21/act_stays", func(t *testing.T) {
		if _, claims := exchanged(t, as, subjectIs+once); fmt.Sprint(claims["act"]) != "map[client_id:service-1 sub:service-1]" {
			t.Errorf("act %v", claims["act"])
		}
	})
}

func TestExchangeFaults(t *testing.T) {
	as, stranger := newGrants(t), newGrants(t)
	good := as.Token(oauthtest.Scope("a"))
	revoked := as.Token()
	wantAnswer(t, revoke(t, as, revoked, "", basic("app", "secret")), want200, "")
	unknown := "&subject_token_type=" + tokenTypes + "saml2&subject_token=" + good
	for _, tc := range []struct{ name, form, code string }{
		{"TA-21/no_subject", "", "invalid_request"},
		{"TA-21/no_subject_token_type", "&subject_token=" + good, "invalid_request"},
		{"TA-21/other_subject_token_type", unknown, "invalid_request"},
		{"TA-21/expired_subject", subjectIs + as.Token(oauthtest.ExpiresIn(-time.Second)), "invalid_request"},
		{"TA-21/revoked_subject", subjectIs + revoked, "invalid_request"},
		{"TA-21/foreign_subject", subjectIs + stranger.Token(), "invalid_request"},
		{"TA-21/forged_subject", subjectIs + as.Token(oauthtest.Forged()), "invalid_request"},
		{"TA-21/bound_subject", subjectIs + as.Token(oauthtest.Claim("cnf", jsonObject{"jkt": "x"})), "invalid_request"},
		{"TA-21/actor_type_without_actor", subjectIs + good + "&actor_token_type=" + tokenTypes + "jwt", "invalid_request"},
		{"TA-21/actor_without_type", subjectIs + good + "&actor_token=" + good, "invalid_request"},
		{"TA-21/expired_actor", subjectIs + good + actorIs + as.Token(oauthtest.ExpiresIn(-time.Second)), "invalid_request"},
		{"TA-21/requested_id_token", subjectIs + good + "&requested_token_type=" + tokenTypes + "id_token", "invalid_request"},
		{"TA-21/wider_scope", subjectIs + good + "&scope=a+b", "invalid_scope"},
		{"TA-21/unknown_audience", subjectIs + good + "&audience=x", "invalid_target"},
		{"TA-21/unknown_resource", subjectIs + good + "&resource=https://x.test", "invalid_target"},
		{"TA-21/name_is_no_resource", subjectIs + good + "&resource=orders-service", "invalid_target"},
	} {
		t.Run(tc.name, func(t *testing.T) { wantAnswer(t, exchangeToken(t, as, tc.form), want400, tc.code) })
	}
	for _, tc := range []struct {
		name, form string
		auth       func(*http.Request)
		status     int
		code       string
	}{
		{"TA-21/public_client", "&client_id=page", noAuth, want401, "invalid_client"},
		{"TA-21/jwt_for_a_client_with_opaque_tokens", "&requested_token_type=" + tokenTypes + "jwt", basic("opaque", "secret3"), want400, "invalid_request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantAnswer(t, tokenRequest(t, as, byExchange+subjectIs+good+tc.form, tc.auth), tc.status, tc.code)
		})
	}
}

// TestExchangedFamily: what was made of a token ends with the family of that token.
func TestExchangedFamily(t *testing.T) {
	as := newGrants(t)
	first := signIn(t, as, "&client_id=page", noAuth)
	a, _ := exchanged(t, as, subjectIs+textOf(t, first, "access_token"))
	again, _ := exchanged(t, as, subjectIs+textOf(t, a, "access_token"))
	t.Run("TA-19/exchanged_token_ends_alone", func(t *testing.T) {
		wantAnswer(t, revoke(t, as, textOf(t, a, "access_token"), "", basic("app", "secret")), want200, "")
		wantActive(t, as, "exchanged", textOf(t, a, "access_token"), false)
		wantActive(t, as, "subject", textOf(t, first, "access_token"), true)
		wantActive(t, as, "exchanged again", textOf(t, again, "access_token"), true)
	})
	t.Run("TA-19/subject_ends_alone", func(t *testing.T) {
		wantAnswer(t, revoke(t, as, textOf(t, first, "access_token"), "&client_id=page", noAuth), want200, "")
		wantActive(t, as, "subject", textOf(t, first, "access_token"), false)
		wantActive(t, as, "exchanged again", textOf(t, again, "access_token"), true)
	})
	t.Run("TA-19/exchanged_tokens_end_with_the_subjects_family", func(t *testing.T) {
		wantAnswer(t, revoke(t, as, textOf(t, first, "refresh_token"), "&client_id=page", noAuth), want200, "")
		wantActive(t, as, "exchanged again", textOf(t, again, "access_token"), false)
	})
}

// TestExchangeWithinTheClient: the scopes of the client bound what it can get out of
// a token of others.
func TestExchangeWithinTheClient(t *testing.T) {
	as := newGrants(t, func(c *oauthtest.Config) { c.Clients[0].Scopes = []string{"a", "c"} })
	subject := as.Token(oauthtest.Scope("a", "b"))
	t.Run("TA-21/scope_of_the_client", func(t *testing.T) {
		if _, claims := exchanged(t, as, subjectIs+subject); claims["scope"] != "a" {
			t.Errorf("scope %v", claims["scope"])
		}
		for _, scope := range []string{"b", "c"} {
			wantAnswer(t, exchangeToken(t, as, subjectIs+subject+"&scope="+scope), want400, "invalid_scope")
		}
	})
}
