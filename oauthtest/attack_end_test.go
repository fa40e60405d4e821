// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
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

	"github.com/bearerguard/bearerguard/verifier"
)

// endOf runs an attack without cases.
func endOf(t *testing.T, make func(good http.Handler, as *Server) http.Handler, edits ...func(*Config)) (others []Finding) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		as := NewServer(t, append([]func(*Config){quick}, edits...)...)
		h := make(attacked(t, as.VerifierConfig(attackedAPI)), as)
		_, others = runCases(t, h, as, ordersTarget, nil)
	})
	return others
}

func only1(t *testing.T, found []Finding, id string, problem Problem) {
	t.Helper()
	if len(found) != 1 || found[0].Case != id || found[0].Problem != problem || found[0].Detail == "" || found[0].Gain == "" {
		t.Errorf("want %s %s alone, got %v", id, problem, found)
	}
}

// Requests at the same time do not share a verdict, in a bubble and out of it.
func TestAttackAtOnce(t *testing.T) {
	t.Parallel()
	sharing := func(good http.Handler, refuses bool) http.Handler {
		var anonymous, known atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mine, others := &known, &anonymous
			if r.Header.Get("Authorization") == "" {
				mine, others = &anonymous, &known
			}
			mine.Add(1)
			defer mine.Add(-1)
			time.Sleep(20 * time.Millisecond)
			switch mixed := others.Load() > 0; {
			case mixed && mine == &anonymous && !refuses:
				io.WriteString(w, handlerText)
			case mixed && mine == &known && refuses:
				w.Header().Set("WWW-Authenticate", `Bearer realm="r"`)
				w.WriteHeader(http.StatusUnauthorized)
			default:
				good.ServeHTTP(w, r)
			}
		})
	}
	t.Run("GO-03/K24_somebody_gets_in", func(t *testing.T) {
		only1(t, endOf(t, func(good http.Handler, _ *Server) http.Handler { return sharing(good, false) }), "K24.at_once", Accepted)
	})
	t.Run("GO-03/K24_somebody_is_kept_out", func(t *testing.T) {
		only1(t, endOf(t, func(good http.Handler, _ *Server) http.Handler { return sharing(good, true) }), "K24.at_once", Refused)
	})
	t.Run("GO-03/K24_out_of_a_bubble", func(t *testing.T) {
		as := NewServer(t, quick)
		h := sharing(attacked(t, as.VerifierConfig(attackedAPI)), false)
		_, others := runCases(t, h, as, ordersTarget, nil)
		only1(t, others, "K24.at_once", Accepted)
	})
	t.Run("GO-03/K24_each_kind_comes_last_once", func(t *testing.T) {
		var mu sync.Mutex
		var order []byte
		ended := false // the step behind this one has begun
		endOf(t, func(good http.Handler, _ *Server) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				ended = ended || strings.Contains(headerOf(r), `"made-up-`)
				switch {
				case ended:
				case r.Header.Get("Authorization") == "":
					order = append(order, '-')
				default:
					order = append(order, 'T')
				}
				mu.Unlock()
				good.ServeHTTP(w, r)
			})
		})
		if want := "TTTT--------TTTT"; !strings.HasSuffix(string(order), want) {
			t.Errorf("with a token or without came %s, want %s at the end", order, want)
		}
	})
	t.Run("K24_a_panic_of_one", func(t *testing.T) {
		var running atomic.Int64
		found := endOf(t, func(good http.Handler, _ *Server) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer running.Add(-1)
				if running.Add(1) > 4 {
					panic("too many")
				}
				time.Sleep(time.Millisecond)
				good.ServeHTTP(w, r)
			})
		})
		only1(t, found, "K24.at_once", Crashed)
	})
	for _, tc := range []struct {
		name   string
		refuse func(w http.ResponseWriter)
		limit  int64
		want   Problem // "" if nothing is wrong
		log    bool
	}{
		{"429", func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }, 4, "", true},
		{"503", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, 4, "", true},
		{"503_above_it", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, 2 * atOnce, "", false},
		{"503_with_the_data", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, handlerText)
		}, 1, Accepted, true},
		{"503_without_Retry_After", func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, 4, Refused, false},
		{"no_answer", func(http.ResponseWriter) { time.Sleep(caseLimit + time.Second) }, 4, "", true},
	} {
		t.Run("K24_a_limit_of_requests_"+tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				good := attacked(t, as.VerifierConfig(attackedAPI))
				var running atomic.Int64
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer running.Add(-1)
					if running.Add(1) > tc.limit {
						tc.refuse(w)
						return
					}
					time.Sleep(time.Millisecond)
					good.ServeHTTP(w, r)
				})
				tb := &logged{T: t}
				_, others := runCases(tb, h, as, ordersTarget, nil)
				if tb.has("how many requests it takes at once") != tc.log {
					t.Errorf("log %v: %q", !tc.log, tb.lines)
				}
				if tc.want == "" && others != nil || tc.want != "" && !slices.ContainsFunc(others, func(f Finding) bool { return f.Case == "K24.at_once" && f.Problem == tc.want }) {
					t.Error(others)
				}
			})
		})
	}
	// Those that nobody waits for any more are done all the same, before any others.
	for _, each := range []time.Duration{time.Second, 5 * time.Second, 9 * time.Second} {
		t.Run("K24_one_by_one_"+each.String(), func(t *testing.T) {
			found := endOf(t, func(good http.Handler, _ *Server) http.Handler {
				turn := make(chan bool, 1)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					turn <- true
					defer func() { <-turn }()
					time.Sleep(each)
					good.ServeHTTP(w, r)
				})
			})
			if found != nil {
				t.Error(found)
			}
		})
	}
}

