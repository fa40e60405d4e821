// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/bearerguard/bearerguard/verifier"
)

// variant is a token with one fault, or none.
type variant struct {
	name string
	raw  string
	// class is how bearerguard calls the fault; nil for a good token.
	class error
	// sound: the bytes were signed by the issuer's key, so that whoever checks no more
	// than that accepts them.
	sound bool
}

// variants are a good token of size bytes and others with one fault each.
func (is *issuer) variants(size int) ([]variant, error) {
	claims, err := is.claims(0, size)
	if err != nil {
		return nil, err
	}
	good, err := is.mint(claims)
	if err != nil {
		return nil, err
	}
	none, err := unsigned(header{Algorithm: "none", Type: "at+jwt", KeyID: is.kid}, claims)
	if err != nil {
		return nil, err
	}
	claims.Subject = "000000000000"
	payload, err := unsigned(is.header(), claims)
	if err != nil {
		return nil, err
	}
	signature := good[strings.LastIndexByte(good, '.'):]
	list := []variant{
		{"good", good, nil, true},
		{"tampered_signature", tamper(good), verifier.ErrSignature, false},
		{"tampered_payload", payload + signature, verifier.ErrSignature, false},
		{"alg_none", none + ".", verifier.ErrMalformedToken, false}, // for its empty signature
		{"alg_none_signed", none + signature, verifier.ErrAlgorithm, false},
	}
	signed, err := is.signedVariants(size)
	return append(list, signed...), err
}

// tamper changes a character of the signature.
func tamper(raw string) string {
	i := strings.LastIndexByte(raw, '.') + 10
	other := "A"
	if raw[i] == 'A' {
		other = "B"
	}
	return raw[:i] + other + raw[i+1:]
}

// signedVariants have a signature over what they say.
func (is *issuer) signedVariants(size int) ([]variant, error) {
	renamed := is.signer
	renamed.kid = "2025-12"
	keep := func(*claimSet) {}
	var list []variant
	for _, f := range []struct {
		name  string
		by    signer
		edit  func(*claimSet)
		class error
	}{
		{"expired", is.signer, is.age, verifier.ErrExpired},
		{"wrong_issuer", is.signer, func(c *claimSet) { c.Issuer = "https://login.example.net" }, verifier.ErrIssuer},
		{"wrong_audience", is.signer, func(c *claimSet) { c.Audience[0] = "https://api.example.net" }, verifier.ErrAudience},
		{"unknown_kid", renamed, keep, verifier.ErrUnknownKey},
		{"key_of_another_issuer", is.stranger, keep, verifier.ErrSignature},
	} {
		claims, err := is.claims(0, size)
		if err != nil {
			return nil, err
		}
		f.edit(&claims)
		raw, err := f.by.mint(claims)
		if err != nil {
			return nil, err
		}
		list = append(list, variant{f.name, raw, f.class, f.class != verifier.ErrSignature})
	}
	return list, nil
}

// age makes claims those of a token that was good until a lifetime ago.
func (is *issuer) age(c *claimSet) {
	past := is.now.Add(-2 * lifetime)
	c.AuthTime, c.IssuedAt, c.NotBefore = past.Unix(), past.Unix(), past.Unix()
	c.Expiry = past.Add(lifetime).Unix()
}
