// SPDX-License-Identifier: Apache-2.0

// Package compact reads the JWS Compact Serialization (RFC 7515 §7.1) so that two
// different strings never decode to the same token: caches, deny lists and ath
// values are keyed by the text.
package compact

import (
	"errors"
	"strings"
)

// ErrFiveSegments says that the text has the five segments of a JWE (RFC 7516 §7.1).
// Nothing else about it was checked.
var ErrFiveSegments = errors.New("five segments, as in an encrypted token")

var (
	errSegments = errors.New("not three segments: an opaque token, or none?")
	errEmpty    = errors.New("empty segment")
	errBase64   = errors.New("not base64url without padding: a damaged token? Pass it without its scheme")
)

// Segments are the three segments of a token, as received.
type Segments struct {
	// SigningInput is the header and payload segments with their dot (RFC 7515 §5.2
	// step 8).
	SigningInput               string
	Header, Payload, Signature string
}

// Cut takes raw apart without decoding it. It accepts exactly three non-empty segments:
// an empty payload would be detached content (RFC 7515 App. F), an empty signature an
// unsecured token. Five segments are [ErrFiveSegments]. No error quotes raw. It
// allocates nothing.
func Cut(raw string) (Segments, error) {
	// At most five cuts, however many dots there are.
	header, rest, _ := strings.Cut(raw, ".")
	payload, rest, _ := strings.Cut(rest, ".")
	signature, rest, more := strings.Cut(rest, ".")
	if more {
		return Segments{}, tooMany(rest)
	}
	if header == "" || payload == "" || signature == "" {
		if strings.Count(raw, ".") != 2 {
			return Segments{}, errSegments
		}
		return Segments{}, errEmpty
	}
	return Segments{raw[:len(header)+1+len(payload)], header, payload, signature}, nil
}

// tooMany tells what is wrong with a text of more than three segments; rest is what
// follows the third dot.
func tooMany(rest string) error {
	_, rest, fourth := strings.Cut(rest, ".")
	if fourth && strings.IndexByte(rest, '.') < 0 {
		return ErrFiveSegments
	}
	return errSegments
}

// Parts are the decoded segments of a token. The three slices share one array.
type Parts struct {
	// SigningInput is that of [Segments].
	SigningInput string
	Header       []byte
	Payload      []byte
	Signature    []byte
}

// Split is [Cut] and decodes the segments, which must be strict base64url. The work is
// linear and the memory at most three quarters of len(raw).
func Split(raw string) (Parts, error) {
	cut, err := Cut(raw)
	if err != nil {
		return Parts{}, err
	}
	h, p, s := decodedLen(cut.Header), decodedLen(cut.Payload), decodedLen(cut.Signature)
	all := make([]byte, h+p+s)
	parts := Parts{
		SigningInput: cut.SigningInput,
		Header:       all[:h:h],
		Payload:      all[h : h+p : h+p],
		Signature:    all[h+p:],
	}
	if !decode(parts.Header, cut.Header) || !decode(parts.Payload, cut.Payload) || !decode(parts.Signature, cut.Signature) {
		return Parts{}, errBase64
	}
	return parts, nil
}

// Decode decodes strict base64url without padding (RFC 7515 §2): no CR or LF, no
// length of 1 mod 4, no non-zero trailing bits. "" decodes to no bytes.
func Decode(segment string) ([]byte, error) {
	return DecodeInto(nil, segment)
}

// DecodeInto is [Decode], and writes into buf if that has room for the bytes. The result
// has its own memory otherwise.
func DecodeInto(buf []byte, segment string) ([]byte, error) {
	n := decodedLen(segment)
	if n > len(buf) {
		buf = make([]byte, n)
	}
	if !decode(buf[:n], segment) {
		return nil, errBase64
	}
	return buf[:n:n], nil
}

// decodedLen is how many bytes segment stands for, if it decodes.
func decodedLen(segment string) int { return len(segment) * 6 / 8 }

// decode fills dst, which has decodedLen(segment) bytes. Unlike encoding/base64 it takes
// no CR or LF, and it judges all characters at once, at the end, in half the time.
func decode(dst []byte, segment string) bool {
	var all uint32
	for ; len(segment) >= 8; segment, dst = segment[8:], dst[6:] {
		s, d := segment[:8], dst[:6]
		v, w := group(s[0], s[1], s[2], s[3]), group(s[4], s[5], s[6], s[7])
		d[0], d[1], d[2] = byte(v>>16), byte(v>>8), byte(v)
		d[3], d[4], d[5] = byte(w>>16), byte(w>>8), byte(w)
		all |= v | w
	}
	if len(segment) >= 4 {
		v := group(segment[0], segment[1], segment[2], segment[3])
		dst[0], dst[1], dst[2] = byte(v>>16), byte(v>>8), byte(v)
		all |= v
		segment, dst = segment[4:], dst[3:]
	}
	return all&foreign == 0 && last(dst, segment)
}

// last decodes the characters that do not make up a whole group. Bits that stand for
// nothing must be zero (RFC 4648 §3.5), or two texts would be one token.
func last(dst []byte, rest string) bool {
	switch len(rest) {
	case 0:
		return true
	case 2:
		v := group(rest[0], rest[1], 'A', 'A')
		dst[0] = byte(v >> 16)
		return v&(foreign|0xffff) == 0
	case 3:
		v := group(rest[0], rest[1], rest[2], 'A')
		dst[0], dst[1] = byte(v>>16), byte(v>>8)
		return v&(foreign|0xff) == 0
	}
	return false
}

// group is the three bytes that four characters stand for, and foreign if one of them is
// not of the alphabet.
func group(a, b, c, d byte) uint32 {
	return places[0][a] | places[1][b] | places[2][c] | places[3][d]
}

const foreign = 1 << 31

// places has the value of each character of base64url (RFC 4648 §5) at each place of a
// group, and foreign for all others.
var places = func() (tables [4][256]uint32) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for place := range tables {
		for c := range tables[place] {
			tables[place][c] = foreign
		}
		for i := range len(alphabet) {
			tables[place][alphabet[i]] = uint32(i) << (18 - 6*place)
		}
	}
	return tables
}()
