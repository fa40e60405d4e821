// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/alias"
)

func TestHeads(t *testing.T) {
	segment := func(raw string) string { return raw[:strings.IndexByte(raw, '.')] }
	t.Run("JV-33/only_headers_of_verified_tokens", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a")
		if _, err := i.v.Verify(t.Context(), raw[:len(raw)-4]+"AAAA"); ClassOf(err) != ErrSignature {
			t.Fatal(err)
		}
		if _, known := i.v.heads.get(segment(raw)); known {
			t.Error("that of a forged token is known")
		}
		i.accept(t, raw)
		if h, known := i.v.heads.get(segment(raw)); !known || h != (header{alg: "Ed25519", typ: "at+jwt", hasTyp: true, kid: "one", hasKid: true}) {
			t.Errorf("known: %v, %+v", known, h)
		}
	})
	t.Run("JV-33/a_known_header_excuses_nothing_else", func(t *testing.T) {
		i := newInside(t, -1)
		raw := i.token("a")
		for range 2 {
			i.accept(t, raw)
			for bad, class := range map[string]error{
				raw[:len(raw)-4] + "AAAA":                        ErrSignature,
				segment(raw) + raw[strings.LastIndex(raw, "."):]: ErrMalformedToken,
				segment(raw) + ".e30.AA":                         ErrMissingClaim,
				segment(raw) + ".e31.AA":                         ErrMalformedToken,
				segment(raw) + ".e30.AB":                         ErrMalformedToken,
			} {
				if _, err := i.v.Verify(t.Context(), bad); ClassOf(err) != class {
					t.Errorf("%v, want %v", err, class)
				}
			}
			i.set = &KeySet{}
			if _, err := i.v.Verify(t.Context(), raw); ClassOf(err) != ErrUnknownKey {
				t.Error("the key is gone:", err)
			}
			i.set = i.newSet(t, "one")
		}
	})
	t.Run("SE-12/keeps_no_part_of_the_token", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a")
		i.accept(t, raw)
		known := i.v.heads.place(segment(raw)).known.Load()
		if known.segment != segment(raw) || &alias.Bytes(known.segment)[0] == &alias.Bytes(raw)[0] {
			t.Error("the segment is that of the token, all of which stays")
		}
	})
	t.Run("JV-33/other_headers_take_a_place_late", func(t *testing.T) {
		h := new(heads)
		var first string
		place := h.place("x")
		for n := 0; first == ""; n++ {
			if s := fmt.Sprint(n); h.place(s) == place {
				first = s
			}
		}
		h.put("x", header{alg: "x"})
		for n := range patience {
			if _, known := h.get("x"); !known {
				t.Fatalf("forgotten after %d others", n)
			}
			h.put(first, header{alg: "y"})
		}
		if got, known := h.get(first); !known || got.alg != "y" {
			t.Error("never remembered")
		}
		if _, known := h.get("x"); known {
			t.Error("the place is taken twice")
		}
	})
}

func TestLongHeadsAreNotKept(t *testing.T) {
	t.Run("JV-33/long_header", func(t *testing.T) {
		for size, want := range map[int]bool{maxHead: true, maxHead + 1: false} {
			var h heads
			segment := strings.Repeat("A", size)
			h.put(segment, header{})
			if _, known := h.get(segment); known != want {
				t.Errorf("a header of %d bytes: remembered %v", size, known)
			}
		}
	})
}
