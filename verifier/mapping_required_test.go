// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

func demanding(list ...verifier.RequiredClaim) func(*verifier.Config) {
	return func(cfg *verifier.Config) { cfg.RequiredClaims = list }
}

func TestFurtherRequiredClaims(t *testing.T) {
	use := demanding(verifier.RequiredClaim{Path: path{"use"}, Values: []string{"access", "service"}})
	judge(t, newVerifier(t, use), []verdict{
		{"required_claim/first_value", claim("use", "access"), nil},
		{"required_claim/last_value", claim("use", "service"), nil},
		{"required_claim/missing", token(nil, nil), verifier.ErrMissingClaim},
		{"required_claim/other_value", claim("use", "id"), verifier.ErrInvalidClaim},
		{"required_claim/other_case", claim("use", "Access"), verifier.ErrInvalidClaim},
		{"required_claim/longer", claim("use", "access "), verifier.ErrInvalidClaim},
		{"required_claim/shorter", claim("use", "acces"), verifier.ErrInvalidClaim},
		{"required_claim/both", claim("use", "access service"), verifier.ErrInvalidClaim},
		{"required_claim/empty", claim("use", ""), verifier.ErrInvalidClaim},
		{"required_claim/array_of_it", claim("use", []string{"access"}), verifier.ErrInvalidClaim},
		{"required_claim/object_of_it", claim("use", object{"access": true}), verifier.ErrInvalidClaim},
		{"required_claim/true", claim("use", true), verifier.ErrInvalidClaim},
		{"required_claim/null", claim("use", raw("null")), verifier.ErrInvalidClaim},
		{"JV-06/other_case_of_the_name", claim("USE", "access"), verifier.ErrMissingClaim},
		{"JV-06/both_names", token(nil, object{"USE": "access", "use": "id"}), verifier.ErrInvalidClaim},
		{"JV-06/both_names_the_right_one", token(nil, object{"USE": "id", "use": "access"}), nil},
	})
	judge(t, newVerifier(t, demanding(verifier.RequiredClaim{Path: path{"email_verified"}})), []verdict{
		{"required_claim/true", claim("email_verified", true), nil},
		{"required_claim/text_true", claim("email_verified", "true"), verifier.ErrInvalidClaim},
		{"required_claim/false", claim("email_verified", false), verifier.ErrInvalidClaim},
		{"required_claim/one", claim("email_verified", 1), verifier.ErrInvalidClaim},
		{"required_claim/list_of_true", claim("email_verified", []bool{true}), verifier.ErrInvalidClaim},
		{"required_claim/null", claim("email_verified", raw("null")), verifier.ErrInvalidClaim},
		{"required_claim/absent", token(nil, nil), verifier.ErrMissingClaim},
	})
	judge(t, newVerifier(t, demanding(verifier.RequiredClaim{Path: path{"x", "y"}, Values: []string{"v"}})), []verdict{
		{"required_claim/nested", claim("x", object{"y": "v"}), nil},
		{"required_claim/nested_missing", claim("x", object{}), verifier.ErrMissingClaim},
		{"required_claim/way_missing", token(nil, nil), verifier.ErrMissingClaim},
		{"required_claim/way_is_no_object", claim("x", "y"), verifier.ErrInvalidClaim},
		{"required_claim/dotted_name", claim("x.y", "v"), verifier.ErrMissingClaim},
	})
	judge(t, newVerifier(t, legacy, demanding(
		verifier.RequiredClaim{Path: path{"a"}, Values: []string{"1", "2"}},
		verifier.RequiredClaim{Path: path{"b"}},
		verifier.RequiredClaim{Path: path{"a"}, Values: []string{"2", "3"}},
	)), []verdict{
		{"required_claim/every_one_is_met", token(nil, object{"a": "2", "b": true}), nil},
		{"required_claim/first_not_met", token(nil, object{"a": "3", "b": true}), verifier.ErrInvalidClaim},
		{"required_claim/second_not_met", token(nil, object{"a": "2"}), verifier.ErrMissingClaim},
		{"required_claim/last_not_met", token(nil, object{"a": "1", "b": true}), verifier.ErrInvalidClaim},
	})
	judge(t, newVerifier(t, demanding(verifier.RequiredClaim{Path: path{"sub"}, Values: []string{"user-1"}})), []verdict{
		{"required_claim/sub_of_these", token(nil, nil), nil},
		{"required_claim/sub_of_no_other", claim("sub", "user-2"), verifier.ErrInvalidClaim},
	})
}

