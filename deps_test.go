// SPDX-License-Identifier: Apache-2.0

package bearerguard_test

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// direction says what one package may import besides the standard library. Paths
// without a dot in the first element are packages of this module.
type direction struct {
	pkg    string
	may    []string
	reason string
}

const (
	jwxPath  = "github.com/lestrrat-go/jwx/v2/jwk"
	echoPath = "github.com/labstack/echo/v4"
	ginPath  = "github.com/gin-gonic/gin"
	lruPath  = "github.com/hashicorp/golang-lru/v2"
	lruCore  = lruPath + "/simplelru" // without a lock of its own
	kitPath  = modulePath + "/oauthtest"
)

// directions is the whole truth about imports outside tests: what is not listed
// here is a mistake, in the code or in the table.
var directions = []direction{
	{".", nil, "the map of the module has no code"},
	{"internal/hook", nil, "calls a function"},
	{"internal/strictjson", nil, "reads JSON and nothing else"},
	{"internal/alias", nil, "the only package that uses unsafe"},
	{"internal/compact", nil, "reads base64url and nothing else"},
	{"internal/jose", []string{"internal/strictjson", "internal/compact", jwxPath}, "the only package that knows jwx, so that replacing it is one package's work"},
	{"internal/fetch", []string{"internal/hook"}, "one bounded GET; what the document means is its caller's business"},
	{"internal/scopetoken", nil, "a grammar"},
	{"internal/challenge", []string{"internal/scopetoken"}, "writes WWW-Authenticate values from plain strings"},
	{"internal/ctxkey", nil, "plain data, so that middleware and oauthtest can share it"},
	{"internal/binding", nil, "the causes of a refused binding, which two packages tell apart"},
	{"internal/memnet", nil, "a network for tests"},
	{"internal/conformance", nil, "holds tests only"},
	{"internal/leaktest", nil, "imported by every package's tests, so it imports none of them"},
	{"verifier", []string{"internal/alias", "internal/binding", "internal/strictjson", "internal/compact", "internal/jose", "internal/hook", "internal/scopetoken", lruPath, lruCore}, "the core: no HTTP, no other public package"},
	{"jwkscache", []string{"verifier", "internal/fetch", "internal/strictjson", "internal/jose", "internal/hook"}, "delivers key sets to the verifier"},
	{"providers", []string{"verifier", "jwkscache", "internal/fetch"}, "presets: configurations and key sources, no checks of their own"},
	{"scopes", []string{"verifier", "internal/scopetoken"}, "rules are verifier.Requirements"},
	{"claims", []string{"verifier"}, "rules are verifier.Requirements"},
	{"dpop", []string{"verifier", "internal/alias", "internal/binding", "internal/compact", "internal/hook", "internal/jose", "internal/strictjson"}, "decides about proofs: no HTTP"},
	{"mtls", []string{"verifier", "internal/binding"}, "reads certificates: no HTTP"},
	{"middleware", []string{"verifier", "dpop", "mtls", "internal/binding", "internal/challenge", "internal/ctxkey", "internal/hook", "internal/scopetoken"}, "any Requirement will do, so it does not know scopes"},
	{"adapters/nethttp", []string{"verifier", "middleware"}, "fits the Guard to net/http"},
	{"adapters/echov4", []string{"verifier", "middleware", echoPath}, "the only package that knows Echo"},
	{"adapters/ginv1", []string{"verifier", "middleware", ginPath}, "the only package that knows Gin"},
	{"oauthtest", []string{"verifier", "jwkscache", "scopes", "dpop", "mtls", "middleware", "internal/jose", "internal/challenge", "internal/hook", "internal/ctxkey", "internal/memnet", "internal/strictjson", "internal/compact", "internal/scopetoken"}, "may see everything but the adapters, and is seen by tests and examples only"},
}

