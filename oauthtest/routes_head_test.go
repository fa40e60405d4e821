// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// byMethod serves one method by its own handler.
func byMethod(method string, own, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method {
			own.ServeHTTP(w, r)
		} else {
			others.ServeHTTP(w, r)
		}
	})
}

// TestCheckRoutesHead: routers hand HEAD to the handler of GET, and a guard may not.
func TestCheckRoutesHead(t *testing.T) {
	guarded := require(t)(secret)
	page := func(headers ...string) http.Handler {
		return answers(200, append(headers, "Content-Type", "text/html")...)
	}
	long := func(headers ...string) http.Handler { // net/http gives it no Content-Length
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			page(headers...).ServeHTTP(w, r)
			io.WriteString(w, strings.Repeat("x", 3000))
		})
	}
	lengths := 0
	growing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lengths++
		page("Content-Length", fmt.Sprint(lengths)).ServeHTTP(w, r)
	})
	requests := 0
	changing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		long("Etag", fmt.Sprint(requests)).ServeHTTP(w, r)
	})
	head := func(own http.Handler) http.Handler { return byMethod(http.MethodHead, own, guarded) }
	const open = "HEAD without a token: 200 OK instead of 401"
	for _, tc := range []struct {
		name           string
		routes, public []string
		x, other       http.Handler
		want           []string
	}{
		{"guarded", []string{"GET /x"}, nil, guarded, nil, nil},
		{"not_known", []string{"GET /x"}, nil, head(answers(404)), nil, nil},
		{"not_allowed", []string{"GET /x"}, nil, head(answers(405)), nil, nil},
		{"let_through", []string{"GET /x"}, nil, head(secret), nil, []string{"GET /x: " + open}},
		{"let_through_by_any_method", []string{"/x"}, nil, head(secret), nil, []string{"oauthtest: /x: " + open}},
		{"let_through_and_refused_by_the_handler", []string{"GET /x"}, nil, head(answers(403)), nil, []string{"HEAD without a token: 403 Forbidden instead of 401"}},
		{"401_of_the_handler", []string{"GET /x"}, nil, head(answers(401)), nil, []string{"HEAD without a token: 401 with 0 Bearer challenges"}},
		{"listed_is_one_failure", []string{"GET /x", "HEAD /x"}, nil, head(secret), nil, []string{"HEAD /x: " + open}},
		{"public", []string{"GET /x", "HEAD /x"}, []string{"HEAD /x"}, head(secret), nil, nil},
		{"public_of_any_method", []string{"/x", "HEAD /x"}, []string{"HEAD /x"}, head(secret), nil, nil},
		{"of_a_host", []string{"GET api.test/x", "HEAD api.test/x"}, []string{"HEAD api.test/x"}, head(secret), nil, nil},
		{"of_another_host", []string{"GET /x", "HEAD other.test/x"}, []string{"HEAD other.test/x"}, head(secret), nil, []string{"GET /x: " + open}},
		{"of_another_method", []string{"GET /x", "POST /x"}, []string{"POST /x"}, byMethod(http.MethodGet, guarded, secret), nil, []string{"GET /x: " + open}},
		{"public_with_other_parameters", []string{"GET /{id}", "HEAD /{order}"}, []string{"HEAD /{order}"}, nil, head(secret), nil},
		{"public_elsewhere", []string{"GET /x", "HEAD /y"}, []string{"HEAD /y"}, head(secret), says("ok"), []string{"GET /x: " + open}},
		{"long_pages", []string{"GET /x"}, nil, head(long()), long(), nil},
		{"long_page_with_a_header_of_its_own", []string{"GET /x"}, nil, head(long("X-Total", "7")), long(), []string{open}},
		{"long_page_without_that_of_the_page_for_all", []string{"GET /x"}, nil, head(long()), long("X-Page", "all"), []string{open}},
		{"long_page_with_another_value", []string{"GET /x"}, nil, head(long("X-Page", "x")), long("X-Page", "all"), []string{open}},
		{"long_page_with_another_value_beside", []string{"GET /x"}, nil, head(long("Vary", "A", "Vary", "B")), long("Vary", "A"), []string{open}},
		{"long_page_with_values_that_change", []string{"GET /x"}, nil, head(changing), changing, nil},
		{"long_page_without_values_that_change", []string{"GET /x"}, nil, head(long()), changing, []string{open}},
		{"page_with_a_length_where_no_other_has", []string{"GET /x"}, nil, head(page("Content-Length", "7")), long(), []string{open}},
		{"another_method", []string{"DELETE /x"}, nil, head(secret), nil, nil},
		{"page_for_all_that_nobody_has", []string{"GET /x"}, nil, head(page()), page(), nil},
		{"other_length_than_the_page_for_all", []string{"GET /x"}, nil, head(page("Content-Length", "7")), page(), []string{open}},
		{"pages_of_many_lengths", []string{"GET /x"}, nil, head(growing), growing, nil},
		{"redirect_of_all_that_nobody_has", []string{"GET /x"}, nil, head(http.RedirectHandler("/login", http.StatusFound)), http.RedirectHandler("/login", http.StatusFound), nil},
		{"redirect", []string{"GET /x"}, nil, head(http.RedirectHandler("/login", http.StatusFound)), nil, []string{"HEAD without a token: 302 Found"}},
		{"other_kind_than_the_page_for_all", []string{"GET /x"}, nil, head(answers(200, "Content-Type", "application/json")), page(), []string{open}},
		{"let_through_everywhere", []string{"GET /x"}, nil, head(secret), head(secret), []string{open}},
		{"let_through_beside_a_guarded_page", []string{"GET /x"}, nil, head(secret), guarded, []string{open}},
	} {
		t.Run("K1/HEAD_"+tc.name, func(t *testing.T) {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/x" && tc.x != nil:
					tc.x.ServeHTTP(w, r)
				case tc.other != nil:
					tc.other.ServeHTTP(w, r)
				default:
					http.NotFound(w, r)
				}
			})
			wantFailures(t, failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, h, tc.routes, tc.public...) }), tc.want...)
		})
	}
	t.Run("K1/HEAD_page_with_the_time", func(t *testing.T) {
		clock := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Millisecond)
			long("Expires", time.Now().Format(http.TimeFormat)).ServeHTTP(w, r)
		})
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/x" && r.Method == http.MethodGet {
				guarded.ServeHTTP(w, r)
			} else {
				clock.ServeHTTP(w, r)
			}
		})
		for before := range 40 {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Second - time.Duration(before)*time.Millisecond)
				oauthtest.CheckRoutes(t, h, []string{"GET /x"})
			})
		}
	})
	t.Run("names_the_remedy", func(t *testing.T) {
		got := failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, head(secret), []string{"GET   /x"}) })
		wantFailures(t, got, `Or the guard lets HEAD through, and the handler of GET runs; if that is meant, add "HEAD /x" to the routes and to the public ones`)
	})
}

