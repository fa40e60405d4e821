// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// schemeAlso is the mistake of credentials of another form, beside those of RFC 6750.
func schemeAlso(read func(value string) (string, bool)) func(*gate) {
	return func(g *gate) {
		g.credential = func(r *http.Request) (string, verdict) {
			raw, v := bearerToken(r)
			if v != anonymous || len(r.Header["Authorization"]) != 1 {
				return raw, v
			}
			if other, ok := read(r.Header.Get("Authorization")); ok && strings.Count(other, ".") == 2 && !strings.ContainsAny(other, " \t") {
				return other, pass
			}
			return raw, v
		}
	}
}

// anyAudience is the mistake of a comparison of one's own, for each audience of a token.
func anyAudience(fits func(g *gate, aud string) bool) func(*gate) {
	return func(g *gate) {
		g.meantFor = func(t *token) verdict {
			val, _ := t.claims.Get("aud")
			list, _ := val.Texts()
			return badUnless(slices.ContainsFunc(append(list, text(t.claims, "aud")), func(aud string) bool {
				return aud == g.audience || fits(g, aud)
			}))
		}
	}
}

// nearScope is the mistake of taking another scope for the needed one.
func nearScope(enough func(needed, scope string) bool) func(*gate) {
	return anyScope(atSpaces, func(needed, s string) bool { return s == needed || enough(needed, s) })
}

