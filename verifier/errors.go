// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
)

// ErrInvalidToken is the umbrella of every class that a client sees as
// invalid_token (RFC 6750 §3.1): errors.Is(err, ErrInvalidToken) is true for
// each class marked so below.
var ErrInvalidToken error = &class{text: "invalid token"}

// The classes of failure. Exactly one of them is the [Error.Class] of every error
// of a constructor or a request in packages verifier, jwkscache and middleware; all
// work with [errors.Is]. [ParseKeySet] returns plain errors.
var (
	// ErrNoCredentials: the request carries no access token (RFC 6750 §3.1).
	ErrNoCredentials error = &class{text: "no credentials"}
	// ErrInvalidRequest: the credentials are malformed or repeated (RFC 6750 §3.1).
	ErrInvalidRequest error = &class{text: "invalid request"}
	// ErrMalformedToken is an [ErrInvalidToken]: not a well-formed JWT (RFC 7519 §7.2).
	ErrMalformedToken error = &class{text: "malformed token", parent: ErrInvalidToken}
	// ErrTokenType is an [ErrInvalidToken]: another kind of JWT (RFC 9068 §4).
	ErrTokenType error = &class{text: "wrong token type", parent: ErrInvalidToken}
	// ErrAlgorithm is an [ErrInvalidToken]: alg is not on the allowlist (RFC 8725 §3.1).
	ErrAlgorithm error = &class{text: "algorithm not allowed", parent: ErrInvalidToken}
	// ErrUnknownKey is an [ErrInvalidToken]: keys were obtainable, none fits (RFC 9068 §4).
	ErrUnknownKey error = &class{text: "unknown key", parent: ErrInvalidToken}
	// ErrSignature is an [ErrInvalidToken]: the signature does not verify (RFC 7515 §5.2).
	ErrSignature error = &class{text: "bad signature", parent: ErrInvalidToken}
	// ErrIssuer is an [ErrInvalidToken]: iss is not a configured issuer (RFC 9068 §4).
	ErrIssuer error = &class{text: "wrong issuer", parent: ErrInvalidToken}
	// ErrAudience is an [ErrInvalidToken]: aud names no configured audience (RFC 9068 §4).
	ErrAudience error = &class{text: "wrong audience", parent: ErrInvalidToken}
	// ErrExpired is an [ErrInvalidToken]: now is at or after exp plus leeway (RFC 7519 §4.1.4).
	ErrExpired error = &class{text: "token expired", parent: ErrInvalidToken}
	// ErrNotYetValid is an [ErrInvalidToken]: nbf or iat lies in the future (RFC 7519 §4.1.5).
	ErrNotYetValid error = &class{text: "token not yet valid", parent: ErrInvalidToken}
	// ErrMissingClaim is an [ErrInvalidToken]: a required claim is absent (RFC 9068 §2.2).
	ErrMissingClaim error = &class{text: "missing claim", parent: ErrInvalidToken}
	// ErrInvalidClaim is an [ErrInvalidToken]: a claim has a wrong type or value (RFC 9068 §2.2).
	ErrInvalidClaim error = &class{text: "invalid claim", parent: ErrInvalidToken}
	// ErrDecryption is an [ErrInvalidToken]: the token cannot be decrypted (RFC 7516 §5.2).
	ErrDecryption error = &class{text: "decryption failed", parent: ErrInvalidToken}
	// ErrInactive is an [ErrInvalidToken]: the issuer says the token is not active (RFC 7662 §2.2).
	ErrInactive error = &class{text: "token not active", parent: ErrInvalidToken}
	// ErrRevoked is an [ErrInvalidToken]: the token was revoked.
	ErrRevoked error = &class{text: "token revoked", parent: ErrInvalidToken}
	// ErrSuspended is an [ErrInvalidToken]: the token is suspended for now.
	ErrSuspended error = &class{text: "token suspended", parent: ErrInvalidToken}
	// ErrBinding is an [ErrInvalidToken]: the sender constraint of the token is missing,
	// mismatched, downgraded or not understood (RFC 9449 §7, RFC 8705 §3).
	ErrBinding error = &class{text: "sender constraint not met", parent: ErrInvalidToken}
	// ErrDPoPProof: the DPoP proof is missing or not valid (RFC 9449 §7.1).
	ErrDPoPProof error = &class{text: "invalid DPoP proof"}
	// ErrDPoPReplay is an [ErrDPoPProof]: the proof was used before (RFC 9449 §11.1).
	ErrDPoPReplay error = &class{text: "replayed DPoP proof", parent: ErrDPoPProof}
	// ErrDPoPNonce: the proof lacks a current nonce (RFC 9449 §9).
	ErrDPoPNonce error = &class{text: "DPoP nonce required"}
	// ErrStepUp: the authentication behind the token is too weak or too old (RFC 9470 §3).
	ErrStepUp error = &class{text: "insufficient user authentication"}
	// ErrInsufficientScope: the token lacks a required scope (RFC 6750 §3.1).
	ErrInsufficientScope error = &class{text: "insufficient scope"}
	// ErrInsufficientDetails: the authorization_details do not cover the request (RFC 9396).
	ErrInsufficientDetails error = &class{text: "insufficient authorization details"}
	// ErrForbidden: application policy said no, and more scope would not help (RFC 9110 §15.5.4).
	ErrForbidden error = &class{text: "forbidden"}
	// ErrKeysUnavailable: the issuer's keys cannot be had right now. Not the client's fault.
	ErrKeysUnavailable error = &class{text: "keys unavailable"}
	// ErrIntrospectionUnavailable: the introspection endpoint does not answer.
	ErrIntrospectionUnavailable error = &class{text: "introspection unavailable"}
	// ErrStatusUnavailable: the token status cannot be had right now.
	ErrStatusUnavailable error = &class{text: "token status unavailable"}
	// ErrReplayStoreUnavailable: the replay memory does not answer.
	ErrReplayStoreUnavailable error = &class{text: "replay store unavailable"}
	// ErrMetadata: the issuer's metadata cannot be had or may not be used (RFC 8414 §3.3).
	ErrMetadata error = &class{text: "issuer metadata unavailable"}
	// ErrRequestTooLarge: the request is over a limit (RFC 9110 §15.5.14).
	ErrRequestTooLarge error = &class{text: "request too large"}
	// ErrConfig: a constructor refused its configuration, or a zero value was used.
	ErrConfig error = &class{text: "configuration error"}
	// ErrInternal: a panic, or an unclassified error, of a hook, callback or dependency.
	ErrInternal error = &class{text: "internal error"}
)

