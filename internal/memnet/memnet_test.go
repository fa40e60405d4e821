// SPDX-License-Identifier: Apache-2.0

package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/memnet"
)

// serve runs a real server over l; the returned function closes it and waits.
func serve(l *memnet.Listener, h http.HandlerFunc) (stop func()) {
	s := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return func() { s.Close(); <-done }
}

func echoHost(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	io.WriteString(w, r.Host+" "+string(body))
}

func post(t *testing.T, c *http.Client, url, body string) string {
	t.Helper()
	resp, err := c.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestHTTP(t *testing.T) {
	l := memnet.Listen("issuer.test:443")
	defer serve(l, echoHost)()
	c := &http.Client{Transport: l.Transport()}
	big := strings.Repeat("x", 1<<20) // more than any buffer on the way
	for _, tc := range []struct{ name, url, body, want string }{
		{"http", "http://issuer.test/", "a", "issuer.test a"},
		{"https_without_tls", "https://issuer.test/", "b", "issuer.test b"},
		{"other_host", "https://other.test:8443/", "c", "other.test:8443 c"},
		{"large_body", "https://issuer.test/", big, "issuer.test " + big},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := post(t, c, tc.url, tc.body); got != tc.want {
				t.Errorf("got %.80q (%d bytes), want %.80q", got, len(got), tc.want)
			}
		})
	}
}

// Handlers limit rates, allow and log by address, and fail where there is none.
func TestAddresses(t *testing.T) {
	l := memnet.Listen("issuer.test:443")
	defer serve(l, func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || peer.Port() == 0 || !netip.MustParsePrefix("192.0.2.0/24").Contains(peer.Addr()) {
			t.Errorf("RemoteAddr %q: %v", r.RemoteAddr, err)
		}
		if local := r.Context().Value(http.LocalAddrContextKey); local != l.Addr() {
			t.Errorf("local address %v", local)
		}
	})()
	conn, err := l.Dial(t.Context(), "tcp", "other.test:80")
	if err != nil {
		t.Fatal(err)
	}
	if conn.RemoteAddr() != l.Addr() || conn.LocalAddr().String() != "192.0.2.1:1234" {
		t.Errorf("dialed %v from %v", conn.RemoteAddr(), conn.LocalAddr())
	}
	conn.Close()
	post(t, &http.Client{Transport: l.Transport()}, "https://issuer.test/", "x")
}

func TestParallelRequests(t *testing.T) {
	l := memnet.Listen("issuer.test:443")
	defer serve(l, echoHost)()
	c := &http.Client{Transport: l.Transport()}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			resp, err := c.Post("https://issuer.test/", "text/plain", strings.NewReader("x"))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, _ := io.ReadAll(resp.Body); string(got) != "issuer.test x" {
				t.Errorf("got %q", got)
			}
		})
	}
	wg.Wait()
}

func TestDialAndClose(t *testing.T) {
	l := memnet.Listen("issuer.test:443")
	if got := l.Addr(); got.Network() != "mem" || got.String() != "issuer.test:443" {
		t.Errorf("address %s %s", got.Network(), got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Dial(ctx, "tcp", "a:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("dial with a cancelled context and no Accept: %v", err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	if _, err := l.Dial(t.Context(), "tcp", "a:1"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial after close: %v", err)
	}
}

func TestCloseReleasesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wait := range []func(*memnet.Listener) error{
			func(l *memnet.Listener) error { _, err := l.Accept(); return err },
			func(l *memnet.Listener) error { _, err := l.Dial(t.Context(), "tcp", "a:1"); return err },
		} {
			l := memnet.Listen("a:1")
			got := make(chan error, 1)
			go func() { got <- wait(l) }()
			synctest.Wait() // the call waits
			l.Close()
			if err := <-got; !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// Time stands still while a handler works and leaps while it sleeps; and the
// bubble ends, which it does only when no goroutine of it is left.
func TestInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memnet.Listen("issuer.test:443")
		stop := serve(l, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour)
			echoHost(w, r)
		})
		c := &http.Client{Transport: l.Transport()}
		start := time.Now()
		if got := post(t, c, "https://issuer.test/", "x"); got != "issuer.test x" {
			t.Errorf("got %q", got)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("took %v of virtual time", took)
		}
		stop()
		synctest.Wait()
	})
}

// A client's timeout runs on virtual time, too, and ends a request to a server
// that does not answer.
func TestTimeoutInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memnet.Listen("issuer.test:443")
		stop := serve(l, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://issuer.test/", nil)
		_, err := (&http.Client{Transport: l.Transport()}).Do(req)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
