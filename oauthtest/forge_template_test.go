// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func noonForgery(t testing.TB) *forgery {
	f := forgeryFor(t, "ES256")
	f.server.cfg.Now = func() time.Time { return time.Unix(1_800_000_000, 500) }
	f.edits = []Edit{Subject(`o"neill`)}
	return f
}

func TestExpand(t *testing.T) {
	f := noonForgery(t)
	kid := f.server.signingKey().id
	vars := map[string]string{"path": "/orders", "token": "t.t.t"}
	for template, want := range map[string]string{
		"":                                    "",
		"no placeholder $ { } $${hex:7b}":     "no placeholder $ { } ${",
		"not ended ${":                        "",
		"${iss {}}":                           "",
		"${repeat:2:${hex:61}}":               "",
		"${iss} ${host} ${origin}":            "https://issuer.test issuer.test https://issuer.test",
		"${aud}|${scope}|${client}|${alg}":    catalogueAPI + "|read|test-client|ES256",
		"${scope.upper} ${scope.first}":       "READ read",
		"${scope.rest}.":                      ".",
		"${scope.last}":                       "",
		"${other.iss}":                        "",
		"${sub}":                              `o"neill`,
		"${kid}":                              kid,
		"${now},${now+60},${now-3600}":        "1800000000,1800000060,1799996400",
		"${hex:00ff24}{x}":                    "\x00\xff${x}",
		"${repeat:3:6162}":                    "ababab",
		"${repeat:0:61}":                      "",
		"${canary}":                           "https://issuer.test/canary/keys",
		"/${path}, Authorization: B ${token}": "//orders, Authorization: B t.t.t",
		"${token}${token}":                    "t.t.tt.t.t",
		`{"a":{"b":${now}}}`:                  `{"a":{"b":1800000000}}`,
		"${unknown}":                          "",
		"${now60}":                            "",
		"${now+}":                             "",
		"${hex:0}":                            "",
		"${repeat:61}":                        "",
		"${repeat:-1:61}":                     "",
		"${repeat:1048577:61}":                "",
		"${attacker.unknown}":                 "",
		"${alg.lower} ${alg.wide}":            "es256 \uff25\uff33256",
		"${alg.upper}":                        "",
		"${iss.scheme} ${iss.SCHEME}":         "https HTTPS",
		"${iss.name}${iss.port}${iss.path}.":  "issuer.test.",
		"${iss.other_port}":                   ":443",
		"${iss.query}":                        "",
		"${words:2}":                          "100 101",
		"${words:x}":                          "",
		"${good}":                             "",
		"${}":                                 "",
		"${repeat:" + strings.Repeat("9", 40) + ":61}": "",
	} {
		got, err := f.expand(template, vars)
		if faulty := want == "" && template != "" && template != "${repeat:0:61}"; (err != nil) != faulty {
			t.Errorf("%s: error %v", template, err)
		} else if !faulty && got != want {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
	}
}

// TestExpandForTwo: several scopes, and two issuers.
func TestExpandForTwo(t *testing.T) {
	f, other := noonForgery(t), forgeryFor(t, "Ed25519")
	f.scope, f.other, other.other = "orders:read a b", other, f
	for template, want := range map[string]string{
		"${scope}|${scope.upper}":       "orders:read a b|ORDERS:READ A B",
		"${scope.first}|${scope.rest}":  "orders:read|a b",
		"${other.iss} ${other.kid}":     other.server.issuer + " " + other.server.signingKey().id,
		"${other.alg}":                  "",
		"${iss} ${kid}":                 f.server.issuer + " " + f.server.signingKey().id,
		"${iss}${other.iss} and no dot": f.server.issuer + other.server.issuer + " and no dot",
	} {
		if got, err := f.expand(template, nil); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q %v, want %q", template, got, err, want)
		}
	}
	all, err := f.tokens(attackCase{Tokens: map[string]recipe{
		"token": {By: "second", Claims: part{Set: map[string]json.RawMessage{"azp": json.RawMessage(`"${other.kid}"`)}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := takeApart(t, all["token"])
	if s.header["kid"] != other.server.signingKey().id || s.header["alg"] != "Ed25519" || s.payload["iss"] != other.server.issuer ||
		s.payload["azp"] != f.server.signingKey().id {
		t.Errorf("%v %v", s.header, s.payload)
	}
}

// TestParts: a value stands in JSON as what it is, and raw text stays as it was written.
func TestParts(t *testing.T) {
	f := noonForgery(t)
	object := map[string]any{"a": "x", "b": 1}
	raw := func(s string) *string { return &s }
	set := func(members string) (m map[string]json.RawMessage) {
		if err := json.Unmarshal([]byte(members), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	for name, tc := range map[string]struct {
		part part
		want string
	}{
		"nothing":               {part{}, `{"a":"x","b":1}`},
		"set":                   {part{Set: set(`{"a":null,"c":[true,{"d":"${iss}"}]}`)}, `{"a":null,"b":1,"c":[true,{"d":"https://issuer.test"}]}`},
		"number":                {part{Set: set(`{"b":"${now+60}"}`)}, `{"a":"x","b":1800000060}`},
		"text_with_a_number":    {part{Set: set(`{"b":"${now}s"}`)}, `{"a":"x","b":"1800000000s"}`},
		"spelling_of_a_number":  {part{Set: set(`{"b":1.50e3}`)}, `{"a":"x","b":1.50e3}`},
		"quotation_mark":        {part{Set: set(`{"a":"${sub}"}`)}, `{"a":"o\"neill","b":1}`},
		"angle_brackets":        {part{Set: set(`{"a":"<&>"}`)}, `{"a":"<&>","b":1}`},
		"remove":                {part{Remove: []string{"a", "z"}}, `{"b":1}`},
		"remove_all_and_append": {part{Remove: []string{"a", "b"}, Append: `"c":01`}, `{"c":01}`},
		"append":                {part{Append: `"a":"${sub}"`}, `{"a":"x","b":1,"a":"o\"neill"}`},
		"prepend":               {part{Prepend: `"a":${now}`}, `{"a":1800000000,"a":"x","b":1}`},
		"raw":                   {part{Raw: raw("${hex:efbbbf}${object}${object}")}, "\ufeff" + `{"a":"x","b":1}{"a":"x","b":1}`},
		"raw_after_edits":       {part{Append: `"c":2`, Raw: raw(" ${object}")}, ` {"a":"x","b":1,"c":2}`},
		"nothing_at_all":        {part{Raw: raw("")}, ""},
	} {
		t.Run("TA-24/"+name, func(t *testing.T) {
			m, err := f.begin(map[string]string{})
			if err != nil {
				t.Fatal(err)
			}
			segment, err := m.segment(tc.part, object)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := b64.DecodeString(segment); err != nil || string(got) != tc.want {
				t.Errorf("%s, want %s (%v)", got, tc.want, err)
			}
		})
	}
	m, err := f.begin(map[string]string{})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]part{
		"octets_in_a_string": {Set: set(`{"a":"${hex:ff}"}`)},
		"unknown_in_a_list":  {Set: set(`{"a":["${x}"]}`)},
		"unknown_in_members": {Set: set(`{"a":{"b":"${x}"}}`)},
		"unknown_in_append":  {Append: "${x}"},
		"unknown_in_raw":     {Raw: raw("${x}")},
		"unknown_step":       {Encode: []string{"x"}},
	} {
		if _, err := m.segment(p, object); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRecipes(t *testing.T) {
	f := noonForgery(t)
	good, err := f.good()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	for raw, want := range map[string]string{
		"${token}.AA":                      good + ".AA",
		"${header}..${signature}":          parts[0] + ".." + parts[2],
		`{"p":"${payload}","g":"${good}"}`: `{"p":"` + parts[1] + `","g":"` + good + `"}`,
		"not a token":                      "not a token",
	} {
		if got, err := f.spoil(recipe{From: "good", Raw: raw}, good); err != nil || got != want {
			t.Errorf("%s: %q %v", raw, got, err)
		}
	}
	for name, r := range map[string]recipe{
		"signing_variant": {Sign: "x"}, "form_of_a_key": {Sign: "hmac:x"}, "hostile_key": {Sign: "key:x"},
		"algorithm": {Alg: "XX"}, "algorithm_of_another_key": {Alg: "RS256"}, "RSA_fault_of_an_EC_key": {Sign: "rsa:no-null"},
		"operation": {Text: []string{"x"}}, "operation_on_another_signature": {Text: []string{"s-plus-l", "s-plus-l", "x"}},
		"pkcs1_of_an_EC_key": {Sign: "hmac:pkcs1"}, "raw": {Raw: "${x}"}, "length": {Text: []string{"length-x"}},
		"length_below_0": {Text: []string{"length--1"}}, "nothing_to_drop": {Sign: "none", Text: []string{"drop-last"}},
	} {
		if got, err := f.bad(r); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestLacks: what a server cannot do is known before it is asked to.
func TestLacks(t *testing.T) {
	for alg, want := range map[string]string{
		"RS256":   "hmac hs256 pss ec ed25519",
		"PS384":   "hmac hs256 pkcs1 ec ed25519",
		"ES384":   "hmac hs256 rsa pkcs1 pss ed25519 spare-bits",
		"Ed25519": "hmac hs256 rsa pkcs1 pss ec",
		"HS256":   "asymmetric rsa pkcs1 pss ec ed25519",
		"HS384":   "asymmetric hs256 rsa pkcs1 pss ec ed25519 spare-bits",
	} {
		f := forgeryFor(t, alg)
		var lacking []string
		for _, need := range strings.Fields("scope small-letters asymmetric hmac hs256 rsa pkcs1 pss ec ed25519 spare-bits http1 keys outage rfc9068 clock") {
			if got := f.lacks([]string{"http1", need}); got != "" {
				lacking = append(lacking, got)
			}
		}
		if got := strings.Join(lacking, " "); got != want {
			t.Errorf("%s lacks %s, want %s", alg, got, want)
		}
	}
	f := forgeryFor(t, "ES256")
	for scope, want := range map[string]string{"": "scope small-letters several-scopes", "READ:2": "small-letters several-scopes", "a": "several-scopes", "READ a": ""} {
		f.scope = scope
		var lacking []string
		for _, need := range strings.Fields("scope small-letters several-scopes") {
			lacking = append(lacking, strings.Fields(f.lacks([]string{need}))...)
		}
		if got := strings.Join(lacking, " "); got != want {
			t.Errorf("%q lacks %q, want %q", scope, got, want)
		}
	}
	if f.lacks([]string{"second-issuer"}) == "" {
		t.Error("a second issuer that is not there")
	}
	if f.other = forgeryFor(t, "ES256"); f.lacks([]string{"second-issuer"}) != "" {
		t.Error("no second issuer, though it is there")
	}
}
