// SPDX-License-Identifier: Apache-2.0

package scopetoken_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/internal/scopetoken"
)

func TestValid(t *testing.T) {
	t.Run("SC-01/every_byte", func(t *testing.T) {
		for c := range 256 {
			want := c == 0x21 || 0x23 <= c && c <= 0x5b || 0x5d <= c && c <= 0x7e
			for _, s := range []string{string([]byte{byte(c)}), string([]byte{'a', byte(c)}), string([]byte{byte(c), 'a'})} {
				if scopetoken.Valid(s) != want || scopetoken.Char(byte(c)) != want {
					t.Errorf("%#02x: want %v", c, want)
				}
			}
		}
	})
	t.Run("SC-01/empty", func(t *testing.T) {
		if scopetoken.Valid("") {
			t.Error("the empty string is a scope")
		}
	})
}
