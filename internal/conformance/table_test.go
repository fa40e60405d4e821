// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/challenge"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// ruleFunc is a rule that is only a function.
type ruleFunc func(*verifier.Token) error

func (f ruleFunc) Check(tok *verifier.Token) error { return f(tok) }

// newApp makes the API of the examples in section 30: realm orders, rule orders:read.
func newApp(t testing.TB) *app {
	a := &app{as: oauthtest.NewServer(t), down: oauthtest.NewServer(t), log: new(logged)}
	a.down.SetOutage(true)
	config := func(as *oauthtest.Server) verifier.Config {
		cfg := as.VerifierConfig(api)
		cfg.OnEvent = a.log.hook
		return cfg
	}
	v := spoken{newVerifier(t, config(a.as)), map[string]error{
		"is-inactive": verifier.ErrInactive, "is-revoked": verifier.ErrRevoked, "is-suspended": verifier.ErrSuspended,
		"keys-unavailable": verifier.ErrKeysUnavailable, "request-too-large": verifier.ErrRequestTooLarge,
		"unclassified": errors.New("unclassified"),
	}}
	guarded := func(edit func(*middleware.Config)) *middleware.Guard {
		cfg := middleware.Config{Verifier: v, Realm: "orders", OnEvent: a.log.hook}
		edit(&cfg)
		return newGuard(t, cfg)
	}
	plain := guarded(func(*middleware.Config) {})
	read, write := scopes.All("orders:read"), scopes.All("orders:write")
	preflight := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(http.StatusNoContent)
	})
	handlerRule := func(w http.ResponseWriter, r *http.Request) {
		tok, _ := middleware.TokenFrom(r.Context())
		if err := tok.Require(read); err != nil {
			middleware.Deny(w, r, err)
			return
		}
		a.protected(w, r)
	}
	add := func(path string, h http.HandlerFunc, guards ...guard) {
		a.routes = append(a.routes, route{path, guards, h})
	}
	add("/orders", a.protected, behind(plain, read))
	add("/bare", a.protected, behind(guarded(func(c *middleware.Config) { c.Realm = "" })))
	add("/optional", a.protected, guard{g: plain, optional: true})
	add("/optional-group", a.protected, guard{g: plain, optional: true}, behind(plain, read))
	add("/nested", a.protected, behind(plain), behind(plain, read))
	add("/outer-scope", a.protected, behind(plain, read), behind(plain, write))
	add("/handler", handlerRule, behind(plain))
	add("/open", handlerRule)
	add("/forbidding", a.protected, behind(plain, ruleFunc(func(*verifier.Token) error { return errors.New("not yours") })))
	add("/panicking", a.protected, behind(plain, ruleFunc(func(*verifier.Token) error { panic("rule") })))
	add("/preflight", a.protected, behind(guarded(func(c *middleware.Config) { c.Preflight = preflight }), read))
	add("/tls", a.protected, behind(guarded(func(c *middleware.Config) { c.RequireTLS = true }), read))
	add("/zero", a.protected, behind(new(middleware.Guard), read))
	add("/nil", a.protected, behind(nil, read))
	add("/down", a.protected, behind(newGuard(t, middleware.Config{Verifier: newVerifier(t, config(a.down)), Realm: "orders", OnEvent: a.log.hook})))
	add("/problem", a.protected, behind(guarded(func(c *middleware.Config) { c.Body = middleware.ProblemJSON }), read))
	return a
}

// row is one request and the answer that every framework must give.
type row struct {
	name   string
	path   string // "/orders" if empty
	method string // GET, and HEAD as well, if empty
	lines  []string
	want   string // a golden file, or "200 " and the body
}

