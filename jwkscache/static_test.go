// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

func pemOf(kind string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func publicPEM(key any) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	return pemOf("PUBLIC KEY", der, err)
}

func rsaKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

func staticVerifier(t *testing.T, keys *jwkscache.Static, algorithms ...string) (*verifier.Verifier, error) {
	t.Helper()
	return verifier.New(verifier.Config{Issuer: issuer, Audience: []string{audience}, Keys: keys, Algorithms: algorithms})
}

func TestStatic(t *testing.T) {
	public := publicPEM(private()["one"].Public())
	good := func(t *testing.T, keys *jwkscache.Static, err error, raw string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		v, err := staticVerifier(t, keys)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("KS-29/set_without_network", func(t *testing.T) {
		keys, err := jwkscache.NewStatic([]byte(kids("two", "one")))
		good(t, keys, err, token("one"))
		good(t, keys, err, token("two"))
	})
	t.Run("KS-29/PEM_without_network", func(t *testing.T) {
		keys, err := jwkscache.NewStaticPEM([]byte(public))
		good(t, keys, err, token("one"))
	})
	t.Run("KS-22/PEM_key_serves_any_kid", func(t *testing.T) {
		keys, err := jwkscache.NewStaticPEM([]byte("\n" + public + "\r\n"))
		for _, kid := range []any{"one", "whatever", ""} {
			header := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": kid}
			good(t, keys, err, signed("one", header, claimsOf(token("one"))))
		}
		good(t, keys, err, signed("one", map[string]any{"alg": "ES256", "typ": "at+jwt"}, claimsOf(token("one"))))
		v, _ := staticVerifier(t, keys)
		_, err = v.Verify(t.Context(), token("two"))
		wantClass(t, err, verifier.ErrSignature)
	})
	t.Run("KS-22/JWK_without_kid_serves_any_kid", func(t *testing.T) {
		bare := strings.Replace(kids("one"), `"kid":"one"`, `"x-y":"z"`, 1)
		keys, err := jwkscache.NewStatic([]byte(bare))
		good(t, keys, err, token("one"))
	})
	t.Run("KS-22/JWK_with_kid_serves_that_kid_only", func(t *testing.T) {
		keys, err := jwkscache.NewStatic([]byte(set(jwk("one", map[string]any{"kid": "other"}))))
		if err != nil {
			t.Fatal(err)
		}
		v, _ := staticVerifier(t, keys)
		_, err = v.Verify(t.Context(), token("one"))
		wantClass(t, err, verifier.ErrUnknownKey)
	})
	t.Run("KS-15/unusable_key_beside_a_good_one", func(t *testing.T) {
		keys, err := jwkscache.NewStatic([]byte(set(json.RawMessage(`{"kty":"XX"}`), jwk("one", nil))))
		good(t, keys, err, token("one"))
	})
	t.Run("KS-29/kinds_of_PEM", func(t *testing.T) {
		ed, _, _ := ed25519.GenerateKey(rand.Reader)
		big := rsaKey(2048)
		for _, text := range []string{
			publicPEM(ed), publicPEM(big.Public()),
			pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&big.PublicKey), nil),
		} {
			keys, err := jwkscache.NewStaticPEM([]byte(text))
			if err != nil || keys.KeySet().Len() != 1 {
				t.Error(err)
			}
		}
	})
	t.Run("ER-22/E22_key_serves_no_allowed_algorithm", func(t *testing.T) {
		keys, err := jwkscache.NewStaticPEM([]byte(public))
		if err != nil {
			t.Fatal(err)
		}
		_, err = staticVerifier(t, keys, "RS256")
		wantClass(t, err, verifier.ErrConfig)
	})
	t.Run("GO-02/zero_value_refuses", func(t *testing.T) {
		for _, keys := range []*jwkscache.Static{nil, {}} {
			got, err := keys.Keys(t.Context(), nil)
			if got != nil || keys.KeySet() != nil {
				t.Error("keys from a zero value")
			}
			wantClass(t, err, verifier.ErrConfig)
		}
	})
	t.Run("KS-29/miss_changes_nothing", func(t *testing.T) {
		keys, _ := jwkscache.NewStatic([]byte(kids("one")))
		first, _ := keys.Keys(t.Context(), nil)
		again, err := keys.Keys(t.Context(), &verifier.Miss{Set: first})
		if err != nil || again != first {
			t.Error("another set", err)
		}
	})
}

