// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

const jwtBearer = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="

func newSigner(t testing.TB, members jsonObject) (*oauthtest.Server, clientKey) {
	key := newClientKey(t, members)
	return newGrants(t, func(c *oauthtest.Config) {
		c.Clients = append(c.Clients, oauthtest.Client{ID: "signer", Keys: key.set})
	}), key
}

type assertionEdit = func(header, claims jsonObject)

func setClaim(name string, value any) assertionEdit {
	return func(_, claims jsonObject) { claims[name] = value }
}

func dropClaim(name string) assertionEdit {
	return func(_, claims jsonObject) { delete(claims, name) }
}

func setHeader(name string, value any) assertionEdit {
	return func(header, _ jsonObject) { header[name] = value }
}

func dropHeader(name string) assertionEdit {
	return func(header, _ jsonObject) { delete(header, name) }
}

func bothNames(id string) assertionEdit {
	return func(_, claims jsonObject) { claims["iss"], claims["sub"] = id, id }
}

func fromNow(d time.Duration) int64 { return time.Now().Add(d).Unix() }

func TestAssertion(t *testing.T) {
	const issuer = "https://issuer.test"
	for _, tc := range []struct {
		name string
		edit assertionEdit
		ok   bool
	}{
		{"issuer_as_audience", setClaim("aud", issuer), true},
		{"token_endpoint_as_audience", setClaim("aud", issuer+"/token"), true},
		{"audience_array_of_one", setClaim("aud", []string{issuer}), true},
		{"audience_array_of_two", setClaim("aud", []string{issuer, "https://evil.test"}), false},
		{"audience_array_of_both", setClaim("aud", []string{issuer, issuer + "/token"}), true},
		{"audience_array_of_three", setClaim("aud", []string{issuer, issuer + "/token", issuer + "/introspect"}), false},
		{"audience_array_with_a_number", setClaim("aud", []any{issuer, 1}), false},
		{"audience_empty_array", setClaim("aud", []string{}), false},
		{"other_audience", setClaim("aud", "https://evil.test"), false},
		{"other_endpoint", setClaim("aud", issuer+"/introspect"), false},
		{"slash_added", setClaim("aud", issuer+"/"), false},
		{"no_audience", dropClaim("aud"), false},
		{"no_issuer", dropClaim("iss"), false},
		{"issuer_without_keys", bothNames("app"), false},
		{"public_issuer", bothNames("page"), false},
		{"unknown_issuer", bothNames("nobody"), false},
		{"other_subject", setClaim("sub", "app"), false},
		{"no_subject", dropClaim("sub"), false},
		{"no_exp", dropClaim("exp"), false},
		{"exp_string", setClaim("exp", "4102444800"), false},
		{"nbf_past", setClaim("nbf", fromNow(-time.Minute)), true},
		{"nbf_string", setClaim("nbf", "1"), false},
		{"iat_ahead", setClaim("iat", fromNow(time.Minute)), false},
		{"no_jti", dropClaim("jti"), false},
		{"empty_jti", setClaim("jti", ""), false},
		{"number_jti", setClaim("jti", 7), false},
		{"typ_JWT", setHeader("typ", "JWT"), true},
		{"typ_lower_case", setHeader("typ", "jwt"), true},
		{"typ_media_type", setHeader("typ", "application/client-authentication+jwt"), true},
		{"no_typ", dropHeader("typ"), true},
		{"typ_access_token", setHeader("typ", "at+jwt"), false},
		{"typ_empty", setHeader("typ", ""), false},
		{"typ_number", setHeader("typ", 1), false},
		{"crit", setHeader("crit", []string{"exp"}), false},
		{"alg_none", setHeader("alg", "none"), false},
		{"alg_HS256", setHeader("alg", "HS256"), false},
		{"alg_ES384", setHeader("alg", "ES384"), false},
		{"no_alg", dropHeader("alg"), false},
		{"kid_where_the_key_has_none", setHeader("kid", "x"), true},
	} {
		t.Run("TA-13/assertion_"+tc.name, func(t *testing.T) {
			as, key := newSigner(t, nil)
			a := tokenRequest(t, as, byClientCredentials+jwtBearer+key.assertion(t, issuer, tc.edit))
			if tc.ok {
				wantAnswer(t, a, want200, "")
				return
			}
			wantAnswer(t, a, want401, "invalid_client")
		})
	}
}

