// SPDX-License-Identifier: Apache-2.0

package scopes_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

func with(list ...string) *verifier.Token { return &verifier.Token{Scopes: list} }

func TestCheck(t *testing.T) {
	read, write, admin := scopes.All("read"), scopes.All("write"), scopes.All("admin")
	for _, tc := range []struct {
		name string
		rule scopes.Rule
		tok  *verifier.Token
		pass bool
	}{
		{"SC-01/case_matters", scopes.All("read"), with("Read"), false},
		{"SC-01/same_case", scopes.All("Read"), with("Read"), true},
		{"SC-01/order_has_no_meaning", scopes.All("a", "b"), with("b", "x", "a"), true},
		{"SC-01/duplicates_collapse", scopes.All("a", "a"), with("a"), true},
		{"SC-05/prefix_is_no_match", scopes.All("orders:read"), with("orders"), false},
		{"SC-05/longer_is_no_match", scopes.All("read"), with("readonly", "unread", "read:all", "read,write"), false},
		{"SC-05/no_wildcard", scopes.All("read"), with("*", ".*", "re*"), false},
		{"SC-05/no_wildcard_in_rule", scopes.All("*"), with("read"), false},
		{"SC-07/All_empty_means_any_token", scopes.All(), with(), true},
		{"SC-07/All_one_missing", scopes.All("a", "b"), with("a"), false},
		{"SC-07/All_both", scopes.All("a", "b"), with("a", "b"), true},
		{"SC-07/Any_first", scopes.Any("a", "b"), with("a"), true},
		{"SC-07/Any_last", scopes.Any("a", "b"), with("b"), true},
		{"SC-07/Any_none", scopes.Any("a", "b"), with("c"), false},
		{"SC-07/AllOf_empty", scopes.AllOf(), with(), true},
		{"SC-07/AllOf_one_missing", scopes.AllOf(read, write), with("read"), false},
		{"SC-07/AllOf_both", scopes.AllOf(read, write), with("write", "read"), true},
		{"SC-07/AnyOf_one", scopes.AnyOf(read, write), with("write"), true},
		{"SC-07/AnyOf_none", scopes.AnyOf(read, write), with("admin"), false},
		{"SC-07/nested_first_branch", scopes.AnyOf(admin, scopes.AllOf(read, write)), with("admin"), true},
		{"SC-07/nested_second_branch", scopes.AnyOf(admin, scopes.AllOf(read, write)), with("read", "write"), true},
		{"SC-07/nested_half_a_branch", scopes.AnyOf(admin, scopes.AllOf(read, write)), with("read"), false},
		{"SC-08/no_scopes", scopes.All("read"), with(), false},
		{"SE-01/nil_token", scopes.All(), nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.rule.Check(tc.tok)
			if tc.pass != (err == nil) {
				t.Fatalf("Check = %v, want pass %v", err, tc.pass)
			}
			if err != nil && verifier.ClassOf(err) != verifier.ErrInsufficientScope {
				t.Errorf("class %v", verifier.ClassOf(err))
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	for _, tc := range []struct {
		name string
		rule scopes.Rule
		want []string
	}{
		{"CH-13/All_in_configured_order", scopes.All("b", "a"), []string{"b", "a"}},
		{"CH-13/All_without_duplicates", scopes.All("b", "a", "b"), []string{"b", "a"}},
		{"CH-13/Any_first_alternative", scopes.Any("a", "b"), []string{"a"}},
		{"CH-13/AnyOf_first_alternative", scopes.AnyOf(scopes.All("a"), scopes.All("b", "c")), []string{"a"}},
		{"CH-13/AnyOf_first_alternative_of_two", scopes.AnyOf(scopes.All("b", "c"), scopes.All("a")), []string{"b", "c"}},
		{"CH-13/AllOf_joined", scopes.AllOf(scopes.All("a", "b"), scopes.Any("c", "d"), scopes.All("a")), []string{"a", "b", "c"}},
		{"CH-13/All_empty", scopes.All(), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := tc.rule.Challenge()
			if err != nil || !slices.Equal(c.Scope, tc.want) {
				t.Errorf("got %q, %v; want %q", c.Scope, err, tc.want)
			}
		})
	}
	t.Run("SC-09/refusal_carries_the_scopes", func(t *testing.T) {
		var e *verifier.Error
		if err := scopes.All("a", "b").Check(with("a")); !errors.As(err, &e) || !slices.Equal(e.Challenge.Scope, []string{"a", "b"}) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("GO-03/what_callers_change_stays_with_them", func(t *testing.T) {
		list := []string{"a", "b"}
		rule := scopes.All(list...)
		list[0] = "x"
		c, _ := rule.Challenge()
		c.Scope[1] = "y"
		var e *verifier.Error
		if errors.As(rule.Check(with()), &e) {
			e.Challenge.Scope[0] = "z"
		}
		if c, _ := rule.Challenge(); !slices.Equal(c.Scope, []string{"a", "b"}) {
			t.Errorf("the rule became %q", c.Scope)
		}
	})
}

func TestFaultyRule(t *testing.T) {
	for _, tc := range []struct {
		name string
		rule scopes.Rule
		says []string
	}{
		{"SC-07/Any_empty", scopes.Any(), []string{"Any", "at least one"}},
		{"SC-07/AnyOf_empty", scopes.AnyOf(), []string{"AnyOf", "at least one"}},
		{"SC-07/nested_Any_empty", scopes.AllOf(scopes.All("a"), scopes.AnyOf(scopes.All("b"), scopes.Any())), []string{"Any", "at least one"}},
		{"CH-08/N3_space", scopes.All("a b"), []string{`"a b"`, "one scope per argument"}},
		{"CH-08/N3_quote", scopes.All(`a"b`), []string{"All"}},
		{"CH-08/N3_backslash", scopes.Any("ok", `a\b`), []string{"Any"}},
		{"CH-08/empty", scopes.All(""), []string{`""`}},
		{"CH-08/control", scopes.All("a\x1f"), nil},
		{"CH-08/DEL", scopes.All("a\x7f"), nil},
		{"CH-08/non_ASCII", scopes.All("é"), nil},
		{"GO-02/every_fault_is_listed", scopes.AllOf(scopes.All("a b", `c"`), scopes.Any()), []string{`"a b"`, `c\"`, "at least one"}},
		{"SE-01/zero_Rule", scopes.Rule{}, []string{"zero"}},
		{"SE-01/zero_Rule_inside", scopes.AnyOf(scopes.All(), scopes.Rule{}), []string{"zero"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := tc.rule.Challenge()
			if verifier.ClassOf(err) != verifier.ErrConfig {
				t.Fatalf("Challenge: %v, want a configuration error", err)
			}
			for _, want := range tc.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			if err := tc.rule.Check(with("a", "b", "")); verifier.ClassOf(err) != verifier.ErrConfig {
				t.Errorf("Check: %v, want a configuration error", err)
			}
		})
	}
}

func TestScopeAlphabet(t *testing.T) {
	for c := range 256 {
		_, err := scopes.All(string([]byte{byte(c)})).Challenge()
		want := c == 0x21 || 0x23 <= c && c <= 0x5b || 0x5d <= c && c <= 0x7e
		if (err == nil) != want {
			t.Errorf("%#02x: %v", c, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, tc := range []struct {
		name string
		rule scopes.Rule
		want int
	}{
		{"SC-14/none", scopes.All("orders:read", "openid-connect"), 0},
		{"SC-14/offline_access", scopes.All("orders:read", "offline_access"), 1},
		{"SC-14/each_identity_scope", scopes.Any("openid", "profile", "email", "address", "phone"), 5},
		{"SC-14/nested_and_once", scopes.AnyOf(scopes.All("a", "openid"), scopes.AllOf(scopes.All("openid"))), 1},
		{"SC-14/zero_Rule", scopes.Rule{}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.rule.Warnings(); len(got) != tc.want {
				t.Errorf("got %q", got)
			}
		})
	}
}
