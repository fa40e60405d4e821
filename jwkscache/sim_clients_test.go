// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/memnet"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// simRequest is one token that will be sent.
type simRequest struct {
	at    time.Duration
	key   simKey
	fault error // of its claims
	aging bool  // good for the first 20 minutes of each hour
	guard bool  // by HTTP
}

// drawRequests makes one valid and one invalid request in each minute, fifty at once
// around every fault, and ten after every change of keys.
func (s *script) drawRequests() (list []simRequest) {
	r := rand.New(rand.NewPCG(s.seed, 2))
	for t := time.Duration(0); t < s.length; t += time.Minute {
		at := t + span(r, 0, time.Minute-1)
		list = append(list, simRequest{at: at, key: keysAt(s.signing, at)[0], guard: r.IntN(16) == 0})
		bad := s.badRequest(r, t+span(r, 0, time.Minute-1))
		bad.guard = r.IntN(16) == 0
		list = append(list, bad)
	}
	for _, f := range s.faults {
		for _, at := range []time.Duration{f.from - time.Second, f.from, f.to + span(r, 0, time.Second)} {
			list = s.burst(r, 50, at, list)
		}
	}
	for _, p := range slices.Concat(s.published, s.signing) {
		list = s.burst(r, 10, p.at+span(r, 0, time.Minute), list)
	}
	list = slices.DeleteFunc(list, func(q simRequest) bool { return q.at < 0 || q.at >= s.length })
	slices.SortStableFunc(list, func(a, b simRequest) int { return int(a.at - b.at) })
	return list
}

// burst is a crowd: mostly good tokens of the moment.
func (s *script) burst(r *rand.Rand, n int, at time.Duration, list []simRequest) []simRequest {
	for range n {
		if r.IntN(5) == 0 && at >= 0 {
			list = append(list, s.badRequest(r, at))
		} else {
			list = append(list, simRequest{at: at, key: keysAt(s.signing, max(at, 0))[0]})
		}
	}
	return list
}

// quiet: two thirds of the time no token makes the cache look for a key, so that it
// has only its own reasons to fetch.
func (s *script) quiet(at time.Duration) bool { return (uint64(at/(3*time.Hour))+s.seed)%3 > 0 }

func (s *script) badRequest(r *rand.Rand, at time.Duration) simRequest {
	now := keysAt(s.signing, at)[0]
	q := simRequest{at: at, key: now}
	kind := r.IntN(8)
	if s.quiet(at) {
		kind = 4 + kind%3
	}
	switch kind {
	case 0: // forged
		q.key.material = forgedES256
		if now.alg() == "EdDSA" {
			q.key.material = forgedEdDSA
		}
	case 1:
		q.key = simKey{fmt.Sprintf("random-%d", r.Uint64()), forgedES256}
	case 2: // of another deployment, again and again
		q.key = simKey{"ghost", forgedEdDSA}
	case 3: // the attacker's own pair, under the names that bad documents give it
		q.key = simKey{[]string{"mallory", now.kid}[r.IntN(2)], simMallory}
	case 4: // expired, perhaps after it was accepted
		q.fault, q.aging = verifier.ErrExpired, at%time.Hour < 20*time.Minute || at%time.Hour > 21*time.Minute
		if at%time.Hour < 20*time.Minute {
			q.fault = nil
		}
	case 5:
		q.fault = verifier.ErrAudience
	case 6:
		q.fault = verifier.ErrNotYetValid
	case 7: // signed by a key of the past, of the present or of the future
		q.key = s.signing[r.IntN(len(s.signing))].keys[0]
	}
	return q
}

// clients send what a script has drawn, and note the answers.
type clients struct {
	testing.TB
	verifier *verifier.Verifier
	api      *http.Client

	mu     sync.Mutex
	minted map[mint]string
	asked  map[string]bool // kids
	seen   []*observation
}

type mint struct {
	key   simKey
	fault error
	aging bool
	hour  time.Duration
}

