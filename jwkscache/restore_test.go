// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// longest draws the longest wait, so that attempts can be counted.
func longest(n uint64) uint64 { return n - 1 }

// TestLoadAgain: a store that does not answer is asked again; an answer is final.
func TestLoadAgain(t *testing.T) {
	stored(t, "KS-29/store_is_late", byIssuer, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		w.down.Store(true)
		store.loading(refuseAll)
		w.cache = w.another(edit)
		jwkscache.SetRandom(w.cache, longest)
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.pass(2 * time.Second)
		_, err = w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.pass(0)
		store.loading(nil)
		w.pass(time.Minute)
		w.keys()
		w.wantCause("are used")
		w.pass(0) // the attempt that this request began
		if got := w.cache.Status(); got.Failures != 4 {
			w.Errorf("the back-off began anew: %+v", got)
		}
	})
	stored(t, "KS-29/fresh_keys_of_a_store_that_is_late", byURL, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		store.put(w, at(time.Hour, 2*time.Hour))
		w.down.Store(true)
		store.loading(refuseAll)
		w.cache = w.another(edit)
		jwkscache.SetRandom(w.cache, longest)
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		store.loading(nil)
		w.pass(2 * time.Second) // the next attempt loads, and the one after it fails
		w.keys()
		w.wantCause("are used")
		if got := w.cache.Status(); got.Failures != 2 {
			w.Errorf("the back-off began anew: %+v", got)
		}
	})
	for name, fault := range map[string]func(context.Context) error{"error": refuseAll, "hangs": hang, "panic": explode, "goexit": leave} {
		inWorld(t, "KS-13/one_load_for_each_attempt_"+name, byURL, func(w *world) {
			w.down.Store(true)
			store := &memory{onLoad: fault}
			w.cache = w.another(storing(store, byURL))
			for range 600 {
				_, err := w.cache.Keys(w.Context(), nil)
				wantClass(w, err, verifier.ErrKeysUnavailable)
				w.pass(6 * time.Second)
			}
			w.pass(time.Minute) // nobody asks: what is under way comes to its end
			attempts := len(w.of(verifier.EventFetchFailed))
			if loads, _ := store.count(); loads != attempts || loads < 50 || len(w.of(verifier.EventSnapshot)) != loads {
				w.Errorf("%d loads, %d attempts, %d events", loads, attempts, len(w.of(verifier.EventSnapshot)))
			}
		})
	}
	for name, edit := range map[string]func([]byte) []byte{
		"nothing": nil,
		"damaged": func(b []byte) []byte { return b[1:] },
		"too_old": at(26*time.Hour, time.Hour),
		"foreign": as(func(r *jwkscache.Record) { r.Source = strings.Repeat("0", 64) }),
	} {
		stored(t, "F39/asked_once_"+name, byURL, func(w *world, store *memory, with func(*jwkscache.Config)) {
			if edit == nil {
				store.held = nil
			} else {
				store.put(w, edit)
			}
			w.down.Store(true)
			w.cache = w.another(with)
			for range 60 {
				_, err := w.cache.Keys(w.Context(), nil)
				wantClass(w, err, verifier.ErrKeysUnavailable)
				w.pass(time.Minute)
			}
			if loads, _ := store.count(); loads != 2 {
				w.Errorf("%d loads by two processes", loads)
			}
		})
	}
	stored(t, "F39/asked_once_used", byURL, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		w.down.Store(true)
		w.cache = w.another(edit)
		w.busy(time.Hour, time.Minute)
		if loads, _ := store.count(); loads != 2 {
			w.Errorf("%d loads by two processes", loads)
		}
	})
	stored(t, "MD-11/metadata_that_was_fetched_before_the_store_answered", byIssuer, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		const moved = issuer + "/moved"
		w.metadata(moved)
		w.status(moved, 500)
		store.loading(refuseAll)
		w.cache = w.another(edit)
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		store.loading(nil)
		w.pass(2 * time.Second)
		w.keys()
		w.wantHits(metaURL, 2) // by the process before, and once by this one
		w.wantHits(jwksURL, 2)
		w.wantHits(moved, 2)
	})
}

