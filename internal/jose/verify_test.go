// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"slices"
	"sync"
	"testing"
)

// vectors is testdata/jose/rfc.json: signatures and thumbprints that must match.
type vectors struct {
	Signatures []struct {
		Name, Source, Alg, Secret, Input, Signature string
		JWK                                         json.RawMessage
	}
	Thumbprints []struct {
		Name, Source, Thumbprint string
		JWK                      json.RawMessage
	}
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/jose/rfc.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestKnownSignatures(t *testing.T) {
	for _, v := range readVectors(t).Signatures {
		t.Run("AL-03/"+v.Name, func(t *testing.T) {
			var key *Key
			if v.Secret != "" {
				key = must(NewSecret("", v.Alg, unb64(t, v.Secret)))
			} else {
				key = parse(t, v.JWK)
			}
			sig := unb64(t, v.Signature)
			if !key.Verify(v.Alg, []byte(v.Input), sig) {
				t.Errorf("%s does not verify", v.Source)
			}
			if key.Verify(v.Alg, []byte(v.Input+"x"), sig) {
				t.Error("verifies another input")
			}
		})
	}
}

// TestEveryAlgorithm signs and verifies with each algorithm, then damages the
// signature in each of its bytes.
func TestEveryAlgorithm(t *testing.T) {
	others := map[string]*Key{
		"RSA": newKey(t, otherRSA()), "P-256": newKey(t, newEC(elliptic.P256())), "P-384": newKey(t, newEC(elliptic.P384())),
		"P-521": newKey(t, newEC(elliptic.P521())), "Ed25519": newKey(t, newEd()),
	}
	for alg, kind := range kinds {
		private := signers()[kind]
		key, sig := newKey(t, private), sign(t, alg, private)
		t.Run("AL-03/"+alg+"_verifies", func(t *testing.T) { verifies(t, key, alg, sig, true) })
		t.Run("AL-03/"+alg+"_another_key", func(t *testing.T) { verifies(t, others[kind], alg, sig, false) })
		t.Run("AL-03/"+alg+"_another_input", func(t *testing.T) {
			for _, in := range []string{"", input[1:], input + ".", "x" + input[1:]} {
				if key.Verify(alg, []byte(in), sig) {
					t.Errorf("verifies input of %d bytes", len(in))
				}
			}
		})
		t.Run("AL-03/"+alg+"_damaged", func(t *testing.T) {
			for i := range sig {
				bad := slices.Clone(sig)
				bad[i] ^= 1 << (i % 8)
				verifies(t, key, alg, bad, false)
			}
		})
		t.Run("AL-03/"+alg+"_empty_signature", func(t *testing.T) {
			verifies(t, key, alg, nil, false)
			verifies(t, key, alg, make([]byte, len(sig)), false)
		})
	}
}

func TestZeroKeyVerifiesNothing(t *testing.T) {
	t.Run("SE-01/zero_and_nil_key", func(t *testing.T) {
		empty := authenticate(symmetric[0], nil, []byte(input)) // the MAC under no secret at all
		for _, key := range []*Key{{}, nil, {Algorithm: "HS256"}, {Algorithm: "none"}} {
			for _, alg := range append(DefaultAlgorithms(), "HS256", "HS384", "HS512", "none", "") {
				if key.Fits(alg) || key.Verify(alg, []byte(input), empty) || key.Verify(alg, []byte(input), nil) {
					t.Errorf("an empty key fits %q", alg)
				}
			}
		}
	})
}

// rs encodes two integers in size octets each (RFC 7518 §3.4).
func rs(r, s *big.Int, size int) []byte {
	return slices.Concat(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size)))
}

