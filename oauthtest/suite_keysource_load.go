// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

func (k *keySourceTest) startsInOutage() {
	k.as.SetOutage(true)
	for range 3 {
		if _, err := k.ask(context.Background(), nil); err == nil {
			k.Fatalf("Keys without an error, though there never was a set")
		} else {
			k.refuses(err)
		}
		time.Sleep(promptly)
	}
	k.as.SetOutage(false)
	k.recovers()
}

// recovers: no failure lasts.
func (k *keySourceTest) recovers() {
	k.Helper()
	var err error
	if !within(cooldown, 10*time.Second, func() bool { _, err = k.ask(context.Background(), nil); return err == nil }) {
		k.Errorf("no keys %v after the outage: %v", cooldown, err)
	}
}

func (k *keySourceTest) outage() {
	k.warm()
	k.as.SetOutage(true)
	refused := within(staleLimit+time.Hour, 20*time.Minute, func() bool {
		set, err := k.ask(context.Background(), nil)
		if err != nil {
			k.refuses(err)
		} else if !k.verifies(set, k.first) {
			k.Errorf("another set in an outage: serve the last good one, or an error")
		}
		return err != nil
	})
	if !refused {
		k.Errorf("old keys are served %v into an outage, and it seems for ever: a withdrawn key would never leave (KS-12)", staleLimit)
	}
	k.as.SetOutage(false)
	k.recovers()
}

// cannotTell: the key may be in a set that cannot be fetched now, so that "unknown"
// would blame a good token (KS-11).
func (k *keySourceTest) cannotTell() {
	set := k.warm()
	k.as.Rotate()
	second := suiteToken(k.as)
	k.as.SetOutage(true)
	var err error
	if !within(cooldown, 10*time.Second, func() bool { _, err = k.ask(context.Background(), miss(set, second)); return err != nil }) {
		k.Errorf("a miss got a set for %v of an outage: return an error where a refresh failed, since the key may be a new one", cooldown)
		return
	}
	k.refuses(err)
}

func (k *keySourceTest) coldCrowd() {
	k.as.SetFault(EndpointKeySet, Fault{Delay: time.Second}) // so that all come before the answer
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			if _, err := k.ask(context.Background(), nil); err != nil {
				k.Errorf("Keys failed while the issuer answers: %v", err)
			}
		})
	}
	all.Wait()
	k.few("callers without keys", crowd, 0, fewFetches)
}

func (k *keySourceTest) few(who string, calls, before, limit int) {
	k.Helper()
	if n := k.as.Fetches() - before; n > limit {
		k.Errorf("%d %s caused %d fetches, %d are plenty: share the one under way, and wait between two", calls, who, n, limit)
	}
}

// flood: an attacker makes up kids for nothing.
func (k *keySourceTest) flood() {
	set := k.warm()
	time.Sleep(cooldown)
	before := k.as.Fetches()
	var all sync.WaitGroup
	for range 10 {
		for range crowd / 4 {
			all.Go(func() { _, _ = k.ask(context.Background(), &verifier.Miss{Set: set, KeyID: k.as.random()}) })
		}
		time.Sleep(3 * time.Second)
	}
	all.Wait()
	k.few("misses within 30 s", 10*crowd/4, before, fewFetches)
}

func (k *keySourceTest) outageFlood() {
	set := k.warm()
	k.as.SetOutage(true)
	time.Sleep(cooldown)
	before := k.as.Fetches()
	for range 2 * crowd {
		_, _ = k.ask(context.Background(), nil)
		_, _ = k.ask(context.Background(), &verifier.Miss{Set: set, KeyID: k.as.random()})
		time.Sleep(time.Second / 2)
	}
	k.few("calls in an outage of 100 s", 4*crowd, before, 5*fewFetches)
}