func rows(a *app) []row {
	bearer := func(token string) []string { return []string{"Authorization: Bearer " + token} }
	token := func(edits ...oauthtest.Edit) []string {
		return bearer(a.as.Token(append([]oauthtest.Edit{oauthtest.Scope("orders:read")}, edits...)...))
	}
	good := token()
	goodToken := strings.TrimPrefix(good[0], "Authorization: Bearer ")
	auth := func(values ...string) (lines []string) {
		for _, v := range values {
			lines = append(lines, "Authorization: "+v)
		}
		return lines
	}
	preflight := []string{"Origin: https://app.example", "Access-Control-Request-Method: GET"}
	thumbprint := strings.Repeat("A", 43)
	const pass = "200 user-1"
	return []row{
		// Positive controls: a table that never passes proves nothing.
		{"BT-01/good_token", "", "", good, pass},
		{"BT-02/A5_any_case", "", "", auth("bEaReR " + goodToken), pass},
		{"BT-02/A15_header_name_in_any_case", "", "", []string{"aUTHORIZATION: Bearer " + goodToken}, pass},
		{"BT-03/A6_several_spaces", "", "", auth("Bearer    " + goodToken), pass},
		{"BT-03/A18_folded_after_the_scheme", "", "", auth("Bearer\r\n " + goodToken), pass},
		{"BT-01/A39_named_hop_by_hop", "", "", append([]string{"Connection: close, Authorization"}, good...), pass},
		{"BT-25/DPoP_header_beside_Bearer", "", "", append([]string{"DPoP: a", "DPoP: b"}, good...), pass},
		{"BT-09/A25_query_beside_header", "/orders?access_token=x", "", good, pass},
		{"K19/same_guard_twice", "/nested", "", good, pass},
		{"HT-12/K14_anonymous", "/optional", "", nil, "200 anonymous"},
		{"HT-12/token_on_an_optional_route", "/optional", "", good, pass},
		{"HT-03/OPTIONS_with_token", "", "OPTIONS", good, pass},
		{"A45/TRACE_with_token", "", "TRACE", good, pass},

		{"WA-01/A1_no_credentials", "", "", nil, "W-01"},
		{"WA-01/A2_empty", "", "", auth(""), "W-01"},
		{"WA-01/BT-22_blank", "", "", auth(" \t"), "W-01"},
		{"WA-01/A4_Basic", "", "", auth("Basic dXNlcjpwYXNz"), "W-01"},
		{"WA-01/A4_Digest", "", "", auth(`Digest username="a", realm="b"`), "W-01"},
		{"WA-01/A4_Negotiate", "", "", auth("Negotiate YII="), "W-01"},
		{"WA-01/DPoP_is_not_enabled", "", "", auth("DPoP " + goodToken), "W-01"},
		{"WA-01/A8_no_blank", "", "", auth("Bearer" + goodToken), "W-01"},
		{"WA-01/A8_colon", "", "", auth("Bearer:" + goodToken), "W-01"},
		{"WA-01/A8_equals", "", "", auth("Bearer=" + goodToken), "W-01"},
		{"BT-09/A24_query_token", "/orders?access_token=" + goodToken, "", nil, "W-01"},
		{"BT-17/A35_cookie", "", "", []string{"Cookie: access_token=" + goodToken}, "W-01"},
		{"BT-18/A16_Proxy-Authorization", "", "", []string{"Proxy-Authorization: Bearer " + goodToken}, "W-01"},
		{"BT-18/A16_X-Forwarded-Authorization", "", "", []string{"X-Forwarded-Authorization: Bearer " + goodToken}, "W-01"},
		{"BT-24/DPoP_header_alone", "", "", []string{"DPoP: " + goodToken}, "W-01"},
		{"HT-03/OPTIONS_without_token", "", "OPTIONS", nil, "W-01"},
		{"HT-12/K16_optional_group_around_a_rule", "/optional-group", "", nil, "W-01"},
		{"WA-30/A43_preflight_not_handed_over", "", "OPTIONS", preflight, "W-01"},
		{"WA-30/A44_disguised_as_preflight", "/preflight", "POST", preflight, "W-01"},
		{"A45/TRACE", "", "TRACE", nil, "W-01"},
		{"WA-32/nothing_configured", "/bare", "", nil, "W-32"},

		{"WA-04/A3_scheme_alone", "", "", auth("Bearer"), "W-04"},
		{"WA-04/A3_scheme_and_blank", "", "", auth("Bearer "), "W-04"},
		{"WA-04/A7_tab", "", "", auth("Bearer\t" + goodToken), "W-04"},
		{"WA-04/A9_extra_word", "", "", auth("Bearer " + goodToken + " extra"), "W-04"},
		{"WA-04/A10_two_tokens", "", "", auth("Bearer " + goodToken + ", Bearer " + goodToken), "W-04"},
		{"WA-04/A10_comma", "", "", auth("Bearer a,b"), "W-04"},
		{"WA-04/A11_quoted", "", "", auth(`Bearer "` + goodToken + `"`), "W-04"},
		{"WA-04/A11_parameter", "", "", auth("Bearer access_token=" + goodToken), "W-04"},
		{"WA-04/A11_token_parameter", "", "", auth("Bearer token=" + goodToken), "W-04"},
		{"WA-04/B11_padding_before_the_end", "", "", auth("Bearer " + strings.Replace(goodToken, ".", "=.", 1)), "W-04"},
		{"WA-04/A18_folded_inside_the_token", "", "", auth("Bearer " + goodToken[:9] + "\r\n " + goodToken[9:]), "W-04"},
		{"WA-04/A19_high_bytes", "", "", auth("Bearer " + goodToken + "\x80\xff"), "W-04"},
		{"WA-04/A21_percent_encoded_dot", "", "", auth("Bearer " + strings.Replace(goodToken, ".", "%2E", 1)), "W-04"},
		{"WA-04/A23_JavaScript_object", "", "", auth("Bearer [object Object]"), "W-04"},
		{"WA-04/B9_JSON_serialization", "", "", auth(`Bearer {"payload":"x"}`), "W-04"},
		{"WA-04/optional_route", "/optional-group", "", auth("Bearer a b"), "W-04"},

		{"BT-05/A12_equal_lines", "", "", append(good, good...), "BT-05"},
		{"BT-05/A13_good_then_bad", "", "", auth("Bearer "+goodToken, "Bearer x"), "BT-05"},
		{"BT-05/A13_bad_then_good", "", "", auth("Bearer x", "Bearer "+goodToken), "BT-05"},
		{"BT-05/A13_Basic_then_Bearer", "", "", auth("Basic eDp5", "Bearer "+goodToken), "BT-05"},
		{"BT-05/A13_Bearer_then_DPoP", "", "", auth("Bearer "+goodToken, "DPoP "+goodToken), "BT-05"},
		{"BT-05/empty_second_line", "", "", auth("Bearer "+goodToken, ""), "BT-05"},

		{"WA-07/A22_null", "", "", bearer("null"), "W-07"},
		{"WA-07/A22_undefined", "", "", bearer("undefined"), "W-07"},
		{"WA-07/B11_padding_at_the_end", "", "", bearer(goodToken + "="), "W-07"},
		{"WA-07/B4_five_segments", "", "", bearer(goodToken + ".AA.AA"), "W-07"},
		{"WA-07/A22_zero", "", "", bearer("0"), "W-07"},
		{"WA-07/B34_opaque", "", "", bearer("4f6c2e81-0d0b-4f0e-9b34-3a1f9a3a2b10"), "W-07"},
		{"WA-07/A37_one_byte_too_long", "", "", bearer(strings.Repeat("a", 16385)), "W-07"},
		{"WA-07/A38_900_KB", "", "", bearer(strings.Repeat("a.", 450_000)), "W-07"},
		{"CH-14/outer_guard_knows_no_inner_rule", "/optional-group", "", bearer("null"), "CH-14-malformed"},

		{"WA-08/signature", "", "", token(oauthtest.Forged()), "W-08"},
		{"WA-08/key", "", "", token(oauthtest.Header("kid", "unknown")), "W-08"},
		{"WA-08/issuer", "", "", token(oauthtest.Claim("iss", "https://issuer.test/")), "W-08"},
		{"WA-08/audience", "", "", token(oauthtest.Audience("https://api.orders.example")), "W-08"},
		{"WA-08/type", "", "", token(oauthtest.Type("JWT")), "W-08"},
		{"WA-08/algorithm", "", "", token(oauthtest.Header("alg", "HS256")), "W-08"},
		{"WA-08/missing_claim", "", "", token(oauthtest.NoClaim("jti")), "W-08"},
		{"WA-08/invalid_claim", "", "", token(oauthtest.Claim("scope", []string{"orders:read"})), "W-08"},
		{"WA-09/expired", "", "", token(oauthtest.ExpiresIn(-time.Minute)), "W-09"},
		{"WA-09/not_yet_valid", "", "", token(oauthtest.Claim("nbf", time.Now().Add(time.Hour).Unix())), "W-09-not-yet-valid"},
		{"HT-12/expired_is_not_anonymous", "/optional", "", token(oauthtest.ExpiresIn(-time.Minute)), "CH-14-expired"},
		{"ER-12/inactive", "", "", bearer("is-inactive"), "W-11"},
		{"ER-12/revoked", "", "", bearer("is-revoked"), "W-11"},
		{"ER-12/suspended", "", "", bearer("is-suspended"), "W-11"},
		{"WA-12/bound_to_a_key", "", "", token(oauthtest.Claim("cnf", map[string]any{"jkt": thumbprint})), "W-12"},
		{"WA-12/bound_to_a_certificate", "", "", token(oauthtest.Claim("cnf", map[string]any{"x5t#S256": thumbprint})), "W-12"},
		{"WA-12/SB-03_not_understood", "", "", token(oauthtest.Claim("cnf", map[string]any{"kid": "x"})), "W-12"},
		{"WA-12/SB-07_malformed_thumbprint", "", "", token(oauthtest.Claim("cnf", map[string]any{"jkt": thumbprint + "="})), "W-12"},
		{"WA-12/bound_and_a_stray_proof", "", "", append(token(oauthtest.Claim("cnf", map[string]any{"jkt": thumbprint})), "DPoP: a.b.c"), "W-12"},

		{"WA-10/no_scope", "", "", token(oauthtest.Scope()), "W-10"},
		{"WA-10/SC-08_no_scope_claim", "", "", token(oauthtest.NoClaim("scope")), "W-10"},
		{"WA-10/SC-01_other_case", "", "", token(oauthtest.Scope("Orders:Read")), "W-10"},
		{"WA-10/SC-05_prefix", "", "", token(oauthtest.Scope("orders")), "W-10"},
		{"WA-10/nested", "/nested", "", token(oauthtest.Scope()), "W-10"},
		{"WA-10/outer_rule_fails_first", "/outer-scope", "", token(oauthtest.Scope("orders:write")), "W-10"},
		{"WA-10/GO-10_refused_by_the_handler", "/handler", "", token(oauthtest.Scope()), "W-10"},
		{"CH-13/outer_and_inner_scopes", "/outer-scope", "", good, "CH-13"},
		{"WA-26/rule_says_no", "/forbidding", "", good, "WA-26"},
		{"SE-17/no_TLS", "/tls", "", good, "WA-26"},
		{"SE-17/no_TLS_no_token", "/tls", "", nil, "WA-26"},
		{"WA-27/keys_unavailable", "", "", bearer("keys-unavailable"), "WA-27"},
		{"ER-21/request_too_large", "", "", bearer("request-too-large"), "ER-21"},
		{"ER-22/zero_Guard", "/zero", "", good, "ER-23"},
		{"ER-22/nil_Guard", "/nil", "", good, "ER-23"},
		{"ER-22/K17_no_guard_before_the_rule", "/open", "", good, "ER-23"},
		{"ER-23/panicking_rule", "/panicking", "", good, "ER-23"},
		{"ER-23/unclassified_error", "", "", bearer("unclassified"), "ER-23"},
		{"HT-09/problem_details", "/problem", "", token(oauthtest.Scope()), "HT-09"},
		{"HT-09/no_error_code", "/problem", "", nil, "HT-09-no-code"},
		{"EO-04/malformed_while_keys_are_down", "/down", "", bearer("a.b"), "CH-14-malformed"},
	}
}

