// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Tenant starts another issuer at the same host, whose identifier differs by the path,
// such as "/tenant-1". It has keys, clients, tokens, faults and audiences of its own,
// and a copy of the Config of s, except for Key, which edits may change. HTTPClient is the
// same for both. Close of s closes it, too. It is a fault if the path is not clean, is
// taken, or leads to /canary/, and if edits are nil or change Addr, Issuer or TLS; the
// server is then one that no request reaches.
func (s *Server) Tenant(path string, edits ...func(*Config)) *Server {
	s.tb.Helper()
	t, err := s.tenant(path, edits)
	if err != nil {
		s.errorf("oauthtest: Tenant: %v", err)
		return s.nowhere()
	}
	return t
}

// nowhere stands in for a tenant that there cannot be. As nobody gets its keys, nobody
// takes its tokens.
func (s *Server) nowhere() *Server {
	t, err := newServer(Config{Issuer: "https://no-tenant.invalid", Algorithm: "ES256"})
	if err != nil {
		panic(err) // nothing here depends on what the test does
	}
	t.tb, t.host = s.tb, s.host
	_ = s.host.add(t) // for Close; a host that is closed already closes nothing any more
	return t
}

func (s *Server) tenant(at string, edits []func(*Config)) (*Server, error) {
	if !strings.HasPrefix(at, "/") || path.Clean(at) != strings.TrimSuffix(at, "/") || strings.HasPrefix(at+"/", canaryPath) {
		return nil, fmt.Errorf("the path %q is not one like \"/tenant-1\"", at)
	}
	cfg, err := s.tenantConfig(at, edits)
	if err != nil {
		return nil, err
	}
	t, err := newServer(cfg)
	if err != nil {
		return nil, err
	}
	t.tb, t.host = s.tb, s.host
	t.routes = t.endpoints()
	if err := s.host.add(t); err != nil {
		return nil, fmt.Errorf("the path %s %w", at, err)
	}
	return t, nil
}

func (s *Server) tenantConfig(at string, edits []func(*Config)) (Config, error) {
	u, _ := url.Parse(s.issuer) // parsed before
	cfg, issuer := s.cfg.clone(), origin(u)+at
	cfg.Key, cfg.Issuer = nil, issuer
	if err := cfg.change(edits); err != nil {
		return cfg, err
	}
	switch {
	case cfg.Addr != s.cfg.Addr || cfg.TLS != s.cfg.TLS:
		return cfg, errors.New("an edit changes Addr or TLS, but a tenant is served where its host is: leave them as they are")
	case cfg.Issuer != issuer && cfg.Issuer != "": // an edit may replace all of it
		return cfg, fmt.Errorf("an edit sets Issuer to %s, but the path makes it %s: leave it out", cfg.Issuer, issuer)
	}
	cfg.Issuer = issuer
	return cfg, nil
}

// change makes the edits, none of which may be nil.
func (c *Config) change(edits []func(*Config)) error {
	for i, edit := range edits {
		if edit == nil {
			return fmt.Errorf("edit %d is nil: leave it out", i+1)
		}
		edit(c)
	}
	return nil
}

// clone is a copy of which an edit can change every part, and nothing of c with it.
func (c Config) clone() Config {
	c.Audience, c.TokenEdits = slices.Clone(c.Audience), slices.Clone(c.TokenEdits)
	c.Clients, c.Users = slices.Clone(c.Clients), slices.Clone(c.Users)
	for i := range c.Clients {
		cl := &c.Clients[i]
		cl.Keys, cl.RedirectURIs = bytes.Clone(cl.Keys), slices.Clone(cl.RedirectURIs)
		cl.Scopes, cl.TokenEdits = slices.Clone(cl.Scopes), slices.Clone(cl.TokenEdits)
	}
	for i := range c.Users {
		c.Users[i].Claims, _ = cloneClaim(c.Users[i].Claims).(map[string]any)
	}
	return c
}

// cloneClaim copies what a JSON object and array are in Go. What else is in a claim is
// of a type of the test's own.
func cloneClaim(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := maps.Clone(v)
		for name, value := range m {
			m[name] = cloneClaim(value)
		}
		return m
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = cloneClaim(list[i])
		}
		return list
	}
	return v
}

func (h *host) add(t *Server) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ending {
		return errors.New("comes too late: the server is closed")
	}
	for path := range t.routes {
		if h.routes[path].server != nil {
			return errors.New("is taken")
		}
	}
	for path, e := range t.routes {
		h.routes[path] = place{t, e}
	}
	h.tenants = append(h.tenants, t)
	return nil
}

// remove takes the paths of s, unless it is the root, and returns what must be closed
// with it.
func (h *host) remove(s *Server) []*Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s == h.root {
		h.ending = true
		return slices.Clone(h.tenants)
	}
	h.tenants = slices.DeleteFunc(h.tenants, func(t *Server) bool { return t == s })
	for path, p := range h.routes {
		if p.server == s {
			delete(h.routes, path)
		}
	}
	return nil
}
