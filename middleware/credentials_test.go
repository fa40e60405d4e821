// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// TestCredentials runs against the Guard itself, so that values can be tried that
// no HTTP client sends and no HTTP server lets through.
func TestCredentials(t *testing.T) {
	type lines = []string
	long := strings.Repeat("a", 1<<20)
	for _, tc := range []struct {
		name  string
		lines lines
		token string // what the verifier is asked about
		class error  // or why it is not asked
	}{
		{"BT-01/bearer", lines{"Bearer abc"}, "abc", nil},
		{"BT-02/A5_lower_case", lines{"bearer abc"}, "abc", nil},
		{"BT-02/A5_upper_case", lines{"BEARER abc"}, "abc", nil},
		{"BT-02/A5_mixed_case", lines{"bEaReR abc"}, "abc", nil},
		{"BT-03/A6_many_spaces", lines{"Bearer     abc"}, "abc", nil},
		{"BT-03/every_character", lines{"Bearer AZaz09-._~+/"}, "AZaz09-._~+/", nil},
		{"BT-03/padding", lines{"Bearer abc=="}, "abc==", nil},
		{"BT-03/A3_scheme_alone", lines{"Bearer"}, "", verifier.ErrInvalidRequest},
		{"BT-03/A3_scheme_and_space", lines{"Bearer "}, "", verifier.ErrInvalidRequest},
		{"BT-03/A7_tab", lines{"Bearer\tabc"}, "", verifier.ErrInvalidRequest},
		{"BT-03/A7_space_and_tab", lines{"Bearer \tabc"}, "", verifier.ErrInvalidRequest},
		{"BT-03/A9_two_words", lines{"Bearer a b"}, "", verifier.ErrInvalidRequest},
		{"BT-03/A10_comma", lines{"Bearer a,b"}, "", verifier.ErrInvalidRequest},
		{"BT-03/A10_two_credentials", lines{"Bearer a, Bearer b"}, "", verifier.ErrInvalidRequest},
		{"BT-03/A11_quotes", lines{`Bearer "a"`}, "", verifier.ErrInvalidRequest},
		{"BT-03/A11_parameter", lines{`Bearer token=abc`}, "", verifier.ErrInvalidRequest},
		{"BT-03/only_padding", lines{"Bearer =="}, "", verifier.ErrInvalidRequest},
		{"BT-03/padding_inside", lines{"Bearer a=b"}, "", verifier.ErrInvalidRequest},
		{"BT-03/A19_high_bytes", lines{"Bearer a\xffb"}, "", verifier.ErrInvalidRequest},
		{"BT-03/NUL", lines{"Bearer a\x00b"}, "", verifier.ErrInvalidRequest},
		{"BT-03/CRLF", lines{"Bearer a\r\nb"}, "", verifier.ErrInvalidRequest},
		{"BT-03/A23_object", lines{"Bearer [object Object]"}, "", verifier.ErrInvalidRequest},
		{"BT-03/long_then_bad", lines{"Bearer " + long + ","}, "", verifier.ErrInvalidRequest},
		{"BT-04/percent_encoding_is_not_decoded", lines{"Bearer abc%2Edef"}, "", verifier.ErrInvalidRequest},
		{"BT-04/case_is_kept", lines{"Bearer AbC"}, "AbC", nil},
		{"BT-04/plus_is_kept", lines{"Bearer a+b"}, "a+b", nil},
		{"BT-05/A12_equal_lines", lines{"Bearer abc", "Bearer abc"}, "", verifier.ErrInvalidRequest},
		{"BT-05/A13_other_scheme_first", lines{"Basic eDp5", "Bearer abc"}, "", verifier.ErrInvalidRequest},
		{"BT-05/A13_unknown_schemes_only", lines{"Basic eDp5", "Digest x"}, "", verifier.ErrInvalidRequest},
		{"GO-14/empty_line_counts", lines{"Bearer abc", ""}, "", verifier.ErrInvalidRequest},
		{"GO-14/empty_lines_count", lines{"", ""}, "", verifier.ErrInvalidRequest},
		{"BT-07/A1_none", nil, "", verifier.ErrNoCredentials},
		{"BT-08/A4_Basic", lines{"Basic dXNlcjpwYXNz"}, "", verifier.ErrNoCredentials},
		{"BT-08/A4_Digest", lines{`Digest username="a", realm="b"`}, "", verifier.ErrNoCredentials},
		{"BT-08/DPoP_is_not_enabled", lines{"DPoP abc"}, "", verifier.ErrNoCredentials},
		{"BT-08/A8_no_blank", lines{"Bearerabc"}, "", verifier.ErrNoCredentials},
		{"BT-08/A8_colon", lines{"Bearer:"}, "", verifier.ErrNoCredentials},
		{"BT-08/A8_equals", lines{"Bearer= abc"}, "", verifier.ErrNoCredentials},
		{"BT-08/no_break_space_separates_nothing", lines{"Bearer\u00a0abc"}, "", verifier.ErrNoCredentials},
		{"BT-22/A2_empty", lines{""}, "", verifier.ErrNoCredentials},
		{"BT-22/spaces", lines{"   "}, "", verifier.ErrNoCredentials},
		{"BT-22/tabs", lines{" \t "}, "", verifier.ErrNoCredentials},
		{"BT-03/blanks_around_the_value_are_not_part_of_it", lines{" \tBearer abc\t "}, "abc", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			token, class := present(t, tc.lines)
			if token != tc.token || class != tc.class {
				t.Errorf("token %q, class %v; want %q, %v", token, class, tc.token, tc.class)
			}
		})
	}
}

