// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"fmt"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

const (
	skewWorthTelling = 10 * time.Second // a third of the default leeway
	skewReminder     = time.Hour
	maxSkew          = 10 * 365 * 24 * time.Hour
)

// clock is what an answer told about the issuer's clock.
type clock struct {
	ahead    time.Duration // of ours; 0 if within what can be told
	reported time.Time
	told     time.Duration // what was reported then
}

// compareClocks reads Date (RFC 9110 §6.6.1), and Age of an answer that a cache kept
// (RFC 9111 §5.1), against our clock in the middle of the exchange. It is a hint for
// the operator: nothing is decided by it, since whoever answers can write any date.
func (a *attempt) compareClocks(h http.Header, sent, received time.Time) {
	a.clock = clock{reported: a.old.clock.reported, told: a.old.clock.told}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	half := received.Sub(sent) / 2
	ahead := date.Add(age(h)).Sub(sent.Add(half))
	ahead = min(max(ahead, -maxSkew), maxSkew)           // a date of any year can be written
	if ahead.Abs() < skewWorthTelling+half+time.Second { // Date has whole seconds, cut off
		a.clock.told = 0
		return
	}
	a.clock.ahead = ahead.Round(time.Second)
	if received.Sub(a.clock.reported) < skewReminder && (a.clock.ahead-a.clock.told).Abs() < skewWorthTelling {
		return
	}
	a.clock.reported, a.clock.told = received, a.clock.ahead
	a.note(verifier.EventClockSkew, nil, fmt.Errorf("the clock is %s (by the Date header of its key set)", inWords(a.clock.ahead)))
}

func inWords(ahead time.Duration) string {
	if ahead > 0 {
		return fmt.Sprintf("%d s behind the issuer's", ahead/time.Second)
	}
	return fmt.Sprintf("%d s ahead of the issuer's", -ahead/time.Second)
}
