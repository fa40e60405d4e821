// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"
)

func TestECCoordinates(t *testing.T) {
	for kind, private := range map[string]*ecdsa.PrivateKey{"P-256": p256(), "P-384": p384(), "P-521": p521()} {
		good := jwkOf(t, private.Public())
		x, y := unb64(t, good["x"].(string)), unb64(t, good["y"].(string))
		zero, flipped := make([]byte, len(x)), slices.Clone(y)
		flipped[len(y)-1] ^= 1
		for name, point := range map[string][2][]byte{
			"E6_off_curve":         {x, flipped},
			"E6_swapped":           {y, x},
			"E6_zero_zero":         {zero, zero},
			"E6_x_zero":            {zero, y},
			"E6_all_ones":          {ones(len(x)), ones(len(x))},
			"E6_x_one_longer":      {slices.Concat([]byte{0}, x), y},
			"E6_y_one_longer":      {x, slices.Concat([]byte{0}, y)},
			"E6_trailing_octet":    {slices.Concat(x, []byte{0}), y},
			"E6_x_one_shorter":     {x[1:], y},
			"E6_y_one_shorter":     {x, y[:len(y)-1]},
			"E6_octet_moved":       {slices.Concat(x, y[:1]), y[1:]},
			"E6_single_octet_each": {{0}, {0}},
		} {
			t.Run("AL-12/"+name+"_"+kind, func(t *testing.T) {
				refused(t, good.with(doc{"x": b64(point[0]), "y": b64(point[1])}))
			})
		}
		t.Run("AL-12/negated_point_is_another_key_"+kind, func(t *testing.T) {
			minus := new(big.Int).Sub(private.Curve.Params().P, new(big.Int).SetBytes(y))
			key := parse(t, good.with(doc{"y": b64(minus.FillBytes(make([]byte, len(y))))}))
			if key.Same(newKey(t, private)) {
				t.Error("same key")
			}
		})
	}
}

func TestECLeadingZero(t *testing.T) {
	key := newEC(elliptic.P256())
	for unb64(t, jwkOf(t, key.Public())["x"].(string))[0] != 0 {
		key = newEC(elliptic.P256())
	}
	good := jwkOf(t, key.Public())
	t.Run("AL-12/control_leading_zero_octet_kept", func(t *testing.T) {
		verifies(t, parse(t, good.with(nil)), "ES256", sign(t, "ES256", key), true)
	})
	t.Run("AL-12/leading_zero_octet_dropped", func(t *testing.T) {
		refused(t, good.with(doc{"x": b64(unb64(t, good["x"].(string))[1:])}))
	})
}

// TestECUnreducedCoordinate uses that P-521 leaves seven bits of its coordinates
// unused, so that x + p has the right length.
func TestECUnreducedCoordinate(t *testing.T) {
	good := jwkOf(t, p521().Public())
	t.Run("AL-12/x_plus_p", func(t *testing.T) {
		x := new(big.Int).SetBytes(unb64(t, good["x"].(string)))
		x.Add(x, elliptic.P521().Params().P)
		refused(t, good.with(doc{"x": b64(x.FillBytes(make([]byte, 66)))}))
	})
}

func ones(n int) []byte { return slices.Repeat([]byte{0xff}, n) }

func TestEd25519Length(t *testing.T) {
	good := jwkOf(t, ed().Public())
	pub := []byte(ed().Public().(ed25519.PublicKey))
	for name, x := range map[string][]byte{
		"E7_0_bytes": {}, "1_byte": {1}, "E7_31_bytes": pub[:31], "E7_33_bytes": append(slices.Clone(pub), 0),
		"33_bytes_leading_zero": append([]byte{0}, pub...), "57_bytes": make([]byte, 57), "64_bytes": append(slices.Clone(pub), pub...),
	} {
		t.Run("AL-13/"+name, func(t *testing.T) {
			refused(t, good.with(doc{"x": b64(x)}))
			if _, err := checkedKey(ed25519.PublicKey(x)); err == nil {
				t.Error("checkedKey accepts it")
			}
		})
	}
	t.Run("AL-13/control_32_bytes", func(t *testing.T) {
		verifies(t, parse(t, good.with(nil)), "EdDSA", sign(t, "EdDSA", ed()), true)
	})
}

