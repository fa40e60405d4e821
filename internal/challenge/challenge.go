// SPDX-License-Identifier: Apache-2.0

// Package challenge writes and reads WWW-Authenticate challenges (RFC 9110
// §11.6.1) and knows which characters their parameters may hold.
package challenge

import (
	"strings"

	"github.com/bearerguard/bearerguard/internal/scopetoken"
)

// Challenge is one challenge. The order of Params is the order on the wire.
type Challenge struct {
	Scheme string
	Params []Param
}

// Param is one auth-param; Value is as meant, without quotes and escapes.
type Param struct{ Name, Value string }

// String writes c with every value as a quoted-string: that form is right for all
// parameters that OAuth defines, and realm has no other (RFC 9110 §11.5). What
// error and error_description may not hold becomes a question mark (RFC 6750 §3).
func (c Challenge) String() string {
	var b strings.Builder
	b.WriteString(c.Scheme)
	for i, p := range c.Params {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(p.Name)
		b.WriteString(`="`)
		writeQuoted(&b, p)
		b.WriteByte('"')
	}
	return b.String()
}

func writeQuoted(b *strings.Builder, p Param) {
	v := p.Value
	if p.Name == "error" || p.Name == "error_description" {
		v = reduce(v)
	}
	for i := range len(v) {
		if v[i] == '"' || v[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(v[i])
	}
}

// reduce puts a question mark for each character outside the set that RFC 6750
// §3 allows in error and error_description.
func reduce(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r < 0x7f && scopetoken.Char(byte(r)) {
			return r
		}
		return '?'
	}, s)
}

// ValidURI reports whether s holds only what RFC 6750 §3 allows in error_uri; it
// does not parse s.
func ValidURI(s string) bool { return scopetoken.Valid(s) }

// ValidText reports whether s can be the value of a quoted-string and survives
// every proxy: printable ASCII only. RFC 9110 §5.6.4 would also allow TAB and
// obs-text, whose meaning clients do not agree on.
func ValidText(s string) bool {
	return all(s, func(c byte) bool { return c >= ' ' && c < 0x7f })
}

// ValidName reports whether s can be the name of a parameter: a token of RFC 9110
// §5.6.2.
func ValidName(s string) bool { return s != "" && all(s, tokenByte) }

func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func tokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c < 0x80 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
