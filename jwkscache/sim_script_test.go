// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Times of the simulation are counted from the start of the run, as in its reports.

// fault is what the issuer does instead of answering well, for a while.
type fault struct {
	kind     string
	part     string // which document: "metadata", "keys", or "" for both
	from, to time.Duration
	number   time.Duration // what the kind needs: a delay, a period, a Retry-After
}

func (f *fault) String() string {
	part := f.part
	if part == "" {
		part = "everything"
	}
	return fmt.Sprintf("%v to %v: %s of %s (%v)", f.from, f.to, f.kind, part, f.number)
}

// faultKind says how a kind of fault is drawn.
type faultKind struct {
	name    string
	longest time.Duration // bounds what is dear to simulate, and what is not an outage
	numbers []time.Duration
}

// faultKinds is everything an issuer can do. Which of these answers are good is
// decided where they are made, in sim_issuer_test.go.
var faultKinds = []faultKind{
	{"refused", 30 * time.Hour, nil},
	{"reset", 3 * time.Hour, nil},
	{"status_500", 30 * time.Hour, nil},
	{"status_404", 3 * time.Hour, nil},
	{"status_429", 3 * time.Hour, []time.Duration{0, 7 * time.Second, 90 * time.Second, time.Hour}},
	{"status_503", 12 * time.Hour, []time.Duration{0, 7 * time.Second, 90 * time.Second, time.Hour}},
	{"hang", 12 * time.Hour, nil},
	{"flap", 3 * time.Hour, []time.Duration{3 * time.Second, 10 * time.Second, 45 * time.Second, 90 * time.Second}},
	{"slow", 6 * time.Hour, []time.Duration{time.Second, 3 * time.Second, 4900 * time.Millisecond}},
	{"too_slow", 3 * time.Hour, []time.Duration{5100 * time.Millisecond, 20 * time.Second}},
	{"drip", 10 * time.Minute, nil},
	{"error_page", 12 * time.Hour, nil},
	{"empty_body", time.Hour, nil},
	{"empty_set", 12 * time.Hour, nil},
	{"useless_set", 12 * time.Hour, nil},
	{"array", time.Hour, nil},
	{"truncated", 3 * time.Hour, nil},
	{"wrong_length", 3 * time.Hour, nil},
	{"trailing", time.Hour, nil},
	{"redirect", 3 * time.Hour, nil},
	{"oversized", 10 * time.Minute, nil},
	{"gzip_bomb", 10 * time.Minute, nil},
	{"duplicate_member", 3 * time.Hour, nil},
	{"bare_304", 3 * time.Hour, nil},
	{"other_issuer", 3 * time.Hour, nil},
	// These are answers that a cache has to take.
	{"content_type", 6 * time.Hour, nil},
	{"duplicate_kids", 6 * time.Hour, nil},
	{"private_keys", 6 * time.Hour, nil},
	{"junk_keys", 6 * time.Hour, nil},
}

// publication is the key set from one time on, or the key that signs from then on.
type publication struct {
	at   time.Duration
	keys []simKey
}

// policy is what the issuer says about caching from one time on.
type policy struct {
	at       time.Duration
	headers  []string // pairs
	lifetime time.Duration
	skew     time.Duration // of the issuer's clock, in Date and Expires
	etag     bool
}

// script is everything that happens in one run.
type script struct {
	seed       uint64
	length     time.Duration
	discovery  bool
	tokenCache bool
	maxStale   time.Duration
	cooldown   time.Duration
	faults     []*fault
	published  []publication
	signing    []publication // one key each
	policies   []policy
}

// newScript draws a script from its seed.
func newScript(seed uint64, length time.Duration) *script {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &script{
		seed:       seed,
		length:     length,
		discovery:  seed%3 == 0,
		tokenCache: seed%2 == 0,
		maxStale:   []time.Duration{24 * time.Hour, 24 * time.Hour, time.Hour, 0, 72 * time.Hour}[r.IntN(5)],
	}
	s.drawKeys(r)
	s.drawPolicies(r)
	s.drawFaults(r)
	s.cooldown = []time.Duration{simCooldown, simCooldown, simCooldown, time.Second, 10 * time.Minute}[r.IntN(5)]
	return s
}

func span(r *rand.Rand, lo, hi time.Duration) time.Duration {
	return lo + time.Duration(r.Int64N(int64(hi-lo)+1))
}

// drawKeys makes the rotations: with overlap, without, with the key published after
// its first use, by a sudden withdrawal, and under a kid that was used before.
func (s *script) drawKeys(r *rand.Rand) {
	made := 0
	fresh := func() simKey {
		made++
		return simKey{fmt.Sprintf("s%d-k%d", s.seed, made), made % simTwin}
	}
	now, spare := fresh(), fresh()
	s.publish(0, now, spare)
	s.sign(0, now)
	for t := span(r, time.Minute, 6*time.Hour); t < s.length; t += span(r, 10*time.Minute, 8*time.Hour) {
		next := fresh()
		switch r.IntN(5) {
		case 0: // overlap
			s.publish(t, now, next)
			t += span(r, 30*time.Second, time.Hour)
			s.sign(t, next)
			t += span(r, time.Minute, 5*time.Hour)
			s.publish(t, next)
		case 1: // hard swap
			s.publish(t, next)
			s.sign(t, next)
		case 2: // published late
			s.sign(t, next)
			t += span(r, time.Second, 20*time.Minute)
			s.publish(t, now, next)
		case 3: // the spare key takes over and the burnt one is gone
			next = spare
			spare = fresh()
			s.publish(t, next, spare)
			s.sign(t, next)
		case 4: // another key under the same kid
			next.kid = now.kid
			s.publish(t, next)
			s.sign(t, next)
		}
		now = next
	}
}

