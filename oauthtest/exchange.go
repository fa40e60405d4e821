// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"time"
)

const (
	exchangeGrantType = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType   = "urn:ietf:params:oauth:token-type:access_token"
	jwtTokenType      = "urn:ietf:params:oauth:token-type:jwt"
)

// exchange makes a token for another API out of one that the client was called with
// (RFC 8693 §2). Public clients may not, since then whoever finds a token could
// renew it and send it elsewhere (§2.1). There is no refresh token.
func (s *Server) exchange(client Client, form url.Values) (*grant, *refusal, error) {
	if client.public() {
		return nil, badClient, nil
	}
	kind, refused := issuedType(client, form)
	if refused != nil {
		return nil, refused, nil
	}
	a, refused := s.exchanged(client, form)
	if refused != nil {
		return nil, refused, nil
	}
	g, err := s.issue(a, a.all())
	if err != nil {
		return nil, nil, err
	}
	g.IssuedType = kind
	return g, nil, nil
}

// issuedType is what the client asks for; an access token if it does not say.
func issuedType(client Client, form url.Values) (string, *refusal) {
	switch kind := form.Get("requested_token_type"); {
	case kind == "" || kind == accessTokenType:
		return accessTokenType, nil
	case kind == jwtTokenType && !client.OpaqueTokens:
		return kind, nil
	}
	return "", invalidRequest("requested_token_type is none that this client can get")
}

// exchanged is the authorization of the new token: the subject's, less what the client
// does not ask for. It ends with the family of the subject token, not when that token
// alone is revoked or expires; one that Token made has no family.
func (s *Server) exchanged(client Client, form url.Values) (*authorization, *refusal) {
	subject, refused := s.partyToken(form, "subject_token")
	if refused != nil {
		return nil, refused
	}
	actor, refused := s.actor(form, subject)
	if refused != nil {
		return nil, refused
	}
	use, refused := s.rightsOf(subject, client, form)
	if refused != nil {
		return nil, refused
	}
	a := &authorization{client: client.ID, scopes: use.scopes, audience: use.audience, details: use.details, actor: actor, root: subject.family()}
	a.authTime, a.acr = subject.authentication()
	sub, _ := subject.claims["sub"].(string)
	if a.user = s.user(sub); a.user == nil || subject.user == nil {
		a.user = &User{Subject: sub} // a client, or whomever a test has made up
	}
	return a, nil
}

// rightsOf are those of the subject token that the client asks for and may have.
func (s *Server) rightsOf(subject *accessToken, client Client, form url.Values) (use narrowed, refused *refusal) {
	allowed := subject.granted()
	if client.Scopes != nil {
		allowed = slices.DeleteFunc(allowed, func(scope string) bool { return !slices.Contains(client.Scopes, scope) })
	}
	var ok bool
	if use.scopes, ok = narrowScopes(form.Get("scope"), allowed); !ok {
		return use, badScope
	}
	if use.audience, ok = s.targets(form, subject); !ok {
		return use, badTarget
	}
	use.details, refused = narrowDetails(form, subject.details())
	return use, refused
}

// partyToken returns the token in a parameter, whose type must be named beside it
// (RFC 8693 §2.1). Every fault of a token is invalid_request (§2.2.2).
func (s *Server) partyToken(form url.Values, name string) (*accessToken, *refusal) {
	if kind := form.Get(name + "_type"); !form.Has(name) || kind != accessTokenType && kind != jwtTokenType {
		return nil, invalidRequest(name + " is missing, or " + name + "_type is not " + accessTokenType + " or " + jwtTokenType)
	}
	t, ok := s.active(form.Get(name))
	switch {
	case !ok:
		return nil, invalidRequest(name + " is unknown, expired or revoked")
	case t.opaque && form.Get(name+"_type") == jwtTokenType:
		return nil, invalidRequest(name + " is no JWT")
	case t.claims["cnf"] != nil:
		// The new token would be free of the key that the old one is bound to.
		return nil, invalidRequest(name + " is bound to a key that nothing here proves to have")
	}
	return t, nil
}

// actor returns the act claim of the new token: the actor, around those who acted before
// (RFC 8693 §4.1).
func (s *Server) actor(form url.Values, subject *accessToken) (map[string]any, *refusal) {
	before, _ := subject.claims["act"].(map[string]any)
	if !form.Has("actor_token") {
		if form.Has("actor_token_type") {
			return nil, invalidRequest("actor_token_type without actor_token")
		}
		return before, nil
	}
	t, refused := s.partyToken(form, "actor_token")
	if refused != nil {
		return nil, refused
	}
	act := map[string]any{"sub": t.claims["sub"]}
	if id := t.claims["client_id"]; id != nil {
		act["client_id"] = id
	}
	if before != nil {
		act["act"] = maps.Clone(before)
	}
	return act, nil
}

// targets returns the new aud. An audience is a name that the server knows, a resource
// has to be a URI beside that (RFC 8693 §2.1); without either it stays as it was.
func (s *Server) targets(form url.Values, subject *accessToken) ([]string, bool) {
	resources, names := form["resource"], form["audience"]
	if len(resources) == 0 && len(names) == 0 {
		aud := subject.audienceClaim()
		return aud, len(aud) > 0
	}
	if len(resources) > 0 {
		if _, ok := s.grantAudience(resources); !ok {
			return nil, false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	aud := distinct(slices.Concat(resources, names))
	for _, name := range aud {
		if !slices.Contains(s.audience, name) {
			return nil, false
		}
	}
	return aud, true
}

// authentication is when and how the user was authenticated, which stays true of a token
// that was exchanged (RFC 9068 §2.2.1).
func (t *accessToken) authentication() (at time.Time, acr string) {
	if n, ok := t.claims["auth_time"].(json.Number); ok {
		if seconds, err := n.Int64(); err == nil {
			at = time.Unix(seconds, 0)
		}
	}
	acr, _ = t.claims["acr"].(string)
	return at, acr
}
