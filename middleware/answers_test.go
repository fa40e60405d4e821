// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/challenge"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// outcome is what section 3 of the requirements says about a class. Where text is
// empty there is no challenge, but for the 401 without an error.
type outcome struct {
	row    string
	name   string // of the variable in package verifier
	class  error
	status int
	code   string
	text   string
	retry  string
}

const (
	notValid = "The access token is not valid for this resource"
	inactive = "The access token is not active"
)

var outcomes = []outcome{
	{"ER-01", "ErrNoCredentials", verifier.ErrNoCredentials, 401, "", "", ""},
	{"ER-02", "ErrInvalidRequest", verifier.ErrInvalidRequest, 400, "invalid_request", "The Authorization header is malformed", ""},
	{"N14", "ErrInvalidToken", verifier.ErrInvalidToken, 401, "invalid_token", notValid, ""},
	{"ER-03", "ErrMalformedToken", verifier.ErrMalformedToken, 401, "invalid_token", "The access token is malformed", ""},
	{"ER-04", "ErrTokenType", verifier.ErrTokenType, 401, "invalid_token", notValid, ""},
	{"ER-05", "ErrAlgorithm", verifier.ErrAlgorithm, 401, "invalid_token", notValid, ""},
	{"ER-06", "ErrUnknownKey", verifier.ErrUnknownKey, 401, "invalid_token", notValid, ""},
	{"ER-07", "ErrSignature", verifier.ErrSignature, 401, "invalid_token", notValid, ""},
	{"ER-08", "ErrIssuer", verifier.ErrIssuer, 401, "invalid_token", notValid, ""},
	{"ER-08", "ErrAudience", verifier.ErrAudience, 401, "invalid_token", notValid, ""},
	{"ER-09", "ErrExpired", verifier.ErrExpired, 401, "invalid_token", "The access token has expired", ""},
	{"ER-09", "ErrNotYetValid", verifier.ErrNotYetValid, 401, "invalid_token", "The access token is not yet valid", ""},
	{"ER-10", "ErrMissingClaim", verifier.ErrMissingClaim, 401, "invalid_token", notValid, ""},
	{"ER-10", "ErrInvalidClaim", verifier.ErrInvalidClaim, 401, "invalid_token", notValid, ""},
	{"ER-11", "ErrDecryption", verifier.ErrDecryption, 401, "invalid_token", notValid, ""},
	{"ER-12", "ErrInactive", verifier.ErrInactive, 401, "invalid_token", inactive, ""},
	{"ER-12", "ErrRevoked", verifier.ErrRevoked, 401, "invalid_token", inactive, ""},
	{"ER-12", "ErrSuspended", verifier.ErrSuspended, 401, "invalid_token", inactive, ""},
	{"ER-13", "ErrBinding", verifier.ErrBinding, 401, "invalid_token", "The access token is sender-constrained and was presented without proof", ""},
	// The DPoP scheme is not built: what an application says in its words is sent on
	// the scheme there is.
	{"N14", "ErrDPoPProof", verifier.ErrDPoPProof, 401, "invalid_dpop_proof", "The DPoP proof is not valid", ""},
	{"N14", "ErrDPoPReplay", verifier.ErrDPoPReplay, 401, "invalid_dpop_proof", "The DPoP proof was already used", ""},
	{"N14", "ErrDPoPNonce", verifier.ErrDPoPNonce, 401, "use_dpop_nonce", "A current nonce is required in the DPoP proof", ""},
	{"ER-16", "ErrStepUp", verifier.ErrStepUp, 401, "insufficient_user_authentication", "The authentication context or its age is not accepted here", ""},
	{"ER-17", "ErrInsufficientScope", verifier.ErrInsufficientScope, 403, "insufficient_scope", "The access token lacks a required scope", ""},
	{"ER-18", "ErrInsufficientDetails", verifier.ErrInsufficientDetails, 403, "insufficient_scope", "The authorization details do not cover this request", ""},
	{"ER-19", "ErrForbidden", verifier.ErrForbidden, 403, "", "", ""},
	{"ER-20", "ErrKeysUnavailable", verifier.ErrKeysUnavailable, 503, "", "", "5"},
	{"ER-20", "ErrIntrospectionUnavailable", verifier.ErrIntrospectionUnavailable, 503, "", "", "5"},
	{"ER-20", "ErrStatusUnavailable", verifier.ErrStatusUnavailable, 503, "", "", "5"},
	{"ER-20", "ErrReplayStoreUnavailable", verifier.ErrReplayStoreUnavailable, 503, "", "", "5"},
	{"ER-20", "ErrMetadata", verifier.ErrMetadata, 503, "", "", "5"},
	{"ER-21", "ErrRequestTooLarge", verifier.ErrRequestTooLarge, 413, "", "", ""},
	{"ER-22", "ErrConfig", verifier.ErrConfig, 503, "", "", ""},
	{"ER-23", "ErrInternal", verifier.ErrInternal, 503, "", "", ""},
}

