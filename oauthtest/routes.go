// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/challenge"
	"github.com/bearerguard/bearerguard/internal/hook"
)

// CheckRoutes asks h for each of routes without a token, and with one that nobody
// issued. It fails unless both answers are 401 with a Bearer challenge (RFC 6750 §3),
// or the route is among public: these are asked without a token, whatever they do then,
// and fail if they are guarded, or if routes does not have them, since such a list is
// out of date. Lists without a guarded route fail as well. It finds routes that were
// registered outside the guarded group or before the guard, and guards that take a bad
// token for none.
//
// It also finds guards that refuse without stopping the chain, where the handler then
// writes something: behind JSON that is complete, without an end, or so that no other
// guarded path has the same body with its 401; numbers that change and repetitions of
// the request do not count. A path whose own guard has a body of its own is therefore to
// be checked by a call of its own. Where only one path is guarded, or where the handlers
// write nothing or all the same, this cannot be told: use [Attack], on a handler that
// answers a good token with some text.
//
// A route is what routers list: a method and a path with parameters, as "GET
// /orders/:id", "GET /files/*path", "GET /orders/{id}", "GET /files/{path...}" or "GET
// api.example.com/{$}". Without a method it stands for GET, POST, PUT, PATCH and DELETE,
// of which the handler must know one. Parameters become "1", as "{a}-{b}" becomes "1-1";
// where the router wants something else, as for "{id:[a-z]+}", write it instead of the
// parameter. public entries are those of routes, to the letter. List the routes with
// what the router itself has (Echo's Routes, Gin's Routes), so that a new one is in the
// list. By hand must be listed what such a list does not have: the routes of Echo's Host,
// which e.Routers has, Gin's NoRoute and NoMethod, and what is behind a handler that is
// mounted as a whole, be it another router, a file server or a proxy.
//
// With GET, HEAD is asked as well, to which routers give the same handler and which a
// guard may not know. 404, 405 and what it gets at a path that nobody has are good there,
// too, by the whole header: a page of another length is told apart if there is a
// Content-Length, which net/http leaves out above 2 KB. List HEAD as a route of its own if
// it is to be public. OPTIONS is asked only if it is listed, since CORS layers answer it
// everywhere.
//
// What comes before the guard must let the requests through: leave rate limiters and
// checks against CSRF out in the test, write a route with its host where others are
// refused, and list as public the OPTIONS that a CORS layer answers.
//
// Requests go over HTTP/1.1 in memory, marked as if they came by TLS. They run the
// handlers of public routes, and of those that are not guarded. CheckPaths is its
// other half. It works inside a testing/synctest bubble, too.
func CheckRoutes(t testing.TB, h http.Handler, routes []string, public ...string) {
	t.Helper()
	list, open := parseRoutes(t, h, routes, public)
	w := newAsker(h)
	defer w.close()
	var refusals []routeRefusal
	for _, rt := range list {
		var err error
		if open[rt.name] {
			err = w.checkPublic(rt)
		} else {
			refusals, err = w.checkGuarded(rt, refusals)
		}
		if err == nil && !open[rt.name] && !listedHead(list, rt) {
			err = w.checkHead(rt)
		}
		if err != nil {
			t.Errorf("oauthtest: %s: %v", rt.name, err)
		}
	}
	for _, r := range w.loners(refusals) {
		t.Errorf("oauthtest: %s: %s without a token: 401 with a body that no other guarded path has, %s: the guard does not stop the chain, and the handler wrote it. If a guard of its own writes it, check its routes by a call of their own", r.name, r.method, shownTarget(r.reply.body))
	}
}

// routeOf is a route in a form to be asked for.
type routeOf struct {
	name    string // as given, in one spelling
	methods []string
	any     bool // no method was given: some need not exist
	host    string
	path    string // with values for its parameters
	other   string // with other values
}

var anyMethod = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// notFoundRoute is the method under which Echo lists what answers for unknown paths:
// no route, and nothing that a request could ask for.
const notFoundRoute = "echo_route_not_found"

// parseRoutes fails the test at once for lists that cannot be right, and for no handler.
func parseRoutes(t testing.TB, h http.Handler, routes, public []string) ([]routeOf, map[string]bool) {
	t.Helper()
	if hook.Nil(h) {
		t.Fatalf("oauthtest: there is no handler to ask: give the one that the program serves, with its routes and guards")
	}
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
	if len(open) == len(list) {
		t.Fatalf("oauthtest: all routes are public, so that no guard would be checked: list the routes that need a token as well, or leave the check out")
	}
	return list, open
}

