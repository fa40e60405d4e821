// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

var _ verifier.KeySource = (*Joined)(nil)

// Joined is one key source made of several, for one issuer: the old host of its keys
// and the new one, two regions, a static set beside the live one. It serves the keys
// of all parts that may serve theirs now: those of a static part verify tokens also
// after the issuer has withdrawn them, so for the day when the issuer cannot be reached
// Config.Snapshots is the better choice. It is safe for
// concurrent use if its parts are. The zero value and nil refuse with
// [verifier.ErrConfig].
//
// No part holds up or breaks what another can answer. A request waits only if no
// part has keys at once, and then for the first that has; or if its key is in none of
// the sets, and then for all that look for a newer one. To learn what a part has
// without a wait, it is asked with a context that has ended: a source of your own
// should answer such a call from memory, or return the error of the context.
type Joined struct {
	parts  []verifier.KeySource
	issuer string
	state  atomic.Pointer[merged]

	mu      sync.Mutex // for running against closed
	closed  atomic.Bool
	done    chan struct{} // ends all waiting
	running sync.WaitGroup
	once    sync.Once
	failure error // of Close
}

// merged is what the parts served when it was made. It is never changed.
type merged struct {
	parts []*verifier.KeySet // nil for a part that had none
	set   *verifier.KeySet   // of all of them; its pointer is the version
}

// answer is what a part said, with an error if it has no set.
type answer struct {
	set   *verifier.KeySet
	err   *verifier.Error
	waits bool // it only said that its context had ended
}

// ended asks a source for what it has at once.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Join makes one source of several for one issuer. The error is of class
// [verifier.ErrConfig]: no source, one that is nil, or sources of different issuers.
// Closing the Joined closes them.
func Join(sources ...verifier.KeySource) (*Joined, error) {
	var reasons []error
	issuer := ""
	for i, src := range sources {
		if hook.Nil(src) {
			reasons = append(reasons, fmt.Errorf("jwkscache.Join: argument %d is nil: handle the error of its constructor", i+1))
			continue
		}
		name, err := issuerOf(src)
		switch {
		case err != nil:
			reasons = append(reasons, fmt.Errorf("jwkscache.Join: argument %d: %w: correct its method Issuer", i+1, err))
		case issuer == "":
			issuer = name
		case name != "" && name != issuer:
			reasons = append(reasons, fmt.Errorf("jwkscache.Join: argument %d is of another issuer than one before it: make a verifier for each issuer, and one of them by verifier.Join", i+1))
		}
	}
	if len(sources) == 0 {
		reasons = append(reasons, errors.New("jwkscache.Join: no source given: pass at least one"))
	}
	if len(reasons) > 0 {
		return nil, refuse(reasons...)
	}
	return &Joined{parts: slices.Clone(sources), issuer: issuer, done: make(chan struct{})}, nil
}

func issuerOf(src verifier.KeySource) (name string, err error) {
	s, ok := src.(interface{ Issuer() string })
	if !ok {
		return "", nil
	}
	err = hook.Call("a key source's Issuer", func() { name = s.Issuer() })
	return name, err
}

// Issuer returns the issuer that the parts name; "" if none does.
func (j *Joined) Issuer() string {
	if j == nil {
		return ""
	}
	return j.issuer
}

// PublicOnly reports whether no part is known to connect to other addresses than
// public ones, see [Config.PublicOnly].
func (j *Joined) PublicOnly() bool {
	if j == nil || len(j.parts) == 0 {
		return false
	}
	for _, src := range j.parts {
		p, ok := src.(interface{ PublicOnly() bool })
		public := true
		if ok && hook.Call("a key source's PublicOnly", func() { public = p.PublicOnly() }) != nil || !public {
			return false
		}
	}
	return true
}

