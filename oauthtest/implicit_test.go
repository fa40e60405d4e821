// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
)

func TestImplicitGrant(t *testing.T) {
	as := newConsent(t, legacy)
	v := newVerifier(t, as.VerifierConfig(api))
	token := func(v url.Values) {
		v.Set("response_type", "token")
		v.Del("code_challenge")
		v.Del("code_challenge_method")
	}
	for _, tc := range []struct {
		name  string
		edit  func(url.Values)
		names []string
	}{
		{"TA-06/answer_in_the_fragment", param("x"), []string{"access_token", "expires_in", "iss", "scope", "state", "token_type"}},
		{"TA-06/no_scope_no_state", func(v url.Values) { v.Del("scope"); v.Del("state") }, []string{"access_token", "expires_in", "iss", "token_type"}},
		{"TA-06/challenge_is_ignored", param("code_challenge", codeChallenge), []string{"access_token", "expires_in", "iss", "scope", "state", "token_type"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			location, err := as.Approve(consentURL(as, token, tc.edit))
			if err != nil || !strings.HasPrefix(location, webCallback+"#") {
				t.Fatalf("%q %v", location, err)
			}
			params := sentTo(t, as, location, webCallback)
			if got := slices.Sorted(maps.Keys(params)); !slices.Equal(got, tc.names) {
				t.Errorf("%v", got)
			}
			if params.Get("token_type") != "Bearer" || params.Get("expires_in") != "600" {
				t.Errorf("%v", params)
			}
			wantVerdict(t, v, params.Get("access_token"), nil)
		})
	}
	t.Run("TA-06/scope_counts", func(t *testing.T) {
		location, _ := as.Approve(consentURL(as, token), "user-2")
		raw := sentTo(t, as, location, webCallback).Get("access_token")
		tok, err := v.Verify(t.Context(), raw, scopes.All("orders:read"))
		if err != nil || tok.Subject != "user-2" || tok.ClientID != "web" {
			t.Errorf("%+v %v", tok, err)
		}
	})
	t.Run("TA-06/denied_in_the_fragment", func(t *testing.T) {
		location, err := as.Deny(consentURL(as, token))
		if params := sentTo(t, as, location, webCallback); err != nil || params.Get("error") != "access_denied" || !strings.Contains(location, "#") {
			t.Errorf("%q %v", location, err)
		}
	})
	t.Run("TA-06/no_token_can_be_made", func(t *testing.T) {
		as := newConsent(t, legacy, func(c *oauthtest.Config) {
			c.Issuer = "https://broken.test"
			c.TokenEdits = []oauthtest.Edit{oauthtest.Claim("x", func() {})}
		})
		location, err := as.Approve(consentURL(as, token))
		if params := sentTo(t, as, location, webCallback); err != nil || params.Get("error") != "server_error" || params.Has("access_token") {
			t.Errorf("%v %v", params, err)
		}
	})
	t.Run("TA-06/off_by_default", func(t *testing.T) {
		as := newConsent(t, func(c *oauthtest.Config) { c.Issuer = "https://strict.test" })
		location, _ := as.Approve(consentURL(as, token))
		if got := sentTo(t, as, location, webCallback).Get("error"); got != "unsupported_response_type" {
			t.Errorf("%q", got)
		}
	})
}
