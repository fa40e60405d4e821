// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"flag"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

var update = flag.Bool("update", false, "write the results into ../docs/comparison.md")

const (
	document   = "../docs/comparison.md"
	beginTable = "<!-- comparison:begin -->\n"
	endTable   = "<!-- comparison:end -->\n"
)

// problems are what an answer can be wrong in, in the order and words of the document.
var problems = []struct {
	problem     oauthtest.Problem
	cell, label string
}{
	{oauthtest.Accepted, "**passes**", "let through"},
	{oauthtest.Leaked, "leak", "answer holds token material"},
	{oauthtest.Fetched, "fetch", "address from the token is asked, or the issuer for each unknown key"},
	{oauthtest.Crashed, "500", "no answer, or 500"},
	{oauthtest.Refused, "refused", "refused, though it must pass"},
	{oauthtest.Answered, "", "refused, but not in the words of the RFC"},
}

// result is what a run against a set-up found.
type result struct {
	problems map[string]oauthtest.Problem // by case, the gravest with it
	titles   map[string]string
	early    bool   // it fetched its keys when it was started
	fatal    string // why it cannot be attacked at all
}

// compare runs the catalogue against a set-up, and a second time, for the cases about
// keys, if it had fetched its keys before the hostile ones were among them.
func compare(t *testing.T, p peer, about map[string]bool) result {
	first := attackable(t, p, run{})
	if !first.early {
		return first
	}
	second := attackable(t, p, run{late: true})
	for id, problem := range second.problems {
		if about[id] {
			first.problems[id] = problem
		}
	}
	return first
}

// attackable attacks without the keys that a set-up cannot read, if these keep it from
// verifying anything: else the cases about the other keys could not be played.
func attackable(t *testing.T, p peer, how run) result {
	r := attack(t, p, how)
	if harmed := r.fatal != "" || r.problems[besideBroken] == oauthtest.Refused; harmed && p.reads != nil {
		t.Log("refused with every key in the set. ", r.fatal)
		how.reads = p.reads
		r = attack(t, p, how)
		r.problems[besideBroken] = oauthtest.Refused
	}
	if r.fatal != "" {
		t.Fatal(r.fatal)
	}
	return r
}

// besideBroken is the case of a good token while there are broken keys in the set.
const besideBroken = "E10.good_beside_broken"

// run says what differs from an attack on a set-up that has just been started.
type run struct {
	reads func(jwk []byte) error // keeps the keys back that it cannot read
	late  bool                   // starts it when the key set can first be had
}

// attack runs in virtual time.
func attack(t *testing.T, p peer, how run) result {
	r := result{problems: map[string]oauthtest.Problem{}, titles: map[string]string{}}
	synctest.Test(t, func(t *testing.T) {
		as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Audience = []string{ordersAPI} })
		client := as.HTTPClient()
		if how.reads != nil {
			client.Transport = readable{client.Transport, how.reads}
		}
		h := &starting{as: as, start: func() (http.Handler, error) { return p.start(t.Context(), t, as, client) }}
		if !how.late && !h.started() {
			t.Fatal(h.err)
		}
		r.early = as.Fetches() > 0
		recorder := &recorder{T: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			target := oauthtest.Target{Path: route, Scope: scope, Profile: verifier.ProfileJWT, Marker: marker}
			r.collect(t, oauthtest.Findings(recorder, h, as, target))
		}()
		<-done
		r.fatal = recorder.fatal
	})
	return r
}

// collect keeps the gravest problem with each case.
func (r *result) collect(t *testing.T, found []oauthtest.Finding) {
	for _, f := range found {
		r.titles[f.Case] = f.Title
		if old, ok := r.problems[f.Case]; !ok || grave(f.Problem) < grave(old) {
			r.problems[f.Case] = f.Problem
		}
		if f.Problem != oauthtest.Answered {
			t.Logf("%s %s %s: %s", f.Case, f.Protocol, f.Problem, f.Detail)
		}
	}
}

// starting is a set-up that answers 503 while it cannot start.
type starting struct {
	as    *oauthtest.Server
	start func() (http.Handler, error)

	mu      sync.Mutex
	handler http.Handler
	err     error
}

func (s *starting) started() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handler == nil {
		s.handler, s.err = s.start()
	}
	return s.err == nil
}

// ready tells whether the issuer is up.
func (s *starting) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handler != nil {
		return true
	}
	resp, err := s.as.HTTPClient().Get(s.as.Issuer() + "/jwks")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *starting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.ready() || !s.started() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// recorder is a test whose end by Fatalf is no failure yet.
type recorder struct {
	*testing.T
	fatal string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// grave is the place of a problem among all, the gravest first.
func grave(p oauthtest.Problem) int {
	for i, known := range problems {
		if known.problem == p {
			return i
		}
	}
	return -1
}

func TestComparison(t *testing.T) {
	all, left := cases(t)
	aboutKeys := map[string]bool{}
	for _, c := range all {
		aboutKeys[c.ID] = slices.Contains(c.Needs, "keys")
	}
	var results []result
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) { results = append(results, compare(t, p, aboutKeys)) })
	}
	for i, r := range results {
		for _, id := range left {
			if p, found := r.problems[id]; found && p != oauthtest.Refused {
				t.Errorf("%s: %s is left out, though it was sent and is %s", peers[i].name, id, p)
			}
			delete(r.problems, id)
			delete(r.titles, id)
		}
		// Where a refusal is right, too, it lacked no more than the right words.
		for _, c := range all {
			if r.problems[c.ID] == oauthtest.Refused && len(c.Expect) > 1 {
				r.problems[c.ID] = oauthtest.Answered
			}
		}
	}
	if len(results) != len(peers) {
		t.Fatal("a set-up could not be run")
	}
	if n := len(results[0].problems); n > 0 {
		t.Errorf("bearerguard answers %d cases wrongly", n)
	}
	writeDocument(t, setups(t)+counts(all, results)+keySets(t)+table(t, all, results))
}
