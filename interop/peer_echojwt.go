// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"
)

// echoJWT hands echo-jwt the keys alone.
func echoJWT(ctx context.Context, client *http.Client, jwksURL, path, scope string, next echo.HandlerFunc) (http.Handler, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{jwksURL}, keyfunc.Override{Client: client})
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.GET(path, next, echojwt.WithConfig(echojwt.Config{
		NewClaimsFunc: func(echo.Context) jwt.Claims { return new(scopeClaims) },
		KeyFunc:       keys.Keyfunc,
	}), requireScope(scope))
	return e, nil
}

// echoJWTChecked gives it a parser that also checks issuer, audience and the rest.
func echoJWTChecked(ctx context.Context, client *http.Client, issuer, jwksURL, audience, path, scope string, next echo.HandlerFunc) (http.Handler, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{jwksURL}, keyfunc.Override{Client: client})
	if err != nil {
		return nil, err
	}
	parser := newJWTParser(issuer, audience)
	e := echo.New()
	e.GET(path, next, echojwt.WithConfig(echojwt.Config{
		ParseTokenFunc: func(c echo.Context, raw string) (any, error) {
			return parser.ParseWithClaims(raw, new(scopeClaims), keys.KeyfuncCtx(c.Request().Context()))
		},
	}), requireScope(scope))
	return e, nil
}

func requireScope(scope string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			token, ok := c.Get("user").(*jwt.Token)
			if !ok {
				return echo.ErrUnauthorized
			}
			claims, ok := token.Claims.(*scopeClaims)
			if !ok || !slices.Contains(strings.Split(claims.Scope, " "), scope) {
				c.Response().Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="orders", error="insufficient_scope", scope=%q`, scope))
				return echo.ErrForbidden
			}
			return next(c)
		}
	}
}
