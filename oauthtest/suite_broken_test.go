// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// complaint stands in for a test that is expected to fail.
type complaint struct {
	*testing.T
	lines chan string
}

func newComplaint(t *testing.T) *complaint {
	return &complaint{T: t, lines: make(chan string, 10_000)}
}

func (c *complaint) Helper() {}
func (c *complaint) Errorf(format string, args ...any) {
	select {
	case c.lines <- fmt.Sprintf(format, args...):
	default: // enough
	}
}
func (c *complaint) Fatalf(format string, args ...any) { c.Errorf(format, args...); runtime.Goexit() }
func (c *complaint) Fatal(args ...any)                 { c.Fatalf("%s", fmt.Sprint(args...)) }
func (c *complaint) Skip(...any)                       { runtime.Goexit() }

// failed runs a check in a bubble of its own and reports what it said first.
func failed(t *testing.T, name string, check func(testing.TB)) (first string) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, done := newComplaint(t), make(chan struct{})
			go func() { defer close(done); check(c) }()
			<-done
			if len(c.lines) > 0 {
				first = <-c.lines
			}
		})
	})
	return first
}

// TestStandstill: the panic of the watchdog is all that one sees of the check.
func TestStandstill(t *testing.T) {
	if text := standstill("some_check"); !strings.Contains(text, "the check some_check stands still") {
		t.Error(text)
	}
	if watch("some_check").Stop() != true {
		t.Error("the watchdog was not running")
	}
}

// TestGoodKeySources: what is allowed, if only just, passes every check.
func TestGoodKeySources(t *testing.T) {
	t.Parallel()
	serves := func(long time.Duration) func(t testing.TB, as *Server) verifier.KeySource {
		return brokenSource{keys: func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) { return s.serving(long, c, m) }}.open
	}
	warm := func(begin func(warm func())) func(t testing.TB, as *Server) verifier.KeySource {
		return func(t testing.TB, as *Server) verifier.KeySource {
			c, err := jwkscache.New(jwkscache.Config{Issuer: as.Issuer(), HTTPClient: as.HTTPClient()})
			if err != nil {
				t.Fatal(err)
			}
			begin(func() { _ = c.Warm(context.Background()) })
			return c
		}
	}
	for name, open := range map[string]func(t testing.TB, as *Server) verifier.KeySource{
		"old_keys_for_96_hours": serves(freshLimit + staleLimit), // also when closed
		"warm_in_make":          warm(func(warm func()) { warm() }),
		"warm_in_background":    warm(func(warm func()) { go warm() }),
	} {
		t.Run(name, func(t *testing.T) {
			OneOfMany(t, name == "warm_in_background")
			for _, c := range keySourceChecks {
				if name == "old_keys_for_96_hours" && c.name == "closed_source_serves_nothing" {
					continue
				}
				if text := failed(t, c.name, func(t testing.TB) { c.play(t, open) }); text != "" {
					t.Errorf("%s: %s", c.name, text)
				}
			}
		})
	}
}

func TestBrokenKeySources(t *testing.T) {
	t.Parallel()
	for name, b := range brokenSources {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(keySourceChecks, func(c keySourceCheck) bool { return c.name == b.check })
			if text := failed(t, b.check, func(t testing.TB) { keySourceChecks[i].play(t, b.open) }); text == "" {
				t.Error("not found")
			} else {
				t.Log(text)
			}
		})
	}
}
