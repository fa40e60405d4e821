// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// Fault is a way in which an endpoint misbehaves; see [Server.SetFault]. The zero value
// is none. Fields can be combined: Oversize with Gzip is a decompression bomb, for
// example. All of them work in the virtual time of testing/synctest.
type Fault struct {
	// Next is how many requests meet the fault, which then ends by itself; 0 means all.
	// A client may repeat a request whose connection broke, which counts again.
	Next int
	// Delay is how long every answer waits.
	Delay time.Duration
	// Hang never answers: until the client leaves or the server is closed, a tenant by its
	// own Close.
	Hang bool
	// Reset ends the connection in the middle of the status line; under HTTP/2 it
	// resets the stream.
	Reset bool
	// Status answers with this status, from 200 to 599, and its text instead of what the
	// endpoint would have done: it does nothing then. 0 means the endpoint's own, or 200
	// with Body, or 302 with Redirect.
	Status int
	// Redirect is a Location for the answer; the endpoint does nothing then.
	Redirect string
	// Body is sent instead of the endpoint's answer, as application/json; the endpoint
	// does nothing then. "" means its own.
	Body string
	// Header is set over that of the answer, in any case of letters: for a wrong
	// Content-Type, Cache-Control, or Retry-After.
	Header http.Header
	// DuplicateMembers has every member of the answer's JSON object twice.
	DuplicateMembers bool
	// Truncate announces the whole body, sends half of it and ends the connection; of an
	// empty one it announces a byte. Oversize and Gzip do nothing then.
	Truncate bool
	// Oversize fills the body up with spaces to so many bytes, which leaves JSON valid.
	// 0 means its own size.
	Oversize int
	// Gzip sends the body in that Content-Encoding, asked for or not.
	Gzip bool
}

// SetFault makes an endpoint misbehave until the next SetFault for it; the zero Fault
// ends that. It takes precedence over SetOutage. What is under way goes on as it began.
// It is at fault for an endpoint that the server does not have, for a status that is
// none, and for a negative Next.
func (s *Server) SetFault(e Endpoint, f Fault) {
	s.tb.Helper()
	if !slices.Contains(slices.Collect(maps.Values(s.routes)), e) {
		s.errorf("oauthtest: SetFault: this server has no endpoint %q", e)
		return
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		s.errorf("oauthtest: SetFault: Status %d is not between 200 and 599", f.Status)
		return
	}
	if f.Next < 0 {
		s.errorf("oauthtest: SetFault: Next %d is negative: leave it out for all requests", f.Next)
		return
	}
	f.Header = canonical(f.Header)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.faults, e)
	if !reflect.ValueOf(f).IsZero() {
		s.faults[e] = &f
	}
}

// canonical is a copy that replaces the same fields however they are spelled: two lines
// of a field that has one would leave the choice to the client.
func canonical(h http.Header) http.Header {
	if h == nil {
		return nil
	}
	c := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		key := http.CanonicalHeaderKey(name)
		c[key] = append(c[key], h[name]...)
	}
	return c
}

// fault returns what the present request to e meets.
func (s *Server) fault(e Endpoint) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.faults[e]
	if f == nil {
		return Fault{}, false
	}
	now := *f
	if f.Next > 0 {
		if f.Next--; f.Next == 0 {
			delete(s.faults, e)
		}
	}
	return now, true
}

func (f Fault) serve(w http.ResponseWriter, r *http.Request, closed <-chan struct{}, endpoint func(http.ResponseWriter)) {
	if !f.wait(r, closed) {
		panic(http.ErrAbortHandler)
	}
	if f.Reset {
		breakOff(w)
	}
	a := f.instead()
	if a == nil {
		a = &reply{status: http.StatusOK, header: http.Header{}}
		endpoint(a)
	}
	maps.Copy(a.header, f.Header)
	if f.DuplicateMembers {
		a.duplicate()
	}
	maps.Copy(w.Header(), a.header)
	f.send(w, a)
}

// wait reports whether there will be an answer.
func (f Fault) wait(r *http.Request, closed <-chan struct{}) bool {
	var over <-chan time.Time
	if !f.Hang {
		if f.Delay <= 0 {
			return true
		}
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-r.Context().Done():
	case <-closed:
	}
	return false
}

// breakOff sends a few bytes first where it can: on a connection that ends without any,
// clients try again at once, unseen.
func breakOff(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		io.WriteString(conn, "HTTP/1.1 ") // it ends either way
		conn.Close()
	}
	panic(http.ErrAbortHandler)
}

// instead is the answer of an endpoint that does nothing; nil if it does something.
func (f Fault) instead() *reply {
	if f.Status == 0 && f.Redirect == "" && f.Body == "" {
		return nil
	}
	a := &reply{status: f.Status, header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}}
	switch {
	case f.Redirect != "":
		a.header.Set("Location", f.Redirect)
		if a.status == 0 {
			a.status = http.StatusFound
		}
	case a.status == 0:
		a.status = http.StatusOK
	}
	if f.Body == "" {
		a.body.WriteString(http.StatusText(a.status) + "\n")
	} else {
		a.header.Set("Content-Type", "application/json")
		a.body.WriteString(f.Body)
	}
	return a
}

func (f Fault) send(w http.ResponseWriter, a *reply) {
	body := a.body.Bytes()
	if f.Truncate {
		w.Header().Set("Content-Length", strconv.Itoa(max(len(body), 1))) // of 0 nothing lacks
		w.WriteHeader(a.status)
		w.Write(body[:len(body)/2]) // it ends either way
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if f.Gzip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(a.status)
	out := io.Writer(w)
	if f.Gzip {
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // a level that there is
		defer z.Close()
		out = z
	}
	out.Write(body) // the client has gone, or finds it too much, which is the purpose
	pad(out, f.Oversize-len(body))
}

func pad(w io.Writer, n int) {
	spaces := bytes.Repeat([]byte{' '}, 32<<10)
	for n > 0 {
		written, err := w.Write(spaces[:min(n, len(spaces))])
		if err != nil {
			return
		}
		n -= written
	}
}

// reply is what an endpoint says, before a fault changes it.
type reply struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *reply) Header() http.Header         { return a.header }
func (a *reply) WriteHeader(status int)      { a.status = status }
func (a *reply) Write(b []byte) (int, error) { return a.body.Write(b) }

// duplicate leaves alone what is no JSON object with members.
func (a *reply) duplicate() {
	b := bytes.TrimSpace(a.body.Bytes())
	if len(b) < len(`{"":0}`) || b[0] != '{' {
		return
	}
	members := bytes.Clone(b[1 : len(b)-1])
	a.body.Reset()
	a.body.WriteString("{" + string(members) + "," + string(members) + "}")
}
