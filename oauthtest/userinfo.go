// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/internal/challenge"
)

// bearerError is a refusal by RFC 6750 §3.1. The zero code is that of a request
// without credentials, which has no error.
type bearerError struct {
	status            int
	code, description string
}

var (
	noBearer     = &bearerError{http.StatusUnauthorized, "", ""}
	badBearer    = &bearerError{http.StatusBadRequest, "invalid_request", "exactly one access token must come, in the Authorization header"}
	staleBearer  = &bearerError{http.StatusUnauthorized, "invalid_token", "the token is unknown, expired or revoked"}
	boundBearer  = &bearerError{http.StatusUnauthorized, "invalid_token", "the token is bound to a key, which this endpoint cannot check"}
	nobodyBearer = &bearerError{http.StatusUnauthorized, "invalid_token", "the subject of the token is no user of this server"}
	narrowBearer = &bearerError{http.StatusForbidden, "insufficient_scope", "the token lacks the scope openid"}
)

// serveUserinfo is OpenID Connect Core 1.0 §5.3, by GET and POST. Scripts of any origin
// may ask: what they need is the token, which no browser sends by itself.
func (s *Server) serveUserinfo(w http.ResponseWriter, r *http.Request) {
	anyOrigin(w)
	h := w.Header()
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
	h.Set("Cache-Control", "no-store")
	switch {
	case r.Method == http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		h.Set("Allow", "GET, POST, OPTIONS")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	default:
		s.writeUserinfo(w, r)
	}
}

func (s *Server) writeUserinfo(w http.ResponseWriter, r *http.Request) {
	user, refused := s.userOf(r)
	if refused != nil {
		w.Header().Set("WWW-Authenticate", refused.challenge())
		w.WriteHeader(refused.status)
		return
	}
	claims := map[string]any{}
	maps.Copy(claims, user.Claims)
	claims["sub"] = user.Subject
	writeJSON(w, http.StatusOK, claims)
}

// userOf reads the access token from the header alone: in a query it ends up in logs
// (RFC 9700 §4.3.2), and a form proves nothing more.
func (s *Server) userOf(r *http.Request) (User, *bearerError) {
	lines := r.Header.Values("Authorization")
	if r.URL.Query().Has("access_token") || len(lines) > 1 {
		return User{}, badBearer
	}
	if len(lines) == 0 {
		return User{}, noBearer
	}
	scheme, raw, _ := strings.Cut(lines[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return User{}, noBearer
	}
	token, ok := s.active(strings.TrimLeft(raw, " "))
	if !ok {
		return User{}, staleBearer
	}
	return s.userWith(token)
}

// userWith is the user who granted the token, if it also speaks of that one, or nobody:
// a client that got it for itself is no user, whatever an edit makes of sub.
func (s *Server) userWith(t *accessToken) (User, *bearerError) {
	claims := t.claims
	scope, _ := claims["scope"].(string)
	if _, bound := claims["cnf"]; bound {
		return User{}, boundBearer
	}
	if !slices.Contains(strings.Split(scope, " "), "openid") {
		return User{}, narrowBearer
	}
	sub, _ := claims["sub"].(string)
	if u := s.user(sub); u != nil && u == t.user {
		return *u, nil
	}
	return User{}, nobodyBearer
}

func (e *bearerError) challenge() string {
	c := challenge.Challenge{Scheme: "Bearer", Params: []challenge.Param{{Name: "realm", Value: "oauthtest"}}}
	if e.code != "" {
		c.Params = append(c.Params, challenge.Param{Name: "error", Value: e.code}, challenge.Param{Name: "error_description", Value: e.description})
	}
	if e == narrowBearer {
		c.Params = append(c.Params, challenge.Param{Name: "scope", Value: "openid"})
	}
	return c.String()
}
