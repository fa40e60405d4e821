// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/bearerguard/bearerguard/adapters/echov4"
	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// Here the code of docs/testing.md is run. TestGuide keeps the two from drifting apart.

const guideSource = "guide_test.go"

// TestGuide finds every Go block of the guide in this file: declarations as they are,
// statements as those of a function.
func TestGuide(t *testing.T) {
	source := readGuide(t, guideSource)
	guide := strings.Split(readGuide(t, testingGuide), "\n```go\n")[1:]
	for _, rest := range guide {
		text, _, closed := strings.Cut("\n"+rest, "\n```")
		indented := strings.ReplaceAll(strings.ReplaceAll(text, "\n", "\n\t"), "\n\t\n", "\n\n")
		if !closed || !strings.Contains(source, text+"\n") && !strings.Contains(source, indented+"\n") {
			t.Errorf("%s has a block that is not run in %s:%s", testingGuide, guideSource, text)
		}
	}
	if len(guide) < 10 {
		t.Errorf("%s has %d Go blocks", testingGuide, len(guide))
	}
}

func readGuide(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func list(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the orders") }

func TestGuideHandlerAlone(t *testing.T) {
	cfg, err := providers.Keycloak("https://id.example.com/realms/main", "orders-api", providers.Options{
		Audience: []string{"https://api.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	alice := oauthtest.Principal(t, cfg, oauthtest.Subject("alice"), oauthtest.Scope("orders:read"))

	req := oauthtest.Identify(t, httptest.NewRequest("GET", "/orders", nil), alice, scopes.All("orders:read"))
	rec := httptest.NewRecorder()
	list(rec, req) // the handler itself, without its guard
	if rec.Body.String() != "the orders" || alice.Subject != "alice" {
		t.Errorf("%q for %s", rec.Body, alice.Subject)
	}
}

func TestGuideWholeRequest(t *testing.T) {
	as := oauthtest.NewServer(t)
	v, err := verifier.New(as.VerifierConfig("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		t.Fatal(err)
	}
	api := nethttp.Require(g, scopes.All("orders:read"))(http.HandlerFunc(list))

	req := httptest.NewRequest("GET", "/orders", nil)
	req.Header.Set("Authorization", "Bearer "+as.Token(oauthtest.Scope("orders:read"), oauthtest.ExpiresIn(-time.Hour)))
	rec := httptest.NewRecorder()
	api.ServeHTTP(rec, req)

	challenges, err := oauthtest.ParseChallenges(rec.Result().Header)
	if err != nil || len(challenges) != 1 || challenges[0].Params["error"] != "invalid_token" {
		t.Errorf("challenges %v, %v", challenges, err)
	}
}

func TestGuideNamedIssuer(t *testing.T) {
	as := oauthtest.NewServer(t, func(c *oauthtest.Config) {
		c.Issuer = "https://id.example.com/realms/main"
		c.Audience = []string{"https://api.example.com"}
	})
	keys, err := jwkscache.New(jwkscache.Config{Issuer: as.Issuer(), HTTPClient: as.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	v, err := verifier.New(verifier.Config{Issuer: as.Issuer(), Audience: []string{"https://api.example.com"}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := v.Verify(t.Context(), as.Token())
	if err != nil || tok.Issuer != "https://id.example.com/realms/main" {
		t.Errorf("%v, %v", tok, err)
	}
}

func TestGuideHostile(t *testing.T) {
	as := oauthtest.NewServer(t)
	api, err := newAPI(as.VerifierConfig("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	for bad := range as.Hostile(oauthtest.Scope("orders:read")) {
		t.Run(bad.ID, func(t *testing.T) {
			req := httptest.NewRequest("GET", "/orders", nil)
			req.Header.Set("Authorization", "Bearer "+bad.Token)
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, req)
			if rec.Code != bad.Status {
				t.Errorf("status %d, want %d. %s", rec.Code, bad.Status, bad.Gain)
			}
		})
	}
	if id := "C42.embedded_key"; as.HostileToken(id).ID != id {
		t.Errorf("%s is not to be had", id)
	}
}

func TestGuideMisbehaviour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := oauthtest.NewServer(t)
		v, err := verifier.New(as.VerifierConfig("https://api.example.com"))
		if err != nil {
			t.Fatal(err)
		}
		check := func(raw string, want error) {
			t.Helper()
			if _, err := v.Verify(t.Context(), raw); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		old := as.Token(oauthtest.ExpiresIn(24 * time.Hour))
		check(old, nil)

		as.SetOutage(true)
		time.Sleep(20 * time.Hour)
		check(old, nil) // the last good keys serve on

		as.SetOutage(false)
		as.RotateAbruptly() // as after a leak: the old key is gone at once
		time.Sleep(2 * time.Hour)
		check(as.Token(), nil) // its kid is unknown, so the keys are fetched
		check(old, verifier.ErrUnknownKey)
	})
}

func TestGuideCode(t *testing.T) {
	as := oauthtest.NewServer(t, func(c *oauthtest.Config) {
		c.Audience = []string{"https://api.example.com"}
		c.Clients = []oauthtest.Client{{ID: "app", RedirectURIs: []string{"https://app.example.com/callback"}}}
	})
	verifierText := strings.Repeat("secret-of-this-login-", 3)
	sum := sha256.Sum256([]byte(verifierText))
	redirect, err := as.Approve(as.Issuer() + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "state": {"xyz"}, "scope": {"orders:read"},
		"redirect_uri":          {"https://app.example.com/callback"},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(sum[:])},
		"code_challenge_method": {"S256"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	back, err := url.Parse(redirect) // https://app.example.com/callback?code=…&state=xyz&iss=…
	if err != nil {
		t.Fatal(err)
	}
	resp, err := as.HTTPClient().PostForm(as.Issuer()+"/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"app"}, "code": {back.Query().Get("code")},
		"redirect_uri": {"https://app.example.com/callback"}, "code_verifier": {verifierText},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
		Scope string `json:"scope"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" || answer.Scope != "orders:read" {
		t.Errorf("%s, scope %q, %v", resp.Status, answer.Scope, err)
	}
}

func TestGuideRoutes(t *testing.T) {
	a := newSimpleApp(t)
	e := echo.New()
	e.GET("/health", func(c echo.Context) error { return c.String(200, "ok") })
	e.GET("/orders", func(c echo.Context) error { return c.String(200, "the orders") }, echov4.Require(a.g))
	var routes []string
	for _, route := range e.Routes() { // Echo; Gin: engine.Routes(), with route.Method and route.Path
		routes = append(routes, route.Method+" "+route.Path)
	}
	oauthtest.CheckRoutes(t, e, routes, "GET /health")
	oauthtest.CheckPaths(t, e, routes, "GET /health")
}

// patternMux keeps its ServeMux to itself, so that no pattern gets past it.
type patternMux struct {
	mux      http.ServeMux
	patterns []string
}

func (m *patternMux) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.mux.Handle(pattern, h)
}

func (m *patternMux) HandleFunc(pattern string, h http.HandlerFunc) { m.Handle(pattern, h) }

func (m *patternMux) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// A route of HandleFunc is found as well as one of Handle.
func TestGuidePatterns(t *testing.T) {
	a := newSimpleApp(t)
	m := new(patternMux)
	m.Handle("GET /orders", nethttp.Require(a.g)(http.HandlerFunc(list)))
	m.HandleFunc("GET /forgotten", list)
	c := &complaints{TB: t}
	oauthtest.CheckRoutes(c, m, m.patterns)
	if len(m.patterns) != 2 || len(c.list) != 1 {
		t.Errorf("%d patterns, complaints %q", len(m.patterns), c.list)
	}
}

func TestOrdersUnderAttack(t *testing.T) {
	as := oauthtest.NewServer(t)
	api, err := newAPI(as.VerifierConfig("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	oauthtest.Attack(t, api, as, oauthtest.Target{Path: "/orders", Scope: "orders:read"})
}

// newAPI stands for the function of your program that registers its routes.
func newAPI(cfg verifier.Config) (http.Handler, error) {
	v, err := verifier.New(cfg)
	if err != nil {
		return nil, err
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", nethttp.Require(g, scopes.All("orders:read"))(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "the orders") },
	)))
	return mux, nil
}

func attackProgram(t *testing.T, program *exec.Cmd) {
	as, err := oauthtest.Listen(oauthtest.Config{TLS: true, Audience: []string{"https://api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	defer as.Close()
	authority := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(authority, as.CertificateAuthority(), 0o600); err != nil {
		t.Fatal(err)
	}
	program.Env = append(os.Environ(), "ISSUER="+as.Issuer(),
		"SSL_CERT_FILE="+authority,       // OpenSSL, and Go except on macOS and Windows
		"NODE_EXTRA_CA_CERTS="+authority) // Node.js
	program.Stderr = os.Stderr
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer program.Wait()
	defer program.Process.Kill()
	output := bufio.NewReader(stdout)
	address, err := output.ReadString('\n') // http://127.0.0.1:8080
	if err != nil {
		t.Fatalf("the program wrote no address, and ended: %v", program.Wait())
	}
	go output.WriteTo(os.Stderr) // who logs into a full pipe waits
	oauthtest.AttackURL(t, strings.TrimSpace(address), as, oauthtest.Target{Path: "/orders", Scope: "orders:read"})
}

func TestGuideProgram(t *testing.T) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("Go takes no authority from SSL_CERT_FILE here")
	}
	program := exec.Command(os.Args[0], "-test.run=^TestGuideServer$")
	attackProgram(t, program)
}

// TestGuideServer is the program that TestGuideProgram starts and ends.
func TestGuideServer(t *testing.T) {
	issuer := os.Getenv("ISSUER")
	if issuer == "" || os.Getenv("NODE_EXTRA_CA_CERTS") == "" {
		t.Skip("it runs below TestGuideProgram")
	}
	keys, err := jwkscache.New(jwkscache.Config{Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	api, err := newAPI(verifier.Config{Issuer: issuer, Audience: []string{"https://api.example.com"}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(brokenProgram) != "" {
		os.Exit(3)
	}
	var log sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.Do(func() { fmt.Println(strings.Repeat(" ", 128<<10)) }) // more than a pipe holds
		api.ServeHTTP(w, r)
	}))
	fmt.Println(server.URL)
	<-t.Context().Done()
}

const brokenProgram = "GUIDE_BROKEN"

// A program that ends before it wrote its address: the failure says how it ended.
func TestGuideProgramEnds(t *testing.T) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("TestGuideProgram is skipped here")
	}
	test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestGuideProgram$")
	test.Env = append(os.Environ(), brokenProgram+"=1")
	output, err := test.CombinedOutput()
	if want := "the program wrote no address, and ended: exit status 3"; err == nil || !strings.Contains(string(output), want) {
		t.Errorf("%v, %s\nwant %s", err, output, want)
	}
}

func TestGuidePlain(t *testing.T) {
	as, err := oauthtest.Listen(oauthtest.Config{Audience: []string{"https://api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	defer as.Close()
	keys, err := jwkscache.New(jwkscache.Config{Issuer: as.Issuer(), InsecureHosts: []string{"loopback"}})
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	api, err := newAPI(verifier.Config{Issuer: as.Issuer(), Audience: []string{"https://api.example.com"}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	defer server.Close()
	oauthtest.AttackURL(t, server.URL, as, oauthtest.Target{Path: "/orders", Scope: "orders:read"})
}

func TestMySource(t *testing.T) {
	oauthtest.TestKeySource(t, func(t testing.TB, as *oauthtest.Server) verifier.KeySource {
		keys, err := jwkscache.New(jwkscache.Config{Issuer: as.Issuer(), HTTPClient: as.HTTPClient()})
		if err != nil {
			t.Fatal(err)
		}
		return &mySource{Cache: keys}
	})
}

func TestMyVerifier(t *testing.T) {
	oauthtest.TestTokenVerifier(t, func(t testing.TB, as *oauthtest.Server, audience string) middleware.TokenVerifier {
		v, err := verifier.New(as.VerifierConfig(audience))
		if err != nil {
			t.Fatal(err)
		}
		return v // wrapped in yours
	})
}

// mySource counts the tokens whose key was not there.
type mySource struct {
	*jwkscache.Cache
	misses atomic.Int64
}

func (s *mySource) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	if miss != nil {
		s.misses.Add(1)
	}
	return s.Cache.Keys(ctx, miss)
}
