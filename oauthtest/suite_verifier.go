// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// TestTokenVerifier checks that a [middleware.TokenVerifier] of your own, be it a
// wrapper or the whole of it, keeps what [verifier.Verifier.VerifyBound] promises: good
// tokens in, bad ones out, every rule asked, confirm called once each time, no principal
// beside an error, an outage that is not the client's fault, and nothing shared between
// callers. Run it under -race.
//
// make returns a new verifier that trusts as, for tokens with the given audience;
// as.VerifierConfig(audience) configures one. It is called once for each check, inside a
// testing/synctest bubble. It may fetch the keys, also in a goroutine: what is about a
// verifier without keys is then skipped. A verifier with a method Close is closed by the
// suite.
//
// It is for verifiers of signed access tokens that look at aud, fetch their keys and
// accept any sub. The edits make the good tokens what this one asks for beyond
// [Server.Token]:
//   - Claim for each claim that it requires;
//   - Claim("scp", "a b") if it reads the scopes there: every good token grants a and b;
//   - ExpiresIn(time.Minute), for one, if it refuses tokens that live for ten minutes;
//   - Header("alg", "RS256") if it does not allow ES256: as then signs so.
func TestTokenVerifier(t *testing.T, make func(t testing.TB, as *Server, audience string) middleware.TokenVerifier, edits ...Edit) {
	if err := checkEdits(edits); err != nil {
		t.Fatalf("oauthtest: TestTokenVerifier: %v", err)
	}
	for _, c := range verifierChecks {
		t.Run(c.name, func(t *testing.T) {
			defer watch(c.name).Stop()
			synctest.Test(t, func(t *testing.T) { c.play(t, make, edits) })
		})
	}
}

type verifierCheck struct {
	name string
	run  func(*verifierTest)
}

var verifierChecks = []verifierCheck{
	{"good_token_is_accepted", (*verifierTest).good},
	{"bad_tokens_are_refused", (*verifierTest).bad},
	{"hostile_tokens_are_refused", (*verifierTest).hostile},
	{"signature_is_checked_each_time", (*verifierTest).altered},
	{"every_rule_is_asked", (*verifierTest).rules},
	{"a_panic_is_no", (*verifierTest).panics},
	{"confirm_runs_once_for_each_call", (*verifierTest).confirmOnce},
	{"confirm_can_refuse", (*verifierTest).confirmRefuses},
	{"confirm_sees_no_bad_token", (*verifierTest).confirmNotBad},
	{"confirm_changes_nothing_but_the_binding", (*verifierTest).confirmChanges},
	{"bound_tokens_need_a_proof", (*verifierTest).bound},
	{"results_are_not_shared", (*verifierTest).notShared},
	{"tokens_of_one_subject_are_kept_apart", (*verifierTest).sameSubject},
	{"expired_meanwhile", (*verifierTest).expires},
	{"key_withdrawn_meanwhile", (*verifierTest).withdrawn},
	{"outage_is_not_the_tokens_fault", (*verifierTest).outage},
	{"cancelled_context_returns_promptly", (*verifierTest).cancelled},
	{"no_crosstalk", (*verifierTest).crosstalk},
}

func (c verifierCheck) play(t testing.TB, make func(t testing.TB, as *Server, audience string) middleware.TokenVerifier, edits []Edit) {
	as := NewServer(t, func(c *Config) { c.Algorithm = algorithm(edits) })
	tv := make(t, as, suiteAPI)
	if hook.Nil(tv) {
		t.Fatal("make returned no verifier")
	}
	if c, ok := tv.(interface{ Close() error }); ok {
		t.Cleanup(func() { _ = hook.Call("Close", func() { _ = c.Close() }) })
	}
	synctest.Wait() // for what make began
	c.run(&verifierTest{t, as, tv, edits, as.Fetches() > 0})
}

// algorithm is the one that the edits name.
func algorithm(edits []Edit) string {
	d := &draft{header: map[string]any{"alg": "ES256"}, claims: map[string]any{}, now: time.Now()}
	for _, edit := range edits {
		edit(d)
	}
	alg, _ := d.header["alg"].(string) // NewServer refuses ""
	return alg
}

