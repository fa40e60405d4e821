// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// simCooldown is the default pause between fetches for unknown kids (DF-09).
const simCooldown = 30 * time.Second

// observation is one request of a client, and its answer.
type observation struct {
	key      simKey // that the token names, and what signed it
	fault    error  // of its claims: the class it deserves, or nil
	before   bool   // its kid was asked for earlier
	from, to time.Duration
	class    error  // of the answer; nil: accepted
	http     *reply // of the Guard, if that was asked: then class says nothing
}

func (o *observation) accepted() bool {
	if o.http != nil {
		return o.http.status == 200
	}
	return o.class == nil
}

// reply is how the Guard answered.
type reply struct {
	status     int
	retryAfter string
	challenge  string
}

func (o *observation) String() string {
	return fmt.Sprintf("from %v for %v: token of %v with claims %v: %v %v", o.from, o.to-o.from, o.key, o.fault, o.class, o.http)
}

// violation is a broken promise, by its letter in the head of sim_test.go.
type violation struct {
	promise string
	at      time.Duration
	text    string
}

// judge compares one answer with what was known when the request ended; one that ended
// together with an attempt may have seen either side of it.
func (h *history) judge(o *observation) *violation {
	if v := h.judgeWait(o); v != nil {
		return v
	}
	after := h.until(o.to)
	wrong := h.misfit(o, after)
	if wrong != nil && o.from == o.to {
		for i := h.index(o.to); i < len(h.states) && h.states[i].at == o.to && wrong != nil; i++ {
			wrong = h.misfit(o, h.states[i-1])
		}
	}
	return wrong
}

// misfit says why the answer is wrong in state s, or nil.
func (h *history) misfit(o *observation, s simState) *violation {
	promise, want := h.verdict(o, s)
	switch {
	case o.http != nil && o.http.means(want), o.http == nil && o.class == want:
		return h.judgeUnknown(o, s, want)
	case o.accepted():
		promise = "B"
	case o.http != nil:
	case want == verifier.ErrKeysUnavailable && o.class == verifier.ErrMetadata && !s.known:
		return nil
	case want == verifier.ErrUnknownKey && o.class == verifier.ErrSignature && o.to > o.from:
		return nil // the set that the request began with had that kid
	}
	return &violation{promise, o.to, fmt.Sprintf("want %v, %v", want, o)}
}

// verdict is the answer that o deserves in state s, and the promise it rests on.
func (h *history) verdict(o *observation, s simState) (promise string, class error) {
	switch {
	case !s.known || o.to >= s.usable:
		return "E", verifier.ErrKeysUnavailable
	case slices.Contains(s.keys, o.key):
		return "A", o.fault
	case slices.ContainsFunc(s.keys, func(k simKey) bool { return k.kid == o.key.kid && k.alg() == o.key.alg() }):
		return "B", verifier.ErrSignature
	case s.failures > 0:
		return "E", verifier.ErrKeysUnavailable
	}
	return "B", verifier.ErrUnknownKey
}

// judgeUnknown: that a key is unknown may be said without a look at the issuer for one
// cooldown, and for two about a kid that was looked for in vain.
func (h *history) judgeUnknown(o *observation, s simState, class error) *violation {
	limit := h.cooldown
	if o.before {
		limit *= 2
	}
	if class == verifier.ErrUnknownKey && o.to >= s.good+limit {
		return &violation{"A", o.to, fmt.Sprintf("refused on knowledge %v old: %v", o.to-s.good, o)}
	}
	return nil
}

// judgeWait: nobody waits longer than an attempt can take, and a known key does not
// wait at all, but when fresh keys last so shortly that none are fetched ahead.
func (h *history) judgeWait(o *observation) *violation {
	limit := 5 * time.Second
	if h.discovery {
		limit *= 2
	}
	wait := o.to - o.from
	s := h.before(o.from)
	tie := h.until(o.from).at == o.from
	ahead := o.from < s.fresh || s.failures > 0 || s.lifetime >= 5*time.Minute
	steady := !tie && o.from < s.usable && slices.Contains(s.keys, o.key) && ahead
	if wait > limit || steady && wait > 0 {
		return &violation{"D", o.from, fmt.Sprintf("waited %v: %v", wait, o)}
	}
	return nil
}

