// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

const keySetLimit = 512 << 10 // DF-07

// keySetFault is a fault of the key set with what a verifier makes of it.
type keySetFault struct {
	name  string
	fault oauthtest.Fault
	body  func(keySet string) string // nil: as in fault
	good  bool
}

func keySetFaults() []keySetFault {
	body := func(add string) func(string) string { return func(set string) string { return set + add } }
	status := func(code int) oauthtest.Fault { return oauthtest.Fault{Status: code} }
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	return []keySetFault{
		{"TA-23/no_fault", oauthtest.Fault{Next: 3}, nil, true},
		{"TA-23/KS-12_F1_status_500", status(500), nil, false},
		{"TA-23/KS-12_F1_status_503", status(503), nil, false},
		{"TA-23/KS-05_F4_status_404", status(404), nil, false},
		{"TA-23/KS-05_status_204", status(204), nil, false},
		{"TA-23/KS-05_F29_status_304", status(304), nil, false},
		{"TA-23/KS-05_status_201_with_keys", oauthtest.Fault{Status: 201}, body(""), false},
		{"TA-23/KS-05_F6_HTML", oauthtest.Fault{Body: "<html>Log in</html>", Header: header("Content-Type", "text/html")}, nil, false},
		{"TA-23/KS-05_F7_empty_body", oauthtest.Fault{Body: " "}, nil, false},
		{"TA-23/KS-05_F7_empty_object", oauthtest.Fault{Body: "{}"}, nil, false},
		{"TA-23/KS-05_F7_keys_null", oauthtest.Fault{Body: `{"keys":null}`}, nil, false},
		{"TA-23/KS-05_F8_invalid_JSON", oauthtest.Fault{Body: `{"keys":[`}, nil, false},
		{"TA-23/KS-05_F8_truncated", oauthtest.Fault{Truncate: true}, nil, false},
		{"TA-23/KS-05_F8_trailing_garbage", oauthtest.Fault{}, body("x"), false},
		{"TA-23/KS-06_F9_wrong_content_type", oauthtest.Fault{Header: header("Content-Type", "text/plain")}, nil, true},
		{"TA-23/KS-07_just_within_the_limit", oauthtest.Fault{Oversize: keySetLimit}, nil, true},
		{"TA-23/KS-07_oversize", oauthtest.Fault{Oversize: keySetLimit + 1}, nil, false},
		{"TA-23/KS-07_oversize_by_far", oauthtest.Fault{Oversize: 1 << 40}, nil, false},
		{"TA-23/KS-07_gzip", oauthtest.Fault{Gzip: true}, nil, true},
		{"TA-23/KS-07_F11_gzip_within_the_limit", oauthtest.Fault{Gzip: true, Oversize: keySetLimit}, nil, true},
		{"TA-23/KS-07_F11_gzip_bomb", oauthtest.Fault{Gzip: true, Oversize: 1 << 40}, nil, false},
		{"TA-23/KS-03_F14_redirect", oauthtest.Fault{Redirect: "http://169.254.169.254/latest"}, nil, false},
		{"TA-23/KS-03_F15_redirect_to_http", oauthtest.Fault{Redirect: "http://issuer.test/jwks", Status: 307}, nil, false},
		{"TA-23/KS-03_redirect_to_the_same_host", oauthtest.Fault{Redirect: "https://issuer.test/jwks", Status: 308}, nil, false},
		{"TA-23/KS-12_F3_reset", oauthtest.Fault{Reset: true}, nil, false},
		{"TA-23/KS-12_F13_hang", oauthtest.Fault{Hang: true}, nil, false},
		{"TA-23/KS-12_delay_within_the_limit", oauthtest.Fault{Delay: 4999 * time.Millisecond}, nil, true},
		{"TA-23/KS-12_delay_beyond_the_limit", oauthtest.Fault{Delay: 5001 * time.Millisecond}, nil, false},
		{"TA-23/KS-24_F32_duplicate_members", oauthtest.Fault{DuplicateMembers: true}, nil, false},
	}
}

