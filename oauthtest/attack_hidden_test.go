// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/scopes"
)

// crowded gives what comes while others are served to another handler.
func crowded(good http.Handler, other http.HandlerFunc) http.HandlerFunc {
	var running atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		defer running.Add(-1)
		if running.Add(1) > 2 {
			other(w, r)
			return
		}
		time.Sleep(time.Millisecond)
		good.ServeHTTP(w, r)
	}
}

// A limit of requests, or what looks like one, hides nothing else that is wrong.
func TestAttackLimitHidesNothing(t *testing.T) {
	t.Parallel()
	busy := func(w http.ResponseWriter, status int, text string) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
	for _, tc := range []struct {
		name    string
		other   http.HandlerFunc
		problem Problem
	}{
		{"429_with_the_token", func(w http.ResponseWriter, r *http.Request) { busy(w, 429, r.Header.Get("Authorization")) }, Leaked},
		{"503_with_the_token", func(w http.ResponseWriter, r *http.Request) { busy(w, 503, r.Header.Get("Authorization")) }, Leaked},
		{"429_with_the_data", func(w http.ResponseWriter, r *http.Request) { busy(w, 429, handlerText) }, Accepted},
		{"closed_without_an_answer", func(w http.ResponseWriter, _ *http.Request) {
			if h, ok := w.(http.Hijacker); ok {
				if conn, _, err := h.Hijack(); err == nil {
					conn.Close()
				}
				return
			}
			busy(w, 429, "")
		}, Crashed},
	} {
		t.Run("K24_"+tc.name, func(t *testing.T) {
			found := endOf(t, func(good http.Handler, _ *Server) http.Handler { return crowded(good, tc.other) })
			if !slices.ContainsFunc(found, func(f Finding) bool { return f.Case == "K24.at_once" && f.Problem == tc.problem }) {
				t.Error(found)
			}
		})
	}
}

// A guard that locks itself up for good when requests meet is no limit of requests: then
// no good token passes any more, and that must not go unsaid for want of patience.
func TestAttackDeadlock(t *testing.T) {
	t.Parallel()
	found := endOf(t, func(good http.Handler, _ *Server) http.Handler {
		var locked atomic.Bool
		h := crowded(good, func(http.ResponseWriter, *http.Request) { locked.Store(true) })
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h(w, r); locked.Load() {
				<-r.Context().Done()
			}
		})
	})
	t.Run("K24_control", func(t *testing.T) {
		if !slices.ContainsFunc(found, func(f Finding) bool { return f.Case == "control" && f.Problem == Crashed }) {
			t.Error(found)
		}
	})
}

// The token of one request must not stand in the answer to another at the same time.
func TestAttackTokenOfAnother(t *testing.T) {
	t.Parallel()
	quoting := func(good http.Handler, _ *Server) http.Handler {
		var mu sync.Mutex
		var running int
		var last string
		begin := func(change int, token string) (meets bool, quoted string) {
			mu.Lock()
			defer mu.Unlock()
			if running += change; token != "" {
				last = token
			}
			return running > 1, last
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begin(1, r.Header.Get("Authorization"))
			defer begin(-1, "")
			time.Sleep(time.Millisecond)
			if meets, quoted := begin(0, ""); meets && r.Header.Get("Authorization") == "" {
				w.Header().Set("X-Debug", quoted)
			}
			good.ServeHTTP(w, r)
		})
	}
	t.Run("K24_at_the_same_time", func(t *testing.T) { only1(t, endOf(t, quoting), "K24.at_once", Leaked) })
}

// A handler behind all paths answers HEAD everywhere: that is no page for all if these
// paths are guarded.
func TestAttackHeadOfAHandlerForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		as := NewServer(t, quick)
		guarded := requiring(t, as.VerifierConfig(attackedAPI), scopes.All("orders:read"), orders)
		h := byMethodIn(http.MethodHead, http.HandlerFunc(orders), guarded)
		var got []string
		for _, f := range findingsAmong(t, h, as, readTarget, share(1<<20, "A40.", "N9.")) {
			got = append(got, f.Case)
		}
		if want := []string{"A40.head_without_token", "N9.head_bad_token"}; !slices.Equal(got, want) {
			t.Errorf("HT-01: %v, want %v", got, want)
		}
	})
}

