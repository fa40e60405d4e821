// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"strings"
	"testing"
)

// plainToken68 is isToken68 byte by byte, in the order of the grammar.
func plainToken68(s string) bool {
	const legal = "-._~+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	n := 0
	for n < len(s) && strings.IndexByte(legal, s[n]) >= 0 {
		n++
	}
	end := n
	for end < len(s) && s[end] == '=' {
		end++
	}
	return n > 0 && end == len(s)
}

// plainBearer is parseScheme word by word.
func plainBearer(value string) (token string, ok bool) {
	value = strings.Trim(value, " \t")
	scheme, rest := value, ""
	if i := strings.IndexAny(value, " \t"); i >= 0 {
		scheme, rest = value[:i], value[i:]
	}
	if strings.ToLower(scheme) != "bearer" {
		return "", false
	}
	if token = strings.TrimLeft(rest, " "); !plainToken68(token) {
		return "", true
	}
	return token, true
}

func sameReading(t *testing.T, value string) {
	t.Helper()
	token, ok := parseScheme(value, schemeBearer)
	if want, wantOK := plainBearer(value); token != want || ok != wantOK {
		t.Errorf("%q: %q, %v; want %q, %v", value, token, ok, want, wantOK)
	}
	if got, want := isToken68(value), plainToken68(value); got != want {
		t.Errorf("isToken68(%q) = %v", value, got)
	}
}

// TestToken68: several bytes are read at once, and none is overlooked.
func TestToken68(t *testing.T) {
	t.Run("BT-03/every_byte_at_every_place", func(t *testing.T) {
		for size := range 26 {
			for at := range size {
				for c := range 256 {
					s := []byte(strings.Repeat("a", size))
					s[at] = byte(c)
					sameReading(t, string(s))
					sameReading(t, "Bearer "+string(s))
				}
			}
		}
	})
	t.Run("BT-03/padding_at_every_place", func(t *testing.T) {
		for size := range 18 {
			for from := range size + 1 {
				for to := from; to <= size; to++ {
					sameReading(t, strings.Repeat("a", from)+strings.Repeat("=", to-from)+strings.Repeat("a", size-to))
				}
			}
		}
	})
	t.Run("BT-02/every_byte_in_and_behind_the_scheme", func(t *testing.T) {
		for at := range len("bearer ") {
			for c := range 256 {
				s := []byte("bEarer abc")
				s[at] = byte(c)
				sameReading(t, string(s))
				sameReading(t, string(s[:at+1]))
			}
		}
	})
	t.Run("BT-02/letters_that_fold_to_others", func(t *testing.T) {
		for _, s := range []string{"ＢEARER a", "Béarer a", "beare\u017f a", "\u212aearer a", "Bearer\u2003a", "Bearer\u0085a"} {
			sameReading(t, s)
		}
	})
}

// FuzzToken68: the quick reading and the plain one agree.
func FuzzToken68(f *testing.F) {
	for _, seed := range []string{"", "Bearer abc", " bearer\t x", "BEARER  aaaaaaaaaaaaaaaa==", "aaaaaaa=aaaaaaaa", "aaaaaaaaaaaaaaa\x80", "Bearer ="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		sameReading(t, value)
		sameReading(t, "Bearer "+value)
	})
}