// A key of a type that is not known here does not keep the others from their work
// (RFC 7517 §5).
func TestAssertionBesideUnknownKey(t *testing.T) {
	t.Run("TA-13/assertion_beside_a_key_of_unknown_type", func(t *testing.T) {
		key := newClientKey(t, nil)
		as := newGrants(t, func(c *oauthtest.Config) {
			set := strings.Replace(string(key.set), "[", `[{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"},`, 1)
			c.Clients = append(c.Clients, oauthtest.Client{ID: "signer", Keys: []byte(set)})
		})
		wantAnswer(t, tokenRequest(t, as, byClientCredentials+jwtBearer+key.assertion(t, as.Issuer())), want200, "")
		stranger := newClientKey(t, nil).assertion(t, as.Issuer())
		wantAnswer(t, tokenRequest(t, as, byClientCredentials+jwtBearer+stranger), want401, "invalid_client")
	})
}

func TestAssertionForm(t *testing.T) {
	as, key := newSigner(t, jsonObject{"kid": "1"})
	good := func(edits ...assertionEdit) string { return key.assertion(t, as.Issuer(), edits...) }
	stranger := newClientKey(t, nil).assertion(t, as.Issuer())
	changed := good()
	changed = changed[:len(changed)-10] + strings.Repeat("A", 10)
	for _, tc := range []struct {
		name, form string
		auth       func(*http.Request)
		status     int
		code       string
	}{
		{"TA-13/assertion", jwtBearer + good(), noAuth, want200, ""},
		{"TA-13/assertion_with_client_id", "&client_id=signer" + jwtBearer + good(), noAuth, want200, ""},
		{"TA-13/assertion_with_its_kid", jwtBearer + good(setHeader("kid", "1")), noAuth, want200, ""},
		{"TA-13/assertion_with_another_kid", jwtBearer + good(setHeader("kid", "2")), noAuth, want401, "invalid_client"},
		{"TA-13/assertion_of_another_key", jwtBearer + stranger, noAuth, want401, "invalid_client"},
		{"TA-13/assertion_with_a_changed_signature", jwtBearer + changed, noAuth, want401, "invalid_client"},
		{"TA-13/assertion_that_is_none", jwtBearer + "x", noAuth, want401, "invalid_client"},
		{"TA-13/assertion_type_missing", "&client_assertion=" + good(), noAuth, want401, "invalid_client"},
		{"TA-13/assertion_type_of_another_kind", strings.Replace(jwtBearer, "jwt-bearer", "saml2-bearer", 1) + good(), noAuth, want401, "invalid_client"},
		{"TA-13/assertion_missing", strings.TrimSuffix(jwtBearer, "&client_assertion="), noAuth, want401, "invalid_client"},
		{"TA-13/client_id_alone_where_there_are_keys", "&client_id=signer", noAuth, want401, "invalid_client"},
		{"TA-13/secret_where_there_are_keys", "&client_id=signer&client_secret=x", noAuth, want401, "invalid_client"},
		{"assertion_with_another_client_id", "&client_id=app" + jwtBearer + good(), noAuth, want400, "invalid_request"},
		{"assertion_and_basic", jwtBearer + good(), basic("app", "secret"), want400, "invalid_request"},
		{"assertion_and_secret", "&client_id=signer&client_secret=secret" + jwtBearer + good(), noAuth, want400, "invalid_request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantAnswer(t, tokenRequest(t, as, byClientCredentials+tc.form, tc.auth), tc.status, tc.code)
		})
	}
}

// TestAssertionBounds has a clock that stands still, for the exact second.
func TestAssertionBounds(t *testing.T) {
	t.Run("TA-13/assertion_to_the_second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as, key := newSigner(t, nil)
			for _, tc := range []struct {
				claim string
				in    time.Duration
				ok    bool
			}{
				{"exp", 0, false},
				{"exp", time.Second, true},
				{"exp", 10 * time.Minute, true},
				{"exp", 10*time.Minute + time.Second, false},
				{"nbf", 10 * time.Second, true},
				{"nbf", 11 * time.Second, false},
				{"iat", 10 * time.Second, true},
				{"iat", 11 * time.Second, false},
			} {
				a := tokenRequest(t, as, byClientCredentials+jwtBearer+key.assertion(t, as.Issuer(), setClaim(tc.claim, fromNow(tc.in))))
				if (a.status == want200) != tc.ok {
					t.Errorf("%s in %v: %d %s", tc.claim, tc.in, a.status, a.body)
				}
			}
		})
	})
}

