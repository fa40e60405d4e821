// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

func edSign(input string) []byte { return ed25519.Sign(ed(3), []byte(input)) }

func edVerify(input string, sig []byte) bool {
	return ed25519.Verify(ed(3).Public().(ed25519.PublicKey), []byte(input), sig)
}

// oddMembers are members that a payload or header can have beside good ones: every form
// that JSON allows, and many that it does not.
func oddMembers() []string {
	deep := func(open, inside, shut string, n int) string {
		return `"x":` + strings.Repeat(open, n) + inside + strings.Repeat(shut, n)
	}
	list := []string{
		`"x":1`, `"x":"\u0061\n\t\b\f\r\"\\\/"`, `"\u0078":1,"x":2`, `"x":1,"\u0078":2`, `"x":{"a":1,"\u0061":2}`, `"x":[{"a":1},{"a":1,"a":2}]`,
		`"x":"\ud83d\ude00"`, `"x":"\ud83d"`, `"x":"\ude00"`, `"x":"\ud83d\ud83d\ude00"`, `"x":"\ud83d\\ude00"`, `"x":"\uD83D\uDE00"`, `"\ud83d\ude00":1,"😀":2`, `"\ud83d":1`,
		`"x":"\u00"`, `"x":"\u00zz"`, `"x":"\U0061"`, `"x":"\x61"`, `"x":"\'"`, `"x":"\`, `"x":"`, `"x":"\u0000"`, "\"x\":\"\x00\"", "\"x\":\"\x1f\"", "\"x\":\"\x7f\"", "\"x\":\"\n\"",
		"\"x\":\"\xff\"", "\"x\":\"\xc0\x80\"", "\"x\":\"\xed\xa0\x80\"", "\"x\":\"\xf4\x90\x80\x80\"", "\"x\":\"\xe2\x82\"", "\"\xff\":1", "\"x\":\"\u2028\ufeff\ufffd\"", "\xef\xbb\xbf\"x\":1", "\"x\":\x001",
		deep("[", "", "]", 31), deep("[", "", "]", 32), deep("[", "1", "]", 31), deep(`{"a":`, "1", "}", 31), deep(`{"a":`, "1", "}", 32), deep(`[{"a":`, "[]", "}]", 15), deep(`[{"a":`, "[[]]", "}]", 15),
		`"x":[1,2,3,"a",null,true,{},[]]`, `"x":[` + strings.Repeat("0,", 2000) + `0]`, `"x":["` + strings.Repeat(`a","`, 500) + `"]`, `"x":"` + strings.Repeat("y", 5000) + `"`,
		`"x":01`, `"x":-`, `"x":-0`, `"x":+1`, `"x":.5`, `"x":1.`, `"x":1.5e`, `"x":1e+`, `"x":1E-5`, `"x":1e400`, `"x":-1.5E+0009`, `"x":0x1`, `"x":1_0`, `"x":NaN`, `"x":Infinity`, `"x":1 2`,
		`"x":tru`, `"x":truex`, `"x":True`, `"x":nul`, `"x":falsey`, `"x":undefined`, `"x"`, `"x":`, `"x":,"y":1`, `x:1`, `'x':1`, `"x":'a'`, `"x":1,`, `,"x":1`, `"x":1}{"y":2`, `"x":[1,]`, `"x":[,1]`, `"x":[1 2]`, `"x":{`, `"x":[`, `"x":{"a"}`, `"x":{1:2}`, `"x":/**/1`,
		" \t\r\n\"x\"\t:\r\n1 ", "\"x\":\v1", "\"x\":\u00a01", `"":1`, `"":1,"":2`, `"X":1,"x":2`, `"ſ":1,"s":2`, `"K":1,"k":2`, `"x":{"A":1,"a":2}`, `"x":[{"ı":1,"i":2}]`, `"__proto__":1,"constructor":{}`,
		`"a.b":1,"a":{"b":2}`, `"ISS":"x","Iss":"y"`,
	}
	var many strings.Builder
	for i := range 40 { // more than any fixed table of names
		many.WriteString(`"k` + strings.Repeat("x", i) + `":0,`)
	}
	return append(list, many.String()+`"last":1`, many.String()+`"k":1`, many.String()+`"\u006b":1`)
}

