// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// foreign are media types of JWTs that are never access tokens.
var foreign = []string{
	"dpop+jwt", "token-introspection+jwt", "logout+jwt", "secevent+jwt", "oauth-authz-req+jwt", "entity-statement+jwt",
	"statuslist+jwt", "id_token+jwt", "wallet-attestation+jwt", "client-authentication+jwt", "jwk-set+json", "kb+jwt",
}

func typToken(typ any) string { return token(object{"typ": typ}, nil) }

func TestTokenType(t *testing.T) {
	rows := []verdict{
		{"AP-01/at_jwt", typToken("at+jwt"), nil},
		{"AP-01/application_at_jwt", typToken("application/at+jwt"), nil},
		{"AP-01/C50_JWT", typToken("JWT"), verifier.ErrTokenType},
		{"AP-01/C50_application_jwt", typToken("application/jwt"), verifier.ErrTokenType},
		{"AP-01/C49_absent", typToken(nil), verifier.ErrTokenType},
		{"AP-01/JOSE", typToken("JOSE"), verifier.ErrTokenType},
	}
	for _, typ := range foreign {
		rows = append(rows, verdict{"AP-01/C52_" + typ, typToken(typ), verifier.ErrTokenType})
	}
	judge(t, newVerifier(t), rows)
	t.Run("AP-01/the_operator_learns_of_the_profile", func(t *testing.T) {
		_, err := verifyTwice(t, newVerifier(t), typToken("JWT"))
		if !strings.Contains(err.Error(), "ProfileJWT") {
			t.Errorf("%v does not name the setting", err)
		}
	})
}

func TestRelaxedTypes(t *testing.T) {
	listed := func(types ...string) func(*verifier.Config) {
		return func(cfg *verifier.Config) { cfg.TokenTypes = types }
	}
	for mode, edit := range map[string]func(*verifier.Config){"ProfileJWT": legacy, "TokenTypes": listed("JWT", "")} {
		rows := []verdict{
			{"AP-02/" + mode + "_JWT", typToken("JWT"), nil},
			{"AP-02/" + mode + "_jwt", typToken("application/jwt"), nil},
			{"AP-02/" + mode + "_absent", typToken(nil), nil},
			{"AP-02/" + mode + "_at_jwt", typToken("at+jwt"), nil},
			{"AP-02/" + mode + "_empty", typToken(""), verifier.ErrTokenType},
			{"AP-02/" + mode + "_prefix_alone", typToken("application/"), verifier.ErrTokenType},
			{"AP-02/" + mode + "_JOSE", typToken("JOSE"), verifier.ErrTokenType},
			{"AP-02/" + mode + "_parameter", typToken("JWT;x=y"), verifier.ErrTokenType},
		}
		for _, typ := range foreign {
			rows = append(rows, verdict{"AP-02/" + mode + "_C52_" + typ, typToken(typ), verifier.ErrTokenType})
		}
		judge(t, newVerifier(t, edit), rows)
	}
	judge(t, newVerifier(t, listed("application/Vendor-AT+jwt")), []verdict{
		{"AP-02/only_what_is_listed", typToken("vendor-at+JWT"), nil},
		{"AP-02/JWT_not_listed", typToken("JWT"), verifier.ErrTokenType},
		{"AP-02/absent_not_listed", typToken(nil), verifier.ErrTokenType},
		{"AP-02/listed_and_marked_otherwise", token(object{"typ": "vendor-at+jwt"}, object{"nonce": "n"}), verifier.ErrTokenType},
	})
	judge(t, newVerifier(t, listed("text/vendor")), []verdict{
		{"JV-10/prefix_before_another_slash", typToken("application/text/vendor"), verifier.ErrTokenType},
		{"JV-10/another_slash", typToken("Text/Vendor"), nil},
	})
	for _, typ := range append([]string{"application/DPoP+JWT", "LOGOUT+jwt"}, foreign[:8]...) {
		t.Run("AP-02/C52_cannot_be_listed_"+typ, func(t *testing.T) { refusesConfig(t, "TokenTypes", listed("JWT", typ)) })
	}
	for _, typ := range []string{"application/", "jwt;x=y", " JWT", "jwt\n"} {
		t.Run("AP-02/no_such_type_"+typ, func(t *testing.T) { refusesConfig(t, "TokenTypes", listed(typ)) })
	}
	t.Run("AP-02/only_the_named_issuer", func(t *testing.T) {
		relaxed := newVerifier(t, legacy, func(cfg *verifier.Config) { cfg.Issuer = "https://old.example.com" })
		both := ok(verifier.Join(newVerifier(t), relaxed))
		tok, err := verifyTwice(t, both, token(object{"typ": "JWT"}, object{"iss": "https://old.example.com"}))
		wantAccepted(t, tok, err)
		tok, err = verifyTwice(t, both, typToken("JWT"))
		wantClass(t, tok, err, verifier.ErrTokenType)
	})
}

