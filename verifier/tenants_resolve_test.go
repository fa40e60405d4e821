// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

var errDatabase = errors.New("database down")

// slowly resolves after d, or when ctx ends.
func (e *estate) slowly(d time.Duration) func(context.Context, string) (verifier.Config, error) {
	return func(ctx context.Context, iss string) (verifier.Config, error) {
		select {
		case <-time.After(d):
			return e.config(iss), nil
		case <-ctx.Done():
			return verifier.Config{}, ctx.Err()
		}
	}
}

// deaf resolves after d whatever its context says.
func (e *estate) deaf(d time.Duration) func(context.Context, string) (verifier.Config, error) {
	return func(_ context.Context, iss string) (verifier.Config, error) {
		time.Sleep(d)
		return e.config(iss), nil
	}
}

func TestSingleResolve(t *testing.T) {
	inBubble(t, "KS-10/hundred_parallel_one_Resolve", func(t *testing.T, e *estate) {
		e.resolve = e.slowly(time.Second)
		var group sync.WaitGroup
		for i := range 100 {
			raw := tenantToken(1, object{"jti": fmt.Sprint(i)})
			group.Go(func() { expect(t, e.v, raw, nil) })
		}
		group.Wait()
		if e.resolved(1) != 1 {
			t.Errorf("%d calls of Resolve, want 1", e.resolved(1))
		}
	})
	inBubble(t, "KS-10/hundred_parallel_one_failure", func(t *testing.T, e *estate) {
		e.resolve = func(ctx context.Context, iss string) (verifier.Config, error) {
			_, _ = e.slowly(time.Second)(ctx, iss)
			return verifier.Config{}, errDatabase
		}
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { wantRetry(t, e.v, tenantToken(1), 5*time.Second) })
		}
		group.Wait()
		if e.resolved(1) != 1 {
			t.Errorf("%d calls of Resolve, want 1", e.resolved(1))
		}
	})
}

func TestCallersLeave(t *testing.T) {
	inBubble(t, "SE-06/first_caller_leaves", func(t *testing.T, e *estate) {
		e.resolve = e.slowly(2 * time.Second)
		var group sync.WaitGroup
		start := time.Now()
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			tok, err := e.v.Verify(ctx, tenantToken(1))
			wantClass(t, tok, err, verifier.ErrKeysUnavailable)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			expect(t, e.v, tenantToken(1), nil)
			if time.Since(start) != 2*time.Second {
				t.Errorf("after %v", time.Since(start))
			}
		})
		group.Wait()
		if e.resolved(1) != 1 {
			t.Errorf("%d calls of Resolve, want 1", e.resolved(1))
		}
	})
	inBubble(t, "SE-06/all_callers_leave", func(t *testing.T, e *estate) {
		e.resolve = e.slowly(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tok, err := e.v.Verify(ctx, tenantToken(1))
		wantClass(t, tok, err, verifier.ErrKeysUnavailable)
		time.Sleep(time.Second)
		expect(t, e.v, tenantToken(1), nil)
		if e.resolved(1) != 1 || e.closings(1) != 0 {
			t.Errorf("%d calls of Resolve, want 1; closed %d times", e.resolved(1), e.closings(1))
		}
	})
	inBubble(t, "SE-06/callers_leave_as_the_result_comes", func(t *testing.T, e *estate) {
		e.resolve = e.slowly(time.Second)
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, _ = e.v.Verify(ctx, tenantToken(1)) // either way
			})
		}
		group.Wait()
		expect(t, e.v, tenantToken(1), nil)
		if err := e.v.Close(); err != nil || e.closings(1) != 1 {
			t.Error("a reference was lost, or given back twice")
		}
	})
	for name, ctx := range map[string]context.Context{
		"nil": nil, "panics": struct{ context.Context }{}, "panics_later": leftAlready{t.Context()},
	} {
		inBubble(t, "SE-06/context_that_is_"+name, func(t *testing.T, e *estate) {
			e.resolve = e.slowly(time.Second)
			var group sync.WaitGroup
			group.Go(func() { expect(t, e.v, tenantToken(1), nil) })
			synctest.Wait()
			tok, err := e.v.Verify(ctx, tenantToken(1))
			wantClass(t, tok, err, verifier.ErrInternal)
			group.Wait()
			*gone = true
			expect(t, e.v, tenantToken(1), verifier.ErrIssuer)
			*gone = false
			if e.closings(1) != 1 {
				t.Errorf("the source was closed %d times, want 1: a reference was lost", e.closings(1))
			}
		}, acceptUnlessGone)
	}
}

