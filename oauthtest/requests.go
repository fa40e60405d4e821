// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"time"
)

const (
	maxRequests = 10_000
	maxRecorded = 64 << 10
)

// Request is a request that the server got.
type Request struct {
	// Endpoint is "" for a path or host that the server does not have.
	Endpoint Endpoint
	Method   string
	// URL is absolute, as the client asked for it.
	URL    string
	Header http.Header
	// Body is cut after 64 KiB.
	Body []byte
	// At is when it came, by Config.Now.
	At time.Time
}

// record is a request with the server that it was for; nil for none.
type record struct {
	server *Server
	Request
}

// Requests returns what the server was asked, in the order of arrival, since it
// started or since ClearRequests. Those to a path that no server has, and in memory to
// any other host or scheme, are among them. The last 10,000 requests are kept, of a
// server and all its tenants together: many to one push out those to another.
func (s *Server) Requests() []Request {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	var list []Request
	for _, r := range s.host.log {
		if r.server == s || r.server == nil {
			r.Header, r.Body = r.Header.Clone(), bytes.Clone(r.Body)
			list = append(list, r.Request)
		}
	}
	return list
}

// ClearRequests forgets what Requests would return.
func (s *Server) ClearRequests() {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.host.log = slices.DeleteFunc(s.host.log, func(r record) bool { return r.server == s || r.server == nil })
}

// record notes r, and puts back what it reads of the body.
func (h *host) record(r *http.Request, p place) {
	start, err := io.ReadAll(io.LimitReader(r.Body, maxRecorded))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = broken{err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), rest), r.Body}
	clock := h.root
	if p.server != nil {
		clock = p.server
	}
	entry := record{p.server, Request{
		Endpoint: p.endpoint, Method: r.Method, URL: scheme(r) + "://" + r.Host + r.URL.RequestURI(),
		Header: r.Header.Clone(), Body: start, At: clock.cfg.Now(),
	}}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.log) == maxRequests {
		h.log = slices.Delete(h.log, 0, 1)
	}
	h.log = append(h.log, entry)
}

// broken is the rest of a body that could not be read.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
