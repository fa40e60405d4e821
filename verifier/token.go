// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// Token is a verified access token. The principal is the pair of Issuer and
// Subject: Subject alone is unique only within its issuer, and can name a client.
// A Token belongs to one request; changing it affects no other.
type Token struct {
	// Issuer is iss.
	Issuer string
	// Subject is sub; "" if absent where it is optional.
	Subject string
	// ClientID is client_id, or what Config.Mapping names; "" if absent where it is
	// optional.
	ClientID string
	// ID is jti; "" if absent where it is optional.
	ID string
	// Audience is aud, as a list.
	Audience []string
	// Scopes are the scope tokens as issued, without duplicates, from scope or what
	// Config.Mapping names. Ask HasScope, which honours Config.Implies.
	Scopes []string
	// ExpiresAt is exp, without leeway.
	ExpiresAt time.Time
	// IssuedAt is iat; zero if absent.
	IssuedAt time.Time
	// NotBefore is nbf; zero if absent.
	NotBefore time.Time
	// ACR is acr; "" if absent or not a string (RFC 9068 §2.2.1).
	ACR string
	// AMR is amr; nil if absent or not an array of strings.
	AMR []string
	// AuthTime is auth_time; zero if absent or not a NumericDate.
	AuthTime time.Time
	// Roles, Groups and Entitlements are the claims of RFC 9068 §2.2.3.1, or what
	// Config.Mapping names; nil if absent or of another form. They never grant a scope.
	Roles, Groups, Entitlements []string
	// Actor is the outermost act claim: who acts for Subject (RFC 8693 §4.1). nil if absent.
	Actor *Actor
	// Confirmation is cnf: the key the token is bound to. Zero if unbound.
	Confirmation Confirmation
	// Binding is the sender constraint that this request proved. Zero if none.
	Binding Binding

	payload   string  // the verified bytes
	implies   implied // Config.Implies, closed over
	bound     bool    // cnf is present
	faultyCnf bool    // cnf holds a malformed thumbprint
}

// Actor is the party that acts on behalf of a token's subject (RFC 8693 §4.1).
type Actor struct {
	Issuer   string
	Subject  string
	ClientID string
}

// Confirmation holds the thumbprints of cnf as 32 raw bytes each (RFC 7800 §3.1).
type Confirmation struct {
	// JWKThumbprint is cnf.jkt (RFC 9449 §6.1); "" if absent.
	JWKThumbprint string
	// CertificateThumbprint is cnf.x5t#S256 (RFC 8705 §3.1); "" if absent.
	CertificateThumbprint string
}

// Decode stores the claims in dst, as [json.Unmarshal] does, except that numbers
// keep all their digits in an interface value (as [json.Number]). It reads the
// very bytes that were verified. The error is of class [ErrInvalidClaim]: a claim
// does not fit dst, the Token was not made by a Verifier, or one object of the
// claims has two names that differ by case only, from both of which encoding/json
// would fill one field. No error holds a claim's value.
//
// Like encoding/json, Decode fills a struct field plan also from a claim PLAN; where
// that matters, decode into a map. The fields of Token are read by exact name.
func (t *Token) Decode(dst any) error {
	if t == nil || t.payload == "" {
		return fail(ErrInvalidClaim, "no verified claims: this Token was not made by a Verifier")
	}
	if strictjson.FoldClash(t.payload) {
		return fail(ErrInvalidClaim, "two claim names differ by case only")
	}
	dec := json.NewDecoder(strings.NewReader(t.payload))
	dec.UseNumber()
	err := dec.Decode(dst)
	if err == nil {
		return nil
	}
	// The texts of encoding/json quote values, and its paths can hold names that the
	// token chose, so only the types are passed on.
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fail(ErrInvalidClaim, "the claims do not fit a destination of type %T: a claim is no %v", dst, wrong.Type)
	}
	return fail(ErrInvalidClaim, "the claims do not fit a destination of type %T", dst)
}
