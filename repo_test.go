// SPDX-License-Identifier: Apache-2.0

package bearerguard_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/bearerguard/bearerguard"

// source is one parsed Go file of the repository.
type source struct {
	Path string // slash-separated, relative to the repository
	AST  *ast.File
}

// Dir is the package directory, "." for the root.
func (s source) Dir() string { return path.Dir(s.Path) }

func (s source) IsTest() bool { return strings.HasSuffix(s.Path, "_test.go") }

// Imports maps the name by which a file knows each import to its path.
func (s source) Imports() map[string]string {
	names := map[string]string{}
	for _, spec := range s.AST.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		name := packageName(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}

// packageName guesses the package name of an import path, which holds for every
// import of this repository: its last element that is not a major version.
func packageName(importPath string) string {
	name := path.Base(importPath)
	if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
		name = path.Base(path.Dir(importPath))
	}
	return strings.TrimPrefix(name, "go-")
}

// repository parses every Go file of all modules of this repository, sorted by path.
func repository(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	fset := token.NewFileSet()
	var files []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || name != "." && d.Name()[0] == '.') {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err == nil {
			files = append(files, source{filepath.ToSlash(name), file})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fset, files
}

// nestedModules are the directories below the root that have their own go.mod.
func nestedModules(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, name := range found {
		dirs = append(dirs, path.Dir(filepath.ToSlash(name)))
	}
	return dirs
}

// inModule tells whether dir belongs to one of the nested modules.
func inModule(dir string, nested []string) bool {
	first, _, _ := strings.Cut(dir, "/")
	return slices.Contains(nested, first)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
