// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/leaktest"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// together runs f n times at once.
func (w *world) together(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

func TestSingleFlight(t *testing.T) {
	inWorld(t, "KS-10/100_parallel_on_a_cold_cache", byURL, func(w *world) {
		w.on(jwksURL, slow(time.Second, answer(200, kids("one"))))
		w.together(100, func() { w.keys() })
		w.wantHits("", 1)
	})
	inWorld(t, "KS-10/F18_1000_parallel_on_a_cold_cache", byIssuer, func(w *world) {
		v := w.verifier()
		good := token("one")
		w.on(jwksURL, slow(time.Second, answer(200, kids("one"))))
		w.together(1000, func() {
			if _, err := v.Verify(w.Context(), good); err != nil {
				w.Error(err)
			}
		})
		w.wantHits(metaURL, 1)
		w.wantHits(jwksURL, 1)
	})
	inWorld(t, "KS-10/F17_first_caller_leaves", byURL, func(w *world) {
		w.on(jwksURL, slow(2*time.Second, answer(200, kids("one"))))
		ctx, leave := context.WithCancel(w.Context())
		var left error
		go func() { _, left = w.cache.Keys(ctx, nil) }()
		synctest.Wait()
		done := make(chan bool)
		go func() { w.together(10, func() { w.keys() }); close(done) }()
		w.pass(time.Second)
		leave()
		synctest.Wait()
		wantClass(w, left, verifier.ErrKeysUnavailable)
		<-done
		w.wantHits("", 1)
		if w.elapsed() != 2*time.Second {
			w.Errorf("the others waited %v", w.elapsed())
		}
	})
	inWorld(t, "SE-06/all_callers_leave_and_the_fetch_goes_on", byURL, func(w *world) {
		w.on(jwksURL, slow(2*time.Second, answer(200, kids("one"))))
		w.together(10, func() {
			ctx, cancel := context.WithTimeout(w.Context(), time.Second)
			defer cancel()
			_, err := w.cache.Keys(ctx, nil)
			wantClass(w, err, verifier.ErrKeysUnavailable)
		})
		w.pass(time.Second)
		w.wantEvents(verifier.EventFetched, 1)
		w.keys()
		w.wantHits("", 1)
	})
	inWorld(t, "SE-06/M9_cancelled_requests_leave_no_goroutine", byURL, func(w *world) {
		w.on(jwksURL, slow(time.Hour, nil))
		go w.cache.Keys(w.Context(), nil)
		synctest.Wait() // the one fetch is under way
		before := leaktest.Count()
		for range 3 {
			w.together(1000, func() {
				ctx, cancel := context.WithTimeout(w.Context(), time.Millisecond)
				defer cancel()
				_, err := w.cache.Keys(ctx, nil)
				wantClass(w, err, verifier.ErrKeysUnavailable)
			})
		}
		synctest.Wait()
		after := leaktest.Count()
		if after > before {
			w.Errorf("%d goroutines, %d before", after, before)
		}
		w.wantHits("", 1)
	})
	inWorld(t, "SE-06/F13_hung_server", byIssuer, func(w *world) {
		w.on(jwksURL, slow(time.Hour, nil))
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		if errors.Is(err, context.DeadlineExceeded) {
			w.Error("the error reads as if the caller's context had ended")
		}
		if w.elapsed() != 5*time.Second {
			w.Errorf("waited %v", w.elapsed())
		}
	})
	inWorld(t, "SE-07/one_fetch_for_a_token_that_will_fail", byURL, func(w *world) {
		_, err := w.verifier().Verify(w.Context(), token("two"))
		wantClass(w, err, verifier.ErrUnknownKey)
		w.wantHits("", 1)
	})
	inWorld(t, "EO-04/malformed_token_while_the_host_is_down", byURL, func(w *world) {
		w.status(jwksURL, 500)
		_, err := w.verifier().Verify(w.Context(), "a.b")
		wantClass(w, err, verifier.ErrMalformedToken)
		w.wantHits("", 0)
	})
}

func TestBackground(t *testing.T) {
	inWorld(t, "KS-25/no_wait_in_steady_state", byIssuer, func(w *world) {
		w.body(jwksURL, kids("one"), "Cache-Control", "max-age=120")
		w.keys()
		w.on(metaURL, slow(3*time.Second, answer(200, document(issuer, jwksURL))))
		w.on(jwksURL, slow(3*time.Second, answer(200, kids("one"), "Cache-Control", "max-age=120")))
		if longest := w.busy(3*time.Hour, 10*time.Second); longest > 0 {
			w.Fatalf("a request waited %v", longest)
		}
		if got := w.hits(jwksURL); got < 90 {
			w.Fatalf("only %d refreshes", got)
		}
	})
	inWorld(t, "KS-25/refresh_at_80_to_90_percent", byURL, func(w *world) {
		for range 50 {
			before := w.hits(jwksURL)
			w.keys()
			w.pass(12*time.Minute - time.Nanosecond)
			if w.hits(jwksURL) != max(before, 1) {
				w.Fatal("refreshed before 80 % of freshness")
			}
			w.pass(90*time.Second + time.Nanosecond)
			if w.hits(jwksURL) != max(before, 1)+1 {
				w.Fatal("not refreshed at 90 % of freshness")
			}
			start := w.cache.Status().Fetched
			w.pass(time.Until(start.Add(15 * time.Minute))) // start the next round at a known time
			w.keys()
			w.pass(0)
			w.pass(time.Until(w.cache.Status().Fetched))
		}
	})
	inWorld(t, "KS-25/F38_refreshes_spread", byURL, func(w *world) {
		var caches []*jwkscache.Cache
		for range 20 {
			caches = append(caches, w.another(byURL))
		}
		for _, c := range caches {
			c.Keys(w.Context(), nil)
		}
		w.pass(14 * time.Minute)
		at := map[time.Time]bool{}
		for _, c := range caches {
			at[c.Status().Fetched] = true
		}
		if len(at) < 15 {
			w.Fatalf("20 caches refreshed at %d times", len(at))
		}
	})
	inWorld(t, "KS-25/unused_source_sleeps", byURL, func(w *world) {
		w.cache.Status()
		w.keys()
		w.pass(24 * time.Hour)
		w.wantHits("", 2) // it was used since the first fetch, and not since the second
		w.cache.Status()
		w.pass(24 * time.Hour)
		w.wantHits("", 2)
	})
	inWorld(t, "KS-25/first_request_after_a_pause_waits", byURL, func(w *world) {
		before := w.keys()
		w.pass(20 * time.Hour)
		w.on(jwksURL, slow(time.Second, answer(200, kids("two"))))
		start := time.Now()
		if w.keys() == before {
			w.Error("old keys were served although the issuer was never asked")
		}
		if waited := time.Since(start); waited != time.Second {
			w.Errorf("waited %v", waited)
		}
	})
	inWorld(t, "KS-12/first_request_after_a_pause_with_the_host_down", byURL, func(w *world) {
		before := w.keys()
		w.pass(20 * time.Hour)
		w.status(jwksURL, 500)
		if w.keys() != before {
			w.Error("another set")
		}
		w.wantEvents(verifier.EventStaleKeys, 1)
	})
	inWorld(t, "KS-25/use_before_freshness_ends_wakes_a_sleeper", byURL, func(w *world) {
		w.keys()
		w.pass(13*time.Minute + 30*time.Second) // refreshed, and unused since
		w.wantHits("", 2)
		w.pass(time.Until(w.cache.Status().FreshUntil) - time.Second)
		w.wantHits("", 2)
		w.on(jwksURL, slow(3*time.Second, answer(200, kids("one"))))
		start := time.Now()
		w.keys()
		if time.Since(start) != 0 {
			w.Error("a request waited though the set was fresh")
		}
		synctest.Wait()
		w.wantHits("", 3)
	})
}

func TestOutage(t *testing.T) {
	inWorld(t, "KS-12/F1_stale_keys_until_the_bound", byURL, func(w *world) {
		v := w.verifier()
		w.keys()
		w.status(jwksURL, 503)
		if longest := w.busy(24*time.Hour+15*time.Minute, time.Minute); longest > 0 {
			w.Errorf("a request waited %v", longest)
		}
		_, err := v.Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrKeysUnavailable)
	})
	inWorld(t, "DF-10/bound_to_the_second", byURL, func(w *world) {
		w.keys()
		w.down.Store(true)
		w.busy(24*time.Hour+14*time.Minute, time.Minute)
		w.pass(time.Until(w.cache.Status().UsableUntil) - time.Nanosecond)
		w.keys()
		w.pass(time.Nanosecond)
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
	})
	for name, c := range map[string]struct{ set, want time.Duration }{
		"default": {0, 24 * time.Hour}, "none": {-1, 0}, "72_h": {72 * time.Hour, 72 * time.Hour}, "1_h": {time.Hour, time.Hour},
	} {
		inWorld(t, "DF-10/"+name, func(cfg *jwkscache.Config) { cfg.MaxStale = c.set }, func(w *world) {
			w.keys()
			status := w.cache.Status()
			if got := status.UsableUntil.Sub(status.FreshUntil); got != c.want {
				w.Fatalf("usable for %v past freshness", got)
			}
		})
	}
	inWorld(t, "DF-10/none_ends_with_freshness", func(cfg *jwkscache.Config) { cfg.MaxStale = -1 }, func(w *world) {
		w.keys()
		w.down.Store(true)
		w.pass(15*time.Minute - time.Nanosecond)
		w.keys()
		w.pass(time.Nanosecond)
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
	})
	inWorld(t, "KS-12/F24_F25_back_after_the_bound_with_another_key", byURL, func(w *world) {
		v := w.verifier()
		w.keys()
		w.status(jwksURL, 500)
		for range 30 * 60 {
			v.Verify(w.Context(), token("one"))
			w.pass(time.Minute)
		}
		_, err := v.Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.body(jwksURL, kids("two"))
		w.pass(time.Minute) // the longest back-off: no request needs to ask
		_, err = v.Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrUnknownKey)
		if _, err := v.Verify(w.Context(), token("two")); err != nil {
			w.Fatal(err)
		}
	})
	inWorld(t, "KS-13/fetches_during_an_outage", byURL, func(w *world) {
		w.keys()
		w.status(jwksURL, 500)
		w.busy(15*time.Minute, time.Second)
		before := w.hits("")
		w.busy(time.Hour, 100*time.Millisecond)
		if got := w.hits("") - before; got < 60 || got > 122 { // every 30 to 60 s
			w.Fatalf("%d fetches in an hour", got)
		}
	})
	inWorld(t, "KS-13/F2_cold_cache", byURL, func(w *world) {
		w.status(jwksURL, 500)
		var first *verifier.Error
		for range 3600 {
			_, err := w.cache.Keys(w.Context(), nil)
			e := wantClass(w, err, verifier.ErrKeysUnavailable)
			if first == nil {
				first = e
			}
			w.pass(time.Second)
		}
		if got := w.hits(""); got < 60 || got > 125 {
			w.Fatalf("%d fetches in an hour", got)
		}
		if first.RetryAfter < time.Second || first.RetryAfter > 2*time.Second {
			w.Errorf("the first back-off was %v", first.RetryAfter)
		}
	})
	inWorld(t, "KS-13/unused_source_is_not_retried", byURL, func(w *world) {
		w.keys()
		w.down.Store(true)
		w.pass(14 * time.Minute)
		failures := w.cache.Status().Failures
		w.pass(10 * time.Hour)
		if got := w.cache.Status().Failures; got != failures || got != 1 {
			w.Fatalf("%d attempts", got)
		}
	})
	inWorld(t, "KS-12/first_request_behind_a_failure_and_a_pause_gets_old_keys", byURL, func(w *world) {
		v := w.verifier()
		w.keys()
		w.down.Store(true)
		w.pass(10 * time.Hour)
		w.down.Store(false)
		w.body(jwksURL, kids("two"))
		start := time.Now()
		if _, err := v.Verify(w.Context(), token("one")); err != nil || time.Since(start) != 0 {
			w.Errorf("after %v: %v", time.Since(start), err)
		}
		synctest.Wait() // for the refresh that this began
		_, err := v.Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrUnknownKey)
	})
	inWorld(t, "HT-11/retry_time_counts_down", byURL, func(w *world) {
		w.status(jwksURL, 503, "Retry-After", "120")
		_, err := w.cache.Keys(w.Context(), nil)
		first := wantClass(w, err, verifier.ErrKeysUnavailable).RetryAfter
		if first < 2*time.Minute {
			w.Fatalf("retry after %v", first)
		}
		w.pass(50 * time.Second)
		_, err = w.cache.Keys(w.Context(), nil)
		if e := wantClass(w, err, verifier.ErrKeysUnavailable); e.RetryAfter != first-50*time.Second {
			w.Fatalf("retry after %v, and 50 s later after %v", first, e.RetryAfter)
		}
		w.pass(first - 50*time.Second - time.Nanosecond)
		w.wantHits("", 1)
		w.pass(time.Nanosecond)
		w.wantHits("", 2)
	})
	for name, c := range map[string]struct {
		code     int
		value    string
		min, max time.Duration
	}{
		"seconds_429":      {429, "90", 90 * time.Second, 99 * time.Second},
		"seconds_503":      {503, "90", 90 * time.Second, 99 * time.Second},
		"date":             {503, "Sat, 01 Jan 2000 00:03:00 GMT", 3 * time.Minute, 198 * time.Second},
		"date_in_the_past": {503, "Fri, 31 Dec 1999 00:00:00 GMT", time.Second, 2 * time.Second},
		"bounded":          {503, "86400", 270 * time.Second, 5 * time.Minute},
		"overflow":         {503, "99999999999999999999", time.Second, 2 * time.Second},
		"negative":         {503, "-5", time.Second, 2 * time.Second},
		"not_shorter":      {503, "0", time.Second, 2 * time.Second},
		"other_status":     {500, "90", time.Second, 2 * time.Second},
	} {
		inWorld(t, "KS-13/F5_retry_after_"+name, byURL, func(w *world) {
			w.status(jwksURL, c.code, "Retry-After", c.value)
			e := wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
			if e.RetryAfter < c.min || e.RetryAfter > c.max {
				w.Fatalf("retry after %v, want %v to %v", e.RetryAfter, c.min, c.max)
			}
		})
	}
	inWorld(t, "KS-12/F3_connection_refused", byURL, func(w *world) {
		before := w.keys()
		w.down.Store(true)
		w.busy(10*time.Hour, time.Minute)
		w.down.Store(false)
		w.busy(2*time.Minute, time.Second)
		if status := w.cache.Status(); w.keys() != before || status.Failures != 0 || status.Err != nil {
			w.Fatalf("no recovery: %+v", status)
		}
	})
	inWorld(t, "SE-08/stale_keys_reported_once_per_outage", byIssuer, func(w *world) {
		for outage := 1; outage <= 2; outage++ {
			w.busy(time.Minute, time.Second)
			w.status(jwksURL, 500)
			w.busy(2*time.Hour, time.Minute)
			e := w.wantEvents(verifier.EventStaleKeys, outage)[outage-1]
			if e.Class != verifier.ErrKeysUnavailable || e.Cause == nil || e.Issuer != issuer {
				w.Errorf("event %+v", e)
			}
			w.body(jwksURL, kids("one"))
			w.busy(10*time.Minute, time.Second)
		}
	})
	inWorld(t, "SE-08/fresh_keys_in_an_outage_are_not_stale", byURL, func(w *world) {
		w.keys()
		w.status(jwksURL, 500)
		w.busy(14*time.Minute+59*time.Second, time.Second)
		w.wantEvents(verifier.EventStaleKeys, 0)
		if len(w.of(verifier.EventFetchFailed)) == 0 {
			w.Error("no refresh was tried")
		}
	})
}

