// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

// maxAhead is how far the clock of whoever stored a snapshot may have been ahead.
const maxAhead = time.Minute

// restore looks for stored keys until the store has said what it has, or there is a set
// without it. It returns the state that serves them if they are still fresh; older ones
// become what the attempt falls back on.
func (c *Cache) restore(a *attempt) *snapshot {
	if c.snapshots == nil || c.loaded || a.old.keys.set != nil {
		return nil
	}
	var stored *snapshot
	var events []verifier.Event
	var err error
	if p := hook.Call("the stored keys", func() {
		var text []byte
		if text, err = a.loadText(c.life); err == nil {
			c.loaded = true // the same would come again
			stored, events, err = a.read(text)
		}
	}); p != nil {
		stored, err = nil, p
	}
	switch {
	case err != nil:
		a.note(verifier.EventSnapshot, nil, fmt.Errorf("stored keys are not used: %w", err))
	case stored != nil && time.Now().Before(stored.keys.freshUntil):
		a.events = append(events, usedEvent(stored))
		return stored
	case stored != nil:
		a.fallBackOn(stored, events)
		c.offer(stored)
	}
	return nil
}

// offer makes stored the state while the attempt to renew it goes on, for callers who
// cannot wait for its end.
func (c *Cache) offer(stored *snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.state.Store(stored)
	}
}

func usedEvent(stored *snapshot) verifier.Event {
	return verifier.Event{Kind: verifier.EventSnapshot, Cause: fmt.Errorf(
		"stored keys, fetched at %s, are used until the issuer answers", stored.keys.fetched.Format(time.RFC3339))}
}

// fallBackOn makes stored the last good state: an attempt that fails keeps it (KS-12,
// MD-11), and one that brings no usable key does not replace it (KS-14).
func (a *attempt) fallBackOn(stored *snapshot, events []verifier.Event) {
	a.old, a.meta, a.keys = stored, stored.meta, stored.keys
	a.events = append(a.events, events...)
	a.fallback = []verifier.Event{usedEvent(stored)}
}

// read returns the state that the stored keys make, with what is to be reported if it
// is used; nil if nothing is stored.
func (a *attempt) read(text []byte) (*snapshot, []verifier.Event, error) {
	if text == nil {
		return nil, nil, nil
	}
	rec, err := decodeRecord(text)
	if err != nil {
		return nil, nil, err
	}
	keys, err := a.bind(rec, time.Now())
	if err != nil {
		return nil, nil, err
	}
	r := &attempt{settings: a.settings, old: a.old, keys: keys}
	if err := r.accept([]byte(rec.KeySet)); err != nil {
		return nil, nil, err
	}
	if r.keys.set.Len() == 0 {
		return nil, nil, errors.New("the snapshot holds no usable key")
	}
	s := &snapshot{
		keys: r.keys, meta: a.knownMetadata(rec), next: time.Now(), failures: a.old.failures,
		stale: new(atomic.Bool), restored: true,
	}
	s.used.Store(true) // the refresh must not wait for the next request
	return s, r.events, nil
}

// knownMetadata is what this process fetched itself, or else what the record says: due
// at once, but kept while it cannot be renewed (MD-11), for as long as it would have
// been without the restart.
func (a *attempt) knownMetadata(rec record) *metadata {
	if a.issuer == "" || a.meta != nil {
		return a.meta
	}
	m := &metadata{jwksURI: rec.JWKSURI, fetched: rec.Discovered}
	if !rec.Discovered.After(time.Now().Add(maxAhead)) {
		m.usableUntil = rec.Discovered.Add(metadataMaxAge + a.maxStale)
	}
	return m
}

func (a *attempt) loadText(ctx context.Context) ([]byte, error) {
	var text []byte
	err := a.calls.call(ctx, "the snapshot store", func(ctx context.Context) error {
		got, err := a.snapshots.Load(ctx, a.sourceName())
		if !hook.Nil(err) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if hook.Nil(err) {
			text = got
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return text, nil
}

// bind checks what a record says of its key set against the settings of today: these
// may have become stricter, and a store can hand out what belongs to another cache.
func (a *attempt) bind(rec record, now time.Time) (document, error) {
	if rec.Source != a.sourceName() || rec.Issuer != a.issuer {
		return document{}, errors.New("the snapshot belongs to another issuer or address")
	}
	d := document{url: a.url, fetched: rec.Fetched, freshUntil: rec.FreshUntil}
	if a.issuer != "" {
		if reason := a.addressFault(rec.JWKSURI); reason != "" {
			return document{}, fmt.Errorf("jwks_uri of the snapshot %s", reason)
		}
		d.url = rec.JWKSURI
	}
	if limit := rec.Fetched.Add(maxFresh); d.freshUntil.After(limit) {
		d.freshUntil = limit
	}
	d.usableUntil = d.freshUntil.Add(a.maxStale)
	switch {
	case rec.Fetched.After(now.Add(maxAhead)):
		return document{}, errors.New("the snapshot is from the future: check the clock")
	case !now.Before(d.usableUntil):
		return document{}, errors.New("the snapshot is too old (Config.MaxStale)")
	}
	return d, nil
}
