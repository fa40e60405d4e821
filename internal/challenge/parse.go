// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Parse reads the value of one WWW-Authenticate line: one or more challenges in
// the grammar of RFC 9110 §11.6.1, read as strictly as a sender must write it (no
// empty list elements, BWS or token68). Parameter names come back in lower case;
// a name that occurs twice in one challenge is an error (§11.2).
//
// An error counts the challenges and names no scheme, and of the parameters only those
// of named: a token that stands in the wrong place is read as one or the other.
func Parse(line string) ([]Challenge, error) {
	p := parser{rest: line}
	var found []Challenge
	for {
		scheme := p.token()
		if scheme == "" {
			return nil, errors.New("an auth-scheme is missing")
		}
		c := Challenge{Scheme: scheme}
		more, err := p.params(&c)
		if err != nil {
			return nil, fmt.Errorf("challenge %d: %w", len(found)+1, err)
		}
		found = append(found, c)
		if !more {
			return found, nil
		}
	}
}

type parser struct{ rest string }

// params reads the parameters of c up to the end or to the next challenge, which
// a scheme without an equals sign begins; more tells the two apart.
func (p *parser) params(c *Challenge) (more bool, err error) {
	if p.rest == "" {
		return false, nil
	}
	if p.comma() {
		return true, nil
	}
	if !p.take(" ") {
		return false, errors.New("the scheme is not followed by a space")
	}
	p.rest = strings.TrimLeft(p.rest, " ")
	for {
		if err := p.param(c); err != nil {
			return false, err
		}
		if p.rest == "" {
			return false, nil
		}
		if !p.comma() {
			return false, errors.New("a parameter is followed by neither a comma nor the end")
		}
		ahead := parser{rest: p.rest}
		if ahead.token() != "" && !strings.HasPrefix(ahead.rest, "=") {
			return true, nil
		}
	}
}

func (p *parser) param(c *Challenge) error {
	name := strings.ToLower(p.token())
	if name == "" || !p.take("=") {
		return errors.New("a parameter is not name=value")
	}
	value, err := p.value()
	if err != nil {
		return fmt.Errorf("%s: %w", label(name), err)
	}
	if _, dup := c.Get(name); dup {
		return fmt.Errorf("%s occurs twice", label(name))
	}
	c.Params = append(c.Params, Param{name, value})
	return nil
}

// named are the parameters of RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3 and RFC 9728 §5.1.
var named = []string{
	"realm", "scope", "error", "error_description", "error_uri",
	"algs", "acr_values", "max_age", "resource_metadata",
}

func label(name string) string {
	if slices.Contains(named, name) {
		return "parameter " + name
	}
	return "a parameter"
}

func (p *parser) value() (string, error) {
	if !p.take(`"`) {
		if v := p.token(); v != "" {
			return v, nil
		}
		return "", errors.New("neither a token nor a quoted-string")
	}
	var b strings.Builder
	for i := 0; i < len(p.rest); i++ {
		c := p.rest[i]
		if c == '"' {
			p.rest = p.rest[i+1:]
			return b.String(), nil
		}
		if c == '\\' && i+1 < len(p.rest) {
			i++
			c = p.rest[i]
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", errors.New("a control character in a quoted-string")
		}
		b.WriteByte(c)
	}
	return "", errors.New("the quoted-string does not end")
}

func (p *parser) token() string {
	n := 0
	for n < len(p.rest) && tokenByte(p.rest[n]) {
		n++
	}
	t := p.rest[:n]
	p.rest = p.rest[n:]
	return t
}

func (p *parser) take(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	p.rest = rest
	return ok
}

// comma reads OWS "," OWS, or nothing.
func (p *parser) comma() bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(p.rest, " \t"), ",")
	if ok {
		p.rest = strings.TrimLeft(rest, " \t")
	}
	return ok
}

// Get returns the value of the parameter name, given in lower case.
func (c Challenge) Get(name string) (string, bool) {
	for _, p := range c.Params {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}