func byMethodIn(method string, own, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method {
			own.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// A handler that names its user says something else to nobody. Where a good token gets its
// text, a success without one is none of another site or route.
func TestAttackAnswerToNobody(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		open  func(r *http.Request) bool
		other bool // it is answered by another site, with a token or without
		want  []string
	}{
		{"K21_host", func(r *http.Request) bool { return r.Host == "localhost" }, false, []string{"K21.host_localhost"}},
		{"K11_method", func(r *http.Request) bool { return r.Method == "FOO" }, false, []string{"K11.unknown_method"}},
		{"K21_another_site", func(r *http.Request) bool { return r.Host == "localhost" }, true, nil},
		{"K11_a_page_for_the_method", func(r *http.Request) bool { return r.Method == "FOO" }, true, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				good := attacked(t, as.VerifierConfig(attackedAPI))
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if tc.open(r) && (tc.other || r.Header.Get("Authorization") == "") {
						io.WriteString(w, "welcome")
						return
					}
					good.ServeHTTP(w, r)
				})
				var got []string
				for _, f := range findingsAmong(t, h, as, ordersTarget, share(1<<20, "K11.", "K21.", "K32.")) {
					got = append(got, f.Case)
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("%v, want %v", got, tc.want)
				}
			})
		})
	}
}

// A preflight carries no token. Who answers it without a text says nothing to nobody, also
// where OPTIONS with a token is the handler's.
func TestAttackPreflightWithoutToken(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{"": nil, "welcome": {"A43.preflight"}} {
		t.Run("A43_answered_"+cmp.Or(text, "by_header_fields"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				good := attacked(t, as.VerifierConfig(attackedAPI))
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Access-Control-Request-Method") != "" && r.Header.Get("Authorization") == "" {
						w.Header().Set("Access-Control-Allow-Methods", "GET")
						io.WriteString(w, text)
						return
					}
					good.ServeHTTP(w, r)
				})
				var got []string
				for _, f := range findingsAmong(t, h, as, ordersTarget, share(1<<20, "A43.")) {
					got = append(got, f.Case)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%v, want %v", got, want)
				}
			})
		})
	}
}

// What a failure shows of an answer has no piece of the token in it, also where the failure
// is about no case, or about keys.
func TestAttackFailuresHoldNoToken(t *testing.T) {
	t.Parallel()
	quotes := func(good http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			rec := &discards{header: http.Header{}}
			if good.ServeHTTP(rec, r); rec.status == 0 {
				good.ServeHTTP(w, r)
				return
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q, error_description=%q", "invalid_token", r.Header.Get("Authorization")))
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	t.Run("N4_rotation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := NewServer(t, quick)
			cfg := as.VerifierConfig(attackedAPI)
			cfg.Keys = &loaded{from: cfg.Keys}
			_, others := runCases(t, quotes(attacked(t, cfg)), as, ordersTarget, nil)
			if len(others) == 0 || others[0].Case != "F21.rotation" {
				t.Error(others)
			}
			for _, f := range others {
				if strings.Contains(f.String(), "eyJ") {
					t.Error(f)
				}
			}
		})
	})
	t.Run("N4_unfit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := NewServer(t, quick)
			h := quotes(attacked(t, as.VerifierConfig("https://another.example")))
			as.VerifierConfig(attackedAPI)
			target := ordersTarget
			target.Token = []Edit{Audience(attackedAPI)}
			tb := &failing{TB: t}
			var done sync.WaitGroup
			done.Go(func() { Findings(tb, h, as, target) })
			done.Wait()
			if !strings.Contains(tb.text, "gets no success") || strings.Contains(tb.text, "eyJ") || !strings.Contains(tb.text, "token material") {
				t.Error(tb.text)
			}
		})
	})
}

// Two attacks in one bubble, on two servers, are not in each other's way: no two goroutines
// of a bubble may be in synctest.Wait.
func TestAttackTwoInABubble(t *testing.T) {
	t.Parallel()
	t.Run("F21_at_the_same_time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var done sync.WaitGroup
			for range 4 {
				done.Go(func() {
					as := NewServer(t, quick)
					if _, others := runCases(t, attacked(t, as.VerifierConfig(attackedAPI)), as, ordersTarget, nil); others != nil {
						t.Error(others)
					}
				})
			}
			done.Wait()
		})
	})
}
