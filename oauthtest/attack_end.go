// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"
)

const (
	atOnce      = 16 // good requests at once, and as many bad ones
	manyKids    = 20 // tokens of unknown keys in a row
	manyFetches = 5  // of the key set, which are too many for them
	twoDays     = 48 * time.Hour
)

// playEnd plays what is no single request, when all cases have been played.
func (a *attack) playEnd(r reports) {
	a.tb.Helper()
	for _, play := range []func() []Finding{a.together, a.unknownKids, a.withdrawnKey} {
		if a.hung >= patience || a.stopped != nil {
			return
		}
		for _, f := range play() {
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
func (a *attack) together() []Finding {
	a.tb.Helper()
	protocols := a.wire.protocols()
	sent := make([]exchange, 2*atOnce)
	requests := make([]sending, len(sent))
	for i := range sent {
		c, token := togetherCase, ""
		if i%2 == 0 {
			c.Expect, token = []string{"PASS"}, a.good()
			c.Title = "good tokens, while requests without one are on their way"
		}
		requests[i] = a.describe(token)
		requests[i].until = a.target.Marker
		sent[i] = exchange{attackCase: c, method: a.target.Method, sent: map[string]string{"token": token}, target: &a.target, marker: a.marker}
	}
	a.crash()
	var done sync.WaitGroup
	for i := range sent {
		done.Go(func() {
			sent[i].answer = a.wire.send(context.Background(), protocols[i/2%len(protocols)], requests[i])
		})
	}
	done.Wait()
	a.sent += len(sent)
	return a.judgeTogether(sent, protocols)
}

// judgeTogether reports each problem once.
func (a *attack) judgeTogether(sent []exchange, protocols []string) (found []Finding) {
	crash, seen := a.crash(), map[Problem]bool{}
	for i, x := range sent {
		x.crash, crash = crash, "" // of whichever it was
		if x.answer.hung() {
			a.hung++
		}
		if err := x.untellable(); err != nil {
			a.stopped = err
			return nil
		}
		if f := x.finding(protocols[i/2%len(protocols)]); f != nil && !seen[f.Problem] {
			seen[f.Problem] = true
			found = append(found, *f)
		}
	}
	return found
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
		a.sendToken(http1, token)
	}
	n := a.as.Fetches() - before
	if n <= manyFetches {
		return nil
	}
	f := Finding{
		Case: "F19.unknown_kids", Protocol: http1, Problem: Fetched, Requirements: []string{"KS-11"},
		Title: fmt.Sprintf("%d tokens, each of another key that the issuer does not have", manyKids),
		Gain:  "Everybody makes the API ask its issuer as often as they like, until the issuer is overloaded, or refuses to answer the API.",
		Cause: "A kid that is not in the key set is reason enough to fetch it anew, however short ago that was done.",

		expected: fmt.Sprintf("at most %d requests for the key set", manyFetches), came: fmt.Sprint(n),
	}
	f.Detail = "expected " + f.expected + "; came " + f.came
	return []Finding{f}
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
	if !a.follow(followLimit).success() {
		a.tb.Log("oauthtest: it is not tried whether a withdrawn key is forgotten: the API did not take the next key within 15 seconds")
		return nil
	}
	time.Sleep(anHour)
	a.sendToken(http1, a.good()) // for a cache that asks anew when it is used
	time.Sleep(time.Second)
	x := exchange{
		attackCase: withdrawnCase, method: a.target.Method, sent: map[string]string{"token": second},
		answer: a.sendToken(http1, second), crash: a.crash(), target: &a.target, marker: a.marker,
	}
	if f := x.finding(http1); f != nil {
		return []Finding{*f}
	}
	return nil
}
