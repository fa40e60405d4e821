// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

type extra = []middleware.Param

func TestConfigFaults(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*middleware.Config)
		says []string
	}{
		{"GO-02/P5_no_verifier", func(c *middleware.Config) { c.Verifier = nil }, []string{"Verifier", "verifier.New"}},
		{"GO-02/P5_nil_pointer_as_verifier", func(c *middleware.Config) { c.Verifier = (*verifier.Verifier)(nil) }, []string{"Verifier"}},
		{"GO-02/P5_nil_func_as_preflight", func(c *middleware.Config) { c.Preflight = http.HandlerFunc(nil) }, []string{"Preflight"}},
		{"CH-07/N2_realm_with_control", func(c *middleware.Config) { c.Realm = "a\tb" }, []string{"Realm"}},
		{"CH-07/N2_realm_with_line_feed", func(c *middleware.Config) { c.Realm = "a\nb" }, []string{"Realm"}},
		{"CH-07/N2_realm_with_DEL", func(c *middleware.Config) { c.Realm = "a\x7f" }, []string{"Realm"}},
		{"CH-07/realm_not_ASCII", func(c *middleware.Config) { c.Realm = "é" }, []string{"Realm"}},
		{"CH-10/relative", func(c *middleware.Config) { c.ErrorURI = "/errors" }, []string{"ErrorURI"}},
		{"CH-10/without_scheme", func(c *middleware.Config) { c.ErrorURI = "//example.com/errors" }, []string{"ErrorURI"}},
		{"CH-10/without_host", func(c *middleware.Config) { c.ErrorURI = "https:///errors" }, []string{"ErrorURI"}},
		{"CH-10/quote", func(c *middleware.Config) { c.ErrorURI = `https://example.com/"` }, []string{"ErrorURI"}},
		{"CH-10/space", func(c *middleware.Config) { c.ErrorURI = "https://example.com/a b" }, []string{"ErrorURI"}},
		{"CH-10/not_ASCII", func(c *middleware.Config) { c.ErrorURI = "https://example.com/é" }, []string{"ErrorURI"}},
		{"CH-11/standard_parameter", func(c *middleware.Config) { c.Extra = extra{{Name: "realm", Value: "x"}} }, []string{"Extra", "realm"}},
		{"CH-11/standard_parameter_in_other_case", func(c *middleware.Config) { c.Extra = extra{{Name: "Error_Description", Value: "x"}} }, []string{"Extra"}},
		{"CH-11/parameter_of_a_later_feature", func(c *middleware.Config) { c.Extra = extra{{Name: "resource_metadata", Value: "x"}} }, []string{"Extra"}},
		{"CH-11/twice", func(c *middleware.Config) {
			c.Extra = extra{{Name: "tenant", Value: "x"}, {Name: "Tenant", Value: "y"}}
		}, []string{"Extra", "Tenant"}},
		{"CH-11/name_is_no_token", func(c *middleware.Config) { c.Extra = extra{{Name: "a b", Value: "x"}} }, []string{"Extra"}},
		{"CH-11/name_is_empty", func(c *middleware.Config) { c.Extra = extra{{Value: "x"}} }, []string{"Extra"}},
		{"CH-11/value_with_line_feed", func(c *middleware.Config) { c.Extra = extra{{Name: "a", Value: "x\r\nX-Evil: 1"}} }, []string{"Extra"}},
		{"GO-02/every_fault_at_once",
			func(c *middleware.Config) {
				*c = middleware.Config{Realm: "\x00", ErrorURI: "x", Extra: extra{{Name: "scope"}}}
			},
			[]string{"Verifier", "Realm", "ErrorURI", "Extra"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := middleware.Config{Verifier: new(script)}
			tc.edit(&cfg)
			g, err := middleware.New(cfg)
			if g != nil || verifier.ClassOf(err) != verifier.ErrConfig {
				t.Fatalf("got %v, %v; want a configuration error", g, err)
			}
			for _, want := range tc.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not name %s: %v", want, err)
				}
			}
		})
	}
}

