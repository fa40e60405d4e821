// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"errors"
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
