// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/subtle"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/internal/scopetoken"
)

// maxForm bounds the body of a token request.
const maxForm = 64 << 10

// refusal is an error answer of the token endpoint (RFC 6749 §5.2).
type refusal struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func invalidRequest(why string) *refusal { return &refusal{"invalid_request", why} }

var badClient = &refusal{"invalid_client", "unknown client, wrong secret, or no client authentication"}

// grant is a successful answer (RFC 6749 §5.1).
type grant struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope,omitempty"`
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache") // RFC 6749 §5.1 asks for both
	if s.refused(w, r, http.MethodPost) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	granted, refused, err := s.grant(w, r)
	switch {
	case err != nil:
		http.Error(w, "cannot make a token", http.StatusInternalServerError)
	case refused == nil:
		writeJSON(w, http.StatusOK, granted)
	case refused == badClient:
		w.Header().Set("WWW-Authenticate", `Basic realm="oauthtest"`)
		writeJSON(w, http.StatusUnauthorized, refused)
	default:
		writeJSON(w, http.StatusBadRequest, refused)
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the client has gone
}

// grant decides a token request: its form, then the client, then what it asks for.
func (s *Server) grant(w http.ResponseWriter, r *http.Request) (*grant, *refusal, error) {
	form, refused := parseForm(w, r)
	if refused != nil {
		return nil, refused, nil
	}
	client, refused := s.authenticate(r, form)
	if refused != nil {
		return nil, refused, nil
	}
	switch form.Get("grant_type") {
	case "":
		return nil, invalidRequest("grant_type is missing"), nil
	case "client_credentials":
		return s.clientCredentials(client, form)
	}
	return nil, &refusal{"unsupported_grant_type", "only client_credentials is supported"}, nil
}

func (s *Server) clientCredentials(client Client, form url.Values) (*grant, *refusal, error) {
	scopes, ok := client.grantScopes(form.Get("scope"))
	if !ok {
		return nil, &refusal{"invalid_scope", "a scope is malformed or not allowed for this client"}, nil
	}
	aud, ok := s.grantAudience(form["resource"])
	if !ok {
		return nil, &refusal{"invalid_target", "the resource is missing, malformed or unknown"}, nil
	}
	// No resource owner is involved, so that sub names the client (RFC 9068 §2.2).
	raw, err := s.mint(Subject(client.ID), ClientID(client.ID), Audience(aud...), Scope(scopes...))
	if err != nil {
		return nil, nil, err
	}
	return &grant{raw, "Bearer", int64(s.cfg.TokenLifetime.Seconds()), strings.Join(scopes, " ")}, nil, nil
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
	form := url.Values{}
	for name, values := range r.PostForm {
		// RFC 6749 §3.2 forbids repetition; RFC 8707 §2 allows it for resource.
		if len(values) > 1 && name != "resource" {
			return nil, invalidRequest("a parameter is repeated")
		}
		for _, v := range values {
			if v != "" { // without a value it counts as omitted (RFC 6749 §3.2)
				form.Add(name, v)
			}
		}
	}
	return form, nil
}

// authenticate knows client_secret_basic and client_secret_post, and refuses the
// use of both at once (RFC 6749 §2.3).
func (s *Server) authenticate(r *http.Request, form url.Values) (Client, *refusal) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if lines := r.Header.Values("Authorization"); len(lines) > 0 {
		basicID, basicSecret, ok := basicCredentials(r)
		switch {
		case len(lines) > 1 || secret != "":
			return Client{}, invalidRequest("more than one client authentication")
		case !ok:
			return Client{}, badClient
		case id != "" && id != basicID:
			return Client{}, invalidRequest("client_id differs from the authenticated client")
		}
		id, secret = basicID, basicSecret
	}
	for _, c := range s.cfg.Clients {
		if c.ID == id && c.Secret != "" && subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1 {
			return c, nil
		}
	}
	return Client{}, badClient
}

// basicCredentials undoes the form encoding inside HTTP Basic (RFC 6749 §2.3.1).
func basicCredentials(r *http.Request) (id, secret string, ok bool) {
	id, secret, ok = r.BasicAuth()
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	return id, secret, ok && errID == nil && errSecret == nil
}

// grantScopes returns the scopes asked for, or the client's own if none are.
func (c Client) grantScopes(requested string) ([]string, bool) {
	if requested == "" {
		return c.Scopes, true
	}
	scopes := strings.Split(requested, " ")
	for _, s := range scopes {
		if !scopetoken.Valid(s) || c.Scopes != nil && !slices.Contains(c.Scopes, s) {
			return nil, false
		}
	}
	return scopes, true
}

// grantAudience returns the aud for the requested resources, or the default one
// (RFC 9068 §3). Each must be known to the server (RFC 8707 §2).
func (s *Server) grantAudience(resources []string) ([]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(resources) == 0 {
		return s.audience[:min(1, len(s.audience))], len(s.audience) > 0
	}
	for _, r := range resources {
		if u, err := url.Parse(r); err != nil || !u.IsAbs() || strings.Contains(r, "#") || !slices.Contains(s.audience, r) {
			return nil, false
		}
	}
	return resources, true
}

// clientID is the client of a token that a test makes.
func (s *Server) clientID() string {
	if len(s.cfg.Clients) > 0 {
		return s.cfg.Clients[0].ID
	}
	return "test-client"
}
