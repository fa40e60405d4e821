// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"slices"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// These tests show that the judge of the simulation tells right from wrong, on both
// sides of each bound: it is fed with answers that a faulty cache would give.

var (
	judgeOne, judgeTwo = simKey{"one", 0}, simKey{"two", 1}
	forgedTwo          = simKey{"two", forgedES256}
	judgeThree         = simKey{"three", 2}
)

// answered is a step that took no time.
func answered(at time.Duration, keys ...simKey) *simStep {
	return &simStep{part: "keys", from: at, to: at, ended: true, good: keys != nil, keys: keys, lifetime: 15 * time.Minute}
}

func silent(at time.Duration) *simStep { return answered(at) }

// judgeHistory: key one at 0, key two instead of it at 13 min, then only sets without
// usable keys and no answers. Key two may be used until 88 min.
func judgeHistory() *history {
	s := &script{length: 2 * time.Hour, maxStale: time.Hour, cooldown: simCooldown}
	useless := answered(25*time.Minute, []simKey{}...)
	useless.good = true
	return newHistory(s, []*simStep{answered(0, judgeOne), answered(13*time.Minute, judgeTwo), useless, silent(26 * time.Minute)})
}

func TestJudgeAnswers(t *testing.T) {
	const outage, gone = time.Hour, 88 * time.Minute
	unknown, signature, unavailable := verifier.ErrUnknownKey, verifier.ErrSignature, verifier.ErrKeysUnavailable
	late := 13*time.Minute + simCooldown
	for _, c := range []struct {
		name string
		o    observation
		want string // the promise that is broken, or ""
	}{
		{"valid", observation{key: judgeTwo, from: 20 * time.Minute}, ""},
		{"valid_refused", observation{key: judgeTwo, from: 20 * time.Minute, class: unknown}, "A"},
		{"valid_503", observation{key: judgeTwo, from: 20 * time.Minute, class: unavailable}, "A"},
		{"valid_in_outage", observation{key: judgeTwo, from: outage}, ""},
		{"valid_in_outage_refused", observation{key: judgeTwo, from: outage, class: unavailable}, "A"},
		{"valid_at_the_bound", observation{key: judgeTwo, from: gone - 1}, ""},
		{"valid_at_the_bound_refused", observation{key: judgeTwo, from: gone - 1, class: unavailable}, "A"},
		{"after_the_bound", observation{key: judgeTwo, from: gone, class: unavailable}, ""},
		{"after_the_bound_accepted", observation{key: judgeTwo, from: gone}, "B"},
		{"after_the_bound_401", observation{key: judgeTwo, from: gone, class: unknown}, "E"},
		{"withdrawn", observation{key: judgeOne, from: 13*time.Minute + 1, class: unknown}, ""},
		{"withdrawn_accepted", observation{key: judgeOne, from: 13*time.Minute + 1}, "B"},
		{"at_the_very_moment", observation{key: judgeOne, from: 13 * time.Minute}, ""},
		{"forged", observation{key: forgedTwo, from: outage, class: signature}, ""},
		{"forged_accepted", observation{key: forgedTwo, from: outage}, "B"},
		{"same_kid", observation{key: simKey{"two", 3}, from: outage, class: signature}, ""},
		{"expired", observation{key: judgeTwo, fault: verifier.ErrExpired, from: outage, class: verifier.ErrExpired}, ""},
		{"expired_accepted", observation{key: judgeTwo, fault: verifier.ErrExpired, from: outage}, "B"},
		{"new_key_within_the_cooldown", observation{key: judgeThree, from: late - 1, class: unknown}, ""},
		{"new_key_after_the_cooldown", observation{key: judgeThree, from: late, class: unknown}, "A"},
		{"asked_before_within_two", observation{key: judgeThree, before: true, from: late + simCooldown - 1, class: unknown}, ""},
		{"asked_before_after_two", observation{key: judgeThree, before: true, from: late + simCooldown, class: unknown}, "A"},
		{"unknown_in_outage", observation{key: judgeThree, from: outage, class: unavailable}, ""},
		{"unknown_in_outage_401", observation{key: judgeThree, from: outage, class: unknown}, "E"},
		{"unknown_waits_5_s", observation{key: judgeThree, from: outage, to: outage + 5*time.Second, class: unavailable}, ""},
		{"unknown_waits_longer", observation{key: judgeThree, from: outage, to: outage + 5*time.Second + 1, class: unavailable}, "D"},
		{"known_waits", observation{key: judgeTwo, from: outage, to: outage + 1}, "D"},
		{"cold", observation{key: judgeTwo, from: -1, to: -1, class: unavailable}, ""},
		{"metadata_after_the_first_set", observation{key: judgeTwo, from: gone, class: verifier.ErrMetadata}, "E"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := judgeHistory()
			c.o.to = max(c.o.to, c.o.from)
			got := ""
			if v := h.judge(&c.o); v != nil {
				got = v.promise
			}
			if got != c.want {
				t.Errorf("promise %q is broken, want %q", got, c.want)
			}
		})
	}
}

