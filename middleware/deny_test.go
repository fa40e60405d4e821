// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// refuse is a handler that refuses with err.
func refuse(err error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { middleware.Deny(w, r, err) }
}

func TestDenyInHandler(t *testing.T) {
	g, _ := newGuard(t)
	typedNil := func() error { var e *verifier.Error; return e }()
	t.Run("GO-10/same_bytes_as_the_middleware", func(t *testing.T) {
		sameAnswer(t, ask(t, behind(t, g, whoami, read), nil, "Bearer ok"), ask(t, behind(t, g, requireInside(read)), nil, "Bearer ok"))
	})
	for _, tc := range []struct {
		name       string
		h          http.HandlerFunc
		status     int
		challenges []string
	}{
		{"SC-10/ErrForbidden", behind(t, g, refuse(verifier.ErrForbidden), read), 403, nil},
		{"SC-10/ErrForbidden_wrapped", behind(t, g, refuse(fmt.Errorf("order 7: %w", verifier.ErrForbidden)), read), 403, nil},
		{"CH-13/scopes_of_the_error_are_added", behind(t, g, refuse(&verifier.Error{Class: verifier.ErrInsufficientScope, Challenge: verifier.Challenge{Scope: []string{"write", "read"}}}), read), 403,
			[]string{`Bearer realm="orders", error="insufficient_scope", error_description="The access token lacks a required scope", scope="read write"`}},
		{"CH-08/what_is_no_scope_is_left_out", behind(t, g, refuse(&verifier.Error{Class: verifier.ErrInsufficientScope, Challenge: verifier.Challenge{Scope: []string{`a"b`, "c d", "", "é", "x"}}})), 403,
			[]string{`Bearer realm="orders", error="insufficient_scope", error_description="The access token lacks a required scope", scope="x"`}},
		{"SE-01/nil_error", behind(t, g, refuse(nil), read), 503, nil},
		{"SE-01/error_without_class", behind(t, g, refuse(errors.New("x")), read), 503, nil},
		{"SE-01/nil_pointer_error", behind(t, g, refuse(typedNil), read), 503, nil},
		{"SE-01/error_that_panics", behind(t, g, refuse(explosive{}), read), 503, nil},
		{"SE-01/K17_no_guard", refuse(verifier.ErrForbidden), 503, nil},
		{"SE-01/K17_no_guard_scope_rule", requireInside(read), 503, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ask(t, tc.h, nil, "Bearer ok~read")
			wants(t, got, tc.status, tc.challenges...)
			if got.body != "" || got.Header["Retry-After"] != nil {
				t.Errorf("body %q, header %v", got.body, got.Header)
			}
		})
	}
	t.Run("GO-10/under_a_planted_token", func(t *testing.T) {
		for _, tok := range []*verifier.Token{{Subject: "u"}, nil} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/", nil)
			requireInside(read)(w, r.WithContext(oauthtest.WithToken(r.Context(), tok)))
			if tok != nil && (w.Code != 403 || w.Header().Get("WWW-Authenticate") != `Bearer error="insufficient_scope", error_description="The access token lacks a required scope", scope="read"`) {
				t.Errorf("with token: %d %q", w.Code, w.Header())
			}
			if tok == nil && (w.Code != 401 || strings.Contains(w.Header().Get("WWW-Authenticate"), "error")) {
				t.Errorf("anonymous: %d %q", w.Code, w.Header())
			}
		}
	})
	t.Run("SE-01/Deny_of_a_route_without_an_error", func(t *testing.T) {
		rt, err := g.Route(read)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []error{nil, typedNil, errors.New("x"), explosive{}} {
			w := httptest.NewRecorder()
			rt.Deny(w, httptest.NewRequest("GET", "/", nil), bad)
			if w.Code != 503 {
				t.Errorf("%T: %d", bad, w.Code)
			}
		}
	})
}

// explosive is an error whose inspection panics.
type explosive struct{}

func (explosive) Error() string { panic("Error") }
func (explosive) Unwrap() error { panic("Unwrap") }
func (explosive) Is(error) bool { panic("Is") }
func (explosive) As(any) bool   { panic("As") }

// bare is a TokenVerifier that is only a function.
type bare func(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error) (*verifier.Token, error)

func (b bare) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, _ ...verifier.Requirement) (*verifier.Token, error) {
	return b(ctx, raw, confirm)
}

