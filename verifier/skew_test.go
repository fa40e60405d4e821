// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// watched is a verifier whose clock and events the test holds.
type watched struct {
	*testing.T
	*verifier.Verifier
	heard recorder
	mu    sync.Mutex
	now   time.Time
	count int
}

func watch(t *testing.T, edits ...func(*verifier.Config)) *watched {
	w := &watched{T: t, now: noon}
	w.Verifier = newVerifier(t, append([]func(*verifier.Config){heardBy(&w.heard), func(c *verifier.Config) {
		c.Now = func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.now
		}
	}}, edits...)...)
	return w
}

func (w *watched) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// issued is claims of a token that was issued d after what our clock says.
func (w *watched) issued(d time.Duration) object {
	w.count++
	return object{"iat": w.now.Add(d).Unix(), "exp": w.now.Add(d + time.Hour).Unix(), "jti": fmt.Sprint("id-", w.count)}
}

// early sends tokens issued d ahead of our clock and wants them refused.
func (w *watched) early(n int, d time.Duration) {
	w.Helper()
	for range n {
		expectOnce(w, w.Verifier, token(nil, w.issued(d)), verifier.ErrNotYetValid)
	}
}

// wantSkew takes the events; those about the clock must be these.
func (w *watched) wantSkew(causes ...string) {
	w.Helper()
	var got []string
	for _, e := range w.heard.take() {
		if e.Kind == verifier.EventClockSkew {
			got = append(got, e.Cause.Error())
			if e.Issuer != issuerURL || e.Class != nil {
				w.Errorf("event %+v", e)
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(causes) {
		w.Errorf("events %q, want %q", got, causes)
	}
}

func behind(seconds int) string {
	return fmt.Sprintf("the clock is at least %d s behind the issuer's: 3 refusals within 5 min were of tokens issued after that time", seconds)
}

func TestClockSkew(t *testing.T) {
	run := func(name string, test func(w *watched), edits ...func(*verifier.Config)) {
		t.Run(name, func(t *testing.T) { test(watch(t, edits...)) })
	}
	run("clock_behind_is_told_at_the_third_refusal", func(w *watched) {
		w.early(2, 63*time.Second)
		w.wantSkew()
		w.early(1, 90*time.Second)
		w.wantSkew(behind(63))
	})
	run("clock_behind_by_nbf_where_there_is_no_iat", func(w *watched) {
		for range 3 {
			claims := w.issued(45 * time.Second)
			claims["nbf"], claims["iat"] = claims["iat"], nil
			expectOnce(w, w.Verifier, token(nil, claims), verifier.ErrNotYetValid)
		}
		w.wantSkew(behind(45))
	}, legacy)
	run("clock_token_dated_ahead_on_purpose_tells_nothing", func(w *watched) {
		for range 10 {
			for _, ahead := range []time.Duration{0, 30 * time.Second} {
				claims := w.issued(ahead)
				claims["nbf"] = w.now.Add(time.Minute).Unix()
				expectOnce(w, w.Verifier, token(nil, claims), verifier.ErrNotYetValid)
			}
		}
		w.wantSkew()
	})
	run("clock_just_inside_the_leeway_tells_nothing", func(w *watched) {
		for range 10 {
			expectOnce(w, w.Verifier, token(nil, w.issued(30*time.Second)), nil)
		}
		w.wantSkew()
		w.early(3, 31*time.Second)
		w.wantSkew(behind(31))
	})
	run("clock_three_refusals_in_5_min", func(w *watched) {
		w.early(2, time.Minute)
		w.pass(5 * time.Minute)
		w.early(1, time.Minute)
		w.wantSkew(behind(60))
	})
	run("clock_three_refusals_in_more_than_5_min", func(w *watched) {
		w.early(2, time.Minute)
		w.pass(5*time.Minute + 1)
		w.early(2, time.Minute)
		w.wantSkew()
		w.early(1, time.Minute)
		w.wantSkew(behind(59)) // the clock is 1 ns past the whole second
	})
	run("clock_told_again_after_10_min", func(w *watched) {
		w.early(3, time.Minute)
		w.wantSkew(behind(60))
		w.pass(8 * time.Minute)
		w.early(5, time.Minute)
		w.pass(2*time.Minute - 1)
		w.early(5, time.Minute+time.Second)
		w.wantSkew()
		w.pass(1)
		w.early(1, 2*time.Minute)
		w.wantSkew(behind(60))
	})
	run("clock_set_back_does_not_silence", func(w *watched) {
		w.early(3, time.Minute)
		w.wantSkew(behind(60))
		w.pass(-time.Hour)
		w.early(3, time.Hour)
		w.wantSkew(behind(3600))
	})
	run("clock_token_seen_before_counts", func(w *watched) {
		raw := token(nil, w.issued(0))
		expectOnce(w, w.Verifier, raw, nil)
		w.pass(-time.Minute) // the clock is set back while the token is in the cache
		for range 3 {
			expectOnce(w, w.Verifier, raw, verifier.ErrNotYetValid)
		}
		w.wantSkew(behind(60))
	})
	run("clock_other_refusals_tell_nothing", func(w *watched) {
		for range 5 {
			future := w.issued(time.Hour)
			expectOnce(w, w.Verifier, sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().edit(future).String()), verifier.ErrSignature)
			expectOnce(w, w.Verifier, token(nil, object{"exp": 1}), verifier.ErrExpired)
			future["aud"] = "x"
			expectOnce(w, w.Verifier, token(nil, future), verifier.ErrAudience)
		}
		w.wantSkew()
	})
}

// TestClockSkewPerIssuer: what one issuer's tokens say is not said about another.
func TestClockSkewPerIssuer(t *testing.T) {
	t.Run("JV-16/clock_of_each_issuer", func(t *testing.T) {
		const other = "https://other.example"
		one, two := watch(t), watch(t, func(c *verifier.Config) { c.Issuer = other })
		both, err := verifier.Join(one.Verifier, two.Verifier)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			expectOnce(t, both, token(nil, one.issued(time.Minute)), verifier.ErrNotYetValid)
			expectOnce(t, both, token(nil, one.issued(time.Minute).edit(object{"iss": other})), verifier.ErrNotYetValid)
		}
		one.wantSkew()
		expectOnce(t, both, token(nil, one.issued(time.Minute)), verifier.ErrNotYetValid)
		one.wantSkew(behind(60))
		two.wantSkew()
	})
}

func TestClockSkewHook(t *testing.T) {
	t.Run("SE-01/OnEvent_panics_at_clock_skew", func(t *testing.T) {
		skews := 0
		w := watch(t, func(c *verifier.Config) {
			c.OnEvent = func(e verifier.Event) {
				if e.Kind == verifier.EventClockSkew {
					skews++
					panic("canary")
				}
			}
		})
		w.early(2, time.Minute)
		tok, err := w.Verify(t.Context(), token(nil, w.issued(time.Minute)))
		wantClass(t, tok, err, verifier.ErrInternal)
		if skews != 1 || strings.Contains(err.Error(), "canary") || errors.Is(err, verifier.ErrInvalidToken) {
			t.Errorf("%d events, error %v", skews, err)
		}
		w.early(1, time.Minute)
	})
	t.Run("SE-02/clock_skew_holds_no_claim", func(t *testing.T) {
		w := watch(t)
		for range 3 {
			claims := w.issued(time.Minute)
			claims["sub"], claims["canary"] = "canary", "canary"
			expectOnce(t, w.Verifier, token(object{"kid": "one"}, claims), verifier.ErrNotYetValid)
		}
		for _, e := range w.heard.take() {
			if strings.Contains(fmt.Sprint(e), "canary") {
				t.Errorf("event %v", e)
			}
		}
	})
	t.Run("GO-03/clock_skew_once_among_parallel_refusals", func(t *testing.T) {
		w := watch(t)
		raw := token(nil, w.issued(time.Minute))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { w.Verify(t.Context(), raw) })
		}
		wg.Wait()
		w.wantSkew(behind(60))
	})
}
