// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// rule makes a Requirement of a function.
type rule func(*verifier.Token) error

func (r rule) Check(tok *verifier.Token) error { return r(tok) }

// refusing is a rule that always fails.
func refusing(err error) rule { return func(*verifier.Token) error { return err } }

// asking is a rule with a challenge; err is what Check returns, fault what Challenge returns.
type asking struct {
	err, fault error
	scope      []string
}

func (a *asking) Check(*verifier.Token) error { return a.err }

func (a *asking) Challenge() (verifier.Challenge, error) {
	return verifier.Challenge{Scope: a.scope}, a.fault
}

// explosive is an error that panics when errors.Is asks it.
type explosive struct{}

func (explosive) Error() string { return "explosive" }
func (explosive) Is(error) bool { panic("asked") }

func TestRequirementClasses(t *testing.T) {
	v, good := newVerifier(t), token(nil, nil)
	mine := errors.New("x")
	for _, tt := range []struct {
		name string
		err  error
		want error
	}{
		{"ER-23/unclassified", mine, verifier.ErrForbidden},
		{"ER-23/context_canceled", context.Canceled, verifier.ErrInternal},
		{"ER-23/deadline", fmt.Errorf("asking the policy engine: %w", context.DeadlineExceeded), verifier.ErrInternal},
		{"ER-19/forbidden", verifier.ErrForbidden, verifier.ErrForbidden},
		{"ER-19/wrapped", fmt.Errorf("plan: %w", verifier.ErrForbidden), verifier.ErrForbidden},
		{"ER-17/scope", verifier.ErrInsufficientScope, verifier.ErrInsufficientScope},
		{"ER-18/details", verifier.ErrInsufficientDetails, verifier.ErrInsufficientDetails},
		{"ER-16/step_up", &verifier.Error{Class: verifier.ErrStepUp, Cause: mine}, verifier.ErrStepUp},
		{"ER-13/binding", fmt.Errorf("x: %w", &verifier.Error{Class: verifier.ErrBinding}), verifier.ErrBinding},
		{"ER-12/revoked", verifier.ErrRevoked, verifier.ErrRevoked},
		{"ER-20/status", verifier.ErrStatusUnavailable, verifier.ErrStatusUnavailable},
		{"ER-23/class_wins_over_context", fmt.Errorf("%w: %w", verifier.ErrStatusUnavailable, context.Canceled), verifier.ErrStatusUnavailable},
		{"ER-23/typed_nil_error", (*verifier.Error)(nil), verifier.ErrForbidden},
		{"ER-23/error_without_class", &verifier.Error{}, verifier.ErrForbidden},
		{"ER-23/error_with_foreign_class", &verifier.Error{Class: mine}, verifier.ErrForbidden},
		{"ER-23/class_wrapped_in_class", &verifier.Error{Class: fmt.Errorf("x: %w", verifier.ErrStepUp)}, verifier.ErrStepUp},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tok, err := verifyTwice(t, v, good, refusing(tt.err))
			wantClass(t, tok, err, tt.want)
			if text := err.Error(); text == "" {
				t.Error("no text")
			}
			wantClass(t, nil, expect(t, v, good, nil).Require(refusing(tt.err)), tt.want)
		})
	}
	t.Run("ER-23/cause_is_kept_for_the_operator", func(t *testing.T) {
		_, err := verifyTwice(t, v, good, refusing(mine))
		if !errors.Is(err, mine) {
			t.Errorf("%v does not wrap the rule's error", err)
		}
	})
	t.Run("ER-23/panic", func(t *testing.T) {
		for _, value := range panics(t) {
			tok, err := verifyTwice(t, v, good, rule(func(*verifier.Token) error { panic(value) }))
			wantClass(t, tok, err, verifier.ErrInternal)
		}
	})
	t.Run("GO-02/nil_rules", func(t *testing.T) {
		for _, nothing := range []verifier.Requirement{nil, rule(nil), (*asking)(nil)} {
			tok, err := verifyTwice(t, v, good, nothing)
			wantClass(t, tok, err, verifier.ErrConfig)
			tok, err = verifyTwice(t, v, good, refusing(mine), nothing)
			wantClass(t, tok, err, verifier.ErrConfig)
		}
	})
	t.Run("ER-01/nil_token", func(t *testing.T) {
		var none *verifier.Token
		wantClass(t, nil, none.Require(), verifier.ErrNoCredentials)
		wantClass(t, nil, none.Require(refusing(mine)), verifier.ErrNoCredentials)
		if none.HasScope("orders:read") {
			t.Error("a nil token has a scope")
		}
	})
	t.Run("EO-07/no_rules_at_all", func(t *testing.T) {
		if err := expect(t, v, good, nil).Require(); err != nil {
			t.Error(err)
		}
	})
}

