// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/internal/binding"
	"github.com/bearerguard/bearerguard/internal/challenge"
	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

// answer is what a client is told. Its texts are all there is: neither a cause nor
// anything of a token gets near a response.
type answer struct {
	status      int
	code        string // OAuth error
	description string
	challenge   bool // send a challenge
	scope       bool // list the scopes in it
	retry       bool // send Retry-After
}

var (
	noCredentials = &answer{status: http.StatusUnauthorized, challenge: true, scope: true}
	malformed     = badRequest("The Authorization header is malformed")
	repeated      = badRequest("More than one Authorization header was sent")

	// Failures that differ only in what they reveal about keys and policy share one
	// text.
	notValid     = invalidToken("The access token is not valid for this resource")
	notWellFormd = invalidToken("The access token is malformed")
	expired      = invalidToken("The access token has expired")
	notYetValid  = invalidToken("The access token is not yet valid")
	inactive     = invalidToken("The access token is not active")
	withoutProof = invalidToken("The access token is sender-constrained and was presented without proof")
	otherKey     = invalidToken("The access token is not bound to the presented key")
	otherCert    = invalidToken("The access token is not bound to the client certificate")
	unbound      = invalidToken("A sender-constrained access token is required")

	noProof     = unauthorized("invalid_dpop_proof", "A DPoP proof is required")
	badProof    = unauthorized("invalid_dpop_proof", "The DPoP proof is not valid")
	usedProof   = unauthorized("invalid_dpop_proof", "The DPoP proof was already used")
	needsNonce  = unauthorized("use_dpop_nonce", "A current nonce is required in the DPoP proof")
	needsStepUp = unauthorized("insufficient_user_authentication", "The authentication context or its age is not accepted here")

	lacksScope   = insufficient("The access token lacks a required scope")
	lacksDetails = insufficient("The authorization details do not cover this request")

	forbidden   = &answer{status: http.StatusForbidden}
	tooLarge    = &answer{status: http.StatusRequestEntityTooLarge}
	dependency  = &answer{status: http.StatusServiceUnavailable, retry: true}
	ourOwnFault = &answer{status: http.StatusServiceUnavailable}
)

func badRequest(text string) *answer {
	return &answer{status: http.StatusBadRequest, code: "invalid_request", description: text, challenge: true}
}

func unauthorized(code, text string) *answer {
	return &answer{status: http.StatusUnauthorized, code: code, description: text, challenge: true}
}

func invalidToken(text string) *answer {
	a := unauthorized("invalid_token", text)
	a.scope = true
	return a
}

func insufficient(text string) *answer {
	return &answer{status: http.StatusForbidden, code: "insufficient_scope", description: text, challenge: true, scope: true}
}

// answers is the one place where a class becomes an answer. A class that is not
// here is answered as our own fault.
var answers = map[error]*answer{
	verifier.ErrNoCredentials:            noCredentials,
	verifier.ErrInvalidRequest:           malformed,
	verifier.ErrInvalidToken:             notValid,
	verifier.ErrMalformedToken:           notWellFormd,
	verifier.ErrTokenType:                notValid,
	verifier.ErrAlgorithm:                notValid,
	verifier.ErrUnknownKey:               notValid,
	verifier.ErrSignature:                notValid,
	verifier.ErrIssuer:                   notValid,
	verifier.ErrAudience:                 notValid,
	verifier.ErrExpired:                  expired,
	verifier.ErrNotYetValid:              notYetValid,
	verifier.ErrMissingClaim:             notValid,
	verifier.ErrInvalidClaim:             notValid,
	verifier.ErrDecryption:               notValid,
	verifier.ErrInactive:                 inactive,
	verifier.ErrRevoked:                  inactive,
	verifier.ErrSuspended:                inactive,
	verifier.ErrBinding:                  withoutProof,
	verifier.ErrDPoPProof:                badProof,
	verifier.ErrDPoPReplay:               usedProof,
	verifier.ErrDPoPNonce:                needsNonce,
	verifier.ErrStepUp:                   needsStepUp,
	verifier.ErrInsufficientScope:        lacksScope,
	verifier.ErrInsufficientDetails:      lacksDetails,
	verifier.ErrForbidden:                forbidden,
	verifier.ErrKeysUnavailable:          dependency,
	verifier.ErrIntrospectionUnavailable: dependency,
	verifier.ErrStatusUnavailable:        dependency,
	verifier.ErrReplayStoreUnavailable:   dependency,
	verifier.ErrMetadata:                 dependency,
	verifier.ErrRequestTooLarge:          tooLarge,
	verifier.ErrConfig:                   ourOwnFault,
	verifier.ErrInternal:                 ourOwnFault,
}

// answerTo chooses by class, and where a class has several texts, by a cause that is this
// module's own value.
func answerTo(e *verifier.Error, by scheme) *answer {
	switch {
	case e.Class == verifier.ErrInvalidRequest && e.Cause == errRepeated:
		return repeated
	case e.Class == verifier.ErrDPoPProof && e.Cause == binding.ErrAbsentProof:
		return noProof
	case e.Class == verifier.ErrBinding:
		return unmet(e.Cause, by)
	}
	if a := answers[e.Class]; a != nil {
		return a
	}
	return ourOwnFault
}

// unmet is the answer for a sender constraint that does not hold.
func unmet(cause error, by scheme) *answer {
	switch {
	case cause == binding.ErrCertificate:
		return otherCert
	case cause == binding.ErrUnconstrained:
		return unbound
	case by == schemeDPoP:
		return otherKey
	}
	return withoutProof
}