// TestFailsClosed: whatever a verifier does that it should not, nothing passes.
func TestFailsClosed(t *testing.T) {
	good := &verifier.Token{Subject: "user-1"}
	bound := &verifier.Token{Subject: "user-1", Confirmation: verifier.Confirmation{CertificateThumbprint: "x"}}
	answer := func(tok *verifier.Token, err error) bare {
		return func(context.Context, string, func(context.Context, *verifier.Token) error) (*verifier.Token, error) {
			return tok, err
		}
	}
	for _, tc := range []struct {
		name   string
		v      bare
		status int
		class  error // of the event the Guard sends, if any
	}{
		{"neither_token_nor_error", answer(nil, nil), 503, verifier.ErrInternal},
		{"error_without_class", answer(nil, errors.New("x")), 503, verifier.ErrInternal},
		{"token_and_error_without_class", answer(good, errors.New("x")), 503, verifier.ErrInternal},
		{"token_and_error", answer(good, verifier.ErrExpired), 401, nil},
		{"nil_pointer_error", answer(good, (*verifier.Error)(nil)), 503, verifier.ErrInternal},
		{"Error_without_class", answer(good, &verifier.Error{Cause: errors.New("x")}), 503, verifier.ErrInternal},
		{"error_that_panics", answer(nil, explosive{}), 503, verifier.ErrInternal},
		{"context_error", answer(nil, context.Canceled), 503, verifier.ErrInternal},
		{"panic", func(context.Context, string, func(context.Context, *verifier.Token) error) (*verifier.Token, error) {
			panic("token ok-secret")
		}, 503, verifier.ErrInternal},
		{"nil_dereference", func(context.Context, string, func(context.Context, *verifier.Token) error) (*verifier.Token, error) {
			var tok *verifier.Token
			return tok, fmt.Errorf("%s", tok.Subject)
		}, 503, verifier.ErrInternal},
		{"bound_token_and_confirm_not_called", answer(bound, nil), 401, verifier.ErrBinding},
		{"nil_token_to_confirm", func(ctx context.Context, _ string, confirm func(context.Context, *verifier.Token) error) (*verifier.Token, error) {
			return good, confirm(ctx, nil)
		}, 503, verifier.ErrInternal},
	} {
		t.Run("SE-01/"+tc.name, func(t *testing.T) {
			var seen events
			g, _ := newGuard(t, func(c *middleware.Config) { c.Verifier, c.OnEvent = tc.v, seen.hook })
			got := ask(t, behind(t, g, func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }), nil, "Bearer ok")
			if got.StatusCode != tc.status || got.body != "" {
				t.Errorf("status %d, want %d; body %q", got.StatusCode, tc.status, got.body)
			}
			list := seen.take(verifier.EventRefused)
			if tc.class == nil && len(list) > 0 || tc.class != nil && (len(list) != 1 || list[0].Class != tc.class) {
				t.Errorf("events %v, want class %v", list, tc.class)
			}
			if len(list) > 0 && tc.name == "panic" && strings.Contains(fmt.Sprint(list[0].Cause), "secret") {
				t.Errorf("the event repeats the value of the panic: %v", list[0].Cause)
			}
		})
	}
	t.Run("SB-05/bound_token_as_Bearer", func(t *testing.T) {
		g, _ := newGuard(t)
		wants(t, ask(t, behind(t, g, whoami, read), nil, "Bearer bound~read"), 401, w12)
	})
}

// TestRules: what a rule can do wrong, and what it means (ER-23).
func TestRules(t *testing.T) {
	for _, tc := range []struct {
		name   string
		check  func(*verifier.Token) error
		status int
	}{
		{"ER-23/unclassified_error_is_forbidden", func(*verifier.Token) error { return errors.New("x") }, 403},
		{"ER-23/panic", func(*verifier.Token) error { panic("x") }, 503},
		{"ER-23/context_error", func(*verifier.Token) error { return context.DeadlineExceeded }, 503},
		{"SC-10/ErrForbidden", func(*verifier.Token) error { return verifier.ErrForbidden }, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, _ := newGuard(t)
			r := &rule{check: tc.check}
			first := ask(t, behind(t, g, whoami, r), nil, "Bearer ok")
			wants(t, first, tc.status)
			t.Run("reused", func(t *testing.T) {
				sameAnswer(t, first, ask(t, behind(t, g, behind(t, g, whoami, r)), nil, "Bearer ok"))
			})
		})
	}
	t.Run("EO-06/no_rule_sees_a_bad_token", func(t *testing.T) {
		g, s := newGuard(t)
		calls := 0
		spy := &rule{check: func(*verifier.Token) error { calls++; return nil }}
		s.errs = map[string]error{"old": verifier.ErrExpired}
		h := behind(t, g, whoami, spy)
		for _, line := range []string{"Bearer bad", "Bearer old", "Bearer a b", "Basic x", "Bearer bound"} {
			ask(t, h, nil, line)
		}
		if calls != 0 {
			t.Errorf("the rule ran %d times", calls)
		}
		// Once for the wrapped verifier, once for the Guard that does not rely on it.
		if ask(t, h, nil, "Bearer ok"); calls != 2 {
			t.Errorf("the rule ran %d times for a good token", calls)
		}
	})
	for _, order := range []struct {
		name string
		reqs []verifier.Requirement
	}{
		{"scope_first", []verifier.Requirement{read, stepUp}},
		{"step_up_first", []verifier.Requirement{stepUp, read}},
	} {
		t.Run("EO-07/"+order.name, func(t *testing.T) {
			g, _ := newGuard(t)
			got := ask(t, behind(t, g, whoami, order.reqs...), nil, "Bearer ok")
			if got.StatusCode != 401 || !strings.Contains(got.Header.Get("WWW-Authenticate"), `error="insufficient_user_authentication"`) {
				t.Errorf("%d %q", got.StatusCode, got.challenges())
			}
		})
	}
}

