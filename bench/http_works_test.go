// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// httpHandful is how many requests a test sends of each kind.
const httpHandful = 8

// httpBad are tokens that every protected server refuses, with the status.
func httpBad() map[string]*httpTraffic {
	refused := func(status int, edits ...httpEdit) *httpTraffic {
		return httpExpect(status, httpBearers([]string{httpToken(0, edits...)}))
	}
	claim := func(name string, value any) httpEdit {
		return func(_, claims map[string]any) { claims[name] = value }
	}
	good, other := httpGood()[0], httpGood()[1]
	swapped := good[:strings.LastIndexByte(good, '.')] + other[strings.LastIndexByte(other, '.'):]
	return map[string]*httpTraffic{
		"none":            httpExpect(http.StatusUnauthorized, httpRequests("")),
		"expired":         refused(http.StatusUnauthorized, claim("exp", time.Now().Unix()-3600)),
		"other_issuer":    refused(http.StatusUnauthorized, claim("iss", "https://evil.example.com")),
		"other_audience":  refused(http.StatusUnauthorized, claim("aud", "https://api.example.com/bills")),
		"other_scope":     refused(http.StatusForbidden, claim("scope", "orders:write")),
		"bad_signature":   httpExpect(http.StatusUnauthorized, httpBearers([]string{httpSpoil("bad_signature", 0, good)})),
		"other_signature": httpExpect(http.StatusUnauthorized, httpBearers([]string{swapped})),
		"without_payload": httpExpect(http.StatusUnauthorized, httpBearers([]string{"e30.e30."})),
	}
}

// TestHTTP: each server that is measured accepts good tokens and, if it is protected,
// refuses bad ones, by the same rules as the others.
func TestHTTP(t *testing.T) {
	keys := httpStartKeys(t)
	for _, c := range slices.Concat(httpCombinations(keys)...) {
		t.Run(c.name, func(t *testing.T) {
			s := newHTTPRig(c.setup, httpGood()[:c.tokens])
			t.Cleanup(s.close)
			s.open(t, httpHandful)
			cpu, memory := s.process.usage(t, "cpu"), s.process.usage(t, "memory")
			s.send(t, s.good, httpHandful)
			for name, bad := range httpBad() {
				if c.setup.Impl == "unprotected" {
					bad = httpExpect(http.StatusOK, bad.requests)
				}
				if _, err := bad.run(s.groups, 1, new(atomic.Bool)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			s.send(t, s.good, httpHandful)
			if u := s.process.usage(t, "cpu"); cpu.CPU == 0 || u.CPU < cpu.CPU {
				t.Errorf("%d ns of CPU after %d", u.CPU, cpu.CPU)
			}
			if u := s.process.usage(t, "memory"); u.Mallocs <= memory.Mallocs || u.Bytes <= memory.Bytes {
				t.Errorf("memory %+v after %+v", u, memory)
			}
		})
	}
}

// TestFlood: the answers to each kind, good ones in between, and few fetches of keys.
func TestFlood(t *testing.T) {
	keys := httpStartKeys(t)
	for _, impl := range []string{"unprotected", "bearerguard"} {
		s := newHTTPRig(httpSetup{"nethttp", impl, httpSmall, keys.trust()}, httpGood()[:httpFloodGood])
		t.Cleanup(s.close)
		s.open(t, httpHandful)
		for _, f := range httpFloods {
			t.Run("kind="+f.kind+"/impl="+impl, func(t *testing.T) {
				s.send(t, httpFlood(f.kind, f.status, impl), httpHandful)
				s.send(t, s.good, httpHandful)
			})
		}
	}
	if keys.fetches.Load() == 0 {
		t.Error("the keys were never fetched")
	}
	keys.calm(t)
}

// TestHTTPTokens: the tokens are of the promised size and differ, also when spoiled.
func TestHTTPTokens(t *testing.T) {
	for _, kind := range []string{"good", "oversized", "malformed", "unknown_kid", "bad_signature"} {
		seen := map[string]bool{}
		for n, token := range httpGood() {
			if kind != "good" {
				token = httpSpoil(kind, n, token)
			}
			size, least, most := len(token), httpTokenSize*97/100, httpTokenSize*103/100
			if kind == "oversized" {
				least, most = 16<<10+1, 32<<10
			}
			if size < least || size > most {
				t.Fatalf("%s: %d bytes, want %d to %d", kind, size, least, most)
			}
			seen[token] = true
		}
		if httpRing < 2*httpSmall {
			t.Errorf("a cache of %d entries may remember some of %d tokens", httpSmall, httpRing)
		}
		if len(seen) != httpRing {
			t.Errorf("%s: %d different tokens, want %d", kind, len(seen), httpRing)
		}
	}
}

// TestHTTPAnswers: an answer that is not the expected one ends a load.
func TestHTTPAnswers(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for name, c := range map[string]struct {
		pieces []string
		fault  string // "" means none
	}{
		"good":              {[]string{good}, ""},
		"in_pieces":         {[]string{good[:9], good[9:35], good[35:40], good[40:]}, ""},
		"no_body":           {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, ""},
		"other_status":      {[]string{"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"}, "answered"},
		"other_protocol":    {[]string{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"}, "answered"},
		"more":              {[]string{good + "!"}, "1 bytes behind"},
		"no_length":         {[]string{"HTTP/1.1 200 OK\r\n\r\nContent-Length: 2\r\n\r\n"}, "without Content-Length"},
		"bad_length":        {[]string{"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n"}, "Content-Length"},
		"long":              {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"}, "or more"},
		"long_header":       {[]string{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 5000)}, "or more"},
		"cut_in_the_header": {[]string{good[:30]}, "after 30 bytes"},
		"cut_in_the_body":   {[]string{good[:len(good)-1]}, "EOF"},
		"nothing":           {nil, "after 0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			go func() {
				defer theirs.Close()
				io.ReadFull(theirs, make([]byte, len(httpRequests("")[0])))
				for _, p := range c.pieces {
					io.WriteString(theirs, p)
				}
			}()
			traffic := httpExpect(http.StatusOK, httpRequests(""))
			_, err := traffic.run([]httpGroup{{{ours, make([]byte, 4096)}}}, 1, new(atomic.Bool))
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("error %v, want %q", err, c.fault)
			}
		})
	}
}

// TestHTTPProcessEnds: a server is no more after stop, and one that cannot serve
// never begins.
func TestHTTPProcessEnds(t *testing.T) {
	keys := httpStartKeys(t)
	s := newHTTPRig(httpSetup{"nethttp", "bearerguard", 0, keys.trust()}, httpGood()[:1])
	t.Cleanup(s.close)
	s.open(t, 1)
	s.process.stop()
	if state := s.process.cmd.ProcessState; state == nil || !state.Success() {
		t.Errorf("state %v, want an orderly end", state)
	}
	if conn, err := net.Dial("tcp", s.process.addr); err == nil {
		conn.Close()
		t.Error("its port still answers")
	}
	for _, setup := range []string{`{"Framework":"other"}`, `{"Framework":"nethttp","Impl":"echo-jwt"}`, `{"Framework":"echo","Impl":"auth0"}`, `{"Framework":"gin","Impl":"auth0"}`, `{`} {
		if _, err := httpHandlerOf(setup); err == nil {
			t.Errorf("%s has a handler", setup)
		}
	}
}
