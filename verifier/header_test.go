// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// notStrings has a JSON value of every other type, for members that must be strings.
var notStrings = map[string]raw{
	"null": raw("null"), "true": raw("true"), "zero": raw("0"), "number": raw("5"),
	"array": raw("[]"), "object": raw("{}"), "array_of_string": raw(`["RS256"]`),
}

func TestAlgHeader(t *testing.T) {
	alg := func(v any) string { return headerText(goodHeader().edit(object{"alg": v}).String()) }
	rows := malformed("JV-07/", map[string]string{"C3_missing": alg(nil), "C3_empty_header": headerText("{}")})
	for name, v := range notStrings {
		rows = append(rows, verdict{"JV-07/C4_" + name, alg(v), verifier.ErrMalformedToken})
	}
	rows = append(rows, verdict{"AL-01/C4_empty_string", alg(""), verifier.ErrAlgorithm})
	for _, name := range []string{"none", "None", "NONE", "nOnE"} {
		header := b64(goodHeader().edit(object{"alg": name}).String())
		payload := b64(goodClaims().String())
		rows = append(rows,
			verdict{"JV-33/C1_" + name, header + "." + payload + ".", verifier.ErrMalformedToken},
			verdict{"AL-02/C2_" + name, alg(name), verifier.ErrAlgorithm},
			verdict{"AL-02/C2_one_byte_" + name, header + "." + payload + ".AA", verifier.ErrAlgorithm})
	}
	for name, v := range map[string]string{
		"lower": "rs256", "trailing_space": "RS256 ", "leading_space": " RS256", "nul": "RS256\x00",
		"fullwidth": "ＲＳ256", "newline": "RS256\n", "prefix": "RS25", "longer": "RS2560",
	} {
		rows = append(rows, verdict{"AL-01/C5_" + name, alg(v), verifier.ErrAlgorithm})
	}
	for _, v := range []string{"RSA1_5", "RSA-OAEP", "dir", "A256KW", "A256GCM"} {
		rows = append(rows, verdict{"AL-03/C16_" + v, alg(v), verifier.ErrAlgorithm})
	}
	judge(t, newVerifier(t), rows)
	judge(t, newVerifier(t, legacy), rows)
}

// publicBytes are the ways in which a published RSA key could serve as a secret.
func publicBytes() map[string][]byte {
	pub := &rsaOne().PublicKey
	spki := ok(x509.MarshalPKIXPublicKey(pub))
	pkcs1 := x509.MarshalPKCS1PublicKey(pub)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert := ok(x509.CreateCertificate(rand.Reader, template, template, pub, rsaOne()))
	return map[string][]byte{
		"C6_pem": text, "C6_pem_no_newline": []byte(strings.TrimSpace(string(text))),
		"C6_pem_crlf":  []byte(strings.ReplaceAll(string(text), "\n", "\r\n")),
		"C6_pkcs1_pem": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
		"C6_spki":      spki, "C6_pkcs1": pkcs1, "C6_jwk": jwk(rsaOne(), object{"kid": "one"}), "C6_jwk_no_kid": jwk(rsaOne(), nil),
		"C6_modulus": pub.N.Bytes(), "C6_modulus_text": []byte(base64.RawURLEncoding.EncodeToString(pub.N.Bytes())),
		"C6_x5c": []byte(base64.StdEncoding.EncodeToString(cert)), "C6_certificate": cert,
		"C7_empty": {}, "C7_nul": {0}, "C7_null": []byte("null"), "C7_undefined": []byte("undefined"),
		"C7_kid": []byte("one"), "C8_no_key": nil,
	}
}

func TestPublicKeyIsNoSecret(t *testing.T) {
	var rows []verdict
	for name, secret := range publicBytes() {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			header := goodHeader().edit(object{"alg": alg}).String()
			rows = append(rows, verdict{"AL-04/" + name + "_" + alg, sign(secret, alg, header, goodClaims().String()), verifier.ErrAlgorithm})
		}
		// The MAC is right, and the header says that it is a signature.
		rows = append(rows, verdict{"AL-04/" + name + "_as_RS256", sign(secret, "HS256", goodHeader().String(), goodClaims().String()), verifier.ErrSignature})
	}
	judge(t, newVerifier(t), rows)
}

