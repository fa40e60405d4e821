// SPDX-License-Identifier: Apache-2.0

package echov4_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/bearerguard/bearerguard/adapters/echov4"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// discard is a ResponseWriter that allocates nothing once its header has room.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// cost is how many allocations a request with this token takes that passes through
// layer and is answered with status.
func cost(t *testing.T, layer echo.MiddlewareFunc, token string, status int) float64 {
	t.Helper()
	e := echo.New()
	e.GET("/orders", func(c echo.Context) error {
		c.Response().WriteHeader(http.StatusOK)
		return nil
	}, layer)
	w, r := &discard{header: http.Header{}}, httptest.NewRequest("GET", "/orders", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	n := testing.AllocsPerRun(200, func() {
		clear(w.header)
		w.status = 0
		e.ServeHTTP(w, r)
	})
	if w.status != status {
		t.Fatalf("status %d, want %d", w.status, status)
	}
	return n
}

// TestCost bounds what a guard allocates above its verifier and Echo, which makes
// its chain anew for each request: one allocation for each layer.
func TestCost(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("under the race detector a sync.Pool, which Echo and package fmt work with, drops what it is given now and then")
	}
	as := oauthtest.NewServer(t)
	v, err := verifier.New(as.VerifierConfig("https://api.test"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		t.Fatal(err)
	}
	rules := []verifier.Requirement{scopes.All("read")}
	unbound := func(context.Context, *verifier.Token) error { return nil }
	asked := func(raw string) float64 {
		if raw == "" {
			return 0
		}
		return testing.AllocsPerRun(200, func() { _, _ = v.VerifyBound(t.Context(), raw, unbound, rules...) })
	}
	idle := func(status int) echo.MiddlewareFunc {
		return func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				if status == http.StatusOK {
					return next(c)
				}
				c.Response().WriteHeader(status)
				return nil
			}
		}
	}
	for _, tc := range []struct {
		name   string
		token  string
		status int
		most   float64
	}{
		{"good", as.Token(oauthtest.Scope("read")), 200, 2}, // the context with the outcome, and the request that has it
		{"none", "", 401, 2},               // the error, and the values of both fields of the answer
		{"malformed_token", "abc", 401, 1}, // the error is the verifier's
		{"wrong_scope", as.Token(), 403, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := cost(t, echov4.Require(g, rules...), tc.token, tc.status)
			if got -= asked(tc.token) + cost(t, idle(tc.status), tc.token, tc.status); got > tc.most {
				t.Errorf("%v allocations, want at most %v", got, tc.most)
			}
		})
	}
}
