// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/ed25519"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// TestBadKeys: what stands in the key set has the fault that its name says, and the
// signature is right as far as there is a key for it: else a token would be refused for
// another reason than this.
func TestBadKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		repair func(jwk map[string]any) // takes the fault away; nil: it is not in the JWK
		alg    string                   // of the tokens
		fault  string                   // in the published text
	}{
		"enc":             {func(jwk map[string]any) { jwk["use"] = "sig" }, "ES256", `"use":"enc"`},
		"ops-encrypt":     {func(jwk map[string]any) { delete(jwk, "key_ops") }, "ES256", `"key_ops":["encrypt"]`},
		"ops-against-use": {func(jwk map[string]any) { delete(jwk, "key_ops") }, "ES256", `"use":"sig"`},
		"unknown-alg":     {func(jwk map[string]any) { jwk["alg"] = "ES256" }, "ES256", `"alg":"ES999"`},
		"kid-number":      {func(jwk map[string]any) { jwk["kid"] = "7" }, "ES256", `"kid":7`},
		"kid-null":        {func(jwk map[string]any) { jwk["kid"] = "null" }, "ES256", `"kid":null`},
		"kid-missing":     {func(jwk map[string]any) { jwk["kid"] = "undefined" }, "ES512", `"crv":"P-521"`},
		"unknown-kty":     {func(jwk map[string]any) { jwk["kty"] = "EC" }, "ES256", `"kty":"XX"`},
		"unknown-crv":     {func(jwk map[string]any) { jwk["crv"] = "P-256" }, "ES256", `"crv":"P-257"`},
		"short-x":         {func(jwk map[string]any) { jwk["x"] = longer(jwk["x"]) }, "ES256", `"crv":"P-256"`},
		"long-kid":        {func(map[string]any) {}, "ES256", `"kid":"hostile-kk`},
		"rsa-long-e":      {func(jwk map[string]any) { jwk["e"] = "AQAB" }, "RS256", `"e":"AQABAAE"`},
		"long-x":          {func(jwk map[string]any) { jwk["x"] = shorter(jwk["x"]) }, "ES256", `"x":"A`},
		"rsa-padded":      {func(jwk map[string]any) { jwk["n"] = strings.TrimRight(jwk["n"].(string), "=") }, "RS256", `=="`},
		"rsa-as-rs512":    {func(jwk map[string]any) { jwk["alg"] = "RS256" }, "RS256", `"alg":"RS512"`},
		"rsa-as-ps256":    {func(jwk map[string]any) { jwk["alg"] = "RS256" }, "RS256", `"alg":"PS256"`},
		"private":         {func(map[string]any) {}, "EdDSA", `"d":"`},
	} {
		t.Run("TA-22/"+name, func(t *testing.T) {
			k, err := badKeyNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := k.sign(k.alg, "text")
			if err != nil {
				t.Fatal(err)
			}
			if len(k.jwks) != 1 || !strings.Contains(string(k.jwks[0]), tc.fault) {
				t.Errorf("%s without %s", k.jwks, tc.fault)
			}
			key, err := repaired(k.jwks[0], tc.repair)
			if err != nil {
				t.Fatal(err)
			}
			if !key.Verify(tc.alg, []byte("text"), sig) || key.ID != k.kid {
				t.Errorf("the repaired key does not verify, or its kid %q is not %q", key.ID, k.kid)
			}
		})
	}
}

func shorter(x any) string {
	b, _ := b64.DecodeString(x.(string))
	return b64.EncodeToString(b[1:])
}

func longer(x any) string {
	b, _ := b64.DecodeString(x.(string))
	return b64.EncodeToString(append([]byte{0}, b...))
}

func repaired(text json.RawMessage, repair func(map[string]any)) (*jose.Key, error) {
	var jwk map[string]any
	if err := json.Unmarshal(text, &jwk); err != nil {
		return nil, err
	}
	repair(jwk)
	text, err := json.Marshal(jwk)
	if err != nil {
		return nil, err
	}
	return jose.ParseKey(text)
}

// TestUnusableKeys: no key of these is one for a strict reader.
func TestUnusableKeys(t *testing.T) {
	usable := []string{ // as such; the fault is in what they are used for
		"rsa-as-rs512", "rsa-as-ps256", "p256-as-es384", "p256-as-es512", "p384-as-es256", "unknown-alg", "enc", "ops-encrypt",
		"ops-against-use", "kid-missing", "long-kid", "private",
	}
	for _, r := range badKeyRecipes {
		k, err := r.make()
		if err != nil {
			t.Fatal(err)
		}
		for _, jwk := range k.jwks {
			if _, err := jose.ParseKey(jwk); (err == nil) != slices.Contains(usable, r.name) {
				t.Errorf("%s: %v", r.name, err)
			}
		}
	}
}

// TestLongKeyID: one character more than JV-12 allows.
func TestLongKeyID(t *testing.T) {
	if k, err := badKeyNamed("long-kid"); err != nil || len(k.kid) != 513 {
		t.Errorf("%d characters, %v", len(k.kid), err)
	}
}

