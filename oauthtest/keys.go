// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/jose"
)

// signingKey is a private key with its kid and its public JWK, or a secret.
type signingKey struct {
	id        string
	private   crypto.Signer
	secret    []byte // for HMAC, instead of private and jwk
	jwk       []byte
	published bool // guarded by the server
	own       bool // from Config.Key: no other server may have it
}

// signer is what jose.Sign takes.
func (k *signingKey) signer() any {
	if k.secret != nil {
		return k.secret
	}
	return k.private
}

// serial numbers the kids of the process. A key serves again after its server is
// closed, but never under the same kid, so that no later server takes old tokens.
var serial atomic.Int64

// newSigningKey takes a key that no other open server has.
func newSigningKey(alg string) (*signingKey, error) {
	id := fmt.Sprintf("key-%d", serial.Add(1))
	if jose.HMAC(alg) {
		return &signingKey{id: id, secret: newSecret(alg)}, nil
	}
	private, err := spare.take(alg)
	if err != nil {
		return nil, err
	}
	return describe(id, alg, private)
}

func describe(id, alg string, private crypto.Signer) (*signingKey, error) {
	jwk, err := jose.PublicJWK(private.Public(), map[string]any{"kid": id, "alg": alg, "use": "sig"})
	if err != nil {
		return nil, fmt.Errorf("oauthtest: make JWK: %w", err)
	}
	return &signingKey{id: id, private: private, jwk: jwk}, nil
}

// firstKey is Config.Key, under its thumbprint (RFC 7638), or a new one.
func firstKey(cfg Config) (*signingKey, error) {
	if cfg.Key == nil {
		key, err := newSigningKey(cfg.Algorithm)
		if err != nil {
			return nil, err
		}
		key.published = key.jwk != nil
		return key, nil
	}
	parsed, err := parsePublic(cfg.Key)
	if err != nil {
		return nil, err
	}
	sum, err := parsed.Thumbprint()
	if err != nil {
		return nil, fmt.Errorf("oauthtest: Key: %w", err)
	}
	key, err := describe(base64.RawURLEncoding.EncodeToString(sum[:]), cfg.Algorithm, cfg.Key)
	if err != nil {
		return nil, err
	}
	key.published, key.own = true, true
	return key, nil
}

func parsePublic(private crypto.Signer) (*jose.Key, error) {
	jwk, err := jose.PublicJWK(private.Public(), nil)
	if err != nil {
		return nil, fmt.Errorf("oauthtest: Key: %w", err)
	}
	key, err := jose.ParseKey(jwk)
	if err != nil {
		return nil, fmt.Errorf("oauthtest: Key cannot sign what a verifier accepts: %w", err)
	}
	return key, nil
}

// checkKey: a key of the wrong kind would show only when the first token is refused.
func (c Config) checkKey() error {
	switch {
	case c.Key == nil:
		return nil
	case hook.Nil(c.Key):
		return errors.New("oauthtest: Key is a nil pointer: leave the field out, or set a key")
	case jose.HMAC(c.Algorithm):
		return fmt.Errorf("oauthtest: Key is set, but %s signs with a secret: leave one of them out", c.Algorithm)
	}
	key, err := parsePublic(c.Key)
	if err != nil {
		return err
	}
	if !key.Fits(c.Algorithm) {
		return fmt.Errorf("oauthtest: Key is of type %s, which does not sign %s: set Algorithm to one that it signs", key.Type(), c.Algorithm)
	}
	return nil
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
	return "", fmt.Errorf("%q is not a signature algorithm with a public key", alg)
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

// borrowed are those of keys that came from spare.
func borrowed(keys []*signingKey) []crypto.Signer {
	var ks []crypto.Signer
	for _, k := range keys {
		if k.private != nil && !k.own {
			ks = append(ks, k.private)
		}
	}
	return ks
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
