// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/http"
	"net/url"
)

// serveRevocation ends tokens (RFC 7009 §2).
func (s *Server) serveRevocation(w http.ResponseWriter, r *http.Request) {
	anyOrigin(w) // RFC 7009 §2 allows it
	s.serveForm(w, r, s.revoke)
}

var notYours = invalidGrant("the token was issued to another client")

// revoke ends a refresh token with its whole family, and an access token alone (RFC 7009
// §2.1). A token that is not known has ended already (§2.2); that of another client
// is refused (§2.1). A token_type_hint is not needed.
func (s *Server) revoke(client Client, form url.Values) (any, *refusal, error) {
	raw := form.Get("token")
	if raw == "" {
		return nil, invalidRequest("token is missing"), nil
	}
	id, t := s.find(raw)
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	switch rt := s.store.refresh[raw]; {
	case rt != nil && rt.client != client.ID, t != nil && t.client != client.ID:
		return nil, notYours, nil
	case rt != nil:
		rt.family().revoked = true
	case t != nil:
		t.revoked = true
		s.store.access[id] = t // tokens that Token made are not there yet
	}
	return nil, nil, nil
}
