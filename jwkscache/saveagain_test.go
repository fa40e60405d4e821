// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

func quick(cfg *jwkscache.Config) { cfg.UnknownKeyCooldown = time.Second }

// wantSaves fails unless so many saves were begun.
func (w *world) wantSaves(store *memory, want int) {
	w.Helper()
	if _, saves := store.count(); saves != want {
		w.Fatalf("after %v: %d saves, want %d", w.elapsed(), saves, want)
	}
}

// TestSaveUnchanged: what is stored already is stored again once a minute.
func TestSaveUnchanged(t *testing.T) {
	inStore(t, "KS-29/flood_of_unknown_kids", quick, func(w *world, store *memory) {
		known := w.keys()
		for range 36000 {
			w.pass(100 * time.Millisecond)
			w.miss(known)
		}
		if w.hits("") < 600 {
			w.Errorf("%d fetches are no flood", w.hits(""))
		}
		if _, saves := store.count(); saves < 55 || saves > 61 {
			w.Errorf("%d saves in an hour", saves)
		}
	})
	for name, c := range map[string]struct {
		after time.Duration
		saves int
	}{
		"within_a_minute": {time.Minute - time.Nanosecond, 1},
		"after_a_minute":  {time.Minute, 2},
	} {
		inStore(t, "KS-29/fetched_again_"+name, quick, func(w *world, store *memory) {
			known := w.keys()
			w.pass(c.after)
			w.miss(known)
			w.pass(0)
			w.wantHits("", 2)
			w.wantSaves(store, c.saves)
		})
	}
	inStore(t, "KS-29/changed_set_is_stored_at_once", quick, func(w *world, store *memory) {
		known := w.keys()
		w.pass(time.Second)
		w.body(jwksURL, kids("two"))
		w.miss(known)
		w.pass(0)
		if r := store.record(w); r.KeySet != kids("two") {
			w.Errorf("%+v", r)
		}
	})
	inStore(t, "MD-11/changed_address_is_stored_at_once", func(cfg *jwkscache.Config) { quick(cfg); byIssuer(cfg) }, func(w *world, store *memory) {
		const moved = issuer + "/moved"
		known := w.keys()
		w.pass(58 * time.Minute) // the metadata is nearly due
		w.keys()
		w.pass(time.Minute)
		w.metadata(moved)
		w.body(moved, kids("one"))
		w.status(jwksURL, 404)
		for range 5 {
			w.pass(time.Second)
			w.miss(known)
		}
		w.pass(0)
		if r := store.record(w); r.JWKSURI != moved || w.keys() != known {
			w.Errorf("%+v", r)
		}
	})
}

