// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// follow asks for the key of raw until it is there.
func (k *keySourceTest) follow(set *verifier.KeySet, raw string) *verifier.KeySet {
	k.Helper()
	newer := set
	if !within(cooldown, 10*time.Second, func() bool { newer = k.must(miss(set, raw)); return k.verifies(newer, raw) }) {
		k.Fatalf("misses for %v did not bring a key that the issuer has published: refresh the set on a miss, unless that was just done", cooldown)
	}
	return newer
}

func (k *keySourceTest) missBringsKey() {
	set := k.warm()
	k.as.Rotate()
	second := suiteToken(k.as)
	newer := k.follow(set, second)
	if !k.verifies(newer, k.first) {
		k.Errorf("the newer set lacks a key that the issuer still publishes")
	}
}

// misses asks by such misses until the key of raw is there. The key set says that it is
// good for a day, so that only they can bring it.
func (k *keySourceTest) misses(set *verifier.KeySet, kid, raw, what string) {
	k.Helper()
	if !within(2*cooldown+time.Minute, 10*time.Second, func() bool {
		set = k.must(&verifier.Miss{Set: set, KeyID: kid})
		return k.verifies(set, raw)
	}) {
		k.Errorf("%s did not bring a key that the issuer has published: refresh the set on every miss of the newest one, unless that was just done", what)
	}
}

// freshForADay returns the first set, with as long a life as it may have.
func (k *keySourceTest) freshForADay() *verifier.KeySet {
	k.Helper()
	k.as.SetFault(EndpointKeySet, Fault{Header: http.Header{"Cache-Control": {"max-age=86400"}}})
	return k.warm()
}

func (k *keySourceTest) missWithoutKid() {
	set := k.freshForADay()
	k.as.Rotate()
	k.misses(set, "", suiteToken(k.as), "misses of a token without kid")
}

// missOfOldKid: the issuer may give a new key the kid of the old one.
func (k *keySourceTest) missOfOldKid() {
	set := k.freshForADay()
	kid := miss(set, k.first).KeyID
	k.as.RotateAbruptly()
	k.misses(set, kid, suiteToken(k.as), "misses of a kid that is in the set, for a key that is not,")
}

// publishedLate: a kid that was unknown is not unknown for ever.
func (k *keySourceTest) publishedLate() {
	set := k.freshForADay()
	time.Sleep(cooldown)
	k.as.RotateUnpublished()
	second := suiteToken(k.as)
	for range 3 {
		set = k.must(miss(set, second))
		time.Sleep(time.Minute / 2)
	}
	k.as.Publish()
	k.misses(set, miss(set, second).KeyID, second, "misses of a kid that was unknown at first, and was published since,")
}

func (k *keySourceTest) newerAtOnce() {
	old := k.warm()
	k.as.Rotate()
	second := suiteToken(k.as)
	k.follow(old, second)
	newer := k.warm()
	asked, start := k.as.Fetches(), time.Now()
	for range 10 {
		if k.must(miss(old, second)) != newer {
			k.Fatalf("a miss of an older set did not get the newer one, which is there")
		}
	}
	if k.as.Fetches() != asked || time.Since(start) > 0 {
		k.Errorf("a miss of an older set fetched or waited, though a newer set is there")
	}
}
