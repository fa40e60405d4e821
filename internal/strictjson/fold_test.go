// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

func TestFoldClash(t *testing.T) {
	tests := []struct {
		name, doc string
		want      bool
	}{
		{"JV-06/none", `{"plan":1,"scope":2}`, false},
		{"JV-06/empty", `{}`, false},
		{"JV-06/upper_alone", `{"PLAN":1}`, false},
		{"JV-06/upper", `{"plan":1,"PLAN":2}`, true},
		{"JV-06/mixed", `{"pLan":1,"x":0,"Plan":2}`, true},
		{"JV-06/escaped", `{"plan":1,"\u0050lan":2}`, true},
		{"JV-06/B21_long_s", `{"scope":1,"ſcope":2}`, true},
		{"JV-06/B21_long_s_and_upper", `{"iSs":1,"iſs":2}`, true},
		{"JV-06/B21_kelvin", `{"kid":1,"Kid":2}`, true},
		{"JV-06/greek_sigma_three_ways", `{"σ":1,"ς":2}`, true},
		{"JV-06/cyrillic", `{"да":1,"ДА":2}`, true},
		{"JV-06/angstrom", `{"å":1,"Å":2}`, true},
		{"JV-06/sharp_s_is_not_ss", `{"straße":1,"strasse":2}`, false},
		{"JV-06/dotless_i", `{"id":1,"ıd":2}`, false},
		{"JV-06/dotted_upper_i", `{"id":1,"İd":2}`, false},
		{"JV-06/dash_is_no_underscore", `{"a-b":1,"a_b":2}`, false},
		{"JV-06/at_sign_is_no_backtick", `{"@":1,"` + "`" + `":2,"[":3,"{":4}`, false},
		{"JV-06/nested", `{"a":{"x":1,"X":2}}`, true},
		{"JV-06/in_array", `{"a":[0,{"x":1},[{"y":1,"Y":2}]]}`, true},
		{"JV-06/different_objects", `{"a":{"x":1},"b":{"X":2},"c":[{"x":1},{"X":1}]}`, false},
		{"JV-06/outer_and_inner", `{"a":{"A":1}}`, false},
		{"JV-06/values_do_not_clash", `{"a":"A","b":"a"}`, false},
		{"JV-06/among_many", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"H":1}`, true},
		{"JV-06/not_json", `{"a":`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := FoldClash(tt.doc); got != tt.want {
				t.Errorf("FoldClash = %v", got)
			}
		})
	}
}

// Every rune must fold as encoding/json folds it: one with all others of its orbit, and
// with nothing else. [strings.EqualFold] is what encoding/json documents.
func TestFoldEveryRune(t *testing.T) {
	t.Run("JV-06/every_rune", func(t *testing.T) {
		groups := map[rune]rune{}
		for r := rune(0); r <= unicode.MaxRune; r++ {
			if r >= 0xd800 && r < 0xe000 {
				continue
			}
			folded := foldRune(r)
			if !strings.EqualFold(string(r), string(folded)) {
				t.Fatalf("%U folds to %U, which is not equal under folding", r, folded)
			}
			if next := unicode.SimpleFold(r); foldRune(next) != folded {
				t.Fatalf("%U and %U fold apart", r, next)
			}
			if first, seen := groups[folded]; seen && !strings.EqualFold(string(first), string(r)) {
				t.Fatalf("%U and %U fold together", first, r)
			}
			groups[folded] = r
		}
	})
}

// FuzzFoldClash asks encoding/json itself: does a field with the one name take the
// member with the other?
func FuzzFoldClash(f *testing.F) {
	for _, pair := range [][2]string{{"scope", "ſcope"}, {"kid", "Kid"}, {"a", "A"}, {"a-b", "a_b"}, {"ı", "I"}, {"σ", "ς"}, {"a\n", "A\n"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == b {
			return
		}
		nameA, _ := json.Marshal(a)
		nameB, _ := json.Marshal(b)
		doc := `{"x":[{` + string(nameA) + `:1,` + string(nameB) + `:2}]}`
		if _, err := ParseObject([]byte(doc)); err != nil {
			return // both became U+FFFD
		}
		got := FoldClash(doc)
		if want := strings.EqualFold(plain(t, nameA), plain(t, nameB)); got != want {
			t.Fatalf("FoldClash = %v, EqualFold %v for %q and %q", got, want, a, b)
		}
		if field, ok := structWith(a); ok && fills(t, field, b) != got {
			t.Fatalf("FoldClash = %v, but encoding/json differs for %q and %q", got, a, b)
		}
	})
}

// plain is the name as it stands in the document, where bad UTF-8 became U+FFFD.
func plain(t *testing.T, name []byte) (s string) {
	if err := json.Unmarshal(name, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// structWith makes a struct type with one field called name, if a tag can say that.
func structWith(name string) (reflect.Type, bool) {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == unicode.ReplacementChar {
			return nil, false
		}
	}
	tag := reflect.StructTag(`json:"` + name + `"`)
	field := reflect.StructField{Name: "F", Type: reflect.TypeFor[int](), Tag: tag}
	return reflect.StructOf([]reflect.StructField{field}), name != "" && name != "-"
}

func fills(t *testing.T, typ reflect.Type, name string) bool {
	key, err := json.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.New(typ)
	if err := json.Unmarshal([]byte(`{`+string(key)+`:7}`), v.Interface()); err != nil {
		t.Fatal(err)
	}
	return v.Elem().Field(0).Int() == 7
}
