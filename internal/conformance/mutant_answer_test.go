// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"
)

// answers is the mistake of an answer of one's own to some verdicts.
func answers(answer func(w http.ResponseWriter, r *http.Request, v verdict) (done bool)) func(*gate) {
	return func(g *gate) {
		g.refuse = func(w http.ResponseWriter, r *http.Request, v verdict) {
			if !answer(w, r, v) {
				g.deny(w, r, v)
			}
		}
	}
}

// answersAs is the mistake of taking one verdict for another.
func answersAs(as func(verdict) verdict) func(*gate) {
	return func(g *gate) {
		g.refuse = func(w http.ResponseWriter, r *http.Request, v verdict) { g.deny(w, r, as(v)) }
	}
}

// challenges is the mistake of a challenge of one's own.
func challenges(line func(r *http.Request, v verdict) string) func(*gate) {
	return answers(func(w http.ResponseWriter, r *http.Request, v verdict) bool {
		if text := line(r, v); text != "" {
			w.Header().Set("WWW-Authenticate", text)
		}
		w.WriteHeader(v.status)
		return true
	})
}

func sent(r *http.Request) string {
	_, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return raw
}

// The mistakes of this file are in what becomes of a refusal.
var answerMutants = []mutant{
	{
		name: "bad_token_is_anonymous", wrote: "goes on without a user where the token is bad", in: everywhere,
		step: func(g *gate) {
			g.admit = func(r *http.Request) verdict {
				if v := g.decide(r); v != bad {
					return v
				}
				return pass
			}
		},
		problem: accepted, cases: []string{"C1", "D2", "A22"},
	},
	{
		name: "no_token_is_anonymous", wrote: "checks the token only if there is one",
		step: func(g *gate) {
			g.admit = func(r *http.Request) verdict {
				if v := g.decide(r); v != anonymous {
					return v
				}
				return pass
			}
		},
		problem: accepted, cases: []string{"A1", "A4"},
	},
	{
		name: "outage_is_401", wrote: "answers invalid_token when the keys cannot be fetched",
		step: answersAs(func(v verdict) verdict {
			if v == unavailable {
				return bad
			}
			return v
		}),
		problem: answered, cases: []string{"C29"},
	},
	{
		name: "outage_is_open", wrote: "lets requests through when the keys cannot be fetched",
		step: func(g *gate) {
			g.admit = func(r *http.Request) verdict {
				if v := g.decide(r); v != unavailable {
					return v
				}
				return pass
			}
		},
		problem: accepted, cases: []string{"C29"},
	},
	{
		name: "all_is_401", wrote: "answers 401 to all refusals, also to a lacking scope",
		step: answersAs(func(v verdict) verdict {
			if v == lacking || v == malformed {
				return bad
			}
			return v
		}),
		problem: answered, cases: []string{"A12", "D36"},
	},
	{
		name: "bad_token_is_403", wrote: "answers 403 to a bad token",
		step: answersAs(func(v verdict) verdict {
			if v == bad {
				return lacking
			}
			return v
		}),
		problem: answered, cases: []string{"C1", "D2"},
	},
	{
		name: "error_without_credentials", wrote: "says invalid_token where no token was sent",
		step: answersAs(func(v verdict) verdict {
			if v == anonymous {
				return bad
			}
			return v
		}),
		problem: answered, cases: []string{"A1"},
	},
	{
		name: "error_in_a_200", wrote: "answers 200 with an error in the body",
		step: answers(func(w http.ResponseWriter, _ *http.Request, v verdict) bool {
			io.WriteString(w, `{"error":"`+v.code+`"}`)
			return true
		}),
		problem: accepted, cases: []string{"A1", "C1"},
	},
	{
		name: "redirect_to_login", wrote: "redirects to a login page",
		step: answers(func(w http.ResponseWriter, r *http.Request, v verdict) bool {
			if v == anonymous || v == bad {
				http.Redirect(w, r, "/login", http.StatusFound)
			}
			return v == anonymous || v == bad
		}),
		problem: answered, cases: []string{"A1", "C1"},
	},
	{
		name: "token_in_the_body", wrote: "quotes the token in the body of the refusal",
		step: answers(func(w http.ResponseWriter, r *http.Request, v verdict) bool {
			if v == bad {
				w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
				http.Error(w, "bad token "+sent(r), v.status)
			}
			return v == bad
		}),
		problem: leaked, cases: []string{"C1", "D2"},
	},
	{
		name: "token_in_the_challenge", wrote: "quotes the token in error_description",
		step: challenges(func(r *http.Request, v verdict) string {
			if v != bad {
				return `Bearer realm="orders"`
			}
			return `Bearer error="invalid_token", error_description="cannot verify ` + sent(r) + `"`
		}),
		problem: leaked, cases: []string{"C1"},
	},
	{
		name: "no_challenge", wrote: "answers 401 without WWW-Authenticate", in: everywhere,
		step:    challenges(func(*http.Request, verdict) string { return "" }),
		problem: answered, cases: []string{"A1", "C1"},
	},
	{
		name: "unquoted_challenge", wrote: "writes the challenge without quotation marks",
		step:    challenges(func(_ *http.Request, v verdict) string { return "Bearer realm=our orders, error=" + v.code }),
		problem: answered, cases: []string{"A1", "C1"},
	},
	{
		name: "parameter_twice", wrote: "adds its realm to a challenge that has one",
		step:    challenges(func(*http.Request, verdict) string { return `Bearer realm="orders", Realm="api"` }),
		problem: answered, cases: []string{"A1"},
	},
	{
		name: "challenge_for_Basic", wrote: "leaves the challenge of the login page in place",
		step:    challenges(func(*http.Request, verdict) string { return `Basic realm="orders"` }),
		problem: answered, cases: []string{"A1"},
	},
	{
		name: "wrong_code", wrote: "makes up an error code",
		step: answersAs(func(v verdict) verdict {
			if v == bad {
				v.code = "token_invalid"
			}
			return v
		}),
		problem: answered, cases: []string{"C1"},
	},
	{
		name: "panics_on_malformed", wrote: "takes the three parts of a token without counting them",
		step: takesThreeParts, problem: crashed, cases: []string{"A22"},
	},
	{
		name: "panics_on_malformed_echo", wrote: "takes the three parts of a token without counting them, behind Recover", in: []string{"Echo"},
		step: takesThreeParts,
		mount: func(g *gate) http.Handler {
			e := echo.New()
			e.Use(echoRecover)
			e.Any(ordersPath, echoOrders, g.echo)
			return e
		},
		problem: crashed, cases: []string{"A22"},
	},
	{
		name: "panics_on_malformed_gin", wrote: "takes the three parts of a token without counting them, behind Recovery", in: []string{"Gin"},
		step: takesThreeParts,
		mount: func(g *gate) http.Handler {
			r := gin.New()
			r.Use(gin.RecoveryWithWriter(io.Discard))
			r.Any(ordersPath, g.gin, ginOrders)
			return r
		},
		problem: crashed, cases: []string{"A22"},
	},
}

