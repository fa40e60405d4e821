// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/bearerguard/bearerguard/adapters/echov4"
	"github.com/bearerguard/bearerguard/adapters/ginv1"
	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/oauthtest"
)

// withRoutes is a handler with the routes that its router lists.
type withRoutes struct {
	http.Handler
	routes []string
}

// listing is a ServeMux that keeps its patterns, with layers for what is registered
// after them: what an application writes that wants a Use.
type listing struct {
	http.ServeMux
	routes []string
	layers []func(http.Handler) http.Handler
}

func (l *listing) Use(layer func(http.Handler) http.Handler) { l.layers = append(l.layers, layer) }

func (l *listing) HandleFunc(pattern string, f http.HandlerFunc) {
	l.routes = append(l.routes, pattern)
	var h http.Handler = f
	for _, layer := range slices.Backward(l.layers) {
		h = layer(h)
	}
	l.Handle(pattern, h)
}

func ofEcho(e *echo.Echo) withRoutes {
	var routes []string
	for _, rt := range e.Routes() {
		routes = append(routes, rt.Method+" "+rt.Path)
	}
	return withRoutes{e, routes}
}

func ofGin(r *gin.Engine) withRoutes {
	var routes []string
	for _, rt := range r.Routes() {
		routes = append(routes, rt.Method+" "+rt.Path)
	}
	return withRoutes{r, routes}
}

// routed builds the same routes in each framework; late puts the guard behind those
// of the group.
func (a *simpleApp) routed(late bool) map[string]withRoutes {
	m := new(listing)
	m.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	if !late {
		m.Use(nethttp.Require(a.g))
	}
	m.HandleFunc("GET /api/orders/{id}", a.protected)
	m.HandleFunc("POST /api/orders", a.protected)
	m.HandleFunc("GET /api/files/{path...}", a.protected)
	if late {
		m.Use(nethttp.Require(a.g))
	}

	e := echo.New()
	e.GET("/health", func(c echo.Context) error { return c.String(200, "ok") })
	eg := e.Group("/api")
	if !late {
		eg.Use(echov4.Require(a.g))
	}
	handle := func(c echo.Context) error { a.protected(c.Response(), c.Request()); return nil }
	eg.GET("/orders/:id", handle)
	eg.POST("/orders", handle)
	eg.GET("/files/*", handle)
	if late {
		eg.Use(echov4.Require(a.g))
	}

	r := gin.New()
	r.GET("/health", func(c *gin.Context) { c.String(200, "ok") })
	rg := r.Group("/api")
	if !late {
		rg.Use(ginv1.Require(a.g))
	}
	rg.GET("/orders/:id", func(c *gin.Context) { a.protected(c.Writer, c.Request) })
	rg.POST("/orders", func(c *gin.Context) { a.protected(c.Writer, c.Request) })
	rg.GET("/files/*path", func(c *gin.Context) { a.protected(c.Writer, c.Request) })
	if late {
		rg.Use(ginv1.Require(a.g))
	}
	return map[string]withRoutes{"net_http": {m, m.routes}, "echo": ofEcho(e), "gin": ofGin(r)}
}

// complaints collects failures instead of failing.
type complaints struct {
	testing.TB
	list []string
}

func (c *complaints) Helper() {}
func (c *complaints) Errorf(format string, args ...any) {
	c.list = append(c.list, format)
}

func TestRouteCoverage(t *testing.T) {
	a := newSimpleApp(t)
	for name, l := range a.routed(false) {
		t.Run("K1/guarded_"+name, func(t *testing.T) {
			if len(l.routes) < 4 {
				t.Fatalf("routes %q", l.routes)
			}
			oauthtest.CheckRoutes(t, l, l.routes, "GET /health")
			if n := a.ran.Load(); n != 0 {
				t.Errorf("protected handlers ran %d times", n)
			}
		})
		t.Run("K8/guarded_"+name, func(t *testing.T) { oauthtest.CheckPaths(t, l, l.routes, "GET /health") })
	}
	for name, l := range a.routed(true) {
		t.Run("K1/Use_after_the_routes_"+name, func(t *testing.T) {
			c := &complaints{TB: t}
			oauthtest.CheckRoutes(c, l, l.routes, "GET /health")
			if len(c.list) != 3 {
				t.Errorf("%d complaints, want one for each route: %q", len(c.list), c.list)
			}
		})
	}
	t.Run("K1/Use_of_all_Echo_works_late", func(t *testing.T) {
		e := echo.New()
		e.GET("/orders", func(c echo.Context) error { return c.String(200, "secret") })
		e.Use(echov4.Require(a.g))
		l := ofEcho(e)
		oauthtest.CheckRoutes(t, l, l.routes)
	})
	t.Run("K1/Use_of_all_Gin_does_not", func(t *testing.T) {
		r := gin.New()
		r.GET("/orders", func(c *gin.Context) { c.String(200, "secret") })
		r.Use(ginv1.Require(a.g))
		c, l := &complaints{TB: t}, ofGin(r)
		oauthtest.CheckRoutes(c, l, l.routes)
		if len(c.list) != 1 {
			t.Errorf("complaints %q", c.list)
		}
	})
}