func TestEvents(t *testing.T) {
	var seen events
	hook := func(c *middleware.Config) { c.OnEvent = seen.hook }
	g, s := newGuard(t, hook)
	s.errs = map[string]error{"old": &verifier.Error{Class: verifier.ErrExpired}}
	tls, _ := newGuard(t, hook, func(c *middleware.Config) { c.RequireTLS = true })
	for _, tc := range []struct {
		name  string
		h     http.HandlerFunc
		line  string
		class error
	}{
		{"no_credentials", behind(t, g, whoami), "Basic x", verifier.ErrNoCredentials},
		{"malformed", behind(t, g, whoami), "Bearer a b", verifier.ErrInvalidRequest},
		{"without_TLS", behind(t, tls, whoami), "Bearer ok", verifier.ErrForbidden},
		{"rule_on_a_token_verified_before", behind(t, g, behind(t, g, whoami, read)), "Bearer ok", verifier.ErrInsufficientScope},
		{"refusal_in_the_handler", behind(t, g, refuse(verifier.ErrForbidden)), "Bearer ok", verifier.ErrForbidden},
		{"refusal_of_the_verifier_is_its_own_to_report", behind(t, g, whoami), "Bearer old", nil},
		{"rule_refused_by_the_verifier_likewise", behind(t, g, whoami, read), "Bearer ok", nil},
		{"anonymous_is_no_refusal", optional(t, g, whoami), "Basic x", nil},
		{"pass", behind(t, g, behind(t, g, whoami, read)), "Bearer ok~read", nil},
	} {
		t.Run("SE-08/"+tc.name, func(t *testing.T) {
			ask(t, tc.h, nil, tc.line)
			list := seen.take(verifier.EventRefused)
			if tc.class == nil && len(list) != 0 || tc.class != nil && (len(list) != 1 || list[0].Class != tc.class) {
				t.Errorf("events %v, want one of class %v", list, tc.class)
			}
		})
	}
	t.Run("SE-01/panicking_hook_denies", func(t *testing.T) {
		g, _ := newGuard(t, func(c *middleware.Config) { c.OnEvent = func(verifier.Event) { panic("hook") } })
		for _, h := range []http.HandlerFunc{behind(t, g, whoami, read), behind(t, g, refuse(verifier.ErrForbidden))} {
			for _, line := range []string{"Basic x", "Bearer a b", "Bearer ok~read"} {
				got := ask(t, h, nil, line)
				if got.StatusCode != 503 && got.body != "user-1" {
					t.Errorf("%s: status %d, body %q", line, got.StatusCode, got.body)
				}
			}
		}
	})
	t.Run("SE-02/nothing_of_the_credentials_in_events_or_logs", func(t *testing.T) {
		const canary = "Y2FuYXJ5LTQ3YjE"
		var log bytes.Buffer
		write := verifier.LogEvents(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		g, s := newGuard(t, func(c *middleware.Config) { c.OnEvent = write })
		s.errs = map[string]error{canary: errors.New("x")}
		h := behind(t, g, behind(t, g, whoami, scopes.All("other")), scopes.All())
		for _, line := range []string{"Bearer " + canary, "Bearer " + canary + " x", canary, "Basic " + canary, "Bearer ok~" + canary, `Bearer "` + canary} {
			got := ask(t, h, func(r *http.Request) { r.URL.RawQuery = "access_token=" + canary; r.Header.Set("DPoP", canary) }, line)
			if strings.Contains(fmt.Sprint(got.Header, got.body), canary) {
				t.Errorf("%s: the answer repeats it: %v %q", line, got.Header, got.body)
			}
		}
		if log.Len() == 0 || strings.Contains(log.String(), canary) {
			t.Errorf("log: %s", log.String())
		}
	})
}
