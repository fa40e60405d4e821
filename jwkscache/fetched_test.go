// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// bomb answers with 16 MiB of blanks, compressed to a few kilobytes.
func bomb() http.HandlerFunc { return answer(200, blanks(), "Content-Encoding", "gzip") }

var blanks = sync.OnceValue(func() string { return gzipped(strings.Repeat(" ", 16<<20)) })

func gzipped(text string) string {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, text)
	z.Close()
	return packed.String()
}

// many is a set of n keys, all of the same material.
func many(n int) string {
	var keys []json.RawMessage
	for i := range n {
		keys = append(keys, jwk("one", map[string]any{"kid": fmt.Sprint(i)}))
	}
	return set(keys...)
}

// cut breaks the connection after part of the body.
func cut(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)+10))
		io.WriteString(w, text)
	}
}

// reset closes the connection without an answer.
func reset(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

// failing are answers that are no key set. The second word says what they fail.
func failing() map[string]http.HandlerFunc {
	good := kids("two")
	redirect := func(code int, to string) http.HandlerFunc { return answer(code, good, "Location", to) }
	return map[string]http.HandlerFunc{
		"KS-03/F14_redirect_link_local": redirect(302, "http://169.254.169.254/"),
		"KS-03/F14_redirect_localhost":  redirect(301, "http://localhost/"),
		"KS-03/F14_redirect_other_host": redirect(307, "https://evil.example/"),
		"KS-03/F14_redirect_file":       redirect(302, "file:///etc/passwd"),
		"KS-03/F15_redirect_to_http":    redirect(308, "http://id.example/jwks"),
		"KS-03/redirect_same_origin":    redirect(302, jwksURL+"/x"),
		"KS-05/201":                     answer(201, good),
		"KS-05/204":                     answer(204, ""),
		"KS-05/206":                     answer(206, good),
		"KS-05/F29_304_unconditional":   answer(304, ""),
		"KS-05/F4_401":                  answer(401, good),
		"KS-05/F4_403":                  answer(403, good),
		"KS-05/F4_404":                  answer(404, good),
		"KS-05/F4_410":                  answer(410, good),
		"KS-05/F5_429":                  answer(429, good),
		"KS-05/F1_500":                  answer(500, good),
		"KS-05/F1_502":                  answer(502, good),
		"KS-05/F1_503":                  answer(503, good),
		"KS-05/F1_504":                  answer(504, good),
		"KS-05/F6_HTML":                 answer(200, "<html><body>sign in</body></html>", "Content-Type", "text/html"),
		"KS-05/F7_empty_body":           answer(200, ""),
		"KS-05/F7_empty_object":         answer(200, "{}"),
		"KS-05/F7_array":                answer(200, "[]"),
		"KS-05/array_of_sets":           answer(200, "["+good+"]"),
		"KS-05/F7_keys_null":            answer(200, `{"keys":null}`),
		"KS-05/F7_keys_object":          answer(200, `{"keys":{}}`),
		"KS-05/F8_truncated":            answer(200, strings.TrimSuffix(good, "}")),
		"KS-05/F8_content_length_long":  cut(good),
		"KS-05/F8_trailing_garbage":     answer(200, good+"x"),
		"KS-05/two_documents":           answer(200, good+good),
		"KS-05/F32_KEYS":                answer(200, strings.Replace(good, "keys", "KEYS", 1)),
		"KS-05/byte_order_mark":         answer(200, "\ufeff"+good),
		"KS-07/F11_gzip_bomb":           bomb(),
		"KS-07/gzip_not_announced":      answer(200, gzipped(good)),
		"KS-14/F7_no_key":               answer(200, `{"keys":[]}`),
		"KS-24/F32_duplicate_keys":      answer(200, `{"keys":[],`+strings.TrimPrefix(good, "{")),
		"KS-24/duplicate_other_member":  answer(200, `{"x":1,"x":1,`+strings.TrimPrefix(good, "{")),
		"DF-03/depth_33":                answer(200, `{"x":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)+`,`+strings.TrimPrefix(good, "{")),
		"DF-07/over_512_KiB":            answer(200, padded(good, 512<<10+1)),
		"DF-07/over_512_KiB_unannounced": func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, padded(good, 512<<10+1))
		},
		"DF-07/101_keys":         answer(200, many(101)),
		"DF-07/E17_10000_keys":   answer(200, `{"keys":[`+strings.TrimSuffix(strings.Repeat(`{},`, 10_000), ",")+`]}`),
		"DF-07/F12_slow_header":  slow(6*time.Second, answer(200, good)),
		"DF-07/F13_no_answer":    slow(time.Hour, nil),
		"DF-07/F12_slow_body":    drip(good),
		"KS-12/F3_reset":         reset,
		"KS-12/F3_reset_in_body": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, good); reset(w, r) },
	}
}

// drip sends a byte a second.
func drip(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := range len(text) {
			io.WriteString(w, text[i:i+1])
			w.(http.Flusher).Flush()
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
		}
	}
}

// TestFailedFetchCold: without a set, every failure is 503 with a retry time, and
// nothing is asked of another address.
func TestFailedFetchCold(t *testing.T) {
	for name, handler := range failing() {
		inWorld(t, name+"/cold", byURL, func(w *world) {
			w.on(jwksURL, handler)
			v := w.verifier()
			tok, err := v.Verify(w.Context(), token("two"))
			if tok != nil {
				w.Error("a token came with the error")
			}
			e := wantClass(w, err, verifier.ErrKeysUnavailable)
			if e.RetryAfter < time.Second || e.RetryAfter > time.Minute {
				w.Errorf("retry after %v", e.RetryAfter)
			}
			if w.elapsed() > 5*time.Second {
				w.Errorf("it took %v", w.elapsed())
			}
			failed := w.wantEvents(verifier.EventFetchFailed, 1)[0]
			if failed.Class != verifier.ErrKeysUnavailable || failed.Cause == nil {
				w.Errorf("event %+v", failed)
			}
			w.wantHits("", 1)
		})
	}
}

// TestFailedFetchWarm: the old set stays in use, also past its freshness.
func TestFailedFetchWarm(t *testing.T) {
	for name, handler := range failing() {
		if strings.Contains(name, "304") {
			continue // no 304 is unconditional here
		}
		inWorld(t, name+"/warm", byURL, func(w *world) {
			v := w.verifier()
			before := w.keys()
			w.on(jwksURL, handler)
			w.busy(time.Hour, 30*time.Second)
			if w.keys() != before {
				w.Fatal("the set changed")
			}
			if _, err := v.Verify(w.Context(), token("one")); err != nil {
				w.Fatal(err)
			}
			if len(w.of(verifier.EventFetchFailed)) == 0 {
				w.Error("the failure was not reported")
			}
		})
	}
}

// TestGoodFetch holds the other side of each boundary.
func TestGoodFetch(t *testing.T) {
	good := kids("one")
	for name, handler := range map[string]http.HandlerFunc{
		"KS-06/F9_text_plain":       answer(200, good, "Content-Type", "text/plain"),
		"KS-06/wrong_content_type":  answer(200, good, "Content-Type", "text/html"),
		"KS-06/bad_content_type":    answer(200, good, "Content-Type", ";;"),
		"KS-07/gzip":                answer(200, gzipped(good), "Content-Encoding", "gzip"),
		"KS-05/unknown_members":     answer(200, `{"Keys":[],"x":{},`+strings.TrimPrefix(good, "{")),
		"KS-05/blanks_around":       answer(200, " \r\n\t"+good+"\n"),
		"DF-03/depth_32":            answer(200, `{"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)+`,`+strings.TrimPrefix(good, "{")),
		"DF-07/512_KiB":             answer(200, padded(good, 512<<10)),
		"DF-07/100_keys":            answer(200, strings.Replace(many(100), `"99"`, `"one"`, 1)),
		"DF-07/answer_just_in_time": slow(5*time.Second-time.Millisecond, answer(200, good)),
		"KS-24/duplicate_in_a_key":  answer(200, set(json.RawMessage(`{"kty":"EC","kty":"EC"}`), jwk("one", nil))),
		"KS-15/E10_one_broken_key":  answer(200, set(json.RawMessage(`{"kty":"EC","crv":"P-256"}`), jwk("one", nil))),
	} {
		inWorld(t, name, byURL, func(w *world) {
			w.on(jwksURL, handler)
			if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
				w.Fatal(err)
			}
			accept := w.last().Get("Accept")
			if !strings.Contains(accept, "application/jwk-set+json") || !strings.Contains(accept, "application/json") {
				w.Errorf("Accept: %q", accept)
			}
		})
	}
	inWorld(t, "KS-06/no_content_type", byURL, func(w *world) {
		w.on(jwksURL, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header()["Content-Type"] = nil
			io.WriteString(rw, good)
		})
		w.keys()
	})
	inWorld(t, "KS-01/fetched_by_GET", byURL, func(w *world) {
		method := ""
		w.on(jwksURL, func(rw http.ResponseWriter, r *http.Request) {
			method = r.Method
			answer(200, good)(rw, r)
		})
		w.keys()
		if method != http.MethodGet {
			w.Errorf("method %q", method)
		}
	})
}

// TestBoundedMemory: the bomb must not be inflated to its full size.
func TestBoundedMemory(t *testing.T) {
	inWorld(t, "KS-07/F11_bounded_memory", byURL, func(w *world) {
		w.on(jwksURL, bomb())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
			w.Errorf("%d bytes allocated", got)
		}
	})
}

func TestKeyEvents(t *testing.T) {
	only := func(w *world, kind verifier.EventKind) verifier.Event {
		w.Helper()
		w.keys()
		w.wantEvents(verifier.EventFetched, 1)
		for _, other := range []verifier.EventKind{verifier.EventKeySkipped, verifier.EventPrivateKey, verifier.EventFetchFailed} {
			if other != kind {
				w.wantEvents(other, 0)
			}
		}
		return w.wantEvents(kind, 1)[0]
	}
	inWorld(t, "KS-18/E1_oct_key_is_skipped_and_reported", byURL, func(w *world) {
		w.body(jwksURL, set(jwk("one", nil), json.RawMessage(`{"kty":"oct","kid":"two","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U"}`)))
		v := w.verifier()
		e := only(w, verifier.EventKeySkipped)
		if strings.Contains(e.Cause.Error(), "c2Vjc") {
			w.Error("the secret is in the event")
		}
		_, err := v.Verify(w.Context(), signed("one", map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": "two"}, map[string]any{"iss": issuer}))
		wantClass(w, err, verifier.ErrAlgorithm)
		if w.keys().Len() != 1 {
			w.Error("the oct key is in the set")
		}
	})
	inWorld(t, "KS-19/private_members_are_reported", byIssuer, func(w *world) {
		w.body(jwksURL, set(privateJWK("one")))
		v := w.verifier()
		w.keys()
		w.wantEvents(verifier.EventKeySkipped, 0)
		e := w.wantEvents(verifier.EventPrivateKey, 1)[0]
		if e.Issuer != issuer || !errors.Is(e.Cause, verifier.ErrPrivateKey) {
			w.Errorf("event %+v", e)
		}
		if _, err := v.Verify(w.Context(), token("one")); err != nil {
			w.Errorf("the public part is not used: %v", err)
		}
	})
	inWorld(t, "SE-08/private_key_reported_once_while_the_set_stays", byURL, func(w *world) {
		w.body(jwksURL, set(privateJWK("one")))
		w.busy(3*time.Hour, time.Minute)
		w.wantEvents(verifier.EventPrivateKey, 1)
	})
	inWorld(t, "KS-15/E9_unknown_key_is_reported", byURL, func(w *world) {
		w.body(jwksURL, set(json.RawMessage(`{"kty":"XX","kid":"x"}`), jwk("one", nil)))
		only(w, verifier.EventKeySkipped)
	})
}

// TestReplacement: KS-14, what a new set may replace.
func TestReplacement(t *testing.T) {
	unusable := `{"keys":[{"kty":"oct","k":"AA"}]}`
	encryption := set(jwk("one", map[string]any{"use": "enc"}))
	inWorld(t, "KS-14/E18_withdrawn_key", byURL, func(w *world) {
		w.body(jwksURL, kids("one", "two"))
		v := w.verifier()
		for _, kid := range []string{"one", "two"} {
			if _, err := v.Verify(w.Context(), token(kid)); err != nil {
				w.Fatal(err)
			}
		}
		w.body(jwksURL, kids("two"))
		w.busy(15*time.Minute, time.Minute)
		_, err := v.Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrUnknownKey)
		if _, err := v.Verify(w.Context(), token("two")); err != nil {
			w.Fatal(err)
		}
	})
	inWorld(t, "KS-14/E19_withdrawn_then_outage", byURL, func(w *world) {
		w.body(jwksURL, kids("one", "two"))
		w.keys()
		w.body(jwksURL, kids("two"))
		w.busy(15*time.Minute, time.Minute)
		w.down.Store(true)
		w.busy(5*time.Hour, time.Minute)
		v := w.verifier()
		_, err := v.Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrKeysUnavailable) // the issuer cannot be asked
		if _, err := v.Verify(w.Context(), token("two")); err != nil {
			w.Fatal(err)
		}
	})
	for name, text := range map[string]string{"no_key": `{"keys":[]}`, "unusable_keys": unusable, "encryption_key": encryption} {
		inWorld(t, "KS-14/warm_"+name, byURL, func(w *world) {
			v := w.verifier()
			w.keys()
			w.body(jwksURL, text)
			w.busy(time.Hour, time.Minute)
			if _, err := v.Verify(w.Context(), token("one")); err != nil {
				w.Fatal(err)
			}
			if len(w.of(verifier.EventFetchFailed)) == 0 {
				w.Error("not reported")
			}
		})
	}
	inWorld(t, "KS-14/cold_no_key", byURL, func(w *world) {
		w.body(jwksURL, `{"keys":[]}`)
		_, err := w.verifier().Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrKeysUnavailable)
	})
	for name, text := range map[string]string{"unusable_keys": unusable, "encryption_key": encryption} {
		inWorld(t, "KS-14/cold_"+name, byURL, func(w *world) {
			w.body(jwksURL, text)
			_, err := w.verifier().Verify(w.Context(), token("one"))
			wantClass(w, err, verifier.ErrUnknownKey)
			w.pass(time.Minute)
			w.body(jwksURL, kids("one"))
			if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
				w.Fatal(err)
			}
		})
	}
	inWorld(t, "KS-14/unusable_keys_after_the_old_set_ended", func(cfg *jwkscache.Config) { cfg.MaxStale = -1 }, func(w *world) {
		w.keys()
		w.body(jwksURL, unusable)
		w.pass(15 * time.Minute)
		_, err := w.verifier().Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrUnknownKey)
	})
}

