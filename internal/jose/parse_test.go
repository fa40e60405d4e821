// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

func TestParseRSASize(t *testing.T) {
	for _, tc := range []struct {
		name   string
		bits   int
		usable bool
	}{
		{"AL-08/E2_512_bits", 512, false},
		{"AL-08/E2_1024_bits", 1024, false},
		{"DF-15/E2_2047_bits", 2047, false},
		{"DF-15/2048_bits", 2048, true},
		{"DF-15/2049_bits", 2049, true},
		{"DF-15/8192_bits", 8192, true},
		{"DF-15/8193_bits", 8193, false},
		{"DF-15/E3_16384_bits", 16384, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := oddNumber(tc.bits)
			for _, zeros := range []int{0, 1, 3} { // E5: leading zeros do not change the size
				octets := append(make([]byte, zeros), n.Bytes()...)
				data := doc{"kty": "RSA", "n": b64(octets), "e": "AQAB"}.with(nil)
				key, err := ParseKey(data)
				if (err == nil) != tc.usable {
					t.Fatalf("%d leading zeros: ParseKey error = %v, want usable %v", zeros, err, tc.usable)
				}
				if tc.usable && key.Public().(*rsa.PublicKey).N.Cmp(n) != 0 {
					t.Errorf("%d leading zeros: another modulus", zeros)
				}
			}
			if _, err := checkedKey(&rsa.PublicKey{N: n, E: 65537}); (err == nil) != tc.usable {
				t.Errorf("checkedKey error = %v, want usable %v", err, tc.usable)
			}
		})
	}
	t.Run("AL-08/padded_to_2048_bits", func(t *testing.T) {
		n := append(make([]byte, 128), oddNumber(1024).Bytes()...)
		refused(t, doc{"kty": "RSA", "n": b64(n), "e": "AQAB"}.with(nil))
	})
	t.Run("KS-15/even_modulus", func(t *testing.T) {
		n := oddNumber(2048)
		n.SetBit(n, 0, 0)
		refused(t, doc{"kty": "RSA", "n": b64(n.Bytes()), "e": "AQAB"}.with(nil))
	})
}

func TestParseRSAExponent(t *testing.T) {
	n := rsaKey().N
	two := func(bits uint, plus int64) *big.Int {
		return new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits), big.NewInt(plus))
	}
	for _, tc := range []struct {
		name   string
		e      *big.Int
		usable bool
	}{
		{"zero", big.NewInt(0), false},
		{"one", big.NewInt(1), false},
		{"two", big.NewInt(2), false},
		{"C22_three", big.NewInt(3), false},
		{"four", big.NewInt(4), false},
		{"65535", big.NewInt(65535), false},
		{"65536", big.NewInt(65536), false},
		{"65537", big.NewInt(65537), true},
		{"65538", big.NewInt(65538), false},
		{"65539", big.NewInt(65539), true},
		{"E3_2^31-1", two(31, -1), true},
		{"2^31-2", two(31, -2), false},
		{"2^31", two(31, 0), false},
		{"2^31+1", two(31, 1), false},
		{"E3_2^32+65537", two(32, 65537), false},
		{"2^63+65537", two(63, 65537), false},
		{"2^64+65537", two(64, 65537), false},
		{"2^4096+1", two(4096, 1), false},
	} {
		t.Run("AL-09/"+tc.name, func(t *testing.T) {
			octets := tc.e.Bytes()
			if len(octets) == 0 {
				octets = []byte{0}
			}
			for _, e := range []string{b64(octets), b64(append([]byte{0, 0}, octets...))} {
				_, err := ParseKey(doc{"kty": "RSA", "n": b64(n.Bytes()), "e": e}.with(nil))
				if (err == nil) != tc.usable {
					t.Errorf("ParseKey error = %v, want usable %v", err, tc.usable)
				}
			}
			if !tc.e.IsInt64() || int64(int(tc.e.Int64())) != tc.e.Int64() { // an int has 32 bits on some platforms
				return
			}
			if _, err := checkedKey(&rsa.PublicKey{N: n, E: int(tc.e.Int64())}); (err == nil) != tc.usable {
				t.Errorf("checkedKey error = %v, want usable %v", err, tc.usable)
			}
		})
	}
	t.Run("AL-09/negative", func(t *testing.T) {
		if _, err := checkedKey(&rsa.PublicKey{N: n, E: -65537}); err == nil {
			t.Error("checkedKey accepts a negative exponent")
		}
	})
}

