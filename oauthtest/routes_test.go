// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

// failures collects what a test helper has to complain about.
type failures struct {
	testing.TB
	list []string
}

func (f *failures) Helper() {}
func (f *failures) Errorf(format string, args ...any) {
	f.list = append(f.list, fmt.Sprintf(format, args...))
}
func (f *failures) Fatalf(format string, args ...any) { f.Errorf(format, args...); runtime.Goexit() }

func failuresOf(check func(t testing.TB)) []string {
	f := &failures{}
	done := make(chan struct{})
	go func() { defer close(done); check(f) }()
	<-done
	return f.list
}

// wantFailures fails unless there is one failure for each of want, in order, that holds it.
func wantFailures(t *testing.T, got []string, want ...string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			t.Errorf("one failure too many: %s", got[i])
		case i >= len(got):
			t.Errorf("no failure with %q", want[i])
		case !strings.Contains(got[i], want[i]):
			t.Errorf("failure %q\nwant one with %q", got[i], want[i])
		}
	}
}

// require is the guard of these tests, in front of next.
func require(t testing.TB) func(http.Handler) http.Handler {
	t.Helper()
	return nethttp.Require(newGuard(t))
}

func newGuard(t testing.TB, edits ...func(*middleware.Config)) *middleware.Guard {
	t.Helper()
	as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = "ES256" })
	cfg := middleware.Config{Verifier: verifierOf(t, as)}
	for _, edit := range edits {
		edit(&cfg)
	}
	g, err := middleware.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func verifierOf(t testing.TB, as *oauthtest.Server) *verifier.Verifier {
	t.Helper()
	v, err := verifier.New(as.VerifierConfig(api))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// mux is a ServeMux that knows its patterns.
type mux struct {
	http.ServeMux
	routes []string
}

func (m *mux) Handle(pattern string, h http.Handler) {
	m.routes = append(m.routes, pattern)
	m.ServeMux.Handle(pattern, h)
}

func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

func answers(status int, headers ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
	})
}

var secret = says("the secret")

func TestCheckRoutes(t *testing.T) {
	guard := require(t)
	m := new(mux)
	for _, pattern := range []string{
		"GET /orders/{id}", "DELETE /orders/{id}", "/any", "GET /files/{path...}", "POST /orders/{$}", "GET /orders/{id}/lines/{line}",
		"GET admin.example.com/users", "GET /v1/files:upload", "HEAD /only", "CONNECT /tunnel", "GET /sub/",
	} {
		m.Handle(pattern, guard(secret))
	}
	m.Handle("GET /health", says("ok"))
	t.Run("K1/all_guarded", func(t *testing.T) { oauthtest.CheckRoutes(t, m, m.routes, "GET /health") })
	t.Run("K1/in_a_bubble", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { oauthtest.CheckRoutes(t, m, m.routes, "GET   /health") })
	})
	t.Run("K1/outside_the_guard", func(t *testing.T) {
		m.Handle("PUT /orders/{id}", secret)
		wantFailures(t, failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, m, m.routes, "GET /health") }),
			"oauthtest: PUT /orders/{id}: PUT without a token: 200 OK instead of 401: the handler can be reached. The usual cause: the route is registered outside the guarded group")
	})
	t.Run("K1/public_but_not_listed", func(t *testing.T) {
		wantFailures(t, failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, m, m.routes, "PUT /orders/{id}") }), "GET /health: GET without a token: 200 OK")
	})
	t.Run("required_TLS_is_no_obstacle", func(t *testing.T) {
		tls := nethttp.Require(newGuard(t, func(c *middleware.Config) { c.RequireTLS = true }))
		oauthtest.CheckRoutes(t, tls(secret), []string{"GET /x"})
	})
}

