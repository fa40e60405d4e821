// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"crypto/sha256"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// tokenCache remembers verified tokens by the SHA-256 of their bytes: no token is
// kept in plain (RFC 9700 §4.9.3). It holds facts, never decisions, and only of
// tokens that their issuer signed for this audience and that were in time: nobody
// else's can push good ones out.
type tokenCache struct {
	entries int // 0: off
	once    sync.Once
	lru     *lru.Cache[[sha256.Size]byte, *seen]
}

// seen is one verified token, the key that verified it and the set it was in. It
// is never changed.
type seen struct {
	facts *Token
	set   *KeySet
	key   *jose.Key
}

func (c *tokenCache) open() *lru.Cache[[sha256.Size]byte, *seen] {
	c.once.Do(func() {
		if c.entries > 0 {
			c.lru, _ = lru.New[[sha256.Size]byte, *seen](c.entries) // fails for sizes below 1 only
		}
	})
	return c.lru
}

func (c *tokenCache) get(digest [sha256.Size]byte) *seen {
	if l := c.open(); l != nil {
		if e, ok := l.Get(digest); ok {
			return e
		}
	}
	return nil
}

func (c *tokenCache) put(digest [sha256.Size]byte, e *seen) {
	if l := c.open(); l != nil {
		l.Add(digest, e)
	}
}

func (c *tokenCache) drop(digest [sha256.Size]byte) {
	if l := c.open(); l != nil {
		l.Remove(digest)
	}
}

// seenBefore returns the token of a digest, or nil if it has to be verified. The
// key source is asked each time: if its keys may not be used now, a token seen
// before may not either. An entry whose key has left the set is void.
func (is *issuer) seenBefore(ctx context.Context, digest [sha256.Size]byte) (*Token, error) {
	e := is.cache.get(digest)
	if e == nil {
		return nil, nil
	}
	set, err := is.currentKeys(ctx, nil)
	if err != nil {
		return nil, err
	}
	if set != e.set {
		if !set.holds(e.key) {
			is.cache.drop(digest)
			return nil, nil
		}
		is.cache.put(digest, &seen{facts: e.facts, set: set, key: e.key})
	}
	if err := is.checkTimes(e.facts); err != nil {
		return nil, err
	}
	return e.facts.clone(), nil
}
