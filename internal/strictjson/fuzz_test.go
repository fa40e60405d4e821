// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParseObject holds ParseObject against encoding/json with the missing strictness
// added, in both directions, and then compares what both have read.
func FuzzParseObject(f *testing.F) {
	for _, tt := range refused {
		if len(tt.doc) < 1000 {
			f.Add([]byte(tt.doc))
		}
	}
	for _, tt := range accepted {
		f.Add([]byte(tt.doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		obj, err := ParseObject(data)
		if !bytes.Equal(before, data) {
			t.Fatal("data was changed")
		}
		want, ok := reference(data)
		if ok != (err == nil) {
			t.Fatalf("ParseObject: %v; reference accepts: %v", err, ok)
		}
		if err != nil {
			return
		}
		var got strings.Builder
		writeObject(t, &got, obj)
		if got.String() != want {
			t.Fatalf("read  %s\nwant %s", got.String(), want)
		}
		_ = FoldClash(string(data))
		rejoin(t, data, obj)
		outer(t, data, want)
	})
}

// The tables must not owe their outcome to our reader alone.
func TestReference(t *testing.T) {
	for _, tt := range refused {
		t.Run("GO-13/refused/"+tt.name, func(t *testing.T) {
			if _, ok := reference([]byte(tt.doc)); ok {
				t.Error("the reference accepts it")
			}
		})
	}
	for _, tt := range accepted {
		t.Run("GO-13/accepted/"+tt.name, func(t *testing.T) {
			if _, ok := reference([]byte(tt.doc)); !ok {
				t.Error("the reference refuses it")
			}
		})
	}
}

// outer checks that leaving elements for later changes nothing where nothing is wrong.
func outer(t *testing.T, data []byte, want string) {
	obj, err := ParseObjectOuter(data, "no such member")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	writeObject(t, &got, obj)
	if got.String() != want {
		t.Fatalf("outer read %s\nwant %s", got.String(), want)
	}
	if obj.Len() > 0 {
		if _, err := ParseObjectOuter(data, obj.members[0].Name); err != nil {
			t.Fatal(err)
		}
	}
}

// rejoin puts the document together again: the raw values must be its bytes, in order,
// with nothing but names and punctuation between them.
func rejoin(t *testing.T, data []byte, obj Object) {
	rest := data
	for _, m := range obj.members {
		raw := m.Value.Raw()
		_, after, _ := bytes.Cut(rest, []byte(`"`))
		for end := 0; ; end++ { // the name ends at the first quote that makes it a string
			if after[end] != '"' {
				continue
			}
			var name string
			if json.Unmarshal([]byte(`"`+string(after[:end+1])), &name) == nil && name == m.Name {
				after = after[end+1:]
				break
			}
		}
		after = bytes.TrimLeft(after, " \t\r\n")
		after = bytes.TrimLeft(after[1:], " \t\r\n")
		if !bytes.HasPrefix(after, raw) {
			t.Fatalf("the value of %q is %q, not at %q", m.Name, raw, after)
		}
		rest = after[len(raw):]
	}
	if strings.Trim(string(rest), " \t\r\n{") != "}" {
		t.Fatalf("%q is left after the last member", rest)
	}
}

// writeObject and reference write the same notation: kinds marked, strings quoted as Go
// strings, numbers letter for letter.
func writeObject(t *testing.T, b *strings.Builder, obj Object) {
	b.WriteByte('{')
	for _, m := range obj.members {
		b.WriteString(strconv.Quote(m.Name) + ":")
		writeValue(t, b, m.Value)
		if _, ok := obj.Get(m.Name); !ok {
			t.Fatalf("Get does not find %q", m.Name)
		}
	}
	b.WriteByte('}')
}

func writeValue(t *testing.T, b *strings.Builder, v Value) {
	switch v.Kind() {
	case KindObject:
		obj, ok := v.Object()
		if !ok {
			t.Fatalf("no object: %s", v.Raw())
		}
		writeObject(t, b, obj)
	case KindArray:
		elements, ok := v.Elements()
		if !ok {
			t.Fatalf("no array: %s", v.Raw())
		}
		b.WriteByte('[')
		for _, e := range elements {
			writeValue(t, b, e)
		}
		b.WriteByte(']')
	case KindString:
		text, _ := v.Text()
		b.WriteString(strconv.Quote(text))
	default:
		b.Write(v.Raw())
	}
	b.WriteByte(',')
}

// reference reads data by the tokens of encoding/json and adds what that lets pass.
func reference(data []byte) (notation string, ok bool) {
	if !json.Valid(data) || !utf8.Valid(data) || loneSurrogate(data) {
		return "", false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return "", false
	}
	var b strings.Builder
	if !referenceObject(&b, dec, 1) {
		return "", false
	}
	return b.String(), true
}

func referenceObject(b *strings.Builder, dec *json.Decoder, depth int) bool {
	seen := map[string]bool{}
	b.WriteByte('{')
	for dec.More() {
		token, err := dec.Token()
		name, isText := token.(string)
		if err != nil || !isText || seen[name] {
			return false
		}
		seen[name] = true
		b.WriteString(strconv.Quote(name) + ":")
		if !referenceValue(b, dec, depth) {
			return false
		}
	}
	b.WriteByte('}')
	_, err := dec.Token()
	return err == nil && depth <= 32
}

func referenceArray(b *strings.Builder, dec *json.Decoder, depth int) bool {
	b.WriteByte('[')
	for dec.More() {
		if !referenceValue(b, dec, depth) {
			return false
		}
	}
	b.WriteByte(']')
	_, err := dec.Token()
	return err == nil && depth <= 32
}

func referenceValue(b *strings.Builder, dec *json.Decoder, depth int) bool {
	token, err := dec.Token()
	if err != nil {
		return false
	}
	ok := true
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			ok = referenceObject(b, dec, depth+1)
		} else {
			ok = referenceArray(b, dec, depth+1)
		}
	case string:
		b.WriteString(strconv.Quote(token))
	case json.Number:
		b.WriteString(string(token))
	case bool:
		b.WriteString(strconv.FormatBool(token))
	case nil:
		b.WriteString("null")
	}
	b.WriteByte(',')
	return ok
}

var escapes = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|.)`)

// loneSurrogate looks at all escapes of a valid document: a high surrogate must be
// followed at once by a low one, and a low one must follow a high one.
func loneSurrogate(data []byte) bool {
	high := -1 // where a low surrogate must begin
	for _, at := range escapes.FindAllIndex(data, -1) {
		e := strings.ToLower(string(data[at[0]:at[1]]))
		isHigh := len(e) == 6 && e >= `\ud800` && e <= `\udbff`
		isLow := len(e) == 6 && e >= `\udc00` && e <= `\udfff`
		if isLow != (high == at[0]) || high >= 0 && high != at[0] {
			return true
		}
		high = -1
		if isHigh {
			high = at[1]
		}
	}
	return high >= 0
}
