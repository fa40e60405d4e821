// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// dated answers with keys, from a server whose clock is ahead of ours.
func (w *world) dated(ahead time.Duration, headers ...string) {
	w.on(jwksURL, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		answer(200, kids("one"), headers...)(rw, r)
	})
}

func TestClockSkew(t *testing.T) {
	for _, c := range []struct {
		name    string
		ahead   time.Duration
		headers []string
		want    string
	}{
		{"behind", 93 * time.Second, nil, "the clock is 93 s behind the issuer's (by the Date header of its key set)"},
		{"ahead", -93 * time.Second, nil, "the clock is 93 s ahead of the issuer's (by the Date header of its key set)"},
		{"just_enough", 11 * time.Second, nil, "the clock is 11 s behind the issuer's (by the Date header of its key set)"},
		{"within_what_can_be_told", 10 * time.Second, nil, ""},
		{"in_step", 0, nil, ""},
		{"answer_of_a_shared_cache", -10 * time.Minute, []string{"Age", "600"}, ""},
	} {
		inWorld(t, "clock_"+c.name, byURL, func(w *world) {
			w.dated(c.ahead, c.headers...)
			w.keys()
			want := 1
			if c.want == "" {
				want = 0
			}
			for _, e := range w.wantEvents(verifier.EventClockSkew, want) {
				if e.Cause.Error() != c.want || e.Class != nil {
					w.Errorf("%v, want %s", e, c.want)
				}
			}
			if skew := w.cache.Status().ClockSkew; (skew != 0) != (c.want != "") {
				w.Errorf("status says %v", skew)
			}
		})
	}
	inWorld(t, "clock_told_once_an_hour", byURL, func(w *world) {
		w.dated(time.Minute)
		w.busy(59*time.Minute, time.Minute)
		w.wantEvents(verifier.EventClockSkew, 1)
		w.busy(20*time.Minute, time.Minute)
		w.wantEvents(verifier.EventClockSkew, 2)
		w.dated(2 * time.Minute)
		w.busy(15*time.Minute, time.Minute)
		w.wantEvents(verifier.EventClockSkew, 3)
	})
	inWorld(t, "clock_told_again_after_it_was_right", byURL, func(w *world) {
		for range 2 {
			w.dated(time.Minute)
			w.busy(15*time.Minute, time.Minute)
			w.dated(0)
			w.busy(15*time.Minute, time.Minute)
		}
		w.wantEvents(verifier.EventClockSkew, 2)
	})
	inWorld(t, "clock_of_a_slow_answer", byURL, func(w *world) {
		w.on(jwksURL, slow(4*time.Second, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Date", time.Now().Add(10*time.Second).UTC().Format(http.TimeFormat))
			answer(200, kids("one"))(rw, r)
		}))
		w.keys() // 12 s after the middle of the exchange, which may be 2 s more or less
		w.wantEvents(verifier.EventClockSkew, 0)
	})
	for date, want := range map[string]string{
		"Mon, 01 Jan 0001 00:00:00 GMT": "the clock is 315360000 s ahead of",
		"Fri, 31 Dec 9999 23:59:59 GMT": "the clock is 315360000 s behind",
	} {
		inWorld(t, "clock_of_another_age_"+date[12:16], byURL, func(w *world) {
			w.body(jwksURL, kids("one"), "Date", date, "Age", "99999999999999")
			w.keys()
			if e := w.wantEvents(verifier.EventClockSkew, 1)[0]; !strings.HasPrefix(e.Cause.Error(), want) {
				w.Error(e.Cause)
			}
		})
	}
	for i, date := range []string{"", "yesterday", "Sat, 01 Jan 0000 00:00:00 GMT"} {
		inWorld(t, fmt.Sprint("clock_useless_date_", i), byURL, func(w *world) {
			w.body(jwksURL, kids("one"), "Date", date)
			w.keys() // nothing is decided by it
		})
	}
	inWorld(t, "clock_does_not_decide", byURL, func(w *world) {
		w.dated(10 * time.Hour)
		if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
			w.Error(err)
		}
	})
}
