// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/leaktest"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// record reads what is stored.
func (m *memory) record(t testing.TB) (r jwkscache.Record) {
	t.Helper()
	_, text := m.only(t)
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// inStore runs a test with a cache that has a store.
func inStore(t *testing.T, name string, base func(*jwkscache.Config), test func(w *world, store *memory)) {
	t.Helper()
	store := &memory{}
	inWorld(t, name, storing(store, base), func(w *world) { test(w, store) })
}

func TestSave(t *testing.T) {
	inStore(t, "KS-29/what_is_stored", byIssuer, func(w *world, store *memory) {
		w.body(jwksURL, " "+kids("one")+"\n", "Cache-Control", "max-age=3600")
		w.pass(90 * time.Minute)
		w.keys()
		w.pass(0)
		name, text := store.only(w)
		r := store.record(w)
		if r.Version != 1 || r.Source != name || r.Issuer != issuer || r.JWKSURI != jwksURL || r.KeySet != kids("one") {
			w.Errorf("%s", text)
		}
		if want := midnight.Add(90 * time.Minute); !r.Fetched.Equal(want) || !r.FreshUntil.Equal(want.Add(time.Hour)) || !r.Discovered.Equal(want) {
			w.Errorf("%v, %v, %v", r.Fetched, r.FreshUntil, r.Discovered)
		}
		if len(name) != 64 || strings.Trim(name, "0123456789abcdef") != "" {
			w.Errorf("name %q", name)
		}
	})
	inStore(t, "KS-29/confirmed_set_is_stored_with_its_new_time", byURL, func(w *world, store *memory) {
		w.body(jwksURL, kids("one"), "ETag", `"1"`)
		w.keys()
		w.pass(0)
		first := store.record(w)
		w.status(jwksURL, 304)
		w.busy(15*time.Minute, time.Minute)
		again := store.record(w)
		if !again.FreshUntil.After(first.FreshUntil) || again.KeySet != first.KeySet {
			w.Errorf("%+v", again)
		}
	})
	inStore(t, "KS-29/nothing_is_stored_after_a_failure", byURL, func(w *world, store *memory) {
		w.keys()
		w.pass(time.Hour)
		_, before := store.count()
		w.body(jwksURL, `{"keys":[]}`)
		w.busy(time.Hour, time.Minute)
		if _, after := store.count(); after != before {
			w.Errorf("%d saves", after-before)
		}
	})
	inStore(t, "KS-29/nothing_is_stored_by_a_restart_alone", byURL, func(w *world, store *memory) {
		w.keys()
		w.down.Store(true)
		w.restart(storing(store, byURL))
		w.keys()
		w.pass(0)
		if _, saves := store.count(); saves != 1 {
			w.Errorf("%d saves", saves)
		}
	})
	t.Run("F35/every_source_has_its_own_name", func(t *testing.T) {
		names := map[string]bool{}
		for _, cfg := range []jwkscache.Config{
			{Issuer: issuer}, {Issuer: issuer + "/"}, {URL: issuer}, {URL: jwksURL}, {URL: jwksURL + "?p=1"}, {URL: jwksURL + "?p=2"},
		} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, byURL)
				store := &memory{}
				cache := w.another(func(c *jwkscache.Config) { c.Issuer, c.URL, c.Snapshots = cfg.Issuer, cfg.URL, store }) // asks on first use
				store.loading(func(context.Context) error { return nil })
				w.on(issuer, answer(200, kids("one")))
				w.on(issuer+"/", answer(200, kids("one")))
				w.body(metaURL, document(cfg.Issuer, jwksURL))
				must(t, cache.Warm(t.Context()))
				w.pass(0)
				name, text := store.only(t)
				names[name] = true
				if strings.Contains(text, "p=") {
					t.Error("a query is stored")
				}
			})
		}
		if len(names) != 6 {
			t.Errorf("%d names for 6 sources", len(names))
		}
	})
}

