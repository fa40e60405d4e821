// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

func TestWithToken(t *testing.T) {
	planted := &verifier.Token{Issuer: "https://issuer.test", Subject: "user-1", Scopes: []string{"orders:read"}}
	ctx := oauthtest.WithToken(t.Context(), planted)
	t.Run("GO-06/token_and_guarded", func(t *testing.T) {
		tok, ok := middleware.TokenFrom(ctx)
		if tok != planted || !ok || !middleware.Guarded(ctx) {
			t.Errorf("token %v, %v; guarded %v", tok, ok, middleware.Guarded(ctx))
		}
		if err := tok.Require(scopes.All("orders:read")); err != nil {
			t.Error(err)
		}
	})
	t.Run("GO-06/nil_is_anonymous", func(t *testing.T) {
		ctx := oauthtest.WithToken(ctx, nil)
		if tok, ok := middleware.TokenFrom(ctx); tok != nil || ok || !middleware.Guarded(ctx) {
			t.Errorf("token %v, %v; guarded %v", tok, ok, middleware.Guarded(ctx))
		}
	})
	t.Run("no_guard_accepts_it", func(t *testing.T) {
		as := oauthtest.NewServer(t, atNoon)
		g, err := middleware.New(middleware.Config{Verifier: newVerifier(t, as.VerifierConfig(api))})
		if err != nil {
			t.Fatal(err)
		}
		for _, guard := range []*middleware.Guard{g, nil} {
			rt, err := guard.Route()
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
			if passed, err := rt.Check(httptest.NewRecorder(), r); err == nil || passed != nil {
				t.Errorf("guard %v: passed", guard)
			}
		}
	})
}
