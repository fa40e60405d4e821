// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	issuerURL = "https://id.example.com"
	audience  = "https://api.example.com"
)

// noon is when all tests take place, unless they move the clock.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

var (
	rsaOne = sync.OnceValue(func() *rsa.PrivateKey { return ok(rsa.GenerateKey(rand.Reader, 2048)) })
	rsaTwo = sync.OnceValue(func() *rsa.PrivateKey { return ok(rsa.GenerateKey(rand.Reader, 2048)) })
	ec256  = sync.OnceValue(func() *ecdsa.PrivateKey { return ok(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	ec384  = sync.OnceValue(func() *ecdsa.PrivateKey { return ok(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	ec521  = sync.OnceValue(func() *ecdsa.PrivateKey { return ok(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	edKey  = sync.OnceValue(func() ed25519.PrivateKey {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return ok(k, err)
	})
)

func ok[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// object is JSON to be edited: nil removes a member, raw puts bytes in as they are.
type object map[string]any

type raw = json.RawMessage

func (o object) edit(edits object) object {
	c := maps.Clone(o)
	for name, v := range edits {
		if v == nil {
			delete(c, name)
		} else {
			c[name] = v
		}
	}
	return c
}

func (o object) String() string { return string(ok(json.Marshal(o))) }

// goodHeader and goodClaims make a token that the default profile accepts at noon.
func goodHeader() object { return object{"alg": "RS256", "typ": "at+jwt", "kid": "one"} }

func goodClaims() object {
	return object{
		"iss": issuerURL, "aud": audience, "sub": "user-1", "client_id": "client-1",
		"jti": "id-1", "scope": "orders:read",
		"iat": noon.Add(-time.Minute).Unix(), "exp": noon.Add(10 * time.Minute).Unix(),
	}
}

// sign signs header and payload as they are given, with the algorithm alg.
func sign(key any, alg, header, payload string) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(string(ok(jose.Sign(alg, key, input))))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// token is a good token after the edits of its header and claims.
func token(header, claims object) string {
	return sign(rsaOne(), "RS256", goodHeader().edit(header).String(), goodClaims().edit(claims).String())
}

// tokenText is a good token with exactly this payload.
func tokenText(payload string) string {
	return sign(rsaOne(), "RS256", goodHeader().String(), payload)
}

// jwk is the public part of key as a JWK.
func jwk(key any, members object) raw {
	if k, isPrivate := key.(interface{ Public() any }); isPrivate {
		key = k.Public()
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		key = k.Public()
	case *ecdsa.PrivateKey:
		key = k.Public()
	case ed25519.PrivateKey:
		key = k.Public()
	}
	return ok(jose.PublicJWK(key, members))
}

func jwks(keys ...raw) *verifier.KeySet {
	doc := ok(json.Marshal(map[string]any{"keys": append([]raw{}, keys...)}))
	set, _, err := verifier.ParseKeySet(doc)
	return ok(set, err)
}

// source is a scripted key source: current is what it serves, refreshed what a
// miss brings; err and missErr are failures of either. It records the misses.
type source struct {
	mu        sync.Mutex
	current   *verifier.KeySet
	refreshed *verifier.KeySet
	err       error
	missErr   error
	calls     int
	misses    []verifier.Miss
}

func (s *source) Keys(_ context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if miss == nil {
		return s.current, s.err
	}
	s.misses = append(s.misses, *miss)
	if s.missErr != nil {
		return nil, s.missErr
	}
	if s.refreshed != nil {
		s.current = s.refreshed
	}
	return s.current, nil
}

func (s *source) set(set *verifier.KeySet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = set
}

// keysOne serves the public part of rsaOne under kid one.
func keysOne() *source { return &source{current: jwks(jwk(rsaOne(), object{"kid": "one"}))} }

// config is the configuration that accepts goodClaims, after the edits.
func config(edits ...func(*verifier.Config)) verifier.Config {
	cfg := verifier.Config{
		Issuer:   issuerURL,
		Audience: []string{audience},
		Keys:     keysOne(),
		Now:      func() time.Time { return noon },
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	return cfg
}

func newVerifier(t testing.TB, edits ...func(*verifier.Config)) *verifier.Verifier {
	t.Helper()
	cfg := config(edits...)
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	remember(t, v, cfg)
	return v
}

func legacy(cfg *verifier.Config) { cfg.Profile = verifier.ProfileJWT }

// wantClass fails unless err is of exactly this class and comes without a token.
func wantClass(t testing.TB, tok *verifier.Token, err, class error) {
	t.Helper()
	if tok != nil {
		t.Errorf("a token came with the error %v", err)
	}
	if got := verifier.ClassOf(err); got != class {
		t.Fatalf("class %v, want %v (error: %v)", got, class, err)
	}
	var e *verifier.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is not a *verifier.Error", err)
	}
}

func wantAccepted(t testing.TB, tok *verifier.Token, err error) {
	t.Helper()
	if err != nil || tok == nil {
		t.Fatalf("refused: %v", err)
	}
}

// refusesConfig fails unless New refuses with ErrConfig and names the field.
func refusesConfig(t testing.TB, field string, edits ...func(*verifier.Config)) {
	t.Helper()
	v, err := verifier.New(config(edits...))
	if v != nil || !errors.Is(err, verifier.ErrConfig) {
		t.Fatalf("got %v, %v; want a configuration error", v, err)
	}
	if !strings.Contains(fmt.Sprint(err), field) {
		t.Errorf("the error does not name %s: %v", field, err)
	}
}
