// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// leakLimit bounds the search in a body, which takes much longer than reading it.
const leakLimit = 1 << 20

// tellingPart is how much of a token is no chance; shorter parts may stand in any answer.
const tellingPart = 16

// material is what no answer may hold.
type material struct {
	windows map[string]bool // each of tellingPart characters
	whole   []string
}

// secrets are the payload and the signature of each token, what has only one part, and
// the jti, a window at a time. The beginning of the JOSE header is the same in most tokens
// of the world, so that it counts as a whole only.
func (x exchange) secrets() material {
	s := material{windows: map[string]bool{}}
	for _, token := range x.sent {
		parts := strings.SplitN(token, ".", 6)
		for i, part := range parts {
			switch {
			case i == 0 && len(parts) > 1 && len(part) >= tellingPart:
				s.whole = append(s.whole, part)
			case i > 0 || len(parts) == 1:
				s.add(part)
			}
		}
		if len(parts) > 1 && !slices.Contains(x.Expect, "PASS") {
			s.add(idOf(parts[1]))
		}
	}
	return s
}

func (s material) add(text string) {
	for i := 0; i+tellingPart <= len(text); i++ {
		s.windows[text[i:i+tellingPart]] = true
	}
}

// idOf returns the jti of a payload, or "".
func idOf(payload string) string {
	var claims struct {
		ID string `json:"jti"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	return claims.ID
}

// leak says where in the answer a secret stands, plain or encoded, or "".
func leak(a answer, s material) string {
	for _, interim := range a.interim {
		if where := s.inHeader(interim); where != "" {
			return "the header " + where + " of an interim answer"
		}
	}
	if where := s.inHeader(a.header); where != "" {
		return "the header " + where
	}
	if where := s.inHeader(a.trailer); where != "" {
		return "the trailer " + where
	}
	switch {
	case s.in(a.reason):
		return "the status line"
	case s.in(a.body[:min(leakLimit, len(a.body))]):
		return "the body"
	}
	return ""
}

func (s material) inHeader(h http.Header) string {
	for name, values := range h {
		if s.in(name) {
			return "names"
		}
		if slices.ContainsFunc(values, s.in) {
			return name
		}
	}
	return ""
}

// in looks for secrets in a text, and in what it stands for.
func (s material) in(text string) bool {
	if s.plainIn(text) {
		return true
	}
	if slices.ContainsFunc(decodings(text), s.plainIn) {
		return true
	}
	decoded, err := url.QueryUnescape(text)
	return err == nil && decoded != text && (s.plainIn(decoded) || slices.ContainsFunc(decodings(decoded), s.plainIn))
}

func (s material) plainIn(text string) bool {
	for i := 0; i+tellingPart <= len(text); i++ {
		if s.windows[text[i:i+tellingPart]] {
			return true
		}
	}
	return slices.ContainsFunc(s.whole, func(part string) bool { return strings.Contains(text, part) })
}

// leastBase64 and leastHex are the lengths of tellingPart octets in these codes.
const leastBase64, leastHex = 22, 32

const (
	hexDigits    = "0123456789abcdefABCDEF"
	base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
)

// runs returns the stretches of text, least octets or longer, that hold digits only.
func runs(text, digits string, least int) []string {
	return slices.DeleteFunc(strings.FieldsFunc(text, func(r rune) bool {
		return !strings.ContainsRune(digits, r)
	}), func(run string) bool { return len(run) < least })
}

// decodings are what the runs in a text stand for, wherever in them the code begins.
func decodings(text string) []string {
	var found []string
	for _, run := range runs(text, base64Digits, leastBase64) {
		run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
		for skip := range 4 {
			group := run[skip:]
			if len(group)%4 == 1 { // which no octet ends in
				group = group[:len(group)-1]
			}
			if plain, err := base64.RawStdEncoding.DecodeString(group); err == nil {
				found = append(found, string(plain))
			}
		}
	}
	for _, run := range runs(text, hexDigits, leastHex) {
		for skip := range 2 {
			pairs := run[skip:]
			if plain, err := hex.DecodeString(pairs[:len(pairs)/2*2]); err == nil {
				found = append(found, string(plain))
			}
		}
	}
	return found
}
