// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"hash/maphash"
	"sync"
	"time"
)

// maxMissing bounds the memory of kids. A flood pushes entries out: then the cooldown
// alone decides, as for kids never seen.
const maxMissing = 64

// missing remembers kids that a fetch has failed to bring. Tokens that go on naming
// them, from a client with old tokens or for another deployment, would otherwise use
// up every fetch that the cooldown allows, at the moment when the first token of a new
// key needs it. What it adds to a wait is bounded by one cooldown, so that nobody can
// delay a key by asking for its kid in advance. It keeps sums only.
type missing struct {
	mu   sync.Mutex
	seed maphash.Seed
	list []missed // made on first use: most of thousands of sources have no use for it
	next int
}

type missed struct {
	sum   uint64
	until time.Time
}

func (m *missing) add(kid string, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.list == nil {
		m.seed, m.list = maphash.MakeSeed(), make([]missed, maxMissing)
	}
	sum := maphash.String(m.seed, kid)
	for i := range m.list {
		if m.list[i].sum == sum {
			m.list[i].until = until
			return
		}
	}
	m.list[m.next] = missed{sum, until}
	m.next = (m.next + 1) % maxMissing
}

func (m *missing) has(kid string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.list == nil {
		return false
	}
	sum := maphash.String(m.seed, kid)
	for _, e := range m.list {
		if e.sum == sum {
			return now.Before(e.until)
		}
	}
	return false
}
