// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// emptyPanic panics with nil, which recover alone does not tell from no panic where
// GODEBUG asks for the behaviour of old.
func emptyPanic() { panic(nil) }

// hollow is an error whose inspection panics with nil.
type hollow struct{}

func (hollow) Error() string { return "hollow" }
func (hollow) Unwrap() error { emptyPanic(); return nil }

// warner is a rule that panics when it is asked for warnings.
type warner struct{ rule }

func (*warner) Warnings() []string { emptyPanic(); return nil }

// TestEmptyPanic: a panic with nil is a panic wherever foreign code runs.
func TestEmptyPanic(t *testing.T) {
	for _, setting := range []string{"panicnil=0", "panicnil=1"} {
		t.Run("SE-01/"+setting, func(t *testing.T) {
			t.Setenv("GODEBUG", setting)
			emptyPanics(t)
		})
	}
}

func emptyPanics(t *testing.T) {
	call := func(*middleware.Config) {}
	tell := func(c *middleware.Config) { c.OnEvent = func(verifier.Event) { emptyPanic() } }
	for _, tc := range []struct {
		name string
		edit func(*middleware.Config)
		h    func(w http.ResponseWriter, r *http.Request)
		req  verifier.Requirement
		line string
	}{
		{"Verifier", func(c *middleware.Config) {
			c.Verifier = bare(func(context.Context, string, func(context.Context, *verifier.Token) error) (*verifier.Token, error) {
				emptyPanic()
				return nil, nil
			})
		}, nil, read, "Bearer ok~read"},
		{"error_of_the_Verifier", func(c *middleware.Config) { c.Verifier = &script{errs: map[string]error{"x": hollow{}}} }, nil, read, "Bearer x"},
		{"Requirement_Check", call, nil, &rule{check: func(*verifier.Token) error { emptyPanic(); return nil }}, "Bearer ok"},
		{"error_of_a_handler", call, refuse(hollow{}), scopes.All(), "Bearer ok"},
		{"Body", func(c *middleware.Config) {
			c.Body = func(*middleware.Denial) (string, []byte) { emptyPanic(); return "", nil }
		}, nil, read, "Basic x"},
		{"OnEvent", tell, nil, read, "Basic x"},
		{"OnEvent_for_a_handler", tell, refuse(verifier.ErrForbidden), scopes.All(), "Bearer ok"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, _ := newGuard(t, tc.edit)
			h := tc.h
			if h == nil {
				h = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the handler ran") }
			}
			got := ask(t, behind(t, g, h, tc.req), nil, tc.line)
			wants(t, got, 503)
			if got.body != "" {
				t.Errorf("body %q", got.body)
			}
		})
	}
	t.Run("error_to_Deny_of_a_route", func(t *testing.T) {
		g, _ := newGuard(t)
		rt, err := g.Route()
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if rt.Deny(w, httptest.NewRequest("GET", "/", nil), hollow{}); w.Code != 503 {
			t.Errorf("status %d", w.Code)
		}
	})
	for name, req := range map[string]verifier.Requirement{
		"Requirement_Challenge": &rule{challenge: func() (verifier.Challenge, error) { emptyPanic(); return verifier.Challenge{}, nil }},
		"Requirement_Warnings":  &warner{},
	} {
		t.Run(name, func(t *testing.T) {
			g, _ := newGuard(t)
			if rt, err := g.Route(req); rt != nil || verifier.ClassOf(err) != verifier.ErrConfig {
				t.Errorf("%v, %v; want a configuration error", rt, err)
			}
		})
	}
	t.Run("OnEvent_at_construction", func(t *testing.T) {
		cfg := middleware.Config{Verifier: new(script), Realm: strings.Repeat("r", 2048)}
		tell(&cfg)
		if g, err := middleware.New(cfg); g != nil || verifier.ClassOf(err) != verifier.ErrConfig {
			t.Errorf("%v, %v; want a configuration error", g, err)
		}
	})
}

// wrapped is a TokenVerifier around another one.
type wrapped struct {
	middleware.TokenVerifier
	before func(ctx context.Context, raw string, reqs []verifier.Requirement) []verifier.Requirement
}

func (v wrapped) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	return v.TokenVerifier.VerifyBound(ctx, raw, confirm, v.before(ctx, raw, reqs)...)
}

