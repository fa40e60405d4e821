// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// claim is a good token with one claim changed.
func claim(name string, v any) string { return token(nil, object{name: v}) }

// runsFrom sets a clock that the test can move.
func runsFrom(now *time.Time) func(*verifier.Config) {
	return func(cfg *verifier.Config) { cfg.Now = func() time.Time { return *now } }
}

func seconds(t time.Time) raw { return raw(fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())) }

func TestNothingIsBelievedBeforeTheSignature(t *testing.T) {
	bad := func(claims object) string {
		parts := strings.Split(token(nil, claims), ".")
		return parts[0] + "." + parts[1] + "." + b64("no signature")
	}
	for name, claims := range map[string]object{
		"good": {}, "expired": {"exp": 1}, "other_audience": {"aud": "x"}, "bad_type": {"sub": 1}, "bound": {"cnf": object{}},
		"no_exp": {"exp": nil}, "bad_scope": {"scope": "a\tb"}, "marked": {"nonce": "n", "token_use": "id"},
	} {
		t.Run("JV-13/"+name, func(t *testing.T) {
			var events []verifier.Event
			rules := 0
			spy := ruleFunc(func(*verifier.Token) error { rules++; return nil })
			confirm := func(context.Context, *verifier.Token) error { rules++; return nil }
			v := newVerifier(t, func(cfg *verifier.Config) {
				cfg.OnEvent = func(e verifier.Event) { events = append(events, e) }
			})
			tok, err := v.VerifyBound(t.Context(), bad(claims), confirm, spy)
			wantClass(t, tok, err, verifier.ErrSignature)
			if rules != 0 || len(events) != 1 || events[0].Class != verifier.ErrSignature {
				t.Errorf("%d rules ran; events %v", rules, events)
			}
		})
	}
}

// ruleFunc is a rule of one function.
type ruleFunc func(*verifier.Token) error

func (f ruleFunc) Check(t *verifier.Token) error { return f(t) }

func TestIssuerClaim(t *testing.T) {
	for name, iss := range map[string]any{
		"trailing_slash": issuerURL + "/", "D19_upper_scheme": "HTTPS://id.example.com", "D19_upper_host": "https://ID.example.com",
		"D19_port": issuerURL + ":443", "D19_escape": "https://id%2eexample.com", "D19_dot": issuerURL + "/./", "D19_idn": "https://ıd.example.com",
		"D20_suffix": issuerURL + ".evil.com", "D20_path": issuerURL + "/evil", "D20_query": "https://evil.example?" + issuerURL,
		"D20_prefix": "https://id.example.co", "D20_userinfo": issuerURL + "@evil.example", "D17_empty": "", "space": issuerURL + " ",
		"nul": issuerURL + "\x00", "http": "http://id.example.com", "D22_unknown": "https://other.example",
	} {
		t.Run("JV-15/"+name, func(t *testing.T) {
			keys := keysOne()
			v := newVerifier(t, func(cfg *verifier.Config) { cfg.Keys = keys })
			tok, err := verifyTwice(t, v, claim("iss", iss))
			wantClass(t, tok, err, verifier.ErrIssuer)
			if keys.calls != 0 {
				t.Errorf("%d key look-ups for an issuer that is not configured", keys.calls)
			}
		})
	}
	rows := []verdict{
		{"JV-15/equal", claim("iss", issuerURL), nil},
		{"JV-15/equal_by_escapes", tokenText(strings.Replace(goodClaims().String(), `"https://id`, `"\u0068ttps:\/\/id`, 1)), nil},
		{"AP-03/D17_iss_missing", claim("iss", nil), verifier.ErrMissingClaim},
		{"JV-15/D18_array_of_good", claim("iss", []string{issuerURL}), verifier.ErrInvalidClaim},
		{"JV-15/D18_array_good_evil", claim("iss", []string{issuerURL, "https://evil.example"}), verifier.ErrInvalidClaim},
	}
	for kind, v := range notStrings {
		rows = append(rows, verdict{"JV-15/D58_" + kind, claim("iss", v), verifier.ErrInvalidClaim})
	}
	judge(t, newVerifier(t), rows)
	t.Run("JV-14/no_network_for_an_unknown_issuer", func(t *testing.T) {
		a, b := keysOne(), keysOne()
		both := ok(verifier.Join(
			newVerifier(t, func(cfg *verifier.Config) { cfg.Keys = a }),
			newVerifier(t, func(cfg *verifier.Config) { cfg.Keys, cfg.Issuer = b, "https://b.example" })))
		for i := range 100 {
			tok, err := verifyTwice(t, both, claim("iss", fmt.Sprintf("https://%d.example", i)))
			wantClass(t, tok, err, verifier.ErrIssuer)
		}
		if a.calls+b.calls != 0 {
			t.Errorf("%d and %d key look-ups", a.calls, b.calls)
		}
	})
}

