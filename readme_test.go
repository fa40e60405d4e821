// SPDX-License-Identifier: Apache-2.0

package bearerguard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// preamble declares what the fragments of the documents take as given. A block
// with a package clause is compiled as it stands.
const preamble = `
func _(t *testing.T, ctx context.Context, raw string, keys *jwkscache.Cache, v *verifier.Verifier, g *middleware.Guard,
	tok *verifier.Token, mux *http.ServeMux, e *echo.Echo, r *gin.Engine, api, list http.HandlerFunc, as *oauthtest.Server,
	newAPI func(verifier.Config) (http.Handler, error)) error {
	{
%s
	}
	return nil
}`

// known maps the package names that fragments use to their import paths.
var known = map[string]string{
	"atomic": "sync/atomic", "base64": "encoding/base64", "bufio": "bufio", "context": "context", "expvar": "expvar", "errors": "errors", "exec": "os/exec", "filepath": "path/filepath", "fmt": "fmt", "log": "log", "slog": "log/slog",
	"http": "net/http", "httptest": "net/http/httptest", "os": "os", "sha256": "crypto/sha256", "strings": "strings", "synctest": "testing/synctest", "testing": "testing", "time": "time", "url": "net/url",
	"echo": echoPath, "gin": ginPath,
	"verifier": modulePath + "/verifier", "jwkscache": modulePath + "/jwkscache", "scopes": modulePath + "/scopes",
	"claims": modulePath + "/claims", "providers": modulePath + "/providers",
	"middleware": modulePath + "/middleware", "nethttp": modulePath + "/adapters/nethttp", "echov4": modulePath + "/adapters/echov4",
	"ginv1": modulePath + "/adapters/ginv1", "oauthtest": kitPath,
}

// block is one fenced block of a document.
type block struct {
	where string // file:line
	lang  string
	text  string
}

// documents are the files whose code and links are checked.
func documents(t *testing.T) []string {
	t.Helper()
	names := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "docs/decisions/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: no documents (%v)", pattern, err)
		}
		names = append(names, found...)
	}
	return names
}

func blocks(t *testing.T, name string) []block {
	t.Helper()
	var list []block
	open := -1
	for i, line := range strings.Split(readFile(t, name), "\n") {
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && open < 0:
			list = append(list, block{fmt.Sprintf("%s:%d", name, i+1), strings.TrimPrefix(line, "```"), ""})
			open = i
		case fence:
			open = -1
		case open >= 0:
			list[len(list)-1].text += line + "\n"
		}
	}
	if open >= 0 {
		t.Errorf("%s:%d: the block is not closed", name, open+1)
	}
	return list
}

// TestDocumentCode compiles every Go block of the documents.
func TestDocumentCode(t *testing.T) {
	imports := exportData(t)
	readme := 0
	for _, name := range documents(t) {
		for _, b := range blocks(t, name) {
			if b.lang != "go" {
				continue
			}
			if name == "README.md" {
				readme++
			}
			if err := compile(b, imports); err != nil {
				t.Errorf("%s: %v", b.where, err)
			}
		}
	}
	if readme < 4 {
		t.Errorf("README.md has %d Go blocks, want the program, Echo, Gin and the test", readme)
	}
}

// TestCompileCanFail: a check that accepts everything would be worth nothing.
func TestCompileCanFail(t *testing.T) {
	imports := exportData(t)
	for _, text := range []string{
		"package main\n\nfunc main() { x := 1 }",
		"_ = verifier.NoSuchName",
		"package main\n\nfunc main() { undefined() }",
		"_ = middleware.Config{Verifier: 1}",
		"not Go at all",
	} {
		if compile(block{"test", "go", text}, imports) == nil {
			t.Errorf("%q compiles", text)
		}
	}
	for _, text := range []string{"x := 1", "_ = verifier.RFC9068", "type rule struct{}\n\nfunc (rule) Check(*verifier.Token) error { return nil }"} {
		if err := compile(block{"test", "go", text}, imports); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// compile type-checks a block, wrapped in the preamble if it is a fragment.
func compile(b block, imports types.Importer) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, b.where, b.text, 0)
	fragment := err != nil
	if fragment {
		if file, err = parseFragment(fset, b); err != nil {
			return err
		}
	}
	var faults []string
	conf := types.Config{Importer: imports, Error: func(err error) {
		// A fragment may end before it uses what it made; soft errors are of that kind.
		if e, ok := err.(types.Error); !ok || !e.Soft || !fragment {
			faults = append(faults, err.Error())
		}
	}}
	conf.Check("block", fset, []*ast.File{file}, nil)
	if len(faults) > 0 {
		return fmt.Errorf("%s", strings.Join(faults, "\n\t"))
	}
	return nil
}

