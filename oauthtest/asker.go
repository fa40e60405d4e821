// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/memnet"
)

// asker sends raw HTTP/1.1 requests to a handler, by way of a real server in memory:
// what a client library would tidy up arrives as it was written.
type asker struct {
	h       http.Handler
	wire    *memnet.Listener
	server  *http.Server
	served  chan struct{}
	cancel  context.CancelFunc    // of all requests
	running sync.WaitGroup        // connections, and the handlers behind them
	reached atomic.Int64          // requests that the server handed on
	limited bool                  // some answer was a rate limiter's
	panics  sync.Map              // what they panicked with, by the number in reached
	known   map[string]routeReply // what strangers got
}

const (
	askedHost  = "api.test"
	askingAddr = "192.0.2.1:1234"       // RFC 5737 §3: what limiters and logs can read
	askedTime  = 10 * time.Second       // for one answer
	askedBegin = 200 * time.Millisecond // for the body behind a header that refuses nothing
	outlasting = time.Minute            // for a handler that does not heed its context
	askedBody  = 64 << 10
)

func newAsker(h http.Handler) *asker {
	ctx, cancel := context.WithCancel(context.Background())
	a := &asker{h: h, wire: memnet.Listen(askedHost), served: make(chan struct{}), cancel: cancel, known: map[string]routeReply{}}
	a.server = &http.Server{
		Handler:     http.HandlerFunc(a.serve),
		ErrorLog:    log.New(io.Discard, "", 0), // what panics is reported as a request without answer
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState:   a.count,
	}
	go func() {
		defer close(a.served)
		a.server.Serve(a.wire) // ends with ErrServerClosed
	}()
	return a
}

// serve makes requests look as if they came by TLS: else a guard that asks for it, or a
// redirect to https, would hide what is to be seen.
func (a *asker) serve(w http.ResponseWriter, r *http.Request) {
	a.running.Add(1)
	defer a.running.Done()
	defer a.note(a.reached.Add(1))
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: askedHost}
	a.h.ServeHTTP(w, r)
}

// note keeps the value of a panic, which ends the connection all the same.
func (a *asker) note(request int64) {
	if v := recover(); v != nil {
		const most = 200
		text := fmt.Sprint(v)
		if len(text) > most {
			text = text[:most] + "…"
		}
		a.panics.Store(request, text)
		panic(http.ErrAbortHandler)
	}
}

// count keeps a connection among what runs until its handler is (also one that took the
// connection over), so that close cannot miss one that is only about to start.
func (a *asker) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		a.running.Add(1)
	case http.StateClosed, http.StateHijacked:
		a.running.Done()
	}
}

// close ends the server, and waits for handlers: none may outlive the check in a bubble,
// or write to a test's log after its end.
func (a *asker) close() {
	a.cancel()
	a.server.Close()
	<-a.served
	ended := make(chan struct{})
	go func() { defer close(ended); a.running.Wait() }()
	select {
	case <-ended:
	case <-time.After(outlasting):
	}
}

// routeReply is an answer, or the lack of one.
type routeReply struct {
	err    error
	status int
	header http.Header
	body   string
	asked  string // method and target
	url    string // host and target
	cut    error  // why the body has no end
	served bool   // it is the handler's, not the server's
	direct bool   // it is of a request that no server made

	elsewhere bool // a redirect to a host that the target named
}

func (r routeReply) text() string {
	if r.err != nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %s", r.status, http.StatusText(r.status))
}

// ask sends one request with these header lines on a connection of its own. It does not
// read the body but that of a refusal.
func (a *asker) ask(method, host, target string, lines ...string) routeReply {
	return a.send(false, method, host, target, lines...)
}

func (a *asker) send(readBody bool, method, host, target string, lines ...string) routeReply {
	ctx, cancel := context.WithTimeout(context.Background(), askedTime)
	defer cancel()
	conn, err := a.wire.Dial(ctx, "", "")
	if err != nil {
		return routeReply{err: err}
	}
	before := a.reached.Load()
	conn.SetDeadline(time.Now().Add(askedTime))
	request := method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nContent-Length: 0\r\n"
	for _, line := range lines {
		request += line + "\r\n"
	}
	var sending sync.WaitGroup
	sending.Go(func() { io.WriteString(conn, request+"\r\n") }) // the server may answer before it read all
	got := receiveReply(conn, method, readBody)
	conn.Close()
	sending.Wait()
	got.served = a.reached.Load() > before
	return a.noted(a.panicked(got, before+1), method, host, target)
}