// TestChallengeSettings shows each setting in the challenge that it shapes, and
// nowhere else.
func TestChallengeSettings(t *testing.T) {
	none := func(*middleware.Config) {}
	for _, tc := range []struct {
		name    string
		edit    func(*middleware.Config)
		reqs    []verifier.Requirement
		bearer  string // "" for none
		expects string
	}{
		{"CH-03/WA-32_nothing_to_say", none, nil, "", `Bearer realm="resource"`},
		{"CH-03/scope_suffices", none, []verifier.Requirement{read}, "", `Bearer scope="read"`},
		{"CH-03/extra_suffices", func(c *middleware.Config) { c.Extra = extra{{Name: "tenant", Value: "x"}} }, nil, "", `Bearer tenant="x"`},
		{"CH-03/error_suffices", none, nil, "Bearer bad", `Bearer error="invalid_token", error_description="The access token is malformed"`},
		{"CH-07/N2_realm_is_escaped", func(c *middleware.Config) { c.Realm = `a"b\` }, nil, "", `Bearer realm="a\"b\\"`},
		{"CH-10/N15_error_uri_beside_error", func(c *middleware.Config) { c.ErrorURI = "https://docs.example/errors#token" }, nil, "Bearer bad",
			`Bearer error="invalid_token", error_description="The access token is malformed", error_uri="https://docs.example/errors#token"`},
		{"BT-07/no_error_uri_without_error", func(c *middleware.Config) { c.ErrorURI = "https://docs.example/errors" }, nil, "", `Bearer realm="resource"`},
		{"CH-12/order_of_all_parameters",
			func(c *middleware.Config) {
				*c = middleware.Config{Verifier: c.Verifier, Realm: "orders", ErrorURI: "urn:errors", Extra: extra{{Name: "z", Value: "1"}, {Name: "a", Value: `"`}}}
			},
			[]verifier.Requirement{scopes.All("b", "a")}, "Bearer ok",
			`Bearer realm="orders", error="insufficient_scope", error_description="The access token lacks a required scope", error_uri="urn:errors", scope="b a", z="1", a="\""`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := middleware.Config{Verifier: new(script)}
			tc.edit(&cfg)
			g, err := middleware.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			if tc.bearer != "" {
				lines = []string{tc.bearer}
			}
			got := ask(t, behind(t, g, whoami, tc.reqs...), nil, lines...)
			if list := got.challenges(); len(list) != 1 || list[0] != tc.expects {
				t.Errorf("got  %q\nwant %q", list, tc.expects)
			}
		})
	}
	t.Run("GO-03/New_copies_the_settings", func(t *testing.T) {
		params := extra{{Name: "tenant", Value: "x"}}
		g, _ := newGuard(t, func(c *middleware.Config) { c.Realm, c.Extra = "", params })
		params[0].Value = "changed"
		wants(t, ask(t, behind(t, g, whoami, read), nil), 401, `Bearer scope="read", tenant="x"`)
	})
}

// rule is a Requirement whose parts are all given by the test.
type rule struct {
	check     func(*verifier.Token) error
	challenge func() (verifier.Challenge, error)
}

func (r *rule) Check(tok *verifier.Token) error {
	if r.check == nil {
		return nil
	}
	return r.check(tok)
}

func (r *rule) Challenge() (verifier.Challenge, error) {
	if r.challenge == nil {
		return verifier.Challenge{}, nil
	}
	return r.challenge()
}

func TestRouteFaults(t *testing.T) {
	g, _ := newGuard(t)
	scoped := func(s string) *rule {
		return &rule{challenge: func() (verifier.Challenge, error) { return verifier.Challenge{Scope: []string{s}}, nil }}
	}
	for _, tc := range []struct {
		name string
		reqs []verifier.Requirement
	}{
		{"GO-02/nil_requirement", []verifier.Requirement{read, nil}},
		{"GO-02/nil_pointer_requirement", []verifier.Requirement{(*rule)(nil)}},
		{"SC-07/empty_Any", []verifier.Requirement{scopes.Any()}},
		{"CH-08/N3_scope_with_space", []verifier.Requirement{scopes.All("a b")}},
		{"CH-08/N3_scope_with_quote_of_a_foreign_rule", []verifier.Requirement{scoped(`a"b`)}},
		{"CH-08/empty_scope_of_a_foreign_rule", []verifier.Requirement{scoped("")}},
		{"SE-01/faulty_Challenger", []verifier.Requirement{&rule{challenge: func() (verifier.Challenge, error) { return verifier.Challenge{}, errors.New("x") }}}},
		{"SE-01/panicking_Challenger", []verifier.Requirement{&rule{challenge: func() (verifier.Challenge, error) { panic("x") }}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, guard := range []*middleware.Guard{g, nil, {}} {
				rt, err := guard.Route(tc.reqs...)
				if rt != nil || verifier.ClassOf(err) != verifier.ErrConfig {
					t.Errorf("got %v, %v; want a configuration error", rt, err)
				}
			}
		})
	}
	t.Run("GO-02/every_fault_at_once", func(t *testing.T) {
		_, err := g.Route(nil, read, scopes.Any())
		if err == nil || !strings.Contains(err.Error(), "requirement 0") || !strings.Contains(err.Error(), "requirement 2") || strings.Contains(err.Error(), "requirement 1") {
			t.Errorf("got %v", err)
		}
	})
}

