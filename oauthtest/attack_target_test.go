// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// requiring is a route with a rule for scopes.
func requiring(t testing.TB, cfg verifier.Config, rule scopes.Rule, h http.HandlerFunc) http.Handler {
	t.Helper()
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		t.Fatal(err)
	}
	return nethttp.Require(g, rule)(h)
}

func orders(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, handlerText) }

var readTarget = Target{Path: "/orders", Scope: "orders:read"}

// A verifier that departs from the defaults on purpose has no finding once Target says
// so, and has findings before in just the cases that are named.
func TestAttackOfAnotherVerifier(t *testing.T) {
	t.Parallel()
	okta := verifier.ClaimPath{"scp"}
	for _, tc := range []struct {
		name   string
		change func(*verifier.Config)
		target func(*Target)
	}{
		{"token_types", func(c *verifier.Config) { c.TokenTypes = []string{"JWT", "at+jwt"} }, func(x *Target) {
			x.Except = map[string]string{"C50.jwt": "the issuer writes typ JWT"}
		}},
		{"optional_claims", func(c *verifier.Config) { c.OptionalClaims = []string{"iat", "jti"} }, func(x *Target) {
			x.Except = map[string]string{"D12.no_iat": "the issuer writes none", "D32": "the issuer writes none", "D58.jti_empty": "jti is not looked at"}
		}},
		{"one_algorithm", func(c *verifier.Config) { c.Algorithms = []string{"ES256"} }, func(x *Target) {
			x.Except = map[string]string{"E13": "no other algorithm", "E14": "no other algorithm", "E16": "no other algorithm"}
		}},
		{"short_tokens", func(c *verifier.Config) { c.MaxTokenBytes = 4096 }, func(x *Target) {
			x.Except = map[string]string{"B28.long_number": "long", "D46": "long", "A37": "other limit"}
		}},
		{"mapped_scopes", func(c *verifier.Config) { c.Mapping.Scopes = okta }, func(x *Target) { x.Mapping.Scopes = okta }},
		{"scopes_inside_a_claim", func(c *verifier.Config) { c.Mapping.Scopes = verifier.ClaimPath{"x", "y"} }, func(x *Target) {
			x.Mapping.Scopes = verifier.ClaimPath{"x", "y"}
		}},
		{"mapped_client", func(c *verifier.Config) { c.Mapping.ClientID = verifier.ClaimPath{"cid"} }, func(x *Target) {
			x.Mapping.ClientID = verifier.ClaimPath{"cid"}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			OneOfMany(t, tc.name == "mapped_scopes")
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				cfg := as.VerifierConfig(attackedAPI)
				tc.change(&cfg)
				target := readTarget
				tc.target(&target)
				for _, f := range findingsOf(t, requiring(t, cfg, scopes.All("orders:read"), orders), as, target) {
					t.Error(f)
				}
			})
		})
	}
}

// The presets of providers need no more than this.
func TestAttackOfProviders(t *testing.T) {
	t.Parallel()
	opt := providers.Options{Audience: []string{attackedAPI}}
	for name, make := range map[string]func() (verifier.Config, error){
		"keycloak": func() (verifier.Config, error) {
			return providers.Keycloak("https://id.example.com/realms/main", "shop", opt)
		},
		"auth0": func() (verifier.Config, error) { return providers.Auth0("shop.eu.auth0.com", opt) },
		"okta":  func() (verifier.Config, error) { return providers.Okta("https://shop.okta.com/oauth2/default", opt) },
	} {
		t.Run(name, func(t *testing.T) {
			OneOfMany(t, name == "okta")
			synctest.Test(t, func(t *testing.T) {
				cfg, err := make()
				if err != nil {
					t.Fatal(err)
				}
				as := NewServer(t, func(c *Config) { c.Issuer = cfg.Issuer })
				cfg.Keys = as.VerifierConfig(attackedAPI).Keys
				target := readTarget
				target.Profile, target.Mapping = cfg.Profile, cfg.Mapping
				target.Except = providerExceptions[name]
				for _, f := range findingsOf(t, requiring(t, cfg, scopes.All("orders:read"), orders), as, target) {
					t.Error(f)
				}
			})
		})
	}
}

var providerExceptions = map[string]map[string]string{
	"keycloak": {"C50.jwt": "it writes typ JWT"},
	"auth0": {
		"C50.jwt": "it writes typ JWT", "D32.no_jti": "it may leave jti out", "D58.jti_empty": "jti is not looked at",
	},
	"okta": {"C49.no_typ": "it writes none"},
}

