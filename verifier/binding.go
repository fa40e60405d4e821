// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"

	"github.com/bearerguard/bearerguard/internal/binding"
)

// The kinds of [Binding].
const (
	// BindingDPoP: the client proved possession of the key of cnf.jkt (RFC 9449).
	BindingDPoP = "dpop"
	// BindingMTLS: the client presented the certificate of cnf.x5t#S256 (RFC 8705).
	BindingMTLS = "mtls"
	// BindingBoth: both, for a token that is bound by both. Thumbprint is that of the key.
	BindingBoth = "dpop+mtls"
)

// Binding is a sender constraint that was verified for one request.
type Binding struct {
	// Kind is BindingDPoP, BindingMTLS or BindingBoth; "" means that none was verified.
	Kind string
	// Thumbprint is the verified key's SHA-256, or without a key the certificate's, as
	// 32 raw bytes.
	Thumbprint string
}

// Key reports whether possession of the key of cnf.jkt was proved.
func (b Binding) Key() bool { return b.Kind == BindingDPoP || b.Kind == BindingBoth }

// Certificate reports whether the certificate of cnf.x5t#S256 was presented.
func (b Binding) Certificate() bool { return b.Kind == BindingMTLS || b.Kind == BindingBoth }

// SenderConstrained is a rule: the token is bound to a key or a certificate, and the
// binding was verified for this request (RFC 9700 §2.2.1). The refusal is [ErrBinding].
// Packages dpop and mtls have a rule each for one kind.
func SenderConstrained() Requirement { return senderConstrained{} }

type senderConstrained struct{}

func (senderConstrained) Check(t *Token) error {
	if t.Binding.Kind == "" {
		return &Error{Class: ErrBinding, Cause: binding.ErrUnconstrained}
	}
	return nil
}

// bind is the sender-constraint step. A cnf that is not understood is refused
// rather than ignored: the issuer meant to bind the token to something. unsafe is
// Config.UnsafeAcceptUnverifiedBinding.
func (t *Token) bind(ctx context.Context, confirm func(context.Context, *Token) error, unsafe bool) error {
	if t.faultyCnf {
		return fail(ErrBinding, "cnf has a malformed thumbprint")
	}
	if t.bound && t.Confirmation == (Confirmation{}) && !unsafe {
		return fail(ErrBinding, "cnf has no member that is understood")
	}
	if confirm != nil {
		view := t.clone() // deep, so that confirm can reach nothing of t
		if err := guarded("confirm", func() error { return confirm(ctx, view) }); err != nil {
			return classify(err, ErrInternal)
		}
		t.Binding = view.Binding
	}
	return t.checkBinding(unsafe)
}

// checkBinding refuses a token of which a binding was left unverified: each member of cnf
// that is understood must hold.
func (t *Token) checkBinding(unsafe bool) error {
	b, cnf := t.Binding, t.Confirmation
	if unsafe {
		return nil
	}
	if cnf.JWKThumbprint != "" && !b.Key() || cnf.CertificateThumbprint != "" && !b.Certificate() {
		return &Error{Class: ErrBinding, Cause: binding.ErrNoProof}
	}
	return nil
}
