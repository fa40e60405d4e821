// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/compact"
	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// assertionLife bounds how long a jti has to be remembered.
	assertionLife = 10 * time.Minute
	// assertionSkew is how far the clock of a client may be ahead (FAPI 2.0 Security
	// Profile §5.3.2.1).
	assertionSkew = 10 * time.Second
)

func badAssertion(why string) *refusal {
	return &refusal{badClient.Code, "client assertion: " + why}
}

// byAssertion authenticates by private_key_jwt (RFC 7521 §4.2, RFC 7523 §3).
func (s *Server) byAssertion(form url.Values) (Client, *refusal) {
	if form.Get("client_assertion_type") != assertionType {
		return Client{}, badAssertion("client_assertion_type must be " + assertionType)
	}
	parts, err := compact.Split(form.Get("client_assertion"))
	if err != nil {
		return Client{}, badAssertion("it is not a signed JWT")
	}
	claims, err := strictjson.ParseObject(parts.Payload)
	if err != nil {
		return Client{}, badAssertion("its claims are not a JSON object without duplicate names")
	}
	client, ok := s.client(text(claims, "iss"))
	switch {
	case !ok || client.Keys == nil:
		return Client{}, badAssertion("iss must be the client_id of a client with Keys")
	case form.Has("client_id") && form.Get("client_id") != client.ID:
		return Client{}, otherClient
	}
	if why := client.checkSignature(parts); why != "" {
		return Client{}, badAssertion(why)
	}
	if why := s.checkAssertion(claims); why != "" {
		return Client{}, badAssertion(why)
	}
	return client, nil
}

// text returns a member that is a string, else "".
func text(o strictjson.Object, name string) string {
	v, _ := o.Get(name)
	t, _ := v.Text()
	return t
}

// checkSignature returns "" for a signature by one of the client's keys under an
// asymmetric algorithm. An assertion of another type must not pass for one of these
// (RFC 8725 §3.11), but most clients still send "JWT" or no typ.
func (c Client) checkSignature(parts compact.Parts) string {
	header, err := strictjson.ParseObject(parts.Header)
	if err != nil {
		return "its header is not a JSON object without duplicate names"
	}
	typ, hasType := header.Get("typ")
	kind, isText := typ.Text()
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if hasType && (!isText || kind != "jwt" && kind != "client-authentication+jwt") {
		return "typ must be client-authentication+jwt, JWT or absent"
	}
	if _, ok := header.Get("crit"); ok {
		return "crit names nothing that is understood here (RFC 7515 section 4.1.11)"
	}
	keys, _ := clientKeys(c.Keys) // complete parsed them before
	for _, k := range keys {
		_, named := header.Get("kid")
		if (!named || !k.HasID || k.ID == text(header, "kid")) && k.Verify(text(header, "alg"), []byte(parts.SigningInput), parts.Signature) {
			return ""
		}
	}
	return "no key of the client verifies its signature with the alg and kid of its header"
}

// checkAssertion returns "" for claims that are good here and now, for the first time.
func (s *Server) checkAssertion(claims strictjson.Object) string {
	now := s.cfg.Now()
	exp, ok := date(claims, "exp")
	switch {
	case text(claims, "sub") != text(claims, "iss"):
		return "sub must be equal to iss (RFC 7523 section 3)"
	case !s.addressed(claims):
		return "aud must be the issuer or the token endpoint, and nobody else"
	case !ok || !now.Before(exp):
		return "exp is missing or past"
	case exp.After(now.Add(assertionLife)):
		return "exp is more than 10 minutes ahead"
	case later(claims, "nbf", now) || later(claims, "iat", now):
		return "nbf or iat is in the future"
	}
	return s.store.firstUse(text(claims, "iss"), text(claims, "jti"), exp, now)
}

func date(claims strictjson.Object, name string) (time.Time, bool) {
	v, _ := claims.Get(name)
	return v.NumericDate()
}

// later reports whether an optional date is in the future, or none at all.
func later(claims strictjson.Object, name string, now time.Time) bool {
	v, present := claims.Get(name)
	t, ok := v.NumericDate()
	return present && (!ok || t.After(now.Add(assertionSkew)))
}

// addressed wants names of this server only, since one server could use at another
// what is meant for both. The token endpoint is what older clients send (RFC 7523 §3).
func (s *Server) addressed(claims strictjson.Object) bool {
	v, _ := claims.Get("aud")
	several, _ := v.Texts()
	if aud, ok := v.Text(); ok {
		several = []string{aud}
	}
	foreign := func(aud string) bool { return aud != s.issuer && aud != s.endpoint("/token") }
	return len(several) > 0 && !slices.ContainsFunc(several, foreign)
}

// endpoint returns the URL of an endpoint.
func (s *Server) endpoint(path string) string { return strings.TrimSuffix(s.issuer, "/") + path }

// firstUse remembers the jti of a client until exp; it returns "" if it is new.
func (st *store) firstUse(client, jti string, exp, now time.Time) string {
	if jti == "" {
		return "jti is missing"
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	id := client + "\x00" + jti
	if until, ok := st.seen[id]; ok && now.Before(until) {
		return "jti was used before"
	}
	st.sweep(now)
	st.seen[id] = exp
	return ""
}

// clientKeys reads the public keys of a client. It passes over those of a type that is not
// known here (RFC 7517 §5), but not over all of them.
func clientKeys(jwks []byte) ([]*jose.Key, error) {
	doc, err := strictjson.ParseObject(jwks)
	if err != nil {
		return nil, err
	}
	v, _ := doc.Get("keys")
	list, ok := v.Elements()
	if !ok || len(list) == 0 {
		return nil, errors.New("no keys (RFC 7517 §5)")
	}
	var keys []*jose.Key
	for _, jwk := range list {
		if unknownType(jwk.Raw()) {
			continue
		}
		k, err := jose.ParseKey(jwk.Raw())
		switch {
		case err != nil:
			return nil, err
		case k.Private:
			return nil, errors.New("private members: give the public keys, the client keeps the others")
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key of the types RSA, EC and OKP")
	}
	return keys, nil
}

// unknownType leaves it to others to say what is wrong with a key that has no type at all.
func unknownType(jwk []byte) bool {
	o, err := strictjson.ParseObject(jwk)
	kty := text(o, "kty")
	return err == nil && kty != "" && !slices.Contains([]string{"RSA", "EC", "OKP", "oct"}, kty)
}
