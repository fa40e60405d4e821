// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // MGF1 and DigestInfo of forged signatures
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"
)

// raw is the bare RSA private operation, so that tests can sign any encoding.
func raw(encoded []byte) []byte {
	key := rsaKey()
	m := new(big.Int).SetBytes(encoded)
	return m.Exp(m, key.D, key.N).FillBytes(make([]byte, key.Size()))
}

func sum(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

// mgf1 is the mask generation function of RFC 8017 App. B.2.1.
func mgf1(h crypto.Hash, seed []byte, n int) []byte {
	var mask []byte
	for i := uint32(0); len(mask) < n; i++ {
		mask = append(mask, sum(h, binary.BigEndian.AppendUint32(slices.Clone(seed), i))...)
	}
	return mask[:n]
}

type pssForm struct {
	hash, mgf crypto.Hash
	salt      int
	trailer   byte
	padding   byte // the octet before the salt, 0x01
	first     byte // put over the unused top bits
}

// encodePSS is EMSA-PSS of RFC 8017 §9.1.1 with every choice open.
func encodePSS(f pssForm, bits int) []byte {
	salt := make([]byte, f.salt)
	rand.Read(salt)
	h := sum(f.hash, slices.Concat(make([]byte, 8), sum(f.hash, []byte(input)), salt))
	em := make([]byte, (bits-1+7)/8)
	db := em[:len(em)-len(h)-1]
	db[len(db)-len(salt)-1] = f.padding
	copy(db[len(db)-len(salt):], salt)
	for i, b := range mgf1(f.mgf, h, len(db)) {
		db[i] ^= b
	}
	db[0] &= 0xff >> (8*len(em) - (bits - 1))
	db[0] |= f.first
	copy(em[len(db):], h)
	em[len(em)-1] = f.trailer
	return em
}

func TestPSSForms(t *testing.T) {
	key := newKey(t, rsaKey())
	const longest = 256 - 32 - 2
	good := pssForm{hash: crypto.SHA256, mgf: crypto.SHA256, salt: 32, trailer: 0xbc, padding: 1}
	for _, tc := range []struct {
		name string
		edit func(*pssForm)
		want bool
	}{
		{"AL-10/control_salt_32", func(*pssForm) {}, true},
		{"AL-10/C23_salt_0", func(f *pssForm) { f.salt = 0 }, false},
		{"AL-10/C23_salt_20", func(f *pssForm) { f.salt = 20 }, false},
		{"AL-10/salt_31", func(f *pssForm) { f.salt = 31 }, false},
		{"AL-10/salt_33", func(f *pssForm) { f.salt = 33 }, false},
		{"AL-10/salt_64", func(f *pssForm) { f.salt = 64 }, false},
		{"AL-10/C23_salt_max", func(f *pssForm) { f.salt = longest }, false},
		{"AL-10/C24_mgf1_sha1", func(f *pssForm) { f.mgf = crypto.SHA1 }, false},
		{"AL-10/mgf1_sha512", func(f *pssForm) { f.mgf = crypto.SHA512 }, false},
		{"AL-10/hash_sha1", func(f *pssForm) { f.hash = crypto.SHA1 }, false},
		{"AL-10/hash_sha512", func(f *pssForm) { f.hash = crypto.SHA512 }, false},
		{"AL-10/trailer_cc", func(f *pssForm) { f.trailer = 0xcc }, false},
		{"AL-10/padding_octet_2", func(f *pssForm) { f.padding = 2 }, false},
		{"AL-10/top_bit_set", func(f *pssForm) { f.first = 0x80 }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			form := good
			tc.edit(&form)
			em := encodePSS(form, key.Public().(*rsa.PublicKey).N.BitLen())
			verifies(t, key, "PS256", raw(em), tc.want)
		})
	}
}

// TestPSSAcceptedByDefault shows that the signatures with other salts are real:
// the standard library accepts each of them when it may detect the salt length.
func TestPSSAcceptedByDefault(t *testing.T) {
	for alg, h := range map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512} {
		t.Run("AL-10/C23_detectable_salt_"+alg, func(t *testing.T) {
			for _, salt := range []int{20, h.Size() - 1, h.Size() + 1, rsa.PSSSaltLengthAuto} {
				hashed := sum(h, []byte(input))
				sig := must(rsa.SignPSS(rand.Reader, rsaKey(), h, hashed, &rsa.PSSOptions{SaltLength: salt}))
				if err := rsa.VerifyPSS(&rsaKey().PublicKey, h, hashed, sig, nil); err != nil {
					t.Fatalf("salt %d: not a PSS signature: %v", salt, err)
				}
				verifies(t, newKey(t, rsaKey()), alg, sig, false)
			}
		})
	}
}

// digestInfo is the DER prefix of SHA-256 in RFC 8017 §9.2, note 1.
const digestInfo = "3031300d060960864801650304020105000420"

// blockOf is EMSA-PKCS1-v1_5 of RFC 8017 §9.2 around t, with garbage behind it.
func blockOf(kind byte, t, garbage []byte) []byte {
	em := ones(256)
	em[0], em[1] = 0, kind
	tail := slices.Concat([]byte{0}, t, garbage)
	copy(em[256-len(tail):], tail)
	return em
}