// The reason of an exception is that of the skip.
func TestAttackExcept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		as := NewServer(t, quick)
		h := attacked(t, as.VerifierConfig(attackedAPI))
		target := ordersTarget
		target.Except = map[string]string{"C1.none_lower": "one of a row", "D19": "a whole row"}
		cases := slices.DeleteFunc(slices.Clone(catalogue()), func(c attackCase) bool { return !strings.HasPrefix(c.ID, "C1.") && !strings.HasPrefix(c.ID, "D19.") })
		list, _ := runCases(t, h, as, target, cases)
		count := map[string]int{}
		for _, p := range list {
			row, _, _ := strings.Cut(p.id, ".")
			count[row+": "+p.skip]++
		}
		if count["C1: one of a row"] != 1 || count["C1: "] == 0 || count["D19: a whole row"] < 2 || count["D19: "] != 0 {
			t.Error(count)
		}
	})
}

// Rules of all kinds are named by what their challenge asks for.
func TestAttackOfScopeRules(t *testing.T) {
	t.Parallel()
	for scope, rule := range map[string]scopes.Rule{
		"orders:read":              scopes.Any("orders:read", "orders:admin"),
		"orders:read orders:write": scopes.All("orders:read", "orders:write"),
	} {
		t.Run(scope, func(t *testing.T) {
			OneOfMany(t, strings.Contains(scope, " "))
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				h := requiring(t, as.VerifierConfig(attackedAPI), rule, orders)
				for _, f := range findingsOf(t, h, as, Target{Path: "/orders", Scope: scope}, "D39") {
					t.Error(f)
				}
			})
		})
	}
}

// Header reaches the route, also where it has a host of its own.
func TestAttackHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		as := NewServer(t, quick)
		good := attacked(t, as.VerifierConfig(attackedAPI))
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Host != "orders.example" && r.Host != "" && !strings.Contains(r.Host, "evil"):
				http.Error(w, "unknown host", http.StatusMisdirectedRequest)
			case !slices.Equal(r.Header["X-Api-Version"], []string{"2", "3"}):
				http.Error(w, "which version?", http.StatusBadRequest)
			default:
				good.ServeHTTP(w, r)
			}
		})
		target := ordersTarget
		target.Header = http.Header{"Host": {"orders.example"}, "X-API-Version": {"2", "3"}}
		for _, f := range findingsOf(t, h, as, target) {
			t.Error(f)
		}
	})
}

// What differs from answer to answer, and what limits them, ends the attack once, with
// what to do about it.
func TestAttackStops(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	for name, tc := range map[string]struct {
		make  func(good http.Handler) http.HandlerFunc
		names string
	}{
		"time": {func(good http.Handler) http.HandlerFunc {
			n.Store(0)
			return func(w http.ResponseWriter, r *http.Request) {
				if good.ServeHTTP(w, r); w.Header().Get("WWW-Authenticate") == "" {
					fmt.Fprint(w, n.Add(1)/50) // as the seconds of a clock
				}
			}
		}, "set Target.Marker"},
		"429": {func(good http.Handler) http.HandlerFunc {
			n.Store(0)
			return func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) > 100 {
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				good.ServeHTTP(w, r)
			}
		}, "limits requests"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				h := tc.make(attacked(t, as.VerifierConfig(attackedAPI)))
				tb := &failing{TB: t}
				var found []Finding
				var done sync.WaitGroup
				done.Go(func() { found = Findings(tb, h, as, ordersTarget) })
				done.Wait()
				if !strings.Contains(tb.text, tc.names) || strings.Contains(tb.text, "a lock") || len(found) > 0 {
					t.Errorf("%q, %v", tb.text, found)
				}
			})
		})
	}
}

// A router that answers HEAD for every path with a page has not run the handler; one
// that runs it for HEAD without the guard has.
func TestAttackHEAD(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]bool{"fallback": false, "unguarded": true} {
		t.Run(name, func(t *testing.T) {
			OneOfMany(t, bad)
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				good := attacked(t, as.VerifierConfig(attackedAPI))
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.Method == http.MethodHead && bad && r.URL.Path == "/orders":
						orders(w, r)
					case r.Method == http.MethodHead:
						io.WriteString(w, "<html>welcome</html>")
					default:
						good.ServeHTTP(w, r)
					}
				})
				found := findingsOf(t, h, as, ordersTarget, "A40")
				accepted := slices.ContainsFunc(found, func(f Finding) bool { return f.Case == "A40.head_without_token" && f.Problem == Accepted })
				if accepted != bad || !bad && len(found) > 0 {
					t.Errorf("%v", found)
				}
			})
		})
	}
}

func TestSendingLarge(t *testing.T) {
	for size, want := range map[int]bool{commonHead: false, commonHead + 1: true} {
		s := sending{method: "GET", target: "/a", lines: []string{strings.Repeat("x", size-5)}}
		if s.large() != want {
			t.Errorf("%d octets: %v", size, !want)
		}
	}
}

