// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// NewSecret makes a key for HS256, HS384 or HS512 of a locally configured secret
// of at least 32, 48 or 64 bytes (RFC 7518 §3.2), and keeps a copy of it. kid ""
// means no kid. What reads as a PEM block, a JWK or JWK set, a DER key or a
// certificate is refused, also in base64: such a secret is a public key put in
// the wrong place, which every attacker has.
func NewSecret(kid string, alg string, secret []byte) (*Key, error) {
	a, ok := lookup(alg)
	if !ok || a.family != mac {
		return nil, errors.New("the algorithm of a secret is HS256, HS384 or HS512")
	}
	if need := a.hash.Size(); len(secret) < need {
		return nil, fmt.Errorf("the secret has %d bytes; %s needs at least %d", len(secret), alg, need)
	}
	if what := keyFile(secret); what != "" {
		return nil, fmt.Errorf("the secret is %s; use random bytes", what)
	}
	return &Key{ID: kid, HasID: kid != "", Algorithm: alg, hasAlgorithm: true, secret: bytes.Clone(secret)}, nil
}

// keyFile names the key format that secret is written in, "" if none.
func keyFile(secret []byte) string {
	if what := plainKeyFile(secret); what != "" {
		return what
	}
	bare := bytes.Join(bytes.Fields(secret), nil) // such text may be wrapped
	bare = bytes.TrimRight(bare, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if der, err := enc.DecodeString(string(bare)); err == nil && plainKeyFile(der) != "" {
			return plainKeyFile(der) + " in base64"
		}
	}
	return ""
}

func plainKeyFile(b []byte) string {
	switch {
	case bytes.Contains(b, []byte("-----BEGIN ")):
		return "a PEM file"
	case isJWK(b):
		return "a JWK"
	case isDER(b):
		return "a DER key or certificate"
	}
	return ""
}

// isJWK is lenient on purpose: also a document with faults is no secret.
func isJWK(b []byte) bool {
	var jwk struct {
		Kty  json.RawMessage `json:"kty"`
		Keys json.RawMessage `json:"keys"`
	}
	return json.Unmarshal(b, &jwk) == nil && (jwk.Kty != nil || jwk.Keys != nil)
}

func isDER(b []byte) bool {
	if len(b) == 0 || b[0] != 0x30 { // every form below is one ASN.1 SEQUENCE
		return false
	}
	for _, parse := range []func([]byte) error{
		drop(x509.ParsePKIXPublicKey), drop(x509.ParsePKCS1PublicKey), drop(x509.ParseCertificate),
		drop(x509.ParsePKCS8PrivateKey), drop(x509.ParsePKCS1PrivateKey), drop(x509.ParseECPrivateKey),
	} {
		if parse(b) == nil {
			return true
		}
	}
	return false
}

func drop[T any](parse func([]byte) (T, error)) func([]byte) error {
	return func(b []byte) error {
		_, err := parse(b)
		return err
	}
}
