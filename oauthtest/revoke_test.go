// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

func revoke(t *testing.T, as *oauthtest.Server, raw, form string, auth func(*http.Request)) answer {
	t.Helper()
	a := postForm(t, as, "/revoke", "token="+raw+form, auth)
	if a.status == want200 && a.body != "" {
		t.Errorf("body %q", a.body)
	}
	return a
}

func TestRevocation(t *testing.T) {
	app := basic("app", "secret")
	t.Run("TA-19/unknown_token", func(t *testing.T) {
		wantAnswer(t, revoke(t, newGrants(t), "x", "", app), want200, "")
	})
	t.Run("TA-19/refresh_token_ends_the_family", func(t *testing.T) {
		as := newGrants(t)
		first := signIn(t, as, "", app)
		second := refresh(t, as, textOf(t, first, "refresh_token"), "", app)
		unrelated := signIn(t, as, "", app)
		wantAnswer(t, revoke(t, as, textOf(t, second, "refresh_token"), "&token_type_hint=access_token", app), want200, "")
		wantActive(t, as, "first", textOf(t, first, "access_token"), false)
		wantActive(t, as, "second", textOf(t, second, "access_token"), false)
		wantActive(t, as, "unrelated", textOf(t, unrelated, "access_token"), true)
		wantAnswer(t, refresh(t, as, textOf(t, second, "refresh_token"), "", app), want400, "invalid_grant")
	})
	t.Run("TA-19/used_refresh_token_ends_the_family", func(t *testing.T) {
		as := newGrants(t)
		first := signIn(t, as, "", app)
		second := refresh(t, as, textOf(t, first, "refresh_token"), "", app)
		wantAnswer(t, revoke(t, as, textOf(t, first, "refresh_token"), "", app), want200, "")
		wantActive(t, as, "second", textOf(t, second, "access_token"), false)
	})
	t.Run("TA-19/access_token_ends_alone", func(t *testing.T) {
		as := newGrants(t)
		first := signIn(t, as, "", app)
		second := refresh(t, as, textOf(t, first, "refresh_token"), "", app)
		wantAnswer(t, revoke(t, as, textOf(t, first, "access_token"), "", app), want200, "")
		wantActive(t, as, "first", textOf(t, first, "access_token"), false)
		wantActive(t, as, "second", textOf(t, second, "access_token"), true)
		wantAnswer(t, refresh(t, as, textOf(t, second, "refresh_token"), "", app), want200, "")
	})
	t.Run("TA-19/twice", func(t *testing.T) {
		as := newGrants(t)
		raw := textOf(t, signIn(t, as, "", app), "access_token")
		wantAnswer(t, revoke(t, as, raw, "", app), want200, "")
		wantAnswer(t, revoke(t, as, raw, "", app), want200, "")
		wantActive(t, as, "token", raw, false)
	})
	t.Run("TA-19/opaque", func(t *testing.T) {
		as, auth := newGrants(t), basic("opaque", "secret3")
		raw := textOf(t, tokenRequest(t, as, byClientCredentials, auth), "access_token")
		wantAnswer(t, revoke(t, as, raw, "", auth), want200, "")
		wantActive(t, as, "token", raw, false)
	})
	t.Run("TA-19/made_by_Token", func(t *testing.T) {
		as := newGrants(t)
		raw := as.Token()
		wantAnswer(t, revoke(t, as, raw, "", app), want200, "")
		wantActive(t, as, "token", raw, false)
		wantActive(t, as, "another", as.Token(), true)
	})
	t.Run("TA-19/public_client", func(t *testing.T) {
		as := newGrants(t)
		a := signIn(t, as, "&client_id=page", noAuth)
		wantAnswer(t, revoke(t, as, textOf(t, a, "refresh_token"), "&client_id=page", noAuth), want200, "")
		wantActive(t, as, "token", textOf(t, a, "access_token"), false)
	})
}

// TestRevocationByStrangers: a client cannot end what is not its own.
func TestRevocationByStrangers(t *testing.T) {
	as := newGrants(t)
	a := signIn(t, as, "", basic("app", "secret"))
	access, rotating := textOf(t, a, "access_token"), textOf(t, a, "refresh_token")
	for _, tc := range []struct{ name, raw string }{
		{"TA-19/access_token_of_another", access},
		{"TA-19/refresh_token_of_another", rotating},
		{"TA-19/made_by_Token_for_another", as.Token()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantAnswer(t, revoke(t, as, tc.raw, "&client_id=page", noAuth), want400, "invalid_grant")
			wantActive(t, as, "token", tc.raw, true)
		})
	}
	t.Run("TA-19/copy_with_another_signature", func(t *testing.T) {
		forged := access[:strings.LastIndex(access, ".")+1] + "AAAA"
		wantAnswer(t, revoke(t, as, forged, "", basic("app", "secret")), want200, "")
		wantActive(t, as, "token", access, true)
	})
	t.Run("TA-19/token_missing", func(t *testing.T) {
		wantAnswer(t, postForm(t, as, "/revoke", "", basic("app", "secret")), want400, "invalid_request")
	})
}

// TestRevocationOfBothSignatures: (r, n-s) is as good an ECDSA signature as (r, s),
// and anyone can make one of the other.
func TestRevocationOfBothSignatures(t *testing.T) {
	as := newGrants(t)
	raw := textOf(t, signIn(t, as, "", basic("app", "secret")), "access_token")
	dot := strings.LastIndex(raw, ".")
	sig, err := base64.RawURLEncoding.DecodeString(raw[dot+1:])
	if err != nil || len(sig) != 64 {
		t.Fatal(len(sig), err)
	}
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	twin := raw[:dot+1] + base64.RawURLEncoding.EncodeToString(sig)
	wantActive(t, as, "twin", twin, true)
	t.Run("TA-19/under_its_other_signature", func(t *testing.T) {
		wantAnswer(t, revoke(t, as, raw, "", basic("app", "secret")), want200, "")
		wantActive(t, as, "twin", twin, false)
		wantActive(t, as, "token", raw, false)
	})
}
