// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"cmp"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// canaryPath is where no server has an endpoint, and to where hostile tokens lead.
const canaryPath = "/canary/"

// host is a place in the network with the servers that are there: the one that
// opened it, and tenants, which differ by the path of their issuers.
type host struct {
	root      *Server
	only      string // the one plain origin that is served; "" under Listen, where names lead here by HTTPClient alone
	http      *http.Server
	transport *http.Transport
	authority []byte        // in PEM, with Config.TLS
	served    chan struct{} // closed when Serve has returned

	reading sync.Mutex // of Config.Random, which tenants share

	mu       sync.Mutex
	routes   map[string]place
	tenants  []*Server
	ending   bool           // Close has begun: no tenant may come
	closed   bool           // no request may come
	handlers sync.WaitGroup // counted up under mu, while not closed
	canary   []byte
	log      []record
}

// place is what a path stands for.
type place struct {
	server   *Server
	endpoint Endpoint
}

func newHost(root *Server, t *http.Transport) *host {
	h := &host{root: root, transport: t, served: make(chan struct{})}
	h.http = &http.Server{Handler: h}
	root.routes = root.endpoints()
	h.routes = map[string]place{}
	for path, e := range root.routes {
		h.routes[path] = place{root, e}
	}
	return h
}

func (h *host) start(ls ...net.Listener) {
	var serving sync.WaitGroup
	for _, l := range ls {
		serving.Go(func() {
			if h.authority != nil {
				h.http.ServeTLS(l, "", "") // ends with ErrServerClosed
				return
			}
			h.http.Serve(l) // so does this
		})
	}
	go func() {
		defer close(h.served)
		serving.Wait()
	}()
}

func (h *host) close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	err := h.http.Close()
	<-h.served
	h.handlers.Wait()
	h.transport.CloseIdleConnections()
	return err
}

// enter says whether a request may begin; handlers.Done ends it.
func (h *host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.handlers.Add(1)
	}
	return !h.closed
}

// ServeHTTP records every request, then leads it to its endpoint.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.enter() {
		panic(http.ErrAbortHandler)
	}
	defer h.handlers.Done()
	mine := h.only == "" || h.only == plainOrigin(scheme(r), r.Host)
	var p place
	if mine {
		p = h.find(r.URL.Path)
	}
	h.record(r, p)
	switch {
	case strings.HasPrefix(r.URL.Path, canaryPath):
		h.serveCanary(w, r)
	case !mine:
		// The transport in memory leads here for every host: else a test could not see
		// that something asks one that it should not.
		http.Error(w, "no such host", http.StatusMisdirectedRequest)
	case p.server == nil:
		http.NotFound(w, r)
	default:
		p.server.serve(w, r, p.endpoint)
	}
}

func (h *host) find(path string) place {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.routes[path]
}

func (h *host) serveCanary(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	jwks := h.canary
	h.mu.Unlock()
	if jwks == nil || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	if r.URL.Path == canaryPath+"redirect" {
		http.Redirect(w, r, canaryPath+"keys", http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(jwks) // the client has gone
}

// setCanary makes every address below /canary/, in memory at any host, answer with
// jwks, which an attacker would like to be taken for the issuer's keys, and
// /canary/redirect lead there; nil ends that.
func (s *Server) setCanary(jwks []byte) {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.host.canary = jwks
}

// random returns a new text of 128 random bits. It panics where Config.Random fails:
// what has run out of randomness must not go on with less.
func (s *Server) random() string {
	b := make([]byte, 16)
	s.host.reading.Lock()
	defer s.host.reading.Unlock()
	if _, err := io.ReadFull(s.cfg.Random, b); err != nil {
		panic("oauthtest: Config.Random: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

var defaultPort = map[string]string{"http": "80", "https": "443"}

// plainOrigin is one spelling for all that mean the same scheme and host (RFC 3986
// §6.2.2.1, §6.2.3).
func plainOrigin(scheme, host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ":"+defaultPort[scheme])
	return scheme + "://" + strings.TrimSuffix(host, ":")
}

// scheme is that of a request as its client sees it. In memory there is no TLS, and
// the listener's name tells.
func scheme(r *http.Request) string {
	addr, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if r.TLS != nil || addr != nil && addr.String() == "https" {
		return "https"
	}
	return "http"
}

// dialer leads connections for the host of an issuer to addr.
func dialer(issuer *url.URL, addr string) func(context.Context, string, string) (net.Conn, error) {
	host := net.JoinHostPort(issuer.Hostname(), cmp.Or(issuer.Port(), defaultPort[issuer.Scheme]))
	return func(ctx context.Context, network, to string) (net.Conn, error) {
		if strings.EqualFold(to, host) {
			to = addr
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
}