// challenges returns the lines that o must have with realm orders and scope read.
func (o outcome) challenges() []string {
	c := challenge.Challenge{Scheme: "Bearer", Params: []challenge.Param{{Name: "realm", Value: "orders"}}}
	if o.code != "" {
		c.Params = append(c.Params, challenge.Param{Name: "error", Value: o.code}, challenge.Param{Name: "error_description", Value: o.text})
	}
	switch o.code {
	case "", "invalid_token", "insufficient_scope":
		c.Params = append(c.Params, challenge.Param{Name: "scope", Value: "read"})
	}
	if o.code == "" && o.status != 401 {
		return nil
	}
	return []string{c.String()}
}

// TestOutcomes sends every class through a verifier that fails with it, and
// through a handler that refuses with it.
func TestOutcomes(t *testing.T) {
	g, s := newGuard(t)
	s.errs = map[string]error{}
	ran := false
	fromVerifier := listen(t, behind(t, g, func(http.ResponseWriter, *http.Request) { ran = true }, read))
	fromHandler := listen(t, behind(t, g, func(w http.ResponseWriter, r *http.Request) {
		for _, o := range outcomes {
			if o.name == r.Header.Get("X-Class") {
				middleware.Deny(w, r, fmt.Errorf("handler: %w", o.class))
			}
		}
	}, read))
	for _, o := range outcomes {
		t.Run(o.row+"/"+o.name, func(t *testing.T) {
			canary := "cause-6b1f"
			s.errs["e-"+o.name] = &verifier.Error{Class: o.class, Cause: errors.New(canary)}
			first := send(t, fromVerifier, nil, "Bearer e-"+o.name)
			wants(t, first, o.status, o.challenges()...)
			if got := first.Header.Get("Retry-After"); got != o.retry {
				t.Errorf("Retry-After %q, want %q", got, o.retry)
			}
			if first.body != "" || strings.Contains(fmt.Sprint(first.Header), canary) || first.Header.Get("Location") != "" {
				t.Errorf("body %q, header %v", first.body, first.Header)
			}
			second := send(t, fromHandler, func(r *http.Request) { r.Header.Set("X-Class", o.name) }, "Bearer ok~read")
			sameAnswer(t, first, second)
		})
	}
	if ran {
		t.Error("the protected handler ran")
	}
	t.Run("N14/no_class_is_forgotten", func(t *testing.T) {
		listed := map[string]bool{}
		for _, o := range outcomes {
			listed[o.name] = true
		}
		for _, name := range sentinels(t) {
			if !listed[name] {
				t.Errorf("%s has no outcome", name)
			}
		}
	})
}

// sentinels returns the names of the exported error variables of package verifier.
func sentinels(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../verifier/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, decl := range file.Decls {
		if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.VAR {
			for _, spec := range gen.Specs {
				if name := spec.(*ast.ValueSpec).Names[0].Name; strings.HasPrefix(name, "Err") {
					names = append(names, name)
				}
			}
		}
	}
	if len(names) < 30 {
		t.Fatalf("found only %d classes", len(names))
	}
	return names
}

// sameAnswer compares everything but Date.
func sameAnswer(t testing.TB, a, b response) {
	t.Helper()
	a.Header.Del("Date")
	b.Header.Del("Date")
	if a.StatusCode != b.StatusCode || fmt.Sprint(a.Header) != fmt.Sprint(b.Header) || a.body != b.body {
		t.Errorf("different answers:\n%d %v %q\n%d %v %q", a.StatusCode, a.Header, a.body, b.StatusCode, b.Header, b.body)
	}
}