// parseFragment reads a block as declarations or, where that fails, as statements.
func parseFragment(fset *token.FileSet, b block) (*ast.File, error) {
	text := b.text
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package block\n"+text, 0); err != nil {
		text = fmt.Sprintf(preamble, b.text)
	}
	return parser.ParseFile(fset, b.where, "package block\n"+importsFor(text)+text, 0)
}

// importsFor writes the imports of the known packages that a text uses.
func importsFor(text string) string {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package block\n"+text, parser.SkipObjectResolution)
	if err != nil {
		return ""
	}
	used := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && known[id.Name] != "" {
				used[id.Name] = true
			}
		}
		return true
	})
	var b strings.Builder
	for name := range used {
		fmt.Fprintf(&b, "import %s %q;", name, known[name])
	}
	return b.String()
}

// exportData builds the known packages and reads their types.
func exportData(t *testing.T) types.Importer {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}
	for _, p := range known {
		args = append(args, p)
	}
	cmd := exec.Command("go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	files := map[string]string{}
	for _, line := range strings.Fields(string(out)) {
		p, file, _ := strings.Cut(line, "=")
		files[p] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(p string) (io.ReadCloser, error) {
		if files[p] == "" {
			return nil, fmt.Errorf("no package %s", p)
		}
		return os.Open(files[p])
	})
}

// caseID is the form of an ID in the attack catalogue.
var caseID = regexp.MustCompile(`\b[A-N]\d{1,2}\.[a-z0-9_]+\b`)

// TestDocumentCases: whoever copies the ID of an attack from a document finds it in the
// catalogue.
func TestDocumentCases(t *testing.T) {
	known := map[string]bool{} // steps of more than one request are in no file
	for _, step := range []string{"F19.unknown_kids", "F21.rotation", "F22.withdrawn_key", "K24.at_once"} {
		known[step] = true
	}
	chapters, err := filepath.Glob("oauthtest/attacks/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range chapters {
		var chapter struct{ Cases []struct{ ID string } }
		if err := json.Unmarshal([]byte(readFile(t, name)), &chapter); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, c := range chapter.Cases {
			known[c.ID] = true
		}
	}
	named := 0
	for _, name := range documents(t) {
		for i, line := range strings.Split(readFile(t, name), "\n") {
			for _, id := range caseID.FindAllString(line, -1) {
				if named++; !known[id] {
					t.Errorf("%s:%d: the catalogue has no case %s", name, i+1, id)
				}
			}
		}
	}
	if len(known) < 500 || named < 100 {
		t.Errorf("%d cases and %d mentions of them were found: the test reads the wrong files", len(known), named)
	}
}

// TestReadmeCommands: the first commands a newcomer sees are these two, and
// continuous integration runs the same tests.
func TestReadmeCommands(t *testing.T) {
	const quickstart, tests = "go run ./examples/quickstart", "go test work"
	all := blocks(t, "README.md")
	i := slices.IndexFunc(all, func(b block) bool { return b.lang == "sh" })
	if i < 0 || all[i].text != quickstart+"\n"+tests+"\n" {
		t.Errorf("the first shell block of README.md is not %q and %q", quickstart, tests)
	}
	if i != 1 || all[0].lang != "go" {
		t.Error("README.md does not begin with the program and then the commands")
	}
	script := readFile(t, ".ci/run")
	for _, line := range []string{"go test $race work", quickstart + " -once"} {
		if !strings.Contains(script, line) {
			t.Errorf(".ci/run does not run %q", line)
		}
	}
}

// TestReadmeAnswer: the answer that README.md shows is the one that is sent for an
// expired token, with nothing left out but the date and the empty body's length.
func TestReadmeAnswer(t *testing.T) {
	as := oauthtest.NewServer(t)
	v, err := verifier.New(as.VerifierConfig("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		t.Fatal(err)
	}
	handler := nethttp.Require(g, scopes.All("orders:read"))(http.NotFoundHandler())
	req := httptest.NewRequest("GET", "/orders", nil)
	req.Header.Set("Authorization", "Bearer "+as.Token(oauthtest.Scope("orders:read"), oauthtest.ExpiresIn(-time.Hour)))
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)

	resp := rec.Result()
	sent := fmt.Sprintf("%s %d %s\n", resp.Proto, resp.StatusCode, http.StatusText(resp.StatusCode))
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, value := range resp.Header[name] {
			sent += strings.ReplaceAll(name, "Www-", "WWW-") + ": " + value + "\n"
		}
	}
	shown := slices.DeleteFunc(blocks(t, "README.md"), func(b block) bool { return b.lang != "http" })
	if len(shown) != 1 || shown[0].text != sent || rec.Body.Len() > 0 {
		t.Errorf("README.md shows %v, but the answer is\n%s", shown, sent)
	}
}
