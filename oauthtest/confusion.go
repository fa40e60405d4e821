// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// CheckPaths asks h for each guarded route without a token, in the spellings that
// routers, proxies and guards disagree about: doubled slashes, dot segments, percent
// encodings also of slashes and dots, matrix parameters, other case, trailing slashes,
// NUL and blanks, backslashes, overlong and fullwidth characters, endings of files,
// absolute targets, and ways through the public routes. It fails if one gets past the
// guard: a guard that compares paths itself and a router that tidies them up are the
// usual pair. Routes and public are those of [CheckRoutes], which comes first.
//
// These count as refused:
//   - 401 with a challenge, as [CheckRoutes] wants it
//   - 400, 404, 405 and 421
//   - what the server says before any handler runs
//   - what paths that nobody has get in the same spelling, if they are not guarded
//     themselves: a page for all paths, a public route with a parameter, a filter's 403,
//     a file server's 500. What differs between two of these, such as a nonce, what
//     repeats the path, and the time do not count. Bodies are read for 200 ms; of those
//     that took longer the beginnings are compared, of text/event-stream and of 101
//     nothing but that they are such
//   - a redirect that ends in one of these, in a circle, or at a host of the server's
//     own choice
//
// Anything else is past the guard; so is a redirect to a host that the path named. So
// give the handlers data of their own to answer with, rather than 404 or nothing. A 429
// fails the check, too, since a rate limiter hides what is behind it.
func CheckPaths(t testing.TB, h http.Handler, routes []string, public ...string) {
	t.Helper()
	list, open := parseRoutes(t, h, routes, public)
	a := newAsker(h)
	defer a.close()
	doors := openDoors(list, open)
	for _, rt := range list {
		if open[rt.name] {
			continue
		}
		if err := a.checkSpellings(rt, doors); err != nil {
			t.Errorf("oauthtest: %s: %v", rt.name, err)
		}
	}
}

// openDoors are the public routes up to their first parameter: what a guard may skip by
// a prefix.
func openDoors(list []routeOf, open map[string]bool) []string {
	var doors []string
	for _, rt := range list {
		if !open[rt.name] {
			continue
		}
		door := rt.path[:same(rt.path, rt.other)]
		doors = append(doors, strings.TrimSuffix(door, "/"))
		if i := strings.IndexAny(door, inSegment); i >= 0 {
			doors = append(doors, strings.TrimSuffix(door[:i], "/"))
		}
	}
	slices.Sort(doors)
	return slices.DeleteFunc(slices.Compact(doors), func(door string) bool { return door == "" })
}

