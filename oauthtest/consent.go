// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// pendingLifetime is how long a consent page may stay open.
	pendingLifetime = 10 * time.Minute
	// maxPending and maxCodes bound what requests can make the server remember.
	maxPending, maxCodes = 1000, 10000
)

var (
	errTicket = errors.New("this page was used already, or is too old: start again at the client")
	errUser   = errors.New("there is no such user: see Config.Users")
	errDevice = errors.New("the code is unknown, too old or used already: take the one that the device shows now")
	errBusy   = errors.New("too many pages are open: try again later")
)

// room makes place for one more entry, and says whether there is one.
func room[V any](m map[string]V, most int, expired func(V) bool) bool {
	if len(m) >= most {
		maps.DeleteFunc(m, func(_ string, v V) bool { return expired(v) })
	}
	return len(m) < most
}

// hold keeps p under a fresh ticket. It says which request a form decides, not whose
// browser sends it: whoever opened a page can have its ticket sent by the browser of
// somebody else. What stops that here is the look at Sec-Fetch-Site; a server with
// real users also binds the ticket to their session (RFC 6749 §10.12).
func (s *Server) hold(p *pending) bool {
	now := s.cfg.Now()
	p.ticket, p.expires = s.random(), now.Add(pendingLifetime)
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if !room(s.store.pending, maxPending, func(p *pending) bool { return !now.Before(p.expires) }) {
		return false
	}
	s.store.pending[p.ticket] = p
	return true
}

// take ends the wait of the request under ticket: a ticket is good once.
func (s *Server) take(ticket string) (*pending, error) {
	now := s.cfg.Now() // not under mu: it may be the test's own
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	p := s.store.pending[ticket]
	delete(s.store.pending, ticket)
	if p == nil || !now.Before(p.expires) {
		return nil, errTicket
	}
	return p, nil
}

// serveDecision takes the form of the consent page. A browser says by Sec-Fetch-Site
// whether the page itself sent it; what is no browser does not, and needs no defence.
func (s *Server) serveDecision(w http.ResponseWriter, r *http.Request, form url.Values) {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		writeError(w, http.StatusForbidden, errors.New("the form was sent by another site"))
		return
	}
	decision := form.Get("decision")
	if decision != "allow" && decision != "deny" {
		writeError(w, http.StatusBadRequest, errors.New("decision must be allow or deny"))
		return
	}
	location, err := s.settle(form.Get("ticket"), form.Get("user"), decision == "allow")
	switch {
	case err != nil:
		writeError(w, http.StatusBadRequest, err)
	case location != "":
		redirect(w, location)
	default:
		writeDecided(w, decision == "allow")
	}
}

// settle ends a request as its user says. It returns where the browser goes next: ""
// if a device asked, which hears of it by itself.
func (s *Server) settle(ticket, subject string, allow bool) (string, error) {
	p, err := s.take(ticket)
	if err != nil {
		return "", err
	}
	var granted *authorization
	if allow {
		if granted, err = s.granted(p, subject); err != nil {
			return "", err
		}
	}
	switch {
	case p.device != nil:
		return "", s.decideDevice(p.device, granted)
	case !allow:
		return s.refuse(p, &refusal{"access_denied", "the user said no"}), nil
	case p.fragment:
		return s.implicit(p, granted), nil
	}
	return s.newCode(p, granted), nil
}

// granted is what the user allows; the first one does if none is named.
func (s *Server) granted(p *pending, subject string) (*authorization, error) {
	i := slices.IndexFunc(s.cfg.Users, func(u User) bool { return subject == "" || u.Subject == subject })
	if i < 0 {
		return nil, errUser
	}
	return &authorization{
		client: p.client.ID, user: &s.cfg.Users[i], scopes: p.scopes, audience: p.audience,
		authTime: s.cfg.Now(), acr: p.acr, nonce: p.nonce, details: p.details,
	}, nil
}

// Approve answers an authorization request as the consent page does when a user
// presses "Allow", without a browser. authorizationURL is what the client would open:
// the authorization endpoint with the parameters of the request. user is the Subject
// of one of Config.Users; left out, it is the first. Approve returns the URL that the
// browser would be sent to, with code, state and iss (RFC 6749 §4.1.2, RFC 9207 §2), or
// with error where the request is one that the client hears is wrong. The error is
// what the user would read on a page instead: the redirect URI is not the client's,
// for example.
func (s *Server) Approve(authorizationURL string, user ...string) (redirectURL string, err error) {
	return s.script(authorizationURL, true, user)
}

// Deny is Approve with the button "Deny": the URL says error=access_denied.
func (s *Server) Deny(authorizationURL string) (redirectURL string, err error) {
	return s.script(authorizationURL, false, nil)
}

func (s *Server) script(authorizationURL string, allow bool, user []string) (string, error) {
	endpoint, query, _ := strings.Cut(authorizationURL, "?")
	if want := s.endpoint("/authorize"); endpoint != want {
		return "", fmt.Errorf("oauthtest: the URL does not begin with the authorization endpoint %s", want)
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return "", errors.New("oauthtest: the query of the URL cannot be read")
	}
	p, location, err := s.request(params)
	if err == nil && location == "" {
		location, err = s.decideAs(p, allow, user)
	}
	return location, scriptError(err)
}

// ApproveDevice lets the device in whose user code this is (RFC 8628 §3.3), as the
// device page does when a user presses "Allow". Case and hyphens of the code do not
// matter. user is the Subject of one of Config.Users; left out, it is the first.
func (s *Server) ApproveDevice(userCode string, user ...string) error {
	return s.scriptDevice(userCode, true, user)
}

// DenyDevice is ApproveDevice with the button "Deny": the device hears access_denied.
func (s *Server) DenyDevice(userCode string) error { return s.scriptDevice(userCode, false, nil) }

func (s *Server) scriptDevice(userCode string, allow bool, user []string) error {
	p, err := s.deviceRequest(userCode)
	if err == nil {
		_, err = s.decideAs(p, allow, user)
	}
	return scriptError(err)
}

func (s *Server) decideAs(p *pending, allow bool, user []string) (string, error) {
	switch len(user) {
	case 0:
		return s.settle(p.ticket, "", allow)
	case 1:
		return s.settle(p.ticket, user[0], allow)
	}
	return "", errors.New("one user can decide, not several")
}

func scriptError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("oauthtest: %w", err)
}
