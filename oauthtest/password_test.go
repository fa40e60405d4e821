// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"slices"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

func TestPasswordGrant(t *testing.T) {
	as := newGrants(t)
	auth := basic("app", "secret")
	for _, tc := range []struct{ name, form, code string }{
		{"TA-06/password", "&username=alice&password=wonder", ""},
		{"TA-06/wrong_password", "&username=alice&password=Wonder", "invalid_grant"},
		{"TA-06/unknown_user", "&username=mallory&password=wonder", "invalid_grant"},
		{"TA-06/user_without_password", "&username=bob&password=x", "invalid_grant"},
		{"TA-06/empty_password", "&username=bob&password=", "invalid_request"},
		{"TA-06/no_username", "&password=wonder", "invalid_request"},
		{"TA-06/password_with_malformed_scope", "&username=alice&password=wonder&scope=%22", "invalid_scope"},
		{"TA-15/password_for_unknown_resource", "&username=alice&password=wonder&resource=https://x.test", "invalid_target"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status := want400
			if tc.code == "" {
				status = want200
			}
			wantAnswer(t, tokenRequest(t, as, "grant_type=password"+tc.form, auth), status, tc.code)
		})
	}
	t.Run("TA-16/auth_time", func(t *testing.T) {
		_, claims := parts(t, textOf(t, signIn(t, as, "&scope=a", auth), "access_token"))
		if claims["sub"] != "alice" || claims["client_id"] != "app" || claims["auth_time"] != claims["iat"] {
			t.Errorf("claims %v", claims)
		}
	})
}

// TestLegacyIsOff: also a user with a password cannot use it then, and no document
// offers it.
func TestLegacyIsOff(t *testing.T) {
	as := newGrants(t, func(c *oauthtest.Config) { c.LegacyGrants = false })
	t.Run("TA-05/password", func(t *testing.T) {
		a := tokenRequest(t, as, "grant_type=password&username=alice&password=wonder", basic("app", "secret"))
		wantAnswer(t, a, want400, "unsupported_grant_type")
	})
	t.Run("TA-05/metadata", func(t *testing.T) {
		a := get(t, as.HTTPClient(), as.Issuer()+"/.well-known/oauth-authorization-server")
		grants, _ := a.json["grant_types_supported"].([]any)
		for _, want := range []string{"authorization_code", "client_credentials", "refresh_token"} {
			if !slices.Contains(grants, any(want)) {
				t.Errorf("%s is off", want)
			}
		}
		for _, legacy := range []string{"password", "implicit"} {
			if slices.Contains(grants, any(legacy)) {
				t.Errorf("%s is on", legacy)
			}
		}
	})
}