func TestTable(t *testing.T) {
	a := newApp(t)
	table := rows(a)
	servers := map[string]*server{}
	for _, f := range frameworks {
		servers[f.name] = serve(t, f.build(a.routes))
	}
	for _, r := range table {
		if r.path == "" {
			r.path = "/orders"
		}
		methods := []string{r.method}
		if r.method == "" {
			methods = []string{"GET", "HEAD", "POST"}
		}
		t.Run(r.name, func(t *testing.T) {
			expected := want(t, r.want)
			for _, f := range frameworks {
				for _, method := range methods {
					a.ran.Store(0)
					got := servers[f.name].send(method, r.path, r.lines...)
					want := expected
					if method == "HEAD" {
						want, _, _ = strings.Cut(expected, "\n\n")
						want = strings.TrimSuffix(want, "\n") + "\n"
					}
					if got != want {
						t.Errorf("%s, %s\ngot\n%s\nwant\n%s", f.name, method, got, want)
					}
					if passed := strings.HasPrefix(r.want, "200 "); passed != (a.ran.Load() == 1) {
						t.Errorf("%s, %s: the handler ran %d times", f.name, method, a.ran.Load())
					}
					parseChallenges(t, got)
				}
			}
		})
	}
	t.Run("EO-04/no_fetch_for_a_malformed_token", func(t *testing.T) {
		if n := a.down.Fetches(); n != 0 {
			t.Errorf("%d fetches", n)
		}
	})
}

