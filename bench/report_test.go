// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// passOne to passThree are hand-written: the ratio of bearerguard to crypto is 1.10,
// 1.50 and 1.05, of which 1.10 is the median; the ratio of the median times is 1.40.
const (
	passHead = "date: 2026-01-02\ngo: go1.26.0\ncpus: 2\nbenchtime: 200ms\nhttptime: 500ms\nruns: 20\npasses: all\ncommit: 0123456789ab\nversions: example.com/a@v1.2.3 example.com/b/v2@v2.0.0\n" +
		"goos: linux\ngoarch: amd64\npkg: example.com/bench\ncpu: Some Processor\n"
	passOne = passHead + `BenchmarkFirstSight/alg=RS256/size=900/impl=crypto   	1	10000 ns/op	0 B/op	0 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=crypto-2 	1	5000 ns/op	0 B/op	0 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=bearerguard	1	11000 ns/op	900 B/op	18 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=bearerguard-2	1	6000 ns/op	900 B/op	18 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=golang-jwt	1	14000 ns/op	900 B/op	60 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=golang-jwt-2	1	8000 ns/op	900 B/op	60 allocs/op
PASS
`
	passTwo = passHead + `BenchmarkFirstSight/alg=RS256/size=900/impl=crypto   	1	20000 ns/op	0 B/op	0 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=crypto-2 	1	5000 ns/op	0 B/op	0 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=bearerguard	1	30000 ns/op	900 B/op	19 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=bearerguard-2	1	6000 ns/op	900 B/op	18 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=golang-jwt	1	25000 ns/op	900 B/op	60 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=golang-jwt-2	1	8000 ns/op	900 B/op	60 allocs/op
PASS
`
	passThree = passHead + `BenchmarkFirstSight/alg=RS256/size=900/impl=crypto   	1	8000 ns/op	0 B/op	0 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=crypto-2 	1	5000 ns/op	0 B/op	0 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=bearerguard	1	8400 ns/op	900 B/op	18 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=bearerguard-2	1	6000 ns/op	900 B/op	18 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=golang-jwt	1	12000 ns/op	900 B/op	60 allocs/op
BenchmarkFirstSight/alg=RS256/size=900/impl=golang-jwt-2	1	8000 ns/op	900 B/op	60 allocs/op
PASS
`
)

// reportOf writes passes as the command does, and reads them.
func reportOf(t *testing.T, texts ...string) (*report, error) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		text = strings.Replace(text, "passes: all", fmt.Sprintf("passes: %d", len(texts)), 1)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("pass-%d.txt", i+1)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	passes, err := loadPasses(dir)
	return &report{passes: passes}, err
}

func mustReport(t *testing.T, texts ...string) *report {
	t.Helper()
	r, err := reportOf(t, texts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func reportHas(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("there is no %q in\n%s", w, text)
		}
	}
}

func TestMedianOfRatios(t *testing.T) {
	r := mustReport(t, passOne, passTwo, passThree)
	reportHas(t, r.FirstSight(),
		"| Tokens of 900 bytes | RS256 |",
		"| crypto | 10.0 µs (8.00 µs–20.0 µs) |",
		"| bearerguard | 1.10 (1.05–1.50) |",
		"| golang-jwt | 1.40 (1.25–1.50) |",
		"\nNot measured: implementations stdlib, bearerguard-nocache, go-jose, go-oidc, auth0, jwx-verify, jwx-parse.\n")
	reportHas(t, r.FirstSightAllocs(), "| bearerguard | 18 (18–19) |", "| golang-jwt | 60 |")
	reportHas(t, r.FirstSightScaling(), "| bearerguard | 1.83 (1.40–5.00) |", "| golang-jwt | 1.75 (1.50–3.12) |")
	reportHas(t, r.FirstSightAbove(), "| bearerguard | 0.25 (0.10–2.00) |")
	if text := r.FirstSightAbove(); strings.Contains(text, "| crypto") || strings.Contains(text, "| golang-jwt |") {
		t.Errorf("what is compared with is a row:\n%s", text)
	}
}

func TestMedianOfTwo(t *testing.T) {
	r := mustReport(t, passOne, passTwo)
	reportHas(t, r.FirstSight(), "| bearerguard | 1.30 (1.10–1.50) |")
}