// Cold, a fault of the key set is an outage of ours; warm, the old keys go on (KS-12),
// and once the fault is over the keys are fetched again.
func TestKeySetFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range keySetFaults() {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, es256)
				if tc.body != nil {
					tc.fault.Body = tc.body(string(as.KeySet()))
				}
				want := verifier.ErrKeysUnavailable
				if tc.good {
					want = nil
				}
				warm, cache, _ := listening(t, as)
				raw := as.Token(longLived)
				wantVerdict(t, warm, raw, nil)
				as.SetFault(oauthtest.EndpointKeySet, tc.fault)
				cold, _, _ := listening(t, as)
				wantVerdict(t, cold, raw, want)
				time.Sleep(20 * time.Minute)
				wantVerdict(t, warm, raw, nil)
				if failed := cache.Status().Failures > 0; failed == tc.good {
					t.Errorf("status %+v", cache.Status())
				}
				as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{})
				time.Sleep(time.Hour)
				wantVerdict(t, cold, raw, nil)
				wantOnlyKnownRequests(t, as)
			})
		})
	}
}

// A verifier waits as long as it is told to (RFC 9110 §10.2.3).
func TestRetryAfterFault(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		t.Run("TA-23/KS-13_F5_retry_after", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, es256)
				as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Status: status, Header: http.Header{"Retry-After": {"120"}}})
				v, cache, _ := listening(t, as)
				wantVerdict(t, v, as.Token(), verifier.ErrKeysUnavailable)
				if wait := time.Until(cache.Status().NextAttempt); wait < 2*time.Minute || wait > 5*time.Minute {
					t.Errorf("status %d: next attempt in %v", status, wait)
				}
			})
		})
	}
}

// wantOnlyKnownRequests: no redirect was followed.
func wantOnlyKnownRequests(t *testing.T, as *oauthtest.Server) {
	t.Helper()
	for _, r := range as.Requests() {
		if r.Endpoint == "" || !strings.HasPrefix(r.URL, "https://issuer.test/") {
			t.Errorf("request to %s", r.URL)
		}
	}
}

// The same for metadata (MD-17), of which each location has the fault.
func TestMetadataFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault oauthtest.Fault
		want  error
	}{
		"TA-23/MD-17_status_500":            {oauthtest.Fault{Status: 500}, verifier.ErrMetadata},
		"TA-23/MD-17_status_404":            {oauthtest.Fault{Status: 404}, verifier.ErrMetadata},
		"TA-23/MD-17_HTML":                  {oauthtest.Fault{Body: "<html>"}, verifier.ErrMetadata},
		"TA-23/MD-17_wrong_content_type":    {oauthtest.Fault{Header: http.Header{"Content-Type": {"text/plain"}}}, nil},
		"TA-23/MD-17_truncated":             {oauthtest.Fault{Truncate: true}, verifier.ErrMetadata},
		"TA-23/MD-17_just_within_the_limit": {oauthtest.Fault{Oversize: 256 << 10}, nil},
		"TA-23/MD-17_oversize":              {oauthtest.Fault{Oversize: 256<<10 + 1}, verifier.ErrMetadata},
		"TA-23/MD-17_gzip_bomb":             {oauthtest.Fault{Oversize: 1 << 40, Gzip: true}, verifier.ErrMetadata},
		"TA-23/MD-17_redirect":              {oauthtest.Fault{Redirect: "http://169.254.169.254/"}, verifier.ErrMetadata},
		"TA-23/MD-17_duplicate_members":     {oauthtest.Fault{DuplicateMembers: true}, verifier.ErrMetadata},
		"TA-23/MD-17_reset":                 {oauthtest.Fault{Reset: true}, verifier.ErrKeysUnavailable},
		"TA-23/MD-17_hang":                  {oauthtest.Fault{Hang: true}, verifier.ErrMetadata},
		"TA-23/MD-17_delay":                 {oauthtest.Fault{Delay: 6 * time.Second}, verifier.ErrMetadata},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, es256)
				as.SetFault(oauthtest.EndpointMetadata, tc.fault)
				v, _, _ := listening(t, as)
				raw := as.Token(longLived)
				wantVerdict(t, v, raw, tc.want)
				as.SetFault(oauthtest.EndpointMetadata, oauthtest.Fault{})
				time.Sleep(time.Hour)
				wantVerdict(t, v, raw, nil)
				wantOnlyKnownRequests(t, as)
			})
		})
	}
}

