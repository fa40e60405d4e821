// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// ticketOf is the hidden field of the consent page.
func ticketOf(t *testing.T, page answer) string {
	t.Helper()
	_, rest, _ := strings.Cut(page.body, `name="ticket" value="`)
	ticket, _, ok := strings.Cut(rest, `"`)
	if !ok || len(ticket) < 20 {
		t.Fatalf("no ticket: %d %s", page.status, page.body)
	}
	return ticket
}

// decide presses a button of the consent page.
func decide(t *testing.T, as *oauthtest.Server, page answer, decision string, edits ...func(*http.Request)) answer {
	t.Helper()
	return post(t, stay(as), as.Issuer()+"/authorize", url.Values{"ticket": {ticketOf(t, page)}, "decision": {decision}}, edits...)
}

// clock is a Config.Now that a test sets.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(1_800_000_000)
	return c
}

func (c *clock) now() time.Time           { return time.Unix(c.at.Load(), 0) }
func (c *clock) pass(d time.Duration)     { c.at.Add(int64(d / time.Second)) }
func (c *clock) in(cfg *oauthtest.Config) { cfg.Now = c.now }
func secFetch(site string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) }
}

func TestConsent(t *testing.T) {
	as := newConsent(t)
	for _, tc := range []struct {
		name, decision, site string
		want                 string // a parameter of the answer
	}{
		{"TA-27/allow", "allow", "same-origin", "code"},
		{"TA-27/deny", "deny", "same-origin", "error"},
		{"TA-27/allow_without_fetch_metadata", "allow", "", "code"},
		{"TA-27/allow_after_reload", "allow", "none", "code"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := decide(t, as, get(t, stay(as), consentURL(as)), tc.decision, secFetch(tc.site))
			if a.status != http.StatusSeeOther || a.body != "" || a.header.Get("Referrer-Policy") != "no-referrer" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v %s", a.status, a.header, a.body)
			}
			params := sentTo(t, as, a.header.Get("Location"), webCallback)
			if !params.Has(tc.want) || params.Get("state") != "s/1&?" || tc.want == "error" && params.Get("error") != "access_denied" {
				t.Errorf("%v", params)
			}
		})
	}
	t.Run("TA-11/no_state_no_state", func(t *testing.T) {
		location, err := as.Approve(consentURL(as, param("state")))
		if params := sentTo(t, as, location, webCallback); err != nil || params.Has("state") || len(params) != 2 {
			t.Errorf("%v %v", params, err)
		}
	})
	t.Run("TA-11/iss_of_a_tenant", func(t *testing.T) {
		tenant := as.Tenant("/tenant")
		location, err := tenant.Approve(consentURL(tenant))
		if err != nil || sentTo(t, tenant, location, webCallback).Get("iss") != as.Issuer()+"/tenant" {
			t.Errorf("%q %v", location, err)
		}
	})
}

func TestConsentForm(t *testing.T) {
	as := newConsent(t)
	endpoint := as.Issuer() + "/authorize"
	ticket := func() string { return ticketOf(t, get(t, stay(as), consentURL(as))) }
	for _, tc := range []struct {
		name, ticket, decision, user, site string
		status                             int
		text                               string
	}{
		{"unknown_ticket", strings.Repeat("A", 22), "allow", "", "", want400, "start again"},
		{"empty_ticket", "", "allow", "", "", want400, "start again"},
		{"no_decision", ticket(), "", "", "", want400, "decision must be"},
		{"other_decision", ticket(), "Allow", "", "", want400, "decision must be"},
		{"unknown_user", ticket(), "allow", "user-3", "", want400, "no such user"},
		{"other_site", ticket(), "allow", "", "cross-site", http.StatusForbidden, "another site"},
		{"other_origin_of_the_site", ticket(), "allow", "", "same-site", http.StatusForbidden, "another site"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			form := url.Values{"ticket": {tc.ticket}, "decision": {tc.decision}, "user": {tc.user}}
			wantErrorPage(t, post(t, stay(as), endpoint, form, secFetch(tc.site)), tc.status, tc.text)
		})
	}
	t.Run("ticket_in_url", func(t *testing.T) {
		a := post(t, stay(as), endpoint+"?decision=allow&ticket="+ticket(), nil)
		wantErrorPage(t, a, want400, "client_id")
	})
	t.Run("decision_by_get", func(t *testing.T) {
		wantErrorPage(t, get(t, stay(as), endpoint+"?decision=allow&ticket="+ticket()), want400, "client_id")
	})
	for _, first := range []string{"allow", "deny"} {
		t.Run("used_ticket_after_"+first, func(t *testing.T) {
			page := get(t, stay(as), consentURL(as))
			decide(t, as, page, first)
			wantErrorPage(t, decide(t, as, page, "allow"), want400, "used already")
		})
	}
	t.Run("ticket_of_another_issuer", func(t *testing.T) {
		tenant := as.Tenant("/other")
		form := url.Values{"ticket": {ticket()}, "decision": {"allow"}}
		wantErrorPage(t, post(t, stay(as), tenant.Issuer()+"/authorize", form), want400, "start again")
	})
}

