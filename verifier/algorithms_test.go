// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"hash"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// kindFor names the kind of key that alg asks for (RFC 7518 §3.1, RFC 8037 §3.1).
func kindFor(alg string) string {
	switch alg {
	case "ES256":
		return "P-256"
	case "ES384":
		return "P-384"
	case "ES512":
		return "P-521"
	case "EdDSA", "Ed25519":
		return "Ed25519"
	}
	return "RSA"
}

// oneOfEach holds one private key of each kind.
var oneOfEach = sync.OnceValue(func() map[string]any {
	return map[string]any{"RSA": rsaOne(), "P-256": ec256(), "P-384": ec384(), "P-521": ec521(), "Ed25519": edKey()}
})

func keyFor(alg string) any { return oneOfEach()[kindFor(alg)] }

var defaultAlgorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
}

// algToken is a good token under alg and kid one.
func algToken(alg string, key any) string {
	return sign(key, alg, goodHeader().edit(object{"alg": alg}).String(), goodClaims().String())
}

// signedWith is a good token whose signature is whatever make does with its input.
func signedWith(alg string, make func(input string) []byte) string {
	input := b64(goodHeader().edit(object{"alg": alg}).String()) + "." + b64(goodClaims().String())
	return input + "." + b64(string(make(input)))
}

func algorithms(names ...string) func(*verifier.Config) {
	return func(cfg *verifier.Config) { cfg.Algorithms = names }
}

func TestAlgorithmAllowlist(t *testing.T) {
	var every []raw
	for _, key := range oneOfEach() {
		every = append(every, jwk(key, object{"kid": "one"}))
	}
	all := newVerifier(t, withKeys(jwks(every...)))
	t.Run("AL-03/each_default_verifies", func(t *testing.T) {
		for _, alg := range defaultAlgorithms {
			t.Run(alg, func(t *testing.T) { expect(t, all, algToken(alg, keyFor(alg)), nil) })
		}
	})
	t.Run("AL-20/C9_configuration_only", func(t *testing.T) {
		for _, alg := range defaultAlgorithms {
			v := newVerifier(t, withKeys(jwks(every...)), algorithms(alg))
			for _, other := range defaultAlgorithms {
				want := verifier.ErrAlgorithm
				if other == alg {
					want = nil
				}
				expect(t, v, algToken(other, keyFor(other)), want)
			}
		}
	})
	for _, tt := range []struct {
		name string
		algs []string
	}{
		{"AL-01/C5_other_spelling", []string{"rs256", "noNE", "RS256 ", " RS256", "RS256\x00", "ＲＳ256", "RS-256", ""}},
		{"AL-03/C16_encryption_algorithms", []string{"RSA1_5", "RSA-OAEP", "dir", "A256KW", "A256GCM"}},
		{"AL-14/Ed448", []string{"Ed448"}},
		{"AL-15/COSE_names", []string{"ESP256", "ESP384", "ESP512", "ESB256", "ESB320", "ESB384", "ESB512"}},
		{"AL-16/C13_ES256K", []string{"ES256K"}},
		{"AL-02/C2_none_with_signature", []string{"none", "None", "NONE", "nOnE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, alg := range tt.algs {
				expect(t, all, token(object{"alg": alg}, nil), verifier.ErrAlgorithm)
			}
		})
	}
	t.Run("AL-02/C1_none_without_signature", func(t *testing.T) {
		for _, alg := range []string{"none", "None", "NONE", "nOnE"} {
			unsigned := b64(goodHeader().edit(object{"alg": alg}).String()) + "." + b64(goodClaims().String())
			expect(t, all, unsigned+".", verifier.ErrMalformedToken)
			expect(t, all, unsigned, verifier.ErrMalformedToken)
		}
	})
	t.Run("AL-02/never_configurable", func(t *testing.T) {
		for _, alg := range []string{"none", "None", "NONE", "nOnE"} {
			refusesConfig(t, "Algorithms", algorithms("RS256", alg))
			refusesConfig(t, "Algorithms", algorithms(alg), legacy)
			cfg := config(algorithms(alg))
			cfg.Keys = nil
			if v, err := verifier.NewSymmetric(cfg, secret256()); v != nil || verifier.ClassOf(err) != verifier.ErrConfig {
				t.Errorf("%s: a symmetric verifier was made: %v", alg, err)
			}
		}
	})
	t.Run("AL-14/Ed448_never_configurable", func(t *testing.T) { refusesConfig(t, "Algorithms", algorithms("Ed448")) })
	t.Run("AL-16/never_configurable", func(t *testing.T) { refusesConfig(t, "Algorithms", algorithms("ES256K")) })
}

