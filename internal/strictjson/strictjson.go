// SPDX-License-Identifier: Apache-2.0

// Package strictjson reads JSON documents that security decisions depend on, once and
// strictly: valid UTF-8, no byte order mark, no lone surrogate, no duplicate member
// name at any depth, bounded depth, nothing after the document, and names matched
// case-sensitively (RFC 8259, RFC 7493 §2.1 and §2.3, RFC 7515 §4, RFC 7519 §4).
//
// Work is linear in the input and memory a small multiple of it. No error quotes the
// document. Values are immutable and safe for concurrent use.
package strictjson

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how many objects and arrays may be nested; the document is the first.
const MaxDepth = 32

var (
	errSyntax    = errors.New("strictjson: not valid JSON")
	errNotObject = errors.New("strictjson: not a JSON object")
	errUTF8      = errors.New("strictjson: not valid UTF-8")
	errSurrogate = errors.New("strictjson: escaped surrogate without its pair")
	errDepth     = errors.New("strictjson: nested more than 32 deep")
	errDuplicate = errors.New("strictjson: duplicate member name")
	errTrailing  = errors.New("strictjson: data after the JSON object")
)

// ParseObject reads a document that is one JSON object. It copies what it keeps: data
// may be changed afterwards.
func ParseObject(data []byte) (Object, error) {
	p := parser{text: string(data)}
	if err := p.document(); err != nil {
		return Object{}, err
	}
	return p.kept(), nil
}

// ParseObjectOuter is [ParseObject], except that objects inside the elements of the
// top-level array called member may hold duplicate names: each element is for
// ParseObject to judge, so that one faulty key does not spoil a key set (RFC 7517 §5).
// Until then [Value.Object] is false for them.
func ParseObjectOuter(data []byte, member string) (Object, error) {
	p := parser{text: string(data), outer: true, lenient: member}
	if err := p.document(); err != nil {
		return Object{}, err
	}
	return p.kept(), nil
}

// Reader has room for the members of a usual document, so that to read one allocates
// nothing. The zero value is ready; it is not for concurrent use.
type Reader struct{ p parser }

// Read is [ParseObject] without a copy: the Object is made of parts of text and of r,
// and holds until r reads again.
func (r *Reader) Read(text string) (Object, error) {
	r.Clear()
	r.p.text = text
	if err := r.p.document(); err != nil {
		return Object{}, err
	}
	o := Object{members: r.p.members()}
	if r.p.more == nil {
		o.find = &r.p.find
	}
	return o, nil
}

// Clear drops what r holds of the document that it read.
func (r *Reader) Clear() {
	clear(r.p.room[:r.p.most])
	r.p.find = table{}
	r.p.text, r.p.more = "", nil
	r.p.pos, r.p.held, r.p.most = 0, 0, 0
}

// parser is one pass over text. It recurses at most MaxDepth deep.
type parser struct {
	text string
	pos  int

	held int        // how many members there are
	room [24]Member // the first of them; an array, so that a parser can live on the stack
	more []Member   // all of them, once the room is not enough
	most int        // how much of the room was ever used
	find table      // of the members of the document, as long as they have room

	outer     bool   // lenient is set
	lenient   string // name of the array whose elements may hold duplicates
	unchecked bool   // inside that array: names are not compared
	compared  bool   // names were compared by an earlier pass
	fold      bool   // names are compared as encoding/json matches struct fields
}

func (p *parser) document() error {
	if !utf8.ValidString(p.text) {
		return errUTF8
	}
	if p.peek() != '{' {
		return errNotObject
	}
	if err := p.object(1); err != nil {
		return err
	}
	p.space()
	if p.pos != len(p.text) {
		return errTrailing
	}
	return nil
}

// kept is the object that was read, for use without p.
func (p *parser) kept() Object {
	if p.more != nil {
		return Object{members: p.more[:p.held:p.held]} // members() would keep p alive
	}
	return Object{members: slices.Clone(p.room[:p.held])}
}

// members is a stack: those of the outermost object, and above them those of each
// object that is still open, kept for the duplicate check.
func (p *parser) members() []Member {
	if p.more != nil {
		return p.more[:p.held:p.held]
	}
	return p.room[:p.held:p.held]
}

