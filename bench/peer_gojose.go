// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func newGoJose(c setup) (func(raw string) error, error) {
	set := new(jose.JSONWebKeySet)
	if err := json.Unmarshal(c.keys, set); err != nil {
		return nil, err
	}
	allowed := []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.alg)}
	expected := jwt.Expected{Issuer: c.issuer, AnyAudience: jwt.Audience{c.audience}}
	return func(raw string) error {
		parsed, err := jwt.ParseSigned(raw, allowed)
		if err != nil {
			return err
		}
		var claims struct {
			Scope string `json:"scope"`
			jwt.Claims
		}
		if err := parsed.Claims(set, &claims); err != nil {
			return err
		}
		if claims.Expiry == nil {
			return errors.New("no exp, which go-jose does not ask for")
		}
		return claims.ValidateWithLeeway(expected, leeway)
	}, nil
}
