// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

const api = "https://api.example.com"

func newVerifier(t *testing.T, cfg verifier.Config) *verifier.Verifier {
	t.Helper()
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// verdict is the class of the error, or nil for a good token.
func verdict(v *verifier.Verifier, raw string, reqs ...verifier.Requirement) error {
	_, err := v.Verify(context.Background(), raw, reqs...)
	if err == nil {
		return nil
	}
	if c := verifier.ClassOf(err); c != nil {
		return c
	}
	return err
}

func wantVerdict(t *testing.T, v *verifier.Verifier, raw string, want error) {
	t.Helper()
	if got := verdict(v, raw); got != want {
		t.Errorf("verdict %v, want %v", got, want)
	}
}

// parts decodes a token without any check.
func parts(t *testing.T, raw string) (header, claims map[string]any) {
	t.Helper()
	segments := strings.Split(raw, ".")
	if len(segments) != 3 {
		t.Fatalf("%d segments", len(segments))
	}
	for i, into := range []*map[string]any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(segments[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// answer is an HTTP response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func do(t *testing.T, c *http.Client, req *http.Request) answer {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(body, &a.json); err != nil {
			t.Errorf("body %q: %v", body, err)
		}
	}
	return a
}

func get(t *testing.T, c *http.Client, url string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, c, req)
}

// tokenRequest posts a raw form; edits change the request.
func tokenRequest(t *testing.T, as *oauthtest.Server, form string, edits ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, as.Issuer()+"/token", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, edit := range edits {
		edit(req)
	}
	return do(t, as.HTTPClient(), req)
}

// basic authenticates as RFC 6749 §2.3.1 says: form-encoded inside HTTP Basic.
func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

// recorder stands in for a test that is expected to fail. It keeps the first failure.
type recorder struct {
	testing.TB
	failure  string
	cleanups []func()
}

func (r *recorder) Helper()           {}
func (r *recorder) Cleanup(f func())  { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
func (r *recorder) Errorf(format string, args ...any) {
	if r.failure == "" {
		r.failure = fmt.Sprintf(format, args...)
	}
}

// failureOf runs f as a test of its own and returns what made it fail.
func failureOf(f func(t testing.TB)) string {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	for _, f := range r.cleanups {
		f()
	}
	return r.failure
}
