// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

func (k *verifierTest) notShared() {
	raw := k.token()
	tok := k.accepted(raw, unbound)
	before := look(tok)
	for range 2 {
		spoil(tok)
		tok = k.accepted(raw, unbound)
		k.unchanged("a token", tok, before)
	}
}

// sameSubject has two tokens that differ in nothing but what they may do beyond a and b.
// The first call of all knows no other token, and so tells whether the scopes are read
// there at all.
func (k *verifierTest) sameSubject() {
	tokens := map[string]string{}
	for _, scope := range []string{"a b", "a b c"} {
		tokens[scope] = k.token(Scope(strings.Fields(scope)...), Claim("suite", scope))
	}
	read := slices.Equal(k.accepted(tokens["a b c"], unbound).Scopes, []string{"a", "b", "c"})
	for _, scope := range []string{"a b", "a b c", "a b", "a b c"} {
		tok := k.accepted(tokens[scope], unbound)
		var claims map[string]any
		if err := tok.Decode(&claims); err != nil || claims["suite"] != scope || read && !slices.Equal(tok.Scopes, strings.Fields(scope)) {
			k.Errorf("a token with scope %q has the claims or scopes of another one of the same subject: remember nothing by less than the whole text of a token", scope)
		}
		if read && scope == "a b" {
			k.refused("a token with scopes a and b where c is needed", tokens[scope], verifier.ErrInsufficientScope, unbound, needsC{})
		}
	}
}

// needsC is a rule.
type needsC struct{}

func (needsC) Check(tok *verifier.Token) error {
	if !slices.Contains(tok.Scopes, "c") {
		return &verifier.Error{Class: verifier.ErrInsufficientScope}
	}
	return nil
}

// expires: leeway is five minutes at most.
func (k *verifierTest) expires() {
	raw := k.token(ExpiresIn(time.Minute))
	k.accepted(raw, unbound)
	k.accepted(raw, unbound)
	time.Sleep(6*time.Minute + time.Second)
	k.refused("a token that was good when it was last seen, and expired since", raw, nil, unbound)
}

// withdrawn has a token that outlives the freshness of keys, where one may.
func (k *verifierTest) withdrawn() {
	raw := k.token(ExpiresIn(2 * freshLimit))
	if _, err := k.present(context.Background(), raw, unbound); err != nil {
		raw = k.token()
	}
	k.accepted(raw, unbound)
	old := k.as.signingKey()
	k.as.RotateAbruptly()
	blamed := func(raw string) bool {
		_, err := k.present(context.Background(), raw, unbound)
		return errors.Is(err, verifier.ErrInvalidToken)
	}
	gone := within(freshLimit+time.Hour, 5*time.Minute, func() bool {
		return blamed(raw) && blamed(k.token(signedBy(old)))
	})
	if !gone {
		k.Errorf("a token is still accepted %v after its key was withdrawn: do not remember decisions", freshLimit)
	}
	k.accepted(k.token(), unbound)
}

func signedBy(key *signingKey) Edit {
	return func(t *draft) { t.header["kid"], t.key = key.id, key.signer() }
}

// altered: a memory that leaves a part of the text out of account is a bypass.
func (k *verifierTest) altered() {
	raw, other := k.token(), k.token(Subject("other"))
	k.accepted(raw, unbound)
	k.accepted(other, unbound)
	at, end := len(signedPart(raw)), len(signedPart(other))
	flip := map[bool]string{true: "B", false: "A"}[raw[len(raw)-2] == 'A']
	for what, text := range map[string]string{
		"another signature":           raw[:at] + "AAAA",
		"an empty signature":          raw[:at],
		"no signature":                raw[:at-1],
		"a cut signature":             raw[:len(raw)-4],
		"an altered signature":        raw[:len(raw)-2] + flip + raw[len(raw)-1:],
		"a longer signature":          raw + "AAAA",
		"padding":                     raw + "=",
		"the signature of another":    raw[:at] + other[end:],
		"other claims":                other[:end] + raw[at:],
		"claims that were never seen": signedPart(k.token(Subject("admin"))) + raw[at:],
	} {
		k.refused("a token that was seen before, with "+what, text, nil, unbound)
		k.accepted(raw, unbound)
	}
}

// signedPart is a token without its signature.
func signedPart(raw string) string { return raw[:strings.LastIndexByte(raw, '.')+1] }

// outage: 503 and not 401, which would send every client to log in again.
func (k *verifierTest) outage() {
	raw, err := k.token(), error(nil)
	if k.asked {
		k.Log("the verifier asked for keys before its first call, so that what it does without cannot be seen: skipped")
	} else {
		k.as.SetOutage(true)
		_, err = k.present(context.Background(), raw, unbound)
		k.unavailable("before the first keys", err)
	}
	k.as.SetOutage(false)
	k.recovers(raw)
	synctest.Wait() // else a fetch under way may bring the new key
	k.as.Rotate()
	k.as.SetOutage(true)
	within(cooldown, 10*time.Second, func() bool {
		raw = k.token()
		_, err = k.present(context.Background(), raw, unbound)
		return false
	})
	k.unavailable("for a key that cannot be fetched", err)
	k.as.SetOutage(false)
	k.recovers(raw)
}

// recovers waits for the first good token after an outage. Then raw is good, too, or
// whichever was refused last: a client has no other.
func (k *verifierTest) recovers(raw string) {
	k.Helper()
	var err error
	over := within(cooldown, 10*time.Second, func() bool {
		next := k.token()
		if _, err = k.present(context.Background(), next, unbound); err != nil {
			raw = next
		}
		return err == nil
	})
	if !over {
		k.Fatalf("a good token is refused %v after an outage: %v", cooldown, err)
	}
	if _, err := k.present(context.Background(), raw, unbound); err != nil {
		k.Errorf("a good token that an outage refused is refused after it, while others pass: do not remember refusals: %v", err)
	}
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
	if k.asked {
		k.Skip("the verifier asked for keys before its first call, so that it has none to wait for")
	}
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
	var once sync.Once
	for i := range crowd {
		subject := fmt.Sprintf("user-%d", i)
		raw := k.token(Subject(subject))
		all.Go(func() {
			for range 5 {
				seen := ""
				tok, err := k.present(context.Background(), raw, func(_ context.Context, tok *verifier.Token) error { seen = tok.Subject; return nil })
				if err != nil {
					once.Do(func() { k.Errorf("a good token was refused: %v", err) })
				} else if tok.Subject != subject || seen != subject {
					once.Do(func() { k.Errorf("one caller got the token of another") })
				}
			}
		})
	}
	all.Wait()
}
