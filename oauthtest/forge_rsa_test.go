// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"testing"
)

// recovered is what an RSA signature holds.
func recovered(pub *rsa.PublicKey, sig []byte) []byte {
	em := new(big.Int).Exp(new(big.Int).SetBytes(sig), big.NewInt(int64(pub.E)), pub.N)
	return em.FillBytes(make([]byte, pub.Size()))
}

// TestPKCS1Faults: each has the padding and the hash, which is all that a careless
// server looks for, and none is what RFC 8017 §8.2.2 wants.
func TestPKCS1Faults(t *testing.T) {
	f := forgeryFor(t, "RS256")
	pub := f.publicKey().(*rsa.PublicKey)
	info := map[string][]byte{
		"no-null": {0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09}, "long-length": {0x30, 0x81, 0x31, 0x30, 0x0d, 0x06, 0x09},
		"garbage": {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09}, "no-digest-info": {},
	}
	for name, begin := range info {
		t.Run("TA-24/"+name, func(t *testing.T) {
			s := forged(t, f, recipe{Sign: "rsa:" + name})
			if rsa.VerifyPKCS1v15(pub, crypto.SHA256, hash256(s.input), s.sig) == nil {
				t.Error("a signature without fault")
			}
			em := recovered(pub, s.sig)
			rest := bytes.TrimLeft(bytes.TrimPrefix(em, []byte{0, 1}), "\xff")
			if !bytes.HasPrefix(em, []byte{0, 1, 0xff}) || !bytes.HasPrefix(rest, append([]byte{0}, begin...)) || !bytes.Contains(rest, hash256(s.input)) {
				t.Errorf("%x", em)
			}
			if atEnd := bytes.HasSuffix(em, hash256(s.input)); atEnd != (name != "garbage") {
				t.Errorf("hash at the end: %v", atEnd)
			}
		})
	}
	t.Run("TA-24/without_fault", func(t *testing.T) {
		s := forged(t, f, recipe{Sign: "rsa:"})
		if err := rsa.VerifyPKCS1v15(pub, crypto.SHA256, hash256(s.input), s.sig); err != nil {
			t.Error(err)
		}
	})
}

func TestPSSFaults(t *testing.T) {
	f := forgeryFor(t, "PS256")
	pub := f.publicKey().(*rsa.PublicKey)
	verify := func(s segments, salt int) error {
		return rsa.VerifyPSS(pub, crypto.SHA256, hash256(s.input), s.sig, &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
	}
	for name, salt := range map[string]int{"": 32, "salt-20": 20, "salt-max": pub.Size() - 32 - 2} {
		t.Run("TA-24/pss_"+name, func(t *testing.T) {
			s := forged(t, f, recipe{Sign: "pss:" + name})
			if err := verify(s, salt); err != nil {
				t.Errorf("with a salt of %d octets: %v", salt, err)
			}
			if ok := verify(s, rsa.PSSSaltLengthEqualsHash) == nil; ok != (salt == 32) {
				t.Errorf("with the salt of RFC 7518: %v", ok)
			}
		})
	}
	t.Run("TA-24/pss_salt_0", func(t *testing.T) {
		s := forged(t, f, recipe{Sign: "pss:salt-0"})
		if err := verify(s, rsa.PSSSaltLengthAuto); err != nil {
			t.Error(err)
		}
		if got := saltLength(t, recovered(pub, s.sig), crypto.SHA256); got != 0 {
			t.Errorf("a salt of %d octets", got)
		}
	})
	t.Run("TA-24/pss_mgf1_sha1", func(t *testing.T) {
		s := forged(t, f, recipe{Sign: "pss:mgf1-sha1"})
		if verify(s, rsa.PSSSaltLengthAuto) == nil {
			t.Error("the mask is made with SHA-256")
		}
		if got := saltLength(t, recovered(pub, s.sig), crypto.SHA1); got != sha256.Size {
			t.Errorf("under a mask of SHA-1 a salt of %d octets", got)
		}
	})
}

// saltLength takes the mask off (RFC 8017 §9.1.2), or is -1 where it does not fit.
func saltLength(t *testing.T, em []byte, mask crypto.Hash) int {
	t.Helper()
	h := sha256.Size
	db, sum := bytes.Clone(em[:len(em)-h-1]), em[len(em)-h-1:len(em)-1]
	for i, b := range mgf1(mask, sum, len(db)) {
		db[i] ^= b
	}
	db[0] &= 0x7f
	rest := bytes.TrimLeft(db, "\x00")
	if em[len(em)-1] != 0xbc || len(rest) == 0 || rest[0] != 1 {
		return -1
	}
	return len(rest) - 1
}

// TestTextbookRSA: also with sizes and exponents that no library makes, the signatures
// are right.
func TestTextbookRSA(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		e    int64
		bits int
	}{{65537, 512}, {65537, 1024}, {65537, 2047}, {65537, 2048}, {65537, 16384}, {1, 2048}, {3, 2048}, {1<<32 + 15, 2048}} {
		key, err := newTextbookRSA(tc.e, tc.bits)
		if err != nil {
			t.Fatal(err)
		}
		if key.n.BitLen() != tc.bits || key.e.Int64() != tc.e {
			t.Errorf("%d bits, e %v, want %v", key.n.BitLen(), key.e, tc)
		}
		sig, err := key.sign("", "text")
		if err != nil {
			t.Fatal(err)
		}
		em := new(big.Int).Exp(new(big.Int).SetBytes(sig), key.e, key.n).FillBytes(make([]byte, len(sig)))
		if !bytes.HasPrefix(em, []byte{0, 1, 0xff}) || !bytes.HasSuffix(em, hash256("text")) {
			t.Errorf("%v: %x", tc, em)
		}
	}
}

func TestTextbookRSAVerifies(t *testing.T) {
	key, err := newTextbookRSA(65537, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := key.sign("", "text")
	if err != nil {
		t.Fatal(err)
	}
	pub := &rsa.PublicKey{N: key.n, E: 65537}
	if err := rsa.VerifyPKCS1v15(pub, crypto.SHA256, hash256("text"), sig); err != nil {
		t.Error(err)
	}
}
