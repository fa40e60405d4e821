// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// newStdlib is a floor: the least that the standard library needs to check a
// signature, exp, iss and aud. It is no verifier to copy: it reads JSON leniently and
// looks at none of the other claims.
func newStdlib(c setup) (func(raw string) error, error) {
	keys, err := c.byID()
	if err != nil {
		return nil, err
	}
	checks := make(map[string]func(input, signature []byte) error, len(keys))
	for kid, key := range keys {
		if checks[kid], err = newCrypto(c.alg, key); err != nil {
			return nil, err
		}
	}
	return func(raw string) error {
		head, rest, _ := strings.Cut(raw, ".")
		payload, sig, _ := strings.Cut(rest, ".")
		var h struct {
			Algorithm string `json:"alg"`
			KeyID     string `json:"kid"`
		}
		if err := decode(head, &h); err != nil {
			return err
		}
		check := checks[h.KeyID]
		if h.Algorithm != c.alg || check == nil {
			return errors.New("another algorithm or an unknown key")
		}
		if err := c.checkSignature(check, raw[:len(head)+1+len(payload)], sig); err != nil {
			return err
		}
		return c.checkClaims(payload)
	}, nil
}

func decode(segment string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func (c setup) checkSignature(check func(input, signature []byte) error, input, segment string) error {
	signature, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return err
	}
	if signature, err = native(c.alg, signature); err != nil {
		return err
	}
	return check([]byte(input), signature)
}

func (c setup) checkClaims(segment string) error {
	var claims struct {
		Issuer   string   `json:"iss"`
		Audience []string `json:"aud"`
		Expiry   int64    `json:"exp"`
	}
	if err := decode(segment, &claims); err != nil {
		return err
	}
	switch {
	case claims.Issuer != c.issuer:
		return errors.New("another issuer")
	case !slices.Contains(claims.Audience, c.audience):
		return errors.New("another audience")
	case !time.Now().Before(time.Unix(claims.Expiry, 0).Add(leeway)):
		return errors.New("expired")
	}
	return nil
}
