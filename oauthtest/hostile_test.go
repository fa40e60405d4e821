// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// guarded is an API that needs the scope read.
func guarded(t testing.TB, v *verifier.Verifier) http.HandlerFunc {
	t.Helper()
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		t.Fatal(err)
	}
	route, err := g.Route(scopes.All("read"))
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := route.Check(w, r); err != nil {
			route.Deny(w, r, err)
		}
	}
}

// ask returns status and error code of the answer to a token.
func ask(h http.Handler, token string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, "https://api.example.com/orders", nil)
	r.Header["Authorization"] = []string{"Bearer " + token}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	_, code, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), `error="`)
	code, _, _ = strings.Cut(code, `"`)
	return w.Code, code
}

func anyVerifier(t testing.TB, as *oauthtest.Server, alg string) *verifier.Verifier {
	t.Helper()
	if !strings.HasPrefix(alg, "HS") {
		v, err := verifier.New(as.VerifierConfig(api))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	cfg, secret := as.SymmetricConfig(api)
	v, err := verifier.NewSymmetric(cfg, secret)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestHostile: what Hostile promises about each token is what a real API answers, also
// when the good token was verified before.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "PS256", "ES256", "Ed25519", "HS256"} {
		t.Run("TA-24/"+alg, func(t *testing.T) {
			oauthtest.OneOfMany(t, alg == "ES256")
			as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = alg })
			h := guarded(t, anyVerifier(t, as, alg))
			n := 0
			for bad := range as.Hostile(oauthtest.Scope("read")) {
				if n++; n == 1 {
					if status, code := ask(h, as.Token(oauthtest.Scope("read"))); status != 200 {
						t.Fatalf("good token: %d %s", status, code)
					}
				}
				if status, code := ask(h, bad.Token); status != bad.Status || code != bad.Code || status < 400 {
					t.Errorf("%s: %d %q, want %d %q", bad.ID, status, code, bad.Status, bad.Code)
				}
			}
			if n < 150 {
				t.Errorf("%d tokens only", n)
			}
			if status, code := ask(h, as.Token(oauthtest.Scope("read"))); status != 200 {
				t.Errorf("good token afterwards: %d %s", status, code)
			}
		})
	}
}

// TestHostileUnderProfileJWT: only the tokens that say so need the profile of RFC 9068.
func TestHostileUnderProfileJWT(t *testing.T) {
	t.Parallel()
	as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = "ES256" })
	cfg := as.VerifierConfig(api)
	cfg.Profile = verifier.ProfileJWT
	h := guarded(t, newVerifier(t, cfg))
	strict := 0
	for bad := range as.Hostile(oauthtest.Scope("read")) {
		status, code := ask(h, bad.Token)
		if bad.RFC9068 {
			strict++
			if status != http.StatusOK {
				t.Errorf("%s: %d %s, though another profile takes it", bad.ID, status, code)
			}
		} else if status != bad.Status || code != bad.Code {
			t.Errorf("%s: %d %q, want %d %q", bad.ID, status, code, bad.Status, bad.Code)
		}
	}
	if strict == 0 {
		t.Error("no token needs RFC 9068")
	}
}

// TestHostileTokens: the tokens that TA-24 and TA-22 want by name, each in one line.
func TestHostileTokens(t *testing.T) {
	as := oauthtest.NewServer(t)
	cfg := as.VerifierConfig(api)
	as.HostileToken("E1.oct") // publishes the hostile keys before they are fetched
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for name, class := range map[string]error{
		"TA-24/C1.none_lower":             verifier.ErrMalformedToken,
		"TA-24/C2.none_lower":             verifier.ErrAlgorithm,
		"TA-24/C6.pem":                    verifier.ErrAlgorithm,
		"TA-24/C11.issuer_rs512":          verifier.ErrUnknownKey,
		"TA-24/C42.embedded_key":          verifier.ErrSignature,
		"TA-24/C40.canary":                verifier.ErrSignature,
		"TA-24/C46.unknown":               verifier.ErrMalformedToken,
		"TA-24/C48.b64_false":             verifier.ErrMalformedToken,
		"TA-24/B9.flattened":              verifier.ErrMalformedToken,
		"TA-24/B13.signature":             verifier.ErrMalformedToken,
		"TA-24/B18.aud_foreign_first":     verifier.ErrMalformedToken,
		"TA-24/B20.exp_in_capitals":       verifier.ErrMissingClaim,
		"TA-24/C52.logout_jwt":            verifier.ErrTokenType,
		"TA-22/E13.same_kid_other_type":   nil,
		"TA-22/E14.same_kid_same_type":    nil,
		"TA-22/E15.kid_missing":           verifier.ErrUnknownKey,
		"TA-22/C11.rs256_under_rs512_key": verifier.ErrUnknownKey,
		"TA-22/E11.use_enc":               verifier.ErrUnknownKey,
		"TA-22/E11.key_ops_encrypt":       verifier.ErrUnknownKey,
		"TA-22/E9.unknown_kty":            verifier.ErrUnknownKey,
		"TA-22/E2.rsa_1024":               verifier.ErrUnknownKey,
		"TA-22/E6.off_curve":              verifier.ErrUnknownKey,
		"TA-22/E1.oct":                    verifier.ErrAlgorithm,
		"TA-22/E10.private_members":       nil,
		"TA-22/E10.repeated_member":       verifier.ErrUnknownKey,
		"TA-22/E16.foreign_certificate":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			_, id, _ := strings.Cut(name, "/")
			bad := as.HostileToken(id)
			if got := verdict(v, bad.Token); got != class || bad.ID != id || bad.Gain == "" {
				t.Errorf("%v, want %v (%s: %s)", got, class, bad.ID, bad.Gain)
			}
			if passes := bad.Status == http.StatusOK; passes != (class == nil) {
				t.Errorf("status %d", bad.Status)
			}
		})
	}
}

