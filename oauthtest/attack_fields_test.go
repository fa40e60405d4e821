// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// A route that needs a field of Target.Header gets it with every case, and mistakes about
// fields are found all the same.
func TestAttackFields(t *testing.T) {
	t.Parallel()
	needs := func(name, value string) func(good http.Handler) http.HandlerFunc {
		return func(good http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if got := strings.Join(r.Header[name], "; "); got != value && !(name == "Cookie" && strings.HasPrefix(got, value+"; ")) {
					http.Error(w, "the field is missing", http.StatusForbidden)
					return
				}
				good.ServeHTTP(w, r)
			}
		}
	}
	opens := func(host string, open func(r *http.Request) bool) func(good http.Handler) http.HandlerFunc {
		return func(good http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				switch {
				case open(r):
					io.WriteString(w, handlerText)
				case host != "" && r.Host != host && r.Host != "":
					io.WriteString(w, "<h1>welcome to the default site</h1>")
				default:
					good.ServeHTTP(w, r)
				}
			}
		}
	}
	never := func(*http.Request) bool { return false }
	for _, tc := range []struct {
		name, field, value string
		make               func(good http.Handler) http.HandlerFunc
		want               []string // cases that find something
	}{
		{"A16/a_key_beside_the_token", "X-API-Key", "k", needs("X-Api-Key", "k"), nil},
		{"A16/another_field_still_opens", "x-api-key", "k", opens("", func(r *http.Request) bool { return r.Header.Get("X-Auth-Token") != "" }), []string{"A16.bare"}},
		{"K21/a_forwarded_host", "X-Forwarded-Host", "orders.example", needs("X-Forwarded-Host", "orders.example"), nil},
		{"K21/a_field_alone", "X-Forwarded-For", "10.0.0.1", needs("X-Forwarded-For", "10.0.0.1"), nil},
		{"A35/a_cookie", "Cookie", "waf=1", needs("Cookie", "waf=1"), nil},
		{"A35/a_cookie_still_opens", "Cookie", "waf=1", opens("", func(r *http.Request) bool { _, err := r.Cookie("jwt"); return err == nil }), []string{"A35.other_names"}},
		{"K32/a_default_site", "Host", "orders.example", opens("orders.example", never), nil},
		{"K21/a_default_site_with_the_text", "Host", "orders.example", opens("orders.example", func(r *http.Request) bool { return r.Host == "localhost" }), []string{"K21.host_localhost"}},
		{"K32/the_host_in_capitals", "host", "orders.example", opens("", func(r *http.Request) bool { return r.Host == "ORDERS.EXAMPLE" }), []string{"K32.capitals"}},
		{"K21/a_page_of_the_host", "Host", "orders.example:8080", opens("orders.example:8080", func(r *http.Request) bool { return r.Header.Get("Origin") == "https://"+r.Host }), []string{"K21.referer"}},
		{"K21/a_page_of_no_other_host", "Host", "orders.example", opens("", func(r *http.Request) bool { return r.Header.Get("Origin") == "https://api.test" }), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			OneOfMany(t, len(tc.want) > 0)
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				target := ordersTarget
				target.Header = http.Header{tc.field: {tc.value}}
				var got []string
				for _, f := range findingsOf(t, tc.make(attacked(t, as.VerifierConfig(attackedAPI))), as, target, "A16", "A35", "K21", "K32") {
					got = append(got, f.Case)
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("%v, want %v", got, tc.want)
				}
			})
		})
	}
}

// A case is left out if it has nothing else to send.
func TestCaseBeside(t *testing.T) {
	for name, tc := range map[string]struct {
		lines, field, want string // "" if the case is skipped
	}{
		"one_of_two":      {"X-A: 1|X-B: 2", "x-a", "X-B: 2"},
		"alone":           {"X-A: 1", "X-A", ""},
		"beside_a_token":  {"Authorization: Bearer x|X-A: 1", "X-A", ""},
		"authorization":   {"AUTHORIZATION : x|X-A: 1", "X-B", "AUTHORIZATION : x|X-A: 1"},
		"of_the_message":  {"Content-Type: text/plain", "content-type", "Content-Type: text/plain"},
		"host":            {"Host: localhost", "Host", "Host: localhost"},
		"another":         {"X-A: 1", "X-AB", "X-A: 1"},
		"cookie":          {"Cookie: a=b", "Cookie", "Cookie: a=b"},
		"no_field_at_all": {"X-A: 1", "", "X-A: 1"},
	} {
		t.Run("K21_"+name, func(t *testing.T) {
			c := attackCase{Send: message{Lines: strings.Split(tc.lines, "|")}}
			h := http.Header{tc.field: {"v"}}
			got := c.beside(h)
			if skipped := slices.Contains(got.Needs, freeFields); skipped != (tc.want == "") || !skipped && strings.Join(got.Send.Lines, "|") != tc.want {
				t.Errorf("%q, needs %v", got.Send.Lines, got.Needs)
			}
			if strings.Join(c.Send.Lines, "|") != tc.lines {
				t.Errorf("the catalogue was changed: %q", c.Send.Lines)
			}
		})
	}
}

// Only the first MiB of a body is searched.
func TestLeakLimit(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("0123456789abcdef", 2)[:tellingPart]
	s := material{windows: map[string]bool{}}
	s.add(secret)
	for before, want := range map[int]string{leakLimit - tellingPart: "the body", leakLimit - tellingPart + 1: ""} {
		t.Run(fmt.Sprintf("N4_behind_%d", before), func(t *testing.T) {
			if got := leak(answer{body: strings.Repeat(" ", before) + secret + " and so on"}, s); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// What is no compression is to be corrected, not switched off.
func TestCodingRemedy(t *testing.T) {
	const hint = "or correct the header: it names no compression"
	for coding, want := range map[string]bool{"br": false, "ZSTD": false, "identity, br": false, "gzip, gzip": false, "UTF-8": true, "utf-8, none": true, "brr": true} {
		t.Run(coding, func(t *testing.T) {
			err := answer{err: errCoding, header: http.Header{"Content-Encoding": {coding}}}.unreadable()
			if err == nil || strings.Contains(err.Error(), hint) != want {
				t.Errorf("%v", err)
			}
		})
	}
}
