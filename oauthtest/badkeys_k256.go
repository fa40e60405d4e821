// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"slices"
)

// The curve y² = x³ + 7 of SEC 2 §2.4.1, which the standard library does not have. Only
// keys that nobody must trust are on it, so its arithmetic need not be fast nor constant in
// time.
var (
	koblitzField = hexNumber("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f")
	koblitzOrder = hexNumber("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	koblitzBase  = &koblitzPoint{
		hexNumber("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
		hexNumber("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
	}
)

func hexNumber(s string) *big.Int {
	n, _ := new(big.Int).SetString(s, 16)
	return n
}

// koblitzPoint is a point; nil is the one at infinity.
type koblitzPoint struct{ x, y *big.Int }

func (a *koblitzPoint) plus(b *koblitzPoint) *koblitzPoint {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	p := koblitzField
	rise, run := new(big.Int).Sub(b.y, a.y), new(big.Int).Sub(b.x, a.x)
	if run.Sign() == 0 {
		if rise.Sign() != 0 || a.y.Sign() == 0 {
			return nil
		}
		rise.Mul(a.x, a.x).Mul(rise, big.NewInt(3)) // the tangent
		run.Lsh(a.y, 1)
	}
	slope := rise.Mul(rise, run.ModInverse(run.Mod(run, p), p))
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, a.x).Sub(x, b.x).Mod(x, p)
	y := new(big.Int).Sub(a.x, x)
	y.Mul(y, slope).Sub(y, a.y).Mod(y, p)
	return &koblitzPoint{x, y}
}

func (a *koblitzPoint) times(k *big.Int) *koblitzPoint {
	var sum *koblitzPoint
	for i := k.BitLen() - 1; i >= 0; i-- {
		if sum = sum.plus(sum); k.Bit(i) == 1 {
			sum = sum.plus(a)
		}
	}
	return sum
}

// koblitzSign is ES256K (RFC 8812 §3.2, SEC 1 §4.1.3).
func koblitzSign(d *big.Int, input string) ([]byte, error) {
	n := koblitzOrder
	k, err := koblitzScalar()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(input))
	r := koblitzBase.times(k).x
	s := new(big.Int).Mul(r.Mod(r, n), d)
	s.Add(s, new(big.Int).SetBytes(digest[:])).Mul(s, k.ModInverse(k, n)).Mod(s, n)
	return slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))), nil
}

// koblitzScalar is from 1 to n-1. That r or s becomes 0 happens to nobody.
func koblitzScalar() (*big.Int, error) {
	one := big.NewInt(1)
	k, err := rand.Int(rand.Reader, new(big.Int).Sub(koblitzOrder, one))
	if err != nil {
		return nil, err
	}
	return k.Add(k, one), nil
}

func koblitzKey() (badKey, error) {
	kid := hostileID("secp256k1")
	d, err := koblitzScalar()
	if err != nil {
		return badKey{}, err
	}
	q := koblitzBase.times(d)
	coordinate := func(n *big.Int) string { return b64.EncodeToString(n.FillBytes(make([]byte, 32))) }
	k, err := ordinary(kid, "ES256K", nil, map[string]any{
		"kty": "EC", "crv": "secp256k1", "kid": kid, "alg": "ES256K", "use": "sig", "x": coordinate(q.x), "y": coordinate(q.y),
	})
	k.sign = func(_, input string) ([]byte, error) { return koblitzSign(d, input) }
	return k, err
}
