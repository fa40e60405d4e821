// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/coreos/go-oidc/v3/oidc"
)

// newGoOIDC reads none of the private claims, for which go-oidc parses once more. It
// fetches the keys when the first token comes. It has no HS256.
func newGoOIDC(c setup) (func(raw string) error, error) {
	ctx := oidc.ClientContext(context.Background(), c.client())
	v := oidc.NewVerifier(c.issuer, oidc.NewRemoteKeySet(ctx, c.keysURL()), &oidc.Config{
		ClientID:             c.audience,
		SupportedSigningAlgs: []string{c.alg},
	})
	return func(raw string) error {
		_, err := v.Verify(ctx, raw)
		return err
	}, nil
}
