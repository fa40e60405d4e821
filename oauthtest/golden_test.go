// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

// counting is randomness that is the same in every run.
type counting byte

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		*c++
		p[i] = byte(*c)
	}
	return len(p), nil
}

// The primes are the next ones after SHA-256 sums of a text: a key that nobody may use.
const (
	primeP = "ed0dd84282267187a2f7e75525fcdb91e0f5bdfd309a526e20c2558482f407a8" +
		"25603b6b484a0cfc6cb82be6519d8c4312f8bffc4de79e97a4c35b3b55de1f3d" +
		"7062d70576ca23650416fe176ba9f207b6f2dcaeb325223a9164e5a234d380c6" +
		"dfe51f2259a58059e2155fdb71e690287933caf2be8d0f9bc5b5f893b1782cc9"
	primeQ = "c94ef7f257159c5c0b45311c1c3ff964337313626cf46aecc0941b9b212dfe62" +
		"d5c4465fe56906a87d9c4e66477d60550e6ed38ce7370dfd4fc32320ad10fe0b" +
		"c64bf53daa4dfda586473783e4301bd0434b1ae2a3ed8b5985aa280f6bf0b767" +
		"cca14b20f62a81e550272026212ec1b8837ecbe7c704c9fa3eff65a4a6253aff"

	goldenRSA     = "11cf5365a45056768b3c60fb273186ed68cc63ff2cb33cd6ca24571d41210960"
	goldenEd25519 = "c62ab5d2623d75b3c326766747fdd407ab4745c8c43d24cb7fc6551a8391d483"
)

// oldKey is an RSA key of known primes, for nothing but this test.
func oldKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	number := func(hex string) *big.Int {
		n, ok := new(big.Int).SetString(hex, 16)
		if !ok {
			t.Fatal("not a number")
		}
		return n
	}
	p, q := number(primeP), number(primeQ)
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), phi),
		Primes:    []*big.Int{p, q},
	}
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	key.Precompute()
	return key
}

// TestGolden: with key, clock and randomness given, a token is the same in every run
// and on every machine, so that it can be kept in a file. ECDSA and PSS signatures are
// random by themselves.
func TestGolden(t *testing.T) {
	for alg, tc := range map[string]struct {
		key  crypto.Signer
		want string // SHA-256 of the token
	}{
		"RS256":   {oldKey(t), goldenRSA},
		"Ed25519": {ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)), goldenEd25519},
	} {
		t.Run("TA-03/golden_"+alg, func(t *testing.T) {
			for range 2 {
				as := oauthtest.NewServer(t, atNoon, func(c *oauthtest.Config) {
					c.Algorithm, c.Key, c.Random = alg, tc.key, new(counting)
				})
				v := newVerifier(t, as.VerifierConfig(api))
				raw := as.Token(oauthtest.Scope("orders:read"))
				wantVerdict(t, v, raw, nil)
				if sum := sha256.Sum256([]byte(raw)); hex.EncodeToString(sum[:]) != tc.want {
					t.Errorf("digest %x of %s", sum, raw)
				}
				if again := as.Token(oauthtest.Scope("orders:read")); again == raw {
					t.Error("no new jti in the next token")
				}
			}
		})
	}
}

// TestSameInEveryRun: which algorithms the promise of Config.Key is for.
func TestSameInEveryRun(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, edKey := oldKey(t), ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for alg, tc := range map[string]struct {
		key  crypto.Signer
		same bool
	}{
		"RS256": {rsaKey, true}, "RS384": {rsaKey, true}, "RS512": {rsaKey, true}, "EdDSA": {edKey, true}, "Ed25519": {edKey, true},
		"PS256": {rsaKey, false}, "PS384": {rsaKey, false}, "PS512": {rsaKey, false}, "ES256": {p256, false}, "HS256": {nil, false},
	} {
		t.Run("TA-03/same_in_every_run_"+alg, func(t *testing.T) {
			token := func() string {
				return oauthtest.NewServer(t, atNoon, func(c *oauthtest.Config) {
					c.Algorithm, c.Key, c.Random = alg, tc.key, new(counting)
				}).Token(oauthtest.Audience(api))
			}
			if first, second := token(), token(); (first == second) != tc.same {
				t.Errorf("%s\n%s", first, second)
			}
		})
	}
}

