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

// TestConsentMemory: requests without end cost a bounded memory. The oldest make place for
// new ones, under a clock that stands still, too.
func TestConsentMemory(t *testing.T) {
	t.Parallel()
	as := newConsent(t, newClock().in)
	var pages []answer
	open := func(n int) {
		for range n {
			pages = append(pages, get(t, stay(as), consentURL(as)))
		}
	}
	open(1000)
	if a := decide(t, as, pages[500], "allow"); a.status != http.StatusSeeOther { // which leaves room for one
		t.Errorf("%d %s", a.status, a.body)
	}
	open(1)
	if a := decide(t, as, pages[0], "allow"); a.status != http.StatusSeeOther {
		t.Errorf("the first of 1000: %d %s", a.status, a.body)
	}
	open(3)
	for i, gone := range map[int]bool{1: true, 2: true, 3: false, 999: false, 1003: false} {
		if a := decide(t, as, pages[i], "allow"); (a.status == want400) != gone {
			t.Errorf("page %d: %d %s", i, a.status, a.body)
		}
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
	}{{"none", "", "user-1"}, {"first", "user-1", "user-1"}, {"second", "user-2", "user-2"}} {
		t.Run(tc.name+"_by_form", func(t *testing.T) {
			form := url.Values{"ticket": {ticketOf(t, get(t, stay(as), consentURL(as)))}, "decision": {"allow"}, "user": {tc.user}}
			a := post(t, stay(as), as.Issuer()+"/authorize", form)
			if got := subject(t, a.header.Get("Location")); got != tc.want {
				t.Errorf("subject %q", got)
			}
		})
		t.Run(tc.name+"_by_script", func(t *testing.T) {
			var users []string
			if tc.user != "" {
				users = append(users, tc.user)
			}
			location, err := as.Approve(consentURL(as), users...)
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
		{"empty_user", consentURL(as), "leave the argument out", []string{""}},
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

// TestScriptMeetsFaults: where a browser would get no page, nothing can be decided.
func TestScriptMeetsFaults(t *testing.T) {
	as := newConsent(t)
	tenant := as.Tenant("/t1")
	scripts := map[string]struct {
		endpoint oauthtest.Endpoint
		run      func(as *oauthtest.Server, userCode string) error
	}{
		"Approve":       {oauthtest.EndpointAuthorization, func(as *oauthtest.Server, _ string) error { _, err := as.Approve(consentURL(as)); return err }},
		"Deny":          {oauthtest.EndpointAuthorization, func(as *oauthtest.Server, _ string) error { _, err := as.Deny(consentURL(as)); return err }},
		"ApproveDevice": {oauthtest.EndpointDevicePage, func(as *oauthtest.Server, code string) error { return as.ApproveDevice(code) }},
		"DenyDevice":    {oauthtest.EndpointDevicePage, func(as *oauthtest.Server, code string) error { return as.DenyDevice(code) }},
	}
	for name, script := range scripts {
		want := func(t *testing.T, as *oauthtest.Server, code, text string) {
			t.Helper()
			err := script.run(as, code)
			if (err == nil) != (text == "") || err != nil && (!strings.HasPrefix(err.Error(), "oauthtest: the "+string(script.endpoint)+" endpoint ") || !strings.Contains(err.Error(), text)) {
				t.Errorf("%v, want %q", err, text)
			}
		}
		t.Run("TA-23/fault_met_by_"+name, func(t *testing.T) {
			_, code := device(t, as)
			as.SetFault(script.endpoint, oauthtest.Fault{Status: 500, Next: 2})
			want(t, as, code, "SetFault")
			want(t, as, code, "SetFault")
			for e := range allEndpoints { // that of no other endpoint
				if e != script.endpoint {
					as.SetFault(e, oauthtest.Fault{Status: 500})
					defer as.SetFault(e, oauthtest.Fault{})
				}
			}
			want(t, as, code, "")
		})
		t.Run("TA-23/outage_met_by_"+name, func(t *testing.T) {
			_, code := device(t, as)
			as.SetOutage(true)
			want(t, as, code, "SetOutage")
			_, theirs := device(t, tenant)
			want(t, tenant, theirs, "")
			as.SetOutage(false)
			want(t, as, code, "")
		})
		t.Run("TA-01/close_met_by_"+name, func(t *testing.T) {
			root := newConsent(t)
			first, second := root.Tenant("/t1"), root.Tenant("/t2")
			_, code := device(t, first)
			_, code2 := device(t, second)
			first.Close()
			want(t, first, code, "closed")
			want(t, second, code2, "")
			_, code2 = device(t, second)
			root.Close()
			want(t, second, code2, "closed")
			want(t, root, "", "closed")
		})
	}
}
