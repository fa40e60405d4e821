// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// aToken has parts that no answer holds by chance. Its jti is "the-id-of-one-token".
const aToken = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ." + // {"alg":"RS256","kid":"k"}
	"eyJqdGkiOiJ0aGUtaWQtb2Ytb25lLXRva2VuIn0." + "c2lnbmF0dXJlLXNpZ25hdHVyZS1zaWduYXR1cmU"

const handlerText = "the orders of the protected handler"

// answered makes an answer of a status, header lines and a body.
func answered(status int, body string, lines ...string) answer {
	a := answer{status: status, header: http.Header{}, body: body}
	for _, line := range lines {
		a.header.Add(field(line))
	}
	return a
}

const (
	bearerLine = `WWW-Authenticate: Bearer realm="r"`
	tokLine    = bearerLine + `, error="invalid_token"`
	reqLine    = bearerLine + `, error="invalid_request"`
	scopeLine  = bearerLine + `, error="insufficient_scope", scope="a orders:read b"`
)

// exchangeOf is what the judge sees of a case with these expectations.
func exchangeOf(a answer, words ...string) exchange {
	return exchange{
		attackCase: attackCase{ID: "X1.test", Expect: words, NoFetch: true}, method: http.MethodGet,
		sent: map[string]string{"token": aToken}, answer: a,
		target: &Target{Scope: "orders:read"}, marker: marker{text: handlerText},
	}
}

// Each outcome word has an answer that is right, and each is wrong for all other words.
func TestJudgeWords(t *testing.T) {
	right := map[string]answer{
		"PASS":  answered(200, handlerText),
		"NONE":  answered(401, "", bearerLine),
		"REQ":   answered(400, "", reqLine),
		"TOK":   answered(401, "", tokLine),
		"SCOPE": answered(403, "", scopeLine),
		"UNAV":  answered(503, "", "Retry-After: 5"),
	}
	for word, a := range right {
		for other := range right {
			want := Answered
			switch {
			case word == other:
				want = ""
			case word == "PASS":
				want = Accepted
			case other == "PASS":
				want = Refused
			}
			if got, came := exchangeOf(a, other).judge(); got != want {
				t.Errorf("%s for %s: %q (%s), want %q", word, other, got, came, want)
			}
		}
		if got, came := exchangeOf(a, "PASS", "NONE", "REQ", "TOK", "SCOPE", "UNAV").judge(); got != "" {
			t.Errorf("%s for any: %q (%s)", word, got, came)
		}
		if got, _ := exchangeOf(a, "SRV").judge(); (got == "") != (word != "PASS") {
			t.Errorf("%s for SRV: %q", word, got)
		}
	}
}

