// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/verifier"
)

// fuzzEC is fixed, so that a found input means the same in every process.
var fuzzEC = sync.OnceValue(func() *ecdsa.PrivateKey {
	return ok(ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{5}, 32)))
})

const fuzzModes = 4

// fuzzToken makes a token of what the fuzzer gives. Signing for it takes it past
// the signature, where most of the reading is done.
func fuzzToken(mode byte, a, b string) string {
	switch mode % fuzzModes {
	case 1:
		return sign(ed(3), "EdDSA", a, b)
	case 2:
		return sign(fuzzEC(), "ES256", a, b)
	case 3:
		return b64(a) + "." + b64(b) + ".AAAA"
	}
	return a
}

// fuzzVerifiers are one verifier for each profile.
func fuzzVerifiers(t testing.TB) (strict, old *verifier.Verifier) {
	keys := withKeys(jwks(jwk(ed(3), object{"kid": "one"}), jwk(fuzzEC(), object{"kid": "one"})))
	return newVerifier(t, keys), newVerifier(t, keys, legacy)
}

// FuzzVerify: what is accepted is accepted by a reference of its own making, too,
// and re-joins to the same bytes; its signature verifies with the standard library.
// What is refused is refused by the reference, too, and as the client's fault.
// Nothing panics.
func FuzzVerify(f *testing.F) {
	for _, seed := range fuzzSeeds() {
		f.Add(seed.mode, seed.a, seed.b)
	}
	strict, old := fuzzVerifiers(f)
	f.Fuzz(func(t *testing.T, mode byte, a, b string) {
		raw := fuzzToken(mode, a, b)
		checkAgainstReference(t, strict, raw, false)
		checkAgainstReference(t, old, raw, true)
	})
}

func checkAgainstReference(t *testing.T, v *verifier.Verifier, raw string, old bool) {
	t.Helper()
	tok, err := v.Verify(t.Context(), raw)
	again, errAgain := v.Verify(t.Context(), raw)
	if verifier.ClassOf(err) != verifier.ClassOf(errAgain) || !reflect.DeepEqual(tok, again) {
		t.Fatalf("first %v, %v; then %v, %v", tok, err, again, errAgain)
	}
	if err != nil {
		var e *verifier.Error
		if tok != nil || !errors.As(err, &e) || !isInvalidToken(e.Class) {
			t.Fatalf("refused with token %v and error %v", tok, err)
		}
		if _, refErr := readReference(raw, old, -blur); refErr == nil {
			t.Fatalf("the reference accepts, but: %v", err)
		}
		return
	}
	ref, err := readReference(raw, old, blur)
	if err != nil {
		t.Fatalf("accepted, but the reference says: %v", err)
	}
	if rejoined := b64(string(ref.header)) + "." + b64(string(ref.payload)) + "." + b64(string(ref.signature)); rejoined != raw {
		t.Fatalf("re-joins to %q", rejoined)
	}
	compareClaims(t, tok, ref)
}

// compareClaims: the token says what the reference read.
func compareClaims(t *testing.T, tok *verifier.Token, ref *reference) {
	t.Helper()
	text := func(name string) string { s, _ := ref.claims[name].(string); return s }
	if tok.Issuer != text("iss") || tok.Subject != text("sub") || tok.ClientID != text("client_id") || tok.ID != text("jti") {
		t.Fatalf("token %+v differs from its claims %v", tok, ref.claims)
	}
	for _, s := range strings.Split(text("scope"), " ") {
		if s != "" && (!tok.HasScope(s) || !slices.Contains(tok.Scopes, s)) {
			t.Fatalf("scope %q of %q is missing: %q", s, text("scope"), tok.Scopes)
		}
	}
	for _, s := range tok.Scopes {
		if !slices.Contains(strings.Split(text("scope"), " "), s) {
			t.Fatalf("scope %q is not in %q", s, text("scope"))
		}
	}
	var decoded map[string]any
	if err := tok.Decode(&decoded); err == nil && !reflect.DeepEqual(decoded, ref.claims) {
		t.Fatalf("Decode gives %v, want %v", decoded, ref.claims)
	}
}

// reference is a token read again, with other means than the package's own.
type reference struct {
	header, payload, signature []byte
	claims                     map[string]any
}

