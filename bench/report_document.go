// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

//go:embed performance.md.tmpl
var prose string

const documentName = "performance.md"

// document is the report with the pictures that its text asked for.
type document struct {
	*report
	charts map[string]string
}

// files are the text and the pictures by name.
func (r *report) files() (map[string]string, error) {
	t, err := template.New(documentName).Option("missingkey=error").Parse(prose)
	if err != nil {
		return nil, err
	}
	d := document{r, map[string]string{}}
	var b strings.Builder
	if err := t.Execute(&b, d); err != nil {
		return nil, err
	}
	d.charts[documentName] = b.String()
	return d.charts, nil
}

// write puts the files into a directory and takes away pictures of an older report.
func (r *report) write(dir string) error {
	files, err := r.files()
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "performance-*.svg"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// FirstSightChart, RequestsChart and GrowthChart are the Markdown of a picture, or a
// line that says that there is none.
func (d document) FirstSightChart() string { return d.image(d.firstSightChart()) }

// RequestsChart see FirstSightChart.
func (d document) RequestsChart() string { return d.image(d.requestsChart()) }

// GrowthChart see FirstSightChart.
func (d document) GrowthChart() string { return d.image(d.growthChart()) }

func (d document) image(c chart) string {
	if c.svg == "" {
		return "No picture: what it would show was not measured.\n"
	}
	name := "performance-" + c.name + ".svg"
	d.charts[name] = c.svg
	return fmt.Sprintf("![%s. The tables have the same numbers.](%s)\n", c.title, name)
}

// chart is one picture; svg is "" where there is nothing to draw.
type chart struct{ name, title, svg string }

// Machine says what was measured where and when.
func (r *report) Machine() string {
	h := r.passes[0].header
	var dates []string
	for _, p := range r.passes {
		if !slices.Contains(dates, p.header["date"]) {
			dates = append(dates, p.header["date"])
		}
	}
	t := newTable(2, "What", "")
	for _, row := range [][2]string{
		{"Processor", h["cpu"]}, {"Cores", h["cpus"]}, {"System", h["goos"] + "/" + h["goarch"]},
		{"Go", h["go"]}, {"Commit", h["commit"]}, {"Date", strings.Join(dates, ", ")}, {"Passes", fmt.Sprint(len(r.passes))}, {"Runs in turn in each pass", "at most " + h["runs"]},
		{"Time for each run", h["benchtime"]}, {"Time for each run over HTTP", h["httptime"]},
	} {
		if row[1] == "" {
			row[1] = "not recorded"
		}
		t.row(row[0], row[1])
	}
	return t.String()
}

// Versions is the table of modules that were measured, as go.mod had them.
func (r *report) Versions() string {
	t := newTable(2, "Module", "Version")
	for _, field := range strings.Fields(r.passes[0].header["versions"]) {
		module, version, _ := strings.Cut(field, "@")
		t.row("`"+module+"`", version)
	}
	return t.String()
}

// Passes is how many passes there are.
func (r *report) Passes() int { return len(r.passes) }

// ManyCores tells whether more than one core was measured.
func (r *report) ManyCores() bool {
	return slices.ContainsFunc(r.passes[0].order, func(at point) bool { return at.procs > 1 })
}

// Met counts the targets that were reached.
func (r *report) Met() int { return r.countTargets(target.met) }

// Measured counts the targets for which there is a value.
func (r *report) Measured() int { return r.countTargets(func(target) bool { return true }) }

func (r *report) countTargets(counts func(target) bool) (n int) {
	for _, goal := range r.targets() {
		if goal.got.known() && counts(goal) {
			n++
		}
	}
	return n
}
