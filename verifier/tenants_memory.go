// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// touchEvery is how exactly the memory knows which tenant was not used for longest:
// a tenant in use takes the lock of its shelf no more often.
const touchEvery = time.Second

// tenants is the checked form of a Tenants with what is known of its issuers. All
// of its memory is bounded by MaxIssuers and the verifications under way.
type tenants struct {
	accept   func(string) bool
	resolve  func(context.Context, string) (Config, error)
	maxBytes int
	private  bool // sources may connect to private addresses
	onEvent  func(Event)
	onClose  func() error // or nil
	once     sync.Once    // of onClose
	failure  error        // of onClose

	life    context.Context // ends with close; of every resolution, of no request
	cancel  context.CancelFunc
	slots   chan struct{}  // one for each call of Resolve under way
	running sync.WaitGroup // resolutions, sources that are not closed, and reports
	made    time.Time

	mu       sync.Mutex // of changes; never held over a function of others
	closed   bool
	size     int                  // how many places both shelves have together
	fresh    int                  // of these, how many the unproven have in any case
	proven   shelf                // a token of theirs was accepted, in the order of use
	unproven shelf                // none was, in the order of arrival
	live     map[string][]*tenant // on a shelf or in use: seldom more than one of a name
	failed   *lru.Cache[string, failure]
	flights  map[string]*resolution
	rate     bucket
}

func newTenants(cfg Tenants) *tenants {
	size := orDefault(cfg.MaxIssuers, defaultTenants)
	ts := &tenants{
		size:     size,
		fresh:    max(size/4, 1),
		accept:   cfg.Accept,
		resolve:  cfg.Resolve,
		maxBytes: orDefault(cfg.MaxTokenBytes, defaultMaxBytes),
		private:  cfg.UnsafePrivateAddresses,
		onEvent:  cfg.OnEvent,
		onClose:  cfg.OnClose,
		slots:    make(chan struct{}, maxResolving),
		made:     time.Now(),
		live:     map[string][]*tenant{},
		flights:  map[string]*resolution{},
		rate:     bucket{each: time.Minute / time.Duration(size)},
	}
	ts.proven, ts.unproven = newShelf(size), newShelf(size)
	ts.failed, _ = lru.New[string, failure](size) // fails for sizes below 1 only
	ts.life, ts.cancel = context.WithCancel(context.Background())
	return ts
}

// places is how many tenants are kept at most.
func (ts *tenants) places() int {
	if ts == nil {
		return 0
	}
	return ts.size
}

// shelf is a memory of tenants in an order.
type shelf = *lru.Cache[string, *tenant]

func newShelf(size int) shelf {
	l, _ := lru.New[string, *tenant](size) // fails for sizes below 1 only
	return l
}

// makeRoom pushes a tenant out if all places are taken: the unproven one that came
// first, but if these have no more than a quarter, which is theirs so that new tenants
// can get in, the proven one that was not used for longest. It is called with the lock.
func (ts *tenants) makeRoom() {
	if ts.proven.Len()+ts.unproven.Len() < ts.size {
		return
	}
	from := ts.unproven
	if from.Len() < ts.fresh {
		from = ts.proven
	}
	if _, oldest, ok := from.RemoveOldest(); ok {
		oldest.proven.Store(false)
		ts.release(oldest)
	}
}

// tenant is a resolved issuer. Its source is closed when the last reference is
// given back: a shelf holds one, each verification under way another.
type tenant struct {
	is      *issuer
	refs    atomic.Int64
	proven  atomic.Bool  // it is on that shelf
	touched atomic.Int64 // when its use put it to the front of that shelf, since tenants.made
	dropped bool         // not accepted any more: no shelf takes it; changed with the lock
	ended   sync.Once
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
	if t.refs.Add(-1) == 0 {
		go ts.retire(t)
	}
}

func (ts *tenants) retire(t *tenant) {
	name := t.is.name
	ts.mu.Lock()
	ts.live[name] = slices.DeleteFunc(ts.live[name], func(o *tenant) bool { return o == t })
	if len(ts.live[name]) == 0 {
		delete(ts.live, name)
	}
	ts.mu.Unlock()
	ts.end(t)
}

