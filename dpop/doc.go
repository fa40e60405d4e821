// SPDX-License-Identifier: Apache-2.0

// Package dpop checks DPoP proofs (RFC 9449): that whoever presents an access token
// holds the private key the token is bound to, for this very request, and once only.
//
// It takes plain values, not requests of a framework: package middleware makes them from
// a request, and other transports can do the same.
package dpop
