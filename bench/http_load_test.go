// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// httpPatience ends a load that a server does not answer. It is an upper bound, for
// a long -benchtime, too.
const httpPatience = 10 * time.Minute

// httpConn is a keep-alive connection that carries one request at a time.
type httpConn struct {
	conn net.Conn
	buf  []byte
}

// httpGroup are connections that one goroutine serves: it sends a request on each,
// then reads the answers, most of which have come meanwhile. That costs less than to
// wait for each.
type httpGroup []*httpConn

// httpDial opens groups of connections. Close them, also after an error.
func httpDial(addr string, groups, each int) ([]httpGroup, error) {
	all := make([]httpGroup, groups)
	for i := range all {
		for range each {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return all, err
			}
			all[i] = append(all[i], &httpConn{conn, make([]byte, 4096)})
		}
	}
	return all, nil
}

// httpTraffic are requests, sent in turn, each of which must get the same status.
type httpTraffic struct {
	requests [][]byte
	want     []byte // the beginning of the status line
	sent     atomic.Int64
}

func httpExpect(status int, requests [][]byte) *httpTraffic {
	return &httpTraffic{requests: requests, want: fmt.Appendf(nil, "HTTP/1.1 %d ", status)}
}

// next is the request of a number, which counts from 0.
func (t *httpTraffic) next(i int64) []byte { return t.requests[i%int64(len(t.requests))] }

// run sends requests over all groups until limit were sent or stop is set, and
// returns how many that were. A limit of 0 is none.
func (t *httpTraffic) run(groups []httpGroup, limit int64, stop *atomic.Bool) (int64, error) {
	first := t.sent.Load()
	var done atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, len(groups))
	for i, g := range groups {
		g.wait(time.Now().Add(httpPatience))
		wg.Go(func() {
			n := int64(len(g))
			for errs[i] == nil && !stop.Load() {
				from := t.sent.Add(n) - n
				if limit > 0 {
					n = min(n, first+limit-from)
				}
				if n <= 0 {
					return
				}
				errs[i] = g[:n].exchange(t, from)
				done.Add(n)
			}
		})
	}
	wg.Wait()
	t.sent.Store(first + done.Load())
	return done.Load(), errors.Join(errs...)
}

// exchange sends the requests from number from on, one per connection, and reads the
// answers.
func (g httpGroup) exchange(t *httpTraffic, from int64) error {
	for i, c := range g {
		if _, err := c.conn.Write(t.next(from + int64(i))); err != nil {
			return err
		}
	}
	for _, c := range g {
		if err := c.read(t.want); err != nil {
			return err
		}
	}
	return nil
}

// wait lets the connections wait for answers no longer than until t.
func (g httpGroup) wait(t time.Time) {
	for _, c := range g {
		c.conn.SetDeadline(t)
	}
}

func (g httpGroup) close() {
	for _, c := range g {
		c.conn.Close()
	}
}

var (
	httpBlank  = []byte("\r\n\r\n")
	httpLength = []byte("\r\nContent-Length: ")
)

// read reads one answer to its end and checks its status. Every server here sends a
// Content-Length.
func (c *httpConn) read(want []byte) error {
	size, whole := 0, 0 // whole is known when the header has come
	for whole == 0 || size < whole {
		n, err := c.conn.Read(c.buf[size:])
		if err != nil {
			return fmt.Errorf("after %d bytes of an answer: %w", size, err)
		}
		size += n
		if whole == 0 {
			if whole, err = httpWhole(c.buf[:size]); err != nil {
				return err
			}
		}
		if max(size, whole) >= len(c.buf) {
			return fmt.Errorf("an answer of %d bytes or more", max(size, whole))
		}
	}
	switch {
	case size > whole:
		return fmt.Errorf("%d bytes behind an answer", size-whole)
	case !bytes.HasPrefix(c.buf, want):
		line, _, _ := bytes.Cut(c.buf[:whole], []byte("\r\n"))
		return fmt.Errorf("answered %q, want %q", line, want)
	}
	return nil
}

// httpWhole is the length of the answer that text begins with, or 0 if its header is
// not complete.
func httpWhole(text []byte) (int, error) {
	end := bytes.Index(text, httpBlank)
	if end < 0 {
		return 0, nil
	}
	_, rest, ok := bytes.Cut(text[:end+2], httpLength)
	if !ok {
		return 0, errors.New("an answer without Content-Length")
	}
	digits, _, _ := bytes.Cut(rest, httpBlank[:2])
	length, err := strconv.Atoi(string(digits))
	if err != nil || length < 0 {
		return 0, fmt.Errorf("Content-Length %q", digits)
	}
	return end + len(httpBlank) + length, nil
}