// TestGoldenForms compares the golden files with section 30 of the requirements, so
// that the table cannot drift away from it.
func TestGoldenForms(t *testing.T) {
	text, err := os.ReadFile("../../docs/requirements.md")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`(?m)^(W-\d\d)  (HTTP/1\.1 .*)\n +WWW-Authenticate: (Bearer .*)$`)
	forms := map[string]string{}
	for _, m := range form.FindAllStringSubmatch(string(text), -1) {
		forms[m[1]] = m[2] + "\nCache-Control: no-store\nWww-Authenticate: " + strings.TrimSuffix(m[3], ", RM") + "\n"
	}
	for _, name := range []string{"W-01", "W-04", "W-07", "W-08", "W-09", "W-10", "W-11", "W-12", "W-32"} {
		t.Run("CH-12/"+name+"_is_the_form_of_section_30", func(t *testing.T) {
			if got := want(t, name); got != forms[name] {
				t.Errorf("golden file\n%s\nsection 30\n%s", got, forms[name])
			}
		})
	}
	t.Run("CH-12/W-09_not_yet_valid_has_its_own_text", func(t *testing.T) {
		later := strings.Replace(forms["W-09"], "has expired", "is not yet valid", 1)
		if got := want(t, "W-09-not-yet-valid"); got != later {
			t.Errorf("golden file\n%s\nsection 30\n%s", got, later)
		}
	})
}

