// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plain is a claim as encoding/json gives it to a map.
func plain(t *token, name string) (v any) {
	val, _ := t.claims.Get(name)
	json.Unmarshal(val.Raw(), &v)
	return v
}

// checks makes a check of a question about a claim.
func checks(name string, good func(g *gate, claim any) bool) func(g *gate) check {
	return func(g *gate) check {
		return func(t *token) verdict { return badUnless(good(g, plain(t, name))) }
	}
}

func audience(good func(g *gate, aud any) bool) func(*gate) {
	return func(g *gate) { g.meantFor = checks("aud", good)(g) }
}

func issuer(good func(g *gate, iss any) bool) func(*gate) {
	return func(g *gate) { g.issuedBy = checks("iss", good)(g) }
}

// expiry is the mistake of a check of exp of one's own.
func expiry(good func(exp any) bool) func(*gate) {
	return func(g *gate) {
		g.inTime = func(t *token) verdict {
			return badUnless(good(plain(t, "exp")) && hasCome(t, "nbf") && hasCome(t, "iat"))
		}
	}
}

func later(seconds float64) bool { return seconds > float64(time.Now().Unix()) }

// claimMutants has the mistakes in claims other than scope.
var claimMutants = []mutant{
	{
		name: "audience_unchecked", wrote: "does not look at aud, so that a token for any API will do", in: everywhere,
		step: func(g *gate) { g.meantFor = anyToken }, problem: accepted, cases: []string{"D24", "D25", "D27"},
	},
	{
		name: "audience_if_present", wrote: "checks aud only where there is one",
		step:    audience(func(g *gate, aud any) bool { return aud == nil || aud == g.audience }),
		problem: accepted, cases: []string{"D24"},
	},
	{
		name: "audience_by_substring", wrote: "looks for its name in the text of aud",
		step:    audience(func(g *gate, aud any) bool { return strings.Contains(fmt.Sprint(aud), g.audience) }),
		problem: accepted, cases: []string{"D25", "D27"},
	},
	{
		name: "audience_not_a_list", wrote: "takes aud for a string always",
		step:    audience(func(g *gate, aud any) bool { return aud == g.audience }),
		problem: refused, cases: []string{"D26"},
	},
	{
		name: "issuer_unchecked", wrote: "does not look at iss",
		step: func(g *gate) { g.issuedBy = anyToken }, problem: accepted, cases: []string{"D17", "D19", "D20"},
	},
	{
		name: "issuer_by_prefix", wrote: "asks only that iss begins with the issuer",
		step: issuer(func(g *gate, iss any) bool {
			s, _ := iss.(string)
			return strings.HasPrefix(s, g.issuer)
		}),
		problem: accepted, cases: []string{"D20"},
	},
	{
		name: "issuer_without_slash", wrote: "removes a slash from the end of iss and compares in any case",
		step: issuer(func(g *gate, iss any) bool {
			s, _ := iss.(string)
			return strings.EqualFold(strings.TrimSuffix(s, "/"), g.issuer)
		}),
		problem: accepted, cases: []string{"D19"},
	},
	{
		name: "issuer_in_a_list", wrote: "takes an array for iss, as for aud",
		step: issuer(func(g *gate, iss any) bool {
			list, _ := iss.([]any)
			return iss == g.issuer || slices.Contains(list, any(g.issuer))
		}),
		problem: accepted, cases: []string{"D18"},
	},
	{
		name: "expiry_unchecked", wrote: "does not look at exp",
		step: expiry(func(any) bool { return true }), problem: accepted, cases: []string{"D1", "D2", "D4"},
	},
	{
		name: "expiry_if_present", wrote: "checks exp only where there is one",
		step: expiry(func(exp any) bool {
			f, ok := exp.(float64)
			return !ok && exp == nil || later(f)
		}),
		problem: accepted, cases: []string{"D1"},
	},
	{
		name: "expiry_in_any_unit", wrote: "takes exp for milliseconds where it is large",
		step: expiry(func(exp any) bool {
			f, _ := exp.(float64)
			return later(f) || later(f/1000)
		}),
		problem: accepted, cases: []string{"D8"},
	},
	{
		name: "expiry_from_text", wrote: "parses exp as a number whatever its type",
		step: expiry(func(exp any) bool {
			f, err := strconv.ParseFloat(fmt.Sprint(exp), 64)
			return err == nil && later(f)
		}),
		problem: accepted, cases: []string{"D4", "D6"},
	},
	{
		name: "expiry_is_an_integer", wrote: "reads exp into an int64, which takes no fraction and no exponent",
		step: func(g *gate) {
			g.inTime = func(t *token) verdict {
				var exp int64
				val, _ := t.claims.Get("exp")
				if json.Unmarshal(val.Raw(), &exp) != nil {
					return bad
				}
				return isInTime(t)
			}
		},
		problem: refused, cases: []string{"D7"},
	},
	{
		name: "expiry_with_a_day_of_leeway", wrote: "allows a day for clocks that are not in step",
		step: expiry(func(exp any) bool {
			f, _ := exp.(float64)
			return later(f + 86400)
		}),
		problem: accepted, cases: []string{"D2"},
	},
	{
		name: "not_before_unchecked", wrote: "does not look at nbf",
		step: func(g *gate) {
			g.inTime = func(t *token) verdict { return badUnless(endsLater(t) && hasCome(t, "iat")) }
		},
		problem: accepted, cases: []string{"D9", "D11"},
	},
	{
		name: "incomplete", wrote: "does not miss sub, client_id, jti and iat",
		step:    func(g *gate) { g.complete = anyToken },
		problem: accepted, cases: []string{"D12", "D32", "D33"},
	},
	{
		name: "three_claims_only", wrote: "checks iss, aud and exp, and nothing else",
		step: func(g *gate) {
			g.kind, g.complete, g.unbound, g.scoped = anyToken, anyToken, anyToken, anyToken
		},
		problem: accepted, cases: []string{"D30", "D31", "D36", "H38"},
	},
	{
		name: "binding_ignored", wrote: "does not look at cnf, so that a stolen bound token is as good as any",
		step: func(g *gate) { g.unbound = anyToken }, problem: accepted, cases: []string{"H38", "I1"},
	},
	{
		name: "certificate_header", wrote: "believes a certificate in Client-Cert without a proxy that sets it",
		step: boundToHeader, problem: accepted, cases: []string{"I6.client_cert"},
	},
	{
		name: "unknown_binding_ignored", wrote: "refuses a cnf with jkt, and ignores any other",
		step: func(g *gate) {
			g.unbound = func(t *token) verdict {
				cnf, _ := plain(t, "cnf").(map[string]any)
				return badUnless(cnf["jkt"] == nil)
			}
		},
		problem: accepted, cases: []string{"H43", "I1"},
	},
}

