// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxForm bounds the body of a request.
const maxForm = 64 << 10

// refusal is an error answer (RFC 6749 §5.2), which RFC 7009 §2.2.1, RFC 7662 §2.3 and
// RFC 8628 §3.2 take over.
type refusal struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func invalidRequest(why string) *refusal { return &refusal{"invalid_request", why} }
func invalidGrant(why string) *refusal   { return &refusal{"invalid_grant", why} }

var (
	badClient = &refusal{"invalid_client", "unknown client, wrong secret, or no client authentication; a public client sends client_id in the form, and no Authorization header"}
	badScope  = &refusal{"invalid_scope", "a scope is malformed, or more than was granted or is allowed for this client"}
	badTarget = &refusal{"invalid_target", "the resource is missing, malformed or unknown (RFC 8707 section 2)"}
	// badResource is for what was not granted in the first place (RFC 8707 §2.2).
	badResource = &refusal{"invalid_target", "the resource is not among those that were granted"}
)

// decision is what an endpoint does with the form of a client that is known: an answer
// (nil: an empty one), a refusal, or an error that is the server's own.
type decision func(client Client, form url.Values) (any, *refusal, error)

// serveForm is what all endpoints that clients post a form to have in common.
func (s *Server) serveForm(w http.ResponseWriter, r *http.Request, decide decision) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache") // RFC 6749 §5.1 asks for both
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeJSON(w, http.StatusMethodNotAllowed, invalidRequest("use POST"))
		return
	}
	answer, refused, err := s.decide(w, r, decide)
	switch {
	case err != nil:
		writeJSON(w, http.StatusInternalServerError, &refusal{"server_error", describable(err.Error())})
	case refused == nil && answer == nil:
		w.WriteHeader(http.StatusOK)
	case refused == nil:
		writeJSON(w, http.StatusOK, answer)
	case refused.Code == badClient.Code:
		w.Header().Set("WWW-Authenticate", `Basic realm="oauthtest"`)
		writeJSON(w, http.StatusUnauthorized, refused)
	default:
		writeJSON(w, http.StatusBadRequest, refused)
	}
}

// decide looks at the form first, then at the client, then at what it asks for.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, decide decision) (any, *refusal, error) {
	form, refused := parseForm(w, r)
	if refused != nil {
		return nil, refused, nil
	}
	client, refused := s.authenticate(r, form)
	if refused != nil {
		return nil, refused, nil
	}
	return decide(client, form)
}

// describable keeps to the characters of RFC 6749 §5.2.
func describable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		}
		return r
	}, text)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the client has gone
}

// anyOrigin lets a page of any site read the answer, which nothing but the request
// itself authorizes: no cookie does (RFC 9700 §2.6). A form needs no preflight.
func anyOrigin(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
}

// parseForm reads the body alone: parameters in the URL are none (RFC 6749 §2.3.1).
func parseForm(w http.ResponseWriter, r *http.Request) (url.Values, *refusal) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("the body must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, invalidRequest("the form cannot be read")
	}
	// RFC 6749 §3.2 forbids repetition; RFC 8707 §2 and RFC 8693 §2.1 allow it for these.
	if refused := repeated(r.PostForm, "resource", "audience"); refused != nil {
		return nil, refused
	}
	form := url.Values{}
	for name, values := range r.PostForm {
		for _, v := range values {
			if v != "" { // without a value it counts as omitted (RFC 6749 §3.2)
				form.Add(name, v)
			}
		}
	}
	return form, nil
}

// repeated refuses parameters that come more than once, unless they may. Which one it
// is can be said of names that look like one; others may be anything.
func repeated(params url.Values, may ...string) *refusal {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if len(params[name]) < 2 || slices.Contains(may, name) {
			continue
		}
		if name == "" || len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return invalidRequest("a parameter is repeated")
		}
		return invalidRequest("the parameter " + name + " is repeated")
	}
	return nil
}
