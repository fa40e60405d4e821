// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// A forgery that is not what it says would pass as refused: each variant is checked with
// the standard library.

type segments struct {
	text            string
	header, payload map[string]any
	input           string
	sig             []byte
}

func takeApart(t testing.TB, token string) segments {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d segments", len(parts))
	}
	s := segments{text: token, input: parts[0] + "." + parts[1]}
	for i, into := range []*map[string]any{&s.header, &s.payload} {
		b, err := b64.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if s.sig, err = b64.DecodeString(parts[2]); err != nil {
		t.Fatal(err)
	}
	return s
}

func forged(t testing.TB, f *forgery, r recipe) segments {
	t.Helper()
	token, err := f.bad(r)
	if err != nil {
		t.Fatal(err)
	}
	return takeApart(t, token)
}

func (f *forgery) publicKey() crypto.PublicKey { return f.server.signingKey().private.Public() }

func hash256(s string) []byte { sum := sha256.Sum256([]byte(s)); return sum[:] }

func TestSignatureOfTheIssuer(t *testing.T) {
	f := forgeryFor(t, "ES256")
	s := forged(t, f, recipe{})
	pub := f.publicKey().(*ecdsa.PublicKey)
	if !verifyEC(pub, s.input, s.sig) {
		t.Error("the unchanged recipe does not verify")
	}
	if s.payload["scope"] != "read" || s.payload["aud"] != catalogueAPI || s.header["alg"] != "ES256" {
		t.Errorf("%v %v", s.header, s.payload)
	}
}

func verifyEC(pub *ecdsa.PublicKey, input string, sig []byte) bool {
	n := len(sig) / 2
	return ecdsa.Verify(pub, hash256(input), new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:]))
}

func TestKeylessSignatures(t *testing.T) {
	f := forgeryFor(t, "ES256")
	t.Run("TA-24/none", func(t *testing.T) {
		s := forged(t, f, recipe{Sign: "none"})
		if len(s.sig) != 0 || s.header["alg"] != "none" || !strings.HasSuffix(s.text, ".") {
			t.Errorf("%v, %d octets", s.header, len(s.sig))
		}
	})
	t.Run("TA-24/random", func(t *testing.T) {
		s := forged(t, f, recipe{Sign: "random"})
		if len(s.sig) != 64 || verifyEC(f.publicKey().(*ecdsa.PublicKey), s.input, s.sig) {
			t.Errorf("%d octets", len(s.sig))
		}
	})
	t.Run("TA-24/attacker", func(t *testing.T) {
		s := forged(t, f, recipe{Sign: "attacker"})
		attacker, err := spare.forger("ES256")
		if err != nil {
			t.Fatal(err)
		}
		if !verifyEC(attacker.Public().(*ecdsa.PublicKey), s.input, s.sig) || verifyEC(f.publicKey().(*ecdsa.PublicKey), s.input, s.sig) {
			t.Error("not signed by the attacker's key alone")
		}
		if s.header["kid"] != f.server.signingKey().id {
			t.Errorf("kid %v", s.header["kid"])
		}
	})
}

