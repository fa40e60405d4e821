// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

func TestTenants(t *testing.T) {
	inBubble(t, "MD-15/accepted_by_the_validator", func(t *testing.T, e *estate) {
		for range 2 {
			for n := range 3 {
				if tok := expect(t, e.v, tenantToken(n), nil); tok.Issuer != tenantURL(n) {
					t.Errorf("issuer %s", tok.Issuer)
				}
				expect(t, e.v, tenantToken(n, object{"jti": "other"}), nil)
			}
		}
		if e.resolvedInAll() != 3 {
			t.Errorf("%d calls of Resolve, want 3", e.resolvedInAll())
		}
	})
	inBubble(t, "MD-15/given_up_by_the_validator", func(t *testing.T, e *estate) {
		for i, raw := range []string{tenantToken(1), garbage(1)} { // proven or not
			_, _ = e.v.Verify(t.Context(), raw)
			*gone = true
			expect(t, e.v, raw, verifier.ErrIssuer)
			if e.closings(1) != 1 {
				t.Error("the configuration was kept")
			}
			*gone = false
			if e.resolved(1) != i+1 {
				t.Errorf("%d calls of Resolve, want %d", e.resolved(1), i+1)
			}
		}
		expect(t, e.v, tenantToken(1), nil)
	}, acceptUnlessGone)
	inBubble(t, "MD-15/template", func(t *testing.T, e *estate) {
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			return config(issuedBy(iss), legacy), nil
		}
		expect(t, e.v, token(nil, object{"iss": "https://as.example/{tenant}"}), verifier.ErrConfig)
	}, acceptAll)
}

func TestTenantsApart(t *testing.T) {
	inBubble(t, "JV-16/same_kid_two_tenants", func(t *testing.T, e *estate) {
		expect(t, e.v, tenantToken(1), nil)
		expect(t, e.v, tenantToken(2), nil)
		for range 2 {
			expect(t, e.v, tenantToken(1, object{"iss": tenantURL(2)}), verifier.ErrSignature)
			expect(t, e.v, tenantToken(2, object{"iss": tenantURL(1)}), verifier.ErrSignature)
			expect(t, e.v, tenantToken(1), nil)
		}
	})
	inBubble(t, "JV-16/settings_per_tenant", func(t *testing.T, e *estate) {
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			cfg := e.config(iss)
			if iss == tenantURL(1) {
				cfg.Audience, cfg.Algorithms = []string{"https://b.example"}, []string{"ES256", "EdDSA"}
			} else {
				cfg.Algorithms = []string{"ES256"}
			}
			return cfg, nil
		}
		expect(t, e.v, tenantToken(1), verifier.ErrAudience)
		expect(t, e.v, tenantToken(1, object{"aud": "https://b.example"}), nil)
		expect(t, e.v, tenantToken(2), verifier.ErrAlgorithm)
	})
	inBubble(t, "JV-16/cached_token_of_another", func(t *testing.T, e *estate) {
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			cfg := e.config(iss) // all tenants have the keys of the first
			cfg.Keys = &source{current: jwks(jwk(ed(1), object{"kid": "one"}))}
			cfg.Audience = []string{"https://" + iss[len("https://"):]}
			return cfg, nil
		}
		good := tenantToken(1, object{"aud": tenantURL(1)})
		expect(t, e.v, good, nil)
		expect(t, e.v, tenantToken(1, object{"iss": tenantURL(2), "aud": tenantURL(1)}), verifier.ErrAudience)
		if tok := expect(t, e.v, good, nil); tok.Issuer != tenantURL(1) {
			t.Errorf("issuer %s", tok.Issuer)
		}
	})
}

// gone is what acceptUnlessGone looks at.
var gone = new(bool)

func acceptUnlessGone(cfg *verifier.Tenants) {
	cfg.Accept = func(iss string) bool { _, ok := tenantNumber(iss); return ok && !*gone }
}

func acceptAll(cfg *verifier.Tenants) { cfg.Accept = func(string) bool { return true } }

func TestUnacceptedTenant(t *testing.T) {
	for _, iss := range []string{
		"https://evil.example", tenantURL(1) + "/", strings.ToUpper(tenantURL(1)), tenantURL(1) + ":443", tenantURL(1) + ".evil.example",
		"https://t01.example", " " + tenantURL(1), "", "x", "https://{tenant}.example",
	} {
		inBubble(t, "D22/"+iss, func(t *testing.T, e *estate) {
			for range 3 {
				expectOnce(t, e.v, tenantToken(1, object{"iss": iss}), verifier.ErrIssuer)
			}
			if e.resolvedInAll() != 0 || e.asked.Load() != 3 {
				t.Errorf("%d calls of Resolve, want none; %d of Accept, want 3", e.resolvedInAll(), e.asked.Load())
			}
			for _, ev := range e.heard.take() {
				if ev.Kind != verifier.EventRefused || ev.Issuer != "" || ev.Class != verifier.ErrIssuer {
					t.Errorf("event %+v", ev)
				}
			}
		})
	}
	for _, iss := range []string{
		"https://evil.example/?" + tenantURL(1), "https://evil.example/#" + tenantURL(1), "https://evil.example/" + tenantURL(1),
		"https://" + "t1.example@evil.example", tenantURL(1) + "/../t2",
	} {
		inBubble(t, "G14/"+iss, func(t *testing.T, e *estate) {
			expect(t, e.v, tenantToken(1, object{"iss": iss}), verifier.ErrIssuer)
			if e.resolvedInAll() != 0 {
				t.Error("Resolve was called")
			}
		})
	}
}

