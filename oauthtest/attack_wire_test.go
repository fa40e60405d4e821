// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// HTTP/1.1 is written byte by byte as the case says.
func TestWireText(t *testing.T) {
	const first = "GET /orders HTTP/1.1\r\nHost: api.test\r\n"
	for _, tc := range []struct {
		name string
		s    sending
		want string
	}{
		{"no_line", sending{}, first + "\r\n"},
		{"lines_as_they_are", sending{lines: []string{"authorization :\tx\x00\x80", " folded"}},
			first + "authorization :\tx\x00\x80\r\n folded\r\n\r\n"},
		{"own_Host", sending{lines: []string{"host: evil.example"}}, "GET /orders HTTP/1.1\r\nhost: evil.example\r\n\r\n"},
		{"target_as_it_is", sending{target: "//a/../%2F\\"}, "GET //a/../%2F\\ HTTP/1.1\r\nHost: api.test\r\n\r\n"},
		{"method_as_it_is", sending{method: "get"}, "get /orders HTTP/1.1\r\nHost: api.test\r\n\r\n"},
		{"body", sending{body: "a=b"}, first + "Content-Length: 3\r\n\r\na=b"},
		{"own_length", sending{lines: []string{"Content-Length: 9"}, body: "a=b"}, first + "Content-Length: 9\r\n\r\na=b"},
		{"own_framing", sending{lines: []string{"Transfer-Encoding: chunked"}, body: "0\r\n\r\n"}, first + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"trailer", sending{body: "abcdefghijk", trailer: []string{"X: y", "Z: z"}},
			first + "Transfer-Encoding: chunked\r\nTrailer: X, Z\r\n\r\nb\r\nabcdefghijk\r\n0\r\nX: y\r\nZ: z\r\n\r\n"},
		{"trailer_without_body", sending{lines: []string{"Trailer: Q"}, trailer: []string{"X: y"}},
			first + "Trailer: Q\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.s
			if s.method == "" {
				s.method = http.MethodGet
			}
			if s.target == "" {
				s.target = "/orders"
			}
			if got := s.text("api.test"); got != tc.want {
				t.Errorf("%q\nwant %q", got, tc.want)
			}
		})
	}
}

// rawServer answers every connection with what reply makes of the bytes that came.
func rawServer(t *testing.T, reply func(conn net.Conn)) *wire {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		reply(theirs)
	}()
	t.Cleanup(func() { ours.Close() })
	return &wire{host: "api.test", dial: func(context.Context) (net.Conn, error) { return ours, nil }}
}

func TestWireReads(t *testing.T) {
	t.Parallel()
	get := sending{method: http.MethodGet, target: "/"}
	for _, tc := range []struct {
		name, wire string
		want       answer
	}{
		{"answer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", answer{status: 200, body: "ok"}},
		{"to_the_end", "HTTP/1.1 200 OK\r\n\r\nok", answer{status: 200, body: "ok"}},
		{"after_100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n", answer{status: 401}},
		{"upgrade", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", answer{status: 101}},
		{"nothing", "", answer{err: io.ErrUnexpectedEOF}},
		{"garbage", "SSH-2.0\r\n\r\n", answer{err: errors.ErrUnsupported}},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", answer{status: 200, body: "ok", err: io.ErrUnexpectedEOF}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := rawServer(t, func(conn net.Conn) {
				bufio.NewReader(conn).ReadString('\n')
				io.WriteString(conn, tc.wire)
			})
			got := w.send(t.Context(), http1, get)
			if got.status != tc.want.status || got.body != tc.want.body || (got.err != nil) != (tc.want.err != nil) {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("before_all_was_sent", func(t *testing.T) {
		w := rawServer(t, func(conn net.Conn) { io.WriteString(conn, "HTTP/1.1 431 x\r\nContent-Length: 0\r\n\r\n") })
		if got := w.send(t.Context(), http1, get); got.status != 431 || got.err != nil {
			t.Errorf("%+v", got)
		}
	})
	t.Run("no_more_than_the_limit", func(t *testing.T) {
		endless := strings.NewReader("HTTP/1.1 200 OK\r\n\r\n")
		w := rawServer(t, func(conn net.Conn) { io.Copy(conn, io.MultiReader(endless, zeros{})) })
		if got := w.send(t.Context(), http1, get); len(got.body) > answerLimit || got.status != 200 {
			t.Errorf("%d bytes, status %d", len(got.body), got.status)
		}
	})
}

// What is announced is sent once the server asks for it, or does nothing.
func TestWireExpect(t *testing.T) {
	s := sending{method: http.MethodPost, target: "/", lines: []string{"Expect: 100-continue", "Content-Length: 1000000"}}
	for name, interim := range map[string]string{"asked_for": "HTTP/1.1 100 Continue\r\n\r\n", "silence": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := rawServer(t, func(conn net.Conn) {
					r := bufio.NewReader(conn)
					for line := ""; line != "\r\n"; line, _ = r.ReadString('\n') {
					}
					io.WriteString(conn, interim)
					n, _ := io.CopyN(io.Discard, r, 1_000_000)
					fmt.Fprintf(conn, "HTTP/1.1 401 x\r\nX-Read: %d\r\nContent-Length: 0\r\n\r\n", n)
				})
				start := time.Now()
				got := w.send(t.Context(), http1, s)
				if got.header.Get("X-Read") != "1000000" || time.Since(start) > continueLimit || interim != "" && time.Since(start) > 0 {
					t.Errorf("%+v after %v", got, time.Since(start))
				}
			})
		})
	}
	if n := (sending{lines: []string{"Content-Length: 9"}}).announced(); n != 0 {
		t.Errorf("%d octets without Expect", n)
	}
}

