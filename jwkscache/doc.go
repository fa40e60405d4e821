// SPDX-License-Identifier: Apache-2.0

// Package jwkscache provides the keys of an issuer: found by discovery (RFC 8414,
// OpenID Connect Discovery) or at a configured URL, fetched within bounds, cached,
// and refreshed in the background; or read from a file whenever it changes; or
// configured as a static set. Its types are values for the Keys field of
// verifier.Config. [Join] makes one source of several.
//
// Keys are fetched when they are first needed, or by [Cache.Warm]. They count as
// fresh for as long as the issuer's cache headers say, within one minute and one
// day, or for 15 minutes without such headers (RFC 9111 §4.2). While tokens are
// verified, a refresh runs shortly before that time is over, so that no request
// waits for it, unless the time is hardly more than a minute: fetches ahead keep that
// distance. If the issuer does not answer, or has no usable key, the last keys stay
// in use for Config.MaxStale (RFC 5861 §4), and attempts go on, from every few
// seconds to once a minute, or as the issuer asks by Retry-After, within 5 minutes. A
// token whose kid is not in the set causes a refresh, but at most one per
// Config.UnknownKeyCooldown, whoever sends how many such tokens.
//
// With Config.Snapshots the last keys outlive the process, so that one that starts
// while the issuer is down can serve. [Cache.Status], [Cache.Ready] and [ReadyHandler]
// tell operators how things stand. docs/outages.md says what can be relied on.
package jwkscache
