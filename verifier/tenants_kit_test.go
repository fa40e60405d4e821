// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// tenantURL is the issuer of the n-th tenant of the tests, whose key is ed(n%200).
func tenantURL(n int) string { return fmt.Sprintf("https://t%d.example", n) }

// tenantNumber is the exact inverse of tenantURL.
func tenantNumber(iss string) (n int, ok bool) {
	_, err := fmt.Sscanf(iss, "https://t%d.example", &n)
	return n, err == nil && tenantURL(n) == iss
}

// tenantToken is a good token of the n-th tenant; all keys bear the kid one.
func tenantToken(n int, edits ...object) string {
	claims := goodClaims().edit(object{"iss": tenantURL(n)})
	for _, e := range edits {
		claims = claims.edit(e)
	}
	return sign(ed(n%200), "EdDSA", goodHeader().edit(object{"alg": "EdDSA"}).String(), claims.String())
}

// garbage names the n-th tenant, and nobody signed it.
func garbage(n int) string {
	header := goodHeader().edit(object{"alg": "EdDSA"}).String()
	return b64(header) + "." + b64(goodClaims().edit(object{"iss": tenantURL(n)}).String()) + "." + b64("no signature")
}

// closable is a source that counts how often it was closed; with hold set, Keys waits
// for that channel.
type closable struct {
	source
	hold    chan struct{}
	entered chan struct{}
	closed  atomic.Int32
	closing func() error
}

func (c *closable) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	if c.hold != nil {
		c.entered <- struct{}{}
		<-c.hold
	}
	if c.closed.Load() > 0 {
		return nil, verifier.ErrKeysUnavailable
	}
	return c.source.Keys(ctx, miss)
}

func (c *closable) Close() error {
	c.closed.Add(1)
	if c.closing != nil {
		return c.closing()
	}
	return nil
}

// estate is an application with many tenants.
type estate struct {
	v       *verifier.Verifier
	heard   recorder
	asked   atomic.Int32 // calls of Accept
	resolve func(ctx context.Context, iss string) (verifier.Config, error)

	mu      sync.Mutex
	calls   map[string]int
	total   int
	sources map[string]*closable // the last one made for each
}

// newEstate accepts every tenantURL, and resolves it unless resolve is changed.
func newEstate(t testing.TB, edits ...func(*verifier.Tenants)) *estate {
	t.Helper()
	e := &estate{calls: map[string]int{}, sources: map[string]*closable{}}
	e.resolve = func(_ context.Context, iss string) (verifier.Config, error) { return e.config(iss), nil }
	cfg := verifier.Tenants{
		Accept: func(iss string) bool {
			e.asked.Add(1)
			_, ok := tenantNumber(iss)
			return ok
		},
		Resolve: func(ctx context.Context, iss string) (verifier.Config, error) {
			e.mu.Lock()
			e.calls[iss]++
			e.total++
			e.mu.Unlock()
			return e.resolve(ctx, iss)
		},
		OnEvent: e.heard.hook,
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	v, err := verifier.NewTenants(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.v = v
	return e
}

// config is that of a tenant, with a source of its own.
func (e *estate) config(iss string) verifier.Config {
	n, _ := tenantNumber(iss)
	src := &closable{source: source{current: jwks(jwk(ed(n%200), object{"kid": "one"}))}}
	e.mu.Lock()
	e.sources[iss] = src
	e.mu.Unlock()
	return config(issuedBy(iss), withSource(src))
}

// events are those since the last call, with the reports that no request waited for.
func (e *estate) events() []verifier.Event {
	synctest.Wait()
	return e.heard.take()
}

// resolved is how often Resolve was called for the n-th tenant.
func (e *estate) resolved(n int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[tenantURL(n)]
}

func (e *estate) resolvedInAll() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

// closings is how often the last source of the n-th tenant was closed.
func (e *estate) closings(n int) int32 {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sources[tenantURL(n)].closed.Load()
}

// inBubble runs a test of an estate in virtual time and closes it.
func inBubble(t *testing.T, name string, test func(t *testing.T, e *estate), edits ...func(*verifier.Tenants)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := newEstate(t, edits...)
			test(t, e)
			if err := e.v.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

func issuersAtMost(n int) func(*verifier.Tenants) {
	return func(cfg *verifier.Tenants) { cfg.MaxIssuers = n }
}

// wantRetry fails unless raw is refused as unavailable for so long.
func wantRetry(t *testing.T, v *verifier.Verifier, raw string, want time.Duration) {
	t.Helper()
	tok, err := v.Verify(t.Context(), raw)
	wantClass(t, tok, err, verifier.ErrKeysUnavailable)
	if got := retryAfter(err); got != want {
		t.Errorf("retry after %v, want %v (%v)", got, want, err)
	}
}

func retryAfter(err error) time.Duration {
	var e *verifier.Error
	if !errors.As(err, &e) {
		return -1
	}
	return e.RetryAfter
}
