// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/url"

	"github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/auth0/go-jwt-middleware/v3/validator"
)

// auth0Claims are the private claims that a handler of auth0's middleware reads.
type auth0Claims struct {
	Scope string `json:"scope"`
}

// Validate finds nothing to object to: the scope is the route's business.
func (*auth0Claims) Validate(context.Context) error { return nil }

// makeAuth0 makes a validator whose keys are fetched when the first token comes.
// Private claims cost it a second parse: it reads them only if more asks for it.
func makeAuth0(c setup, more ...validator.Option) (*validator.Validator, error) {
	issuer, err := url.Parse(c.issuer)
	if err != nil {
		return nil, err
	}
	keys, err := url.Parse(c.keysURL())
	if err != nil {
		return nil, err
	}
	provider, err := jwks.NewCachingProvider(
		jwks.WithIssuerURL(issuer),
		jwks.WithCustomJWKSURI(keys),
		jwks.WithCustomClient(c.client()),
	)
	if err != nil {
		return nil, err
	}
	return validator.New(append([]validator.Option{
		validator.WithKeyFunc(provider.KeyFunc),
		validator.WithAlgorithm(validator.SignatureAlgorithm(c.alg)),
		validator.WithIssuer(c.issuer),
		validator.WithAudience(c.audience),
		validator.WithAllowedClockSkew(leeway),
	}, more...)...)
}

func newAuth0(c setup) (func(raw string) error, error) {
	v, err := makeAuth0(c)
	if err != nil {
		return nil, err
	}
	return func(raw string) error {
		_, err := v.ValidateToken(context.Background(), raw)
		return err
	}, nil
}
