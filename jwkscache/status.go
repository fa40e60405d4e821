// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// Status describes a [Cache] at one moment, for health checks and metrics.
type Status struct {
	// Keys are the usable keys of the current set.
	Keys []verifier.KeyInfo
	// Fetched is when the set was last fetched or confirmed; zero if never.
	Fetched time.Time
	// FreshUntil is the end of its freshness, UsableUntil that of its use while
	// refreshes fail.
	FreshUntil, UsableUntil time.Time
	// Failures counts the attempts that failed since then.
	Failures int
	// Err is the failure of the last attempt, or of the last attempt to renew the
	// metadata while the key set itself can be fetched; nil if there is none.
	Err error
	// NextAttempt is when the issuer may be asked next, unless a token names an unknown
	// kid; a source that is not in use waits longer. Zero before the first attempt.
	NextAttempt time.Time
	// ClockSkew is how far the issuer's clock was ahead of ours at the last fetch, by its
	// Date header, negative if it was behind; 0 if that is less than about 10 s or not
	// known. It is a hint, see [verifier.EventClockSkew].
	ClockSkew time.Duration
}

// Status returns the present state without waiting. It does not count as use. The
// zero Status is that of a cache without keys, also after Close.
func (c *Cache) Status() Status {
	if c == nil {
		return Status{}
	}
	s := c.state.Load()
	if s == nil {
		return Status{}
	}
	return Status{
		Keys:        s.keys.set.Describe(),
		Fetched:     s.keys.fetched,
		FreshUntil:  s.keys.freshUntil,
		UsableUntil: s.keys.usableUntil,
		Failures:    s.failures,
		Err:         s.trouble(),
		NextAttempt: s.next,
		ClockSkew:   s.clock.ahead,
	}
}

// trouble is what does not work at the issuer, nil if all does.
func (s *snapshot) trouble() error {
	switch {
	case s.failure != nil:
		return s.failure
	case s.meta != nil && s.meta.failure != nil:
		return s.meta.failure
	}
	return nil
}
