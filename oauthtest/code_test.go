// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

var (
	webClient    = basic("web", "web-secret")
	narrowClient = basic("narrow", "narrow-secret")
)

// approved is the code of an approved request.
func approved(t *testing.T, as *oauthtest.Server, edits ...func(url.Values)) string {
	t.Helper()
	location, err := as.Approve(consentURL(as, edits...))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(location)
	if err != nil || !u.Query().Has("code") {
		t.Fatalf("%q %v", location, err)
	}
	return u.Query().Get("code")
}

// codeForm is the good token request for a code of the client "web", as edited.
func codeForm(code string, edits ...func(url.Values)) string {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {webCallback}, "code_verifier": {codeVerifier}}
	for _, edit := range edits {
		edit(form)
	}
	return form.Encode()
}

func exchange(t *testing.T, as *oauthtest.Server, code string, edits ...func(url.Values)) answer {
	t.Helper()
	return tokenRequest(t, as, codeForm(code, edits...), webClient)
}

// alive says whether an access token still opens userinfo.
func alive(t *testing.T, as *oauthtest.Server, a answer) bool {
	t.Helper()
	raw, _ := a.json["access_token"].(string)
	return userinfo(t, as, "Bearer "+raw).status == want200
}

func TestCodeGrant(t *testing.T) {
	as := newConsent(t)
	v := newVerifier(t, as.VerifierConfig(api))
	a := exchange(t, as, approved(t, as))
	wantAnswer(t, a, want200, "")
	raw, _ := a.json["access_token"].(string)
	t.Run("TA-05/code_opens_the_api", func(t *testing.T) {
		tok, err := v.Verify(t.Context(), raw, scopes.All("orders:read"))
		if err != nil || tok.Subject != "user-1" || tok.ClientID != "web" {
			t.Fatalf("%+v %v", tok, err)
		}
		if got := verdict(v, raw, scopes.All("orders:write")); got != verifier.ErrInsufficientScope {
			t.Errorf("other scope: %v", got)
		}
	})
	t.Run("TA-05/answer", func(t *testing.T) {
		refresh, _ := a.json["refresh_token"].(string)
		if a.json["token_type"] != "Bearer" || a.json["expires_in"] != 600.0 || a.json["scope"] != "openid orders:read" || refresh == "" {
			t.Errorf("%v", a.json)
		}
	})
	t.Run("no_id_token_without_openid", func(t *testing.T) {
		a := exchange(t, as, approved(t, as, param("scope", "orders:read")))
		wantAnswer(t, a, want200, "")
		if _, has := a.json["id_token"]; has {
			t.Errorf("%v", a.json)
		}
	})
	t.Run("TA-07/public_client", func(t *testing.T) {
		to := "http://127.0.0.1:7/cb"
		location, err := as.Approve(consentURL(as, param("client_id", "native"), param("redirect_uri", to)))
		if err != nil {
			t.Fatal(err)
		}
		code := sentTo(t, as, location, to).Get("code")
		form := codeForm(code, param("client_id", "native"), param("redirect_uri", to))
		wantAnswer(t, tokenRequest(t, as, form), want200, "")
	})
	t.Run("TA-08/codes_differ", func(t *testing.T) {
		if a, b := approved(t, as), approved(t, as); a == b || len(a) < 22 {
			t.Errorf("%q %q", a, b)
		}
	})
}

func TestCodeIsBound(t *testing.T) {
	as := newConsent(t)
	long := strings.Repeat("a", 129)
	for _, tc := range []struct {
		name   string
		auth   func(*http.Request)
		edit   func(url.Values)
		code   string
		burned bool // a good request for the same code fails afterwards
	}{
		{"TA-07/no_code", webClient, param("code"), "invalid_request", false},
		{"TA-07/unknown_code", webClient, param("code", "x"), "invalid_grant", false},
		{"TA-07/another_client", narrowClient, param("x"), "invalid_grant", false},
		{"TA-07/another_redirect", webClient, param("redirect_uri", webCallback+"/"), "invalid_grant", true},
		{"TA-07/no_redirect", webClient, param("redirect_uri"), "invalid_grant", true},
		{"TA-08/no_verifier", webClient, param("code_verifier"), "invalid_grant", true},
		{"TA-08/wrong_verifier", webClient, param("code_verifier", strings.Repeat("a", 43)), "invalid_grant", true},
		{"TA-08/challenge_as_verifier", webClient, param("code_verifier", codeChallenge), "invalid_grant", true},
		{"TA-08/verifier_cut", webClient, param("code_verifier", codeVerifier[:42]), "invalid_grant", true},
		{"TA-08/verifier_long", webClient, param("code_verifier", long), "invalid_grant", true},
		{"TA-15/other_resource", webClient, param("resource", secondAPI), "invalid_target", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code := approved(t, as)
			wantAnswer(t, tokenRequest(t, as, codeForm(code, tc.edit), tc.auth), want400, tc.code)
			if again := exchange(t, as, code); tc.burned != (again.status != want200) {
				t.Errorf("afterwards: %d %s", again.status, again.body)
			}
		})
	}
	t.Run("TA-07/redirect_left_out", func(t *testing.T) {
		wantAnswer(t, exchange(t, as, approved(t, as, param("redirect_uri")), param("redirect_uri")), want200, "")
		wantAnswer(t, exchange(t, as, approved(t, as, param("redirect_uri"))), want400, "invalid_grant")
	})
	t.Run("TA-07/loopback_port_of_the_request", func(t *testing.T) {
		to := "http://127.0.0.1:7/cb"
		location, _ := as.Approve(consentURL(as, param("client_id", "native"), param("redirect_uri", to)))
		form := codeForm(sentTo(t, as, location, to).Get("code"), param("client_id", "native"), param("redirect_uri", "http://127.0.0.1:8/cb"))
		wantAnswer(t, tokenRequest(t, as, form), want400, "invalid_grant")
	})
}

