// SPDX-License-Identifier: Apache-2.0

// Package scopes has the rules by which a route names the scopes it needs.
//
// A scope says what the client was granted, not what the user may do (RFC 6749
// §3.3): that the token has orders:read does not make order 7 the user's own.
// Look at the resource, too, and answer [verifier.ErrForbidden] where more scope
// would not help.
//
// Scopes are compared as whole strings and by case: orders does not satisfy
// orders:read, and there are no wildcards. A broad scope satisfies a narrow one
// only where verifier.Config.Implies says so.
package scopes

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/internal/scopetoken"
	"github.com/bearerguard/bearerguard/verifier"
)

// Rule is a rule about the scopes of a token. It is a [verifier.Requirement] and a
// [verifier.Challenger], immutable and safe for concurrent use. The zero value is
// not a rule: it is refused when a route is registered, and lets no token pass.
type Rule struct {
	node *node
}

var (
	_ verifier.Requirement = Rule{}
	_ verifier.Challenger  = Rule{}
)

// node is one step of a rule: scope alone, or parts of which every or one is needed.
type node struct {
	scope string
	parts []*node
	every bool
	ask   []string // what a challenge lists
	fault error
}

// All needs every one of the scopes. Without any, it is met by each valid token.
func All(scopes ...string) Rule { return combine("All", true, leaves(scopes)) }

// Any needs one of the scopes; a challenge lists the first. Without any, the rule
// is faulty: there is no way to meet it.
func Any(scopes ...string) Rule { return combine("Any", false, leaves(scopes)) }

// AllOf needs every one of the rules. Without any, it is met by each valid token.
func AllOf(rules ...Rule) Rule { return combine("AllOf", true, nodes(rules)) }

// AnyOf needs one of the rules; a challenge lists the scopes of the first. Without
// any, the rule is faulty.
func AnyOf(rules ...Rule) Rule { return combine("AnyOf", false, nodes(rules)) }

func leaves(scopes []string) []*node {
	parts := make([]*node, 0, len(scopes))
	for _, s := range scopes {
		n := &node{scope: s, ask: []string{s}}
		if !scopetoken.Valid(s) {
			n.fault = fmt.Errorf("%q is not a scope: give one scope per argument, of printable ASCII without space, quote and backslash (RFC 6749 §3.3)", s)
		}
		parts = append(parts, n)
	}
	return parts
}

func nodes(rules []Rule) []*node {
	parts := make([]*node, 0, len(rules))
	for _, r := range rules {
		parts = append(parts, r.root())
	}
	return parts
}

var zero = &node{fault: errors.New("a zero scopes.Rule: make rules with All, Any, AllOf or AnyOf")}

func (r Rule) root() *node {
	if r.node == nil {
		return zero
	}
	return r.node
}

func combine(name string, every bool, parts []*node) Rule {
	n := &node{parts: parts, every: every}
	var faults []error
	if len(parts) == 0 && !every {
		faults = append(faults, errors.New("no alternative is given, so no token can pass: name at least one"))
	}
	for i, part := range parts {
		if part.fault != nil {
			faults = append(faults, part.fault)
		}
		if every || i == 0 {
			n.ask = merge(n.ask, part.ask)
		}
	}
	if len(faults) > 0 {
		n.fault = fmt.Errorf("scopes.%s: %w", name, errors.Join(faults...))
	}
	return Rule{n}
}

func merge(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// Check returns nil if the token has the scopes, else [verifier.ErrInsufficientScope]
// with the Challenge, or [verifier.ErrConfig] if the rule is faulty. A nil token
// has no scopes.
func (r Rule) Check(tok *verifier.Token) error {
	n := r.root()
	switch {
	case n.fault != nil:
		return &verifier.Error{Class: verifier.ErrConfig, Cause: n.fault}
	case tok != nil && n.met(tok):
		return nil
	}
	return &verifier.Error{
		Class:     verifier.ErrInsufficientScope,
		Cause:     errLacking,
		Challenge: verifier.Challenge{Scope: slices.Clone(n.ask)},
	}
}

var errLacking = errors.New("the token's scopes do not meet the rule of this route")

func (n *node) met(tok *verifier.Token) bool {
	if n.scope != "" {
		return tok.HasScope(n.scope)
	}
	for _, part := range n.parts {
		if part.met(tok) != n.every {
			return !n.every
		}
	}
	return n.every
}

// Challenge returns the scopes a client should ask for: all of them, and of
// alternatives the first (RFC 6750 §3). The error is of class [verifier.ErrConfig]
// and lists every fault of the rule.
func (r Rule) Challenge() (verifier.Challenge, error) {
	n := r.root()
	if n.fault != nil {
		return verifier.Challenge{}, &verifier.Error{Class: verifier.ErrConfig, Cause: n.fault}
	}
	return verifier.Challenge{Scope: slices.Clone(n.ask)}, nil
}

// identity are the scopes that ask for something other than access to an API: a
// refresh token, or claims about the user (OpenID Connect Core §5.4, §11).
var identity = []string{"offline_access", "openid", "profile", "email", "address", "phone"}

// Warnings lists what is allowed in the rule but rarely meant. A Guard reports each
// as a [verifier.EventWarning] when the route is registered.
func (r Rule) Warnings() []string {
	var found []string
	var walk func(*node)
	walk = func(n *node) {
		if slices.Contains(identity, n.scope) {
			found = merge(found, []string{fmt.Sprintf("scope %q concerns the user's identity or refresh tokens, not an API: name a scope of this API instead", n.scope)})
		}
		for _, part := range n.parts {
			walk(part)
		}
	}
	walk(r.root())
	return found
}
