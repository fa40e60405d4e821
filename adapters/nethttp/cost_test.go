// SPDX-License-Identifier: Apache-2.0

package nethttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
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

// cost is how many allocations h makes for a request with these Authorization lines,
// which it must answer with status; 0 stands for a handler that sends none.
func cost(t *testing.T, h http.Handler, status int, lines ...string) float64 {
	t.Helper()
	w := &discard{header: http.Header{}}
	r := httptest.NewRequest("GET", "/orders", nil)
	if len(lines) > 0 {
		r.Header["Authorization"] = lines
	}
	n := testing.AllocsPerRun(200, func() {
		clear(w.header)
		w.status = 0
		h.ServeHTTP(w, r)
	})
	if w.status != status {
		t.Fatalf("status %d, want %d", w.status, status)
	}
	return n
}

// TestCost bounds what a guard allocates above its verifier.
func TestCost(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("under the race detector a sync.Pool, which the verifier's calls of package fmt work with, drops what it is given now and then")
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
		return testing.AllocsPerRun(200, func() { _, _ = v.VerifyBound(t.Context(), raw, unbound, rules...) })
	}
	good, poor := as.Token(oauthtest.Scope("read")), as.Token()
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	plain := nethttp.Require(g)
	required := nethttp.Require(g, rules...)(next)
	for _, tc := range []struct {
		name   string
		h      http.Handler
		lines  []string
		status int
		asked  string  // the token that the verifier is asked about
		most   float64 // above the verifier
	}{
		// The context with the outcome, and the request that has it.
		{"good", required, []string{"Bearer " + good}, 0, good, 2},
		{"good_optional", nethttp.Optional(g)(required), []string{"Bearer " + good}, 0, good, 4}, // both, for each of the two guards
		{"anonymous", nethttp.Optional(g)(next), nil, 0, "", 2},
		{"nested_without_rules", plain(plain(required)), []string{"Bearer " + good}, 0, good, 6},
		// The error, and the values of both fields of the answer.
		{"none", required, nil, 401, "", 2},
		{"other_scheme", required, []string{"Basic dXNlcjpwYXNz"}, 401, "", 2},
		{"malformed_header", required, []string{"Bearer a b"}, 400, "", 2},
		{"two_headers", required, []string{"Bearer a", "Bearer a"}, 400, "", 2},
		// The error is the verifier's.
		{"malformed_token", required, []string{"Bearer abc"}, 401, "abc", 1},
		{"oversized", required, []string{"Bearer " + long}, 401, long, 1},
		{"wrong_scope", required, []string{"Bearer " + poor}, 403, poor, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := cost(t, tc.h, tc.status, tc.lines...)
			if tc.asked != "" {
				got -= asked(tc.asked)
			}
			if got > tc.most {
				t.Errorf("%v allocations above the verifier, want at most %v", got, tc.most)
			}
		})
	}
}

var long = strings.Repeat("a", 20_000)