// TestRulesAreTheRoutesOwn: nobody who holds a slice of rules can change those of
// a route or of another request.
func TestRulesAreTheRoutesOwn(t *testing.T) {
	t.Run("GO-03/Route_copies_the_rules", func(t *testing.T) {
		g, _ := newGuard(t)
		reqs := []verifier.Requirement{read}
		h := behind(t, g, whoami, reqs...)
		reqs[0] = scopes.All()
		wants(t, ask(t, h, nil, "Bearer ok"), 403, w10)
	})
	t.Run("GO-03/SE-10_verifier_that_adds_a_rule_to_each_request", func(t *testing.T) {
		var both sync.WaitGroup
		both.Add(2)
		mine := func(_ context.Context, raw string, reqs []verifier.Requirement) []verifier.Requirement {
			reqs = append(reqs, &rule{check: func(tok *verifier.Token) error {
				if raw != "ok~"+tok.Scopes[0] {
					return errors.New("the rule of another request")
				}
				return nil
			}})
			both.Done()
			both.Wait() // now each request has added its rule
			return reqs
		}
		g, _ := newGuard(t, func(c *middleware.Config) { c.Verifier = wrapped{c.Verifier, mine} })
		reqs := slices.Repeat([]verifier.Requirement{scopes.All()}, 17) // a copy of 17 has room for one more
		conn := listen(t, behind(t, g, whoami, reqs...))
		var wg sync.WaitGroup
		for _, line := range []string{"Bearer ok~a", "Bearer ok~b"} {
			wg.Go(func() {
				if got := send(t, conn, nil, line); got.StatusCode != 200 || got.body != "user-1" {
					t.Errorf("%s: status %d, body %q", line, got.StatusCode, got.body)
				}
			})
		}
		wg.Wait()
	})
}

// TestVerifierChangesTheRequest: what was verified is what was sent, whatever a
// wrapped verifier does to the request meanwhile.
func TestVerifierChangesTheRequest(t *testing.T) {
	type key struct{}
	for _, tc := range []struct {
		name   string
		change func(*http.Request)
		status int // of the guard further in
		tokens []string
	}{
		{"SE-01/line_removed", func(r *http.Request) { r.Header.Del("Authorization") }, 401, []string{"ok~read"}},
		{"SE-01/line_emptied", func(r *http.Request) { r.Header["Authorization"] = []string{} }, 401, []string{"ok~read"}},
		{"SE-01/line_replaced", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ok~other") }, 403, []string{"ok~read", "ok~other"}},
		{"SE-01/line_changed_in_place", func(r *http.Request) { r.Header["Authorization"][0] = "Bearer bad" }, 401, []string{"ok~read", "bad"}},
		{"BT-05/line_added", func(r *http.Request) { r.Header.Add("Authorization", "Bearer ok~other") }, 400, []string{"ok~read"}},
		{"SE-01/DPoP_added", func(r *http.Request) { r.Header.Set("DPoP", "p") }, 200, []string{"ok~read", "ok~read"}},
		{"SE-01/other_method", func(r *http.Request) { r.Method = "POST" }, 200, []string{"ok~read", "ok~read"}},
		{"SE-01/other_host", func(r *http.Request) { r.Host = "other.test" }, 200, []string{"ok~read", "ok~read"}},
		{"SE-01/other_target", func(r *http.Request) { r.RequestURI = "/other" }, 200, []string{"ok~read", "ok~read"}},
		{"BT-01/nothing", func(*http.Request) {}, 200, []string{"ok~read"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			change := func(ctx context.Context, _ string, reqs []verifier.Requirement) []verifier.Requirement {
				tc.change(ctx.Value(key{}).(*http.Request))
				return reqs
			}
			g, s := newGuard(t, func(c *middleware.Config) { c.Verifier = wrapped{c.Verifier, change} })
			inner, ran := behind(t, g, whoami, read), false
			h := behind(t, g, func(w http.ResponseWriter, r *http.Request) {
				tok, ok := middleware.TokenFrom(r.Context())
				ran = ok && slices.Equal(tok.Scopes, []string{"read"})
				inner(w, r)
			})
			w, r := httptest.NewRecorder(), new(http.Request)
			*r = *httptest.NewRequest("GET", "/", nil).WithContext(context.WithValue(t.Context(), key{}, r))
			r.Header.Set("Authorization", "Bearer ok~read")
			h(w, r)
			if !ran || w.Code != tc.status || !slices.Equal(s.tokens(), tc.tokens) {
				t.Errorf("outer handler with the token: %v; status %d, want %d; asked about %q, want %q", ran, w.Code, tc.status, s.tokens(), tc.tokens)
			}
		})
	}
}

// TestErrorsOfCheck: whatever a verifier returns, the caller of Check gets an Error.
func TestErrorsOfCheck(t *testing.T) {
	known := &verifier.Error{Class: verifier.ErrMetadata, RetryAfter: 7}
	g, s := newGuard(t)
	s.errs = map[string]error{
		"sentinel": verifier.ErrExpired, "wrapped": fmt.Errorf("w: %w", verifier.ErrRevoked), "unknown": errors.New("x"),
		"Error": known, "wrapped-Error": fmt.Errorf("w: %w", known), "panicking": explosive{},
	}
	rt, err := g.Route(read)
	if err != nil {
		t.Fatal(err)
	}
	for line, class := range map[string]error{
		"Bearer sentinel": verifier.ErrExpired, "Bearer wrapped": verifier.ErrRevoked, "Bearer unknown": verifier.ErrInternal,
		"Bearer Error": verifier.ErrMetadata, "Bearer wrapped-Error": verifier.ErrMetadata, "Bearer panicking": verifier.ErrInternal,
		"Bearer bad": verifier.ErrMalformedToken, "Bearer ok": verifier.ErrInsufficientScope, "Bearer a b": verifier.ErrInvalidRequest,
		"Bearer bound": verifier.ErrBinding, "Basic x": verifier.ErrNoCredentials,
	} {
		t.Run("ER-23/"+strings.ReplaceAll(line, " ", "_"), func(t *testing.T) {
			for _, check := range []func(http.ResponseWriter, *http.Request) (*http.Request, error){rt.Check, rt.CheckOptional} {
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Authorization", line)
				_, err := check(httptest.NewRecorder(), r)
				e, ok := err.(*verifier.Error)
				if !ok || e.Class != class || !errors.Is(err, class) {
					t.Fatalf("%T of class %v, want %v", err, verifier.ClassOf(err), class)
				}
				if class == verifier.ErrMetadata && e.RetryAfter != known.RetryAfter {
					t.Errorf("RetryAfter %v is lost", e.RetryAfter)
				}
			}
		})
	}
}

// filtering drops scope rules for one client, in place; forgetting drops all rules.
type (
	filtering  struct{ middleware.TokenVerifier }
	forgetting struct{ middleware.TokenVerifier }
)

func (f filtering) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	if raw == "ok~trusted" {
		kept := reqs[:0]
		for _, r := range reqs {
			if _, isScope := r.(scopes.Rule); !isScope {
				kept = append(kept, r)
			}
		}
		reqs = kept
	}
	return f.TokenVerifier.VerifyBound(ctx, raw, confirm, reqs...)
}

