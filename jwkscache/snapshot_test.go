// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"bytes"
	"context"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// memory is a snapshot store whose calls a test can watch, hold up and spoil.
type memory struct {
	mu    sync.Mutex
	held  map[string][]byte
	saves int
	loads int

	onLoad func(context.Context) error // before each Load, if not nil
	onSave func(context.Context) error
}

// loading and saving change what happens from now on.
func (m *memory) loading(f func(context.Context) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onLoad = f
}

func (m *memory) saving(f func(context.Context) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onSave = f
}

func (m *memory) Load(ctx context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	m.loads++
	held, ok := m.held[name]
	first := m.onLoad
	m.mu.Unlock()
	if first != nil {
		if err := first(ctx); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(held), nil
}

func (m *memory) Save(ctx context.Context, name string, snapshot []byte) error {
	m.mu.Lock()
	m.saves++
	first := m.onSave
	m.mu.Unlock()
	if first != nil {
		if err := first(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string][]byte{}
	}
	m.held[name] = bytes.Clone(snapshot)
	return nil
}

// only is the one snapshot that is stored.
func (m *memory) only(t testing.TB) (name, text string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.held) != 1 {
		t.Fatalf("%d snapshots are stored", len(m.held))
	}
	for name, held := range m.held {
		return name, string(held)
	}
	return "", ""
}

func (m *memory) count() (loads, saves int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loads, m.saves
}

// storing adds a store to a configuration.
func storing(store jwkscache.SnapshotStore, base func(*jwkscache.Config)) func(*jwkscache.Config) {
	return func(cfg *jwkscache.Config) { base(cfg); cfg.Snapshots = store }
}

// restart closes the cache of w and makes another on the same store.
func (w *world) restart(edit func(*jwkscache.Config)) {
	w.Helper()
	w.pass(0) // what is to be stored, is
	w.cache.Close()
	w.cache = w.another(edit)
}

// wantCause fails unless the last event about snapshots has these words.
func (w *world) wantCause(words string) {
	w.Helper()
	list := w.of(verifier.EventSnapshot)
	if len(list) == 0 {
		w.Fatalf("no event about snapshots, want %q", words)
	}
	if got := list[len(list)-1].Cause.Error(); !strings.Contains(got, words) {
		w.Fatalf("the cause is %q, want %q", got, words)
	}
}

func TestRestart(t *testing.T) {
	for kind, base := range map[string]func(*jwkscache.Config){"URL": byURL, "Issuer": byIssuer} {
		store := &memory{}
		edit := storing(store, base)
		inWorld(t, "KS-29/restart_with_the_issuer_down_"+kind, edit, func(w *world) {
			w.keys()
			w.pass(time.Hour)
			w.down.Store(true)
			w.restart(edit)
			if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
				w.Fatal(err)
			}
			w.wantCause("are used")
			if loads, _ := store.count(); loads != 2 {
				w.Errorf("%d loads", loads)
			}
			w.pass(time.Until(w.cache.Status().UsableUntil) - time.Nanosecond)
			w.keys()
			if w.elapsed() < 24*time.Hour+15*time.Minute {
				w.Errorf("used for %v only", w.elapsed())
			}
			w.pass(time.Nanosecond)
			_, err := w.verifier().Verify(w.Context(), token("one"))
			e := wantClass(w, err, verifier.ErrKeysUnavailable)
			if e.RetryAfter <= 0 {
				w.Error("no time to retry")
			}
		})
	}
}

// stored runs a test with a store that a first cache left its keys in, an hour ago.
func stored(t *testing.T, name string, base func(*jwkscache.Config), test func(w *world, store *memory, edit func(*jwkscache.Config))) {
	t.Helper()
	store := &memory{}
	edit := storing(store, base)
	inWorld(t, name, edit, func(w *world) {
		w.keys()
		w.pass(time.Hour)
		w.cache.Close()
		w.pass(0)
		test(w, store, edit)
	})
}

// TestRestartLargest: what may be fetched may be stored, whatever it is made of.
func TestRestartLargest(t *testing.T) {
	for name, unit := range map[string]string{
		"quotes": `\"`, "markup": "<&", "controls": `\u0001`, "letters": "é", "line_separators": "\u2028", "backslashes": `\\`,
	} {
		store := &memory{}
		edit := storing(store, byURL)
		inWorld(t, "KS-29/restart_with_512_KiB_of_"+name, edit, func(w *world) {
			head, tail, _ := strings.Cut(kids("one"), "one")
			room := 512<<10 - len(head) - len(tail)
			body := head + strings.Repeat(unit, room/len(unit)) + tail
			w.body(jwksURL, body+strings.Repeat(" ", 512<<10-len(body)))
			w.keys()
			id := w.cache.Status().Keys[0].ID
			w.down.Store(true)
			w.restart(edit)
			w.keys()
			w.wantCause("are used")
			if got := w.cache.Status().Keys[0].ID; got != id || len(id) < 80<<10 {
				w.Errorf("a kid of %d bytes became one of %d", len(id), len(got))
			}
		})
	}
}

