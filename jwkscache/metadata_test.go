// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// TestMetadataFailsAlone: the issuer's metadata is gone or wrong while its key set is
// there.
func TestMetadataFailsAlone(t *testing.T) {
	for name, fail := range map[string]func(*world){
		"MD-11/status_500":      func(w *world) { w.status(metaURL, 500) },
		"MD-11/hangs":           func(w *world) { w.on(metaURL, slow(time.Hour, nil)) },
		"MD-11/G8_other_issuer": func(w *world) { w.body(metaURL, document("https://evil.example", issuer+"/evil")) },
		"MD-11/gone_everywhere": func(w *world) { w.on(metaURL, http.NotFound) },
	} {
		inWorld(t, name, byIssuer, func(w *world) {
			old := w.keys()
			w.pass(50 * time.Minute)
			w.keys()
			fail(w)
			w.body(jwksURL, kids("two"))
			w.busy(2*time.Hour, 10*time.Second)
			if got := w.keys(); got == old || got.Describe()[0].ID != "two" {
				w.Errorf("the key set was not refreshed: %+v", got.Describe())
			}
			status := w.cache.Status()
			if status.Failures != 0 || verifier.ClassOf(status.Err) == nil {
				w.Errorf("status %+v: want the trouble with the metadata in Err, and no failure of the key set", status)
			}
			if len(w.of(verifier.EventFetchFailed)) == 0 || len(w.of(verifier.EventStaleKeys)) != 0 {
				w.Errorf("events: %v", w.list)
			}
			w.metadata(jwksURL)
			w.busy(20*time.Minute, 10*time.Second)
			if err := w.cache.Status().Err; err != nil {
				w.Errorf("after the return of the metadata: %v", err)
			}
		})
	}
	inWorld(t, "MD-11/asked_again_with_the_key_set", byIssuer, func(w *world) {
		w.body(jwksURL, kids("one"), "Cache-Control", "max-age=86400")
		w.keys()
		w.status(metaURL, 500)
		w.pass(50 * time.Minute)
		before := w.hits(metaURL)
		w.busy(10*time.Hour, time.Minute)
		if got := w.hits(metaURL) - before; got < 40 || got > 52 { // every 12 to 13.5 minutes
			w.Errorf("%d attempts in 10 hours", got)
		}
		if keys, meta := w.hits(jwksURL), w.hits(metaURL); keys > meta {
			w.Errorf("%d fetches of the key set, %d of the metadata", keys, meta)
		}
	})
	bound := func(name string, maxStale time.Duration, until time.Duration) {
		inWorld(t, name, func(cfg *jwkscache.Config) {
			byIssuer(cfg)
			cfg.MaxStale = maxStale
		}, func(w *world) {
			w.body(jwksURL, kids("one"), "Cache-Control", "max-age=300")
			w.keys()
			w.status(metaURL, 500)
			w.busy(until-10*time.Minute, time.Minute)
			w.body(jwksURL, kids("two"), "Cache-Control", "max-age=300")
			w.busy(10*time.Minute, 10*time.Second)
			if got := w.keys().Describe()[0].ID; got != "two" {
				w.Fatalf("within the bound the key set was not refreshed: %q", got)
			}
			w.pass(20 * time.Minute)
			asked := w.hits(jwksURL)
			_, _ = w.cache.Keys(w.Context(), nil)
			w.pass(5 * time.Minute)
			_, err := w.cache.Keys(w.Context(), nil)
			if w.hits(jwksURL) != asked {
				w.Error("metadata past its bound was used for a fetch")
			}
			if maxStale == 0 && err != nil {
				w.Errorf("the last good keys have a bound of their own: %v", err)
			}
		})
	}
	bound("MD-11/until_DF-10_ends", 0, 25*time.Hour)
	bound("MD-11/a_shorter_bound", 2*time.Hour, 3*time.Hour)

	inWorld(t, "MD-11/no_document_yet", byIssuer, func(w *world) {
		w.status(metaURL, 500)
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrMetadata)
		w.wantHits(jwksURL, 0)
	})
	inWorld(t, "MD-11/key_set_gone_and_metadata_down", byIssuer, func(w *world) {
		w.keys()
		w.status(jwksURL, 404)
		w.status(metaURL, 503)
		w.busy(time.Hour, time.Minute)
		w.body(jwksURL, kids("one", "two"))
		w.busy(5*time.Minute, time.Minute)
		if got := w.keys().Len(); got != 2 {
			w.Errorf("%d keys: the known address was not asked again", got)
		}
	})
}

// TestOneDocument: two documents cannot disagree where only one is ever used.
func TestOneDocument(t *testing.T) {
	inWorld(t, "MD-14/only_one_document_is_loaded", byIssuer, func(w *world) {
		openID := issuer + "/.well-known/openid-configuration"
		w.body(openID, document(issuer, issuer+"/other"))
		w.body(issuer+"/other", kids("two"))
		w.busy(3*time.Hour, time.Minute)
		w.wantHits(openID, 0)
		w.wantHits(issuer+"/other", 0)
	})
	inWorld(t, "MD-14/change_of_document_with_another_jwks_uri_is_reported", byIssuer, func(w *world) {
		openID := issuer + "/.well-known/openid-configuration"
		w.body(openID, document(issuer, issuer+"/other"))
		w.body(issuer+"/other", kids("two"))
		w.keys()
		w.status(metaURL, 404)
		w.busy(2*time.Hour, time.Minute)
		if !slices.ContainsFunc(w.of(verifier.EventWarning), func(e verifier.Event) bool {
			return strings.Contains(e.Cause.Error(), "jwks_uri of the issuer changed")
		}) {
			w.Errorf("events %v", w.of(verifier.EventWarning))
		}
	})
}

func TestMetadataBound(t *testing.T) {
	for name, c := range map[string]struct{ maxStale, bound time.Duration }{
		"MD-11/not_used_past_its_bound":         {0, 25 * time.Hour},
		"MD-11/not_used_past_its_bound_of_none": {-1, time.Hour},
	} {
		inWorld(t, name, func(cfg *jwkscache.Config) {
			byIssuer(cfg)
			cfg.MaxStale = c.maxStale
		}, func(w *world) {
			w.body(jwksURL, kids("one"), "Cache-Control", "max-age=60")
			w.keys()
			w.status(metaURL, 500)
			var last time.Duration
			for asked := w.hits(jwksURL); w.elapsed() < c.bound+20*time.Minute; asked = w.hits(jwksURL) {
				_, _ = w.cache.Keys(w.Context(), nil)
				w.pass(10 * time.Second)
				if w.hits(jwksURL) != asked {
					last = w.elapsed()
				}
			}
			if last > c.bound || last < c.bound-3*time.Minute {
				w.Errorf("the last fetch from the old address was after %v, want it shortly before %v", last, c.bound)
			}
		})
	}
}
