// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"encoding/json"
	"net/url"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

var (
	badDetails     = &refusal{"invalid_authorization_details", "not a JSON array of objects that each have a type"}
	ungivenDetails = &refusal{"invalid_authorization_details", "not all of these were granted"}
)

// askedDetails reads authorization_details, nil if there are none. It takes every type
// (RFC 9396 §2): what they mean is the API's business.
func askedDetails(params url.Values) (json.RawMessage, *refusal) {
	raw := params.Get("authorization_details")
	if raw == "" {
		return nil, nil
	}
	list, _ := detailList(raw)
	if list == nil {
		return nil, badDetails
	}
	return list, nil
}

// detailList returns the array and its elements in canonical form; nil if it is none of
// objects that each have a type.
func detailList(raw string) (json.RawMessage, []string) {
	// A strict reader of objects reads the array as the one member of an object.
	doc, err := strictjson.ParseObject([]byte(`{"details":` + raw + `}`))
	list, _ := doc.Get("details")
	elements, _ := list.Elements()
	if err != nil || doc.Len() != 1 || len(elements) == 0 {
		return nil, nil
	}
	var canonical []string
	for _, e := range elements {
		object, _ := e.Object()
		element, ok := canonicalJSON(e.Raw())
		if !ok || text(object, "type") == "" {
			return nil, nil
		}
		canonical = append(canonical, element)
	}
	return list.Raw(), canonical
}

// canonicalJSON makes equal values equal texts, whatever the order of members. Numbers
// are compared digit by digit.
func canonicalJSON(raw []byte) (string, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return "", false
	}
	b, err := json.Marshal(v)
	return string(b), err == nil
}

// narrowDetails returns what a token request asks for of what was granted, or all of
// that. The elements are compared as JSON, since nothing is known of their types
// (RFC 9396 §6).
func narrowDetails(form url.Values, granted json.RawMessage) (json.RawMessage, *refusal) {
	asked, refused := askedDetails(form)
	if asked == nil || refused != nil {
		return granted, refused
	}
	_, have := detailList(string(granted))
	given := map[string]bool{}
	for _, e := range have {
		given[e] = true
	}
	_, want := detailList(string(asked))
	for _, e := range want {
		if !given[e] {
			return nil, ungivenDetails
		}
	}
	return asked, nil
}

// details are those of the token itself, which may be fewer than its family's.
func (t *accessToken) details() json.RawMessage {
	b, err := json.Marshal(t.claims["authorization_details"])
	if err != nil {
		return nil
	}
	list, _ := detailList(string(b))
	return list
}
