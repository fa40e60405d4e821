// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
)

// CheckPaths asks h for each guarded route without a token, in the spellings that
// routers, proxies and guards disagree about: doubled slashes, dot segments, percent
// encodings also of slashes and dots, matrix parameters, other case, trailing slashes,
// NUL and blanks, backslashes, overlong and fullwidth characters, absolute targets, and
// ways through the public routes. It fails if one gets past the guard: a guard that
// compares paths itself and a router that tidies them up are the usual pair. Routes and
// public are those of [CheckRoutes], which comes first.
//
// Past the guard is a redirect to a host that the path named, and every answer but 400,
// 404, 405, a 401 with a challenge, what the server says before any handler runs, what
// any unknown path gets (a page that serves them all, for example), and a redirect that
// ends in one of these. So give the handlers data to answer with, rather than 404.
func CheckPaths(t testing.TB, h http.Handler, routes []string, public ...string) {
	t.Helper()
	list, open := parseRoutes(t, routes, public)
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

// openDoors are the public routes without parameters: those that a guard may skip by
// their prefix.
func openDoors(list []routeOf, open map[string]bool) []string {
	var doors []string
	for _, rt := range list {
		if open[rt.name] && strings.HasSuffix(rt.name, rt.path) && rt.path != "/" {
			doors = append(doors, strings.TrimSuffix(rt.path, "/"))
		}
	}
	slices.Sort(doors)
	return slices.Compact(doors)
}

// listed is how many spellings a failure names: a broken guard has dozens.
var listed = 12

func (a *asker) checkSpellings(rt routeOf, doors []string) error {
	method, ok := a.guardedMethod(rt)
	if !ok {
		return errors.New("not guarded in its own spelling: see what CheckRoutes says, and mend that first")
	}
	known := a.unknownPaths(method, rt)
	var past []string
	all := spellings(rt.host, rt.path, doors)
	for _, target := range all {
		if got := a.end(method, rt.host, target); got.past(known) {
			past = append(past, fmt.Sprintf("%s: %s", shownTarget(target), got.text()))
		}
	}
	if len(past) == 0 {
		return nil
	}
	count := len(past)
	if count > listed {
		past = append(past[:listed], "…")
	}
	return fmt.Errorf("%d of %d spellings of its path get past the guard without a token. The usual cause: the guard compares the path itself, and the router or handler behind it reads it otherwise; put the guard on the route or its group instead\n\t%s", count, len(all), strings.Join(past, "\n\t"))
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

// shown is a target in a message: some cannot be printed, some are very long.
func shownTarget(target string) string {
	const most = 80
	if len(target) > most {
		target = target[:most/2] + "…" + target[len(target)-most/2:]
	}
	return fmt.Sprintf("%q", target)
}

// unknownPaths are the answers for paths that nobody has, at the top and beside rt.
func (a *asker) unknownPaths(method string, rt routeOf) []routeReply {
	const nobodys = "/no-such-path-here"
	return []routeReply{
		a.end(method, rt.host, nobodys),
		a.end(method, rt.host, strings.TrimSuffix(path.Dir(rt.path), "/")+nobodys),
	}
}

// past tells whether a reply is more than a refusal.
func (r routeReply) past(unknown []routeReply) bool {
	switch {
	case !r.served:
		return false
	case r.elsewhere:
		return true
	case r.err != nil:
		return !r.direct // what no server sends may well be too much for a router
	case r.unknown(), r.status == http.StatusBadRequest, r.status >= 300 && r.status < 400, r.refuses("") == nil:
		return false
	}
	return !slices.ContainsFunc(unknown, func(u routeReply) bool {
		return u.err == nil && u.status == r.status && u.body == r.body
	})
}

// end asks for target and follows redirects, as a client does.
func (a *asker) end(method, host, target string) routeReply {
	const most = 10
	var got routeReply
	for range most {
		if got = a.send(true, method, host, target); !got.served {
			if got = a.direct(method, host, target); got.err != nil {
				return got
			}
		}
		got.body = strings.NewReplacer(target, "", unescaped(target), "", path.Clean(unescaped(target)), "").Replace(got.body)
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
	if r.err != nil || r.status < 300 || r.status >= 400 || location == "" {
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
