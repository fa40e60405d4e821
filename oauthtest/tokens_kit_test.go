// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/oauthtest"
)

const byClientCredentials = "grant_type=client_credentials"

// newGrants is a server on which every grant is enabled. "app" and "other" can
// authenticate, "page" and "page2" are public, "opaque" gets opaque tokens.
func newGrants(t testing.TB, edits ...func(*oauthtest.Config)) *oauthtest.Server {
	callback := []string{"https://client.test/callback"}
	return oauthtest.NewServer(t, append([]func(*oauthtest.Config){func(c *oauthtest.Config) {
		c.Algorithm, c.LegacyGrants = "ES256", true
		c.Audience = []string{api, secondAPI, "orders-service"}
		c.Clients = []oauthtest.Client{
			{ID: "app", Secret: "secret", RedirectURIs: callback},
			{ID: "other", Secret: "secret2"},
			{ID: "page", RedirectURIs: callback},
			{ID: "page2"},
			{ID: "opaque", Secret: "secret3", OpaqueTokens: true},
		}
		c.Users = []oauthtest.User{{Subject: "alice", Password: "wonder"}, {Subject: "bob"}}
	}}, edits...)...)
}

// postForm sends a raw form to an endpoint; edits change the request.
func postForm(t *testing.T, as *oauthtest.Server, path, form string, edits ...func(*http.Request)) answer {
	t.Helper()
	return tokenRequest(t, as, form, append([]func(*http.Request){func(r *http.Request) {
		r.URL.Path = strings.TrimSuffix(r.URL.Path, "/token") + path
	}}, edits...)...)
}

// noAuth leaves a request as it is.
func noAuth(*http.Request) {}

// textOf returns a string of an answer that must be there.
func textOf(t *testing.T, a answer, name string) string {
	t.Helper()
	s, _ := a.json[name].(string)
	if s == "" {
		t.Fatalf("no %s: %d %s", name, a.status, a.body)
	}
	return s
}

// signIn gets tokens for alice by the password grant; form is added.
func signIn(t *testing.T, as *oauthtest.Server, form string, auth func(*http.Request)) answer {
	t.Helper()
	a := tokenRequest(t, as, "grant_type=password&username=alice&password=wonder"+form, auth)
	wantAnswer(t, a, want200, "")
	return a
}

// introspect asks as the client "app", and checks what a denial may say.
func introspect(t *testing.T, as *oauthtest.Server, raw string) (about map[string]any, active bool) {
	t.Helper()
	a := postForm(t, as, "/introspect", "token="+url.QueryEscape(raw), basic("app", "secret"))
	wantAnswer(t, a, want200, "")
	active, ok := a.json["active"].(bool)
	if !ok || !active && len(a.json) != 1 {
		t.Errorf("answer %s", a.body)
	}
	return a.json, active
}

func wantActive(t *testing.T, as *oauthtest.Server, what, raw string, want bool) {
	t.Helper()
	if _, active := introspect(t, as, raw); active != want {
		t.Errorf("%s: active %v", what, active)
	}
}

// jsonObject is one in the making.
type jsonObject = map[string]any

// clientKey is the key of a client that signs assertions.
type clientKey struct {
	crypto.Signer
	set []byte // the public JWK Set
}

func newClientKey(t testing.TB, members jsonObject) clientKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jose.PublicJWK(key.Public(), members)
	if err != nil {
		t.Fatal(err)
	}
	return clientKey{key, []byte(`{"keys":[` + string(jwk) + `]}`)}
}

// assertion signs a JWT of the client "signer" for an audience; edits change it.
func (k clientKey) assertion(t *testing.T, audience string, edits ...func(header, claims jsonObject)) string {
	t.Helper()
	header := jsonObject{"alg": "ES256", "typ": "client-authentication+jwt"}
	claims := jsonObject{
		"iss": "signer", "sub": "signer", "aud": audience, "jti": rand.Text(),
		"exp": time.Now().Add(time.Minute).Unix(),
	}
	for _, edit := range edits {
		edit(header, claims)
	}
	var input []string
	for _, part := range []jsonObject{header, claims} {
		b, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		input = append(input, base64.RawURLEncoding.EncodeToString(b))
	}
	text := strings.Join(input, ".")
	sig, err := jose.Sign("ES256", k.Signer, text)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}
