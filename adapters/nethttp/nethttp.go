// SPDX-License-Identifier: Apache-2.0

// Package nethttp guards net/http handlers. The handler behind a guard gets the
// server's own ResponseWriter, so flushing, hijacking and http.ResponseController
// work as ever.
package nethttp

import (
	"net/http"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// Require lets requests pass whose token is valid and meets all of reqs; handlers
// find it with [middleware.TokenFrom]. Like ServeMux for a bad pattern, it panics
// if a requirement is faulty. A nil or zero Guard denies everything.
func Require(g *middleware.Guard, reqs ...verifier.Requirement) func(http.Handler) http.Handler {
	rt, err := g.Route(reqs...)
	if err != nil {
		panic(err)
	}
	return wrap(rt, rt.Check)
}

// Optional also lets requests without credentials pass, as anonymous; bad
// credentials are refused as by Require.
func Optional(g *middleware.Guard) func(http.Handler) http.Handler {
	rt, err := g.Route()
	if err != nil {
		panic(err)
	}
	return wrap(rt, rt.CheckOptional)
}

func wrap(rt *middleware.Route, check func(http.ResponseWriter, *http.Request) (*http.Request, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("nethttp: nil handler")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			checked, err := check(w, r)
			if err != nil {
				rt.Deny(w, r, err)
				return
			}
			next.ServeHTTP(w, checked)
		})
	}
}
