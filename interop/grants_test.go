// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// endpoint is what discovery says, as a client would use it.
func (w *world) endpoint(t *testing.T) oauth2.Endpoint {
	t.Helper()
	provider, err := oidc.NewProvider(w.context(), w.as.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	return provider.Endpoint()
}

// webApp is a confidential client, native a public one.
func (w *world) webApp(t *testing.T, scopes ...string) *oauth2.Config {
	return &oauth2.Config{ClientID: "web app", ClientSecret: "s3cret: 100%+", RedirectURL: callback, Scopes: scopes, Endpoint: w.endpoint(t)}
}

func (w *world) native(t *testing.T, scopes ...string) *oauth2.Config {
	return &oauth2.Config{ClientID: "native", RedirectURL: "http://127.0.0.1:49152/callback", Scopes: scopes, Endpoint: w.endpoint(t)}
}

// consents are the ways to answer the consent page.
var consents = []struct {
	name    string
	approve func(t *testing.T, w *world, authURL string) *url.URL
}{
	{"scripted", func(t *testing.T, w *world, authURL string) *url.URL {
		to, err := w.as.Approve(authURL)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}},
	{"by_form", func(t *testing.T, w *world, authURL string) *url.URL {
		return open(t, w.http, authURL).redirected(t, "Allow")
	}},
}

// code reads an authorization response (RFC 6749 §4.1.2, RFC 9207 §2).
func code(t *testing.T, w *world, to *url.URL, redirectURI string) string {
	t.Helper()
	q := to.Query()
	if got := to.Scheme + "://" + to.Host + to.Path; got != redirectURI || q.Get("state") != "st&te" || q.Get("iss") != w.as.Issuer() || q.Get("error") != "" {
		t.Fatalf("redirected to %s with state %q, iss %q, error %q", got, q.Get("state"), q.Get("iss"), q.Get("error"))
	}
	return q.Get("code")
}

func TestAuthorizationCode(t *testing.T) {
	for _, p := range places {
		for _, consent := range consents {
			t.Run("TA-05/authorization_code_"+p.name+"_"+consent.name, func(t *testing.T) {
				w := newWorld(t, p)
				for _, client := range []*oauth2.Config{w.webApp(t, "orders:read"), w.native(t, "orders:read")} {
					verifier := oauth2.GenerateVerifier()
					authURL := client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(verifier))
					c := code(t, w, consent.approve(t, w, authURL), client.RedirectURL)
					tok, err := client.Exchange(w.context(), c, oauth2.VerifierOption(verifier))
					if err != nil {
						t.Fatal(err)
					}
					w.wantAccess(t, tok, "user-1")
					_, err = client.Exchange(w.context(), c, oauth2.VerifierOption(verifier))
					wantRefusal(t, err, "invalid_grant")
				}
			})
		}
	}
}

func TestAuthorizationCodeRefusals(t *testing.T) {
	w := newWorld(t, inMemory)
	client := w.webApp(t, "orders:read")
	t.Run("TA-08/wrong_verifier", func(t *testing.T) {
		authURL := client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
		c := code(t, w, open(t, w.http, authURL).redirected(t, "Allow"), callback)
		_, err := client.Exchange(w.context(), c, oauth2.VerifierOption(oauth2.GenerateVerifier()))
		wantRefusal(t, err, "invalid_grant")
	})
	t.Run("TA-08/no_challenge", func(t *testing.T) {
		p := open(t, w.http, client.AuthCodeURL("st&te"))
		if to, err := url.Parse(p.location); err != nil || to.Query().Get("error") != "invalid_request" || to.Query().Get("state") != "st&te" {
			t.Errorf("%d, redirected to %v (%v)", p.status, to, err)
		}
	})
	t.Run("TA-05/denied", func(t *testing.T) {
		authURL := client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
		q := open(t, w.http, authURL).redirected(t, "Deny").Query()
		if q.Get("error") != "access_denied" || q.Get("state") != "st&te" || q.Get("code") != "" {
			t.Errorf("the client is told %v", q)
		}
	})
	t.Run("TA-15/resource", func(t *testing.T) {
		verifier := oauth2.GenerateVerifier()
		authURL := client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", billingAPI))
		c := code(t, w, open(t, w.http, authURL).redirected(t, "Allow"), callback)
		tok, err := client.Exchange(w.context(), c, oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := oauth2.NewClient(w.context(), oauth2.StaticTokenSource(tok)).Get(base + "/invoices")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%d, want 200 for the resource that was asked for", resp.StatusCode)
		}
	})
}

