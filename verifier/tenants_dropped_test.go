// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

const newAudience = "https://new.example"

// newer is a good token of the first tenant under its newer configuration.
func newer() string { return tenantToken(1, object{"jti": "new", "aud": newAudience}) }

// change makes the configurations resolved from now on demand another audience.
func (e *estate) change(d time.Duration) {
	e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
		time.Sleep(d)
		cfg := e.config(iss)
		cfg.Audience = []string{newAudience}
		return cfg, nil
	}
}

// drop has the application say no while a token of the first tenant arrives.
func (e *estate) drop(t *testing.T) {
	t.Helper()
	*gone = true
	expect(t, e.v, garbage(1), verifier.ErrIssuer)
	*gone = false
}

// wantNewer fails unless the newer configuration decides, and calls of Resolve were made.
func (e *estate) wantNewer(t *testing.T, calls int) {
	t.Helper()
	expect(t, e.v, newer(), nil)
	expect(t, e.v, tenantToken(1), verifier.ErrAudience)
	if e.resolved(1) != calls {
		t.Errorf("%d calls of Resolve, want %d", e.resolved(1), calls)
	}
}

// pushOut fills the two places for issuers without an accepted token.
func (e *estate) pushOut(t *testing.T) {
	t.Helper()
	for n := range 8 {
		time.Sleep(10 * time.Second) // the rate of new issuers
		expectOnce(t, e.v, garbage(10+n), verifier.ErrSignature)
	}
}

// TestDroppedInUse: a configuration that was given up does not come back with the end
// of a verification that began before.
func TestDroppedInUse(t *testing.T) {
	for name, pushOut := range map[string]bool{"in_use": false, "in_use_and_pushed_out": true} {
		inBubble(t, "MD-15/dropped_while_"+name, func(t *testing.T, e *estate) {
			src := e.holding(1)
			var group sync.WaitGroup
			group.Go(func() { expectOnce(t, e.v, tenantToken(1), nil) }) // admitted before
			<-src.entered
			if pushOut {
				e.pushOut(t)
			}
			e.drop(t)
			e.change(0)
			close(src.hold)
			group.Wait()
			synctest.Wait()
			if src.closed.Load() != 1 {
				t.Errorf("closed %d times, want 1", src.closed.Load())
			}
			e.wantNewer(t, 2)
		}, issuersAtMost(8), acceptUnlessGone)
	}
	for name, again := range map[string]string{"by_garbage": garbage(1), "by_a_good_token": tenantToken(1)} {
		inBubble(t, "KS-10/pushed_out_while_in_use_and_named_"+name, func(t *testing.T, e *estate) {
			src := e.holding(1)
			var group sync.WaitGroup
			group.Go(func() { expectOnce(t, e.v, tenantToken(1), nil) })
			<-src.entered
			e.pushOut(t)
			group.Go(func() { _, _ = e.v.Verify(t.Context(), again) })
			<-src.entered // the same source is asked
			close(src.hold)
			group.Wait()
			if n := e.resolved(1); n != 1 {
				t.Errorf("%d calls of Resolve, want 1", n)
			}
			if src.closed.Load() != 0 {
				t.Error("it was closed")
			}
		}, issuersAtMost(8), acceptUnlessGone)
	}
}

// TestDroppedDuringResolve: a call that began before the application said no serves
// those who wait for it, and nobody else.
func TestDroppedDuringResolve(t *testing.T) {
	inBubble(t, "MD-15/dropped_during_Resolve", func(t *testing.T, e *estate) {
		e.resolve = e.slowly(2 * time.Second)
		var group sync.WaitGroup
		group.Go(func() { expectOnce(t, e.v, tenantToken(1), nil) })
		synctest.Wait()
		e.drop(t)
		e.change(3 * time.Second)
		group.Go(func() { expectOnce(t, e.v, newer(), nil) }) // does not wait for the older call
		synctest.Wait()
		older := e.resolved(1)
		time.Sleep(2*time.Second + time.Millisecond) // the older call has ended, the newer one has not
		group.Go(func() { expectOnce(t, e.v, newer(), nil) })
		group.Wait()
		if older != 2 {
			t.Errorf("%d calls of Resolve, want 2", older)
		}
		e.wantNewer(t, 2)
	}, acceptUnlessGone)
	inBubble(t, "MD-15/dropped_and_nobody_waits", func(t *testing.T, e *estate) {
		e.resolve = e.slowly(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = e.v.Verify(ctx, tenantToken(1))
		e.drop(t)
		time.Sleep(2 * time.Second)
		if e.closings(1) != 1 {
			t.Errorf("closed %d times, want 1", e.closings(1))
		}
		e.change(0)
		e.wantNewer(t, 2)
	}, acceptUnlessGone)
	inBubble(t, "MD-15/failures_are_dropped", func(t *testing.T, e *estate) {
		e.resolve = func(context.Context, string) (verifier.Config, error) {
			time.Sleep(time.Second)
			return verifier.Config{}, verifier.ErrIssuer
		}
		expectOnce(t, e.v, tenantToken(1), verifier.ErrIssuer)
		e.drop(t) // what was remembered
		var group sync.WaitGroup
		group.Go(func() { expectOnce(t, e.v, tenantToken(1), verifier.ErrIssuer) })
		synctest.Wait()
		e.drop(t) // what is on its way
		group.Wait()
		e.change(0)
		e.wantNewer(t, 3)
	}, acceptUnlessGone)
}
