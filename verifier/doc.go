// SPDX-License-Identifier: Apache-2.0

// Package verifier decides whether an access token is good enough: a string goes
// in, a [*Token] or a typed [*Error] comes out. It knows nothing of HTTP.
//
// A [Verifier] serves one issuer; [Join] makes one of several. The checks and
// their order are fixed (structure, issuer, algorithm and type; key and
// signature; audience, time and claims; sender constraint; rules): an
// application can add rules with [Requirement], and none of them leaves a check out.
// Of all settings only Config.UnsafeSkipAudience and
// Config.UnsafeAcceptUnverifiedBinding do.
//
// The default profile is the JWT profile for access tokens (RFC 9068), with the
// rules of RFC 7515, RFC 7519 and RFC 8725 read strictly. On an error the token
// is nil, always.
package verifier
