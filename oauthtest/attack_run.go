// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	controlEvery = 25        // cases
	patience     = 3         // requests without an answer in time, before the attack gives up
	anHour       = time.Hour // between the two halves of a case that needs a clock
)

// attack is one run against one route.
type attack struct {
	tb      testing.TB
	as      *Server
	target  Target
	wire    *wire
	base    string        // of the URL, before Target.Path
	crash   func() string // what the handler panicked with since the last call
	forge   *forgery
	marker  marker
	skips   map[string]string // needs that cannot be met, and why
	extra   []json.RawMessage // hostile keys that were published before
	outages []attackCase      // played early, while the issuer is down
	cases   []attackCase      // all others
	played  map[string][]Finding
	idle    []idleness
	hung    int
	sent    int
	passed  bool  // a good token has passed
	follows bool  // the verifier takes new keys
	stopped error // why nothing more can be proved
}

// idleness is how many cases were skipped for one reason.
type idleness struct {
	reason string
	cases  int
}

// onHandler serves h until end is called.
func onHandler(tb testing.TB, cases []attackCase, h http.Handler, as *Server, target Target) (a *attack, end func()) {
	tb.Helper()
	if hook.Nil(h) {
		tb.Fatal("oauthtest: the handler is nil: give the one that serves the guarded route")
	}
	a = newAttack(tb, cases, as, target)
	a.wire, a.crash, end = serveInMemory(tb, h)
	return a, end
}

// newAttack fails the test for a faulty target. wire and crash are still to be set.
func newAttack(tb testing.TB, cases []attackCase, as *Server, target Target) *attack {
	tb.Helper()
	target.check(tb, as)
	target.Method = cmp.Or(target.Method, http.MethodGet)
	a := &attack{
		tb: tb, as: as, target: target,
		skips: map[string]string{
			fixedClaims: "Target.Mapping allows what it sends, or leads where it cannot be said",
			freeFields:  "Target.Header has the fields that it sends",
		},
		forge:  target.forgery(as),
		played: map[string][]Finding{},
	}
	for _, c := range cases {
		c = target.mapped(c).beside(target.Header)
		if slices.Contains(c.Needs, "outage") {
			a.outages = append(a.outages, c)
		} else {
			a.cases = append(a.cases, c)
		}
	}
	if target.Profile == verifier.ProfileJWT {
		a.skips["rfc9068"] = "it is decided by RFC 9068 alone, and Target.Profile is ProfileJWT"
	}
	return a
}

// forgery makes the tokens of as, and knows the one that makes those of AlsoTrusts.
func (target Target) forgery(as *Server) *forgery {
	f := &forgery{server: as, edits: target.edits(), scope: target.Scope}
	if target.AlsoTrusts != nil {
		f.other = &forgery{server: target.AlsoTrusts, edits: f.edits, scope: f.scope, other: f}
	}
	return f
}

func (target Target) check(tb testing.TB, as *Server) {
	tb.Helper()
	switch {
	case as == nil:
		tb.Fatal("oauthtest: the server is nil: give the one whose tokens the handler trusts")
	case !strings.HasPrefix(target.Path, "/"):
		tb.Fatal(`oauthtest: Target.Path does not begin with a slash: name the guarded route, "/orders" for example`)
	case target.Method == http.MethodHead:
		tb.Fatal("oauthtest: Target.Method is HEAD, whose answers do not show whether the handler ran: use GET")
	case target.Scope != "" && !scopeList(target.Scope):
		tb.Fatal(`oauthtest: Target.Scope is no list of scopes with single spaces between them: name those that the route needs, "orders:read" for example`)
	case target.AlsoTrusts != nil && target.AlsoTrusts.issuer == as.issuer:
		tb.Fatal("oauthtest: Target.AlsoTrusts is the issuer that attacks already: name another one, or none")
	}
	if err := errors.Join(target.checkExcept(), target.checkHeader()); err != nil {
		tb.Fatal(err)
	}
}

// probe finds out whether the server speaks HTTP/2.
func (a *attack) probe() {
	a.tb.Helper()
	if got := a.sendToken(http2, ""); got.err != nil {
		a.tb.Log("oauthtest: the server does not speak HTTP/2: all cases are sent over HTTP/1.1 only")
		a.wire.two.CloseIdleConnections()
		a.wire.two = nil
	}
}

// run plays all cases. The keys come first, since a verifier asks for them at its first
// token, and so decide what can be tried at all.
func (a *attack) run(r reports) {
	a.tb.Helper()
	defer a.restore()
	a.watchClock()
	a.playKeys(r)
	a.watchBody()
	for _, c := range a.outages {
		a.stage(r, c)
	}
	for i, c := range a.cases {
		if i%controlEvery == 0 {
			a.control(r, c)
		}
		a.stage(r, c)
	}
	a.playEnd(r)
	a.lastControl(r)
	a.tb.Log(a.summary())
}