// sealed lists packages that may be imported only below the named directories,
// by tests too; the test kit is open to every test.
var sealed = []struct {
	name   string
	prefix string
	in     []string
	reason string
}{
	{"jwx", "github.com/lestrrat-go/jwx", []string{"internal/jose", "bench"}, "jwx is sealed in (docs/decisions/0001-jwx-v2-sealed.md), and measured as it is elsewhere"},
	{"GO-11/echo", "github.com/labstack/echo", []string{"adapters/echov4", "internal/conformance", "examples", "interop", "bench"}, "a framework is known to its adapter, the conformance table and the examples"},
	{"GO-11/gin", "github.com/gin-gonic/gin", []string{"adapters/ginv1", "internal/conformance", "examples", "bench"}, "a framework is known to its adapter, the conformance table and the examples"},
	{"unsafe", "unsafe", []string{"internal/alias", "providers"}, "in providers a test alone; memory that is both a string and bytes is made in one place (docs/decisions/0008-speed.md)"},
	{"TA-28/test_kit", kitPath, []string{"examples", "interop", "cmd/bearerguard"}, "the test kit is for tests and examples"},
}

func TestImportDirection(t *testing.T) {
	_, files := repository(t)
	nested := nestedModules(t)
	rows := map[string]direction{}
	for _, row := range directions {
		rows[row.pkg] = row
		if row.reason == "" {
			t.Errorf("%s: a row needs a reason", row.pkg)
		}
	}
	seen := map[string]bool{}
	t.Run("GO-11/only_listed_imports", func(t *testing.T) {
		for _, f := range files {
			if f.IsTest() || inModule(f.Dir(), nested) {
				continue
			}
			seen[f.Dir()] = true
			row, ok := rows[f.Dir()]
			if !ok {
				t.Errorf("%s: package %s has no row in the import table", f.Path, f.Dir())
				continue
			}
			for _, p := range f.Imports() {
				if !standard(p) && !slices.Contains(row.may, strings.TrimPrefix(p, modulePath+"/")) {
					t.Errorf("%s imports %s; %s: %s", f.Path, p, row.pkg, row.reason)
				}
			}
		}
	})
	for _, row := range directions {
		if !seen[row.pkg] {
			t.Errorf("the import table has a row for %s, which does not exist", row.pkg)
		}
	}
}

func TestSealedImports(t *testing.T) {
	_, files := repository(t)
	for _, s := range sealed {
		t.Run(s.name, func(t *testing.T) {
			inside := false
			for _, f := range files {
				for _, p := range f.Imports() {
					if !below(p, s.prefix) {
						continue
					}
					open := allowedBelow(f.Dir(), s.in)
					inside = inside || open
					if !open && !(s.prefix == kitPath && f.IsTest()) {
						t.Errorf("%s imports %s: %s", f.Path, p, s.reason)
					}
				}
			}
			if !inside {
				t.Errorf("nothing below %v imports %s: the rule guards nothing", s.in, s.prefix)
			}
		})
	}
}

// TestNoRegexps: what a request brings is read in linear time, by no pattern.
func TestNoRegexps(t *testing.T) {
	_, files := repository(t)
	t.Run("M5/no_regexps_on_input", func(t *testing.T) {
		for _, f := range files {
			for _, p := range f.Imports() {
				if !f.IsTest() && (p == "regexp" || below(p, "regexp")) {
					t.Errorf("%s imports %s", f.Path, p)
				}
			}
		}
	})
}

// TestExportedTypes keeps the types of dependencies and internal packages out of
// the exported API; an adapter may name its own framework.
func TestExportedTypes(t *testing.T) {
	_, files := repository(t)
	nested := nestedModules(t)
	for _, f := range files {
		if f.IsTest() || !public(f.Dir()) || inModule(f.Dir(), nested) {
			continue
		}
		imports := f.Imports()
		for _, name := range exportedSelectors(f.AST) {
			p := imports[name]
			own := strings.HasPrefix(p, modulePath+"/") && !strings.Contains(p, "/internal/")
			framework := strings.HasPrefix(f.Dir(), "adapters/") && (p == echoPath || p == ginPath)
			if !standard(p) && !own && !framework {
				t.Errorf("%s: the exported API names a type of %s", f.Path, p)
			}
		}
	}
}

