// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

var _ verifier.KeySource = (*Cache)(nil)

// Cache fetches and keeps the keys of one issuer. It is safe for concurrent use.
// The zero value and nil refuse with [verifier.ErrConfig]. It has no standing
// goroutine: a timer and short fetches, until Close.
type Cache struct {
	settings
	state atomic.Pointer[snapshot] // readers need nothing else

	life   context.Context // ends with Close; of every fetch, of no caller
	cancel context.CancelFunc

	mu      sync.Mutex // never held over I/O or a hook
	closed  bool
	flight  *flight     // the fetch under way, or nil
	timer   *time.Timer // the next attempt
	running sync.WaitGroup

	missing missing
	loaded  bool // the store has answered; of the attempt under way, as is what it writes
	saving  saving
}

// snapshot is the state after an attempt. It does not change, but for used.
type snapshot struct {
	keys     document
	meta     *metadata       // nil without discovery, or if it must be fetched
	next     time.Time       // when an attempt is due, unless a kid is unknown
	failures int             // attempts that failed in a row
	failure  *verifier.Error // of the last attempt, or nil
	used     atomic.Bool     // keys were asked for since the attempt
	stale    *atomic.Bool    // stale use was reported; one per successful attempt
	clock    clock           // the issuer's, compared at the last successful attempt
	restored bool            // the keys are stored ones, and no attempt has ended since
	closed   bool
}

// flight is one attempt that any number of callers wait for.
type flight struct {
	done     chan struct{}
	restored bool // it ended with stored keys that are fresh; to be read when done
}

// New returns a cache for cfg. It does no I/O. The error is of class
// [verifier.ErrConfig] and lists every fault, each naming the field and the
// remedy; it is of class [verifier.ErrInternal] if cfg.OnEvent panics.
func New(cfg Config) (*Cache, error) {
	s, err := cfg.check()
	if err != nil {
		return nil, err
	}
	c := &Cache{settings: s}
	for _, text := range cfg.warnings() {
		if err := c.emit(verifier.Event{Kind: verifier.EventWarning, Cause: errors.New(text)}); err != nil {
			return nil, err
		}
	}
	c.life, c.cancel = context.WithCancel(context.Background())
	c.state.Store(&snapshot{stale: new(atomic.Bool)})
	return c, nil
}

// Issuer returns Config.Issuer: "" if the cache was given a URL instead.
func (c *Cache) Issuer() string {
	if c == nil {
		return ""
	}
	return c.issuer
}

// Keys returns the current keys. It waits, as long as ctx allows, only if there is
// no set that may be served: on first use, after a long pause, and for a miss. The
// error is of class [verifier.ErrKeysUnavailable] or [verifier.ErrMetadata], with
// the time after which an attempt may succeed.
//
// For a miss it returns a newer set than miss.Set if there is one; miss.Set itself
// if the last fetch succeeded and lies within Config.UnknownKeyCooldown; else the
// result of a fetch that all callers share.
func (c *Cache) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	if c == nil || c.state.Load() == nil {
		return nil, unconstructed("Cache", "New")
	}
	set, err := c.current(ctx)
	if err != nil || miss == nil || set != miss.Set {
		return set, err
	}
	return c.newer(ctx, set, miss.KeyID)
}

func unconstructed(name, constructor string) error {
	return &verifier.Error{
		Class: verifier.ErrConfig,
		Cause: fmt.Errorf("this %s was not made by jwkscache.%s: call it and handle its error", name, constructor),
	}
}

// current returns the set to verify with now.
func (c *Cache) current(ctx context.Context) (*verifier.KeySet, error) {
	for {
		s := c.state.Load()
		now := time.Now()
		if !s.used.Load() { // a plain read where many cores share it
			s.used.Store(true)
		}
		switch {
		case s.settled(now):
			if !now.Before(s.next) {
				c.join(s) // in the background
			}
			return c.serve(s, now)
		case s.closed || s.failure != nil && now.Before(s.next):
			return nil, s.unavailable(now)
		}
		if f := c.join(s); f != nil {
			return c.await(ctx, f)
		}
	}
}

// settled: the set can be served without a wait, being fresh, or being stale after
// an attempt to renew it failed (RFC 5861 §4).
func (s *snapshot) settled(now time.Time) bool {
	return s.usable(now) && (now.Before(s.keys.freshUntil) || s.failure != nil)
}

func (s *snapshot) usable(now time.Time) bool {
	return s.keys.set != nil && now.Before(s.keys.usableUntil)
}

// serve reports stale keys once per outage: a hook that panics denies the request.
func (c *Cache) serve(s *snapshot, now time.Time) (*verifier.KeySet, error) {
	if !now.Before(s.keys.freshUntil) && s.stale.CompareAndSwap(false, true) {
		if err := c.emit(s.staleEvent()); err != nil {
			return nil, err
		}
	}
	return s.keys.set, nil
}

