// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/memnet"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// Server is a running test authorization server. All methods are safe for
// concurrent use. Make it with [NewServer], [Listen] or [Server.Tenant].
//
// A call that is at fault, such as a [Server.SetFault] for an endpoint that there is not,
// fails the test that made the server and goes on: without effect, or with a result that
// is good for nothing, "" for a token and a zero verifier.Config for example. It panics
// where there is no test to fail: at a server of Listen, and at one that NewServer made
// for a *testing.F, of which no method may be called inside F.Fuzz.
type Server struct {
	cfg    Config
	issuer string
	tb     testing.TB // noTest where there is none to fail
	host   *host
	routes map[string]Endpoint

	closing sync.Once
	closed  error
	done    chan struct{} // closed by Close, for what waits without an end

	outage  atomic.Bool
	fetches atomic.Int64

	mu       sync.Mutex
	audience []string
	keys     []*signingKey     // newest first, withdrawn ones too
	extra    []json.RawMessage // hostile keys that are published beside these
	edited   []byte            // what EditKeySet made of the key set, or nil
	faults   map[Endpoint]*Fault
	caches   []*jwkscache.Cache

	store *store
}

// memoryIssuer is the issuer of a server in memory that is given no other.
const memoryIssuer = "https://issuer.test"

// NewServer starts a server in memory and closes it, after the key caches that it
// made, when the test ends. Only [Server.HTTPClient] reaches it, and only by the
// scheme and host of its issuer. Each edit may change the [Config]. A fault of it ends
// the test at once, so that t must be that of the caller; a fuzz target makes its own
// server with its *testing.T, or uses one that was made before F.Fuzz. A test in a
// testing/synctest bubble makes its servers inside the bubble: package synctest ends the
// process when one from outside is used in it.
func NewServer(t testing.TB, edits ...func(*Config)) *Server {
	t.Helper()
	cfg := Config{Issuer: memoryIssuer}
	if err := cfg.change(edits); err != nil {
		t.Fatalf("oauthtest: NewServer: %v", err)
	}
	cfg.Issuer = cmp.Or(cfg.Issuer, memoryIssuer) // an edit may replace all of it
	s, err := newServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, fuzz := t.(*testing.F); !fuzz {
		s.tb = t
	}
	u, _ := url.Parse(s.issuer) // complete parsed it before
	// One listener per scheme, so that a request over plain http is seen to be one.
	plain, secure := memnet.Listen("http"), memnet.Listen("https")
	s.host = newHost(s, &http.Transport{DialContext: plain.Dial, DialTLSContext: secure.Dial})
	s.host.only = plainOrigin(u.Scheme, u.Host)
	s.host.start(plain, secure)
	t.Cleanup(func() { s.Close() })
	return s
}

// Listen starts a server on a loopback address, over https if Config.TLS is set and
// over http if not, for use without a test; the caller closes it. An address that is
// not on loopback is refused, and so is an issuer of the other scheme.
// [Server.HTTPClient] reaches it by the host of its issuer, whatever that name stands
// for elsewhere.
func Listen(cfg Config) (*Server, error) {
	addr, err := loopback(cfg.Addr)
	if err != nil {
		return nil, err
	}
	if err := cfg.checkScheme(); err != nil {
		return nil, err
	}
	s, err := newServer(cfg)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("oauthtest: %w", err)
	}
	s.issuer = cmp.Or(s.issuer, cfg.scheme()+"://"+l.Addr().String())
	u, _ := url.Parse(s.issuer) // complete parsed it before
	s.host = newHost(s, &http.Transport{DialContext: dialer(u, l.Addr().String())})
	if cfg.TLS {
		if err := s.host.secure(u.Hostname()); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	s.host.start(l)
	return s, nil
}

