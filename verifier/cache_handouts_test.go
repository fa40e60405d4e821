// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// fullClaims fill every exported field of Token but Binding.
func fullClaims() object {
	sum := b64(strings.Repeat("k", 32))
	return object{
		"aud": []string{"https://first.example", audience}, "scope": "orders:read a b", "nbf": noon.Unix(), "acr": "high", "amr": []string{"pwd", "otp"}, "auth_time": noon.Unix(),
		"roles": []string{"r1", "r2"}, "groups": []any{object{"value": "g1"}, "g2"}, "entitlements": []string{"e"}, "act": object{"iss": "ai", "sub": "as", "client_id": "ac"},
		"cnf": object{"jkt": sum, "x5t#S256": sum}, "plan": object{"name": "gold", "list": []int{1, 2, 3}},
	}
}

var proof = verifier.Binding{Kind: verifier.BindingBoth, Thumbprint: strings.Repeat("k", 32)}

func proven(_ context.Context, tok *verifier.Token) error { tok.Binding = proof; return nil }

// vandalize changes everything that can be reached through exported fields, in place:
// also what lies between the length of a list and its capacity.
func vandalize(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("evil")
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		whole := v.Slice3(0, v.Cap(), v.Cap())
		for i := range whole.Len() {
			vandalize(whole.Index(i))
		}
		v.Set(reflect.AppendSlice(whole, whole))
	case reflect.Pointer:
		if !v.IsNil() {
			vandalize(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(noon.AddDate(100, 0, 0)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				vandalize(v.Field(i))
			}
		}
	default:
		panic("a kind of field that this test does not know how to change: " + v.Kind().String())
	}
}

// vandal is a destination that writes over the bytes it is given.
type vandal struct{}

func (*vandal) UnmarshalJSON(b []byte) error {
	for i := range b {
		b[i] = 'X'
	}
	return nil
}

// vandalizeClaims does the same to whatever Decode hands out.
func vandalizeClaims(tok *verifier.Token) {
	_ = tok.Decode(&vandal{})
	var members map[string]vandal
	_ = tok.Decode(&members)
	var texts map[string]json.RawMessage
	_ = tok.Decode(&texts)
	for _, text := range texts {
		copy(text, strings.Repeat("X", len(text)))
	}
	var values map[string]any
	_ = tok.Decode(&values)
	clear(values)
}

func ruin(tok *verifier.Token) {
	vandalize(reflect.ValueOf(tok).Elem())
	vandalizeClaims(tok)
}

// pristine is a token of another verifier, which nobody changes.
func pristine(t testing.TB, raw string, edits ...func(*verifier.Config)) *verifier.Token {
	t.Helper()
	tok, err := newVerifier(t, append(edits, func(c *verifier.Config) { c.CacheEntries = -1 })...).VerifyBound(t.Context(), raw, proven)
	wantAccepted(t, tok, err)
	return tok
}

func wantIntact(t testing.TB, when string, got, want *verifier.Token) {
	t.Helper()
	if diff := differences(want, got); diff != "" {
		t.Errorf("%s: changed by somebody else: %s", when, diff)
	}
	if got.HasScope("evil") {
		t.Errorf("%s: HasScope(evil)", when)
	}
}

