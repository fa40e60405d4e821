// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// headOf is rt as it would be listed for HEAD.
func headOf(rt routeOf) string {
	return http.MethodHead + " " + strings.TrimPrefix(rt.name, http.MethodGet+" ")
}

func listedHead(list []routeOf, rt routeOf) bool {
	return slices.ContainsFunc(list, func(other routeOf) bool { return other.name == headOf(rt) })
}

// checkHead asks by HEAD where GET is: a router gives it to the same handler. Where it
// does not, a page for all paths may answer.
func (w *asker) checkHead(rt routeOf) error {
	if !slices.Contains(rt.methods, http.MethodGet) {
		return nil
	}
	got := w.ask(http.MethodHead, rt.host, rt.path)
	err := got.refuses("")
	if err == nil || got.unknown() || w.asNobodys(got, rt) {
		return nil
	}
	return fmt.Errorf("HEAD without a token: %w. Or the guard lets HEAD through, and the handler of GET runs; if that is meant, add %q to the routes and to the public ones", err, headOf(rt))
}

// asNobodys tells whether got is what HEAD gets at a path that nobody has, and nobody
// guards.
func (w *asker) asNobodys(got routeReply, rt routeOf) bool {
	for _, beside := range []bool{true, false} {
		a, b := rt.stranger("nosuchpatha", beside), rt.stranger("nosuchpathb", beside)
		if a == "" || w.ask(http.MethodGet, rt.host, a).refuses("") == nil {
			continue
		}
		one, two := w.ask(http.MethodHead, rt.host, a), w.ask(http.MethodHead, rt.host, b)
		if got.alike(one, two) && (got.length() == one.length() || one.length() != two.length()) {
			return true
		}
	}
	return false
}

// length is all that an answer to HEAD tells of the body.
func (r routeReply) length() string { return r.header.Get("Content-Length") }
