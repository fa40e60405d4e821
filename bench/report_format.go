// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const missing = "–"

// ratio writes 1.064 as 1.06, 31.24 as 31.2 and 412.3 as 412.
func ratio(v float64) string {
	switch {
	case math.Abs(v) < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case math.Abs(v) < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return grouped(v)
}

// nanoseconds writes a time with three digits and the unit that suits it.
func nanoseconds(v float64) string {
	switch abs := math.Abs(v); {
	case abs < 999.5:
		return significant(v) + " ns"
	case abs < 999.5e3:
		return significant(v/1e3) + " µs"
	case abs < 999.5e6:
		return significant(v/1e6) + " ms"
	}
	return significant(v/1e9) + " s"
}

// significant writes three digits, or all before the point.
func significant(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// grouped writes a whole number with commas between thousands.
func grouped(v float64) string {
	digits := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if v <= -0.5 {
		return "-" + digits
	}
	return digits
}

// text is the median with the least and the most of all passes.
func (s stat) text(format func(float64) string) string {
	if !s.known() {
		return missing
	}
	median, least, most := format(s.median), format(s.least), format(s.most)
	if least == most {
		return median
	}
	return fmt.Sprintf("%s (%s–%s)", median, least, most)
}

// table writes a Markdown table.
type table struct{ b strings.Builder }

// newTable begins with columns of text, as many as said; the others are numbers.
func newTable(text int, heads ...string) *table {
	t := &table{}
	t.row(heads...)
	t.b.WriteString(strings.Repeat("|---", text) + strings.Repeat("|---:", len(heads)-text) + "|\n")
	return t
}

func (t *table) row(cells ...string) { t.b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }

func (t *table) String() string { return t.b.String() }

// absent is the line for what a table has no row for.
func absent(what string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("\nNot measured: %s %s.\n", what, strings.Join(names, ", "))
}

// times writes "1 token" and "1,000 tokens".
func times(n, what string) string {
	if n == "1" {
		return n + " " + what
	}
	return count(n) + " " + what + "s"
}
