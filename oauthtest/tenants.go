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
// and a copy of the Config of s, except for Key, which edits may change; Addr, Issuer and
// TLS cannot be changed. HTTPClient is the same for both. Close of s closes it, too. A
// fault fails the test: a path that is not clean, is taken, or leads to /canary/.
func (s *Server) Tenant(path string, edits ...func(*Config)) *Server {
	s.helper()
	t, err := s.tenant(path, edits)
	if err != nil {
		s.fatalf("oauthtest: Tenant: %v", err)
	}
	return t
}

func (s *Server) tenant(at string, edits []func(*Config)) (*Server, error) {
	if !strings.HasPrefix(at, "/") || path.Clean(at) != strings.TrimSuffix(at, "/") || strings.HasPrefix(at+"/", canaryPath) {
		return nil, fmt.Errorf("the path %q is not one like \"/tenant-1\"", at)
	}
	cfg := s.cfg.clone()
	cfg.Key = nil
	for _, edit := range edits {
		edit(&cfg)
	}
	u, _ := url.Parse(s.issuer) // parsed before
	cfg.Addr, cfg.TLS, cfg.Issuer = s.cfg.Addr, s.cfg.TLS, origin(u)+at
	t, err := newServer(cfg)
	if err != nil {
		return nil, err
	}
	t.tb, t.host = s.tb, s.host
	t.routes = t.endpoints()
	return t, s.host.add(t)
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
		return errors.New("the server is closed")
	}
	for path := range t.routes {
		if h.routes[path].server != nil {
			return fmt.Errorf("the path %s is taken", path)
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
