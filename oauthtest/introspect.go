// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// serveIntrospection answers APIs (RFC 7662 §2). It has no CORS header: pages have no
// secret to authenticate with.
func (s *Server) serveIntrospection(w http.ResponseWriter, r *http.Request) {
	s.serveForm(w, r, s.introspect)
}

// inactive is all that is said of a token that is not active, whatever the reason
// (RFC 7662 §2.2).
var inactive = map[string]any{"active": false}

// introspect is open to every client that can authenticate, as which APIs are configured
// (RFC 7662 §2.1). A token_type_hint is not needed.
func (s *Server) introspect(client Client, form url.Values) (any, *refusal, error) {
	if client.public() {
		return nil, badClient, nil
	}
	raw := form.Get("token")
	if raw == "" {
		return nil, invalidRequest("token is missing"), nil
	}
	if t, ok := s.active(raw); ok {
		answer := maps.Clone(t.claims)
		answer["active"], answer["token_type"] = true, "Bearer"
		return answer, nil, nil
	}
	if about := s.describeRefresh(client, raw); about != nil {
		return about, nil, nil
	}
	return inactive, nil, nil
}

// describeRefresh is for the client that has the token. Without token_type and aud no
// API takes it for an access token (RFC 6749 §5.1 knows types of access tokens only).
func (s *Server) describeRefresh(client Client, raw string) map[string]any {
	now := s.cfg.Now()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	t := s.store.refresh[raw]
	if t == nil || t.client != client.ID || t.used || t.family().revoked || !now.Before(t.expires) {
		return nil
	}
	about := map[string]any{
		"active": true, "iss": s.issuer, "client_id": t.client, "sub": t.subject(), "exp": t.expires.Unix(),
	}
	if len(t.scopes) > 0 {
		about["scope"] = strings.Join(t.scopes, " ")
	}
	return about
}
