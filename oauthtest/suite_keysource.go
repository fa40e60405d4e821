// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/compact"
	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

// TestKeySource checks that a [verifier.KeySource] of your own keeps what its
// documentation promises: which set it serves, what it does about a miss, that it
// fails closed and not for ever, that it asks the issuer seldom, and that callers at
// the same time do not harm each other. Run it under -race.
//
// make returns a new source of the keys of as, which must be reached by as.HTTPClient.
// It is called once for each check, inside a testing/synctest bubble: days pass in
// virtual time, so that the source needs the time of package time. It may fetch the keys,
// also in a goroutine: what is about a source without keys is then skipped. A source with a
// method Close is closed by the suite. Of a source that is fixed, which the method
// KeySet says, only what concerns it is checked.
func TestKeySource(t *testing.T, make func(t testing.TB, as *Server) verifier.KeySource) {
	for _, c := range keySourceChecks {
		t.Run(c.name, func(t *testing.T) {
			defer watch(c.name).Stop()
			synctest.Test(t, func(t *testing.T) { c.play(t, make) })
		})
	}
}

// watch ends a check that stands still, which go test would let hang for minutes: the
// clock of a bubble stops while one of its goroutines waits for a sync.Mutex.
func watch(name string) *time.Timer {
	return time.AfterFunc(2*time.Minute, func() { panic(standstill(name)) })
}

func standstill(name string) string {
	return "oauthtest: the check " + name + " stands still: does a sync.Mutex stay locked during I/O? Whoever waits for it cannot leave when its context ends; wait for a channel instead"
}

// keySourceCheck is one promise.
type keySourceCheck struct {
	name  string
	run   func(*keySourceTest)
	fixed bool // of fixed sources, too
}

var keySourceChecks = append([]keySourceCheck{
	{"serves_keys_that_verify", (*keySourceTest).serves, true},
	{"same_set_while_nothing_changes", (*keySourceTest).same, true},
	{"cancelled_context_returns_promptly", (*keySourceTest).cancelled, true},
	{"miss_brings_the_new_key", (*keySourceTest).missBringsKey, false},
	{"miss_without_a_kid_brings_the_new_key", (*keySourceTest).missWithoutKid, false},
	{"miss_of_a_kid_that_is_there_brings_the_new_key", (*keySourceTest).missOfOldKid, false},
	{"key_published_late_is_found", (*keySourceTest).publishedLate, false},
	{"newer_set_at_once_for_a_miss_of_an_old_one", (*keySourceTest).newerAtOnce, false},
	{"set_is_replaced_as_a_whole", (*keySourceTest).replaced, false},
	{"withdrawn_key_leaves_without_a_miss", (*keySourceTest).leavesInTime, false},
	{"miss_in_an_outage_is_an_error", (*keySourceTest).cannotTell, false},
	{"who_leaves_disturbs_nobody", (*keySourceTest).leaver, false},
	{"complete_sets_during_a_rotation", (*keySourceTest).concurrent, false},
	{"first_callers_share_a_fetch", (*keySourceTest).coldCrowd, false},
	{"unknown_kids_cause_few_fetches", (*keySourceTest).flood, false},
	{"outage_causes_few_fetches", (*keySourceTest).outageFlood, false},
	{"closed_source_serves_nothing", (*keySourceTest).closed, false},
}, outageChecks()...)

func (c keySourceCheck) play(t testing.TB, make func(t testing.TB, as *Server) verifier.KeySource) {
	as := NewServer(t, func(c *Config) { c.Algorithm = "ES256" })
	src := make(t, as)
	if hook.Nil(src) {
		t.Fatal("make returned no source")
	}
	synctest.Wait() // for what make began
	k := &keySourceTest{TB: t, as: as, src: src, first: suiteToken(as), asked: as.Fetches() > 0}
	t.Cleanup(func() { _ = k.close() })
	if _, fixed := src.(interface{ KeySet() *verifier.KeySet }); fixed && !c.fixed {
		t.Skip("the source is fixed: it has a method KeySet")
	}
	c.run(k)
}

