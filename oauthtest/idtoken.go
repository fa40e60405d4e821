// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"maps"
	"strings"
)

// idToken returns the ID token that goes with an access token where the scope
// openid was granted (OpenID Connect Core 1.0 §2, §3.1.3.6). It is signed with the
// same key, so that an API which takes any token of the issuer can be caught; with a
// secret there is none (lacksIDToken).
func (s *Server) idToken(a *authorization, accessToken string) (string, error) {
	t := s.draft()
	claims := map[string]any{}
	if a.user != nil {
		maps.Copy(claims, a.user.Claims)
		claims["sub"] = a.user.Subject
	}
	claims["iss"], claims["aud"] = s.issuer, a.client
	claims["iat"], claims["exp"] = t.claims["iat"], t.claims["exp"]
	claims["auth_time"] = a.authTime.Unix()
	claims["at_hash"] = leftHalf(s.cfg.Algorithm, accessToken)
	if a.nonce != "" {
		claims["nonce"] = a.nonce
	}
	if a.acr != "" {
		claims["acr"] = a.acr
	}
	t.header["typ"], t.claims = "JWT", claims
	return t.sign(s.cfg.Algorithm)
}

// leftHalf is at_hash (OpenID Connect Core 1.0 §3.1.3.6) by the hash of alg. EdDSA names
// none; SHA-512 is the one inside Ed25519.
func leftHalf(alg, text string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(alg, "256"):
		h := sha256.Sum256([]byte(text))
		sum = h[:]
	case strings.HasSuffix(alg, "384"):
		h := sha512.Sum384([]byte(text))
		sum = h[:]
	default:
		h := sha512.Sum512([]byte(text))
		sum = h[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
