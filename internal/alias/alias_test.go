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

func TestNoAllocation(t *testing.T) {
	s := strings.Repeat("token", 1000)
	var sum [32]byte
	if n := testing.AllocsPerRun(100, func() { sum = sha256.Sum256(alias.Bytes(s)) }); n != 0 || sum == [32]byte{} {
		t.Errorf("%v allocations", n)
	}
}