// fieldPrime is 2^255 - 19 (RFC 8032 §5.1).
var fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// littleEndian encodes y with the given sign bit of x (RFC 8032 §5.1.2).
func littleEndian(y *big.Int, sign byte) ed25519.PublicKey {
	b := y.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	b[31] |= sign << 7
	return b
}

// torsion computes the y coordinates of all points whose order divides 8 from the
// curve equation -x² + y² = 1 + dx²y², independently of the table under test: 1,
// -1 and 0, and for order 8, where x² = -y², the roots of dy⁴ + 2y² = 1.
func torsion(t *testing.T) []*big.Int {
	p, one := fieldPrime, big.NewInt(1)
	d := new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), p))
	ys := []*big.Int{one, new(big.Int).Sub(p, one), new(big.Int)}
	root := new(big.Int).ModSqrt(new(big.Int).Mod(new(big.Int).Add(d, one), p), p)
	for _, r := range []*big.Int{root, new(big.Int).Neg(root)} {
		square := new(big.Int).Mul(new(big.Int).Sub(r, one), new(big.Int).ModInverse(new(big.Int).Mod(d, p), p))
		if y := new(big.Int).ModSqrt(square.Mod(square, p), p); y != nil {
			ys = append(ys, y, new(big.Int).Sub(p, y))
		}
	}
	if len(ys) != len(smallOrder) {
		t.Fatalf("found %d y coordinates, the table has %d", len(ys), len(smallOrder))
	}
	return ys
}

// TestEd25519SmallOrder takes every encoding of every small-order point: y and,
// where it still fits, y + p, each with both sign bits.
func TestEd25519SmallOrder(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), 255)
	encodings := 0
	for i, y := range torsion(t) {
		for j, form := range []*big.Int{y, new(big.Int).Add(y, fieldPrime)} {
			if form.Cmp(limit) >= 0 {
				continue
			}
			for sign := range byte(2) {
				encodings++
				x := littleEndian(form, sign)
				t.Run(fmt.Sprintf("AL-13/E8_point_%d_form_%d_sign_%d", i, j, sign), func(t *testing.T) {
					if !forges(x) {
						t.Error("the library does not accept a forgery under this key: not of small order?")
					}
					refused(t, doc{"kty": "OKP", "crv": "Ed25519", "x": b64(x)}.with(nil))
					if _, err := checkedKey(x); err == nil {
						t.Error("checkedKey accepts it")
					}
				})
			}
		}
	}
	if encodings != 14 {
		t.Errorf("%d encodings tested, want 14", encodings)
	}
}

// forges reports whether the signature (identity, 0), which needs no private key,
// verifies for one of some messages under x: it does for one in the order of x.
func forges(x ed25519.PublicKey) bool {
	sig := make([]byte, ed25519.SignatureSize)
	sig[0] = 1
	for i := range uint32(256) {
		if ed25519.Verify(x, binary.BigEndian.AppendUint32(nil, i), sig) {
			return true
		}
	}
	return false
}

func TestEd25519Canonical(t *testing.T) {
	for offset := range int64(19) { // y = p + offset still fits 255 bits
		for sign := range byte(2) {
			t.Run(fmt.Sprintf("AL-13/p_plus_%d_sign_%d", offset, sign), func(t *testing.T) {
				x := littleEndian(new(big.Int).Add(fieldPrime, big.NewInt(offset)), sign)
				refused(t, doc{"kty": "OKP", "crv": "Ed25519", "x": b64(x)}.with(nil))
			})
		}
	}
	t.Run("AL-13/control_largest_canonical", func(t *testing.T) {
		for offset := int64(2); offset < 300; offset++ { // p - 1 has order 2
			y := new(big.Int).Sub(fieldPrime, big.NewInt(offset))
			parse(t, doc{"kty": "OKP", "crv": "Ed25519", "x": b64(littleEndian(y, 1))}.with(nil))
		}
	})
}

