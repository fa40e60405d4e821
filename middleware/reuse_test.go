// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// between is a handler that changes the request before it goes on to next.
func between(next http.Handler, change func(*http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r2 := r.Clone(r.Context())
		change(r2)
		next.ServeHTTP(w, r2)
	}
}

// TestReuse: a Guard verifies a token once, and again when anything the result
// depends on is no longer the same.
func TestReuse(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*http.Request)
		calls  int
	}{
		{"unchanged", func(*http.Request) {}, 1},
		{"path_below_a_stripped_prefix", func(r *http.Request) { r.URL.Path = "/stripped" }, 1},
		{"other_header", func(r *http.Request) { r.Header.Set("X-Request-Id", "1") }, 1},
		{"other_token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ok~read~x") }, 2},
		{"other_spelling", func(r *http.Request) { r.Header.Set("Authorization", "bearer ok~read") }, 2},
		{"token_changed_in_place", func(r *http.Request) { r.Header["Authorization"][0] = "Bearer ok~read~y" }, 2},
		{"DPoP_line_added", func(r *http.Request) { r.Header.Add("DPoP", "z") }, 2},
		{"DPoP_line_removed", func(r *http.Request) { r.Header.Del("DPoP") }, 2},
		{"DPoP_line_changed_in_place", func(r *http.Request) { r.Header["Dpop"][0] = "z" }, 2},
		{"other_method", func(r *http.Request) { r.Method = "POST" }, 2},
		{"other_host", func(r *http.Request) { r.Host = "other.test" }, 2},
		{"other_target", func(r *http.Request) { r.RequestURI = "/other" }, 2},
	} {
		t.Run("K19/"+tc.name, func(t *testing.T) {
			g, s := newGuard(t)
			inner := behind(t, g, whoami, read)
			// Changing the header in place is what a careless layer does: no clone here.
			layer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tc.change(r); inner(w, r) })
			got := ask(t, behind(t, g, layer.ServeHTTP), func(r *http.Request) { r.Header.Set("DPoP", "p") }, "Bearer ok~read")
			if got.StatusCode != 200 || got.body != "user-1" || s.calls() != tc.calls {
				t.Errorf("status %d, body %q, %d verifications, want %d", got.StatusCode, got.body, s.calls(), tc.calls)
			}
		})
	}
	t.Run("BT-05/second_line_added_on_the_way", func(t *testing.T) {
		g, _ := newGuard(t)
		layer := between(behind(t, g, whoami, read), func(r *http.Request) { r.Header.Add("Authorization", "Bearer ok~read") })
		wants(t, ask(t, behind(t, g, layer), nil, "Bearer ok~read"), 400, w05)
	})
	t.Run("BT-20/line_removed_on_the_way", func(t *testing.T) {
		g, _ := newGuard(t)
		layer := between(behind(t, g, whoami, read), func(r *http.Request) { r.Header.Del("Authorization") })
		wants(t, ask(t, behind(t, g, layer), nil, "Bearer ok~read"), 401, w01)
	})
}

// TestReuseEnds: a handler that goes on for long, and asks nested guards now and
// then, does not live on the first result for ever.
func TestReuseEnds(t *testing.T) {
	const expiry = 90 * time.Second // with the leeway
	// dispatch calls a nested guard after each of the waits, all with the request
	// that the outer guard passed on.
	type layer = func(http.HandlerFunc) http.HandlerFunc
	dispatch := func(waits ...time.Duration) layer {
		return func(inner http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				var last *httptest.ResponseRecorder
				for _, wait := range waits {
					time.Sleep(wait)
					last = httptest.NewRecorder()
					inner(last, r)
				}
				w.WriteHeader(last.Code)
			}
		}
	}
	for _, tc := range []struct {
		name          string
		layers        []layer
		calls, status int
	}{
		{"BT-20/at_once", []layer{dispatch(0)}, 1, 200},
		{"BT-20/after_5_s", []layer{dispatch(0, 5*time.Second)}, 1, 200},
		{"BT-20/after_more_than_5_s", []layer{dispatch(0, 5*time.Second+1)}, 2, 200},
		{"BT-20/after_6_s", []layer{dispatch(0, 6*time.Second)}, 2, 200},
		{"BT-20/reuse_does_not_prolong", []layer{dispatch(4 * time.Second), dispatch(4 * time.Second)}, 2, 200},
		{"JV-22/just_before_expiry", []layer{dispatch(0, 6*time.Second, expiry-6*time.Second-1)}, 3, 200},
		{"JV-22/expired", []layer{dispatch(0, 6*time.Second, expiry-6*time.Second)}, 3, 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t)
				v, err := verifier.New(as.VerifierConfig("https://api.test"))
				if err != nil {
					t.Fatal(err)
				}
				calls := 0
				g, _ := newGuard(t, func(c *middleware.Config) {
					c.Verifier = wrapped{v, func(_ context.Context, _ string, reqs []verifier.Requirement) []verifier.Requirement {
						calls++
						return reqs
					}}
				})
				h := behind(t, g, whoami)
				for _, l := range tc.layers {
					h = behind(t, g, l(h))
				}
				w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Authorization", "Bearer "+as.Token(oauthtest.ExpiresIn(time.Minute)))
				if h(w, r); w.Code != tc.status || calls != tc.calls {
					t.Errorf("status %d after %d verifications, want %d and %d", w.Code, calls, tc.status, tc.calls)
				}
			})
		})
	}
}

