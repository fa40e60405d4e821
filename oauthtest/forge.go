// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// forgery makes the tokens of cases for one server. It is safe for concurrent use.
type forgery struct {
	server *Server
	edits  []Edit   // what a good token needs on the target
	scope  string   // the scopes that the route needs, with a space between them; "" none
	other  *forgery // of the second issuer that the target trusts; nil if there is none

	certified sync.Once // a token and a header line beside it must show the same certificate
	cert      []byte
	certError error
}

// garbage is sent where the place of a token is all that matters.
const garbage = "Z2FyYmFnZQ"

var b64 = base64.RawURLEncoding

// good returns a token that must be accepted.
func (f *forgery) good() (string, error) { return f.server.mint(f.goodEdits()...) }

// goodEdits puts the scope first, for the other edits to change it.
func (f *forgery) goodEdits() []Edit {
	if f.scope == "" {
		return f.edits
	}
	return append([]Edit{Scope(f.scope)}, f.edits...)
}

// bad returns the token of a recipe.
func (f *forgery) bad(r recipe) (string, error) {
	good, err := f.good()
	if err != nil {
		return "", err
	}
	return f.spoil(r, good)
}

// tokens returns what the templates of c.Send need: "garbage", the tokens of all recipes,
// and "good" where something is made of it or it is sent.
func (f *forgery) tokens(c attackCase) (map[string]string, error) {
	all := map[string]string{"garbage": garbage}
	if c.usesGood {
		good, err := f.good()
		if err != nil {
			return nil, err
		}
		all["good"], all["token"] = good, good
	}
	for name, r := range c.Tokens {
		token, err := f.by(r).spoil(r, all["good"])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.ID, err)
		}
		all[name] = token
	}
	return all, nil
}

// by is the forgery of the issuer that makes the token of r.
func (f *forgery) by(r recipe) *forgery {
	if r.By == "second" {
		return f.other
	}
	return f
}

// expand fills in a template: ${name} from vars (those of tokens, and "path"), and the
// placeholders of docs/attack-catalogue.md.
func (f *forgery) expand(template string, vars map[string]string) (string, error) {
	m, err := f.begin(vars)
	if err != nil {
		return "", err
	}
	return m.expand(template, plainText)
}

// lacks names the first of the needs that the server's algorithm or the target does not
// meet, or "". It knows those about scopes, issuers and the algorithm, and passes over the
// others.
func (f *forgery) lacks(needs []string) string {
	alg := f.server.cfg.Algorithm
	_, ownRSA := f.privateKey().(rsaPrivate)
	met := map[string]bool{
		"scope":          f.scope != "",
		"small-letters":  f.scope != strings.ToUpper(f.scope),
		"several-scopes": strings.Contains(f.scope, " "),
		"scope-levels":   level(f.scope[strings.LastIndexByte(f.scope, ' ')+1:]) > 0,
		"own-scope":      f.ownScope(),
		"second-issuer":  f.other != nil,
		"asymmetric":     !jose.HMAC(alg),
		"hmac":           jose.HMAC(alg),
		"hs256":          alg == "HS256",
		"rsa":            ownRSA,
		"pkcs1":          ownRSA && strings.HasPrefix(alg, "RS"),
		"not-rs512":      alg != "RS512",
		"pss":            ownRSA && strings.HasPrefix(alg, "PS"),
		"ec":             strings.HasPrefix(alg, "ES"),
		"ed25519":        alg == "EdDSA" || alg == "Ed25519",
		// Of each three octets base64url uses every bit (RFC 4648 §4).
		"spare-bits": f.signatureSize()%3 != 0,
	}
	for _, need := range needs {
		if ok, known := met[need]; known && !ok {
			return need
		}
	}
	return ""
}

// lacksFor is lacks for a case, and knows the needs about the audience as well.
func (f *forgery) lacksFor(c attackCase) string {
	return cmp.Or(f.lacks(c.Needs), f.audienceLacks(c))
}

// making is one token in the making, and what templates can say about it.
type making struct {
	f     *forgery
	draft *draft            // of a perfect token
	vars  map[string]string // further placeholders
}

