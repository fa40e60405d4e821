// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"
)

// Verify reports whether sig is a signature of input under alg by this key. A
// key that does not fit alg is refused before any cryptographic operation. It
// never panics.
//
// An ECDSA signature (R, S) has a second valid form (R, n-S), so neither a
// signature nor a raw token identifies anything.
func (k *Key) Verify(alg string, input, sig []byte) bool {
	a, ok := lookup(alg)
	if !ok || !k.fits(a) {
		return false
	}
	switch pub := k.public.(type) {
	case *rsa.PublicKey:
		return verifyRSA(a, pub, input, sig)
	case *ecdsa.PublicKey:
		return verifyEC(a, pub, input, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, input, sig)
	}
	return hmac.Equal(authenticate(a, k.secret, input), sig)
}

func verifyRSA(a algorithm, pub *rsa.PublicKey, input, sig []byte) bool {
	if len(sig) != pub.Size() { // RFC 8017 §8.1.2, §8.2.2: exactly k octets
		return false
	}
	if a.family == pss {
		return rsa.VerifyPSS(pub, a.hash, digest(a, input), sig, pssOptions(a)) == nil
	}
	return rsa.VerifyPKCS1v15(pub, a.hash, digest(a, input), sig) == nil
}

// pssOptions fixes the salt to the length of the hash and MGF1 to the same hash
// (RFC 7518 §3.5). The library's default would accept every salt length.
func pssOptions(a algorithm) *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash}
}

// verifyEC takes R and S as two integers of the length of the curve's order
// (RFC 7518 §3.4); the library refuses values outside 1 to n-1.
func verifyEC(a algorithm, pub *ecdsa.PublicKey, input, sig []byte) bool {
	size := orderSize(pub)
	if len(sig) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])
	return ecdsa.Verify(pub, digest(a, input), r, s)
}

func orderSize(pub *ecdsa.PublicKey) int {
	return (pub.Curve.Params().N.BitLen() + 7) / 8
}

// digest calls each hash by its own name, so that nothing of it is allocated.
func digest(a algorithm, input []byte) []byte {
	switch a.hash {
	case crypto.SHA256:
		sum := sha256.Sum256(input)
		return sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(input)
		return sum[:]
	}
	sum := sha512.Sum512(input)
	return sum[:]
}

func authenticate(a algorithm, secret, input []byte) []byte {
	m := hmac.New(a.hash.New, secret)
	m.Write(input)
	return m.Sum(nil)
}
