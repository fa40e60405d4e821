// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

func TestTenantsBesideIssuers(t *testing.T) {
	inBubble(t, "MD-15/configured_issuers_first", func(t *testing.T, e *estate) {
		for _, v := range []*verifier.Verifier{
			join(t, newVerifier(t, issuedBy(tenantURL(1))), e.v),
			join(t, e.v, newVerifier(t, issuedBy(tenantURL(1)))),
			join(t, join(t, e.v), newVerifier(t, issuedBy(otherIssuer)), newVerifier(t, issuedBy(tenantURL(1)))),
		} {
			expect(t, v, token(nil, object{"iss": tenantURL(1)}), nil)
			expect(t, v, tenantToken(1), verifier.ErrUnknownKey)
			expect(t, v, tenantToken(2), nil)
			expect(t, v, token(nil, object{"iss": "https://evil.example"}), verifier.ErrIssuer)
		}
		if e.resolved(1) != 0 || e.resolved(2) != 1 {
			t.Errorf("%d and %d calls of Resolve, want 0 and 1", e.resolved(1), e.resolved(2))
		}
	})
	inBubble(t, "JV-37/two_of_NewTenants", func(t *testing.T, e *estate) {
		other := newEstate(t)
		for _, vs := range [][]*verifier.Verifier{{e.v, other.v}, {e.v, e.v}, {join(t, e.v, newVerifier(t)), other.v}} {
			v, err := verifier.Join(vs...)
			if v != nil || !errors.Is(err, verifier.ErrConfig) || !strings.Contains(fmt.Sprint(err), "NewTenants") {
				t.Errorf("got %v, %v; want a configuration error", v, err)
			}
		}
	})
	inBubble(t, "SE-08/events_go_to_whom_they_concern", func(t *testing.T, e *estate) {
		first, second := &recorder{}, &recorder{}
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			cfg := e.config(iss)
			if iss == tenantURL(2) {
				cfg.OnEvent = second.hook
			}
			if iss == tenantURL(3) {
				return cfg, errDatabase
			}
			return cfg, nil
		}
		v := join(t, newVerifier(t, heardBy(first)), e.v)
		heard := func(who *recorder, want ...verifier.Event) {
			t.Helper()
			synctest.Wait()
			got := who.take()
			slices.SortStableFunc(got, func(a, b verifier.Event) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
			if len(got) != len(want) {
				t.Fatalf("events %+v, want %+v", got, want)
			}
			for i, w := range want {
				if g := got[i]; g.Kind != w.Kind || g.Issuer != w.Issuer || g.Class != w.Class {
					t.Errorf("event %+v, want %+v", g, w)
				}
			}
		}
		expectOnce(t, v, token(nil, object{"iss": "https://evil.example"}), verifier.ErrIssuer)
		heard(first, verifier.Event{Kind: verifier.EventRefused, Class: verifier.ErrIssuer})
		expectOnce(t, v, "x", verifier.ErrMalformedToken)
		heard(first, verifier.Event{Kind: verifier.EventRefused, Class: verifier.ErrMalformedToken})
		expectOnce(t, v, tenantToken(1), nil)
		heard(&e.heard, verifier.Event{Kind: verifier.EventAccepted, Issuer: tenantURL(1)})
		expectOnce(t, v, tenantToken(2), nil)
		heard(second, verifier.Event{Kind: verifier.EventAccepted, Issuer: tenantURL(2)})
		expectOnce(t, v, tenantToken(3), verifier.ErrKeysUnavailable)
		heard(&e.heard,
			verifier.Event{Kind: verifier.EventFetchFailed, Issuer: tenantURL(3), Class: verifier.ErrKeysUnavailable},
			verifier.Event{Kind: verifier.EventRefused, Issuer: tenantURL(3), Class: verifier.ErrKeysUnavailable})
		heard(first)
		expectOnce(t, e.v, token(nil, object{"iss": "https://evil.example"}), verifier.ErrIssuer)
		heard(&e.heard, verifier.Event{Kind: verifier.EventRefused, Class: verifier.ErrIssuer})
	})
	inBubble(t, "SE-01/hook_panics_at_a_failure", func(t *testing.T, e *estate) {
		e.resolve = func(context.Context, string) (verifier.Config, error) { return verifier.Config{}, errDatabase }
		expect(t, e.v, tenantToken(1), verifier.ErrInternal)
		expect(t, e.v, tenantToken(1), verifier.ErrInternal)
	}, func(cfg *verifier.Tenants) { cfg.OnEvent = func(verifier.Event) { panic("no log") } })
}

