// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/bearerguard/bearerguard/verifier"
)

// hostile has the whole catalogue, among it tokens of keys that should not be used.
func (k *verifierTest) hostile() {
	free := k.liberties()
	all := k.as.Hostile(k.perfect()...)
	k.accepted(k.token(), unbound)
	for h := range all {
		blamed := h.Status == http.StatusUnauthorized || h.Status == http.StatusBadRequest // 403 is of a rule
		if blamed && !free.take(h) {
			k.refusedTwice(h.ID+" ("+h.Gain+")", h.Token)
		}
	}
	k.accepted(k.token(), unbound)
}

// liberties are what a configuration may do otherwise than RFC 9068.
type liberties struct {
	anyType  bool     // of a JWT
	optional []string // claims that it does without
	mapped   []string // claims in whose place it reads others
}

// liberties finds out by good tokens.
func (k *verifierTest) liberties() (free liberties) {
	accepts := func(edit Edit) (*verifier.Token, bool) {
		tok, err := k.present(context.Background(), k.token(edit), unbound)
		return tok, err == nil
	}
	_, free.anyType = accepts(Type("JWT"))
	for _, name := range []string{"sub", "client_id", "iat", "jti"} {
		if _, ok := accepts(NoClaim(name)); ok {
			free.optional = append(free.optional, name)
		}
	}
	if tok, ok := accepts(Claim("scope", "probe")); ok && !slices.Equal(tok.Scopes, []string{"probe"}) {
		free.mapped = append(free.mapped, "scope")
	}
	if tok, ok := accepts(Claim("client_id", "probe")); ok && tok.ClientID != "probe" {
		free.mapped = append(free.mapped, "client_id")
	}
	return free
}

// take reports whether the token of h may pass.
func (l liberties) take(h HostileToken) bool {
	spoiled := spoiledClaims(h.ID)
	in := func(list []string) bool {
		return len(spoiled) > 0 && !slices.ContainsFunc(spoiled, func(name string) bool { return !slices.Contains(list, name) })
	}
	return in(l.mapped) || h.RFC9068 && (l.anyType || in(l.optional))
}

// spoiledClaims are the claims in which alone the token of a case is bad; nil if there is
// more to it.
func spoiledClaims(id string) []string {
	for _, c := range catalogue() {
		if c.ID != id {
			continue
		}
		r := c.Tokens["token"]
		only := recipe{Claims: part{Set: r.Claims.Set, Remove: r.Claims.Remove}}
		if !reflect.DeepEqual(r, only) {
			return nil
		}
		return slices.AppendSeq(slices.Clone(r.Claims.Remove), maps.Keys(r.Claims.Set))
	}
	return nil
}
