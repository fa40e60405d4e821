// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/bearerguard/bearerguard/dpop"
	"github.com/bearerguard/bearerguard/internal/ctxkey"
	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/scopetoken"
	"github.com/bearerguard/bearerguard/verifier"
)

// Denial is what a refusal tells the client, for [Config.Body].
type Denial struct {
	// Status is the HTTP status code.
	Status int
	// Code is the OAuth error code (RFC 6750 §3.1); "" if the answer has none.
	Code string
	// Description is the fixed text of error_description; "" if the answer has none.
	Description string
}

// Deny answers a request that Check refused, err being what Check returned, as it
// is. It adds a challenge to those already in w's header, and does nothing if err
// says that the request has its answer. An err without a class of package verifier,
// and nil, are answered with 503: whoever calls Deny wants the request not to pass.
func (rt *Route) Deny(w http.ResponseWriter, r *http.Request, err error) {
	if err == errAnswered {
		return
	}
	if rt == nil || !rt.guard.ready() {
		rt, err = unready, zeroValue()
	}
	var outer []string
	if s := ctxkey.From(r.Context()); s != nil {
		outer = s.Scopes
	}
	rt.deny(w, r, classify(err), outer)
}

// Deny refuses a request from inside a handler, with the bytes that the guard in
// front of it would send: err is the result of Token.Require, or an error of a class
// of package verifier. The challenge lists the scopes of all rules the request met
// and those of err. Return after it (in Gin, call c.Abort, too), and call it before
// anything is written. What the handler has put into the header to describe its own
// body is removed, except Content-Encoding, which a layer further out may have set.
//
// An err without a class, nil, and a request that no Guard let pass are answered
// with 503.
func Deny(w http.ResponseWriter, r *http.Request, err error) {
	s := ctxkey.From(r.Context())
	if s == nil {
		unready.deny(w, r, &verifier.Error{Class: verifier.ErrConfig, Cause: errUnguarded}, nil)
		return
	}
	rt := unready // a token planted by a test: answered as by a Guard without settings
	if g, ok := s.Guard.(*Guard); ok && g.ready() {
		rt = g.base
	}
	rt.deny(w, r, rt.guard.report(classify(err)), s.Scopes)
}

// unready answers where there is no Guard whose settings could be used.
var unready = &Route{guard: new(Guard)}

var errUnguarded = errors.New("no Guard ran before middleware.Deny")

// representation are the fields, in canonical form, by which a handler describes what it
// meant to send. Content-Encoding is not one of them: it may be that of a layer further
// out.
var representation = []string{"Content-Length", "Content-Type", "Content-Disposition", "Content-Range",
	"Content-Language", "Content-Location", "Etag", "Last-Modified"}

// deny is the one writer of refusals.
func (rt *Route) deny(w http.ResponseWriter, r *http.Request, e *verifier.Error, outer []string) {
	by := rt.guard.used(r)
	a := answerTo(e, by)
	contentType, body, err := rt.body(a)
	if err != nil {
		e = rt.guard.report(err)
		a = ourOwnFault
	}
	h := w.Header()
	rt.describe(h, a, by, rt.scopes(outer, e.Challenge.Scope), e.RetryAfter)
	if len(body) > 0 {
		h.Set("Content-Type", contentType)
		if h.Get("Content-Encoding") == "" { // else a layer further out changes the length
			h.Set("Content-Length", strconv.Itoa(len(body))) // the same for HEAD
		}
	}
	send(w, a.status)
	if len(body) > 0 && r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone, or has the whole answer
	}
}

// describe writes the fields of a refusal into h. The slices are this answer's own: code
// further out may change in place what it finds in a header. Clipped, they share one
// allocation and nothing else.
func (rt *Route) describe(h http.Header, a *answer, by scheme, scope []string, wait time.Duration) {
	if len(h) > 0 {
		for _, name := range representation {
			delete(h, name)
		}
	}
	own := &[3]string{"no-store"}
	h["Cache-Control"] = own[:1:1]
	switch {
	case a.challenge:
		n := 1
		for _, p := range rt.guard.parts(a, by) {
			if p.answer != nil {
				own[n] = rt.challengeFor(p, scope)
				n++
			}
		}
		if others := h["Www-Authenticate"]; len(others) > 0 {
			h["Www-Authenticate"] = append(others, own[1:n]...)
		} else {
			h["Www-Authenticate"] = own[1:n:n]
		}
		rt.renewNonce(h, a, by)
	case a.retry:
		own[1] = retryAfter(wait)
		h["Retry-After"] = own[1:2:2]
	}
}

// renewNonce: every 401 to a request under DPoP brings a nonce for the next proof
// (RFC 9449 §8.2, §9).
func (rt *Route) renewNonce(h http.Header, a *answer, by scheme) {
	if a.status == http.StatusUnauthorized && (by == schemeDPoP || proofs[a]) {
		setNonce(h, rt.guard.cfg.DPoP)
	}
}

// setNonce replaces whatever nonce h holds: there must be one at most (RFC 9449 §8.2).
func setNonce(h http.Header, v *dpop.Verifier) {
	if nonce := v.Nonce(); nonce != "" {
		h["Dpop-Nonce"] = []string{nonce}
	}
}

// send commits the status. Some frameworks only take note of it, so that a handler
// further in or out could still turn the refusal into something else.
func send(w http.ResponseWriter, status int) {
	w.WriteHeader(status)
	if noted, ok := w.(interface{ WriteHeaderNow() }); ok {
		noted.WriteHeaderNow()
	}
}

// scopes lists what the request met outside, what rt asks for, and what the
// refusal itself names, which application code may have written.
func (rt *Route) scopes(outer, named []string) []string {
	list := rt.scope
	if len(outer) > 0 {
		list = join(outer, rt.scope)
	}
	for _, s := range named {
		if scopetoken.Valid(s) {
			list = join(list, []string{s})
		}
	}
	return list
}

func (rt *Route) body(a *answer) (contentType string, body []byte, err *verifier.Error) {
	if rt.guard.cfg.Body == nil {
		return "", nil, nil
	}
	p := hook.Call("Config.Body", func() {
		contentType, body = rt.guard.cfg.Body(&Denial{Status: a.status, Code: a.code, Description: a.description})
	})
	if p != nil {
		return "", nil, internal(p)
	}
	if contentType == "" {
		body = nil
	}
	return contentType, body, nil
}

// retryAfter writes d in whole seconds, rounded up: at least one, at most an hour,
// and five where nothing is known (RFC 9110 §10.2.3).
func retryAfter(d time.Duration) string {
	if d <= 0 {
		d = 5 * time.Second
	}
	d = min(d, time.Hour)
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// ProblemJSON is a [Config.Body] that makes problem details (RFC 9457 §3) of type
// about:blank: the status, its name, and as error the OAuth code if there is one.
func ProblemJSON(d *Denial) (contentType string, body []byte) {
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Error  string `json:"error,omitempty"`
	}{"about:blank", http.StatusText(d.Status), d.Status, d.Code})
	if err != nil {
		return "", nil
	}
	return "application/problem+json", body
}
