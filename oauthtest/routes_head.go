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

// listedHead goes by what is asked for: parameters may have other names there.
func listedHead(list []routeOf, rt routeOf) bool {
	return slices.ContainsFunc(list, func(other routeOf) bool {
		return slices.Contains(other.methods, http.MethodHead) && other.host == rt.host && other.path == rt.path
	})
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
// guards. Where the header has no Content-Length, as that of net/http for more than 2 KB,
// another page with the same header is taken for it. What differs only by the time is
// asked for anew: one second may end meanwhile, but not two.
func (w *asker) asNobodys(got routeReply, rt routeOf) bool {
	for _, beside := range []bool{true, false} {
		a, b := rt.stranger("nosuchpatha", beside), rt.stranger("nosuchpathb", beside)
		if a == "" || w.ask(http.MethodGet, rt.host, a).refuses("") == nil {
			continue
		}
		for range 3 {
			one, two := w.ask(http.MethodHead, rt.host, a), w.ask(http.MethodHead, rt.host, b)
			if got.alike(one, two) && sameHeader(got.header, one.header, two.header) {
				return true
			}
			got = w.ask(http.MethodHead, rt.host, rt.path)
		}
	}
	return false
}

// sameHeader compares all that an answer to HEAD tells. What differs between a and b may
// be anything, but what both have must be there.
func sameHeader(h, a, b http.Header) bool {
	for _, header := range []http.Header{h, a} {
		for name := range header {
			switch {
			case name == "Date":
			case slices.Equal(a[name], b[name]):
				if !slices.Equal(h[name], a[name]) {
					return false
				}
			case len(a[name]) > 0 && len(b[name]) > 0 && len(h[name]) == 0:
				return false
			}
		}
	}
	return true
}