// verifierTest is a verifier under test.
type verifierTest struct {
	testing.TB
	as    *Server
	tv    middleware.TokenVerifier
	edits []Edit // of good tokens
	asked bool   // for keys by make, so that it has them
}

type confirmation = func(context.Context, *verifier.Token) error

func unbound(context.Context, *verifier.Token) error { return nil }

// present calls the verifier with a good token and checks what holds for every answer.
func (k *verifierTest) present(ctx context.Context, raw string, confirm confirmation, reqs ...verifier.Requirement) (*verifier.Token, error) {
	k.Helper()
	return k.presentAs(ctx, "a good token", raw, confirm, reqs...)
}

func (k *verifierTest) presentAs(ctx context.Context, what, raw string, confirm confirmation, reqs ...verifier.Requirement) (tok *verifier.Token, err error) {
	k.Helper()
	if p := hook.Call("VerifyBound", func() { tok, err = k.tv.VerifyBound(ctx, raw, confirm, reqs...) }); p != nil {
		k.Errorf("%s: %v: return an error instead", what, p)
		return nil, p
	}
	switch {
	case err == nil && tok == nil:
		k.Errorf("%s: VerifyBound returned neither a token nor an error: return an error of one of the classes of package verifier", what)
		return nil, errors.New("neither")
	case err != nil && tok != nil:
		k.Errorf("%s: VerifyBound returned a token beside the error: return nil, since somebody will use it (GO-05)", what)
	case err != nil:
		k.safe(what, raw, err)
	}
	return tok, err
}

// safe: errors are logged, and what is in a log can be replayed (GO-04).
func (k *verifierTest) safe(what, raw string, err error) {
	k.Helper()
	for _, part := range strings.Split(raw, ".") {
		if len(part) > 16 && strings.Contains(err.Error(), part) {
			k.Errorf("%s: the text of an error holds a part of the token: leave it out", what)
			return
		}
	}
}

// accepted is present for tokens that must pass.
func (k *verifierTest) accepted(raw string, confirm confirmation, reqs ...verifier.Requirement) *verifier.Token {
	k.Helper()
	tok, err := k.present(context.Background(), raw, confirm, reqs...)
	if err != nil {
		k.Fatalf("a good token was refused: %v; if the verifier asks for more than Server.Token writes, name it by the edits of TestTokenVerifier", err)
	}
	return tok
}

// refused is present for tokens that must not pass; with class nil, for any reason for
// which the token is to blame.
func (k *verifierTest) refused(what, raw string, class error, confirm confirmation, reqs ...verifier.Requirement) {
	k.Helper()
	_, err := k.presentAs(context.Background(), what, raw, confirm, reqs...)
	switch got := verifier.ClassOf(err); {
	case err == nil:
		k.Errorf("%s: accepted", what)
	case class == nil && !errors.Is(got, verifier.ErrInvalidToken) && got != verifier.ErrInvalidRequest, class != nil && got != class:
		k.Errorf("%s: refused with class %v, want %v: %v", what, got, wanted(class), err)
	}
}

// refusedTwice: what was refused is not remembered as good.
func (k *verifierTest) refusedTwice(what, raw string) {
	k.Helper()
	k.refused(what, raw, nil, unbound)
	k.refused(what+", sent again", raw, nil, unbound)
}

func wanted(class error) error {
	if class == nil {
		return verifier.ErrInvalidToken
	}
	return class
}

// token is a good one, up to the edits of a check.
func (k *verifierTest) token(edits ...Edit) string { return k.as.Token(k.perfect(edits...)...) }

func (k *verifierTest) perfect(edits ...Edit) []Edit {
	return slices.Concat([]Edit{Audience(suiteAPI), Scope("a", "b")}, k.edits, edits)
}

