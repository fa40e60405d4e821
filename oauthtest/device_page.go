// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/http"
	"strings"
	"time"
)

// serveDevicePage is where a user enters the code that a device shows (RFC 8628 §3.3).
// A code that comes in the URL is put into the form and no more: the user has to
// compare it with the device's (§5.4).
func (s *Server) serveDevicePage(w http.ResponseWriter, r *http.Request) {
	params, ok := s.pageParams(w, r)
	switch {
	case !ok:
	case r.Method == http.MethodGet:
		writeDevice(w, r, params.Get("user_code"))
	case params.Has("decision"):
		s.serveDecision(w, r, params)
	default:
		p, err := s.deviceRequest(params.Get("user_code"))
		if err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		s.writeConsent(w, r, p)
	}
}

// deviceRequest puts the question of the device whose user code this is.
func (s *Server) deviceRequest(userCode string) (*pending, error) {
	d := s.waitingDevice(plainCode(userCode))
	if d == nil {
		return nil, errDevice
	}
	client, _ := s.client(d.client)
	p := &pending{client: client, scopes: d.scopes, audience: d.audience, details: d.details, device: d}
	s.hold(p)
	return p, nil
}

func (s *Server) waitingDevice(userCode string) *deviceGrant {
	now := s.cfg.Now()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if d := s.store.shown[userCode]; d != nil && d.waits(now) {
		return d
	}
	return nil
}

// waits says whether a user can still decide; the store is locked.
func (d *deviceGrant) waits(now time.Time) bool {
	return d.authorization == nil && !d.denied && now.Before(d.expires)
}

// decideDevice lets the device in, or refuses it where granted is nil.
func (s *Server) decideDevice(d *deviceGrant, granted *authorization) error {
	now := s.cfg.Now()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if !d.waits(now) {
		return errDevice
	}
	d.authorization, d.denied = granted, granted == nil
	return nil
}

// plainCode is a user code as users mean it: case and punctuation are for the eye
// (RFC 8628 §6.1).
func plainCode(code string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '-' || r == ' ':
			return -1
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, code)
}
