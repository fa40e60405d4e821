// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

func TestTenantMemory(t *testing.T) {
	inBubble(t, "G13/garbage_evicts_no_proven_tenant", func(t *testing.T, e *estate) {
		for n := range 6 { // of 8 places, 2 are for the unproven
			expect(t, e.v, tenantToken(n), nil)
		}
		for n := range 200 {
			time.Sleep(10 * time.Second)
			expect(t, e.v, garbage(100+n), verifier.ErrSignature)
		}
		for n := range 6 {
			expect(t, e.v, tenantToken(n, object{"jti": "new"}), nil)
			if e.resolved(n) != 1 || e.closings(n) != 0 {
				t.Errorf("tenant %d: %d calls of Resolve, closed %d times", n, e.resolved(n), e.closings(n))
			}
		}
	}, issuersAtMost(8))
	inBubble(t, "G13/unproven_places", func(t *testing.T, e *estate) {
		for n := range 8 { // as long as nobody else needs them, all places
			expect(t, e.v, garbage(n), verifier.ErrSignature)
		}
		e.wantClosed(t, 8)
		for n := range 4 {
			time.Sleep(10 * time.Second)
			expect(t, e.v, garbage(7), verifier.ErrSignature) // to be named is no use
			expect(t, e.v, tenantToken(20+n), nil)
		}
		e.wantClosed(t, 8, 0, 1, 2, 3)
		for n := range 4 { // and a quarter in any case
			time.Sleep(10 * time.Second)
			expect(t, e.v, tenantToken(30+n), nil)
		}
		e.wantClosed(t, 8, 0, 1, 2, 3, 4, 5, 6)
	}, issuersAtMost(8))
	inBubble(t, "G13/waiting_for_keys_is_no_reason_to_go", func(t *testing.T, e *estate) {
		slow := make(chan struct{})
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			cfg := e.config(iss)
			e.mu.Lock()
			e.sources[iss].hold, e.sources[iss].entered = slow, make(chan struct{}, 100)
			e.mu.Unlock()
			return cfg, nil
		}
		var group sync.WaitGroup
		for range 3 {
			for n := range 8 {
				group.Go(func() { expect(t, e.v, tenantToken(n), nil) })
			}
			time.Sleep(time.Second)
		}
		close(slow)
		group.Wait()
		if n := e.resolvedInAll(); n != 8 {
			t.Errorf("%d calls of Resolve for 8 tenants in 8 places", n)
		}
	}, issuersAtMost(8))
	inBubble(t, "G12/tenants_without_keys_leave_room", func(t *testing.T, e *estate) {
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			cfg := e.config(iss)
			if n, _ := tenantNumber(iss); n < 60 {
				cfg.Keys = &source{err: verifier.ErrKeysUnavailable}
			}
			return cfg, nil
		}
		for range 10 {
			for n := range 60 {
				expect(t, e.v, tenantToken(n), verifier.ErrKeysUnavailable)
			}
			time.Sleep(time.Second)
		}
		for n := range 40 {
			expect(t, e.v, tenantToken(100+n), nil)
		}
		if n := e.resolvedInAll(); n != 100 {
			t.Errorf("%d calls of Resolve for 100 tenants in 200 places", n)
		}
	}, issuersAtMost(200))
	inBubble(t, "G13/proven_places", func(t *testing.T, e *estate) {
		for n := range 8 {
			expect(t, e.v, tenantToken(n), nil)
		}
		time.Sleep(time.Second)
		for _, n := range []int{0, 1, 2} { // whose places 6, 7 and 0 had taken; so only 3 and 4 were not used again
			expect(t, e.v, tenantToken(n), nil)
		}
		e.wantClosed(t, 8)
		for n := range 20 {
			time.Sleep(10 * time.Second)
			expect(t, e.v, garbage(100+n), verifier.ErrSignature)
		}
		e.wantClosed(t, 8, 3, 4)
	}, issuersAtMost(8))
	inBubble(t, "G13/hot_tenant_among_many_good_ones", func(t *testing.T, e *estate) {
		for n := range 100 {
			expect(t, e.v, tenantToken(0), nil)
			expect(t, e.v, tenantToken(1+n), nil)
			time.Sleep(10 * time.Second)
		}
		if e.resolved(0) != 1 {
			t.Errorf("%d calls of Resolve, want 1", e.resolved(0))
		}
	}, issuersAtMost(8))
}

// wantClosed fails unless of the first n tenants just the given ones were closed, once.
func (e *estate) wantClosed(t *testing.T, n int, closed ...int) {
	t.Helper()
	for i := range n {
		want := int32(0)
		if slices.Contains(closed, i) {
			want = 1
		}
		if got := e.closings(i); got != want {
			t.Errorf("tenant %d was closed %d times, want %d", i, got, want)
		}
	}
}