// nearMutants has the mistakes of taking something for what it only resembles, and of
// places that are none for a token.
var nearMutants = []mutant{
	{
		name: "scheme_optional", wrote: "cuts off the word Bearer where it is there, and takes the value as it is where it is not",
		step:    schemeAlso(func(value string) (string, bool) { return value, true }),
		problem: accepted, cases: []string{"A8.bare"},
	},
	{
		name: "other_schemes", wrote: "takes the schemes JWT and Token beside Bearer",
		step: schemeAlso(func(value string) (string, bool) {
			scheme, raw, _ := strings.Cut(value, " ")
			return raw, scheme == "JWT" || scheme == "Token"
		}),
		problem: accepted, cases: []string{"A4.jwt", "A4.token"},
	},
	{
		name: "any_scheme", wrote: "takes what follows the first blank, whatever the scheme is",
		step: schemeAlso(func(value string) (string, bool) {
			_, raw, found := strings.Cut(value, " ")
			return raw, found
		}),
		problem: accepted, cases: []string{"A4.jwt", "A4.token", "A4.basic_token"},
	},
	{
		name: "scheme_anywhere", wrote: `takes what follows "Bearer ", wherever that stands`,
		step: schemeAlso(func(value string) (string, bool) {
			_, raw, found := strings.Cut(value, "Bearer ")
			return raw, found
		}),
		problem: accepted, cases: []string{"A8.longer_scheme"},
	},
	{
		name: "basic_password", wrote: "takes the password of Basic credentials for a token",
		step: credentialAlsoFrom(func(r *http.Request) string {
			_, password, _ := r.BasicAuth()
			return password
		}),
		problem: accepted, cases: []string{"A4.basic_password"},
	},
	{
		name: "query_of_another_name", wrote: "also takes the query parameter token, for WebSockets",
		step:    credentialAlsoFrom(func(r *http.Request) string { return r.URL.Query().Get("token") }),
		problem: accepted, cases: []string{"A24.other_names"},
	},
	{
		name: "cookie_of_another_name", wrote: "also takes the cookie jwt",
		step: credentialAlsoFrom(func(r *http.Request) string {
			if c, err := r.Cookie("jwt"); err == nil {
				return c.Value
			}
			return ""
		}),
		problem: accepted, cases: []string{"A35.other_names"},
	},
	{
		name: "header_of_its_own", wrote: "also takes the header X-Auth-Token",
		step:    credentialAlsoFrom(func(r *http.Request) string { return r.Header.Get("X-Auth-Token") }),
		problem: accepted, cases: []string{"A16.bare"},
	},
	{
		name: "trusted_real_IP", wrote: "lets requests from 127.0.0.1 in, and believes X-Real-IP",
		step:    opensFor(func(r *http.Request) bool { return r.Header.Get("X-Real-IP") == "127.0.0.1" }),
		problem: accepted, cases: []string{"K21.own_address"},
	},
	{
		name: "trusted_Forwarded", wrote: "lets requests from 127.0.0.1 in, and believes Forwarded",
		step:    opensFor(func(r *http.Request) bool { return strings.Contains(r.Header.Get("Forwarded"), "for=127.0.0.1") }),
		problem: accepted, cases: []string{"K21.own_address"},
	},
	{
		name: "trusted_localhost", wrote: "lets requests in that ask for the host localhost",
		step:    opensFor(func(r *http.Request) bool { return r.Host == "localhost" }),
		problem: accepted, cases: []string{"K21.host_localhost"},
	},
	{
		name: "trusted_Referer", wrote: "lets requests in whose Referer is a page of its own",
		step: opensFor(func(r *http.Request) bool {
			u, err := url.Parse(r.Referer())
			return err == nil && u.Host == r.Host
		}),
		problem: accepted, cases: []string{"K21.referer"},
	},
	{
		name: "login_skipped_by_substring", wrote: "skips the check where the address contains /login",
		step:    opensFor(func(r *http.Request) bool { return strings.Contains(r.RequestURI, "/login") }),
		problem: accepted, cases: []string{"K20.login_query"},
	},
	{
		name: "swagger_skipped_by_substring", wrote: "skips the check where the address contains /swagger",
		step:    opensFor(func(r *http.Request) bool { return strings.Contains(r.RequestURI, "/swagger") }),
		problem: accepted, cases: []string{"K20.login_query"},
	},
	{
		name: "audience_in_any_case", wrote: "compares aud with strings.EqualFold",
		step:    anyAudience(func(g *gate, aud string) bool { return strings.EqualFold(aud, g.audience) }),
		problem: accepted, cases: []string{"D25.other_case"},
	},
	{
		name: "audience_trimmed", wrote: "trims blanks from aud",
		step:    anyAudience(func(g *gate, aud string) bool { return strings.TrimSpace(aud) == g.audience }),
		problem: accepted, cases: []string{"D25.blank"},
	},
	{
		name: "audience_above", wrote: "takes an audience of which its own is a part",
		step:    anyAudience(func(g *gate, aud string) bool { return strings.HasPrefix(g.audience, aud+"/") }),
		problem: accepted, cases: []string{"D25.parent"},
	},
	{
		name: "audience_by_shorter", wrote: "compares aud up to the length of the shorter one",
		step: anyAudience(func(g *gate, aud string) bool {
			return len(aud)+1 == len(g.audience) && strings.HasPrefix(g.audience, aud)
		}),
		problem: accepted, cases: []string{"D25.shorter"},
	},
	{
		name: "audience_of_any_scheme", wrote: "compares aud without the scheme of the URL",
		step: anyAudience(func(g *gate, aud string) bool {
			_, a, _ := strings.Cut(aud, "://")
			_, own, _ := strings.Cut(g.audience, "://")
			return a == own
		}),
		problem: accepted, cases: []string{"D25.other_scheme"},
	},
	{
		name: "audience_is_the_issuer", wrote: "takes tokens whose audience is the issuer",
		step:    anyAudience(func(g *gate, aud string) bool { return aud == g.issuer }),
		problem: accepted, cases: []string{"D25.issuer"},
	},
	{
		name: "audience_account", wrote: "takes the audience account, which its issuer puts into every token",
		step:    anyAudience(func(_ *gate, aud string) bool { return aud == "account" }),
		problem: accepted, cases: []string{"D25.account"},
	},
	{
		name: "scope_of_the_level_above", wrote: "takes orders for orders:read",
		step:    nearScope(func(needed, s string) bool { return strings.HasPrefix(needed, s+":") }),
		problem: accepted, cases: []string{"D39.parent"},
	},
	{
		name: "scope_of_the_open_level", wrote: "takes orders: for orders:read",
		step:    nearScope(func(needed, s string) bool { return strings.HasSuffix(s, ":") && strings.HasPrefix(needed, s) }),
		problem: accepted, cases: []string{"D39.open_level"},
	},
	{
		name: "scope_with_a_star", wrote: "takes orders:* for orders:read",
		step: nearScope(func(needed, s string) bool {
			level, star := strings.CutSuffix(s, ":*")
			return star && strings.HasPrefix(needed, level+":")
		}),
		problem: accepted, cases: []string{"D39.level_star"},
	},
	{
		name: "scope_by_suffix", wrote: "asks only that the needed scope ends with that of the token",
		step:    nearScope(func(needed, s string) bool { return strings.HasSuffix(needed, ":"+s) }),
		problem: accepted, cases: []string{"D39.last_level"},
	},
	{
		name: "scope_by_prefix_of_the_needed", wrote: "asks only that the needed scope begins with that of the token",
		step:    nearScope(func(needed, s string) bool { return s != "" && strings.HasPrefix(needed, s) }),
		problem: accepted, cases: []string{"D39.shorter", "D39.first_letter"},
	},
	{
		name: "scope_of_another_API", wrote: "cuts off what stands before the last slash of a scope",
		step:    nearScope(func(needed, s string) bool { return strings.HasSuffix(s, "/"+needed) }),
		problem: accepted, cases: []string{"D39.url"},
	},
	{
		name: "scope_admin", wrote: "takes the scope admin for all scopes",
		step: nearScope(func(_, s string) bool { return s == "admin" }), problem: accepted, cases: []string{"D39.admin"},
	},
	{
		name: "scope_openid", wrote: "takes the scope openid for a right to everything",
		step: nearScope(func(_, s string) bool { return s == "openid" }), problem: accepted, cases: []string{"D39.login"},
	},
}

// choices are no mistakes, although this module decides otherwise (A25, C26, B28).
var choices = map[string]func(*gate){
	// RFC 6750 §2 and §3.1: more than one method of sending a token.
	"A25_two_methods_are_malformed": func(g *gate) {
		g.credential = func(r *http.Request) (string, verdict) {
			raw, v := bearerToken(r)
			if v == pass && r.URL.Query().Has("access_token") {
				return "", malformed
			}
			return raw, v
		}
	},
	// RFC 7515 §4.1.4: kid is optional, and so is what a recipient makes of its absence.
	"C26_kid_is_required_of_several_keys": func(g *gate) {
		g.signature = func(t *token) verdict {
			if !has(t.header, "kid") && len(g.keys.all()) > 1 {
				return bad
			}
			return g.isSigned(t)
		}
	},
	// RFC 8259 §6: an implementation may limit the range of numbers.
	"B28_numbers_are_float64": func(g *gate) {
		g.object = func(text []byte) (strictjson.Object, error) {
			var m map[string]any
			if err := json.Unmarshal(text, &m); err != nil {
				return strictjson.Object{}, err
			}
			return strictjson.ParseObject(text)
		}
	},
}
