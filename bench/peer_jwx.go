// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

func newJWXParse(c setup) (func(raw string) error, error) {
	set, err := jwk.Parse(c.keys)
	if err != nil {
		return nil, err
	}
	options := []jwt.ParseOption{
		jwt.WithKeySet(set),
		jwt.WithValidate(true),
		jwt.WithIssuer(c.issuer),
		jwt.WithAudience(c.audience),
		jwt.WithRequiredClaim(jwt.ExpirationKey),
		jwt.WithAcceptableSkew(leeway),
	}
	return func(raw string) error {
		_, err := jwt.Parse([]byte(raw), options...)
		return err
	}, nil
}

// newJWXVerify judges the signature alone. The key is one of the standard library,
// which jwx need not convert each time.
func newJWXVerify(c setup) (func(raw string) error, error) {
	key, err := c.key()
	if err != nil {
		return nil, err
	}
	option := jws.WithKey(jwa.SignatureAlgorithm(c.alg), key)
	return func(raw string) error {
		_, err := jws.Verify([]byte(raw), option)
		return err
	}, nil
}
