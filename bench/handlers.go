// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	"github.com/auth0/go-jwt-middleware/v3/validator"
	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"
	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/bearerguard/bearerguard/adapters/echov4"
	"github.com/bearerguard/bearerguard/adapters/ginv1"
	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
)

// route is what all handlers serve, by writing reply; the protected ones for tokens
// with scopeAsked.
const (
	route = "/orders"
	reply = "ok"
)

// server is a handler of one framework, with one protection or none.
type server struct {
	framework, name string
	// make makes it; entries is for this library's cache alone.
	make func(c setup, entries int) (http.Handler, error)
}

var servers = []server{
	{"nethttp", "unprotected", func(setup, int) (http.Handler, error) { return onMux(http.HandlerFunc(replyOK)), nil }},
	{"nethttp", "bearerguard", guardedMux},
	{"nethttp", "auth0", func(c setup, _ int) (http.Handler, error) { return auth0Mux(c) }},
	{"nethttp", "mcp-go-sdk", func(c setup, _ int) (http.Handler, error) { return mcpMux(c) }},
	{"echo", "unprotected", func(setup, int) (http.Handler, error) { return onEcho(), nil }},
	{"echo", "bearerguard", guardedEcho},
	{"echo", "echo-jwt", func(c setup, _ int) (http.Handler, error) { return echoJWT(c) }},
	{"gin", "unprotected", func(setup, int) (http.Handler, error) { return onGin(), nil }},
	{"gin", "bearerguard", guardedGin},
}

func replyOK(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, reply) }

func onMux(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+route, h)
	return mux
}

func onEcho(layers ...echo.MiddlewareFunc) http.Handler {
	e := echo.New()
	e.GET(route, func(c echo.Context) error { return c.String(http.StatusOK, reply) }, layers...)
	return e
}

func onGin(layers ...gin.HandlerFunc) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.GET(route, append(layers, func(c *gin.Context) { c.String(http.StatusOK, reply) })...)
	return e
}

func newGuard(c setup, entries int) (*middleware.Guard, error) {
	v, err := newBearerguard(c, entries)
	if err != nil {
		return nil, err
	}
	return middleware.New(middleware.Config{Verifier: v})
}

func guardedMux(c setup, entries int) (http.Handler, error) {
	g, err := newGuard(c, entries)
	if err != nil {
		return nil, err
	}
	return onMux(nethttp.Require(g, scopes.All(scopeAsked))(http.HandlerFunc(replyOK))), nil
}

func guardedEcho(c setup, entries int) (http.Handler, error) {
	g, err := newGuard(c, entries)
	if err != nil {
		return nil, err
	}
	return onEcho(echov4.Require(g, scopes.All(scopeAsked))), nil
}

func guardedGin(c setup, entries int) (http.Handler, error) {
	g, err := newGuard(c, entries)
	if err != nil {
		return nil, err
	}
	return onGin(ginv1.Require(g, scopes.All(scopeAsked))), nil
}

// auth0Mux checks the scope in the handler, since auth0's middleware has no rule for it.
func auth0Mux(c setup) (http.Handler, error) {
	v, err := makeAuth0(c, validator.WithCustomClaims(func() *auth0Claims { return new(auth0Claims) }))
	if err != nil {
		return nil, err
	}
	m, err := jwtmiddleware.New(jwtmiddleware.WithValidator(v))
	if err != nil {
		return nil, err
	}
	return onMux(m.CheckJWT(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := jwtmiddleware.GetClaims[*validator.ValidatedClaims](r.Context())
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		own, ok := claims.CustomClaims.(*auth0Claims)
		if !ok || !hasScope(own.Scope) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		replyOK(w, r)
	}))), nil
}

func hasScope(list string) bool { return slices.Contains(strings.Fields(list), scopeAsked) }

// mcpMux is the middleware of the Go SDK of the Model Context Protocol, which leaves
// the token itself to a function: here golang-jwt.
func mcpMux(c setup) (http.Handler, error) {
	g, err := makeGolangJWT(c)
	if err != nil {
		return nil, err
	}
	check := func(ctx context.Context, raw string, _ *http.Request) (*auth.TokenInfo, error) {
		parsed, err := g.parse(ctx, raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		claims, ok := parsed.Claims.(*scopedClaims)
		if !ok {
			return nil, auth.ErrInvalidToken
		}
		return &auth.TokenInfo{
			Scopes:     strings.Fields(claims.Scope),
			Expiration: claims.ExpiresAt.Time,
			UserID:     claims.Subject,
		}, nil
	}
	require := auth.RequireBearerToken(check, &auth.RequireBearerTokenOptions{Scopes: []string{scopeAsked}, ClockSkew: leeway})
	return onMux(require(http.HandlerFunc(replyOK))), nil
}

// echoJWT gives echo-jwt a parser that checks iss and aud, too: by itself it does not.
func echoJWT(c setup) (http.Handler, error) {
	g, err := makeGolangJWT(c)
	if err != nil {
		return nil, err
	}
	layer := echojwt.WithConfig(echojwt.Config{
		ParseTokenFunc: func(c echo.Context, raw string) (any, error) {
			return g.parse(c.Request().Context(), raw)
		},
	})
	return onEcho(layer, requireScope), nil
}

func requireScope(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		parsed, ok := c.Get("user").(*jwt.Token)
		if !ok {
			return echo.ErrUnauthorized
		}
		claims, ok := parsed.Claims.(*scopedClaims)
		if !ok || !hasScope(claims.Scope) {
			return echo.ErrForbidden
		}
		return next(c)
	}
}
