// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
)

// freshness and stale are how long keys serve while the issuer is down, by default.
const (
	freshness = 15 * time.Minute
	stale     = 24 * time.Hour
)

// outage is an API and its issuer in virtual time.
type outage struct {
	*testing.T
	as  *oauthtest.Server
	api *server
}

// inOutage runs a test with each framework: an API whose keys were fetched, and whose
// issuer is down since then.
func inOutage(t *testing.T, name string, test func(o *outage)) {
	inFrameworks(t, name, func(o *outage) {
		o.want(http.StatusOK)
		o.as.SetOutage(true)
		test(o)
	})
}

// inFrameworks runs a test with an API that has no keys yet.
func inFrameworks(t *testing.T, name string, test func(o *outage)) {
	for _, f := range frameworks {
		t.Run(name+"_"+f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, func(cfg *oauthtest.Config) { cfg.Algorithm = "ES256" })
				g := newGuard(t, middleware.Config{Verifier: newVerifier(t, as.VerifierConfig(api))})
				ok := func(http.ResponseWriter, *http.Request) {}
				o := &outage{T: t, as: as, api: serve(t, f.build([]route{{"/orders", []guard{behind(g)}, ok}}))}
				test(o)
			})
		})
	}
}

// want sends a good token, new each time, and fails the test unless the status is as given. A refusal
// for want of keys says when to come again, and never blames the token (HT-11).
func (o *outage) want(status int) (retryAfter int) {
	o.Helper()
	answer := o.api.send("GET", "/orders", "Authorization: Bearer "+o.as.Token())
	if !strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", status)) {
		o.Fatalf("after %v, want %d:\n%s", time.Since(midnight), status, answer)
	}
	if status == http.StatusOK {
		return 0
	}
	_, rest, _ := strings.Cut(answer, "Retry-After: ")
	line, _, _ := strings.Cut(rest, "\n")
	seconds, err := strconv.Atoi(line)
	if err != nil || seconds < 1 || strings.Contains(answer, "WWW-Authenticate") {
		o.Fatalf("after %v:\n%s", time.Since(midnight), answer)
	}
	return seconds
}

var midnight = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where synctest begins

// during wants the status every minute until the run is so old.
func (o *outage) during(end time.Duration, status int) {
	o.Helper()
	for time.Since(midnight) < end {
		o.want(status)
		time.Sleep(time.Minute)
	}
}

func TestLongOutage(t *testing.T) {
	inOutage(t, "KS-12/23_hours_and_no_valid_token_refused", func(o *outage) {
		o.during(23*time.Hour, http.StatusOK)
	})
	inOutage(t, "DF-10/503_and_never_401_after_the_bound", func(o *outage) {
		time.Sleep(23 * time.Hour)
		o.during(freshness+stale, http.StatusOK)
		o.during(26*time.Hour, http.StatusServiceUnavailable)
		before := o.as.Fetches()
		o.during(27*time.Hour, http.StatusServiceUnavailable)
		if got := o.as.Fetches() - before; got > 120 {
			o.Errorf("%d fetches in an hour of outage", got)
		}
	})
	inOutage(t, "HT-11/back_when_Retry-After_is_over", func(o *outage) {
		time.Sleep(freshness + stale)
		wait := o.want(http.StatusServiceUnavailable)
		o.as.SetOutage(false)
		time.Sleep(time.Duration(wait) * time.Second)
		o.want(http.StatusOK)
	})
	inOutage(t, "KS-11/unknown_kid_in_an_outage", func(o *outage) {
		o.as.Rotate()
		time.Sleep(time.Minute)
		o.want(http.StatusServiceUnavailable)
		o.as.SetOutage(false)
		time.Sleep(time.Minute)
		o.want(http.StatusOK)
	})
}

func TestFetchesOfManyRequests(t *testing.T) {
	inFrameworks(t, "KS-10/F18_100_parallel_on_a_cold_cache", func(o *outage) {
		var crowd sync.WaitGroup
		for range 100 {
			crowd.Go(func() { o.want(http.StatusOK) })
		}
		crowd.Wait()
		if got := o.as.Fetches(); got != 1 {
			o.Errorf("%d fetches", got)
		}
	})
	inFrameworks(t, "KS-11/F19_1000_unknown_kids_in_30_s", func(o *outage) {
		o.want(http.StatusOK)
		time.Sleep(time.Minute)
		for i := range 1000 {
			raw := o.as.Token(oauthtest.Header("kid", fmt.Sprint("random-", i)))
			if got := o.api.send("GET", "/orders", "Authorization: Bearer "+raw); status(o, got) != http.StatusUnauthorized {
				o.Fatal(got)
			}
			time.Sleep(29 * time.Millisecond)
		}
		if got := o.as.Fetches(); got != 2 {
			o.Errorf("%d fetches, want the first and one more", got)
		}
	})
}
