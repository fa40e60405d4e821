// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/jose"
)

// Secret is a secret shared with an issuer, for HMAC algorithms (RFC 7518 §3.2).
type Secret struct {
	// KeyID is compared with kid; "" fits any token.
	KeyID string
	// Algorithm is HS256, HS384 or HS512. Required.
	Algorithm string
	// Value is at least as long as the hash: 32, 48 or 64 bytes, from a random
	// source. A public key, certificate or JWK is refused: it is not secret.
	Value []byte
}

// NewSymmetric makes a verifier for an issuer that signs with shared secrets. Who
// can verify such a token can also make one, so prefer [New] with public keys.
// cfg.Keys must be nil; cfg.Algorithms may narrow HS256, HS384 and HS512 and by
// default holds those of the secrets. Symmetric and public keys never meet in one
// verifier (RFC 8725 §2.1); [Join] keeps them apart by issuer. The error is of
// class [ErrConfig] and lists every fault, or [ErrInternal] if cfg.OnEvent panics at
// a warning.
func NewSymmetric(cfg Config, secrets ...Secret) (*Verifier, error) {
	var f faults
	if !hook.Nil(cfg.Keys) {
		f.field("Keys is set: a symmetric verifier takes its secrets only; use verifier.New for public keys")
	}
	for i, alg := range cfg.Algorithms {
		if !jose.HMAC(alg) {
			f.field("Algorithms holds %q: a symmetric verifier has only HS256, HS384 and HS512", alg)
		} else if slices.Contains(cfg.Algorithms[:i], alg) {
			f.field("Algorithms holds %q twice: remove one", alg)
		}
	}
	set, algorithms := secretSet(&f, secrets)
	if set.Len() > 0 && len(cfg.Algorithms) > 0 && !set.fits(setOf(cfg.Algorithms)) {
		f.field("Algorithms holds none of the secrets' algorithms: correct one or the other")
	}
	cfg.Keys = fixedKeys{set}
	is, err := buildIssuer(&f, cfg, algorithms)
	if err != nil {
		return nil, err
	}
	return single(is), nil
}

// secretSet makes a set of the secrets and returns their algorithms.
func secretSet(f *faults, secrets []Secret) (*KeySet, []string) {
	set := &KeySet{}
	var algorithms []string
	nameless := 0
	if len(secrets) == 0 {
		f.add("no secret given: pass at least one")
	}
	for i, s := range secrets {
		key, err := jose.NewSecret(s.KeyID, s.Algorithm, s.Value)
		if err == nil && len(s.KeyID) > maxKeyID {
			err = fmt.Errorf("KeyID is longer than %d bytes, which no kid may be: shorten it", maxKeyID)
		}
		if err != nil {
			f.add("secret %d: %w", i, err)
			continue
		}
		if !key.HasID {
			nameless++
		}
		set.keys = append(set.keys, candidate{key, true})
		algorithms = append(algorithms, s.Algorithm)
	}
	if nameless > maxAttempts {
		f.add("%d secrets have no KeyID, and no more than %d are tried for a token: name them, or remove some", nameless, maxAttempts)
	}
	return set, algorithms
}

// fixedKeys is a source whose set never changes.
type fixedKeys struct{ set *KeySet }

func (k fixedKeys) Keys(context.Context, *Miss) (*KeySet, error) { return k.set, nil }