func TestRestored(t *testing.T) {
	long := func(w *world) {
		w.body(jwksURL, kids("one"), "Cache-Control", "max-age=7200")
		w.keys()
		w.pass(time.Hour)
	}
	store := &memory{}
	edit := storing(store, byURL)
	inWorld(t, "KS-29/fresh_is_served_at_once_and_refreshed", edit, func(w *world) {
		long(w)
		w.on(jwksURL, slow(time.Second, answer(200, kids("two"))))
		w.restart(edit)
		start := time.Now()
		if got := w.keys(); got.Len() != 1 || time.Since(start) > 0 {
			w.Fatalf("waited %v for %v", time.Since(start), got)
		}
		w.wantCause("are used until the issuer answers")
		w.pass(time.Second)
		w.wantHits("", 2)
		if got := w.cache.Status(); got.Keys[0].ID != "two" || got.Failures != 0 {
			w.Fatalf("%+v", got)
		}
		w.wantEvents(verifier.EventSnapshot, 1)
	})
	store = &memory{}
	warm := storing(store, byIssuer)
	inWorld(t, "KS-29/warm_with_fresh_keys_and_the_issuer_down", warm, func(w *world) {
		long(w)
		w.down.Store(true)
		w.restart(warm)
		if err := w.cache.Warm(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.pass(0) // the attempt in the background fails
		w.keys()
		if got := w.cache.Status(); got.Failures != 1 {
			w.Errorf("%+v", got)
		}
	})
	store = &memory{}
	miss := storing(store, byURL)
	inWorld(t, "KS-11/restored_set_has_no_cooldown", miss, func(w *world) {
		w.keys()
		w.body(jwksURL, kids("two"))
		w.restart(miss) // within 30 s of the fetch, which was another process's
		if _, err := w.verifier().Verify(w.Context(), token("two")); err != nil {
			w.Fatal(err)
		}
		w.wantHits("", 2)
	})
	store = &memory{}
	left := storing(store, byURL)
	inWorld(t, "KS-29/refreshed_also_if_the_caller_has_left", left, func(w *world) {
		long(w)
		store.loading(func(context.Context) error { time.Sleep(time.Second); return nil })
		w.restart(left)
		ctx, cancel := context.WithTimeout(w.Context(), time.Millisecond)
		defer cancel()
		_, err := w.cache.Keys(ctx, nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.pass(time.Second)
		w.wantHits("", 2)
	})
	store = &memory{}
	quick := storing(store, byURL)
	inWorld(t, "KS-29/warm_although_the_next_attempt_has_failed", quick, func(w *world) {
		long(w)
		w.down.Store(true)
		w.restart(func(cfg *jwkscache.Config) {
			quick(cfg)
			cfg.OnEvent = func(e verifier.Event) {
				if e.Kind == verifier.EventSnapshot {
					time.Sleep(time.Second)
				}
			}
		})
		if err := w.cache.Warm(w.Context()); err != nil || w.cache.Status().Failures != 1 {
			w.Fatal(err, w.cache.Status().Failures)
		}
	})
	stored(t, "KS-29/stale_waits_for_one_attempt", byURL, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
		w.on(jwksURL, slow(time.Second, answer(200, kids("two"))))
		w.cache = w.another(edit)
		start := time.Now()
		w.keys()
		if got := w.cache.Status().Keys[0].ID; got != "two" || time.Since(start) != time.Second {
			w.Fatal(got, time.Since(start))
		}
		w.wantEvents(verifier.EventSnapshot, 0)
	})
	stored(t, "KS-12/stale_serves_when_the_attempt_fails", byURL, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
		w.on(jwksURL, slow(time.Second, answer(500, "")))
		w.cache = w.another(edit)
		start := time.Now()
		w.together(100, func() { w.keys() })
		if time.Since(start) != time.Second || w.cache.Status().Failures != 1 {
			w.Fatal(time.Since(start), w.cache.Status())
		}
		w.wantEvents(verifier.EventStaleKeys, 1)
		w.wantCause("are used until the issuer answers")
		if err := w.cache.Warm(w.Context()); verifier.ClassOf(err) != verifier.ErrKeysUnavailable {
			w.Errorf("warm with stale keys: %v", err)
		}
	})
	stored(t, "KS-14/no_usable_key_does_not_replace_a_stored_set", byURL, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
		w.body(jwksURL, set(jwk("two", map[string]any{"use": "enc"})))
		w.cache = w.another(edit)
		w.keys()
		if got := w.cache.Status(); got.Keys[0].ID != "one" || got.Failures != 1 {
			w.Fatalf("%+v", got)
		}
	})
	stored(t, "MD-11/restart_with_the_metadata_down", byIssuer, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
		w.status(metaURL, 500)
		w.body(jwksURL, kids("two"))
		w.cache = w.another(edit)
		if _, err := w.verifier().Verify(w.Context(), token("two")); err != nil {
			w.Fatal(err)
		}
		w.wantHits(jwksURL, 3)
	})
	stored(t, "KS-10/100_parallel_on_a_cold_cache_with_a_store", byIssuer, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		store.loading(func(context.Context) error { time.Sleep(time.Second); return nil })
		w.cache = w.another(edit)
		_, before := store.count()
		w.together(100, func() { w.keys() })
		if loads, _ := store.count(); loads != 2 {
			w.Errorf("%d loads for two caches", loads)
		}
		w.pass(0)
		if _, after := store.count(); after != before+1 {
			w.Errorf("%d saves after one fetch", after-before)
		}
	})
}