// panicked has what the handler of a request panicked with, where that is why there is no
// answer.
func (a *asker) panicked(got routeReply, request int64) routeReply {
	if text, ok := a.panics.LoadAndDelete(request); ok && got.err != nil {
		got.err = fmt.Errorf("the handler panicked: %s", text)
	}
	return got
}

// to is r as the answer to this request.
func (r routeReply) to(method, host, target string) routeReply {
	r.asked, r.url = method+" "+target, host+target
	return r
}

func (a *asker) noted(got routeReply, method, host, target string) routeReply {
	got = got.to(method, host, target)
	a.limited = a.limited || got.status == http.StatusTooManyRequests
	return got
}

func receiveReply(conn net.Conn, method string, readBody bool) routeReply {
	from := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(from, &http.Request{Method: method})
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
			return routeReply{err: errors.New("the connection was closed: a panic?")}
		case err != nil:
			return routeReply{err: err}
		case resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols:
			continue // interim answers (RFC 9110 §15.2)
		}
		got := routeReply{status: resp.StatusCode, header: resp.Header}
		if !readBody && got.status != http.StatusUnauthorized {
			return got
		}
		limit := got.bodyTime()
		if limit == 0 {
			got.cut = errCut
			return got
		}
		conn.SetReadDeadline(time.Now().Add(limit))
		var body []byte
		body, got.cut = io.ReadAll(io.LimitReader(resp.Body, askedBody)) // what came is enough
		if got.body = string(body); got.cut == nil && got.status == http.StatusUnauthorized {
			got.cut = endless(resp.Body)
		}
		return got
	}
}

// direct gives the handler a request that http.Server would not: other servers, and
// middlewares that rewrite paths, might.
func (a *asker) direct(method, host, target string) routeReply {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		u = &url.URL{Path: unescaped(target)}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := &http.Request{
		Method: method, URL: u, Host: host, RequestURI: target, Header: http.Header{}, Body: http.NoBody,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: askingAddr,
	}
	w := &directWriter{ctx: ctx, header: http.Header{}, begun: make(chan struct{}), full: make(chan struct{}), ended: make(chan struct{})}
	before := a.reached.Load()
	a.running.Go(func() {
		defer close(w.ended)
		w.err = errors.New("the handler ended its goroutine")
		w.err = hook.Call("the handler", func() { a.serve(w, r.WithContext(ctx)) })
	})
	got := a.panicked(w.reply(), before+1)
	if method == http.MethodHead { // what a server does not send (RFC 9110 §9.3.2)
		got.body = ""
	}
	return a.noted(got, method, host, target)
}

// directWriter is one whose reply can be read while the handler goes on.
type directWriter struct {
	ctx    context.Context // of the request: behind its end nobody reads
	header http.Header
	begun  chan struct{} // closed with the status
	full   chan struct{} // closed when the body is as long as is read
	ended  chan struct{} // closed with the handler's end
	err    error         // of the handler, behind ended

	mu  sync.Mutex
	got routeReply
}

func (w *directWriter) Header() http.Header { return w.header }
func (w *directWriter) Flush()              { w.WriteHeader(http.StatusOK) }

func (w *directWriter) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case status < 100 || status > 999:
		panic("invalid WriteHeader code") // as http.Server does
	case status < 200 && status != http.StatusSwitchingProtocols || w.got.status != 0:
		return // interim answers (RFC 9110 §15.2), and what comes too late
	}
	w.got.status, w.got.header = status, w.header.Clone()
	close(w.begun)
}

var errFull = errors.New("the rest of the body is not read")

// Write ends bodies without an end, as a closed connection does.
func (w *directWriter) Write(b []byte) (int, error) {
	ended := w.ctx.Err()
	if ended == nil {
		w.WriteHeader(http.StatusOK)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.got.body) == askedBody:
		return 0, errFull // also behind the end, which a full body brings about
	case ended != nil:
		return 0, ended
	}
	if w.got.body == "" && w.got.header.Get("Content-Type") == "" {
		w.got.header.Set("Content-Type", http.DetectContentType(b))
	}
	if w.got.body += string(b[:min(len(b), askedBody-len(w.got.body))]); len(w.got.body) == askedBody {
		close(w.full)
	}
	return len(b), nil
}

