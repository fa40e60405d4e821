// SPDX-License-Identifier: Apache-2.0

// Package scopetoken is the grammar of a scope: what a token, a rule, a challenge
// and a request for a token may call one.
package scopetoken

// Valid reports whether s is one scope-token (RFC 6749 §3.3).
func Valid(s string) bool {
	for i := range len(s) {
		if !Char(s[i]) {
			return false
		}
	}
	return s != ""
}

// Char reports whether c is %x21, %x23-5B or %x5D-7E, of which RFC 6749 §3.3 makes
// scope tokens and RFC 6750 §3 the values of a challenge.
func Char(c byte) bool {
	return c > ' ' && c < 0x7f && c != '"' && c != '\\'
}