func TestRequirementOrder(t *testing.T) {
	inOrder := []error{
		verifier.ErrStepUp, verifier.ErrInsufficientScope, verifier.ErrInsufficientDetails, verifier.ErrForbidden,
	}
	tok := expect(t, newVerifier(t), token(nil, nil), nil)
	for i, first := range inOrder {
		for _, second := range inOrder[i+1:] {
			t.Run(fmt.Sprintf("EO-07/%v_before_%v", first, second), func(t *testing.T) {
				wantClass(t, nil, tok.Require(refusing(first), refusing(second)), first)
				wantClass(t, nil, tok.Require(refusing(second), refusing(first)), first)
				pass := refusing(nil)
				wantClass(t, nil, tok.Require(pass, refusing(second), pass, refusing(first), pass), first)
			})
		}
	}
	t.Run("EO-07/first_of_equals", func(t *testing.T) {
		one, two := errors.New("one"), errors.New("two")
		if err := tok.Require(refusing(one), refusing(two)); !errors.Is(err, one) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("SC-09/challenge_covers_the_whole_operation", func(t *testing.T) {
		err := tok.Require(
			&asking{scope: []string{"b", "a"}},
			refusing(verifier.ErrInsufficientScope),
			&asking{err: verifier.ErrInsufficientScope, scope: []string{"a", "c"}},
		)
		var e *verifier.Error
		if !errors.As(err, &e) || !slices.Equal(e.Challenge.Scope, []string{"b", "a", "c"}) {
			t.Errorf("%v with scope %v, want b a c", err, e.Challenge.Scope)
		}
	})
	t.Run("CH-13/scope_of_a_rule's_own_error_is_kept", func(t *testing.T) {
		own := &verifier.Error{Class: verifier.ErrInsufficientScope, Challenge: verifier.Challenge{Scope: []string{"own", "a"}}}
		err := tok.Require(&asking{scope: []string{"a"}}, refusing(own))
		var e *verifier.Error
		if !errors.As(err, &e) || !slices.Equal(e.Challenge.Scope, []string{"a", "own"}) {
			t.Errorf("%v with scope %v, want a own", err, e.Challenge.Scope)
		}
	})
	t.Run("GO-03/shared_error_is_not_changed", func(t *testing.T) {
		shared := &verifier.Error{Class: verifier.ErrInsufficientScope}
		_ = tok.Require(refusing(shared), &asking{err: verifier.ErrForbidden, scope: []string{"a"}})
		if shared.Challenge.Scope != nil {
			t.Errorf("the rule's own error became %v", shared.Challenge)
		}
	})
	t.Run("ER-23/error_that_panics_when_asked", func(t *testing.T) {
		wantClass(t, nil, tok.Require(refusing(explosive{})), verifier.ErrInternal)
	})
	t.Run("CH-13/no_token", func(t *testing.T) {
		var none *verifier.Token
		err := none.Require(&asking{scope: []string{"a"}})
		var e *verifier.Error
		if !errors.As(err, &e) || e.Class != verifier.ErrNoCredentials || !slices.Equal(e.Challenge.Scope, []string{"a"}) {
			t.Errorf("%v, want no credentials with scope a", err)
		}
	})
	t.Run("SE-01/faulty_challenge", func(t *testing.T) {
		fault := &asking{err: verifier.ErrInsufficientScope, fault: errors.New("no scopes")}
		wantClass(t, nil, tok.Require(fault), verifier.ErrConfig)
	})
	t.Run("GO-03/challenge_does_not_touch_the_rules", func(t *testing.T) {
		scopes := append(make([]string, 0, 8), "a", "a", "b")
		for range 2 {
			_ = tok.Require(&asking{err: verifier.ErrForbidden, scope: scopes}, &asking{scope: []string{"z"}})
		}
		if !slices.Equal(scopes[:4:8][:3], []string{"a", "a", "b"}) || scopes[:4][3] != "" {
			t.Errorf("the rule's own list became %v", scopes[:4])
		}
	})
}

// x509Bound and keyBound are cnf claims of bound tokens.
var (
	keyBound  = object{"cnf": object{"jkt": b64(strings.Repeat("k", 32))}}
	certBound = object{"cnf": object{"x5t#S256": b64(strings.Repeat("c", 32))}}
)

func TestPlainVerifyRefusesBoundTokens(t *testing.T) {
	v := newVerifier(t)
	for name, claims := range map[string]object{"GO-01/jkt": keyBound, "GO-01/x5t#S256": certBound} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				tok, err := verifyTwice(t, v, token(nil, claims))
				wantClass(t, tok, err, verifier.ErrBinding)
				tok, err = verifyBoundTwice(t, v, token(nil, claims), nil)
				wantClass(t, tok, err, verifier.ErrBinding)
			}
		})
	}
	t.Run("GO-01/unbound_is_a_bearer_token", func(t *testing.T) {
		tok, err := verifyBoundTwice(t, v, token(nil, nil), nil)
		wantAccepted(t, tok, err)
		if tok.Binding != (verifier.Binding{}) || tok.Confirmation != (verifier.Confirmation{}) {
			t.Errorf("binding %v of an unbound token", tok.Binding)
		}
	})
}