// means tells whether r is the answer of the Guard to class: with a challenge only if
// the client is at fault, and with a time to come again only if it is not.
func (r *reply) means(class error) bool {
	switch class {
	case nil:
		return *r == reply{status: 200}
	case verifier.ErrKeysUnavailable:
		seconds, err := strconv.Atoi(r.retryAfter)
		return err == nil && seconds >= 1 && *r == reply{status: 503, retryAfter: r.retryAfter}
	}
	return *r == reply{status: 401, challenge: "Bearer"}
}

// ceiling is the longest pause after so many failures in a row (KS-13).
func ceiling(failures int) time.Duration {
	return min(2*time.Second<<min(failures-1, 10), time.Minute)
}

// useEvery is the longest time between two requests.
const useEvery = 2 * time.Minute

// judgeFetches looks at the pauses between attempts: long enough for the issuer, and
// short enough for its users.
func (h *history) judgeFetches() (list []violation) {
	for i, a := range h.attempts {
		for _, s := range a.steps {
			if s.overlap || s.part == "evil" || s.conditional != "" && s.conditional != h.states[i].etag {
				list = append(list, violation{"C", s.from, fmt.Sprintf("a request that must not be: %v", a)})
			}
		}
		next := h.length
		if i+1 < len(h.attempts) {
			next = h.attempts[i+1].from
		}
		least, most := h.pause(h.states[i+1], a)
		pause := next - a.to
		if pause < least && i+1 < len(h.attempts) {
			list = append(list, violation{"C", a.to, fmt.Sprintf("%v to the next attempt, want %v or more: %v", pause, least, a)})
		}
		if pause > most {
			list = append(list, violation{"A", a.to, fmt.Sprintf("%v without an attempt, want %v at most: %v", pause, most, a)})
		}
	}
	return append(list, h.judgeTotal()...)
}

// pause bounds the time after an attempt that led to s. A refresh ahead is made even
// if no request comes at that moment: by then the keys have been in use again.
func (h *history) pause(s simState, a *simAttempt) (least, most time.Duration) {
	switch {
	case s.failures == 0 && s.lifetime*8/10 > useEvery:
		return min(h.cooldown, time.Minute), s.lifetime * 9 / 10
	case s.failures == 0:
		return min(h.cooldown, time.Minute), max(s.lifetime*9/10, time.Minute) + useEvery
	}
	asked := min(a.last().retryAfter, 5*time.Minute*10/11)
	return max(ceiling(s.failures)/2, asked), max(ceiling(s.failures), asked*11/10) + useEvery
}

// judgeTotal: an attempt per cooldown at most, but for the first five of each outage.
func (h *history) judgeTotal() []violation {
	outages := 0
	for i := range h.attempts {
		if h.states[i].failures == 0 && h.states[i+1].failures > 0 {
			outages++
		}
	}
	most := int(h.length/min(h.cooldown, simCooldown)) + 5*outages + 1
	if len(h.attempts) > most {
		return []violation{{"C", 0, fmt.Sprintf("%d attempts, want %d at most", len(h.attempts), most)}}
	}
	return nil
}

// judgeMetadata: it is renewed within an hour, sooner only if the key set has gone
// from its place; while it cannot be renewed, the key set is asked for all the same.
func (h *history) judgeMetadata() (list []violation) {
	var good, tried time.Duration = -1, -1 // when it last came, and was last asked for
	gone := false
	for _, a := range h.attempts {
		first, last := a.steps[0], a.last()
		asks := first.part == "metadata"
		if asks && good >= 0 && !gone && first.from < good+54*time.Minute {
			list = append(list, violation{"C", a.from, fmt.Sprintf("metadata was fetched %v ago: %v", a.from-good, a)})
		}
		if !asks && h.discovery && first.from >= tried+time.Hour {
			list = append(list, violation{"A", a.from, fmt.Sprintf("metadata was asked for %v ago: %v", a.from-tried, a)})
		}
		if last.part == "metadata" && good >= 0 && a.to < good+time.Hour+h.maxStale {
			list = append(list, violation{"A", a.to, fmt.Sprintf("the key set was not asked for: %v", a)})
		}
		for _, s := range a.steps {
			if s.part == "metadata" {
				tried = s.to
			}
			if s.part == "metadata" && s.good {
				good, gone = s.to, false
			}
		}
		gone = gone || last.part == "keys" && last.refused()
	}
	return list
}
