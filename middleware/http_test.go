// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/memnet"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// preflight makes a request a CORS preflight.
func preflight(r *http.Request) {
	r.Method = http.MethodOptions
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("Access-Control-Request-Method", "GET")
}

func TestPreflight(t *testing.T) {
	protected := func(http.ResponseWriter, *http.Request) { t.Error("the protected handler ran") }
	answering := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tok, ok := middleware.TokenFrom(r.Context()); tok != nil || ok {
			t.Error("the preflight handler sees a token")
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(http.StatusNoContent)
	})
	plain, _ := newGuard(t)
	handing, s := newGuard(t, func(c *middleware.Config) { c.Preflight = answering })
	t.Run("HT-02/A43_not_set", func(t *testing.T) {
		wants(t, ask(t, behind(t, plain, protected, read), preflight), 401, w01)
	})
	for name, lines := range map[string][]string{
		"A43_set": nil, "set_and_token": {"Bearer ok~read"}, "EO-01_set_and_malformed_credentials": {"Bearer a b", "x"},
	} {
		t.Run("HT-02/"+name, func(t *testing.T) {
			got := ask(t, behind(t, handing, protected, read), preflight, lines...)
			if got.StatusCode != 204 || got.Header.Get("Access-Control-Allow-Origin") != "*" || got.challenges() != nil || got.Header.Get("Cache-Control") != "" {
				t.Errorf("%d %v", got.StatusCode, got.Header)
			}
			if s.calls() > 0 {
				t.Errorf("the verifier was asked about %q", s.tokens())
			}
		})
	}
	t.Run("HT-02/no_token_of_an_outer_guard", func(t *testing.T) {
		got := ask(t, behind(t, plain, behind(t, handing, protected)), preflight, "Bearer ok")
		if got.StatusCode != 204 {
			t.Errorf("status %d", got.StatusCode)
		}
	})
	t.Run("EO-01/preflight_before_TLS", func(t *testing.T) {
		both, _ := newGuard(t, func(c *middleware.Config) { c.Preflight, c.RequireTLS = answering, true })
		if got := ask(t, behind(t, both, protected), preflight); got.StatusCode != 204 {
			t.Errorf("status %d", got.StatusCode)
		}
	})
	t.Run("HT-02/optional_route", func(t *testing.T) {
		if got := ask(t, optional(t, handing, protected), preflight); got.StatusCode != 204 {
			t.Errorf("status %d", got.StatusCode)
		}
	})
	for _, tc := range []struct {
		name string
		edit func(*http.Request)
	}{
		{"HT-03/OPTIONS_without_Origin", func(r *http.Request) { preflight(r); r.Header.Del("Origin") }},
		{"HT-03/OPTIONS_without_request_method", func(r *http.Request) { preflight(r); r.Header.Del("Access-Control-Request-Method") }},
		{"HT-03/OPTIONS_alone", func(r *http.Request) { r.Method = http.MethodOptions }},
		{"HT-02/A44_GET_in_disguise", func(r *http.Request) { preflight(r); r.Method = "GET" }},
		{"HT-02/A44_POST_in_disguise", func(r *http.Request) { preflight(r); r.Method = "POST" }},
		{"HT-02/method_is_case_sensitive", func(r *http.Request) { preflight(r); r.Method = "options" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wants(t, ask(t, behind(t, handing, protected, read), tc.edit), 401, w01)
		})
	}
}

// TestOuterCORS: the example's CORS layer, over HTTP.
func TestOuterCORS(t *testing.T) {
	g, _ := newGuard(t)
	h := cors("https://app.example", behind(t, g, whoami, read)).ServeHTTP
	t.Run("HT-04/preflight_is_answered_outside", func(t *testing.T) {
		got := ask(t, http.HandlerFunc(h), preflight)
		if got.StatusCode != 204 || got.Header.Get("Access-Control-Allow-Headers") != "Authorization, DPoP" {
			t.Errorf("%d %v", got.StatusCode, got.Header)
		}
	})
	t.Run("HT-04/refusal_is_readable", func(t *testing.T) {
		got := ask(t, http.HandlerFunc(h), func(r *http.Request) { r.Header.Set("Origin", "https://app.example") })
		wants(t, got, 401, w01)
		if got.Header.Get("Access-Control-Expose-Headers") != "WWW-Authenticate, DPoP-Nonce" || got.Header.Get("Access-Control-Allow-Origin") != "https://app.example" {
			t.Errorf("header %v", got.Header)
		}
	})
}

