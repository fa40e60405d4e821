// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/bearerguard/bearerguard/oauthtest"
)

// tidying is a router that reads paths in its own way before it looks for /admin/users
// and /health; next gets the first of these.
func tidying(next http.Handler, read func(r *http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch read(r) {
		case "/admin/users":
			next.ServeHTTP(w, r)
		case "/health":
			w.Write([]byte("ok"))
		default:
			http.NotFound(w, r)
		}
	})
}

// comparing is a guard in front of a router, which decides by itself what to guard.
func comparing(t testing.TB, next http.Handler, guarded func(r *http.Request) bool) http.Handler {
	checked := require(t)(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if guarded(r) {
			checked.ServeHTTP(w, r)
		} else {
			next.ServeHTTP(w, r)
		}
	})
}

var (
	byPath    = func(r *http.Request) bool { return r.URL.Path == "/admin/users" }
	byPrefix  = func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/admin") }
	byTarget  = func(r *http.Request) bool { return strings.HasPrefix(r.RequestURI, "/admin") }
	exactly   = func(r *http.Request) string { return r.URL.Path }
	confusing = []string{"GET /admin/users", "GET /health"}
)

// as replaces texts and then cleans the path, as many a router does.
func as(pairs ...string) func(r *http.Request) string {
	replace := strings.NewReplacer(pairs...)
	return func(r *http.Request) string { return path.Clean("/" + replace.Replace(r.URL.Path)) }
}

func cutAt(sep string) func(r *http.Request) string {
	return func(r *http.Request) string { p, _, _ := strings.Cut(r.URL.Path, sep); return path.Clean(p) }
}

func twice(r *http.Request) string {
	p, _ := url.PathUnescape(r.URL.Path)
	return p
}