// hostileCurve panics wherever it is asked.
type hostileCurve struct{ elliptic.Curve }

func TestCheckedKeyRefuses(t *testing.T) {
	point := p256().PublicKey
	otherCurve := point
	otherCurve.Curve = elliptic.P384()
	generic := point
	generic.Curve = elliptic.P256().Params()
	hostile := point
	hostile.Curve = hostileCurve{}
	for name, pub := range map[string]crypto.PublicKey{
		"AL-06/nil":                   nil,
		"AL-06/text":                  "-----BEGIN PUBLIC KEY-----",
		"AL-06/secret":                secret64,
		"AL-06/rsa_private":           rsaKey(),
		"AL-06/rsa_by_value":          rsaKey().PublicKey,
		"AL-06/ecdh":                  must(ecdh.X25519().GenerateKey(rand.Reader)).PublicKey(),
		"AL-08/rsa_nil":               (*rsa.PublicKey)(nil),
		"AL-08/rsa_zero":              &rsa.PublicKey{},
		"AL-08/rsa_modulus_zero":      &rsa.PublicKey{N: new(big.Int), E: 65537},
		"AL-08/rsa_modulus_negative":  &rsa.PublicKey{N: new(big.Int).Neg(rsaKey().N), E: 65537},
		"AL-08/rsa_1024":              weakRSA().Public(),
		"AL-12/ec_nil":                (*ecdsa.PublicKey)(nil),
		"AL-12/ec_zero":               &ecdsa.PublicKey{},
		"AL-12/E6_ec_without_point":   &ecdsa.PublicKey{Curve: elliptic.P256()},
		"AL-12/E6_ec_on_wrong_curve":  &otherCurve,
		"AL-12/ec_generic_arithmetic": &generic,
		"AL-12/ec_panicking_curve":    &hostile,
		"AL-12/ec_p224":               newEC(elliptic.P224()).Public(),
		"AL-13/ed25519_nil":           ed25519.PublicKey(nil),
		"AL-13/ed25519_private":       ed(),
	} {
		t.Run(name, func(t *testing.T) {
			if key, err := checkedKey(pub); err == nil || key != nil {
				t.Errorf("checkedKey = %v, %v; want an error", key, err)
			}
		})
	}
}

func TestCheckedKeyCopies(t *testing.T) {
	t.Run("GO-03/rsa", func(t *testing.T) {
		pub := &rsa.PublicKey{N: new(big.Int).Set(rsaKey().N), E: rsaKey().E}
		key := must(checkedKey(pub))
		pub.N.SetInt64(15)
		pub.E = 3
		verifies(t, key, "RS256", sign(t, "RS256", rsaKey()), true)
	})
	t.Run("GO-03/ed25519", func(t *testing.T) {
		pub := slices.Clone(ed().Public().(ed25519.PublicKey))
		key := must(checkedKey(pub))
		clear(pub)
		verifies(t, key, "EdDSA", sign(t, "EdDSA", ed()), true)
	})
	t.Run("GO-03/secret", func(t *testing.T) {
		secret := slices.Clone(secret64)
		key := must(NewSecret("", "HS256", secret))
		clear(secret)
		verifies(t, key, "HS256", sign(t, "HS256", secret64), true)
	})
}

func TestRecoverBoundary(t *testing.T) {
	t.Run("SE-01/panic_becomes_an_error_that_quotes_nothing", func(t *testing.T) {
		err := func() (err error) {
			defer contain(&err)
			panic("CANARY")
		}()
		if !errors.Is(err, errUnprocessable) || err.Error() != errUnprocessable.Error() {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("SE-01/library_refuses_what_it_cannot_build", func(t *testing.T) {
		for _, m := range []members{nil, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256"}, {"kty": "?"}} {
			if pub, err := build(m); err == nil {
				t.Errorf("build(%v) = %v", m, pub)
			}
		}
		if _, err := thumbprint("no key"); err == nil {
			t.Error("thumbprint of a string")
		}
	})
}
