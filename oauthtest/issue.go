// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/compact"
	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// issue makes an access token for what a granted, narrowed to use, and remembers it.
// Whether the answer also carries a refresh token is up to the caller.
func (s *Server) issue(a *authorization, use narrowed) (*grant, error) {
	client, _ := s.client(a.client)
	var now time.Time // of the token: to sign it takes time
	at := []Edit{func(t *draft) { now = t.now }}
	raw, err := s.mint(slices.Concat(at, a.edits(), use.edits(), client.TokenEdits, s.cfg.TokenEdits)...)
	if err != nil {
		return nil, err
	}
	parts, err := compact.Split(raw)
	if err != nil {
		return nil, fmt.Errorf("oauthtest: %w", err)
	}
	t, err := newAccessToken(parts.Payload)
	if err != nil {
		return nil, err
	}
	id := parts.SigningInput
	if t.authorization, t.opaque = a, client.OpaqueTokens; t.opaque {
		raw = s.random()
		id = raw
	}
	s.store.addAccess(id, t, now)
	scope, _ := t.claims["scope"].(string) // an edit may have changed it
	life := max(0, t.expires.Unix()-now.Unix())
	return &grant{AccessToken: raw, TokenType: "Bearer", ExpiresIn: life, Scope: scope, Details: use.details}, nil
}

// issueWithRefresh is issue for the grants of a resource owner: with a refresh token,
// and with an ID token where openid was granted (OpenID Connect Core 1.0 §3.1.3.3).
func (s *Server) issueWithRefresh(a *authorization, use narrowed) (*grant, error) {
	g, err := s.issue(a, use)
	if err != nil {
		return nil, err
	}
	if slices.Contains(use.scopes, "openid") {
		if g.IDToken, err = s.idToken(a, g.AccessToken); err != nil {
			return nil, err
		}
	}
	g.RefreshToken, err = s.newRefresh(a, a.scopes)
	return g, err
}

// edits are the claims of RFC 9068 §2.2 that the authorization decides. Where no
// resource owner is involved, sub names the client.
func (a *authorization) edits() []Edit {
	edits := []Edit{Subject(a.subject()), ClientID(a.client)}
	if !a.authTime.IsZero() {
		edits = append(edits, Claim("auth_time", a.authTime.Unix()))
	}
	if a.acr != "" {
		edits = append(edits, Claim("acr", a.acr))
	}
	if a.actor != nil {
		edits = append(edits, Claim("act", a.actor))
	}
	return edits
}

// edits are the claims that a token request may narrow.
func (use narrowed) edits() []Edit {
	edits := []Edit{Audience(use.audience...), Scope(use.scopes...)}
	if use.details != nil {
		edits = append(edits, Claim("authorization_details", use.details))
	}
	return edits
}

func (a *authorization) subject() string {
	if a.user == nil {
		return a.client
	}
	return a.user.Subject
}

// family returns the authorization with which this one ends: itself, or the one of the
// subject token that it was exchanged for.
func (a *authorization) family() *authorization {
	if a.root != nil {
		return a.root
	}
	return a
}

// active returns the token if it came from this server, has not expired, was not
// revoked, and its family was not. Tokens made by Token count, too.
func (s *Server) active(raw string) (*accessToken, bool) {
	_, t := s.find(raw)
	if t == nil {
		return nil, false
	}
	now := s.cfg.Now()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	ended := t.revoked || t.family().revoked || !now.Before(t.expires) || now.Before(t.notBefore)
	return t, !ended
}

// find returns a token of this server, and under which name the store has it or would
// have it. Of a JWT that is the signed part: an ECDSA signature has a second valid
// form, under which a revoked token must not come back.
func (s *Server) find(raw string) (id string, t *accessToken) {
	parts, err := compact.Split(raw)
	if err != nil {
		if t = s.store.accessToken(raw); t == nil || !t.opaque {
			return "", nil
		}
		return raw, t
	}
	kid, ok := s.signer(parts)
	if !ok {
		return "", nil
	}
	if t = s.store.accessToken(parts.SigningInput); t == nil {
		t = s.made(parts, kid)
	}
	return parts.SigningInput, t
}

// signer returns the kid of the key of this server that made the signature, be it
// withdrawn.
func (s *Server) signer(parts compact.Parts) (kid string, ok bool) {
	s.mu.Lock()
	keys := slices.Clone(s.keys)
	s.mu.Unlock()
	i := slices.IndexFunc(keys, func(k *signingKey) bool {
		key, err := k.verifying(s.cfg.Algorithm)
		return err == nil && key.Verify(s.cfg.Algorithm, []byte(parts.SigningInput), parts.Signature)
	})
	if i < 0 {
		return "", false
	}
	return keys[i].id, true
}

// verifying returns the key that checks what k signs.
func (k *signingKey) verifying(alg string) (*jose.Key, error) {
	if k.secret != nil {
		return jose.NewSecret(k.id, alg, k.secret)
	}
	return jose.ParseKey(k.jwk)
}

// made describes an access token that Token made, nil if it is none: ID tokens have the
// same signature, edits can break anything, and the key made tokens at a server that is
// closed now, under another kid.
func (s *Server) made(parts compact.Parts, kid string) *accessToken {
	header, err := strictjson.ParseObject(parts.Header)
	if err != nil || text(header, "alg") != s.cfg.Algorithm || text(header, "kid") != kid {
		return nil
	}
	if _, crit := header.Get("crit"); crit || strings.TrimPrefix(strings.ToLower(text(header, "typ")), "application/") != "at+jwt" {
		return nil
	}
	t, err := newAccessToken(parts.Payload)
	if err != nil || t.claims["iss"] != s.issuer {
		return nil
	}
	sub, _ := t.claims["sub"].(string)
	client, _ := t.claims["client_id"].(string)
	t.authorization = &authorization{client: client, user: s.user(sub), scopes: t.granted(), audience: t.audienceClaim()}
	if t.user == nil && sub != client {
		t.user = &User{Subject: sub}
	}
	return t
}

// user returns the user with a subject, or nil.
func (s *Server) user(sub string) *User {
	i := slices.IndexFunc(s.cfg.Users, func(u User) bool { return u.Subject == sub })
	if i < 0 {
		return nil
	}
	return &s.cfg.Users[i]
}

func newAccessToken(payload []byte) (*accessToken, error) {
	members, err := strictjson.ParseObject(payload)
	if err != nil {
		return nil, fmt.Errorf("oauthtest: claims: %w", err)
	}
	t := &accessToken{}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber() // introspection answers with the same digits
	if err := d.Decode(&t.claims); err != nil {
		return nil, fmt.Errorf("oauthtest: claims: %w", err)
	}
	t.expires, _ = date(members, "exp")
	t.notBefore, _ = date(members, "nbf")
	return t, nil
}

// granted returns the scopes of the token, which may be fewer than its family's.
func (t *accessToken) granted() []string {
	scope, _ := t.claims["scope"].(string)
	return strings.Fields(scope)
}

// audienceClaim returns aud as a list.
func (t *accessToken) audienceClaim() []string {
	switch aud := t.claims["aud"].(type) {
	case string:
		return []string{aud}
	case []any:
		var list []string
		for _, a := range aud {
			if name, ok := a.(string); ok {
				list = append(list, name)
			}
		}
		return list
	}
	return nil
}

func (st *store) accessToken(id string) *accessToken {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.access[id]
}

func (st *store) addAccess(id string, t *accessToken, now time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.sweep(now)
	st.access[id] = t
}
