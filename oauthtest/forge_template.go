// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// quoting says where a template stands.
type quoting int

const (
	plainText  quoting = iota
	insideJSON         // text goes into a JSON string, where it must not end it
)

// maxRepeat bounds what one placeholder grows to.
const maxRepeat = 1 << 20

// expand fills in the placeholders of a template. JSON may stand around them, but no
// brace inside.
func (m *making) expand(template string, q quoting) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		end := strings.IndexAny(rest, "{}")
		if end < 0 || rest[end] == '{' {
			return "", fmt.Errorf("%q begins a placeholder and does not end it", "${"+rest)
		}
		text, literal, err := m.lookup(rest[:end])
		if err == nil && !literal && q == insideJSON {
			text, err = marshal(text)
			text = strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`)
		}
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		template = rest[end+1:]
	}
}

// lookup returns the value of a placeholder. A literal one is a number, JSON, or octets
// that go into JSON as they are.
func (m *making) lookup(name string) (text string, literal bool, err error) {
	if text, ok := m.vars[name]; ok {
		return text, name == "object", nil
	}
	kind, rest, _ := strings.Cut(name, ":")
	switch {
	case kind == "hex":
		b, err := hex.DecodeString(rest)
		return string(b), true, err
	case kind == "repeat":
		text, err = repeat(rest)
		return text, true, err
	case strings.HasPrefix(name, "now"):
		text, err = m.time(strings.TrimPrefix(name, "now"))
		return text, true, err
	case strings.HasPrefix(name, "attacker."):
		return m.attackers(strings.TrimPrefix(name, "attacker."))
	}
	text, err = m.text(name)
	return text, false, err
}

// repeat reads "COUNT:HEX".
func repeat(spec string) (string, error) {
	count, octets, complete := strings.Cut(spec, ":")
	n, err := strconv.Atoi(count)
	if err != nil || !complete {
		return "", fmt.Errorf("${repeat:%s} is not repeat, a number, and octets", spec)
	}
	b, err := hex.DecodeString(octets)
	if err != nil {
		return "", err
	}
	if n < 0 || len(b)*n > maxRepeat {
		return "", fmt.Errorf("${repeat:%s} is longer than %d", spec, maxRepeat)
	}
	return strings.Repeat(string(b), n), nil
}

// time is the number of seconds of now and an offset, "" or "+60".
func (m *making) time(offset string) (string, error) {
	var n int64
	if offset != "" {
		var err error
		if n, err = strconv.ParseInt(offset, 10, 64); err != nil || offset[0] != '+' && offset[0] != '-' {
			return "", fmt.Errorf("${now%s} is no time", offset)
		}
	}
	return strconv.FormatInt(m.draft.now.Unix()+n, 10), nil
}

// text are the placeholders that stand for a text of the good token or of the issuer.
func (m *making) text(name string) (string, error) {
	switch name {
	case "iss", "sub":
		return m.claim(name), nil
	case "client":
		return m.claim("client_id"), nil
	case "aud":
		return m.audience(), nil
	case "scope":
		if m.f.scope != "" {
			return m.f.scope, nil
		}
		first, _, _ := strings.Cut(m.claim("scope"), " ")
		return first, nil
	case "kid":
		return m.kid(), nil
	case "alg":
		return m.f.server.cfg.Algorithm, nil
	}
	return m.address(name)
}

// address are the placeholders that lead to the issuer.
func (m *making) address(name string) (string, error) {
	u, err := url.Parse(m.f.server.issuer)
	if err != nil {
		return "", err
	}
	switch name {
	case "host":
		return u.Host, nil
	case "origin":
		return u.Scheme + "://" + u.Host, nil
	case "canary":
		return u.Scheme + "://" + u.Host + "/canary/keys", nil
	}
	return "", fmt.Errorf("no placeholder ${%s}", name)
}

func (m *making) claim(name string) string {
	text, _ := m.draft.claims[name].(string)
	return text
}

// audience is the first of several.
func (m *making) audience() string {
	switch aud := m.draft.claims["aud"].(type) {
	case string:
		return aud
	case []string:
		if len(aud) > 0 {
			return aud[0]
		}
	}
	return ""
}

// attackers are the placeholders of the attacker's key.
func (m *making) attackers(name string) (text string, literal bool, err error) {
	if name == "jwk" {
		jwk, err := m.attackerJWK("")
		return string(jwk), true, err
	}
	cert, err := m.attackerCertificate()
	if err != nil {
		return "", false, err
	}
	switch name {
	case "x5c":
		return base64.StdEncoding.EncodeToString(cert), false, nil
	case "x5t":
		sum := sha1.Sum(cert)
		return b64.EncodeToString(sum[:]), false, nil
	case "x5t#S256":
		sum := sha256.Sum256(cert)
		return b64.EncodeToString(sum[:]), false, nil
	}
	return "", false, fmt.Errorf("no placeholder ${attacker.%s}", name)
}

// value reads a member of Set: JSON whose strings are templates.
func (m *making) value(template json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(template))
	d.UseNumber() // keeps the spelling
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return m.fill(v)
}

func (m *making) fill(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return m.fillText(v)
	case []any:
		for i := range v {
			var err error
			if v[i], err = m.fill(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range v {
			var err error
			if v[name], err = m.fill(v[name]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// fillText makes a number or an object of a string that is just one such placeholder.
func (m *making) fillText(s string) (any, error) {
	name, one := strings.CutPrefix(s, "${")
	if one {
		name, one = strings.CutSuffix(name, "}")
	}
	if one && !strings.ContainsAny(name, "{}") {
		text, literal, err := m.lookup(name)
		if err != nil || literal && json.Valid([]byte(text)) {
			return json.RawMessage(text), err
		}
	}
	text, err := m.expand(s, plainText)
	if err == nil && !utf8.ValidString(text) {
		err = fmt.Errorf("%q has octets that no JSON string can hold: use append or raw", s)
	}
	return text, err
}

// encodeSegment applies the steps of part.Encode; base64url is the last one unless they
// name another form of it.
func encodeSegment(steps []string, text string) (string, error) {
	for _, step := range steps {
		switch step {
		case "gzip":
			text = zip(text)
		case "utf-16":
			text = wide(text)
		case "base64":
			return base64.RawStdEncoding.EncodeToString([]byte(text)), nil
		case "padded":
			return base64.URLEncoding.EncodeToString([]byte(text)), nil
		case "last-bits":
			for len(text)%3 == 0 { // white space makes room for spare bits
				text += " "
			}
			return spareBits(b64.EncodeToString([]byte(text)))
		default:
			return "", fmt.Errorf("no encoding %q", step)
		}
	}
	return b64.EncodeToString([]byte(text)), nil
}

func zip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text)) // memory never fails
	w.Close()
	return b.String()
}

// wide is UTF-16, most significant octet first, with a byte order mark (RFC 2781 §3.2).
func wide(text string) string {
	b := []byte{0xfe, 0xff}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.BigEndian.AppendUint16(b, unit)
	}
	return string(b)
}

// spareBits changes the last character in the bits that a lenient decoder throws away
// (RFC 4648 §3.5).
func spareBits(segment string) (string, error) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(segment)%4 < 2 {
		return "", fmt.Errorf("a segment of %d characters has no spare bits", len(segment))
	}
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + string(alphabet[last^1]), nil
}