// TestRequestHeaders: nothing but what the fetch itself needs leaves the process.
func TestRequestHeaders(t *testing.T) {
	inWorld(t, "KS-28/MD-17_recorded_headers", func(cfg *jwkscache.Config) {
		byIssuer(cfg)
		jar, _ := cookiejar.New(nil)
		cfg.HTTPClient.Jar = jar
	}, func(w *world) {
		w.metadata(jwksURL, "Set-Cookie", "session=1; Path=/")
		w.body(jwksURL, kids("one"), "Set-Cookie", "session=2; Path=/", "ETag", `"1"`, "Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT")
		if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
			w.Fatal(err)
		}
		w.busy(3*time.Hour, time.Minute)
		allowed := []string{"Accept", "Accept-Encoding", "User-Agent", "Connection", "If-None-Match", "If-Modified-Since"}
		for _, header := range w.header {
			for name := range header {
				if !slices.Contains(allowed, name) {
					w.Errorf("header %s was sent", name)
				}
			}
		}
	})
	inWorld(t, "KS-28/credentials_of_the_client_only", byURL, func(w *world) {
		client := &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "id.example" {
				r = r.Clone(r.Context())
				r.Header.Set("X-Api-Key", "k")
			}
			return w.transport.RoundTrip(r)
		})}
		w.cache = w.another(func(cfg *jwkscache.Config) { cfg.HTTPClient = client })
		w.keys()
		if w.last().Get("X-Api-Key") != "k" {
			w.Error("the application's credentials were not sent")
		}
		w.status(jwksURL, 302, "Location", "https://evil.example/jwks")
		w.busy(20*time.Minute, time.Minute)
		w.wantHits("https://evil.example/jwks", 0)
	})
}

