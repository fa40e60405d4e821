// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// closeCounter is a source that counts how often it was closed.
type closeCounter struct {
	KeySource
	mu    sync.Mutex
	times int
}

func (c *closeCounter) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times++
	return nil
}

// TestTenantSchedules holds what only an unlucky schedule would show from outside.
func TestTenantSchedules(t *testing.T) {
	fresh := func() (*tenants, *resolution, *issuer, *closeCounter) {
		ts := newTenants(Tenants{})
		src := &closeCounter{}
		r := &resolution{iss: "a", done: make(chan struct{}), waiting: 1}
		ts.flights["a"] = r
		return ts, r, &issuer{name: "a", keys: src}, src
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	t.Run("SE-06/caller_leaves_after_the_result", func(t *testing.T) {
		ts, r, is, src := fresh()
		if !ts.settle(r, is, nil) {
			t.Fatal("not taken")
		}
		r.done = make(chan struct{}) // the caller has not seen that it is closed
		if got, err := ts.await(gone, gone.Done(), r); got != nil || ClassOf(err) != ErrKeysUnavailable {
			t.Errorf("got %v, %v", got, err)
		}
		if refs := r.tenant.refs.Load(); refs != 1 {
			t.Errorf("%d references, want that of the memory", refs)
		}
		ts.close()
		if src.times != 1 {
			t.Errorf("closed %d times, want 1", src.times)
		}
	})
	t.Run("SE-06/caller_leaves_before_the_result", func(t *testing.T) {
		ts, r, is, src := fresh()
		_, _ = ts.await(gone, gone.Done(), r)
		ts.settle(r, is, nil)
		ts.close()
		if src.times != 1 {
			t.Errorf("closed %d times, want 1", src.times)
		}
	})
	t.Run("KS-26/result_after_Close", func(t *testing.T) {
		ts, r, is, _ := fresh()
		ts.close()
		if ts.settle(r, is, nil) || ClassOf(r.err) != ErrKeysUnavailable || ts.unproven.Len() != 0 {
			t.Error("a closed verifier took an issuer")
		}
	})
	t.Run("KS-26/nothing_starts_after_Close", func(t *testing.T) {
		ts, _, _, _ := fresh()
		ts.close()
		if got, r, err := ts.enter("b"); got != nil || r != nil || ClassOf(err) != ErrKeysUnavailable {
			t.Errorf("got %v, %v, %v", got, r, err)
		}
	})
	t.Run("KS-26/found_as_it_is_evicted", func(t *testing.T) {
		ts, r, is, _ := fresh()
		ts.settle(r, is, nil)
		ts.release(r.tenant) // of the request; the memory's is the last
		ts.release(r.tenant)
		if ts.known("a") != nil {
			t.Error("a tenant whose source is closed was handed out")
		}
		ts.unproven.Purge()
		ts.close()
	})
	t.Run("KS-26/proven_after_Close", func(t *testing.T) {
		ts, r, is, src := fresh()
		ts.settle(r, is, nil)
		ended := make(chan struct{})
		go func() { defer close(ended); _ = ts.close() }()
		<-ts.life.Done() // Close has begun, and waits for no request
		<-ended
		ts.proved(r.tenant)
		ts.release(r.tenant)
		if kept := ts.proven.Len() + ts.unproven.Len() + len(ts.live); src.times != 1 || kept != 0 {
			t.Errorf("closed %d times, %d kept", src.times, kept)
		}
	})
	t.Run("KS-10/pushed_out_before_its_call_ended", func(t *testing.T) {
		ts, r, is, _ := fresh()
		ts.resolve = func(context.Context, string) (Config, error) { return Config{}, nil }
		ts.settle(r, is, nil)
		ts.release(r.tenant)
		_, kept, _ := ts.unproven.RemoveOldest()
		ts.release(kept)
		got, again, err := ts.enter("a")
		if got != nil || err != nil || again == nil || again == r {
			t.Errorf("got %v, %v: the result of an earlier call, whose source is closed", got, err)
		}
		_ = ts.close()
	})
	t.Run("KS-10/earlier_call_ends_during_a_later_one", func(t *testing.T) {
		ts, r, is, _ := fresh()
		ts.settle(r, is, nil)
		later := &resolution{iss: "a"}
		ts.flights["a"] = later
		ts.leave(r)
		if ts.flights["a"] != later {
			t.Error("a third call could begin beside the second")
		}
		ts.leave(later)
		if len(ts.flights) != 0 {
			t.Error("no other call can begin")
		}
		_ = ts.close()
	})
	t.Run("KS-10/second_result_changes_nothing", func(t *testing.T) {
		ts, r, is, _ := fresh()
		ts.settle(r, nil, fail(ErrIssuer, "none"))
		if ts.settle(r, is, nil) || ClassOf(r.err) != ErrIssuer || r.tenant != nil {
			t.Error("a second result was taken")
		}
		ts.close()
	})
}

// TestTenantInvariants plays random schedules in virtual time.
func TestTenantInvariants(t *testing.T) {
	for range 10 {
		seed := rand.Uint64()
		t.Run("KS-26/random_schedule", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				t.Logf("seed %d", seed)
				newGame(seed).play(t)
			})
		})
	}
}

