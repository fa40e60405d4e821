// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"
)

func TestSignRefusesForeignKeys(t *testing.T) {
	for alg, kind := range kinds {
		a, _ := lookup(alg)
		for name, private := range signers() {
			_, err := Sign(alg, private, input)
			sameFamily := kind == name || (a.family == ec && name != "RSA" && name != "Ed25519")
			if (err == nil) != sameFamily {
				t.Errorf("Sign(%s) with %s: %v", alg, name, err)
			}
		}
		for _, private := range []any{nil, secret64, "text", 7} {
			if _, err := Sign(alg, private, input); err == nil {
				t.Errorf("Sign(%s) accepts a %T", alg, private)
			}
		}
	}
	for _, private := range []any{nil, rsaKey(), ed(), "text"} {
		if _, err := Sign("HS256", private, input); err == nil {
			t.Errorf("Sign(HS256) accepts a %T", private)
		}
	}
}

// TestSignWithUnfitKeys makes what the test kit needs to show refusals.
func TestSignWithUnfitKeys(t *testing.T) {
	if _, err := Sign("RS256", weakRSA(), input); err != nil {
		t.Errorf("1024-bit RSA: %v", err)
	}
	if sig := sign(t, "ES256", p521()); len(sig) != 132 {
		t.Errorf("ES256 by P-521 has %d octets", len(sig))
	}
}

func TestPublicJWK(t *testing.T) {
	data, err := PublicJWK(rsaKey().Public(), map[string]any{"kid": "a", "alg": "RS256", "use": "sig", "n": "over", "nil": nil})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, data) // n was replaced
	for _, pub := range []any{nil, rsaKey(), p256(), ed(), secret64, "text"} {
		if data, err := PublicJWK(pub, nil); err == nil {
			t.Errorf("PublicJWK(%T) = %s", pub, data)
		}
	}
	for _, pub := range []any{&rsa.PublicKey{}, newEC(elliptic.P224()).Public()} {
		if data, err := PublicJWK(pub, nil); err == nil {
			t.Errorf("PublicJWK(%T) = %s", pub, data)
		}
	}
	if _, err := PublicJWK(rsaKey().Public(), map[string]any{"kid": func() {}}); err == nil {
		t.Error("PublicJWK accepts a member that JSON cannot hold")
	}
	weak := must(rsa.GenerateKey(rand.Reader, 1024))
	refused(t, must(PublicJWK(weak.Public(), nil)))
}
