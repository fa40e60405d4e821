// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// outline is what a page means to somebody who does not see it: its texts and its
// controls in order, without how they look. It fails on markup that is not well-formed.
func outline(t *testing.T, page string) []string {
	t.Helper()
	var lines []string
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.Entity = true, xml.HTMLEntity
	skip := false
	for {
		token, err := d.Token()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatalf("%v in %s", err, page)
		}
		switch e := token.(type) {
		case xml.StartElement:
			skip = e.Name.Local == "style"
			lines = append(lines, element(e))
		case xml.EndElement:
			skip = false
		case xml.CharData:
			if text := strings.Join(strings.Fields(string(e)), " "); text != "" && !skip {
				lines = append(lines, text)
			}
		}
	}
}

func element(e xml.StartElement) string {
	s := "<" + e.Name.Local
	for _, a := range e.Attr {
		if a.Value == a.Name.Local || a.Name.Local == "" {
			s += " " + a.Name.Local
			continue
		}
		s += " " + a.Name.Local + "=" + a.Value
	}
	return s + ">"
}

var banner = []string{"<header>", "<p>", "<strong>", "Test authorization server.", "Its users and tokens are made up. Never enter a real password here."}

// golden is the outline of a page around its main part.
func golden(title string, main ...string) []string {
	return slices.Concat([]string{
		"<html lang=en>", "<head>", "<meta charset=utf-8>", "<meta name=viewport content=width=device-width, initial-scale=1>",
		"<meta name=color-scheme content=light dark>", "<title>", title + " – test authorization server", "<style>", "<body>",
	}, banner, []string{"<main>"}, main)
}

func wantOutline(t *testing.T, page string, want []string) {
	t.Helper()
	got := outline(t, page)
	if !slices.Equal(got, want) {
		t.Errorf("outline\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestConsentPage(t *testing.T) {
	as := newConsent(t)
	t.Run("meaning", func(t *testing.T) {
		details := `[{"type":"pay"}]`
		page := get(t, stay(as), consentURL(as, param("resource", secondAPI, api), param("authorization_details", details)))
		wantOutline(t, page.body, golden("web asks for access",
			"<h1>", "<bdi>", "web", "asks for access",
			"<p>", "After your choice you go back to", "<strong>", "<bdi>", "https://client.test", ".",
			"<dl>", "<dt>", "Scopes", "<dd>", "<bdi>", "openid", "<dd>", "<bdi>", "orders:read",
			"<dt>", "APIs", "<dd>", "<bdi>", secondAPI, "<dd>", "<bdi>", api,
			"<dt>", "Details", "<dd>", "<bdi>", details,
			"<form method=post action=authorize>", "<input type=hidden name=ticket value="+ticketOf(t, page)+">",
			"<fieldset>", "<legend>", "As which user?",
			"<p>", "<label>", "<input type=radio name=user value=user-1 checked>", "<span>", "<bdi>", "Ada", "<small>", "<bdi>", "user-1",
			"<p>", "<label>", "<input type=radio name=user value=user-2>", "<span>", "<bdi>", "user-2",
			"<div class=buttons>", "<button type=submit name=decision value=deny>", "Deny", "<button type=submit name=decision value=allow>", "Allow",
		))
	})
	t.Run("nothing_asked_for", func(t *testing.T) {
		page := get(t, stay(as), consentURL(as, param("scope"), param("client_id", "native"), param("redirect_uri", "com.example.app:/cb")))
		lines := outline(t, page.body)
		i := slices.Index(lines, "Scopes")
		if i < 0 || !slices.Equal(lines[i:i+3], []string{"Scopes", "<dd class=none>", "none"}) || !slices.Contains(lines, "com.example.app:") {
			t.Errorf("%v", lines)
		}
	})
}

// TestFormAction: the form leads back to the endpoint, whatever the path of the issuer.
func TestFormAction(t *testing.T) {
	for _, issuer := range []string{
		"https://issuer.test", "https://issuer.test/", "https://issuer.test/a/tenant", "https://issuer.test/a%3Fb",
		"https://issuer.test/a:b", "https://issuer.test//evil.test", "https://issuer.test//evil.test/",
	} {
		t.Run(strings.TrimPrefix(issuer, "https://"), func(t *testing.T) {
			as := newConsent(t, func(c *oauthtest.Config) { c.Issuer = issuer })
			base := strings.TrimSuffix(issuer, "/")
			u, err := url.Parse(consentURL(as))
			if err != nil {
				t.Fatal(err)
			}
			for endpoint, query := range map[string]string{base + "/authorize": "?" + u.RawQuery, base + "/device": "?user_code=x"} {
				page := get(t, stay(as), endpoint+query)
				if got := formTarget(t, endpoint+query, page); got != endpoint {
					t.Errorf("the form of %s leads to %q: %d", endpoint, got, page.status)
				}
			}
		})
	}
}

// formTarget is where a browser at an address sends the form of the page.
func formTarget(t *testing.T, at string, page answer) string {
	t.Helper()
	base, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range outline(t, page.body) {
		if action, ok := strings.CutPrefix(line, "<form method=post action="); ok {
			to, err := base.Parse(strings.TrimSuffix(action, ">"))
			if err != nil {
				t.Fatal(err)
			}
			return to.String()
		}
	}
	return ""
}

// TestConsentPageEscapes: what a client says of itself stays text.
func TestConsentPageEscapes(t *testing.T) {
	const hostile = `"'><script>alert(1)</script><b x='`
	as := newConsent(t, func(c *oauthtest.Config) {
		c.Clients = []oauthtest.Client{{ID: hostile, RedirectURIs: []string{webCallback}}}
		c.Users = []oauthtest.User{{Subject: hostile + "2", Name: hostile}}
	})
	scope := strings.NewReplacer(`"`, "", `\`, "", " ", "").Replace(hostile)
	page := get(t, stay(as), consentURL(as, param("client_id", hostile), param("scope", scope), param("state", hostile),
		param("nonce", hostile), param("authorization_details", `[{"type":"</dd><script>alert(1)</script>"}]`)))
	if page.status != want200 || strings.Contains(page.body, "<script") || strings.Contains(page.body, "<b ") {
		t.Errorf("%d %s", page.status, page.body)
	}
	lines := outline(t, page.body)
	for _, want := range []string{hostile, scope, `[{"type":"</dd><script>alert(1)</script>"}]`, "<input type=radio name=user value=" + hostile + "2 checked>"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %q in %q", want, lines)
		}
	}
	t.Run("user_code", func(t *testing.T) {
		page := get(t, stay(as), as.Issuer()+"/device?user_code="+url.QueryEscape(hostile))
		if strings.Contains(page.body, "<script") || !strings.Contains(page.body, "&lt;script&gt;") {
			t.Errorf("%s", page.body)
		}
	})
	t.Run("location", func(t *testing.T) {
		a := decide(t, as, page, "allow")
		if params := sentTo(t, as, a.header.Get("Location"), webCallback); params.Get("state") != hostile || strings.ContainsAny(a.header.Get("Location"), `"<> `) {
			t.Errorf("%v", a.header)
		}
	})
}

