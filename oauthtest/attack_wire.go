// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/internal/challenge"
)

const (
	caseLimit   = 10 * time.Second // for one request and its answer
	answerLimit = 16 << 20         // for head and body of an answer
)

// wire is how the server under attack is reached.
type wire struct {
	dial   func(context.Context) (net.Conn, error) // for one HTTP/1.1 request
	two    *http.Transport                         // for HTTP/2 only; nil where that is not spoken
	scheme string
	host   string // as in Host and :authority
}

// protocols are those that the server speaks.
func (w *wire) protocols() []string {
	if w.two == nil {
		return []string{http1}
	}
	return []string{http1, http2}
}

const (
	http1 = "HTTP/1.1"
	http2 = "HTTP/2"
)

// sending is one request, byte by byte as far as the protocol leaves a choice.
type sending struct {
	method, target string
	lines          []string
	body           string
	trailer        []string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // no whole answer
}

func (a answer) success() bool {
	return a.status/100 == 2 || a.status == http.StatusSwitchingProtocols
}

// hung tells whether the server took longer than a case may.
func (a answer) hung() bool {
	return errors.Is(a.err, os.ErrDeadlineExceeded) || errors.Is(a.err, context.DeadlineExceeded)
}

// errUnsayable: HTTP/2 has no way to say this.
var errUnsayable = errors.New("oauthtest: cannot be said in HTTP/2")

// send makes one request; unsayable ones are answered by errUnsayable.
func (w *wire) send(ctx context.Context, protocol string, s sending) answer {
	ctx, cancel := context.WithTimeout(ctx, caseLimit)
	defer cancel()
	if protocol == http1 {
		return w.sendOne(ctx, s)
	}
	a := w.sendTwo(ctx, s)
	if a.err != nil && !errors.Is(a.err, errUnsayable) && ctx.Err() == nil {
		// What an earlier case did to the shared connection is not this one's fault.
		w.two.CloseIdleConnections()
		a = w.sendTwo(ctx, s)
	}
	return a
}

// sendOne uses a connection of its own, and writes while it reads: a server may
// answer before it has read everything.
func (w *wire) sendOne(ctx context.Context, s sending) answer {
	conn, err := w.dial(ctx)
	if err != nil {
		return answer{err: err}
	}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline) // fails on closed connections only, as the next call then does
	var writing sync.WaitGroup
	writing.Go(func() { io.WriteString(conn, s.text(w.host)) }) // a server that stops reading may still answer
	defer writing.Wait()
	defer conn.Close()
	return finalAnswer(io.LimitReader(conn, answerLimit), s.method)
}

// finalAnswer skips interim answers (RFC 9110 §15.2).
func finalAnswer(conn io.Reader, method string) answer {
	r := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return answer{err: err}
		}
		switch {
		case resp.StatusCode == http.StatusSwitchingProtocols: // there is no end to read to
			return answer{status: resp.StatusCode, header: resp.Header}
		case resp.StatusCode/100 != 1:
			return read(resp)
		}
	}
}

func read(resp *http.Response) answer {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body), err: err}
}

// text is the request in HTTP/1.1 (RFC 9112 §3, §6).
func (s sending) text(host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", s.method, s.target)
	if !s.has("Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", host)
	}
	for _, line := range s.lines {
		b.WriteString(line + "\r\n")
	}
	framed := s.has("Content-Length") || s.has("Transfer-Encoding")
	switch {
	case framed:
		b.WriteString("\r\n" + s.body)
	case s.trailer != nil:
		s.writeChunked(&b)
	case s.body != "":
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(s.body), s.body)
	default:
		b.WriteString("\r\n")
	}
	return b.String()
}

func (s sending) writeChunked(b *strings.Builder) {
	b.WriteString("Transfer-Encoding: chunked\r\n")
	if !s.has("Trailer") {
		var names []string
		for _, line := range s.trailer {
			name, _ := field(line)
			names = append(names, name)
		}
		fmt.Fprintf(b, "Trailer: %s\r\n", strings.Join(names, ", "))
	}
	b.WriteString("\r\n")
	if s.body != "" {
		fmt.Fprintf(b, "%x\r\n%s\r\n", len(s.body), s.body)
	}
	b.WriteString("0\r\n")
	for _, line := range s.trailer {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
}

// has tells whether a line has this name.
func (s sending) has(name string) bool {
	for _, line := range s.lines {
		if n, _ := field(line); strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

func field(line string) (name, value string) {
	name, value, _ = strings.Cut(line, ":")
	return name, strings.Trim(value, " \t")
}

// sendTwo says the same in HTTP/2, on a connection that all cases share.
func (w *wire) sendTwo(ctx context.Context, s sending) answer {
	if !s.sayable() {
		return answer{err: errUnsayable}
	}
	var connected, sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { connected.Store(true) },
		WroteHeaders: func() { sent.Store(true) },
	})
	req, err := s.request(ctx, w.scheme, w.host)
	if err != nil {
		return answer{err: errUnsayable}
	}
	resp, err := w.two.RoundTrip(req)
	if err != nil && connected.Load() && !sent.Load() && ctx.Err() == nil {
		return answer{err: errUnsayable}
	}
	if err != nil {
		return answer{err: err}
	}
	return read(resp)
}

// sayable: connection-specific fields and malformed ones do not exist in HTTP/2, and
// the framing is its own (RFC 9113 §8.2).
func (s sending) sayable() bool {
	if s.method == http.MethodConnect || !challenge.ValidName(s.method) || s.trailer != nil {
		return false // of trailers because a refusal may come before them, and then ends the stream
	}
	for _, line := range s.lines {
		name, _ := field(line)
		switch strings.ToLower(name) {
		case "host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "trailer", "content-length":
			return false
		}
		if !wellFormed(line) {
			return false
		}
	}
	return true
}

// wellFormed: a field line that net/http's client agrees to send. Names of fields,
// methods and challenge parameters are all tokens of RFC 9110 §5.6.2.
func wellFormed(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !challenge.ValidName(name) {
		return false
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func (s sending) request(ctx context.Context, scheme, host string) (*http.Request, error) {
	u := &url.URL{Scheme: scheme, Host: host, Opaque: s.target}
	if strings.HasPrefix(s.target, "//") { // which an opaque URL cannot begin with
		path, query, _ := strings.Cut(s.target, "?")
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return nil, err
		}
		u = &url.URL{Scheme: scheme, Host: host, Path: decoded, RawPath: path, RawQuery: query}
	}
	r := (&http.Request{Method: s.method, URL: u, Host: host, Header: http.Header{}}).WithContext(ctx)
	for _, line := range s.lines {
		r.Header.Add(field(line))
	}
	if s.body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s.body)), int64(len(s.body))
	}
	return r, nil
}
