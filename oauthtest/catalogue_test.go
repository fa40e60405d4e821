// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const catalogueAPI = "https://api.example.com"

// forgeryFor makes tokens of a new server for an API that needs the scope read.
func forgeryFor(t testing.TB, alg string) *forgery {
	t.Helper()
	as := NewServer(t, func(c *Config) {
		c.Algorithm = alg
		c.Audience = []string{catalogueAPI}
	})
	return &forgery{server: as, scope: "read"}
}

// tableRows are the identifiers in the first column of a document's tables.
func tableRows(t *testing.T, file, pattern string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (`+pattern+`) \|`).FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = true
	}
	if len(rows) < 100 {
		t.Fatalf("%s has %d rows only", file, len(rows))
	}
	return rows
}

func TestCatalogueNames(t *testing.T) {
	attackRows := tableRows(t, "attacks.md", `[A-Z]\d+`)
	requirements := tableRows(t, "requirements.md", `[A-Z]{2}-\d\d`)
	name := regexp.MustCompile(`^[A-Z]\d+\.[a-z0-9_]+$`)
	seen := map[string]bool{}
	hostile := 0
	for _, c := range catalogue() {
		row, _, _ := strings.Cut(c.ID, ".")
		if !name.MatchString(c.ID) || !attackRows[row] {
			t.Errorf("%s: not a row of attacks.md, a dot, and a name", c.ID)
		}
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
		for _, r := range c.Requirements {
			if !requirements[r] {
				t.Errorf("%s: %s is no row of requirements.md", c.ID, r)
			}
		}
		if len(c.Requirements) == 0 {
			t.Errorf("%s: no requirement", c.ID)
		}
		if !slices.Equal(c.Expect, []string{"PASS"}) {
			hostile++
		}
	}
	t.Run("TA-24/enough_cases", func(t *testing.T) {
		if hostile < 200 {
			t.Errorf("%d cases beside the positive controls", hostile)
		}
	})
}

// TestCatalogueTexts: every text is one sentence of its own words.
func TestCatalogueTexts(t *testing.T) {
	sentence := regexp.MustCompile(`^[A-Z0-9][^\n]*[^ .]\.$`)
	for _, c := range catalogue() {
		for _, text := range []string{c.Gain, c.Cause} {
			if !sentence.MatchString(strings.ReplaceAll(text, "e.g.", "")) && !strings.HasPrefix(text, "alg ") && !lowerStart.MatchString(text) {
				t.Errorf("%s: %q is no sentence", c.ID, text)
			}
			if strings.Contains(text, ". ") {
				t.Errorf("%s: %q is more than one sentence", c.ID, text)
			}
		}
		if c.Title == "" || strings.HasSuffix(c.Title, ".") || len(c.Title) > 120 {
			t.Errorf("%s: title %q", c.ID, c.Title)
		}
		if c.Gain == c.Cause {
			t.Errorf("%s: gain and cause are the same", c.ID)
		}
	}
}

// lowerStart are sentences that begin with the name of a member.
var lowerStart = regexp.MustCompile(`^(alg|aud|crit|cty|dir|exp|iat|iss|jku|key_ops|kid|nbf|null|s|sub|true|typ|use|x5c|x5u|zip|b64|cnf|scope)\b[^\n]*\.$`)

func TestCatalogueWords(t *testing.T) {
	words := []string{"PASS", "NONE", "REQ", "TOK", "SCOPE", "UNAV", "SRV"}
	needs := []string{
		"scope", "small-letters", "several-scopes", "rfc9068", "second-issuer", "asymmetric", "rsa", "pkcs1", "not-rs512", "pss", "ec", "ed25519",
		"hmac", "hs256", "spare-bits", "http1", "connection", "keys", "outage", "clock",
		"scope-levels", "own-scope", "audience", "own-audience", "body",
	}
	for _, c := range catalogue() {
		if len(c.Expect) == 0 {
			t.Errorf("%s: nothing is expected", c.ID)
		}
		for _, w := range c.Expect {
			if !slices.Contains(words, w) {
				t.Errorf("%s: %q is no outcome word", c.ID, w)
			}
		}
		for _, n := range c.Needs {
			if !slices.Contains(needs, n) {
				t.Errorf("%s: nobody knows the need %q", c.ID, n)
			}
		}
		for name, r := range c.Tokens {
			if r.From != "" && r.From != "good" || r.By != "" && r.By != "second" || r.From != "" && r.By != "" {
				t.Errorf("%s: token %s is made from %q by %q", c.ID, name, r.From, r.By)
			}
			if strings.HasPrefix(r.Sign, "key:") != slices.Contains(c.Needs, "keys") && len(c.Tokens) > 0 {
				t.Errorf("%s: a hostile key without the need for keys, or the reverse", c.ID)
			}
		}
	}
}

// shownElsewhere are rows of the sections about requests, tokens and keys that no request to
// one route with default settings can show.
var shownElsewhere = map[string]string{
	"A14": "every case of A12 and A13 is sent over HTTP/2, too",
	"A26": "the query is no place for tokens", "A29": "the query is no place for tokens",
	"A34": "forms are no place for tokens", "A47": "DPoP is off",
	"B5": "decryption is off", "D14": "a setting that is off",
	"D23": "needs two APIs",
	"D45": "a setting that is off", "D54": "rows H38 to I3",
	"D55": "step-up is not built", "D56": "step-up is not built", "D57": "step-up is not built",
	"D61": "a rule of the application",
	"E17": "needs a key set of its own", "E18": "needs a wait for the next refresh", "E19": "needs a wait for the next refresh",
	"E20": "configuration", "E21": "configuration", "E22": "configuration", "E23": "configuration",
	"K1": "a list of all routes, which CheckRoutes asks for", "K4": "groups of one framework", "K5": "groups of one framework",
	"K10": "rows A40 and N9", "K14": "needs a route without need of a token", "K16": "needs a route without need of a token",
	"K17": "needs a route without verifier", "K19": "needs a guard within a guard", "K22": "code of the application",
	"K23": "code of the application", "K24": "needs many requests at once", "K26": "needs a handler that panics",
	"K27": "an error handler of the application", "K33": "other middleware of the application", "K34": "needs a client that goes away",
	"K35": "other handlers of the application", "K36": "needs two issuers, one of them out of reach",
	"N2": "configuration", "N3": "configuration", "N4": "a rule for every answer", "N6": "row A1", "N8": "a decision about caches",
	"N12": "about logs", "N13": "the outcome UNAV", "N14": "about values of errors", "N15": "configuration",
}

// notEnabled are the rows of H and I for which a feature must be on that is off by default.
var notEnabled = map[string]string{
	"DPoP": "H2 H3 H4 H5 H6 H9 H12 H14 H15 H16 H17 H18 H19 H20 H22 H23 H24 H25 H26 H27 H28 H29 H31 H32 H33 H34 H36 H44 H48 H49 H50 H52 H53 H54",
	"mTLS": "I2 I7 I8 I9 I10 I11 I12 I13",
}

func TestCatalogueCoversRows(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range catalogue() {
		row, _, _ := strings.Cut(c.ID, ".")
		covered[row] = true
	}
	off := strings.Fields(strings.Join(slices.Collect(maps.Values(notEnabled)), " "))
	rows := tableRows(t, "attacks.md", `[A-Z]\d+`)
	for _, row := range slices.Concat(off, slices.Collect(maps.Keys(shownElsewhere))) {
		if !rows[row] {
			t.Errorf("%s is excused, and no row", row)
		}
	}
	for row := range rows {
		if !strings.ContainsAny(row[:1], "ABCDEHIKN") {
			continue
		}
		if _, excused := shownElsewhere[row]; covered[row] == (excused || slices.Contains(off, row)) {
			t.Errorf("%s: covered %v, excused %v", row, covered[row], excused)
		}
	}
	for _, control := range strings.Fields("A5 A6 A15 B35 C26 C45 C51 C55 D3 D7 D26 D49 D50 E9 E10 F1 M12") {
		if !covered[control] {
			t.Errorf("the positive control %s is missing", control)
		}
	}
}

// TestCatalogueForges: every token can be made, and every template filled in, whatever
// algorithm the issuer uses.
func TestCatalogueForges(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA", "HS256", "HS384"} {
		t.Run("TA-24/"+alg, func(t *testing.T) {
			OneOfMany(t, alg == "ES256")
			f := forgeryFor(t, alg)
			f.scope, f.other = "read write", forgeryFor(t, "ES256")
			f.other.other = f
			made := 0
			for _, c := range catalogue() {
				if f.lacks(c.Needs) != "" {
					continue
				}
				made++
				if err := compose(f, c); err != nil {
					t.Errorf("%s: %v", c.ID, err)
				}
			}
			if made < 400 {
				t.Errorf("%d of %d cases", made, len(catalogue()))
			}
		})
	}
}

// compose makes all texts of a case.
func compose(f *forgery, c attackCase) error {
	vars, err := f.tokens(c)
	if err != nil {
		return err
	}
	maps.Copy(vars, places("/orders", "api.test:8080", "GET"))
	m := c.Send
	for _, template := range slices.Concat([]string{m.Method, m.Path, m.Query, m.Body, "${token}"}, m.Lines, m.Trailer) {
		if template == "${token}" && (m.NoLines || m.Lines != nil) {
			continue
		}
		if _, err := f.expand(template, vars); err != nil {
			return err
		}
	}
	return nil
}

func TestCatalogueIsReadStrictly(t *testing.T) {
	for name, text := range map[string]string{
		"unknown_field":  `{"cases":[{"id":"A1.x","exspect":["TOK"]}]}`,
		"data_behind":    `{"cases":[]} x`,
		"another_object": `{"cases":[]} {}`,
		"no_JSON":        `cases`,
	} {
		t.Run(name, func(t *testing.T) {
			if cases, err := readChapter([]byte(text)); err == nil {
				t.Errorf("read %d cases", len(cases))
			}
		})
	}
	if cases, err := readChapter([]byte(`{"cases":[{"id":"A1.x"}]}`)); err != nil || len(cases) != 1 {
		t.Errorf("%d cases, %v", len(cases), err)
	}
}