func TestCritical(t *testing.T) {
	crit := func(v string, more object) string { return headerText(plus(goodHeader().edit(more), `"crit":`+v)) }
	judge(t, newVerifier(t), malformed("JV-08/", map[string]string{
		"C46_exp":             crit(`["exp"]`, nil),
		"C46_exp_present":     crit(`["exp"]`, object{"exp": raw("9999999999")}),
		"C46_x_present":       crit(`["x"]`, object{"x": 1}),
		"C46_url_name":        crit(`["http://example.com/x"]`, object{"http://example.com/x": true}),
		"C47_empty":           crit(`[]`, nil),
		"C47_string":          crit(`"b64"`, nil),
		"C47_string_exp":      crit(`"exp"`, nil),
		"C47_null":            crit(`null`, nil),
		"C47_false":           crit(`false`, nil),
		"C47_number":          crit(`[1]`, nil),
		"C47_object":          crit(`{}`, nil),
		"C47_duplicate_names": crit(`["x","x"]`, object{"x": 1}),
		"C47_absent_name":     crit(`["x"]`, nil),
		"C47_registered_alg":  crit(`["alg"]`, nil),
		"C47_registered_kid":  crit(`["kid"]`, nil),
		"C47_empty_name":      crit(`[""]`, object{"": 1}),
		"C47_itself":          crit(`["crit"]`, nil),
		"escaped_member_name": headerText(plus(goodHeader(), `"\u0063rit":["x"],"x":1`)),
	}))
	judge(t, newVerifier(t), append(malformed("JV-09/", map[string]string{
		"C48_false":               headerText(plus(goodHeader(), `"b64":false`)),
		"C48_false_crit":          headerText(plus(goodHeader(), `"b64":false,"crit":["b64"]`)),
		"C48_false_crit_unsigned": signSegments(b64(plus(goodHeader(), `"b64":false,"crit":["b64"]`)), goodClaims().String()),
		"true_crit":               headerText(plus(goodHeader(), `"b64":true,"crit":["b64"]`)),
		"null":                    headerText(plus(goodHeader(), `"b64":null`)),
		"zero":                    headerText(plus(goodHeader(), `"b64":0`)),
		"text_true":               headerText(plus(goodHeader(), `"b64":"true"`)),
	}), verdict{"JV-09/true", headerText(plus(goodHeader(), `"b64":true`)), nil}))
}

func TestTypHeader(t *testing.T) {
	typ := func(v any) string { return token(object{"typ": v}, nil) }
	var rows []verdict
	for _, v := range []string{"at+jwt", "at+JWT", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/At+Jwt", "APPLICATION/AT+JWT"} {
		rows = append(rows, verdict{"JV-10/C51_" + v, typ(v), nil})
	}
	for name, v := range map[string]string{
		"text_at_jwt": "text/at+jwt", "C53_parameter": "at+jwt; x", "parameter_charset": "at+jwt;charset=utf-8",
		"parameter_with_prefix": "application/at+jwt;x=y", "C53_leading_space": " at+jwt", "trailing_space": "at+jwt ",
		"prefix_twice": "application/application/at+jwt", "slash_after": "application/at+jwt/", "slash_only": "/at+jwt",
		"prefix_alone": "application/", "empty": "", "nul": "at+jwt\x00", "fullwidth": "ａt+jwt", "dotted_i": "appl\u0130cation/at+jwt",
		"list": "at+jwt,JWT", "suffix": "xat+jwt", "dash": "at-jwt",
	} {
		rows = append(rows, verdict{"JV-10/" + name, typ(v), verifier.ErrTokenType})
	}
	judge(t, newVerifier(t), rows)
	for name, v := range notStrings {
		judge(t, newVerifier(t, legacy), []verdict{{"JV-10/C53_" + name, typ(v), verifier.ErrMalformedToken}})
	}
}

// forger is a header that offers the attacker's own key.
func forger(members object) string {
	return sign(rsaTwo(), "RS256", goodHeader().edit(members).String(), goodClaims().String())
}

func TestKeysInTheHeader(t *testing.T) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"id.example.com"}}
	cert := ok(x509.CreateCertificate(rand.Reader, template, template, &rsaTwo().PublicKey, rsaTwo()))
	chain := []string{base64.StdEncoding.EncodeToString(cert)}
	sum := sha256.Sum256(cert)
	own := jwk(rsaTwo(), object{"kid": "two"})
	var rows []verdict
	for name, members := range map[string]object{
		"C42_jwk": {"jwk": own}, "C40_jku": {"jku": issuerURL + "@evil.example/jwks"}, "C40_jku_file": {"jku": "file:///etc/passwd"},
		"C40_jku_metadata_service": {"jku": "http://169.254.169.254/"}, "C40_jku_suffix": {"jku": issuerURL + ".evil.example"},
		"C41_x5u": {"x5u": "https://evil.example/c.pem"}, "C44_x5c": {"x5c": chain},
		"C44_x5c_and_thumbprint": {"x5c": chain, "x5t#S256": b64(string(sum[:])), "x5t": "AAAA"},
		"jwk_private":            {"jwk": raw(`{"kty":"oct","k":"AAAA"}`)},
	} {
		rows = append(rows,
			verdict{"JV-11/C43_kid_of_the_real_key_" + name, forger(members), verifier.ErrSignature},
			verdict{"JV-11/without_kid_" + name, sign(rsaTwo(), "RS256", goodHeader().edit(members).edit(object{"kid": nil}).String(), goodClaims().String()), verifier.ErrSignature},
			verdict{"JV-11/own_kid_" + name, forger(members.edit(object{"kid": "two"})), verifier.ErrUnknownKey},
			verdict{"JV-11/C45_rightly_signed_" + name, token(members, nil), nil})
	}
	for _, name := range []string{"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"} {
		for kind, v := range notStrings {
			rows = append(rows, verdict{"JV-11/presence_is_not_fatal_" + name + "_" + kind, token(object{name: v}, nil), nil})
		}
	}
	judge(t, newVerifier(t), rows)
}

