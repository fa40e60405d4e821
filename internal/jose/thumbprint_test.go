// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

func thumbprintOf(t testing.TB, key *Key) [32]byte {
	t.Helper()
	sum, err := key.Thumbprint()
	if err != nil {
		t.Fatalf("Thumbprint: %v", err)
	}
	return sum
}

func TestKnownThumbprints(t *testing.T) {
	for _, v := range readVectors(t).Thumbprints {
		t.Run(v.Name+"/thumbprint", func(t *testing.T) {
			sum := thumbprintOf(t, parse(t, v.JWK))
			if got := b64(sum[:]); got != v.Thumbprint {
				t.Errorf("thumbprint = %s, want %s (%s)", got, v.Thumbprint, v.Source)
			}
		})
	}
}

// TestThumbprintForm computes each thumbprint by hand from the text RFC 7638 §3.3
// prescribes.
func TestThumbprintForm(t *testing.T) {
	extra := doc{"kid": "a", "alg": "ES256", "use": "sig", "key_ops": []string{"verify"}, "d": "AAAA", "a": 1, "zz": "z"}
	for kind, private := range signers() {
		d := jwkOf(t, private.Public())
		text := fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, d["crv"], d["x"], d["y"])
		switch kind {
		case "RSA":
			text = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, d["e"], d["n"])
		case "Ed25519":
			text = fmt.Sprintf(`{"crv":%q,"kty":"OKP","x":%q}`, d["crv"], d["x"])
		}
		want := sha256.Sum256([]byte(text))
		for name, data := range map[string][]byte{"bare": d.with(nil), "with_other_members": d.with(extra)} {
			t.Run("AL-22/"+kind+"_"+name, func(t *testing.T) {
				if got := thumbprintOf(t, parse(t, data)); got != want {
					t.Errorf("thumbprint = %x, want %x", got, want)
				}
			})
		}
		t.Run("AL-22/"+kind+"_without_jwk", func(t *testing.T) {
			if got := thumbprintOf(t, newKey(t, private)); got != want {
				t.Errorf("thumbprint = %x, want %x", got, want)
			}
		})
	}
	t.Run("AL-22/leading_zeros_do_not_change_it", func(t *testing.T) {
		d := jwkOf(t, rsaKey().Public())
		padded := d.with(doc{"n": b64(append([]byte{0, 0}, rsaKey().N.Bytes()...)), "e": "AAEAAQ"})
		if thumbprintOf(t, parse(t, padded)) != thumbprintOf(t, newKey(t, rsaKey())) {
			t.Error("another thumbprint")
		}
	})
	t.Run("AL-22/secret_has_none", func(t *testing.T) {
		for _, key := range []*Key{must(NewSecret("", "HS256", secret64)), {}, nil} {
			if sum, err := key.Thumbprint(); err == nil {
				t.Errorf("thumbprint = %x", sum)
			}
		}
	})
}
