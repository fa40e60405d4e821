// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

var errSignature = errors.New("bad signature")

// newCrypto is what no verifier can do without: the hash of the signing input and
// the standard library's check of a signature in the form that this wants.
func newCrypto(alg string, key any) (func(input, signature []byte) error, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if alg == ps256 {
			options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return func(input, signature []byte) error {
				digest := sha256.Sum256(input)
				return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, options)
			}, nil
		}
		return func(input, signature []byte) error {
			digest := sha256.Sum256(input)
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
		}, nil
	case *ecdsa.PublicKey:
		return newECDSA(alg, key), nil
	case ed25519.PublicKey:
		return func(input, signature []byte) error {
			return verdict(ed25519.Verify(key, input, signature))
		}, nil
	case []byte:
		return func(input, signature []byte) error {
			return verdict(hmac.Equal(authenticate(key, input), signature))
		}, nil
	}
	return nil, fmt.Errorf("no check of a signature by a %T", key)
}

func newECDSA(alg string, key *ecdsa.PublicKey) func(input, der []byte) error {
	if alg == es384 {
		return func(input, der []byte) error {
			digest := sha512.Sum384(input)
			return verdict(ecdsa.VerifyASN1(key, digest[:], der))
		}
	}
	return func(input, der []byte) error {
		digest := sha256.Sum256(input)
		return verdict(ecdsa.VerifyASN1(key, digest[:], der))
	}
}

func verdict(ok bool) error {
	if !ok {
		return errSignature
	}
	return nil
}

// native turns a signature of JWS into the form of the standard library, which
// differs for ECDSA (RFC 3279 §2.2.3).
func native(alg string, signature []byte) ([]byte, error) {
	if alg != es256 && alg != es384 {
		return signature, nil
	}
	half := len(signature) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(signature[:half]),
		new(big.Int).SetBytes(signature[half:]),
	})
}