// TestCheckRoutesLists: a list that cannot be right fails at once.
func TestCheckRoutesLists(t *testing.T) {
	h := require(t)(secret)
	for _, tc := range []struct {
		name           string
		routes, public []string
		want           []string
	}{
		{"empty", nil, nil, []string{"no routes were given"}},
		{"echo_not_found_only", []string{"echo_route_not_found /*"}, nil, []string{"no routes were given"}},
		{"echo_not_found_is_no_route", []string{"echo_route_not_found /*", "GET /a"}, nil, nil},
		{"no_slash", []string{"GET orders"}, nil, []string{`"GET orders": its path does not begin with a slash`}},
		{"no_path", []string{"GET"}, nil, []string{"its path does not begin"}},
		{"blank", []string{" "}, nil, []string{"not a method and a path"}},
		{"three_words", []string{"GET /a b"}, nil, []string{"not a method and a path"}},
		{"two_methods", []string{"GET,POST /a"}, nil, []string{"its method is none"}},
		{"stale_public", []string{"GET /a"}, []string{"GET /b"}, []string{`public route "GET /b" is not among the routes`}},
		{"public_of_another_method", []string{"GET /a"}, []string{"/a"}, []string{`public route "/a" is not among`}},
		{"guarded_public", []string{"GET /a", "GET /b"}, []string{"GET /b"}, []string{"GET /b: GET is guarded, but listed as public"}},
		{"twice", []string{"GET /a", "GET  /a"}, nil, nil},
		{"forms_of_routers", []string{"GET /a/:id", "GET /a/*rest", "GET /a/*", "GET /a/{id}", "GET /{id:[0-9]+}/b", "/a", "GET example.com/", "GET /user_:name", "GET /static*", `GET /a\:b`, "PROPFIND /dav", "GET /{a}-{b}", "/x/{id:[a-z ]+}", "GET /x/{id:[a-z /]{2,3}}/y"}, nil, nil},
		{"public_with_a_blank", []string{"GET /a", "GET /{id:[a-z ]+}"}, []string{"GET  /{id:[a-z ]+}"}, []string{"GET /{id:[a-z ]+}: GET is guarded, but listed"}},
		{"blank_behind_a_brace", []string{"GET /{a} b"}, nil, []string{"not a method and a path"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantFailures(t, failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, h, tc.routes, tc.public...) }), tc.want...)
		})
	}
}

// TestCheckRoutesAsks: what is asked for fits the forms of all routers.
func TestCheckRoutesAsks(t *testing.T) {
	for route, want := range map[string]string{
		"GET /orders/:id":              "GET api.test /orders/1",
		"GET /orders/{id}/x/{y}":       "GET api.test /orders/1/x/1",
		"GET /files/*path":             "GET api.test /files/1",
		"GET /files/*":                 "GET api.test /files/1",
		"GET /files/{path...}":         "GET api.test /files/1",
		"GET /{$}":                     "GET api.test /",
		"DELETE admin.example.com/a/":  "DELETE admin.example.com /a/",
		"GET /v1/files:upload":         "GET api.test /v1/files:upload",
		`GET /v1/\:upload`:             "GET api.test /v1/:upload",
		"GET /static*":                 "GET api.test /static*",
		"GET /:":                       "GET api.test /:",
		"GET /{n:[0-9]+}/deep/*x/more": "GET api.test /1/deep/1",
		"GET /{a}-{b}/x":               "GET api.test /1-1/x",
		"GET /v{n}":                    "GET api.test /v1",
		"GET /{n:[0-9/ ]{2}}/x":        "GET api.test /1/x",
		"GET /a{b":                     "GET api.test /a{b",
		"GET /a}b":                     "GET api.test /a}b",
	} {
		var got []string
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = append(got, r.Method+" "+r.Host+" "+r.RequestURI)
		})
		failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, h, []string{route}) })
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: asked %q, want %q", route, got, want)
		}
	}
}

