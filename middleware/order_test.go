// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

// TestOrder: of two failures the one of the earlier step is answered, seen from
// the Guard and with a real verifier.
func TestOrder(t *testing.T) {
	as := oauthtest.NewServer(t)
	v, err := verifier.New(as.VerifierConfig("https://api.test"))
	if err != nil {
		t.Fatal(err)
	}
	type request struct {
		edits []oauthtest.Edit
		lines []string // besides the token's
		tls   bool
		reqs  []verifier.Requirement
	}
	edit := func(e oauthtest.Edit) func(*request) {
		return func(r *request) { r.edits = append(r.edits, e) }
	}
	forbidding := &rule{check: func(*verifier.Token) error { return errors.New("no") }}
	steps := []struct {
		name  string
		spoil func(*request)
		class error
	}{
		{"TLS", func(r *request) { r.tls = true }, verifier.ErrForbidden},
		{"credentials", func(r *request) { r.lines = []string{"Basic x"} }, verifier.ErrInvalidRequest},
		{"type", edit(oauthtest.Type("JWT")), verifier.ErrTokenType},
		{"signature", edit(oauthtest.Forged()), verifier.ErrSignature},
		{"time", edit(oauthtest.ExpiresIn(-time.Hour)), verifier.ErrExpired},
		{"binding", edit(oauthtest.Claim("cnf", map[string]any{"kid": "x"})), verifier.ErrBinding},
		{"step_up", func(r *request) { r.reqs = append(r.reqs, stepUp) }, verifier.ErrStepUp},
		{"scope", func(r *request) { r.reqs = append(r.reqs, read) }, verifier.ErrInsufficientScope},
		{"application", func(r *request) { r.reqs = append(r.reqs, forbidding) }, verifier.ErrForbidden},
	}
	for i, first := range steps {
		for j, second := range steps {
			if j < i {
				continue
			}
			t.Run("EO-01/"+first.name+"_before_"+second.name, func(t *testing.T) {
				var r request
				second.spoil(&r)
				first.spoil(&r)
				g, err := middleware.New(middleware.Config{Verifier: v, RequireTLS: r.tls})
				if err != nil {
					t.Fatal(err)
				}
				rt, err := g.Route(r.reqs...)
				if err != nil {
					t.Fatal(err)
				}
				req := httptest.NewRequest("GET", "/", nil)
				req.Header["Authorization"] = append([]string{"Bearer " + as.Token(r.edits...)}, r.lines...)
				passed, err := rt.Check(httptest.NewRecorder(), req)
				if passed != nil || verifier.ClassOf(err) != first.class {
					t.Errorf("class %v, want %v", verifier.ClassOf(err), first.class)
				}
			})
		}
	}
}

// sourceFunc is a source of keys that is only a function.
type sourceFunc func(context.Context, *verifier.Miss) (*verifier.KeySet, error)

func (f sourceFunc) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	return f(ctx, miss)
}

// TestClientLeaves: a client that goes away while the keys are waited for.
func TestClientLeaves(t *testing.T) {
	t.Run("GO-18/K34_during_a_cold_fetch", func(t *testing.T) {
		as := oauthtest.NewServer(t)
		asked := make(chan struct{})
		var seen events
		cfg := as.VerifierConfig("https://api.test")
		cfg.OnEvent = seen.hook
		cfg.Keys = sourceFunc(func(ctx context.Context, _ *verifier.Miss) (*verifier.KeySet, error) {
			close(asked)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		v, err := verifier.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		g, err := middleware.New(middleware.Config{Verifier: v, OnEvent: seen.hook})
		if err != nil {
			t.Fatal(err)
		}
		h := behind(t, g, func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }, read)
		answered := make(chan *httptest.ResponseRecorder, 1)
		conn := listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			w := httptest.NewRecorder()
			h(w, r)
			answered <- w
		}))
		ctx, leave := context.WithCancel(t.Context())
		go func() { <-asked; leave() }()
		r, err := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+as.Token(oauthtest.Scope("read")))
		if resp, err := conn.RoundTrip(r); err == nil {
			resp.Body.Close()
			t.Error("an answer came, though the client had left")
		}
		if w := <-answered; w.Code != 503 || w.Header().Get("WWW-Authenticate") != "" || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		if list := seen.take(verifier.EventRefused); len(list) != 1 || list[0].Class != verifier.ErrKeysUnavailable {
			t.Errorf("events %v, want one", list)
		}
	})
}
