// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// space skips the four white space characters of RFC 8259 §2.
func (p *parser) space() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// peek skips white space and returns the byte there, or 0, which begins nothing in
// JSON, at the end.
func (p *parser) peek() byte {
	p.space()
	return p.here()
}

func (p *parser) here() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *parser) literal(word string) error {
	if !strings.HasPrefix(p.text[p.pos:], word) {
		return errSyntax
	}
	p.pos += len(word)
	return nil
}

// number reads -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? (RFC 8259 §6).
func (p *parser) number() error {
	if p.here() == '-' {
		p.pos++
	}
	first := p.here()
	if n := p.digits(); n == 0 || first == '0' && n > 1 {
		return errSyntax
	}
	if p.here() == '.' {
		p.pos++
		if p.digits() == 0 {
			return errSyntax
		}
	}
	if c := p.here(); c != 'e' && c != 'E' {
		return nil
	}
	p.pos++
	if c := p.here(); c == '+' || c == '-' {
		p.pos++
	}
	if p.digits() == 0 {
		return errSyntax
	}
	return nil
}

func (p *parser) digits() (n int) {
	for c := p.here(); '0' <= c && c <= '9'; c = p.here() {
		p.pos++
		n++
	}
	return n
}

// quoted reads a string from its opening quote on and reports whether it holds an
// escape. The text is known to be valid UTF-8.
func (p *parser) quoted() (escaped bool, err error) {
	for i := p.pos + 1; i < len(p.text); {
		i = toSpecial(p.text, i)
		if i == len(p.text) {
			break
		}
		switch c := p.text[i]; {
		case c == '"':
			p.pos = i + 1
			return escaped, nil
		case c == '\\':
			escaped = true
			n, err := escape(p.text[i:])
			if err != nil {
				return false, err
			}
			i += n
		default: // a control character
			return false, errSyntax
		}
	}
	return false, errSyntax
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// toSpecial is where the first quote, backslash or control character from i on stands, or
// the end. It looks at eight bytes per step: in each of them, (x-1)&^x has its high bit
// set if x is zero; a borrow can spoil only what stands above the first such byte.
func toSpecial(s string, i int) int {
	for ; len(s)-i >= 8; i += 8 {
		w := load(s[i : i+8])
		quote, backslash := w^('"'*ones), w^('\\'*ones)
		found := (quote-ones)&^quote | (backslash-ones)&^backslash | (w-' '*ones)&^w
		if found &= highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	return i
}

// load is the little-endian value of eight bytes.
func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// escape checks the escape at the start of s and returns its length, which for a
// surrogate is that of the pair (RFC 8259 §7, §8.2).
func escape(s string) (int, error) {
	if len(s) < 2 {
		return 0, errSyntax
	}
	if s[1] != 'u' {
		if short(s[1]) == 0 {
			return 0, errSyntax
		}
		return 2, nil
	}
	r := hex4(s)
	switch {
	case r < 0:
		return 0, errSyntax
	case !utf16.IsSurrogate(r):
		return 6, nil
	case utf16.DecodeRune(r, hex4(s[6:])) == utf8.RuneError:
		return 0, errSurrogate
	}
	return 12, nil
}

// short is the character that \c stands for, or 0 if there is no such escape.
func short(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// hex4 is the code unit of the \uXXXX at the start of s, or -1 if there is none.
func hex4(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape is the value of the inside of a string that quoted has accepted.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for {
		plain, rest, found := strings.Cut(s, `\`)
		b.WriteString(plain)
		if !found {
			return b.String()
		}
		s = s[len(plain):]
		if rest[0] != 'u' {
			b.WriteByte(short(rest[0]))
			s = s[2:]
			continue
		}
		r := hex4(s)
		s = s[6:]
		if utf16.IsSurrogate(r) {
			r = utf16.DecodeRune(r, hex4(s))
			s = s[6:]
		}
		b.WriteRune(r)
	}
}