// publicForms are encodings of a public key that a careless verifier might take
// for an HMAC secret.
func publicForms(pub *rsa.PublicKey) map[string][]byte {
	spki := ok(x509.MarshalPKIXPublicKey(pub))
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	set := ok(json.Marshal(map[string]any{"keys": []raw{jwk(pub, object{"kid": "one"})}}))
	return map[string][]byte{
		"PEM":         block,
		"PEM_no_LF":   bytes.TrimRight(block, "\n"),
		"PEM_CRLF":    bytes.ReplaceAll(block, []byte("\n"), []byte("\r\n")),
		"SPKI":        spki,
		"PKCS1":       x509.MarshalPKCS1PublicKey(pub),
		"PKCS1_PEM":   pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(pub)}),
		"JWK":         jwk(pub, nil),
		"JWK_kid":     jwk(pub, object{"kid": "one"}),
		"JWKS":        set,
		"modulus":     pub.N.Bytes(),
		"modulus_b64": []byte(b64(string(pub.N.Bytes()))),
		"x5c":         []byte(b64(string(spki))),
	}
}

func TestHMACConfusion(t *testing.T) {
	v := newVerifier(t)
	t.Run("AL-04/C6_public_key_as_secret", func(t *testing.T) {
		for name, secret := range publicForms(&rsaOne().PublicKey) {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				t.Run(name+"_"+alg, func(t *testing.T) {
					expect(t, v, algToken(alg, secret), verifier.ErrAlgorithm)
				})
			}
		}
	})
	t.Run("AL-04/C7_empty_secret", func(t *testing.T) {
		for _, secret := range []string{"", "\x00", "null", "undefined", "secret"} {
			expect(t, v, algToken("HS256", []byte(secret)), verifier.ErrAlgorithm)
		}
	})
	t.Run("AL-04/C8_kid_of_an_RSA_key", func(t *testing.T) {
		rsaOnly := newVerifier(t, withKeys(jwks(jwk(rsaOne(), object{"kid": "one", "alg": "HS256"}))))
		expect(t, rsaOnly, algToken("HS256", []byte{}), verifier.ErrAlgorithm)
	})
	t.Run("AL-04/E23_not_in_New", func(t *testing.T) {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			refusesConfig(t, "Algorithms", algorithms(alg))
			refusesConfig(t, "NewSymmetric", algorithms("RS256", alg))
		}
	})
}