func TestECDSAHostileValues(t *testing.T) {
	for alg, private := range map[string]*ecdsa.PrivateKey{"ES256": p256(), "ES384": p384(), "ES512": p521()} {
		key, good := newKey(t, private), sign(t, alg, private)
		size := len(good) / 2
		n := private.Curve.Params().N
		r, s := new(big.Int).SetBytes(good[:size]), new(big.Int).SetBytes(good[size:])
		zero, one, minus := new(big.Int), big.NewInt(1), new(big.Int).Sub(n, s)
		for name, sig := range map[string][]byte{
			"C17_r_0_s_0":   rs(zero, zero, size),
			"C17_r_0":       rs(zero, s, size),
			"C17_s_0":       rs(r, zero, size),
			"C17_r_n":       rs(n, s, size),
			"C17_s_n":       rs(r, n, size),
			"C17_r_n_s_n":   rs(n, n, size),
			"C17_r_1_s_0":   rs(one, zero, size),
			"C17_r_1_s_1":   rs(one, one, size),
			"C17_all_ones":  ones(2 * size),
			"swapped":       rs(s, r, size),
			"r_n_minus_1":   rs(new(big.Int).Sub(n, one), one, size),
			"negated_r":     rs(new(big.Int).Sub(n, r), s, size),
			"little_endian": slices.Concat(reversed(good[:size]), reversed(good[size:])),
		} {
			t.Run("AL-11/"+name+"_"+alg, func(t *testing.T) { verifies(t, key, alg, sig, false) })
		}
		t.Run("AL-11/C20_n_minus_s_"+alg, func(t *testing.T) { verifies(t, key, alg, rs(r, minus, size), true) })
		t.Run("AL-11/C20_only_one_negated_s_"+alg, func(t *testing.T) {
			verifies(t, key, alg, rs(r, new(big.Int).Sub(minus, one), size), false)
		})
	}
}

// TestECDSAUnreduced adds n to r and s; ES512 has room for that in 66 octets.
func TestECDSAUnreduced(t *testing.T) {
	good := sign(t, "ES512", p521())
	r, s := new(big.Int).SetBytes(good[:66]), new(big.Int).SetBytes(good[66:])
	n := elliptic.P521().Params().N
	for name, sig := range map[string][]byte{
		"r_plus_n": rs(new(big.Int).Add(r, n), s, 66),
		"s_plus_n": rs(r, new(big.Int).Add(s, n), 66),
	} {
		t.Run("AL-11/C17_"+name, func(t *testing.T) { verifies(t, newKey(t, p521()), "ES512", sig, false) })
	}
}

func reversed(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}

func TestECDSALength(t *testing.T) {
	for alg, private := range map[string]*ecdsa.PrivateKey{"ES256": p256(), "ES384": p384(), "ES512": p521()} {
		key, good := newKey(t, private), sign(t, alg, private)
		size := len(good) / 2
		t.Run("AL-11/control_"+alg, func(t *testing.T) { verifies(t, key, alg, good, true) })
		for _, n := range []int{0, 1, 63, 64, 65, 95, 96, 97, 128, 131, 132, 133, 264} {
			if n == len(good) {
				continue
			}
			t.Run(fmt.Sprintf("AL-11/C19_%d_octets_%s", n, alg), func(t *testing.T) {
				verifies(t, key, alg, resized(good, n), false)
			})
		}
		for name, sig := range map[string][]byte{
			"zeros_before_each_half": slices.Concat([]byte{0}, good[:size], []byte{0}, good[size:]),
			"zero_between":           slices.Concat(good[:size], []byte{0}, good[size:]),
			"zero_in_front":          slices.Concat([]byte{0}, good),
			"twice":                  slices.Concat(good, good),
			"der":                    der(t, good),
		} {
			t.Run("AL-11/"+name+"_"+alg, func(t *testing.T) { verifies(t, key, alg, sig, false) })
		}
	}
}

// resized cuts sig, or fills it with zeros at the end.
func resized(sig []byte, n int) []byte { return append(slices.Clone(sig), make([]byte, n)...)[:n] }

// der is the ASN.1 form of an ECDSA signature, which JWS does not use.
func der(t *testing.T, sig []byte) []byte {
	t.Helper()
	size := len(sig) / 2
	return must(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])}))
}

