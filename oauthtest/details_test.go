// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

const (
	readDetail  = `{"type":"read","limit":{"max":10000000000000000,"of":["a","b"]}}`
	writeDetail = `{"type":"write"}`
	bothDetails = "[" + readDetail + "," + writeDetail + "]"
)

func asking(details string) string {
	return "&authorization_details=" + url.QueryEscape(details)
}

// wantDetails compares what the token and the answer say; "" if neither says anything.
func wantDetails(t *testing.T, a answer, want string) {
	t.Helper()
	wantAnswer(t, a, want200, "")
	_, claims := parts(t, textOf(t, a, "access_token"))
	for where, got := range map[string]any{"claim": claims["authorization_details"], "answer": a.json["authorization_details"]} {
		var wanted any
		if want != "" {
			if err := json.Unmarshal([]byte(want), &wanted); err != nil {
				t.Fatal(err)
			}
		}
		b, err := json.Marshal(got)
		c, err2 := json.Marshal(wanted)
		if err != nil || err2 != nil || string(b) != string(c) {
			t.Errorf("%s %s, want %s", where, b, c)
		}
	}
}

// TestDetailsNarrow: a token request may ask for some of what was granted.
func TestDetailsNarrow(t *testing.T) {
	as := newGrants(t)
	granted := param("authorization_details", bothDetails)
	app := []func(url.Values){param("client_id", "app"), param("redirect_uri", "https://client.test/callback")}
	for _, tc := range []struct{ name, asked, want string }{ // want "": refused
		{"none", "", bothDetails},
		{"all", bothDetails, bothDetails},
		{"one", "[" + writeDetail + "]", "[" + writeDetail + "]"},
		{"other_order", "[" + writeDetail + "," + readDetail + "]", "[" + writeDetail + "," + readDetail + "]"},
		{"same_in_other_words", ` [ {"limit" : {"of":["a","\u0062"],"max":10000000000000000}, "type":"read"} ] `, "[" + readDetail + "]"},
		{"one_more", "[" + writeDetail + `,{"type":"admin"}]`, ""},
		{"member_left_out", `[{"type":"read"}]`, ""},
		{"member_added", `[{"type":"write","all":true}]`, ""},
		{"other_number", strings.Replace("["+readDetail+"]", "00,", "01,", 1), ""},
		{"number_as_text", strings.Replace("["+readDetail+"]", "10000000000000000", `"10000000000000000"`, 1), ""},
		{"array_in_other_order", `[{"type":"read","limit":{"max":10000000000000000,"of":["b","a"]}}]`, ""},
		{"other_case", `[{"type":"Write"}]`, ""},
		{"rubbish", "rubbish", ""},
		{"object", writeDetail, ""},
		{"empty_array", "[]", ""},
		{"element_without_type", `[{"x":1}]`, ""},
		{"duplicate_names", `[{"type":"write","type":"write"}]`, ""},
	} {
		check := func(t *testing.T, a answer) {
			t.Helper()
			if tc.want == "" {
				wantAnswer(t, a, want400, "invalid_authorization_details")
				return
			}
			wantDetails(t, a, tc.want)
		}
		t.Run("TA-16/details_of_a_code_"+tc.name, func(t *testing.T) {
			code := approved(t, as, append(app, granted)...)
			form := codeForm(code, append(app, param("authorization_details", tc.asked))...)
			check(t, tokenRequest(t, as, form, basic("app", "secret")))
		})
		t.Run("TA-16/details_of_a_refresh_token_"+tc.name, func(t *testing.T) {
			first := byCode(t, as, granted)
			a := refresh(t, as, textOf(t, first, "refresh_token"), "&client_id=page"+asking(tc.asked), noAuth)
			if check(t, a); tc.want != "" { // what was granted stays granted
				wantDetails(t, refresh(t, as, textOf(t, a, "refresh_token"), "&client_id=page", noAuth), bothDetails)
			}
		})
		t.Run("TA-16/details_of_a_device_"+tc.name, func(t *testing.T) {
			device, user := startDevice(t, as, asking(bothDetails))
			if err := as.ApproveDevice(user); err != nil {
				t.Fatal(err)
			}
			check(t, tokenRequest(t, as, asDevice+"&device_code="+device+asking(tc.asked)))
		})
		t.Run("TA-21/details_of_a_subject_"+tc.name, func(t *testing.T) {
			var list []any
			if err := json.Unmarshal([]byte(bothDetails), &list); err != nil {
				t.Fatal(err)
			}
			check(t, exchangeToken(t, as, subjectIs+as.Token(oauthtest.Claim("authorization_details", list))+asking(tc.asked)))
		})
	}
}

// TestDetailsOfNothing: where no details were granted, none can be asked for.
func TestDetailsOfNothing(t *testing.T) {
	as := newGrants(t)
	first := byCode(t, as)
	t.Run("TA-16/details_that_were_not_granted", func(t *testing.T) {
		token := textOf(t, first, "refresh_token")
		wantAnswer(t, refresh(t, as, token, "&client_id=page"+asking(bothDetails), noAuth), want400, "invalid_authorization_details")
		wantDetails(t, refresh(t, as, token, "&client_id=page", noAuth), "")
	})
	for name, claim := range map[string]any{"text": "read", "array_of_text": []string{"read"}, "null": nil} {
		t.Run("TA-21/details_of_a_subject_that_are_"+name, func(t *testing.T) {
			subject := subjectIs + as.Token(oauthtest.Claim("authorization_details", claim))
			wantAnswer(t, exchangeToken(t, as, subject+asking(bothDetails)), want400, "invalid_authorization_details")
			wantDetails(t, exchangeToken(t, as, subject), "")
		})
	}
}

// TestDetailsAsked: the grants that ask for rights by themselves.
func TestDetailsAsked(t *testing.T) {
	as := newGrants(t)
	for _, g := range []struct {
		name, form string
		auth       func(*http.Request)
	}{
		{"client_credentials", byClientCredentials, basic("app", "secret")},
		{"password", "grant_type=password&username=alice&password=wonder&client_id=page", noAuth},
	} {
		t.Run("TA-16/details_by_"+g.name, func(t *testing.T) {
			wantDetails(t, tokenRequest(t, as, g.form+asking(bothDetails), g.auth), bothDetails)
			wantDetails(t, tokenRequest(t, as, g.form, g.auth), "")
			for _, bad := range []string{"rubbish", "[]", writeDetail, "[1]", `[{"type":1}]`, `[{"type":"a"}]x`, `[{"type":"a"}],"x":[1]`} {
				wantAnswer(t, tokenRequest(t, as, g.form+asking(bad), g.auth), want400, "invalid_authorization_details")
			}
		})
	}
	t.Run("TA-16/details_of_a_device_are_shown", func(t *testing.T) {
		_, user := startDevice(t, as, asking("["+writeDetail+"]"))
		page := post(t, stay(as), as.Issuer()+"/device", url.Values{"user_code": {user}})
		if !strings.Contains(page.body, "&#34;write&#34;") {
			t.Errorf("%s", page.body)
		}
		wantAnswer(t, postForm(t, as, "/device_authorization", "client_id=page"+asking("rubbish")), want400, "invalid_authorization_details")
	})
}