func TestTwoIssuers(t *testing.T) {
	const other = "https://b.example"
	keysB := &source{current: jwks(jwk(rsaTwo(), object{"kid": "one"}))}
	both := ok(verifier.Join(newVerifier(t), newVerifier(t, func(cfg *verifier.Config) {
		cfg.Issuer, cfg.Keys, cfg.Audience, cfg.Algorithms = other, keysB, []string{"b"}, []string{"RS256", "PS256"}
	})))
	byB := func(iss, aud string) string {
		return sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().edit(object{"iss": iss, "aud": aud}).String())
	}
	judge(t, both, []verdict{
		{"JV-16/A", token(nil, nil), nil},
		{"JV-16/B", byB(other, "b"), nil},
		{"JV-16/D21_key_of_A_for_B", token(nil, object{"iss": other, "aud": "b"}), verifier.ErrSignature},
		{"JV-16/D21_key_of_B_for_A", byB(issuerURL, audience), verifier.ErrSignature},
		{"JV-16/D23_audience_of_A_for_B", byB(other, audience), verifier.ErrAudience},
		{"JV-16/audience_of_B_for_A", token(nil, object{"aud": "b"}), verifier.ErrAudience},
		{"JV-16/C38_kid_of_B_for_A", sign(rsaTwo(), "RS256", goodHeader().edit(object{"kid": "b"}).String(), goodClaims().String()), verifier.ErrUnknownKey},
		{"JV-16/algorithm_of_B", sign(rsaTwo(), "PS256", goodHeader().edit(object{"alg": "PS256"}).String(), goodClaims().edit(object{"iss": other, "aud": "b"}).String()), nil},
	})
	t.Run("JV-30/D34_same_subject_two_principals", func(t *testing.T) {
		a, errA := verifyTwice(t, both, token(nil, nil))
		b, errB := verifyTwice(t, both, byB(other, "b"))
		wantAccepted(t, a, errA)
		wantAccepted(t, b, errB)
		if a.Subject != b.Subject || a.Issuer != issuerURL || b.Issuer != other {
			t.Errorf("%s %s, %s %s", a.Issuer, a.Subject, b.Issuer, b.Subject)
		}
	})
	t.Run("JV-31/D35_client_as_subject", func(t *testing.T) {
		userBound := ruleFunc(func(tok *verifier.Token) error {
			if tok.Subject == tok.ClientID {
				return verifier.ErrForbidden
			}
			return nil
		})
		tok, err := verifyTwice(t, both, claim("sub", "client-1"), userBound)
		wantClass(t, tok, err, verifier.ErrForbidden)
		tok, err = verifyTwice(t, both, token(nil, nil), userBound)
		wantAccepted(t, tok, err)
	})
}