func withoutParameters(r *http.Request) string {
	segments := strings.Split(r.URL.Path, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return path.Clean(strings.Join(segments, "/"))
}

func folded(fold func(string) string) func(r *http.Request) string {
	return func(r *http.Request) string { return fold(r.URL.Path) }
}

func doors(part func(*http.Request) string, is func(s, part string) bool) func(r *http.Request) bool {
	return func(r *http.Request) bool { return !is(part(r), "/health") }
}

func target(r *http.Request) string { return r.RequestURI }

// TestCheckPaths: each pair of a guard and a router that read paths differently is
// caught by the spelling that they disagree about.
func TestCheckPaths(t *testing.T) {
	overlong := as("\xc0\xaf", "/", "\xc0\xae", ".", "\xc1\xa1", "a")
	for _, tc := range []struct {
		name     string
		guarded  func(*http.Request) bool
		read     func(*http.Request) string
		spelling string // one that gets past; "": none
	}{
		{"sound", byPath, exactly, ""},
		{"doubled_slashes", byPath, as("//", "/"), `"//admin/users"`},
		{"doubled_slashes_prefix", byPrefix, as("//", "/"), `"//admin/users"`},
		{"dot_segments", byPrefix, as(), `"/./admin/users"`},
		{"parent_segments", byPrefix, as(), `"/x/../admin/users"`},
		{"trailing_slash", byPath, folded(func(s string) string { return strings.TrimSuffix(s, "/") }), `"/admin/users/"`},
		{"case", byPath, folded(strings.ToLower), `"/ADMIN/USERS"`},
		{"case_prefix", byPrefix, folded(strings.ToLower), `"/Admin/users"`},
		{"encoded_letter", byTarget, exactly, `"/%61dmin/users"`},
		{"encoded_slash", byPath, func(r *http.Request) string { return path.Clean(r.URL.Path) }, `"/admin/users%2f"`},
		{"encoded_parent", byPrefix, as(), `"/x/%2e%2e/admin/users"`},
		{"parameters", byPath, withoutParameters, `"/admin/users;a=b"`},
		{"parameters_in_front", byPrefix, withoutParameters, `"/;a=b/admin/users"`},
		{"NUL", byPath, cutAt("\x00"), `"/admin/users%00"`},
		{"raw_NUL", byPath, cutAt("\x00"), `"/admin/users\x00"`},
		{"extension", byPath, cutAt("."), `"/admin/users.json"`},
		{"twice_decoded", byPrefix, twice, `"/%2561dmin/users"`},
		{"backslash", byPrefix, as(`\`, "/"), `"\\admin/users"`},
		{"encoded_backslash", byPath, as(`\`, "/"), `"/admin/users%5c"`},
		{"overlong_slash", byPrefix, overlong, `"/%c0%afadmin/users"`},
		{"overlong_letter", byPrefix, overlong, `"/%c1%a1dmin/users"`},
		{"fullwidth_slash", byPrefix, as("\uff0f", "/"), `"／admin/users"`},
		{"fullwidth_letter", byPrefix, as("\uff41", "a"), `"/ａdmin/users"`},
		{"blank", byPath, folded(strings.TrimSpace), `"/admin/users%20"`},
		{"number_sign", byPath, cutAt("#"), `"/admin/users%23"`},
		{"question_mark", byPath, cutAt("?"), `"/admin/users%3f"`},
		{"deep", byPrefix, as(), `/x/../x/../`},
		{"absolute_target", byTarget, exactly, `"http://api.test/admin/users"`},
		{"K20/skipped_by_prefix", doors(exactly, strings.HasPrefix), as(), `"/health/../admin/users"`},
		{"K20/skipped_by_prefix_of_the_target", doors(target, strings.HasPrefix), as(), `"/health/%2e%2e/admin/users"`},
		{"K20/skipped_by_a_part_of_the_target", doors(target, strings.Contains), exactly, `"/admin/users?x=/health"`},
		{"K20/skipped_by_the_end", doors(target, strings.HasSuffix), exactly, `"/admin/users?/health"`},
		{"K20/skipped_by_a_part_of_the_path", doors(exactly, strings.Contains), cutAt("#"), `"/admin/users%23/health"`},
		{"K20/encoded_slash", doors(exactly, strings.HasPrefix), as(), `"/health/..%2fadmin/users"`},
	} {
		t.Run("K8/"+strings.TrimPrefix(tc.name, "K20/"), func(t *testing.T) {
			oauthtest.OneOfMany(t, tc.name == "sound" || tc.name == "raw_NUL" || tc.name == "deep" || tc.name == "absolute_target")
			oauthtest.CheckRoutes(t, comparing(t, tidying(secret, tc.read), tc.guarded), confusing, "GET /health")
			got := past(t, comparing(t, tidying(secret, tc.read), tc.guarded))
			if tc.spelling == "" && got != "" || !strings.Contains(got, tc.spelling) {
				t.Errorf("failure %q, want one with %s", got, tc.spelling)
			}
		})
	}
}

// past is the whole failure, with all spellings.
func past(t *testing.T, h http.Handler) string {
	t.Helper()
	defer oauthtest.ListSpellings(1000)()
	got := failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, h, confusing, "GET /health") })
	return strings.Join(got, "\n")
}

// TestCheckPathsAnswers: what counts as getting past the guard, and what does not.
func TestCheckPathsAnswers(t *testing.T) {
	guard := require(t)
	// otherwise answers everything but the path itself.
	otherwise := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI == "/admin/users" || r.RequestURI == "/admin/users?" {
				guard(secret).ServeHTTP(w, r)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	folding := func(h http.Handler) http.Handler {
		return otherwise(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/ADMIN/USERS" {
				http.NotFound(w, r)
				return
			}
			h.ServeHTTP(w, r)
		}))
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "no page %s here", r.RequestURI) })
	lost := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://login.example.com/?back="+url.QueryEscape(r.RequestURI), http.StatusFound)
	})
	slash := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Path+"/")
		w.WriteHeader(301)
	})
	for _, tc := range []struct {
		name string
		h    http.Handler
		want string
	}{
		{"not_found", otherwise(http.NotFoundHandler()), ""},
		{"bad_request", otherwise(answers(400)), ""},
		{"other_method", otherwise(answers(405)), ""},
		{"guarded_all_over", guard(secret), ""},
		{"401_without_challenge", folding(answers(401)), `"/ADMIN/USERS": 401 Unauthorized`},
		{"other_host", folding(answers(421)), ""},
		{"limited", folding(answers(429)), "429 Too Many Requests: a rate limiter comes before the guard"},
		{"success", folding(answers(204)), `"/ADMIN/USERS": 204 No Content`},
		{"forbidden_by_the_handler", folding(answers(403)), `"/ADMIN/USERS": 403 Forbidden`},
		{"server_error", folding(answers(500)), `"/ADMIN/USERS": 500 Internal Server Error`},
		{"panic", folding(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no token") })), `"/ADMIN/USERS": no answer`},
		{"one_page_for_all", otherwise(says("the page")), ""},
		{"one_page_that_names_the_path", otherwise(page), ""},
		{"login_for_all", otherwise(lost), ""},
		{"redirect_to_the_guarded_path", otherwise(http.RedirectHandler("/admin/users", http.StatusTemporaryRedirect)), ""},
		{"redirect_in_a_circle_with_a_query", folding(http.RedirectHandler("/ADMIN/USERS?x", http.StatusTemporaryRedirect)), ""},
		{"redirect_in_a_circle", folding(http.RedirectHandler("/ADMIN/USERS", http.StatusPermanentRedirect)), ""},
		{"redirect_relative", redirecting(guard), `"/ADMIN/USERS": 200 OK`},
		{"K9/redirect_to_a_host_in_the_path", otherwise(slash), `"//admin/users": 301 Moved Permanently`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer oauthtest.ListSpellings(1000)()
				got := strings.Join(failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, tc.h, []string{"GET /admin/users"}) }), "\n")
				if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
					t.Errorf("failure %q, want %q", got, tc.want)
				}
			})
		})
	}
	t.Run("limited_at_once", func(t *testing.T) {
		got := failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, answers(429), []string{"GET /a"}) })
		wantFailures(t, got, "GET /a: 429 Too Many Requests: a rate limiter")
	})
	t.Run("unguarded_anyway", func(t *testing.T) {
		got := failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, secret, []string{"GET /a", "/b"}, "/b") })
		wantFailures(t, got, "GET /a: not guarded in its own spelling")
	})
	t.Run("failure_is_short", func(t *testing.T) {
		h := comparing(t, tidying(secret, as()), byPath)
		got := failuresOf(func(t testing.TB) { oauthtest.CheckPaths(t, h, confusing, "GET /health") })
		wantFailures(t, got, "oauthtest: GET /admin/users: ")
		if n := strings.Count(got[0], "\n"); n != 13 || len(got[0]) > 2000 {
			t.Errorf("%d lines, %d bytes: %s", n, len(got[0]), got[0])
		}
	})
}

// redirecting sends a spelling of the path to one that nobody guards, step by step.
func redirecting(guard func(http.Handler) http.Handler) http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /admin/users", guard(secret))
	m.Handle("GET /ADMIN/USERS", http.RedirectHandler("../old/", http.StatusMovedPermanently))
	m.Handle("GET /old/{$}", http.RedirectHandler("/old/users", http.StatusFound))
	m.Handle("GET /old/users", secret)
	return m
}