// The routers of TestPathConfusion have GET /api/orders, with a guard on it or without.

func (a *simpleApp) ginWith(set func(*gin.Engine)) func(guarded bool) http.Handler {
	return func(guarded bool) http.Handler {
		r := gin.New()
		set(r)
		chain := []gin.HandlerFunc{func(c *gin.Context) { a.protected(c.Writer, c.Request) }}
		if guarded {
			chain = append([]gin.HandlerFunc{ginv1.Require(a.g)}, chain...)
		}
		r.GET("/api/orders", chain...)
		return r
	}
}

func (a *simpleApp) echoWith(set func(*echo.Echo)) func(guarded bool) http.Handler {
	return func(guarded bool) http.Handler {
		e := echo.New()
		set(e)
		var layers []echo.MiddlewareFunc
		if guarded {
			layers = append(layers, echov4.Require(a.g))
		}
		e.GET("/api/orders", func(c echo.Context) error { a.protected(c.Response(), c.Request()); return nil }, layers...)
		return e
	}
}

func (a *simpleApp) muxWith(set func(http.Handler) http.Handler) func(guarded bool) http.Handler {
	return func(guarded bool) http.Handler {
		var h http.Handler = http.HandlerFunc(a.protected)
		if guarded {
			h = nethttp.Require(a.g)(h)
		}
		m := http.NewServeMux()
		m.Handle("/api/orders", h)
		return set(m)
	}
}

func lowered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.ToLower(r.URL.Path)
		next.ServeHTTP(w, r)
	})
}

func stripped(next http.Handler) http.Handler {
	outer := http.NewServeMux()
	outer.Handle("/v1/", http.StripPrefix("/v1", next))
	outer.Handle("/api/", next)
	return outer
}

