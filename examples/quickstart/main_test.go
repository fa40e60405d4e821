// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
)

func TestOnce(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out, true); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	table := out.String()
	for _, row := range []string{
		`no token +%s +401 +401 +no credentials +asks for a token: Bearer `,
		`good token +%s +200 +200 +accepted +two orders for orders-app`,
		`token without the scope +%s +403 +403 +insufficient scope +insufficient_scope: \S`,
		`expired token +%s +401 +401 +token expired +invalid_token: \S`,
		`token for another API +%s +401 +401 +wrong audience +invalid_token: \S`,
		`forged signature +%s +401 +401 +bad signature +invalid_token: \S`,
		`token of the new key +%s +200 +200 +accepted +two orders for orders-app`,
	} {
		for _, name := range []string{"net/http", "Echo", "Gin"} {
			pattern := strings.ReplaceAll(row, "%s", name)
			if !regexp.MustCompile(`(?m)^` + pattern).MatchString(table) {
				t.Errorf("no row %q in\n%s", pattern, table)
			}
		}
	}
	if strings.ContainsAny(table, "\x1b\r") {
		t.Error("the output is not plain text")
	}
	if strings.Contains(table, "curl") {
		t.Error("does not stop after the table")
	}
}

// An API that lets everything through must make the quickstart fail.
func TestUnexpectedAnswers(t *testing.T) {
	open := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer open.Close()
	as, err := oauthtest.Listen(oauthtest.Config{
		Audience: []string{thisAPI, otherAPI},
		Clients:  []oauthtest.Client{{ID: clientID, Secret: clientSecret}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer as.Close()
	var out strings.Builder
	err = show(t.Context(), &out, as, []api{{"open", open.URL}}, &lastDecision{})
	if err == nil || !strings.HasPrefix(err.Error(), "5 answers") || strings.Count(out.String(), "(!)") != 5 {
		t.Errorf("error %v\n%s", err, &out)
	}
}

// Without -once the program serves until it is interrupted, and its curl lines work.
func TestServesUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, w, false)
		w.Close()
		done <- err
	}()
	var text strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(text.String(), "Ctrl-C") {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("%v after\n%s", err, &text)
		}
		text.Write(buf[:n])
	}
	_, script, _ := strings.Cut(text.String(), "terminal:\n")
	script, _, _ = strings.Cut(script, "Press")
	t.Run("curl_lines", func(t *testing.T) { runScript(t, script) })
	interrupt()
	if err := <-done; err != nil {
		t.Errorf("after the interrupt: %v", err)
	}
}

func runScript(t *testing.T, script string) {
	for _, tool := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line, want := range map[string]int{"HTTP/1.1 401 Unauthorized": 3, "HTTP/1.1 200 OK": 3, "two orders for orders-app": 3} {
		if got := strings.Count(string(out), line); got != want {
			t.Errorf("%d × %q, want %d, in\n%s", got, line, want, out)
		}
	}
}
