// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

func es256(c *oauthtest.Config) { c.Algorithm = "ES256" }

// longLived outlives every test in virtual time.
var longLived = oauthtest.ExpiresIn(30 * 24 * time.Hour)

// pastCooldown is when a token with an unknown kid may cause a fetch again.
func pastCooldown() { time.Sleep(time.Minute) }

// kids are the kids of the published set, in order; "" for a key without one.
func kids(t *testing.T, jwks []byte) []string {
	t.Helper()
	var set struct {
		Keys []struct{ Kid string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatalf("%s: %v", jwks, err)
	}
	list := []string{}
	for _, k := range set.Keys {
		list = append(list, k.Kid)
	}
	return list
}

func kidOf(t *testing.T, raw string) string {
	t.Helper()
	header, _ := parts(t, raw)
	kid, _ := header["kid"].(string)
	return kid
}

// Each way of rotation, by what is published and by what a verifier makes of it.
func TestRotations(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *oauthtest.Server, *verifier.Verifier, string){
		"TA-22/KS-11_with_overlap":          withOverlap,
		"TA-22/KS-14_without_overlap":       withoutOverlap,
		"TA-22/KS-11_published_late":        publishedLate,
		"TA-22/KS-14_removed":               removed,
		"TA-22/KS-20_replaced_under_a_kid":  replacedUnderAKid,
		"TA-22/KS-14_late_twice":            lateTwice,
		"TA-22/KS-14_late_never":            lateNever,
		"TA-22/KS-14_publish_when_it_is_so": publishAgain,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, es256)
				v := newVerifier(t, as.VerifierConfig(api))
				first := as.Token(longLived)
				wantVerdict(t, v, first, nil)
				pastCooldown()
				test(t, as, v, first)
			})
		})
	}
}

func wantKids(t *testing.T, as *oauthtest.Server, raws ...string) {
	t.Helper()
	want := []string{}
	for _, raw := range raws {
		want = append(want, kidOf(t, raw))
	}
	if got := kids(t, as.KeySet()); !slices.Equal(got, want) {
		t.Errorf("published %v, want %v", got, want)
	}
}

func wantFetches(t *testing.T, as *oauthtest.Server, want int) {
	t.Helper()
	if got := as.Fetches(); got != want {
		t.Errorf("%d fetches, want %d", got, want)
	}
}

func withOverlap(t *testing.T, as *oauthtest.Server, v *verifier.Verifier, first string) {
	as.Rotate()
	second := as.Token(longLived)
	wantKids(t, as, second, first)
	wantVerdict(t, v, second, nil)
	wantVerdict(t, v, first, nil)
	wantFetches(t, as, 2)
	as.Rotate()
	wantKids(t, as, as.Token(), second)
}

func withoutOverlap(t *testing.T, as *oauthtest.Server, v *verifier.Verifier, first string) {
	as.RotateAbruptly()
	second := as.Token(longLived)
	wantKids(t, as, second)
	wantVerdict(t, v, first, nil) // a copy that is fresh is not asked about
	wantVerdict(t, v, second, nil)
	wantVerdict(t, v, first, verifier.ErrUnknownKey)
	wantFetches(t, as, 2)
}

func publishedLate(t *testing.T, as *oauthtest.Server, v *verifier.Verifier, first string) {
	as.RotateUnpublished()
	second := as.Token(longLived)
	wantKids(t, as, first)
	for range 100 {
		wantVerdict(t, v, second, verifier.ErrUnknownKey)
		wantVerdict(t, v, first, nil)
	}
	wantFetches(t, as, 2)
	as.Publish()
	wantKids(t, as, second, first)
	pastCooldown()
	pastCooldown() // a kid that a fetch did not bring waits for two
	wantVerdict(t, v, second, nil)
	wantVerdict(t, v, first, nil)
	wantFetches(t, as, 3)
}