// An answer may come at the very moment at which the octets are sent unasked.
func TestWireExpectAtTheLimit(t *testing.T) {
	s := sending{method: http.MethodPost, target: "/", lines: []string{"Expect: 100-continue", "Content-Length: 1000000"}}
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			w := rawServer(t, func(conn net.Conn) {
				r := bufio.NewReader(conn)
				for line := ""; line != "\r\n"; line, _ = r.ReadString('\n') {
				}
				time.Sleep(continueLimit)
				io.WriteString(conn, "HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n")
			})
			if got := w.send(t.Context(), http1, s); got.status != 401 || got.err != nil {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A stream is read up to the text that is looked for, and its handler then ends.
func TestWireStream(t *testing.T) {
	for _, protocol := range []string{http1, http2} {
		synctest.Test(t, func(t *testing.T) {
			w, _, end := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					io.WriteString(w, handlerText)
					w.(http.Flusher).Flush()
					time.Sleep(time.Second)
				}
			}))
			defer end()
			start := time.Now()
			got := w.send(t.Context(), protocol, sending{method: http.MethodGet, target: "/", until: handlerText})
			if got.err != nil || got.body != handlerText || time.Since(start) > time.Second {
				t.Errorf("%s: %+v after %v", protocol, got, time.Since(start))
			}
		})
	}
}

// end waits for handlers that outlive their requests, up to a limit.
func TestWireTail(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		tail time.Duration
		want string
	}{{tailLimit - time.Second, ""}, {tailLimit + time.Second, "a handler still runs"}} {
		synctest.Test(t, func(t *testing.T) {
			tb := &failing{TB: t}
			w, _, end := serveInMemory(tb, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, handlerText)
				w.(http.Flusher).Flush()
				time.Sleep(tc.tail)
			}))
			w.send(t.Context(), http1, sending{method: http.MethodGet, target: "/", until: handlerText})
			if end(); !strings.Contains(tb.text, tc.want) || tc.want == "" && tb.text != "" {
				t.Errorf("%v: %q", tc.tail, tb.text)
			}
			time.Sleep(2 * time.Second)
		})
	}
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A server that does not answer costs as long as a case may take, and no more.
func TestWireDeadline(t *testing.T) {
	for _, protocol := range []string{http1, http2} {
		t.Run(strings.ReplaceAll(protocol, "/", "_"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _, end := serveInMemory(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
				defer end()
				start := time.Now()
				got := w.send(t.Context(), protocol, sending{method: http.MethodGet, target: "/"})
				if took := time.Since(start); !got.hung() || took != caseLimit {
					t.Errorf("%+v after %v", got, took)
				}
			})
		})
	}
}

// echo answers with the request as the handler sees it.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var lines []string
	for name, values := range r.Header {
		if name != "User-Agent" && name != "Content-Length" {
			lines = append(lines, fmt.Sprintf("%s=%q", name, values))
		}
	}
	slices.Sort(lines)
	fmt.Fprintf(w, "%s %s %s %s %q", r.Method, r.RequestURI, r.Host, strings.Join(lines, " "), body)
}

