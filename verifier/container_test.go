// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

// verdict is one token and what must become of it; a nil class means accepted.
type verdict struct {
	name  string
	raw   string
	class error
}

// judge verifies every token twice, since the second time can take another path.
func judge(t *testing.T, v *verifier.Verifier, rows []verdict) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for range 2 {
				tok, err := verifyTwice(t, v, row.raw)
				if row.class == nil {
					wantAccepted(t, tok, err)
					continue
				}
				wantClass(t, tok, err, row.class)
				if !errors.Is(err, verifier.ErrInvalidToken) {
					t.Errorf("%v is not an ErrInvalidToken", err)
				}
			}
		})
	}
}

// malformed makes verdicts of class ErrMalformedToken, named by their keys.
func malformed(prefix string, tokens map[string]string) (rows []verdict) {
	for name, raw := range tokens {
		rows = append(rows, verdict{prefix + name, raw, verifier.ErrMalformedToken})
	}
	return rows
}

// signSegments signs two segments as they are, be they base64url or not.
func signSegments(header, payload string) string {
	input := header + "." + payload
	return input + "." + b64(string(ok(jose.Sign("RS256", rsaOne(), input))))
}

// headerText is a good token with exactly this header.
func headerText(header string) string {
	return sign(rsaOne(), "RS256", header, goodClaims().String())
}

// plus adds the text of further members to a JSON object.
func plus(o object, members string) string {
	return strings.TrimSuffix(o.String(), "}") + "," + members + "}"
}

// segments takes a good token apart; header and payload leave unused bits at the
// end of their last character (RFC 4648 §3.5).
func segments() (header, payload, signature string) {
	h, p := goodHeader().String(), goodClaims().String()
	for len(h)%3 == 0 {
		h += " "
	}
	for len(p)%3 == 0 {
		p += " "
	}
	s := signSegments(b64(h), b64(p))
	return b64(h), b64(p), s[strings.LastIndexByte(s, '.')+1:]
}

func TestSegments(t *testing.T) {
	good := token(nil, nil)
	h, p, s := segments()
	rows := malformed("JV-01/", map[string]string{
		"empty":                "",
		"B34_opaque":           "2YotnFZFEjr1zCsicMWpAA",
		"one_dot":              ".",
		"two_dots":             "..",
		"four_dots":            "....",
		"B3_two_segments":      h + "." + p,
		"four_segments":        good + "." + s,
		"four_segments_empty":  good + ".",
		"leading_dot":          "." + good,
		"B4_five_segments":     h + "." + p + "." + s + "." + s + "." + s,
		"B4_empty_key":         h + ".." + p + "." + s + "." + s,
		"six_segments":         good + "." + good,
		"B9_flattened_json":    fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, h, p, s),
		"B9_general_json":      fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, p, h, s),
		"C57_unprotected_alg":  fmt.Sprintf(`{"header":{"alg":"RS256","kid":"one"},"payload":%q,"signature":%q}`, p, s),
		"B33_sd_jwt":           good + "~WyJzYWx0IiwibmFtZSIsInZhbHVlIl0~",
		"B33_paseto":           "v4.public." + p + s,
		"B33_uuid":             "7f1b4c86-2f0d-4b5a-9a56-0f6c3b7f7f11",
		"B33_macaroon":         "MDAyMWxvY2F0aW9uIGh0dHBzOi8vYXBpCg",
		"bearer_prefix":        "Bearer " + good,
		"B29_dots":             strings.Repeat(".", 16_384),
		"B29_dots_over_limit":  strings.Repeat(".", 1_000_000),
		"nested_compact_token": b64(good) + "." + b64(good) + "." + s,
	})
	rows = append(rows, verdict{"JV-01/three_segments", h + "." + p + "." + s, nil})
	judge(t, newVerifier(t), rows)
	judge(t, newVerifier(t), malformed("JV-33/", map[string]string{
		"B2_empty_signature": h + "." + p + ".",
		"B2_empty_header":    "." + p + "." + s,
		"B30_empty_payload":  signSegments(h, ""),
		"B2_empty_all":       "..",
		"C1_none":            b64(`{"alg":"none","typ":"at+jwt"}`) + "." + p + ".",
	}))
}

