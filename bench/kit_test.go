// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// shared makes each thing once per process, when it is first asked for, under its
// name: keys and tokens are slow to make, and who sees tokens must keep what it saw.
var shared struct {
	sync.Mutex
	things map[string]any
}

func once[T any](tb testing.TB, name string, make func() (T, error)) T {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.things == nil {
		shared.things = map[string]any{}
	}
	thing, ok := shared.things[name]
	if !ok {
		var err error
		if thing, err = make(); err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		shared.things[name] = thing
	}
	return thing.(T)
}

func issuerOf(tb testing.TB, alg string) *issuer {
	tb.Helper()
	return once(tb, "issuer/"+alg, func() (*issuer, error) { return newIssuer(alg) })
}

func setupOf(tb testing.TB, alg string) setup {
	tb.Helper()
	is := issuerOf(tb, alg)
	return once(tb, "setup/"+alg, is.setup)
}

func ringOf(tb testing.TB, alg string, size int) []*token {
	tb.Helper()
	is := issuerOf(tb, alg)
	return once(tb, fmt.Sprintf("ring/%s/%d", alg, size), func() ([]*token, error) { return is.ring(ringSize, size) })
}

func variantsOf(tb testing.TB, alg string, size int) []variant {
	tb.Helper()
	is := issuerOf(tb, alg)
	return once(tb, fmt.Sprintf("variants/%s/%d", alg, size), func() ([]variant, error) { return is.variants(size) })
}

// rounds is how many times those that are compared run in turn. Of many short runs, some
// of each meet the machine when it does nothing else; of a few long ones, seldom all do.
const rounds = 12

// forget drops what once has made, so that none of those that are compared next is
// measured beside the memory of others.
func forget() {
	shared.Lock()
	defer shared.Unlock()
	shared.things = nil
}

// reader goes through a ring of size tokens, and on where it stopped the last time.
type reader struct {
	size int
	next atomic.Uint64
}

func (r *reader) index() int { return int(r.next.Add(1) % uint64(r.size)) }

// recorder is a ResponseWriter that keeps of an answer what is checked.
type recorder struct {
	header http.Header
	status int
	body   int
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.body += len(p)
	return len(p), nil
}

// client sends requests that differ by the Authorization header to a handler. It is
// for one goroutine.
type client struct {
	handler http.Handler
	request *http.Request
	line    []string // the field lines of Authorization
	answer  *recorder
}

func newClient(h http.Handler) *client {
	c := &client{handler: h, request: httptest.NewRequest("GET", route, nil), line: []string{""}, answer: newRecorder()}
	c.request.Header["Authorization"] = c.line
	return c
}

// without makes c send no such header, whatever it is asked to send.
func (c *client) without() *client {
	delete(c.request.Header, "Authorization")
	return c
}

// ask returns the status of the answer.
func (c *client) ask(authorization string) int {
	c.line[0] = authorization
	clear(c.answer.header)
	c.answer.status, c.answer.body = 0, 0
	c.handler.ServeHTTP(c.answer, c.request)
	return c.answer.status
}

// ok: the handler itself has answered.
func (c *client) ok(authorization string) bool {
	return c.ask(authorization) == http.StatusOK && c.answer.body == len(reply)
}
