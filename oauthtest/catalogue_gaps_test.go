// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// caseToken makes the token of a case.
func caseToken(t *testing.T, f *forgery, id string) string {
	t.Helper()
	i := slices.IndexFunc(catalogue(), func(c attackCase) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("no case %s", id)
	}
	c := catalogue()[i]
	if need := f.lacks(c.Needs); need != "" {
		t.Fatalf("%s lacks %s", id, need)
	}
	tokens, err := f.tokens(c)
	if err != nil {
		t.Fatal(err)
	}
	return tokens["token"]
}

// issuers says whether a text is signed by the issuer.
func (f *forgery) issuers(input string, sig []byte) bool {
	key, err := jose.ParseKey(f.server.signingKey().jwk)
	return err == nil && key.Verify(f.server.cfg.Algorithm, []byte(input), sig)
}

// TestCatalogueFindsMistakes: of a verifier with one mistake a case of the catalogue shows it.
// Each function is such a verifier, as far as the mistake goes.
func TestCatalogueFindsMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		ids, alg string
		accepts  func(f *forgery, s segments) bool
	}{
		{"C30.dev_null C30.windows_path", "RS256", authenticated("")},
		{"C30.proc_sys", "RS256", authenticated("2\n")},
		{"C31.sql", "ES256", authenticated("k")},
		{"C5.lower_case C5.blank C5.nul C5.full_width", "ES256", anySpelling},
		{"C5.lower_case C5.blank C5.nul C5.full_width", "EdDSA", anySpelling},
		{"C9.ec_under_hmac C43.embedded_key_and_kid", "", embeddedKey},
		{"C21.one_short", "RS256", filledUp(0, 1)},
		{"C21.first_missing", "PS256", filledUp(1, 0)},
		{"C19.one_short", "ES256", filledUp(0, 1)},
		{"C25.one_short", "EdDSA", filledUp(0, 1)},
		{"C15.old_name C15.new_name", "EdDSA", eitherName},
	} {
		for _, id := range strings.Fields(tc.ids) {
			t.Run("TA-24/"+strings.ReplaceAll(id, ".", "_")+"_"+tc.alg, func(t *testing.T) {
				alg := tc.alg
				if alg == "" { // of the key in the header
					alg = map[bool]string{true: "HS256", false: "ES256"}[strings.HasSuffix(id, "hmac")]
				}
				f := forgeryFor(t, alg)
				for range 8 { // octets of RSA signatures are not sought for ever
					if tc.accepts(f, takeApart(t, caseToken(t, f, id))) {
						return
					}
				}
				t.Error("a verifier with this mistake refuses the token")
			})
		}
	}
}

// authenticated believes whoever knows secret.
func authenticated(secret string) func(*forgery, segments) bool {
	return func(_ *forgery, s segments) bool {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(s.input))
		return s.header["alg"] == "HS256" && hmac.Equal(mac.Sum(nil), s.sig)
	}
}

// anySpelling folds alg, and yet must not find the issuer's own spelling there.
func anySpelling(f *forgery, s segments) bool {
	alg, _ := s.header["alg"].(string)
	narrow := strings.Map(func(r rune) rune {
		if r >= '\uff21' {
			r -= '\uff21' - 'A'
		}
		return r
	}, strings.TrimRight(alg, " \x00"))
	return alg != f.server.cfg.Algorithm && strings.EqualFold(narrow, f.server.cfg.Algorithm) && f.issuers(s.input, s.sig)
}

func eitherName(f *forgery, s segments) bool {
	alg, _ := s.header["alg"].(string)
	return (alg == "EdDSA" || alg == "Ed25519") && f.issuers(s.input, s.sig)
}

// embeddedKey believes the key in the header, but wants its alg to be that of the token.
func embeddedKey(_ *forgery, s segments) bool {
	jwk, err := json.Marshal(s.header["jwk"])
	if err != nil {
		return false
	}
	key, err := jose.ParseKey(jwk)
	alg, _ := s.header["alg"].(string)
	return err == nil && key.Fits(alg) && key.Verify(alg, []byte(s.input), s.sig)
}

// filledUp puts zeros before and behind a signature that is too short.
func filledUp(before, behind int) func(*forgery, segments) bool {
	return func(f *forgery, s segments) bool {
		sig := slices.Concat(make([]byte, before), s.sig, make([]byte, behind))
		return !f.issuers(s.input, s.sig) && f.issuers(s.input, sig)
	}
}

