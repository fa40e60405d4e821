// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	keySetLimit  = 512 << 10
	maxValidator = 1 << 10
)

// document is the last good key set, with what is needed to renew it.
type document struct {
	set         *verifier.KeySet
	url         string
	digest      [sha256.Size]byte
	etag        string
	modified    string
	fetched     time.Time
	freshUntil  time.Time
	usableUntil time.Time
}

// join returns the attempt under way, or starts one. It returns nil if seen is no
// longer the state, so that a caller who was slow does not start another one.
func (c *Cache) join(seen *snapshot) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load() != seen || c.closed {
		return nil
	}
	if c.flight == nil {
		f := &flight{done: make(chan struct{})}
		c.flight = f
		c.running.Add(1)
		go c.run(f, seen)
	}
	return c.flight
}

// run makes one attempt. All that ends it is deferred: a transport or a hook can end
// this goroutine, as t.FailNow does, and nobody may wait for an attempt that is gone.
func (c *Cache) run(f *flight, old *snapshot) {
	defer c.running.Done()
	defer close(f.done)
	a := attempt{settings: &c.settings, old: old, meta: old.meta, keys: old.keys}
	var next *snapshot
	defer func() {
		if next == nil {
			next = a.failed(errors.New("the HTTP transport ended its goroutine"))
		}
		c.finish(next, a.events)
	}()
	next = c.restore(&a)
	f.restored = next != nil
	if next == nil {
		next = a.outcome(c.life)
	}
}

// finish reports after the result is in place and the attempt is no longer under
// way, so that a hook may ask for keys without a wait for itself, and before anybody
// who waited goes on. A closed cache wants neither result nor report.
func (c *Cache) finish(next *snapshot, events []verifier.Event) {
	if !c.publish(next) {
		return
	}
	c.save(next)
	for _, e := range events {
		_ = c.emit(e) // nobody's request: a panic is contained
	}
}

func (c *Cache) publish(next *snapshot) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight = nil
	if c.closed {
		return false
	}
	c.state.Store(next)
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.AfterFunc(time.Until(next.next), func() { c.wake(next) })
	return true
}

// wake is the timer: a source that nobody used since the last attempt sleeps on.
func (c *Cache) wake(s *snapshot) {
	if s.used.Load() {
		c.join(s)
	}
}

// attempt is one refresh: metadata if it is due, then the key set.
type attempt struct {
	*settings
	old    *snapshot
	meta   *metadata
	keys   document
	clock  clock
	events []verifier.Event

	fallback []verifier.Event // to be reported if the attempt fails, and stored keys are used
}

// outcome makes the next state. Whatever panics below is a failed attempt; asking
// the transport's error what it is can panic, too.
func (a *attempt) outcome(ctx context.Context) *snapshot {
	var failed *snapshot
	p := hook.Call("a key refresh", func() {
		if err := a.refresh(ctx); err != nil {
			failed = a.failed(err)
		}
	})
	switch {
	case p != nil:
		return a.failed(p)
	case failed != nil:
		return failed
	}
	wait := a.random.refreshAhead(a.keys.freshUntil.Sub(a.keys.fetched))
	if a.meta != nil {
		wait = min(wait, a.meta.due.Sub(a.keys.fetched))
	}
	wait = max(wait, minFresh) // DF-08: not more than once a minute
	if a.file != "" {
		wait = a.random.refreshAhead(fileEvery)
	}
	next := a.keys.fetched.Add(wait)
	return &snapshot{keys: a.keys, meta: a.meta, next: next, stale: new(atomic.Bool), clock: a.clock}
}

// failed is the state after a failed attempt: the old keys, and a back-off.
func (a *attempt) failed(err error) *snapshot {
	e := classed(err)
	a.note(verifier.EventFetchFailed, e.Class, e.Cause)
	a.events = append(a.events, a.fallback...)
	failures := a.old.failures + 1
	wait := a.random.backoff(failures, retryAfter(err))
	if a.file != "" {
		wait = min(wait, fileEvery)
	}
	return &snapshot{
		keys:     a.old.keys,
		meta:     a.meta,
		next:     time.Now().Add(wait),
		failures: failures,
		failure:  e,
		stale:    a.old.stale,
		clock:    a.old.clock,
	}
}

// classed: only an error of this package's own has a class. What a transport returns
// may hold one of another verifier.
func classed(err error) *verifier.Error {
	if e, ok := err.(*verifier.Error); ok {
		return e
	}
	return &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: err}
}

func (a *attempt) refresh(ctx context.Context) error {
	if a.file != "" {
		return a.refreshFile(ctx)
	}
	if err := a.findKeys(ctx); err != nil {
		return err
	}
	return a.fetchKeys(ctx)
}

func (a *attempt) note(kind verifier.EventKind, class, cause error) {
	a.events = append(a.events, verifier.Event{Kind: kind, Class: class, Cause: cause})
}

func retryAfter(err error) time.Duration {
	var fe *fetch.Error
	if errors.As(err, &fe) {
		return fe.RetryAfter
	}
	return 0
}

// findKeys makes sure that the address of the key set is known and not too old.
func (a *attempt) findKeys(ctx context.Context) error {
	if a.issuer == "" || a.meta != nil && time.Now().Before(a.meta.due) {
		return nil
	}
	meta, err := a.discover(ctx)
	if err != nil {
		return a.keepMetadata(err)
	}
	a.meta = meta
	a.note(verifier.EventFetched, nil, nil)
	if before := a.old.meta; before != nil && before.jwksURI != meta.jwksURI {
		a.note(verifier.EventWarning, nil, fmt.Errorf("jwks_uri of the issuer changed from %s to %s",
			fetch.Redact(before.jwksURI), fetch.Redact(meta.jwksURI)))
	}
	return nil
}

