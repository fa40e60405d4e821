// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/oauthtest"
)

// key is a key of the issuer, as far as the gate knows it.
type key struct {
	id       string
	named    bool // it has a kid
	public   crypto.PublicKey
	fits     func(alg string) bool
	verifies func(alg, input string, sig []byte) bool
}

// keyring fetches the key set of an issuer when it has no key that fits, and keeps
// the last one that it got.
type keyring struct {
	url    string
	client *http.Client
	// read makes a key of a JWK; one that it refuses is left out.
	read func(jwk []byte) (key, error)
	// choose tells whether k may have signed t.
	choose func(k key, t *token) bool
	// fetch gets all keys anew.
	fetch func() ([]key, error)

	mu      sync.Mutex
	keys    []key
	fetched time.Time
}

// cooldown is for how long no newer keys are asked for: anybody can send unknown kids.
const cooldown = 30 * time.Second

func newKeyring(as *oauthtest.Server) *keyring {
	ring := &keyring{url: as.Issuer() + "/jwks", client: as.HTTPClient(), read: readKey, choose: named}
	ring.fetch = ring.download
	return ring
}

func readKey(jwk []byte) (key, error) {
	k, err := jose.ParseKey(jwk)
	if err != nil {
		return key{}, err
	}
	verify := func(alg, input string, sig []byte) bool { return k.Verify(alg, []byte(input), sig) }
	return key{k.ID, k.HasID, k.Public(), k.Fits, verify}, nil
}

// named looks for the kid if the token has one (RFC 7515 §4.1.4).
func named(k key, t *token) bool {
	return !has(t.header, "kid") || k.named && k.id == text(t.header, "kid")
}

// verify fetches the keys anew if none of those at hand can have signed t. That
// they cannot be had is not the token's fault.
func (ring *keyring) verify(t *token) verdict {
	ring.mu.Lock()
	defer ring.mu.Unlock()
	candidates := ring.candidates(t)
	if len(candidates) == 0 && time.Since(ring.fetched) > cooldown {
		keys, err := ring.fetch()
		if err != nil {
			return unavailable
		}
		ring.keys, ring.fetched = keys, time.Now()
		candidates = ring.candidates(t)
	}
	for _, k := range candidates[:min(8, len(candidates))] {
		if k.verifies(text(t.header, "alg"), t.input, t.sig) {
			return pass
		}
	}
	return bad
}

func (ring *keyring) candidates(t *token) (fit []key) {
	for _, k := range ring.keys {
		if ring.choose(k, t) && k.fits(text(t.header, "alg")) {
			fit = append(fit, k)
		}
	}
	return fit
}

func (ring *keyring) download() ([]key, error) {
	body, err := get(ring.client, ring.url)
	if err != nil {
		return nil, err
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, err
	}
	var keys []key
	for _, jwk := range set.Keys {
		if k, err := ring.read(jwk); err == nil {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func get(client *http.Client, url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New("status " + resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}

// all are the keys at hand, fetched if there are none yet.
func (ring *keyring) all() []key {
	ring.mu.Lock()
	defer ring.mu.Unlock()
	if len(ring.keys) == 0 {
		ring.keys, _ = ring.fetch()
	}
	return ring.keys
}

func (ring *keyring) forget() {
	ring.mu.Lock()
	defer ring.mu.Unlock()
	ring.keys, ring.fetched = nil, time.Time{}
}

// checkSignature verifies with the standard library, without asking whether the key
// is good for anything.
func checkSignature(alg string, public crypto.PublicKey, input string, sig []byte) bool {
	digest := sha256.Sum256([]byte(input))
	switch k := public.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(alg, "PS") {
			return rsa.VerifyPSS(k, crypto.SHA256, digest[:], sig, nil) == nil
		}
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], sig) == nil
	case *ecdsa.PublicKey:
		half := len(sig) / 2
		r, s := new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])
		return ecdsa.Verify(k, digest[:], r, s)
	}
	return false
}

// rawJWK has the members of a JWK that the careless readers below look at.
type rawJWK struct{ Kty, Kid, K, N, E string }

func (j rawJWK) bytes(member string) []byte {
	b, _ := base64.RawURLEncoding.DecodeString(member)
	return b
}

// readsKeys is the mistake of a reader of one's own for the keys that the good one
// refuses.
func readsKeys(read func(rawJWK) (key, bool)) func(*gate) {
	return func(g *gate) {
		g.keys.read = func(jwk []byte) (key, error) {
			var j rawJWK
			if json.Unmarshal(jwk, &j) == nil {
				if k, ok := read(j); ok {
					return k, nil
				}
			}
			return readKey(jwk)
		}
	}
}

func shortRSA(j rawJWK) (key, bool) {
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(j.bytes(j.N)), E: int(new(big.Int).SetBytes(j.bytes(j.E)).Int64())}
	return key{j.Kid, true, public,
		func(alg string) bool { return alg == "RS256" },
		func(alg, input string, sig []byte) bool { return checkSignature(alg, public, input, sig) },
	}, j.Kty == "RSA" && public.N.BitLen() < 2048
}

func symmetric(j rawJWK) (key, bool) {
	return key{j.Kid, true, nil,
		func(alg string) bool { return alg == "HS256" },
		func(_, input string, sig []byte) bool {
			mac := hmac.New(sha256.New, j.bytes(j.K))
			mac.Write([]byte(input))
			return hmac.Equal(mac.Sum(nil), sig)
		},
	}, j.Kty == "oct"
}

