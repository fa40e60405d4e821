// SPDX-License-Identifier: Apache-2.0

package verifier

// EventKind says what an [Event] reports.
type EventKind string

// The kinds of events. A refusal's class is in [Event.Class]; the kind tells
// decisions, fetches, security facts and constructor warnings apart.
const (
	// EventAccepted: a token was accepted.
	EventAccepted EventKind = "accepted"
	// EventRefused: a token or request was refused; Class says why.
	EventRefused EventKind = "refused"
	// EventFetched: a key set or metadata document was fetched.
	EventFetched EventKind = "fetched"
	// EventFetchFailed: a fetch failed, or its result was not usable; Cause says why.
	EventFetchFailed EventKind = "fetch_failed"
	// EventKeySkipped: a key of a fetched set cannot be used (RFC 7517 §5); Cause says why.
	EventKeySkipped EventKind = "key_skipped"
	// EventPrivateKey: a fetched key carries private members (RFC 7517 §9.2). Tell its owner.
	EventPrivateKey EventKind = "private_key_published"
	// EventStaleKeys: keys past their freshness are in use, since the refresh failed.
	EventStaleKeys EventKind = "stale_keys"
	// EventClockSkew: the clock of this machine differs from the issuer's; Cause says by
	// how much and how that was seen. Nothing is decided by it.
	EventClockSkew EventKind = "clock_skew"
	// EventSnapshot: a stored key set was used, ignored or could not be stored; Cause says which.
	EventSnapshot EventKind = "snapshot"
	// EventWarning: something is accepted that deserves a second look: a setting, or a
	// jwks_uri that changed.
	EventWarning EventKind = "warning"
)

// Event is one fact for the operator. It holds no value taken from a token.
type Event struct {
	Kind EventKind
	// Issuer is the configured issuer concerned; "" where none is known.
	Issuer string
	// Class is a sentinel of this package, or nil.
	Class error
	// Cause is the private reason, or nil. Safe to log like [Error.Error].
	Cause error
}