func TestMarks(t *testing.T) {
	marked := func(name string, v any) string { return token(object{"typ": "JWT"}, object{name: v}) }
	var rows []verdict
	for _, name := range []string{
		"nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection", "status_list", "htm", "htu",
	} {
		for kind, v := range map[string]any{"text": "x", "null": raw("null"), "object": object{"x": 1}, "empty": ""} {
			rows = append(rows, verdict{"JV-32/" + name + "_" + kind, marked(name, v), verifier.ErrTokenType})
		}
		rows = append(rows,
			verdict{"JV-32/nested_" + name, marked("x", object{name: "x"}), nil},
			verdict{"JV-32/upper_case_" + name, marked(strings.ToUpper(name), "x"), nil})
	}
	for _, v := range []any{"id", "refresh", "Access", "access ", "", raw("null"), 1, []string{"access"}} {
		rows = append(rows, verdict{fmt.Sprintf("JV-32/token_use_other_%v", v), marked("token_use", v), verifier.ErrTokenType})
	}
	for _, v := range []string{"ID", "id", "Id", "Refresh", "REFRESH", "refresh", "Offline", "offline", "Logout", "logOUT"} {
		rows = append(rows, verdict{"JV-32/claim_typ_" + v, marked("typ", v), verifier.ErrTokenType})
	}
	for _, v := range []any{"Bearer", "", "IDs", 5, raw("null")} {
		rows = append(rows, verdict{fmt.Sprintf("JV-32/claim_typ_of_no_kind_%v", v), marked("typ", v), nil})
	}
	idToken := object{"client_id": nil, "jti": nil, "scope": nil, "azp": "client-1", "auth_time": 1, "sid": "s"}
	rows = append(rows,
		verdict{"JV-32/token_use_access", marked("token_use", "access"), nil},
		verdict{"JV-32/D30_id_token", token(object{"typ": "JWT"}, idToken.edit(object{"nonce": "n", "at_hash": "h"})), verifier.ErrTokenType},
		verdict{"JV-32/D30_id_token_by_token_use", token(object{"typ": "JWT"}, idToken.edit(object{"token_use": "id"})), verifier.ErrTokenType},
		verdict{"JV-32/D30_id_token_by_claim_typ", token(object{"typ": "JWT"}, idToken.edit(object{"typ": "ID"})), verifier.ErrTokenType},
		verdict{"JV-32/D30_id_token_of_a_client", token(object{"typ": "JWT"}, object{"aud": "client-1"}), verifier.ErrAudience},
		verdict{"JV-32/D31_refresh_token", token(object{"typ": "JWT"}, object{"typ": "Refresh"}), verifier.ErrTokenType},
		verdict{"JV-32/security_event", token(object{"typ": nil}, object{"events": object{}}), verifier.ErrTokenType},
		verdict{"JV-32/J20_introspection_answer", token(object{"typ": "JWT"}, object{"token_introspection": object{"active": true}}), verifier.ErrTokenType},
		verdict{"JV-32/dpop_proof", sign(rsaOne(), "RS256", goodHeader().edit(object{"typ": "dpop+jwt"}).String(), `{"jti":"x","htm":"GET","htu":"https://api","iat":1}`), verifier.ErrMissingClaim},
		verdict{"JV-32/expired_id_token", token(object{"typ": "JWT"}, object{"nonce": "n", "exp": 1, "aud": "x"}), verifier.ErrTokenType})
	judge(t, newVerifier(t, legacy), rows)

	judge(t, newVerifier(t, legacy, func(cfg *verifier.Config) { cfg.AllowedMarks = []string{"nonce"} }), []verdict{
		{"JV-32/nonce_taken_off", marked("nonce", "n"), nil},
		{"JV-32/others_stay", marked("at_hash", "h"), verifier.ErrTokenType},
	})
	t.Run("JV-32/no_such_mark", func(t *testing.T) {
		refusesConfig(t, "AllowedMarks", legacy, func(cfg *verifier.Config) { cfg.AllowedMarks = []string{"iss"} })
	})
	judge(t, newVerifier(t), []verdict{{"JV-32/strict_typ_needs_no_marks", token(nil, object{"nonce": "n", "typ": "ID"}), nil}})
}

