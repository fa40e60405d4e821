// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

var update = flag.Bool("update", false, "write the table in docs/testing.md anew, with -run TestMutants")

const (
	accepted = oauthtest.Accepted
	leaked   = oauthtest.Leaked
	fetched  = oauthtest.Fetched
	crashed  = oauthtest.Crashed
	refused  = oauthtest.Refused
	answered = oauthtest.Answered
)

var everywhere = []string{"net/http", "Echo", "Gin"}

// mutant is a gate with one mistake.
type mutant struct {
	name string
	// wrote says what the user did wrong.
	wrote string
	// in lists the frameworks in which it is tried; nil is net/http.
	in []string
	// algorithm is that of the issuer; "" is ES256, the quickest.
	algorithm string
	// step breaks a step of a good gate, mount mounts a gate wrongly, and misuse has no
	// gate, but uses the packages of this module in a wrong way.
	step   func(*gate)
	mount  func(*gate) http.Handler
	misuse func(testing.TB, *oauthtest.Server) http.Handler
	// scope is what the route needs; "" is ordersRead. second has the API trust a second
	// issuer.
	scope  string
	second bool
	// Each of these rows of docs/attacks.md, or cases, must find the problem.
	problem oauthtest.Problem
	cases   []string
}

// sampled tells that the tests are to be quick: the race detector makes them six times
// as slow, and every mutant runs the same code.
func sampled() bool { return testing.Short() || raceDetector }

const sample = 16

func mutants() []mutant {
	return slices.Concat(mountMutants, misuseMutants, requestMutants, answerMutants, containerMutants, headerMutants,
		keyMutants, claimMutants, scopeMutants, memoryMutants, issuerMutants, nearMutants)
}

// builder makes a handler, and says what else the target is.
type builder func(testing.TB, *oauthtest.Server, *oauthtest.Target) http.Handler

// attacked returns what the attack suite says about the handler of build, in virtual
// time.
func attacked(t *testing.T, algorithm string, build builder) (found []oauthtest.Finding) {
	synctest.Test(t, func(t *testing.T) {
		as := oauthtest.NewServer(t, func(c *oauthtest.Config) {
			c.Algorithm, c.Audience = algorithm, []string{api}
		})
		target := oauthtest.Target{Path: ordersPath, Scope: ordersRead, Marker: theOrders}
		h := build(t, as, &target)
		found = oauthtest.Findings(t, h, as, target)
	})
	return found
}

// TestMutants: the attack suite finds every mistake, by a case that is about it.
func TestMutants(t *testing.T) {
	list := mutants()
	rows := make([]string, len(list))
	t.Run("caught", func(t *testing.T) {
		for i, m := range list {
			if sampled() && i%sample != 0 {
				continue
			}
			for _, framework := range m.frameworks() {
				t.Run(m.name+"/"+strings.ReplaceAll(framework, "/", "_"), func(t *testing.T) {
					t.Parallel()
					found := attacked(t, cmp.Or(m.algorithm, "ES256"), m.build(framework))
					for _, name := range m.cases {
						if !slices.ContainsFunc(found, m.expects(name)) {
							t.Errorf("%s did not find that a user %s: want the problem %q.\n%s", name, m.wrote, m.problem, problems(found))
						}
					}
					if framework == m.frameworks()[0] {
						rows[i] = m.row(found)
					}
				})
			}
		}
	})
	if !t.Failed() && !slices.Contains(rows, "") { // else only some were tried
		checkTable(t, rows)
	}
}

func (m mutant) frameworks() []string {
	if m.in == nil {
		return []string{"net/http"}
	}
	return m.in
}

func (m mutant) build(framework string) builder {
	return func(t testing.TB, as *oauthtest.Server, target *oauthtest.Target) http.Handler {
		if m.misuse != nil {
			return m.misuse(t, as)
		}
		g := newGate(as)
		if m.scope != "" {
			g.scope, target.Scope = m.scope, m.scope
		}
		if m.second {
			target.AlsoTrusts = as.Tenant("/second")
			g.also = map[string]*keyring{target.AlsoTrusts.Issuer(): newKeyring(target.AlsoTrusts)}
		}
		if m.step != nil {
			m.step(g)
		}
		if m.mount != nil {
			return m.mount(g)
		}
		return mounts[framework](g)
	}
}

