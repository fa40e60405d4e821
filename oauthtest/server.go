// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/internal/memnet"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// Server is a running test authorization server. All methods are safe for
// concurrent use. Make it with [NewServer] or [Listen].
type Server struct {
	cfg    Config
	issuer string
	tb     testing.TB // nil under Listen
	routes map[string]http.HandlerFunc

	http      *http.Server
	transport *http.Transport
	served    chan struct{} // closed when Serve has returned
	closing   sync.Once
	closed    error

	outage  atomic.Bool
	fetches atomic.Int64

	mu       sync.Mutex
	audience []string
	keys     []*signingKey // newest first; only the first two are published
	caches   []*jwkscache.Cache
}

// NewServer starts a server in memory and closes it, after the key caches that it
// made, when the test ends. Only [Server.HTTPClient] reaches it, and only by the
// host of its issuer. Each edit may change the [Config]. A fault fails the test.
func NewServer(t testing.TB, edits ...func(*Config)) *Server {
	t.Helper()
	cfg := Config{Issuer: "https://issuer.test"}
	for _, edit := range edits {
		edit(&cfg)
	}
	s, err := newServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.tb = t
	u, _ := url.Parse(s.issuer) // complete parsed it before
	l := memnet.Listen(u.Host)
	s.transport = l.Transport()
	s.start(l, s.onlyHost(u.Host))
	t.Cleanup(func() { s.Close() })
	return s
}

// Listen starts a server on a loopback address, over plain http, for use without
// a test; the caller closes it. An address that is not on loopback is refused, and
// so is an https issuer. [Server.HTTPClient] reaches it by the host of its issuer,
// whatever that name stands for elsewhere.
func Listen(cfg Config) (*Server, error) {
	addr, err := loopback(cfg.Addr)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(cfg.Issuer); err == nil && u.Scheme == "https" {
		return nil, errors.New("oauthtest: Issuer is an https URL, but Listen serves without TLS: use an http URL, or NewServer")
	}
	s, err := newServer(cfg)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("oauthtest: %w", err)
	}
	if s.issuer == "" {
		s.issuer = "http://" + l.Addr().String()
	}
	u, _ := url.Parse(s.issuer) // complete parsed it before
	s.transport = &http.Transport{DialContext: dialer(u, l.Addr().String())}
	s.start(l, s.serve)
	return s, nil
}

// dialer leads connections for the host of an http issuer to addr.
func dialer(issuer *url.URL, addr string) func(context.Context, string, string) (net.Conn, error) {
	host := net.JoinHostPort(issuer.Hostname(), cmp.Or(issuer.Port(), "80"))
	return func(ctx context.Context, network, to string) (net.Conn, error) {
		if to == host {
			to = addr
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
}

func newServer(cfg Config) (*Server, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, issuer: cfg.Issuer, served: make(chan struct{}), audience: slices.Clone(cfg.Audience)}
	return s, s.addKey()
}

func (s *Server) start(l net.Listener, h http.HandlerFunc) {
	s.routes = s.endpoints()
	s.http = &http.Server{Handler: h}
	go func() {
		defer close(s.served)
		s.http.Serve(l) // ends with ErrServerClosed
	}()
}

// onlyHost refuses other hosts, which the transport in memory leads here, too:
// else a test could not see that something asks a host it should not.
func (s *Server) onlyHost(host string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			http.Error(w, "no such host", http.StatusMisdirectedRequest)
			return
		}
		s.serve(w, r)
	}
}

// Close closes the caches made by VerifierConfig, then the server. Further calls
// return the same. Tokens can still be made afterwards. Since making keys is slow,
// later servers of the process use these again, under another kid: they know no
// token of this server, unless an edit took the kid out of it.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		caches, keys := s.caches, s.keys
		s.mu.Unlock()
		var errs []error
		for _, c := range caches {
			errs = append(errs, c.Close())
		}
		errs = append(errs, s.http.Close())
		<-s.served
		s.transport.CloseIdleConnections()
		spare.giveBack(s.cfg.Algorithm, privates(keys))
		s.closed = errors.Join(errs...)
	})
	return s.closed
}

func privates(keys []*signingKey) []crypto.Signer {
	var ks []crypto.Signer
	for _, k := range keys {
		ks = append(ks, k.private)
	}
	return ks
}

// Issuer returns the issuer identifier.
func (s *Server) Issuer() string { return s.issuer }

// HTTPClient returns a client that reaches the server, and needs no network where
// the server needs none.
func (s *Server) HTTPClient() *http.Client { return &http.Client{Transport: s.transport} }

// VerifierConfig returns the configuration of a verifier that trusts this server,
// for an API with the given audience. Its Keys are a new [jwkscache.Cache] with
// default settings, which Close closes. The audiences also become resources that a
// client can ask for, and the first one ever given is the default of Token.
func (s *Server) VerifierConfig(aud ...string) verifier.Config {
	s.helper()
	cfg := jwkscache.Config{Issuer: s.issuer, HTTPClient: s.HTTPClient()}
	if u, err := url.Parse(s.issuer); err == nil && u.Scheme == "http" {
		cfg.InsecureHosts = []string{u.Hostname()}
	}
	keys, err := jwkscache.New(cfg)
	if err != nil {
		s.fatalf("oauthtest: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caches = append(s.caches, keys)
	for _, a := range aud {
		if a != "" && !slices.Contains(s.audience, a) {
			s.audience = append(s.audience, a)
		}
	}
	return verifier.Config{Issuer: s.issuer, Audience: aud, Keys: keys, Now: s.cfg.Now}
}

// Rotate makes a new key, which signs from now on. The key set then holds the new
// key and the one before it; older ones are withdrawn.
func (s *Server) Rotate() {
	s.helper()
	if err := s.addKey(); err != nil {
		s.fatalf("%v", err)
	}
}

func (s *Server) addKey() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := newSigningKey(s.cfg.Algorithm)
	if err != nil {
		return err
	}
	s.keys = append([]*signingKey{key}, s.keys...)
	return nil
}

// SetOutage makes every endpoint answer 503 while on is true. Token still works.
func (s *Server) SetOutage(on bool) { s.outage.Store(on) }

// Fetches returns how often the key set was asked for, also during an outage.
func (s *Server) Fetches() int { return int(s.fetches.Load()) }

func (s *Server) helper() {
	if s.tb != nil {
		s.tb.Helper()
	}
}

func (s *Server) fatalf(format string, args ...any) {
	if s.tb == nil {
		panic(fmt.Sprintf(format, args...))
	}
	s.tb.Helper()
	s.tb.Fatalf(format, args...)
}
