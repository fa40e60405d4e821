// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"net/http"
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
	large   bool // the head of the request may be more than a server takes

	// fallback: a path that does not exist got the same answer to HEAD.
	fallback bool
	// reached: with a good token the same request gets the handler's text.
	reached bool
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

func (x exchange) leaks() bool { return leak(x.answer, x.secrets()) != "" }

func (x exchange) judgeWords(secrets material) (Problem, string) {
	wrong := x.wrong()
	switch {
	case wrong == "":
		return "", ""
	case slices.Equal(x.Expect, []string{"PASS"}):
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
	elsewhere := slices.Contains(x.Expect, "SRV") && x.moved() && !x.reached && (x.method != http.MethodHead || x.fallback)
	return x.marker.in(x.answer.body) || x.answer.success() && !elsewhere
}

// strange: a success without the handler's text, which may be that of another route or site,
// or what the handler says to nobody ("hello" where it says "hello alice" to a user).
func (x exchange) strange() bool {
	return x.answer.success() && x.method != http.MethodHead && !x.preflight() && !x.accepted() && !slices.Contains(x.Expect, "PASS")
}

// preflight: browsers ask without a token (Fetch standard), so that an API may answer what
// has none, with nothing but header fields, and leave any other OPTIONS to its handler.
func (x exchange) preflight() bool {
	return x.method == http.MethodOptions && x.answer.body == "" && slices.ContainsFunc(x.Send.Lines, func(line string) bool {
		name, _ := field(line)
		return strings.EqualFold(name, "Access-Control-Request-Method")
	})
}

// moved tells whether the request may reach another route than the one under attack, or
// another site of the same server.
func (x exchange) moved() bool {
	host := slices.ContainsFunc(x.Send.Lines, func(line string) bool {
		name, _ := field(line)
		return strings.EqualFold(name, "Host")
	})
	return host || x.Send.Method != "" && x.method != x.target.Method || x.Send.Path != ""
}

// telltaleHead: HEAD shows no text, so that only a comparison tells the handler from
// what a router serves for everything it does not know.
func (x exchange) telltaleHead() bool {
	return x.method == http.MethodHead && x.answer.success() && slices.Contains(x.Expect, "SRV") && !slices.Contains(x.Expect, "PASS")
}

// untellable is the error of an attack under which refusals and successes cannot be told
// apart, or which tells of a limit only.
func (x exchange) untellable() error {
	if x.answer.status == http.StatusTooManyRequests && !x.accepted() && !x.leaks() {
		return errors.New("oauthtest: the API limits requests, and answers 429: switch that off for the attack")
	}
	if err := x.answer.unreadable(); err != nil && !x.accepted() {
		return err
	}
	pass := slices.Contains(x.Expect, "PASS")
	if !pass || !x.marker.whole || !x.answer.success() || x.moved() || x.answer.err != nil || x.unmarked() == "" {
		return nil // with a Target.Marker, a success without it is a refusal
	}
	return errors.New("oauthtest: the answers to good tokens differ (a time or a number in them, or an echo of the request): set Target.Marker to a text that only the handler writes, and always does")
}

// crashed: SRV allows that nothing comes, but not that it takes for ever, nor a 500.
func (x exchange) crashed() bool {
	if x.answer.err != nil {
		return x.answer.hung() || !slices.Contains(x.Expect, "SRV") && !x.large
	}
	return x.answer.status == http.StatusInternalServerError || x.crash != ""
}

// wrong says why none of the expected answers came, or "".
func (x exchange) wrong() string {
	challenges, err := ParseChallenges(x.answer.header)
	if err != nil {
		return strings.TrimPrefix(err.Error(), "oauthtest: ")
	}
	if x.tooLarge(challenges) {
		return ""
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

// tooLarge: servers take heads of different size, and refuse others before any handler
// sees them, with 431 (RFC 6585 §5) or one of its elder relatives.
func (x exchange) tooLarge(challenges []Challenge) bool {
	refusals := []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge}
	return x.large && len(challenges) == 0 && (x.answer.status == 0 || slices.Contains(refusals, x.answer.status))
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
	case want.code == "insufficient_scope" && !x.names(p["scope"]):
		return "the challenge does not name the scope that is needed: Target.Scope is to be what it asks for, even where another one would do"
	}
	return ""
}

// names tells whether a challenge's scope holds all that the target needs.
func (x exchange) names(scope string) bool {
	for needed := range strings.SplitSeq(x.target.Scope, " ") {
		if !slices.Contains(strings.Fields(scope), needed) {
			return false
		}
	}
	return true
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
