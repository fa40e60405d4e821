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
	// Scope is a scope that the route requires. "" means none: the cases about scopes are
	// skipped then.
	Scope string
	// Token are edits that the good token needs beside Scope: an audience that is not the
	// default one, or a claim that the API requires.
	Token []Edit
	// Profile is that of the verifier; the zero value is RFC 9068. Under ProfileJWT the
	// cases that only RFC 9068 decides are skipped.
	Profile verifier.Profile
	// Marker is a text that the protected handler writes and nothing else does, by which
	// an answer shows that the handler ran. "" means the whole body of the answer to a good
	// token, which must then be the same for every request.
	Marker string
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
	Leaked   Problem = "leaked"   // the answer holds token material
	Fetched  Problem = "fetched"  // an address from the token was asked
	Crashed  Problem = "crashed"  // no answer, or 500
	Refused  Problem = "refused"  // what must pass was refused
	Answered Problem = "answered" // refused, but with the wrong status or challenge
)

// Finding is one wrong answer.
type Finding struct {
	// Case is the ID in the attack catalogue, "control" for a good token that was refused
	// between two cases, or "rotation" for a new key that was not taken.
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
// Good tokens must pass before, between and after. It takes about two seconds, of which
// the verifier waits one before it asks for keys again; in testing/synctest it takes less.
//
// Call it before other requests have reached h: then the verifier first asks for its keys
// during an outage that Attack brings about, and gets hostile keys among the good ones
// afterwards. What cannot be tried because it has its keys already is skipped, with the
// reason. Inside testing/synctest, where there are no subtests, the failures are those of
// t itself, and whether h follows a rotation of keys is tried as well; as then signs with
// a new key. Nothing else may use as meanwhile, and an EditKeySet before it is undone.
func Attack(t *testing.T, h http.Handler, as *Server, target Target) {
	t.Helper()
	a, end := onHandler(t, catalogue(), h, as, target)
	defer end()
	a.run(reporter(t))
}

// AttackURL is Attack for a server that runs at baseURL, in any language: Target.Path comes
// behind the path of baseURL. The server must trust as, which Listen has made. Only
// addresses on loopback are taken, unless Target.UnsafeAnyHost is set, and HTTP/2 is left
// out where the server does not speak it. It needs a network, and hence no synctest.
func AttackURL(t *testing.T, baseURL string, as *Server, target Target) {
	t.Helper()
	attackURL(t, baseURL, as, target, reporter(t))
}

func attackURL(t testing.TB, baseURL string, as *Server, target Target, r reports) {
	t.Helper()
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
// instead of failing t. t still fails if the target does not fit: if a good token gets no
// answer from the handler.
func Findings(t testing.TB, h http.Handler, as *Server, target Target) []Finding {
	t.Helper()
	a, end := onHandler(t, catalogue(), h, as, target)
	defer end()
	var found []Finding
	a.run(collector(t, &found))
	return found
}
