// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"errors"
	"sync"

	"github.com/bearerguard/bearerguard/internal/alias"
	"github.com/bearerguard/bearerguard/internal/compact"
	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// desk is the memory for reading one proof, used again for another.
type desk struct {
	input         string // what is signed
	segment       string // of the header
	signature     []byte
	header        header
	claims        strictjson.Object
	sig           [512]byte
	headRd, claRd strictjson.Reader
}

var desks = sync.Pool{New: func() any { return new(desk) }}

// clear wipes the desk and gives it back.
func (d *desk) clear() {
	clear(d.sig[:])
	d.headRd.Clear()
	d.claRd.Clear()
	d.input, d.segment, d.signature, d.header, d.claims = "", "", nil, header{}, strictjson.Object{}
	desks.Put(d)
}

// header is what the header of a proof says. kid, x5c, jku and x5u could name another
// key, and are not even read (RFC 8725 §3.10).
type header struct {
	alg, typ string
	jwk      []byte
}

// parse reads raw, one compact JWS (RFC 9449 §4.1).
func (d *desk) parse(raw string) error {
	cut, err := compact.Cut(raw)
	if err != nil {
		return err
	}
	d.input, d.segment = cut.SigningInput, cut.Header
	head, err := compact.Decode(cut.Header)
	if err != nil {
		return err
	}
	payload, err := compact.Decode(cut.Payload)
	if err != nil {
		return err
	}
	if d.signature, err = compact.DecodeInto(d.sig[:], cut.Signature); err != nil {
		return err
	}
	if d.header, err = readHeader(alias.String(head), &d.headRd); err != nil {
		return err
	}
	d.claims, err = d.claRd.Read(alias.String(payload))
	return err
}

func readHeader(text string, r *strictjson.Reader) (header, error) {
	obj, err := r.Read(text)
	if err != nil {
		return header{}, err
	}
	if err := refuseExtensions(obj); err != nil {
		return header{}, err
	}
	var h header
	if h.alg, err = textOf(obj, "alg"); err != nil {
		return header{}, err
	}
	if h.typ, err = textOf(obj, "typ"); err != nil {
		return header{}, err
	}
	val, _ := obj.Get("jwk")
	if _, ok := val.Object(); !ok {
		return header{}, errors.New("jwk is missing or not an object")
	}
	h.jwk = val.Raw()
	return h, nil
}

// refuseExtensions refuses what would change how the proof is to be read: the set of
// understood critical extensions is empty (RFC 7515 §4.1.11), an unencoded payload is
// not for JWTs (RFC 7797 §7), and enc belongs to encrypted ones (RFC 7516 §9).
func refuseExtensions(obj strictjson.Object) error {
	if _, ok := obj.Get("crit"); ok {
		return errors.New("crit asks for an extension that is not understood")
	}
	if val, ok := obj.Get("b64"); ok {
		if b, isBool := val.Bool(); !isBool || !b {
			return errors.New("b64 is not true")
		}
	}
	if _, ok := obj.Get("enc"); ok {
		return errors.New("enc in a proof of three segments")
	}
	return nil
}

// textOf is a member that must be a string.
func textOf(obj strictjson.Object, name string) (string, error) {
	val, _ := obj.Get(name)
	text, ok := val.Text()
	if !ok {
		return "", errors.New(name + " is missing or not a string")
	}
	return text, nil
}

// checkHeader checks typ and alg and makes the key (RFC 9449 §4.3 (4) to (7)).
func (v *Verifier) checkHeader(d *desk) (checkedKey, error) {
	if !isProofType(d.header.typ) {
		return checkedKey{}, errors.New("typ is not dpop+jwt")
	}
	if !v.allows(d.header.alg) {
		return checkedKey{}, errors.New("alg is not on the allowlist (Config.Algorithms)")
	}
	key, err := jose.ParseKey(d.header.jwk)
	switch {
	case err != nil:
		return checkedKey{}, err
	case key.Private:
		return checkedKey{}, errors.New("jwk holds a private member: the client gives its key away (RFC 9449 §4.3 (7))")
	case !key.Fits(d.header.alg):
		return checkedKey{}, errors.New("jwk does not fit alg")
	}
	sum, err := key.Thumbprint()
	return checkedKey{key, sum}, err
}

func (v *Verifier) allows(alg string) bool {
	for _, a := range v.algorithms {
		if a == alg {
			return true
		}
	}
	return false
}

// isProofType compares as RFC 7515 §4.1.9 has it: without regard to case, and to
// "application/" where no other slash follows.
func isProofType(typ string) bool {
	const want = "dpop+jwt"
	if typ == want {
		return true
	}
	if rest, ok := cutFold(typ, "application/"); ok {
		typ = rest
	}
	rest, ok := cutFold(typ, want)
	return ok && rest == ""
}

// cutFold cuts an ASCII prefix, given in lower case, off s. No letter outside ASCII is
// taken for one of it.
func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) {
		return s, false
	}
	for i := range len(prefix) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return s, false
		}
	}
	return s[len(prefix):], true
}
