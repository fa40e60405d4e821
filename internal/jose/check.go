// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

const (
	minModulusBits = 2048 // RFC 7518 §3.3
	maxModulusBits = 8192 // bounds the cost of one verification
	minExponent    = 65537
	maxExponent    = 1<<31 - 1
)

// checkPublic returns a private copy of pub, or says why it may not be used.
// The standard library would take RSA keys of 1,024 bits and small-order Ed25519
// keys, and panics on an Ed25519 key of another length, so all of this is decided
// before any key reaches it.
func checkPublic(pub crypto.PublicKey) (crypto.PublicKey, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return checkRSA(pub)
	case *ecdsa.PublicKey:
		return checkEC(pub)
	case ed25519.PublicKey:
		return checkEd25519(pub)
	}
	return nil, fmt.Errorf("a key of type %T cannot verify signatures", pub)
}

func checkRSA(pub *rsa.PublicKey) (*rsa.PublicKey, error) {
	if pub == nil || pub.N == nil || pub.N.Sign() <= 0 {
		return nil, errors.New("RSA key has no modulus")
	}
	if bits := pub.N.BitLen(); bits < minModulusBits || bits > maxModulusBits {
		return nil, fmt.Errorf("RSA modulus has %d bits, not %d to %d", bits, minModulusBits, maxModulusBits)
	}
	if pub.N.Bit(0) == 0 {
		return nil, errors.New("RSA modulus is even")
	}
	if pub.E < minExponent || pub.E > maxExponent || pub.E%2 == 0 {
		return nil, fmt.Errorf("RSA exponent is not an odd number from %d to %d", minExponent, maxExponent)
	}
	return &rsa.PublicKey{N: new(big.Int).Set(pub.N), E: pub.E}, nil
}

// checkEC leaves the curve equation to the standard library; the encoded form
// cannot express the identity (RFC 8725 §3.4).
func checkEC(pub *ecdsa.PublicKey) (checked *ecdsa.PublicKey, err error) {
	defer contain(&err)
	if pub == nil || pub.Curve == nil {
		return nil, errors.New("EC key has no curve")
	}
	if curveOf(pub.Curve.Params().Name) != pub.Curve {
		return nil, errors.New("EC key is not on P-256, P-384 or P-521")
	}
	point, err := pub.Bytes()
	if err != nil {
		return nil, errors.New("EC point is not on its curve")
	}
	// Parsed anew, the key shares no number with the caller.
	return ecdsa.ParseUncompressedPublicKey(pub.Curve, point)
}

// curveOf returns the curve that crv names (RFC 7518 §6.2.1.1), or nil.
func curveOf(crv string) elliptic.Curve {
	switch crv {
	case "P-256":
		return elliptic.P256()
	case "P-384":
		return elliptic.P384()
	case "P-521":
		return elliptic.P521()
	}
	return nil
}

func checkEd25519(pub ed25519.PublicKey) (ed25519.PublicKey, error) {
	if len(pub) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("Ed25519 key has %d bytes, not %d", len(pub), ed25519.PublicKeySize)
	}
	y := [32]byte(pub)
	y[31] &= 0x7f // the top bit is the sign of x
	if !canonical(y) {
		return nil, errors.New("Ed25519 key is not canonically encoded")
	}
	for _, bad := range smallOrder {
		if y == bad {
			return nil, errors.New("Ed25519 key is a point of small order")
		}
	}
	return bytes.Clone(pub), nil
}

// canonical reports whether the little-endian y is below 2^255-19, as the
// decoding rule of RFC 8032 §5.1.3 wants.
func canonical(y [32]byte) bool {
	if y[31] != 0x7f || y[0] < 0xed {
		return true
	}
	for _, b := range y[1:31] {
		if b != 0xff {
			return true
		}
	}
	return false
}

// smallOrder holds the y coordinates of the eight points whose order divides 8,
// each standing for both signs of x. With such a key a signature over one message
// verifies for others. The remaining encodings of these points (y + p) are not
// canonical and refused as such.
var smallOrder = [...][32]byte{
	{0x01}, // order 1: the identity
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, // order 2
	{}, // order 4
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05}, // order 8
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}, // order 8
}
