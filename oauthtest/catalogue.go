// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// attackCase is one entry of the catalogue in attacks/*.json, whose format
// docs/attack-catalogue.md documents for readers in other languages.
type attackCase struct {
	// ID is a row of docs/attacks.md, a dot, and a name: "C1.none_lower".
	ID string `json:"id"`
	// Requirements are the rows of docs/requirements.md that the right answer keeps.
	Requirements []string `json:"requirements"`
	// Title says in a few words what is sent, Gain what an attacker has of it if it is
	// accepted, Cause what usually makes a server accept it.
	Title string `json:"title"`
	Gain  string `json:"gain"`
	Cause string `json:"cause"`
	// Needs lists what must hold for the case to make sense. About the target: "scope"
	// (the route needs one), "small-letters" (which has some), "several-scopes",
	// "scope-levels" (the last has a level above it), "own-scope" (none is one that all APIs
	// have), "audience" (the good token has one), "own-audience" (it does not have the one that
	// the case sends), "rfc9068" (the verifier has that
	// profile), "second-issuer" (it trusts one). About the server's
	// algorithm, for lacks to answer: "asymmetric", "rsa", "pkcs1" (RS256, RS384, RS512),
	// "not-rs512",
	// "pss" (PS256, PS384, PS512), "ec", "ed25519", "hmac", "hs256", "spare-bits" (the
	// length of a signature leaves bits of its last character unused). About the runner:
	// "http1" (cannot be said in HTTP/2), "body" (the route takes a method with a body),
	// "connection" (a good token goes before on the same connection), "keys" (the hostile keys are published), "outage"
	// (the issuer is down, after the verifier had its keys), "clock" (the token is sent, must
	// pass, and is sent again when an hour has passed).
	Needs []string `json:"needs,omitempty"`
	// Tokens are the recipes of the tokens that Send names. "token" is the usual one,
	// and means the good token where there is no recipe for it.
	Tokens map[string]recipe `json:"tokens,omitempty"`
	// Send is the request.
	Send message `json:"send,omitzero"`
	// Expect holds the outcome words of docs/attacks.md of which the answer must be one:
	// PASS, NONE, REQ, TOK, SCOPE, UNAV, SRV (refused by the HTTP server or the router:
	// any answer, or none, without the handler having run).
	Expect []string `json:"expect"`
	// NoFetch: the request must not make the server ask for an address in the token.
	NoFetch bool `json:"no_fetch,omitempty"`

	usesGood bool // the good token is sent, or something is made of it
}

// warm says that the good token of the case is to be sent first, and must pass: the
// bad one is made from it, and a cache of verified tokens must not take it for the same.
func (c attackCase) warm() bool {
	for _, r := range c.Tokens {
		if r.From != "" {
			return true
		}
	}
	return false
}

// message is a request, as far as it differs from a GET (or what Target.Method says)
// of the target with the one line "Authorization: Bearer ${token}". All its strings
// are templates for forgery.expand.
type message struct {
	Method string `json:"method,omitempty"`
	// Path replaces the path of the target; ${path} in it is the original one, which
	// begins with a slash.
	Path string `json:"path,omitempty"`
	// Query is added to the query of the target.
	Query string `json:"query,omitempty"`
	// Lines are whole header lines, sent as they are; nil means the usual one. Host is
	// sent beside them unless they hold it, and so is what Body and Trailer need.
	Lines []string `json:"lines,omitempty"`
	// NoLines sends no Authorization line at all.
	NoLines bool `json:"no_lines,omitempty"`
	// Body is sent with Content-Length unless Lines hold that or Transfer-Encoding; then
	// it is sent as it is.
	Body string `json:"body,omitempty"`
	// Trailer are field lines sent behind a chunked body.
	Trailer []string `json:"trailer,omitempty"`
}

// recipe says how a bad token differs from a perfect one. The steps are taken in the
// order of the fields. Strings may hold ${…} (docs/attack-catalogue.md).
type recipe struct {
	// From "good" changes the good token of the case itself, by Text alone; "" changes a
	// token made for the purpose.
	From string `json:"from,omitempty"`
	// By "second" has the second issuer make the token instead of the first.
	By string `json:"by,omitempty"`
	// Header and Claims are edits of the JOSE header and of the payload.
	Header part `json:"header,omitzero"`
	Claims part `json:"claims,omitzero"`
	// Sign says which key signs: "" the issuer's, else one of the names that
	// docs/attack-catalogue.md lists ("none", "attacker", "hmac:pem", "key:rsa-1024", …).
	Sign string `json:"sign,omitempty"`
	// Alg is the algorithm that signs, and that the header names unless Header sets
	// another; "" that of the key.
	Alg string `json:"alg,omitempty"`
	// Text are operations on the finished text ("last-bits", "drop-first", …).
	Text []string `json:"text,omitempty"`
	// Raw is the whole token, when it is none that can be made by edits. ${header},
	// ${payload} and ${signature} in it are the segments of what the other fields make.
	Raw string `json:"raw,omitempty"`
}

// part edits one JSON object.
type part struct {
	// Set gives members their values. Strings in them are templates, and a string that is
	// one placeholder of a number, "${now+60}", becomes that number.
	Set    map[string]json.RawMessage `json:"set,omitempty"`
	Remove []string                   `json:"remove,omitempty"`
	// Append is raw JSON members put behind the others (for duplicates, and for numbers
	// whose spelling matters), Prepend before.
	Append  string `json:"append,omitempty"`
	Prepend string `json:"prepend,omitempty"`
	// Raw replaces the whole object; ${object} in it is what it would have been.
	Raw *string `json:"raw,omitempty"`
	// Encode are the steps from the text of the object to its segment: "gzip" and "utf-16",
	// then instead of base64url "base64", "padded" or "last-bits".
	Encode []string `json:"encode,omitempty"`
}

// chapters are the files of the catalogue, in the order in which they are run. The first
// two need the issuer in a certain state.
var chapters = []string{
	"outage", "keys", "request", "container", "header", "algorithm", "claims", "binding", "middleware",
}

//go:embed attacks/*.json
var attacks embed.FS

// catalogue returns all cases in the order of the files. It is for reading only.
var catalogue = sync.OnceValue(func() []attackCase {
	var all []attackCase
	for _, name := range chapters {
		text, err := attacks.ReadFile("attacks/" + name + ".json")
		if err != nil {
			panic(err) // only a fault in the embedded files, which a test excludes
		}
		cases, err := readChapter(text)
		if err != nil {
			panic(fmt.Errorf("attacks/%s.json: %w", name, err))
		}
		all = append(all, cases...)
	}
	return all
})

// chapter is one file.
type chapter struct {
	// Schema is where the format is described.
	Schema string       `json:"$schema"`
	Cases  []attackCase `json:"cases"`
}

func readChapter(text []byte) ([]attackCase, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var c chapter
	if err := d.Decode(&c); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("data behind the object")
	}
	for i := range c.Cases {
		text, err := json.Marshal(c.Cases[i])
		if err != nil {
			return nil, err
		}
		_, replaced := c.Cases[i].Tokens["token"]
		c.Cases[i].usesGood = !replaced || c.Cases[i].warm() || bytes.Contains(text, []byte("${good}"))
	}
	return c.Cases, nil
}