// TestCodeVerifier: both ends of the length, and every kind of character.
func TestCodeVerifier(t *testing.T) {
	as := newConsent(t)
	unreserved := "ABCXYZabcxyz0189-._~"
	for _, tc := range []struct {
		name, verifier string
		good           bool
	}{
		{"TA-08/42", strings.Repeat("a", 42), false},
		{"TA-08/43", strings.Repeat("a", 43), true},
		{"TA-08/128", strings.Repeat("a", 128), true},
		{"TA-08/129", strings.Repeat("a", 129), false},
		{"TA-08/unreserved", unreserved + unreserved + "abc", true},
		{"TA-08/plus", strings.Repeat("a", 43) + "+", false},
		{"TA-08/space", strings.Repeat("a", 43) + " ", false},
		{"TA-08/equals", strings.Repeat("a", 43) + "=", false},
		{"TA-08/slash", strings.Repeat("a", 43) + "/", false},
		{"TA-08/not_ascii", strings.Repeat("a", 43) + "é", false},
		{"TA-08/nul", strings.Repeat("a", 43) + "\x00", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code := approved(t, as, param("code_challenge", s256(tc.verifier)))
			if a := exchange(t, as, code, param("code_verifier", tc.verifier)); tc.good != (a.status == want200) {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

func TestCodeWithoutChallenge(t *testing.T) {
	as := newConsent(t, legacy)
	bare := func(v url.Values) { v.Del("code_challenge"); v.Del("code_challenge_method") }
	t.Run("TA-06/exchanged", func(t *testing.T) {
		wantAnswer(t, exchange(t, as, approved(t, as, bare), param("code_verifier")), want200, "")
	})
	t.Run("TA-09/verifier_for_a_code_without_challenge", func(t *testing.T) {
		wantAnswer(t, exchange(t, as, approved(t, as, bare)), want400, "invalid_grant")
	})
	t.Run("TA-09/no_verifier_for_a_code_with_challenge", func(t *testing.T) {
		wantAnswer(t, exchange(t, as, approved(t, as), param("code_verifier")), want400, "invalid_grant")
	})
	t.Run("TA-08/challenge_still_counts", func(t *testing.T) {
		wantAnswer(t, exchange(t, as, approved(t, as)), want200, "")
	})
}

func TestCodeLifetime(t *testing.T) {
	for _, tc := range []struct {
		name           string
		lifetime, wait time.Duration
		good           bool
	}{
		{"TA-07/last_second_of_the_most", 0, 59 * time.Second, true},
		{"TA-07/end_of_the_most", 0, 60 * time.Second, false},
		{"TA-07/last_second_of_ten", 10 * time.Second, 9 * time.Second, true},
		{"TA-07/end_of_ten", 10 * time.Second, 10 * time.Second, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newClock()
			as := newConsent(t, c.in, func(cfg *oauthtest.Config) { cfg.CodeLifetime = tc.lifetime })
			code := approved(t, as)
			c.pass(tc.wait)
			if a := exchange(t, as, code); tc.good != (a.status == want200) {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

func TestCodeReuse(t *testing.T) {
	c := newClock()
	as := newConsent(t, c.in)
	t.Run("TA-07/second_use_revokes", func(t *testing.T) {
		code := approved(t, as)
		first := exchange(t, as, code)
		if wantAnswer(t, first, want200, ""); !alive(t, as, first) {
			t.Fatal("not alive before the second use")
		}
		other := exchange(t, as, approved(t, as))
		wantAnswer(t, exchange(t, as, code), want400, "invalid_grant")
		if alive(t, as, first) {
			t.Error("alive after the second use")
		}
		raw, _ := first.json["access_token"].(string)
		about := post(t, as.HTTPClient(), as.Issuer()+"/introspect", url.Values{"token": {raw}}, basic("service", "service-secret"))
		if about.json["active"] != false || len(about.json) != 1 {
			t.Errorf("introspection: %d %s", about.status, about.body)
		}
		if !alive(t, as, other) {
			t.Error("the same user's other sign-in ended, too")
		}
		refresh, _ := first.json["refresh_token"].(string)
		wantAnswer(t, tokenRequest(t, as, "grant_type=refresh_token&refresh_token="+refresh, webClient), want400, "invalid_grant")
	})
	t.Run("TA-07/late_second_use_revokes", func(t *testing.T) {
		code := approved(t, as)
		first := exchange(t, as, code)
		c.pass(2 * time.Minute)
		if wantAnswer(t, exchange(t, as, code), want400, "invalid_grant"); alive(t, as, first) {
			t.Error("alive after the second use")
		}
	})
	t.Run("TA-07/another_client_revokes_nothing", func(t *testing.T) {
		code := approved(t, as)
		first := exchange(t, as, code)
		wantAnswer(t, tokenRequest(t, as, codeForm(code), narrowClient), want400, "invalid_grant")
		if !alive(t, as, first) {
			t.Error("another client ended it")
		}
	})
	t.Run("TA-07/many_at_once", func(t *testing.T) {
		code := approved(t, as)
		answers := make([]answer, 50)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = exchange(t, as, code) })
		}
		wg.Wait()
		granted := 0
		for _, a := range answers {
			if a.status == want200 {
				granted++
				if alive(t, as, a) {
					t.Error("alive though the code was used again")
				}
				continue
			}
			wantAnswer(t, a, want400, "invalid_grant")
		}
		if granted != 1 {
			t.Errorf("%d exchanges", granted)
		}
	})
}

func TestCodeResource(t *testing.T) {
	as := newConsent(t)
	for _, tc := range []struct {
		name         string
		asked, wants []string
		aud          any
		code         string
	}{
		{"TA-15/default", nil, nil, api, ""},
		{"TA-15/of_the_authorization", []string{secondAPI}, nil, secondAPI, ""},
		{"TA-15/both", []string{secondAPI, api}, nil, []any{secondAPI, api}, ""},
		{"TA-15/narrowed", []string{secondAPI, api}, []string{api}, api, ""},
		{"TA-15/equal", []string{secondAPI}, []string{secondAPI}, secondAPI, ""},
		{"TA-15/wider", []string{secondAPI}, []string{secondAPI, api}, nil, "invalid_target"},
		{"TA-15/other", nil, []string{secondAPI}, nil, "invalid_target"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := exchange(t, as, approved(t, as, param("resource", tc.asked...)), param("resource", tc.wants...))
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
}

// TestCodeInBubble: the clock of a bubble is the clock of codes.
func TestCodeInBubble(t *testing.T) {
	for name, wait := range map[string]time.Duration{"TA-07/virtual_59_s": 59 * time.Second, "TA-07/virtual_60_s": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := newConsent(t)
				page := get(t, stay(as), consentURL(as))
				time.Sleep(10*time.Minute - time.Second)
				location := decide(t, as, page, "allow").header.Get("Location")
				time.Sleep(wait)
				a := exchange(t, as, sentTo(t, as, location, webCallback).Get("code"))
				if good := wait < time.Minute; good != (a.status == want200) {
					t.Errorf("%d %s", a.status, a.body)
				}
			})
		})
	}
}

// TestCodeMemory: codes that nobody exchanges cost a bounded memory.
func TestCodeMemory(t *testing.T) {
	t.Parallel()
	c := newClock()
	as := newConsent(t, c.in)
	first := approved(t, as)
	for range 9999 {
		approved(t, as)
	}
	location, err := as.Approve(consentURL(as))
	if params := sentTo(t, as, location, webCallback); err != nil || params.Get("error") != "temporarily_unavailable" {
		t.Errorf("%v %v", params, err)
	}
	// Only those that wait are counted, also where the clock stands still.
	wantAnswer(t, exchange(t, as, first), want200, "")
	wantAnswer(t, exchange(t, as, approved(t, as)), want200, "")
	wantAnswer(t, exchange(t, as, approved(t, as)), want200, "")
	c.pass(time.Minute)
	wantAnswer(t, exchange(t, as, approved(t, as)), want200, "")
}
