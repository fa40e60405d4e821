// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	followLimit = 15 * time.Second // for a verifier to get keys that are there
	followEvery = 50 * time.Millisecond
	// goodKeysLimit is for one who has just seen that a fetch brought no keys.
	goodKeysLimit = 5 * time.Second
	// longestCooldown is how long a verifier may go without asking for new keys.
	longestCooldown = 10*time.Minute + time.Second
)

// playKeys plays the cases that need an outage, and has the verifier fetch hostile keys
// among the good ones. A verifier without keys is found out by the outage: there it is
// tried what must not pass for want of keys, and one fetch later it has all of them. In
// a bubble, where waiting takes no time, the same is tried again with a new key.
func (a *attack) playKeys(r reports) {
	a.tb.Helper()
	if a.forge.lacks([]string{"asymmetric"}) != "" {
		a.skips["keys"] = "the issuer publishes no keys"
		a.learn()
		return
	}
	a.publish()
	cold := a.begin()
	a.as.SetOutage(true)
	a.playOutages(available)
	a.as.SetOutage(false)
	switch {
	case inBubble(a.tb) && !a.excepted(rotationCase):
		a.rotate(r, cold)
	case !cold && a.as.Fetches() == 0:
		a.skips["keys"] = "the API has not asked this server for keys: it has them from elsewhere, or checks no signature"
	case !cold:
		a.skips["keys"] = "the verifier had its keys before the attack began, and need not ask for others yet: attack before other requests, or inside testing/synctest"
	}
}

// watchClock finds out whether time can be made to pass, also for the issuer.
func (a *attack) watchClock() {
	a.tb.Helper()
	if !inBubble(a.tb) {
		a.skips["clock"] = "it takes an hour: attack inside testing/synctest, where that is no time"
		return
	}
	before := a.as.cfg.Now()
	if time.Sleep(time.Second); a.as.cfg.Now().Sub(before) < time.Second {
		a.skips["clock"] = "Config.Now stands still: leave it out"
	}
}

// watchBody finds out whether the route takes requests that have a body: a router that
// refuses the method shows nothing of the guard behind it.
func (a *attack) watchBody() {
	a.tb.Helper()
	method := withBody(a.target.Method)
	needed := slices.ContainsFunc(a.cases, func(c attackCase) bool { return slices.Contains(c.Needs, "body") })
	if method == a.target.Method || !needed {
		return
	}
	s := a.describe(a.good())
	s.method = method
	if got := a.send(http1, s); got.status == http.StatusMethodNotAllowed || got.status == http.StatusNotFound {
		a.skips["body"] = fmt.Sprintf("the API answers %s on this path with %d: attack a route with POST, PUT or PATCH as well", method, got.status)
	}
}

// begin tells whether the verifier had no keys yet. Now it has.
func (a *attack) begin() (cold bool) {
	a.tb.Helper()
	a.as.SetOutage(true)
	if cold = !a.sendToken(http1, a.good()).success(); cold {
		a.playOutages(unavailable)
	}
	a.as.SetOutage(false)
	if got, token := a.follow(followLimit); !got.success() {
		a.followGoodKeys(got, token)
	}
	a.learn()
	return cold
}

// followGoodKeys finds out whether it was the hostile keys that kept the verifier from
// taking the good one. refusal is the answer to token while they were published.
func (a *attack) followGoodKeys(refusal answer, token string) {
	a.tb.Helper()
	a.as.setExtraKeys(a.extra)
	if !mayWantKeys(refusal) || !a.takesKeys(goodKeysLimit) {
		a.unfit(http1, token, refusal)
	}
	a.skips["keys"] = "the verifier took no key set in which hostile keys stood beside the good one"
	for _, c := range a.cases {
		if c.ID != "E10.good_beside_broken" {
			continue
		}
		x := exchange{attackCase: c, method: a.target.Method, sent: map[string]string{"token": token}, answer: refusal, target: &a.target}
		if f := x.finding(http1); f != nil {
			a.played[c.ID] = []Finding{*f}
		}
	}
}

func unavailable(c attackCase) bool { return slices.Contains(c.Expect, "UNAV") }

func available(c attackCase) bool { return !unavailable(c) }

func (a *attack) publish() {
	a.tb.Helper()
	keys, err := a.forge.keys()
	if err != nil {
		a.tb.Fatalf("oauthtest: hostile keys: %v", err)
	}
	canary, err := a.forge.canary()
	if err != nil {
		a.tb.Fatalf("oauthtest: hostile keys: %v", err)
	}
	a.extra = a.as.extraKeys()
	a.as.setExtraKeys(keys)
	a.as.setCanary(canary)
}

// restore leaves the server as it was, but for an edited key set.
func (a *attack) restore() {
	a.as.SetOutage(false)
	a.as.setExtraKeys(a.extra)
	a.as.setCanary(nil)
}

