// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func fetch(t *testing.T, s *Server, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestCanary: the keys of an attacker are there for every reader that asks, and it is
// seen that one did.
func TestCanary(t *testing.T) {
	s := NewServer(t, func(c *Config) { c.Algorithm = "ES256" })
	tenant := s.Tenant("/t1")
	const jwks = `{"keys":[]}`
	urls := []string{"https://issuer.test/canary/jwks", "https://evil.test/canary/", "http://127.0.0.1/canary/a/b?c"}
	for _, state := range []struct {
		name   string
		canary []byte
		status int
	}{{"unset", nil, 404}, {"set", []byte(jwks), 200}, {"withdrawn", nil, 404}} {
		t.Run("TA-23/canary_"+state.name, func(t *testing.T) {
			tenant.setCanary(state.canary)
			for _, url := range urls {
				s.ClearRequests()
				status, body := fetch(t, s, http.MethodGet, url)
				if status != state.status || (body == jwks) != (state.canary != nil) {
					t.Errorf("%s: %d %s", url, status, body)
				}
				if status, _ := fetch(t, s, http.MethodPost, url); status != 404 {
					t.Errorf("POST %s: %d", url, status)
				}
				for _, seen := range [][]Request{s.Requests(), tenant.Requests()} {
					if len(seen) != 2 || seen[0].URL != url || seen[0].Endpoint != "" {
						t.Errorf("requests %v", seen)
					}
				}
			}
		})
	}
}

// TestExtraKeys: hostile keys come and go beside the good ones.
func TestExtraKeys(t *testing.T) {
	s := NewServer(t, func(c *Config) { c.Algorithm = "ES256" })
	plain := string(s.KeySet())
	t.Run("TA-22/extra_keys", func(t *testing.T) {
		s.EditKeySet(func([]map[string]any) []map[string]any { return nil })
		if got := string(s.KeySet()); got != `{"keys":[]}` {
			t.Errorf("key set %s", got)
		}
		s.setExtraKeys([]json.RawMessage{[]byte(`{"kty":"XYZ"}`)})
		if got := string(s.KeySet()); got != plain[:len(plain)-2]+`,{"kty":"XYZ"}]}` {
			t.Errorf("key set %s", got)
		}
		s.Rotate()
		if got := string(s.KeySet()); !strings.HasSuffix(got, `,{"kty":"XYZ"}]}`) || strings.Count(got, `"kid"`) != 2 {
			t.Errorf("key set %s", got)
		}
		s.setExtraKeys(nil)
		if got := string(s.KeySet()); strings.Contains(got, "XYZ") || got == plain {
			t.Errorf("key set %s", got)
		}
	})
}

// Close leaves no handler behind, which could still use what a test has cleaned up.
func TestCloseWaitsForHandlers(t *testing.T) {
	t.Run("TA-01/close_waits_for_requests", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			s := NewServer(t, func(c *Config) {
				c.Algorithm = "ES256"
				c.Now = func() time.Time { <-release; return time.Now() } // the handler asks for the time
			})
			go s.HTTPClient().Get(s.Issuer() + "/jwks") // fails
			synctest.Wait()
			var closed atomic.Bool
			go func() {
				s.Close()
				closed.Store(true)
			}()
			synctest.Wait()
			if closed.Load() {
				t.Error("Close returned while a handler was running")
			}
			close(release)
			synctest.Wait()
			if !closed.Load() {
				t.Error("Close did not return after the handler")
			}
		})
	})
	// As long as a body is not read to its end, nobody notices that the client has gone.
	t.Run("TA-23/hang_with_an_unread_body_ends_with_the_server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := NewServer(t, func(c *Config) { c.Algorithm = "ES256" })
			s.SetFault(EndpointToken, Fault{Hang: true})
			go s.HTTPClient().Post(s.Issuer()+"/token", "text/plain", strings.NewReader(strings.Repeat("x", 1<<20))) // fails
			synctest.Wait()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

// What waits ends at once when its client leaves, not only with the server.
func TestWaitEndsWithTheRequest(t *testing.T) {
	for name, f := range map[string]Fault{"hang": {Hang: true}, "delay": {Delay: time.Hour}} {
		t.Run("TA-23/wait_ends_with_the_request_"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if f.wait(r, nil) || time.Since(start) != time.Minute {
					t.Errorf("an answer, after %v", time.Since(start))
				}
			})
		})
	}
}
