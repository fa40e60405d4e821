// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// fixed is a source of known keys, as jwkscache.Static is.
type fixed struct{ keys *verifier.KeySet }

func (f fixed) Keys(context.Context, *verifier.Miss) (*verifier.KeySet, error) { return f.keys, nil }
func (f fixed) KeySet() *verifier.KeySet                                       { return f.keys }

// discovering is a source that knows whose keys it has.
type discovering struct {
	fixed
	issuer string
}

func (d *discovering) Issuer() string { return d.issuer }

func TestConfigFaults(t *testing.T) {
	type edit = func(*verifier.Config)
	rsaKey := jwks(jwk(rsaOne(), object{"kid": "one"}))
	for _, tt := range []struct {
		name  string
		field string
		edit  edit
	}{
		{"GO-02/P1_empty_issuer", "Issuer", func(c *verifier.Config) { c.Issuer = "" }},
		{"GO-02/P1_empty_issuer_ProfileJWT", "Issuer", func(c *verifier.Config) { c.Issuer, c.Profile = "", verifier.ProfileJWT }},
		{"JV-18/P1_no_audience", "Audience", func(c *verifier.Config) { c.Audience = nil }},
		{"JV-18/P1_no_audience_ProfileJWT", "Audience", func(c *verifier.Config) { c.Audience, c.Profile = []string{}, verifier.ProfileJWT }},
		{"JV-18/P1_empty_string", "Audience", func(c *verifier.Config) { c.Audience = []string{audience, ""} }},
		{"JV-18/P1_empty_client", "Clients", func(c *verifier.Config) {
			c.Audience, c.Clients, c.Profile = nil, []string{"a", ""}, verifier.ProfileJWT
		}},
		{"JV-18/P10_off_without_ProfileJWT", "ProfileJWT", func(c *verifier.Config) { c.Audience, c.UnsafeSkipAudience = nil, true }},
		{"JV-18/clients_without_ProfileJWT", "ProfileJWT", func(c *verifier.Config) { c.Audience, c.Clients = nil, []string{"a"} }},
		{"JV-18/clients_and_skip", "Clients", func(c *verifier.Config) {
			c.Audience, c.Clients, c.UnsafeSkipAudience, c.Profile = nil, []string{"a"}, true, verifier.ProfileJWT
		}},
		{"AL-01/P1_empty_algorithm", "Algorithms", algorithms("")},
		{"AL-01/P2_unknown_algorithm", "Algorithms", algorithms("RS256", "RS257")},
		{"AL-01/P2_duplicate_algorithm", "twice", algorithms("RS256", "ES256", "RS256")},
		{"AL-02/P2_none", "Algorithms", algorithms("none")},
		{"DF-02/P4_leeway_over", "Leeway", func(c *verifier.Config) { c.Leeway = 300*time.Second + 1 }},
		{"DF-01/P4_negative_limit", "MaxTokenBytes", func(c *verifier.Config) { c.MaxTokenBytes = -1 }},
		{"DF-01/limit_below_range", "MaxTokenBytes", func(c *verifier.Config) { c.MaxTokenBytes = 1023 }},
		{"DF-01/limit_above_range", "MaxTokenBytes", func(c *verifier.Config) { c.MaxTokenBytes = 65_537 }},
		{"JV-35/entries_above_range", "CacheEntries", func(c *verifier.Config) { c.CacheEntries = 1_000_001 }},
		{"SE-01/P5_nil_keys", "Keys", func(c *verifier.Config) { c.Keys = nil }},
		{"SE-01/P5_typed_nil_keys", "Keys", func(c *verifier.Config) { c.Keys = (*source)(nil) }},
		{"SE-01/P5_typed_nil_discovering", "Keys", func(c *verifier.Config) { c.Keys = (*discovering)(nil) }},
		{"JV-16/keys_of_another_issuer", "Keys", func(c *verifier.Config) { c.Keys = &discovering{fixed{rsaKey}, issuerURL + "/"} }},
		{"AL-06/E22_no_key_for_the_algorithms", "Algorithms", func(c *verifier.Config) {
			c.Keys, c.Algorithms = fixed{rsaKey}, []string{"ES256"}
		}},
		{"AL-07/E22_key_alg_not_allowed", "Algorithms", func(c *verifier.Config) {
			c.Keys, c.Algorithms = fixed{jwks(jwk(rsaOne(), object{"alg": "PS256"}))}, []string{"RS256"}
		}},
		{"KS-16/E22_no_signature_key", "Keys", func(c *verifier.Config) { c.Keys = fixed{jwks(jwk(rsaOne(), object{"use": "enc"}))} }},
		{"KS-15/E22_no_usable_key", "Keys", func(c *verifier.Config) { c.Keys = fixed{jwks()} }},
		{"KS-15/E22_no_key_set", "Keys", func(c *verifier.Config) { c.Keys = fixed{} }},
		{"GO-02/unknown_profile", "Profile", func(c *verifier.Config) { c.Profile = 7 }},
		{"GO-02/negative_profile", "Profile", func(c *verifier.Config) { c.Profile = -1 }},
		{"AP-04/exp_optional", "OptionalClaims", func(c *verifier.Config) { c.OptionalClaims = []string{"exp"} }},
		{"SC-06/self_implication", "Implies", func(c *verifier.Config) { c.Implies = map[string][]string{"a": {"a"}} }},
		{"SC-06/cycle_of_two", "Implies", func(c *verifier.Config) { c.Implies = map[string][]string{"a": {"b"}, "b": {"a"}} }},
		{"SC-06/cycle_of_three", "Implies", func(c *verifier.Config) {
			c.Implies = map[string][]string{"x": {"a"}, "a": {"b", "q"}, "b": {"c"}, "c": {"z", "a"}}
		}},
		{"SC-06/not_a_scope", "Implies", func(c *verifier.Config) { c.Implies = map[string][]string{"a b": {"c"}} }},
		{"SC-06/empty_scope", "Implies", func(c *verifier.Config) { c.Implies = map[string][]string{"a": {""}} }},
	} {
		t.Run(tt.name, func(t *testing.T) { refusesConfig(t, tt.field, tt.edit) })
	}
	t.Run("SC-06/diamond_is_no_cycle", func(t *testing.T) {
		v := newVerifier(t, func(c *verifier.Config) {
			c.Implies = map[string][]string{"orders:read": {"b", "c"}, "b": {"d"}, "c": {"d"}}
		})
		if !expect(t, v, token(nil, nil), nil).HasScope("d") {
			t.Error("orders:read does not imply d")
		}
	})
	t.Run("SC-06/deep_chain", func(t *testing.T) {
		chain := map[string][]string{"orders:read": {"s0"}}
		for i := range 300 {
			chain[fmt.Sprint("s", i)] = []string{fmt.Sprint("s", i+1)}
		}
		v := newVerifier(t, func(c *verifier.Config) { c.Implies = chain })
		if !expect(t, v, token(nil, nil), nil).HasScope("s300") {
			t.Error("the end of the chain is not implied")
		}
	})
}

