// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/verifier"
)

const clusterIssuer = "https://kubernetes.default.svc.cluster.local"

// apiServer is the key endpoint of a cluster: TLS with a private authority, and a
// bearer token that rotates.
type apiServer struct {
	shape
	server  *httptest.Server
	cluster providers.Cluster

	mu    sync.Mutex
	token string // the one it asks for
	got   []string
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{shape: load(t, "kubernetes"), token: "first"}
	s.server = httptest.NewUnstartedServer(s)
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	s.cluster = providers.Cluster{
		KeysURL:   s.server.URL + "/openid/v1/jwks",
		TokenFile: filepath.Join(t.TempDir(), "token"),
		CAFile:    filepath.Join(t.TempDir(), "ca.crt"),
	}
	write(t, s.cluster.TokenFile, "first")
	write(t, s.cluster.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw})))
	return s
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := r.Header.Get("Authorization")
	s.got = append(s.got, got)
	if got != "Bearer "+s.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	io.WriteString(w, s.jwks())
}

func (s *apiServer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *apiServer) verifier(t *testing.T, o options) *verifier.Verifier {
	t.Helper()
	o.Audience = []string{"https://orders.shop.svc"}
	cfg, err := providers.Kubernetes(clusterIssuer, s.cluster, o)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func TestKubernetesKeys(t *testing.T) {
	t.Run("KS-01/token_and_private_authority", func(t *testing.T) {
		s := newAPIServer(t)
		accept(t, s.verifier(t, options{}), s.shape.token())
		if got := s.requests(); len(got) != 1 || got[0] != "Bearer first" {
			t.Errorf("requests with %q", got)
		}
	})
	t.Run("rotated_token", func(t *testing.T) {
		s := newAPIServer(t)
		v := s.verifier(t, options{})
		s.token = "second"
		write(t, s.cluster.TokenFile, "second\n")
		accept(t, v, s.shape.token())
		if got := s.requests(); len(got) != 1 || got[0] != "Bearer second" {
			t.Errorf("requests with %q", got)
		}
	})
	t.Run("F4/token_refused_by_the_key_endpoint", func(t *testing.T) {
		s := newAPIServer(t)
		s.token = "other"
		refuse(t, s.verifier(t, options{}), s.shape.token(), verifier.ErrKeysUnavailable)
	})
	t.Run("KS-01/authority_unknown", func(t *testing.T) {
		s := newAPIServer(t)
		s.cluster.CAFile = ""
		refuse(t, s.verifier(t, options{}), s.shape.token(), verifier.ErrKeysUnavailable)
		if got := s.requests(); len(got) > 0 {
			t.Errorf("requests with %q", got)
		}
	})
	t.Run("KS-12/files_missing", func(t *testing.T) {
		s := newAPIServer(t)
		s.cluster.TokenFile = filepath.Join(t.TempDir(), "nothing")
		refuse(t, s.verifier(t, options{}), s.shape.token(), verifier.ErrKeysUnavailable)
	})
	t.Run("client_of_the_application", func(t *testing.T) {
		s := newAPIServer(t)
		s.cluster.CAFile = ""
		var o options
		o.Keys.HTTPClient = s.server.Client()
		defer s.server.Client().CloseIdleConnections()
		accept(t, s.verifier(t, o), s.shape.token())
		if got := s.requests(); len(got) != 1 || got[0] != "Bearer first" {
			t.Errorf("requests with %q", got)
		}
	})
	t.Run("SE-02/no_token_without_a_file", func(t *testing.T) {
		s := newAPIServer(t)
		s.cluster.TokenFile = ""
		refuse(t, s.verifier(t, options{}), s.shape.token(), verifier.ErrKeysUnavailable)
		if got := s.requests(); len(got) != 1 || got[0] != "" {
			t.Errorf("requests with %q", got)
		}
	})
}

// TestKubernetesInCluster: the zero Cluster is the API server as pods see it.
func TestKubernetesInCluster(t *testing.T) {
	t.Run("address_and_token_file", func(t *testing.T) {
		s := newAPIServer(t)
		hosts := make(chan string, 1)
		next := s.server.Config.Handler
		s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hosts <- r.Host + r.URL.Path
			next.ServeHTTP(w, r)
		})
		s.cluster = providers.Cluster{TokenFile: s.cluster.TokenFile}
		var o options
		o.Keys.HTTPClient = &http.Client{Transport: s.everywhere()}
		accept(t, s.verifier(t, o), s.shape.token())
		if got := <-hosts; got != "kubernetes.default.svc/openid/v1/jwks" {
			t.Errorf("asked %s", got)
		}
		if got := s.requests(); len(got) != 1 || got[0] != "Bearer first" {
			t.Errorf("requests with %q", got)
		}
	})
	const files = "/var/run/secrets/kubernetes.io/serviceaccount/"
	if _, err := os.Stat(files); err == nil {
		t.Skip("inside of a cluster the files exist")
	}
	for name, client := range map[string]bool{"token": true, "ca.crt": false} {
		t.Run("default_of_"+name, func(t *testing.T) {
			s := newAPIServer(t)
			s.cluster = providers.Cluster{}
			var o options
			if client { // without one, the authorities are looked for first
				o.Keys.HTTPClient = &http.Client{Transport: s.everywhere()}
			}
			_, err := s.verifier(t, o).Verify(t.Context(), s.shape.token())
			if text := wantClass(t, err, verifier.ErrKeysUnavailable).Error(); !strings.Contains(text, files+name+":") {
				t.Errorf("error %q", text)
			}
		})
	}
}

// everywhere reaches the server under any name.
func (s *apiServer) everywhere() *http.Transport {
	transport := s.server.Client().Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.TLSClientConfig.ServerName = "example.com" // that of the test certificate
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.server.Listener.Addr().String())
	}
	return transport
}

// TestKubernetesSecrecy: the token goes to one origin, and into no text.
func TestKubernetesSecrecy(t *testing.T) {
	t.Run("KS-03/redirect_to_another_origin", func(t *testing.T) {
		other := newAPIServer(t)
		s := newAPIServer(t)
		s.server.Config.Handler = http.RedirectHandler(other.server.URL, http.StatusFound)
		refuse(t, s.verifier(t, options{}), s.shape.token(), verifier.ErrKeysUnavailable)
		if got := other.requests(); len(got) > 0 {
			t.Errorf("the other origin got %q", got)
		}
	})
	t.Run("SE-02/token_in_no_event", func(t *testing.T) {
		s := newAPIServer(t)
		const canary = "canary-0123456789"
		write(t, s.cluster.TokenFile, canary)
		var texts []string
		var o options
		o.OnEvent = func(e verifier.Event) {
			for _, err := range []error{e.Class, e.Cause} {
				if err != nil {
					texts = append(texts, err.Error())
				}
			}
		}
		v := s.verifier(t, o)
		_, err := v.Verify(t.Context(), s.shape.token())
		texts = append(texts, wantClass(t, err, verifier.ErrKeysUnavailable).Error())
		if all := strings.Join(texts, "\n"); strings.Contains(all, canary) || len(texts) < 3 {
			t.Errorf("%d texts: %s", len(texts), all)
		}
	})
	t.Run("SE-05/own_transport_raises_no_warning", func(t *testing.T) {
		s := newAPIServer(t)
		warned := false
		s.verifier(t, options{OnEvent: func(e verifier.Event) { warned = warned || e.Kind == verifier.EventWarning }})
		if warned {
			t.Error("a warning about a transport of our own")
		}
	})
}