// TestSaveAgain: a set that could not be stored is tried once more, unless something
// newer comes.
func TestSaveAgain(t *testing.T) {
	fails := func(store *memory, times int) {
		store.saving(func(context.Context) error {
			if times--; times >= 0 {
				return refuseAll(context.Background())
			}
			return nil
		})
	}
	inStore(t, "KS-29/after_a_minute", byURL, func(w *world, store *memory) {
		fails(store, 1)
		w.keys()
		w.pass(time.Minute - time.Nanosecond)
		w.wantSaves(store, 1)
		w.pass(time.Nanosecond)
		if r := store.record(w); r.KeySet != kids("one") {
			w.Errorf("%+v", r)
		}
		w.wantEvents(verifier.EventSnapshot, 1)
		w.pass(10 * time.Minute)
		w.wantSaves(store, 2)
	})
	inStore(t, "KS-29/once_while_the_source_is_not_in_use", byURL, func(w *world, store *memory) {
		fails(store, 1000)
		w.keys()
		w.pass(10 * time.Minute)
		w.wantSaves(store, 2)
		w.wantEvents(verifier.EventSnapshot, 2)
		w.pass(24 * time.Hour) // one refresh ahead, which nobody asks for, has its own two
		w.wantHits("", 2)
		w.wantSaves(store, 4)
	})
	inStore(t, "KS-29/not_over_something_newer", quick, func(w *world, store *memory) {
		fails(store, 1)
		known := w.keys()
		w.pass(30 * time.Second)
		w.body(jwksURL, kids("two"))
		w.miss(known)
		w.pass(0)
		w.wantSaves(store, 2)
		w.pass(10 * time.Minute)
		w.wantSaves(store, 2)
		if r := store.record(w); r.KeySet != kids("two") {
			w.Errorf("%+v", r)
		}
	})
	inStore(t, "KS-29/each_newer_one_has_its_own", quick, func(w *world, store *memory) {
		fails(store, 3)
		known := w.keys()
		w.pass(30 * time.Second)
		w.body(jwksURL, kids("two"))
		w.miss(known)
		w.pass(30 * time.Second) // nothing is left of the first one
		w.wantSaves(store, 2)
		w.pass(30 * time.Second)
		w.wantSaves(store, 3)
		w.pass(5 * time.Minute)
		w.wantSaves(store, 3)
	})
	slow := &memory{}
	inWorld(t, "KS-29/not_over_what_waits_for_a_slow_hook", func(cfg *jwkscache.Config) {
		quick(cfg)
		cfg.Snapshots = slow
		cfg.OnEvent = func(e verifier.Event) {
			if e.Kind == verifier.EventSnapshot {
				time.Sleep(90 * time.Second)
			}
		}
	}, func(w *world) {
		fails(slow, 1)
		known := w.keys()
		w.pass(30 * time.Second)
		w.body(jwksURL, kids("two"))
		w.miss(known)
		w.pass(5 * time.Minute)
		w.wantSaves(slow, 2)
		if r := slow.record(w); r.KeySet != kids("two") {
			w.Errorf("%+v", r)
		}
	})
	inStore(t, "KS-26/not_after_Close", byURL, func(w *world, store *memory) {
		fails(store, 1)
		w.keys()
		w.pass(time.Second)
		w.cache.Close()
		w.pass(time.Hour)
		w.wantSaves(store, 1)
	})
	inStore(t, "KS-26/not_if_it_fails_during_Close", byURL, func(w *world, store *memory) {
		store.saving(func(context.Context) error { time.Sleep(time.Second); return refuseAll(context.Background()) })
		w.keys()
		w.cache.Close()
		w.pass(time.Hour)
		w.wantSaves(store, 1)
		w.wantEvents(verifier.EventSnapshot, 1)
	})
	store := &memory{}
	inWorld(t, "SE-01/what_waits_when_a_hook_ends_the_goroutine", func(cfg *jwkscache.Config) {
		quick(cfg)
		cfg.Snapshots = store
		cfg.OnEvent = func(e verifier.Event) {
			if e.Kind == verifier.EventSnapshot {
				runtime.Goexit()
			}
		}
	}, func(w *world) {
		store.saving(func(context.Context) error {
			time.Sleep(3 * time.Second)
			if _, saves := store.count(); saves == 1 {
				return refuseAll(context.Background())
			}
			return nil
		})
		known := w.keys()
		w.pass(time.Second)
		w.body(jwksURL, kids("two"))
		w.miss(known)
		w.pass(10 * time.Second)
		if r := store.record(w); r.KeySet != kids("two") {
			w.Errorf("%+v", r)
		}
	})
}

func TestSaveNothing(t *testing.T) {
	stored(t, "KS-14/set_without_usable_key_does_not_replace_stored_keys", byURL, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		store.loading(refuseAll) // once: so that the cache is cold
		w.body(jwksURL, `{"keys":[{"kty":"nope"}]}`)
		w.cache = w.another(edit)
		if set := w.keys(); set.Len() != 0 {
			w.Fatalf("%d keys", set.Len())
		}
		w.pass(time.Minute)
		store.loading(nil)
		w.down.Store(true)
		w.cache = w.another(edit)
		if err := w.cache.Ready(w.Context()); err != nil {
			w.Errorf("the stored keys are gone: %v", err)
		}
	})
}
