// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// failing is a test that is expected to fail.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper()                           {}
func (f *failing) Fatal(args ...any)                 { f.Fatalf("%s", fmt.Sprint(args...)) }
func (f *failing) Errorf(format string, args ...any) { f.text = fmt.Sprintf(format, args...) }
func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// A target on which nothing can be proved ends the attack at once, with what to do.
func TestAttackUnfit(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	writes := func(text func() string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text()) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	once := func(h http.HandlerFunc) http.HandlerFunc {
		var asked atomic.Bool
		return func(w http.ResponseWriter, r *http.Request) {
			if asked.Swap(true) {
				http.NotFound(w, r)
				return
			}
			h(w, r)
		}
	}
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, "event")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
		}
	})
	fixed := writes(func() string { return "orders" })
	for _, tc := range []struct {
		name   string
		h      http.Handler // nil: a guarded one
		target Target
		names  []string
	}{
		{"wrong_path", nil, Target{Path: "/order"}, []string{"404", "GET /order", "Target.Method, Path"}},
		{"no_path", fixed, Target{}, []string{"Target.Path"}},
		{"relative_path", fixed, Target{Path: "orders"}, []string{"Target.Path"}},
		{"HEAD", fixed, Target{Path: "/orders", Method: "HEAD"}, []string{"Target.Method"}},
		{"wrong_audience", nil, Target{Path: "/orders", Token: []Edit{Audience("https://other.example")}}, []string{"401", "audience"}},
		{"empty_body", writes(func() string { return "" }), ordersTarget, []string{"no body", "Target.Path"}},
		{"empty_body_and_marker", writes(func() string { return "" }), Target{Path: "/orders", Marker: "x"}, []string{"no body", "Target.Path"}},
		{"no_content", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), ordersTarget, []string{"no body", "Target.Path"}},
		{"scopes_with_a_comma", fixed, Target{Path: "/orders", Scope: "a, b"}, nil}, // a comma is a character of a scope
		{"scopes_with_two_spaces", fixed, Target{Path: "/orders", Scope: "a  b"}, []string{"Target.Scope"}},
		{"scopes_in_quotes", fixed, Target{Path: "/orders", Scope: `"a"`}, []string{"Target.Scope"}},
		{"bodies_differ", writes(func() string { return fmt.Sprint("order ", n.Add(1)) }), ordersTarget, []string{"different bodies", "Target.Marker"}},
		{"no_marker", fixed, Target{Path: "/orders", Marker: "invoices"}, []string{"Target.Marker"}},
		{"unknown_exception", fixed, Target{Path: "/orders", Except: map[string]string{"Z9.x": "because"}}, []string{"Target.Except", "Z9.x"}},
		{"half_a_row", fixed, Target{Path: "/orders", Except: map[string]string{"C": "because"}}, []string{"Target.Except", `"C"`}},
		{"exception_without_reason", fixed, Target{Path: "/orders", Except: map[string]string{"D32": " "}}, []string{"reason", "D32"}},
		{"authorization_in_header", fixed, Target{Path: "/orders", Header: http.Header{"authorization": {"x"}}}, []string{"Target.Header", "Authorization"}},
		{"line_break_in_header", fixed, Target{Path: "/orders", Header: http.Header{"X-A": {"a\r\nb"}}}, []string{"Target.Header", "X-A"}},
		{"method_of_proxies", fixed, Target{Method: http.MethodConnect, Path: "/orders"}, []string{"HTTP/2", "CONNECT out of Target.Method"}},
		{"connection_in_header", fixed, Target{Path: "/orders", Header: http.Header{"Connection": {"keep-alive"}}}, []string{"HTTP/2", "Target.Header"}},
		{"403", status(403), ordersTarget, []string{"403", "RequireTLS"}},
		{"405", status(405), ordersTarget, []string{"405", "Target.Method"}},
		{"421", status(421), ordersTarget, []string{"421", `"Host" in Target.Header`}},
		{"429", status(429), ordersTarget, []string{"429", "limits requests"}},
		{"only_once", once(fixed), ordersTarget, []string{"404", "as often as it is asked"}},
		{"stream", stream, ordersTarget, []string{"stream", "Target.Marker"}},
		{"panic", writes(func() string { panic("x") }), ordersTarget, []string{"panic", "string"}},
		{"nil_handler", http.HandlerFunc(nil), ordersTarget, []string{"handler is nil"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				h := tc.h
				if cfg := as.VerifierConfig(attackedAPI); h == nil {
					h = attacked(t, cfg)
				}
				tb := &failing{TB: t}
				var done sync.WaitGroup
				done.Go(func() { Findings(tb, h, as, tc.target) })
				done.Wait()
				for _, name := range tc.names {
					if !strings.Contains(tb.text, name) {
						t.Errorf("%q does not tell %q", tb.text, name)
					}
				}
			})
		})
	}
	t.Run("no_audience", func(t *testing.T) {
		as := NewServer(t, quick)
		tb := &failing{TB: t}
		var done sync.WaitGroup
		done.Go(func() { Findings(tb, fixed, as, ordersTarget) })
		if done.Wait(); !strings.Contains(tb.text, "VerifierConfig") {
			t.Error(tb.text)
		}
	})
	t.Run("same_issuer_twice", func(t *testing.T) {
		as := NewServer(t, quick)
		tb := &failing{TB: t}
		var done sync.WaitGroup
		done.Go(func() { Findings(tb, fixed, as, Target{Path: "/orders", AlsoTrusts: as}) })
		if done.Wait(); !strings.Contains(tb.text, "Target.AlsoTrusts") {
			t.Error(tb.text)
		}
	})
	t.Run("nil_server", func(t *testing.T) {
		tb := &failing{TB: t}
		var done sync.WaitGroup
		done.Go(func() { Findings(tb, fixed, nil, ordersTarget) })
		if done.Wait(); !strings.Contains(tb.text, "server is nil") {
			t.Error(tb.text)
		}
	})
	t.Run("marker_in_changing_bodies", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := NewServer(t, quick)
			good := attacked(t, as.VerifierConfig(attackedAPI))
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				good.ServeHTTP(w, r)
				if w.Header().Get("WWW-Authenticate") == "" {
					fmt.Fprint(w, n.Add(1))
				}
			})
			if found := findingsOf(t, h, as, Target{Path: "/orders", Marker: handlerText}); len(found) > 0 {
				t.Error(found[0])
			}
		})
	})
}

