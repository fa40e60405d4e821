// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// clocked is a failing test that has a deadline, as a *testing.T has; in a bubble there
// is none.
type clocked struct {
	failing
	t *testing.T
}

func (c *clocked) Deadline() (time.Time, bool) { return c.t.Deadline() }

// In a bubble what waits for a network stops the clock, so that no limit would end it.
func TestAttackURLInBubble(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	complaint := func(t *testing.T) string {
		as := NewServer(t, quick)
		as.VerifierConfig(attackedAPI)
		tb := &clocked{failing{TB: t}, t}
		var done sync.WaitGroup
		done.Go(func() { attackURL(tb, gone.URL, as, ordersTarget, reports{}) })
		done.Wait()
		return tb.text
	}
	t.Run("inside", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			if text := complaint(t); !strings.Contains(text, "testing/synctest") || !strings.Contains(text, "Attack") {
				t.Errorf("%q does not say what to do", text)
			}
			if d := time.Since(start); d != 0 {
				t.Errorf("it took %v", d)
			}
		})
	})
	t.Run("outside", func(t *testing.T) {
		if text := complaint(t); !strings.Contains(text, "connect") {
			t.Errorf("%q does not tell of the connection", text)
		}
	})
}
