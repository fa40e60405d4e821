// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/subtle"
	"net/url"
)

// passwordGrant is the resource owner password credentials grant (RFC 6749 §4.3), which
// RFC 9700 §2.4 forbids and only LegacyGrants enables.
func (s *Server) passwordGrant(client Client, form url.Values) (*grant, *refusal, error) {
	name, password := form.Get("username"), form.Get("password")
	if name == "" || password == "" {
		return nil, invalidRequest("username or password is missing"), nil
	}
	user := s.user(name)
	if user == nil || subtle.ConstantTimeCompare([]byte(user.Password), []byte(password)) != 1 {
		return nil, invalidGrant("unknown user or wrong password"), nil
	}
	a, refused := s.requested(client, form)
	if refused != nil {
		return nil, refused, nil
	}
	a.user, a.authTime = user, s.cfg.Now()
	g, err := s.issueWithRefresh(a, a.all())
	return g, nil, err
}
