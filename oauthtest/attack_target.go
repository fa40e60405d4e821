// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/verifier"
)

// except returns the user's reason to leave out a case, or "".
func (target Target) except(id string) string {
	row, _, _ := strings.Cut(id, ".")
	return cmp.Or(target.Except[id], target.Except[row])
}

// steps are what is played beside the cases of the catalogue.
var steps = []attackCase{rotationCase, unknownCase, withdrawnCase, togetherCase}

// excepted tells whether the user leaves out a step, and logs the reason.
func (a *attack) excepted(step attackCase) bool {
	a.tb.Helper()
	why := a.target.except(step.ID)
	if why != "" {
		a.tb.Logf("oauthtest: %s is skipped: %s", step.ID, why)
	}
	return why != ""
}

func (target Target) checkExcept() error {
	var faults []error
	all := slices.Concat(catalogue(), steps)
	for _, name := range slices.Sorted(maps.Keys(target.Except)) {
		known := slices.ContainsFunc(all, func(c attackCase) bool {
			return c.ID == name || strings.HasPrefix(c.ID, name+".")
		})
		switch {
		case !known:
			faults = append(faults, fmt.Errorf(`oauthtest: Target.Except names %q, which is no case of the attack catalogue: use an ID as findings have it, or its row, "D32" for example`, name))
		case strings.TrimSpace(target.Except[name]) == "":
			faults = append(faults, fmt.Errorf("oauthtest: Target.Except has no reason for %s: say why the API decides it otherwise", name))
		}
	}
	return errors.Join(faults...)
}

func (target Target) checkHeader() error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(target.Header)) {
		if strings.EqualFold(name, "Authorization") {
			faults = append(faults, errors.New("oauthtest: Target.Header has Authorization, which the attack sets itself: leave it out"))
		}
		for _, value := range target.Header[name] {
			if !wellFormed(name + ":" + value) {
				faults = append(faults, fmt.Errorf("oauthtest: Target.Header: %q, or its value, cannot be sent as a header field", name))
			}
		}
	}
	return errors.Join(faults...)
}

// host is what the requests ask for, own unless Header has another.
func (target Target) host(own string) string {
	for name, values := range target.Header {
		if strings.EqualFold(name, "Host") && len(values) > 0 {
			return values[0]
		}
	}
	return own
}

// freeFields is a need that the catalogue does not know.
const freeFields = "free-fields"

// messageFields belong to a request as a whole: a case that sends them is about them, or
// cannot do without. Of cookies a request can have several.
var messageFields = []string{"authorization", "connection", "content-length", "content-type", "cookie", "expect", "host", "transfer-encoding", "upgrade"}

// beside leaves out lines whose names h has, since the route may need its values.
func (c attackCase) beside(h http.Header) attackCase {
	var rest []string
	free := false // something else is left
	for _, line := range c.Send.Lines {
		name, _ := field(line)
		name = strings.ToLower(strings.TrimSpace(name))
		taken := slices.ContainsFunc(slices.Collect(maps.Keys(h)), func(n string) bool { return strings.EqualFold(n, name) })
		if !taken || slices.Contains(messageFields, name) {
			rest, free = append(rest, line), free || name != "authorization"
		}
	}
	switch {
	case len(rest) == len(c.Send.Lines):
	case free:
		c.Send.Lines = rest
	default:
		c.Needs = append(slices.Clone(c.Needs), freeFields)
	}
	return c
}

// addHeader leaves alone what the case has set, and puts cookies before those of the case,
// since there is one field for all (RFC 6265 §5.4). Host is no line of its own, since HTTP/2
// has none.
func (target Target) addHeader(s *sending) {
	for _, name := range slices.Sorted(maps.Keys(target.Header)) {
		switch values := target.Header[name]; {
		case s.has(name) && strings.EqualFold(name, "Cookie"):
			s.addCookies(values)
		case s.has(name) || len(values) == 0:
		case strings.EqualFold(name, "Host"):
			s.host = values[0]
		default:
			for _, value := range values {
				s.lines = append(s.lines, http.CanonicalHeaderKey(name)+": "+value)
			}
		}
	}
}

func (s *sending) addCookies(values []string) {
	for i, line := range s.lines {
		if name, value := field(line); strings.EqualFold(name, "Cookie") {
			s.lines[i] = name + ": " + strings.Join(append(slices.Clone(values), value), "; ")
		}
	}
}

// edits are those of the good token. The scope is already there, at its usual place.
func (target Target) edits() []Edit {
	m := target.Mapping
	if m.Scopes == nil && m.ClientID == nil {
		return target.Token
	}
	return append([]Edit{func(t *draft) {
		t.mapping = m
		t.move("scope", m.Scopes)
		t.move("client_id", m.ClientID)
	}}, target.Token...)
}

func (t *draft) move(name string, path verifier.ClaimPath) {
	if value, there := t.claims[name]; there && len(path) > 0 {
		delete(t.claims, name)
		t.place(path, name, value)
	}
}

// mapped makes the recipes edit the claims that Mapping names. Where that cannot be, the
// case needs what no target has.
func (target Target) mapped(c attackCase) attackCase {
	if len(target.Mapping.Scopes) > 0 && c.listsScopes() {
		return c.unmapped()
	}
	for name, path := range map[string]verifier.ClaimPath{"scope": target.Mapping.Scopes, "client_id": target.Mapping.ClientID} {
		if len(path) > 1 || len(path) == 1 && path[0] != name {
			c = c.renamed(name, path)
		}
	}
	return c
}

// listsScopes tells whether a token has an array of scopes, which is good where a Mapping
// says where they are.
func (c attackCase) listsScopes() bool {
	for _, r := range c.Tokens {
		var list []*string
		if json.Unmarshal(r.Claims.Set["scope"], &list) == nil && len(list) > 0 && !slices.Contains(list, nil) {
			return true
		}
	}
	return false
}

func (c attackCase) renamed(name string, path verifier.ClaimPath) attackCase {
	tokens := maps.Clone(c.Tokens)
	for key, r := range tokens {
		switch {
		case !r.Claims.mentions(name):
			continue
		case len(path) > 1 || r.Claims.inText(name) || r.Claims.sets(path[0]):
			return c.unmapped()
		}
		r.Claims = r.Claims.renamed(name, path[0])
		tokens[key] = r
	}
	c.Tokens = tokens
	return c
}

// fixedClaims is a need that the catalogue does not know.
const fixedClaims = "fixed-claims"

func (c attackCase) unmapped() attackCase {
	c.Needs = append(slices.Clone(c.Needs), fixedClaims)
	return c
}

func (p part) sets(name string) bool {
	_, set := p.Set[name]
	return set
}

func (p part) mentions(name string) bool {
	return p.sets(name) || slices.Contains(p.Remove, name) || p.inText(name)
}

// inText: a member may be written by hand, for what encoding/json would not write.
func (p part) inText(name string) bool {
	quoted := `"` + name + `"`
	return strings.Contains(p.Append, quoted) || strings.Contains(p.Prepend, quoted) || p.Raw != nil && strings.Contains(*p.Raw, quoted)
}

func (p part) renamed(from, to string) part {
	set := map[string]json.RawMessage{}
	for name, value := range p.Set {
		if name == from {
			name = to
		}
		set[name] = value
	}
	p.Set, p.Remove = set, slices.Clone(p.Remove)
	for i, name := range p.Remove {
		if name == from {
			p.Remove[i] = to
		}
	}
	return p
}