// TestTokenCharacters tries every byte inside a token, and behind it.
func TestTokenCharacters(t *testing.T) {
	const legal = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	t.Run("BT-03/A21_every_byte", func(t *testing.T) {
		for c := range 256 {
			inside, behind := "a"+string([]byte{byte(c)})+"b", "a"+string([]byte{byte(c)})
			blank, good := c == ' ' || c == '\t', strings.IndexByte(legal, byte(c)) >= 0
			for value, accepted := range map[string]bool{inside: good, behind: good || blank || c == '='} {
				token, class := present(t, []string{"Bearer " + value})
				if accepted && (token != strings.TrimRight(value, " \t") || class != nil) || !accepted && (token != "" || class != verifier.ErrInvalidRequest) {
					t.Errorf("%q: token %q, class %v", value, token, class)
				}
			}
		}
	})
}

// present gives a Guard a request with these Authorization lines. It returns the
// token that reached the verifier, or else the class of the refusal.
func present(t testing.TB, lines []string) (token string, class error) {
	t.Helper()
	g, s := newGuard(t)
	rt, err := g.Route()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Authorization"] = lines
	passed, err := rt.Check(httptest.NewRecorder(), r)
	if (passed == nil) != (err != nil) {
		t.Fatalf("Check: %v, %v", passed, err)
	}
	if asked := s.tokens(); len(asked) > 0 {
		return asked[0], nil
	}
	return "", verifier.ClassOf(err)
}