// parseChallenges reads every challenge of an answer with a strict parser.
func parseChallenges(t testing.TB, answer string) {
	t.Helper()
	for line := range strings.Lines(answer) {
		value, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "Www-Authenticate: ")
		if !ok {
			continue
		}
		list, err := challenge.Parse(value)
		if err != nil || len(list) != 1 || list[0].String() != value {
			t.Errorf("%s: read as %v, %v", value, list, err)
		}
	}
}

// TestHTTP2 repeats the rows whose answer depends on field lines.
func TestHTTP2(t *testing.T) {
	a := newApp(t)
	good := "Bearer " + a.as.Token(oauthtest.Scope("orders:read"))
	for _, tc := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"BT-01/good_token", []string{good}, "200 user-1"},
		{"WA-01/no_credentials", nil, "W-01"},
		{"WA-04/malformed", []string{"Bearer a b"}, "W-04"},
		{"WA-07/malformed_token", []string{"Bearer x"}, "W-07"},
		{"WA-10/no_scope", []string{"Bearer " + a.as.Token()}, "W-10"},
		{"WA-27/keys_unavailable", []string{"Bearer keys-unavailable"}, "WA-27"},
		{"BT-05/A14_equal_lines", []string{good, good}, "BT-05"},
		{"BT-05/A14_good_then_bad", []string{good, "Bearer x"}, "BT-05"},
		{"BT-05/A14_Basic_then_Bearer", []string{"Basic eDp5", good}, "BT-05"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, f := range frameworks {
				s := serve(t, f.build(a.routes))
				got := s.send2("GET", "/orders", http.Header{"Authorization": tc.lines})
				if got != want(t, tc.want) {
					t.Errorf("%s\ngot\n%s\nwant\n%s", f.name, got, want(t, tc.want))
				}
				if head := s.send2("HEAD", "/orders", http.Header{"Authorization": tc.lines}); !strings.HasPrefix(got, strings.TrimSuffix(head, "\n")) {
					t.Errorf("%s: HEAD differs:\n%s", f.name, head)
				}
			}
		})
	}
}

