// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// badKey is a key that stands in a key set and should not verify what it signs; those of
// goodKeyRecipes should.
type badKey struct {
	jwks []json.RawMessage
	kid  string // of its tokens
	alg  string
	sign func(alg, input string) ([]byte, error)
}

// badKeyRecipes are made when first needed, and once in a process: they are never
// trusted, so it does not matter that servers share them. The order is that in which
// they are published.
var badKeyRecipes = []struct {
	name string
	make func() (badKey, error)
}{
	{"oct", sync.OnceValues(octKey)},
	{"rsa-512", weakRSA("rsa-512", 65537, 512)},
	{"rsa-1024", weakRSA("rsa-1024", 65537, 1024)},
	{"rsa-2047", weakRSA("rsa-2047", 65537, 2047)},
	{"rsa-16384", weakRSA("rsa-16384", 65537, 16384)},
	{"rsa-e1", weakRSA("rsa-e1", 1, 2048)},
	{"rsa-e3", weakRSA("rsa-e3", 3, 2048)},
	{"rsa-long-e", sync.OnceValues(longExponent)},
	{"rsa-padded", sync.OnceValues(paddedRSA)},
	{"rsa-as-rs512", relabelledRSA("rsa-as-rs512", "RS512")},
	{"rsa-as-ps256", relabelledRSA("rsa-as-ps256", "PS256")},
	{"p256-as-es384", curved("p256-as-es384", elliptic.P256(), "ES384", map[string]any{"alg": "ES384"})},
	{"p256-as-es512", curved("p256-as-es512", elliptic.P256(), "ES512", nil)},
	{"p384-as-es256", curved("p384-as-es256", elliptic.P384(), "ES256", nil)},
	{"unknown-alg", curved("unknown-alg", elliptic.P256(), "ES256", map[string]any{"alg": "ES999"})},
	{"enc", curved("enc", elliptic.P256(), "ES256", map[string]any{"use": "enc"})},
	{"ops-encrypt", curved("ops-encrypt", elliptic.P256(), "ES256", map[string]any{"key_ops": []string{"encrypt"}})},
	{"ops-against-use", curved("ops-against-use", elliptic.P256(), "ES256", map[string]any{"use": "sig", "key_ops": []string{"encrypt"}})},
	{"kid-number", curved("7", elliptic.P256(), "ES256", map[string]any{"kid": 7})},
	{"kid-null", curved("null", elliptic.P256(), "ES256", map[string]any{"kid": nil})},
	{"kid-missing", sync.OnceValues(namelessKey)},
	{"off-curve", spoiledEC("off-curve", func(jwk map[string]any) { jwk["y"] = jwk["x"] })},
	{"zero-point", spoiledEC("zero-point", func(jwk map[string]any) {
		jwk["x"], jwk["y"] = b64.EncodeToString(make([]byte, 32)), b64.EncodeToString(make([]byte, 32))
	})},
	{"no-y", spoiledEC("no-y", func(jwk map[string]any) { delete(jwk, "y") })},
	{"long-x", spoiledEC("long-x", func(jwk map[string]any) {
		x, _ := b64.DecodeString(jwk["x"].(string))
		jwk["x"] = b64.EncodeToString(append([]byte{0}, x...))
	})},
	{"short-x", sync.OnceValues(shortCoordinate)},
	{"long-kid", curved(strings.Repeat("k", 513-len(hostileID(""))), elliptic.P256(), "ES256", nil)},
	{"secp256k1", sync.OnceValues(koblitzKey)},
	{"unknown-kty", spoiledEC("unknown-kty", func(jwk map[string]any) { jwk["kty"] = "XX" })},
	{"unknown-crv", spoiledEC("unknown-crv", func(jwk map[string]any) { jwk["crv"] = "P-257" })},
	{"ed25519-empty", shortEd25519("ed25519-empty", 0)},
	{"ed25519-31", shortEd25519("ed25519-31", 31)},
	{"ed25519-33", shortEd25519("ed25519-33", 33)},
	{"ed25519-small-order", sync.OnceValues(smallOrderKey)},
	{"repeated-member", sync.OnceValues(repeatedMember)},
	{"private", sync.OnceValues(privateKey)},
}

// badKeyNamed makes a key, or returns the one made before.
func badKeyNamed(name string) (badKey, error) {
	for _, r := range badKeyRecipes {
		if r.name == name {
			return r.make()
		}
	}
	return badKey{}, fmt.Errorf("no hostile key %q", name)
}

func (f *forgery) badKeySigner(name, alg string) (signer, error) {
	k, found, err := goodKeyNamed(name, f.server.cfg.Algorithm)
	if !found {
		k, err = badKeyNamed(name)
	}
	if err != nil {
		return signer{}, err
	}
	alg = cmp.Or(alg, k.alg)
	return signer{alg: alg, kid: k.kid, sign: func(input string) ([]byte, error) { return k.sign(alg, input) }}, nil
}

// keys returns the hostile JWKs that recipes of the form "key:NAME" sign with, to be
// published by setExtraKeys.
func (f *forgery) keys() ([]json.RawMessage, error) {
	var all []json.RawMessage
	for _, r := range badKeyRecipes {
		k, err := r.make()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		all = append(all, k.jwks...)
	}
	for _, r := range goodKeyRecipes {
		k, err := r.make(hostileID(r.name), f.server.cfg.Algorithm)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		all = append(all, k.jwks...)
	}
	return all, nil
}

func hostileID(name string) string { return "hostile-" + name }

