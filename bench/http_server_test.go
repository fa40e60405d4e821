// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/bearerguard/bearerguard/adapters/echov4"
	"github.com/bearerguard/bearerguard/adapters/ginv1"
	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// httpServerEnv holds an httpSetup in JSON in a process that is to be a server rather
// than to run tests.
const httpServerEnv = "BENCH_HTTP_SERVER"

// httpRoute is the one route of each server.
const httpRoute = "/orders"

// httpSetup says what a server process serves.
type httpSetup struct {
	Framework, Impl string
	CacheEntries    int
	Trust           httpTrust
}

// httpUsage is what a server process has used since it was started: CPU or the rest,
// as it was asked.
type httpUsage struct {
	CPU            int64 // user and system time in nanoseconds
	Mallocs, Bytes uint64
}

// httpServe is the main function of a server process. It writes its address to
// standard output, then an httpUsage for each line of standard input. It ends with
// standard input, hence also when the process that started it is no more.
func httpServe(setup string) error {
	handler, err := httpHandlerOf(setup)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if name := os.Getenv(serverProfileEnv); name != "" {
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	server := &http.Server{Handler: handler}
	defer server.Close()
	go server.Serve(l) // until Close
	fmt.Println(l.Addr())
	return httpReport(os.Stdin, os.Stdout)
}

// httpReport answers each line of in, which asks for "cpu" or "memory". The two are
// apart since reading the latter takes much of the former.
func httpReport(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var u httpUsage
		var err error
		switch lines.Text() {
		case "cpu":
			u.CPU, err = httpCPU()
		case "memory":
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			u.Mallocs, u.Bytes = mem.Mallocs, mem.TotalAlloc
		}
		if err == nil {
			err = json.NewEncoder(out).Encode(u)
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

func httpHandlerOf(text string) (http.Handler, error) {
	var s httpSetup
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, err
	}
	switch s.Framework {
	case "nethttp":
		return s.netHTTP()
	case "echo":
		return s.echo()
	case "gin":
		return s.gin()
	}
	return nil, fmt.Errorf("no framework %q", s.Framework)
}

func (s httpSetup) netHTTP() (http.Handler, error) {
	protect, err := s.netHTTPProtection()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+httpRoute, protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "ok")
	})))
	return mux, nil
}

func (s httpSetup) netHTTPProtection() (func(http.Handler) http.Handler, error) {
	switch s.Impl {
	case "unprotected":
		return func(h http.Handler) http.Handler { return h }, nil
	case "bearerguard":
		g, err := s.guard()
		if err != nil {
			return nil, err
		}
		return nethttp.Require(g, scopes.All(s.Trust.Scope)), nil
	case "auth0":
		return httpAuth0(s.Trust)
	case "mcp-go-sdk":
		return httpMCP(context.Background(), s.Trust)
	}
	return nil, fmt.Errorf("no %q for net/http", s.Impl)
}

func (s httpSetup) echo() (http.Handler, error) {
	var protect []echo.MiddlewareFunc
	var err error
	switch s.Impl {
	case "unprotected":
	case "bearerguard":
		var g *middleware.Guard
		if g, err = s.guard(); err == nil {
			protect = []echo.MiddlewareFunc{echov4.Require(g, scopes.All(s.Trust.Scope))}
		}
	case "echo-jwt":
		protect, err = httpEchoJWT(context.Background(), s.Trust)
	default:
		err = fmt.Errorf("no %q for Echo", s.Impl)
	}
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.GET(httpRoute, func(c echo.Context) error { return c.String(http.StatusOK, "ok") }, protect...)
	return e, nil
}

func (s httpSetup) gin() (http.Handler, error) {
	var protect []gin.HandlerFunc
	switch s.Impl {
	case "unprotected":
	case "bearerguard":
		g, err := s.guard()
		if err != nil {
			return nil, err
		}
		protect = []gin.HandlerFunc{ginv1.Require(g, scopes.All(s.Trust.Scope))}
	default:
		return nil, fmt.Errorf("no %q for Gin", s.Impl)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET(httpRoute, append(protect, func(c *gin.Context) { c.String(http.StatusOK, "ok") })...)
	return r, nil
}

// guard is bearerguard as the README sets it up, with keys that are fetched.
func (s httpSetup) guard() (*middleware.Guard, error) {
	keys, err := jwkscache.New(jwkscache.Config{URL: s.Trust.Keys, InsecureHosts: []string{"loopback"}})
	if err != nil {
		return nil, err
	}
	v, err := verifier.New(verifier.Config{
		Issuer:       s.Trust.Issuer,
		Audience:     []string{s.Trust.Audience},
		Keys:         keys, // open for as long as the process lives
		CacheEntries: s.CacheEntries,
	})
	if err != nil {
		return nil, err
	}
	return middleware.New(middleware.Config{Verifier: v})
}
