// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"sync"
)

// textbookRSA is an RSA key of any size and exponent, which the standard library would
// neither make nor use. Its many small primes are found at once; that the key is weak
// shows nowhere but in its modulus, which nobody factors.
type textbookRSA struct {
	n, e   *big.Int
	primes []*big.Int
}

const smallPrime = 64 // bits

func newTextbookRSA(e int64, bits int) (*textbookRSA, error) {
	key := &textbookRSA{n: big.NewInt(1), e: big.NewInt(e)}
	for key.n.BitLen() < bits-2*smallPrime {
		if err := key.add(smallPrime); err != nil {
			return nil, err
		}
	}
	if err := key.add((bits - key.n.BitLen()) / 2); err != nil {
		return nil, err
	}
	before := *key
	for i := 0; key.n.BitLen() != bits; i++ { // one of two lengths fits
		*key = before
		if err := key.add(bits - key.n.BitLen() + i%2); err != nil {
			return nil, err
		}
	}
	return key, nil
}

// add multiplies the modulus with a prime, modulo which e can be undone.
func (k *textbookRSA) add(bits int) error {
	one := big.NewInt(1)
	for {
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			return err
		}
		if new(big.Int).GCD(nil, nil, k.e, new(big.Int).Sub(p, one)).Cmp(one) == 0 {
			k.n, k.primes = new(big.Int).Mul(k.n, p), append(k.primes, p)
			return nil
		}
	}
}

// sign is RS256, one prime after the other (RFC 8017 §5.1.2, Garner's method).
func (k *textbookRSA) sign(_, input string) ([]byte, error) {
	digest := sha256.Sum256([]byte(input))
	size := (k.n.BitLen() + 7) / 8
	em, err := pkcs1Encoding("", crypto.SHA256, digest[:], size)
	if err != nil {
		return nil, err
	}
	message, one := new(big.Int).SetBytes(em), big.NewInt(1)
	sig, modulus := new(big.Int), big.NewInt(1)
	for _, p := range k.primes {
		d := new(big.Int).ModInverse(k.e, new(big.Int).Sub(p, one))
		part := new(big.Int).Exp(new(big.Int).Mod(message, p), d, p)
		part.Sub(part, sig).Mul(part, new(big.Int).ModInverse(modulus, p)).Mod(part, p)
		sig.Add(sig, part.Mul(part, modulus))
		modulus.Mul(modulus, p)
	}
	return sig.FillBytes(make([]byte, size)), nil
}

// jwk publishes the key. encode is base64url without padding where nothing else is wrong.
func (k *textbookRSA) jwk(kid, alg string, encode func([]byte) string) map[string]any {
	return map[string]any{
		"kty": "RSA", "kid": kid, "alg": alg, "use": "sig",
		"n": encode(k.n.Bytes()), "e": b64.EncodeToString(k.e.Bytes()),
	}
}

func weakRSA(name string, e int64, bits int) func() (badKey, error) {
	return sync.OnceValues(func() (badKey, error) {
		key, err := newTextbookRSA(e, bits)
		if err != nil {
			return badKey{}, err
		}
		k, err := ordinary(hostileID(name), "RS256", nil, key.jwk(hostileID(name), "RS256", b64.EncodeToString))
		k.sign = key.sign
		return k, err
	})
}

// longExponent has an exponent of 33 bits, and signs for what is left of it in 32.
func longExponent() (badKey, error) {
	const kid = "hostile-rsa-long-e"
	key, err := newTextbookRSA(65537, 2048)
	if err != nil {
		return badKey{}, err
	}
	published := &textbookRSA{n: key.n, e: big.NewInt(1<<32 + 65537)}
	k, err := ordinary(kid, "RS256", nil, published.jwk(kid, "RS256", b64.EncodeToString))
	k.sign = key.sign
	return k, err
}

// paddedRSA is as strong as any, but its modulus is written with padding (RFC 7518 §6.3.1
// wants none).
func paddedRSA() (badKey, error) {
	const kid = "hostile-rsa-padded"
	key, err := newTextbookRSA(65537, 2048)
	if err != nil {
		return badKey{}, err
	}
	k, err := ordinary(kid, "RS256", nil, key.jwk(kid, "RS256", base64.URLEncoding.EncodeToString))
	k.sign = key.sign
	return k, err
}

// relabelledRSA is a key for RS256, published for another algorithm.
func relabelledRSA(name, published string) func() (badKey, error) {
	return sync.OnceValues(func() (badKey, error) {
		key, err := newTextbookRSA(65537, 2048)
		if err != nil {
			return badKey{}, err
		}
		k, err := ordinary(hostileID(name), "RS256", nil, key.jwk(hostileID(name), published, b64.EncodeToString))
		k.sign = key.sign
		return k, err
	})
}
