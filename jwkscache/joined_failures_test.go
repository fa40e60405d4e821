// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

func TestJoinedFailures(t *testing.T) {
	after := func(class error, d time.Duration) error { return &verifier.Error{Class: class, RetryAfter: d} }
	for name, c := range map[string]struct {
		parts []error
		class error
		retry time.Duration
	}{
		"soonest":        {[]error{after(verifier.ErrKeysUnavailable, 9), after(verifier.ErrMetadata, 3), after(verifier.ErrKeysUnavailable, 5)}, verifier.ErrMetadata, 3},
		"with_a_time":    {[]error{verifier.ErrKeysUnavailable, after(verifier.ErrMetadata, 7)}, verifier.ErrMetadata, 7},
		"outage_first":   {[]error{errors.New("x"), after(verifier.ErrInternal, 1), verifier.ErrKeysUnavailable}, verifier.ErrKeysUnavailable, 0},
		"config":         {[]error{verifier.ErrConfig}, verifier.ErrConfig, 0},
		"unclassified":   {[]error{errors.New("x")}, verifier.ErrInternal, 0},
		"class_of_token": {[]error{after(verifier.ErrUnknownKey, 1)}, verifier.ErrInternal, 0},
		"typed_nil":      {[]error{(*verifier.Error)(nil)}, verifier.ErrInternal, 0},
		"wrapped":        {[]error{fmt.Errorf("x: %w", after(verifier.ErrMetadata, 2))}, verifier.ErrMetadata, 2},
		"deadline":       {[]error{context.DeadlineExceeded}, verifier.ErrKeysUnavailable, 0},
	} {
		t.Run("joined_error_"+name, func(t *testing.T) {
			var parts []verifier.KeySource
			for _, err := range c.parts {
				parts = append(parts, failingPart(err))
			}
			_, err := joinParts(t, parts...).Keys(t.Context(), nil)
			if e := wantClass(t, err, c.class); e.RetryAfter != c.retry {
				t.Errorf("retry after %v, want %v", e.RetryAfter, c.retry)
			}
			wantKeys(t, joinParts(t, append(parts, servingPart("one"))...), "one")
		})
	}
	broken := map[string]func(context.Context, *verifier.Miss) (*verifier.KeySet, error){
		"panics":         func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { panic("canary") },
		"panics_with_0":  func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { panic(nil) }, //nolint:govet // what is tested
		"nothing":        func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { return nil, nil },
		"error_panics":   func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { return nil, badError{} },
		"set_with_error": func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { return parsed("two"), errors.New("x") },
		"goroutine_ends": func(ctx context.Context, _ *verifier.Miss) (*verifier.KeySet, error) {
			if ctx.Err() == nil {
				runtime.Goexit()
			}
			return nil, ctx.Err()
		},
	}
	for name, keys := range broken {
		t.Run("SE-01/part_"+name, func(t *testing.T) {
			_, err := joinParts(t, &sourcePart{keys: keys}).Keys(t.Context(), nil)
			wantClass(t, err, verifier.ErrInternal)
			if strings.Contains(err.Error(), "canary") {
				t.Error(err)
			}
			j := joinParts(t, &sourcePart{keys: keys}, servingPart("one"), &sourcePart{keys: keys})
			m := wantKeys(t, j, "one")
			_, err = j.Keys(t.Context(), &verifier.Miss{Set: m, KeyID: "x"})
			wantClass(t, err, verifier.ErrInternal)
			if wantKeys(t, j, "one") != m {
				t.Error("another version")
			}
		})
	}
	t.Run("GO-02/zero_and_nil", func(t *testing.T) {
		for _, j := range []*jwkscache.Joined{nil, {}} {
			_, err := j.Keys(t.Context(), nil)
			wantClass(t, err, verifier.ErrConfig)
			if j.Issuer() != "" || j.Close() != nil {
				t.Error("a zero Joined has an issuer, or something to close")
			}
		}
	})
}

// badError panics when it is asked what it is.
type badError struct{}

func (badError) Error() string   { return "bad" }
func (badError) Is(error) bool   { panic("canary") }
func (badError) As(any) bool     { panic("canary") }
func (badError) Unwrap() []error { return nil }
