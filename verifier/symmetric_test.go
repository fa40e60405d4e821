// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// secretOf is a fixed secret of n bytes that is no text.
func secretOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(255 - i)
	}
	return b
}

func secret256() verifier.Secret {
	return verifier.Secret{KeyID: "one", Algorithm: "HS256", Value: secretOf(32)}
}

func symmetricConfig(edits ...func(*verifier.Config)) verifier.Config {
	cfg := config(edits...)
	cfg.Keys = nil
	return cfg
}

func newSymmetric(t *testing.T, secrets ...verifier.Secret) *verifier.Verifier {
	t.Helper()
	v, err := verifier.NewSymmetric(symmetricConfig(), secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var macs = []struct {
	alg  string
	size int
}{{"HS256", 32}, {"HS384", 48}, {"HS512", 64}}

func TestSymmetric(t *testing.T) {
	t.Run("AL-04/local_secret_verifies", func(t *testing.T) {
		for _, m := range macs {
			v := newSymmetric(t, verifier.Secret{KeyID: "one", Algorithm: m.alg, Value: secretOf(m.size)})
			expect(t, v, algToken(m.alg, secretOf(m.size)), nil)
			expect(t, v, algToken(m.alg, secretOf(m.size+1)), verifier.ErrSignature)
			for _, other := range macs {
				if other.alg != m.alg {
					expect(t, v, algToken(other.alg, secretOf(m.size)), verifier.ErrAlgorithm)
				}
			}
		}
	})
	v := newSymmetric(t, secret256())
	t.Run("AL-04/asymmetric_token_refused", func(t *testing.T) {
		for _, alg := range defaultAlgorithms {
			expect(t, v, algToken(alg, keyFor(alg)), verifier.ErrAlgorithm)
		}
		expect(t, v, token(object{"alg": "none"}, nil), verifier.ErrAlgorithm)
	})
	t.Run("AL-04/cut_or_longer_mac", func(t *testing.T) {
		good := algToken("HS256", secretOf(32))
		input, mac := good[:strings.LastIndexByte(good, '.')], good[strings.LastIndexByte(good, '.')+1:]
		sum := ok(base64.RawURLEncoding.DecodeString(mac))
		for _, bad := range [][]byte{sum[:1], sum[:16], sum[:31], append(bytes.Clone(sum), 0), append(bytes.Clone(sum), sum...)} {
			expect(t, v, input+"."+b64(string(bad)), verifier.ErrSignature)
		}
		expect(t, v, input+".", verifier.ErrMalformedToken)
	})
	t.Run("AL-04/kid_selects", func(t *testing.T) {
		two := verifier.Secret{KeyID: "two", Algorithm: "HS256", Value: secretOf(40)}
		both := newSymmetric(t, secret256(), two)
		underTwo := func(secret []byte) string {
			return sign(secret, "HS256", goodHeader().edit(object{"alg": "HS256", "kid": "two"}).String(), goodClaims().String())
		}
		expect(t, both, underTwo(two.Value), nil)
		expect(t, both, underTwo(secretOf(32)), verifier.ErrSignature)
		expect(t, v, underTwo(secretOf(32)), verifier.ErrUnknownKey)
	})
	t.Run("KS-22/secret_without_kid_fits_any", func(t *testing.T) {
		local := newSymmetric(t, verifier.Secret{Algorithm: "HS256", Value: secretOf(32)})
		for _, kid := range []any{"x", "", nil} {
			header := goodHeader().edit(object{"alg": "HS256", "kid": kid}).String()
			expect(t, local, sign(secretOf(32), "HS256", header, goodClaims().String()), nil)
		}
	})
	t.Run("AL-04/all_other_checks_apply", func(t *testing.T) {
		signed := func(header, claims object) string {
			return sign(secretOf(32), "HS256", goodHeader().edit(object{"alg": "HS256"}).edit(header).String(), goodClaims().edit(claims).String())
		}
		expect(t, v, signed(nil, object{"aud": "x"}), verifier.ErrAudience)
		expect(t, v, signed(nil, object{"exp": 1}), verifier.ErrExpired)
		expect(t, v, signed(nil, object{"sub": nil}), verifier.ErrMissingClaim)
		expect(t, v, signed(nil, object{"iss": issuerURL + "/"}), verifier.ErrIssuer)
		expect(t, v, signed(object{"typ": "JWT"}, nil), verifier.ErrTokenType)
	})
	t.Run("AL-04/secret_is_copied", func(t *testing.T) {
		mine := secretOf(32)
		v := newSymmetric(t, verifier.Secret{Algorithm: "HS256", Value: mine})
		clear(mine)
		expect(t, v, algToken("HS256", make([]byte, 32)), verifier.ErrSignature)
		expect(t, v, algToken("HS256", secretOf(32)), nil)
	})
	t.Run("MD-01/any_issuer_name_under_ProfileJWT", func(t *testing.T) {
		v, err := verifier.NewSymmetric(symmetricConfig(legacy, func(c *verifier.Config) { c.Issuer = "the old system" }), secret256())
		if err != nil {
			t.Fatal(err)
		}
		header := goodHeader().edit(object{"alg": "HS256"}).String()
		expect(t, v, sign(secretOf(32), "HS256", header, goodClaims().edit(object{"iss": "the old system"}).String()), nil)
		refusesSymmetric(t, "Issuer", symmetricConfig(func(c *verifier.Config) { c.Issuer = "the old system" }), secret256())
	})
}

// refusesSymmetric fails unless NewSymmetric refuses with ErrConfig, names the
// fault and quotes no secret.
func refusesSymmetric(t *testing.T, fault string, cfg verifier.Config, secrets ...verifier.Secret) {
	t.Helper()
	v, err := verifier.NewSymmetric(cfg, secrets...)
	if v != nil || !errors.Is(err, verifier.ErrConfig) {
		t.Fatalf("got %v, %v; want a configuration error", v, err)
	}
	text := fmt.Sprintf("%v %+v", err, err)
	if !strings.Contains(text, fault) {
		t.Errorf("the error does not name %q: %v", fault, err)
	}
	for _, s := range secrets {
		if len(s.Value) > 4 && strings.Contains(text, string(s.Value)) {
			t.Error("the error quotes the secret")
		}
	}
}

func TestSymmetricRefusals(t *testing.T) {
	t.Run("AL-05/length", func(t *testing.T) {
		for _, m := range macs {
			short := verifier.Secret{Algorithm: m.alg, Value: secretOf(m.size - 1)}
			refusesSymmetric(t, "secret 0", symmetricConfig(), short)
			short.Value = secretOf(m.size)
			newSymmetric(t, short)
		}
		refusesSymmetric(t, "secret 0", symmetricConfig(), verifier.Secret{Algorithm: "HS256"})
		refusesSymmetric(t, "secret 1", symmetricConfig(), secret256(), verifier.Secret{Algorithm: "HS512", Value: secretOf(63)})
	})
	t.Run("AL-04/E23_mixed_with_keys", func(t *testing.T) {
		refusesSymmetric(t, "Keys", config(), secret256())
		refusesSymmetric(t, "RS256", symmetricConfig(algorithms("HS256", "RS256")), secret256())
		refusesSymmetric(t, "ES256", symmetricConfig(algorithms("ES256")), secret256())
		refusesSymmetric(t, "secret 0", symmetricConfig(), verifier.Secret{Algorithm: "RS256", Value: secretOf(64)})
	})
	t.Run("AL-04/no_secret", func(t *testing.T) { refusesSymmetric(t, "secret", symmetricConfig()) })
	t.Run("AL-04/unknown_algorithm", func(t *testing.T) {
		for _, alg := range []string{"", "none", "hs256", "HS1"} {
			refusesSymmetric(t, "secret 0", symmetricConfig(), verifier.Secret{Algorithm: alg, Value: secretOf(64)})
			refusesSymmetric(t, "Algorithms", symmetricConfig(algorithms(alg)), secret256())
		}
		refusesSymmetric(t, "twice", symmetricConfig(algorithms("HS256", "HS256")), secret256())
	})
	t.Run("GO-02/too_many_secrets_without_KeyID", func(t *testing.T) {
		var nine []verifier.Secret
		for i := range 9 {
			nine = append(nine, verifier.Secret{Algorithm: "HS256", Value: bytes.Repeat([]byte{byte(i)}, 32)})
		}
		newSymmetric(t, nine[:8]...)
		refusesSymmetric(t, "KeyID", symmetricConfig(), nine...)
		nine[8].KeyID = "nine"
		newSymmetric(t, nine...)
	})
	t.Run("GO-02/KeyID_that_no_kid_can_be", func(t *testing.T) {
		s := secret256()
		s.KeyID = strings.Repeat("k", 512)
		newSymmetric(t, s)
		s.KeyID += "k"
		refusesSymmetric(t, "secret 0", symmetricConfig(), s)
	})
	t.Run("GO-02/no_misleading_word_of_Keys", func(t *testing.T) {
		_, err := verifier.NewSymmetric(symmetricConfig())
		if err == nil || strings.Contains(err.Error(), "Keys") {
			t.Errorf("the error of a missing secret speaks of Keys: %v", err)
		}
	})
	t.Run("AL-04/E22_no_secret_for_the_algorithm", func(t *testing.T) {
		refusesSymmetric(t, "Algorithms", symmetricConfig(algorithms("HS512")), secret256())
	})
	t.Run("AL-05/E20_public_key_as_secret", func(t *testing.T) {
		forms := publicForms(&rsaOne().PublicKey)
		delete(forms, "modulus") // bytes without a form cannot be told from a secret
		delete(forms, "modulus_b64")
		forms["x509"] = certificate(t)
		forms["x509_PEM"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(t)})
		forms["x509_base64"] = []byte(base64.StdEncoding.EncodeToString(certificate(t)))
		forms["EC_JWK"] = jwk(ec256(), nil)
		forms["EC_SPKI"] = ok(x509.MarshalPKIXPublicKey(&ec256().PublicKey))
		forms["Ed25519_SPKI"] = ok(x509.MarshalPKIXPublicKey(ed(1).Public().(ed25519.PublicKey)))
		forms["PKCS8"] = ok(x509.MarshalPKCS8PrivateKey(rsaOne()))
		forms["JWK_padded"] = []byte("  \n" + string(jwk(rsaOne(), nil)) + "\n")
		for name, value := range forms {
			t.Run(name, func(t *testing.T) {
				refusesSymmetric(t, "secret 0", symmetricConfig(), verifier.Secret{Algorithm: "HS256", Value: value})
			})
		}
	})
	t.Run("GO-02/every_fault_at_once", func(t *testing.T) {
		cfg := config(algorithms("RS256"), func(c *verifier.Config) { c.Issuer, c.Audience, c.Leeway = "", nil, time.Hour })
		for _, fault := range []string{"Keys", "Algorithms", "Issuer", "Audience", "Leeway", "secret 0"} {
			refusesSymmetric(t, fault, cfg, verifier.Secret{Algorithm: "HS256"})
		}
	})
}

func certificate(t *testing.T) []byte {
	t.Helper()
	key := ok(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: noon.Add(time.Hour)}
	return ok(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}
