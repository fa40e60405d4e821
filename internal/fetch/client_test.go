// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"reflect"
	"testing"
)

func TestOwnTransport(t *testing.T) {
	transport := NewClient(nil).transport.(*http.Transport)
	t.Run("SE-05/own_client_TLS_1.2", func(t *testing.T) {
		if c := transport.TLSClientConfig; c.MinVersion != tls.VersionTLS12 || c.InsecureSkipVerify {
			t.Errorf("%+v", c)
		}
	})
	t.Run("F40/own_client_uses_the_proxy_of_the_environment", func(t *testing.T) {
		if reflect.ValueOf(transport.Proxy).Pointer() != reflect.ValueOf(http.ProxyFromEnvironment).Pointer() {
			t.Error("another rule than that of net/http")
		}
	})
	t.Run("KS-26/own_client_keeps_no_connection", func(t *testing.T) {
		if !transport.DisableKeepAlives {
			t.Error("connections stand between two requests")
		}
	})
	t.Run("KS-07/own_client_bounds_headers", func(t *testing.T) {
		if n := transport.MaxResponseHeaderBytes; n <= 0 || n > 64<<10 {
			t.Errorf("%d bytes", n)
		}
	})
	t.Run("SE-10/own_transport_is_not_shared", func(t *testing.T) {
		if NewClient(nil).transport == transport || transport == http.DefaultTransport {
			t.Error("two clients share one transport")
		}
	})
}

func TestNoTransport(t *testing.T) {
	if NewClient(&http.Client{}).transport != http.DefaultTransport {
		t.Error("a client without transport has not the one of net/http")
	}
}

func TestInspect(t *testing.T) {
	for name, c := range map[string]struct {
		transport http.RoundTripper
		quiet     bool
	}{
		"no_transport":     {nil, true},
		"zero_transport":   {&http.Transport{}, true},
		"nil_transport":    {(*http.Transport)(nil), false},
		"own_RoundTripper": {http.NewFileTransport(http.Dir(".")), false},
		"skip_verify":      {&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, false},
		"TLS_1.0":          {&http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS10}}, false},
		"own_TLS_dial":     {&http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nil, nil }}, false},
		"TLS_1.3":          {&http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}, true},
	} {
		t.Run("SE-05/"+name, func(t *testing.T) {
			if got := Inspect(&http.Client{Transport: c.transport}); (got == "") != c.quiet {
				t.Errorf("warning %q", got)
			}
		})
	}
	if Inspect(nil) != "" {
		t.Error("a warning about no client at all")
	}
}
