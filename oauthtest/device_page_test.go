// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
)

// device starts a device authorization of the public client.
func device(t *testing.T, as *oauthtest.Server) (deviceCode, userCode string) {
	t.Helper()
	form := url.Values{"client_id": {"native"}, "scope": {"openid orders:read"}}
	a := post(t, as.HTTPClient(), as.Issuer()+"/device_authorization", form)
	deviceCode, _ = a.json["device_code"].(string)
	userCode, _ = a.json["user_code"].(string)
	if a.status != want200 || deviceCode == "" || len(userCode) != 9 || userCode[4] != '-' {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return deviceCode, userCode
}

// poll asks for the token of a device.
func poll(t *testing.T, as *oauthtest.Server, deviceCode string) answer {
	t.Helper()
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"native"}, "device_code": {deviceCode}}
	return tokenRequest(t, as, form.Encode())
}

func TestDevicePage(t *testing.T) {
	as := newConsent(t)
	page := as.Issuer() + "/device"
	t.Run("TA-20/form", func(t *testing.T) {
		wantOutline(t, get(t, stay(as), page+"?user_code=wdjb-mjht").body, golden("Connect a device",
			"<h1>", "Connect a device", "<form method=post action=device>",
			"<p>", "<label for=user_code>", "Code that the device shows",
			"<p>", "<input type=text id=user_code name=user_code value=wdjb-mjht required maxlength=40 autocomplete=off autocapitalize=characters spellcheck=false aria-describedby=hint>",
			"<p class=hint id=hint>", "Go on only if you started this on a device of your own, and it shows this very code.",
			"<div class=buttons>", "<button type=submit>", "Continue",
		))
	})
	t.Run("TA-20/code_in_the_url_decides_nothing", func(t *testing.T) {
		deviceCode, userCode := device(t, as)
		get(t, stay(as), page+"?decision=allow&user_code="+userCode)
		wantAnswer(t, poll(t, as, deviceCode), want400, "authorization_pending")
	})
	t.Run("TA-20/consent_shows_the_code", func(t *testing.T) {
		_, userCode := device(t, as)
		a := post(t, stay(as), page, url.Values{"user_code": {strings.ToLower(userCode)}})
		lines := outline(t, a.body)
		for _, want := range []string{userCode, "native", "orders:read", "<form method=post action=device>", "<button type=submit name=decision value=deny>"} {
			if !slices.Contains(lines, want) {
				t.Errorf("no %q in %q", want, lines)
			}
		}
	})
	for _, tc := range []struct{ name, decision, text string }{
		{"TA-20/allowed_on_the_page", "allow", "The device is connected"},
		{"TA-20/denied_on_the_page", "deny", "The device is refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			deviceCode, userCode := device(t, as)
			question := post(t, stay(as), page, url.Values{"user_code": {userCode}})
			form := url.Values{"ticket": {ticketOf(t, question)}, "decision": {tc.decision}, "user": {"user-2"}}
			if a := post(t, stay(as), page, form); a.status != want200 || !strings.Contains(a.body, tc.text) || a.header.Get("Location") != "" {
				t.Errorf("%d %s", a.status, a.body)
			}
			a := poll(t, as, deviceCode)
			if tc.decision == "deny" {
				wantAnswer(t, a, want400, "access_denied")
				return
			}
			wantAnswer(t, a, want200, "")
			raw, _ := a.json["access_token"].(string)
			if info := userinfo(t, as, "Bearer "+raw); info.json["sub"] != "user-2" {
				t.Errorf("%d %s", info.status, info.body)
			}
		})
	}
}

func TestDevicePageRefuses(t *testing.T) {
	c := newClock()
	as := newConsent(t, c.in)
	page := as.Issuer() + "/device"
	enter := func(userCode string) answer { return post(t, stay(as), page, url.Values{"user_code": {userCode}}) }
	for name, userCode := range map[string]string{"TA-20/unknown_code": "AAAA-AAAA", "TA-20/no_code": "", "TA-20/hyphens_only": "--"} {
		t.Run(name, func(t *testing.T) {
			device(t, as)
			wantErrorPage(t, enter(userCode), want400, "the code is unknown")
		})
	}
	t.Run("TA-20/decided_code", func(t *testing.T) {
		_, userCode := device(t, as)
		if err := as.DenyDevice(userCode); err != nil {
			t.Fatal(err)
		}
		wantErrorPage(t, enter(userCode), want400, "the code is unknown")
	})
	t.Run("TA-20/decided_in_another_window", func(t *testing.T) {
		_, userCode := device(t, as)
		question := enter(userCode)
		if err := as.DenyDevice(userCode); err != nil {
			t.Fatal(err)
		}
		form := url.Values{"ticket": {ticketOf(t, question)}, "decision": {"allow"}}
		wantErrorPage(t, post(t, stay(as), page, form), want400, "the code is unknown")
	})
	t.Run("TA-20/last_second_and_end_of_a_code", func(t *testing.T) {
		_, userCode := device(t, as)
		c.pass(10*time.Minute - time.Second)
		question := enter(userCode)
		ticketOf(t, question)
		c.pass(time.Second)
		wantErrorPage(t, enter(userCode), want400, "the code is unknown")
		form := url.Values{"ticket": {ticketOf(t, question)}, "decision": {"allow"}}
		wantErrorPage(t, post(t, stay(as), page, form), want400, "the code is unknown")
	})
	t.Run("other_site", func(t *testing.T) {
		_, userCode := device(t, as)
		form := url.Values{"ticket": {ticketOf(t, enter(userCode))}, "decision": {"allow"}}
		wantErrorPage(t, post(t, stay(as), page, form, secFetch("cross-site")), http.StatusForbidden, "another site")
	})
}

func TestScriptedDevice(t *testing.T) {
	as := newConsent(t)
	v := newVerifier(t, as.VerifierConfig(api))
	for _, tc := range []struct {
		name string
		edit func(string) string
	}{
		{"TA-20/as_shown", func(s string) string { return s }},
		{"TA-20/lower_case", strings.ToLower},
		{"TA-20/no_hyphen", func(s string) string { return strings.ReplaceAll(s, "-", "") }},
		{"TA-20/hyphens_and_spaces", func(s string) string { return " " + strings.Join(strings.Split(s, ""), "- ") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			deviceCode, userCode := device(t, as)
			if err := as.ApproveDevice(tc.edit(userCode)); err != nil {
				t.Fatal(err)
			}
			a := poll(t, as, deviceCode)
			wantAnswer(t, a, want200, "")
			raw, _ := a.json["access_token"].(string)
			tok, err := v.Verify(t.Context(), raw, scopes.All("orders:read"))
			if err != nil || tok.Subject != "user-1" || tok.ClientID != "native" {
				t.Errorf("%+v %v", tok, err)
			}
		})
	}
	t.Run("TA-20/denied", func(t *testing.T) {
		deviceCode, userCode := device(t, as)
		if err := as.DenyDevice(userCode); err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, poll(t, as, deviceCode), want400, "access_denied")
		if err := as.ApproveDevice(userCode); err == nil {
			t.Error("decided twice")
		}
	})
	t.Run("TA-20/faults", func(t *testing.T) {
		_, userCode := device(t, as)
		for _, err := range []error{as.ApproveDevice("AAAA-AAAA"), as.DenyDevice(""), as.ApproveDevice(userCode, "user-3"), as.ApproveDevice(userCode, "user-1", "user-2")} {
			if err == nil || !strings.HasPrefix(err.Error(), "oauthtest: ") {
				t.Errorf("%v", err)
			}
		}
	})
}