func (s *Server) extraKeys() []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extra
}

// playOutages plays cases now that are reported later, once it is known that the target
// fits.
func (a *attack) playOutages(which func(attackCase) bool) {
	a.tb.Helper()
	for _, c := range a.outages {
		if _, done := a.played[c.ID]; done || !which(c) || a.skip(c) != "" {
			continue
		}
		found, err := a.play(c)
		if err != nil {
			a.tb.Fatal(err)
		}
		a.played[c.ID] = found
	}
}

// follow sends good tokens until one passes. It gives up early where waiting for keys
// cannot help: at answers that tell of no outage, and after a fetch that did not help. It
// returns the last answer, and the token that got it.
func (a *attack) follow(limit time.Duration) (got answer, token string) {
	a.tb.Helper()
	fetches := a.as.Fetches()
	for end := time.Now().Add(limit); ; time.Sleep(followEvery) {
		fetched := a.as.Fetches() > fetches
		token = a.good()
		got = a.sendToken(http1, token)
		if got.success() || !mayWantKeys(got) || fetched && got.status != http.StatusServiceUnavailable || time.Now().After(end) {
			return got, token
		}
	}
}

// takesKeys tells whether a good token passes in the end.
func (a *attack) takesKeys(limit time.Duration) bool {
	a.tb.Helper()
	got, _ := a.follow(limit)
	return got.success()
}

// mayWantKeys: some who have no keys answer 500, or blame the token.
func mayWantKeys(a answer) bool {
	return a.status/100 == 5 || a.status == http.StatusUnauthorized
}

// rotate has the issuer sign with a new key, and wants it to be taken once the issuer
// answers again. A verifier that never asked as has its keys from elsewhere.
func (a *attack) rotate(r reports, asked bool) {
	a.tb.Helper()
	time.Sleep(longestCooldown)
	a.as.SetOutage(true)
	before := a.as.count(toKeys)
	a.as.Rotate()
	a.sendToken(http1, a.good())
	time.Sleep(time.Nanosecond) // for the fetch of one who answers before it; synctest.Wait is not for two at once
	tried := a.as.count(toKeys) > before
	if tried {
		a.playOutages(unavailable)
	}
	a.as.SetOutage(false)
	if !tried && !asked {
		a.as.signWithOlder()
		a.skips["keys"] = "the verifier does not ask the issuer for keys"
		return
	}
	a.wantNewKey(r, asked)
}

func (a *attack) wantNewKey(r reports, asked bool) {
	a.tb.Helper()
	got, token := a.follow(followLimit)
	if got.success() {
		a.follows = true
		return
	}
	x := exchange{
		attackCase: rotationCase, method: a.target.Method, sent: map[string]string{"token": token},
		answer: got, target: &a.target, marker: a.marker,
	}
	r.found(*x.finding(http1))
	a.as.signWithOlder()
	if !asked {
		a.skips["keys"] = "the verifier did not take the issuer's new keys"
	}
}

var rotationCase = attackCase{
	ID: "F21.rotation", Expect: []string{"PASS"}, Requirements: []string{"KS-11"},
	Title: "a token of a key that the issuer has begun to use, while the old one stays published",
	Gain:  "Nobody gains access, but after a rotation of keys every user is refused until the process starts anew.",
	Cause: "The key set is loaded once, a kid that is not in it is refused without asking for a newer set, or one key that cannot be read spoils that set.",
}

// signWithOlder undoes a rotation that the verifier does not follow. Both keys stay
// published.
func (s *Server) signWithOlder() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[0], s.keys[1] = s.keys[1], s.keys[0]
}

// count says how many of the requests that the server remembers are of a kind.
func (s *Server) count(kind func(Request) bool) int {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	n := 0
	for _, r := range s.host.log {
		if (r.server == s || r.server == nil) && kind(r.Request) {
			n++
		}
	}
	return n
}

func toKeys(r Request) bool {
	return r.Endpoint == EndpointMetadata || r.Endpoint == EndpointKeySet
}

// astray tells of a request to which nothing but an address in a token can lead: one below
// /canary/, also where the well-known part goes before that (RFC 8414 §3.1), or to a host
// that is not the issuer's. Requests to such hosts are seen in memory alone.
func (s *Server) astray(r Request) bool {
	u, err := url.Parse(r.URL)
	if err != nil || r.Endpoint != "" {
		return false
	}
	path := u.Path
	if rest, inserted := strings.CutPrefix(path, "/.well-known/"); inserted {
		_, rest, _ = strings.Cut(rest, "/")
		path = "/" + rest
	}
	return strings.HasPrefix(path+"/", canaryPath) || s.host.only != "" && origin(u) != s.host.only
}