// The kid of a given key is its thumbprint (RFC 7638), here that of RFC 8037 §A.3.
func TestThumbprintIsTheKeyID(t *testing.T) {
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		t.Fatal(err)
	}
	given := func(c *oauthtest.Config) { c.Algorithm, c.Key = "EdDSA", ed25519.NewKeyFromSeed(seed) }
	as := oauthtest.NewServer(t, given)
	first := as.Token(oauthtest.Audience(api))
	t.Run("TA-03/key_id", func(t *testing.T) {
		if got := kidOf(t, first); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
			t.Errorf("kid %s", got)
		}
	})
	t.Run("TA-03/key_is_not_that_of_a_tenant", func(t *testing.T) {
		if as.Tenant("/t1").PrivateJWK()["x"] == as.PrivateJWK()["x"] {
			t.Error("two issuers with one key")
		}
	})
	t.Run("TA-03/key_until_rotation", func(t *testing.T) {
		v := newVerifier(t, as.VerifierConfig(api))
		as.Rotate()
		wantVerdict(t, v, as.Token(), nil)
		wantVerdict(t, v, first, nil)
	})
	// A key that was given belongs to who gave it: later servers get other ones.
	t.Run("TA-03/key_is_not_passed_on", func(t *testing.T) {
		as.Close()
		for range 5 {
			other := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = "EdDSA" })
			if other.PrivateJWK()["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" {
				t.Error("got the key of another server's Config")
			}
		}
	})
}

func TestKeyFaultsOfConfig(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		alg string
		key crypto.Signer
	}{
		"other_family": {"RS256", p256},
		"other_curve":  {"ES384", p256},
		"nil_pointer":  {"RS256", (*rsa.PrivateKey)(nil)},
		"too_small":    {"RS256", small},
		"with_secret":  {"HS256", p256},
	} {
		t.Run("TA-03/key_refused_"+name, func(t *testing.T) {
			got := failureOf(func(t testing.TB) {
				oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm, c.Key = tc.alg, tc.key })
			})
			if !strings.Contains(got, "oauthtest: Key") {
				t.Errorf("failure %q", got)
			}
		})
	}
}

// TestRandom: a source that is not safe for concurrent use is read by one at a time.
func TestRandom(t *testing.T) {
	t.Run("TA-03/reads_are_serialized", func(t *testing.T) {
		as := oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.Random = new(counting) })
		tenant := as.Tenant("/t1") // reads the same
		as.VerifierConfig(api)
		tenant.VerifierConfig(api)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { as.Token() })
			wg.Go(func() { tenant.Token() })
		}
		wg.Wait()
	})
	t.Run("TA-03/jti_has_128_bits", func(t *testing.T) {
		as := oauthtest.NewServer(t, es256)
		seen := map[any]bool{}
		for range 100 {
			_, claims := parts(t, as.Token(oauthtest.Audience(api)))
			id, _ := claims["jti"].(string)
			if len(id) < 22 || seen[id] { // base64url of 16 bytes
				t.Errorf("jti %q", id)
			}
			seen[id] = true
		}
	})
	t.Run("TA-03/nil_pointer_counts_as_none", func(t *testing.T) {
		as := oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.Random = (*bytes.Reader)(nil) })
		wantVerdict(t, newVerifier(t, as.VerifierConfig(api)), as.Token(), nil)
	})
	for name, r := range map[string]io.Reader{
		"error":    errorReader{},
		"too_few":  bytes.NewReader(make([]byte, 15)),
		"none":     bytes.NewReader(nil),
		"just_one": bytes.NewReader(make([]byte, 31)), // the first token gets 16
	} {
		t.Run("TA-03/exhausted_"+name, func(t *testing.T) {
			as := oauthtest.NewServer(t, es256, func(c *oauthtest.Config) { c.Random = r })
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, "Config.Random") {
					t.Errorf("panic %q", got)
				}
			}()
			as.Token(oauthtest.Audience(api))
			as.Token(oauthtest.Audience(api))
		})
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

// What the clock says is what a token and a verifier go by (TA-03).
func TestVerifierHasTheClock(t *testing.T) {
	as := oauthtest.NewServer(t, atNoon)
	raw := as.Token(oauthtest.Audience(api))
	v := newVerifier(t, as.VerifierConfig(api))
	t.Run("TA-03/claims", func(t *testing.T) {
		wantVerdict(t, v, raw, nil)
		wantVerdict(t, v, as.Token(oauthtest.Claim("iat", noon.Unix()+31)), verifier.ErrNotYetValid)
	})
}
