// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/verifier"
)

const personal = "9188040d-6c67-4c5b-b112-36a304b66dad"

func issuerOf(tenantID string) string {
	return "https://login.microsoftonline.com/" + tenantID + "/v2.0"
}

func kid(name string) edit { return func(h, _ object) { h["kid"] = name } }

// of makes the token that of a tenant.
func of(tenantID string) edit {
	return func(_, c object) { c["iss"], c["tid"] = issuerOf(tenantID), tenantID }
}

// publish replaces the issuer members of the key set, one per key, "" for none.
func (w *world) publish(issuers ...string) {
	for i := range w.Keys.Members {
		delete(w.Keys.Members[i], "issuer")
		if issuers[i] != "" {
			w.Keys.Members[i]["issuer"] = issuers[i]
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.routes[w.Keys.URL] = w.jwks()
}

// TestEntraKeys: a key is used for the tenant that it names, and for no other.
func TestEntraKeys(t *testing.T) {
	v1 := "https://sts.windows.net/" + tenant + "/"
	any := issuerOf("{tenantid}")
	for _, c := range []struct {
		name         string
		first, other string // the issuer members of the two keys
		good         bool   // the first key verifies
	}{
		{"JV-16/own", issuerOf(tenant), issuerOf(otherTenant), true},
		{"JV-16/any_tenant", any, issuerOf(otherTenant), true},
		{"JV-16/none_is_named", "", "", true},
		{"JV-16/another", issuerOf(otherTenant), issuerOf(tenant), false},
		{"JV-16/unnamed_beside_named", "", issuerOf(tenant), false},
		{"JV-16/unnamed_beside_another", "", issuerOf(otherTenant), false},
		{"JV-16/only_others", issuerOf(otherTenant), issuerOf(otherTenant), false},
		{"JV-16/other_template", "https://login.microsoftonline.com/{tenant}/v2.0", any, false},
		{"JV-16/upper_case", strings.ToUpper(issuerOf(tenant)), any, false},
		{"JV-16/v1_issuer_for_v2", v1, any, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "entra")
			w.publish(c.first, c.other)
			v := w.verifier(entra, audience(entraAPI))
			if !c.good {
				refuse(t, v, w.token(), verifier.ErrUnknownKey)
				return
			}
			accept(t, v, w.token())
		})
	}
	t.Run("JV-16/key_of_another_tenant", func(t *testing.T) {
		w := newWorld(t, "entra")
		v := w.verifier(entra, audience(entraAPI))
		accept(t, v, w.token())
		refuse(t, v, w.token(kid("entra-key-other")), verifier.ErrUnknownKey)
	})
	t.Run("JV-16/v1", func(t *testing.T) {
		for issuer, class := range map[string]error{"": nil, v1: nil, issuerOf(tenant): nil, any: nil, issuerOf(otherTenant): verifier.ErrUnknownKey} {
			w := newWorld(t, "entra_v1")
			w.publish(issuer)
			v := w.verifier(entraV1, audience("api://"+entraAPI))
			if class != nil {
				refuse(t, v, w.token(), class)
				continue
			}
			accept(t, v, w.token())
		}
	})
}