func TestOtherGuards(t *testing.T) {
	t.Run("K18/token_of_the_outer_guard_only", func(t *testing.T) {
		outer, _ := newGuard(t)
		inner, s := newGuard(t)
		s.errs = map[string]error{"ok~read": &verifier.Error{Class: verifier.ErrIssuer}}
		got := ask(t, behind(t, outer, behind(t, inner, whoami, read)), nil, "Bearer ok~read")
		wants(t, got, 401, `Bearer realm="orders", error="invalid_token", error_description="The access token is not valid for this resource", scope="read"`)
	})
	t.Run("K18/back_to_the_first_guard", func(t *testing.T) {
		a, sa := newGuard(t)
		b, sb := newGuard(t)
		got := ask(t, behind(t, a, behind(t, b, behind(t, a, whoami, read))), nil, "Bearer ok~read")
		if got.StatusCode != 200 || sa.calls() != 2 || sb.calls() != 1 {
			t.Errorf("status %d, %d and %d verifications", got.StatusCode, sa.calls(), sb.calls())
		}
	})
	t.Run("SE-01/planted_token_is_for_handlers_only", func(t *testing.T) {
		g, s := newGuard(t)
		plant := func(h http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				tok := &verifier.Token{Subject: "planted", Scopes: []string{"read"}}
				h.ServeHTTP(w, r.WithContext(oauthtest.WithToken(r.Context(), tok)))
			}
		}
		wants(t, ask(t, plant(behind(t, g, whoami, read)), nil), 401, w01)
		wants(t, ask(t, plant(behind(t, g, whoami, read)), nil, "Bearer ok"), 403, w10)
		if got := ask(t, plant(behind(t, g, whoami, read)), nil, "Bearer ok~read"); got.body != "user-1" || s.calls() != 2 {
			t.Errorf("body %q, %d verifications", got.body, s.calls())
		}
		var zero *middleware.Guard
		wants(t, ask(t, plant(behind(t, zero, whoami)), nil), 503)
	})
	t.Run("GO-06/K22_foreign_context_values_change_nothing", func(t *testing.T) {
		g, _ := newGuard(t)
		type key struct{}
		layer := func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			for _, k := range []any{"user", "token", key{}} {
				ctx = context.WithValue(ctx, k, &verifier.Token{Subject: "forged"})
			}
			whoami(w, r.WithContext(ctx))
		}
		if got := ask(t, behind(t, g, layer), nil, "Bearer ok"); got.body != "user-1" {
			t.Errorf("body %q", got.body)
		}
	})
}

