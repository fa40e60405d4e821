// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/url"
	"strconv"
)

// implicit returns the answer with an access token in the fragment (RFC 6749 §4.2.2):
// no refresh token, and nothing that shows the client who else has read the URL.
func (s *Server) implicit(p *pending, a *authorization) string {
	g, err := s.issue(a, a.all())
	if err != nil {
		return s.refuse(p, &refusal{"server_error", "cannot make a token"})
	}
	params := url.Values{
		"access_token": {g.AccessToken},
		"token_type":   {g.TokenType},
		"expires_in":   {strconv.FormatInt(g.ExpiresIn, 10)},
	}
	if g.Scope != "" {
		params.Set("scope", g.Scope)
	}
	return s.respond(p, params)
}
