// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"sync"
	"testing"
)

const input = "eyJhbGciOiJ0ZXN0In0.eyJzdWIiOiJhbGljZSJ9"

// Each kind of key is generated once for the whole package.
var (
	rsaKey   = sync.OnceValue(newRSA)
	otherRSA = sync.OnceValue(newRSA)
	p256     = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })
	p384     = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P384()) })
	p521     = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P521()) })
	ed       = sync.OnceValue(newEd)
	weakRSA  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })
	secret64 = []byte("0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDE!")
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newRSA leaves room above the modulus, so that signature + modulus still has as
// many octets as the modulus.
func newRSA() *rsa.PrivateKey {
	for {
		key := must(rsa.GenerateKey(rand.Reader, 2048))
		if key.N.Bytes()[0] < 0xf0 {
			return key
		}
	}
}

func newEC(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }

func newEd() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(key, err)
}

// signers maps each kind of key to a private key.
func signers() map[string]crypto.Signer {
	return map[string]crypto.Signer{"RSA": rsaKey(), "P-256": p256(), "P-384": p384(), "P-521": p521(), "Ed25519": ed()}
}

// kinds maps each algorithm to the only kind of key that serves it.
var kinds = map[string]string{
	"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
	"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519",
}

func newKey(t testing.TB, private crypto.Signer) *Key {
	t.Helper()
	key, err := checkedKey(private.Public())
	if err != nil {
		t.Fatalf("checkedKey: %v", err)
	}
	return key
}

// doc is a JWK to be edited and written.
type doc map[string]any

// absent as a value in an edit removes the member.
type absent struct{}

func jwkOf(t testing.TB, pub crypto.PublicKey) doc {
	t.Helper()
	data, err := PublicJWK(pub, nil)
	if err != nil {
		t.Fatalf("PublicJWK: %v", err)
	}
	d := doc{}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatalf("JWK is not JSON: %v", err)
	}
	return d
}

func (d doc) with(edits doc) []byte {
	out := maps.Clone(d)
	for name, value := range edits {
		if _, remove := value.(absent); remove {
			delete(out, name)
			continue
		}
		out[name] = value
	}
	return must(json.Marshal(out))
}

func parse(t testing.TB, jwk []byte) *Key {
	t.Helper()
	key, err := ParseKey(jwk)
	if err != nil {
		t.Fatalf("ParseKey: %v", err)
	}
	return key
}

// refused checks that ParseKey gives an error and no key.
func refused(t testing.TB, jwk []byte) {
	t.Helper()
	if key, err := ParseKey(jwk); err == nil || key != nil {
		t.Errorf("ParseKey = %v, %v; want an error and no key", key, err)
	}
}

func sign(t testing.TB, alg string, private any) []byte {
	t.Helper()
	sig, err := Sign(alg, private, input)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	return sig
}

// verifies checks the outcome of Verify over input.
func verifies(t testing.TB, key *Key, alg string, sig []byte, want bool) {
	t.Helper()
	if got := key.Verify(alg, []byte(input), sig); got != want {
		t.Errorf("Verify(%s) = %v, want %v", alg, got, want)
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unb64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatalf("test data: %v", err)
	}
	return b
}

// oddNumber returns an odd number of exactly so many bits.
func oddNumber(bits int) *big.Int {
	n := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1))))
	return n.SetBit(n.SetBit(n, bits-1, 1), 0, 1)
}

// known reports whether alg is in a table at all.
func known(alg string) bool {
	_, ok := lookup(alg)
	return ok
}

// checkedKey makes a Key of pub by the checks that every parsed key passes.
func checkedKey(pub crypto.PublicKey) (*Key, error) {
	checked, err := checkPublic(pub)
	if err != nil {
		return nil, err
	}
	return &Key{public: checked}, nil
}
