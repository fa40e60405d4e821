// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/oauth2"

	"github.com/bearerguard/bearerguard/oauthtest"
)

var screenshots = flag.String("screenshots", "", "directory for pictures of the pages")

// browser is headless Chromium, an authorization server on loopback, and a client
// application that it can be sent back to.
type browser struct {
	*world
	ctx      context.Context
	callback string
}

func newBrowser(t *testing.T, edits ...func(*oauthtest.Config)) *browser {
	t.Helper()
	program := chromium()
	if program == "" {
		t.Skip("no chromium, chromium-browser or google-chrome in PATH: the pages are not tried in a browser")
	}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>The application</title><h1>Back again</h1>")
	}))
	t.Cleanup(app.Close)
	edits = append(edits, func(c *oauthtest.Config) { c.Clients[0].RedirectURIs = []string{app.URL + "/callback"} })
	return &browser{newWorld(t, onLoopback, edits...), start(t, program), app.URL + "/callback"}
}

func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	return ""
}

// start starts the program with a profile of its own. Without a sandbox, since root
// has none; it sees pages of this test alone.
func start(t *testing.T, program string) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, quit := chromedp.NewContext(ctx)
	t.Cleanup(quit)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	t.Cleanup(func() { chromedp.Cancel(ctx) }) // waits until it has ended
	if err := chromedp.Do(ctx); err != nil {   // here, so that no shorter context ends it
		t.Fatal(err)
	}
	return ctx
}

// action is one thing that a person does.
type action = chromedp.Action[chromedp.Void]

func (b *browser) run(t *testing.T, actions ...action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 15*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		at, text := b.at(t)
		t.Fatalf("at %s: %v\n%s", at, err, text)
	}
}

// at returns where the browser is and what can be read there.
func (b *browser) at(t *testing.T) (address, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	address, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		t.Fatal(err)
	}
	if text, err = chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body"))); err != nil {
		t.Fatal(err)
	}
	return address, text
}

// webApp is the client with the callback of this test.
func (b *browser) webApp(t *testing.T, scopes ...string) *oauth2.Config {
	cfg := b.world.webApp(t, scopes...)
	cfg.RedirectURL = b.callback
	return cfg
}

// back waits for the application and returns what it was told.
func (b *browser) back(t *testing.T) url.Values {
	t.Helper()
	b.run(t, chromedp.WaitVisible(`//h1[text()="Back again"]`))
	at, _ := b.at(t)
	u, err := url.Parse(at)
	if err != nil || !strings.HasPrefix(at, b.callback+"?") {
		t.Fatalf("the browser is at %s (%v)", at, err)
	}
	if q := u.Query(); q.Get("state") == "st&te" && q.Get("iss") == b.as.Issuer() {
		return q
	}
	t.Fatalf("state or iss is wrong in %s", at)
	return nil
}

// press clicks a button by what is written on it.
func press(label string) action {
	return chromedp.Click(`//button[normalize-space()="` + label + `"]`)
}

// keys presses keys, without any pointer.
func keys(all ...string) action {
	return chromedp.KeyEvent(strings.Join(all, ""))
}