func TestConfigBounds(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*verifier.Config)
	}{
		{"DF-02/leeway", func(c *verifier.Config) { c.Leeway = 300 * time.Second }},
		{"DF-02/P4_no_leeway", func(c *verifier.Config) { c.Leeway = -1 }},
		{"DF-01/lowest_limit", func(c *verifier.Config) { c.MaxTokenBytes = 1024 }},
		{"DF-01/highest_limit", func(c *verifier.Config) { c.MaxTokenBytes = 65_536 }},
		{"JV-35/most_entries", func(c *verifier.Config) { c.CacheEntries = 1_000_000 }},
		{"JV-35/P4_no_entries", func(c *verifier.Config) { c.CacheEntries = -1 }},
		{"GO-02/P5_nil_hook", func(c *verifier.Config) { c.OnEvent = nil }},
		{"AL-06/key_fits_one_algorithm", func(c *verifier.Config) {
			c.Keys, c.Algorithms = fixed{jwks(jwk(rsaOne(), object{"kid": "one"}))}, []string{"ES256", "RS256"}
		}},
		{"JV-16/source_of_this_issuer", func(c *verifier.Config) {
			c.Keys = &discovering{fixed{jwks(jwk(rsaOne(), object{"kid": "one"}))}, issuerURL}
		}},
		{"JV-16/source_of_any_issuer", func(c *verifier.Config) {
			c.Keys = &discovering{fixed{jwks(jwk(rsaOne(), object{"kid": "one"}))}, ""}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			short := object{"client_id": "c", "sub": "s"}
			expect(t, newVerifier(t, tt.edit), token(nil, short), nil)
		})
	}
	t.Run("GO-12/real_clock_by_default", func(t *testing.T) {
		v := newVerifier(t, func(c *verifier.Config) { c.Now = nil })
		expect(t, v, token(nil, object{"iat": nil, "exp": 1}), verifier.ErrExpired)
		expect(t, v, token(nil, object{"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}), nil)
	})
	t.Run("GO-12/settable_and_not", func(t *testing.T) {
		cfg := reflect.TypeFor[verifier.Config]()
		for i := range cfg.NumField() {
			f := cfg.Field(i)
			if strings.Contains(f.Name, "Cache") && f.Type.Kind() != reflect.Int {
				t.Errorf("%s could bring entries of the token cache from outside", f.Name)
			}
		}
		for _, name := range []string{"Now", "OnEvent"} {
			if f, found := cfg.FieldByName(name); !found || f.Type.Kind() != reflect.Func {
				t.Errorf("Config.%s is no function", name)
			}
		}
	})
}

func TestConfigIsCopied(t *testing.T) {
	t.Run("GO-03/later_changes_have_no_effect", func(t *testing.T) {
		cfg := config(legacy, func(c *verifier.Config) {
			c.Algorithms = []string{"RS256"}
			c.TokenTypes = []string{"x+jwt"}
			c.OptionalClaims = []string{"sub"}
			c.AllowedMarks = []string{"nonce"}
			c.Implies = map[string][]string{"orders:read": {"a"}}
		})
		v, err := verifier.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Audience[0], cfg.Algorithms[0], cfg.TokenTypes[0], cfg.AllowedMarks[0] = "evil", "PS256", "y+jwt", "at_hash"
		cfg.Implies["orders:read"][0] = "b"
		cfg.Implies["orders:read"] = append(cfg.Implies["orders:read"], "c")
		tok := expect(t, v, token(object{"typ": "x+jwt"}, object{"nonce": "n"}), nil)
		if !tok.HasScope("a") || tok.HasScope("b") || tok.HasScope("c") {
			t.Error("Implies was not copied")
		}
		expect(t, v, token(nil, object{"aud": "evil"}), verifier.ErrAudience)
		expect(t, v, algToken("PS256", rsaOne()), verifier.ErrAlgorithm)
		expect(t, v, token(nil, object{"at_hash": "h"}), verifier.ErrTokenType)
	})
	t.Run("GO-03/clients_are_copied", func(t *testing.T) {
		cfg := config(legacy, func(c *verifier.Config) { c.Audience, c.Clients = nil, []string{"client-1"} })
		v, err := verifier.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Clients[0] = "evil"
		expect(t, v, token(nil, nil), nil)
		expect(t, v, token(nil, object{"client_id": "evil"}), verifier.ErrAudience)
	})
}

func TestConfigReport(t *testing.T) {
	t.Run("GO-02/every_fault_at_once", func(t *testing.T) {
		_, err := verifier.New(verifier.Config{
			Algorithms: []string{"none"}, Leeway: time.Hour, MaxTokenBytes: 1, CacheEntries: 1 << 30, Profile: 9,
			OptionalClaims: []string{"iss"}, TokenTypes: []string{"dpop+jwt"}, AllowedMarks: []string{"iss"},
			Implies: map[string][]string{"a": {"a"}},
		})
		for _, field := range []string{
			"Issuer", "Audience", "Keys", "Algorithms", "Leeway", "MaxTokenBytes", "CacheEntries", "Profile",
			"OptionalClaims", "TokenTypes", "AllowedMarks", "Implies",
		} {
			if !strings.Contains(fmt.Sprint(err), field) {
				t.Errorf("%s is not named in: %v", field, err)
			}
		}
		if verifier.ClassOf(err) != verifier.ErrConfig || !errors.Is(err, verifier.ErrConfig) {
			t.Errorf("class %v", verifier.ClassOf(err))
		}
	})
	t.Run("GO-02/no_faults_of_what_is_right", func(t *testing.T) {
		_, err := verifier.New(verifier.Config{Issuer: issuerURL, Audience: []string{audience}})
		if text := fmt.Sprint(err); strings.Contains(text, "Issuer") || strings.Contains(text, "Audience") {
			t.Errorf("only Keys is missing: %v", err)
		}
	})
	t.Run("ER-22/zero_value", func(t *testing.T) { deniesAll(t, &verifier.Verifier{}) })
	t.Run("GO-02/P6_nil_and_zero_value", func(t *testing.T) {
		deniesAll(t, nil)
		deniesAll(t, &verifier.Verifier{})
	})
	t.Run("JV-18/P10_reported_once", func(t *testing.T) {
		var heard recorder
		v := newVerifier(t, legacy, heardBy(&heard), func(c *verifier.Config) { c.Audience, c.UnsafeSkipAudience = nil, true })
		events := heard.take()
		if len(events) != 1 || events[0].Kind != verifier.EventWarning || events[0].Issuer != issuerURL {
			t.Fatalf("events %v, want one warning", events)
		}
		for range 3 {
			expect(t, v, token(nil, object{"aud": "foreign"}), nil)
		}
		if events := heard.take(); slices.ContainsFunc(events, func(e verifier.Event) bool { return e.Kind == verifier.EventWarning }) {
			t.Errorf("warned again: %v", events)
		}
	})
	t.Run("GO-02/no_warning_by_default", func(t *testing.T) {
		var heard recorder
		newVerifier(t, heardBy(&heard))
		if events := heard.take(); len(events) != 0 {
			t.Errorf("events %v", events)
		}
	})
}

// deniesAll fails unless every way into v is refused as a fault of its set-up.
func deniesAll(t *testing.T, v *verifier.Verifier) {
	t.Helper()
	for _, raw := range []string{"", "x", token(nil, nil)} {
		tok, err := verifyTwice(t, v, raw, rule(func(*verifier.Token) error { t.Error("a rule ran"); return nil }))
		wantClass(t, tok, err, verifier.ErrConfig)
		tok, err = verifyBoundTwice(t, v, raw, func(context.Context, *verifier.Token) error { t.Error("confirm ran"); return nil })
		wantClass(t, tok, err, verifier.ErrConfig)
	}
}