// leftAlready is a context that ended and cannot say why.
type leftAlready struct{ context.Context }

func (leftAlready) Done() <-chan struct{} { c := make(chan struct{}); close(c); return c }
func (leftAlready) Err() error            { panic("no reason") }
func (leftAlready) Value(any) any         { panic("no value") }

func TestResolveTakesLong(t *testing.T) {
	for d, class := range map[time.Duration]error{5*time.Second - 1: nil, 5*time.Second + 1: verifier.ErrKeysUnavailable} {
		inBubble(t, fmt.Sprintf("SE-06/Resolve_that_takes_%v", d), func(t *testing.T, e *estate) {
			e.resolve = e.deaf(d)
			start := time.Now()
			expect(t, e.v, tenantToken(1), class)
			if took := time.Since(start); took != min(d, 5*time.Second) {
				t.Errorf("answered after %v", took)
			}
			time.Sleep(time.Second)
			if got, want := e.closings(1), map[error]int32{nil: 0, verifier.ErrKeysUnavailable: 1}[class]; got != want {
				t.Errorf("the source was closed %d times, want %d", got, want)
			}
		})
	}
	inBubble(t, "KS-10/one_call_at_a_time_even_if_it_hangs", func(t *testing.T, e *estate) {
		e.resolve = e.deaf(time.Minute)
		for range 10 {
			wantRetry(t, e.v, tenantToken(1), 5*time.Second)
			time.Sleep(5 * time.Second) // what was remembered has ended; the call has not
		}
		if e.resolved(1) != 1 {
			t.Errorf("%d calls of Resolve, want 1", e.resolved(1))
		}
		time.Sleep(20 * time.Second)
		if e.closings(1) != 1 {
			t.Error("what came late was kept")
		}
		e.resolve = e.slowly(0)
		expect(t, e.v, tenantToken(1), nil)
	})
	inBubble(t, "KS-10/context_of_no_request", func(t *testing.T, e *estate) {
		type key struct{}
		e.resolve = func(ctx context.Context, iss string) (verifier.Config, error) {
			if ctx.Value(key{}) != nil {
				t.Error("the context is that of a request")
			}
			if d, ok := ctx.Deadline(); !ok || time.Until(d) != 5*time.Second {
				t.Errorf("the context ends after %v", time.Until(d))
			}
			return e.config(iss), nil
		}
		_, err := e.v.Verify(context.WithValue(t.Context(), key{}, 1), tenantToken(1))
		if err != nil {
			t.Error(err)
		}
	})
}