// TestNothingIsFetched puts the URL of a running server into every member in turn.
func TestNothingIsFetched(t *testing.T) {
	var hits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer server.Close()
	url := server.URL + "/canary"
	try := func(name, raw string) {
		t.Run(name, func(t *testing.T) {
			keys := keysOne()
			v := newVerifier(t, func(cfg *verifier.Config) { cfg.Keys = keys })
			_, _ = v.Verify(t.Context(), raw)
			for _, miss := range keys.misses {
				if strings.Contains(miss.KeyID, url) && !strings.Contains(name, "kid") {
					t.Errorf("the key source was asked for %q", miss.KeyID)
				}
			}
			if n := hits.Load(); n != 0 {
				t.Fatalf("%d requests to an address that a token names", n)
			}
		})
	}
	for _, name := range []string{
		"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit", "enc", "zip", "epk", "iss", "sub", "aud", "url", "$ref",
	} {
		for kind, v := range map[string]any{"text": url, "list": []string{url}, "object": object{"$ref": url, "url": url, "kid": url}} {
			try("JV-11/C56_"+name+"_"+kind, token(object{name: v}, nil))
			try("JV-11/C56_forged_"+name+"_"+kind, forger(object{name: v}))
		}
	}
	for _, name := range []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "act", "acr", "amr", "auth_time", "roles",
		"groups", "entitlements", "jwks_uri", "jku", "_claim_sources", "$ref", "x",
	} {
		for kind, v := range map[string]any{"text": url, "list": []string{url}, "object": object{"jku": url, "jwk": object{"x5u": url}, "sub": url}} {
			try("JV-13/D59_"+name+"_"+kind, token(nil, object{name: v}))
		}
	}
}

func TestKeyIDHeader(t *testing.T) {
	kid := func(v any) string { return token(object{"kid": v}, nil) }
	rows := []verdict{
		{"JV-12/512_bytes", kid(strings.Repeat("k", 512)), verifier.ErrUnknownKey},
		{"JV-12/513_bytes", kid(strings.Repeat("k", 513)), verifier.ErrMalformedToken},
		{"JV-12/512_bytes_of_two", kid(strings.Repeat("é", 256)), verifier.ErrUnknownKey},
		{"JV-12/514_bytes_of_two", kid(strings.Repeat("é", 257)), verifier.ErrMalformedToken},
		{"JV-12/512_bytes_escaped", headerText(`{"alg":"RS256","typ":"at+jwt","kid":"` + strings.Repeat(`\u006b`, 512) + `"}`), verifier.ErrUnknownKey},
		{"JV-12/absent", kid(nil), nil},
		{"JV-12/empty", kid(""), verifier.ErrUnknownKey},
		{"JV-12/case", kid("ONE"), verifier.ErrUnknownKey},
		{"JV-12/prefix", kid("on"), verifier.ErrUnknownKey},
		{"JV-12/nul", kid("one\x00"), verifier.ErrUnknownKey},
	}
	for name, v := range notStrings {
		rows = append(rows, verdict{"JV-12/C35_" + name, kid(v), verifier.ErrMalformedToken})
	}
	judge(t, newVerifier(t), rows)

	strange := map[string]string{
		"C30_path": "../../../../dev/null", "C30_proc": "/proc/self/environ", "C30_windows": `C:\secrets\key.pem`,
		"C31_sql": "x' UNION SELECT 'k'--", "C31_ldap": "*)(uid=*))(|(uid=*", "C31_template": "{{7*7}}", "C31_jndi": "${jndi:ldap://evil/x}",
		"C32_pipe": "| sleep 10", "C32_backticks": "`sleep 10`", "C32_subshell": "$(id)", "C33_url": "https://evil.example/jwks.json",
		"C36_crlf": "one\r\nX-Evil: 1", "C36_escape": "\x1b[31mred", "C36_bidi": "one\u202egpj",
	}
	for name, v := range strange {
		t.Run("JV-12/"+name, func(t *testing.T) {
			keys := keysOne()
			verify := newVerifier(t, func(cfg *verifier.Config) { cfg.Keys = keys })
			tok, err := verifyOnce(t, verify, kid(v))
			wantClass(t, tok, err, verifier.ErrUnknownKey)
			if strings.Contains(err.Error(), v) {
				t.Errorf("the error quotes the kid: %v", err)
			}
			if len(keys.misses) != 1 || keys.misses[0].KeyID != v {
				t.Errorf("the source got %v, not the very kid", keys.misses)
			}
			// It is a name like any other where a key has it.
			keys.set(jwks(jwk(rsaOne(), object{"kid": v})))
			tok, err = verifyOnce(t, verify, kid(v))
			wantAccepted(t, tok, err)
		})
	}
}

