// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/compact"
	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/scopetoken"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/oauthtest"
)

// verdict is how a check of a request ends.
type verdict struct {
	status int
	code   string // of RFC 6750 §3.1
}

var (
	pass        = verdict{}
	anonymous   = verdict{http.StatusUnauthorized, ""}
	malformed   = verdict{http.StatusBadRequest, "invalid_request"}
	bad         = verdict{http.StatusUnauthorized, "invalid_token"}
	lacking     = verdict{http.StatusForbidden, "insufficient_scope"}
	unavailable = verdict{http.StatusServiceUnavailable, ""}
)

// badUnless is for checks of one fact.
func badUnless(ok bool) verdict {
	if ok {
		return pass
	}
	return bad
}

// token is a JWT that was taken apart.
type token struct {
	raw    string
	input  string // what is signed
	header strictjson.Object
	claims strictjson.Object
	sig    []byte
}

func text(obj strictjson.Object, name string) string {
	val, _ := obj.Get(name)
	s, _ := val.Text()
	return s
}

// has tells whether a claim is there, of whatever type.
func has(obj strictjson.Object, name string) bool {
	_, ok := obj.Get(name)
	return ok
}

type check = func(*token) verdict

// gate is bearer-token protection as an application would write it for itself,
// with every step right. A mutant puts a wrong step in the place of one of them.
type gate struct {
	issuer   string
	audience string
	scope    string // all of which is needed
	maxBytes int
	keys     *keyring
	also     map[string]*keyring // of other issuers that it trusts

	// Over all: admit decides about a request, refuse answers.
	admit  func(*http.Request) verdict
	refuse func(http.ResponseWriter, *http.Request, verdict)

	// Of admit: the token of a request, and the verdict on it.
	credential func(*http.Request) (string, verdict)
	verify     func(raw string) verdict

	// Of verify, in the order in which they run.
	decode     func(segment string) ([]byte, error)
	object     func(json []byte) (strictjson.Object, error)
	extensions check
	algorithms check
	kind       check
	signature  check
	issuedBy   check
	meantFor   check
	inTime     check
	complete   check
	unbound    check
	scoped     check
}

func newGate(as *oauthtest.Server) *gate {
	g := &gate{
		issuer: as.Issuer(), audience: api, scope: ordersRead, maxBytes: 16 << 10,
		keys:   newKeyring(as),
		decode: compact.Decode, object: strictjson.ParseObject,
		credential: bearerToken,
	}
	g.admit, g.refuse, g.verify = g.decide, g.deny, g.verifyToken
	g.extensions, g.algorithms, g.kind, g.signature = noExtensions, isAlgorithm, isAccessToken, g.isSigned
	g.issuedBy, g.meantFor, g.inTime, g.complete = g.isIssuedBy, g.isMeantFor, isInTime, isComplete
	g.unbound, g.scoped = isUnbound, g.hasScope
	return g
}

// pass reports whether the handler may run; if not, it has answered.
func (g *gate) pass(w http.ResponseWriter, r *http.Request) bool {
	v := g.admit(r)
	if v != pass {
		g.refuse(w, r, v)
	}
	return v == pass
}

func (g *gate) decide(r *http.Request) verdict {
	raw, v := g.credential(r)
	if v != pass {
		return v
	}
	return g.verify(raw)
}

// deny answers as RFC 6750 §3 says.
func (g *gate) deny(w http.ResponseWriter, _ *http.Request, v verdict) {
	challenge := `Bearer realm="orders"`
	if v.code != "" {
		challenge += `, error="` + v.code + `"`
	}
	if v.status != http.StatusBadRequest {
		challenge += `, scope="` + g.scope + `"`
	}
	if v == unavailable {
		w.Header().Set("Retry-After", "5")
	} else {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(v.status)
}

// bearerToken reads the credentials of RFC 6750 §2.1: one line, the scheme in any
// case, spaces, and a b64token.
func bearerToken(r *http.Request) (string, verdict) {
	lines := r.Header["Authorization"]
	switch {
	case len(lines) == 0:
		return "", anonymous
	case len(lines) > 1:
		return "", malformed
	}
	value := strings.Trim(lines[0], " \t")
	end := strings.IndexAny(value+" ", " \t")
	if value[:end] != "Bearer" && !strings.EqualFold(value[:end], "bearer") {
		return "", anonymous
	}
	raw := strings.TrimLeft(value[end:], " ")
	unpadded := strings.TrimRight(raw, "=")
	foreign := func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._~+/", c))
	}
	if unpadded == "" || strings.ContainsFunc(unpadded, foreign) {
		return "", malformed
	}
	return raw, pass
}

