// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"errors"
	"slices"
)

// ringSize and firstSightEntries: a token of the ring has left a cache of so many
// entries long before it comes again.
const (
	ringSize          = 1024
	firstSightEntries = 512
)

// contender is an implementation that judges tokens.
type contender struct {
	name string
	// signatureOnly: it judges no claim, and has one key whatever kid the token names.
	signatureOnly bool
	// without are algorithms that it cannot do.
	without []string
	make    func(setup) (func(*token) error, error)
}

func (c contender) can(alg string) bool { return !slices.Contains(c.without, alg) }

// firstSight are those that see each token for the first time.
var firstSight = []contender{
	{name: "crypto", signatureOnly: true, make: bare},
	{name: "stdlib", make: whole(newStdlib)},
	{name: "bearerguard", make: cached(firstSightEntries)},
	{name: "bearerguard-nocache", make: cached(-1)},
	{name: "jwx-parse", make: whole(newJWXParse)},
	{name: "jwx-verify", signatureOnly: true, make: whole(newJWXVerify)},
	{name: "golang-jwt", make: whole(newGolangJWT)},
	{name: "go-jose", make: whole(newGoJose)},
	{name: "go-oidc", without: []string{hs256}, make: whole(newGoOIDC)}, // OpenID Connect has public keys only
	{name: "auth0", make: whole(newAuth0)},
}

// seenBefore are those that get the same tokens again and again: this library with
// the cache it has by default, and the fastest of the others. What finds a token by its
// digest takes at least as long as the first of them.
var seenBefore = []contender{
	{name: "digest", signatureOnly: true, make: digested},
	{name: "crypto", signatureOnly: true, make: bare},
	{name: "stdlib", make: whole(newStdlib)},
	{name: "bearerguard", make: cached(0)},
	{name: "golang-jwt", make: whole(newGolangJWT)},
	{name: "go-jose", make: whole(newGoJose)},
}

// whole gives an implementation the token as it was sent.
func whole(make func(setup) (func(raw string) error, error)) func(setup) (func(*token) error, error) {
	return func(c setup) (func(*token) error, error) {
		check, err := make(c)
		if err != nil {
			return nil, err
		}
		return func(t *token) error { return check(t.raw) }, nil
	}
}

func cached(entries int) func(setup) (func(*token) error, error) {
	return whole(func(c setup) (func(raw string) error, error) { return checkBearerguard(c, entries) })
}

// digested hashes tokens, and accepts them all but the impossible one.
func digested(setup) (func(*token) error, error) {
	return func(t *token) error {
		if sha256.Sum256(t.bytes) == [sha256.Size]byte{} {
			return errors.New("no digest")
		}
		return nil
	}, nil
}

// bare gives the standard library the decoded signature.
func bare(c setup) (func(*token) error, error) {
	key, err := c.key()
	if err != nil {
		return nil, err
	}
	check, err := newCrypto(c.alg, key)
	if err != nil {
		return nil, err
	}
	return func(t *token) error { return check(t.input, t.native) }, nil
}