// TestECDSADERLength makes a valid signature whose DER form has 64 octets, as R
// and S have: S is chosen short, and the private key follows from it.
func TestECDSADERLength(t *testing.T) {
	n, nonce := elliptic.P256().Params().N, newEC(elliptic.P256())
	r := new(big.Int).SetBytes(unb64(t, jwkOf(t, nonce.Public())["x"].(string)))
	r.Mod(r, n)
	s := new(big.Int).Lsh(big.NewInt(1), uint(8*(64-6-r.BitLen()/8-1)-2))
	e := new(big.Int).SetBytes(sum(crypto.SHA256, []byte(input)))
	d := new(big.Int).Mul(s, new(big.Int).SetBytes(must(nonce.Bytes())))
	d.Mul(d.Sub(d, e), new(big.Int).ModInverse(r, n)).Mod(d, n)
	private := must(ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32))))
	key, sig := newKey(t, private), rs(r, s, 32)
	t.Run("AL-11/control_short_s", func(t *testing.T) { verifies(t, key, "ES256", sig, true) })
	t.Run("AL-11/der_of_64_octets", func(t *testing.T) {
		if len(der(t, sig)) != 64 {
			t.Fatalf("DER form has %d octets", len(der(t, sig)))
		}
		verifies(t, key, "ES256", der(t, sig), false)
	})
}

func TestEd25519Hostile(t *testing.T) {
	key, good := newKey(t, ed()), sign(t, "EdDSA", ed())
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int).SetBytes(reversed(good[32:]))
	plus := new(big.Int).Add(s, order)
	for name, sig := range map[string][]byte{
		"C25_S_plus_L":          slices.Concat(good[:32], reversed(plus.FillBytes(make([]byte, 32)))),
		"C25_S_plus_2L":         slices.Concat(good[:32], reversed(plus.Add(plus, order).FillBytes(make([]byte, 32)))),
		"C25_63_bytes":          good[:63],
		"C25_65_bytes":          append(slices.Clone(good), 0),
		"65_bytes_zero_first":   append([]byte{0}, good...),
		"0_bytes":               {},
		"128_bytes":             slices.Concat(good, good),
		"114_bytes_as_of_ed448": resized(good, 114),
		"halves_swapped":        slices.Concat(good[32:], good[:32]),
		"S_zero":                resized(good[:32], 64),
		"R_identity_S_zero":     resized([]byte{1}, 64),
		"S_top_bits_set":        slices.Concat(good[:63], []byte{good[63] | 0xe0}),
	} {
		for _, alg := range []string{"EdDSA", "Ed25519"} {
			t.Run("AL-03/"+name+"_"+alg, func(t *testing.T) { verifies(t, key, alg, sig, false) })
		}
	}
	t.Run("AL-03/Ed25519ph_signature", func(t *testing.T) {
		hashed := sum(crypto.SHA512, []byte(input))
		verifies(t, key, "Ed25519", must(ed().Sign(nil, hashed, &ed25519.Options{Hash: crypto.SHA512})), false)
	})
	t.Run("AL-03/Ed25519ctx_signature", func(t *testing.T) {
		verifies(t, key, "Ed25519", must(ed().Sign(nil, []byte(input), &ed25519.Options{Context: "x"})), false)
	})
}

// TestConcurrentUse lets many goroutines use the same keys; the race detector judges.
func TestConcurrentUse(t *testing.T) {
	t.Run("GO-03/keys_are_shared", func(t *testing.T) {
		for alg, kind := range kinds {
			private := signers()[kind]
			key, other, sig := newKey(t, private), newKey(t, private), sign(t, alg, private)
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					_, err := key.Thumbprint()
					if !key.Verify(alg, []byte(input), sig) || !key.Same(other) || !key.Fits(alg) || err != nil {
						t.Errorf("%s: another answer under concurrency", alg)
					}
				})
			}
			group.Wait()
		}
	})
}
