// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// ask asks for kid as a token that names it would.
func (w *world) ask(kid string) {
	w.Helper()
	if _, err := w.cache.Keys(w.Context(), &verifier.Miss{Set: w.keys(), KeyID: kid}); err != nil {
		w.Fatal(err)
	}
}

func TestMissingKids(t *testing.T) {
	inWorld(t, "KS-11/a_kid_not_found_leaves_the_fetch_to_others", byURL, func(w *world) {
		w.keys()
		w.pass(30 * time.Second)
		w.ask("gone")
		w.wantHits("", 2)
		w.pass(45 * time.Second) // the cooldown is over
		w.ask("gone")
		w.wantHits("", 2)
		w.body(jwksURL, kids("one", "two"))
		if _, err := w.verifier().Verify(w.Context(), token("two")); err != nil {
			w.Errorf("a new key was not fetched at once: %v", err)
		}
		w.wantHits("", 3)
	})
	inWorld(t, "KS-11/a_kid_not_found_waits_for_two_cooldowns", byURL, func(w *world) {
		w.keys()
		w.pass(30 * time.Second)
		w.ask("late")
		w.pass(time.Minute - time.Nanosecond)
		w.ask("late")
		w.wantHits("", 2)
		w.pass(time.Nanosecond)
		w.ask("late")
		w.wantHits("", 3)
	})
	for name, c := range map[string]struct {
		after time.Duration // of the other kid's fetch, before the late one is asked for again
		want  int
	}{
		"KS-11/a_kid_not_found_is_remembered_for_four_cooldowns": {2*time.Minute - 30*time.Second - time.Nanosecond, 3},
		"KS-11/a_kid_not_found_is_forgotten":                     {2*time.Minute - 30*time.Second, 4},
	} {
		inWorld(t, name, byURL, func(w *world) {
			w.keys()
			w.pass(30 * time.Second)
			w.ask("late")
			w.pass(c.after)
			w.ask("other")
			w.wantHits("", 3)
			w.pass(30 * time.Second)
			w.ask("late")
			w.wantHits("", c.want)
		})
	}
	inWorld(t, "KS-11/asked_for_again_is_remembered_anew", byURL, func(w *world) {
		w.keys()
		w.pass(30 * time.Second)
		w.ask("late")
		w.pass(time.Minute)
		w.ask("late")
		w.pass(85 * time.Second) // past the first memory
		w.ask("other")
		w.wantHits("", 4)
		w.pass(30 * time.Second)
		w.ask("late")
		w.wantHits("", 4)
	})
	inWorld(t, "KS-20/a_kid_that_was_brought_is_not_missing", byURL, func(w *world) {
		w.keys()
		w.pass(30 * time.Second)
		w.body(jwksURL, kids("one", "two"))
		w.ask("two")
		w.body(jwksURL, set(jwk("one", nil), jwk("three", map[string]any{"kid": "two"})))
		w.pass(30 * time.Second)
		w.ask("two") // for a token that the key of that name does not verify
		w.wantHits("", 3)
	})
	inWorld(t, "KS-11/F19_the_memory_of_kids_is_bounded", byURL, func(w *world) {
		w.keys()
		for i := range 100 {
			w.pass(30 * time.Second)
			w.ask(fmt.Sprint("random-", i))
		}
		w.wantHits("", 101)
		w.pass(30 * time.Second)
		w.ask("random-0") // pushed out, and so like new
		w.wantHits("", 102)
	})
	inWorld(t, "KS-11/failed_fetch_is_no_answer_about_a_kid", byURL, func(w *world) {
		w.keys()
		w.pass(30 * time.Second)
		w.status(jwksURL, 500)
		_, err := w.miss(w.keys())
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.body(jwksURL, kids("one", "two"))
		w.pass(2 * time.Second)
		if _, err := w.verifier().Verify(w.Context(), token("two")); err != nil {
			w.Error(err)
		}
	})
}