// TestNestedScopes: each guard answers for its own rules and lists what the
// request met on the way in (CH-13).
func TestNestedScopes(t *testing.T) {
	g, _ := newGuard(t)
	nest := func(h http.HandlerFunc, rules ...verifier.Requirement) http.HandlerFunc {
		for i := len(rules) - 1; i >= 0; i-- {
			h = behind(t, g, h, rules[i])
		}
		return h
	}
	lacks := func(scope string) string {
		return `Bearer realm="orders", error="insufficient_scope", error_description="The access token lacks a required scope", scope="` + scope + `"`
	}
	for _, tc := range []struct {
		name   string
		h      http.HandlerFunc
		bearer string
		want   string
	}{
		{"CH-13/outer_fails", nest(whoami, scopes.All("a"), scopes.All("b")), "Bearer ok~b", lacks("a")},
		{"CH-13/inner_fails", nest(whoami, scopes.All("a"), scopes.All("b")), "Bearer ok~a", lacks("a b")},
		{"CH-13/outer_first_without_duplicates", nest(whoami, scopes.All("z"), scopes.All("b", "z", "a")), "Bearer ok~z", lacks("z b a")},
		{"CH-13/three_deep", nest(whoami, scopes.All("a"), scopes.All(), scopes.Any("b", "c"), scopes.All("d")), "Bearer ok~a~c", lacks("a b d")},
		{"CH-13/rules_of_one_call_in_their_order", behind(t, g, whoami, scopes.All("b"), scopes.All("a"), scopes.All("b")), "Bearer ok", lacks("b a")},
		{"CH-13/alternatives", behind(t, g, whoami, scopes.AnyOf(scopes.All("a"), scopes.All("b", "c"))), "Bearer ok~b", lacks("a")},
		{"CH-13/rule_in_the_handler", nest(requireInside(scopes.All("c")), scopes.All("a"), scopes.All("b")), "Bearer ok~a~b", lacks("a b c")},
		{"EO-07/group_answers_before_route", nest(whoami, scopes.All("a"), stepUp), "Bearer ok", lacks("a")},
		{"CH-14/no_scope_rule_no_scope", behind(t, g, whoami), "Bearer bad", `Bearer realm="orders", error="invalid_token", error_description="The access token is malformed"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ask(t, tc.h, nil, tc.bearer)
			if list := got.challenges(); len(list) != 1 || list[0] != tc.want {
				t.Errorf("got  %q\nwant %q", list, tc.want)
			}
		})
	}
	t.Run("CH-13/scopes_of_another_guard_count_too", func(t *testing.T) {
		other, _ := newGuard(t)
		got := ask(t, behind(t, other, behind(t, g, whoami, scopes.All("b")), scopes.All("a")), nil, "Bearer ok~a")
		wants(t, got, 403, lacks("a b"))
	})
	// Both routes extend the scopes of the group while the other request is under way.
	t.Run("CH-13/routes_do_not_mix", func(t *testing.T) {
		var both sync.WaitGroup
		both.Add(2)
		together := func(w http.ResponseWriter, r *http.Request) {
			both.Done()
			both.Wait()
			middleware.Deny(w, r, verifier.ErrInsufficientScope)
		}
		mux := http.NewServeMux()
		mux.Handle("/left", behind(t, g, together, scopes.All("left")))
		mux.Handle("/right", behind(t, g, together, scopes.All("right")))
		conn := listen(t, behind(t, g, mux.ServeHTTP, scopes.All("g1", "g2", "g3")))
		var wg sync.WaitGroup
		for _, name := range []string{"left", "right"} {
			wg.Go(func() {
				got := send(t, conn, func(r *http.Request) { r.URL.Path = "/" + name }, "Bearer ok~g1~g2~g3~left~right")
				wants(t, got, 403, lacks("g1 g2 g3 "+name))
			})
		}
		wg.Wait()
	})
}

// stepUp stands for a rule about the strength of authentication.
var stepUp = &rule{check: func(*verifier.Token) error { return verifier.ErrStepUp }}

// requireInside is a handler that checks a rule itself.
func requireInside(req verifier.Requirement) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tok, _ := middleware.TokenFrom(r.Context())
		if err := tok.Require(req); err != nil {
			middleware.Deny(w, r, err)
			return
		}
		whoami(w, r)
	}
}

func TestOptional(t *testing.T) {
	g, s := newGuard(t)
	open := optional(t, g, whoami)
	for _, tc := range []struct {
		name   string
		lines  []string
		status int
		body   string
	}{
		{"HT-12/K14_no_credentials", nil, 200, "anonymous"},
		{"HT-12/other_scheme", []string{"Basic eDp5"}, 200, "anonymous"},
		{"HT-12/good_token", []string{"Bearer ok"}, 200, "user-1"},
		{"HT-12/bad_token", []string{"Bearer bad"}, 401, ""},
		{"HT-12/malformed", []string{"Bearer a b"}, 400, ""},
		{"HT-12/two_lines", []string{"Bearer ok", "Bearer ok"}, 400, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ask(t, open, nil, tc.lines...); got.StatusCode != tc.status || got.body != tc.body {
				t.Errorf("status %d, body %q; want %d, %q", got.StatusCode, got.body, tc.status, tc.body)
			}
		})
	}
	t.Run("HT-12/expired_token_is_not_anonymous", func(t *testing.T) {
		s.errs = map[string]error{"old": &verifier.Error{Class: verifier.ErrExpired}}
		wants(t, ask(t, open, nil, "Bearer old"), 401, `Bearer realm="orders", error="invalid_token", error_description="The access token has expired"`)
	})
	t.Run("HT-12/K16_anonymous_meets_no_rule_inside", func(t *testing.T) {
		wants(t, ask(t, optional(t, g, behind(t, g, whoami, read)), nil), 401, w01)
		wants(t, ask(t, optional(t, g, behind(t, g, whoami)), nil), 401, `Bearer realm="orders"`)
	})
	t.Run("HT-12/K16_anonymous_meets_no_rule_in_the_handler", func(t *testing.T) {
		got := ask(t, optional(t, g, requireInside(read)), nil)
		if got.StatusCode != 401 || len(got.challenges()) != 1 || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %q", got.StatusCode, got.challenges())
		}
	})
	t.Run("HT-12/anonymous_meets_no_rule_of_its_own_route", func(t *testing.T) {
		rt, err := g.Route(read)
		if err != nil {
			t.Fatal(err)
		}
		wants(t, ask(t, guarded(rt, rt.CheckOptional, whoami), nil), 401, w01)
	})
	t.Run("HT-12/token_of_an_outer_guard_is_reused", func(t *testing.T) {
		before := s.calls()
		if got := ask(t, behind(t, g, optional(t, g, whoami)), nil, "Bearer ok"); got.body != "user-1" || s.calls() != before+1 {
			t.Errorf("body %q, %d verifications", got.body, s.calls()-before)
		}
	})
	t.Run("HT-12/anonymous_inside_forgets_the_token_outside", func(t *testing.T) {
		layer := between(optional(t, g, whoami), func(r *http.Request) { r.Header.Del("Authorization") })
		if got := ask(t, behind(t, g, layer), nil, "Bearer ok"); got.body != "anonymous" {
			t.Errorf("body %q", got.body)
		}
	})
}

func TestContext(t *testing.T) {
	g, _ := newGuard(t)
	state := func(r *http.Request) string {
		tok, ok := middleware.TokenFrom(r.Context())
		if (tok != nil) != ok {
			t.Errorf("TokenFrom: %v, %v", tok, ok)
		}
		return fmt.Sprint(ok, " ", middleware.Guarded(r.Context()))
	}
	show := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, state(r)) }
	for _, tc := range []struct {
		name  string
		h     http.HandlerFunc
		lines []string
		want  string
	}{
		{"GO-06/no_guard", show, []string{"Bearer ok"}, "false false"},
		{"GO-06/anonymous", optional(t, g, show), nil, "false true"},
		{"GO-06/token", optional(t, g, show), []string{"Bearer ok"}, "true true"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ask(t, tc.h, nil, tc.lines...); got.body != tc.want {
				t.Errorf("token and guarded: %s, want %s", got.body, tc.want)
			}
		})
	}
	t.Run("GO-05/no_principal_on_failure", func(t *testing.T) {
		rt, err := g.Route(read)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"Bearer bad", "Bearer ok", "Bearer a b", "Basic x"} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", line)
			if passed, err := rt.Check(httptest.NewRecorder(), r); passed != nil || err == nil || state(r) != "false false" {
				t.Errorf("%s: %v, %v, %s", line, passed, err, state(r))
			}
		}
	})
	t.Run("GO-03/K24_parallel_requests_do_not_mix", func(t *testing.T) {
		echo := func(w http.ResponseWriter, r *http.Request) {
			tok, _ := middleware.TokenFrom(r.Context())
			fmt.Fprint(w, tok.Scopes)
		}
		conn := listen(t, behind(t, g, behind(t, g, echo, scopes.All("x"))))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if got := send(t, conn, nil, fmt.Sprintf("Bearer ok~x~s%d", i)); got.body != fmt.Sprintf("[x s%d]", i) {
					t.Errorf("request %d: %s", i, got.body)
				}
			})
		}
		wg.Wait()
	})
}