func (k *verifierTest) good() {
	raw := k.token(Subject("jane"), Claim("suite", "gold"))
	for _, time := range []string{"at first", "again"} {
		tok := k.accepted(raw, unbound)
		var claims map[string]any
		if err := tok.Decode(&claims); err != nil || claims["suite"] != "gold" {
			k.Errorf("%s: Decode does not find a claim: return the Token that the verifier made: %v", time, err)
		}
		if tok.Issuer != k.as.Issuer() || tok.Subject != "jane" || !slices.Equal(tok.Scopes, []string{"a", "b"}) {
			k.Errorf("%s: issuer, subject or scopes are not those of the token; if the verifier reads the scopes elsewhere, write them there by an edit: TestTokenVerifier(t, make, oauthtest.Claim(\"scp\", \"a b\"))", time)
		}
		if id, ok := claims["client_id"]; tok.ClientID == "" && ok || tok.ClientID != "" && !mentions(claims, tok.ClientID) {
			k.Errorf("%s: the client %q is not that of the token, %v", time, tok.ClientID, id)
		}
	}
	k.accepted(k.token(), nil) // as Verify does
}

// mentions looks for a text in the values of claims, wherever a Mapping may lead.
func mentions(value any, text string) bool {
	if inner, ok := value.(map[string]any); ok {
		for _, v := range inner {
			if mentions(v, text) {
				return true
			}
		}
	}
	return value == text
}

// bad has tokens that no configuration of the audience accepts.
func (k *verifierTest) bad() {
	k.accepted(k.token(), unbound)
	for name, edit := range badEdits() {
		k.refusedTwice(name, k.token(edit))
	}
	for _, raw := range []string{"", "x", "a.b.c", "..", strings.Repeat("a", 100_000), k.token() + "x", k.token()[1:]} {
		k.refusedTwice(fmt.Sprintf("text of %d bytes", len(raw)), raw)
	}
}

func badEdits() map[string]Edit {
	return map[string]Edit{
		"expired":          ExpiresIn(-time.Hour),
		"not_yet_valid":    func(t *draft) { t.claims["nbf"] = t.now.Add(time.Hour).Unix() },
		"no_exp":           NoClaim("exp"),
		"exp_as_text":      Claim("exp", "4102444800"),
		"other_audience":   Audience("https://other.test"),
		"audience_in_part": Audience(suiteAPI + "/x"),
		"other_issuer":     Claim("iss", "https://evil.test"),
		"no_issuer":        NoClaim("iss"),
		"forged":           Forged(),
		"alg_none":         Header("alg", "none"),
		"alg_HS256":        Header("alg", "HS256"),
		"unknown_kid":      Header("kid", "nobodys"),
		"critical":         Header("crit", []string{"x"}),
		"logout_token":     Type("logout+jwt"),
	}
}

// rule notes that it was asked, and answers err.
type rule struct {
	asked int
	err   error
}

func (r *rule) Check(*verifier.Token) error { r.asked++; return r.err }

// rules are all asked, at first sight and of tokens seen before.
func (k *verifierTest) rules() {
	raw := k.token()
	for range 2 {
		yes, also := &rule{}, &rule{}
		if k.accepted(raw, unbound, yes, also); yes.asked != 1 || also.asked != 1 {
			k.Errorf("of two rules one was asked %d times, the other %d: ask each once, for every call", yes.asked, also.asked)
		}
		scope := &verifier.Error{Class: verifier.ErrInsufficientScope}
		for _, first := range []bool{true, false} {
			reqs := []verifier.Requirement{&rule{}, &rule{err: scope}}
			if first {
				slices.Reverse(reqs)
			}
			k.refused("a token that one of two rules refuses", raw, verifier.ErrInsufficientScope, unbound, reqs...)
		}
		k.refused("a token that a rule refuses with an error of its own", raw, verifier.ErrForbidden, unbound, &rule{err: errors.New("no")})
	}
}

// panics: a middleware above may recover, and the token must not have passed by then.
func (k *verifierTest) panics() {
	raw := k.token()
	for range 2 {
		k.accepted(raw, unbound)
		k.refused("a token with a rule that panics", raw, verifier.ErrInternal, unbound, &rule{}, panicking{})
		k.refused("a token with a confirm that panics", raw, verifier.ErrInternal, func(context.Context, *verifier.Token) error { panic("confirm") })
	}
}

