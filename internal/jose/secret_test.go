// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// certificate is a self-signed certificate of key, in DER.
func certificate(t testing.TB, key *rsa.PrivateKey) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Unix(1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func ecDER(key *ecdsa.PrivateKey) []byte { return must(x509.MarshalECPrivateKey(key)) }

func TestSecretLength(t *testing.T) {
	for alg, min := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		for _, n := range []int{0, 1, min - 1, min, min + 1, 200} {
			t.Run(fmt.Sprintf("AL-05/E20_%s_%d_bytes", alg, n), func(t *testing.T) {
				secret := bytes.Repeat(secret64, 4)[:n]
				key, err := NewSecret("k", alg, secret)
				if (err == nil) != (n >= min) || (err == nil) != (key != nil) {
					t.Fatalf("NewSecret = %v, %v", key, err)
				}
				if key != nil {
					verifies(t, key, alg, sign(t, alg, secret), true)
				}
			})
		}
	}
}

// TestSecretIsNoKeyFile gives NewSecret what is public or belongs in a key file.
func TestSecretIsNoKeyFile(t *testing.T) {
	spki := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	cert := certificate(t, rsaKey())
	jwk := jwkOf(t, rsaKey().Public()).with(nil)
	text := base64.StdEncoding.EncodeToString
	files := map[string][]byte{
		"C6_pem_spki":            pemOf("PUBLIC KEY", spki),
		"C6_pem_without_lf":      bytes.TrimRight(pemOf("PUBLIC KEY", spki), "\n"),
		"C6_pem_crlf":            bytes.ReplaceAll(pemOf("PUBLIC KEY", spki), []byte("\n"), []byte("\r\n")),
		"C6_pem_one_line":        bytes.ReplaceAll(pemOf("PUBLIC KEY", spki), []byte("\n"), []byte(" ")),
		"C6_pem_escaped_lf":      bytes.ReplaceAll(pemOf("PUBLIC KEY", spki), []byte("\n"), []byte(`\n`)),
		"C6_pem_pkcs1":           pemOf("RSA PUBLIC KEY", pkcs1),
		"pem_certificate":        pemOf("CERTIFICATE", cert),
		"pem_after_text":         append([]byte("issuer key:\n"), pemOf("CERTIFICATE", cert)...),
		"pem_private":            pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())),
		"C6_der_spki":            spki,
		"der_spki_ec":            must(x509.MarshalPKIXPublicKey(p256().Public())),
		"der_spki_ed25519":       must(x509.MarshalPKIXPublicKey(ed().Public())),
		"C6_der_pkcs1":           pkcs1,
		"der_certificate":        cert,
		"der_private_pkcs8":      must(x509.MarshalPKCS8PrivateKey(rsaKey())),
		"der_private_pkcs1":      x509.MarshalPKCS1PrivateKey(rsaKey()),
		"der_private_ec":         ecDER(p256()),
		"C6_x5c_text":            []byte(text(cert)),
		"C6_x5c_text_wrapped":    []byte(strings.Join([]string{text(cert)[:64], text(cert)[64:]}, "\n") + "\n"),
		"base64url_spki":         []byte(b64(spki)),
		"base64_of_pem":          []byte(text(pemOf("PUBLIC KEY", spki))),
		"base64_of_jwk":          []byte(text(jwk)),
		"C6_jwk_rsa":             jwk,
		"jwk_with_space":         append([]byte(" \n"), jwk...),
		"jwk_oct":                doc{"kty": "oct", "k": b64(secret64)}.with(nil),
		"jwk_duplicate_kty":      []byte(`{"kty":"oct","kty":"RSA","pad":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`),
		"jwk_ec":                 jwkOf(t, p256().Public()).with(nil),
		"jwk_set":                []byte(`{"keys":[` + string(jwk) + `]}`),
		"jwk_with_null_kty_type": []byte(`{"kty":{},"pad":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`),
	}
	for name, secret := range files {
		t.Run("AL-04/E20_"+name, func(t *testing.T) {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				_, err := NewSecret("", alg, secret)
				if err == nil {
					t.Fatalf("NewSecret(%s) accepts it", alg)
				}
				if strings.Contains(err.Error(), string(secret[:8])) {
					t.Error("the error quotes the secret")
				}
			}
		})
		t.Run("AL-04/C6_token_keyed_with_"+name, func(t *testing.T) {
			key := newKey(t, rsaKey())
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				verifies(t, key, alg, sign(t, alg, secret), false)
			}
		})
	}
}