func TestAudienceClaim(t *testing.T) {
	two := func(cfg *verifier.Config) { cfg.Audience = []string{audience, "urn:two"} }
	rows := []verdict{
		{"JV-17/string", claim("aud", audience), nil},
		{"JV-17/second_configured", claim("aud", "urn:two"), nil},
		{"JV-17/D26_array", claim("aud", []string{"x", audience, "y"}), nil},
		{"AP-03/D24_aud_missing", claim("aud", nil), verifier.ErrMissingClaim},
	}
	for name, v := range map[string]any{
		"D25_other": "https://other.example", "prefix": audience[:len(audience)-1], "suffix": audience + "/", "substring": "api.example.com",
		"D27_empty_string": "", "D27_array_of_empty": []string{""}, "case": strings.ToUpper(audience), "joined": audience + " urn:two",
		"list_in_string": `["` + audience + `"]`, "array_of_others": []string{"x", "y"}, "space": audience + " ",
	} {
		rows = append(rows, verdict{"JV-17/" + name, claim("aud", v), verifier.ErrAudience})
	}
	for name, v := range map[string]any{
		"D27_empty_array": []string{}, "D27_null": raw("null"), "D27_number": 1, "D27_object": object{}, "D27_true": true, "D58_false": false, "D58_negative": -1,
		"D27_number_in_array": []any{audience, 1}, "null_in_array": []any{audience, nil}, "D27_nested": []any{[]string{audience}}, "D27_object_0": object{"0": audience},
		"object_in_array": []any{object{"aud": audience}},
	} {
		rows = append(rows, verdict{"JV-17/" + name, claim("aud", v), verifier.ErrInvalidClaim})
	}
	judge(t, newVerifier(t, two), rows)
	t.Run("JV-17/token_has_all_of_them", func(t *testing.T) {
		tok, err := verifyTwice(t, newVerifier(t), claim("aud", []string{"x", audience}))
		wantAccepted(t, tok, err)
		if len(tok.Audience) != 2 || tok.Audience[0] != "x" || tok.Audience[1] != audience {
			t.Errorf("%q", tok.Audience)
		}
	})
}

func TestWithoutAudience(t *testing.T) {
	noAudience := func(cfg *verifier.Config) { cfg.Audience = nil }
	clients := func(list ...string) func(*verifier.Config) {
		return func(cfg *verifier.Config) { cfg.Audience, cfg.Clients = nil, list }
	}
	t.Run("JV-18/neither_audience_nor_setting", func(t *testing.T) { refusesConfig(t, "Audience", noAudience) })
	t.Run("JV-18/neither_under_ProfileJWT", func(t *testing.T) { refusesConfig(t, "Audience", legacy, noAudience) })
	t.Run("JV-18/empty_client_list", func(t *testing.T) { refusesConfig(t, "Audience", legacy, clients()) })
	t.Run("JV-18/clients_need_ProfileJWT", func(t *testing.T) { refusesConfig(t, "Clients", clients("c")) })
	t.Run("JV-18/unset_client", func(t *testing.T) { refusesConfig(t, "Clients", legacy, clients("")) })
	rows := []verdict{
		{"JV-18/no_setting_no_aud", claim("aud", nil), verifier.ErrMissingClaim},
		{"JV-18/no_setting_empty_array", claim("aud", []string{}), verifier.ErrInvalidClaim},
	}
	judge(t, newVerifier(t, legacy), rows)
	azp := func(client, azp any) string {
		return token(nil, object{"aud": nil, "client_id": client, "azp": azp})
	}
	rows = []verdict{
		{"JV-18/listed_client", azp("app", nil), nil},
		{"JV-18/second_listed_client", azp("job", nil), nil},
		{"JV-18/other_client", azp("evil", nil), verifier.ErrAudience},
		{"JV-18/client_prefix", azp("ap", nil), verifier.ErrAudience},
		{"JV-18/client_case", azp("App", nil), verifier.ErrAudience},
		{"JV-18/azp_without_client_id", azp(nil, "app"), nil},
		{"JV-18/azp_with_empty_client_id", azp("", "app"), nil},
		{"JV-18/other_azp", azp(nil, "evil"), verifier.ErrAudience},
		{"JV-18/D53_client_id_decides", azp("evil", "app"), verifier.ErrAudience},
		{"JV-18/D53_azp_is_not_read", azp("app", "evil"), nil},
		{"JV-18/no_client_at_all", azp(nil, nil), verifier.ErrMissingClaim},
		{"JV-18/no_client_but_foreign_aud", token(nil, object{"aud": audience, "client_id": nil}), verifier.ErrMissingClaim},
		{"JV-18/empty_array", token(nil, object{"aud": []string{}, "client_id": "app"}), nil},
		{"JV-18/empty_string", token(nil, object{"aud": "", "client_id": "app"}), nil},
		{"JV-18/foreign_aud", token(nil, object{"aud": "x", "client_id": "app"}), nil},
		{"JV-18/own_aud_other_client", token(nil, object{"aud": audience, "client_id": "evil"}), verifier.ErrAudience},
	}
	wrong := map[string]any{"number": 1, "null": raw("null"), "true": true, "object": object{}, "mixed": []any{"x", 1}, "nested": []any{[]string{}}}
	for kind, v := range wrong {
		rows = append(rows,
			verdict{"JV-18/wrong_type_" + kind, token(nil, object{"aud": v, "client_id": "app"}), verifier.ErrInvalidClaim},
			verdict{"JV-18/client_id_" + kind, azp(v, "app"), verifier.ErrInvalidClaim},
			verdict{"JV-18/azp_" + kind, azp(nil, v), verifier.ErrInvalidClaim})
	}
	judge(t, newVerifier(t, legacy, clients("app", "job")), rows)

	var events []verifier.Event
	skip := func(cfg *verifier.Config) {
		cfg.Audience, cfg.UnsafeSkipAudience = nil, true
		cfg.OnEvent = func(e verifier.Event) { events = append(events, e) }
	}
	v := newVerifier(t, legacy, skip)
	t.Run("JV-18/P10_skipping_is_reported_once", func(t *testing.T) {
		if len(events) != 1 || events[0].Kind != verifier.EventWarning || events[0].Issuer != issuerURL {
			t.Errorf("events %v", events)
		}
	})
	rows = []verdict{
		{"JV-18/skipped_foreign", claim("aud", "x"), nil}, {"JV-18/skipped_absent", claim("aud", nil), nil}, {"JV-18/skipped_no_client", azp(nil, nil), nil},
	}
	for kind, aud := range wrong {
		rows = append(rows, verdict{"JV-18/skipped_wrong_type_" + kind, claim("aud", aud), verifier.ErrInvalidClaim})
	}
	judge(t, v, rows)
	t.Run("JV-18/skipping_needs_ProfileJWT", func(t *testing.T) { refusesConfig(t, "UnsafeSkipAudience", skip) })
}

