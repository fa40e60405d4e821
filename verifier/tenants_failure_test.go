// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

func TestFailureMemory(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		class error
		lasts time.Duration
	}{
		{"no_such_tenant", verifier.ErrIssuer, verifier.ErrIssuer, 30 * time.Second},
		{"other_failure", errDatabase, verifier.ErrKeysUnavailable, 5 * time.Second},
	} {
		inBubble(t, "MD-15/remembered_"+tt.name, func(t *testing.T, e *estate) {
			e.resolve = func(context.Context, string) (verifier.Config, error) { return verifier.Config{}, tt.err }
			expect(t, e.v, tenantToken(1), tt.class)
			e.resolve = e.slowly(0)
			time.Sleep(tt.lasts - time.Second)
			if tt.class == verifier.ErrKeysUnavailable {
				wantRetry(t, e.v, tenantToken(1), time.Second)
			}
			time.Sleep(time.Second - 1)
			expect(t, e.v, tenantToken(1), tt.class)
			if e.resolved(1) != 1 {
				t.Errorf("%d calls of Resolve, want 1", e.resolved(1))
			}
			time.Sleep(time.Nanosecond)
			expect(t, e.v, tenantToken(1), nil)
			if e.resolved(1) != 2 {
				t.Errorf("%d calls of Resolve, want 2", e.resolved(1))
			}
		})
	}
	for _, pause := range []time.Duration{5*time.Second + 1, time.Minute, 5 * time.Minute, 5*time.Minute + 1, 1 << 62} {
		inBubble(t, fmt.Sprintf("MD-15/pause_of_%v", pause), func(t *testing.T, e *estate) {
			e.resolve = func(context.Context, string) (verifier.Config, error) {
				return verifier.Config{}, &verifier.Error{Class: verifier.ErrKeysUnavailable, RetryAfter: pause}
			}
			wantRetry(t, e.v, tenantToken(1), min(pause, 5*time.Minute))
		})
	}
	for _, class := range []error{verifier.ErrIssuer, verifier.ErrKeysUnavailable} {
		inBubble(t, "MD-15/error_of_each_request_"+class.Error(), func(t *testing.T, e *estate) {
			e.resolve = func(context.Context, string) (verifier.Config, error) {
				time.Sleep(time.Second)
				return verifier.Config{}, class
			}
			var mu sync.Mutex
			seen := map[*verifier.Error]bool{}
			ask := func() {
				var one *verifier.Error
				_, err := e.v.Verify(t.Context(), tenantToken(1))
				if !errors.As(err, &one) || one.Class != class {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				seen[one] = true
				one.Class = nil // a request may do so, and harms itself only
			}
			var group sync.WaitGroup
			for range 5 {
				group.Go(ask)
			}
			group.Wait()
			ask()
			ask()
			if len(seen) != 7 {
				t.Errorf("%d errors for 7 requests", len(seen))
			}
		})
	}
}

// TestForeignCodeTakesLong: what nobody asked for is done when the answers are given.
func TestForeignCodeTakesLong(t *testing.T) {
	hook := func(cfg *verifier.Tenants) {
		cfg.OnEvent = func(ev verifier.Event) {
			if ev.Kind == verifier.EventFetchFailed {
				time.Sleep(20 * time.Second)
			}
		}
	}
	for name, refuse := range map[string]func(e *estate, iss string) (verifier.Config, error){
		"hook": func(*estate, string) (verifier.Config, error) { return verifier.Config{}, errDatabase },
		"Close_of_a_refused_source": func(e *estate, iss string) (verifier.Config, error) {
			cfg := e.config(iss)
			e.mu.Lock()
			defer e.mu.Unlock()
			e.sources[iss].closing = func() error { time.Sleep(20 * time.Second); return nil }
			return cfg, errDatabase
		},
	} {
		inBubble(t, "G12/slow_"+name, func(t *testing.T, e *estate) {
			e.resolve = func(_ context.Context, iss string) (verifier.Config, error) { return refuse(e, iss) }
			start := time.Now()
			for n := range 17 { // more than can be asked for at once
				wantRetry(t, e.v, garbage(n), 5*time.Second)
			}
			if time.Since(start) != 0 {
				t.Errorf("answered after %v", time.Since(start))
			}
			e.resolve = e.slowly(0)
			expect(t, e.v, tenantToken(99), nil)
			time.Sleep(5 * time.Second) // the report goes on, and the tenant is asked for again
			expect(t, e.v, tenantToken(0), nil)
			if err := e.v.Close(); err != nil || time.Since(start) != 20*time.Second {
				t.Errorf("Close ended after %v (%v)", time.Since(start), err)
			}
		}, hook)
	}
}
