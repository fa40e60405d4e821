// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

var dateLine = regexp.MustCompile(`(?m)^Date: .*\r\n`)

// bytes makes an HTTP/1.1 request and returns all of the answer but Date.
func (s *server) bytes(method, target string, lines ...string) string {
	s.t.Helper()
	head := append([]string{method + " " + target + " HTTP/1.1", "Host: api.test", "Connection: close"}, lines...)
	return dateLine.ReplaceAllString(s.raw(strings.Join(head, "\r\n")+"\r\n\r\n"), "")
}

// TestDenyInHandler: a refusal in a handler has the bytes of the guard's, whatever
// the handler had prepared before and does afterwards.
func TestDenyInHandler(t *testing.T) {
	a := newSimpleApp(t)
	read := scopes.All("orders:read")
	problem := newGuard(t, middleware.Config{Verifier: newVerifier(t, a.as.VerifierConfig(api)), Body: middleware.ProblemJSON})
	refusing := func(before, after func(http.ResponseWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			before(w)
			tok, _ := middleware.TokenFrom(r.Context())
			middleware.Deny(w, r, tok.Require(read))
			after(w)
		}
	}
	nothing := func(http.ResponseWriter) {}
	set := func(name, value string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.Header().Set(name, value) }
	}
	for _, tc := range []struct {
		name string
		h    http.HandlerFunc
	}{
		{"nothing_prepared", refusing(nothing, nothing)},
		{"Content-Type", refusing(set("Content-Type", "text/csv"), nothing)},
		{"ETag", refusing(set("ETag", `"version-7"`), nothing)},
		{"Last-Modified", refusing(set("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT"), nothing)},
		{"Content-Disposition", refusing(set("Content-Disposition", "attachment; filename=orders.csv"), nothing)},
		{"Content-Range", refusing(set("Content-Range", "bytes 0-1/2"), nothing)},
		{"Content-Length", refusing(set("Content-Length", "1000"), nothing)},
		{"Cache-Control", refusing(set("Cache-Control", "public, max-age=60"), nothing)},
		{"N7_WriteHeader_afterwards", refusing(nothing, func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) })},
		{"N7_header_set_afterwards", refusing(nothing, set("Location", "/login"))},
	} {
		t.Run("GO-10/"+tc.name, func(t *testing.T) {
			for _, f := range frameworks {
				s := serve(t, f.build([]route{
					{"/guard", []guard{behind(a.g, read)}, a.protected},
					{"/handler", []guard{behind(a.g), behind(a.g, scopes.All())}, tc.h},
					{"/problem/guard", []guard{behind(problem, read)}, a.protected},
					{"/problem/handler", []guard{behind(problem)}, tc.h},
				}))
				for _, base := range []string{"", "/problem"} {
					for _, method := range []string{"GET", "HEAD"} {
						want := s.bytes(method, base+"/guard", a.good)
						if got := s.bytes(method, base+"/handler", a.good); got != want || status(t, got) != 403 {
							t.Errorf("%s, %s %s\ngot\n%s\nwant\n%s", f.name, method, base, got, want)
						}
					}
				}
			}
		})
	}
}

// TestLongBody: the header of a refusal tells the length of the body, whether it
// fits into the buffers of a server or not, and is the same for HEAD.
func TestLongBody(t *testing.T) {
	a := newSimpleApp(t)
	for name, n := range map[string]int{"1_byte": 1, "5000_bytes": 5000, "100000_bytes": 100_000} {
		text := strings.Repeat("x", n)
		g := newGuard(t, middleware.Config{
			Verifier: newVerifier(t, a.as.VerifierConfig(api)),
			Body:     func(*middleware.Denial) (string, []byte) { return "text/plain", []byte(text) },
		})
		deny := func(w http.ResponseWriter, r *http.Request) { middleware.Deny(w, r, verifier.ErrForbidden) }
		t.Run("HT-01/N9_"+name, func(t *testing.T) {
			for _, f := range frameworks {
				s := serve(t, f.build([]route{{"/guard", []guard{behind(g)}, a.protected}, {"/handler", []guard{behind(g)}, deny}}))
				for path, lines := range map[string][]string{"/guard": nil, "/handler": {a.good}} {
					head, body, _ := strings.Cut(s.bytes("GET", path, lines...), "\r\n\r\n")
					if body != text || strings.Contains(head, "chunked") {
						t.Errorf("%s %s: %d bytes after\n%s", f.name, path, len(body), head)
					}
					if got := s.bytes("HEAD", path, lines...); got != head+"\r\n\r\n" {
						t.Errorf("%s %s: HEAD\n%s\nGET\n%s", f.name, path, got, head)
					}
				}
			}
		})
	}
	t.Run("HT-01/N9_HTTP2", func(t *testing.T) {
		g := newGuard(t, middleware.Config{
			Verifier: newVerifier(t, a.as.VerifierConfig(api)),
			Body:     func(*middleware.Denial) (string, []byte) { return "text/plain", make([]byte, 5000) },
		})
		for _, f := range frameworks {
			s := serve(t, f.build([]route{{"/guard", []guard{behind(g)}, a.protected}}))
			for _, method := range []string{"GET", "HEAD"} {
				resp := s.answer2(method, "/guard")
				if resp.ContentLength != 5000 || resp.Header.Get("Content-Length") != "5000" {
					t.Errorf("%s: %s has length %d", f.name, method, resp.ContentLength)
				}
			}
		}
	})
}

// answer2 makes an HTTP/2 request and returns the answer, its body read.
func (s *server) answer2(method, target string) *http.Response {
	s.t.Helper()
	tr := &http.Transport{DialContext: s.wire.Dial, Protocols: protocols(false, true)}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://api.test"+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.ProtoMajor != 2 {
		s.t.Fatalf("%s: %v", resp.Proto, err)
	}
	return resp
}
