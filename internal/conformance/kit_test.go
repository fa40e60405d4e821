// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/bearerguard/bearerguard/adapters/echov4"
	"github.com/bearerguard/bearerguard/adapters/ginv1"
	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/internal/memnet"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

const api = "https://api.orders.example/v2"

// route is one route as every framework registers it: for all methods, behind its
// guards, the outermost first.
type route struct {
	path    string
	guards  []guard
	handler http.HandlerFunc
}

type guard struct {
	g        *middleware.Guard
	optional bool
	reqs     []verifier.Requirement
}

func behind(g *middleware.Guard, reqs ...verifier.Requirement) guard {
	return guard{g: g, reqs: reqs}
}

// framework builds one server of the routes. Each has an error handler or outer
// layer that would spoil an answer which the adapter does not finish itself.
type framework struct {
	name  string
	build func([]route) http.Handler
}

var frameworks = []framework{{"net_http", buildNetHTTP}, {"echo", buildEcho}, {"gin", buildGin}}

func buildNetHTTP(routes []route) http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes {
		var h http.Handler = rt.handler
		for _, gd := range slices.Backward(rt.guards) {
			if gd.optional {
				h = nethttp.Optional(gd.g)(h)
			} else {
				h = nethttp.Require(gd.g, gd.reqs...)(h)
			}
		}
		mux.Handle(rt.path, h)
	}
	return mux
}

func buildEcho(routes []route) http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = func(_ error, c echo.Context) {
		c.Response().Header().Del("WWW-Authenticate")
		c.String(http.StatusTeapot, "spoiled")
	}
	for _, rt := range routes {
		var layers []echo.MiddlewareFunc
		for _, gd := range rt.guards {
			if gd.optional {
				layers = append(layers, echov4.Optional(gd.g))
			} else {
				layers = append(layers, echov4.Require(gd.g, gd.reqs...))
			}
		}
		e.Any(rt.path, func(c echo.Context) error {
			rt.handler(c.Response(), c.Request())
			return nil
		}, layers...)
	}
	return e
}

func buildGin(routes []route) http.Handler {
	r := gin.New()
	r.Use(func(c *gin.Context) {
		c.Next()
		if c.IsAborted() && !c.Writer.Written() {
			c.Writer.Header().Del("WWW-Authenticate")
			c.Status(http.StatusTeapot)
		}
	})
	for _, rt := range routes {
		var chain []gin.HandlerFunc
		for _, gd := range rt.guards {
			if gd.optional {
				chain = append(chain, ginv1.Optional(gd.g))
			} else {
				chain = append(chain, ginv1.Require(gd.g, gd.reqs...))
			}
		}
		r.Any(rt.path, append(chain, func(c *gin.Context) { rt.handler(c.Writer, c.Request) })...)
	}
	return r
}

// server is a running API.
type server struct {
	t    testing.TB
	wire *memnet.Listener
	log  *logged // what the server itself has to say
}

// serve runs h until the test ends, over HTTP/1.1 and HTTP/2 without TLS.
func serve(t testing.TB, h http.Handler) *server {
	t.Helper()
	l := memnet.Listen("api.test:80")
	text := new(logged)
	srv := &http.Server{Handler: h, Protocols: protocols(true, true), ErrorLog: log.New(text, "", 0)}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return &server{t, l, text}
}

func protocols(one, two bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(one)
	p.SetUnencryptedHTTP2(two)
	return p
}

// raw sends these bytes and returns what comes back until the server closes.
func (s *server) raw(request string) string {
	s.t.Helper()
	conn, err := s.wire.Dial(s.t.Context(), "", "")
	if err != nil {
		s.t.Fatal(err)
	}
	var sending sync.WaitGroup
	// The server may answer before it has read everything.
	sending.Go(func() { io.WriteString(conn, request) })
	answer, err := io.ReadAll(conn)
	conn.Close()
	sending.Wait()
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) {
		s.t.Error(err)
	}
	return string(answer)
}

// send makes an HTTP/1.1 request of a method, a target and header lines, and
// returns the answer as the golden files have it.
func (s *server) send(method, target string, lines ...string) string {
	s.t.Helper()
	request := method + " " + target + " HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n"
	for _, line := range lines {
		request += line + "\r\n"
	}
	return golden(s.raw(request + "\r\n"))
}

// golden takes what differs between runs and methods out of an answer.
func golden(wire string) string {
	head, body, _ := strings.Cut(wire, "\r\n\r\n")
	var kept []string
	for _, line := range strings.Split(head, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		if name != "Date" && name != "Content-Length" && name != "Connection" {
			kept = append(kept, line)
		}
	}
	if body != "" {
		kept = append(kept, "", body)
	}
	return strings.Join(kept, "\n") + "\n"
}

// send2 is send over HTTP/2.
func (s *server) send2(method, target string, header http.Header) string {
	s.t.Helper()
	tr := &http.Transport{DialContext: s.wire.Dial, Protocols: protocols(false, true)}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://api.test"+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = header
	resp, err := tr.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.ProtoMajor != 2 {
		s.t.Fatalf("%s, want HTTP/2", resp.Proto)
	}
	var lines []string
	for name, values := range resp.Header {
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	slices.Sort(lines)
	return golden(fmt.Sprintf("HTTP/1.1 %s\r\n%s\r\n\r\n%s", resp.Status, strings.Join(lines, "\r\n"), body))
}

// want returns the golden answer of this name, or for "200 …" the answer of the
// protected handler.
func want(t testing.TB, name string) string {
	t.Helper()
	if body, ok := strings.CutPrefix(name, "200 "); ok {
		return "HTTP/1.1 200 OK\nContent-Type: text/plain; charset=utf-8\n\n" + body + "\n"
	}
	text, err := os.ReadFile(filepath.Join("../../testdata/challenges", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// app is what the table is run against: an issuer, guards that trust it, and the
// routes. Its handlers count how often they ran.
type app struct {
	as     *oauthtest.Server
	down   *oauthtest.Server // an issuer that never answers
	ran    atomic.Int64
	log    *logged
	routes []route
}

// logged collects the text of events, or of a log.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) hook(ev verifier.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, "%+v %v %v\n", ev, ev.Class, ev.Cause)
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// protected answers with the principal of the request.
func (a *app) protected(w http.ResponseWriter, r *http.Request) {
	a.ran.Add(1)
	tok, ok := middleware.TokenFrom(r.Context())
	if !ok {
		io.WriteString(w, "anonymous")
		return
	}
	io.WriteString(w, tok.Subject)
}

// spoken is a verifier that fails with a class the token names, and asks the real
// one about every other token: for classes that no feature produces yet.
type spoken struct {
	middleware.TokenVerifier
	classes map[string]error
}

func (s spoken) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	if class := s.classes[raw]; class != nil {
		return nil, class
	}
	return s.TokenVerifier.VerifyBound(ctx, raw, confirm, reqs...)
}

func newVerifier(t testing.TB, cfg verifier.Config) *verifier.Verifier {
	t.Helper()
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newGuard(t testing.TB, cfg middleware.Config) *middleware.Guard {
	t.Helper()
	g, err := middleware.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
