// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// token is a signed token and, for those who only check signatures, its parts.
type token struct {
	raw    string
	bytes  []byte // raw again
	input  []byte // what is signed
	native []byte // the signature in the form of the standard library
}

func split(alg, raw string) (*token, error) {
	i := strings.LastIndexByte(raw, '.')
	if i < 0 {
		return nil, errors.New("no signature")
	}
	signature, err := base64.RawURLEncoding.DecodeString(raw[i+1:])
	if err != nil {
		return nil, err
	}
	signature, err = native(alg, signature)
	bytes := []byte(raw)
	return &token{raw, bytes, bytes[:i:i], signature}, err
}

// header has the members of an access token's header (RFC 9068 §2.1).
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
}

func (s signer) header() header {
	return header{Algorithm: s.alg, Type: "at+jwt", KeyID: s.kid}
}

// unsigned returns the signing input of a token.
func unsigned(head header, claims claimSet) (string, error) {
	h, err := json.Marshal(head)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return encode(h) + "." + encode(payload), nil
}

func encode(part []byte) string { return base64.RawURLEncoding.EncodeToString(part) }

// mint returns a token of claims with an honest header.
func (s signer) mint(claims claimSet) (string, error) {
	input, err := unsigned(s.header(), claims)
	if err != nil {
		return "", err
	}
	return s.seal(input)
}

func (s signer) seal(input string) (string, error) {
	signature, err := s.sign([]byte(input))
	return input + "." + encode(signature), err
}

// issuer is an authorization server with the keys of one algorithm: one that signs,
// and the one before it, which is still published.
type issuer struct {
	signer
	previous signer
	stranger signer // a key of somebody else
	now      time.Time
}

func newIssuer(alg string) (*issuer, error) {
	is := &issuer{now: time.Now()}
	for _, k := range []struct {
		to  *signer
		kid string
	}{{&is.signer, "2026-02"}, {&is.previous, "2026-01"}, {&is.stranger, "2026-02"}} {
		s, err := newSigner(alg, k.kid)
		if err != nil {
			return nil, err
		}
		*k.to = s
	}
	return is, nil
}

// setup is what verifiers of the issuer's tokens are told.
func (is *issuer) setup() (setup, error) {
	var set jose.JSONWebKeySet
	for _, s := range []signer{is.previous, is.signer} {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.public(), KeyID: s.kid, Algorithm: s.alg, Use: "sig"})
	}
	keys, err := json.Marshal(set)
	return setup{alg: is.alg, kid: is.kid, issuer: issuerName, audience: thisAPI, keys: keys}, err
}

// claims are good ones for a token of size bytes.
func (is *issuer) claims(n, size int) (claimSet, error) {
	c := goodClaims(n, is.now)
	empty, err := is.mint(claimSet{})
	if err != nil {
		return c, err
	}
	bare, err := (&claimSet{}).encodedLen()
	if err != nil {
		return c, err
	}
	return c, c.grow(size, len(empty)-bare)
}

// ring returns count different good tokens of size bytes.
func (is *issuer) ring(count, size int) ([]*token, error) {
	claims, err := is.claims(0, size)
	if err != nil {
		return nil, err
	}
	ring := make([]*token, count)
	for n := range ring {
		one := goodClaims(n, is.now)
		claims.Subject, claims.ID = one.Subject, one.ID
		raw, err := is.mint(claims)
		if err != nil {
			return nil, err
		}
		if off := 100 * (len(raw) - size); off > 3*size || off < -3*size {
			return nil, fmt.Errorf("%s: %d bytes instead of %d", is.alg, len(raw), size)
		}
		if ring[n], err = split(is.alg, raw); err != nil {
			return nil, err
		}
	}
	return ring, nil
}
