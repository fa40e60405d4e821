// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/bearerguard/bearerguard/adapters/echov4"
	"github.com/bearerguard/bearerguard/adapters/ginv1"
	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// status returns the status code of an answer.
func status(t testing.TB, answer string) int {
	t.Helper()
	var code int
	if _, err := fmt.Sscanf(answer, "HTTP/1.1 %d", &code); err != nil {
		t.Errorf("no status line in %q", answer)
	}
	return code
}

// simpleApp is one issuer, one guard and a counting handler.
type simpleApp struct {
	app
	g    *middleware.Guard
	good string // an Authorization line
}

func newSimpleApp(t testing.TB) *simpleApp {
	a := &simpleApp{app: app{as: oauthtest.NewServer(t)}}
	a.g = newGuard(t, middleware.Config{Verifier: newVerifier(t, a.as.VerifierConfig(api))})
	a.good = "Authorization: Bearer " + a.as.Token()
	return a
}

// groups builds, for each framework, everything below /api behind one guard, with
// GET /api/orders and GET /api/items/{id} registered there, and GET /alone outside.
// reqs are the rules of the group and of /alone.
func (a *simpleApp) groups(reqs ...verifier.Requirement) map[string]http.Handler {
	inner := http.NewServeMux()
	inner.HandleFunc("GET /api/orders", a.protected)
	inner.HandleFunc("GET /api/items/{id}", a.protected)
	mux := http.NewServeMux()
	mux.Handle("/api/", nethttp.Require(a.g, reqs...)(inner))
	mux.Handle("GET /alone", nethttp.Require(a.g, reqs...)(http.HandlerFunc(a.protected)))

	e := echo.New()
	handle := func(c echo.Context) error { a.protected(c.Response(), c.Request()); return nil }
	eg := e.Group("/api", echov4.Require(a.g, reqs...))
	eg.GET("/orders", handle)
	eg.GET("/items/:id", handle)
	e.GET("/alone", handle, echov4.Require(a.g, reqs...))

	r := gin.New()
	gg := r.Group("/api", ginv1.Require(a.g, reqs...))
	gg.GET("/orders", func(c *gin.Context) { a.protected(c.Writer, c.Request) })
	gg.GET("/items/:id", func(c *gin.Context) { a.protected(c.Writer, c.Request) })
	r.GET("/alone", ginv1.Require(a.g, reqs...), func(c *gin.Context) { a.protected(c.Writer, c.Request) })
	return map[string]http.Handler{"net_http": mux, "echo": e, "gin": r}
}

func TestGroups(t *testing.T) {
	a := newSimpleApp(t)
	servers := map[string]*server{}
	for name, h := range a.groups() {
		servers[name] = serve(t, h)
	}
	for _, tc := range []struct {
		name   string
		method string
		target string
		lines  []string
		want   map[string]int
		ran    int64
	}{
		{"BT-01/registered", "GET", "/api/orders", []string{a.good}, map[string]int{"net_http": 200, "echo": 200, "gin": 200}, 1},
		{"HT-01/HEAD_not_registered_in_a_group", "HEAD", "/api/orders", []string{a.good}, map[string]int{"net_http": 200, "echo": 404, "gin": 404}, -1},
		{"HT-01/HEAD_not_registered", "HEAD", "/alone", []string{a.good}, map[string]int{"net_http": 200, "echo": 405, "gin": 404}, -1},
		{"HT-01/HEAD_not_registered_no_token", "HEAD", "/alone", nil, map[string]int{"net_http": 401, "echo": 405, "gin": 404}, 0},
		{"BT-07/registered_no_token", "GET", "/api/orders", nil, map[string]int{"net_http": 401, "echo": 401, "gin": 401}, 0},
		{"K4/K5_unknown_path", "GET", "/api/unknown", nil, map[string]int{"net_http": 401, "echo": 401, "gin": 404}, 0},
		{"HT-03/K5_OPTIONS_not_registered", "OPTIONS", "/api/orders", nil, map[string]int{"net_http": 401, "echo": 401, "gin": 404}, 0},
		{"K4/other_method", "DELETE", "/api/orders", nil, map[string]int{"net_http": 401, "echo": 401, "gin": 404}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, s := range servers {
				a.ran.Store(0)
				got := s.send(tc.method, tc.target, tc.lines...)
				if code := status(t, got); code != tc.want[name] {
					t.Errorf("%s: %d, want %d\n%s", name, code, tc.want[name], got)
				}
				if n := a.ran.Load(); tc.ran >= 0 && n != tc.ran || tc.ran < 0 && (n == 1) != (tc.want[name] == 200) {
					t.Errorf("%s: the handler ran %d times", name, n)
				}
			}
		})
	}
}