var allEndpoints = map[oauthtest.Endpoint]string{
	oauthtest.EndpointMetadata:      "/.well-known/oauth-authorization-server",
	oauthtest.EndpointKeySet:        "/jwks",
	oauthtest.EndpointAuthorization: "/authorize",
	oauthtest.EndpointToken:         "/token",
	oauthtest.EndpointIntrospection: "/introspect",
	oauthtest.EndpointRevocation:    "/revoke",
	oauthtest.EndpointUserinfo:      "/userinfo",
	oauthtest.EndpointDevice:        "/device_authorization",
	oauthtest.EndpointDevicePage:    "/device",
}

// Every endpoint can have every fault, and no other endpoint notices.
func TestFaultOfEachEndpoint(t *testing.T) {
	for e, path := range allEndpoints {
		t.Run("TA-23/endpoint_"+strings.ReplaceAll(string(e), " ", "_"), func(t *testing.T) {
			as := oauthtest.NewServer(t, es256)
			as.SetFault(e, oauthtest.Fault{Status: http.StatusTeapot, Header: http.Header{"X-Fault": {"yes"}}})
			for other, at := range allEndpoints {
				a := get(t, as.HTTPClient(), as.Issuer()+at)
				if faulty := a.status == http.StatusTeapot && a.header.Get("X-Fault") == "yes"; faulty != (other == e) {
					t.Errorf("%s: status %d", other, a.status)
				}
			}
			as.SetOutage(true)
			if a := get(t, as.HTTPClient(), as.Issuer()+path); a.status != http.StatusTeapot {
				t.Errorf("status %d: the outage goes before the fault", a.status)
			}
			as.SetFault(e, oauthtest.Fault{})
			if a := get(t, as.HTTPClient(), as.Issuer()+path); a.status != http.StatusServiceUnavailable {
				t.Errorf("status %d during the outage", a.status)
			}
		})
	}
}

// A fault that stands for the endpoint's answer keeps the endpoint from its work; one
// that changes the answer does not.
func TestFaultOfTokenEndpoint(t *testing.T) {
	as := oauthtest.NewServer(t, es256)
	as.VerifierConfig(api)
	ask := func(f oauthtest.Fault) answer {
		as.SetFault(oauthtest.EndpointToken, f)
		return tokenRequest(t, as, "grant_type=client_credentials", basic("test-client", "test-secret"))
	}
	t.Run("TA-23/changed_answer", func(t *testing.T) {
		a := ask(oauthtest.Fault{Header: http.Header{"Cache-Control": {"max-age=60"}}, Oversize: 100_000})
		if a.json["access_token"] == nil || a.header.Get("Cache-Control") != "max-age=60" || len(a.body) != 100_000 || a.header.Get("Pragma") != "no-cache" {
			t.Errorf("%d bytes, header %v", len(a.body), a.header)
		}
	})
	t.Run("TA-23/duplicate_members", func(t *testing.T) {
		if a := ask(oauthtest.Fault{DuplicateMembers: true}); strings.Count(a.body, `"access_token"`) != 2 {
			t.Errorf("body %s", a.body)
		}
	})
	t.Run("TA-23/other_answer", func(t *testing.T) {
		if a := ask(oauthtest.Fault{Body: `{"access_token":1}`}); a.status != 200 || a.json["access_token"] != 1.0 || a.header.Get("Pragma") != "" {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
	})
	t.Run("TA-23/status_of_an_error_stays", func(t *testing.T) {
		as.SetFault(oauthtest.EndpointToken, oauthtest.Fault{Header: http.Header{"X-Fault": {"yes"}}})
		a := tokenRequest(t, as, "grant_type=x", basic("test-client", "test-secret"))
		if a.status != http.StatusBadRequest || a.header.Get("X-Fault") != "yes" {
			t.Errorf("%d %v", a.status, a.header)
		}
	})
}

func TestFaultForSomeRequests(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		as := oauthtest.NewServer(t, es256)
		as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Status: 500, Next: n})
		var got []int
		for range n + 2 {
			got = append(got, get(t, as.HTTPClient(), as.Issuer()+"/jwks").status)
		}
		t.Run("TA-23/next", func(t *testing.T) {
			for i, status := range got {
				if faulty := status == 500; faulty != (i < n) {
					t.Errorf("of %d: statuses %v", n, got)
				}
			}
		})
	}
	t.Run("TA-23/next_is_replaced", func(t *testing.T) {
		as := oauthtest.NewServer(t, es256)
		as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Status: 500, Next: 5})
		as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{})
		if a := get(t, as.HTTPClient(), as.Issuer()+"/jwks"); a.status != http.StatusOK {
			t.Errorf("status %d", a.status)
		}
	})
}

