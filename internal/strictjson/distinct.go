// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	pairwise = 8  // up to here comparing all pairs is cheaper than hashing
	few      = 32 // up to here even a hash with prepared collisions costs little
)

var seed = maphash.MakeSeed()

// distinct reports whether no two members share a name. It is linear in the names.
func distinct(members []Member) bool {
	switch n := len(members); {
	case n <= pairwise:
		return distinctPairs(members)
	case n <= few:
		var t table
		return t.fill(members)
	}
	return distinctMany(members)
}

// table has the positions of at most few members by their names, plus one.
type table [2 * few]uint8

// fill puts members into t, which is empty. It is false if two of them share a name.
func (t *table) fill(members []Member) bool {
	for i := range members {
		at := t.find(members, members[i].Name)
		if t[at] != 0 {
			return false
		}
		t[at] = uint8(i) + 1
	}
	return true
}

// find is where the position of the member called name is, or would be.
func (t *table) find(members []Member, name string) uint {
	at := sketch(name) % uint(len(t))
	for t[at] != 0 && members[t[at]-1].Name != name {
		at = (at + 1) % uint(len(t))
	}
	return at
}

func (t *table) get(members []Member, name string) (Value, bool) {
	at := t[t.find(members, name)]
	if at == 0 {
		return Value{}, false
	}
	return members[at-1].Value, true
}

// sketch tells most names of claims apart at the price of a few bytes.
func sketch(name string) uint {
	n := len(name)
	if n == 0 {
		return 0
	}
	return uint(n) + 7*uint(name[0]) + 31*uint(name[n/2]) + 17*uint(name[n-1])
}

// distinctMany has a hash that is seeded at random, so that no collisions can be
// prepared.
func distinctMany(members []Member) bool {
	table := make([]uint32, 1<<bits.Len(uint(2*len(members)-1)))
	mask := uint64(len(table) - 1)
	for i := range members {
		name := members[i].Name
		at := maphash.String(seed, name) & mask
		for ; table[at] != 0; at = (at + 1) & mask {
			if members[table[at]-1].Name == name {
				return false
			}
		}
		table[at] = uint32(i) + 1
	}
	return true
}

func distinctPairs(members []Member) bool {
	for i := range members {
		for j := range i {
			if members[j].Name == members[i].Name {
				return false
			}
		}
	}
	return true
}

// FoldClash reports whether one object in text, at any depth, holds two names that
// encoding/json would put into the same struct field, since it matches names by
// Unicode simple case folding. It is also true for what [ParseObject] refuses.
func FoldClash(text string) bool {
	p := parser{text: text, fold: true}
	return p.document() != nil
}

// foldName maps names that fold to each other to one name. Lower-case ASCII, the
// common case, is returned as it is.
func foldName(name string) string { return strings.Map(foldRune, name) }

func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		return lower(r)
	}
	// SimpleFold goes round the runes that fold to each other; the smallest stands for all.
	for next := unicode.SimpleFold(r); ; next = unicode.SimpleFold(r) {
		if next <= r {
			return lower(next)
		}
		r = next
	}
}

func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}
