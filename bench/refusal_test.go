// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// refusal is a request that the guard refuses, and how.
type refusal struct {
	kind   string
	raw    string // the token; "" sends none
	class  error
	status int
	code   string // the error of the challenge; "" if it has none
	cause  string // a word of the private cause where the class alone does not tell
}

// refusalsOf are requests with RS256 tokens of 900 bytes, but for the oversized one.
func refusalsOf(tb testing.TB) []refusal {
	tb.Helper()
	is := issuerOf(tb, rs256)
	return once(tb, "refusals", func() ([]refusal, error) {
		narrow, err := is.narrow()
		if err != nil {
			return nil, err
		}
		faulty := map[string]string{}
		variants, err := is.variants(sizes[0])
		for _, v := range variants {
			faulty[v.name] = v.raw
		}
		good := faulty["good"]
		const status, code = http.StatusUnauthorized, "invalid_token"
		return []refusal{
			{"none", "", verifier.ErrNoCredentials, status, "", ""},
			{"oversized", good + strings.Repeat("A", 16_384), verifier.ErrMalformedToken, status, code, "MaxTokenBytes"},
			{"malformed", truncatedPayload(good), verifier.ErrMalformedToken, status, code, "payload"},
			{"encrypted", encrypted(len(good)), verifier.ErrMalformedToken, status, code, "encrypted"},
			{"wrong_alg", withAlgorithm(good, is.kid, hs256), verifier.ErrAlgorithm, status, code, ""},
			{"unknown_kid", faulty["unknown_kid"], verifier.ErrUnknownKey, status, code, ""},
			{"wrong_issuer", faulty["wrong_issuer"], verifier.ErrIssuer, status, code, ""},
			{"bad_signature", faulty["tampered_signature"], verifier.ErrSignature, status, code, ""},
			{"expired", faulty["expired"], verifier.ErrExpired, status, code, ""},
			{"wrong_scope", narrow, verifier.ErrInsufficientScope, http.StatusForbidden, "insufficient_scope", ""},
		}, err
	})
}

// narrow is a good token that lacks the scope of the route.
func (is *issuer) narrow() (string, error) {
	claims, err := is.claims(0, sizes[0])
	if err != nil {
		return "", err
	}
	claims.Scope = "openid profile email orders:list orders:write"
	return is.mint(claims)
}

// truncatedPayload has a good header, and a payload whose last quarter is missing.
func truncatedPayload(good string) string {
	parts := strings.Split(good, ".")
	kept := len(parts[1]) * 3 / 4 / 4 * 4
	return parts[0] + "." + parts[1][:kept] + "." + parts[2]
}

// encrypted looks like a JWE of size bytes (RFC 7516 §3.1).
func encrypted(size int) string {
	head := encode([]byte(`{"alg":"RSA-OAEP-256","enc":"A256GCM","typ":"at+jwt"}`)) + "." + strings.Repeat("A", 342) + "." + strings.Repeat("A", 16) + "."
	tail := "." + strings.Repeat("A", 22)
	return head + strings.Repeat("A", (size-len(head)-len(tail))/4*4) + tail
}

// withAlgorithm claims another alg.
func withAlgorithm(good, kid, alg string) string {
	_, rest, _ := strings.Cut(good, ".")
	return encode([]byte(`{"alg":"`+alg+`","typ":"at+jwt","kid":"`+kid+`"}`)) + "." + rest
}

// TestRefusals: each request is refused for what its name says. Seen again, it is
// refused alike.
func TestRefusals(t *testing.T) {
	v, err := newBearerguard(setupOf(t, rs256), 0)
	if err != nil {
		t.Fatal(err)
	}
	h, err := guardedMux(setupOf(t, rs256), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refusalsOf(t) {
		t.Run(r.kind, func(t *testing.T) {
			if r.raw != "" && r.status == http.StatusUnauthorized {
				_, err := v.Verify(context.Background(), r.raw)
				if verifier.ClassOf(err) != r.class || !strings.Contains(err.Error(), r.cause) {
					t.Errorf("%v, want %v for %q", err, r.class, r.cause)
				}
			}
			for range 2 {
				c := r.client(h)
				r.ask(t, c)
				challenge := strings.Join(c.answer.header["Www-Authenticate"], "\n")
				if got := strings.Contains(challenge, `error="`+r.code+`"`); got != (r.code != "") || challenge == "" {
					t.Errorf("challenge %q, want error %q", challenge, r.code)
				}
			}
		})
	}
}

func (r refusal) client(h http.Handler) *client {
	c := newClient(h)
	if r.raw == "" {
		return c.without()
	}
	return c
}

func (r refusal) ask(tb testing.TB, c *client) {
	tb.Helper()
	if got := c.ask("Bearer " + r.raw); got != r.status {
		tb.Fatalf("%d, want %d", got, r.status)
	}
}

// BenchmarkRefusal: what a bad request costs beside a good one, through the guard of
// net/http. Except for the two good ones and wrong_scope, nothing of it is in a cache.
func BenchmarkRefusal(b *testing.B) {
	const suffix = "/impl=bearerguard"
	guarded := server{name: "bearerguard", make: guardedMux}
	for _, r := range refusalsOf(b) {
		name := "kind=" + r.kind + suffix
		b.Run(name, func(b *testing.B) { benchmarkRefusal(b, serverOf(b, name, guarded, 0), r) })
	}
	b.Run("kind=good_new"+suffix, func(b *testing.B) { benchmarkNewRequests(b, "refusal/good_new", guarded) })
	b.Run("kind=good_seen"+suffix, func(b *testing.B) { benchmarkRequests(b, "refusal/good_seen", guarded, 1) })
}

func benchmarkRefusal(b *testing.B, h http.Handler, r refusal) {
	r.ask(b, r.client(h))
	line := "Bearer " + r.raw
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := r.client(h)
		for pb.Next() {
			if got := c.ask(line); got != r.status {
				b.Errorf("%d, want %d", got, r.status)
				return
			}
		}
	})
}
