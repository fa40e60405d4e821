// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // a mask generation that RFC 7518 §3.5 does not allow
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// rsaPrivate is a key with which anything can be signed, also what the standard library
// would not.
type rsaPrivate = *rsa.PrivateKey

// unusual signs with the issuer's RSA key what is almost a signature.
func (m *making) unusual(kind, what, alg string) (signer, error) {
	key, ok := any(m.draft.key).(rsaPrivate)
	if !ok {
		return signer{}, fmt.Errorf("%s:%s needs an RSA key, not one of type %T", kind, what, m.draft.key)
	}
	hash, err := hashOf(alg)
	if err != nil {
		return signer{}, err
	}
	return signer{alg: alg, sign: func(input string) ([]byte, error) {
		h := hash.New()
		h.Write([]byte(input))
		var em []byte
		if kind == "rsa" {
			em, err = pkcs1Encoding(what, hash, h.Sum(nil), key.Size())
		} else {
			em, err = pssEncoding(what, hash, h.Sum(nil), key.N.BitLen()-1)
		}
		if err != nil {
			return nil, err
		}
		s := new(big.Int).Exp(new(big.Int).SetBytes(em), key.D, key.N)
		return s.FillBytes(make([]byte, key.Size())), nil
	}}, nil
}

func hashOf(alg string) (crypto.Hash, error) {
	switch {
	case strings.HasSuffix(alg, "256"):
		return crypto.SHA256, nil
	case strings.HasSuffix(alg, "384"):
		return crypto.SHA384, nil
	case strings.HasSuffix(alg, "512"):
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("%s names no hash", alg)
}

// identifiers are the DER of the hash algorithms, without the parameters (RFC 8017 §9.2).
var identifiers = map[crypto.Hash][]byte{
	crypto.SHA256: {0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01},
	crypto.SHA384: {0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02},
	crypto.SHA512: {0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03},
}

// pkcs1Encoding is EMSA-PKCS1-v1_5 (RFC 8017 §9.2) with one fault, or "" none.
func pkcs1Encoding(fault string, hash crypto.Hash, digest []byte, size int) ([]byte, error) {
	id := slices.Concat(identifiers[hash], []byte{0x05, 0x00})
	if fault == "no-null" {
		id = identifiers[hash]
	}
	info := sequence(slices.Concat(sequence(id), []byte{0x04, byte(len(digest))}, digest))
	padding := size - len(info) - 3
	var garbage []byte
	switch fault {
	case "", "no-null":
	case "no-digest-info":
		info = digest
		padding = size - len(info) - 3
	case "long-length": // BER, not DER
		info = slices.Concat([]byte{0x30, 0x81}, info[1:])
		padding--
	case "garbage":
		garbage = make([]byte, padding-8)
		padding = 8
	default:
		return nil, fmt.Errorf("no fault %q of PKCS #1", fault)
	}
	return slices.Concat([]byte{0, 1}, slices.Repeat([]byte{0xff}, padding), []byte{0}, info, garbage), nil
}

func sequence(b []byte) []byte { return append([]byte{0x30, byte(len(b))}, b...) }

// pssEncoding is EMSA-PSS (RFC 8017 §9.1.1) with a salt or mask of another kind; "" is
// that of RFC 7518 §3.5.
func pssEncoding(fault string, hash crypto.Hash, digest []byte, bits int) ([]byte, error) {
	size, mask := (bits+7)/8, hash
	longest := size - hash.Size() - 2
	lengths := map[string]int{"": hash.Size(), "salt-0": 0, "salt-20": 20, "salt-max": longest, "mgf1-sha1": hash.Size()}
	length, ok := lengths[fault]
	if !ok {
		return nil, fmt.Errorf("no fault %q of PSS", fault)
	}
	if fault == "mgf1-sha1" {
		mask = crypto.SHA1
	}
	salt := make([]byte, length)
	rand.Read(salt) // never fails
	h := hash.New()
	h.Write(make([]byte, 8))
	h.Write(digest)
	h.Write(salt)
	sum := h.Sum(nil)
	db := slices.Concat(make([]byte, longest-length), []byte{1}, salt)
	for i, b := range mgf1(mask, sum, len(db)) {
		db[i] ^= b
	}
	db[0] &= 0xff >> (8*size - bits)
	return slices.Concat(db, sum, []byte{0xbc}), nil
}

// mgf1 is the mask generation of RFC 8017 App. B.2.1.
func mgf1(hash crypto.Hash, seed []byte, length int) []byte {
	var out []byte
	for counter := uint32(0); len(out) < length; counter++ {
		h := hash.New()
		h.Write(seed)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		out = h.Sum(out)
	}
	return out[:length]
}
