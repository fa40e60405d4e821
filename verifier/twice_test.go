// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// A token that was seen before takes another path than a new one, and must not fare
// otherwise. So the helpers of these tests send each token twice, to the verifier of
// the test and to twins of it. Tests that count what one sending causes use verifyOnce
// and expectOnce, which leave it at the twins; those that count what their own rules
// see call Verify themselves.

type confirmFunc = func(context.Context, *verifier.Token) error

// outcome is all that one call lets the outside see.
type outcome struct {
	tok    *verifier.Token
	err    error
	events []verifier.Event
}

// madeOf holds the configuration of each verifier of newVerifier, for its twins.
var madeOf sync.Map // *verifier.Verifier to verifier.Config

func remember(t testing.TB, v *verifier.Verifier, cfg verifier.Config) {
	madeOf.Store(v, cfg)
	t.Cleanup(func() { madeOf.Delete(v) })
}

// verifyTwice is the outcome of Verify. It fails unless the second call has the same.
func verifyTwice(t testing.TB, v *verifier.Verifier, raw string, reqs ...verifier.Requirement) (*verifier.Token, error) {
	t.Helper()
	return verifyBoundTwice(t, v, raw, nil, reqs...)
}

// verifyOnce sends the token only once to v itself.
func verifyOnce(t testing.TB, v *verifier.Verifier, raw string, reqs ...verifier.Requirement) (*verifier.Token, error) {
	t.Helper()
	askTwins(t, v, raw, nil, reqs)
	return v.Verify(t.Context(), raw, reqs...)
}

// verifyBoundTwice is verifyTwice for VerifyBound.
func verifyBoundTwice(t testing.TB, v *verifier.Verifier, raw string, confirm confirmFunc, reqs ...verifier.Requirement) (*verifier.Token, error) {
	t.Helper()
	askTwins(t, v, raw, confirm, reqs)
	tok, err := v.VerifyBound(t.Context(), raw, confirm, reqs...)
	again, errAgain := v.VerifyBound(t.Context(), raw, confirm, reqs...)
	wantSame(t, "sent again", outcome{tok, err, nil}, outcome{again, errAgain, nil})
	return tok, err
}

// askTwins sends the token to two new verifiers of the same configuration, twice to
// each. One of them has no cache. All four outcomes must be the same, events included.
func askTwins(t testing.TB, v *verifier.Verifier, raw string, confirm confirmFunc, reqs []verifier.Requirement) {
	t.Helper()
	stored, known := madeOf.Load(v)
	if !known {
		return
	}
	var first *outcome
	for _, entries := range []int{16, -1} {
		cfg := stored.(verifier.Config)
		keys, harmless := copySource(cfg.Keys)
		if !harmless {
			return
		}
		heard := &recorder{}
		cfg.Keys, cfg.CacheEntries, cfg.OnEvent = keys, entries, heard.hook
		twin := ok(verifier.New(cfg))
		heard.take() // warnings of New
		for _, time := range []string{"first", "second"} {
			tok, err := twin.VerifyBound(t.Context(), raw, confirm, reqs...)
			got := outcome{tok, err, heard.take()}
			if first == nil {
				first = &got
			}
			wantSame(t, fmt.Sprintf("CacheEntries %d, %s time", entries, time), *first, got)
		}
	}
}

// copySource gives a twin a source that behaves as keys does now. harmless is false for
// a source that cannot be copied and might count.
func copySource(keys verifier.KeySource) (twin verifier.KeySource, harmless bool) {
	switch src := keys.(type) {
	case *source:
		src.mu.Lock()
		defer src.mu.Unlock()
		return &source{current: src.current, refreshed: src.refreshed, err: src.err, missErr: src.missErr}, true
	case fixed:
		return src, true
	}
	return nil, false
}