func removed(t *testing.T, as *oauthtest.Server, v *verifier.Verifier, first string) {
	as.Rotate()
	second := as.Token(longLived)
	as.EditKeySet(func(keys []map[string]any) []map[string]any { return keys[:1] })
	wantKids(t, as, second)
	time.Sleep(20 * time.Minute) // past the freshness of the copy
	wantVerdict(t, v, first, verifier.ErrUnknownKey)
	wantVerdict(t, v, second, nil)
}

func replacedUnderAKid(t *testing.T, as *oauthtest.Server, v *verifier.Verifier, first string) {
	as.RotateAbruptly()
	old := kidOf(t, first)
	as.EditKeySet(func(keys []map[string]any) []map[string]any {
		keys[0]["kid"] = old
		return keys
	})
	wantVerdict(t, v, as.Token(oauthtest.Header("kid", old)), nil)
	wantFetches(t, as, 2)
	wantVerdict(t, v, first, verifier.ErrSignature)
}

func lateTwice(t *testing.T, as *oauthtest.Server, v *verifier.Verifier, first string) {
	as.RotateUnpublished()
	second := as.Token(longLived)
	as.RotateUnpublished()
	third := as.Token(longLived)
	wantKids(t, as, first)
	as.Publish() // the newest, beside the one that verifiers have
	wantKids(t, as, third, first)
	wantVerdict(t, v, third, nil)
	wantVerdict(t, v, first, nil)
	wantVerdict(t, v, second, verifier.ErrUnknownKey)
	as.Publish()
	wantKids(t, as, third, first)
	as.Rotate()
	wantKids(t, as, as.Token(), third)
}

// lateNever: the key that was never published takes no place in the next overlap.
func lateNever(t *testing.T, as *oauthtest.Server, v *verifier.Verifier, first string) {
	as.RotateUnpublished()
	second := as.Token(longLived)
	as.Rotate()
	third := as.Token(longLived)
	wantKids(t, as, third, first)
	wantVerdict(t, v, third, nil)
	wantVerdict(t, v, first, nil)
	wantVerdict(t, v, second, verifier.ErrUnknownKey)
	as.RotateUnpublished()
	as.RotateAbruptly()
	wantKids(t, as, as.Token())
}

// A rotation soon after a fetch: the cache of VerifierConfig takes the new key for one
// that somebody made up, until its cooldown is over.
func TestRotateSoonAfterAFetch(t *testing.T) {
	verifierWith := func(t *testing.T, as *oauthtest.Server, cooldown time.Duration) *verifier.Verifier {
		cfg := as.VerifierConfig(api)
		if cooldown > 0 {
			keys, err := jwkscache.New(jwkscache.Config{Issuer: as.Issuer(), HTTPClient: as.HTTPClient(), UnknownKeyCooldown: cooldown})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { keys.Close() })
			cfg.Keys = keys
		}
		return newVerifier(t, cfg)
	}
	for _, tc := range []struct {
		name            string
		cooldown, after time.Duration
		want            error
	}{
		{"TA-22/KS-11_at_once", 0, 0, verifier.ErrUnknownKey},
		{"TA-22/KS-11_within_30_s", 0, 30*time.Second - time.Millisecond, verifier.ErrUnknownKey},
		{"TA-22/KS-11_after_30_s", 0, 30 * time.Second, nil},
		{"TA-22/KS-11_within_a_shorter_cooldown", time.Second, time.Second - time.Millisecond, verifier.ErrUnknownKey},
		{"TA-22/KS-11_after_a_shorter_cooldown", time.Second, time.Second, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, es256)
				v := verifierWith(t, as, tc.cooldown)
				first := as.Token(longLived)
				wantVerdict(t, v, first, nil)
				as.Rotate()
				time.Sleep(tc.after)
				wantVerdict(t, v, as.Token(), tc.want)
				wantVerdict(t, v, first, nil)
			})
		})
	}
}

