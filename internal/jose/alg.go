// SPDX-License-Identifier: Apache-2.0

package jose

import "crypto"

// family is the signature scheme of an algorithm; together with the curve it
// fixes the one kind of key that serves it (RFC 7518 §3.1, RFC 8037 §3.1).
type family uint8

const (
	pkcs1 family = iota + 1 // RSASSA-PKCS1-v1_5, RFC 7518 §3.3
	pss                     // RSASSA-PSS, RFC 7518 §3.5
	ec                      // ECDSA, RFC 7518 §3.4
	eddsa                   // Ed25519 only, RFC 8037 §3.1
	mac                     // HMAC, RFC 7518 §3.2
)

type algorithm struct {
	name   string
	family family
	hash   crypto.Hash
	curve  string // crv of the key, ECDSA only
}

// asymmetric is what a verifier allows unless told otherwise. EdDSA is the
// polymorphic name of RFC 8037, Ed25519 its replacement in RFC 9864 §2.2; here
// both mean Ed25519. "none", ES256K, Ed448 and the COSE-only names are not in
// any table, so nothing can allow them.
var asymmetric = []algorithm{
	{name: "RS256", family: pkcs1, hash: crypto.SHA256},
	{name: "RS384", family: pkcs1, hash: crypto.SHA384},
	{name: "RS512", family: pkcs1, hash: crypto.SHA512},
	{name: "PS256", family: pss, hash: crypto.SHA256},
	{name: "PS384", family: pss, hash: crypto.SHA384},
	{name: "PS512", family: pss, hash: crypto.SHA512},
	{name: "ES256", family: ec, hash: crypto.SHA256, curve: "P-256"},
	{name: "ES384", family: ec, hash: crypto.SHA384, curve: "P-384"},
	{name: "ES512", family: ec, hash: crypto.SHA512, curve: "P-521"},
	{name: "EdDSA", family: eddsa},
	{name: "Ed25519", family: eddsa},
}

// symmetric serves local secrets only (RFC 8725 §2.1).
var symmetric = []algorithm{
	{name: "HS256", family: mac, hash: crypto.SHA256},
	{name: "HS384", family: mac, hash: crypto.SHA384},
	{name: "HS512", family: mac, hash: crypto.SHA512},
}

// lookup compares byte for byte (RFC 7515 §4.1.1: alg is case-sensitive).
func lookup(name string) (algorithm, bool) {
	for i := range asymmetric {
		if asymmetric[i].name == name {
			return asymmetric[i], true
		}
	}
	for i := range symmetric {
		if symmetric[i].name == name {
			return symmetric[i], true
		}
	}
	return algorithm{}, false
}

// DefaultAlgorithms returns the asymmetric algorithms, RS256 first, as a new
// slice (RFC 9068 §2.1, RFC 8725 §3.1).
func DefaultAlgorithms() []string {
	names := make([]string, len(asymmetric))
	for i, a := range asymmetric {
		names[i] = a.name
	}
	return names
}

// HMAC reports whether alg is HS256, HS384 or HS512.
func HMAC(alg string) bool {
	a, ok := lookup(alg)
	return ok && a.family == mac
}
