// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// attackCase is what the document needs of the catalogue (docs/attack-catalogue.md).
type attackCase struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Needs  []string `json:"needs"`
	Expect []string `json:"expect"`
	Tokens map[string]struct {
		From string   `json:"from"`
		Sign string   `json:"sign"`
		Text []string `json:"text"`
		Raw  string   `json:"raw"`
	} `json:"tokens"`
}

// issuer says what the issuer would have to do for this to be sent, beyond giving
// out good tokens: "" where an attacker needs nothing of it.
func (c attackCase) issuer() string {
	for _, r := range c.Tokens {
		switch {
		case strings.HasPrefix(r.Sign, "key:"):
			return "publish the key"
		case r.Sign == "" && r.From == "" && r.Raw == "" && len(r.Text) == 0:
			return "sign it"
		}
	}
	return ""
}

// needs are the conditions that cases have (docs/attack-catalogue.md), and whether they
// hold for an issuer that signs with RS256 and APIs that take any JWT.
var needs = map[string]bool{
	"connection": true, "body": true, "scope-levels": true, "own-scope": true, "audience": true, "own-audience": true,
	"scope": true, "asymmetric": true, "rsa": true, "pkcs1": true, "not-rs512": true, "spare-bits": true,
	"http1": true, "keys": true, "outage": true, "clock": true, "small-letters": true,
	"rfc9068": false, "second-issuer": false, "several-scopes": false, "hmac": false, "hs256": false, "pss": false, "ec": false, "ed25519": false,
}

// sent tells whether the case is one that can be sent here.
func (c attackCase) sent(t *testing.T) bool {
	t.Helper()
	for _, need := range c.Needs {
		holds, known := needs[need]
		if !known {
			t.Fatalf("%s needs %s: say in needs whether that holds here", c.ID, need)
		}
		if !holds {
			return false
		}
	}
	return true
}

// cases reads the catalogue. left are the identifiers of what is left out: cases that
// cannot be sent here, and good tokens of an algorithm that the set-ups, rightly, do not
// allow.
func cases(t *testing.T) (all []attackCase, left []string) {
	t.Helper()
	files, err := filepath.Glob("../oauthtest/attacks/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if filepath.Base(name) == "schema.json" {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Cases []attackCase `json:"cases"`
		}
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, file.Cases...)
	}
	all = slices.DeleteFunc(all, func(c attackCase) bool {
		if !c.sent(t) {
			left = append(left, c.ID)
			return true
		}
		return false
	})
	return all, left
}

// attackRows reads the headings of docs/attacks.md by letter, and the rows whose
// answer is a decision of this project and no demand of an RFC.
func attackRows(t *testing.T) (sections map[string]string, decisions map[string]bool) {
	t.Helper()
	data, err := os.ReadFile("../docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	sections, decisions = map[string]string{}, map[string]bool{}
	for _, line := range strings.Split(string(data), "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok && len(heading) > 2 && heading[1] == '.' {
			sections[heading[:1]] = heading[3:]
		}
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.Contains(line, "◇") {
			decisions[strings.TrimSpace(cells[1])] = true
		}
	}
	return sections, decisions
}