// TestTenantCapacity: as many tenants as there are places are resolved once each.
func TestTenantCapacity(t *testing.T) {
	for _, size := range []int{2, 3, 8, 100} {
		inBubble(t, fmt.Sprintf("G13/%d_tenants_in_as_many_places", size), func(t *testing.T, e *estate) {
			for range 10 { // each sends a token every 30 s
				for n := range size {
					expect(t, e.v, tenantToken(n), nil)
					time.Sleep(30 * time.Second / time.Duration(size))
				}
			}
			if e.resolvedInAll() != size {
				t.Errorf("%d calls of Resolve, want %d", e.resolvedInAll(), size)
			}
			e.wantClosed(t, size)
		}, issuersAtMost(size))
	}
	inBubble(t, "G13/only_accepted_tokens_are_use", func(t *testing.T, e *estate) {
		for n := range 6 {
			expect(t, e.v, tenantToken(n), nil)
		}
		for range 60 { // only 0 is in use, and the others are named by forged tokens
			time.Sleep(time.Minute)
			expect(t, e.v, tenantToken(0), nil)
			for n := 1; n < 6; n++ {
				expect(t, e.v, garbage(n), verifier.ErrSignature)
			}
		}
		for n := 6; n < 12; n++ {
			expect(t, e.v, tenantToken(n), nil)
		}
		e.wantClosed(t, 12, 1, 2, 3, 4)
	}, issuersAtMost(8))
	for pause, first := range map[time.Duration]int{time.Second - 1: 0, time.Second: 1} {
		inBubble(t, fmt.Sprintf("G13/used_again_after_%v", pause), func(t *testing.T, e *estate) {
			for n := range 6 {
				expect(t, e.v, tenantToken(n), nil)
			}
			time.Sleep(pause)
			expect(t, e.v, tenantToken(0), nil)
			expect(t, e.v, tenantToken(6), nil) // takes the place of the first
			for n := range 2 {
				time.Sleep(10 * time.Second)
				expect(t, e.v, garbage(100+n), verifier.ErrSignature)
			}
			e.wantClosed(t, 7, first)
		}, issuersAtMost(8))
	}
}

func TestTenantPlaces(t *testing.T) {
	inBubble(t, "G13/refused_tokens_prove_nothing", func(t *testing.T, e *estate) {
		for n := range 9 { // signed by the tenant, but not for us, or too late
			time.Sleep(10 * time.Second)
			expect(t, e.v, tenantToken(n, object{"aud": "https://other.example"}), verifier.ErrAudience)
			expect(t, e.v, tenantToken(n, object{"exp": noon.Add(-time.Hour).Unix()}), verifier.ErrExpired)
		}
		if e.closings(0) != 1 {
			t.Error("a refused token promoted its tenant")
		}
	}, issuersAtMost(8))
	inBubble(t, "MD-15/MaxIssuers_2", func(t *testing.T, e *estate) {
		for range 3 {
			expect(t, e.v, tenantToken(0), nil)
			expect(t, e.v, tenantToken(1), nil)
		}
		e.wantClosed(t, 2)
		time.Sleep(time.Minute)
		expect(t, e.v, garbage(2), verifier.ErrSignature)
		e.wantClosed(t, 3, 0)
		expect(t, e.v, garbage(1), verifier.ErrSignature)
		e.wantClosed(t, 3, 0)
	}, issuersAtMost(2))
	inBubble(t, "G12/tokens_are_not_kept", func(t *testing.T, e *estate) {
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			if n, _ := tenantNumber(iss); n%2 == 0 {
				return verifier.Config{}, verifier.ErrIssuer
			}
			return config(issuedBy(iss)), nil
		}
		header, pad := b64(goodHeader().String()), strings.Repeat("x", 11_000)
		before := heap()
		for n := range 400 {
			payload := goodClaims().edit(object{"iss": tenantURL(n), "pad": pad}).String()
			_, _ = e.v.Verify(t.Context(), header+"."+b64(payload)+"."+b64("no signature"))
		}
		if after := heap(); after > before+400*8<<10 {
			t.Errorf("%d bytes are kept of each tenant", (after-before)/400)
		}
	}, issuersAtMost(4000), func(cfg *verifier.Tenants) { cfg.OnEvent = nil })
	inBubble(t, "G13/token_cache_of_a_tenant", func(t *testing.T, e *estate) {
		for i := range 257 {
			expectOnce(t, e.v, tenantToken(1, object{"jti": fmt.Sprint(i)}), nil)
		}
		src := e.sources[tenantURL(1)]
		looks := func(i int) int { // one at a hit; verification looks once, too, so it is made to fail
			before := src.calls
			src.set(jwks(jwk(ed(1), object{"kid": "renamed"})))
			_, err := e.v.Verify(t.Context(), tenantToken(1, object{"jti": fmt.Sprint(i)}))
			if err != nil {
				return -1
			}
			return src.calls - before
		}
		if looks(256) != 1 || looks(1) != 1 {
			t.Error("one of the last 256 tokens was forgotten")
		}
		if looks(0) != -1 {
			t.Error("more than 256 tokens are kept")
		}
	})
}