func TestFaultyResolve(t *testing.T) {
	for _, tt := range []struct {
		name    string
		resolve func(e *estate, iss string) (verifier.Config, error)
		class   error
	}{
		{"other_issuer", func(e *estate, iss string) (verifier.Config, error) { return e.config(iss + "/"), nil }, verifier.ErrConfig},
		{"no_issuer", func(e *estate, iss string) (verifier.Config, error) { return config(issuedBy("")), nil }, verifier.ErrConfig},
		{"nothing", func(*estate, string) (verifier.Config, error) { return verifier.Config{}, nil }, verifier.ErrConfig},
		{"no_keys", func(_ *estate, iss string) (verifier.Config, error) {
			return config(issuedBy(iss), withSource(nil)), nil
		}, verifier.ErrConfig},
		{"typed_nil_keys", func(_ *estate, iss string) (verifier.Config, error) {
			return config(issuedBy(iss), withSource((*closable)(nil))), nil
		}, verifier.ErrConfig},
		{"no_audience", func(e *estate, iss string) (verifier.Config, error) {
			cfg := e.config(iss)
			cfg.Audience = nil
			return cfg, nil
		}, verifier.ErrConfig},
		{"symmetric_algorithm", func(_ *estate, iss string) (verifier.Config, error) {
			return config(issuedBy(iss), algorithms("HS256")), nil
		}, verifier.ErrConfig},
		{"panic", func(*estate, string) (verifier.Config, error) { panic(errDatabase) }, verifier.ErrInternal},
		{"Goexit", func(*estate, string) (verifier.Config, error) { runtime.Goexit(); panic("") }, verifier.ErrInternal},
		{"panic_in_the_source", func(_ *estate, iss string) (verifier.Config, error) {
			return config(issuedBy(iss), withSource(panickingName{})), nil
		}, verifier.ErrInternal},
		{"panic_in_the_error", func(*estate, string) (verifier.Config, error) { return verifier.Config{}, panickingError{} }, verifier.ErrInternal},
		{"panic_of_its_hook", func(e *estate, iss string) (verifier.Config, error) {
			return config(issuedBy(iss), legacy, func(c *verifier.Config) {
				c.Audience, c.UnsafeSkipAudience = nil, true
				c.OnEvent = func(verifier.Event) { panic("no log") }
			}), nil
		}, verifier.ErrInternal},
		{"plain_error", func(*estate, string) (verifier.Config, error) { return verifier.Config{}, errDatabase }, verifier.ErrKeysUnavailable},
		{"context_error", func(*estate, string) (verifier.Config, error) { return verifier.Config{}, context.Canceled }, verifier.ErrKeysUnavailable},
		{"metadata", func(*estate, string) (verifier.Config, error) { return verifier.Config{}, verifier.ErrMetadata }, verifier.ErrMetadata},
		{"configuration", func(*estate, string) (verifier.Config, error) { return verifier.Config{}, verifier.ErrConfig }, verifier.ErrConfig},
		{"internal", func(*estate, string) (verifier.Config, error) { return verifier.Config{}, verifier.ErrInternal }, verifier.ErrInternal},
		{"class_of_tokens", func(*estate, string) (verifier.Config, error) { return verifier.Config{}, verifier.ErrExpired }, verifier.ErrKeysUnavailable},
		{"no_such_tenant", func(*estate, string) (verifier.Config, error) {
			return verifier.Config{}, fmt.Errorf("gone: %w", verifier.ErrIssuer)
		}, verifier.ErrIssuer},
	} {
		inBubble(t, "MD-15/"+tt.name, func(t *testing.T, e *estate) {
			e.resolve = func(_ context.Context, iss string) (verifier.Config, error) { return tt.resolve(e, iss) }
			for range 3 {
				tok, err := e.v.Verify(t.Context(), tenantToken(1))
				wantClass(t, tok, err, tt.class)
				want := 5 * time.Second
				if tt.class == verifier.ErrIssuer { // no time will help
					want = 0
				}
				if after := retryAfter(err); after != want {
					t.Errorf("retry after %v, want %v", after, want)
				}
			}
			if e.resolved(1) != 1 {
				t.Errorf("%d calls of Resolve, want 1", e.resolved(1))
			}
			if s := e.sources[tenantURL(1)]; s != nil && e.closings(1) != 1 {
				t.Error("the source of a refused configuration was not closed")
			}
			wantFailure(t, e, tt.class)
			e.resolve = e.slowly(0)
			expect(t, e.v, tenantToken(2), nil)
			time.Sleep(30 * time.Second)
			expect(t, e.v, tenantToken(1), nil)
		})
	}
}

type panickingName struct{ verifier.KeySource }

func (panickingName) Issuer() string { panic("no name") }

type panickingError struct{}

func (panickingError) Error() string        { return "?" }
func (panickingError) Is(target error) bool { panic("no comparison") }

// wantFailure fails unless one failure was reported, and every refusal with its issuer.
func wantFailure(t *testing.T, e *estate, class error) {
	t.Helper()
	failures := 0
	for _, ev := range e.events() {
		if ev.Kind == verifier.EventFetchFailed {
			failures++
		}
		if ev.Issuer != tenantURL(1) || ev.Class != class || ev.Kind == verifier.EventAccepted {
			t.Errorf("event %+v", ev)
		}
	}
	if failures != 1 {
		t.Errorf("%d failures reported, want 1", failures)
	}
}

