// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// digest is the SHA-256 of a token's bytes. Two tokens share none, so it stands for the
// token where that must not be kept.
type digest = [sha256.Size]byte

// tokenCache remembers verified tokens by the SHA-256 of their bytes: no token is
// kept in plain (RFC 9700 §4.9.3). It holds facts, never decisions, and only of
// tokens that their issuer signed for this audience and that were in time: nobody
// else's can push good ones out.
type tokenCache struct {
	entries, bytes int // bounds; no entries: off
	once           sync.Once
	shards         []shard // a power of two of them
}

// shard is a part of the cache with a lock of its own, so that cores seldom wait for
// each other.
type shard struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[digest, seen]
	held  int // bytes
	bytes int // bound
	_     [64]byte
}

const (
	maxShards    = 32
	shardEntries = 256       // at least, so that chance seldom fills one before the others
	shardBytes   = 256 << 10 // at least, so that all but the oddest tokens fit
)

func (c *tokenCache) on() bool { return c.entries > 0 }

// open makes the shards on first use: thousands of issuers may be configured, and few
// be in use.
func (c *tokenCache) open() {
	c.once.Do(func() {
		n := 1
		for n < maxShards && c.entries/(2*n) >= shardEntries && c.bytes/(2*n) >= shardBytes {
			n *= 2
		}
		c.shards = make([]shard, n)
		for i := range c.shards {
			c.shards[i].open(c.entries/n, c.bytes/n)
		}
	})
}

func (s *shard) open(entries, bytes int) {
	s.bytes = bytes
	s.lru, _ = simplelru.NewLRU(entries, func(_ digest, e seen) { s.held -= e.size() }) // fails for sizes below 1 only
}

func (c *tokenCache) of(digest digest) *shard {
	c.open()
	return &c.shards[binary.LittleEndian.Uint64(digest[:])&uint64(len(c.shards)-1)]
}

func (c *tokenCache) get(digest digest) (e seen, found bool) {
	if !c.on() {
		return seen{}, false
	}
	s := c.of(digest)
	s.mu.Lock()
	e, found = s.lru.Get(digest)
	s.mu.Unlock()
	return e, found
}

// put keeps e, unless it alone is too large. Whatever was not used for longest gives way.
func (c *tokenCache) put(digest digest, e seen) {
	if !c.on() {
		return
	}
	s := c.of(digest)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Remove(digest)
	size := e.size()
	if size > s.bytes {
		return
	}
	for s.held+size > s.bytes {
		s.lru.RemoveOldest()
	}
	s.lru.Add(digest, e)
	s.held += size
}

func (c *tokenCache) drop(digest digest) {
	if !c.on() {
		return
	}
	s := c.of(digest)
	s.mu.Lock()
	s.lru.Remove(digest)
	s.mu.Unlock()
}

// entryBytes is what an entry takes beside its texts and lists: 320 bytes, and its share of
// a map, which grows to several times its first size while entries come and go.
const entryBytes = 896

// placeBytes is the size of a place.
const placeBytes = 4

// size is the memory that e takes, rather too much than too little: the allocator rounds
// up by as much as a fifth.
func (e seen) size() int {
	n := len(e.payload) + len(e.extra) + placeBytes*len(e.texts)
	return entryBytes + n + n/4
}

// seenBefore returns the token of a digest, or nil if it has to be verified. The
// key source is asked each time: if its keys may not be used now, a token seen
// before may not either. An entry whose key has left the set is void.
func (is *issuer) seenBefore(ctx context.Context, digest digest) (*Token, error) {
	e, found := is.cache.get(digest)
	if !found {
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
		e.set = set
		is.cache.put(digest, e)
	}
	if err := is.checkTimes(e.period()); err != nil {
		return nil, err
	}
	return e.token(is), nil
}
