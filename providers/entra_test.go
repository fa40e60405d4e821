// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

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
	any, anyV1 := issuerOf("{tenantid}"), "https://sts.windows.net/{tenantid}/"
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
		{"JV-16/v1_template_for_v2", anyV1, any, false},
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
		for issuer, class := range map[string]error{
			"": nil, v1: nil, issuerOf(tenant): nil, any: nil, anyV1: nil,
			issuerOf(otherTenant):                          verifier.ErrUnknownKey,
			"https://sts.windows.net/" + otherTenant + "/": verifier.ErrUnknownKey,
			"https://sts.windows.net/{tenantid}":           verifier.ErrUnknownKey,
		} {
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

// TestEntraSource: the source is the cache itself, whose sets are the selection.
func TestEntraSource(t *testing.T) {
	w := newWorld(t, "entra")
	o := audience(entraAPI)
	o.Keys = w.keys()
	cfg, err := entra(o)
	if err != nil {
		t.Fatal(err)
	}
	cache, ok := cfg.Keys.(*jwkscache.Cache)
	if !ok {
		t.Fatalf("the source is a %T", cfg.Keys)
	}
	if err := cache.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys := cache.Status().Keys; len(keys) != 1 || keys[0].ID != "entra-key-own" {
		t.Errorf("status has the keys %+v", keys)
	}
	v := w.open(cfg)
	accept(t, v, w.token())
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	refuse(t, v, w.token(), verifier.ErrKeysUnavailable)
}

// TestEntraLastGood: a set in which nothing is left for the tenant is one without a
// usable key.
func TestEntraLastGood(t *testing.T) {
	private() // outside of the bubble
	open := func(w *world) (*verifier.Verifier, *jwkscache.Cache) {
		o := audience(entraAPI)
		o.Keys = w.keys()
		cfg, err := entra(o)
		if err != nil {
			w.Fatal(err)
		}
		return w.open(cfg), cfg.Keys.(*jwkscache.Cache)
	}
	t.Run("KS-14/only_keys_of_others_after_good_ones", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "entra")
			v, cache := open(w)
			accept(t, v, w.token())
			w.publish(issuerOf(otherTenant), issuerOf(otherTenant))
			time.Sleep(time.Hour)
			accept(t, v, w.token()) // after a pause this waits for the refresh
			if status := cache.Status(); len(status.Keys) != 1 || status.Err == nil {
				t.Errorf("status %+v", status)
			}
			if err := cache.Ready(t.Context()); err != nil {
				t.Errorf("not ready: %v", err)
			}
			synctest.Wait()
		})
	})
	t.Run("KS-14/only_keys_of_others_from_the_start", func(t *testing.T) {
		w := newWorld(t, "entra")
		w.publish(issuerOf(otherTenant), issuerOf(otherTenant))
		v, cache := open(w)
		refuse(t, v, w.token(), verifier.ErrUnknownKey)
		if err := cache.Ready(t.Context()); err == nil || len(cache.Status().Keys) > 0 {
			t.Errorf("ready without a key of the tenant: %v", err)
		}
	})
}

// TestSelect: a selection of the user's own comes on top.
func TestSelect(t *testing.T) {
	for _, c := range []struct {
		name         string
		first, other string
		seen         int // by the user's selection, which wants keys that name one tenant
		class        error
	}{
		{"JV-16/both_agree", issuerOf(tenant), issuerOf("{tenantid}"), 2, nil},
		{"JV-16/refused_by_the_users", issuerOf("{tenantid}"), issuerOf(tenant), 2, verifier.ErrUnknownKey},
		{"JV-16/refused_by_the_functions", issuerOf(otherTenant), issuerOf(tenant), 1, verifier.ErrUnknownKey},
		{"JV-16/unnamed_is_judged_before", "", issuerOf(otherTenant), 0, verifier.ErrUnknownKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "entra")
			w.publish(c.first, c.other)
			o := audience(entraAPI)
			o.Keys = w.keys()
			seen := -1
			o.Keys.Select = func(set *verifier.KeySet) *verifier.KeySet {
				seen = set.Len()
				return set.OfIssuer(func(issuer string) bool { return !strings.Contains(issuer, "{") })
			}
			cfg, err := entra(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.open(cfg).Verify(t.Context(), w.token())
			if c.class == nil && err != nil || c.class != nil && !errors.Is(err, c.class) || seen != c.seen {
				t.Errorf("error %v, %d keys seen, want %v and %d", err, seen, c.class, c.seen)
			}
		})
	}
	t.Run("the_users_alone", func(t *testing.T) {
		w := newWorld(t, "auth0")
		o := api
		o.Keys = w.keys()
		o.Keys.Select = func(*verifier.KeySet) *verifier.KeySet { return &verifier.KeySet{} }
		cfg, err := auth0(o)
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, w.open(cfg), w.token(), verifier.ErrUnknownKey)
	})
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
