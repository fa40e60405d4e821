// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
)

// utf16Text is s as UTF-16 without byte order mark.
func utf16Text(order binary.AppendByteOrder, s string) (out string) {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

func utf32Text(s string) string {
	var b []byte
	for _, r := range s {
		b = binary.BigEndian.AppendUint32(b, uint32(r))
	}
	return string(b)
}

func nest(n int) string { // n containers in all
	return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1)
}

func nestArrays(n int) string { // n containers in all, the first an object
	return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}"
}

// refused is the table of documents that are not one strict JSON object. It also seeds
// the fuzz test.
var refused = []struct {
	name, doc string
	want      error
}{
	{"JV-04/B15_empty", "", errNotObject},
	{"JV-04/only_space", " \n", errNotObject},
	{"JV-04/B15_null", "null", errNotObject},
	{"JV-04/B15_true", "true", errNotObject},
	{"JV-04/B15_number", "1", errNotObject},
	{"JV-04/B15_string", `"x"`, errNotObject},
	{"JV-04/B15_array", "[]", errNotObject},
	{"JV-04/B16_array_of_object", `[{"iss":"a"}]`, errNotObject},
	{"JV-04/B16_not_json", "iss=a&exp=1", errNotObject},
	{"JV-04/B31_gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00", errUTF8},
	{"JV-04/B31_gzip_header_in_ascii", "\x1f\x08\x08\x00", errNotObject},
	{"JV-04/B31_utf16_big_endian", utf16Text(binary.BigEndian, `{"a":1}`), errNotObject},
	{"JV-04/B31_utf16_little_endian", utf16Text(binary.LittleEndian, `{"a":1}`), errSyntax},
	{"JV-04/B31_utf16_with_mark", "\xfe\xff" + utf16Text(binary.BigEndian, `{}`), errUTF8},
	{"JV-04/B31_utf32", utf32Text(`{"a":1}`), errNotObject},
	{"JV-04/B25_bom", "\ufeff{}", errNotObject},
	{"JV-04/B25_bom_after_space", " \ufeff{}", errNotObject},
	{"JV-04/B25_bom_after_brace", "{\ufeff}", errSyntax},
	{"JV-04/B25_bom_after_document", "{}\ufeff", errTrailing},

	{"JV-04/trailing_object", "{}{}", errTrailing},
	{"JV-04/trailing_brace", "{}}", errTrailing},
	{"JV-04/trailing_letter", `{"a":1}x`, errTrailing},
	{"JV-04/trailing_after_line", "{}\n{}", errTrailing},
	{"JV-04/trailing_nul", "{}\x00", errTrailing},
	{"JV-04/trailing_comma_after_document", "{},", errTrailing},

	{"JV-04/B22_stray_continuation", "{\"a\":\"\x80\"}", errUTF8},
	{"JV-04/B22_byte_ff", "{\"a\":\"\xff\"}", errUTF8},
	{"JV-04/B22_overlong_slash", "{\"a\":\"\xc0\xaf\"}", errUTF8},
	{"JV-04/B22_overlong_nul", "{\"a\":\"\xc0\x80\"}", errUTF8},
	{"JV-04/B22_overlong_three", "{\"a\":\"\xe0\x80\xaf\"}", errUTF8},
	{"JV-04/B22_overlong_four", "{\"a\":\"\xf0\x80\x80\xaf\"}", errUTF8},
	{"JV-04/B22_encoded_surrogate", "{\"a\":\"\xed\xa0\x80\"}", errUTF8},
	{"JV-04/B22_encoded_surrogate_pair", "{\"a\":\"\xed\xa0\xbd\xed\xb8\x80\"}", errUTF8},
	{"JV-04/B22_above_10ffff", "{\"a\":\"\xf4\x90\x80\x80\"}", errUTF8},
	{"JV-04/B22_truncated_two", "{\"a\":\"\xc3\"}", errUTF8},
	{"JV-04/B22_truncated_three", "{\"a\":\"\xe2\x82\"}", errUTF8},
	{"JV-04/B22_truncated_four", "{\"a\":\"\xf0\x9f\x98\"}", errUTF8},
	{"JV-04/B22_in_name", "{\"\xff\":1}", errUTF8},
	{"JV-04/B22_at_end", "{\"a\":1}\xff", errUTF8},
	{"JV-04/B22_in_nested", "{\"a\":[{\"b\":\"\xff\"}]}", errUTF8},

	{"JV-04/B23_lone_high", `{"a":"\ud800"}`, errSurrogate},
	{"JV-04/B23_lone_high_last", `{"a":"x\uDBFF"}`, errSurrogate},
	{"JV-04/B23_lone_low", `{"a":"\udc00"}`, errSurrogate},
	{"JV-04/B23_pair_reversed", `{"a":"\ude00\ud83d"}`, errSurrogate},
	{"JV-04/B23_two_high", `{"a":"\ud83d\ud83d"}`, errSurrogate},
	{"JV-04/B23_high_then_letter", `{"a":"\ud83dx"}`, errSurrogate},
	{"JV-04/B23_high_then_other_escape", `{"a":"\ud83d\n\ude00"}`, errSurrogate},
	{"JV-04/B23_high_then_bmp", `{"a":"\ud83d\u0041"}`, errSurrogate},
	{"JV-04/B23_high_then_raw_backslash_u", `{"a":"\ud83d\\ude00"}`, errSurrogate},
	{"JV-04/B23_high_then_broken_escape", `{"a":"\ud83d\ude0"}`, errSurrogate},
	{"JV-04/B23_in_name", `{"\ud800":1}`, errSurrogate},
	{"JV-04/B23_in_nested", `{"a":[{"b":["\udfff"]}]}`, errSurrogate},

	{"JV-04/B26_line_comment", "{//x\n}", errSyntax},
	{"JV-04/B26_block_comment", `{/*x*/}`, errSyntax},
	{"JV-04/B26_comment_after", `{} //x`, errTrailing},
	{"JV-04/B26_single_quotes", `{'a':1}`, errSyntax},
	{"JV-04/B26_single_quoted_value", `{"a":'b'}`, errSyntax},
	{"JV-04/B26_bare_name", `{a:1}`, errSyntax},
	{"JV-04/B26_trailing_comma_object", `{"a":1,}`, errSyntax},
	{"JV-04/B26_trailing_comma_array", `{"a":[1,]}`, errSyntax},
	{"JV-04/B26_leading_comma_object", `{,"a":1}`, errSyntax},
	{"JV-04/B26_leading_comma_array", `{"a":[,1]}`, errSyntax},
	{"JV-04/B26_nan", `{"a":NaN}`, errSyntax},
	{"JV-04/B26_infinity", `{"a":Infinity}`, errSyntax},
	{"JV-04/B26_minus_infinity", `{"a":-Infinity}`, errSyntax},
	{"JV-04/B26_hexadecimal", `{"a":0x1}`, errSyntax},
	{"JV-04/B26_plus", `{"a":+1}`, errSyntax},
	{"JV-04/B26_leading_zero", `{"a":01}`, errSyntax},
	{"JV-04/B26_two_zeros", `{"a":00}`, errSyntax},
	{"JV-04/B26_minus_leading_zero", `{"a":-01}`, errSyntax},
	{"JV-04/B26_minus_alone", `{"a":-}`, errSyntax},
	{"JV-04/B26_two_minus", `{"a":--1}`, errSyntax},
	{"JV-04/B26_no_digit_before_point", `{"a":.5}`, errSyntax},
	{"JV-04/B26_no_digit_after_point", `{"a":1.}`, errSyntax},
	{"JV-04/B26_point_before_exponent", `{"a":1.e5}`, errSyntax},
	{"JV-04/B26_no_exponent", `{"a":1e}`, errSyntax},
	{"JV-04/B26_no_exponent_after_sign", `{"a":1e+}`, errSyntax},
	{"JV-04/B26_fraction_in_exponent", `{"a":1e1.5}`, errSyntax},
	{"JV-04/B26_underscore", `{"a":1_000}`, errSyntax},
	{"JV-04/B26_other_digits", `{"a":١}`, errSyntax},
	{"JV-04/B26_undefined", `{"a":undefined}`, errSyntax},
	{"JV-04/B26_upper_literal", `{"a":TRUE}`, errSyntax},
	{"JV-04/B26_longer_literal", `{"a":trues}`, errSyntax},
	{"JV-04/B26_shorter_literal", `{"a":nul}`, errSyntax},

	{"JV-04/missing_value", `{"a":}`, errSyntax},
	{"JV-04/missing_colon", `{"a" 1}`, errSyntax},
	{"JV-04/missing_name", `{:1}`, errSyntax},
	{"JV-04/name_only", `{"a"}`, errSyntax},
	{"JV-04/name_not_string", `{1:1}`, errSyntax},
	{"JV-04/name_null", `{null:1}`, errSyntax},
	{"JV-04/missing_comma_object", `{"a":1 "b":2}`, errSyntax},
	{"JV-04/missing_comma_array", `{"a":[1 2]}`, errSyntax},
	{"JV-04/two_colons", `{"a"::1}`, errSyntax},
	{"JV-04/two_commas", `{"a":1,,"b":2}`, errSyntax},
	{"JV-04/equals_sign", `{"a"=1}`, errSyntax},
	{"JV-04/wrong_closer_object", `{"a":1]`, errSyntax},
	{"JV-04/wrong_closer_array", `{"a":[1}}`, errSyntax},
	{"JV-04/pair_in_array", `{"a":["b":1]}`, errSyntax},
	{"JV-04/cut_after_brace", `{`, errSyntax},
	{"JV-04/cut_in_name", `{"a`, errSyntax},
	{"JV-04/cut_after_name", `{"a"`, errSyntax},
	{"JV-04/cut_after_colon", `{"a":`, errSyntax},
	{"JV-04/cut_after_value", `{"a":1`, errSyntax},
	{"JV-04/cut_after_comma", `{"a":1,`, errSyntax},
	{"JV-04/cut_in_array", `{"a":[1`, errSyntax},
	{"JV-04/cut_after_backslash", `{"a\`, errSyntax},
	{"JV-04/cut_in_escape", `{"a\u00`, errSyntax},

	{"JV-04/escape_unknown", `{"a":"\x"}`, errSyntax},
	{"JV-04/escape_single_quote", `{"a":"\'"}`, errSyntax},
	{"JV-04/escape_zero", `{"a":"\0"}`, errSyntax},
	{"JV-04/escape_upper_u", `{"a":"\U0041"}`, errSyntax},
	{"JV-04/escape_three_digits", `{"a":"\u004"}`, errSyntax},
	{"JV-04/escape_not_hexadecimal", `{"a":"\u00g1"}`, errSyntax},
	{"JV-04/escape_signed", `{"a":"\u+041"}`, errSyntax},
	{"JV-04/escape_in_braces", `{"a":"\u{41}"}`, errSyntax},
	{"JV-04/escape_outside_string", `{\u0022a":1}`, errSyntax},
	{"JV-04/raw_newline", "{\"a\":\"x\ny\"}", errSyntax},
	{"JV-04/raw_tab", "{\"a\":\"\t\"}", errSyntax},
	{"JV-04/raw_nul", "{\"a\":\"\x00\"}", errSyntax},
	{"JV-04/raw_unit_separator", "{\"a\":\"\x1f\"}", errSyntax},
	{"JV-04/raw_control_in_name", "{\"\x01\":1}", errSyntax},
	{"JV-04/space_form_feed", "{\f}", errSyntax},
	{"JV-04/space_vertical_tab", "{\v}", errSyntax},
	{"JV-04/space_no_break", "{\u00a0}", errSyntax},
	{"JV-04/space_line_separator", "{\u2028}", errSyntax},

	{"JV-05/iss_twice", `{"iss":"a","iss":"b"}`, errDuplicate},
	{"JV-05/equal_values", `{"iss":"a","iss":"a"}`, errDuplicate},
	{"JV-05/B17_alg_none_last", `{"alg":"RS256","alg":"none"}`, errDuplicate},
	{"JV-05/B17_alg_none_first", `{"alg":"none","alg":"RS256"}`, errDuplicate},
	{"JV-05/B18_aud", `{"aud":"a","iss":"i","aud":["b"]}`, errDuplicate},
	{"JV-05/B18_aud_reversed", `{"aud":["b"],"iss":"i","aud":"a"}`, errDuplicate},
	{"JV-05/B18_exp", `{"exp":1,"exp":2}`, errDuplicate},
	{"JV-05/B18_scope", `{"scope":"a","x":{},"scope":"b"}`, errDuplicate},
	{"JV-05/B19_escaped", `{"aud":"a","\u0061ud":"b"}`, errDuplicate},
	{"JV-05/B19_escaped_first", `{"\u0061ud":"b","aud":"a"}`, errDuplicate},
	{"JV-05/B19_both_escaped", `{"\u0061ud":"b","a\u0075d":"a"}`, errDuplicate},
	{"JV-05/B19_short_and_long_escape", `{"\/":1,"/":2}`, errDuplicate},
	{"JV-05/B19_newline_escapes", `{"\n":1,"\u000a":2}`, errDuplicate},
	{"JV-05/B19_hex_case", `{"\u00e9":1,"\u00E9":2}`, errDuplicate},
	{"JV-05/B19_escaped_and_raw_utf8", `{"é":1,"\u00e9":2}`, errDuplicate},
	{"JV-05/B19_pair_and_raw_utf8", `{"😀":1,"\ud83d\ude00":2}`, errDuplicate},
	{"JV-05/empty_names", `{"":1,"":2}`, errDuplicate},
	{"JV-05/nested_object", `{"cnf":{"jkt":"a","jkt":"b"}}`, errDuplicate},
	{"JV-05/in_array", `{"a":[1,{"b":1,"b":2}]}`, errDuplicate},
	{"JV-05/deep", `{"a":{"b":[[{"c":{"d":1,"e":2,"d":3}}]]}}`, errDuplicate},
	{"JV-05/at_greatest_depth", strings.Repeat(`{"a":`, 31) + `{"x":1,"x":2}` + strings.Repeat("}", 31), errDuplicate},
	{"JV-05/first_and_eighth", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"a":1}`, errDuplicate},
	{"JV-05/first_and_ninth", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"a":1}`, errDuplicate},
	{"JV-05/around_nested_object", `{"a":1,"b":{"a":1},"a":2}`, errDuplicate},

	{"DF-03/depth_33_objects", nest(33), errDepth},
	{"DF-03/depth_33_arrays", nestArrays(33), errDepth},
	{"DF-03/depth_33_mixed", strings.Repeat(`{"a":[`, 16) + "{}" + strings.Repeat("]}", 16), errDepth},
	{"DF-03/depth_33_second_branch", `{"x":` + nest(31) + `,"y":` + nest(32) + "}", errDepth},
	{"DF-03/never_closed", `{"a":` + strings.Repeat("[", 100_000), errDepth},
}

func TestParseObjectRefuses(t *testing.T) {
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseObject([]byte(tt.doc))
			if !errors.Is(err, tt.want) || got.Len() != 0 {
				t.Errorf("ParseObject = %d members, %v; want %v", got.Len(), err, tt.want)
			}
		})
	}
}

