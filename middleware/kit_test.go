// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/memnet"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// script is a TokenVerifier for which the token itself says what to answer:
// "ok", "ok~a~b" (with the scopes a and b), "bound", or a key of errs. It calls
// confirm and the rules in their order, as the real one does.
type script struct {
	errs map[string]error

	mu   sync.Mutex
	seen []string
}

func (s *script) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *verifier.Token) error, reqs ...verifier.Requirement) (*verifier.Token, error) {
	s.mu.Lock()
	s.seen = append(s.seen, raw)
	s.mu.Unlock()
	if err, ok := s.errs[raw]; ok {
		return nil, err
	}
	parts := strings.Split(raw, "~")
	tok := &verifier.Token{Issuer: "https://issuer.test", Subject: "user-1", Scopes: parts[1:], ExpiresAt: time.Unix(4e9, 0)}
	switch parts[0] {
	case "bound":
		tok.Confirmation.JWKThumbprint = strings.Repeat("x", 32)
	case "ok":
	default:
		return nil, &verifier.Error{Class: verifier.ErrMalformedToken}
	}
	if err := confirm(ctx, tok); err != nil {
		return nil, err
	}
	if err := tok.Require(reqs...); err != nil {
		return nil, err
	}
	return tok, nil
}

// tokens returns the tokens it was asked about.
func (s *script) tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *script) calls() int { return len(s.tokens()) }

// events collects what a hook is told.
type events struct {
	mu   sync.Mutex
	list []verifier.Event
}

func (e *events) hook(ev verifier.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

// take returns the events of a kind and forgets all.
func (e *events) take(kind verifier.EventKind) []verifier.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []verifier.Event
	for _, ev := range e.list {
		if ev.Kind == kind {
			found = append(found, ev)
		}
	}
	e.list = nil
	return found
}

// newGuard makes a Guard with a script of its own, after the edits.
func newGuard(t testing.TB, edits ...func(*middleware.Config)) (*middleware.Guard, *script) {
	t.Helper()
	s := new(script)
	cfg := middleware.Config{Verifier: s, Realm: "orders"}
	for _, edit := range edits {
		edit(&cfg)
	}
	g, err := middleware.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g, s
}

// behind puts h behind the rules of one route, as an adapter does.
func behind(t testing.TB, g *middleware.Guard, h http.HandlerFunc, reqs ...verifier.Requirement) http.HandlerFunc {
	t.Helper()
	rt, err := g.Route(reqs...)
	if err != nil {
		t.Fatal(err)
	}
	return guarded(rt, rt.Check, h)
}

// optional is behind for requests that may be anonymous.
func optional(t testing.TB, g *middleware.Guard, h http.HandlerFunc) http.HandlerFunc {
	t.Helper()
	rt, err := g.Route()
	if err != nil {
		t.Fatal(err)
	}
	return guarded(rt, rt.CheckOptional, h)
}

func guarded(rt *middleware.Route, check func(http.ResponseWriter, *http.Request) (*http.Request, error), h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		checked, err := check(w, r)
		if err != nil {
			rt.Deny(w, r, err)
			return
		}
		h(w, checked)
	}
}

// whoami is a protected handler: it answers with the subject.
func whoami(w http.ResponseWriter, r *http.Request) {
	tok, ok := middleware.TokenFrom(r.Context())
	if !ok {
		io.WriteString(w, "anonymous")
		return
	}
	io.WriteString(w, tok.Subject)
}

// response is an answer as a client reads it.
type response struct {
	*http.Response
	body string
}

func (r response) challenges() []string { return r.Header.Values("WWW-Authenticate") }

// listen serves h with a real server in memory until the test ends.
func listen(t testing.TB, h http.Handler) *http.Transport {
	t.Helper()
	l := memnet.Listen("api.test:80")
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	tr := l.Transport()
	tr.ExpectContinueTimeout = time.Hour // a body goes out only if the server asks for it
	t.Cleanup(func() { tr.CloseIdleConnections(); srv.Close(); <-done })
	return tr
}

// ask sends one request to h over HTTP: GET / with the Authorization lines given,
// after the edit.
func ask(t testing.TB, h http.Handler, edit func(*http.Request), authorization ...string) response {
	t.Helper()
	return send(t, listen(t, h), edit, authorization...)
}

func send(t testing.TB, rt http.RoundTripper, edit func(*http.Request), authorization ...string) response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://api.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Authorization"] = authorization
	if edit != nil {
		edit(r)
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp, string(body)}
}

// wants fails unless the answer has this status and exactly these challenges.
func wants(t testing.TB, got response, status int, challenges ...string) {
	t.Helper()
	if got.StatusCode != status {
		t.Errorf("status %d, want %d", got.StatusCode, status)
	}
	if list := got.challenges(); strings.Join(list, "\n") != strings.Join(challenges, "\n") {
		t.Errorf("challenges %q\nwant       %q", list, challenges)
	}
	if status >= 400 && got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", got.Header.Values("Cache-Control"))
	}
}

const (
	w01 = `Bearer realm="orders", scope="read"`
	w04 = `Bearer realm="orders", error="invalid_request", error_description="The Authorization header is malformed"`
	w05 = `Bearer realm="orders", error="invalid_request", error_description="More than one Authorization header was sent"`
	w07 = `Bearer realm="orders", error="invalid_token", error_description="The access token is malformed", scope="read"`
	w10 = `Bearer realm="orders", error="insufficient_scope", error_description="The access token lacks a required scope", scope="read"`
	w12 = `Bearer realm="orders", error="invalid_token", error_description="The access token is sender-constrained and was presented without proof", scope="read"`
)

var read = scopes.All("read")

func body(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