// TestCheckRoutesAnswers: everything but a sound refusal fails, and says what to mend.
func TestCheckRoutesAnswers(t *testing.T) {
	const good = `Bearer realm="resource"`
	guard := require(t)
	anonymous := withToken(guard(secret), secret)
	plain401 := withToken(guard(secret), answers(401, "WWW-Authenticate", good))
	var zero *middleware.Guard
	for _, tc := range []struct {
		name string
		h    http.Handler
		want string // "": passes
	}{
		{"guarded", guard(secret), ""},
		{"optional", nethttp.Optional(newGuard(t))(secret), "without a token: 200 OK instead of 401"},
		{"other_schemes_beside", guardWith(guard, `DPoP algs="ES256"`), ""},
		{"bad_token_as_anonymous", anonymous, "with a token that nobody issued: 200 OK instead of 401: the handler can be reached. The usual cause: a bad token is taken for none"},
		{"no_invalid_token", plain401, `with a token that nobody issued: 401 with error="", where "invalid_token" is due`},
		{"success_without_body", answers(204), "204 No Content instead of 401"},
		{"forbidden", answers(403), "403 Forbidden instead of 401: the handler can be reached. The usual cause: the route is registered outside"},
		{"forbidden_for_the_host", answers(403), `if it goes by the host, write the route with one that it takes, as "GET api.example.com/orders"`},
		{"other_host", answers(421), `421 Misdirected Request instead of 401: a layer before the guard does not answer for the host api.test: write the route with one that it takes`},
		{"bad_request", answers(400), "400 Bad Request instead of 401: a layer before the guard refused, such as one against CSRF"},
		{"limited", answers(429), "429 Too Many Requests: a rate limiter comes before the guard, so that what is behind it cannot be seen: leave it out"},
		{"limited_with_a_token", withToken(guard(secret), answers(429)), "with a token that nobody issued: 429 Too Many Requests: a rate limiter"},
		{"no_abort", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "secret"); w.WriteHeader(401) }), "200 OK instead of 401"},
		{"not_found", answers(404), "404 Not Found: the route list does not fit the handler, or the handler ran"},
		{"other_method", answers(405), "405 Method Not Allowed: the route list does not fit"},
		{"redirect", http.RedirectHandler("/x/", http.StatusTemporaryRedirect), "a redirect that came before the guard"},
		{"zero_guard", nethttp.Require(zero)(secret), "503 Service Unavailable: the guard or its verifier is not set up"},
		{"panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no token") }), "no answer (the handler panicked: no token). The usual cause: no guard runs"},
		{"hangs", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "no answer ("},
		{"no_challenge", answers(401), "401 with 0 Bearer challenges"},
		{"basic_only", answers(401, "WWW-Authenticate", `Basic realm="x"`), "401 with 0 Bearer challenges"},
		{"bearer_without_parameter", answers(401, "WWW-Authenticate", "Bearer"), "401 with 1 Bearer challenges, where one with a parameter is due"},
		{"two_bearer", answers(401, "WWW-Authenticate", good, "WWW-Authenticate", good), "401 with 2 Bearer challenges"},
		{"not_well_formed", answers(401, "WWW-Authenticate", `Bearer realm=`), "not well-formed"},
		{"error_without_a_token", answers(401, "WWW-Authenticate", `Bearer error="invalid_token"`), `401 with error="invalid_token", where "" is due`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, tc.h, []string{"GET /x"}) })
				if tc.want == "" {
					wantFailures(t, got)
				} else {
					wantFailures(t, got, tc.want)
				}
			})
		})
	}
}

// withToken serves requests that have a token by other.
func withToken(h, other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			h.ServeHTTP(w, r)
			return
		}
		other.ServeHTTP(w, r)
	})
}

// TestCheckRoutesMethods: what stands for several methods, and what never ends.
func TestCheckRoutesMethods(t *testing.T) {
	guard := require(t)
	t.Run("any_method_but_none_known", func(t *testing.T) {
		got := failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, answers(405), []string{"/x"}) })
		wantFailures(t, got, "/x: no method is answered but with 404 or 405")
	})
	t.Run("any_method_and_one_unguarded", func(t *testing.T) {
		m := http.NewServeMux()
		m.Handle("GET /x", guard(secret))
		m.Handle("PATCH /x", secret)
		got := failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, m, []string{"/x"}) })
		wantFailures(t, got, "/x: PATCH without a token: 200 OK")
	})
	t.Run("preflight", func(t *testing.T) {
		got := failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, answers(204), []string{"OPTIONS /x", "PUT /x"}) })
		wantFailures(t, got, "204 No Content instead of 401: if a CORS layer answers preflights, which come without a token, list the route as public",
			"204 No Content instead of 401: the handler can be reached")
	})
	t.Run("public_may_stream_for_ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := http.NewServeMux()
			m.Handle("GET /x", guard(secret))
			m.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			start := time.Now()
			oauthtest.CheckRoutes(t, m, []string{"GET /x", "GET /events"}, "GET /events")
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v", took)
			}
		})
	})
}

// guardWith adds a challenge of another scheme to the guard's answers.
func guardWith(guard func(http.Handler) http.Handler, line string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guard(secret).ServeHTTP(&adding{w, line}, r)
	})
}

type adding struct {
	http.ResponseWriter
	line string
}

func (a *adding) WriteHeader(status int) {
	a.Header().Add("WWW-Authenticate", a.line)
	a.ResponseWriter.WriteHeader(status)
}
