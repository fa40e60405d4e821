// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// verified is the token that a payload becomes.
func verified(t *testing.T, payload string) *verifier.Token {
	t.Helper()
	tok, err := verifyTwice(t, newVerifier(t), tokenText(payload))
	wantAccepted(t, tok, err)
	return tok
}

func decodeInto(t *testing.T, tok *verifier.Token, dst any) {
	t.Helper()
	if err := tok.Decode(dst); err != nil {
		t.Fatal(err)
	}
}

func TestDecode(t *testing.T) {
	tok := verified(t, plus(goodClaims(), `"plan":"gold","limits":{"seats":5,"regions":["eu","us"]},"big":9007199254740993,"huge":1e400,`+
		`"long":123456789012345678901234567890.12345,"nul":"a\u0000b","slash":"a\/b","__proto__":{"admin":true},".":1,"":2,"$ref":"#/x"`))
	t.Run("JV-27/extra_claims_are_visible", func(t *testing.T) {
		var mine struct {
			Plan   string `json:"plan"`
			Limits struct {
				Seats   int      `json:"seats"`
				Regions []string `json:"regions"`
			} `json:"limits"`
			Subject string `json:"sub"`
		}
		decodeInto(t, tok, &mine)
		if mine.Plan != "gold" || mine.Limits.Seats != 5 || len(mine.Limits.Regions) != 2 || mine.Subject != "user-1" {
			t.Errorf("%+v", mine)
		}
	})
	t.Run("JV-28/D50_large_integer", func(t *testing.T) {
		var typed struct {
			Big int64 `json:"big"`
		}
		decodeInto(t, tok, &typed)
		var dynamic struct {
			Big any `json:"big"`
		}
		decodeInto(t, tok, &dynamic)
		if typed.Big != 9007199254740993 || dynamic.Big != json.Number("9007199254740993") {
			t.Errorf("%d, %v", typed.Big, dynamic.Big)
		}
	})
	t.Run("JV-28/as_sent", func(t *testing.T) {
		var all map[string]any
		decodeInto(t, tok, &all)
		for name, want := range map[string]string{
			"big": "9007199254740993", "huge": "1e400", "long": "123456789012345678901234567890.12345", "exp": fmt.Sprint(goodClaims()["exp"]),
		} {
			if got, isNumber := all[name].(json.Number); !isNumber || got.String() != want {
				t.Errorf("%s is %v (%T)", name, all[name], all[name])
			}
		}
	})
	t.Run("JV-28/raw_bytes", func(t *testing.T) {
		var all map[string]json.RawMessage
		decodeInto(t, tok, &all)
		if string(all["huge"]) != "1e400" || string(all["slash"]) != `"a\/b"` {
			t.Errorf("%s %s", all["huge"], all["slash"])
		}
	})
	t.Run("JV-27/B36_nul_is_not_the_end", func(t *testing.T) {
		var all map[string]any
		decodeInto(t, tok, &all)
		if all["nul"] != "a\x00b" {
			t.Errorf("%q", all["nul"])
		}
	})
	t.Run("JV-27/D51_odd_names_are_plain_data", func(t *testing.T) {
		var all map[string]any
		decodeInto(t, tok, &all)
		if all["."] == nil || all[""] == nil || all["$ref"] != "#/x" || fmt.Sprint(all["__proto__"]) != "map[admin:true]" {
			t.Errorf("%v", all)
		}
	})
	t.Run("JV-27/the_same_after_the_second_look", func(t *testing.T) {
		v, raw := newVerifier(t), token(nil, object{"plan": "gold"})
		for range 3 {
			again, err := verifyTwice(t, v, raw)
			wantAccepted(t, again, err)
			var mine struct{ Plan string }
			decodeInto(t, again, &mine)
			if mine.Plan != "gold" {
				t.Errorf("plan %q", mine.Plan)
			}
		}
	})
	t.Run("what_a_handler_changes_stays_there", func(t *testing.T) {
		v := newVerifier(t)
		raw := token(nil, object{"roles": []string{"a"}, "amr": []string{"pwd"}, "act": object{"sub": "x"}})
		first := ok(verifyTwice(t, v, raw))
		first.Scopes[0], first.Audience[0], first.Roles[0], first.AMR[0], first.Actor.Subject = "admin", "x", "root", "none", "y"
		second := ok(verifyTwice(t, v, raw))
		if second.HasScope("admin") || second.Audience[0] != audience || second.Roles[0] != "a" || second.AMR[0] != "pwd" || second.Actor.Subject != "x" {
			t.Errorf("%+v", second)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	for name, members := range map[string]string{
		"top":            `"plan":"gold","PLAN":"free"`,
		"claim_of_ours":  `"ISS":"https://evil.example"`,
		"nested":         `"x":{"y":[{"a":1,"A":2}]}`,
		"long_s":         `"\u017fub":"root"`,
		"kelvin":         `"kind":1,"\u212aind":2`,
		"escaped":        `"plan":"gold","\u0050lan":"free"`,
		"greek":          `"σ":1,"ς":2`,
		"many_and_twins": numbered(0, 60) + `,"N7":1`,
	} {
		t.Run("JV-06/names_that_differ_by_case_"+name, func(t *testing.T) {
			tok := verified(t, plus(goodClaims(), members))
			var dst map[string]any
			err := tok.Decode(&dst)
			if verifier.ClassOf(err) != verifier.ErrInvalidClaim {
				t.Fatalf("%v with %v", err, dst)
			}
			if tok.Issuer != issuerURL || tok.Subject != "user-1" {
				t.Errorf("%q %q", tok.Issuer, tok.Subject)
			}
		})
	}
	t.Run("JV-06/different_objects_are_no_clash", func(t *testing.T) {
		var dst map[string]any
		decodeInto(t, verified(t, plus(goodClaims(), `"plan":{"Plan":1},"list":[{"a":1},{"A":1}]`)), &dst)
	})

	const secret = "claim-value-canary"
	tok := verified(t, plus(goodClaims(), `"x":"`+secret+`","n":31415926535,"o":{"`+secret+`":"`+secret+`"},"t":"`+secret+`"`))
	for name, dst := range map[string]any{
		"number_for_text": &struct{ X int }{},
		"text_for_number": &struct{ N string }{},
		"overflow":        &struct{ N int8 }{},
		"map_value":       &struct{ O map[string]int }{},
		"map_key":         &struct{ O map[int]string }{},
		"quoted_number": &struct {
			X int `json:"x,string"`
		}{},
		"number":              &struct{ X json.Number }{},
		"own_unmarshaler":     &struct{ X tattler }{},
		"time":                &struct{ T jsonTime }{},
		"not_a_pointer":       struct{}{},
		"nil":                 nil,
		"nil_pointer":         (*struct{})(nil),
		"bytes":               &struct{ X []byte }{},
		"interface_of_method": &struct{ X fmt.Stringer }{},
		"channel":             &struct{ X chan int }{},
		"whole_as_list":       &[]string{},
	} {
		t.Run("SE-02/decode_"+name, func(t *testing.T) {
			err := tok.Decode(dst)
			if verifier.ClassOf(err) != verifier.ErrInvalidClaim {
				t.Fatalf("class of %v", err)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v %q", e, e, e); strings.Contains(text, secret) || strings.Contains(text, "31415926535") {
					t.Errorf("the error quotes a claim: %s", text)
				}
			}
		})
	}
	t.Run("token_not_verified", func(t *testing.T) {
		var dst map[string]any
		for _, tok := range []*verifier.Token{nil, {}, {Issuer: issuerURL, Subject: "x"}} {
			if err := tok.Decode(&dst); verifier.ClassOf(err) != verifier.ErrInvalidClaim || dst != nil {
				t.Errorf("%v with %v", err, dst)
			}
		}
	})
	t.Run("JV-28/infinite_float_is_an_error", func(t *testing.T) {
		dst := struct{ X float64 }{}
		err := verified(t, plus(goodClaims(), `"x":1e400`)).Decode(&dst)
		if verifier.ClassOf(err) != verifier.ErrInvalidClaim || math.IsInf(dst.X, 0) {
			t.Errorf("%v with %v", err, dst.X)
		}
	})
}

// tattler quotes what it cannot read.
type tattler struct{}

func (*tattler) UnmarshalJSON(b []byte) error { return fmt.Errorf("cannot read %s", b) }

// jsonTime fails as package time does, with its input in the text.
type jsonTime struct{}

func (*jsonTime) UnmarshalText(b []byte) error { return fmt.Errorf("parsing time %q", b) }
