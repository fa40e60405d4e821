// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"net/http"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

func bearerguard(keys *jwkscache.Cache, issuer, audience, scope string, next http.Handler) (http.Handler, error) {
	v, err := verifier.New(verifier.Config{
		Issuer:     issuer,
		Audience:   []string{audience},
		Keys:       keys,
		Algorithms: []string{"RS256"},
		Profile:    verifier.ProfileJWT,
	})
	if err != nil {
		return nil, err
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		return nil, err
	}
	return nethttp.Require(g, scopes.All(scope))(next), nil
}