// game is an application whose tenants come, are used and are dropped at random.
type game struct {
	ts      *tenants
	random  *rand.Rand
	mu      sync.Mutex
	sources []*closeCounter
}

func newGame(seed uint64) *game {
	g := &game{random: rand.New(rand.NewPCG(seed, 0))}
	g.ts = newTenants(Tenants{MaxIssuers: 8, Resolve: g.resolve})
	g.ts.rate = bucket{} // as many as wanted
	return g
}

func (g *game) roll(n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.random.IntN(n)
}

func (g *game) resolve(_ context.Context, iss string) (Config, error) {
	time.Sleep(time.Duration(g.roll(3)) * time.Second)
	src := &closeCounter{}
	g.mu.Lock()
	g.sources = append(g.sources, src)
	g.mu.Unlock()
	if g.roll(10) == 0 {
		return Config{Keys: src}, errClosed
	}
	return Config{Issuer: iss, Audience: []string{"a"}, Keys: src}, nil
}

func (g *game) play(t *testing.T) {
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for range 200 {
				g.visit(t, "https://"+string(rune('a'+g.roll(14)))+".example")
				g.check(t)
			}
		})
	}
	group.Wait()
	time.Sleep(time.Minute) // calls whose callers left
	synctest.Wait()
	open := 0
	for _, src := range g.sources {
		open += 1 - src.times
	}
	if kept := g.ts.proven.Len() + g.ts.unproven.Len(); open != kept || len(g.ts.live) != kept || len(g.ts.flights) != 0 {
		t.Errorf("%d tenants are kept, %d known as live, %d sources open, %d calls under way", kept, len(g.ts.live), open, len(g.ts.flights))
	}
	_ = g.ts.close()
	if kept := g.ts.proven.Len() + g.ts.unproven.Len() + len(g.ts.live); kept != 0 {
		t.Errorf("%d are kept after Close", kept)
	}
	for _, src := range g.sources {
		if src.times != 1 {
			t.Errorf("a source was closed %d times", src.times)
		}
	}
}

// visit is one request.
func (g *game) visit(t *testing.T, iss string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(g.roll(4))*time.Second)
	defer cancel()
	if g.roll(20) == 0 {
		g.ts.forget(iss)
		return
	}
	kept := g.ts.known(iss)
	if kept == nil {
		var r *resolution
		if kept, r, _ = g.ts.enter(iss); r != nil {
			kept, _ = g.ts.await(ctx, ctx.Done(), r)
		}
	}
	if kept == nil {
		return
	}
	time.Sleep(time.Duration(g.roll(3)) * time.Second)
	if g.roll(2) == 0 {
		g.ts.proved(kept)
	}
	g.ts.release(kept)
}

// check: a name is on one shelf at most, with a reference, and not if it was dropped.
func (g *game) check(t *testing.T) {
	g.ts.mu.Lock()
	defer g.ts.mu.Unlock()
	for _, iss := range g.ts.unproven.Keys() {
		if g.ts.proven.Contains(iss) {
			t.Error("on both shelves")
		}
	}
	for i, s := range [...]shelf{g.ts.unproven, g.ts.proven} {
		for _, kept := range s.Values() {
			if kept.refs.Load() < 1 || kept.dropped || kept.proven.Load() != (i == 1) || !slices.Contains(g.ts.live[kept.is.name], kept) {
				t.Errorf("shelf %d: %d references, dropped %v", i, kept.refs.Load(), kept.dropped)
			}
		}
	}
}