func (f forgetting) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, _ ...verifier.Requirement) (*verifier.Token, error) {
	return f.TokenVerifier.VerifyBound(ctx, raw, confirm)
}

func TestVerifierThatDropsRules(t *testing.T) {
	t.Run("GO-03/rules_filtered_in_place", func(t *testing.T) {
		g, _ := newGuard(t, func(c *middleware.Config) { c.Verifier = filtering{c.Verifier} })
		h := behind(t, g, whoami, read, &rule{})
		wants(t, ask(t, h, nil, "Bearer ok~nothing"), 403, w10)
		ask(t, h, nil, "Bearer ok~trusted")
		wants(t, ask(t, h, nil, "Bearer ok~nothing"), 403, w10)
	})
	t.Run("SE-01/rules_forgotten", func(t *testing.T) {
		e := &events{}
		g, _ := newGuard(t, func(c *middleware.Config) { c.Verifier, c.OnEvent = forgetting{c.Verifier}, e.hook })
		wants(t, ask(t, behind(t, g, whoami, read), nil, "Bearer ok~nothing"), 403, w10)
		if got := e.take(verifier.EventRefused); len(got) != 1 || got[0].Class != verifier.ErrInsufficientScope {
			t.Errorf("events %v", got)
		}
	})
}

// none is a rule that is a nil slice.
type none []string

func (none) Check(*verifier.Token) error { return nil }

func TestErrorsWithoutValue(t *testing.T) {
	var typedNil *url.Error
	t.Run("SE-01/cause_in_Deny", func(t *testing.T) {
		g, _ := newGuard(t)
		h := behind(t, g, func(w http.ResponseWriter, r *http.Request) {
			middleware.Deny(w, r, &verifier.Error{Class: verifier.ErrInvalidRequest, Cause: typedNil})
		})
		if got := ask(t, h, nil, "Bearer ok"); got.StatusCode != 400 {
			t.Errorf("status %d", got.StatusCode)
		}
	})
	t.Run("SE-01/challenge_of_a_nested_guard", func(t *testing.T) {
		asked := 0
		r := &rule{
			check: func(*verifier.Token) error { return verifier.ErrForbidden },
			challenge: func() (verifier.Challenge, error) {
				if asked++; asked == 1 {
					return verifier.Challenge{}, nil
				}
				return verifier.Challenge{}, typedNil
			},
		}
		g, _ := newGuard(t)
		if got := ask(t, behind(t, g, behind(t, g, whoami, r)), nil, "Bearer ok"); got.StatusCode != 503 {
			t.Errorf("status %d", got.StatusCode)
		}
	})
	t.Run("GO-02/nil_slice_is_no_rule", func(t *testing.T) {
		g, _ := newGuard(t)
		if _, err := g.Route(none(nil)); !errors.Is(err, verifier.ErrConfig) {
			t.Errorf("registered: %v", err)
		}
		if _, err := g.Route(none{}); err != nil {
			t.Error(err)
		}
	})
}

func TestBodyBehindACompressingLayer(t *testing.T) {
	t.Run("HT-09/length_is_left_to_a_layer_that_encodes", func(t *testing.T) {
		g, _ := newGuard(t, func(c *middleware.Config) { c.Body = middleware.ProblemJSON })
		h := behind(t, g, whoami)
		for encoding, known := range map[string]bool{"": true, "gzip": false} {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
			if encoding != "" {
				w.Header().Set("Content-Encoding", encoding)
			}
			h.ServeHTTP(w, r)
			length := w.Header().Get("Content-Length")
			if w.Body.Len() == 0 || (length == fmt.Sprint(w.Body.Len())) != known || (length == "") == known {
				t.Errorf("encoding %q: Content-Length %q for %d bytes", encoding, length, w.Body.Len())
			}
		}
	})
}
