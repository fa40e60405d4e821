// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// FuzzMapping: a path leads where encoding/json finds the same names in nested maps,
// and to nothing where one of them is missing or no object. Nothing panics.
func FuzzMapping(f *testing.F) {
	for _, payload := range []string{
		`{"a":{"b":{"c":["x","y z"]}},"a.b":["n"]}`, `{"a":{"B":"x"},"A":{"b":"x"}}`, `{"a":[{"b":"x"}]}`, `{"a":{"b":null}}`,
		`{"\u0061":{"\u0062":"x y"}}`, `{"a":{"b":[{"value":"x"},"y"]}}`, `{"a":{"b":true}}`, `{"a":"b"}`, `{"a":{"b":[""]}}`, `{}`,
	} {
		f.Add(payload, "a/b")
		f.Add(payload, "a/b/c")
		f.Add(payload, "a.b")
	}
	f.Fuzz(func(t *testing.T, payload, names string) {
		obj, err := strictjson.ParseObject([]byte(payload))
		if err != nil {
			return
		}
		path := ClaimPath(strings.Split(names, "/"))
		want, exists := walk(t, payload, path)
		val, found, err := path.find(obj)
		if found != exists || found && err != nil {
			t.Fatalf("found %v, %v; want %v", found, err, exists)
		}
		if err != nil && ClassOf(err) != ErrInvalidClaim {
			t.Fatalf("class %v", ClassOf(err))
		}
		text, isText := want.(string)
		if got, ok := val.Text(); ok != isText || got != text {
			t.Fatalf("%q, want %v", got, want)
		}
		checkMapped(t, obj, path, want)
	})
}

// walk is the reference: it finds the path in maps, whose names are exact.
func walk(t *testing.T, payload string, path ClaimPath) (at any, exists bool) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(payload))
	dec.UseNumber()
	if err := dec.Decode(&at); err != nil {
		t.Fatalf("the strict reader took what encoding/json does not: %v", err)
	}
	for _, name := range path {
		members, _ := at.(map[string]any)
		if at, exists = members[name]; !exists {
			return nil, false
		}
	}
	return at, true
}

// checkMapped: scopes and roles read from the path are those of the reference.
func checkMapped(t *testing.T, obj strictjson.Object, path ClaimPath, want any) {
	t.Helper()
	is := &issuer{names: namesOf(Mapping{Scopes: path, Roles: path})}
	tok := &draft{Token: &Token{}}
	if err := is.readScopes(tok, obj); err == nil {
		var allowed []string
		switch v := want.(type) {
		case string:
			allowed = strings.Split(v, " ")
		case []any:
			for _, el := range v {
				s, _ := el.(string)
				allowed = append(allowed, s)
			}
		}
		for _, s := range tok.Scopes {
			if s == "" || strings.ContainsAny(s, " \t\n\"\\") || !slices.Contains(allowed, s) {
				t.Fatalf("scope %q of %v", s, want)
			}
		}
	}
	is.readUser(tok, obj)
	if list, isList := want.([]any); len(tok.Roles) > 0 && (!isList || len(list) != len(tok.Roles)) {
		t.Fatalf("roles %q of %v", tok.Roles, want)
	}
}
