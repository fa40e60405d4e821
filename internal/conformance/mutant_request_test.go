// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"net/http"
	"net/url"
	"strings"
)

// credentialFrom is the mistake of reading the token in a way of one's own.
func credentialFrom(read func(*http.Request) string) func(*gate) {
	return func(g *gate) {
		g.credential = func(r *http.Request) (string, verdict) {
			if raw := read(r); raw != "" {
				return raw, pass
			}
			return "", anonymous
		}
	}
}

// credentialAlsoFrom is the mistake of a second place where a token may be.
func credentialAlsoFrom(read func(*http.Request) string) func(*gate) {
	return func(g *gate) {
		g.credential = func(r *http.Request) (string, verdict) {
			raw, v := bearerToken(r)
			if v == anonymous && read(r) != "" {
				return read(r), pass
			}
			return raw, v
		}
	}
}

// firstLine is the mistake of looking at one Authorization line of several, after
// edit has changed its value.
func firstLine(edit func(string) string) func(*gate) {
	return func(g *gate) {
		g.credential = func(r *http.Request) (string, verdict) {
			one := &http.Request{Header: http.Header{}}
			if value := r.Header.Get("Authorization"); value != "" {
				one.Header.Set("Authorization", edit(value))
			}
			return bearerToken(one)
		}
	}
}

// opensFor is the mistake of requests that need no token.
func opensFor(open func(*http.Request) bool) func(*gate) {
	return func(g *gate) {
		g.admit = func(r *http.Request) verdict {
			if open(r) {
				return pass
			}
			return g.decide(r)
		}
	}
}

