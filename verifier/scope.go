// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"sort"
	"strings"

	"github.com/bearerguard/bearerguard/internal/scopetoken"
)

// splitScopes appends the scope tokens of s in order, without duplicates, to scopes,
// which is empty and has room for countWords(s).
func splitScopes(scopes []string, s string) ([]string, bool) {
	start := -1
	for i := range len(s) {
		switch {
		case s[i] == ' ':
			if start >= 0 {
				scopes = append(scopes, s[start:i])
			}
			start = -1
		case !scopetoken.Char(s[i]):
			return nil, false
		case start < 0:
			start = i
		}
	}
	if start >= 0 {
		scopes = append(scopes, s[start:])
	}
	return unique(scopes), true
}

// wordsAtMost is a bound of countWords(s), which is exact if it is above few.
func wordsAtMost(s string, few int) int {
	if n := strings.Count(s, " ") + 1; n <= few {
		return n
	}
	return countWords(s)
}

// countWords counts first what is then stored: growing a list of thousands of
// scopes would take five times its memory.
func countWords(s string) (n int) {
	for i := range len(s) {
		if s[i] != ' ' && (i == 0 || s[i-1] == ' ') {
			n++
		}
	}
	return n
}

// unique keeps the first of equal entries. A client chooses how many scopes a
// token has, so long lists must not cost quadratic time.
func unique(list []string) []string {
	const few = 16
	if len(list) > few {
		return uniqueOfMany(list)
	}
	out := list[:0]
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// uniqueOfMany looks each entry up in a table of positions in out, plus one, which
// takes a quarter of a map's memory. The seed is random: collisions cannot be
// prepared.
func uniqueOfMany(list []string) []string {
	seed := maphash.MakeSeed()
	table := make([]uint32, 2<<bits.Len(uint(len(list))))
	mask := uint64(len(table) - 1)
	out := list[:0]
	for _, s := range list {
		at := maphash.String(seed, s) & mask
		for table[at] != 0 && out[table[at]-1] != s {
			at = (at + 1) & mask
		}
		if table[at] == 0 {
			out = append(out, s)
			table[at] = uint32(len(out))
		}
	}
	return out
}

// implied maps a scope to all broader ones that include it, directly or not.
type implied map[string][]string

// closeOver turns Config.Implies (broad → narrow) round and closes it over. The
// second result names a scope that implies itself through others, if any does.
func closeOver(implies map[string][]string) (implied, string) {
	closed := implied{}
	broads := make([]string, 0, len(implies))
	for broad := range implies {
		broads = append(broads, broad)
	}
	sort.Strings(broads)
	for _, broad := range broads {
		reached := map[string]bool{}
		todo := slices.Clone(implies[broad])
		for len(todo) > 0 {
			s := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if s == broad {
				return nil, broad
			}
			if !reached[s] {
				reached[s] = true
				closed[s] = append(closed[s], broad)
				todo = append(todo, implies[s]...)
			}
		}
	}
	return closed, ""
}

// HasScope tells whether the token grants scope: by the very string (RFC 6749
// §3.3: case-sensitive, no wildcards), or by a broader scope that implies it
// under the issuer's Config.Implies. A nil Token grants nothing.
func (t *Token) HasScope(scope string) bool {
	if t == nil || scope == "" {
		return false
	}
	if slices.Contains(t.Scopes, scope) {
		return true
	}
	for _, broad := range t.implies[scope] {
		if slices.Contains(t.Scopes, broad) {
			return true
		}
	}
	return false
}