// TestSaveSecret: what an issuer published by mistake stays out of the store, whatever
// its place, and keeps no set out of it.
func TestSaveSecret(t *testing.T) {
	private := func(kid, more string) json.RawMessage {
		return json.RawMessage(string(privateJWK(kid)[:len(privateJWK(kid))-1]) + more + "}")
	}
	odd := func(text string) string { return set(jwk("two", nil), json.RawMessage(text)) }
	for name, keys := range map[string]string{
		"private_key":         set(private("two", `,"k":"CANARY"`)),
		"symmetric_key":       odd(`{"kty":"oct","k":"CANARY"}`),
		"private_unusable":    odd(`{"kty":"RSA","qi":"CANARY"}`),
		"private_other_type":  odd(`{"kty":"AKP","priv":"CANARY"}`),
		"private_escaped":     odd(`{"kty":"RSA","\u0064":"CANARY"}`),
		"private_and_doubled": odd(`{"d":"CANARY","kty":"RSA","kty":"RSA"}`),
		"bad_number_before":   odd(`{"kty":"EC","x":1e999999,"d":"CANARY"}`),
		"in_a_list":           odd(`[{"kty":"EC","d":"CANARY"}]`),
		"in_another_member":   set(jwk("two", map[string]any{"private_key": map[string]string{"d": "CANARY"}})),
		"in_a_certificate":    set(jwk("two", map[string]any{"x5c": []string{"CANARY"}})),
		"beside_the_keys":     `{"kty":"EC","d":"CANARY",` + kids("two")[1:],
		"in_another_list":     `{"old_keys":[{"kty":"EC","d":"CANARY"}],` + kids("two")[1:],
	} {
		store := &memory{}
		edit := storing(store, byURL)
		inWorld(t, "KS-19/stored_"+name, edit, func(w *world) {
			w.keys()
			w.pass(time.Hour)
			w.body(jwksURL, keys)
			w.keys()
			w.down.Store(true)
			w.restart(edit)
			if _, text := store.only(w); strings.Contains(text, "CANARY") || strings.Contains(text, `\"d\"`) {
				w.Errorf("stored: %s", text)
			}
			if _, err := w.verifier().Verify(w.Context(), token("two")); err != nil {
				w.Error(err)
			}
			_, err := w.verifier().Verify(w.Context(), token("one"))
			if class := verifier.ClassOf(err); class != verifier.ErrUnknownKey && class != verifier.ErrKeysUnavailable {
				w.Errorf("the withdrawn key: %v", err)
			}
			w.wantEvents(verifier.EventSnapshot, 1)
			w.wantCause("are used")
		})
	}
}

// TestSaveOrder: one at a time, the latest wins, and nobody waits for it.
func TestSaveOrder(t *testing.T) {
	inStore(t, "KS-29/latest_wins", func(cfg *jwkscache.Config) { cfg.UnknownKeyCooldown = time.Second }, func(w *world, store *memory) {
		var under, most int
		store.saving(func(context.Context) error {
			under++
			most = max(most, under)
			time.Sleep(4 * time.Second)
			under--
			return nil
		})
		names := []string{"one", "two", "three"}
		for i := range 3 {
			w.body(jwksURL, kids(names[:i+1]...))
			set := w.keys()
			if i > 0 {
				start := time.Now()
				if _, err := w.miss(set); err != nil || time.Since(start) > 0 {
					w.Fatalf("waited %v: %v", time.Since(start), err)
				}
			}
			w.pass(time.Second)
		}
		w.pass(10 * time.Second)
		if _, saves := store.count(); saves != 2 || most != 1 {
			w.Errorf("%d saves, %d at a time; the second set is out of date when its turn comes", saves, most)
		}
		if r := store.record(w); r.KeySet != kids("one", "two", "three") {
			w.Errorf("stored %s", r.KeySet)
		}
	})
	inStore(t, "KS-26/close_waits_for_a_save", byURL, func(w *world, store *memory) {
		store.saving(func(ctx context.Context) error { time.Sleep(3 * time.Second); return ctx.Err() })
		w.keys()
		start := time.Now()
		w.cache.Close()
		if waited := time.Since(start); waited != 3*time.Second {
			w.Errorf("waited %v", waited)
		}
		store.record(w)
		w.wantEvents(verifier.EventSnapshot, 0)
	})
	inStore(t, "KS-26/close_waits_no_longer_than_the_limit", byURL, func(w *world, store *memory) {
		store.saving(hang)
		w.keys()
		w.pass(time.Second)
		start := time.Now()
		w.cache.Close()
		if waited := time.Since(start); waited != 4*time.Second {
			w.Errorf("waited %v", waited)
		}
	})
	for name, c := range map[string]struct{ each, close time.Duration }{
		"after_4_s":       {4 * time.Second, 7 * time.Second},
		"just_in_time":    {5*time.Second - time.Nanosecond, 9*time.Second - 2*time.Nanosecond},
		"never_returning": {time.Hour, 4 * time.Second},
	} {
		inStore(t, "KS-26/close_saves_what_waits_"+name, func(cfg *jwkscache.Config) { cfg.UnknownKeyCooldown = time.Second }, func(w *world, store *memory) {
			store.saving(func(context.Context) error { time.Sleep(c.each); return nil })
			before := w.keys()
			w.pass(time.Second)
			w.body(jwksURL, kids("two"))
			if _, err := w.miss(before); err != nil {
				w.Fatal(err)
			}
			start := time.Now()
			w.cache.Close()
			if waited := time.Since(start); waited != c.close {
				w.Errorf("waited %v, want %v", waited, c.close)
			}
			_, saves := store.count()
			if c.each < 5*time.Second && store.record(w).KeySet != kids("two") {
				w.Error("the older set is stored")
			}
			w.pass(2 * time.Hour)
			if _, later := store.count(); later != saves {
				w.Errorf("%d saves after Close", later-saves)
			}
		})
	}
	inStore(t, "KS-26/close_during_a_load", byURL, func(w *world, store *memory) {
		store.loading(hang)
		var err error
		go func() { _, err = w.cache.Keys(w.Context(), nil) }()
		w.pass(time.Second)
		start := time.Now()
		w.cache.Close()
		synctest.Wait()
		if time.Since(start) > 0 {
			w.Errorf("waited %v", time.Since(start))
		}
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.wantHits("", 0)
	})
	inStore(t, "KS-29/limit_of_a_save", byURL, func(w *world, store *memory) {
		for i, d := range []time.Duration{5*time.Second - time.Nanosecond, 5*time.Second + time.Nanosecond} {
			store.saving(func(context.Context) error { time.Sleep(d); return nil })
			w.keys()
			w.pass(20 * time.Minute) // the refresh, its save, and that again
			w.wantEvents(verifier.EventSnapshot, 2*i)
		}
		w.wantCause("within 5s")
	})
}

