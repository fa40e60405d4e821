// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/oauth2/clientcredentials"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// call is one row of the table: what is sent, and the status it must get.
type call struct {
	sent  string
	token string
	want  int
}

// show makes every call to every API and prints the table, twice: before and
// after the authorization server changes its signing key.
func show(ctx context.Context, out io.Writer, as *oauthtest.Server, apis []api, log *lastDecision) error {
	calls, err := prepare(ctx, as)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Authorization server %s, audience %s, scope orders:read\n\n", as.Issuer(), thisAPI)
	bad, err := table(ctx, out, apis, log, calls)
	if err != nil {
		return err
	}

	fmt.Fprintf(out, "\nThe signing key changes. The key cache asks again for an unknown key %v after its last fetch: waiting.\n\n", cooldown)
	if err := wait(ctx, cooldown); err != nil {
		return err
	}
	as.Rotate()
	fresh, err := request(ctx, as, "orders:read", thisAPI)
	if err != nil {
		return err
	}
	badAfter, err := table(ctx, out, apis, log, []call{{"token of the new key", fresh, http.StatusOK}})
	if err != nil {
		return err
	}
	if bad+badAfter > 0 {
		return fmt.Errorf("%d answers were not the expected ones", bad+badAfter)
	}
	return nil
}

// prepare gets the tokens. Honest ones come from the token endpoint; broken ones
// no such endpoint would give out, so the test kit makes them.
func prepare(ctx context.Context, as *oauthtest.Server) ([]call, error) {
	good, err := request(ctx, as, "orders:read", thisAPI)
	if err != nil {
		return nil, err
	}
	narrow, err := request(ctx, as, "profile:read", thisAPI)
	if err != nil {
		return nil, err
	}
	elsewhere, err := request(ctx, as, "orders:read", otherAPI)
	if err != nil {
		return nil, err
	}
	scope := oauthtest.Scope("orders:read")
	return []call{
		{"no token", "", http.StatusUnauthorized},
		{"good token", good, http.StatusOK},
		{"token without the scope", narrow, http.StatusForbidden},
		{"expired token", as.Token(scope, oauthtest.ExpiresIn(-time.Hour)), http.StatusUnauthorized},
		{"token for another API", elsewhere, http.StatusUnauthorized},
		{"forged signature", as.Token(scope, oauthtest.Forged()), http.StatusUnauthorized},
	}, nil
}

// request gets an access token by the client credentials grant, as any client would.
func request(ctx context.Context, as *oauthtest.Server, scope, resource string) (string, error) {
	client := clientcredentials.Config{
		ClientID:       clientID,
		ClientSecret:   clientSecret,
		TokenURL:       as.Issuer() + "/token",
		Scopes:         []string{scope},
		EndpointParams: url.Values{"resource": {resource}}, // RFC 8707
	}
	tok, err := client.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("get a token: %w", err)
	}
	return tok.AccessToken, nil
}

// table prints one line per call and API, and counts unexpected answers.
func table(ctx context.Context, out io.Writer, apis []api, log *lastDecision, calls []call) (bad int, err error) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SENT\tTO\tSTATUS\tEXPECTED\tYOUR LOG SAYS\tTHE CLIENT READS")
	for _, c := range calls {
		for _, a := range apis {
			status, text, err := get(ctx, a.url, c.token)
			if err != nil {
				return bad, err
			}
			mark := ""
			if status != c.want {
				bad++
				mark = " (!)"
			}
			fmt.Fprintf(w, "%s\t%s\t%d%s\t%d\t%s\t%s\n", c.sent, a.name, status, mark, c.want, log.take(), text)
		}
	}
	return bad, w.Flush()
}

// get calls an API and returns the status and what the answer tells the client.
func get(ctx context.Context, url, token string) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, reason(resp.Header.Get("WWW-Authenticate"), string(body)), err
}

// reason is the error and description of a challenge (RFC 6750 §3), the whole
// challenge if it has none, or the body where there is no challenge.
func reason(challenge, body string) string {
	if challenge == "" {
		return strings.TrimSpace(body)
	}
	code := parameter(challenge, "error")
	if code == "" {
		return "asks for a token: " + challenge
	}
	return code + ": " + parameter(challenge, "error_description")
}

// parameter reads one quoted parameter of a challenge that our own API wrote.
func parameter(challenge, name string) string {
	_, rest, _ := strings.Cut(challenge, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func printCurl(out io.Writer, issuer string, apis []api) {
	fmt.Fprintf(out, `
Try it yourself, in another terminal:

  TOKEN=$(curl -s -u %s:%s -d grant_type=client_credentials -d scope=orders:read %s/token \
    | sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p')
`, clientID, clientSecret, issuer)
	for _, a := range apis {
		fmt.Fprintf(out, "\n  curl -i %s    # %s\n", a.url, a.name)
		fmt.Fprintf(out, "  curl -i -H \"Authorization: Bearer $TOKEN\" %s\n", a.url)
	}
	fmt.Fprint(out, "\nPress Ctrl-C to stop.\n")
}