type panicking struct{}

func (panicking) Check(*verifier.Token) error { panic("rule") }

type key struct{}

func (k *verifierTest) confirmOnce() {
	raw := k.token()
	ctx := context.WithValue(context.Background(), key{}, "value")
	for _, time := range []string{"at first", "for a token seen before", "again"} {
		calls, before := 0, &rule{}
		_, err := k.present(ctx, raw, func(ctx context.Context, tok *verifier.Token) error {
			calls++
			if ctx.Value(key{}) != "value" {
				k.Errorf("%s: confirm got another context than the caller's", time)
			}
			if tok == nil || tok.Subject != "user-1" {
				k.Errorf("%s: confirm did not get the token", time)
			}
			if before.asked > 0 {
				k.Errorf("%s: a rule was asked before confirm", time)
			}
			return nil
		}, before)
		if err != nil {
			k.Fatalf("a good token was refused: %v", err)
		}
		if calls != 1 {
			k.Errorf("%s: confirm was called %d times: it checks the proof of each request, also of unbound tokens", time, calls)
		}
	}
}

func (k *verifierTest) confirmRefuses() {
	raw := k.token()
	for _, time := range []string{"at first", "for a token seen before"} {
		binding := &verifier.Error{Class: verifier.ErrBinding}
		k.refused(time+", a token without its proof", raw, verifier.ErrBinding, func(context.Context, *verifier.Token) error { return binding })
		k.refused(time+", an error without a class", raw, verifier.ErrInternal, func(context.Context, *verifier.Token) error { return errors.New("no") })
		k.accepted(raw, unbound)
	}
}

func (k *verifierTest) confirmNotBad() {
	for name, edit := range badEdits() {
		k.refused(name, k.token(edit), nil, func(context.Context, *verifier.Token) error {
			k.Errorf("%s: confirm was called for a bad token, which is no basis for anything", name)
			return nil
		})
	}
}

func (k *verifierTest) confirmChanges() {
	raw := k.token()
	before := look(k.accepted(raw, unbound))
	proof := verifier.Binding{Kind: verifier.BindingBoth, Thumbprint: strings.Repeat("x", 32)}
	for range 2 {
		tok := k.accepted(raw, func(_ context.Context, tok *verifier.Token) error {
			spoil(tok)
			tok.Binding = proof
			return nil
		})
		k.unchanged("the token that is returned", tok, before)
		if tok.Binding != proof {
			k.Errorf("the Binding that confirm set is not in the token that is returned")
		}
	}
	tok := k.accepted(raw, unbound)
	if k.unchanged("the next caller's token", tok, before); tok.Binding != (verifier.Binding{}) {
		k.Errorf("the Binding of one request is in the token of the next")
	}
}

// look is what can be seen of a token.
func look(tok *verifier.Token) string {
	return fmt.Sprintf("%q %q %q %q", tok.Subject, tok.ClientID, tok.Scopes, tok.Audience)
}

// spoil does what no caller should.
func spoil(tok *verifier.Token) {
	tok.Subject, tok.ClientID = "evil", "evil"
	for _, list := range [][]string{tok.Scopes, tok.Audience} {
		for i := range list {
			list[i] = "evil"
		}
	}
}

func (k *verifierTest) unchanged(what string, tok *verifier.Token, before string) {
	k.Helper()
	if look(tok) != before {
		k.Errorf("%s has what somebody else changed: give everyone a copy of their own", what)
	}
}

func (k *verifierTest) bound() {
	raw := k.token(Claim("cnf", map[string]string{"jkt": strings.Repeat("A", 43)}))
	for range 2 {
		k.refused("a bound token without confirm", raw, verifier.ErrBinding, nil)
		k.refused("a bound token that confirm did not bind", raw, verifier.ErrBinding, unbound)
		k.accepted(raw, func(_ context.Context, tok *verifier.Token) error {
			tok.Binding = verifier.Binding{Kind: verifier.BindingBoth, Thumbprint: tok.Confirmation.JWKThumbprint}
			return nil
		})
	}
}
