// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// outages are the ways in which an issuer hands out no keys. Only the first two are of
// the metadata, too: else a source might not come as far as the key set.
var outages = []struct {
	name      string
	metadata  bool
	misbehave Fault
}{
	{"503", true, Fault{Status: http.StatusServiceUnavailable}},
	{"hang", true, Fault{Hang: true}},
	{"empty_set", false, Fault{Body: `{"keys":[]}`}},
	{"web_page", false, Fault{Body: "<!DOCTYPE html><title>Sign in</title>", Header: http.Header{"Content-Type": {"text/html"}}}},
	{"truncated", false, Fault{Truncate: true}},
}

// outageChecks has each promise about outages for each of them.
func outageChecks() (all []keySourceCheck) {
	for _, o := range outages {
		set := func(k *keySourceTest, f Fault) {
			k.as.SetFault(EndpointKeySet, f)
			if o.metadata {
				k.as.SetFault(EndpointMetadata, f)
			}
		}
		for name, run := range map[string]func(k *keySourceTest, begin, end func()){
			"no_keys_is_an_error_that_ends":  (*keySourceTest).startsInOutage,
			"outage_serves_old_keys_or_none": (*keySourceTest).outage,
		} {
			all = append(all, keySourceCheck{name: name + "/" + o.name, run: func(k *keySourceTest) {
				run(k, func() { set(k, o.misbehave) }, func() { set(k, Fault{}) })
			}})
		}
	}
	slices.SortFunc(all, func(a, b keySourceCheck) int { return strings.Compare(a.name, b.name) })
	return all
}

func (k *keySourceTest) startsInOutage(begin, end func()) {
	if k.asked {
		k.Skip("the source asked the issuer before the first call of Keys, so that it has keys: what it does without cannot be seen")
	}
	begin()
	for range 3 {
		if _, err := k.try(); err == nil {
			k.Fatalf("Keys without an error, though there never was a set")
		} else {
			k.refuses(err)
		}
		time.Sleep(promptly)
	}
	end()
	k.recovers()
}

// recovers: no failure lasts.
func (k *keySourceTest) recovers() {
	k.Helper()
	var err error
	if !within(cooldown, 10*time.Second, func() bool { _, err = k.try(); return err == nil }) {
		k.Errorf("no keys %v after the outage: let every fetch end by a timeout of its own, and remember no failure for long: %v", cooldown, err)
	}
}

func (k *keySourceTest) outage(begin, end func()) {
	k.warm()
	begin()
	refused := within(freshLimit+staleLimit+time.Hour, 20*time.Minute, func() bool {
		set, err := k.try()
		if err != nil {
			k.refuses(err)
		} else if !k.verifies(set, k.first) {
			k.Fatalf("another set in an outage: serve the last good one, or an error")
		}
		return err != nil
	})
	if !refused {
		k.Errorf("old keys are served for more than %v of an outage: end it %v after they ceased to be fresh, which is after %v at the latest, since a withdrawn key would serve as long (KS-12)", freshLimit+staleLimit, staleLimit, freshLimit)
	}
	end()
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
