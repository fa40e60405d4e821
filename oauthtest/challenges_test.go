// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

func challengeLines(lines ...string) http.Header { return http.Header{"Www-Authenticate": lines} }

func TestParseChallenges(t *testing.T) {
	bearer := func(params map[string]string) oauthtest.Challenge {
		return oauthtest.Challenge{Scheme: "Bearer", Params: params}
	}
	for _, tc := range []struct {
		name  string
		lines []string
		want  []oauthtest.Challenge
	}{
		{"no_line", nil, nil},
		{"realm", []string{`Bearer realm="a b"`}, []oauthtest.Challenge{bearer(map[string]string{"realm": "a b"})}},
		{"escapes", []string{`Bearer realm="a\"b\\c"`}, []oauthtest.Challenge{bearer(map[string]string{"realm": `a"b\c`})}},
		{"realm_inside_another_value", []string{`Basic realm="x, realm=y \" realm=z"`},
			[]oauthtest.Challenge{{Scheme: "Basic", Params: map[string]string{"realm": `x, realm=y " realm=z`}}}},
		{"a_parameter_that_ends_like_realm", []string{`Bearer xrealm=y`}, []oauthtest.Challenge{bearer(map[string]string{"xrealm": "y"})}},
		{"names_are_in_lower_case", []string{`bearer ERROR="invalid_token"`},
			[]oauthtest.Challenge{{Scheme: "bearer", Params: map[string]string{"error": "invalid_token"}}}},
		{"lines_and_lists", []string{`Bearer scope="a b", DPoP algs="ES256"`, `Negotiate`}, []oauthtest.Challenge{
			bearer(map[string]string{"scope": "a b"}), {Scheme: "DPoP", Params: map[string]string{"algs": "ES256"}},
			{Scheme: "Negotiate", Params: map[string]string{}}}},
		{"all_of_RFC_6750", []string{`Bearer realm="r", error="invalid_token", error_description="It has expired!", error_uri="https://a.example/?x#y", scope="a"`},
			[]oauthtest.Challenge{bearer(map[string]string{"realm": "r", "error": "invalid_token",
				"error_description": "It has expired!", "error_uri": "https://a.example/?x#y", "scope": "a"})}},
		{"other_schemes_have_no_rules_of_Bearer", []string{`Basic error=""`},
			[]oauthtest.Challenge{{Scheme: "Basic", Params: map[string]string{"error": ""}}}},
	} {
		t.Run("TA-25/"+tc.name, func(t *testing.T) {
			got, err := oauthtest.ParseChallenges(challengeLines(tc.lines...))
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%q, %v\nwant %q", got, err, tc.want)
			}
		})
	}
}