func TestJudgeReplies(t *testing.T) {
	for _, c := range []struct {
		class error
		r     reply
		want  bool
	}{
		{nil, reply{status: 200}, true},
		{nil, reply{status: 401, challenge: "Bearer"}, false},
		{nil, reply{status: 200, challenge: "Bearer"}, false},
		{verifier.ErrExpired, reply{status: 401, challenge: "Bearer"}, true},
		{verifier.ErrExpired, reply{status: 401}, false},
		{verifier.ErrExpired, reply{status: 503, retryAfter: "1"}, false},
		{verifier.ErrKeysUnavailable, reply{status: 503, retryAfter: "1"}, true},
		{verifier.ErrKeysUnavailable, reply{status: 503, retryAfter: "0"}, false},
		{verifier.ErrKeysUnavailable, reply{status: 503}, false},
		{verifier.ErrKeysUnavailable, reply{status: 503, retryAfter: "1", challenge: "Bearer"}, false},
		{verifier.ErrKeysUnavailable, reply{status: 401, challenge: "Bearer"}, false},
	} {
		if c.r.means(c.class) != c.want {
			t.Errorf("%v: %+v counts as right: %v", c.class, c.r, !c.want)
		}
	}
}

// outageSteps are failures with these pauses, and then an answer that ends the run.
func outageSteps(pauses ...time.Duration) []*simStep {
	at := time.Minute
	steps := []*simStep{answered(0, judgeOne), silent(at)}
	for _, pause := range pauses {
		at += pause
		steps = append(steps, silent(at))
	}
	return steps
}

func asking(wait time.Duration, steps []*simStep) []*simStep {
	steps[1].retryAfter = wait
	return steps
}

func ofMetadata(at time.Duration, good bool) *simStep {
	return &simStep{part: "metadata", from: at, to: at, ended: true, good: good}
}

func TestJudgeFetches(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	both := answered(0, judgeOne)
	both.overlap = true
	foreign := answered(time.Minute, judgeOne)
	foreign.conditional = `"of another set"`
	for _, c := range []struct {
		name  string
		steps []*simStep
		want  string
	}{
		{"cooldown", []*simStep{answered(0, judgeOne), answered(30*s, judgeOne)}, ""},
		{"before_the_cooldown", []*simStep{answered(0, judgeOne), answered(30*s-1, judgeOne)}, "C"},
		{"back_off", outageSteps(1*s, 2*s, 4*s, 8*s, 16*s, 30*s, 30*s), ""},
		{"first_pause", outageSteps(1*s-ms, 2*s, 4*s), "C"},
		{"second_pause", outageSteps(1*s, 2*s-ms), "C"},
		{"sixth_pause", outageSteps(1*s, 2*s, 4*s, 8*s, 16*s, 30*s-ms), "C"},
		{"Retry-After", asking(90*s, outageSteps(90*s)), ""},
		{"before_Retry-After", asking(90*s, outageSteps(90*s-ms)), "C"},
		{"Retry-After_of_an_hour", asking(time.Hour, outageSteps(280*s)), ""},
		{"Retry-After_of_an_hour_obeyed", asking(time.Hour, outageSteps(8*time.Minute)), "A"},
		{"refresh_ahead", []*simStep{answered(0, judgeOne), answered(13*time.Minute+30*s, judgeOne)}, ""},
		{"refresh_too_late", []*simStep{answered(0, judgeOne), answered(13*time.Minute+30*s+1, judgeOne)}, "A"},
		{"asleep", outageSteps(2*time.Minute + 3*s), "A"},
		{"two_at_once", []*simStep{both}, "C"},
		{"validator_of_another_set", []*simStep{answered(0, judgeOne), foreign}, "C"},
		{"metadata", []*simStep{ofMetadata(0, true), answered(0, judgeOne), ofMetadata(54*time.Minute, true), answered(54*time.Minute, judgeOne)}, ""},
		{"metadata_too_often", []*simStep{ofMetadata(0, true), answered(0, judgeOne), ofMetadata(53*time.Minute, true), answered(53*time.Minute, judgeOne)}, "C"},
		{"metadata_fails_alone", []*simStep{ofMetadata(0, true), answered(0, judgeOne), ofMetadata(54*time.Minute, false), answered(54*time.Minute, judgeOne)}, ""},
		{"metadata_too_seldom", []*simStep{ofMetadata(0, true), answered(0, judgeOne), answered(time.Hour, judgeOne)}, "A"},
		{"metadata_stops_the_keys", []*simStep{ofMetadata(0, true), answered(0, judgeOne), ofMetadata(54*time.Minute, false)}, "A"},
	} {
		t.Run(c.name, func(t *testing.T) {
			last := c.steps[len(c.steps)-1]
			h := newHistory(&script{length: last.to, maxStale: time.Hour, cooldown: simCooldown, discovery: c.steps[0].part == "metadata"}, c.steps)
			if len(c.steps) > 2 && c.steps[0].part == "metadata" {
				c.steps[1].lifetime = 2 * time.Hour // no refresh is missed in between
				h = newHistory(h.script, c.steps)
			}
			list := h.judgeAll(nil)
			if got := slices.ContainsFunc(list, func(v violation) bool { return v.promise == c.want }); got != (c.want != "") || c.want == "" && len(list) > 0 {
				t.Errorf("%v, want promise %q", list, c.want)
			}
		})
	}
}