func (f *forgery) begin(vars map[string]string) (*making, error) {
	t := f.server.draft()
	for _, edit := range f.goodEdits() {
		edit(t)
	}
	if _, unset := t.claims["aud"].(noAudience); unset {
		return nil, errors.New("oauthtest: the audience is not known yet: set Config.Audience, call VerifierConfig first, or use the Audience edit")
	}
	return &making{f: f, draft: t, vars: vars}, nil
}

// spoil makes the token of r. good is the good token of the case.
func (f *forgery) spoil(r recipe, good string) (string, error) {
	m, err := f.begin(map[string]string{"good": good})
	if err != nil {
		return "", err
	}
	token := good
	if r.From == "" {
		if token, err = m.makeFit(r); err != nil {
			return "", err
		}
	}
	for _, name := range r.Text {
		if token, err = m.operate(name, token); err != nil {
			return "", err
		}
	}
	if r.Raw == "" {
		return token, nil
	}
	segments := append(strings.SplitN(token, ".", 3), "", "")
	m.vars["token"] = token
	m.vars["header"], m.vars["payload"], m.vars["signature"] = segments[0], segments[1], segments[2]
	return m.expand(r.Raw, plainText)
}

// make edits both objects and signs them.
func (m *making) make(r recipe) (string, error) {
	s, err := m.signer(r.Sign, r.Alg)
	if err != nil {
		return "", err
	}
	header := maps.Clone(m.draft.header)
	header["alg"] = s.alg
	if s.kid != "" {
		header["kid"] = s.kid
	}
	h, err := m.segment(r.Header, header)
	if err != nil {
		return "", fmt.Errorf("header: %w", err)
	}
	p, err := m.segment(r.Claims, m.draft.claims)
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	sig, err := s.sign(h + "." + p)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return h + "." + p + "." + b64.EncodeToString(sig), nil
}

// segment writes an object with the edits of p, and encodes it.
func (m *making) segment(p part, object map[string]any) (string, error) {
	members := maps.Clone(object)
	for name, template := range p.Set {
		v, err := m.value(template)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		members[name] = v
	}
	for _, name := range p.Remove {
		delete(members, name)
	}
	text, err := m.write(p, members)
	if err != nil {
		return "", err
	}
	return encodeSegment(p.Encode, text)
}

// write puts the raw parts of p around and in place of the members.
func (m *making) write(p part, members map[string]any) (string, error) {
	text, err := marshal(members)
	if err != nil {
		return "", err
	}
	var inner []string
	for _, raw := range []string{p.Prepend, text[1 : len(text)-1], p.Append} {
		if raw != text[1:len(text)-1] {
			if raw, err = m.expand(raw, insideJSON); err != nil {
				return "", err
			}
		}
		if raw != "" {
			inner = append(inner, raw)
		}
	}
	text = "{" + strings.Join(inner, ",") + "}"
	if p.Raw == nil {
		return text, nil
	}
	m.vars["object"] = text
	return m.expand(*p.Raw, insideJSON)
}

// marshal leaves < > & as they are: they are nothing special in a token.
func marshal(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// privateKey is what the issuer signs with now: a crypto.Signer, or a []byte.
func (f *forgery) privateKey() any { return f.server.draft().key }

// signatureSize is how many octets the issuer's signatures have.
func (f *forgery) signatureSize() int {
	if size := map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[f.server.cfg.Algorithm]; size != 0 {
		return size
	}
	signer, _ := f.privateKey().(crypto.Signer)
	switch key := signer.Public().(type) {
	case *rsa.PublicKey:
		return key.Size()
	case *ecdsa.PublicKey:
		return 2 * ((key.Params().BitSize + 7) / 8)
	}
	return 64 // Ed25519
}

// public is the issuer's current public key, nil where it has none.
func (m *making) public() crypto.PublicKey {
	if signer, ok := any(m.draft.key).(crypto.Signer); ok {
		return signer.Public()
	}
	return nil
}

func (m *making) kid() string {
	kid, _ := m.draft.header["kid"].(string)
	return kid
}