func TestBrowserConsent(t *testing.T) {
	b := newBrowser(t, users)
	client := b.webApp(t, "orders:read")
	signIn := func(t *testing.T, verifier string, actions ...action) url.Values {
		authURL := client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(verifier))
		b.run(t, append([]action{chromedp.Navigate(authURL)}, actions...)...)
		return b.back(t)
	}
	for _, c := range []struct {
		name, subject string
		actions       []action
	}{
		{"allow", "ada", []action{press("Allow")}},
		{"choose_user", "grace", []action{chromedp.Click(`//label[contains(., "Grace Hopper")]`), press("Allow")}},
		{"keyboard_allow", "ada", []action{keys(kb.Tab, kb.Tab, kb.Tab, kb.Enter)}},
		{"keyboard_choose_user", "grace", []action{keys(kb.Tab, kb.ArrowDown, kb.Tab, kb.Tab, kb.Enter)}},
	} {
		t.Run("TA-05/browser_"+c.name, func(t *testing.T) {
			verifier := oauth2.GenerateVerifier()
			q := signIn(t, verifier, c.actions...)
			tok, err := client.Exchange(b.context(), q.Get("code"), oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			b.wantAccess(t, tok, c.subject)
		})
	}
	for _, c := range []struct {
		name    string
		actions []action
	}{
		{"deny", []action{press("Deny")}},
		{"keyboard_deny", []action{keys(kb.Tab, kb.Tab, kb.Enter)}},
		// Enter alone presses the first button, which must be the harmless one.
		{"keyboard_enter_alone", []action{keys(kb.Tab, kb.Enter)}},
	} {
		t.Run("TA-05/browser_"+c.name, func(t *testing.T) {
			if q := signIn(t, oauth2.GenerateVerifier(), c.actions...); q.Get("error") != "access_denied" || q.Has("code") {
				t.Errorf("the application is told %v", q)
			}
		})
	}
}

func TestBrowserWrongRedirect(t *testing.T) {
	b := newBrowser(t)
	client := b.webApp(t, "orders:read")
	for _, c := range []struct{ name, uri string }{
		{"other_path", b.callback + "/deeper"},
		{"other_query", b.callback + "?x=1"},
		{"other_host", "https://attacker.test/callback"},
	} {
		t.Run("TA-10/browser_"+c.name, func(t *testing.T) {
			client.RedirectURL = c.uri
			resp, err := chromedp.RunResponse(b.ctx, chromedp.Navigate(client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))))
			if err != nil {
				t.Fatal(err)
			}
			at, body := b.at(t)
			if resp.Status != http.StatusBadRequest || !strings.HasPrefix(at, b.as.Issuer()) || !strings.Contains(body, "redirect") {
				t.Errorf("%d at %s: %s", resp.Status, at, body)
			}
		})
	}
}

func TestBrowserDevice(t *testing.T) {
	b := newBrowser(t)
	client := b.native(t, "orders:read")
	t.Run("TA-20/browser", func(t *testing.T) {
		start, err := client.DeviceAuth(b.context())
		if err != nil {
			t.Fatal(err)
		}
		b.run(t, chromedp.Navigate(start.VerificationURI), chromedp.SendKeys(chromedp.CSS(`input[name="user_code"]`), strings.ToLower(start.UserCode)+kb.Enter), press("Allow"))
		tok, err := client.DeviceAccessToken(b.context(), start)
		if err != nil {
			t.Fatal(err)
		}
		b.wantAccess(t, tok, "user-1")
	})
}

// TestScreenshots takes the pictures that a person should look at after a change.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("only with -screenshots DIRECTORY")
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, users)
	client := b.webApp(t, "openid", "profile", "orders:read", "orders:admin")
	device, err := b.native(t, "orders:read").DeviceAuth(b.context())
	if err != nil {
		t.Fatal(err)
	}
	good := client.AuthCodeURL("st&te", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	for _, p := range []struct{ name, url string }{
		{"consent", good},
		{"error", strings.ReplaceAll(good, "callback", "elsewhere")},
		{"device", device.VerificationURI},
		{"device-complete", device.VerificationURIComplete},
	} {
		b.pictures(t, p.name, p.url)
	}
}

// pictures takes one page at phone and desktop width, light and dark.
func (b *browser) pictures(t *testing.T, name, address string) {
	t.Helper()
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"phone", 360, 800}, {"desktop", 1280, 900}} {
		for _, scheme := range []string{"light", "dark"} {
			b.run(t, chromedp.EmulateViewport(size.width, size.height), colors(scheme), chromedp.Navigate(address))
			png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(*screenshots, name+"-"+size.name+"-"+scheme+".png")
			if err := os.WriteFile(file, png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func colors(scheme string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}