func TestTargets(t *testing.T) {
	text := mustReport(t, passOne, passTwo, passThree).Targets()
	reportHas(t, text,
		"| first sight, RS256, cache on: time over crypto | ≤ 1.12 | 1.10 (1.05–1.50) | met, not by each pass |",
		"| first sight, RS256, cache on: allocations | ≤ 18 | 18 (18–19) | met, not by each pass |",
		"Not measured: the targets first sight, RS256, cache off: time over crypto;")
	if strings.Contains(text, "| first sight, PS256") {
		t.Errorf("a target that was not measured has a row:\n%s", text)
	}
	text = mustReport(t, passTwo).Targets()
	reportHas(t, text,
		"| first sight, RS256, cache on: time over crypto | ≤ 1.12 | 1.50 | **not met** |",
		"| first sight, RS256, cache on: allocations | ≤ 18 | 19 | **not met** |")
}

// TestTargetAtItsBound: a target is met at its bound, and what misses it by less than
// is printed is not.
func TestTargetAtItsBound(t *testing.T) {
	for _, c := range []struct {
		atLeast bool
		got     float64
		want    bool
	}{{false, 1.08, true}, {false, 1.0801, false}, {true, 1.08, true}, {true, 1.0799, false}} {
		g := target{"x", c.atLeast, 1.08, ratio, stat{c.got, c.got, c.got}}
		if g.met() != c.want || strings.HasPrefix(g.verdict(), "met") != c.want {
			t.Errorf("at least %v: %v is met: %v, %s", c.atLeast, c.got, g.met(), g.verdict())
		}
	}
	for want, got := range map[string]stat{
		"met": {1.06, 1.05, 1.08}, "met, not by each pass": {1.06, 1.05, 1.09},
		"**not met**, but by some passes": {1.09, 1.08, 1.10}, "**not met**": {1.10, 1.09, 1.11},
	} {
		if g := (target{"x", false, 1.08, ratio, got}); g.verdict() != want {
			t.Errorf("%v is %q, want %q", got, g.verdict(), want)
		}
	}
}

const passSeen = passHead + `BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=bearerguard	1	500 ns/op	48 B/op	1 allocs/op
BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=bearerguard-2	1	250 ns/op	48 B/op	1 allocs/op
BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=crypto	1	9000 ns/op	0 B/op	0 allocs/op
BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=crypto-2	1	4500 ns/op	0 B/op	0 allocs/op
BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=digest	1	300 ns/op	0 B/op	0 allocs/op
BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=golang-jwt	1	15000 ns/op	0 B/op	60 allocs/op
BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=golang-jwt-2	1	10000 ns/op	0 B/op	60 allocs/op
BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=stdlib	1	12000 ns/op	0 B/op	30 allocs/op
BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=stdlib-2	1	7000 ns/op	0 B/op	30 allocs/op
BenchmarkRefusal/kind=none/impl=bearerguard	1	100 ns/op	0 B/op	2 allocs/op
BenchmarkRefusal/kind=good_seen/impl=bearerguard	1	1000 ns/op	0 B/op	3 allocs/op
BenchmarkRefusal/kind=good_new/impl=bearerguard	1	20000 ns/op	0 B/op	20 allocs/op
BenchmarkMiddleware/framework=nethttp/tokens=1/impl=unprotected	1	200 ns/op	0 B/op	2 allocs/op
BenchmarkMiddleware/framework=nethttp/tokens=1/impl=mcp-go-sdk	1	20200 ns/op	0 B/op	70 allocs/op
BenchmarkMiddleware/framework=nethttp/tokens=1/impl=mcp-go-sdk-2	1	11000 ns/op	0 B/op	70 allocs/op
BenchmarkMiddleware/framework=nethttp/tokens=1/impl=bearerguard	1	900 ns/op	0 B/op	5 allocs/op
BenchmarkHTTP/framework=echo/tokens=1/impl=unprotected	1	10000 ns/op	100000 req/s	9000 server-cpu-ns/op	0 B/op	0 allocs/op
BenchmarkHTTP/framework=echo/tokens=1/impl=bearerguard	1	11111 ns/op	90000 req/s	10400 server-cpu-ns/op	0 B/op	2 allocs/op
BenchmarkFlood/kind=good/impl=bearerguard	1	1 ns/op	40000 req/s
BenchmarkFlood/kind=none/impl=bearerguard	1	1 ns/op	50000 req/s
BenchmarkFlood/kind=malformed/impl=bearerguard	1	1 ns/op	30000 flood-req/s	44000 req/s
BenchmarkGrowth/by=cached/path=seen/n=1	1	400 ns/op	0 B/op	1 allocs/op
BenchmarkGrowth/by=cached/path=seen/n=1000000	1	600 ns/op	700 heap-B/token	0 B/op	1 allocs/op
BenchmarkGrowth/by=keys/path=first/n=1	1	40000 ns/op	0 B/op	1 allocs/op
BenchmarkGrowth/by=keys/path=first/n=100	1	44000 ns/op	0 B/op	1 allocs/op
BenchmarkGrowth/by=keys/path=seen/n=1	1	400 ns/op	0 B/op	1 allocs/op
BenchmarkGrowth/by=keys/path=seen/n=100	1	440 ns/op	0 B/op	1 allocs/op
PASS
`