func (s *script) publish(at time.Duration, keys ...simKey) {
	s.published = append(s.published, publication{at, keys})
}

func (s *script) sign(at time.Duration, key simKey) {
	s.signing = append(s.signing, publication{at, []simKey{key}})
}

func (s *script) drawPolicies(r *rand.Rand) {
	for t := time.Duration(0); t < s.length; t += span(r, 2*time.Hour, 20*time.Hour) {
		p := []policy{
			{lifetime: 15 * time.Minute},
			{lifetime: 15 * time.Minute},
			{headers: []string{"Cache-Control", "max-age=300"}, lifetime: 5 * time.Minute},
			{headers: []string{"Cache-Control", "public, max-age=3600", "Age", "600"}, lifetime: 50 * time.Minute},
			{headers: []string{"Cache-Control", "no-store"}, lifetime: time.Minute},
			{headers: []string{"Cache-Control", "max-age=1"}, lifetime: time.Minute},
			{headers: []string{"Cache-Control", "max-age=31536000"}, lifetime: 24 * time.Hour},
			{headers: []string{"Cache-Control", "max-age=21600, stale-while-revalidate=9"}, lifetime: 6 * time.Hour},
			{headers: []string{"Expires", "in ten minutes"}, lifetime: 10 * time.Minute},
			{headers: []string{"Expires", "0"}, lifetime: time.Minute},
		}[r.IntN(10)]
		p.at, p.etag = t, r.IntN(2) == 0
		if r.IntN(3) == 0 {
			p.skew = span(r, -10*time.Minute, 10*time.Minute)
		}
		s.policies = append(s.policies, p)
	}
}

// drawFaults fills the run with faults, one after the other with pauses between. One
// seed in five begins with a fault, before there are any keys; one in four has an
// outage around the default bound of stale use.
func (s *script) drawFaults(r *rand.Rand) {
	t := span(r, time.Minute, 4*time.Hour)
	if s.seed%5 == 0 {
		t = 0
	}
	for t < s.length {
		kind := faultKinds[r.IntN(len(faultKinds))]
		f := &fault{kind: kind.name, from: t, to: t + drawLength(r, kind.longest)}
		if len(kind.numbers) > 0 {
			f.number = kind.numbers[r.IntN(len(kind.numbers))]
		}
		if s.discovery {
			f.part = []string{"", "", "keys", "metadata"}[r.IntN(4)]
		}
		s.faults = append(s.faults, f)
		t = f.to + span(r, time.Minute, 6*time.Hour)
	}
	if s.seed%4 == 0 && s.length > 40*time.Hour {
		from := span(r, time.Hour, s.length-32*time.Hour)
		s.faults = append(s.faults, &fault{kind: "refused", from: from, to: from + span(r, 20*time.Hour, 30*time.Hour)})
	}
}

// drawLength: from a second to the longest, the short ones more often.
func drawLength(r *rand.Rand, longest time.Duration) time.Duration {
	steps := []time.Duration{time.Second, 30 * time.Second, 10 * time.Minute, 2 * time.Hour, 12 * time.Hour, 30 * time.Hour}
	i := min(r.IntN(5), r.IntN(6))
	return min(span(r, steps[i], steps[i+1]), longest)
}

// faultAt is the fault of a document at t: of several the one that began last.
func (s *script) faultAt(t time.Duration, part string) (found *fault) {
	for _, f := range s.faults {
		if f.from <= t && t < f.to && (f.part == "" || f.part == part) && (found == nil || f.from > found.from) {
			found = f
		}
	}
	if found != nil && found.kind == "flap" && (t-found.from)/found.number%2 == 1 {
		return nil
	}
	return found
}

func keysAt(list []publication, t time.Duration) []simKey {
	i, found := slices.BinarySearchFunc(list, t, func(p publication, t time.Duration) int { return int(p.at - t) })
	if !found {
		i--
	}
	return list[i].keys
}

func (s *script) policyAt(t time.Duration) (p policy) {
	for _, next := range s.policies {
		if next.at <= t {
			p = next
		}
	}
	return p
}

// around prints what is scripted near t, for the report of a violation.
func (s *script) around(t time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  seed %d: discovery %v, token cache %v, MaxStale %v, UnknownKeyCooldown %v\n", s.seed, s.discovery, s.tokenCache, s.maxStale, s.cooldown)
	for _, f := range s.faults {
		if f.from-time.Hour <= t && t <= f.to+time.Hour {
			fmt.Fprintf(&b, "  %v\n", f)
		}
	}
	for _, p := range s.published {
		if (p.at - t).Abs() < 3*time.Hour {
			fmt.Fprintf(&b, "  %v: publishes %v\n", p.at, p.keys)
		}
	}
	p := s.policyAt(t)
	fmt.Fprintf(&b, "  since %v: headers %q, fresh for %v, clock off by %v, etag %v\n", p.at, p.headers, p.lifetime, p.skew, p.etag)
	return b.String()
}
