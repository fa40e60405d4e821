// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// canaries are 32 random bytes as text, and random digits.
func canaries() (text, digits string) {
	var b [32]byte
	_, _ = rand.Read(b[:])
	for _, c := range b {
		digits += fmt.Sprint(c%9 + 1)
	}
	return hex.EncodeToString(b[:]), digits
}

// canaryTokens puts a canary into every place of a token, in turn: into values of
// each type, into names, into broken syntax and into the signature.
func canaryTokens(text, digits string) map[string]string {
	tokens := map[string]string{
		"opaque": text, "opaque_dots": text + "." + text + "." + text, "five_segments": strings.Repeat(text+".", 4) + text,
		"signature": b64(goodHeader().String()) + "." + b64(goodClaims().String()) + "." + b64(text),
		"outside":   text + "+" + token(nil, nil), "broken_header": headerText(`{"alg":"` + text), "broken_payload": tokenText(`{"x":"` + text + `"`),
		"payload_is_text": tokenText(`"` + text + `"`), "payload_is_number": tokenText(digits), "trailing": tokenText(goodClaims().String() + text),
		"duplicate":     tokenText(plus(goodClaims(), fmt.Sprintf(`%q:1,%q:2`, text, text))),
		"lone":          tokenText(plus(goodClaims(), fmt.Sprintf(`"%s\ud800":1`, text))),
		"number_syntax": tokenText(plus(goodClaims(), `"x":0`+digits)), "deep": tokenText(plus(goodClaims(), strings.Repeat(`"`+text[:8]+`":{`, 40))),
		"long": strings.Repeat(text, 600), "forged": sign(rsaTwo(), "RS256", goodHeader().edit(object{"kid": text}).String(), goodClaims().edit(object{"sub": text}).String()),
	}
	values := map[string]any{
		"text": text, "number": raw(digits), "exponent": raw(digits + "e99"), "list": []string{text}, "object": object{text: text},
		"list_of_number": raw("[" + digits + "]"), "tab": text + "\t" + text, "long": text + strings.Repeat("x", 600), "thumbprint": object{"jkt": text},
		"kid": object{"kid": text},
	}
	for _, name := range []string{"alg", "typ", "kid", "cty", "crit", "b64", "enc", "jku", "jwk", "x5u", "x5c", text} {
		for kind, v := range values {
			tokens["header_"+name+"_"+kind] = token(object{name: v}, nil)
		}
	}
	for _, name := range []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "scope", "cnf", "act", "acr", "amr", "auth_time", "roles", "nonce", "token_use", "typ", text,
	} {
		for kind, v := range values {
			tokens["claim_"+name+"_"+kind] = token(nil, object{name: v})
			// The same under another fault, so that the text of each class is seen.
			tokens["expired_"+name+"_"+kind] = token(nil, object{"exp": 1}.edit(object{name: v}))
		}
	}
	return tokens
}

func TestNothingOfTheTokenIsTold(t *testing.T) {
	text, digits := canaries()
	tokens := canaryTokens(text, digits)
	clients := func(cfg *verifier.Config) {
		cfg.Profile, cfg.Audience, cfg.Clients = verifier.ProfileJWT, nil, []string{"client-1"}
	}
	deny := ruleFunc(func(*verifier.Token) error { return verifier.ErrInsufficientScope })
	for mode, edit := range map[string]func(*verifier.Config){"RFC9068": func(*verifier.Config) {}, "ProfileJWT": legacy, "Clients": clients} {
		t.Run("CH-15/"+mode, func(t *testing.T) {
			var told bytes.Buffer
			log := verifier.LogEvents(slog.New(slog.NewJSONHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug})))
			v := newVerifier(t, edit, func(cfg *verifier.Config) {
				cfg.OnEvent = func(e verifier.Event) {
					log(e)
					fmt.Fprintf(&told, "%v %+v\n", e, e)
					tell(&told, e.Cause)
				}
			})
			seen := map[error]int{}
			for name, raw := range tokens {
				told.Reset()
				for _, rules := range [][]verifier.Requirement{nil, {deny}} {
					_, err := verifyTwice(t, v, raw, rules...)
					seen[verifier.ClassOf(err)]++
					tell(&told, err)
				}
				if told.Len() == 0 {
					t.Errorf("%s: no event", name)
				}
				for _, part := range append(strings.Split(raw, "."), text[:8], digits[:8]) {
					if len(part) >= 8 && strings.Contains(told.String(), part) {
						t.Errorf("%s: a part of the token was told: %s", name, told.String())
						break
					}
				}
			}
			for _, class := range []error{
				nil, verifier.ErrMalformedToken, verifier.ErrSignature, verifier.ErrInvalidClaim, verifier.ErrExpired, verifier.ErrIssuer, verifier.ErrInsufficientScope,
				verifier.ErrAlgorithm, verifier.ErrTokenType, verifier.ErrUnknownKey, verifier.ErrBinding, verifier.ErrAudience,
			} {
				if seen[class] == 0 {
					t.Errorf("no token reached %v", class)
				}
			}
		})
	}
}

// tell writes down all that an error says, in every form and at every depth.
func tell(w *bytes.Buffer, err error) {
	if err == nil {
		return
	}
	fmt.Fprintf(w, "%v|%+v|%q|%s\n", err, err, err, err)
	if many, isMany := err.(interface{ Unwrap() []error }); isMany {
		for _, e := range many.Unwrap() {
			tell(w, e)
		}
	}
	tell(w, errors.Unwrap(err))
}

func TestTheSameReasonHasTheSameText(t *testing.T) {
	for name, pair := range map[string][2]string{
		"key":       {token(object{"kid": "a"}, nil), token(object{"kid": "b"}, object{"sub": "x"})},
		"signature": {forger(nil), forger(object{"x": "y"})},
		"issuer":    {claim("iss", "a"), claim("iss", "b")},
		"audience":  {claim("aud", "a"), claim("aud", []string{"b", "c"})},
		"expired":   {claim("exp", 1), claim("exp", 2)},
		"malformed": {"a.b", "ccc.dddd"},
		"algorithm": {token(object{"alg": "a"}, nil), token(object{"alg": "none"}, nil)},
		"type":      {typToken("a"), typToken("b")},
		"scope":     {claim("scope", "a\tb"), claim("scope", "c\"d")},
	} {
		t.Run("CH-15/same_text_"+name, func(t *testing.T) {
			v := newVerifier(t)
			_, a := v.Verify(context.Background(), pair[0])
			_, b := v.Verify(context.Background(), pair[1])
			if a == nil || b == nil || a.Error() != b.Error() {
				t.Errorf("%v\n%v", a, b)
			}
		})
	}
}
