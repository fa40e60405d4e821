// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

func of(name string, kind jwkscache.Discovery) func(*jwkscache.Config) {
	return func(cfg *jwkscache.Config) { cfg.URL, cfg.Issuer, cfg.Discovery = "", name, kind }
}

func document(issuer, jwksURI string, more ...string) string {
	return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q%s}`, issuer, jwksURI, strings.Join(more, ""))
}

func TestLocations(t *testing.T) {
	const (
		oauth  = "/.well-known/oauth-authorization-server"
		openid = "/.well-known/openid-configuration"
	)
	for name, c := range map[string]struct {
		issuer string
		kind   jwkscache.Discovery
		want   []string
	}{
		"MD-02/terminating_slash":      {"https://as.example/t1/", jwkscache.DiscoverOAuth, []string{"https://as.example" + oauth + "/t1"}},
		"MD-02/KA-08_path":             {"https://as.example/t1", jwkscache.DiscoverOAuth, []string{"https://as.example" + oauth + "/t1"}},
		"MD-02/no_path":                {"https://as.example", jwkscache.DiscoverOAuth, []string{"https://as.example" + oauth}},
		"MD-02/slash_only":             {"https://as.example/", jwkscache.DiscoverOAuth, []string{"https://as.example" + oauth}},
		"MD-02/one_slash_of_two":       {"https://as.example/t1//", jwkscache.DiscoverOAuth, []string{"https://as.example" + oauth + "/t1/"}},
		"MD-02/escapes_stay":           {"https://as.example/a%2Fb", jwkscache.DiscoverOAuth, []string{"https://as.example" + oauth + "/a%2Fb"}},
		"MD-03/terminating_slash":      {"https://as.example/t1/", jwkscache.DiscoverOpenID, []string{"https://as.example/t1" + openid}},
		"MD-03/KA-08_path":             {"https://as.example/t1", jwkscache.DiscoverOpenID, []string{"https://as.example/t1" + openid}},
		"MD-03/slash_only":             {"https://as.example/", jwkscache.DiscoverOpenID, []string{"https://as.example" + openid}},
		"MD-04/G4_automatic_order":     {"https://as.example/t1", jwkscache.DiscoverAny, []string{"https://as.example" + oauth + "/t1", "https://as.example/t1" + openid, "https://as.example" + openid + "/t1"}},
		"MD-04/automatic_without_path": {"https://as.example", jwkscache.DiscoverAny, []string{"https://as.example" + oauth, "https://as.example" + openid}},
		"MD-04/pinned_OpenID_inserted": {"https://as.example/t1", jwkscache.DiscoverOpenIDInserted, []string{"https://as.example" + openid + "/t1"}},
		"MD-04/pinned_to_OAuth_only":   {"https://as.example/t1", jwkscache.DiscoverOAuth, []string{"https://as.example" + oauth + "/t1"}},
		"MD-04/pinned_to_OpenID_only":  {"https://as.example/t1", jwkscache.DiscoverOpenID, []string{"https://as.example/t1" + openid}},
	} {
		inWorld(t, name, of(c.issuer, c.kind), func(w *world) {
			wantClass(w, w.cache.Warm(w.Context()), verifier.ErrMetadata) // 404 everywhere
			if got := w.asked(); !slices.Equal(got, c.want) {
				w.Fatalf("asked for\n%q, want\n%q", got, c.want)
			}
			w.pass(time.Minute)
			w.body(c.want[len(c.want)-1], document(c.issuer, jwksURL))
			if err := w.cache.Warm(w.Context()); err != nil {
				w.Fatalf("document at the last location: %v", err)
			}
		})
	}
}

// TestFallback: which answers at the first location lead to the second.
func TestFallback(t *testing.T) {
	const second = issuer + "/.well-known/openid-configuration"
	good := document(issuer, jwksURL)
	for name, c := range map[string]struct {
		first http.HandlerFunc
		next  bool
	}{
		"400":               {answer(400, ""), true},
		"401":               {answer(401, ""), true},
		"403":               {answer(403, ""), true},
		"404_with_document": {answer(404, good), true},
		"410":               {answer(410, ""), true},
		"499":               {answer(499, ""), true},
		"301_redirect":      {answer(301, "", "Location", metaURL+"/x"), true},
		"302_redirect":      {answer(302, "", "Location", "https://evil.example/"), true},
		"307_redirect":      {answer(307, "", "Location", "http://169.254.169.254/"), true},
		"308_redirect":      {answer(308, "", "Location", "https://id.example/x"), true},
		"408":               {answer(408, ""), false},
		"429":               {answer(429, ""), false},
		"500":               {answer(500, ""), false},
		"502":               {answer(502, ""), false},
		"503":               {answer(503, ""), false},
		"201":               {answer(201, good), false},
		"204":               {answer(204, ""), false},
		"304":               {answer(304, ""), false},
		"no_JSON":           {answer(200, "<html>"), false},
		"array":             {answer(200, "["+good+"]"), false},
		"other_issuer":      {answer(200, document("https://id.example/", jwksURL)), false},
		"no_jwks_uri":       {answer(200, `{"issuer":"https://id.example"}`), false},
		"never_answers":     {slow(time.Hour, answer(200, good)), false},
	} {
		inWorld(t, "MD-05/"+name, byIssuer, func(w *world) {
			w.on(metaURL, c.first)
			w.body(second, good)
			err := w.cache.Warm(w.Context())
			if c.next {
				if err != nil {
					w.Fatal(err)
				}
				if want := []string{metaURL, second, jwksURL}; !slices.Equal(w.asked(), want) {
					w.Fatalf("asked for %q, want %q", w.asked(), want)
				}
				return
			}
			wantClass(w, err, verifier.ErrMetadata)
			if want := []string{metaURL}; !slices.Equal(w.asked(), want) {
				w.Fatalf("asked for %q, want %q", w.asked(), want)
			}
		})
	}
}

func TestMetadataDocument(t *testing.T) {
	for name, text := range map[string]string{
		"MD-06/G1_slash":               document("https://id.example/", jwksURL),
		"MD-06/G1_case":                document("https://ID.example", jwksURL),
		"MD-06/G1_port":                document("https://id.example:443", jwksURL),
		"MD-06/G1_other_host":          document("https://evil.example", jwksURL),
		"MD-06/issuer_missing":         `{"jwks_uri":"https://id.example/jwks"}`,
		"MD-06/issuer_not_a_string":    `{"issuer":["https://id.example"],"jwks_uri":"https://id.example/jwks"}`,
		"MD-06/issuer_in_other_case":   `{"ISSUER":"https://id.example","jwks_uri":"https://id.example/jwks"}`,
		"MD-08/G2_missing":             `{"issuer":"https://id.example"}`,
		"MD-08/not_a_string":           `{"issuer":"https://id.example","jwks_uri":["https://id.example/jwks"]}`,
		"MD-08/empty":                  document(issuer, ""),
		"MD-08/G2_relative":            document(issuer, "/jwks"),
		"MD-08/G2_file":                document(issuer, "file:///etc/jwks"),
		"MD-08/userinfo":               document(issuer, "https://user:secret@id.example/jwks"),
		"KS-01/G2_unlisted_http_host":  document(issuer, "http://plain.example/jwks"),
		"KS-01/G2_http_link_local":     document(issuer, "http://169.254.169.254/jwks"),
		"MD-09/array":                  `[` + document(issuer, jwksURL) + `]`,
		"MD-09/string":                 `"x"`,
		"MD-09/empty_body":             ``,
		"MD-09/duplicate_issuer":       document(issuer, jwksURL, `,"issuer":"https://id.example"`),
		"MD-09/duplicate_unknown":      document(issuer, jwksURL, `,"x":1,"x":2`),
		"MD-09/duplicate_inside":       document(issuer, jwksURL, `,"x":{"y":1,"y":1}`),
		"MD-09/trailing_data":          document(issuer, jwksURL) + `{}`,
		"MD-09/truncated":              strings.TrimSuffix(document(issuer, jwksURL), "}"),
		"DF-03/depth_33":               document(issuer, jwksURL, `,"x":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)),
		"DF-11/over_256_KiB":           padded(document(issuer, jwksURL), 256<<10+1),
		"MD-17/KS-07_gzip_not_decoded": "\x1f\x8b\x08",
	} {
		inWorld(t, name, byIssuer, func(w *world) {
			w.body(metaURL, text)
			err := w.cache.Warm(w.Context())
			wantClass(w, err, verifier.ErrMetadata)
			if strings.Contains(err.Error(), "secret") {
				w.Errorf("a password is in the error: %v", err)
			}
			tok, err := w.verifier().Verify(w.Context(), token("one"))
			if tok != nil {
				w.Error("a token was accepted")
			}
			if e := wantClass(w, err, verifier.ErrMetadata); e.RetryAfter <= 0 {
				w.Error("no retry time")
			}
			w.wantHits("", 1) // nothing but the document
		})
	}
	for name, text := range map[string]string{
		"MD-06/same_issuer":         document(issuer, jwksURL),
		"MD-06/escaped_in_JSON":     `{"issuer":"https:\/\/id\u002eexample","jwks_uri":"https://id.example/jwks"}`,
		"MD-09/unknown_members":     document(issuer, jwksURL, `,"x":{"y":[1,null]},"Issuer":"https://evil.example"`),
		"DF-03/depth_32":            document(issuer, jwksURL, `,"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)),
		"DF-11/256_KiB":             padded(document(issuer, jwksURL), 256<<10),
		"MD-13/G10_signed_metadata": document(issuer, jwksURL, `,"signed_metadata":"eyJhbGciOiJub25lIn0.e30."`),
	} {
		inWorld(t, name, byIssuer, func(w *world) {
			w.body(metaURL, text)
			if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
				w.Fatal(err)
			}
		})
	}
}

// padded is a document with blanks at its end, n bytes in all.
func padded(text string, n int) string { return text + strings.Repeat(" ", n-len(text)) }

func TestMetadataMeaning(t *testing.T) {
	inWorld(t, "MD-07/document_cannot_change_acceptance", byIssuer, func(w *world) {
		v := w.verifier()
		if _, err := v.Verify(w.Context(), token("one")); err != nil {
			w.Fatal(err)
		}
		w.body(metaURL, document("https://evil.example", jwksURL))
		w.pass(2 * time.Hour) // past the age of the metadata
		evil := signed("one", map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "one"}, map[string]any{
			"iss": "https://evil.example", "aud": audience, "sub": "s", "client_id": "c", "jti": "j",
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		})
		_, err := v.Verify(w.Context(), evil)
		wantClass(w, err, verifier.ErrIssuer)
	})
	inWorld(t, "MD-12/G7_lists_widen_nothing", byIssuer, func(w *world) {
		w.body(metaURL, document(issuer, jwksURL, `,"id_token_signing_alg_values_supported":["none","HS256"],"access_token_signing_alg_values_supported":["none","HS256"]`))
		v := w.verifier()
		if _, err := v.Verify(w.Context(), token("one")); err != nil {
			w.Fatal(err)
		}
		for _, alg := range []string{"none", "HS256"} {
			_, err := v.Verify(w.Context(), signed("one", map[string]any{"alg": alg, "typ": "at+jwt", "kid": "one"}, map[string]any{"iss": issuer}))
			wantClass(w, err, verifier.ErrAlgorithm)
		}
	})
	inWorld(t, "MD-08/http_jwks_uri_on_listed_host", func(cfg *jwkscache.Config) {
		byIssuer(cfg)
		cfg.InsecureHosts = []string{"plain.example"}
	}, func(w *world) {
		w.metadata("http://plain.example/jwks")
		w.body("http://plain.example/jwks", kids("one"))
		w.keys()
		w.wantHits("http://plain.example/jwks", 1)
	})
	inWorld(t, "MD-10/other_origin_accepted", byIssuer, func(w *world) {
		w.metadata("https://keys.example/jwks")
		w.body("https://keys.example/jwks", kids("one"))
		w.keys()
		w.wantEvents(verifier.EventWarning, 1) // that the test's transport is unknown
	})
	inWorld(t, "KS-02/JV-11_URLs_in_a_token_are_not_fetched", byIssuer, func(w *world) {
		header := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "two", "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x"}
		_, err := w.verifier().Verify(w.Context(), signed("two", header, map[string]any{"iss": issuer}))
		wantClass(w, err, verifier.ErrUnknownKey)
		if want := []string{metaURL, jwksURL}; !slices.Equal(w.asked(), want) {
			w.Fatalf("asked for %q", w.asked())
		}
	})
}

// TestNothingElseIsFetched puts an address into every member of a token in turn.
func TestNothingElseIsFetched(t *testing.T) {
	const evil = "https://evil.example/canary"
	values := []any{evil, []string{evil}, map[string]any{"url": evil, "jku": evil, "$ref": evil}}
	try := func(name string, token func(value any) string) {
		inWorld(t, name, byIssuer, func(w *world) {
			v := w.verifier()
			for _, value := range values {
				v.Verify(w.Context(), token(value))
				w.pass(time.Minute) // past the cooldown, so that a miss may refetch
			}
			for _, url := range w.asked() {
				if url != metaURL && url != jwksURL {
					w.Errorf("asked for %s", url)
				}
			}
		})
	}
	for _, member := range []string{"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit", "enc", "zip", "epk", "iss"} {
		try("KS-02/C56_"+member, func(value any) string {
			header := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "two"}
			header[member] = value
			return signed("two", header, claimsOf(token("two")))
		})
	}
	for _, claim := range []string{"iss", "sub", "aud", "jti", "client_id", "scope", "cnf", "act", "jwks_uri", "jku", "_claim_sources"} {
		try("KS-02/D59_"+claim, func(value any) string {
			claims := claimsOf(token("one"))
			claims[claim] = value
			return signed("one", map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "one"}, claims)
		})
	}
}

func TestMetadataRefresh(t *testing.T) {
	inWorld(t, "DF-11/refreshed_every_hour", byIssuer, func(w *world) {
		w.body(jwksURL, kids("one"), "Cache-Control", "max-age=86400")
		w.busy(10*time.Hour, time.Minute)
		if got := w.hits(metaURL); got < 10 || got > 12 {
			w.Fatalf("%d metadata requests in 10 hours", got)
		}
	})
	inWorld(t, "MD-10/G8_change_of_jwks_uri_is_followed_and_reported", byIssuer, func(w *world) {
		first := w.keys()
		w.wantEvents(verifier.EventWarning, 1) // that the test's transport is unknown
		w.metadata(issuer + "/new")
		w.body(issuer+"/new", kids("two"))
		w.busy(2*time.Hour, time.Minute)
		if w.keys() == first {
			w.Fatal("the new address was not used")
		}
		got := w.wantEvents(verifier.EventWarning, 2)[1]
		if got.Issuer != issuer || !strings.Contains(got.Cause.Error(), issuer+"/new") {
			w.Errorf("event %+v", got)
		}
	})
	inWorld(t, "MD-06/G8_change_of_issuer_is_refused", byIssuer, func(w *world) {
		first := w.keys()
		w.body(metaURL, document("https://evil.example", issuer+"/evil"))
		w.body(issuer+"/evil", kids("two"))
		w.busy(2*time.Hour, time.Minute)
		if w.keys() != first {
			w.Fatal("the keys changed")
		}
		w.wantHits(issuer+"/evil", 0)
		if failed := w.of(verifier.EventFetchFailed); len(failed) == 0 || failed[0].Class != verifier.ErrMetadata {
			w.Errorf("events %v", failed)
		}
	})
	inWorld(t, "KS-12/jwks_uri_gone_leads_back_to_the_metadata", byIssuer, func(w *world) {
		w.keys()
		w.metadata(issuer + "/new")
		w.body(issuer+"/new", kids("one", "two"))
		w.status(jwksURL, 404)
		w.busy(20*time.Minute, 10*time.Second)
		if got := w.keys().Len(); got != 2 {
			w.Fatalf("%d keys", got)
		}
		w.wantHits(jwksURL, 2)
	})
	inWorld(t, "DF-10/metadata_out_of_reach", byIssuer, func(w *world) {
		w.keys()
		w.status(metaURL, 500)
		w.status(jwksURL, 500)
		w.busy(24*time.Hour, time.Minute)
		w.pass(time.Hour)
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		if !errors.Is(err, verifier.ErrMetadata) {
			w.Errorf("the cause does not tell that metadata is missing: %v", err)
		}
	})
	inWorld(t, "MD-05/G9_down_at_start", byIssuer, func(w *world) {
		w.status(metaURL, 500)
		v := w.verifier()
		for range 600 {
			_, err := v.Verify(w.Context(), token("one"))
			wantClass(w, err, verifier.ErrMetadata)
			w.pass(time.Second)
		}
		if got := w.hits(""); got < 10 || got > 30 {
			w.Fatalf("%d requests in 10 minutes", got)
		}
		w.metadata(jwksURL)
		w.pass(time.Minute)
		if _, err := v.Verify(w.Context(), token("one")); err != nil {
			w.Fatal(err)
		}
	})
}

func TestMetadataRequests(t *testing.T) {
	inWorld(t, "MD-17/KS-10_one_fetch_for_all", byIssuer, func(w *world) {
		w.on(metaURL, slow(time.Second, answer(200, document(issuer, jwksURL))))
		w.together(100, func() { w.keys() })
		w.wantHits(metaURL, 1)
		w.wantHits(jwksURL, 1)
	})
	inWorld(t, "MD-17/KS-03_G6_redirect_not_followed", of(issuer, jwkscache.DiscoverOAuth), func(w *world) {
		w.status(metaURL, 302, "Location", "https://evil.example/meta")
		w.body("https://evil.example/meta", document(issuer, jwksURL))
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrMetadata)
		w.wantHits("https://evil.example/meta", 0)
	})
	inWorld(t, "MD-17/KS-07_gzip_bomb", byIssuer, func(w *world) {
		w.on(metaURL, bomb())
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrMetadata)
	})
	inWorld(t, "DF-11/timeout", byIssuer, func(w *world) {
		w.on(metaURL, slow(time.Hour, nil))
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrMetadata)
		if w.elapsed() != 5*time.Second {
			w.Errorf("took %v", w.elapsed())
		}
	})
	inWorld(t, "DF-11/all_locations_within_one_limit", of(issuer+"/t1", jwkscache.DiscoverAny), func(w *world) {
		for _, url := range []string{metaURL + "/t1", issuer + "/t1/.well-known/openid-configuration", issuer + "/.well-known/openid-configuration/t1"} {
			w.on(url, slow(2*time.Second, answer(404, "")))
		}
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrMetadata)
		if w.elapsed() != 5*time.Second {
			w.Errorf("took %v", w.elapsed())
		}
	})
	inWorld(t, "DF-11/just_in_time", byIssuer, func(w *world) {
		w.on(metaURL, slow(5*time.Second-time.Millisecond, answer(200, document(issuer, jwksURL))))
		w.keys()
	})
	inWorld(t, "KS-27/unreachable_host", byIssuer, func(w *world) {
		w.down.Store(true)
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
	})
}