func TestAlphabet(t *testing.T) {
	h, p, s := segments()
	var rows []verdict
	for name, c := range map[string]string{
		"plus": "+", "slash": "/", "equals": "=", "tilde": "~", "space": " ", "tab": "\t", "percent": "%2E",
		"nul": "\x00", "latin1": "\xe9", "utf8": "é", "fullwidth": "Ａ", "comma": ",", "quote": `"`,
	} {
		rows = append(rows, malformed("JV-02/"+name+"_in_", map[string]string{
			"header":    signSegments(h[:8]+c+h[8:], p),
			"payload":   signSegments(h, p[:8]+c+p[8:]),
			"signature": h + "." + p + "." + s[:8] + c + s[8:],
			"front":     c + h + "." + p + "." + s,
		})...)
	}
	judge(t, newVerifier(t), rows)

	// Both segments mean the same in the standard alphabet, and are signed as sent.
	std := base64.RawStdEncoding
	odd := plus(goodClaims(), `"x":"???>>>~~~ÿÿÿ"`)
	payload := std.EncodeToString([]byte(odd))
	if !strings.ContainsAny(payload, "+/") {
		t.Fatal("the payload does not show the standard alphabet")
	}
	judge(t, newVerifier(t), []verdict{
		{"JV-02/B10_standard_alphabet", signSegments(h, payload), verifier.ErrMalformedToken},
		{"JV-02/B10_url_alphabet", signSegments(h, b64(odd)), nil},
	})
}

// otherBits changes the unused bits of the last character only.
func otherBits(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(segment) - 1
	return segment[:last] + string(alphabet[strings.IndexByte(alphabet, segment[last])|1])
}

func TestBase64(t *testing.T) {
	h, p, s := segments()
	pad := func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) }
	var rows []verdict
	for name, change := range map[string]func(string) string{
		"B11_padding":       pad,
		"one_equals":        func(s string) string { return s + "=" },
		"newline_inside":    func(s string) string { return s[:4] + "\n" + s[4:] },
		"cr_inside":         func(s string) string { return s[:4] + "\r" + s[4:] },
		"crlf_inside":       func(s string) string { return s[:4] + "\r\n" + s[4:] },
		"newline_at_end":    func(s string) string { return s + "\n" },
		"newline_first":     func(s string) string { return "\n" + s },
		"B13_trailing_bits": otherBits,
		"length_1_mod_4":    func(s string) string { return s[:len(s)-len(s)%4] + "A" },
	} {
		if changed := change(h); changed == h {
			t.Fatalf("%s changes nothing", name)
		}
		rows = append(rows, malformed("JV-03/"+name+"_", map[string]string{
			"header":    signSegments(change(h), p),
			"payload":   signSegments(h, change(p)),
			"signature": h + "." + p + "." + change(s),
		})...)
	}
	rows = append(rows, verdict{"JV-03/canonical", h + "." + p + "." + s, nil})
	judge(t, newVerifier(t), rows)
}

