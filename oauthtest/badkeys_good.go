// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"slices"
	"sync"
	"time"
)

// goodKeyRecipes are keys that a verifier must use, whatever stands beside them in the set.
// They are for the issuer's algorithm: an API need not allow any other.
var goodKeyRecipes = []struct {
	name string
	make func(kid, alg string) (badKey, error)
}{
	{"same-kid-other-type", sameKidOtherType},
	{"same-kid-other-type-behind", reversed(sameKidOtherType)},
	{"same-kid-same-type", sameKidSameType},
	{"same-kid-same-type-behind", reversed(sameKidSameType)},
	{"x5c-of-another", foreignCertificate},
}

// goodKeyNamed makes a key for an algorithm, always of the same private key.
func goodKeyNamed(name, alg string) (k badKey, found bool, err error) {
	for _, r := range goodKeyRecipes {
		if r.name == name {
			k, err = r.make(hostileID(name), alg)
			return k, true, err
		}
	}
	return badKey{}, false, nil
}

// goodPairs are two keys for each family, made when first needed: only their kids differ
// from recipe to recipe.
var goodPairs = struct {
	sync.Mutex
	of map[string][]crypto.Signer
}{of: map[string][]crypto.Signer{}}

func goodPair(alg string) ([]crypto.Signer, error) {
	f, err := family(alg)
	if err != nil {
		return nil, err
	}
	goodPairs.Lock()
	defer goodPairs.Unlock()
	for len(goodPairs.of[f]) < 2 {
		key, err := generate(f)
		if err != nil {
			return nil, err
		}
		goodPairs.of[f] = append(goodPairs.of[f], key)
	}
	return goodPairs.of[f], nil
}

// twoKeys publishes the second key of one algorithm before the first of another, which
// signs.
func twoKeys(kid, beside, alg string) (badKey, error) {
	others, err := goodPair(beside)
	if err != nil {
		return badKey{}, err
	}
	other, err := publicJWK(others[1], map[string]any{"kid": kid, "alg": beside})
	if err != nil {
		return badKey{}, err
	}
	k, err := oneKey(kid, alg, nil)
	if err != nil {
		return badKey{}, err
	}
	text, err := marshal(other)
	k.jwks = slices.Insert(k.jwks, 0, []byte(text))
	return k, err
}

func oneKey(kid, alg string, members map[string]any) (badKey, error) {
	pair, err := goodPair(alg)
	if err != nil {
		return badKey{}, err
	}
	extra := map[string]any{"kid": kid, "alg": alg}
	for name, v := range members {
		extra[name] = v
	}
	jwk, err := publicJWK(pair[0], extra)
	if err != nil {
		return badKey{}, err
	}
	return ordinary(kid, alg, pair[0], jwk)
}

func sameKidOtherType(kid, alg string) (badKey, error) {
	if alg == "ES512" {
		return twoKeys(kid, "ES384", alg)
	}
	return twoKeys(kid, "ES512", alg)
}

func sameKidSameType(kid, alg string) (badKey, error) { return twoKeys(kid, alg, alg) }

// reversed publishes the same keys in the other order.
func reversed(make func(kid, alg string) (badKey, error)) func(kid, alg string) (badKey, error) {
	return func(kid, alg string) (badKey, error) {
		k, err := make(kid, alg)
		slices.Reverse(k.jwks)
		return k, err
	}
}

// foreignCertificate has a certificate of another key beside its own numbers.
func foreignCertificate(kid, alg string) (badKey, error) {
	cert, err := expiredCertificate()
	if err != nil {
		return badKey{}, err
	}
	return oneKey(kid, alg, map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(cert)}})
}

var expiredCertificate = sync.OnceValues(func() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1, 0)}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
})
