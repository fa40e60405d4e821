// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

// saveEvery is the least time from one save of a set to the next of the same, and how
// long after a failure it is tried once more.
const saveEvery = time.Minute

// saving is the state of the one goroutine that stores key sets, there only while it
// has something to do. Cache.mu guards it.
type saving struct {
	busy   bool
	latest *snapshot   // to be stored next: a newer one takes its place
	tried  *snapshot   // the last one that was stored, or could not be
	at     time.Time   // when that began
	failed *snapshot   // the last one that could not be
	retry  *time.Timer // tries it once more, unless something else was tried by then
}

// save stores the keys of s in the background, if a fetch brought or confirmed them.
func (c *Cache) save(s *snapshot) {
	if c.snapshots == nil || s.failure != nil || s.restored || s.keys.set.Len() == 0 {
		return // a set without keys would only destroy what is stored
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startSaving(s)
}

// startSaving needs c.mu, and either an open cache or a part of c.running: Close waits
// for what was fetched before it.
func (c *Cache) startSaving(s *snapshot) {
	c.saving.latest = s
	if c.saving.busy {
		return
	}
	c.saving.busy = true
	c.running.Add(1)
	go c.saveAll()
}

// saveAll stores the latest keys, and then what has come in the meantime.
func (c *Cache) saveAll() {
	defer c.running.Done()
	ended := false
	defer func() {
		if !ended { // by a hook, as t.FailNow does
			c.saveOn()
		}
	}()
	for s := c.nextToSave(); s != nil; s = c.nextToSave() {
		var err error
		if p := hook.Call("the snapshot", func() { err = c.saveOne(s) }); p != nil {
			err = p
		}
		if err != nil {
			c.saveLater(s)
			err = fmt.Errorf("keys are not stored: %w", err)
			_ = c.emit(verifier.Event{Kind: verifier.EventSnapshot, Cause: err})
		}
	}
	ended = true
}

// nextToSave ends the saving with nil. It leaves out what was stored, or tried, just
// now, so that a flood of unknown kids does not become one of saves.
func (c *Cache) nextToSave() *snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.saving.latest
	c.saving.latest = nil
	if s != nil && s.keys.unchanged(c.saving.tried) && time.Since(c.saving.at) < saveEvery {
		s = nil
	}
	c.saving.busy = s != nil
	if s != nil {
		c.saving.tried, c.saving.at = s, time.Now()
	}
	return s
}

func (d *document) unchanged(since *snapshot) bool {
	return since != nil && d.set == since.keys.set && d.url == since.keys.url
}

// saveOn leaves the work of a goroutine that was ended to another.
func (c *Cache) saveOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saving.busy = false
	if s := c.saving.latest; s != nil {
		c.startSaving(s)
	}
}

// saveLater tries to store s once more: a source that is not in use brings nothing
// newer that would be stored instead.
func (c *Cache) saveLater(s *snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.saving.failed == s {
		return
	}
	c.saving.failed = s
	c.saving.retry = time.AfterFunc(saveEvery, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closed && c.saving.tried == s && c.saving.latest == nil {
			c.startSaving(s)
		}
	})
}

func (c *Cache) saveOne(s *snapshot) error {
	rec, err := c.recordOf(s)
	if err != nil {
		return err
	}
	text, err := rec.encode()
	if err != nil {
		return err
	}
	// Not the life of the cache: Close lets a call under way come to its end.
	return c.calls.call(context.Background(), "the snapshot store", func(ctx context.Context) error {
		if err := c.snapshots.Save(ctx, rec.Source, text); !hook.Nil(err) {
			return err
		}
		return nil
	})
}

// recordOf writes the key set anew instead of keeping what was fetched: what an issuer
// published by mistake is not to stay in our memory, nor to lie on our disk (KS-19).
func (c *Cache) recordOf(s *snapshot) (record, error) {
	keys, err := s.keys.set.PublicJWKS()
	if err != nil {
		return record{}, err
	}
	rec := record{
		Version: recordVersion, Source: c.sourceName(), Issuer: c.issuer,
		Fetched: s.keys.fetched.UTC(), FreshUntil: s.keys.freshUntil.UTC(), KeySet: string(keys),
	}
	if s.meta != nil {
		rec.JWKSURI, rec.Discovered = s.keys.url, s.meta.fetched.UTC()
	}
	return rec, nil
}
