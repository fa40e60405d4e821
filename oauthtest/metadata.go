// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// metadata has the members of RFC 8414 §2, OpenID Connect Discovery 1.0 §3, RFC 8628
// §4 and RFC 9207 §3. All documents of an issuer are the same.
type metadata struct {
	Issuer        string `json:"issuer"`
	KeySet        string `json:"jwks_uri,omitempty"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Userinfo      string `json:"userinfo_endpoint"`
	Device        string `json:"device_authorization_endpoint"`

	Grants        []string `json:"grant_types_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	ResponseModes []string `json:"response_modes_supported"`
	Scopes        []string `json:"scopes_supported"`
	PKCE          []string `json:"code_challenge_methods_supported"`
	Subjects      []string `json:"subject_types_supported"`
	Signing       []string `json:"id_token_signing_alg_values_supported,omitempty"`

	TokenAuth            []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs        []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuth    []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlg []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuth       []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs   []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`

	ResponseIssuer bool `json:"authorization_response_iss_parameter_supported"`
	// Absence would mean true (OpenID Connect Discovery 1.0 §3).
	RequestURI bool `json:"request_uri_parameter_supported"`
}

func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(s.metadata())
	if err != nil {
		http.Error(w, "metadata", http.StatusInternalServerError)
		return
	}
	s.serveDocument(w, r, body)
}

func (s *Server) metadata() metadata {
	confidential := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	all, algs := append([]string{"none"}, confidential...), jose.DefaultAlgorithms()
	m := metadata{
		Issuer: s.issuer, Authorization: s.endpoint("/authorize"), Token: s.endpoint("/token"),
		Introspection: s.endpoint("/introspect"), Revocation: s.endpoint("/revoke"),
		Userinfo: s.endpoint("/userinfo"), Device: s.endpoint("/device_authorization"),
		Grants:        slices.Sorted(maps.Keys(s.granters())),
		ResponseTypes: []string{"code"}, ResponseModes: []string{"query"},
		Scopes: s.scopes(), PKCE: []string{"S256"}, Subjects: []string{"public"},
		TokenAuth: all, TokenAuthAlgs: algs, RevocationAuth: all, RevocationAuthAlgs: algs,
		IntrospectionAuth: confidential, IntrospectionAuthAlg: algs,
		ResponseIssuer: true,
	}
	if !jose.HMAC(s.cfg.Algorithm) { // else there is nothing to publish, and no ID token
		m.KeySet, m.Signing = s.endpoint("/jwks"), []string{s.cfg.Algorithm}
	}
	if s.cfg.LegacyGrants {
		m.Grants = append(m.Grants, "implicit")
		m.ResponseTypes = append(m.ResponseTypes, "token")
		m.ResponseModes = append(m.ResponseModes, "fragment")
	}
	return m
}

// scopes lists openid, where there are ID tokens, and what the clients are configured with.
func (s *Server) scopes() []string {
	all := []string{}
	if !jose.HMAC(s.cfg.Algorithm) {
		all = append(all, "openid")
	}
	for _, c := range s.cfg.Clients {
		all = append(all, c.Scopes...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
