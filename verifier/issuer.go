// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"time"
)

// issuer is the checked form of a Config. Everything about one issuer is kept
// here, so that nothing of another can be mixed in (RFC 8725 §3.8).
type issuer struct {
	name          string
	hint          *string // the name, in memory of its own
	keys          KeySource
	algorithms    map[string]bool
	types         map[string]bool // normalized; "" stands for no typ at all
	marks         []string        // claims that betray another kind of JWT; nil under strict typ
	audience      map[string]bool
	clients       map[string]bool
	skipAud       bool
	unsafeBinding bool
	required      []ClaimPath // what a token must have, beside iss, aud and exp
	names         *claimNames
	demands       []RequiredClaim
	implies       implied
	leeway        time.Duration
	maxBytes      int
	now           func() time.Time // nil: time.Now
	onEvent       func(Event)
	revoked       func(context.Context, RevocationQuery) (bool, error)
	cache         tokenCache
	ending        ending
	skew          skewMeter
}

// firstSight verifies a token that is not in the cache, and puts it there.
func (is *issuer) firstSight(ctx context.Context, u *unverified, digest digest) (*Token, error) {
	if err := is.checkHeader(u.header); err != nil {
		return nil, err
	}
	set, key, err := is.verifySignature(ctx, u)
	if err != nil {
		return nil, err
	}
	facts, err := is.readClaims(u)
	if err != nil {
		return nil, err
	}
	if !is.cache.on() {
		return facts, nil
	}
	if e, ok := newSeen(facts, set, key); ok {
		is.cache.put(digest, e)
	}
	return facts, nil
}

func (is *issuer) checkHeader(h header) error {
	if !is.algorithms[h.alg] {
		return fail(ErrAlgorithm, "alg is not on the issuer's allowlist (Config.Algorithms)")
	}
	if h.hasTyp && h.typ == "" {
		return fail(ErrTokenType, "typ is empty")
	}
	if !is.types[h.typ] {
		return fail(ErrTokenType, "typ is not that of an access token (RFC 9068 §2.1): "+
			"was an ID token sent instead of one? Otherwise, for an issuer older than RFC 9068, "+
			"set Config.Profile to verifier.ProfileJWT, or list its typ in Config.TokenTypes")
	}
	return nil
}

// period is when a token is valid. notBefore and issuedAt are zero if absent.
type period struct{ expiresAt, notBefore, issuedAt time.Time }

// checkTimes is run at first sight and again on every use of a cached token.
func (is *issuer) checkTimes(t period) error {
	now, err := is.time()
	if err != nil {
		return err
	}
	if !now.Before(t.expiresAt.Add(is.leeway)) {
		return fail(ErrExpired, "exp has passed")
	}
	if !t.notBefore.IsZero() && now.Before(t.notBefore.Add(-is.leeway)) {
		return is.notYet(t, now, "nbf lies in the future")
	}
	if !t.issuedAt.IsZero() && now.Add(is.leeway).Before(t.issuedAt) {
		return is.notYet(t, now, "iat lies in the future: are the clocks in step?")
	}
	return nil
}

// time asks Config.Now, or the system's clock.
func (is *issuer) time() (now time.Time, err error) {
	if is.now == nil {
		return time.Now(), nil
	}
	err = guarded("Config.Now", func() error {
		now = is.now()
		return nil
	})
	if err == nil && now.IsZero() { // no time at all: before every exp
		err = fail(ErrInternal, "Config.Now returned the zero time")
	}
	return now, err
}