// TestPathVariants: whatever a router makes of a path, the content does not come
// out without a token that the rule lets pass (K8), and no redirect leads to another
// host or repeats the token (K9).
func TestPathVariants(t *testing.T) {
	a := newSimpleApp(t)
	variants := []string{
		"//api/orders", "/./api/orders", "/x/../api/orders", "/api/orders/", "/API/ORDERS", "/%61pi/orders",
		"/api%2forders", "/api/orders;a=b", "/api/orders%00", "/api/orders.json", "/api%252forders", "/api%5corders",
		"/%c0%afapi/orders", "/api/orders%20", "/api/orders%23", "/api/items/..%2forders", "/health/../api/orders",
		"/api/orders?x=/health", "/foo/api%23/orders", "/\uff0fapi/orders", `\api\orders`, "http://api.test/api/orders",
		"//evil.example/api/orders", "//evil.example/../api/orders", "///evil.example/api/orders/", "//evil.example//",
		"/%2fevil.example/api/orders/..", "/%5cevil.example/../api/orders/", `/\evil.example/api/orders/`, "//evil.example/%2e%2e/api/orders",
		"/api//evil.example/../orders", "/api/orders//evil.example/..", "/api/orders/?u=//evil.example", "http://evil.example/api//orders",
	}
	lacking := "Authorization: Bearer " + a.as.Token(oauthtest.Scope("orders:write"))
	good := "Authorization: Bearer " + a.as.Token(oauthtest.Scope("orders:read"))
	for name, h := range a.groups(scopes.All("orders:read")) {
		s := serve(t, h)
		t.Run("K8/"+name, func(t *testing.T) {
			for _, target := range variants {
				for _, lines := range [][]string{nil, {"X-Original-URL: /health"}, {lacking}} {
					got := s.send("GET", target, lines...)
					if code := status(t, got); code < 300 || a.ran.Load() != 0 {
						t.Errorf("%s: %d, the handler ran %d times", target, code, a.ran.Load())
					}
				}
			}
		})
		t.Run("K9/"+name, func(t *testing.T) {
			redirects := 0
			for _, target := range variants {
				for _, lines := range [][]string{nil, {lacking}, {good}, {good, "X-Forwarded-Prefix: //evil.example", "X-Forwarded-Host: evil.example"}} {
					if checkLocation(t, target, s.send("GET", target, lines...)) {
						redirects++
					}
				}
			}
			if redirects == 0 && name != "echo" { // which does not redirect by itself
				t.Error("no redirect was seen")
			}
			a.ran.Store(0)
		})
		t.Run("BT-01/registered_path_"+name, func(t *testing.T) {
			if got := s.send("GET", "/api/orders", good); status(t, got) != 200 || a.ran.Swap(0) != 1 {
				t.Errorf("got\n%s", got)
			}
		})
		t.Run("K11/K12_strange_methods_"+name, func(t *testing.T) {
			for _, target := range [][2]string{{"FOO", "/api/orders"}, {"get", "/api/orders"}, {"CONNECT", "api.test:80"}, {"OPTIONS", "*"}} {
				for _, lines := range [][]string{nil, {lacking}} {
					if s.send(target[0], target[1], lines...); a.ran.Load() != 0 {
						t.Errorf("%s %s: the handler ran", target[0], target[1])
					}
				}
			}
		})
	}
}

