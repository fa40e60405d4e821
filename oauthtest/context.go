// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"

	"github.com/bearerguard/bearerguard/internal/ctxkey"
	"github.com/bearerguard/bearerguard/verifier"
)

// WithToken returns a context in which middleware.TokenFrom finds tok, as behind a
// guard: for tests of handler logic without any HTTP. nil stands for an anonymous
// request that a guard let pass. No guard accepts such a token.
func WithToken(ctx context.Context, tok *verifier.Token) context.Context {
	if tok == nil {
		return ctxkey.Put(ctx, &ctxkey.State{})
	}
	return ctxkey.Put(ctx, &ctxkey.State{Token: tok})
}
