// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/rand"
	"slices"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

// SymmetricConfig returns what [verifier.NewSymmetric] takes, for an API with the given
// audience, where Config.Algorithm is one of HMAC:
//
//	v, err := verifier.NewSymmetric(as.SymmetricConfig("https://api.example.com"))
//
// The secret is the one that signs now: a verifier does not follow Rotate. The
// audiences count as under VerifierConfig. It is at fault under any other Algorithm.
func (s *Server) SymmetricConfig(aud ...string) (verifier.Config, verifier.Secret) {
	s.tb.Helper()
	if !jose.HMAC(s.cfg.Algorithm) {
		s.errorf("oauthtest: a server that signs with %s shares no secret: use verifier.New(as.VerifierConfig(…))", s.cfg.Algorithm)
		return verifier.Config{}, verifier.Secret{}
	}
	s.addAudience(aud)
	key := s.signingKey()
	secret := verifier.Secret{KeyID: key.id, Algorithm: s.cfg.Algorithm, Value: slices.Clone(key.secret)}
	return verifier.Config{Issuer: s.issuer, Audience: aud, Now: s.cfg.Now}, secret
}

// newSecret is as long as the hash, which is the least there may be (RFC 7518 §3.2).
func newSecret(alg string) []byte {
	secret := make([]byte, map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg])
	rand.Read(secret) // never fails
	return secret
}
