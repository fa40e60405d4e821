// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"errors"
	"net/http"
	"strings"

	"github.com/bearerguard/bearerguard/verifier"
)

var (
	errAbsent   = errors.New("no Authorization header, or one of another scheme")
	errRepeated = errors.New("more than one Authorization field line")
	errGrammar  = errors.New("the Authorization header does not follow the grammar of RFC 6750 §2.1")
)

// bearer returns the access token of r, exactly as it was sent, or a refusal. All
// field lines count: of two, which Header.Get would not see, none can be trusted to
// be the one that others in front of this server looked at (RFC 9110 §5.3).
func bearer(r *http.Request) (string, *verifier.Error) {
	lines := r.Header["Authorization"]
	if len(lines) > 1 {
		return "", &verifier.Error{Class: verifier.ErrInvalidRequest, Cause: errRepeated}
	}
	if len(lines) == 0 {
		return "", &verifier.Error{Class: verifier.ErrNoCredentials, Cause: errAbsent}
	}
	token, ok := parseBearer(lines[0])
	switch {
	case !ok:
		return "", &verifier.Error{Class: verifier.ErrNoCredentials, Cause: errAbsent}
	case token == "":
		return "", &verifier.Error{Class: verifier.ErrInvalidRequest, Cause: errGrammar}
	}
	return token, nil
}

// parseBearer reads one field value. ok is false for another scheme or none; the
// token is empty where the credentials are malformed.
func parseBearer(value string) (token string, ok bool) {
	// Blanks around a value are not part of it (RFC 9110 §5.5). The server removes
	// them from HTTP/1.1 requests, but not from HTTP/2 requests.
	value = strings.Trim(value, " \t")
	scheme, rest := value, ""
	if i := strings.IndexAny(value, " \t"); i >= 0 {
		scheme, rest = value[:i], value[i:]
	}
	if len(scheme) != len("Bearer") || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	token = strings.TrimLeft(rest, " ")
	if !isToken68(token) {
		return "", true
	}
	return token, true
}

// isToken68 reports whether s is a b64token (RFC 6750 §2.1).
func isToken68(s string) bool {
	n := 0
	for n < len(s) && token68[s[n]] {
		n++
	}
	return n > 0 && strings.Trim(s[n:], "=") == ""
}

var token68 = func() (set [256]bool) {
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return set
}()