// boundToHeader is the mistake of a header that a proxy sets, where there is none.
func boundToHeader(g *gate) {
	next := g.admit
	g.unbound = anyToken
	g.admit = func(r *http.Request) verdict {
		v := next(r)
		raw, _ := g.credential(r)
		t, ok := g.parse(raw)
		if v != pass || !ok {
			return v
		}
		der, _ := base64.StdEncoding.DecodeString(strings.Trim(r.Header.Get("Client-Cert"), ":"))
		sum := sha256.Sum256(der)
		if cnf, _ := plain(t, "cnf").(map[string]any); cnf["x5t#S256"] == base64.RawURLEncoding.EncodeToString(sum[:]) {
			return pass
		}
		return isUnbound(t)
	}
}

// issuerMutants has the mistakes of an API that trusts two issuers.
var issuerMutants = []mutant{
	{
		name: "keys_of_all_issuers", wrote: "looks up the kid among the keys of all issuers", second: true,
		step: func(g *gate) {
			g.signature = func(t *token) verdict {
				for _, ring := range g.also {
					if v := ring.verify(t); v == pass {
						return pass
					}
				}
				return g.keys.verify(t)
			}
		},
		problem: accepted, cases: []string{"D21.second_key", "D21.second_name"},
	},
	{
		name: "first_issuer_for_all", wrote: "takes the keys of one issuer for the tokens of another as well", second: true,
		step: func(g *gate) {
			g.signature = func(t *token) verdict {
				if v := g.keys.verify(t); v == pass {
					return pass
				}
				return g.isSigned(t)
			}
		},
		problem: accepted, cases: []string{"D21.second_name"},
	},
	{
		name: "second_issuer_forgotten", wrote: "compares iss with one issuer, though there are two", second: true,
		step: issuer(func(g *gate, iss any) bool { return iss == g.issuer }), problem: refused, cases: []string{"D34"},
	},
}

// granted is the mistake of a check of scope of one's own.
func granted(enough func(g *gate, t *token, scope string) bool) func(*gate) {
	return func(g *gate) {
		g.scoped = func(t *token) verdict {
			if !enough(g, t, text(t.claims, "scope")) {
				return g.hasScope(t)
			}
			return pass
		}
	}
}