func TestTimes(t *testing.T) {
	sec := time.Second
	rows := []struct {
		name  string
		claim string
		by    time.Duration // of the claim after noon
		class error
	}{
		{"DF-02/exp_29_s_ago", "exp", -29 * sec, nil},
		{"DF-02/exp_31_s_ago", "exp", -31 * sec, verifier.ErrExpired},
		{"JV-22/exp_plus_leeway_is_now", "exp", -30 * sec, verifier.ErrExpired},
		{"JV-22/one_nanosecond_before", "exp", -30*sec + 1, nil},
		{"JV-22/D3_exp_in_a_second", "exp", sec, nil},
		{"JV-22/exp_a_year_ago", "exp", -8760 * time.Hour, verifier.ErrExpired},
		{"DF-02/nbf_in_29_s", "nbf", 29 * sec, nil},
		{"DF-02/D9_nbf_in_31_s", "nbf", 31 * sec, verifier.ErrNotYetValid},
		{"JV-23/now_is_nbf_minus_leeway", "nbf", 30 * sec, nil},
		{"JV-23/one_nanosecond_later", "nbf", 30*sec + 1, verifier.ErrNotYetValid},
		{"JV-23/nbf_long_ago", "nbf", -8760 * time.Hour, nil},
		{"DF-02/iat_in_29_s", "iat", 29 * sec, nil},
		{"DF-02/iat_in_31_s", "iat", 31 * sec, verifier.ErrNotYetValid},
		{"JV-24/iat_is_now_plus_leeway", "iat", 30 * sec, nil},
		{"JV-24/one_nanosecond_later", "iat", 30*sec + 1, verifier.ErrNotYetValid},
		{"JV-24/iat_long_ago", "iat", -8760 * time.Hour, nil},
	}
	var table []verdict
	for _, row := range rows {
		table = append(table, verdict{row.name, claim(row.claim, seconds(noon.Add(row.by))), row.class})
	}
	table = append(table,
		verdict{"JV-22/D1_missing", claim("exp", nil), verifier.ErrMissingClaim},
		verdict{"JV-22/missing_with_nbf", token(nil, object{"exp": nil, "nbf": 1}), verifier.ErrMissingClaim},
		verdict{"JV-22/M12_beyond_int32", claim("exp", raw("2147570048")), nil},
		verdict{"JV-22/M12_beyond_uint32", claim("exp", raw("4295053696")), nil},
		verdict{"JV-24/M12_iat_beyond_int32", claim("iat", raw("4294967296")), verifier.ErrNotYetValid},
		verdict{"JV-23/M12_nbf_beyond_int32", claim("nbf", raw("4294967296")), verifier.ErrNotYetValid})
	judge(t, newVerifier(t), table)
	judge(t, newVerifier(t, legacy), table)

	for leeway, shift := range map[time.Duration]time.Duration{-1: 0, 1: 1, 10 * sec: 10 * sec, 300 * sec: 300 * sec} {
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.Leeway = leeway })
		name := fmt.Sprintf("DF-02/leeway_%v_", leeway)
		judge(t, v, []verdict{
			{name + "D2_exp", claim("exp", seconds(noon.Add(-shift))), verifier.ErrExpired},
			{name + "exp_valid", claim("exp", seconds(noon.Add(-shift+1))), nil},
			{name + "nbf", claim("nbf", seconds(noon.Add(shift+1))), verifier.ErrNotYetValid},
			{name + "nbf_valid", claim("nbf", seconds(noon.Add(shift))), nil},
			{name + "iat", claim("iat", seconds(noon.Add(shift+1))), verifier.ErrNotYetValid},
			{name + "iat_valid", claim("iat", seconds(noon.Add(shift))), nil},
		})
	}
	t.Run("DF-02/leeway_over_300_s", func(t *testing.T) {
		refusesConfig(t, "Leeway", func(cfg *verifier.Config) { cfg.Leeway = 300*sec + 1 })
	})
}