func TestOtherHeaderMembers(t *testing.T) {
	with := func(name string, v any) string { return token(object{name: v}, nil) }
	rows := []verdict{
		{"JV-27/C55_unknown_member", with("foo", "bar"), nil},
		{"JV-27/unknown_object", with("foo", object{"alg": "none", "crit": []string{"x"}}), nil},
		{"JV-27/C54_zip_is_ignored", with("zip", "DEF"), nil},
		{"JV-27/C54_epk_is_ignored", with("epk", object{"kty": "EC"}), nil},
		{"JV-27/C54_p2c_is_ignored", with("p2c", 2147483647), nil},
		{"JV-27/claims_in_header_do_not_count", sign(rsaOne(), "RS256", goodHeader().edit(goodClaims()).String(), goodClaims().edit(object{"sub": nil}).String()), verifier.ErrMissingClaim},
		{"JV-34/cty_of_data", with("cty", "application/json"), nil},
		{"JV-34/cty_text_jwt", with("cty", "jwt-claims"), nil},
	}
	for kind, v := range notStrings {
		rows = append(rows, verdict{"JV-27/C54_enc_" + kind, with("enc", v), verifier.ErrMalformedToken})
	}
	rows = append(rows, malformed("JV-27/C54_enc_", map[string]string{"text": with("enc", "A128GCM"), "empty": with("enc", "")})...)
	for _, v := range []string{"JWT", "jwt", "Jwt", "application/jwt", "APPLICATION/JWT", "at+jwt", "application/at+jwt", "dpop+jwt"} {
		rows = append(rows, verdict{"JV-34/" + v, with("cty", v), verifier.ErrMalformedToken})
	}
	judge(t, newVerifier(t), rows)
}

func TestMixedTokens(t *testing.T) {
	x := strings.Split(token(nil, object{"sub": "x"}), ".")
	y := strings.Split(token(nil, object{"sub": "y"}), ".")
	other := strings.Split(token(object{"x": 1}, object{"sub": "x"}), ".")
	judge(t, newVerifier(t), []verdict{
		{"ER-07/C58_payload_of_another", x[0] + "." + y[1] + "." + x[2], verifier.ErrSignature},
		{"ER-07/C58_header_of_another", other[0] + "." + x[1] + "." + x[2], verifier.ErrSignature},
		{"ER-07/C58_signature_of_another", x[0] + "." + x[1] + "." + y[2], verifier.ErrSignature},
		{"ER-07/D47_unsigned_bytes", x[0] + "." + x[1] + "." + b64("x"), verifier.ErrSignature},
		{"ER-07/C58_all_of_one", strings.Join(x, "."), nil},
	})
	t.Run("ER-07/every_bit_of_the_signature_counts", func(t *testing.T) {
		v := newVerifier(t)
		sig := ok(base64.RawURLEncoding.DecodeString(x[2]))
		for i := range sig {
			sig[i] ^= 1 << (i % 8)
			tok, err := verifyTwice(t, v, x[0]+"."+x[1]+"."+b64(string(sig)))
			wantClass(t, tok, err, verifier.ErrSignature)
			sig[i] ^= 1 << (i % 8)
		}
	})
}

func TestHeaderOrder(t *testing.T) {
	// The members of a header may come in any order, with any others between them.
	members := []string{`"alg":"RS256"`, `"typ":"at+jwt"`, `"kid":"one"`, `"x":{"alg":"none"}`}
	for i := range members {
		order := append(append([]string{}, members[i:]...), members[:i]...)
		header := "{" + strings.Join(order, ",") + "}"
		if !json.Valid([]byte(header)) {
			t.Fatal(header)
		}
		judge(t, newVerifier(t), []verdict{{fmt.Sprintf("JV-04/B35_member_order_%d", i), headerText(header), nil}})
	}
}