// same is the length of the prefix that a and b share.
func same(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// listed is how many spellings a failure names: a broken guard has dozens.
var listed = 12

func (a *asker) checkSpellings(rt routeOf, doors []string) error {
	method, ok := a.guardedMethod(rt)
	if !ok && !a.limited {
		return errors.New("not guarded in its own spelling: see what CheckRoutes says, and mend that first")
	}
	unknown := a.strangers(method, rt, doors)
	var past []string
	seen := map[string]bool{rt.path: true}
	for i, target := range spellings(rt.host, rt.path, doors) {
		if a.limited {
			return errors.New("429 Too Many Requests: " + limiterFirst)
		}
		if seen[target] {
			continue
		}
		seen[target] = true
		if got := a.end(method, rt.host, target); got.past() && !a.explained(got, method, rt, target, unknown, i) {
			past = append(past, fmt.Sprintf("%s: %s", shownTarget(target), got.text()))
		}
	}
	return pastError(past, len(seen)-1)
}

func pastError(past []string, of int) error {
	count := len(past)
	if count == 0 {
		return nil
	}
	if count > listed {
		past = append(past[:listed], "…")
	}
	return fmt.Errorf("%d of %d spellings of its path get past the guard without a token. The usual cause: the guard compares the path itself, and the router or handler behind it reads it otherwise; put the guard on the route or its group instead\n\t%s", count, of, strings.Join(past, "\n\t"))
}

// guardedMethod is one by which the route is guarded.
func (a *asker) guardedMethod(rt routeOf) (string, bool) {
	for _, method := range rt.methods {
		if a.ask(method, rt.host, rt.path).refuses("") == nil {
			return method, true
		}
	}
	return "", false
}

// shownTarget is a target in a message: some cannot be printed, some are very long.
func shownTarget(target string) string {
	const most = 80
	if len(target) > most {
		target = target[:most/2] + "…" + target[len(target)-most/2:]
	}
	return fmt.Sprintf("%q", target)
}

// strangers are the spellings of two paths that nobody has; only those from an index on
// are to be asked for.
type strangers struct {
	two  [2][]string
	from int
}

// strangers are beside rt, or have its form. One that is guarded as it is would be as
// wrong in another spelling as rt. But through a door it may also be a public route that
// takes all, as it was meant to: then it is asked for a level deeper, where no route of
// rt's form can answer.
func (a *asker) strangers(method string, rt routeOf, doors []string) []strangers {
	var all []strangers
	add := func(from int, path func(name string) string) {
		first, second := path("nosuchpatha"), path("nosuchpathb")
		open := func(p string) bool { return a.stranger(method, rt.host, p).refuses("") != nil }
		if first != "" && (from > 0 || open(first) && open(second)) {
			all = append(all, strangers{[2][]string{spellings(rt.host, first, doors), spellings(rt.host, second, doors)}, from})
		}
	}
	formed := func(name string) string { return rt.stranger(name, false) }
	add(0, func(name string) string { return rt.stranger(name, true) })
	add(0, formed)
	if formed("x") != "" && rt.path != "/" { // with ServeMux, that one takes all paths
		add(len(spellings(rt.host, rt.path, nil)), func(name string) string { return formed(name) + "/" + name })
	}
	return all
}

// inSegment begins a parameter inside a segment with some routers, and not with others.
const inSegment = ":*"

// stranger is rt's path with its last segment or all of them replaced; "" where only
// parameters would be, since then the path is the route's own.
func (rt routeOf) stranger(name string, beside bool) string {
	segments, others := strings.Split(rt.path, "/"), strings.Split(rt.other, "/")
	last := len(segments) - 1
	if segments[last] == "" && last > 1 {
		last--
	}
	own := true
	for i := range segments {
		if i == 0 || i > last || beside && i < last {
			continue
		}
		own = own && (segments[i] != others[i] || strings.ContainsAny(segments[i], inSegment))
		segments[i] = name
	}
	if own {
		return ""
	}
	return strings.Join(segments, "/")
}

// past tells whether a reply is more than a refusal.
func (r routeReply) past() bool {
	switch {
	case !r.served:
		return false
	case r.elsewhere:
		return true
	case r.err != nil:
		return !r.direct // what no server sends may well be too much for a router
	}
	refused := r.unknown() || r.status == http.StatusBadRequest || r.status == http.StatusMisdirectedRequest || r.redirects() || r.refuses("") == nil
	return !refused
}

// explained tells whether got, or else what target is answered at another time, is what
// strangers get in this spelling. A page may have the time: what was remembered is then
// too old, and while all of them are asked anew one second may end, but not two.
func (a *asker) explained(got routeReply, method string, rt routeOf, target string, unknown []strangers, spelling int) bool {
	if a.asUnknown(got, method, rt.host, unknown, spelling, a.stranger) {
		return true
	}
	for range 2 {
		if a.asUnknown(a.end(method, rt.host, target), method, rt.host, unknown, spelling, a.end) {
			return true
		}
	}
	return false
}

// asUnknown tells whether a reply is what strangers get in this spelling.
func (a *asker) asUnknown(r routeReply, method, host string, unknown []strangers, spelling int, ask func(method, host, target string) routeReply) bool {
	return !r.elsewhere && slices.ContainsFunc(unknown, func(s strangers) bool {
		return spelling >= s.from && r.alike(ask(method, host, s.two[0][spelling]), ask(method, host, s.two[1][spelling]))
	})
}

// stranger asks for a path that nobody has, once: each route has the same ones.
func (a *asker) stranger(method, host, target string) routeReply {
	name := method + " " + host + " " + target
	got, ok := a.known[name]
	if !ok {
		got = a.end(method, host, target)
		a.known[name] = got
	}
	return got
}

// end asks for target and follows redirects, as a client does.
func (a *asker) end(method, host, target string) routeReply {
	return a.follow(method, host, target).to(method, host, target)
}

func (a *asker) follow(method, host, target string) routeReply {
	const most = 10
	var got routeReply
	for range most {
		if got = a.send(true, method, host, target); !got.served {
			if got = a.direct(method, host, target); got.err != nil {
				return got
			}
		}
		next, err := got.next(host, target)
		if err != nil || next == "" {
			return got
		}
		if next == elsewhere {
			got.elsewhere = true
			return got
		}
		target = next
	}
	return got // in a circle: nothing is reached
}

const elsewhere = "elsewhere"

// next is the target that a redirect leads to: "" for none, and for one that leaves
// for a host of the server's own choice; elsewhere for a host that target named.
func (r routeReply) next(host, target string) (string, error) {
	location := r.header.Get("Location")
	if !r.redirects() || location == "" {
		return "", nil
	}
	u, err := url.Parse(strings.ReplaceAll(location, `\`, "/")) // as browsers read it
	if err != nil {
		return "", err
	}
	if u.Host != "" && u.Host != host {
		if strings.Contains(unescaped(target), u.Host) {
			return elsewhere, nil
		}
		return "", nil
	}
	if base, err := url.Parse("http://" + host + target); err == nil {
		u = base.ResolveReference(u)
	}
	return u.RequestURI(), nil
}
