// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"time"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// RevocationQuery is what [Config.Revoked] is told of a token that passed the checks of
// signature, audience, time and claims.
type RevocationQuery struct {
	// Issuer, Subject, ClientID and ID are those of the [Token].
	Issuer, Subject, ClientID, ID string
	// SessionID is sid; "" if absent or not a string.
	SessionID string
	// IssuedAt and ExpiresAt are those of the Token; IssuedAt is zero if absent.
	IssuedAt, ExpiresAt time.Time
}

// checkRevoked is the revocation step. A hook that cannot tell is our own outage, never
// a verdict on the token.
func (is *issuer) checkRevoked(ctx context.Context, t *Token) error {
	if is.revoked == nil {
		return nil
	}
	q := RevocationQuery{
		Issuer: t.Issuer, Subject: t.Subject, ClientID: t.ClientID, ID: t.ID,
		SessionID: sessionOf(t.payload), IssuedAt: t.IssuedAt, ExpiresAt: t.ExpiresAt,
	}
	var revoked bool
	var failed error
	err := guarded("Config.Revoked", func() error {
		revoked, failed = is.revoked(ctx, q)
		return nil
	})
	switch {
	case err != nil:
		return err
	case failed != nil:
		return &Error{Class: ErrStatusUnavailable, Cause: failed}
	case revoked:
		return fail(ErrRevoked, "Config.Revoked says so")
	}
	return nil
}

func sessionOf(payload string) string {
	claims, err := strictjson.ParseObject([]byte(payload))
	if err != nil {
		return ""
	}
	val, _ := claims.Get("sid")
	sid, _ := val.Text()
	return sid
}