// stage plays a case, skips it, or reports what was found before.
func (a *attack) stage(r reports, c attackCase) {
	a.tb.Helper()
	found, done := a.played[c.ID]
	if done {
		r.stage(c, "", func() ([]Finding, error) { return found, nil })
		return
	}
	why := a.skip(c)
	if why == "" && slices.Contains(c.Needs, "outage") {
		why = cmp.Or(a.skips["keys"], "the verifier did not ask for keys during the outage")
	}
	if why != "" {
		a.note(why)
	}
	r.stage(c, why, func() ([]Finding, error) { return a.play(c) })
}

// note counts a case that is skipped.
func (a *attack) note(reason string) {
	i := slices.IndexFunc(a.idle, func(n idleness) bool { return n.reason == reason })
	if i < 0 {
		i, a.idle = len(a.idle), append(a.idle, idleness{reason: reason})
	}
	a.idle[i].cases++
}

// summary tells what was tried, and what was not.
func (a *attack) summary() string {
	var b strings.Builder
	skipped := 0
	for _, n := range a.idle {
		skipped += n.cases
		fmt.Fprintf(&b, "\n  %d skipped: %s", n.cases, n.reason)
	}
	return fmt.Sprintf("oauthtest: %d cases played with %d requests over %s, %d skipped",
		len(a.cases)+len(a.outages)-skipped, a.sent, strings.Join(a.wire.protocols(), " and "), skipped) + b.String()
}

// skip says why a case makes no sense here, or "".
func (a *attack) skip(c attackCase) string {
	if why := a.target.except(c.ID); why != "" {
		return why
	}
	if a.stopped != nil {
		return "given up: " + strings.TrimPrefix(a.stopped.Error(), "oauthtest: ")
	}
	for _, need := range c.Needs {
		if why := a.skips[need]; why != "" {
			return why
		}
	}
	if need := a.forge.lacksFor(c); need != "" {
		return cmp.Or(lacking[need], "the issuer's algorithm does not fit: the case needs "+need)
	}
	if a.hung >= patience {
		return fmt.Sprintf("given up: %d requests got no answer within %v", a.hung, caseLimit)
	}
	return ""
}

var lacking = map[string]string{
	"scope":      "Target.Scope is empty",
	"asymmetric": "the issuer publishes no keys",

	"small-letters":  "Target.Scope has no small letter",
	"several-scopes": "Target.Scope is not several scopes",
	"second-issuer":  "Target.AlsoTrusts is nil",
	"scope-levels":   "the last of Target.Scope has no level above it",
	"own-scope":      "Target.Scope is empty, or names admin, openid or the like",
	"audience":       "the good token has no audience",
	"own-audience":   "the good token has the audience that is sent",
	"spare-bits":     "the last character of the issuer's signatures has no unused bits",
}

// play sends a case over each protocol and judges the answers.
func (a *attack) play(c attackCase) ([]Finding, error) {
	tokens, err := a.forge.tokens(c)
	if err != nil {
		return nil, fmt.Errorf("oauthtest: case %s: %w", c.ID, err)
	}
	s, err := a.compose(c.Send, tokens)
	if err != nil {
		return nil, fmt.Errorf("oauthtest: case %s: %w", c.ID, err)
	}
	if slices.Contains(c.Needs, "clock") {
		if found := a.playBefore(c, tokens["token"]); found != nil {
			return found, nil
		}
	}
	return a.playNow(c, s, tokens)
}

func (a *attack) playNow(c attackCase, s sending, tokens map[string]string) ([]Finding, error) {
	var found []Finding
	for _, protocol := range a.wire.protocols() {
		if f := a.playOver(protocol, c, s, tokens); f != nil {
			found = append(found, *f)
		}
		if a.stopped != nil {
			return nil, a.stopped
		}
	}
	return merge(found), nil
}

// playBefore sends a token that must pass as yet, an hour before the case.
func (a *attack) playBefore(c attackCase, token string) []Finding {
	var found []Finding
	for _, protocol := range a.wire.protocols() {
		if f := a.refusal(protocol, token, "the token of "+c.ID+", an hour before it"); f != nil {
			found = append(found, *f)
		}
	}
	time.Sleep(anHour)
	return merge(found)
}

func (a *attack) playOver(protocol string, c attackCase, s sending, tokens map[string]string) *Finding {
	if protocol == http2 && slices.Contains(c.Needs, "http1") {
		return nil
	}
	if c.warm() {
		if f := a.refusal(protocol, tokens["good"], "the good token of which "+c.ID+" is made"); f != nil || a.stopped != nil {
			return f
		}
	}
	return a.exchange(c, protocol, s, tokens)
}