// echoRecover answers 500 to a panic, as Echo's own middleware of that name does.
func echoRecover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if recover() != nil {
				err = echo.ErrInternalServerError
			}
		}()
		return next(c)
	}
}

func takesThreeParts(g *gate) {
	next := g.verify
	g.verify = func(raw string) verdict {
		parts := strings.Split(raw, ".")
		_ = parts[1] + parts[2]
		return next(raw)
	}
}

// remembers is the mistake of a memory of good tokens by something that a bad one
// shares with them.
func remembers(name func(*gate, string) string) func(*gate) {
	return func(g *gate) {
		next := g.verify
		var good sync.Map
		g.verify = func(raw string) verdict {
			id := name(g, raw)
			if _, ok := good.Load(id); ok && id != "" {
				return pass
			}
			v := next(raw)
			if v == pass {
				good.Store(id, true)
			}
			return v
		}
	}
}

// The mistakes of memoryMutants are in remembering what was verified.
var memoryMutants = []mutant{
	{
		name: "remembered_by_subject", wrote: "remembers verified tokens by the sub that a token claims",
		step: remembers(func(g *gate, raw string) string {
			t, ok := g.parse(raw)
			if !ok {
				return ""
			}
			return text(t.claims, "sub")
		}),
		problem: accepted, cases: []string{"C1", "D2", "D25"},
	},
	{
		name: "remembered_without_signature", wrote: "remembers verified tokens by header and payload",
		step: remembers(func(_ *gate, raw string) string {
			if end := strings.LastIndexByte(raw, '.'); end > 0 {
				return raw[:end]
			}
			return ""
		}),
		problem: accepted, cases: []string{"L1.other_signature", "L1.cut_signature"},
	},
	{
		name: "remembered_for_ever", wrote: "remembers verified tokens, and not when they expire",
		step:    remembers(func(_ *gate, raw string) string { return raw }),
		problem: accepted, cases: []string{"L2"},
	},
	{
		name: "remembered_by_prefix", wrote: "remembers verified tokens by their first 300 bytes",
		step:    remembers(func(_ *gate, raw string) string { return raw[:min(300, len(raw))] }),
		problem: accepted, cases: []string{"L1.other_signature", "L1.cut_signature"},
	},
}