// TestHMACOverPublicKey makes each form of the key anew.
func TestHMACOverPublicKey(t *testing.T) {
	f := forgeryFor(t, "RS256")
	pub := f.publicKey().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	body := base64.StdEncoding.EncodeToString(der)
	text := "-----BEGIN PUBLIC KEY-----\n" + strings.Join(slices.Collect(chunks(body, 64)), "\n") + "\n-----END PUBLIC KEY-----"
	for name, secret := range map[string]string{
		"pem": text + "\n", "pem-bare": text, "pem-crlf": strings.ReplaceAll(text, "\n", "\r\n") + "\r\n",
		"der": string(der), "jwk": string(f.server.signingKey().jwk), "raw": string(pub.N.Bytes()),
		"empty": "", "nul": "\x00", "text:null": "null", "kid": f.server.signingKey().id,
	} {
		t.Run("TA-24/"+name, func(t *testing.T) {
			s := forged(t, f, recipe{Sign: "hmac:" + name})
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(s.input))
			if !hmac.Equal(mac.Sum(nil), s.sig) || s.header["alg"] != "HS256" {
				t.Errorf("the MAC is not keyed with this: alg %v", s.header["alg"])
			}
		})
	}
	t.Run("TA-24/pkcs1", func(t *testing.T) {
		s := forged(t, f, recipe{Sign: "hmac:pkcs1", Alg: "HS512"})
		file := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(pub)})
		mac := hmac.New(sha512.New, file)
		mac.Write([]byte(s.input))
		if !hmac.Equal(mac.Sum(nil), s.sig) || s.header["alg"] != "HS512" {
			t.Errorf("the MAC is not keyed with this: alg %v", s.header["alg"])
		}
	})
}

func chunks(s string, n int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(s) > n {
			if !yield(s[:n]) {
				return
			}
			s = s[n:]
		}
		yield(s)
	}
}

// TestEmbeddedKey: whoever believes the header gets a signature that verifies.
func TestEmbeddedKey(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256", "Ed25519"} {
		t.Run("TA-24/"+alg, func(t *testing.T) {
			f := forgeryFor(t, alg)
			set := map[string]json.RawMessage{
				"jwk": json.RawMessage(`"${attacker.jwk}"`), "x5c": json.RawMessage(`["${attacker.x5c}"]`),
				"x5t": json.RawMessage(`"${attacker.x5t}"`), "jku": json.RawMessage(`"${canary}"`),
			}
			s := forged(t, f, recipe{Sign: "attacker", Header: part{Set: set}})
			der, err := base64.StdEncoding.DecodeString(s.header["x5c"].([]any)[0].(string))
			if err != nil {
				t.Fatal(err)
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha1.Sum(der)
			if b64.EncodeToString(sum[:]) != s.header["x5t"] || cert.Subject.CommonName != "issuer.test" {
				t.Errorf("x5t %v, name %q", s.header["x5t"], cert.Subject.CommonName)
			}
			if !verifies(alg, cert.PublicKey, s.input, s.sig) {
				t.Error("the certificate's key does not verify the token")
			}
			wantKeyInJWK(t, s.header["jwk"], cert.PublicKey)
			wantCanary(t, f, s.header)
		})
	}
}

// TestCertificateInAHeader: whoever believes the line finds the certificate that the token
// is bound to.
func TestCertificateInAHeader(t *testing.T) {
	f := forgeryFor(t, "ES256")
	for _, c := range catalogue() {
		if !strings.HasPrefix(c.ID, "I6.") {
			continue
		}
		t.Run("TA-24/"+c.ID, func(t *testing.T) {
			vars, err := f.tokens(c)
			if err != nil {
				t.Fatal(err)
			}
			line, err := f.expand(c.Send.Lines[1], vars)
			if err != nil {
				t.Fatal(err)
			}
			_, value, _ := strings.Cut(line, ": ")
			der, err := base64.StdEncoding.DecodeString(strings.Trim(value, ":"))
			if err != nil {
				t.Fatal(err)
			}
			cnf := takeApart(t, vars["token"]).payload["cnf"].(map[string]any)
			if sum := sha256.Sum256(der); cnf["x5t#S256"] != b64.EncodeToString(sum[:]) {
				t.Errorf("%v is of another certificate", cnf)
			}
		})
	}
}

func verifies(alg string, pub crypto.PublicKey, input string, sig []byte) bool {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return alg == "RS256" && rsa.VerifyPKCS1v15(pub, crypto.SHA256, hash256(input), sig) == nil
	case *ecdsa.PublicKey:
		return alg == "ES256" && verifyEC(pub, input, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, []byte(input), sig)
	}
	return false
}

