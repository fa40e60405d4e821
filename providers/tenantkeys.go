// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"context"
	"sync/atomic"

	"github.com/bearerguard/bearerguard/verifier"
)

// tenantKeys hands out those keys of a shared source that may sign for one tenant. It
// shows no more of the source than that: not Close, since the source outlives the
// tenant, and not PublicOnly, since its address follows from no token.
type tenantKeys struct {
	shared verifier.KeySource
	issuer string
	latest atomic.Pointer[selection]
}

// selection is made once per set of the source, since its pointer is its version.
type selection struct{ of, keys *verifier.KeySet }

// Issuer returns the issuer of the tenant.
func (k *tenantKeys) Issuer() string { return k.issuer }

// Keys translates between the sets of the source and the selections from them. The
// latest selection is read first, and replaced only if it still is the latest: a reader
// who was slow with an older set then asks again, and does not bring that set back.
func (k *tenantKeys) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	for {
		latest := k.latest.Load()
		set, err := k.shared.Keys(ctx, latest.translate(miss))
		switch {
		case err != nil:
			return nil, err
		case latest != nil && latest.of == set:
			return latest.keys, nil
		}
		next := &selection{of: set, keys: set.OfIssuer(signsFor(k.issuer, anyTenant))}
		if k.latest.CompareAndSwap(latest, next) {
			return next.keys, nil
		}
	}
}

// translate makes a miss of the selection one of the set. A miss of an older selection
// needs no translation: any set is newer.
func (s *selection) translate(miss *verifier.Miss) *verifier.Miss {
	if s == nil || miss == nil || miss.Set != s.keys {
		return miss
	}
	return &verifier.Miss{Set: s.of, KeyID: miss.KeyID}
}
