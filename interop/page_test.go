// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// page is an HTML page with at most one form, as a browser without scripts reads it.
type page struct {
	client *http.Client
	url    *url.URL
	status int
	// location is where a redirect leads, "" for none.
	location string
	text     string // all text, blanks collapsed
	title    string
	action   string
	fields   url.Values          // what the form sends without any change
	radios   map[string][]string // the values that can be chosen
	button   map[string][2]string
}

// open fetches a page and follows no redirect.
func open(t *testing.T, c *http.Client, address string) *page {
	t.Helper()
	direct := &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := direct.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, direct, resp)
}

func read(t *testing.T, c *http.Client, resp *http.Response) *page {
	t.Helper()
	defer resp.Body.Close()
	p := &page{client: c, url: resp.Request.URL, status: resp.StatusCode, location: resp.Header.Get("Location"), fields: url.Values{}, radios: map[string][]string{}, button: map[string][2]string{}}
	doc, err := html.Parse(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		p.visit(n)
	}
	p.text = strings.Join(strings.Fields(text(doc)), " ")
	return p
}

func (p *page) visit(n *html.Node) {
	name, value := attr(n, "name"), attr(n, "value")
	switch n.Data {
	case "title":
		p.title = text(n)
	case "form":
		p.action = attr(n, "action")
	case "button":
		p.button[strings.TrimSpace(text(n))] = [2]string{name, value}
	case "input":
		switch attr(n, "type") {
		case "radio":
			p.radios[name] = append(p.radios[name], value)
			if has(n, "checked") {
				p.fields.Set(name, value)
			}
		case "submit":
			p.button[value] = [2]string{name, value}
		default:
			p.fields.Set(name, value)
		}
	}
}

// press sends the form by one of its buttons.
func (p *page) press(t *testing.T, label string) *http.Response {
	t.Helper()
	button, ok := p.button[label]
	if !ok {
		t.Fatalf("%d %q has no button %q: %s", p.status, p.title, label, p.text)
	}
	target, err := p.url.Parse(p.action)
	if err != nil {
		t.Fatal(err)
	}
	if button[0] != "" {
		p.fields.Set(button[0], button[1])
	}
	resp, err := p.client.PostForm(target.String(), p.fields)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// redirected presses a button and returns where the browser would go next.
func (p *page) redirected(t *testing.T, label string) *url.URL {
	t.Helper()
	resp := p.press(t, label)
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d to %v, want a 303 (%v)", resp.StatusCode, to, err)
	}
	return to
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "style" {
			b.WriteString(d.Data + " ")
		}
	}
	return b.String()
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}
