// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"sync"
	"testing"
)

// closeCounter is a source that counts how often it was closed.
type closeCounter struct {
	KeySource
	mu    sync.Mutex
	times int
}

func (c *closeCounter) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times++
	return nil
}

// TestTenantSchedules holds what only an unlucky schedule would show from outside.
func TestTenantSchedules(t *testing.T) {
	fresh := func() (*tenants, *resolution, *issuer, *closeCounter) {
		ts := newTenants(Tenants{})
		src := &closeCounter{}
		r := &resolution{iss: "a", done: make(chan struct{}), waiting: 1}
		ts.flights["a"] = r
		return ts, r, &issuer{name: "a", keys: src}, src
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	t.Run("SE-06/caller_leaves_after_the_result", func(t *testing.T) {
		ts, r, is, src := fresh()
		if !ts.settle(r, is, nil) {
			t.Fatal("not taken")
		}
		r.done = make(chan struct{}) // the caller has not seen that it is closed
		if got, err := ts.await(gone, r); got != nil || ClassOf(err) != ErrKeysUnavailable {
			t.Errorf("got %v, %v", got, err)
		}
		if refs := r.tenant.refs.Load(); refs != 1 {
			t.Errorf("%d references, want that of the memory", refs)
		}
		ts.close()
		if src.times != 1 {
			t.Errorf("closed %d times, want 1", src.times)
		}
	})
	t.Run("SE-06/caller_leaves_before_the_result", func(t *testing.T) {
		ts, r, is, src := fresh()
		_, _ = ts.await(gone, r)
		ts.settle(r, is, nil)
		ts.close()
		if src.times != 1 {
			t.Errorf("closed %d times, want 1", src.times)
		}
	})
	t.Run("KS-26/result_after_Close", func(t *testing.T) {
		ts, r, is, _ := fresh()
		ts.close()
		if ts.settle(r, is, nil) || ClassOf(r.err) != ErrKeysUnavailable || ts.unproven.Len() != 0 {
			t.Error("a closed verifier took an issuer")
		}
	})
	t.Run("KS-26/nothing_starts_after_Close", func(t *testing.T) {
		ts, _, _, _ := fresh()
		ts.close()
		if got, r, err := ts.enter("b"); got != nil || r != nil || ClassOf(err) != ErrKeysUnavailable {
			t.Errorf("got %v, %v, %v", got, r, err)
		}
	})
	t.Run("KS-26/found_as_it_is_evicted", func(t *testing.T) {
		ts, r, is, _ := fresh()
		ts.settle(r, is, nil)
		ts.release(r.tenant) // of the request; the memory's is the last
		ts.release(r.tenant)
		if ts.known("a") != nil {
			t.Error("a tenant whose source is closed was handed out")
		}
		ts.unproven.Purge()
		ts.close()
	})
	t.Run("KS-26/proven_after_Close", func(t *testing.T) {
		ts, r, is, src := fresh()
		ts.settle(r, is, nil)
		ended := make(chan struct{})
		go func() { defer close(ended); ts.close() }()
		<-ts.life.Done() // Close has begun, and waits for the reference of the request
		ts.promote(r.tenant)
		ts.release(r.tenant)
		<-ended
		if src.times != 1 || ts.proven.Len() != 0 {
			t.Errorf("closed %d times, %d kept", src.times, ts.proven.Len())
		}
	})
	t.Run("KS-10/second_result_changes_nothing", func(t *testing.T) {
		ts, r, is, _ := fresh()
		ts.settle(r, nil, fail(ErrIssuer, "none"))
		if ts.settle(r, is, nil) || ClassOf(r.err) != ErrIssuer || r.tenant != nil {
			t.Error("a second result was taken")
		}
		ts.close()
	})
}
