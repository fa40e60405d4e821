// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// someKeys hands out those keys of a source that may sign for one tenant. A key set
// is a version: it makes one selection per set of the source.
type someKeys struct {
	source  verifier.KeySource
	accept  func(issuer string) bool
	unnamed bool // a set in which no key names an issuer is taken whole

	mu     sync.Mutex
	latest atomic.Pointer[selection]
}

type selection struct{ of, keys *verifier.KeySet }

// Keys translates between the sets of the source and the selections from them. A miss
// of a selection that is not the latest needs no translation: any set is newer.
func (k *someKeys) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	if s := k.latest.Load(); s != nil && miss != nil && miss.Set == s.keys {
		miss = &verifier.Miss{Set: s.of, KeyID: miss.KeyID}
	}
	set, err := k.source.Keys(ctx, miss)
	if err != nil {
		return nil, err
	}
	if s := k.latest.Load(); s != nil && s.of == set {
		return s.keys, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.latest.Load(); s != nil && s.of == set {
		return s.keys, nil
	}
	s := &selection{of: set, keys: k.choose(set)}
	k.latest.Store(s)
	return s.keys, nil
}

// choose: the key endpoint of a single tenant need not say whose keys these are, but
// if it does, it is taken at its word.
func (k *someKeys) choose(set *verifier.KeySet) *verifier.KeySet {
	if k.unnamed && set.OfIssuer(func(string) bool { return true }).Len() == 0 {
		return set
	}
	return set.OfIssuer(k.accept)
}

// ownKeys is the source of a single tenant: a cache with all its methods, but for
// the selection.
type ownKeys struct {
	*jwkscache.Cache
	some someKeys
}

// Keys is that of the cache, less the keys of other tenants.
func (k *ownKeys) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	return k.some.Keys(ctx, miss)
}

// shared is the cache of all tenants. It is open while a tenant uses it; so it
// belongs to the verifier, which closes the source of every tenant that it drops.
type shared struct {
	cfg jwkscache.Config

	mu    sync.Mutex
	cache *jwkscache.Cache // nil after the last tenant was closed
	users int
}

// open returns the source of one more tenant.
func (s *shared) open(issuer string) (*tenantKeys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cache == nil {
		cache, err := jwkscache.New(s.cfg)
		if err != nil {
			return nil, err
		}
		s.cache = cache
	}
	s.users++
	return &tenantKeys{
		someKeys: someKeys{source: s.cache, accept: signsFor(issuer)},
		issuer:   issuer,
		release:  sync.OnceValue(s.release),
	}, nil
}

// release closes the cache with its last user, outside of the lock: that waits for
// a fetch.
func (s *shared) release() error {
	s.mu.Lock()
	s.users--
	var last *jwkscache.Cache
	if s.users == 0 {
		last, s.cache = s.cache, nil
	}
	s.mu.Unlock()
	return last.Close()
}

// tenantKeys is the source of one of many tenants. It has no more methods of the
// cache than these: Issuer must be the tenant's, and where the keys come from follows
// from no token, so that PublicOnly does not apply.
type tenantKeys struct {
	someKeys
	issuer  string
	release func() error
}

// Issuer returns the issuer of the tenant.
func (k *tenantKeys) Issuer() string { return k.issuer }

// Close ends the use of the shared cache, once.
func (k *tenantKeys) Close() error { return k.release() }