// accepted is the table of documents that are as good as any, however they look.
var accepted = []struct{ name, doc string }{
	{"JV-04/empty_object", "{}"},
	{"JV-04/B35_odd_white_space", " \t\r\n{ \n\"a\"\t:\r1 , \"b\" :[ ] ,\"c\":{ } } \n\t"},
	{"JV-04/B35_escapes", `{"a":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC","\/":"x\/y"}`},
	{"JV-04/B23_surrogate_pair", `{"a":"\ud83d\ude00","b":"\uD800\uDC00\uDBFF\uDFFF"}`},
	{"JV-04/B23_beside_the_surrogates", `{"a":"\ud7ff\ue000"}`},
	{"JV-04/B23_escaped_backslash_before_ud800", `{"a":"\\ud800"}`},
	{"JV-04/B36_escaped_nul", `{"a":"x\u0000y"}`},
	{"JV-04/B22_replacement_character", `{"a":"\ufffd","b":"�"}`},
	{"JV-04/bom_inside_string", "{\"a\":\"\ufeff\"}"},
	{"JV-04/utf8_of_every_length", `{"a":"aé€😀","é€😀":1}`},
	{"JV-04/delete_is_no_control", "{\"a\":\"\x7f\"}"},
	{"JV-04/numbers", `{"a":[0,-0,1,-1,10,0.5,1.50,1e5,1E+5,1e-5,0e0,9007199254740993,-0.0E-0]}`},
	{"JV-04/literals", `{"a":[true,false,null],"b":true,"c":null}`},
	{"JV-04/all_kinds_nested", `{"a":{"b":[{"c":[[],{}]}]}}`},
	{"JV-05/same_name_in_different_objects", `{"a":{"a":{"a":1}},"b":{"a":1},"c":[{"a":1},{"a":2}]}`},
	{"JV-05/name_as_value", `{"a":"b","b":"a"}`},
	{"JV-06/B20_case_variants", `{"alg":"RS256","ALG":"none","Alg":1}`},
	{"JV-06/B21_folding_runes", `{"iss":1,"iſs":2,"scope":1,"ſcope":2,"kid":1,"Kid":2}`},
	{"JV-06/normalization_forms_differ", "{\"\u00e9\":1,\"e\u0301\":2}"},
	{"JV-05/eight_names", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1}`},
	{"JV-05/nine_names", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}`},
	{"JV-28/B28_huge_exponent", `{"a":1e400,"b":-1e-400}`},
	{"DF-03/depth_32_objects", nest(32)},
	{"DF-03/depth_32_arrays", nestArrays(32)},
	{"DF-03/depth_32_twice", `{"x":` + nest(31) + `,"y":` + nest(31) + "}"},
	{"DF-03/brackets_in_string", `{"a":"` + strings.Repeat("[{", 100) + `"}`},
}