func (a *attack) exchange(c attackCase, protocol string, s sending, tokens map[string]string) *Finding {
	if slices.Contains(c.Needs, "connection") {
		first := a.describe(a.good())
		s.first = &first
	}
	canaries := a.as.count(a.as.astray)
	got := a.send(protocol, s)
	if errors.Is(got.err, errUnsayable) {
		return nil
	}
	x := exchange{
		attackCase: c, method: s.method, sent: tokens, answer: got, crash: a.crash(),
		fetched: c.NoFetch && a.as.count(a.as.astray) > canaries,
		target:  &a.target, marker: a.marker, large: s.large(),
	}
	if x.telltaleHead() {
		x.fallback = a.pageForAll(protocol, s, got)
	}
	if x.strange() {
		x.reached = a.marker.in(a.send(protocol, s.with(a.good())).body)
	}
	if a.stopped = x.untellable(); a.stopped != nil {
		return nil
	}
	return x.finding(protocol)
}

// pageForAll tells whether a path that does not exist gets the same answer to HEAD. Where it
// is guarded, that is no page: HEAD gets past the guard there as well.
func (a *attack) pageForAll(protocol string, s sending, got answer) bool {
	s = s.elsewhere()
	if !a.send(protocol, s).like(got) {
		return false
	}
	s.method = a.target.Method
	return a.send(protocol, s).status != http.StatusUnauthorized
}

func (a *attack) send(protocol string, s sending) answer {
	a.sent++
	a.crash() // what came too late for the case before
	s.until = a.target.Marker
	got := a.wire.send(context.Background(), protocol, s)
	if got.hung() {
		a.hung++
	}
	return got
}

// compose fills in the templates of a message.
func (a *attack) compose(m message, tokens map[string]string) (sending, error) {
	path, query, _ := strings.Cut(a.target.Path, "?")
	x := expander{forge: a.forge, vars: places(a.base+path, a.target.host(a.wire.host), a.target.Method)}
	for name, token := range tokens {
		x.vars[name] = token
	}
	s := sending{
		method: cmp.Or(x.fill(m.Method), a.target.Method), target: x.fill(cmp.Or(m.Path, "${path}")),
		lines: x.lines(m), body: x.fill(m.Body), trailer: x.all(m.Trailer),
	}
	if query = strings.Trim(query+"&"+x.fill(m.Query), "&"); query != "" {
		s.target += "?" + query
	}
	if s.body == "" && a.target.Body != "" && m.Trailer == nil {
		s.body = a.target.Body
	}
	if a.target.ContentType != "" && !s.has("Content-Type") {
		s.lines = append(s.lines, "Content-Type: "+a.target.ContentType)
	}
	a.target.addHeader(&s)
	return s, x.err
}

// places are the placeholders about the route and its host.
func places(path, host, method string) map[string]string {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i:]
	}
	return map[string]string{
		"path": path, "target.HOST": strings.ToUpper(host), "target.name": name, "target.port": port,
		"method.body": withBody(method),
	}
}

// withBody keeps a method whose requests have a body that means something (RFC 9110 §9.3).
func withBody(method string) string {
	if slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, method) {
		return method
	}
	return http.MethodPost
}

// expander remembers the first fault of a template.
type expander struct {
	forge *forgery
	vars  map[string]string
	err   error
}

func (x *expander) fill(template string) string {
	if template == "" {
		return ""
	}
	text, err := x.forge.expand(template, x.vars)
	if x.err == nil {
		x.err = err
	}
	return text
}

func (x *expander) all(templates []string) []string {
	var texts []string
	for _, t := range templates {
		texts = append(texts, x.fill(t))
	}
	return texts
}

func (x *expander) lines(m message) []string {
	if m.Lines == nil && !m.NoLines {
		return []string{x.fill("Authorization: Bearer ${token}")}
	}
	return x.all(m.Lines)
}

// sendToken makes the request that Target describes, without a token if that is "".
func (a *attack) sendToken(protocol, token string) answer {
	a.tb.Helper()
	got := a.send(protocol, a.describe(token))
	a.passed = a.passed || token != "" && got.success()
	return got
}

func (a *attack) describe(token string) sending {
	a.tb.Helper()
	s, err := a.compose(message{NoLines: token == ""}, map[string]string{"token": token})
	if err != nil {
		a.tb.Fatal(err) // about the audience, if at all: the template is ours
	}
	return s
}

// good makes a token that must pass.
func (a *attack) good() string {
	a.tb.Helper()
	token, err := a.forge.good()
	if err != nil {
		a.tb.Fatal(err)
	}
	return token
}
