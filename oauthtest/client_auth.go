// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
)

// client returns the client with an identifier.
func (s *Server) client(id string) (Client, bool) {
	i := slices.IndexFunc(s.cfg.Clients, func(c Client) bool { return c.ID == id })
	if i < 0 {
		return Client{}, false
	}
	return s.cfg.Clients[i], true
}

// public reports whether the client has nothing to authenticate with (RFC 6749 §2.1).
func (c Client) public() bool { return c.Secret == "" && c.Keys == nil }

// authenticate knows client_secret_basic, client_secret_post, private_key_jwt and none,
// and refuses the use of more than one at once (RFC 6749 §2.3). A client that can
// authenticate has to.
func (s *Server) authenticate(r *http.Request, form url.Values) (Client, *refusal) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	assertion := form.Has("client_assertion") || form.Has("client_assertion_type")
	switch header := r.Header.Values("Authorization"); {
	case len(header) > 1, len(header) == 1 && (secret != "" || assertion), secret != "" && assertion:
		return Client{}, invalidRequest("more than one client authentication")
	case len(header) == 1:
		return s.byBasic(r, id)
	case assertion:
		return s.byAssertion(form)
	case secret != "":
		return s.bySecret(id, secret)
	}
	if c, ok := s.client(id); ok && c.public() {
		return c, nil
	}
	return Client{}, badClient
}

// byBasic undoes the form encoding inside HTTP Basic (RFC 6749 §2.3.1). A client_id in
// the form is not needed, but may not be another's.
func (s *Server) byBasic(r *http.Request, formID string) (Client, *refusal) {
	id, secret, ok := r.BasicAuth()
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if !ok || errID != nil || errSecret != nil {
		return Client{}, badClient
	}
	if formID != "" && formID != id {
		return Client{}, otherClient
	}
	return s.bySecret(id, secret)
}

var otherClient = invalidRequest("client_id differs from the authenticated client")

func (s *Server) bySecret(id, secret string) (Client, *refusal) {
	c, ok := s.client(id)
	if !ok || c.Secret == "" || subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) != 1 {
		return Client{}, badClient
	}
	return c, nil
}
