// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"errors"
	"slices"

	"github.com/bearerguard/bearerguard/internal/alias"
	"github.com/bearerguard/bearerguard/internal/jose"
)

// maxAttempts bounds the public-key operations that one token can cause with one
// key set.
const maxAttempts = 8

// verifySignature finds the key that signed u. One miss may make the source
// refresh its set, since issuers rotate keys and even reuse a kid; the token then
// gets a second and last try.
func (is *issuer) verifySignature(ctx context.Context, u *unverified) (*KeySet, *jose.Key, error) {
	set, err := is.currentKeys(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	key, verr := set.verify(u)
	if verr == nil {
		return set, key, nil
	}
	newer, err := is.currentKeys(ctx, &Miss{Set: set, KeyID: u.header.kid})
	if err != nil {
		if errors.Is(verr, ErrSignature) && set.knows(&u.header) {
			return nil, nil, verr // the key was known: no newer set is needed to say no
		}
		return nil, nil, err
	}
	if newer == set {
		return nil, nil, verr
	}
	if key, verr = newer.verify(u); verr != nil {
		return nil, nil, verr
	}
	return newer, key, nil
}

// currentKeys asks the source, and never lets a failure of the source look like
// a fault of the token.
func (is *issuer) currentKeys(ctx context.Context, miss *Miss) (set *KeySet, err error) {
	if is.ending.begun.Load() {
		return nil, &Error{Class: ErrKeysUnavailable, Cause: errClosed}
	}
	err = guarded("Config.Keys", func() (err error) {
		set, err = is.keys.Keys(ctx, miss)
		return err
	})
	if err != nil {
		return nil, classifySource(err)
	}
	if set == nil {
		return nil, fail(ErrInternal, "Config.Keys returned neither keys nor an error")
	}
	return set, nil
}

func classifySource(err error) error {
	fallback := ErrInternal
	if isContextError(err) {
		fallback = ErrKeysUnavailable
	}
	e := classify(err, fallback)
	switch e.Class {
	case ErrKeysUnavailable, ErrMetadata, ErrConfig, ErrInternal:
		return e
	}
	return fail(ErrInternal, "Config.Keys returned an error of a class that is not about keys: %v", err)
}

// verify tries the candidates for u and returns the key that signed it.
func (s *KeySet) verify(u *unverified) (*jose.Key, error) {
	tried := 0
	for i := range s.keys {
		k := &s.keys[i]
		if !k.suits(&u.header) {
			continue
		}
		if tried == maxAttempts {
			return nil, refuseAfter(tried, !u.header.hasKid)
		}
		tried++
		if k.Verify(u.header.alg, alias.Bytes(u.input), u.signature) {
			return k.Key, nil
		}
	}
	return nil, refuseAfter(tried, false)
}

// refuseAfter says why no key was found after so many attempts; untried: among keys
// that were not tried might be the one.
func refuseAfter(attempts int, untried bool) error {
	switch {
	case attempts == 0:
		return &Error{Class: ErrUnknownKey, Cause: errNoKey}
	case untried:
		return fail(ErrUnknownKey, "no kid, and more than %d keys fit", maxAttempts)
	}
	return &Error{Class: ErrSignature, Cause: errNoSignature}
}

var (
	errNoKey       = errors.New("no key of the issuer fits the token's kid and alg")
	errNoSignature = errors.New("no key that fits the token verifies it")
)

// suits selects by exact kid, without kid by algorithm alone (RFC 7515 §4.1.4). A key
// configured locally without kid is a candidate for any kid.
func (k *candidate) suits(h *header) bool {
	named := k.HasID && k.ID == h.kid
	if h.hasKid && !named && !(k.local && !k.HasID) {
		return false
	}
	return k.Fits(h.alg)
}

// knows tells whether s has the very key that the token names (KS-20). One without
// kid only might be it: then the key can be in a newer set (KS-21).
func (s *KeySet) knows(h *header) bool {
	return h.hasKid && slices.ContainsFunc(s.keys, func(k candidate) bool {
		return k.HasID && k.ID == h.kid && k.Fits(h.alg)
	})
}

// holds tells whether s still has key, by material, alg and use: a new kid for
// the same key is still the same key.
func (s *KeySet) holds(key *jose.Key) bool {
	for _, k := range s.keys {
		if k.Same(key) {
			return true
		}
	}
	return false
}