// TestEntraSource: the source is the cache, with the selection in between.
func TestEntraSource(t *testing.T) {
	w := newWorld(t, "entra")
	o := audience(entraAPI)
	o.Keys = w.keys()
	cfg, err := entra(o)
	if err != nil {
		t.Fatal(err)
	}
	warm, ok := cfg.Keys.(interface{ Warm(context.Context) error })
	if !ok {
		t.Fatal("the source cannot be warmed")
	}
	if err := warm.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("one_version_per_set", func(t *testing.T) {
		var sets sync.Map
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				set, err := cfg.Keys.Keys(t.Context(), nil)
				if err != nil || set.Len() != 1 {
					t.Errorf("%d keys, %v", set.Len(), err)
				}
				sets.Store(set, true)
			})
		}
		wg.Wait()
		n := 0
		sets.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Errorf("%d versions of one set", n)
		}
	})
	t.Run("KS-11/a_miss_within_the_cooldown_fetches_nothing", func(t *testing.T) {
		set, err := cfg.Keys.Keys(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		before := w.fetches()
		again, err := cfg.Keys.Keys(t.Context(), &verifier.Miss{Set: set, KeyID: "unknown"})
		if err != nil || again != set || w.fetches() != before {
			t.Errorf("same %v, %v, %d requests", again == set, err, w.fetches()-before)
		}
	})
	t.Run("a_miss_of_an_older_selection_gets_the_latest", func(t *testing.T) {
		set, err := cfg.Keys.Keys(t.Context(), &verifier.Miss{Set: &verifier.KeySet{}})
		if err != nil || set.Len() != 1 {
			t.Errorf("%d keys, %v", set.Len(), err)
		}
	})
	v := w.open(cfg)
	accept(t, v, w.token())
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	refuse(t, v, w.token(), verifier.ErrKeysUnavailable)
}

// TestEntraRotation: the selection knows which set a miss is about, so that the
// source refreshes.
func TestEntraRotation(t *testing.T) {
	private() // outside of the bubble
	for name, open := range map[string]func(*world) *verifier.Verifier{
		"entra":         func(w *world) *verifier.Verifier { return w.verifier(entra, audience(entraAPI)) },
		"entra_tenants": func(w *world) *verifier.Verifier { v, _ := w.tenants(tenant); return v },
	} {
		t.Run("KS-11/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, name)
				v := open(w)
				accept(t, v, w.token())
				w.Keys.Members[0]["kid"] = "entra-key-next"
				w.publish(issuerOf("{tenantid}"), issuerOf(otherTenant), "", "", "")
				time.Sleep(29 * time.Second)
				refuse(t, v, w.token(kid("entra-key-next")), verifier.ErrUnknownKey)
				time.Sleep(2 * time.Second)
				accept(t, v, w.token(kid("entra-key-next")))
				refuse(t, v, w.token(kid("entra-key-own")), verifier.ErrUnknownKey)
				synctest.Wait()
			})
		})
	}
}

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

// TestEntraTenantsClose: the shared source lives as long as the last tenant.
func TestEntraTenantsClose(t *testing.T) {
	w := newWorld(t, "entra_tenants")
	o := audience(entraAPI)
	o.Keys = w.keys()
	cfg, err := providers.EntraTenants(func(string) bool { return true }, o)
	if err != nil {
		t.Fatal(err)
	}
	open := func(id string) verifier.KeySource {
		t.Helper()
		resolved, err := cfg.Resolve(t.Context(), issuerOf(id))
		if err != nil {
			t.Fatal(err)
		}
		return resolved.Keys
	}
	closeOf := func(keys verifier.KeySource) {
		t.Helper()
		if err := keys.(interface{ Close() error }).Close(); err != nil {
			t.Fatal(err)
		}
	}
	works := func(keys verifier.KeySource) bool {
		_, err := keys.Keys(t.Context(), nil)
		return err == nil
	}
	one, two := open(tenant), open(otherTenant)
	closeOf(one)
	closeOf(one)
	if !works(two) {
		t.Fatal("closing one tenant twice closed the other")
	}
	closeOf(two)
	if works(two) {
		t.Fatal("open after the last tenant was closed")
	}
	if again := open(tenant); !works(again) {
		t.Fatal("a later tenant has no keys")
	} else {
		closeOf(again)
	}
	if n := w.fetches(); n != 2 {
		t.Errorf("%d fetches, want one per life", n)
	}
}

// TestEntraTenantsOwner: the verifier is all that has to be closed.
func TestEntraTenantsOwner(t *testing.T) {
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
	accept(t, v, w.token(of(tenant)))
	accept(t, v, w.token(of(otherTenant)))
	if n := w.fetches(); n != 1 {
		t.Errorf("%d fetches while a tenant was pushed out", n)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for i, keys := range sources {
		if _, err := keys.Keys(t.Context(), nil); err == nil {
			t.Errorf("source %d is open", i)
		}
	}
}
