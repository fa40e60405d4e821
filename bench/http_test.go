// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Each server gets 32 connections, served by four goroutines. With fewer, its core
// waits for requests now and then; with more, it gets no faster.
const (
	httpRounds = 5 // longer ones than the others
	httpGroups = 4
	httpEach   = 8
)

// httpServers are the servers that are compared.
var httpServers = []struct {
	framework string
	impls     []string
}{
	{"nethttp", []string{"unprotected", "bearerguard", "auth0", "mcp-go-sdk"}},
	{"echo", []string{"unprotected", "bearerguard", "echo-jwt"}},
	{"gin", []string{"unprotected", "bearerguard"}},
}

// httpMixes are the tokens that good requests bring: always the same one, a thousand
// in turn, or each time one that the server does not remember.
var httpMixes = []struct {
	name         string
	tokens       int
	cacheEntries int // 0 is bearerguard's default, which holds a thousand
}{
	{"1", 1, 0},
	{"1000", 1000, 0},
	{"new", httpRing, httpSmall},
}

// httpCombination is one server with the number of tokens that it is sent.
type httpCombination struct {
	name   string
	setup  httpSetup
	tokens int
}

// httpCombinations are groups of those that are compared.
func httpCombinations(keys *httpKeyServer) (groups [][]httpCombination) {
	for _, server := range httpServers {
		for _, mix := range httpMixes {
			var group []httpCombination
			for _, impl := range server.impls {
				group = append(group, httpCombination{
					name:   "framework=" + server.framework + "/tokens=" + mix.name + "/impl=" + impl,
					setup:  httpSetup{server.framework, impl, mix.cacheEntries, keys.trust()},
					tokens: mix.tokens,
				})
			}
			groups = append(groups, group)
		}
	}
	return groups
}

func (s *httpKeyServer) trust() httpTrust {
	return httpTrust{Issuer: httpIssuer, Keys: s.url, Audience: httpAudience, Scope: httpScope}
}

// httpRig is a server process with connections to it, kept over all runs of one
// benchmark.
type httpRig struct {
	setup   httpSetup
	good    *httpTraffic
	process *httpProcess
	groups  []httpGroup
}

func newHTTPRig(setup httpSetup, tokens []string) *httpRig {
	return &httpRig{setup: setup, good: httpExpect(http.StatusOK, httpBearers(tokens))}
}

// open starts the server, if it does not run yet, and sends it some good requests.
func (s *httpRig) open(tb testing.TB, requests int) {
	tb.Helper()
	if s.process != nil {
		return
	}
	var err error
	if s.process, err = httpStart(s.setup); err != nil {
		tb.Fatal(err)
	}
	if s.groups, err = httpDial(s.process.addr, httpGroups, httpEach); err != nil {
		tb.Fatal(err)
	}
	s.send(tb, s.good, requests)
}

// close ends whatever open has started.
func (s *httpRig) close() {
	for _, g := range s.groups {
		g.close()
	}
	if s.process != nil {
		s.process.stop()
	}
}

// send fails tb unless each of n requests gets its answer.
func (s *httpRig) send(tb testing.TB, t *httpTraffic, n int) {
	tb.Helper()
	done, err := t.run(s.groups, int64(n), new(atomic.Bool))
	if err != nil {
		tb.Fatal(err)
	}
	if done != int64(n) {
		tb.Fatalf("%d requests of %d were sent", done, n)
	}
}

// BenchmarkHTTP measures whole requests over loopback to a server that has one core.
// server-cpu-ns/op, B/op and allocs/op are those of the server process;
// client-cpu-ns/op is what the senders of the requests cost. They run on another core,
// and -cpu concerns them alone.
func BenchmarkHTTP(b *testing.B) {
	keys := httpStartKeys(b)
	for _, group := range httpCombinations(keys) {
		httpInTurn(b, group)
	}
}

func httpInTurn(b *testing.B, group []httpCombination) {
	rigs := make([]*httpRig, len(group))
	for i, c := range group {
		rigs[i] = newHTTPRig(c.setup, httpGood()[:c.tokens])
		defer rigs[i].close()
	}
	for range httpRounds {
		for i, c := range group {
			b.Run(c.name, func(b *testing.B) {
				rigs[i].open(b, c.tokens)
				rigs[i].measure(b)
			})
		}
	}
}

