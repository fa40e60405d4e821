// SPDX-License-Identifier: Apache-2.0

package oauthtest

import "net/url"

// newRefresh starts a chain of refresh tokens.
func (s *Server) newRefresh(a *authorization, scopes []string) (string, error) {
	raw, now := s.random(), s.cfg.Now()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.sweep(now)
	s.store.refresh[raw] = &refreshToken{authorization: a, scopes: scopes, expires: now.Add(s.cfg.RefreshLifetime)}
	return raw, nil
}

// refreshGrant rotates the token for every client. One that comes a second time is in
// two hands, and nobody knows whose are the thief's, so that the family ends
// (RFC 9700 §4.14.2). Requests at the same moment are no exception: one of them is
// answered with tokens, which are dead as soon as the next one is decided.
func (s *Server) refreshGrant(client Client, form url.Values) (*grant, *refusal, error) {
	if !form.Has("refresh_token") {
		return nil, invalidRequest("refresh_token is missing"), nil
	}
	t, use, refused := s.useUp(client, form)
	if refused != nil {
		return nil, refused, nil
	}
	g, err := s.issue(t.authorization, use)
	if err != nil {
		return nil, nil, err
	}
	// What a request leaves out is only left out of its access token (RFC 6749 §6).
	g.RefreshToken, err = s.newRefresh(t.authorization, t.scopes)
	return g, nil, err
}

var deadRefresh = invalidGrant("the refresh token is unknown, expired, revoked, used before, or another client's")

// useUp marks the token as used, if all of the request is in order. A token in the hands
// of another client is merely refused, since else any client that saw it could log the
// user out.
func (s *Server) useUp(client Client, form url.Values) (t *refreshToken, use narrowed, refused *refusal) {
	now := s.cfg.Now()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	t = s.store.refresh[form.Get("refresh_token")]
	switch {
	case t == nil || t.client != client.ID:
		return nil, use, deadRefresh
	case t.used:
		t.family().revoked = true
		return nil, use, deadRefresh
	case t.family().revoked || !now.Before(t.expires):
		return nil, use, deadRefresh
	}
	scopes, ok := narrowScopes(form.Get("scope"), t.scopes)
	if !ok {
		return nil, use, badScope
	}
	if use, refused = t.narrow(form); refused != nil {
		return nil, use, refused
	}
	use.scopes, t.used = scopes, true
	return t, use, nil
}
