// SPDX-License-Identifier: Apache-2.0

// Package ctxkey holds the one context key under which the outcome of a guard
// travels with a request. The key lives in an internal package and its type is
// not exported, so no other module can forge or replace the value.
package ctxkey

import (
	"context"
	"fmt"
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
	// Verified is when, on the clock of package middleware: a result serves nested
	// guards for a short time only.
	Verified time.Duration

	// Scopes are those of all scope rules met so far, outermost guard first.
	Scopes []string
}

// carrier is the context. Neither encoders, which read exported fields, nor package fmt
// get at the State: for a verb that does not fit, fmt prints what a pointer points to, but
// follows no second one.
type carrier struct {
	context.Context
	state **State
}

// parcel is one allocation for a carrier and all that it points to.
type parcel struct {
	carrier carrier
	at      *State
	state   State
}

// Put returns a context derived from ctx that carries a copy of s. A later Put hides
// an earlier one.
func Put(ctx context.Context, s *State) context.Context {
	if ctx == nil {
		panic("ctxkey: nil context")
	}
	p := &parcel{state: *s}
	p.at = &p.state
	p.carrier = carrier{ctx, &p.at}
	return &p.carrier
}

// Value answers for the one key, and leaves all others to the context it is derived from.
func (c *carrier) Value(k any) any {
	if _, mine := k.(key); mine {
		return *c.state
	}
	return c.Context.Value(k)
}

// String is what a context made by context.WithValue would print: types only.
func (c *carrier) String() string {
	parent := fmt.Sprintf("%T", c.Context)
	if s, ok := c.Context.(fmt.Stringer); ok {
		parent = s.String()
	}
	return fmt.Sprintf("%s.WithValue(%T, %T)", parent, key{}, *c.state)
}

// From returns the State of the last [Put], the same for each call, or nil.
func From(ctx context.Context) *State {
	s, _ := ctx.Value(key{}).(*State)
	return s
}