// TestRequiredClaimsInOrder: they are step 6 of EO-01, after aud and time.
func TestRequiredClaimsInOrder(t *testing.T) {
	v := newVerifier(t, demanding(verifier.RequiredClaim{Path: path{"use"}, Values: []string{"access"}}))
	rules := 0
	spy := ruleFunc(func(*verifier.Token) error { rules++; return verifier.ErrForbidden })
	verify := func(t *testing.T, raw string, class error) {
		t.Helper()
		tok, err := verifyTwice(t, v, raw, spy)
		wantClass(t, tok, err, class)
	}
	for name, row := range map[string]struct {
		claims object
		class  error
	}{
		"audience_first": {object{"aud": "x"}, verifier.ErrAudience},
		"time_first":     {object{"exp": 1}, verifier.ErrExpired},
		"binding_later":  {object{"cnf": object{"jkt": b64(strings.Repeat("k", 32))}}, verifier.ErrMissingClaim},
		"rules_later":    {nil, verifier.ErrMissingClaim},
	} {
		t.Run("EO-01/"+name, func(t *testing.T) { verify(t, token(nil, row.claims), row.class) })
	}
	t.Run("EO-01/signature_first", func(t *testing.T) {
		verify(t, sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().String()), verifier.ErrSignature)
	})
	if rules != 0 {
		t.Errorf("%d rules ran", rules)
	}
}

// TestMappingIsCached: mapped and required claims are facts of the token.
func TestMappingIsCached(t *testing.T) {
	custom := func(cfg *verifier.Config) {
		cfg.Mapping = verifier.Mapping{Scopes: path{"x", "scp"}, ClientID: path{"x", "app"}, Roles: path{"x", "roles"}}
		cfg.RequiredClaims = []verifier.RequiredClaim{{Path: path{"x", "use"}, Values: []string{"access"}}}
	}
	rich := token(nil, object{"x": object{"scp": []string{"a"}, "app": "c", "roles": []string{"r"}, "use": "access"}})
	t.Run("JV-35/what_callers_change_stays_with_them", func(t *testing.T) {
		v := newVerifier(t, custom)
		tok := expect(t, v, rich, nil)
		tok.Scopes[0], tok.Roles[0], tok.ClientID = "evil", "evil", "evil"
		if again := expect(t, v, rich, nil); !again.HasScope("a") || again.Roles[0] != "r" || again.ClientID != "c" {
			t.Errorf("%q %q %q", again.Scopes, again.Roles, again.ClientID)
		}
	})
	t.Run("JV-35/refusal_is_not_cached_as_accepted", func(t *testing.T) {
		v := newVerifier(t, custom)
		for range 3 {
			expect(t, v, token(nil, object{"scope": "a", "roles": []string{"r"}}), verifier.ErrMissingClaim)
		}
	})
}

