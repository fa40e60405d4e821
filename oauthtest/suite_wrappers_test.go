// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// brokenWrapper is a mistake with the check that must find it.
type brokenWrapper struct {
	check string
	spoil spoiled
}

// wrapper spoils what a good verifier does.
type wrapper struct {
	inner *verifier.Verifier
	spoil spoiled

	mu   sync.Mutex
	seen map[string]*verifier.Token
}

type (
	spoiled = func(w *wrapper, c call) (*verifier.Token, error)
	// call is what VerifyBound is given.
	call struct {
		ctx     context.Context
		raw     string
		confirm confirmation
		reqs    []verifier.Requirement
	}
)

func (w *wrapper) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	return w.spoil(w, call{ctx, raw, confirm, reqs})
}

func (w *wrapper) pass(c call) (*verifier.Token, error) {
	return w.inner.VerifyBound(c.ctx, c.raw, c.confirm, c.reqs...)
}

// before returns what was remembered for raw.
func (w *wrapper) before(raw string) *verifier.Token {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[raw]
}

func (w *wrapper) remember(raw string, tok *verifier.Token, err error) (*verifier.Token, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.seen[raw] = tok
	}
	return tok, err
}

func who(tok *verifier.Token) string { return tok.Subject + " " + tok.ClientID }

// broadest is the token of tok's subject and client with the most scopes so far.
func (w *wrapper) broadest(tok *verifier.Token) *verifier.Token {
	if old := w.before(who(tok)); old != nil && len(old.Scopes) > len(tok.Scopes) {
		return old
	}
	kept := *tok
	_, _ = w.remember(who(tok), &kept, nil)
	return tok
}

