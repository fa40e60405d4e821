// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/memnet"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	issuer   = "https://id.example"
	jwksURL  = issuer + "/jwks"
	metaURL  = issuer + "/.well-known/oauth-authorization-server"
	audience = "https://api.example"
)

// private are signing keys by kid, made once: what they are does not matter.
var private = sync.OnceValue(func() map[string]*ecdsa.PrivateKey {
	keys := map[string]*ecdsa.PrivateKey{}
	for _, kid := range []string{"one", "two", "three"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		keys[kid] = key
	}
	return keys
})

// jwk is the public JWK of kid, with more members.
func jwk(kid string, more map[string]any) json.RawMessage {
	members := map[string]any{"kid": kid}
	for name, value := range more {
		members[name] = value
	}
	text, err := jose.PublicJWK(private()[kid].Public(), members)
	if err != nil {
		panic(err)
	}
	return text
}

func privateJWK(kid string) json.RawMessage {
	text, err := jose.PrivateJWK(private()[kid], map[string]any{"kid": kid})
	if err != nil {
		panic(err)
	}
	return text
}

// set is the text of a key set.
func set(keys ...json.RawMessage) string {
	parts := make([]string, len(keys))
	for i, key := range keys {
		parts[i] = string(key)
	}
	return `{"keys":[` + strings.Join(parts, ",") + `]}`
}

func kids(names ...string) string {
	var keys []json.RawMessage
	for _, name := range names {
		keys = append(keys, jwk(name, nil))
	}
	return set(keys...)
}

// token is a good token that the key of kid signed, valid for a day from now.
func token(kid string) string {
	now := time.Now()
	return signed(kid, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": kid}, map[string]any{
		"iss": issuer, "aud": audience, "sub": "s", "client_id": "c", "jti": "j",
		"iat": now.Unix(), "exp": now.Add(1000 * time.Hour).Unix(),
	})
}

func signed(kid string, header, claims map[string]any) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	sig, err := jose.Sign("ES256", private()[kid], input)
	if err != nil {
		panic(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func decoded(segment string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		panic(err)
	}
	return b
}

// site is every host of the tests: a real HTTP server in memory.
type site struct {
	transport *http.Transport
	down      atomic.Bool // no connection can be made

	mu     sync.Mutex
	routes map[string]http.HandlerFunc // by URL without query
	log    []string                    // URLs asked for, in order
	header []http.Header               // their headers
}

// newSite serves metadata and the key one at id.example.
func newSite(t testing.TB) *site {
	t.Helper()
	listener := memnet.Listen("everywhere")
	s := &site{routes: map[string]http.HandlerFunc{}, transport: listener.Transport()}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if s.down.Load() {
			return nil, errors.New("connection refused")
		}
		return listener.Dial(ctx, network, addr)
	}
	s.transport.DialContext, s.transport.DialTLSContext = dial, dial
	s.transport.DisableKeepAlives = true
	server := &http.Server{Handler: s}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-served })
	s.metadata(jwksURL)
	s.body(jwksURL, kids("one"))
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scheme := "https"
	if strings.HasPrefix(r.Host, "plain.") || strings.HasPrefix(r.Host, "localhost") || strings.HasPrefix(r.Host, "127.") || strings.HasPrefix(r.Host, "[") {
		scheme = "http"
	}
	url := scheme + "://" + r.Host + r.URL.EscapedPath()
	s.mu.Lock()
	s.log = append(s.log, url)
	s.header = append(s.header, r.Header.Clone())
	handler := s.routes[url]
	s.mu.Unlock()
	if handler == nil {
		http.NotFound(w, r)
		return
	}
	handler(w, r)
}

// on sets what answers at url.
func (s *site) on(url string, handler http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routes[url] = handler
}

// body answers with status 200, text, and headers given as pairs.
func (s *site) body(url, text string, headers ...string) { s.on(url, answer(200, text, headers...)) }

// status answers with an empty body.
func (s *site) status(url string, code int, headers ...string) {
	s.on(url, answer(code, "", headers...))
}

func answer(code int, text string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, text)
	}
}

// slow waits before it answers, or until the client is gone.
func slow(d time.Duration, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			then(w, r)
		case <-r.Context().Done():
		}
	}
}