// TestCheckRoutesSeconds: a time in the guard's refusals is no sign of a handler, though
// the second ends between any two requests.
func TestCheckRoutesSeconds(t *testing.T) {
	refusal := refusing(plain, func(*http.Request) string {
		time.Sleep(time.Millisecond)
		return "no token at " + time.Now().Format(http.TimeFormat)
	}, nil)
	for before := range 40 * time.Millisecond / time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Second - before*time.Millisecond)
			oauthtest.CheckRoutes(t, refusal, []string{"GET /a", "POST /b", "PUT /c"})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		goesOn := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			refusal.ServeHTTP(w, r)
			if r.URL.Path == "/b" {
				io.WriteString(w, ", and b was done")
			}
		})
		time.Sleep(995 * time.Millisecond)
		got := failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, goesOn, []string{"GET /a", "POST /b", "PUT /c"}) })
		wantFailures(t, got, "POST /b: POST without a token: 401 with a body that no other guarded path has")
	})
}

// TestCheckedAtLeastOneGuard: what would check nothing fails at once.
func TestCheckedAtLeastOneGuard(t *testing.T) {
	var none http.HandlerFunc
	var noMux *http.ServeMux
	for name, check := range map[string]func(testing.TB, http.Handler, []string, ...string){"CheckRoutes": oauthtest.CheckRoutes, "CheckPaths": oauthtest.CheckPaths} {
		t.Run(name, func(t *testing.T) {
			for _, h := range []http.Handler{nil, none, noMux} {
				wantFailures(t, failuresOf(func(t testing.TB) { check(t, h, []string{"GET /x"}) }), "oauthtest: there is no handler to ask")
			}
			guarded := require(t)(secret)
			m := http.NewServeMux()
			m.Handle("GET /a", guarded)
			m.Handle("GET /b", secret)
			check(t, m, []string{"GET /a", "GET /b"}, "GET /b")
			const open = "oauthtest: all routes are public, so that no guard would be checked"
			wantFailures(t, failuresOf(func(t testing.TB) { check(t, m, []string{"GET /b"}, "GET /b") }), open)
			wantFailures(t, failuresOf(func(t testing.TB) { check(t, m, []string{"GET /b", "GET /b"}, "GET /b", "GET  /b") }), open)
		})
	}
}

func routeless() []string { return nil }

// TestCheckRoutesPanics: what a handler panicked with is in the message.
func TestCheckRoutesPanics(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func()
		want string
	}{
		"text":    {func() { panic("no token") }, "no answer (the handler panicked: no token). The usual cause: no guard runs"},
		"error":   {func() { panic(errors.New("no principal")) }, "no answer (the handler panicked: no principal)."},
		"runtime": {func() { _ = routeless()[0] }, "no answer (the handler panicked: runtime error: index out of range [0] with length 0)."},
		"long":    {func() { panic(fmt.Sprintf("%0300d", 7)) }, fmt.Sprintf("no answer (the handler panicked: %0200d…).", 0)},
		"Goexit":  {runtime.Goexit, "no answer (the connection was closed: a panic?)."},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { tc.do() })
			wantFailures(t, failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, h, []string{"GET /x"}) }), tc.want)
		})
	}
	t.Run("of_this_request", func(t *testing.T) {
		h := byMethod(http.MethodPut, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() }),
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { panic("of " + r.Method) }))
		got := failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, h, []string{"GET /x", "PUT /x", "POST /x"}) })
		wantFailures(t, got, "panicked: of GET", "a panic?", "panicked: of POST")
	})
}