func claimsOf(raw string) map[string]any {
	var claims map[string]any
	if err := json.Unmarshal(decoded(strings.Split(raw, ".")[1]), &claims); err != nil {
		panic(err)
	}
	for _, name := range []string{"iat", "exp"} {
		claims[name] = int64(claims[name].(float64))
	}
	return claims
}

func TestStaticRefused(t *testing.T) {
	key := private()["one"]
	public := publicPEM(key.Public())
	sec1, err := x509.MarshalECPrivateKey(key)
	ecPrivate := pemOf("EC PRIVATE KEY", sec1, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	pkcs8PEM := pemOf("PRIVATE KEY", pkcs8, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	csr := pemOf("CERTIFICATE REQUEST", request, err)
	small, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	for name, text := range map[string]string{
		"E21_private_key_EC":         ecPrivate,
		"E21_private_key_PKCS8":      pkcs8PEM,
		"E21_private_key_encrypted":  strings.Replace(pkcs8PEM, "PRIVATE", "ENCRYPTED PRIVATE", 2),
		"E21_private_key_RSA":        pemOf("RSA PRIVATE KEY", []byte{0}, nil),
		"E21_private_in_public_name": strings.ReplaceAll(pkcs8PEM, "PRIVATE", "PUBLIC"),
		"E21_two_blocks":             public + public,
		"E21_public_then_private":    public + ecPrivate,
		"E21_trailing_text":          public + "x",
		"E21_leading_text":           "x\n" + public,
		"E21_CSR":                    csr,
		"certificate":                pemOf("CERTIFICATE", []byte{0}, nil),
		"headers":                    strings.Replace(public, "KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n\n", 1),
		"not_PEM":                    "secret",
		"empty":                      "",
		"truncated":                  public[:len(public)/2],
		"not_DER":                    pemOf("PUBLIC KEY", []byte("junk"), nil),
		"other_curve":                publicPEM(small.Public()),
		"RSA_1024":                   publicPEM(weak()),
	} {
		t.Run("KS-29/PEM_"+name, func(t *testing.T) {
			keys, err := jwkscache.NewStaticPEM([]byte(text))
			if keys != nil {
				t.Error("keys came with the error")
			}
			e := wantClass(t, err, verifier.ErrConfig)
			if len(text) > 100 && strings.Contains(e.Error(), text[60:90]) {
				t.Error("key material is in the error")
			}
		})
	}
	for name, text := range map[string]string{
		"not_JSON":       "x",
		"one_JWK":        string(jwk("one", nil)),
		"no_key":         `{"keys":[]}`,
		"no_usable_key":  `{"keys":[{"kty":"XX"}]}`,
		"secret":         `{"keys":[{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}`,
		"private_JWK":    set(jwk("two", nil), privateJWK("one")),
		"duplicate_keys": `{"keys":[],` + strings.TrimPrefix(kids("one"), "{"),
		"101_keys":       many(101),
	} {
		t.Run("KS-29/set_"+name, func(t *testing.T) {
			keys, err := jwkscache.NewStatic([]byte(text))
			if keys != nil {
				t.Error("keys came with the error")
			}
			wantClass(t, err, verifier.ErrConfig)
		})
	}
}

// weak is an RSA key that is too short to be used.
func weak() *rsa.PublicKey {
	long := rsaKey(2048)
	return &rsa.PublicKey{N: long.N.Rsh(long.N, 1024), E: 65537}
}
