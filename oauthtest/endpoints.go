// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

const (
	oauthSuffix = "/.well-known/oauth-authorization-server"
	oidcSuffix  = "/.well-known/openid-configuration"
)

// endpoints maps paths to handlers. An issuer with a path has its metadata at
// three places: RFC 8414 §3.1 inserts the suffix before the path, OpenID Connect
// Discovery §4 appends it, and RFC 8414 §5 knows the OpenID suffix inserted.
func (s *Server) endpoints() map[string]http.HandlerFunc {
	u, _ := url.Parse(s.issuer)
	base := strings.TrimSuffix(u.Path, "/")
	return map[string]http.HandlerFunc{
		oauthSuffix + base: s.serveMetadata,
		base + oidcSuffix:  s.serveMetadata,
		oidcSuffix + base:  s.serveMetadata,
		base + "/jwks":     s.serveKeys,
		base + "/token":    s.serveToken,
	}
}

// serve answers for the whole server.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	h, ok := s.routes[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h(w, r)
}

// metadata has the members of RFC 8414 §2 and those that OpenID Connect Discovery
// §3 requires of a provider which signs nothing but access tokens so far.
// response_types_supported is left out: it would be empty (RFC 8414 §3.2).
type metadata struct {
	Issuer        string   `json:"issuer"`
	KeySet        string   `json:"jwks_uri"`
	TokenEndpoint string   `json:"token_endpoint"`
	Grants        []string `json:"grant_types_supported"`
	ClientAuth    []string `json:"token_endpoint_auth_methods_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Signing       []string `json:"id_token_signing_alg_values_supported"`
}

func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	base := strings.TrimSuffix(s.issuer, "/")
	body, err := json.Marshal(metadata{
		Issuer:        s.issuer,
		KeySet:        base + "/jwks",
		TokenEndpoint: base + "/token",
		Grants:        []string{"client_credentials"},
		ClientAuth:    []string{"client_secret_basic", "client_secret_post"},
		SubjectTypes:  []string{"public"},
		Signing:       []string{s.cfg.Algorithm},
	})
	if err != nil {
		http.Error(w, "metadata", http.StatusInternalServerError)
		return
	}
	s.serveDocument(w, r, body)
}

func (s *Server) serveKeys(w http.ResponseWriter, r *http.Request) {
	s.fetches.Add(1)
	s.serveDocument(w, r, s.keySet())
}

// keySet is the JWK Set (RFC 7517 §5) of the newest two keys.
func (s *Server) keySet() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys [][]byte
	for _, k := range s.keys[:min(2, len(s.keys))] {
		keys = append(keys, k.jwk)
	}
	return []byte(`{"keys":[` + string(bytes.Join(keys, []byte(","))) + `]}`)
}

func (s *Server) serveDocument(w http.ResponseWriter, r *http.Request, body []byte) {
	if s.refused(w, r, http.MethodGet) {
		return
	}
	if s.cfg.CacheControl != "" {
		w.Header().Set("Cache-Control", s.cfg.CacheControl)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body) // the client has gone
}

// refused answers during an outage, and to any other method.
func (s *Server) refused(w http.ResponseWriter, r *http.Request, method string) bool {
	switch {
	case s.outage.Load():
		http.Error(w, "outage", http.StatusServiceUnavailable)
	case r.Method != method:
		w.Header().Set("Allow", method)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	default:
		return false
	}
	return true
}
