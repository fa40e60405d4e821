// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// signingKey is a private key with its kid and its public JWK.
type signingKey struct {
	id      string
	private crypto.Signer
	jwk     []byte
}

// serial numbers the kids of the process. A key serves again after its server is
// closed, but never under the same kid, so that no later server takes old tokens.
var serial atomic.Int64

// newSigningKey takes a key that no other open server has.
func newSigningKey(alg string) (*signingKey, error) {
	private, err := spare.take(alg)
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("key-%d", serial.Add(1))
	jwk, err := jose.PublicJWK(private.Public(), map[string]any{"kid": id, "alg": alg, "use": "sig"})
	if err != nil {
		return nil, fmt.Errorf("oauthtest: make JWK: %w", err)
	}
	return &signingKey{id: id, private: private, jwk: jwk}, nil
}

// family names the kind of key that alg signs with.
func family(alg string) (string, error) {
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return "RSA", nil
	case "ES256", "ES384", "ES512":
		return alg, nil
	case "EdDSA", "Ed25519":
		return "Ed25519", nil
	}
	return "", fmt.Errorf("%q is not a signature algorithm with a public key; for HS256, HS384 and HS512 use verifier.NewSymmetric", alg)
}

func generate(family string) (crypto.Signer, error) {
	switch family {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "Ed25519":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// spare keeps the keys of closed servers: making an RSA key takes longer than most
// tests. Servers that are open at the same time never share one.
var spare = keyring{free: map[string][]crypto.Signer{}, forging: map[string]crypto.Signer{}}

type keyring struct {
	mu      sync.Mutex
	free    map[string][]crypto.Signer
	forging map[string]crypto.Signer
}

func (r *keyring) take(alg string) (crypto.Signer, error) {
	f, err := family(alg)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	if n := len(r.free[f]); n > 0 {
		defer r.mu.Unlock()
		key := r.free[f][n-1]
		r.free[f] = r.free[f][:n-1]
		return key, nil
	}
	r.mu.Unlock()
	return generate(f)
}

func (r *keyring) giveBack(alg string, keys []crypto.Signer) {
	f, _ := family(alg)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free[f] = append(r.free[f], keys...)
}

// forger returns the one key per family that no server ever publishes.
func (r *keyring) forger(alg string) (crypto.Signer, error) {
	f, err := family(alg)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forging[f] == nil {
		if r.forging[f], err = generate(f); err != nil {
			return nil, err
		}
	}
	return r.forging[f], nil
}