// classes lists every sentinel in the order in which EO-01 reports them when
// several rules fail at once; what is not named there comes last.
var classes = []error{
	ErrConfig, ErrNoCredentials, ErrInvalidRequest, ErrRequestTooLarge,
	ErrMalformedToken, ErrIssuer, ErrAlgorithm, ErrTokenType,
	ErrKeysUnavailable, ErrMetadata, ErrIntrospectionUnavailable,
	ErrUnknownKey, ErrSignature, ErrDecryption,
	ErrAudience, ErrExpired, ErrNotYetValid, ErrMissingClaim, ErrInvalidClaim,
	ErrStatusUnavailable, ErrInactive, ErrRevoked, ErrSuspended,
	ErrReplayStoreUnavailable, ErrBinding, ErrDPoPReplay, ErrDPoPProof, ErrDPoPNonce,
	ErrInvalidToken,
	ErrStepUp, ErrInsufficientScope, ErrInsufficientDetails, ErrForbidden, ErrInternal,
}

type class struct {
	text   string
	parent error
}

func (c *class) Error() string { return c.text }

func (c *class) Is(target error) bool { return c.parent != nil && target == c.parent }

// Error is the one error type of this module. Class decides the answer; Cause
// is for the operator only and never reaches a client.
type Error struct {
	// Class is one of the Err… sentinels of this package, never nil.
	Class error
	// Cause says what was wrong. It holds no value taken from a token. May be nil.
	Cause error
	// Challenge says what a client can do about it; the zero value says nothing.
	Challenge Challenge
	// RetryAfter is the time after which a 503 class may be gone; 0 means unknown.
	RetryAfter time.Duration
}

// Error returns the class and the cause. It is safe to log: no part of a token
// is in it, unless an application's own rule or hook put it into its error.
func (e *Error) Error() string {
	switch {
	case e == nil || e.Class == nil:
		return "error without a class" // an application's mistake, which must not panic here
	case e.Cause == nil:
		return e.Class.Error()
	}
	return e.Class.Error() + ": " + textOfCause(e.Cause)
}

// textOfCause: a cause can be an application's error, whose text may panic.
func textOfCause(cause error) (text string) {
	if p := hook.Call("an error value", func() { text = cause.Error() }); p != nil {
		return "a cause that cannot be printed"
	}
	return text
}

// Unwrap gives errors.Is and errors.As the class and the cause.
func (e *Error) Unwrap() []error {
	switch {
	case e == nil || e.Class == nil:
		return nil
	case e.Cause == nil:
		return []error{e.Class}
	}
	return []error{e.Class, e.Cause}
}

// fail makes the error of a class with a fixed text as private cause.
func fail(class error, format string, args ...any) *Error {
	return &Error{Class: class, Cause: fmt.Errorf(format, args...)}
}

// ClassOf returns the sentinel class of err: that of the first [Error] in its
// tree, else the first sentinel found there, else nil. It is what status codes
// are chosen by; errors.Is is for questions about one class.
func ClassOf(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) && e != nil && isClass(e.Class) {
		return e.Class
	}
	for _, c := range classes {
		if errors.Is(err, c) {
			return c
		}
	}
	return nil
}

func isClass(err error) bool {
	for _, c := range classes {
		if c == err {
			return true
		}
	}
	return false
}

// classify wraps err in an Error of its class, or of fallback if it has none.
func classify(err, fallback error) *Error {
	var e *Error
	if errors.As(err, &e) && e != nil && isClass(e.Class) {
		return e
	}
	if c := ClassOf(err); c != nil {
		return &Error{Class: c, Cause: err}
	}
	return &Error{Class: fallback, Cause: err}
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// guarded calls foreign code, and makes an [ErrInternal] of its panic.
func guarded(where string, call func() error) error {
	var err error
	if p := hook.Call(where, func() { err = call() }); p != nil {
		return &Error{Class: ErrInternal, Cause: p}
	}
	return err
}