func TestClose(t *testing.T) {
	t.Run("KS-26/configured_issuers", func(t *testing.T) {
		one, two := &closable{source: *keysOne()}, &closable{source: *keysOne(), closing: func() error { return errDatabase }}
		a := newVerifier(t, withSource(one))
		v := join(t, a, newVerifier(t, withSource(two), issuedBy(otherIssuer)), newVerifier(t, issuedBy(tenantURL(1))))
		expect(t, v, token(nil, nil), nil)
		for range 2 {
			if err := v.Close(); !errors.Is(err, errDatabase) {
				t.Errorf("error %v", err)
			}
		}
		if err := a.Close(); err != nil || one.closed.Load() != 1 || two.closed.Load() != 1 {
			t.Errorf("%v; closed %d and %d times, want 1 and 1", err, one.closed.Load(), two.closed.Load())
		}
		for _, iss := range []string{issuerURL, otherIssuer, tenantURL(1)} {
			expect(t, v, token(nil, object{"iss": iss}), verifier.ErrKeysUnavailable)
		}
		expect(t, a, token(nil, nil), verifier.ErrKeysUnavailable)
	})
	t.Run("EO-04/bad_tokens_after_Close", func(t *testing.T) {
		v := newVerifier(t)
		_ = v.Close()
		expect(t, v, "x", verifier.ErrMalformedToken)
		expect(t, v, token(nil, object{"iss": "x"}), verifier.ErrIssuer)
		expect(t, v, token(object{"alg": "none"}, nil), verifier.ErrAlgorithm)
	})
	t.Run("KS-26/nil_and_zero", func(t *testing.T) {
		var none *verifier.Verifier
		if none.Close() != nil || new(verifier.Verifier).Close() != nil {
			t.Error("an error")
		}
	})
	t.Run("KS-26/panic_in_the_source", func(t *testing.T) {
		v := newVerifier(t, withSource(&closable{source: *keysOne(), closing: func() error { panic("no") }}))
		wantClass(t, nil, v.Close(), verifier.ErrInternal)
	})
}

