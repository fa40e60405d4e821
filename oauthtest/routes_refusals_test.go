// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
)

// refusing writes a 401 with a sound challenge and this body, and calls next if that is
// not nil: a guard that forgot to return.
func refusing(contentType string, body func(r *http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		challenge := `Bearer realm="x", scope="orders:` + strings.ToLower(r.Method) + `"`
		if r.Header.Get("Authorization") != "" {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, body(r))
		if next != nil {
			next.ServeHTTP(w, r)
		}
	})
}

func always(text string) func(*http.Request) string {
	return func(*http.Request) string { return text }
}

const (
	plain   = "text/plain; charset=utf-8"
	problem = "application/problem+json"
	wentOn  = "401 with JSON and something behind it: the guard does not stop the chain"
	alone   = ": GET without a token: 401 with a body that no other guarded path has, "
)

// TestCheckRoutesGoesOn: the handler that runs after the refusal is seen by what it adds
// to the body.
func TestCheckRoutesGoesOn(t *testing.T) {
	var n atomic.Int64
	nonce := func(r *http.Request) string { return fmt.Sprintf("unauthorized, request %d", n.Add(1)) }
	echo := func(r *http.Request) string { return "no token for " + r.Method + " " + r.RequestURI }
	scope := func(r *http.Request) string { return "you need orders:" + strings.ToLower(r.Method) }
	no := always("no token\n")
	two := []string{"GET /a", "GET /b"}
	for _, tc := range []struct {
		name   string
		routes []string
		a, b   http.Handler
		want   []string
	}{
		{"both_stop", two, refusing(plain, no, nil), refusing(plain, no, nil), nil},
		{"both_stop_without_a_body", two, refusing(plain, always(""), nil), refusing(plain, always(""), nil), nil},
		{"one_without_a_body", two, refusing(plain, no, nil), refusing(plain, always(""), nil), []string{"/a" + alone}},
		{"both_go_on", two, refusing(plain, no, says("orders")), refusing(plain, no, says("users")), []string{"/a" + alone + `"no token\norders"`, "/b" + alone + `"no token\nusers"`}},
		{"both_go_on_without_a_body", two, refusing(plain, always(""), says("orders")), refusing(plain, always(""), says("users")), []string{"/a" + alone, "/b" + alone}},
		{"what_they_add_is_in_the_path", two, refusing(plain, always(""), says("a")), refusing(plain, always(""), says("b")), []string{"/a" + alone, "/b" + alone}},
		{"one_goes_on", two, refusing(plain, always(""), nil), refusing(plain, always(""), secret), []string{"/b" + alone}},
		{"JSON_and_more", []string{"GET /a"}, refusing("application/json", always(`{"a":1}`), says(`{"b":2}`)), nil, []string{wentOn}},
		{"problem_and_more", []string{"GET /a"}, refusing(problem, always(`{"a":1} `), says(`x`)), nil, []string{wentOn}},
		{"JSON", []string{"GET /a"}, refusing(problem, always("{\"a\":1}\n \n"), nil), nil, nil},
		{"no_JSON_at_all", []string{"GET /a"}, refusing("application/json", always("no token"), nil), nil, nil},
		{"JSON_without_a_body", []string{"GET /a"}, refusing("application/json", always(""), nil), nil, nil},
		{"a_number_for_each_request", two, refusing(plain, nonce, nil), refusing(plain, nonce, nil), nil},
		{"a_number_and_one_goes_on", two, refusing(plain, nonce, nil), refusing(plain, nonce, secret), []string{"/a" + alone, "/b" + alone}},
		{"path_and_method", []string{"GET /a", "POST /b"}, refusing(plain, echo, nil), refusing(plain, echo, nil), nil},
		{"scope_of_the_challenge", []string{"GET /a", "POST /b"}, refusing(plain, scope, nil), refusing(plain, scope, nil), nil},
		{"HEAD_has_no_body", []string{"GET /a", "HEAD /a", "HEAD /b"}, refusing(plain, no, nil), refusing(plain, no, nil), nil},
		{"same_path_is_no_witness", []string{"GET /a", "PUT /a", "GET /b"}, refusing(plain, no, secret), refusing(plain, no, nil), []string{"GET /a" + alone, "PUT /a: PUT", "GET /b" + alone}},
		{"one_path_cannot_be_told", []string{"GET /a", "PUT /a", "HEAD /b"}, refusing(plain, no, secret), refusing(plain, no, nil), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := http.NewServeMux()
			m.Handle("/a", tc.a)
			if tc.b != nil {
				m.Handle("/b", tc.b)
			}
			wantFailures(t, failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, m, tc.routes) }), tc.want...)
		})
	}
	t.Run("any_method_is_one_failure", func(t *testing.T) {
		m := http.NewServeMux()
		m.Handle("/a", refusing(plain, no, secret))
		m.Handle("/b", refusing(plain, no, nil))
		wantFailures(t, failuresOf(func(t testing.TB) { oauthtest.CheckRoutes(t, m, []string{"/a", "GET /b", "GET /b/"}) }),
			"GET /b/: GET without a token: 404", "oauthtest: /a"+alone, "GET /b"+alone)
	})
}

