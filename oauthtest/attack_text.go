// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// expected puts the outcome words into words.
func (x exchange) expected() string {
	var texts []string
	for _, word := range x.Expect {
		texts = append(texts, outcomes[word].text)
	}
	return strings.Join(texts, ", or ")
}

// came tells what a reader needs of the answer, and nothing of a token.
func (x exchange) came(secrets material) string {
	a := x.answer
	switch {
	case x.crash != "":
		return "a panic of the handler: " + x.crash
	case a.hung():
		return fmt.Sprintf("no answer within %v", caseLimit)
	case a.err != nil && a.status == 0:
		return "no answer: " + closed(a.err)
	}
	text := fmt.Sprint(a.status) + a.telling(secrets)
	if x.marker.in(a.body) {
		text += x.ran()
	}
	switch {
	case errors.Is(a.err, errCoding):
		text += ", in a Content-Encoding that cannot be read"
	case a.err != nil:
		text += ", and the connection was closed in the middle of the body"
	}
	return text
}

// ran: a refusal with the handler's text may be one that has the same words.
func (x exchange) ran() string {
	const text = ", and the handler's text is in the answer: the handler ran, or "
	switch {
	case x.answer.status < http.StatusBadRequest:
		return ", and the handler ran"
	case x.marker.whole:
		return text + "refusals have the same text: set Target.Marker then"
	}
	return text + "Target.Marker stands in refusals, too"
}

// closed tells of errors that no server had a hand in; the text of others might hold what
// it sent.
func closed(err error) string {
	var dial *net.OpError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errUnsayable):
		return "the request cannot be said in HTTP/2: leave Connection, Keep-Alive, TE, Upgrade and the like out of Target.Header, and CONNECT out of Target.Method"
	case errors.As(err, &untrusted):
		return untrusted.Error()
	case errors.As(err, &dial) && dial.Op == "dial":
		return dial.Error()
	}
	return "the connection was closed, as it is when a handler panics"
}

// telling are the header lines that say what a client is to do.
func (a answer) telling(secrets material) string {
	var b strings.Builder
	for _, name := range []string{"WWW-Authenticate", "Retry-After", "Location"} {
		for _, v := range a.header.Values(name) {
			b.WriteString(", " + shown(name, v, secrets))
		}
	}
	return b.String()
}

// shownLimit keeps the text of a failure readable.
const shownLimit = 200

func shown(name, value string, secrets material) string {
	switch {
	case secrets.in(value):
		return name + " with token material"
	case len(value) > shownLimit:
		return fmt.Sprintf("%s: %q…", name, value[:shownLimit])
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Sprintf("%s: %q", name, value)
	}
	return name + ": " + value
}

// finding is the report of an exchange, or nil if all is well.
func (x exchange) finding(protocol string) *Finding {
	problem, came := x.judge()
	if problem == "" {
		return nil
	}
	f := &Finding{
		Case: x.ID, Protocol: protocol, Problem: problem, Title: x.Title,
		Gain: x.Gain, Cause: x.Cause, Requirements: x.Requirements,
		expected: x.expected(), came: came,
	}
	f.Detail = "expected " + f.expected + "; came " + f.came
	return f
}

// String is the finding as Attack reports it, in several lines. Gain and Cause of the case
// are about whoever gets in, or is kept out: where the answer alone is wrong, what is said in
// their place depends on the Problem.
func (f Finding) String() string {
	gain, cause := f.Gain, f.Cause
	if t, ok := answerFaults[f.Problem]; ok {
		gain, cause = t.gain, t.cause
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s over %s\n", headlines[f.Problem], f.Protocol)
	for _, row := range [][2]string{
		{"case", f.Case}, {"sent", f.Title}, {"expected", f.expected}, {"came", f.came},
		{"gain", gain}, {"usual cause", cause}, {"breaks", strings.Join(f.Requirements, ", ")},
	} {
		if row[1] != "" {
			fmt.Fprintf(&b, "  %-12s %s\n", row[0]+":", row[1])
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// answerFaults are the problems with which nobody gets in, whatever the case is about.
var answerFaults = map[Problem]struct{ gain, cause string }{
	Leaked: {
		"Whoever reads answers in logs, error pages or caches gets a token, or a part of one.",
		"The guard's error path puts the token, or the text of an error that quotes it, into the answer.",
	},
	Crashed: {
		"Nobody gains access, but everybody can make the server fail, and its alarms ring, with one request.",
		"A check takes for granted what a token need not have, or the guard's error path makes a 500 of errors that it does not know.",
	},
	Answered: {
		"Nobody gains access, but a client cannot tell from the answer whether to send a token, another one, or one with more scopes, or to stop.",
		"The guard's error path has one answer for all refusals, or leaves out the challenge: look at what it does with the error of the verifier.",
	},
}

var headlines = map[Problem]string{
	Accepted: "ACCEPTED, but must be refused,",
	Leaked:   "LEAKED token material,",
	Fetched:  "FETCHED at the bidding of a token,",
	Crashed:  "CRASHED instead of answering,",
	Refused:  "REFUSED, but must pass,",
	Answered: "ANSWERED wrongly, though refused,",
}

// merge makes one finding of two that differ in the protocol only.
func merge(found []Finding) []Finding {
	if len(found) == 2 && found[0].Problem == found[1].Problem && found[0].Detail == found[1].Detail {
		both := found[0]
		both.Protocol += " and " + found[1].Protocol
		return []Finding{both}
	}
	return found
}