func (g *gate) verifyToken(raw string) verdict {
	if len(raw) > g.maxBytes {
		return bad
	}
	t, ok := g.parse(raw)
	if !ok {
		return bad
	}
	for _, step := range []check{
		g.extensions, g.algorithms, g.kind, g.signature, g.issuedBy, g.meantFor,
		g.inTime, g.complete, g.unbound, g.scoped,
	} {
		if v := step(t); v != pass {
			return v
		}
	}
	return pass
}

func (g *gate) parse(raw string) (*token, bool) {
	parts := strings.SplitN(raw, ".", 4)
	if len(parts) != 3 {
		return nil, false
	}
	t := &token{raw: raw, input: parts[0] + "." + parts[1]}
	header, err1 := g.decode(parts[0])
	claims, err2 := g.decode(parts[1])
	sig, err3 := g.decode(parts[2])
	if cmp.Or(err1, err2, err3) != nil {
		return nil, false
	}
	t.sig = sig
	t.header, err1 = g.object(header)
	t.claims, err2 = g.object(claims)
	return t, cmp.Or(err1, err2) == nil
}

// noExtensions refuses what would change how the token is to be read (RFC 7515
// §4.1.11, RFC 7797 §6), and members of a wrong type.
func noExtensions(t *token) verdict {
	b64, plain := t.header.Get("b64")
	yes, _ := b64.Bool()
	kid, named := t.header.Get("kid")
	return badUnless(!has(t.header, "crit") && !has(t.header, "enc") && (!plain || yes) &&
		(!named || kid.Kind() == strictjson.KindString && len(text(t.header, "kid")) <= 512) && !nested(t))
}

func nested(t *token) bool {
	cty, typed := t.header.Get("cty")
	return typed && (cty.Kind() != strictjson.KindString || strings.Contains(strings.ToLower(text(t.header, "cty")), "jwt"))
}

// isAlgorithm leaves it to the key which of the asymmetric algorithms it serves (RFC
// 8725 §3.1).
func isAlgorithm(t *token) verdict {
	return badUnless(slices.Contains(jose.DefaultAlgorithms(), text(t.header, "alg")))
}

// isAccessToken is RFC 9068 §4: typ, compared as a media type.
func isAccessToken(t *token) verdict {
	typ := strings.TrimPrefix(asciiLower(text(t.header, "typ")), "application/")
	return badUnless(typ == "at+jwt")
}

// asciiLower leaves other letters alone: strings.ToLower would make a k of the
// Kelvin sign.
func asciiLower(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

// isSigned takes the keys of the issuer that the token names (RFC 8725 §3.8).
func (g *gate) isSigned(t *token) verdict {
	if ring, ok := g.also[text(t.claims, "iss")]; ok {
		return ring.verify(t)
	}
	return g.keys.verify(t)
}

func (g *gate) isIssuedBy(t *token) verdict {
	iss := text(t.claims, "iss")
	_, also := g.also[iss]
	return badUnless(iss == g.issuer || also)
}

func (g *gate) isMeantFor(t *token) verdict {
	val, _ := t.claims.Get("aud")
	list, _ := val.Texts()
	return badUnless(slices.Contains(append(list, text(t.claims, "aud")), g.audience))
}

// isInTime checks exp, nbf and iat (RFC 7519 §4.1.4 to §4.1.6).
func isInTime(t *token) verdict {
	return badUnless(endsLater(t) && hasCome(t, "nbf") && hasCome(t, "iat"))
}

func endsLater(t *token) bool {
	exp, ok := date(t, "exp")
	return ok && !exp.IsZero() && time.Now().Before(exp)
}

// hasCome is for the two that need not be there.
func hasCome(t *token, name string) bool {
	when, ok := date(t, name)
	return ok && !time.Now().Before(when)
}

// date is zero and true for a claim that is not there.
func date(t *token, name string) (time.Time, bool) {
	val, present := t.claims.Get(name)
	if !present {
		return time.Time{}, true
	}
	return val.NumericDate()
}

// isComplete is RFC 9068 §2.2.
func isComplete(t *token) verdict {
	for _, name := range []string{"sub", "client_id", "jti"} {
		if text(t.claims, name) == "" {
			return bad
		}
	}
	act, delegated := t.claims.Get("act")
	return badUnless(has(t.claims, "iat") && (!delegated || act.Kind() == strictjson.KindObject))
}

// isUnbound refuses tokens that need a proof of possession (RFC 7800 §3.1).
func isUnbound(t *token) verdict { return badUnless(!has(t.claims, "cnf")) }

func (g *gate) hasScope(t *token) verdict {
	val, present := t.claims.Get("scope")
	if present && val.Kind() != strictjson.KindString {
		return bad
	}
	granted := strings.Split(text(t.claims, "scope"), " ")
	for _, s := range granted {
		if s != "" && !scopetoken.Valid(s) {
			return bad
		}
	}
	for _, needed := range strings.Fields(g.scope) {
		if !slices.Contains(granted, needed) {
			return lacking
		}
	}
	return pass
}
