// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

// AL-08 and the like are decided when a set is read: a key counted by Len can
// verify, one that is not can never.
func TestUsableKeys(t *testing.T) {
	rsaJWK := func(n *big.Int, e int64) raw {
		return raw(fmt.Sprintf(`{"kty":"RSA","kid":"one","n":%q,"e":%q}`, b64(string(n.Bytes())), b64(string(big.NewInt(e).Bytes()))))
	}
	modulus := func(bits uint) *big.Int { // odd, and of exactly this length
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return n.Add(n, big.NewInt(1))
	}
	ecJWK := func(x, y []byte) raw {
		return raw(fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"one","x":%q,"y":%q}`, b64(string(x)), b64(string(y))))
	}
	point := ok(ec256().PublicKey.Bytes())
	x, y := point[1:33], point[33:]
	okp := func(x []byte) raw {
		return raw(fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"one","x":%q}`, b64(string(x))))
	}
	for _, tt := range []struct {
		name   string
		usable bool
		keys   []raw
	}{
		{"DF-15/inside", true, []raw{rsaJWK(modulus(2048), 65537), rsaJWK(modulus(8192), 65537)}},
		{"DF-15/E3_outside", false, []raw{rsaJWK(modulus(2047), 65537), rsaJWK(modulus(8193), 65537), rsaJWK(modulus(16384), 1<<31-1)}},
		{"AL-08/E2_small", false, []raw{rsaJWK(modulus(512), 65537), rsaJWK(modulus(1024), 65537)}},
		{"AL-09/E3_exponent", false, []raw{
			rsaJWK(rsaOne().N, 1), rsaJWK(rsaOne().N, 2), rsaJWK(rsaOne().N, 3), rsaJWK(rsaOne().N, 4), rsaJWK(rsaOne().N, 65535),
			rsaJWK(rsaOne().N, 65538), rsaJWK(rsaOne().N, 1<<31+1), rsaJWK(rsaOne().N, 1<<33+1), rsaJWK(rsaOne().N, 1<<32+65537),
		}},
		{"AL-09/bounds", true, []raw{rsaJWK(rsaOne().N, 65537), rsaJWK(rsaOne().N, 1<<31-1)}},
		{"AL-12/on_curve", true, []raw{ecJWK(x, y)}},
		{"AL-12/E6_off_curve", false, []raw{ecJWK(y, x), ecJWK(make([]byte, 32), make([]byte, 32)), ecJWK(x, append(slices.Clone(y[:31]), y[31]^1))}},
		{"AL-12/E6_length", false, []raw{ecJWK(x[:31], y), ecJWK(x, append([]byte{0}, y...)), ecJWK(append([]byte{0}, x...), append([]byte{0}, y...))}},
		{"AL-12/E6_missing", false, []raw{raw(`{"kty":"EC","crv":"P-256","kid":"one"}`), ecJWK(x, nil), ecJWK(nil, y)}},
		{"AL-13/32_bytes", true, []raw{okp(ed(1).Public().(ed25519.PublicKey))}},
		{"AL-13/E7_length", false, []raw{okp(nil), okp(make([]byte, 31)), okp(make([]byte, 33)), raw(`{"kty":"OKP","crv":"Ed25519","kid":"one"}`)}},
		{"AL-13/E8_small_order", false, smallOrderKeys(okp)},
		{"KS-15/E9_unknown_kty_or_crv", false, []raw{
			raw(`{"kty":"XYZ","kid":"one"}`), raw(`{"kid":"one"}`), raw(`{"kty":"EC","crv":"P-192","kid":"one","x":"AA","y":"AA"}`),
			raw(`{"kty":"EC","crv":"secp256k1","kid":"one","x":"` + b64(string(x)) + `","y":"` + b64(string(y)) + `"}`),
			raw(`{"kty":"OKP","crv":"X25519","kid":"one","x":"` + b64(string(x)) + `"}`), raw(`{"kty":"OKP","crv":"Ed448","kid":"one","x":"AA"}`),
			raw(`{"KTY":"RSA","kid":"one"}`), raw(`{}`), raw(`null`), raw(`1`), raw(`"one"`), raw(`[]`),
		}},
		{"KS-15/E5_encoding", false, []raw{
			raw(`{"kty":"RSA","kid":"one","e":"AQAB","n":"` + base64.URLEncoding.EncodeToString(append(rsaOne().N.Bytes(), 1)) + `"}`),
			raw(`{"kty":"RSA","kid":"one","e":"AQAB","n":"` + base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 256)) + `"}`),
			raw(`{"kty":"RSA","kid":"one","e":"AQAB","n":5}`), raw(`{"kty":"RSA","kid":"one","e":65537,"n":"AQAB"}`), raw(`{"kty":"RSA","kid":"one","n":"","e":""}`),
		}},
		{"KS-15/E15_kid_not_a_string", false, []raw{jwk(rsaOne(), object{"kid": 1}), jwk(rsaOne(), object{"kid": nullJSON})}},
		{"KS-18/oct", false, []raw{raw(`{"kty":"oct","kid":"one","alg":"HS256","k":"` + b64(strings.Repeat("k", 32)) + `"}`)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if len(tt.keys) == 0 {
				t.Fatal("no keys")
			}
			for _, key := range tt.keys {
				checkUsable(t, key, tt.usable)
			}
		})
	}
	t.Run("KS-15/E5_leading_zeros_never_panic", func(t *testing.T) {
		key := raw(`{"kty":"RSA","kid":"one","e":"` + b64("\x00\x01\x00\x01") + `","n":"` + b64("\x00"+string(rsaOne().N.Bytes())) + `"}`)
		set, _, err := verifier.ParseKeySet([]byte(`{"keys":[` + string(key) + `]}`))
		if err != nil || set.Len() != 1 {
			t.Fatalf("%d keys, %v; the number counts, not its encoding", set.Len(), err)
		}
		expect(t, newVerifier(t, withKeys(set)), token(nil, nil), nil)
	})
}