func TestParseChallengesRefuses(t *testing.T) {
	for _, tc := range []struct{ name, line, names string }{
		{"TA-25/bare_Bearer", `Bearer`, "no parameter"},
		{"TA-25/bare_Bearer_in_a_list", `Basic realm="x", bearer`, "no parameter"},
		{"TA-25/realm_as_token", `Bearer realm=orders`, "realm"},
		{"TA-25/realm_as_token_behind_others", `Bearer scope="a", Realm=orders`, "realm"},
		{"TA-25/realm_as_token_of_another_scheme", `Basic realm=orders`, "realm"},
		{"TA-25/parameter_twice", `Bearer realm="a", REALM="b"`, "twice"},
		{"TA-25/quote_in_error_description", `Bearer error_description="a\"b"`, "error_description"},
		{"TA-25/backslash_in_error_description", `Bearer error_description="a\\b"`, "error_description"},
		{"TA-25/TAB_in_error_description", "Bearer error_description=\"a\tb\"", "error_description"},
		{"TA-25/not_ASCII_in_error_description", `Bearer error_description="né"`, "error_description"},
		{"TA-25/DEL_in_error", "Bearer error=\"a\x7f\"", ""},
		{"TA-25/empty_error", `Bearer error=""`, "error"},
		{"TA-25/empty_scope", `Bearer scope=""`, "scope"},
		{"TA-25/two_spaces_in_scope", `Bearer scope="a  b"`, "scope"},
		{"TA-25/blank_at_the_end_of_scope", `Bearer scope="a "`, "scope"},
		{"TA-25/quote_in_scope", `Bearer scope="a\"b"`, "scope"},
		{"TA-25/relative_error_uri", `Bearer error_uri="/docs"`, "error_uri"},
		{"TA-25/space_in_error_uri", `Bearer error_uri="https://a.example/a b"`, "error_uri"},
		{"TA-25/parameter_twice_is_named", `Bearer realm="a", REALM="b"`, "challenge 1: parameter realm occurs twice"},
		{"TA-25/second_challenge_is_counted", `Basic realm="a", Bearer error_uri=`, "challenge 2: parameter error_uri: "},
		{"TA-25/unknown_parameter_is_not_named", `Bearer realms="a", REALMS="b"`, "challenge 1: a parameter occurs twice"},
		{"TA-25/token68_without_padding", `Negotiate YWJj`, ""},
		{"TA-25/token68_with_one_equals_sign", `Negotiate YWI=`, "challenge 1: a parameter: "},
		{"TA-25/token68_with_two_equals_signs", `Negotiate YQ==`, "challenge 1: a parameter: "},
		{"TA-25/empty_line", ``, ""},
		{"TA-25/empty_element", `Bearer realm="a",, scope="b"`, ""},
		{"TA-25/no_comma", `Bearer realm="a" scope="b"`, ""},
		{"TA-25/blank_around_equals", `Bearer realm = "a"`, ""},
		{"TA-25/open_quote", `Bearer realm="a`, ""},
		{"TA-25/parameters_without_scheme", `realm="a"`, ""},
		{"TA-25/JSON", `{"error":"invalid_token"}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := oauthtest.ParseChallenges(challengeLines(`Basic realm="first"`, tc.line))
			if err == nil || got != nil {
				t.Fatalf("%q is read as %q", tc.line, got)
			}
			if text := err.Error(); !strings.Contains(text, "line 2") || !strings.Contains(text, tc.names) {
				t.Errorf("%s: %v", tc.line, err)
			}
		})
	}
	t.Run("TA-25/length", func(t *testing.T) {
		line := `Bearer realm="` + strings.Repeat("x", 16<<10-15) + `"`
		if _, err := oauthtest.ParseChallenges(challengeLines(line)); err != nil || len(line) != 16<<10 {
			t.Errorf("%d bytes: %v", len(line), err)
		}
		line = strings.Replace(line, "x", "xx", 1)
		if _, err := oauthtest.ParseChallenges(challengeLines(line)); err == nil {
			t.Errorf("%d bytes are read", len(line))
		}
	})
	t.Run("TA-25/errors_hold_no_value", func(t *testing.T) {
		for _, format := range []string{
			`Bearer scope="%s  x"`, `Bearer error_description="%s\\"`, `Bearer realm=%s`, `Bearer realm="%s`, "Bearer realm=\"%s\x00\"", `Bearer realm="a"%s`,
			`Bearer %s`, `Negotiate %s=`, `Negotiate %s==`, `Negotiate x/%s=`, `Negotiate %s="`, `Bearer a="b", %s=`, // token68, or taken for it
			`Bearer %s="a", %[1]s="b"`, `%s x`, `%s  x=`, `%s realm=x`, `Basic realm="a", %s x`,
		} {
			if _, err := oauthtest.ParseChallenges(challengeLines(fmt.Sprintf(format, "canary"))); err == nil || strings.Contains(strings.ToLower(err.Error()), "canary") {
				t.Errorf("%s: %v", format, err)
			}
		}
	})
}

// What the Bearer rules let pass at their edges: each character of RFC 6750 §3.
func TestParseChallengesCharacters(t *testing.T) {
	for c := rune(0x20); c < 0x7f; c++ {
		quoted := string(c)
		if c == '"' || c == '\\' {
			quoted = `\` + quoted
		}
		_, err := oauthtest.ParseChallenges(challengeLines(`Bearer error_description="` + quoted + `"`))
		if want := c != '"' && c != '\\'; (err == nil) != want {
			t.Errorf("error_description with %q: %v", c, err)
		}
		_, err = oauthtest.ParseChallenges(challengeLines(`Bearer scope="a` + quoted + `b"`))
		if want := c != '"' && c != '\\'; (err == nil) != want {
			t.Errorf("scope with %q: %v", c, err)
		}
	}
}