// end closes the source of t: after the last use, or with the verifier.
func (ts *tenants) end(t *tenant) {
	t.ended.Do(func() {
		defer ts.running.Done()
		ts.shut(t.is)
	})
}

// shut closes the source of an issuer and reports its error.
func (ts *tenants) shut(is *issuer) {
	if err := is.close(); err != nil {
		// The panic of a hook has no request to deny here.
		_ = emit(is.onEvent, Event{Kind: EventWarning, Issuer: is.name, Class: ErrInternal, Cause: err})
	}
}

// known returns the tenant with a reference for the caller, or nil. It is no use of
// it: whoever can name a tenant could keep it in memory.
func (ts *tenants) known(iss string) *tenant {
	for _, s := range [...]shelf{ts.proven, ts.unproven} {
		if t, ok := s.Peek(iss); ok && t.acquire() {
			return t
		}
	}
	return nil
}

// proved notes that a token of t was accepted, to which the caller has a reference.
func (ts *tenants) proved(t *tenant) {
	if !t.proven.Load() {
		ts.promote(t)
		return
	}
	now, last := int64(time.Since(ts.made)), t.touched.Load()
	if now-last >= int64(touchEvery) && t.touched.CompareAndSwap(last, now) {
		ts.proven.Get(t.is.name)
	}
}

// promote moves t to where only accepted tokens can put a tenant, also if it was
// pushed out meanwhile. All tenants in use fit as long as they are no more than
// MaxIssuers.
func (ts *tenants) promote(t *tenant) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed || t.dropped {
		return
	}
	t.refs.Add(1)
	ts.unshelve(t.is.name)
	ts.makeRoom()
	t.proven.Store(true)
	ts.proven.Add(t.is.name, t)
}

// shelve keeps t, with a reference of its own, where forged tokens can push it out. It
// is called with the lock, as is unshelve.
func (ts *tenants) shelve(t *tenant) {
	ts.makeRoom()
	ts.unproven.Add(t.is.name, t)
}

// inUse returns a tenant that was pushed out while requests still wait for its keys,
// with a reference: to resolve it again would be to fetch them twice. It is called
// with the lock.
func (ts *tenants) inUse(iss string) *tenant {
	for _, t := range ts.live[iss] {
		if !t.dropped && t.acquire() {
			t.refs.Add(1) // of the shelf
			ts.shelve(t)
			return t
		}
	}
	return nil
}

// unshelve takes the tenant of an issuer off its shelf: no name is on both.
func (ts *tenants) unshelve(iss string) {
	for _, s := range [...]shelf{ts.proven, ts.unproven} {
		if t, ok := s.Peek(iss); ok {
			s.Remove(iss)
			ts.release(t)
		}
	}
}

// forget drops what is known of an issuer that is not accepted any more. What is in
// use, or on its way, must not come back either: it may be what made the
// application change its mind.
func (ts *tenants) forget(iss string) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.live[iss] {
		t.dropped = true
	}
	if r := ts.flights[iss]; r != nil {
		r.dropped = true
		delete(ts.flights, iss)
	}
	ts.failed.Remove(iss)
	ts.unshelve(iss)
}

// close ends everything, and waits for what that begins. Then what the tenants share
// can be closed.
func (ts *tenants) close() error {
	ts.shutAll()
	ts.running.Wait()
	ts.once.Do(func() {
		if ts.onClose != nil {
			ts.failure = guarded("Tenants.OnClose", ts.onClose)
		}
	})
	return ts.failure
}

// shutAll ends the resolutions under way and closes the sources of all tenants, which
// is what ends the verifications that wait for keys.
func (ts *tenants) shutAll() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed {
		return
	}
	ts.closed = true
	ts.cancel()
	for _, list := range ts.live {
		for _, t := range list {
			go ts.end(t)
		}
	}
	clear(ts.live)
	ts.proven.Purge()
	ts.unproven.Purge()
}
