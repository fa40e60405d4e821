// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// TestNearScope: what resembles the needed scope, with and without levels, alone and
// behind others.
func TestNearScope(t *testing.T) {
	for needed, want := range map[string][5]string{
		//                  parent, level, leaf, short, letter
		"orders:read":        {"orders", "orders:", "read", "orders:rea", "o"},
		"a b:c:d":            {"a b:c", "a b:c:", "a d", "a b:c:", "a b"},
		"https://a.test/x.r": {"https://a.test/x", "https://a.test/x.", "r", "https://a.test/x.", "h"},
		"read":               {"", "", "read", "rea", "r"}, // the first three are for scopes with levels
		"r":                  {"", "", "r", "", ""},
		"a r":                {"a ", "a ", "a r", "a ", "a "},
		"orders:":            {"", "", "orders:", "orders", "o"},
		":read":              {"", "", ":read", ":rea", ":"},
	} {
		for i, which := range []string{"parent", "level", "leaf", "short", "letter"} {
			if got, err := nearScope(needed, which); err != nil || got != want[i] {
				t.Errorf("%s of %q: %q %v, want %q", which, needed, got, err, want[i])
			}
		}
	}
	for _, needed := range []string{"", "a "} {
		if got, err := nearScope(needed, "short"); err == nil {
			t.Errorf("%q: %q", needed, got)
		}
	}
	if _, err := nearScope("a", "tail"); err == nil {
		t.Error("an unknown placeholder is filled in")
	}
}

// TestNearAudience: what resembles the audience is never the audience.
func TestNearAudience(t *testing.T) {
	for aud, want := range map[string][4]string{
		//                    case, short, parent, scheme
		"https://api.test/v1/x": {"HTTPS://API.TEST/V1/X", "https://api.test/v1/", "https://api.test/v1", "http://api.test/v1/x"},
		"http://api.test":       {"HTTP://API.TEST", "http://api.tes", "http://api.tes", "https://api.test"},
		"https://api.test/":     {"HTTPS://API.TEST/", "https://api.test", "https://api.test", "http://api.test/"},
		"Orders":                {"oRDERS", "Order", "Order", "https://Orders"},
		"/a":                    {"/A", "/", "/", "https:///a"},
		"17":                    {"17x", "1", "1", "https://17"},
		"a\u00fc":               {"A\u00dc", "a", "a", "https://a\u00fc"},
	} {
		for i, which := range []string{"case", "short", "parent", "scheme"} {
			if got, err := nearAudience(aud, which); err != nil || got != want[i] || got == aud {
				t.Errorf("%s of %q: %q %v, want %q", which, aud, got, err, want[i])
			}
		}
	}
	for _, aud := range []string{"", "a"} {
		if got, err := nearAudience(aud, map[bool]string{true: "case", false: "tail"}[aud == ""]); err == nil {
			t.Errorf("%q: %q", aud, got)
		}
	}
}

// TestOwnNeeds: cases are left out where what they send would be good.
func TestOwnNeeds(t *testing.T) {
	lacks := func(scope, need string, edits ...Edit) bool {
		f := forgeryFor(t, "ES256")
		f.scope, f.edits = scope, edits
		return f.lacks([]string{need}) == need
	}
	for scope, want := range map[string][2]bool{ // scope-levels, own-scope
		"": {true, true}, "read": {true, false}, "orders:read": {false, false}, "orders:read read": {true, false},
		"read orders:read": {false, false}, "admin": {true, true}, "orders:read admin": {true, true}, "admins": {true, false},
		"offline_access a:b": {false, true},
	} {
		if got := [2]bool{lacks(scope, "scope-levels"), lacks(scope, "own-scope")}; got != want {
			t.Errorf("%q: %v, want %v", scope, got, want)
		}
	}
}

