// SPDX-License-Identifier: Apache-2.0

package strictjson

import "strings"

// Kind is the JSON type of a [Value].
type Kind uint8

// The kinds. Invalid is that of the zero Value.
const (
	KindInvalid Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindArray
	KindObject
)

// Value is one JSON value, already validated. The zero Value is no value at all:
// its kind is KindInvalid, and every other method reports false.
type Value struct {
	raw       string
	kind      Kind
	escaped   bool // a String that holds an escape
	unchecked bool // may hold objects with duplicate names
}

// Member is a name and its value. The name is decoded: "\u0061ud" is aud.
type Member struct {
	Name  string
	Value Value
}

// Object is a JSON object, its members in document order. The zero Object is empty.
type Object struct {
	members []Member
	find    *table // of them, or nil
}

// Get returns the member called name, code point for code point (RFC 7519 §4).
func (o Object) Get(name string) (Value, bool) {
	if o.find != nil {
		return o.find.get(o.members, name)
	}
	for i := range o.members {
		if o.members[i].Name == name {
			return o.members[i].Value, true
		}
	}
	return Value{}, false
}

// Len is the number of members.
func (o Object) Len() int { return len(o.members) }

// Kind is the JSON type.
func (v Value) Kind() Kind { return v.kind }

// Raw is a copy of the exact bytes of the value, so numbers keep every digit.
func (v Value) Raw() []byte { return []byte(v.raw) }

// Text is the decoded value of a string, whole, also after a NUL; false for any other kind.
func (v Value) Text() (string, bool) {
	if v.kind != KindString {
		return "", false
	}
	inside := v.raw[1 : len(v.raw)-1]
	if v.escaped {
		return unescape(inside), true
	}
	return inside, true
}

// Bool is the value of true or false; ok is false for any other kind.
func (v Value) Bool() (b, ok bool) { return v.raw == "true", v.kind == KindBool }

// Texts is the decoded value of an array that holds strings only; false for anything
// else. An empty array is empty and true.
func (v Value) Texts() ([]string, bool) {
	n, ok := v.Count()
	if !ok {
		return nil, false
	}
	list, ok := v.AppendTexts(make([]string, 0, n))
	if !ok {
		return nil, false
	}
	return list, true
}

// AppendTexts appends what [Value.Texts] returns to list. What it appended where that is
// false means nothing.
func (v Value) AppendTexts(list []string) ([]string, bool) {
	return v.appendEach(list, Value.Text)
}

// AppendNamed is [Value.AppendTexts], and takes an object for the string that its member
// called name is.
func (v Value) AppendNamed(list []string, name string) ([]string, bool) {
	return v.appendEach(list, func(el Value) (string, bool) {
		if object, isObject := el.Object(); isObject {
			el, _ = object.Get(name)
		}
		return el.Text()
	})
}

func (v Value) appendEach(list []string, read func(Value) (string, bool)) ([]string, bool) {
	ok := v.each(func(el Value) bool {
		text, isText := read(el)
		list = append(list, text)
		return isText
	})
	return list, ok
}

// Elements are the elements of an array; false for any other kind.
func (v Value) Elements() ([]Value, bool) {
	n, ok := v.Count()
	if !ok {
		return nil, false
	}
	list := make([]Value, 0, n)
	ok = v.each(func(el Value) bool {
		list = append(list, el)
		return true
	})
	return list, ok
}

// Separators is how many commas the value holds, those in strings included: an array has
// at most one element more.
func (v Value) Separators() int { return strings.Count(v.raw, ",") }

// Count is the number of elements of an array; false for any other kind. The array is
// counted in one pass and collected in another, since a list that grows takes several
// times its memory.
func (v Value) Count() (n int, ok bool) {
	ok = v.each(func(Value) bool {
		n++
		return true
	})
	return n, ok
}

// each calls wanted with the elements of an array in order, until it is false. It is false
// then, and for any other kind.
func (v Value) each(wanted func(Value) bool) bool {
	if v.kind != KindArray {
		return false
	}
	p := v.again()
	more, err := p.open(1)
	for more && err == nil {
		var el Value
		if el, more, err = p.element(1); err == nil && !wanted(el) {
			return false
		}
	}
	return err == nil
}

// Object is the value as an object. It is false for any other kind, and for an object
// whose names were not compared yet (see [ParseObjectOuter]).
func (v Value) Object() (Object, bool) {
	if v.kind != KindObject || v.unchecked {
		return Object{}, false
	}
	p := v.again()
	if p.object(1) != nil {
		return Object{}, false
	}
	return p.kept(), true
}

// again reads the value once more with the very code that accepted it, so that the two
// readings cannot differ. Names were compared then, or are still unchecked.
func (v Value) again() parser {
	return parser{text: v.raw, compared: true, unchecked: v.unchecked}
}