// oddClaims are values of the claims that the verifier reads, one or several each.
func oddClaims() (edits []object) {
	texts := []any{"", "a", " ", "a b", "a  a b", "a\tb", "a\"b", "a\\b", "é", "\x00", "a\u007f", 1, true, nullJSON, object{}, []any{}, []string{"a", "a", "b c"}, []any{"a", 1}, []string{""}, raw(`"\u0061\u0020b"`), raw(`"\ud83d\ude00"`)}
	for _, name := range []string{"iss", "sub", "aud", "jti", "client_id", "scope", "acr", "amr", "roles", "groups", "entitlements", "typ", "token_use", "nonce", "azp"} {
		edits = append(edits, object{name: nil})
		for _, v := range texts {
			edits = append(edits, object{name: v})
		}
	}
	for _, v := range texts {
		edits = append(edits, object{"realm": object{"scp": v, "roles": v}}, object{"client": object{"id": v}}, object{"client": v, "realm": v},
			object{"client": object{"id": "c"}, "realm": object{"scp": v}}, object{"https://x.example/groups": v, "a": object{"b": object{"c": v}}})
	}
	for _, n := range []string{
		"0", "-0", "-0.0", "1", "-1", "1e0", "1.7673552e9", "17673552e2", "1767355200.5", "1767355229.999999999", "1767355230", "1767355230.0000000001", "1767355170", "1767355170.1", "1767355170.000000001",
		"253402300799", "253402300799.0", "253402300799.0000000001", "253402300800", "2534023007990e-1", "1e400", "1e-400", "-1e-400", "0e999999999999999999999", "1e999999999999999999999", "1e-999999999999999999999", `"1767355200"`, "null", "[1]", "true",
		"1767355200." + strings.Repeat("0", 300) + "1", "0." + strings.Repeat("0", 50) + "1767355200e60", strings.Repeat("9", 400), "1767355200e-0", "1767355200E+00",
	} {
		for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
			edits = append(edits, object{name: raw(n)})
		}
	}
	sum := b64(strings.Repeat("k", 32))
	for _, cnf := range []any{
		object{}, object{"jkt": sum}, object{"x5t#S256": sum}, object{"jkt": sum, "x5t#S256": sum}, object{"jkt": sum + "="}, object{"jkt": sum[:42] + "t"}, object{"jkt": sum[:20] + "\n" + sum[20:]},
		object{"jkt": sum[:40]}, object{"jkt": sum, "x5t#S256": 1}, object{"jkt": ""}, object{"kid": "x"}, object{"JKT": sum}, "x", nullJSON, []any{},
	} {
		edits = append(edits, object{"cnf": cnf})
	}
	for _, act := range []any{object{}, object{"sub": "a", "iss": "b", "client_id": "c"}, object{"sub": 1, "act": object{"sub": "x"}}, "x", nullJSON, []any{object{"sub": "a"}}} {
		edits = append(edits, object{"act": act})
	}
	return append(edits, object{"exp": nil}, object{"iat": nil}, object{"aud": []string{"x", audience}}, object{"aud": []any{audience, nullJSON}},
		object{"roles": []any{object{"value": "a"}, "b"}}, object{"roles": []any{object{"VALUE": "a"}}}, object{"roles": []any{object{"value": 1}}}, object{"roles": []any{[]any{}}},
		object{"scope": strings.Repeat("a b c d ", 200)}, object{"typ": "Logout"}, object{"typ": "ıd"}, object{"typ": "reſresh"}, object{"token_use": "access"})
}

