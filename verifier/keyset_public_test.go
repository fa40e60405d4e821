// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

// reread is the set that the public text of s makes, read without a note.
func reread(t *testing.T, s *verifier.KeySet) (*verifier.KeySet, string) {
	t.Helper()
	text, err := s.PublicJWKS()
	if err != nil {
		t.Fatal(err)
	}
	again, skipped, err := verifier.ParseKeySet(text)
	if err != nil || len(skipped) > 0 {
		t.Fatalf("%s: %v, %v", text, skipped, err)
	}
	return again, string(text)
}

func TestPublicJWKS(t *testing.T) {
	t.Run("JV-35/same_keys_in_order", func(t *testing.T) {
		set := jwks(jwk(ed(1), object{"kid": "b", "alg": "EdDSA"}), jwk(rsaOne(), object{"kid": "a", "use": "sig"}), jwk(ec256(), nil))
		again, text := reread(t, set)
		if !slices.Equal(again.Describe(), set.Describe()) {
			t.Errorf("%+v became %+v", set.Describe(), again.Describe())
		}
		if both := verifier.MergeKeySets(set, again); both.Len() != 3 {
			t.Errorf("%d keys, three of them in both sets", both.Len())
		}
		if _, third := reread(t, again); third != text {
			t.Errorf("%s\nbecame %s", text, third)
		}
		expect(t, newVerifier(t, withKeys(again)), token(object{"kid": "a"}, nil), nil)
	})
	t.Run("KS-19/no_private_member_and_no_note", func(t *testing.T) {
		set, skipped, err := verifier.ParseKeySet(slices.Concat([]byte(`{"d":"CANARY","keys":[{"kty":"oct","k":"CANARY"},`),
			ok(jose.PrivateJWK(rsaOne(), object{"kid": "one", "priv": "CANARY"})), []byte(`,["CANARY"]],"old":[{"d":"CANARY"}]}`)))
		if err != nil || len(skipped) != 3 {
			t.Fatal(skipped, err)
		}
		again, text := reread(t, set)
		if strings.Contains(text, "CANARY") || strings.Contains(text, `"d"`) {
			t.Errorf("%s", text)
		}
		expect(t, newVerifier(t, withKeys(again)), token(nil, nil), nil)
	})
	t.Run("KS-22/local_is_not_kept", func(t *testing.T) {
		set := jwks(jwk(rsaOne(), nil)).Local()
		expect(t, newVerifier(t, withKeys(set)), token(nil, nil), nil)
		again, _ := reread(t, set)
		expect(t, newVerifier(t, withKeys(again)), token(nil, nil), verifier.ErrUnknownKey)
	})
	t.Run("no_keys", func(t *testing.T) {
		for _, set := range []*verifier.KeySet{nil, {}, jwks()} {
			if text, err := set.PublicJWKS(); err != nil || !bytes.Equal(text, []byte(`{"keys":[]}`)) {
				t.Errorf("%s, %v", text, err)
			}
		}
	})
	t.Run("DF-07/100_keys", func(t *testing.T) {
		if again, _ := reread(t, jwks(edJWKs(1, 101, object{"kid": "k"})...)); again.Len() != 100 {
			t.Errorf("%d keys", again.Len())
		}
	})
}
