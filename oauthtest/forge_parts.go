// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// rights are scopes that grant nothing of a route's own: cases send them to routes that
// need none of them.
var rights = []string{"admin", "root", "superuser", "openid", "profile", "email", "offline_access"}

// ownScope tells whether none of the needed scopes is one of rights.
func (f *forgery) ownScope() bool {
	return f.scope != "" && !slices.ContainsFunc(strings.Fields(f.scope), func(s string) bool { return slices.Contains(rights, s) })
}

// audienceLacks is lacks for the needs about the audience, which depend on the case.
func (f *forgery) audienceLacks(c attackCase) string {
	m, err := f.begin(nil)
	switch {
	case err != nil:
		return "" // the good token fails as well, and says why
	case slices.Contains(c.Needs, "audience") && m.audience() == "":
		return "audience"
	case slices.Contains(c.Needs, "own-audience") && m.sendsAudience(c):
		return "own-audience"
	}
	return ""
}

// sendsAudience tells whether a case sends an audience that the good token has as well.
func (m *making) sendsAudience(c attackCase) bool {
	for _, r := range c.Tokens {
		template, set := r.Claims.Set["aud"]
		if !set {
			continue
		}
		sent, err := m.value(template)
		aud, text := sent.(string)
		if err == nil && text && slices.Contains(m.audiences(), aud) {
			return true
		}
	}
	return false
}

// level is where the last level of a scope begins, 0 if it has one only.
func level(scope string) int {
	if scope == "" {
		return 0
	}
	i := strings.LastIndexAny(scope[:len(scope)-1], ":./")
	if i <= 0 {
		return 0
	}
	return i + 1
}

// nearScope is what the target needs with a change to the last scope, so that a token
// lacks that one alone.
func nearScope(needed, which string) (string, error) {
	begin := strings.LastIndexByte(needed, ' ') + 1
	before, last := needed[:begin], needed[begin:]
	if last == "" {
		return "", fmt.Errorf("${scope.%s} of no scope", which)
	}
	switch i := level(last); which {
	case "parent":
		return before + strings.TrimRight(last[:i], ":./"), nil
	case "level":
		return before + last[:i], nil
	case "leaf":
		return before + last[i:], nil
	case "short":
		return before + last[:len(last)-1], nil // scopes are ASCII (RFC 6749 §3.3)
	case "letter":
		return before + last[:min(1, len(last)-1)], nil
	}
	return "", fmt.Errorf("no placeholder ${scope.%s}", which)
}

// nearAudience is an audience that resembles aud.
func nearAudience(aud, which string) (string, error) {
	if aud == "" {
		return "", fmt.Errorf("${aud.%s} of no audience", which)
	}
	_, size := utf8.DecodeLastRuneInString(aud)
	short := aud[:len(aud)-size]
	switch which {
	case "case":
		if other := strings.Map(otherCase, aud); other != aud {
			return other, nil
		}
		return aud + "x", nil
	case "short":
		return short, nil
	case "parent":
		i := strings.LastIndexByte(aud, '/')
		if i <= 0 || aud[i-1] == '/' { // of the scheme
			return short, nil
		}
		return aud[:i], nil
	case "scheme":
		return otherScheme(aud), nil
	}
	return "", fmt.Errorf("no placeholder ${aud.%s}", which)
}

func otherCase(r rune) rune {
	if unicode.IsLower(r) {
		return unicode.ToUpper(r)
	}
	return unicode.ToLower(r)
}

func otherScheme(aud string) string {
	if rest, secure := strings.CutPrefix(aud, "https://"); secure {
		return "http://" + rest
	}
	return "https://" + strings.TrimPrefix(aud, "http://")
}

// audiences are all of the good token, whatever Go type an edit gave them.
func (m *making) audiences() []string {
	text, err := marshal(m.draft.claims["aud"])
	if err != nil {
		return nil // the good token fails as well, and says why
	}
	var one string
	if json.Unmarshal([]byte(text), &one) == nil {
		return []string{one}
	}
	var all []string
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil
	}
	return all
}

// audience is the first of several.
func (m *making) audience() string {
	if all := m.audiences(); len(all) > 0 {
		return all[0]
	}
	return ""
}
