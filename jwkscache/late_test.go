// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// TestEndedGoroutine: a hook or a transport may end the goroutine of a fetch, as
// t.FailNow does in a test; nobody may wait for that fetch for ever.
func TestEndedGoroutine(t *testing.T) {
	inWorld(t, "SE-01/F34_hook_ends_the_goroutine", byURL, func(w *world) {
		cache := w.another(func(cfg *jwkscache.Config) {
			cfg.OnEvent = func(e verifier.Event) {
				if e.Kind == verifier.EventFetched {
					runtime.Goexit()
				}
			}
		})
		ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
		defer cancel()
		if _, err := cache.Keys(ctx, nil); err != nil {
			w.Fatal(err)
		}
	})
	inWorld(t, "SE-01/F34_transport_ends_the_goroutine", byURL, func(w *world) {
		n := 0
		cache := w.another(func(cfg *jwkscache.Config) {
			cfg.HTTPClient = &http.Client{Transport: trip(func(*http.Request) (*http.Response, error) {
				if n++; n == 1 {
					runtime.Goexit()
				}
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(kids("one")))}, nil
			})}
		})
		ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
		defer cancel()
		e := wantClass(w, cache.Warm(ctx), verifier.ErrKeysUnavailable)
		w.wantEvents(verifier.EventFetchFailed, 1)
		w.pass(e.RetryAfter)
		if err := cache.Warm(ctx); err != nil || w.elapsed() > 2*time.Second {
			w.Fatalf("after %v: %v", w.elapsed(), err)
		}
	})
	inWorld(t, "SE-08/slow_hook_may_ask_the_cache", byURL, func(w *world) {
		w.status(jwksURL, 500)
		var cache *jwkscache.Cache
		cache = w.another(func(cfg *jwkscache.Config) {
			cfg.OnEvent = func(e verifier.Event) {
				if e.Kind == verifier.EventFetchFailed {
					time.Sleep(3 * time.Second) // past the first back-off
					cache.Keys(w.Context(), nil)
				}
			}
		})
		cache.Keys(w.Context(), nil)
	})
}

func TestPoison(t *testing.T) {
	inWorld(t, "KS-09/long_validator_is_not_sent_back", byURL, func(w *world) {
		w.body(jwksURL, kids("one"), "ETag", `"`+strings.Repeat("x", 1<<10)+`"`)
		w.keys()
		w.busy(15*time.Minute, time.Minute)
		if got := w.last().Get("If-None-Match"); got != "" || w.cache.Status().Failures > 0 {
			w.Fatalf("%d bytes were sent back", len(got))
		}
	})
	inWorld(t, "KS-08/expires_long_ago_less_age", byURL, func(w *world) {
		w.body(jwksURL, kids("one"), "Expires", "Mon, 01 Jan 0001 00:00:00 GMT", "Age", "1")
		w.keys()
		if s := w.cache.Status(); s.FreshUntil.Sub(s.Fetched) != time.Minute {
			w.Fatal(s.FreshUntil.Sub(s.Fetched))
		}
	})
	inWorld(t, "MD-05/redirect_to_an_unreadable_address", byIssuer, func(w *world) {
		w.status(metaURL, 302, "Location", "https://[bad/?code=secret")
		w.body(issuer+"/.well-known/openid-configuration", document(issuer, jwksURL))
		if err := w.cache.Warm(w.Context()); err != nil {
			w.Fatal(err)
		}
	})
}

func TestBackoffJitter(t *testing.T) {
	for name, headers := range map[string][]string{
		"jitter":                      nil,
		"F5_retry_after_jitter":       {"Retry-After", "90"},
		"F5_retry_after_bound_jitter": {"Retry-After", "86400"},
	} {
		inWorld(t, "KS-13/"+name, byURL, func(w *world) {
			w.status(jwksURL, 503, headers...)
			waits := map[time.Duration]bool{}
			for range 20 {
				e := wantClass(w, w.another(byURL).Warm(w.Context()), verifier.ErrKeysUnavailable)
				waits[e.RetryAfter] = true
			}
			if len(waits) < 15 {
				w.Fatalf("20 caches wait %d different times", len(waits))
			}
		})
	}
}

// TestReleasedByClose: the timer of a closed cache must not hold on to it, for up
// to a day.
func TestReleasedByClose(t *testing.T) {
	t.Run("KS-26/closed_cache_is_garbage", func(t *testing.T) {
		released := make(chan struct{})
		func() {
			cache, err := jwkscache.New(jwkscache.Config{URL: jwksURL, HTTPClient: &http.Client{
				Transport: trip(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(kids("one")))}, nil
				}),
			}})
			if err != nil {
				t.Fatal(err)
			}
			runtime.AddCleanup(cache, func(done chan struct{}) { close(done) }, released)
			if err := cache.Warm(t.Context()); err != nil {
				t.Fatal(err)
			}
			cache.Close()
		}()
		for range 1000 {
			runtime.GC()
			runtime.Gosched()
			select {
			case <-released:
				return
			default:
			}
		}
		t.Error("the cache is still in use")
	})
}

// valueless is an error that panics when asked what it is.
type valueless struct{}

func (valueless) Error() string { panic("no text") }
func (valueless) Unwrap() error { panic("no cause") }

type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }
func (b brokenBody) Close() error             { return nil }

// TestErrorsWithoutValue: a refresh runs on a goroutine of its own, where a panic
// would end the process.
func TestErrorsWithoutValue(t *testing.T) {
	var none *url.Error
	for name, err := range map[string]error{"typed_nil": none, "panics_when_asked": valueless{}} {
		for where, answer := range map[string]func() (*http.Response, error){
			"transport": func() (*http.Response, error) { return nil, err },
			"body":      func() (*http.Response, error) { return &http.Response{StatusCode: 200, Body: brokenBody{err}}, nil },
		} {
			for source, cfg := range map[string]jwkscache.Config{"URL": {URL: jwksURL}, "Issuer": {Issuer: issuer}} {
				t.Run("SE-01/F34_"+name+"_"+where+"_"+source, func(t *testing.T) {
					cfg.HTTPClient = &http.Client{Transport: trip(func(*http.Request) (*http.Response, error) { return answer() })}
					cache, cerr := jwkscache.New(cfg)
					if cerr != nil {
						t.Fatal(cerr)
					}
					defer cache.Close()
					got := cache.Warm(t.Context())
					if class := verifier.ClassOf(got); class != verifier.ErrKeysUnavailable && class != verifier.ErrMetadata {
						t.Fatalf("class %v", class)
					}
					if text := got.Error(); name == "typed_nil" && where == "transport" && !strings.Contains(text, "without a value") {
						t.Errorf("the text is %q", text)
					}
				})
			}
		}
	}
}

// TestClassOfTheTransport: what a transport says of its own is no class of ours.
func TestClassOfTheTransport(t *testing.T) {
	t.Run("ER-20/foreign_class_is_not_taken_over", func(t *testing.T) {
		cache, err := jwkscache.New(jwkscache.Config{URL: jwksURL, HTTPClient: &http.Client{
			Transport: trip(func(*http.Request) (*http.Response, error) {
				return nil, &verifier.Error{Class: verifier.ErrExpired}
			}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		var e *verifier.Error
		if err := cache.Warm(t.Context()); !errors.As(err, &e) || e.Class != verifier.ErrKeysUnavailable || e.RetryAfter <= 0 {
			t.Errorf("%v, want keys unavailable and a time to retry", err)
		}
	})
}
