// SPDX-License-Identifier: Apache-2.0

package ginv1_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/bearerguard/bearerguard/adapters/ginv1"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

func newGuard(t *testing.T) (*middleware.Guard, *oauthtest.Server) {
	t.Helper()
	as := oauthtest.NewServer(t)
	v, err := verifier.New(as.VerifierConfig("https://api.test"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		t.Fatal(err)
	}
	return g, as
}

func whoami(w http.ResponseWriter, r *http.Request) {
	tok, ok := middleware.TokenFrom(r.Context())
	if !ok {
		io.WriteString(w, "anonymous")
		return
	}
	io.WriteString(w, tok.Subject)
}

func get(layer gin.HandlerFunc, token string) *httptest.ResponseRecorder {
	e := gin.New()
	e.GET("/orders", layer, func(c *gin.Context) { whoami(c.Writer, c.Request) })
	r := httptest.NewRequest("GET", "/orders", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func TestAdapter(t *testing.T) {
	g, as := newGuard(t)
	required := ginv1.Require(g, scopes.All("read"))
	for _, tc := range []struct {
		name   string
		layer  gin.HandlerFunc
		token  string
		status int
		body   string
	}{
		{"BT-01/Require_good", required, as.Token(oauthtest.Scope("read")), 200, "user-1"},
		{"SC-09/Require_lacks_scope", required, as.Token(), 403, ""},
		{"BT-07/Require_no_token", required, "", 401, ""},
		{"HT-12/Optional_no_token", ginv1.Optional(g), "", 200, "anonymous"},
		{"HT-12/Optional_good", ginv1.Optional(g), as.Token(), 200, "user-1"},
		{"HT-12/Optional_bad", ginv1.Optional(g), "x", 401, ""},
		{"GO-02/P6_nil_Guard_Require", ginv1.Require(nil), as.Token(), 503, ""},
		{"GO-02/P6_nil_Guard_Optional", ginv1.Optional(nil), "", 503, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if w := get(tc.layer, tc.token); w.Code != tc.status || w.Body.String() != tc.body {
				t.Errorf("%d %q, want %d %q", w.Code, w.Body, tc.status, tc.body)
			}
		})
	}
}

func TestRegistrationPanics(t *testing.T) {
	g, _ := newGuard(t)
	for name, register := range map[string]func(){
		"SC-07/faulty_rule":           func() { ginv1.Require(g, scopes.Any()) },
		"SC-07/faulty_rule_nil_Guard": func() { ginv1.Require(nil, scopes.Any()) },
		"GO-02/nil_rule":              func() { ginv1.Require(g, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			register()
		})
	}
}
