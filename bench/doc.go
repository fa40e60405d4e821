// SPDX-License-Identifier: Apache-2.0

// Bench measures what a verification, a refusal and a protected request cost, here
// and with the libraries that Go programs commonly use for the same purpose. It is a
// module of its own, so that the library depends on none of them.
//
// Every contender checks the same tokens of the same issuer; crypto and jwx-verify
// judge the signature alone, all others also exp, iss and aud. TestVerdicts holds
// them to that. Who can take a key set as it is gets it in memory; this library,
// go-oidc and auth0 fetch it as in production, here from a transport without a
// network, before the clock runs.
//
// Keys and tokens are made anew by each process, and only as far as
// the benchmarks that run need them.
package main
