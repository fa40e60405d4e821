// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	defaultFresh = 15 * time.Minute
	minFresh     = time.Minute
	maxFresh     = 24 * time.Hour

	firstBackoff = 2 * time.Second
	maxBackoff   = time.Minute
	maxRetry     = 5 * time.Minute // what a server can bring about by Retry-After
)

// freshness reads how long an answer may be used (RFC 9111 §4.2), within a minute
// and a day: an issuer can neither make us hammer it nor keep a withdrawn key here.
func freshness(h http.Header, now time.Time) time.Duration {
	lifetime, ok := cacheControl(h.Values("Cache-Control"))
	if !ok {
		lifetime, ok = expires(h, now)
	}
	if !ok {
		return defaultFresh
	}
	return min(max(lifetime-age(h), minFresh), maxFresh)
}

// cacheControl returns the lifetime that the directives set, and whether they set
// one. What cannot be read counts as already stale, as does a repeated max-age,
// which RFC 9111 §4.2.1 allows.
func cacheControl(lines []string) (lifetime time.Duration, ok bool) {
	for directive := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "no-store", "no-cache":
			return 0, true
		case "max-age":
			if ok {
				return 0, true
			}
			lifetime, ok = deltaSeconds(value), true
		}
	}
	return lifetime, ok
}

// deltaSeconds reads RFC 9111 §1.2.2, in quotes or without; 0 if it is none.
func deltaSeconds(value string) time.Duration {
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	seconds, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return 0
	}
	// Age is subtracted later, so the bound leaves room for it.
	return time.Duration(min(seconds, uint64(10*365*24*time.Hour/time.Second))) * time.Second
}

// expires reads Expires against Date (RFC 9111 §5.3); a bad date is in the past.
func expires(h http.Header, now time.Time) (time.Duration, bool) {
	lines := h.Values("Expires")
	if len(lines) == 0 {
		return 0, false
	}
	end, err := http.ParseTime(lines[0])
	if err != nil || len(lines) > 1 {
		return 0, true
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(end.Sub(now), 0), true // else less Age could wrap round
}

func age(h http.Header) time.Duration { return deltaSeconds(h.Get("Age")) }

// jitter draws from 0 to n-1. What it decides is no secret: instances that started
// together must drift apart.
type jitter func(n uint64) uint64

// refreshAhead is when to refresh what stays fresh for d: at 80 to 90 % of it.
func (j jitter) refreshAhead(d time.Duration) time.Duration { return j.between(d*8/10, d*9/10) }

// backoff is the wait after the given number of failures in a row. A server's own
// wish can lengthen it, up to a limit (RFC 9110 §10.2.3), and has up to 10 % added:
// it asks all instances for the same time.
func (j jitter) backoff(failures int, retryAfter time.Duration) time.Duration {
	ceiling := maxBackoff
	if failures < 6 {
		ceiling = min(firstBackoff<<(failures-1), maxBackoff)
	}
	asked := min(retryAfter, maxRetry*10/11)
	return max(j.between(ceiling/2, ceiling), j.between(asked, asked*11/10))
}

// between is a random duration from lo to hi.
func (j jitter) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(j(uint64(hi-lo)+1))
}
