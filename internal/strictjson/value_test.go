// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"slices"
	"testing"
)

func mustParse(t testing.TB, doc string) Object {
	t.Helper()
	obj, err := ParseObject([]byte(doc))
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return obj
}

// valueOf is the value that text stands for, read as a member.
func valueOf(t testing.TB, text string) Value {
	t.Helper()
	v, ok := mustParse(t, `{"v":`+text+`}`).Get("v")
	if !ok {
		t.Fatal("no member v")
	}
	return v
}

func TestGet(t *testing.T) {
	t.Run("JV-06/B20_only_the_exact_name", func(t *testing.T) {
		obj := mustParse(t, `{"EXP":9999999999,"Aud":"x","ISS":"x","Iss":"y","ALG":"none"}`)
		for _, name := range []string{"exp", "aud", "iss", "alg", "iSS", ""} {
			if v, ok := obj.Get(name); ok || v.Kind() != KindInvalid {
				t.Errorf("Get(%q) found %s", name, v.Raw())
			}
		}
	})
	t.Run("JV-06/B20_variant_overrides_nothing", func(t *testing.T) {
		for _, doc := range []string{`{"alg":"RS256","ALG":"none"}`, `{"ALG":"none","alg":"RS256"}`} {
			v, _ := mustParse(t, doc).Get("alg")
			if text, _ := v.Text(); text != "RS256" {
				t.Errorf("%s: alg is %q", doc, text)
			}
		}
	})
	t.Run("JV-06/B21_folding_runes_are_other_names", func(t *testing.T) {
		obj := mustParse(t, `{"iſs":"x","ſcope":"x","Kid":"x"}`)
		for _, name := range []string{"iss", "scope", "kid"} {
			if _, ok := obj.Get(name); ok {
				t.Errorf("Get(%q) found a look-alike", name)
			}
		}
		if _, ok := obj.Get("iſs"); !ok {
			t.Error("the name itself was not found")
		}
	})
	t.Run("JV-06/B35_escaped_name_is_the_name", func(t *testing.T) {
		v, ok := mustParse(t, `{"\u0061\u0075d":"x"}`).Get("aud")
		if text, _ := v.Text(); !ok || text != "x" {
			t.Errorf("aud is %q, %v", text, ok)
		}
	})
	t.Run("B36/name_is_never_cut", func(t *testing.T) {
		obj := mustParse(t, `{"iss\u0000":"x"}`)
		if _, ok := obj.Get("iss"); ok {
			t.Error("iss was found in iss\\0")
		}
		if _, ok := obj.Get("iss\x00"); !ok {
			t.Error("the whole name was not found")
		}
	})
}

func TestMembers(t *testing.T) {
	t.Run("document_order", func(t *testing.T) {
		obj := mustParse(t, `{"b":1,"a":{"x":1,"y":2},"\u0063":[{"z":1}],"":0}`)
		var names []string
		for _, m := range obj.members {
			names = append(names, m.Name)
		}
		if want := []string{"b", "a", "c", ""}; !slices.Equal(names, want) || obj.Len() != 4 {
			t.Errorf("names %q, length %d, want %q", names, obj.Len(), want)
		}
	})
	if n := mustParse(t, "{}").Len() + (Object{}).Len(); n != 0 {
		t.Errorf("empty objects have %d members", n)
	}
}

func TestRaw(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"JV-28/large_integer", " 9007199254740993 ", "9007199254740993"},
		{"JV-28/many_digits", "123456789012345678901234567890.1230", "123456789012345678901234567890.1230"},
		{"JV-28/B28_beyond_float64", "1e400", "1e400"},
		{"JV-28/minus_zero", "-0.0", "-0.0"},
		{"JV-28/exponent_as_sent", "1.50E+03", "1.50E+03"},
		{"JV-28/nested_in_array", " [ 9007199254740993 , 1e400 ] ", "[ 9007199254740993 , 1e400 ]"},
		{"JV-28/nested_in_object", "{\n\"a\":9007199254740993 }", "{\n\"a\":9007199254740993 }"},
		{"JV-28/string_with_escapes", ` "\u0061\/" `, `"\u0061\/"`},
		{"JV-28/literals", "null", "null"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(valueOf(t, tt.in).Raw()); got != tt.want {
				t.Errorf("Raw = %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("JV-28/element_of_array_of_object", func(t *testing.T) {
		elements, _ := valueOf(t, `[{"n":9007199254740993}]`).Elements()
		inner, _ := elements[0].Object()
		if n, _ := inner.Get("n"); string(n.Raw()) != "9007199254740993" {
			t.Errorf("read back %s", n.Raw())
		}
	})
}

