// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// newBearerguard is this library as its README sets it up: the strict profile, and
// keys that are fetched. entries is [verifier.Config.CacheEntries].
func newBearerguard(c setup, entries int) (*verifier.Verifier, error) {
	cfg := verifier.Config{Issuer: c.issuer, Audience: []string{c.audience}, CacheEntries: entries}
	if c.alg == hs256 {
		return newSymmetric(c, cfg)
	}
	keys, err := jwkscache.New(jwkscache.Config{URL: c.keysURL(), HTTPClient: c.client()})
	if err != nil {
		return nil, err
	}
	if err := keys.Warm(context.Background()); err != nil {
		return nil, err
	}
	cfg.Keys = keys
	return verifier.New(cfg)
}

func newSymmetric(c setup, cfg verifier.Config) (*verifier.Verifier, error) {
	keys, err := c.byID()
	if err != nil {
		return nil, err
	}
	var secrets []verifier.Secret
	for kid, key := range keys {
		value, _ := key.([]byte) // anything else is refused for being empty
		secrets = append(secrets, verifier.Secret{KeyID: kid, Algorithm: c.alg, Value: value})
	}
	return verifier.NewSymmetric(cfg, secrets...)
}

// checkBearerguard is newBearerguard without the token that it returns.
func checkBearerguard(c setup, entries int) (func(raw string) error, error) {
	v, err := newBearerguard(c, entries)
	if err != nil {
		return nil, err
	}
	return func(raw string) error {
		_, err := v.Verify(context.Background(), raw)
		return err
	}, nil
}