func oneBlank(s string) string { return strings.Join(strings.Fields(s), " ") }

func parseRoute(s string) (routeOf, error) {
	rt := routeOf{name: oneBlank(s), host: askedHost, methods: anyMethod, any: true}
	const notBoth = `not a method and a path: write it as "GET /orders/:id"`
	pattern := rt.name
	if method, rest, two := strings.Cut(pattern, " "); two && !strings.Contains(method, "/") {
		if !challenge.ValidName(method) { // RFC 9110 §9.1: a token, too
			return rt, errors.New(`its method is none: write it as "GET /orders/:id"`)
		}
		rt.methods, rt.any, pattern = []string{method}, false, rest
	}
	slash := strings.Index(pattern, "/")
	switch {
	case pattern == "":
		return rt, errors.New(notBoth)
	case slash < 0:
		return rt, errors.New(`its path does not begin with a slash: write it as "GET /orders/:id"`)
	case slash > 0: // of ServeMux
		rt.host = pattern[:slash]
	}
	rt.path, rt.other = fill(pattern[slash:], "1"), fill(pattern[slash:], "2")
	if strings.Contains(rt.host+rt.path, " ") {
		return rt, errors.New(notBoth)
	}
	return rt, nil
}

// fill gives each parameter of a pattern a value. What only looks like one to another
// router fits the parameter all the same: inside a segment a colon or an asterisk is
// sent as it is.
func fill(pattern, value string) string {
	segments := strings.Split(fillBraces(pattern, value), "/")
	for i, s := range segments {
		switch {
		case len(s) > 1 && s[0] == ':':
			segments[i] = value
		case strings.HasPrefix(s, "*"):
			return strings.Join(append(segments[:i:i], value), "/")
		default:
			segments[i] = strings.ReplaceAll(s, `\:`, ":") // Echo and Gin, for a literal one
		}
	}
	return strings.Join(segments, "/")
}

// fillBraces goes by pairs: inside there may be a regular expression, with blanks,
// slashes and braces of its own.
func fillBraces(pattern, value string) string {
	var b strings.Builder
	depth, from := 0, 0
	for i := range len(pattern) {
		switch c := pattern[i]; {
		case c == '{':
			if depth++; depth == 1 {
				from = i
			}
		case c == '}' && depth > 0:
			if depth--; depth == 0 && pattern[from:i+1] != "{$}" {
				b.WriteString(value)
			}
		case depth == 0:
			b.WriteByte(c)
		}
	}
	if depth > 0 {
		b.WriteString(pattern[from:])
	}
	return b.String()
}

// nobodysToken is well-formed, and refused before anything is asked about it: it names
// no issuer.
var nobodysToken = func() string {
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(`{"typ":"at+jwt","alg":"RS256","kid":"1"}`)) + "." + b64([]byte(`{"sub":"nobody","exp":4102444800}`)) + "." + b64(make([]byte, 256))
}()

const (
	usualCause   = "The usual cause: the route is registered outside the guarded group, or before Use adds the guard to it"
	limiterFirst = "a rate limiter comes before the guard, so that what is behind it cannot be seen: leave it out in the test, or raise its limit"
)

// checkGuarded asks by each method of the route, without a token and with a bad one. It
// adds what it got without.
func (w *asker) checkGuarded(rt routeOf, refusals []routeRefusal) ([]routeRefusal, error) {
	known := false
	for _, method := range rt.methods {
		got := w.ask(method, rt.host, rt.path)
		if rt.any && got.unknown() {
			continue
		}
		known = true
		if err := got.refuses(""); err != nil {
			return refusals, fmt.Errorf("%s without a token: %w", method, err)
		}
		if method != http.MethodHead {
			refusals = append(refusals, routeRefusal{rt, method, got, w.again(got, method, rt)})
		}
		got = w.ask(method, rt.host, rt.path, "Authorization: Bearer "+nobodysToken)
		if err := got.refuses("invalid_token"); err != nil {
			return refusals, fmt.Errorf("%s with a token that nobody issued: %w", method, err)
		}
	}
	if !known {
		return refusals, fmt.Errorf("no method is answered but with 404 or 405: the route list does not fit the handler, or no guard runs before it. %s", usualCause)
	}
	return refusals, nil
}

// routeRefusal is what a guarded route answered without a token, and did so again.
type routeRefusal struct {
	routeOf
	method       string
	reply, again routeReply
}

func (w *asker) again(got routeReply, method string, rt routeOf) routeReply {
	if got.body == "" {
		return got
	}
	return w.ask(method, rt.host, rt.path)
}

