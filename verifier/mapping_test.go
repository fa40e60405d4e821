// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

type path = verifier.ClaimPath

func mapped(m verifier.Mapping) func(*verifier.Config) {
	return func(cfg *verifier.Config) { cfg.Mapping = m }
}

// scopesFrom reads scopes from a claim of this path.
func scopesFrom(names ...string) func(*verifier.Config) {
	return mapped(verifier.Mapping{Scopes: names})
}

// noScope is a good token without scope, after the edits.
func noScope(claims object) string { return token(nil, object{"scope": nil}.edit(claims)) }

func TestMappedScopes(t *testing.T) {
	scp, scope := scopesFrom("scp"), scopesFrom("scope")
	nested := scopesFrom("ext", "api", "scp")
	for _, tt := range []struct {
		name   string
		edit   func(*verifier.Config)
		claims object
		want   []string
	}{
		{"SC-04/D40_scp_array", scp, object{"scp": []string{"a", "b:c"}}, []string{"a", "b:c"}},
		{"SC-04/scp_string", scp, object{"scp": " a  b "}, []string{"a", "b"}},
		{"SC-04/D40_scope_array", scope, object{"scope": []string{"a", "b"}}, []string{"a", "b"}},
		{"SC-04/scope_string", scope, object{"scope": "a b"}, []string{"a", "b"}},
		{"SC-04/permissions", scopesFrom("permissions"), object{"permissions": []string{"a"}}, []string{"a"}},
		{"SC-04/nested", nested, object{"ext": object{"api": object{"scp": []string{"a"}}}}, []string{"a"}},
		{"SC-04/D42_contradiction", scp, object{"scope": "x y", "scp": []string{"a"}}, []string{"a"}},
		{"SC-04/D42_mapped_claim_missing", scp, object{"scope": "x y"}, nil},
		{"SC-04/D42_mapped_claim_empty", scp, object{"scope": "x y", "scp": []string{}}, nil},
		{"SC-04/D42_other_claim_of_wrong_type", scp, object{"scope": 1, "scp": "a"}, []string{"a"}},
		{"SC-04/D42_scp_beside_scope_list", scope, object{"scope": []string{"a"}, "scp": "x"}, []string{"a"}},
		{"SC-04/D43_roles_beside", scp, object{"scp": "a", "roles": []string{"x"}, "permissions": []string{"y"}}, []string{"a"}},
		{"SC-08/D36_absent", scp, nil, nil},
		{"SC-08/D37_empty_string", scp, object{"scp": ""}, nil},
		{"SC-08/empty_array", scp, object{"scp": []string{}}, nil},
		{"SC-08/object_on_the_way_absent", nested, object{"ext": object{"scp": "x"}}, nil},
		{"SC-08/first_object_absent", nested, object{"scp": "x", "api": object{"scp": "x"}}, nil},
		{"SC-01/duplicates_collapse_in_an_array", scp, object{"scp": []string{"a", "b", "a"}}, []string{"a", "b"}},
		{"SC-01/case_differs_in_an_array", scp, object{"scp": []string{"Read", "read"}}, []string{"Read", "read"}},
		{"JV-06/upper_case_is_another_claim", scp, object{"SCP": "x", "Scp": []string{"y"}}, nil},
		{"JV-06/upper_case_inside", nested, object{"ext": object{"API": object{"scp": "x"}, "api": object{"Scp": "y"}}}, nil},
		{"JV-06/dotted_name_is_no_path", nested, object{"ext.api.scp": "x", "ext": object{"api.scp": "y"}}, nil},
		{"JV-06/path_is_no_dotted_name", scopesFrom("ext.scp"), object{"ext": object{"scp": "x"}, "ext.scp": "a"}, []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, tt.edit)
			for range 2 {
				tok := expect(t, v, noScope(tt.claims), nil)
				if !slices.Equal(tok.Scopes, tt.want) {
					t.Errorf("scopes %q, want %q", tok.Scopes, tt.want)
				}
				for _, s := range tt.want {
					if !tok.HasScope(s) {
						t.Errorf("%q is not granted", s)
					}
				}
			}
		})
	}
	t.Run("SC-05/D40_never_matched_as_text", func(t *testing.T) {
		tok := expect(t, newVerifier(t, scp), noScope(object{"scp": []string{"a", "b"}}), nil)
		for _, s := range []string{"[a", "b]", "[a b]", "a b", "[a", ""} {
			if tok.HasScope(s) {
				t.Errorf("%q is granted", s)
			}
		}
	})
	t.Run("SC-06/implied_by_a_mapped_scope", func(t *testing.T) {
		v := newVerifier(t, scp, func(cfg *verifier.Config) { cfg.Implies = map[string][]string{"admin": {"read"}} })
		if !expect(t, v, noScope(object{"scp": []string{"admin"}}), nil).HasScope("read") {
			t.Error("read is not granted")
		}
	})
}

