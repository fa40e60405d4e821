// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Sign signs input for the test kit. private is an *rsa.PrivateKey,
// *ecdsa.PrivateKey or ed25519.PrivateKey (or another [crypto.Signer] with such a
// public key), or a []byte secret for HMAC. The kind of key must be that of alg;
// its size and curve need not, so that tests can make tokens that must be refused.
func Sign(alg string, private any, input string) ([]byte, error) {
	a, ok := lookup(alg)
	if !ok {
		return nil, errors.New("unknown algorithm")
	}
	if secret, ok := private.([]byte); ok && a.family == mac {
		return authenticate(a, secret, []byte(input)), nil
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, mismatch(alg, private)
	}
	switch pub := signer.Public().(type) {
	case *rsa.PublicKey:
		return signRSA(a, signer, input)
	case *ecdsa.PublicKey:
		return signEC(a, signer, pub, input)
	case ed25519.PublicKey:
		if a.family == eddsa {
			return signer.Sign(rand.Reader, []byte(input), crypto.Hash(0))
		}
	}
	return nil, mismatch(alg, private)
}

func mismatch(alg string, private any) error {
	return fmt.Errorf("a key of type %T cannot sign %s", private, alg)
}

func signRSA(a algorithm, signer crypto.Signer, input string) ([]byte, error) {
	switch a.family {
	case pkcs1:
		return signer.Sign(rand.Reader, digest(a, []byte(input)), a.hash)
	case pss:
		return signer.Sign(rand.Reader, digest(a, []byte(input)), pssOptions(a))
	}
	return nil, mismatch(a.name, signer)
}

// signEC turns the DER form that signers return into R and S (RFC 7518 §3.4).
func signEC(a algorithm, signer crypto.Signer, pub *ecdsa.PublicKey, input string) ([]byte, error) {
	if a.family != ec {
		return nil, mismatch(a.name, signer)
	}
	der, err := signer.Sign(rand.Reader, digest(a, []byte(input)), a.hash)
	if err != nil {
		return nil, err
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, err
	}
	size := orderSize(pub)
	return slices.Concat(sig.R.FillBytes(make([]byte, size)), sig.S.FillBytes(make([]byte, size))), nil
}

// PublicJWK returns the JWK of a public key, with the members of extra added or put in
// place of its own. The key is not checked.
func PublicJWK(pub crypto.PublicKey, extra map[string]any) ([]byte, error) {
	switch pub.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return encodeJWK(pub, extra)
	}
	return nil, fmt.Errorf("a key of type %T is not a public key", pub)
}

// PrivateJWK returns a JWK with private members for the test kit, to stand for an
// issuer that publishes one by mistake.
func PrivateJWK(private crypto.Signer, extra map[string]any) ([]byte, error) {
	return encodeJWK(private, extra)
}
