// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/verifier"
)

// saving is the state of the one goroutine that stores key sets, there only while it
// has something to do.
type saving struct {
	busy    bool              // guarded by Cache.mu, as is latest
	latest  *snapshot         // to be stored next: a newer one takes its place
	refused [sha256.Size]byte // of the last set that was not to be stored, and reported
}

// save stores the keys of s in the background, if a fetch brought or confirmed them.
func (c *Cache) save(s *snapshot) {
	if c.snapshots == nil || s.failure != nil || s.restored {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.saving.busy {
		c.saving.latest = s
		return
	}
	c.saving.busy = true
	c.running.Add(1)
	go c.saveAll(s)
}

// saveAll stores s, and then what has come in the meantime.
func (c *Cache) saveAll(s *snapshot) {
	defer c.running.Done()
	ended := false
	defer func() {
		if !ended { // by a hook, as t.FailNow does: the next fetch starts anew
			c.mu.Lock()
			c.saving.busy = false
			c.mu.Unlock()
		}
	}()
	for ; s != nil; s = c.nextToSave() {
		var err error
		if p := hook.Call("the snapshot", func() { err = c.saveOne(s) }); p != nil {
			err = p
		}
		if err != nil {
			err = fmt.Errorf("keys are not stored: %w", err)
			_ = c.emit(verifier.Event{Kind: verifier.EventSnapshot, Cause: err})
		}
	}
	ended = true
}

// nextToSave ends the saving with nil. A closed cache starts no other call, so that
// Close waits for one limit at most.
func (c *Cache) nextToSave() *snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.saving.latest
	c.saving.latest = nil
	if c.closed {
		s = nil
	}
	c.saving.busy = s != nil
	return s
}

func (c *Cache) saveOne(s *snapshot) error {
	d := &s.keys
	if c.saving.refused == d.digest {
		return nil // said once
	}
	if d.body == nil {
		c.saving.refused = d.digest
		return errors.New("the key set carries private key material (RFC 7517 §9.2): tell the issuer")
	}
	rec := record{
		Version: recordVersion, Source: c.sourceName(), Issuer: c.issuer,
		Fetched: d.fetched.UTC(), FreshUntil: d.freshUntil.UTC(), KeySet: string(d.body),
	}
	if s.meta != nil {
		rec.JWKSURI, rec.Discovered = d.url, s.meta.fetched.UTC()
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

// secretMembers are those of private and symmetric keys (RFC 7518 §6, RFC 8037 §2).
var secretMembers = [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// carriesSecret looks at every key, also at those that cannot be used: what an issuer
// published by mistake is not to stay in our memory, nor to lie on our disk (KS-19).
func carriesSecret(jwks []byte) bool {
	doc, err := strictjson.ParseObjectOuter(jwks, "keys")
	if err != nil {
		return true
	}
	keys, _ := doc.Get("keys")
	elements, _ := keys.Elements()
	for _, el := range elements {
		var members map[string]json.RawMessage // all names, repeated ones as well
		_ = json.Unmarshal(el.Raw(), &members)
		for _, name := range secretMembers {
			if _, ok := members[name]; ok {
				return true
			}
		}
	}
	return false
}