// expects tells whether a finding is one that the row or case called name must make.
func (m mutant) expects(name string) func(oauthtest.Finding) bool {
	return func(f oauthtest.Finding) bool {
		return f.Problem == m.problem && (f.Case == name || strings.HasPrefix(f.Case, name+"."))
	}
}

// row is the row of the table: the first cases named are those about the mistake.
func (m mutant) row(found []oauthtest.Finding) string {
	var own, all []string
	for _, f := range found {
		all = append(all, f.Case)
		if slices.ContainsFunc(m.cases, func(name string) bool { return m.expects(name)(f) }) {
			own = append(own, f.Case)
		}
	}
	own, all = distinct(own), distinct(all)
	shown := "`" + strings.Join(own[:min(3, len(own))], "`, `") + "`"
	return fmt.Sprintf("| %s | %s | %s | %s | %d |", m.wrote, strings.Join(m.frameworks(), ", "), m.problem, shown, len(all))
}

// distinct keeps the first of each, since a case is tried in two protocols.
func distinct(list []string) (once []string) {
	for _, s := range list {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}

func problems(found []oauthtest.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s: %s\n", f.Case, f.Protocol, f.Problem, f.Detail)
	}
	return cmp.Or(b.String(), "nothing found")
}

// TestUnbroken: nothing is found about the same gate without a mistake, so that what
// is found about a mutant is due to its mistake; nor about the adapters.
func TestUnbroken(t *testing.T) {
	for _, framework := range everywhere {
		for _, algorithm := range []string{"ES256", "RS256", "PS256"} {
			if sampled() && (algorithm != "ES256" || framework != "net/http") {
				continue
			}
			t.Run("gate/"+strings.ReplaceAll(framework, "/", "_")+"/"+algorithm, func(t *testing.T) {
				t.Parallel()
				m := mutant{algorithm: algorithm}
				if found := attacked(t, algorithm, m.build(framework)); len(found) > 0 {
					t.Error(problems(found))
				}
			})
		}
	}
	t.Run("gate/two_issuers_and_scopes", func(t *testing.T) {
		t.Parallel()
		if found := attacked(t, "ES256", mutant{scope: ordersBoth, second: true}.build("net/http")); len(found) > 0 {
			t.Error(problems(found))
		}
	})
	for name, step := range choices {
		t.Run("choice/"+name, func(t *testing.T) {
			t.Parallel()
			if found := attacked(t, "ES256", mutant{step: step}.build("net/http")); len(found) > 0 {
				t.Error(problems(found))
			}
		})
	}
	for _, f := range frameworks {
		t.Run("adapter/"+f.name, func(t *testing.T) {
			t.Parallel()
			found := attacked(t, "ES256", func(t testing.TB, as *oauthtest.Server, target *oauthtest.Target) http.Handler {
				target.Scope, target.AlsoTrusts = ordersBoth, as.Tenant("/second")
				v, err := verifier.Join(newVerifier(t, as.VerifierConfig(api)), newVerifier(t, target.AlsoTrusts.VerifierConfig(api)))
				if err != nil {
					t.Fatal(err)
				}
				g := newGuard(t, middleware.Config{Verifier: v})
				return f.build([]route{{ordersPath, []guard{behind(g, scopes.All(strings.Fields(ordersBoth)...))}, orders}})
			})
			if len(found) > 0 {
				t.Error(problems(found))
			}
		})
	}
}

const (
	testingGuide = "../../docs/testing.md"
	tableBegin   = "<!-- mutants:begin -->\n"
	tableEnd     = "<!-- mutants:end -->"
)

// checkTable compares the table in the guide with rows, or writes it.
func checkTable(t *testing.T, rows []string) {
	t.Helper()
	table := "| Mistake: the application… | tried in | problem | found by, among others | cases |\n|---|---|---|---|---|\n" +
		strings.Join(rows, "\n") + "\n"
	page, err := os.ReadFile(testingGuide)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), tableBegin)
	old, after, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		t.Fatalf("%s has no %s … %s", testingGuide, strings.TrimSpace(tableBegin), tableEnd)
	}
	switch {
	case old == table:
	case *update:
		if err := os.WriteFile(testingGuide, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table in docs/testing.md is not what the suite finds; write it anew with: go test ./internal/conformance -run TestMutants -update")
	}
}
