// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	atOnce      = 4  // good requests at once, and as many bad ones: few APIs are limited to less
	rounds      = 4  // of these, which of them comes last being chance
	turns       = 2  // and of these, in bubbles, where each kind comes last once
	manyKids    = 20 // tokens of unknown keys in a row
	manyFetches = 5  // of the key set, which are too many for them
	twoDays     = 48 * time.Hour
)

// playEnd plays what is no single request, when all cases have been played.
func (a *attack) playEnd(r reports) {
	a.tb.Helper()
	for _, step := range []struct {
		attackCase
		play func() []Finding
	}{{togetherCase, a.together}, {unknownCase, a.unknownKids}, {withdrawnCase, a.withdrawnKey}} {
		if a.hung >= patience || a.stopped != nil {
			return
		}
		if a.excepted(step.attackCase) {
			continue
		}
		for _, f := range step.play() {
			r.found(f)
		}
		if a.stopped != nil {
			a.tb.Fatal(a.stopped)
		}
	}
}

var togetherCase = attackCase{
	ID: "K24.at_once", Expect: []string{"NONE"}, Requirements: []string{"GO-03"},
	Title: "requests without a token, while others with good ones are on their way",
	Gain:  "Whoever sends a request while others are served gets in under their name, or has them refused.",
	Cause: "The verdict, the token or its user is kept in something that all requests share: a field of the middleware, a global, a buffer that is used again.",
}

// together sends good and bad requests at the same time. Each verdict is that of a request
// on its own.
func (a *attack) together() (found []Finding) {
	a.tb.Helper()
	seen := map[Problem]bool{}
	all := rounds
	if inBubble(a.tb) {
		all += turns
	}
	for round := range all {
		sent, waiting := a.sendTogether(round)
		limited := len(sent) < 2*atOnce
		for _, f := range a.judgeTogether(sent) {
			if !seen[f.Problem] {
				seen[f.Problem], found = true, append(found, f)
			}
		}
		if limited && a.stopped == nil {
			a.tb.Logf("oauthtest: %s is not tried to the end: the API limits how many requests it takes at once", togetherCase.ID)
			a.drain(waiting)
		}
		if limited || a.stopped != nil {
			return found
		}
	}
	return found
}

// judgeable is an exchange, and the protocol that it used.
type judgeable struct {
	exchange
	protocol string
}

// drain gives an API that does requests one by one the time for those that nobody waits for
// any more: else the next ones get no answer, and that is no fault. Where all of them wait,
// none is done.
func (a *attack) drain(waiting int) {
	if waiting < 2*atOnce {
		time.Sleep(time.Duration(waiting) * caseLimit)
	}
}

// sendTogether returns what is to be judged: not what a limit was in the way of. waiting is
// how many of those got no answer in time.
func (a *attack) sendTogether(round int) (sent []judgeable, waiting int) {
	a.tb.Helper()
	protocols := a.wire.protocols()
	sent = make([]judgeable, 2*atOnce)
	requests := make([]sending, len(sent))
	tokens := map[string]string{} // none of them may stand in the answer to any request
	for i := range sent {
		c, token := togetherCase, ""
		if (i+round)%2 == 0 {
			c.Expect, token = []string{"PASS"}, a.good()
			tokens[strconv.Itoa(i)] = token
			c.Title = "good tokens, while requests without one are on their way"
		}
		requests[i] = a.describe(token)
		requests[i].until = a.target.Marker
		x := exchange{attackCase: c, method: a.target.Method, sent: tokens, target: &a.target, marker: a.marker}
		sent[i] = judgeable{x, protocols[i/2%len(protocols)]}
	}
	a.crash()
	var done sync.WaitGroup
	for _, odd := range []int{0, 1} {
		for i := odd; i < len(sent); i += 2 {
			done.Go(func() { sent[i].answer = a.wire.send(context.Background(), sent[i].protocol, requests[i]) })
		}
		if round >= rounds {
			time.Sleep(time.Nanosecond) // until all who were sent have ended, or wait for something
		}
	}
	done.Wait()
	a.sent += len(sent)
	a.blame(sent)
	sent = slices.DeleteFunc(sent, func(x judgeable) bool {
		if x.answer.hung() {
			waiting++
		}
		return x.limited()
	})
	return sent, waiting
}

// blame gives a panic to those who got no whole answer, or else to the first.
func (a *attack) blame(sent []judgeable) {
	crash, given := a.crash(), false
	for i, x := range sent {
		if x.answer.err != nil && !x.answer.hung() {
			sent[i].crash, given = crash, true
		}
	}
	if !given {
		sent[0].crash = crash
	}
}

