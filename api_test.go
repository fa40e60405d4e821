// SPDX-License-Identifier: Apache-2.0

package bearerguard_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write generated files anew: testdata/api with -run TestExportedAPI, docs/coverage.md with -run TestCoverageReport")

// TestExportedAPI compares the exported names of every public package with
// testdata/api, so that the API never changes unnoticed.
func TestExportedAPI(t *testing.T) {
	found := exportedAPI(t)
	for pkg, lines := range found {
		name := filepath.Join("testdata", "api", strings.ReplaceAll(pkg, "/", "_")+".txt")
		text := strings.Join(lines, "\n") + "\n"
		if *update {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Errorf("%s is not listed: %v", pkg, err)
			continue
		}
		for _, line := range difference(lines, strings.Split(strings.TrimSpace(string(want)), "\n")) {
			t.Errorf("%s: %s", name, line)
		}
	}
	listed, err := filepath.Glob("testdata/api/*.txt")
	if err != nil || len(listed) != len(found) {
		t.Errorf("%d listings for %d public packages (%v)", len(listed), len(found), err)
	}
}

// difference marks what was added to the API with + and what is gone with -.
func difference(got, want []string) []string {
	var lines []string
	for _, line := range got {
		if !slices.Contains(want, line) {
			lines = append(lines, "+ "+line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			lines = append(lines, "- "+line)
		}
	}
	return lines
}

// exportedAPI returns the sorted listing of each public package of the root module.
func exportedAPI(t *testing.T) map[string][]string {
	t.Helper()
	_, files := repository(t)
	nested := nestedModules(t)
	found := map[string][]string{}
	for _, f := range files {
		if f.IsTest() || !public(f.Dir()) || inModule(f.Dir(), nested) {
			continue
		}
		for _, d := range exportedDecls(f.AST) {
			found[f.Dir()] = append(found[f.Dir()], d.line)
		}
	}
	for _, lines := range found {
		slices.Sort(lines)
	}
	return found
}

// public tells packages that users can import from the rest.
func public(dir string) bool {
	for _, part := range strings.Split(dir, "/") {
		if part == "internal" || part == "cmd" || part == "." {
			return false
		}
	}
	return true
}

// exported is one line of the listing and the types it is made of.
type exported struct {
	line  string
	types []ast.Expr
}

func exportedDecls(file *ast.File) []exported {
	var list []exported
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			list = append(list, exportedFunc(d)...)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					list = append(list, exportedType(s)...)
				case *ast.ValueSpec:
					list = append(list, exportedValues(d.Tok.String(), s)...)
				}
			}
		}
	}
	return list
}

func exportedFunc(d *ast.FuncDecl) []exported {
	signature := strings.TrimPrefix(types.ExprString(d.Type), "func")
	if !d.Name.IsExported() {
		return nil
	}
	if d.Recv == nil {
		return []exported{{"func " + d.Name.Name + signature, []ast.Expr{d.Type}}}
	}
	receiver := types.ExprString(d.Recv.List[0].Type)
	if !ast.IsExported(strings.TrimPrefix(receiver, "*")) {
		return nil
	}
	return []exported{{fmt.Sprintf("method (%s) %s%s", receiver, d.Name.Name, signature), []ast.Expr{d.Type}}}
}

func exportedType(s *ast.TypeSpec) []exported {
	if !s.Name.IsExported() {
		return nil
	}
	st, ok := s.Type.(*ast.StructType)
	if !ok {
		equals := ""
		if s.Assign.IsValid() {
			equals = "= "
		}
		return []exported{{"type " + s.Name.Name + " " + equals + types.ExprString(s.Type), []ast.Expr{s.Type}}}
	}
	list := []exported{{"type " + s.Name.Name + " struct", nil}}
	for _, field := range st.Fields.List {
		kind := types.ExprString(field.Type)
		for _, name := range field.Names {
			if name.IsExported() {
				list = append(list, exported{fmt.Sprintf("field %s.%s %s", s.Name.Name, name.Name, kind), []ast.Expr{field.Type}})
			}
		}
		if base := path.Ext("." + strings.TrimPrefix(kind, "*")); len(field.Names) == 0 && ast.IsExported(base[1:]) {
			list = append(list, exported{fmt.Sprintf("field %s embeds %s", s.Name.Name, kind), []ast.Expr{field.Type}})
		}
	}
	return list
}

func exportedValues(keyword string, s *ast.ValueSpec) []exported {
	var list []exported
	for _, name := range s.Names {
		if !name.IsExported() {
			continue
		}
		e := exported{line: keyword + " " + name.Name}
		if s.Type != nil {
			e.line += " " + types.ExprString(s.Type)
			e.types = []ast.Expr{s.Type}
		}
		list = append(list, e)
	}
	return list
}

// exportedSelectors returns the package names by which exported declarations name
// types of other packages.
func exportedSelectors(file *ast.File) []string {
	var names []string
	for _, e := range exportedDecls(file) {
		for _, expr := range e.types {
			ast.Inspect(expr, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if id, ok := sel.X.(*ast.Ident); ok {
						names = append(names, id.Name)
					}
				}
				return true
			})
		}
	}
	return names
}

// callsLeakCheck tells whether a file calls leaktest.Main (or Main in leaktest itself).
func callsLeakCheck(f source) bool {
	found := false
	ast.Inspect(f.AST, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := types.ExprString(call.Fun)
		found = found || name == "leaktest.Main" || name == "Main" && f.AST.Name.Name == "leaktest"
		return true
	})
	return found
}