// verifies puts another verification in the place of the right one.
func verifies(fits func(k key, alg string) bool, verify func(k key, alg, input string, sig []byte) bool) func(*gate) {
	return func(g *gate) {
		g.keys.read = func(jwk []byte) (key, error) {
			k, err := readKey(jwk)
			good := k
			if fits != nil {
				k.fits = func(alg string) bool { return fits(good, alg) }
			}
			if verify != nil {
				k.verifies = func(alg, input string, sig []byte) bool { return verify(good, alg, input, sig) }
			}
			return k, err
		}
	}
}

// allOrNothing is the mistake of a key set that is read as a whole.
func allOrNothing(g *gate) {
	var fault error
	read, fetch := g.keys.read, g.keys.fetch
	g.keys.read = func(jwk []byte) (key, error) {
		k, err := read(jwk)
		fault = cmp.Or(fault, err)
		return k, err
	}
	g.keys.fetch = func() ([]key, error) {
		fault = nil
		keys, err := fetch()
		return keys, cmp.Or(err, fault)
	}
}

// keyMutants has the mistakes in keys and in the use of them.
var keyMutants = []mutant{
	{
		name: "any_PSS_salt", wrote: "leaves the options of rsa.VerifyPSS nil, which takes a salt of any length", algorithm: "PS256",
		step: verifies(nil, func(k key, alg, input string, sig []byte) bool {
			return k.fits(alg) && checkSignature(alg, k.public, input, sig)
		}),
		problem: accepted, cases: []string{"C23"},
	},
	{
		name: "short_RSA_key", wrote: "uses RSA keys of any length", algorithm: "RS256",
		step: readsKeys(shortRSA), problem: accepted, cases: []string{"E2"},
	},
	{
		name: "published_secret", wrote: "takes HMAC keys from the key set",
		step: func(g *gate) {
			allAlgorithms(g)
			readsKeys(symmetric)(g)
		},
		problem: accepted, cases: []string{"E1"},
	},
	{
		name: "encryption_key", wrote: "verifies with every key of the set, whatever its use",
		step: func(g *gate) {
			g.keys.read = func(jwk []byte) (key, error) {
				var m map[string]any
				if err := json.Unmarshal(jwk, &m); err != nil {
					return key{}, err
				}
				delete(m, "use")
				delete(m, "key_ops")
				plain, err := json.Marshal(m)
				if err != nil {
					return key{}, err
				}
				return readKey(plain)
			}
		},
		problem: accepted, cases: []string{"E11"},
	},
	{
		name: "one_bad_key_spoils_the_set", wrote: "gives up the key set at the first key that it cannot read",
		step: allOrNothing, problem: refused, cases: []string{"E10.good_beside_broken"},
	},
	{
		name: "one_bad_key_spoils_the_next_set", wrote: "fetches the keys at its start, and later gives up the key set at the first key that it cannot read",
		step: func(g *gate) {
			allOrNothing(g)
			g.keys.all()
		},
		problem: refused, cases: []string{"F21.rotation"},
	},
	{
		name: "keys_fetched_once", wrote: "fetches the keys when they are first needed and never again",
		step: func(g *gate) {
			fetch := g.keys.fetch
			g.keys.fetch = func() ([]key, error) {
				if len(g.keys.keys) > 0 {
					return g.keys.keys, nil
				}
				return fetch()
			}
		},
		problem: refused, cases: []string{"F21.rotation"},
	},
	{
		name: "keys_for_every_request", wrote: "fetches the keys for every request, so that it is down when the issuer is",
		step: func(g *gate) {
			g.signature = func(t *token) verdict {
				g.keys.forget()
				return g.isSigned(t)
			}
		},
		problem: refused, cases: []string{"F1.good_token"},
	},
	{
		name: "fetch_for_every_unknown_key", wrote: "fetches the keys anew for each kid that it does not know, however short ago it did so",
		step: func(g *gate) {
			g.signature = func(t *token) verdict {
				g.keys.mu.Lock()
				g.keys.fetched = time.Time{}
				g.keys.mu.Unlock()
				return g.isSigned(t)
			}
		},
		problem: fetched, cases: []string{"F19.unknown_kids"},
	},
	{
		name: "keys_never_forgotten", wrote: "adds the keys of a new set to those of the old one",
		step: func(g *gate) {
			fetch := g.keys.fetch
			g.keys.fetch = func() ([]key, error) {
				keys, err := fetch()
				return append(keys, g.keys.keys...), err
			}
		},
		problem: accepted, cases: []string{"F22.withdrawn_key"},
	},
	{
		name: "other_algorithm_of_the_family", wrote: "asks only that alg begins with RS", algorithm: "RS256",
		step: func(g *gate) {
			g.algorithms = func(t *token) verdict { return badUnless(strings.HasPrefix(text(t.header, "alg"), "RS")) }
			verifies(func(key, string) bool { return true }, func(k key, alg, input string, sig []byte) bool {
				if alg != "RS512" {
					return k.verifies(alg, input, sig)
				}
				digest := sha512.Sum512([]byte(input))
				return rsa.VerifyPKCS1v15(k.public.(*rsa.PublicKey), crypto.SHA512, digest[:], sig) == nil
			})(g)
		},
		problem: accepted, cases: []string{"C11"},
	},
	{
		name: "signature_of_any_length", wrote: "takes the halves of an ECDSA signature, however long it is",
		step: verifies(nil, func(k key, alg, input string, sig []byte) bool {
			return k.fits(alg) && checkSignature(alg, k.public, input, sig)
		}),
		problem: accepted, cases: []string{"C19"},
	},
}
