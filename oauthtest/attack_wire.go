// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/internal/challenge"
)

const (
	caseLimit   = 10 * time.Second // for one request and its answer
	answerLimit = 16 << 20         // for head and body of an answer

	continueLimit = time.Second // for 100 Continue
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
	host           string   // "" that of the wire
	until          string   // the answer need not be read further than this text
	first          *sending // goes before it on the same connection
}

// elsewhere is the same request for a path that no server has.
func (s sending) elsewhere() sending {
	path, query, found := strings.Cut(s.target, "?")
	s.target = path + "/" + noSuchPath
	if found {
		s.target += "?" + query
	}
	s.first = nil
	return s
}

// with is the same request with this token alone, on a connection of its own.
func (s sending) with(token string) sending {
	s.lines = slices.DeleteFunc(slices.Clone(s.lines), func(line string) bool {
		name, _ := field(line)
		return strings.EqualFold(strings.TrimSpace(name), "Authorization")
	})
	s.lines, s.first = append(s.lines, "Authorization: Bearer "+token), nil
	return s
}

const noSuchPath = "no-such-path-5f1c0a"

// commonHead is the least that common servers take for the request line and the header.
const commonHead = 8 << 10

// large tells whether a server may refuse the request for its size alone.
func (s sending) large() bool {
	size := len(s.method) + len(s.target)
	for _, line := range s.lines {
		size += len(line)
	}
	return size > commonHead
}

// answer is what came back.
type answer struct {
	status  int
	reason  string // the whole of the status line behind the version, in HTTP/1.1
	header  http.Header
	body    string // without its content coding
	trailer http.Header
	interim []http.Header // of the 1xx answers before
	last    bool          // nothing more can be asked on the connection
	err     error         // no whole answer
}

// like tells whether two answers to HEAD look like that of one handler.
func (a answer) like(b answer) bool {
	if a.status != b.status || a.err != nil || b.err != nil {
		return false
	}
	for _, name := range []string{"Content-Length", "Content-Type", "ETag"} {
		if a.header.Get(name) != b.header.Get(name) {
			return false
		}
	}
	return true
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
	if s.first != nil && protocol == http2 {
		if first := w.sendTwo(ctx, *s.first); first.err != nil || !first.success() {
			return answer{err: errUnsayable}
		}
	}
	if protocol == http1 {
		return w.sendOne(ctx, s)
	}
	a := w.sendTwo(ctx, s)
	if a.err != nil && !errors.Is(a.err, errUnsayable) && !errors.Is(a.err, errCoding) && ctx.Err() == nil {
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
	l := &line{conn: conn, r: bufio.NewReader(io.LimitReader(conn, answerLimit))}
	defer l.writing.Wait()
	defer conn.Close()
	if s.first != nil {
		if first := l.exchange(*s.first, w.host); !first.success() || first.err != nil || first.last {
			return answer{err: errUnsayable}
		}
	}
	return l.exchange(s, w.host)
}

// line is one HTTP/1.1 connection.
type line struct {
	conn    net.Conn
	r       *bufio.Reader
	writing sync.WaitGroup
}

func (l *line) exchange(s sending, host string) answer {
	l.write(s.text(host))
	body := sync.OnceFunc(func() { l.write(strings.Repeat(" ", s.announced())) })
	if s.announced() > 0 {
		// Some servers wait for the octets without asking for them (RFC 9110 §10.1.1).
		defer l.after(continueLimit, body)()
	}
	return l.finalAnswer(s, body)
}

// after has f run in a while unless it is stopped before. What runs already when it is
// stopped counts as writing: the answer may come at the same moment.
func (l *line) after(d time.Duration, f func()) (stop func()) {
	l.writing.Add(1)
	timer := time.AfterFunc(d, func() {
		defer l.writing.Done()
		f()
	})
	return func() {
		if timer.Stop() {
			l.writing.Done()
		}
	}
}

// write does not wait: a server that stops reading may still answer.
func (l *line) write(text string) {
	l.writing.Go(func() { io.WriteString(l.conn, text) })
}

// finalAnswer notes interim answers, and sends the octets that the first of them asks for
// (RFC 9110 §10.1.1, §15.2).
func (l *line) finalAnswer(s sending, body func()) answer {
	var interim []http.Header
	for {
		resp, err := http.ReadResponse(l.r, &http.Request{Method: s.method})
		if err != nil {
			return answer{interim: interim, err: err}
		}
		switch {
		case resp.StatusCode == http.StatusSwitchingProtocols: // there is no end to read to
			return answer{status: resp.StatusCode, reason: resp.Status, header: resp.Header, interim: interim}
		case resp.StatusCode/100 != 1:
			a := read(resp, s.until)
			a.interim = interim
			return a
		}
		interim = append(interim, resp.Header)
		if resp.StatusCode == http.StatusContinue {
			body()
		}
	}
}

// maxAnnounced bounds what is sent because it was announced.
const maxAnnounced = 4 << 20

// announced is how many octets the server may ask for with 100 Continue.
func (s sending) announced() int {
	if !s.has("Expect") || s.body != "" {
		return 0
	}
	for _, line := range s.lines {
		if name, value := field(line); strings.EqualFold(name, "Content-Length") {
			n, _ := strconv.Atoi(value)
			return min(max(n, 0), maxAnnounced)
		}
	}
	return 0
}

// read stops behind the text that shows that the handler ran: its answer may be a stream.
// It leaves the body open, since in HTTP/1.1 Close would read on to the end.
func read(resp *http.Response, until string) answer {
	a := answer{status: resp.StatusCode, reason: resp.Status, header: resp.Header, last: resp.Close}
	body, r := []byte(nil), io.LimitReader(newCoded(resp), answerLimit)
	for piece := make([]byte, 32<<10); a.err == nil; {
		var n int
		n, a.err = r.Read(piece)
		from := max(0, len(body)-len(until))
		body = append(body, piece[:n]...)
		if until != "" && bytes.Contains(body[from:], []byte(until)) {
			a.last = a.last || a.err != io.EOF
			break
		}
	}
	if errors.Is(a.err, io.EOF) {
		a.err = nil
	}
	a.last = a.last || len(body) >= answerLimit // and more of it may come
	a.body, a.trailer = string(body), resp.Trailer
	return a
}

// text is the request in HTTP/1.1 (RFC 9112 §3, §6).
func (s sending) text(host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", s.method, s.target)
	if !s.has("Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", cmp.Or(s.host, host))
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
	var interim []http.Header // complete once the answer has come
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { connected.Store(true) },
		WroteHeaders: func() { sent.Store(true) },
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			interim = append(interim, http.Header(h))
			return nil
		},
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
	defer resp.Body.Close()
	a := read(resp, s.until)
	a.interim = interim
	return a
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
	r := (&http.Request{Method: s.method, URL: u, Host: cmp.Or(s.host, host), Header: http.Header{}}).WithContext(ctx)
	for _, line := range s.lines {
		r.Header.Add(field(line))
	}
	if s.body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s.body)), int64(len(s.body))
	}
	return r, nil
}