// holding makes the sources of a tenant wait in Keys until they are let go.
func (e *estate) holding(n int) *closable {
	src := &closable{source: source{current: jwks(jwk(ed(n%200), object{"kid": "one"}))}, hold: make(chan struct{}), entered: make(chan struct{}, 100)}
	e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
		if iss != tenantURL(n) {
			return e.config(iss), nil
		}
		e.mu.Lock()
		e.sources[iss] = src
		e.mu.Unlock()
		return config(issuedBy(iss), withSource(src)), nil
	}
	return src
}

func TestEvictionWhileVerifying(t *testing.T) {
	inBubble(t, "KS-26/closed_after_the_last_use", func(t *testing.T, e *estate) {
		src := e.holding(1)
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() { expectOnce(t, e.v, garbage(1), verifier.ErrSignature) })
			<-src.entered
		}
		e.pushOut(t)
		if e.closings(1) != 0 {
			t.Error("closed while in use")
		}
		close(src.hold)
		group.Wait()
		if e.closings(1) != 1 {
			t.Errorf("closed %d times, want 1", e.closings(1))
		}
	}, issuersAtMost(8))
	inBubble(t, "G13/proven_although_evicted_meanwhile", func(t *testing.T, e *estate) {
		src := e.holding(1)
		var group sync.WaitGroup
		group.Go(func() { expect(t, e.v, tenantToken(1), nil) })
		<-src.entered
		e.pushOut(t)
		close(src.hold)
		group.Wait()
		expect(t, e.v, tenantToken(1, object{"jti": "new"}), nil)
		if e.resolved(1) != 1 || e.closings(1) != 0 {
			t.Errorf("%d calls of Resolve, want 1; closed %d times", e.resolved(1), e.closings(1))
		}
	}, issuersAtMost(8))
	inBubble(t, "KS-26/evicted_between_Resolve_and_use", func(t *testing.T, e *estate) {
		e.resolve = e.slowly(time.Second)
		var group sync.WaitGroup
		for n := range 10 { // ten results at once for two places
			group.Go(func() { expect(t, e.v, tenantToken(n), nil) })
		}
		group.Wait()
		if e.resolvedInAll() != 10 {
			t.Errorf("%d calls of Resolve, want 10", e.resolvedInAll())
		}
	}, issuersAtMost(10))
}

func TestEvictedSource(t *testing.T) {
	inBubble(t, "KS-26/source_without_Close", func(t *testing.T, e *estate) {
		shared := &closable{source: source{current: jwks(jwk(ed(1), object{"kid": "one"}))}}
		e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
			return config(issuedBy(iss), withSource(struct{ verifier.KeySource }{shared})), nil
		}
		for n := range 50 {
			expect(t, e.v, tenantToken(1, object{"iss": tenantURL(n)}), nil)
			time.Sleep(10 * time.Second)
		}
		if err := e.v.Close(); err != nil || shared.closed.Load() != 0 {
			t.Errorf("the shared source was closed (%v)", err)
		}
	}, issuersAtMost(8))
	for name, end := range map[string]func() error{
		"error": func() error { return errDatabase },
		"panic": func() error { panic(errDatabase) },
	} {
		inBubble(t, "KS-26/Close_of_an_evicted_source_ends_with_"+name, func(t *testing.T, e *estate) {
			e.resolve = func(_ context.Context, iss string) (verifier.Config, error) {
				cfg := e.config(iss)
				e.sources[iss].closing = end
				return cfg, nil
			}
			for n := range 9 {
				time.Sleep(10 * time.Second)
				expect(t, e.v, garbage(n), verifier.ErrSignature)
			}
			synctest.Wait()
			var warnings []verifier.Event
			for _, ev := range e.heard.take() {
				if ev.Kind == verifier.EventWarning {
					warnings = append(warnings, ev)
				}
			}
			if len(warnings) != 1 || warnings[0].Issuer != tenantURL(0) || warnings[0].Cause == nil {
				t.Errorf("warnings %+v", warnings)
			}
		}, issuersAtMost(8))
	}
}