func TestConfirm(t *testing.T) {
	binding := verifier.Binding{Kind: "dpop", Thumbprint: strings.Repeat("k", 32)}
	bindTo := func(b verifier.Binding) func(context.Context, *verifier.Token) error {
		return func(_ context.Context, tok *verifier.Token) error { tok.Binding = b; return nil }
	}
	t.Run("JV-35/L5_confirm_runs_on_every_hit", func(t *testing.T) {
		for _, claims := range []object{nil, keyBound} {
			v, raw := newVerifier(t), token(nil, claims)
			calls := 0
			for i := range 4 {
				tok, err := v.VerifyBound(t.Context(), raw, func(_ context.Context, tok *verifier.Token) error {
					calls++
					if tok.Binding != (verifier.Binding{}) {
						t.Errorf("request %d sees the binding of another", i)
					}
					tok.Binding = binding
					return nil
				})
				wantAccepted(t, tok, err)
				if tok.Binding != binding || calls != i+1 {
					t.Errorf("request %d: binding %v, %d calls", i, tok.Binding, calls)
				}
			}
			tok, err := v.VerifyBound(t.Context(), raw, func(context.Context, *verifier.Token) error { return verifier.ErrBinding })
			wantClass(t, tok, err, verifier.ErrBinding)
			if claims != nil {
				expect(t, v, raw, verifier.ErrBinding)
			}
		}
	})
	t.Run("SB-05/bound_token_without_binding", func(t *testing.T) {
		v := newVerifier(t)
		for _, claims := range []object{keyBound, certBound} {
			for _, none := range []verifier.Binding{{}, {Thumbprint: strings.Repeat("k", 32)}} {
				for range 2 {
					tok, err := verifyBoundTwice(t, v, token(nil, claims), bindTo(none))
					wantClass(t, tok, err, verifier.ErrBinding)
				}
			}
		}
	})
	t.Run("SB-03/not_understood_cnf_is_never_confirmed", func(t *testing.T) {
		for _, cnf := range []object{{}, {"jwk": object{}}, {"kid": "x"}, {"jkt": "x"}} {
			tok, err := verifyBoundTwice(t, newVerifier(t), token(nil, object{"cnf": cnf}), bindTo(binding))
			wantClass(t, tok, err, verifier.ErrBinding)
		}
	})
	t.Run("SB-08/confirmation_is_exposed", func(t *testing.T) {
		tok, err := verifyBoundTwice(t, newVerifier(t), token(nil, keyBound), func(_ context.Context, tok *verifier.Token) error {
			if tok.Confirmation.JWKThumbprint != strings.Repeat("k", 32) {
				t.Errorf("confirmation %q", tok.Confirmation.JWKThumbprint)
			}
			tok.Binding = binding
			return nil
		})
		wantAccepted(t, tok, err)
		if tok.Binding != binding {
			t.Errorf("binding %v", tok.Binding)
		}
	})
	t.Run("GO-05/changes_of_other_fields_have_no_effect", func(t *testing.T) {
		v := newVerifier(t)
		raw := token(nil, object{"amr": []string{"pwd"}, "roles": []string{"user"}, "act": object{"sub": "helper"}})
		for range 2 {
			tok, err := verifyBoundTwice(t, v, raw, func(_ context.Context, tok *verifier.Token) error {
				spoil(tok)
				return nil
			})
			wantAccepted(t, tok, err)
			wantUnspoiled(t, tok)
		}
	})
	for _, tt := range []struct {
		name string
		err  error
		want error
	}{
		{"ER-23/confirm_unclassified", errors.New("x"), verifier.ErrInternal},
		{"ER-23/confirm_context", context.Canceled, verifier.ErrInternal},
		{"ER-23/confirm_typed_nil", (*verifier.Error)(nil), verifier.ErrInternal},
		{"ER-13/confirm_binding", fmt.Errorf("x: %w", verifier.ErrBinding), verifier.ErrBinding},
		{"ER-20/confirm_replay_store", verifier.ErrReplayStoreUnavailable, verifier.ErrReplayStoreUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			confirm := func(_ context.Context, tok *verifier.Token) error { tok.Binding = binding; return tt.err }
			v := newVerifier(t)
			for range 2 {
				tok, err := verifyBoundTwice(t, v, token(nil, keyBound), confirm)
				wantClass(t, tok, err, tt.want)
			}
		})
	}
	t.Run("EO-01/confirm_before_rules_and_once", func(t *testing.T) {
		var order []string
		tok, err := newVerifier(t).VerifyBound(t.Context(), token(nil, nil),
			func(context.Context, *verifier.Token) error { order = append(order, "confirm"); return nil },
			rule(func(tok *verifier.Token) error { order = append(order, "rule"); return nil }))
		wantAccepted(t, tok, err)
		if !slices.Equal(order, []string{"confirm", "rule"}) {
			t.Errorf("order %v", order)
		}
	})
	t.Run("SB-08/rules_see_the_binding", func(t *testing.T) {
		tok, err := verifyBoundTwice(t, newVerifier(t), token(nil, nil), bindTo(binding), rule(func(tok *verifier.Token) error {
			if tok.Binding != binding {
				return errors.New("no binding")
			}
			return nil
		}))
		wantAccepted(t, tok, err)
	})
	t.Run("GO-01/confirm_gets_the_request_context", func(t *testing.T) {
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "mine")
		_, err := newVerifier(t).VerifyBound(ctx, token(nil, nil), func(ctx context.Context, _ *verifier.Token) error {
			if ctx.Value(key{}) != "mine" {
				return errors.New("another context")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// spoil changes everything in a token that can be reached from outside.
func spoil(tok *verifier.Token) {
	for _, list := range [][]string{tok.Audience, tok.Scopes, tok.AMR, tok.Roles, tok.Groups, tok.Entitlements} {
		for i := range list {
			list[i] = "evil"
		}
	}
	tok.Scopes = append(tok.Scopes, "evil")
	if tok.Actor != nil {
		tok.Actor.Subject = "evil"
	}
	tok.Issuer, tok.Subject, tok.ClientID, tok.ID, tok.ACR = "evil", "evil", "evil", "evil", "evil"
	tok.ExpiresAt = tok.ExpiresAt.AddDate(10, 0, 0)
	tok.Confirmation.JWKThumbprint = "evil"
}

func wantUnspoiled(t *testing.T, tok *verifier.Token) {
	t.Helper()
	if text := fmt.Sprintf("%+v %+v", *tok, tok.Actor); strings.Contains(text, "evil") {
		t.Errorf("a change reached another copy: %s", text)
	}
	if !tok.HasScope("orders:read") || tok.HasScope("evil") {
		t.Errorf("scopes %v", tok.Scopes)
	}
	if !tok.ExpiresAt.Before(noon.AddDate(1, 0, 0)) {
		t.Errorf("expires %v", tok.ExpiresAt)
	}
}

func TestEmailDomainRule(t *testing.T) {
	v := newVerifier(t)
	for name, claims := range map[string]object{
		"two_ats":         {"email": "a@evil.com@company.com", "email_verified": true},
		"longer_domain":   {"email": "a@company.com.evil.com", "email_verified": true},
		"upper_case":      {"email": "a@COMPANY.COM", "email_verified": true},
		"no_name":         {"email": "@company.com", "email_verified": true},
		"no_at":           {"email": "company.com", "email_verified": true},
		"not_verified":    {"email": "a@company.com", "email_verified": false},
		"verified_string": {"email": "a@company.com", "email_verified": "true"},
		"no_email":        {"email_verified": true},
	} {
		t.Run("SC-10/D61_"+name, func(t *testing.T) {
			tok, err := verifyTwice(t, v, token(nil, claims), staff{"company.com"})
			wantClass(t, tok, err, verifier.ErrForbidden)
		})
	}
	t.Run("SC-10/D61_good_address", func(t *testing.T) {
		tok, err := verifyTwice(t, v, token(nil, object{"email": "a@company.com", "email_verified": true}), staff{"company.com"})
		wantAccepted(t, tok, err)
	})
}