func TestAssertionReplay(t *testing.T) {
	t.Run("TA-13/assertion_used_twice", func(t *testing.T) {
		as, key := newSigner(t, nil)
		form := byClientCredentials + jwtBearer + key.assertion(t, as.Issuer())
		wantAnswer(t, tokenRequest(t, as, form), want200, "")
		wantAnswer(t, tokenRequest(t, as, form), want401, "invalid_client")
	})
	t.Run("TA-13/jti_used_in_another_assertion", func(t *testing.T) {
		as, key := newSigner(t, nil)
		for _, status := range []int{want200, want401} {
			form := byClientCredentials + jwtBearer + key.assertion(t, as.Issuer(), setClaim("jti", "once"))
			if a := tokenRequest(t, as, form); a.status != status {
				t.Errorf("%d %s, want %d", a.status, a.body, status)
			}
		}
	})
	t.Run("TA-13/refused_assertion_is_not_used_up", func(t *testing.T) {
		as, key := newSigner(t, nil)
		bad := key.assertion(t, "https://evil.test", setClaim("jti", "once"))
		wantAnswer(t, tokenRequest(t, as, byClientCredentials+jwtBearer+bad), want401, "invalid_client")
		good := key.assertion(t, as.Issuer(), setClaim("jti", "once"))
		wantAnswer(t, tokenRequest(t, as, byClientCredentials+jwtBearer+good), want200, "")
	})
	t.Run("TA-13/assertion_used_in_parallel", func(t *testing.T) {
		as, key := newSigner(t, nil)
		form := byClientCredentials + jwtBearer + key.assertion(t, as.Issuer())
		var wg sync.WaitGroup
		var granted atomic.Int64
		for range 20 {
			wg.Go(func() {
				if tokenRequest(t, as, form).status == want200 {
					granted.Add(1)
				}
			})
		}
		wg.Wait()
		if granted.Load() != 1 {
			t.Errorf("%d requests were granted", granted.Load())
		}
	})
}

// TestPublicClient: a public client names itself, and cannot do what needs more.
func TestPublicClient(t *testing.T) {
	as := newGrants(t)
	const password = "grant_type=password&username=alice&password=wonder"
	for _, tc := range []struct {
		name, path, form string
		auth             func(*http.Request)
		status           int
		code             string
	}{
		{"TA-13/none", "/token", password + "&client_id=page", noAuth, want200, ""},
		{"TA-13/none_with_a_secret", "/token", password + "&client_id=page&client_secret=x", noAuth, want401, "invalid_client"},
		{"TA-13/none_by_header", "/token", password, basic("page", ""), want401, "invalid_client"},
		{"TA-13/none_without_a_name", "/token", password, noAuth, want401, "invalid_client"},
		{"TA-13/none_for_a_confidential_client", "/token", password + "&client_id=app", noAuth, want401, "invalid_client"},
		{"TA-13/public_client_credentials", "/token", byClientCredentials + "&client_id=page", noAuth, want401, "invalid_client"},
		{"TA-18/public_introspection", "/introspect", "token=x&client_id=page", noAuth, want401, "invalid_client"},
		{"TA-18/anonymous_introspection", "/introspect", "token=x", noAuth, want401, "invalid_client"},
		{"TA-18/wrong_secret", "/introspect", "token=x", basic("app", "x"), want401, "invalid_client"},
		{"TA-19/revocation_by_a_public_client", "/revoke", "token=x&client_id=page", noAuth, want200, ""},
		{"TA-19/anonymous_revocation", "/revoke", "token=x", noAuth, want401, "invalid_client"},
		{"TA-20/anonymous_device", "/device_authorization", "", noAuth, want401, "invalid_client"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantAnswer(t, postForm(t, as, tc.path, tc.form, tc.auth), tc.status, tc.code)
		})
	}
	t.Run("TA-18/private_key_jwt", func(t *testing.T) {
		as, key := newSigner(t, nil)
		a := postForm(t, as, "/introspect", "token="+as.Token()+jwtBearer+key.assertion(t, as.Issuer()))
		wantAnswer(t, a, want200, "")
		if a.json["active"] != true {
			t.Error(a.body)
		}
	})
}
