// SPDX-License-Identifier: Apache-2.0

package alias_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/alias"
)

func TestAlias(t *testing.T) {
	for _, s := range []string{"", "a", strings.Repeat("token", 1000), "ä\x00\xff"} {
		if b := alias.Bytes(s); string(b) != s || len(b) != cap(b) {
			t.Errorf("Bytes(%q) = %q, capacity %d", s, b, cap(b))
		}
		if got := alias.String([]byte(s)); got != s {
			t.Errorf("String(%q) = %q", s, got)
		}
		if sha256.Sum256(alias.Bytes(s)) != sha256.Sum256([]byte(s)) {
			t.Errorf("%q is hashed otherwise", s)
		}
	}
	if alias.Bytes("") != nil && len(alias.Bytes("")) != 0 || alias.String(nil) != "" {
		t.Error("nothing is not nothing")
	}
}

func TestOffset(t *testing.T) {
	whole := strings.Clone("abcabc")
	for _, tt := range []struct {
		name, part string
		at         int
		ok         bool
	}{
		{"all", whole, 0, true},
		{"begin", whole[:3], 0, true},
		{"same_text_further_on", whole[3:], 3, true},
		{"last_byte", whole[5:], 5, true},
		{"empty", "", 0, true},
		{"empty_inside", whole[2:2], 0, true},
		{"same_text_elsewhere", strings.Clone("abc"), 0, false},
		{"longer", strings.Clone("abcabcabc"), 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if at, ok := alias.Offset(whole, tt.part); at != tt.at || ok != tt.ok {
				t.Errorf("%d, %v, want %d, %v", at, ok, tt.at, tt.ok)
			}
		})
	}
	t.Run("neighbours", func(t *testing.T) {
		memory := strings.Clone("abcdef")
		for _, part := range []string{memory[:3], memory[1:3], memory[1:4], memory[3:], memory[2:4], memory} {
			if at, ok := alias.Offset(memory[2:3], part); ok {
				t.Errorf("%q at %d of its neighbour", part, at)
			}
		}
		if at, ok := alias.Offset(memory[1:4], memory[3:5]); ok {
			t.Errorf("at %d, and one byte longer", at)
		}
	})
	if at, ok := alias.Offset("", "a"); ok {
		t.Errorf("at %d of nothing", at)
	}
}

func TestNoAllocation(t *testing.T) {
	s := strings.Repeat("token", 1000)
	var sum [32]byte
	if n := testing.AllocsPerRun(100, func() { sum = sha256.Sum256(alias.Bytes(s)) }); n != 0 || sum == [32]byte{} {
		t.Errorf("%v allocations", n)
	}
}
