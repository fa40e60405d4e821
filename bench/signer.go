// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384
	"fmt"
)

// The algorithms of the benchmarks. EdDSA means Ed25519.
const (
	rs256 = "RS256"
	ps256 = "PS256"
	es256 = "ES256"
	es384 = "ES384"
	eddsa = "EdDSA"
	hs256 = "HS256"
)

var algorithms = []string{rs256, ps256, es256, es384, eddsa, hs256}

// signer is one key of an issuer.
type signer struct {
	alg, kid string
	key      any // *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey or []byte
}

func newSigner(alg, kid string) (signer, error) {
	s := signer{alg: alg, kid: kid}
	var err error
	switch alg {
	case rs256, ps256:
		s.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case es256:
		s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case es384:
		s.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case eddsa:
		_, s.key, err = ed25519.GenerateKey(rand.Reader)
	case hs256:
		secret := make([]byte, 32)
		_, err = rand.Read(secret)
		s.key = secret
	default:
		err = fmt.Errorf("no keys for algorithm %q", alg)
	}
	return s, err
}

// public is what a verifier is given: the public key, or the secret of HS256.
func (s signer) public() any {
	if private, ok := s.key.(crypto.Signer); ok {
		return private.Public()
	}
	return s.key
}

// hashOf is the hash of the signing input; 0 for EdDSA, which hashes itself.
func hashOf(alg string) crypto.Hash {
	switch alg {
	case eddsa:
		return 0
	case es384:
		return crypto.SHA384
	}
	return crypto.SHA256
}

// sign returns the signature in the form of JWS (RFC 7518 §3).
func (s signer) sign(input []byte) ([]byte, error) {
	digest := input
	if hash := hashOf(s.alg); hash != 0 && s.alg != hs256 {
		h := hash.New()
		h.Write(input)
		digest = h.Sum(nil)
	}
	switch key := s.key.(type) {
	case *rsa.PrivateKey:
		if s.alg == ps256 {
			return rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest)
	case *ecdsa.PrivateKey:
		return signECDSA(key, digest)
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input), nil
	case []byte:
		return authenticate(key, input), nil
	}
	return nil, fmt.Errorf("no signature by a %T", s.key)
}

// signECDSA returns R and S, each as long as the curve asks for (RFC 7518 §3.4).
func signECDSA(key *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	sig := make([]byte, 2*size)
	r.FillBytes(sig[:size])
	s.FillBytes(sig[size:])
	return sig, nil
}

// authenticate is HMAC with SHA-256.
func authenticate(secret, input []byte) []byte {
	mac := hmac.New(crypto.SHA256.New, secret)
	mac.Write(input)
	return mac.Sum(nil)
}