func TestPKCS1Forgeries(t *testing.T) {
	key := newKey(t, rsaKey())
	hashed := sum(crypto.SHA256, []byte(input))
	info := func(prefix string) []byte { return slices.Concat(must(hex.DecodeString(prefix)), hashed) }
	good := info(digestInfo)
	edited := func(i int, b byte) []byte {
		em := blockOf(1, good, nil)
		em[i] = b
		return em
	}
	for _, tc := range []struct {
		name string
		em   []byte
		want bool
	}{
		{"control", blockOf(1, good, nil), true},
		{"missing_null", blockOf(1, info("302f300b06096086480165030402010420"), nil), false},
		{"garbage_after_hash", blockOf(1, good, make([]byte, 40)), false},
		{"garbage_after_hash_shortest_padding", blockOf(1, good, make([]byte, 256-11-len(good))), false},
		{"garbage_byte_after_hash", blockOf(1, good, []byte{0xff}), false},
		{"garbage_inside_sequence", blockOf(1, append(info("3033300d060960864801650304020105000420"), 5, 0), nil), false},
		{"garbage_in_null", blockOf(1, info("3033300f0609608648016503040201050201010420"), nil), false},
		{"ber_long_length", blockOf(1, info("308131300d060960864801650304020105000420"), nil), false},
		{"ber_long_length_of_hash", blockOf(1, info("3032300d06096086480165030402010500048120"), nil), false},
		{"ber_indefinite_length", blockOf(1, append(info("3080300d060960864801650304020105000420"), 0, 0), nil), false},
		{"parameters_false", blockOf(1, info("3032300e06096086480165030402010101000420"), nil), false},
		{"hash_without_digest_info", blockOf(1, hashed, nil), false},
		{"digest_info_of_sha1", blockOf(1, slices.Concat(must(hex.DecodeString("3021300906052b0e03021a05000414")), sum(crypto.SHA1, []byte(input))), nil), false},
		{"digest_info_of_sha512", blockOf(1, slices.Concat(must(hex.DecodeString("3051300d060960864801650304020305000440")), sum(crypto.SHA512, []byte(input))), nil), false},
		{"digest_info_of_sha512_with_sha256", blockOf(1, info("3031300d060960864801650304020305000420"), nil), false},
		{"block_type_0", blockOf(0, good, nil), false},
		{"block_type_2", blockOf(2, good, nil), false},
		{"padding_octet_fe", edited(9, 0xfe), false},
		{"padding_octet_0", edited(9, 0), false},
		{"no_separator", edited(256-len(good)-1, 0xff), false},
		{"all_zero", make([]byte, 256), false},
		{"one", resized(nil, 256), false},
	} {
		t.Run("AL-03/C22_"+tc.name, func(t *testing.T) { verifies(t, key, "RS256", raw(tc.em), tc.want) })
	}
}

// TestCubeRootForgery is the classic attack on e = 3: a perfect cube whose top
// octets look like a padded hash. Such keys are refused, whatever the verifier does.
func TestCubeRootForgery(t *testing.T) {
	t.Run("AL-09/C22_e_3", func(t *testing.T) {
		pub := rsa.PublicKey{N: rsaKey().N, E: 3}
		if _, err := checkedKey(&pub); err == nil {
			t.Error("checkedKey accepts e = 3")
		}
		refused(t, must(PublicJWK(&pub, nil)))
	})
}

func TestRSASchemesDoNotMix(t *testing.T) {
	key := newKey(t, rsaKey())
	algs := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	for _, signed := range algs {
		sig := sign(t, signed, rsaKey())
		for _, claimed := range algs {
			t.Run("AL-03/"+signed+"_signature_as_"+claimed, func(t *testing.T) {
				verifies(t, key, claimed, sig, signed == claimed)
			})
		}
	}
}

func TestRSALength(t *testing.T) {
	key := newKey(t, rsaKey())
	short := shortSignature(t)
	plusN := new(big.Int).Add(new(big.Int).SetBytes(short), rsaKey().N)
	for _, tc := range []struct {
		name string
		sig  []byte
		want bool
	}{
		{"control_leading_zero_kept", short, true},
		{"C21_leading_zero_removed", short[1:], false},
		{"C21_one_octet_more_in_front", append([]byte{0}, short...), false},
		{"C21_one_octet_more_behind", append(slices.Clone(short), 0), false},
		{"C21_last_octet_removed", short[:255], false},
		{"C21_empty", nil, false},
		{"C21_one_octet", []byte{1}, false},
		{"C21_twice", slices.Concat(short, short), false},
		{"C21_plus_modulus", plusN.FillBytes(make([]byte, 256)), false},
		{"modulus", rsaKey().N.Bytes(), false},
		{"modulus_minus_1", new(big.Int).Sub(rsaKey().N, big.NewInt(1)).Bytes(), false},
		{"zero", make([]byte, 256), false},
		{"one", append(make([]byte, 255), 1), false},
		{"all_ones", ones(256), false},
	} {
		t.Run("AL-03/"+tc.name, func(t *testing.T) { verifies(t, key, "PS256", tc.sig, tc.want) })
	}
}

// shortSignature signs until the signature begins with a zero octet.
func shortSignature(t *testing.T) []byte {
	t.Helper()
	for range 100_000 {
		if sig := sign(t, "PS256", rsaKey()); sig[0] == 0 {
			return sig
		}
	}
	t.Fatal("no signature with a leading zero octet")
	return nil
}
