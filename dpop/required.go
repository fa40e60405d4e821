// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"github.com/bearerguard/bearerguard/internal/binding"
	"github.com/bearerguard/bearerguard/verifier"
)

// Required is a rule: the request proved possession of the key the token is bound to
// (RFC 9449). The refusal is [verifier.ErrBinding].
func Required() verifier.Requirement { return required{} }

type required struct{}

func (required) Check(t *verifier.Token) error {
	if !t.Binding.Key() {
		return &verifier.Error{Class: verifier.ErrBinding, Cause: binding.ErrUnconstrained}
	}
	return nil
}
