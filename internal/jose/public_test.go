// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// again is the key that the public JWK of k makes.
func again(t *testing.T, k *Key) *Key {
	t.Helper()
	text, err := k.PublicJWK()
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, text)
}

func TestKeyPublicJWK(t *testing.T) {
	kinds := map[string]doc{
		"short_P-256": jwkOf(t, shortEC(t, elliptic.P256()).Public()),
		"short_P-521": jwkOf(t, shortEC(t, elliptic.P521()).Public()),
	}
	for kind, private := range signers() {
		kinds[kind] = jwkOf(t, private.Public())
	}
	for kind, members := range kinds {
		for what, more := range map[string]doc{
			"bare":         {},
			"all":          {"kid": "k", "alg": "RS256", "use": "sig", "key_ops": []string{"verify", "sign"}, "issuer": "https://id.example/{tenant}"},
			"empty":        {"kid": "", "alg": "", "use": "", "key_ops": []string{}},
			"other_use":    {"use": "enc"},
			"other_ops":    {"key_ops": []string{"encrypt"}},
			"kid_only":     {"kid": "k"},
			"alg_only":     {"alg": "EdDSA"},
			"to_be_quoted": {"kid": "\"\\/\b\f\n\r\t\x00<>&\u2028é\U0001f511"},
		} {
			t.Run(fmt.Sprintf("JV-35/same_key_%s_%s", kind, what), func(t *testing.T) {
				k := parse(t, members.with(more))
				got := again(t, k)
				if !got.Same(k) || !k.Same(got) || got.ID != k.ID || got.HasID != k.HasID || got.Issuer != k.Issuer {
					t.Errorf("%+v became %+v", *k, *got)
				}
			})
		}
	}
}

// shortEC is a key one of whose coordinates begins with a zero octet, which must stay
// (RFC 7518 §6.2.1.2).
func shortEC(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	size := (curve.Params().BitSize + 7) / 8
	for {
		key := newEC(curve)
		point := must(key.PublicKey.Bytes())
		if point[1] == 0 || point[1+size] == 0 {
			return key
		}
	}
}

// TestKeyPublicJWKLeavesOut: the members that come out are these and no others.
func TestKeyPublicJWKLeavesOut(t *testing.T) {
	private := func(name string) doc {
		var d doc
		text := must(PrivateJWK(signers()[name], map[string]any{"kid": "k"}))
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	for kind, want := range map[string]string{"RSA": "e kid kty n", "P-256": "crv kid kty x y", "Ed25519": "crv kid kty x"} {
		t.Run("KS-19/"+kind, func(t *testing.T) {
			text := private(kind).with(doc{
				"priv": "CANARY", "k": "CANARY", "oth": []doc{{"d": "CANARY"}}, "x5c": []string{"CANARY"}, "more": doc{"d": "CANARY"},
			})
			k := parse(t, text)
			if !k.Private {
				t.Fatal("not a private key")
			}
			got, err := k.PublicJWK()
			if err != nil {
				t.Fatal(err)
			}
			var members map[string]any
			if err := json.Unmarshal(got, &members); err != nil {
				t.Fatal(err)
			}
			if names := strings.Join(slices.Sorted(maps.Keys(members)), " "); names != want {
				t.Errorf("members %q, want %q", names, want)
			}
			if bytes.Contains(got, []byte("CANARY")) || again(t, k).Private {
				t.Errorf("%s", got)
			}
		})
	}
	t.Run("SE-02/secret_has_none", func(t *testing.T) {
		for _, k := range []*Key{nil, {}, must(NewSecret("k", "HS256", secret64))} {
			if text, err := k.PublicJWK(); err == nil || text != nil {
				t.Errorf("%s, %v", text, err)
			}
		}
	})
}