var nullJSON = raw("null")

// smallOrderKeys are encodings of points whose order divides 8 (RFC 8032 §5.1.3),
// canonical and not, each with both signs of x.
func smallOrderKeys(okp func([]byte) raw) (keys []raw) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	ys := []*big.Int{big.NewInt(0), big.NewInt(1), new(big.Int).Sub(p, big.NewInt(1)), p, new(big.Int).Add(p, big.NewInt(1))}
	for _, y := range append(ys, orderEight(p)...) {
		for _, sign := range []byte{0, 0x80} {
			enc := y.FillBytes(make([]byte, 32))
			slices.Reverse(enc)
			enc[31] |= sign
			keys = append(keys, okp(enc))
		}
	}
	return keys
}

// orderEight solves d*y^4 + 2*y^2 - 1 = 0 mod p: a point of order 8 doubles to one
// with y = 0, so there x^2 = -y^2 on the curve -x^2 + y^2 = 1 + d*x^2*y^2.
func orderEight(p *big.Int) (ys []*big.Int) {
	inverse := func(n *big.Int) *big.Int { return new(big.Int).ModInverse(n, p) }
	d := new(big.Int).Mul(big.NewInt(-121665), inverse(big.NewInt(121666)))
	root := new(big.Int).ModSqrt(new(big.Int).Mod(new(big.Int).Add(d, big.NewInt(1)), p), p)
	for _, r := range []*big.Int{root, new(big.Int).Neg(root)} {
		square := new(big.Int).Mul(new(big.Int).Sub(r, big.NewInt(1)), inverse(new(big.Int).Mod(d, p)))
		if y := new(big.Int).ModSqrt(square.Mod(square, p), p); y != nil {
			ys = append(ys, y, new(big.Int).Sub(p, y))
		}
	}
	return ys
}

