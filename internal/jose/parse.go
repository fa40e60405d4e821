// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/internal/compact"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// privateMembers are the members that only a private or symmetric key has
// (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2).
var privateMembers = [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// ParseKey reads one JWK (RFC 7517 §4) strictly: JSON without duplicate names,
// values in base64url without padding, kid, alg and use strings, key_ops an array
// of distinct strings. It accepts RSA keys of 2,048 to 8,192 bits with an odd
// exponent from 65,537 to 2^31-1, EC keys on P-256, P-384 and P-521, and Ed25519
// keys that are not of small order. oct keys are refused: a published secret is
// none. x5c, x5t and x5u are ignored, as are members not known.
//
// Leading zero octets in n and e are accepted, although RFC 7518 §6.3.1 forbids
// them, since issuers send them; the size that counts is that of the number. EC
// coordinates have their full length always (RFC 7518 §6.2.1.2).
//
// Of a private key only the public members are used. The text of an error holds
// no value of the JWK.
func ParseKey(jwk []byte) (*Key, error) {
	obj, err := strictjson.ParseObject(jwk)
	if err != nil {
		return nil, fmt.Errorf("JWK is not one strict JSON object: %w", err)
	}
	key, err := describe(obj)
	if err != nil {
		return nil, err
	}
	if key.public, err = material(obj); err != nil {
		return nil, err
	}
	return key, nil
}

// describe reads the members that say what the key is for.
func describe(obj strictjson.Object) (*Key, error) {
	var (
		k   Key
		err error
	)
	if k.ID, k.HasID, err = optionalText(obj, "kid"); err != nil {
		return nil, err
	}
	if k.Algorithm, k.hasAlgorithm, err = optionalText(obj, "alg"); err != nil {
		return nil, err
	}
	if k.Use, k.hasUse, err = optionalText(obj, "use"); err != nil {
		return nil, err
	}
	if k.Ops, k.HasOps, err = operations(obj); err != nil {
		return nil, err
	}
	if v, ok := obj.Get("issuer"); ok {
		text, _ := v.Text()
		k.Issuer = strings.Clone(text)
	}
	for _, name := range privateMembers {
		if _, ok := obj.Get(name); ok {
			k.Private = true
		}
	}
	return &k, nil
}

// optionalText clones what it returns: a part of the text of the JWK would keep
// all of it alive, private values included.
func optionalText(obj strictjson.Object, name string) (string, bool, error) {
	v, ok := obj.Get(name)
	if !ok {
		return "", false, nil
	}
	s, ok := v.Text()
	if !ok {
		return "", false, fmt.Errorf("JWK member %q is not a string", name)
	}
	return strings.Clone(s), true, nil
}

// operations reads key_ops, whose values must not repeat (RFC 7517 §4.3).
func operations(obj strictjson.Object) ([]string, bool, error) {
	v, ok := obj.Get("key_ops")
	if !ok {
		return nil, false, nil
	}
	ops, ok := v.Texts()
	if !ok {
		return nil, false, errors.New(`JWK member "key_ops" is not an array of strings`)
	}
	for i := range ops {
		ops[i] = strings.Clone(ops[i])
	}
	sorted := slices.Sorted(slices.Values(ops))
	if len(slices.Compact(sorted)) != len(ops) {
		return nil, false, errors.New(`JWK member "key_ops" repeats a value`)
	}
	return ops, true, nil
}

// material reads the public members strictly, lets the JOSE library build the key
// from these alone, and checks what it built.
func material(obj strictjson.Object) (crypto.PublicKey, error) {
	m, err := required(obj)
	if err != nil {
		return nil, err
	}
	pub, err := build(m)
	if err != nil {
		return nil, err
	}
	return checkPublic(pub)
}

// members are the required public members of a key, read strictly and re-encoded.
type members map[string]string

func required(obj strictjson.Object) (members, error) {
	kty, ok, err := optionalText(obj, "kty")
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, errors.New(`JWK member "kty" is missing`)
	case kty == "RSA":
		return rsaMembers(obj)
	case kty == "EC":
		return ecMembers(obj)
	case kty == "OKP":
		return okpMembers(obj)
	case kty == "oct":
		return nil, errors.New("a symmetric key in a JWK is not used")
	}
	return nil, errors.New("JWK has an unknown kty")
}

func rsaMembers(obj strictjson.Object) (members, error) {
	n, err := octets(obj, "n")
	if err != nil {
		return nil, err
	}
	e, err := octets(obj, "e")
	if err != nil {
		return nil, err
	}
	// The library keeps e in an int and would cut a longer one.
	exponent := new(big.Int).SetBytes(e)
	if !exponent.IsInt64() || exponent.Int64() > maxExponent {
		return nil, fmt.Errorf("RSA exponent is above %d", maxExponent)
	}
	return members{"kty": "RSA", "n": encode(new(big.Int).SetBytes(n).Bytes()), "e": encode(exponent.Bytes())}, nil
}

func ecMembers(obj strictjson.Object) (members, error) {
	crv, _, err := optionalText(obj, "crv")
	if err != nil {
		return nil, err
	}
	curve := curveOf(crv)
	if curve == nil {
		return nil, errors.New("EC key is not on P-256, P-384 or P-521")
	}
	x, err := octets(obj, "x")
	if err != nil {
		return nil, err
	}
	y, err := octets(obj, "y")
	if err != nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, fmt.Errorf("EC coordinate does not have %d octets", size)
	}
	return members{"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y)}, nil
}

func okpMembers(obj strictjson.Object) (members, error) {
	crv, _, err := optionalText(obj, "crv")
	if err != nil {
		return nil, err
	}
	if crv != "Ed25519" {
		return nil, errors.New("OKP key is not an Ed25519 key")
	}
	x, err := octets(obj, "x")
	if err != nil {
		return nil, err
	}
	return members{"kty": "OKP", "crv": crv, "x": encode(x)}, nil
}

// octets reads a required member in strict base64url (RFC 7515 §2).
func octets(obj strictjson.Object, name string) ([]byte, error) {
	s, ok, err := optionalText(obj, name)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("JWK member %q is missing", name)
	}
	b, err := compact.Decode(s)
	if err != nil {
		return nil, fmt.Errorf("JWK member %q is not base64url without padding", name)
	}
	return b, nil
}
