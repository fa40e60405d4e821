// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/challenge"
)

// CheckRoutes asks h for each of routes without a token, and with one that nobody
// issued. It fails unless both answers are 401 with a Bearer challenge (RFC 6750 §3),
// or the route is among public: these are asked without a token, whatever they do then,
// and fail if they are guarded, or if routes does not have them, since such a list is
// out of date. It finds routes that were registered outside the guarded group or
// before the guard, guards that do not stop the chain, and those that take a bad
// token for none.
//
// A route is what routers list: a method and a path with parameters, as "GET
// /orders/:id", "GET /files/*path", "GET /orders/{id}", "GET /files/{path...}" or "GET
// api.example.com/{$}". Without a method it stands for GET, POST, PUT, PATCH and DELETE,
// of which the handler must know one. Parameters become "1"; where the router wants
// something else, write it instead of the parameter. public entries are those of
// routes, to the letter. List the routes with what the router itself has (Echo's
// Routes, Gin's Routes), so that a new route cannot be missing.
//
// Requests go over HTTP/1.1 in memory, marked as if they came by TLS. They run the
// handlers of public routes, and of those that are not guarded. CheckPaths is its
// other half. It works inside a testing/synctest bubble, too.
func CheckRoutes(t testing.TB, h http.Handler, routes []string, public ...string) {
	t.Helper()
	list, open := parseRoutes(t, routes, public)
	w := newAsker(h)
	defer w.close()
	for _, rt := range list {
		var err error
		if open[rt.name] {
			err = w.checkPublic(rt)
		} else {
			err = w.checkGuarded(rt)
		}
		if err != nil {
			t.Errorf("oauthtest: %s: %v", rt.name, err)
		}
	}
}

// routeOf is a route in a form to be asked for.
type routeOf struct {
	name    string // as given, in one spelling
	methods []string
	any     bool // no method was given: some need not exist
	host    string
	path    string // with values for its parameters
}

var anyMethod = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// notFoundRoute is the method under which Echo lists what answers for unknown paths:
// no route, and nothing that a request could ask for.
const notFoundRoute = "echo_route_not_found"

// parseRoutes fails the test at once for lists that cannot be right.
func parseRoutes(t testing.TB, routes, public []string) ([]routeOf, map[string]bool) {
	t.Helper()
	var list []routeOf
	seen, open := map[string]bool{}, map[string]bool{}
	for _, s := range routes {
		rt, err := parseRoute(s)
		switch {
		case err != nil:
			t.Fatalf("oauthtest: route %q: %v", s, err)
		case !seen[rt.name] && rt.methods[0] != notFoundRoute:
			seen[rt.name] = true
			list = append(list, rt)
		}
	}
	if len(list) == 0 {
		t.Fatalf("oauthtest: no routes were given, so nothing would be checked: list them after they are registered, with e.Routes(), engine.Routes() or a wrapper of ServeMux that keeps its patterns")
	}
	for _, s := range public {
		name := oneBlank(s)
		if !seen[name] {
			t.Fatalf("oauthtest: public route %q is not among the routes: take it off the list, or write it as the router does", s)
		}
		open[name] = true
	}
	return list, open
}

func oneBlank(s string) string { return strings.Join(strings.Fields(s), " ") }

func parseRoute(s string) (routeOf, error) {
	fields := strings.Fields(s)
	rt := routeOf{name: oneBlank(s), host: askedHost}
	switch len(fields) {
	case 1:
		rt.methods, rt.any = anyMethod, true
	case 2:
		rt.methods = fields[:1]
		if !challenge.ValidName(fields[0]) { // RFC 9110 §9.1: a token, too
			return rt, errors.New(`its method is none: write it as "GET /orders/:id"`)
		}
	default:
		return rt, errors.New(`not a method and a path: write it as "GET /orders/:id"`)
	}
	pattern := fields[len(fields)-1]
	slash := strings.Index(pattern, "/")
	if slash < 0 {
		return rt, errors.New(`its path does not begin with a slash: write it as "GET /orders/:id"`)
	}
	if slash > 0 { // of ServeMux
		rt.host = pattern[:slash]
	}
	rt.path = fill(pattern[slash:])
	return rt, nil
}

// fill gives each parameter of a pattern a value. What only looks like one to another
// router fits the parameter all the same: inside a segment a colon or an asterisk is
// sent as it is.
func fill(pattern string) string {
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		switch {
		case s == "{$}":
			segments[i] = ""
		case strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}"), len(s) > 1 && s[0] == ':':
			segments[i] = "1"
		case strings.HasPrefix(s, "*"):
			return strings.Join(append(segments[:i:i], "1"), "/")
		default:
			segments[i] = strings.ReplaceAll(s, `\:`, ":") // Echo and Gin, for a literal one
		}
	}
	return strings.Join(segments, "/")
}