// checkUsable reads a set of this key and a good one with another kid, which must
// stay usable whatever the first is.
func checkUsable(t *testing.T, key raw, usable bool) {
	t.Helper()
	doc := `{"keys":[` + string(key) + `,` + string(jwk(ed(7), object{"kid": "good"})) + `]}`
	set, skipped, err := verifier.ParseKeySet([]byte(doc))
	if err != nil {
		t.Fatalf("%.120s: %v", key, err)
	}
	if got := set.Len() == 2; got != usable || (len(skipped) == 0) != usable {
		t.Errorf("%.120s: usable %v, want %v; notes %v", key, got, usable, skipped)
	}
	v := newVerifier(t, withKeys(set))
	expect(t, v, edToken(7, "good"), nil)
	if !usable {
		expect(t, v, token(nil, nil), verifier.ErrUnknownKey)
	}
}

func TestWeakKeysInUse(t *testing.T) {
	t.Run("AL-08/E2_signed_by_small_keys", func(t *testing.T) {
		for _, bits := range []int{1024, 2047} {
			weak := ok(rsa.GenerateKey(rand.Reader, bits))
			v := newVerifier(t, withKeys(jwks(jwk(weak, object{"kid": "one"}))))
			expect(t, v, sign(weak, "RS256", goodHeader().String(), goodClaims().String()), verifier.ErrUnknownKey)
		}
	})
	t.Run("AL-13/E8_identity_verifies_anything", func(t *testing.T) {
		identity := append([]byte{1}, make([]byte, 31)...)
		set := jwks(raw(`{"kty":"OKP","crv":"Ed25519","kid":"one","x":"` + b64(string(identity)) + `"}`))
		forged := signedWith("EdDSA", func(string) []byte { return append(identity, make([]byte, 32)...) })
		expect(t, newVerifier(t, withKeys(set)), forged, verifier.ErrUnknownKey)
	})
	t.Run("KS-18/E1_token_keyed_with_a_published_oct_key", func(t *testing.T) {
		secret := bytes.Repeat([]byte("k"), 32)
		doc := `{"keys":[{"kty":"oct","kid":"one","alg":"HS256","k":"` + b64(string(secret)) + `"},` + string(jwk(rsaOne(), nil)) + `]}`
		set, skipped, err := verifier.ParseKeySet([]byte(doc))
		if err != nil || set.Len() != 1 || len(skipped) != 1 {
			t.Fatalf("%d keys, notes %v, %v; want one key and one note", set.Len(), skipped, err)
		}
		expect(t, newVerifier(t, withKeys(set)), algToken("HS256", secret), verifier.ErrAlgorithm)
	})
	t.Run("KS-14/only_unusable_keys", func(t *testing.T) {
		enc := string(jwk(rsaOne(), object{"kid": "one", "use": "enc"}))
		for _, doc := range []string{`{"keys":[` + enc + `]}`, `{"keys":[{"kty":"XYZ"}]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`, `{"keys":[]}`} {
			set, _, err := verifier.ParseKeySet([]byte(doc))
			if err != nil || set.Len() != 0 {
				t.Fatalf("%d keys, %v", set.Len(), err)
			}
			expect(t, newVerifier(t, withKeys(set)), token(nil, nil), verifier.ErrUnknownKey)
		}
		expect(t, newVerifier(t, withKeys(&verifier.KeySet{})), token(nil, nil), verifier.ErrUnknownKey)
	})
}

