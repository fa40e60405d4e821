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
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

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
	reached atomic.Int64 // requests that the server handed on
}

const (
	askedHost = "api.test"
	askedTime = 10 * time.Second // for one answer
	askedBody = 64 << 10
)

func newAsker(h http.Handler) *asker {
	a := &asker{h: h, wire: memnet.Listen(askedHost), served: make(chan struct{})}
	// What panics is reported as a request without answer.
	a.server = &http.Server{Handler: http.HandlerFunc(a.serve), ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(a.served)
		a.server.Serve(a.wire) // ends with ErrServerClosed
	}()
	return a
}

// serve makes requests look as if they came by TLS: else a guard that asks for it, or a
// redirect to https, would hide what is to be seen.
func (a *asker) serve(w http.ResponseWriter, r *http.Request) {
	a.reached.Add(1)
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: askedHost}
	a.h.ServeHTTP(w, r)
}

func (a *asker) close() {
	a.server.Close()
	<-a.served
}

// routeReply is an answer, or the lack of one.
type routeReply struct {
	err    error
	status int
	header http.Header
	body   string
	served bool // it is the handler's, not the server's
	direct bool // it is of a request that no server made

	elsewhere bool // a redirect to a host that the target named
}

func (r routeReply) text() string {
	if r.err != nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %s", r.status, http.StatusText(r.status))
}

// ask sends one request with these header lines on a connection of its own. It does not
// read the body, which may never end.
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
	got := receiveReply(bufio.NewReader(conn), method, readBody)
	conn.Close()
	sending.Wait()
	got.served = a.reached.Load() > before
	return got
}

func receiveReply(from *bufio.Reader, method string, readBody bool) routeReply {
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
		if readBody {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, askedBody)) // what came is enough
			got.body = string(body)
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
	ctx, cancel := context.WithTimeout(context.Background(), askedTime)
	defer cancel()
	r := &http.Request{
		Method: method, URL: u, Host: host, RequestURI: target, Header: http.Header{}, Body: http.NoBody,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: askedHost,
	}
	w := httptest.NewRecorder()
	if p := hook.Call("the handler", func() { a.serve(w, r.WithContext(ctx)) }); p != nil {
		return routeReply{err: p, served: true, direct: true}
	}
	return routeReply{status: w.Code, header: w.Header(), body: w.Body.String(), served: true, direct: true}
}

// unescaped decodes what can be decoded, and leaves the rest.
func unescaped(target string) string {
	if path, err := url.PathUnescape(target); err == nil {
		return path
	}
	return target
}