func TestTables(t *testing.T) {
	r := mustReport(t, passSeen)
	reportHas(t, r.Seen(),
		"| RS256, 900 bytes | 1 | stdlib | 12.0 µs | 9.00 µs | 300 ns | 500 ns | 1 | 24.0 | 2.00 | 2.00 |",
		"Not measured: implementations go-jose.")
	reportHas(t, r.Refusals(), "| none | 100 ns | 2 | 0.10 | 0.01 |", "Not measured: kinds of requests oversized, malformed,")
	reportHas(t, r.Middleware(),
		"| nethttp | 1 | unprotected | 200 ns |  |  |",
		"| nethttp | 1 | mcp-go-sdk | 20.2 µs | 20.0 µs | 68 |",
		"| nethttp | 1 | bearerguard | 900 ns | 700 ns | 3 |",
		"Not measured: frameworks echo, gin.")
	reportHas(t, r.HTTP(),
		"| echo | 1 | unprotected | 100,000 |  | 9.00 µs |  | 0.90 |  |",
		"| echo | 1 | bearerguard | 90,000 | 0.90 | 10.4 µs | 1.40 µs | 0.94 | 2 |")
	reportHas(t, r.Floods(), "| malformed | bearerguard | 44,000 | 1.10 | 0.88 | 30,000 |", "Not measured: kinds of floods good_new, oversized, unknown_kid, bad_signature.")
	reportHas(t, r.Growth(),
		"| Keys in the set | First sight | Of the first row | Seen before | Of the first row |",
		"| 100 | 44.0 µs | 1.10 | 440 ns | 1.10 |",
		"| 1,000,000 | 600 ns | 1.50 | 700 |", "| 1 | 400 ns | 1.00 | – |",
		"Not measured: growth by bytes, issuers, scopes.")
	reportHas(t, r.Targets(),
		"| seen before, 1 token: times faster than the fastest peer | ≥ 25.0 | 24.0 | **not met** |",
		"| seen before, 1 token: two cores over one | ≥ 1.80 | 2.00 | met |",
		"| request, echo, 1 token seen before: server CPU above unprotected | ≤ 1.50 µs | 1.40 µs | met |",
		"| request, echo, 1 token seen before: throughput, of unprotected | ≥ 0.88 | 0.90 | met |")
	if r.Met() != 5 || r.Measured() != 6 {
		t.Errorf("%d of %d targets met, not 5 of 6", r.Met(), r.Measured())
	}
}