func TestCarelessValidator(t *testing.T) {
	inBubble(t, "G14/query_that_a_careless_validator_accepts", func(t *testing.T, e *estate) {
		iss := "https://evil.example/?" + tenantURL(1)
		expect(t, e.v, tenantToken(1, object{"iss": iss}), verifier.ErrConfig)
	}, acceptAll)
	for size, class := range map[int]error{1024: nil, 1025: verifier.ErrIssuer} {
		inBubble(t, fmt.Sprintf("D22/iss_of_%d_bytes", size), func(t *testing.T, e *estate) {
			iss := "https://t.example/" + strings.Repeat("x", size-len("https://t.example/"))
			e.resolve = func(_ context.Context, iss string) (verifier.Config, error) { return config(issuedBy(iss)), nil }
			expect(t, e.v, token(nil, object{"iss": iss}), class)
			if want := map[error]int{nil: 1, verifier.ErrIssuer: 0}[class]; e.resolvedInAll() != want {
				t.Errorf("%d calls of Resolve, want %d", e.resolvedInAll(), want)
			}
		}, acceptAll)
	}
	inBubble(t, "D22/Accept_panics", func(t *testing.T, e *estate) {
		expect(t, e.v, tenantToken(1), verifier.ErrInternal)
	}, func(cfg *verifier.Tenants) { cfg.Accept = func(string) bool { panic("no list") } })
}

func TestManyUnaccepted(t *testing.T) {
	inBubble(t, "G11/many_distinct_issuers", func(t *testing.T, e *estate) {
		unsigned := func(i int) string {
			iss := fmt.Sprintf("https://%d.evil.example", i)
			return b64(goodHeader().String()) + "." + b64(goodClaims().edit(object{"iss": iss}).String()) + ".AAAA"
		}
		expect(t, e.v, unsigned(0), verifier.ErrIssuer)
		const many = 20_000
		before := heap()
		for i := range many {
			if _, err := verifyTwice(t, e.v, unsigned(i)); !errors.Is(err, verifier.ErrIssuer) {
				t.Fatal(err)
			}
		}
		if after := heap(); after > before+64<<10 {
			t.Errorf("%d bytes kept of %d issuers", after-before, many)
		}
		if e.resolvedInAll() != 0 {
			t.Errorf("%d calls of Resolve", e.resolvedInAll())
		}
	}, func(cfg *verifier.Tenants) { cfg.OnEvent = nil })
	var kept []string // by Accept, and by a hook
	inBubble(t, "G11/who_keeps_an_issuer_keeps_no_token", func(t *testing.T, e *estate) {
		pad, before := strings.Repeat("x", 11_000), heap()
		for n := range 400 {
			expectOnce(t, e.v, tenantToken(n, object{"pad": pad}), verifier.ErrIssuer)
		}
		if after := heap(); len(kept) != 800 || after > before+400<<10 {
			t.Errorf("%d bytes are kept of each of %d issuers", (after-before)/400, len(kept)/2)
		}
		runtime.KeepAlive(kept)
	}, func(cfg *verifier.Tenants) {
		cfg.Accept = func(iss string) bool { kept = append(kept, iss); return true }
		cfg.Resolve = func(context.Context, string) (verifier.Config, error) { return verifier.Config{}, verifier.ErrIssuer }
		cfg.OnEvent = func(ev verifier.Event) {
			if ev.Kind == verifier.EventRefused {
				kept = append(kept, ev.Issuer)
			}
		}
	})
}