func TestClientCredentials(t *testing.T) {
	for _, p := range places {
		for _, style := range []struct {
			name  string
			style oauth2.AuthStyle
		}{{"basic", oauth2.AuthStyleInHeader}, {"post", oauth2.AuthStyleInParams}, {"autodetect", oauth2.AuthStyleAutoDetect}} {
			t.Run("TA-13/client_credentials_"+p.name+"_"+style.name, func(t *testing.T) {
				w := newWorld(t, p)
				cfg := &clientcredentials.Config{
					ClientID: "web app", ClientSecret: "s3cret: 100%+", TokenURL: w.endpoint(t).TokenURL, Scopes: []string{"orders:read"},
					AuthStyle: style.style, EndpointParams: url.Values{"resource": {ordersAPI}},
				}
				tok, err := cfg.Token(w.context())
				if err != nil {
					t.Fatal(err)
				}
				w.wantAccess(t, tok, "web app")
				cfg.ClientSecret = "wrong"
				_, err = cfg.Token(w.context())
				wantRefusal(t, err, "invalid_client")
			})
		}
	}
}

// signedIn obtains tokens by the authorization code grant.
func signedIn(t *testing.T, w *world, client *oauth2.Config) *oauth2.Token {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	authURL := client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(verifier))
	c := code(t, w, open(t, w.http, authURL).redirected(t, "Allow"), client.RedirectURL)
	tok, err := client.Exchange(w.context(), c, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestRefresh(t *testing.T) {
	for _, p := range places {
		t.Run("TA-12/refresh_"+p.name, func(t *testing.T) {
			w := newWorld(t, p)
			for _, client := range []*oauth2.Config{w.webApp(t, "orders:read"), w.native(t, "orders:read")} {
				first := signedIn(t, w, client)
				expired := *first
				expired.Expiry = time.Now().Add(-time.Hour)
				second, err := client.TokenSource(w.context(), &expired).Token()
				if err != nil {
					t.Fatal(err)
				}
				if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
					t.Error("a token came back unchanged")
				}
				w.wantAccess(t, second, "user-1")
				_, err = client.TokenSource(w.context(), &expired).Token()
				wantRefusal(t, err, "invalid_grant")
				_, err = client.TokenSource(w.context(), &oauth2.Token{RefreshToken: second.RefreshToken}).Token()
				wantRefusal(t, err, "invalid_grant") // reuse of the first has ended the family
			}
		})
	}
}

func TestDevice(t *testing.T) {
	for _, c := range []struct{ name, press, code string }{
		{"approved", "Allow", ""},
		{"denied", "Deny", "access_denied"},
		{"ignored", "", "expired_token"},
	} {
		t.Run("TA-20/"+c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, inMemory)
				client := w.native(t, "orders:read")
				start, err := client.DeviceAuth(w.context())
				if err != nil {
					t.Fatal(err)
				}
				start.Expiry = start.Expiry.Add(time.Minute) // else the client gives up first
				if c.press != "" {
					// Between two polls, so that none of them meets half a decision.
					time.AfterFunc(10500*time.Millisecond, func() { w.decide(t, start, c.press) })
				}
				tok, err := client.DeviceAccessToken(w.context(), start)
				if c.code != "" {
					wantRefusal(t, err, c.code)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				w.wantAccess(t, tok, "user-1")
			})
		})
	}
}