// metadata sets the document of id.example.
func (s *site) metadata(jwksURI string, headers ...string) {
	s.body(metaURL, fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, jwksURI), headers...)
}

// hits counts the requests for url, or all of them for "".
func (s *site) hits(url string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, asked := range s.log {
		if url == "" || asked == url {
			n++
		}
	}
	return n
}

func (s *site) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

// last is the header of the last request.
func (s *site) last() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header[len(s.header)-1]
}

func (s *site) client() *http.Client { return &http.Client{Transport: s.transport} }

// events records what the hook is told.
type events struct {
	mu   sync.Mutex
	list []verifier.Event
}

func (e *events) hook(ev verifier.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

func (e *events) of(kind verifier.EventKind) (found []verifier.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.list {
		if ev.Kind == kind {
			found = append(found, ev)
		}
	}
	return found
}

// world is a site, a cache of its keys found by URL, and the events of the cache.
type world struct {
	*testing.T
	*site
	*events
	cache *jwkscache.Cache
}

// byURL and byIssuer are the two ways to configure a cache.
func byURL(*jwkscache.Config) {}

func byIssuer(cfg *jwkscache.Config) { cfg.URL, cfg.Issuer = "", issuer }

// inWorld runs a test in virtual time.
func inWorld(t *testing.T, name string, edit func(*jwkscache.Config), test func(w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			test(newWorld(t, edit))
		})
	})
}

func newWorld(t *testing.T, edit func(*jwkscache.Config)) *world {
	w := &world{T: t, site: newSite(t), events: &events{}}
	w.cache = w.another(edit)
	return w
}

// another is one more cache on the same site, reporting to the same events.
func (w *world) another(edit func(*jwkscache.Config)) *jwkscache.Cache {
	w.Helper()
	cfg := jwkscache.Config{URL: jwksURL, HTTPClient: w.client(), OnEvent: w.hook}
	edit(&cfg)
	cache, err := jwkscache.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { cache.Close() })
	return cache
}

// verifier verifies with the keys of the cache.
func (w *world) verifier() *verifier.Verifier {
	w.Helper()
	v, err := verifier.New(verifier.Config{
		Issuer: issuer, Audience: []string{audience}, Keys: w.cache, CacheEntries: -1,
	})
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// keys asks for the current set and fails the test on an error.
func (w *world) keys() *verifier.KeySet {
	w.Helper()
	got, err := w.cache.Keys(w.Context(), nil)
	if err != nil {
		w.Fatalf("after %v: %v", w.elapsed(), err)
	}
	return got
}

var misses atomic.Int64

// miss asks for a newer set than old, each time for another kid.
func (w *world) miss(old *verifier.KeySet) (*verifier.KeySet, error) {
	return w.cache.Keys(w.Context(), &verifier.Miss{Set: old, KeyID: fmt.Sprint("unknown-", misses.Add(1))})
}

var midnight = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where synctest begins

func (w *world) elapsed() time.Duration { return time.Since(midnight) }

// pass lets time go by, and lets everything that is due happen.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// busy asks for the current set every step for d, and returns the longest wait.
func (w *world) busy(d, step time.Duration) (longest time.Duration) {
	w.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); w.pass(step) {
		start := time.Now()
		w.keys()
		longest = max(longest, time.Since(start))
	}
	return longest
}

// wantClass fails unless err is a *verifier.Error of exactly this class.
func wantClass(t testing.TB, err, class error) *verifier.Error {
	t.Helper()
	var e *verifier.Error
	if !errors.As(err, &e) || e.Class != class {
		t.Fatalf("error %v, want one of class %v", err, class)
	}
	return e
}

func (w *world) wantHits(url string, want int) {
	w.Helper()
	if got := w.hits(url); got != want {
		w.Fatalf("after %v: %d requests for %q, want %d", w.elapsed(), got, url, want)
	}
}

func (w *world) wantEvents(kind verifier.EventKind, want int) []verifier.Event {
	w.Helper()
	got := w.of(kind)
	if len(got) != want {
		w.Fatalf("%d events %q, want %d: %v", len(got), kind, want, got)
	}
	return got
}

// isZero tells whether a Status is that of a cache without keys.
func isZero(s jwkscache.Status) bool { return reflect.DeepEqual(s, jwkscache.Status{}) }