// TestAudienceNeeds: cases are left out where the audience that they send would be good, or
// there is none to be changed.
func TestAudienceNeeds(t *testing.T) {
	t.Parallel()
	issuer := forgeryFor(t, "ES256").server.issuer
	for _, tc := range []struct {
		name string
		edit Edit
		left string // the cases of row D25 that are left out
	}{
		{"one", Audience("https://a.test/v1"), ""},
		{"none", NoClaim("aud"), "slash longer joined other_case blank parent shorter other_scheme"},
		{"empty", Claim("aud", ""), "slash longer joined other_case blank parent shorter other_scheme"},
		{"no_strings", Claim("aud", []any{1}), "slash longer joined other_case blank parent shorter other_scheme"},
		{"any", Claim("aud", []any{"https://a.test/v1"}), ""},
		{"parent", Audience("https://a.test/v1", "https://a.test"), "parent"},
		{"any_parent", Claim("aud", []any{"https://a.test/v1", "https://a.test"}), "parent"},
		{"scheme", Audience("https://a.test", "http://a.test"), "other_scheme"},
		{"slash", Audience("https://a.test", "https://a.test/"), "slash"},
		{"case", Audience("a.TEST", "A.test"), "other_case"},
		{"shorter", Audience("v12", "v1"), "parent shorter"},
		{"issuer", Audience("https://a.test", issuer), "issuer"},
		{"account", Audience("account"), "account"},
		{"accounts", Audience("accounts"), ""},
	} {
		t.Run("JV-17/D25_"+tc.name, func(t *testing.T) {
			f := forgeryFor(t, "ES256")
			f.edits = []Edit{tc.edit}
			left := []string{}
			for _, c := range catalogue() {
				name, of := strings.CutPrefix(c.ID, "D25.")
				switch need := f.lacksFor(c); {
				case need != "" && of:
					left = append(left, name)
				case need == "" && of:
					if _, err := f.tokens(c); err != nil {
						t.Error(err)
					}
				}
			}
			want := strings.Fields(tc.left)
			slices.Sort(left)
			if slices.Sort(want); !slices.Equal(left, want) {
				t.Errorf("%v are left out, want %v", left, want)
			}
		})
	}
}

// TestAudienceNeedsAreSaid: cases that change the audience need one, and not one that they
// would send.
func TestAudienceNeedsAreSaid(t *testing.T) {
	for _, c := range catalogue() {
		for _, r := range c.Tokens {
			aud := string(r.Claims.Set["aud"])
			for name, value := range r.Claims.Set {
				if strings.Contains(string(value), "${aud") && !slices.Contains(c.Needs, "audience") {
					t.Errorf("%s sets %s and does not need an audience", c.ID, name)
				}
			}
			twice := strings.Contains(r.Claims.Prepend+r.Claims.Append, `"aud"`) || strings.Contains(r.Claims.Prepend+r.Claims.Append, `"\u0061ud"`)
			if twice && !slices.Contains(c.Needs, "audience") {
				t.Errorf("%s names the audience a second time, and does not need a first", c.ID)
			}
			if strings.HasPrefix(aud, `"${aud`) && !slices.Contains(c.Needs, "own-audience") {
				t.Errorf("%s sends what may be good", c.ID)
			}
		}
	}
}

// TestHostileWithoutAudience: where a good token has none there is a catalogue all the same.
func TestHostileWithoutAudience(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]Edit{"none": NoClaim("aud"), "any": Claim("aud", []any{"https://a.test"})} {
		t.Run("JV-17/D25_"+name, func(t *testing.T) {
			n := 0
			for range forgeryFor(t, "ES256").server.Hostile(edit) {
				n++
			}
			if n < 300 {
				t.Errorf("%d tokens", n)
			}
		})
	}
}

// TestOwnScopesAreNone: own-scope knows all scopes of the cases that need it.
func TestOwnScopesAreNone(t *testing.T) {
	for _, c := range catalogue() {
		if !slices.Contains(c.Needs, "own-scope") {
			continue
		}
		sent := strings.Fields(strings.Trim(string(c.Tokens["token"].Claims.Set["scope"]), `"`))
		if len(sent) == 0 {
			t.Errorf("%s sends no scope", c.ID)
		}
		for _, s := range sent {
			if !slices.Contains(rights, s) {
				t.Errorf("%s sends %s, which is not in the list", c.ID, s)
			}
		}
	}
}

// TestBasicPlaceholder: the good token as a password (RFC 7617 §2).
func TestBasicPlaceholder(t *testing.T) {
	f := noonForgery(t)
	got, err := f.expand("Basic ${good.basic}", map[string]string{"good": "g.o.d"})
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("token:g.o.d")); err != nil || got != want {
		t.Errorf("%q %v, want %q", got, err, want)
	}
	if got, err := f.expand("${good.basic}", nil); err == nil {
		t.Errorf("%q of no token", got)
	}
}

// TestMethodPlaceholder: a method that has a body stays.
func TestMethodPlaceholder(t *testing.T) {
	for method, want := range map[string]string{"POST": "POST", "PUT": "PUT", "PATCH": "PATCH", "GET": "POST", "DELETE": "POST", "post": "POST"} {
		if got := places("/", "api.test", method)["method.body"]; got != want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
	}
}
