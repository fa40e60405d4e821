// SPDX-License-Identifier: Apache-2.0

// Package fetch gets one document by HTTP within fixed bounds: no redirects, no
// cookies, a total deadline, and a limit on the decoded bytes.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
)

// Timeout bounds one [Client.Get] from dialing to the last byte (DF-07, DF-11).
const Timeout = 5 * time.Second

// Request is one conditional or unconditional GET.
type Request struct {
	URL    string
	Accept string
	// Limit is the largest body in bytes, counted after decompression.
	Limit int
	// ETag and LastModified are validators of a copy the caller holds. With either
	// the request is conditional (RFC 9110 §13.1) and may be answered by 304.
	ETag, LastModified string
}

// Response is a complete answer of status 200, or 304 to a conditional request.
type Response struct {
	NotModified bool
	Header      http.Header
	Body        []byte
}

// Error says why there is no usable answer. Its text names scheme, host and path
// of the URL only: a query can hold a secret.
type Error struct {
	URL string
	// Status is that of the answer; 0 if there was none.
	Status int
	// RetryAfter is the server's wish with status 429 or 503; 0 if it has none.
	RetryAfter time.Duration
	// Unreachable: no connection, or it ended before an answer began.
	Unreachable bool
	Err         error
}

func (e *Error) Error() string { return "GET " + e.URL + ": " + e.Err.Error() }

// Unwrap gives errors.Is the reason.
func (e *Error) Unwrap() error { return e.Err }

// Redirect reports whether the answer was a redirect, which is never followed.
func (e *Error) Redirect() bool {
	return e.Status >= 300 && e.Status <= 399 && e.Status != http.StatusNotModified
}

// Reasons in [Error.Err] besides those of the network.
var (
	ErrTimeout  = errors.New("no complete answer within the time limit")
	ErrTooLarge = errors.New("body over the size limit")
	ErrCanceled = errors.New("canceled")
)

// Get sends r and reads the whole answer. Every error is an [*Error], also when
// the transport panics. ctx can only shorten [Timeout].
func (c *Client) Get(ctx context.Context, r Request) (*Response, error) {
	var resp *Response
	var err error
	p := hook.Call("the HTTP transport", func() { resp, err = c.get(ctx, r) })
	if p != nil {
		return nil, &Error{URL: Redact(r.URL), Err: p}
	}
	return resp, err
}

func (c *Client) get(ctx context.Context, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	answer, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return read(ctx, r, answer)
}

func (c *Client) send(ctx context.Context, r Request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return nil, &Error{URL: Redact(r.URL), Err: errors.New("not a usable URL")}
	}
	req.Header.Set("Accept", r.Accept)
	if r.ETag != "" {
		req.Header.Set("If-None-Match", r.ETag)
	}
	if r.LastModified != "" {
		req.Header.Set("If-Modified-Since", r.LastModified)
	}
	// Not by way of http.Client: that would parse Location even if it is not to be
	// followed, and quote one that it cannot read in an error.
	answer, err := c.transport.RoundTrip(req)
	if err == nil && (answer == nil || answer.Body == nil) {
		err = errors.New("the HTTP transport returned no answer")
	}
	if err != nil {
		reason := reasonOf(ctx, err)
		return nil, &Error{URL: Redact(r.URL), Err: reason, Unreachable: isNetwork(reason)}
	}
	return answer, nil
}

func read(ctx context.Context, r Request, answer *http.Response) (*Response, error) {
	body, err := readBody(r, answer)
	closed := answer.Body.Close()
	switch {
	case err == nil && closed == nil:
		return &Response{
			NotModified: answer.StatusCode == http.StatusNotModified,
			Header:      answer.Header,
			Body:        body,
		}, nil
	case err == nil:
		err = closed
	}
	return nil, &Error{
		URL:        Redact(r.URL),
		Status:     answer.StatusCode,
		RetryAfter: retryAfter(answer),
		Err:        reasonOf(ctx, err),
	}
}

// readBody counts what is left after the transport's own decompression, so that a
// small compressed body cannot become a large document.
func readBody(r Request, answer *http.Response) ([]byte, error) {
	conditional := r.ETag != "" || r.LastModified != ""
	if answer.StatusCode == http.StatusNotModified && conditional {
		return nil, nil
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, int64(r.Limit)+1))
	if err != nil {
		return nil, err
	}
	if len(body) > r.Limit {
		return nil, ErrTooLarge
	}
	return body, nil
}

// reasonOf keeps context errors out of the result: they would read as if the
// caller's own context had ended.
func reasonOf(ctx context.Context, err error) error {
	if hook.Nil(err) {
		return errors.New("the HTTP transport returned an error without a value")
	}
	if errors.Is(err, ErrNotPublic) {
		return ErrNotPublic // without the address, which the dialer's own text has
	}
	switch ctx.Err() {
	case context.DeadlineExceeded:
		return ErrTimeout
	case context.Canceled:
		return ErrCanceled
	}
	var unresolved *net.DNSError
	if errors.As(err, &unresolved) {
		plain := *unresolved
		plain.Server = "" // an address of the internal network
		return &plain
	}
	return err
}

func isNetwork(reason error) bool { return reason != ErrTimeout && reason != ErrCanceled }

// retryAfter reads Retry-After (RFC 9110 §10.2.3), seconds or a date.
func retryAfter(answer *http.Response) time.Duration {
	if answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	value := strings.TrimSpace(answer.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(time.Until(date), 0)
	}
	return 0
}

// Redact cuts userinfo, query and fragment off a URL.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable URL)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}
