// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// FuzzReading compares the verifier with plainReader, which reads a token slowly, one
// rule after the other: the same class, or the same value in every field of Token and
// from Decode; under both profiles, with and without a Mapping, with a cache and
// without; and each token twice. What the fuzzer gives is signed, so that all of it is
// read.
func FuzzReading(f *testing.F) {
	for _, s := range readingSeeds() {
		f.Add(s.mode, s.at, s.edit, s.header, s.payload)
	}
	readers := plainReaders(f)
	f.Fuzz(func(t *testing.T, mode byte, at uint16, edit, header, payload string) {
		if len(edit)+len(header)+len(payload) > 20_000 {
			t.Skip("no longer than what is refused unread")
		}
		raw := reading{mode, at, edit, header, payload}.token()
		whole := reading{mode &^ (3 | editSigned), at, edit, header, payload}.token()
		var kept []readToken
		for _, r := range readers {
			if whole != raw { // a token that is remembered must not stand for its neighbours
				kept = append(kept, r.check(t, whole)...)
			}
			kept = append(kept, r.check(t, raw)...)
		}
		for _, k := range kept { // other tokens were read meanwhile
			k.compare(t, "a token that was kept")
		}
	})
}

// reading is one input. mode says where header and payload go, and what edit does.
type reading struct {
	mode            byte
	at              uint16
	edit            string
	header, payload string
}

const (
	editNone   = iota // the low two bits of mode
	editInsert        // edit goes in before position at
	editOver          // edit is written over what is there
	editCut           // as many bytes as edit has are taken out
)

const (
	editSigned   = 1 << 2 // edit the text that is signed, else the finished token
	payloadFront = 1 << 3 // payload is members, put in front of those of a good one
	payloadBack  = 1 << 4 // the same, behind them
	headerFront  = 1 << 5 // the same for header
)

func (r reading) token() string {
	header, claims := goodHeader().edit(object{"alg": "EdDSA"}).String(), goodClaims().String()
	if r.mode&headerFront != 0 {
		header = "{" + r.header + "," + header[1:]
	} else {
		header = r.header
	}
	switch {
	case r.mode&payloadFront != 0:
		claims = "{" + r.payload + "," + claims[1:]
	case r.mode&payloadBack != 0:
		claims = claims[:len(claims)-1] + "," + r.payload + "}"
	default:
		claims = r.payload
	}
	input := b64(header) + "." + b64(claims)
	if r.mode&editSigned != 0 {
		input = r.edited(input)
	}
	raw := input + "." + b64(string(edSign(input)))
	if r.mode&editSigned == 0 {
		raw = r.edited(raw)
	}
	return raw
}

func (r reading) edited(s string) string {
	at := int(r.at) % (len(s) + 1)
	end := min(at+len(r.edit), len(s))
	switch r.mode & 3 {
	case editInsert:
		return s[:at] + r.edit + s[at:]
	case editOver:
		return s[:at] + r.edit + s[end:]
	case editCut:
		return s[:at] + s[end:]
	}
	return s
}

// plainReader is a verifier and what has to be known of its configuration.
type plainReader struct {
	name           string
	cached, plain  *verifier.Verifier // with a cache and without
	old            bool               // ProfileJWT
	scopes, client verifier.ClaimPath
	roles, groups  verifier.ClaimPath
	entitlements   verifier.ClaimPath
	lists          bool // scopes may be an array
}

func plainReaders(t testing.TB) (readers []*plainReader) {
	for _, old := range []bool{false, true} {
		for _, mapped := range []bool{false, true} {
			r := &plainReader{
				name: fmt.Sprintf("old %v, mapped %v", old, mapped), old: old,
				scopes: path{"scope"}, client: path{"client_id"}, roles: path{"roles"}, groups: path{"groups"}, entitlements: path{"entitlements"},
			}
			edit := func(cfg *verifier.Config) {
				cfg.Keys = &source{current: jwks(jwk(ed(3), object{"kid": "one"}))}
				if old {
					cfg.Profile = verifier.ProfileJWT
				}
				if mapped {
					r.scopes, r.client, r.lists = path{"realm", "scp"}, path{"client", "id"}, true
					r.roles, r.groups, r.entitlements = path{"realm", "roles"}, path{"https://x.example/groups"}, path{"a", "b", "c"}
					cfg.Mapping = verifier.Mapping{Scopes: r.scopes, ClientID: r.client, Roles: r.roles, Groups: r.groups, Entitlements: r.entitlements}
				}
			}
			r.cached = newVerifier(t, edit)
			r.plain = newVerifier(t, edit, func(cfg *verifier.Config) { cfg.CacheEntries = -1 })
			readers = append(readers, r)
		}
	}
	return readers
}

// readToken is a token of the verifier with what the reader expects of it.
type readToken struct {
	reader *plainReader
	got    *verifier.Token
	want   *expected
}

// check verifies raw without a cache, then twice with one, and compares.
func (r *plainReader) check(t *testing.T, raw string) (kept []readToken) {
	t.Helper()
	want, class := r.read(raw)
	confirm := func(_ context.Context, tok *verifier.Token) error {
		tok.Binding = verifier.Binding{Kind: verifier.BindingBoth, Thumbprint: tok.Confirmation.JWKThumbprint}
		return nil
	}
	for _, call := range []struct {
		name string
		v    *verifier.Verifier
	}{{"no cache", r.plain}, {"first", r.cached}, {"second", r.cached}} {
		tok, err := call.v.VerifyBound(t.Context(), raw, confirm)
		if (tok == nil) != (err != nil) || verifier.ClassOf(err) != class {
			t.Fatalf("%s, %s: token %v, %v; want class %v", r.name, call.name, tok, err, class)
		}
		if err == nil {
			kept = append(kept, readToken{r, tok, want})
			kept[len(kept)-1].compare(t, call.name)
		}
	}
	if class == nil && want.bound {
		class = verifier.ErrBinding
	}
	if tok, err := r.cached.Verify(t.Context(), raw); (tok == nil) != (err != nil) || verifier.ClassOf(err) != class {
		t.Fatalf("%s, without confirm: token %v, %v; want class %v", r.name, tok, err, class)
	}
	return kept
}

// expected is what a token must say.
type expected struct {
	token  verifier.Token
	bound  bool
	claims map[string]any
	clash  bool // two names of one object differ by case only
}

func (k readToken) compare(t *testing.T, when string) {
	t.Helper()
	got, want := reflect.ValueOf(k.got).Elem(), reflect.ValueOf(&k.want.token).Elem()
	for i := range got.NumField() {
		field := got.Type().Field(i)
		if field.IsExported() && !reflect.DeepEqual(got.Field(i).Interface(), want.Field(i).Interface()) {
			t.Fatalf("%s, %s: %s is %#v, want %#v", k.reader.name, when, field.Name, got.Field(i).Interface(), want.Field(i).Interface())
		}
	}
	for _, s := range append(slices.Clone(k.want.token.Scopes), "orders:read", "") {
		if has := s != "" && slices.Contains(k.want.token.Scopes, s); k.got.HasScope(s) != has {
			t.Fatalf("%s, %s: HasScope(%q) is %v", k.reader.name, when, s, !has)
		}
	}
	var decoded map[string]any
	err := k.got.Decode(&decoded)
	if (err != nil) != k.want.clash || err == nil && !reflect.DeepEqual(decoded, k.want.claims) {
		t.Fatalf("%s, %s: Decode gives %v, %v; want %v", k.reader.name, when, decoded, err, k.want.claims)
	}
}
