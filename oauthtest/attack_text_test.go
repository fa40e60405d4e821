// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// A report says what an attacker gains where somebody got in or was kept out, and else
// what is wrong with an answer that lets nobody in.
func TestFindingString(t *testing.T) {
	own := map[Problem]bool{Accepted: true, Fetched: true, Refused: true}
	for problem := range headlines {
		t.Run(string(problem), func(t *testing.T) {
			text := Finding{Case: "C1.x", Problem: problem, Gain: "GAIN.", Cause: "CAUSE."}.String()
			for _, word := range []string{"gain:        GAIN.", "usual cause: CAUSE."} {
				if strings.Contains(text, word) != own[problem] {
					t.Errorf("%q in\n%s", word, text)
				}
			}
			if !own[problem] && (!strings.Contains(text, "gain: ") || !strings.Contains(text, "usual cause: ")) {
				t.Errorf("no gain, or no cause, in\n%s", text)
			}
			if names := problem != Leaked && !own[problem]; strings.Contains(text, "Nobody gains access") != names {
				t.Errorf("who gets in?\n%s", text)
			}
		})
	}
	if len(headlines) != 6 {
		t.Errorf("%d problems", len(headlines))
	}
}

// The handler's text in a refusal has two explanations, in a success one.
func TestHandlersTextInAnAnswer(t *testing.T) {
	for _, tc := range []struct {
		name  string
		a     answer
		whole bool
		want  string
	}{
		{"success", answered(200, handlerText), false, "200, and the handler ran"},
		{"redirect", answered(302, handlerText), true, "302, and the handler ran"},
		{"refusal", answered(400, handlerText), false, "400, and the handler's text is in the answer: the handler ran, or Target.Marker stands in refusals, too"},
		{"refusal_without_marker", answered(401, handlerText), true, "401, and the handler's text is in the answer: the handler ran, or refusals have the same text: set Target.Marker then"},
		{"another_text", answered(401, "no"), false, "401"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := exchangeOf(tc.a, "TOK")
			x.marker.whole = tc.whole
			if got := x.came(material{}); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// The cases about bodies keep a method that has one, and are skipped aloud where the router
// lets no other in.
func TestAttackWithBody(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, method string
		status       int // of the router for other methods
		skip         string
	}{
		{"PUT", "PUT", 405, ""},
		{"PATCH", "PATCH", 405, ""},
		{"POST", "POST", 405, ""},
		{"GET_only", "GET", 405, "answers POST on this path with 405"},
		{"GET_only_and_404", "GET", 404, "answers POST on this path with 404"},
		{"GET_and_another_refusal", "GET", 415, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewServer(t, quick)
				good := attacked(t, as.VerifierConfig(attackedAPI))
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.Method != tc.method:
						w.WriteHeader(tc.status)
					case r.PostFormValue("access_token") != "":
						io.WriteString(w, handlerText)
					default:
						good.ServeHTTP(w, r)
					}
				})
				cases := slices.DeleteFunc(slices.Clone(catalogue()), func(c attackCase) bool { return !slices.Contains(c.Needs, "body") })
				list, _ := runCases(t, h, as, Target{Path: "/orders", Method: tc.method}, cases)
				accepted := false
				for _, p := range list {
					accepted = accepted || slices.ContainsFunc(p.found, func(f Finding) bool { return f.Case == "A30.form_body" && f.Problem == Accepted })
					if (p.skip != "") != (tc.skip != "") || !strings.Contains(p.skip, tc.skip) {
						t.Errorf("%s: skipped %q", p.id, p.skip)
					}
				}
				if accepted != (tc.method != "GET") || len(list) != 4 {
					t.Errorf("%d cases, a token in a form is found: %v", len(list), accepted)
				}
			})
		})
	}
	t.Run("success_without_the_marker", func(t *testing.T) {
		x := exchangeOf(answered(200, "welcome"), "NONE", "SRV")
		for method, want := range map[string]Problem{"POST": Accepted, "GET": ""} { // of the target
			x.Send.Method, x.method, x.target = "${method.body}", "POST", &Target{Method: method}
			if got, came := x.judge(); got != want {
				t.Errorf("%s: %q (%s)", method, got, came)
			}
		}
	})
	t.Run("GET_behind_a_guard_around_the_router", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := NewServer(t, quick)
			mux := http.NewServeMux()
			mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, handlerText) })
			good := attacked(t, as.VerifierConfig(attackedAPI))
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if rec := (&discards{header: http.Header{}}); r.Method != http.MethodGet {
					if good.ServeHTTP(rec, r); rec.status == 0 {
						mux.ServeHTTP(w, r)
						return
					}
				}
				good.ServeHTTP(w, r)
			})
			cases := slices.DeleteFunc(slices.Clone(catalogue()), func(c attackCase) bool { return c.ID != "A30.form_body" })
			list, _ := runCases(t, h, as, ordersTarget, cases)
			if len(list) != 1 || !strings.Contains(list[0].skip, "405") {
				t.Errorf("%+v", list)
			}
		})
	})
}

// discards notes the status that was written.
type discards struct {
	header http.Header
	status int
}

func (d *discards) Header() http.Header         { return d.header }
func (d *discards) Write(b []byte) (int, error) { return len(b), nil }
func (d *discards) WriteHeader(status int)      { d.status = status }
