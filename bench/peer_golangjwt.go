// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// scopedClaims are the registered claims and the scope, in a struct: a map would be
// slower.
type scopedClaims struct {
	Scope string `json:"scope"`
	jwt.RegisteredClaims
}

// golangJWT parses tokens with keys that keyfunc holds in memory.
type golangJWT struct {
	parser *jwt.Parser
	keys   keyfunc.Keyfunc
}

func makeGolangJWT(c setup) (*golangJWT, error) {
	keys, err := keyfunc.NewJWKSetJSON(c.keys)
	if err != nil {
		return nil, err
	}
	return &golangJWT{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{c.alg}),
		jwt.WithIssuer(c.issuer),
		jwt.WithAudience(c.audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway),
	)}, nil
}

func (g *golangJWT) parse(ctx context.Context, raw string) (*jwt.Token, error) {
	return g.parser.ParseWithClaims(raw, new(scopedClaims), g.keys.KeyfuncCtx(ctx))
}

func newGolangJWT(c setup) (func(raw string) error, error) {
	g, err := makeGolangJWT(c)
	if err != nil {
		return nil, err
	}
	return func(raw string) error {
		_, err := g.parse(context.Background(), raw)
		return err
	}, nil
}
