// SPDX-License-Identifier: Apache-2.0

// Package providers has a function for each of the issuers that many people use. It
// returns a [verifier.Config] that is ready for verifier.New: issuer, key source,
// kinds of tokens, and the claims that the fields of a token come from.
//
// Each function starts from the strict profile of RFC 9068 and relaxes what the
// provider departs in, and nothing else; its comment says what and why. None accepts
// tokens without being told whose: a token must name the API in aud, or, where a
// provider names none there, come from a client that is listed. Such a list says who may
// call and not for what a token was made: aud is not looked at beside it.
//
// What else is wanted is set in the returned configuration before it is used:
//
//	cfg, err := providers.Auth0("example.eu.auth0.com", providers.Options{Audience: []string{"https://api.example.com"}})
//	cfg.Mapping.Scopes = verifier.ClaimPath{"permissions"}
//	v, err := verifier.New(cfg)
//
// A function does no I/O and reads no file. The key source belongs to the verifier
// made of the configuration, and is closed by its Close. docs/providers.md has all of
// this as a table.
package providers
