// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// TestAnswersAreTheirOwn: what one request does to its answer reaches no other.
func TestAnswersAreTheirOwn(t *testing.T) {
	g, s := newGuard(t)
	s.errs = map[string]error{"down": verifier.ErrMetadata}
	h := behind(t, g, whoami, read)
	once := func(line string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = []string{line}
		h(w, r)
		return w
	}
	for _, line := range []string{"Basic x", "Bearer a b", "Bearer bad", "Bearer ok", "Bearer down"} {
		t.Run("GO-03/header_changed_in_place_"+line, func(t *testing.T) {
			first := once(line)
			want := fmt.Sprint(first.Header())
			for name, values := range first.Header() {
				values[0] = "changed"
				first.Header()[name] = append(values, "more")
			}
			if got := fmt.Sprint(once(line).Header()); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
		t.Run("GO-03/header_unchanged_by_the_next_answer_"+line, func(t *testing.T) {
			first := once(line)
			want := fmt.Sprint(first.Header())
			for _, other := range []string{"Basic x", "Bearer bad", "Bearer ok", "Bearer down"} {
				for _, values := range once(other).Header() {
					values[0] = "changed"
				}
			}
			if got := fmt.Sprint(first.Header()); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
		t.Run("GO-03/fields_do_not_run_into_each_other_"+line, func(t *testing.T) {
			w := once(line)
			for name, values := range w.Header() {
				if len(values) != 1 || cap(values) != 1 {
					t.Errorf("%s has %d values and room for %d", name, len(values), cap(values))
				}
			}
			was := w.Header().Clone()
			for name := range w.Header() {
				w.Header().Add(name, "more")
				was.Add(name, "more")
			}
			if got, want := fmt.Sprint(w.Header()), fmt.Sprint(was); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	rt, err := g.Route(read)
	if err != nil {
		t.Fatal(err)
	}
	tls, _ := newGuard(t, func(c *middleware.Config) { c.RequireTLS = true })
	secure, err := tls.Route()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		rt    *middleware.Route
		lines []string
		class error
	}{
		"no_credentials": {rt, nil, verifier.ErrNoCredentials},
		"other_scheme":   {rt, []string{"Basic x"}, verifier.ErrNoCredentials},
		"malformed":      {rt, []string{"Bearer a b"}, verifier.ErrInvalidRequest},
		"repeated":       {rt, []string{"Bearer ok", "Bearer ok"}, verifier.ErrInvalidRequest},
		"without_TLS":    {secure, nil, verifier.ErrForbidden},
		"zero_Route":     {new(middleware.Route), nil, verifier.ErrConfig},
	} {
		t.Run("GO-03/error_changed_by_its_receiver_"+name, func(t *testing.T) {
			for range 2 {
				r := httptest.NewRequest("GET", "/", nil)
				r.Header["Authorization"] = tc.lines
				_, err := tc.rt.Check(httptest.NewRecorder(), r)
				e, ok := err.(*verifier.Error)
				if !ok || e.Class != tc.class || e.RetryAfter != 0 || e.Challenge.Scope != nil {
					t.Fatalf("%+v", err)
				}
				e.Class, e.Cause, e.RetryAfter, e.Challenge.Scope = nil, nil, time.Hour, []string{"x"}
			}
		})
	}
}

// odd is an error that can be no key of a map.
type odd []string

func (odd) Error() string { return "odd" }

// TestOddClasses: an application can put anything into Class.
func TestOddClasses(t *testing.T) {
	var seen events
	g, s := newGuard(t, func(c *middleware.Config) { c.OnEvent = seen.hook })
	expired := reflect.ValueOf(verifier.ErrExpired).Elem()
	imitation := reflect.New(expired.Type())
	imitation.Elem().Set(expired)
	for _, tc := range []struct {
		name   string
		class  error
		status int
		event  error // of a handler's refusal
	}{
		{"cannot_be_hashed", odd{"x"}, 503, verifier.ErrInternal},
		{"none", nil, 503, verifier.ErrInternal},
		{"no_sentinel", errors.New("x"), 503, verifier.ErrInternal},
		{"nil_of_its_type", reflect.Zero(imitation.Type()).Interface().(error), 503, verifier.ErrInternal},
		{"an_Error", &verifier.Error{Class: verifier.ErrExpired}, 401, verifier.ErrExpired}, // as errors.Is sees it
		{"copy_of_a_sentinel", imitation.Interface().(error), 401, verifier.ErrInvalidToken},
	} {
		bad := &verifier.Error{Class: tc.class}
		s.errs = map[string]error{"x": bad}
		t.Run("SE-01/"+tc.name+"_from_the_verifier", func(t *testing.T) {
			if got := ask(t, behind(t, g, whoami), nil, "Bearer x"); got.StatusCode != tc.status || got.body != "" {
				t.Errorf("status %d, body %q", got.StatusCode, got.body)
			}
		})
		seen.take(verifier.EventRefused)
		t.Run("SE-01/"+tc.name+"_from_the_handler", func(t *testing.T) {
			got := ask(t, behind(t, g, refuse(bad)), nil, "Bearer ok")
			list := seen.take(verifier.EventRefused)
			if got.StatusCode != tc.status || len(list) != 1 || list[0].Class != tc.event {
				t.Errorf("status %d, events %v", got.StatusCode, list)
			}
		})
	}
}

// TestDescriptionOfTheHandlersBody: a refusal is not described by what the handler
// meant to send.
func TestDescriptionOfTheHandlersBody(t *testing.T) {
	g, _ := newGuard(t)
	for _, name := range []string{"content-length", "content-type", "content-disposition", "content-range", "content-language", "content-location", "etag", "last-modified"} {
		t.Run("GO-10/"+name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer ok")
			behind(t, g, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(name, "7")
				w.Header().Set("Content-Encoding", "gzip")
				middleware.Deny(w, r, verifier.ErrForbidden)
			})(w, r)
			if w.Header().Get(name) != "" || w.Header().Get("Content-Encoding") != "gzip" || len(w.Header()) != 2 {
				t.Errorf("header %v", w.Header())
			}
		})
	}
}

// TestContextOutlivesTheRequest: a handler may keep the context, hand it to goroutines,
// and derive others and clones from it.
func TestContextOutlivesTheRequest(t *testing.T) {
	a, _ := newGuard(t)
	b, _ := newGuard(t)
	type key struct{}
	cause := errors.New("gone")
	var kept []*http.Request
	keep := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			kept = append(kept, r, r.Clone(r.Context()))
			next(w, r)
		}
	}
	anonymous := between(keep(optional(t, a, keep(whoami))), func(r *http.Request) { r.Header.Del("Authorization") })
	h := behind(t, a, keep(behind(t, b, keep(behind(t, a, keep(anonymous.ServeHTTP), read)))))
	ctx, leave := context.WithCancelCause(context.WithValue(t.Context(), key{}, "v"))
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	r.Header.Set("Authorization", "Bearer ok~read")
	w := httptest.NewRecorder()
	h(w, r)
	leave(cause)
	if w.Body.String() != "anonymous" || len(kept) != 10 {
		t.Fatalf("body %q, %d requests", w.Body, len(kept))
	}
	t.Run("GO-05/the_first_request_is_as_it_was", func(t *testing.T) {
		if middleware.Guarded(r.Context()) || r.Context() != ctx {
			t.Error("its context was replaced")
		}
	})
	t.Run("GO-06/each_keeps_its_own_outcome", func(t *testing.T) {
		var wg sync.WaitGroup
		for i, r := range kept {
			for _, ctx := range []context.Context{r.Context(), context.WithoutCancel(r.Context()), context.WithValue(r.Context(), key{}, "w")} {
				wg.Go(func() {
					tok, ok := middleware.TokenFrom(ctx)
					if ok != (i < 8) || ok && tok.Subject != "user-1" || !middleware.Guarded(ctx) {
						t.Errorf("request %d: %v, %v", i, tok, ok)
					}
				})
			}
		}
		wg.Wait()
	})
	t.Run("GO-18/each_ends_with_the_first", func(t *testing.T) {
		for i, r := range kept {
			if ctx := r.Context(); ctx.Err() != context.Canceled || context.Cause(ctx) != cause || ctx.Value(key{}) != "v" {
				t.Errorf("request %d: %v, %v, %v", i, ctx.Err(), context.Cause(ctx), ctx.Value(key{}))
			}
		}
	})
	t.Run("SE-02/nothing_of_the_token_is_printed", func(t *testing.T) {
		for i, r := range kept {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%e"} {
				got := fmt.Sprintf(verb, r.Context())
				if strings.Contains(got, "ok~read") || strings.Contains(got, fmt.Sprintf("%x", "ok~read")) || strings.Contains(got, "user-1") {
					t.Errorf("request %d, %s: %s", i, verb, got)
				}
			}
		}
	})
}

// TestCancelledOnTheWay: a guard decides about the token; that the client has left is
// for whoever waits for something to notice.
func TestCancelledOnTheWay(t *testing.T) {
	t.Run("GO-18/before_a_nested_guard", func(t *testing.T) {
		g, s := newGuard(t)
		ctx, leave := context.WithCancel(t.Context())
		inner := behind(t, g, whoami, read)
		h := behind(t, g, func(w http.ResponseWriter, r *http.Request) { leave(); inner(w, r) })
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer ok~read")
		if h(w, r); w.Body.String() != "user-1" || s.calls() != 1 {
			t.Errorf("%d %q, %d verifications", w.Code, w.Body, s.calls())
		}
	})
}
