// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"fmt"
	"testing"
)

// TestReader reads one document after the other with one Reader, with Clear in between and
// without: nothing of one may be found in the next.
func TestReader(t *testing.T) {
	docs := []string{`{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"b":{"a":2}}`, `{"a":"x"`, ` {"c":[{"a":1}]} `, `[]`}
	for _, n := range []int{23, 24, 25, 33, 100} {
		docs = append(docs, members(n, func(i int) string { return fmt.Sprintf(`"m%d":%d`, i, i) }))
	}
	for _, wipe := range []bool{false, true} {
		t.Run(fmt.Sprintf("JV-05/clear_%v", wipe), func(t *testing.T) {
			var r Reader
			for _, first := range docs {
				for _, then := range docs {
					for _, doc := range []string{first, then} {
						sameReading(t, &r, doc)
						if wipe {
							r.Clear()
						}
					}
				}
			}
		})
	}
}

func sameReading(t *testing.T, r *Reader, doc string) {
	t.Helper()
	got, gotErr := r.Read(doc)
	want, wantErr := ParseObject([]byte(doc))
	if gotErr != wantErr || got.Len() != want.Len() {
		t.Fatalf("%s: %d members, %v; want %d, %v", doc, got.Len(), gotErr, want.Len(), wantErr)
	}
	for _, name := range []string{"", "a", "b", "c", "m0", "m22", "m23", "m24", "m32", "m99"} {
		v, has := got.Get(name)
		if w, must := want.Get(name); has != must || v != w {
			t.Errorf("%s: %s is %v, %v; want %v, %v", doc, name, v, has, w, must)
		}
	}
}
