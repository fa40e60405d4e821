// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

func TestPublicOnlyConfig(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*jwkscache.Config)
		fault string // "": none
	}{
		"G2_URL_loopback":      {func(c *jwkscache.Config) { c.URL = "https://127.0.0.1/jwks" }, "Config.URL is at an address that is not public"},
		"G2_URL_loopback_IPv6": {func(c *jwkscache.Config) { c.URL = "https://[::1]:8443/jwks" }, "Config.URL is at an address"},
		"G2_URL_link_local":    {func(c *jwkscache.Config) { c.URL = "https://169.254.169.254/" }, "Config.URL is at an address"},
		"G2_URL_mapped":        {func(c *jwkscache.Config) { c.URL = "https://[::ffff:10.0.0.1]/" }, "Config.URL is at an address"},
		"G2_Issuer_private":    {func(c *jwkscache.Config) { c.URL, c.Issuer = "", "https://10.0.0.1" }, "Config.Issuer is at an address"},
		"URL_public":           {func(c *jwkscache.Config) { c.URL = "https://8.8.8.8/jwks" }, ""},
		"URL_name":             {func(*jwkscache.Config) {}, ""},
		"Issuer_public_IPv6":   {func(c *jwkscache.Config) { c.URL, c.Issuer = "", "https://[2606:4700::1111]" }, ""},
		"HTTPClient_plain":     {func(c *jwkscache.Config) { c.HTTPClient = &http.Client{Transport: &http.Transport{}} }, ""},
		"HTTPClient_empty":     {func(c *jwkscache.Config) { c.HTTPClient = &http.Client{} }, ""},
		"HTTPClient_proxy": {func(c *jwkscache.Config) {
			c.HTTPClient = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
		}, "Config.HTTPClient cannot be held to what PublicOnly asks"},
		"HTTPClient_dials_itself": {func(c *jwkscache.Config) {
			c.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext}}
		}, "Config.HTTPClient cannot be held"},
		"HTTPClient_other": {func(c *jwkscache.Config) {
			c.HTTPClient = &http.Client{Transport: http.NewFileTransport(http.Dir("."))}
		}, "Config.HTTPClient cannot be held"},
	} {
		t.Run("KS-04/"+name, func(t *testing.T) {
			cfg := jwkscache.Config{URL: jwksURL}
			c.edit(&cfg)
			if open, err := jwkscache.New(cfg); err != nil || open.PublicOnly() {
				t.Fatalf("without PublicOnly: %v", err)
			}
			cfg.PublicOnly = true
			cache, err := jwkscache.New(cfg)
			if c.fault == "" {
				if err != nil || !cache.PublicOnly() {
					t.Fatalf("got %v, %v", cache, err)
				}
				return
			}
			wantClass(t, err, verifier.ErrConfig)
			if text := err.Error(); !strings.Contains(text, c.fault) || !strings.Contains(text, "PublicOnly") {
				t.Errorf("error %v, want %q in it", err, c.fault)
			}
		})
	}
	t.Run("KS-04/file", func(t *testing.T) {
		for _, set := range []bool{false, true} {
			cache, err := jwkscache.New(jwkscache.Config{File: "keys.json", PublicOnly: set})
			if err != nil || !cache.PublicOnly() {
				t.Errorf("got %v, %v", cache, err)
			}
		}
	})
	t.Run("KS-04/nil_and_zero_cache", func(t *testing.T) {
		if (*jwkscache.Cache)(nil).PublicOnly() || new(jwkscache.Cache).PublicOnly() {
			t.Error("a cache that was not made claims to be guarded")
		}
	})
}

// TestPublicOnlyDial is over sockets, with the names of the system.
func TestPublicOnlyDial(t *testing.T) {
	var connections atomic.Int32
	var self string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, self, self+"/jwks")
			return
		}
		io.WriteString(w, kids("one"))
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	self = "http://localhost" + server.URL[strings.LastIndex(server.URL, ":"):]
	for name, cfg := range map[string]jwkscache.Config{
		"KS-04/G15_name_of_loopback":             {URL: self + "/jwks"},
		"MD-17/KS-04_metadata_requests_likewise": {Issuer: self},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.InsecureHosts = []string{"loopback"}
			open, err := jwkscache.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			if err := open.Warm(t.Context()); err != nil {
				t.Fatalf("without the guard: %v", err)
			}
			before := connections.Load()
			cfg.PublicOnly = true
			cache, err := jwkscache.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer cache.Close()
			err = cache.Warm(t.Context())
			if e := wantClass(t, err, verifier.ErrKeysUnavailable); e.RetryAfter <= 0 {
				t.Errorf("no time to come back in %v", err)
			}
			if text := err.Error(); !strings.Contains(text, "public") || strings.Contains(text, "127.0.0.1") || strings.Contains(text, "::1") {
				t.Errorf("error %v: the reason is missing, or an inner address is in it", err)
			}
			if connections.Load() != before {
				t.Error("a connection was made")
			}
		})
	}
}

func TestPublicOnlyMetadata(t *testing.T) {
	guarded := func(cfg *jwkscache.Config) {
		byIssuer(cfg)
		cfg.HTTPClient, cfg.PublicOnly = nil, true
	}
	for name, uri := range map[string]string{
		"link_local": "https://169.254.169.254/latest", "loopback": "https://127.0.0.1/jwks",
		"private": "https://192.168.0.1/jwks", "unique_local": "https://[fd00:ec2::254]/jwks",
	} {
		inWorld(t, "MD-17/G2_"+name, guarded, func(w *world) {
			jwkscache.SetClient(w.cache, w.client())
			w.metadata(uri)
			w.body(uri, kids("one"))
			wantClass(w, w.cache.Warm(w.Context()), verifier.ErrMetadata)
			w.wantHits(uri, 0)
			w.wantHits(metaURL, 1)
		})
	}
	inWorld(t, "MD-17/public_address", guarded, func(w *world) {
		jwkscache.SetClient(w.cache, w.client())
		w.metadata("https://8.8.8.8/jwks")
		w.body("https://8.8.8.8/jwks", kids("one"))
		if err := w.cache.Warm(w.Context()); err != nil {
			w.Fatal(err)
		}
	})
	inWorld(t, "MD-17/unguarded", byIssuer, func(w *world) {
		w.metadata("https://10.0.0.1/jwks")
		w.body("https://10.0.0.1/jwks", kids("one"))
		if err := w.cache.Warm(w.Context()); err != nil {
			w.Fatal(err)
		}
	})
}
