// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

const attackedAPI = "https://api.example.com"

// attacked is the handler of a guarded route, and what was done wrong about it.
func attacked(t testing.TB, cfg verifier.Config) http.Handler {
	t.Helper()
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		t.Fatal(err)
	}
	route, err := g.Route()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/orders" {
			http.NotFound(w, r)
			return
		}
		if _, err := route.Check(w, r); err != nil {
			route.Deny(w, r, err)
			return
		}
		io.WriteString(w, handlerText)
	})
}

func quick(cfg *Config) { cfg.Algorithm = "ES256" }

// playedCase is what a run did with one case.
type playedCase struct {
	id, skip string
	found    []Finding
}

// playing records a run.
func playing(t testing.TB, list *[]playedCase, others *[]Finding) reports {
	return reports{
		stage: func(c attackCase, skip string, play func() ([]Finding, error)) {
			p := playedCase{id: c.ID, skip: skip}
			if skip == "" {
				var err error
				if p.found, err = play(); err != nil {
					t.Fatal(err)
				}
			}
			*list = append(*list, p)
		},
		found: func(f Finding) { *others = append(*others, f) },
	}
}

// runCases plays cases against h.
func runCases(t testing.TB, h http.Handler, as *Server, target Target, cases []attackCase) (list []playedCase, others []Finding) {
	t.Helper()
	a, end := onHandler(t, cases, h, as, target)
	defer end()
	a.run(playing(t, &list, &others))
	return list, others
}

// findingsOf are those of the catalogue; under the race detector, where it takes long,
// of a share of it and the cases that keep names by the beginning of their ID.
func findingsOf(t testing.TB, h http.Handler, as *Server, target Target, keep ...string) []Finding {
	t.Helper()
	if raceDetector {
		return findingsAmong(t, h, as, target, share(8, keep...))
	}
	return Findings(t, h, as, target)
}

// findingsAmong are the findings of some cases.
func findingsAmong(t testing.TB, h http.Handler, as *Server, target Target, cases []attackCase) (found []Finding) {
	t.Helper()
	a, end := onHandler(t, cases, h, as, target)
	defer end()
	a.run(collector(t, &found))
	return found
}

// share is one case of so many, and those that keep names by the beginning of their ID.
func share(every int, keep ...string) (cases []attackCase) {
	for i, c := range catalogue() {
		if i%every == 0 || slices.ContainsFunc(keep, func(id string) bool { return strings.HasPrefix(c.ID, id) }) {
			cases = append(cases, c)
		}
	}
	return cases
}

var ordersTarget = Target{Path: "/orders"}

// needing are the cases of the catalogue that need something of the issuer's keys, and
// one that does not.
func needing() []attackCase {
	return slices.DeleteFunc(slices.Clone(catalogue()), func(c attackCase) bool {
		return !slices.Contains(c.Needs, "keys") && !slices.Contains(c.Needs, "outage") && c.ID != "C1.none_lower"
	})
}

// What can be tried depends on what the verifier has: hostile keys and outages are
// tried where it fetches keys during the attack, and skipped with the reason elsewhere.
func TestAttackKeys(t *testing.T) {
	t.Parallel()
	warm := func(t *testing.T, as *Server) http.Handler {
		h := attacked(t, as.VerifierConfig(attackedAPI))
		if _, others := runCases(t, h, as, ordersTarget, nil); others != nil {
			t.Fatal(others)
		}
		return h
	}
	for _, tc := range []struct {
		name   string
		build  func(t *testing.T, as *Server) http.Handler
		bubble bool
		skip   string // part of the reason; "" if all is tried
	}{
		{"cold", func(t *testing.T, as *Server) http.Handler { return attacked(t, as.VerifierConfig(attackedAPI)) }, false, ""},
		{"cold_in_a_bubble", func(t *testing.T, as *Server) http.Handler { return attacked(t, as.VerifierConfig(attackedAPI)) }, true, ""},
		{"warm", warm, false, "had its keys before"},
		{"warm_in_a_bubble", warm, true, ""},
		{"keys_from_elsewhere", static, false, "has not asked this server for keys"},
		{"keys_from_elsewhere_in_a_bubble", static, true, "does not ask"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			test := func(t *testing.T) {
				as := NewServer(t, quick)
				list, others := runCases(t, tc.build(t, as), as, ordersTarget, needing())
				if others != nil {
					t.Errorf("%v", others)
				}
				tried := 0
				for _, p := range list {
					tried += checkSkip(t, p, tc.skip)
				}
				if tried < 2 || len(list) != len(needing()) {
					t.Errorf("%d of %d cases were tried", tried, len(list))
				}
				if strings.Contains(string(as.KeySet()), "rsa-1024") || as.outage.Load() || as.host.canary != nil {
					t.Error("the server is not as it was")
				}
			}
			if tc.bubble {
				synctest.Test(t, test)
				return
			}
			t.Parallel() // it waits about a second for the verifier to try again
			test(t)
		})
	}
}

