// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const catalogueDoc = "../docs/attack-catalogue.md"

var updateCatalogue = flag.Bool("update-catalogue", false, "write the table in docs/attack-catalogue.md anew, with -run TestCatalogueTable")

// TestCatalogueTable keeps the table of the document.
func TestCatalogueTable(t *testing.T) {
	text := document(t)
	begin, end := "<!-- table -->\n", "<!-- end of table -->"
	before, rest, _ := strings.Cut(text, begin)
	_, after, found := strings.Cut(rest, end)
	if !found {
		t.Fatal("the document has no place for the table")
	}
	want := before + begin + catalogueTable(t) + end + after
	if *updateCatalogue {
		if err := os.WriteFile(catalogueDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != want {
		t.Error("the table is not that of the catalogue: run the command that stands above it")
	}
}

// TestCatalogueCounts: each line of the table adds up, and the last line is the sum.
func TestCatalogueCounts(t *testing.T) {
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	cases, controls, lines := 0, 0, 0
	for _, m := range countLine.FindAllStringSubmatch(document(t), -1) {
		all, passing := number(m[2]), number(m[3])
		lines++
		if m[1] == "all" {
			if all != cases || passing != controls || all != len(catalogue()) || lines != len(chapters)+1 {
				t.Errorf("%d lines, the last one with %d cases and %d controls: want %d and %d, and %d in the catalogue", lines, all, passing, cases, controls, len(catalogue()))
			}
			return
		}
		cases, controls = cases+all, controls+passing
		sum := 0
		for row := range strings.SplitSeq(m[4], ", ") {
			if _, n, several := strings.Cut(strings.TrimSuffix(row, ")"), " ("); several {
				sum += number(n)
			} else {
				sum++
			}
		}
		if sum != all || passing >= all {
			t.Errorf("%s: %d cases by their rows, but %d in the column, of which %d are controls", m[1], sum, all, passing)
		}
	}
	t.Error("the table has no last line")
}

var countLine = regexp.MustCompile(`(?m)^\| (\w+) \| (\d+) \| (\d+) \| (.*?) ?\|$`)

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(catalogueDoc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// catalogueTable counts the cases of each file by their rows.
func catalogueTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| File | Cases | Of these positive controls | Rows, and how many cases they have |\n|---|---|---|---|\n")
	all, controls := 0, 0
	for _, name := range chapters {
		text, err := attacks.ReadFile("attacks/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		cases, err := readChapter(text)
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		count, passing := map[string]int{}, 0
		for _, c := range cases {
			row, _, _ := strings.Cut(c.ID, ".")
			if count[row]++; count[row] == 1 {
				rows = append(rows, row)
			}
			if slices.Equal(c.Expect, []string{"PASS"}) {
				passing++
			}
		}
		for i, row := range rows {
			if n := count[row]; n > 1 {
				rows[i] = fmt.Sprintf("%s (%d)", row, n)
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %s |\n", name, len(cases), passing, strings.Join(rows, ", "))
		all, controls = all+len(cases), controls+passing
	}
	fmt.Fprintf(&b, "| all | %d | %d | |\n", all, controls)
	return b.String()
}

// TestCatalogueSchema: the JSON Schema has the members of the Go types, and no others.
func TestCatalogueSchema(t *testing.T) {
	text, err := attacks.ReadFile("attacks/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties map[string]json.RawMessage
		Defs       map[string]struct{ Properties map[string]json.RawMessage } `json:"$defs"`
	}
	var schema object
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		typ     any
		members map[string]json.RawMessage
	}{
		"chapter": {chapter{}, schema.Properties}, "case": {attackCase{}, schema.Defs["case"].Properties},
		"message": {message{}, schema.Defs["message"].Properties}, "recipe": {recipe{}, schema.Defs["recipe"].Properties},
		"part": {part{}, schema.Defs["part"].Properties},
	} {
		if got, want := slices.Sorted(maps.Keys(tc.members)), memberNames(tc.typ); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, the type %v", name, got, want)
		}
	}
}

func memberNames(v any) []string {
	var names []string
	for typ, i := reflect.TypeOf(v), 0; i < typ.NumField(); i++ {
		if name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestCatalogueDocument: the document explains every word that the files use, and names
// no hostile key or signing variant that there is not.
func TestCatalogueDocument(t *testing.T) {
	text := document(t)
	explained := func(what, word string) {
		if !strings.Contains(text, "`"+word+"`") {
			t.Errorf("%s %s is not explained", what, word)
		}
	}
	names := regexp.MustCompile(`\$\{([a-z.#A-Z0-9]+)[^}]*\}`)
	for _, c := range catalogue() {
		for _, need := range c.Needs {
			explained("the need", need)
		}
		for _, r := range c.Tokens {
			if key, hostile := strings.CutPrefix(r.Sign, "key:"); hostile {
				explained("the hostile key", key)
			} else if r.Sign != "" && !strings.HasPrefix(r.Sign, "hmac:text:") {
				explained("the signing variant", r.Sign)
			}
			for _, op := range r.Text {
				if !strings.HasPrefix(op, "length-") {
					explained("the operation", op)
				}
			}
		}
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range names.FindAllStringSubmatch(string(raw), -1) {
			if _, own := c.Tokens[m[1]]; !own && !strings.Contains(text, "${"+m[1]) {
				t.Errorf("%s: the placeholder ${%s} is not explained", c.ID, m[1])
			}
		}
	}
	for _, v := range []any{attackCase{}, message{}, recipe{}, part{}} {
		for _, name := range memberNames(v) {
			explained("the member", name)
		}
	}
}

// TestCatalogueExample: the example of the document is the case of that name.
func TestCatalogueExample(t *testing.T) {
	_, rest, _ := strings.Cut(document(t), "```json\n")
	text, _, _ := strings.Cut(rest, "```")
	cases, err := readChapter([]byte(`{"cases":[` + text + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(catalogue(), func(c attackCase) bool { return c.ID == cases[0].ID })
	if i < 0 || !reflect.DeepEqual(catalogue()[i], cases[0]) {
		t.Errorf("%s is another one in the catalogue", cases[0].ID)
	}
}
