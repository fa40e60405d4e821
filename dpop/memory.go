// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

const (
	defaultEntries = 1_000_000
	minEntries     = 1_000
	maxEntries     = 10_000_000
	keyShare       = 10 // one key takes at most a tenth

	// What is over is cleared away a little with each use, so that no use waits long, and
	// more of it where there is no room.
	cleared     = 32
	clearedFull = 4096
)

// ErrFull says that a [Memory] has no room for another proof, or none for another one of
// this key. It never forgets a proof that could be presented again.
var ErrFull = errors.New("the replay memory is full")

// Memory is a [ReplayStore] in memory, for one process. With replicas each has its own,
// and a proof is accepted once by each; use a shared store, such as package redisstore. A
// restart forgets: proofs used before it are accepted again while their time lasts, which
// nonces shorten.
//
// It is safe for concurrent use, begins empty and grows as needed, about 200 bytes for
// one proof. The zero value is full.
type Memory struct {
	mu      sync.Mutex
	entries int
	now     func() time.Time
	used    map[[32]byte]*entry
	queue   queue
	shares  map[[32]byte]*share
}

// entry is one used proof.
type entry struct {
	id    [32]byte
	until time.Time
	share *share
}

// share is what one key takes.
type share struct {
	key   [32]byte
	count int
}

// NewMemory makes a Memory for that many proofs, of which one key can take a tenth. 0
// means 1,000,000; from 1,000 to 10,000,000. The error is of class [verifier.ErrConfig].
func NewMemory(entries int) (*Memory, error) { return newMemory(entries, time.Now) }

func newMemory(entries int, now func() time.Time) (*Memory, error) {
	if entries == 0 {
		entries = defaultEntries
	}
	if entries < minEntries || entries > maxEntries {
		return nil, &verifier.Error{Class: verifier.ErrConfig, Cause: fmt.Errorf("dpop.NewMemory: %d is not from %d to %d entries", entries, minEntries, maxEntries)}
	}
	return &Memory{entries: entries, now: now, used: map[[32]byte]*entry{}, shares: map[[32]byte]*share{}}, nil
}

// Use implements [ReplayStore]. The error is [ErrFull].
func (m *Memory) Use(_ context.Context, u Use) (fresh bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == 0 {
		return false, ErrFull
	}
	now := m.now()
	m.clear(now, u.Key)
	if e, ok := m.used[u.ID]; ok && now.Before(e.until) {
		return false, nil
	}
	switch {
	case len(m.queue) >= m.entries:
		return false, ErrFull
	case m.full(u.Key):
		return false, fmt.Errorf("%w for this key", ErrFull)
	}
	m.add(u, now.Add(u.TTL))
	return true, nil
}

// Len is how many proofs are remembered, those included that are over and not yet cleared
// away.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue)
}

func (m *Memory) full(key [32]byte) bool {
	s := m.shares[key]
	return s != nil && s.count >= m.entries/keyShare
}

func (m *Memory) add(u Use, until time.Time) {
	s := m.shares[u.Key]
	if s == nil {
		s = &share{key: u.Key}
		m.shares[u.Key] = s
	}
	s.count++
	e := &entry{id: u.ID, until: until, share: s}
	m.used[u.ID] = e
	heap.Push(&m.queue, e)
}

// clear removes entries whose time is over, a bounded number of them.
func (m *Memory) clear(now time.Time, key [32]byte) {
	for i := range clearedFull {
		if len(m.queue) == 0 || now.Before(m.queue[0].until) {
			return
		}
		if i >= cleared && len(m.queue) < m.entries && !m.full(key) {
			return
		}
		m.remove(heap.Pop(&m.queue).(*entry))
	}
}

func (m *Memory) remove(e *entry) {
	if m.used[e.id] == e { // and not a later use with the same identifier
		delete(m.used, e.id)
	}
	if e.share.count--; e.share.count == 0 {
		delete(m.shares, e.share.key)
	}
}

// queue has the entry that is over first in front.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].until.Before(q[j].until) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push is for container/heap.
func (q *queue) Push(x any) { *q = append(*q, x.(*entry)) }

// Pop is for container/heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}