func TestRetryAfter(t *testing.T) {
	g, s := newGuard(t)
	conn := listen(t, behind(t, g, whoami))
	for _, tc := range []struct {
		name string
		err  verifier.Error
		want string
	}{
		{"unknown", verifier.Error{Class: verifier.ErrKeysUnavailable}, "5"},
		{"negative", verifier.Error{Class: verifier.ErrKeysUnavailable, RetryAfter: -time.Second}, "5"},
		{"a_nanosecond", verifier.Error{Class: verifier.ErrKeysUnavailable, RetryAfter: 1}, "1"},
		{"a_second", verifier.Error{Class: verifier.ErrMetadata, RetryAfter: time.Second}, "1"},
		{"rounded_up", verifier.Error{Class: verifier.ErrMetadata, RetryAfter: time.Second + 1}, "2"},
		{"an_hour", verifier.Error{Class: verifier.ErrStatusUnavailable, RetryAfter: time.Hour}, "3600"},
		{"bounded", verifier.Error{Class: verifier.ErrStatusUnavailable, RetryAfter: 1<<63 - 1}, "3600"},
		{"N13_not_for_ErrConfig", verifier.Error{Class: verifier.ErrConfig, RetryAfter: time.Minute}, ""},
		{"not_for_ErrInternal", verifier.Error{Class: verifier.ErrInternal, RetryAfter: time.Minute}, ""},
		{"not_for_a_refusal", verifier.Error{Class: verifier.ErrExpired, RetryAfter: time.Minute}, ""},
	} {
		t.Run("HT-11/"+tc.name, func(t *testing.T) {
			s.errs = map[string]error{"x": &tc.err}
			got := send(t, conn, nil, "Bearer x")
			if list := got.Header.Values("Retry-After"); strings.Join(list, ",") != tc.want {
				t.Errorf("Retry-After %q, want %q", list, tc.want)
			}
		})
	}
}

func TestBody(t *testing.T) {
	problem := func(c *middleware.Config) { c.Body = middleware.ProblemJSON }
	ask := func(t *testing.T, edit func(*middleware.Config), method string, err error) (response, response) {
		g, s := newGuard(t, edit)
		s.errs = map[string]error{"x": err}
		plain, p := newGuard(t)
		p.errs = s.errs
		as := func(r *http.Request) { r.Method = method }
		return ask(t, behind(t, g, whoami, read), as, "Bearer x"), ask(t, behind(t, plain, whoami, read), as, "Bearer x")
	}
	for _, o := range outcomes {
		t.Run("HT-09/problem_"+o.name, func(t *testing.T) {
			got, bare := ask(t, problem, "GET", o.class)
			var doc map[string]any
			if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"type": "about:blank", "title": http.StatusText(o.status), "status": float64(o.status)}
			if o.code != "" {
				want["error"] = o.code
			}
			if fmt.Sprint(doc) != fmt.Sprint(want) || got.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s, want %v", got.Header.Get("Content-Type"), got.body, want)
			}
			head, _ := ask(t, problem, "HEAD", o.class)
			got.body = ""
			t.Run("HT-01/N9_HEAD", func(t *testing.T) { sameAnswer(t, head, got) })
			got.Header.Del("Content-Type")
			got.Header.Del("Content-Length")
			bare.Header.Del("Content-Length")
			sameAnswer(t, got, bare)
		})
	}
	t.Run("HT-08/empty_by_default", func(t *testing.T) {
		_, bare := ask(t, problem, "GET", verifier.ErrExpired)
		if bare.body != "" || bare.Header.Get("Content-Type") != "" {
			t.Errorf("%q of type %q", bare.body, bare.Header.Get("Content-Type"))
		}
	})
	t.Run("HT-08/denial_says_what_the_challenge_says", func(t *testing.T) {
		var seen middleware.Denial
		got, _ := ask(t, func(c *middleware.Config) {
			c.Body = func(d *middleware.Denial) (string, []byte) {
				seen = *d
				d.Status = 200
				return "text/plain", []byte(d.Code)
			}
		}, "GET", verifier.ErrExpired)
		if got.StatusCode != 401 || got.body != "invalid_token" || seen != (middleware.Denial{Status: 401, Code: "invalid_token", Description: "The access token has expired"}) {
			t.Errorf("%d %q, %+v", got.StatusCode, got.body, seen)
		}
	})
	t.Run("HT-08/no_body_no_content_type", func(t *testing.T) {
		for _, body := range [][]byte{nil, {}} {
			got, bare := ask(t, func(c *middleware.Config) {
				c.Body = func(*middleware.Denial) (string, []byte) { return "text/plain", body }
			}, "GET", verifier.ErrExpired)
			if got.Header["Content-Type"] != nil {
				t.Errorf("Content-Type %q", got.Header["Content-Type"])
			}
			sameAnswer(t, got, bare)
		}
	})
	t.Run("HT-08/no_content_type_no_body", func(t *testing.T) {
		got, bare := ask(t, func(c *middleware.Config) {
			c.Body = func(*middleware.Denial) (string, []byte) { return "", []byte("x") }
		}, "GET", verifier.ErrExpired)
		sameAnswer(t, got, bare)
	})
	t.Run("SE-01/panicking_Body", func(t *testing.T) {
		var seen events
		got, _ := ask(t, func(c *middleware.Config) {
			c.Body = func(*middleware.Denial) (string, []byte) { panic("secret-7c2e") }
			c.OnEvent = seen.hook
		}, "GET", verifier.ErrExpired)
		wants(t, got, 503)
		list := seen.take(verifier.EventRefused)
		if len(list) != 1 || list[0].Class != verifier.ErrInternal || strings.Contains(fmt.Sprint(list[0].Cause), "7c2e") {
			t.Errorf("events %v", list)
		}
	})
}

