// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
)

const (
	resolveLimit = 5 * time.Second
	maxResolving = 16
	unknownFor   = 30 * time.Second // that there is no such tenant
	failedFor    = 5 * time.Second
	maxPause     = 5 * time.Minute // that a failure may ask of clients
)

// resolution is one call of Resolve, which any number of requests wait for. It is
// changed with the lock of its tenants only, and not after done was closed.
type resolution struct {
	iss     string
	done    chan struct{}
	settled bool
	dropped bool    // Accept said no meanwhile: the result is for those who wait, and not kept
	waiting int64   // requests, each of which will own a reference to tenant
	tenant  *tenant // if err is nil
	err     *Error
}

// failure is a result of Resolve that stands until a time.
type failure struct {
	err   *Error
	until time.Time
}

// at is a copy of the error, with the time until another attempt can be made.
func (f failure) at(now time.Time) *Error {
	e := *f.err
	if e.Class != ErrIssuer {
		e.RetryAfter = max(e.RetryAfter, f.until.Sub(now))
	}
	return &e
}

// enter returns the tenant, with a reference, or the resolution to wait for.
func (ts *tenants) enter(iss string) (*tenant, *resolution, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed {
		return nil, nil, &Error{Class: ErrKeysUnavailable, Cause: errClosed}
	}
	if t := ts.known(iss); t != nil {
		return t, nil, nil
	}
	if t := ts.inUse(iss); t != nil {
		return t, nil, nil
	}
	now := time.Now()
	if f, ok := ts.failed.Peek(iss); ok && now.Before(f.until) {
		return nil, nil, f.at(now)
	}
	if r := ts.flights[iss]; r != nil {
		r.waiting++
		return nil, r, nil
	}
	r, err := ts.start(iss, now)
	return nil, r, err
}

// start begins a resolution for one request. It is called with the lock.
func (ts *tenants) start(iss string, now time.Time) (*resolution, error) {
	if wait := ts.rate.take(now); wait > 0 {
		e := fail(ErrKeysUnavailable, "more issuers were asked for than Tenants.MaxIssuers allows per minute")
		e.RetryAfter = wait
		return nil, e
	}
	r := &resolution{iss: iss, done: make(chan struct{}), waiting: 1}
	ts.flights[iss] = r
	ts.running.Add(1)
	go ts.run(r)
	return r, nil
}

// await leaves the resolution to the others when ctx, of which left is Done, ends
// first.
func (ts *tenants) await(ctx context.Context, left <-chan struct{}, r *resolution) (*tenant, error) {
	select {
	case <-r.done:
		return r.result()
	case <-left:
	}
	ts.mu.Lock()
	if r.settled && r.tenant != nil {
		ts.release(r.tenant)
	}
	r.waiting--
	ts.mu.Unlock()
	return nil, fail(ErrKeysUnavailable, "while waiting for the issuer's configuration: %w", context.Cause(ctx))
}

// result is for one request, which may do with the error what it likes.
func (r *resolution) result() (*tenant, error) {
	if r.err != nil {
		e := *r.err
		return nil, &e
	}
	return r.tenant, nil
}

// run makes the call. The requests get their answer after the limit even if the
// call goes on; it then keeps its slot and stays the only one for its issuer.
func (ts *tenants) run(r *resolution) {
	defer ts.running.Done()
	defer ts.leave(r)
	if !ts.slot() {
		ts.settle(r, nil, fail(ErrKeysUnavailable, "%d calls of Tenants.Resolve are under way, and no place became free within %v", maxResolving, resolveLimit))
		return
	}
	defer func() { <-ts.slots }()
	defer ts.settle(r, nil, fail(ErrInternal, "Tenants.Resolve ended its goroutine"))
	ctx, cancel := context.WithTimeout(ts.life, resolveLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		ts.settle(r, nil, fail(ErrKeysUnavailable, "Tenants.Resolve took longer than %v", resolveLimit))
	})
	defer stop()
	is, err := ts.ask(ctx, r.iss)
	if !ts.settle(r, is, err) && is != nil {
		ts.discard(is)
	}
}

