// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"
)

const (
	ordersPath = "/orders"
	ordersRead = "orders:read"
	ordersBoth = "orders:read orders:list"
	// theOrders is what the protected handler writes and nothing else does.
	theOrders = "order 4711: three lamps"
)

func orders(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, theOrders) }

// mounts put a gate in front of the orders as each framework has it.
var mounts = map[string]func(*gate) http.Handler{
	"net/http": mountNetHTTP, "Echo": mountEcho, "Gin": mountGin,
}

func mountNetHTTP(g *gate) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(ordersPath, g.around(http.HandlerFunc(orders)))
	return mux
}

func (g *gate) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.pass(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

func mountEcho(g *gate) http.Handler {
	e := echo.New()
	e.Any(ordersPath, echoOrders, g.echo)
	return e
}

func echoOrders(c echo.Context) error { return c.String(http.StatusOK, theOrders) }

func (g *gate) echo(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !g.pass(c.Response(), c.Request()) {
			return nil
		}
		return next(c)
	}
}

func mountGin(g *gate) http.Handler {
	r := gin.New()
	r.Any(ordersPath, g.gin, ginOrders)
	return r
}

func ginOrders(c *gin.Context) { c.String(http.StatusOK, theOrders) }

func (g *gate) gin(c *gin.Context) {
	if !g.pass(c.Writer, c.Request) {
		c.Abort()
		c.Writer.WriteHeaderNow()
	}
}

// The mistakes of this file are in how a good gate is mounted.
var mountMutants = []mutant{
	{
		name: "returns_too_late", wrote: "writes the refusal and forgets to return, so that the handler runs as well",
		mount: func(g *gate) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				g.pass(w, r)
				orders(w, r)
			})
		},
		problem: accepted, cases: []string{"A1", "C1"},
	},
	{
		name: "serves_the_bare_mux", wrote: "wraps the mux with the middleware, but gives the mux itself to the server",
		mount: func(g *gate) http.Handler {
			mux := http.NewServeMux()
			mux.HandleFunc(ordersPath, orders)
			_ = g.around(mux)
			return mux
		},
		problem: accepted, cases: []string{"A1"},
	},
	{
		name: "guards_GET_only", wrote: "registers GET with the middleware, and the other methods without",
		mount: func(g *gate) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET "+ordersPath, g.around(http.HandlerFunc(orders)))
			mux.HandleFunc(ordersPath, orders)
			return mux
		},
		problem: accepted, cases: []string{"A43"},
	},
	{
		name: "verdict_in_a_field", wrote: "keeps the verdict in a field of the middleware, which all requests share",
		mount: func(g *gate) http.Handler {
			var shared atomic.Value
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				shared.Store(g.admit(r))
				time.Sleep(time.Millisecond) // as for an entry in a log
				if v := shared.Load().(verdict); v != pass {
					g.refuse(w, r, v)
					return
				}
				orders(w, r)
			})
		},
		problem: accepted, cases: []string{"K24.at_once"},
	},
	{
		name: "gin_no_abort", wrote: "writes 401 in Gin and returns, without c.Abort", in: []string{"Gin"},
		mount: func(g *gate) http.Handler {
			r := gin.New()
			r.Any(ordersPath, func(c *gin.Context) {
				if !g.pass(c.Writer, c.Request) {
					c.Writer.WriteHeaderNow()
				}
			}, ginOrders)
			return r
		},
		problem: accepted, cases: []string{"A1", "C1"},
	},
	{
		name: "gin_next_first", wrote: "calls c.Next before the check", in: []string{"Gin"},
		mount: func(g *gate) http.Handler {
			r := gin.New()
			r.Any(ordersPath, func(c *gin.Context) {
				c.Next()
				g.gin(c)
			}, ginOrders)
			return r
		},
		problem: accepted, cases: []string{"A1"},
	},
	{
		name: "gin_use_after_route", wrote: "calls Use after the route was registered", in: []string{"Gin"},
		mount: func(g *gate) http.Handler {
			r := gin.New()
			r.Any(ordersPath, ginOrders)
			r.Use(g.gin)
			return r
		},
		problem: accepted, cases: []string{"A1"},
	},
	{
		name: "gin_HEAD_left_open", wrote: "adds a HEAD route beside the guarded GET, without the middleware", in: []string{"Gin"},
		mount: func(g *gate) http.Handler {
			r := gin.New()
			for _, method := range []string{"GET", "POST", "OPTIONS", "TRACE"} {
				r.Handle(method, ordersPath, g.gin, ginOrders)
			}
			r.HEAD(ordersPath, ginOrders)
			return r
		},
		problem: accepted, cases: []string{"A40"},
	},
	{
		name: "echo_group_use_after_route", wrote: "calls Use on a group after its route was registered", in: []string{"Echo"},
		mount: func(g *gate) http.Handler {
			e := echo.New()
			group := e.Group("")
			group.Any(ordersPath, echoOrders)
			group.Use(g.echo)
			return e
		},
		problem: accepted, cases: []string{"A1"},
	},
	{
		name: "echo_goes_on", wrote: "writes 401 in Echo and calls next all the same", in: []string{"Echo"},
		mount: func(g *gate) http.Handler {
			e := echo.New()
			e.Any(ordersPath, echoOrders, func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					g.pass(c.Response(), c.Request())
					return next(c)
				}
			})
			return e
		},
		problem: accepted, cases: []string{"A1"},
	},
	{
		name: "echo_error_ignored", wrote: "lets the check return an error, and does not look at it", in: []string{"Echo"},
		mount: func(g *gate) http.Handler {
			authorize := func(c echo.Context) error {
				if v := g.admit(c.Request()); v != pass {
					return echo.NewHTTPError(v.status)
				}
				return nil
			}
			e := echo.New()
			e.Any(ordersPath, func(c echo.Context) error {
				_ = authorize(c)
				return echoOrders(c)
			})
			return e
		},
		problem: accepted, cases: []string{"A1", "C1"},
	},
	{
		name: "echo_error_handler", wrote: "lets Echo's error handler answer, which sends no challenge", in: []string{"Echo"},
		mount: func(g *gate) http.Handler {
			e := echo.New()
			e.Any(ordersPath, echoOrders, func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					if v := g.admit(c.Request()); v != pass {
						return echo.NewHTTPError(v.status)
					}
					return next(c)
				}
			})
			return e
		},
		problem: answered, cases: []string{"A1"},
	},
}
