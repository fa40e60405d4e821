// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestLateCaller holds what only an unlucky schedule would show from outside: a
// caller that read the state before an attempt ended, and acts on it afterwards.
func TestLateCaller(t *testing.T) {
	late := func(name string, test func(t *testing.T, c *Cache, seen *snapshot, fetches *atomic.Int32)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var fetches atomic.Int32
				c, err := New(Config{URL: "https://id.example/jwks", HTTPClient: &http.Client{
					Transport: roundTrip(func(*http.Request) (*http.Response, error) {
						fetches.Add(1)
						body := io.NopCloser(strings.NewReader(`{"keys":[{"kty":"XX"}]}`))
						return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body}, nil
					}),
				}})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				seen := c.state.Load()
				if err := c.Warm(t.Context()); err != nil {
					t.Fatal(err)
				}
				test(t, c, seen, &fetches)
				if n := fetches.Load(); n != 1 {
					t.Errorf("%d fetches", n)
				}
			})
		})
	}
	late("KS-10/starts_no_second_fetch", func(t *testing.T, c *Cache, seen *snapshot, _ *atomic.Int32) {
		if c.join(seen) != nil {
			t.Error("an old state was acted on")
		}
		synctest.Wait()
	})
	late("KS-11/gets_the_newer_set", func(t *testing.T, c *Cache, _ *snapshot, _ *atomic.Int32) {
		time.Sleep(time.Minute) // past the cooldown
		got, err := c.newer(t.Context(), &verifier.KeySet{}, "")
		if err != nil || got != c.state.Load().keys.set {
			t.Error(got, err)
		}
	})
	late("KS-26/after_Close", func(t *testing.T, c *Cache, seen *snapshot, _ *atomic.Int32) {
		current := c.state.Load()
		c.Close()
		if c.join(seen) != nil || c.join(current) != nil || c.join(c.state.Load()) != nil {
			t.Error("a closed cache started a fetch")
		}
	})
}
