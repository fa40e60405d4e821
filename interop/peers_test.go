// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/labstack/echo/v4"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/oauthtest"
)

const (
	route  = "/orders"
	scope  = "orders:read"
	marker = "these are the orders"
)

// peer is one way to protect a route.
type peer struct {
	name    string
	file    string   // its set-up code
	modules []string // what it is made of; none means this repository
	// reads tells whether its parser can read a key; nil where one that it cannot read
	// does no harm to the others of a set.
	reads func(jwk []byte) error
	start func(ctx context.Context, t *testing.T, as *oauthtest.Server, client *http.Client) (http.Handler, error)
}

var peers = []peer{
	{"bearerguard", "peer_bearerguard.go", nil, nil, func(_ context.Context, t *testing.T, as *oauthtest.Server, client *http.Client) (http.Handler, error) {
		keys, err := jwkscache.New(jwkscache.Config{Issuer: as.Issuer(), HTTPClient: client})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { keys.Close() })
		return bearerguard(keys, as.Issuer(), ordersAPI, scope, orders())
	}},
	{"go-oidc", "peer_gooidc.go", []string{"github.com/coreos/go-oidc/v3", "github.com/go-jose/go-jose/v4"}, joseReads, func(ctx context.Context, t *testing.T, as *oauthtest.Server, client *http.Client) (http.Handler, error) {
		return goOIDC(oidc.ClientContext(ctx, client), as.Issuer(), ordersAPI, scope, orders())
	}},
	{"golang-jwt", "peer_golangjwt.go", []string{"github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3"}, jwksetReads, func(ctx context.Context, t *testing.T, as *oauthtest.Server, client *http.Client) (http.Handler, error) {
		return golangJWT(ctx, client, as.Issuer(), as.Issuer()+"/jwks", ordersAPI, scope, orders())
	}},
	{"echo-jwt, keys only", "peer_echojwt.go", []string{"github.com/labstack/echo-jwt/v4", "github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3"}, jwksetReads, func(ctx context.Context, t *testing.T, as *oauthtest.Server, client *http.Client) (http.Handler, error) {
		return echoJWT(ctx, client, as.Issuer()+"/jwks", route, scope, echo.WrapHandler(orders()))
	}},
	{"echo-jwt, own parser", "peer_echojwt.go", []string{"github.com/labstack/echo-jwt/v4", "github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3"}, jwksetReads, func(ctx context.Context, t *testing.T, as *oauthtest.Server, client *http.Client) (http.Handler, error) {
		return echoJWTChecked(ctx, client, as.Issuer(), as.Issuer()+"/jwks", ordersAPI, route, scope, echo.WrapHandler(orders()))
	}},
	{"go-jwt-middleware", "peer_auth0.go", []string{"github.com/auth0/go-jwt-middleware/v3", "github.com/lestrrat-go/jwx/v3"}, auth0Reads, func(_ context.Context, t *testing.T, as *oauthtest.Server, client *http.Client) (http.Handler, error) {
		return auth0(client, as.Issuer(), ordersAPI, scope, orders())
	}},
}

// orders is the handler that is protected.
func orders() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, marker) })
}

// versions reads the requirements of this module.
func versions(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) >= 2 && strings.HasPrefix(f[1], "v") {
			found[f[0]] = f[1]
		}
	}
	return found
}

// TestPeersWork: a set-up that refuses a good token, or never a bad one, would make
// any comparison with it worthless.
func TestPeersWork(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Audience = []string{ordersAPI} })
			h, err := p.start(t.Context(), t, as, as.HTTPClient())
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: serve(t, h)}
			for _, c := range []struct {
				name, token string
				status      int
			}{
				{"good", as.Token(oauthtest.Scope(scope)), http.StatusOK},
				{"good, without typ", as.Token(oauthtest.Scope(scope), oauthtest.Type("")), http.StatusOK},
				{"forged", as.Token(oauthtest.Scope(scope), oauthtest.Forged()), http.StatusUnauthorized},
				{"expired", as.Token(oauthtest.Scope(scope), oauthtest.ExpiresIn(-3600e9)), http.StatusUnauthorized},
				{"other scope", as.Token(oauthtest.Scope("orders:write")), http.StatusForbidden},
			} {
				resp := send(t, client, c.token)
				if resp.StatusCode != c.status {
					t.Errorf("%s: %d, want %d", c.name, resp.StatusCode, c.status)
				}
				if c.status == http.StatusForbidden {
					wantScopeChallenge(t, resp)
				}
			}
		})
	}
}

// wantScopeChallenge: the answer for want of a scope is that of the code around the
// modules, so it must be the right one everywhere (RFC 6750 §3).
func wantScopeChallenge(t *testing.T, resp *http.Response) {
	t.Helper()
	challenges, err := oauthtest.ParseChallenges(resp.Header)
	if err != nil || len(challenges) != 1 {
		t.Fatalf("challenges %q: %v", resp.Header.Values("WWW-Authenticate"), err)
	}
	if p := challenges[0].Params; p["error"] != "insufficient_scope" || p["scope"] != scope {
		t.Errorf("challenge %v", p)
	}
}

// TestHandWritten: what is written here by hand around a module makes no mistake of its
// own: the scheme in any case, blanks behind it, and a challenge where there is no token
// (RFC 6750 §3, RFC 9110 §11.4).
func TestHandWritten(t *testing.T) {
	for _, p := range peers {
		if p.name != "go-oidc" && p.name != "golang-jwt" {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Audience = []string{ordersAPI} })
			h, err := p.start(t.Context(), t, as, as.HTTPClient())
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: serve(t, h)}
			good := as.Token(oauthtest.Scope(scope))
			for _, line := range []string{"Bearer " + good, "bEARER " + good, "Bearer   " + good} {
				if resp := sendLine(t, client, line); resp.StatusCode != http.StatusOK {
					t.Errorf("%.8q…: %d", line, resp.StatusCode)
				}
			}
			for _, line := range []string{"", "Basic YTpi", "Bearer" + good, "Bearer Z2FyYmFnZQ"} {
				resp := sendLine(t, client, line)
				if _, err := oauthtest.ParseChallenges(resp.Header); resp.StatusCode != http.StatusUnauthorized || err != nil {
					t.Errorf("%.8q…: %d, %v", line, resp.StatusCode, err)
				}
			}
		})
	}
}

func send(t *testing.T, c *http.Client, token string) *http.Response {
	t.Helper()
	return sendLine(t, c, "Bearer "+token)
}

// sendLine sends this Authorization line, or none.
func sendLine(t *testing.T, c *http.Client, line string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, base+route, nil)
	if err != nil {
		t.Fatal(err)
	}
	if line != "" {
		req.Header.Set("Authorization", line)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}
