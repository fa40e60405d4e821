// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	"github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/auth0/go-jwt-middleware/v3/validator"
	"github.com/golang-jwt/jwt/v5"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"
	"github.com/modelcontextprotocol/go-sdk/auth"
)

// httpTrust is what a protected server believes: one issuer, the address of its key
// set, this API's name and the scope that the route asks for.
type httpTrust struct {
	Issuer, Keys, Audience, Scope string
}

// httpLeeway is the leeway of every server, which is bearerguard's default.
const httpLeeway = 30 * time.Second

// httpClaims are what golang-jwt reads of a token.
type httpClaims struct {
	Scope string `json:"scope"`
	jwt.RegisteredClaims
}

// httpGolangJWT parses with golang-jwt and the keys of keyfunc, and checks all that
// the other servers check except for the scope.
func httpGolangJWT(ctx context.Context, trust httpTrust) (func(raw string) (*jwt.Token, error), error) {
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{trust.Keys})
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithIssuer(trust.Issuer),
		jwt.WithAudience(trust.Audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(httpLeeway),
	)
	return func(raw string) (*jwt.Token, error) {
		return parser.ParseWithClaims(raw, new(httpClaims), keys.Keyfunc)
	}, nil
}

// httpEchoJWT is echo-jwt, which by itself checks neither issuer nor audience: the
// parser that it is given does.
func httpEchoJWT(ctx context.Context, trust httpTrust) ([]echo.MiddlewareFunc, error) {
	parse, err := httpGolangJWT(ctx, trust)
	if err != nil {
		return nil, err
	}
	scope := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			token, ok := c.Get("user").(*jwt.Token)
			if !ok {
				return echo.ErrUnauthorized
			}
			claims, ok := token.Claims.(*httpClaims)
			if !ok || !slices.Contains(strings.Fields(claims.Scope), trust.Scope) {
				return echo.ErrForbidden
			}
			return next(c)
		}
	}
	return []echo.MiddlewareFunc{echojwt.WithConfig(echojwt.Config{
		ParseTokenFunc: func(_ echo.Context, raw string) (any, error) { return parse(raw) },
	}), scope}, nil
}

// httpMCP is the bearer token check of the MCP SDK, which leaves the token itself to
// the application: golang-jwt reads it here.
func httpMCP(ctx context.Context, trust httpTrust) (func(http.Handler) http.Handler, error) {
	parse, err := httpGolangJWT(ctx, trust)
	if err != nil {
		return nil, err
	}
	verify := func(_ context.Context, raw string, _ *http.Request) (*auth.TokenInfo, error) {
		token, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		claims := token.Claims.(*httpClaims) // which parse put there
		return &auth.TokenInfo{
			Scopes:     strings.Fields(claims.Scope),
			Expiration: claims.ExpiresAt.Time,
			UserID:     claims.Subject,
		}, nil
	}
	return auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{
		Scopes:    []string{trust.Scope},
		ClockSkew: httpLeeway,
	}), nil
}

// httpAuth0Claims are what Auth0's middleware reads beside the registered claims.
type httpAuth0Claims struct {
	Scope string `json:"scope"`
}

// Validate accepts every scope: the route decides.
func (c *httpAuth0Claims) Validate(context.Context) error { return nil }

// httpAuth0 is Auth0's middleware. It reads the claims but leaves the scope to the
// route.
func httpAuth0(trust httpTrust) (func(http.Handler) http.Handler, error) {
	check, err := httpAuth0Check(trust)
	if err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		return check(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, err := jwtmiddleware.GetClaims[*validator.ValidatedClaims](r.Context())
			if err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			own, ok := claims.CustomClaims.(*httpAuth0Claims)
			if !ok || !slices.Contains(strings.Fields(own.Scope), trust.Scope) {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		}))
	}, nil
}

// httpAuth0Check sets the middleware up with its own cache of keys.
func httpAuth0Check(trust httpTrust) (func(http.Handler) http.Handler, error) {
	issuer, err := url.Parse(trust.Issuer)
	if err != nil {
		return nil, err
	}
	address, err := url.Parse(trust.Keys)
	if err != nil {
		return nil, err
	}
	keys, err := jwks.NewCachingProvider(jwks.WithIssuerURL(issuer), jwks.WithCustomJWKSURI(address))
	if err != nil {
		return nil, err
	}
	v, err := validator.New(
		validator.WithKeyFunc(keys.KeyFunc),
		validator.WithAlgorithm(validator.RS256),
		validator.WithIssuer(trust.Issuer),
		validator.WithAudience(trust.Audience),
		validator.WithAllowedClockSkew(httpLeeway),
		validator.WithCustomClaims(func() *httpAuth0Claims { return new(httpAuth0Claims) }),
	)
	if err != nil {
		return nil, err
	}
	m, err := jwtmiddleware.New(jwtmiddleware.WithValidator(v))
	if err != nil {
		return nil, err
	}
	return m.CheckJWT, nil
}