func newClients(t testing.TB, s *script, keys verifier.KeySource) *clients {
	cfg := verifier.Config{Issuer: issuer, Audience: []string{audience}, Keys: keys}
	if !s.tokenCache {
		cfg.CacheEntries = -1
	}
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &clients{TB: t, verifier: v, minted: map[mint]string{}, asked: map[string]bool{}}
	c.serveAPI()
	return c
}

// serveAPI is an API behind a Guard.
func (c *clients) serveAPI() {
	guard, err := middleware.New(middleware.Config{Verifier: c.verifier})
	if err != nil {
		c.Fatal(err)
	}
	wire := memnet.Listen("api")
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: nethttp.Require(guard)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(wire) }()
	transport := wire.Transport()
	c.api = &http.Client{Transport: transport}
	c.Cleanup(func() { server.Close(); <-served; transport.CloseIdleConnections() })
}

// send sends q and notes the answer.
func (c *clients) send(q simRequest) {
	raw := c.token(q)
	c.mu.Lock()
	o := &observation{key: q.key, fault: q.fault, before: c.asked[q.key.kid], from: elapsed()}
	c.mu.Unlock()
	if q.guard {
		o.http = c.overHTTP(raw)
	} else {
		_, err := c.verifier.Verify(c.Context(), raw)
		o.class = classOf(err)
	}
	o.to = elapsed()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, o)
	if !o.accepted() || o.to > o.from {
		c.asked[q.key.kid] = true
	}
}

func classOf(err error) error {
	if err == nil {
		return nil
	}
	return verifier.ClassOf(err)
}

// overHTTP sends raw to the API.
func (c *clients) overHTTP(raw string) *reply {
	r, err := http.NewRequestWithContext(c.Context(), http.MethodGet, "http://api/", nil)
	if err != nil {
		c.Error(err)
		return nil
	}
	r.Header.Set("Authorization", "Bearer "+raw)
	resp, err := c.api.Do(r)
	if err != nil {
		c.Error(err)
		return nil
	}
	resp.Body.Close()
	scheme, _, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), " ")
	return &reply{resp.StatusCode, resp.Header.Get("Retry-After"), scheme}
}

// token mints a token for q; those that name the same key are the same for an hour.
func (c *clients) token(q simRequest) string {
	hour := elapsed().Truncate(time.Hour)
	id := mint{q.key, q.fault, q.aging, hour}
	if q.aging {
		id.fault = nil // it is the same before and after
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if raw := c.minted[id]; raw != "" {
		return raw
	}
	raw := q.key.token(q.claims(midnight.Add(hour)))
	if !strings.HasPrefix(q.key.kid, "random-") {
		c.minted[id] = raw
	}
	return raw
}

// claims are those of a token that was issued at the beginning of this hour.
func (q simRequest) claims(now time.Time) map[string]any {
	claims := map[string]any{
		"iss": issuer, "aud": audience, "sub": "s", "client_id": "c", "jti": "j",
		"iat": now.Unix(), "exp": now.Add(2 * time.Hour).Unix(),
	}
	switch {
	case q.aging:
		claims["exp"] = now.Add(20 * time.Minute).Unix()
	case q.fault == verifier.ErrExpired:
		claims["exp"] = now.Add(-time.Minute).Unix()
	case q.fault == verifier.ErrAudience:
		claims["aud"] = "https://another.example"
	case q.fault == verifier.ErrNotYetValid:
		claims["nbf"] = now.Add(90 * time.Minute).Unix()
	}
	return claims
}

// token signs claims, or only seems to if there is no such pair.
func (k simKey) token(claims map[string]any) string {
	h, _ := json.Marshal(map[string]any{"alg": k.alg(), "typ": "at+jwt", "kid": k.kid})
	p, _ := json.Marshal(claims)
	input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(p)
	signature := make([]byte, 64)
	if k.material >= 0 {
		var err error
		if signature, err = jose.Sign(k.alg(), simPairs()[k.material], input); err != nil {
			panic(err)
		}
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}