// keepMetadata: metadata that cannot be renewed serves on as the last good keys do, so
// that the key set is refreshed all the same (MD-11).
func (a *attempt) keepMetadata(err error) error {
	now := time.Now()
	if !a.meta.usable(now) {
		return err
	}
	kept := *a.meta
	kept.failure = classed(err)
	kept.due = now.Add(a.random.refreshAhead(defaultFresh))
	if kept.due.After(kept.usableUntil) {
		kept.due = kept.usableUntil // not beyond its bound
	}
	a.note(verifier.EventFetchFailed, kept.failure.Class, kept.failure.Cause)
	a.meta = &kept
	return nil
}

// fetchKeys renews a.keys, by a conditional request if the last set came from the
// same address.
func (a *attempt) fetchKeys(ctx context.Context) error {
	req := fetch.Request{URL: a.url, Accept: "application/jwk-set+json, application/json", Limit: keySetLimit}
	if a.meta != nil {
		req.URL = a.meta.jwksURI
	}
	if a.keys.url == req.URL {
		req.ETag, req.LastModified = a.keys.etag, a.keys.modified
	}
	sent := time.Now()
	resp, err := a.client.Get(ctx, req)
	if err != nil {
		if a.meta != nil && lookElsewhere(err) {
			// The server is there, but has no key set here: ask the issuer again.
			again := *a.meta
			again.due = time.Time{}
			a.meta = &again
		}
		return err
	}
	if !resp.NotModified {
		if err := a.accept(resp.Body); err != nil {
			return err
		}
	}
	a.keys.url = req.URL
	a.compareClocks(resp.Header, sent, time.Now())
	a.renew(resp)
	a.note(verifier.EventFetched, nil, nil)
	return nil
}

// renew notes the validators and times of a good answer.
func (a *attempt) renew(resp *fetch.Response) {
	a.keys.etag = validator(resp, "ETag", a.keys.etag)
	a.keys.modified = validator(resp, "Last-Modified", a.keys.modified)
	a.keys.fetched = time.Now()
	a.keys.freshUntil = a.keys.fetched.Add(freshness(resp.Header, a.keys.fetched))
	a.keys.usableUntil = a.keys.freshUntil.Add(a.maxStale)
}

// validator returns what to send back next time. What a 304 does not repeat stays
// (RFC 9111 §3.2). One that is too long is left out: a server that refuses such a
// request would refuse it for ever.
func validator(resp *fetch.Response, name, old string) string {
	v := resp.Header.Get(name)
	switch {
	case v == "" && resp.NotModified:
		return old
	case len(v) > maxValidator:
		return ""
	}
	return v
}

// accept takes a body as the new set, in full and instead of the old one. The same
// bytes keep the same set, whose pointer is its version.
func (a *attempt) accept(body []byte) error {
	digest := sha256.Sum256(body)
	if a.keys.set != nil && digest == a.keys.digest {
		return nil
	}
	set, skipped, err := verifier.ParseKeySet(body)
	if err != nil {
		return err
	}
	for _, note := range skipped {
		if errors.Is(note, verifier.ErrPrivateKey) {
			a.note(verifier.EventPrivateKey, nil, note)
		} else {
			a.note(verifier.EventKeySkipped, nil, note)
		}
	}
	if set, err = a.narrow(set); err != nil {
		return err
	}
	if set.Len() == 0 {
		if err := a.refuseEmpty(body); err != nil {
			return err
		}
	}
	a.keys.set, a.keys.digest = set, digest
	return nil
}

// narrow applies Config.Select, whose panic is that of the attempt.
func (a *attempt) narrow(set *verifier.KeySet) (*verifier.KeySet, error) {
	if a.choose == nil {
		return set, nil
	}
	some := a.choose(set)
	switch left := set.Len() - some.Len(); {
	case some == nil:
		return nil, errors.New("Config.Select returned nil")
	case left > 0:
		a.note(verifier.EventKeySkipped, nil, fmt.Errorf("Config.Select left out %d of %d keys, which are not this issuer's", left, set.Len()))
	}
	return some, nil
}

// refuseEmpty: an issuer that publishes no usable key is more likely broken than
// out of business, so keys that may still be served stay; without such keys a set
// that is not empty is at least a definite answer (KS-14).
func (a *attempt) refuseEmpty(body []byte) error {
	if a.old.keys.set.Len() > 0 && a.old.usable(time.Now()) {
		return errors.New("key set: no usable key")
	}
	doc, err := strictjson.ParseObjectOuter(body, "keys")
	if err != nil {
		return err
	}
	keys, _ := doc.Get("keys")
	if list, ok := keys.Elements(); !ok || len(list) == 0 {
		return errors.New("key set: no key")
	}
	return nil
}

func (s *snapshot) staleEvent() verifier.Event {
	e := verifier.Event{Kind: verifier.EventStaleKeys, Class: verifier.ErrKeysUnavailable}
	switch {
	case s.failure != nil:
		e.Class, e.Cause = s.failure.Class, s.failure.Cause
	case s.restored:
		e.Cause = usedEvent(s).Cause
	}
	return e
}