func TestUnknownKey(t *testing.T) {
	inWorld(t, "KS-11/F21_rotated_key_after_one_refetch", byURL, func(w *world) {
		v := w.verifier()
		w.keys()
		w.body(jwksURL, kids("one", "two"))
		w.pass(30 * time.Second)
		if _, err := v.Verify(w.Context(), token("two")); err != nil {
			w.Fatal(err)
		}
		w.wantHits("", 2)
	})
	inWorld(t, "KS-11/F22_hard_swap", byURL, func(w *world) {
		v := w.verifier()
		w.keys()
		w.body(jwksURL, kids("two"))
		w.pass(30 * time.Second)
		if _, err := v.Verify(w.Context(), token("two")); err != nil {
			w.Fatal(err)
		}
		_, err := v.Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrUnknownKey)
		w.wantHits("", 2)
	})
	inWorld(t, "DF-09/cooldown_counts_from_the_last_success", byURL, func(w *world) {
		old := w.keys()
		w.body(jwksURL, kids("one", "two"))
		w.pass(30*time.Second - time.Nanosecond)
		if got, err := w.miss(old); err != nil || got != old {
			w.Fatalf("within the cooldown: %v", err)
		}
		w.wantHits("", 1)
		w.pass(time.Nanosecond)
		if got, err := w.miss(old); err != nil || got == old {
			w.Fatalf("after the cooldown: %v", err)
		}
		w.wantHits("", 2)
	})
	for name, c := range map[string]struct{ cooldown time.Duration }{"1_s": {time.Second}, "10_min": {10 * time.Minute}} {
		inWorld(t, "DF-09/cooldown_"+name, func(cfg *jwkscache.Config) { cfg.UnknownKeyCooldown = c.cooldown }, func(w *world) {
			old := w.keys()
			w.pass(c.cooldown - time.Nanosecond)
			w.miss(old)
			w.wantHits("", 1)
			w.pass(time.Nanosecond)
			w.miss(old)
			w.wantHits("", 2)
		})
	}
	inWorld(t, "KS-11/a_newer_set_is_returned_at_once", byURL, func(w *world) {
		old := w.keys()
		w.body(jwksURL, kids("two"))
		w.pass(30 * time.Second)
		newer, _ := w.miss(old)
		again, err := w.miss(old)
		if err != nil || again != newer || newer == old {
			w.Fatal("not the newer set")
		}
		w.wantHits("", 2)
	})
	inWorld(t, "DF-09/F19_1000_unknown_kids_in_30_s", byURL, func(w *world) {
		v := w.verifier()
		w.keys()
		w.pass(31 * time.Second)
		claims := claimsOf(token("three"))
		start := w.hits("")
		for i := range 1000 {
			header := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": fmt.Sprint("random-", i)}
			_, err := v.Verify(w.Context(), signed("three", header, claims))
			wantClass(w, err, verifier.ErrUnknownKey)
			w.pass(29 * time.Millisecond)
		}
		if got := w.hits("") - start; got != 1 {
			w.Fatalf("%d fetches", got)
		}
	})
	inWorld(t, "DF-09/F19_parallel_unknown_kids", byURL, func(w *world) {
		old := w.keys()
		w.on(jwksURL, slow(time.Second, answer(200, kids("one"))))
		w.pass(31 * time.Second)
		w.together(1000, func() {
			if got, err := w.miss(old); err != nil || got != old {
				w.Error(got, err)
			}
		})
		w.wantHits("", 2)
	})
	inWorld(t, "KS-11/F12_known_kid_does_not_wait_for_the_refetch", byURL, func(w *world) {
		old := w.keys()
		w.on(jwksURL, slow(time.Hour, nil))
		w.pass(31 * time.Second)
		go w.miss(old)
		synctest.Wait()
		w.wantHits("", 2)
		start := time.Now()
		if w.keys() != old || time.Since(start) != 0 {
			w.Error("the request waited")
		}
	})
	inWorld(t, "KS-11/F20_flood_and_rotation", byURL, func(w *world) {
		v := w.verifier()
		w.keys()
		flood, stop := context.WithCancel(w.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; flood.Err() == nil; i++ {
				w.cache.Keys(flood, &verifier.Miss{Set: w.keys(), KeyID: fmt.Sprint("random-", i)})
				time.Sleep(time.Millisecond)
			}
		})
		w.pass(time.Minute)
		w.body(jwksURL, kids("one", "two"))
		w.pass(30*time.Second + time.Millisecond)
		if _, err := v.Verify(w.Context(), token("two")); err != nil {
			w.Error(err)
		}
		stop()
		wg.Wait()
		if got := w.hits(""); got > 4 {
			w.Errorf("%d fetches in 90 s", got)
		}
	})
	inWorld(t, "KS-11/host_down", byURL, func(w *world) {
		v := w.verifier()
		w.keys()
		w.down.Store(true)
		w.pass(31 * time.Second)
		_, err := v.Verify(w.Context(), token("two"))
		if e := wantClass(w, err, verifier.ErrKeysUnavailable); e.RetryAfter < time.Second || e.RetryAfter > 2*time.Second {
			w.Errorf("retry after %v", e.RetryAfter)
		}
		if _, err := v.Verify(w.Context(), token("one")); err != nil {
			w.Errorf("a known kid is affected: %v", err)
		}
	})
	inWorld(t, "KS-11/one_fetch_per_back_off_step", byURL, func(w *world) {
		old := w.keys()
		w.status(jwksURL, 500)
		w.pass(31 * time.Second)
		for range 10 * 600 {
			_, err := w.miss(old)
			wantClass(w, err, verifier.ErrKeysUnavailable)
			w.pass(100 * time.Millisecond)
		}
		if got := w.hits("") - 1; got < 10 || got > 25 {
			w.Fatalf("%d fetches in 10 minutes", got)
		}
	})
	inWorld(t, "KS-11/failed_fetch_does_not_use_up_the_cooldown", byURL, func(w *world) {
		old := w.keys()
		w.status(jwksURL, 500)
		w.pass(31 * time.Second)
		_, err := w.miss(old)
		e := wantClass(w, err, verifier.ErrKeysUnavailable)
		w.body(jwksURL, kids("one", "two"))
		w.pass(e.RetryAfter)
		if got, err := w.miss(old); err != nil || got == old {
			w.Fatalf("not refetched after %v: %v", e.RetryAfter, err)
		}
	})
	inWorld(t, "KS-11/failed_refresh_within_a_long_cooldown", func(cfg *jwkscache.Config) {
		cfg.UnknownKeyCooldown = 10 * time.Minute
	}, func(w *world) {
		w.body(jwksURL, kids("one"), "Cache-Control", "max-age=60")
		old := w.keys()
		w.status(jwksURL, 500)
		w.pass(time.Minute)
		if w.cache.Status().Failures == 0 {
			w.Fatal("no refresh failed")
		}
		w.pass(20 * time.Second)
		_, err := w.miss(old) // the last completed fetch did not succeed
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.body(jwksURL, kids("one", "two"))
		w.pass(time.Minute)
		if got, err := w.miss(old); err != nil || got == old {
			w.Fatal(got, err)
		}
	})
	inWorld(t, "KS-11/F23_two_nodes_with_different_sets", byURL, func(w *world) {
		var n atomic.Int32
		w.on(jwksURL, func(rw http.ResponseWriter, r *http.Request) {
			answer(200, kids([]string{"one", "two"}[n.Add(1)%2]))(rw, r)
		})
		v := w.verifier()
		for range 600 {
			v.Verify(w.Context(), token("one"))
			v.Verify(w.Context(), token("two"))
			w.pass(time.Second)
		}
		if got := w.hits(""); got > 22 {
			w.Fatalf("%d fetches in 10 minutes", got)
		}
	})
	inWorld(t, "KS-22/no_fallback_to_another_key", byURL, func(w *world) {
		w.body(jwksURL, set(jwk("one", map[string]any{"kid": "other"})))
		_, err := w.verifier().Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrUnknownKey)
	})
	inWorld(t, "KS-20/key_replaced_under_one_kid", byURL, func(w *world) {
		w.body(jwksURL, set(jwk("two", map[string]any{"kid": "one"})))
		v := w.verifier()
		w.keys()
		w.body(jwksURL, kids("one"))
		w.pass(31 * time.Second)
		if _, err := v.Verify(w.Context(), token("one")); err != nil {
			w.Fatal(err)
		}
		w.wantHits("", 2)
	})
}

