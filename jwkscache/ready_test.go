// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// state is what a probe reads.
type state struct {
	Status  string
	Sources []source
}

type source struct {
	Issuer, Status, Reason string
	Keys, Failures         int
	Fetched                time.Time
	FreshUntil             time.Time `json:"fresh_until"`
	UsableUntil            time.Time `json:"usable_until"`
	NextAttempt            time.Time `json:"next_attempt"`
	ClockSkew              int       `json:"clock_skew_seconds"`
	Parts                  []source
}

func handler(t testing.TB, sources ...jwkscache.Reporter) http.Handler {
	t.Helper()
	h, err := jwkscache.ReadyHandler(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(t testing.TB, h http.Handler, method string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/ready", nil))
	return w
}

// probe asks h and fails unless the answer has this status.
func probe(t testing.TB, h http.Handler, want string) state {
	t.Helper()
	w := ask(t, h, "GET")
	var got state
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v in %q", err, w.Body)
	}
	code := http.StatusOK
	if want == "down" {
		code = http.StatusServiceUnavailable
	}
	if got.Status != want || w.Code != code {
		t.Fatalf("status %d, body %s, want %s", w.Code, w.Body, want)
	}
	return got
}

func TestReady(t *testing.T) {
	wantReady := func(w *world, class error, wait time.Duration) {
		w.Helper()
		start := time.Now()
		if err := w.cache.Ready(w.Context()); verifier.ClassOf(err) != class {
			w.Fatalf("after %v: %v, want %v", w.elapsed(), err, class)
		}
		if took := time.Since(start); took != wait {
			w.Fatalf("after %v: took %v, want %v", w.elapsed(), took, wait)
		}
	}
	inWorld(t, "ready_fetches_when_cold", byIssuer, func(w *world) {
		w.on(jwksURL, slow(time.Second, answer(200, kids("one"))))
		wantReady(w, nil, time.Second)
		wantReady(w, nil, 0)
		w.wantHits(jwksURL, 1)
	})
	inWorld(t, "KS-12/ready_with_stale_keys_until_their_end", byURL, func(w *world) {
		wantReady(w, nil, 0)
		w.down.Store(true)
		for w.elapsed() < 24*time.Hour+14*time.Minute {
			wantReady(w, nil, 0)
			w.pass(time.Minute)
		}
		w.pass(time.Minute)
		wantReady(w, verifier.ErrKeysUnavailable, 0)
		w.down.Store(false)
		w.pass(time.Minute + time.Second)
		wantReady(w, nil, 0)
	})
	inWorld(t, "KS-25/a_source_that_is_probed_stays_fresh", byURL, func(w *world) {
		for range 24 * 60 {
			wantReady(w, nil, 0)
			w.pass(time.Minute)
			if s := w.cache.Status(); !time.Now().Before(s.FreshUntil) {
				w.Fatalf("after %v: stale", w.elapsed())
			}
		}
	})
	inWorld(t, "MD-06/not_ready_without_metadata", byIssuer, func(w *world) {
		w.body(metaURL, `{"issuer":"https://evil.example"}`)
		wantReady(w, verifier.ErrMetadata, 0)
	})
	inWorld(t, "not_ready_with_unusable_keys_alone", byURL, func(w *world) {
		w.body(jwksURL, `{"keys":[{"kty":"XX"}]}`)
		wantReady(w, verifier.ErrKeysUnavailable, 0)
	})
	inWorld(t, "SE-06/wait_ends_with_the_context", byURL, func(w *world) {
		w.on(jwksURL, slow(time.Hour, answer(200, kids("one"))))
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		err := w.cache.Ready(ctx)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		if !errors.Is(err, context.DeadlineExceeded) || w.elapsed() != time.Second {
			w.Errorf("after %v: %v", w.elapsed(), err)
		}
	})
	inWorld(t, "not_ready_after_Close", byURL, func(w *world) {
		wantReady(w, nil, 0)
		w.cache.Close()
		wantReady(w, verifier.ErrKeysUnavailable, 0)
	})
	t.Run("GO-02/nil_and_zero", func(t *testing.T) {
		for _, src := range []jwkscache.Reporter{(*jwkscache.Cache)(nil), &jwkscache.Cache{}, (*jwkscache.Joined)(nil), &jwkscache.Joined{}} {
			wantClass(t, src.Ready(t.Context()), verifier.ErrConfig)
		}
	})
}

func TestReadyHandler(t *testing.T) {
	inWorld(t, "ready_ok", byIssuer, func(w *world) {
		got := probe(w, handler(w, w.cache), "ok")
		s := w.cache.Status()
		want := source{Issuer: issuer, Status: "ok", Keys: 1, Fetched: midnight, FreshUntil: midnight.Add(15 * time.Minute),
			UsableUntil: midnight.Add(24*time.Hour + 15*time.Minute), NextAttempt: s.NextAttempt.UTC()}
		if len(got.Sources) != 1 || !same(got.Sources[0], want) {
			w.Errorf("got %+v, want %+v", got.Sources, want)
		}
	})
	inWorld(t, "KS-12/degraded_then_down", byURL, func(w *world) {
		h := handler(w, w.cache)
		probe(w, h, "ok")
		w.down.Store(true)
		w.pass(14 * time.Minute)
		got := probe(w, h, "degraded").Sources[0]
		if got.Reason != "keys_unavailable" || got.Failures < 1 || got.Keys != 1 || got.Issuer != "" {
			w.Errorf("got %+v", got)
		}
		for w.elapsed() < 24*time.Hour+14*time.Minute {
			probe(w, h, "degraded")
			w.pass(time.Minute)
		}
		w.pass(time.Minute)
		got = probe(w, h, "down").Sources[0]
		if got.Reason != "keys_unavailable" || got.NextAttempt.IsZero() {
			w.Errorf("got %+v", got)
		}
		w.down.Store(false)
		w.pass(time.Minute + time.Second)
		probe(w, h, "ok")
	})
	inWorld(t, "MD-06/metadata_as_reason", byIssuer, func(w *world) {
		w.body(metaURL, "{}")
		if got := probe(w, handler(w, w.cache), "down").Sources[0]; got.Reason != "metadata_unavailable" {
			w.Errorf("got %+v", got)
		}
	})
	inWorld(t, "SE-06/probe_does_not_hang", byURL, func(w *world) {
		w.on(jwksURL, slow(time.Hour, nil))
		w.on(otherURL, slow(time.Hour, nil))
		probe(w, handler(w, w.cache, w.another(atOther)), "down")
		if w.elapsed() != 2*time.Second {
			w.Errorf("took %v", w.elapsed())
		}
	})
	inWorld(t, "SE-06/slow_source_takes_no_time_of_another", byURL, func(w *world) {
		w.on(jwksURL, slow(time.Hour, nil))
		w.on(otherURL, slow(time.Second, answer(200, kids("two"))))
		got := probe(w, handler(w, w.cache, w.another(atOther)), "down")
		if got.Sources[0].Status != "down" || got.Sources[1].Status != "ok" {
			w.Errorf("got %+v", got)
		}
	})
	inWorld(t, "ready_worst_of_several", byURL, func(w *world) {
		w.body(otherURL, kids("one", "two"))
		other := w.another(atOther)
		h := handler(w, w.cache, other)
		got := probe(w, h, "ok")
		if len(got.Sources) != 2 || got.Sources[0].Keys != 1 || got.Sources[1].Keys != 2 {
			w.Errorf("got %+v", got)
		}
		w.status(otherURL, 500)
		w.pass(14 * time.Minute)
		got = probe(w, h, "degraded")
		if got.Sources[0].Status != "ok" || got.Sources[1].Status != "degraded" {
			w.Errorf("got %+v", got)
		}
		other.Close()
		got = probe(w, h, "down")
		if got.Sources[0].Status != "ok" || got.Sources[1].Status != "down" {
			w.Errorf("got %+v", got)
		}
	})
	inWorld(t, "joined_is_degraded_while_a_part_is_down", byURL, func(w *world) {
		w.on(otherURL, slow(time.Hour, nil))
		h := handler(w, joinParts(w, w.cache, staticPart(w, "two"), w.another(atOther)))
		probe(w, h, "degraded")
		w.pass(time.Minute)
		got := probe(w, h, "degraded").Sources[0]
		if got.Keys != 2 || len(got.Parts) != 3 || got.Parts[0].Status != "ok" || got.Parts[1].Status != "ok" || got.Parts[2].Status != "down" {
			w.Errorf("got %+v", got)
		}
		if w.elapsed() != time.Minute {
			w.Errorf("waited until %v", w.elapsed())
		}
		probe(w, handler(w, joinParts(w, staticPart(w, "two"))), "ok")
		probe(w, handler(w, joinParts(w, failingPart(verifier.ErrKeysUnavailable))), "down")
	})
	inWorld(t, "ready_clock_skew", byURL, func(w *world) {
		w.body(jwksURL, kids("one"), "Date", midnight.Add(93*time.Second).Format(http.TimeFormat))
		if got := probe(w, handler(w, w.cache), "ok").Sources[0]; got.ClockSkew < 92 || got.ClockSkew > 94 {
			w.Errorf("got %+v", got)
		}
	})
}

// same compares what is worth it, since == does not work for times.
func same(a, b source) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func TestReadyHandlerHTTP(t *testing.T) {
	inWorld(t, "ready_methods_and_headers", byURL, func(w *world) {
		h := handler(w, w.cache)
		for method, code := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "PUT": 405, "OPTIONS": 405, "get": 405} {
			got := ask(w, h, method)
			if got.Code != code || got.Header().Get("Cache-Control") != "no-store" {
				w.Errorf("%s: status %d, header %v", method, got.Code, got.Header())
			}
			if allow := got.Header().Get("Allow"); (allow == "GET, HEAD") != (code == 405) {
				w.Errorf("%s: Allow %q", method, allow)
			}
			if typ := got.Header().Get("Content-Type"); (typ == "application/json") != (code == 200) {
				w.Errorf("%s: Content-Type %q", method, typ)
			}
		}
	})
	inWorld(t, "ready_same_bytes_for_the_same_state", byURL, func(w *world) {
		w.body(jwksURL, kids("two", "one"))
		h := handler(w, w.cache, w.another(byIssuer))
		first := ask(w, h, "GET").Body.String()
		for range 20 {
			if got := ask(w, h, "GET").Body.String(); got != first {
				w.Fatalf("got %s, before %s", got, first)
			}
		}
		const want = `{"status":"ok","sources":[{"status":"ok","keys":2,"fetched":"2000-01-01T00:00:00Z",` +
			`"fresh_until":"2000-01-01T00:15:00Z","usable_until":"2000-01-02T00:15:00Z","next_attempt":"`
		if !strings.HasPrefix(first, want) {
			w.Errorf("got %s, want %s", first, want)
		}
	})
	inWorld(t, "ready_no_text_of_error_key_or_address", byURL, func(w *world) {
		w.body(jwksURL, set(jwk("one", map[string]any{"kid": "canary-kid"})))
		h := handler(w, w.cache)
		probe(w, h, "ok")
		w.on(jwksURL, answer(200, "canary-body"))
		w.pass(14 * time.Minute)
		body := ask(w, h, "GET").Body.String()
		for _, secret := range []string{"canary", "id.example", "jwks", "://", "JSON"} {
			if strings.Contains(body, secret) {
				w.Errorf("%q is in %s", secret, body)
			}
		}
	})
	inWorld(t, "KS-10/parallel_probes", byURL, func(w *world) {
		w.on(jwksURL, slow(time.Second, answer(200, kids("one"))))
		h := handler(w, w.cache)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if got := ask(w, h, "GET"); got.Code != http.StatusOK {
					w.Errorf("status %d", got.Code)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		w.wantHits(jwksURL, 1)
	})
	for name, list := range map[string][]jwkscache.Reporter{
		"no_source": nil, "nil": {nil}, "typed_nil": {(*jwkscache.Cache)(nil)}, "nil_Joined": {(*jwkscache.Joined)(nil)},
	} {
		t.Run("GO-02/"+name, func(t *testing.T) {
			h, err := jwkscache.ReadyHandler(list...)
			wantClass(t, err, verifier.ErrConfig)
			if h != nil {
				t.Error("a handler came with the error")
			}
		})
	}
	t.Run("GO-02/zero_cache_is_down", func(t *testing.T) {
		if got := probe(t, handler(t, &jwkscache.Cache{}), "down").Sources[0]; got.Reason != "config" {
			t.Errorf("got %+v", got)
		}
	})
}

// TestReadyOfOthers: a probe is answered whatever a source does.
func TestReadyOfOthers(t *testing.T) {
	inWorld(t, "joined_shows_a_part_of_the_application", byURL, func(w *world) {
		h := handler(w, joinParts(w, w.cache, failingPart(verifier.ErrMetadata)))
		got := probe(w, h, "degraded").Sources[0]
		if len(got.Parts) != 2 || got.Parts[1].Status != "down" || got.Parts[1].Reason != "metadata_unavailable" {
			w.Errorf("got %+v", got)
		}
	})
	t.Run("SE-06/part_that_ignores_its_context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			block := make(chan struct{})
			rude := &sourcePart{keys: func(context.Context, *verifier.Miss) (*verifier.KeySet, error) {
				<-block
				return nil, errors.New("late")
			}}
			start := time.Now()
			probe(t, handler(t, joinParts(t, rude)), "down")
			if waited := time.Since(start); waited > 3*time.Second {
				t.Errorf("answered after %v", waited)
			}
			close(block)
			synctest.Wait()
		})
	})
	for name, end := range map[string]func(){
		"SE-01/hook_ends_the_goroutine_of_a_probe": runtime.Goexit,
		"SE-01/hook_panics_at_a_probe":             func() { panic("broken") },
	} {
		inWorld(t, name, func(cfg *jwkscache.Config) {
			hook := cfg.OnEvent
			cfg.OnEvent = func(e verifier.Event) {
				hook(e)
				if e.Kind == verifier.EventStaleKeys {
					end()
				}
			}
		}, func(w *world) {
			w.keys()
			w.down.Store(true)
			w.pass(16 * time.Minute)
			probe(w, handler(w, w.cache), "down")
		})
	}
	t.Run("SE-01/wrapped_without_a_source", func(t *testing.T) {
		type mine struct{ jwkscache.Reporter }
		got := probe(t, handler(t, mine{}), "down")
		if got.Sources[0].Reason != "internal" {
			t.Errorf("got %+v", got)
		}
	})
	inWorld(t, "SE-06/joined_silent_issuer_after_a_pause", byURL, func(w *world) {
		h := handler(w, joinParts(w, w.cache))
		w.keys()
		w.pass(14 * time.Minute)
		w.on(jwksURL, slow(time.Hour, nil))
		w.pass(2 * time.Hour)
		got := probe(w, h, "degraded").Sources[0]
		if got.Keys != 1 || got.Parts[0].Status != "degraded" {
			w.Errorf("got %+v", got)
		}
	})
	inWorld(t, "SE-06/silent_issuer_after_a_pause", byURL, func(w *world) {
		w.keys()
		w.pass(14 * time.Minute)
		w.on(jwksURL, slow(time.Hour, nil))
		w.pass(2 * time.Hour)
		got := probe(w, handler(w, w.cache), "degraded").Sources[0]
		if got.Reason != "keys_unavailable" || got.Keys != 1 {
			w.Errorf("got %+v", got)
		}
	})
}