// logged keeps what a run logs.
type logged struct {
	*testing.T
	lines []string
}

func (l *logged) Helper()                         {}
func (l *logged) Log(args ...any)                 { l.lines = append(l.lines, fmt.Sprint(args...)) }
func (l *logged) Logf(format string, args ...any) { l.Log(fmt.Sprintf(format, args...)) }

func (l *logged) has(text string) bool {
	return slices.ContainsFunc(l.lines, func(line string) bool { return strings.Contains(line, text) })
}

// A panic is that of a request without a whole answer, if there is one.
func TestAttackBlame(t *testing.T) {
	hung, closed := answer{err: context.DeadlineExceeded}, answer{err: io.EOF}
	for name, tc := range map[string]struct {
		answers []answer
		want    []string
	}{
		"of_the_second": {[]answer{{status: 200}, closed, hung}, []string{"", "p", ""}},
		"of_two":        {[]answer{closed, {status: 200}, {status: 200, err: io.ErrUnexpectedEOF}}, []string{"p", "", "p"}},
		"of_nobody":     {[]answer{{status: 200}, hung}, []string{"p", ""}},
	} {
		t.Run("K24_"+name, func(t *testing.T) {
			var sent []judgeable
			for _, got := range tc.answers {
				sent = append(sent, judgeable{exchange: exchange{answer: got}})
			}
			(&attack{crash: func() string { return "p" }}).blame(sent)
			for i, want := range tc.want {
				if sent[i].crash != want {
					t.Errorf("%d: %q, want %q", i, sent[i].crash, want)
				}
			}
		})
	}
}

// What is no single request is left out for a reason, too.
func TestAttackExceptSteps(t *testing.T) {
	t.Parallel()
	keeping := func(good http.Handler) http.Handler { // the first verdict, and stale keys
		var running atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer running.Add(-1)
			rec := &discards{header: http.Header{}}
			if running.Add(1) > 1 {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			time.Sleep(time.Millisecond)
			if good.ServeHTTP(rec, r); rec.status == http.StatusUnauthorized && payloadOf(r) != "" && !strings.Contains(headerOf(r), "made-up-") {
				io.WriteString(w, handlerText)
				return
			}
			good.ServeHTTP(w, r)
		})
	}
	asks := func(as *Server, cfg verifier.Config) verifier.Config {
		cfg.Keys = asking{cfg.Keys, as}
		return cfg
	}
	run := func(t *testing.T, except ...string) (ids map[string]bool, log *logged) {
		ids, log = map[string]bool{}, &logged{T: t}
		synctest.Test(t, func(t *testing.T) {
			as := NewServer(t, quick)
			log.T = t
			target := ordersTarget
			target.Except = map[string]string{}
			for _, id := range except {
				target.Except[id] = "on purpose"
			}
			_, others := runCases(log, keeping(attacked(t, asks(as, as.VerifierConfig(attackedAPI)))), as, target, nil)
			for _, f := range others {
				ids[f.Case] = true
			}
		})
		return ids, log
	}
	all, _ := run(t)
	for _, id := range []string{"K24.at_once", "F19.unknown_kids", "F22.withdrawn_key"} {
		row, _, _ := strings.Cut(id, ".")
		for _, name := range []string{id, row} {
			t.Run(row+"_excepted_by_"+name, func(t *testing.T) {
				got, log := run(t, name)
				if !all[id] || got[id] || len(got) != len(all)-1 || !log.has(id+" is skipped: on purpose") {
					t.Errorf("%v without, %v with the exception: %q", all, got, log.lines)
				}
			})
		}
	}
	for _, name := range []string{"", "F21", "F21.rotation"} {
		t.Run("F21_excepted_by_"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				cfg := as.VerifierConfig(attackedAPI)
				cfg.Keys = &loaded{from: cfg.Keys}
				target, tb := ordersTarget, &logged{T: t}
				if name != "" {
					target.Except = map[string]string{name: "on purpose"}
				}
				_, others := runCases(tb, attacked(t, cfg), as, target, nil)
				found := slices.ContainsFunc(others, func(f Finding) bool { return f.Case == "F21.rotation" })
				if found != (name == "") || tb.has("F21.rotation is skipped: on purpose") == found {
					t.Errorf("%v %q", others, tb.lines)
				}
			})
		})
	}
}