func TestRequiredClaims(t *testing.T) {
	for _, name := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} {
		lacking := token(nil, object{name: nil})
		judge(t, newVerifier(t), []verdict{{"AP-03/D32_" + name, lacking, verifier.ErrMissingClaim}})
		only := func(cfg *verifier.Config) { cfg.OptionalClaims = []string{name} }
		switch name {
		case "iss", "exp", "aud":
			t.Run("AP-04/"+name+"_cannot_be_optional", func(t *testing.T) { refusesConfig(t, "OptionalClaims", only) })
			judge(t, newVerifier(t, legacy), []verdict{{"AP-04/" + name + "_under_ProfileJWT", lacking, verifier.ErrMissingClaim}})
			continue
		}
		v := newVerifier(t, only)
		judge(t, v, []verdict{{"AP-04/" + name + "_optional", lacking, nil}})
		judge(t, newVerifier(t, legacy), []verdict{{"AP-04/" + name + "_under_ProfileJWT", lacking, nil}})
		for _, other := range []string{"sub", "client_id", "iat", "jti"} {
			if other != name {
				judge(t, v, []verdict{{"AP-04/" + other + "_stays_required_beside_" + name, token(nil, object{other: nil}), verifier.ErrMissingClaim}})
			}
		}
	}
	for setting, edit := range map[string]func(*verifier.Config){
		"Clients":            func(cfg *verifier.Config) { cfg.Clients = []string{"client-1"} },
		"UnsafeSkipAudience": func(cfg *verifier.Config) { cfg.UnsafeSkipAudience = true },
	} {
		t.Run("AP-04/aud_under_RFC9068_"+setting, func(t *testing.T) {
			refusesConfig(t, setting, edit, func(cfg *verifier.Config) { cfg.Audience = nil })
		})
	}
}

func TestProfile(t *testing.T) {
	t.Run("AP-05/RS256_2048", func(t *testing.T) {
		if bits := rsaOne().N.BitLen(); bits != 2048 {
			t.Fatalf("the key has %d bits", bits)
		}
		tok, err := verifyTwice(t, newVerifier(t), token(nil, nil))
		wantAccepted(t, tok, err)
	})
	t.Run("AP-06/keys_of_the_issuer_only", func(t *testing.T) {
		own := jwk(rsaTwo(), object{"kid": "two"})
		keys := keysOne()
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.Keys = keys })
		tok, err := verifyTwice(t, v, forger(object{"kid": "two", "jwk": own}))
		wantClass(t, tok, err, verifier.ErrUnknownKey)
		keys.set(jwks(jwk(rsaOne(), object{"kid": "one"}), own))
		tok, err = verifyTwice(t, v, forger(object{"kid": "two", "jwk": own}))
		wantAccepted(t, tok, err)
	})
	for name, raw := range map[string]string{
		"typ": typToken("JWT"), "iss": token(nil, object{"iss": "x"}), "aud": token(nil, object{"aud": "x"}),
		"signature": forger(nil), "algorithm": token(object{"alg": "none"}, nil), "exp": token(nil, object{"exp": 1}),
		"encryption": token(nil, nil) + ".AA.AA", "key": token(object{"kid": "x"}, nil), "claim": token(nil, object{"jti": nil}),
	} {
		t.Run("AP-07/"+name, func(t *testing.T) {
			tok, err := verifyTwice(t, newVerifier(t), raw)
			if tok != nil || !errors.Is(err, verifier.ErrInvalidToken) {
				t.Errorf("%v, %v", tok, err)
			}
		})
	}
}

