// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// full is a Token in which no field is empty but Binding, which belongs to a request.
// Its texts lie in its payload, but for those that say otherwise.
func full(t *testing.T, is *issuer) *Token {
	payload := "{subject id acr one two three four five six seven actor client}"
	in := func(text string) string {
		at := strings.Index(payload, text)
		return payload[at : at+len(text)]
	}
	tok := &Token{
		Issuer: is.name, Subject: in("subject"), ClientID: "elsewhere", ID: in("id"), ACR: in("acr"),
		Audience: []string{in("one"), "other", in("one")}, Scopes: []string{in("two"), in("o t")}, AMR: []string{"another"},
		Roles: []string{in("three"), in("four")}, Groups: []string{in("five")}, Entitlements: []string{in("six"), in("seven")},
		ExpiresAt: time.Unix(1<<37, 1).UTC(), IssuedAt: time.Unix(2, 999_999_999).UTC(),
		NotBefore: time.Unix(3<<31, 0).UTC(), AuthTime: time.Unix(4, 5).UTC(),
		Actor:        &Actor{Issuer: in("actor"), Subject: "somebody", ClientID: in("client")},
		Confirmation: Confirmation{JWKThumbprint: strings.Repeat("k", 32), CertificateThumbprint: strings.Repeat("c", 32)},
		payload:      payload, implies: is.implies, bound: true, faultyCnf: true,
	}
	v := reflect.ValueOf(*tok)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Binding" {
			t.Fatalf("field %s is not covered by this test", name)
		}
	}
	return tok
}

// TestSeenSaysTheSame: what the cache makes of a Token is equal to it, field by field.
func TestSeenSaysTheSame(t *testing.T) {
	is := &issuer{name: "https://i.example", implies: implied{"b": {"a"}}}
	for name, edit := range map[string]func(*Token){
		"all":           func(*Token) {},
		"no_actor":      func(tok *Token) { tok.Actor = nil },
		"empty_actor":   func(tok *Token) { tok.Actor = &Actor{} },
		"sound_cnf":     func(tok *Token) { tok.faultyCnf = false },
		"no_cnf":        func(tok *Token) { tok.bound, tok.faultyCnf, tok.Confirmation = false, false, Confirmation{} },
		"no_texts":      func(tok *Token) { tok.Subject, tok.ClientID, tok.ID, tok.ACR = "", "", "", "" },
		"no_lists":      func(tok *Token) { tok.Audience, tok.Scopes, tok.AMR, tok.Roles = nil, nil, nil, nil },
		"nil_and_empty": func(tok *Token) { tok.Audience, tok.Scopes, tok.AMR, tok.Groups = nil, []string{}, nil, []string{} },
		"empty_and_nil": func(tok *Token) { tok.Roles, tok.Entitlements, tok.Audience = []string{}, []string{}, []string{} },
		"only_empty_lists": func(tok *Token) {
			*tok = Token{Issuer: is.name, implies: is.implies, Scopes: []string{}, Roles: []string{}, Entitlements: []string{}}
		},
		"empty_strings": func(tok *Token) { tok.Scopes, tok.AMR = []string{"", "", ""}, []string{""} },
		"no_dates":      func(tok *Token) { tok.IssuedAt, tok.NotBefore, tok.AuthTime = time.Time{}, time.Time{}, time.Time{} },
		"first_and_last": func(tok *Token) {
			tok.ExpiresAt, tok.IssuedAt = time.Unix(253402300799, 999_999_999).UTC(), time.Unix(0, 0).UTC()
		},
		"nothing":          func(tok *Token) { *tok = Token{Issuer: is.name, implies: is.implies} },
		"whole_payload":    func(tok *Token) { tok.Subject = tok.payload },
		"end_of_payload":   func(tok *Token) { tok.Subject = tok.payload[len(tok.payload)-1:] },
		"other_memory":     func(tok *Token) { tok.Subject = strings.Clone(tok.payload) },
		"longest_in_place": func(tok *Token) { tok.payload = strings.Repeat("x", 60_000); tok.Subject = tok.payload[1:] },
	} {
		t.Run("JV-35/"+name, func(t *testing.T) {
			tok := full(t, is)
			edit(tok)
			set, key := &KeySet{}, &jose.Key{}
			e, ok := newSeen(tok, set, key)
			if got := e.token(is); !ok || !reflect.DeepEqual(got, tok) {
				t.Errorf("%v\n%+v, want\n%+v", ok, got, tok)
			}
			if e.set != set || e.key != key {
				t.Error("another set or key")
			}
			if got, want := e.period(), (period{tok.ExpiresAt, tok.NotBefore, tok.IssuedAt}); got != want {
				t.Errorf("valid for %v, want %v", got, want)
			}
		})
	}
}

// TestSeenHasRoom: a place names 65,535 bytes, and what needs more is not kept.
func TestSeenHasRoom(t *testing.T) {
	is := &issuer{}
	for name, tt := range map[string]struct {
		payload, roles int
		ok             bool
	}{
		"JV-35/most":               {49_152, 65_535 - 49_152, true},
		"JV-35/one_more":           {49_152, 65_536 - 49_152, false},
		"JV-35/payload_alone":      {65_535, 0, true},
		"JV-35/payload_too_long":   {65_536, 0, false},
		"JV-35/texts_alone":        {0, 65_535, true},
		"JV-35/texts_too_long":     {0, 65_536, false},
		"JV-35/texts_far_too_long": {0, 3 * 65_536, false},
	} {
		t.Run(name, func(t *testing.T) {
			tok := &Token{payload: strings.Repeat("p", tt.payload), Roles: []string{strings.Repeat("r", tt.roles/2), strings.Repeat("s", tt.roles-tt.roles/2)}}
			e, ok := newSeen(tok, nil, nil)
			if ok != tt.ok {
				t.Fatalf("%v, want %v", ok, tt.ok)
			}
			if ok && !reflect.DeepEqual(e.token(is), tok) {
				t.Error("another token came out")
			}
		})
	}
}

// TestTooMuchTextForTheCache: a token whose texts have no places says the same each time,
// since it is verified each time.
func TestTooMuchTextForTheCache(t *testing.T) {
	for name, tt := range map[string]struct{ size, kept int }{
		"JV-35/kept":     {12_000, 1},
		"JV-35/not_kept": {14_000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInside(t, 0)
			amr := ClaimPath{"amr"}
			v, err := New(Config{
				Issuer: "https://i.example", Audience: []string{"a"}, Keys: i, MaxTokenBytes: 65_536, CacheBytes: 64 << 20,
				Mapping: Mapping{Roles: amr, Groups: amr, Entitlements: amr},
			})
			if err != nil {
				t.Fatal(err)
			}
			i.v = v
			// The escape takes the text out of the payload, once for each of four lists.
			long := strings.Repeat("m", tt.size-1) + "A"
			raw := i.sign(`,"jti":"the id","amr":["` + long[:len(long)-1] + `\u0041"]`)
			for range 3 {
				tok, err := v.Verify(t.Context(), raw)
				if err != nil {
					t.Fatal(err)
				}
				for _, list := range [][]string{tok.AMR, tok.Roles, tok.Groups, tok.Entitlements} {
					if len(list) != 1 || list[0] != long {
						t.Fatal("another text")
					}
				}
				if tok.ID != "the id" || tok.Issuer != "https://i.example" {
					t.Errorf("%q of %q", tok.ID, tok.Issuer)
				}
			}
			if n := len(v.only.cache.keys()); n != tt.kept {
				t.Errorf("%d tokens are kept, want %d", n, tt.kept)
			}
		})
	}
}