// ordinary is a key as it should be, under jwk and kid that need not be.
func ordinary(kid, alg string, key any, jwks ...map[string]any) (badKey, error) {
	k := badKey{kid: kid, alg: alg, sign: func(alg, input string) ([]byte, error) { return jose.Sign(alg, key, input) }}
	for _, jwk := range jwks {
		text, err := marshal(jwk)
		if err != nil {
			return k, err
		}
		k.jwks = append(k.jwks, json.RawMessage(text))
	}
	return k, nil
}

// newEC makes a key and its JWK.
func newEC(curve elliptic.Curve, kid, alg string) (*ecdsa.PrivateKey, map[string]any, error) {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	jwk, err := publicJWK(key, map[string]any{"kid": kid, "alg": alg})
	return key, jwk, err
}

func publicJWK(key crypto.Signer, extra map[string]any) (map[string]any, error) {
	text, err := jose.PublicJWK(key.Public(), extra)
	if err != nil {
		return nil, err
	}
	var jwk map[string]any
	return jwk, json.Unmarshal(text, &jwk)
}

// curved is a good EC key whose JWK says something else about it. id is the kid of
// its tokens, to which the prefix of hostile keys is added unless the JWK has another.
func curved(id string, curve elliptic.Curve, alg string, members map[string]any) func() (badKey, error) {
	return sync.OnceValues(func() (badKey, error) {
		kid := hostileID(id)
		if _, own := members["kid"]; own {
			kid = id
		}
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return badKey{}, err
		}
		jwk, err := publicJWK(key, map[string]any{"kid": kid})
		if err != nil {
			return badKey{}, err
		}
		for name, v := range members {
			jwk[name] = v
		}
		return ordinary(kid, alg, key, jwk)
	})
}

// spoiledEC is a key of P-256 whose published form spoil breaks.
func spoiledEC(name string, spoil func(jwk map[string]any)) func() (badKey, error) {
	return sync.OnceValues(func() (badKey, error) {
		key, jwk, err := newEC(elliptic.P256(), hostileID(name), "ES256")
		if err != nil {
			return badKey{}, err
		}
		spoil(jwk)
		k, err := ordinary(hostileID(name), jwk["alg"].(string), key, jwk)
		k.sign = func(_, input string) ([]byte, error) { return jose.Sign("ES256", key, input) }
		return k, err
	})
}

// shortCoordinate is a key of P-256 whose x begins with a zero, which was left out: a
// reader of numbers does not miss it (RFC 7518 §6.2.1.2 does).
func shortCoordinate() (badKey, error) {
	kid := hostileID("short-x")
	for {
		key, jwk, err := newEC(elliptic.P256(), kid, "ES256")
		if err != nil {
			return badKey{}, err
		}
		if x, err := b64.DecodeString(jwk["x"].(string)); err == nil && x[0] == 0 {
			jwk["x"] = b64.EncodeToString(x[1:])
			return ordinary(kid, "ES256", key, jwk)
		}
	}
}

func octKey() (badKey, error) {
	secret := make([]byte, 64)
	rand.Read(secret) // never fails
	kid := hostileID("oct")
	return ordinary(kid, "HS256", secret, map[string]any{"kty": "oct", "kid": kid, "alg": "HS256", "k": b64.EncodeToString(secret)})
}

// namelessKey has no kid, and its tokens the one that a program makes of nothing.
func namelessKey() (badKey, error) {
	key, jwk, err := newEC(elliptic.P521(), "", "ES512")
	if err != nil {
		return badKey{}, err
	}
	delete(jwk, "kid")
	return ordinary("undefined", "ES512", key, jwk)
}

// shortEd25519 is a key that is not 32 octets long (RFC 8037 §2). There is no private
// key for it; any signature must do.
func shortEd25519(name string, length int) func() (badKey, error) {
	return sync.OnceValues(func() (badKey, error) {
		pub := make([]byte, length)
		rand.Read(pub) // never fails
		return okp(name, pub, make([]byte, 64))
	})
}

func okp(name string, pub, sig []byte) (badKey, error) {
	kid := hostileID(name)
	k, err := ordinary(kid, "EdDSA", nil, map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64.EncodeToString(pub)})
	k.sign = func(string, string) ([]byte, error) { return sig, nil }
	return k, err
}

// smallOrderKey is the identity. R the identity and S zero is a signature by it over
// anything: [S]B = R + [k]A holds for every k.
func smallOrderKey() (badKey, error) {
	identity := append([]byte{1}, make([]byte, 31)...)
	return okp("ed25519-small-order", identity, append(identity, make([]byte, 32)...))
}

// repeatedMember has two values for one member, of which parsers take either (RFC 7517 §4).
func repeatedMember() (badKey, error) {
	kid := hostileID("repeated-member")
	key, jwk, err := newEC(elliptic.P256(), kid, "ES256")
	if err != nil {
		return badKey{}, err
	}
	k, err := ordinary(kid, "ES256", key, jwk)
	if err == nil {
		k.jwks[0] = json.RawMessage(strings.Replace(string(k.jwks[0]), "{", `{"use":"enc","use":"sig",`, 1))
	}
	return k, err
}

func privateKey() (badKey, error) {
	kid := hostileID("private")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return badKey{}, err
	}
	jwk, err := publicJWK(key, map[string]any{"kid": kid, "alg": "EdDSA", "d": b64.EncodeToString(key.Seed())})
	if err != nil {
		return badKey{}, err
	}
	return ordinary(kid, "EdDSA", key, jwk)
}