// push puts m on the stack. The first that does not fit into the room moves all of them
// to where there is enough: each member has a colon and at least the five bytes "":0, so
// that colons inside strings cannot ask for more than a multiple of the text.
func (p *parser) push(m Member) {
	switch {
	case p.more != nil:
		p.more = append(p.more[:p.held], m)
	case p.held < len(p.room):
		p.room[p.held] = m
		p.most = max(p.most, p.held+1)
	default:
		p.more = make([]Member, p.held, min(strings.Count(p.text, ":"), len(p.text)/5))
		copy(p.more, p.room[:])
		p.more = append(p.more, m)
	}
	p.held++
}

// value reads one value; depth is that of the container around it.
func (p *parser) value(depth int) (Value, error) {
	c := p.peek()
	v := Value{unchecked: p.unchecked}
	start := p.pos
	var err error
	switch c {
	case '"':
		v.kind = KindString
		v.escaped, err = p.quoted()
	case '{':
		v.kind = KindObject
		err = p.object(depth + 1)
	case '[':
		v.kind = KindArray
		err = p.array(depth + 1)
	case 't':
		v.kind = KindBool
		err = p.literal("true")
	case 'f':
		v.kind = KindBool
		err = p.literal("false")
	case 'n':
		v.kind = KindNull
		err = p.literal("null")
	default:
		v.kind = KindNumber
		err = p.number()
	}
	v.raw = p.text[start:p.pos]
	return v, err
}

func (p *parser) object(depth int) error {
	if depth > MaxDepth {
		return errDepth
	}
	base := p.held
	p.pos++
	if p.peek() == '}' {
		p.pos++
		return nil
	}
	for {
		if err := p.member(depth); err != nil {
			return err
		}
		switch p.peek() {
		case ',':
			p.pos++
		case '}':
			p.pos++
			return p.closeObject(base, depth)
		default:
			return errSyntax
		}
	}
}

// member reads a name and its value and puts them on the stack.
func (p *parser) member(depth int) error {
	name, err := p.name()
	if err != nil {
		return err
	}
	if p.peek() != ':' {
		return errSyntax
	}
	p.pos++
	before := p.unchecked
	if p.outer && depth == 1 && name == p.lenient && p.peek() == '[' {
		p.unchecked = true
	}
	value, err := p.value(depth)
	p.unchecked = before
	if err != nil {
		return err
	}
	if depth == 1 || !p.unchecked && !p.compared {
		p.push(Member{Name: name, Value: value})
	}
	return nil
}

func (p *parser) name() (string, error) {
	if p.peek() != '"' {
		return "", errSyntax
	}
	start := p.pos + 1
	escaped, err := p.quoted()
	if err != nil {
		return "", err
	}
	name := p.text[start : p.pos-1]
	if escaped {
		name = unescape(name)
	}
	if p.fold {
		name = foldName(name)
	}
	return name, nil
}

// closeObject compares the names of the object that began at base of the stack, and
// takes it off unless it is the outermost.
func (p *parser) closeObject(base, depth int) error {
	switch members := p.members()[base:]; {
	case depth == 1 && p.more == nil: // names are always compared there, and looked up later
		if !p.find.fill(members) {
			return errDuplicate
		}
	case !p.unchecked && !p.compared && !distinct(members):
		return errDuplicate
	}
	if depth > 1 {
		p.held = base
	}
	return nil
}

// array reads an array of which only the sum counts.
func (p *parser) array(depth int) error {
	more, err := p.open(depth)
	for more && err == nil {
		_, more, err = p.element(depth)
	}
	return err
}

// open reads the bracket that opens an array. more tells whether an element follows.
func (p *parser) open(depth int) (more bool, err error) {
	if depth > MaxDepth {
		return false, errDepth
	}
	p.pos++
	if p.peek() == ']' {
		p.pos++
		return false, nil
	}
	return true, nil
}

// element reads one element of an array, and the comma or bracket behind it.
func (p *parser) element(depth int) (v Value, more bool, err error) {
	if v, err = p.value(depth); err != nil {
		return v, false, err
	}
	switch p.peek() {
	case ',':
		more = true
	case ']':
	default:
		return v, false, errSyntax
	}
	p.pos++
	return v, more, nil
}
