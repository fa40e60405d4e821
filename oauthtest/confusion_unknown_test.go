// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"html"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// app is a mux of handlers, with a guard on those whose pattern begins with "!".
func app(t testing.TB, handlers map[string]http.Handler) (m *mux, public []string) {
	t.Helper()
	guard := require(t)
	m = new(mux)
	for pattern, h := range handlers {
		if bare, guarded := strings.CutPrefix(pattern, "!"); guarded {
			m.Handle(bare, guard(h))
		} else {
			m.Handle(pattern, h)
			public = append(public, pattern)
		}
	}
	return m, public
}

func named(text, parameter string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s of %s", text, r.PathValue(parameter))
	})
}

// TestCheckPathsUnknown: applications that are sound pass, whatever they have beside
// their guarded routes.
func TestCheckPathsUnknown(t *testing.T) {
	var n atomic.Int64
	page := says("<html>one page")
	nonces := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<html><script nonce="%d"></script><a href="%d+/=">`, n.Add(1), n.Add(1))
	})
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<html>nothing at %s, %q (%s)", html.EscapeString(r.RequestURI), r.URL.Path, path.Clean(r.URL.Path))
	})
	clock := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // two in one millisecond, the third in the next
		fmt.Fprintf(w, "<html>rendered 15:04:05.%03d", n.Add(1)/3%1000)
	})
	onlyEcho := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.URL.Path)) })
	strict := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.ContainsAny(r.URL.Path, "\x00.") {
			http.Error(w, "cannot open it", http.StatusInternalServerError)
			return
		}
		page.ServeHTTP(w, r)
	})
	for _, tc := range []struct {
		name     string
		handlers map[string]http.Handler
	}{
		{"HEAD_beside_a_page_for_all", map[string]http.Handler{"!HEAD /files": secret, "/": page}},
		{"page", map[string]http.Handler{"!GET /v1/any": secret, "/": page}},
		{"page_with_nonces", map[string]http.Handler{"!GET /api/orders": secret, "GET /": nonces}},
		{"page_with_the_time", map[string]http.Handler{"!GET /v1/any": secret, "/": clock}},
		{"page_that_names_the_path", map[string]http.Handler{"!GET /v1/any": secret, "/": echo}},
		{"page_with_nothing_but_the_path", map[string]http.Handler{"!GET /v1/any": secret, "/": onlyEcho}},
		{"page_that_fails_for_odd_paths", map[string]http.Handler{"!GET /v1/any": secret, "!GET /a/{id}": secret, "/": strict}},
		{"parameter_beside", map[string]http.Handler{"!GET /users/me": says("secret of me"), "GET /users/{name}": named("profile", "name")}},
		{"nothing_but_the_parameter_beside", map[string]http.Handler{"!GET /users/me": says("secret of me"), "GET /users/{name}": onlyEcho}},
		{"parameter_that_takes_all", map[string]http.Handler{"!GET /files/{path...}": named("secret", "path"), "/": nonces}},
		{"root", map[string]http.Handler{"!GET /{$}": secret, "GET /{path...}": nonces}},
		{"root_and_404", map[string]http.Handler{"!GET /{$}": secret}},
		{"public_files", map[string]http.Handler{"!GET /orders": secret, "GET /static/{path...}": named("file", "path")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, public := app(t, tc.handlers)
			oauthtest.CheckRoutes(t, m, m.routes, public...)
			oauthtest.CheckPaths(t, m, m.routes, public...)
		})
	}
	t.Run("filter_for_odd_paths", func(t *testing.T) {
		m, _ := app(t, map[string]http.Handler{"!GET /orders": secret})
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "..") || r.URL.RawPath != "" || strings.Contains(r.URL.Path, "//") {
				http.Error(w, "blocked", http.StatusForbidden)
				return
			}
			m.ServeHTTP(w, r)
		})
		oauthtest.CheckPaths(t, h, m.routes)
	})
	t.Run("guard_for_all_but_a_prefix", func(t *testing.T) {
		m := http.NewServeMux()
		m.Handle("GET /orders", secret)
		m.Handle("GET /a/{path...}", named("file", "path"))
		h := comparing(t, m, func(r *http.Request) bool { return !strings.HasPrefix(r.URL.Path, "/a/") })
		oauthtest.CheckPaths(t, h, []string{"GET /orders", "GET /a/{path...}"}, "GET /a/{path...}")
	})
}

// cleaned is next behind a layer that tidies paths up, and cuts what ending off.
func cleaned(next http.Handler, ending string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = strings.TrimSuffix(path.Clean("/"+r.URL.Path), ending), ""
		next.ServeHTTP(w, r)
	})
}

// TestCheckPathsAmongOthers: what is let through beside guarded routes hides no way past
// the guard.
func TestCheckPathsAmongOthers(t *testing.T) {
	not := func(prefix string) func(*http.Request) bool {
		return func(r *http.Request) bool { return !strings.HasPrefix(r.URL.Path, prefix) }
	}
	suffix := func(s string) func(*http.Request) bool {
		return func(r *http.Request) bool { return !strings.HasSuffix(r.URL.Path, s) }
	}
	exact := func(p string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.URL.Path == p }
	}
	all := []string{"GET /orders", "GET /orders/{id}", "GET /static/{path...}", "GET /users/me", "GET /users/{name}"}
	open := []string{"GET /static/{path...}", "GET /users/{name}"}
	m := http.NewServeMux()
	m.Handle("GET /orders", says("secret orders"))
	m.Handle("GET /orders/{id}", named("secret", "id"))
	m.Handle("GET /static/{path...}", named("file", "path"))
	m.Handle("GET /users/me", says("secret of me"))
	m.Handle("GET /users/{name}", named("profile", "name"))
	for _, tc := range []struct {
		name    string
		guarded func(*http.Request) bool
		next    http.Handler
		routes  []string
		want    []string
	}{
		{"K20/door_with_a_parameter", not("/static/"), cleaned(m, ""), []string{all[0], all[2]}, []string{`"/static/../orders": 200 OK`}},
		{"K20/door_beside_a_parameter", not("/static/"), cleaned(m, ""), []string{all[1], all[2]}, []string{`"/static/../orders/1": 200 OK`}},
		{"K20/door_up_to_an_asterisk", not("/static"), cleaned(m, ""), []string{all[0], "GET /static*"}, []string{`"/static/../orders": 200 OK`}},
		{"K20/door_up_to_a_colon", not("/static"), cleaned(m, ""), []string{all[0], "GET /static:x"}, []string{`"/static/../orders": 200 OK`}},
		{"K20/door_of_nothing_but_a_parameter", not("/static/"), cleaned(m, ""), []string{all[0], "GET /{x}"}, nil},
		{"K8/file_ending", suffix(".css"), m, []string{all[1]}, []string{`"/orders/1.css": 200 OK`}},
		{"K8/file_ending_cut_off", suffix(".js"), cleaned(m, ".js"), []string{all[0]}, []string{`"/orders.js": 200 OK`}},
		{"K8/icon", suffix("/favicon.ico"), cleaned(m, "/favicon.ico"), []string{all[0]}, []string{`"/orders/favicon.ico": 200 OK`}},
		{"K8/beside_a_public_parameter", exact("/users/me"), cleaned(m, ""), []string{all[3], all[4]}, []string{`"/users//me": 200 OK`}},
		{"K8/guard_that_knows_numbers_only", func(r *http.Request) bool { return r.URL.Path == "/orders/1" }, m, []string{all[1]}, []string{`"/orders/1.json": 200 OK`}},
		{"K8/value_instead_of_the_parameter", suffix(".json"), m, []string{"GET /orders/77"}, []string{`"/orders/77.json": 200 OK`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defer oauthtest.ListSpellings(1000)()
			var public []string
			for _, rt := range tc.routes {
				if strings.HasPrefix(rt, "GET /static") || rt == open[1] || rt == "GET /{x}" {
					public = append(public, rt)
				}
			}
			h := comparing(t, tc.next, tc.guarded)
			got := failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, h, tc.routes, public...) })
			wantFailures(t, got, tc.want...)
		})
	}
}

// TestCheckPathsDoorsInParameters: a parameter may hold an encoded slash, and the name of
// a door behind it.
func TestCheckPathsDoorsInParameters(t *testing.T) {
	m := http.NewServeMux()
	m.Handle("GET /orders/{id}", named("secret order", "id"))
	m.Handle("GET /orders/{id}/lines", named("secret lines", "id"))
	m.Handle("GET /a/b/{c}/d/{e}/f", named("secret of six", "c"))
	m.Handle("GET /health", says("ok"))
	ends := func(r *http.Request) bool { return !strings.HasSuffix(r.URL.Path, "/health") }
	holds := func(r *http.Request) bool { return !strings.Contains(r.URL.Path, "/health/") }
	for _, tc := range []struct {
		name, route string
		guarded     func(*http.Request) bool
		want        []string
	}{
		{"at_the_end", "GET /orders/{id}", ends, []string{`"/orders/1%2fhealth": 200 OK`}},
		{"at_the_end_but_inside", "GET /orders/{id}/lines", ends, nil},
		{"inside", "GET /orders/{id}/lines", holds, []string{`"/orders/1%2fhealth/lines": 200 OK`}},
		{"inside_but_at_the_end", "GET /orders/{id}", holds, nil},
		{"deep_inside", "GET /a/b/{c}/d/{e}/f", holds, []string{`"/a/b/1%2fhealth/d/1/f": 200 OK`, `"/a/b/1/d/1%2fhealth/f": 200 OK`}},
	} {
		t.Run("K20/"+tc.name, func(t *testing.T) {
			defer oauthtest.ListSpellings(1000)()
			h := comparing(t, m, tc.guarded)
			got := strings.Join(failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, h, []string{tc.route, "GET /health"}, "GET /health") }), "\n")
			if tc.want == nil && got != "" {
				t.Errorf("failure %s", got)
			}
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in %s", want, got)
				}
			}
		})
	}
}

// TestCheckPathsOfTheSameShape: an answer of the guarded route that differs by one word
// from those of a public neighbour is past the guard, though theirs repeat their paths.
func TestCheckPathsOfTheSameShape(t *testing.T) {
	m := http.NewServeMux()
	m.HandleFunc("GET /users/{name}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"name":%q}`, r.PathValue("name")) })
	m.Handle("GET /users/root", says(`{"name":"swordfish"}`))
	h := comparing(t, m, func(r *http.Request) bool { return r.RequestURI == "/users/root" })
	defer oauthtest.ListSpellings(1000)()
	got := failuresOf(func(t testing.TB) {
		oauthtest.CheckPaths(t, h, []string{"GET /users/root", "GET /users/{name}"}, "GET /users/{name}")
	})
	wantFailures(t, got, `"/%75sers/root": 200 OK`)
}

