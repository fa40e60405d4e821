// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"testing"
)

// FuzzParseKey: no input panics; what is accepted is a key that the checks take
// again, and that survives being written and read.
func FuzzParseKey(f *testing.F) {
	for _, private := range signers() {
		good := jwkOf(f, private.Public())
		f.Add(good.with(nil))
		f.Add(good.with(doc{"kid": "a", "alg": "EdDSA", "use": "sig", "key_ops": []string{"verify"}, "x5c": []string{"MAA="}}))
		f.Add(good.with(doc{"e": "AAEAAQ", "d": "AQAB"}))
		f.Add(must(PrivateJWK(private, nil)))
	}
	f.Add(doc{"kty": "oct", "k": b64(secret64)}.with(nil))
	f.Add([]byte(`{"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`))
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"AA","y":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParseKey(data)
		if err != nil {
			if key != nil {
				t.Fatal("an error and a key")
			}
			return
		}
		sum := thumbprintOf(t, key)
		checked, err := checkedKey(key.Public())
		if err != nil || thumbprintOf(t, checked) != sum {
			t.Fatalf("the accepted key is refused or changed by checkedKey: %v", err)
		}
		written, err := PublicJWK(key.Public(), nil)
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		if again := parse(t, written); thumbprintOf(t, again) != sum || !again.Same(checked) {
			t.Fatalf("changed by writing and reading: %s", written)
		}
		for _, alg := range append(DefaultAlgorithms(), "HS256") {
			if key.Verify(alg, []byte(input), make([]byte, 256)) || key.Verify(alg, []byte(input), data) {
				t.Fatalf("%s: a signature that nobody made", alg)
			}
		}
	})
}
