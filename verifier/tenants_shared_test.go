// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/bearerguard/bearerguard/verifier"
)

// TestOnClose: what tenants share goes after the last of them.
func TestOnClose(t *testing.T) {
	t.Run("KS-26/shared_is_closed_after_every_tenant", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls, failed := 0, errors.New("failed")
			var e *estate
			e = newEstate(t, func(cfg *verifier.Tenants) {
				cfg.OnClose = func() error {
					calls++
					for n := range 3 {
						if e.sources[tenantURL(n)].closed.Load() != 1 {
							t.Errorf("tenant %d is still open", n)
						}
					}
					return failed
				}
			})
			for n := range 3 {
				expect(t, e.v, tenantToken(n), nil)
			}
			var group sync.WaitGroup
			for range 3 {
				group.Go(func() {
					if err := e.v.Close(); !errors.Is(err, failed) {
						t.Errorf("error %v", err)
					}
				})
			}
			group.Wait()
			if calls != 1 {
				t.Errorf("%d calls, want 1", calls)
			}
		})
	})
	t.Run("SE-01/OnClose_panics", func(t *testing.T) {
		e := newEstate(t, func(cfg *verifier.Tenants) { cfg.OnClose = func() error { panic("broken") } })
		wantClass(t, nil, e.v.Close(), verifier.ErrInternal)
	})
	inBubble(t, "KS-26/source_beside_an_error_is_closed", func(t *testing.T, e *estate) {
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			return e.config(iss), errors.New("not after all")
		}
		expect(t, e.v, tenantToken(1), verifier.ErrKeysUnavailable)
		if got := e.closings(1); got != 1 {
			t.Errorf("closed %d times, want 1", got)
		}
	})
}
