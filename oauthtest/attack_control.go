// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/memnet"
)

// reports is where a run leaves what it finds.
type reports struct {
	// stage plays a case, or skips it if there is a reason to.
	stage func(c attackCase, skip string, play func() ([]Finding, error))
	// found takes what belongs to no case.
	found func(Finding)
}

// reporter fails t, in subtests where these exist.
func reporter(t *testing.T) reports {
	found := func(f Finding) { t.Helper(); t.Error(f) }
	if inBubble(t) {
		return reports{flat(t, found), found}
	}
	return reports{func(c attackCase, skip string, play func() ([]Finding, error)) {
		t.Helper()
		t.Run(c.ID, func(t *testing.T) {
			t.Helper()
			if skip != "" {
				t.Skip(skip)
			}
			flat(t, func(f Finding) { t.Helper(); t.Error(f) })(c, "", play)
		})
	}, found}
}

func collector(t testing.TB, list *[]Finding) reports {
	found := func(f Finding) { *list = append(*list, f) }
	return reports{flat(t, found), found}
}

func flat(t testing.TB, found func(Finding)) func(attackCase, string, func() ([]Finding, error)) {
	return func(_ attackCase, skip string, play func() ([]Finding, error)) {
		t.Helper()
		if skip != "" {
			return
		}
		list, err := play()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			found(f)
		}
	}
}

// inBubble asks the one method that a test in a bubble may not call and that does
// nothing else.
func inBubble(t testing.TB) (in bool) {
	d, ok := t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return false
	}
	defer func() { in = recover() != nil }()
	d.Deadline()
	return false
}

// control sends a good token, which must pass as before.
func (a *attack) control(r reports, next attackCase) {
	a.tb.Helper()
	if a.hung < patience {
		a.mustPass(r, "a good token, before "+next.ID)
	}
}

// lastControl is made in any case: an API that answers nobody any more has answered nothing
// wrongly.
func (a *attack) lastControl(r reports) {
	a.tb.Helper()
	a.mustPass(r, "a good token, after all cases")
}

func (a *attack) mustPass(r reports, title string) {
	a.tb.Helper()
	if a.stopped != nil {
		return
	}
	var found []Finding
	for _, protocol := range a.wire.protocols() {
		if f := a.refusal(protocol, a.good(), title); f != nil {
			found = append(found, *f)
		}
		if a.stopped != nil {
			a.tb.Fatal(a.stopped)
		}
	}
	for _, f := range merge(found) {
		r.found(f)
	}
}

// refusal is the finding that a good token was refused, or nil.
func (a *attack) refusal(protocol, token, title string) *Finding {
	a.tb.Helper()
	c := controlCase
	c.Title = title
	x := a.exchangeOf(c, protocol, token)
	if a.stopped = x.untellable(); a.stopped != nil {
		return nil
	}
	return x.finding(protocol)
}

// exchangeOf sends token alone. What comes is to be judged as the answer to c.
func (a *attack) exchangeOf(c attackCase, protocol, token string) exchange {
	a.tb.Helper()
	return exchange{
		attackCase: c, method: a.target.Method, sent: map[string]string{"token": token},
		answer: a.sendToken(protocol, token), crash: a.crash(), target: &a.target, marker: a.marker,
	}
}

var controlCase = attackCase{
	ID: "control", Expect: []string{"PASS"},
	Gain:  "Whoever sends the hostile requests before locks honest users out.",
	Cause: "A refused token leaves something behind: a lock, a limit, or a wrong entry in a cache.",
}

// learn sends good tokens until it knows what the handler's answer looks like.
func (a *attack) learn() {
	a.tb.Helper()
	var bodies []string
	for _, protocol := range a.wire.protocols() {
		for range 2 {
			token := a.good()
			got := a.sendToken(protocol, token)
			if err := got.unreadable(); err != nil {
				a.tb.Fatal(err)
			}
			if !got.success() || got.err != nil {
				a.unfit(protocol, token, got)
			}
			bodies = append(bodies, got.body)
		}
	}
	a.marker = marker{text: a.target.Marker}
	if a.target.Marker == "" {
		a.marker = marker{text: bodies[0], whole: true}
	}
	a.checkBodies(bodies)
}