func readReference(raw string, old bool, blur float64) (*reference, error) {
	segments := strings.Split(raw, ".")
	if len(segments) != 3 || len(raw) > 16_384 || strings.ContainsAny(raw, "\r\n") {
		return nil, errors.New("not three segments of legal length")
	}
	var parts [3][]byte
	for i, s := range segments {
		b, err := base64.RawURLEncoding.Strict().DecodeString(s)
		if err != nil || len(b) == 0 {
			return nil, fmt.Errorf("segment %d: %v", i, err)
		}
		parts[i] = b
	}
	header, err := referenceObject(parts[0])
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	claims, err := referenceObject(parts[1])
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	ref := &reference{parts[0], parts[1], parts[2], claims}
	return ref, errors.Join(
		referenceSignature(header, segments[0]+"."+segments[1], ref.signature),
		referenceHeader(header, old), referenceClaims(claims, old, blur),
	)
}

func referenceSignature(header map[string]any, input string, sig []byte) error {
	switch header["alg"] {
	case "EdDSA", "Ed25519":
		if ed25519.Verify(ed(3).Public().(ed25519.PublicKey), []byte(input), sig) {
			return nil
		}
	case "ES256":
		sum := sha256.Sum256([]byte(input))
		if len(sig) == 64 && ecdsa.Verify(&fuzzEC().PublicKey, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			return nil
		}
	}
	return errors.New("the signature does not verify")
}

func referenceHeader(header map[string]any, old bool) error {
	for _, name := range []string{"crit", "enc"} {
		if _, there := header[name]; there {
			return fmt.Errorf("%s in the header", name)
		}
	}
	if b, there := header["b64"]; there && b != true {
		return errors.New("b64 is not true")
	}
	if kid, there := header["kid"]; there && kid != "one" {
		return errors.New("another kid")
	}
	cty, isText := header["cty"].(string)
	if _, there := header["cty"]; there && !isText || strings.HasSuffix(strings.ToLower(cty), "jwt") {
		return errors.New("cty of a nested token, or no string")
	}
	typ, there := header["typ"]
	name, _ := typ.(string)
	switch strings.TrimPrefix(strings.ToLower(name), "application/") {
	case "at+jwt":
		return nil
	case "jwt":
		if old {
			return nil
		}
	}
	if !there && old {
		return nil
	}
	return fmt.Errorf("typ %v", typ)
}

func referenceClaims(claims map[string]any, old bool, blur float64) error {
	var errs []error
	refuse := func(wrong bool, name string) {
		if wrong {
			errs = append(errs, fmt.Errorf("%s: %v", name, claims[name]))
		}
	}
	aud, isList := claims["aud"].([]any)
	if !isList {
		aud = []any{claims["aud"]}
	}
	for _, a := range aud {
		_, isText := a.(string)
		refuse(!isText, "aud")
	}
	refuse(claims["iss"] != issuerURL, "iss")
	refuse(!slices.Contains(aud, any(audience)), "aud")
	for _, name := range []string{"sub", "client_id", "jti"} {
		text, isText := claims[name].(string)
		_, there := claims[name]
		refuse(there && !isText || !old && text == "", name)
	}
	scope, isText := claims["scope"].(string)
	_, there := claims["scope"]
	refuse(there && !isText || strings.IndexFunc(scope, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) >= 0, "scope")
	_, bound := claims["cnf"]
	refuse(bound, "cnf")
	_, isObject := claims["act"].(map[string]any)
	_, there = claims["act"]
	refuse(there && !isObject, "act")
	for _, name := range []string{"exp", "nbf", "iat"} {
		refuse(!referenceTime(claims, name, old, blur), name)
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection", "status_list", "htm", "htu"} {
		_, there := claims[name]
		refuse(there && old, name)
	}
	use, there := claims["token_use"]
	refuse(old && there && use != "access", "token_use")
	kind, _ := claims["typ"].(string)
	refuse(old && slices.Contains([]string{"id", "refresh", "offline", "logout"}, strings.ToLower(kind)), "typ")
	return errors.Join(errs...)
}

// blur is what a time may be off by, in seconds, since the reference counts with
// floats: it is in favour of acceptance where acceptance is checked, else against.
const blur = 0.001

func referenceTime(claims map[string]any, name string, old bool, blur float64) bool {
	v, there := claims[name]
	if !there {
		return name == "nbf" || name == "iat" && old
	}
	number, isNumber := v.(json.Number)
	seconds, err := strconv.ParseFloat(string(number), 64)
	if !isNumber || err != nil || seconds < 0 || seconds > 253402300799+blur {
		return false
	}
	ahead := seconds - float64(noon.Unix())
	if name == "exp" {
		return ahead > -30-blur
	}
	return ahead < 30+blur
}