func TestWarm(t *testing.T) {
	inWorld(t, "KS-27/prefetches", byIssuer, func(w *world) {
		if err := w.cache.Warm(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.wantHits("", 2)
		w.keys()
		if err := w.cache.Warm(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.wantHits("", 2)
	})
	inWorld(t, "KS-27/unreachable_host", byURL, func(w *world) {
		w.down.Store(true)
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
		_, err := w.verifier().Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrKeysUnavailable)
	})
	inWorld(t, "KS-27/back_off_binds_Warm_too", byURL, func(w *world) {
		w.status(jwksURL, 500)
		for range 100 {
			wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
		}
		w.wantHits("", 1)
	})
	inWorld(t, "KS-27/reports_a_failure_that_stale_keys_hide", byURL, func(w *world) {
		w.keys()
		w.pass(time.Hour)
		w.status(jwksURL, 500)
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
		w.keys()
	})
	inWorld(t, "KS-27/fresh_keys_are_enough", byURL, func(w *world) {
		w.keys()
		w.pass(time.Minute)
		w.keys() // in use, so that it is refreshed ahead
		w.down.Store(true)
		w.pass(13 * time.Minute)
		if err := w.cache.Warm(w.Context()); err != nil || w.cache.Status().Failures == 0 {
			w.Errorf("%v after %d failures", err, w.cache.Status().Failures)
		}
		w.pass(time.Minute)
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
	})
	inWorld(t, "KS-27/jwks_fault_is_not_a_metadata_fault", byIssuer, func(w *world) {
		w.status(jwksURL, 500)
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
	})
}

func TestStatus(t *testing.T) {
	inWorld(t, "status_of_each_state", byURL, func(w *world) {
		if got := w.cache.Status(); !isZero(got) {
			w.Errorf("cold: %+v", got)
		}
		w.status(jwksURL, 500)
		err := w.cache.Warm(w.Context())
		if got := w.cache.Status(); len(got.Keys) != 0 || got.Failures != 1 || !errors.Is(got.Err, verifier.ErrKeysUnavailable) || err == nil {
			w.Errorf("failed: %+v", got)
		}
		w.body(jwksURL, kids("one", "two"))
		w.pass(2 * time.Second)
		now := time.Now()
		w.keys()
		got := w.cache.Status()
		if len(got.Keys) != 2 || got.Failures != 0 || got.Err != nil || now.Sub(got.Fetched) > time.Second {
			w.Errorf("warm: %+v", got)
		}
		want := []verifier.KeyInfo{{ID: "one", Type: "P-256"}, {ID: "two", Type: "P-256"}}
		if !slices.Equal(got.Keys, want) || !got.NextAttempt.After(now) || !got.NextAttempt.Before(got.FreshUntil) {
			w.Errorf("warm: %+v, want keys %v and an attempt before the freshness ends", got, want)
		}
		w.cache.Close()
		if got := w.cache.Status(); !isZero(got) {
			w.Errorf("closed: %+v", got)
		}
	})
}

func TestClose(t *testing.T) {
	inWorld(t, "KS-26/F37_during_a_fetch", byIssuer, func(w *world) {
		w.on(jwksURL, slow(time.Hour, nil))
		var err error
		done := make(chan bool)
		go func() { _, err = w.cache.Keys(w.Context(), nil); close(done) }()
		w.pass(time.Second)
		w.together(3, func() { w.cache.Close() })
		<-done
		wantClass(w, err, verifier.ErrKeysUnavailable)
		if w.elapsed() != time.Second {
			w.Errorf("Close took until %v", w.elapsed())
		}
		w.wantEvents(verifier.EventFetchFailed, 0) // nothing failed: it was not wanted any more
	})
	inWorld(t, "KS-26/F37_use_after_Close_fails_closed", byURL, func(w *world) {
		v := w.verifier()
		old := w.keys()
		for range 2 {
			if err := w.cache.Close(); err != nil {
				w.Fatal(err)
			}
		}
		for range 2 {
			keys, err := w.cache.Keys(w.Context(), nil)
			if keys != nil {
				w.Error("keys from a closed cache")
			}
			wantClass(w, err, verifier.ErrKeysUnavailable)
			_, err = w.miss(old)
			wantClass(w, err, verifier.ErrKeysUnavailable)
			wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
			_, err = v.Verify(w.Context(), token("one"))
			wantClass(w, err, verifier.ErrKeysUnavailable)
			w.pass(time.Hour)
		}
		w.wantHits("", 1)
	})
	inWorld(t, "KS-26/F37_waits_for_a_fetch_that_ignores_its_context", byURL, func(w *world) {
		var arrived atomic.Bool
		transport := trip(func(*http.Request) (*http.Response, error) {
			time.Sleep(2 * time.Second)
			arrived.Store(true)
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(kids("one")))}, nil
		})
		cache := w.another(func(cfg *jwkscache.Config) { cfg.HTTPClient = &http.Client{Transport: transport} })
		var waited error
		done := make(chan bool)
		go func() { waited = cache.Warm(w.Context()); close(done) }()
		w.pass(time.Second)
		cache.Close()
		if !arrived.Load() {
			w.Error("Close did not wait")
		}
		<-done
		wantClass(w, waited, verifier.ErrKeysUnavailable)
		_, err := cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		if !isZero(cache.Status()) {
			w.Error("a closed cache took keys")
		}
	})
	inWorld(t, "KS-26/nothing_runs_after_Close", byURL, func(w *world) {
		w.keys()
		w.cache.Close()
		w.pass(48 * time.Hour)
		w.wantHits("", 1)
	})
	// The bubble of every test here ends only when no goroutine of it is left, and
	// leaktest looks at the rest; this one adds use, refresh and Close at once.
	inWorld(t, "KS-26/race_of_use_refresh_and_Close", byIssuer, func(w *world) {
		w.body(jwksURL, kids("one"), "Cache-Control", "no-store")
		var wg sync.WaitGroup
		stop := make(chan bool)
		for range 20 {
			wg.Go(func() {
				for old := (*verifier.KeySet)(nil); ; {
					got, err := w.cache.Keys(w.Context(), &verifier.Miss{Set: old})
					if err == nil {
						old = got
					}
					w.cache.Status()
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
			})
		}
		w.on(metaURL, slow(10*time.Millisecond, answer(200, document(issuer, jwksURL))))
		time.Sleep(3 * time.Minute)
		w.cache.Close()
		time.Sleep(time.Second)
		close(stop)
		wg.Wait()
	})
}