// TestDropsAreBounded: a large RSA key, or a token without jti, is not searched for ever.
func TestDropsAreBounded(t *testing.T) {
	drop := recipe{Text: []string{"drop-last"}}
	m := func(alg string) *making {
		m, err := forgeryFor(t, alg).begin(nil)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if got := m("RS256").tries(drop); got != 256 {
		t.Errorf("RSA of 2,048 bits: %d", got)
	}
	if got := m("EdDSA").tries(drop); got != 1024 {
		t.Errorf("Ed25519: %d", got)
	}
	for _, r := range []recipe{{}, {Text: []string{"zeros"}}, {Text: []string{"drop-last", "drop-first"}}} {
		if got := m("EdDSA").tries(r); got != 1 {
			t.Errorf("%v: %d", r.Text, got)
		}
	}
	nameless := m("EdDSA")
	delete(nameless.draft.claims, "jti")
	if got := nameless.tries(drop); got != 1 {
		t.Errorf("without jti: %d", got)
	}
	if token, err := nameless.makeFit(drop); err != nil || takeApart(t, token).payload["jti"] != nil {
		t.Errorf("jti was added (%v)", err)
	}
}

// TestCatalogueCatchesRepeatedNames: whichever of two members a parser keeps, and whether it
// looks for repeated names before it resolves escapes, a case has the good one there.
func TestCatalogueCatchesRepeatedNames(t *testing.T) {
	f := forgeryFor(t, "ES256")
	for _, tc := range []struct {
		id, member string
		segment    int
		first      bool // the parser keeps the first
		want       string
	}{
		{"B19.escaped_aud", "aud", 1, true, catalogueAPI},
		{"B19.escaped_aud_first", "aud", 1, false, catalogueAPI},
		{"B19.escaped_alg", "alg", 0, true, "ES256"},
		{"B19.escaped_alg_first", "alg", 0, false, "ES256"},
		{"B17.kid", "kid", 0, false, f.server.signingKey().id},
		{"B17.kid_good_first", "kid", 0, true, f.server.signingKey().id},
		{"B17.unsigned", "alg", 0, true, "none"},
		{"B17.unsigned_none_last", "alg", 0, false, "none"},
		{"B18.scope_narrow_last", "scope", 1, true, "read"},
	} {
		t.Run("TA-24/"+strings.ReplaceAll(tc.id, ".", "_"), func(t *testing.T) {
			text, err := b64.DecodeString(strings.Split(caseToken(t, f, tc.id), ".")[tc.segment])
			if err != nil {
				t.Fatal(err)
			}
			values, raw := membersNamed(t, string(text), tc.member)
			if len(values) != 2 {
				t.Fatalf("%v", values)
			}
			if got := values[map[bool]int{true: 0, false: 1}[tc.first]]; got != tc.want {
				t.Errorf("the one that counts is %q", got)
			}
			if escaped := raw != 2; escaped != strings.HasPrefix(tc.id, "B19") {
				t.Errorf("%d of the names are spelled without an escape", raw)
			}
		})
	}
}

// membersNamed are the texts of all members of that name, and how many of the names have
// no escape.
func membersNamed(t *testing.T, object, name string) (values []string, plain int) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(object))
	for depth, key := 0, true; ; {
		token, err := d.Token()
		if err != nil {
			return values, strings.Count(object, `"`+name+`":`)
		}
		if delim, ok := token.(json.Delim); ok {
			depth += map[json.Delim]int{'{': 1, '[': 1, '}': -1, ']': -1}[delim]
			key = true
			continue
		}
		if depth == 1 && key && token == name {
			value, err := d.Token()
			text, ok := value.(string)
			if err != nil || !ok {
				t.Fatalf("%v %v", value, err)
			}
			values = append(values, text)
			continue
		}
		if depth == 1 {
			key = !key
		}
	}
}

// TestIssuersInOtherSpellings: for every form of issuer the cases name a URL that a reader of
// URLs takes for the issuer's, or that is the longer host that they say.
func TestIssuersInOtherSpellings(t *testing.T) {
	for _, issuer := range []string{"https://issuer.test", "https://issuer.test/realms/a", "http://127.0.0.1:8080", "http://[::1]:8080/a", "http://localhost"} {
		f := forgeryFor(t, "EdDSA")
		f.server.issuer = issuer
		ours, err := url.Parse(issuer)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"D19.scheme_in_capitals", "D19.port", "D19.trailing_dot", "D20.longer_host"} {
			iss, _ := takeApart(t, caseToken(t, f, id)).payload["iss"].(string)
			wantSpelling(t, id, iss, ours)
		}
		for member, id := range map[string]string{"jku": "C40.longer_host", "x5u": "C41.longer_host"} {
			address, _ := takeApart(t, caseToken(t, f, id)).header[member].(string)
			if u, err := url.Parse(address); err != nil && ours.Hostname() != "::1" || err == nil && (u.Scheme != ours.Scheme || u.Hostname() != ours.Hostname()+".evil.example" || u.Port() != ours.Port()) {
				t.Errorf("%s: %s for %s (%v)", id, address, issuer, err)
			}
		}
	}
}