func TestSecretControls(t *testing.T) {
	random := make([]byte, 64)
	rand.Read(random)
	for name, secret := range map[string][]byte{
		"random":                   random,
		"base64_of_random":         []byte(base64.StdEncoding.EncodeToString(random)),
		"text":                     secret64,
		"json_object_without_kty":  []byte(`{"client_secret":"0123456789abcdef0123456789abcdef0123456789abcdef"}`),
		"json_text":                []byte(`"kty0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab"`),
		"begins_like_der_sequence": append([]byte{0x30, 0x82, 0x01, 0x22}, random...),
	} {
		t.Run("AL-05/control_"+name, func(t *testing.T) {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				key, err := NewSecret("", alg, secret)
				if err != nil {
					t.Fatalf("%s: %v", alg, err)
				}
				verifies(t, key, alg, sign(t, alg, secret), true)
			}
		})
	}
}

func TestSecretServesItsAlgorithmOnly(t *testing.T) {
	for _, own := range []string{"HS256", "HS384", "HS512"} {
		key := must(NewSecret("", own, secret64))
		for _, alg := range append(DefaultAlgorithms(), "HS256", "HS384", "HS512", "none") {
			t.Run("AL-07/"+own+"_secret_"+alg, func(t *testing.T) {
				if key.Fits(alg) != (alg == own) {
					t.Errorf("Fits = %v", key.Fits(alg))
				}
				if HMAC(alg) {
					verifies(t, key, alg, sign(t, alg, secret64), alg == own)
				}
			})
		}
	}
}

func TestSecretAlgorithm(t *testing.T) {
	for _, alg := range DefaultAlgorithms() {
		t.Run("AL-04/secret_for_"+alg, func(t *testing.T) {
			if key, err := NewSecret("", alg, secret64); err == nil {
				t.Errorf("NewSecret = %v", key)
			}
		})
	}
}

func TestSecretSignature(t *testing.T) {
	key, good := must(NewSecret("", "HS256", secret64)), sign(t, "HS256", secret64)
	for name, sig := range map[string][]byte{
		"empty": nil, "truncated_to_16": good[:16], "31_bytes": good[:31], "33_bytes": append(bytes.Clone(good), 0),
		"another_secret": sign(t, "HS256", secret64[1:]), "C7_empty_secret": sign(t, "HS256", []byte{}),
		"C7_nul_secret": sign(t, "HS256", []byte{0}), "C7_null_secret": sign(t, "HS256", []byte("null")),
	} {
		t.Run("AL-03/"+name, func(t *testing.T) { verifies(t, key, "HS256", sig, false) })
	}
	t.Run("KS-22/kid_of_a_secret", func(t *testing.T) {
		if k := must(NewSecret("a", "HS256", secret64)); k.ID != "a" || !k.HasID {
			t.Errorf("ID, HasID = %q, %v", k.ID, k.HasID)
		}
		if key.HasID || key.Public() != nil {
			t.Errorf("HasID, Public = %v, %v", key.HasID, key.Public())
		}
	})
	t.Run("SE-02/secret_is_not_printed", func(t *testing.T) {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			printed := fmt.Sprintf(format, key) + fmt.Sprintf(format, *key) + fmt.Sprintf(format, []*Key{key})
			for _, form := range []string{string(secret64), fmt.Sprint(secret64), fmt.Sprintf("%x", secret64), fmt.Sprintf("%#v", secret64), fmt.Sprintf("%d", secret64)} {
				if strings.Contains(printed, strings.Trim(form, "[]")) {
					t.Errorf("%s prints the secret", format)
				}
			}
		}
	})
}