func TestResolveRate(t *testing.T) {
	inBubble(t, "G12/burst_and_refill", func(t *testing.T, e *estate) {
		for n := range 10 {
			expect(t, e.v, garbage(n), verifier.ErrSignature)
		}
		wantRetry(t, e.v, garbage(10), 6*time.Second)
		time.Sleep(6*time.Second - 1)
		wantRetry(t, e.v, garbage(10), 1)
		time.Sleep(time.Nanosecond)
		expect(t, e.v, garbage(10), verifier.ErrSignature)
		wantRetry(t, e.v, garbage(11), 6*time.Second)
		time.Sleep(time.Hour) // no more is saved up than the capacity
		for n := range 10 {
			expect(t, e.v, garbage(100+n), verifier.ErrSignature)
		}
		wantRetry(t, e.v, garbage(11), 6*time.Second)
	}, issuersAtMost(10))
	inBubble(t, "G12/known_issuers_are_unaffected", func(t *testing.T, e *estate) {
		expect(t, e.v, tenantToken(1), nil)
		for n := range 1000 {
			_, _ = e.v.Verify(t.Context(), garbage(100+n))
		}
		expect(t, e.v, tenantToken(1, object{"jti": "new"}), nil)
		if e.resolvedInAll() != 10 {
			t.Errorf("%d calls of Resolve, want 10", e.resolvedInAll())
		}
	}, issuersAtMost(10))
	inBubble(t, "G12/many_distinct_accepted", func(t *testing.T, e *estate) {
		const minutes = 10
		start := time.Now()
		for n := 0; time.Since(start) < minutes*time.Minute; n++ {
			_, _ = e.v.Verify(t.Context(), garbage(n))
			time.Sleep(100 * time.Millisecond)
		}
		if got := e.resolvedInAll(); got > (minutes+1)*20 || got < minutes*20 {
			t.Errorf("%d calls of Resolve in %d minutes, want at most %d", got, minutes, (minutes+1)*20)
		}
		synctest.Wait()
		open := 0
		for _, s := range e.sources {
			if s.closed.Load() == 0 {
				open++
			}
		}
		if open > 20 {
			t.Errorf("%d sources are open, want at most %d", open, 20)
		}
	}, issuersAtMost(20))
}

func TestParallelResolves(t *testing.T) {
	inBubble(t, "G12/hostile_tenant_delays_no_other", func(t *testing.T, e *estate) {
		e.resolve = func(ctx context.Context, iss string) (verifier.Config, error) {
			if iss == tenantURL(66) {
				return e.slowly(time.Hour)(ctx, iss)
			}
			return e.config(iss), nil
		}
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { _, _ = e.v.Verify(t.Context(), garbage(66)) })
		}
		synctest.Wait()
		start := time.Now()
		for n := range 50 {
			expect(t, e.v, tenantToken(n), nil)
		}
		if time.Since(start) != 0 {
			t.Errorf("delayed by %v", time.Since(start))
		}
		group.Wait()
	})
	inBubble(t, "G12/sixteen_at_once", func(t *testing.T, e *estate) {
		var mu sync.Mutex // no larger number may be overwritten by a smaller one
		now, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			now += n
			most = max(most, now)
		}
		e.resolve = func(ctx context.Context, iss string) (verifier.Config, error) {
			count(1)
			defer count(-1)
			return e.slowly(time.Second)(ctx, iss)
		}
		start := time.Now()
		var group sync.WaitGroup
		for n := range 33 {
			group.Go(func() { expect(t, e.v, tenantToken(n), nil) })
		}
		group.Wait()
		if most != 16 || time.Since(start) != 3*time.Second {
			t.Errorf("%d at once, all after %v", most, time.Since(start))
		}
	})
	inBubble(t, "G12/no_slot_for_5_s", func(t *testing.T, e *estate) {
		e.resolve = e.deaf(time.Minute)
		var group sync.WaitGroup
		for n := range 16 {
			group.Go(func() { wantRetry(t, e.v, garbage(n), 5*time.Second) })
		}
		synctest.Wait()
		start := time.Now()
		wantRetry(t, e.v, garbage(16), 5*time.Second)
		if time.Since(start) != 5*time.Second || e.resolved(16) != 0 {
			t.Errorf("answered after %v, %d calls", time.Since(start), e.resolved(16))
		}
		group.Wait()
		time.Sleep(time.Minute)
		e.resolve = e.slowly(0)
		expect(t, e.v, tenantToken(16), nil)
	})
}