// TestParseMembers edits one member of a good key of each type at a time.
func TestParseMembers(t *testing.T) {
	material := map[string][]string{"RSA": {"n", "e"}, "P-256": {"x", "y"}, "P-384": {"x", "y"}, "P-521": {"x", "y"}, "Ed25519": {"x"}}
	for kind, private := range signers() {
		good := jwkOf(t, private.Public())
		t.Run("KS-15/control_"+kind, func(t *testing.T) {
			key := parse(t, good.with(nil))
			if !key.Same(newKey(t, private)) {
				t.Error("the parsed key is another one")
			}
		})
		for _, name := range append(material[kind], "kty") {
			for what, value := range hostileValues(good[name].(string)) {
				t.Run(fmt.Sprintf("KS-15/E5_%s_%s_%s", kind, name, what), func(t *testing.T) {
					refused(t, good.with(doc{name: value}))
				})
			}
		}
	}
}

// hostileValues are wrong forms of a base64url string, none of which may be read.
func hostileValues(good string) map[string]any {
	last := good[len(good)-1:]
	values := map[string]any{
		"missing": absent{}, "null": nil, "number": 7, "bool": true, "array": []string{good}, "object": doc{"v": good},
		"empty": "", "padded": good + "=", "padded_twice": good + "==", "newline": good[:2] + "\n" + good[2:],
		"crlf_end": good + "\r\n", "space": " " + good, "nul": good + "\x00", "plus": "+" + good[1:], "slash": "/" + good[1:],
		"dot": good[:1] + "." + good[1:], "percent": good[:1] + "%41" + good[1:], "one_char": good[:1],
	}
	if len(good)%4 != 0 && len(good) > 4 { // the last character has unused bits, which must be zero
		alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		values["trailing_bits"] = good[:len(good)-1] + string(alphabet[strings.Index(alphabet, last)|1])
	}
	return values
}