// attempt is get for requests that may fail.
func attempt(ctx context.Context, c *http.Client, url string) (body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept-Encoding", "gzip") // undone by nobody
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// A field that is set has the values that are set, however its name is spelled.
func TestFaultHeader(t *testing.T) {
	as := oauthtest.NewServer(t, es256)
	for name, h := range map[string]http.Header{
		"canonical": {"Content-Type": {"text/html"}}, "in_small_letters": {"content-type": {"text/html"}},
		"two_values_in_two_spellings": {"X-A": {"1"}, "x-a": {"2"}, "CONTENT-TYPE": {"text/html"}},
	} {
		t.Run("TA-23/header_"+name, func(t *testing.T) {
			as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Header: h})
			got := get(t, as.HTTPClient(), as.Issuer()+"/jwks").header
			if !slices.Equal(got.Values("Content-Type"), []string{"text/html"}) {
				t.Errorf("Content-Type %q", got.Values("Content-Type"))
			}
			if _, two := h["X-A"]; two && !slices.Equal(got.Values("X-A"), []string{"1", "2"}) {
				t.Errorf("X-A %q", got.Values("X-A"))
			}
		})
	}
}

// An answer without a body, cut, is not a whole one either.
func TestTruncatedEmptyAnswer(t *testing.T) {
	as := oauthtest.NewServer(t, es256)
	form := url.Values{"client_id": {"test-client"}, "client_secret": {"test-secret"}, "token": {"x"}}
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("TA-23/truncated_empty_%t", cut), func(t *testing.T) {
			as.SetFault(oauthtest.EndpointRevocation, oauthtest.Fault{Truncate: cut})
			resp, err := as.HTTPClient().PostForm(as.Issuer()+"/revoke", form)
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				if resp.Body.Close(); len(body) > 0 || resp.StatusCode != http.StatusOK {
					t.Errorf("%d %q", resp.StatusCode, body)
				}
			}
			if (err != nil) != cut {
				t.Errorf("error %v", err)
			}
		})
	}
}

