// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"fmt"
	"strings"
)

// spellings are targets that some program might take for p, a path that begins with a
// slash. doors are paths that need no token. The same index is the same spelling for
// every p; some of them may come out alike, or as p itself.
func spellings(host, p string, doors []string) []string {
	at := max(strings.LastIndex(strings.TrimSuffix(p, "/"), "/"), 0)
	s := spelling{host: host, path: p, rest: p[1:], dir: p[:at], last: p[at+1:]}
	var all []string
	for _, list := range [][]string{s.slashes(), s.dots(), s.letters(), s.encoded(), s.endings(), s.foreign(), s.targets()} {
		all = append(all, list...)
	}
	for _, door := range doors {
		all = append(all, s.through(door)...)
		all = append(all, s.inside(door)...)
	}
	return all
}

type spelling struct {
	host string
	path string // "/a/b/c"
	rest string // "a/b/c"
	dir  string // "/a/b"
	last string // "c"
}

func (s spelling) slashes() []string {
	return []string{
		"/" + s.path, "//" + s.path, s.dir + "//" + s.last, s.path + "/", s.path + "//",
		strings.TrimSuffix(s.path, "/"), "/x/" + "/.." + s.path,
	}
}

// dots are dot segments (RFC 3986 §5.2.4), plain and encoded.
func (s spelling) dots() []string {
	return []string{
		"/." + s.path, s.dir + "/./" + s.last, "/x/.." + s.path, s.dir + "/x/../" + s.last, "/.." + s.path,
		s.path + "/.", s.path + "/x/..", "/%2e" + s.path, "/%2e%2e" + s.path, "/x/%2e%2e" + s.path, "/x/.%2E" + s.path,
		s.dir + "/%2e/" + s.last, s.path + "/%2e", "/x/..;" + s.path, "/x/..;a=b" + s.path,
		"/" + strings.Repeat("x/../", 2000) + s.rest, "/" + strings.Repeat("./", 2000) + s.rest,
	}
}

// letters: paths are compared by case (RFC 3986 §6.2.2.1), which not every program does.
func (s spelling) letters() []string {
	return []string{
		strings.ToUpper(s.path), strings.ToLower(s.path), "/" + swapFirst(s.rest), s.dir + "/" + swapFirst(s.last),
	}
}

func swapFirst(s string) string {
	if s == "" {
		return s
	}
	first := strings.ToUpper(s[:1])
	if first == s[:1] {
		first = strings.ToLower(first)
	}
	return first + s[1:]
}

// encoded are percent-encodings of what needs none (RFC 3986 §6.2.2.2), once and twice.
func (s spelling) encoded() []string {
	inner := strings.ReplaceAll(s.rest, "/", "%2f")
	return []string{
		"/" + percent(s.rest, 1), s.dir + "/" + percent(s.last, 1), "/" + percent(s.rest, len(s.rest)),
		"/" + strings.ReplaceAll(percent(s.rest, 1), "%", "%25"), s.dir + "/" + strings.ReplaceAll(percent(s.last, 1), "%", "%25"),
		"/" + inner, "/" + strings.ToUpper(inner), "/" + strings.ReplaceAll(inner, "%", "%25"), "/%2f" + s.rest, "%2f" + s.rest,
		s.path + "%2f", s.path + "%2F", s.path + "%252f", s.dir + "%2f" + s.last, s.dir + "/x/..%2f" + s.last, s.dir + "/x%2f..%2f" + s.last,
		s.dir + "/x/%2e%2e%2f" + s.last, "/x/%252e%252e" + s.path, "/x/..%252f" + s.rest, "/%u0061" + s.rest,
	}
}

