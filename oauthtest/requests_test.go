// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// asked lists requests as "endpoint method URL".
func asked(as *oauthtest.Server) []string {
	list := []string{}
	for _, r := range as.Requests() {
		list = append(list, fmt.Sprintf("%s %s %s", r.Endpoint, r.Method, r.URL))
	}
	return list
}

func wantAsked(t *testing.T, as *oauthtest.Server, want ...string) {
	t.Helper()
	if got := asked(as); !slices.Equal(got, append([]string{}, want...)) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRequests(t *testing.T) {
	t.Run("TA-23/of_a_verifier", func(t *testing.T) {
		as := oauthtest.NewServer(t, es256, atNoon)
		v := newVerifier(t, as.VerifierConfig(api))
		wantAsked(t, as)
		wantVerdict(t, v, as.Token(), nil)
		wantAsked(t, as,
			"metadata GET https://issuer.test/.well-known/oauth-authorization-server",
			"key set GET https://issuer.test/jwks")
		for _, r := range as.Requests() {
			if !strings.Contains(r.Header.Get("Accept"), "application/json") || !r.At.Equal(noon) || len(r.Body) > 0 {
				t.Errorf("request %+v", r)
			}
		}
		as.ClearRequests()
		wantAsked(t, as)
	})
	t.Run("TA-23/elsewhere", func(t *testing.T) {
		as := oauthtest.NewServer(t, es256)
		for url, want := range map[string]int{
			"https://evil.test/jwks?a=b%20c": http.StatusMisdirectedRequest,
			"http://issuer.test/jwks":        http.StatusMisdirectedRequest, // the scheme is part of an origin
			"https://issuer.test:8443/jwks":  http.StatusMisdirectedRequest,
			"https://issuer.test/nothing":    http.StatusNotFound,
			"https://issuer.test/canary/x":   http.StatusNotFound,
		} {
			as.ClearRequests()
			if a := get(t, as.HTTPClient(), url); a.status != want {
				t.Errorf("%s: status %d", url, a.status)
			}
			wantAsked(t, as, " GET "+url)
		}
		wantFetches(t, as, 0)
	})
	t.Run("TA-23/loopback", func(t *testing.T) {
		for _, cfg := range []oauthtest.Config{{Algorithm: "ES256"}, {Algorithm: "ES256", TLS: true}} {
			as := listen(t, cfg)
			get(t, as.HTTPClient(), as.Issuer()+"/jwks?x=1")
			wantAsked(t, as, "key set GET "+as.Issuer()+"/jwks?x=1")
		}
	})
	t.Run("TA-23/faulty_and_out", func(t *testing.T) {
		as := oauthtest.NewServer(t, es256)
		as.SetOutage(true)
		get(t, as.HTTPClient(), as.Issuer()+"/jwks")
		as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Status: 500})
		get(t, as.HTTPClient(), as.Issuer()+"/jwks")
		wantAsked(t, as, "key set GET https://issuer.test/jwks", "key set GET https://issuer.test/jwks")
	})
}

// The endpoint gets the same body that is recorded.
func TestRecordedBody(t *testing.T) {
	as := oauthtest.NewServer(t, es256)
	as.VerifierConfig(api)
	const grant = "grant_type=client_credentials&client_id=test-client&client_secret=test-secret"
	for _, tc := range []struct {
		name     string
		add      int
		recorded int
		status   int
	}{
		{"small", 0, len(grant), http.StatusOK},
		{"at_the_cap", 64<<10 - len(grant), 64 << 10, http.StatusOK},
		{"over_the_cap", 64<<10 - len(grant) + 1, 64 << 10, http.StatusBadRequest}, // more than a form may have
	} {
		t.Run("TA-23/body_"+tc.name, func(t *testing.T) {
			as.ClearRequests()
			form := grant
			if tc.add > 0 {
				form += "&" + strings.Repeat("x", tc.add-1)
			}
			if a := tokenRequest(t, as, form); a.status != tc.status {
				t.Errorf("%d %s", a.status, a.body)
			}
			r := as.Requests()
			if len(r) != 1 || string(r[0].Body) != form[:tc.recorded] || r[0].Method != http.MethodPost {
				t.Fatalf("%d requests, %d bytes", len(r), len(r[0].Body))
			}
			r[0].Body[0], r[0].Header["Accept"] = 'X', nil
			if again := as.Requests()[0]; again.Body[0] != 'g' || again.Header.Get("Content-Type") == "" {
				t.Error("changed from outside")
			}
		})
	}
}