// TestCheckRoutesChangingRefusals: times and addresses in the guard's own refusals are no
// sign of a handler.
func TestCheckRoutesChangingRefusals(t *testing.T) {
	n := 0
	for name, body := range map[string]func(r *http.Request) string{
		"time": func(*http.Request) string {
			n++
			return fmt.Sprintf(`{"status":401,"timestamp":"2024-05-06T15:04:05.%03dZ"}`, n/3%1000)
		},
		"milliseconds": func(*http.Request) string { n++; return fmt.Sprintf(`{"status":401,"at":%d}`, 1715007845000+n/3) },
		"instance":     func(r *http.Request) string { return `{"instance":"https://` + r.Host + r.URL.Path + `"}` },
	} {
		t.Run(name, func(t *testing.T) {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				challenge := `Bearer realm="orders"`
				if r.Header.Get("Authorization") != "" {
					challenge += `, error="invalid_token"`
				}
				w.Header().Set("WWW-Authenticate", challenge)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				io.WriteString(w, body(r))
			})
			oauthtest.CheckRoutes(t, h, []string{"GET /a/{id}", "GET /b", "GET /c", "GET /d/e", "GET /f"})
		})
	}
}

// TestCheckRoutesEndless: a refusal that a handler goes on with for ever, or for long.
func TestCheckRoutesEndless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		got := failuresOf(func(t testing.TB) {
			oauthtest.CheckRoutes(t, refusing(plain, always(""), endless), []string{"GET /a"})
		})
		wantFailures(t, got, "GET without a token: 401 without an end (")
	})
	t.Run("that_never_pauses", func(t *testing.T) {
		endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "an order, ")
			}
		})
		got := failuresOf(func(t testing.TB) {
			oauthtest.CheckRoutes(t, refusing(plain, always(""), endless), []string{"GET /a"})
		})
		wantFailures(t, got, "GET without a token: 401 without an end (")
	})
	long := strings.Repeat("x", 1<<20)
	start := time.Now()
	oauthtest.CheckRoutes(t, refusing(problem, always(`"`+long+`"`), nil), []string{"GET /a"})
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestCheckRoutesOwnRefusals: those of the guard itself pass, with a body and without.
func TestCheckRoutesOwnRefusals(t *testing.T) {
	for _, body := range []func(*middleware.Denial) (string, []byte){nil, middleware.ProblemJSON} {
		guard := nethttp.Require(newGuard(t, func(c *middleware.Config) { c.Body = body }))
		m := http.NewServeMux()
		m.Handle("/a", guard(secret))
		m.Handle("/b", guard(says("another")))
		oauthtest.CheckRoutes(t, m, []string{"/a", "GET /b"})
		oauthtest.CheckPaths(t, m, []string{"/a", "GET /b"})
	}
}
