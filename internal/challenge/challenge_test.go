// SPDX-License-Identifier: Apache-2.0

package challenge_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/challenge"
)

func bearer(params ...challenge.Param) challenge.Challenge {
	return challenge.Challenge{Scheme: "Bearer", Params: params}
}

func TestString(t *testing.T) {
	for _, tc := range []struct {
		name string
		c    challenge.Challenge
		want string
	}{
		{"CH-06/every_value_is_quoted",
			bearer(challenge.Param{Name: "realm", Value: "orders"}, challenge.Param{Name: "max_age", Value: "300"}),
			`Bearer realm="orders", max_age="300"`},
		{"CH-07/N2_realm_is_escaped",
			bearer(challenge.Param{Name: "realm", Value: `a"b\c`}),
			`Bearer realm="a\"b\\c"`},
		{"CH-09/description_is_reduced",
			bearer(challenge.Param{Name: "error_description", Value: `a"b\c`}),
			`Bearer error_description="a?b?c"`},
		{"CH-09/N1_hostile_text_is_reduced",
			bearer(challenge.Param{Name: "error", Value: "x\r\ny\x00\x7f"}, challenge.Param{Name: "error_description", Value: "é😀 ~\t!"}),
			`Bearer error="x??y??", error_description="?? ~?!"`},
		{"no_parameters", bearer(), "Bearer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.c.String(); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestCharacters(t *testing.T) {
	for c := range 256 {
		s := string([]byte{byte(c)})
		scope := c == 0x21 || 0x23 <= c && c <= 0x5b || 0x5d <= c && c <= 0x7e
		if got := challenge.ValidURI(s); got != scope {
			t.Errorf("ValidURI(%#02x) = %v", c, got)
		}
		if got := challenge.ValidText(s); got != (0x20 <= c && c <= 0x7e) {
			t.Errorf("ValidText(%#02x) = %v", c, got)
		}
		name := 0x20 < c && c < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c))
		if got := challenge.ValidName(s); got != name {
			t.Errorf("ValidName(%#02x) = %v", c, got)
		}
	}
	if challenge.ValidName("") || challenge.ValidURI("") || !challenge.ValidText("") {
		t.Error("the empty string is a text, but neither URI nor name")
	}
}

func TestParse(t *testing.T) {
	realm := challenge.Param{Name: "realm", Value: "a b"}
	for _, tc := range []struct {
		line string
		want []challenge.Challenge
	}{
		{`Bearer realm="a b"`, []challenge.Challenge{bearer(realm)}},
		{`Bearer REALM="a b"`, []challenge.Challenge{bearer(realm)}},
		{`Bearer`, []challenge.Challenge{bearer()}},
		{`Bearer realm="a b", scope="x y" , error=invalid_token`, []challenge.Challenge{
			bearer(realm, challenge.Param{Name: "scope", Value: "x y"}, challenge.Param{Name: "error", Value: "invalid_token"})}},
		{`Bearer realm="a b", Negotiate, DPoP algs="ES256"`, []challenge.Challenge{
			bearer(realm), {Scheme: "Negotiate"}, {Scheme: "DPoP", Params: []challenge.Param{{Name: "algs", Value: "ES256"}}}}},
		{`Bearer realm="\"\\\a,="`, []challenge.Challenge{bearer(challenge.Param{Name: "realm", Value: `"\a,=`})}},
	} {
		got, err := challenge.Parse(tc.line)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s\ngot  %q, %v\nwant %q", tc.line, got, err, tc.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{
		"", " ", ",", `"x"`, "=", `Bearer `, `Bearer realm`, `Bearer realm=`, `Bearer realm="a`,
		`Bearer realm="a\`, `Bearer realm="a"x`, `Bearer realm="a",`, `Bearer realm="a",,x="b"`,
		`Bearer realm="a" scope="b"`, `Bearer realm = "a"`, `Bearer realm="a", Realm="b"`,
		"Bearer realm=\"a\x00\"", "Bearer realm=\"a\r\nX: y\"", "Bearer\trealm=\"a\"", `Bearer abc==`,
		`Bearer, , Basic`, `Bärer realm="a"`, `Bearer realm="a", Basic `,
	} {
		if got, err := challenge.Parse(line); err == nil {
			t.Errorf("%q is read as %q", line, got)
		}
	}
}

func TestGet(t *testing.T) {
	c := bearer(challenge.Param{Name: "realm", Value: "x"}, challenge.Param{Name: "scope", Value: ""})
	for name, want := range map[string]bool{"realm": true, "scope": true, "error": false} {
		if _, ok := c.Get(name); ok != want {
			t.Errorf("Get(%q): %v", name, ok)
		}
	}
}

// FuzzChallenge: what is written is read back with the same values, as far as the
// characters are those that a constructor lets pass.
func FuzzChallenge(f *testing.F) {
	f.Add("realm", "orders", "error_description", "The access token has expired")
	f.Add("x", `a"b\c`, "error", "a\"b\\c")
	f.Add("x-y", " ", "error", "é\r\n")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		c := bearer(challenge.Param{Name: name1, Value: value1}, challenge.Param{Name: name2, Value: value2})
		line := c.String()
		free := func(p challenge.Param) bool { return p.Name == "error" || p.Name == "error_description" }
		for _, p := range c.Params {
			if !challenge.ValidName(p.Name) || p.Name != strings.ToLower(p.Name) || !free(p) && !challenge.ValidText(p.Value) {
				_, _ = challenge.Parse(line) // must not panic
				return
			}
		}
		if name1 == name2 {
			return
		}
		got, err := challenge.Parse(line)
		if err != nil || len(got) != 1 || len(got[0].Params) != 2 {
			t.Fatalf("%q: %q, %v", line, got, err)
		}
		for i, p := range got[0].Params {
			if want := c.Params[i]; p.Name != want.Name || !free(want) && p.Value != want.Value {
				t.Errorf("%q: parameter %d is %q, want %q", line, i, p, want)
			} else if free(want) && strings.ContainsAny(p.Value, "\"\\") {
				t.Errorf("%q: %s holds a quote or backslash", line, p.Name)
			}
		}
	})
}

// FuzzParse: no input makes the reader panic, and what it reads it reads again.
func FuzzParse(f *testing.F) {
	f.Add(`Bearer realm="a b", scope="x y" , error=invalid_token, Negotiate, DPoP algs="ES256"`)
	f.Add("Bearer realm=\"\\\"")
	f.Fuzz(func(t *testing.T, line string) {
		found, err := challenge.Parse(line)
		if err != nil {
			return
		}
		for _, c := range found {
			again, err := challenge.Parse(c.String())
			if err != nil || len(again) != 1 || len(again[0].Params) != len(c.Params) {
				t.Fatalf("%q → %q → %q, %v", line, c, again, err)
			}
		}
	})
}