// TestStoreNeverReturns: a store that ignores its context holds up one goroutine, not
// one for each attempt.
func TestStoreNeverReturns(t *testing.T) {
	inStore(t, "KS-29/save_never_returns", byURL, func(w *world, store *memory) {
		release := make(chan struct{})
		store.saving(func(context.Context) error { <-release; return nil })
		w.keys()
		w.pass(6 * time.Second)
		w.wantCause("within 5s")
		before := leaktest.Count()
		if longest := w.busy(12*time.Hour, time.Minute); longest > 0 {
			w.Errorf("a request waited %v", longest)
		}
		synctest.Wait()
		if after := leaktest.Count(); after > before {
			w.Errorf("%d goroutines after some 50 attempts, %d before", after, before)
		}
		w.wantCause("still not returned")
		if _, saves := store.count(); saves != 1 {
			w.Errorf("%d saves under way", saves)
		}
		close(release)
		w.busy(time.Hour, time.Minute)
		if r := store.record(w); time.Since(r.Fetched) > 15*time.Minute {
			w.Errorf("stored %v ago", time.Since(r.Fetched))
		}
	})
	inStore(t, "KS-29/load_never_returns", byURL, func(w *world, store *memory) {
		release := make(chan struct{})
		store.loading(func(context.Context) error { <-release; return nil })
		start := time.Now()
		w.together(100, func() { w.keys() })
		if waited := time.Since(start); waited != 5*time.Second {
			w.Errorf("waited %v", waited)
		}
		w.busy(time.Hour, time.Minute)
		if loads, saves := store.count(); loads != 1 || saves != 0 {
			w.Errorf("%d loads, %d saves", loads, saves)
		}
		start = time.Now()
		w.cache.Close()
		if time.Since(start) > 0 {
			w.Errorf("Close waited %v", time.Since(start))
		}
		close(release)
	})
	t.Run("SE-01/hook_ends_the_goroutine_that_saves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, byURL)
			store := &memory{onSave: refuseAll}
			cache := w.another(func(cfg *jwkscache.Config) {
				cfg.Snapshots = store
				cfg.OnEvent = func(e verifier.Event) {
					if e.Kind == verifier.EventSnapshot {
						runtime.Goexit()
					}
				}
			})
			for range 100 {
				_, err := cache.Keys(w.Context(), nil)
				must(t, err)
				w.pass(time.Minute)
			}
			if _, saves := store.count(); saves < 5 {
				t.Errorf("%d saves", saves)
			}
		})
	})
	t.Run("GO-02/store_is_a_typed_nil", func(t *testing.T) {
		refused(t, jwkscache.Config{URL: jwksURL, Snapshots: (*memory)(nil)}, "Snapshots is a nil *jwkscache_test.memory", "handle the error")
	})
}

// TestStoreShared: many caches on one store keep their own keys.
func TestStoreShared(t *testing.T) {
	inStore(t, "F35/one_store_for_many", byURL, func(w *world, store *memory) {
		var edits []func(*jwkscache.Config)
		for i := range 20 {
			url := fmt.Sprintf("%s/%d", jwksURL, i)
			w.body(url, set(jwk("one", map[string]any{"kid": url})))
			edits = append(edits, func(cfg *jwkscache.Config) { cfg.URL, cfg.Snapshots = url, store })
		}
		first := make([]*jwkscache.Cache, len(edits))
		for i, edit := range edits {
			first[i] = w.another(edit)
		}
		for _, cache := range first {
			must(w, cache.Warm(w.Context()))
			w.pass(0)
			cache.Close()
		}
		w.down.Store(true)
		for i, edit := range edits {
			cache := w.another(edit)
			must(w, cache.Warm(w.Context()))
			if got, want := cache.Status().Keys[0].ID, fmt.Sprintf("%s/%d", jwksURL, i); got != want {
				w.Errorf("cache %d has key %q", i, got)
			}
		}
	})
}
