// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/internal/ctxkey"
	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/scopetoken"
	"github.com/bearerguard/bearerguard/verifier"
)

// Route is a [Guard] with the rules of one route or group of routes. Adapters make
// one per registration. It is immutable and safe for concurrent use; nil and the
// zero value deny every request with 503.
type Route struct {
	guard *Guard
	reqs  []verifier.Requirement
	scope []string        // of all scope rules, in order
	lines map[part]string // the challenges, as long as no outer guard adds scopes
}

// Route prepares the rules reqs, all of which a token must meet. The error is of
// class [verifier.ErrConfig]: a rule is nil or faulty. It succeeds for a zero
// Guard, whose routes deny everything.
func (g *Guard) Route(reqs ...verifier.Requirement) (*Route, error) {
	rt := &Route{guard: g, reqs: slices.Clip(slices.Clone(reqs))} // clipped: a wrapped verifier may append
	var faults []error
	var warnings []string
	for i, req := range rt.reqs {
		scope, warns, err := inspect(req)
		if err != nil {
			faults = append(faults, fmt.Errorf("requirement %d: %w", i, err))
		}
		rt.scope = join(rt.scope, scope)
		warnings = append(warnings, warns...)
	}
	if len(faults) > 0 {
		return nil, &verifier.Error{Class: verifier.ErrConfig, Cause: errors.Join(faults...)}
	}
	if !g.ready() {
		return rt, nil
	}
	rt.lines = g.lines(rt.scope)
	if g.base.tooLong() == nil {
		warnings = append(warnings, rt.tooLong()...)
	}
	if err := g.warn(warnings); err != nil {
		return nil, err
	}
	return rt, nil
}

// inspect asks a rule, once, what a challenge should say about it and what is
// worth a warning. It belongs to the application, so it may panic.
func inspect(req verifier.Requirement) (scope, warnings []string, err error) {
	if hook.Nil(req) {
		return nil, nil, errors.New("nil: leave it out")
	}
	p := hook.Call("a Requirement", func() {
		if c, ok := req.(verifier.Challenger); ok {
			var ch verifier.Challenge
			ch, err = c.Challenge()
			scope = slices.Clone(ch.Scope)
			if e, ok := err.(*verifier.Error); ok && e != nil && e.Class == verifier.ErrConfig && e.Cause != nil {
				err = e.Cause // Route says the class, once
			}
		}
		if w, ok := req.(interface{ Warnings() []string }); ok {
			warnings = w.Warnings()
		}
	})
	if err := errors.Join(p, err); err != nil {
		return nil, nil, err
	}
	for _, s := range scope {
		if !scopetoken.Valid(s) {
			return nil, nil, fmt.Errorf("its challenge lists %q, which is not a scope (RFC 6749 §3.3)", s)
		}
	}
	return scope, warnings, nil
}