func TestDescriptiveClaims(t *testing.T) {
	verify := func(t *testing.T, claims object) *verifier.Token {
		tok, err := verifyTwice(t, newVerifier(t), token(nil, claims))
		wantAccepted(t, tok, err)
		return tok
	}
	t.Run("AP-08/typed_fields", func(t *testing.T) {
		tok := verify(t, object{"acr": "urn:loa:2", "amr": []string{"pwd", "otp"}, "auth_time": raw("1767355200.5")})
		if tok.ACR != "urn:loa:2" || !slices.Equal(tok.AMR, []string{"pwd", "otp"}) || tok.AuthTime.UnixMilli() != 1767355200500 {
			t.Errorf("%q %q %v", tok.ACR, tok.AMR, tok.AuthTime)
		}
	})
	wrong := map[string]any{
		"null": raw("null"), "true": true, "false": false, "empty": "", "zero": 0, "negative": -1, "list": []any{}, "object": object{},
		"list_of_numbers": []int{1}, "mixed_list": []any{"a", 1}, "list_with_null": []any{"a", nil}, "huge": raw("1e300"), "number": 3,
		"iso_8601": "2026-01-02T12:00:00Z", "object_without_value": []any{object{"x": "a"}}, "value_not_text": []any{object{"value": 1}},
		"mixed_objects": []any{object{"value": "a"}, object{}}, "nested": []any{[]any{"a"}},
	}
	for kind, v := range wrong {
		t.Run("AP-08/D58_"+kind, func(t *testing.T) {
			tok := verify(t, object{"acr": v, "amr": v, "auth_time": v, "roles": v, "groups": v, "entitlements": v})
			text, isText := v.(string)
			if isText && tok.ACR != text || !isText && tok.ACR != "" {
				t.Errorf("acr %q", tok.ACR)
			}
			if number := kind == "zero" || kind == "number"; tok.AuthTime.IsZero() == number {
				t.Errorf("auth_time %v", tok.AuthTime)
			}
			if len(tok.AMR)+len(tok.Roles)+len(tok.Groups)+len(tok.Entitlements) != 0 {
				t.Errorf("amr %q roles %q groups %q entitlements %q", tok.AMR, tok.Roles, tok.Groups, tok.Entitlements)
			}
		})
	}
	t.Run("AP-08/string_is_no_list", func(t *testing.T) {
		tok := verify(t, object{"amr": "pwd", "roles": "admin", "groups": "a b", "entitlements": "x"})
		if tok.AMR != nil || tok.Roles != nil || tok.Groups != nil || tok.Entitlements != nil {
			t.Errorf("%q %q %q %q", tok.AMR, tok.Roles, tok.Groups, tok.Entitlements)
		}
	})
	for encoding, v := range map[string]any{
		"strings": []string{"admin", "reader"},
		"objects": []object{{"value": "admin", "display": "x"}, {"value": "reader", "primary": true}},
		"mixed":   []any{"admin", object{"value": "reader"}},
	} {
		for name, of := range map[string]func(*verifier.Token) []string{
			"roles":        func(t *verifier.Token) []string { return t.Roles },
			"groups":       func(t *verifier.Token) []string { return t.Groups },
			"entitlements": func(t *verifier.Token) []string { return t.Entitlements },
		} {
			t.Run("AP-09/"+name+"_"+encoding, func(t *testing.T) {
				tok := verify(t, object{name: v})
				if got := of(tok); !reflect.DeepEqual(got, []string{"admin", "reader"}) {
					t.Errorf("%q", got)
				}
				if total := len(tok.Roles) + len(tok.Groups) + len(tok.Entitlements); total != 2 || tok.HasScope("admin") {
					t.Errorf("%s reached another field, or a scope", name)
				}
			})
		}
	}
}

