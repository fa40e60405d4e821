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
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
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
	case name == "good.basic": // RFC 7617 §2
		good, there := m.vars["good"]
		if !there {
			return "", false, errors.New("no good token for ${good.basic}")
		}
		return base64.StdEncoding.EncodeToString([]byte("token:" + good)), false, nil
	case kind == "words":
		text, err = manyWords(rest)
		return text, false, err
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

// manyWords are so many scopes of three characters, no two of them the same.
func manyWords(count string) (string, error) {
	const first, limit = 36 * 36, 2 * 36 * 36 // from 100 on, in digits and letters
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > limit {
		return "", fmt.Errorf("${words:%s} is not words and a number up to %d", count, limit)
	}
	var all []string
	for i := range n {
		all = append(all, strconv.FormatInt(int64(first+i), 36))
	}
	return strings.Join(all, " "), nil
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
	case "kid":
		return m.kid(), nil
	case "alg":
		return m.f.server.cfg.Algorithm, nil
	}
	switch kind, rest, _ := strings.Cut(name, "."); kind {
	case "scope":
		return m.scope(rest)
	case "aud":
		return nearAudience(m.audience(), rest)
	case "other":
		return m.others(rest)
	case "alg":
		return m.spelled(rest)
	case "iss":
		return m.issuerPart(rest)
	}
	return m.address(name)
}

// scope is what the target needs, or a part of it.
func (m *making) scope(which string) (string, error) {
	needed := m.f.scope
	if needed == "" { // of [Server.Hostile], which takes it from the good token
		needed, _, _ = strings.Cut(m.claim("scope"), " ")
	}
	first, rest, _ := strings.Cut(needed, " ")
	switch which {
	case "":
		return needed, nil
	case "upper":
		return strings.ToUpper(needed), nil
	case "first":
		return first, nil
	case "rest":
		return rest, nil
	}
	return nearScope(needed, which)
}

// others are the placeholders of the issuer that does not make the token.
func (m *making) others(name string) (string, error) {
	switch {
	case m.f.other == nil:
		return "", errors.New("there is no second issuer")
	case name == "iss":
		return m.f.other.server.issuer, nil
	case name == "kid":
		return m.f.other.server.signingKey().id, nil
	}
	return "", fmt.Errorf("no placeholder ${other.%s}", name)
}

// spelled is the issuer's algorithm in letters that are not those of its name.
func (m *making) spelled(how string) (string, error) {
	alg := m.f.server.cfg.Algorithm
	switch how {
	case "lower":
		return strings.ToLower(alg), nil
	case "wide":
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) {
				r += '\uff21' - 'A' // the full-width forms stand in the order of ASCII
			}
			return r
		}, alg), nil
	}
	return "", fmt.Errorf("no placeholder ${alg.%s}", how)
}

// issuerPart is a piece of the issuer, for others to be put together of.
func (m *making) issuerPart(name string) (string, error) {
	u, err := url.Parse(m.f.server.issuer)
	if err != nil {
		return "", err
	}
	before, rest, _ := strings.Cut(m.f.server.issuer, "://")
	port, other := "", map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	if u.Port() != "" {
		port, other = ":"+u.Port(), ":0"+u.Port()
	}
	parts := map[string]string{
		"scheme": before, "SCHEME": strings.ToUpper(before),
		"name": strings.TrimSuffix(u.Host, port), "port": port, "other_port": other,
		"path": strings.TrimPrefix(rest, u.Host),
	}
	part, ok := parts[name]
	if !ok {
		return "", fmt.Errorf("no placeholder ${iss.%s}", name)
	}
	return part, nil
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
			for len(text)%3 == 0 { // white space makes padding necessary
				text += " "
			}
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
