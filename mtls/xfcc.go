// SPDX-License-Identifier: Apache-2.0

package mtls

import "strings"

// fromForwarded reads the one element of an X-Forwarded-Client-Cert field: pairs such as
// Cert="..." joined by semicolons. A value with a comma, semicolon or equals sign is
// quoted, with backslashes before quotes in it. A second element, joined by a comma,
// could be one that a client wrote.
func fromForwarded(value string) ([]byte, bool) {
	var cert string
	for rest := value; ; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok || !isKey(name) {
			return nil, false
		}
		val, after, ok := cutValue(after)
		if !ok {
			return nil, false
		}
		if strings.EqualFold(name, "Cert") {
			if cert != "" || val == "" {
				return nil, false
			}
			cert = val
		}
		if after == "" {
			break
		}
		if after[0] != ';' { // a comma begins another element
			return nil, false
		}
		rest = after[1:]
	}
	if cert == "" {
		return nil, false
	}
	return fromEscapedPEM(cert, 1)
}

func isKey(name string) bool {
	for i := range len(name) {
		if c := name[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return name != ""
}

// cutValue cuts a value off, quoted or not.
func cutValue(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		end := strings.IndexAny(s, ",;")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], !strings.ContainsAny(s[:end], `"\`)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