// percent encodes the first n bytes, slashes excepted.
func percent(s string, n int) string {
	var b strings.Builder
	for i := range len(s) {
		if i < n && s[i] != '/' {
			fmt.Fprintf(&b, "%%%02x", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// endings are what some program cuts off, or takes for a file that needs no guard.
func (s spelling) endings() []string {
	var all []string
	for _, end := range []string{
		";a=b", ";", ";/", "%3b", "%00", "%00.json", "\x00", ".json", ".", "%2e", "%20", "%09", "%0a", "%0d%0a", "+",
		"%23", "#", "#x", "%3f", "?", "?x", "%3fx", "&x", "~", "%2a", "*", "%5c", `\`, "%c0%80", "%ff", "::$DATA",
		".css", ".js", ".png", ".ico", ".svg", ".map", "/favicon.ico", "/index.html",
	} {
		all = append(all, s.path+end)
	}
	return append(all, "/;a=b"+s.path, "/%20"+s.rest, "/%00"+s.rest, s.dir+";a=b/"+s.last)
}

// foreign are other characters that become a slash, a dot or a letter of the path:
// backslashes, overlong UTF-8 (RFC 3629 §3) and fullwidth forms.
func (s spelling) foreign() []string {
	return []string{
		`\` + s.rest, `/\` + s.rest, "/%5c" + s.rest, "/" + strings.ReplaceAll(s.rest, "/", `\`), "/" + strings.ReplaceAll(s.rest, "/", "%5c"),
		s.dir + `\` + s.last, s.dir + "/x/..%5c" + s.last, `/x\..` + s.path, "/x%5c.." + s.path,
		"/%c0%af" + s.rest, "%c0%af" + s.rest, "/%e0%80%af" + s.rest, "/x/%c0%ae%c0%ae" + s.path, "/" + overlong(s.rest),
		"/" + strings.ReplaceAll(s.rest, "/", "%c0%af"), s.dir + "/x/..%c0%af" + s.last,
		"\uff0f" + s.rest, "/\uff0f" + s.rest, "/%ef%bc%8f" + s.rest, s.dir + "\uff0f" + s.last, "/" + fullwidth(s.rest),
	}
}

// overlong writes the first letter in two bytes.
func overlong(s string) string {
	if s == "" || s[0] >= 0x80 {
		return s
	}
	return fmt.Sprintf("%%%02x%%%02x", 0xc0|s[0]>>6, 0x80|s[0]&0x3f) + s[1:]
}

func fullwidth(s string) string {
	if s == "" || s[0] <= ' ' || s[0] > '~' {
		return s
	}
	return string(rune(s[0])-'!'+'\uff01') + s[1:]
}

// targets are the other forms of RFC 9112 §3.2, sound and not.
func (s spelling) targets() []string {
	return []string{
		"http://" + s.host + s.path, "HTTP://" + s.host + "/" + s.path, "https://" + s.host + s.path, "http:" + s.path,
		s.host + s.path, s.rest, "?" + s.path, "*", "*" + s.path, "http://" + s.host + "@x" + s.path,
	}
}

// through a public route, by guards that look at a part of the target.
func (s spelling) through(door string) []string {
	return []string{
		door + "/.." + s.path, door + "/../" + strings.TrimPrefix(s.path, door), door + "/%2e%2e" + s.path, door + "/..%2f" + s.rest, door + "%2f.." + s.path,
		door + "/..;" + s.path, door + ";/.." + s.path, door + `/..\` + s.rest, door + "/..%5c" + s.rest, door + "//.." + s.path,
		s.path + "?x=" + door, s.path + "?" + door, s.path + "#" + door, s.path + "%23" + door, s.path + "%3f" + door,
		s.path + ";" + door, s.path + ";x=" + door, s.path + "/.." + door + "/.." + s.path, s.path + "%00" + door,
	}
}

// inside a segment, behind an encoded slash: a parameter takes it as part of its value.
// Each of the first eight segments has its index, for paths with and without it.
func (s spelling) inside(door string) []string {
	hidden := "%2f" + door[1:]
	all := []string{s.path + hidden}
	segments := strings.Split(s.rest, "/")
	for i := range 8 {
		target := s.path
		if i < len(segments)-1 {
			target = "/" + strings.Join(segments[:i+1], "/") + hidden + "/" + strings.Join(segments[i+1:], "/")
		}
		all = append(all, target)
	}
	return all
}
