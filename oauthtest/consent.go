// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"fmt"
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
	errNoUser = errors.New("the user is empty: leave the argument out for the first one, or name the Subject of one of Config.Users")
)

// hold keeps p under a fresh ticket. It says which request a form decides, not whose
// browser sends it: whoever opened a page can have its ticket sent by the browser of
// somebody else. What stops that here is the look at Sec-Fetch-Site; a server with
// real users also binds the ticket to their session (RFC 6749 §10.12). There is always
// room: the oldest page makes it.
func (s *Server) hold(p *pending) {
	p.ticket, p.expires = s.random(), s.cfg.Now().Add(pendingLifetime)
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.addPending(p)
}

// take ends the wait of the request under ticket: a ticket is good once.
func (s *Server) take(ticket string) (*pending, error) {
	now := s.cfg.Now() // not under mu: it may be the test's own
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	p := s.store.takePending(ticket)
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
// for example; or it says why there would be no page: a [Fault] of the authorization
// endpoint, whichever it is, an outage, or that the server is closed.
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
	if err := s.reach(EndpointAuthorization); err != nil {
		return "", scriptError(err)
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
// matter. user is the Subject of one of Config.Users; left out, it is the first. It fails
// like Approve where there would be no page.
func (s *Server) ApproveDevice(userCode string, user ...string) error {
	return s.scriptDevice(userCode, true, user)
}

// DenyDevice is ApproveDevice with the button "Deny": the device hears access_denied.
func (s *Server) DenyDevice(userCode string) error { return s.scriptDevice(userCode, false, nil) }

func (s *Server) scriptDevice(userCode string, allow bool, user []string) error {
	if err := s.reach(EndpointDevicePage); err != nil {
		return scriptError(err)
	}
	p, err := s.deviceRequest(userCode)
	if err == nil {
		_, err = s.decideAs(p, allow, user)
	}
	return scriptError(err)
}

// reach says why a browser would not get to the page of an endpoint. Asking counts as a
// request that meets its fault.
func (s *Server) reach(e Endpoint) error {
	select {
	case <-s.done:
		return fmt.Errorf("the %s endpoint does not answer: the server is closed", e)
	default:
	}
	if _, faulty := s.fault(e); faulty {
		return fmt.Errorf("the %s endpoint has a fault: end it by SetFault with the zero Fault", e)
	}
	if s.outage.Load() {
		return fmt.Errorf("the %s endpoint is out of service: end that by SetOutage(false)", e)
	}
	return nil
}

func (s *Server) decideAs(p *pending, allow bool, user []string) (string, error) {
	switch {
	case len(user) == 0:
		return s.settle(p.ticket, "", allow)
	case len(user) > 1:
		return "", errors.New("one user can decide, not several")
	case user[0] == "":
		return "", errNoUser
	}
	return s.settle(p.ticket, user[0], allow)
}

func scriptError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("oauthtest: %w", err)
}
