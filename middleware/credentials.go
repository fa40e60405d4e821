// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"errors"
	"net/http"
	"strings"

	"github.com/bearerguard/bearerguard/internal/ctxkey"
	"github.com/bearerguard/bearerguard/verifier"
)

var (
	errAbsent   = errors.New("no Authorization header, or one of another scheme")
	errRepeated = errors.New("more than one Authorization field line")
	errGrammar  = errors.New("the Authorization header does not follow the grammar of RFC 6750 §2.1")
)

// scheme is an authentication scheme by which an access token is presented; "" is none.
type scheme string

const (
	schemeBearer scheme = "Bearer"
	schemeDPoP   scheme = "DPoP"
)

// credentials returns the access token of the Authorization lines of a request, exactly as
// it was sent, and its scheme, or what is wrong with them. All field lines count: of two,
// which Header.Get would not see, none can be trusted to be the one that others in front
// of this server looked at (RFC 9110 §5.3). A scheme that is off counts as none.
func (g *Guard) credentials(lines []string) (token string, by scheme, fault error) {
	if len(lines) > 1 {
		return "", "", errRepeated
	}
	if len(lines) == 0 {
		return "", "", errAbsent
	}
	token, by = g.parse(lines[0])
	switch {
	case by == "":
		return "", "", errAbsent
	case token == "":
		return "", by, errGrammar
	}
	return token, by, nil
}

// parse reads one field value by the schemes that are on.
func (g *Guard) parse(value string) (token string, by scheme) {
	if !g.cfg.OnlyDPoP {
		if token, ok := parseScheme(value, schemeBearer); ok {
			return token, schemeBearer
		}
	}
	if g.cfg.DPoP != nil {
		if token, ok := parseScheme(value, schemeDPoP); ok {
			return token, schemeDPoP
		}
	}
	return "", ""
}

// used is the scheme by which r presents a token, as far as that can be told.
func (g *Guard) used(r *http.Request) scheme {
	lines := r.Header["Authorization"]
	if s := ctxkey.From(r.Context()); s != nil && s.Authorization != "" {
		lines = []string{s.Authorization} // the handler may have changed the field
	}
	_, by, _ := g.credentials(lines)
	return by
}

// unusable is the refusal for a fault that credentials found: one for each request, since
// whoever gets it may change it.
func unusable(fault error) *verifier.Error {
	class := verifier.ErrInvalidRequest
	if fault == errAbsent {
		class = verifier.ErrNoCredentials
	}
	return &verifier.Error{Class: class, Cause: fault}
}

// parseScheme reads one field value. ok is false for another scheme or none; the
// token is empty where the credentials are malformed. Both schemes have one grammar
// (RFC 6750 §2.1, RFC 9449 §7.1).
func parseScheme(value string, by scheme) (token string, ok bool) {
	// Blanks around a value are not part of it (RFC 9110 §5.5). The server removes
	// them from HTTP/1.1 requests, but not from HTTP/2 requests.
	value = trimBlanks(value)
	n := len(by)
	if len(value) < n || !strings.EqualFold(value[:n], string(by)) {
		return "", false
	}
	rest := value[n:]
	if rest != "" && !blank(rest[0]) {
		return "", false // the scheme goes on
	}
	token = strings.TrimLeft(rest, " ")
	if !isToken68(token) {
		return "", true
	}
	return token, true
}

func trimBlanks(s string) string {
	for len(s) > 0 && blank(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && blank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// isToken68 reports whether s is a b64token (RFC 6750 §2.1). It reads eight bytes per
// step and asks once for all of them, since nearly every token is one.
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	if s == "" {
		return false
	}
	var bad byte
	for ; len(s) >= 8; s = s[8:] {
		bad |= foreign[s[0]] | foreign[s[1]] | foreign[s[2]] | foreign[s[3]] |
			foreign[s[4]] | foreign[s[5]] | foreign[s[6]] | foreign[s[7]]
	}
	for i := range len(s) {
		bad |= foreign[s[i]]
	}
	return bad == 0
}

// foreign is 1 for every byte that a b64token cannot hold before its padding.
var foreign = func() (set [256]byte) {
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	for c := range set {
		set[c] = 1
	}
	for i := range len(chars) {
		set[chars[i]] = 0
	}
	return set
}()