// brokenWrappers are mistakes, each with the check that must find it.
var brokenWrappers = map[string]brokenWrapper{
	"drops_confirm": {"confirm_runs_once_for_each_call", func(w *wrapper, c call) (*verifier.Token, error) {
		return w.inner.VerifyBound(c.ctx, c.raw, unbound, c.reqs...)
	}},
	"confirms_twice": {"confirm_runs_once_for_each_call", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.pass(c)
		if err == nil && c.confirm != nil {
			err = c.confirm(c.ctx, tok)
		}
		if err != nil {
			return nil, err
		}
		return tok, nil
	}},
	"confirms_bound_tokens_only": {"confirm_runs_once_for_each_call", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.inner.Verify(c.ctx, c.raw, c.reqs...)
		if errors.Is(err, verifier.ErrBinding) {
			return w.pass(c)
		}
		return tok, err
	}},
	"confirms_at_first_only": {"confirm_runs_once_for_each_call", func(w *wrapper, c call) (*verifier.Token, error) {
		if w.before(c.raw) != nil {
			c.confirm = nil
		}
		tok, err := w.pass(c)
		return w.remember(c.raw, tok, err)
	}},
	"confirms_after_the_rules": {"confirm_runs_once_for_each_call", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.inner.Verify(c.ctx, c.raw, c.reqs...)
		if err == nil && c.confirm != nil {
			err = c.confirm(c.ctx, tok)
		}
		if err != nil {
			return nil, err
		}
		return tok, nil
	}},
	"confirms_with_another_context": {"confirm_runs_once_for_each_call", func(w *wrapper, c call) (*verifier.Token, error) {
		c.ctx = context.Background()
		return w.pass(c)
	}},
	"ignores_what_confirm_says": {"confirm_can_refuse", func(w *wrapper, c call) (*verifier.Token, error) {
		return w.inner.VerifyBound(c.ctx, c.raw, func(ctx context.Context, tok *verifier.Token) error { _ = c.confirm(ctx, tok); return nil }, c.reqs...)
	}},
	"confirms_before_it_verifies": {"confirm_sees_no_bad_token", func(w *wrapper, c call) (*verifier.Token, error) {
		if err := c.confirm(c.ctx, &verifier.Token{}); err != nil {
			return nil, err
		}
		return w.pass(c)
	}},
	"confirm_gets_the_very_token": {"confirm_changes_nothing_but_the_binding", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.inner.Verify(c.ctx, c.raw)
		if err == nil {
			err = c.confirm(c.ctx, tok)
		}
		return tok, err
	}},
	"loses_the_binding": {"confirm_changes_nothing_but_the_binding", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.pass(c)
		if err == nil {
			tok.Binding = verifier.Binding{}
		}
		return tok, err
	}},
	"strips_the_confirmation": {"bound_tokens_need_a_proof", func(w *wrapper, c call) (*verifier.Token, error) {
		return w.inner.VerifyBound(c.ctx, c.raw, func(ctx context.Context, tok *verifier.Token) error {
			if c.confirm != nil {
				_ = c.confirm(ctx, tok)
			}
			tok.Binding.Kind = "mtls"
			return nil
		}, c.reqs...)
	}},
	"drops_the_rules": {"every_rule_is_asked", func(w *wrapper, c call) (*verifier.Token, error) {
		c.reqs = nil
		return w.pass(c)
	}},
	"asks_the_first_rule": {"every_rule_is_asked", func(w *wrapper, c call) (*verifier.Token, error) {
		c.reqs = c.reqs[:min(1, len(c.reqs))]
		return w.pass(c)
	}},
	"one_rule_is_enough": {"every_rule_is_asked", func(w *wrapper, c call) (tok *verifier.Token, err error) {
		tok, err = w.inner.VerifyBound(c.ctx, c.raw, c.confirm)
		for _, r := range c.reqs {
			if err = tok.Require(r); err == nil {
				return tok, nil
			}
		}
		return tok, err
	}},
	"asks_rules_at_first_only": {"every_rule_is_asked", func(w *wrapper, c call) (*verifier.Token, error) {
		if w.before(c.raw) != nil {
			c.reqs = nil
		}
		tok, err := w.pass(c)
		return w.remember(c.raw, tok, err)
	}},
	"token_beside_the_error": {"every_rule_is_asked", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.inner.VerifyBound(c.ctx, c.raw, c.confirm)
		if err != nil {
			return nil, err
		}
		return tok, tok.Require(c.reqs...)
	}},
	"neither_token_nor_error": {"bad_tokens_are_refused", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, _ := w.pass(c)
		return tok, nil
	}},
	"plain_errors": {"bad_tokens_are_refused", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.pass(c)
		if err != nil {
			return nil, errors.New("refused")
		}
		return tok, nil
	}},
	"quotes_the_token": {"bad_tokens_are_refused", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.pass(c)
		if err != nil {
			return nil, fmt.Errorf("token %s: %w", c.raw, err)
		}
		return tok, nil
	}},
	"forgives_expiry": {"bad_tokens_are_refused", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.pass(c)
		if errors.Is(err, verifier.ErrExpired) {
			return &verifier.Token{Subject: "user-1"}, nil
		}
		return tok, err
	}},
	"panics": {"bad_tokens_are_refused", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.pass(c)
		_ = tok.Subject
		return tok, err
	}},
	"takes_what_was_refused_before": {"bad_tokens_are_refused", func(w *wrapper, c call) (*verifier.Token, error) {
		if tok := w.before(c.raw); tok != nil {
			return tok, nil
		}
		_, _ = w.remember(c.raw, &verifier.Token{Subject: "user-1"}, nil)
		return w.pass(c)
	}},
	"forgives_signatures": {"hostile_tokens_are_refused", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.pass(c)
		if errors.Is(err, verifier.ErrSignature) {
			return &verifier.Token{Subject: "user-1"}, nil
		}
		return tok, err
	}},
	"makes_a_token_of_its_own": {"good_token_is_accepted", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.pass(c)
		if err != nil {
			return nil, err
		}
		return &verifier.Token{Issuer: tok.Issuer, Subject: tok.Subject, ClientID: tok.ClientID, Scopes: tok.Scopes}, nil
	}},
	"shares_tokens": {"results_are_not_shared", func(w *wrapper, c call) (*verifier.Token, error) {
		if tok := w.before(c.raw); tok != nil {
			return tok, nil
		}
		tok, err := w.pass(c)
		return w.remember(c.raw, tok, err)
	}},
	"remembers_past_expiry": {"expired_meanwhile", func(w *wrapper, c call) (*verifier.Token, error) {
		if tok := w.before(c.raw); tok != nil {
			return tok, nil
		}
		tok, err := w.pass(c)
		return w.remember(c.raw, tok, err)
	}},
	"remembers_past_its_key": {"key_withdrawn_meanwhile", func(w *wrapper, c call) (*verifier.Token, error) {
		if tok := w.before(c.raw); tok != nil {
			return tok, nil
		}
		tok, err := w.pass(c)
		return w.remember(c.raw, tok, err)
	}},
	"blames_the_token_for_an_outage": {"outage_is_not_the_tokens_fault", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.pass(c)
		if err != nil {
			return nil, &verifier.Error{Class: verifier.ErrSignature}
		}
		return tok, nil
	}},
	"ignores_the_context": {"cancelled_context_returns_promptly", func(w *wrapper, c call) (*verifier.Token, error) {
		c.ctx = context.WithoutCancel(c.ctx)
		return w.pass(c)
	}},
	"remembers_without_the_signature": {"signature_is_checked_each_time", func(w *wrapper, c call) (*verifier.Token, error) {
		signed := signedPart("." + c.raw)
		if tok := w.before(signed); tok != nil {
			return tok, nil
		}
		tok, err := w.pass(c)
		return w.remember(signed, tok, err)
	}},
	"remembers_by_the_signature": {"signature_is_checked_each_time", func(w *wrapper, c call) (*verifier.Token, error) {
		sig := c.raw[strings.LastIndexByte(c.raw, '.')+1:]
		if tok := w.before(sig); tok != nil {
			return tok, nil
		}
		tok, err := w.pass(c)
		return w.remember(sig, tok, err)
	}},
	"removes_padding": {"signature_is_checked_each_time", func(w *wrapper, c call) (*verifier.Token, error) {
		c.raw = strings.TrimRight(c.raw, "=")
		return w.pass(c)
	}},
	"remembers_refusals": {"outage_is_not_the_tokens_fault", func(w *wrapper, c call) (*verifier.Token, error) {
		if w.before(c.raw) != nil {
			return nil, &verifier.Error{Class: verifier.ErrKeysUnavailable}
		}
		tok, err := w.pass(c)
		if err != nil {
			_, _ = w.remember(c.raw, &verifier.Token{}, nil)
		}
		return tok, err
	}},
	"remembers_by_subject_and_client": {"tokens_of_one_subject_are_kept_apart", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.inner.VerifyBound(c.ctx, c.raw, c.confirm)
		if err != nil {
			return nil, err
		}
		if old := w.before(who(tok)); old != nil {
			return old, old.Require(c.reqs...)
		}
		_, _ = w.remember(who(tok), tok, nil)
		return tok, tok.Require(c.reqs...)
	}},
	"broadest_scopes_of_the_subject": {"tokens_of_one_subject_are_kept_apart", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.inner.VerifyBound(c.ctx, c.raw, c.confirm)
		if err != nil {
			return nil, err
		}
		tok.Scopes = slices.Clone(w.broadest(tok).Scopes)
		if err := tok.Require(c.reqs...); err != nil {
			return nil, err
		}
		return tok, nil
	}},
	"rules_by_the_broadest_scopes": {"tokens_of_one_subject_are_kept_apart", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.inner.VerifyBound(c.ctx, c.raw, c.confirm)
		if err != nil {
			return nil, err
		}
		if err := w.broadest(tok).Require(c.reqs...); err != nil {
			return nil, err
		}
		return tok, nil
	}},
	"panicking_rule_is_yes": {"a_panic_is_no", func(w *wrapper, c call) (tok *verifier.Token, err error) {
		if tok, err = w.inner.VerifyBound(c.ctx, c.raw, c.confirm); err != nil {
			return nil, err
		}
		defer func() { _ = recover() }()
		for _, r := range c.reqs {
			if err := r.Check(tok); err != nil {
				return nil, tok.Require(c.reqs...)
			}
		}
		return tok, nil
	}},
	"panicking_confirm_is_yes": {"a_panic_is_no", func(w *wrapper, c call) (*verifier.Token, error) {
		return w.inner.VerifyBound(c.ctx, c.raw, func(ctx context.Context, tok *verifier.Token) error {
			defer func() { _ = recover() }()
			return c.confirm(ctx, tok)
		}, c.reqs...)
	}},
	"panics_on_with_a_rule": {"a_panic_is_no", func(w *wrapper, c call) (*verifier.Token, error) {
		tok, err := w.inner.VerifyBound(c.ctx, c.raw, c.confirm)
		if err != nil {
			return nil, err
		}
		for _, r := range c.reqs {
			if err := r.Check(tok); err != nil {
				return nil, err
			}
		}
		return tok, nil
	}},
	"remembers_by_a_part": {"no_crosstalk", func(w *wrapper, c call) (*verifier.Token, error) {
		if tok := w.before(c.raw[:20]); tok != nil {
			return tok, nil
		}
		tok, err := w.pass(c)
		return w.remember(c.raw[:20], tok, err)
	}},
}

