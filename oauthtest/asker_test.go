// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"io"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// TestAskedFromAnAddress: layers that go by the client's address can read it, also in
// the requests that no server would make.
func TestAskedFromAnAddress(t *testing.T) {
	guarded := require(t)(secret)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := netip.ParseAddrPort(r.RemoteAddr); err != nil {
			t.Errorf("%.40q comes from %q: %v", r.RequestURI, r.RemoteAddr, err)
		}
		guarded.ServeHTTP(w, r)
	})
	oauthtest.CheckRoutes(t, h, []string{"GET /x"})
	oauthtest.CheckPaths(t, h, []string{"GET /x"})
}

// beside has a public route beside a guarded one.
func beside(t testing.TB, public http.HandlerFunc) http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /x", require(t)(secret))
	m.HandleFunc("GET /public", public)
	return m
}

// TestAskedHandlersEnd: none outlives the check, which would be a deadlock in a bubble.
func TestAskedHandlersEnd(t *testing.T) {
	flush := func(w http.ResponseWriter) { w.(http.Flusher).Flush() }
	for _, tc := range []struct {
		name    string
		h       http.HandlerFunc
		atMost  time.Duration
		atLeast time.Duration
	}{
		{"sleeps", func(http.ResponseWriter, *http.Request) { time.Sleep(time.Minute) }, time.Minute, time.Minute},
		{"heeds_its_context", func(w http.ResponseWriter, r *http.Request) { flush(w); <-r.Context().Done() }, 0, 0},
		{"streams", func(w http.ResponseWriter, r *http.Request) {
			for _, err := w.Write(nil); err == nil; _, err = io.WriteString(w, "data: x\n\n") {
				flush(w)
				time.Sleep(time.Second)
			}
		}, 5 * time.Second, 0},
		{"takes_the_connection", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			io.Copy(io.Discard, conn)
			time.Sleep(time.Second)
		}, time.Second, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running atomic.Int64
				m := beside(t, func(w http.ResponseWriter, r *http.Request) {
					running.Add(1)
					defer running.Add(-1)
					tc.h(w, r)
				})
				start := time.Now()
				oauthtest.CheckRoutes(t, m, []string{"GET /x", "GET /public"}, "GET /public")
				if n := running.Load(); n != 0 {
					t.Errorf("%d handlers still run", n)
				}
				if took := time.Since(start); took > tc.atMost || took < tc.atLeast {
					t.Errorf("took %v", took)
				}
			})
		})
	}
	t.Run("outside_a_bubble", func(t *testing.T) {
		release, running := make(chan struct{}), new(atomic.Int64)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Add(-1)
			w.WriteHeader(200)
			flush(w)
			<-r.Context().Done() // ends with close, at the latest
			<-release
		})
		time.AfterFunc(10*time.Millisecond, func() { close(release) })
		oauthtest.CheckRoutes(t, beside(t, h), []string{"GET /x", "GET /public"}, "GET /public")
		if n := running.Load(); n != 0 {
			t.Errorf("%d handlers still run", n)
		}
	})
	t.Run("waits_no_longer_than_a_minute", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			defer synctest.Wait()
			defer close(release)
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(200)
				flush(w)
				<-release
			})
			start := time.Now()
			oauthtest.CheckRoutes(t, beside(t, h), []string{"GET /x", "GET /public"}, "GET /public")
			if took := time.Since(start); took != time.Minute {
				t.Errorf("took %v", took)
			}
		})
	})
}