func TestIdentityIsNotLogged(t *testing.T) {
	secret := object{
		"sub": "sub-canary", "jti": "jti-canary", "client_id": "client-canary", "email": "mail-canary", "name": "name-canary",
		"scope": "scope-canary", "acr": "acr-canary", "roles": []string{"role-canary"}, "act": object{"sub": "act-canary"},
	}
	for name, raw := range map[string]string{
		"accepted": token(nil, secret), "audience": token(nil, secret.edit(object{"aud": "aud-canary"})),
		"issuer":  token(nil, secret.edit(object{"iss": "iss-canary"})),
		"expired": token(nil, secret.edit(object{"exp": 1})), "unknown_key": token(object{"kid": "kid-canary"}, secret),
		"scope": token(nil, secret.edit(object{"scope": "bad\tcanary"})),
	} {
		t.Run("AP-12/"+name, func(t *testing.T) {
			var log bytes.Buffer
			hook := verifier.LogEvents(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
			v := newVerifier(t, func(cfg *verifier.Config) { cfg.OnEvent = hook })
			_, _ = v.Verify(t.Context(), raw)
			if log.Len() == 0 || strings.Contains(log.String(), "canary") {
				t.Errorf("the log has %q", log.String())
			}
		})
	}
}

// ofIssuer is a source that discovered its keys from this issuer.
type ofIssuer struct {
	*source
	name string
}

func (s ofIssuer) Issuer() string { return s.name }

func TestIssuerIdentifier(t *testing.T) {
	named := func(name string) func(*verifier.Config) { return func(cfg *verifier.Config) { cfg.Issuer = name } }
	for name, issuer := range map[string]string{
		"empty": "", "http": "http://id.example.com", "no_scheme": "id.example.com", "query": "https://id.example.com/?a=b",
		"empty_query": "https://id.example.com?", "fragment": "https://id.example.com#x", "empty_fragment": "https://id.example.com#",
		"userinfo": "https://user@id.example.com", "password": "https://u:p@id.example.com", "no_host": "https:///x", "only_port": "https://:443",
		"urn": "urn:example:issuer", "ftp": "ftp://id.example.com", "opaque": "https:id.example.com", "blank": " ", "control": "https://id.example.com/\n",
		"legacy": "http://legacy.example/legacy/services/trust",
	} {
		t.Run("MD-01/refused_under_RFC9068_"+name, func(t *testing.T) { refusesConfig(t, "Issuer", named(issuer)) })
	}
	for _, issuer := range []string{
		"https://id.example.com", "https://id.example.com/", "https://id.example.com/a/b", "https://id.example.com:8443", "https://[::1]:8443/x",
	} {
		v := newVerifier(t, named(issuer))
		judge(t, v, []verdict{{"MD-01/accepted_" + issuer, token(nil, object{"iss": issuer}), nil}})
	}
	for _, issuer := range []string{"http://legacy.example/legacy/services/trust", "accounts.example.com", "urn:x", " "} {
		v := newVerifier(t, legacy, named(issuer))
		judge(t, v, []verdict{{"MD-01/ProfileJWT_compares_only_" + issuer, token(nil, object{"iss": issuer}), nil}})
	}
	t.Run("MD-01/ProfileJWT_needs_an_issuer", func(t *testing.T) { refusesConfig(t, "Issuer", legacy, named("")) })
	t.Run("MD-01/source_that_allowed_http", func(t *testing.T) {
		const issuer = "http://localhost:8080"
		newVerifier(t, named(issuer), func(cfg *verifier.Config) { cfg.Keys = ofIssuer{keysOne(), issuer} })
		refusesConfig(t, "Issuer", named(issuer), func(cfg *verifier.Config) { cfg.Keys = ofIssuer{keysOne(), ""} })
	})
	t.Run("MD-01/source_of_another_issuer", func(t *testing.T) {
		refusesConfig(t, "Keys", func(cfg *verifier.Config) { cfg.Keys = ofIssuer{keysOne(), issuerURL + "/"} })
	})
	for name, issuer := range map[string]string{
		"tenant": "https://as.example/{tenant}", "tenantid": "https://login.example/{tenantid}/v2.0", "host": "https://{tenant}.as.example", "open": "https://as.example/{",
	} {
		t.Run("MD-15/template_"+name, func(t *testing.T) { refusesConfig(t, "Issuer", named(issuer)) })
		t.Run("MD-15/template_ProfileJWT_"+name, func(t *testing.T) { refusesConfig(t, "Issuer", legacy, named(issuer)) })
	}
	judge(t, newVerifier(t, named("https://as.example/*")), []verdict{
		{"MD-15/no_wildcard", token(nil, object{"iss": "https://as.example/a"}), verifier.ErrIssuer},
	})
}