// referenceObject reads one strict JSON object with encoding/json's tokens.
func referenceObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, errors.New("no valid JSON in valid UTF-8")
	}
	if err := pairedSurrogates(data); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := referenceValue(dec, 0)
	if err != nil {
		return nil, err
	}
	obj, isObject := v.(map[string]any)
	if !isObject {
		return nil, errors.New("no object")
	}
	return obj, nil
}

func referenceValue(dec *json.Decoder, depth int) (any, error) {
	tok, err := dec.Token()
	open, isDelim := tok.(json.Delim)
	if err != nil || !isDelim {
		return tok, err
	}
	if depth++; depth > 32 {
		return nil, errors.New("too deep")
	}
	obj, list := map[string]any{}, []any{}
	for dec.More() {
		name := ""
		if open == '{' {
			n, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name = n.(string)
		}
		v, err := referenceValue(dec, depth)
		if err != nil {
			return nil, err
		}
		if _, twice := obj[name]; twice && open == '{' {
			return nil, fmt.Errorf("%q twice", name)
		}
		obj[name], list = v, append(list, v)
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if open == '{' {
		return obj, nil
	}
	return list, nil
}

// pairedSurrogates looks for \u escapes; a backslash is in strings only, as data
// is valid JSON.
func pairedSurrogates(data []byte) error {
	var high rune
	for i := 0; i < len(data); i++ {
		var unit rune
		if data[i] == '\\' {
			i++
			if data[i] == 'u' {
				n, _ := strconv.ParseUint(string(data[i+1:i+5]), 16, 16)
				unit = rune(n)
				i += 4
			}
		}
		isHigh := 0xd800 <= unit && unit < 0xdc00
		isLow := 0xdc00 <= unit && unit < 0xe000
		if isLow != (high != 0) || isLow && utf16.DecodeRune(high, unit) == utf8.RuneError {
			return errors.New("lone surrogate")
		}
		high = 0
		if isHigh {
			high = unit
		}
	}
	return nil
}

// TestReference keeps the reference honest: it knows good from bad without the
// package's help.
func TestReference(t *testing.T) {
	header := goodHeader().edit(object{"alg": "EdDSA"}).String()
	good := func(payload string) string { return sign(ed(3), "EdDSA", header, payload) }
	t.Run("GO-13/accepts_good_tokens", func(t *testing.T) {
		for _, raw := range []string{
			good(goodClaims().String()), sign(fuzzEC(), "ES256", goodHeader().edit(object{"alg": "ES256"}).String(), goodClaims().String()),
			good(strings.Replace(goodClaims().String(), "{", `{"x":"\ud83d\ude00","y":[{},[{"a":1}],1e400],`, 1)),
		} {
			if _, err := readReference(raw, false, blur); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("GO-13/seeds_of_both_kinds", func(t *testing.T) {
		strict, old := fuzzVerifiers(t)
		accepted, refused := 0, 0
		for _, seed := range fuzzSeeds() {
			for _, v := range []*verifier.Verifier{strict, old} {
				if _, err := v.Verify(t.Context(), fuzzToken(seed.mode, seed.a, seed.b)); err == nil {
					accepted++
				} else {
					refused++
				}
			}
		}
		if accepted < 40 || refused < 200 {
			t.Errorf("%d seeds accepted, %d refused", accepted, refused)
		}
	})
	t.Run("GO-13/refuses_bad_ones", func(t *testing.T) {
		claims := strings.TrimPrefix(goodClaims().String(), "{")
		for _, payload := range []string{
			`{"aud":"x",` + claims, `{"x":{"a":1,"\u0061":2},` + claims, `{"x":"\ud800",` + claims, `{"x":"\ude00",` + claims,
			`{"x":"\ud800\ud800",` + claims, `{"x":"\ud83d\\ude00",` + claims, "{\"x\":\"\xff\"," + claims, "\ufeff{" + claims, "{" + claims + "{}",
			`{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `,` + claims, `[{` + claims + `]`, `{"x":01,` + claims,
			goodClaims().edit(object{"exp": 1}).String(), goodClaims().edit(object{"aud": []any{audience, 1}}).String(),
		} {
			if _, err := readReference(good(payload), false, blur); err == nil {
				t.Errorf("%.60q was accepted", payload)
			}
		}
		raw := good(goodClaims().String())
		for _, bad := range []string{raw + "=", raw + "\n", raw[:len(raw)-1], raw[1:], raw + ".", strings.Replace(raw, ".", "..", 1)} {
			if _, err := readReference(bad, false, blur); err == nil {
				t.Errorf("a variant of a good token was accepted")
			}
		}
	})
}

// fuzzSeed is one input of FuzzVerify.
type fuzzSeed struct {
	mode byte
	a, b string
}

// fuzzSeeds are the hostile inputs about tokens, and what is good beside them.
func fuzzSeeds() (seeds []fuzzSeed) {
	header, claims := goodHeader().edit(object{"alg": "EdDSA"}), goodClaims()
	add := func(h, c string) {
		seeds = append(seeds, fuzzSeed{1, h, c}, fuzzSeed{3, h, c})
	}
	add(header.String(), claims.String())
	seeds = append(seeds, fuzzSeed{2, goodHeader().edit(object{"alg": "ES256"}).String(), claims.String()})
	for _, edit := range []object{
		{"alg": "none"}, {"alg": "HS256"}, {"alg": "Ed25519"}, {"alg": nullJSON}, {"alg": []string{"EdDSA"}}, {"alg": nil}, {"typ": nil}, {"typ": "JWT"},
		{"typ": "application/at+jwt"}, {"typ": "AT+JWT"}, {"typ": "dpop+jwt"}, {"kid": nil}, {"kid": 1}, {"kid": "../../dev/null"}, {"crit": []string{"exp"}},
		{"crit": []string{}}, {"b64": false}, {"b64": true}, {"enc": "A128GCM"}, {"zip": "DEF"}, {"cty": "JWT"}, {"jku": "https://evil.example"}, {"jwk": object{}},
		{"ALG": "none"}, {"x5c": []string{"MIIB"}}, {"foo": 1},
	} {
		add(header.edit(edit).String(), claims.String())
	}
	for _, edit := range []object{
		{"iss": nil}, {"iss": issuerURL + "/"}, {"iss": []string{issuerURL}}, {"aud": []string{"x", audience}}, {"aud": []any{audience, 1}}, {"aud": []string{}},
		{"exp": "9999999999"}, {"exp": raw("1e400")}, {"exp": raw("1.8e9")}, {"exp": raw("1800000000.5")}, {"exp": -1}, {"exp": nil, "EXP": int64(1) << 40}, {"nbf": 0},
		{"iat": raw("-0")}, {"sub": ""}, {"sub": 1}, {"jti": nil}, {"scope": "a  b"}, {"scope": "a\tb"}, {"scope": []string{"a"}}, {"scope": ""}, {"cnf": object{}},
		{"cnf": object{"jkt": "x"}}, {"act": object{"sub": "a", "act": object{}}}, {"act": 1}, {"nonce": "n"}, {"token_use": "id"}, {"typ": "Refresh"}, {"events": object{}},
		{"n": raw("9007199254740993")}, {"a": []any{object{"b": []int{}}}}, {"__proto__": 1, "": 2}, {"roles": []any{object{"value": "a"}}},
	} {
		add(header.String(), claims.edit(edit).String())
	}
	open, c := strings.TrimPrefix(header.String(), "{"), strings.TrimPrefix(claims.String(), "{")
	for _, h := range []string{`{"alg":"EdDSA","alg":"none",` + open, `{"\u0061lg":"none",` + open, "", "null", "[]", "{}", `{"x":"` + "\xff" + `",` + open} {
		add(h, claims.String())
	}
	for _, p := range []string{
		`{"aud":"x",` + c, `{"\u0061ud":"x",` + c, `{"x":{"a":1,"a":1},` + c, `{"x":"\ud800",` + c, `{"x":"\ud83d\ude00",` + c, `{"x":"\u0000\/",` + c, "\ufeff{" + c,
		"{" + c + " {}", ` { ` + c + "\r\n\t ", `{"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `,` + c, `{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `,` + c,
		"null", "[]", `""`, "1", "{}", "", "{'a':1}", `{"x":01,` + c, `{"x":NaN,` + c, `{"i\u017fs":1,"Aud":2,` + c,
	} {
		add(header.String(), p)
	}
	good := sign(ed(3), "EdDSA", header.String(), claims.String())
	for _, r := range []string{
		good, good + "=", good + ".", good[:len(good)-1], strings.Replace(good, ".", "..", 1), strings.Repeat(".", 100), "", ".", "..", "a.b.c", "null", "undefined",
		good + ".a.b", `{"payload":"","signatures":[]}`, "v4.public.AAAA", good + "~x~", strings.ReplaceAll(good, "-", "+"), good[:50] + "\n" + good[50:],
	} {
		seeds = append(seeds, fuzzSeed{0, r, ""})
	}
	return seeds
}