func TestParseTypes(t *testing.T) {
	point := jwkOf(t, p256().Public())
	okp := jwkOf(t, ed().Public())
	rsaDoc := jwkOf(t, rsaKey().Public())
	for name, data := range map[string][]byte{
		"E9_kty_unknown":            rsaDoc.with(doc{"kty": "AKP"}),
		"E9_kty_lower_case":         rsaDoc.with(doc{"kty": "rsa"}),
		"E9_kty_of_another_type":    rsaDoc.with(doc{"kty": "EC"}),
		"E9_kty_member_upper_case":  rsaDoc.with(doc{"kty": absent{}, "KTY": "RSA"}),
		"E9_n_member_upper_case":    rsaDoc.with(doc{"n": absent{}, "N": rsaDoc["n"]}),
		"E9_crv_unknown":            point.with(doc{"crv": "P-257"}),
		"E9_crv_missing":            point.with(doc{"crv": absent{}}),
		"E9_crv_number":             point.with(doc{"crv": 256}),
		"E9_crv_lower_case":         point.with(doc{"crv": "p-256"}),
		"E9_crv_p224":               point.with(doc{"crv": "P-224"}),
		"E9_crv_secp256k1":          point.with(doc{"crv": "secp256k1"}),
		"E9_crv_brainpool":          point.with(doc{"crv": "BP-256"}),
		"E9_crv_ed25519_of_ec":      point.with(doc{"crv": "Ed25519"}),
		"E9_crv_missing_okp":        okp.with(doc{"crv": absent{}}),
		"E9_crv_x25519":             okp.with(doc{"crv": "X25519"}),
		"E9_crv_p256_of_okp":        okp.with(doc{"crv": "P-256"}),
		"E6_p384_coordinates":       jwkOf(t, p384().Public()).with(doc{"crv": "P-256"}),
		"E6_p256_coordinates_p521":  point.with(doc{"crv": "P-521"}),
		"not_json":                  []byte("{"),
		"empty":                     nil,
		"empty_object":              []byte("{}"),
		"array":                     []byte("[" + string(rsaDoc.with(nil)) + "]"),
		"null":                      []byte("null"),
		"trailing_data":             append(rsaDoc.with(nil), "{}"...),
		"byte_order_mark":           append([]byte("\ufeff"), rsaDoc.with(nil)...),
		"invalid_utf8":              []byte(`{"kty":"RSA","kid":"` + "\xff" + `","n":"` + rsaDoc["n"].(string) + `","e":"AQAB"}`),
		"depth_33":                  nested(rsaDoc, 32),
		"set_instead_of_key":        []byte(`{"keys":[` + string(rsaDoc.with(nil)) + `]}`),
		"certificate_instead_of_it": []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
	} {
		t.Run("KS-15/"+name, func(t *testing.T) { refused(t, data) })
	}
	t.Run("KS-15/control_depth_32", func(t *testing.T) { parse(t, nested(rsaDoc, 31)) })
	t.Run("AL-14/ed448_key", func(t *testing.T) {
		refused(t, okp.with(doc{"crv": "Ed448", "x": b64(make([]byte, 57))}))
		refused(t, okp.with(doc{"crv": "Ed448"}))
	})
	for name, extra := range map[string]string{
		"duplicate_n": `"n":"AQAB"`, "duplicate_kid_escaped": `"k\u0069d":"b"`, "duplicate_in_unknown_member": `"x":{"a":1,"a":2}`,
	} {
		t.Run("KS-24/"+name, func(t *testing.T) {
			good := string(rsaDoc.with(doc{"kid": "a"}))
			refused(t, []byte(strings.TrimSuffix(good, "}")+","+extra+"}"))
		})
	}
}

// nested adds a member that holds so many arrays inside each other.
func nested(d doc, depth int) []byte {
	return d.with(doc{"ext": json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))})
}

func TestParseKeyID(t *testing.T) {
	good := jwkOf(t, p256().Public())
	for name, value := range map[string]any{"number": 1, "null": nil, "bool": false, "array": []string{"a"}, "object": doc{}} {
		t.Run("KS-15/E15_kid_"+name, func(t *testing.T) { refused(t, good.with(doc{"kid": value})) })
	}
	for _, tc := range []struct {
		name  string
		value any
		id    string
		has   bool
	}{
		{"missing", absent{}, "", false},
		{"empty", "", "", true},
		{"text", "key-1", "key-1", true},
		{"nul_kept_whole", "a\x00b", "a\x00b", true},
		{"number_text_null", "null", "null", true},
	} {
		t.Run("KS-15/E15_kid_"+tc.name, func(t *testing.T) {
			key := parse(t, good.with(doc{"kid": tc.value}))
			if key.ID != tc.id || key.HasID != tc.has {
				t.Errorf("ID, HasID = %q, %v, want %q, %v", key.ID, key.HasID, tc.id, tc.has)
			}
		})
	}
}