// TestOuterHeaders: what code further out has put into the header stays.
func TestOuterHeaders(t *testing.T) {
	g, _ := newGuard(t)
	outer := func(h http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="legacy"`)
			w.Header().Set("Access-Control-Allow-Origin", "https://app.example")
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Set("Vary", "Origin")
			h.ServeHTTP(w, r)
		}
	}
	got := ask(t, outer(behind(t, g, whoami, read)), nil, "Bearer bad")
	t.Run("CH-17/challenge_is_added", func(t *testing.T) { wants(t, got, 401, `Basic realm="legacy"`, w07) })
	t.Run("CH-02/one_challenge_per_line", func(t *testing.T) {
		for _, line := range got.challenges() {
			if list, err := challenge.Parse(line); err != nil || len(list) != 1 {
				t.Errorf("%q: %v, %v", line, list, err)
			}
		}
	})
	t.Run("HT-06/CORS_headers_stay", func(t *testing.T) {
		if got.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || got.Header.Get("Vary") != "Origin" {
			t.Errorf("header %v", got.Header)
		}
	})
	t.Run("HT-07/no-store_replaces_what_was_set", func(t *testing.T) {
		if list := got.Header.Values("Cache-Control"); len(list) != 1 || list[0] != "no-store" {
			t.Errorf("Cache-Control %q", list)
		}
	})
	t.Run("CH-19/403_413_and_503_add_none", func(t *testing.T) {
		for class, status := range map[error]int{
			errors.New("no"): 403, verifier.ErrRequestTooLarge: 413, verifier.ErrKeysUnavailable: 503, verifier.ErrInternal: 503,
		} {
			refusing := &rule{check: func(*verifier.Token) error { return class }}
			wants(t, ask(t, outer(behind(t, g, whoami, refusing)), nil, "Bearer ok"), status, `Basic realm="legacy"`)
		}
	})
	t.Run("GO-10/handler_had_begun_to_prepare_an_answer", func(t *testing.T) {
		h := behind(t, g, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			tok, _ := middleware.TokenFrom(r.Context())
			middleware.Deny(w, r, tok.Require(read))
		}, scopes.All())
		wants(t, ask(t, h, nil, "Bearer ok"), 403, w10)
	})
}

// TestReadsNoBody: a refusal does not wait for the body (HT-10).
func TestReadsNoBody(t *testing.T) {
	g, _ := newGuard(t)
	echo := behind(t, g, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }, read)
	for _, tc := range []struct {
		name string
		line string
		read bool
	}{
		{"HT-10/A41_no_token", "Basic x", false},
		{"HT-10/A41_bad_token", "Bearer bad", false},
		{"HT-10/good_token", "Bearer ok~read", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			upload := &counted{Reader: strings.NewReader("cargo")}
			got := ask(t, echo, func(r *http.Request) {
				r.Method, r.Body = "POST", upload
				r.Header.Set("Expect", "100-continue")
			}, tc.line)
			if tc.read != (got.StatusCode == 200) || tc.read != (got.body == "cargo") || tc.read != (upload.reads.Load() > 0) {
				t.Errorf("status %d, body %q, %d reads", got.StatusCode, got.body, upload.reads.Load())
			}
		})
	}
}

// counted is a request body that knows whether it was asked for.
type counted struct {
	io.Reader
	reads atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads.Add(1)
	return c.Reader.Read(p)
}

func (c *counted) Close() error { return nil }
