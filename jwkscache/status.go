// SPDX-License-Identifier: Apache-2.0

package jwkscache

import "time"

// Status describes a [Cache] at one moment, for health checks and metrics.
type Status struct {
	// Keys is the number of usable keys in the current set.
	Keys int
	// Fetched is when the set was last fetched or confirmed; zero if never.
	Fetched time.Time
	// FreshUntil is the end of its freshness, UsableUntil that of its use while
	// refreshes fail.
	FreshUntil, UsableUntil time.Time
	// Failures counts the attempts that failed since then.
	Failures int
	// Err is the failure of the last attempt; nil if it succeeded or there was none.
	Err error
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
	status := Status{
		Keys:        s.keys.set.Len(),
		Fetched:     s.keys.fetched,
		FreshUntil:  s.keys.freshUntil,
		UsableUntil: s.keys.usableUntil,
		Failures:    s.failures,
	}
	if s.failure != nil {
		status.Err = s.failure
	}
	return status
}