// TestLicenseHeader: every Go file names its license in the first line.
func TestLicenseHeader(t *testing.T) {
	_, files := repository(t)
	for _, f := range files {
		if !strings.HasPrefix(readFile(t, f.Path), "// SPDX-License-Identifier: Apache-2.0\n") {
			t.Errorf("%s does not begin with the SPDX line", f.Path)
		}
	}
}

// TestLeakCheckEverywhere: a package's tests end with the leak check.
func TestLeakCheckEverywhere(t *testing.T) {
	_, files := repository(t)
	nested := nestedModules(t)
	tested, checked := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if !f.IsTest() || inModule(f.Dir(), nested) {
			continue
		}
		tested[f.Dir()] = true
		if path.Base(f.Path) == "main_test.go" && callsLeakCheck(f) {
			checked[f.Dir()] = true
		}
	}
	for dir := range tested {
		if !checked[dir] {
			t.Errorf("%s: main_test.go does not call leaktest.Main", dir)
		}
	}
}

// TestFuzzTargets: each parser has a fuzz target, and continuous integration runs
// vet and the race detector.
func TestFuzzTargets(t *testing.T) {
	_, files := repository(t)
	targets := map[string][]string{}
	for _, f := range files {
		for _, decl := range f.AST.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && f.IsTest() && strings.HasPrefix(d.Name.Name, "Fuzz") {
				targets[f.Dir()] = append(targets[f.Dir()], d.Name.Name)
			}
		}
	}
	for _, c := range []struct{ parser, name string }{
		{"compact serialization", "internal/compact.FuzzSplit"},
		{"JSON", "internal/strictjson.FuzzParseObject"},
		{"JWK", "internal/jose.FuzzParseKey"},
		{"JWT", "verifier.FuzzVerify"},
		{"JWK set", "verifier.FuzzParseKeySet"},
		{"scope", "verifier.FuzzScope"},
		{"Authorization", "middleware.FuzzAuthorization"},
		{"challenge", "internal/challenge.FuzzChallenge"},
	} {
		t.Run("SE-11/fuzz_"+strings.ReplaceAll(c.parser, " ", "_"), func(t *testing.T) {
			dir, name, _ := strings.Cut(c.name, ".")
			if !slices.Contains(targets[dir], name) {
				t.Errorf("%s has fuzz targets %v, but no %s", dir, targets[dir], name)
			}
		})
	}
	t.Run("SE-11/ci", func(t *testing.T) {
		script := readFile(t, ".ci/run")
		for _, command := range []string{"\ngo vet work\n", "\n\trace=-race\n", "\ngo test $race -timeout 30m work\n", "\ngo test $race ./jwkscache -run '^TestSimulation$' -seeds 100 "} {
			if !strings.Contains(script, command) {
				t.Errorf(".ci/run has no line %q", strings.TrimSpace(command))
			}
		}
	})
}

// TestEveryModuleInCI: continuous integration tests the modules of the workspace, and
// each other one in a step of its own.
func TestEveryModuleInCI(t *testing.T) {
	script, workspace := readFile(t, ".ci/run"), readFile(t, "go.work")
	for _, dir := range nestedModules(t) {
		if strings.Contains(workspace, "\t./"+dir+"\n") {
			continue
		}
		_, step, _ := strings.Cut(script, "\n\tcd "+dir+"\n")
		step, _, _ = strings.Cut(step, "\n)\n")
		for _, command := range []string{"\texport GOWORK=off", "\tgo mod tidy -diff", "\tgo vet ./...", "\tgo test "} {
			if !strings.Contains(step, command) {
				t.Errorf(".ci/run has no step for %s with the line %q", dir, strings.TrimSpace(command))
			}
		}
	}
}

func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

func below(importPath, prefix string) bool {
	return importPath == prefix || strings.HasPrefix(importPath, prefix+"/")
}

func allowedBelow(dir string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return below(dir, d) })
}