func TestRequireTLS(t *testing.T) {
	g, s := newGuard(t, func(c *middleware.Config) { c.RequireTLS = true })
	h := behind(t, g, whoami, read)
	for name, lines := range map[string][]string{"good_token": {"Bearer ok~read"}, "no_token": nil, "malformed": {"Bearer a b"}} {
		t.Run("SE-17/plain_"+name, func(t *testing.T) {
			wants(t, ask(t, h, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, lines...), 403)
			if s.calls() > 0 {
				t.Errorf("the token was used: %q", s.tokens())
			}
		})
	}
	t.Run("SE-17/TLS", func(t *testing.T) {
		srv := httptest.NewTLSServer(h)
		defer srv.Close()
		got := send(t, srv.Client().Transport, func(r *http.Request) { r.URL.Scheme, r.URL.Host = "https", srv.Listener.Addr().String() }, "Bearer ok~read")
		if got.StatusCode != 200 || got.body != "user-1" {
			t.Errorf("status %d, body %q", got.StatusCode, got.body)
		}
	})
}

// dial opens a connection to a server of h, for protocols that an HTTP client
// does not speak.
func dial(t *testing.T, h http.Handler) (net.Conn, *bufio.Reader) {
	t.Helper()
	l := memnet.Listen("api.test:80")
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	conn, err := l.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); srv.Close(); <-done })
	return conn, bufio.NewReader(conn)
}

// TestUpgrade does by hand what a WebSocket library does (RFC 6455 §4).
func TestUpgrade(t *testing.T) {
	g, _ := newGuard(t)
	expiry := make(chan time.Time, 1)
	h := behind(t, g, func(w http.ResponseWriter, r *http.Request) {
		tok, _ := middleware.TokenFrom(r.Context())
		expiry <- tok.ExpiresAt
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(rw, "echo ", line)
		rw.Flush()
	}, read)
	open := func(t *testing.T, line string) (net.Conn, *bufio.Reader, *http.Response) {
		conn, r := dial(t, h)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+line+"\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		return conn, r, resp
	}
	for name, line := range map[string]string{"no_token": "", "K28_bad_token": "Authorization: Bearer bad\r\n", "A36_token_as_subprotocol": "Sec-WebSocket-Protocol: bearer, ok~read\r\n"} {
		t.Run("HT-13/"+name, func(t *testing.T) {
			if _, _, resp := open(t, line); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	t.Run("GO-16/hijacking_works", func(t *testing.T) {
		conn, r, resp := open(t, "Authorization: Bearer ok~read\r\n")
		if resp.StatusCode != 101 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		fmt.Fprint(conn, "hello\n")
		if line, err := r.ReadString('\n'); line != "echo hello\n" {
			t.Errorf("got %q, %v", line, err)
		}
		t.Run("HT-13/expiry_is_there", func(t *testing.T) {
			if got := <-expiry; got.Unix() != 4e9 {
				t.Errorf("expires at %v", got)
			}
		})
	})
}

func TestStream(t *testing.T) {
	g, _ := newGuard(t)
	next := make(chan struct{})
	stream := func(w http.ResponseWriter, r *http.Request) {
		ctl := http.NewResponseController(w)
		for i := range 2 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if err := ctl.Flush(); err != nil {
				t.Error(err)
			}
			<-next
		}
		if err := ctl.SetWriteDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
	}
	conn := listen(t, behind(t, g, behind(t, g, stream), read))
	t.Run("GO-16/events_arrive_one_by_one", func(t *testing.T) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://api.test/", nil)
		r.Header.Set("Authorization", "Bearer ok~read")
		resp, err := conn.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		rd := bufio.NewReader(resp.Body)
		for i := range 2 {
			if line, err := rd.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("got %q, %v", line, err)
			}
			rd.ReadString('\n')
			next <- struct{}{}
		}
		if _, err := io.ReadAll(rd); err != nil {
			t.Error(err)
		}
	})
	t.Run("HT-13/no_token_no_stream", func(t *testing.T) {
		if got := send(t, conn, nil); got.StatusCode != 401 || got.body != "" {
			t.Errorf("status %d, body %q", got.StatusCode, got.body)
		}
	})
	t.Run("GO-16/the_very_ResponseWriter", func(t *testing.T) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer ok")
		behind(t, g, func(got http.ResponseWriter, _ *http.Request) {
			if got != http.ResponseWriter(w) {
				t.Errorf("the handler got a %T", got)
			}
		})(w, r)
	})
}