// The mistakes of this file are in which requests are let in, and where the token is
// looked for.
var requestMutants = []mutant{
	{
		name: "case_sensitive_scheme", wrote: `looks for the prefix "Bearer " as it is written here`, in: everywhere,
		step: credentialFrom(func(r *http.Request) string {
			raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !ok {
				return ""
			}
			return raw
		}),
		problem: refused, cases: []string{"A5"},
	},
	{
		name: "scheme_and_blank_trimmed", wrote: "trims the scheme, then the blanks, so that the blank between them is optional",
		step: credentialFrom(func(r *http.Request) string {
			return strings.TrimSpace(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer"))
		}),
		problem: accepted, cases: []string{"A8"},
	},
	{
		name: "split_at_any_blank", wrote: "splits the header at white space and takes the second part",
		step: credentialFrom(func(r *http.Request) string {
			parts := strings.Fields(r.Header.Get("Authorization"))
			if len(parts) < 2 || !strings.EqualFold(parts[0], "bearer") {
				return ""
			}
			return parts[1]
		}),
		problem: accepted, cases: []string{"A7", "A9"},
	},
	{
		name: "first_of_two_headers", wrote: "asks Header.Get, which returns the first of two Authorization lines",
		step: firstLine(func(value string) string { return value }), problem: accepted, cases: []string{"A12", "A13"},
	},
	{
		name: "first_of_a_list", wrote: "takes the credentials in front of the first comma",
		step: firstLine(func(value string) string {
			first, _, _ := strings.Cut(value, ",")
			return first
		}),
		problem: accepted, cases: []string{"A10"},
	},
	{
		name: "quotes_stripped", wrote: "removes quotation marks around the token",
		step:    firstLine(func(value string) string { return strings.ReplaceAll(value, `"`, "") }),
		problem: accepted, cases: []string{"A11"},
	},
	{
		name: "percent_decoded", wrote: "undoes percent-encoding in the header",
		step: firstLine(func(value string) string {
			if plain, err := url.PathUnescape(value); err == nil {
				return plain
			}
			return value
		}),
		problem: accepted, cases: []string{"A21"},
	},
	{
		name: "query_token", wrote: "also takes access_token from the query",
		step:    credentialAlsoFrom(func(r *http.Request) string { return r.URL.Query().Get("access_token") }),
		problem: accepted, cases: []string{"A24"},
	},
	{
		name: "form_token", wrote: "also takes access_token from FormValue, which merges body and query",
		step:    credentialAlsoFrom(func(r *http.Request) string { return r.FormValue("access_token") }),
		problem: accepted, cases: []string{"A24", "A30"},
	},
	{
		name: "cookie_token", wrote: "also takes the token from a cookie",
		step: credentialAlsoFrom(func(r *http.Request) string {
			c, err := r.Cookie("access_token")
			if err != nil {
				return ""
			}
			return c.Value
		}),
		problem: accepted, cases: []string{"A35"},
	},
	{
		name: "forwarded_token", wrote: "also takes the token from X-Forwarded-Authorization",
		step: credentialAlsoFrom(func(r *http.Request) string {
			return strings.TrimPrefix(r.Header.Get("X-Forwarded-Authorization"), "Bearer ")
		}),
		problem: accepted, cases: []string{"A16"},
	},
	{
		name: "websocket_token", wrote: "also takes the token from Sec-WebSocket-Protocol",
		step: credentialAlsoFrom(func(r *http.Request) string {
			_, raw, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ", ")
			return raw
		}),
		problem: accepted, cases: []string{"A36"},
	},
	{
		name: "OPTIONS_open", wrote: "lets every OPTIONS request through, for preflights",
		step:    opensFor(func(r *http.Request) bool { return r.Method == http.MethodOptions }),
		problem: accepted, cases: []string{"A43"},
	},
	{
		name: "preflight_by_header", wrote: "takes every request with Access-Control-Request-Method for a preflight",
		step:    opensFor(func(r *http.Request) bool { return r.Header.Get("Access-Control-Request-Method") != "" }),
		problem: accepted, cases: []string{"A44"},
	},
	{
		name: "HEAD_open", wrote: "lets HEAD through, since it has no body",
		step:    opensFor(func(r *http.Request) bool { return r.Method == http.MethodHead }),
		problem: accepted, cases: []string{"A40"},
	},
	{
		name: "TRACE_open", wrote: "lists the methods that need a token, and forgets TRACE",
		step:    opensFor(func(r *http.Request) bool { return r.Method == http.MethodTrace }),
		problem: accepted, cases: []string{"A45"},
	},
	{
		name: "trusted_user_header", wrote: "believes X-User, which only the proxy was meant to set",
		step:    opensFor(func(r *http.Request) bool { return r.Header.Get("X-User") != "" }),
		problem: accepted, cases: []string{"K21"},
	},
	{
		name: "trusted_user_agent", wrote: "lets health probes in by their User-Agent",
		step:    opensFor(func(r *http.Request) bool { return strings.HasPrefix(r.UserAgent(), "kube-probe/") }),
		problem: accepted, cases: []string{"K21"},
	},
	{
		name: "trusted_address", wrote: "lets requests from 127.0.0.1 in, and believes X-Forwarded-For",
		step:    opensFor(func(r *http.Request) bool { return r.Header.Get("X-Forwarded-For") == "127.0.0.1" }),
		problem: accepted, cases: []string{"K21.x_forwarded_for"},
	},
	{
		name: "trusted_original_URL", wrote: "skips the check for the path in X-Original-URL",
		step:    opensFor(func(r *http.Request) bool { return r.Header.Get("X-Original-URL") == "/health" }),
		problem: accepted, cases: []string{"K21.x_original_url"},
	},
	{
		name: "upgrade_open", wrote: "lets WebSocket upgrades through, since browsers cannot send the header with them",
		step:    opensFor(func(r *http.Request) bool { return r.Header.Get("Upgrade") == "websocket" }),
		problem: accepted, cases: []string{"K28.websocket"},
	},
	{
		name: "DPoP_as_Bearer", wrote: "takes the scheme DPoP like Bearer, without a proof",
		step: firstLine(func(value string) string {
			return strings.Replace(value, "DPoP ", "Bearer ", 1)
		}),
		problem: accepted, cases: []string{"H37"},
	},
	{
		name: "certificate_header", wrote: "takes a bound token for proved where a header of the proxy holds some certificate",
		step: func(g *gate) {
			g.admit = func(r *http.Request) verdict {
				raw, v := g.credential(r)
				if v != pass || r.Header.Get("X-SSL-Client-Cert") == "" {
					return g.decide(r)
				}
				proved := *g
				proved.unbound = anyToken
				return proved.verifyToken(raw)
			}
		},
		problem: accepted, cases: []string{"I6.x_ssl_client_cert"},
	},
	{
		name: "skips_by_substring", wrote: "skips the check where the address contains /health",
		step:    opensFor(func(r *http.Request) bool { return strings.Contains(r.RequestURI, "/health") }),
		problem: accepted, cases: []string{"K20"},
	},
}
