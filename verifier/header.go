// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"strings"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// maxKeyID bounds kid, which is only ever compared.
const maxKeyID = 512

// header is what the JOSE header says. Members that could name or carry a key
// (jku, jwk, x5u, x5c, x5t) are not even read (RFC 8725 §3.10).
type header struct {
	alg    string
	typ    string // as it is compared
	hasTyp bool
	kid    string
	hasKid bool
}

func readHeader(text string, r *strictjson.Reader) (header, error) {
	obj, err := r.Read(text)
	if err != nil {
		return header{}, fail(ErrMalformedToken, "header: %w", err)
	}
	if err := refuseExtensions(obj); err != nil {
		return header{}, err
	}
	var h header
	val, _ := obj.Get("alg")
	alg, ok := val.Text()
	if !ok {
		return header{}, fail(ErrMalformedToken, "header: alg is missing or not a string")
	}
	h.alg = alg
	if h.typ, h.hasTyp, err = optionalText(obj, "typ"); err != nil {
		return header{}, err
	}
	h.typ = mediaType(h.typ)
	if h.kid, h.hasKid, err = optionalText(obj, "kid"); err != nil {
		return header{}, err
	}
	if len(h.kid) > maxKeyID {
		return header{}, fail(ErrMalformedToken, "header: kid is longer than %d bytes", maxKeyID)
	}
	return h, nil
}

// refuseExtensions refuses whatever would change how the token is to be read:
// the set of understood critical extensions is empty (RFC 7515 §4.1.11), an
// unencoded payload is not for JWTs (RFC 7797 §7), enc belongs to encrypted
// tokens (RFC 7516 §9) and cty JWT to nested ones (RFC 7519 §5.2).
func refuseExtensions(obj strictjson.Object) error {
	if _, ok := obj.Get("crit"); ok {
		return fail(ErrMalformedToken, "header: crit asks for an extension that is not understood")
	}
	if val, ok := obj.Get("b64"); ok {
		if b, isBool := val.Bool(); !isBool || !b {
			return fail(ErrMalformedToken, "header: b64 is not true")
		}
	}
	if _, ok := obj.Get("enc"); ok {
		return fail(ErrMalformedToken, "header: enc in a token of three segments")
	}
	cty, _, err := optionalText(obj, "cty")
	if err != nil {
		return err
	}
	if kind := mediaType(cty); kind == "jwt" || strings.HasSuffix(kind, "+jwt") {
		return fail(ErrMalformedToken, "header: cty marks a nested token")
	}
	return nil
}

func optionalText(obj strictjson.Object, name string) (text string, present bool, err error) {
	val, ok := obj.Get(name)
	if !ok {
		return "", false, nil
	}
	text, ok = val.Text()
	if !ok {
		return "", true, fail(ErrMalformedToken, "header: %s is not a string", name)
	}
	return text, true, nil
}

// mediaType brings a typ or cty value into the form in which it is compared:
// lower case, without "application/" if no other slash follows (RFC 7515 §4.1.9).
// Only ASCII letters are folded: no other letter may become part of a media type.
func mediaType(s string) string {
	s = asciiLower(s)
	if rest, ok := strings.CutPrefix(s, "application/"); ok && !strings.Contains(rest, "/") {
		return rest
	}
	return s
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
