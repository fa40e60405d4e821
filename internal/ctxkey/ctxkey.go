// SPDX-License-Identifier: Apache-2.0

// Package ctxkey holds the one context key under which the outcome of a guard
// travels with a request. The key lives in an internal package and its type is
// not exported, so no other module can forge or replace the value.
package ctxkey

import (
	"context"
	"time"
)

type key struct{}

// State is the outcome of the innermost guard that a request has passed. It is
// not changed after [Put].
type State struct {
	// Guard is the *middleware.Guard that decided; nil if a test planted Token, which
	// then is for handlers only: no guard accepts it.
	Guard any
	// Token is the *verifier.Token; nil for an anonymous request.
	Token any

	// Authorization, DPoP, Method, Host and Target are the request that Token was
	// verified for: the result holds for no other.
	Authorization        string
	DPoP                 []string
	Method, Host, Target string
	// Verified is when: a result serves nested guards for a short time only.
	Verified time.Time

	// Scopes are those of all scope rules met so far, outermost guard first.
	Scopes []string
}

// Put returns a copy of ctx that carries s. A later Put hides an earlier one.
func Put(ctx context.Context, s *State) context.Context {
	return context.WithValue(ctx, key{}, s)
}

// From returns what [Put] stored last, or nil.
func From(ctx context.Context) *State {
	s, _ := ctx.Value(key{}).(*State)
	return s
}