// body is an io.ReadCloser with faults.
type body struct {
	io.Reader
	close func() error
}

func (b body) Close() error { return b.close() }

// TestFaultyTransport: F34, whatever a RoundTripper does is an outage at most.
func TestFaultyTransport(t *testing.T) {
	good := func() io.Reader { return strings.NewReader(kids("one")) }
	ok := func() error { return nil }
	respond := func(b io.ReadCloser) trip {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: b}, nil
		}
	}
	for name, transport := range map[string]trip{
		"panics":            func(*http.Request) (*http.Response, error) { panic("boom") },
		"runtime_panic":     func(r *http.Request) (*http.Response, error) { return nil, errors.New(r.URL.Path[1000:]) },
		"returns_nil_nil":   func(*http.Request) (*http.Response, error) { return nil, nil },
		"nil_body":          respond(nil),
		"nil_header":        func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil },
		"body_read_panics":  respond(body{panicking{}, ok}),
		"body_close_fails":  respond(body{good(), func() error { return errors.New("close") }}),
		"body_close_panics": respond(body{good(), func() error { panic("close") }}),
		"body_read_fails":   respond(body{io.MultiReader(good(), panickingError{}), ok}),
	} {
		inWorld(t, "SE-01/F34_"+name, byURL, func(w *world) {
			cache := w.another(func(cfg *jwkscache.Config) { cfg.HTTPClient = &http.Client{Transport: transport} })
			keys, err := cache.Keys(w.Context(), nil)
			if keys != nil {
				w.Error("keys came with the error")
			}
			wantClass(w, err, verifier.ErrKeysUnavailable)
		})
		inWorld(t, "SE-01/F34_warm_"+name, byURL, func(w *world) {
			var faulty atomic.Bool
			w.cache = w.another(func(cfg *jwkscache.Config) {
				cfg.HTTPClient = &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
					if faulty.Load() {
						return transport(r)
					}
					return w.transport.RoundTrip(r)
				})}
			})
			before := w.keys()
			faulty.Store(true)
			w.busy(time.Hour, time.Minute)
			if w.keys() != before {
				w.Error("the set changed")
			}
		})
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("read") }

type panickingError struct{}

func (panickingError) Read([]byte) (int, error) { return 0, errors.New("read") }
