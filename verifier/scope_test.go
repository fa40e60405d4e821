// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// scoped verifies a good token with this scope claim.
func scoped(t *testing.T, scope any, edits ...func(*verifier.Config)) *verifier.Token {
	t.Helper()
	tok, err := verifyTwice(t, newVerifier(t, edits...), claim("scope", scope))
	wantAccepted(t, tok, err)
	return tok
}

// needs is a rule that asks for one scope.
func needs(scope string) verifier.Requirement {
	return ruleFunc(func(t *verifier.Token) error {
		if t.HasScope(scope) {
			return nil
		}
		return verifier.ErrInsufficientScope
	})
}

func TestScopeTokens(t *testing.T) {
	for name, row := range map[string]struct {
		claim string
		want  []string
	}{
		"SC-01/duplicates_collapse": {"a b a b a", []string{"a", "b"}},
		"SC-01/case_differs":        {"Read read", []string{"Read", "read"}},
		"SC-01/whole_alphabet":      {"!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", []string{"!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~"}},
		"SC-02/spaces":              {" a  b ", []string{"a", "b"}},
		"SC-02/D37_many_spaces":     {"   read   ", []string{"read"}},
		"SC-02/D37_empty":           {"", nil},
		"SC-02/D37_blank":           {" ", nil},
		"SC-02/one":                 {"a", []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := scoped(t, row.claim).Scopes; !slices.Equal(got, row.want) {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
	for _, n := range []int{16, 17, 33, 500} {
		t.Run(fmt.Sprintf("SC-01/duplicates_among_%d", n), func(t *testing.T) {
			var want []string
			for i := range n {
				want = append(want, fmt.Sprintf("s%d", i))
			}
			got := scoped(t, strings.Join(append(slices.Clone(want), want[n-1], want[0], want[n/2]), " ")).Scopes
			if !slices.Equal(got, want) {
				t.Errorf("%q", got)
			}
		})
	}
	for name, scope := range map[string]string{
		"D38_tab": "x\tread", "D38_newline": "x\nread", "cr": "x\rread", "quote": `x"read`, "backslash": `x\read`, "only_tab": "\t",
		"D38_nbsp": "x\u00a0read", "D38_nel": "x\u0085read", "non_ascii": "lés", "emoji": "😀", "del": "x\x7f", "nul": "x\x00read", "control": "\x1f",
		"line_separator": "x\u2028read", "ideographic_space": "x\u3000read", "zero_width": "re\u200bad", "tab_at_end": "read\t",
	} {
		judge(t, newVerifier(t), []verdict{{"SC-03/" + name, claim("scope", scope), verifier.ErrInvalidClaim}})
	}
}

func TestScopesUnderOtherNamesAndTypes(t *testing.T) {
	var rows []verdict
	for name, v := range map[string]any{
		"D40_array": []string{"orders:read"}, "D41_number": 1, "D41_true": true, "D58_false": false, "D41_null": raw("null"), "D41_object": object{},
		"D41_array_of_number": []int{1}, "D41_mixed": []any{"a", nil}, "empty_array": []string{}, "negative": -1, "zero": 0,
	} {
		rows = append(rows, verdict{"SC-04/" + name, claim("scope", v), verifier.ErrInvalidClaim})
	}
	judge(t, newVerifier(t), rows)
	judge(t, newVerifier(t, legacy), rows)
	for name, claims := range map[string]object{
		"scp_alone":       {"scope": nil, "scp": "orders:read"},
		"scp_array_alone": {"scope": nil, "scp": []string{"orders:read"}},
		"scopes_alone":    {"scope": nil, "scopes": "orders:read"},
		"permissions":     {"scope": nil, "permissions": []string{"orders:read"}},
		"D43_roles":       {"scope": nil, "roles": []string{"orders:read"}, "groups": []string{"orders:read"}, "entitlements": []string{"orders:read"}},
		"D42_no_union":    {"scope": "other", "scp": "orders:read"},
	} {
		t.Run("SC-04/"+name, func(t *testing.T) {
			tok, err := verifyTwice(t, newVerifier(t), token(nil, claims))
			wantAccepted(t, tok, err)
			if tok.HasScope("orders:read") || slices.Contains(tok.Scopes, "orders:read") {
				t.Errorf("scopes %q", tok.Scopes)
			}
		})
	}
}

func TestHasScope(t *testing.T) {
	t.Run("SC-01/Read_is_not_read", func(t *testing.T) {
		if tok := scoped(t, "Read"); tok.HasScope("read") || !tok.HasScope("Read") {
			t.Errorf("%q", tok.Scopes)
		}
	})
	t.Run("SC-01/order_has_no_meaning", func(t *testing.T) {
		for _, scope := range []string{"a b c", "c b a"} {
			for _, one := range []string{"a", "b", "c"} {
				if !scoped(t, scope).HasScope(one) {
					t.Errorf("%q does not grant %q", scope, one)
				}
			}
		}
	})
	for _, granted := range []string{
		"orders", "orders:", "orders:rea", "orders:read2", "orders:*", "*", ".*", "orders:read:all", "orders:read,write", "orders:write", "ORDERS:READ",
		"orders/read", "orders.read", "xorders:read", ":read", "readonly", "unread", "orders:read,", "[orders:read]", "orders:|orders:readx",
	} {
		t.Run("SC-05/D39_"+granted, func(t *testing.T) {
			tok := scoped(t, granted)
			if tok.HasScope("orders:read") {
				t.Errorf("%q satisfies orders:read", granted)
			}
			if !tok.HasScope(granted) {
				t.Errorf("%q does not satisfy itself", granted)
			}
		})
	}
	t.Run("SC-05/no_list_is_asked_for", func(t *testing.T) {
		tok := scoped(t, "a b")
		for _, asked := range []string{"", " ", "a b", "a ", " a", "b a"} {
			if tok.HasScope(asked) {
				t.Errorf("%q is granted", asked)
			}
		}
	})
	for name, claims := range map[string]object{"D36_absent": {"scope": nil}, "D37_empty": {"scope": ""}, "D37_blank": {"scope": "  "}} {
		t.Run("SC-08/"+name, func(t *testing.T) {
			v := newVerifier(t)
			tok, err := verifyTwice(t, v, token(nil, claims))
			wantAccepted(t, tok, err)
			if len(tok.Scopes) != 0 || tok.HasScope("") || tok.HasScope("orders:read") {
				t.Errorf("%q", tok.Scopes)
			}
			tok, err = verifyTwice(t, v, token(nil, claims), needs("orders:read"))
			wantClass(t, tok, err, verifier.ErrInsufficientScope)
		})
	}
	t.Run("SC-05/nil_token", func(t *testing.T) {
		var none *verifier.Token
		if none.HasScope("a") {
			t.Error("no token grants a scope")
		}
	})
}

func TestImplication(t *testing.T) {
	implies := func(m map[string][]string) func(*verifier.Config) {
		return func(cfg *verifier.Config) { cfg.Implies = m }
	}
	tree := implies(map[string][]string{
		"admin": {"write", "audit"}, "write": {"read"}, "audit": {"read"}, "root": {"admin"}, "unused": {"other"},
	})
	for scope, grants := range map[string]string{
		"admin": "admin write audit read", "write": "write read", "read": "read", "audit": "audit read",
		"root": "root admin write audit read", "audit write": "audit write read", "unknown": "unknown", "": "",
	} {
		t.Run("SC-06/"+scope, func(t *testing.T) {
			tok := scoped(t, scope, tree)
			for _, asked := range []string{"root", "admin", "write", "audit", "read", "unused", "other", "unknown"} {
				want := slices.Contains(strings.Fields(grants), asked)
				if tok.HasScope(asked) != want {
					t.Errorf("HasScope(%q) is %v", asked, !want)
				}
			}
			if got := strings.Join(tok.Scopes, " "); got != scope {
				t.Errorf("Scopes is %q, not as issued", got)
			}
		})
	}
	t.Run("SC-06/rule_passes", func(t *testing.T) {
		v := newVerifier(t, implies(map[string][]string{"admin": {"read"}}))
		tok, err := verifyTwice(t, v, claim("scope", "admin"), needs("read"))
		wantAccepted(t, tok, err)
		tok, err = verifyTwice(t, newVerifier(t), claim("scope", "admin"), needs("read"))
		wantClass(t, tok, err, verifier.ErrInsufficientScope)
		tok, err = verifyTwice(t, v, claim("scope", "read"), needs("admin"))
		wantClass(t, tok, err, verifier.ErrInsufficientScope)
	})
	t.Run("SC-06/per_issuer", func(t *testing.T) {
		both := ok(verifier.Join(newVerifier(t), newVerifier(t, tree, func(cfg *verifier.Config) { cfg.Issuer = "https://b.example" })))
		tok, err := verifyTwice(t, both, token(nil, object{"scope": "admin", "iss": "https://b.example"}), needs("read"))
		wantAccepted(t, tok, err)
		tok, err = verifyTwice(t, both, claim("scope", "admin"), needs("read"))
		wantClass(t, tok, err, verifier.ErrInsufficientScope)
	})
	t.Run("SC-06/the_map_is_copied", func(t *testing.T) {
		m := map[string][]string{"admin": {"read"}}
		v := newVerifier(t, implies(m))
		m["user"], m["admin"][0] = []string{"read"}, "write"
		tok, err := verifyTwice(t, v, claim("scope", "admin"), needs("read"))
		wantAccepted(t, tok, err)
		tok, err = verifyTwice(t, v, claim("scope", "user"), needs("read"))
		wantClass(t, tok, err, verifier.ErrInsufficientScope)
	})
	for name, m := range map[string]map[string][]string{
		"itself": {"a": {"a"}}, "two": {"a": {"b"}, "b": {"a"}}, "three": {"a": {"b"}, "b": {"c"}, "c": {"a"}},
		"behind_a_tail": {"x": {"a"}, "a": {"b"}, "b": {"a"}}, "in_one_branch": {"a": {"b", "c"}, "c": {"d", "a"}},
	} {
		t.Run("SC-06/cycle_"+name, func(t *testing.T) { refusesConfig(t, "Implies", implies(m)) })
	}
	for name, m := range map[string]map[string][]string{
		"broad_empty": {"": {"a"}}, "narrow_empty": {"a": {""}}, "space": {"a": {"b c"}}, "quote": {`a"`: {"b"}}, "non_ascii": {"a": {"é"}},
	} {
		t.Run("SC-06/no_scope_"+name, func(t *testing.T) { refusesConfig(t, "Implies", implies(m)) })
	}
	t.Run("SC-06/narrower_than_nothing", func(t *testing.T) {
		if tok := scoped(t, "a", implies(map[string][]string{"a": nil})); !tok.HasScope("a") || tok.HasScope("b") {
			t.Errorf("%q", tok.Scopes)
		}
	})
}
