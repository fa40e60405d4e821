// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// exchange is one case played over one protocol: all that judging it takes.
type exchange struct {
	attackCase
	method  string
	sent    map[string]string // the tokens that were at hand, by name
	answer  answer
	fetched bool   // an address from the token was asked
	crash   string // what the handler panicked with, without values
	target  *Target
	marker  marker
}

// judge returns the gravest problem, or "", and what came instead of what was expected.
func (x exchange) judge() (Problem, string) {
	secrets := x.secrets()
	where := leak(x.answer, secrets)
	switch {
	case x.accepted():
		return Accepted, x.came(secrets)
	case where != "":
		return Leaked, "token material in " + where
	case x.fetched:
		return Fetched, x.came(secrets) + ", and the server asked for an address that stands in the token"
	case x.crashed():
		return Crashed, x.came(secrets)
	}
	return x.judgeWords(secrets)
}

func (x exchange) judgeWords(secrets []string) (Problem, string) {
	wrong := x.wrong()
	switch {
	case wrong == "":
		return "", ""
	case slices.Contains(x.Expect, "PASS"):
		return Refused, x.came(secrets)
	}
	return Answered, x.came(secrets) + ": " + wrong
}

// accepted: an answer of the handler, or one that a client takes for a success. Where
// another route may answer without harm, only the handler's text tells.
func (x exchange) accepted() bool {
	if slices.Contains(x.Expect, "PASS") || x.answer.status == 0 {
		return false
	}
	elsewhere := slices.Contains(x.Expect, "SRV") && (x.Send.Method != "" || x.Send.Path != "") && x.method != http.MethodHead
	return x.marker.in(x.answer.body) || x.answer.success() && !elsewhere
}

// crashed: SRV allows that nothing comes, but not that it takes for ever, nor a 500.
func (x exchange) crashed() bool {
	if x.answer.err != nil {
		return x.answer.hung() || !slices.Contains(x.Expect, "SRV")
	}
	return x.answer.status == http.StatusInternalServerError || x.crash != ""
}

// wrong says why none of the expected answers came, or "".
func (x exchange) wrong() string {
	challenges, err := ParseChallenges(x.answer.header)
	if err != nil {
		return strings.TrimPrefix(err.Error(), "oauthtest: ")
	}
	var first string
	for _, word := range x.Expect {
		wrong := x.mismatch(word, challenges)
		if wrong == "" {
			return ""
		}
		if first == "" || x.answer.status == outcomes[word].status {
			first = wrong
		}
	}
	return first
}

// outcome is the answer that an outcome word of docs/attacks.md stands for.
type outcome struct {
	status int
	code   string
	text   string
}

var outcomes = map[string]outcome{
	"PASS":  {http.StatusOK, "", "the answer of the handler"},
	"NONE":  {http.StatusUnauthorized, "", "401 with a Bearer challenge that has no error"},
	"REQ":   {http.StatusBadRequest, "invalid_request", `400 with a Bearer challenge that has error="invalid_request"`},
	"TOK":   {http.StatusUnauthorized, "invalid_token", `401 with a Bearer challenge that has error="invalid_token"`},
	"SCOPE": {http.StatusForbidden, "insufficient_scope", `403 with a Bearer challenge that has error="insufficient_scope" and the scope`},
	"UNAV":  {http.StatusServiceUnavailable, "", "503 with Retry-After and without a Bearer error"},
	"SRV":   {0, "", "any answer but that of the handler"},
}

// mismatch says in what the answer differs from the one that word stands for.
func (x exchange) mismatch(word string, challenges []Challenge) string {
	want := outcomes[word]
	switch {
	case word == "SRV":
		return ""
	case word == "PASS" && x.answer.success():
		return x.unmarked()
	case x.answer.status != want.status:
		return "the status is wrong"
	case word == "UNAV":
		return x.notUnavailable(challenges)
	}
	return x.challenged(want, challenges)
}

// unmarked: only an answer without content may lack the handler's text.
func (x exchange) unmarked() string {
	if x.method == http.MethodHead || x.marker.in(x.answer.body) {
		return ""
	}
	return "the handler's text is missing"
}

