// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// keeper is a TLS server with a private certificate authority that answers only to
// the token, and the files by which it is reached.
type keeper struct {
	*testing.T
	server              *httptest.Server
	token               string // what it asks for
	seen                []string
	tokenFile, authFile string
}

func newKeeper(t *testing.T) *keeper {
	g := &keeper{T: t, token: "first"}
	g.server = httptest.NewUnstartedServer(g)
	g.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	g.server.StartTLS()
	t.Cleanup(g.server.Close)
	g.tokenFile = g.file("token", "first\n")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw})
	g.authFile = g.file("ca.crt", string(ca))
	return g
}

func (g *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.seen = append(g.seen, r.Header.Get("Authorization"))
	if r.Header.Get("Authorization") != "Bearer "+g.token {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func (g *keeper) file(name, text string) string {
	g.Helper()
	path := filepath.Join(g.TempDir(), name)
	g.write(path, text)
	return path
}

func (g *keeper) write(path, text string) {
	g.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.Fatal(err)
	}
}

func (g *keeper) bearer(address, tokenFile, caFile string) *Bearer {
	g.Helper()
	b, err := NewBearer(nil, address, tokenFile, caFile)
	if err != nil {
		g.Fatal(err)
	}
	return b
}

// get sends one request through the client that key sources use.
func (g *keeper) get(b *Bearer, address string) error {
	_, err := NewClient(&http.Client{Transport: b}).Get(g.Context(), Request{URL: address, Limit: 100})
	return err
}

func TestBearer(t *testing.T) {
	t.Run("KS-01/private_authority_and_token", func(t *testing.T) {
		g := newKeeper(t)
		if err := g.get(g.bearer(g.server.URL, g.tokenFile, g.authFile), g.server.URL+"/keys"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("KS-01/authority_of_the_system_does_not_know_it", func(t *testing.T) {
		g := newKeeper(t)
		if err := g.get(g.bearer(g.server.URL, g.tokenFile, ""), g.server.URL); err == nil || len(g.seen) > 0 {
			t.Fatalf("%v, requests %q", err, g.seen)
		}
	})
	t.Run("rotated_token_is_read_anew", func(t *testing.T) {
		g := newKeeper(t)
		b := g.bearer(g.server.URL, g.tokenFile, g.authFile)
		g.token = "second"
		if err := g.get(b, g.server.URL); err == nil {
			t.Fatal("the old token was good enough")
		}
		g.write(g.tokenFile, " second \n")
		if err := g.get(b, g.server.URL); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("rotated_authority_is_read_anew", func(t *testing.T) {
		g := newKeeper(t)
		other := g.file("ca.crt", anotherAuthority)
		b := g.bearer(g.server.URL, "", other)
		g.token = ""
		for _, text := range []string{anotherAuthority, "no certificate", anotherAuthority} {
			g.write(other, text)
			if err := g.get(b, g.server.URL); err == nil {
				t.Fatal("accepted without its authority")
			}
		}
		g.write(other, readText(t, g.authFile))
		if err := g.get(b, g.server.URL+"/"); err == nil || len(g.seen) != 1 || g.seen[0] != "" {
			t.Fatalf("%v, requests %q: want one, without token", err, g.seen)
		}
	})
}

// anotherAuthority is a certificate that signed nothing here.
var anotherAuthority = func() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}()

func readText(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestBearerOrigin(t *testing.T) {
	g := newKeeper(t)
	b := g.bearer("https://keys.example/openid", g.tokenFile, g.authFile)
	for name, address := range map[string]string{
		"other_host":  g.server.URL,
		"other_port":  "https://keys.example:8443/openid",
		"plain":       "http://keys.example/openid",
		"subdomain":   "https://a.keys.example/openid",
		"longer_name": "https://keys.example.net/openid",
	} {
		t.Run("SE-02/token_for_"+name, func(t *testing.T) {
			if err := g.get(b, address); err == nil || !strings.Contains(err.Error(), "another origin") {
				t.Errorf("error %v", err)
			}
		})
	}
	if len(g.seen) > 0 {
		t.Errorf("requests with %q", g.seen)
	}
	for _, address := range []string{"http://keys.example", "keys.example", "https://", "https://%"} {
		if _, err := NewBearer(nil, address, "", ""); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
}

func TestBearerFiles(t *testing.T) {
	const secret = "s3cret"
	for name, text := range map[string]string{
		"empty":           "",
		"spaces":          " \n",
		"line_break":      secret + "\nX-Evil: 1",
		"control":         secret + "\x00",
		"not_ASCII":       secret + "é",
		"space_inside":    secret + " " + secret,
		"larger_than_max": strings.Repeat(secret, maxFile),
	} {
		t.Run("SE-02/token_file_"+name, func(t *testing.T) {
			g := newKeeper(t)
			g.write(g.tokenFile, text)
			err := g.get(g.bearer(g.server.URL, g.tokenFile, g.authFile), g.server.URL)
			if err == nil || strings.Contains(err.Error(), secret) || len(g.seen) > 0 {
				t.Errorf("error %.200v, requests %d", err, len(g.seen))
			}
		})
	}
	t.Run("missing_files_are_named", func(t *testing.T) {
		g := newKeeper(t)
		for _, b := range []*Bearer{
			g.bearer(g.server.URL, "/nonexistent/token", g.authFile),
			g.bearer(g.server.URL, g.tokenFile, "/nonexistent/ca.crt"),
		} {
			if err := g.get(b, g.server.URL); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/nonexistent/") {
				t.Errorf("error %v", err)
			}
		}
	})
}

// TestBearerPipes: what is no regular file can make a reader wait for ever.
func TestBearerPipes(t *testing.T) {
	for name, swap := range map[string]func(g *keeper, path string){
		"token":       func(g *keeper, path string) { g.tokenFile = path },
		"authorities": func(g *keeper, path string) { g.authFile = path },
	} {
		t.Run("pipe_instead_of_"+name, func(t *testing.T) {
			g := newKeeper(t)
			path := filepath.Join(t.TempDir(), "pipe")
			pipe(t, path)
			swap(g, path)
			err := g.get(g.bearer(g.server.URL, g.tokenFile, g.authFile), g.server.URL)
			if err == nil || !strings.Contains(err.Error(), path+" is not a regular file") || len(g.seen) > 0 {
				t.Errorf("error %v, %d requests", err, len(g.seen))
			}
		})
	}
}

// answers is a transport that needs no network.
type answers struct{}

func (answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

// TestBearerHangs: a file system that does not answer holds up neither a request for
// longer than its time, nor more than one goroutine.
func TestBearerHangs(t *testing.T) {
	const address = "https://keys.example/openid"
	for name, c := range map[string]struct {
		base              http.RoundTripper
		tokenFile, caFile string
	}{
		"token":       {answers{}, "token", ""},
		"authorities": {nil, "", "ca.crt"},
	} {
		t.Run("DF-07/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, err := NewBearer(c.base, address, c.tokenFile, c.caFile)
				if err != nil {
					t.Fatal(err)
				}
				var reads atomic.Int32
				mount := make(chan struct{})
				b.readFile = func(string) ([]byte, error) {
					reads.Add(1)
					<-mount
					return []byte("text"), nil
				}
				start := time.Now()
				var wg sync.WaitGroup
				for range 100 {
					wg.Go(func() {
						_, err := NewClient(&http.Client{Transport: b}).Get(t.Context(), Request{URL: address, Limit: 100})
						if err == nil || !strings.Contains(err.Error(), "could not be read within 2s") {
							t.Errorf("error %v", err)
						}
					})
				}
				wg.Wait()
				if waited := time.Since(start); waited != 2*time.Second || reads.Load() != 1 {
					t.Errorf("%d reads, waited %v, want one and 2s", reads.Load(), waited)
				}
				canceled, cancel := context.WithCancel(t.Context())
				cancel()
				if _, err := b.files(canceled); err == nil || time.Since(start) != 2*time.Second {
					t.Errorf("after cancellation: error %v, %v", err, time.Since(start))
				}
				close(mount)
				synctest.Wait()
				if _, err := b.files(t.Context()); err != nil || reads.Load() != 2 {
					t.Errorf("when the files are back: error %v, %d reads", err, reads.Load())
				}
			})
		})
	}
}

func TestBearerLeavesTheRequest(t *testing.T) {
	g := newKeeper(t)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, g.server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := g.bearer(g.server.URL, g.tokenFile, g.authFile).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(req.Header) > 0 {
		t.Errorf("the caller's request has now %v", req.Header)
	}
}

func TestInspectBearer(t *testing.T) {
	for name, c := range map[string]struct {
		base  http.RoundTripper
		quiet bool
	}{
		"own":         {nil, true},
		"zero":        {&http.Transport{}, true},
		"skip_verify": {&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, false},
		"unknown":     {http.NewFileTransport(http.Dir(".")), false},
	} {
		t.Run("SE-05/bearer_on_"+name, func(t *testing.T) {
			b, err := NewBearer(c.base, "https://keys.example", "", "")
			if err != nil {
				t.Fatal(err)
			}
			if got := Inspect(&http.Client{Transport: b}); (got == "") != c.quiet {
				t.Errorf("warning %q", got)
			}
		})
	}
	if Inspect(&http.Client{Transport: (*Bearer)(nil)}) == "" {
		t.Error("no warning about a nil transport")
	}
}
