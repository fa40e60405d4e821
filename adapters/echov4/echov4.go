// SPDX-License-Identifier: Apache-2.0

// Package echov4 guards Echo v4 routes. A refusal is written by the guard itself,
// not by the application's HTTPErrorHandler. The token is in the request context
// only (c.Request().Context()), not in Echo's own store. There is no skipper: an
// open route is one without a guard. Echo serves HEAD only where it is registered.
package echov4

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// Require lets requests pass whose token is valid and meets all of reqs; handlers
// find it with [middleware.TokenFrom]. It panics if a requirement is faulty. A nil
// or zero Guard denies everything.
func Require(g *middleware.Guard, reqs ...verifier.Requirement) echo.MiddlewareFunc {
	rt, err := g.Route(reqs...)
	if err != nil {
		panic(err)
	}
	return wrap(rt, rt.Check)
}

// Optional also lets requests without credentials pass, as anonymous; bad
// credentials are refused as by Require.
func Optional(g *middleware.Guard) echo.MiddlewareFunc {
	rt, err := g.Route()
	if err != nil {
		panic(err)
	}
	return wrap(rt, rt.CheckOptional)
}

func wrap(rt *middleware.Route, check func(http.ResponseWriter, *http.Request) (*http.Request, error)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r, err := check(c.Response(), c.Request())
			if err != nil {
				rt.Deny(c.Response(), c.Request(), err)
				return nil
			}
			c.SetRequest(r)
			return next(c)
		}
	}
}