// TestRestoredMetadata: what a process knew of the address lives no longer for being
// stored and loaded, however often.
func TestRestoredMetadata(t *testing.T) {
	const last = 25 * time.Hour // an hour of freshness, and MaxStale
	for _, every := range []time.Duration{1000 * time.Hour, 20 * time.Hour, 3 * time.Hour} {
		edit := storing(&memory{}, byIssuer)
		inWorld(t, fmt.Sprintf("MD-11/metadata_ends_with_restarts_every_%v", every), edit, func(w *world) {
			w.keys()
			w.pass(time.Minute)
			w.status(metaURL, 500)
			var asked time.Duration
			w.on(jwksURL, func(rw http.ResponseWriter, r *http.Request) { asked = w.elapsed(); answer(200, kids("one"))(rw, r) })
			for start := time.Now(); w.elapsed() < 40*time.Hour; w.pass(time.Minute) {
				if time.Since(start) > every {
					start = time.Now()
					w.restart(edit)
				}
				w.keys()
			}
			if asked >= last || asked < last-16*time.Minute {
				w.Errorf("the address was last asked after %v", asked)
			}
		})
	}
	for name, c := range map[string]struct {
		discovered time.Duration // from now
		asked      bool
	}{
		"just_usable":      {-last + time.Nanosecond, true},
		"just_too_old":     {-last, false},
		"clock_of_another": {time.Minute, true},
		"from_the_future":  {time.Minute + time.Nanosecond, false},
		"of_nobody_knows":  {-1000 * 1000 * time.Hour, false},
		"of_a_moment_ago":  {0, true},
	} {
		stored(t, "MD-11/restored_metadata_"+name, byIssuer, func(w *world, store *memory, edit func(*jwkscache.Config)) {
			store.put(w, as(func(r *jwkscache.Record) {
				r.Discovered = time.Now().Add(c.discovered).UTC()
				if name == "of_nobody_knows" {
					r.Discovered = time.Time{}
				}
			}))
			w.status(metaURL, 500)
			w.body(jwksURL, kids("two"))
			w.cache = w.another(edit)
			w.keys()
			want := "one"
			if c.asked {
				want = "two"
			}
			w.wantKeys(want)
		})
	}
	stored(t, "MD-11/restored_metadata_by_the_MaxStale_of_today", byIssuer, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		store.put(w, as(func(r *jwkscache.Record) { r.Discovered = time.Now().Add(-2 * time.Hour).UTC() }))
		w.status(metaURL, 500)
		w.body(jwksURL, kids("two"))
		w.cache = w.another(func(cfg *jwkscache.Config) { edit(cfg); cfg.MaxStale = time.Hour })
		w.wantKeys("one")
	})
}

// TestOfferedStored: stale keys serve those who cannot wait for the attempt to renew them.
func TestOfferedStored(t *testing.T) {
	silent := func(w *world) {
		w.on(metaURL, slow(time.Hour, answer(200, "")))
		w.on(jwksURL, slow(time.Hour, answer(200, "")))
	}
	within := func(w *world, d time.Duration, f func(context.Context) error) {
		w.Helper()
		ctx, cancel := context.WithTimeout(w.Context(), d)
		defer cancel()
		start := time.Now()
		if err := f(ctx); err != nil || time.Since(start) != d {
			w.Fatalf("after %v: %v", time.Since(start), err)
		}
	}
	stored(t, "KS-12/ready_in_2_s_with_a_silent_issuer", byIssuer, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
		silent(w)
		w.cache = w.another(edit)
		within(w, 2*time.Second, w.cache.Ready)
		probe(w, handler(w, w.cache), "degraded")
		stale := w.wantEvents(verifier.EventStaleKeys, 1)[0]
		if stale.Cause == nil || !strings.Contains(stale.Cause.Error(), "stored keys, fetched at") {
			w.Errorf("%+v", stale)
		}
		w.pass(10 * time.Second)
		if got := w.cache.Status(); got.Failures != 1 {
			w.Errorf("%+v", got)
		}
		w.keys()
		w.wantEvents(verifier.EventStaleKeys, 1)
		w.wantEvents(verifier.EventSnapshot, 1)
	})
	stored(t, "KS-12/request_with_a_deadline", byURL, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
		silent(w)
		w.cache = w.another(edit)
		verify := func(ctx context.Context) error {
			_, err := w.verifier().Verify(ctx, token("one"))
			return err
		}
		within(w, time.Second, verify)
		within(w, time.Second, verify) // begun when the keys were there already
		if got := w.cache.Status(); got.Keys[0].ID != "one" || got.Failures != 0 {
			w.Errorf("%+v", got)
		}
	})
	stored(t, "KS-12/store_that_answers_before_the_deadline", byURL, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		silent(w)
		store.loading(func(context.Context) error { time.Sleep(999 * time.Millisecond); return nil })
		w.cache = w.another(edit)
		within(w, time.Second, w.cache.Ready)
	})
	stored(t, "KS-11/unknown_kid_still_waits", byURL, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
		w.on(jwksURL, slow(3*time.Second, answer(200, kids("two"))))
		w.cache = w.another(edit)
		within(w, time.Second, w.cache.Ready)
		if _, err := w.verifier().Verify(w.Context(), token("two")); err != nil {
			w.Fatal(err)
		}
		w.wantHits("", 3) // two by the process before, and the one that was under way
	})
	stored(t, "KS-26/closed_while_the_stored_keys_are_read", byURL, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
		var cache *jwkscache.Cache
		cache = w.another(func(cfg *jwkscache.Config) {
			edit(cfg)
			cfg.Select = func(s *verifier.KeySet) *verifier.KeySet {
				go cache.Close()
				time.Sleep(time.Second)
				return s
			}
		})
		_, err := cache.Keys(w.Context(), nil)
		w.pass(time.Second)
		if got := cache.Status(); !isZero(got) {
			w.Fatalf("%v, %+v", err, got)
		}
		_, err = cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
	})
}