// notOneObject lists texts that are not one JSON object in valid UTF-8.
func notOneObject(good string) map[string]string {
	inside := func(members string) string { return strings.TrimSuffix(good, "}") + "," + members + "}" }
	wide := utf16.Encode([]rune(good))
	var le, be, wide32, zipped bytes.Buffer
	for _, u := range wide {
		le.Write([]byte{byte(u), byte(u >> 8)})
		be.Write([]byte{byte(u >> 8), byte(u)})
		wide32.Write([]byte{byte(u), byte(u >> 8), 0, 0})
	}
	w := gzip.NewWriter(&zipped)
	ok(w.Write([]byte(good)))
	if err := w.Close(); err != nil {
		panic(err)
	}
	texts := map[string]string{
		"null": "null", "true": "true", "number": "1", "string": `"x"`, "array": "[]", "blank": " ",
		"array_around": "[" + good + "]", "two_objects": good + good, "trailing_letter": good + "x",
		"trailing_comma_after": good + ",", "trailing_nul": good + "\x00", "trailing_brace": good + "}",
		"cut": good[:len(good)-1], "text_before": "x" + good, "not_json": "\x01\x02\x03",
		"B25_bom": "\xef\xbb\xbf" + good, "B31_utf16le": le.String(), "B31_utf16be": be.String(),
		"B31_utf32": wide32.String(), "B31_gzip": zipped.String(),
		"B22_ff": inside("\"x\":\"\xff\""), "B22_overlong": inside("\"x\":\"\xc0\xaf\""),
		"B22_surrogate_bytes": inside("\"x\":\"\xed\xa0\x80\""), "B22_cut_rune": inside("\"x\":\"\xe2\x82\""),
		"B22_in_name": inside("\"\xff\":1"), "B22_above_range": inside("\"x\":\"\xf4\x90\x80\x80\""),
		"B23_high": inside(`"x":"\ud800"`), "B23_low": inside(`"x":"\udc00"`), "B23_in_name": inside(`"\ud800":1`),
		"B23_reversed": inside(`"x":"\udc00\ud800"`), "B23_high_then_letter": inside(`"x":"\ud800A"`),
		"B23_nested": inside(`"x":[{"y":"\uDFFF"}]`), "B23_two_high": inside(`"x":"\ud800\ud800"`),
	}
	for name, value := range map[string]string{
		"comment": "1/**/", "line_comment": "1//x\n", "single_quotes": "'a'", "nan": "NaN", "infinity": "Infinity",
		"hex": "0x1", "plus_sign": "+1", "leading_zero": "01", "bare_dot": "1.", "no_integer": ".5", "bare_exponent": "1e",
		"bare_minus": "-", "capital_true": "True", "undefined": "undefined", "control_character": "\"a\nb\"",
		"bad_escape": `"\x41"`, "short_escape": `"\u12"`, "open_string": `"a`, "comma_in_array": "[1,]", "no_comma": "[1 2]",
		"comma_in_object": `{"a":1,}`, "colon": `{"a" 1}`, "name_not_string": "{1:1}", "mismatch": "[1}", "nothing": "",
		"nbsp": "\u00a01", "vertical_tab": "\v1",
	} {
		texts["B26_"+name] = inside(`"x":` + value)
	}
	return texts
}

func TestJSON(t *testing.T) {
	v := newVerifier(t)
	rows := []verdict{
		{"JV-04/surrogate_pair", tokenText(plus(goodClaims(), `"x":"\ud83d\ude00"`)), nil},
		{"JV-04/B35_white_space", tokenText(" \r\n\t" + plus(goodClaims(), "\t\"x\" :\r\n[ 1 , {\n} ]") + "\n"), nil},
		{"JV-04/B35_escapes", tokenText(strings.ReplaceAll(goodClaims().String(), "/", `\/`)), nil},
		{"JV-04/B35_escaped_name", tokenText(strings.Replace(goodClaims().String(), `"exp"`, `"\u0065\u0078p"`, 1)), nil},
		{"JV-04/B35_escaped_header", headerText(`{"\u0061lg":"\u0052S256","typ":"at+\u006awt"}`), nil},
		{"JV-04/B35_header_white_space", headerText("\n" + goodHeader().String() + "\t"), nil},
		{"JV-04/B36_nul_in_claim", tokenText(plus(goodClaims(), `"x":"a\u0000b"`)), nil},
		{"JV-15/B36_nul_in_iss", token(nil, object{"iss": issuerURL + "\x00"}), verifier.ErrIssuer},
		{"JV-17/B36_nul_in_aud", token(nil, object{"aud": audience + "\x00x"}), verifier.ErrAudience},
	}
	for name, text := range notOneObject(goodHeader().String()) {
		rows = append(rows, verdict{"JV-04/B15_header_" + name, headerText(text), verifier.ErrMalformedToken})
	}
	for name, text := range notOneObject(goodClaims().String()) {
		rows = append(rows, verdict{"JV-04/B16_payload_" + name, tokenText(text), verifier.ErrMalformedToken})
	}
	judge(t, v, rows)
}