func TestCloseTenants(t *testing.T) {
	inBubble(t, "KS-26/every_tenant_once", func(t *testing.T, e *estate) {
		for n := range 5 {
			expect(t, e.v, tenantToken(n), nil)
			expect(t, e.v, garbage(10+n), verifier.ErrSignature)
		}
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				if err := e.v.Close(); err != nil {
					t.Error(err)
				}
				for n := range 5 {
					if a, b := e.sources[tenantURL(n)].closed.Load(), e.sources[tenantURL(10+n)].closed.Load(); a != 1 || b != 1 {
						t.Errorf("closed %d and %d times, want 1 and 1", a, b)
					}
				}
			})
		}
		group.Wait()
		expect(t, e.v, tenantToken(0), verifier.ErrKeysUnavailable)
		expect(t, e.v, tenantToken(20), verifier.ErrKeysUnavailable)
		expect(t, e.v, token(nil, object{"iss": "https://evil.example"}), verifier.ErrIssuer)
		if e.resolvedInAll() != 10 {
			t.Errorf("%d calls of Resolve, want 10", e.resolvedInAll())
		}
	})
	inBubble(t, "KS-26/ends_what_waits_for_keys", func(t *testing.T, e *estate) {
		for _, of := range []func(src *closable) *verifier.Verifier{
			func(*closable) *verifier.Verifier { return e.v },
			func(src *closable) *verifier.Verifier {
				return newVerifier(t, issuedBy(tenantURL(1)), withSource(src))
			},
		} {
			src := e.hanging(1)
			v := of(src)
			var group sync.WaitGroup
			for range 3 {
				group.Go(func() { expect(t, v, tenantToken(1), verifier.ErrKeysUnavailable) })
			}
			synctest.Wait()
			start := time.Now()
			if err := v.Close(); err != nil {
				t.Error(err)
			}
			group.Wait()
			if took := time.Since(start); took != 0 || src.closed.Load() != 1 {
				t.Errorf("took %v, closed %d times", took, src.closed.Load())
			}
		}
	})
	var shared *closable
	inBubble(t, "KS-26/waits_for_no_request", func(t *testing.T, e *estate) {
		shared = e.hanging(1)
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			return config(issuedBy(iss), withSource(struct{ verifier.KeySource }{shared})), nil // shows no Close
		}
		var group sync.WaitGroup
		group.Go(func() { expect(t, e.v, tenantToken(1), verifier.ErrKeysUnavailable) })
		synctest.Wait()
		start := time.Now()
		if err := e.v.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		group.Wait()
	}, func(cfg *verifier.Tenants) { cfg.OnClose = func() error { return shared.Close() } })
	inBubble(t, "KS-26/pushed_out_and_dropped_ones_too", func(t *testing.T, e *estate) {
		var group sync.WaitGroup
		for n := range 4 { // of 8 places, 2 are for the unproven
			e.hanging(n)
			group.Go(func() { expect(t, e.v, tenantToken(n), verifier.ErrKeysUnavailable) })
			synctest.Wait()
		}
		*gone = true
		expect(t, e.v, tenantToken(3), verifier.ErrIssuer)
		*gone = false
		_ = e.v.Close()
		group.Wait()
		for n := range 4 {
			if e.closings(n) != 1 {
				t.Errorf("the source of tenant %d was closed %d times, want 1", n, e.closings(n))
			}
		}
	}, issuersAtMost(8), acceptUnlessGone)
}

// hanging makes the source of the n-th tenant wait in Keys until it is closed.
func (e *estate) hanging(n int) *closable {
	src := e.holding(n)
	src.closing = sync.OnceValue(func() error { close(src.hold); return nil })
	return src
}

func TestCloseDuringResolve(t *testing.T) {
	inBubble(t, "KS-26/during_Resolve", func(t *testing.T, e *estate) {
		e.resolve = e.slowly(4 * time.Second)
		var group sync.WaitGroup
		start := time.Now()
		for range 10 {
			group.Go(func() { expect(t, e.v, tenantToken(1), verifier.ErrKeysUnavailable) })
		}
		synctest.Wait()
		time.Sleep(time.Second)
		_ = e.v.Close()
		group.Wait()
		if time.Since(start) != time.Second {
			t.Errorf("ended after %v", time.Since(start))
		}
		for _, ev := range e.heard.take() {
			if ev.Kind != verifier.EventRefused {
				t.Errorf("event %+v", ev)
			}
		}
	})
	inBubble(t, "KS-26/during_Resolve_that_goes_on", func(t *testing.T, e *estate) {
		e.resolve = e.deaf(4 * time.Second)
		start := time.Now()
		var group sync.WaitGroup
		group.Go(func() {
			expect(t, e.v, tenantToken(1), verifier.ErrKeysUnavailable)
			if time.Since(start) != time.Second {
				t.Errorf("answered after %v", time.Since(start))
			}
		})
		time.Sleep(time.Second)
		_ = e.v.Close()
		if time.Since(start) != 4*time.Second || e.sources[tenantURL(1)].closed.Load() != 1 {
			t.Errorf("Close ended after %v, and the late source was closed %d times", time.Since(start), e.sources[tenantURL(1)].closed.Load())
		}
		group.Wait()
	})
	inBubble(t, "KS-26/while_waiting_for_a_slot", func(t *testing.T, e *estate) {
		e.resolve = e.slowly(4 * time.Second)
		var group sync.WaitGroup
		for n := range 20 {
			group.Go(func() { expect(t, e.v, tenantToken(n), verifier.ErrKeysUnavailable) })
		}
		synctest.Wait()
		_ = e.v.Close()
		group.Wait()
		if e.resolvedInAll() != 16 {
			t.Errorf("%d calls of Resolve, want 16", e.resolvedInAll())
		}
	})
}
