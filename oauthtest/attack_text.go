// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
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
		text += ", and the handler ran"
	}
	if a.err != nil {
		text += ", and the connection was closed in the middle of the body"
	}
	return text
}

// closed tells of errors that no server had a hand in; the text of others might hold what
// it sent.
func closed(err error) string {
	var dial *net.OpError
	var untrusted *tls.CertificateVerificationError
	switch {
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

// String is the finding as Attack reports it, in several lines.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s over %s\n", headlines[f.Problem], f.Protocol)
	for _, row := range [][2]string{
		{"case", f.Case}, {"sent", f.Title}, {"expected", f.expected}, {"came", f.came},
		{"gain", f.Gain}, {"usual cause", f.Cause}, {"breaks", strings.Join(f.Requirements, ", ")},
	} {
		if row[1] != "" {
			fmt.Fprintf(&b, "  %-12s %s\n", row[0]+":", row[1])
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var headlines = map[Problem]string{
	Accepted: "ACCEPTED, but must be refused,",
	Leaked:   "LEAKED token material,",
	Fetched:  "FETCHED an address that stands in the token,",
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