func TestDuplicates(t *testing.T) {
	claims, header := goodClaims(), goodHeader()
	double := func(name, first, second string) string {
		return tokenText(plus(claims.edit(object{name: nil}), fmt.Sprintf(`%q:%s,%q:%s`, name, first, name, second)))
	}
	rows := malformed("JV-05/", map[string]string{
		"duplicate_iss":            tokenText(`{"iss":"a","iss":"b"}`),
		"B17_alg_then_none":        headerText(`{"alg":"RS256","typ":"at+jwt","alg":"none"}`),
		"B17_none_then_alg":        headerText(`{"alg":"none","typ":"at+jwt","alg":"RS256"}`),
		"B17_alg_equal":            headerText(`{"alg":"RS256","typ":"at+jwt","alg":"RS256"}`),
		"B17_kid":                  headerText(plus(header, `"kid":"two"`)),
		"unknown_header_member":    headerText(plus(header, `"x":1,"x":1`)),
		"nested_in_header":         headerText(plus(header, `"x":{"a":1,"a":2}`)),
		"B18_aud":                  double("aud", `"`+audience+`"`, `"x"`),
		"B18_aud_reversed":         double("aud", `"x"`, `"`+audience+`"`),
		"B18_exp":                  double("exp", "1", "9999999999"),
		"B18_exp_reversed":         double("exp", "9999999999", "1"),
		"B18_scope":                double("scope", `"a"`, `"admin"`),
		"B18_scope_reversed":       double("scope", `"admin"`, `"a"`),
		"B19_escaped":              tokenText(plus(claims, `"\u0061ud":"`+audience+`"`)),
		"B19_escaped_upper_digits": tokenText(plus(claims, `"au\u0064":"x"`)),
		"B19_in_header":            headerText(plus(header, `"\u0061lg":"RS256"`)),
		"B19_surrogate_pair":       tokenText(plus(claims, `"\ud83d\ude00":1,"😀":2`)),
		"empty_name":               tokenText(plus(claims, `"":1,"":2`)),
		"nested":                   tokenText(plus(claims, `"x":{"a":1,"b":{"c":1,"c":1}}`)),
		"in_array":                 tokenText(plus(claims, `"x":[1,[{"a":1,"a":2}]]`)),
		"in_cnf":                   tokenText(plus(claims, `"cnf":{"jkt":"a","jkt":"b"}`)),
		"deepest":                  tokenText(plus(claims, `"x":`+strings.Repeat("[", 30)+`{"a":1,"a":1}`+strings.Repeat("]", 30))),
		"far_apart":                tokenText(plus(claims, `"n0":0,`+numbered(1, 300)+`,"n0":0`)),
	})
	rows = append(rows,
		verdict{"JV-05/same_name_in_two_objects", tokenText(plus(claims, `"x":{"a":1},"y":{"a":1,"iss":"z"},"z":[{"a":1},{"a":1}]`)), nil},
		verdict{"JV-05/many_different", tokenText(plus(claims, numbered(1, 300))), nil})
	judge(t, newVerifier(t), rows)
}

func numbered(from, to int) string {
	var members []string
	for i := from; i < to; i++ {
		members = append(members, fmt.Sprintf(`"n%d":%d`, i, i))
	}
	return strings.Join(members, ",")
}

