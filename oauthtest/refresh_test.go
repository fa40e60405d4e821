// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

func refresh(t *testing.T, as *oauthtest.Server, token, form string, auth func(*http.Request)) answer {
	t.Helper()
	return tokenRequest(t, as, "grant_type=refresh_token&refresh_token="+token+form, auth)
}

func TestRefreshRotation(t *testing.T) {
	for _, tc := range []struct {
		name, form string
		auth       func(*http.Request)
	}{
		{"public", "&client_id=page", noAuth},
		{"confidential", "", basic("app", "secret")},
	} {
		t.Run("TA-12/rotates_"+tc.name, func(t *testing.T) {
			as := newGrants(t)
			first := signIn(t, as, tc.form+"&scope=a", tc.auth)
			token := textOf(t, first, "refresh_token")
			for range 3 {
				next := refresh(t, as, token, tc.form, tc.auth)
				wantAnswer(t, next, want200, "")
				if textOf(t, next, "refresh_token") == token || next.json["scope"] != "a" || next.json["token_type"] != "Bearer" {
					t.Errorf("answer %s", next.body)
				}
				token = textOf(t, next, "refresh_token")
				wantActive(t, as, "new token", textOf(t, next, "access_token"), true)
			}
			wantActive(t, as, "first token", textOf(t, first, "access_token"), true)
		})
		t.Run("TA-12/reuse_ends_the_family_"+tc.name, func(t *testing.T) {
			as := newGrants(t)
			first := signIn(t, as, tc.form, tc.auth)
			second := refresh(t, as, textOf(t, first, "refresh_token"), tc.form, tc.auth)
			unrelated := signIn(t, as, tc.form, tc.auth)
			wantAnswer(t, refresh(t, as, textOf(t, first, "refresh_token"), tc.form, tc.auth), want400, "invalid_grant")
			wantActive(t, as, "first", textOf(t, first, "access_token"), false)
			wantActive(t, as, "second", textOf(t, second, "access_token"), false)
			wantAnswer(t, refresh(t, as, textOf(t, second, "refresh_token"), tc.form, tc.auth), want400, "invalid_grant")
			wantActive(t, as, "another family", textOf(t, unrelated, "access_token"), true)
		})
	}
}

func TestRefreshFaults(t *testing.T) {
	as := newGrants(t)
	token := textOf(t, signIn(t, as, "&client_id=page&scope=a+b", noAuth), "refresh_token")
	for _, tc := range []struct {
		name, token, form string
		auth              func(*http.Request)
		code              string
	}{
		{"TA-12/wider_scope", token, "&client_id=page&scope=a+c", noAuth, "invalid_scope"},
		{"TA-12/malformed_scope", token, "&client_id=page&scope=a++b", noAuth, "invalid_scope"},
		{"TA-12/of_another_client", token, "&client_id=page2", noAuth, "invalid_grant"},
		{"TA-12/of_another_confidential_client", token, "", basic("app", "secret"), "invalid_grant"},
		{"TA-12/unknown", "x", "&client_id=page", noAuth, "invalid_grant"},
		{"TA-12/missing", "", "&client_id=page", noAuth, "invalid_request"},
		{"TA-15/refresh_for_a_resource_not_granted", token, "&client_id=page&resource=" + secondAPI, noAuth, "invalid_target"},
		{"TA-15/refresh_for_one_more_resource", token, "&client_id=page&resource=" + api + "&resource=" + secondAPI, noAuth, "invalid_target"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantAnswer(t, refresh(t, as, tc.token, tc.form, tc.auth), want400, tc.code)
		})
	}
	t.Run("TA-12/still_good_after_all_these", func(t *testing.T) {
		wantAnswer(t, refresh(t, as, token, "&client_id=page", noAuth), want200, "")
	})
	t.Run("TA-12/access_token_is_none", func(t *testing.T) {
		raw := textOf(t, signIn(t, as, "&client_id=page", noAuth), "access_token")
		wantAnswer(t, refresh(t, as, raw, "&client_id=page", noAuth), want400, "invalid_grant")
	})
}

func TestRefreshNarrows(t *testing.T) {
	as := newGrants(t)
	first := signIn(t, as, "&client_id=page&scope=a+b&resource="+api+"&resource="+secondAPI, noAuth)
	narrow := refresh(t, as, textOf(t, first, "refresh_token"), "&client_id=page&scope=b&resource="+secondAPI, noAuth)
	_, claims := parts(t, textOf(t, narrow, "access_token"))
	t.Run("TA-12/scope_shrinks", func(t *testing.T) {
		if narrow.json["scope"] != "b" || claims["scope"] != "b" {
			t.Errorf("answer %v, claim %v", narrow.json["scope"], claims["scope"])
		}
	})
	t.Run("TA-15/refresh_for_one_of_two_resources", func(t *testing.T) {
		if claims["aud"] != secondAPI {
			t.Errorf("aud %v", claims["aud"])
		}
	})
	wide := refresh(t, as, textOf(t, narrow, "refresh_token"), "&client_id=page", noAuth)
	_, claims = parts(t, textOf(t, wide, "access_token"))
	t.Run("TA-12/what_was_granted_stays_granted", func(t *testing.T) {
		if wide.json["scope"] != "a b" || fmt.Sprint(claims["aud"]) != fmt.Sprint([]string{api, secondAPI}) {
			t.Errorf("answer %s, aud %v", wide.body, claims["aud"])
		}
	})
}

func TestRefreshLifetime(t *testing.T) {
	t.Run("TA-12/lifetime", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := newGrants(t, func(c *oauthtest.Config) { c.RefreshLifetime = time.Hour })
			token := textOf(t, signIn(t, as, "&client_id=page", noAuth), "refresh_token")
			for range 3 { // each token lives anew
				time.Sleep(time.Hour - time.Nanosecond)
				a := refresh(t, as, token, "&client_id=page", noAuth)
				wantAnswer(t, a, want200, "")
				token = textOf(t, a, "refresh_token")
			}
			time.Sleep(time.Hour)
			wantAnswer(t, refresh(t, as, token, "&client_id=page", noAuth), want400, "invalid_grant")
		})
	})
}

// TestRefreshInParallel: one token in many hands is reuse, however close together, so
// that no chain survives, not even the one that was answered first.
func TestRefreshInParallel(t *testing.T) {
	as := newGrants(t)
	first := signIn(t, as, "&client_id=page", noAuth)
	token := textOf(t, first, "refresh_token")
	answers := make([]answer, 50)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = refresh(t, as, token, "&client_id=page", noAuth) })
	}
	wg.Wait()
	var granted []answer
	for _, a := range answers {
		if a.status == want200 {
			granted = append(granted, a)
			continue
		}
		wantAnswer(t, a, want400, "invalid_grant")
	}
	t.Run("TA-12/parallel_uses_get_one_answer", func(t *testing.T) {
		if len(granted) != 1 {
			t.Errorf("%d requests were granted", len(granted))
		}
	})
	t.Run("TA-12/parallel_uses_leave_no_live_chain", func(t *testing.T) {
		wantActive(t, as, "first", textOf(t, first, "access_token"), false)
		for _, a := range granted {
			wantActive(t, as, "second", textOf(t, a, "access_token"), false)
			wantAnswer(t, refresh(t, as, textOf(t, a, "refresh_token"), "&client_id=page", noAuth), want400, "invalid_grant")
		}
	})
}