// checkSkip counts a case that was tried, and wants those that need a fetch to be
// skipped for this reason.
func checkSkip(t *testing.T, p playedCase, reason string) int {
	t.Helper()
	for _, f := range p.found {
		t.Error(f)
	}
	if p.skip == "" || strings.Contains(p.skip, "algorithm") {
		return 1
	}
	if reason == "" || !strings.Contains(p.skip, reason) {
		t.Errorf("%s is skipped: %s", p.id, p.skip)
	}
	return 0
}

func static(t *testing.T, as *Server) http.Handler {
	keys, err := jwkscache.NewStatic(as.KeySet())
	if err != nil {
		t.Fatal(err)
	}
	cfg := as.VerifierConfig(attackedAPI)
	cfg.Keys = keys
	return attacked(t, cfg)
}

// loaded is a key source that fetches a single time, as hand-written ones do.
type loaded struct {
	from verifier.KeySource
	set  atomic.Pointer[verifier.KeySet]
}

func (l *loaded) Keys(ctx context.Context, _ *verifier.Miss) (*verifier.KeySet, error) {
	if set := l.set.Load(); set != nil {
		return set, nil
	}
	set, err := l.from.Keys(ctx, nil)
	if err == nil {
		l.set.Store(set)
	}
	return set, err
}

// A verifier that never looks for new keys is found out where time can pass, and the
// rest of the attack goes on with the old key.
func TestAttackRotation(t *testing.T) {
	t.Parallel()
	t.Run("not_followed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := NewServer(t, quick)
			cfg := as.VerifierConfig(attackedAPI)
			cfg.Keys = &loaded{from: cfg.Keys}
			list, others := runCases(t, attacked(t, cfg), as, ordersTarget, needing())
			if len(others) != 1 || others[0].Case != "F21.rotation" || others[0].Problem != Refused {
				t.Errorf("%v", others)
			}
			for _, p := range list {
				checkSkip(t, p, "")
			}
		})
	})
	t.Run("followed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := NewServer(t, quick)
			old := as.signingKey().id
			if _, others := runCases(t, attacked(t, as.VerifierConfig(attackedAPI)), as, ordersTarget, nil); others != nil {
				t.Errorf("%v", others)
			}
			if as.signingKey().id == old {
				t.Error("there was no rotation")
			}
		})
	})
}

// mistake is a server with one mistake, found in one case.
type mistake struct {
	name    string
	found   string // the case that must have the problem
	problem Problem
	detail  string
	make    func(good http.Handler, as *Server) http.HandlerFunc
}