func TestNamesAreCaseSensitive(t *testing.T) {
	renamed := func(from, to string) string {
		return tokenText(strings.Replace(goodClaims().String(), `"`+from+`":`, `"`+to+`":`, 1))
	}
	past := noon.Add(-time.Hour).Unix()
	judge(t, newVerifier(t), []verdict{
		{"JV-06/EXP_without_exp", tokenText(plus(goodClaims().edit(object{"exp": nil}), `"EXP":9999999999`)), verifier.ErrMissingClaim},
		{"JV-06/Iss_never_overrides", tokenText(plus(goodClaims(), `"Iss":"https://evil.example","ISS":1`)), nil},
		{"JV-06/iss_not_from_Iss", tokenText(plus(goodClaims().edit(object{"iss": "https://evil.example"}), `"Iss":"`+issuerURL+`"`)), verifier.ErrIssuer},
		{"JV-06/EXP_does_not_extend", tokenText(plus(goodClaims().edit(object{"exp": past}), `"EXP":9999999999`)), verifier.ErrExpired},
		{"JV-06/B20_ALG_is_unknown", headerText(plus(goodHeader(), `"ALG":"none"`)), nil},
		{"JV-06/B20_ALG_alone", headerText(`{"ALG":"RS256","typ":"at+jwt"}`), verifier.ErrMalformedToken},
		{"JV-06/B20_CRIT_is_unknown", headerText(plus(goodHeader(), `"CRIT":["x"],"ENC":"A128GCM","B64":false`)), nil},
		{"JV-06/B20_TYP_alone", headerText(`{"alg":"RS256","TYP":"at+jwt"}`), verifier.ErrTokenType},
		{"JV-06/B20_ISS", renamed("iss", "ISS"), verifier.ErrMissingClaim},
		{"JV-06/B20_Aud", renamed("aud", "Aud"), verifier.ErrMissingClaim},
		{"JV-06/B20_Sub", renamed("sub", "Sub"), verifier.ErrMissingClaim},
		{"JV-06/B20_CLIENT_ID", renamed("client_id", "CLIENT_ID"), verifier.ErrMissingClaim},
		{"JV-06/B20_Cnf_binds_nothing", tokenText(plus(goodClaims(), `"Cnf":{"jkt":"x"}`)), nil},
		{"JV-06/B21_long_s_in_iss", renamed("iss", "i\u017fs"), verifier.ErrMissingClaim},
		{"JV-06/B21_long_s_in_sub", renamed("sub", "\u017fub"), verifier.ErrMissingClaim},
		{"JV-06/B21_kelvin_kid", headerText(`{"alg":"RS256","typ":"at+jwt","kid":"one","` + "\u212a" + `id":"two"}`), nil},
		{"JV-06/leading_space", renamed("exp", " exp"), verifier.ErrMissingClaim},
		{"JV-06/trailing_nul", renamed("exp", `exp\u0000`), verifier.ErrMissingClaim},
	})
	t.Run("JV-06/B21_long_s_in_scope", func(t *testing.T) {
		tok, err := verifyTwice(t, newVerifier(t), renamed("scope", "\u017fcope"))
		wantAccepted(t, tok, err)
		if len(tok.Scopes) != 0 || tok.HasScope("orders:read") {
			t.Errorf("scopes %q from a claim that is not scope", tok.Scopes)
		}
	})
}

// tokenOfLength pads a good token to exactly n bytes.
func tokenOfLength(t testing.TB, n int) string {
	t.Helper()
	for inHeader := range 4 {
		header := goodHeader().edit(object{"x": strings.Repeat("x", inHeader)})
		short := len(sign(rsaOne(), "RS256", header.String(), goodClaims().edit(object{"pad": ""}).String()))
		for inClaims := (n - short) * 3 / 4; inClaims <= (n-short)*3/4+4; inClaims++ {
			claims := goodClaims().edit(object{"pad": strings.Repeat("y", inClaims)})
			if raw := sign(rsaOne(), "RS256", header.String(), claims.String()); len(raw) == n {
				return raw
			}
		}
	}
	t.Fatalf("no token of %d bytes", n)
	return ""
}

