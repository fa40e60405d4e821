// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/ed25519"
	"encoding/json"
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
		"secp256k1":       {func(jwk map[string]any) { jwk["crv"], jwk["alg"] = "P-256", "ES256" }, "ES256", `"alg":"ES256K"`},
		"long-x":          {func(jwk map[string]any) { jwk["x"] = shorter(jwk["x"]) }, "ES256", `"x":"A`},
		"rsa-padded":      {func(jwk map[string]any) { jwk["n"] = strings.TrimRight(jwk["n"].(string), "=") }, "RS256", `=="`},
		"rsa-as-rs512":    {func(jwk map[string]any) { jwk["alg"] = "RS256" }, "RS256", `"alg":"RS512"`},
		"rsa-as-ps256":    {func(jwk map[string]any) { jwk["alg"] = "RS256" }, "RS256", `"alg":"PS256"`},
		"private":         {func(map[string]any) {}, "EdDSA", `"d":"`},
		"x5c-of-another":  {func(map[string]any) {}, "ES512", `"x5c":["`},
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
			if !key.Verify(tc.alg, "text", sig) || key.ID != k.kid {
				t.Errorf("the repaired key does not verify, or its kid %q is not %q", key.ID, k.kid)
			}
		})
	}
}

func shorter(x any) string {
	b, _ := b64.DecodeString(x.(string))
	return b64.EncodeToString(b[1:])
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
		"ops-against-use", "kid-missing", "private", "same-kid-other-type", "same-kid-same-type", "x5c-of-another",
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
	again, err := f.keys()
	if err != nil || !slices.EqualFunc(keys, again, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
		t.Errorf("made anew (%v)", err)
	}
}