func TestKeyPermissions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		members object
		want    error
	}{
		{"KS-16/sig", object{"use": "sig"}, nil},
		{"KS-16/E11_enc", object{"use": "enc"}, verifier.ErrUnknownKey},
		{"KS-16/other", object{"use": "SIG"}, verifier.ErrUnknownKey},
		{"KS-16/empty", object{"use": ""}, verifier.ErrUnknownKey},
		{"KS-17/verify", object{"key_ops": []string{"verify"}}, nil},
		{"KS-17/verify_among_others", object{"key_ops": []string{"sign", "verify"}}, nil},
		{"KS-17/both_permit", object{"use": "sig", "key_ops": []string{"verify"}}, nil},
		{"KS-17/E11_encrypt", object{"key_ops": []string{"encrypt"}}, verifier.ErrUnknownKey},
		{"KS-17/sign_only", object{"key_ops": []string{"sign"}}, verifier.ErrUnknownKey},
		{"KS-17/empty", object{"key_ops": []string{}}, verifier.ErrUnknownKey},
		{"KS-17/E11_use_sig_ops_encrypt", object{"use": "sig", "key_ops": []string{"encrypt"}}, verifier.ErrUnknownKey},
		{"KS-17/use_enc_ops_verify", object{"use": "enc", "key_ops": []string{"verify"}}, verifier.ErrUnknownKey},
		{"KS-17/not_an_array", object{"key_ops": "verify"}, verifier.ErrUnknownKey},
		{"KS-15/E16_foreign_x5c_ignored", object{"x5c": []string{"MIIB"}, "x5t": "AA", "x5u": "https://evil.example/"}, nil},
		{"KS-15/unknown_members_ignored", object{"vendor": object{"a": 1}, "ALG": "none"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			members := object{"kid": "one"}.edit(tt.members)
			expect(t, newVerifier(t, withKeys(jwks(jwk(rsaOne(), members)))), token(nil, nil), tt.want)
		})
	}
}

func TestPrivateMembers(t *testing.T) {
	private := ok(jose.PrivateJWK(rsaOne(), object{"kid": "one"}))
	set, skipped, err := verifier.ParseKeySet([]byte(`{"keys":[` + string(private) + `]}`))
	t.Run("KS-19/used_and_reported", func(t *testing.T) {
		if err != nil || set.Len() != 1 || len(skipped) != 1 || !errors.Is(skipped[0], verifier.ErrPrivateKey) {
			t.Fatalf("%d keys, notes %v, %v; want one key and ErrPrivateKey", set.Len(), skipped, err)
		}
		expect(t, newVerifier(t, withKeys(set)), token(nil, nil), nil)
	})
	t.Run("KS-19/no_private_value_retained", func(t *testing.T) {
		set, secret := parseAndForget()
		dump := heapDump(t)
		runtime.KeepAlive(set)
		if bytes.Contains(dump, backwards(secret)) {
			t.Error("a private value of the JWK is in memory")
		}
		if !bytes.Contains(dump, []byte("kid-of-the-published-one")) {
			t.Error("nothing of the set is in memory: the dump proves nothing")
		}
	})
	t.Run("KS-19/public_key_has_no_note", func(t *testing.T) {
		if _, skipped, _ := verifier.ParseKeySet([]byte(`{"keys":[` + string(jwk(rsaOne(), nil)) + `]}`)); len(skipped) != 0 {
			t.Errorf("notes %v", skipped)
		}
	})
}

