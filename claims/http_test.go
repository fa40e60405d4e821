// SPDX-License-Identifier: Apache-2.0

package claims_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// api is a guarded server with its issuer.
type api struct {
	*oauthtest.Server
	guard *middleware.Guard
}

func newAPI(t *testing.T, edits ...func(*verifier.Config)) api {
	t.Helper()
	as := oauthtest.NewServer(t)
	cfg := as.VerifierConfig("https://api.test")
	for _, edit := range edits {
		edit(&cfg)
	}
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		t.Fatal(err)
	}
	return api{as, g}
}

// get sends a token to a route with these rules; edits make the token.
func (a api) get(reqs []verifier.Requirement, edits ...oauthtest.Edit) *httptest.ResponseRecorder {
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	r := httptest.NewRequest("GET", "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+a.Token(edits...))
	w := httptest.NewRecorder()
	nethttp.Require(a.guard, reqs...)(served).ServeHTTP(w, r)
	return w
}

func rules(reqs ...verifier.Requirement) []verifier.Requirement { return reqs }

// forbidden fails unless w is a 403 from which a client learns nothing more.
func forbidden(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusForbidden || w.Body.Len() != 0 {
		t.Errorf("%d, body %q; want 403 without body", w.Code, w.Body)
	}
	if c := w.Result().Header.Values("WWW-Authenticate"); c != nil {
		t.Errorf("challenge %q; want none", c)
	}
}

func passes(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusNoContent {
		t.Errorf("%d %q; want 204", w.Code, w.Result().Header.Values("WWW-Authenticate"))
	}
}

func TestEncodings(t *testing.T) {
	a := newAPI(t)
	object := func(value any) map[string]any {
		return map[string]any{"value": value, "display": "x", "primary": true}
	}
	for _, k := range kinds {
		all, one := rules(k.all("admin", "user")), rules(k.any("x", "user"))
		for name, list := range map[string]any{
			"strings": []string{"admin", "user"},
			"objects": []any{object("user"), object("admin")},
			"mixed":   []any{"user", object("admin")},
		} {
			t.Run("SC-12/"+k.name+"_"+name, func(t *testing.T) {
				passes(t, a.get(all, oauthtest.Claim(k.name, list)))
				passes(t, a.get(one, oauthtest.Claim(k.name, list)))
				forbidden(t, a.get(rules(k.all("admin", "owner")), oauthtest.Claim(k.name, list)))
				forbidden(t, a.get(rules(k.any("Admin", "owner")), oauthtest.Claim(k.name, list)))
			})
		}
		for name, v := range map[string]any{
			"D58_text": "admin", "D58_list_in_text": "admin user", "D58_null": nil, "D58_true": true, "D58_0": 0, "D58_object": object("admin"),
			"D58_keys": map[string]any{"admin": true, "user": true}, "one_number": []any{"admin", "user", 1}, "nested": []any{[]string{"admin", "user"}},
			"other_member": []any{map[string]any{"display": "admin"}, map[string]any{"Value": "user"}}, "empty": []string{},
		} {
			t.Run("SC-12/"+k.name+"_"+name, func(t *testing.T) {
				forbidden(t, a.get(all, oauthtest.Claim(k.name, v)))
				forbidden(t, a.get(one, oauthtest.Claim(k.name, v)))
				passes(t, a.get(nil, oauthtest.Claim(k.name, v)))
			})
		}
		t.Run("SC-12/"+k.name+"_absent", func(t *testing.T) { forbidden(t, a.get(one)) })
	}
}

func TestScopesAndRoles(t *testing.T) {
	a := newAPI(t)
	admin := oauthtest.Claim("roles", []string{"admin"})
	scope, role := scopes.All("admin"), claims.AllRoles("admin")
	insufficient := func(t *testing.T, w *httptest.ResponseRecorder) {
		t.Helper()
		c := w.Result().Header.Get("WWW-Authenticate")
		if w.Code != http.StatusForbidden || !strings.Contains(c, `error="insufficient_scope"`) || !strings.Contains(c, `scope="admin"`) {
			t.Errorf("%d %q; want 403 insufficient_scope", w.Code, c)
		}
	}
	t.Run("SC-11/role_is_no_scope", func(t *testing.T) { insufficient(t, a.get(rules(scope), admin)) })
	t.Run("SC-11/D43_group_and_entitlement_are_no_scope", func(t *testing.T) {
		insufficient(t, a.get(rules(scope), oauthtest.Claim("groups", []string{"admin"}), oauthtest.Claim("entitlements", []string{"admin"})))
	})
	t.Run("SC-11/scope_is_no_role", func(t *testing.T) { forbidden(t, a.get(rules(role), oauthtest.Scope("admin"))) })
	t.Run("SC-11/D60_flags_are_no_role", func(t *testing.T) {
		forbidden(t, a.get(rules(role), oauthtest.Claim("admin", true), oauthtest.Claim("role", "admin"), oauthtest.Claim("permissions", []string{"admin"})))
	})
	t.Run("SC-11/both", func(t *testing.T) { passes(t, a.get(rules(scope, role), admin, oauthtest.Scope("admin"))) })
	for name, order := range map[string][]verifier.Requirement{"scope_given_first": {scope, role}, "role_given_first": {role, scope}} {
		t.Run("EO-01/both_missing_"+name, func(t *testing.T) { insufficient(t, a.get(order)) })
		t.Run("EO-01/scope_missing_"+name, func(t *testing.T) { insufficient(t, a.get(order, admin)) })
		t.Run("EO-01/role_missing_"+name, func(t *testing.T) { forbidden(t, a.get(order, oauthtest.Scope("admin"))) })
		t.Run("EO-01/token_expired_"+name, func(t *testing.T) {
			if w := a.get(order, oauthtest.ExpiresIn(-1e12)); w.Code != http.StatusUnauthorized {
				t.Errorf("%d; want 401", w.Code)
			}
		})
	}
}

// TestMappedClaims: a mapping feeds the same rules.
func TestMappedClaims(t *testing.T) {
	a := newAPI(t, func(cfg *verifier.Config) {
		cfg.Mapping = verifier.Mapping{
			Scopes:       verifier.ClaimPath{"scp"},
			Roles:        verifier.ClaimPath{"realm_access", "roles"},
			Groups:       verifier.ClaimPath{"cognito:groups"},
			Entitlements: verifier.ClaimPath{"resource_access", "shop", "roles"},
		}
	})
	realm := oauthtest.Claim("realm_access", map[string]any{"roles": []string{"admin"}})
	shop := func(name string) oauthtest.Edit {
		return oauthtest.Claim("resource_access", map[string]any{name: map[string]any{"roles": []string{"admin"}}})
	}
	t.Run("SC-11/D45_nested_role", func(t *testing.T) { passes(t, a.get(rules(claims.AllRoles("admin")), realm)) })
	t.Run("SC-11/D45_literal_name", func(t *testing.T) {
		forbidden(t, a.get(rules(claims.AllRoles("admin")), oauthtest.Claim("realm_access.roles", []string{"admin"})))
	})
	t.Run("SC-11/unmapped_roles", func(t *testing.T) {
		forbidden(t, a.get(rules(claims.AllRoles("admin")), oauthtest.Claim("roles", []string{"admin"})))
	})
	t.Run("SC-11/group", func(t *testing.T) {
		passes(t, a.get(rules(claims.AnyGroup("admin")), oauthtest.Claim("cognito:groups", []string{"admin"})))
	})
	t.Run("SC-11/roles_of_this_client", func(t *testing.T) { passes(t, a.get(rules(claims.AnyEntitlement("admin")), shop("shop"))) })
	t.Run("SC-11/roles_of_another_client", func(t *testing.T) {
		forbidden(t, a.get(rules(claims.AnyEntitlement("admin")), shop("Shop"), realm))
	})
	t.Run("SC-04/D40_scopes_beside", func(t *testing.T) {
		passes(t, a.get(rules(scopes.All("admin"), claims.AllRoles("admin")), realm, oauthtest.Claim("scp", []string{"admin"})))
	})
}

// TestFaultyRoute: a faulty rule is found before the first request.
func TestFaultyRoute(t *testing.T) {
	a := newAPI(t)
	for name, rule := range map[string]claims.Rule{"no_value": claims.AnyRole(), "empty_value": claims.AllGroups("a", ""), "zero": {}} {
		t.Run("SC-11/registration_"+name, func(t *testing.T) {
			if rt, err := a.guard.Route(scopes.All("a"), rule); rt != nil || verifier.ClassOf(err) != verifier.ErrConfig {
				t.Errorf("got %v, %v; want a configuration error", rt, err)
			}
		})
	}
}