// What a case says arrives the same in both protocols.
func TestWireProtocols(t *testing.T) {
	w, _, end := serveInMemory(t, http.HandlerFunc(echo))
	defer end()
	for _, tc := range []struct {
		name string
		s    sending
		want string
	}{
		{"plain", sending{target: "/orders?a=b"}, `GET /orders?a=b api.test  ""`},
		{"lines", sending{target: "/", lines: []string{"authorization: Bearer a", "AUTHORIZATION: Bearer b", "X: \xff"}},
			`GET / api.test Authorization=["Bearer a" "Bearer b"] X=["\xff"] ""`},
		{"body", sending{method: "POST", target: "/", body: "a=b", lines: []string{"Content-Type: x"}}, `POST / api.test Content-Type=["x"] "a=b"`},
		{"escapes", sending{target: "/a%2Fb/%2e%2e/;x"}, `GET /a%2Fb/%2e%2e/;x api.test  ""`},
		{"two_slashes", sending{target: "//orders?x"}, `GET //orders?x api.test  ""`},
		{"odd_method", sending{method: "fOO", target: "/"}, `fOO / api.test  ""`},
	} {
		for _, protocol := range w.protocols() {
			t.Run(tc.name+"_"+strings.ReplaceAll(protocol, "/", "_"), func(t *testing.T) {
				s := tc.s
				if s.method == "" {
					s.method = http.MethodGet
				}
				if got := w.send(t.Context(), protocol, s); got.err != nil || got.body != tc.want {
					t.Errorf("%q, %v\nwant %q", got.body, got.err, tc.want)
				}
			})
		}
	}
}

// What HTTP/2 has no way to say is not sent in it, and is no finding.
func TestWireUnsayable(t *testing.T) {
	w, _, end := serveInMemory(t, http.HandlerFunc(echo))
	defer end()
	for _, s := range []sending{
		{method: "CONNECT", target: "/"},
		{method: "G T", target: "/"},
		{target: "http://evil.example/"}, {target: "//%zz"},
		{target: "/", trailer: []string{"X: y"}},
		{target: "/", lines: []string{"Host: evil.example"}},
		{target: "/", lines: []string{"Connection: Authorization"}},
		{target: "/", lines: []string{"transfer-encoding: chunked"}},
		{target: "/", lines: []string{"Content-Length: 3"}},
		{target: "/", lines: []string{"X: a\x00b"}},
		{target: "/", lines: []string{"X: a\rb"}},
		{target: "/", lines: []string{"X : a"}},
		{target: "/", lines: []string{" folded"}},
		{target: "/", lines: []string{": a"}},
	} {
		if s.method == "" {
			s.method = http.MethodGet
		}
		if got := w.send(t.Context(), http2, s); !errors.Is(got.err, errUnsayable) {
			t.Errorf("%+v: %+v", s, got)
		}
	}
}

// A connection that a hostile request has spoilt does not spoil the next one.
func TestWireAfterAPanic(t *testing.T) {
	w, crash, end := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/crash" {
			panic(errors.New("secret"))
		}
		if r.URL.Path == "/runtime" {
			_ = strings.Split(r.URL.Path, "?")[1]
		}
	}))
	defer end()
	for path, want := range map[string]string{"/crash": "a value of type *errors.errorString", "/runtime": "runtime error: index out of range [1] with length 1"} {
		for _, protocol := range w.protocols() {
			got := w.send(t.Context(), protocol, sending{method: http.MethodGet, target: path})
			if text := crash(); got.err == nil || got.hung() || text != want {
				t.Errorf("%s over %s: %+v, panic %q", path, protocol, got, text)
			}
			if got := w.send(t.Context(), protocol, sending{method: http.MethodGet, target: "/"}); got.status != 200 || crash() != "" {
				t.Errorf("after %s over %s: %+v", path, protocol, got)
			}
		}
	}
}

// Only what is surely on loopback is attacked by its URL.
func TestRemoteHosts(t *testing.T) {
	for _, tc := range []struct {
		url, names string // names: what the error must tell; "" for none
	}{
		{"http://127.0.0.1:8080", ""},
		{"http://127.0.0.1", ""},
		{"https://127.8.9.10/base/", ""},
		{"http://[::1]:80", ""},
		{"http://[::ffff:127.0.0.1]:80", ""},
		{"http://localhost:80", ""},
		{"http://LOCALHOST:80", ""},
		{"http://192.0.2.1", "UnsafeAnyHost"},
		{"http://0.0.0.0:80", "UnsafeAnyHost"},
		{"http://[::]:80", "UnsafeAnyHost"},
		{"http://127.0.0.1.evil.example", "UnsafeAnyHost"},
		{"http://localhost.evil.example", "UnsafeAnyHost"},
		{"http://127.1", "UnsafeAnyHost"},
		{"http://2130706433", "UnsafeAnyHost"},
		{"http://0x7f000001", "UnsafeAnyHost"},
		{"http://0177.0.0.1", "UnsafeAnyHost"},
		{"http://169.254.169.254", "UnsafeAnyHost"},
		{"http://[::1%25lo]:80", "zone"},
		{"http://127.0.0.1:65535", ""},
		{"http://127.0.0.1:65536", "port"},
		{"http://127.0.0.1:0", "port"},
		{"http://127.0.0.1@evil.example", "userinfo"},
		{"http://localhost:80@evil.example", "userinfo"},
		{"http://evil.example#@127.0.0.1", "fragment"},
		{"http://evil.example?@127.0.0.1", "query"},
		{"http://127.0.0.1?", "query"},
		{"http://evil.example\\@127.0.0.1", "http or https URL"},
		{"ftp://127.0.0.1", "http or https URL"},
		{"//127.0.0.1", "http or https URL"},
		{"127.0.0.1:80", "http or https URL"},
		{"http://:80", "http or https URL"},
		{"", "http or https URL"},
	} {
		_, _, err := remote(tc.url, Target{})
		if (err == nil) != (tc.names == "") || err != nil && !strings.Contains(err.Error(), tc.names) {
			t.Errorf("%s: %v", tc.url, err)
		}
		if _, _, err = remote(tc.url, Target{UnsafeAnyHost: true}); (err == nil) != (tc.names == "" || tc.names == "UnsafeAnyHost") {
			t.Errorf("%s, with any host: %v", tc.url, err)
		}
	}
}

