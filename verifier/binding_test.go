// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

func TestConfirmationClaim(t *testing.T) {
	sum := b64(strings.Repeat("s", 32))
	with := func(cnf any) string { return claim("cnf", cnf) }
	var rows []verdict
	for kind, v := range map[string]any{"text": "x", "null": raw("null"), "true": true, "false": false, "empty": "", "zero": 0, "minus": -1, "list": []any{}} {
		rows = append(rows, verdict{"SB-01/H43_" + kind, with(v), verifier.ErrInvalidClaim})
	}
	for kind, v := range map[string]object{
		"H43_empty": {}, "H43_kid": {"kid": "x"}, "H43_jwk": {"jwk": object{"kty": "oct"}}, "H43_jku": {"jku": "https://x"}, "vendor": {"vendor-x": 1},
		"other_hash": {"x5t#S512": sum}, "upper_case": {"JKT": sum}, "x5t": {"x5t": sum},
	} {
		rows = append(rows, verdict{"SB-03/" + kind, with(v), verifier.ErrBinding})
	}
	for _, member := range []string{"jkt", "x5t#S256"} {
		rows = append(rows, verdict{"SB-05/H38_bearer_" + member, with(object{member: sum}), verifier.ErrBinding})
		for kind, v := range map[string]any{
			"padded": sum + "=", "base64": strings.Repeat("+/", 21) + "8", "hex": strings.Repeat("ab", 32), "H41_empty": "", "H41_number": 1, "H41_list": []string{sum},
			"H41_sha512": b64(strings.Repeat("s", 64)), "short": b64(strings.Repeat("s", 31)), "long": b64(strings.Repeat("s", 33)), "null": raw("null"),
			"newline": sum + "\n", "trailing_bits": otherBits(sum), "space": sum + " ",
		} {
			rows = append(rows, verdict{"SB-07/bearer_" + member + "_" + kind, with(object{member: v}), verifier.ErrBinding})
			t.Run("SB-07/"+member+"_"+kind, func(t *testing.T) { confirmed(t, with(object{member: v}), verifier.ErrBinding) })
		}
	}
	rows = append(rows,
		verdict{"EO-01/expired_before_binding", token(nil, object{"cnf": object{}, "exp": 1}), verifier.ErrExpired},
		verdict{"SB-05/both_members", with(object{"jkt": sum, "x5t#S256": sum}), verifier.ErrBinding})
	judge(t, newVerifier(t), rows)

	for name, row := range map[string]struct {
		cnf   object
		class error
	}{
		"SB-02/jkt_and_vendor_member":       {object{"jkt": sum, "vendor-x": object{}}, nil},
		"SB-02/certificate_and_kid":         {object{"x5t#S256": sum, "kid": 1}, nil},
		"SB-03/unknown_only_with_a_proof":   {object{"vendor-x": 1}, verifier.ErrBinding},
		"SB-07/good_jkt_and_bad_thumbprint": {object{"jkt": sum, "x5t#S256": sum + "="}, verifier.ErrBinding},
		"SB-07/bad_jkt_with_a_proof":        {object{"jkt": sum[:42]}, verifier.ErrBinding},
		"SB-07/any_32_bytes":                {object{"jkt": b64(strings.Repeat("\x00", 32))}, nil},
	} {
		t.Run(name, func(t *testing.T) { confirmed(t, with(row.cnf), row.class) })
	}
	t.Run("SB-07/decoded_to_32_bytes", func(t *testing.T) {
		tok := confirmed(t, with(object{"jkt": sum, "x5t#S256": b64(strings.Repeat("c", 32))}), nil)
		if tok.Confirmation.JWKThumbprint != strings.Repeat("s", 32) || tok.Confirmation.CertificateThumbprint != strings.Repeat("c", 32) {
			t.Errorf("%q", tok.Confirmation)
		}
	})
	both := with(object{"jkt": sum, "x5t#S256": sum})
	for _, kind := range []string{"", verifier.BindingDPoP, verifier.BindingMTLS, "other"} {
		t.Run("SB-04/one_of_two_verified_"+kind, func(t *testing.T) {
			tok, err := verifyBoundTwice(t, newVerifier(t), both, func(_ context.Context, tok *verifier.Token) error {
				tok.Binding = verifier.Binding{Kind: kind, Thumbprint: "t"}
				return nil
			})
			wantClass(t, tok, err, verifier.ErrBinding)
		})
	}
	t.Run("SB-05/a_check_that_verified_nothing", func(t *testing.T) {
		tok, err := verifyBoundTwice(t, newVerifier(t), with(object{"jkt": sum}), func(context.Context, *verifier.Token) error { return nil })
		wantClass(t, tok, err, verifier.ErrBinding)
	})
	t.Run("SB-05/a_check_that_failed", func(t *testing.T) {
		tok, err := verifyBoundTwice(t, newVerifier(t), with(object{"jkt": sum}), func(context.Context, *verifier.Token) error {
			return fmt.Errorf("no: %w", verifier.ErrBinding)
		})
		wantClass(t, tok, err, verifier.ErrBinding)
	})
	t.Run("SB-08/verified_constraint_is_readable", func(t *testing.T) {
		if tok := confirmed(t, with(object{"jkt": sum}), nil); tok.Binding != (verifier.Binding{Kind: verifier.BindingBoth, Thumbprint: "t"}) {
			t.Errorf("%+v", tok.Binding)
		}
		tok, err := verifyTwice(t, newVerifier(t), token(nil, nil))
		wantAccepted(t, tok, err)
		if tok.Binding != (verifier.Binding{}) || tok.Confirmation != (verifier.Confirmation{}) {
			t.Errorf("%+v %+v", tok.Binding, tok.Confirmation)
		}
	})
}

// confirmed verifies raw with a check of the sender that succeeds.
func confirmed(t *testing.T, raw string, class error) *verifier.Token {
	t.Helper()
	tok, err := verifyBoundTwice(t, newVerifier(t), raw, func(_ context.Context, tok *verifier.Token) error {
		tok.Binding = verifier.Binding{Kind: verifier.BindingBoth, Thumbprint: "t"}
		return nil
	})
	if class == nil {
		wantAccepted(t, tok, err)
		return tok
	}
	wantClass(t, tok, err, class)
	if !errors.Is(err, verifier.ErrInvalidToken) {
		t.Errorf("%v is not an ErrInvalidToken", err)
	}
	return tok
}
