// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/elliptic"
	"slices"
	"testing"
)

// foreign are names that no table may hold, with the row that says so.
var foreign = map[string][]string{
	"AL-01/C5":                   {"rs256", "Rs256", "RS256 ", " RS256", "RS256\x00", "RS256\n", "ＲＳ256", "es256", "eddsa", "EDDSA", "ed25519", "hs256", "", "RS2560", "RS25"},
	"AL-02/none":                 {"none", "None", "NONE", "nOnE", "noNE", "none "},
	"AL-03/C16_encryption":       {"RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "dir", "A256KW", "A256GCM", "ECDH-ES", "PBES2-HS256+A128KW"},
	"AL-03/other":                {"RS1", "HS1", "HS256/64", "MD5", "SHA256", "RS", "PS", "ES", "ML-DSA-65"},
	"AL-14/ed448":                {"Ed448"},
	"AL-15/cose_only":            {"ESP256", "ESP384", "ESP512", "ESB256", "ESB320", "ESB384", "ESB512"},
	"AL-16/C13_es256k":           {"ES256K"},
	"AL-06/identifiers_of_curve": {"P-256", "Ed25519ph", "EdDSA+Ed25519"},
}

func TestForeignAlgorithms(t *testing.T) {
	keys := []*Key{must(NewSecret("", "HS256", secret64)), {}, nil}
	for _, private := range signers() {
		keys = append(keys, newKey(t, private))
	}
	for row, names := range foreign {
		t.Run(row, func(t *testing.T) {
			for _, name := range names {
				if known(name) || HMAC(name) || slices.Contains(DefaultAlgorithms(), name) {
					t.Errorf("%q is known", name)
				}
				for _, key := range keys {
					if key.Fits(name) || key.Verify(name, []byte(input), sign(t, "RS256", rsaKey())) || key.Verify(name, []byte(input), nil) {
						t.Errorf("%q fits a key", name)
					}
				}
				if _, err := Sign(name, rsaKey(), input); err == nil {
					t.Errorf("Sign accepts %q", name)
				}
				if _, err := NewSecret("", name, secret64); err == nil {
					t.Errorf("NewSecret accepts %q", name)
				}
			}
		})
	}
}

func TestDefaultAlgorithms(t *testing.T) {
	t.Run("AL-03/list", func(t *testing.T) {
		want := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
		if got := DefaultAlgorithms(); !slices.Equal(got, want) {
			t.Errorf("DefaultAlgorithms = %v, want %v", got, want)
		}
	})
	t.Run("SE-10/list_is_a_copy", func(t *testing.T) {
		DefaultAlgorithms()[0] = "none"
		if got := DefaultAlgorithms()[0]; got != "RS256" {
			t.Errorf("first default algorithm = %q", got)
		}
	})
	t.Run("AL-04/hmac_is_known_but_not_default", func(t *testing.T) {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			if !known(alg) || !HMAC(alg) || slices.Contains(DefaultAlgorithms(), alg) {
				t.Errorf("%s: known %v, HMAC %v", alg, known(alg), HMAC(alg))
			}
		}
		for _, alg := range DefaultAlgorithms() {
			if !known(alg) || HMAC(alg) {
				t.Errorf("%s: known %v, HMAC %v", alg, known(alg), HMAC(alg))
			}
		}
	})
}

// TestPairing tries every algorithm with every kind of key, each time with the
// best signature that key can make, so that only the pairing is at fault.
func TestPairing(t *testing.T) {
	for alg, kind := range kinds {
		for name, private := range signers() {
			sig, err := Sign(alg, private, input)
			if err != nil {
				sig = must(Sign(firstFor(name), private, input))
			}
			t.Run("AL-06/"+alg+"_with_"+name, func(t *testing.T) {
				key := newKey(t, private)
				if key.Fits(alg) != (kind == name) {
					t.Errorf("Fits = %v, want %v", key.Fits(alg), kind == name)
				}
				verifies(t, key, alg, sig, kind == name)
			})
		}
		t.Run("AL-06/"+alg+"_with_secret", func(t *testing.T) {
			key := must(NewSecret("", "HS256", secret64))
			verifies(t, key, alg, sign(t, "HS256", secret64), false)
		})
	}
}

// firstFor is an algorithm that the kind of key can sign.
func firstFor(kind string) string {
	for _, alg := range DefaultAlgorithms() {
		if kinds[alg] == kind {
			return alg
		}
	}
	return ""
}

// TestCurvePairing is the pairing a careless verifier misses: the hash is that of
// alg and the signature is right, only the curve is another (C12).
func TestCurvePairing(t *testing.T) {
	for _, tc := range []struct {
		alg   string
		curve elliptic.Curve
	}{
		{"ES256", elliptic.P384()}, {"ES256", elliptic.P521()}, {"ES384", elliptic.P256()},
		{"ES384", elliptic.P521()}, {"ES512", elliptic.P256()}, {"ES512", elliptic.P384()},
	} {
		t.Run("AL-06/C12_"+tc.alg+"_"+tc.curve.Params().Name, func(t *testing.T) {
			private := newEC(tc.curve)
			a, _ := lookup(tc.alg)
			sig := sign(t, tc.alg, private)
			if !verifyEC(a, &private.PublicKey, []byte(input), sig) {
				t.Fatal("the signature itself is wrong, so the test proves nothing")
			}
			key := newKey(t, private)
			if key.Fits(tc.alg) {
				t.Error("Fits = true")
			}
			verifies(t, key, tc.alg, sig, false)
		})
	}
}

