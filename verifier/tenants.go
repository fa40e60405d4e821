// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/jose"
)

const (
	defaultTenants = 1_000
	minTenants     = 2 // one place for the proven, one for the others
	maxTenants     = 100_000
	tenantEntries  = 256 // of a tenant's token cache, so that 1,000 tenants stay small
	maxIssuerBytes = 1_024
)

// Tenants describes issuers that are not known at start: the application says which
// identifiers are its tenants', and returns their configuration on first use. There
// are no patterns (RFC 8414 §3.3). [NewTenants] copies it and reports every fault
// at once. The functions are called by many goroutines at once, and must not call
// Close of the verifier.
type Tenants struct {
	// Accept says whether issuer is the identifier of a tenant. It gets whatever an
	// unverified token names, of at most 1,024 bytes, and is called for each token, so
	// it is local and quick. Compare with a list, or take the whole identifier apart;
	// never look for a prefix, suffix or pattern in it (RFC 8725 §3.10). Required.
	//
	// False refuses with [ErrIssuer]; nothing is fetched or remembered then, and what is
	// in memory of that issuer is dropped, a call of Resolve under way included.
	Accept func(issuer string) bool
	// Resolve returns the configuration of an accepted issuer, whose Issuer must be
	// the very string that was asked for. It may do I/O; ctx ends after 5 s, with Close,
	// and with no request. One call at a time is made per issuer that Accept keeps
	// accepting, which all requests waiting for it share, and 16 in all. Required.
	//
	// An error of class [ErrIssuer] means that there is no such tenant, and is remembered
	// for 30 s; any other failure is a 503, and remembered for 5 s. [ErrMetadata],
	// [ErrConfig] and [ErrInternal] keep their class; the rest is [ErrKeysUnavailable],
	// with a RetryAfter of at most 5 min. A Resolve that goes on after its ctx ended keeps
	// its place among the 16 and delays Close.
	//
	// The configuration is kept until it has to make room, and its Keys are closed
	// then if they have a method Close, also those returned beside an error. Wrap a
	// source that tenants share, so that it shows none, as in
	// struct{ verifier.KeySource }{shared}, and close it in OnClose. CacheEntries 0 means 256
	// here, MaxTokenBytes can only lower the limit below, and a nil OnEvent stands for
	// the one below.
	Resolve func(ctx context.Context, issuer string) (Config, error)
	// MaxIssuers is how many configurations are kept, and how many calls of Resolve may
	// begin per minute. Where all places are taken, an issuer of which no token was accepted
	// yet gives way; but if these have no more than a quarter of the places, the tenant
	// not used for longest does. So forged tokens can push out a quarter of the tenants
	// at most, of those used last none. 0 means 1,000; from 2 to 100,000.
	MaxIssuers int
	// MaxTokenBytes is the longest token that is looked at. 0 means 16,384; from 1,024 to 65,536.
	MaxTokenBytes int
	// UnsafePrivateAddresses accepts sources that may connect to private addresses: those
	// whose method PublicOnly returns false. Whoever can name an address in a tenant's
	// metadata can then send requests into your network. The zero value refuses them as
	// a faulty configuration. Reported once as a warning event.
	UnsafePrivateAddresses bool
	// OnClose is called once by [Verifier.Close], after the sources of all tenants were
	// closed: for what the configurations share. nil means nothing.
	OnClose func() error
	// OnEvent is as in [Config]: it gets refusals that concern no tenant, failures of
	// Resolve, and all events of tenants without a hook of their own. nil means none.
	OnEvent func(Event)
}

// NewTenants makes a verifier for issuers that cfg accepts and resolves. It does no
// I/O and calls no function of cfg but OnEvent. [Join] puts one such verifier beside
// those of configured issuers, which are looked for first. Close it when done. The
// error is of class [ErrConfig] and lists every fault, each naming the field and the
// remedy; it is of class [ErrInternal] if cfg.OnEvent panics at a warning.
func NewTenants(cfg Tenants) (*Verifier, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.UnsafePrivateAddresses {
		err := emit(cfg.OnEvent, Event{
			Kind:  EventWarning,
			Cause: errors.New("Tenants.UnsafePrivateAddresses is set: a tenant's metadata can name addresses in the private network"),
		})
		if err != nil {
			return nil, err
		}
	}
	ts := newTenants(cfg)
	return &Verifier{tenants: ts, hints: newHints(ts.size), maxBytes: ts.maxBytes, onEvent: ts.onEvent}, nil
}

func (cfg Tenants) check() error {
	var f faults
	if cfg.Accept == nil {
		f.add("verifier.Tenants.Accept is nil: set it to a function that knows the identifiers of all tenants")
	}
	if cfg.Resolve == nil {
		f.add("verifier.Tenants.Resolve is nil: set it to a function that returns the configuration of an issuer")
	}
	if n := cfg.MaxIssuers; n != 0 && (n < minTenants || n > maxTenants) {
		f.add("verifier.Tenants.MaxIssuers is outside %d to %d: choose a value inside, or 0 for %d", minTenants, maxTenants, defaultTenants)
	}
	if n := cfg.MaxTokenBytes; n != 0 && (n < minMaxBytes || n > maxMaxBytes) {
		f.add("verifier.Tenants.MaxTokenBytes is outside %d to %d: choose a value inside, or 0 for %d", minMaxBytes, maxMaxBytes, defaultMaxBytes)
	}
	return f.err()
}

