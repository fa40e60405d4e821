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
	onStack  = 32 // up to here the table needs no allocation
)

var seed = maphash.MakeSeed()

// distinct reports whether no two members share a name. It is linear in the names: the
// hash is seeded at random, so collisions cannot be prepared.
func distinct(members []Member) bool {
	n := len(members)
	if n <= pairwise {
		return distinctPairs(members)
	}
	var small [2 * onStack]uint32
	table := small[:]
	if n > onStack {
		table = make([]uint32, 1<<bits.Len(uint(2*n-1)))
	}
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

// FoldClash reports whether one object in data, at any depth, holds two names that
// encoding/json would put into the same struct field, since it matches names by
// Unicode simple case folding. It is also true for what [ParseObject] refuses.
func FoldClash(data []byte) bool {
	p := parser{text: string(data), fold: true}
	_, err := p.document()
	return err != nil
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