// Answers that are nearly right, and what is wrong with them.
func TestJudgeAnswered(t *testing.T) {
	for _, tc := range []struct {
		name   string
		a      answer
		expect string
		detail string // "" if it is right
	}{
		{"no_challenge", answered(401, ""), "TOK", "the Bearer challenge is missing"},
		{"other_scheme_only", answered(401, "", `WWW-Authenticate: Basic realm="r"`), "NONE", "the Bearer challenge is missing"},
		{"beside_another_scheme", answered(401, "", `WWW-Authenticate: Basic realm="r"`, tokLine), "TOK", ""},
		{"two_Bearer_challenges", answered(401, "", tokLine, tokLine), "TOK", "more than one"},
		{"two_in_a_line", answered(401, "", bearerLine+`, Bearer realm="s"`), "NONE", "more than one"},
		{"bare_Bearer", answered(401, "", "WWW-Authenticate: Bearer"), "NONE", "no parameter"},
		{"not_a_challenge", answered(401, "", "WWW-Authenticate: error=invalid_token"), "TOK", "line 1"},
		{"quote_in_description", answered(401, "", tokLine+`, error_description="\"x\""`), "TOK", "error_description"},
		{"error_without_credentials", answered(401, "", tokLine), "NONE", "tells of an error"},
		{"empty_error_is_one", answered(401, "", bearerLine+`, error=""`), "NONE", "error"},
		{"description_without_credentials", answered(401, "", bearerLine+`, error_description="x"`), "NONE", "tells of an error"},
		{"no_challenge_where_either_will_do", answered(401, ""), "PASS TOK", "the Bearer challenge is missing"},
		{"503_where_either_will_do", answered(503, ""), "PASS TOK", "status"},
		{"either_will_do", answered(401, "", tokLine), "PASS TOK", ""},
		{"wrong_code", answered(401, "", reqLine), "TOK", "error code"},
		{"wrong_case_of_the_code", answered(401, "", bearerLine+`, error="Invalid_Token"`), "TOK", "error code"},
		{"no_code", answered(401, "", bearerLine), "TOK", "error code"},
		{"401_for_scope", answered(401, "", scopeLine), "SCOPE", "status"},
		{"403_for_a_token", answered(403, "", tokLine), "TOK", "status"},
		{"login_redirect", answered(302, "", "Location: /login"), "TOK", "/login"},
		{"scope_is_missing", answered(403, "", bearerLine+`, error="insufficient_scope"`), "SCOPE", "scope that is needed"},
		{"another_scope", answered(403, "", bearerLine+`, error="insufficient_scope", scope="orders:reader"`), "SCOPE", "scope that is needed"},
		{"no_Retry-After", answered(503, ""), "UNAV", "Retry-After"},
		{"Retry-After_in_words", answered(503, "", "Retry-After: soon"), "UNAV", "Retry-After"},
		{"negative_Retry-After", answered(503, "", "Retry-After: -1"), "UNAV", "Retry-After"},
		{"date", answered(503, "", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"), "UNAV", ""},
		{"503_blames_the_token", answered(503, "", "Retry-After: 5", tokLine), "UNAV", "blames the token"},
		{"challenge_without_error", answered(503, "", "Retry-After: 5", bearerLine), "UNAV", ""},
		{"401_for_an_outage", answered(401, "", tokLine), "UNAV", "status"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			problem, came := exchangeOf(tc.a, strings.Fields(tc.expect)...).judge()
			if want := tc.detail != ""; (problem == Answered) != want || !want && problem != "" {
				t.Fatalf("%q: %s", problem, came)
			}
			if !strings.Contains(came, tc.detail) {
				t.Errorf("%s\nlacks %q", came, tc.detail)
			}
		})
	}
}

// Each scope that the target needs is in the challenge.
func TestJudgeScopes(t *testing.T) {
	for scope, want := range map[string]Problem{"a": "", "b a": "", "a orders:read b": "", "a c": Answered, "c a": Answered, "orders": Answered} {
		x := exchangeOf(answered(403, "", scopeLine), "SCOPE")
		x.target = &Target{Scope: scope}
		if got, came := x.judge(); got != want {
			t.Errorf("%s: %q (%s), want %q", scope, got, came, want)
		}
	}
}

// Graver problems, and what is none.
func TestJudgeGravely(t *testing.T) {
	edit := func(x exchange, edits ...func(*exchange)) exchange {
		for _, e := range edits {
			e(&x)
		}
		return x
	}
	head := func(x *exchange) { x.method = http.MethodHead }
	elsewhere := func(x *exchange) { x.Send.Path = "/other" }
	fallback := func(x *exchange) { x.fallback = true }
	large := func(x *exchange) { x.large = true }
	for _, tc := range []struct {
		name string
		x    exchange
		want Problem
	}{
		{"handler_behind_a_401", exchangeOf(answered(401, `{"error":"invalid_token"}`+handlerText, tokLine), "TOK"), Accepted},
		{"200_with_an_error_body", exchangeOf(answered(200, "invalid token"), "TOK"), Accepted},
		{"204", exchangeOf(answered(204, ""), "NONE"), Accepted},
		{"101", exchangeOf(answered(101, ""), "NONE"), Accepted},
		{"200_where_the_server_refuses", exchangeOf(answered(200, ""), "SRV"), Accepted},
		{"200_of_another_route", edit(exchangeOf(answered(200, "welcome"), "SRV"), elsewhere), ""},
		{"handler_by_another_path", edit(exchangeOf(answered(200, handlerText), "SRV"), elsewhere), Accepted},
		{"HEAD_shows_no_handler", edit(exchangeOf(answered(200, ""), "SRV"), elsewhere, head), Accepted},
		{"HEAD_of_a_fallback", edit(exchangeOf(answered(200, ""), "SRV"), elsewhere, head, fallback), ""},
		{"431_for_a_large_request", edit(exchangeOf(answered(431, ""), "TOK"), large), ""},
		{"431_for_a_small_request", exchangeOf(answered(431, ""), "TOK"), Answered},
		{"400_for_a_large_request", edit(exchangeOf(answered(400, ""), "TOK"), large), ""},
		{"400_of_the_guard", edit(exchangeOf(answered(400, "", reqLine), "TOK"), large), Answered},
		{"401_for_a_large_request", edit(exchangeOf(answered(401, ""), "TOK"), large), Answered},
		{"no_answer_to_a_large_request", edit(exchangeOf(answer{err: io.ErrUnexpectedEOF}, "TOK"), large), ""},
		{"accepted_is_graver_than_leaked", exchangeOf(answered(200, aToken), "TOK"), Accepted},
		{"leaked_is_graver_than_a_500", exchangeOf(answered(500, aToken), "TOK"), Leaked},
		{"fetched", edit(exchangeOf(answered(401, "", tokLine), "TOK"), func(x *exchange) { x.fetched = true }), Fetched},
		{"500", exchangeOf(answered(500, ""), "TOK"), Crashed},
		{"500_of_the_server", exchangeOf(answered(500, ""), "SRV"), Crashed},
		{"500_for_a_good_token", exchangeOf(answered(500, ""), "PASS"), Crashed},
		{"no_answer", exchangeOf(answer{err: io.ErrUnexpectedEOF}, "TOK"), Crashed},
		{"no_answer_of_the_server", exchangeOf(answer{err: io.ErrUnexpectedEOF}, "SRV"), ""},
		{"hung", exchangeOf(answer{err: os.ErrDeadlineExceeded}, "SRV"), Crashed},
		{"hung_over_HTTP_2", exchangeOf(answer{err: context.DeadlineExceeded}, "SRV"), Crashed},
		{"cut_body", exchangeOf(answer{status: 401, err: errors.New("x")}, "TOK"), Crashed},
		{"panic_behind_the_answer", edit(exchangeOf(answered(401, "", tokLine), "TOK"), func(x *exchange) { x.crash = "x" }), Crashed},
		{"404_for_a_good_token", exchangeOf(answered(404, ""), "PASS"), Refused},
		{"200_without_the_handler", exchangeOf(answered(200, "welcome"), "PASS"), Refused},
		{"HEAD_has_no_body", edit(exchangeOf(answered(200, ""), "PASS"), head), ""},
		{"404_of_the_router", exchangeOf(answered(404, ""), "PASS", "SRV"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, came := tc.x.judge(); got != tc.want {
				t.Errorf("%q (%s), want %q", got, came, tc.want)
			}
		})
	}
}

// Token material is found wherever it stands, and the report of it holds none.
func TestJudgeLeak(t *testing.T) {
	sig := aToken[strings.LastIndex(aToken, ".")+1:]
	header, rest, _ := strings.Cut(aToken, ".")
	payload, _, _ := strings.Cut(rest, ".")
	long := strings.Repeat("x", 100_000)
	percent := strings.ReplaceAll(url.QueryEscape(sig), "c", "%63")
	for _, tc := range []struct {
		name string
		a    answer
		want string // where
	}{
		{"token_in_the_body", answered(401, "no: "+aToken, tokLine), "the body"},
		{"signature_in_the_body", answered(401, "no: "+sig, tokLine), "the body"},
		{"jti_in_the_body", answered(401, "the-id-of-one-token", tokLine), "the body"},
		{"token_in_a_challenge", answered(401, "", tokLine+`, error_description="bad `+aToken+`"`), "Www-Authenticate"},
		{"token_as_scheme", answered(401, "", "WWW-Authenticate: "+aToken), "Www-Authenticate"},
		{"token_in_Location", answered(302, "", "Location: /login?back=%2Forders%3Faccess_token%3D"+percent), "Location"},
		{"percent_encoded", answered(401, percent, tokLine), "the body"},
		{"Base64_0", answered(401, base64.StdEncoding.EncodeToString([]byte(aToken)), tokLine), "the body"},
		{"Base64_1", answered(401, base64.StdEncoding.EncodeToString([]byte("x"+aToken)), tokLine), "the body"},
		{"Base64_2", answered(401, base64.URLEncoding.EncodeToString([]byte("xx"+aToken)), tokLine), "the body"},
		{"middle_of_the_signature", answered(401, "x"+sig[5:21]+"y", tokLine), "the body"},
		{"middle_of_the_payload", answered(401, payload[7:23], tokLine), "the body"},
		{"15_of_the_payload", answered(401, payload[7:22], tokLine), ""},
		{"beginning_of_the_header", answered(401, header[:len(header)-1], tokLine), ""},
		{"whole_header", answered(401, header, tokLine), "the body"},
		{"hex", answered(401, "x"+hex.EncodeToString([]byte(sig[3:])), tokLine), "the body"},
		{"hex_in_capitals", answered(401, strings.ToUpper(hex.EncodeToString([]byte(aToken))), tokLine), "the body"},
		{"Base64_of_the_middle", answered(401, base64.StdEncoding.EncodeToString([]byte(sig[4:21])), tokLine), "the body"},
		{"Base64_with_percent", answered(401, url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("~~~"+sig))), tokLine), "the body"},
		{"status_line", answer{status: 401, reason: "401 bad " + sig, header: answered(401, "", tokLine).header}, "the status line"},
		{"trailer", answer{status: 401, header: answered(401, "", tokLine).header, trailer: http.Header{"X-Why": {sig}}}, "the trailer X-Why"},
		{"early_hint", answer{status: 401, header: answered(401, "", tokLine).header, interim: []http.Header{{"Link": {"<" + sig + ">"}}}}, "Link of an interim answer"},
		{"behind_much", answered(401, long+sig, tokLine), "the body"},
		{"15_characters_may_be_chance", answered(401, sig[:15], tokLine), ""},
		{"a_stray_percent", answered(401, "100% wrong", tokLine), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			problem, came := exchangeOf(tc.a, "TOK").judge()
			if (problem == Leaked) != (tc.want != "") || !strings.Contains(came, tc.want) {
				t.Fatalf("%q: %s", problem, came)
			}
			if strings.Contains(came, sig[:16]) || strings.Contains(came, "one-token") {
				t.Errorf("the report leaks: %s", came)
			}
		})
	}
	t.Run("a_jti_may_be_told_to_its_owner", func(t *testing.T) {
		if got, came := exchangeOf(answered(200, handlerText+"the-id-of-one-token"), "PASS").judge(); got != "" {
			t.Errorf("%q: %s", got, came)
		}
	})
	t.Run("an_accepted_token_is_not_reported_in_full", func(t *testing.T) {
		_, came := exchangeOf(answered(200, "", "Location: /"+aToken), "TOK").judge()
		if strings.Contains(came, sig[:16]) || !strings.Contains(came, "token material") {
			t.Error(came)
		}
	})
}

