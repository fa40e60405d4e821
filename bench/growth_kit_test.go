// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	growthIssuer   = "https://id.example.com"
	growthAudience = "https://api.example.com"
)

// growthSecret is one for tests: nothing else knows it or needs to.
var growthSecret = []byte(strings.Repeat("growth benchmarks ", 4))

// growthKeys are n Ed25519 keys that are the same in every process.
func growthKeys(n int) []ed25519.PrivateKey {
	list := make([]ed25519.PrivateKey, n)
	for i := range list {
		seed := sha256.Sum256(fmt.Appendf(nil, "growth key %d", i))
		list[i] = ed25519.NewKeyFromSeed(seed[:])
	}
	return list
}

func growthKeyID(i int) string { return fmt.Sprintf("key-%03d", i) }

// growthSource has the public halves of keys.
func growthSource(tb testing.TB, keys []ed25519.PrivateKey) verifier.KeySource {
	tb.Helper()
	var list []map[string]string
	for i, key := range keys {
		x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
		list = append(list, map[string]string{"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": growthKeyID(i), "x": x})
	}
	doc, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		tb.Fatal(err)
	}
	source, err := jwkscache.NewStatic(doc)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

// growthConfig is for tokens of growthClaims; the cache is off or large enough.
func growthConfig(keys verifier.KeySource, seen bool) verifier.Config {
	cfg := verifier.Config{Issuer: growthIssuer, Audience: []string{growthAudience}, Keys: keys}
	if !seen {
		cfg.CacheEntries = -1
	}
	return cfg
}

// growthClaims are the least that RFC 9068 asks for, and more.
func growthClaims(id int, more map[string]any) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"iss": growthIssuer, "aud": growthAudience, "sub": fmt.Sprintf("user-%07d", id), "client_id": "shop",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": fmt.Sprintf("%07d", id), "scope": "orders:read",
	}
	maps.Copy(claims, more)
	return claims
}

// growthToken signs claims by the i-th of keys.
func growthToken(tb testing.TB, keys []ed25519.PrivateKey, i int, claims map[string]any) string {
	input := growthInput(tb, "EdDSA", growthKeyID(i), claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(keys[i], []byte(input)))
}

// growthHMAC signs claims by the secret.
func growthHMAC(tb testing.TB, claims map[string]any) string {
	input := growthInput(tb, "HS256", "secret", claims)
	mac := hmac.New(sha256.New, growthSecret)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func growthInput(tb testing.TB, alg, kid string, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	header := fmt.Sprintf(`{"alg":"%s","typ":"at+jwt","kid":"%s"}`, alg, kid)
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
}

// growthSized is a token of size bytes, or one less where base64 has no such length. It
// grows by groups, as tokens do.
func growthSized(tb testing.TB, keys []ed25519.PrivateKey, id, size int) string {
	var groups []string
	make := func(filler int) string {
		more := map[string]any{"groups": groups, "filler": strings.Repeat("x", filler)}
		return growthToken(tb, keys, 0, growthClaims(id, more))
	}
	const group = 40 // bytes that one more group takes, and some to spare
	for missing := size - len(make(0)); missing > 2*group; missing = size - len(make(0)) {
		for range max(1, missing/group) {
			groups = append(groups, fmt.Sprintf("department-%04d-read", len(groups)))
		}
	}
	raw := make(max(0, (size-len(make(0)))*3/4))
	if len(raw) > size || len(raw) < size-1 {
		tb.Fatalf("the token has %d bytes, not %d", len(raw), size)
	}
	return raw
}

// growthHeap is what is in use once everything else is collected.
func growthHeap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