// A server that runs for long keeps the last 10,000.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	as := oauthtest.NewServer(t, es256)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2_500 {
				get(t, as.HTTPClient(), as.Issuer()+"/first")
			}
		})
	}
	wg.Wait()
	t.Run("TA-23/bounded", func(t *testing.T) {
		if got := asked(as); len(got) != 10_000 {
			t.Fatalf("%d requests", len(got))
		}
		get(t, as.HTTPClient(), as.Issuer()+"/last")
		got := asked(as)
		if len(got) != 10_000 || got[9_999] != " GET https://issuer.test/last" || got[9_998] != " GET https://issuer.test/first" {
			t.Errorf("%d requests, the last %v", len(got), got[len(got)-2:])
		}
	})
}

// Everything in one bubble: rotation, faults, outage and what hangs, over days; and no
// goroutine is left when it ends.
func TestInBubble(t *testing.T) {
	t.Run("TA-01/all_of_it_in_a_synctest_bubble", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			as := oauthtest.NewServer(t, es256)
			tenant := as.Tenant("/t1")
			mine, theirs := newVerifier(t, as.VerifierConfig(api)), newVerifier(t, tenant.VerifierConfig(api))
			for range 3 {
				wantVerdict(t, mine, as.Token(), nil)
				wantVerdict(t, theirs, tenant.Token(), nil)
				old := as.Token(longLived)
				as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Hang: true})
				time.Sleep(8 * time.Hour)
				wantVerdict(t, mine, old, nil)
				wantVerdict(t, theirs, tenant.Token(), nil)
				as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{})
				as.Rotate()
				tenant.SetOutage(true)
				time.Sleep(time.Hour)
				wantVerdict(t, mine, as.Token(), nil)
				wantVerdict(t, mine, old, nil)
				tenant.SetOutage(false)
				time.Sleep(time.Hour)
			}
			last := as.Requests()
			if at := last[len(last)-1].At; at.Before(start.Add(24 * time.Hour)) {
				t.Errorf("last request at %v", at)
			}
			as.SetFault(oauthtest.EndpointToken, oauthtest.Fault{Hang: true})
			for range 10 { // what the end of the bubble must not wait for
				go attempt(t.Context(), as.HTTPClient(), as.Issuer()+"/token")
			}
			synctest.Wait()
		})
	})
}

// Controls are used while requests run; for the race detector.
func TestConcurrentControl(t *testing.T) {
	as := oauthtest.NewServer(t, es256)
	tenant := as.Tenant("/t1")
	v := newVerifier(t, as.VerifierConfig(api))
	tenant.VerifierConfig(api)
	controls := []func(int){
		func(int) { as.Rotate() },
		func(int) { as.RotateUnpublished() },
		func(int) { as.Publish() },
		func(int) { as.EditKeySet(set(map[string]any{"use": "enc"})) },
		func(int) { as.KeySet() },
		func(int) { as.PrivateJWK() },
		func(int) { as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Status: 500, Next: 1}) },
		func(int) { as.SetOutage(false) },
		func(int) { as.ClearRequests() },
		func(int) { as.Requests() },
		func(int) { verdict(v, as.Token()) },
		func(int) { attempt(t.Context(), as.HTTPClient(), as.Issuer()+"/jwks") },
		func(int) { attempt(t.Context(), as.HTTPClient(), tenant.Issuer()+"/jwks") },
		func(i int) { as.Tenant(fmt.Sprintf("/more-%d", i)).Close() },
		func(int) { tenant.Token() },
	}
	t.Run("TA-01/concurrent_use_of_controls", func(t *testing.T) {
		var wg sync.WaitGroup
		for _, control := range controls {
			wg.Go(func() {
				for i := range 10 {
					control(i)
				}
			})
		}
		wg.Wait()
		if err := as.Close(); err != nil {
			t.Error(err)
		}
	})
}