func (x exchange) notUnavailable(challenges []Challenge) string {
	if seconds, err := strconv.Atoi(x.answer.header.Get("Retry-After")); err != nil || seconds < 0 {
		if _, err := http.ParseTime(x.answer.header.Get("Retry-After")); err != nil {
			return "Retry-After is missing, or neither seconds nor a date (RFC 9110 §10.2.3)"
		}
	}
	for _, c := range challenges {
		if isBearer(c.Scheme) && c.Params["error"] != "" {
			return "a challenge blames the token for an outage"
		}
	}
	return ""
}

// challenged checks the one Bearer challenge of RFC 6750 §3.
func (x exchange) challenged(want outcome, challenges []Challenge) string {
	var bearer []Challenge
	for _, c := range challenges {
		if isBearer(c.Scheme) {
			bearer = append(bearer, c)
		}
	}
	switch {
	case len(bearer) == 0:
		return "the Bearer challenge is missing"
	case len(bearer) > 1:
		return "there is more than one Bearer challenge"
	}
	return x.inChallenge(want, bearer[0].Params)
}

func (x exchange) inChallenge(want outcome, p map[string]string) string {
	code, given := p["error"]
	switch {
	case want.code == "" && (given || p["error_description"] != "" || p["error_uri"] != ""):
		return "the challenge tells of an error, although no token was sent (RFC 6750 §3.1)"
	case code != want.code:
		return "the error code is wrong"
	case want.code == "insufficient_scope" && !slices.Contains(strings.Fields(p["scope"]), x.target.Scope):
		return "the challenge does not name the scope that is needed"
	}
	return ""
}

// marker finds the answer of the handler in that of the server.
type marker struct {
	text  string
	whole bool // text is all that the handler wrote
}

// in looks for a short whole body at the ends only, where a handler that ran behind or
// before a refusal leaves it: "ok" also stands in "token".
func (m marker) in(body string) bool {
	if m.text == "" { // not known yet
		return false
	}
	if m.whole && len(m.text) < 16 {
		return strings.HasPrefix(body, m.text) || strings.HasSuffix(strings.TrimRight(body, "\r\n"), strings.TrimRight(m.text, "\r\n"))
	}
	return strings.Contains(body, m.text)
}

const (
	tellingPart = 16 // shorter parts of a token may stand in any answer
	partLimit   = 48 // of each part that is looked for
)

// secrets lists what no answer may hold: the parts of each token, and its jti, in the
// forms of holds.
func (x exchange) secrets() []string {
	var found []string
	for _, token := range x.sent {
		for i, part := range strings.SplitN(token, ".", 6) {
			if i == 1 && !slices.Contains(x.Expect, "PASS") {
				found = append(found, idOf(part)...)
			}
			if len(part) >= tellingPart {
				found = append(found, forms(part)...)
			}
		}
	}
	return found
}

// idOf returns the jti of a payload, if it has one that is long enough.
func idOf(payload string) []string {
	var claims struct {
		ID string `json:"jti"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(raw, &claims) != nil || len(claims.ID) < tellingPart {
		return nil
	}
	return forms(claims.ID)
}

// leak says where in the answer a secret stands, plain or encoded, or "".
func leak(a answer, secrets []string) string {
	for name, values := range a.header {
		for _, v := range values {
			if holds(v, secrets) || holds(name, secrets) {
				return "the header " + safeName(name, secrets)
			}
		}
	}
	if holds(a.body, secrets) {
		return "the body"
	}
	return ""
}

func safeName(name string, secrets []string) string {
	if holds(name, secrets) {
		return "names"
	}
	return name
}

// holds looks for secrets in a text, and in what it stands for if it is percent-encoded.
func holds(text string, secrets []string) bool {
	if slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(text, s) }) {
		return true
	}
	decoded, err := url.QueryUnescape(text)
	return err == nil && decoded != text && slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(decoded, s) })
}

// forms are the beginning of s itself, and its Base64 at the three places where it may
// begin in a group.
func forms(s string) []string {
	s = s[:min(len(s), partLimit)]
	found := []string{s}
	for skip := range 3 {
		whole := s[skip:]
		whole = whole[:len(whole)/3*3]
		found = append(found, base64.StdEncoding.EncodeToString([]byte(whole)), base64.URLEncoding.EncodeToString([]byte(whole)))
	}
	return found
}
