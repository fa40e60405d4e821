// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/memnet"
)

// simKey is a key of the simulation: one of a few pairs under a name.
type simKey struct {
	kid      string
	material int
}

// A run has less than simTwin keys, each with a pair of its own, since a token that was
// verified stays good under another kid of the same pair (JV-35). simTwin is published
// beside another key under one kid; simMallory is the attacker's pair, which no good
// document ever holds.
const (
	simTwin    = 96
	simMallory = 97
)

var simPairs = sync.OnceValue(func() (pairs [simMallory + 1]crypto.Signer) {
	for i := range pairs {
		var err error
		if (simKey{material: i}).alg() == "EdDSA" {
			_, pairs[i], err = ed25519.GenerateKey(rand.Reader)
		} else {
			pairs[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		}
		if err != nil {
			panic(err)
		}
	}
	return pairs
})

// alg: a few pairs are of the dearer kind. One below zero stands for no pair at all:
// what it signs is forged.
func (k simKey) alg() string {
	if k.material%8 == 7 || k.material == forgedEdDSA {
		return "EdDSA"
	}
	return "ES256"
}

const forgedES256, forgedEdDSA = -1, -2

func (k simKey) jwk(write func(crypto.Signer, map[string]any) ([]byte, error)) json.RawMessage {
	text, err := write(simPairs()[k.material], map[string]any{"kid": k.kid})
	if err != nil {
		panic(err)
	}
	return text
}

func publicOf(key crypto.Signer, members map[string]any) ([]byte, error) {
	return jose.PublicJWK(key.Public(), members)
}

// simJWKs keeps the text of public keys, which are the same over and over again.
var simJWKs sync.Map

func simSet(keys []simKey) string {
	var list []json.RawMessage
	for _, k := range keys {
		text, ok := simJWKs.Load(k)
		if !ok {
			text = k.jwk(publicOf)
			simJWKs.Store(k, text)
		}
		list = append(list, text.(json.RawMessage))
	}
	return set(list...)
}

var (
	evilSet = sync.OnceValue(func() string { return simSet([]simKey{{"mallory", simMallory}}) })
	// evilBomb is a key set of the attacker, good but for its size of 20 MiB.
	evilBomb = sync.OnceValue(func() []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, evilSet())
		w.Write(bytes.Repeat([]byte(" "), 20<<20))
		w.Close()
		return b.Bytes()
	})
)

const uselessSet = `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"mallory"},{"kty":"new"},{"kty":"EC","crv":"P-256","use":"enc"}]}`

// simIssuer answers as the script says, and tells the record what it answered.
type simIssuer struct {
	*script
	record *simRecord
	wire   *memnet.Listener
	client *http.Client
}

// newSimIssuer serves until the test ends.
func newSimIssuer(t testing.TB, s *script) *simIssuer {
	is := &simIssuer{script: s, record: &simRecord{}, wire: memnet.Listen("issuer")}
	transport := is.wire.Transport()
	transport.DialContext, transport.DialTLSContext = is.dial, is.dial
	is.client = &http.Client{Transport: tapped{transport, is.record, is.refuses}}
	server := &http.Server{Handler: is, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(is.wire) }()
	t.Cleanup(func() { server.Close(); <-served; transport.CloseIdleConnections() })
	return is
}

// part is the document that a path leads to.
func part(path string) string {
	if path == "/jwks" {
		return "keys"
	}
	return "metadata"
}

type dialedPart struct{}

// dial fails while connections are refused.
func (is *simIssuer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	part, _ := ctx.Value(dialedPart{}).(string)
	if is.refuses(part) {
		return nil, errors.New("connection refused")
	}
	return is.wire.Dial(ctx, network, addr)
}

func (is *simIssuer) refuses(part string) bool {
	f := is.faultAt(elapsed(), part)
	return f != nil && (f.kind == "refused" || f.kind == "flap")
}

func elapsed() time.Duration { return time.Since(midnight) }

func (is *simIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.Header.Get("Sim-Step"))
	step := is.record.step(n)
	f := is.faultAt(elapsed(), part(r.URL.Path))
	if f == nil {
		f = &fault{}
	}
	step.kind = f.kind
	switch {
	case is.delay(r, f):
		return
	case is.spoiled(w, r, f, step):
	case part(r.URL.Path) == "metadata":
		is.answerMetadata(w, r, f, step)
	default:
		is.answerKeys(w, r, f, step)
	}
}

// delay waits as the fault wants, and reports that nobody is there any more.
func (is *simIssuer) delay(r *http.Request, f *fault) (gone bool) {
	wait := f.number
	switch f.kind {
	case "hang":
		wait = time.Hour
	case "slow", "too_slow":
	default:
		return false
	}
	select {
	case <-time.After(wait):
		return false
	case <-r.Context().Done():
		return true
	}
}

