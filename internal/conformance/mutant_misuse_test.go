// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/bearerguard/bearerguard/adapters/echov4"
	"github.com/bearerguard/bearerguard/adapters/ginv1"
	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

func goodGuard(t testing.TB, as *oauthtest.Server) *middleware.Guard {
	return newGuard(t, middleware.Config{Verifier: newVerifier(t, as.VerifierConfig(api))})
}

// allFaultsAreTheTokens is a wrapper that hides why verification failed.
type allFaultsAreTheTokens struct{ *verifier.Verifier }

func (v allFaultsAreTheTokens) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	tok, err := v.Verifier.VerifyBound(ctx, raw, confirm, reqs...)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", verifier.ErrInvalidToken, err)
	}
	return tok, nil
}

func wrapping(v middleware.TokenVerifier) func(t testing.TB) http.Handler {
	return func(t testing.TB) http.Handler {
		return nethttp.Require(newGuard(t, middleware.Config{Verifier: v}), scopes.All(ordersRead))(http.HandlerFunc(orders))
	}
}

// misuseMutants has the mistakes in the use of this module's own packages.
var misuseMutants = []mutant{
	{
		name: "optional_for_require", wrote: "guards the route with Optional",
		misuse: func(t testing.TB, as *oauthtest.Server) http.Handler {
			return nethttp.Optional(goodGuard(t, as))(http.HandlerFunc(orders))
		},
		problem: accepted, cases: []string{"A1", "D36"},
	},
	{
		name: "require_without_rule", wrote: "guards an Echo route with Require, but names no scope", in: []string{"Echo"},
		misuse: func(t testing.TB, as *oauthtest.Server) http.Handler {
			e := echo.New()
			e.Any(ordersPath, echoOrders, echov4.Require(goodGuard(t, as)))
			return e
		},
		problem: accepted, cases: []string{"D36", "D39"},
	},
	{
		name: "use_after_route", wrote: "calls Use(ginv1.Require(…)) after the route was registered", in: []string{"Gin"},
		misuse: func(t testing.TB, as *oauthtest.Server) http.Handler {
			r := gin.New()
			r.Any(ordersPath, ginOrders)
			r.Use(ginv1.Require(goodGuard(t, as), scopes.All(ordersRead)))
			return r
		},
		problem: accepted, cases: []string{"A1"},
	},
	{
		name: "relaxed_profile", wrote: "sets ProfileJWT for an issuer that needs no such thing",
		misuse: func(t testing.TB, as *oauthtest.Server) http.Handler {
			cfg := as.VerifierConfig(api)
			cfg.Profile = verifier.ProfileJWT
			return wrapping(newVerifier(t, cfg))(t)
		},
		problem: accepted, cases: []string{"C49", "C50"},
	},
	{
		name: "all_faults_are_the_tokens", wrote: "wraps the verifier and makes every error ErrInvalidToken",
		misuse: func(t testing.TB, as *oauthtest.Server) http.Handler {
			return wrapping(allFaultsAreTheTokens{newVerifier(t, as.VerifierConfig(api))})(t)
		},
		problem: answered, cases: []string{"C29", "D36"},
	},
	{
		name: "verify_by_hand", wrote: "cuts seven bytes off the header, hands the rest to Verify and sends the error's text",
		misuse: func(t testing.TB, as *oauthtest.Server) http.Handler {
			v := newVerifier(t, as.VerifierConfig(api))
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				value := r.Header.Get("Authorization")
				if value == "" {
					w.Header().Set("WWW-Authenticate", `Bearer realm="orders"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				if _, err := v.Verify(r.Context(), value[len("Bearer "):], scopes.All(ordersRead)); err != nil {
					w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
					w.WriteHeader(http.StatusUnauthorized)
					io.WriteString(w, err.Error())
					return
				}
				orders(w, r)
			})
		},
		problem: crashed, cases: []string{"A3"},
	},
}