// TestHostileEdits: the edits are those of the good token, and what they do not offer is
// left out.
func TestHostileEdits(t *testing.T) {
	t.Parallel()
	as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = "ES256" })
	as.VerifierConfig(api)
	ids := func(edits ...oauthtest.Edit) map[string]oauthtest.HostileToken {
		all := map[string]oauthtest.HostileToken{}
		for bad := range as.Hostile(edits...) {
			all[bad.ID] = bad
		}
		return all
	}
	plain, scoped := ids(), ids(oauthtest.Scope("orders:read", "x"), oauthtest.Subject("u7"))
	if _, there := plain["D39.longer"]; there {
		t.Error("a token that only a scope rule refuses, without a scope")
	}
	_, claims := parts(t, scoped["D39.longer"].Token)
	if claims["scope"] != "orders:readonly" || claims["sub"] != "u7" || scoped["D39.longer"].Status != http.StatusForbidden {
		t.Errorf("%v", claims)
	}
	for id, want := range map[string]bool{"C49.no_typ": true, "C50.jwt": true, "C52.logout_jwt": false, "D32.no_jti": true} {
		if got := plain[id].RFC9068; got != want {
			t.Errorf("%s: RFC9068 %v", id, got)
		}
	}
	for _, id := range []string{"A5.lower", "C20.n_minus_s", "F1.expired", "C23.salt_0", "A38.900_kilobytes", "L2.expired_since", "D21.second_key", "A37.below"} {
		if _, there := scoped[id]; there {
			t.Errorf("%s is yielded", id)
		}
	}
	for range as.Hostile() {
		break // an iterator may be left
	}
}

func TestHostileFaults(t *testing.T) {
	server := func(t testing.TB, aud ...string) *oauthtest.Server {
		return oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm, c.Audience = "ES256", aud })
	}
	for name, tc := range map[string]struct {
		run  func(t testing.TB)
		want string
	}{
		"unknown":         {func(t testing.TB) { server(t, api).HostileToken("Z1.x") }, "docs/attacks.md"},
		"nothing":         {func(t testing.TB) { server(t, api).HostileToken("") }, "C1.none_lower for example"},
		"unknown_name":    {func(t testing.TB) { server(t, api).HostileToken("C42.embedded_jwk") }, "row C42 has C42.embedded_key, "},
		"small_letter":    {func(t testing.TB) { server(t, api).HostileToken("c1.none_lower") }, "row C1 has C1.none_lower, "},
		"unknown_row":     {func(t testing.TB) { server(t, api).HostileToken("D999.x") }, "for the rows D1, D2, "},
		"one_issuer":      {func(t testing.TB) { server(t, api).HostileToken("D21.second_key") }, `"second-issuer"`},
		"in_an_hour":      {func(t testing.TB) { server(t, api).HostileToken("L2.expired_since") }, "no token"},
		"no_token":        {func(t testing.TB) { server(t, api).HostileToken("A5.lower") }, "no token"},
		"in_an_outage":    {func(t testing.TB) { server(t, api).HostileToken("F1.expired") }, "no token"},
		"other_algorithm": {func(t testing.TB) { server(t, api).HostileToken("C23.salt_0") }, `"pss"`},
		"no_scope":        {func(t testing.TB) { server(t, api).HostileToken("D36.no_scope") }, `"scope"`},
		"no_audience":     {func(t testing.TB) { server(t).Hostile() }, "VerifierConfig"},
	} {
		if got := failureOf(tc.run); !strings.Contains(got, tc.want) {
			t.Errorf("%s: failure %q, want %q", name, got, tc.want)
		}
	}
}
