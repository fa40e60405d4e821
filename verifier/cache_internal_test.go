// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"
	"time"
)

// inside is a verifier whose cache can be looked into.
type inside struct {
	v   *Verifier
	key ed25519.PrivateKey
	set *KeySet
}

func (i *inside) Keys(context.Context, *Miss) (*KeySet, error) { return i.set, nil }

func (i *inside) newSet(t *testing.T, kid string) *KeySet {
	t.Helper()
	x := base64.RawURLEncoding.EncodeToString(i.key.Public().(ed25519.PublicKey))
	set, _, err := ParseKeySet(fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}]}`, kid, x))
	if err != nil || set.Len() != 1 {
		t.Fatal(set.Len(), err)
	}
	return set
}

func (i *inside) token(jti string) string {
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"iss":"https://i.example","aud":"a","sub":"s","client_id":"c","jti":%q,"iat":%d,"exp":%d}`, jti, now, now+60)
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"Ed25519","typ":"at+jwt","kid":"one"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.key, []byte(input)))
}

func newInside(t *testing.T, entries int) *inside {
	t.Helper()
	i := &inside{key: ed25519.NewKeyFromSeed(make([]byte, 32))}
	i.set = i.newSet(t, "one")
	v, err := New(Config{Issuer: "https://i.example", Audience: []string{"a"}, Keys: i, CacheEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	i.v = v
	return i
}

func (i *inside) accept(t *testing.T, raw string) {
	t.Helper()
	if _, err := i.v.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
}

func TestCacheInside(t *testing.T) {
	t.Run("JV-35/keyed_by_digest", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a")
		i.accept(t, raw)
		keys := i.v.only.cache.open().Keys()
		if len(keys) != 1 || keys[0] != sha256.Sum256([]byte(raw)) {
			t.Errorf("keys %x, want the SHA-256 of the token", keys)
		}
	})
	t.Run("JV-35/no_second_verification_after_a_refresh", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a")
		i.accept(t, raw)
		before := i.v.only.cache.get(sha256.Sum256([]byte(raw)))
		i.set = i.newSet(t, "renamed")
		i.accept(t, raw)
		after := i.v.only.cache.get(sha256.Sum256([]byte(raw)))
		if after.facts != before.facts || after.key != before.key {
			t.Error("the token was read or verified again")
		}
		if before.set == i.set || after.set != i.set {
			t.Error("the entry does not follow the current set")
		}
	})
	t.Run("JV-35/only_accepted_tokens", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a")
		for _, bad := range []string{"x", raw + "A", raw[:len(raw)-86] + i.token("b")[len(raw)-86:]} {
			if _, err := i.v.Verify(t.Context(), bad); err == nil {
				t.Fatal("accepted")
			}
		}
		if n := i.v.only.cache.open().Len(); n != 0 {
			t.Errorf("%d entries of refused tokens", n)
		}
	})
	t.Run("JV-35/withdrawn_key_frees_the_entry", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a") // made once: a second later it would be another token
		i.accept(t, raw)
		i.set = &KeySet{}
		if _, err := i.v.Verify(t.Context(), raw); ClassOf(err) != ErrUnknownKey {
			t.Fatal(err)
		}
		if n := i.v.only.cache.open().Len(); n != 0 {
			t.Errorf("%d entries whose key is gone", n)
		}
	})
	for _, tt := range []struct {
		name          string
		setting, want int
	}{
		{"JV-35/M8_default_4096", 0, 4096},
		{"JV-35/M8_smallest", 1, 1},
		{"JV-35/M8_own_size", 10, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &newInside(t, tt.setting).v.only.cache
			for n := range 5000 {
				c.put(sha256.Sum256(fmt.Append(nil, n)), &seen{})
			}
			if n := c.open().Len(); n != tt.want {
				t.Errorf("%d entries, want %d", n, tt.want)
			}
		})
	}
	t.Run("JV-35/off", func(t *testing.T) {
		i := newInside(t, -1)
		i.accept(t, i.token("a"))
		if i.v.only.cache.open() != nil {
			t.Error("a cache was made")
		}
	})
	t.Run("JV-35/made_on_first_use", func(t *testing.T) {
		i := newInside(t, 0)
		if i.v.only.cache.lru != nil {
			t.Error("made by New")
		}
		i.accept(t, i.token("a"))
		if i.v.only.cache.lru == nil {
			t.Error("not made by Verify")
		}
	})
}

// growing is a faulty source that adds a key to the set it already gave out.
type growing struct{ set, with *KeySet }

func (g growing) Keys(_ context.Context, miss *Miss) (*KeySet, error) {
	if miss != nil {
		g.set.keys = g.with.keys
	}
	return g.set, nil
}

func TestSameSetIsNotTriedAgain(t *testing.T) {
	t.Run("SE-07/M3_no_second_try_with_the_set_that_failed", func(t *testing.T) {
		i := &inside{key: ed25519.NewKeyFromSeed(make([]byte, 32))}
		v, err := New(Config{Issuer: "https://i.example", Audience: []string{"a"}, Keys: growing{&KeySet{}, i.newSet(t, "one")}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), i.token("x")); ClassOf(err) != ErrUnknownKey {
			t.Errorf("%v, want an unknown key", err)
		}
	})
}