// limited tells of an API that takes only so many requests at once, or does them one by
// one. What leaks is no limit, nor is a connection that ends without an answer: a handler
// that panics looks like that, and in another process nothing else tells of it.
func (x exchange) limited() bool {
	if x.crash != "" || x.accepted() || x.leaks() {
		return false
	}
	switch x.answer.status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusServiceUnavailable:
		return x.answer.header.Get("Retry-After") != ""
	}
	return x.answer.hung() || errors.Is(x.answer.err, errUnsayable)
}

func (a *attack) judgeTogether(sent []judgeable) (found []Finding) {
	for _, x := range sent {
		if a.stopped = x.untellable(); a.stopped != nil {
			return nil
		}
		if f := x.finding(x.protocol); f != nil {
			found = append(found, *f)
		}
	}
	return found
}

var unknownCase = attackCase{
	ID: "F19.unknown_kids", Requirements: []string{"KS-11"},
	Title: fmt.Sprintf("%d tokens, each of another key that the issuer does not have", manyKids),
	Gain:  "Everybody makes the API ask its issuer as often as they like, until the issuer is overloaded, or refuses to answer the API.",
	Cause: "A kid that is not in the key set is reason enough to fetch it anew, however short ago that was done.",
}

// unknownKids sends tokens of keys that there are not, each of another one.
func (a *attack) unknownKids() []Finding {
	a.tb.Helper()
	before := a.as.Fetches()
	for i := range manyKids {
		kid := json.RawMessage(strconv.Quote(fmt.Sprintf("made-up-%d", i)))
		token, err := a.forge.bad(recipe{Header: part{Set: map[string]json.RawMessage{"kid": kid}}})
		if err != nil {
			a.tb.Fatal(err)
		}
		if f := a.crashBy(token); f != nil {
			return []Finding{*f}
		}
	}
	n := a.as.Fetches() - before
	if n <= manyFetches {
		return nil
	}
	f := Finding{
		Case: unknownCase.ID, Protocol: http1, Problem: Fetched, Requirements: unknownCase.Requirements,
		Title: unknownCase.Title, Gain: unknownCase.Gain, Cause: unknownCase.Cause,

		expected: fmt.Sprintf("at most %d requests for the key set", manyFetches), came: fmt.Sprint(n),
	}
	f.Detail = "expected " + f.expected + "; came " + f.came
	return []Finding{f}
}

// crashBy is the finding that a token of an unknown key brings the API down, or nil. What
// else it answers has been judged by the cases about such keys. One request without an
// answer may be a limit that is still busy with those before.
func (a *attack) crashBy(token string) *Finding {
	a.tb.Helper()
	c := unknownCase
	c.Expect = []string{"TOK"}
	x := a.exchangeOf(c, http1, token)
	if !x.crashed() || x.answer.hung() && a.hung < patience {
		return nil
	}
	return x.finding(http1)
}

var withdrawnCase = attackCase{
	ID: "F22.withdrawn_key", Expect: []string{"TOK"}, Requirements: []string{"KS-14"},
	Title: "a token of a key that the issuer withdrew an hour ago, after the API has fetched the keys that replace it",
	Gain:  "Whoever stole a key goes on making tokens after the issuer has withdrawn it.",
	Cause: "New keys are added to those that were fetched before, which are never forgotten.",
}

// withdrawnKey has the issuer replace its key as after a leak. It takes a verifier that
// fetches keys, and time.
func (a *attack) withdrawnKey() []Finding {
	a.tb.Helper()
	if !a.follows || a.skips["clock"] != "" {
		return nil
	}
	old := func() string {
		token, err := a.as.mint(append(a.forge.goodEdits(), ExpiresIn(twoDays))...)
		if err != nil {
			a.tb.Fatal(err)
		}
		return token
	}
	first, second := old(), old() // one that was sent before might be remembered
	if got := a.sendToken(http1, first); !got.success() {
		a.tb.Log("oauthtest: it is not tried whether a withdrawn key is forgotten: the API refuses tokens that live for two days")
		return nil
	}
	a.as.RotateAbruptly()
	time.Sleep(longestCooldown)
	if !a.takesKeys(followLimit) {
		a.tb.Log("oauthtest: it is not tried whether a withdrawn key is forgotten: the API did not take the next key within 15 seconds")
		return nil
	}
	time.Sleep(anHour)
	a.sendToken(http1, a.good()) // for a cache that asks anew when it is used
	time.Sleep(time.Second)
	if f := a.exchangeOf(withdrawnCase, http1, second).finding(http1); f != nil {
		return []Finding{*f}
	}
	return nil
}
