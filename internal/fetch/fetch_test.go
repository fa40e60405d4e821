// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/memnet"
)

const address = "https://user:pw@host.example/a/b?key=secret"

// get sends one request to a real server in memory, in virtual time.
func get(t *testing.T, name string, handler http.HandlerFunc, r fetch.Request, check func(*testing.T, *fetch.Response, error)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			listener := memnet.Listen("host.example:443")
			transport := listener.Transport()
			transport.DisableKeepAlives = true
			server := &http.Server{Handler: handler}
			served := make(chan struct{})
			go func() { defer close(served); server.Serve(listener) }()
			defer func() { server.Close(); <-served }()
			if r.URL == "" {
				r.URL = address
			}
			if r.Limit == 0 {
				r.Limit = 100
			}
			resp, err := fetch.NewClient(&http.Client{Transport: transport}).Get(t.Context(), r)
			check(t, resp, err)
		})
	})
}

func status(code int, text string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, text)
	}
}

func wantError(t *testing.T, resp *fetch.Response, err error) *fetch.Error {
	t.Helper()
	if resp != nil {
		t.Error("an answer came with the error")
	}
	var fe *fetch.Error
	if !errors.As(err, &fe) {
		t.Fatalf("error %v of type %T", err, err)
	}
	if text := err.Error(); strings.Contains(text, "secret") || strings.Contains(text, "pw") {
		t.Errorf("a secret is in the error: %v", err)
	}
	return fe
}

func body(want string) func(*testing.T, *fetch.Response, error) {
	return func(t *testing.T, resp *fetch.Response, err error) {
		t.Helper()
		if err != nil || string(resp.Body) != want {
			t.Fatalf("got %v, %v", resp, err)
		}
	}
}

