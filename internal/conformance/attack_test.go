// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// guardedOrders is a server with one guarded route, "/orders", which needs a scope.
func guardedOrders(t testing.TB, f framework, v *verifier.Verifier) http.Handler {
	t.Helper()
	g := newGuard(t, middleware.Config{Verifier: v})
	ok := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }
	return f.build([]route{{"/orders", []guard{behind(g, scopes.All("orders:read"))}, ok}})
}

var ordersRoute = oauthtest.Target{Path: "/orders", Scope: "orders:read"}

// attackedVerifier is an issuer with a verifier of its tokens.
func attackedVerifier(t testing.TB, alg string, profile verifier.Profile) (*oauthtest.Server, *verifier.Verifier) {
	t.Helper()
	as := oauthtest.NewServer(t, func(cfg *oauthtest.Config) { cfg.Algorithm = alg })
	if alg == "HS256" {
		cfg, secret := as.SymmetricConfig(api)
		cfg.Profile = profile
		v, err := verifier.NewSymmetric(cfg, secret)
		if err != nil {
			t.Fatal(err)
		}
		return as, v
	}
	cfg := as.VerifierConfig(api)
	cfg.Profile = profile
	return as, newVerifier(t, cfg)
}

// Every hostile request is refused in the right words, whatever serves the route and
// signs the tokens.
func TestAttack(t *testing.T) {
	for i, alg := range []string{"RS256", "Ed25519", "PS256"} {
		f := frameworks[i]
		t.Run(f.name+"_"+alg, func(t *testing.T) {
			t.Parallel() // it waits about a second for the verifier to try again
			as, v := attackedVerifier(t, alg, verifier.RFC9068)
			oauthtest.Attack(t, twice(t, guardedOrders(t, f, v)), as, ordersRoute)
		})
	}
}

// In a bubble the attack also rotates keys, and takes no time.
func TestAttackInBubble(t *testing.T) {
	in := func(name string, f framework, alg string, profile verifier.Profile, before func(*testing.T, *oauthtest.Server, *verifier.Verifier)) {
		t.Run(name+"_"+f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, v := attackedVerifier(t, alg, profile)
				before(t, as, v)
				target := ordersRoute
				target.Profile = profile
				oauthtest.Attack(t, twice(t, guardedOrders(t, f, v)), as, target)
			})
		})
	}
	cold := func(*testing.T, *oauthtest.Server, *verifier.Verifier) {}
	for _, f := range frameworks {
		in("ES256", f, "ES256", verifier.RFC9068, cold)
	}
	in("HS256", frameworks[0], "HS256", verifier.RFC9068, cold)
	in("ProfileJWT", frameworks[1], "ES256", verifier.ProfileJWT, cold)
	for _, alg := range []string{"ES384", "ES512", "RS384", "RS512", "PS512", "EdDSA"} {
		in(alg, frameworks[2], alg, verifier.RFC9068, cold)
	}
	in("warm", frameworks[0], "RS256", verifier.RFC9068, func(t *testing.T, as *oauthtest.Server, v *verifier.Verifier) {
		if _, err := v.Verify(t.Context(), as.Token()); err != nil {
			t.Fatal(err)
		}
	})
}

// Where the attack leaves an API the choice, this module has made one, and keeps it.
func TestAttackChoices(t *testing.T) {
	for _, f := range frameworks {
		as, v := attackedVerifier(t, "ES256", verifier.RFC9068)
		h := guardedOrders(t, f, v)
		ask := func(name, target, token string) {
			t.Run(name+"_"+f.name, func(t *testing.T) {
				r := httptest.NewRequest("GET", target, nil)
				r.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusOK {
					t.Errorf("%d %v", w.Code, w.Header())
				}
			})
		}
		need := oauthtest.Scope("orders:read")
		as.HostileToken("E2.rsa_1024", need) // publishes hostile keys
		ask("BT-09/A25_header_and_query", "/orders?access_token=Z2FyYmFnZQ", as.Token(need))
		for row, id := range map[string]string{
			"KS-21/C26": "C26.no_kid", "JV-28/B28": "B28.unknown_overflow", "JV-28/B28_long": "B28.long_number",
		} {
			bad := as.HostileToken(id, need)
			if bad.Status != http.StatusOK {
				t.Errorf("%s: status %d", id, bad.Status)
			}
			ask(row, "/orders", bad.Token)
		}
	}
}

// A running server is attacked by its URL, in HTTP/1.1 and HTTP/2, with TLS and without.
func TestAttackURL(t *testing.T) {
	for _, tc := range []struct {
		framework
		secure bool
	}{{frameworks[0], false}, {frameworks[0], true}, {frameworks[1], false}, {frameworks[2], true}} {
		t.Run(fmt.Sprintf("%s_tls_%v", tc.name, tc.secure), func(t *testing.T) {
			t.Parallel()
			as, err := oauthtest.Listen(oauthtest.Config{Algorithm: "ES256"})
			if err != nil {
				t.Fatal(err)
			}
			defer as.Close()
			target := ordersRoute
			var url string
			url, target.TLS = serveLoopback(t, twice(t, guardedOrders(t, tc.framework, newVerifier(t, as.VerifierConfig(api)))), tc.secure)
			oauthtest.AttackURL(t, url, as, target)
		})
	}
}

// serveLoopback serves h on loopback until the test ends.
func serveLoopback(t *testing.T, h http.Handler, secure bool) (url string, trust *tls.Config) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(srv.Close)
	srv.Config.Protocols = protocols(true, true)
	if !secure {
		srv.Start()
		return srv.URL, nil
	}
	srv.EnableHTTP2 = true
	srv.Config.Protocols.SetHTTP2(true)
	srv.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv.URL, &tls.Config{RootCAs: roots}
}
