// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

const (
	typicalHeader = `{"alg":"RS256","typ":"at+jwt","kid":"2026-06-a"}`
	typicalClaims = `{"iss":"https://id.example.com","sub":"5ba552d67","aud":["https://api.example.com"],` +
		`"exp":1790000000,"iat":1789999700,"nbf":1789999700,"jti":"dbe39bf3a3ba4238a513f51d6e1691c4",` +
		`"client_id":"s6BhdRkqt3","scope":"orders:read orders:write profile","auth_time":1789999000,` +
		`"acr":"urn:example:loa:2","amr":["pwd","otp"],"roles":["admin","reader"],"cnf":{"jkt":"x"},"plan":"gold"}`
)

func TestAllocations(t *testing.T) {
	claims := mustParse(t, typicalClaims)
	get := func(name string) Value { v, _ := claims.Get(name); return v }
	header, payload := []byte(typicalHeader), []byte(typicalClaims)
	deep := []byte(`{"a":` + strings.Repeat("[", 100_000))
	tests := []struct {
		name string
		want float64
		f    func()
	}{
		{"header", 2, func() { _, _ = ParseObject(header) }},
		{"claims", 2, func() { _, _ = ParseObject(payload) }},
		{"get_and_text", 0, func() { _, _ = get("scope").Text() }},
		{"texts", 2, func() { _, _ = get("amr").Texts() }},
		{"nested_object", 1, func() { _, _ = get("cnf").Object() }},
		{"numeric_date", 0, func() { _, _ = get("exp").NumericDate() }},
		{"fold_clash", 2, func() { FoldClash(typicalClaims) }},
		{"deep_nesting", 2, func() { _, _ = ParseObject(deep) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(50, tt.f); n > tt.want {
				t.Errorf("%v allocations, want at most %v", n, tt.want)
			}
		})
	}
}

// hostile are documents made to cost more than their size, as a function of a count.
var hostile = []struct {
	name string
	doc  func(n int) string
}{
	{"members", func(n int) string { return members(n, func(i int) string { return fmt.Sprintf(`"m%d":0`, i) }) }},
	{"members_nested", func(n int) string {
		return `{"a":` + members(n, func(i int) string { return fmt.Sprintf(`"m%d":0`, i) }) + `}`
	}},
	{"objects_of_eight", func(n int) string {
		return `{"a":[` + strings.Repeat(`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0},`, n/8) + `0]}`
	}},
	{"objects_of_forty", func(n int) string {
		forty := members(40, func(i int) string { return fmt.Sprintf(`"%d":0`, i) })
		return `{"a":[` + strings.Repeat(forty+",", n/40+1) + `0]}`
	}},
	{"long_common_prefix", func(n int) string {
		prefix := strings.Repeat("p", 64)
		return members(n, func(i int) string { return fmt.Sprintf(`"%s%d":0`, prefix, i) })
	}},
	{"B19_escaped_names", func(n int) string {
		return members(n, func(i int) string { return fmt.Sprintf(`"\u0061%d":0`, i) })
	}},
	{"wide_and_deep", func(n int) string {
		return `{"a":[` + strings.Repeat(strings.Repeat("[", 30)+strings.Repeat("]", 30)+",", n/30+1) + `0]}`
	}},
	{"colons", func(n int) string {
		return `{"x":"` + strings.Repeat(":", n) + `",` + members(40, func(i int) string { return fmt.Sprintf(`"m%d":0`, i) })[1:]
	}},
	{"commas", func(n int) string { return `{"a":[` + strings.Repeat("0,", n) + `0]}` }},
	{"escapes", func(n int) string { return `{"a":"` + strings.Repeat(`\u0041`, n) + `"}` }},
	{"white_space", func(n int) string { return `{` + strings.Repeat(" ", n) + `}` }},
	{"B28_digits", func(n int) string { return `{"a":` + strings.Repeat("1", n) + `}` }},
	{"B28_exponent", func(n int) string { return `{"a":1e` + strings.Repeat("9", n) + `}` }},
	{"unterminated", func(n int) string { return `{"a":"` + strings.Repeat("x", n) }},
}

func members(n int, member func(int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = member(i)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// use is everything that a caller does with a document.
func use(doc []byte) {
	obj, err := ParseObject(doc)
	if err != nil {
		return
	}
	FoldClash(string(doc))
	v, _ := obj.Get("a")
	_, _ = v.Text()
	_, _ = v.Texts()
	_, _ = v.Object()
	_, _ = v.NumericDate()
}

// BenchmarkHostile shows by its MB/s, which must not fall with the size, that work is
// linear in the input.
func BenchmarkHostile(b *testing.B) {
	for _, tt := range hostile {
		for _, n := range []int{500, 32_000} {
			b.Run(fmt.Sprintf("%s/%d", tt.name, n), func(b *testing.B) {
				doc := []byte(tt.doc(n))
				b.SetBytes(int64(len(doc)))
				for b.Loop() {
					use(doc)
				}
			})
		}
	}
}

// The factor counts all that was ever allocated, also what growing slices left behind.
func TestBoundedMemory(t *testing.T) {
	const factor = 32
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			doc := []byte(tt.doc(32_000))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			use(doc)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > factor*uint64(len(doc)) {
				t.Errorf("%d bytes allocated for %d, %d times as much", n, len(doc), n/uint64(len(doc)))
			}
		})
	}
}

func TestManyMembers(t *testing.T) {
	name := func(i int) string { return fmt.Sprintf(`"m%d":0`, i) }
	for _, n := range []int{7, 8, 9, 32, 33, 64, 65, 4000} {
		t.Run(fmt.Sprintf("JV-05/%d_members", n), func(t *testing.T) {
			if obj, err := ParseObject([]byte(members(n, name))); err != nil || obj.Len() != n {
				t.Fatalf("%d members, %v", obj.Len(), err)
			}
			for _, twin := range []int{0, n / 2, n - 2} {
				doc := members(n, func(i int) string {
					if i == n-1 {
						return fmt.Sprintf(`"\u006d%d":0`, twin)
					}
					return name(i)
				})
				if _, err := ParseObject([]byte(doc)); err != errDuplicate {
					t.Errorf("last member repeats member %d: %v", twin, err)
				}
			}
		})
	}
}

func BenchmarkParseObject(b *testing.B) {
	for name, doc := range map[string]string{"header": typicalHeader, "claims": typicalClaims} {
		b.Run(name, func(b *testing.B) {
			data := []byte(doc)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseObject(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