func TestAlgorithmAndKeyAgree(t *testing.T) {
	t.Run("AL-06/C12_every_other_pairing", func(t *testing.T) {
		for _, alg := range defaultAlgorithms {
			for kind, key := range oneOfEach() {
				if kind == kindFor(alg) {
					continue
				}
				v := newVerifier(t, withKeys(jwks(jwk(key, object{"kid": "one"}))))
				expect(t, v, algToken(alg, keyFor(alg)), verifier.ErrUnknownKey)
			}
		}
	})
	t.Run("AL-06/C12_signed_by_the_wrong_curve", func(t *testing.T) {
		for alg, key := range map[string]*ecdsa.PrivateKey{"ES256": ec384(), "ES384": ec256(), "ES512": ec256()} {
			v := newVerifier(t, withKeys(jwks(jwk(key, object{"kid": "one"}))))
			expect(t, v, algToken(alg, key), verifier.ErrUnknownKey)
		}
	})
	t.Run("AL-14/EdDSA_token_with_Ed448_key", func(t *testing.T) {
		ed448 := raw(`{"kty":"OKP","crv":"Ed448","kid":"one","x":"` + b64(strings.Repeat("x", 57)) + `"}`)
		v := newVerifier(t, withKeys(jwks(ed448)))
		expect(t, v, algToken("EdDSA", edKey()), verifier.ErrUnknownKey)
	})
	for _, tt := range []struct {
		name, jwkAlg, alg string
		want              error
	}{
		{"AL-07/equal", "RS512", "RS512", nil},
		{"AL-07/C11_other_hash", "RS256", "RS512", verifier.ErrUnknownKey},
		{"AL-07/other_padding", "PS256", "RS256", verifier.ErrUnknownKey},
		{"AL-07/other_case", "rs256", "RS256", verifier.ErrUnknownKey},
		{"AL-07/empty", "", "RS256", verifier.ErrUnknownKey},
		{"AL-07/unknown", "X", "RS256", verifier.ErrUnknownKey},
		{"AL-07/C15_EdDSA_key_Ed25519_token", "EdDSA", "Ed25519", nil},
		{"AL-07/C15_Ed25519_key_EdDSA_token", "Ed25519", "EdDSA", nil},
		{"AL-07/Ed448_key_alg", "Ed448", "EdDSA", verifier.ErrUnknownKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, withKeys(jwks(jwk(keyFor(tt.alg), object{"kid": "one", "alg": tt.jwkAlg}))))
			expect(t, v, algToken(tt.alg, keyFor(tt.alg)), tt.want)
		})
	}
	t.Run("AL-07/C15_only_one_name_allowed", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(jwk(edKey(), object{"kid": "one", "alg": "EdDSA"}))), algorithms("EdDSA"))
		expect(t, v, algToken("EdDSA", edKey()), nil)
		expect(t, v, algToken("Ed25519", edKey()), verifier.ErrAlgorithm)
	})
}

func TestSignatureForms(t *testing.T) {
	keys := jwks(jwk(rsaOne(), object{"kid": "one"}), jwk(ec256(), object{"kid": "one"}), jwk(edKey(), object{"kid": "one"}))
	v := newVerifier(t, withKeys(keys))
	es := func(input string) (r, s *big.Int) {
		sum := sha256.Sum256([]byte(input))
		r, s, err := ecdsa.Sign(rand.Reader, ec256(), sum[:])
		_ = ok(r, err)
		return r, s
	}
	fixed := func(r, s *big.Int) []byte {
		return slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))
	}
	order := ec256().Curve.Params().N
	t.Run("AL-11/DER", func(t *testing.T) {
		expect(t, v, signedWith("ES256", func(input string) []byte {
			r, s := es(input)
			return ok(asn1.Marshal(struct{ R, S *big.Int }{r, s}))
		}), verifier.ErrSignature)
	})
	t.Run("AL-11/C19_length", func(t *testing.T) {
		for _, n := range []int{1, 63, 65, 96, 128, 132} {
			expect(t, v, signedWith("ES256", func(input string) []byte {
				return append(fixed(es(input)), make([]byte, 128)...)[:n]
			}), verifier.ErrSignature)
		}
		expect(t, v, signedWith("ES256", func(input string) []byte { return fixed(es(input)) }), nil)
	})
	t.Run("AL-11/C17_out_of_range", func(t *testing.T) {
		zero, ones := new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
		for _, pair := range [][2]*big.Int{{zero, zero}, {order, order}, {zero, order}, {order, zero}, {ones, ones}} {
			expect(t, v, signedWith("ES256", func(string) []byte { return fixed(pair[0], pair[1]) }), verifier.ErrSignature)
			expect(t, v, signedWith("ES256", func(input string) []byte { r, _ := es(input); return fixed(r, pair[1]) }), verifier.ErrSignature)
		}
	})
	t.Run("AL-11/C20_second_form_of_s", func(t *testing.T) {
		expect(t, v, signedWith("ES256", func(input string) []byte {
			r, s := es(input)
			return fixed(r, new(big.Int).Sub(order, s))
		}), nil)
	})
	rs := func(input string) []byte {
		sum := sha256.Sum256([]byte(input))
		return ok(rsa.SignPKCS1v15(nil, rsaOne(), crypto.SHA256, sum[:]))
	}
	t.Run("AL-17/C21_RSA_length", func(t *testing.T) {
		for _, cut := range []func([]byte) []byte{
			func(s []byte) []byte { return s[1:] },
			func(s []byte) []byte { return s[:255] },
			func(s []byte) []byte { return append(s, 0) },
			func(s []byte) []byte { return append([]byte{0}, s...) },
			func([]byte) []byte { return []byte{0} },
		} {
			expect(t, v, signedWith("RS256", func(input string) []byte { return cut(rs(input)) }), verifier.ErrSignature)
		}
	})
	t.Run("AL-17/C25_Ed25519", func(t *testing.T) {
		order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
		plusOrder := func(sig []byte) []byte { // S and S+L differ by a multiple of the order
			s := slices.Clone(sig[32:])
			slices.Reverse(s)
			s = new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
			slices.Reverse(s)
			return append(slices.Clone(sig[:32]), s...)
		}
		for _, edit := range []func([]byte) []byte{
			func(s []byte) []byte { return s[:63] },
			func(s []byte) []byte { return append(s, 0) },
			plusOrder,
			func(s []byte) []byte { s[0] ^= 1; return s },
		} {
			expect(t, v, signedWith("EdDSA", func(input string) []byte {
				return edit(ok(edKey().Sign(nil, []byte(input), crypto.Hash(0))))
			}), verifier.ErrSignature)
		}
	})
}

