// SPDX-License-Identifier: Apache-2.0

package verifier

import "github.com/bearerguard/bearerguard/internal/hook"

// Requirement is a rule about a verified token. Check returns nil, an error of
// one of the classes of this package, or any other error, which counts as
// [ErrForbidden]; a context error counts as [ErrInternal], as does a panic. It is
// called only with a token that passed every other check, possibly by many
// goroutines at once, and must not change the token.
type Requirement interface{ Check(*Token) error }

// Challenger is an optional part of a [Requirement]: what a client can do about a
// refusal. It is asked once, when a route is registered, and whenever the rule
// refused outside a route. The error means that the rule itself is faulty.
type Challenger interface{ Challenge() (Challenge, error) }

// Challenge is what a refusal can tell a client. The zero value tells nothing.
type Challenge struct {
	// Scope lists the scopes a token needs, in the order to be sent (RFC 6750 §3).
	Scope []string
}

// Require checks that the token meets all of reqs. Every rule is asked; of the
// failures the one that comes first in the evaluation order is reported
// (authentication strength before scope before other rules), whatever the order
// of the arguments. Its Challenge names the scopes of all rules given, and those that
// the failure itself names. Require returns [ErrNoCredentials] for a nil Token,
// [ErrConfig] for a nil rule.
func (t *Token) Require(reqs ...Requirement) error {
	worst := t.firstFailure(reqs)
	if worst == nil {
		return nil
	}
	challenge, err := challengeOf(reqs)
	if err != nil {
		return err
	}
	refusal := *worst
	refusal.Challenge.Scope = unique(append(challenge.Scope, worst.Challenge.Scope...))
	return &refusal
}

func (t *Token) firstFailure(reqs []Requirement) (worst *Error) {
	if t == nil {
		return fail(ErrNoCredentials, "no token")
	}
	for _, req := range reqs {
		if e := ask(req, t); e != nil && (worst == nil || rank(e.Class) < rank(worst.Class)) {
			worst = e
		}
	}
	return worst
}

// ask calls one rule. Its panic denies; its unclassified error is the
// application's no, except that a context error says nothing about the token.
func ask(req Requirement, t *Token) *Error {
	if hook.Nil(req) {
		return fail(ErrConfig, "a Requirement is nil: leave it out")
	}
	var refusal *Error
	// To ask an error for its class is to call the application's code, too.
	err := guarded("a Requirement", func() error {
		err := req.Check(t)
		switch {
		case err == nil:
		case ClassOf(err) == nil && isContextError(err):
			refusal = &Error{Class: ErrInternal, Cause: err}
		default:
			refusal = classify(err, ErrForbidden)
		}
		return nil
	})
	if err != nil {
		return classify(err, ErrInternal)
	}
	return refusal
}

func rank(class error) int {
	for i, c := range classes {
		if c == class {
			return i
		}
	}
	return len(classes)
}

// challengeOf collects what the rules ask for, in order and without duplicates.
func challengeOf(reqs []Requirement) (Challenge, error) {
	var c Challenge
	for _, req := range reqs {
		asked, ok := req.(Challenger)
		if !ok || hook.Nil(req) {
			continue
		}
		var one Challenge
		err := guarded("Challenge", func() (err error) {
			if one, err = asked.Challenge(); err != nil {
				return classify(err, ErrConfig) // asks the error, which is foreign code, too
			}
			return nil
		})
		if err != nil {
			return Challenge{}, classify(err, ErrConfig)
		}
		c.Scope = append(c.Scope, one.Scope...)
	}
	c.Scope = unique(c.Scope)
	return c, nil
}
