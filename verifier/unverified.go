// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"sync"

	"github.com/bearerguard/bearerguard/internal/compact"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// unverified is a token whose structure is sound and whose signature has not
// been looked at: nothing in it may be believed (RFC 8725 §3.10).
type unverified struct {
	input     []byte // what is signed; on the desk
	signature []byte // on the desk
	header    header
	known     bool   // the header was remembered
	segment   string // of the header
	payload   string
	claims    strictjson.Object // on the desk
}

// desk is the memory for reading one token, used again for another. What is kept of a
// token is made of strings that are not part of it.
type desk struct {
	unverified
	token        []byte // as presented
	text         []byte // what a segment stands for
	sig          []byte // what the last one stands for
	written      int    // bytes of the token that lies there
	head, claims strictjson.Reader
}

const usualSig = 512 // bytes of a signature by the largest usual RSA key

var desks = sync.Pool{New: func() any {
	return &desk{
		token: make([]byte, defaultMaxBytes),
		text:  make([]byte, defaultMaxBytes),
		sig:   make([]byte, usualSig),
	}
}}

// lay puts raw on the desk. Hashes want bytes, and a conversion would allocate.
func (d *desk) lay(raw string) []byte {
	if len(raw) > len(d.token) { // the configured limit is above the usual one
		d.token, d.text = make([]byte, maxMaxBytes), make([]byte, maxMaxBytes)
	}
	d.written = copy(d.token, raw)
	return d.token[:d.written]
}

// clear wipes the desk, since its content would be enough to make the token again (RFC
// 9700 §4.9.3), and gives it back.
func (d *desk) clear() {
	clear(d.token[:d.written])
	if d.input != nil { // it was read, too
		clear(d.text[:d.written]) // no segment stands for more bytes than the token has
		clear(d.sig)
		d.head.Clear()
		d.claims.Clear()
		d.unverified = unverified{}
	}
	d.written = 0
	desks.Put(d)
}

// parse reads raw, which as token lies on the desk, unless heads knows how its header
// reads. The result is a part of d.
func (d *desk) parse(raw string, token []byte, heads *heads) (*unverified, error) {
	u := &d.unverified
	u.input = token
	cut, err := compact.Cut(raw)
	if errors.Is(err, compact.ErrFiveSegments) {
		return nil, &Error{Class: ErrMalformedToken, Cause: errEncrypted}
	}
	if err != nil {
		return nil, &Error{Class: ErrMalformedToken, Cause: err}
	}
	u.input, u.segment = token[:len(cut.SigningInput)], cut.Header
	var header string
	if u.header, u.known = heads.get(cut.Header); !u.known {
		if header, err = d.decode(cut.Header); err != nil {
			return nil, err
		}
	}
	if u.payload, err = d.decode(cut.Payload); err != nil {
		return nil, err
	}
	if u.signature, err = compact.DecodeInto(d.sig, cut.Signature); err != nil {
		return nil, &Error{Class: ErrMalformedToken, Cause: err}
	}
	if !u.known {
		if u.header, err = readHeader(header, &d.head); err != nil {
			return nil, err
		}
	}
	if u.claims, err = d.claims.Read(u.payload); err != nil {
		return nil, fail(ErrMalformedToken, "payload: %w", err)
	}
	return u, nil
}

var errEncrypted = errors.New("an encrypted token (five segments); decryption is not enabled")

// decode returns what a segment stands for, in memory of its own.
func (d *desk) decode(segment string) (string, error) {
	text, err := compact.DecodeInto(d.text, segment)
	if err != nil {
		return "", &Error{Class: ErrMalformedToken, Cause: err}
	}
	return string(text), nil
}

// issuer is the iss by which the issuer is selected: compared code point for code
// point (RFC 9068 §4). One that is not configured causes no network access.
func (u *unverified) issuer() (string, error) {
	val, ok := u.claims.Get("iss")
	if !ok {
		return "", missing("iss")
	}
	iss, ok := val.Text()
	if !ok {
		return "", invalid("iss", "not a string")
	}
	return iss, nil
}