const (
	suiteAPI   = "https://api.test"
	suiteLife  = 1000 * time.Hour // of tokens that only the suite itself verifies
	cooldown   = 10 * time.Minute // the longest one of DF-09
	freshLimit = 24 * time.Hour   // freshness, by DF-08
	staleLimit = 72 * time.Hour   // how long old keys may serve, by DF-10
	promptly   = time.Second
	longEnough = 30 * time.Second // far more than a fetch may take
	crowd      = 100
	fewFetches = 10 // one each is due; a source may be made of several
)

func suiteToken(as *Server, edits ...Edit) string {
	return as.Token(append([]Edit{Audience(suiteAPI), ExpiresIn(suiteLife)}, edits...)...)
}

// keySourceTest is a source under test, with a token of the issuer's first key.
type keySourceTest struct {
	testing.TB
	as    *Server
	src   verifier.KeySource
	first string
	asked bool // by make, so that it has keys
}

func (k *keySourceTest) close() (err error) {
	if c, ok := k.src.(interface{ Close() error }); ok {
		err = errors.Join(hook.Call("Close", func() { err = c.Close() }), err)
	}
	return err
}

// ask calls the source; any goroutine may.
func (k *keySourceTest) ask(ctx context.Context, miss *verifier.Miss) (set *verifier.KeySet, err error) {
	k.Helper()
	if p := hook.Call("Keys", func() { set, err = k.src.Keys(ctx, miss) }); p != nil {
		k.Errorf("%v: a source must return an error instead", p)
		return nil, p
	}
	switch {
	case err != nil:
		return nil, err
	case set == nil:
		k.Errorf("Keys returned neither a set nor an error: return an error of class verifier.ErrKeysUnavailable")
		return nil, errors.New("neither")
	case set.Len() == 0:
		k.Errorf("Keys returned a set without keys: every token would be refused as unknown; return the last good set, or an error")
	}
	return set, nil
}

// try is ask by a caller who does not wait for ever.
func (k *keySourceTest) try() (*verifier.KeySet, error) {
	k.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longEnough)
	defer cancel()
	return k.ask(ctx, nil)
}

// must is ask while nothing is wrong with the issuer.
func (k *keySourceTest) must(miss *verifier.Miss) *verifier.KeySet {
	k.Helper()
	set, err := k.ask(context.Background(), miss)
	if err != nil {
		k.Fatalf("Keys failed while the issuer answers: %v", err)
	}
	return set
}

// warm returns the first set, once what the source does besides has ended.
func (k *keySourceTest) warm() *verifier.KeySet {
	k.Helper()
	k.must(nil)
	time.Sleep(promptly)
	set := k.must(nil)
	synctest.Wait() // this call may have begun a fetch, too
	return set
}

// refuses is for errors, which must say that it is not the token's fault.
func (k *keySourceTest) refuses(err error) {
	k.Helper()
	if c := verifier.ClassOf(err); c != verifier.ErrKeysUnavailable && c != verifier.ErrMetadata {
		k.Errorf("an error of class %v: make it verifier.ErrKeysUnavailable or verifier.ErrMetadata: %v", c, err)
	}
}

// verifies asks a verifier that has this set alone.
func (k *keySourceTest) verifies(set *verifier.KeySet, raw string) bool {
	v, err := verifier.New(verifier.Config{Issuer: k.as.Issuer(), Audience: []string{suiteAPI}, Keys: fixedKeys{set, k.as.Issuer()}, CacheEntries: -1})
	if err != nil {
		return false // a set without keys
	}
	_, err = v.Verify(context.Background(), raw)
	return err == nil
}

// miss of a token that set does not verify.
func miss(set *verifier.KeySet, raw string) *verifier.Miss {
	var header struct{ Kid string }
	if parts, err := compact.Split(raw); err == nil {
		_ = json.Unmarshal(parts.Header, &header) // our own token
	}
	return &verifier.Miss{Set: set, KeyID: header.Kid}
}

