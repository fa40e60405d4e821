// SPDX-License-Identifier: Apache-2.0

package jose

import "testing"

func TestKeyType(t *testing.T) {
	for kind, private := range signers() {
		t.Run(kind, func(t *testing.T) {
			if got := parse(t, jwkOf(t, private.Public()).with(nil)).Type(); got != kind {
				t.Errorf("Type = %q", got)
			}
		})
	}
	t.Run("SE-02/secret_says_nothing", func(t *testing.T) {
		secret, err := NewSecret("k", "HS256", secret64)
		if err != nil {
			t.Fatal(err)
		}
		if got := secret.Type(); got != "" {
			t.Errorf("Type = %q", got)
		}
	})
	t.Run("zero_key", func(t *testing.T) {
		if got := new(Key).Type(); got != "" {
			t.Errorf("Type = %q", got)
		}
	})
}

// TestParseIssuer: the member issuer counts as a string under this very name only;
// whatever else it is, the key stays usable, since RFC 7517 §4 has members that are
// not understood ignored.
func TestParseIssuer(t *testing.T) {
	good := jwkOf(t, p256().Public())
	for name, row := range map[string]struct {
		members doc
		want    string
	}{
		"text":       {doc{"issuer": "https://id.example.com/{tenantid}/v2.0"}, "https://id.example.com/{tenantid}/v2.0"},
		"missing":    {doc{}, ""},
		"empty":      {doc{"issuer": ""}, ""},
		"null":       {doc{"issuer": nil}, ""},
		"number":     {doc{"issuer": 1}, ""},
		"list":       {doc{"issuer": []string{"a"}}, ""},
		"object":     {doc{"issuer": doc{"a": "b"}}, ""},
		"upper_case": {doc{"ISSUER": "a", "Issuer": "b"}, ""},
		"iss":        {doc{"iss": "a"}, ""},
		"nul":        {doc{"issuer": "a\x00b"}, "a\x00b"},
	} {
		t.Run("KS-15/"+name, func(t *testing.T) {
			if key := parse(t, good.with(row.members)); key.Issuer != row.want {
				t.Errorf("Issuer = %q, want %q", key.Issuer, row.want)
			}
		})
	}
	t.Run("KS-24/twice", func(t *testing.T) {
		text := string(good.with(doc{"issuer": "a"}))
		refused(t, []byte(text[:len(text)-1]+`,"issuer":"b"}`))
	})
	t.Run("JV-35/not_part_of_the_material", func(t *testing.T) {
		if a, b := parse(t, good.with(doc{"issuer": "a"})), parse(t, good.with(doc{"issuer": "b"})); !a.Same(b) {
			t.Error("one key became two")
		}
	})
}
