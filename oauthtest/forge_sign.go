// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// signer signs a token. alg is what the header says; kid is "" for that of the issuer.
type signer struct {
	alg, kid string
	sign     func(input string) ([]byte, error)
}

// signer returns the signing variant of a recipe (docs/attack-catalogue.md).
func (m *making) signer(name, alg string) (signer, error) {
	kind, what, _ := strings.Cut(name, ":")
	issuers := m.f.server.cfg.Algorithm
	switch kind {
	case "":
		return m.with(cmp.Or(alg, issuers), m.draft.key), nil
	case "none":
		return signer{alg: "none", sign: func(string) ([]byte, error) { return nil, nil }}, nil
	case "random":
		return signer{alg: cmp.Or(alg, issuers), sign: func(string) ([]byte, error) { return m.octets(), nil }}, nil
	case "attacker":
		key, err := foreignKey(cmp.Or(alg, issuers))
		return m.with(cmp.Or(alg, issuers), key), err
	case "hmac":
		secret, err := m.guessed(what)
		return m.with(cmp.Or(alg, "HS256"), secret), err
	case "rsa", "pss":
		return m.unusual(kind, what, cmp.Or(alg, issuers))
	case "key":
		return m.f.badKeySigner(what, alg)
	}
	return signer{}, fmt.Errorf("no signing variant %q", name)
}

func (m *making) with(alg string, key any) signer {
	return signer{alg: alg, sign: func(input string) ([]byte, error) { return jose.Sign(alg, key, input) }}
}

// octets are as many random ones as the issuer's signatures have.
func (m *making) octets() []byte {
	b := make([]byte, m.f.signatureSize())
	rand.Read(b) // never fails
	return b
}

// attackerJWK is the public half, under a kid unless it is "".
func (m *making) attackerJWK(kid string) (json.RawMessage, error) {
	alg := m.f.server.cfg.Algorithm
	if jose.HMAC(alg) {
		alg = "ES256"
	}
	key, err := spare.forger(alg)
	if err != nil {
		return nil, err
	}
	extra := map[string]any{"alg": alg, "use": "sig"}
	if kid != "" {
		extra["kid"] = kid
	}
	return jose.PublicJWK(key.Public(), extra)
}

// canary returns the key set that the server is to serve below /canary/ on the origin of
// the issuer: the attacker's, so that a token whose address was followed would verify.
func (f *forgery) canary() ([]byte, error) {
	m, err := f.begin(nil)
	if err != nil {
		return nil, err
	}
	jwk, err := m.attackerJWK(m.kid())
	return []byte(`{"keys":[` + string(jwk) + `]}`), err
}

// attackerCertificate is always the same, so that a thumbprint in a token fits a
// certificate beside it.
func (m *making) attackerCertificate() ([]byte, error) {
	m.f.certified.Do(func() { m.f.cert, m.f.certError = m.certify() })
	return m.f.cert, m.f.certError
}

// certify makes a certificate that is self-signed and names the issuer's host: whoever
// looks at the name alone must take it.
func (m *making) certify() ([]byte, error) {
	alg := m.f.server.cfg.Algorithm
	if jose.HMAC(alg) {
		alg = "ES256"
	}
	key, err := spare.forger(alg)
	if err != nil {
		return nil, err
	}
	host, err := m.text("host")
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: m.draft.now.Add(-time.Hour), NotAfter: m.draft.now.AddDate(1, 0, 0),
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// guessed returns what a server may take for the HMAC secret that it does not have: its
// public key in some form, or what an unset variable turns into.
func (m *making) guessed(what string) ([]byte, error) {
	if text, ok := strings.CutPrefix(what, "text:"); ok {
		return []byte(text), nil
	}
	switch what {
	case "empty":
		return []byte{}, nil
	case "nul":
		return []byte{0}, nil
	case "kid":
		return []byte(m.kid()), nil
	case "jwk":
		return jose.PublicJWK(m.public(), map[string]any{"kid": m.kid(), "alg": m.f.server.cfg.Algorithm, "use": "sig"})
	case "raw":
		return rawPublic(m.public())
	}
	return encodedPublic(what, m.public())
}

// rawPublic is the number or point itself.
func rawPublic(pub crypto.PublicKey) ([]byte, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return pub.N.Bytes(), nil
	case *ecdsa.PublicKey:
		return pub.Bytes()
	case ed25519.PublicKey:
		return pub, nil
	}
	return nil, fmt.Errorf("a key of type %T has no octets to publish", pub)
}

// encodedPublic is the key as files hold it.
func encodedPublic(what string, pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	switch what {
	case "der":
		return der, nil
	case "pem":
		return []byte(text), nil
	case "pem-bare":
		return []byte(strings.TrimSuffix(text, "\n")), nil
	case "pem-crlf":
		return []byte(strings.ReplaceAll(text, "\n", "\r\n")), nil
	case "pkcs1":
		if key, ok := pub.(*rsa.PublicKey); ok {
			return pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(key)}), nil
		}
	}
	return nil, fmt.Errorf("no form %q of a key of type %T", what, pub)
}