// mistakes are one for each problem there can be.
var mistakes = []mistake{
	{"no_check", "C1.none_lower", Accepted, "came 200, and the handler ran", func(http.Handler, *Server) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, handlerText) }
	}},
	{"no_abort", "A1.no_credentials", Accepted, "came 401", func(good http.Handler, _ *Server) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			good.ServeHTTP(w, r)
			if w.Header().Get("WWW-Authenticate") != "" {
				io.WriteString(w, handlerText)
			}
		}
	}},
	{"echo_of_the_token", "C1.none_lower", Leaked, "token material in the body", func(good http.Handler, _ *Server) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			good.ServeHTTP(w, r)
			if w.Header().Get("WWW-Authenticate") != "" {
				fmt.Fprintf(w, "not valid: %q", r.Header["Authorization"])
			}
		}
	}},
	{"address_is_followed", "C40.canary", Fetched, "address that stands in the token", func(good http.Handler, as *Server) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			head, _, _ := strings.Cut(raw, ".")
			text, _ := base64.RawURLEncoding.DecodeString(head)
			var header struct{ JKU string }
			if json.Unmarshal(text, &header) == nil && header.JKU != "" {
				if resp, err := as.HTTPClient().Get(header.JKU); err == nil {
					resp.Body.Close()
				}
			}
			good.ServeHTTP(w, r)
		}
	}},
	{"panic", "A1.no_credentials", Crashed, "index out of range", func(good http.Handler, _ *Server) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = strings.Split(r.Header.Get("Authorization"), " ")[1]
			good.ServeHTTP(w, r)
		}
	}},
	{"case_of_the_scheme", "A5.lower", Refused, "came 401", func(good http.Handler, _ *Server) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if h := r.Header["Authorization"]; len(h) == 1 && !strings.HasPrefix(h[0], "Bearer") {
				r.Header.Del("Authorization")
			}
			good.ServeHTTP(w, r)
		}
	}},
	{"login_page", "A1.no_credentials", Answered, "Location: /login", func(good http.Handler, _ *Server) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header["Authorization"]) == 0 {
				http.Redirect(w, r, "/login", http.StatusFound)
				return
			}
			good.ServeHTTP(w, r)
		}
	}},
	{"401_for_an_outage", "C29.unknown_kid", Answered, "came 401", func(good http.Handler, _ *Server) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			good.ServeHTTP(rec, r)
			if rec.Code == http.StatusServiceUnavailable {
				w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
				rec.Code = http.StatusUnauthorized
			}
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			rec.Body.WriteTo(w)
		}
	}},
	{"lock_after_refusals", "control", Refused, "came 423", func(good http.Handler, _ *Server) http.HandlerFunc {
		var refused atomic.Int64
		return func(w http.ResponseWriter, r *http.Request) {
			if refused.Load() > 100 {
				http.Error(w, "locked", http.StatusLocked)
				return
			}
			good.ServeHTTP(w, r)
			if w.Header().Get("WWW-Authenticate") != "" {
				refused.Add(1)
			}
		}
	}},
}

// The attack finds each mistake in the case that is about it, over both protocols, and
// goes on.
func TestAttackFinds(t *testing.T) {
	t.Parallel()
	every := 5
	if raceDetector {
		every = 9
	}
	var found []string
	for _, m := range mistakes {
		found = append(found, m.found)
	}
	cases := share(every, found...)
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				found := findingsAmong(t, m.make(attacked(t, as.VerifierConfig(attackedAPI)), as), as, ordersTarget, cases)
				if !slices.ContainsFunc(found, m.is) {
					t.Errorf("%d findings, none is %s in %s: %v", len(found), m.problem, m.found, found[:min(len(found), 3)])
				}
			})
		})
	}
}

func (m mistake) is(f Finding) bool {
	return f.Case == m.found && f.Problem == m.problem && strings.Contains(f.Detail, m.detail) && f.Protocol == "HTTP/1.1 and HTTP/2"
}

// A correct server has no finding.
func TestFindings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		as := NewServer(t, quick)
		if found := Findings(t, attacked(t, as.VerifierConfig(attackedAPI)), as, ordersTarget); len(found) > 0 {
			t.Errorf("%d findings: %v", len(found), found[0])
		}
	})
}

// After three requests without an answer the attack gives up.
func TestAttackGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		as := NewServer(t, quick)
		good := attacked(t, as.VerifierConfig(attackedAPI))
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header["Authorization"]) == 0 {
				<-r.Context().Done()
			}
			good.ServeHTTP(w, r)
		})
		start := time.Now()
		list, others := runCases(t, h, as, ordersTarget, catalogue())
		if last := list[len(list)-1]; others != nil || !strings.Contains(last.skip, "given up") || time.Since(start) > longestCooldown+time.Minute {
			t.Errorf("%v, %+v after %v", others, last, time.Since(start))
		}
	})
}
