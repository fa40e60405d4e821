// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

const otherURL = "https://other.example/jwks"

// sourcePart is a source that a test scripts.
type sourcePart struct {
	keys  func(context.Context, *verifier.Miss) (*verifier.KeySet, error)
	calls atomic.Int32
}

func (p *sourcePart) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	p.calls.Add(1)
	return p.keys(ctx, miss)
}

func servingPart(kid string) *sourcePart {
	keys := parsed(kid)
	return &sourcePart{keys: func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { return keys, nil }}
}

func failingPart(err error) *sourcePart {
	return &sourcePart{keys: func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { return nil, err }}
}

// hanging is a source that never has anything to say, but knows its manners.
func hangingPart() *sourcePart {
	return &sourcePart{keys: func(ctx context.Context, _ *verifier.Miss) (*verifier.KeySet, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

func parsed(names ...string) *verifier.KeySet {
	got, _, err := verifier.ParseKeySet([]byte(kids(names...)))
	if err != nil {
		panic(err)
	}
	return got
}

func staticPart(t testing.TB, names ...string) *jwkscache.Static {
	t.Helper()
	s, err := jwkscache.NewStatic([]byte(kids(names...)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func joinParts(t testing.TB, parts ...verifier.KeySource) *jwkscache.Joined {
	t.Helper()
	j, err := jwkscache.Join(parts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// ids are the kids of a set, in order.
func ids(set *verifier.KeySet) string {
	var list []string
	for _, k := range set.Describe() {
		list = append(list, k.ID)
	}
	return strings.Join(list, " ")
}

func wantKeys(t testing.TB, j *jwkscache.Joined, want string) *verifier.KeySet {
	t.Helper()
	got, err := j.Keys(t.Context(), nil)
	if err != nil || ids(got) != want {
		t.Fatalf("keys %q, error %v, want %q", ids(got), err, want)
	}
	return got
}

// verifying is a verifier with the joined keys of a world's cache and more.
type verifying struct {
	*world
	*verifier.Verifier
	joined *jwkscache.Joined
}

func (w *world) joinedWith(more ...verifier.KeySource) *verifying {
	w.Helper()
	j := joinParts(w, append([]verifier.KeySource{w.cache}, more...)...)
	v, err := verifier.New(verifier.Config{Issuer: issuer, Audience: []string{audience}, Keys: j})
	if err != nil {
		w.Fatal(err)
	}
	return &verifying{w, v, j}
}

func (w *world) warm(c *jwkscache.Cache) *jwkscache.Cache {
	w.Helper()
	if err := c.Warm(w.Context()); err != nil {
		w.Fatal(err)
	}
	return c
}

// want verifies a token of kid and fails unless the answer is of class within d.
func (v *verifying) want(kid string, class error, d time.Duration) {
	v.Helper()
	start := time.Now()
	_, err := v.Verify(v.Context(), token(kid))
	if verifier.ClassOf(err) != class {
		v.Fatalf("after %v: token of %s: %v, want %v", v.elapsed(), kid, err, class)
	}
	if took := time.Since(start); took != d {
		v.Fatalf("after %v: token of %s took %v, want %v", v.elapsed(), kid, took, d)
	}
}

func atOther(cfg *jwkscache.Config) { cfg.URL = otherURL }

func TestJoined(t *testing.T) {
	inWorld(t, "KS-29/static_backup_beside_a_live_set", byURL, func(w *world) {
		w.down.Store(true)
		v := w.joinedWith(staticPart(w, "two"))
		v.want("two", nil, 0)
		v.want("one", verifier.ErrKeysUnavailable, 0)
		w.down.Store(false)
		w.pass(time.Minute)
		v.want("one", nil, 0)
		v.want("two", nil, 0)
		v.want("three", verifier.ErrUnknownKey, 0)
	})
	inWorld(t, "KS-12/moving_from_one_host_to_another", byURL, func(w *world) {
		w.body(otherURL, kids("two"))
		v := w.joinedWith(w.another(atOther))
		v.want("one", nil, 0)
		v.want("two", nil, 0)
		w.on(jwksURL, answer(410, ""))
		for range 24 * 6 {
			v.want("one", nil, 0)
			v.want("two", nil, 0)
			w.pass(10 * time.Minute)
		}
		w.pass(30 * time.Minute)
		v.want("two", nil, 0)
		v.want("one", verifier.ErrKeysUnavailable, 0)
	})
	inWorld(t, "KS-14/each_part_is_replaced_as_a_whole", byURL, func(w *world) {
		w.body(otherURL, kids("two"))
		v := w.joinedWith(w.another(atOther))
		v.want("one", nil, 0)
		w.body(jwksURL, kids("three"))
		w.pass(31 * time.Second)
		v.want("three", nil, 0)
		v.want("one", verifier.ErrUnknownKey, 0)
		v.want("two", nil, 0)
	})
	inWorld(t, "KS-25/steady_state_keeps_the_version", byURL, func(w *world) {
		w.body(otherURL, kids("two"))
		j := joinParts(w, w.warm(w.cache), w.warm(w.another(atOther)))
		first := wantKeys(w, j, "one two")
		for range 180 {
			start := time.Now()
			if got := wantKeys(w, j, "one two"); got != first || time.Since(start) != 0 {
				w.Fatalf("after %v: another version, or a wait", w.elapsed())
			}
			w.pass(time.Minute)
		}
		if n := w.hits(jwksURL); n < 10 {
			w.Errorf("only %d fetches: nothing was confirmed", n)
		}
	})
	inWorld(t, "KS-10/100_requests_on_cold_parts", byURL, func(w *world) {
		w.on(jwksURL, slow(time.Second, answer(200, kids("one"))))
		w.on(otherURL, slow(2*time.Second, answer(200, kids("two"))))
		v := w.joinedWith(w.another(atOther))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if _, err := v.Verify(w.Context(), token([]string{"one", "two"}[i%2])); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		w.wantHits(jwksURL, 1)
		w.wantHits(otherURL, 1)
	})
}

func TestJoinedSlowPart(t *testing.T) {
	inWorld(t, "SE-06/slow_part_delays_only_its_own_keys", byURL, func(w *world) {
		w.on(otherURL, slow(3*time.Second, answer(200, kids("two"))))
		v := w.joinedWith(w.another(atOther))
		v.want("one", nil, 0)
		v.want("two", nil, 3*time.Second)
		v.want("two", nil, 0)
		v.want("one", nil, 0)
	})
	inWorld(t, "SE-06/part_that_never_answers", byURL, func(w *world) {
		w.on(otherURL, slow(time.Hour, answer(200, kids("two"))))
		v := w.joinedWith(w.another(atOther))
		v.want("one", nil, 0)
		v.want("two", verifier.ErrKeysUnavailable, 5*time.Second)
		for range 600 { // through attempts and the pauses between them
			v.want("one", nil, 0)
			w.pass(time.Second)
		}
	})
	inWorld(t, "SE-06/key_of_the_fast_part_after_a_rotation", byURL, func(w *world) {
		v := w.joinedWith(hangingPart())
		v.want("one", nil, 0)
		w.on(jwksURL, slow(time.Second, answer(200, kids("three"))))
		w.pass(time.Minute)
		v.want("three", nil, time.Second)
	})
	inWorld(t, "KS-25/after_a_long_pause", byURL, func(w *world) {
		v := w.joinedWith(staticPart(w, "two"))
		v.want("one", nil, 0)
		w.pass(20 * time.Hour)
		w.on(jwksURL, slow(time.Second, answer(200, kids("one"))))
		v.want("two", nil, 0)
		v.want("one", nil, time.Second)
	})
	synctested(t, "SE-06/all_hang_until_the_caller_leaves", func(t *testing.T) {
		j := joinParts(t, hangingPart(), hangingPart())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := j.Keys(ctx, nil)
		wantClass(t, err, verifier.ErrKeysUnavailable)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(midnight) != time.Minute {
			t.Errorf("after %v: %v", time.Since(midnight), err)
		}
	})
	synctested(t, "SE-06/part_that_ignores_its_context_in_the_background", func(t *testing.T) {
		release := make(chan struct{})
		deaf := &sourcePart{keys: func(ctx context.Context, _ *verifier.Miss) (*verifier.KeySet, error) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			<-release
			return parsed("two"), nil
		}}
		j := joinParts(t, deaf)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := j.Keys(ctx, nil)
		wantClass(t, err, verifier.ErrKeysUnavailable)
		close(release)
	})
	synctested(t, "joined_callers_that_waited_get_one_version", func(t *testing.T) {
		release := make(chan struct{})
		keys := parsed("one")
		j := joinParts(t, &sourcePart{keys: func(ctx context.Context, _ *verifier.Miss) (*verifier.KeySet, error) {
			select {
			case <-release:
				return keys, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}})
		var versions sync.Map
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				got, _ := j.Keys(t.Context(), nil)
				versions.Store(got, true)
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		n := 0
		versions.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Errorf("%d versions", n)
		}
	})
	synctested(t, "joined_parts_are_asked_at_the_same_time", func(t *testing.T) {
		after := func(d time.Duration, kid string) *sourcePart {
			keys := parsed(kid)
			return &sourcePart{keys: func(ctx context.Context, _ *verifier.Miss) (*verifier.KeySet, error) {
				select {
				case <-time.After(d):
					return keys, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}}
		}
		j := joinParts(t, after(3*time.Second, "one"), after(time.Second, "two"), after(2*time.Second, "three"))
		wantKeys(t, j, "two")
		if took := time.Since(midnight); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// synctested runs a test without a site in virtual time.
func synctested(t *testing.T, name string, test func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestJoinedMiss(t *testing.T) {
	inWorld(t, "KS-11/unknown_kid_within_the_cooldowns", byURL, func(w *world) {
		w.body(otherURL, kids("two"))
		j := joinParts(w, w.warm(w.cache), w.warm(w.another(atOther)))
		m := wantKeys(w, j, "one two")
		for i := range 1000 {
			got, err := j.Keys(w.Context(), &verifier.Miss{Set: m, KeyID: fmt.Sprint("x", i)})
			if err != nil || got != m {
				w.Fatal(got, err)
			}
		}
		w.wantHits("", 2)
	})
	inWorld(t, "KS-11/one_part_cannot_tell", byURL, func(w *world) {
		w.body(otherURL, kids("two"))
		j := joinParts(w, w.warm(w.cache), w.warm(w.another(atOther)))
		m := wantKeys(w, j, "one two")
		w.status(otherURL, 500)
		w.pass(time.Minute)
		_, err := j.Keys(w.Context(), &verifier.Miss{Set: m, KeyID: "three"})
		if e := wantClass(w, err, verifier.ErrKeysUnavailable); e.RetryAfter <= 0 {
			w.Errorf("no time to come back in %v", err)
		}
		if wantKeys(w, j, "one two") != m {
			w.Error("a failed fetch made a new version")
		}
	})
	inWorld(t, "KS-11/rotation_while_another_part_is_down", byURL, func(w *world) {
		w.body(otherURL, kids("two"))
		v := w.joinedWith(w.warm(w.another(atOther)))
		w.warm(w.cache)
		m := wantKeys(w, v.joined, "one two")
		w.status(otherURL, 500)
		w.body(jwksURL, kids("three"))
		w.pass(time.Minute)
		_, err := v.joined.Keys(w.Context(), &verifier.Miss{Set: m, KeyID: "elsewhere"})
		wantClass(w, err, verifier.ErrKeysUnavailable) // it may be in the set that was not fetched
		v.want("three", nil, 0)
		v.want("two", nil, 0)
	})
	inWorld(t, "KS-11/late_caller_gets_the_current_set", byURL, func(w *world) {
		j := joinParts(w, w.warm(w.cache), staticPart(w, "two"))
		old := wantKeys(w, j, "one two")
		w.body(jwksURL, kids("three"))
		w.pass(time.Minute)
		newer, err := j.Keys(w.Context(), &verifier.Miss{Set: old, KeyID: "three"})
		if err != nil || ids(newer) != "three two" {
			w.Fatal(ids(newer), err)
		}
		w.wantHits(jwksURL, 2)
		w.pass(time.Minute)
		if got, err := j.Keys(w.Context(), &verifier.Miss{Set: old, KeyID: "three"}); got != newer || err != nil {
			w.Error(got, err)
		}
		w.wantHits(jwksURL, 2)
	})
	t.Run("joined_parts_see_their_own_sets_only", func(t *testing.T) {
		own := map[string]*verifier.KeySet{"one": parsed("one"), "two": parsed("two")}
		var asked []string
		source := func(kid string) *sourcePart {
			return &sourcePart{keys: func(_ context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
				if miss != nil {
					asked = append(asked, kid)
					if miss.Set != own[kid] || miss.KeyID != "x" {
						t.Errorf("part %s is asked about %+v", kid, miss)
					}
				}
				return own[kid], nil
			}}
		}
		j := joinParts(t, source("one"), source("two"))
		m := wantKeys(t, j, "one two")
		if got, err := j.Keys(t.Context(), &verifier.Miss{Set: m, KeyID: "x"}); got != m || err != nil {
			t.Error(got, err)
		}
		if fmt.Sprint(asked) != "[one two]" {
			t.Errorf("asked %v", asked)
		}
	})
	for name, c := range map[string]struct {
		other verifier.KeySource
		want  error
	}{
		"KS-21/token_without_kid_is_tried_with_what_changed":              {staticPart(t, "three"), nil},
		"KS-21/token_without_kid_cannot_be_told_while_another_part_fails": {failingPart(verifier.ErrKeysUnavailable), verifier.ErrKeysUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			keys := parsed("one")
			j := joinParts(t, &sourcePart{keys: func(_ context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
				if miss != nil {
					keys = parsed("two")
				}
				return keys, nil
			}}, c.other)
			m, err := j.Keys(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := j.Keys(t.Context(), &verifier.Miss{Set: m})
			if !errors.Is(err, c.want) || c.want == nil && !strings.HasPrefix(ids(got), "two") {
				t.Error(ids(got), err)
			}
			if got, err := j.Keys(t.Context(), nil); err != nil || !strings.HasPrefix(ids(got), "two") {
				t.Error("the next token:", ids(got), err)
			}
		})
	}
	inWorld(t, "KS-12/request_that_cannot_wait_gets_old_keys", byURL, func(w *world) {
		j := joinParts(w, w.cache, failingPart(verifier.ErrKeysUnavailable))
		wantKeys(w, j, "one")
		w.pass(14 * time.Minute)
		w.on(jwksURL, slow(time.Hour, nil))
		w.pass(2 * time.Hour)
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if got, err := j.Keys(ctx, nil); err != nil || ids(got) != "one" {
			w.Error(ids(got), err)
		}
	})
	t.Run("KS-11/a_change_elsewhere_is_no_answer_to_a_miss", func(t *testing.T) {
		keys := parsed("one")
		j := joinParts(t, &sourcePart{keys: func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { return keys, nil }},
			failingPart(verifier.ErrKeysUnavailable))
		m := wantKeys(t, j, "one")
		keys = parsed("two")
		_, err := j.Keys(t.Context(), &verifier.Miss{Set: m, KeyID: "three"})
		wantClass(t, err, verifier.ErrKeysUnavailable)
		if got, err := j.Keys(t.Context(), &verifier.Miss{Set: m, KeyID: "two"}); err != nil || ids(got) != "two" {
			t.Error(ids(got), err)
		}
	})
}
