// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// directly is what one gets of h by a request that no server made.
func directly(h http.HandlerFunc) routeReply {
	a := newAsker(h)
	defer a.close()
	return a.direct(http.MethodGet, askedHost, "/x")
}

// TestDirectReadsSoMuch: what is longer is not waited for, and its writer is told.
func TestDirectReadsSoMuch(t *testing.T) {
	for _, tc := range []struct {
		size  int
		full  bool
		after error
	}{
		{askedBody - 1, false, nil},
		{askedBody, true, errFull},
		{askedBody + 1, true, errFull},
	} {
		t.Run(fmt.Sprintf("%d_bytes", tc.size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, want := time.Now(), askedBegin
				if tc.full {
					want = 0
				}
				got := directly(func(w http.ResponseWriter, r *http.Request) {
					if n, err := io.WriteString(w, strings.Repeat("x", tc.size)); n != tc.size || err != nil {
						t.Errorf("wrote %d: %v", n, err)
					}
					if _, err := w.Write(nil); err != tc.after {
						t.Errorf("then: %v", err)
					}
					<-r.Context().Done()
				})
				if took := time.Since(start); took != want || (got.cut == nil) != tc.full || got.err != nil || len(got.body) != min(tc.size, askedBody) {
					t.Errorf("took %v: %d bytes, cut: %v, error: %v", took, len(got.body), got.cut, got.err)
				}
			})
		})
	}
}

// TestDirectStreams: whether the handler ended by then is chance, and changes nothing.
func TestDirectStreams(t *testing.T) {
	for name, end := range map[string]func(){"returns": func() {}, "panics": func() { panic("x") }, "exits": runtime.Goexit} {
		for _, flush := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s_flushed_%t", name, flush), func(t *testing.T) {
				for range 200 {
					got := directly(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Content-Type", "text/event-stream")
						if flush {
							w.(http.Flusher).Flush()
							runtime.Gosched()
						}
						io.WriteString(w, "data: bye\n\n")
						end()
					})
					if got.err != nil || got.cut == nil || got.body != "" || got.status != http.StatusOK {
						t.Fatalf("%d %q, cut: %v, error: %v", got.status, got.body, got.cut, got.err)
					}
				}
			})
		}
	}
	t.Run("panics_before", func(t *testing.T) {
		got := directly(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			panic("x")
		})
		if got.err == nil {
			t.Error("no error")
		}
	})
}

// TestDirectPanics: an error has what the handler panicked with, as those of send have.
func TestDirectPanics(t *testing.T) {
	none := map[string]*int{}
	for name, tc := range map[string]struct {
		do   func()
		want string
	}{
		"text":    {func() { panic("no token") }, "the handler panicked: no token"},
		"runtime": {func() { *none["x"]++ }, "the handler panicked: runtime error: invalid memory address or nil pointer dereference"},
		"abort":   {func() { panic(http.ErrAbortHandler) }, "the handler panicked: net/http: abort Handler"},
		"exit":    {runtime.Goexit, "the handler ended its goroutine"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := directly(func(http.ResponseWriter, *http.Request) { tc.do() }); got.err == nil || got.err.Error() != tc.want {
				t.Errorf("%v, want %s", got.err, tc.want)
			}
		})
	}
	t.Run("of_this_request", func(t *testing.T) {
		a := newAsker(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { panic("of " + r.URL.Path) }))
		defer a.close()
		for i, ask := range []func(method, host, target string) routeReply{a.direct, func(m, h, t string) routeReply { return a.ask(m, h, t) }, a.direct} {
			target := fmt.Sprintf("/%d", i)
			if got := ask(http.MethodGet, askedHost, target); got.err == nil || got.err.Error() != "the handler panicked: of "+target {
				t.Errorf("%s: %v", target, got.err)
			}
		}
	})
}