// TestHook: a panic in the hook denies the request or is contained.
func TestHook(t *testing.T) {
	panicOn := func(kind verifier.EventKind) func(*jwkscache.Config) {
		return func(cfg *jwkscache.Config) {
			cfg.OnEvent = func(e verifier.Event) {
				if e.Kind == kind {
					panic("hook")
				}
			}
		}
	}
	inWorld(t, "SE-01/panic_in_the_background_is_contained", panicOn(verifier.EventFetched), func(w *world) {
		w.busy(time.Hour, time.Minute)
	})
	inWorld(t, "SE-01/panic_on_a_failed_fetch_is_contained", panicOn(verifier.EventFetchFailed), func(w *world) {
		w.keys()
		w.status(jwksURL, 500)
		w.busy(time.Hour, time.Minute)
	})
	inWorld(t, "SE-01/panic_in_a_request_denies_it", panicOn(verifier.EventStaleKeys), func(w *world) {
		v := w.verifier()
		w.keys()
		w.status(jwksURL, 500)
		w.pass(time.Hour)
		tok, err := v.Verify(w.Context(), token("one"))
		if tok != nil {
			w.Error("a token came with the error")
		}
		wantClass(w, err, verifier.ErrInternal)
	})
	inWorld(t, "SE-08/hook_may_ask_the_cache", byURL, func(w *world) {
		var cache *jwkscache.Cache
		asked := 0
		cache = w.another(func(cfg *jwkscache.Config) {
			cfg.OnEvent = func(e verifier.Event) {
				if cache == nil {
					return
				}
				asked++
				cache.Status()
				cache.Keys(w.Context(), nil)
			}
		})
		if _, err := cache.Keys(w.Context(), nil); err != nil || asked == 0 {
			w.Fatal(asked, err)
		}
	})
}

// TestPause: a source that nobody used for a while meets an issuer that says nothing.
func TestPause(t *testing.T) {
	pause := func(w *world) {
		w.keys()
		w.pass(14 * time.Minute)
		w.on(jwksURL, slow(time.Hour, nil))
		w.pass(2 * time.Hour)
	}
	inWorld(t, "KS-12/request_that_cannot_wait_gets_old_keys", byURL, func(w *world) {
		v := w.verifier()
		pause(w)
		ctx, cancel := context.WithTimeout(w.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := v.Verify(ctx, token("one")); err != nil || time.Since(start) != 2*time.Second {
			w.Errorf("after %v: %v", time.Since(start), err)
		}
		w.wantEvents(verifier.EventStaleKeys, 1)
	})
	inWorld(t, "KS-12/request_that_ended_before_gets_none", byURL, func(w *world) {
		pause(w)
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		_, err := w.cache.Keys(ctx, nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
	})
	inWorld(t, "KS-12/others_wait_for_the_attempt", byURL, func(w *world) {
		pause(w)
		start := time.Now()
		if w.keys(); time.Since(start) != 5*time.Second {
			w.Errorf("waited %v", time.Since(start))
		}
	})
}
