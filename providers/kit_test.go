// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/memnet"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/verifier"
)

type object = map[string]any

// shape is a file of testdata/providers: what a provider publishes, and a token of it.
type shape struct {
	Metadata *struct {
		URL      string
		Document json.RawMessage
	}
	Keys struct {
		URL     string
		Members []object
	}
	Header, Claims object
}

func load(t testing.TB, name string) shape {
	t.Helper()
	data, err := os.ReadFile("../testdata/providers/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var s shape
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// private are the signing keys, by place in the set.
var private = sync.OnceValue(func() []*rsa.PrivateKey {
	var keys []*rsa.PrivateKey
	for range 5 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
})

// jwks is the key set of the shape.
func (s shape) jwks() string {
	var keys []string
	for i, members := range s.Keys.Members {
		text, err := jose.PublicJWK(private()[i].Public(), members)
		if err != nil {
			panic(err)
		}
		keys = append(keys, string(text))
	}
	return `{"keys":[` + strings.Join(keys, ",") + `]}`
}

// edit changes a token before it is signed.
type edit func(header, claims object)

func claim(name string, value any) edit { return func(_, c object) { c[name] = value } }

func without(names ...string) edit {
	return func(_, c object) {
		for _, name := range names {
			delete(c, name)
		}
	}
}

func both(edits ...edit) edit {
	return func(h, c object) {
		for _, e := range edits {
			e(h, c)
		}
	}
}

// token is the token of the shape, valid for an hour, signed with the key that its
// kid names, or with the public key as an HMAC secret if alg says so.
func (s shape) token(edits ...edit) string {
	h, c := maps.Clone(s.Header), maps.Clone(s.Claims)
	now := time.Now().Unix()
	for name, date := range map[string]int64{"iat": now, "nbf": now, "auth_time": now, "exp": now + 3600} {
		if _, ok := c[name]; ok {
			c[name] = date
		}
	}
	both(edits...)(h, c)
	input := segment(h) + "." + segment(c)
	if h["alg"] == "none" {
		return input + "."
	}
	var key any = private()[0]
	for i, members := range s.Keys.Members {
		if members["kid"] == h["kid"] {
			key = private()[i]
		}
	}
	if h["alg"] == "HS256" {
		key = []byte(s.jwks())
	}
	sig, err := jose.Sign(h["alg"].(string), key, input)
	if err != nil {
		panic(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func segment(o object) string {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// world is the network of a provider: a real HTTP server in memory.
type world struct {
	testing.TB
	shape
	client *http.Client

	mu     sync.Mutex
	routes map[string]string // body by URL
	asked  []string
}

func newWorld(t testing.TB, name string) *world {
	t.Helper()
	w := &world{TB: t, shape: load(t, name), routes: map[string]string{}}
	listener := memnet.Listen("everywhere")
	transport := listener.Transport()
	transport.DisableKeepAlives = true
	w.client = &http.Client{Transport: transport}
	server := &http.Server{Handler: w}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-served })
	if w.Metadata != nil {
		w.routes[w.Metadata.URL] = string(w.Metadata.Document)
	}
	w.routes[w.Keys.URL] = w.jwks()
	return w
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	url := "https://" + r.Host + r.URL.Path
	w.asked = append(w.asked, url)
	body, ok := w.routes[url]
	w.mu.Unlock()
	if !ok {
		http.NotFound(rw, r)
		return
	}
	rw.Write([]byte(body))
}

func (w *world) fetches() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

// keys is the template of a key source that this world answers.
func (w *world) keys() jwkscache.Config { return jwkscache.Config{HTTPClient: w.client} }

// verifier fails the test unless config and verifier.New accept the options.
func (w *world) verifier(config func(providers.Options) (verifier.Config, error), o providers.Options) *verifier.Verifier {
	w.Helper()
	o.Keys = w.keys()
	cfg, err := config(o)
	if err != nil {
		w.Fatal(err)
	}
	return w.open(cfg)
}

func (w *world) open(cfg verifier.Config) *verifier.Verifier {
	w.Helper()
	v, err := verifier.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { v.Close() })
	return v
}

// accept verifies raw and fails the test if it is refused.
func accept(t testing.TB, v *verifier.Verifier, raw string) *verifier.Token {
	t.Helper()
	tok, err := v.Verify(t.Context(), raw)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return tok
}

// refuse fails the test unless raw is refused with exactly this class.
func refuse(t testing.TB, v *verifier.Verifier, raw string, class error) {
	t.Helper()
	tok, err := v.Verify(t.Context(), raw)
	wantClass(t, err, class)
	if tok != nil {
		t.Fatal("a token beside the error")
	}
}

func wantClass(t testing.TB, err, class error) *verifier.Error {
	t.Helper()
	var e *verifier.Error
	if !errors.As(err, &e) || e.Class != class {
		t.Fatalf("error %v, want one of class %v", err, class)
	}
	return e
}
