// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// FuzzScope compares the reader of the scope claim with the grammar of RFC 6749
// §3.3 written as a regular expression.
func FuzzScope(f *testing.F) {
	for _, s := range []string{"", " ", "read", " a  b ", "a a", "x\tread", "x\nread", "x\u00a0read", `a"b`, `a\b`, "a\x7f", "é", "a\x00b"} {
		f.Add(s)
	}
	grammar := regexp.MustCompile(`^[\x20\x21\x23-\x5b\x5d-\x7e]*$`)
	f.Fuzz(func(t *testing.T, s string) {
		scopes, ok := splitScopes(nil, s)
		if ok != grammar.MatchString(s) {
			t.Fatalf("accepted: %v", ok)
		}
		var want []string
		for _, one := range strings.Split(s, " ") {
			if ok && one != "" && !slices.Contains(want, one) {
				want = append(want, one)
			}
		}
		if !slices.Equal(scopes, want) {
			t.Fatalf("got %q, want %q", scopes, want)
		}
	})
}

// FuzzParseKeySet checks that whatever an issuer publishes is read without a
// panic, and that a set holds only keys that can verify something.
func FuzzParseKeySet(f *testing.F) {
	const rsaKey = `{"kty":"RSA","kid":"a","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`
	for _, s := range []string{
		`{"keys":[]}`, `{"keys":[` + rsaKey + `]}`, `{"keys":[` + rsaKey + `,{"kty":"oct","k":"AAAA"},null,1,"x",[]]}`,
		`{"KEYS":[]}`, `{"keys":[],"keys":[]}`, `{"keys":{}}`, `{"keys":null}`, `[]`, ``, `{"keys":[{"kty":"RSA","kty":"EC"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQ"}]}`, `{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		set, notes, err := ParseKeySet(doc)
		if err != nil {
			if set != nil || notes != nil {
				t.Fatal("a result came with the error")
			}
			return
		}
		if set.Len() > maxKeys {
			t.Fatalf("%d keys", set.Len())
		}
		for _, key := range set.keys {
			if !verifies(key.Key) {
				t.Fatal("a key that verifies nothing is in the set")
			}
		}
	})
}