// spoiled sends an answer that is bad whatever was asked for.
func (is *simIssuer) spoiled(w http.ResponseWriter, r *http.Request, f *fault, step *simStep) bool {
	name, code, _ := strings.Cut(f.kind, "_")
	switch {
	case name == "status":
		step.status, _ = strconv.Atoi(code)
		if f.number > 0 {
			step.retryAfter = f.number
			w.Header().Set("Retry-After", strconv.Itoa(int(f.number/time.Second)))
		}
		w.WriteHeader(step.status)
	case f.kind == "reset":
		panic(http.ErrAbortHandler)
	case f.kind == "error_page":
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html><body>We are sorry.</body></html>")
	case f.kind == "empty_body":
	case f.kind == "array":
		io.WriteString(w, "["+evilSet()+"]")
	case f.kind == "redirect":
		step.status = http.StatusFound
		http.Redirect(w, r, "https://evil.example/jwks", http.StatusFound)
	case f.kind == "oversized":
		io.WriteString(w, evilSet()+strings.Repeat(" ", 600<<10))
	case f.kind == "gzip_bomb":
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(evilBomb())
	case f.kind == "drip":
		dripEvil(w, r)
	case f.kind == "bare_304" && r.Header.Get("If-None-Match") == "":
		w.WriteHeader(http.StatusNotModified)
	default:
		return false
	}
	return true
}

// dripEvil sends a byte each second for as long as anybody listens.
func dripEvil(w http.ResponseWriter, r *http.Request) {
	for i := range 1000 {
		io.WriteString(w, evilSet()[i:i+1])
		w.(http.Flusher).Flush()
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
			return
		}
	}
}

func (is *simIssuer) answerMetadata(w http.ResponseWriter, r *http.Request, f *fault, step *simStep) {
	text := document(issuer, jwksURL)
	if f.kind == "other_issuer" {
		text = document("https://evil.example", "https://evil.example/jwks")
	}
	is.write(w, f, step, text, f.kind != "other_issuer")
}

// answerKeys sends the key set that is published now, in good or bad shape. It notes
// which keys a verifier may trust from then on, and for how long they are fresh.
func (is *simIssuer) answerKeys(w http.ResponseWriter, r *http.Request, f *fault, step *simStep) {
	keys := keysAt(is.published, elapsed())
	text := simSet(keys)
	switch f.kind {
	case "empty_set":
		is.write(w, f, step, `{"keys":[]}`, false)
		return
	case "useless_set":
		text, keys = uselessSet, nil
	case "duplicate_kids":
		twin := simKey{keys[0].kid, simTwin}
		keys = append([]simKey{twin}, keys...)
		text = simSet(keys)
	case "private_keys":
		keys = keys[:1]
		text = set(keys[0].jwk(jose.PrivateJWK))
	case "junk_keys":
		text = strings.Replace(text, "[", `[{"kty":"new","kid":"mallory"},{"kty":"oct","k":"AAAA","k":"BBBB"},7,null,`, 1)
	case "duplicate_member":
		is.write(w, f, step, strings.TrimSuffix(text, "}")+","+strings.TrimPrefix(evilSet(), "{"), false)
		return
	}
	step.keys = keys
	is.write(w, f, step, text, true)
}

// write sends text with the caching headers of the day, whole or damaged.
func (is *simIssuer) write(w http.ResponseWriter, f *fault, step *simStep, text string, good bool) {
	p := is.policyAt(elapsed())
	step.lifetime = p.lifetime
	is.headers(w.Header(), p, f)
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(text)))[:20] + `"`
	if p.etag && step.part == "keys" {
		w.Header().Set("ETag", etag)
		step.etag = etag
	}
	switch {
	case f.kind == "truncated":
		io.WriteString(w, text[:len(text)-9])
		return
	case f.kind == "trailing":
		io.WriteString(w, text+text)
		return
	case f.kind == "wrong_length":
		w.Header().Set("Content-Length", strconv.Itoa(len(text)+10))
		io.WriteString(w, text)
		return
	case good && step.conditional == etag && step.part == "keys":
		step.notModified = true
		w.WriteHeader(http.StatusNotModified)
	default:
		io.WriteString(w, text)
	}
	step.good = good
}

func (is *simIssuer) headers(h http.Header, p policy, f *fault) {
	now := time.Now().Add(p.skew).UTC()
	h.Set("Date", now.Format(http.TimeFormat))
	h.Set("Content-Type", "application/jwk-set+json")
	if f.kind == "content_type" {
		h.Set("Content-Type", "application/octet-stream")
	}
	for i := 0; i < len(p.headers); i += 2 {
		value := p.headers[i+1]
		if value == "in ten minutes" {
			value = now.Add(10 * time.Minute).Format(http.TimeFormat)
		}
		h.Set(p.headers[i], value)
	}
}