// classify makes an Error of any err; one without a class is [verifier.ErrInternal].
// Errors are the application's code, too: asking a nil pointer for its cause panics.
func classify(err error) *verifier.Error {
	if e := proper(err); e != nil {
		return e
	}
	var e *verifier.Error
	if p := hook.Call("an error value", func() { e = classOf(err) }); p != nil {
		return internal(p)
	}
	return e
}

// proper returns err if it is itself an Error of a class of package verifier, as nearly
// every refusal is; to tell that calls no foreign code. An application can put anything
// into Class: only a sentinel's type is sure to be a key that a map can look up.
func proper(err error) *verifier.Error {
	e, ok := err.(*verifier.Error)
	if !ok || e == nil || reflect.TypeOf(e.Class) != sentinel || answers[e.Class] == nil {
		return nil
	}
	return e
}

var sentinel = reflect.TypeOf(verifier.ErrInternal)

// classed reports whether err has a class, so that whoever made it reported it.
func classed(err error) (known bool) {
	if proper(err) != nil {
		return true
	}
	p := hook.Call("an error value", func() { known = verifier.ClassOf(err) != nil })
	return known && p == nil
}

func classOf(err error) (e *verifier.Error) {
	class := verifier.ClassOf(err)
	if class == nil {
		return &verifier.Error{Class: verifier.ErrInternal, Cause: err}
	}
	if errors.As(err, &e) && e.Class == class {
		return e
	}
	return &verifier.Error{Class: class, Cause: err}
}

// part is one challenge of an answer.
type part struct {
	by     scheme
	answer *answer
}

// parts are the challenges of an answer to a request that presented a token by the scheme
// by, or by none (RFC 9449 §7.2): whoever sent nothing that counts is told of every
// scheme; an error stands on the scheme that was used; a refused bearer token may yet be
// presented with a proof.
//
// There are one or two: the second is without an answer if there is one.
func (g *Guard) parts(a *answer, by scheme) [2]part {
	switch {
	case g.cfg.DPoP == nil:
		return [2]part{{schemeBearer, a}}
	case g.cfg.OnlyDPoP || by == schemeDPoP || proofs[a]:
		return [2]part{{schemeDPoP, a}}
	case a == noCredentials || a == repeated || by == "" && a.status != http.StatusForbidden:
		return [2]part{{schemeBearer, a}, {schemeDPoP, a}}
	case a.code == "invalid_token":
		return [2]part{{schemeBearer, a}, {schemeDPoP, noCredentials}}
	}
	return [2]part{{schemeBearer, a}}
}

// proofs are the answers about a proof, which only the scheme DPoP has.
var proofs = map[*answer]bool{noProof: true, badProof: true, usedProof: true, needsNonce: true}

// own are the answers that no class alone stands for.
var own = []*answer{noCredentials, repeated, noProof, otherKey, otherCert, unbound}

// lines writes every challenge that a guard can send for scope.
func (g *Guard) lines(scope []string) map[part]string {
	lines := map[part]string{}
	add := func(a *answer) {
		if !a.challenge {
			return
		}
		lines[part{schemeBearer, a}] = g.line(part{schemeBearer, a}, scope)
		if g.cfg.DPoP != nil {
			lines[part{schemeDPoP, a}] = g.line(part{schemeDPoP, a}, scope)
		}
	}
	for _, a := range own {
		add(a)
	}
	for _, a := range answers {
		if lines[part{schemeBearer, a}] == "" {
			add(a)
		}
	}
	return lines
}

// line writes one challenge, its parameters in the fixed order.
func (g *Guard) line(p part, scope []string) string {
	a := p.answer
	c := challenge.Challenge{Scheme: string(p.by)}
	add := func(name, value string) {
		if value != "" {
			c.Params = append(c.Params, challenge.Param{Name: name, Value: value})
		}
	}
	add("realm", g.cfg.Realm)
	if a.code != "" {
		add("error", a.code)
		add("error_description", a.description)
		add("error_uri", g.cfg.ErrorURI)
	}
	if a.scope {
		add("scope", strings.Join(scope, " "))
	}
	if p.by == schemeDPoP {
		add("algs", strings.Join(g.cfg.DPoP.Algorithms(), " ")) // RFC 9449 §7.1
	}
	for _, p := range g.cfg.Extra {
		c.Params = append(c.Params, challenge.Param(p))
	}
	if len(c.Params) == 0 {
		add("realm", "resource") // RFC 6750 §3 wants at least one parameter
	}
	return c.String()
}

// maxLine is what proxies in front of clients can be trusted to pass on.
const maxLine = 2048

// tooLong returns a warning if a challenge of rt is longer than maxLine.
func (rt *Route) tooLong() []string {
	longest := 0
	for _, line := range rt.lines {
		longest = max(longest, len(line))
	}
	if longest <= maxLine {
		return nil
	}
	return []string{fmt.Sprintf("a challenge of %d bytes is longer than %d, which proxies may cut: shorten Realm, ErrorURI, Extra or the scopes of the route", longest, maxLine)}
}

// challengeFor returns the challenge p for scopes that include those of rt.
func (rt *Route) challengeFor(p part, scope []string) string {
	if line, ok := rt.lines[p]; ok && (!p.answer.scope || slices.Equal(scope, rt.scope)) {
		return line
	}
	return rt.guard.line(p, scope)
}