// loners are those that still are when all are asked anew: else a second ended between
// two of them, and their guard writes the time.
func (w *asker) loners(all []routeRefusal) []routeRefusal {
	first := loners(all)
	if len(first) == 0 {
		return nil
	}
	anew := slices.Clone(all)
	for i, r := range anew {
		anew[i].reply = w.ask(r.method, r.host, r.path)
		anew[i].again = w.again(anew[i].reply, r.method, r.routeOf)
	}
	second := loners(anew)
	return slices.DeleteFunc(first, func(r routeRefusal) bool {
		return !slices.ContainsFunc(second, func(s routeRefusal) bool { return s.name == r.name })
	})
}

// loners are the refusals with a body that those of no other path have, one for each
// route. A handler that runs after the refusal adds what only it has to say.
func loners(all []routeRefusal) []routeRefusal {
	var kinds [][]routeRefusal
	for _, r := range all {
		i := slices.IndexFunc(kinds, func(k []routeRefusal) bool { return r.reply.alike(k[0].reply, k[0].again) })
		if i < 0 {
			i, kinds = len(kinds), append(kinds, nil)
		}
		kinds[i] = append(kinds[i], r)
	}
	sameName := func(a, b routeRefusal) bool { return a.name == b.name }
	var alone []routeRefusal
	for _, k := range kinds {
		other := func(r routeRefusal) bool { return r.host != k[0].host || r.path != k[0].path }
		if k[0].reply.body != "" && !slices.ContainsFunc(k, other) && slices.ContainsFunc(all, other) {
			alone = append(alone, slices.CompactFunc(k, sameName)...)
		}
	}
	return alone
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
	case a.err != nil || a.status != http.StatusUnauthorized:
		return a.instead(code == "")
	case a.cut != nil:
		return fmt.Errorf("401 without an end (%w): the guard does not stop the chain, and the handler goes on writing", a.cut)
	case a.goesOn():
		return errors.New("401 with JSON and something behind it: the guard does not stop the chain, and the handler wrote the rest")
	}
	return bearerChallenge(a.header.Values("WWW-Authenticate"), code)
}

// instead says what to mend where the answer is not even 401.
func (a routeReply) instead(noToken bool) error {
	switch {
	case a.err != nil:
		return fmt.Errorf("no answer (%w). The usual cause: no guard runs before the handler, which panics without a token", a.err)
	case a.unknown():
		return fmt.Errorf("%s: the route list does not fit the handler, or the handler ran and found nothing. A guarded route answers 401 before its handler runs; for a parameter that must have another value than 1, write the route with that value", a.text())
	case a.status == http.StatusServiceUnavailable:
		return fmt.Errorf("%s: the guard or its verifier is not set up, and denies everything: handle the errors of middleware.New and verifier.New", a.text())
	case a.status == http.StatusTooManyRequests:
		return fmt.Errorf("%s: %s", a.text(), limiterFirst)
	case a.redirects():
		return fmt.Errorf("%s, a redirect that came before the guard: write the route as the router answers it, or put the guard in front of what redirects", a.text())
	case noToken:
		return fmt.Errorf("%s instead of 401: %s", a.text(), a.layer())
	}
	return fmt.Errorf("%s instead of 401: the handler can be reached. The usual cause: a bad token is taken for none, where only a missing one may be", a.text())
}

// layer says what answered instead of a guard.
func (a routeReply) layer() string {
	const hosts = `write the route with one that it takes, as "GET api.example.com/orders"`
	if a.status/100 == 2 && strings.HasPrefix(a.asked, http.MethodOptions+" ") {
		return "if a CORS layer answers preflights, which come without a token, list the route as public; else the handler can be reached. " + usualCause
	}
	reached := "the handler can be reached. " + usualCause + "; or the guard does not stop the chain"
	switch a.status {
	case http.StatusMisdirectedRequest:
		return "a layer before the guard does not answer for the host " + askedHost + ": " + hosts
	case http.StatusForbidden:
		return reached + "; or a layer before the guard refused: if it goes by the host, " + hosts + "; if it is against CSRF, put the guard before it, or leave it out in the test"
	case http.StatusBadRequest:
		return "a layer before the guard refused, such as one against CSRF: put the guard before it, or leave it out in the test. Or " + reached
	}
	return reached
}

// goesOn tells whether something follows a JSON text (RFC 8259 §2).
func (a routeReply) goesOn() bool {
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return false
	}
	body := json.NewDecoder(strings.NewReader(a.body))
	var text json.RawMessage
	if body.Decode(&text) != nil {
		return false
	}
	_, err = body.Token()
	return err != io.EOF
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