// anyScope is granted for what is asked of each scope in a list.
func anyScope(split func(string) []string, enough func(needed, scope string) bool) func(*gate) {
	return granted(func(g *gate, _ *token, scope string) bool {
		return slices.ContainsFunc(split(scope), func(s string) bool { return enough(g.scope, s) })
	})
}

func atSpaces(s string) []string { return strings.Split(s, " ") }

func equal(a, b string) bool { return a == b }

// scopeMutants has the mistakes in whether the token may do it.
var scopeMutants = []mutant{
	{
		name: "scope_unchecked", wrote: "asks for a valid token, whatever its scope",
		step: func(g *gate) { g.scoped = anyToken }, problem: accepted, cases: []string{"D36", "D37", "D39"},
	},
	{
		name: "scope_if_present", wrote: "checks scope only where there is one",
		step:    granted(func(_ *gate, t *token, _ string) bool { return !has(t.claims, "scope") }),
		problem: accepted, cases: []string{"D36"},
	},
	{
		name: "scope_in_any_case", wrote: "compares scopes with strings.EqualFold",
		step: anyScope(atSpaces, strings.EqualFold), problem: accepted, cases: []string{"D39.upper"},
	},
	{
		name: "one_of_the_scopes", wrote: "asks for any of the scopes that a route needs instead of all", scope: ordersBoth,
		step: granted(func(g *gate, _ *token, scope string) bool {
			return slices.ContainsFunc(atSpaces(scope), func(s string) bool { return slices.Contains(strings.Fields(g.scope), s) })
		}),
		problem: accepted, cases: []string{"D36.first_of_several", "D36.all_but_the_first"},
	},
	{
		name: "last_rule_counts", wrote: "keeps only the last of the rules that are set for a route", scope: ordersBoth,
		step: granted(func(g *gate, _ *token, scope string) bool {
			rules := strings.Fields(g.scope)
			return slices.Contains(atSpaces(scope), rules[len(rules)-1])
		}),
		problem: accepted, cases: []string{"D36.all_but_the_first"},
	},
	{
		name: "scope_by_substring", wrote: "looks for the scope with strings.Contains",
		step:    granted(func(g *gate, _ *token, scope string) bool { return strings.Contains(scope, g.scope) }),
		problem: accepted, cases: []string{"D39"},
	},
	{
		name: "scope_by_prefix", wrote: "takes a scope that begins like the one it needs",
		step: anyScope(atSpaces, func(needed, s string) bool { return strings.HasPrefix(s, needed) }), problem: accepted, cases: []string{"D39"},
	},
	{
		name: "scope_as_pattern", wrote: "lets a token hold patterns",
		step: anyScope(atSpaces, func(needed, s string) bool {
			ok, err := path.Match(s, needed)
			return err == nil && ok
		}),
		problem: accepted, cases: []string{"D39"},
	},
	{
		name: "scope_at_any_blank", wrote: "splits scope with strings.Fields, at TAB and no-break space, too",
		step: anyScope(strings.Fields, equal), problem: accepted, cases: []string{"D38"},
	},
	{
		name: "scope_at_commas", wrote: "splits scope at commas as well",
		step: anyScope(func(s string) []string {
			return strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' })
		}, equal),
		problem: accepted, cases: []string{"D39"},
	},
	{
		name: "scope_list_as_text", wrote: "makes a text of the claim with fmt.Sprint, whatever its type",
		step: granted(func(g *gate, t *token, _ string) bool {
			return strings.Contains(fmt.Sprint(plain(t, "scope")), g.scope)
		}),
		problem: accepted, cases: []string{"D40"},
	},
	{
		name: "scope_or_scp", wrote: "takes the union of scope and scp",
		step: granted(func(g *gate, t *token, _ string) bool {
			return slices.Contains(atSpaces(text(t.claims, "scp")), g.scope) || strings.Contains(fmt.Sprint(plain(t, "scp")), g.scope)
		}),
		problem: accepted, cases: []string{"D42"},
	},
	{
		name: "roles_grant_scopes", wrote: "lets roles and permissions stand in for scopes",
		step: granted(func(g *gate, t *token, _ string) bool {
			return strings.Contains(fmt.Sprint(plain(t, "roles"), plain(t, "permissions")), g.scope)
		}),
		problem: accepted, cases: []string{"D43"},
	},
	{
		name: "admin_claim", wrote: "lets everything be done by a token with admin true",
		step:    granted(func(_ *gate, t *token, _ string) bool { return plain(t, "admin") == true }),
		problem: accepted, cases: []string{"D60"},
	},
}