// slashRemoved routes a path with a slash at its end as the one without, or redirects to
// that, as applications often do in front of Echo's router.
func slashRemoved(redirect bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			u := c.Request().URL
			bare := strings.TrimSuffix(u.Path, "/")
			switch {
			case bare == "" || bare == u.Path:
			case redirect:
				return c.Redirect(http.StatusPermanentRedirect, "/"+strings.TrimLeft(bare, `/\`))
			default:
				u.Path = bare
			}
			return next(c)
		}
	}
}

// TestPathConfusion: settings by which routers tidy up paths harm no guard on a route,
// but one in front of the router that compares paths.
func TestPathConfusion(t *testing.T) {
	a := newSimpleApp(t)
	for _, tc := range []struct {
		name   string
		build  func(guarded bool) http.Handler
		caught bool // with a guard that compares paths
	}{
		{"gin_RedirectFixedPath", a.ginWith(func(r *gin.Engine) { r.RedirectFixedPath = true }), false},
		{"gin_RemoveExtraSlash", a.ginWith(func(r *gin.Engine) { r.RemoveExtraSlash = true }), true},
		{"gin_UseRawPath", a.ginWith(func(r *gin.Engine) { r.UseRawPath, r.UnescapePathValues = true, true }), false},
		{"gin_UseRawPath_RemoveExtraSlash", a.ginWith(func(r *gin.Engine) { r.UseRawPath, r.RemoveExtraSlash = true, true }), true},
		{"echo", a.echoWith(func(*echo.Echo) {}), false},
		{"echo_slash_removed", a.echoWith(func(e *echo.Echo) { e.Pre(slashRemoved(false)) }), true},
		{"echo_slash_redirected", a.echoWith(func(e *echo.Echo) { e.Pre(slashRemoved(true)) }), false},
		{"net_http", a.muxWith(func(h http.Handler) http.Handler { return h }), false},
		{"net_http_case", a.muxWith(lowered), true},
		{"net_http_StripPrefix", a.muxWith(stripped), false},
	} {
		routes := []string{"GET /api/orders"}
		t.Run("K8/guard_on_the_route_"+tc.name, func(t *testing.T) {
			oauthtest.CheckRoutes(t, tc.build(true), routes)
			oauthtest.CheckPaths(t, tc.build(true), routes)
		})
		t.Run("K8/guard_that_compares_"+tc.name, func(t *testing.T) {
			bare := tc.build(false)
			behind := nethttp.Require(a.g)(bare)
			c := &complaints{TB: t}
			oauthtest.CheckPaths(c, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/orders" {
					behind.ServeHTTP(w, r)
					return
				}
				bare.ServeHTTP(w, r)
			}), routes)
			if (len(c.list) > 0) != tc.caught {
				t.Errorf("complaints %q", c.list)
			}
		})
	}
}

// TestSoundApplications: what applications have beside their guarded routes is no
// failure, in the frameworks' own ways.
func TestSoundApplications(t *testing.T) {
	a := newSimpleApp(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<html>page"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, build := range map[string]func(dir string) (l withRoutes, public []string){
		"echo":             a.largeEcho,
		"echo_single_page": a.singlePageEcho,
		"gin":              a.largeGin,
	} {
		l, public := build(dir)
		t.Run("K1/"+name, func(t *testing.T) { oauthtest.CheckRoutes(t, l, l.routes, public...) })
		t.Run("K8/"+name, func(t *testing.T) { oauthtest.CheckPaths(t, l, l.routes, public...) })
	}
}

func (a *simpleApp) largeEcho(dir string) (withRoutes, []string) {
	e := echo.New()
	e.Use(middleware.Recover(), middleware.CORS(), middleware.Gzip(), middleware.Secure(), middleware.RequestID())
	e.Static("/assets", dir)
	e.File("/", filepath.Join(dir, "index.html"))
	e.RouteNotFound("/*", func(c echo.Context) error { return c.File(filepath.Join(dir, "index.html")) })
	guard := echov4.Require(a.g)
	text := func(c echo.Context) error { return c.String(200, "secret "+c.Param("id")) }
	e.GET("/users/me", text, guard)
	e.GET("/users/:name", func(c echo.Context) error { return c.String(200, "profile of "+c.Param("name")) })
	g := e.Group("/api", guard)
	g.GET("/orders/:id", text)
	g.GET("/me/", text)
	g.Any("/any", text)
	g.Static("/private", dir)
	return ofEcho(e), []string{"GET /assets*", "GET /", "GET /users/:name", "OPTIONS /api/any"}
}

// singlePageEcho has a file server that answers 500 for names that no file can have.
func (a *simpleApp) singlePageEcho(dir string) (withRoutes, []string) {
	e := echo.New()
	e.Pre(middleware.RemoveTrailingSlash())
	e.Use(middleware.StaticWithConfig(middleware.StaticConfig{Root: dir, HTML5: true}))
	e.Group("/api", echov4.Require(a.g)).GET("/orders", func(c echo.Context) error { return c.String(200, "secret") })
	return ofEcho(e), nil
}

func (a *simpleApp) largeGin(dir string) (withRoutes, []string) {
	r := gin.New()
	r.RedirectFixedPath, r.HandleMethodNotAllowed = true, true
	r.Use(gin.Recovery())
	r.Static("/assets", dir)
	r.NoRoute(func(c *gin.Context) { c.File(filepath.Join(dir, "index.html")) })
	guard := ginv1.Require(a.g)
	text := func(c *gin.Context) { c.String(200, "secret "+c.Param("id")) }
	r.GET("/users/me", guard, text)
	r.GET("/users/:name", func(c *gin.Context) { c.String(200, "profile of "+c.Param("name")) })
	g := r.Group("/api", guard)
	g.GET("/orders/:id", text)
	g.Any("/any", text)
	g.GET(`/op\:start`, text)
	g.StaticFS("/private", http.Dir(dir))
	return ofGin(r), []string{"GET /assets/*filepath", "HEAD /assets/*filepath", "GET /users/:name"}
}

// TestGuardsThatDoNotStop: a middleware that answers 401 and forgets to end the chain is
// seen by what the handler adds.
func TestGuardsThatDoNotStop(t *testing.T) {
	challenge := func(r *http.Request) string {
		if r.Header.Get("Authorization") != "" {
			return `Bearer realm="x", error="invalid_token"`
		}
		return `Bearer realm="x"`
	}
	m := http.NewServeMux()
	m.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "order made") })
	m.HandleFunc("GET /orders", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "orders") })
	m.HandleFunc("GET /users", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "users") })
	r := gin.New()
	r.Use(func(c *gin.Context) {
		c.Header("WWW-Authenticate", challenge(c.Request))
		c.JSON(401, gin.H{"error": "unauthorized"})
	})
	r.POST("/orders", func(c *gin.Context) { c.JSON(200, "order made") })
	r.GET("/orders", func(c *gin.Context) { c.JSON(200, "orders") })
	r.GET("/users", func(c *gin.Context) { c.JSON(200, "users") })
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Header().Set("WWW-Authenticate", challenge(c.Request()))
			if err := c.String(401, "unauthorized"); err != nil {
				return err
			}
			return next(c)
		}
	})
	e.POST("/orders", func(c echo.Context) error { return c.String(200, "order made") })
	e.GET("/orders", func(c echo.Context) error { return c.String(200, "orders") })
	e.GET("/users", func(c echo.Context) error { return c.String(200, "users") })
	for name, h := range map[string]http.Handler{"gin": r, "echo": e, "net_http": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", challenge(r))
		w.WriteHeader(401)
		m.ServeHTTP(w, r)
	})} {
		t.Run(name, func(t *testing.T) {
			c := &complaints{TB: t}
			oauthtest.CheckRoutes(c, h, []string{"POST /orders", "GET /orders", "GET /users"})
			if len(c.list) != 3 {
				t.Errorf("%d complaints, want one for each route: %q", len(c.list), c.list)
			}
		})
	}
}
