// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"time"
)

// Profile says which rules a token must obey.
type Profile int

const (
	// RFC9068 is the JWT profile for access tokens: typ at+jwt, and the claims iss,
	// exp, aud, sub, client_id, iat and jti (RFC 9068 §2). It is the zero value.
	RFC9068 Profile = iota
	// ProfileJWT is for issuers older than RFC 9068: typ may be JWT or absent, only
	// iss, aud and exp are required, and tokens that look like another kind of JWT
	// (ID token, logout token, …) are refused (RFC 8725 §3.12). An ID token without
	// such a mark differs by aud only: never configure a client identifier as audience.
	ProfileJWT
)

// Config describes one issuer. [New] copies it and reports every fault at once.
type Config struct {
	// Issuer is compared code point for code point with iss (RFC 9068 §4). Required.
	// An https URL without query, fragment or userinfo; under ProfileJWT with keys
	// that need no discovery, any non-empty string without { and }.
	Issuer string
	// Audience lists the identifiers of this API; a token must name one of them
	// (RFC 9068 §4). Required, except with Clients or UnsafeSkipAudience.
	Audience []string
	// Keys is where the issuer's keys come from. Required.
	Keys KeySource
	// Profile is RFC9068 unless set.
	Profile Profile
	// Algorithms is the allowlist of alg values (RFC 8725 §3.1). Empty means RS256,
	// RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA and Ed25519.
	Algorithms []string
	// TokenTypes lists further accepted typ values of this issuer; "" stands for a
	// token without typ. The checks of ProfileJWT against other kinds of JWT then
	// apply (RFC 8725 §3.11, §3.12).
	TokenTypes []string
	// OptionalClaims lists which of sub, client_id, iat and jti a token may lack
	// under RFC9068. Under ProfileJWT they are optional anyway.
	OptionalClaims []string
	// Clients is for issuers without a usable aud (ProfileJWT only): aud is then not
	// checked, and client_id, or azp where that is absent, must be listed here; under
	// Mapping.ClientID that claim alone.
	Clients []string
	// UnsafeSkipAudience (ProfileJWT only) accepts tokens meant for any API. The zero
	// value checks aud. Reported once as a warning event.
	UnsafeSkipAudience bool
	// UnsafeAcceptUnverifiedBinding accepts a token that is bound to a key or certificate
	// where nothing can check the binding: for a service behind a gateway that has
	// checked it, or during a roll-out. A binding whose check is on is checked as ever, and
	// a thumbprint that is malformed is refused. Token.Binding stays zero. The zero value
	// refuses such tokens (RFC 9449 §7.2, RFC 8705 §3). Reported once as a warning event.
	UnsafeAcceptUnverifiedBinding bool
	// AllowedMarks takes single claim names (nonce, at_hash, …) off the list by which
	// other kinds of JWT are recognized, for issuers that put them into access tokens.
	AllowedMarks []string
	// Mapping names the claims of an issuer that calls them otherwise than RFC 9068.
	// The zero value is the RFC's names.
	Mapping Mapping
	// RequiredClaims lists further claims that every token of this issuer must have,
	// all of them; at most 32. nil means none.
	RequiredClaims []RequiredClaim
	// Revoked is asked about every token that passed the other checks, also one seen before
	//: true is [ErrRevoked], an error [ErrStatusUnavailable]. It bounds its own
	// time, and is called by many goroutines at once. nil means that a token is good until it
	// expires.
	Revoked func(ctx context.Context, q RevocationQuery) (bool, error)
	// Implies maps a broad scope to the narrower ones it includes, transitively.
	// Token.HasScope honours it; cycles are an error.
	Implies map[string][]string
	// Leeway for exp, nbf and iat. 0 means 30 s, negative none, at most 300 s.
	Leeway time.Duration
	// MaxTokenBytes is the longest token that is looked at. 0 means 16,384; from 1,024 to 65,536.
	MaxTokenBytes int
	// CacheEntries bounds the cache of verified tokens. 0 means 4,096, negative turns
	// it off, at most 1,000,000. It has parts, which chance fills unevenly: set twice as
	// many as tokens are in use at a time.
	CacheEntries int
	// CacheBytes bounds the memory of that cache: about 900 bytes for each token beside
	// its claims. 0 means 4,096 bytes for each of CacheEntries; what is set is 65,536 or
	// more. A token that alone takes more than a thirty-second part of it may not be kept,
	// nor is one whose claims, with what stands for their escapes, exceed 65,535 bytes.
	CacheBytes int
	// Now is the clock for token times. nil means time.Now. Safe for concurrent use.
	Now func() time.Time
	// OnEvent is called synchronously, possibly by many goroutines at once, with
	// every decision and warning. A panic in it denies the request. nil means none.
	OnEvent func(Event)
}
