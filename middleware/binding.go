// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"crypto/subtle"
	"net/http"

	"github.com/bearerguard/bearerguard/dpop"
	"github.com/bearerguard/bearerguard/internal/binding"
	"github.com/bearerguard/bearerguard/mtls"
	"github.com/bearerguard/bearerguard/verifier"
)

// presentation is how one request presents its token: by which scheme, with which proof
// and certificate. It is for one goroutine.
type presentation struct {
	guard   *Guard
	by      scheme
	raw     string
	request *http.Request

	proof  *dpop.Proof // once it was checked
	burned bool
}

// present returns what is to be checked of how r presents its token: nil, where this Guard
// can check nothing and asks a verifier that then refuses bound tokens itself, without
// making a copy of the token. An application's verifier may not refuse them, so for one
// there is always something to check.
func (g *Guard) present(r *http.Request, by scheme, raw string) *presentation {
	if g.own && g.cfg.DPoP == nil && g.cfg.ClientCertificates == nil {
		return nil
	}
	return &presentation{guard: g, by: by, raw: raw, request: r}
}

// check is what the verifier is given to confirm the sender constraint with.
func (p *presentation) check() func(context.Context, *verifier.Token) error {
	switch {
	case p == nil:
		return nil
	case !p.guard.own:
		return p.again
	}
	return p.confirm
}

// confirm is the sender-constraint step (RFC 9449 §7.1, RFC 8705 §3). What it leaves
// unverified, since it is off here, the verifier refuses. The proof is burned last.
func (p *presentation) confirm(ctx context.Context, tok *verifier.Token) error {
	cnf := tok.Confirmation
	certificate, err := p.certificate(cnf.CertificateThumbprint)
	if err != nil {
		return err
	}
	key, err := p.key(ctx, cnf.JWKThumbprint)
	if err != nil {
		return err
	}
	switch {
	case key && certificate:
		tok.Binding = verifier.Binding{Kind: verifier.BindingBoth, Thumbprint: cnf.JWKThumbprint}
	case key:
		tok.Binding = verifier.Binding{Kind: verifier.BindingDPoP, Thumbprint: cnf.JWKThumbprint}
	case certificate:
		tok.Binding = verifier.Binding{Kind: verifier.BindingMTLS, Thumbprint: cnf.CertificateThumbprint}
	}
	if !key || p.burned {
		return nil
	}
	err = p.proof.Burn(ctx)
	p.burned = err == nil
	return err
}

// again confirms a token that an application's verifier is about to accept, or returned,
// and refuses one of which a binding is left unverified.
func (p *presentation) again(ctx context.Context, tok *verifier.Token) error {
	tok.Binding = verifier.Binding{}
	if err := p.confirm(ctx, tok); err != nil {
		return err
	}
	cnf := tok.Confirmation
	if cnf.JWKThumbprint != "" && !tok.Binding.Key() || cnf.CertificateThumbprint != "" && !tok.Binding.Certificate() {
		return unproved(binding.ErrNoProof)
	}
	return nil
}

func unproved(cause error) error {
	return &verifier.Error{Class: verifier.ErrBinding, Cause: cause}
}

// key checks that the client holds the key with this thumbprint. A token that is bound to
// a key and comes as a bearer token is refused, whatever proof lies beside it (RFC 9449
// §7.2); one that is not bound to a key is not for the scheme DPoP (§7.1).
func (p *presentation) key(ctx context.Context, thumbprint string) (verified bool, err error) {
	switch {
	case p.guard.cfg.DPoP == nil:
		return false, nil
	case p.by != schemeDPoP && thumbprint != "":
		return false, unproved(binding.ErrNoProof)
	case p.by != schemeDPoP:
		return false, nil
	case thumbprint == "":
		return false, unproved(binding.ErrKey)
	}
	if p.proof == nil {
		if p.proof, err = p.guard.cfg.DPoP.Check(ctx, p.values()); err != nil {
			return false, err
		}
	}
	if !p.proof.Matches(thumbprint) {
		return false, unproved(binding.ErrKey)
	}
	return true, nil
}

// values are what the proof is checked against. The target is the one that the client
// sent, which routers and prefixes leave alone (RFC 9449 §4.3 (9)).
func (p *presentation) values() dpop.Request {
	r := p.request
	target := r.RequestURI
	if target == "" && r.URL != nil { // no server made this request
		target = r.URL.EscapedPath()
	}
	return dpop.Request{Method: r.Method, Host: r.Host, Target: target, Proofs: r.Header["Dpop"], Token: p.raw}
}

// certificate checks that the client presented the certificate with this thumbprint
// (RFC 8705 §3).
func (p *presentation) certificate(thumbprint string) (verified bool, err error) {
	source := p.guard.cfg.ClientCertificates
	if source == nil || thumbprint == "" {
		return false, nil
	}
	der := source.of(p.request)
	if der == nil {
		return false, unproved(binding.ErrCertificate)
	}
	if subtle.ConstantTimeCompare([]byte(mtls.Thumbprint(der)), []byte(thumbprint)) != 1 {
		return false, unproved(binding.ErrCertificate)
	}
	return true, nil
}

// describe sets what the response to an accepted request must say: a new nonce in good
// time (RFC 9449 §8.2), and what the decision depended on (RFC 9440 §2.4).
func (p *presentation) describe(h http.Header) {
	if p == nil {
		return
	}
	if p.proof != nil && p.proof.NonceOld() {
		setNonce(h, p.guard.cfg.DPoP)
		h["Cache-Control"] = []string{"no-store"}
	}
	if source := p.guard.cfg.ClientCertificates; source != nil {
		if name := source.Header.Name(); name != "" {
			h.Add("Vary", name)
		}
	}
}