// within repeats f until it is true or the time is over.
func within(limit, step time.Duration, f func() bool) bool {
	for start := time.Now(); ; time.Sleep(step) {
		if f() {
			return true
		}
		if time.Since(start) >= limit {
			return false
		}
	}
}

func (k *keySourceTest) serves() {
	if !k.verifies(k.must(nil), k.first) {
		k.Errorf("the set does not verify a token of the issuer")
	}
}

func (k *keySourceTest) same() {
	set := k.warm()
	for range 100 {
		if k.must(nil) != set {
			k.Fatalf("another set, though nothing changed: the pointer of a set is its version, and a new one voids what was verified with the old one")
		}
	}
}

// cancelled: without keys a caller may wait, but not longer than it wants to.
func (k *keySourceTest) cancelled() {
	k.hang(true)
	defer k.hang(false)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan time.Time, 1)
	go func() {
		_, _ = k.ask(ctx, nil)
		done <- time.Now()
	}()
	time.Sleep(promptly)
	over := time.Now()
	cancel()
	if took := (<-done).Sub(over); took > promptly {
		k.Errorf("Keys returned %v after its context had ended: wait for the context, too", took)
	}
}

func (k *keySourceTest) hang(on bool) {
	for _, e := range []Endpoint{EndpointMetadata, EndpointKeySet} {
		k.as.SetFault(e, Fault{Hang: on})
	}
}

// replaced: a source made of several may have the new key before all of them do.
func (k *keySourceTest) replaced() {
	set := k.warm()
	k.as.RotateAbruptly()
	k.follow(set, suiteToken(k.as))
	if !within(promptly, promptly/10, func() bool { return !k.verifies(k.must(nil), k.first) }) {
		k.Errorf("the newer set still has a key that the issuer withdrew: replace the set as a whole, never merge (KS-14)")
	}
}

// leavesInTime: whoever has the withdrawn key needs no key that is unknown.
func (k *keySourceTest) leavesInTime() {
	set := k.warm()
	k.as.RotateAbruptly()
	gone := within(freshLimit+time.Hour, time.Minute, func() bool {
		now := k.must(nil)
		changed := now != set
		set = now
		return changed && !k.verifies(now, k.first)
	})
	if !gone {
		k.Errorf("a key that was withdrawn %v ago is still served: refresh the set also without a miss", freshLimit)
	}
}

func (k *keySourceTest) leaver() {
	k.as.SetFault(EndpointKeySet, Fault{Delay: 2 * time.Second})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { _, _ = k.ask(ctx, nil) })
	time.Sleep(time.Second / 2)
	all.Go(func() {
		if _, err := k.ask(context.Background(), nil); err != nil {
			k.Errorf("a caller failed when another one left: detach the fetch that they share from the context of either: %v", err)
		}
	})
	all.Wait()
}

func (k *keySourceTest) concurrent() {
	set := k.warm()
	var good sync.Map // sets that were looked at
	look := func(set *verifier.KeySet) {
		if _, seen := good.LoadOrStore(set, true); !seen && !k.verifies(set, k.first) {
			k.Errorf("a set without a key that the issuer published all the time")
		}
	}
	k.as.Rotate()
	second := suiteToken(k.as)
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			for range 20 {
				for _, m := range []*verifier.Miss{nil, miss(set, second)} {
					if now, err := k.ask(context.Background(), m); err == nil {
						look(now)
					} else {
						k.Errorf("Keys failed while the issuer answers: %v", err)
					}
				}
				time.Sleep(7 * time.Second)
			}
		})
	}
	all.Wait()
	k.follow(set, second)
}

func (k *keySourceTest) closed() {
	if _, ok := k.src.(interface{ Close() error }); !ok {
		k.Skip("the source has no method Close")
	}
	set := k.must(nil)
	if err := k.close(); err != nil {
		k.Errorf("Close: %v", err)
	}
	for _, m := range []*verifier.Miss{nil, {Set: set, KeyID: "x"}} {
		if _, err := k.ask(context.Background(), m); err == nil {
			k.Errorf("a closed source serves keys")
		} else {
			k.refuses(err)
		}
	}
}