// newServer makes all of a server but its place in the network.
func newServer(cfg Config) (*Server, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	cfg = cfg.clone() // the caller may change his own
	s := &Server{
		cfg: cfg, issuer: cfg.Issuer, audience: slices.Clone(cfg.Audience),
		store: newStore(), faults: map[Endpoint]*Fault{}, done: make(chan struct{}), tb: noTest{},
	}
	key, err := firstKey(cfg)
	if err != nil {
		return nil, err
	}
	s.keys = []*signingKey{key}
	return s, nil
}

// Close closes the caches made by VerifierConfig, then the server with all its
// tenants, and waits for requests that are under way. Further calls return the same.
// Tokens can still be made afterwards. Since making keys is slow, these are reused by
// later servers of the process under another kid, so that a token without kid may verify
// at a later server. Closing a tenant leaves its host running.
func (s *Server) Close() error {
	s.closing.Do(func() {
		var errs []error
		for _, tenant := range s.host.remove(s) {
			errs = append(errs, tenant.Close())
		}
		close(s.done)
		s.mu.Lock()
		caches, keys := s.caches, s.keys
		s.mu.Unlock()
		for _, c := range caches {
			errs = append(errs, c.Close())
		}
		if s == s.host.root {
			errs = append(errs, s.host.close())
		}
		spare.giveBack(s.cfg.Algorithm, borrowed(keys))
		s.closed = errors.Join(errs...)
	})
	return s.closed
}

// Issuer returns the issuer identifier.
func (s *Server) Issuer() string { return s.issuer }

// HTTPClient returns a client that reaches the server, and needs no network where
// the server needs none. It trusts the certificate of a server with Config.TLS.
func (s *Server) HTTPClient() *http.Client { return &http.Client{Transport: s.host.transport} }

// VerifierConfig returns the configuration of a verifier that trusts this server,
// for an API with the given audience. Its Keys are a new [jwkscache.Cache] with
// default settings, which Close closes. The audiences also become resources that a
// client can ask for, and the first one ever given is the default of Token. It is at
// fault if Config.Algorithm is one of HMAC, which [Server.SymmetricConfig] is for.
func (s *Server) VerifierConfig(aud ...string) verifier.Config {
	s.tb.Helper()
	if jose.HMAC(s.cfg.Algorithm) {
		s.errorf("oauthtest: a server that signs with %s has no key set: use verifier.NewSymmetric(as.SymmetricConfig(…))", s.cfg.Algorithm)
		return verifier.Config{}
	}
	cfg := jwkscache.Config{Issuer: s.issuer, HTTPClient: s.HTTPClient()}
	if u, err := url.Parse(s.issuer); err == nil && u.Scheme == "http" {
		cfg.InsecureHosts = []string{u.Hostname()}
	}
	keys, err := jwkscache.New(cfg)
	if err != nil {
		s.errorf("oauthtest: %v", err)
		return verifier.Config{}
	}
	s.mu.Lock()
	s.caches = append(s.caches, keys)
	s.mu.Unlock()
	s.addAudience(aud)
	return verifier.Config{Issuer: s.issuer, Audience: aud, Keys: keys, Now: s.cfg.Now}
}

func (s *Server) addAudience(aud []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range aud {
		if a != "" && !slices.Contains(s.audience, a) {
			s.audience = append(s.audience, a)
		}
	}
}

// SetOutage makes every endpoint answer 503 while on is true. Token still works.
func (s *Server) SetOutage(on bool) { s.outage.Store(on) }

// Fetches returns how often the key set was asked for, also during an outage or a
// fault.
func (s *Server) Fetches() int { return int(s.fetches.Load()) }

// errorf fails the test for good, but does not end it: the caller may be a subtest, which
// must not end its parent (package testing ends the process then). It returns, and so must
// what called it.
func (s *Server) errorf(format string, args ...any) {
	s.tb.Helper()
	s.tb.Errorf(format, args...)
}

// noTest stands in for the test of a server that has none.
type noTest struct{ testing.TB }

func (noTest) Helper()                           {}
func (noTest) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