// readingSeeds are the odd members in each place, the odd claims, and edits of the text.
func readingSeeds() (seeds []reading) {
	header, claims := goodHeader().edit(object{"alg": "EdDSA"}), goodClaims().edit(object{"client": object{"id": "c"}, "realm": object{"scp": []string{"a"}, "roles": []string{"r"}}})
	h, c := header.String(), claims.String()
	for _, m := range oddMembers() {
		seeds = append(seeds, reading{payloadFront, 0, "", h, m}, reading{payloadBack, 0, "", h, m}, reading{headerFront, 0, "", m, c})
	}
	for _, edit := range oddClaims() {
		seeds = append(seeds, reading{0, 0, "", h, claims.edit(edit).String()})
	}
	for _, s := range fuzzSeeds() {
		if s.mode == 1 {
			seeds = append(seeds, reading{0, 0, "", s.a, s.b})
		}
	}
	for _, whole := range []string{"", " ", "{}", "null", "[]", `""`, "1", c + " ", c + "\n", " " + c, c + "{}", c + ",", c + "\x00", "\ufeff" + c, "[" + c + "]", c[:len(c)-1], strings.Repeat(" ", 9000) + c, strings.Repeat("[", 9000)} {
		seeds = append(seeds, reading{0, 0, "", h, whole}, reading{0, 0, "", whole, c})
	}
	dot := uint16(len(b64(h)))
	for _, edit := range []string{"\r", "\n", "\r\n", "=", "==", ".", "..", ".AAAA.AAAA", "A", "+", "/", "-", "_", " ", "\x00", "%2E", "é", "\xff", "B"} {
		for _, at := range []uint16{0, 1, 5, dot - 1, dot, dot + 1, dot + 20, 65_535} {
			for _, kind := range []byte{editInsert, editOver, editCut} {
				seeds = append(seeds, reading{kind, at, edit, h, c}, reading{kind | editSigned, at, edit, h, c})
			}
		}
	}
	for _, pad := range []string{`{"alg":"EdDSA","typ":"at+jwt"}`, `{"alg":"EdDSA","typ":"at+jwt" }`, `{"alg":"EdDSA","typ":"at+jwt"  }`} { // each length modulo 3
		for _, last := range []string{"B", "C", "E", "I", "Q", "g"} {
			seeds = append(seeds, reading{editOver | editSigned, uint16(len(b64(pad)) - 1), last, pad, c})
		}
	}
	return seeds
}

// TestPlainReader keeps the reference of FuzzReading honest: it knows good from bad
// without the package's help, and the seeds reach every class.
func TestPlainReader(t *testing.T) {
	readers := plainReaders(t)
	h := goodHeader().edit(object{"alg": "EdDSA"}).String()
	t.Run("GO-13/good_token", func(t *testing.T) {
		e, class := readers[0].read(reading{0, 0, "", h, goodClaims().String()}.token())
		if class != nil || e.token.Subject != "user-1" || e.token.ExpiresAt.Sub(noon).Minutes() != 10 || len(e.token.Scopes) != 1 || e.bound || e.clash {
			t.Errorf("%+v, %v", e, class)
		}
	})
	t.Run("GO-13/seeds_of_every_class", func(t *testing.T) {
		seen := map[error]int{}
		for _, s := range readingSeeds() {
			raw := s.token()
			for _, r := range readers {
				_, class := r.read(raw)
				seen[class]++
			}
		}
		for _, class := range []error{
			nil, verifier.ErrMalformedToken, verifier.ErrIssuer, verifier.ErrAlgorithm, verifier.ErrTokenType, verifier.ErrUnknownKey, verifier.ErrSignature,
			verifier.ErrAudience, verifier.ErrExpired, verifier.ErrNotYetValid, verifier.ErrMissingClaim, verifier.ErrInvalidClaim, verifier.ErrBinding,
		} {
			if seen[class] < 4 {
				t.Errorf("class %v: %d seeds", class, seen[class])
			}
		}
		t.Log(seen)
	})
	for name, date := range map[string]string{
		"-0": "1970-01-01T00:00:00Z", "1.5": "1970-01-01T00:00:01.5Z", "15e-1": "1970-01-01T00:00:01.5Z", "253402300799": "9999-12-31T23:59:59Z",
		"1e-9999999999": "1970-01-01T00:00:00Z", "0.0000000019": "1970-01-01T00:00:00.000000001Z",
		"-1": "", "253402300799.1": "", "1e9999999999": "", "-1e-99": "",
	} {
		t.Run("JV-20/reference_reads_"+name, func(t *testing.T) {
			got, valid := plainDate(json.Number(name))
			if valid != (date != "") || valid && got.Format("2006-01-02T15:04:05.999999999Z07:00") != date {
				t.Errorf("%v, %v", got, valid)
			}
		})
	}
}