// TestOtherSources: nothing but the Authorization header is read.
func TestOtherSources(t *testing.T) {
	g, s := newGuard(t)
	h := behind(t, g, whoami, read)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	query := func(r *http.Request) { r.URL.RawQuery = "access_token=ok~read" }
	form := func(r *http.Request) {
		*r = *r.Clone(r.Context())
		r.Method, r.Body = http.MethodPost, http.NoBody
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body, r.ContentLength = body("access_token=ok~read"), int64(len("access_token=ok~read"))
	}
	for _, tc := range []struct {
		name string
		edit func(*http.Request)
	}{
		{"BT-09/A24_query", query},
		{"BT-13/A30_form_body", form},
		{"BT-13/A32_query_of_a_form_post", func(r *http.Request) { form(r); r.Body, r.ContentLength = body(""), 0; query(r) }},
		{"BT-17/A35_cookie", header("Cookie", "access_token=ok~read; Authorization=Bearer ok~read")},
		{"BT-18/A16_Proxy-Authorization", header("Proxy-Authorization", "Bearer ok~read")},
		{"BT-18/A16_X-Forwarded-Authorization", header("X-Forwarded-Authorization", "Bearer ok~read")},
		{"BT-18/A16_X-Authorization", header("X-Authorization", "Bearer ok~read")},
		{"BT-18/A16_X-Original-Authorization", header("X-Original-Authorization", "Bearer ok~read")},
		{"BT-18/A16_X-Access-Token", header("X-Access-Token", "ok~read")},
		{"BT-18/A36_Sec-WebSocket-Protocol", header("Sec-WebSocket-Protocol", "bearer, ok~read")},
		{"BT-24/DPoP_proof_alone", header("DPoP", "eyJ.eyJ.sig")},
		{"K21/already_authenticated", func(r *http.Request) {
			r.Header.Set("X-User", "admin")
			r.Header.Set("X-Authenticated", "true")
			r.Header.Set("User-Agent", "probe/1.30")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wants(t, ask(t, h, tc.edit), 401, w01)
			if s.calls() > 0 {
				t.Errorf("the verifier was asked about %q", s.tokens())
			}
		})
	}
	for _, tc := range []struct {
		name string
		edit func(*http.Request)
	}{
		{"BT-09/A25_query_beside_header", func(r *http.Request) { r.URL.RawQuery = "access_token=other" }},
		{"BT-25/DPoP_proof_beside_Bearer", func(r *http.Request) { r.Header["Dpop"] = []string{"a", "b"} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ask(t, h, tc.edit, "Bearer ok~read"); got.StatusCode != 200 || got.body != "user-1" {
				t.Errorf("status %d, body %q", got.StatusCode, got.body)
			}
		})
	}
	t.Run("BT-13/A30_body_is_left_for_the_handler", func(t *testing.T) {
		const text = "access_token=ok~read"
		read := func(w http.ResponseWriter, r *http.Request) {
			_, found := middleware.TokenFrom(r.Context())
			fmt.Fprint(w, found, " ")
			io.Copy(w, r.Body)
		}
		if got := ask(t, optional(t, g, read), form); got.body != "false "+text {
			t.Errorf("anonymous: %q", got.body)
		}
		if got := ask(t, behind(t, g, read), form, "Bearer ok"); got.body != "true "+text {
			t.Errorf("with a token: %q", got.body)
		}
	})
	t.Run("BT-20/every_request_on_its_own", func(t *testing.T) {
		conn := listen(t, h)
		for range 2 {
			if got := send(t, conn, nil, "Bearer ok~read"); got.StatusCode != 200 {
				t.Errorf("status %d", got.StatusCode)
			}
			wants(t, send(t, conn, nil), 401, w01)
		}
	})
}

// FuzzAuthorization: the Guard passes on exactly what the grammar of RFC 6750 §2.1
// calls a token, and takes nothing else for Bearer credentials.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  a.b-c_d~e+f/g==", "Bearer a b", "Bearer\ta", "Basic x", "", "Bearer=", "Bearer \xff"} {
		f.Add(seed)
	}
	good := regexp.MustCompile(`^[ \t]*(?i:bearer) +([A-Za-z0-9._~+/-]+=*)[ \t]*$`)
	ours := regexp.MustCompile(`^[ \t]*(?i:bearer)([ \t]|$)`)
	f.Fuzz(func(t *testing.T, value string) {
		token, class := present(t, []string{value})
		want, wantClass := "", verifier.ErrNoCredentials
		if m := good.FindStringSubmatch(value); m != nil {
			want, wantClass = m[1], nil
		} else if ours.MatchString(value) {
			wantClass = verifier.ErrInvalidRequest
		}
		if token != want || class != wantClass {
			t.Errorf("%q: token %q, class %v; want %q, %v", value, token, class, want, wantClass)
		}
	})
}

var _ middleware.TokenVerifier = (*verifier.Verifier)(nil)
