// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/memnet"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// keySite is the server of an issuer's key set, in memory.
type keySite struct {
	document atomic.Pointer[[]byte]
	entered  atomic.Pointer[func()] // runs before the next answer
	down     atomic.Bool
	fetches  atomic.Int64
}

func (s *keySite) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.fetches.Add(1)
	document := *s.document.Load()
	if hook := s.entered.Swap(nil); hook != nil {
		(*hook)()
	}
	if s.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write(document)
}

// publish sets the keys that the next fetch brings.
func (s *keySite) publish(keys ...raw) {
	document := ok(jwks(keys...).PublicJWKS())
	s.document.Store(&document)
}

// newKeySite serves keys, and gives a cache of them.
func newKeySite(t testing.TB, keys ...raw) (*keySite, *jwkscache.Cache) {
	t.Helper()
	s, listener := &keySite{}, memnet.Listen("id.example.com")
	s.publish(keys...)
	server, served := &http.Server{Handler: s}, make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	transport := listener.Transport()
	transport.DisableKeepAlives = true
	cache, err := jwkscache.New(jwkscache.Config{URL: issuerURL + "/jwks", HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cache.Close()
		_ = server.Close()
		<-served
	})
	return s, cache
}

func edJWK(n int, kid string) raw { return jwk(ed(n), object{"kid": kid}) }

// longToken is a token by the n-th key that is good for a long time from now on.
func longToken(n int, kid string, claims object) string {
	now := time.Now()
	all := goodClaims().edit(object{"iat": now.Unix(), "exp": now.Add(10_000 * time.Hour).Unix()}).edit(claims)
	return sign(ed(n), "EdDSA", goodHeader().edit(object{"alg": "EdDSA", "kid": kid}).String(), all.String())
}

// besideAnother makes v one of two issuers of a joined verifier, which looks for a
// token in the cache only after it has read its iss.
func besideAnother(t testing.TB, v *verifier.Verifier) *verifier.Verifier {
	return join(t, newVerifier(t, issuedBy(otherIssuer)), v)
}

func alone(_ testing.TB, v *verifier.Verifier) *verifier.Verifier { return v }

var arrangements = map[string]func(testing.TB, *verifier.Verifier) *verifier.Verifier{"alone": alone, "joined": besideAnother}

// rotation is a race of readers against one refresh that takes a key away.
type rotation struct {
	v        *verifier.Verifier
	site     *keySite
	cache    *jwkscache.Cache
	gone     []string      // tokens by the key that goes
	stays    string        // one by the key that stays
	inFlight chan struct{} // closed when the server has been asked
	ended    atomic.Bool   // the refresh
}

const (
	readers = 8
	rounds  = 40 // of each reader in each phase
)

// read is one reader. It never stops to look, so that it is wherever the refresh finds
// it; before and during count down as it gets through a phase.
func (r *rotation) read(t *testing.T, before, during *sync.WaitGroup) {
	calls, flown, after := 0, 0, 0
	for after < rounds {
		ended := r.ended.Load()
		tok, err := r.v.Verify(t.Context(), r.gone[calls%len(r.gone)])
		switch {
		case ended:
			after++
			if err == nil || tok != nil {
				t.Errorf("accepted %d calls after the refresh that dropped its key", after)
				return
			}
			if class := verifier.ClassOf(err); class != verifier.ErrUnknownKey && class != verifier.ErrSignature {
				t.Errorf("refused as %v", err)
			}
		case err != nil && calls < rounds:
			t.Errorf("refused before the refresh: %v", err)
		}
		if tok, err := r.v.Verify(t.Context(), r.stays); err != nil || tok.Subject != "stays" {
			t.Errorf("the token of the key that stays: %v, %v", tok, err)
		}
		if calls++; calls == rounds {
			before.Done()
		}
		select {
		case <-r.inFlight:
			if flown++; flown == rounds {
				during.Done()
			}
		default:
		}
	}
}

// run lets the readers get going, then asks for the keys; the answer waits until all
// readers have gone on for a while.
func (r *rotation) run(t *testing.T, published ...raw) {
	var before, during, all sync.WaitGroup
	before.Add(readers)
	during.Add(readers)
	for range readers {
		all.Go(func() { r.read(t, &before, &during) })
	}
	before.Wait()
	r.site.publish(published...)
	hold := func() { close(r.inFlight); during.Wait() }
	r.site.entered.Store(&hold)
	old := ok(r.cache.Keys(t.Context(), nil))
	if set := ok(r.cache.Keys(t.Context(), &verifier.Miss{Set: old, KeyID: "wanted"})); set == old {
		t.Error("the refresh brought no new set")
	}
	r.ended.Store(true)
	all.Wait()
}

func TestKeyWithdrawnWhileReading(t *testing.T) {
	for how, published := range map[string][]raw{
		"withdrawn": {edJWK(2, "two")},
		"replaced":  {edJWK(3, "one"), edJWK(2, "two")},
		"renamed":   {jwk(ed(1), object{"kid": "one", "use": "enc"}), edJWK(2, "other")},
	} {
		for where, arranged := range arrangements {
			for what, tokens := range map[string]int{"remembered": 1, "first_sights": 48} {
				t.Run("JV-35/L3_"+how+"_in_a_race_"+what+"_"+where, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { withdraw(t, arranged, tokens, published) })
				})
			}
		}
	}
}