func TestParseWrongTypes(t *testing.T) {
	good := jwkOf(t, p256().Public())
	for _, name := range []string{"alg", "use"} {
		for what, value := range map[string]any{"null": nil, "number": 1, "array": []string{"sig"}} {
			t.Run("KS-15/"+name+"_"+what, func(t *testing.T) { refused(t, good.with(doc{name: value})) })
		}
	}
	for what, value := range map[string]any{
		"null": nil, "text": "verify", "number": 1, "object": doc{}, "array_with_number": []any{"verify", 1},
		"array_with_null": []any{nil}, "repeated": []string{"verify", "sign", "verify"},
	} {
		t.Run("KS-15/key_ops_"+what, func(t *testing.T) { refused(t, good.with(doc{"key_ops": value})) })
	}
}

func TestParseCertificateMembersIgnored(t *testing.T) {
	good := jwkOf(t, rsaKey().Public())
	for name, edit := range map[string]doc{
		"x5c_of_another_key": {"x5c": []string{base64.StdEncoding.EncodeToString(certificate(t, otherRSA()))}},
		"x5c_garbage":        {"x5c": []string{"%%%"}},
		"x5c_number":         {"x5c": 5},
		"x5c_null":           {"x5c": nil},
		"x5t":                {"x5t": "AAAA", "x5t#S256": 7},
		"x5u":                {"x5u": "http://canary.invalid/cert"},
		"unknown_members":    {"ext": true, "iat": 1, "oth_er": nil},
	} {
		t.Run("KS-15/E16_"+name, func(t *testing.T) {
			key := parse(t, good.with(edit))
			verifies(t, key, "RS256", sign(t, "RS256", rsaKey()), true)
			verifies(t, key, "RS256", sign(t, "RS256", otherRSA()), false)
		})
	}
}

func TestParseSymmetricKey(t *testing.T) {
	mac := sign(t, "HS256", secret64)
	for name, data := range map[string][]byte{
		"E1_oct":          doc{"kty": "oct", "k": b64(secret64), "alg": "HS256", "kid": "a"}.with(nil),
		"oct_with_use":    doc{"kty": "oct", "k": b64(secret64), "use": "sig"}.with(nil),
		"oct_without_k":   doc{"kty": "oct"}.with(nil),
		"oct_and_rsa":     jwkOf(t, rsaKey().Public()).with(doc{"kty": "oct", "k": b64(secret64)}),
		"oct_empty":       doc{"kty": "oct", "k": ""}.with(nil),
		"oct_in_brackets": []byte(`{"kty":"\u006fct","k":"` + b64(secret64) + `"}`),
	} {
		t.Run("KS-18/"+name, func(t *testing.T) {
			refused(t, data)
			if _, err := ParseKey(data); err != nil && !strings.Contains(err.Error(), "symmetric") {
				t.Errorf("error does not report a symmetric key: %v", err)
			}
		})
	}
	t.Run("KS-18/k_beside_a_public_key_is_not_a_secret", func(t *testing.T) {
		key := parse(t, jwkOf(t, rsaKey().Public()).with(doc{"k": b64(secret64), "alg": "HS256"}))
		verifies(t, key, "HS256", mac, false)
		if !key.Private {
			t.Error("a key with k is not reported")
		}
	})
}

func TestParsePrivateMembers(t *testing.T) {
	for kind, private := range signers() {
		t.Run("KS-19/"+kind, func(t *testing.T) {
			data, err := PrivateJWK(private, map[string]any{"kid": "leaked"})
			if err != nil {
				t.Fatal(err)
			}
			key := parse(t, data)
			if !key.Private || key.ID != "leaked" {
				t.Errorf("Private, ID = %v, %q, want true, leaked", key.Private, key.ID)
			}
			if !key.Same(newKey(t, private)) {
				t.Error("the public part is another key")
			}
			again := jwkOf(t, key.Public())
			for _, name := range privateMembers {
				if _, ok := again[name]; ok {
					t.Errorf("private member %s was kept", name)
				}
			}
		})
	}
	for _, name := range privateMembers {
		t.Run("KS-19/reports_"+name, func(t *testing.T) {
			for _, value := range []any{"AQAB", "%", 3, nil} { // never read, so its form does not matter
				if !parse(t, jwkOf(t, rsaKey().Public()).with(doc{name: value})).Private {
					t.Errorf("%s = %v is not reported", name, value)
				}
			}
		})
	}
	t.Run("KS-19/control_public_key", func(t *testing.T) {
		if parse(t, jwkOf(t, rsaKey().Public()).with(nil)).Private {
			t.Error("a public key is reported as private")
		}
	})
}