func TestText(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", `"a b"`, "a b"},
		{"empty", `""`, ""},
		{"B35/short_escapes", `"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{"B35/long_escapes", `"\u0041\u00e9\u20AC\uFFFF"`, "Aé€\uffff"},
		{"B35/mixed", `"a\u0062c\n\/d"`, "abc\n/d"},
		{"B23/pairs", `"\ud83d\ude00x\uD834\uDD1E"`, "😀x𝄞"},
		{"B23/escaped_backslash", `"\\ud800"`, `\ud800`},
		{"B36/nul_kept_whole", `"https://id.example.com\u0000.evil.example"`, "https://id.example.com\x00.evil.example"},
		{"B36/nul_first_and_last", `"\u0000a\u0000"`, "\x00a\x00"},
		{"utf8", `"aé€😀"`, "aé€😀"},
		{"escape_last", `"a\\"`, `a\`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := valueOf(t, tt.in).Text(); !ok || got != tt.want {
				t.Errorf("Text = %q, %v; want %q", got, ok, tt.want)
			}
		})
	}
}

// TestKinds asks every kind for everything: one method answers, all others say no.
func TestKinds(t *testing.T) {
	tests := []struct {
		text string
		kind Kind
	}{
		{"null", KindNull}, {"true", KindBool}, {"false", KindBool}, {"1", KindNumber}, {`"1"`, KindString},
		{`"true"`, KindString}, {`"[]"`, KindString}, {"[]", KindArray}, {`["a"]`, KindArray}, {"{}", KindObject}, {"", KindInvalid},
	}
	for _, tt := range tests {
		t.Run("kind_of_"+tt.text, func(t *testing.T) {
			var v Value
			if tt.text != "" {
				v = valueOf(t, tt.text)
			}
			_, text := v.Text()
			_, truth := v.Bool()
			_, number := v.NumericDate()
			_, elements := v.Elements()
			_, texts := v.Texts()
			_, object := v.Object()
			got := []bool{text, truth, number, elements, texts, object}
			k := tt.kind
			want := []bool{k == KindString, k == KindBool, k == KindNumber, k == KindArray, k == KindArray, k == KindObject}
			if v.Kind() != k || !slices.Equal(got, want) {
				t.Errorf("kind %d answers %v, want %d and %v", v.Kind(), got, k, want)
			}
		})
	}
	for text, want := range map[string]bool{"true": true, "false": false} {
		if b, ok := valueOf(t, text).Bool(); !ok || b != want {
			t.Errorf("%s is %v, %v", text, b, ok)
		}
	}
}

func TestTexts(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
		ok       bool
	}{
		{"one", `["a"]`, []string{"a"}, true},
		{"several_with_escapes", `[ "a" ,"\u0062", "" ]`, []string{"a", "b", ""}, true},
		{"empty", `[]`, []string{}, true},
		{"number_inside", `["a",1]`, nil, false},
		{"null_inside", `[null]`, nil, false},
		{"nested_array", `[["a"]]`, nil, false},
		{"object_inside", `[{}]`, nil, false},
		{"string", `"a"`, nil, false},
		{"string_that_ends_like_an_array", `"]"`, nil, false},
		{"object", `{}`, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := valueOf(t, tt.in).AppendTexts(nil); ok != tt.ok || ok && !slices.Equal(got, tt.want) {
				t.Errorf("AppendTexts = %#v, %v", got, ok)
			}
			got, ok := valueOf(t, tt.in).Texts()
			if ok != tt.ok || !slices.Equal(got, tt.want) || (got == nil) == tt.ok {
				t.Errorf("Texts = %#v, %v", got, ok)
			}
		})
	}
}

func TestObject(t *testing.T) {
	obj, ok := valueOf(t, ` { "sub" : "a" , "act" : { "sub" : "b" } , "n" : [ { } ] } `).Object()
	if !ok || obj.Len() != 3 {
		t.Fatalf("%d members, %v", obj.Len(), ok)
	}
	act, _ := obj.Get("act")
	inner, _ := act.Object()
	sub, _ := inner.Get("sub")
	if text, ok := sub.Text(); !ok || text != "b" {
		t.Errorf("act.sub is %q, %v", text, ok)
	}
	if outer, _ := obj.Get("sub"); string(outer.Raw()) != `"a"` {
		t.Errorf("sub is %s", outer.Raw())
	}
}