func TestParseObjectAccepts(t *testing.T) {
	for _, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseObject([]byte(tt.doc)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestErrorsQuoteNothing(t *testing.T) {
	for _, doc := range []string{`{"hush":hush}`, `{"hush":1,"hush":2}`, `{}hush`, `hush`, `{"hush":"\ud800"}`, "{\"hush\":\"\xff\"}"} {
		_, err := ParseObject([]byte(doc))
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("error %v", err)
		}
	}
}

func TestDataIsCopied(t *testing.T) {
	data := []byte(`{"iss":"a"}`)
	obj, err := ParseObject(data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if v, _ := obj.Get("iss"); string(v.Raw()) != `"a"` {
		t.Errorf("the object changed with the data: %q", v.Raw())
	}
}

func TestParseObjectOuter(t *testing.T) {
	tests := []struct {
		name, doc string
		want      error
	}{
		{"KS-24/no_duplicates", `{"keys":[{"kty":"RSA"},{"kty":"EC"}]}`, nil},
		{"KS-24/in_a_key", `{"keys":[{"kty":"RSA"},{"kty":"EC","kty":"RSA"}]}`, nil},
		{"KS-24/deep_in_a_key", `{"keys":[{"a":[{"b":1,"b":2}]},[{"c":1,"c":2}]]}`, nil},
		{"KS-24/many_in_a_key", `{"keys":[{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"a":1}]}`, nil},
		{"KS-24/escaped_member", `{"\u006beys":[{"a":1,"a":2}]}`, nil},
		{"KS-24/set_level", `{"keys":[],"keys":[]}`, errDuplicate},
		{"KS-24/set_level_escaped", `{"keys":[],"\u006beys":[]}`, errDuplicate},
		{"KS-24/other_set_member", `{"a":1,"keys":[{"a":1,"a":1}],"a":2}`, errDuplicate},
		{"KS-24/nested_beside_the_keys", `{"keys":[],"x":{"a":1,"a":2}}`, errDuplicate},
		{"KS-24/nested_after_a_faulty_key", `{"keys":[{"a":1,"a":2}],"x":[{"b":1,"b":2}]}`, errDuplicate},
		{"KS-24/keys_is_an_object", `{"keys":{"a":1,"a":2}}`, errDuplicate},
		{"KS-24/keys_deeper", `{"x":{"keys":[{"a":1,"a":2}]}}`, errDuplicate},
		{"KS-24/KEYS_is_another_member", `{"KEYS":[{"a":1,"a":2}]}`, errDuplicate},
		{"KS-24/syntax_in_a_key", `{"keys":[{"a":01}]}`, errSyntax},
		{"KS-24/surrogate_in_a_key", `{"keys":[{"a":"\ud800"}]}`, errSurrogate},
		{"DF-03/depth_32_in_a_key", `{"keys":[` + nest(30) + `]}`, nil},
		{"DF-03/depth_33_in_a_key", `{"keys":[` + nest(31) + `]}`, errDepth},
		{"KS-24/trailing_data", `{"keys":[]}{}`, errTrailing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseObjectOuter([]byte(tt.doc), "keys"); !errors.Is(err, tt.want) {
				t.Errorf("ParseObjectOuter: %v, want %v", err, tt.want)
			}
		})
	}
}

// An element is no Object before ParseObject has judged it.
func TestOuterElements(t *testing.T) {
	const doc = `{"keys":[{"kid":"good","x":{"y":1}},{"kid":"bad","kid":"worse"},[{"kid":1}]],"x":{"y":1}}`
	set, err := ParseObjectOuter([]byte(doc), "keys")
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := set.Get("keys")
	elements, ok := keys.Elements()
	if !ok || len(elements) != 3 {
		t.Fatalf("%d elements, %v", len(elements), ok)
	}
	t.Run("KS-24/unjudged_element_is_no_object", func(t *testing.T) {
		inner, _ := elements[2].Elements()
		for _, v := range append(inner, elements[:2]...) {
			if _, ok := v.Object(); ok {
				t.Errorf("%s was given out as an object", v.Raw())
			}
		}
	})
	t.Run("KS-24/element_judged_by_itself", func(t *testing.T) {
		good, err := ParseObject(elements[0].Raw())
		if err != nil {
			t.Fatal(err)
		}
		if x, _ := good.Get("x"); x.Kind() != KindObject {
			t.Error("nested object lost")
		}
		if _, err := ParseObject(elements[1].Raw()); !errors.Is(err, errDuplicate) {
			t.Errorf("faulty key: %v", err)
		}
	})
	t.Run("KS-24/other_members_are_judged", func(t *testing.T) {
		x, _ := set.Get("x")
		if o, ok := x.Object(); !ok || o.Len() != 1 {
			t.Error("a member beside the keys is no object")
		}
	})
}

// TestToSpecial compares the eight-byte steps with looking at one byte after the other, for
// every byte at every place, alone and beside others.
func TestToSpecial(t *testing.T) {
	slow := func(s string, i int) int {
		for i < len(s) && s[i] != '"' && s[i] != '\\' && s[i] >= ' ' {
			i++
		}
		return i
	}
	for c := range 256 {
		for at := range 25 {
			for _, fill := range []string{"x", " ", "!", "#", "[", "]", "\x7f", "\x80", "\xff", "\xa0", "\xdc"} {
				b := []byte(strings.Repeat(fill, 25))
				b[at] = byte(c)
				for _, second := range []byte{'x', '"', '\\', 0x1f, '!', 0x80} {
					b[(at+9)%25] = second
					s := string(b)
					for i := range 3 {
						if got, want := toSpecial(s, i), slow(s, i); got != want {
							t.Fatalf("toSpecial(%q, %d) = %d, want %d", s, i, got, want)
						}
					}
				}
			}
		}
	}
}