// TestFaultyPasses: a pass that cannot be trusted is refused, and the error says why.
func TestFaultyPasses(t *testing.T) {
	without := func(line string) string { return strings.Replace(passTwo, line, "", 1) }
	instead := func(old, new string) string { return strings.Replace(passTwo, old, new, 1) }
	const twoCores = "BenchmarkFirstSight/alg=RS256/size=900/impl=golang-jwt-2	1	8000 ns/op	900 B/op	60 allocs/op\n"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"failed":            {instead("PASS\n", "--- FAIL: BenchmarkSeen/alg=RS256\nFAIL\n"), []string{"pass-2.txt", "the pass failed", "BenchmarkSeen/alg=RS256"}},
		"failed_sub":        {instead("PASS\n", "    --- FAIL: BenchmarkSeen\nPASS\n"), []string{"the pass failed"}},
		"panic":             {instead("PASS\n", "panic: runtime error\n"), []string{"the pass failed", "panic: runtime error"}},
		"cut_off":           {without("PASS\n"), []string{"did not end"}},
		"second_cut_off":    {passTwo + "goos: linux\n", []string{"did not end"}},
		"another_round":     {instead("runs: 20", "runs: 5"), []string{"runs"}},
		"empty":             {passHead + "PASS\n", []string{"no benchmark"}},
		"lacks_one":         {without(twoCores), []string{"pass-2.txt", "lacks", "golang-jwt", "2 core"}},
		"has_one_more":      {instead("PASS\n", "BenchmarkOther\t1\t5 ns/op\nPASS\n"), []string{"has Other on 1 core"}},
		"twice":             {instead("PASS\n", twoCores+"PASS\n"), []string{"twice"}},
		"log_in_line":       {instead("PASS\n", "BenchmarkOther \tsomething else\nPASS\n"), []string{"BenchmarkOther"}},
		"no_result":         {instead("PASS\n", "BenchmarkOther\nPASS\n"), []string{"line 20", "has no result"}},
		"no_number":         {instead("20000 ns/op", "x ns/op"), []string{"is no number"}},
		"other_processor":   {instead("Some Processor", "Another"), []string{"cpu", "Another", "measure all passes anew"}},
		"other_versions":    {instead("v1.2.3", "v1.2.4"), []string{"versions"}},
		"other_go":          {instead("go1.26.0", "go1.27.0"), []string{"go is", "go1.27.0"}},
		"fewer_cores":       {instead("cpus: 2", "cpus: 1"), []string{"cpus"}},
		"another_benchtime": {instead("200ms", "1x"), []string{"benchtime"}},
		"another_httptime":  {instead("500ms", "1x"), []string{"httptime"}},
		"another_commit":    {instead("0123456789ab", "ba9876543210"), []string{"commit"}},
		"no_commit":         {without("commit: 0123456789ab\n"), []string{"no line", "commit"}},
		"no_date":           {without("date: 2026-01-02\n"), []string{"no line", "date"}},
		"more_passes":       {instead("passes: all", "passes: 3"), []string{"passes"}},
		"copy":              {passOne, []string{"pass-2.txt", "copy"}},
		"lacks_a_unit":      {without("	19 allocs/op"), []string{"pass-2.txt", "other units", "bearerguard"}},
		"another_unit":      {instead("19 allocs/op", "19 alloc/op"), []string{"other units"}},
		"more_runs":         {instead("	30000 ns/op	900 B/op	19 allocs/op", "	3,4 ns/op	9,9 B/op	1,1 allocs/op"), []string{"another number of runs"}},
		"lists_differ":      {instead("	30000 ns/op	900 B/op", "	3,4 ns/op	9,9,9 B/op"), []string{"3 values"}},
		"no_time":           {instead("	30000 ns/op", "	0 ns/op"), []string{"took no time"}},
		"negative_time":     {instead("	30000 ns/op", "	-7 ns/op"), []string{"took no time"}},
		"time_lacks":        {instead("	30000 ns/op	900 B/op", "	900 B/op"), []string{"took no time"}},
		"infinite":          {instead("	30000 ns/op", "	+Inf ns/op"), []string{"is no number"}},
		"not_a_number":      {instead("	900 B/op", "	NaN B/op"), []string{"is no number"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := reportOf(t, passOne, c.text)
			if err == nil {
				t.Fatal("the pass is accepted")
			}
			reportHas(t, err.Error(), c.want...)
		})
	}
	t.Run("none", func(t *testing.T) {
		if _, err := reportOf(t); err == nil || !strings.Contains(err.Error(), "no pass-N.txt") {
			t.Errorf("%v", err)
		}
	})
}