// heap is how much memory is in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestNoResolveWithoutNeed: what is wrong with a token whoever signed it is said
// before anything is asked for.
func TestNoResolveWithoutNeed(t *testing.T) {
	for name, tt := range map[string]struct {
		raw   string
		class error
	}{
		"junk":            {"x", verifier.ErrMalformedToken},
		"two_segments":    {"e30.e30", verifier.ErrMalformedToken},
		"five_segments":   {"a.b.c.d.e", verifier.ErrMalformedToken},
		"crit":            {token(object{"crit": []string{"x"}}, object{"iss": tenantURL(1)}), verifier.ErrMalformedToken},
		"no_iss":          {token(nil, object{"iss": nil}), verifier.ErrMissingClaim},
		"iss_is_a_list":   {token(nil, object{"iss": []string{tenantURL(1)}}), verifier.ErrInvalidClaim},
		"none":            {token(object{"alg": "none"}, object{"iss": tenantURL(1)}), verifier.ErrAlgorithm},
		"HS256":           {token(object{"alg": "HS256"}, object{"iss": tenantURL(1)}), verifier.ErrAlgorithm},
		"lower_case":      {token(object{"alg": "rs256"}, object{"iss": tenantURL(1)}), verifier.ErrAlgorithm},
		"foreign_typ":     {token(object{"typ": "dpop+jwt"}, object{"iss": tenantURL(1)}), verifier.ErrTokenType},
		"full_typ":        {token(object{"typ": "application/Logout+JWT"}, object{"iss": tenantURL(1)}), verifier.ErrTokenType},
		"empty_typ":       {token(object{"typ": ""}, object{"iss": tenantURL(1)}), verifier.ErrTokenType},
		"bare_prefix":     {token(object{"typ": "application/"}, object{"iss": tenantURL(1)}), verifier.ErrTokenType},
		"typ_parameter":   {token(object{"typ": "at+jwt; x=y"}, object{"iss": tenantURL(1)}), verifier.ErrTokenType},
		"alg_before_typ":  {token(object{"alg": "none", "typ": ""}, object{"iss": tenantURL(1)}), verifier.ErrAlgorithm},
		"issuer_is_first": {token(object{"alg": "none"}, object{"iss": "https://evil.example"}), verifier.ErrIssuer},
		"long":            {tenantToken(1, object{"x": strings.Repeat("x", 16_384)}), verifier.ErrMalformedToken},
	} {
		inBubble(t, "EO-04/"+name, func(t *testing.T, e *estate) {
			e.resolve = func(context.Context, string) (verifier.Config, error) {
				return verifier.Config{}, errors.New("database down")
			}
			expect(t, e.v, tt.raw, tt.class)
			if e.resolvedInAll() != 0 {
				t.Error("Resolve was called")
			}
		})
	}
	inBubble(t, "EO-04/otherwise_the_outage_is_told", func(t *testing.T, e *estate) {
		e.resolve = func(context.Context, string) (verifier.Config, error) {
			return verifier.Config{}, errors.New("database down")
		}
		expect(t, e.v, garbage(1), verifier.ErrKeysUnavailable)
		for n, typ := range []any{nil, "JWT", "vendor+jwt"} { // some tenant may allow it
			expect(t, e.v, token(object{"typ": typ}, object{"iss": tenantURL(2 + n)}), verifier.ErrKeysUnavailable)
		}
		if e.resolvedInAll() != 4 {
			t.Errorf("%d calls of Resolve, want 4", e.resolvedInAll())
		}
	})
}

func TestTenantsConfig(t *testing.T) {
	good := verifier.Tenants{
		Accept:  func(string) bool { return false },
		Resolve: func(context.Context, string) (verifier.Config, error) { return verifier.Config{}, nil },
	}
	for _, tt := range []struct {
		name, field string
		edit        func(*verifier.Tenants)
	}{
		{"MD-15/no_Accept", "Tenants.Accept", func(c *verifier.Tenants) { c.Accept = nil }},
		{"MD-15/no_Resolve", "Tenants.Resolve", func(c *verifier.Tenants) { c.Resolve = nil }},
		{"MD-15/MaxIssuers_1", "Tenants.MaxIssuers", issuersAtMost(1)},
		{"MD-15/MaxIssuers_2", "", issuersAtMost(2)},
		{"MD-15/MaxIssuers_negative", "Tenants.MaxIssuers", issuersAtMost(-1)},
		{"MD-15/MaxIssuers_100000", "", issuersAtMost(100_000)},
		{"MD-15/MaxIssuers_100001", "Tenants.MaxIssuers", issuersAtMost(100_001)},
		{"MD-15/MaxTokenBytes_1023", "Tenants.MaxTokenBytes", func(c *verifier.Tenants) { c.MaxTokenBytes = 1023 }},
		{"MD-15/MaxTokenBytes_1024", "", func(c *verifier.Tenants) { c.MaxTokenBytes = 1024 }},
		{"MD-15/MaxTokenBytes_65536", "", func(c *verifier.Tenants) { c.MaxTokenBytes = 65_536 }},
		{"MD-15/MaxTokenBytes_65537", "Tenants.MaxTokenBytes", func(c *verifier.Tenants) { c.MaxTokenBytes = 65_537 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := good
			tt.edit(&cfg)
			v, err := verifier.NewTenants(cfg)
			if tt.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if v != nil || !errors.Is(err, verifier.ErrConfig) || !strings.Contains(fmt.Sprint(err), tt.field) {
				t.Errorf("got %v, %v; want a configuration error about %s", v, err, tt.field)
			}
		})
	}
	t.Run("MD-15/every_fault_at_once", func(t *testing.T) {
		_, err := verifier.NewTenants(verifier.Tenants{MaxIssuers: -1, MaxTokenBytes: 1})
		for _, field := range []string{"Accept", "Resolve", "MaxIssuers", "MaxTokenBytes"} {
			if !strings.Contains(fmt.Sprint(err), "Tenants."+field) {
				t.Errorf("%s is not named: %v", field, err)
			}
		}
	})
}

