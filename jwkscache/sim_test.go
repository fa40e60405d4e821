// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
)

// The simulation runs an issuer through days of faults while clients send tokens, and
// judges every answer by what the issuer had really said. The promises:
//
//	A  no valid token is refused while its key may be trusted
//	B  no token is accepted whose key is not in the last good answer
//	C  the issuer is asked no more often than the bounds allow
//	D  no request waits for the issuer in steady state, and none beyond a time limit
//	E  the silence of the issuer is a 503, never a 401
//
// That a set without usable keys replaces none that has some, and any other good
// answer replaces it whole (KS-14), is how the judge knows the last good answer.
var (
	simSeeds = flag.Int("seeds", 20, "how many seeds TestSimulation runs; 5 at most with -short")
	simSeed  = flag.Uint64("seed", 0, "the only seed that TestSimulation runs, with all its attempts in the log")
	simHours = flag.Int("hours", 72, "how many hours TestSimulation simulates")
)

func TestSimulation(t *testing.T) {
	first, last := uint64(1), uint64(*simSeeds)
	if testing.Short() {
		last = min(last, 5)
	}
	if *simSeed > 0 {
		first, last = *simSeed, *simSeed
	}
	simPairs() // outside of every bubble
	var all tally
	t.Cleanup(func() { t.Logf("%d seeds: %v", last-first+1, &all) })
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("KS-14/seed_%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				simulate(t, newScript(seed, time.Duration(*simHours)*time.Hour), &all)
			})
		})
	}
}

// tally counts what happened, to show that it was not nothing.
type tally struct {
	mu                                         sync.Mutex
	requests, accepted, byGuard, fetches, fail int
}

func (n *tally) String() string {
	return fmt.Sprintf("%d requests, %d of them over HTTP, %d accepted; %d attempts to fetch, %d failed", n.requests, n.byGuard, n.accepted, n.fetches, n.fail)
}

func (n *tally) add(seen []*observation, h *history) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests += len(seen)
	for _, o := range seen {
		if o.accepted() {
			n.accepted++
		}
		if o.http != nil {
			n.byGuard++
		}
	}
	n.fetches += len(h.attempts)
	for _, a := range h.attempts {
		if !a.ok {
			n.fail++
		}
	}
}

// simulate runs s and fails t for each broken promise.
func simulate(t *testing.T, s *script, all *tally) {
	is := newSimIssuer(t, s)
	cache := simCache(t, is)
	c := newClients(t, s, cache)
	var wg sync.WaitGroup
	for _, q := range s.drawRequests() {
		time.Sleep(q.at - elapsed())
		wg.Go(func() { c.send(q) })
	}
	time.Sleep(s.length - elapsed())
	wg.Wait()
	cache.Close()
	h := newHistory(s, is.record.all())
	report(t, h, h.judgeAll(c.seen))
	all.add(c.seen, h)
	if least := 2 * int(s.length/time.Minute); len(c.seen) < least {
		t.Errorf("%d requests, want %d or more", len(c.seen), least)
	}
	if *simSeed > 0 {
		for _, a := range h.attempts {
			t.Log(a)
		}
	}
}

// simCache draws the jitter of the cache from the seed, too.
func simCache(t *testing.T, is *simIssuer) *jwkscache.Cache {
	cfg := jwkscache.Config{URL: jwksURL, HTTPClient: is.client, MaxStale: is.maxStale, UnknownKeyCooldown: is.cooldown}
	if is.discovery {
		cfg.URL, cfg.Issuer = "", issuer
	}
	if is.maxStale == 0 {
		cfg.MaxStale = -1
	}
	cache, err := jwkscache.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cache.Close() })
	jwkscache.SetRandom(cache, rand.New(rand.NewPCG(is.seed, 3)).Uint64N)
	return cache
}

func (h *history) judgeAll(seen []*observation) []violation {
	list := append(h.judgeFetches(), h.judgeMetadata()...)
	for _, o := range seen {
		if v := h.judge(o); v != nil {
			list = append(list, *v)
		}
	}
	return list
}

// report prints the first violations with what is needed to understand them.
func report(t *testing.T, h *history, list []violation) {
	t.Helper()
	for _, v := range list[:min(len(list), 3)] {
		var near strings.Builder
		for _, a := range h.attempts {
			if (a.from - v.at).Abs() < 20*time.Minute {
				fmt.Fprintf(&near, "  %v\n", a)
			}
		}
		t.Errorf("promise %s broken at %v: %s\n%s%s  replay: go test ./jwkscache -run TestSimulation -seed %d -hours %d -v",
			v.promise, v.at, v.text, h.around(v.at), clip(near.String()), h.seed, int(h.length/time.Hour))
	}
	if len(list) > 3 {
		t.Errorf("and %d more", len(list)-3)
	}
}

func clip(text string) string {
	if len(text) > 4000 {
		return text[:4000] + "\n"
	}
	return text
}

// TestScripts: the seeds that are run by default leave out nothing that is scripted.
func TestScripts(t *testing.T) {
	kinds, parts, stale := map[string]bool{}, map[string]bool{}, map[time.Duration]bool{}
	var shortest, longest time.Duration = time.Hour, 0
	cold := 0
	for seed := range uint64(100) {
		s := newScript(seed+1, 72*time.Hour)
		for _, f := range s.faults {
			kinds[f.kind], parts[f.part] = true, true
			shortest, longest = min(shortest, f.to-f.from), max(longest, f.to-f.from)
		}
		if s.faultAt(0, "keys") != nil {
			cold++
		}
		stale[s.maxStale] = true
	}
	if len(kinds) != len(faultKinds) || len(parts) != 3 || len(stale) != 4 {
		t.Errorf("%d of %d kinds of fault, %d parts, %d bounds of stale use", len(kinds), len(faultKinds), len(parts), len(stale))
	}
	if shortest > 2*time.Second || longest < 29*time.Hour || cold < 10 {
		t.Errorf("faults from %v to %v, %d cold starts", shortest, longest, cold)
	}
}