// TestRestoredSame: every kind of key comes back as the one that was fetched.
func TestRestoredSame(t *testing.T) {
	var keys []json.RawMessage
	for _, pub := range publicKeys(t) {
		for _, more := range []map[string]any{
			nil, {"kid": "k"}, {"kid": ""}, {"use": "sig"}, {"key_ops": []string{"verify"}},
			{"kid": "all", "use": "sig", "key_ops": []string{"sign", "verify"}, "issuer": "https://id.example/{tenant}"},
		} {
			key, err := jose.PublicJWK(pub, more)
			must(t, err)
			keys = append(keys, key)
		}
	}
	edit := storing(&memory{}, byURL)
	inWorld(t, "JV-35/restored_keys_are_the_same", edit, func(w *world) {
		w.body(jwksURL, set(keys...))
		before := w.keys()
		w.down.Store(true)
		w.restart(edit)
		after := w.keys()
		if before.Len() != len(keys) || after.Len() != len(keys) || verifier.MergeKeySets(before, after).Len() != len(keys) {
			w.Errorf("%d keys became %d; %d are in one of the sets alone", before.Len(), after.Len(),
				verifier.MergeKeySets(before, after).Len()-len(keys))
		}
	})
	edit = storing(&memory{}, byURL)
	inWorld(t, "KS-15/skipped_key_is_reported_by_each_process", edit, func(w *world) {
		w.body(jwksURL, set(jwk("one", nil), json.RawMessage(`{"kty":"XX"}`)), "Cache-Control", "max-age=7200")
		w.keys()
		w.restart(edit)
		w.keys()
		w.busy(time.Hour, time.Minute)
		w.wantEvents(verifier.EventKeySkipped, 2)
	})
	edit = storing(&memory{}, byURL)
	inWorld(t, "KS-29/select_applies_to_stored_keys", edit, func(w *world) {
		w.body(jwksURL, keySet(ofOwner("one", "us"), ofOwner("two", "them")))
		w.keys()
		w.down.Store(true)
		w.restart(func(cfg *jwkscache.Config) { edit(cfg); ours(cfg) })
		w.wantKeys("one")
		w.restart(func(cfg *jwkscache.Config) {
			edit(cfg)
			cfg.Select = func(*verifier.KeySet) *verifier.KeySet { return &verifier.KeySet{} }
		})
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.wantCause("no usable key")
	})
}

func publicKeys(t *testing.T) (keys []crypto.PublicKey) {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	keys = append(keys, rsaKey.Public(), edKey)
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		must(t, err)
		keys = append(keys, key.Public())
	}
	return keys
}
