// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// HostileToken is a token that must be refused.
type HostileToken struct {
	// ID is that of the case in the attack catalogue: a row of docs/attacks.md, a dot, and
	// a name.
	ID string
	// Token is what follows "Bearer ".
	Token string
	// Status and Code are the answer it must get over HTTP: 401 and "invalid_token",
	// for example. Of the few tokens that show what must not be refused, Status is 200.
	Status int
	Code   string
	// RFC9068 says that only a verifier of that profile refuses it.
	RFC9068 bool
	// Gain says what an attacker has of it if it is accepted.
	Gain string
}

// Hostile yields every bad token of the attack catalogue, each made of the token that
// Token would make with the same edits. Tokens that only a scope rule refuses are
// among them if the edits grant a scope.
//
// Some are signed by keys that no verifier should use. The first call publishes these
// keys beside the good ones, until Close: call it before the verifier fetches its keys,
// for it to see them.
func (s *Server) Hostile(edits ...Edit) iter.Seq[HostileToken] {
	s.tb.Helper()
	f := s.forgery(edits)
	if f == nil || f.lacks([]string{"asymmetric"}) == "" && !s.publish(f) {
		return func(func(HostileToken) bool) {}
	}
	return func(yield func(HostileToken) bool) {
		for _, c := range catalogue() {
			if !c.refusesToken() || f.lacksFor(c) != "" {
				continue
			}
			if h, ok := s.hostile(f, c); !ok || !yield(h) {
				return
			}
		}
	}
}

// HostileToken makes the one token with this ID, also those that Hostile leaves out
// because they must pass: "E13.same_kid_other_type", for example, whose kid another key
// has, too. If a key that should not be used signs it, all such keys are published as by
// Hostile. An ID that there is not, or not for the server's algorithm, is a fault.
func (s *Server) HostileToken(id string, edits ...Edit) HostileToken {
	s.tb.Helper()
	i := slices.IndexFunc(catalogue(), func(c attackCase) bool { return c.ID == id && c.plain() })
	if i < 0 {
		s.errorf("oauthtest: the attack catalogue has no token %q: %s", id, nearest(id))
		return HostileToken{}
	}
	c, f := catalogue()[i], s.forgery(edits)
	if f == nil {
		return HostileToken{}
	}
	if need := f.lacksFor(c); need != "" {
		s.errorf("oauthtest: %s needs %q, which this server or these edits do not offer", id, need)
		return HostileToken{}
	}
	if slices.Contains(c.Needs, "keys") && !s.publish(f) {
		return HostileToken{}
	}
	h, _ := s.hostile(f, c)
	return h
}

// nearest says which tokens there are in the row of an ID, or else in which rows there are
// some.
func nearest(id string) string {
	row, _, _ := strings.Cut(strings.ToUpper(id), ".")
	ids := map[string][]string{} // by row
	for _, c := range catalogue() {
		if own, _, _ := strings.Cut(c.ID, "."); c.plain() && row != "" && own[0] == row[0] {
			ids[own] = append(ids[own], c.ID)
		}
	}
	rows := slices.SortedFunc(maps.Keys(ids), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	switch {
	case ids[row] != nil:
		return fmt.Sprintf("row %s has %s", row, strings.Join(ids[row], ", "))
	case rows != nil:
		return "there are tokens for the rows " + strings.Join(rows, ", ") + " of docs/attacks.md"
	}
	return "an ID is a row of docs/attacks.md, a dot, and a name, C1.none_lower for example"
}

// forgery takes the scope of cases from the edits. It is nil after a fault.
func (s *Server) forgery(edits []Edit) *forgery {
	s.tb.Helper()
	if err := checkEdits(edits); err != nil {
		s.errorf("oauthtest: %v", err)
		return nil
	}
	f := &forgery{server: s, edits: edits}
	m, err := f.begin(nil)
	if err == nil {
		f.scope, err = m.text("scope")
	}
	if err != nil {
		s.errorf("%v", err)
		return nil
	}
	return f
}

// publish is false after a fault.
func (s *Server) publish(f *forgery) bool {
	keys, err := f.keys()
	if err != nil {
		s.tb.Helper()
		s.errorf("oauthtest: hostile keys: %v", err)
		return false
	}
	s.setExtraKeys(keys)
	return true
}

// hostile is false after a fault.
func (s *Server) hostile(f *forgery, c attackCase) (HostileToken, bool) {
	tokens, err := f.tokens(c)
	if err != nil {
		s.tb.Helper()
		s.errorf("oauthtest: %v", err)
		return HostileToken{}, false
	}
	a := answers[c.Expect[0]]
	return HostileToken{
		ID: c.ID, Token: tokens["token"], Status: a.status, Code: a.code,
		RFC9068: slices.Contains(c.Needs, "rfc9068"), Gain: c.Gain,
	}, true
}

// answers are the outcome words that a token alone can bring about.
var answers = map[string]struct {
	status int
	code   string
}{
	"PASS":  {http.StatusOK, ""},
	"TOK":   {http.StatusUnauthorized, "invalid_token"},
	"REQ":   {http.StatusBadRequest, "invalid_request"},
	"SCOPE": {http.StatusForbidden, "insufficient_scope"},
}

// plain says that the case is a token in the usual place, and no more.
func (c attackCase) plain() bool {
	_, one := c.Tokens["token"]
	return one && reflect.ValueOf(c.Send).IsZero() &&
		!slices.ContainsFunc(c.Needs, func(need string) bool { return slices.Contains([]string{"outage", "http1", "clock"}, need) })
}

// refusesToken says that the token of a plain case must be refused, in one way.
func (c attackCase) refusesToken() bool {
	return c.plain() && len(c.Expect) == 1 && c.Expect[0] != "PASS" && answers[c.Expect[0]].status != 0
}