func TestConsentLifetime(t *testing.T) {
	for _, tc := range []struct {
		name string
		age  time.Duration
		good bool
	}{
		{"last_second", 10*time.Minute - time.Second, true},
		{"too_old", 10 * time.Minute, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newClock()
			as := newConsent(t, c.in)
			page := get(t, stay(as), consentURL(as))
			c.pass(tc.age)
			if a := decide(t, as, page, "allow"); tc.good != (a.status == http.StatusSeeOther) {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

// TestConsentMemory: requests without end cost a bounded memory, and old ones make
// place for new ones.
func TestConsentMemory(t *testing.T) {
	c := newClock()
	as := newConsent(t, c.in)
	for range 1000 {
		get(t, stay(as), consentURL(as))
	}
	full := get(t, stay(as), consentURL(as))
	if params := sentTo(t, as, full.header.Get("Location"), webCallback); params.Get("error") != "temporarily_unavailable" {
		t.Errorf("%v", params)
	}
	c.pass(10 * time.Minute)
	if a := get(t, stay(as), consentURL(as)); a.status != want200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestConsentOnce: one ticket, many forms at once.
func TestConsentOnce(t *testing.T) {
	as := newConsent(t)
	page := get(t, stay(as), consentURL(as))
	var sent atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if decide(t, as, page, "allow").status == http.StatusSeeOther {
				sent.Add(1)
			}
		})
	}
	wg.Wait()
	if sent.Load() != 1 {
		t.Errorf("%d decisions", sent.Load())
	}
}

func TestConsentUser(t *testing.T) {
	as := newConsent(t)
	v := newVerifier(t, as.VerifierConfig(api))
	subject := func(t *testing.T, location string) string {
		t.Helper()
		code := sentTo(t, as, location, webCallback).Get("code")
		raw, _ := exchange(t, as, code).json["access_token"].(string)
		tok, err := v.Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		return tok.Subject
	}
	for _, tc := range []struct {
		name, user, want string
	}{{"first", "", "user-1"}, {"chosen", "user-2", "user-2"}} {
		t.Run(tc.name+"_by_form", func(t *testing.T) {
			form := url.Values{"ticket": {ticketOf(t, get(t, stay(as), consentURL(as)))}, "decision": {"allow"}, "user": {tc.user}}
			a := post(t, stay(as), as.Issuer()+"/authorize", form)
			if got := subject(t, a.header.Get("Location")); got != tc.want {
				t.Errorf("subject %q", got)
			}
		})
		t.Run(tc.name+"_by_script", func(t *testing.T) {
			location, err := as.Approve(consentURL(as), tc.user)
			if got := subject(t, location); err != nil || got != tc.want {
				t.Errorf("subject %q, %v", got, err)
			}
		})
	}
}

func TestScriptedConsent(t *testing.T) {
	as := newConsent(t)
	t.Run("deny", func(t *testing.T) {
		location, err := as.Deny(consentURL(as))
		if params := sentTo(t, as, location, webCallback); err != nil || params.Get("error") != "access_denied" || params.Get("state") != "s/1&?" {
			t.Errorf("%v %v", params, err)
		}
	})
	for _, tc := range []struct {
		name, url, text string
		users           []string
	}{
		{"other_endpoint", strings.Replace(consentURL(as), "/authorize", "/token", 1), "does not begin with the authorization endpoint https://issuer.test/authorize", nil},
		{"other_host", strings.Replace(consentURL(as), "issuer.test", "other.test", 1), "does not begin with", nil},
		{"no_query", as.Issuer() + "/authorize", "client_id names no client", nil},
		{"malformed_query", as.Issuer() + "/authorize?%zz", "cannot be read", nil},
		{"unknown_user", consentURL(as), "no such user", []string{"user-3"}},
		{"two_users", consentURL(as), "not several", []string{"user-1", "user-2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			location, err := as.Approve(tc.url, tc.users...)
			if location != "" || err == nil || !strings.HasPrefix(err.Error(), "oauthtest: ") || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%q %v", location, err)
			}
		})
	}
	t.Run("no_users", func(t *testing.T) {
		as := newConsent(t, func(c *oauthtest.Config) { c.Users = []oauthtest.User{} })
		if location, err := as.Approve(consentURL(as)); location != "" || err == nil {
			t.Errorf("%q %v", location, err)
		}
	})
}