// parseAndForget returns a set made of a JWK with a private value, and that value
// backwards, so that only the set could keep it in memory.
//
//go:noinline
func parseAndForget() (*verifier.KeySet, []byte) {
	secret := rand.Text()
	doc := fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"kid-of-%s","x":%q,"d":%q}]}`,
		"the-published-one", b64(string(ed(1).Public().(ed25519.PublicKey))), secret)
	set, _, err := verifier.ParseKeySet(doc)
	return ok(set, err), backwards([]byte(secret))
}

func TestKeySetDocument(t *testing.T) {
	good := string(jwk(rsaOne(), object{"kid": "one"}))
	for _, tt := range []struct{ name, doc string }{
		{"KS-24/F32_keys_twice", `{"keys":[` + good + `],"keys":[]}`},
		{"KS-24/keys_twice_by_escape", `{"keys":[` + good + `],"\u006beys":[` + good + `]}`},
		{"KS-24/other_member_twice", `{"keys":[` + good + `],"a":1,"a":2}`},
		{"KS-24/deep_in_another_member", `{"keys":[` + good + `],"a":{"b":1,"b":2}}`},
		{"KS-05/F32_KEYS", `{"KEYS":[` + good + `]}`},
		{"KS-05/top_level_array", `[` + good + `]`},
		{"KS-05/no_keys", `{}`},
		{"KS-05/F7_null", `{"keys":null}`},
		{"KS-05/F7_object", `{"keys":{}}`},
		{"KS-05/empty", ``},
		{"KS-05/F6_HTML", `<html></html>`},
		{"KS-05/F8_truncated", `{"keys":[` + good},
		{"KS-05/F8_trailing", `{"keys":[` + good + `]}{}`},
		{"GO-13/BOM", "\ufeff" + `{"keys":[` + good + `]}`},
		{"GO-13/bad_UTF-8", `{"keys":[` + good + `],"a":"` + "\xff" + `"}`},
		{"DF-07/E17_101_keys", `{"keys":[` + strings.Repeat(good+",", 100) + good + `]}`},
		{"DF-07/E17_10000_keys", `{"keys":[` + strings.Repeat("{},", 9999) + `{}]}`},
		{"DF-03/depth_33", `{"keys":[` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if set, skipped, err := verifier.ParseKeySet([]byte(tt.doc)); err == nil || set != nil || skipped != nil {
				t.Errorf("%v, %v, %v; want only an error", set, skipped, err)
			}
		})
	}
	for _, tt := range []struct {
		name, doc string
		usable    int
		skipped   int
	}{
		{"KS-24/duplicate_in_a_key", `{"keys":[` + strings.Replace(good, "{", `{"kid":"one",`, 1) + `,` + good + `]}`, 1, 1},
		{"KS-24/duplicate_deep_in_a_key", `{"keys":[` + strings.Replace(good, "{", `{"a":[{"b":1,"b":2}],`, 1) + `,` + good + `]}`, 1, 1},
		{"KS-15/E10_one_broken", `{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"},` + good + `]}`, 1, 1},
		{"KS-15/not_objects", `{"keys":[1,null,"x",[],true,` + good + `]}`, 1, 5},
		{"KS-05/unknown_members", `{"a":{"b":[1]},"keys":[` + good + `],"KEYS":[]}`, 1, 0},
		{"DF-07/100_keys", `{"keys":[` + strings.Repeat(good+",", 99) + good + `]}`, 100, 0},
		{"DF-03/depth_32", `{"keys":[` + good + "," + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `]}`, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, skipped, err := verifier.ParseKeySet([]byte(tt.doc))
			if err != nil || set.Len() != tt.usable || len(skipped) != tt.skipped {
				t.Fatalf("%d keys, notes %v, %v; want %d keys, %d notes", set.Len(), skipped, err, tt.usable, tt.skipped)
			}
			expect(t, newVerifier(t, withKeys(set)), token(nil, nil), nil)
		})
	}
	t.Run("SE-02/no_value_in_notes", func(t *testing.T) {
		canary := rand.Text()
		for _, member := range []string{"kty", "crv", "n", "e", "x", "y", "kid", "alg", "use", "key_ops", canary} {
			for _, value := range []any{canary, []string{canary, canary}, object{canary: canary}} {
				for _, key := range oneOfEach() {
					doc := `{"keys":[` + string(jwk(key, object{member: value})) + `,{"` + canary + `":1,"` + canary + `":2}]}`
					_, skipped, err := verifier.ParseKeySet([]byte(doc))
					if text := fmt.Sprint(skipped, err); strings.Contains(text, canary) {
						t.Errorf("%s quoted: %s", member, text)
					}
				}
			}
		}
	})
}