func wantSpelling(t *testing.T, id, iss string, ours *url.URL) {
	t.Helper()
	host, port := ours.Hostname(), ours.Port()
	switch id {
	case "D19.port":
		port = map[string]string{"https": "443", "http": "80"}[ours.Scheme]
		if ours.Port() != "" {
			port = "0" + ours.Port()
		}
	case "D19.trailing_dot":
		host += "."
	case "D20.longer_host":
		host += ".evil.example"
	}
	if ours.Hostname() == "::1" && host != "::1" { // no URL at all, but still a text
		if iss == ours.String() || !strings.Contains(iss, ours.Path) {
			t.Errorf("%s: %s for %s", id, iss, ours)
		}
		return
	}
	u, err := url.Parse(iss)
	if err != nil || iss == ours.String() || u.Scheme != ours.Scheme || u.Hostname() != host || u.Port() != port || u.Path != ours.Path {
		t.Errorf("%s: %s for %s (%v)", id, iss, ours, err)
	}
}

// TestAstray: what counts as a request to which a token led.
func TestAstray(t *testing.T) {
	as := NewServer(t, func(c *Config) { c.Algorithm = "EdDSA" })
	jwks := []byte(`{"keys":[]}`)
	as.setCanary(jwks)
	for address, astray := range map[string]bool{
		as.Issuer() + "/canary/keys":                                   true,
		as.Issuer() + "/canary":                                        true,
		as.Issuer() + "/.well-known/oauth-authorization-server/canary": true,
		as.Issuer() + "/.well-known/openid-configuration/canary":       true,
		as.Issuer() + "/canary/.well-known/openid-configuration":       true,
		"https://user@evil.example/keys":                               true,
		"https://issuer.test.evil.example/keys":                        true,
		"http://169.254.169.254/latest/meta-data/":                     true,
		"http://issuer.test/jwks":                                      true,
		as.Issuer() + "/.well-known/oauth-authorization-server":        false,
		as.Issuer() + "/.well-known/openid-configuration":              false,
		as.Issuer() + "/no/such/path":                                  false,
		as.Issuer() + "/canaries":                                      false,
	} {
		t.Run("TA-23/"+strings.ReplaceAll(address, "/", "_"), func(t *testing.T) {
			before := as.count(as.astray)
			resp, err := as.HTTPClient().Get(address)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := as.count(as.astray) > before; got != astray {
				t.Errorf("counted: %v", got)
			}
		})
	}
	t.Run("TA-23/canary_redirect", func(t *testing.T) {
		resp, err := as.HTTPClient().Get(as.Issuer() + "/canary/redirect")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/canary/keys" {
			t.Errorf("%d at %s", resp.StatusCode, resp.Request.URL)
		}
	})
}

// TestWords: the words of a long scope all differ.
func TestWords(t *testing.T) {
	text, err := manyWords("2000")
	if all := strings.Split(text, " "); err != nil || len(all) != 2000 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != 2000 {
		t.Errorf("%d words, %v", len(all), err)
	}
	for _, count := range []string{"", "x", "-1", "2593"} {
		if _, err := manyWords(count); err == nil {
			t.Errorf("%q is taken", count)
		}
	}
	for count, want := range map[string]string{"0": "", "3": "100 101 102"} {
		if got, err := manyWords(count); err != nil || got != want {
			t.Errorf("%s: %q %v", count, got, err)
		}
	}
}

// TestPlaces: the host of the target in other spellings.
func TestPlaces(t *testing.T) {
	for host, want := range map[string][3]string{
		"api.test":       {"API.TEST", "api.test", ""},
		"api.test:8080":  {"API.TEST:8080", "api.test", ":8080"},
		"127.0.0.1:80":   {"127.0.0.1:80", "127.0.0.1", ":80"},
		"[::1]":          {"[::1]", "[::1]", ""},
		"[fe80::1]:8080": {"[FE80::1]:8080", "[fe80::1]", ":8080"},
	} {
		p := places("/orders", host, "PUT")
		if got := [3]string{p["target.HOST"], p["target.name"], p["target.port"]}; got != want || p["path"] != "/orders" {
			t.Errorf("%s: %q", host, got)
		}
	}
}

// TestPaddedSegments: the issuer signs a segment that does have padding, whatever its length.
func TestPaddedSegments(t *testing.T) {
	f := forgeryFor(t, "ES256")
	for i, id := range []string{"B11.padded_header", "B11.padded_payload"} {
		token := caseToken(t, f, id)
		parts := strings.Split(token, ".")
		sig, err := b64.DecodeString(parts[2])
		if err != nil || !strings.HasSuffix(parts[i], "=") || !f.issuers(parts[0]+"."+parts[1], sig) {
			t.Errorf("%s: not padded, or not signed so (%v)", id, err)
		}
	}
	for _, object := range []string{"{}", "{ }", "{  }"} {
		segment, err := encodeSegment([]string{"padded"}, object)
		text, bad := base64.URLEncoding.DecodeString(segment)
		if err != nil || bad != nil || !strings.HasSuffix(segment, "=") || !json.Valid(text) {
			t.Errorf("%q: %s %v %v", object, segment, err, bad)
		}
	}
}