func TestPSSParameters(t *testing.T) {
	v := newVerifier(t)
	pss := func(salt int, mgf func() hash.Hash) string {
		return signedWith("PS256", func(input string) []byte { return signPSS(rsaOne(), input, salt, mgf) })
	}
	t.Run("AL-10/salt_of_hash_length", func(t *testing.T) { expect(t, v, pss(32, sha256.New), nil) })
	t.Run("AL-10/C23_other_salt", func(t *testing.T) {
		for _, salt := range []int{0, 20, 31, 33, 256 - 32 - 2} {
			expect(t, v, pss(salt, sha256.New), verifier.ErrSignature)
		}
	})
	t.Run("AL-10/C24_other_mask_hash", func(t *testing.T) { expect(t, v, pss(32, sha1.New), verifier.ErrSignature) })
}

// signPSS is RSASSA-PSS (RFC 8017 §9.1.1) with SHA-256, with the two parameters
// free that RFC 7518 §3.5 fixes. It leaks its key: for tests only.
func signPSS(key *rsa.PrivateKey, input string, saltLen int, mgf func() hash.Hash) []byte {
	digest := sha256.Sum256([]byte(input))
	salt := bytes.Repeat([]byte{7}, saltLen)
	h := sha256.Sum256(slices.Concat(make([]byte, 8), digest[:], salt))
	size := key.Size()
	em := make([]byte, size)
	db := em[:size-len(h)-1]
	db[len(db)-saltLen-1] = 1
	copy(db[len(db)-saltLen:], salt)
	for i, counter := 0, uint32(0); i < len(db); counter++ {
		mask := mgf()
		mask.Write(binary.BigEndian.AppendUint32(slices.Clone(h[:]), counter))
		for _, b := range mask.Sum(nil) {
			if i < len(db) {
				db[i] ^= b
				i++
			}
		}
	}
	db[0] &= 0x7f
	copy(em[len(db):], h[:])
	em[size-1] = 0xbc
	return new(big.Int).Exp(new(big.Int).SetBytes(em), key.D, key.N).FillBytes(make([]byte, size))
}

// AL-17: whatever fails, nothing of the token is handed out beside the error.
func TestNoClaimsWithAnError(t *testing.T) {
	t.Run("AL-17/no_partial_claims", func(t *testing.T) {
		v := newVerifier(t)
		good := token(nil, nil)
		bad := good[:len(good)-4] + "AAAA"
		tok, err := verifyTwice(t, v, bad)
		wantClass(t, tok, err, verifier.ErrSignature)
		tok, err = verifyBoundTwice(t, v, bad, func(_ context.Context, tok *verifier.Token) error {
			t.Errorf("confirm got %v of a token with a bad signature", tok)
			return nil
		})
		wantClass(t, tok, err, verifier.ErrSignature)
	})
}