// authenticate is [Verifier.authenticate] for an iss that no configured issuer has.
// Before Accept said yes, the iss is told to nobody; afterwards the application has
// named it its own.
func (ts *tenants) authenticate(ctx context.Context, iss string, u *unverified, size int, digest digest) (*Token, *issuer, error) {
	if len(iss) > maxIssuerBytes {
		return nil, nil, fail(ErrIssuer, "iss is longer than %d bytes", maxIssuerBytes)
	}
	iss = strings.Clone(iss) // a part of the token would keep all of it in the memory of whoever keeps iss
	if err := ts.admit(iss); err != nil {
		return nil, nil, err
	}
	t, err := ts.find(ctx, iss, u, size)
	if err != nil {
		return nil, &issuer{name: iss, onEvent: ts.onEvent}, err
	}
	defer ts.release(t)
	tok, err := t.is.authenticate(ctx, u, size, digest)
	if err != nil {
		return nil, t.is, err
	}
	ts.proved(t)
	return tok, t.is, nil
}

// admit asks the application at every token, so that a tenant that it gave up is
// refused at once and not when its place is needed.
func (ts *tenants) admit(iss string) error {
	accepted := false
	err := guarded("Tenants.Accept", func() error {
		accepted = ts.accept(iss)
		return nil
	})
	switch {
	case err != nil:
		return err
	case !accepted:
		ts.forget(iss)
		return fail(ErrIssuer, "iss is neither a configured issuer nor accepted by Tenants.Accept")
	}
	return nil
}

// find returns the tenant, to be released. What condemns the token whoever signed
// it must cause no I/O.
func (ts *tenants) find(ctx context.Context, iss string, u *unverified, size int) (*tenant, error) {
	if size > ts.maxBytes {
		return nil, fail(ErrMalformedToken, "longer than Tenants.MaxTokenBytes")
	}
	if !anyAlgorithm[u.header.alg] { // whatever Config.Algorithms may list
		return nil, fail(ErrAlgorithm, "alg is none that a tenant could allow")
	}
	if t := ts.known(iss); t != nil {
		return t, nil
	}
	if foreignTyp(u.header) {
		return nil, fail(ErrTokenType, "typ is none that a tenant could allow")
	}
	left := ctx.Done() // may panic, so it is called before a reference is due
	t, r, err := ts.enter(iss)
	if r == nil {
		return t, err
	}
	return ts.await(ctx, left, r)
}

// foreignTyp reports a typ that Config.TokenTypes cannot list.
func foreignTyp(h header) bool {
	return h.hasTyp && (h.typ == "" || foreignTypes[h.typ] || strings.ContainsAny(h.typ, " \t\r\n;,"))
}

// build checks what Resolve returned for iss.
func (ts *tenants) build(iss string, cfg Config) (*issuer, error) {
	var f faults
	if cfg.Issuer != iss {
		f.field("Issuer is not the issuer that Tenants.Resolve was asked for: return the very string")
	}
	if !ts.private && reachesPrivate(cfg.Keys) {
		f.field("Keys may connect to private addresses: set PublicOnly of jwkscache.Config, or Tenants.UnsafePrivateAddresses if that is meant")
	}
	checkAlgorithms(&f, cfg.Algorithms)
	if cfg.CacheEntries == 0 {
		cfg.CacheEntries = tenantEntries
	}
	if cfg.MaxTokenBytes == 0 {
		cfg.MaxTokenBytes = ts.maxBytes
	}
	if cfg.OnEvent == nil {
		cfg.OnEvent = ts.onEvent
	}
	return buildIssuer(&f, cfg, jose.DefaultAlgorithms())
}

// reachesPrivate reports a source that says itself that it lacks the guard of RFC
// 9728 §7.7. Sources without the method are the application's own affair.
func reachesPrivate(keys KeySource) bool {
	if hook.Nil(keys) {
		return false
	}
	src, ok := keys.(interface{ PublicOnly() bool })
	return ok && !src.PublicOnly()
}

// bucket bounds how often something begins: capacity at once, and as many again in
// a minute. It is kept as the time at which it will be full again.
type bucket struct {
	each time.Duration // until one more may begin
	full time.Time
}

// take returns 0, or how long it takes until one may begin.
func (b *bucket) take(now time.Time) time.Duration {
	full := b.full
	if full.Before(now) {
		full = now
	}
	full = full.Add(b.each)
	if over := full.Sub(now) - time.Minute; over > 0 {
		return over
	}
	b.full = full
	return 0
}
