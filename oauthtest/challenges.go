// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/bearerguard/bearerguard/internal/challenge"
	"github.com/bearerguard/bearerguard/internal/scopetoken"
)

// Challenge is one challenge of a WWW-Authenticate header field (RFC 9110 §11.6.1).
type Challenge struct {
	// Scheme is as it was sent; it is compared without regard to case.
	Scheme string
	// Params are its parameters by name in lower case; the values are without quotes
	// and escapes. Never nil.
	Params map[string]string
}

// ParseChallenges reads all WWW-Authenticate lines of an answer, in order, as strictly as
// a sender must write them. What some client might misread is an error: empty list
// elements, blanks around an equals sign, a parameter that occurs twice, a realm that is
// not quoted (RFC 9110 §11.2, §11.5, §11.6.1); and in a Bearer challenge no parameter at
// all, an empty error, characters that error, error_description, error_uri or scope may
// not have, and a scope that is not a list of scope tokens with single spaces (RFC 6750
// §3). Two things that are allowed are errors as well: token68 instead of parameters, which
// Negotiate sends, and a line of more than 16 KiB. No line: no challenges and no error.
// Errors name the line and the challenge by their numbers; they hold no value and no scheme,
// and no name of a parameter but those that are well known.
func ParseChallenges(h http.Header) ([]Challenge, error) {
	var found []Challenge
	for i, line := range h.Values("WWW-Authenticate") {
		if len(line) > maxChallenge {
			return nil, fmt.Errorf("oauthtest: WWW-Authenticate line %d has more than %d bytes", i+1, maxChallenge)
		}
		cs, err := challenge.Parse(line)
		if err == nil {
			err = checkLine(line, cs)
		}
		if err != nil {
			return nil, fmt.Errorf("oauthtest: WWW-Authenticate line %d: %w", i+1, err)
		}
		for _, c := range cs {
			found = append(found, Challenge{c.Scheme, params(c)})
		}
	}
	return found, nil
}

func checkLine(line string, cs []challenge.Challenge) error {
	if bareRealm(line) {
		return errors.New("realm is not a quoted-string (RFC 9110 §11.5)")
	}
	for _, c := range cs {
		if isBearer(c.Scheme) {
			if err := checkBearer(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxChallenge bounds the work on one line.
const maxChallenge = 16 << 10

func isBearer(scheme string) bool { return strings.EqualFold(scheme, "Bearer") }

func params(c challenge.Challenge) map[string]string {
	m := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		m[p.Name] = p.Value
	}
	return m
}

// bareRealm tells whether a line that has parsed has a realm written as a token, which
// §11.5 forbids to senders.
func bareRealm(line string) bool {
	quoted, begins := false, true // begins: a name may start here
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && begins && len(line)-i > len(realmIs) && strings.EqualFold(line[i:i+len(realmIs)], realmIs):
			if line[i+len(realmIs)] != '"' {
				return true
			}
		}
		begins = i < len(line) && strings.IndexByte(" ,\t", line[i]) >= 0
	}
	return false
}

const realmIs = "realm="

// checkBearer applies RFC 6750 §3.
func checkBearer(c challenge.Challenge) error {
	if len(c.Params) == 0 {
		return errors.New("a Bearer challenge has no parameter (RFC 6750 §3)")
	}
	for _, p := range c.Params {
		if ok := bearerParams[p.Name]; ok != nil && !ok(p.Value) {
			return fmt.Errorf("the value of %s is not one that RFC 6750 §3 allows", p.Name)
		}
	}
	return nil
}

var bearerParams = map[string]func(string) bool{
	"error":             func(v string) bool { return v != "" && errorText(v) },
	"error_description": errorText,
	"error_uri":         absoluteURI,
	"scope":             scopeList,
}

// errorText: RFC 6750 §3 has scope-token characters and the space.
func errorText(v string) bool {
	for i := range len(v) {
		if v[i] != ' ' && !scopetoken.Char(v[i]) {
			return false
		}
	}
	return true
}

func absoluteURI(v string) bool {
	u, err := url.Parse(v)
	return err == nil && u.IsAbs() && challenge.ValidURI(v)
}

func scopeList(v string) bool {
	for s := range strings.SplitSeq(v, " ") {
		if !scopetoken.Valid(s) {
			return false
		}
	}
	return true
}
