// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"sync"

	"github.com/bearerguard/bearerguard/internal/alias"
	"github.com/bearerguard/bearerguard/internal/compact"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// unverified is a token whose structure is sound and whose signature has not
// been looked at: nothing in it may be believed (RFC 8725 §3.10).
type unverified struct {
	input     string // what is signed
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
	sig          [usualSig]byte
	head, claims strictjson.Reader
}

const usualSig = 512 // bytes of a signature by the largest usual RSA key

var desks = sync.Pool{New: func() any { return new(desk) }}

// clear wipes the desk, since the signature beside the claims would be enough to make
// the token again (RFC 9700 §4.9.3), and gives it back.
func (d *desk) clear() {
	clear(d.sig[:])
	d.head.Clear()
	d.claims.Clear()
	d.unverified = unverified{}
	desks.Put(d)
}

// parse reads raw, except a header of which heads knows how it reads. The result is a
// part of d.
func (d *desk) parse(raw string, heads *heads) (*unverified, error) {
	u := &d.unverified
	cut, err := compact.Cut(raw)
	if errors.Is(err, compact.ErrFiveSegments) {
		return nil, &Error{Class: ErrMalformedToken, Cause: errEncrypted}
	}
	if err != nil {
		return nil, &Error{Class: ErrMalformedToken, Cause: err}
	}
	u.input, u.segment = cut.SigningInput, cut.Header
	var header string
	if u.header, u.known = heads.get(cut.Header); !u.known {
		if header, err = decode(cut.Header); err != nil {
			return nil, err
		}
	}
	if u.payload, err = decode(cut.Payload); err != nil {
		return nil, err
	}
	if u.signature, err = compact.DecodeInto(d.sig[:], cut.Signature); err != nil {
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
func decode(segment string) (string, error) {
	text, err := compact.Decode(segment)
	if err != nil {
		return "", &Error{Class: ErrMalformedToken, Cause: err}
	}
	return alias.String(text), nil
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
