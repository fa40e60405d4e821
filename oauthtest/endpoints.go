// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/bearerguard/bearerguard/internal/jose"
)

const (
	oauthSuffix = "/.well-known/oauth-authorization-server"
	oidcSuffix  = "/.well-known/openid-configuration"
)

// endpoints maps paths to endpoints. An issuer with a path has its metadata at
// three places: RFC 8414 §3.1 inserts the suffix before the path, OpenID Connect
// Discovery §4 appends it, and RFC 8414 §5 knows the OpenID suffix inserted.
func (s *Server) endpoints() map[string]Endpoint {
	u, _ := url.Parse(s.issuer)
	base := strings.TrimSuffix(u.Path, "/")
	paths := map[string]Endpoint{
		oauthSuffix + base:             EndpointMetadata,
		base + oidcSuffix:              EndpointMetadata,
		oidcSuffix + base:              EndpointMetadata,
		base + "/authorize":            EndpointAuthorization,
		base + "/token":                EndpointToken,
		base + "/introspect":           EndpointIntrospection,
		base + "/revoke":               EndpointRevocation,
		base + "/userinfo":             EndpointUserinfo,
		base + "/device_authorization": EndpointDevice,
		base + "/device":               EndpointDevicePage,
	}
	if !jose.HMAC(s.cfg.Algorithm) { // a shared secret is published nowhere
		paths[base+"/jwks"] = EndpointKeySet
	}
	return paths
}

func (s *Server) handler(e Endpoint) http.HandlerFunc {
	return map[Endpoint]http.HandlerFunc{
		EndpointMetadata: s.serveMetadata, EndpointKeySet: s.serveKeys,
		EndpointAuthorization: s.serveAuthorize, EndpointToken: s.serveToken,
		EndpointIntrospection: s.serveIntrospection, EndpointRevocation: s.serveRevocation,
		EndpointUserinfo: s.serveUserinfo,
		EndpointDevice:   s.serveDevice, EndpointDevicePage: s.serveDevicePage,
	}[e]
}

// serve answers for one endpoint, as far as its fault lets it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, e Endpoint) {
	if e == EndpointKeySet {
		s.fetches.Add(1)
	}
	if f, faulty := s.fault(e); faulty {
		f.serve(w, r, s.done, func(w http.ResponseWriter) { s.answer(w, r, e) })
		return
	}
	s.answer(w, r, e)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, e Endpoint) {
	if s.outage.Load() {
		http.Error(w, "outage", http.StatusServiceUnavailable)
		return
	}
	s.handler(e)(w, r)
}

func (s *Server) serveKeys(w http.ResponseWriter, r *http.Request) {
	s.serveDocument(w, r, s.keySet())
}

// serveDocument lets scripts of every origin read what is public anyway. HEAD is GET here,
// of which net/http leaves out the body (RFC 9110 §9.3.2).
func (s *Server) serveDocument(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if s.cfg.CacheControl != "" {
		w.Header().Set("Cache-Control", s.cfg.CacheControl)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body) // the client has gone
}
