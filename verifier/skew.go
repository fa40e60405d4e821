// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	skewWindow   = 5 * time.Minute
	skewReminder = 10 * time.Minute
)

// skewMeter notices from refusals that our clock is behind the issuer's. It decides
// nothing, and tokens that are in time do not touch it. The zero value is ready.
type skewMeter struct {
	mu       sync.Mutex
	last     [3]early
	next     int // in last, the oldest
	reported time.Time
}

// early is a refusal of a token from the future.
type early struct {
	at    time.Time
	ahead time.Duration // of our clock, when it was issued
}

// clockEvidence is by how much our clock must be behind that of the issuer which
// signed a token valid for t, or 0. A token with an iat that has passed and an nbf to
// come was dated ahead on purpose (RFC 7519 §4.1.5); so only without iat does nbf tell
// anything.
func (is *issuer) clockEvidence(t period, now time.Time) time.Duration {
	issued := t.issuedAt
	if issued.IsZero() {
		issued = t.notBefore
	}
	if ahead := issued.Sub(now); ahead > is.leeway {
		return ahead
	}
	return 0
}

// notYet makes the refusal of a token valid for t, whose signature was verified. Like
// every event, the one about the clock denies with [ErrInternal] if the hook panics.
func (is *issuer) notYet(t period, now time.Time, why string) error {
	if ahead := is.clockEvidence(t, now); ahead > 0 {
		if least, due := is.skew.add(early{now, ahead}); due {
			cause := fmt.Errorf("the clock is at least %d s behind the issuer's: "+
				"%d refusals within %d min were of tokens issued after that time",
				least/time.Second, len(is.skew.last), skewWindow/time.Minute)
			if err := emit(is.onEvent, Event{Kind: EventClockSkew, Issuer: is.name, Cause: cause}); err != nil {
				return err
			}
		}
	}
	return &Error{Class: ErrNotYetValid, Cause: errors.New(why)}
}

// add notes a refusal. It returns the smallest difference of the last three if these
// lie close together, unless that was reported lately.
func (m *skewMeter) add(e early) (least time.Duration, due bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last[m.next] = e
	m.next = (m.next + 1) % len(m.last)
	least = e.ahead
	for _, other := range m.last {
		if other.ahead == 0 || !near(e.at, other.at, skewWindow) {
			return 0, false
		}
		least = min(least, other.ahead)
	}
	if !m.reported.IsZero() && near(e.at, m.reported, skewReminder-1) {
		return 0, false
	}
	m.reported = e.at
	return least, true
}

// near: a clock that was set back must not silence the meter for as long.
func near(a, b time.Time, d time.Duration) bool { return a.Sub(b).Abs() <= d }