func publishAgain(t *testing.T, as *oauthtest.Server, v *verifier.Verifier, first string) {
	as.RotateAbruptly()
	as.Publish() // does not bring back what was withdrawn
	wantKids(t, as, as.Token())
}

// What is set by EditKeySet lasts until the keys change, and begins from the truth.
func TestEditedKeySet(t *testing.T) {
	nameless := func(keys []map[string]any) []map[string]any {
		delete(keys[0], "kid")
		return keys
	}
	for name, undo := range map[string]func(*oauthtest.Server){
		"nil":                func(as *oauthtest.Server) { as.EditKeySet(nil) },
		"rotation":           (*oauthtest.Server).Rotate,
		"abrupt_rotation":    (*oauthtest.Server).RotateAbruptly,
		"rotation_in_secret": (*oauthtest.Server).RotateUnpublished,
		"publish":            (*oauthtest.Server).Publish,
	} {
		t.Run("TA-22/edit_ends_with_"+name, func(t *testing.T) {
			as := oauthtest.NewServer(t, es256)
			plain := string(as.KeySet())
			as.EditKeySet(nameless)
			as.EditKeySet(nameless)
			if got := kids(t, as.KeySet()); !slices.Equal(got, []string{""}) {
				t.Errorf("kids %q", got)
			}
			if a := get(t, as.HTTPClient(), as.Issuer()+"/jwks"); a.body != string(as.KeySet()) {
				t.Errorf("served %s", a.body)
			}
			undo(as)
			if slices.Contains(kids(t, as.KeySet()), "") {
				t.Errorf("still edited: %s", as.KeySet())
			}
			if name == "nil" && string(as.KeySet()) != plain {
				t.Errorf("got %s, want %s", as.KeySet(), plain)
			}
		})
	}
	t.Run("TA-22/unwritable_edit_fails_the_test", func(t *testing.T) {
		got := failureOf(func(t testing.TB) {
			oauthtest.NewServer(t, es256).EditKeySet(func(keys []map[string]any) []map[string]any {
				keys[0]["x"] = func() {}
				return keys
			})
		})
		if !strings.Contains(got, "EditKeySet") {
			t.Errorf("failure %q", got)
		}
	})
	t.Run("TA-22/rotation_during_the_edit", func(t *testing.T) {
		as := oauthtest.NewServer(t, es256)
		as.EditKeySet(func(keys []map[string]any) []map[string]any { as.Rotate(); return nameless(keys) })
		if got := kids(t, as.KeySet()); len(got) != 2 || !slices.Contains(got, kidOf(t, as.Token(oauthtest.Audience(api)))) || slices.Contains(got, "") {
			t.Errorf("kids %q", got)
		}
		as.EditKeySet(nameless)
		if got := kids(t, as.KeySet()); len(got) != 2 || got[0] != "" {
			t.Errorf("kids %q", got)
		}
	})
	t.Run("TA-22/edit_may_call_the_server", func(t *testing.T) {
		as := oauthtest.NewServer(t, es256)
		as.EditKeySet(func([]map[string]any) []map[string]any { return []map[string]any{as.PrivateJWK()} })
		if !strings.Contains(string(as.KeySet()), `"d":`) {
			t.Errorf("got %s", as.KeySet())
		}
	})
}

// KeySet is good for the sources that need no server.
func TestKeySetForStaticSource(t *testing.T) {
	for _, alg := range []string{"RS256", "ES512", "Ed25519"} {
		t.Run("TA-22/KS-29_static_"+alg, func(t *testing.T) {
			as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = alg })
			keys, err := jwkscache.NewStatic(as.KeySet())
			if err != nil {
				t.Fatal(err)
			}
			v := newVerifier(t, verifier.Config{Issuer: as.Issuer(), Audience: []string{api}, Keys: keys})
			wantVerdict(t, v, as.Token(oauthtest.Audience(api)), nil)
			wantFetches(t, as, 0)
		})
	}
}
