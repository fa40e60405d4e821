// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
)

// newCode returns the answer with an authorization code (RFC 6749 §4.1.2).
func (s *Server) newCode(p *pending, a *authorization) string {
	now, text := s.cfg.Now(), s.random()
	s.store.mu.Lock()
	ok := s.store.roomForCode(now)
	if ok {
		s.store.codes[text] = &code{authorization: a, redirectURI: p.given, challenge: p.challenge, expires: now.Add(s.cfg.CodeLifetime)}
	}
	s.store.mu.Unlock()
	if !ok {
		return s.refuse(p, &refusal{"temporarily_unavailable", "too many codes wait for their exchange"})
	}
	return s.respond(p, url.Values{"code": {text}})
}

// codeGrant exchanges an authorization code for tokens (RFC 6749 §4.1.3). When many do
// so at once with one code, one of them gets tokens; the others are what §4.1.2 calls
// use more than once, so that these tokens are revoked as soon as they are made.
func (s *Server) codeGrant(client Client, form url.Values) (*grant, *refusal, error) {
	c, refused := s.redeem(client, form)
	if refused != nil {
		return nil, refused, nil
	}
	use, refused := c.narrow(form)
	if refused != nil {
		return nil, refused, nil
	}
	g, err := s.issueWithRefresh(c.authorization, use)
	return g, nil, err
}

// redeem uses up a code. Any request of the code's own client does, also a wrong one,
// since a code that was sent with the wrong verifier is in the wrong hands. A request
// of another client does not: else every client could end the sign-ins of others.
func (s *Server) redeem(client Client, form url.Values) (*code, *refusal) {
	if form.Get("code") == "" {
		return nil, invalidRequest("code is missing")
	}
	now := s.cfg.Now()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	c := s.store.codes[form.Get("code")]
	switch {
	case c == nil || c.client != client.ID:
		return nil, invalidGrant("the code is unknown, or another client's")
	case c.used:
		c.revoked = true // RFC 6749 §4.1.2: tokens issued before, too
		return nil, invalidGrant("the code was used before; what came of it is revoked")
	}
	s.store.spend(form.Get("code"))
	if !now.Before(c.expires) {
		return nil, invalidGrant("the code has expired")
	}
	if form.Get("redirect_uri") != c.redirectURI {
		return nil, invalidGrant("redirect_uri differs from that of the authorization request")
	}
	return c, c.checkVerifier(form.Get("code_verifier"))
}

// checkVerifier compares the verifier with the challenge (RFC 7636 §4.6). One without
// the other is a downgrade: somebody took the challenge out of the authorization
// request (RFC 9700 §4.8.2).
func (c *code) checkVerifier(verifier string) *refusal {
	switch {
	case c.challenge == "" && verifier == "":
		return nil // only with LegacyGrants
	case c.challenge == "":
		return invalidGrant("a code_verifier for a code without code_challenge")
	case verifier == "":
		return invalidGrant("code_verifier is missing")
	case !validVerifier(verifier):
		return invalidGrant("code_verifier is not of 43 to 128 unreserved characters")
	}
	hash := sha256.Sum256([]byte(verifier))
	want := base64.RawURLEncoding.EncodeToString(hash[:])
	if subtle.ConstantTimeCompare([]byte(want), []byte(c.challenge)) == 0 {
		return invalidGrant("code_verifier does not match the code_challenge")
	}
	return nil
}

// validVerifier is the grammar of RFC 7636 §4.1.
func validVerifier(v string) bool {
	if len(v) < 43 || len(v) > 128 {
		return false
	}
	for i := range len(v) {
		switch c := v[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}
