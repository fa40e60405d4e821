// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// setups lists modules and versions, and the code as it was compiled.
func setups(t *testing.T) string {
	t.Helper()
	have := versions(t)
	var b strings.Builder
	b.WriteString("## What was run\n\n| set-up | modules | code |\n|---|---|---|\n")
	for _, p := range peers {
		modules := []string{"this repository"}
		for i, m := range p.modules {
			if have[m] == "" {
				t.Fatalf("go.mod does not say which version of %s was run", m)
			}
			modules = append(modules[:i], fmt.Sprintf("`%s` %s", m, have[m]))
		}
		fmt.Fprintf(&b, "| %s | %s | [%s](../interop/%[3]s) |\n", p.name, strings.Join(modules, ", "), p.file)
	}
	return b.String() + "\n"
}

// counts says how many cases each set-up answers wrongly, by problem.
func counts(all []attackCase, results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## How many\n\n%d cases, each counted once, under the gravest problem with it.\n\n", len(all))
	head(&b, "")
	for _, p := range problems {
		countRow(&b, p.label, results, func(id string, found oauthtest.Problem) bool { return found == p.problem })
		if p.problem == oauthtest.Accepted {
			byIssuer := map[string]string{}
			for _, c := range all {
				byIssuer[c.ID] = c.issuer()
			}
			countRow(&b, "… of these without help of the issuer", results, func(id string, found oauthtest.Problem) bool {
				return found == oauthtest.Accepted && byIssuer[id] == ""
			})
		}
	}
	return b.String() + "\n"
}

func countRow(b *strings.Builder, label string, results []result, counted func(id string, found oauthtest.Problem) bool) {
	fmt.Fprintf(b, "| %s |", label)
	for _, r := range results {
		n := 0
		for id, found := range r.problems {
			if counted(id, found) {
				n++
			}
		}
		fmt.Fprintf(b, " %d |", n)
	}
	b.WriteString("\n")
}

// head writes the head of a table with one column for each set-up.
func head(b *strings.Builder, columns ...string) {
	for _, p := range peers {
		columns = append(columns, p.name)
	}
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
}

// table lists the cases that a set-up did not refuse, by section of docs/attacks.md.
func table(t *testing.T, all []attackCase, results []result) string {
	t.Helper()
	sections, decisions := attackRows(t)
	bySection := map[string][]string{}
	for _, c := range all {
		if line := tableRow(c, decisions, results); line != "" {
			section := c.ID[:1]
			bySection[section] = append(bySection[section], line)
		}
	}
	var b strings.Builder
	b.WriteString("## Which\n\n")
	for _, section := range slices.Sorted(maps.Keys(bySection)) {
		if sections[section] == "" {
			t.Fatalf("docs/attacks.md has no section %s", section)
		}
		fmt.Fprintf(&b, "### %s\n\n", sections[section])
		head(&b, "case", "what is sent", "the issuer must")
		b.WriteString(strings.Join(bySection[section], "") + "\n")
	}
	if lines := around(all, results); lines != "" {
		b.WriteString("### Between the cases\n\n")
		head(&b, "case", "what is sent", "the issuer must")
		b.WriteString(lines + "\n")
	}
	return b.String()
}

// around are the rows of what is tried beside the catalogue.
func around(all []attackCase, results []result) string {
	titles := map[string]string{}
	for _, r := range results {
		maps.Copy(titles, r.titles)
	}
	for _, c := range all {
		delete(titles, c.ID)
	}
	var lines strings.Builder
	for _, id := range slices.Sorted(maps.Keys(titles)) {
		lines.WriteString(tableRow(attackCase{ID: id, Title: titles[id]}, nil, results))
	}
	return lines.String()
}

// tableRow is "" for a case that every set-up refuses, in whatever words.
func tableRow(c attackCase, decisions map[string]bool, results []result) string {
	cells, any := "", false
	for _, r := range results {
		cell := ""
		if found, ok := r.problems[c.ID]; ok {
			cell = problems[grave(found)].cell
		}
		cells += " " + cell + " |"
		any = any || cell != ""
	}
	if !any {
		return ""
	}
	row, _, _ := strings.Cut(c.ID, ".")
	mark := ""
	if decisions[row] {
		mark = " ◇"
	}
	return fmt.Sprintf("| `%s`%s | %s | %s |%s\n", c.ID, mark, strings.ReplaceAll(c.Title, "|", "\\|"), c.issuer(), cells)
}

// writeDocument compares what is between the markers with what was found, or
// replaces it under -update.
func writeDocument(t *testing.T, found string) {
	t.Helper()
	data, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(data, []byte(beginTable))
	_, after, closed := bytes.Cut(rest, []byte(endTable))
	if !ok || !closed {
		t.Fatalf("%s lacks the markers", document)
	}
	want := slices.Concat(before, []byte(beginTable+"\n"+found+setupCode(t)), []byte(endTable), after)
	switch {
	case bytes.Equal(data, want):
	case *update:
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not say what was found; run go test -run TestComparison -update", document)
	}
}

// setupCode is the code of all set-ups, word for word.
func setupCode(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("## The code\n\n")
	var done []string
	for _, p := range peers {
		if slices.Contains(done, p.file) {
			continue
		}
		done = append(done, p.file)
		data, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(data), "\n\n") // without the license line
		fmt.Fprintf(&b, "### %s\n\n```golang\n%s```\n\n", p.file, text)
	}
	return b.String()
}