// A dot at the end of a name is legal, and the host behind it not what it seems.
func TestRemoteDot(t *testing.T) {
	if _, _, err := remote("http://localhost.:80", Target{}); err == nil || !strings.Contains(err.Error(), "dot") {
		t.Error(err)
	}
	if _, _, err := remote("http://api.example.:80", Target{UnsafeAnyHost: true}); err != nil {
		t.Error(err)
	}
}

// A server on loopback is reached with TLS and without, in both protocols, under the
// path of the URL, and by its name.
func TestRemoteReaches(t *testing.T) {
	for _, secure := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
		defer srv.Close()
		var target Target
		if secure {
			srv.EnableHTTP2 = true
			srv.StartTLS()
			roots := x509.NewCertPool()
			roots.AddCert(srv.Certificate())
			target.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com"}
		} else {
			srv.Config.Protocols = new(http.Protocols)
			srv.Config.Protocols.SetHTTP1(true)
			srv.Config.Protocols.SetUnencryptedHTTP2(true)
			srv.Start()
		}
		for _, name := range []string{"127.0.0.1", "localhost"} {
			w, base, err := remote(strings.Replace(srv.URL, "127.0.0.1", name, 1)+"/base/", target)
			if err != nil || base != "/base" {
				t.Fatalf("%q, %v", base, err)
			}
			for _, protocol := range w.protocols() {
				got := w.send(t.Context(), protocol, sending{method: http.MethodGet, target: base + "/x"})
				if want := "GET /base/x " + strings.TrimPrefix(strings.TrimPrefix(srv.URL, "https://"), "http://"); got.err != nil ||
					!strings.Contains(got.body, strings.Replace(want, "127.0.0.1", name, 1)) {
					t.Errorf("%s over %s: %+v", name, protocol, got)
				}
			}
			w.two.CloseIdleConnections()
		}
	}
}

// A certificate that Target.TLS does not trust is not accepted.
func TestRemoteDistrusts(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	w, _, err := remote(srv.URL, Target{TLS: &tls.Config{RootCAs: x509.NewCertPool()}})
	if err != nil {
		t.Fatal(err)
	}
	for _, protocol := range w.protocols() {
		var bad *tls.CertificateVerificationError
		if got := w.send(t.Context(), protocol, sending{method: http.MethodGet, target: "/"}); !errors.As(got.err, &bad) {
			t.Errorf("%s: %+v", protocol, got)
		}
	}
}

// A server that speaks HTTP/1.1 only is attacked in that alone.
func TestAttackProbe(t *testing.T) {
	for _, secure := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		var target Target
		if secure {
			srv.StartTLS()
			target.TLS = srv.Client().Transport.(*http.Transport).TLSClientConfig
		} else {
			srv.Start()
		}
		defer srv.Close()
		target.Path = "/orders"
		as := NewServer(t, quick)
		as.VerifierConfig(attackedAPI)
		a := newAttack(t, nil, as, target)
		var err error
		if a.wire, a.base, err = remote(srv.URL, target); err != nil {
			t.Fatal(err)
		}
		a.crash = func() string { return "" }
		if a.probe(); !slices.Equal(a.wire.protocols(), []string{http1}) {
			t.Errorf("with TLS %v: %v", secure, a.wire.protocols())
		}
		if got := a.sendToken(http1, ""); got.status != http.StatusOK {
			t.Errorf("with TLS %v: %+v", secure, got)
		}
	}
}