func TestOrderOfPasses(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{10, 9, 2, 1} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("pass-%d.txt", n)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names, err := passFiles(dir)
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	if want := []string{"pass-1.txt", "pass-2.txt", "pass-9.txt", "pass-10.txt"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%v, %v", names, err)
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{ratio(1.064), "1.06"}, {ratio(0), "0.00"}, {ratio(31.24), "31.2"}, {ratio(4123.4), "4,123"},
		{nanoseconds(0.5), "0.50 ns"}, {nanoseconds(999.4), "999 ns"}, {nanoseconds(999.6), "1.00 µs"}, {nanoseconds(31_240), "31.2 µs"},
		{nanoseconds(-1500), "-1.50 µs"}, {nanoseconds(2.5e6), "2.50 ms"}, {nanoseconds(3e9), "3.00 s"},
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1000), "1,000"}, {grouped(1234567), "1,234,567"}, {grouped(-1234), "-1,234"},
		{round("10.0 µs"), "10 µs"}, {round("0.00 ns"), "0"}, {round("1,000"), "1,000"}, {round("0.50 ns"), "0.5 ns"},
		{times("1", "token"), "1 token"}, {times("1000", "token"), "1,000 tokens"}, {short(100), "100"}, {short(16384), "16,384"}, {short(10_000), "10k"}, {short(1_000_000), "1M"},
		{stat{1, 1, 1}.text(ratio), "1.00"}, {stat{1.001, 1, 1.002}.text(ratio), "1.00"}, {unknown.text(ratio), "–"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestNamesOfRuns(t *testing.T) {
	for line, want := range map[string]struct {
		at    point
		again bool
	}{
		"BenchmarkX/impl=jwx-verify": {point{"X/impl=jwx-verify", 1}, false}, "BenchmarkX/n=1-16": {point{"X/n=1", 16}, false},
		"BenchmarkX/n=1#01": {point{"X/n=1", 1}, true}, "BenchmarkX/n=1#02-16": {point{"X/n=1", 16}, true},
		"BenchmarkX/n=#0": {point{"X/n=#0", 1}, false}, "BenchmarkX/n=a#b": {point{"X/n=a#b", 1}, false},
	} {
		if at, again := pointOf(line); at != want.at || again != want.again {
			t.Errorf("%s: %v, %v", line, at, again)
		}
	}
}

// TestRunsInTurn: what is compared is compared turn by turn, and the median counts.
func TestRunsInTurn(t *testing.T) {
	const name = "BenchmarkHTTP/framework=gin/tokens=1/impl="
	text := passHead + name + "bearerguard \t1\t30 ns/op\t70 req/s\n" + name + "unprotected \t1\t10 ns/op\t100 req/s\n" +
		name + "bearerguard#01\t1\t24 ns/op\t50 req/s\n" + name + "unprotected#01\t1\t20 ns/op\t200 req/s\n" +
		name + "bearerguard#02\t1\t25 ns/op\t99 req/s\n" + name + "unprotected#02\t1\t5 ns/op\t100 req/s\n" +
		"BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=digest\t1\t300 ns/op\nPASS\n"
	p, err := parsePass(text)
	if err != nil {
		t.Fatal(err)
	}
	r := &report{passes: []*pass{p}}
	guarded, bare := routeName("HTTP", "gin", "1", "bearerguard"), unprotectedName("HTTP", "gin", "1")
	for what, c := range map[string]struct {
		got  stat
		want float64
	}{
		"time":  {r.one(guarded, "ns/op"), 25},
		"above": {r.above(guarded, bare, "ns/op"), 20}, // of 20, 4 and 20; of the medians it would be 15
		"share": {r.share(guarded, bare, "req/s"), 0.7},
		"once":  {r.one(seenName("RS256", "900", "1", "digest"), "ns/op"), 300},
	} {
		if c.got.median != c.want {
			t.Errorf("%s is %v, want %v", what, c.got, c.want)
		}
	}
	if p.most() != 3 || len(p.order) != 3 {
		t.Errorf("%d runs of %v", p.most(), p.order)
	}
	again, err := parsePass(p.text())
	if err != nil || !reflect.DeepEqual(again, p) {
		t.Errorf("read again: %v, %+v, want %+v", err, again, p)
	}
}

// TestShareOfNothing: where golang-jwt is measured to take less than the signature check
// that it makes, nothing is said of shares in the rest.
func TestShareOfNothing(t *testing.T) {
	for _, c := range []struct {
		time string
		want bool
	}{{"14000", true}, {"10001", true}, {"10000", false}, {"9000", false}} {
		r := mustReport(t, strings.Replace(passOne, "golang-jwt\t1\t14000", "golang-jwt\t1\t"+c.time, 1))
		s := r.overPasses(func(p *pass) float64 { return p.aboveShare("RS256", "900", "bearerguard") })
		if s.known() != c.want || c.want && s.median <= 0 {
			t.Errorf("%s ns: %v", c.time, s)
		}
	}
}

// TestDocument: each table and picture has its place, pictures are well-formed, and an
// old one that is no longer drawn goes away.
func TestDocument(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "performance-old.svg")
	if err := os.WriteFile(old, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := mustReport(t, strings.Replace(passSeen, "PASS\n", "", 1)+passOne[len(passHead):])
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = string(data)
	}
	want := []string{"performance-first-sight.svg", "performance-growth.svg", "performance-requests.svg", "performance.md"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Fatalf("%q was written", got)
	}
	text := files[documentName]
	reportHas(t, text, "| Processor | Some Processor |", "| Date | 2026-01-02 |", "| `example.com/b/v2` | v2.0.0 |",
		"](performance-first-sight.svg)", "](performance-growth.svg)", "](performance-requests.svg)",
		r.FirstSight(), r.FirstSightAllocs(), r.FirstSightAbove(), r.FirstSightScaling(), r.Seen(), r.Middleware(), r.HTTP(), r.Refusals(), r.Floods(), r.Growth(), r.Targets())
	if strings.Contains(text, "<no value>") || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Errorf("the document holds what is no number:\n%s", text)
	}
	for _, name := range want[:3] {
		wellFormed(t, name, files[name])
	}
	reportHas(t, files["performance-first-sight.svg"], ">1.10</text>", "RS256, bearerguard: 1.10.")
	reportHas(t, files["performance-requests.svg"], ">1.40 µs</text>", "echo, tokens: 1, bearerguard: 1.40 µs.")
	reportHas(t, files["performance-growth.svg"], "Seen before from 400 ns at 1 to 600 ns at 1,000,000", ">1M</text>", "Heap by tokens in the cache")
}

