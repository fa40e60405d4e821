// SPDX-License-Identifier: Apache-2.0

package mtls

import (
	"github.com/bearerguard/bearerguard/internal/binding"
	"github.com/bearerguard/bearerguard/verifier"
)

// Required is a rule: the client presented the certificate that the token is bound to
// (RFC 8705 §3). The refusal is [verifier.ErrBinding].
func Required() verifier.Requirement { return required{} }

type required struct{}

func (required) Check(t *verifier.Token) error {
	if !t.Binding.Certificate() {
		return &verifier.Error{Class: verifier.ErrBinding, Cause: binding.ErrUnconstrained}
	}
	return nil
}