// After requests without an answer no more kids are made up, which is not kept quiet.
func TestAttackUnknownKidsGiveUp(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	found := endOf(t, func(good http.Handler, _ *Server) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(headerOf(r), "made-up-") {
				sent.Add(1)
				<-r.Context().Done()
				return
			}
			good.ServeHTTP(w, r)
		})
	})
	if n := sent.Load(); n != patience {
		t.Errorf("%d requests", n)
	}
	only1(t, found, "F19.unknown_kids", Crashed)
}

// asking fetches the keys for each miss, beside what its source does.
type asking struct {
	from verifier.KeySource
	as   *Server
}

func (a asking) Keys(ctx context.Context, m *verifier.Miss) (*verifier.KeySet, error) {
	if m != nil {
		resp, err := a.as.HTTPClient().Get(a.as.Issuer() + "/jwks")
		if err == nil {
			resp.Body.Close()
		}
	}
	return a.from.Keys(ctx, m)
}

// Made-up key names must not cause a fetch each, neither in a bubble nor out of it.
func TestAttackUnknownKids(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T) {
		as := NewServer(t, quick)
		cfg := as.VerifierConfig(attackedAPI)
		cfg.Keys = asking{cfg.Keys, as}
		_, others := runCases(t, attacked(t, cfg), as, ordersTarget, nil)
		only1(t, others, "F19.unknown_kids", Fetched)
	}
	t.Run("KS-11/F19_a_fetch_each", test)
	t.Run("KS-11/F19_a_fetch_each_in_a_bubble", func(t *testing.T) { synctest.Test(t, test) })
	for fetches, want := range map[int64]int{manyFetches: 0, manyFetches + 1: 1} {
		t.Run("KS-11/F19_the_limit", func(t *testing.T) {
			OneOfMany(t, want > 0)
			synctest.Test(t, func(t *testing.T) { // so that the verifier's own cooldown does not end
				as := NewServer(t, quick)
				good := attacked(t, as.VerifierConfig(attackedAPI))
				var made atomic.Int64
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					good.ServeHTTP(w, r)
					if strings.Contains(headerOf(r), `"made-up-`) && made.Add(1) <= fetches {
						as.fetches.Add(1)
					}
				})
				if _, others := runCases(t, h, as, ordersTarget, nil); len(others) != want {
					t.Errorf("%d fetches: %v", fetches, others)
				}
			})
		})
	}
}

// headerOf is the JOSE header of a request's token.
func headerOf(r *http.Request) string {
	_, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	head, _, _ := strings.Cut(raw, ".")
	text, _ := b64.DecodeString(head)
	return string(text)
}

// A withdrawn key must be forgotten with the fetch of the next one.
func TestAttackWithdrawnKey(t *testing.T) {
	t.Parallel()
	keeping := func(good http.Handler, _ *Server) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := &discards{header: http.Header{}}
			if good.ServeHTTP(rec, r); rec.status == http.StatusUnauthorized && strings.Contains(payloadOf(r), `"aud"`) && !strings.Contains(headerOf(r), "made-up-") {
				io.WriteString(w, handlerText)
				return
			}
			good.ServeHTTP(w, r)
		})
	}
	t.Run("KS-14/F22_kept", func(t *testing.T) {
		only1(t, endOf(t, keeping), "F22.withdrawn_key", Accepted)
	})
	t.Run("KS-14/F22_forgotten", func(t *testing.T) {
		if found := endOf(t, func(good http.Handler, _ *Server) http.Handler { return good }); found != nil {
			t.Error(found)
		}
	})
	t.Run("KS-14/F22_not_tried_where_time_stands_still", func(t *testing.T) {
		now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of bubbles
		var old string
		synctest.Test(t, func(t *testing.T) {
			as := NewServer(t, quick, func(c *Config) {
				c.Now, c.TokenLifetime = func() time.Time { return now }, 24*time.Hour
			})
			_, others := runCases(t, attacked(t, as.VerifierConfig(attackedAPI)), as, ordersTarget, nil)
			if old = string(as.KeySet()); others != nil || strings.Count(old, `"kid"`) != 2 {
				t.Errorf("%v, %s", others, old)
			}
		})
	})
}

func payloadOf(r *http.Request) string {
	parts := strings.Split(r.Header.Get("Authorization"), ".")
	if len(parts) != 3 {
		return ""
	}
	text, _ := b64.DecodeString(parts[1])
	return string(text)
}