// What each fault is on the wire, over every kind of connection.
func TestFaultsOnTheWire(t *testing.T) {
	t.Parallel()
	for name, as := range map[string]*oauthtest.Server{
		"memory":   oauthtest.NewServer(t, es256),
		"loopback": listen(t, oauthtest.Config{Algorithm: "ES256"}),
		"HTTP2":    listen(t, oauthtest.Config{Algorithm: "ES256", TLS: true}),
	} {
		for fault, tc := range map[string]struct {
			fault oauthtest.Fault
			good  func(body string, err error) bool
		}{
			"reset": {oauthtest.Fault{Reset: true}, func(body string, err error) bool { return body == "" && err != nil }},
			"truncated": {oauthtest.Fault{Truncate: true}, func(body string, err error) bool {
				return body == string(as.KeySet()[:len(as.KeySet())/2]) && err != nil
			}},
			"gzip": {oauthtest.Fault{Gzip: true, Oversize: 1 << 20}, func(body string, err error) bool {
				z, broken := gzip.NewReader(strings.NewReader(body))
				if err != nil || broken != nil {
					return false
				}
				plain, broken := io.ReadAll(z)
				return broken == nil && len(plain) == 1<<20 && strings.TrimRight(string(plain), " ") == string(as.KeySet()) && len(body) < 1<<12
			}},
		} {
			t.Run("TA-23/wire_"+fault+"_"+name, func(t *testing.T) {
				as.SetFault(oauthtest.EndpointKeySet, tc.fault)
				for range 3 { // on a connection that was in use before, too
					if body, err := attempt(t.Context(), as.HTTPClient(), as.Issuer()+"/jwks"); !tc.good(body, err) {
						t.Errorf("%q, %v", body, err)
					}
					as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{})
					get(t, as.HTTPClient(), as.Issuer()+"/jwks")
					as.SetFault(oauthtest.EndpointKeySet, tc.fault)
				}
			})
		}
		t.Run("TA-23/wire_requests_are_not_repeated_"+name, func(t *testing.T) {
			as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{})
			get(t, as.HTTPClient(), as.Issuer()+"/jwks")
			before := as.Fetches()
			as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Reset: true, Next: 1})
			if _, err := attempt(t.Context(), as.HTTPClient(), as.Issuer()+"/jwks"); err == nil || as.Fetches() != before+1 {
				t.Errorf("%d fetches, %v", as.Fetches()-before, err)
			}
		})
	}
}

// What hangs ends with the client, or with the server.
func TestHang(t *testing.T) {
	for name, f := range map[string]oauthtest.Fault{"hang": {Hang: true}, "delay": {Delay: 24 * time.Hour}} {
		t.Run("TA-23/"+name+"_ends_with_the_client", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, es256)
				as.SetFault(oauthtest.EndpointKeySet, f)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				start := time.Now()
				if _, err := attempt(ctx, as.HTTPClient(), as.Issuer()+"/jwks"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
		t.Run("TA-23/"+name+"_ends_with_the_server", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, es256)
				as.SetFault(oauthtest.EndpointKeySet, f)
				ended := make(chan error, 1)
				go func() {
					_, err := attempt(t.Context(), as.HTTPClient(), as.Issuer()+"/jwks")
					ended <- err
				}()
				synctest.Wait()
				if err := as.Close(); err != nil {
					t.Error(err)
				}
				if err := <-ended; err == nil {
					t.Error("an answer after Close")
				}
			})
		})
	}
}

func TestSetFaultRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		e    oauthtest.Endpoint
		f    oauthtest.Fault
		word string
	}{
		"no_endpoint":      {"", oauthtest.Fault{}, "endpoint"},
		"unknown_endpoint": {"jwks", oauthtest.Fault{}, "endpoint"},
		"status_199":       {oauthtest.EndpointToken, oauthtest.Fault{Status: 199}, "Status"},
		"status_600":       {oauthtest.EndpointToken, oauthtest.Fault{Status: 600}, "Status"},
		"status_negative":  {oauthtest.EndpointToken, oauthtest.Fault{Status: -1}, "Status"},
		"next_negative":    {oauthtest.EndpointToken, oauthtest.Fault{Next: -1, Status: 500}, "Next"},
	} {
		t.Run("TA-23/refused_"+name, func(t *testing.T) {
			got := failureOf(func(t testing.TB) { oauthtest.NewServer(t, es256).SetFault(tc.e, tc.f) })
			if !strings.Contains(got, "SetFault") || !strings.Contains(got, tc.word) {
				t.Errorf("failure %q", got)
			}
		})
	}
}
