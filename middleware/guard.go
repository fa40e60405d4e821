// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/dpop"
	"github.com/bearerguard/bearerguard/internal/challenge"
	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

// TokenVerifier is what a [Guard] asks; [*verifier.Verifier] is one, and an
// application can wrap it. Implementations are safe for concurrent use and return
// either a token or an error of one of the classes of package verifier: any other
// error, a panic, and neither of the two deny the request with 503. A wrapper
// that forgets to pass on confirm or reqs lifts neither: the Guard asks them again of
// the token it returns. One that refuses with a class of its own reports that itself.
type TokenVerifier interface {
	VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error)
}

// Config describes a [Guard]. [New] copies it and reports every fault at once.
type Config struct {
	// Verifier decides about tokens. Required.
	Verifier TokenVerifier
	// DPoP, if set, turns the scheme DPoP on: tokens that are bound to a key are accepted
	// with a proof (RFC 9449). nil refuses such tokens. A Guard is not nested in another one
	// with DPoP on the same request: the inner one would take the proof for a replay.
	DPoP *dpop.Verifier
	// OnlyDPoP turns the scheme Bearer off. The zero value leaves it on for tokens that are
	// not bound to a key.
	OnlyDPoP bool
	// ClientCertificates, if set, checks tokens that are bound to the client's certificate
	// (RFC 8705 §3). nil refuses such tokens.
	ClientCertificates *ClientCertificates
	// Realm names the protected space (RFC 9110 §11.5), in printable ASCII. "" sends no
	// realm, or "resource" where a challenge would have no parameter (RFC 6750 §3).
	Realm string
	// ErrorURI is an absolute URI of a page for developers, sent beside each error
	// (RFC 6750 §3). "" sends none.
	ErrorURI string
	// Extra parameters are sent at the end of every challenge (RFC 9110 §11.2).
	Extra []Param
	// Preflight, if set, gets every CORS preflight instead of the protected handler,
	// unauthenticated; it is a CORS library's handler. The Guard must see OPTIONS for
	// that: register it for the path with the same Guard, or put the Guard around the
	// router. nil treats preflights as other requests, which suits a CORS layer outside
	// the Guard.
	Preflight http.Handler
	// RequireTLS refuses requests that reached this server without TLS with 403, before
	// the token is looked at (RFC 6750 §5.3). Behind a proxy that ends TLS, leave it false.
	RequireTLS bool
	// Body makes the body of a refusal; [ProblemJSON] is one. nil sends none. It changes
	// nothing else, and is called by many goroutines at once. Without a content type or
	// body, none is sent.
	Body func(*Denial) (contentType string, body []byte)
	// OnEvent is called synchronously, possibly by many goroutines at once, with the
	// refusals that did not come from the verifier, and with warnings. A panic in it
	// denies the request. nil means none.
	OnEvent func(verifier.Event)
}

// Param is one parameter of a challenge: Name is a token of RFC 9110 §5.6.2 that
// none of the standard parameters has, Value is printable ASCII.
type Param struct{ Name, Value string }

// Guard guards routes. It is immutable and safe for concurrent use. The zero value
// and nil deny every request with 503.
type Guard struct {
	cfg  Config
	own  bool   // cfg.Verifier is not an application's
	base *Route // without rules: answers for handlers
}

// New makes a Guard. The error is of class [verifier.ErrConfig] and lists every
// fault, each naming the field and the remedy.
func New(cfg Config) (*Guard, error) {
	cfg.Extra = slices.Clone(cfg.Extra)
	cfg.ClientCertificates = cfg.ClientCertificates.clone()
	if faults := cfg.faults(); len(faults) > 0 {
		return nil, &verifier.Error{Class: verifier.ErrConfig, Cause: errors.Join(faults...)}
	}
	g := &Guard{cfg: cfg}
	_, g.own = cfg.Verifier.(*verifier.Verifier)
	g.base = &Route{guard: g, lines: g.lines(nil)}
	if err := g.warn(g.base.tooLong()); err != nil {
		return nil, err
	}
	return g, nil
}

func (c *Config) faults() []error {
	var found []error
	fault := func(field, format string, args ...any) {
		found = append(found, fmt.Errorf("middleware.Config."+field+": "+format, args...))
	}
	if hook.Nil(c.Verifier) {
		fault("Verifier", "missing: set it to the result of verifier.New")
	}
	if c.OnlyDPoP && c.DPoP == nil {
		fault("OnlyDPoP", "set without DPoP, so that no scheme is left: set DPoP to the result of dpop.New")
	}
	if c.ClientCertificates != nil {
		c.ClientCertificates.check(fault)
	}
	if !challenge.ValidText(c.Realm) {
		fault("Realm", "holds a control or non-ASCII character: use printable ASCII (RFC 9110 §5.6.4)")
	}
	if c.ErrorURI != "" && !absoluteURI(c.ErrorURI) {
		fault("ErrorURI", "not an absolute URI of the characters of RFC 6750 §3: write it with its scheme and host, percent-encoded")
	}
	if c.Preflight != nil && hook.Nil(c.Preflight) {
		fault("Preflight", "a nil pointer: set a handler, or leave the field out")
	}
	seen := slices.Clone(standardParams)
	for i, p := range c.Extra {
		name := strings.ToLower(p.Name)
		switch {
		case !challenge.ValidName(p.Name):
			fault("Extra", "name %d is not a token: use letters, digits, - and _ (RFC 9110 §5.6.2)", i)
		case slices.Contains(seen, name):
			fault("Extra", "%q occurs twice or is a standard parameter: choose another name (RFC 9110 §11.2)", p.Name)
		}
		if !challenge.ValidText(p.Value) {
			fault("Extra", "value %d holds a control or non-ASCII character: use printable ASCII (RFC 9110 §5.6.4)", i)
		}
		seen = append(seen, name)
	}
	return found
}

// standardParams are the parameters that a challenge of this module can hold, now
// or once another feature is turned on.
var standardParams = []string{
	"realm", "error", "error_description", "error_uri", "scope",
	"acr_values", "max_age", "algs", "resource_metadata",
}

func absoluteURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && challenge.ValidURI(s) && u.IsAbs() && (u.Host != "" || u.Opaque != "")
}

// ready reports whether New made g.
func (g *Guard) ready() bool { return g != nil && g.base != nil }

// report tells OnEvent about a refusal. What it returns is the refusal to answer:
// a hook that panics turns it into [verifier.ErrInternal].
func (g *Guard) report(e *verifier.Error) *verifier.Error {
	if err := g.emit(verifier.Event{Kind: verifier.EventRefused, Class: e.Class, Cause: e.Cause}); err != nil {
		return err
	}
	return e
}

// warn reports warnings of a constructor, and returns an error if the hook panics.
func (g *Guard) warn(warnings []string) error {
	for _, w := range warnings {
		err := g.emit(verifier.Event{Kind: verifier.EventWarning, Cause: errors.New(w)})
		if err != nil {
			return &verifier.Error{Class: verifier.ErrConfig, Cause: err}
		}
	}
	return nil
}

func (g *Guard) emit(ev verifier.Event) *verifier.Error {
	if g == nil || g.cfg.OnEvent == nil {
		return nil
	}
	if p := hook.Call("OnEvent", func() { g.cfg.OnEvent(ev) }); p != nil {
		return internal(p)
	}
	return nil
}

func internal(cause error) *verifier.Error {
	return &verifier.Error{Class: verifier.ErrInternal, Cause: cause}
}