func TestLengthLimit(t *testing.T) {
	judge(t, newVerifier(t), []verdict{
		{"DF-01/default_16384", tokenOfLength(t, 16_384), nil},
		{"DF-01/default_16385", tokenOfLength(t, 16_385), verifier.ErrMalformedToken},
		{"DF-01/B28_long_number", tokenText(plus(goodClaims(), `"x":`+strings.Repeat("1", 1<<20))), verifier.ErrMalformedToken},
		{"DF-01/A38_900_KB", strings.Repeat("A", 900_000), verifier.ErrMalformedToken},
	})
	for _, limit := range []int{1_024, 65_536} {
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.MaxTokenBytes = limit })
		judge(t, v, []verdict{
			{fmt.Sprintf("DF-01/setting_%d", limit), tokenOfLength(t, limit), nil},
			{fmt.Sprintf("DF-01/setting_%d_and_one", limit), tokenOfLength(t, limit+1), verifier.ErrMalformedToken},
		})
	}
	for _, limit := range []int{-1, 1, 1_023, 65_537} {
		t.Run(fmt.Sprintf("DF-01/refuses_setting_%d", limit), func(t *testing.T) {
			refusesConfig(t, "MaxTokenBytes", func(cfg *verifier.Config) { cfg.MaxTokenBytes = limit })
		})
	}
	t.Run("DF-01/no_work_over_the_limit", func(t *testing.T) {
		keys := keysOne()
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.Keys = keys })
		long := tokenText(plus(goodClaims(), `"x":"`+strings.Repeat("x", 1<<20)+`"`))
		if spent := allocated(func() { _, _ = v.Verify(t.Context(), long) }); spent > 4096 {
			t.Errorf("%d bytes allocated for a token that must not be decoded", spent)
		}
		if keys.calls != 0 {
			t.Errorf("the key source was asked %d times", keys.calls)
		}
	})
}

func TestDepthLimit(t *testing.T) {
	nested := func(depth int, open, end string) string {
		return strings.Repeat(open, depth) + "1" + strings.Repeat(end, depth)
	}
	var rows []verdict
	for depth, class := range map[int]error{32: nil, 33: verifier.ErrMalformedToken, 4_000: verifier.ErrMalformedToken} {
		arrays := `"x":` + nested(depth-1, "[", "]")
		rows = append(rows,
			verdict{fmt.Sprintf("DF-03/claims_%d", depth), tokenText(plus(goodClaims(), arrays)), class},
			verdict{fmt.Sprintf("DF-03/header_%d", depth), headerText(plus(goodHeader(), arrays)), class})
		if depth < 4_000 { // longer ones are refused for their length
			objects := `"x":` + nested(depth-1, `{"a":`, "}")
			rows = append(rows,
				verdict{fmt.Sprintf("DF-03/claims_objects_%d", depth), tokenText(plus(goodClaims(), objects)), class},
				verdict{fmt.Sprintf("DF-03/header_objects_%d", depth), headerText(plus(goodHeader(), objects)), class})
		}
	}
	rows = append(rows,
		verdict{"DF-03/D52_act_30", tokenText(plus(goodClaims(), `"act":`+strings.Repeat(`{"sub":"s","act":`, 30)+"{}"+strings.Repeat("}", 30))), nil},
		verdict{"DF-03/D52_act_31", tokenText(plus(goodClaims(), `"act":`+strings.Repeat(`{"sub":"s","act":`, 31)+"{}"+strings.Repeat("}", 31))), verifier.ErrMalformedToken},
		verdict{"DF-03/unclosed", tokenText(`{"x":` + strings.Repeat("[", 12_000)), verifier.ErrMalformedToken},
		verdict{"DF-03/wide_is_not_deep", tokenText(plus(goodClaims(), `"x":[`+strings.Repeat("[],", 2_000)+"[]]")), nil})
	judge(t, newVerifier(t), rows)
}
