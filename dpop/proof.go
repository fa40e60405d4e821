// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/internal/alias"
	"github.com/bearerguard/bearerguard/internal/binding"
	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

// Request is what a proof is checked against, as plain values.
type Request struct {
	// Method is the request method as sent; it is case-sensitive.
	Method string
	// Host is the authority that the request names. It only selects one of several
	// Config.Origins, never makes one.
	Host string
	// Target is the request target as sent, before any router or prefix changed it: in
	// net/http the RequestURI.
	Target string
	// Proofs are all DPoP field lines of the request.
	Proofs []string
	// Token is the access token as sent.
	Token string
	// MaxFuture, if positive, bounds iat even while a nonce decides about freshness
	// (FAPI 2.0 §5.3.2.1).
	MaxFuture time.Duration
}

// Proof is a checked proof. It belongs to one request.
type Proof struct {
	verifier *Verifier
	key      [32]byte // thumbprint
	uri, id  string
	expires  time.Time // when it can be accepted no longer
	now      time.Time
	old      bool
}

// Check checks everything about the proof of a request that needs neither the token's
// binding nor memory (RFC 9449 §4.3): its form, key, signature, method, URI, token hash,
// and age or nonce. The error is [verifier.ErrDPoPProof], or [verifier.ErrDPoPNonce] where
// the client shall try again with a nonce. The caller then compares Thumbprint with
// cnf.jkt, and calls Burn after all else.
func (v *Verifier) Check(_ context.Context, r Request) (*Proof, error) {
	if v == nil || len(v.origins) == 0 {
		return nil, &verifier.Error{Class: verifier.ErrConfig, Cause: errZero}
	}
	raw, err := onlyLine(r.Proofs)
	if err != nil {
		return nil, refused(err)
	}
	d := desks.Get().(*desk)
	defer d.clear()
	if err := d.parse(raw); err != nil {
		return nil, refused(err)
	}
	key, err := v.checkHeader(d)
	if err != nil {
		return nil, refused(err)
	}
	p, err := v.checkClaims(d, r)
	if err != nil {
		return nil, err
	}
	if !key.key.Verify(d.header.alg, alias.Bytes(d.input), d.signature) {
		return nil, refused(errSignature)
	}
	p.key = key.thumbprint
	return p, nil
}

var (
	errZero      = errors.New("this dpop.Verifier was not made by dpop.New: call New and handle its error")
	errLines     = errors.New("more than one DPoP field line")
	errLong      = fmt.Errorf("longer than %d bytes", maxProofBytes)
	errSignature = errors.New("the signature does not verify with the key of the proof")
)

func refused(cause error) error {
	return &verifier.Error{Class: verifier.ErrDPoPProof, Cause: cause}
}

// onlyLine: two field lines, which could mean two things to two readers, are none
// (RFC 9449 §4.3 (1)). A list joined by a comma is no compact JWS.
func onlyLine(lines []string) (string, error) {
	switch {
	case len(lines) == 0:
		return "", binding.ErrAbsentProof
	case len(lines) > 1:
		return "", errLines
	case len(lines[0]) > maxProofBytes:
		return "", errLong
	}
	return lines[0], nil
}

// Thumbprint is the SHA-256 thumbprint of the proof's key (RFC 7638), as 32 raw bytes.
func (p *Proof) Thumbprint() string { return string(p.key[:]) }

// Matches reports whether a token with this cnf.jkt, 32 raw bytes, is bound to the key of
// the proof (RFC 9449 §4.3 (12)).
func (p *Proof) Matches(jkt string) bool {
	return subtle.ConstantTimeCompare(p.key[:], alias.Bytes(jkt)) == 1
}

// NonceOld reports whether the nonce of the proof is past half its life, so that the
// response should carry a new one (RFC 9449 §8.2).
func (p *Proof) NonceOld() bool { return p.old }

// Burn records that the proof was used (RFC 9449 §11.1). Call it once, after every other
// check, so that nobody can burn a proof, or fill the memory, without the key and a token
// bound to it. The error is [verifier.ErrDPoPReplay] for a proof used before,
// [verifier.ErrReplayStoreUnavailable] if the store cannot tell.
func (p *Proof) Burn(ctx context.Context) error {
	fresh, err := p.verifier.use(ctx, p.use())
	switch {
	case err != nil:
		return &verifier.Error{Class: verifier.ErrReplayStoreUnavailable, Cause: err}
	case !fresh:
		return &verifier.Error{Class: verifier.ErrDPoPReplay, Cause: errReplay}
	}
	return nil
}

var errReplay = errors.New("a proof with this key, htu and jti was used before")

// use stands for the proof by digests. The parts have fixed or stated lengths, so that
// no two proofs have the same text.
func (p *Proof) use() Use {
	text := make([]byte, 0, 512)
	text = append(text, p.key[:]...)
	text = append(text, byte(len(p.uri)>>24), byte(len(p.uri)>>16), byte(len(p.uri)>>8), byte(len(p.uri)))
	text = append(text, p.uri...)
	text = append(text, p.id...)
	return Use{ID: sha256.Sum256(text), Key: sha256.Sum256(p.key[:]), Until: p.expires, TTL: max(p.expires.Sub(p.now), time.Second)}
}

// use asks the store, which is the application's code: a panic of it is a failure.
func (v *Verifier) use(ctx context.Context, u Use) (fresh bool, err error) {
	if p := call("Config.Replays", func() { fresh, err = v.replays.Use(ctx, u) }); p != nil {
		return false, p
	}
	return fresh, err
}

// hashOf is ath for a token (RFC 9449 §4.2): base64url of the SHA-256 of its octets.
func hashOf(token string) [43]byte {
	var text [43]byte
	sum := sha256.Sum256(alias.Bytes(token))
	base64.RawURLEncoding.Encode(text[:], sum[:])
	return text
}

// checkedKey is the key of a proof with its thumbprint.
type checkedKey struct {
	key        *jose.Key
	thumbprint [32]byte
}