func (s *httpRig) measure(b *testing.B) {
	own := httpOwnCPU(b)
	meter := s.process.begin(b)
	s.send(b, s.good, b.N)
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(float64(httpOwnCPU(b)-own)/n, "client-cpu-ns/op")
	b.ReportMetric(n/b.Elapsed().Seconds(), "req/s")
	meter.report(b, n, "server-cpu-ns/op")
}

func httpOwnCPU(tb testing.TB) int64 {
	tb.Helper()
	used, err := httpCPU()
	if err != nil {
		tb.Fatal(err)
	}
	return used
}

const (
	httpFloodGood = 100 // tokens that are seen before, which an httpSmall cache keeps
	httpCooldown  = 30 * time.Second
)

// httpFloods are what the other half of the connections sends. The first three are
// what a flood is to be compared with: as many good requests, requests without
// credentials, and good tokens of which each has to be verified.
var httpFloods = []struct {
	kind   string
	status int // from bearerguard
}{
	{"good", http.StatusOK},
	{"none", http.StatusUnauthorized},
	{"good_new", http.StatusOK},
	{"oversized", http.StatusUnauthorized},
	{"malformed", http.StatusUnauthorized},
	{"unknown_kid", http.StatusUnauthorized},
	{"bad_signature", http.StatusUnauthorized},
}

// httpFlood is the traffic of a kind to a server with this protection.
func httpFlood(kind string, status int, impl string) *httpTraffic {
	if impl == "unprotected" {
		status = http.StatusOK
	}
	switch kind {
	case "good":
		return httpExpect(status, httpBearers(httpGood()[:httpFloodGood]))
	case "none":
		return httpExpect(status, httpRequests(""))
	case "good_new":
		return httpExpect(status, httpBearers(httpGood()[httpFloodGood:]))
	}
	return httpExpect(status, httpGarbage(kind))
}

// BenchmarkFlood measures good requests, with tokens that were seen before, on one
// half of the connections to a net/http server while the other half sends something
// else as fast as it is answered. ns/op and req/s are about the good requests. What
// the server uses is per request of either half, also as B/op and allocs/op. What the
// unprotected server loses is the price of reading what it is sent.
func BenchmarkFlood(b *testing.B) {
	for _, f := range httpFloods {
		for _, impl := range []string{"unprotected", "bearerguard"} {
			keys := httpStartKeys(b)
			s := newHTTPRig(httpSetup{"nethttp", impl, httpSmall, keys.trust()}, httpGood()[:httpFloodGood])
			var flood *httpTraffic
			b.Run("kind="+f.kind+"/impl="+impl, func(b *testing.B) {
				if flood == nil {
					flood = httpFlood(f.kind, f.status, impl)
					s.open(b, httpFloodGood)
					s.send(b, flood, len(flood.requests))
				}
				s.measureFlood(b, flood)
				keys.calm(b)
			})
			s.close()
		}
	}
}

func (s *httpRig) measureFlood(b *testing.B, flood *httpTraffic) {
	good, other := s.groups[:httpGroups/2], s.groups[httpGroups/2:]
	var stop atomic.Bool
	var flooded int64
	var failed error
	var wg sync.WaitGroup
	meter := s.process.begin(b)
	wg.Go(func() { flooded, failed = flood.run(other, 0, &stop) })
	_, err := s.good.run(good, int64(b.N), new(atomic.Bool))
	b.StopTimer()
	stop.Store(true)
	wg.Wait()
	if err != nil || failed != nil {
		b.Fatalf("good requests: %v; the others: %v", err, failed)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(flooded)/b.Elapsed().Seconds(), "flood-req/s")
	meter.report(b, float64(int64(b.N)+flooded), "server-cpu-ns/request")
}

// calm fails tb if a flood has made the server ask for keys more often than once at
// first and once per cooldown.
func (s *httpKeyServer) calm(tb testing.TB) {
	tb.Helper()
	if n, most := s.fetches.Load(), 2+int64(time.Since(s.since)/httpCooldown); n > most {
		tb.Errorf("the keys were fetched %d times, more than %d", n, most)
	}
}
