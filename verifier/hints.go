// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// hints say of which issuer a token was when it was verified, so that one seen before is
// found in the cache of its issuer without being read. They decide nothing: the digest
// must be in that cache, and a hint that another token has taken costs time only. Their
// number is fixed, and only verified tokens leave one.
type hints struct {
	once  sync.Once
	count int // a power of two
	slots []atomic.Pointer[string]
}

const (
	minHints = 4_096
	maxHints = 65_536
)

// newHints has room for the tokens of so many issuers.
func newHints(issuers int) *hints {
	n := minHints
	for n < maxHints && n < 4*issuers {
		n *= 2
	}
	return &hints{count: n}
}

func (h *hints) slot(digest digest) *atomic.Pointer[string] {
	h.once.Do(func() { h.slots = make([]atomic.Pointer[string], h.count) })
	return &h.slots[binary.LittleEndian.Uint64(digest[8:])&uint64(h.count-1)]
}

// put notes the issuer of a verified token.
func (h *hints) put(digest digest, is *issuer) {
	if s := h.slot(digest); s.Load() != is.hint { // a plain read where many cores share it
		s.Store(is.hint)
	}
}

// seenBefore returns the token of a digest with its issuer, or nil if it has to be read.
func (v *Verifier) seenBefore(ctx context.Context, digest digest) (*Token, *issuer, error) {
	if v.only != nil {
		tok, err := v.only.seenBefore(ctx, digest)
		return tok, v.only, err
	}
	name := v.hints.slot(digest).Load()
	if name == nil {
		return nil, nil, nil
	}
	if is := v.issuers[*name]; is != nil {
		tok, err := is.seenBefore(ctx, digest)
		return tok, is, err
	}
	if v.tenants == nil {
		return nil, nil, nil
	}
	return v.tenants.seenBefore(ctx, *name, digest)
}

// seenBefore is [issuer.seenBefore] for a tenant, which the application is asked about
// as at first sight. What it says about an issuer is of no meaning for a token that is
// another's, so the digest is looked for first.
func (ts *tenants) seenBefore(ctx context.Context, iss string, digest digest) (*Token, *issuer, error) {
	t := ts.known(iss)
	if t == nil {
		return nil, nil, nil
	}
	defer ts.release(t)
	if _, found := t.is.cache.get(digest); !found {
		return nil, nil, nil
	}
	if err := ts.admit(iss); err != nil {
		return nil, nil, err
	}
	tok, err := t.is.seenBefore(ctx, digest)
	if tok != nil {
		ts.proved(t)
	}
	return tok, t.is, err
}