// await waits for f and returns what may be served then. For a caller that has waited
// as long as it could, old keys that may still be served are better than none.
func (c *Cache) await(ctx context.Context, f *flight) (*verifier.KeySet, error) {
	tried := ctx.Err() == nil
	left := f.wait(ctx)
	s, now := c.state.Load(), time.Now()
	s.used.Store(true)
	switch {
	case s.usable(now) && (tried || left == nil):
		return c.serve(s, now)
	case left != nil:
		return nil, left
	}
	return nil, s.unavailable(now)
}

// newer looks for a set other than seen. The cooldown counts from the last success
// only: while fetches fail, the back-off is what bounds them. A kid that a fetch did
// not bring waits twice as long, and leaves the fetch to others.
func (c *Cache) newer(ctx context.Context, seen *verifier.KeySet, kid string) (*verifier.KeySet, error) {
	for {
		s := c.state.Load()
		now := time.Now()
		switch {
		case !s.usable(now) || s.failure != nil && now.Before(s.next):
			return nil, s.unavailable(now)
		case s.keys.set != seen:
			return s.keys.set, nil
		case s.failure == nil && !s.restored && now.Before(s.keys.fetched.Add(c.cooldown)):
			return seen, nil
		case s.failure == nil && now.Before(s.keys.fetched.Add(2*c.cooldown)) && !names(seen, kid) && c.missing.has(kid, now):
			return seen, nil
		}
		if f := c.join(s); f != nil {
			set, err := c.awaitNewer(ctx, f)
			if err == nil && !names(set, kid) {
				c.missing.add(kid, time.Now().Add(4*c.cooldown))
			}
			return set, err
		}
	}
}

func (c *Cache) awaitNewer(ctx context.Context, f *flight) (*verifier.KeySet, error) {
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	s, now := c.state.Load(), time.Now()
	s.used.Store(true)
	if s.failure != nil && !f.restored || !s.usable(now) {
		return nil, s.unavailable(now) // after stored keys, the next attempt may have failed by now
	}
	return s.keys.set, nil
}

// wait leaves the fetch to the others when ctx ends first.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return &verifier.Error{
			Class: verifier.ErrKeysUnavailable,
			Cause: fmt.Errorf("while waiting for the issuer's keys: %w", context.Cause(ctx)),
		}
	}
}

// unavailable says why no set can be served. That metadata is at fault is the
// class only as long as there never was a set: later it is the keys that are
// missed, and the reason is in the cause.
func (s *snapshot) unavailable(now time.Time) error {
	switch {
	case s.closed:
		return &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: errors.New("the key cache is closed")}
	case s.failure == nil:
		return &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: errors.New("the last keys are too old")}
	}
	e := *s.failure
	if s.keys.set != nil && e.Class != verifier.ErrKeysUnavailable {
		e = verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: s.failure}
	}
	e.RetryAfter = max(s.next.Sub(now), 0)
	return &e
}

// Warm fetches the keys unless they are fresh, and returns the failure if that
// fails, so that a program can refuse to start: [verifier.ErrMetadata] for faults
// of the issuer's metadata, [verifier.ErrKeysUnavailable] for others. During
// back-off it returns the failure of the last attempt. A first set with keys of which
// none is usable counts as fetched: look at Status().Keys.
func (c *Cache) Warm(ctx context.Context) error {
	if c == nil || c.state.Load() == nil {
		return unconstructed("Cache", "New")
	}
	for {
		s := c.state.Load()
		now := time.Now()
		s.used.Store(true)
		switch {
		case now.Before(s.keys.freshUntil):
			return nil
		case s.closed || s.failure != nil && now.Before(s.next):
			return s.unavailable(now)
		}
		if f := c.join(s); f != nil {
			_, err := c.awaitNewer(ctx, f)
			return err
		}
	}
}

// Close cancels the fetch under way, waits for its end, and until keys that were fetched
// before are stored, 10 s at most, and makes every later call fail with
// [verifier.ErrKeysUnavailable]. It may be called more than once.
func (c *Cache) Close() error {
	if c == nil || c.state.Load() == nil {
		return nil
	}
	c.mu.Lock()
	c.closed = true
	c.cancel()
	if c.timer != nil {
		c.timer.Stop() // it holds on to the cache
	}
	if c.saving.retry != nil {
		c.saving.retry.Stop()
	}
	c.state.Store(&snapshot{closed: true})
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

// emit calls the hook; its panic becomes an error.
func (c *Cache) emit(e verifier.Event) error {
	if c.onEvent == nil {
		return nil
	}
	e.Issuer = c.issuer
	if p := hook.Call("OnEvent", func() { c.onEvent(e) }); p != nil {
		return &verifier.Error{Class: verifier.ErrInternal, Cause: p}
	}
	return nil
}