func TestMappingFaults(t *testing.T) {
	type edit = func(*verifier.Config)
	scopes := func(names ...string) edit { return scopesFrom(append([]string{}, names...)...) }
	required := func(path path, values ...string) edit {
		return demanding(verifier.RequiredClaim{Path: path, Values: values})
	}
	nine := strings.Split("a b c d e f g h i", " ")
	rows := []struct {
		name, says string
		edit       edit
	}{
		{"no_name", "Mapping.Scopes has no name", mapped(verifier.Mapping{Scopes: path{}})},
		{"empty_name", "Mapping.Scopes holds an empty name", scopes("")},
		{"empty_name_inside", "Mapping.Scopes holds an empty name", scopes("a", "", "b")},
		{"nine_names", "Mapping.Scopes has 9 names", scopes(nine...)},
		{"scopes_from_roles", "Mapping.Scopes leads to the claim roles", scopes("roles")},
		{"scopes_from_groups", "Mapping.Scopes leads to the claim groups", scopes("groups")},
		{"scopes_from_entitlements", "Mapping.Scopes leads to the claim entitlements", scopes("entitlements")},
		{"scopes_from_roles_mapped_elsewhere", "Mapping.Scopes leads to the claim roles", mapped(verifier.Mapping{Scopes: path{"roles"}, Roles: path{"app", "roles"}})},
		{"33_required_claims", "RequiredClaims has 33 entries", demanding(slices.Repeat([]verifier.RequiredClaim{{Path: path{"x"}}}, 33)...)},
		{"scopes_from_mapped_roles", "Mapping.Scopes leads to", mapped(verifier.Mapping{Scopes: path{"x", "y"}, Roles: path{"x", "y"}})},
		{"required_no_path", "RequiredClaims[0].Path has no name", required(nil, "x")},
		{"required_empty_name", "RequiredClaims[0].Path holds an empty name", required(path{""}, "x")},
		{"required_nine_names", "RequiredClaims[0].Path has 9 names", required(nine, "x")},
		{"required_empty_value", "RequiredClaims[0].Values holds an empty string", required(path{"x"}, "a", "")},
		{"required_value_twice", `RequiredClaims[0].Values holds "a" twice`, required(path{"x"}, "a", "b", "a")},
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "act"} {
		for field, m := range map[string]verifier.Mapping{
			"Scopes": {Scopes: path{name}}, "ClientID": {ClientID: path{name}}, "Roles": {Roles: path{name, "x"}},
			"Groups": {Groups: path{name}}, "Entitlements": {Entitlements: path{name}},
		} {
			rows = append(rows, struct {
				name, says string
				edit       edit
			}{field + "_from_" + name, "Mapping." + field + " leads to " + name, mapped(m)})
		}
	}
	for _, row := range rows {
		t.Run("GO-02/"+row.name, func(t *testing.T) { refusesConfig(t, "verifier.Config."+row.says, row.edit) })
	}
	for field, m := range map[string]verifier.Mapping{
		"ClientID": {ClientID: path{"scope"}}, "Roles": {Roles: path{"scope"}}, "Groups": {Groups: path{"scope"}},
		"Entitlements": {Entitlements: path{"scope"}}, "Roles_beside_mapped_scopes": {Roles: path{"scope"}, Scopes: path{"scp"}},
	} {
		t.Run("SC-11/from_scope_"+field, func(t *testing.T) { refusesConfig(t, "leads to scope", mapped(m)) })
	}
	for _, name := range []string{"iss", "aud", "exp", "nbf", "iat", "cnf"} {
		t.Run("GO-02/required_"+name, func(t *testing.T) {
			refusesConfig(t, "RequiredClaims[0].Path leads to "+name, required(path{name}, "x"))
		})
	}
	t.Run("GO-02/every_fault_at_once", func(t *testing.T) {
		_, err := verifier.New(config(mapped(verifier.Mapping{Scopes: path{""}, ClientID: path{"iss"}, Roles: nine, Groups: path{}, Entitlements: path{"scope"}}),
			demanding(verifier.RequiredClaim{Path: path{"x"}}, verifier.RequiredClaim{Path: path{"exp"}, Values: []string{""}})))
		for _, want := range []string{"Mapping.Scopes", "Mapping.ClientID", "Mapping.Roles", "Mapping.Groups", "Mapping.Entitlements", "RequiredClaims[1].Path", "RequiredClaims[1].Values"} {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s is not named in: %v", want, err)
			}
		}
		if strings.Contains(fmt.Sprint(err), "RequiredClaims[0]") {
			t.Errorf("the first required claim is right: %v", err)
		}
	})
	for name, edit := range map[string]edit{
		"eight_names":               scopes(nine[:8]...),
		"scope_itself":              scopes("scope"),
		"32_required_claims":        demanding(slices.Repeat([]verifier.RequiredClaim{{Path: path{"x"}}}, 32)...),
		"same_name_at_other_depths": mapped(verifier.Mapping{Scopes: path{"x", "roles"}}),
		"registered_name_inside":    mapped(verifier.Mapping{ClientID: path{"x", "sub"}}),
		"one_claim_for_two_lists":   mapped(verifier.Mapping{Roles: path{"groups"}}),
	} {
		t.Run("GO-02/allowed_"+name, func(t *testing.T) {
			if _, err := verifier.New(config(edit)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMappingIsCopied(t *testing.T) {
	t.Run("GO-03/later_changes_have_no_effect", func(t *testing.T) {
		m := verifier.Mapping{Scopes: path{"x", "scp"}, ClientID: path{"azp"}, Roles: path{"r"}, Groups: path{"g"}, Entitlements: path{"e"}}
		demands := []verifier.RequiredClaim{{Path: path{"use"}, Values: []string{"access"}}, {Path: path{"ok"}}}
		v := newVerifier(t, mapped(m), demanding(demands...))
		for _, p := range []path{m.Scopes, m.ClientID, m.Roles, m.Groups, m.Entitlements, demands[0].Path, demands[1].Path, demands[0].Values} {
			p[0] = "evil"
		}
		demands[1] = verifier.RequiredClaim{Path: path{"evil"}}
		tok := expect(t, v, token(nil, object{
			"x": object{"scp": "a"}, "azp": "c", "r": []string{"r"}, "g": []string{"g"}, "e": []string{"e"}, "use": "access", "ok": true,
		}), nil)
		if !slices.Equal(slices.Concat(tok.Scopes, tok.Roles, tok.Groups, tok.Entitlements), []string{"a", "r", "g", "e"}) || tok.ClientID != "c" {
			t.Errorf("%+v", tok)
		}
	})
}

// TestJoinKeepsMappingsApart: each issuer is read in its own way.
func TestJoinKeepsMappingsApart(t *testing.T) {
	p := newPair(t, scopesFrom("scp"), demanding(verifier.RequiredClaim{Path: path{"use"}, Values: []string{"access"}}))
	both := object{"scope": "a", "scp": []string{"b"}}
	fromB := func(claims object) string {
		return sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().edit(object{"iss": otherIssuer}).edit(claims).String())
	}
	t.Run("GO-19/scopes_per_issuer", func(t *testing.T) {
		for range 2 {
			a, b := expect(t, p.both, token(nil, both), nil), expect(t, p.both, fromB(both.edit(object{"use": "access"})), nil)
			if !slices.Equal(a.Scopes, []string{"a"}) || !slices.Equal(b.Scopes, []string{"b"}) {
				t.Errorf("%q, %q", a.Scopes, b.Scopes)
			}
		}
	})
	t.Run("GO-19/required_claims_per_issuer", func(t *testing.T) {
		expect(t, p.both, fromB(both), verifier.ErrMissingClaim)
		expect(t, p.both, token(nil, object{"use": "id"}), nil)
	})
	t.Run("GO-19/arrays_per_issuer", func(t *testing.T) {
		expect(t, p.both, token(nil, object{"scope": []string{"a"}}), verifier.ErrInvalidClaim)
	})
}

func TestSymmetricMapping(t *testing.T) {
	t.Run("SC-04/shared_secrets", func(t *testing.T) {
		v, err := verifier.NewSymmetric(symmetricConfig(scopesFrom("scp")), secret256())
		if err != nil {
			t.Fatal(err)
		}
		raw := sign(secretOf(32), "HS256", goodHeader().edit(object{"alg": "HS256"}).String(), goodClaims().edit(object{"scp": []string{"a"}}).String())
		if tok := expect(t, v, raw, nil); !slices.Equal(tok.Scopes, []string{"a"}) {
			t.Errorf("%q", tok.Scopes)
		}
		_, err = verifier.NewSymmetric(symmetricConfig(scopesFrom("iss")), secret256())
		if verifier.ClassOf(err) != verifier.ErrConfig {
			t.Errorf("got %v", err)
		}
	})
}