// reply waits for the answer as receiveReply does. Where that does not wait for the end,
// it makes no difference whether the handler has ended all the same.
func (w *directWriter) reply() routeReply {
	got := routeReply{served: true, direct: true}
	select {
	case <-w.begun:
	case <-w.ended:
		if got.err = w.err; got.err == nil {
			w.WriteHeader(http.StatusOK)
		}
	case <-time.After(askedTime):
		got.err = context.DeadlineExceeded
	}
	begun := w.read()
	if begun.status == 0 {
		return got
	}
	got.status, got.header, got.err = begun.status, begun.header, nil
	if got.bodyTime() == 0 {
		got.cut = errCut
		return got
	}
	return w.rest(got)
}

// rest waits for the body of got.
func (w *directWriter) rest(got routeReply) routeReply {
	select {
	case <-w.ended:
		got.err = w.err
	case <-w.full:
	case <-time.After(got.bodyTime()):
		got.cut = errCut
	}
	if got.body = w.read().body; len(got.body) == askedBody { // what came is enough
		got.err, got.cut = nil, nil
	}
	return got
}

func (w *directWriter) read() routeReply {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.got
	got.header = got.header.Clone() // the handler may go on
	return got
}

// unescaped decodes what can be decoded, and leaves the rest.
func unescaped(target string) string {
	if plain, err := url.PathUnescape(target); err == nil {
		return plain
	}
	return target
}

func (r routeReply) redirects() bool { return r.err == nil && r.status >= 300 && r.status < 400 }

// alike tells whether r is the answer that a and b are, two of one kind: what differs
// between these, and what repeats the request, may be anything. Where one was cut, what
// all of them have is compared.
func (r routeReply) alike(a, b routeReply) bool {
	if r.kind() != a.kind() || a.kind() != b.kind() || r.err != nil {
		return false
	}
	of, as, bs := pageWords(r.body), pageWords(a.body), pageWords(b.body)
	cut := r.cut != nil || a.cut != nil || b.cut != nil
	if n := min(len(of), len(as), len(bs)); cut {
		of, as, bs = of[:n], as[:n], bs[:n]
	}
	if len(of) != len(as) || len(as) != len(bs) {
		return false
	}
	told := false // else nothing was compared
	for i, w := range of {
		switch {
		case w == as[i]:
			told = true
		case r.repeats(w) && a.repeats(as[i]):
			told = told || as[i] != bs[i] // else they may have it by chance
		case as[i] == bs[i] && ticks(w, as[i]):
		case as[i] == bs[i], a.repeats(as[i]) && b.repeats(bs[i]):
			return false
		}
	}
	return told || r.body == a.body || r.cut != nil && a.cut != nil
}

// ticks tells whether two words are the same but for digits, and can be a time to the
// millisecond: two answers may have that in common, and a third not.
func ticks(a, b string) bool {
	digits := 0
	mask := func(c rune) rune {
		if '0' <= c && c <= '9' {
			digits++
			return '0'
		}
		return c
	}
	return strings.Map(mask, a) == strings.Map(mask, b) && digits >= 2*len("150405000")
}

func (r routeReply) kind() string {
	if r.err != nil {
		return "no answer"
	}
	return strconv.Itoa(r.status) + " " + r.header.Get("Content-Type")
}

// pageWords are the parts of a page that change as a whole: paths, numbers, base64, texts.
func pageWords(body string) []string {
	return strings.FieldsFunc(body, func(c rune) bool {
		return c < utf8.RuneSelf && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("+/=_-.:%", c)
	})
}

// repeats tells whether w is a part of the request, or of the challenge, which names
// scopes. Handlers decode, and routers that redirect encode again and add slashes.
func (r routeReply) repeats(w string) bool {
	w = strings.Trim(wholly(w), "/")
	asked := wholly(r.asked)
	for _, text := range append([]string{asked, path.Clean(asked), "https://" + wholly(r.url)}, r.header.Values("WWW-Authenticate")...) {
		if strings.Contains(strings.ToLower(text), w) {
			return true
		}
	}
	return false
}

// wholly decodes s, also what was encoded twice, and leaves it in lower case.
func wholly(s string) string {
	for range 3 {
		s = unescaped(s)
	}
	return strings.ToLower(s)
}