// Answers to HEAD are alike if nothing that describes the content differs.
func TestAnswerLike(t *testing.T) {
	page := answered(200, "", "Content-Length: 20", "Content-Type: text/html")
	for name, tc := range map[string]struct {
		a    answer
		want bool
	}{
		"same":         {answered(200, "", "Content-Length: 20", "Content-Type: text/html", "Date: x"), true},
		"length":       {answered(200, "", "Content-Length: 21", "Content-Type: text/html"), false},
		"type":         {answered(200, "", "Content-Length: 20", "Content-Type: text/plain"), false},
		"status":       {answered(404, "", "Content-Length: 20", "Content-Type: text/html"), false},
		"no_answer":    {answer{err: io.EOF}, false},
		"etag_besides": {answered(200, "", "Content-Length: 20", "Content-Type: text/html", "ETag: x"), false},
	} {
		if tc.a.like(page) != tc.want {
			t.Errorf("%s: %v", name, !tc.want)
		}
	}
}

// Recipes follow a Mapping, or are left out where they cannot.
func TestTargetMapped(t *testing.T) {
	for _, tc := range []struct {
		name, claims string
		scopes       verifier.ClaimPath
		want         string // "" if the case is skipped
	}{
		{"set", `{"set":{"scope":"x"}}`, verifier.ClaimPath{"scp"}, `{"set":{"scp":"x"}}`},
		{"remove", `{"remove":["iat","scope"]}`, verifier.ClaimPath{"scp"}, `{"set":{},"remove":["iat","scp"]}`},
		{"other_claims", `{"set":{"sub":"x"}}`, verifier.ClaimPath{"scp"}, `{"set":{"sub":"x"}}`},
		{"no_mapping", `{"set":{"scope":["x"]}}`, nil, `{"set":{"scope":["x"]}}`},
		{"usual_name", `{"set":{"scope":"x"}}`, verifier.ClaimPath{"scope"}, `{"set":{"scope":"x"}}`},
		{"list", `{"set":{"scope":["x"]}}`, verifier.ClaimPath{"scope"}, ""},
		{"list_with_null", `{"set":{"scope":["x",null]}}`, verifier.ClaimPath{"scp"}, `{"set":{"scp":["x",null]}}`},
		{"by_hand", `{"append":"\"scope\":1"}`, verifier.ClaimPath{"scp"}, ""},
		{"both", `{"remove":["scope"],"set":{"scp":"x"}}`, verifier.ClaimPath{"scp"}, ""},
		{"deep", `{"set":{"scope":"x"}}`, verifier.ClaimPath{"a", "b"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p part
			if err := json.Unmarshal([]byte(tc.claims), &p); err != nil {
				t.Fatal(err)
			}
			c := Target{Mapping: verifier.Mapping{Scopes: tc.scopes}}.mapped(attackCase{Tokens: map[string]recipe{"token": {Claims: p}}})
			got, err := json.Marshal(c.Tokens["token"].Claims)
			if err != nil {
				t.Fatal(err)
			}
			skipped := slices.Contains(c.Needs, fixedClaims)
			if skipped != (tc.want == "") || !skipped && !equalJSON(t, string(got), tc.want) {
				t.Errorf("%s, needs %v", got, c.Needs)
			}
		})
	}
}

func equalJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y part
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	return maps.EqualFunc(x.Set, y.Set, func(v, w json.RawMessage) bool { return string(v) == string(w) }) && slices.Equal(x.Remove, y.Remove)
}

// Who takes a connection for its first user is found out.
func TestAttackConnection(t *testing.T) {
	t.Parallel()
	as, err := Listen(Config{Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	defer as.Close()
	type known struct{}
	good := attacked(t, as.VerifierConfig(attackedAPI))
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := r.Context().Value(known{}).(*atomic.Bool)
		if user.Load() {
			orders(w, r)
			return
		}
		good.ServeHTTP(w, r)
		user.Store(w.Header().Get("WWW-Authenticate") == "")
	}))
	srv.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, known{}, new(atomic.Bool))
	}
	srv.Start()
	defer srv.Close()
	var found []Finding
	attackURL(t, srv.URL, as, ordersTarget, collector(t, &found))
	got := map[string]Problem{}
	for _, f := range found {
		got[f.Case] = f.Problem
	}
	if want := map[string]Problem{"K18.second_request": Accepted, "K18.second_bad": Accepted}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A stream is attacked like any other route, if Target.Marker says how it begins.
func TestAttackStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		as := NewServer(t, quick)
		h := requiring(t, as.VerifierConfig(attackedAPI), scopes.All("orders:read"), func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				orders(w, r)
				w.(http.Flusher).Flush()
				time.Sleep(time.Second)
			}
		})
		target := readTarget
		target.Marker = handlerText
		for _, f := range findingsOf(t, h, as, target) {
			t.Error(f)
		}
	})
}