// polls notes what a token endpoint answers. It is used by one goroutine at a time.
type polls struct {
	http.RoundTripper
	errors []string
	gaps   []time.Duration // from the end of the poll before: the least that the server can have seen
	last   time.Time
	each   func(n int)
}

func (p *polls) RoundTrip(r *http.Request) (*http.Response, error) {
	gap := time.Since(p.last)
	resp, err := p.RoundTripper.RoundTrip(r)
	if err != nil || r.URL.Path != "/token" {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var answer struct {
		Error string `json:"error"`
	}
	if err := errors.Join(err, json.Unmarshal(body, &answer)); err != nil {
		return nil, err
	}
	p.errors, p.gaps, p.last = append(p.errors, answer.Error), append(p.gaps, gap), time.Now()
	p.each(len(p.errors))
	return resp, nil
}

// TestDeviceInRealTime: the client polls by a ticker, which shakes. Whatever the machine
// makes of that, no poll about an interval after the one before is told to slow down.
func TestDeviceInRealTime(t *testing.T) {
	w := newWorld(t, onLoopback)
	client := w.native(t, "orders:read")
	client.Endpoint.AuthStyle = oauth2.AuthStyleInParams // else each poll begins with a request that is none
	start, err := client.DeviceAuth(w.context())
	if err != nil {
		t.Fatal(err)
	}
	p := &polls{RoundTripper: w.http.Transport, each: func(n int) {
		if n != 3 {
			return
		}
		if err := w.as.ApproveDevice(start.UserCode); err != nil {
			t.Error(err)
		}
	}}
	w.http.Transport = p
	w.as.ClearRequests()
	tok, err := client.DeviceAccessToken(w.context(), start)
	if err != nil {
		t.Fatal(err)
	}
	w.wantAccess(t, tok, "user-1")
	t.Run("TA-20/polls_in_real_time", func(t *testing.T) {
		n := 0
		for _, r := range w.as.Requests() {
			if r.Endpoint == oauthtest.EndpointToken {
				n++
			}
		}
		for i, gap := range p.gaps {
			if p.errors[i] == "slow_down" && gap > 900*time.Millisecond {
				t.Errorf("poll %d was told to slow down %v after the one before", i, gap)
			}
		}
		if n < 4 || n != len(p.errors) {
			t.Errorf("%d polls, of which %d were answered", n, len(p.errors))
		}
	})
}

// decide enters a device's code and presses a button of the page that follows.
func (w *world) decide(t *testing.T, start *oauth2.DeviceAuthResponse, label string) {
	p := open(t, w.http, start.VerificationURI)
	p.fields.Set("user_code", start.UserCode)
	consent := read(t, p.client, p.press(t, "Continue"))
	resp := consent.press(t, label)
	resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		t.Errorf("%d after %s", resp.StatusCode, label)
	}
}

func users(c *oauthtest.Config) {
	c.Users = []oauthtest.User{
		{Subject: "ada", Name: "Ada Lovelace", Claims: map[string]any{"email": "ada@example.com"}},
		{Subject: "grace", Name: "Grace Hopper"},
	}
}

func TestSeveralUsers(t *testing.T) {
	w := newWorld(t, inMemory, users)
	client := w.webApp(t, "orders:read")
	for _, sub := range []string{"ada", "grace"} {
		t.Run("TA-05/"+sub, func(t *testing.T) {
			verifier := oauth2.GenerateVerifier()
			p := open(t, w.http, client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(verifier)))
			for name, values := range p.radios {
				if slices.Contains(values, sub) {
					p.fields.Set(name, sub)
				}
			}
			tok, err := client.Exchange(w.context(), code(t, w, p.redirected(t, "Allow"), callback), oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			w.wantAccess(t, tok, sub)
		})
	}
}