// checkLocation reports whether answer is a redirect, which may only lead to the
// same host and repeats no token.
func checkLocation(t testing.TB, target, answer string) bool {
	t.Helper()
	_, rest, ok := strings.Cut(answer, "\nLocation: ")
	if !ok {
		return false
	}
	location, _, _ := strings.Cut(rest, "\n")
	u, err := url.Parse(strings.ReplaceAll(location, `\`, "/")) // as browsers read it
	if err != nil || u.Host != "" && u.Host != "api.test" || strings.Contains(location, "eyJ") {
		t.Errorf("%s: Location %s", target, location)
	}
	return true
}

// TestHostPatterns: other spellings of a host miss a pattern with a host, or are
// guarded like the host itself.
func TestHostPatterns(t *testing.T) {
	a := newSimpleApp(t)
	mux := http.NewServeMux()
	mux.Handle("api.test/orders", nethttp.Require(a.g)(http.HandlerFunc(a.protected)))
	e := echo.New()
	e.Host("api.test").GET("/orders", func(c echo.Context) error { a.protected(c.Response(), c.Request()); return nil }, echov4.Require(a.g))
	for name, h := range map[string]http.Handler{"net_http": mux, "echo": e} {
		t.Run("K32/"+name, func(t *testing.T) {
			s := serve(t, h)
			for _, host := range []string{"api.test", "API.TEST", "api.test.", "api.test:80", "api.test:8080", "evil.test", "[::1]", "api.test@evil.test"} {
				got := s.raw("GET /orders HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
				if code := status(t, got); code < 400 || code >= 500 || a.ran.Load() != 0 || host == "api.test" && code != 401 {
					t.Errorf("%s: %d, the handler ran %d times", host, code, a.ran.Load())
				}
			}
			if got := s.send("GET", "/orders", a.good); status(t, got) != 200 || a.ran.Swap(0) != 1 {
				t.Errorf("with a token\n%s", got)
			}
		})
	}
}

// TestWire holds requests that only a raw connection can make.
func TestWire(t *testing.T) {
	a := newSimpleApp(t)
	routes := []route{{"/orders", []guard{behind(a.g)}, a.protected}}
	const head = "POST /orders HTTP/1.1\r\nHost: api.test\r\n"
	for _, f := range frameworks {
		s := serve(t, f.build(routes))
		for _, tc := range []struct {
			name    string
			request string
			want    int // of the first answer
		}{
			{"BT-18/A17_token_in_a_trailer", head + "Connection: close\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n1\r\nx\r\n0\r\n" + a.good + "\r\n\r\n", 401},
			{"A20/NUL", head + "Connection: close\r\nAuthorization: Bearer a\x00b\r\n\r\n", 400},
			{"A20/bare_CR", head + "Connection: close\r\nAuthorization: Bearer a\rb\r\n\r\n", 400},
			{"A20/blank_before_colon", head + "Connection: close\r\n" + strings.Replace(a.good, ":", " :", 1) + "\r\n\r\n", 400},
			{"A38/over_a_megabyte", head + "Connection: close\r\nAuthorization: Bearer " + strings.Repeat("a", 2<<20) + "\r\n\r\n", 431},
			{"A48/smuggled_request", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /orders HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n", 401},
			{"BT-20/second_request_on_the_connection", head + "Content-Length: 0\r\n" + a.good + "\r\n\r\nGET /orders HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n", 200},
		} {
			t.Run(tc.name+"/"+f.name, func(t *testing.T) {
				a.ran.Store(0)
				got := s.raw(tc.request)
				if code := status(t, got); code != tc.want {
					t.Errorf("%d, want %d", code, tc.want)
				}
				passed := int64(strings.Count(got, "HTTP/1.1 200"))
				if a.ran.Load() != passed || tc.want != 200 && passed != 0 || tc.want == 200 && (passed != 1 || !strings.Contains(got, "HTTP/1.1 401")) {
					t.Errorf("the handler ran %d times:\n%s", a.ran.Load(), got)
				}
			})
		}
	}
}

// TestParallel: frameworks reuse their contexts; principals must not travel with
// them (K23, K24).
func TestParallel(t *testing.T) {
	a := newSimpleApp(t)
	token := func(i int) string { return a.as.Token(oauthtest.Subject(fmt.Sprintf("user-%d", i))) }
	for _, f := range frameworks {
		s := serve(t, f.build([]route{{"/orders", []guard{{g: a.g, optional: true}}, a.protected}}))
		t.Run("GO-03/K24_"+f.name, func(t *testing.T) {
			var wg sync.WaitGroup
			for i := range 40 {
				lines, body := []string{"Authorization: Bearer " + token(i)}, fmt.Sprintf("user-%d", i)
				if i%4 == 0 {
					lines, body = nil, "anonymous"
				}
				wg.Go(func() {
					if got := s.send("GET", "/orders", lines...); got != want(t, "200 "+body) {
						t.Errorf("request %d: %s", i, got)
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestHandlers looks at what a protected handler gets and does.
func TestHandlers(t *testing.T) {
	a := newSimpleApp(t)
	stream := func(w http.ResponseWriter, _ *http.Request) {
		for i := range 2 {
			fmt.Fprintf(w, "data: %d\n", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}
	}
	upgrade := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
	}
	panicking := func(http.ResponseWriter, *http.Request) { panic("handler") }
	routes := []route{
		{"/stream", []guard{behind(a.g), behind(a.g)}, stream},
		{"/upgrade", []guard{behind(a.g)}, upgrade},
		{"/panic", []guard{behind(a.g)}, panicking},
	}
	for _, f := range frameworks {
		s := serve(t, f.build(routes))
		t.Run("GO-16/flush_"+f.name, func(t *testing.T) {
			got := s.send("GET", "/stream", a.good)
			if !strings.Contains(got, "Transfer-Encoding: chunked") || !strings.Contains(got, "data: 0") || !strings.Contains(got, "data: 1") {
				t.Errorf("got\n%s", got)
			}
		})
		t.Run("GO-16/hijack_"+f.name, func(t *testing.T) {
			got := s.raw("GET /upgrade HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n" + a.good + "\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 101") || !strings.HasSuffix(got, "hello") {
				t.Errorf("got\n%s", got)
			}
		})
		t.Run("HT-13/K28_upgrade_without_token_"+f.name, func(t *testing.T) {
			got := s.send("GET", "/upgrade", "Upgrade: echo")
			if status(t, got) != 401 || strings.Contains(got, "101") {
				t.Errorf("got\n%s", got)
			}
		})
		t.Run("SE-02/K26_panic_of_the_handler_"+f.name, func(t *testing.T) {
			if got := s.raw("GET /panic HTTP/1.1\r\nHost: api.test\r\n" + a.good + "\r\n\r\n"); got != "" {
				t.Errorf("got %q", got)
			}
			text := s.log.String()
			if !strings.Contains(text, "panic serving") || strings.Contains(text, strings.TrimPrefix(a.good, "Authorization: Bearer ")[:20]) {
				t.Errorf("log: %s", text)
			}
		})
	}
}

// TestFrameworkStores: the token is in the request context and nowhere else.
func TestFrameworkStores(t *testing.T) {
	a := newSimpleApp(t)
	t.Run("GO-08/echo", func(t *testing.T) {
		e := echo.New()
		e.GET("/orders", func(c echo.Context) error {
			for _, key := range []string{"user", "token", "claims", "principal", "jwt"} {
				if c.Get(key) != nil {
					t.Errorf("%q is set in Echo's store", key)
				}
			}
			a.protected(c.Response(), c.Request())
			return nil
		}, echov4.Require(a.g))
		if got := serve(t, e).send("GET", "/orders", a.good); got != want(t, "200 user-1") {
			t.Errorf("got\n%s", got)
		}
	})
	t.Run("GO-08/echo_own_error_handler", func(t *testing.T) {
		plain, spoiling := echo.New(), echo.New()
		spoiling.HTTPErrorHandler = func(_ error, c echo.Context) {
			c.Response().Header().Del("WWW-Authenticate")
			c.String(http.StatusTeapot, "spoiled")
		}
		for _, e := range []*echo.Echo{plain, spoiling} {
			e.GET("/orders", func(c echo.Context) error { a.protected(c.Response(), c.Request()); return nil }, echov4.Require(a.g, scopes.All("x")))
		}
		for code, lines := range map[int][]string{401: nil, 400: {"Authorization: Bearer a b"}, 403: {a.good}} {
			got, spoiled := serve(t, plain).send("GET", "/orders", lines...), serve(t, spoiling).send("GET", "/orders", lines...)
			if status(t, got) != code || !strings.Contains(got, "Www-Authenticate: ") || got != spoiled {
				t.Errorf("got\n%s\nwith the handler\n%s", got, spoiled)
			}
		}
	})
	t.Run("GO-09/gin", func(t *testing.T) {
		r := gin.New()
		r.GET("/orders", ginv1.Require(a.g), func(c *gin.Context) {
			if len(c.Keys) > 0 {
				t.Errorf("Gin's keys: %v", c.Keys)
			}
			a.protected(c.Writer, c.Request)
		})
		if got := serve(t, r).send("GET", "/orders", a.good); got != want(t, "200 user-1") {
			t.Errorf("got\n%s", got)
		}
	})
	t.Run("GO-09/gin_later_handlers_do_not_run", func(t *testing.T) {
		r := gin.New()
		later := func(*gin.Context) { t.Error("a later handler ran") }
		r.GET("/orders", ginv1.Require(a.g, scopes.All("x")), later, later)
		if got := serve(t, r).send("GET", "/orders", a.good); status(t, got) != 403 {
			t.Errorf("got\n%s", got)
		}
	})
}