func TestNumericDates(t *testing.T) {
	rows := []verdict{
		{"JV-20/D7_exponent", claim("exp", raw("1.8e9")), nil},
		{"JV-20/D7_fraction", claim("exp", raw("1800000000.5")), nil},
		{"JV-20/largest", claim("exp", raw("253402300799")), nil},
		{"JV-20/largest_by_exponent", claim("exp", raw("2534023007.99e2")), nil},
		{"JV-20/D8_milliseconds", claim("exp", noon.Add(time.Hour).UnixMilli()*1000), verifier.ErrInvalidClaim},
		{"JV-20/D6_exp_0", claim("exp", 0), verifier.ErrExpired},
		{"JV-20/exp_minus_0", claim("exp", raw("-0")), verifier.ErrExpired},
		{"JV-20/D58_nbf_0", claim("nbf", 0), nil},
		{"JV-20/D58_iat_0", claim("iat", 0), nil},
	}
	for kind, v := range map[string]any{
		"D4_string": "1700000000", "D4_far_string": "9999999999", "D5_null": raw("null"), "D5_true": true, "D58_false": false, "D5_array": []int{}, "D5_empty_string": "",
		"object": object{}, "array_of_number": raw("[9999999999]"), "D6_1e300": raw("1e300"), "B28_1e400": raw("1e400"), "1e999999999": raw("1e999999999"),
		"D6_2_63": raw("9223372036854775808"), "D6_minus_2_63": raw("-9223372036854775808"), "2_64": raw("18446744073709551616"), "minus_1": -1,
		"just_below_0": raw("-0.000000001"), "above_largest": raw("253402300800"), "just_above_largest": raw("253402300799.0000000001"),
		"minus_1e400": raw("-1e400"), "many_digits": raw(strings.Repeat("9", 5_000)), "iso_8601": "2026-01-02T12:10:00Z",
	} {
		for _, name := range []string{"exp", "nbf", "iat"} {
			rows = append(rows, verdict{"JV-20/" + name + "_" + kind, claim(name, v), verifier.ErrInvalidClaim})
		}
	}
	judge(t, newVerifier(t), rows)
	judge(t, newVerifier(t, legacy), rows)
	t.Run("JV-20/auth_time_of_wrong_type_is_absent", func(t *testing.T) {
		for _, v := range []any{"2026-01-02T12:00:00Z", raw("1e300"), -1, true, raw("null"), raw("253402300800")} {
			tok, err := verifyTwice(t, newVerifier(t), claim("auth_time", v))
			wantAccepted(t, tok, err)
			if !tok.AuthTime.IsZero() {
				t.Errorf("auth_time %v read as %v", v, tok.AuthTime)
			}
		}
	})
	t.Run("JV-21/fractions_order", func(t *testing.T) {
		early, late := claim("exp", raw("1767355200.5")), claim("exp", raw("1767355200.9"))
		for _, row := range []struct {
			now         float64
			early, late error
		}{{30.4, nil, nil}, {30.5, verifier.ErrExpired, nil}, {30.8, verifier.ErrExpired, nil}, {30.9, verifier.ErrExpired, verifier.ErrExpired}} {
			now := time.Unix(1767355200, 0).Add(time.Duration(row.now*10) * time.Second / 10)
			v := newVerifier(t, runsFrom(&now))
			for raw, class := range map[string]error{early: row.early, late: row.late} {
				if _, err := verifyTwice(t, v, raw); verifier.ClassOf(err) != class {
					t.Errorf("at %.1f: %v, want %v", row.now, err, class)
				}
			}
		}
	})
	t.Run("JV-21/large_values_keep_their_fraction", func(t *testing.T) {
		tok, err := verifyTwice(t, newVerifier(t), claim("exp", raw("253402300798.123456789")))
		wantAccepted(t, tok, err)
		if !tok.ExpiresAt.Equal(time.Unix(253402300798, 123456789)) {
			t.Errorf("exp is %v", tok.ExpiresAt)
		}
	})
	t.Run("JV-36/one_clock", func(t *testing.T) {
		now := noon
		v := newVerifier(t, runsFrom(&now))
		valid := token(nil, object{"nbf": noon.Unix(), "exp": noon.Add(time.Minute).Unix()})
		for _, step := range []struct {
			by    time.Duration
			class error
		}{{0, nil}, {time.Hour, verifier.ErrExpired}, {0, nil}, {-time.Hour, verifier.ErrNotYetValid}, {89 * time.Second, nil}, {90 * time.Second, verifier.ErrExpired}} {
			now = noon.Add(step.by)
			tok, err := verifyTwice(t, v, valid)
			if verifier.ClassOf(err) != step.class || (tok != nil) != (step.class == nil) {
				t.Errorf("at %v: %v, %v; want %v", step.by, tok, err, step.class)
			}
		}
	})
}

