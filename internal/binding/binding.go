// SPDX-License-Identifier: Apache-2.0

// Package binding holds the reasons for which a sender constraint is not met. They share
// one class and differ in what the client is told, so packages that find one and the one
// that answers must mean the same value.
package binding

import "errors"

var (
	// ErrNoProof: a bound token was presented as if it were not (RFC 9449 §7.2).
	ErrNoProof = errors.New("the token is bound to a key or certificate, and nothing was presented that proves possession")
	// ErrKey: the token is not bound to the key of the proof (RFC 9449 §7.1).
	ErrKey = errors.New("the token is not bound to the key of the DPoP proof")
	// ErrCertificate: the token is not bound to the certificate of the client, or there
	// is none (RFC 8705 §3).
	ErrCertificate = errors.New("the token is bound to another client certificate, or the client presented none")
	// ErrAbsentProof: there is no DPoP header beside a token under the scheme DPoP
	// (RFC 9449 §7.1).
	ErrAbsentProof = errors.New("no DPoP header")
	// ErrUnconstrained: the route wants a sender constraint that was not verified.
	ErrUnconstrained = errors.New("the route requires a sender constraint that was not verified for this request")
)