func (a *attack) checkBodies(bodies []string) {
	a.tb.Helper()
	for _, body := range bodies {
		switch {
		case strings.TrimSpace(body) == "":
			a.tb.Fatalf("oauthtest: the answer to a good token has no body, so that nothing shows whether the handler ran behind a refusal: name a route in Target.Path that writes something, or add one for the test behind the same guard")
		case a.target.Marker != "" && !strings.Contains(body, a.target.Marker):
			a.tb.Fatalf("oauthtest: the answer to a good token does not hold Target.Marker: set it to a text that the handler always writes")
		case a.target.Marker == "" && body != bodies[0]:
			a.tb.Fatalf("oauthtest: two good tokens got different bodies: set Target.Marker to a text that the handler always writes and that stands in no refusal")
		}
	}
}

// unfit ends the attack: where a good token does not pass, a refusal proves nothing.
func (a *attack) unfit(protocol, token string, got answer) {
	a.tb.Helper()
	x := exchange{sent: map[string]string{"token": token}, answer: got, marker: a.marker, crash: a.crash()}
	a.tb.Fatalf("oauthtest: a good token gets no success over %s on %s %s, but %s: %s",
		protocol, a.target.Method, a.target.Path, x.came(x.secrets()), a.remedy(got))
}

// remedy is what to do about a good token that does not pass.
func (a *attack) remedy(got answer) string {
	switch {
	case got.success():
		return "the answer does not end: for a stream, set Target.Marker to a text that the handler writes early"
	case a.passed && got.status == http.StatusNotFound:
		return "another one passed before: name a route that gives the same answer as often as it is asked, and not one that deletes what it names"
	}
	if hint := remedies[got.status]; hint != "" {
		return hint
	}
	return "correct Target.Method, Path, Scope, Token, Header or Body, or the audience and issuer that the handler's verifier expects"
}

var remedies = map[int]string{
	http.StatusForbidden:          "correct Target.Scope or Token; a guard with RequireTLS answers this to every request without TLS, which Attack makes: attack the route without RequireTLS, or use AttackURL with https",
	http.StatusMethodNotAllowed:   "set Target.Method to the method of the route",
	http.StatusMisdirectedRequest: `the route is bound to a host: set "Host" in Target.Header`,
	http.StatusServiceUnavailable: "the API has no keys: the attack begins with an outage of the issuer, so let the verifier try again within 15 seconds of it, or fetch its keys before the attack, which then skips what needs a fetch",
	http.StatusTooManyRequests:    "the API limits requests: switch that off for the attack",
}

// serveInMemory serves h over HTTP/1.1 and HTTP/2. crash tells what h panicked with
// since it was last called, "" if it did not.
//
// end waits for handlers that outlive their requests, but not for ever.
func serveInMemory(tb testing.TB, h http.Handler) (w *wire, crash func() string, end func()) {
	l := memnet.Listen("api.test:80")
	p := only("http")
	p.SetHTTP1(true)
	c := &crashes{handler: h}
	srv := &http.Server{Handler: c, Protocols: p, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() { defer close(served); srv.Serve(l) }() // ends with ErrServerClosed
	w = &wire{
		scheme: "http", host: "api.test",
		dial: func(ctx context.Context) (net.Conn, error) { return l.Dial(ctx, "", "") },
		two:  &http.Transport{DialContext: l.Dial, DisableCompression: true, Protocols: only("http")},
	}
	return w, c.take, func() {
		w.two.CloseIdleConnections()
		srv.Close()
		<-served
		if !c.ended(tailLimit) {
			tb.Errorf("oauthtest: a handler still runs %v after the attack: let it end with the context of its request", tailLimit)
		}
	}
}

// tailLimit is for handlers, after the last connection was closed.
const tailLimit = time.Minute

// crashes notes the panics of a handler.
type crashes struct {
	handler http.Handler

	mu      sync.Mutex
	last    string
	running int
}

func (c *crashes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.count(1)
	defer c.count(-1)
	defer func() {
		if p := recover(); p != nil {
			c.note(p)
			panic(http.ErrAbortHandler) // so that the server closes the connection, as it would have
		}
	}()
	c.handler.ServeHTTP(w, r)
}

// ended tells whether all handlers have ended, within the limit.
func (c *crashes) ended(limit time.Duration) bool {
	for end := time.Now().Add(limit); c.count(0) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func (c *crashes) count(change int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running += change
	return c.running
}

// note keeps the text of faults that the runtime found, which holds no values of a
// token, and only the type of others.
func (c *crashes) note(p any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err, ok := p.(runtime.Error); ok {
		c.last = err.Error()
		return
	}
	c.last = fmt.Sprintf("a value of type %T", p)
}

func (c *crashes) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last
	c.last = ""
	return last
}