func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader([]byte(text)))
	found := map[string]string{}
	inside := ""
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inside = token.Name.Local
		case xml.CharData:
			found[inside] += strings.TrimSpace(string(token))
		}
	}
	if found["title"] == "" || found["desc"] == "" || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Errorf("%s has no title, no description, or no numbers:\n%s", name, text)
	}
}

// TestNothingMeasured: without any known benchmark there are lines that say so, and no
// picture.
func TestNothingMeasured(t *testing.T) {
	files, err := mustReport(t, passHead+"BenchmarkOther\t1\t5 ns/op\nPASS\n").files()
	if err != nil {
		t.Fatal(err)
	}
	text := files[documentName]
	for _, name := range []string{"FirstSight", "Seen", "Middleware", "HTTP", "Refusal", "Flood", "Growth"} {
		reportHas(t, text, "Not measured: `Benchmark"+name+"`.\n")
	}
	reportHas(t, text, "Only one core was measured")
	if len(files) != 1 || strings.Count(text, "No picture") != 3 || strings.Contains(text, "NaN") {
		t.Errorf("%d files:\n%s", len(files), text)
	}
}

// TestNoNumberByHand: outside its commands, the template of the document holds no number.
func TestNoNumberByHand(t *testing.T) {
	if line := digitIn(prose); line != "" {
		t.Errorf("performance.md.tmpl has a number of its own: %s", line)
	}
	if line := digitIn("a {{.B}}{{- if not .C}} d{{end}}\n```sh\ne 3\n```\n"); line != "" {
		t.Errorf("the check refuses %q", line)
	}
	for _, byHand := range []string{"takes 4 µs", "takes `4 µs`", `takes {{"4 µs"}}`, "takes {{4}} µs", "takes ¼ µs"} {
		if digitIn(byHand) == "" {
			t.Errorf("the check finds no number in %s", byHand)
		}
	}
}

// computed is what the template may call: a method of [document], without arguments.
var computed = regexp.MustCompile(`\{\{-? *(end|(if (not )?)?\.[A-Za-z]+) *-?\}\}`)

// digitIn is the first line with a number that is neither in a block of commands nor
// computed.
func digitIn(text string) string {
	fenced := false
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if !fenced && strings.ContainsFunc(computed.ReplaceAllString(line, ""), unicode.IsNumber) {
			return line
		}
	}
	return ""
}

