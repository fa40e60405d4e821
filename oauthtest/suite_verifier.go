// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
// testing/synctest bubble. A verifier with a method Close is closed by the suite.
func TestTokenVerifier(t *testing.T, make func(t testing.TB, as *Server, audience string) middleware.TokenVerifier) {
	for _, c := range verifierChecks {
		t.Run(c.name, func(t *testing.T) {
			defer watch().Stop()
			synctest.Test(t, func(t *testing.T) { c.play(t, make) })
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
	{"every_rule_is_asked", (*verifierTest).rules},
	{"confirm_runs_once_for_each_call", (*verifierTest).confirmOnce},
	{"confirm_can_refuse", (*verifierTest).confirmRefuses},
	{"confirm_sees_no_bad_token", (*verifierTest).confirmNotBad},
	{"confirm_changes_nothing_but_the_binding", (*verifierTest).confirmChanges},
	{"bound_tokens_need_a_proof", (*verifierTest).bound},
	{"results_are_not_shared", (*verifierTest).notShared},
	{"expired_meanwhile", (*verifierTest).expires},
	{"key_withdrawn_meanwhile", (*verifierTest).withdrawn},
	{"outage_is_not_the_tokens_fault", (*verifierTest).outage},
	{"cancelled_context_returns_promptly", (*verifierTest).cancelled},
	{"no_crosstalk", (*verifierTest).crosstalk},
}

func (c verifierCheck) play(t testing.TB, make func(t testing.TB, as *Server, audience string) middleware.TokenVerifier) {
	as := NewServer(t, func(c *Config) { c.Algorithm = "ES256" })
	tv := make(t, as, suiteAPI)
	if hook.Nil(tv) {
		t.Fatal("make returned no verifier")
	}
	if c, ok := tv.(interface{ Close() error }); ok {
		t.Cleanup(func() { _ = hook.Call("Close", func() { _ = c.Close() }) })
	}
	c.run(&verifierTest{t, as, tv})
}

// verifierTest is a verifier under test.
type verifierTest struct {
	testing.TB
	as *Server
	tv middleware.TokenVerifier
}

type confirmation = func(context.Context, *verifier.Token) error

func unbound(context.Context, *verifier.Token) error { return nil }

// present calls the verifier and checks what holds for every answer.
func (k *verifierTest) present(ctx context.Context, raw string, confirm confirmation, reqs ...verifier.Requirement) (tok *verifier.Token, err error) {
	k.Helper()
	if p := hook.Call("VerifyBound", func() { tok, err = k.tv.VerifyBound(ctx, raw, confirm, reqs...) }); p != nil {
		k.Errorf("%v: return an error instead", p)
		return nil, p
	}
	switch {
	case err == nil && tok == nil:
		k.Errorf("VerifyBound returned neither a token nor an error: return an error of one of the classes of package verifier")
		return nil, errors.New("neither")
	case err != nil && tok != nil:
		k.Errorf("VerifyBound returned a token beside the error: return nil, since somebody will use it (GO-05)")
	case err != nil:
		k.safe(raw, err)
	}
	return tok, err
}

// safe: errors are logged, and what is in a log can be replayed (GO-04).
func (k *verifierTest) safe(raw string, err error) {
	k.Helper()
	for _, part := range strings.Split(raw, ".") {
		if len(part) > 16 && strings.Contains(err.Error(), part) {
			k.Errorf("the text of an error holds a part of the token: leave it out")
			return
		}
	}
}

// accepted is present for tokens that must pass.
func (k *verifierTest) accepted(raw string, confirm confirmation, reqs ...verifier.Requirement) *verifier.Token {
	k.Helper()
	tok, err := k.present(context.Background(), raw, confirm, reqs...)
	if err != nil {
		k.Fatalf("a good token was refused: %v", err)
	}
	return tok
}

// refused is present for tokens that must not pass; with class nil, for any reason for
// which the token is to blame.
func (k *verifierTest) refused(what, raw string, class error, confirm confirmation, reqs ...verifier.Requirement) {
	k.Helper()
	_, err := k.present(context.Background(), raw, confirm, reqs...)
	switch got := verifier.ClassOf(err); {
	case err == nil:
		k.Errorf("%s: accepted", what)
	case class == nil && !errors.Is(got, verifier.ErrInvalidToken) && got != verifier.ErrInvalidRequest, class != nil && got != class:
		k.Errorf("%s: refused with class %v, want %v: %v", what, got, wanted(class), err)
	}
}

func wanted(class error) error {
	if class == nil {
		return verifier.ErrInvalidToken
	}
	return class
}

func (k *verifierTest) token(edits ...Edit) string {
	return suiteToken(k.as, append([]Edit{Scope("a", "b")}, edits...)...)
}

func (k *verifierTest) good() {
	raw := k.token(Subject("jane"), ClientID("web"), Claim("plan", "gold"))
	for _, time := range []string{"at first", "again"} {
		tok := k.accepted(raw, unbound)
		var mine struct{ Plan string }
		if err := tok.Decode(&mine); err != nil || mine.Plan != "gold" {
			k.Errorf("%s: Decode does not find a claim: return the Token that the verifier made: %v", time, err)
		}
		if tok.Issuer != k.as.Issuer() || tok.Subject != "jane" || tok.ClientID != "web" || !slices.Equal(tok.Scopes, []string{"a", "b"}) {
			k.Errorf("%s: issuer, subject, client or scopes are not those of the token", time)
		}
	}
	k.accepted(k.token(), nil) // as Verify does
}

// hostile has the whole catalogue, among it tokens of keys that should not be used.
func (k *verifierTest) hostile() {
	_, err := k.present(context.Background(), k.token(Type("JWT")), unbound)
	strict := err != nil
	all := k.as.Hostile(Audience(suiteAPI), ExpiresIn(suiteLife))
	k.accepted(k.token(), unbound)
	for h := range all {
		if h.Status != 200 && (strict || !h.RFC9068) {
			k.refused(h.ID+" ("+h.Gain+")", h.Token, nil, unbound)
		}
	}
	k.accepted(k.token(), unbound)
}

// bad has tokens that no configuration of the audience accepts.
func (k *verifierTest) bad() {
	k.accepted(k.token(), unbound)
	for name, edit := range badEdits() {
		k.refused(name, k.token(edit), nil, unbound)
	}
	for _, raw := range []string{"", "x", "a.b.c", "..", strings.Repeat("a", 100_000), k.token() + "x", k.token()[1:]} {
		k.refused(fmt.Sprintf("text of %d bytes", len(raw)), raw, nil, unbound)
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
	called := func(context.Context, *verifier.Token) error {
		k.Errorf("confirm was called for a bad token, which is no basis for anything")
		return nil
	}
	for name, edit := range badEdits() {
		k.refused(name, k.token(edit), nil, called)
	}
}

func (k *verifierTest) confirmChanges() {
	raw := k.token()
	proof := verifier.Binding{Kind: "dpop", Thumbprint: strings.Repeat("x", 32)}
	for range 2 {
		tok := k.accepted(raw, func(_ context.Context, tok *verifier.Token) error {
			tok.Binding = proof
			tok.Subject, tok.Scopes[0], tok.Audience[0] = "evil", "admin", "evil"
			return nil
		})
		k.unchanged("the token that is returned", tok)
		if tok.Binding != proof {
			k.Errorf("the Binding that confirm set is not in the token that is returned")
		}
	}
	tok := k.accepted(raw, unbound)
	if k.unchanged("the next caller's token", tok); tok.Binding != (verifier.Binding{}) {
		k.Errorf("the Binding of one request is in the token of the next")
	}
}

func (k *verifierTest) unchanged(what string, tok *verifier.Token) {
	k.Helper()
	if tok.Subject != "user-1" || !slices.Equal(tok.Scopes, []string{"a", "b"}) || !slices.Equal(tok.Audience, []string{suiteAPI}) {
		k.Errorf("%s has what somebody else changed: give everyone a copy of their own", what)
	}
}

func (k *verifierTest) bound() {
	raw := k.token(Claim("cnf", map[string]string{"jkt": strings.Repeat("A", 43)}))
	for range 2 {
		k.refused("a bound token without confirm", raw, verifier.ErrBinding, nil)
		k.refused("a bound token that confirm did not bind", raw, verifier.ErrBinding, unbound)
		k.accepted(raw, func(_ context.Context, tok *verifier.Token) error {
			tok.Binding = verifier.Binding{Kind: "dpop", Thumbprint: tok.Confirmation.JWKThumbprint}
			return nil
		})
	}
}

func (k *verifierTest) notShared() {
	raw := k.token()
	for range 3 {
		tok := k.accepted(raw, unbound)
		k.unchanged("a token", tok)
		tok.Subject, tok.Scopes[0], tok.Audience[0] = "evil", "admin", "evil"
	}
}

// expires: leeway is five minutes at most.
func (k *verifierTest) expires() {
	raw := k.token(ExpiresIn(time.Minute))
	k.accepted(raw, unbound)
	k.accepted(raw, unbound)
	time.Sleep(6*time.Minute + time.Second)
	k.refused("a token that was good when it was last seen, and expired since", raw, nil, unbound)
}

func (k *verifierTest) withdrawn() {
	raw := k.token()
	k.accepted(raw, unbound)
	k.as.RotateAbruptly()
	gone := within(freshLimit+time.Hour, 5*time.Minute, func() bool {
		_, err := k.present(context.Background(), raw, unbound)
		return errors.Is(err, verifier.ErrInvalidToken)
	})
	if !gone {
		k.Errorf("a token is still accepted %v after its key was withdrawn: do not remember decisions", freshLimit)
	}
	k.accepted(k.token(), unbound)
}

// outage: 503 and not 401, which would send every client to log in again.
func (k *verifierTest) outage() {
	k.as.SetOutage(true)
	_, err := k.present(context.Background(), k.token(), unbound)
	k.unavailable("before the first keys", err)
	k.as.SetOutage(false)
	if !within(cooldown, 10*time.Second, func() bool { _, err = k.present(context.Background(), k.token(), unbound); return err == nil }) {
		k.Fatalf("a good token is refused %v after an outage: %v", cooldown, err)
	}
	k.as.Rotate()
	k.as.SetOutage(true)
	within(cooldown, 10*time.Second, func() bool { _, err = k.present(context.Background(), k.token(), unbound); return false })
	k.unavailable("for a key that cannot be fetched", err)
}

func (k *verifierTest) unavailable(when string, err error) {
	k.Helper()
	switch c := verifier.ClassOf(err); c {
	case verifier.ErrKeysUnavailable, verifier.ErrMetadata, verifier.ErrIntrospectionUnavailable, verifier.ErrStatusUnavailable:
	default:
		k.Errorf("an outage of the issuer, %s, is of class %v: make it verifier.ErrKeysUnavailable or another one that is answered 503: %v", when, c, err)
	}
}

func (k *verifierTest) cancelled() {
	for _, e := range []Endpoint{EndpointMetadata, EndpointKeySet} {
		k.as.SetFault(e, Fault{Hang: true})
		defer k.as.SetFault(e, Fault{})
	}
	raw := k.token()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan time.Time, 1)
	go func() {
		_, err := k.present(ctx, raw, unbound)
		k.unavailable("that the caller did not wait for", err)
		done <- time.Now()
	}()
	time.Sleep(promptly)
	over := time.Now()
	cancel()
	if took := (<-done).Sub(over); took > promptly {
		k.Errorf("VerifyBound returned %v after its context had ended: pass the context on (GO-18)", took)
	}
}

func (k *verifierTest) crosstalk() {
	var all sync.WaitGroup
	for i := range crowd {
		subject := fmt.Sprintf("user-%d", i)
		raw := k.token(Subject(subject))
		all.Go(func() {
			for range 5 {
				seen := ""
				tok, err := k.present(context.Background(), raw, func(_ context.Context, tok *verifier.Token) error { seen = tok.Subject; return nil })
				if err != nil {
					k.Errorf("a good token was refused: %v", err)
				} else if tok.Subject != subject || seen != subject {
					k.Errorf("one caller got the token of another")
				}
			}
		})
	}
	all.Wait()
}
