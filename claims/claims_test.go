// SPDX-License-Identifier: Apache-2.0

package claims_test

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/verifier"
)

// kind is one of the three claims, with the rules on it.
type kind struct {
	name string
	all  func(...string) claims.Rule
	any  func(...string) claims.Rule
	with func(...string) *verifier.Token
}

var kinds = []kind{
	{"roles", claims.AllRoles, claims.AnyRole, func(s ...string) *verifier.Token { return &verifier.Token{Roles: s} }},
	{"groups", claims.AllGroups, claims.AnyGroup, func(s ...string) *verifier.Token { return &verifier.Token{Groups: s} }},
	{"entitlements", claims.AllEntitlements, claims.AnyEntitlement, func(s ...string) *verifier.Token { return &verifier.Token{Entitlements: s} }},
}

func TestCheck(t *testing.T) {
	for _, k := range kinds {
		for _, tc := range []struct {
			name string
			rule claims.Rule
			tok  *verifier.Token
			pass bool
		}{
			{"all_one", k.all("a"), k.with("a"), true},
			{"all_both", k.all("a", "b"), k.with("b", "x", "a"), true},
			{"all_one_missing", k.all("a", "b"), k.with("a"), false},
			{"all_last_missing", k.all("a", "b", "c"), k.with("a", "b"), false},
			{"all_twice_the_same", k.all("a", "a"), k.with("a"), true},
			{"any_first", k.any("a", "b"), k.with("a"), true},
			{"any_last", k.any("a", "b"), k.with("x", "b"), true},
			{"any_none", k.any("a", "b"), k.with("c"), false},
			{"nothing_in_the_token", k.any("a"), k.with(), false},
			{"empty_string_in_the_token", k.any("a"), k.with(""), false},
			{"case_matters", k.all("admin"), k.with("Admin", "ADMIN"), false},
			{"longer", k.any("admin"), k.with("administrator", "admin ", " admin", "xadmin", "admin\x00"), false},
			{"shorter", k.any("admin"), k.with("adm", "a"), false},
			{"list_in_a_string", k.any("admin"), k.with("admin,user", "admin user", "[admin]", `["admin"]`), false},
			{"no_wildcard", k.any("admin"), k.with("*", ".*", "adm*", "%"), false},
			{"no_wildcard_in_a_rule", k.any("*", "adm*"), k.with("admin"), false},
			{"no_hierarchy", k.any("/a"), k.with("/a/b", "/"), false},
			{"any_text_can_be_one", k.all("Ünïted Sales / EMEA", `a"b`), k.with(`a"b`, "Ünïted Sales / EMEA"), true},
			{"no_normalization", k.all("\u00e9"), k.with("e\u0301"), false},
		} {
			t.Run("SC-11/"+k.name+"_"+tc.name, func(t *testing.T) {
				err := tc.rule.Check(tc.tok)
				if tc.pass != (err == nil) {
					t.Fatalf("Check = %v, want pass %v", err, tc.pass)
				}
				if err != nil && verifier.ClassOf(err) != verifier.ErrForbidden {
					t.Errorf("class %v", verifier.ClassOf(err))
				}
			})
		}
		t.Run("SE-01/nil_token_"+k.name, func(t *testing.T) {
			for _, rule := range []claims.Rule{k.all("a"), k.any("a")} {
				if err := rule.Check(nil); verifier.ClassOf(err) != verifier.ErrForbidden {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// TestApart: no rule is met by what another kind of claim says.
func TestApart(t *testing.T) {
	for _, k := range kinds {
		for _, other := range kinds {
			t.Run("SC-11/"+k.name+"_by_"+other.name, func(t *testing.T) {
				tok := other.with("admin")
				for _, rule := range []claims.Rule{k.all("admin"), k.any("admin")} {
					if err := rule.Check(tok); (err == nil) != (k.name == other.name) {
						t.Errorf("got %v", err)
					}
				}
			})
		}
		t.Run("SC-11/"+k.name+"_by_scope", func(t *testing.T) {
			tok := &verifier.Token{Scopes: []string{"admin"}, Audience: []string{"admin"}, AMR: []string{"admin"}, Subject: "admin", ClientID: "admin", ACR: "admin"}
			for _, rule := range []claims.Rule{k.all("admin"), k.any("admin")} {
				if err := rule.Check(tok); verifier.ClassOf(err) != verifier.ErrForbidden {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	for _, k := range kinds {
		t.Run("SC-10/no_challenge_"+k.name, func(t *testing.T) {
			rule := k.all("secret-value")
			c, err := rule.Challenge()
			if err != nil || !reflect.DeepEqual(c, verifier.Challenge{}) {
				t.Errorf("Challenge = %v, %v", c, err)
			}
			var e *verifier.Error
			if !errors.As(rule.Check(k.with("token-value")), &e) || !reflect.DeepEqual(e.Challenge, verifier.Challenge{}) {
				t.Fatalf("got %v", e)
			}
			if text := e.Error(); strings.Contains(text, "token-value") {
				t.Errorf("a claim is quoted: %s", text)
			}
		})
	}
}

func TestFaultyRule(t *testing.T) {
	for _, tc := range []struct {
		name string
		rule claims.Rule
		says string
	}{
		{"SC-11/AllRoles_empty", claims.AllRoles(), "claims.AllRoles: no value"},
		{"SC-11/AnyRole_empty", claims.AnyRole(), "claims.AnyRole: no value"},
		{"SC-11/AllGroups_empty", claims.AllGroups(), "claims.AllGroups: no value"},
		{"SC-11/AnyGroup_empty", claims.AnyGroup([]string{}...), "claims.AnyGroup: no value"},
		{"SC-11/AllEntitlements_empty", claims.AllEntitlements(), "claims.AllEntitlements: no value"},
		{"SC-11/AnyEntitlement_empty", claims.AnyEntitlement(), "claims.AnyEntitlement: no value"},
		{"SC-11/AllRoles_empty_string", claims.AllRoles("admin", ""), "claims.AllRoles: a value is empty"},
		{"SC-11/AnyRole_empty_string", claims.AnyRole(""), "claims.AnyRole: a value is empty"},
		{"SC-11/AllGroups_empty_string", claims.AllGroups(""), "claims.AllGroups: a value is empty"},
		{"SC-11/AnyGroup_empty_string", claims.AnyGroup("", "admin"), "claims.AnyGroup: a value is empty"},
		{"SC-11/AllEntitlements_empty_string", claims.AllEntitlements(""), "claims.AllEntitlements: a value is empty"},
		{"SC-11/AnyEntitlement_empty_string", claims.AnyEntitlement(""), "claims.AnyEntitlement: a value is empty"},
		{"SE-01/zero_Rule", claims.Rule{}, "zero claims.Rule"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := tc.rule.Challenge(); verifier.ClassOf(err) != verifier.ErrConfig || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("Challenge: %v, want a configuration error that says %q", err, tc.says)
			}
			for _, tok := range []*verifier.Token{nil, {}, {Roles: []string{"", "admin"}, Groups: []string{"", "admin"}, Entitlements: []string{"", "admin"}}} {
				if err := tc.rule.Check(tok); verifier.ClassOf(err) != verifier.ErrConfig {
					t.Errorf("Check: %v, want a configuration error", err)
				}
			}
		})
	}
}

func TestImmutable(t *testing.T) {
	t.Run("GO-03/what_callers_change_stays_with_them", func(t *testing.T) {
		list := []string{"a", "b"}
		rule := claims.AllRoles(list...)
		list[0] = "x"
		if err := rule.Check(&verifier.Token{Roles: []string{"a", "b"}}); err != nil {
			t.Errorf("the rule changed: %v", err)
		}
	})
	t.Run("GO-03/concurrent_use", func(t *testing.T) {
		rule, tok := claims.AnyRole("a", "b"), &verifier.Token{Roles: []string{"b"}}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 100 {
					_, cerr := rule.Challenge()
					if err := errors.Join(rule.Check(tok), cerr); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
}