func TestParseUseAndOperations(t *testing.T) {
	good := jwkOf(t, p256().Public())
	sig := sign(t, "ES256", p256())
	for _, tc := range []struct {
		name string
		edit doc
		want bool
	}{
		{"KS-16/control_no_use", doc{}, true},
		{"KS-16/control_sig", doc{"use": "sig"}, true},
		{"KS-16/E11_enc", doc{"use": "enc"}, false},
		{"KS-16/upper_case", doc{"use": "SIG"}, false},
		{"KS-16/empty", doc{"use": ""}, false},
		{"KS-16/unknown", doc{"use": "sign"}, false},
		{"KS-17/control_verify", doc{"key_ops": []string{"verify"}}, true},
		{"KS-17/control_sign_and_verify", doc{"key_ops": []string{"sign", "verify"}}, true},
		{"KS-17/E11_encrypt", doc{"key_ops": []string{"encrypt"}}, false},
		{"KS-17/sign_only", doc{"key_ops": []string{"sign"}}, false},
		{"KS-17/empty", doc{"key_ops": []string{}}, false},
		{"KS-17/upper_case", doc{"key_ops": []string{"Verify"}}, false},
		{"KS-17/control_both", doc{"use": "sig", "key_ops": []string{"verify"}}, true},
		{"KS-17/E11_use_sig_ops_encrypt", doc{"use": "sig", "key_ops": []string{"encrypt"}}, false},
		{"KS-17/E11_use_enc_ops_verify", doc{"use": "enc", "key_ops": []string{"verify"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key := parse(t, good.with(tc.edit))
			if got := key.Fits("ES256"); got != tc.want {
				t.Errorf("Fits = %v, want %v", got, tc.want)
			}
			verifies(t, key, "ES256", sig, tc.want)
			if ops, ok := tc.edit["key_ops"].([]string); key.HasOps != ok || !slices.Equal(key.Ops, ops) {
				t.Errorf("Ops, HasOps = %v, %v, want %v, %v", key.Ops, key.HasOps, ops, ok)
			}
		})
	}
}

// TestParseErrorsQuoteNothing puts a canary where a fault is reported.
func TestParseErrorsQuoteNothing(t *testing.T) {
	const canary = "CANARY"
	docs := [][]byte{[]byte(`{"CANARY":`), []byte(`{"kty":"RSA","kty":"CANARY"}`), doc{"kty": "oct", "k": canary}.with(nil)}
	for _, private := range []crypto.Signer{rsaKey(), p256(), ed()} {
		good := jwkOf(t, private.Public())
		for _, name := range []string{"kty", "crv", "n", "e", "x", "y"} {
			if _, ok := good[name]; ok {
				docs = append(docs, good.with(doc{name: canary}), good.with(doc{name: canary + "!"}), good.with(doc{name: []string{canary}}))
			}
		}
		for _, name := range []string{"kid", "alg", "use", "key_ops"} {
			docs = append(docs, good.with(doc{name: doc{canary: canary}}), good.with(doc{name: []any{canary, canary, 1}}))
		}
		docs = append(docs, good.with(doc{"key_ops": []string{canary, canary}}))
	}
	t.Run("SE-02/key_error_text", func(t *testing.T) {
		for _, data := range docs {
			_, err := ParseKey(data)
			if err == nil {
				t.Errorf("accepted: %s", data)
			} else if strings.Contains(err.Error(), canary) {
				t.Errorf("error quotes the JWK: %v", err)
			}
		}
	})
}