// Keys returns the keys of all parts that may serve theirs. Its set stays the same as
// long as those of the parts do. Without any it fails like the part of which another
// attempt is nearest. For a miss each part may look for a newer set; if none brings
// one, and one of them could not tell, its error is returned.
func (j *Joined) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	if j == nil || len(j.parts) == 0 {
		return nil, unconstructed("Joined", "Join")
	}
	if j.closed.Load() {
		return nil, &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: errors.New("the joined key source is closed")}
	}
	m, err := j.current(ctx)
	if err == nil && miss != nil && (miss.Set == m.set || miss.KeyID == "" || !names(m.set, miss.KeyID)) {
		m, err = j.newer(ctx, m, miss.KeyID)
	}
	if err != nil {
		return nil, err
	}
	return m.set, nil
}

// current is what the parts serve now.
func (j *Joined) current(ctx context.Context) (*merged, error) {
	if m := j.state.Load(); m != nil && j.unchanged(m) {
		return m, nil
	}
	answers := make([]answer, len(j.parts))
	for i := range j.parts {
		answers[i] = j.ask(ended, i, nil)
	}
	j.wait(ctx, answers, noMiss, func(i int) bool { return answers[i].set != nil })
	return j.merge(answers)
}

// unchanged is what nearly every request runs: no goroutine, no allocation.
func (j *Joined) unchanged(m *merged) bool {
	for i, set := range m.parts {
		if j.ask(ended, i, nil).set != set {
			return false
		}
	}
	return true
}

func noMiss(int) *verifier.Miss { return nil }

// merge makes the next version, unless the present one is the same.
func (j *Joined) merge(answers []answer) (*merged, error) {
	next := &merged{parts: make([]*verifier.KeySet, len(answers))}
	found := false
	for i, a := range answers {
		next.parts[i] = a.set
		found = found || a.set != nil
	}
	if !found {
		return nil, nearest(answers)
	}
	for {
		m := j.state.Load()
		if m != nil && slices.Equal(m.parts, next.parts) {
			return m, nil
		}
		if next.set == nil {
			next.set = verifier.MergeKeySets(next.parts...)
		}
		if j.state.CompareAndSwap(m, next) {
			return next, nil
		}
	}
}

// newer lets every part look for what m could not verify. A changed set is an answer
// only if it has the kid, or if no part failed: else the key may be in what that part
// could not fetch (KS-11).
func (j *Joined) newer(ctx context.Context, m *merged, kid string) (*merged, error) {
	missOf := func(i int) *verifier.Miss {
		if m.parts[i] == nil {
			return nil
		}
		return &verifier.Miss{Set: m.parts[i], KeyID: kid}
	}
	answers := make([]answer, len(j.parts))
	for i := range j.parts {
		answers[i] = j.ask(ended, i, missOf(i))
	}
	j.wait(ctx, answers, missOf, func(i int) bool {
		return answers[i].set != m.parts[i] && names(answers[i].set, kid)
	})
	next, err := j.current(ctx)
	if err != nil || next != m && kid != "" && names(next.set, kid) {
		return next, err
	}
	if err := nearest(answers); err != nil {
		return nil, err
	}
	return next, nil
}

func names(set *verifier.KeySet, kid string) bool {
	return slices.ContainsFunc(set.Describe(), func(k verifier.KeyInfo) bool { return k.ID == kid })
}

// wait asks those parts again that did not answer at once, all at the same time. It
// returns when each has answered, when one answer is enough, or when ctx ends or j is
// closed; the others are then told to leave.
func (j *Joined) wait(ctx context.Context, answers []answer, missOf func(int) *verifier.Miss, enough func(int) bool) {
	for i := range answers {
		if enough(i) {
			return
		}
	}
	if ctx.Err() != nil {
		gaveUp(ctx, answers)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan late, len(answers)) // room for all: nobody waits to be heard
	waiting := 0
	for i := range answers {
		if answers[i].waits && j.start(ctx, i, missOf(i), got) {
			waiting++
		}
	}
	over, grace := ctx.Done(), (<-chan time.Time)(nil)
	for waiting > 0 {
		select {
		case l := <-got:
			waiting--
			answers[l.part] = l.answer
			if enough(l.part) {
				return
			}
		case <-over: // whoever gives old keys to a caller that cannot wait does so now
			over, grace = nil, time.After(lastWords)
		case <-grace:
			gaveUp(ctx, answers)
			return
		case <-j.done:
			return
		}
	}
}