// join appends what is new in more to a list that others may share.
func join(list, more []string) []string {
	list = slices.Clip(list)
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// errAnswered says that the request has its answer already. It must reach only
// Deny, for which it means that there is nothing left to do.
var errAnswered = errors.New("a preflight request, answered by Config.Preflight")

// Check decides about r. It returns r with the token in its context, or an error,
// which the caller passes to [Route.Deny] without running the protected handler.
// It does not read the body. To w it writes nothing, but that fields of the handler's
// response may be set (DPoP-Nonce, Cache-Control, Vary: a handler that replaces them takes
// over that duty), and that a preflight may go to Config.Preflight; the error is then one
// that means nothing but to Deny. Every other error is a [*verifier.Error].
func (rt *Route) Check(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	return rt.check(w, r, false)
}

// CheckOptional is Check, except that a request without credentials passes as
// anonymous: [TokenFrom] then finds no token. Bad credentials are refused as ever.
// An anonymous request meets no rule, so on a Route with rules it is refused.
func (rt *Route) CheckOptional(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	return rt.check(w, r, true)
}

func (rt *Route) check(w http.ResponseWriter, r *http.Request, optional bool) (*http.Request, error) {
	if rt == nil || !rt.guard.ready() {
		return nil, zeroValue()
	}
	g := rt.guard
	if g.cfg.Preflight != nil && isPreflight(r) {
		// A token of an outer guard is none of this handler's business.
		g.cfg.Preflight.ServeHTTP(w, r.WithContext(ctxkey.Put(r.Context(), &ctxkey.State{Guard: g})))
		return nil, errAnswered
	}
	if g.cfg.RequireTLS && r.TLS == nil {
		return nil, g.report(&verifier.Error{Class: verifier.ErrForbidden, Cause: errNoTLS})
	}
	outer := ctxkey.From(r.Context())
	if tok := g.verified(outer, r); tok != nil {
		if err := tok.Require(rt.reqs...); err != nil {
			return nil, g.report(classify(err))
		}
		again := *outer
		return rt.pass(r, outer, &again), nil
	}
	lines := r.Header["Authorization"]
	raw, by, fault := g.credentials(lines)
	switch {
	case fault == nil:
	case optional && fault == errAbsent && len(rt.reqs) == 0:
		return rt.pass(r, outer, &ctxkey.State{Guard: g}), nil
	default:
		return nil, g.report(unusable(fault))
	}
	result := g.outcome(r, lines[0])
	p := g.present(r, by, raw)
	tok, err := g.verify(r.Context(), raw, p, rt.reqs)
	if err != nil {
		return nil, err
	}
	result.Token = tok
	p.describe(w.Header())
	return rt.pass(r, outer, &result), nil
}

var (
	errZero  = errors.New("this Guard or Route was not made by middleware.New: call New and handle its error")
	errNoTLS = errors.New("the request arrived without TLS, which Config.RequireTLS asks for")
)

func zeroValue() *verifier.Error {
	return &verifier.Error{Class: verifier.ErrConfig, Cause: errZero}
}

// isPreflight follows the CORS protocol of the Fetch standard. Any client can
// forge it, so it opens no way to the protected handler.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// reuse is how long the result of one guard serves the guards nested in it. Within
// one pass through a chain it is plenty; a handler that hands its context on to
// later work, such as a stream's messages, must not live on an old result.
const reuse = 5 * time.Second

// clock tells the age of results. It is monotonic, and cheaper to read than the time
// of day.
func clock() time.Duration { return time.Since(start) }

var start = time.Now()

// verified returns the token that g verified for this very request, or nil: a
// request that was changed on the way, or another guard's result, counts for
// nothing.
func (g *Guard) verified(s *ctxkey.State, r *http.Request) *verifier.Token {
	if s == nil || s.Guard != any(g) {
		return nil
	}
	lines := r.Header["Authorization"]
	if len(lines) != 1 || lines[0] != s.Authorization || !slices.Equal(r.Header["Dpop"], s.DPoP) ||
		r.Method != s.Method || r.Host != s.Host || r.RequestURI != s.Target {
		return nil
	}
	if clock()-s.Verified > reuse {
		return nil
	}
	tok, _ := s.Token.(*verifier.Token)
	return tok
}

// outcome is what verifying this request, with this Authorization line, comes to: all
// that a later guard compares is read before the verifier runs, since a wrapped one may
// change the request.
func (g *Guard) outcome(r *http.Request, line string) ctxkey.State {
	return ctxkey.State{
		Guard:         g,
		Authorization: line,
		DPoP:          slices.Clone(r.Header["Dpop"]),
		Method:        r.Method,
		Host:          r.Host,
		Target:        r.RequestURI,
		Verified:      clock(),
	}
}

// pass returns r with s, which now also names the scopes met so far, in its context.
func (rt *Route) pass(r *http.Request, outer, s *ctxkey.State) *http.Request {
	s.Scopes = rt.scope
	if outer != nil && len(outer.Scopes) > 0 {
		s.Scopes = join(outer.Scopes, rt.scope)
	}
	return r.WithContext(ctxkey.Put(r.Context(), s))
}

// verify asks the verifier. The refusals it returns itself were reported by it;
// what is not a proper answer of a verifier is reported here.
func (g *Guard) verify(ctx context.Context, raw string, p *presentation, reqs []verifier.Requirement) (*verifier.Token, error) {
	asked := reqs
	if !g.own {
		asked = slices.Clone(reqs) // an application's may filter them in place
	}
	var tok *verifier.Token
	var err error
	fault := hook.Call("Config.Verifier", func() { tok, err = g.cfg.Verifier.VerifyBound(ctx, raw, p.check(), asked...) })
	switch {
	case fault != nil:
		return nil, g.report(internal(fault))
	case err != nil && !classed(err):
		return nil, g.report(classify(err))
	case err != nil:
		return nil, classify(err)
	case tok == nil:
		return nil, g.report(internal(errNoAnswer))
	case g.own:
		return tok, nil
	}
	// A wrapper that forgets to pass them on must not lift the sender constraint or
	// the rules.
	if err := p.again(ctx, tok); err != nil {
		return nil, g.report(classify(err))
	}
	if err := tok.Require(reqs...); err != nil {
		return nil, g.report(classify(err))
	}
	return tok, nil
}

var errNoAnswer = errors.New("Config.Verifier returned neither a token nor an error")

// TokenFrom returns the verified token of the request whose context ctx is; ok is
// false for an anonymous request, and where no Guard ran, which [Guarded] tells
// apart. All code of the request shares the token, guards further in included: do
// not change it.
func TokenFrom(ctx context.Context) (tok *verifier.Token, ok bool) {
	if s := ctxkey.From(ctx); s != nil {
		tok, _ = s.Token.(*verifier.Token)
	}
	return tok, tok != nil
}

// Guarded reports whether a Guard let the request pass whose context ctx is, be it
// with a token or as anonymous.
func Guarded(ctx context.Context) bool { return ctxkey.From(ctx) != nil }