func wantKeyInJWK(t *testing.T, jwk any, pub crypto.PublicKey) {
	t.Helper()
	members := jwk.(map[string]any)
	number := map[string][]byte{}
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		number["n"] = pub.N.Bytes()
	case *ecdsa.PublicKey:
		number["x"] = pub.X.FillBytes(make([]byte, 32))
	case ed25519.PublicKey:
		number["x"] = pub
	}
	for name, want := range number {
		if members[name] != b64.EncodeToString(want) {
			t.Errorf("%s of the JWK is not that of the certificate", name)
		}
	}
}

// wantCanary: the address in jku leads to a set with the same key under the token's kid.
func wantCanary(t *testing.T, f *forgery, header map[string]any) {
	t.Helper()
	text, err := f.canary()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s %v", text, err)
	}
	jwk := header["jwk"].(map[string]any)
	for _, name := range []string{"n", "x", "y", "kty"} {
		if set.Keys[0][name] != jwk[name] {
			t.Errorf("%s differs", name)
		}
	}
	if set.Keys[0]["kid"] != header["kid"] || header["jku"] != "https://issuer.test/canary/keys" {
		t.Errorf("kid %v, jku %v", set.Keys[0]["kid"], header["jku"])
	}
	f.server.setCanary(text)
	resp, err := f.server.HTTPClient().Get(header["jku"].(string))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%s %v", got, err)
	}
}

func TestTextOperations(t *testing.T) {
	f := forgeryFor(t, "ES256")
	pub := f.publicKey().(*ecdsa.PublicKey)
	good, err := f.good()
	if err != nil {
		t.Fatal(err)
	}
	base := takeApart(t, good)
	change := func(t *testing.T, ops ...string) (string, []byte) {
		t.Helper()
		token, err := f.spoil(recipe{From: "good", Text: ops}, good)
		if err != nil {
			t.Fatal(err)
		}
		if token == good || !strings.HasPrefix(token, base.input+".") {
			t.Error("the text is the same, or differs in another place")
		}
		sig, err := b64.DecodeString(strings.TrimPrefix(token, base.input+"."))
		if err != nil {
			t.Fatal(err)
		}
		return token, sig
	}
	n := pub.Params().N
	r, s := base.sig[:32], new(big.Int).SetBytes(base.sig[32:])
	t.Run("TA-24/last_bits", func(t *testing.T) {
		token, sig := change(t, "last-bits")
		if !bytes.Equal(sig, base.sig) {
			t.Error("a lenient decoder does not read the same octets")
		}
		if _, err := b64.Strict().DecodeString(token[strings.LastIndexByte(token, '.')+1:]); err == nil {
			t.Error("a strict decoder takes it, too")
		}
	})
	t.Run("TA-24/n_minus_s", func(t *testing.T) {
		if _, sig := change(t, "n-minus-s"); !verifyEC(pub, base.input, sig) || new(big.Int).Add(s, new(big.Int).SetBytes(sig[32:])).Cmp(n) != 0 {
			t.Error("not the other signature")
		}
	})
	t.Run("TA-24/der", func(t *testing.T) {
		if _, sig := change(t, "der"); !ecdsa.VerifyASN1(pub, hash256(base.input), sig) {
			t.Error("not a signature in DER")
		}
	})
	t.Run("TA-24/wide", func(t *testing.T) {
		if _, sig := change(t, "wide"); len(sig) != 96 || !verifyEC(pub, base.input, sig) {
			t.Errorf("%d octets", len(sig))
		}
	})
	order := n.FillBytes(make([]byte, 32))
	for name, want := range map[string][]byte{
		"r-order": slices.Concat(order, base.sig[32:]), "s-order": slices.Concat(r, order),
		"zeros": make([]byte, 64), "ones": bytes.Repeat([]byte{255}, 64),
		"drop-first": base.sig[1:], "drop-last": base.sig[:63], "append-zero": append(slices.Clone(base.sig), 0),
		"prepend-zero": append([]byte{0}, base.sig...), "length-1": base.sig[:1], "length-70": append(slices.Clone(base.sig), make([]byte, 6)...),
	} {
		t.Run("TA-24/"+name, func(t *testing.T) {
			if _, sig := change(t, name); !bytes.Equal(sig, want) {
				t.Errorf("%x, want %x", sig, want)
			}
		})
	}
	t.Run("TA-24/flip_bit", func(t *testing.T) {
		_, sig := change(t, "flip-bit")
		if sig[32] ^= 1; !bytes.Equal(sig, base.sig) {
			t.Error("more than one bit differs")
		}
	})
}