// TestEveryRefusal states what all refusals have in common.
func TestEveryRefusal(t *testing.T) {
	g, s := newGuard(t)
	s.errs = map[string]error{}
	for _, o := range outcomes {
		s.errs["e-"+o.name] = o.class
	}
	conn := listen(t, behind(t, g, whoami, read))
	lines := []string{"", "Basic x", "Bearer a b", "Bearer ok"}
	for token := range s.errs {
		lines = append(lines, "Bearer "+token)
	}
	t.Run("HT-16/N7_status_is_4xx_or_503", func(t *testing.T) {
		for _, line := range lines {
			got := send(t, conn, func(r *http.Request) { r.Header.Set("Accept", "text/html") }, line)
			if got.StatusCode < 400 || got.StatusCode >= 500 && got.StatusCode != 503 || got.Header.Get("Location") != "" {
				t.Errorf("%s: %d, Location %q", line, got.StatusCode, got.Header.Get("Location"))
			}
		}
	})
	t.Run("CH-01/every_401_has_a_challenge", func(t *testing.T) {
		for _, line := range lines {
			got := send(t, conn, nil, line)
			if n := len(got.challenges()); got.StatusCode == 401 && n != 1 {
				t.Errorf("%s: %d challenges", line, n)
			}
		}
	})
	t.Run("CH-04/error_only_after_an_attempt", func(t *testing.T) {
		for _, line := range lines {
			got := send(t, conn, nil, line)
			attempt := strings.HasPrefix(line, "Bearer") && line != "Bearer e-ErrNoCredentials"
			if got.StatusCode == 401 && strings.Contains(got.challenges()[0], "error=") != attempt {
				t.Errorf("%s: %q", line, got.challenges())
			}
		}
	})
	t.Run("CH-05/400_and_403_challenge_once_at_most", func(t *testing.T) {
		for _, line := range lines {
			got := send(t, conn, nil, line)
			want := 1
			if line == "Bearer e-ErrForbidden" {
				want = 0
			}
			if n := len(got.challenges()); (got.StatusCode == 400 || got.StatusCode == 403) && n != want {
				t.Errorf("%s: %q", line, got.challenges())
			}
		}
	})
	t.Run("HT-07/no-store_on_every_refusal", func(t *testing.T) {
		for _, line := range lines {
			if got := send(t, conn, nil, line); got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d, Cache-Control %q", line, got.StatusCode, got.Header.Values("Cache-Control"))
			}
		}
	})
	t.Run("CH-19/no_challenge_with_413_and_503", func(t *testing.T) {
		for _, line := range lines {
			if got := send(t, conn, nil, line); (got.StatusCode == 413 || got.StatusCode >= 500) && got.challenges() != nil {
				t.Errorf("%s: %d %q", line, got.StatusCode, got.challenges())
			}
		}
	})
	t.Run("A45/TRACE", func(t *testing.T) {
		trace := func(r *http.Request) { r.Method = http.MethodTrace }
		got := send(t, conn, trace, "Bearer e-ErrExpired")
		if got.StatusCode != 401 || strings.Contains(got.body, "e-Err") {
			t.Errorf("%d %q", got.StatusCode, got.body)
		}
		if got := send(t, conn, trace, "Bearer ok~read"); got.StatusCode != 200 {
			t.Errorf("with a token: %d", got.StatusCode)
		}
	})
}

var _ verifier.Requirement = (*rule)(nil)
