// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"cmp"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestOuterLayers: layers further out, in any order, leave a refusal as it is.
func TestOuterLayers(t *testing.T) {
	a := newApp(t)
	recovering := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { recover() }()
			h.ServeHTTP(w, r)
		})
	}
	timing := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Hour, "") }
	zipping := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				h.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := &zipped{ResponseWriter: w}
			h.ServeHTTP(z, r)
			z.close()
		})
	}
	type layer = func(http.Handler) http.Handler
	for name, layers := range map[string][]layer{
		"recover":              {recovering},
		"timeout":              {timing},
		"gzip":                 {zipping},
		"recover_timeout_gzip": {recovering, timing, zipping},
		"gzip_timeout_recover": {zipping, timing, recovering},
	} {
		t.Run("GO-07/K33_"+name, func(t *testing.T) {
			for _, f := range frameworks {
				h := f.build(a.routes)
				for _, l := range layers {
					h = l(h)
				}
				s := serve(t, h)
				for path, golden := range map[string]string{"/orders": "W-01", "/problem": "HT-09-no-code", "/zero": "ER-23"} {
					if got := s.send("GET", path); got != want(t, golden) {
						t.Errorf("%s %s\ngot\n%s\nwant\n%s", f.name, path, got, want(t, golden))
					}
					got, compressed := s.unzip(path)
					if got != want(t, golden) || compressed != (strings.Contains(name, "gzip") && path == "/problem") {
						t.Errorf("%s %s, compressed: %v\ngot\n%s\nwant\n%s", f.name, path, compressed, got, want(t, golden))
					}
				}
			}
		})
	}
}

// zipped compresses what there is of a body. Like the layers in use, it announces
// that first, and sends the status with the first byte.
type zipped struct {
	http.ResponseWriter
	status int
	gz     *gzip.Writer
}

func (z *zipped) WriteHeader(status int) {
	if z.status == 0 {
		z.status = status
	}
}

func (z *zipped) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if z.gz == nil {
		z.Header().Del("Content-Length")
		z.ResponseWriter.WriteHeader(cmp.Or(z.status, http.StatusOK))
		z.gz = gzip.NewWriter(z.ResponseWriter)
	}
	return z.gz.Write(p)
}

func (z *zipped) close() {
	if z.gz != nil {
		z.gz.Close()
		return
	}
	z.Header().Del("Content-Encoding")
	z.ResponseWriter.WriteHeader(cmp.Or(z.status, http.StatusOK))
}

// unzip makes a request that accepts gzip, and returns the answer as the golden
// files have it, and whether its body was compressed.
func (s *server) unzip(target string) (answer string, compressed bool) {
	s.t.Helper()
	wire := s.raw("GET " + target + " HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n")
	head, body, _ := strings.Cut(wire, "\r\n\r\n")
	plain := strings.Replace(head, "\r\nContent-Encoding: gzip", "", 1)
	if plain == head {
		return golden(wire), false
	}
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		s.t.Fatalf("%v in\n%q", err, wire)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		s.t.Errorf("%v in\n%q", err, wire)
	}
	return golden(plain + "\r\n\r\n" + string(text)), true
}
