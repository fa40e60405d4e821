// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// put replaces what is stored.
func (m *memory) put(t testing.TB, edit func(text []byte) []byte) {
	t.Helper()
	name, text := m.only(t)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held[name] = edit([]byte(text))
}

// as edits a snapshot and gives it the digest that fits.
func as(edit func(*jwkscache.Record)) func([]byte) []byte {
	return func(text []byte) []byte { return jwkscache.EditRecord(text, edit) }
}

// at moves the times of a snapshot: age since the fetch, and fresh for a while.
func at(age, fresh time.Duration) func([]byte) []byte {
	return as(func(r *jwkscache.Record) {
		r.Fetched = time.Now().Add(-age).UTC()
		r.FreshUntil = r.Fetched.Add(fresh)
	})
}

// TestSnapshotIgnored: with the issuer down, what is stored decides.
func TestSnapshotIgnored(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		edit func([]byte) []byte
		want string // part of the cause; "" if it is to be used
	}{
		"as_stored":      {func(b []byte) []byte { return b }, ""},
		"truncated":      {func(b []byte) []byte { return b[:len(b)/2] }, "damaged"},
		"empty":          {func([]byte) []byte { return []byte{} }, "damaged"},
		"not_an_object":  {func([]byte) []byte { return []byte("null") }, "version"},
		"member_missing": {func([]byte) []byte { return []byte(`{"version":1}`) }, "digest"},
		"more_after_it":  {func(b []byte) []byte { return append(b, "{}"...) }, "damaged"},
		"blank_after_it": {func(b []byte) []byte { return append(b, ' ') }, "digest"},
		"other_case":     {func(b []byte) []byte { return bytes.Replace(b, []byte(`"fetched"`), []byte(`"Fetched"`), 1) }, "digest"},
		"longer_life": {func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"fresh_until":"2000`), []byte(`"fresh_until":"2001`), 1)
		}, "digest"},
		"too_large":            {func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 2<<20)...) }, "too large"},
		"other_version":        {as(func(r *jwkscache.Record) { r.Version = 2 }), "version"},
		"other_issuer":         {as(func(r *jwkscache.Record) { r.Issuer = "https://id.example/" }), "another issuer"},
		"other_source":         {as(func(r *jwkscache.Record) { r.Source = strings.Repeat("0", 64) }), "another issuer"},
		"http_key_set_address": {as(func(r *jwkscache.Record) { r.JWKSURI = "http://id.example/jwks" }), "jwks_uri"},
		"no_key_set_address":   {as(func(r *jwkscache.Record) { r.JWKSURI = "" }), "jwks_uri"},
		"from_the_future":      {at(-time.Minute-time.Nanosecond, time.Hour), "future"},
		"just_not_future":      {at(-time.Minute, time.Hour), ""},
		"too_old":              {at(day+time.Hour, time.Hour), "too old"},
		"just_not_too_old":     {at(day+time.Hour-time.Nanosecond, time.Hour), ""},
		"fresh_for_a_year":     {at(2*day, 365*day), "too old"}, // clamped to a day, and a day stale
		"just_within_two_days": {at(2*day-time.Nanosecond, 365*day), ""},
		"no_key_set":           {as(func(r *jwkscache.Record) { r.KeySet = "<html>" }), "key set"},
		"empty_set":            {as(func(r *jwkscache.Record) { r.KeySet = `{"keys":[]}` }), "no key"},
		"no_usable_key":        {as(func(r *jwkscache.Record) { r.KeySet = set(jwk("one", map[string]any{"use": "enc"})) }), "no usable key"},
		"duplicate_keys":       {as(func(r *jwkscache.Record) { r.KeySet = `{"keys":[],` + r.KeySet[1:] }), "key set"},
	} {
		stored(t, "F39/"+name, byIssuer, func(w *world, store *memory, edit func(*jwkscache.Config)) {
			store.put(w, c.edit)
			w.down.Store(true)
			w.cache = w.another(edit)
			_, err := w.verifier().Verify(w.Context(), token("one"))
			if c.want == "" {
				if err != nil {
					w.Fatal(err)
				}
				w.wantCause("are used until")
				return
			}
			wantClass(w, err, verifier.ErrKeysUnavailable)
			w.wantCause(c.want)
			w.wantEvents(verifier.EventSnapshot, 1)
			w.down.Store(false)
			w.pass(2 * time.Second)
			if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
				w.Errorf("after the issuer came back: %v", err)
			}
		})
	}
}

// TestSnapshotDamaged: no damaged byte goes unnoticed.
func TestSnapshotDamaged(t *testing.T) {
	stored(t, "F39/every_byte_damaged", byURL, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		_, text := store.only(w)
		w.down.Store(true)
		for i := range len(text) {
			store.put(w, func([]byte) []byte {
				b := []byte(text)
				b[i] ^= 0x20
				return b
			})
			cache := w.another(edit)
			if _, err := cache.Keys(w.Context(), nil); err == nil {
				w.Fatalf("used with byte %d damaged: %s", i, text[max(i-20, 0):min(i+20, len(text))])
			}
			cache.Close()
		}
	})
}

// TestSnapshotToday: the settings of today decide, not those when it was stored.
func TestSnapshotToday(t *testing.T) {
	used := func(w *world, edit func(*jwkscache.Config)) error {
		w.down.Store(true)
		w.cache = w.another(edit)
		_, err := w.cache.Keys(w.Context(), nil)
		return err
	}
	for name, maxStale := range map[string]time.Duration{"shorter": 30 * time.Minute, "none": -1} {
		stored(t, "F39/max_stale_is_now_"+name, byURL, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
			err := used(w, func(cfg *jwkscache.Config) { edit(cfg); cfg.MaxStale = maxStale })
			wantClass(w, err, verifier.ErrKeysUnavailable)
			w.wantCause("MaxStale")
		})
	}
	stored(t, "KS-29/max_stale_is_now_longer", byURL, func(w *world, _ *memory, edit func(*jwkscache.Config)) {
		w.pass(48 * time.Hour)
		if err := used(w, func(cfg *jwkscache.Config) { edit(cfg); cfg.MaxStale = 72 * time.Hour }); err != nil {
			w.Fatal(err)
		}
	})
	stored(t, "F39/other_URL", byURL, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		err := used(w, func(cfg *jwkscache.Config) { edit(cfg); cfg.URL += "?tenant=2" })
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.wantEvents(verifier.EventSnapshot, 0) // it has another name
	})
	stored(t, "F39/other_URL_under_our_name", byURL, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		_, text := store.only(w)
		other := func(cfg *jwkscache.Config) { cfg.URL += "?tenant=2"; cfg.Snapshots = always{text} }
		err := used(w, other)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.wantCause("another issuer or address")
	})
	stored(t, "KS-01/http_is_no_longer_accepted", func(cfg *jwkscache.Config) {
		byIssuer(cfg)
		cfg.InsecureHosts = []string{"plain.example"}
	}, func(w *world, store *memory, edit func(*jwkscache.Config)) {
		store.put(w, as(func(r *jwkscache.Record) { r.JWKSURI = "http://plain.example/jwks" }))
		err := used(w, storing(store, byIssuer))
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.wantCause("jwks_uri of the snapshot uses http")
	})
}

// always hands out one snapshot, whatever the name.
type always struct{ text string }

func (a always) Load(context.Context, string) ([]byte, error) { return []byte(a.text), nil }
func (a always) Save(context.Context, string, []byte) error   { return nil }
func hang(ctx context.Context) error                          { <-ctx.Done(); return ctx.Err() }
func explode(context.Context) error                           { panic("secret") }
func leave(context.Context) error                             { runtime.Goexit(); return nil }
func refuseAll(context.Context) error                         { return errors.New("store is down") }
func noSuch(context.Context) error                            { return fmt.Errorf("redis: %w", fs.ErrNotExist) }
func typedNil(context.Context) error                          { var e *verifier.Error; return e }
func unreadable(context.Context) error                        { return valueless{} }

// TestSnapshotStoreFails: a store can be as broken as it likes.
func TestSnapshotStoreFails(t *testing.T) {
	for name, c := range map[string]struct {
		call func(context.Context) error
		wait time.Duration
		want string // in the cause of the event
	}{
		"error":         {refuseAll, 0, "store is down"},
		"panic":         {explode, 0, "panic in the snapshot store"},
		"goexit":        {leave, 0, "ended its goroutine"},
		"hangs":         {hang, 5 * time.Second, "within 5s"},
		"textless":      {unreadable, 0, "panic in the snapshot store"},
		"does_not_have": {noSuch, 0, ""},
		"typed_nil":     {typedNil, 0, ""},
	} {
		inWorld(t, "KS-29/load_"+name, byURL, func(w *world) {
			store := &memory{onLoad: c.call}
			w.cache = w.another(storing(store, byURL))
			start := time.Now()
			w.keys()
			if waited := time.Since(start); waited != c.wait {
				w.Errorf("waited %v", waited)
			}
			if c.want == "" {
				w.wantEvents(verifier.EventSnapshot, 0)
			} else {
				w.wantEvents(verifier.EventSnapshot, 1)
				w.wantCause("stored keys are not used")
				w.wantCause(c.want)
			}
			w.busy(time.Hour, time.Minute)
			if loads, saves := store.count(); loads != 1 || saves < 4 {
				w.Errorf("%d loads, %d saves", loads, saves)
			}
		})
		inWorld(t, "KS-29/save_"+name, byURL, func(w *world) {
			store := &memory{onSave: c.call}
			w.cache = w.another(storing(store, byURL))
			start := time.Now()
			w.keys()
			if waited := time.Since(start); waited != 0 {
				w.Errorf("waited %v", waited)
			}
			w.pass(5 * time.Second)
			if name == "does_not_have" {
				w.wantEvents(verifier.EventSnapshot, 1)
			} else if c.want == "" {
				w.wantEvents(verifier.EventSnapshot, 0)
			} else {
				w.wantEvents(verifier.EventSnapshot, 1)
				w.wantCause("keys are not stored")
			}
			if longest := w.busy(time.Hour, time.Minute); longest > 0 {
				w.Errorf("a request waited %v", longest)
			}
			if _, saves := store.count(); saves < 4 || w.cache.Status().Failures > 0 {
				w.Errorf("%d saves, %+v", saves, w.cache.Status())
			}
		})
	}
}
