// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/verifier"
)

const personal = "9188040d-6c67-4c5b-b112-36a304b66dad"

// tenants is a verifier for the listed tenants, and what accept was asked.
func (w *world) tenants(known ...string) (*verifier.Verifier, *[]string) {
	w.Helper()
	var asked []string
	o := audience(entraAPI)
	o.Keys = w.keys()
	cfg, err := providers.EntraTenants(func(tenantID string) bool {
		asked = append(asked, tenantID)
		return slices.Contains(known, tenantID)
	}, o)
	if err != nil {
		w.Fatal(err)
	}
	v, err := verifier.NewTenants(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { v.Close() })
	return v, &asked
}

func TestEntraTenants(t *testing.T) {
	t.Run("MD-15/two_tenants_one_fetch", func(t *testing.T) {
		w := newWorld(t, "entra_tenants")
		v, _ := w.tenants(tenant, otherTenant)
		for _, id := range []string{tenant, otherTenant} {
			tok := accept(t, v, w.token(of(id)))
			if tok.Issuer != issuerOf(id) || tok.ClientID != entraClient || !tok.HasScope("Orders.Read") {
				t.Errorf("token %+v", fields(tok))
			}
		}
		if n := w.fetches(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
	t.Run("MD-15/unknown_tenant_fetches_nothing", func(t *testing.T) {
		w := newWorld(t, "entra_tenants")
		v, asked := w.tenants(tenant)
		refuse(t, v, w.token(of(otherTenant)), verifier.ErrIssuer)
		if n := w.fetches(); n != 0 || !slices.Equal(*asked, []string{otherTenant}) {
			t.Errorf("%d fetches, accept asked for %q", n, *asked)
		}
	})
	t.Run("JV-16/keys_by_tenant", func(t *testing.T) {
		w := newWorld(t, "entra_tenants")
		v, _ := w.tenants(tenant, otherTenant, personal)
		for _, c := range []struct {
			tenant, key string
			class       error
		}{
			{tenant, "entra-key-any-2", nil},
			{otherTenant, "entra-key-other", nil},
			{personal, "entra-key-personal", nil},
			{personal, "entra-key-any", nil},
			{tenant, "entra-key-other", verifier.ErrUnknownKey},
			{tenant, "entra-key-personal", verifier.ErrUnknownKey},
			{otherTenant, "entra-key-personal", verifier.ErrUnknownKey},
			{personal, "entra-key-other", verifier.ErrUnknownKey},
			{tenant, "entra-key-unnamed", verifier.ErrUnknownKey},
		} {
			raw := w.token(of(c.tenant), kid(c.key))
			if c.class == nil {
				accept(t, v, raw)
				continue
			}
			refuse(t, v, raw, c.class)
		}
		if n := w.fetches(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
	t.Run("JV-16/no_key_names_a_tenant", func(t *testing.T) {
		w := newWorld(t, "entra_tenants")
		w.publish("", "", "", "", "")
		v, _ := w.tenants(tenant)
		refuse(t, v, w.token(), verifier.ErrUnknownKey)
	})
	t.Run("JV-17/audience_of_every_tenant", func(t *testing.T) {
		w := newWorld(t, "entra_tenants")
		v, _ := w.tenants(tenant)
		refuse(t, v, w.token(claim("aud", "00000003-0000-0000-c000-000000000000")), verifier.ErrAudience)
	})
}

// TestEntraAccept: accept is the application's code.
func TestEntraAccept(t *testing.T) {
	for name, c := range map[string]struct {
		accept func(string) bool
		class  error
	}{
		"SE-01/panics":      {func(string) bool { panic("no list") }, verifier.ErrInternal},
		"G11/says_no":       {func(string) bool { return false }, verifier.ErrIssuer},
		"MD-15/says_yes":    {func(string) bool { return true }, nil},
		"MD-15/looks_it_up": {func(id string) bool { return id == tenant }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "entra_tenants")
			o := audience(entraAPI)
			o.Keys = w.keys()
			cfg, err := providers.EntraTenants(c.accept, o)
			if err != nil {
				t.Fatal(err)
			}
			v, err := verifier.NewTenants(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			if c.class == nil {
				accept(t, v, w.token())
				return
			}
			refuse(t, v, w.token(), c.class)
			if n := w.fetches(); n != 0 {
				t.Errorf("%d fetches", n)
			}
		})
	}
}

// TestEntraIssuers: accept sees a directory ID or is not asked.
func TestEntraIssuers(t *testing.T) {
	w := newWorld(t, "entra_tenants")
	v, asked := w.tenants(tenant, "")
	good := issuerOf(tenant)
	for name, iss := range map[string]string{
		"v1":             "https://sts.windows.net/" + tenant + "/",
		"no_version":     "https://login.microsoftonline.com/" + tenant,
		"slash":          good + "/",
		"template":       issuerOf("{tenantid}"),
		"common":         issuerOf("common"),
		"domain":         issuerOf("example.onmicrosoft.com"),
		"empty":          issuerOf(""),
		"upper_case":     issuerOf(strings.ToUpper("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")),
		"http":           strings.Replace(good, "https", "http", 1),
		"other_host":     "https://login.microsoftonline.com.example/" + tenant + "/v2.0",
		"userinfo":       "https://login.microsoftonline.com@evil.example/" + tenant + "/v2.0",
		"in_a_query":     "https://evil.example/?" + good,
		"two_tenants":    issuerOf(tenant + "/" + tenant),
		"query":          good + "?" + "/v2.0",
		"national_cloud": "https://login.microsoftonline.us/" + tenant + "/v2.0",
		"v2_only":        "https://login.microsoftonline.com/v2.0",
	} {
		t.Run("G14/"+name, func(t *testing.T) {
			refuse(t, v, w.token(claim("iss", iss)), verifier.ErrIssuer)
			if len(*asked) > 0 || w.fetches() > 0 {
				t.Errorf("accept asked for %q, %d fetches", *asked, w.fetches())
			}
		})
	}
	accept(t, v, w.token())
}

// flaps is a verifier of tenants whose accept can be switched.
func (w *world) flaps() (*verifier.Verifier, *atomic.Bool) {
	w.Helper()
	var yes atomic.Bool
	yes.Store(true)
	o := audience(entraAPI)
	o.Keys = w.keys()
	cfg, err := providers.EntraTenants(func(string) bool { return yes.Load() }, o)
	if err != nil {
		w.Fatal(err)
	}
	v, err := verifier.NewTenants(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { v.Close() })
	return v, &yes
}

// TestEntraTenantsFlap: what accept says for a moment costs no key.
func TestEntraTenantsFlap(t *testing.T) {
	private() // outside of the bubble
	bubble := func(name string, f func(t *testing.T, w *world)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f(t, newWorld(t, "entra_tenants"))
				synctest.Wait()
			})
		})
	}
	bubble("KS-12/a_no_during_an_outage", func(t *testing.T, w *world) {
		v, yes := w.flaps()
		accept(t, v, w.token())
		w.publish("", "", "", "", "") // a set without a key of any tenant is a failure, too
		time.Sleep(time.Hour)
		accept(t, v, w.token())
		w.silence()
		yes.Store(false)
		refuse(t, v, w.token(), verifier.ErrIssuer)
		yes.Store(true)
		time.Sleep(time.Hour)
		accept(t, v, w.token())
	})
	bubble("KS-11/1000_flaps_one_fetch", func(t *testing.T, w *world) {
		v, yes := w.flaps()
		good, unknown := w.token(), w.token(kid("entra-key-unknown"))
		accept(t, v, good)
		for range 1000 {
			yes.Store(false)
			refuse(t, v, good, verifier.ErrIssuer)
			yes.Store(true)
			refuse(t, v, unknown, verifier.ErrUnknownKey)
			time.Sleep(29 * time.Millisecond) // 29 s in all, within the cooldown
		}
		accept(t, v, w.token())
		if n := w.fetches(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
	bubble("KS-13/1000_flaps_in_an_outage", func(t *testing.T, w *world) {
		w.silence()
		v, yes := w.flaps()
		good := w.token()
		for range 1000 {
			yes.Store(true)
			refuse(t, v, good, verifier.ErrKeysUnavailable)
			yes.Store(false)
			refuse(t, v, good, verifier.ErrIssuer)
		}
		if n := w.fetches(); n != 1 {
			t.Errorf("%d fetches within a moment", n)
		}
	})
}

// silence makes every fetch fail.
func (w *world) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.routes)
}

// TestEntraTenantsEvents: one hook hears of the keys, of tenants and of strangers.
func TestEntraTenantsEvents(t *testing.T) {
	w := newWorld(t, "entra_tenants")
	var kinds []verifier.EventKind
	o := audience(entraAPI)
	o.Keys = w.keys()
	o.OnEvent = func(e verifier.Event) { kinds = append(kinds, e.Kind) }
	cfg, err := providers.EntraTenants(func(id string) bool { return id == tenant }, o)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verifier.NewTenants(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	refuse(t, v, w.token(of(otherTenant)), verifier.ErrIssuer)
	t.Run("SE-08/stranger", func(t *testing.T) {
		if !slices.Contains(kinds, verifier.EventRefused) || w.fetches() > 0 {
			t.Errorf("events %v", kinds)
		}
	})
	accept(t, v, w.token())
	t.Run("SE-08/keys_and_tenant", func(t *testing.T) {
		for _, kind := range []verifier.EventKind{verifier.EventFetched, verifier.EventKeySkipped, verifier.EventAccepted} {
			if !slices.Contains(kinds, kind) {
				t.Errorf("no %v among %v", kind, kinds)
			}
		}
	})
}

// TestEntraTenantsClose: the shared source lives as long as the verifier, whoever of
// the tenants is still there.
func TestEntraTenantsClose(t *testing.T) {
	w := newWorld(t, "entra_tenants")
	o := audience(entraAPI)
	o.Keys = w.keys()
	cfg, err := providers.EntraTenants(func(string) bool { return true }, o)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxIssuers = 2
	var sources []verifier.KeySource
	resolve := cfg.Resolve
	cfg.Resolve = func(ctx context.Context, issuer string) (verifier.Config, error) {
		resolved, err := resolve(ctx, issuer)
		sources = append(sources, resolved.Keys)
		return resolved, err
	}
	v, err := verifier.NewTenants(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{tenant, otherTenant} {
		accept(t, v, w.token(of(id)))
	}
	t.Run("KS-26/tenants_cannot_close_it", func(t *testing.T) {
		for _, keys := range sources {
			if _, ok := keys.(interface{ Close() error }); ok {
				t.Errorf("%T has a method Close", keys)
			}
		}
		if n := w.fetches(); n != 1 {
			t.Errorf("%d fetches while a tenant was pushed out", n)
		}
	})
	t.Run("KS-26/the_verifier_closes_it", func(t *testing.T) {
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		for i, keys := range sources {
			_, err := keys.Keys(t.Context(), nil)
			wantClass(t, err, verifier.ErrKeysUnavailable)
			if len(sources) != 2 || keys == nil {
				t.Errorf("source %d of %d", i, len(sources))
			}
		}
	})
}

// TestEntraTenantsResolved: what the documentation says can be done with Resolve.
func TestEntraTenantsResolved(t *testing.T) {
	w := newWorld(t, "entra_tenants")
	o := audience(entraAPI)
	o.Keys = w.keys()
	cfg, err := providers.EntraTenants(func(string) bool { return true }, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Audience[0] = "changed later"
	resolve := cfg.Resolve
	cfg.Resolve = func(ctx context.Context, issuer string) (verifier.Config, error) {
		resolved, err := resolve(ctx, issuer)
		resolved.RequiredClaims = []verifier.RequiredClaim{{Path: path{"azpacr"}, Values: []string{"1"}}}
		return resolved, err
	}
	first, err := cfg.Resolve(t.Context(), issuerOf(tenant))
	if err != nil {
		t.Fatal(err)
	}
	if set, err := first.Keys.Keys(t.Context(), nil); err != nil || set.Len() != 2 {
		t.Fatalf("%d keys, error %v", set.Len(), err)
	}
	v, err := verifier.NewTenants(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	accept(t, v, w.token())
	refuse(t, v, w.token(claim("azpacr", "0")), verifier.ErrInvalidClaim)
	if n := w.fetches(); n != 1 {
		t.Errorf("%d fetches: what was fetched ahead was not used", n)
	}
}