// wantSame fails unless both outcomes have the same class, text, events and token.
func wantSame(t testing.TB, when string, want, got outcome) {
	t.Helper()
	if a, b := verifier.ClassOf(want.err), verifier.ClassOf(got.err); a != b {
		t.Errorf("%s: %v (%v), want %v (%v)", when, b, got.err, a, want.err)
		return
	}
	if a, b := kindsOf(want.events), kindsOf(got.events); !slices.Equal(a, b) {
		t.Errorf("%s: events %v, want %v", when, b, a)
	}
	if (want.tok == nil) != (got.tok == nil) {
		t.Errorf("%s: token %v, want %v", when, got.tok, want.tok)
	} else if want.tok != nil {
		if diff := differences(want.tok, got.tok); diff != "" {
			t.Errorf("%s: another token: %s", when, diff)
		}
	}
}

func kindsOf(events []verifier.Event) (kinds []string) {
	for _, e := range events {
		kinds = append(kinds, fmt.Sprintf("%s/%v/%s", e.Kind, e.Class, e.Issuer))
	}
	return kinds
}

// differences names the exported fields in which two tokens differ, and Decode if it
// gives another map; "" if none do. What is unexported may differ: only what a handler
// can see counts.
func differences(a, b *verifier.Token) string {
	var names []string
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		field := x.Type().Field(i)
		if field.IsExported() && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, field.Name)
		}
	}
	var inA, inB map[string]any
	errA, errB := a.Decode(&inA), b.Decode(&inB)
	if verifier.ClassOf(errA) != verifier.ClassOf(errB) || !reflect.DeepEqual(inA, inB) {
		names = append(names, "Decode")
	}
	for _, s := range append(slices.Clone(a.Scopes), "orders:read", "read", "admin") {
		if a.HasScope(s) != b.HasScope(s) {
			names = append(names, "HasScope")
			break
		}
	}
	return strings.Join(names, ", ")
}

// failures is a testing.TB that only counts.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.n++ }

// TestTwiceNotices shows that the comparison can fail.
func TestTwiceNotices(t *testing.T) {
	tok := func(claims object) *verifier.Token { return expectOnce(t, newVerifier(t), token(nil, claims), nil) }
	all := outcome{tok(nil), nil, []verifier.Event{{Kind: verifier.EventAccepted}}}
	refused := outcome{nil, verifier.ErrExpired, []verifier.Event{{Kind: verifier.EventRefused, Class: verifier.ErrExpired}}}
	for name, tt := range map[string]struct {
		a, b outcome
		same bool
	}{
		"equal":        {all, outcome{tok(nil), nil, all.events}, true},
		"refused":      {refused, refused, true},
		"one refused":  {all, refused, false},
		"class":        {refused, outcome{nil, verifier.ErrSignature, refused.events}, false},
		"no token":     {all, outcome{nil, nil, all.events}, false},
		"no event":     {all, outcome{all.tok, nil, nil}, false},
		"another kind": {all, outcome{all.tok, nil, refused.events}, false},
		"field":        {all, outcome{tok(object{"sub": "user-2"}), nil, all.events}, false},
		"actor":        {outcome{tok(object{"act": object{"sub": "a"}}), nil, nil}, outcome{tok(object{"act": object{"sub": "b"}}), nil, nil}, false},
		"claim":        {all, outcome{tok(object{"plan": "gold"}), nil, all.events}, false},
	} {
		f := &failures{TB: t}
		if wantSame(f, name, tt.a, tt.b); (f.n == 0) != tt.same {
			t.Errorf("%s: %d failures", name, f.n)
		}
	}
}

// forgetful is a source that knows its key at the first question only.
type forgetful struct{ asked int }

func (f *forgetful) Keys(context.Context, *verifier.Miss) (*verifier.KeySet, error) {
	if f.asked++; f.asked > 1 {
		return nil, errors.New("gone")
	}
	return jwks(jwk(rsaOne(), object{"kid": "one"})), nil
}

func TestTwiceSendsTwice(t *testing.T) {
	f := &failures{TB: t}
	verifyTwice(f, newVerifier(t, withSource(&forgetful{})), token(nil, nil))
	if f.n != 1 {
		t.Errorf("%d failures of a verifier that answers otherwise the second time", f.n)
	}
}