// TestCheckPathsPages: a page that is only like the one for all paths is past the guard.
func TestCheckPathsPages(t *testing.T) {
	var n atomic.Int64
	number := func() int64 { return n.Add(1) }
	for _, tc := range []struct {
		name        string
		page, found func() string
		past        bool
	}{
		{"same", func() string { return "page" }, func() string { return "page" }, false},
		{"empty", func() string { return "" }, func() string { return "" }, false},
		{"no_words", func() string { return "" }, func() string { return "[]" }, true},
		{"other_word", func() string { return "page one" }, func() string { return "page two" }, true},
		{"one_word_more", func() string { return "page one" }, func() string { return "page one two" }, true},
		{"number", func() string { return fmt.Sprint("page ", number()) }, func() string { return fmt.Sprint("page ", number()) }, false},
		{"number_and_other_word", func() string { return fmt.Sprint("page ", number()) }, func() string { return fmt.Sprint("secret ", number()) }, true},
		{"nothing_but_a_number", func() string { return fmt.Sprint(number()) }, func() string { return "secret" }, true},
		{"words_at_times", func() string { return strings.Repeat("page ", int(number()%7)+1) }, func() string { return "page page page" }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			guard := require(t)
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/admin/users":
					guard(secret).ServeHTTP(w, r)
				case "/ADMIN/USERS":
					w.Write([]byte(tc.found()))
				default:
					w.Write([]byte(tc.page()))
				}
			})
			defer oauthtest.ListSpellings(1000)()
			got := strings.Join(failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, h, []string{"GET /admin/users"}) }), "\n")
			if strings.Contains(got, `"/ADMIN/USERS": 200 OK`) != tc.past {
				t.Errorf("failure %q", got)
			}
		})
	}
	t.Run("HEAD_of_another_kind", func(t *testing.T) {
		guard := require(t)
		kind := func(kind string) http.Handler { return answers(200, "Content-Type", kind) }
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/x":
				guard(secret).ServeHTTP(w, r)
			case "/X":
				kind("application/json").ServeHTTP(w, r)
			default:
				kind("text/html").ServeHTTP(w, r)
			}
		})
		got := failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, h, []string{"HEAD /x"}) })
		wantFailures(t, got, `"/X": 200 OK`)
	})
}