func TestIdentityClaims(t *testing.T) {
	var rows, relaxed []verdict
	for _, name := range []string{"sub", "client_id", "jti"} {
		for kind, v := range notStrings {
			rows = append(rows, verdict{"JV-26/D58_" + name + "_" + kind, claim(name, v), verifier.ErrInvalidClaim})
		}
		rows = append(rows, verdict{"JV-26/D58_" + name + "_negative", claim(name, -1), verifier.ErrInvalidClaim})
		relaxed = append(relaxed, verdict{"JV-26/empty_" + name + "_where_optional", claim(name, ""), nil})
	}
	judge(t, newVerifier(t, legacy), append(relaxed, rows...))
	judge(t, newVerifier(t, func(cfg *verifier.Config) { cfg.OptionalClaims = []string{"sub", "client_id", "jti"} }), append(relaxed, rows...))
	for _, name := range []string{"sub", "client_id", "jti"} {
		rows = append(rows, verdict{"JV-26/D33_empty_" + name, claim(name, ""), verifier.ErrInvalidClaim})
	}
	judge(t, newVerifier(t), rows)
	t.Run("JV-26/no_subject", func(t *testing.T) {
		tok, err := verifyTwice(t, newVerifier(t, legacy), token(nil, object{"sub": "", "client_id": "", "jti": ""}))
		wantAccepted(t, tok, err)
		if tok.Subject != "" || tok.ClientID != "" || tok.ID != "" {
			t.Errorf("%q %q %q", tok.Subject, tok.ClientID, tok.ID)
		}
	})
	t.Run("JV-31/subject_and_client_apart", func(t *testing.T) {
		tok, err := verifyTwice(t, newVerifier(t), token(nil, object{"azp": "x", "cid": "y", "user": "z"}))
		wantAccepted(t, tok, err)
		if tok.Issuer != issuerURL || tok.Subject != "user-1" || tok.ClientID != "client-1" || tok.ID != "id-1" {
			t.Errorf("%q %q %q %q", tok.Issuer, tok.Subject, tok.ClientID, tok.ID)
		}
	})
}

