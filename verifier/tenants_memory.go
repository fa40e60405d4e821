// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// tenants is the checked form of a Tenants with what is known of its issuers. All
// of its memory is bounded by MaxIssuers.
type tenants struct {
	accept   func(string) bool
	resolve  func(context.Context, string) (Config, error)
	maxBytes int
	private  bool // sources may connect to private addresses
	onEvent  func(Event)

	life    context.Context // ends with close; of every resolution, of no request
	cancel  context.CancelFunc
	slots   chan struct{}  // one for each call of Resolve under way
	running sync.WaitGroup // resolutions, and tenants whose source is not closed

	mu       sync.Mutex // of changes; never held over a function of others
	closed   bool
	proven   shelf // a token of theirs was accepted
	unproven shelf // none was: all that forged tokens can fill
	failed   *lru.Cache[string, failure]
	flights  map[string]*resolution
	rate     bucket
}

func newTenants(cfg Tenants) *tenants {
	size := orDefault(cfg.MaxIssuers, defaultTenants)
	fresh := max(size/4, 1)
	ts := &tenants{
		accept:   cfg.Accept,
		resolve:  cfg.Resolve,
		maxBytes: orDefault(cfg.MaxTokenBytes, defaultMaxBytes),
		private:  cfg.UnsafePrivateAddresses,
		onEvent:  cfg.OnEvent,
		slots:    make(chan struct{}, maxResolving),
		flights:  map[string]*resolution{},
		rate:     bucket{each: time.Minute / time.Duration(size)},
	}
	ts.proven, ts.unproven = newShelf(size-fresh), newShelf(fresh)
	ts.failed, _ = lru.New[string, failure](size) // fails for sizes below 1 only
	ts.life, ts.cancel = context.WithCancel(context.Background())
	return ts
}

// shelf is a memory of tenants that forgets those not used for longest.
type shelf struct {
	*lru.Cache[string, *tenant]
	size int
}

func newShelf(size int) shelf {
	l, _ := lru.New[string, *tenant](size) // fails for sizes below 1 only
	return shelf{l, size}
}

// tenant is a resolved issuer. Its source is closed when the last reference is
// given back: the memory holds one, each verification under way another.
type tenant struct {
	is     *issuer
	refs   atomic.Int64
	proven atomic.Bool
}

// acquire takes a reference, unless none was left.
func (t *tenant) acquire() bool {
	for {
		n := t.refs.Load()
		if n == 0 {
			return false
		}
		if t.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a reference back. Closing may wait for a fetch, so no request does
// it.
func (ts *tenants) release(t *tenant) {
	if t.refs.Add(-1) != 0 {
		return
	}
	go func() {
		defer ts.running.Done()
		ts.discard(t.is)
	}()
}

// discard closes the source of an issuer that nothing uses.
func (ts *tenants) discard(is *issuer) {
	if err := is.close(); err != nil {
		// The panic of a hook has no request to deny here.
		_ = emit(is.onEvent, Event{Kind: EventWarning, Issuer: is.name, Class: ErrInternal, Cause: err})
	}
}

// known returns the tenant with a reference for the caller, or nil.
func (ts *tenants) known(iss string) *tenant {
	for _, s := range [...]shelf{ts.proven, ts.unproven} {
		if t, ok := s.Get(iss); ok && t.acquire() {
			return t
		}
	}
	return nil
}

// keep puts t on a shelf that it is not on, with a reference that is given back when
// it has to go. It is called with the lock.
func (ts *tenants) keep(s shelf, t *tenant) {
	if s.Len() == s.size {
		if _, oldest, ok := s.RemoveOldest(); ok {
			ts.release(oldest)
		}
	}
	s.Add(t.is.name, t)
}

// promote moves t, of which a token was accepted, to where only accepted tokens
// can put a tenant. The caller has a reference to it.
func (ts *tenants) promote(t *tenant) {
	if t.proven.Load() {
		return
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed || ts.proven.Contains(t.is.name) {
		return
	}
	if cur, ok := ts.unproven.Peek(t.is.name); ok && cur == t {
		ts.unproven.Remove(t.is.name)
	} else {
		t.refs.Add(1) // it was pushed out while its token was verified
	}
	t.proven.Store(true)
	ts.keep(ts.proven, t)
}

// forget drops what is known of an issuer that is not accepted any more.
func (ts *tenants) forget(iss string) {
	if !ts.proven.Contains(iss) && !ts.unproven.Contains(iss) {
		return
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, s := range [...]shelf{ts.proven, ts.unproven} {
		if t, ok := s.Peek(iss); ok {
			s.Remove(iss)
			ts.release(t)
		}
	}
}

// close ends the resolutions under way, drops all tenants, and waits until their
// sources are closed, which is when no verification uses them.
func (ts *tenants) close() {
	ts.mu.Lock()
	if !ts.closed {
		ts.closed = true
		ts.cancel()
		for _, s := range [...]shelf{ts.proven, ts.unproven} {
			for _, t := range s.Values() {
				ts.release(t)
			}
			s.Purge()
		}
	}
	ts.mu.Unlock()
	ts.running.Wait()
}
