// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	htmltemplate "html/template"
	"mime"
	"net/http"
	"net/url"
	"path"
)

//go:embed pages
var pageFiles embed.FS

var (
	pages = htmltemplate.Must(htmltemplate.ParseFS(pageFiles, "pages/*.html"))
	style = readStyle()
)

func readStyle() htmltemplate.CSS {
	css, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		panic(err) // it is part of the program
	}
	return htmltemplate.CSS(css)
}

// page is what the templates show; each uses the part that concerns it.
type page struct {
	Style   htmltemplate.CSS
	Title   string
	Message string
	Action  string // where the form goes

	Ticket   string
	Client   string
	Target   string // where the browser goes afterwards; "" for a device
	UserCode string
	Scopes   []string
	Audience []string
	Details  string
	Users    []User
}

// pageParams reads the parameters of a page, or writes what is wrong with them: those
// in the URL of a GET, and those in the body alone of a POST.
func (s *Server) pageParams(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	switch {
	case r.Method == http.MethodGet:
		params, err := url.ParseQuery(r.URL.RawQuery)
		if err == nil && len(r.URL.RawQuery) <= maxForm {
			return params, true
		}
		writeError(w, http.StatusBadRequest, errors.New("the parameters of the URL cannot be read"))
	case r.Method == http.MethodPost:
		mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err == nil && mt == "application/x-www-form-urlencoded" && r.ParseForm() == nil {
			return r.PostForm, true
		}
		writeError(w, http.StatusBadRequest, errors.New("the form cannot be read"))
	default:
		w.Header().Set("Allow", "GET, POST")
		writeError(w, http.StatusMethodNotAllowed, errors.New("only GET and POST are understood"))
	}
	return nil, false
}

// action leads back to the page itself. It is relative to the page, so that no path of
// an issuer can make it the address of another host, as "//" at its beginning would.
func action(r *http.Request) string { return path.Base(r.URL.Path) }

func (s *Server) writeConsent(w http.ResponseWriter, r *http.Request, p *pending) {
	data := page{
		Title: p.client.ID + " asks for access", Action: action(r),
		Ticket: p.ticket, Client: p.client.ID, Scopes: p.scopes, Audience: p.audience,
		Details: string(p.details), Users: s.cfg.Users,
	}
	if p.device != nil {
		data.UserCode = p.device.userCode
	} else {
		data.Target = redirectTarget(p.redirectURI)
	}
	writePage(w, http.StatusOK, "consent", data)
}

func writeDevice(w http.ResponseWriter, r *http.Request, userCode string) {
	writePage(w, http.StatusOK, "device", page{Title: "Connect a device", Action: action(r), UserCode: userCode})
}

func writeDecided(w http.ResponseWriter, allowed bool) {
	data := page{Title: "The device is refused", Message: "It gets no access. You can close this page."}
	if allowed {
		data = page{Title: "The device is connected", Message: "It goes on by itself. You can close this page."}
	}
	writePage(w, http.StatusOK, "message", data)
}

func writeError(w http.ResponseWriter, status int, err error) {
	writePage(w, status, "message", page{Title: "This does not work", Message: err.Error() + "."})
}

func writePage(w http.ResponseWriter, status int, name string, data page) {
	data.Style = style
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "page", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	pageHeader(h)
	// No form-action: Chromium applies it to the redirect that follows the form, too, and
	// its grammar cannot name every redirect URI (IPv6, for one).
	hash := sha256.Sum256([]byte(style))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for those who do not know frame-ancestors (RFC 9700 §4.16)
	w.WriteHeader(status)
	w.Write(b.Bytes()) // the client has gone
}

// pageHeader keeps tickets and codes out of caches and out of the Referer header
// (RFC 9700 §4.2.4).
func pageHeader(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
}
