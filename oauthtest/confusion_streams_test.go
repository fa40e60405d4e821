// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// streaming answers with this kind of body at once, and then adds to it for ever.
func streaming(kind, first string, heedsItsContext bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, err := io.WriteString(w, first)
		w.(http.Flusher).Flush()
		ended := r.Context().Done()
		if !heedsItsContext {
			ended = nil
		}
		for n := 0; err == nil; n++ {
			select {
			case <-ended:
				return
			case <-time.After(70 * time.Millisecond):
				_, err = fmt.Fprintf(w, "data: %d\n\n", n)
				w.(http.Flusher).Flush()
			}
		}
	})
}

// hasty never blocks of its own, so that the clock of a bubble stands still meanwhile.
func hasty(t *testing.T, kind string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for range 10_000 {
			if _, err := w.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
		t.Error("nobody ends it")
	})
}

// TestCheckPathsHaste: bodies that never end are ended, also of requests that no server
// made.
func TestCheckPathsHaste(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{lines, events} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, public := app(t, map[string]http.Handler{"!GET /x": secret, "/": hasty(t, kind)})
				start := time.Now()
				oauthtest.CheckPaths(t, m, m.routes, public...)
				if took := time.Since(start); took != 0 {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

const (
	events = "text/event-stream"
	lines  = "application/x-ndjson"
)

// TestCheckPathsStreams: bodies that never end beside a guarded route are no failure, and
// cost little time.
func TestCheckPathsStreams(t *testing.T) {
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "x")
		w.WriteHeader(http.StatusSwitchingProtocols)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	for _, tc := range []struct {
		name   string
		h      http.Handler
		atMost time.Duration
	}{
		{"events", streaming(events, "", true), time.Second},
		{"events_with_a_parameter", streaming(events+"; charset=utf-8", "data: first\n\n", true), time.Second},
		{"events_whatever_the_context", streaming(events, "", false), time.Minute},
		{"lines", streaming(lines, "", true), 2 * time.Minute},
		{"lines_at_once", streaming(lines, "{}\n", true), 2 * time.Minute},
		{"upgrade", upgrade, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, public := app(t, map[string]http.Handler{"!GET /api/orders": secret, "!GET /api/users": secret, "GET /events/{topic...}": tc.h})
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.URL.Path, "/events/") { // else ServeMux redirects what it would clean
						tc.h.ServeHTTP(w, r)
						return
					}
					m.ServeHTTP(w, r)
				})
				start := time.Now()
				oauthtest.CheckPaths(t, h, m.routes, public...)
				if took := time.Since(start); took > tc.atMost {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestCheckPathsCutBodies: of bodies without an end the beginning is compared.
func TestCheckPathsCutBodies(t *testing.T) {
	guard := require(t)
	for _, tc := range []struct {
		name        string
		page, found http.Handler
		past        bool
	}{
		{"same_events", streaming(events, "data: 1\n\n", true), streaming(events, "data: 2\n\n", true), false},
		{"events_and_a_page", says("page"), streaming(events, "", true), true},
		{"page_and_events", streaming(events, "", true), says("secret"), true},
		{"same_beginning", streaming(lines, "first second\n", true), streaming(lines, "first second\n", true), false},
		{"other_beginning", streaming(lines, "first second\n", true), streaming(lines, "secret second\n", true), true},
		{"other_kind", streaming(lines, "first\n", true), streaming("application/json", "first\n", true), true},
		{"more_in_one_of_them", streaming(lines, "first second\n", true), endless(lines, "first "), false},
		{"nothing_yet", endless(lines, ""), endless(lines, ""), false},
		{"nothing_yet_and_a_page", endless(lines, ""), kindOf(lines, "secret"), true},
		{"page_and_nothing_yet", kindOf(lines, "page"), endless(lines, ""), true},
		{"longer_than_it_was_read", pausing(lines, 199*time.Millisecond, "page"), pausing(lines, 199*time.Millisecond, "page"), false},
		{"read_in_time", pausing(lines, 199*time.Millisecond, "page"), pausing(lines, 199*time.Millisecond, "secret"), true},
		{"not_read_in_time", pausing(lines, 201*time.Millisecond, "page"), pausing(lines, 201*time.Millisecond, "secret"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/admin/users":
						guard(secret).ServeHTTP(w, r)
					case "/ADMIN/USERS":
						tc.found.ServeHTTP(w, r)
					default:
						tc.page.ServeHTTP(w, r)
					}
				})
				defer oauthtest.ListSpellings(1000)()
				got := strings.Join(failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, h, []string{"GET /admin/users"}) }), "\n")
				if strings.Contains(got, `"/ADMIN/USERS": 200 OK`) != tc.past {
					t.Errorf("failure %q", got)
				}
			})
		})
	}
}

func kindOf(kind, text string) http.Handler { return pausing(kind, 0, text) }

// pausing ends its body after a while.
func pausing(kind string, while time.Duration, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.(http.Flusher).Flush()
		time.Sleep(while)
		io.WriteString(w, text)
	})
}

// endless begins a body and says no more.
func endless(kind, first string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, first)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
}

// TestCheckPathsSeconds: a page with the time stays the same page though seconds end
// while it is asked for.
func TestCheckPathsSeconds(t *testing.T) {
	for _, each := range []time.Duration{3, 7, 11, 13} {
		synctest.Test(t, func(t *testing.T) {
			clock := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(each * time.Millisecond)
				fmt.Fprintf(w, "<html>it is %s", time.Now().Format(http.TimeFormat))
			})
			m, public := app(t, map[string]http.Handler{"!GET /a/{id}": secret, "!GET /b": secret, "!GET /c/d/{id}": secret, "/": clock})
			oauthtest.CheckPaths(t, m, m.routes, public...)
		})
	}
}

// TestCheckPathsAsksStrangersOnce: what paths get that nobody has is remembered, as long
// as it explains what is seen.
func TestCheckPathsAsksStrangersOnce(t *testing.T) {
	asked := map[string]int{}
	m, public := app(t, map[string]http.Handler{"!GET /a": secret, "!GET /b": secret, "!GET /c": secret, "/": says("page")})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.RequestURI, "nosuchpatha") {
			asked[r.RequestURI]++
		}
		m.ServeHTTP(w, r)
	})
	oauthtest.CheckPaths(t, h, m.routes, public...)
	if len(asked) < 20 {
		t.Errorf("asked for %d only", len(asked))
	}
	for target, n := range asked {
		if n > 2 { // for a redirect, too
			t.Errorf("%q was asked for %d times", target, n)
		}
	}
}

// TestCheckPathsHandlerThatExits: handlers that end their goroutine do so with no test's.
func TestCheckPathsHandlerThatExits(t *testing.T) {
	guarded := require(t)(secret)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "\x00") {
			runtime.Goexit()
		}
		guarded.ServeHTTP(w, r)
	})
	ended := false
	got := failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, h, []string{"GET /orders"}); ended = true })
	if len(got) != 1 || !ended {
		t.Errorf("ended: %t, failures %q", ended, got)
	}
}
