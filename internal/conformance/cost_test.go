// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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

// cost is how many allocations f makes for a route with these guards, answered with status.
func (f framework) cost(t *testing.T, guards []guard, status int, lines []string) float64 {
	t.Helper()
	answer := http.StatusOK
	if len(guards) == 0 {
		answer = status
	}
	h := f.build([]route{{"/orders", guards, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) }}})
	w, r := &discard{header: http.Header{}}, httptest.NewRequest("GET", "/orders", nil)
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

// layer is what a framework itself allocates per request for each layer around a handler.
var layer = map[string]float64{"echo": 1} // makes its chain anew

// TestCost bounds what guards allocate above their verifier and the framework.
func TestCost(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a sync.Pool drops what it is given now and then")
	}
	as := oauthtest.NewServer(t)
	v, err := verifier.New(as.VerifierConfig(api))
	if err != nil {
		t.Fatal(err)
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		t.Fatal(err)
	}
	rules := []verifier.Requirement{scopes.All("read")}
	asked := func(raw string) float64 {
		if raw == "" {
			return 0
		}
		return testing.AllocsPerRun(200, func() { _, _ = v.Verify(t.Context(), raw, rules...) })
	}
	good, poor, long := as.Token(oauthtest.Scope("read")), as.Token(), strings.Repeat("a", 20_000)
	plain, ruled, optional := guard{g: g}, behind(g, rules...), guard{g: g, optional: true}
	for _, tc := range []struct {
		name   string
		guards []guard
		lines  []string
		status int
		asked  string  // the token that the verifier is asked about
		most   float64 // above the verifier
	}{
		// The context with the outcome, and the request that has it.
		{"good", []guard{ruled}, []string{"Bearer " + good}, 200, good, 2},
		{"good_optional", []guard{optional, ruled}, []string{"Bearer " + good}, 200, good, 4}, // both, for each of the two guards
		{"anonymous", []guard{optional}, nil, 200, "", 2},
		{"nested_without_rules", []guard{plain, plain, ruled}, []string{"Bearer " + good}, 200, good, 6},
		// The error, and the values of both fields of the answer.
		{"none", []guard{ruled}, nil, 401, "", 2},
		{"other_scheme", []guard{ruled}, []string{"Basic dXNlcjpwYXNz"}, 401, "", 2},
		{"malformed_header", []guard{ruled}, []string{"Bearer a b"}, 400, "", 2},
		{"two_headers", []guard{ruled}, []string{"Bearer a", "Bearer a"}, 400, "", 2},
		// The error is the verifier's.
		{"malformed_token", []guard{ruled}, []string{"Bearer abc"}, 401, "abc", 1},
		{"oversized", []guard{ruled}, []string{"Bearer " + long}, 401, long, 1},
		{"wrong_scope", []guard{ruled}, []string{"Bearer " + poor}, 403, poor, 1},
	} {
		for _, f := range frameworks {
			t.Run(tc.name+"/"+f.name, func(t *testing.T) {
				most := tc.most + layer[f.name]*float64(len(tc.guards))
				got := f.cost(t, tc.guards, tc.status, tc.lines)
				if got -= asked(tc.asked) + f.cost(t, nil, tc.status, tc.lines); got > most {
					t.Errorf("%v allocations, want at most %v", got, most)
				}
			})
		}
	}
}