func TestOtherPayload(t *testing.T) {
	f := forgeryFor(t, "ES256")
	good, err := f.good()
	if err != nil {
		t.Fatal(err)
	}
	token, err := f.spoil(recipe{From: "good", Text: []string{"other-payload"}}, good)
	if err != nil {
		t.Fatal(err)
	}
	a, b := takeApart(t, good), takeApart(t, token)
	if !bytes.Equal(a.sig, b.sig) || b.payload["sub"] != "admin" || b.payload["scope"] != "read" || a.input == b.input {
		t.Errorf("%v", b.payload)
	}
}

func TestAddOrder(t *testing.T) {
	f := forgeryFor(t, "Ed25519")
	good := forged(t, f, recipe{})
	s := forged(t, f, recipe{Text: []string{"s-plus-l"}})
	pub := f.publicKey().(ed25519.PublicKey)
	little := func(b []byte) *big.Int { b = slices.Clone(b); slices.Reverse(b); return new(big.Int).SetBytes(b) }
	sig := slices.Clone(s.sig)
	low := new(big.Int).Sub(little(sig[32:]), groupOrder).FillBytes(make([]byte, 32))
	slices.Reverse(low)
	if !ed25519.Verify(pub, []byte(good.input), good.sig) || ed25519.Verify(pub, []byte(s.input), sig) {
		t.Error("the one verifies, or the other does not")
	}
	if !ed25519.Verify(pub, []byte(s.input), slices.Concat(sig[:32], low)) {
		t.Error("s is not L too large")
	}
}

// TestSegments: how an object becomes a segment.
func TestSegments(t *testing.T) {
	object := `{"a":"??????>>>>>>"}`
	for _, tc := range []struct {
		name   string
		steps  []string
		decode func(string) (string, error)
		refuse bool // by a strict decoder
	}{
		{"plain", nil, decoded(base64.RawURLEncoding), false},
		{"base64", []string{"base64"}, decoded(base64.RawStdEncoding), true},
		{"padded", []string{"padded"}, decoded(base64.URLEncoding), true},
		{"last_bits", []string{"last-bits"}, decoded(base64.RawURLEncoding), true},
		{"gzip", []string{"gzip"}, gunzip, false},
	} {
		t.Run("TA-24/"+tc.name, func(t *testing.T) {
			segment, err := encodeSegment(tc.steps, object)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := tc.decode(segment); err != nil || strings.TrimSpace(got) != object {
				t.Errorf("%q %v", got, err)
			}
			if _, err := base64.RawURLEncoding.Strict().DecodeString(segment); (err != nil) != tc.refuse {
				t.Errorf("strictly: %v", err)
			}
		})
	}
	if got, err := encodeSegment([]string{"utf-16"}, "{é"); err != nil || got != b64.EncodeToString([]byte{0xfe, 0xff, 0, '{', 0, 0xe9}) {
		t.Errorf("%q %v", got, err)
	}
	if _, err := encodeSegment([]string{"rot13"}, object); err == nil {
		t.Error("an unknown step is taken")
	}
}

func decoded(e *base64.Encoding) func(string) (string, error) {
	return func(s string) (string, error) { b, err := e.DecodeString(s); return string(b), err }
}

func gunzip(segment string) (string, error) {
	b, err := b64.DecodeString(segment)
	if err != nil {
		return "", err
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}