// guardedSource says whether it refuses private addresses.
type guardedSource struct {
	*source
	guarded bool
}

func (g guardedSource) PublicOnly() bool { return g.guarded }

func TestTenantsPublicOnly(t *testing.T) {
	unsafe := func(cfg *verifier.Tenants) { cfg.UnsafePrivateAddresses = true }
	for _, tt := range []struct {
		name  string
		keys  func() verifier.KeySource
		edits []func(*verifier.Tenants)
		class error
	}{
		{"guarded", func() verifier.KeySource { return guardedSource{keysOne(), true} }, nil, nil},
		{"not_guarded", func() verifier.KeySource { return guardedSource{keysOne(), false} }, nil, verifier.ErrConfig},
		{"not_guarded_on_purpose", func() verifier.KeySource { return guardedSource{keysOne(), false} }, []func(*verifier.Tenants){unsafe}, nil},
		{"source_of_the_application", func() verifier.KeySource { return keysOne() }, nil, nil},
		{"typed_nil", func() verifier.KeySource { return (*guardedSource)(nil) }, nil, verifier.ErrConfig},
	} {
		inBubble(t, "KS-04/"+tt.name, func(t *testing.T, e *estate) {
			e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
				return config(issuedBy(iss), withSource(tt.keys())), nil
			}
			expect(t, e.v, token(nil, object{"iss": tenantURL(1)}), tt.class)
			failed := func(ev verifier.Event) bool {
				return ev.Kind == verifier.EventFetchFailed && ev.Class == verifier.ErrConfig && ev.Issuer == tenantURL(1)
			}
			if got := slices.ContainsFunc(e.events(), failed); got != (tt.class != nil) {
				t.Errorf("failure reported: %v", got)
			}
		}, tt.edits...)
	}
	inBubble(t, "KS-04/warned_once", func(t *testing.T, e *estate) {
		if events := e.heard.take(); len(events) != 1 || events[0].Kind != verifier.EventWarning {
			t.Errorf("events %+v", events)
		}
		expectOnce(t, e.v, tenantToken(1), nil)
		if events := e.heard.take(); len(events) != 1 || events[0].Kind != verifier.EventAccepted {
			t.Errorf("events %+v", events)
		}
	}, unsafe)
	t.Run("KS-04/panic_at_the_warning", func(t *testing.T) {
		_, err := verifier.NewTenants(verifier.Tenants{
			Accept:                 func(string) bool { return false },
			Resolve:                func(context.Context, string) (verifier.Config, error) { return verifier.Config{}, nil },
			UnsafePrivateAddresses: true,
			OnEvent:                func(verifier.Event) { panic("no log") },
		})
		wantClass(t, nil, err, verifier.ErrInternal)
	})
}

func TestTenantLimits(t *testing.T) {
	long := func(size int) string { // a token of the first tenant of at least so many bytes
		return tenantToken(1, object{"x": strings.Repeat("x", size*3/4)})
	}
	for _, tt := range []struct {
		name          string
		all, one, max int
		class         error
	}{
		{"default_holds_for_a_tenant_without", 0, 0, 20_000, verifier.ErrMalformedToken},
		{"larger_for_all", 65_536, 0, 20_000, nil},
		{"tenant_can_lower_it", 65_536, 16_384, 20_000, verifier.ErrMalformedToken},
		{"tenant_cannot_raise_it", 16_384, 65_536, 20_000, verifier.ErrMalformedToken},
	} {
		inBubble(t, "MD-15/"+tt.name, func(t *testing.T, e *estate) {
			e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
				cfg := e.config(iss)
				cfg.MaxTokenBytes = tt.one
				return cfg, nil
			}
			roomy := newVerifier(t, func(c *verifier.Config) { c.MaxTokenBytes = 65_536 })
			for _, v := range []*verifier.Verifier{e.v, join(t, roomy, e.v)} {
				expect(t, v, tenantToken(1), nil)
				expect(t, v, long(tt.max), tt.class)
			}
		}, func(cfg *verifier.Tenants) { cfg.MaxTokenBytes = tt.all })
	}
}