func TestGet(t *testing.T) {
	hundred := strings.Repeat("x", 100)
	get(t, "KS-07/at_the_limit", status(200, hundred), fetch.Request{}, body(hundred))
	get(t, "KS-07/over_the_limit", status(200, hundred+"x"), fetch.Request{}, func(t *testing.T, resp *fetch.Response, err error) {
		if fe := wantError(t, resp, err); !errors.Is(err, fetch.ErrTooLarge) || fe.Status != 200 || fe.Unreachable {
			t.Errorf("%+v", fe)
		}
	})
	get(t, "KS-07/over_the_limit_unannounced", func(w http.ResponseWriter, _ *http.Request) {
		for range 1000 {
			io.WriteString(w, hundred)
		}
	}, fetch.Request{}, func(t *testing.T, resp *fetch.Response, err error) {
		if wantError(t, resp, err); !errors.Is(err, fetch.ErrTooLarge) {
			t.Error(err)
		}
	})
	for _, code := range []int{201, 204, 206, 304, 400, 404, 500} {
		get(t, fmt.Sprintf("KS-05/%d", code), status(code, ""), fetch.Request{}, func(t *testing.T, resp *fetch.Response, err error) {
			if fe := wantError(t, resp, err); fe.Status != code || fe.Redirect() || fe.Unreachable {
				t.Errorf("%+v", fe)
			}
		})
	}
	for _, code := range []int{300, 301, 302, 303, 307, 308} {
		get(t, fmt.Sprintf("KS-03/%d", code), func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/next" {
				t.Error("the redirect was followed")
			}
			status(code, "", "Location", "https://host.example/next")(w, r)
		}, fetch.Request{}, func(t *testing.T, resp *fetch.Response, err error) {
			if fe := wantError(t, resp, err); fe.Status != code || !fe.Redirect() {
				t.Errorf("%+v", fe)
			}
		})
	}
	get(t, "KS-09/conditional", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != `"e"` || r.Header.Get("If-Modified-Since") != "then" {
			t.Error(r.Header)
		}
		w.WriteHeader(304)
	}, fetch.Request{ETag: `"e"`, LastModified: "then"}, func(t *testing.T, resp *fetch.Response, err error) {
		if err != nil || !resp.NotModified {
			t.Fatal(resp, err)
		}
	})
	get(t, "SE-06/timeout", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, fetch.Request{}, func(t *testing.T, resp *fetch.Response, err error) {
		fe := wantError(t, resp, err)
		if !errors.Is(err, fetch.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || fe.Unreachable {
			t.Errorf("%+v", fe)
		}
	})
	get(t, "SE-06/timeout_in_the_body", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, fetch.Request{}, func(t *testing.T, resp *fetch.Response, err error) {
		if wantError(t, resp, err); !errors.Is(err, fetch.ErrTimeout) {
			t.Error(err)
		}
	})
	get(t, "SE-02/unreachable_names_no_secret", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fetch.Request{}, func(t *testing.T, resp *fetch.Response, err error) {
		if fe := wantError(t, resp, err); !fe.Unreachable || fe.URL != "https://host.example/a/b" {
			t.Errorf("%+v", fe)
		}
	})
	get(t, "SE-02/bad_URL_names_no_secret", nil, fetch.Request{URL: "https://user:pw@host:secret/"}, func(t *testing.T, resp *fetch.Response, err error) {
		wantError(t, resp, err)
	})
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	listener := memnet.Listen("x")
	resp, err := fetch.NewClient(&http.Client{Transport: listener.Transport()}).Get(ctx, fetch.Request{URL: address})
	if wantError(t, resp, err); !errors.Is(err, fetch.ErrCanceled) {
		t.Error(err)
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "7.5": 0, "x": 0,
		"Sat, 01 Jan 2000 00:01:00 GMT": time.Minute, "Fri, 31 Dec 1999 23:59:00 GMT": 0,
	} {
		for _, code := range []int{429, 503, 500} {
			want := want
			if code == 500 {
				want = 0
			}
			get(t, fmt.Sprintf("HT-11/%d/%q", code, value), status(code, "", "Retry-After", value), fetch.Request{}, func(t *testing.T, resp *fetch.Response, err error) {
				if fe := wantError(t, resp, err); fe.RetryAfter != want {
					t.Errorf("%v, want %v", fe.RetryAfter, want)
				}
			})
		}
	}
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestSuppliedClient: nothing of a supplied client is used but its transport, and
// the client itself stays as it was.
func TestSuppliedClient(t *testing.T) {
	t.Run("KS-28/redirect_policy_jar_and_timeout_unused", func(t *testing.T) {
		base := &http.Client{
			Timeout: time.Nanosecond,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				t.Error("the client's own redirect policy was asked")
				return nil
			},
			Transport: trip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: 302, Header: http.Header{"Location": {"https://host.example/next"}}, Body: http.NoBody, Request: r,
				}, nil
			}),
		}
		resp, err := fetch.NewClient(base).Get(t.Context(), fetch.Request{URL: address})
		if fe := wantError(t, resp, err); !fe.Redirect() {
			t.Errorf("%+v", fe)
		}
		if base.Timeout != time.Nanosecond {
			t.Error("the client was changed")
		}
	})
	t.Run("SE-01/F34_no_answer", func(t *testing.T) {
		for _, answer := range []*http.Response{nil, {StatusCode: 200}} {
			base := &http.Client{Transport: trip(func(*http.Request) (*http.Response, error) { return answer, nil })}
			resp, err := fetch.NewClient(base).Get(t.Context(), fetch.Request{URL: address})
			if fe := wantError(t, resp, err); !fe.Unreachable || !strings.Contains(fe.Error(), "no answer") {
				t.Errorf("%+v", fe)
			}
		}
	})
	t.Run("SE-02/panic_value_is_not_quoted", func(t *testing.T) {
		for _, value := range []any{"secret", errors.New("secret"), fmt.Errorf("secret %d", 1)} {
			base := &http.Client{Transport: trip(func(*http.Request) (*http.Response, error) { panic(value) })}
			resp, err := fetch.NewClient(base).Get(t.Context(), fetch.Request{URL: address})
			wantError(t, resp, err)
		}
	})
}

// TestNoResolver: the address of a resolver is the internal network's business.
func TestNoResolver(t *testing.T) {
	t.Run("SE-02/error_does_not_name_the_resolver", func(t *testing.T) {
		failed := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "id.example", Server: "10.1.2.3:53", IsNotFound: true}}
		c := fetch.NewClient(&http.Client{Transport: failing{failed}})
		_, err := c.Get(t.Context(), fetch.Request{URL: "https://id.example/jwks", Limit: 1})
		var unresolved *net.DNSError
		if !errors.As(err, &unresolved) || !unresolved.IsNotFound || strings.Contains(err.Error(), "10.1.2.3") {
			t.Errorf("error %v", err)
		}
	})
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }
