// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

const hostileName = "https://hostile.example"

// hostileScript goes through every fault, and says that the good issuer's kid is its
// own key's.
func hostileScript(kid string) *script {
	key := simKey{kid, simMallory}
	s := &script{
		published: []publication{{0, []simKey{key}}},
		signing:   []publication{{0, []simKey{key}}},
		policies:  []policy{{headers: []string{"Cache-Control", "no-store"}, lifetime: time.Minute}},
	}
	for _, kind := range faultKinds {
		f := &fault{kind: kind.name, from: s.length + time.Minute, to: s.length + 6*time.Minute}
		if len(kind.numbers) > 0 {
			f.number = kind.numbers[len(kind.numbers)-1]
		}
		s.faults = append(s.faults, f)
		s.length = f.to
	}
	return s
}

// tokenOf is a token that names an issuer, signed by any key.
func tokenOf(name string, key simKey) string {
	return key.token(map[string]any{
		"iss": name, "aud": audience, "sub": "s", "client_id": "c", "jti": "j",
		"iat": time.Now().Unix(), "exp": time.Now().Add(24 * time.Hour).Unix(),
	})
}

// TestHostileIssuer: what one issuer of several does is no matter of the others.
func TestHostileIssuer(t *testing.T) {
	t.Run("JV-16/F35_hostile_issuer_beside_a_good_one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			key := simKey{"same", 0}
			hostile := hostileScript(key.kid)
			calm := &script{
				length: hostile.length, maxStale: 24 * time.Hour, policies: []policy{{lifetime: 15 * time.Minute}},
				published: []publication{{0, []simKey{key}}},
			}
			v := joinVerifiers(t, newIssuerVerifier(t, issuer, joinedWith(t, calm)), newIssuerVerifier(t, hostileName, joinedWith(t, hostile)))
			if _, err := v.Verify(t.Context(), tokenOf(issuer, key)); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			defer wg.Wait()
			for range 5 {
				wg.Go(func() { hostileClient(t, v, hostile) })
			}
			besideHostile(t, v, hostile, key)
		})
	})
}

// hostileClient sends tokens of the hostile issuer: many wait for its keys.
func hostileClient(t *testing.T, v *verifier.Verifier, s *script) {
	raw := tokenOf(hostileName, s.signing[0].keys[0])
	accepted := 0
	for elapsed() < s.length {
		if _, err := v.Verify(t.Context(), raw); err == nil {
			accepted++
		}
		time.Sleep(7 * time.Second)
	}
	if accepted == 0 {
		t.Error("the hostile issuer was never heard at all")
	}
}

// besideHostile sends tokens of the good issuer, and those that the hostile one signed
// in its name.
func besideHostile(t *testing.T, v *verifier.Verifier, s *script, key simKey) {
	good, mixed := tokenOf(issuer, key), tokenOf(issuer, s.signing[0].keys[0])
	for elapsed() < s.length {
		start := time.Now()
		if _, err := v.Verify(t.Context(), good); err != nil || time.Since(start) > 0 {
			t.Fatalf("after %v, in %v: %v", elapsed(), s.faultAt(elapsed(), "keys"), err)
		}
		if _, err := v.Verify(t.Context(), mixed); verifier.ClassOf(err) != verifier.ErrSignature {
			t.Fatalf("after %v: %v", elapsed(), err)
		}
		time.Sleep(3 * time.Second)
	}
}

func joinedWith(t *testing.T, s *script) verifier.KeySource { return simCache(t, newSimIssuer(t, s)) }

func newIssuerVerifier(t *testing.T, name string, keys verifier.KeySource) *verifier.Verifier {
	v, err := verifier.New(verifier.Config{Issuer: name, Audience: []string{audience}, Keys: keys, CacheEntries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func joinVerifiers(t *testing.T, vs ...*verifier.Verifier) *verifier.Verifier {
	v, err := verifier.Join(vs...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestFloodAndRotations: unknown kids by the thousand, most of them new and some again
// and again, delay no new key by more than the cooldown.
func TestFloodAndRotations(t *testing.T) {
	t.Run("KS-11/F20_rotations_in_a_flood", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 4))
			s := &script{length: 40 * time.Minute, maxStale: 24 * time.Hour, policies: []policy{{lifetime: 15 * time.Minute}}}
			for at := time.Duration(0); at < s.length; at += span(r, 31*time.Second, 5*time.Minute) {
				s.publish(at, simKey{fmt.Sprint("k", len(s.published)), len(s.published) % simTwin})
			}
			is := newSimIssuer(t, s)
			v := newIssuerVerifier(t, issuer, simCache(t, is))
			for i, p := range s.published {
				flood(t, v, p.at)
				raw := tokenOf(issuer, p.keys[0])
				v.Verify(t.Context(), raw) // too early, perhaps
				flood(t, v, p.at+simCooldown)
				if _, err := v.Verify(t.Context(), raw); err != nil {
					t.Fatalf("rotation %d at %v: %v", i, p.at, err)
				}
			}
			if got, most := len(is.record.all()), int(elapsed()/simCooldown)+1; got > most {
				t.Errorf("%d fetches, want %d at most", got, most)
			}
		})
	})
}

// flood sends 33 tokens a second until the run is so old.
func flood(t *testing.T, v *verifier.Verifier, end time.Duration) {
	ghost := tokenOf(issuer, simKey{"ghost", forgedES256})
	for n := 0; elapsed() < end; n++ {
		raw := ghost
		if n%5 > 0 {
			raw = tokenOf(issuer, simKey{fmt.Sprint("random-", misses.Add(1)), forgedES256})
		}
		if _, err := v.Verify(t.Context(), raw); err == nil {
			t.Fatal("a forged token was accepted")
		}
		time.Sleep(min(30*time.Millisecond, end-elapsed()))
	}
}
