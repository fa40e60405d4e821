// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// Target names the route that an attack is fired at, and what it takes to pass.
type Target struct {
	// Method is that of the route. "" means GET.
	Method string
	// Path is the path of the route, with a query if it needs one. Required.
	Path string
	// Scope is what the route requires: one scope, or several with single spaces between
	// them, all of which it needs. Where one of several is enough, it is the one that the challenge
	// asks for: the first of scopes.Any. If another one of Any, or one that implies it by
	// verifier.Config.Implies, is the level above it ("orders" for "orders:read") or "admin",
	// except D39.parent or D39.admin. "" means none: the cases about scopes are skipped then.
	Scope string
	// Token are edits that the good token needs beside Scope: an audience that is not the
	// default one, or a claim that the API requires. If the API has several audiences, list
	// them all in one Audience edit: what resembles one of them may be another.
	Token []Edit
	// AlsoTrusts is another issuer whose tokens the route takes, for an API of several (see
	// [verifier.Join]): a Tenant, or a server of its own. Good tokens of it are made with the
	// same Scope and Token. nil means none: the cases about two issuers are skipped then.
	AlsoTrusts *Server
	// Profile is that of the verifier; the zero value is RFC 9068. Under ProfileJWT the
	// cases that only RFC 9068 decides are skipped.
	Profile verifier.Profile
	// Mapping is that of the verifier. The good token's scope and client_id are then where
	// it says, and the cases that edit them edit the claims it names, or are skipped where
	// a path leads inside a claim. Edits in Token come behind.
	Mapping verifier.Mapping
	// Except names cases that the API decides otherwise on purpose, by ID ("C50.jwt") or by
	// row ("D32"), each with the reason, with which they are skipped; also what is no single
	// request (see Finding.Case) but for "control". Without F21.rotation nothing is tried
	// that takes a new key. Another name and an empty reason fail the test at once.
	Except map[string]string
	// Marker is a text that the protected handler writes and nothing else does, by which
	// an answer shows that the handler ran: an answer is read until it holds the text.
	// "" means the whole body of the answer to a good token, which must then be the same
	// for every request. If the first answers to good tokens have no body (as with 204), or not
	// this text, t fails and the attack ends: nothing would show that the handler ran behind
	// a refusal.
	Marker string
	// Header goes with every request. It takes the place of what a case sends under the same
	// name, and a case with nothing else to send is skipped; but cookies go together with
	// those of the case, and Host, Content-Type, Connection, Upgrade, Expect and what frames a
	// message stay those of a case that sets them. Host in it replaces the host that the
	// server is asked for; Authorization is refused.
	Header http.Header
	// Body and ContentType go with every request, for a route that needs them.
	Body        string
	ContentType string
	// TLS is how AttackURL speaks to an https server: whom it trusts, foremost. nil means
	// the roots of the system. It is cloned.
	TLS *tls.Config
	// UnsafeAnyHost lets AttackURL send its requests, good tokens among them, to an address
	// that is not on loopback.
	UnsafeAnyHost bool
}

// Problem says in what way an answer was wrong.
type Problem string

// The problems, the gravest first.
const (
	Accepted Problem = "accepted" // the handler ran, or the answer was a success
	Leaked   Problem = "leaked"   // the answer holds token material: see [Attack]
	Fetched  Problem = "fetched"  // an address from the token was asked, or the issuer too often
	Crashed  Problem = "crashed"  // no answer, or 500
	Refused  Problem = "refused"  // what must pass was refused
	Answered Problem = "answered" // refused, but with the wrong status or challenge
)

// Finding is one wrong answer.
type Finding struct {
	// Case is the ID in the attack catalogue, or of what is no single request: "control" for a
	// good token that was refused between two cases, or behind the last one; "F21.rotation" for
	// a new key that was not taken; "F22.withdrawn_key" for an old one that was not forgotten;
	// "F19.unknown_kids" for a fetch for each unknown key, or an API that goes down with them;
	// "K24.at_once" for a wrong answer to one of many requests at the same time, of which those
	// do not count that a limit of the API refuses with 429, or 503 and Retry-After, or lets wait.
	Case string
	// Protocol is "HTTP/1.1" or "HTTP/2", or both with "and" between them.
	Protocol string
	Problem  Problem
	// Title says what was sent, Detail what was expected and what came, both without any
	// token.
	Title, Detail string
	// Gain, Cause and Requirements are those of the case.
	Gain, Cause  string
	Requirements []string

	expected, came string
}

// Attack fires the whole catalogue of hostile requests at one route of h, which must be
// guarded by a verifier that trusts as, and fails t for every answer that is wrong: one
// subtest per case, whose failure says what was sent, what came, what an attacker has of
// it, and what usually causes it. h is served over HTTP/1.1 and over HTTP/2 without TLS.
// Good tokens must pass before, between and after.
//
// That the handler has not run is seen by its text, which Target.Marker describes, and by
// the status: what a handler does without answering stays unseen. Token material is the
// jti, the whole JOSE header, and any 16 characters in a row of the payload or the
// signature, as they are in the token, percent-encoded, in Base64 or in hex. It is looked
// for in the reason phrase, the header fields, the first MiB of the body (also in gzip or
// deflate, and t fails where it has another Content-Encoding), the trailer fields and the
// interim answers; digests, and characters that are torn apart, are not found.
//
// Call it before other requests have reached h: then the verifier first asks for its keys
// during an outage that Attack brings about, and gets hostile keys among the good ones
// afterwards. What cannot be tried because it has its keys already is skipped; the log of
// t says how many cases were, and why. Inside testing/synctest, where there are no
// subtests, the failures are those of t itself, and what needs time is tried as well:
// whether h follows two rotations of keys, after which as signs with a new one and publishes
// no other, and whether it forgets tokens when they expire. Nothing else may use as
// meanwhile, and an EditKeySet before it is undone.
func Attack(t *testing.T, h http.Handler, as *Server, target Target) {
	t.Helper()
	a, end := onHandler(t, catalogue(), h, as, target)
	defer end()
	a.run(reporter(t))
}

// AttackURL is Attack for a server that runs at baseURL, in any language: Target.Path comes
// behind the path of baseURL. The server must trust as, which Listen has made. Only
// addresses on loopback are taken, unless Target.UnsafeAnyHost is set, and HTTP/2 is left
// out where the server does not speak it. It needs a network, and so fails at once inside
// testing/synctest.
func AttackURL(t *testing.T, baseURL string, as *Server, target Target) {
	t.Helper()
	attackURL(t, baseURL, as, target, reporter(t))
}

func attackURL(t testing.TB, baseURL string, as *Server, target Target, r reports) {
	t.Helper()
	if inBubble(t) {
		t.Fatal(noNetwork)
	}
	a := newAttack(t, catalogue(), as, target)
	w, path, err := remote(baseURL, target)
	if err != nil {
		t.Fatal(err)
	}
	defer w.two.CloseIdleConnections()
	a.wire, a.base, a.crash = w, path, func() string { return "" }
	a.probe()
	a.run(r)
}

// Findings is Attack for reports: it returns the wrong answers, the cases in their order,
// instead of failing t, whose log says what was skipped. t still fails if the target does
// not fit: if a good token gets no answer from the handler.
func Findings(t testing.TB, h http.Handler, as *Server, target Target) []Finding {
	t.Helper()
	a, end := onHandler(t, catalogue(), h, as, target)
	defer end()
	var found []Finding
	a.run(collector(t, &found))
	return found
}
