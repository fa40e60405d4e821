// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pending is an authorization request between the consent page and its form.
type pending struct {
	ticket      string
	client      Client
	redirectURI string // where the answer goes
	given       string // redirect_uri as in the request; "" if it had none
	state       string
	fragment    bool   // the answer goes into the fragment, as for the implicit grant
	challenge   string // code_challenge; "" under the implicit grant, and with LegacyGrants
	scopes      []string
	audience    []string
	details     json.RawMessage
	nonce, acr  string
	device      *deviceGrant // set instead of redirectURI and what follows it
	expires     time.Time
}

// serveAuthorize takes requests by GET and POST (RFC 6749 §3.1), and the form of the
// consent page. It has no CORS headers: a script has no business here (RFC 9700 §2.6).
func (s *Server) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	params, ok := s.pageParams(w, r)
	if !ok {
		return
	}
	if r.Method == http.MethodPost && params.Has("decision") {
		s.serveDecision(w, r, params)
		return
	}
	p, location, err := s.request(params)
	switch {
	case err != nil:
		writeError(w, http.StatusBadRequest, err)
	case location != "":
		redirect(w, location)
	default:
		s.writeConsent(w, r, p)
	}
}

// redirect uses 303, after which no browser sends a form again, whatever it had sent
// to us (RFC 9700 §4.12).
func redirect(w http.ResponseWriter, location string) {
	pageHeader(w.Header())
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// request checks an authorization request and keeps it until it is decided. What is
// wrong with it is told to the client by a redirect to location; an error is for the
// user's eyes only, because the redirect URI cannot be trusted (RFC 6749 §4.1.2.1).
func (s *Server) request(params url.Values) (p *pending, location string, err error) {
	p, err = s.requester(params)
	if err != nil {
		return nil, "", err
	}
	refused := s.check(p, params)
	if refused != nil {
		return nil, s.refuse(p, refused), nil
	}
	s.hold(p)
	return p, "", nil
}

var (
	errRepeatedClient = errors.New("client_id or redirect_uri is repeated")
	errUnknownClient  = errors.New("client_id names no client of this server: see Config.Clients")
	errNoRedirect     = errors.New("redirect_uri is missing, and the client has not exactly one: see Client.RedirectURIs")
	errBadRedirect    = errors.New("redirect_uri is not registered: it must equal one of Client.RedirectURIs, character for character; only the port of an http URI with a loopback IP address may differ")
)

// requester finds out who asks, and where the answer may go.
func (s *Server) requester(params url.Values) (*pending, error) {
	if len(params["client_id"]) > 1 || len(params["redirect_uri"]) > 1 {
		return nil, errRepeatedClient
	}
	client, ok := s.client(params.Get("client_id"))
	if !ok {
		return nil, errUnknownClient
	}
	p := &pending{client: client, given: params.Get("redirect_uri")}
	switch p.redirectURI = p.given; {
	case p.given == "" && len(client.RedirectURIs) != 1:
		return nil, errNoRedirect
	case p.given == "":
		p.redirectURI = client.RedirectURIs[0]
	case !client.redirectAllowed(p.given):
		return nil, errBadRedirect
	}
	// An answer that may hold a token goes into the fragment even if it is an error: that
	// is where such a client looks (OAuth 2.0 Multiple Response Types §2.1).
	kinds := strings.Fields(params.Get("response_type"))
	p.fragment = slices.Contains(kinds, "token") || slices.Contains(kinds, "id_token")
	if len(params["state"]) == 1 {
		p.state = params.Get("state")
	}
	return p, nil
}

// respond is the redirect to the client. iss says who answers, so that a client of
// several servers notices a mix-up (RFC 9207 §2).
func (s *Server) respond(p *pending, params url.Values) string {
	if p.state != "" {
		params.Set("state", p.state)
	}
	params.Set("iss", s.issuer)
	return withParams(p.redirectURI, params, p.fragment)
}

func (s *Server) refuse(p *pending, refused *refusal) string {
	return s.respond(p, url.Values{"error": {refused.Code}, "error_description": {refused.Description}})
}

// check takes the request into p, or says what is wrong. prompt comes last: none must
// not hide another fault.
func (s *Server) check(p *pending, params url.Values) *refusal {
	for _, step := range []func(*pending, url.Values) *refusal{
		checkRepeated, s.checkResponseType, checkUnsupported, s.checkChallenge, s.checkScope, s.checkTarget, checkDetails, checkOpenID, checkPrompt,
	} {
		if refused := step(p, params); refused != nil {
			return refused
		}
	}
	return nil
}

// checkRepeated: RFC 6749 §3.1 forbids repetition; RFC 8707 §2 allows it for resource.
func checkRepeated(_ *pending, params url.Values) *refusal { return repeated(params, "resource") }

func (s *Server) checkResponseType(p *pending, params url.Values) *refusal {
	mode := "query"
	if p.fragment {
		mode = "fragment"
	}
	switch kind := params.Get("response_type"); {
	case kind == "":
		return invalidRequest("response_type is missing")
	case kind != "code" && (kind != "token" || !s.cfg.LegacyGrants):
		return &refusal{"unsupported_response_type", "only code is supported, and token with Config.LegacyGrants"}
	case params.Get("response_mode") != "" && params.Get("response_mode") != mode:
		return invalidRequest("response_mode must be " + mode + " here")
	}
	return nil
}

// checkUnsupported: these may change what is asked for, so that to ignore them would be
// wrong (OpenID Connect Core 1.0 §3.1.2.6).
func checkUnsupported(_ *pending, params url.Values) *refusal {
	for _, name := range []string{"request", "request_uri", "registration"} {
		if params.Get(name) != "" {
			return &refusal{name + "_not_supported", name + " is not supported"}
		}
	}
	return nil
}

// checkChallenge asks for PKCE from all clients (RFC 9700 §2.1.1). A challenge without
// method is plain (RFC 7636 §4.3), which shows the verifier to whoever reads the URL.
func (s *Server) checkChallenge(p *pending, params url.Values) *refusal {
	challenge, method := params.Get("code_challenge"), params.Get("code_challenge_method")
	switch {
	case params.Get("response_type") == "token":
		return nil // there is no code to bind
	case challenge == "" && method == "" && s.cfg.LegacyGrants:
		return nil
	case challenge == "":
		return invalidRequest("code_challenge is missing (RFC 7636)")
	case method != "S256":
		return invalidRequest("code_challenge_method must be S256")
	}
	if hash, err := base64.RawURLEncoding.Strict().DecodeString(challenge); err != nil || len(challenge) != 43 || len(hash) != 32 {
		return invalidRequest("code_challenge is not the base64url form of a SHA-256 hash")
	}
	p.challenge = challenge
	return nil
}

func (s *Server) checkScope(p *pending, params url.Values) *refusal {
	scopes, ok := p.client.grantScopes(params.Get("scope"))
	switch {
	case !ok:
		return badScope
	case s.lacksIDToken(scopes):
		return noIDToken
	}
	p.scopes = scopes
	return nil
}

func (s *Server) checkTarget(p *pending, params url.Values) *refusal {
	aud, ok := s.grantAudience(withValue(params["resource"]))
	if !ok {
		return &refusal{"invalid_target", "the resource is missing, malformed or unknown: see Config.Audience"}
	}
	p.audience = aud
	return nil
}

// withValue leaves out what counts as omitted (RFC 6749 §3.1).
func withValue(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
}

func checkDetails(p *pending, params url.Values) *refusal {
	details, refused := askedDetails(params)
	p.details = details
	return refused
}

// checkOpenID reads what OpenID Connect Core 1.0 §3.1.2.1 adds. max_age needs no more
// than to be a number: the page asks who the user is every time.
func checkOpenID(p *pending, params url.Values) *refusal {
	if age := params.Get("max_age"); age != "" {
		if _, err := strconv.ParseUint(age, 10, 31); err != nil {
			return invalidRequest("max_age is not a number of seconds")
		}
	}
	p.nonce = params.Get("nonce")
	if wanted := strings.Fields(params.Get("acr_values")); len(wanted) > 0 {
		p.acr = wanted[0]
	}
	return nil
}

func checkPrompt(_ *pending, params url.Values) *refusal {
	values := strings.Fields(params.Get("prompt"))
	for _, v := range values {
		switch {
		case v == "none" && len(values) == 1:
			return &refusal{"login_required", "nobody stays signed in here: the page asks every time"}
		case v != "login" && v != "consent" && v != "select_account":
			return invalidRequest("prompt is unknown, or none together with another value")
		}
	}
	return nil
}