func TestHandlersCannotReachEachOther(t *testing.T) {
	raw := token(nil, fullClaims())
	want := pristine(t, raw)
	t.Run("JV-35/every_field_is_filled", func(t *testing.T) {
		fields := reflect.ValueOf(want).Elem()
		for i := range fields.NumField() {
			if f := fields.Type().Field(i); f.IsExported() && fields.Field(i).IsZero() {
				t.Errorf("%s is empty: a change of it would not be seen; add it to fullClaims", f.Name)
			}
		}
	})
	ruined := func(name string, use func(v *verifier.Verifier) (*verifier.Token, error)) {
		for where, arranged := range arrangements {
			t.Run("JV-35/"+name+"_"+where, func(t *testing.T) {
				v := arranged(t, newVerifier(t))
				for _, time := range []string{"first", "second", "third"} {
					tok, err := use(v)
					wantAccepted(t, tok, err)
					ruin(tok)
					clean, err := v.VerifyBound(t.Context(), raw, proven)
					wantAccepted(t, clean, err)
					wantIntact(t, time, clean, want)
				}
			})
		}
	}
	ruined("changed_by_the_handler", func(v *verifier.Verifier) (*verifier.Token, error) {
		return v.VerifyBound(t.Context(), raw, proven)
	})
	ruined("changed_by_a_rule", func(v *verifier.Verifier) (*verifier.Token, error) {
		return v.VerifyBound(t.Context(), raw, proven, rule(func(tok *verifier.Token) error { ruin(tok); return nil }))
	})
	ruined("changed_by_confirm", func(v *verifier.Verifier) (*verifier.Token, error) {
		tok, err := v.VerifyBound(t.Context(), raw, func(_ context.Context, tok *verifier.Token) error {
			ruin(tok)
			tok.Binding = proof
			return nil
		})
		wantAccepted(t, tok, err)
		wantIntact(t, "the token itself", tok, want)
		return tok, err
	})
	t.Run("JV-35/shallow_copies_share_no_list_with_the_next", func(t *testing.T) {
		v := newVerifier(t)
		for range 3 {
			tok, err := v.VerifyBound(t.Context(), raw, proven)
			wantAccepted(t, tok, err)
			shallow := *tok
			wantIntact(t, "before", &shallow, want)
			ruin(&shallow)
		}
	})
}

func TestConcurrentHandlers(t *testing.T) {
	raw := token(nil, fullClaims())
	want := pristine(t, raw)
	for where, arranged := range arrangements {
		t.Run("GO-03/JV-35_first_sights_at_once_"+where, func(t *testing.T) {
			for range 8 {
				v := arranged(t, newVerifier(t))
				start := make(chan struct{})
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() {
						<-start
						for range 5 {
							tok, err := v.VerifyBound(t.Context(), raw, proven)
							if err != nil {
								t.Error(err)
								return
							}
							wantIntact(t, "own token", tok, want)
							ruin(tok)
						}
					})
				}
				close(start)
				all.Wait()
			}
		})
	}
	t.Run("GO-03/tokens_keep_their_own_values", func(t *testing.T) {
		v := newVerifier(t, withKeys(jwks(jwk(ed(1), object{"kid": "one"}))))
		const workers, each = 8, 60
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() { manyTokens(t, v, w, each) })
		}
		all.Wait()
	})
}

// manyTokens verifies tokens of very different length and content, twice each, keeps
// all results and looks at them at the end: memory that is used again would show.
func manyTokens(t *testing.T, v *verifier.Verifier, worker, n int) {
	var kept []*verifier.Token
	name := func(i int) string { return strings.Repeat(fmt.Sprintf("w%d-%d.", worker, i), 1+(i*7)%40) }
	for i := range n {
		s := name(i)
		claims := goodClaims().edit(object{"sub": s, "jti": s + "j", "scope": s + " " + s + "2", "roles": []string{s, "\t" + s}, "plan": s, "aud": []string{s, audience}})
		raw := sign(ed(1), "EdDSA", goodHeader().edit(object{"alg": "EdDSA"}).String(), claims.String())
		for range 2 {
			tok, err := v.Verify(t.Context(), raw)
			if err != nil {
				t.Error(err)
				return
			}
			kept = append(kept, tok)
		}
		if _, err := v.Verify(t.Context(), raw+"A"); err == nil {
			t.Error("accepted with another signature")
		}
	}
	for k, tok := range kept {
		s := name(k / 2)
		var claims struct{ Plan, Sub string }
		if err := tok.Decode(&claims); err != nil || claims.Plan != s || claims.Sub != s {
			t.Errorf("Decode gives %v, %v; want %q", claims, err, s)
		}
		if tok.Subject != s || tok.ID != s+"j" || !slices.Equal(tok.Scopes, []string{s, s + "2"}) || !slices.Equal(tok.Roles, []string{s, "\t" + s}) || tok.Audience[0] != s {
			t.Errorf("token %+v, want that of %q", tok, s)
		}
	}
}

