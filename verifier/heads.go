// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// heads remembers how the headers of verified tokens read, since an issuer's tokens have
// the same one, letter for letter, until it rotates its keys. It decides nothing: a header
// that is remembered is one that reading it again would accept, with the same outcome.
// The zero value is ready.
type heads struct {
	places [16]headPlace
}

type headPlace struct {
	known  atomic.Pointer[knownHead]
	others atomic.Uint32 // verified tokens whose header would have had this place
}

type knownHead struct {
	segment string // in memory of its own: a part of the token would keep all of it
	header  header
}

// patience is how many verified tokens another header must have before it takes a place:
// where an issuer makes a new header for each token, remembering would only cost.
const patience = 32

var headSeed = maphash.MakeSeed()

func (h *heads) place(segment string) *headPlace {
	return &h.places[maphash.String(headSeed, segment)%uint64(len(h.places))]
}

func (h *heads) get(segment string) (header, bool) {
	if k := h.place(segment).known.Load(); k != nil && k.segment == segment {
		return k.header, true
	}
	return header{}, false
}

// maxHead bounds a header that is remembered: usual ones have less than 200 bytes, and
// these places are not counted to any Config.CacheBytes.
const maxHead = 1_024

// put remembers the header of a verified token that get did not know.
func (h *heads) put(segment string, read header) {
	if len(segment) > maxHead {
		return
	}
	p := h.place(segment)
	if p.known.Load() != nil && p.others.Add(1)%patience != 0 {
		return
	}
	p.known.Store(&knownHead{strings.Clone(segment), read})
}
