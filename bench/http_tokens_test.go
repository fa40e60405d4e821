// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	httpIssuer   = "https://login.example.com"
	httpAudience = "https://api.example.com/orders"
	httpScope    = "orders:read"
	httpKeyID    = "2026-01-signing-a"

	httpTokenSize = 900  // bytes of a token, ±3 %
	httpRing      = 1024 // tokens that were not seen lately, and garbage
	httpSmall     = 512  // cache entries that a ring of new tokens does not fit in
)

var httpKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// httpEdit changes the header and the claims of a token.
type httpEdit func(header, claims map[string]any)

// httpToken is a token that every server accepts, but for the edits. n makes it
// differ from others.
func httpToken(n int, edits ...httpEdit) string {
	now := time.Now().Unix()
	header := map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": httpKeyID}
	claims := map[string]any{
		"iss": httpIssuer, "aud": []string{httpAudience, httpIssuer + "/userinfo"},
		"sub": fmt.Sprintf("user|%08d", n), "client_id": "s6BhdRkqt3",
		"iat": now, "nbf": now, "exp": now + 12*3600, "auth_time": now - 100,
		"jti": fmt.Sprintf("%032x", n), "scope": "openid profile email orders:read orders:write",
		"roles": []string{"clerk"}, "tenant": "acme",
	}
	for _, edit := range edits {
		edit(header, claims)
	}
	input := httpSegment(header) + "." + httpSegment(claims)
	digest := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, httpKey(), crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func httpSegment(members map[string]any) string {
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// httpGood are tokens that all servers accept. They are signed once.
var httpGood = sync.OnceValue(func() []string {
	tokens := make([]string, httpRing)
	for i := range tokens {
		tokens[i] = httpToken(i)
	}
	return tokens
})

// httpRequests are the bytes of one request per value of Authorization; an empty one
// is left out.
func httpRequests(values ...string) [][]byte {
	requests := make([][]byte, len(values))
	for i, v := range values {
		field := ""
		if v != "" {
			field = "Authorization: " + v + "\r\n"
		}
		requests[i] = []byte("GET " + httpRoute + " HTTP/1.1\r\nHost: api.example.com\r\n" + field + "\r\n")
	}
	return requests
}

// httpBearers are requests with these tokens.
func httpBearers(tokens []string) [][]byte {
	values := make([]string, len(tokens))
	for i, token := range tokens {
		values[i] = "Bearer " + token
	}
	return httpRequests(values...)
}

// httpGarbage are ring requests of one kind, which every protected server refuses.
// Each is made of another good token, so that nothing about them can be remembered.
func httpGarbage(kind string) [][]byte {
	tokens := make([]string, httpRing)
	for i, good := range httpGood() {
		tokens[i] = httpSpoil(kind, i, good)
	}
	return httpBearers(tokens)
}

func httpSpoil(kind string, n int, good string) string {
	head, rest, _ := strings.Cut(good, ".")
	payload, sig, _ := strings.Cut(rest, ".")
	switch kind {
	case "oversized": // beyond the 16 KiB that bearerguard looks at, within what net/http reads
		return head + "." + payload + strings.Repeat("A", 20_000) + "." + sig
	case "malformed": // the brace that ends the claims is missing: all of them are read
		text, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil {
			panic(err)
		}
		return head + "." + base64.RawURLEncoding.EncodeToString(text[:len(text)-1]) + "." + sig
	case "unknown_kid":
		head = httpSegment(map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": fmt.Sprintf("key-%013d", n)})
		return head + "." + payload + "." + sig
	case "bad_signature":
		bad := make([]byte, httpKey().Size())
		rand.Read(bad)
		bad[0] = 0 // below the modulus, so that it is computed
		return head + "." + payload + "." + base64.RawURLEncoding.EncodeToString(bad)
	}
	panic("no kind " + kind)
}

// httpKeyServer publishes the key set on loopback and counts who asks.
type httpKeyServer struct {
	url     string
	fetches atomic.Int64
	since   time.Time
}

func httpStartKeys(tb testing.TB) *httpKeyServer {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &httpKeyServer{url: "http://" + l.Addr().String() + "/jwks", since: time.Now()}
	text := httpJWKS()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.fetches.Add(1)
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Write(text)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(l) // until Close
	}()
	tb.Cleanup(func() {
		server.Close()
		<-ended
	})
	return s
}

func httpJWKS() []byte {
	e := base64.RawURLEncoding.EncodeToString
	pub := httpKey().PublicKey
	text, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": httpKeyID,
		"n": e(pub.N.Bytes()), "e": e(big.NewInt(int64(pub.E)).Bytes()),
	}}})
	if err != nil {
		panic(err)
	}
	return text
}
