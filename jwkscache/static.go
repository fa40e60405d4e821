// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

var _ verifier.KeySource = (*Static)(nil)

// Static is a fixed set of public keys that the application was given: no network,
// no refresh. A key without kid is tried whatever kid a token names. It is
// immutable and safe for concurrent use. The zero value and nil refuse with
// [verifier.ErrConfig].
type Static struct{ set *verifier.KeySet }

// NewStatic reads a JWK Set (RFC 7517 §5) of public keys. Keys that cannot be used
// are skipped as in a fetched set, but one of them must be usable, and none may
// carry private members: these have no place in a resource server's configuration.
// The error is of class [verifier.ErrConfig].
func NewStatic(jwks []byte) (*Static, error) {
	set, skipped, err := verifier.ParseKeySet(jwks)
	if err != nil {
		return nil, refuse(fmt.Errorf("jwks: %w: give a JSON object with an array \"keys\"", err))
	}
	var private []error
	for _, note := range skipped {
		if errors.Is(note, verifier.ErrPrivateKey) {
			private = append(private, fmt.Errorf("jwks: %w: give only the public members", note))
		}
	}
	if len(private) > 0 {
		return nil, refuse(private...)
	}
	if set.Len() == 0 {
		return nil, refuse(append(skipped, errors.New("jwks: no usable key: give at least one public key"))...)
	}
	return &Static{set: set.Local()}, nil
}

func refuse(reasons ...error) error {
	return &verifier.Error{Class: verifier.ErrConfig, Cause: errors.Join(reasons...)}
}

// NewStaticPEM reads one public key in PEM form (RFC 7468), a PUBLIC KEY or an RSA
// PUBLIC KEY block and nothing else but white space around it. The error is of
// class [verifier.ErrConfig].
func NewStaticPEM(text []byte) (*Static, error) {
	doc, err := setOfPEM(text)
	if err != nil {
		return nil, refuse(err)
	}
	return NewStatic(doc)
}

// setOfPEM returns the key set that holds the one key of text.
func setOfPEM(text []byte) ([]byte, error) {
	pub, err := publicKey(text)
	if err != nil {
		return nil, fmt.Errorf("pem: %w", err)
	}
	jwk, err := jose.PublicJWK(pub, nil)
	if err != nil {
		return nil, fmt.Errorf("pem: %w: give an RSA, EC or Ed25519 key", err)
	}
	doc, err := json.Marshal(map[string][]json.RawMessage{"keys": {jwk}})
	if err != nil {
		return nil, fmt.Errorf("pem: %w", err)
	}
	return doc, nil
}

func publicKey(text []byte) (crypto.PublicKey, error) {
	text = bytes.TrimSpace(text)
	if !bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		return nil, errors.New("does not begin with a PEM block: give one PUBLIC KEY block alone")
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("not a PEM block: give one PUBLIC KEY block")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("something follows the first PEM block: give one PUBLIC KEY block alone")
	case len(block.Headers) > 0:
		return nil, errors.New("the PEM block has headers: give a plain PUBLIC KEY block")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, errors.New("a private key: give the public key, and keep the private one at the issuer")
	}
	switch block.Type {
	case "PUBLIC KEY":
		return parsed(x509.ParsePKIXPublicKey(block.Bytes))
	case "RSA PUBLIC KEY":
		return parsed(x509.ParsePKCS1PublicKey(block.Bytes))
	}
	return nil, errors.New("not a public key: give a PUBLIC KEY or RSA PUBLIC KEY block (a certificate's by openssl x509 -pubkey)")
}

// parsed does not pass on the parser's own text.
func parsed[K any](key K, err error) (crypto.PublicKey, error) {
	if err != nil {
		return nil, errors.New("the PEM block holds no public key: export it again")
	}
	return key, nil
}

// Keys returns the set. It never waits, and a miss changes nothing.
func (s *Static) Keys(context.Context, *verifier.Miss) (*verifier.KeySet, error) {
	if s == nil || s.set == nil {
		return nil, unconstructed("Static", "NewStatic")
	}
	return s.set, nil
}

// KeySet returns the set, so that verifier.New can check it against the allowed
// algorithms. It is nil for the zero value.
func (s *Static) KeySet() *verifier.KeySet {
	if s == nil {
		return nil
	}
	return s.set
}