func TestMappedScopesOfWrongForm(t *testing.T) {
	forms := map[string]any{
		"D41_number": 1, "D41_true": true, "D41_null": raw("null"), "D41_object": object{}, "D41_array_of_number": []int{1},
		"D41_array_with_null": []any{"a", nil}, "nested_array": []any{[]string{"a"}}, "D45_list_of_objects": []object{{"value": "a"}},
		"mixed": []any{"a", object{"value": "b"}}, "D58_false": false, "D58_0": 0,
	}
	var rows []verdict
	for name, v := range forms {
		rows = append(rows,
			verdict{"SC-04/" + name, noScope(object{"scp": v}), verifier.ErrInvalidClaim},
			verdict{"SC-04/right_scope_beside_" + name, token(nil, object{"scp": v}), verifier.ErrInvalidClaim})
	}
	for name, s := range map[string]string{
		"two_in_one_element": "a b", "empty_element": "", "blank_element": " ", "trailing_space": "a ", "tab": "a\tb", "newline": "a\n",
		"quote": `a"`, "backslash": `a\`, "non_ascii": "é", "nul": "a\x00", "nbsp": "a\u00a0b",
	} {
		rows = append(rows, verdict{"SC-03/array_" + name, noScope(object{"scp": []string{"ok", s}}), verifier.ErrInvalidClaim})
	}
	rows = append(rows, verdict{"SC-03/D38_mapped_string", noScope(object{"scp": "a\tb"}), verifier.ErrInvalidClaim})
	judge(t, newVerifier(t, scopesFrom("scp")), rows)

	var ways []verdict
	for name, v := range map[string]any{"string": "scp", "null": raw("null"), "array": []object{{"scp": "a"}}, "number": 1, "true": true} {
		ways = append(ways,
			verdict{"SC-04/first_step_is_" + name, noScope(object{"x": v}), verifier.ErrInvalidClaim},
			verdict{"SC-04/second_step_is_" + name, noScope(object{"x": object{"y": v}}), verifier.ErrInvalidClaim})
	}
	judge(t, newVerifier(t, scopesFrom("x", "y", "scp")), ways)
	judge(t, newVerifier(t), []verdict{{"SC-04/D40_array_without_mapping", token(nil, object{"scope": []string{"a"}}), verifier.ErrInvalidClaim}})
	judge(t, newVerifier(t, mapped(verifier.Mapping{Roles: path{"r"}})), []verdict{
		{"SC-04/D40_array_under_another_mapping", token(nil, object{"scope": []string{"a"}}), verifier.ErrInvalidClaim},
	})
}

func TestMappedRoles(t *testing.T) {
	all := mapped(verifier.Mapping{
		Roles: path{"realm_access", "roles"}, Groups: path{"realm_access.roles"}, Entitlements: path{"a", "b", "c", "d", "e", "f", "g", "h"},
	})
	deep := func(v any) any {
		return object{"b": object{"c": object{"d": object{"e": object{"f": object{"g": object{"h": v}}}}}}}
	}
	for _, tt := range []struct {
		name                        string
		payload                     string
		roles, groups, entitlements []string
	}{
		{"SC-12/D45_nested_and_literal", `"realm_access":{"roles":["r"]},"realm_access.roles":["g"]`, []string{"r"}, []string{"g"}, nil},
		{"SC-12/D45_nested_only", `"realm_access":{"roles":["r"]}`, []string{"r"}, nil, nil},
		{"SC-12/D45_literal_only", `"realm_access.roles":["g"]`, nil, []string{"g"}, nil},
		{"SC-12/D45_objects", `"realm_access":{"roles":[{"value":"r"},{"value":"s","x":1}]}`, []string{"r", "s"}, nil, nil},
		{"SC-12/D45_string_is_no_list", `"realm_access":{"roles":"r"},"realm_access.roles":"g"`, nil, nil, nil},
		{"SC-12/D45_objects_without_value", `"realm_access":{"roles":[{"name":"r"}]}`, nil, nil, nil},
		{"SC-12/D45_object_is_no_list", `"realm_access":{"roles":{"r":true}}`, nil, nil, nil},
		{"AP-08/D58_way_is_null", `"realm_access":null`, nil, nil, nil},
		{"AP-08/D58_way_is_a_list", `"realm_access":[{"roles":["r"]}]`, nil, nil, nil},
		{"AP-08/D58_way_is_a_string", `"realm_access":"roles"`, nil, nil, nil},
		{"AP-08/D58_one_number_in_the_list", `"realm_access":{"roles":["r",1]}`, nil, nil, nil},
		{"JV-06/other_case_outside", `"Realm_Access":{"roles":["x"]},"REALM_ACCESS.ROLES":["x"]`, nil, nil, nil},
		{"JV-06/other_case_inside", `"realm_access":{"Roles":["x"]}`, nil, nil, nil},
		{"JV-06/other_case_beside", `"realm_access":{"roles":["r"],"ROLES":["x"]}`, []string{"r"}, nil, nil},
		{"JV-06/escaped_name_is_the_name", `"realm\u005faccess":{"\u0072oles":["r"]}`, []string{"r"}, nil, nil},
		{"AP-09/D42_standard_claims_not_read", `"roles":["x"],"groups":["x"],"entitlements":["x"]`, nil, nil, nil},
		{"AP-09/eight_names", `"a":` + string(ok(json.Marshal(deep([]string{"e"})))), nil, nil, []string{"e"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tok := expect(t, newVerifier(t, all), tokenText(plus(goodClaims(), tt.payload)), nil)
			if !slices.Equal(tok.Roles, tt.roles) || !slices.Equal(tok.Groups, tt.groups) || !slices.Equal(tok.Entitlements, tt.entitlements) {
				t.Errorf("roles %q, groups %q, entitlements %q", tok.Roles, tok.Groups, tok.Entitlements)
			}
			if !slices.Equal(tok.Scopes, []string{"orders:read"}) {
				t.Errorf("scopes %q", tok.Scopes)
			}
		})
	}
	t.Run("AP-09/unmapped_fields_stay", func(t *testing.T) {
		tok := expect(t, newVerifier(t, mapped(verifier.Mapping{Roles: path{"r"}})),
			token(nil, object{"r": []string{"a"}, "roles": []string{"x"}, "groups": []string{"g"}, "entitlements": []string{"e"}}), nil)
		if !slices.Equal(tok.Roles, []string{"a"}) || !slices.Equal(tok.Groups, []string{"g"}) || !slices.Equal(tok.Entitlements, []string{"e"}) {
			t.Errorf("%q %q %q", tok.Roles, tok.Groups, tok.Entitlements)
		}
	})
	t.Run("JV-28/Decode_reads_the_claims_as_issued", func(t *testing.T) {
		tok := expect(t, newVerifier(t, all), token(nil, object{"roles": []string{"x"}, "realm_access": object{"roles": []string{"r"}, "n": raw("9007199254740993")}}), nil)
		var claims map[string]any
		if err := tok.Decode(&claims); err != nil || fmt.Sprint(claims["roles"], claims["realm_access"]) != "[x] map[n:9007199254740993 roles:[r]]" {
			t.Errorf("%v, %v", claims, err)
		}
	})
}

func TestMappedClient(t *testing.T) {
	client := func(names ...string) func(*verifier.Config) { return mapped(verifier.Mapping{ClientID: names}) }
	azp := func(clientID, azp any) string { return token(nil, object{"client_id": clientID, "azp": azp}) }
	rows := []verdict{
		{"JV-26/D53_azp_alone", azp(nil, "app"), nil},
		{"JV-26/D53_azp_beside_client_id", azp("other", "app"), nil},
		{"JV-26/D53_client_id_of_wrong_type_is_not_read", azp(1, "app"), nil},
		{"AP-03/D53_client_id_does_not_stand_in", azp("app", nil), verifier.ErrMissingClaim},
		{"JV-26/D58_empty", azp("app", ""), verifier.ErrInvalidClaim},
	}
	for kind, v := range notStrings {
		rows = append(rows, verdict{"JV-26/D58_azp_" + kind, azp("app", v), verifier.ErrInvalidClaim})
	}
	judge(t, newVerifier(t, client("azp")), rows)
	for name, clientID := range map[string]any{"D53_equal": "app", "D53_different": "evil", "D53_absent": nil} {
		t.Run("JV-31/"+name, func(t *testing.T) {
			if tok := expect(t, newVerifier(t, client("azp")), azp(clientID, "app"), nil); tok.ClientID != "app" {
				t.Errorf("client %q", tok.ClientID)
			}
		})
	}
	nested := newVerifier(t, client("app", "id"))
	judge(t, nested, []verdict{
		{"JV-26/nested", token(nil, object{"client_id": nil, "app": object{"id": "x"}}), nil},
		{"AP-03/nested_missing", token(nil, object{"app": object{}}), verifier.ErrMissingClaim},
		{"JV-26/way_is_no_object", token(nil, object{"app": "x"}), verifier.ErrInvalidClaim},
	})
	judge(t, newVerifier(t, client("azp"), func(cfg *verifier.Config) { cfg.OptionalClaims = []string{"client_id"} }), []verdict{
		{"AP-04/mapped_claim_optional", azp(nil, nil), nil},
		{"AP-04/empty_where_optional", azp(nil, ""), nil},
	})
	listed := func(cfg *verifier.Config) { cfg.Audience, cfg.Clients = nil, []string{"app"} }
	judge(t, newVerifier(t, legacy, listed, client("cid")), []verdict{
		{"JV-18/listed", token(nil, object{"client_id": nil, "cid": "app"}), nil},
		{"JV-18/D53_only_the_mapped_claim", token(nil, object{"client_id": "app", "azp": "app", "cid": "evil"}), verifier.ErrAudience},
		{"JV-18/D53_others_do_not_stand_in", token(nil, object{"client_id": "app", "azp": "app"}), verifier.ErrMissingClaim},
		{"JV-18/D53_nor_for_an_empty_one", token(nil, object{"client_id": "app", "azp": "app", "cid": ""}), verifier.ErrMissingClaim},
		{"JV-18/D53_others_may_differ", token(nil, object{"client_id": "evil", "azp": "evil", "cid": "app"}), nil},
		{"JV-18/wrong_type", token(nil, object{"cid": []string{"app"}}), verifier.ErrInvalidClaim},
	})
	judge(t, newVerifier(t, legacy, listed, client("client_id")), []verdict{
		{"JV-18/D53_azp_switched_off", token(nil, object{"client_id": nil, "azp": "app"}), verifier.ErrMissingClaim},
		{"JV-18/client_id_named", token(nil, object{"client_id": "app", "azp": "evil"}), nil},
	})
}

// TestMappingAtScale: whatever an issuer puts where a mapping leads is read in linear
// memory.
func TestMappingAtScale(t *testing.T) {
	all := mapped(verifier.Mapping{Scopes: path{"x", "scp"}, Roles: path{"x", "y", "r"}, Groups: path{"x", "y", "g"}, Entitlements: path{"x", "y", "z", "e"}})
	many := strings.Fields(manyScopes(9_000))
	for name, x := range map[string]object{
		"D46_scopes":  {"scp": many},
		"roles":       {"y": object{"r": many}},
		"role_values": {"y": object{"g": raw(`[` + strings.Repeat(`{"value":"v"},`, 800) + `{"value":"w"}]`)}},
		"wide":        {"y": object{"pad": raw("{" + pairs(11_000) + "}")}},
	} {
		t.Run("M4/"+name, func(t *testing.T) { costs(t, noScope(object{"x": x}), 1<<20, all) })
	}
}

// TestMappingSaysNothingOfTheToken: errors and events name the configured path only.
func TestMappingSaysNothingOfTheToken(t *testing.T) {
	canary := rand.Text()
	var heard recorder
	v := newVerifier(t, heardBy(&heard), func(cfg *verifier.Config) {
		cfg.Mapping = verifier.Mapping{Scopes: path{"x", "scp"}, ClientID: path{"azp"}}
		cfg.RequiredClaims = []verifier.RequiredClaim{{Path: path{"kind"}, Values: []string{"a"}}}
	})
	good := object{"azp": "c", "kind": "a"}
	for name, claims := range map[string]object{
		"scope_text": {"x": object{"scp": canary + "\t"}}, "scope_list": {"x": object{"scp": []string{canary + " b"}}},
		"way": {"x": canary}, "way_name": {"x": []object{{canary: canary}}}, "client": {"azp": []string{canary}},
		"required": {"kind": canary}, "required_list": {"kind": []string{canary}},
	} {
		t.Run("SE-02/"+name, func(t *testing.T) {
			_, err := verifyTwice(t, v, token(nil, good.edit(claims)))
			if verifier.ClassOf(err) != verifier.ErrInvalidClaim {
				t.Fatalf("got %v", err)
			}
			if text := fmt.Sprintf("%v %+v", err, heard.take()); strings.Contains(text, canary) {
				t.Errorf("a claim is quoted: %s", text)
			}
		})
	}
}
