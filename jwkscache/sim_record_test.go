// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// simStep is one request to the issuer and what came of it. The issuer fills in what it
// answered, the wire when it began and ended.
type simStep struct {
	part     string
	from, to time.Duration
	ended    bool
	overlap  bool // another request was under way

	kind        string // of the fault
	good        bool   // a complete answer that has to be taken
	status      int    // of a refusal; 0 for others
	keys        []simKey
	lifetime    time.Duration
	etag        string
	conditional string // what the cache sent as If-None-Match
	notModified bool
	retryAfter  time.Duration
}

// refused tells whether the answer was a client error or a redirect, after which
// another location is tried (MD-05), and the metadata is asked for again.
func (s *simStep) refused() bool {
	return s.status >= 300 && s.status <= 499 && s.status != http.StatusTooManyRequests
}

// simRecord is what went over the wire, in order.
type simRecord struct {
	mu    sync.Mutex
	steps []*simStep
}

func (r *simRecord) step(n int) *simStep {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.steps[n]
}

// all are the steps so far.
func (r *simRecord) all() []*simStep {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.steps)
}

func (r *simRecord) begin(s *simStep) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.from = elapsed()
	for _, old := range r.steps[max(0, len(r.steps)-3):] {
		s.overlap = s.overlap || !old.ended
	}
	r.steps = append(r.steps, s)
	return len(r.steps) - 1
}

func (r *simRecord) end(s *simStep, good bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.to, s.ended = elapsed(), true
	s.good = s.good && good
}

// tapped notes when requests begin and end, and tells the issuer which is which.
type tapped struct {
	next *http.Transport
	*simRecord
	refuses func(part string) bool // new connections, and so those kept open end
}

func (t tapped) RoundTrip(r *http.Request) (*http.Response, error) {
	s := &simStep{part: part(r.URL.Path), kind: "refused", conditional: r.Header.Get("If-None-Match")}
	if r.URL.Host == "evil.example" {
		s.part = "evil"
	}
	if t.refuses(s.part) {
		t.next.CloseIdleConnections()
	}
	n := t.begin(s)
	sent := r.Clone(context.WithValue(r.Context(), dialedPart{}, s.part))
	sent.Header.Set("Sim-Step", strconv.Itoa(n))
	resp, err := t.next.RoundTrip(sent)
	if err != nil {
		t.end(s, false)
		return nil, err
	}
	resp.Body = &tappedBody{resp.Body, func(whole bool) { t.end(s, whole) }, false}
	return resp, nil
}

// tappedBody tells at Close whether the answer was over by then without an error.
type tappedBody struct {
	io.ReadCloser
	closed func(whole bool)
	broken bool
}

func (b *tappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.broken = b.broken || err != nil && err != io.EOF
	return n, err
}

func (b *tappedBody) Close() error {
	err := b.ReadCloser.Close()
	b.closed(!b.broken && err == nil)
	return err
}

// simAttempt is one refresh: steps that followed each other without a pause.
type simAttempt struct {
	from, to time.Duration
	steps    []*simStep
	ok       bool // by the steps alone; KS-14 has a say, too
}

func (a *simAttempt) last() *simStep { return a.steps[len(a.steps)-1] }

func (a *simAttempt) String() string {
	var names []string
	for _, s := range a.steps {
		names = append(names, s.part+" "+s.kind)
	}
	return fmt.Sprintf("%v for %v: good=%v %s", a.from, a.to-a.from, a.ok, strings.Join(names, ", "))
}

// attempts groups the steps that are over. A step goes on with the attempt before it
// if that one was about metadata and ended at the very moment.
func attempts(steps []*simStep) (list []*simAttempt) {
	for _, s := range steps {
		if !s.ended {
			break
		}
		if n := len(list); n > 0 && list[n-1].last().part == "metadata" && list[n-1].to == s.from {
			list[n-1].steps = append(list[n-1].steps, s)
		} else {
			list = append(list, &simAttempt{from: s.from, steps: []*simStep{s}})
		}
		a := list[len(list)-1]
		a.to, a.ok = s.to, s.part == "keys" && s.good
	}
	return list
}

// simState is what a cache may know from one moment to the next attempt's end.
type simState struct {
	at       time.Duration
	known    bool // there ever was a good answer
	keys     []simKey
	etag     string
	good     time.Duration // when it came
	lifetime time.Duration
	fresh    time.Duration // until then
	usable   time.Duration // until then
	failures int           // since then
}

// history is the record, understood.
type history struct {
	*script
	attempts []*simAttempt
	states   []simState
}

func newHistory(s *script, steps []*simStep) *history {
	h := &history{script: s, attempts: attempts(steps), states: []simState{{}}}
	for _, a := range h.attempts {
		h.states = append(h.states, h.after(h.states[len(h.states)-1], a))
	}
	return h
}

// after is the state that an attempt leads to. A set without usable keys does not
// replace one that has some while that one may be served (KS-14).
func (h *history) after(old simState, a *simAttempt) simState {
	next := old
	next.at = a.to
	last := a.last()
	a.ok = a.ok && (len(last.keys) > 0 || len(old.keys) == 0 || a.to >= old.usable)
	if !a.ok {
		next.failures++
		return next
	}
	next.known, next.keys, next.failures = true, last.keys, 0
	next.good, next.lifetime = a.to, last.lifetime
	if last.etag != "" || !last.notModified { // RFC 9111 §3.2
		next.etag = last.etag
	}
	next.fresh = a.to + last.lifetime
	next.usable = next.fresh + h.maxStale
	return next
}

// before is the state just before t, until the state at t and after it.
func (h *history) before(t time.Duration) simState { return h.states[max(h.index(t)-1, 0)] }

func (h *history) until(t time.Duration) simState {
	i := h.index(t)
	for i < len(h.states) && h.states[i].at == t {
		i++
	}
	return h.states[i-1]
}

// index is that of the first state at t or later, but never 0.
func (h *history) index(t time.Duration) int {
	i, _ := slices.BinarySearchFunc(h.states, t, func(s simState, t time.Duration) int { return int(s.at - t) })
	return max(i, 1)
}