func TestKeyAlgorithm(t *testing.T) {
	for _, tc := range []struct {
		name    string
		private crypto.Signer
		jwk     any
		alg     string
		want    bool
	}{
		{"control_absent", rsaKey(), absent{}, "RS256", true},
		{"control_equal", rsaKey(), "RS256", "RS256", true},
		{"ps256_key_rs256_token", rsaKey(), "PS256", "RS256", false},
		{"rs256_key_ps256_token", rsaKey(), "RS256", "PS256", false},
		{"C11_rs256_key_rs512_token", rsaKey(), "RS256", "RS512", false},
		{"rs512_key_rs256_token", rsaKey(), "RS512", "RS256", false},
		{"es384_key_es256_token", p256(), "ES384", "ES256", false},
		{"C15_EdDSA_key_EdDSA_token", ed(), "EdDSA", "EdDSA", true},
		{"C15_EdDSA_key_Ed25519_token", ed(), "EdDSA", "Ed25519", true},
		{"C15_Ed25519_key_EdDSA_token", ed(), "Ed25519", "EdDSA", true},
		{"C15_Ed25519_key_Ed25519_token", ed(), "Ed25519", "Ed25519", true},
		{"C15_Ed448_key_EdDSA_token", ed(), "Ed448", "EdDSA", false},
		{"C15_eddsa_lower_case_key", ed(), "eddsa", "EdDSA", false},
		{"EdDSA_key_of_ec_point", p256(), "EdDSA", "ES256", false},
		{"E9_unknown", rsaKey(), "XY999", "RS256", false},
		{"E9_encryption", rsaKey(), "RSA-OAEP", "RS256", false},
		{"E9_lower_case", rsaKey(), "rs256", "RS256", false},
		{"E9_empty", rsaKey(), "", "RS256", false},
		{"E9_none", rsaKey(), "none", "RS256", false},
		{"E9_hs256", rsaKey(), "HS256", "RS256", false},
	} {
		t.Run("AL-07/"+tc.name, func(t *testing.T) {
			key := parse(t, jwkOf(t, tc.private.Public()).with(doc{"alg": tc.jwk}))
			if got := key.Fits(tc.alg); got != tc.want {
				t.Errorf("Fits(%s) = %v, want %v", tc.alg, got, tc.want)
			}
			verifies(t, key, tc.alg, sign(t, tc.alg, tc.private), tc.want)
		})
	}
}

func TestSame(t *testing.T) {
	base := jwkOf(t, rsaKey().Public())
	full := doc{"kid": "a", "alg": "RS256", "use": "sig", "key_ops": []string{"verify"}}
	key := parse(t, base.with(full))
	for _, tc := range []struct {
		name string
		edit doc
		want bool
	}{
		{"unchanged", doc{}, true},
		{"another_kid", doc{"kid": "b"}, true},
		{"no_kid", doc{"kid": absent{}}, true},
		{"private_members", doc{"d": "AQAB"}, true},
		{"unknown_member", doc{"x5t": "AAAA"}, true},
		{"leading_zeros", doc{"e": "AAEAAQ"}, true},
		{"another_alg", doc{"alg": "RS512"}, false},
		{"no_alg", doc{"alg": absent{}}, false},
		{"empty_alg", doc{"alg": ""}, false},
		{"another_use", doc{"use": "enc"}, false},
		{"no_use", doc{"use": absent{}}, false},
		{"no_key_ops", doc{"key_ops": absent{}}, false},
		{"empty_key_ops", doc{"key_ops": []string{}}, false},
		{"another_key_ops", doc{"key_ops": []string{"encrypt"}}, false},
		{"another_modulus", doc{"n": jwkOf(t, otherRSA().Public())["n"]}, false},
		{"another_exponent", doc{"e": "AQAD"}, false},
	} {
		t.Run("JV-35/"+tc.name, func(t *testing.T) {
			edit := doc{}
			for _, d := range []doc{full, tc.edit} {
				for name, value := range d {
					edit[name] = value
				}
			}
			other := parse(t, base.with(edit))
			if key.Same(other) != tc.want || other.Same(key) != tc.want {
				t.Errorf("Same = %v, %v, want %v", key.Same(other), other.Same(key), tc.want)
			}
		})
	}
}

// TestSameEmptyMembers tells a member that is empty from one that is absent: only
// the absent one permits anything.
func TestSameEmptyMembers(t *testing.T) {
	base := jwkOf(t, p256().Public())
	for name, empty := range map[string]any{"alg": "", "use": "", "key_ops": []string{}} {
		t.Run("JV-35/empty_"+name+"_is_not_absent", func(t *testing.T) {
			a, b := parse(t, base.with(nil)), parse(t, base.with(doc{name: empty}))
			if a.Same(b) || b.Same(a) || !b.Same(b) {
				t.Errorf("Same = %v, %v, itself %v", a.Same(b), b.Same(a), b.Same(b))
			}
		})
	}
}

func TestSameMaterial(t *testing.T) {
	all := []*Key{
		must(NewSecret("a", "HS256", secret64)), must(NewSecret("a", "HS256", secret64[1:])),
		must(NewSecret("a", "HS384", secret64)), newKey(t, otherRSA()), newKey(t, newEC(elliptic.P256())), newKey(t, newEd()),
		{}, nil,
	}
	for _, private := range signers() {
		all = append(all, newKey(t, private))
	}
	t.Run("JV-35/each_key_is_the_same_as_itself_only", func(t *testing.T) {
		for i, a := range all {
			for j, b := range all {
				if a.Same(b) != (i == j) {
					t.Errorf("keys %d and %d: Same = %v", i, j, a.Same(b))
				}
			}
		}
	})
	t.Run("JV-35/secret_under_another_kid", func(t *testing.T) {
		if !all[0].Same(must(NewSecret("b", "HS256", secret64))) {
			t.Error("Same = false")
		}
	})
}