func TestPageHeaders(t *testing.T) {
	as := newConsent(t)
	fromElsewhere := func(r *http.Request) { r.Header.Set("Origin", "https://client.test") }
	endpoint := as.Issuer() + "/authorize"
	for _, tc := range []struct {
		name string
		got  func() answer
	}{
		{"TA-26/consent_page", func() answer {
			return post(t, stay(as), endpoint, nil, fromElsewhere, func(r *http.Request) { r.Method = http.MethodGet; r.URL, _ = url.Parse(consentURL(as)) })
		}},
		{"TA-26/error_page", func() answer { return post(t, stay(as), endpoint, nil, fromElsewhere) }},
		{"TA-26/device_page", func() answer { return get(t, stay(as), as.Issuer()+"/device") }},
		{"TA-26/preflight", func() answer {
			return post(t, stay(as), endpoint, nil, fromElsewhere, func(r *http.Request) {
				r.Method = http.MethodOptions
				r.Header.Set("Access-Control-Request-Method", "POST")
			})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := tc.got()
			wantNoCORS(t, a)
			for name, want := range map[string]string{
				"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
				"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
				"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + styleHash(t, a.body) + "'; base-uri 'none'; frame-ancestors 'none'",
			} {
				if got := a.header.Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
	t.Run("TA-26/redirects", func(t *testing.T) {
		wantNoCORS(t, decide(t, as, get(t, stay(as), consentURL(as)), "allow", fromElsewhere))
		wantNoCORS(t, get(t, stay(as), consentURL(as, param("scope", `"`))))
	})
}

func wantNoCORS(t *testing.T, a answer) {
	t.Helper()
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s on a page", name)
		}
	}
}

// styleHash is that of the text between the tags, as a browser computes it.
func styleHash(t *testing.T, page string) string {
	t.Helper()
	_, rest, _ := strings.Cut(page, "<style>")
	css, _, ok := strings.Cut(rest, "</style>")
	if !ok || !strings.Contains(css, "color") {
		t.Errorf("no style in %s", page)
	}
	hash := sha256.Sum256([]byte(css))
	return base64.StdEncoding.EncodeToString(hash[:])
}
