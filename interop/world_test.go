// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	ordersAPI  = "https://orders.test"
	billingAPI = "https://billing.test"
	base       = "http://orders.test" // where both are served
	callback   = "https://client.test/callback"
)

// place is where an authorization server runs.
type place struct {
	name  string
	start func(t *testing.T, edit func(*oauthtest.Config)) *oauthtest.Server
}

var inMemory = place{"in_memory", func(t *testing.T, edit func(*oauthtest.Config)) *oauthtest.Server {
	return oauthtest.NewServer(t, edit)
}}

var onLoopback = place{"on_loopback", func(t *testing.T, edit func(*oauthtest.Config)) *oauthtest.Server {
	return listen(t, oauthtest.Config{}, edit)
}}

var overTLS = place{"over_tls", func(t *testing.T, edit func(*oauthtest.Config)) *oauthtest.Server {
	return listen(t, oauthtest.Config{TLS: true}, edit)
}}

var places = []place{inMemory, onLoopback, overTLS}

func listen(t *testing.T, cfg oauthtest.Config, edit func(*oauthtest.Config)) *oauthtest.Server {
	edit(&cfg)
	as, err := oauthtest.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { as.Close() })
	return as
}

// world is an authorization server and two APIs that trust it.
type world struct {
	as   *oauthtest.Server
	http *http.Client // reaches all three
}

func newWorld(t *testing.T, p place, edits ...func(*oauthtest.Config)) *world {
	as := p.start(t, func(c *oauthtest.Config) {
		c.Audience = []string{ordersAPI, billingAPI}
		c.DeviceInterval = time.Second
		c.Clients = []oauthtest.Client{
			// Characters that a client has to encode (RFC 6749 §2.3.1).
			{ID: "web app", Secret: "s3cret: 100%+", RedirectURIs: []string{callback}},
			{ID: "native", RedirectURIs: []string{"http://127.0.0.1/callback"}},
		}
		for _, edit := range edits {
			edit(c)
		}
	})
	split := hosts{as.HTTPClient().Transport, serve(t, apis(t, as))}
	return &world{as, &http.Client{Transport: split}}
}

// apis serves /orders and /admin to tokens for ordersAPI, /invoices for billingAPI.
func apis(t *testing.T, as *oauthtest.Server) http.Handler {
	mux := http.NewServeMux()
	for _, r := range []struct{ audience, path, scope string }{
		{ordersAPI, "/orders", "orders:read"},
		{ordersAPI, "/admin", "orders:admin"},
		{billingAPI, "/invoices", "orders:read"},
	} {
		v, err := verifier.New(as.VerifierConfig(r.audience))
		if err != nil {
			t.Fatal(err)
		}
		g, err := middleware.New(middleware.Config{Verifier: v})
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle("GET "+r.path, nethttp.Require(g, scopes.All(r.scope))(http.HandlerFunc(whoami)))
	}
	return mux
}

func whoami(w http.ResponseWriter, r *http.Request) {
	tok, _ := middleware.TokenFrom(r.Context())
	io.WriteString(w, tok.Subject)
}

// context leads golang.org/x/oauth2 and go-oidc to the world.
func (w *world) context() context.Context {
	return context.WithValue(context.Background(), oauth2.HTTPClient, w.http)
}

// wantAccess calls the APIs with a token for orders:read at ordersAPI: one route is
// open, one wants another scope, one another audience.
func (w *world) wantAccess(t *testing.T, tok *oauth2.Token, subject string) {
	t.Helper()
	client := oauth2.NewClient(w.context(), oauth2.StaticTokenSource(tok))
	for _, c := range []struct {
		path, challenge, body string
		status                int
	}{
		{"/orders", "", subject, http.StatusOK},
		{"/admin", `Bearer error="insufficient_scope", `, "", http.StatusForbidden},
		{"/invoices", `Bearer error="invalid_token", `, "", http.StatusUnauthorized},
	} {
		resp, err := client.Get(base + c.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || string(body) != c.body || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), c.challenge) {
			t.Errorf("%s: %d %q, challenge %q; want %d %q, %q (%v)", c.path, resp.StatusCode, body, resp.Header.Get("WWW-Authenticate"), c.status, c.body, c.challenge, err)
		}
	}
}

// wantRefusal checks the error code of a token endpoint (RFC 6749 §5.2).
func wantRefusal(t *testing.T, err error, code string) {
	t.Helper()
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.ErrorCode != code {
		t.Errorf("error %v, want %s", err, code)
	}
}

// hosts sends the requests for the APIs to one transport and all others to the other.
type hosts struct{ issuer, apis http.RoundTripper }

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == mustHost(base) {
		return h.apis.RoundTrip(r)
	}
	return h.issuer.RoundTrip(r)
}

func mustHost(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err)
	}
	return u.Host
}

// serve serves h over pipes, which testing/synctest can wait for, until the test ends.
func serve(t *testing.T, h http.Handler) http.RoundTripper {
	l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l) // ends with ErrServerClosed
	}()
	transport := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	return transport
}

type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