// TestStoredReport: docs/performance.md and its pictures are what the stored passes say.
func TestStoredReport(t *testing.T) {
	names, err := passFiles("results")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		for name := range reportFiles(t, "../docs") {
			t.Errorf("../docs/%s is of no stored pass: run GOWORK=off go run . to measure", name)
		}
		t.Skip("results holds no pass")
	}
	passes, err := loadPasses("results")
	if err != nil {
		t.Fatal(err)
	}
	dir, stored := t.TempDir(), &report{passes, profiles("results")}
	if err := stored.write(dir); err != nil {
		t.Fatal(err)
	}
	if n := len(stored.targets()); stored.Measured() != n {
		t.Errorf("%d targets of %d were measured", stored.Measured(), n)
	}
	got, want := reportFiles(t, dir), reportFiles(t, "../docs")
	for name := range got {
		if got[name] != want[name] {
			t.Errorf("../docs/%s is not what the passes say: run GOWORK=off go run . -from results", name)
		}
	}
	for name := range want {
		if got[name] == "" {
			t.Errorf("../docs/%s is no longer drawn: run GOWORK=off go run . -from results", name)
		}
	}
}

func reportFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "performance*"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = string(data)
	}
	return files
}

// TestMissingUnit: what was measured in another unit, or on two cores only, is not known.
func TestMissingUnit(t *testing.T) {
	const line = "BenchmarkSeen/alg=RS256/size=900/tokens=1/impl=bearerguard-2	1	5 ns/op\nPASS\n"
	r := mustReport(t, passHead+line, passHead+strings.Replace(line, "\t5", "\t6", 1))
	name := seenName("RS256", "900", "1", "bearerguard")
	if s := r.one(name, "allocs/op"); s.known() {
		t.Errorf("%v of a unit that was not measured", s)
	}
	if s := r.over(func(p turn) float64 { return p.get(name, 2, "ns/op") }); s.median != 5.5 {
		t.Errorf("%v, want 5.5", s)
	}
	if s := r.one(name, "ns/op"); s.known() {
		t.Errorf("%v on one core, which was not measured", s)
	}
}

func TestAxis(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   axis
	}{
		{[]float64{300, 410}, axis{false, 0, 600}},
		{[]float64{0, 1000}, axis{false, 0, 1000}},
		{[]float64{30, 4100}, axis{true, 10, 10_000}},
	} {
		if got := axisFor(c.values); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.values, got, c.want)
		}
	}
	if a := (axis{true, 10, 1000}); a.place(100) != 0.5 || len(a.marks()) != 3 {
		t.Errorf("100 is at %v of %v", a.place(100), a.marks())
	}
	if a := (axis{false, 0, 400}); a.place(100) != 0.25 || len(a.marks()) != 3 {
		t.Errorf("100 is at %v of %v", a.place(100), a.marks())
	}
}

func TestProfiles(t *testing.T) {
	const top = `File: bench.test
Duration: 5s
      flat  flat%   sum%        cum   cum%
     0.01s  0.1%  0.1%      8.00s 80.00%  github.com/bearerguard/bearerguard/verifier.(*Verifier).VerifyBound
         0     0%  0.1%      7.90s 79.00%  github.com/bearerguard/bearerguard/internal/hook.Call
         0     0%  0.1%      6.00s 60.00%  crypto/rsa.VerifyPKCS1v15
         0     0%  0.1%      0.80s  8.00%  github.com/bearerguard/bearerguard/verifier.(*desk).parse (inline)
         0     0%  0.1%      0.04s  0.40%  runtime.mallocgc
`
	r := &report{profiles: map[string]string{"profile-first.txt": top}}
	got := r.Profiles()
	for _, want := range []string{"| `rsa.VerifyPKCS1v15` | 75.0 % |", "| `verifier.(*desk).parse` | 10.0 % |", "Seen before: no profile was stored."} {
		if !strings.Contains(strings.Join(strings.Fields(got), " "), want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	for _, not := range []string{"hook.Call", "VerifyBound", "mallocgc"} {
		if strings.Contains(got, not) {
			t.Errorf("%s\nholds %s", got, not)
		}
	}
}