func (b brokenWrapper) open(t testing.TB, as *Server, audience string) middleware.TokenVerifier {
	v, err := verifier.New(as.VerifierConfig(audience))
	if err != nil {
		t.Fatal(err)
	}
	return &wrapper{inner: v, spoil: b.spoil, seen: map[string]*verifier.Token{}}
}

func TestBrokenTokenVerifiers(t *testing.T) {
	t.Parallel()
	for name, b := range brokenWrappers {
		t.Run(name, func(t *testing.T) {
			found := false
			for _, c := range verifierChecks {
				if c.name != b.check {
					continue
				}
				text := failed(t, c.name, func(t testing.TB) { c.play(t, b.open, nil) })
				found = text != ""
				t.Log(text)
			}
			if !found {
				t.Errorf("not found by %s", b.check)
			}
		})
	}
}

// TestBrokenTokenVerifiersAreNamed: a message says which token it is about.
func TestBrokenTokenVerifiersAreNamed(t *testing.T) {
	for name, want := range map[string]string{
		"quotes_the_token":                ": the text of an error holds a part of the token",
		"neither_token_nor_error":         ": VerifyBound returned neither a token nor an error",
		"panics":                          ": panic in VerifyBound",
		"plain_errors":                    ": refused with class",
		"confirms_before_it_verifies":     ": confirm was called for a bad token",
		"panics_on_with_a_rule":           "a token with a rule that panics: panic in VerifyBound",
		"token_beside_the_error":          "a token that one of two rules refuses: VerifyBound returned a token beside the error",
		"makes_a_token_of_its_own":        "at first: Decode",
		"remembers_by_subject_and_client": "a token with scope \"a b\" has the claims or scopes of another one",
	} {
		t.Run(name, func(t *testing.T) {
			b := brokenWrappers[name]
			i := slices.IndexFunc(verifierChecks, func(c verifierCheck) bool { return c.name == b.check })
			text := failed(t, b.check, func(t testing.TB) { verifierChecks[i].play(t, b.open, nil) })
			before, _, found := strings.Cut(text, want)
			_, bad := badEdits()[before]
			if !found || before != "" && !bad && !strings.HasPrefix(before, "text of ") {
				t.Errorf("%q, want one with the case and %q", text, want)
			}
		})
	}
}
