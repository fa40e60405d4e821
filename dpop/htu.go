// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"errors"
	"strings"
)

var (
	errScheme    = errors.New("htu is not an absolute http or https URI")
	errAuthority = errors.New("htu has userinfo, no host, or a host or port that is none")
	errPath      = errors.New("htu or the request target has a path with a character that no URI has, or a bad percent-encoding")
	errTarget    = errors.New("the request target names no path")
)

// normalize brings an absolute http or https URI into the form in which two spellings of
// one URI are equal (RFC 3986 §6.2.2, §6.2.3), and leaves out query and fragment
// (RFC 9449 §4.3 (9)).
func normalize(uri string) (string, error) {
	scheme, rest, ok := cutScheme(uri)
	if !ok {
		return "", errScheme
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, err := normalizeAuthority(rest[:end], scheme)
	if err != nil {
		return "", err
	}
	path, err := normalizePath(cutPath(rest[end:], "?#"))
	if err != nil {
		return "", err
	}
	return join(scheme, authority, path, uri), nil
}

// join returns given itself if it is in normal form already.
func join(scheme, authority, path, given string) string {
	if rest, ok := strings.CutPrefix(given, scheme); ok {
		if rest, ok = strings.CutPrefix(rest, "://"); ok {
			if rest, ok = strings.CutPrefix(rest, authority); ok && rest == path {
				return given
			}
		}
	}
	return scheme + "://" + authority + path
}

// target is the target URI of a request (RFC 9110 §7.1) as a client of the origin knows
// it, in normal form. Only the path of what was sent counts: it is normalized before the
// origin's prefix is put in front, so that no dot segment climbs out of that.
func target(origin, sent string) (string, error) {
	path := sent
	if _, rest, ok := cutScheme(sent); ok { // absolute-form: its authority is not looked at
		path = strings.TrimLeft(rest, authorityChars)
		if path == "" || path[0] == '?' {
			path = "/" + path
		}
	}
	if sent == "*" {
		return origin + "/", nil
	}
	if path == "" || path[0] != '/' || strings.Contains(path, "#") {
		return "", errTarget
	}
	path, err := normalizePath(cutPath(path, "?"))
	return origin + path, err
}

// authorityChars are those that an authority can have (RFC 3986 §3.2).
const authorityChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@[]%"

func cutPath(s, ends string) string {
	if i := strings.IndexAny(s, ends); i >= 0 {
		return s[:i]
	}
	return s
}

func cutScheme(uri string) (scheme, rest string, ok bool) {
	for _, scheme := range []string{"https", "http"} {
		if rest, ok := cutFold(uri, scheme+"://"); ok {
			return scheme, rest, true
		}
	}
	return "", "", false
}

// normalizeAuthority lower-cases the host and leaves an empty or default port out.
func normalizeAuthority(s, scheme string) (string, error) {
	host, port := cutPort(s)
	if !isPort(port) {
		return "", errAuthority
	}
	host, err := normalizeHost(host)
	if err != nil {
		return "", err
	}
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return host, nil
	}
	return host + ":" + port, nil
}

// cutPort cuts at the colon behind the host, which is not one within an IPv6 address.
func cutPort(s string) (host, port string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i < strings.LastIndexByte(s, ']') {
		return s, ""
	}
	return s[:i], s[i+1:]
}

func isPort(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) <= 5
}

// normalizeHost takes an IP literal in brackets, or a name or IPv4 address (RFC 3986
// §3.2.2). A colon or an at sign outside brackets belongs to neither.
func normalizeHost(s string) (string, error) {
	if s == "" {
		return "", errAuthority
	}
	if s[0] == '[' {
		if s[len(s)-1] != ']' || len(s) < 4 || !only(s[1:len(s)-1], isLiteralChar) {
			return "", errAuthority
		}
		return strings.ToLower(s), nil
	}
	name, err := normalizeEscapes(s)
	if err != nil || !only(name, isNameChar) {
		return "", errAuthority
	}
	return lowerName(name), nil
}

// lowerName lower-cases all but the digits of percent-encodings, which are upper case in
// normal form.
func lowerName(name string) string {
	if !strings.Contains(name, "%") {
		return strings.ToLower(name)
	}
	b := []byte(name)
	for i := 0; i < len(b); i++ {
		if b[i] == '%' {
			i += 2
		} else if 'A' <= b[i] && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// normalizePath decodes unreserved characters, writes other percent-encodings in upper
// case, removes dot segments and makes an empty path "/". Characters that RFC 3986 wants
// encoded but clients send as they are, such as |, are compared as they are.
func normalizePath(s string) (string, error) {
	if s == "" {
		return "/", nil
	}
	if !only(s, isVisible) {
		return "", errPath
	}
	path, err := normalizeEscapes(s)
	if err != nil {
		return "", err
	}
	if !strings.Contains(path, "/.") {
		return path, nil
	}
	return removeDots(path), nil
}

// removeDots removes the segments "." and ".." as RFC 3986 §5.2.4 has it. An empty
// segment is a segment.
func removeDots(path string) string {
	segments := strings.Split(path[1:], "/")
	kept := segments[:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".", "..":
			if s == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, s)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// normalizeEscapes decodes what need not be encoded and upper-cases the rest (RFC 3986
// §6.2.2.1, §6.2.2.2).
func normalizeEscapes(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if len(s)-i < 3 {
			return "", errPath
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi > 15 || lo > 15 {
			return "", errPath
		}
		if c := hi<<4 | lo; isUnreserved(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', "0123456789ABCDEF"[hi], "0123456789ABCDEF"[lo])
		}
		i += 2
	}
	return string(out), nil
}

// unhex returns more than 15 for what is no hexadecimal digit.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

func only(s string, in func(byte) bool) bool {
	for i := range len(s) {
		if !in(s[i]) {
			return false
		}
	}
	return true
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func isNameChar(c byte) bool { return isUnreserved(c) || strings.IndexByte("!$&'()*+,;=%", c) >= 0 }

func isLiteralChar(c byte) bool {
	return isUnreserved(c) || strings.IndexByte("!$&'()*+,;=:", c) >= 0
}

func isVisible(c byte) bool { return 0x21 <= c && c <= 0x7E }