// withdraw races with so many tokens: with more than the cache holds, most readings are
// first sights.
func withdraw(t *testing.T, arranged func(testing.TB, *verifier.Verifier) *verifier.Verifier, tokens int, published []raw) {
	site, cache := newKeySite(t, edJWK(1, "one"), edJWK(2, "two"))
	v := arranged(t, newVerifier(t, withSource(cache), func(c *verifier.Config) { c.Now, c.CacheEntries = nil, 16 }))
	r := &rotation{v: v, site: site, cache: cache, inFlight: make(chan struct{}), stays: longToken(2, "two", object{"sub": "stays"})}
	for i := range tokens {
		r.gone = append(r.gone, longToken(1, "one", object{"jti": fmt.Sprint(i)}))
	}
	for _, raw := range append([]string{r.stays}, r.gone...) {
		tok, err := v.Verify(t.Context(), raw)
		wantAccepted(t, tok, err)
	}
	time.Sleep(time.Minute) // past the cooldown of the cache
	r.run(t, published...)
	if n := site.fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

func TestKeyWithdrawnInTheBackground(t *testing.T) {
	for where, arranged := range arrangements {
		t.Run("JV-35/L3_next_refresh_"+where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				site, cache := newKeySite(t, edJWK(1, "one"), edJWK(2, "two"))
				v := arranged(t, newVerifier(t, withSource(cache), func(c *verifier.Config) { c.Now = nil }))
				gone, stays := longToken(1, "one", nil), longToken(2, "two", nil)
				use := func(d time.Duration) { // the background refresh wants to see use
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Minute) {
						expect(t, v, stays, nil)
					}
				}
				expect(t, v, gone, nil)
				use(20 * time.Minute)
				expect(t, v, gone, nil)
				site.publish(edJWK(2, "two"))
				use(20 * time.Minute)
				expect(t, v, gone, verifier.ErrUnknownKey)
				site.publish(edJWK(1, "one"), edJWK(2, "two"))
				use(20 * time.Minute)
				expect(t, v, gone, nil)
			})
		})
	}
}

func TestKeysPastTheirTime(t *testing.T) {
	for where, arranged := range arrangements {
		t.Run("JV-35/KS-12_remembered_token_when_keys_are_too_old_"+where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				site, cache := newKeySite(t, edJWK(1, "one"))
				v := arranged(t, newVerifier(t, withSource(cache), func(c *verifier.Config) { c.Now = nil }))
				raw := longToken(1, "one", nil)
				expect(t, v, raw, nil)
				site.down.Store(true)
				for range 24 { // usable for 15 min and 24 h
					time.Sleep(time.Hour)
					expect(t, v, raw, nil)
				}
				time.Sleep(16 * time.Minute)
				for range 3 {
					expect(t, v, raw, verifier.ErrKeysUnavailable)
					expect(t, v, longToken(1, "one", object{"jti": "new"}), verifier.ErrKeysUnavailable)
				}
				site.down.Store(false)
				time.Sleep(10 * time.Minute) // past any pause
				expect(t, v, raw, nil)
			})
		})
	}
}

// TestTimesOnAHit looks at both sides of each boundary, with tokens that have been seen.
func TestTimesOnAHit(t *testing.T) {
	for _, leeway := range []time.Duration{-1, time.Nanosecond, 1500 * time.Millisecond, 30 * time.Second, 300 * time.Second} {
		var at movable
		effective := max(leeway, 0)
		v := newVerifier(t, withClock(&at), func(c *verifier.Config) { c.Leeway = leeway })
		raw := token(nil, object{"nbf": raw(fmt.Sprintf("%d.25", noon.Unix())), "iat": noon.Unix(), "exp": raw(fmt.Sprintf("%d.5", noon.Unix()+600))})
		exp, nbf := 600*time.Second+500*time.Millisecond+effective, 250*time.Millisecond-effective
		for _, step := range []struct {
			name  string
			shift time.Duration
			want  error
		}{
			{"first_sight", time.Second, nil},
			{"last_moment", exp - 1, nil},
			{"L2_at_exp", exp, verifier.ErrExpired},
			{"L2_past_exp", exp + 1, verifier.ErrExpired},
			{"L9_set_back", exp - 1, nil},
			{"L9_at_nbf", nbf, nil},
			{"L9_before_nbf", nbf - 1, verifier.ErrNotYetValid},
			{"L9_long_before", -1000 * time.Hour, verifier.ErrNotYetValid},
			{"L9_forward_again", nbf, nil},
			{"L2_far_future", 100_000 * time.Hour, verifier.ErrExpired},
			{"L2_and_back", 0, map[bool]error{true: verifier.ErrNotYetValid}[nbf > 0]},
		} {
			t.Run(fmt.Sprintf("JV-35/%s_leeway_%v", step.name, leeway), func(t *testing.T) {
				at.shift = step.shift
				expect(t, v, raw, step.want)
			})
		}
	}
	t.Run("JV-35/L9_iat_of_a_remembered_token", func(t *testing.T) {
		var at movable
		v, raw := newVerifier(t, withClock(&at)), token(nil, object{"iat": noon.Unix()})
		for shift, want := range map[time.Duration]error{-30 * time.Second: nil, -30*time.Second - 1: verifier.ErrNotYetValid} {
			at.shift = 0
			expect(t, v, raw, nil)
			at.shift = shift
			expect(t, v, raw, want)
		}
	})
	t.Run("JV-36/clock_that_fails_on_a_hit", func(t *testing.T) {
		now := noon
		v := newVerifier(t, func(c *verifier.Config) { c.Now = func() time.Time { return now } })
		raw := token(nil, nil)
		expect(t, v, raw, nil)
		now = time.Time{}
		expect(t, v, raw, verifier.ErrInternal)
		now = noon
		expect(t, v, raw, nil)
	})
}