func TestRulesOnAHit(t *testing.T) {
	t.Run("JV-35/L4_rule_that_changes_its_mind", func(t *testing.T) {
		for where, arranged := range arrangements {
			v, raw := arranged(t, newVerifier(t)), token(nil, nil)
			for i := range 6 {
				class := map[bool]error{true: verifier.ErrForbidden}[i%2 == 1]
				tok, err := v.Verify(t.Context(), raw, refusing(class))
				if verifier.ClassOf(err) != class || (tok == nil) != (class != nil) {
					t.Errorf("%s, call %d: %v, %v", where, i, tok, err)
				}
			}
		}
	})
	t.Run("JV-35/L4_implied_scopes_are_of_the_verifier", func(t *testing.T) {
		raw := token(nil, object{"scope": "admin"})
		implies := map[string][]string{"admin": {"read", "write"}, "write": {"draft"}}
		with := newVerifier(t, func(c *verifier.Config) { c.Implies = implies })
		without := newVerifier(t)
		for range 3 {
			if tok := expect(t, with, raw, nil); !tok.HasScope("read") || !tok.HasScope("draft") || slices.Contains(tok.Scopes, "read") {
				t.Errorf("scopes %v", tok.Scopes)
			}
			if tok := expect(t, without, raw, nil); tok.HasScope("read") || !tok.HasScope("admin") {
				t.Error("a scope is implied by another verifier's configuration")
			}
		}
	})
	t.Run("JV-35/L10_configuration_is_a_copy", func(t *testing.T) {
		cfg := config(func(c *verifier.Config) {
			c.Implies = map[string][]string{"orders:read": {"orders:list"}}
			c.RequiredClaims = []verifier.RequiredClaim{{Path: path{"sub"}, Values: []string{"user-1"}}}
		})
		v, raw := ok(verifier.New(cfg)), token(nil, nil)
		expect(t, v, raw, nil)
		cfg.Implies["orders:read"][0], cfg.Audience[0] = "evil", "https://x.example"
		cfg.RequiredClaims[0].Values[0], cfg.RequiredClaims[0].Path[0] = "x", "y"
		for _, one := range []string{raw, token(nil, object{"jti": "new"})} {
			if tok := expect(t, v, one, nil); !tok.HasScope("orders:list") || tok.HasScope("evil") {
				t.Error("a change of the Config after New reached the verifier")
			}
		}
	})
}

func TestBoundTokenOnAHit(t *testing.T) {
	raw := token(nil, fullClaims())
	for where, arranged := range arrangements {
		for _, firstBy := range []string{"Verify", "VerifyBound"} {
			t.Run("JV-35/L5_bound_first_seen_by_"+firstBy+"_"+where, func(t *testing.T) {
				v := arranged(t, newVerifier(t))
				if firstBy == "VerifyBound" {
					tok, err := v.VerifyBound(t.Context(), raw, proven)
					wantAccepted(t, tok, err)
				}
				for range 3 {
					expect(t, v, raw, verifier.ErrBinding)
					for _, idle := range []confirmFunc{func(context.Context, *verifier.Token) error { return nil }, func(context.Context, *verifier.Token) error { return verifier.ErrBinding }} {
						tok, err := v.VerifyBound(t.Context(), raw, idle)
						wantClass(t, tok, err, verifier.ErrBinding)
					}
					tok, err := v.VerifyBound(t.Context(), raw, func(_ context.Context, tok *verifier.Token) error {
						if tok.Binding != (verifier.Binding{}) {
							t.Error("the binding of another request is seen")
						}
						tok.Binding = proof
						return nil
					})
					wantAccepted(t, tok, err)
				}
			})
		}
	}
	t.Run("JV-35/L5_unbound_token_after_a_proof", func(t *testing.T) {
		v, raw := newVerifier(t), token(nil, nil)
		tok, err := v.VerifyBound(t.Context(), raw, proven)
		wantAccepted(t, tok, err)
		if tok := expect(t, v, raw, nil); tok.Binding != (verifier.Binding{}) {
			t.Errorf("binding %v of another request", tok.Binding)
		}
	})
}