// TestCanaries: nothing that a token holds comes back, and tokens that fail for
// one reason get the same answer, whatever is in them.
func TestCanaries(t *testing.T) {
	a := newApp(t)
	canary := func(n int) string { return fmt.Sprintf("canary-%08d-Zq8vT2mK5xWc4rYb", n) }
	reasons := []struct {
		name string
		want string
		edit func(canary string) oauthtest.Edit
	}{
		{"kid", "W-08", func(c string) oauthtest.Edit { return oauthtest.Header("kid", c) }},
		{"alg", "W-08", func(c string) oauthtest.Edit { return oauthtest.Header("alg", c) }},
		{"typ", "W-08", func(c string) oauthtest.Edit { return oauthtest.Type(c) }},
		{"crit", "W-07", func(c string) oauthtest.Edit { return oauthtest.Header("crit", []string{c}) }},
		{"iss", "W-08", func(c string) oauthtest.Edit { return oauthtest.Claim("iss", "https://"+c) }},
		{"aud", "W-08", func(c string) oauthtest.Edit { return oauthtest.Audience(c) }},
		{"sub", "W-08", func(c string) oauthtest.Edit { return oauthtest.Claim("sub", []string{c}) }},
		{"exp", "W-08", func(c string) oauthtest.Edit { return oauthtest.Claim("exp", c) }},
		{"scope_character", "W-08", func(c string) oauthtest.Edit { return oauthtest.Claim("scope", c+`"`) }},
		{"scope", "W-10", func(c string) oauthtest.Edit { return oauthtest.Scope(c) }},
		{"cnf", "W-12", func(c string) oauthtest.Edit { return oauthtest.Claim("cnf", map[string]any{"jkt": c}) }},
		{"signature", "W-08", func(string) oauthtest.Edit { return oauthtest.Forged() }},
	}
	for _, f := range frameworks {
		s := serve(t, f.build(a.routes))
		for _, r := range reasons {
			t.Run("CH-15/"+f.name+"_"+r.name, func(t *testing.T) {
				for n := range 3 {
					tok := a.as.Token(oauthtest.Claim("note", canary(n)), r.edit(canary(n)))
					if got := s.send("GET", "/orders", "Authorization: Bearer "+tok); got != want(t, r.want) {
						t.Errorf("got\n%s\nwant\n%s", got, want(t, r.want))
					}
					if log := a.log.String(); strings.Contains(log, canary(n)) || strings.Contains(log, tok[len(tok)-40:]) {
						t.Fatalf("SE-02: an event holds part of the token:\n%s", log)
					}
				}
			})
		}
	}
	if a.log.String() == "" {
		t.Error("no events were collected")
	}
}

// TestOneText: which of five checks failed is not for the client to know.
func TestOneText(t *testing.T) {
	a := newApp(t)
	read := oauthtest.Scope("orders:read")
	tokens := []string{
		a.as.Token(read, oauthtest.Forged()), a.as.Token(read, oauthtest.Header("kid", "unknown")),
		a.as.Token(read, oauthtest.Claim("iss", "https://other.test")), a.as.Token(read, oauthtest.Audience("https://other.test")),
		a.as.Token(read, oauthtest.Type("JWT")),
	}
	for _, f := range frameworks {
		s := serve(t, f.build(a.routes))
		t.Run("CH-16/"+f.name, func(t *testing.T) {
			answers := map[string]bool{}
			for _, tok := range tokens {
				answers[s.send("GET", "/orders", "Authorization: Bearer "+tok)] = true
			}
			if len(answers) != 1 {
				t.Errorf("different answers: %v", answers)
			}
		})
	}
	t.Run("SE-09/state_of_the_key_cache_does_not_show", func(t *testing.T) {
		s := serve(t, buildNetHTTP(a.routes))
		before := s.send("GET", "/orders", "Authorization: Bearer "+tokens[0])
		a.as.Rotate()
		if after := s.send("GET", "/orders", "Authorization: Bearer "+tokens[0]); after != before {
			t.Errorf("got\n%s\nbefore\n%s", after, before)
		}
	})
}

// TestOutage: the issuer is down, so nobody knows whether the token is good.
func TestOutage(t *testing.T) {
	a := newApp(t)
	for _, f := range frameworks {
		t.Run("WA-27/HT-11_"+f.name, func(t *testing.T) {
			got := serve(t, f.build(a.routes)).send("GET", "/down", "Authorization: Bearer "+a.down.Token())
			var seconds int
			if _, err := fmt.Sscanf(got, "HTTP/1.1 503 Service Unavailable\nCache-Control: no-store\nRetry-After: %d\n", &seconds); err != nil || seconds < 1 || seconds > 3600 {
				t.Errorf("got\n%s", got)
			}
			if strings.Count(got, "\n") != 3 || a.ran.Load() != 0 {
				t.Errorf("got\n%s\nthe handler ran %d times", got, a.ran.Load())
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	a := newApp(t)
	for _, f := range frameworks {
		t.Run("WA-30/A43_handed_over_"+f.name, func(t *testing.T) {
			got := serve(t, f.build(a.routes)).send("OPTIONS", "/preflight", "Origin: https://app.example", "Access-Control-Request-Method: GET")
			if got != "HTTP/1.1 204 No Content\nAccess-Control-Allow-Origin: *\n" || a.ran.Load() != 0 {
				t.Errorf("got\n%s\nthe handler ran %d times", got, a.ran.Load())
			}
		})
	}
}