// nobodysToken is well-formed, and refused before anything is asked about it: it names
// no issuer.
var nobodysToken = func() string {
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(`{"typ":"at+jwt","alg":"RS256","kid":"1"}`)) + "." + b64([]byte(`{"sub":"nobody","exp":4102444800}`)) + "." + b64(make([]byte, 256))
}()

const usualCause = "The usual cause: the route is registered outside the guarded group, or before Use adds the guard to it"

// checkGuarded asks twice, by each method of the route.
func (w *asker) checkGuarded(rt routeOf) error {
	known := false
	for _, method := range rt.methods {
		got := w.ask(method, rt.host, rt.path)
		if rt.any && got.unknown() {
			continue
		}
		known = true
		if err := got.refuses(""); err != nil {
			return fmt.Errorf("%s without a token: %w", method, err)
		}
		got = w.ask(method, rt.host, rt.path, "Authorization: Bearer "+nobodysToken)
		if err := got.refuses("invalid_token"); err != nil {
			return fmt.Errorf("%s with a token that nobody issued: %w", method, err)
		}
	}
	if !known {
		return fmt.Errorf("no method is answered but with 404 or 405: the route list does not fit the handler, or no guard runs before it. %s", usualCause)
	}
	return nil
}

// checkPublic: what a public route answers is its own business.
func (w *asker) checkPublic(rt routeOf) error {
	for _, method := range rt.methods {
		if got := w.ask(method, rt.host, rt.path); got.refuses("") == nil {
			return fmt.Errorf("%s is guarded, but listed as public: take it off the list, or the guard off the route", method)
		}
	}
	return nil
}

// unknown: no such route, as far as one can tell from outside.
func (a routeReply) unknown() bool {
	return a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed
}

// refuses returns nil for a 401 with a sound Bearer challenge that has this error code;
// "" is none (RFC 6750 §3.1).
func (a routeReply) refuses(code string) error {
	switch {
	case a.err != nil:
		return fmt.Errorf("no answer (%w). The usual cause: no guard runs before the handler, which panics without a token", a.err)
	case a.unknown():
		return fmt.Errorf("%s: the route list does not fit the handler, or the handler ran and found nothing. A guarded route answers 401 before its handler runs; for a parameter that must have another value than 1, write the route with that value", a.text())
	case a.status == http.StatusServiceUnavailable:
		return fmt.Errorf("%s: the guard or its verifier is not set up, and denies everything: handle the errors of middleware.New and verifier.New", a.text())
	case a.status >= 300 && a.status < 400:
		return fmt.Errorf("%s, a redirect that came before the guard: write the route as the router answers it, or put the guard in front of what redirects", a.text())
	case a.status != http.StatusUnauthorized && code == "":
		return fmt.Errorf("%s instead of 401: the handler can be reached. %s; or the guard does not stop the chain", a.text(), usualCause)
	case a.status != http.StatusUnauthorized:
		return fmt.Errorf("%s instead of 401: the handler can be reached. The usual cause: a bad token is taken for none, where only a missing one may be", a.text())
	}
	return bearerChallenge(a.header.Values("WWW-Authenticate"), code)
}

// bearerChallenge: one Bearer challenge with a parameter (RFC 6750 §3), beside those of
// other schemes.
func bearerChallenge(lines []string, code string) error {
	const remedy = "was it written by the guard, or does something change or replace its answer?"
	var bearer []challenge.Challenge
	for _, line := range lines {
		found, err := challenge.Parse(line)
		if err != nil {
			return fmt.Errorf("401 with a WWW-Authenticate that is not well-formed (RFC 9110 §11.6.1): %w: %s", err, remedy)
		}
		for _, c := range found {
			if strings.EqualFold(c.Scheme, "Bearer") {
				bearer = append(bearer, c)
			}
		}
	}
	if len(bearer) != 1 || len(bearer[0].Params) == 0 {
		return fmt.Errorf("401 with %d Bearer challenges, where one with a parameter is due (RFC 6750 §3): %s", len(bearer), remedy)
	}
	if got, _ := bearer[0].Get("error"); got != code {
		return fmt.Errorf("401 with error=%q, where %q is due (RFC 6750 §3.1): %s", got, code, remedy)
	}
	return nil
}
