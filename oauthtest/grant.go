// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/scopetoken"
)

// grant is a successful answer (RFC 6749 §5.1).
type grant struct {
	AccessToken  string          `json:"access_token"`
	IssuedType   string          `json:"issued_token_type,omitempty"` // RFC 8693 §2.2.1
	TokenType    string          `json:"token_type"`
	ExpiresIn    int64           `json:"expires_in"`
	Scope        string          `json:"scope,omitempty"`
	RefreshToken string          `json:"refresh_token,omitempty"`
	IDToken      string          `json:"id_token,omitempty"`              // OpenID Connect Core 1.0 §3.1.3.3
	Details      json.RawMessage `json:"authorization_details,omitempty"` // RFC 9396 §7
}

// granter decides the requests of one grant type.
type granter func(client Client, form url.Values) (*grant, *refusal, error)

// granters maps the values of grant_type; the metadata lists the same.
func (s *Server) granters() map[string]granter {
	g := map[string]granter{
		"authorization_code": s.codeGrant,
		"client_credentials": s.clientCredentials,
		"refresh_token":      s.refreshGrant,
		deviceGrantType:      s.deviceTokens,
		exchangeGrantType:    s.exchange,
	}
	if s.cfg.LegacyGrants {
		g["password"] = s.passwordGrant
	}
	return g
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	anyOrigin(w)
	s.serveForm(w, r, s.grantFor)
}

func (s *Server) grantFor(client Client, form url.Values) (any, *refusal, error) {
	name := form.Get("grant_type")
	if name == "" {
		return nil, invalidRequest("grant_type is missing"), nil
	}
	decide, ok := s.granters()[name]
	if !ok {
		return nil, &refusal{"unsupported_grant_type", "grant_types_supported in the metadata lists what is"}, nil
	}
	return decide(client, form)
}

// clientCredentials is for confidential clients only (RFC 6749 §4.4), and gives no
// refresh token (§4.4.3).
func (s *Server) clientCredentials(client Client, form url.Values) (*grant, *refusal, error) {
	if client.public() {
		return nil, badClient, nil
	}
	a, refused := s.requested(client, form)
	if refused != nil {
		return nil, refused, nil
	}
	g, err := s.issue(a, a.all())
	return g, nil, err
}

var (
	noIDToken = &refusal{"invalid_scope", "leave out openid: this server has no ID tokens, since Config.Algorithm is one of HMAC, whose key here is the API's and not the client's (OpenID Connect Core 1.0 section 10.1)"}
	noTarget  = &refusal{"invalid_target", "the server knows no API that the token could be for: set Config.Audience, of which the parameter resource chooses (RFC 8707 section 2)"}
)

// lacksIDToken reports whether these scopes ask for an ID token that the server cannot
// sign: its key would be the client's secret, which public clients do not have (OpenID
// Connect Core 1.0 §10.1), and with the API's secret the client could make tokens itself.
func (s *Server) lacksIDToken(scopes []string) bool {
	return jose.HMAC(s.cfg.Algorithm) && slices.Contains(scopes, "openid")
}

// requested makes the authorization that a form asks for by scope, resource and
// authorization_details (RFC 9396 §2), without a resource owner yet.
func (s *Server) requested(client Client, form url.Values) (*authorization, *refusal) {
	scopes, ok := client.grantScopes(form.Get("scope"))
	switch {
	case !ok:
		return nil, badScope
	case s.lacksIDToken(scopes):
		return nil, noIDToken
	}
	aud, ok := s.grantAudience(form["resource"])
	switch {
	case !ok && !form.Has("resource"):
		return nil, noTarget
	case !ok:
		return nil, badTarget
	}
	details, refused := askedDetails(form)
	if refused != nil {
		return nil, refused
	}
	return &authorization{client: client.ID, scopes: scopes, audience: aud, details: details}, nil
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

// narrowScopes returns the scopes asked for, which must be among those granted, or all
// of these.
func narrowScopes(requested string, granted []string) ([]string, bool) {
	if requested == "" {
		return granted, true
	}
	scopes := strings.Split(requested, " ")
	for _, s := range scopes {
		if !slices.Contains(granted, s) {
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
	return distinct(resources), true
}

// distinct drops what was said before.
func distinct(names []string) []string {
	var list []string
	for _, name := range names {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// narrowed is what one token request asks for of what was granted.
type narrowed struct {
	scopes, audience []string
	details          json.RawMessage
}

// all is what was granted.
func (a *authorization) all() narrowed { return narrowed{a.scopes, a.audience, a.details} }

// narrow reads what every grant can leave out: resource and authorization_details.
func (a *authorization) narrow(form url.Values) (use narrowed, refused *refusal) {
	use = a.all()
	var ok bool
	if use.audience, ok = a.narrowAudience(form["resource"]); !ok {
		return use, badResource
	}
	use.details, refused = narrowDetails(form, a.details)
	return use, refused
}

// narrowAudience returns the resources asked for, which must be among those granted, or
// all of these (RFC 8707 §2.2).
func (a *authorization) narrowAudience(resources []string) ([]string, bool) {
	if len(resources) == 0 {
		return a.audience, true
	}
	for _, r := range resources {
		if !slices.Contains(a.audience, r) {
			return nil, false
		}
	}
	return distinct(resources), true
}

// clientID is the client of a token that a test makes.
func (s *Server) clientID() string {
	if len(s.cfg.Clients) > 0 {
		return s.cfg.Clients[0].ID
	}
	return "test-client"
}
