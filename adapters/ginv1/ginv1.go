// SPDX-License-Identifier: Apache-2.0

// Package ginv1 guards Gin routes. A refusal aborts the chain and is written at
// once, so that no middleware further out can change it. The token is in the
// request context only (c.Request.Context()), not among Gin's keys. After
// [middleware.Deny] in a handler, call c.Abort. Gin serves HEAD only where it is
// registered, and runs no group middleware for paths that it does not know.
package ginv1

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// Require lets requests pass whose token is valid and meets all of reqs; handlers
// find it with [middleware.TokenFrom]. It panics if a requirement is faulty. A nil
// or zero Guard denies everything.
func Require(g *middleware.Guard, reqs ...verifier.Requirement) gin.HandlerFunc {
	rt, err := g.Route(reqs...)
	if err != nil {
		panic(err)
	}
	return wrap(rt, rt.Check)
}

// Optional also lets requests without credentials pass, as anonymous; bad
// credentials are refused as by Require.
func Optional(g *middleware.Guard) gin.HandlerFunc {
	rt, err := g.Route()
	if err != nil {
		panic(err)
	}
	return wrap(rt, rt.CheckOptional)
}

func wrap(rt *middleware.Route, check func(http.ResponseWriter, *http.Request) (*http.Request, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		r, err := check(c.Writer, c.Request)
		if err != nil {
			rt.Deny(c.Writer, c.Request, err)
			c.Abort()
			c.Writer.WriteHeaderNow() // also what Preflight answered
			return
		}
		c.Request = r
	}
}
