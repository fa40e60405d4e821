// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// flusher is what all writers of compress have.
type flusher interface {
	io.WriteCloser
	Flush() error
}

// inCoding is text in a content coding.
func inCoding(coding, text string) string {
	var b bytes.Buffer
	w := coder(coding, &b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func coder(coding string, to io.Writer) flusher {
	switch coding {
	case "gzip":
		return gzip.NewWriter(to)
	case "zlib":
		return zlib.NewWriter(to)
	}
	w, err := flate.NewWriter(to, -1)
	if err != nil {
		panic(err)
	}
	return w
}

// A body is read without its content coding, or it is told that it cannot be read.
func TestWireCoding(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("orders ", 50_000)
	zipped := inCoding("gzip", long)
	for _, tc := range []struct {
		name, coding, body, want string
		err                      error
	}{
		{"none", "", "ok", "ok", nil},
		{"identity", "identity", "ok", "ok", nil},
		{"gzip", "gzip", zipped, long, nil},
		{"gzip_in_capitals", " X-GZIP", zipped, long, nil},
		{"deflate", "deflate", inCoding("zlib", long), long, nil},
		{"deflate_without_frame", "deflate", inCoding("flate", long), long, nil},
		{"no_body", "gzip", "", "", nil},
		{"unknown_without_body", "br", "", "", nil},
		{"unknown", "br", "ok", "", errCoding},
		{"two", "gzip, gzip", zipped, "", errCoding},
		{"no_gzip", "gzip", "Unauthorized and so on", "", errCoding},
		{"no_deflate", "deflate", "\xff\xff\xff\xff\xff", "", errCoding},
		{"wrong_checksum", "gzip", zipped[:len(zipped)-8] + "12345678", long, errCoding},
		{"cut", "gzip", zipped[:len(zipped)/2], "orders orders", io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := rawServer(t, func(conn net.Conn) {
				bufio.NewReader(conn).ReadString('\n')
				fmt.Fprintf(conn, "HTTP/1.1 401 x\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", tc.coding, len(tc.body), tc.body)
			})
			got := w.send(t.Context(), http1, sending{method: http.MethodGet, target: "/"})
			if got.status != 401 || got.err != tc.err || !strings.HasPrefix(got.body, tc.want) || tc.err == nil && got.body != tc.want {
				t.Errorf("%d %v, %d octets: %.40q", got.status, got.err, len(got.body), got.body)
			}
		})
	}
	t.Run("no_more_than_the_limit", func(t *testing.T) {
		OneOfMany(t, false)
		w := rawServer(t, func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
			z := gzip.NewWriter(conn)
			io.Copy(z, io.LimitReader(zeros{}, answerLimit+1))
			z.Close()
		})
		if got := w.send(t.Context(), http1, sending{method: http.MethodGet, target: "/"}); len(got.body) != answerLimit || !got.last {
			t.Errorf("%d octets, the last on the connection: %v", len(got.body), got.last)
		}
	})
	t.Run("no_further_than_the_marker", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := rawServer(t, func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
			z := gzip.NewWriter(conn)
			io.WriteString(z, handlerText)
			z.Flush()
			<-ctx.Done()
		})
		if got := w.send(ctx, http1, sending{method: http.MethodGet, target: "/", until: handlerText}); got.body != handlerText || got.err != nil {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the_connection_goes_on", func(t *testing.T) {
		body := inCoding("zlib", "first") + "behind it"
		w := rawServer(t, func(conn net.Conn) {
			r := bufio.NewReader(conn)
			for _, answer := range []string{
				fmt.Sprintf("200 OK\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
				"401 x\r\nContent-Length: 0\r\n\r\n",
			} {
				for line := ""; line != "\r\n"; {
					line, _ = r.ReadString('\n')
				}
				io.WriteString(conn, "HTTP/1.1 "+answer)
			}
		})
		first := sending{method: http.MethodGet, target: "/"}
		if got := w.send(t.Context(), http1, sending{method: http.MethodGet, target: "/", first: &first}); got.status != 401 || got.err != nil {
			t.Errorf("%+v", got)
		}
	})
}

// compressed writes through a coder.
type compressed struct {
	http.ResponseWriter
	to io.Writer
}

func (c compressed) Write(b []byte) (int, error) { return c.to.Write(b) }

// compressing answers with a Content-Encoding, whatever was asked for.
func compressing(h http.HandlerFunc, coding string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := map[string]string{"zlib": "deflate", "flate": "deflate"}[coding]
		if name == "" {
			name = coding
		}
		w.Header().Set("Content-Encoding", name)
		z := coder(coding, w)
		h(compressed{w, z}, r)
		z.Close()
	}
}

// What stands in a compressed answer is seen, and an answer that cannot be read ends the
// attack.
func TestAttackCoding(t *testing.T) {
	t.Parallel()
	refused := func(w http.ResponseWriter) bool { return w.Header().Get("WWW-Authenticate") != "" }
	for _, tc := range []struct {
		name    string
		coding  string
		make    func(good http.Handler) http.HandlerFunc
		problem Problem // "" if nothing is wrong
		fails   string
	}{
		{"gzip", "gzip", func(good http.Handler) http.HandlerFunc { return good.ServeHTTP }, "", ""},
		{"deflate", "zlib", func(good http.Handler) http.HandlerFunc { return good.ServeHTTP }, "", ""},
		{"leak", "gzip", func(good http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if good.ServeHTTP(w, r); refused(w) {
					fmt.Fprintf(w, "not valid: %q", r.Header["Authorization"])
				}
			}
		}, Leaked, ""},
		{"no_abort", "flate", func(good http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if good.ServeHTTP(w, r); refused(w) {
					io.WriteString(w, handlerText)
				}
			}
		}, Accepted, ""},
		{"unknown", "br", func(good http.Handler) http.HandlerFunc { return good.ServeHTTP }, "", `the Content-Encoding "br"`},
		{"unknown_for_refusals", "", func(good http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if len(r.Header["Authorization"]) == 0 {
					w.Header().Set("Content-Encoding", "zstd")
				}
				if good.ServeHTTP(w, r); refused(w) {
					io.WriteString(w, "not valid")
				}
			}
		}, "", `the Content-Encoding "zstd"`},
		{"token_as_coding", "", func(good http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", r.Header.Get("Authorization"))
				good.ServeHTTP(w, r)
			}
		}, "", "a Content-Encoding, and cannot be read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			OneOfMany(t, tc.name == "leak")
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				h := tc.make(attacked(t, as.VerifierConfig(attackedAPI)))
				if tc.coding != "" {
					h = compressing(h, tc.coding)
				}
				cases := slices.DeleteFunc(slices.Clone(catalogue()), func(c attackCase) bool { return !strings.HasPrefix(c.ID, "A") && c.ID != "C1.none_lower" })
				tb := &failing{TB: t}
				var found []Finding
				var done sync.WaitGroup
				done.Go(func() {
					a, end := onHandler(tb, cases, h, as, ordersTarget)
					defer end()
					a.run(collector(tb, &found))
				})
				done.Wait()
				if (tb.text != "") != (tc.fails != "") || !strings.Contains(tb.text, tc.fails) {
					t.Errorf("%q does not tell %q", tb.text, tc.fails)
				}
				if tc.problem == "" && len(found) > 0 || tc.problem != "" && !slices.ContainsFunc(found, func(f Finding) bool {
					return f.Case == "C1.none_lower" && f.Problem == tc.problem
				}) {
					t.Errorf("%d findings: %v", len(found), found[:min(2, len(found))])
				}
			})
		})
	}
}
