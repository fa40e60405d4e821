// SPDX-License-Identifier: Apache-2.0

// Package jose turns JSON Web Keys into checked keys and checks signatures with
// them. It is the only package that knows the JOSE library; none of that
// library's types leave it. Signatures are checked with the standard library
// alone, with the parameters of RFC 7518 and RFC 8037 spelled out.
package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Key is one checked public key, or one local HMAC secret. It is immutable and
// safe for concurrent use; do not change its fields. The zero value fits nothing.
type Key struct {
	// ID is kid. HasID tells an empty kid from none (RFC 7517 §4.5).
	ID    string
	HasID bool
	// Algorithm is the alg of the JWK, "" if absent (RFC 7517 §4.4).
	Algorithm string
	// Use is the use of the JWK, "" if absent (RFC 7517 §4.2).
	Use string
	// Ops is key_ops; HasOps tells an empty list from none (RFC 7517 §4.3).
	Ops    []string
	HasOps bool
	// Issuer is the member issuer, by which a set for many tenants says whose key it
	// is; "" if absent or not a string. RFC 7517 §4 lets members be added.
	Issuer string
	// Private says that the JWK carried private members (RFC 7517 §9.2). Their
	// values were neither used nor kept.
	Private bool

	hasAlgorithm, hasUse bool

	public crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	secret []byte           // local secrets only; public is nil then
}

// Format prints nothing of the key, whatever the verb: it may be a secret.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "jose.Key") }

// Type names the kty, or the curve where there is one; "" for a secret.
func (k *Key) Type() string {
	switch pub := k.public.(type) {
	case *rsa.PublicKey:
		return "RSA"
	case *ecdsa.PublicKey:
		return pub.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return ""
}

// Fits reports whether the key may verify alg: its type and curve are those of
// alg (RFC 7518 §3.1, RFC 8037 §3.1), and its own alg, use and key_ops, as far as
// present, all permit it (RFC 7517 §4.2 to §4.4). nil fits nothing.
func (k *Key) Fits(alg string) bool {
	a, ok := lookup(alg)
	return ok && k.fits(a)
}

func (k *Key) fits(a algorithm) bool {
	return k != nil && k.permits(a) && k.matches(a)
}

// permits is the part of Fits that the JWK's own words decide.
func (k *Key) permits(a algorithm) bool {
	if k.hasUse && k.Use != "sig" {
		return false
	}
	if k.HasOps && !slices.Contains(k.Ops, "verify") {
		return false
	}
	if !k.hasAlgorithm || k.Algorithm == a.name {
		return true
	}
	// RFC 9864 §2.2 renames EdDSA for Ed25519 keys; issuers mix both names.
	own, ok := lookup(k.Algorithm)
	return ok && own.family == eddsa && a.family == eddsa
}

// matches is the part of Fits that the key material decides.
func (k *Key) matches(a algorithm) bool {
	switch pub := k.public.(type) {
	case *rsa.PublicKey:
		return a.family == pkcs1 || a.family == pss
	case *ecdsa.PublicKey:
		return a.family == ec && pub.Curve.Params().Name == a.curve
	case ed25519.PublicKey:
		return a.family == eddsa
	}
	return a.family == mac && len(k.secret) >= a.hash.Size()
}

// Same reports whether both keys have the same material, alg, use and key_ops;
// kid does not count. Secrets are compared in constant time.
func (k *Key) Same(o *Key) bool {
	if k == nil || o == nil {
		return k == o
	}
	return k.hasAlgorithm == o.hasAlgorithm && k.Algorithm == o.Algorithm &&
		k.hasUse == o.hasUse && k.Use == o.Use &&
		k.HasOps == o.HasOps && slices.Equal(k.Ops, o.Ops) && k.sameMaterial(o)
}

func (k *Key) sameMaterial(o *Key) bool {
	switch pub := k.public.(type) {
	case *rsa.PublicKey:
		return pub.Equal(o.public)
	case *ecdsa.PublicKey:
		return pub.Equal(o.public)
	case ed25519.PublicKey:
		other, ok := o.public.(ed25519.PublicKey)
		return ok && bytes.Equal(pub, other)
	}
	return o.public == nil && subtle.ConstantTimeCompare(k.secret, o.secret) == 1
}

// Public returns the *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey, to be
// read only; nil for a secret.
func (k *Key) Public() any { return k.public }

// Thumbprint returns the SHA-256 JWK thumbprint (RFC 7638 §3), computed from the
// canonical form of the key. A secret has none: the value could be guessed from it.
func (k *Key) Thumbprint() ([32]byte, error) {
	if k == nil || k.public == nil {
		return [32]byte{}, errors.New("only a public key has a thumbprint")
	}
	return thumbprint(k.public)
}

// PublicJWK returns the key as a JWK (RFC 7517 §4), of which [ParseKey] makes the same
// key again: the public members, and kid, alg, use, key_ops and issuer as far as the
// key has them. All other members are left out. A secret has no public form.
func (k *Key) PublicJWK() ([]byte, error) {
	if k == nil || k.public == nil {
		return nil, errors.New("only a public key has a public JWK")
	}
	extra := map[string]any{}
	for _, m := range []struct {
		name, value string
		has         bool
	}{
		{"kid", k.ID, k.HasID},
		{"alg", k.Algorithm, k.hasAlgorithm},
		{"use", k.Use, k.hasUse},
		{"issuer", k.Issuer, k.Issuer != ""},
	} {
		if m.has {
			extra[m.name] = m.value
		}
	}
	if k.HasOps {
		extra["key_ops"] = append([]string{}, k.Ops...) // an empty list, not null
	}
	return PublicJWK(k.public, extra)
}