// What ends an attack, and what does not.
func TestJudgeUntellable(t *testing.T) {
	whole := func(x exchange) exchange { x.marker.whole = true; return x }
	moved := func(x exchange) exchange { x.Send.Path = "/other"; return x }
	for _, tc := range []struct {
		name  string
		x     exchange
		names string // "" if it goes on
	}{
		{"another_body", whole(exchangeOf(answered(200, "other orders"), "PASS")), "set Target.Marker"},
		{"no_marker", exchangeOf(answered(200, "other orders"), "PASS"), ""},
		{"the_body", whole(exchangeOf(answered(200, handlerText), "PASS")), ""},
		{"refused", whole(exchangeOf(answered(401, "", tokLine), "PASS")), ""},
		{"another_path", moved(exchangeOf(answered(200, "welcome"), "PASS")), ""},
		{"accepted", whole(exchangeOf(answered(200, "other orders"), "TOK")), ""},
		{"429", exchangeOf(answered(429, ""), "TOK"), "limits requests"},
		{"428", exchangeOf(answered(428, ""), "TOK"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.x.untellable()
			if (err != nil) != (tc.names != "") || err != nil && !strings.Contains(err.Error(), tc.names) {
				t.Error(err)
			}
		})
	}
}

// A short text of the handler is not found inside other words.
func TestMarker(t *testing.T) {
	for _, tc := range []struct {
		m    marker
		body string
		want bool
	}{
		{marker{"", true}, "anything", false},
		{marker{"ok", true}, "ok", true},
		{marker{"ok\n", true}, "ok\n", true},
		{marker{"ok", true}, `{"error":"invalid_token"}`, false},
		{marker{"ok", true}, `{"error":"invalid_token"}ok`, true},
		{marker{"ok\n", true}, "Unauthorized\nok", true},
		{marker{"ok", true}, "okUnauthorized", true},
		{marker{"ok", false}, "invalid_token", true},
		{marker{"0123456789abcdef", true}, "x0123456789abcdefx", true},
		{marker{"0123456789abcde", true}, "x0123456789abcdex", false},
	} {
		if got := tc.m.in(tc.body); got != tc.want {
			t.Errorf("%+v in %q: %v", tc.m, tc.body, got)
		}
	}
}
