// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// edSet is a set of the keys numbered so, without kid.
func edSet(numbers ...int) *verifier.KeySet {
	var keys []raw
	for _, n := range numbers {
		keys = append(keys, jwk(ed(n), nil))
	}
	return jwks(keys...)
}

func TestMergeKeySets(t *testing.T) {
	t.Run("KS-21/keys_of_all_parts", func(t *testing.T) {
		v := newVerifier(t, withKeys(verifier.MergeKeySets(edSet(1), nil, edSet(2, 3), &verifier.KeySet{})))
		for n := 1; n <= 3; n++ {
			expect(t, v, edToken(n, nil), nil)
		}
		expect(t, v, edToken(4, nil), verifier.ErrSignature)
	})
	t.Run("in_order", func(t *testing.T) {
		merged := verifier.MergeKeySets(jwks(jwk(ed(1), object{"kid": "b"})), jwks(jwk(ed(2), object{"kid": "a"}), jwk(ed(3), object{"kid": "c"})))
		var ids []string
		for _, k := range merged.Describe() {
			ids = append(ids, k.ID)
		}
		if !slices.Equal(ids, []string{"b", "a", "c"}) || merged.Len() != 3 {
			t.Errorf("%q", ids)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		for _, set := range []*verifier.KeySet{verifier.MergeKeySets(), verifier.MergeKeySets(nil, nil), verifier.MergeKeySets(&verifier.KeySet{})} {
			if set == nil || set.Len() != 0 {
				t.Errorf("%v", set)
			}
		}
	})
	t.Run("parts_stay_as_they_were", func(t *testing.T) {
		a, b := edSet(1), edSet(2)
		first := verifier.MergeKeySets(a, b)
		if second := verifier.MergeKeySets(a, edSet(3)); second == first || a.Len() != 1 || b.Len() != 1 || first.Len() != 2 {
			t.Errorf("%d, %d and %d keys", a.Len(), b.Len(), first.Len())
		}
		expect(t, newVerifier(t, withKeys(first)), edToken(2, nil), nil)
		expect(t, newVerifier(t, withKeys(first)), edToken(3, nil), verifier.ErrSignature)
	})
	t.Run("KS-20/C27_eight_attempts_over_all_parts", func(t *testing.T) {
		same := func(from, to int) *verifier.KeySet { return jwks(edJWKs(from, to, object{"kid": "k"})...) }
		v := newVerifier(t, withKeys(verifier.MergeKeySets(same(1, 6), same(6, 10))))
		expect(t, v, edToken(8, "k"), nil)
		expect(t, v, edToken(9, "k"), verifier.ErrSignature)
	})
	t.Run("KS-21/the_same_key_in_two_parts_is_one_candidate", func(t *testing.T) {
		v := newVerifier(t, withKeys(verifier.MergeKeySets(edSet(1, 2, 3, 4, 5, 6, 7), edSet(1, 2, 3, 4, 5, 6, 7, 8))))
		expect(t, v, edToken(8, nil), nil)
		for name, other := range map[string]*verifier.KeySet{
			"kid":      jwks(jwk(ed(1), object{"kid": "k"})),
			"alg":      jwks(jwk(ed(1), object{"alg": "EdDSA"})),
			"material": edSet(2),
			"local":    edSet(1).Local(),
			"issuer":   jwks(jwk(ed(1), object{"issuer": issuerURL})),
		} {
			if got := verifier.MergeKeySets(edSet(1), other).Len(); got != 2 {
				t.Errorf("keys that differ by %s: %d left", name, got)
			}
		}
		if got := verifier.MergeKeySets(edSet(1, 1), edSet(1)).Len(); got != 2 {
			t.Errorf("%d keys: one part is taken as it is", got)
		}
	})
	t.Run("KS-14/a_part_is_replaced_whole", func(t *testing.T) {
		src := &source{current: verifier.MergeKeySets(edSet(1), edSet(2))}
		v := newVerifier(t, withSource(src))
		expect(t, v, edToken(2, nil), nil)
		src.set(verifier.MergeKeySets(edSet(1), edSet(3)))
		expect(t, v, edToken(2, nil), verifier.ErrSignature)
		expect(t, v, edToken(1, nil), nil)
	})
}

// TestLocalPerKey: what one part may do, the other may not for it.
func TestLocalPerKey(t *testing.T) {
	v := newVerifier(t, withKeys(verifier.MergeKeySets(edSet(1).Local(), edSet(2))))
	t.Run("KS-22/local_part_fits_any_kid", func(t *testing.T) { expect(t, v, edToken(1, "x"), nil) })
	t.Run("KS-22/fetched_part_does_not", func(t *testing.T) { expect(t, v, edToken(2, "x"), verifier.ErrSignature) })
	t.Run("KS-22/without_kid_both_fit", func(t *testing.T) {
		expect(t, v, edToken(1, nil), nil)
		expect(t, v, edToken(2, nil), nil)
	})
	t.Run("KS-22/the_set_itself_stays_fetched", func(t *testing.T) {
		set := edSet(1)
		local := set.Local()
		expect(t, newVerifier(t, withKeys(set)), edToken(1, "x"), verifier.ErrUnknownKey)
		expect(t, newVerifier(t, withKeys(local)), edToken(1, "x"), nil)
	})
	t.Run("KS-22/of_a_part_of_an_issuer", func(t *testing.T) {
		set := jwks(jwk(ed(1), object{"issuer": "a"})).Local().OfIssuer(func(string) bool { return true })
		expect(t, newVerifier(t, withKeys(set)), edToken(1, "x"), nil)
	})
	t.Run("no_set", func(t *testing.T) {
		if set := (*verifier.KeySet)(nil).Local(); set != nil {
			t.Errorf("%v", set)
		}
	})
}

func TestKeysOfIssuer(t *testing.T) {
	const a, b = "https://id.example.com/a", "https://id.example.com/b"
	set := jwks(
		jwk(ed(1), object{"kid": "k", "issuer": a}), jwk(ed(2), object{"kid": "k", "issuer": b}), jwk(ed(3), object{"kid": "k"}),
		jwk(ed(4), object{"kid": "k", "issuer": ""}), jwk(ed(5), object{"kid": "k", "issuer": []string{a}}), jwk(ed(6), object{"kid": "k", "Issuer": a}),
	)
	only := func(issuer string) func(string) bool { return func(s string) bool { return s == issuer } }
	for name, row := range map[string]struct {
		accept func(string) bool
		good   []int
	}{
		"first":  {only(a), []int{1}},
		"second": {only(b), []int{2}},
		"prefix": {only("https://id.example.com/"), nil},
		"empty":  {only(""), nil},
		"all":    {func(string) bool { return true }, []int{1, 2}},
		"none":   {func(string) bool { return false }, nil},
	} {
		t.Run("JV-16/"+name, func(t *testing.T) {
			some := set.OfIssuer(row.accept)
			if some == nil || some == set || some.Len() != len(row.good) {
				t.Fatalf("%d keys, want %d", some.Len(), len(row.good))
			}
			v := newVerifier(t, withKeys(some))
			for n := 1; n <= 6; n++ {
				want := verifier.ErrSignature
				if len(row.good) == 0 {
					want = verifier.ErrUnknownKey
				}
				if slices.Contains(row.good, n) {
					want = nil
				}
				expect(t, v, edToken(n, "k"), want)
			}
		})
	}
	t.Run("JV-16/asked_only_what_the_keys_say", func(t *testing.T) {
		var asked []string
		set.OfIssuer(func(s string) bool { asked = append(asked, s); return false })
		if !slices.Equal(asked, []string{a, b}) {
			t.Errorf("%q", asked)
		}
	})
	t.Run("no_set", func(t *testing.T) {
		for _, none := range []*verifier.KeySet{nil, {}} {
			if some := none.OfIssuer(func(string) bool { return true }); some == nil || some.Len() != 0 {
				t.Errorf("%v", some)
			}
		}
	})
}

func TestDescribe(t *testing.T) {
	t.Run("KS-15/skipped_keys_are_not_listed", func(t *testing.T) {
		set := jwks(
			jwk(rsaOne(), object{"kid": "r", "alg": "PS256"}), jwk(ec256(), object{"kid": "p"}), jwk(ec384(), object{"kid": ""}),
			jwk(ec521(), nil), raw(`{"kty":"XYZ","kid":"skipped"}`), jwk(edKey(), object{"kid": "e", "alg": "Ed25519", "issuer": "x"}),
		)
		want := []verifier.KeyInfo{
			{ID: "r", Type: "RSA", Algorithm: "PS256"}, {ID: "p", Type: "P-256"}, {Type: "P-384"}, {Type: "P-521"},
			{ID: "e", Type: "Ed25519", Algorithm: "Ed25519"},
		}
		if got := set.Describe(); !slices.Equal(got, want) || len(got) != set.Len() {
			t.Errorf("%+v", got)
		}
	})
	t.Run("texts_are_the_issuers_own", func(t *testing.T) {
		long := strings.Repeat("k", 400) + "\n\x1b[31m"
		if got := jwks(jwk(edKey(), object{"kid": long})).Describe(); len(got) != 1 || got[0].ID != long {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a_copy", func(t *testing.T) {
		set := jwks(jwk(edKey(), object{"kid": "e"}))
		set.Describe()[0].ID = "x"
		if set.Describe()[0].ID != "e" {
			t.Error("the set changed")
		}
	})
	t.Run("no_keys", func(t *testing.T) {
		if got := append((*verifier.KeySet)(nil).Describe(), (&verifier.KeySet{}).Describe()...); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}