// So does a URL at which nobody answers, or nobody who is trusted, or that is refused.
func TestAttackURLUnfit(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for url, names := range map[string]string{srv.URL: "certificate", gone.URL: "connect", "http://192.0.2.1": "UnsafeAnyHost"} {
		as := NewServer(t, quick)
		as.VerifierConfig(attackedAPI)
		tb := &failing{TB: t}
		var done sync.WaitGroup
		done.Go(func() { attackURL(tb, url, as, ordersTarget, reports{}) })
		if done.Wait(); !strings.Contains(tb.text, names) {
			t.Errorf("%s: %q does not tell %q", url, tb.text, names)
		}
	}
}

// TestBrokenServer is for TestAttackOutput, which runs it in a process of its own.
func TestBrokenServer(t *testing.T) {
	if os.Getenv("OAUTHTEST_BROKEN") == "" {
		t.Skip("it fails on purpose: TestAttackOutput runs it")
	}
	as := NewServer(t, quick)
	as.VerifierConfig(attackedAPI)
	Attack(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, handlerText) }), as, ordersTarget)
}

// What a user sees of a failure.
func TestAttackOutput(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenServer$/^C1.none_lower$")
	cmd.Env = append(os.Environ(), "OAUTHTEST_BROKEN=1")
	output, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		t.Fatalf("%v: %s", err, output)
	}
	c := catalogue()[slices.IndexFunc(catalogue(), func(c attackCase) bool { return c.ID == "C1.none_lower" })]
	want := fmt.Sprintf(failure, attackLine(), c.Title, c.Gain, c.Cause, strings.Join(c.Requirements, ", "))
	if got := timing.ReplaceAllString(string(output), ""); !strings.Contains(got, want) {
		t.Errorf("%s\nwant it to hold\n%s", got, want)
	}
	// The guide shows the same failure, of a test with another name.
	guide, err := os.ReadFile("../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.NewReplacer("TestBrokenServer", "TestOrdersUnderAttack", fmt.Sprintf("attack_unfit_test.go:%d", attackLine()), "orders_test.go:12").Replace(want)
	if !strings.Contains(string(guide), shown) {
		t.Errorf("docs/testing.md does not show\n%s", shown)
	}
}

var timing = regexp.MustCompile(` \(\d+\.\d+s\)`)

// attackLine is the line of TestBrokenServer to which a failure must lead.
func attackLine() int {
	text, err := os.ReadFile("attack_unfit_test.go")
	if err != nil {
		panic(err)
	}
	before, _, _ := strings.Cut(string(text), "Attack(t, http.HandlerFunc(func(w http.ResponseWriter, _")
	return strings.Count(before, "\n") + 1
}

const failure = `    --- FAIL: TestBrokenServer/C1.none_lower
        attack_unfit_test.go:%d: ACCEPTED, but must be refused, over HTTP/1.1 and HTTP/2
              case:        C1.none_lower
              sent:        %s
              expected:    401 with a Bearer challenge that has error="invalid_token"
              came:        200, and the handler ran
              gain:        %s
              usual cause: %s
              breaks:      %s
`
