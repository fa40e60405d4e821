// SPDX-License-Identifier: Apache-2.0

// Package bearerguard is the map of a module that protects HTTP APIs with OAuth
// 2.0 access tokens: it decides whether the token on a request is good enough and
// answers in the words of RFC 6750 and RFC 9068. The package itself holds no code.
//
//   - verifier turns a token string into a [verifier.Token] or an error of one
//     class; it knows nothing of HTTP.
//   - jwkscache finds, fetches and keeps the keys of an issuer.
//   - providers has the configurations of issuers in wide use.
//   - scopes holds the rules "all of these" and "any of these".
//   - claims holds the same for roles, groups and entitlements.
//   - middleware has the Guard: credentials in, challenge or context out.
//   - adapters/nethttp, adapters/echov4 and adapters/ginv1 fit the Guard to
//     net/http, Echo v4 and Gin, with the same answers byte for byte.
//   - oauthtest is an authorization server for tests, in memory.
//
// Start with README.md, run examples/quickstart, then read docs/guide.md.
// docs/requirements.md numbers every rule this module keeps.
//
// [verifier.Token]: https://pkg.go.dev/github.com/bearerguard/bearerguard/verifier#Token
package bearerguard