func TestActor(t *testing.T) {
	verify := func(t *testing.T, act any) *verifier.Token {
		tok, err := verifyTwice(t, newVerifier(t), claim("act", act))
		wantAccepted(t, tok, err)
		return tok
	}
	t.Run("JV-29/outermost_only", func(t *testing.T) {
		tok := verify(t, object{"sub": "level-1", "client_id": "c1", "act": object{"iss": "i2", "sub": "level-2", "act": object{"sub": "level-3"}}})
		if *tok.Actor != (verifier.Actor{Subject: "level-1", ClientID: "c1"}) || tok.Subject != "user-1" {
			t.Errorf("actor %+v, subject %q", tok.Actor, tok.Subject)
		}
	})
	t.Run("JV-29/inner_does_not_fill_outer", func(t *testing.T) {
		if tok := verify(t, object{"act": object{"sub": "inner"}}); *tok.Actor != (verifier.Actor{}) {
			t.Errorf("actor %+v", tok.Actor)
		}
	})
	t.Run("JV-29/D52_may_act_is_no_actor", func(t *testing.T) {
		tok, err := verifyTwice(t, newVerifier(t), claim("may_act", object{"sub": "x"}))
		wantAccepted(t, tok, err)
		if tok.Actor != nil {
			t.Errorf("actor %+v", tok.Actor)
		}
	})
	for kind, v := range map[string]any{"text": "x", "null": raw("null"), "list": []any{object{"sub": "x"}}, "true": true} {
		t.Run("act_"+kind, func(t *testing.T) {
			tok, err := verifyTwice(t, newVerifier(t), claim("act", v))
			wantClass(t, tok, err, verifier.ErrInvalidClaim)
		})
	}
}

func TestUnknownClaims(t *testing.T) {
	judge(t, newVerifier(t), []verdict{
		{"JV-27/D49_extra", token(nil, object{"plan": "gold", "authorization_details": []object{{"type": "x", "deep": object{"a": []int{1}}}}}), nil},
		{"JV-27/D51_names", tokenText(plus(goodClaims(), `"__proto__":{"admin":true},"constructor":1,"$ref":"#","." :1,"":2`)), nil},
		{"JV-27/D60_flags", token(nil, object{"admin": true, "debug": true, "test": true, "alg": "none", "typ": "at+jwt"}), nil},
		{"JV-27/D60_flags_of_an_expired_token", token(nil, object{"exp": 1, "admin": true, "debug": true, "test": true, "active": true}), verifier.ErrExpired},
		{"JV-27/B28_1e400", tokenText(plus(goodClaims(), `"x":1e400`)), nil},
	})
}

// TestListsOfOneToken: the lists of a token lie side by side, without a cache in the memory
// that they were read into. A handler that appends to one must not write into the next.
func TestListsOfOneToken(t *testing.T) {
	lists := func(tok *verifier.Token) []*[]string {
		return []*[]string{&tok.Audience, &tok.Scopes, &tok.AMR, &tok.Roles, &tok.Groups, &tok.Entitlements}
	}
	raw := token(nil, object{
		"aud": []string{audience, "b"}, "scope": "a b a", "amr": []string{"pwd"}, "roles": []string{"r"},
		"groups": []object{{"value": "g"}}, "entitlements": []string{"e"},
	})
	for _, entries := range []int{-1, 0} {
		t.Run(fmt.Sprintf("JV-35/cache_entries_%d", entries), func(t *testing.T) {
			v := newVerifier(t, func(cfg *verifier.Config) { cfg.CacheEntries = entries })
			for range 2 {
				tok, err := v.Verify(t.Context(), raw)
				wantAccepted(t, tok, err)
				for i, list := range lists(tok) {
					before := fmt.Sprintf("%+v", texts(lists(tok)[i+1:]))
					_ = append(*list, "orders:write", "admin")
					if after := fmt.Sprintf("%+v", texts(lists(tok)[i+1:])); after != before {
						t.Errorf("appending to list %d turned %s into %s", i, before, after)
					}
				}
			}
		})
	}
}

func texts(lists []*[]string) (all [][]string) {
	for _, list := range lists {
		all = append(all, *list)
	}
	return all
}