func TestWarnings(t *testing.T) {
	var seen events
	cfg := middleware.Config{Verifier: new(script), OnEvent: seen.hook}
	// The longest of the challenges without scope.
	const rest = len(`Bearer realm="", error="insufficient_user_authentication", error_description="The authentication context or its age is not accepted here"`)
	long := func(n int) string { return strings.Repeat("r", n-rest) }
	for _, tc := range []struct {
		name  string
		realm string
		want  int
	}{
		{"CH-20/2048_bytes", long(2048), 0},
		{"CH-20/2049_bytes", long(2049), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg.Realm = tc.realm
			if _, err := middleware.New(cfg); err != nil {
				t.Fatal(err)
			}
			if got := seen.take(verifier.EventWarning); len(got) != tc.want {
				t.Errorf("warnings: %v", got)
			}
		})
	}
	cfg.Realm = long(2048)
	g, err := middleware.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		req  verifier.Requirement
		want int
	}{
		{"CH-20/route_adds_scope", read, 1},
		{"CH-20/route_adds_nothing", scopes.All(), 0},
		{"SC-14/identity_scopes", scopes.AnyOf(scopes.All(), scopes.All("openid", "offline_access")), 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := g.Route(tc.req); err != nil {
				t.Fatal(err)
			}
			if got := seen.take(verifier.EventWarning); len(got) != tc.want {
				t.Errorf("warnings: %v", got)
			}
		})
	}
	t.Run("CH-20/one_warning_for_Guard_and_Route", func(t *testing.T) {
		cfg := cfg
		cfg.Realm = long(2049)
		g, err := middleware.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, req := range []verifier.Requirement{scopes.All(), read} {
			if _, err := g.Route(req); err != nil {
				t.Fatal(err)
			}
		}
		if got := seen.take(verifier.EventWarning); len(got) != 1 {
			t.Errorf("warnings: %v", got)
		}
	})
	t.Run("SE-01/hook_panics_at_construction", func(t *testing.T) {
		cfg := middleware.Config{Verifier: new(script), Realm: long(2049), OnEvent: func(verifier.Event) { panic("hook") }}
		if g, err := middleware.New(cfg); g != nil || verifier.ClassOf(err) != verifier.ErrConfig {
			t.Errorf("New: %v, %v", g, err)
		}
		cfg.Realm = ""
		g, err := middleware.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if rt, err := g.Route(scopes.All("openid")); rt != nil || verifier.ClassOf(err) != verifier.ErrConfig {
			t.Errorf("Route: %v, %v", rt, err)
		}
	})
}

// TestZeroValues: what was never made by a constructor denies everything.
func TestZeroValues(t *testing.T) {
	fromNil, err := (*middleware.Guard)(nil).Route(read)
	if err != nil {
		t.Fatal(err)
	}
	fromZero, err := new(middleware.Guard).Route(read)
	if err != nil {
		t.Fatal(err)
	}
	zeroVerifier, err := middleware.New(middleware.Config{Verifier: new(verifier.Verifier)})
	if err != nil {
		t.Fatal(err)
	}
	overZero, err := zeroVerifier.Route()
	if err != nil {
		t.Fatal(err)
	}
	for name, rt := range map[string]*middleware.Route{
		"nil_Guard": fromNil, "zero_Guard": fromZero, "nil_Route": nil, "zero_Route": new(middleware.Route), "zero_Verifier": overZero,
	} {
		t.Run("GO-02/P6_"+name, func(t *testing.T) {
			for _, check := range []func(http.ResponseWriter, *http.Request) (*http.Request, error){rt.Check, rt.CheckOptional} {
				h := guarded(rt, check, func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") })
				got := ask(t, h, nil, "Bearer ok~read")
				wants(t, got, 503)
				if got.Header["Retry-After"] != nil {
					t.Error("Retry-After, though waiting does not help")
				}
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Authorization", "Bearer ok~read")
				if passed, err := check(httptest.NewRecorder(), r); passed != nil || !errors.Is(err, verifier.ErrConfig) {
					t.Errorf("Check: %v, %v", passed, err)
				}
			}
		})
	}
}
