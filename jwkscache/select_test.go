// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// of is a key of kid that names its owner.
func ofOwner(kid, owner string) string { return string(jwk(kid, map[string]any{"issuer": owner})) }

func keySet(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func ours(cfg *jwkscache.Config) {
	cfg.Select = func(s *verifier.KeySet) *verifier.KeySet {
		return s.OfIssuer(func(owner string) bool { return owner == "us" })
	}
}

func TestSelect(t *testing.T) {
	inWorld(t, "KS-14/keys_left_out_are_none", ours, func(w *world) {
		w.body(jwksURL, keySet(ofOwner("one", "us"), ofOwner("two", "them")))
		first := w.keys()
		if keys := w.cache.Status().Keys; first.Len() != 1 || len(keys) != 1 || keys[0].ID != "one" {
			w.Fatalf("status %+v", keys)
		}
		skipped := w.wantEvents(verifier.EventKeySkipped, 1)
		if text := skipped[0].Cause.Error(); !strings.Contains(text, "left out 1 of 2 keys") {
			w.Errorf("event %q", text)
		}
		w.body(jwksURL, keySet(ofOwner("two", "them")))
		w.busy(time.Hour, time.Minute)
		if w.keys() != first || w.cache.Status().Err == nil {
			w.Error("a set of which nothing is left replaced the last good one")
		}
		w.body(jwksURL, keySet(ofOwner("three", "us"), ofOwner("two", "them")))
		w.busy(2*time.Minute, time.Minute)
		if got := w.keys().Describe(); len(got) != 1 || got[0].ID != "three" {
			w.Errorf("keys %+v", got)
		}
	})
	inWorld(t, "KS-14/cold_and_nothing_left", ours, func(w *world) {
		w.body(jwksURL, keySet(ofOwner("two", "them")))
		_, err := w.verifier().Verify(w.Context(), token("two"))
		wantClass(w, err, verifier.ErrUnknownKey)
		if err := w.cache.Ready(w.Context()); err == nil {
			w.Error("ready without a key")
		}
	})
	for name, choose := range map[string]func(*verifier.KeySet) *verifier.KeySet{
		"SE-01/select_returns_nil": func(*verifier.KeySet) *verifier.KeySet { return nil },
		"SE-01/select_panics":      func(*verifier.KeySet) *verifier.KeySet { panic("broken") },
	} {
		inWorld(t, name, func(cfg *jwkscache.Config) { cfg.Select = choose }, func(w *world) {
			_, err := w.cache.Keys(w.Context(), nil)
			wantClass(w, err, verifier.ErrKeysUnavailable)
		})
	}
	t.Run("KS-29/select_from_a_file", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "keys.json")
		for text, want := range map[string]int{
			keySet(ofOwner("one", "us"), ofOwner("two", "them")): 1,
			keySet(ofOwner("two", "them")):                       0,
		} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := jwkscache.Config{File: name}
			ours(&cfg)
			cache, err := jwkscache.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if set, err := cache.Keys(t.Context(), nil); set.Len() != want || (err == nil) != (want > 0) {
				t.Errorf("%d keys, error %v, want %d", set.Len(), err, want)
			}
			cache.Close()
		}
	})
}