// TestKoblitz: the key is on its curve (SEC 2 §2.4.1), and its signatures are right (SEC 1
// §4.1.4), so that whoever knows ES256K takes them.
func TestKoblitz(t *testing.T) {
	t.Parallel()
	k, err := badKeyNamed("secp256k1")
	if err != nil {
		t.Fatal(err)
	}
	var jwk struct{ Crv, Alg, X, Y string }
	if err := json.Unmarshal(k.jwks[0], &jwk); err != nil || jwk.Crv != "secp256k1" || jwk.Alg != "ES256K" {
		t.Errorf("%s %v", k.jwks[0], err)
	}
	q := &koblitzPoint{number(t, jwk.X), number(t, jwk.Y)}
	for _, point := range []*koblitzPoint{q, koblitzBase} {
		left, right := new(big.Int).Mul(point.y, point.y), new(big.Int).Exp(point.x, big.NewInt(3), nil)
		if right.Sub(right.Add(right, big.NewInt(7)), left).Mod(right, koblitzField).Sign() != 0 || point.times(koblitzOrder) != nil {
			t.Errorf("%v is not on the curve, or not of its order", point)
		}
	}
	for _, input := range []string{"a", "b", ""} {
		sig, err := k.sign("ES256K", input)
		if err != nil || len(sig) != 64 {
			t.Fatalf("%d octets, %v", len(sig), err)
		}
		if !koblitzVerify(q, input, sig) || koblitzVerify(q, input+"x", sig) || koblitzVerify(koblitzBase, input, sig) {
			t.Errorf("the signature of %q is wrong, or one of everything", input)
		}
	}
}

func number(t *testing.T, text string) *big.Int {
	t.Helper()
	b, err := b64.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return new(big.Int).SetBytes(b)
}

func koblitzVerify(q *koblitzPoint, input string, sig []byte) bool {
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	w := s.ModInverse(s, koblitzOrder)
	u := koblitzBase.times(new(big.Int).Mod(new(big.Int).Mul(new(big.Int).SetBytes(hash256(input)), w), koblitzOrder))
	v := u.plus(q.times(new(big.Int).Mod(new(big.Int).Mul(r, w), koblitzOrder)))
	return v != nil && v.x.Mod(v.x, koblitzOrder).Cmp(r) == 0
}

// TestSmallOrder: the standard library takes the fixed signature for every text.
func TestSmallOrder(t *testing.T) {
	k, err := badKeyNamed("ed25519-small-order")
	if err != nil {
		t.Fatal(err)
	}
	var jwk struct{ X string }
	if err := json.Unmarshal(k.jwks[0], &jwk); err != nil {
		t.Fatal(err)
	}
	pub, err := b64.DecodeString(jwk.X)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a", "b", strings.Repeat("c", 1000)} {
		if sig, err := k.sign("", text); err != nil || !ed25519.Verify(pub, []byte(text), sig) {
			t.Errorf("%s is not verified (%v)", text, err)
		}
	}
}

// TestKeySetOfBadKeys: they fit into one set with the good ones, under the bounds of DF-07.
func TestKeySetOfBadKeys(t *testing.T) {
	f := forgeryFor(t, "ES256")
	keys, err := f.keys()
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, k := range keys {
		size += len(k)
		if !json.Valid(k) {
			t.Errorf("%s is no JSON", k)
		}
	}
	if len(keys) < len(badKeyRecipes) || len(keys) > 90 || size > 64<<10 {
		t.Errorf("%d keys in %d bytes", len(keys), size)
	}
	used := map[string]bool{}
	for _, c := range catalogue() {
		for _, r := range c.Tokens {
			used[strings.TrimPrefix(r.Sign, "key:")] = true
		}
	}
	for _, r := range badKeyRecipes {
		if !used[r.name] {
			t.Errorf("no case uses the key %s", r.name)
		}
	}
	for _, r := range goodKeyRecipes {
		if !used[r.name] {
			t.Errorf("no case uses the key %s", r.name)
		}
	}
	again, err := f.keys()
	if err != nil || !slices.EqualFunc(keys, again, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
		t.Errorf("made anew (%v)", err)
	}
}

// TestGoodKeysBesideOthers: what must pass is signed as the issuer signs, by one of the
// published keys, at the place that its name says.
func TestGoodKeysBesideOthers(t *testing.T) {
	t.Parallel()
	places := map[string]int{"same-kid-other-type": 1, "same-kid-other-type-behind": 0, "same-kid-same-type": 1, "same-kid-same-type-behind": 0, "x5c-of-another": 0}
	for _, alg := range []string{"RS256", "PS384", "ES256", "ES512", "EdDSA", "Ed25519"} {
		for _, r := range goodKeyRecipes {
			t.Run("TA-22/"+r.name+"_"+alg, func(t *testing.T) {
				s := forged(t, forgeryFor(t, alg), recipe{Sign: "key:" + r.name})
				k, _, err := goodKeyNamed(r.name, alg)
				if err != nil {
					t.Fatal(err)
				}
				if s.header["alg"] != alg || s.header["kid"] != k.kid || k.kid != "hostile-"+r.name {
					t.Errorf("%v", s.header)
				}
				for i, jwk := range k.jwks {
					key, err := jose.ParseKey(jwk)
					if err != nil {
						t.Fatal(err)
					}
					if good := key.Fits(alg) && key.Verify(alg, []byte(s.input), s.sig); good != (i == places[r.name]) || key.ID != k.kid {
						t.Errorf("key %d of %d, %q: verifies %v", i, len(k.jwks), key.ID, good)
					}
				}
				other := strings.Contains(r.name, "other-type")
				if len(k.jwks) == 2 && (strings.Contains(string(k.jwks[0]), kindOf(alg)) == strings.Contains(string(k.jwks[1]), kindOf(alg))) == other {
					t.Errorf("kinds: %s", k.jwks)
				}
				if len(k.jwks) == 1 && !strings.Contains(string(k.jwks[0]), `"x5c":["`) {
					t.Errorf("%s", k.jwks)
				}
			})
		}
	}
}

// kindOf is a text that JWKs for alg hold and those for others do not.
func kindOf(alg string) string {
	return map[string]string{"RS256": `"RSA"`, "PS384": `"RSA"`, "ES256": `"P-256"`, "ES512": `"P-521"`, "EdDSA": `"OKP"`, "Ed25519": `"OKP"`}[alg]
}