// lastWords is how long a part has to answer after the caller's time is over.
const lastWords = 50 * time.Millisecond

// gaveUp says of the parts that have not answered why nobody waits any longer.
func gaveUp(ctx context.Context, answers []answer) {
	for i := range answers {
		if answers[i].waits {
			why := fmt.Errorf("while waiting for joined key sources: %w", context.Cause(ctx))
			answers[i].err = &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: why}
		}
	}
}

// late is an answer that was waited for.
type late struct {
	part int
	answer
}

// start asks a part in the background; it does nothing after Close.
func (j *Joined) start(ctx context.Context, i int, miss *verifier.Miss, got chan<- late) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed.Load() {
		return false
	}
	j.running.Add(1)
	go func() {
		defer j.running.Done()
		a := broken(errors.New("a joined key source ended its goroutine"))
		defer func() { got <- late{i, a} }() // also if the source calls runtime.Goexit
		a = j.ask(ctx, i, miss)
	}()
	return true
}

// ask contains what a part may do: only an answer comes back.
func (j *Joined) ask(ctx context.Context, i int, miss *verifier.Miss) answer {
	var a answer
	p := hook.Call("a joined key source", func() {
		set, err := j.parts[i].Keys(ctx, miss)
		switch {
		case err != nil:
			a.err = aboutKeys(err)
			a.waits = errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		case set == nil:
			a = broken(errors.New("a joined key source returned neither keys nor an error"))
		default:
			a.set = set
		}
	})
	if p != nil {
		return broken(p)
	}
	return a
}

func broken(why error) answer {
	return answer{err: &verifier.Error{Class: verifier.ErrInternal, Cause: why}}
}

// aboutKeys leaves an error of a part only a class that a key source may have.
func aboutKeys(err error) *verifier.Error {
	var e *verifier.Error
	switch class := verifier.ClassOf(err); class {
	case verifier.ErrKeysUnavailable, verifier.ErrMetadata, verifier.ErrConfig:
		if errors.As(err, &e) && e != nil && e.Class == class {
			return e
		}
		return &verifier.Error{Class: class, Cause: err}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: err}
	}
	return &verifier.Error{Class: verifier.ErrInternal, Cause: err}
}

// nearest is the failure that tells most: that of the part which says when it will
// try again, the soonest of these, else one that is about the issuer. It is nil if no
// part failed.
func nearest(answers []answer) error {
	var best *verifier.Error
	for _, a := range answers {
		if a.err != nil && (best == nil || tellsMore(a.err, best)) {
			best = a.err
		}
	}
	if best == nil {
		return nil
	}
	return best
}

func tellsMore(e, than *verifier.Error) bool {
	if a, b := outage(e), outage(than); a != b {
		return a
	}
	return e.RetryAfter > 0 && (than.RetryAfter <= 0 || e.RetryAfter < than.RetryAfter)
}

func outage(e *verifier.Error) bool {
	return e.Class == verifier.ErrKeysUnavailable || e.Class == verifier.ErrMetadata
}

// Close ends all waiting and closes those parts that have a method Close, so that
// every later call fails with [verifier.ErrKeysUnavailable]. It returns what they
// return. It may be called more than once.
func (j *Joined) Close() error {
	if j == nil || len(j.parts) == 0 {
		return nil
	}
	j.once.Do(func() {
		j.mu.Lock()
		j.closed.Store(true)
		close(j.done)
		j.mu.Unlock()
		var failures []error
		for _, src := range j.parts {
			failures = append(failures, closeSource(src))
		}
		j.running.Wait()
		j.failure = errors.Join(failures...)
	})
	return j.failure
}

func closeSource(src verifier.KeySource) (err error) {
	c, ok := src.(interface{ Close() error })
	if !ok {
		return nil
	}
	if p := hook.Call("a key source's Close", func() { err = c.Close() }); p != nil {
		return p
	}
	return err
}
