// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/bearerguard/bearerguard/internal/alias"
)

// Verifier verifies access tokens. It is immutable and safe for concurrent use.
// The zero value and nil refuse every token with [ErrConfig].
type Verifier struct {
	issuers  map[string]*issuer
	tenants  *tenants // asked for an issuer that is not configured; nil: none
	only     *issuer  // the issuer, if there is just one and no tenants
	hints    *hints   // nil if there is an only one
	heads    heads
	maxBytes int         // the largest limit of all issuers
	onEvent  func(Event) // for refusals that concern no configured issuer
}

// New makes a verifier for the issuer that cfg describes. It does no I/O. The
// error is of class [ErrConfig] and lists every fault, each naming the field and
// the remedy; it is of class [ErrInternal] if cfg.OnEvent panics at a warning.
func New(cfg Config) (*Verifier, error) {
	is, err := newIssuer(cfg)
	if err != nil {
		return nil, err
	}
	return single(is), nil
}

func (v *Verifier) made() bool { return v != nil && (len(v.issuers) > 0 || v.tenants != nil) }

func single(is *issuer) *Verifier {
	return &Verifier{
		issuers:  map[string]*issuer{is.name: is},
		only:     is,
		maxBytes: is.maxBytes,
		onEvent:  is.onEvent,
	}
}

// Verify verifies raw as a plain bearer token and then checks reqs as
// [Token.Require] does. A token that is bound to a key or certificate (cnf) is
// [ErrBinding], because a bare string proves nothing about its sender (RFC 9449
// §7.2, RFC 8705 §3). ctx bounds the wait for keys.
func (v *Verifier) Verify(ctx context.Context, raw string, reqs ...Requirement) (*Token, error) {
	return v.VerifyBound(ctx, raw, nil, reqs...)
}

// VerifyBound is Verify for callers that can check sender constraints: confirm is
// called for every token that passed the other checks, bound or not, before any
// rule runs, and also when the token was verified before. It gets a copy of the
// token and may set only its Binding. A bound token that confirm accepts without
// setting Binding, or with one of two bindings only, is [ErrBinding] (RFC 9449 §7.1,
// RFC 8705 §3). An error of confirm without a class is [ErrInternal]. A nil confirm makes VerifyBound the same as Verify.
func (v *Verifier) VerifyBound(ctx context.Context, raw string, confirm func(context.Context, *Token) error, reqs ...Requirement) (*Token, error) {
	if !v.made() {
		return nil, fail(ErrConfig, "this Verifier was not made by verifier.New: call New and handle its error")
	}
	tok, is, err := v.decide(ctx, raw, confirm, reqs)
	if rerr := v.report(is, err); rerr != nil {
		return nil, rerr
	}
	if err != nil {
		return nil, err
	}
	return tok, nil
}

// decide runs the checks. Each hook has its own guard, so that its panic is told
// to the issuer concerned; this one denies whatever else might panic.
func (v *Verifier) decide(ctx context.Context, raw string, confirm func(context.Context, *Token) error, reqs []Requirement) (*Token, *issuer, error) {
	var tok *Token
	is := v.only
	err := guarded("the verifier", func() (err error) {
		tok, is, err = v.check(ctx, raw, confirm, reqs)
		return err
	})
	if err != nil {
		return nil, is, err
	}
	return tok, is, nil
}

func (v *Verifier) check(ctx context.Context, raw string, confirm func(context.Context, *Token) error, reqs []Requirement) (*Token, *issuer, error) {
	tok, is, err := v.authenticate(ctx, raw)
	if err != nil {
		return nil, is, err
	}
	if err := is.checkRevoked(ctx, tok); err != nil {
		return nil, is, err
	}
	if err := tok.bind(ctx, confirm, is.unsafeBinding); err != nil {
		return nil, is, err
	}
	if err := tok.Require(reqs...); err != nil {
		return nil, is, err
	}
	return tok, is, nil
}

// authenticate is steps 4 to 6 of the evaluation order: structure without
// network, then key and signature, then claims.
func (v *Verifier) authenticate(ctx context.Context, raw string) (*Token, *issuer, error) {
	if len(raw) > v.maxBytes {
		return nil, v.only, &Error{Class: ErrMalformedToken, Cause: errTooLong}
	}
	var digest digest
	if v.only == nil || v.only.cache.on() {
		digest = sha256.Sum256(alias.Bytes(raw))
	}
	if tok, is, err := v.seenBefore(ctx, digest); tok != nil || err != nil {
		return tok, is, err
	}
	d := desks.Get().(*desk)
	defer d.clear()
	u, err := d.parse(raw, &v.heads)
	if err != nil {
		return nil, v.only, err
	}
	tok, is, err := v.byIssuer(ctx, u, len(raw), digest)
	if err == nil {
		v.remember(u, is, digest)
	}
	return tok, is, err
}

// remember notes what makes tokens like u, which was verified, cheaper to read.
func (v *Verifier) remember(u *unverified, is *issuer, digest digest) {
	if !u.known {
		v.heads.put(u.segment, u.header)
	}
	if v.only == nil {
		v.hints.put(digest, is)
	}
}

var errTooLong = errors.New("longer than Config.MaxTokenBytes")

// byIssuer goes on with the issuer that u names.
func (v *Verifier) byIssuer(ctx context.Context, u *unverified, size int, digest digest) (*Token, *issuer, error) {
	iss, err := u.issuer()
	if err != nil {
		return nil, v.only, err
	}
	var tok *Token
	is := v.issuers[iss]
	switch {
	case is == nil && v.tenants != nil:
		return v.tenants.authenticate(ctx, iss, u, size, digest)
	case is == nil:
		return nil, v.only, fail(ErrIssuer, "iss is not a configured issuer (compared exactly, a trailing slash included)")
	case is == v.only: // the limit and the cache were looked at before the token was read
		tok, err = is.firstSight(ctx, u, digest)
	default:
		tok, err = is.authenticate(ctx, u, size, digest)
	}
	return tok, is, err
}

// authenticate verifies a token of which no more is known than its issuer.
func (is *issuer) authenticate(ctx context.Context, u *unverified, size int, digest digest) (*Token, error) {
	if size > is.maxBytes {
		return nil, fail(ErrMalformedToken, "longer than Config.MaxTokenBytes of its issuer")
	}
	if tok, err := is.seenBefore(ctx, digest); tok != nil || err != nil {
		return tok, err
	}
	return is.firstSight(ctx, u, digest)
}

// report tells the hook of the issuer concerned about the decision. What it
// returns replaces the decision: a hook that panics denies the request.
func (v *Verifier) report(is *issuer, err error) error {
	hook, name := v.onEvent, ""
	if is != nil {
		hook, name = is.onEvent, is.name
	}
	if err == nil {
		return emit(hook, Event{Kind: EventAccepted, Issuer: name})
	}
	return emit(hook, Event{Kind: EventRefused, Issuer: name, Class: ClassOf(err), Cause: causeOf(err)})
}

func causeOf(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e.Cause
	}
	return err
}

func emit(hook func(Event), ev Event) error {
	if hook == nil {
		return nil
	}
	return guarded("OnEvent", func() error {
		hook(ev)
		return nil
	})
}