// slot waits until one of the calls under way has ended.
func (ts *tenants) slot() bool {
	ctx, cancel := context.WithTimeout(ts.life, resolveLimit)
	defer cancel()
	select {
	case ts.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask calls Resolve and looks at what it returns, all of which is foreign: also the
// source's methods and the error's.
func (ts *tenants) ask(ctx context.Context, iss string) (is *issuer, failed *Error) {
	var cfg Config
	defer func() {
		if is == nil { // nobody else will close what was made for it
			ts.discard(&issuer{name: iss, keys: cfg.Keys, onEvent: ts.onEvent})
		}
	}()
	var made *issuer
	p := hook.Call("Tenants.Resolve, or the source it returned", func() { made, failed = ts.answer(ctx, iss, &cfg) })
	if p != nil {
		return nil, &Error{Class: ErrInternal, Cause: p}
	}
	return made, failed
}

// answer sets cfg before it looks at it, also beside an error.
func (ts *tenants) answer(ctx context.Context, iss string, cfg *Config) (*issuer, *Error) {
	var err error
	if *cfg, err = ts.resolve(ctx, iss); err != nil {
		return nil, classifyResolve(err)
	}
	is, err := ts.build(iss, *cfg)
	if err != nil {
		return nil, classifyResolve(err)
	}
	return is, nil
}

// classifyResolve: only that there is no such tenant is the token's fault.
func classifyResolve(err error) *Error {
	e := classify(err, ErrKeysUnavailable)
	switch e.Class {
	case ErrIssuer, ErrKeysUnavailable, ErrMetadata, ErrConfig, ErrInternal:
		return &Error{Class: e.Class, Cause: fmt.Errorf("Tenants.Resolve: %w", err), RetryAfter: min(e.RetryAfter, maxPause)}
	}
	return &Error{Class: ErrKeysUnavailable, Cause: fmt.Errorf("Tenants.Resolve returned an error of a class that is not about keys: %w", err)}
}

// discard closes the source of an issuer that was not taken. Nobody waits for that
// but Close.
func (ts *tenants) discard(is *issuer) { ts.running.Go(func() { ts.shut(is) }) }

// settle gives the requests the first result that there is, and reports whether
// this one was it and the issuer was taken.
func (ts *tenants) settle(r *resolution, is *issuer, failed *Error) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if r.settled {
		return false
	}
	r.settled = true
	defer close(r.done)
	switch {
	case ts.closed:
		r.err = &Error{Class: ErrKeysUnavailable, Cause: errClosed}
	case failed != nil:
		ts.remember(r, failed)
		ts.running.Go(func() { ts.tell(r.iss, failed) }) // no answer waits for a hook
	default:
		ts.adopt(r, is)
	}
	return r.err == nil
}

// adopt gives a reference to a shelf and to each request that waits. The result is
// newer than a tenant that was pushed out and has come back meanwhile.
func (ts *tenants) adopt(r *resolution, is *issuer) {
	t := &tenant{is: is, dropped: r.dropped}
	t.refs.Store(1 + r.waiting)
	r.tenant = t
	ts.running.Add(1)
	ts.live[r.iss] = append(ts.live[r.iss], t)
	if r.dropped {
		ts.release(t)
		return
	}
	delete(ts.flights, r.iss) // who comes after it was pushed out has to ask again
	ts.unshelve(r.iss)
	ts.shelve(t)
}

func (ts *tenants) remember(r *resolution, failed *Error) {
	now := time.Now()
	keep := failedFor
	if failed.Class == ErrIssuer {
		keep = unknownFor
	}
	f := failure{failed, now.Add(keep)}
	if !r.dropped {
		ts.failed.Add(r.iss, f)
	}
	r.err = f.at(now)
}

// tell reports a failure once, whoever waited for it. A hook's panic has no one
// request to deny here.
func (ts *tenants) tell(iss string, failed *Error) {
	_ = emit(ts.onEvent, Event{Kind: EventFetchFailed, Issuer: iss, Class: failed.Class, Cause: failed.Cause})
}

// leave makes room for another resolution of the issuer, if r was still its last.
func (ts *tenants) leave(r *resolution) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.flights[r.iss] == r {
		delete(ts.flights, r.iss)
	}
}
