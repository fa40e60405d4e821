// SPDX-License-Identifier: Apache-2.0

package bearerguard_test

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const requirementsFile = "docs/requirements.md"

// builtSections are the sections of docs/requirements.md whose MUST rows need a
// test today, and builtForms the rows of section 30. They grow with the library.
var (
	builtSections = []string{"2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "13", "14", "25", "26", "27", "28"}
	builtForms    = []string{"WA-01", "WA-04", "WA-07", "WA-08", "WA-09", "WA-10", "WA-12", "WA-26", "WA-27", "WA-30", "WA-32"}
)

var (
	sectionHead = regexp.MustCompile(`^## (\d+)\.? `)
	rowID       = regexp.MustCompile(`\b[A-Z]{2}-\d\d\b`)
	subtestName = regexp.MustCompile(`^([A-Z]{2}-\d\d)/`)
	linkTarget  = regexp.MustCompile(`\]\(([^)]+)\)`)
	codePath    = regexp.MustCompile("`([\\w./-]+)`")
)

// row is one line of a table in docs/requirements.md.
type row struct {
	section string   // the number or the heading above it
	cells   []string // trimmed
}

func (r row) ids() []string { return rowID.FindAllString(r.cells[0], -1) }

func requirementRows(t *testing.T) []row {
	t.Helper()
	var rows []row
	section := ""
	for _, line := range strings.Split(readFile(t, requirementsFile), "\n") {
		if m := sectionHead.FindStringSubmatch(line); m != nil {
			section = m[1]
		} else if strings.HasPrefix(line, "## ") {
			section = strings.TrimPrefix(line, "## ")
		}
		if !strings.HasPrefix(line, "| ") || !rowID.MatchString(strings.SplitN(line, "|", 3)[1]) {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, row{section, cells})
	}
	return rows
}

// specification is docs/requirements.md as far as the tests need it.
type specification struct {
	all     map[string]bool   // every row
	needed  []string          // MUST rows of the sections that are built
	review  map[string]string // row to the place that answers it
	whole   map[string]bool   // reviews that need no test beside them
	waiting map[string]string // row to what it waits for
}

func readSpecification(t *testing.T) specification {
	t.Helper()
	s := specification{map[string]bool{}, nil, map[string]string{}, map[string]bool{}, map[string]string{}}
	for _, r := range requirementRows(t) {
		for _, id := range r.ids() {
			switch r.section {
			case "Changes":
			case "Reviews":
				s.review[id] = r.cells[len(r.cells)-1]
				s.whole[id] = r.cells[1] == "whole"
			case "Not built yet":
				s.waiting[id] = r.cells[1]
			default:
				s.all[id] = true
				if r.cells[1] == "MUST" && (slices.Contains(builtSections, r.section) || slices.Contains(builtForms, id)) {
					s.needed = append(s.needed, id)
				}
			}
		}
	}
	return s
}

// provedRows maps each row to the test files with a subtest named after it.
func provedRows(t *testing.T) map[string][]string {
	t.Helper()
	_, files := repository(t)
	proved := map[string][]string{}
	for _, f := range files {
		if !f.IsTest() || f.Path == "requirements_test.go" {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				if m := subtestName.FindStringSubmatch(text); m != nil && !slices.Contains(proved[m[1]], f.Path) {
					proved[m[1]] = append(proved[m[1]], f.Path)
				}
			}
			return true
		})
	}
	return proved
}

// TestRequirementsCovered lists every MUST row of the built sections that has
// neither a subtest with its name, nor a review, nor a reason to wait.
func TestRequirementsCovered(t *testing.T) {
	spec, proved := readSpecification(t), provedRows(t)
	if len(spec.needed) < 200 {
		t.Fatalf("only %d MUST rows were read from %s", len(spec.needed), requirementsFile)
	}
	var missing []string
	for _, id := range spec.needed {
		if proved[id] == nil && spec.waiting[id] == "" && !spec.whole[id] {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d MUST rows have no test: %s", len(missing), len(spec.needed), strings.Join(missing, " "))
	}
}

// TestRequirementNames refuses subtests named after rows that do not exist or
// that wait for a feature: such a name would claim what no test can show.
func TestRequirementNames(t *testing.T) {
	spec := readSpecification(t)
	for id, where := range provedRows(t) {
		if !spec.all[id] {
			t.Errorf("%s is no row of %s, but subtests in %v bear its name", id, requirementsFile, where)
		}
		if why := spec.waiting[id]; why != "" {
			t.Errorf("%s waits for %q, but subtests in %v bear its name", id, why, where)
		}
	}
	for _, ids := range []map[string]string{spec.waiting, spec.review} {
		for id := range ids {
			if !spec.all[id] {
				t.Errorf("%s is listed under Reviews or Not built yet, but is no row", id)
			}
		}
	}
}

// TestReviewPlaces: the place that answers a review exists, heading included.
func TestReviewPlaces(t *testing.T) {
	spec := readSpecification(t)
	for id, place := range spec.review {
		links := linkTarget.FindAllStringSubmatch(place, -1)
		paths := codePath.FindAllStringSubmatch(linkTarget.ReplaceAllString(place, ""), -1)
		if len(links)+len(paths) == 0 {
			t.Errorf("%s: %q names no place", id, place)
		}
		for _, m := range links {
			checkLink(t, requirementsFile, m[1])
		}
		for _, m := range paths {
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
}

// TestDocumentLinks: links between the documents of this repository lead somewhere.
func TestDocumentLinks(t *testing.T) {
	links := 0
	for _, name := range documents(t) {
		for _, m := range linkTarget.FindAllStringSubmatch(prose(readFile(t, name)), -1) {
			if !strings.Contains(m[1], "://") {
				links++
				checkLink(t, name, m[1])
			}
		}
	}
	if links == 0 {
		t.Error("no link was found in any document")
	}
}

// prose is a document without its fenced blocks, in which code may look like a link.
func prose(text string) string {
	var kept []string
	fenced := false
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		} else if !fenced {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// checkLink follows a relative link, with an optional #heading, from a document.
func checkLink(t *testing.T, from, link string) {
	t.Helper()
	name, anchor, _ := strings.Cut(link, "#")
	file := from
	if name != "" {
		file = path.Join(path.Dir(from), name)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("link %s: %v", link, err)
		return
	}
	if anchor == "" {
		return
	}
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "#") && headingAnchor(line) == anchor {
			return
		}
	}
	t.Errorf("link %s: %s has no such heading", link, file)
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// headingAnchor is the anchor that common Markdown viewers give a heading.
func headingAnchor(line string) string {
	text := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(text, ""), " ", "-")
}
